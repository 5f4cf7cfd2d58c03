// SPDX-License-Identifier: BSD-3-Clause
// Every kernel of the header index against the plain one, bit for bit, before a page that must not
// be touched.
#include "sip/index.h"
#include "tests/unit/guard_page.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

static size_t put(char *at, const char *text)
{
	size_t n = strlen(text);

	memcpy(at, text, n);
	return n;
}

// Header lines as they come and as they should not come, one byte in fifty another one.
static size_t random_lines(char *text)
{
	static const char *const names[] = { "Via", "v", "TO", "from", "Content-Encoding",
		"content-LANGUAGE", "P-Charging-Vector", "X-Unknown",
		"P-Asserted-Identity-Of-Somebody-Else", "", "Call\rID", "Via\n", "Call-ID",
		"Vi\0" };
	static const char *const colons[] = { ":", ": ", " : ", "\t:\t", ":  ", "", ": \x80" };
	static const char *const values[] = { "", "x", "x y", " x ", "a:b", "\r\n folded", "\r\n ",
		"0123456789012345678901234567890123456789" };
	static const char *const ends[] = { "\r\n", "\r\n", "\r\n", "\r\n", " \r\n", "\n",
		"\r\r\n" };
	size_t n = put(text, "A b c\r\n");

	for (unsigned lines = random_below(20); lines > 0; lines--) {
		n += put(text + n, names[random_below(sizeof(names) / sizeof(names[0]))]);
		n += put(text + n,
			colons[random_below(
				random_below(4) ? 2 : sizeof(colons) / sizeof(colons[0]))]);
		n += put(text + n, values[random_below(sizeof(values) / sizeof(values[0]))]);
		n += put(text + n,
			ends[random_below(random_below(4) ? 1 : sizeof(ends) / sizeof(ends[0]))]);
	}
	if (random_below(4))
		n += put(text + n, "\r\nbody");
	for (size_t i = 7; i < n; i++)
		if (random_below(50) == 0)
			text[i] = (char)random_below(256);
	return n;
}

static enum td_fault index_with(td_index_fn *fn, struct td_msg *msg, const struct td_lines *lines,
	const char *buf, size_t len)
{
	memset(msg, 0, sizeof(*msg));
	memset(msg->first, 0xff, sizeof(msg->first));
	msg->buf = buf;
	msg->len = (uint32_t)len;
	return fn(msg, lines);
}

static void compare(const char *bytes, size_t len)
{
	static struct td_msg expected, got;
	static struct td_lines lines;
	const char *at = guard_page_put(bytes, len);
	unsigned n;
	const struct td_index_kernel *kernel = td_index_kernels(&n);

	td_scan_lines(&lines, at, 0, (uint32_t)len, true);
	enum td_fault fault = index_with(kernel[0].fn, &expected, &lines, at, len);
	for (unsigned k = 1; k < n; k++) {
		if (!kernel[k].usable)
			continue;
		assert_int_equal(index_with(kernel[k].fn, &got, &lines, at, len), fault);
		assert_memory_equal(&got, &expected, sizeof(got));
	}
}

static void test_kernels_bit_exact(void **state)
{
	static char text[8192];

	for (unsigned round = 0; round < 20000; round++)
		compare(text, random_lines(text));
}

// One header fewer than the table holds, as many, and one more; each with a fold behind the last.
static void test_kernels_at_the_limit(void **state)
{
	static char text[8192];

	for (unsigned headers = TD_MSG_HEADERS_MAX - 1; headers <= TD_MSG_HEADERS_MAX + 1;
		headers++) {
		size_t n = put(text, "A b c\r\n");
		for (unsigned i = 0; i < headers; i++)
			n += put(text + n, i % 3 ? "Via: x\r\n" : "Contact: a@b\r\n");
		n += put(text + n, " folded\r\n\r\n");
		n += put(text + n, "a body behind which no window of a line can end too early");
		compare(text, n);
	}
}

// A fold goes on with the header before it, and with none where the line before it was none.
static void test_folds(void **state)
{
	static struct td_msg msg;
	const char text[] = "A b c\r\nTo: a\r\n b\r\nbad\r\n c\r\nFrom:\r\n\r\n";
	const char empty[] = "A b c\r\nFrom:\r\n d\r\n \r\n e\r\n\r\n";

	assert_int_equal(td_msg_parse(&msg, text, sizeof(text) - 1), -EBADMSG);
	assert_int_equal(msg.n_headers, 2);
	assert_true(td_span_eq(td_msg_get(&msg, TD_H_TO), TD_SPAN("a\r\n b")));
	assert_int_equal(td_msg_get(&msg, TD_H_FROM).len, 0);
	assert_int_equal(td_msg_parse(&msg, empty, sizeof(empty) - 1), -EBADMSG);
	assert_true(td_span_eq(td_msg_get(&msg, TD_H_FROM), TD_SPAN("d\r\n \r\n e")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernels_bit_exact),
		cmocka_unit_test(test_kernels_at_the_limit),
		cmocka_unit_test(test_folds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
