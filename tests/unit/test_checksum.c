// SPDX-License-Identifier: BSD-3-Clause
// The Internet checksum against the sum of RFC 1071 §4.1, written out.
#include "dataplane/checksum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static uint16_t slow(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? (uint32_t)p[i] << 8 : p[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

// 0 and 0xffff are the same number.
static uint16_t norm(uint16_t sum)
{
	return sum == 0xffff ? 0 : sum;
}

static void fill(uint8_t *p, size_t len, int kind)
{
	for (size_t i = 0; i < len; i++)
		p[i] = kind == 0 ? 0 : kind == 1 ? 0xff : (uint8_t)rand();
}

static void every_length_and_alignment(void **state)
{
	srand(1);
	for (int kind = 0; kind < 3; kind++) {
		for (size_t len = 0; len < 300; len++) {
			for (size_t shift = 0; shift < 3; shift++) {
				uint8_t *p = malloc(shift + len + 1); // ends where the data end
				fill(p + shift, len, kind);
				assert_int_equal(norm(td_sum_fold(td_sum_bytes(p + shift, len))),
					norm(slow(p + shift, len)));
				assert_int_equal(td_sum_good(td_sum_bytes(p + shift, len)),
					slow(p + shift, len) == 0xffff);
				free(p);
			}
		}
	}
}

static void a_change_is_folded_in(void **state)
{
	uint8_t p[40];

	srand(2);
	for (int i = 0; i < 20000; i++) {
		fill(p, sizeof(p), i % 100 < 2 ? i % 100 : 2);
		uint16_t checksum = td_checksum_of(td_sum_bytes(p, 40));
		uint64_t before = td_sum_bytes(p + 8, 12);
		fill(p + 8, 12, i % 7 < 2 ? i % 7 : 2);
		uint64_t after = td_sum_bytes(p + 8, 12);
		uint16_t changed = td_checksum_of(td_checksum_change(checksum, before, after));
		assert_int_equal(norm(changed), norm((uint16_t)~slow(p, 40)));
	}
}

static void good_is_what_folds_to_ones(void **state)
{
	srand(4);
	for (int i = 0; i < 100000; i++) {
		uint64_t sum = ((uint64_t)rand() << 33) ^ (uint64_t)rand();
		sum -= i % 2 ? sum % 0xffff : 0;
		assert_int_equal(td_sum_good(sum), td_sum_fold(sum) == 0xffff);
	}
	assert_true(td_sum_good(UINT64_MAX));
	assert_false(td_sum_good(0));
}

static void zero_is_never_sent_for_udp(void **state)
{
	uint8_t ones[8] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	assert_int_equal(td_checksum_of(td_sum_bytes(ones, 8)), 0);
	assert_int_equal(td_checksum_udp_of(td_sum_bytes(ones, 8)), 0xffff);
}

static void headers_and_pseudo_headers(void **state)
{
	uint8_t ip[40], pseudo[40];

	srand(3);
	for (int i = 0; i < 1000; i++) {
		fill(ip, sizeof(ip), i < 2 ? i : 2);
		uint16_t len = (uint16_t)rand();
		assert_int_equal(norm(td_sum_fold(td_sum_ip4_header(ip))), norm(slow(ip, 20)));
		memcpy(pseudo, ip + 12, 8);
		memcpy(pseudo + 8, (uint8_t[]){ 0, 17, (uint8_t)(len >> 8), (uint8_t)len }, 4);
		assert_int_equal(
			norm(td_sum_fold(td_sum_pseudo4(ip, 17, len))), norm(slow(pseudo, 12)));
		memcpy(pseudo, ip + 8, 32);
		memcpy(pseudo + 32,
			(uint8_t[]){ 0, 0, (uint8_t)(len >> 8), (uint8_t)len, 0, 0, 0, 58 }, 8);
		assert_int_equal(
			norm(td_sum_fold(td_sum_pseudo6(ip, 58, len))), norm(slow(pseudo, 40)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length_and_alignment),
		cmocka_unit_test(a_change_is_folded_in),
		cmocka_unit_test(good_is_what_folds_to_ones),
		cmocka_unit_test(zero_is_never_sent_for_udp),
		cmocka_unit_test(headers_and_pseudo_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
