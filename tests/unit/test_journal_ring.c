// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/journal_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define CAPACITY 65536

static char path[64];
static struct td_journal_ring ring;

static int make_ring(void **state)
{
	snprintf(path, sizeof(path), "/tmp/td-ring-%d", getpid());
	return td_journal_ring_create(&ring, path, CAPACITY, 3, 7);
}

static int remove_ring(void **state)
{
	td_journal_ring_close(&ring);
	unlink(path);
	return 0;
}

static void append_numbered(uint32_t n, uint32_t length)
{
	char payload[TD_JOURNAL_PAYLOAD_MAX] = { 0 };

	memcpy(payload, &n, sizeof(n));
	assert_int_equal(td_journal_append(&ring, TD_JOURNAL_ATTEMPT, payload, length), 0);
}

// Takes all records and checks that they are number *next and those that follow.
static void drain_numbered(struct td_journal_ring *r, uint32_t *next)
{
	const void *records;
	size_t n;

	while ((n = td_journal_peek(r, &records, CAPACITY)) > 0) {
		for (size_t at = 0; at < n;) {
			struct td_journal_record record;
			uint32_t number;
			memcpy(&record, (const char *)records + at, sizeof(record));
			memcpy(&number, (const char *)records + at + sizeof(record),
				sizeof(number));
			assert_int_equal(number, (*next)++);
			assert_int_equal(record.worker, 3);
			assert_int_equal(record.epoch, 7);
			at += sizeof(record) + td_journal_padded(record.length);
		}
		td_journal_consume(r, n);
	}
	td_journal_tell(r, true, 0);
}

static void test_records_come_out_in_order_around_the_end(void **state)
{
	uint32_t next = 0;

	for (uint32_t i = 0; i < 5000; i++) {
		append_numbered(i, 4 + i % 700);
		if (i % 7 == 0)
			drain_numbered(&ring, &next);
	}
	drain_numbered(&ring, &next);
	assert_int_equal(next, 5000);
}

static void test_full_ring_refuses_and_keeps_what_it_has(void **state)
{
	char payload[600] = { 0 };
	uint32_t n = 0, next = 0;
	const void *records;

	while (true) {
		memcpy(payload, &n, sizeof(n));
		if (td_journal_append(&ring, TD_JOURNAL_END, payload, sizeof(payload)) < 0)
			break;
		n++;
	}
	assert_in_range(n, CAPACITY / 616 - 1, CAPACITY / 616);
	assert_int_equal(
		td_journal_append(&ring, TD_JOURNAL_END, payload, sizeof(payload)), -ENOSPC);
	size_t got = td_journal_peek(&ring, &records, CAPACITY);
	td_journal_consume(&ring, got);
	td_journal_tell(&ring, false, -EIO); // it may have to be read again: its room is kept
	assert_int_equal(
		td_journal_append(&ring, TD_JOURNAL_END, payload, sizeof(payload)), -ENOSPC);
	drain_numbered(&ring, &next);
	assert_int_equal(next, n);
	append_numbered(n, 100);
	drain_numbered(&ring, &next);
	assert_int_equal(next, n + 1);
}

// After reserve() returned 0 for a call, all that it may write fits, whatever the others write.
static void test_reservations_hold(void **state)
{
	struct td_cdr cdr = { 0 };
	struct td_cdr_attempt attempt = { 0 };
	uint32_t calls = 0;

	while (td_journal_reserve(&ring) == 0)
		calls++;
	assert_true(calls >= 5);
	for (uint32_t i = 0; i < calls; i++) {
		for (int n = 0; n < TD_ATTEMPTS_MAX; n++)
			assert_int_equal(td_journal_append(&ring, TD_JOURNAL_ATTEMPT, &attempt,
						 sizeof(attempt)),
				0);
		assert_int_equal(td_journal_append(&ring, TD_JOURNAL_START, &cdr, sizeof(cdr)), 0);
		assert_int_equal(td_journal_append(&ring, TD_JOURNAL_END, &cdr, sizeof(cdr)), 0);
		td_journal_release(&ring, true);
	}
	assert_int_equal(ring.early, 0);
	assert_int_equal(ring.answered, 0);
}

static void test_what_may_be_left_out_takes_no_reserved_room(void **state)
{
	struct td_cdr cdr = { 0 };
	uint32_t calls = 0, spare = 0;

	for (; calls < 3; calls++)
		assert_int_equal(td_journal_reserve(&ring), 0);
	while (td_journal_append_spare(&ring, TD_JOURNAL_INTERIM, &cdr, sizeof(cdr)) == 0)
		spare++;
	assert_true(spare > 1);
	assert_int_equal(td_journal_reserve(&ring), -ENOSPC);
	for (uint32_t i = 0; i < calls; i++) {
		for (int n = 0; n < TD_ATTEMPTS_MAX; n++)
			assert_int_equal(td_journal_append(&ring, TD_JOURNAL_ATTEMPT,
						 &(struct td_cdr_attempt){ 0 },
						 sizeof(struct td_cdr_attempt)),
				0);
		assert_int_equal(td_journal_append(&ring, TD_JOURNAL_START, &cdr, sizeof(cdr)), 0);
		assert_int_equal(td_journal_append(&ring, TD_JOURNAL_END, &cdr, sizeof(cdr)), 0);
		td_journal_release(&ring, true);
	}
}

static void test_answered_calls_hold_less(void **state)
{
	struct td_cdr cdr = { 0 };
	uint32_t early = 0;

	while (td_journal_reserve(&ring) == 0)
		early++;
	for (uint32_t i = 0; i < early; i++)
		assert_int_equal(td_journal_append(&ring, TD_JOURNAL_START, &cdr, sizeof(cdr)), 0);
	const void *records;
	size_t n;
	while ((n = td_journal_peek(&ring, &records, CAPACITY)) > 0)
		td_journal_consume(&ring, n);
	td_journal_tell(&ring, true, 0);
	assert_int_equal(td_journal_reserve(&ring), 0);
	td_journal_release(&ring, false);
	for (uint32_t i = 0; i < early; i++)
		td_journal_release(&ring, true);
	assert_int_equal(ring.answered, 0);
}

static void test_another_process_finds_what_was_appended(void **state)
{
	struct td_journal_ring other;
	uint32_t next = 0;

	for (uint32_t i = 0; i < 10; i++)
		append_numbered(i, 64);
	assert_int_equal(td_journal_ring_open(&other, path), 0);
	drain_numbered(&other, &next);
	assert_int_equal(next, 10);
	td_journal_ring_close(&other);
}

static void test_a_damaged_record_ends_the_reading(void **state)
{
	const void *records;

	for (uint32_t i = 0; i < 3; i++)
		append_numbered(i, 64);
	ring.data[80 + 16 + 5] ^= 1; // in the second record
	assert_int_equal(td_journal_peek(&ring, &records, CAPACITY), 80);
	td_journal_consume(&ring, 80);
	assert_int_equal(td_journal_peek(&ring, &records, CAPACITY), 0);
}

static void test_no_ring_is_not_opened(void **state)
{
	struct td_journal_ring other;
	char name[80];

	ring.shared->capacity = 4096;
	assert_int_equal(td_journal_ring_open(&other, path), -EBADMSG);
	ring.shared->capacity = CAPACITY;
	ring.shared->head = CAPACITY + 8;
	assert_int_equal(td_journal_ring_open(&other, path), -EBADMSG);
	snprintf(name, sizeof(name), "%s.short", path);
	int fd = open(name, O_CREAT | O_RDWR, 0600);
	assert_int_equal(write(fd, "TDJR", 4), 4);
	close(fd);
	assert_int_equal(td_journal_ring_open(&other, name), -EBADMSG);
	unlink(name);
	assert_int_equal(td_journal_ring_open(&other, name), -ENOENT);
	assert_int_equal(td_journal_ring_create(&other, name, 100000, 0, 1), -EINVAL);
}

static void test_sizes_follow_the_limits(void **state)
{
	uint64_t small = td_journal_ring_bytes(100, 10, 0),
		 large = td_journal_ring_bytes(20000, 5000, 0);

	assert_true(small >= 100 * TD_JOURNAL_EARLY_BYTES);
	assert_true(large >= 20000 * TD_JOURNAL_ANSWERED_BYTES);
	assert_int_equal(large & (large - 1), 0);
	assert_true(td_journal_ring_bytes(100, 10, 1000) > small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_records_come_out_in_order_around_the_end, make_ring, remove_ring),
		cmocka_unit_test_setup_teardown(
			test_full_ring_refuses_and_keeps_what_it_has, make_ring, remove_ring),
		cmocka_unit_test_setup_teardown(test_reservations_hold, make_ring, remove_ring),
		cmocka_unit_test_setup_teardown(
			test_what_may_be_left_out_takes_no_reserved_room, make_ring, remove_ring),
		cmocka_unit_test_setup_teardown(
			test_answered_calls_hold_less, make_ring, remove_ring),
		cmocka_unit_test_setup_teardown(
			test_another_process_finds_what_was_appended, make_ring, remove_ring),
		cmocka_unit_test_setup_teardown(
			test_a_damaged_record_ends_the_reading, make_ring, remove_ring),
		cmocka_unit_test_setup_teardown(test_no_ring_is_not_opened, make_ring, remove_ring),
		cmocka_unit_test(test_sizes_follow_the_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
