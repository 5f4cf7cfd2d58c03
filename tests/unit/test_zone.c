// SPDX-License-Identifier: BSD-3-Clause
// control/zone.h, control/zone_rule.h: changes out of zone files, and those that a file leaves to
// its last line.
#include "control/zone.h"
#include "control/zone_rule.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

struct file {
	uint8_t bytes[512];
	size_t len;
};

static void put(struct file *f, uint64_t value, unsigned n)
{
	while (n-- > 0)
		f->bytes[f->len++] = (uint8_t)(value >> 8 * n);
}

static void header_put(struct file *f, uint32_t times, uint32_t types)
{
	static const uint8_t head[20] = "TZif2";

	memcpy(f->bytes + f->len, head, sizeof(head));
	f->len += sizeof(head);
	for (int i = 0; i < 3; i++)
		put(f, 0, 4);
	put(f, times, 4);
	put(f, types, 4);
	put(f, 1, 4);
}

static void type_put(struct file *f, int32_t offset_s)
{
	put(f, (uint32_t)offset_s, 4);
	put(f, 0, 2);
}

// A file with one change, to the second of two offsets, and its last line.
static struct file file_of(int64_t at_s, int32_t before_s, int32_t after_s, const char *line)
{
	struct file f = { 0 };

	header_put(&f, 0, 1);
	type_put(&f, 0);
	put(&f, 0, 1);
	header_put(&f, 1, 2);
	put(&f, (uint64_t)at_s, 8);
	put(&f, 1, 1);
	type_put(&f, before_s);
	type_put(&f, after_s);
	put(&f, 0, 1);
	memcpy(f.bytes + f.len, line, strlen(line));
	f.len += strlen(line);
	return f;
}

static int32_t offset_at(const struct td_window_conf *w, int64_t at_s)
{
	int32_t offset_s = w->steps[0].offset_s;

	for (uint8_t i = 0; i < w->n_steps && w->steps[i].at_s <= at_s; i++)
		offset_s = w->steps[i].offset_s;
	return offset_s;
}

#define OCTOBER_1996 846378000
#define MAY_2026 1777593600

static void changes_go_on_by_the_rule(void **state)
{
	struct file f = file_of(OCTOBER_1996, 7200, 3600, "\nCET-1CEST,M3.5.0,M10.5.0/3\n");
	struct td_window_conf w;

	assert_int_equal(td_zone_decode(f.bytes, f.len, MAY_2026, &w), 0);
	assert_int_equal(w.steps[0].at_s, 1774746000);
	assert_int_equal(w.n_steps, TD_ZONE_STEPS_MAX);
	for (uint8_t i = 1; i < w.n_steps; i++)
		assert_true(w.steps[i - 1].at_s < w.steps[i].at_s);
	assert_int_equal(offset_at(&w, MAY_2026), 7200);
	assert_int_equal(offset_at(&w, 1792889999), 7200);
	assert_int_equal(offset_at(&w, 1792890000), 3600);
	assert_int_equal(offset_at(&w, 1837645200), 7200);
	assert_int_equal(offset_at(&w, 1856394000), 3600);
}

static void what_the_file_says_stands_before_the_rule(void **state)
{
	struct file f = file_of(1792890000 + 86400, 7200, 3600, "\nCET-1CEST,M3.5.0,M10.5.0/3\n");
	struct td_window_conf w;

	assert_int_equal(td_zone_decode(f.bytes, f.len, MAY_2026, &w), 0);
	assert_int_equal(offset_at(&w, 1792890000), 7200);
	assert_int_equal(offset_at(&w, 1792890000 + 86400), 3600);
	assert_int_equal(offset_at(&w, 1837645200), 7200);
}

static void files_without_a_rule(void **state)
{
	static const char *const lines[] = { "\n\n", "\nCET-1\n", "", "\nCET-1CEST,M3.5.0" };
	struct td_window_conf w;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct file f = file_of(OCTOBER_1996, 7200, 3600, lines[i]);
		assert_int_equal(td_zone_decode(f.bytes, f.len, MAY_2026, &w), 0);
		assert_int_equal(w.n_steps, 1);
		assert_int_equal(w.steps[0].offset_s, 3600);
	}
	struct file bad = file_of(OCTOBER_1996, 7200, 3600, "\nCET-1CEST,M13.5.0,M10.5.0/3\n");
	assert_int_equal(td_zone_decode(bad.bytes, bad.len, MAY_2026, &w), -EINVAL);
	struct file cut = file_of(OCTOBER_1996, 7200, 3600, "");
	for (size_t len = 0; len < cut.len; len++)
		assert_int_equal(td_zone_decode(cut.bytes, len, MAY_2026, &w), -EINVAL);
}

static void rules_of_the_world(void **state)
{
	static const struct {
		const char *text;
		struct td_zone_step steps[2]; // of 2028
	} rules[] = {
		{ "EST5EDT,M3.2.0,M11.1.0", { { 1836457200, -14400 }, { 1857016800, -18000 } } },
		{ "AEST-10AEDT,M10.1.0,M4.1.0/3",
			{ { 1838217600, 36000 }, { 1853942400, 39600 } } },
		{ "IST-2IDT,M3.4.4/26,M10.5.0", { { 1837468800, 10800 }, { 1856386800, 7200 } } },
		{ "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
			{ { 1837645200, -3600 }, { 1856394000, -7200 } } },
		{ "AAA+1:30:30BBB-0:15,J60,60/2:00:01",
			{ { 1835487901, -5430 }, { 1835494230, 900 } } },
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct td_zone_rule rule;
		struct td_zone_step steps[2];
		assert_true(td_zone_rule_read(td_span_str(rules[i].text), &rule));
		assert_true(rule.has_summer);
		td_zone_rule_year(&rule, 2028, steps);
		for (int k = 0; k < 2; k++)
			if (steps[k].at_s != rules[i].steps[k].at_s ||
				steps[k].offset_s != rules[i].steps[k].offset_s)
				fail_msg("%s: %lld %d", rules[i].text, (long long)steps[k].at_s,
					steps[k].offset_s);
	}
}

static void what_is_no_rule(void **state)
{
	static const char *const bad[] = { "", "CE-1", "CET", "CET-25", "CET-1CEST",
		"CET-1CEST,M3.5.0", "CET-1CEST,M3.5.0,", "CET-1CEST,M3.6.0,M10.5.0",
		"CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,M0.5.0,M10.5.0", "CET-1CEST,J0,J1",
		"CET-1CEST,1,366", "CET-1CEST,M3.5.0/168,M10.5.0", "CET-1CEST,M3.5.0,M10.5.0/3 ",
		"<+03-3", "CET-1:60", "CET-99999999999" };
	struct td_zone_rule rule;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (td_zone_rule_read(td_span_str(bad[i]), &rule))
			fail_msg("taken: %s", bad[i]);
	assert_true(td_zone_rule_read(TD_SPAN("<+0330>-3:30"), &rule));
	assert_false(rule.has_summer);
	assert_int_equal(rule.winter_s, 3 * 3600 + 1800);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_go_on_by_the_rule),
		cmocka_unit_test(what_the_file_says_stands_before_the_rule),
		cmocka_unit_test(files_without_a_rule),
		cmocka_unit_test(rules_of_the_world),
		cmocka_unit_test(what_is_no_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
