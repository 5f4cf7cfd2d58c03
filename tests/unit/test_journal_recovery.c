// SPDX-License-Identifier: BSD-3-Clause
// A data plane is killed with records on its rings; the next boot finds each of them, once, with
// its epoch.
#include "dataplane/journal_thread.h"
#include "dataplane/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RING_BYTES (1u << 20)

static char base[64], run_dir[80], state_dir[80];

struct found {
	uint32_t boots, records, epoch_of_boot[8];
	uint32_t next[2]; // number expected of each worker
};

static int make_dirs(void **state)
{
	snprintf(base, sizeof(base), "/tmp/td-journal-XXXXXX");
	if (!mkdtemp(base))
		return -1;
	snprintf(run_dir, sizeof(run_dir), "%s/run", base);
	snprintf(state_dir, sizeof(state_dir), "%s/state", base);
	return mkdir(run_dir, 0700);
}

static int remove_dirs(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", base);
	return system(command);
}

static void record_count(
	struct found *found, const struct td_journal_record *record, const char *payload)
{
	uint32_t number;

	if (record->type == TD_JOURNAL_BOOT) {
		found->epoch_of_boot[found->boots++] = record->epoch;
		return;
	}
	memcpy(&number, payload, sizeof(number));
	assert_in_range(record->worker, 0, 1);
	assert_int_equal(number, found->next[record->worker]++);
	assert_int_equal(record->epoch, 1);
	found->records++;
}

static void segment_read(struct found *found, const char *path)
{
	static char data[TD_JOURNAL_SEGMENT_BYTES];
	int fd = open(path, O_RDONLY);
	ssize_t len = read(fd, data, sizeof(data));

	close(fd);
	assert_true(len >= (ssize_t)sizeof(struct td_journal_segment));
	for (size_t at = sizeof(struct td_journal_segment); at < (size_t)len;) {
		struct td_journal_record record;
		int64_t bytes = td_journal_check(data + at, (size_t)len - at);
		assert_true(bytes > 0);
		memcpy(&record, data + at, sizeof(record));
		record_count(found, &record, data + at + sizeof(record));
		at += (size_t)bytes;
	}
}

static struct found segments_read(void)
{
	struct found found = { 0 };
	char pattern[128];
	glob_t files;

	snprintf(pattern, sizeof(pattern), "%s/journal/*.tdj", state_dir);
	if (glob(pattern, 0, NULL, &files) != 0)
		return found;
	for (size_t i = 0; i < files.gl_pathc; i++)
		segment_read(&found, files.gl_pathv[i]);
	globfree(&files);
	return found;
}

// Appends for ever on two rings while its journal thread runs; counts[] (shared) says what was
// appended.
static void victim(_Atomic uint32_t *counts, bool with_thread)
{
	struct td_journal journal;
	const char *what;
	struct td_cdr cdr = { 0 };

	if (td_journal_open(&journal, run_dir, state_dir, 2, RING_BYTES, 1, &what) < 0)
		_exit(1);
	if (with_thread)
		td_journal_start(&journal);
	for (uint32_t n[2] = { 0, 0 };;) {
		for (int w = 0; w < 2; w++) {
			memcpy(&cdr, &n[w], sizeof(n[w]));
			if (td_journal_append(&journal.rings[w], TD_JOURNAL_END, &cdr,
				    sizeof(cdr) - (n[w] % 9) * 8) == 0)
				atomic_store(&counts[w], ++n[w]);
		}
		usleep(20);
	}
}

static void kill_and_recover(bool with_thread, unsigned after_us)
{
	_Atomic uint32_t *counts =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct td_journal journal;
	const char *what;
	int status;

	pid_t pid = fork();
	if (pid == 0)
		victim(counts, with_thread);
	while (atomic_load(&counts[1]) < 10)
		usleep(100);
	usleep(after_us);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status));
	uint32_t appended[2] = { atomic_load(&counts[0]), atomic_load(&counts[1]) };

	assert_int_equal(td_journal_open(&journal, run_dir, state_dir, 2, RING_BYTES, 2, &what), 0);
	assert_int_equal(journal.epoch, 2);
	struct found found = segments_read();
	td_journal_close(&journal);
	assert_int_equal(found.boots, 2);
	assert_int_equal(found.epoch_of_boot[0], 1);
	assert_int_equal(found.epoch_of_boot[1], 2);
	// One record of each may have been appended and not yet counted when the kill came.
	for (int w = 0; w < 2; w++)
		assert_in_range(found.next[w], appended[w], appended[w] + 1);
	munmap((void *)counts, 4096);
}

static void test_killed_before_anything_was_moved(void **state)
{
	kill_and_recover(false, 10000);
}

static void test_killed_while_the_thread_moves(void **state)
{
	kill_and_recover(true, 130000);
}

// Its name is no pattern, whatever stands in it.
static void test_killed_in_a_folder_of_any_name(void **state)
{
	snprintf(run_dir, sizeof(run_dir), "%s/run[1]*", base);
	assert_int_equal(mkdir(run_dir, 0700), 0);
	kill_and_recover(false, 1000);
}

static void test_a_clean_end_leaves_no_ring(void **state)
{
	struct td_journal journal;
	struct td_cdr cdr = { 0 };
	const char *what;
	glob_t files;
	char pattern[128];

	assert_int_equal(td_journal_open(&journal, run_dir, state_dir, 2, RING_BYTES, 1, &what), 0);
	assert_int_equal(td_journal_start(&journal), 0);
	assert_int_equal(
		td_journal_append(&journal.rings[1], TD_JOURNAL_END, &cdr, sizeof(cdr)), 0);
	td_journal_close(&journal);
	snprintf(pattern, sizeof(pattern), "%s/*.ring", run_dir);
	assert_int_equal(glob(pattern, 0, NULL, &files), GLOB_NOMATCH);
	assert_int_equal(segments_read().records, 1);
}

static void test_a_spent_quota_keeps_records_in_the_ring(void **state)
{
	struct td_journal journal;
	struct td_cdr cdr = { 0 };
	const char *what;

	assert_int_equal(td_journal_open(&journal, run_dir, state_dir, 1, RING_BYTES, 1, &what), 0);
	journal.store.quota = TD_JOURNAL_SEGMENT_BYTES;
	journal.store.segment_bytes =
		TD_JOURNAL_SEGMENT_BYTES; // so that the next append must begin a segment
	assert_int_equal(
		td_journal_append(&journal.rings[0], TD_JOURNAL_END, &cdr, sizeof(cdr)), 0);
	assert_int_equal(td_journal_round(&journal), -EDQUOT);
	journal.store.quota = TD_JOURNAL_QUOTA_BYTES;
	assert_int_equal(td_journal_round(&journal), 0);
	td_journal_close(&journal);
	assert_int_equal(segments_read().records, 1);
}

// What a sync could not bring to the disk is written again, elsewhere: a second sync of the same
// file may well succeed, and says nothing of it.
static void test_what_was_not_synced_is_written_again(void **state)
{
	struct td_journal journal;
	struct td_cdr cdr = { 0 };
	const char *what;
	char path[400];

	assert_int_equal(td_journal_open(&journal, run_dir, state_dir, 1, RING_BYTES, 1, &what), 0);
	int full = open("/dev/null", O_WRONLY); // takes everything, and cannot be synced
	assert_true(dup2(full, journal.store.fd) >= 0);
	close(full);
	assert_int_equal(
		td_journal_append(&journal.rings[0], TD_JOURNAL_END, &cdr, sizeof(cdr)), 0);
	uint64_t first = journal.store.sequence, synced = journal.rings[0].synced;
	assert_int_equal(td_journal_round(&journal), -EINVAL);
	assert_int_equal(journal.rings[0].synced, synced);
	assert_int_equal(journal.rings[0].error, -EINVAL);
	assert_int_equal(td_journal_round(&journal), 0);
	assert_int_equal(journal.rings[0].synced, journal.rings[0].head);
	assert_int_equal(journal.rings[0].error, 0);
	snprintf(path, sizeof(path), "%s/journal/%016" PRIx64 ".tdj", state_dir, first + 1);
	assert_int_equal(access(path, F_OK), 0);
	td_journal_close(&journal);
	assert_int_equal(segments_read().records, 1);
}

static void test_a_half_made_ring_is_no_reason_to_stop(void **state)
{
	struct td_journal journal;
	const char *what;
	char path[128];

	snprintf(path, sizeof(path), "%s/journal.0.ring", run_dir);
	int fd = open(path, O_CREAT | O_RDWR, 0600);
	assert_int_equal(ftruncate(fd, 65536 + 4096), 0);
	close(fd);
	assert_int_equal(td_journal_open(&journal, run_dir, state_dir, 1, RING_BYTES, 1, &what), 0);
	td_journal_close(&journal);
}

static void test_an_unwritable_state_dir_is_an_error(void **state)
{
	struct td_journal journal;
	const char *what;
	char path[128];

	snprintf(path, sizeof(path), "%s/file", base);
	close(open(path, O_CREAT | O_RDWR, 0600));
	snprintf(path, sizeof(path), "%s/file/state", base);
	assert_int_equal(
		td_journal_open(&journal, run_dir, path, 1, RING_BYTES, 1, &what), -ENOTDIR);
	assert_string_equal(what, "state_dir");
}

static uint32_t epoch_at(uint64_t wall_s)
{
	uint32_t epoch = 0;

	assert_int_equal(td_state_epoch_next(base, wall_s, &epoch), 0);
	return epoch;
}

static void test_epochs_grow_over_clock_steps_and_a_wiped_folder(void **state)
{
	const uint64_t day = 86400, now = 1800000000;
	char path[128];

	uint32_t first = epoch_at(now);
	assert_int_equal(epoch_at(now), first + 1);       // twice within a second
	assert_int_equal(epoch_at(now - day), first + 2); // the clock was set back
	uint32_t later = epoch_at(now + day);
	assert_int_equal(later, first + day);
	snprintf(path, sizeof(path), "%s/epoch", base);
	assert_int_equal(unlink(path), 0);
	assert_true(epoch_at(now + day + 1) > later); // wiped: no number comes again
	// A clock that was never set, or is set to what cannot be, moves nothing.
	uint32_t at = epoch_at(now + day + 2);
	assert_int_equal(epoch_at(0), at + 1);
	assert_int_equal(epoch_at(UINT64_MAX / 2), at + 2);
	// Nor does a number that no boot wrote: the next ones would begin again at 0.
	static const char *const none[] = { "4294967295\n", "6666666666\n", "-1\n", "2147483647\n",
		"", "x" };
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		assert_int_equal(td_state_file_write(path, none[i], strlen(none[i])), 0);
		assert_int_equal(epoch_at(now), first);
		assert_int_equal(epoch_at(now), first + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_epochs_grow_over_clock_steps_and_a_wiped_folder, make_dirs,
			remove_dirs),
		cmocka_unit_test_setup_teardown(
			test_killed_before_anything_was_moved, make_dirs, remove_dirs),
		cmocka_unit_test_setup_teardown(
			test_killed_while_the_thread_moves, make_dirs, remove_dirs),
		cmocka_unit_test_setup_teardown(
			test_killed_in_a_folder_of_any_name, make_dirs, remove_dirs),
		cmocka_unit_test_setup_teardown(
			test_a_clean_end_leaves_no_ring, make_dirs, remove_dirs),
		cmocka_unit_test_setup_teardown(
			test_a_spent_quota_keeps_records_in_the_ring, make_dirs, remove_dirs),
		cmocka_unit_test_setup_teardown(
			test_what_was_not_synced_is_written_again, make_dirs, remove_dirs),
		cmocka_unit_test_setup_teardown(
			test_a_half_made_ring_is_no_reason_to_stop, make_dirs, remove_dirs),
		cmocka_unit_test_setup_teardown(
			test_an_unwritable_state_dir_is_an_error, make_dirs, remove_dirs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
