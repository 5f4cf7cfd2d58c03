// SPDX-License-Identifier: BSD-3-Clause
// control/sink_file.h and control/rotated_file.h: lines of files at least once, whole, turned over,
// whatever happens.
#include "control/columns.h"
#include "control/journal_reader.h"
#include "control/rotated_file.h"
#include "control/sink_file.h"
#include "tests/unit/journal_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[64], ledger[100];
static struct td_cdr_file_conf conf;
static struct td_sink *sink;
static struct td_journal_reader *reader;

static int fresh(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/td_sink_%d", (int)getpid());
	snprintf(ledger, sizeof(ledger), "sqlite:%s/ledger.db", dir);
	conf = (struct td_cdr_file_conf){ .rotate_mb = 100, .keep = 2 };
	snprintf(conf.path, sizeof(conf.path), "%s/cdr.out", dir);
	reader = td_journal_reader_new(dir);
	sink = NULL;
	return mkdir(dir, 0700);
}

static int clean(void **state)
{
	char command[100];

	td_journal_reader_free(reader);
	if (sink)
		sink->ops->close(sink);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void sink_open(enum td_file_format format)
{
	char error[256] = "";

	if (sink)
		sink->ops->close(sink);
	sink = td_sink_file_open(format, &conf, ledger, error, sizeof(error));
	assert_non_null(sink);
}

static char *content(const char *name)
{
	static char text[1 << 20];
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	return text;
}

static int count(const char *text, const char *what)
{
	int n = 0;

	for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
		n++;
	return n;
}

static void journal_write(int from, int to)
{
	FILE *f = journal_segment(dir, 1);

	for (int i = from; i < to; i++) {
		journal_put_cdr(f, TD_JOURNAL_START, 1, i);
		journal_put_cdr(f, TD_JOURNAL_END, 1, i);
	}
	fclose(f);
}

static int run(void)
{
	return td_journal_reader_run(reader, sink, 1000);
}

// --- tests ---

static void json_lines_are_objects_of_the_columns(void **state)
{
	struct td_cdr cdr = { .id = "x-1-0-9",
		.from_number = "say \"hi\"",
		.start_us = 7,
		.complete = 1,
		.sip_code = 404 };
	struct td_cdr_attempt attempt = { .cdr_id = "x-1-0-9", .n = 1, .trunk = "b" };
	FILE *f = journal_segment(dir, 1);
	json_error_t error;

	journal_put(f, TD_JOURNAL_ATTEMPT, 1, &attempt, sizeof(attempt));
	journal_put(f, TD_JOURNAL_END, 1, &cdr, sizeof(cdr));
	fclose(f);
	sink_open(TD_FILE_JSONL);
	assert_int_equal(run(), 2);
	char *second = strchr(content("cdr.out"), '\n') + 1;
	json_t *object = json_loads(second, 0, &error);
	assert_non_null(object);
	assert_string_equal(json_string_value(json_object_get(object, "record")), "call");
	assert_string_equal(
		json_string_value(json_object_get(object, "from_number")), "say \"hi\"");
	assert_int_equal(json_integer_value(json_object_get(object, "start_us")), 7);
	assert_true(json_is_null(json_object_get(object, "answer_us")));
	json_decref(object);
	object = json_loadb(content("cdr.out"), (size_t)(second - content("cdr.out")), 0, &error);
	assert_string_equal(json_string_value(json_object_get(object, "record")), "attempt");
	assert_int_equal(json_integer_value(json_object_get(object, "n")), 1);
	json_decref(object);
}

static void csv_has_a_header_and_quotes_what_needs_it(void **state)
{
	struct td_cdr cdr = {
		.id = "x-1-0-9", .from_number = "a,\"b\"", .complete = 1, .codec = "PCMA"
	};
	struct td_cdr_attempt attempt = { .cdr_id = "x-1-0-9", .n = 2, .sip_code = 486 };
	FILE *f = journal_segment(dir, 1);

	journal_put(f, TD_JOURNAL_ATTEMPT, 1, &attempt, sizeof(attempt));
	journal_put(f, TD_JOURNAL_END, 1, &cdr, sizeof(cdr));
	fclose(f);
	sink_open(TD_FILE_CSV);
	assert_int_equal(run(), 2);
	const char *text = content("cdr.out");
	assert_int_equal(strncmp(text, "record,id,call_id_a,call_id_b,from_number,", 42), 0);
	assert_non_null(strstr(text, "\ncall,x-1-0-9,,,\"a,\"\"b\"\"\",,"));
	assert_int_equal(count(text, "\n"), 2);
	text = content("cdr-attempts.out");
	assert_string_equal(text,
		"record,cdr_id,n,trunk,peer,call_id,start_us,ring_us,end_us,sip_code,cause\n"
		"attempt,x-1-0-9,2,,,,,,,486,\n");
}

// Of an older version, or with columns that somebody chose for himself.
static void a_file_with_other_columns_is_turned_over(void **state)
{
	char pattern[160];
	glob_t found;
	FILE *old = fopen(conf.path, "w");

	fputs("record,id\ncall,before\n", old);
	fclose(old);
	journal_write(0, 1);
	sink_open(TD_FILE_CSV);
	assert_true(run() > 0);
	assert_null(strstr(content("cdr.out"), "before"));
	assert_non_null(strstr(content("cdr.out"), "\ncall,x-1-0-0,"));
	snprintf(pattern, sizeof(pattern), "%s.2*", conf.path);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, 1);
	assert_string_equal(
		content(strrchr(found.gl_pathv[0], '/') + 1), "record,id\ncall,before\n");
	globfree(&found);
}

static void a_restart_goes_on_where_it_was(void **state)
{
	sink_open(TD_FILE_JSONL);
	journal_write(0, 10);
	assert_int_equal(run(), 20);
	sink_open(TD_FILE_JSONL);
	journal_write(10, 15);
	assert_int_equal(run(), 10);
	assert_int_equal(count(content("cdr.out"), "\n"), 15);
	assert_int_equal(count(content("cdr.out"), "\"x-1-0-3\""), 1);
}

static void a_torn_line_is_cut_and_written_again(void **state)
{
	sink_open(TD_FILE_JSONL);
	journal_write(0, 2);
	run();
	FILE *f = fopen(conf.path, "a");
	fputs("{\"record\":\"ca", f);
	fclose(f);
	sink_open(TD_FILE_JSONL);
	journal_write(2, 3);
	assert_int_equal(run(), 2);
	assert_null(strstr(content("cdr.out"), "\"ca{"));
	assert_int_equal(count(content("cdr.out"), "\n"), 3);
}

static void a_crash_cuts_calls_into_incomplete_lines(void **state)
{
	struct td_cdr cdr = { .id = "x-1-0-1", .answer_us = 2, .duration_us = 5000 };
	FILE *f = journal_segment(dir, 1);

	journal_put_cdr(f, TD_JOURNAL_START, 1, 1);
	journal_put_cdr(f, TD_JOURNAL_START, 1, 2);
	journal_put(f, TD_JOURNAL_INTERIM, 1, &cdr, sizeof(cdr));
	fclose(f);
	sink_open(TD_FILE_JSONL);
	assert_int_equal(run(), 3);
	assert_int_equal(count(content("cdr.out"), "\"record\":\"interim\""), 1);
	f = journal_segment(dir, 2);
	journal_put_boot(f, 2);
	fclose(f);
	assert_int_equal(run(), 1);
	assert_int_equal(count(content("cdr.out"), "\"record\":\"incomplete\""), 2);
	assert_int_equal(count(content("cdr.out"), "\"duration_us\":5000"),
		2); // interim, and what is left of it
	sink_open(TD_FILE_JSONL);
	f = journal_segment(dir, 3);
	journal_put_boot(f, 3);
	fclose(f);
	assert_int_equal(run(), 1);
	assert_int_equal(count(content("cdr.out"), "incomplete"), 2);
}

static void a_full_disk_leaves_whole_lines(void **state)
{
	struct rlimit before, small;

	signal(SIGXFSZ, SIG_IGN);
	sink_open(TD_FILE_JSONL);
	journal_write(0, 5);
	assert_int_equal(run(), 10);
	journal_write(5, 400);
	getrlimit(RLIMIT_FSIZE, &before);
	small = before;
	small.rlim_cur = 40000;
	setrlimit(RLIMIT_FSIZE, &small);
	assert_true(run() < 0);
	assert_non_null(strstr(sink->ops->error(sink), "cdr.out"));
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(count(content("cdr.out"), "\n"), 5);
	sink_open(TD_FILE_JSONL);
	assert_int_equal(run(), 790);
	assert_int_equal(count(content("cdr.out"), "\n"), 400);
	assert_int_equal(count(content("cdr.out"), "\"x-1-0-399\""), 1);
}

#if defined(__SANITIZE_ADDRESS__)
#define OWN_REALLOC 0 // the sanitizer has its own
#elif defined(__has_feature)
#define OWN_REALLOC (!__has_feature(address_sanitizer) && !__has_feature(memory_sanitizer))
#else
#define OWN_REALLOC 1
#endif

#if OWN_REALLOC
extern void *__libc_realloc(void *ptr, size_t size);
void *realloc(void *ptr, size_t size);
static bool fail_once;

// The whole process's: stdio's too.
void *realloc(void *ptr, size_t size)
{
	if (!fail_once)
		return __libc_realloc(ptr, size);
	fail_once = false;
	return NULL;
}

static void no_memory_at_the_end_of_the_lines_loses_none(void **state)
{
	const struct td_store_position at = { 1, 100 };
	struct td_cdr cdr = { .id = "x-1-0-1", .complete = 1 };

	for (int format = TD_FILE_CSV; format <= TD_FILE_JSONL; format++) {
		fresh(state);
		sink_open((enum td_file_format)format);
		struct td_store_position position = { 0 };
		assert_int_equal(sink->ops->position_get(sink, &position), -ENOENT); // it opens
		assert_int_equal(sink->ops->begin(sink), 0);
		assert_int_equal(sink->ops->end(sink, &cdr), 0);
		fail_once = true;
		assert_int_equal(sink->ops->commit(sink, &at), -ENOMEM);
		assert_false(fail_once);
		assert_non_null(strstr(sink->ops->error(sink), "memory"));
		sink->ops->rollback(sink);
		assert_int_equal(sink->ops->begin(sink), 0);
		assert_int_equal(sink->ops->end(sink, &cdr), 0);
		assert_int_equal(sink->ops->commit(sink, &at), 0);
		assert_int_equal(count(content("cdr.out"), "x-1-0-1"), 1);
		clean(state);
	}
}
#endif

static int json_left; // allocations that Jansson gets still

static void *json_alloc(size_t size)
{
	return json_left-- > 0 ? malloc(size) : NULL;
}

static void an_object_is_whole_or_an_error(void **state)
{
	struct td_cdr cdr = { .id = "x-1-0-1", .complete = 1, .from_number = "49301" };
	struct td_store_position position = { 0 };
	int tries = 0, rc = -1;

	sink_open(TD_FILE_JSONL);
	assert_int_equal(sink->ops->position_get(sink, &position), -ENOENT); // it opens the file
	json_set_alloc_funcs(json_alloc, free);
	for (; rc != 0 && tries < 1000; tries++) {
		json_left = tries;
		assert_int_equal(sink->ops->begin(sink), 0);
		rc = sink->ops->end(sink, &cdr);
		assert_true(rc == 0 || rc == -ENOMEM);
		if (rc != 0)
			sink->ops->rollback(sink);
	}
	json_set_alloc_funcs(malloc, free);
	assert_true(rc == 0 && tries > 10);
	assert_int_equal(sink->ops->commit(sink, &(struct td_store_position){ 1, 100 }), 0);
	json_t *object = json_loads(content("cdr.out"), 0, NULL);
	assert_string_equal(json_string_value(json_object_get(object, "from_number")), "49301");
	assert_int_equal(json_object_size(object), 1 + td_cdr_columns.n);
	json_decref(object);
}

static size_t old_ones(void)
{
	char pattern[128];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s.*Z*", conf.path);
	size_t n = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
	if (n > 0)
		globfree(&found);
	return n;
}

static void files_are_turned_over_and_few_are_kept(void **state)
{
	const struct td_rotated_conf by_size = {
		.path = conf.path, .header = "head\n", .rotate_bytes = 20, .keep = 2
	};
	struct td_rotated_file file;

	td_rotated_init(&file, &by_size);
	for (uint64_t s = 1000; s < 1005; s++) {
		assert_int_equal(td_rotated_ready(&file, s), 0);
		assert_int_equal(td_rotated_append(&file, "0123456789abcde\n", 16, s), 0);
	}
	assert_int_equal(td_rotated_ready(&file, 1005), 0);
	assert_int_equal(old_ones(), 2);
	assert_string_equal(content("cdr.out"), "head\n"); // turned over; the next has not begun
	td_rotated_close(&file);
}

static void the_clock_turns_files_over(void **state)
{
	const struct td_rotated_conf hourly = {
		.path = conf.path, .rotate_bytes = 1 << 20, .rotate_s = 3600, .keep = 9
	};
	struct td_rotated_file file;

	td_rotated_init(&file, &hourly);
	assert_int_equal(td_rotated_ready(&file, 7000), 0);
	td_rotated_append(&file, "a\n", 2, 7000);
	assert_int_equal(td_rotated_ready(&file, 7199), 0);
	assert_int_equal(old_ones(), 0);
	assert_int_equal(td_rotated_ready(&file, 7200), 0);
	assert_int_equal(old_ones(), 1);
	assert_int_equal(td_rotated_ready(&file, 20000), 0); // an empty one stays
	assert_int_equal(old_ones(), 1);
	// Somebody took it away.
	td_rotated_append(&file, "b\n", 2, 20000);
	unlink(conf.path);
	assert_int_equal(td_rotated_ready(&file, 20001), 0);
	td_rotated_append(&file, "c\n", 2, 20001);
	assert_string_equal(content("cdr.out"), "c\n");
	td_rotated_close(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			json_lines_are_objects_of_the_columns, fresh, clean),
		cmocka_unit_test_setup_teardown(
			csv_has_a_header_and_quotes_what_needs_it, fresh, clean),
		cmocka_unit_test_setup_teardown(
			a_file_with_other_columns_is_turned_over, fresh, clean),
		cmocka_unit_test_setup_teardown(a_restart_goes_on_where_it_was, fresh, clean),
		cmocka_unit_test_setup_teardown(a_torn_line_is_cut_and_written_again, fresh, clean),
		cmocka_unit_test_setup_teardown(
			a_crash_cuts_calls_into_incomplete_lines, fresh, clean),
		cmocka_unit_test_setup_teardown(a_full_disk_leaves_whole_lines, fresh, clean),
#if OWN_REALLOC
		cmocka_unit_test(no_memory_at_the_end_of_the_lines_loses_none),
#endif
		cmocka_unit_test_setup_teardown(an_object_is_whole_or_an_error, fresh, clean),
		cmocka_unit_test_setup_teardown(
			files_are_turned_over_and_few_are_kept, fresh, clean),
		cmocka_unit_test_setup_teardown(the_clock_turns_files_over, fresh, clean),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
