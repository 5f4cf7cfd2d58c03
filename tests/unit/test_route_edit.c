// SPDX-License-Identifier: BSD-3-Clause
// One line of a dial plan changed: which lines go, what the others become, and what is refused.
#include "control/route_edit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define REST ",,,,,,,,"

static char error[256], after[8192];
static uint64_t gone;

// What the edit makes of the file's lines: in after.
static int edited(const char *file, const char *match, bool remove, char *const *fields, size_t n)
{
	struct td_plan_rows *from = td_plan_rows_new(), *to = td_plan_rows_new();
	struct td_route_edit *edit =
		td_route_edit_new(match, remove, fields, n, error, sizeof(error));
	const char *text;
	size_t len, at = 0;

	assert_non_null(edit);
	assert_int_equal(td_plan_rows_add(from, file, strlen(file)), 0);
	assert_int_equal(td_plan_rows_end(from), 0);
	int rc = td_route_edit_run(edit, from, to, &gone, error, sizeof(error));
	for (uint32_t i = 0; rc == 0 && i < td_plan_rows_parts(to); i++) {
		assert_int_equal(td_plan_rows_text(to, i, &text, &len), 0);
		assert_true(at + len < sizeof(after));
		memcpy(after + at, text, len);
		at += len;
	}
	after[at] = '\0';
	td_route_edit_free(edit);
	td_plan_rows_free(to);
	td_plan_rows_free(from);
	return rc;
}

static void a_line_is_added(void **state)
{
	char *fields[] = { "to=b", "cost=0.5" };

	assert_int_equal(edited("match,to\n49,a\n\n 48 , a ", "47", false, fields, 2), 0);
	assert_int_equal(gone, 0);
	assert_string_equal(after,
		TD_ROUTE_CSV_HEADER "49,a,,," REST "\n48,a,,," REST "\n47,b,,,0.5" REST "\n");
	assert_int_equal(edited("", "47", false, fields, 2), 0); // a new plan
	assert_string_equal(after, TD_ROUTE_CSV_HEADER "47,b,,,0.5" REST "\n");
}

static void a_line_takes_the_place_of_its_like(void **state)
{
	char *fields[] = { "to=b", "priority=2" };
	const char *file = TD_ROUTE_CSV_HEADER "49,a,1,,,"
					       ",,,,,,,\n+49,b,1,,,"
					       ",,,,,,,\n=49,b,1,,,"
					       ",,,,,,,\n49,b,1,,,x.example"
					       ",,,,,,,\n";

	assert_int_equal(edited(file, "49", false, fields, 2), 0);
	assert_int_equal(
		gone, 1); // nor that of another target, of the whole number, or of one domain
	assert_string_equal(after, TD_ROUTE_CSV_HEADER "49,a,1,,,"
						       ",,,,,,,\n=49,b,1,,,"
						       ",,,,,,,\n49,b,1,,,x.example"
						       ",,,,,,,\n49,b,2,," REST "\n");
}

static void lines_of_a_match_go(void **state)
{
	char *to[] = { "to=a" };
	const char *file = "to,match\na,49\nb,49\na,491\na,\"1001@X.example\"\n";

	assert_int_equal(edited(file, "+49", true, NULL, 0), 0);
	assert_int_equal(gone, 2);
	assert_string_equal(
		after, TD_ROUTE_CSV_HEADER "491,a,,," REST "\n1001@X.example,a,,," REST "\n");
	assert_int_equal(edited(file, "49", true, to, 1), 0);
	assert_int_equal(gone, 1);
	assert_string_equal(after, TD_ROUTE_CSV_HEADER "49,b,,," REST "\n491,a,,," REST
						       "\n1001@X.example,a,,," REST "\n");
	assert_int_equal(edited(file, "1001@x.EXAMPLE", true, NULL, 0), 0);
	assert_int_equal(gone, 1);
	assert_int_equal(edited(file, "4", true, NULL, 0), 0);
	assert_int_equal(gone, 0);
}

// Over the ends of parts no line is torn, lost or doubled.
static void a_large_plan_keeps_every_line(void **state)
{
	struct td_plan_rows *from = td_plan_rows_new(), *to = td_plan_rows_new();
	char *fields[] = { "to=b" }, line[64];
	struct td_route_edit *edit =
		td_route_edit_new("1099999", true, fields, 0, error, sizeof(error));
	uint64_t lines = 0;
	const char *text;
	size_t len;

	assert_int_equal(td_plan_rows_add(from, "match,to\n", 9), 0);
	for (uint32_t i = 1000000; i < 1100000; i++) {
		snprintf(line, sizeof(line), "%u,a\n", i);
		assert_int_equal(td_plan_rows_add(from, line, strlen(line)), 0);
	}
	assert_int_equal(td_plan_rows_end(from), 0);
	assert_int_equal(td_route_edit_run(edit, from, to, &gone, error, sizeof(error)), 0);
	assert_int_equal(gone, 1);
	assert_true(td_plan_rows_parts(to) > 1);
	for (uint32_t i = 0; i < td_plan_rows_parts(to); i++) {
		assert_int_equal(td_plan_rows_text(to, i, &text, &len), 0);
		for (size_t k = 0; k < len; k++)
			lines += text[k] == '\n';
	}
	assert_int_equal(lines, 1 + 100000 - 1);
	td_route_edit_free(edit);
	td_plan_rows_free(to);
	td_plan_rows_free(from);
}

static void refused(const char *match, char *field, const char *words)
{
	struct td_trunk_conf trunk = { .name = "a" };
	struct td_policy_conf policy = { .n_trunks = 1, .trunks = &trunk };
	struct td_route_names *names = td_route_names_new(&policy);
	struct td_route_edit *edit =
		td_route_edit_new(match, false, &field, field != NULL, error, sizeof(error));

	if (edit)
		assert_int_equal(td_route_edit_check(edit, names, error, sizeof(error)), -EINVAL);
	if (!strstr(error, words) || strstr(error, "line 2"))
		fail_msg("unclear: %s", error);
	td_route_edit_free(edit);
	td_route_names_free(names);
}

static void what_is_no_line_is_refused(void **state)
{
	char long_name[700] = "name=";

	memset(long_name + 5, 'x', sizeof(long_name) - 6);
	refused("49", NULL, "neither");
	refused("49", "to=b", "\"b\"");
	refused("49x", "to=a", "neither digits");
	refused("49", "tto=a", "column");
	refused("49", "to", "column");
	refused("49", "match=48", "column");
	refused("49\n48,a", "to=a", "column");
	refused("49", "name=\"", "column");
	refused("49", long_name, "column");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_added),
		cmocka_unit_test(a_line_takes_the_place_of_its_like),
		cmocka_unit_test(lines_of_a_match_go),
		cmocka_unit_test(a_large_plan_keeps_every_line),
		cmocka_unit_test(what_is_no_line_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
