// SPDX-License-Identifier: BSD-3-Clause
// The date of the newest change outlives a boot, also where the clock was set back.
#include "dataplane/change_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND 1000000ull
#define NOON (1800000000 * SECOND)

static char dir[] = "/tmp/td_change_clock_XXXXXX";

// A boot at that time whose newest change is that one (0: none), and what it was told at its start.
static uint64_t boot(uint64_t wall_us, uint64_t changed_us)
{
	struct td_change_clock clock;
	uint64_t from = td_change_clock_open(&clock, dir, wall_us);

	if (changed_us > 0)
		td_change_clock_follow(&clock, changed_us);
	td_change_clock_close(&clock);
	return from;
}

static void changes_are_dated_behind_those_of_earlier_boots(void **state)
{
	assert_int_equal(boot(NOON, 0), 0); // the first one
	assert_int_equal(boot(NOON, NOON + 50 * SECOND), 0);
	assert_int_equal(boot(NOON + 60 * SECOND, 0), 0); // the clock is past all
	uint64_t from = boot(NOON + 50 * SECOND, 0);      // killed, and up again at once
	assert_in_range(from, NOON + 50 * SECOND, NOON + 53 * SECOND);
	from = boot(NOON - 3600 * SECOND, 0); // set back by an hour, and the power went too
	assert_in_range(from, NOON + 110 * SECOND, NOON + 120 * SECOND);
	assert_true(boot(NOON - 3600 * SECOND, from + 1) >= from); // dated on from there
	assert_true(boot(NOON - 3600 * SECOND, 0) > from + 1);
}

static void nonsense_and_a_folder_that_is_gone_are_no_dates(void **state)
{
	struct td_change_clock clock;
	char path[64];

	snprintf(path, sizeof(path), "%s/changed", dir);
	for (const char *const *text =
			(const char *const[]){ "", "x", "99999999999999999999999", "-1", NULL };
		*text; text++) {
		FILE *file = fopen(path, "w");
		assert_non_null(file);
		fputs(*text, file);
		fclose(file);
		assert_int_equal(boot(NOON, 0), 0);
	}
	assert_int_equal(td_change_clock_open(&clock, "/nowhere/at/all", NOON), 0);
	td_change_clock_follow(&clock, NOON);
	td_change_clock_close(&clock);
}

static int folder_make(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int folder_remove(void **state)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/changed", dir);
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_are_dated_behind_those_of_earlier_boots),
		cmocka_unit_test(nonsense_and_a_folder_that_is_gone_are_no_dates),
	};

	return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
