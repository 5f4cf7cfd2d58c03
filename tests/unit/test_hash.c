// SPDX-License-Identifier: BSD-3-Clause
#include "sip/hash.h"

#include "tests/unit/guard_page.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const uint64_t key[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

// SipHash-1-3 written down from its paper elsewhere: key 00…0f, input 00, 01, 02 … of growing
// length.
static void test_vectors(void **state)
{
	static const uint64_t expected[] = {
		0xabac0158050fc4dc,
		0xc9f49bf37d57ca93,
		0x82cb9b024dc7d44d,
		0x8bf80ab8e7ddf7fb,
		0xcf75576088d38328,
		0xdef9d52f49533b67,
		0xc50d2b50c59f22a7,
		0xd3927d989bb11140,
		0x369095118d299a8e,
		0x25a48eb36c063de4,
		0x79de85ee92ff097f,
		0x70c118c1f94dc352,
		0x78a384b157b4d9a2,
		0x306f760c1229ffa7,
		0x605aa111c0f95d34,
		0xd320d86d2a519956,
	};
	char input[16];

	for (unsigned n = 0; n < 16; n++) {
		input[n] = (char)n;
		assert_true(td_hash_of(key, guard_page_put(input, n), n) == expected[n]);
	}
	assert_true(td_hash_of(key, NULL, 0) == expected[0]);
}

static uint64_t of_two(struct td_span a, struct td_span b)
{
	struct td_hash h;

	td_hash_begin(&h, key);
	td_hash_text(&h, 1, a);
	td_hash_text(&h, 2, b);
	return td_hash_end(&h);
}

// What stands in one text and what in the next makes a difference, also where all of it is the
// same.
static void test_texts_keep_apart(void **state)
{
	const uint64_t whole = of_two(TD_SPAN("12345678abcdefgh"), TD_SPAN(""));

	assert_true(of_two(TD_SPAN("12345678abcdefgh"), TD_SPAN("")) == whole);
	assert_true(of_two(TD_SPAN("12345678"), TD_SPAN("abcdefgh")) != whole);
	assert_true(of_two(TD_SPAN("12345678abcdefg"), TD_SPAN("h")) != whole);
	assert_true(of_two(TD_SPAN(""), TD_SPAN("12345678abcdefgh")) != whole);
	assert_true(of_two(TD_SPAN("12345678abcdefgi"), TD_SPAN("")) != whole);
	assert_true(of_two(TD_SPAN("12345678abcdefgh\0"), TD_SPAN("")) != whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_texts_keep_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
