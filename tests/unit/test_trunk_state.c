// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/trunk_state.h"

#include "include/ceilings.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static struct td_trunk_state *trunks;

static int make(void **state)
{
	trunks = td_trunk_state_new();
	return trunks ? 0 : -1;
}

static int unmake(void **state)
{
	td_trunk_state_free(trunks);
	return 0;
}

static void test_a_name_keeps_its_slot(void **state)
{
	uint32_t a = td_trunk_state_slot(trunks, "a"), b = td_trunk_state_slot(trunks, "b");

	assert_int_not_equal(a, b);
	assert_int_equal(td_trunk_state_slot(trunks, "a"), a);
	assert_null(td_trunk_state_counts(trunks, TD_TRUNK_SLOT_NONE));
}

static void test_max_calls_and_one_more(void **state)
{
	uint32_t slot = td_trunk_state_slot(trunks, "a");

	for (int i = 0; i < 5; i++)
		assert_int_equal(td_trunk_acquire(trunks, slot, 5, 0, 1), 0);
	assert_int_equal(td_trunk_acquire(trunks, slot, 5, 0, 1), -EDQUOT);
	td_trunk_release(trunks, slot);
	assert_int_equal(td_trunk_acquire(trunks, slot, 5, 0, 1), 0);
	assert_int_equal(td_trunk_acquire(trunks, slot, 0, 0, 1), 0); // no limit
	assert_int_equal(td_trunk_acquire(trunks, TD_TRUNK_SLOT_NONE, 0, 0, 1), -EDQUOT);
}

static void test_max_cps_and_one_more(void **state)
{
	uint32_t slot = td_trunk_state_slot(trunks, "a");
	uint64_t now = 5000000000;

	for (int i = 0; i < 10; i++)
		assert_int_equal(td_trunk_acquire(trunks, slot, 0, 10, now), 0);
	assert_int_equal(td_trunk_acquire(trunks, slot, 0, 10, now), -EAGAIN);
	assert_int_equal(
		td_trunk_state_counts(trunks, slot)->calls, 10); // a refused one holds nothing
	assert_int_equal(td_trunk_acquire(trunks, slot, 0, 10, now + 100000000), 0);
	assert_int_equal(td_trunk_acquire(trunks, slot, 0, 10, now + 100000000), -EAGAIN);
	assert_int_equal(td_trunk_acquire(trunks, slot, 0, 20, now + 200000000),
		0); // a new limit counts at once
}

static void test_the_whole_switch_has_limits_of_its_own(void **state)
{
	uint32_t slot = td_trunk_state_slot(trunks, "a");

	assert_int_equal(td_trunk_acquire(trunks, slot, 1, 0, 1), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(td_trunk_whole_acquire(trunks, 3, 0, 1), 0);
	assert_int_equal(td_trunk_whole_acquire(trunks, 3, 0, 1), -EDQUOT);
	assert_int_equal(td_trunk_whole_acquire(trunks, 4, 1, 5000000000), 0);
	assert_int_equal(td_trunk_whole_acquire(trunks, 5, 1, 5000000000), -EAGAIN);
	td_trunk_whole_release(trunks);
	assert_int_equal(td_trunk_whole_acquire(trunks, 4, 0, 1), 0);
	assert_int_equal(td_trunk_acquire(trunks, slot, 1, 0, 1), -EDQUOT);
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
	uint32_t keep = td_trunk_state_slot(trunks, "keep"),
		 busy = td_trunk_state_slot(trunks, "busy");

	assert_int_equal(td_trunk_acquire(trunks, busy, 0, 0, 1), 0);
	for (uint32_t i = 0; i < 2 * TD_TRUNKS_MAX - 2; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		assert_int_not_equal(td_trunk_state_slot(trunks, name), TD_TRUNK_SLOT_NONE);
	}
	assert_int_equal(td_trunk_state_slot(trunks, "one more"), TD_TRUNK_SLOT_NONE);
	td_trunk_state_sweep(trunks, wanted, &wish);
	assert_int_not_equal(td_trunk_state_slot(trunks, "one more"), TD_TRUNK_SLOT_NONE);
	assert_int_equal(td_trunk_state_slot(trunks, "keep"), keep);
	assert_int_equal(td_trunk_state_slot(trunks, "busy"), busy);
}

#define RACE_TURNS 100000
#define RACE_LIMIT 3
static _Atomic uint32_t over;

static void *racer(void *arg)
{
	uint32_t slot = *(uint32_t *)arg;

	for (int i = 0; i < RACE_TURNS; i++) {
		if (td_trunk_acquire(trunks, slot, RACE_LIMIT, 0, 1) < 0)
			continue;
		if (td_trunk_state_counts(trunks, slot)->calls > RACE_LIMIT)
			over++;
		td_trunk_release(trunks, slot);
	}
	return NULL;
}

static void test_workers_share_one_limit(void **state)
{
	uint32_t slot = td_trunk_state_slot(trunks, "a");
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, racer, &slot), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(over, 0);
	assert_int_equal(td_trunk_state_counts(trunks, slot)->calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_name_keeps_its_slot, make, unmake),
		cmocka_unit_test_setup_teardown(test_max_calls_and_one_more, make, unmake),
		cmocka_unit_test_setup_teardown(test_max_cps_and_one_more, make, unmake),
		cmocka_unit_test_setup_teardown(test_the_whole_switch_has_limits_of_its_own, make, unmake),
		cmocka_unit_test_setup_teardown(
			test_sweep_spares_calls_and_the_wanted, make, unmake),
		cmocka_unit_test_setup_teardown(test_workers_share_one_limit, make, unmake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
