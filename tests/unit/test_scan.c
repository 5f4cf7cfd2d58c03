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

static void fill(char *p, size_t len)
{
	static const char alphabet[] = "\r\n\r\nab: \t\x8a\x8d\x0b";

	for (size_t i = 0; i < len; i++)
		p[i] = random_below(3) ? alphabet[random_below(sizeof(alphabet) - 1)] : (char)random_below(256);
}

static void test_kernels_bit_exact(void **state)
{
	unsigned n;
	const struct td_scan_kernel *kernel = td_scan_kernels(&n);
	struct td_scan_bits expected[8], got[8];
	char bytes[8 * 64];

	assert_true(n >= 1 && kernel[0].usable);
	for (unsigned round = 0; round < 2000; round++) {
		unsigned blocks = 1 + round % 8;
		fill(bytes, blocks * 64);
		const char *at = guard_page_put(bytes, blocks * 64);
		kernel[0].fn(at, blocks, expected);
		for (unsigned k = 1; k < n; k++) {
			if (!kernel[k].usable)
				continue;
			memset(got, 0xa5, sizeof(got));
			kernel[k].fn(at, blocks, got);
			assert_memory_equal(got, expected, blocks * sizeof(got[0]));
		}
	}
}

static void test_reference_by_hand(void **state)
{
	unsigned n;
	const struct td_scan_kernel *kernel = td_scan_kernels(&n);
	struct td_scan_bits bits;
	char bytes[64] = { 0 };

	bytes[0] = '\n';
	bytes[63] = '\n';
	bytes[62] = '\r';
	kernel[0].fn(bytes, 1, &bits);
	assert_true(bits.lf == (1ull | 1ull << 63));
	assert_true(bits.cr == 1ull << 62);
}

// The same question answered byte by byte.
static void plain_lines(struct td_lines *lines, const char *buf, uint32_t from, uint32_t len, bool to_blank)
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
		bool blank = start > from && (i == start || (i == start + 1 && after_cr));
		start = i + 1;
		if (blank && to_blank) {
			lines->blank = true;
			return;
		}
	}
}

static void test_lines_like_a_plain_loop(void **state)
{
	static struct td_lines got, expected;
	char bytes[700];

	for (unsigned round = 0; round < 20000; round++) {
		uint32_t len = random_below(sizeof(bytes)), from = random_below(4);
		if (from > len)
			from = len;
		for (uint32_t i = 0; i < len; i++)
			bytes[i] = random_below(12) ? 'x' : "\r\n"[random_below(2)];
		for (unsigned pair = random_below(12); pair > 0 && len > 2; pair--)
			memcpy(bytes + random_below(len - 1), "\r\n", 2);
		const char *at = guard_page_put(bytes, len);
		for (int to_blank = 0; to_blank < 2; to_blank++) {
			td_scan_lines(&got, at, from, len, to_blank);
			plain_lines(&expected, at, from, len, to_blank);
			assert_int_equal(got.n, expected.n);
			assert_memory_equal(got.end, expected.end, expected.n * sizeof(got.end[0]));
			assert_int_equal(got.blank, expected.blank);
			assert_int_equal(got.bare_lf, expected.bare_lf);
			// A CR as the very last byte has no successor in either; the zeros behind a short tail are one.
			if (len > 0 && bytes[len - 1] != '\r')
				assert_int_equal(got.bare_cr, expected.bare_cr);
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
		cmocka_unit_test(test_kernels_bit_exact),
		cmocka_unit_test(test_reference_by_hand),
		cmocka_unit_test(test_lines_like_a_plain_loop),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
