// SPDX-License-Identifier: BSD-3-Clause
#include "sip/headers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static void test_status_to_cause(void **state)
{
	assert_int_equal(td_cause_of_status(200), 16);
	assert_int_equal(td_cause_of_status(404), 1);
	assert_int_equal(td_cause_of_status(486), 17);
	assert_int_equal(td_cause_of_status(487), 16);
	assert_int_equal(td_cause_of_status(503), 41);
	assert_int_equal(td_cause_of_status(603), 21);
	// Unknown codes stand for their class.
	assert_int_equal(td_cause_of_status(499), td_cause_of_status(400));
	assert_int_equal(td_cause_of_status(599), td_cause_of_status(500));
	assert_int_equal(td_cause_of_status(699), td_cause_of_status(600));
	assert_int_equal(td_cause_of_status(302), 31);
}

static void test_cause_to_status(void **state)
{
	assert_int_equal(td_status_of_cause(1), 404);
	assert_int_equal(td_status_of_cause(17), 486);
	assert_int_equal(td_status_of_cause(34), 503);
	assert_int_equal(td_status_of_cause(126), 500);
	for (uint16_t status = 400; status < 700; status++) {
		uint16_t cause = td_cause_of_status(status);
		assert_in_range(cause, 1, 127);
		assert_in_range(td_status_of_cause(cause), 400, 699);
	}
}

static uint16_t reason(const char *headers)
{
	static struct td_msg msg;
	char text[512];

	snprintf(text, sizeof(text), "BYE sip:a@b SIP/2.0\r\n%sContent-Length: 0\r\n\r\n", headers);
	assert_int_equal(td_msg_parse(&msg, text, (uint32_t)strlen(text)), 0);
	return td_cause_of_reason(&msg);
}

static void test_reason(void **state)
{
	assert_int_equal(reason(""), 0);
	assert_int_equal(reason("Reason: Q.850;cause=16;text=\"a, b;cause=9\"\r\n"), 16);
	assert_int_equal(reason("Reason: SIP;cause=200, q.850 ; cause=34\r\n"), 34);
	assert_int_equal(reason("Reason: SIP;cause=600\r\nReason: Q.850;cause=17\r\n"), 17);
	assert_int_equal(reason("Reason: Q.850;cause=128\r\n"), 0);
	assert_int_equal(reason("Reason: Q.850;cause=x\r\n"), 0);
	assert_int_equal(reason("Reason: Q.850\r\n"), 0);
}

static void test_phrases(void **state)
{
	assert_true(td_span_eq(td_status_reason(180), TD_SPAN("Ringing")));
	assert_true(td_span_eq(td_status_reason(481), TD_SPAN("Call/Transaction Does Not Exist")));
	for (uint16_t status = 100; status < 700; status++)
		assert_true(td_status_reason(status).len > 0);
	assert_true(td_status_reason(0).len > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_to_cause),
		cmocka_unit_test(test_cause_to_status),
		cmocka_unit_test(test_reason),
		cmocka_unit_test(test_phrases),
	};
	return cmocka_run_group_tests_name("cause", tests, NULL, NULL);
}
