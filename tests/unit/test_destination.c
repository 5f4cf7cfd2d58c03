// SPDX-License-Identifier: BSD-3-Clause
// control/destination.h with faults: a database that fails, is full, is killed, paused and brought
// back while records arrive. None is lost, none comes twice, and segments stay as long as one
// destination needs them.
#include "control/destination.h"
#include "tests/unit/journal_file.h"
#include "tests/unit/pg_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define SEGMENT_CALLS 50 // a new segment after so many

static struct pg_server pg;
static struct td_alarms alarms;
static struct td_destinations all;
static char dir[64], url[256];

static struct td_sink *open_url(const void *user, char *error, size_t cap)
{
	return td_sink_store_open(user, "n", error, cap);
}

static int fresh(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/td_destination_%d", (int)getpid());
	snprintf(url, sizeof(url), "sqlite:%s/x.db", dir);
	memset(&alarms, 0, sizeof(alarms));
	td_destinations_init(&all, dir, &alarms);
	return mkdir(dir, 0700);
}

static int clean(void **state)
{
	char command[100];

	td_destinations_stop(&all, 2000);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

// Calls [from, to) as a data plane writes them; segments are numbered by their calls.
static void calls_write(int from, int to)
{
	for (int i = from; i < to; i++) {
		struct td_cdr_attempt attempt = { .n = 1, .trunk = "b" };
		FILE *f = journal_segment(dir, (uint64_t)(1 + i / SEGMENT_CALLS));
		snprintf(attempt.cdr_id, sizeof(attempt.cdr_id), "x-1-0-%d", i);
		journal_put_cdr(f, TD_JOURNAL_START, 1, i);
		journal_put(f, TD_JOURNAL_ATTEMPT, 1, &attempt, sizeof(attempt));
		journal_put_cdr(f, TD_JOURNAL_END, 1, i);
		fclose(f);
	}
	td_destinations_wake(&all);
}

static bool raised(const char *name)
{
	struct td_alarm list[TD_ALARMS_MAX];
	uint32_t n = td_alarms_copy(&alarms, list);

	for (uint32_t i = 0; i < n; i++)
		if (strcmp(list[i].name, name) == 0)
			return list[i].text[0] && list[i].advice[0];
	return false;
}

static bool until_raised(const char *name, bool on, int seconds)
{
	for (int i = 0; i < seconds * 50; i++) {
		td_destinations_watch(&all);
		if (raised(name) == on)
			return true;
		usleep(20000);
	}
	return false;
}

static bool until_records(uint32_t d, uint64_t n, int seconds)
{
	for (int i = 0; i < seconds * 50 && atomic_load(&all.list[d].records) < n; i++)
		usleep(20000);
	return atomic_load(&all.list[d].records) == n;
}

static int sqlite_rows(const char *table)
{
	char sql[64];
	sqlite3 *db;
	sqlite3_stmt *st;

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
	assert_int_equal(sqlite3_open_v2(url + 7, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	int n = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

static bool segment_there(uint64_t n)
{
	char path[128];

	journal_path(dir, n, path);
	return access(path, F_OK) == 0;
}

// A reader tells its records before it removes what held them.
static bool until_gone(uint64_t segment)
{
	for (int i = 0; i < 500 && segment_there(segment); i++)
		usleep(20000);
	return !segment_there(segment);
}

// All was read. Records are not counted that a sink took and could not say so: the next run begins
// behind them.
static bool until_read(uint32_t d, int seconds)
{
	struct td_store_position at = { 0 };

	for (int i = 0; i < seconds * 50; i++) {
		at.offset = atomic_load(&all.list[d].offset);
		at.sequence = atomic_load(&all.list[d].sequence);
		if (td_journal_unread(dir, &at) == 0)
			return true;
		usleep(20000);
	}
	return false;
}

static void pg_expect(const char *sql, const char *answer)
{
	const char *got = pg_server_ask(&pg, sql);

	assert_non_null(got);
	assert_string_equal(got, answer);
}

// --- tests ---

static void records_reach_the_store(void **state)
{
	td_destinations_add(&all, "store", "here", "advice", open_url, url);
	assert_int_equal(td_destinations_start(&all), 0);
	calls_write(0, 120);
	assert_true(until_records(0, 360, 10));
	assert_int_equal(sqlite_rows("cdr"), 120);
	assert_int_equal(sqlite_rows("cdr_open"), 0);
	assert_true(until_gone(1));
	assert_true(segment_there(3)); // the newest
	// What came last is taken before the end.
	calls_write(120, 130);
	assert_true(td_destinations_stop(&all, 5000));
	assert_int_equal(sqlite_rows("cdr"), 130);
}

static void a_full_disk_is_told_and_outlived(void **state)
{
	struct rlimit before, small;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	small = before;
	small.rlim_cur = 160000; // larger than a segment, smaller than the database
	td_destinations_add(&all, "store", "here", "advice", open_url, url);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(td_destinations_start(&all), 0);
	calls_write(0, 1000);
	assert_true(until_raised("store.down", true, 20));
	calls_write(1000, 1100);
	assert_true(segment_there(22));
	setrlimit(RLIMIT_FSIZE, &before);
	assert_true(until_raised("store.down", false, 20));
	assert_true(until_records(0, 3300, 20));
	assert_int_equal(sqlite_rows("cdr"), 1100);
	assert_int_equal(sqlite_rows("cdr_attempt"), 1100);
	assert_true(until_gone(21));
}

static void somebody_else_may_hold_the_database_a_while(void **state)
{
	sqlite3 *db;

	td_destinations_add(&all, "store", "here", "advice", open_url, url);
	assert_int_equal(td_destinations_start(&all), 0);
	calls_write(0, 10);
	assert_true(until_records(0, 30, 10));
	assert_int_equal(sqlite3_open(url + 7, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	calls_write(10, 20);
	assert_true(until_raised("store.down", true, 20));
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(db);
	assert_true(until_raised("store.down", false, 20));
	assert_true(until_records(0, 60, 10));
	assert_int_equal(sqlite_rows("cdr"), 20);
}

static void the_slowest_keeps_the_segments(void **state)
{
	char other[sizeof(url)];

	snprintf(other, sizeof(other), "sqlite:%s/not/there/yet.db", dir);
	td_destinations_add(&all, "store", "here", "advice", open_url, url);
	td_destinations_add(&all, "csv", "there", "advice", open_url, other);
	assert_int_equal(td_destinations_start(&all), 0);
	calls_write(0, 200);
	assert_true(until_records(0, 600, 10));
	assert_true(until_raised("csv.down", true, 10));
	assert_false(raised("store.down"));
	assert_true(segment_there(1));
	snprintf(other, sizeof(other), "sqlite:%s/y.db", dir);
	assert_true(until_raised("csv.down", false, 20));
	assert_true(until_records(1, 600, 10));
	assert_true(until_gone(3));
	assert_true(segment_there(4));
}

static void sqlite_do(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(url + 7, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

// Somebody writes the position of our node as a switch of the same name would, ahead of us or
// behind.
static void position_write(uint64_t sequence, uint64_t offset)
{
	char sql[128];

	snprintf(sql, sizeof(sql), "UPDATE journal_reader SET sequence = %d, position = %d",
		(int)sequence, (int)offset);
	sqlite_do(sql);
	td_destinations_wake(&all);
}

static bool until_position(uint64_t sequence)
{
	for (int i = 0; i < 500 && atomic_load(&all.list[0].sequence) != sequence; i++)
		usleep(20000);
	return atomic_load(&all.list[0].sequence) == sequence;
}

// One restored backup is none, three in a minute are another switch; its positions are left alone
// then, and no call of ours is lost.
static void a_switch_of_the_same_name_is_told(void **state)
{
	td_destinations_add(&all, "store", "here", "advice", open_url, url);
	assert_int_equal(td_destinations_start(&all), 0);
	calls_write(0, 20);
	assert_true(until_records(0, 60, 10));
	for (uint64_t n = 1; n <= 3; n++) {
		assert_false(raised("store.shared"));
		position_write(1, 0);
		assert_true(until_records(0, 60 + 60 * n, 10));
	}
	assert_true(until_raised("store.shared", true, 10));
	position_write(1, 0);
	usleep(100000);
	calls_write(20, 30);
	assert_true(until_records(0, 270, 10));
	position_write(900, 5);
	calls_write(30, 60);
	assert_true(until_position(2));
	assert_true(until_records(0, 360, 10));
	assert_int_equal(sqlite_rows("cdr"), 60);
	assert_true(raised("store.shared"));
}

// Whoever puts a backup in place by its name alone leaves us with a file that nobody sees any more.
static void a_replaced_file_is_seen(void **state)
{
	char sql[100], command[300];

	td_destinations_add(&all, "store", "here", "advice", open_url, url);
	assert_int_equal(td_destinations_start(&all), 0);
	calls_write(0, 10);
	assert_true(until_records(0, 30, 10));
	snprintf(sql, sizeof(sql), "VACUUM INTO '%s/copy.db'", dir);
	sqlite_do(sql);
	calls_write(10, 30);
	assert_true(until_records(0, 90, 10));
	snprintf(command, sizeof(command), "cd %s && rm x.db-wal x.db-shm && mv copy.db x.db", dir);
	assert_int_equal(system(command), 0);
	calls_write(30, 40);
	assert_true(until_records(0, 180, 10)); // ten that it had, twenty that it lacked twice
	assert_true(until_raised("store.down", false, 10));
	assert_int_equal(sqlite_rows("cdr"), 40);
	assert_false(raised("store.shared"));
}

// The server dies, comes back, stands still and goes on while calls end.
static void a_server_in_trouble_loses_and_doubles_nothing(void **state)
{
	assert_non_null(pg_server_ask(&pg, "DROP SCHEMA public CASCADE; CREATE SCHEMA public"));
	td_destinations_add(&all, "store", "here", "advice", open_url, pg.url);
	assert_int_equal(td_destinations_start(&all), 0);
	for (int round = 0; round < 6; round++) {
		calls_write(round * 500, round * 500 + 250);
		usleep(5000 * (useconds_t)round);
		if (round % 3 == 0) {
			pg_server_kill(&pg);
			calls_write(round * 500 + 250, round * 500 + 500);
			assert_true(until_raised("store.down", true, 20));
			assert_true(pg_server_start(&pg));
		} else {
			pg_server_pause(&pg, true);
			calls_write(round * 500 + 250, round * 500 + 500);
			usleep(300000);
			pg_server_pause(&pg, false);
		}
		assert_true(until_raised("store.down", false, 20));
	}
	assert_true(until_read(0, 30));
	pg_expect("SELECT count(*) FROM cdr", "3000");
	pg_expect("SELECT count(DISTINCT id) FROM cdr WHERE complete = 1", "3000");
	pg_expect("SELECT count(*) FROM cdr_attempt", "3000");
	pg_expect("SELECT count(*) FROM cdr_open", "0");
	assert_true(until_gone(1));
}

static void a_server_that_stands_still_is_slow_then_down(void **state)
{
	struct timespec before, after;

	assert_non_null(pg_server_ask(&pg, "DROP SCHEMA public CASCADE; CREATE SCHEMA public"));
	td_destinations_add(&all, "store", "here", "advice", open_url, pg.url);
	assert_int_equal(td_destinations_start(&all), 0);
	calls_write(0, 10);
	assert_true(until_records(0, 30, 10));
	pg_server_pause(&pg, true);
	calls_write(10, 20);
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_true(until_raised("store.slow", true, 12));
	assert_true(until_raised("store.down", true, 12));
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_in_range(after.tv_sec - before.tv_sec, 4, 14);
	pg_server_pause(&pg, false);
	assert_true(until_raised("store.down", false, 20));
	assert_true(until_raised("store.slow", false, 20));
	assert_true(until_records(0, 60, 10));
	pg_expect("SELECT count(*) FROM cdr", "20");
}

// Whoever ends tandem-control does not wait for a server that never answers.
static void the_end_waits_for_nobody(void **state)
{
	struct timespec before, after;

	assert_non_null(pg_server_ask(&pg, "DROP SCHEMA public CASCADE; CREATE SCHEMA public"));
	td_destinations_add(&all, "store", "here", "advice", open_url, pg.url);
	assert_int_equal(td_destinations_start(&all), 0);
	calls_write(0, 10);
	assert_true(until_records(0, 30, 10));
	pg_server_pause(&pg, true);
	calls_write(10, 20);
	usleep(200000);
	clock_gettime(CLOCK_MONOTONIC, &before);
	bool ended = td_destinations_stop(&all, 1000);
	clock_gettime(CLOCK_MONOTONIC, &after);
	pg_server_pause(&pg, false);
	assert_true(ended);
	assert_in_range(after.tv_sec - before.tv_sec, 0, 5);
	assert_true(segment_there(1));
}

static int server_up(void **state)
{
	return pg_server_make(&pg) ? 0 : -1;
}

static int server_down(void **state)
{
	pg_server_remove(&pg);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(records_reach_the_store, fresh, clean),
		cmocka_unit_test_setup_teardown(a_full_disk_is_told_and_outlived, fresh, clean),
		cmocka_unit_test_setup_teardown(
			somebody_else_may_hold_the_database_a_while, fresh, clean),
		cmocka_unit_test_setup_teardown(the_slowest_keeps_the_segments, fresh, clean),
		cmocka_unit_test_setup_teardown(a_switch_of_the_same_name_is_told, fresh, clean),
		cmocka_unit_test_setup_teardown(a_replaced_file_is_seen, fresh, clean),
		cmocka_unit_test_setup_teardown(
			a_server_in_trouble_loses_and_doubles_nothing, fresh, clean),
		cmocka_unit_test_setup_teardown(
			a_server_that_stands_still_is_slow_then_down, fresh, clean),
		cmocka_unit_test_setup_teardown(the_end_waits_for_nobody, fresh, clean),
	};
	return cmocka_run_group_tests(tests, server_up, server_down);
}
