// SPDX-License-Identifier: BSD-3-Clause
#include "sip/token.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct td_token_keys keys;
static const uint8_t secret[32] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17 };
static const struct td_token sample = { TD_TOKEN_DIALOG, 63, 0xfedcba98, 0x89abcdef, 200 };

// The reference vectors of the SipHash paper's code: key 00…0f, input 00, 01, 02 … of growing
// length.
static void test_siphash_vectors(void **state)
{
	static const uint64_t expected[] = {
		0x726fdb47dd0e0e31,
		0x74f839c593dc67fd,
		0x0d6c8009d9a94f5a,
		0x85676696d7fb7e2d,
		0xcf2794e0277187b7,
		0x18765564cd99a68d,
		0xcbc9466e58fee3ce,
		0xab0200f58b01d137,
		0x93f5f5799a932462,
		0x9e0082df0ba9e4b0,
		0x7a5dbbc594ddb9f3,
		0xf4b32f46226bada7,
		0x751e8fbc860ee5fb,
		0x14ea5627c0843d90,
		0xf723ca908e7af2ee,
		0xa129ca6149be45e5,
	};
	const uint64_t key[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
	uint8_t input[16];

	for (unsigned n = 0; n < 16; n++) {
		input[n] = (uint8_t)n;
		assert_true(td_siphash(key, input, n) == expected[n]);
	}
}

static void test_round_trip(void **state)
{
	char text[TD_TOKEN_LEN], branch[TD_BRANCH_LEN];
	struct td_token got;

	td_token_write(&keys, &sample, text);
	for (unsigned i = 0; i < sizeof(text); i++)
		assert_true(
			strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
				text[i]) != NULL);
	assert_int_equal(td_token_read(&keys, td_span(text, sizeof(text)), &got), 0);
	assert_int_equal(got.kind, sample.kind);
	assert_int_equal(got.worker, sample.worker);
	assert_int_equal(got.slot, sample.slot);
	assert_int_equal(got.generation, sample.generation);
	assert_int_equal(got.branch, sample.branch);
	memcpy(branch, TD_BRANCH_COOKIE, 7);
	memcpy(branch + 7, text, sizeof(text));
	assert_ptr_equal(td_branch_token(td_span(branch, sizeof(branch))).ptr, branch + 7);
	assert_int_equal(td_branch_token(td_span(branch, sizeof(branch))).len, TD_TOKEN_LEN);
	assert_int_equal(td_branch_token(td_span(branch, sizeof(branch) - 1)).len, 0);
	branch[0] = 'Z';
	assert_int_equal(td_branch_token(td_span(branch, sizeof(branch))).len, 0);
	assert_int_equal(td_branch_token((struct td_span){ 0 }).len, 0);
}

static void test_neighbours_look_unlike(void **state)
{
	struct td_token a = sample, b = sample;
	char x[TD_TOKEN_LEN], y[TD_TOKEN_LEN];
	unsigned same = 0;

	b.slot++;
	td_token_write(&keys, &a, x);
	td_token_write(&keys, &b, y);
	for (unsigned i = 0; i < TD_TOKEN_LEN; i++)
		same += x[i] == y[i];
	assert_true(same < 6);
}

static void test_every_changed_character_is_refused(void **state)
{
	char text[TD_TOKEN_LEN];
	struct td_token got = { 0 };

	td_token_write(&keys, &sample, text);
	for (unsigned i = 0; i < TD_TOKEN_LEN; i++) {
		char was = text[i];
		for (unsigned c = 0; c < 256; c++) {
			if ((char)c == was)
				continue;
			text[i] = (char)c;
			assert_int_equal(
				td_token_read(&keys, td_span(text, TD_TOKEN_LEN), &got), -EBADMSG);
		}
		text[i] = was;
	}
	for (unsigned n = 0; n < TD_TOKEN_LEN; n++)
		assert_int_equal(td_token_read(&keys, td_span(text, n), &got), -EBADMSG);
	assert_int_equal(td_token_read(&keys, (struct td_span){ 0 }, &got), -EBADMSG);
	assert_int_equal(got.kind, 0); // written only on success
}

static void test_another_node_epoch_or_key(void **state)
{
	char text[TD_TOKEN_LEN];
	uint8_t other_secret[32] = { 0 };
	struct td_token_keys other;
	struct td_token got;

	td_token_write(&keys, &sample, text);
	td_token_keys_init(&other, secret, 7, 43);
	assert_int_equal(td_token_read(&other, td_span(text, sizeof(text)), &got), -ESTALE);
	td_token_keys_init(&other, secret, 8, 42);
	assert_int_equal(td_token_read(&other, td_span(text, sizeof(text)), &got), -ESTALE);
	td_token_keys_init(&other, other_secret, 7, 42);
	assert_int_equal(td_token_read(&other, td_span(text, sizeof(text)), &got), -EBADMSG);
	assert_true(keys.mac[0] != keys.mac[1] && keys.mac[0] != keys.mask[0] &&
		    keys.mask[0] != keys.hash[0]);
}

static const struct td_token nonces[] = {
	{ TD_TOKEN_NONCE, 0, 0, 0, 0 },
	{ TD_TOKEN_NONCE, 63, UINT32_MAX, TD_BOUND_GENERATION_MAX, 0 },
	{ TD_TOKEN_NONCE, 5, 0x12345678, 0x2abcdef, 0 },
};

static void test_bound_round_trip(void **state)
{
	char text[TD_BOUND_LEN];
	struct td_token got;

	for (unsigned i = 0; i < 1000; i++) {
		struct td_token token = nonces[i % 3];
		token.slot ^= i; // of many, so that every character takes every place
		td_token_write_bound(&keys, &token, i, text);
		assert_int_equal(
			td_token_read_bound(&keys, td_span(text, sizeof(text)), i, &got), 0);
		assert_int_equal(got.kind, TD_TOKEN_NONCE);
		assert_int_equal(got.worker, token.worker);
		assert_int_equal(got.slot, token.slot);
		assert_int_equal(got.generation, token.generation);
		assert_int_equal(got.branch, 0);
		assert_int_equal(
			td_token_read_bound(&keys, td_span(text, sizeof(text)), i + 1, &got),
			-EBADMSG);
	}
}

static void test_every_changed_bound_character_is_refused(void **state)
{
	char text[TD_BOUND_LEN];
	struct td_token got = { 0 };

	td_token_write_bound(&keys, &nonces[2], 9, text);
	for (unsigned i = 0; i < sizeof(text); i++) {
		char was = text[i];
		for (unsigned c = 1; c < 256; c++) {
			text[i] = (char)(was ^ c);
			assert_int_equal(
				td_token_read_bound(&keys, td_span(text, sizeof(text)), 9, &got),
				-EBADMSG);
		}
		text[i] = was;
	}
	for (unsigned n = 0; n < sizeof(text); n++)
		assert_int_equal(td_token_read_bound(&keys, td_span(text, n), 9, &got), -EBADMSG);
	assert_int_equal(got.kind, 0); // written only on success
}

static void test_bound_of_another_node_epoch_or_key(void **state)
{
	char text[TD_BOUND_LEN];
	uint8_t other_secret[32] = { 0 };
	struct td_token_keys others[3];
	struct td_token got;

	td_token_write_bound(&keys, &nonces[2], 9, text);
	td_token_keys_init(&others[0], secret, 7, 43);
	td_token_keys_init(&others[1], secret, 8, 42);
	td_token_keys_init(&others[2], other_secret, 7, 42);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(
			td_token_read_bound(&others[i], td_span(text, sizeof(text)), 9, &got),
			-EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash_vectors),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_neighbours_look_unlike),
		cmocka_unit_test(test_every_changed_character_is_refused),
		cmocka_unit_test(test_another_node_epoch_or_key),
		cmocka_unit_test(test_bound_round_trip),
		cmocka_unit_test(test_every_changed_bound_character_is_refused),
		cmocka_unit_test(test_bound_of_another_node_epoch_or_key),
	};

	td_token_keys_init(&keys, secret, 7, 42);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
