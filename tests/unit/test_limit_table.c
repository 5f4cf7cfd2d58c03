// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/limit_table.h"

#include "include/ceilings.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static struct td_limit_table *table;

static int make(void **state)
{
	table = td_limit_table_new();
	return table ? 0 : -1;
}

static int unmake(void **state)
{
	td_limit_table_free(table);
	return 0;
}

static int acquire(enum td_limit_kind kind, uint32_t slot, uint32_t max_calls, uint32_t max_cps,
	uint64_t now_ns)
{
	return td_limit_acquire(
		table, kind, slot, &(struct td_limit){ max_calls, max_cps, 0 }, now_ns);
}

static void test_a_name_keeps_its_slot(void **state)
{
	uint32_t a = td_limit_slot(table, TD_LIMIT_TRUNK, "a"),
		 b = td_limit_slot(table, TD_LIMIT_TRUNK, "b");

	assert_int_not_equal(a, b);
	assert_int_equal(td_limit_slot(table, TD_LIMIT_TRUNK, "a"), a);
	assert_null(td_limit_count_of(table, TD_LIMIT_TRUNK, TD_LIMIT_SLOT_NONE));
}

static void test_max_calls_and_one_more(void **state)
{
	uint32_t slot = td_limit_slot(table, TD_LIMIT_TRUNK, "a");

	for (int i = 0; i < 5; i++)
		assert_int_equal(acquire(TD_LIMIT_TRUNK, slot, 5, 0, 1), 0);
	assert_int_equal(acquire(TD_LIMIT_TRUNK, slot, 5, 0, 1), -EDQUOT);
	td_limit_release(table, TD_LIMIT_TRUNK, slot);
	assert_int_equal(acquire(TD_LIMIT_TRUNK, slot, 5, 0, 1), 0);
	assert_int_equal(acquire(TD_LIMIT_TRUNK, slot, 0, 0, 1), 0); // no limit
	assert_int_equal(acquire(TD_LIMIT_TRUNK, TD_LIMIT_SLOT_NONE, 0, 0, 1), -EDQUOT);
}

static void test_max_cps_and_one_more(void **state)
{
	uint32_t slot = td_limit_slot(table, TD_LIMIT_TRUNK, "a");
	uint64_t now = 5000000000;

	for (int i = 0; i < 10; i++)
		assert_int_equal(acquire(TD_LIMIT_TRUNK, slot, 0, 10, now), 0);
	assert_int_equal(acquire(TD_LIMIT_TRUNK, slot, 0, 10, now), -EAGAIN);
	assert_int_equal(td_limit_count_of(table, TD_LIMIT_TRUNK, slot)->c.calls,
		10); // a refused one holds nothing
	assert_int_equal(acquire(TD_LIMIT_TRUNK, slot, 0, 10, now + 100000000), 0);
	assert_int_equal(acquire(TD_LIMIT_TRUNK, slot, 0, 10, now + 100000000), -EAGAIN);
	assert_int_equal(acquire(TD_LIMIT_TRUNK, slot, 0, 20, now + 200000000),
		0); // a new limit counts at once
}

static void test_the_whole_switch_has_limits_of_its_own(void **state)
{
	uint32_t slot = td_limit_slot(table, TD_LIMIT_TRUNK, "a");

	assert_int_equal(acquire(TD_LIMIT_TRUNK, slot, 1, 0, 1), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(acquire(TD_LIMIT_WHOLE, 0, 3, 0, 1), 0);
	assert_int_equal(acquire(TD_LIMIT_WHOLE, 0, 3, 0, 1), -EDQUOT);
	assert_int_equal(acquire(TD_LIMIT_WHOLE, 0, 4, 1, 5000000000), 0);
	assert_int_equal(acquire(TD_LIMIT_WHOLE, 0, 5, 1, 5000000000), -EAGAIN);
	td_limit_release(table, TD_LIMIT_WHOLE, 0);
	assert_int_equal(acquire(TD_LIMIT_WHOLE, 0, 4, 0, 1), 0);
	assert_int_equal(acquire(TD_LIMIT_TRUNK, slot, 1, 0, 1), -EDQUOT);
}

static void test_what_came_to_nothing_took_no_rate(void **state)
{
	uint32_t slot = td_limit_slot(table, TD_LIMIT_GROUP, "a");
	struct td_limit limit = { .max_cps = 10, .cps_burst = 1 };
	uint64_t now = 5000000000;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(td_limit_acquire(table, TD_LIMIT_GROUP, slot, &limit, now), 0);
		td_limit_cancel(table, TD_LIMIT_GROUP, slot);
	}
	assert_int_equal(td_limit_count_of(table, TD_LIMIT_GROUP, slot)->c.calls, 0);
	assert_int_equal(td_limit_acquire(table, TD_LIMIT_GROUP, slot, &limit, now), 0);
	assert_int_equal(td_limit_acquire(table, TD_LIMIT_GROUP, slot, &limit, now), -EAGAIN);
	td_limit_release(table, TD_LIMIT_GROUP, slot);
}

// A burst of three, then one every 100 ms; a burst may also be longer than a second's worth.
static void test_a_burst_and_one_more(void **state)
{
	uint32_t slot = td_limit_slot(table, TD_LIMIT_GROUP, "a");
	struct td_limit limit = { .max_cps = 10, .cps_burst = 3 };
	uint64_t now = 5000000000;

	for (int i = 0; i < 3; i++)
		assert_int_equal(td_limit_acquire(table, TD_LIMIT_GROUP, slot, &limit, now), 0);
	assert_int_equal(td_limit_acquire(table, TD_LIMIT_GROUP, slot, &limit, now), -EAGAIN);
	assert_int_equal(td_limit_acquire(table, TD_LIMIT_GROUP, slot, &limit, now + 100000000), 0);
	assert_int_equal(
		td_limit_acquire(table, TD_LIMIT_GROUP, slot, &limit, now + 100000000), -EAGAIN);
	now += 10000000000;
	for (int i = 0; i < 3; i++) // a rest fills no more than the bucket
		assert_int_equal(td_limit_acquire(table, TD_LIMIT_GROUP, slot, &limit, now), 0);
	assert_int_equal(td_limit_acquire(table, TD_LIMIT_GROUP, slot, &limit, now), -EAGAIN);
	limit.cps_burst = 25;
	for (int i = 3; i < 25; i++)
		assert_int_equal(td_limit_acquire(table, TD_LIMIT_GROUP, slot, &limit, now), 0);
	assert_int_equal(td_limit_acquire(table, TD_LIMIT_GROUP, slot, &limit, now), -EAGAIN);
	assert_int_equal(td_limit_count_of(table, TD_LIMIT_GROUP, slot)->refused, 4);
}

static void test_kinds_have_names_and_counts_of_their_own(void **state)
{
	uint32_t group = td_limit_slot(table, TD_LIMIT_GROUP, "a"),
		 route = td_limit_slot(table, TD_LIMIT_ROUTE, "a");
	uint32_t trunk = td_limit_slot(table, TD_LIMIT_TRUNK, "a");

	assert_int_equal(acquire(TD_LIMIT_GROUP, group, 1, 0, 1), 0);
	assert_int_equal(acquire(TD_LIMIT_ROUTE, route, 1, 0, 1), 0);
	assert_int_equal(acquire(TD_LIMIT_TRUNK, trunk, 1, 0, 1), 0);
	assert_int_equal(acquire(TD_LIMIT_GROUP, group, 1, 0, 1), -EDQUOT);
	td_limit_release(table, TD_LIMIT_ROUTE, route);
	assert_int_equal(acquire(TD_LIMIT_GROUP, group, 1, 0, 1), -EDQUOT);
	assert_int_equal(acquire(TD_LIMIT_ROUTE, route, 1, 0, 1), 0);
	assert_int_equal(td_limit_count_of(table, TD_LIMIT_GROUP, group)->refused, 2);
	assert_int_equal(td_limit_count_of(table, TD_LIMIT_ROUTE, route)->refused, 0);
	assert_null(td_limit_count_of(table, TD_LIMIT_WHOLE, 1));
}

struct wish {
	const char *name;
};

static bool wanted(void *ctx, const char *name)
{
	return strcmp(name, ((struct wish *)ctx)->name) == 0;
}

static void test_sweep_spares_calls_and_the_wanted(void **state)
{
	char name[16];
	struct wish wish = { "keep" };
	uint32_t keep = td_limit_slot(table, TD_LIMIT_TRUNK, "keep"),
		 busy = td_limit_slot(table, TD_LIMIT_TRUNK, "busy");

	assert_int_equal(acquire(TD_LIMIT_TRUNK, busy, 0, 0, 1), 0);
	for (uint32_t i = 0; i < 2 * TD_TRUNKS_MAX - 2; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		assert_int_not_equal(
			td_limit_slot(table, TD_LIMIT_TRUNK, name), TD_LIMIT_SLOT_NONE);
	}
	assert_int_equal(td_limit_slot(table, TD_LIMIT_TRUNK, "one more"), TD_LIMIT_SLOT_NONE);
	td_limit_sweep(table, TD_LIMIT_TRUNK, wanted, &wish);
	assert_int_not_equal(td_limit_slot(table, TD_LIMIT_TRUNK, "one more"), TD_LIMIT_SLOT_NONE);
	assert_int_equal(td_limit_slot(table, TD_LIMIT_TRUNK, "keep"), keep);
	assert_int_equal(td_limit_slot(table, TD_LIMIT_TRUNK, "busy"), busy);
}

#define RACE_TURNS 100000
#define RACE_LIMIT 3
static _Atomic uint32_t over;

static void *racer(void *arg)
{
	uint32_t slot = *(uint32_t *)arg;

	for (int i = 0; i < RACE_TURNS; i++) {
		if (acquire(TD_LIMIT_TRUNK, slot, RACE_LIMIT, 0, 1) < 0)
			continue;
		if (td_limit_count_of(table, TD_LIMIT_TRUNK, slot)->c.calls > RACE_LIMIT)
			over++;
		td_limit_release(table, TD_LIMIT_TRUNK, slot);
	}
	return NULL;
}

static void test_workers_share_one_limit(void **state)
{
	uint32_t slot = td_limit_slot(table, TD_LIMIT_TRUNK, "a");
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, racer, &slot), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(over, 0);
	assert_int_equal(td_limit_count_of(table, TD_LIMIT_TRUNK, slot)->c.calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_name_keeps_its_slot, make, unmake),
		cmocka_unit_test_setup_teardown(test_max_calls_and_one_more, make, unmake),
		cmocka_unit_test_setup_teardown(test_max_cps_and_one_more, make, unmake),
		cmocka_unit_test_setup_teardown(
			test_the_whole_switch_has_limits_of_its_own, make, unmake),
		cmocka_unit_test_setup_teardown(
			test_what_came_to_nothing_took_no_rate, make, unmake),
		cmocka_unit_test_setup_teardown(test_a_burst_and_one_more, make, unmake),
		cmocka_unit_test_setup_teardown(
			test_kinds_have_names_and_counts_of_their_own, make, unmake),
		cmocka_unit_test_setup_teardown(
			test_sweep_spares_calls_and_the_wanted, make, unmake),
		cmocka_unit_test_setup_teardown(test_workers_share_one_limit, make, unmake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
