// SPDX-License-Identifier: BSD-3-Clause
// Inside a call that stands: re-INVITE both ways, hold, glare, INFO, order, and who may say what.
#include "tests/unit/call_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HOLD_A                                                                                     \
	"v=0\r\no=alice 11 23 IN IP4 10.0.1.77\r\ns=-\r\nc=IN IP4 10.0.1.77\r\nt=0 0\r\n"          \
	"m=audio 40000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 "                     \
	"telephone-event/8000\r\na=sendonly\r\n"
#define HELD_B                                                                                     \
	"v=0\r\no=bob 33 45 IN IP4 10.0.2.88\r\ns=-\r\nc=IN IP4 10.0.2.88\r\nt=0 0\r\n"            \
	"m=audio 50000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=recvonly\r\n"

static void finish(struct rig *rig, struct rig_call *call)
{
	rig_send(rig, &call->a, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200 ");
	rig_reply(rig, rig_expect(rig, "BYE "), "200 OK", "", "", "");
	rig_cdr(rig);
	rig_free(rig);
}

static const struct fake_leg *leg_of(struct rig *rig, uint16_t realm)
{
	for (uint32_t i = 0; i < rig->host.n_legs; i++)
		if (rig->host.legs[i].open && rig->host.legs[i].opened.realm == realm)
			return &rig->host.legs[i];
	fail_msg("no leg in realm %u", realm);
	return NULL;
}

static void hold_and_resume(void **state)
{
	struct rig *rig = rig_new();
	struct rig_call call;

	rig->trunks[0].media_timeout_s = rig->trunks[1].media_timeout_s = 30;
	rig_policy(rig);
	rig_call(rig, &call);
	rig_send(rig, &call.a, "INVITE", "", HOLD_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE sip:secreteast@10.0.2.1:5060 ");
	RIG_HAS(invite, "a=sendonly");
	RIG_HAS(invite, "To: <sip:+49301234@10.0.2.1");
	RIG_HAS(invite, ";tag=btag");
	assert_string_equal(fake_header(invite, "CSeq"), "2 INVITE");
	rig_reply(rig, invite, "200 OK", "", "Contact: <sip:moved@10.0.2.1>\r\n", HELD_B);
	rig_expect(rig, "ACK sip:moved@10.0.2.1 ");
	const struct fake_sent *ok = rig_expect(rig, "SIP/2.0 200 ");
	RIG_HAS(ok, "a=recvonly");
	RIG_LACKS(ok, "10.0.2.");
	const struct fake_leg *west = leg_of(rig, FAKE_WEST), *east = leg_of(rig, FAKE_EAST);
	assert_int_equal(west->last.direction, TD_LEG_RECV);
	assert_int_equal(west->last.timeout_s, 30);
	assert_int_equal(east->last.direction, TD_LEG_SEND);
	assert_int_equal(east->last.timeout_s, 0);
	rig_advance(rig, 500);
	rig_expect(rig, "SIP/2.0 200 "); // until its ACK
	rig_send(rig, &call.a, "ACK", "", "");
	rig_reply(rig, invite, "200 OK", "", "Contact: <sip:moved@10.0.2.1>\r\n", HELD_B);
	rig_expect(rig, "ACK sip:moved@10.0.2.1 ");

	rig_send(rig, &call.a, "INVITE", "", RIG_SDP_A);
	invite = rig_expect(rig, "INVITE sip:moved@10.0.2.1 ");
	rig_reply(rig, invite, "200 OK", "", "", RIG_SDP_B);
	rig_expect(rig, "ACK ");
	rig_expect(rig, "SIP/2.0 200 ");
	rig_send(rig, &call.a, "ACK", "", "");
	assert_int_equal(west->last.direction, TD_LEG_SENDRECV);
	assert_int_equal(east->last.direction, TD_LEG_SENDRECV);
	assert_int_equal(td_engine_legs(rig->engine), 2);
	finish(rig, &call);
}

static void reinvite_by_b(void **state)
{
	struct rig *rig = rig_new();
	struct rig_call call;

	rig_call(rig, &call);
	rig_send(rig, &call.b, "INVITE", "", HELD_B);
	const struct fake_sent *invite = rig_expect(rig, "INVITE sip:secretwest@10.0.1.1:5060 ");
	assert_string_equal(fake_header(invite, "Call-ID"), "secretwest-call");
	RIG_LACKS(invite, "10.0.2.");
	rig_reply(rig, invite, "200 OK", "", "Contact: <sip:a2@10.0.1.1>\r\n", HOLD_A);
	rig_expect(rig, "ACK sip:a2@10.0.1.1 ");
	rig_expect(rig, "SIP/2.0 200 ");
	rig_send(rig, &call.b, "ACK", "", "");
	rig_silence(rig);
	finish(rig, &call);
}

static void delayed_reinvite(void **state)
{
	struct rig *rig = rig_new();
	struct rig_call call;

	rig_call(rig, &call);
	rig_send(rig, &call.a, "INVITE", "", "");
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	assert_string_equal(fake_header(invite, "Content-Length"), "0");
	rig_reply(rig, invite, "200 OK", "", "", RIG_SDP_B);
	const struct fake_sent *ok = rig_expect(rig, "SIP/2.0 200 ");
	RIG_HAS(ok, "c=IN IP4 10.0.1.254");
	rig_silence(rig);
	rig_send(rig, &call.a, "ACK", "", HOLD_A);
	const struct fake_sent *ack = rig_expect(rig, "ACK ");
	RIG_HAS(ack, "a=sendonly");
	assert_string_equal(fake_header(ack, "CSeq"), "2 ACK");
	assert_int_equal(leg_of(rig, FAKE_WEST)->last.direction, TD_LEG_RECV);
	finish(rig, &call);
}

// A refused offer changes nothing; the code goes back as it is.
static void refused_reinvite(void **state)
{
	struct rig *rig = rig_new();
	struct rig_call call;

	rig_call(rig, &call);
	uint32_t modifies = leg_of(rig, FAKE_WEST)->n_modifies;
	rig_send(rig, &call.a, "INVITE", "", HOLD_A);
	rig_reply(rig, rig_expect(rig, "INVITE "), "488 Not Acceptable Here", "", "", "");
	rig_expect(rig, "ACK ");
	rig_expect(rig, "SIP/2.0 488 ");
	assert_int_equal(leg_of(rig, FAKE_WEST)->n_modifies, modifies);
	assert_int_equal(td_engine_calls(rig->engine), 1);
	rig->host.n_read = rig->host.n_sent;
	finish(rig, &call);
}

static void glare(void **state)
{
	struct rig *rig = rig_new();
	struct rig_call call;

	rig_call(rig, &call);
	rig_send(rig, &call.a, "INVITE", "", HOLD_A);
	const struct fake_sent *to_b = rig_expect(rig, "INVITE sip:secreteast@");
	rig_send(rig, &call.b, "INVITE", "", HELD_B);
	rig_expect(rig, "SIP/2.0 491 ");
	rig_send(rig, &call.b, "ACK", "", "");
	rig_reply(rig, to_b, "491 Request Pending", "", "", "");
	rig_expect(rig, "ACK ");
	rig_expect(rig, "SIP/2.0 491 ");
	rig_silence(rig);
	rig->host.n_read = rig->host.n_sent;
	// A second one of the same side before its first has an answer is out of order (§14.2).
	rig_send(rig, &call.a, "INVITE", "", HOLD_A);
	const struct fake_sent *again = rig_expect(rig, "INVITE ");
	rig_send(rig, &call.a, "INVITE", "", HOLD_A);
	RIG_HAS(rig_expect(rig, "SIP/2.0 500 "), "Retry-After: ");
	rig_reply(rig, again, "491 Request Pending", "", "", "");
	rig->host.n_read = rig->host.n_sent;
	finish(rig, &call);
}

static void bye_during_a_reinvite(void **state)
{
	struct rig *rig = rig_new();
	struct rig_call call;

	rig_call(rig, &call);
	rig_send(rig, &call.a, "INVITE", "", HOLD_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_send(rig, &call.b, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200 ");
	const struct fake_sent *bye = rig_expect(rig, "BYE sip:secretwest@");
	rig_expect(rig, "SIP/2.0 487 ");
	rig_reply(rig, bye, "200 OK", "", "", "");
	rig_reply(rig, invite, "487 Request Terminated", "", "", "");
	rig_cdr(rig);
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

static void cancelled_reinvite(void **state)
{
	struct rig *rig = rig_new();
	struct rig_call call;
	char text[2048];

	rig_call(rig, &call);
	rig_send(rig, &call.a, "INVITE", "", HOLD_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "100 Trying", "", "", "");
	snprintf(text, sizeof(text),
		"CANCEL %s SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.1.1:5060;branch=z9hG4bKr%u\r\nFrom: "
		"%s\r\nTo: %s\r\n"
		"Call-ID: %s\r\nCSeq: %u CANCEL\r\nContent-Length: 0\r\n\r\n",
		call.a.target, rig->branch, call.a.local, call.a.remote, call.a.call_id,
		call.a.cseq);
	rig_rx(rig, &rig->west, text);
	rig_expect(rig, "SIP/2.0 200 ");
	rig_expect(rig, "CANCEL ");
	rig_reply(rig, invite, "487 Request Terminated", "", "", "");
	rig_expect(rig, "ACK ");
	rig_expect(rig, "SIP/2.0 487 ");
	rig->host.n_read = rig->host.n_sent;
	finish(rig, &call);
}

static void reinvite_finds_no_dialog(void **state)
{
	struct rig *rig = rig_new();
	struct rig_call call;

	rig_call(rig, &call);
	rig_send(rig, &call.a, "INVITE", "", HOLD_A);
	rig_reply(rig, rig_expect(rig, "INVITE "), "481 Gone", "", "", "");
	rig_expect(rig, "ACK ");
	rig_expect(rig, "SIP/2.0 481 ");
	rig_reply(rig, rig_expect(rig, "BYE sip:secretwest@"), "200 OK", "", "", "");
	rig_reply(rig, rig_expect(rig, "BYE sip:secreteast@"), "481 Gone", "", "", "");
	assert_int_equal(rig_cdr(rig)->released_by, TD_RELEASED_SWITCH);
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

static void lost_ack_of_a_reinvite(void **state)
{
	struct rig *rig = rig_new();
	struct rig_call call;
	const struct fake_sent *sent, *byes[2];
	unsigned n = 0;

	rig_call(rig, &call);
	rig_send(rig, &call.b, "INVITE", "", HELD_B);
	rig_reply(rig, rig_expect(rig, "INVITE "), "200 OK", "", "", HOLD_A);
	rig_advance(rig, 32000);
	while ((sent = fake_next(&rig->host)))
		if (fake_starts(sent, "BYE ") && n < 2)
			byes[n++] = sent;
	assert_int_equal(n, 2);
	rig_reply(rig, byes[0], "200 OK", "", "", "");
	rig_reply(rig, byes[1], "200 OK", "", "", "");
	rig_cdr(rig);
	rig_free(rig);
}

static void info_goes_through(void **state)
{
	struct rig *rig = rig_new();
	struct rig_call call;

	rig_call(rig, &call);
	rig_send(rig, &call.a, "INFO", "", "Signal=5\r\n");
	const struct fake_sent *info = rig_expect(rig, "INFO sip:secreteast@");
	RIG_HAS(info, "\r\n\r\nSignal=5\r\n");
	assert_string_equal(fake_header(info, "Max-Forwards"), "69");
	rig_reply(rig, info, "415 Unsupported Media Type", "", "", "");
	rig_expect(rig, "SIP/2.0 415 ");
	rig_send(rig, &call.b, "INFO", "", "");
	rig_reply(rig, rig_expect(rig, "INFO sip:secretwest@"), "200 OK", "", "", "");
	rig_expect(rig, "SIP/2.0 200 ");
	finish(rig, &call);
}

// A body with an address, or of no type, stays on its side.
static void info_hides(void **state)
{
	struct rig *rig = rig_new();
	struct rig_call call;

	rig_call(rig, &call);
	rig_send(rig, &call.a, "INFO", "", "Signal=5\r\nfrom 10.0.1.9\r\n");
	assert_true(fake_header(rig_expect(rig, "SIP/2.0 415 "), "Accept")[0] != '\0');
	rig_silence(rig);
	rig_send(rig, &call.a, "INFO", "", "Signal=5\r\n");
	rig_reply(rig, rig_expect(rig, "INFO "), "200 OK", "", "", "at 10.0.2.9\r\n");
	const struct fake_sent *ok = rig_expect(rig, "SIP/2.0 200 ");
	RIG_LACKS(ok, "10.0.2.9");
	assert_string_equal(fake_header(ok, "Content-Length"), "0");
	rig_send(rig, &call.a, "INFO", "", "");
	rig_reply(rig, rig_expect(rig, "INFO "), "401 Unauthorized", "", "", "");
	rig_expect(rig, "SIP/2.0 403 "); // as with every challenge: it is meant for the switch
	finish(rig, &call);
}

// The far end asks its user about the new session: the requester hears of it, once for each.
static void reinvite_rings(void **state)
{
	struct rig *rig = rig_new();
	struct rig_call call;

	rig_call(rig, &call);
	rig_send(rig, &call.a, "INVITE", "", HOLD_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "100 Trying", "", "", "");
	rig_silence(rig);
	rig_reply(rig, invite, "183 Session Progress", "", "", HELD_B);
	const struct fake_sent *progress = rig_expect(rig, "SIP/2.0 183 ");
	assert_string_equal(fake_header(progress, "Content-Length"), "0");
	RIG_LACKS(progress, "secreteast");
	rig_reply(rig, invite, "200 OK", "", "", HELD_B);
	rig_expect(rig, "ACK ");
	rig_expect(rig, "SIP/2.0 200 ");
	rig_send(rig, &call.a, "ACK", "", "");
	finish(rig, &call);
}

static void methods_in_the_dialog(void **state)
{
	static const char *const refused[] = { "UPDATE", "PRACK", "REFER", "NOTIFY", "WHATEVER" };
	struct rig *rig = rig_new();
	struct rig_call call;

	rig_call(rig, &call);
	for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		rig_send(rig, &call.a, refused[i], "", "");
		assert_true(fake_header(rig_expect(rig, "SIP/2.0 405 "), "Allow")[0] != '\0');
	}
	rig_send(rig, &call.b, "OPTIONS", "", "");
	rig_expect(rig, "SIP/2.0 200 ");
	rig_send(rig, &call.b, "INFO", "Require: nothing\r\n", "");
	rig_expect(rig, "SIP/2.0 420 ");
	call.b.cseq -= 2;
	rig_send(rig, &call.b, "INFO", "", "");
	rig_expect(rig, "SIP/2.0 500 ");
	finish(rig, &call);
}

// The tag is ours and right, the rest is not: nothing happens to the call.
static void wrong_senders(void **state)
{
	struct rig *rig = rig_new();
	struct rig_call call;

	rig_call(rig, &call);
	struct rig_dialog thief = call.a;
	thief.flow = rig->east[0]; // the same words in another realm
	rig_send(rig, &thief, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 481 ");
	thief = call.a;
	thief.flow = fake_flow(&rig->host, FAKE_WEST, "10.0.1.66", 5060);
	rig_send(rig, &thief, "BYE", "", "");
	const struct fake_sent *sent = fake_next(&rig->host); // 403 or silence, as the realm is set
	assert_true(!sent || fake_starts(sent, "SIP/2.0 403 "));
	thief = call.a;
	snprintf(thief.call_id, sizeof(thief.call_id), "other");
	rig_send(rig, &thief, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 481 ");
	thief = call.a;
	memcpy(strstr(thief.local, "tag="), "tag=ATAG", 8);
	rig_send(rig, &thief, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 481 ");
	rig_send(rig, &thief, "ACK", "", "");
	rig_silence(rig);
	assert_int_equal(td_engine_calls(rig->engine), 1);
	call.a.cseq++;
	finish(rig, &call);
}

// A reload moves and renames trunks under a call: its dialog still knows where it belongs.
static void reload_in_mid_call(void **state)
{
	struct rig *rig = rig_new();
	struct rig_call call;

	rig_call(rig, &call);
	struct td_trunk_conf west = rig->trunks[0];
	rig->trunks[0] = rig->trunks[2];
	rig->trunks[2] = west;
	rig_policy(rig);
	rig_send(rig, &call.a, "INFO", "", "");
	rig_reply(rig, rig_expect(rig, "INFO sip:secreteast@10.0.2.1:5060 "), "200 OK", "", "", "");
	rig_expect(rig, "SIP/2.0 200 ");
	finish(rig, &call);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hold_and_resume),
		cmocka_unit_test(reinvite_by_b),
		cmocka_unit_test(delayed_reinvite),
		cmocka_unit_test(refused_reinvite),
		cmocka_unit_test(glare),
		cmocka_unit_test(bye_during_a_reinvite),
		cmocka_unit_test(cancelled_reinvite),
		cmocka_unit_test(reinvite_finds_no_dialog),
		cmocka_unit_test(lost_ack_of_a_reinvite),
		cmocka_unit_test(info_goes_through),
		cmocka_unit_test(info_hides),
		cmocka_unit_test(reinvite_rings),
		cmocka_unit_test(methods_in_the_dialog),
		cmocka_unit_test(wrong_senders),
		cmocka_unit_test(reload_in_mid_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
