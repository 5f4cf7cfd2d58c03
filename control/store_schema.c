// SPDX-License-Identifier: BSD-3-Clause
// The schema and its history. A version is one entry of migrations[] and is never changed after it
// was released: what is wrong in it is put right by the next.
#include "control/store_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CDR_1                                                                                      \
	"id TEXT PRIMARY KEY NOT NULL, call_id_a TEXT, call_id_b TEXT, from_number TEXT, "         \
	"to_number TEXT, trunk_in TEXT, trunk_out TEXT, start_us BIGINT, ring_us BIGINT, "         \
	"answer_us BIGINT, end_us BIGINT, duration_us BIGINT, sip_code INTEGER, cause INTEGER, "   \
	"released_by TEXT, complete INTEGER NOT NULL, codec TEXT, rtp_a_rx BIGINT, "               \
	"rtp_a_lost BIGINT, jitter_a_ms DOUBLE PRECISION, rtp_a_tx BIGINT, rtp_b_rx BIGINT, "      \
	"rtp_b_lost BIGINT, jitter_b_ms DOUBLE PRECISION, rtp_b_tx BIGINT"

#define CDR_2(table)                                                                               \
	"ALTER TABLE " table " ADD COLUMN plan TEXT;"                                              \
	"ALTER TABLE " table " ADD COLUMN route TEXT;"                                             \
	"ALTER TABLE " table " ADD COLUMN rules TEXT;"                                             \
	"ALTER TABLE " table " ADD COLUMN asserted TEXT;"                                          \
	"ALTER TABLE " table " ADD COLUMN auth_user TEXT;"                                         \
	"ALTER TABLE " table " ADD COLUMN user_agent TEXT;"

// "{}": a table in the order of its key, where the engine has such.
static const char *const migrations[] = {
	[1] = "CREATE TABLE cdr (" CDR_1 ");"
	      "CREATE INDEX cdr_start ON cdr (start_us);"
	      "CREATE TABLE cdr_attempt (cdr_id TEXT NOT NULL, n INTEGER NOT NULL, trunk TEXT, "
	      "peer TEXT, call_id TEXT, start_us BIGINT, ring_us BIGINT, end_us BIGINT, "
	      "sip_code INTEGER, cause INTEGER, PRIMARY KEY (cdr_id, n)){};"
	      "CREATE TABLE cdr_open (" CDR_1 ", epoch BIGINT NOT NULL);"
	      "CREATE TABLE journal_position (one INTEGER PRIMARY KEY CHECK (one = 1), "
	      "sequence BIGINT NOT NULL, position BIGINT NOT NULL);",
	// Who decided what of a call, numbers that can be looked for, and several nodes.
	[2] = CDR_2("cdr") CDR_2("cdr_open")
	      "CREATE INDEX cdr_from ON cdr (from_number, start_us);"
	      "CREATE INDEX cdr_to ON cdr (to_number, start_us);"
	      "ALTER TABLE cdr_open ADD COLUMN node TEXT NOT NULL DEFAULT '';"
	      "CREATE TABLE journal_reader (node TEXT PRIMARY KEY NOT NULL, "
	      "sequence BIGINT NOT NULL, position BIGINT NOT NULL);"
	      "INSERT INTO journal_reader SELECT '', sequence, position FROM journal_position;"
	      "DROP TABLE journal_position;",
	// Who may register and call, and where they are.
	[3] = "CREATE TABLE subscriber (aor TEXT PRIMARY KEY NOT NULL, ha1_md5 BYTEA, "
	      "ha1_sha256 BYTEA, plan TEXT NOT NULL, display TEXT NOT NULL, "
	      "max_calls INTEGER NOT NULL, max_cps INTEGER NOT NULL, enabled INTEGER NOT NULL){};"
	      "CREATE TABLE number (number TEXT PRIMARY KEY NOT NULL, aor TEXT NOT NULL, "
	      "place INTEGER NOT NULL){};"
	      "CREATE INDEX number_aor ON number (aor, place);"
	      "CREATE TABLE subscriber_generation (generation BIGINT NOT NULL);"
	      "INSERT INTO subscriber_generation VALUES (1);"
	      "CREATE TABLE binding (node TEXT NOT NULL, key TEXT NOT NULL, "
	      "changed_us BIGINT NOT NULL, aor TEXT NOT NULL, expires_s BIGINT NOT NULL, "
	      "record BYTEA NOT NULL, PRIMARY KEY (node, key)){};"
	      "CREATE INDEX binding_aor ON binding (aor);",
	// Trunks beside those of the configuration file.
	[4] = "CREATE TABLE trunk (name TEXT PRIMARY KEY NOT NULL, settings TEXT NOT NULL){};"
	      "CREATE TABLE trunk_generation (generation BIGINT NOT NULL);"
	      "INSERT INTO trunk_generation VALUES (1);",
	// Dial plans: what a route file said, in parts. No parts: it was removed. A part is too
	// large to lie in the order of its key.
	[5] = "CREATE TABLE dial_plan (name TEXT PRIMARY KEY NOT NULL, version BIGINT NOT NULL, "
	      "checksum BIGINT NOT NULL, lines BIGINT NOT NULL, bytes BIGINT NOT NULL, "
	      "parts INTEGER NOT NULL){};"
	      "CREATE TABLE dial_plan_part (name TEXT NOT NULL, version BIGINT NOT NULL, "
	      "place INTEGER NOT NULL, packed BYTEA NOT NULL, PRIMARY KEY (name, version, place));"
	      "CREATE TABLE dial_plan_generation (generation BIGINT NOT NULL);"
	      "INSERT INTO dial_plan_generation VALUES (1);",
	// Whom the last changes of subscribers were about, a generation each.
	[6] = "ALTER TABLE subscriber ADD COLUMN cps_burst INTEGER NOT NULL DEFAULT 0;"
	      "CREATE TABLE subscriber_change (generation BIGINT PRIMARY KEY NOT NULL, "
	      "aor TEXT NOT NULL){};",
	// Numbers are found block by block (store_cdr.c): what has grown for years costs a new
	// record nothing.
	[7] = "ALTER TABLE cdr ADD COLUMN block BIGINT NOT NULL DEFAULT 0;"
	      "DROP INDEX cdr_from;"
	      "DROP INDEX cdr_to;"
	      "CREATE INDEX cdr_from ON cdr (block, from_number);"
	      "CREATE INDEX cdr_to ON cdr (block, to_number);",
};

#define VERSION ((int)(sizeof(migrations) / sizeof(migrations[0])) - 1)

// Replaces each "{}".
static char *migration_text(const struct td_db_engine *engine, int version)
{
	const char *rest = migrations[version];
	char *sql = NULL;
	size_t size;
	FILE *out = open_memstream(&sql, &size);

	if (!out)
		return NULL;
	for (const char *mark; (mark = strstr(rest, "{}")); rest = mark + 2)
		fprintf(out, "%.*s%s", (int)(mark - rest), rest, engine->clustered);
	fprintf(out, "%s", rest);
	fclose(out);
	return sql;
}

// What is there: 0 nothing yet, or what an older program says with its own means.
static int version_read(struct td_db *db, int64_t *version)
{
	const struct td_db_engine *engine = db->engine;
	int64_t rows = 0;
	int rc = engine->script(
		db, "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)");

	*version = 0;
	if (rc == 0)
		rc = engine->number(db, "SELECT count(*) FROM schema_version", &rows);
	if (rc != 0 || rows > 0)
		return rc ? rc : engine->number(db, "SELECT version FROM schema_version", version);
	if (engine->version_ask)
		rc = engine->number(db, engine->version_ask, version);
	return rc ? rc : engine->script(db, "INSERT INTO schema_version VALUES (0)");
}

static int version_write(struct td_db *db, int version)
{
	const char *tell = db->engine->version_tell;
	char sql[128];

	snprintf(sql, sizeof(sql), "UPDATE schema_version SET version = %d", version);
	int rc = db->engine->script(db, sql);
	if (rc != 0 || !tell)
		return rc;
	snprintf(sql, sizeof(sql), "%s%d", tell, version);
	return db->engine->script(db, sql);
}

static int steps_take(struct td_db *db, int64_t from, char *error, size_t cap)
{
	int rc = 0;

	if (from > VERSION) {
		snprintf(error, cap, "schema version %lld is newer than this program's %d",
			(long long)from, VERSION);
		return -EPROTO;
	}
	for (int version = (int)from + 1; rc == 0 && version <= VERSION; version++) {
		char *sql = migration_text(db->engine, version);
		rc = sql ? db->engine->script(db, sql) : -ENOMEM;
		free(sql);
	}
	if (rc == 0 && from < VERSION)
		rc = version_write(db, VERSION);
	return rc;
}

int store_schema_migrate(struct td_db *db, char *error, size_t cap)
{
	int64_t version = 0;
	int rc = db->engine->begin_alone(db);

	error[0] = '\0';
	if (rc == 0)
		rc = version_read(db, &version);
	if (rc == 0)
		rc = steps_take(db, version, error, cap);
	if (rc == 0)
		rc = db->engine->commit(db);
	if (rc != 0 && !error[0])
		snprintf(error, cap, "%s", db->error[0] ? db->error : strerror(-rc));
	if (rc != 0)
		db->engine->rollback(db);
	return rc;
}
