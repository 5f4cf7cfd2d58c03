// SPDX-License-Identifier: BSD-3-Clause
// Which compounds are passed on, each on a heap block of exactly its size.
#include "media/rtcp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct compound {
	uint8_t bytes[512];
	uint32_t len;
};

// Appends a packet of that many words behind its first.
static uint8_t *append(struct compound *c, uint8_t first, uint8_t type, uint16_t words)
{
	uint8_t *packet = c->bytes + c->len;

	packet[0] = first;
	packet[1] = type;
	packet[2] = (uint8_t)(words >> 8);
	packet[3] = (uint8_t)words;
	c->len += 4 + 4u * words;
	return packet;
}

static bool valid(const struct compound *c, uint32_t len)
{
	uint8_t *exact = malloc(len ? len : 1);

	assert_non_null(exact);
	memcpy(exact, c->bytes, len);
	bool ok = td_rtcp_valid(exact, len);
	free(exact);
	return ok;
}

static void test_usual(void **state)
{
	struct compound c = { 0 };

	append(&c, 0x81, TD_RTCP_SR, 12); // one report block
	append(&c, 0x81, TD_RTCP_SDES, 5);
	append(&c, 0x81, TD_RTCP_BYE, 1);
	assert_true(valid(&c, c.len));
	for (uint32_t len = 0; len < c.len; len++)
		assert_int_equal(valid(&c, len), len == 52 || len == 76); // where a packet ends
}

static void test_first(void **state)
{
	for (int type = 0; type < 256; type++) {
		struct compound c = { 0 };
		append(&c, 0x80, (uint8_t)type, 6);
		assert_int_equal(valid(&c, c.len), type == TD_RTCP_SR || type == TD_RTCP_RR);
	}
}

static void test_version(void **state)
{
	struct compound c = { 0 };

	append(&c, 0x80, TD_RTCP_RR, 1);
	uint8_t *second = append(&c, 0x80, TD_RTCP_SDES, 0);
	assert_true(valid(&c, c.len));
	second[0] = 0x40;
	assert_false(valid(&c, c.len));
	second[0] = 0x80;
	c.bytes[0] = 0xc0;
	assert_false(valid(&c, c.len));
}

static void test_count_against_length(void **state)
{
	struct compound c = { 0 };

	append(&c, 0x82, TD_RTCP_RR, 13);
	assert_true(valid(&c, c.len));
	c.bytes[0] = 0x83;
	assert_false(valid(&c, c.len));

	struct compound bye = { 0 };
	append(&bye, 0x80, TD_RTCP_RR, 1);
	append(&bye, 0x82, TD_RTCP_BYE, 1);
	assert_false(valid(&bye, bye.len));
}

static void test_padding(void **state)
{
	struct compound c = { 0 };

	append(&c, 0x80, TD_RTCP_RR, 1);
	uint8_t *last = append(&c, 0xa1, TD_RTCP_BYE, 2);
	last[11] = 4;
	assert_true(valid(&c, c.len));
	for (int padding = 0; padding < 256; padding++) {
		last[11] = (uint8_t)padding;
		assert_int_equal(valid(&c, c.len), padding == 4);
	}
	// Padding anywhere but in the last packet, or in the first (App. A.2).
	last[11] = 4;
	append(&c, 0x80, TD_RTCP_APP, 2);
	assert_false(valid(&c, c.len));
	struct compound first = { 0 };
	append(&first, 0xa0, TD_RTCP_RR, 2)[11] = 4;
	assert_false(valid(&first, first.len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usual),
		cmocka_unit_test(test_first),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_count_against_length),
		cmocka_unit_test(test_padding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
