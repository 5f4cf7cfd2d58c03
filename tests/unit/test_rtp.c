// SPDX-License-Identifier: BSD-3-Clause
// The RTP header check, each length on a heap block of exactly that size so that a sanitizer sees
// one byte too many.
#include "media/rtp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

static enum td_rtp_verdict check(const uint8_t *bytes, uint32_t len, int mux)
{
	uint8_t *exact = malloc(len ? len : 1);

	assert_non_null(exact);
	memcpy(exact, bytes, len);
	enum td_rtp_verdict verdict = td_rtp_check(exact, len, mux);
	free(exact);
	return verdict;
}

static void test_plain(void **state)
{
	const uint8_t packet[172] = { 0x80, 0x88, 0x12, 0x34, 1, 2, 3, 4, 5, 6, 7, 8 };

	assert_int_equal(check(packet, sizeof(packet), 0), TD_RTP_OK);
	assert_int_equal(check(packet, 12, 0), TD_RTP_OK);
	struct td_rtp rtp = td_rtp_read(packet);
	assert_int_equal(rtp.seq, 0x1234);
	assert_int_equal(rtp.timestamp, 0x01020304);
	assert_int_equal(rtp.ssrc, 0x05060708);
	assert_int_equal(rtp.payload_type, 8);
	assert_int_equal(rtp.marker, 1);
}

static void test_short(void **state)
{
	const uint8_t packet[12] = { 0x80 };

	for (uint32_t len = 0; len < 12; len++)
		assert_int_equal(check(packet, len, 0), TD_RTP_BAD_LENGTH);
}

static void test_version(void **state)
{
	for (int version = 0; version < 4; version++) {
		const uint8_t packet[12] = { (uint8_t)(version << 6) };
		assert_int_equal(
			check(packet, 12, 0), version == 2 ? TD_RTP_OK : TD_RTP_BAD_VERSION);
	}
}

static void test_csrc(void **state)
{
	uint8_t packet[12 + 60] = { 0x8f };

	assert_int_equal(check(packet, 72, 0), TD_RTP_OK);
	assert_int_equal(check(packet, 71, 0), TD_RTP_BAD_LENGTH);
	packet[0] = 0x81;
	assert_int_equal(check(packet, 16, 0), TD_RTP_OK);
	assert_int_equal(check(packet, 15, 0), TD_RTP_BAD_LENGTH);
}

static void test_extension(void **state)
{
	uint8_t packet[24] = { 0x90 };

	packet[15] = 2;
	assert_int_equal(check(packet, 24, 0), TD_RTP_OK);
	assert_int_equal(check(packet, 23, 0), TD_RTP_BAD_LENGTH);
	assert_int_equal(check(packet, 15, 0), TD_RTP_BAD_LENGTH);
	packet[14] = packet[15] = 0xff;
	assert_int_equal(check(packet, 24, 0), TD_RTP_BAD_LENGTH);
}

static void test_padding(void **state)
{
	uint8_t packet[20] = { 0xa0 };

	assert_int_equal(check(packet, 20, 0), TD_RTP_BAD_LENGTH); // 0 does not even count itself
	packet[19] = 8;
	assert_int_equal(check(packet, 20, 0), TD_RTP_OK);
	packet[19] = 9;
	assert_int_equal(check(packet, 20, 0), TD_RTP_BAD_LENGTH);
	packet[11] = 4;
	assert_int_equal(check(packet, 12, 0), TD_RTP_BAD_LENGTH);
}

static void test_payload_type(void **state)
{
	for (int second = 0; second < 256; second++) {
		const uint8_t packet[12] = { 0x80, (uint8_t)second };
		int reserved = (second & 0x7f) >= 72 && (second & 0x7f) <= 76;
		assert_int_equal(check(packet, 12, 0), reserved ? TD_RTP_BAD_PAYLOAD : TD_RTP_OK);
		if (second >= 192 && second <= 223)
			assert_int_equal(check(packet, 12, 1), TD_RTP_IS_RTCP);
		else
			assert_int_equal(
				check(packet, 12, 1), reserved ? TD_RTP_BAD_PAYLOAD : TD_RTP_OK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_csrc),
		cmocka_unit_test(test_extension),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_payload_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
