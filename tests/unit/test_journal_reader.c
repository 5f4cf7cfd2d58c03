// SPDX-License-Identifier: BSD-3-Clause
// control/journal_reader.h over segments written by hand: each record once, whatever the writer
// left behind.
#include "control/journal_reader.h"
#include "tests/unit/journal_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[64], db[80];

struct bench {
	struct td_sink *sink;
	struct td_journal_reader *reader;
};

static struct bench bench;

static void open_all(void)
{
	char error[128], url[100];

	snprintf(url, sizeof(url), "sqlite:%s", db);
	bench.sink = td_sink_store_open(url, "n", error, sizeof(error));
	assert_non_null(bench.sink);
	bench.reader = td_journal_reader_new(dir);
	assert_non_null(bench.reader);
}

static void close_all(void)
{
	td_journal_reader_free(bench.reader);
	bench.sink->ops->close(bench.sink);
}

static int fresh(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/td_journal_%d", (int)getpid());
	snprintf(db, sizeof(db), "%s/x.db", dir);
	mkdir(dir, 0700);
	open_all();
	return 0;
}

static int clean(void **state)
{
	char path[400];

	close_all();
	DIR *d = opendir(dir);
	for (struct dirent *e; (e = readdir(d));) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		unlink(path);
	}
	closedir(d);
	return rmdir(dir);
}

// --- the writer ---

static FILE *segment(uint64_t n)
{
	return journal_segment(dir, n);
}

static int rows(const char *what)
{
	char sql[128];
	sqlite3 *other;
	sqlite3_stmt *st;

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", what);
	assert_int_equal(sqlite3_open_v2(db, &other, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(other, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	int n = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(other);
	return n;
}

static bool there(uint64_t n)
{
	char path[128];

	journal_path(dir, n, path);
	return access(path, F_OK) == 0;
}

static int run(uint32_t max)
{
	int n = td_journal_reader_run(bench.reader, bench.sink, max);

	if (n > 0)
		td_journal_remove(dir, td_journal_reader_position(bench.reader).sequence);
	return n;
}

// --- tests ---

static void records_become_rows_once(void **state)
{
	struct td_cdr_attempt attempt = { .cdr_id = "x-1-0-1", .n = 1, .trunk = "b" };

	assert_int_equal(run(100), 0); // nothing there
	FILE *f = segment(1);
	journal_put_boot(f, 1);
	journal_put_cdr(f, TD_JOURNAL_START, 1, 1);
	journal_put(f, TD_JOURNAL_ATTEMPT, 1, &attempt, sizeof(attempt));
	journal_put_cdr(f, TD_JOURNAL_END, 1, 1);
	fclose(f);
	assert_int_equal(run(100), 4);
	assert_int_equal(run(100), 0);
	assert_int_equal(rows("cdr"), 1);
	assert_int_equal(rows("cdr_attempt"), 1);
	assert_int_equal(rows("cdr_open"), 0);
	assert_true(there(1)); // the newest stays
}

static void a_run_takes_no_more_than_it_may(void **state)
{
	FILE *f = segment(1);

	for (int i = 0; i < 1000; i++) // several chunks of the reader's buffer
		journal_put_cdr(f, TD_JOURNAL_END, 1, i);
	fclose(f);
	assert_int_equal(run(3), 3);
	assert_int_equal(rows("cdr"), 3);
	assert_int_equal(run(5000), 997);
	assert_int_equal(rows("cdr"), 1000);
}

static void reading_goes_on_after_a_restart_in_mid_file(void **state)
{
	FILE *f = segment(1);

	for (int i = 0; i < 10; i++)
		journal_put_cdr(f, TD_JOURNAL_END, 1, i);
	fclose(f);
	assert_int_equal(run(4), 4);
	close_all();
	open_all();
	assert_int_equal(run(100), 6);
	assert_int_equal(rows("cdr"), 10);
}

static void an_uncommitted_run_is_read_again(void **state)
{
	FILE *f = segment(1);
	sqlite3 *other;

	journal_put_cdr(f, TD_JOURNAL_END, 1, 1);
	fclose(f);
	assert_int_equal(sqlite3_open(db, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_true(run(100) < 0);
	sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(other);
	assert_int_equal(run(100), 1);
	assert_int_equal(rows("cdr"), 1);
}

static void a_torn_tail_waits_for_its_rest(void **state)
{
	char path[128];
	FILE *f = segment(1);

	journal_put_cdr(f, TD_JOURNAL_END, 1, 1);
	journal_put_cdr(f, TD_JOURNAL_END, 1, 2);
	fclose(f);
	journal_path(dir, 1, path);
	size_t record = sizeof(struct td_journal_record) + td_journal_padded(sizeof(struct td_cdr));
	size_t whole = sizeof(struct td_journal_segment) + 2 * record;
	char *bytes = malloc(whole);
	f = fopen(path, "rb");
	assert_int_equal(fread(bytes, 1, whole, f), whole);
	fclose(f);
	// Every length that a writer may have got to so far, in steps.
	for (size_t cut = 0; cut < whole; cut += 37) {
		f = fopen(path, "wb");
		fwrite(bytes, 1, cut, f);
		fclose(f);
		assert_true(run(100) >= 0);
		int expected = cut >= whole - record ? 1 : 0;
		assert_int_equal(rows("cdr"), expected);
	}
	f = fopen(path, "wb");
	fwrite(bytes, 1, whole, f);
	fclose(f);
	assert_int_equal(run(100), 1);
	assert_int_equal(rows("cdr"), 2);
	free(bytes);
}

static void a_torn_tail_with_a_successor_is_left(void **state)
{
	struct td_journal_reader_stats stats;
	FILE *f = segment(1);

	journal_put_cdr(f, TD_JOURNAL_END, 1, 1);
	fwrite("torn torn", 9, 1, f);
	fclose(f);
	assert_int_equal(run(100), 1);
	assert_int_equal(run(100), 0);
	f = segment(2);
	journal_put_boot(f, 2);
	journal_put_cdr(f, TD_JOURNAL_END, 2, 1);
	fclose(f);
	assert_int_equal(run(100), 2);
	assert_int_equal(rows("cdr"), 2);
	td_journal_reader_stats(bench.reader, &stats);
	assert_int_equal(stats.skipped_bytes, 9);
	assert_false(there(1));
	assert_true(there(2));
}

static void a_bad_crc_stops_the_segment(void **state)
{
	char path[128];
	FILE *f = segment(1);

	journal_put_cdr(f, TD_JOURNAL_END, 1, 1);
	long second = ftell(f);
	journal_put_cdr(f, TD_JOURNAL_END, 1, 2);
	journal_put_cdr(f, TD_JOURNAL_END, 1, 3);
	fclose(f);
	journal_path(dir, 1, path);
	f = fopen(path, "r+b");
	fseek(f, second + 40, SEEK_SET);
	fputc('!', f);
	fclose(f);
	assert_int_equal(run(100), 1);
	assert_int_equal(rows("cdr"), 1);
	fclose(segment(2));
	assert_int_equal(run(100), 0);
	f = segment(2);
	journal_put_cdr(f, TD_JOURNAL_END, 2, 1);
	fclose(f);
	assert_int_equal(run(100), 1);
	assert_int_equal(rows("cdr"), 2);
}

static void boots_close_what_was_open_exactly_once(void **state)
{
	struct td_journal_reader_stats stats;
	FILE *f = segment(1);

	journal_put_boot(f, 1);
	journal_put_cdr(f, TD_JOURNAL_START, 1, 1);
	journal_put_cdr(f, TD_JOURNAL_START, 1, 2);
	journal_put_cdr(f, TD_JOURNAL_END, 1, 2);
	fclose(f);
	assert_int_equal(run(100), 4);
	assert_int_equal(rows("cdr"), 1);
	f = segment(2);
	journal_put_boot(f, 2);
	journal_put_cdr(f, TD_JOURNAL_START, 2, 1);
	fclose(f);
	assert_int_equal(run(1), 1); // stops right behind the boot
	close_all();
	open_all();
	assert_int_equal(run(100), 1);
	assert_int_equal(rows("cdr WHERE complete = 0"), 1);
	assert_int_equal(rows("cdr"), 2);
	assert_int_equal(rows("cdr_open"), 1);
	f = segment(3);
	journal_put_boot(f, 3);
	fclose(f);
	assert_int_equal(run(100), 1);
	assert_int_equal(rows("cdr WHERE complete = 0"), 2);
	td_journal_reader_stats(bench.reader, &stats);
	assert_int_equal(stats.incomplete, 1); // of this reader's life
}

static void gaps_and_strangers_are_passed_over(void **state)
{
	struct td_journal_reader_stats stats;
	char path[128], endless[sizeof(struct td_cdr)];
	FILE *f = segment(7);

	memset(endless, 'x', sizeof(endless)); // texts that do not end, as no writer's do
	journal_put(f, 99, 1, "later", 5);
	journal_put(f, TD_JOURNAL_END, 1, "short", 5);
	journal_put(f, TD_JOURNAL_END, 1, endless, sizeof(struct td_cdr));
	journal_put(f, TD_JOURNAL_ATTEMPT, 1, endless, sizeof(struct td_cdr_attempt));
	journal_put_cdr(f, TD_JOURNAL_END, 1, 1);
	fclose(f);
	snprintf(path, sizeof(path), "%s/README.tdj", dir);
	fclose(fopen(path, "w"));
	assert_int_equal(run(100), 5);
	assert_int_equal(rows("cdr_attempt"), 0);
	assert_int_equal(rows("cdr"), 1);
	f = segment(12);
	journal_put_cdr(f, TD_JOURNAL_END, 1, 2);
	fclose(f);
	assert_int_equal(run(100), 1);
	td_journal_reader_stats(bench.reader, &stats);
	assert_int_equal(stats.unknown, 4);
	assert_false(there(7));
}

static void shorter_records_of_an_older_version_count(void **state)
{
	struct td_cdr cdr = { .id = "x-1-0-1", .answer_us = 2, .complete = 1 };
	FILE *f = segment(1);

	journal_put(f, TD_JOURNAL_END, 1, &cdr, TD_CDR_BYTES_MIN);
	journal_put(f, TD_JOURNAL_END, 1, &cdr, TD_CDR_BYTES_MIN - 1);
	fclose(f);
	assert_int_equal(run(100), 2);
	assert_int_equal(rows("cdr WHERE user_agent IS NULL"), 1);
}

static void interim_records_outlive_a_crash(void **state)
{
	struct td_cdr cdr = { .id = "x-1-0-1", .answer_us = 2, .duration_us = 5000 };
	FILE *f = segment(1);

	journal_put_cdr(f, TD_JOURNAL_START, 1, 1);
	journal_put(f, TD_JOURNAL_INTERIM, 1, &cdr, sizeof(cdr));
	journal_put_boot(f, 2);
	fclose(f);
	assert_int_equal(run(100), 3);
	assert_int_equal(rows("cdr WHERE complete = 0 AND duration_us = 5000"), 1);
}

// Switched off while others read on and removed: what waited is void, the rest is read.
static void a_gap_is_told_and_passed(void **state)
{
	struct td_journal_reader_stats stats;
	FILE *f = segment(3);

	journal_put_cdr(f, TD_JOURNAL_START, 1, 1);
	fclose(f);
	assert_int_equal(run(100), 1);
	assert_int_equal(rows("cdr_open"), 1);
	f = segment(9);
	journal_put_cdr(f, TD_JOURNAL_END, 2, 1);
	fclose(f);
	td_journal_remove(dir, 9);
	assert_int_equal(run(100), 1);
	assert_int_equal(rows("cdr_open"), 0);
	assert_int_equal(rows("cdr"), 1);
	assert_int_equal(run(100), 0);
	td_journal_reader_stats(bench.reader, &stats);
	assert_int_equal(stats.gaps, 1);
}

// The journal's folder was made anew: its numbers begin again below our position.
static void a_journal_that_begins_anew_is_read(void **state)
{
	FILE *f = segment(30);

	journal_put_cdr(f, TD_JOURNAL_END, 3, 1);
	fclose(f);
	assert_int_equal(run(100), 1);
	td_journal_remove(dir, 31);
	assert_int_equal(run(100), 0);
	f = segment(2);
	journal_put_cdr(f, TD_JOURNAL_END, 1, 1);
	fclose(f);
	assert_int_equal(run(100), 1);
	assert_true(there(2));
	assert_int_equal(rows("cdr"), 2);
}

// A disk or a table of files that has nothing to give for a while costs no record.
static void what_cannot_be_read_now_is_read_later(void **state)
{
	char path[128], aside[160];
	FILE *f = segment(1);

	journal_put_cdr(f, TD_JOURNAL_END, 1, 1);
	fclose(f);
	f = segment(2);
	journal_put_cdr(f, TD_JOURNAL_END, 1, 2);
	fclose(f);
	journal_path(dir, 1, path);
	snprintf(aside, sizeof(aside), "%s.aside", path);
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(mkdir(path, 0700), 0); // opens, but does not read
	assert_int_equal(run(100), -EISDIR);
	assert_non_null(
		strstr(td_journal_reader_error(bench.reader), "0000000000000001: Is a directory"));
	assert_int_equal(rows("cdr"), 0);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rename(aside, path), 0);
	assert_int_equal(run(100), 2);
	assert_string_equal(td_journal_reader_error(bench.reader), "");
	assert_int_equal(rows("cdr"), 2);
}

static void position_write(const struct td_store_position *position)
{
	char error[128], url[100];

	snprintf(url, sizeof(url), "sqlite:%s", db);
	struct td_store *other = td_store_open(url, "n", error, sizeof(error));
	assert_non_null(other);
	assert_int_equal(td_store_position_set(other, position), 0);
	td_store_close(other);
}

static void rows_delete(const char *table)
{
	char sql[64];
	sqlite3 *other;

	snprintf(sql, sizeof(sql), "DELETE FROM %s", table);
	assert_int_equal(sqlite3_open(db, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(other);
}

// A backup that is put back in place while we are connected: what was written since comes again.
static void an_older_state_is_written_on_from_there(void **state)
{
	struct td_journal_reader_stats stats;
	FILE *f = segment(1);

	journal_put_cdr(f, TD_JOURNAL_END, 1, 1);
	fflush(f);
	assert_int_equal(run(100), 1);
	struct td_store_position backup = td_journal_reader_position(bench.reader);
	for (int i = 2; i < 12; i++)
		journal_put_cdr(f, TD_JOURNAL_END, 1, i);
	fclose(f);
	assert_int_equal(run(100), 10);
	rows_delete("cdr WHERE id <> (SELECT min(id) FROM cdr)");
	position_write(&backup);
	assert_int_equal(run(3), 3);
	assert_int_equal(run(100), 7);
	assert_int_equal(rows("cdr"), 11);
	// An empty database is the oldest state of all.
	rows_delete("cdr");
	rows_delete("journal_reader");
	assert_int_equal(run(100), 11);
	assert_int_equal(rows("cdr"), 11);
	assert_int_equal(run(100), 0);
	td_journal_reader_stats(bench.reader, &stats);
	assert_int_equal(stats.rewinds, 2);
	assert_int_equal(stats.strangers, 0);
	// Where it is known to be another switch, ours stands.
	td_journal_reader_shared(bench.reader, true);
	position_write(&backup);
	assert_int_equal(run(100), 0);
	td_journal_reader_stats(bench.reader, &stats);
	assert_int_equal(stats.rewinds, 2);
	assert_int_equal(stats.strangers, 1);
}

// A second node of one name, which has its own journal: its position is not ours.
static void somebody_elses_position_is_not_taken(void **state)
{
	struct td_store_position far = { .sequence = 1, .offset = 1 << 20 };
	struct td_journal_reader_stats stats;
	FILE *f = segment(1);

	journal_put_cdr(f, TD_JOURNAL_END, 1, 1);
	fflush(f);
	assert_int_equal(run(100), 1);
	position_write(&far);
	journal_put_cdr(f, TD_JOURNAL_END, 1, 2);
	fclose(f);
	assert_int_equal(run(100), 1);
	assert_int_equal(rows("cdr"), 2);
	td_journal_reader_stats(bench.reader, &stats);
	assert_int_equal(stats.strangers, 1);
	assert_int_equal(run(100), 0);
	td_journal_reader_stats(bench.reader, &stats);
	assert_int_equal(stats.strangers, 1); // ours stands there again
}

static void a_foreign_header_is_no_segment(void **state)
{
	char path[128];

	journal_path(dir, 1, path);
	FILE *f = fopen(path, "wb");
	fputs("this is a text that somebody put here", f);
	fclose(f);
	assert_int_equal(run(100), 0);
	f = segment(2);
	journal_put_cdr(f, TD_JOURNAL_END, 1, 1);
	fclose(f);
	assert_int_equal(run(100), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(records_become_rows_once, fresh, clean),
		cmocka_unit_test_setup_teardown(a_run_takes_no_more_than_it_may, fresh, clean),
		cmocka_unit_test_setup_teardown(
			reading_goes_on_after_a_restart_in_mid_file, fresh, clean),
		cmocka_unit_test_setup_teardown(an_uncommitted_run_is_read_again, fresh, clean),
		cmocka_unit_test_setup_teardown(a_torn_tail_waits_for_its_rest, fresh, clean),
		cmocka_unit_test_setup_teardown(a_torn_tail_with_a_successor_is_left, fresh, clean),
		cmocka_unit_test_setup_teardown(a_bad_crc_stops_the_segment, fresh, clean),
		cmocka_unit_test_setup_teardown(
			boots_close_what_was_open_exactly_once, fresh, clean),
		cmocka_unit_test_setup_teardown(gaps_and_strangers_are_passed_over, fresh, clean),
		cmocka_unit_test_setup_teardown(
			shorter_records_of_an_older_version_count, fresh, clean),
		cmocka_unit_test_setup_teardown(interim_records_outlive_a_crash, fresh, clean),
		cmocka_unit_test_setup_teardown(a_gap_is_told_and_passed, fresh, clean),
		cmocka_unit_test_setup_teardown(a_journal_that_begins_anew_is_read, fresh, clean),
		cmocka_unit_test_setup_teardown(
			an_older_state_is_written_on_from_there, fresh, clean),
		cmocka_unit_test_setup_teardown(somebody_elses_position_is_not_taken, fresh, clean),
		cmocka_unit_test_setup_teardown(
			what_cannot_be_read_now_is_read_later, fresh, clean),
		cmocka_unit_test_setup_teardown(a_foreign_header_is_no_segment, fresh, clean),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
