// SPDX-License-Identifier: BSD-3-Clause
// Calls on their way to an answer, or to none: failover, CANCEL at every moment, limits, refusals,
// late answers.
#include "tests/unit/call_rig.h"
#include "sip/txn_priv.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void busy_is_final(void **state)
{
	struct rig *rig = rig_new();

	rig_invite(rig, "", RIG_SDP_A);
	rig_reply(rig, rig_expect(rig, "INVITE "), "486 Busy Here", "btag",
		"Reason: Q.850;cause=17\r\n", "");
	rig_expect(rig, "ACK ");
	const struct fake_sent *busy = rig_expect(rig, "SIP/2.0 486 ");
	assert_string_equal(fake_header(busy, "Reason"), "Q.850;cause=17");
	RIG_LACKS(busy, "btag");
	RIG_LACKS(busy, "secreteast");
	rig_silence(rig);
	assert_int_equal(rig_cdr(rig)->sip_code, 486);
	assert_int_equal(rig_cdr(rig)->cause, 17);
	assert_int_equal(rig_cdr(rig)->released_by, TD_RELEASED_B);
	assert_int_equal(rig_cdr(rig)->answer_us, 0);
	rig_advance(rig, 32000);
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

static void never_after_6xx(void **state)
{
	struct rig *rig = rig_new();

	rig_invite(rig, "", RIG_SDP_A);
	rig_reply(rig, rig_expect(rig, "INVITE "), "603 Decline", "btag", "", "");
	rig_expect(rig, "ACK ");
	rig_expect(rig, "SIP/2.0 603 ");
	rig_silence(rig);
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

static void a_tag(const struct fake_sent *sent, char tag[64])
{
	const char *at = strstr(fake_header(sent, "To"), ";tag=");

	assert_non_null(at);
	snprintf(tag, 64, "%s", at);
}

// The peer that rang refuses: the next one is tried, and what A hears then has another To-tag.
static void failover_has_a_fresh_tag(void **state)
{
	struct rig *rig = rig_new();
	struct rig_dialog a;
	char first[64], second[64];

	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *one = rig_expect(rig, "INVITE sip:+49301234@10.0.2.1:5060 ");
	rig_reply(rig, one, "183 Session Progress", "same", "", RIG_SDP_B);
	a_tag(rig_expect(rig, "SIP/2.0 183 "), first);
	rig_reply(rig, one, "503 Service Unavailable", "same", "", "");
	rig_expect(rig, "ACK ");
	const struct fake_sent *two = rig_expect(rig, "INVITE sip:+49301234@10.0.2.2:5060 ");
	RIG_HAS(two, "c=IN IP4 10.0.2.254\r\n");
	assert_string_not_equal(strstr(two->data, "Call-ID: "), strstr(one->data, "Call-ID: "));
	rig_reply(rig, two, "200 OK", "same", "Contact: <sip:b@10.0.2.2>\r\n", RIG_SDP_B);
	rig_expect(rig, "ACK sip:b@10.0.2.2 ");
	const struct fake_sent *ok = rig_expect(rig, "SIP/2.0 200 ");
	a_tag(ok, second);
	assert_string_not_equal(first, second);

	// A request under the tag that lost finds no dialog.
	rig_dialog_a(rig, ok, &a);
	rig_send(rig, &a, "ACK", "", "");
	struct rig_dialog lost = a;
	snprintf(strstr(lost.remote, ";tag="), 64, "%s", first);
	rig_send(rig, &lost, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 481 ");
	assert_int_equal(td_engine_calls(rig->engine), 1);
	rig_send(rig, &a, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200 ");
	rig_reply(rig, rig_expect(rig, "BYE sip:b@10.0.2.2 "), "200 OK", "", "", "");
	assert_int_equal(rig->host.n_attempts, 2);
	assert_int_equal(rig->host.attempts[0].sip_code, 503);
	assert_int_equal(rig->host.attempts[0].n, 1);
	assert_int_equal(rig->host.attempts[1].n, 2);
	assert_string_equal(rig_cdr(rig)->call_id_b, fake_header(two, "Call-ID"));
	rig_free(rig);
}

// A peer that says nothing is given up; what it says later is cancelled, or ACKed and ended.
static void given_up_peer_answers_late(void **state)
{
	struct rig *rig = rig_new();
	const struct fake_sent *two = NULL, *sent;

	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *one = rig_expect(rig, "INVITE sip:+49301234@10.0.2.1:5060 ");
	rig_advance(rig, 5000);
	while ((sent = fake_next(&rig->host)))
		if (fake_starts(sent, "INVITE sip:+49301234@10.0.2.2:5060 "))
			two = sent;
	assert_non_null(two);
	rig_reply(rig, two, "180 Ringing", "two", "", "");
	rig_expect(rig, "SIP/2.0 180 ");

	rig_reply(rig, one, "180 Ringing", "one", "", "");
	rig_expect(rig, "CANCEL sip:+49301234@10.0.2.1:5060 ");
	rig_reply(rig, one, "200 OK", "one", "Contact: <sip:late@10.0.2.1>\r\n", RIG_SDP_B);
	rig_expect(rig, "ACK sip:late@10.0.2.1 ");
	const struct fake_sent *bye = rig_expect(rig, "BYE sip:late@10.0.2.1 ");
	RIG_HAS(bye, ";tag=one");
	rig_reply(rig, one, "200 OK", "one", "Contact: <sip:late@10.0.2.1>\r\n", RIG_SDP_B);
	rig_expect(rig, "ACK sip:late@10.0.2.1 ");
	rig_silence(rig);
	rig_reply(rig, bye, "200 OK", "", "", "");
	rig_reply(rig, two, "404 Not Found", "two", "", "");
	rig_expect(rig, "ACK ");
	rig_expect(rig, "SIP/2.0 404 "); // nearer to the callee than the time-out
	assert_int_equal(rig->host.attempts[0].sip_code, 408);
	assert_int_equal(rig->host.n_attempts, 2);
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

// Refused, and then answered all the same: ACK and BYE, also when the call is long over.
static void answer_after_the_refusal(void **state)
{
	struct rig *rig = rig_new();

	rig_route(rig, "0");
	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *one = rig_expect(rig, "INVITE ");
	rig_reply(rig, one, "404 Not Found", "one", "", "");
	rig_expect(rig, "ACK ");
	rig_expect(rig, "SIP/2.0 404 ");
	assert_int_equal(td_engine_calls(rig->engine), 0);
	rig_reply(rig, one, "200 OK", "two",
		"Record-Route: <sip:10.0.2.2;lr>\r\nContact: <sip:late@10.0.2.9>\r\n", RIG_SDP_B);
	const struct fake_sent *ack = rig_expect(rig, "ACK sip:late@10.0.2.9 ");
	assert_string_equal(fake_header(ack, "Route"), "<sip:10.0.2.2;lr>");
	assert_string_equal(fake_header(ack, "From"), fake_header(one, "From"));
	assert_true(td_ip_eq(&ack->flow.remote, &rig->east[1].remote));
	const struct fake_sent *bye = rig_expect(rig, "BYE sip:late@10.0.2.9 ");
	RIG_HAS(bye, ";tag=two");
	assert_string_equal(fake_header(bye, "CSeq"), "2 BYE");
	rig_reply(rig, one, "200 OK", "two", "Contact: <sip:late@10.0.2.9>\r\n", RIG_SDP_B);
	rig_expect(rig, "ACK sip:late@10.0.2.9 "); // repeated, but one BYE is enough
	rig_silence(rig);
	rig_reply(rig, bye, "200 OK", "", "", "");
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

// The call was short, and another branch of the fork answers after its end.
static void fork_answers_after_the_end(void **state)
{
	struct rig *rig = rig_new();
	struct rig_dialog a;

	rig_route(rig, "0");
	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *one = rig_expect(rig, "INVITE ");
	rig_reply(rig, one, "200 OK", "one", "Contact: <sip:f1@10.0.2.1>\r\n", RIG_SDP_B);
	rig_expect(rig, "ACK ");
	rig_dialog_a(rig, rig_expect(rig, "SIP/2.0 200 "), &a);
	rig_send(rig, &a, "ACK", "", "");
	rig_send(rig, &a, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200 ");
	rig_reply(rig, rig_expect(rig, "BYE sip:f1@"), "200 OK", "", "", "");
	rig_advance(rig, 6000);
	rig->host.n_read = rig->host.n_sent;
	rig_reply(rig, one, "200 OK", "one", "Contact: <sip:f1@10.0.2.1>\r\n", RIG_SDP_B);
	rig_expect(rig, "ACK sip:f1@"); // its ACK was lost; its BYE was not
	rig_silence(rig);
	rig_reply(rig, one, "200 OK", "two", "Contact: <sip:f2@10.0.2.1>\r\n", RIG_SDP_B);
	rig_expect(rig, "ACK sip:f2@");
	rig_reply(rig, rig_expect(rig, "BYE sip:f2@"), "200 OK", "", "", "");
	rig_silence(rig);
	rig_free(rig);
}

// The call is over before the dead peer speaks: its answer is put down without the call.
static void orphan_answers_late(void **state)
{
	struct rig *rig = rig_new();

	rig_route(rig, "0");
	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *one = rig_expect(rig, "INVITE ");
	rig_advance(rig, 5000);
	assert_int_equal(rig_cdr(rig)->sip_code, 408);
	assert_int_equal(rig_cdr(rig)->cause, 102);
	assert_int_equal(td_engine_calls(rig->engine), 0);
	assert_int_equal(rig->host.held[TD_LIMIT_TRUNK], 0);
	rig->host.n_read = rig->host.n_sent;
	rig_reply(rig, one, "200 OK", "one", "Contact: <sip:late@10.0.2.1>\r\n", RIG_SDP_B);
	rig_expect(rig, "ACK sip:late@10.0.2.1 ");
	rig_reply(rig, rig_expect(rig, "BYE sip:late@10.0.2.1 "), "200 OK", "", "", "");
	rig_free(rig);
}

static void cancel_before_any_provisional(void **state)
{
	struct rig *rig = rig_new();

	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_cancel(rig, "Reason: SIP;cause=200;text=\"elsewhere\"\r\n");
	rig_expect(rig, "SIP/2.0 200 ");
	rig_expect(rig, "SIP/2.0 487 ");
	rig_silence(rig); // no CANCEL before B has spoken (§9.1)
	rig_reply(rig, invite, "100 Trying", "", "", "");
	const struct fake_sent *cancel = rig_expect(rig, "CANCEL ");
	assert_string_equal(fake_header(cancel, "Reason"), "SIP;cause=200;text=\"elsewhere\"");
	rig_reply(rig, cancel, "200 OK", "btag", "", "");
	rig_reply(rig, invite, "487 Request Terminated", "btag", "", "");
	rig_expect(rig, "ACK ");
	assert_int_equal(rig_cdr(rig)->sip_code, 487);
	assert_int_equal(rig_cdr(rig)->released_by, TD_RELEASED_A);
	rig_free(rig);
}

static void cancel_while_ringing(void **state)
{
	struct rig *rig = rig_new();

	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "180 Ringing", "btag", "", "");
	rig_expect(rig, "SIP/2.0 180 ");
	rig_cancel(rig, "");
	rig_expect(rig, "SIP/2.0 200 ");
	rig_reply(rig, rig_expect(rig, "CANCEL "), "200 OK", "btag", "", "");
	rig_expect(rig, "SIP/2.0 487 ");
	rig_reply(rig, invite, "487 Request Terminated", "btag", "", "");
	rig_expect(rig, "ACK ");
	assert_true(rig_cdr(rig)->ring_us != 0);
	rig_free(rig);
}

// The CANCEL crosses B's 200: that dialog is ACKed and ended, A has its 487.
static void cancel_crosses_the_answer(void **state)
{
	struct rig *rig = rig_new();

	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "180 Ringing", "btag", "", "");
	rig_expect(rig, "SIP/2.0 180 ");
	rig_cancel(rig, "");
	rig_expect(rig, "SIP/2.0 200 ");
	const struct fake_sent *cancel = rig_expect(rig, "CANCEL ");
	rig_expect(rig, "SIP/2.0 487 ");
	rig_reply(rig, invite, "200 OK", "btag", "Contact: <sip:b@10.0.2.1>\r\n", RIG_SDP_B);
	rig_expect(rig, "ACK sip:b@10.0.2.1 ");
	rig_reply(rig, rig_expect(rig, "BYE sip:b@10.0.2.1 "), "200 OK", "", "", "");
	rig_reply(rig, cancel, "481 Gone", "btag", "", "");
	rig_silence(rig);
	assert_int_equal(rig_cdr(rig)->sip_code, 487);
	rig_free(rig);
}

static void bye_in_an_early_dialog(void **state)
{
	struct rig *rig = rig_new();
	struct rig_dialog a;

	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "180 Ringing", "btag", "", "");
	rig_dialog_a(rig, rig_expect(rig, "SIP/2.0 180 "), &a);
	rig_send(rig, &a, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200 ");
	rig_expect(rig, "CANCEL ");
	rig_expect(rig, "SIP/2.0 487 ");
	rig_reply(rig, invite, "487 Request Terminated", "btag", "", "");
	rig_expect(rig, "ACK ");
	assert_int_equal(rig_cdr(rig)->released_by, TD_RELEASED_A);
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

// The far end ends its ringing by BYE: it is answered, the INVITE is taken back, and A does not
// wait for nothing.
static void bye_of_b_in_an_early_dialog(void **state)
{
	struct rig *rig = rig_new();
	struct rig_dialog b;

	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "180 Ringing", "btag", "", "");
	rig_expect(rig, "SIP/2.0 180 ");
	rig_dialog_b(rig, invite, "btag", &b);
	rig_send(rig, &b, "OPTIONS", "", "");
	rig_expect(rig, "SIP/2.0 200 ");
	rig_send(rig, &b, "INVITE", "", "");
	rig_expect(rig, "SIP/2.0 491 ");
	rig_send(rig, &b, "UPDATE", "", "");
	rig_expect(rig, "SIP/2.0 405 ");
	struct rig_dialog thief = b;
	thief.flow = fake_flow(&rig->host, FAKE_EAST, "10.0.2.66", 5060);
	rig_send(rig, &thief, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 403 ");
	assert_int_equal(td_engine_calls(rig->engine), 1);
	rig_send(rig, &b, "BYE", "Reason: Q.850;cause=21\r\n", "");
	rig_expect(rig, "SIP/2.0 200 ");
	rig_expect(rig, "CANCEL ");
	rig_expect(rig, "SIP/2.0 480 ");
	rig_reply(rig, invite, "487 Request Terminated", "btag", "", "");
	rig_expect(rig, "ACK ");
	assert_int_equal(rig_cdr(rig)->released_by, TD_RELEASED_B);
	assert_int_equal(rig_cdr(rig)->cause, 21);
	assert_int_equal(rig->host.n_attempts, 1);
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

// Who has overheard a branch cannot take the call back, nor have an answer repeated to himself.
static void cancel_by_somebody_else(void **state)
{
	struct rig *rig = rig_new();
	const struct td_flow west = rig->west;

	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig->west = fake_flow(&rig->host, FAKE_WEST, "10.0.1.66", 5060);
	rig_cancel(rig, "");
	rig_invite(rig, "", RIG_SDP_A);
	rig_silence(rig); // a stranger
	rig->west = west;
	assert_int_equal(td_engine_calls(rig->engine), 1);
	rig_reply(rig, invite, "486 Busy Here", "btag", "", "");
	rig_expect(rig, "ACK ");
	rig_expect(rig, "SIP/2.0 486 ");
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

// A Reason is for the other side as long as it names no address of this one.
static void cancel_reason_hides(void **state)
{
	struct rig *rig = rig_new();

	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "180 Ringing", "btag", "", "");
	rig_expect(rig, "SIP/2.0 180 ");
	rig_cancel(rig, "Reason: SIP;cause=200;text=\"taken by 10.0.1.9\"\r\n");
	rig_expect(rig, "SIP/2.0 200 ");
	RIG_LACKS(rig_expect(rig, "CANCEL "), "10.0.1.9");
	rig_expect(rig, "SIP/2.0 487 ");
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

// The same INVITE by another way (§8.2.2.2): refused, with a row of its own.
static void merged_request(void **state)
{
	struct rig *rig = rig_new();

	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_rx(rig, &rig->west,
		"INVITE sip:+49301234@10.0.1.254 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"10.0.1.1:5060;branch=z9hG4bKother\r\n"
		"From: <sip:+4930999@secretwest.example>;tag=atag\r\nTo: "
		"<sip:+49301234@10.0.1.254>\r\n"
		"Call-ID: secretwest-call\r\nCSeq: 1 INVITE\r\nContact: "
		"<sip:1@10.0.1.1>\r\nContent-Length: 0\r\n\r\n");
	rig_expect(rig, "SIP/2.0 482 ");
	assert_int_equal(rig_cdr(rig)->sip_code, 482);
	rig_reply(rig, invite, "486 Busy Here", "btag", "", "");
	rig_expect(rig, "ACK ");
	rig_expect(rig, "SIP/2.0 486 ");
	assert_int_equal(rig->host.n_ends, 2);
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

// Configured codes are those that B sends, also where A would be told another.
static void configured_failover_codes(void **state)
{
	static const char *const answers[] = { "302 Moved Temporarily",
		"407 Proxy Authentication Required" };

	for (unsigned i = 0; i < 2; i++) {
		struct rig *rig = rig_new();
		rig->trunks[1].failover_codes[0] = 302;
		rig->trunks[1].failover_codes[1] = 407;
		rig->trunks[1].n_failover_codes = 2;
		rig_policy(rig);
		rig_invite(rig, "", RIG_SDP_A);
		rig_reply(rig, rig_expect(rig, "INVITE "), answers[i], "btag", "", "");
		rig_expect(rig, "ACK ");
		rig_reply(rig, rig_expect(rig, "INVITE sip:+49301234@10.0.2.2:5060 "), answers[i],
			"btag", "", "");
		rig_expect(rig, "ACK ");
		rig_expect(rig, i == 0 ? "SIP/2.0 480 " : "SIP/2.0 403 ");
		// The rows keep what B said, A's what A was told.
		assert_int_equal(rig->host.n_attempts, 2);
		assert_int_equal(rig->host.attempts[0].sip_code, i == 0 ? 302 : 407);
		assert_int_equal(rig_cdr(rig)->sip_code, i == 0 ? 480 : 403);
		rig->host.n_read = rig->host.n_sent;
		rig_free(rig);
	}
}

// A redirection is not followed: where it points to is nobody's trunk. It decides, unless it is a
// failover code.
static void redirection_ends_the_call(void **state)
{
	struct rig *rig = rig_new();

	rig_invite(rig, "", RIG_SDP_A);
	rig_reply(rig, rig_expect(rig, "INVITE "), "302 Moved Temporarily", "btag",
		"Contact: <sip:49301234@10.0.2.2>;q=1\r\n", "");
	rig_expect(rig, "ACK ");
	const struct fake_sent *final = rig_expect(rig, "SIP/2.0 480 ");
	assert_string_equal(fake_header(final, "Contact"), "");
	RIG_LACKS(final, "10.0.2.");
	rig_silence(rig);
	assert_int_equal(rig->host.n_attempts, 1);
	assert_int_equal(rig->host.attempts[0].sip_code, 302);
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

// attempt_timeout is for a peer that says nothing; one that says 100 has the time that ringing has.
static void trying_stops_the_attempt_timeout(void **state)
{
	struct rig *rig = rig_new();

	rig->trunks[1].ring_timeout_ms = 20000;
	rig_policy(rig);
	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *one = rig_expect(rig, "INVITE ");
	rig_advance(rig, 100);
	rig_reply(rig, one, "100 Trying", "", "", "");
	rig_advance(rig, 15000); // a slow route
	rig_expect(rig, "SIP/2.0 100 ");
	rig_silence(rig);
	rig_reply(rig, one, "183 Session Progress", "one", "", RIG_SDP_B);
	rig_expect(rig, "SIP/2.0 183 ");
	rig_advance(rig, 19999); // ringing counts anew
	rig_silence(rig);
	rig_advance(rig, 1);
	rig_expect(rig, "CANCEL ");
	rig_expect(rig, "SIP/2.0 480 ");
	rig_reply(rig, one, "487 Request Terminated", "one", "", "");
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

// 100 and nothing else: after as long as it might have rung the next target is tried.
static void trying_for_ever(void **state)
{
	struct rig *rig = rig_new();

	rig->trunks[1].ring_timeout_ms = 20000;
	rig_policy(rig);
	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *one = rig_expect(rig, "INVITE sip:+49301234@10.0.2.1:5060 ");
	rig_reply(rig, one, "100 Trying", "", "", "");
	rig_advance(rig, 19999);
	rig_expect(rig, "SIP/2.0 100 ");
	rig_silence(rig);
	rig_advance(rig, 1);
	rig_expect(rig, "CANCEL ");
	const struct fake_sent *two = rig_expect(rig, "INVITE sip:+49301234@10.0.2.2:5060 ");
	assert_int_equal(rig->host.attempts[0].sip_code, 408);
	rig_reply(rig, one, "487 Request Terminated", "one", "", "");
	rig_expect(rig, "ACK ");
	rig_reply(rig, two, "486 Busy Here", "two", "", "");
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

// "Come back later" of one target is not said for the whole switch; of a busy callee it is.
static void retry_after_of_one_target(void **state)
{
	static const char *const answers[] = { "503 Service Unavailable",
		"480 Temporarily Unavailable" };

	for (unsigned i = 0; i < 2; i++) {
		struct rig *rig = rig_new();
		rig_route(rig, "0");
		rig_invite(rig, "", RIG_SDP_A);
		rig_reply(rig, rig_expect(rig, "INVITE "), answers[i], "btag",
			"Retry-After: 600\r\n", "");
		rig_expect(rig, "ACK ");
		const struct fake_sent *final = rig_expect(rig, "SIP/2.0 ");
		assert_string_equal(fake_header(final, "Retry-After"), i == 0 ? "" : "600");
		rig->host.n_read = rig->host.n_sent;
		rig_free(rig);
	}
}

static void nobody_picks_up(void **state)
{
	struct rig *rig = rig_new();

	rig->trunks[1].ring_timeout_ms = 20000;
	rig_policy(rig);
	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "180 Ringing", "btag", "", "");
	rig_expect(rig, "SIP/2.0 180 ");
	rig_advance(rig, 19999);
	rig_silence(rig);
	rig_advance(rig, 1);
	rig_expect(rig, "CANCEL ");
	rig_expect(rig, "SIP/2.0 480 ");
	rig_reply(rig, invite, "487 Request Terminated", "btag", "", "");
	rig_expect(rig, "ACK ");
	assert_int_equal(rig_cdr(rig)->sip_code, 480);
	assert_int_equal(rig_cdr(rig)->cause, 19);
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

static void total_time(void **state)
{
	struct rig *rig = rig_new();

	rig->trunks[0].ring_timeout_ms = 7000;
	rig_policy(rig);
	rig_invite(rig, "", RIG_SDP_A);
	rig_advance(rig, 6999);
	assert_int_equal(rig->host.n_ends, 0);
	rig_advance(rig, 1);
	assert_int_equal(rig_cdr(rig)->sip_code, 408);
	assert_int_equal(rig->host.n_attempts, 2);
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

// --- refusals ---

static void refused(struct rig *rig, const char *status, uint16_t code)
{
	rig_expect(rig, status);
	rig_silence(rig);
	assert_int_equal(rig_cdr(rig)->sip_code, code);
	assert_int_equal(rig_cdr(rig)->complete, 1);
	assert_string_equal(rig_cdr(rig)->call_id_a, "secretwest-call");
	assert_string_equal(rig_cdr(rig)->trunk_in, "west");
	assert_int_equal(td_engine_calls(rig->engine), 0);
	rig->host.n_ends = 0;
	rig_free(rig);
}

static void no_route(void **state)
{
	struct rig *rig = rig_new();

	rig->host.route_answer = TD_REFUSED;
	rig->host.route.sip_code = 404;
	rig_invite(rig, "", RIG_SDP_A);
	refused(rig, "SIP/2.0 404 ", 404);
}

static void ingress_limit(void **state)
{
	struct rig *rig = rig_new();

	rig->host.trunk_error = -EDQUOT;
	rig_invite(rig, "", RIG_SDP_A);
	assert_true(fake_has(&rig->host.sent[0], "Retry-After: "));
	assert_int_equal(rig->host.counters[TD_C_SIP_TRUNK_CALLS], 1);
	refused(rig, "SIP/2.0 503 ", 503);
}

// limits.calls and limits.cps are those of the policy in force, so that a reload changes them.
static void whole_limit(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct rig *rig = rig_new();
		rig->host.call_error = i == 0 ? -EDQUOT : -EAGAIN;
		rig_invite(rig, "", RIG_SDP_A);
		assert_int_equal(rig->host.call_max, 77);
		assert_true(fake_has(&rig->host.sent[0], "Retry-After: "));
		assert_int_equal(
			rig->host.counters[i == 0 ? TD_C_SIP_LIMIT_CALLS : TD_C_SIP_LIMIT_CPS], 1);
		refused(rig, "SIP/2.0 503 ", 503);
	}
}

static void no_port(void **state)
{
	struct rig *rig = rig_new();

	rig->host.no_port = true;
	rig_invite(rig, "", RIG_SDP_A);
	assert_true(rig->host.counters[TD_C_SIP_NO_MEDIA_PORT] > 0);
	refused(rig, "SIP/2.0 503 ", 503);
}

static void draining(void **state)
{
	struct rig *rig = rig_new();

	td_engine_drain(rig->engine, true);
	rig_invite(rig, "", RIG_SDP_A);
	assert_true(fake_has(&rig->host.sent[0], "Retry-After: "));
	refused(rig, "SIP/2.0 503 ", 503);
}

static void disabled_trunk(void **state)
{
	struct rig *rig = rig_new();

	rig->trunks[0].enabled = false;
	rig_policy(rig);
	rig_invite(rig, "", RIG_SDP_A);
	assert_true(fake_has(&rig->host.sent[0], "Retry-After: "));
	assert_int_equal(rig->host.counters[TD_C_SIP_TRUNK_DISABLED], 1);
	refused(rig, "SIP/2.0 503 ", 503);
}

static void bad_sdp(void **state)
{
	struct rig *rig = rig_new();

	rig_invite(rig, "", "v=0\r\nnonsense\r\n");
	refused(rig, "SIP/2.0 400 ", 400);
}

static void no_contact(void **state)
{
	struct rig *rig = rig_new();

	rig_rx(rig, &rig->west,
		"INVITE sip:1@10.0.1.254 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"10.0.1.1;branch=z9hG4bKnone\r\n"
		"From: <sip:1@a>;tag=t\r\nTo: <sip:1@b>\r\nCall-ID: secretwest-call\r\nCSeq: 1 "
		"INVITE\r\n"
		"Content-Length: 0\r\n\r\n");
	refused(rig, "SIP/2.0 400 No Contact to Send Requests to\r\n", 400);
}

static void required_extension(void **state)
{
	struct rig *rig = rig_new();

	rig_invite(rig, "Require: 100rel, replaces\r\n", RIG_SDP_A);
	assert_string_equal(fake_header(&rig->host.sent[0], "Unsupported"), "100rel, replaces");
	refused(rig, "SIP/2.0 420 ", 420);
}

static void journal_full(void **state)
{
	struct rig *rig = rig_new();

	rig->host.reserve_error = -ENOSPC;
	rig_invite(rig, "", RIG_SDP_A);
	rig_expect(rig, "SIP/2.0 503 ");
	assert_int_equal(rig->host.n_ends, 0);
	assert_int_equal(rig->host.counters[TD_C_JOURNAL_FULL], 1);
	rig_free(rig);
}

static void pool_limit(void **state)
{
	struct rig *rig = rig_new();
	char text[2048];

	for (uint32_t i = 0; i <= rig->conf.max_calls; i++) {
		snprintf(text, sizeof(text),
			"INVITE sip:%u@10.0.1.254 SIP/2.0\r\nVia: SIP/2.0/UDP "
			"10.0.1.1;branch=z9hG4bKp%u\r\n"
			"From: <sip:1@a>;tag=t\r\nTo: <sip:2@b>\r\nCall-ID: many%u\r\nCSeq: 1 "
			"INVITE\r\n"
			"Contact: <sip:1@10.0.1.1>\r\nContent-Length: 0\r\n\r\n",
			i, i, i);
		rig_rx(rig, &rig->west, text);
		if (i < rig->conf.max_calls)
			rig_expect(rig, "INVITE ");
	}
	rig_expect(rig, "SIP/2.0 503 ");
	assert_int_equal(td_engine_calls(rig->engine), rig->conf.max_calls);
	assert_int_equal(rig->host.n_ends, 1);
	rig->host.n_ends = 0;
	td_engine_hangup_all(rig->engine, rig->host.now_ns, UINT32_MAX);
	rig->host.n_ends = 0;
	rig->host.n_attempts = 0;
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

// New calls cannot take the transactions that those which stand will need for their end.
static void transactions_are_kept_for_calls(void **state)
{
	struct rig *rig = rig_new();
	struct td_pool *pool = &rig->engine->txn->ctx;
	struct rig_call call;
	void *taken[4096];
	uint32_t n = 0;

	rig_call(rig, &call);
	assert_true(pool->n_free < 4096);
	while (pool->n_free > pool->capacity / 8)
		taken[n++] = td_pool_get(pool);
	rig_invite(rig, "", RIG_SDP_A);
	rig_silence(rig); // the copy of an INVITE that was answered
	rig_rx(rig, &rig->west,
		"INVITE sip:1@10.0.1.254 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"10.0.1.1;branch=z9hG4bKmore\r\n"
		"From: <sip:1@a>;tag=t\r\nTo: <sip:1@b>\r\nCall-ID: more\r\nCSeq: 1 INVITE\r\n"
		"Contact: <sip:1@10.0.1.1>\r\nContent-Length: 0\r\n\r\n");
	assert_string_equal(fake_header(rig_expect(rig, "SIP/2.0 503 "), "Retry-After"), "5");
	assert_int_equal(rig->host.counters[TD_C_SIP_NO_TRANSACTION], 1);
	rig_send(rig, &call.a, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200 ");
	rig_reply(rig, rig_expect(rig, "BYE "), "200 OK", "", "", "");
	while (n > 0)
		td_pool_put(pool, taken[--n]);
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

static void emergency_passes(void **state)
{
	struct rig *rig = rig_new();

	td_engine_drain(rig->engine, true);
	rig_rx(rig, &rig->west,
		"INVITE urn:service:sos SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.1.1;branch=z9hG4bKsos\r\n"
		"From: <sip:1@a>;tag=t\r\nTo: <urn:service:sos>\r\nCall-ID: sos\r\nCSeq: 1 "
		"INVITE\r\n"
		"Contact: <sip:1@10.0.1.1>\r\nContent-Length: 0\r\n\r\n");
	const struct fake_sent *invite = rig_expect(rig, "INVITE urn:service:sos SIP/2.0\r\n");
	assert_true(rig->host.last_query.emergency);
	assert_string_equal(fake_header(invite, "To"), "<urn:service:sos>");
	rig_reply(rig, invite, "486 Busy Here", "b", "", "");
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

static void telephone_uri(void **state)
{
	struct rig *rig = rig_new();

	rig_rx(rig, &rig->west,
		"INVITE tel:+49-30-1234;npdi SIP/2.0\r\nVia: SIP/2.0/UDP "
		"10.0.1.1;branch=z9hG4bKtel\r\n"
		"From: <sip:1@a>;tag=t\r\nTo: <tel:+49-30-1234>\r\nCall-ID: tel\r\nCSeq: 1 "
		"INVITE\r\n"
		"Contact: <sip:1@10.0.1.1>\r\nContent-Length: 0\r\n\r\n");
	const struct fake_sent *invite =
		rig_expect(rig, "INVITE sip:+49-30-1234;npdi@10.0.2.1:5060;user=phone SIP/2.0\r\n");
	assert_string_equal(rig->host.last_number, "49301234");
	rig_reply(rig, invite, "486 Busy Here", "b", "", "");
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

// Parameters of a number that name an address of A's side stay there.
static void telephone_context(void **state)
{
	static const char *const uris[] = { "tel:1234;phone-context=10.0.1.9",
		"sip:1234;phone-context=10.0.1.9@10.0.1.254" };

	for (unsigned i = 0; i < 2; i++) {
		struct rig *rig = rig_new();
		char text[1024];
		snprintf(text, sizeof(text),
			"INVITE %s SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.1.1;branch=z9hG4bKtel\r\n"
			"From: <sip:1@a>;tag=t\r\nTo: <sip:1@b>\r\nCall-ID: tel\r\nCSeq: 1 "
			"INVITE\r\n"
			"Contact: <sip:1@10.0.1.1>\r\nContent-Length: 0\r\n\r\n",
			uris[i]);
		rig_rx(rig, &rig->west, text);
		const struct fake_sent *invite = rig_expect(rig, "INVITE sip:1234@10.0.2.1:5060");
		RIG_LACKS(invite, "10.0.1.9");
		rig_reply(rig, invite, "486 Busy Here", "b", "", "");
		rig->host.n_read = rig->host.n_sent;
		rig_free(rig);
	}
}

// --- pending routes ---

static void pending_route_settled(void **state)
{
	struct rig *rig = rig_new();
	struct td_late_answer late = { .answer = TD_DONE };

	late.route = rig->host.route;
	rig->host.route_answer = TD_PENDING;
	rig_invite(rig, "", RIG_SDP_A);
	rig_silence(rig);
	rig_advance(rig, 200);
	rig_expect(rig, "SIP/2.0 100 ");
	late.cookie = rig->host.last_cookie + 1;
	td_engine_answer(rig->engine, rig->host.now_ns, &late);
	rig_silence(rig);
	late.cookie = rig->host.last_cookie;
	td_engine_answer(rig->engine, rig->host.now_ns, &late);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	RIG_HAS(invite, "c=IN IP4 10.0.2.254\r\n");
	td_engine_answer(rig->engine, rig->host.now_ns, &late);
	rig_silence(rig);
	rig_reply(rig, invite, "486 Busy Here", "b", "", "");
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

static void pending_route_cancelled_or_late(void **state)
{
	struct rig *rig = rig_new();
	struct td_late_answer late = { .answer = TD_DONE };

	late.route = rig->host.route;
	rig->host.route_answer = TD_PENDING;
	rig_invite(rig, "", RIG_SDP_A);
	rig_cancel(rig, "");
	rig_expect(rig, "SIP/2.0 200 ");
	rig_expect(rig, "SIP/2.0 487 ");
	late.cookie = rig->host.last_cookie;
	td_engine_answer(rig->engine, rig->host.now_ns, &late);
	rig_silence(rig);
	assert_int_equal(rig_cdr(rig)->sip_code, 487);
	rig_free(rig);

	rig = rig_new();
	rig->host.route_answer = TD_PENDING;
	rig_invite(rig, "", RIG_SDP_A);
	rig_advance(rig, 5000);
	rig_expect(rig, "SIP/2.0 100 ");
	rig_expect(rig, "SIP/2.0 503 ");
	assert_int_equal(rig_cdr(rig)->sip_code, 503);
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

static void egress_limit_takes_the_next_target(void **state)
{
	struct rig *rig = rig_new();

	rig->trunks[1].enabled = false;
	rig_policy(rig);
	rig_route(rig, "02");
	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE sip:+49301234@10.0.2.3:5060 ");
	rig_reply(rig, invite, "500 Oops", "b", "", "");
	rig_expect(rig, "ACK ");
	rig_expect(rig, "SIP/2.0 500 ");
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

static void answer_without_sdp(void **state)
{
	struct rig *rig = rig_new();

	rig_invite(rig, "", RIG_SDP_A);
	rig_reply(rig, rig_expect(rig, "INVITE "), "200 OK", "btag",
		"Contact: <sip:b@10.0.2.1>\r\n", "");
	rig_expect(rig, "ACK sip:b@");
	rig_reply(rig, rig_expect(rig, "BYE sip:b@"), "200 OK", "", "", "");
	rig_expect(rig, "SIP/2.0 502 ");
	assert_int_equal(rig_cdr(rig)->sip_code, 502);
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(busy_is_final),
		cmocka_unit_test(never_after_6xx),
		cmocka_unit_test(failover_has_a_fresh_tag),
		cmocka_unit_test(given_up_peer_answers_late),
		cmocka_unit_test(orphan_answers_late),
		cmocka_unit_test(answer_after_the_refusal),
		cmocka_unit_test(fork_answers_after_the_end),
		cmocka_unit_test(cancel_before_any_provisional),
		cmocka_unit_test(cancel_while_ringing),
		cmocka_unit_test(cancel_crosses_the_answer),
		cmocka_unit_test(bye_in_an_early_dialog),
		cmocka_unit_test(bye_of_b_in_an_early_dialog),
		cmocka_unit_test(cancel_by_somebody_else),
		cmocka_unit_test(cancel_reason_hides),
		cmocka_unit_test(merged_request),
		cmocka_unit_test(configured_failover_codes),
		cmocka_unit_test(redirection_ends_the_call),
		cmocka_unit_test(trying_stops_the_attempt_timeout),
		cmocka_unit_test(trying_for_ever),
		cmocka_unit_test(retry_after_of_one_target),
		cmocka_unit_test(nobody_picks_up),
		cmocka_unit_test(total_time),
		cmocka_unit_test(no_route),
		cmocka_unit_test(ingress_limit),
		cmocka_unit_test(whole_limit),
		cmocka_unit_test(no_port),
		cmocka_unit_test(draining),
		cmocka_unit_test(disabled_trunk),
		cmocka_unit_test(bad_sdp),
		cmocka_unit_test(no_contact),
		cmocka_unit_test(required_extension),
		cmocka_unit_test(journal_full),
		cmocka_unit_test(pool_limit),
		cmocka_unit_test(transactions_are_kept_for_calls),
		cmocka_unit_test(emergency_passes),
		cmocka_unit_test(telephone_uri),
		cmocka_unit_test(telephone_context),
		cmocka_unit_test(pending_route_settled),
		cmocka_unit_test(pending_route_cancelled_or_late),
		cmocka_unit_test(egress_limit_takes_the_next_target),
		cmocka_unit_test(answer_without_sdp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
