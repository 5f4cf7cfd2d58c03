// SPDX-License-Identifier: BSD-3-Clause
// Every statement of the store, in what both engines speak. A value's number is its first use's
// place, as SQLite counts them.
#include "control/store_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// {cdr}: the names of the CDR's columns; {cdr$}: as many values; {cdr=}: "name = excluded.name" of
// each but the key. The same of {attempt}.
#define PLAN "name, version, checksum, lines, bytes, parts"
#define SUBSCRIBER                                                                                 \
	"aor, ha1_md5, ha1_sha256, plan, display, max_calls, max_cps, enabled, cps_burst"

static const char *const texts[ST__COUNT] = {
	[ST_START] =
		"INSERT INTO cdr_open ({cdr}, epoch, node) VALUES ({cdr$}, ${cdr+1}, ${cdr+2}) "
		"ON CONFLICT (id) DO UPDATE SET {cdr=}",
	// The end is the last word on a call, also where a boot had closed it before.
	[ST_END] = "INSERT INTO cdr ({cdr}, block) VALUES ({cdr$}, ${cdr+1}) "
		   "ON CONFLICT (id) DO UPDATE SET {cdr=}",
	[ST_BLOCK_LAST] = "SELECT max(block) FROM cdr",
	[ST_OPEN_END] = "DELETE FROM cdr_open WHERE id = $1",
	[ST_OPEN_CLEAR] = "DELETE FROM cdr_open WHERE node = $1",
	[ST_OPEN_OTHERS] = "SELECT {cdr} FROM cdr_open WHERE epoch <> $1 AND node = $2",
	[ST_BOOT_COUNT] = "SELECT count(*) FROM cdr_open WHERE epoch <> $1 AND node = $2",
	[ST_BOOT_ROWS] = "INSERT INTO cdr (block, {cdr}) SELECT $1, {cdr} FROM cdr_open "
			 "WHERE epoch <> $2 AND node = $3 ON CONFLICT (id) DO NOTHING",
	[ST_BOOT_OPEN] = "DELETE FROM cdr_open WHERE epoch <> $1 AND node = $2",
	[ST_ATTEMPT] = "INSERT INTO cdr_attempt ({attempt}) VALUES ({attempt$}) "
		       "ON CONFLICT (cdr_id, n) DO UPDATE SET {attempt=}",
	[ST_CDR_LAST] = "SELECT {cdr} FROM cdr ORDER BY start_us DESC LIMIT $1",
	// Block by block from the last one, until those that were counted have enough; then the
	// newest of all that is in them.
	[ST_CDR_FIND] =
		"WITH RECURSIVE b(block, found) AS ("
		"SELECT (SELECT max(block) FROM cdr), CAST(0 AS BIGINT) UNION ALL "
		"SELECT (SELECT max(c.block) FROM cdr c WHERE c.block < b.block), b.found + "
		"(SELECT count(*) FROM cdr c WHERE c.block = b.block AND c.from_number = $1) + "
		"(SELECT count(*) FROM cdr c WHERE c.block = b.block AND c.to_number = $1 AND "
		"(c.from_number IS NULL OR c.from_number <> $1)) "
		"FROM b WHERE b.block IS NOT NULL AND b.found < $2), "
		"calling AS (SELECT {cdr} FROM b CROSS JOIN cdr WHERE b.found < $2 AND "
		"cdr.block = b.block AND from_number = $1), "
		"called AS (SELECT {cdr} FROM b CROSS JOIN cdr WHERE b.found < $2 AND "
		"cdr.block = b.block AND to_number = $1 AND "
		"(from_number IS NULL OR from_number <> $1)) "
		"SELECT {cdr} FROM calling UNION ALL SELECT {cdr} FROM called "
		"ORDER BY start_us DESC LIMIT $2",
	[ST_CDR_SHOW] = "SELECT {cdr} FROM cdr WHERE id = $1",
	[ST_ATTEMPTS_OF] = "SELECT {attempt} FROM cdr_attempt WHERE cdr_id = $1 ORDER BY n",
	[ST_SUBSCRIBER_PUT] =
		"INSERT INTO subscriber (" SUBSCRIBER
		") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
		"ON CONFLICT (aor) DO UPDATE SET ha1_md5 = excluded.ha1_md5, "
		"ha1_sha256 = excluded.ha1_sha256, plan = excluded.plan, "
		"display = excluded.display, max_calls = excluded.max_calls, "
		"max_cps = excluded.max_cps, enabled = excluded.enabled, "
		"cps_burst = excluded.cps_burst",
	[ST_SUBSCRIBER_DELETE] = "DELETE FROM subscriber WHERE aor = $1 RETURNING aor",
	[ST_SUBSCRIBER_GET] = "SELECT " SUBSCRIBER " FROM subscriber WHERE aor = $1",
	[ST_SUBSCRIBERS] = "SELECT " SUBSCRIBER
			   " FROM subscriber WHERE aor > $1 ORDER BY aor LIMIT $2",
	[ST_NUMBERS] = "SELECT aor, number FROM number WHERE aor > $1 AND aor <= $2 "
		       "ORDER BY aor, place",
	[ST_NUMBER_PUT] = "INSERT INTO number (number, aor, place) VALUES ($1, $2, $3) "
			  "ON CONFLICT (number) DO UPDATE SET aor = excluded.aor, "
			  "place = excluded.place",
	[ST_NUMBERS_DELETE] = "DELETE FROM number WHERE aor = $1",
	[ST_NUMBERS_OF] = "SELECT number FROM number WHERE aor = $1 ORDER BY place",
	[ST_NUMBER_OWNER] = "SELECT aor FROM number WHERE number = $1",
	[ST_GENERATION] = "SELECT generation FROM subscriber_generation",
	[ST_GENERATION_NEXT] = "UPDATE subscriber_generation SET generation = generation + $1 "
			       "RETURNING generation",
	// A generation that is there already is of a store that was set back.
	[ST_CHANGE_PUT] = "INSERT INTO subscriber_change (generation, aor) VALUES ($1, $2) "
			  "ON CONFLICT (generation) DO UPDATE SET aor = excluded.aor",
	[ST_CHANGES_DELETE] = "DELETE FROM subscriber_change WHERE generation <= $1",
	[ST_CHANGES] = "SELECT generation, aor FROM subscriber_change WHERE generation > $1 "
		       "AND generation <= (SELECT generation FROM subscriber_generation) "
		       "ORDER BY generation LIMIT $2",
	[ST_TRUNK_GENERATION] = "SELECT generation FROM trunk_generation",
	[ST_TRUNK_GENERATION_NEXT] = "UPDATE trunk_generation SET generation = generation + 1",
	[ST_TRUNK_GET] = "SELECT settings FROM trunk WHERE name = $1",
	[ST_TRUNK_PUT] = "INSERT INTO trunk (name, settings) VALUES ($1, $2) "
			 "ON CONFLICT (name) DO UPDATE SET settings = excluded.settings",
	[ST_TRUNK_DELETE] = "DELETE FROM trunk WHERE name = $1 RETURNING name",
	[ST_TRUNKS] = "SELECT name, settings FROM trunk ORDER BY name",
	[ST_PLAN_GENERATION] = "SELECT generation FROM dial_plan_generation",
	[ST_PLAN_GENERATION_NEXT] = "UPDATE dial_plan_generation SET generation = generation + 1 "
				    "RETURNING generation",
	[ST_PLANS] = "SELECT " PLAN " FROM dial_plan ORDER BY name",
	[ST_PLAN_GET] = "SELECT " PLAN " FROM dial_plan WHERE name = $1",
	[ST_PLAN_PUT] = "INSERT INTO dial_plan (" PLAN ") VALUES ($1, $2, $3, $4, $5, $6) "
			"ON CONFLICT (name) DO UPDATE SET version = excluded.version, "
			"checksum = excluded.checksum, lines = excluded.lines, "
			"bytes = excluded.bytes, parts = excluded.parts",
	[ST_PLAN_PART] = "SELECT packed FROM dial_plan_part "
			 "WHERE name = $1 AND version = $2 AND place = $3",
	[ST_PLAN_PART_PUT] = "INSERT INTO dial_plan_part (name, version, place, packed) "
			     "VALUES ($1, $2, $3, $4)",
	[ST_PLAN_PARTS_DELETE] = "DELETE FROM dial_plan_part WHERE name = $1 AND version <> $2",
	[ST_BINDING_PUT] = "INSERT INTO binding (node, key, changed_us, aor, expires_s, record) "
			   "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (node, key) DO UPDATE "
			   "SET changed_us = excluded.changed_us, aor = excluded.aor, "
			   "expires_s = excluded.expires_s, record = excluded.record "
			   "WHERE excluded.changed_us >= binding.changed_us",
	[ST_BINDING_DELETE] = "DELETE FROM binding WHERE node = $1 AND key = $2 "
			      "AND changed_us <= $3",
	[ST_BINDINGS] = "SELECT key, record FROM binding WHERE node = $1 AND key > $2 "
			"AND expires_s > $3 ORDER BY key LIMIT $4",
	[ST_BINDINGS_OF] = "SELECT key, record FROM binding WHERE node = $1 AND aor = $2 "
			   "AND expires_s > $3 ORDER BY key",
	[ST_BINDINGS_EXPIRE] = "DELETE FROM binding WHERE node = $1 AND expires_s < $2",
	[ST_BINDINGS_DELETE] = "DELETE FROM binding WHERE aor = $1",
	[ST_POSITION_GET] = "SELECT sequence, position FROM journal_reader WHERE node = $1",
	[ST_POSITION_SET] = "INSERT INTO journal_reader (node, sequence, position) "
			    "VALUES ($1, $2, $3) ON CONFLICT (node) DO UPDATE "
			    "SET sequence = excluded.sequence, position = excluded.position",
};

static const struct td_columns *const tables[] = { &td_cdr_columns, &td_attempt_columns };

// How a hole is filled: after the table's name stands what of its columns is meant.
static void hole_fill(FILE *out, const struct td_columns *table, const char *kind)
{
	if (kind[0] == '+') {
		fprintf(out, "%d", table->n + kind[1] - '0');
		return;
	}
	for (int i = kind[0] == '=' ? table->keys : 0; i < table->n; i++) {
		const char *name = table->list[i].name;
		const char *lead = i == 0 || (kind[0] == '=' && i == table->keys) ? "" : ", ";
		if (kind[0] == '$')
			fprintf(out, "%s$%d", lead, i + 1);
		else if (kind[0] == '=')
			fprintf(out, "%s%s = excluded.%s", lead, name, name);
		else
			fprintf(out, "%s%s", lead, name);
	}
}

// Fills the hole that begins at text; returns what follows it.
static const char *hole(FILE *out, const char *text)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		size_t len = strlen(tables[i]->name);
		if (strncmp(text + 1, tables[i]->name, len) == 0)
			hole_fill(out, tables[i], text + 1 + len);
	}
	return text + strcspn(text, "}") + 1;
}

char *store_sql(enum store_statement statement)
{
	char *sql = NULL;
	size_t size;
	FILE *out = open_memstream(&sql, &size);

	if (!out)
		return NULL;
	for (const char *c = texts[statement]; *c;) {
		size_t plain = strcspn(c, "{");
		fwrite(c, 1, plain, out);
		c += plain;
		if (*c)
			c = hole(out, c);
	}
	fclose(out);
	return sql;
}
