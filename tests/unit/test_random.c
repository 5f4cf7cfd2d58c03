// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

// RFC 8439 appendix A.1, test vectors 1 and 2: the key and the nonce are zero.
static void test_cipher_vectors(void **state)
{
	static const uint8_t first[16] = { 0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40,
		0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28 };
	static const uint8_t second[8] = { 0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a };
	uint32_t key[8] = { 0 };
	uint8_t out[64];

	td_chacha20_block(key, 0, out);
	assert_memory_equal(out, first, sizeof(first));
	td_chacha20_block(key, 1, out);
	assert_memory_equal(out, second, sizeof(second));
}

static void test_same_seed_same_bytes_in_any_pieces(void **state)
{
	uint8_t key[32] = { 1 }, whole[3000], pieces[3000];
	struct td_random a, b;

	td_random_seed(&a, key);
	td_random_seed(&b, key);
	td_random_bytes(&a, whole, sizeof(whole));
	for (uint32_t at = 0, n = 1; at < sizeof(pieces); at += n, n = n % 97 + 1) {
		n = n < sizeof(pieces) - at ? n : (uint32_t)sizeof(pieces) - at;
		td_random_bytes(&b, pieces + at, n);
	}
	assert_memory_equal(whole, pieces, sizeof(whole));
	assert_memory_not_equal(whole, whole + 1000, 1000);
}

static void test_two_of_the_kernel_differ(void **state)
{
	struct td_random a, b;
	uint8_t x[32], y[32];

	assert_int_equal(td_random_init(&a), 0);
	assert_int_equal(td_random_init(&b), 0);
	td_random_bytes(&a, x, sizeof(x));
	td_random_bytes(&b, y, sizeof(y));
	assert_memory_not_equal(x, y, sizeof(x));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cipher_vectors),
		cmocka_unit_test(test_same_seed_same_bytes_in_any_pieces),
		cmocka_unit_test(test_two_of_the_kernel_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
