// SPDX-License-Identifier: BSD-3-Clause
// Numbers between their forms, and rules upon them: vectors of Germany, the United States, the
// United Kingdom and Italy, patterns that are wrong, and patterns that never end.
#include "sip/numbers.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static const struct td_number_form_conf berlin = {
	.country = "49", .area = "30", .international = "00", .national = "0", .bare_digits = 5
};
static const struct td_number_form_conf germany = {
	.country = "49", .international = "00", .national = "0"
};
static const struct td_number_form_conf usa = {
	.country = "1", .international = "011", .national = "1", .bare_digits = 10
};
static const struct td_number_form_conf london = {
	.country = "44", .area = "20", .international = "00", .national = "0", .bare_digits = 8
};
static const struct td_number_form_conf italy = {
	.country = "39", .international = "00", .bare_digits = 6
};
static const struct td_number_form_conf digits = {
	.country = "49", .accept = TD_NUMBER_DIGITS, .bare_digits = 7
};
static const struct td_number_form_conf none = { 0 };

static struct td_number number(const char *text)
{
	struct td_number n = { 0 };

	assert_true(td_number_append(&n, td_span_str(text)));
	return n;
}

static const char *text(const struct td_number *n)
{
	static char out[TD_NUMBER_TEXT];

	td_span_cstr(td_number_span(n), out, sizeof(out));
	return out;
}

static void accepted(void **state)
{
	static const struct {
		const struct td_number_form_conf *form;
		const char *dialled, *e164;
	} cases[] = {
		{ &germany, "030123456", "+4930123456" },
		{ &germany, "0033144556677", "+33144556677" },
		{ &germany, "+4930123456", "+4930123456" },
		{ &germany, "110", "110" },
		{ &germany, "123456", "123456" }, // of which place, nobody knows
		{ &germany, "0", "0" },
		{ &germany, "00", "+490" }, // a national number of one digit
		{ &germany, "*21#", "*21#" },
		{ &germany, "alice", "alice" },
		{ &berlin, "123456", "+4930123456" },
		{ &berlin, "112", "112" },
		{ &berlin, "040123456", "+4940123456" },
		{ &usa, "12125551234", "+12125551234" },
		{ &usa, "2125551234", "+12125551234" },
		{ &usa, "011442079460123", "+442079460123" },
		{ &usa, "911", "911" },
		{ &usa, "5551234", "5551234" },
		{ &london, "02079460123", "+442079460123" },
		{ &london, "79460123", "+442079460123" },
		{ &london, "001212555", "+1212555" },
		{ &london, "999", "999" },
		{ &italy, "0612345678", "+390612345678" }, // its leading 0 belongs to the number
		{ &italy, "113", "113" },
		{ &digits, "4930123456", "+4930123456" },
		{ &digits, "112", "112" },
		{ &germany, "001234567890123456", "001234567890123456" }, // more than 15 digits
		{ &none, "030123456", "030123456" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct td_number n = number(cases[i].dialled);
		bool changed = td_number_accept(cases[i].form, &n);
		assert_string_equal(text(&n), cases[i].e164);
		assert_int_equal(changed, strcmp(cases[i].dialled, cases[i].e164) != 0);
	}
}

static void formatted(void **state)
{
	static const struct {
		const struct td_number_form_conf *form;
		uint8_t format;
		const char *e164, *sent;
	} cases[] = {
		{ &germany, TD_FORMAT_KEEP, "+4930123456", "+4930123456" },
		{ &germany, TD_FORMAT_E164, "+4930123456", "+4930123456" },
		{ &germany, TD_FORMAT_PLAIN, "+4930123456", "4930123456" },
		{ &germany, TD_FORMAT_NATIONAL, "+4930123456", "030123456" },
		{ &germany, TD_FORMAT_NATIONAL, "+33144556677", "0033144556677" },
		{ &germany, TD_FORMAT_INTERNATIONAL, "+4930123456", "004930123456" },
		{ &germany, TD_FORMAT_NATIONAL, "112", "112" },
		{ &germany, TD_FORMAT_NATIONAL, "alice", "alice" },
		{ &germany, TD_FORMAT_NATIONAL, "+49", "0049" }, // no number of the country
		{ &usa, TD_FORMAT_NATIONAL, "+12125551234", "12125551234" },
		{ &usa, TD_FORMAT_NATIONAL, "+442079460123", "011442079460123" },
		{ &london, TD_FORMAT_NATIONAL, "+442079460123", "02079460123" },
		{ &italy, TD_FORMAT_NATIONAL, "+390612345678", "0612345678" },
		{ &none, TD_FORMAT_PLAIN, "+4930", "4930" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct td_number_form_conf form = *cases[i].form;
		struct td_number n = number(cases[i].e164);
		form.format = cases[i].format;
		td_number_format(&form, &n);
		assert_string_equal(text(&n), cases[i].sent);
	}
}

static void of_uris(void **state)
{
	static const struct {
		const char *uri, *number;
	} cases[] = {
		{ "sip:+49-30-1@h", "+49301" },
		{ "tel:+49(30)1", "+49301" },
		{ "sip:0301;phone-context=+49@h", "0301" },
		{ "sip:%2B4930@h", "4930" }, // as the routing number has it
		{ "sip:alice@h", "alice" },
		{ "sip:+alice@h", "+alice" },
		{ "sip:a%20b@h", NULL },
		{ "sip:a%00b@h", NULL },
		{ "sip:h", NULL },
		{ "sip:1234567890123456789012345678901234567890123456789012345678901234@h", NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct td_uri uri;
		struct td_number n;
		assert_int_equal(td_uri_parse(td_span_str(cases[i].uri), &uri), 0);
		assert_int_equal(td_number_of(&uri, &n), cases[i].number != NULL);
		if (cases[i].number)
			assert_string_equal(text(&n), cases[i].number);
	}
}

// --- rules ---

static unsigned allocs;

static void *counted(void *ctx, size_t bytes)
{
	allocs++;
	return malloc(bytes);
}

static void counted_free(void *ctx, void *ptr)
{
	free(ptr);
}

static const struct td_alloc heap = { .alloc = counted, .free = counted_free };

static struct td_rule *rule(const char *match, const char *replace)
{
	struct td_rule_conf conf = { .name = "rule" };
	struct td_rule *made = NULL;
	char why[160] = "";

	snprintf(conf.match, sizeof(conf.match), "%s", match);
	snprintf(conf.replace, sizeof(conf.replace), "%s", replace);
	if (td_rule_compile(&conf, &made, why, sizeof(why)) != 0)
		fail_msg("%s: %s", match, why);
	return made;
}

static void rules_apply(void **state)
{
	static const struct {
		const char *match, *replace, *before, *after;
		enum td_rule_result result;
	} cases[] = {
		{ "^00(.*)", "+\\1", "004930", "+4930", TD_RULE_APPLIED },
		{ "^00(.*)", "+\\1", "04930", "04930", TD_RULE_PASSED },
		{ "^9", "", "91234", "1234", TD_RULE_APPLIED },
		{ "$", "#", "12", "12#", TD_RULE_APPLIED },
		{ "^(\\d{3})(\\d+)$", "\\2\\1", "123456", "456123", TD_RULE_APPLIED },
		{ "3", "x", "12343", "12x43", TD_RULE_APPLIED },     // the first one alone
		{ "^(1)?2", "<\\1>", "23", "<>3", TD_RULE_APPLIED }, // a group that took no part
		{ "^\\+49", "\\0\\0", "+4930", "+49+4930", TD_RULE_APPLIED },
		{ "(?i)^ALICE$", "+4930", "alice", "+4930", TD_RULE_APPLIED },
		{ "^(1)(2)(3)(4)(5)(6)(7)(8)(9)(0)(1)$", "\\9\\1", "12345678901", "91",
			TD_RULE_APPLIED },
		{ "1", "1234567890123456789012345678901234567890123456789012345678901", "3131",
			"3131", TD_RULE_TOO_LONG },
		{ "(a+)+$", "x", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
			TD_RULE_GAVE_UP },
		{ "^(([0-9])+)*[xy]", "",
			"123456789012345678901234567890123456789012345678901234567890", NULL,
			TD_RULE_GAVE_UP },
		{ "^(1|(?1)?(?1)?2)+[xy]", "", "111111111111111111111111111111111111111111", NULL,
			TD_RULE_GAVE_UP },
		{ "^(?:[0-9])*$", "",
			"123456789012345678901234567890123456789012345678901234567890123", "",
			TD_RULE_APPLIED },
	};
	struct td_rule_matcher *matcher = td_rule_matcher_new(&heap);

	assert_int_equal(allocs, 1);
	for (unsigned round = 0; round < 3;
		round++) { // memory that a match took is there for the next one
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			struct td_rule *r = rule(cases[i].match, cases[i].replace);
			struct td_number n = number(cases[i].before);
			enum td_rule_result result = td_rule_apply(r, matcher, &n);
			if (result != cases[i].result)
				fail_msg("%s: %d", cases[i].match, result);
			assert_string_equal(
				text(&n), cases[i].after ? cases[i].after : cases[i].before);
			td_rule_free(r);
		}
	}
	td_rule_matcher_free(matcher, &heap);
	assert_int_equal(allocs, 1);
}

// What never ends is given up soon, whatever it is matched with.
static void endless_is_bounded(void **state)
{
	static const char *const patterns[] = { "(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(.*)*[bc]",
		"((a*)*)*[bc]", "^(?:(?:a+)*)*$", "(?:(?=(a+))a)*[xy]", "^(.+)+\\1+[xy]" };
	struct td_rule_matcher *matcher = td_rule_matcher_new(&heap);

	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		struct td_rule *r = rule(patterns[i], "");
		struct timespec from, to;
		struct td_number n =
			number("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!");
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
		for (unsigned k = 0; k < 10; k++)
			td_rule_apply(r, matcher, &n);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
		double ms = (double)(to.tv_sec - from.tv_sec) * 1e3 +
			    (double)(to.tv_nsec - from.tv_nsec) / 1e6;
		if (ms / 10 > 20) // a hundredth of it, where nothing slows this down
			fail_msg("%s: %.1f ms", patterns[i], ms / 10);
		td_rule_free(r);
	}
	td_rule_matcher_free(matcher, &heap);
}

static void rules_refused(void **state)
{
	static const struct {
		const char *match, *replace, *why;
	} cases[] = {
		{ "^00(", "", "at character 5" },
		{ "[", "", "at character 2" },
		{ "a{2,1}", "", "wrong" },
		{ "^00(.*)", "+\\2", "group \\2, the pattern has 1" },
		{ "^00", "\\", "speaks of group" },
		{ "^00", "\\x", "speaks of group" },
		{ "^00", "a b", "blank" },
		{ "(?1)", "", "wrong" },
		{ "((((((((((((((((((((((((((((((((((((((((a)))))))))))))))))))))))))))))))))))))))"
		  ")",
			"", "nested" },
		{ "(*UTF)a", "", "wrong" },
		{ "a{60000}{60000}", "", "wrong" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct td_rule_conf conf = { .name = "rule" };
		struct td_rule *made = NULL;
		char why[160] = "";
		snprintf(conf.match, sizeof(conf.match), "%s", cases[i].match);
		snprintf(conf.replace, sizeof(conf.replace), "%s", cases[i].replace);
		if (td_rule_compile(&conf, &made, why, sizeof(why)) != -EINVAL ||
			!strstr(why, cases[i].why))
			fail_msg("%s → %s: %s", cases[i].match, cases[i].replace, why);
		assert_null(made);
	}
}

// --- lists ---

struct told {
	char text[1024];
};

static void on_step(void *ctx, const struct td_numbers_step *step)
{
	struct told *told = ctx;
	size_t at = strlen(told->text);

	snprintf(told->text + at, sizeof(told->text) - at, "%s%s%s %s %.*s %.*s%s%s\n",
		step->realm ? step->realm : "", step->realm ? ": " : "", step->what, step->name,
		(int)step->before.len, step->before.text, (int)step->after.len, step->after.text,
		step->why ? " " : "", step->why ? step->why : "");
}

static void lists_in_their_order(void **state)
{
	struct told told = { "" };
	const struct td_numbers_trace trace = { on_step, &told };
	struct td_rule *tech = rule("^7777#", ""), *other = rule("^8", "");
	struct td_numbers numbers = { .form = germany,
		.realm = "west",
		.from_realm = 1 << TD_PART_IN_CALLEE | 1 << TD_PART_OUT_CALLER };
	struct td_numbers_run run = { .matcher = td_rule_matcher_new(&heap), .trace = &trace };

	numbers.form.format = TD_FORMAT_NATIONAL;
	numbers.in[TD_CALLEE] = (struct td_rule_list){ { tech, other }, 2 };
	numbers.out[TD_CALLEE] = (struct td_rule_list){ { other }, 1 };
	struct td_number n = number("7777#030123");
	td_numbers_in(&numbers, &run, TD_CALLEE, &n); // the rules, then the form
	assert_string_equal(text(&n), "+4930123");
	td_numbers_out(&numbers, &run, TD_CALLEE, &n); // the form, then the rules
	assert_string_equal(text(&n), "030123");
	assert_string_equal(text(&run.names), "rule");
	assert_int_equal(run.applied, 1);
	assert_int_equal(run.failed, 0);
	assert_string_equal(told.text,
		"west: rule rule 7777#030123 030123\nwest: rule rule 030123 030123 does not match\n"
		"number  "
		"030123 +4930123\n"
		"number  +4930123 030123\nrule rule 030123 030123 does not match\n");
	td_rule_matcher_free(run.matcher, &heap);
	td_rule_free(tech);
	td_rule_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted),
		cmocka_unit_test(formatted),
		cmocka_unit_test(of_uris),
		cmocka_unit_test(rules_apply),
		cmocka_unit_test(endless_is_bounded),
		cmocka_unit_test(rules_refused),
		cmocka_unit_test(lists_in_their_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
