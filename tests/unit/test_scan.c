// SPDX-License-Identifier: BSD-3-Clause
// Every kernel against the scalar reference, bit for bit, and the lines against a plain loop.
#include "sip/scan.h"
#include "tests/unit/guard_page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

// The same question answered byte by byte.
static void plain_lines(
	struct td_lines *lines, const char *buf, uint32_t from, uint32_t len, bool to_blank)
{
	uint32_t start = from;

	memset(lines, 0, sizeof(*lines));
	for (uint32_t i = from; i < len; i++) {
		bool after_cr = i > from && buf[i - 1] == '\r';
		lines->bare_cr |= after_cr && buf[i] != '\n';
		if (buf[i] != '\n')
			continue;
		lines->bare_lf |= !after_cr;
		lines->end[lines->n++] = (uint16_t)i;
		bool blank = start > from && i == start + 1 && after_cr;
		start = i + 1;
		if (blank && to_blank) {
			lines->blank = true;
			return;
		}
	}
}

static void compare(const struct td_scan_kernel *kernel, const char *at, uint32_t from,
	uint32_t len, bool to_blank)
{
	static struct td_lines got, expected;

	kernel->fn(&got, at, from, len, to_blank);
	plain_lines(&expected, at, from, len, to_blank);
	assert_int_equal(got.n, expected.n);
	assert_memory_equal(got.end, expected.end, expected.n * sizeof(got.end[0]));
	assert_int_equal(got.blank, expected.blank);
	assert_int_equal(got.bare_lf, expected.bare_lf);
	// A CR as the very last byte has no successor in the plain loop; the zeros behind a short
	// tail are one.
	if (len > 0 && at[len - 1] != '\r')
		assert_int_equal(got.bare_cr, expected.bare_cr);
}

// Every kernel, the reference included, on lines at random, right before a page that must not be
// touched.
static void test_kernels_like_a_plain_loop(void **state)
{
	unsigned n;
	const struct td_scan_kernel *kernel = td_scan_kernels(&n);
	char bytes[700];

	for (unsigned round = 0; round < 20000; round++) {
		uint32_t len = random_below(sizeof(bytes)), from = random_below(4);
		if (from > len)
			from = len;
		for (uint32_t i = 0; i < len; i++)
			bytes[i] = random_below(12) ? "x\x8a\x8d\x0b\x09"[random_below(5)]
						    : "\r\n"[random_below(2)];
		for (unsigned pair = random_below(40); pair > 0 && len > 2; pair--)
			memcpy(bytes + random_below(len - 1), "\r\n", 2);
		const char *at = guard_page_put(bytes, len);
		for (unsigned k = 0; k < n; k++)
			for (int to_blank = 0; kernel[k].usable && to_blank < 2; to_blank++)
				compare(&kernel[k], at, from, len, to_blank);
	}
}

// Bit for bit the same structs from every kernel, whatever the bytes.
static void test_kernels_bit_exact(void **state)
{
	static struct td_lines expected, got;
	unsigned n;
	const struct td_scan_kernel *kernel = td_scan_kernels(&n);
	char bytes[512];

	assert_true(n >= 1 && kernel[0].usable);
	for (unsigned round = 0; round < 5000; round++) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] =
				random_below(4) ? (char)random_below(256) : "\r\n"[random_below(2)];
		memset(&expected, 0, sizeof(expected));
		kernel[0].fn(&expected, bytes, 0, round % 513, round & 1);
		for (unsigned k = 1; k < n; k++) {
			if (!kernel[k].usable)
				continue;
			memset(&got, 0, sizeof(got));
			kernel[k].fn(&got, bytes, 0, round % 513, round & 1);
			assert_memory_equal(&got, &expected, sizeof(got));
		}
	}
}

static void test_full(void **state)
{
	static struct td_lines lines;
	static char bytes[4096];

	memset(bytes, 'x', sizeof(bytes));
	for (unsigned i = 0; i < TD_LINES_MAX; i++)
		bytes[2 * i + 1] = '\n';
	td_scan_lines(&lines, bytes, 0, sizeof(bytes), true);
	assert_int_equal(lines.n, TD_LINES_MAX);
	assert_false(lines.full);
	bytes[2 * TD_LINES_MAX + 1] = '\n';
	td_scan_lines(&lines, bytes, 0, sizeof(bytes), true);
	assert_true(lines.full);
	memset(bytes, '\n', sizeof(bytes));
	td_scan_lines(&lines, bytes, 0, sizeof(bytes), false);
	assert_true(lines.full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernels_like_a_plain_loop),
		cmocka_unit_test(test_kernels_bit_exact),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
