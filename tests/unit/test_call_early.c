// SPDX-License-Identifier: BSD-3-Clause
// Early dialogs: several of one attempt, and what either side says inside one before the answer.
#include "tests/unit/call_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void a_tag(const struct fake_sent *sent, char tag[64])
{
	const char *at = strstr(fake_header(sent, "To"), ";tag=");

	assert_non_null(at);
	snprintf(tag, 64, "%s", at);
}

static void two_forks(void **state)
{
	struct rig *rig = rig_new();
	struct rig_dialog a;
	char one[64], two[64], ok_tag[64];

	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "183 Session Progress", "fork1", "", RIG_SDP_B);
	a_tag(rig_expect(rig, "SIP/2.0 183 "), one);
	rig_reply(rig, invite, "180 Ringing", "fork2", "", "");
	a_tag(rig_expect(rig, "SIP/2.0 180 "), two);
	assert_string_not_equal(one, two);
	rig_reply(rig, invite, "200 OK", "fork1", "Contact: <sip:f1@10.0.2.1>\r\n", RIG_SDP_B);
	rig_expect(rig, "ACK sip:f1@");
	const struct fake_sent *ok = rig_expect(rig, "SIP/2.0 200 ");
	a_tag(ok, ok_tag);
	assert_string_equal(ok_tag, one);
	// The other fork answers as well: it is ended.
	rig_reply(rig, invite, "200 OK", "fork2", "Contact: <sip:f2@10.0.2.1>\r\n", RIG_SDP_B);
	rig_expect(rig, "ACK sip:f2@");
	rig_reply(rig, rig_expect(rig, "BYE sip:f2@"), "200 OK", "", "", "");
	assert_int_equal(td_engine_calls(rig->engine), 1);
	rig_dialog_a(rig, ok, &a);
	rig_send(rig, &a, "ACK", "", "");
	rig_send(rig, &a, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200 ");
	rig_reply(rig, rig_expect(rig, "BYE sip:f1@"), "200 OK", "", "", "");
	rig_free(rig);
}

static void early_single(void **state)
{
	struct rig *rig = rig_new();

	rig->trunks[0].early_single = true;
	rig_policy(rig);
	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "180 Ringing", "fork1", "", "");
	rig_expect(rig, "SIP/2.0 180 ");
	rig_reply(rig, invite, "180 Ringing", "fork2", "", "");
	rig_silence(rig);
	rig_cancel(rig, "");
	rig_reply(rig, invite, "487 Request Terminated", "fork1", "", "");
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

struct early {
	struct rig *rig;
	const struct fake_sent *invite;
	struct rig_dialog a[2], b[2]; // "fork1" and "fork2" as either side knows them
};

static void early_begin(struct early *e)
{
	e->rig = rig_new();
	rig_route(e->rig, "0");
	rig_invite(e->rig, "", RIG_SDP_A);
	e->invite = rig_expect(e->rig, "INVITE ");
	rig_reply(e->rig, e->invite, "183 Session Progress", "fork1",
		"Contact: <sip:f1@10.0.2.1>\r\n", RIG_SDP_B);
	rig_dialog_a(e->rig, rig_expect(e->rig, "SIP/2.0 183 "), &e->a[0]);
	rig_dialog_b(e->rig, e->invite, "fork1", &e->b[0]);
	rig_reply(e->rig, e->invite, "180 Ringing", "fork2",
		"Record-Route: <sip:10.0.2.2;lr>\r\nContact: <sip:f2@10.0.2.1>\r\n", "");
	rig_dialog_a(e->rig, rig_expect(e->rig, "SIP/2.0 180 "), &e->a[1]);
	rig_dialog_b(e->rig, e->invite, "fork2", &e->b[1]);
}

// BYE of A ends the one early dialog that it names (RFC 3261 §15); the other one answers.
static void bye_in_one_of_two_early_dialogs(void **state)
{
	struct early e;

	early_begin(&e);
	rig_send(e.rig, &e.a[1], "BYE", "", "");
	rig_expect(e.rig, "SIP/2.0 200 ");
	const struct fake_sent *bye = rig_expect(e.rig, "BYE sip:f2@10.0.2.1 ");
	RIG_HAS(bye, ";tag=fork2\r\n");
	assert_string_equal(fake_header(bye, "Route"), "<sip:10.0.2.2;lr>");
	rig_reply(e.rig, bye, "200 OK", "", "", "");
	rig_silence(e.rig);
	rig_send(e.rig, &e.a[1], "INFO", "", ""); // it is gone
	rig_expect(e.rig, "SIP/2.0 481 ");
	rig_reply(e.rig, e.invite, "180 Ringing", "fork2", "", "");
	rig_silence(e.rig);
	// Should it answer all the same, it is put down, and the call goes on.
	rig_reply(e.rig, e.invite, "200 OK", "fork2", "Contact: <sip:f2@10.0.2.1>\r\n", RIG_SDP_B);
	rig_expect(e.rig, "ACK sip:f2@");
	rig_reply(e.rig, rig_expect(e.rig, "BYE sip:f2@"), "200 OK", "", "", "");
	rig_reply(e.rig, e.invite, "200 OK", "fork1", "Contact: <sip:f1@10.0.2.1>\r\n", RIG_SDP_B);
	rig_expect(e.rig, "ACK sip:f1@");
	rig_expect(e.rig, "SIP/2.0 200 ");
	rig_send(e.rig, &e.a[0], "ACK", "", "");
	rig_send(e.rig, &e.a[0], "BYE", "", "");
	rig_expect(e.rig, "SIP/2.0 200 ");
	rig_reply(e.rig, rig_expect(e.rig, "BYE sip:f1@"), "200 OK", "", "", "");
	assert_int_equal(rig_cdr(e.rig)->sip_code, 200);
	rig_free(e.rig);
}

// The last early dialog takes the call with it.
static void bye_in_both_early_dialogs(void **state)
{
	struct early e;

	early_begin(&e);
	for (unsigned i = 0; i < 2; i++) {
		rig_send(e.rig, &e.a[i], "BYE", "", "");
		rig_expect(e.rig, "SIP/2.0 200 ");
		if (i == 0)
			rig_reply(e.rig, rig_expect(e.rig, "BYE sip:f1@"), "481 Gone", "", "", "");
	}
	rig_expect(e.rig, "CANCEL ");
	rig_expect(e.rig, "SIP/2.0 487 ");
	rig_reply(e.rig, e.invite, "487 Request Terminated", "fork2", "", "");
	rig_expect(e.rig, "ACK ");
	assert_int_equal(rig_cdr(e.rig)->sip_code, 487);
	assert_int_equal(rig_cdr(e.rig)->released_by, TD_RELEASED_A);
	e.rig->host.n_read = e.rig->host.n_sent;
	rig_free(e.rig);
}

// INFO crosses in the early dialog that it belongs to, either way (RFC 6086).
static void info_in_an_early_dialog(void **state)
{
	struct early e;

	early_begin(&e);
	rig_send(e.rig, &e.a[1], "INFO", "", "");
	const struct fake_sent *info = rig_expect(e.rig, "INFO sip:f2@10.0.2.1 ");
	RIG_HAS(info, ";tag=fork2\r\n");
	assert_string_equal(fake_header(info, "Route"), "<sip:10.0.2.2;lr>");
	RIG_LACKS(info, "secretwest");
	rig_reply(e.rig, info, "200 OK", "", "", "");
	rig_expect(e.rig, "SIP/2.0 200 ");

	rig_send(e.rig, &e.b[0], "INFO", "", "");
	info = rig_expect(e.rig, "INFO sip:secretwest@10.0.1.1:5060 ");
	assert_string_equal(fake_header(info, "From"), e.a[0].remote);
	rig_reply(e.rig, info, "469 Bad Info Package", "", "", "");
	rig_expect(e.rig, "SIP/2.0 469 ");

	e.b[0].cseq--; // each early dialog counts for itself
	rig_send(e.rig, &e.b[0], "INFO", "", "");
	rig_expect(e.rig, "SIP/2.0 500 ");
	rig_send(e.rig, &e.a[0], "INVITE", "", RIG_SDP_A);
	assert_string_not_equal(fake_header(rig_expect(e.rig, "SIP/2.0 500 "), "Retry-After"), "");

	// Under way while the call is answered.
	rig_send(e.rig, &e.a[0], "INFO", "", "");
	info = rig_expect(e.rig, "INFO sip:f1@10.0.2.1 ");
	rig_reply(e.rig, e.invite, "200 OK", "fork1", "Contact: <sip:f1@10.0.2.1>\r\n", RIG_SDP_B);
	rig_expect(e.rig, "ACK ");
	rig_expect(e.rig, "SIP/2.0 200 ");
	rig_reply(e.rig, info, "200 OK", "", "", "");
	rig_expect(e.rig, "SIP/2.0 200 ");
	struct rig_dialog a = e.a[0];
	a.cseq = 1;
	rig_send(e.rig, &a, "ACK", "", "");
	rig_send(e.rig, &e.a[0], "BYE", "", "");
	rig_expect(e.rig, "SIP/2.0 200 ");
	const struct fake_sent *bye = rig_expect(e.rig, "BYE sip:f1@");
	assert_int_equal(atoi(fake_header(bye, "CSeq")), atoi(fake_header(info, "CSeq")) + 1);
	rig_reply(e.rig, bye, "200 OK", "", "", "");
	rig_free(e.rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_forks),
		cmocka_unit_test(early_single),
		cmocka_unit_test(bye_in_one_of_two_early_dialogs),
		cmocka_unit_test(bye_in_both_early_dialogs),
		cmocka_unit_test(info_in_an_early_dialog),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
