// SPDX-License-Identifier: BSD-3-Clause
#include "control/store.h"

#include "control/text.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA_VERSION 1
#define BUSY_TIMEOUT_MS 250

#define CDR_COLUMNS                                                                                \
	"id, call_id_a, call_id_b, from_number, to_number, trunk_in, trunk_out, start_us, "        \
	"ring_us, "                                                                                \
	"answer_us, end_us, duration_us, sip_code, cause, released_by, complete, codec, "          \
	"rtp_a_rx, rtp_a_lost, jitter_a_ms, rtp_a_tx, rtp_b_rx, rtp_b_lost, jitter_b_ms, rtp_b_tx"

#define CDR_TYPES                                                                                  \
	"id TEXT PRIMARY KEY NOT NULL, call_id_a TEXT, call_id_b TEXT, from_number TEXT, "         \
	"to_number TEXT, "                                                                         \
	"trunk_in TEXT, trunk_out TEXT, start_us INTEGER, ring_us INTEGER, answer_us INTEGER, "    \
	"end_us INTEGER, duration_us INTEGER, sip_code INTEGER, cause INTEGER, released_by TEXT, " \
	"complete INTEGER NOT NULL, codec TEXT, rtp_a_rx INTEGER, rtp_a_lost INTEGER, "            \
	"jitter_a_ms REAL, rtp_a_tx INTEGER, rtp_b_rx INTEGER, rtp_b_lost INTEGER, jitter_b_ms "   \
	"REAL, "                                                                                   \
	"rtp_b_tx INTEGER"

#define CDR_VALUES                                                                                 \
	"?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24,?" \
	"25"

static const char schema[] =
	"BEGIN IMMEDIATE;"
	"CREATE TABLE cdr (" CDR_TYPES ");"
	"CREATE INDEX cdr_start ON cdr (start_us);"
	"CREATE TABLE cdr_attempt (cdr_id TEXT NOT NULL, n INTEGER NOT NULL, trunk TEXT, peer "
	"TEXT, call_id TEXT, "
	"start_us INTEGER, ring_us INTEGER, end_us INTEGER, sip_code INTEGER, cause INTEGER, "
	"PRIMARY KEY (cdr_id, n)) WITHOUT ROWID;"
	"CREATE TABLE cdr_open (" CDR_TYPES ", epoch INTEGER NOT NULL);"
	"CREATE TABLE journal_position (one INTEGER PRIMARY KEY CHECK (one = 1), sequence INTEGER "
	"NOT NULL, "
	"position INTEGER NOT NULL);"
	"PRAGMA user_version = 1;"
	"COMMIT;";

enum statement {
	ST_BEGIN,
	ST_COMMIT,
	ST_START,
	ST_END,
	ST_CLOSE_OPEN,
	ST_ATTEMPT,
	ST_BOOT_ROWS,
	ST_BOOT_OPEN,
	ST_POSITION_GET,
	ST_POSITION_SET,
	ST__COUNT,
};

static const char *const sql[ST__COUNT] = {
	[ST_BEGIN] = "BEGIN IMMEDIATE",
	[ST_COMMIT] = "COMMIT",
	[ST_START] = "INSERT OR REPLACE INTO cdr_open (" CDR_COLUMNS ", epoch) VALUES (" CDR_VALUES
		     ",?26)",
	// The end is the last word on a call, also where a boot had closed it before.
	[ST_END] = "INSERT OR REPLACE INTO cdr (" CDR_COLUMNS ") VALUES (" CDR_VALUES ")",
	[ST_CLOSE_OPEN] = "DELETE FROM cdr_open WHERE id = ?1",
	[ST_ATTEMPT] = "INSERT OR REPLACE INTO cdr_attempt VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)",
	[ST_BOOT_ROWS] = "INSERT OR IGNORE INTO cdr (" CDR_COLUMNS ") SELECT " CDR_COLUMNS
			 " FROM cdr_open WHERE epoch <> ?1",
	[ST_BOOT_OPEN] = "DELETE FROM cdr_open WHERE epoch <> ?1",
	[ST_POSITION_GET] = "SELECT sequence, position FROM journal_position",
	[ST_POSITION_SET] = "INSERT OR REPLACE INTO journal_position VALUES (1, ?1, ?2)",
};

struct td_store {
	sqlite3 *db;
	sqlite3_stmt *st[ST__COUNT];
};

// --- opening ---

static int user_version(sqlite3 *db)
{
	sqlite3_stmt *st;
	int version = -1;

	if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL) == SQLITE_OK &&
		sqlite3_step(st) == SQLITE_ROW)
		version = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return version;
}

static bool schema_ready(sqlite3 *db, char *error, size_t cap)
{
	int version = user_version(db);

	if (version == SCHEMA_VERSION)
		return true;
	if (version == 0 && sqlite3_exec(db, schema, NULL, NULL, NULL) == SQLITE_OK)
		return true;
	if (version > SCHEMA_VERSION)
		snprintf(error, cap, "schema version %d is newer than this program's %d", version,
			SCHEMA_VERSION);
	else
		snprintf(error, cap, "%s", sqlite3_errmsg(db));
	return false;
}

struct td_store *td_store_open(const char *path, char *error, size_t error_cap)
{
	struct td_store *store = calloc(1, sizeof(*store));

	if (!store) {
		snprintf(error, error_cap, "no memory");
		return NULL;
	}
	// FULL: a segment is removed as soon as its rows are committed, so a commit must outlive
	// the power.
	if (sqlite3_open_v2(path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
			SQLITE_OK ||
		sqlite3_busy_timeout(store->db, BUSY_TIMEOUT_MS) != SQLITE_OK ||
		sqlite3_exec(store->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;", NULL,
			NULL, NULL) != SQLITE_OK) {
		snprintf(error, error_cap, "%s",
			store->db ? sqlite3_errmsg(store->db) : "no memory");
		td_store_close(store);
		return NULL;
	}
	if (!schema_ready(store->db, error, error_cap)) {
		td_store_close(store);
		return NULL;
	}
	for (int i = 0; i < ST__COUNT; i++) {
		if (sqlite3_prepare_v3(store->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
			    &store->st[i], NULL) != SQLITE_OK) {
			snprintf(error, error_cap, "%s", sqlite3_errmsg(store->db));
			td_store_close(store);
			return NULL;
		}
	}
	return store;
}

void td_store_close(struct td_store *store)
{
	if (!store)
		return;
	for (int i = 0; i < ST__COUNT; i++)
		sqlite3_finalize(store->st[i]);
	sqlite3_close(store->db);
	free(store);
}

const char *td_store_error(const struct td_store *store)
{
	return sqlite3_errmsg(store->db);
}

// --- statements ---

static int run(struct td_store *store, enum statement which)
{
	sqlite3_stmt *st = store->st[which];
	int rc = sqlite3_step(st);

	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	if (rc == SQLITE_DONE || rc == SQLITE_ROW)
		return 0;
	return rc == SQLITE_BUSY || rc == SQLITE_LOCKED ? -EBUSY : -EIO;
}

int td_store_begin(struct td_store *store)
{
	return run(store, ST_BEGIN);
}

int td_store_commit(struct td_store *store)
{
	return run(store, ST_COMMIT);
}

void td_store_rollback(struct td_store *store)
{
	if (!sqlite3_get_autocommit(store->db))
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}

// Records hold at most cap bytes, NUL or not; empty is what never came.
static void bind_text(sqlite3_stmt *st, int at, const char *text, size_t cap)
{
	char clean[TD_CDR_CALL_ID_LEN + 1];
	size_t n = td_text_clean(text, cap, false, clean, sizeof(clean));

	if (n > 0)
		sqlite3_bind_text(st, at, clean, (int)n, SQLITE_TRANSIENT);
}

static void bind_key(sqlite3_stmt *st, int at, const char *text, size_t cap)
{
	char clean[TD_CDR_CALL_ID_LEN + 1];
	size_t n = td_text_clean(text, cap, false, clean, sizeof(clean));

	sqlite3_bind_text(st, at, clean, (int)n, SQLITE_TRANSIENT);
}

static void bind_count(sqlite3_stmt *st, int at, uint64_t value)
{
	sqlite3_bind_int64(st, at, value > INT64_MAX ? INT64_MAX : (sqlite3_int64)value);
}

// 0 is what never came.
static void bind_time(sqlite3_stmt *st, int at, uint64_t value)
{
	if (value > 0)
		bind_count(st, at, value);
}

static const char *released_by(uint8_t by)
{
	return by == TD_RELEASED_A ? "a" : by == TD_RELEASED_B ? "b" : "switch";
}

static void bind_side(sqlite3_stmt *st, int at, const struct td_cdr_side *side)
{
	bind_count(st, at, side->rtp_rx);
	bind_count(st, at + 1, side->rtp_lost);
	sqlite3_bind_double(st, at + 2, side->jitter_ms);
	bind_count(st, at + 3, side->rtp_tx);
}

static void bind_cdr(sqlite3_stmt *st, const struct td_cdr *cdr, bool complete)
{
	bind_key(st, 1, cdr->id, sizeof(cdr->id));
	bind_text(st, 2, cdr->call_id_a, sizeof(cdr->call_id_a));
	bind_text(st, 3, cdr->call_id_b, sizeof(cdr->call_id_b));
	bind_text(st, 4, cdr->from_number, sizeof(cdr->from_number));
	bind_text(st, 5, cdr->to_number, sizeof(cdr->to_number));
	bind_text(st, 6, cdr->trunk_in, sizeof(cdr->trunk_in));
	bind_text(st, 7, cdr->trunk_out, sizeof(cdr->trunk_out));
	bind_time(st, 8, cdr->start_us);
	bind_time(st, 9, cdr->ring_us);
	bind_time(st, 10, cdr->answer_us);
	if (complete) {
		bind_time(st, 11, cdr->end_us);
		bind_count(st, 12, cdr->duration_us);
	}
	bind_time(st, 13, cdr->sip_code);
	bind_time(st, 14, cdr->cause);
	sqlite3_bind_text(st, 15, released_by(cdr->released_by), -1, SQLITE_STATIC);
	sqlite3_bind_int(st, 16, complete);
	bind_text(st, 17, cdr->codec, sizeof(cdr->codec));
	bind_side(st, 18, &cdr->a);
	bind_side(st, 22, &cdr->b);
}

int td_store_cdr_start(struct td_store *store, uint32_t epoch, const struct td_cdr *cdr)
{
	bind_cdr(store->st[ST_START], cdr, false);
	sqlite3_bind_int64(store->st[ST_START], 26, epoch);
	return run(store, ST_START);
}

int td_store_cdr_end(struct td_store *store, const struct td_cdr *cdr)
{
	bind_cdr(store->st[ST_END], cdr, true);
	int rc = run(store, ST_END);
	if (rc != 0)
		return rc;
	bind_key(store->st[ST_CLOSE_OPEN], 1, cdr->id, sizeof(cdr->id));
	return run(store, ST_CLOSE_OPEN);
}

int td_store_cdr_attempt(struct td_store *store, const struct td_cdr_attempt *attempt)
{
	sqlite3_stmt *st = store->st[ST_ATTEMPT];

	bind_key(st, 1, attempt->cdr_id, sizeof(attempt->cdr_id));
	sqlite3_bind_int(st, 2, attempt->n);
	bind_text(st, 3, attempt->trunk, sizeof(attempt->trunk));
	bind_text(st, 4, attempt->peer, sizeof(attempt->peer));
	bind_text(st, 5, attempt->call_id, sizeof(attempt->call_id));
	bind_time(st, 6, attempt->start_us);
	bind_time(st, 7, attempt->ring_us);
	bind_time(st, 8, attempt->end_us);
	bind_time(st, 9, attempt->sip_code);
	bind_time(st, 10, attempt->cause);
	return run(store, ST_ATTEMPT);
}

int td_store_boot(struct td_store *store, uint32_t epoch, uint32_t *closed)
{
	sqlite3_bind_int64(store->st[ST_BOOT_ROWS], 1, epoch);
	int rc = run(store, ST_BOOT_ROWS);
	if (rc != 0)
		return rc;
	*closed = (uint32_t)sqlite3_changes(store->db);
	sqlite3_bind_int64(store->st[ST_BOOT_OPEN], 1, epoch);
	return run(store, ST_BOOT_OPEN);
}

int td_store_position_get(struct td_store *store, struct td_store_position *out)
{
	sqlite3_stmt *st = store->st[ST_POSITION_GET];
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW) {
		out->sequence = (uint64_t)sqlite3_column_int64(st, 0);
		out->offset = (uint64_t)sqlite3_column_int64(st, 1);
	}
	sqlite3_reset(st);
	return rc == SQLITE_ROW ? 0 : rc == SQLITE_DONE ? -ENOENT : -EIO;
}

int td_store_position_set(struct td_store *store, const struct td_store_position *position)
{
	sqlite3_bind_int64(store->st[ST_POSITION_SET], 1, (sqlite3_int64)position->sequence);
	sqlite3_bind_int64(store->st[ST_POSITION_SET], 2, (sqlite3_int64)position->offset);
	return run(store, ST_POSITION_SET);
}
