// SPDX-License-Identifier: BSD-3-Clause
// control/store.h over SQLite: the contract's columns, NULL for what never came, all or nothing.
#include "control/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char path[64];

static int fresh(void **state)
{
	snprintf(path, sizeof(path), "/tmp/td_store_%d.db", (int)getpid());
	char error[128];
	struct td_store *store = td_store_open(path, error, sizeof(error));

	if (!store)
		fprintf(stderr, "# %s\n", error);
	*state = store;
	return store ? 0 : -1;
}

static int clean(void **state)
{
	char other[80];

	td_store_close(*state);
	unlink(path);
	snprintf(other, sizeof(other), "%s-wal", path);
	unlink(other);
	snprintf(other, sizeof(other), "%s-shm", path);
	unlink(other);
	return 0;
}

// The first column of the first row as text ("NULL" where it is), by another connection, as a
// script would.
static const char *ask(const char *sql)
{
	static char answer[256];
	sqlite3 *db;
	sqlite3_stmt *st;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	snprintf(answer, sizeof(answer), "none");
	if (sqlite3_step(st) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(st, 0);
		snprintf(answer, sizeof(answer), "%s", text ? text : "NULL");
	}
	sqlite3_finalize(st);
	sqlite3_close(db);
	return answer;
}

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
	assert_string_equal(ask("SELECT count(*) FROM cdr"), "0"); // not before the commit
	assert_int_equal(td_store_commit(store), 0);
	assert_string_equal(
		ask("SELECT "
		    "id||','||call_id_a||','||call_id_b||','||from_number||','||to_number||','||"
		    "trunk_in||"
		    "','||trunk_out||','||start_us||','||ring_us||','||answer_us||','||end_us||','|"
		    "|duration_us||','||"
		    "sip_code||','||cause||','||released_by||','||complete||','||codec FROM cdr"),
		"n-1-0-1,a@x,b@y,100,200,west,east,10,20,30,40,9,200,16,b,1,PCMA");
	assert_string_equal(ask("SELECT "
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
		assert_string_equal(ask(sql), "NULL");
	}
	assert_string_equal(ask("SELECT released_by FROM cdr"), "switch");
	assert_string_equal(
		ask("SELECT n||','||trunk||','||start_us FROM cdr_attempt"), "1,east,5");
	assert_string_equal(ask("SELECT ring_us FROM cdr_attempt"), "NULL");
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
	assert_string_equal(
		ask("SELECT group_concat(id||complete) FROM (SELECT * FROM cdr ORDER BY id)"),
		"n-1-0-10,n-1-0-21");
	assert_string_equal(ask("SELECT end_us FROM cdr WHERE complete = 0"), "NULL");
	assert_string_equal(ask("SELECT id FROM cdr_open"), "n-2-0-1");
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
	assert_string_equal(ask("SELECT count(*)||','||max(complete) FROM cdr"), "1,1");
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
	assert_string_equal(ask("SELECT count(*) FROM cdr"), "0");
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
	assert_string_equal(ask("SELECT length(call_id_a) FROM cdr"), "128");
	assert_string_equal(ask("SELECT from_number FROM cdr"), "a??\xc3\xbc");
}

static void another_writer_means_later(void **state)
{
	struct td_store *store = *state;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(td_store_begin(store), -EBUSY);
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(db);
	assert_int_equal(td_store_begin(store), 0);
	td_store_rollback(store);
}

static void a_newer_schema_is_left_alone(void **state)
{
	sqlite3 *db;
	char error[128] = "";

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_null(td_store_open(path, error, sizeof(error)));
	assert_non_null(strstr(error, "schema version 99"));
	assert_null(td_store_open("/nowhere/at/all.db", error, sizeof(error)));
	assert_int_not_equal(error[0], '\0');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_end_is_a_row_of_the_contract, fresh, clean),
		cmocka_unit_test_setup_teardown(what_never_came_is_null, fresh, clean),
		cmocka_unit_test_setup_teardown(a_boot_closes_the_calls_of_others, fresh, clean),
		cmocka_unit_test_setup_teardown(a_late_end_is_the_last_word, fresh, clean),
		cmocka_unit_test_setup_teardown(a_rollback_leaves_nothing, fresh, clean),
		cmocka_unit_test_setup_teardown(text_without_end_or_sense_is_cleaned, fresh, clean),
		cmocka_unit_test_setup_teardown(another_writer_means_later, fresh, clean),
		cmocka_unit_test_setup_teardown(a_newer_schema_is_left_alone, fresh, clean),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
