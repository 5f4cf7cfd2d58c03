// SPDX-License-Identifier: BSD-3-Clause
// control/store.h over both engines: the contract's columns, NULL for what never came, all or
// nothing.
#include "tests/unit/store_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct td_cdr answered(const char *id)
{
	struct td_cdr cdr = { .call_id_a = "a@x",
		.call_id_b = "b@y",
		.from_number = "100",
		.to_number = "200",
		.trunk_in = "west",
		.trunk_out = "east",
		.codec = "PCMA",
		.start_us = 10,
		.ring_us = 20,
		.answer_us = 30,
		.end_us = 40,
		.duration_us = 9,
		.sip_code = 200,
		.cause = 16,
		.released_by = TD_RELEASED_B,
		.complete = 1,
		.a = { 1, 2, 3, 4.5 },
		.b = { 5, 6, 7, 8.5 } };

	snprintf(cdr.id, sizeof(cdr.id), "%s", id);
	return cdr;
}

static void an_end_is_a_row_of_the_contract(void **state)
{
	struct td_store *store = *state;
	struct td_cdr cdr = answered("n-1-0-1");

	assert_int_equal(td_store_begin(store), 0);
	assert_int_equal(td_store_cdr_end(store, &cdr), 0);
	assert_string_equal(store_ask("SELECT count(*) FROM cdr"), "0"); // not before the commit
	assert_int_equal(td_store_commit(store), 0);
	assert_string_equal(store_ask("SELECT "
				      "id||','||call_id_a||','||call_id_b||','||from_number||','||"
				      "to_number||','||"
				      "trunk_in||"
				      "','||trunk_out||','||start_us||','||ring_us||','||answer_us|"
				      "|','||end_us||','|"
				      "|duration_us||','||"
				      "sip_code||','||cause||','||released_by||','||complete||','||"
				      "codec FROM cdr"),
		"n-1-0-1,a@x,b@y,100,200,west,east,10,20,30,40,9,200,16,b,1,PCMA");
	assert_string_equal(
		store_ask("SELECT "
			  "rtp_a_rx||','||rtp_a_lost||','||jitter_a_ms||','||rtp_a_tx||','||"
			  "rtp_b_rx||','||"
			  "rtp_b_lost||','||jitter_b_ms||','||rtp_b_tx FROM cdr"),
		"1,2,4.5,3,5,6,8.5,7");
}

static void what_never_came_is_null(void **state)
{
	struct td_store *store = *state;
	struct td_cdr cdr = { .id = "n-1-0-2",
		.trunk_in = "west",
		.start_us = 10,
		.end_us = 11,
		.sip_code = 404,
		.released_by = TD_RELEASED_SWITCH,
		.complete = 1 };
	struct td_cdr_attempt attempt = {
		.cdr_id = "n-1-0-2", .n = 1, .trunk = "east", .start_us = 5
	};

	td_store_begin(store);
	assert_int_equal(td_store_cdr_end(store, &cdr), 0);
	assert_int_equal(td_store_cdr_attempt(store, &attempt), 0);
	td_store_commit(store);
	static const char *const nulls[] = { "ring_us", "answer_us", "codec", "trunk_out",
		"call_id_b", "cause" };
	for (size_t i = 0; i < sizeof(nulls) / sizeof(nulls[0]); i++) {
		char sql[64];
		snprintf(sql, sizeof(sql), "SELECT %s FROM cdr", nulls[i]);
		assert_string_equal(store_ask(sql), "NULL");
	}
	assert_string_equal(store_ask("SELECT released_by FROM cdr"), "switch");
	assert_string_equal(
		store_ask("SELECT n||','||trunk||','||start_us FROM cdr_attempt"), "1,east,5");
	assert_string_equal(store_ask("SELECT ring_us FROM cdr_attempt"), "NULL");
}

static void a_boot_closes_the_calls_of_others(void **state)
{
	struct td_store *store = *state;
	struct td_cdr old = answered("n-1-0-1"), ended = answered("n-1-0-2"),
		      current = answered("n-2-0-1");
	uint32_t closed = 99;

	td_store_begin(store);
	td_store_cdr_start(store, 1, &old);
	td_store_cdr_start(store, 1, &ended);
	td_store_cdr_end(store, &ended);
	td_store_cdr_start(store, 2, &current);
	assert_int_equal(td_store_boot(store, 2, &closed), 0);
	assert_int_equal(closed, 1);
	assert_int_equal(td_store_boot(store, 2, &closed), 0);
	assert_int_equal(closed, 0);
	td_store_commit(store);
	assert_string_equal(store_ask("SELECT min(id||complete)||','||max(id||complete) FROM cdr"),
		"n-1-0-10,n-1-0-21");
	assert_string_equal(store_ask("SELECT end_us FROM cdr WHERE complete = 0"), "NULL");
	assert_string_equal(store_ask("SELECT id FROM cdr_open"), "n-2-0-1");
}

static void a_late_end_is_the_last_word(void **state)
{
	struct td_store *store = *state;
	struct td_cdr cdr = answered("n-1-0-1");
	uint32_t closed;

	td_store_begin(store);
	td_store_cdr_start(store, 1, &cdr);
	td_store_boot(store, 2, &closed);
	td_store_cdr_end(store, &cdr);
	td_store_commit(store);
	assert_string_equal(store_ask("SELECT count(*)||','||max(complete) FROM cdr"), "1,1");
}

static void a_rollback_leaves_nothing(void **state)
{
	struct td_store *store = *state;
	struct td_cdr cdr = answered("n-1-0-1");
	struct td_store_position position = { 3, 4 };

	assert_int_equal(td_store_position_get(store, &position), -ENOENT);
	td_store_begin(store);
	td_store_cdr_end(store, &cdr);
	td_store_position_set(store, &position);
	td_store_rollback(store);
	assert_int_equal(td_store_position_get(store, &position), -ENOENT);
	assert_string_equal(store_ask("SELECT count(*) FROM cdr"), "0");
	td_store_begin(store);
	td_store_position_set(store, &position);
	td_store_commit(store);
	position = (struct td_store_position){ 0 };
	assert_int_equal(td_store_position_get(store, &position), 0);
	assert_int_equal(position.sequence, 3);
	assert_int_equal(position.offset, 4);
}

static void text_without_end_or_sense_is_cleaned(void **state)
{
	struct td_store *store = *state;
	struct td_cdr cdr = answered("n-1-0-1");

	memset(cdr.call_id_a, 'x', sizeof(cdr.call_id_a)); // no NUL anywhere
	memcpy(cdr.from_number, "a\xff\x01\xc3\xbc", 6);
	td_store_begin(store);
	assert_int_equal(td_store_cdr_end(store, &cdr), 0);
	td_store_commit(store);
	assert_string_equal(store_ask("SELECT length(call_id_a) FROM cdr"), "128");
	assert_string_equal(store_ask("SELECT from_number FROM cdr"), "a??\xc3\xbc");
}

static void an_interim_record_makes_the_start_older(void **state)
{
	struct td_store *store = *state;
	struct td_cdr cdr = answered("n-1-0-1");
	uint32_t closed;

	td_store_begin(store);
	td_store_cdr_start(store, 1, &cdr);
	cdr.duration_us = 77;
	cdr.a.rtp_rx = 4711;
	assert_int_equal(td_store_cdr_interim(store, 1, &cdr), 0);
	assert_int_equal(td_store_boot(store, 2, &closed), 0);
	assert_int_equal(closed, 1);
	td_store_commit(store);
	assert_string_equal(store_ask("SELECT duration_us||','||rtp_a_rx||','||complete FROM cdr "
				      "WHERE end_us IS NULL"),
		"77,4711,0");
}

struct seen {
	int cdrs, attempts;
	struct td_cdr last;
	struct td_cdr_attempt attempt;
};

static void see_cdr(void *user, const struct td_cdr *cdr)
{
	struct seen *seen = user;

	seen->cdrs++;
	seen->last = *cdr;
}

static void see_attempt(void *user, const struct td_cdr_attempt *attempt)
{
	struct seen *seen = user;

	seen->attempts++;
	seen->attempt = *attempt;
}

static void what_was_written_is_read_back(void **state)
{
	struct td_store *store = *state;
	struct td_cdr cdr = answered("n-1-0-1"), other = answered("n-1-0-2");
	struct td_cdr_attempt attempt = { .cdr_id = "n-1-0-1",
		.trunk = "east",
		.peer = "[::1]:5060",
		.call_id = "b@y",
		.start_us = 1,
		.ring_us = 2,
		.end_us = 3,
		.n = 1,
		.sip_code = 486,
		.cause = 17 };
	struct seen seen = { 0 };

	snprintf(cdr.plan, sizeof(cdr.plan), "subscribers");
	snprintf(cdr.route, sizeof(cdr.route), "49");
	snprintf(cdr.rules, sizeof(cdr.rules), "e164,strip");
	snprintf(cdr.asserted, sizeof(cdr.asserted), "4930555100");
	snprintf(cdr.auth_user, sizeof(cdr.auth_user), "1001@x");
	snprintf(cdr.user_agent, sizeof(cdr.user_agent), "Phone \"1\"; it's");
	other.start_us = 5;
	snprintf(other.from_number, sizeof(other.from_number), "300");
	td_store_begin(store);
	td_store_cdr_end(store, &cdr);
	td_store_cdr_end(store, &other);
	td_store_cdr_attempt(store, &attempt);
	assert_int_equal(td_store_commit(store), 0);
	assert_int_equal(td_store_cdr_show(store, "n-1-0-1", see_cdr, see_attempt, &seen), 0);
	assert_int_equal(seen.cdrs, 1);
	assert_int_equal(seen.attempts, 1);
	assert_memory_equal(&seen.last, &cdr, sizeof(cdr));
	assert_memory_equal(&seen.attempt, &attempt, sizeof(attempt));
	seen = (struct seen){ 0 };
	assert_int_equal(td_store_cdr_last(store, 10, see_cdr, &seen), 0);
	assert_int_equal(seen.cdrs, 2);
	assert_string_equal(seen.last.id, "n-1-0-2"); // the older one comes last
	seen = (struct seen){ 0 };
	assert_int_equal(td_store_cdr_find(store, "300", 10, see_cdr, &seen), 0);
	assert_int_equal(seen.cdrs, 1);
	assert_int_equal(td_store_cdr_find(store, "200", 10, see_cdr, &seen), 0);
	assert_int_equal(seen.cdrs, 3);
	seen = (struct seen){ 0 };
	assert_int_equal(td_store_cdr_show(store, "n-9-9-9", see_cdr, see_attempt, &seen), 0);
	assert_int_equal(seen.cdrs + seen.attempts, 0);
}

static void cdr_put(
	struct td_store *store, const char *id, const char *from, const char *to, uint64_t start_us)
{
	struct td_cdr cdr = answered(id);

	cdr.start_us = start_us;
	snprintf(cdr.from_number, sizeof(cdr.from_number), "%s", from);
	snprintf(cdr.to_number, sizeof(cdr.to_number), "%s", to);
	assert_int_equal(td_store_begin(store), 0);
	assert_int_equal(td_store_cdr_end(store, &cdr), 0);
	assert_int_equal(td_store_commit(store), 0);
}

// Each opening begins another block of records; a number is found in all of them.
static void a_number_is_found_in_every_block(void **state)
{
	struct td_store *store = *state;
	struct seen seen = { 0 };

	cdr_put(store, "n-1-0-1", "100", "200", 10);
	store_ask("UPDATE cdr SET block = 0"); // as a version before left it
	for (int block = 1; block <= 3; block++) {
		char id[24];
		td_store_close(store);
		store = *state = store_open_as("n");
		assert_non_null(store);
		snprintf(id, sizeof(id), "n-2-0-%d", block);
		cdr_put(store, id, block == 2 ? "100" : "300", block == 2 ? "100" : "200",
			10 + (uint64_t)block);
	}
	assert_string_equal(store_ask("SELECT count(DISTINCT block) FROM cdr"), "4");
	assert_int_equal(td_store_cdr_find(store, "200", 10, see_cdr, &seen), 0);
	assert_int_equal(seen.cdrs, 3);
	assert_string_equal(seen.last.id, "n-1-0-1"); // the newest comes first
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(td_store_cdr_find(store, "200", 1, see_cdr, &seen), 0);
	assert_int_equal(seen.cdrs, 1);
	assert_string_equal(seen.last.id, "n-2-0-3");
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(td_store_cdr_find(store, "100", 10, see_cdr, &seen), 0);
	assert_int_equal(seen.cdrs, 2); // who calls himself is there once
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(td_store_cdr_find(store, "400", 10, see_cdr, &seen), 0);
	assert_int_equal(seen.cdrs, 0);
}

static void the_newest_of_a_block_are_found(void **state)
{
	struct td_store *store = *state;
	struct seen seen = { 0 };
	char id[24];

	for (int i = 1; i <= 6; i++) {
		snprintf(id, sizeof(id), "n-1-0-%d", i);
		cdr_put(store, id, i % 2 ? "100" : "300", i % 2 ? "300" : "100", 10 + (uint64_t)i);
	}
	assert_string_equal(store_ask("SELECT count(DISTINCT block) FROM cdr"), "1");
	assert_int_equal(td_store_cdr_find(store, "100", 3, see_cdr, &seen), 0);
	assert_int_equal(seen.cdrs, 3);
	assert_string_equal(seen.last.id, "n-1-0-4");
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(td_store_cdr_find(store, "100", 1, see_cdr, &seen), 0);
	assert_string_equal(seen.last.id, "n-1-0-6");
}

static void a_batch_with_a_repetition_is_one_of_each(void **state)
{
	struct td_store *store = *state;

	for (int round = 0; round < 2; round++) {
		assert_int_equal(td_store_begin(store), 0);
		for (int i = 0; i < 2000; i++) {
			char id[24];
			snprintf(id, sizeof(id), "n-1-0-%d", i);
			struct td_cdr cdr = answered(id);
			assert_int_equal(td_store_cdr_start(store, 1, &cdr), 0);
			assert_int_equal(td_store_cdr_end(store, &cdr), 0);
		}
		assert_int_equal(td_store_commit(store), 0);
	}
	assert_string_equal(store_ask("SELECT count(*) FROM cdr"), "2000");
	assert_string_equal(store_ask("SELECT count(*) FROM cdr_open"), "0");
}

static void a_newer_schema_is_left_alone(void **state)
{
	char error[256] = "";

	store_ask("UPDATE schema_version SET version = 99");
	assert_null(td_store_open(store_url, "n", error, sizeof(error)));
	assert_non_null(strstr(error, "schema version 99"));
	assert_string_equal(store_ask("SELECT version FROM schema_version"), "99");
}

static void another_writer_means_later(void **state)
{
	struct td_store *store = *state;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(store_path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(td_store_begin(store), -EBUSY);
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(db);
	assert_int_equal(td_store_begin(store), 0);
	td_store_rollback(store);
}

// The database of the version before, with a call that waits for its end.
static void an_old_database_is_brought_forward(void **state)
{
	static const char old[] =
		"CREATE TABLE cdr (id TEXT PRIMARY KEY NOT NULL, call_id_a TEXT, call_id_b TEXT, "
		"from_number TEXT, to_number TEXT, "
		"trunk_in TEXT, trunk_out TEXT, start_us INTEGER, ring_us INTEGER, answer_us "
		"INTEGER, end_us INTEGER, "
		"duration_us INTEGER, sip_code INTEGER, cause INTEGER, released_by TEXT, complete "
		"INTEGER NOT NULL, codec TEXT, "
		"rtp_a_rx INTEGER, rtp_a_lost INTEGER, jitter_a_ms REAL, rtp_a_tx INTEGER, "
		"rtp_b_rx INTEGER, rtp_b_lost INTEGER, "
		"jitter_b_ms REAL, rtp_b_tx INTEGER);"
		"CREATE INDEX cdr_start ON cdr (start_us);"
		"CREATE TABLE cdr_attempt (cdr_id TEXT NOT NULL, n INTEGER NOT NULL, trunk TEXT, "
		"peer TEXT, call_id TEXT, "
		"start_us INTEGER, ring_us INTEGER, end_us INTEGER, sip_code INTEGER, cause "
		"INTEGER, PRIMARY KEY (cdr_id, n)) "
		"WITHOUT ROWID;"
		"CREATE TABLE cdr_open (id TEXT PRIMARY KEY NOT NULL, call_id_a TEXT, call_id_b "
		"TEXT, from_number TEXT, to_number TEXT, "
		"trunk_in TEXT, trunk_out TEXT, start_us INTEGER, ring_us INTEGER, answer_us "
		"INTEGER, end_us INTEGER, "
		"duration_us INTEGER, sip_code INTEGER, cause INTEGER, released_by TEXT, complete "
		"INTEGER NOT NULL, codec TEXT, "
		"rtp_a_rx INTEGER, rtp_a_lost INTEGER, jitter_a_ms REAL, rtp_a_tx INTEGER, "
		"rtp_b_rx INTEGER, rtp_b_lost INTEGER, "
		"jitter_b_ms REAL, rtp_b_tx INTEGER, epoch INTEGER NOT NULL);"
		"CREATE TABLE journal_position (one INTEGER PRIMARY KEY CHECK (one = 1), sequence "
		"INTEGER NOT NULL, "
		"position INTEGER NOT NULL);"
		"INSERT INTO cdr (id, complete, start_us) VALUES ('n-1-0-1', 1, 7);"
		"INSERT INTO cdr_open (id, complete, epoch) VALUES ('n-1-0-2', 0, 1);"
		"INSERT INTO journal_position VALUES (1, 12, 34);"
		"PRAGMA user_version = 1;";
	struct td_store_position position;
	uint32_t closed;
	sqlite3 *db;

	td_store_close(*state);
	store_files_remove();
	assert_int_equal(sqlite3_open(store_path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, old, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	struct td_store *store = *state = store_open_as("n");
	assert_non_null(store);
	assert_int_equal(td_store_position_get(store, &position), 0);
	assert_int_equal(position.sequence, 12);
	assert_int_equal(position.offset, 34);
	assert_int_equal(td_store_begin(store), 0);
	assert_int_equal(td_store_boot(store, 2, &closed), 0);
	assert_int_equal(td_store_commit(store), 0);
	assert_int_equal(closed, 1);
	assert_string_equal(store_ask("SELECT count(*) FROM cdr"), "2");
	// The old program sees that it is too old.
	assert_string_not_equal(store_ask("PRAGMA user_version"), "1");
}

// Two nodes and one database: neither closes the other's calls nor moves its position.
static void nodes_share_a_database(void **state)
{
	struct td_store *one = *state, *two = store_open_as("m");
	struct td_cdr first = answered("n-5-0-1"), second = answered("m-9-0-1");
	struct td_store_position position = { 3, 4 };
	uint32_t closed;

	assert_non_null(two);
	td_store_begin(one);
	td_store_cdr_start(one, 5, &first);
	td_store_position_set(one, &position);
	assert_int_equal(td_store_commit(one), 0);
	assert_int_equal(td_store_position_get(two, &position), -ENOENT);
	td_store_begin(two);
	td_store_cdr_start(two, 9, &second);
	assert_int_equal(td_store_boot(two, 10, &closed), 0);
	assert_int_equal(td_store_commit(two), 0);
	assert_int_equal(closed, 1);
	assert_string_equal(store_ask("SELECT id FROM cdr_open"), "n-5-0-1");
	td_store_close(two);
}

static void a_lost_server_is_an_error_and_no_wait(void **state)
{
	struct td_store *store = *state;
	struct td_cdr cdr = answered("n-1-0-1");
	struct td_store_position position;
	char error[256];

	assert_int_equal(td_store_begin(store), 0);
	assert_int_equal(td_store_cdr_end(store, &cdr), 0);
	pg_server_kill(&store_pg);
	assert_true(td_store_commit(store) < 0);
	assert_int_not_equal(td_store_error(store)[0], '\0');
	assert_true(td_store_begin(store) < 0);
	td_store_rollback(store);
	assert_null(td_store_open(store_url, "n", error, sizeof(error)));
	assert_int_not_equal(error[0], '\0');
	assert_true(pg_server_start(&store_pg));
	td_store_close(store);
	store = *state = store_open_as("n");
	assert_non_null(store);
	assert_int_equal(td_store_position_get(store, &position), -ENOENT);
	assert_string_equal(store_ask("SELECT count(*) FROM cdr"), "0");
}

static void no_secret_is_said(void **state)
{
	static const char *const cases[][2] = {
		{ "sqlite:/var/x.db", "sqlite:/var/x.db" },
		{ "postgresql://u:s3cret@h:1/db?sslpassword=s3cret", "postgresql://u@h:1/db" },
		{ "postgresql://u:s3c@ret@h/db", "postgresql://u@h/db" },
		{ "postgresql://u@h/db", "postgresql://u@h/db" },
		{ "postgresql:///db?password=s3cret", "postgresql:///db" },
	};
	char shown[128], error[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		td_store_url_clean(cases[i][0], shown, sizeof(shown));
		assert_string_equal(shown, cases[i][1]);
	}
	assert_null(td_store_open("postgresql://u:s3cret@[h/db", "n", error, sizeof(error)));
	assert_null(strstr(error, "s3cret"));
	assert_null(td_store_open(
		"postgresql://u:s3cret@/db?host=/nowhere", "n", error, sizeof(error)));
	assert_null(strstr(error, "s3cret"));
	assert_null(td_store_open("mysql://x", "n", error, sizeof(error)));
	assert_null(td_store_open("sqlite:/nowhere/at/all.db", "n", error, sizeof(error)));
	assert_int_not_equal(error[0], '\0');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(an_end_is_a_row_of_the_contract),
		BOTH(what_never_came_is_null),
		BOTH(a_boot_closes_the_calls_of_others),
		BOTH(a_late_end_is_the_last_word),
		BOTH(a_rollback_leaves_nothing),
		BOTH(text_without_end_or_sense_is_cleaned),
		BOTH(an_interim_record_makes_the_start_older),
		BOTH(what_was_written_is_read_back),
		BOTH(a_number_is_found_in_every_block),
		BOTH(the_newest_of_a_block_are_found),
		BOTH(a_batch_with_a_repetition_is_one_of_each),
		BOTH(a_newer_schema_is_left_alone),
		cmocka_unit_test_setup_teardown(
			another_writer_means_later, store_fresh_sqlite, store_clean),
		cmocka_unit_test_setup_teardown(
			an_old_database_is_brought_forward, store_fresh_sqlite, store_clean),
		cmocka_unit_test_setup_teardown(
			nodes_share_a_database, store_fresh_pg, store_clean),
		cmocka_unit_test_setup_teardown(
			a_lost_server_is_an_error_and_no_wait, store_fresh_pg, store_clean),
		cmocka_unit_test(no_secret_is_said),
	};
	return cmocka_run_group_tests(tests, store_server_up, store_server_down);
}
