// SPDX-License-Identifier: BSD-3-Clause
// control/alarm.h: raised once, cleared once, bounded.
#include "control/alarm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct td_alarm list[TD_ALARMS_MAX];

static void raised_once_and_cleared_once(void **state)
{
	struct td_alarms alarms = TD_ALARMS_INIT;

	assert_false(td_alarm_clear(&alarms, "store.down", "x"));
	td_alarm_raise(&alarms, TD_CRITICAL, "store.down", "x", "see to it", "error %d", 1);
	td_alarm_raise(&alarms, TD_WARNING, "store.slow", "x", "wait", "slow");
	assert_int_equal(td_alarms_copy(&alarms, list), 2);
	uint64_t since_us = list[0].since_us;
	assert_true(since_us > 0);
	td_alarm_raise(&alarms, TD_WARNING, "store.down", "x", "see to it", "error %d", 2);
	assert_int_equal(td_alarms_copy(&alarms, list), 2);
	assert_string_equal(list[0].text, "error 2");
	assert_string_equal(list[0].advice, "see to it");
	assert_int_equal(list[0].severity, TD_WARNING);
	assert_int_equal(list[0].since_us, since_us);
	assert_true(td_alarm_clear(&alarms, "store.down", "x"));
	assert_false(td_alarm_clear(&alarms, "store.down", "x"));
	assert_int_equal(td_alarms_copy(&alarms, list), 1);
	assert_string_equal(list[0].name, "store.slow");
}

static void subjects_are_told_apart(void **state)
{
	struct td_alarms alarms = TD_ALARMS_INIT;

	td_alarm_raise(&alarms, TD_WARNING, "trunk.down", "a", "", "a");
	td_alarm_raise(&alarms, TD_WARNING, "trunk.down", "b", "", "b");
	assert_true(td_alarm_clear(&alarms, "trunk.down", "a"));
	assert_int_equal(td_alarms_copy(&alarms, list), 1);
	assert_string_equal(list[0].subject, "b");
}

// A database's URL is longer than the field that shows it.
static void a_long_subject_is_raised_once_and_cleared(void **state)
{
	struct td_alarms alarms = TD_ALARMS_INIT;
	char name[64], subject[300];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	memset(subject, 's', sizeof(subject) - 1);
	subject[sizeof(subject) - 1] = '\0';
	td_alarm_raise(&alarms, TD_WARNING, name, subject, "", "text");
	td_alarm_raise(&alarms, TD_WARNING, name, subject, "", "again");
	assert_int_equal(td_alarms_copy(&alarms, list), 1);
	assert_string_equal(list[0].text, "again");
	assert_true(td_alarm_clear(&alarms, name, subject));
	assert_int_equal(td_alarms_copy(&alarms, list), 0);
}

static void a_full_list_counts_what_it_loses(void **state)
{
	struct td_alarms alarms = TD_ALARMS_INIT;
	char subject[16];
	int err = dup(STDERR_FILENO);

	assert_non_null(freopen("/dev/null", "w", stderr)); // a log line of each would hide the result

	for (int i = 0; i < TD_ALARMS_MAX + 3; i++) {
		snprintf(subject, sizeof(subject), "%d", i);
		td_alarm_raise(&alarms, TD_WARNING, "many", subject, "", "text");
	}
	assert_int_equal(td_alarms_copy(&alarms, list), TD_ALARMS_MAX);
	assert_int_equal(alarms.lost, 3);
	assert_true(td_alarm_clear(&alarms, "many", "0"));
	td_alarm_raise(&alarms, TD_WARNING, "more", "", "", "text");
	assert_int_equal(td_alarms_copy(&alarms, list), TD_ALARMS_MAX);
	assert_string_equal(list[TD_ALARMS_MAX - 1].name, "more");
	dup2(err, STDERR_FILENO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(raised_once_and_cleared_once),
		cmocka_unit_test(subjects_are_told_apart),
		cmocka_unit_test(a_long_subject_is_raised_once_and_cleared),
		cmocka_unit_test(a_full_list_counts_what_it_loses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
