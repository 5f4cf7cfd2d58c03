// SPDX-License-Identifier: BSD-3-Clause
// include/log_line.h: whatever a text holds, a line is one line and its values are its values.
#include "include/log_line.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

static char line[256];

__attribute__((format(printf, 1, 2))) static const char *made(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	size_t n = td_log_values(line, sizeof(line), format, ap);
	va_end(ap);
	assert_int_equal(n, strlen(line));
	return line;
}

static void what_is_plain_stays(void **state)
{
	assert_string_equal(made("trunk=%s calls=%u", "carrier-a", 7u), "trunk=carrier-a calls=7");
	assert_string_equal(made("n=%" PRIu64 " generation=%016" PRIx64 " rc=%d%%", UINT64_MAX,
				    (uint64_t)0xab, -5),
		"n=18446744073709551615 generation=00000000000000ab rc=-5%");
	assert_string_equal(made("size=%zu share=%.1f text=\"%.*s\"", (size_t)9, 0.25, 3, "abcdef"),
		"size=9 share=0.2 text=\"abc\"");
	assert_string_equal(made("%lf %g %X %o %hhu %c %lld %s", 1.5, 2.0, 255u, 8u,
				    (unsigned char)7, 'c', -1ll, "end"),
		"1.500000 2 FF 10 7 c -1 end");
	assert_string_equal(made("%p %ld %s", (void *)16, -2l, "end"), "0x10 -2 end");
	assert_string_equal(
		made("text=\"%s\" a=%s b=%s", "a word", "", "käse"), "text=\"a word\" a= b=käse");
	assert_string_equal(
		made("reason=\"%s, at most %d\"", "more", 4), "reason=\"more, at most 4\"");
}

static void no_text_ends_its_value(void **state)
{
	assert_string_equal(made("text=\"%s\" code=%d", "a\" code=0 x=\"b", 5),
		"text=\"a' code=0 x='b\" code=5");
	assert_string_equal(made("name=%s", "x code=0"), "name=\"x code=0\"");
	assert_string_equal(made("name=%s", "x=\"y"), "name=\"x='y\"");
	assert_string_equal(made("name=%s n=%d", "a\nb", 1), "name=\"a;b\" n=1");
	// Inside of quotes that the format has opened before.
	assert_string_equal(
		made("reason=\"for %s here\"", "a b=\"c"), "reason=\"for a b='c here\"");
}

static void no_text_ends_its_line(void **state)
{
	assert_string_equal(made("text=\"%s\"", "one\ntwo\n2026-01-01T00:00:00Z error forged\n"),
		"text=\"one;two;2026-01-01T00:00:00Z error forged\"");
	assert_string_equal(made("text=\"%s\"", "\x1b[31mred\x7f\r\t"), "text=\"?[31mred?;?\"");
}

static void every_byte_and_every_cut(void **state)
{
	char text[256];

	for (int c = 1; c < 256; c++)
		text[c - 1] = (char)c;
	text[255] = '\0';
	for (size_t cap = 1; cap < sizeof(line); cap++) {
		char small[sizeof(line)];
		va_list none;
		memset(&none, 0, sizeof(none));
		size_t n = td_log_values(small, cap, "a=\"b\" c", none);
		assert_true(n < cap && small[n] == '\0');
	}
	made("t=\"%s\"", text);
	for (const char *c = line; *c; c++)
		assert_true((unsigned char)*c >= ' ' && *c != 0x7f);
	assert_ptr_equal(strchr(line + 3, '"'), NULL); // it was cut before the end of the value
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_plain_stays),
		cmocka_unit_test(no_text_ends_its_value),
		cmocka_unit_test(no_text_ends_its_line),
		cmocka_unit_test(every_byte_and_every_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
