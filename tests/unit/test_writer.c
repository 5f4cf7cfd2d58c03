// SPDX-License-Identifier: BSD-3-Clause
#include "sip/writer.h"
#include "tests/unit/guard_page.h"

#include <inttypes.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static char text[256];

static struct td_writer writer(size_t cap)
{
	memset(text, '#', sizeof(text));
	return (struct td_writer){ text, text, text + cap, false };
}

static void expect(const struct td_writer *w, const char *expected)
{
	assert_false(w->overflow);
	assert_int_equal(td_writer_len(w), strlen(expected));
	assert_memory_equal(text, expected, strlen(expected));
	assert_int_equal(*w->pos, '#'); // nothing is written behind the end
}

// Pieces of every length, each right before a page that must not be touched, into room that just
// holds them.
static void test_every_length(void **state)
{
	char bytes[80];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)('0' + i);
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		struct td_writer w = writer(len);
		td_put(&w, guard_page_put(bytes, len), len);
		assert_false(w.overflow);
		assert_int_equal(td_writer_len(&w), len);
		assert_memory_equal(text, bytes, len);
		assert_int_equal(text[len], '#');
		td_put_char(&w, 'x');
		assert_true(w.overflow);
		assert_int_equal(text[len], '#');
	}
}

static void test_overflow_writes_nothing(void **state)
{
	struct td_writer w = writer(3);

	td_put_lit(&w, "four");
	td_put_uint(&w, 1234);
	td_put_hex(&w, (const uint8_t *)"\1\2", 2);
	assert_true(w.overflow);
	assert_int_equal(td_writer_len(&w), 0);
	assert_int_equal(text[0], '#');
}

static void test_numbers(void **state)
{
	static const uint64_t numbers[] = { 0, 9, 10, 99, 100, 101, 999, 1000, 5060, 65535, 99999,
		100000, UINT32_MAX, 10000000000000000000u, UINT64_MAX };
	char expected[24];

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct td_writer w = writer(20);
		snprintf(expected, sizeof(expected), "%" PRIu64, numbers[i]);
		td_put_uint(&w, numbers[i]);
		expect(&w, expected);
	}
	struct td_writer w = writer(8);
	td_put_hex(&w, (const uint8_t *)"\x00\x9a\xff", 3);
	expect(&w, "009aff");
}

static void test_addresses(void **state)
{
	static const char *const addresses[] = { "0.0.0.0", "255.255.255.255", "10.0.1.254",
		"1.22.133.4", "::", "::1", "2001:db8::1", "fe80::a:b:c:d", "::ffff:192.0.2.1",
		"1:2:3:4:5:6:7:8" };
	char expected[64];

	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		struct td_sockaddr a = { .port = 5060 };
		bool v6 = strchr(addresses[i], ':') != NULL;
		assert_int_equal(td_ip_parse(td_span_str(addresses[i]), &a), 0);
		struct td_writer w = writer(64);
		td_put_address(&w, &a);
		expect(&w, addresses[i]);
		snprintf(expected, sizeof(expected), "%s%s%s:5060", v6 ? "[" : "", addresses[i],
			v6 ? "]" : "");
		w = writer(64);
		td_put_hostport(&w, &a);
		expect(&w, expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_overflow_writes_nothing),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
