// SPDX-License-Identifier: BSD-3-Clause
// include/frame.h, include/journal.h's CRC and control/text.h: small things that everything else
// stands on.
#include "control/text.h"
#include "include/frame.h"
#include "include/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void a_header_says_its_length(void **state)
{
	uint8_t frame[TD_FRAME_HEADER + 300] = { 0 };

	td_frame_header(frame, 300);
	for (size_t have = 0; have < sizeof(frame); have++)
		assert_int_equal(td_frame_length(frame, have), -1);
	assert_int_equal(td_frame_length(frame, sizeof(frame)), 300);
	td_frame_header(frame, 0);
	assert_int_equal(td_frame_length(frame, TD_FRAME_HEADER), 0);
	td_frame_header(frame, TD_FRAME_MAX + 1);
	assert_int_equal(td_frame_length(frame, TD_FRAME_HEADER), -2);
	td_frame_header(frame, TD_FRAME_MAX);
	assert_int_equal(td_frame_length(frame, TD_FRAME_HEADER), -1);
}

static void the_crc_is_castagnolis(void **state)
{
	struct td_journal_record a = { .length = 9, .type = 1, .epoch = 1 }, b = a;

	assert_int_equal(~td_journal_crc_bytes(~0u, "123456789", 9), 0xe3069283);
	b.type = 2;
	assert_int_not_equal(td_journal_crc(&a, "123456789"), td_journal_crc(&b, "123456789"));
	b = a;
	b.epoch = 2;
	assert_int_not_equal(td_journal_crc(&a, "123456789"), td_journal_crc(&b, "123456789"));
}

static void text_becomes_utf8(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "plain", "plain" },
		{ "a\tb\n\x7f", "a?b??" },
		{ "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "\xc3", "?" },
		{ "\xc0\x80", "??" },           // overlong NUL
		{ "\xed\xa0\x80", "???" },      // surrogate
		{ "\xf5\x80\x80\x80", "????" }, // above U+10FFFF
		{ "\xe2\x82", "??" },
	};
	char out[32];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = td_text_clean(cases[i].in, strlen(cases[i].in), false, out, sizeof(out));
		assert_string_equal(out, cases[i].out);
		assert_int_equal(n, strlen(cases[i].out));
	}
	td_text_clean("a\nb", 3, true, out, sizeof(out));
	assert_string_equal(out, "a\nb");
}

static void text_is_cut_between_characters(void **state)
{
	char out[4];

	assert_int_equal(td_text_clean("ab\xe2\x82\xac", 5, false, out, sizeof(out)), 2);
	assert_string_equal(out, "ab");
	assert_int_equal(td_text_clean("abcdef", 6, false, out, sizeof(out)), 3);
	assert_int_equal(td_text_clean("abcdef", 2, false, out, sizeof(out)), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_says_its_length),
		cmocka_unit_test(the_crc_is_castagnolis),
		cmocka_unit_test(text_becomes_utf8),
		cmocka_unit_test(text_is_cut_between_characters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
