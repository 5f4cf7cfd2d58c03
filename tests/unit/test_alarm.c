// SPDX-License-Identifier: BSD-3-Clause
// control/alarm.h: raised once, cleared once, bounded.
#include "control/alarm.h"
#include "control/condition.h"
#include "control/link.h"

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
	char subject[16], line[1024];
	int err = dup(STDERR_FILENO), told = 0;
	FILE *log = tmpfile();

	assert_non_null(log);
	dup2(fileno(log), STDERR_FILENO);

	for (int i = 0; i < TD_ALARMS_MAX + 3; i++) {
		snprintf(subject, sizeof(subject), "%d", i);
		td_alarm_raise(&alarms, TD_WARNING, "many", subject, "", "text");
	}
	assert_int_equal(td_alarms_copy(&alarms, list), TD_ALARMS_MAX);
	assert_int_equal(td_alarms_lost(&alarms), 3);
	fflush(stderr);
	fseek(log, 0, SEEK_SET);
	while (fgets(line, sizeof(line), log))
		told += strstr(line, "alarm.list_full") != NULL;
	assert_int_equal(told, 1); // the others of this minute are counted only
	// What is critical does not wait for what only warns.
	td_alarm_raise(&alarms, TD_CRITICAL, "store.down", "s", "a", "t");
	assert_int_equal(td_alarms_copy(&alarms, list), TD_ALARMS_MAX);
	assert_string_equal(list[TD_ALARMS_MAX - 1].name, "store.down");
	assert_true(td_alarm_clear(&alarms, "store.down", "s"));
	td_alarm_raise(&alarms, TD_WARNING, "more", "", "", "text");
	assert_int_equal(td_alarms_copy(&alarms, list), TD_ALARMS_MAX);
	assert_string_equal(list[TD_ALARMS_MAX - 1].name, "more");
	dup2(err, STDERR_FILENO);
	fclose(log);
}

static const struct td_alarm *raised(struct td_alarms *alarms, const char *name)
{
	uint32_t n = td_alarms_copy(alarms, list);

	for (uint32_t i = 0; i < n; i++)
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	return NULL;
}

// One that hangs is told at once, and not as one that is away; one that is away has some time.
static void a_data_plane_that_hangs_is_told(void **state)
{
	static struct td_link link;
	struct td_alarms alarms = TD_ALARMS_INIT;
	uint64_t away_ms = 0;

	link.connected = link.in_sync = true;
	td_condition_link(&alarms, &link, &away_ms, 1000);
	assert_string_equal(td_condition_sick(&link, away_ms, 1000), "");
	link.silent = true;
	td_condition_link(&alarms, &link, &away_ms, 1500);
	assert_non_null(strstr(td_condition_sick(&link, away_ms, 1500), "does not answer"));
	assert_non_null(raised(&alarms, "dataplane.silent"));
	link.connected = false; // tried anew, and it says nothing there either
	td_condition_link(&alarms, &link, &away_ms, 99000);
	assert_int_equal(td_alarms_copy(&alarms, list), 1);
	link.silent = false; // killed
	td_condition_link(&alarms, &link, &away_ms, 100000);
	assert_int_equal(td_alarms_copy(&alarms, list), 0);
	assert_string_equal(td_condition_sick(&link, away_ms, 100000), "");
	td_condition_link(&alarms, &link, &away_ms, 100000 + TD_CONDITION_PATIENCE_MS);
	assert_non_null(raised(&alarms, "dataplane.away"));
	assert_non_null(strstr(
		td_condition_sick(&link, away_ms, 100000 + TD_CONDITION_PATIENCE_MS), "connected"));
}

static void what_the_rounds_see_is_raised_and_cleared(void **state)
{
	static struct td_link link;
	struct td_alarms alarms = TD_ALARMS_INIT;
	Tandem__Port port = TANDEM__PORT__INIT;
	char xa[] = "xa", device[] = "net_null0";
	uint64_t away_ms = 0;

	td_condition_link(&alarms, &link, &away_ms, 1000);
	assert_null(raised(&alarms, "dataplane.away")); // it may be starting
	td_condition_link(&alarms, &link, &away_ms, 1000 + TD_CONDITION_PATIENCE_MS);
	assert_non_null(raised(&alarms, "dataplane.away"));
	link.connected = true;
	snprintf(link.refusal, sizeof(link.refusal), "no memory");
	td_condition_link(&alarms, &link, &away_ms, 9000);
	assert_null(raised(&alarms, "dataplane.away"));
	assert_non_null(strstr(raised(&alarms, "policy.refused")->text, "no memory"));
	link.in_sync = true;
	td_condition_link(&alarms, &link, &away_ms, 9000);
	port.name = xa;
	port.device = device;
	td_condition_port(&alarms, &port);
	td_condition_journal(&alarms, true);
	assert_string_equal(raised(&alarms, "port.down")->subject, "xa");
	assert_non_null(raised(&alarms, "journal.stopped"));
	assert_int_equal(td_alarms_copy(&alarms, list), 2);
	link.connected = link.in_sync = false; // the next one may have other ports
	td_condition_link(&alarms, &link, &away_ms, 10000);
	td_condition_link(&alarms, &link, &away_ms, 20000);
	assert_int_equal(td_alarms_copy(&alarms, list), 1);
	assert_non_null(raised(&alarms, "dataplane.away"));
	port.up = true;
	td_condition_port(&alarms, &port);
	td_condition_journal(&alarms, false);
	assert_int_equal(td_alarms_copy(&alarms, list), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(raised_once_and_cleared_once),
		cmocka_unit_test(subjects_are_told_apart),
		cmocka_unit_test(a_long_subject_is_raised_once_and_cleared),
		cmocka_unit_test(a_data_plane_that_hangs_is_told),
		cmocka_unit_test(what_the_rounds_see_is_raised_and_cleared),
		cmocka_unit_test(a_full_list_counts_what_it_loses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
