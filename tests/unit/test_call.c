// SPDX-License-Identifier: BSD-3-Clause
// Whole calls through the switch: set-up, media, end, and what each side may know of the other.
#include "sip/engine_priv.h"
#include "tests/unit/call_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void basic_call_by_a(void **state)
{
	struct rig *rig = rig_new();

	rig_invite(rig, "Supported: timer\r\nSession-Expires: 1800\r\n", RIG_SDP_A);
	const struct fake_sent *invite =
		rig_expect(rig, "INVITE sip:+49301234@10.0.2.1:5060 SIP/2.0\r\n");
	assert_int_equal(invite->flow.realm, FAKE_EAST);
	assert_string_equal(fake_header(invite, "Max-Forwards"), "19");
	assert_string_equal(fake_header(invite, "CSeq"), "1 INVITE");
	assert_string_equal(fake_header(invite, "Contact"), "<sip:10.0.2.254:5060>");
	assert_string_equal(fake_header(invite, "Content-Type"), "application/sdp");
	assert_string_equal(fake_header(invite, "Session-Expires"), "");
	assert_true(strncmp(fake_header(invite, "From"), "\"Alice\" <sip:+4930999@10.0.2.254",
			    32) == 0);
	assert_true(strncmp(fake_header(invite, "To"), "<sip:+49301234@10.0.2.1", 23) == 0);
	RIG_HAS(invite, "c=IN IP4 10.0.2.254\r\n");
	RIG_LACKS(invite, "secret");
	RIG_LACKS(invite, "10.0.1.");
	RIG_LACKS(invite, "atag");
	assert_string_equal(rig->host.last_number, "49301234");

	rig_reply(rig, invite, "180 Ringing", "btag", "Contact: <sip:secreteast@10.0.2.1>\r\n", "");
	const struct fake_sent *ringing = rig_expect(rig, "SIP/2.0 180 Ringing\r\n");
	assert_string_equal(fake_header(ringing, "Contact"), "<sip:10.0.1.254:5060>");
	RIG_LACKS(ringing, "secreteast");
	rig_reply(rig, invite, "200 OK", "btag", "Contact: <sip:secreteast@10.0.2.1:5070>\r\n",
		RIG_SDP_B);
	const struct fake_sent *ack =
		rig_expect(rig, "ACK sip:secreteast@10.0.2.1:5070 SIP/2.0\r\n");
	assert_string_equal(fake_header(ack, "CSeq"), "1 ACK");
	assert_int_equal(ack->flow.remote.port, 5070);
	const struct fake_sent *ok = rig_expect(rig, "SIP/2.0 200 OK\r\n");
	RIG_HAS(ok, "c=IN IP4 10.0.1.254\r\n");
	RIG_LACKS(ok, "10.0.2.");
	RIG_LACKS(ok, "secreteast");
	RIG_LACKS(ok, "btag");
	char early[64];
	snprintf(early, sizeof(early), "%s", strstr(fake_header(ringing, "To"), "tag="));
	RIG_HAS(ok, early);
	assert_int_equal(td_engine_legs(rig->engine), 2);
	assert_int_equal(rig->host.n_starts, 1);

	struct rig_dialog a;
	rig_dialog_a(rig, ok, &a);
	rig_send(rig, &a, "ACK", "", "");
	rig_silence(rig);
	rig_advance(rig, 3500);
	rig_silence(rig);

	rig_send(rig, &a, "BYE", "Reason: Q.850;cause=17\r\n", "");
	rig_expect(rig, "SIP/2.0 200 OK\r\n");
	const struct fake_sent *bye =
		rig_expect(rig, "BYE sip:secreteast@10.0.2.1:5070 SIP/2.0\r\n");
	assert_string_equal(fake_header(bye, "CSeq"), "2 BYE");
	assert_string_equal(fake_header(bye, "Reason"), "Q.850;cause=17");
	rig_reply(rig, bye, "200 OK", "", "", "");

	const struct td_cdr *cdr = rig_cdr(rig);
	assert_int_equal(cdr->sip_code, 200);
	assert_int_equal(cdr->cause, 17);
	assert_int_equal(cdr->released_by, TD_RELEASED_A);
	assert_int_equal(cdr->duration_us, 3500000);
	assert_int_equal(cdr->complete, 1);
	assert_string_equal(cdr->codec, "PCMA");
	assert_string_equal(cdr->trunk_in, "west");
	assert_string_equal(cdr->trunk_out, "east");
	assert_string_equal(cdr->from_number, "4930999");
	assert_string_equal(cdr->to_number, "49301234");
	assert_string_equal(cdr->call_id_a, "secretwest-call");
	assert_string_equal(cdr->call_id_b, fake_header(invite, "Call-ID"));
	assert_true(cdr->ring_us >= cdr->start_us && cdr->answer_us >= cdr->ring_us &&
		    cdr->end_us > cdr->answer_us);
	assert_int_equal(rig->host.n_attempts, 1);
	assert_string_equal(rig->host.attempts[0].peer, "10.0.2.1:5060");
	assert_string_equal(rig->host.attempts[0].cdr_id, cdr->id);
	assert_int_equal(rig->host.attempts[0].sip_code, 200);
	rig_free(rig);
}

static void bye_by_b(void **state)
{
	struct rig *rig = rig_new();
	struct rig_call call;

	rig_call(rig, &call);
	assert_int_equal(td_engine_calls(rig->engine), 1);
	rig_send(rig, &call.b, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200 OK\r\n");
	const struct fake_sent *bye =
		rig_expect(rig, "BYE sip:secretwest@10.0.1.1:5060 SIP/2.0\r\n");
	assert_string_equal(fake_header(bye, "Call-ID"), "secretwest-call");
	assert_string_equal(fake_header(bye, "From"), call.a.remote);
	assert_string_equal(fake_header(bye, "To"), call.a.local);
	rig_reply(rig, bye, "200 OK", "", "", "");
	assert_int_equal(rig_cdr(rig)->released_by, TD_RELEASED_B);
	assert_int_equal(rig_cdr(rig)->cause, 16);
	rig_free(rig);
}

static void byes_cross(void **state)
{
	struct rig *rig = rig_new();
	struct rig_call call;

	rig_call(rig, &call);
	rig_send(rig, &call.a, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200 OK\r\n");
	const struct fake_sent *bye = rig_expect(rig, "BYE ");
	rig_send(rig, &call.b, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200 OK\r\n");
	rig_reply(rig, bye, "481 Call/Transaction Does Not Exist", "", "", "");
	rig_silence(rig);
	rig_send(rig, &call.b, "OPTIONS", "", "");
	rig_expect(rig, "SIP/2.0 481 ");
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

static void early_media(void **state)
{
	struct rig *rig = rig_new();

	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "183 Session Progress", "btag", "", RIG_SDP_B);
	const struct fake_sent *progress = rig_expect(rig, "SIP/2.0 183 ");
	const char *sdp = strstr(progress->data, "\r\n\r\n");
	RIG_HAS(progress, "c=IN IP4 10.0.1.254\r\n");
	const struct fake_leg *west = leg_of(rig, FAKE_WEST), *east = leg_of(rig, FAKE_EAST);
	assert_int_equal(west->last.rtp.port, 40000);
	assert_int_equal(east->last.rtp.port, 50000);
	assert_true(west->last.peer != 0 && east->last.peer != 0);
	assert_int_equal(west->last.direction, TD_LEG_SENDRECV);
	assert_int_equal(west->last.timeout_s, 0);

	// B leaves the answer out of its 200: A gets the same again.
	rig_reply(rig, invite, "200 OK", "btag", "Contact: <sip:b@10.0.2.1>\r\n", "");
	rig_expect(rig, "ACK ");
	const struct fake_sent *ok = rig_expect(rig, "SIP/2.0 200 ");
	assert_string_equal(strstr(ok->data, "\r\n\r\n"), sdp);
	struct rig_dialog a;
	rig_dialog_a(rig, ok, &a);
	rig_send(rig, &a, "ACK", "", "");
	rig_send(rig, &a, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200 ");
	rig_reply(rig, rig_expect(rig, "BYE "), "200 OK", "", "", "");
	rig_free(rig);
}

static void delayed_offer(void **state)
{
	struct rig *rig = rig_new();
	struct rig_dialog a, b;

	rig_invite(rig, "", "");
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	assert_string_equal(fake_header(invite, "Content-Length"), "0");
	rig_reply(rig, invite, "200 OK", "btag", "Contact: <sip:b@10.0.2.1>\r\n", RIG_SDP_B);
	const struct fake_sent *ok = rig_expect(rig, "SIP/2.0 200 ");
	RIG_HAS(ok, "c=IN IP4 10.0.1.254\r\n");
	rig_silence(rig); // B's 200 waits for its ACK: the answer is still to come
	rig_reply(rig, invite, "200 OK", "btag", "Contact: <sip:b@10.0.2.1>\r\n", RIG_SDP_B);
	rig_silence(rig);
	rig_dialog_a(rig, ok, &a);
	rig_dialog_b(rig, invite, "btag", &b);
	rig_send(rig, &a, "ACK", "", RIG_SDP_A);
	const struct fake_sent *ack = rig_expect(rig, "ACK ");
	RIG_HAS(ack, "c=IN IP4 10.0.2.254\r\n");
	RIG_LACKS(ack, "10.0.1.");
	assert_int_equal(leg_of(rig, FAKE_WEST)->last.rtp.port, 40000);
	assert_int_equal(leg_of(rig, FAKE_EAST)->last.rtp.port, 50000);
	rig_reply(rig, invite, "200 OK", "btag", "Contact: <sip:b@10.0.2.1>\r\n", RIG_SDP_B);
	const struct fake_sent *again = rig_expect(rig, "ACK ");
	assert_string_equal(strstr(again->data, "\r\n\r\n"), strstr(ack->data, "\r\n\r\n"));
	rig_send(rig, &b, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200 ");
	rig_reply(rig, rig_expect(rig, "BYE "), "200 OK", "", "", "");
	rig_free(rig);
}

// B hangs up while its offer waits for the answer: what A's ACK brings is nobody's any more.
static void delayed_offer_and_bye(void **state)
{
	struct rig *rig = rig_new();
	struct rig_dialog a, b;

	rig_invite(rig, "", "");
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "200 OK", "btag", "Contact: <sip:b@10.0.2.1>\r\n", RIG_SDP_B);
	rig_dialog_a(rig, rig_expect(rig, "SIP/2.0 200 "), &a);
	rig_dialog_b(rig, invite, "btag", &b);
	rig_send(rig, &b, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200 ");
	rig_silence(rig);
	rig_send(rig, &a, "ACK", "", RIG_SDP_A);
	rig_reply(rig, rig_expect(rig, "BYE sip:secretwest@"), "200 OK", "", "", "");
	rig_silence(rig);
	rig_free(rig);
}

static void delayed_offer_without_answer(void **state)
{
	struct rig *rig = rig_new();
	struct rig_dialog a;

	rig_invite(rig, "", "");
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "200 OK", "btag", "Contact: <sip:b@10.0.2.1>\r\n", RIG_SDP_B);
	rig_dialog_a(rig, rig_expect(rig, "SIP/2.0 200 "), &a);
	rig_send(rig, &a, "ACK", "", "");
	rig_expect(rig, "ACK ");
	rig_reply(rig, rig_expect(rig, "BYE sip:secretwest@"), "200 OK", "", "", "");
	rig_reply(rig, rig_expect(rig, "BYE sip:b@"), "200 OK", "", "", "");
	assert_int_equal(rig_cdr(rig)->released_by, TD_RELEASED_SWITCH);
	rig_free(rig);
}

// The 200 is repeated from T1 up to T2 and given up after 64·T1 (§13.3.1.4).
static void lost_ack(void **state)
{
	static const uint32_t due_ms[] = { 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500,
		31500 };
	struct rig *rig = rig_new();
	uint64_t start;

	rig_invite(rig, "", RIG_SDP_A);
	rig_reply(rig, rig_expect(rig, "INVITE "), "200 OK", "btag",
		"Contact: <sip:b@10.0.2.1>\r\n", RIG_SDP_B);
	rig_expect(rig, "ACK ");
	start = rig_expect(rig, "SIP/2.0 200 ")->at_ms;
	rig_advance(rig, 31999);
	for (unsigned i = 0; i < sizeof(due_ms) / sizeof(due_ms[0]); i++)
		assert_int_equal(rig_expect(rig, "SIP/2.0 200 ")->at_ms - start, due_ms[i]);
	rig_silence(rig);
	rig_advance(rig, 1);
	rig_reply(rig, rig_expect(rig, "BYE sip:secretwest@"), "481 Gone", "", "", "");
	rig_reply(rig, rig_expect(rig, "BYE sip:b@"), "200 OK", "", "", "");
	assert_int_equal(rig_cdr(rig)->cause, 102);
	assert_int_equal(rig_cdr(rig)->released_by, TD_RELEASED_SWITCH);
	rig_free(rig);
}

// B hangs up before A's ACK is here: A's BYE waits for it (§15).
static void bye_waits_for_ack(void **state)
{
	struct rig *rig = rig_new();
	struct rig_dialog a, b;

	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "200 OK", "btag", "Contact: <sip:b@10.0.2.1>\r\n", RIG_SDP_B);
	rig_expect(rig, "ACK ");
	rig_dialog_a(rig, rig_expect(rig, "SIP/2.0 200 "), &a);
	rig_dialog_b(rig, invite, "btag", &b);
	rig_send(rig, &b, "BYE", "Reason: Q.850;cause=27\r\n", "");
	rig_expect(rig, "SIP/2.0 200 ");
	rig_silence(rig);
	rig_cdr(rig);
	rig_advance(rig, 500);
	rig_expect(rig, "SIP/2.0 200 ");
	rig_send(rig, &a, "ACK", "", "");
	const struct fake_sent *bye = rig_expect(rig, "BYE sip:secretwest@");
	assert_string_equal(fake_header(bye, "Reason"), "Q.850;cause=27");
	rig_reply(rig, bye, "200 OK", "", "", "");
	rig_silence(rig);
	rig_free(rig);
}

// Two Record-Routes on each side: BYEs of both go by the route set (§12.1, §12.2.1.1).
static void record_routes(void **state)
{
	struct rig *rig = rig_new();
	struct rig_dialog a, b;

	rig_invite(rig,
		"Record-Route: <sip:10.0.1.1:5062;lr;near>\r\nRecord-Route: "
		"<sip:w2.example;lr>\r\n",
		RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	RIG_LACKS(invite, "near");
	rig_reply(rig, invite, "200 OK", "btag",
		"Contact: <sip:b@192.0.2.9>\r\nRecord-Route: <sip:e2.example;lr>, "
		"<sip:10.0.2.2:5064;lr>\r\n",
		RIG_SDP_B);
	const struct fake_sent *ack = rig_expect(rig, "ACK sip:b@192.0.2.9 SIP/2.0\r\n");
	assert_string_equal(
		fake_header(ack, "Route"), "<sip:10.0.2.2:5064;lr>, <sip:e2.example;lr>");
	assert_int_equal(ack->flow.remote.port, 5064);
	assert_int_equal(ack->flow.remote.ip[3], 2);
	const struct fake_sent *ok = rig_expect(rig, "SIP/2.0 200 ");
	RIG_HAS(ok, "Record-Route: <sip:10.0.1.1:5062;lr;near>");
	RIG_HAS(ok, "w2.example");
	RIG_LACKS(ok, "e2.example");
	rig_dialog_a(rig, ok, &a);
	rig_dialog_b(rig, invite, "btag", &b);
	rig_send(rig, &a, "ACK", "", "");
	rig_send(rig, &b, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200 ");
	const struct fake_sent *bye =
		rig_expect(rig, "BYE sip:secretwest@10.0.1.1:5060 SIP/2.0\r\n");
	assert_string_equal(
		fake_header(bye, "Route"), "<sip:10.0.1.1:5062;lr;near>, <sip:w2.example;lr>");
	assert_int_equal(bye->flow.remote.port, 5062);
	rig_reply(rig, bye, "200 OK", "", "", "");
	rig_free(rig);
}

// A strict router takes the Request-URI, the target goes to the end; a target outside the trunk is
// not followed.
static void strict_route(void **state)
{
	struct rig *rig = rig_new();
	struct rig_dialog a;

	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "200 OK", "btag",
		"Contact: <sip:b@192.0.2.9>\r\nRecord-Route: <sip:e2.example;lr>, "
		"<sip:192.0.2.1>\r\n",
		RIG_SDP_B);
	const struct fake_sent *ack = rig_expect(rig, "ACK sip:192.0.2.1 SIP/2.0\r\n");
	assert_string_equal(fake_header(ack, "Route"), "<sip:e2.example;lr>, <sip:b@192.0.2.9>");
	assert_true(td_sockaddr_eq(&ack->flow.remote, &rig->east[0].remote));
	rig_dialog_a(rig, rig_expect(rig, "SIP/2.0 200 "), &a);
	rig_send(rig, &a, "ACK", "", "");
	rig_send(rig, &a, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200 ");
	const struct fake_sent *bye = rig_expect(rig, "BYE sip:192.0.2.1 SIP/2.0\r\n");
	assert_string_equal(fake_header(bye, "Route"), "<sip:e2.example;lr>, <sip:b@192.0.2.9>");
	rig_reply(rig, bye, "200 OK", "", "", "");
	rig_free(rig);
}

// IPv6 on A's side, IPv4 on B's; nothing of one family is seen on the other side.
static void two_families(void **state)
{
	struct rig *rig = rig_new();
	struct td_flow west = fake_flow(&rig->host, FAKE_WEST, "fd00:1::1", 5060);
	struct rig_dialog a;

	td_ip_parse(td_span_str("fd00:1::1"), &rig->trunks[0].peers[0].address);
	rig_policy(rig);
	rig_rx(rig, &west,
		"INVITE sip:+49301234@[fd00:1::fe] SIP/2.0\r\nVia: SIP/2.0/UDP "
		"[fd00:1::1]:5060;branch=z9hG4bK6\r\n"
		"From: <sip:1@[fd00:1::1]>;tag=a6\r\nTo: <sip:+49301234@[fd00:1::fe]>\r\nCall-ID: "
		"six\r\nCSeq: 1 INVITE\r\n"
		"Contact: <sip:1@[fd00:1::1]:5066>\r\nContent-Type: "
		"application/sdp\r\nContent-Length: 89\r\n\r\n"
		"v=0\r\no=- 1 1 IN IP6 fd00:1::7\r\ns=-\r\nc=IN IP6 fd00:1::7\r\nt=0 0\r\nm=audio "
		"4000 RTP/AVP 8 0\r\n");
	const struct fake_sent *invite = rig_expect(rig, "INVITE sip:+49301234@10.0.2.1:5060 ");
	RIG_HAS(invite, "c=IN IP4 10.0.2.254\r\n");
	RIG_LACKS(invite, "fd00:");
	rig_reply(rig, invite, "200 OK", "btag", "Contact: <sip:b@10.0.2.1>\r\n", RIG_SDP_B);
	rig_expect(rig, "ACK ");
	const struct fake_sent *ok = rig_expect(rig, "SIP/2.0 200 ");
	RIG_HAS(ok, "c=IN IP6 fd00:1::fe\r\n");
	RIG_HAS(ok, "Contact: <sip:[fd00:1::fe]:5060>\r\n");
	RIG_LACKS(ok, "10.0.");
	rig_dialog_a(rig, ok, &a);
	a.flow = west;
	rig_send(rig, &a, "ACK", "", "");
	assert_int_equal(td_engine_hangup_all(rig->engine, rig->host.now_ns, 1), 0);
	const struct fake_sent *bye = rig_expect(rig, "BYE sip:1@[fd00:1::1]:5066 ");
	assert_int_equal(bye->flow.remote.port, 5066);
	rig_reply(rig, bye, "200 OK", "", "", "");
	rig_reply(rig, rig_expect(rig, "BYE sip:b@"), "200 OK", "", "", "");
	rig_free(rig);
}

// A peer that was found by its host is called by it (RFC 3261 §8.1.1.1, §19.1.1), CANCEL alike.
static void host_of_the_peer(void **state)
{
	struct rig *rig = rig_new();
	struct td_trunk_conf *trunk = &rig->trunks[1];

	trunk->n_hosts = 1;
	td_span_cstr(TD_SPAN("sip.carrier.example"), trunk->hosts[0].name, TD_HOST_LEN);
	trunk->peers[0].host = 1;
	rig_policy(rig);
	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite =
		rig_expect(rig, "INVITE sip:+49301234@sip.carrier.example SIP/2.0\r\n");
	assert_true(td_sockaddr_eq(&invite->flow.remote, &rig->east[0].remote));
	assert_string_equal(fake_header(invite, "To"), "<sip:+49301234@sip.carrier.example>");
	rig_reply(rig, invite, "503 Service Unavailable", "b", "", "");
	rig_expect(rig, "ACK sip:+49301234@sip.carrier.example SIP/2.0\r\n");
	// The next one of the same trunk is an address.
	rig_reply(rig, rig_expect(rig, "INVITE sip:+49301234@10.0.2.2:5060 "), "486 Busy Here", "b",
		"", "");
	rig_expect(rig, "ACK ");
	rig_expect(rig, "SIP/2.0 486 ");
	rig_free(rig);
}

static void hangup_and_list(void **state)
{
	struct rig *rig = rig_new();
	struct rig_call call;
	struct td_call_view view[2];
	uint32_t cursor = 0;

	rig_call(rig, &call);
	assert_int_equal(td_engine_list(rig->engine, &cursor, view, 2), 1);
	assert_string_equal(view[0].state, "answered");
	assert_string_equal(view[0].trunk_out, "east");
	assert_string_equal(view[0].to, "49301234");
	assert_int_equal(view[0].n_legs, 2);
	assert_int_equal(
		td_engine_hangup(rig->engine, rig->host.now_ns, td_span_str("nobody")), -2);
	assert_int_equal(
		td_engine_hangup(rig->engine, rig->host.now_ns, td_span_str(view[0].id)), 0);
	rig_reply(rig, rig_expect(rig, "BYE sip:secretwest@"), "200 OK", "", "", "");
	const struct fake_sent *bye = rig_expect(rig, "BYE sip:secreteast@");
	assert_string_equal(fake_header(bye, "Reason"), "Q.850;cause=16");
	rig_reply(rig, bye, "200 OK", "", "", "");
	assert_string_equal(rig_cdr(rig)->id, view[0].id);
	assert_int_equal(rig_cdr(rig)->released_by, TD_RELEASED_SWITCH);
	cursor = 0;
	assert_int_equal(td_engine_list(rig->engine, &cursor, view, 2), 0);
	rig_free(rig);
}

static void hangup_all_while_ringing(void **state)
{
	struct rig *rig = rig_new();

	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "180 Ringing", "btag", "", "");
	rig_expect(rig, "SIP/2.0 180 ");
	assert_int_equal(td_engine_hangup_all(rig->engine, rig->host.now_ns, 10), 0);
	rig_expect(rig, "SIP/2.0 503 ");
	rig_reply(rig, rig_expect(rig, "CANCEL "), "200 OK", "btag", "", "");
	rig_reply(rig, invite, "487 Request Terminated", "btag", "", "");
	rig_expect(rig, "ACK ");
	assert_int_equal(rig_cdr(rig)->sip_code, 503);
	rig_advance(rig, 100);
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

static void media_timeout_and_stats(void **state)
{
	struct rig *rig = rig_new();
	struct rig_call call;

	rig->trunks[1].media_timeout_s = 30;
	rig_policy(rig);
	rig_call(rig, &call);
	struct fake_leg *west = (struct fake_leg *)(uintptr_t)leg_of(rig, FAKE_WEST);
	struct fake_leg *east = (struct fake_leg *)(uintptr_t)leg_of(rig, FAKE_EAST);
	assert_int_equal(west->last.timeout_s, 0);
	assert_int_equal(east->last.timeout_s, 30);
	west->stats = (struct td_leg_stats){
		.rx_packets = 11, .tx_packets = 12, .lost = 13, .jitter_ms = 1.5
	};
	east->stats = (struct td_leg_stats){
		.rx_packets = 21, .tx_packets = 22, .lost = 23, .jitter_ms = 2.5
	};
	td_engine_media_timeout(rig->engine, rig->host.now_ns, east->opened.call + 1);
	rig_silence(rig);
	td_engine_media_timeout(rig->engine, rig->host.now_ns, east->opened.call);
	rig_reply(rig, rig_expect(rig, "BYE sip:secretwest@"), "200 OK", "", "", "");
	rig_reply(rig, rig_expect(rig, "BYE sip:secreteast@"), "200 OK", "", "", "");
	const struct td_cdr *cdr = rig_cdr(rig);
	assert_int_equal(cdr->a.rtp_rx, 11);
	assert_int_equal(cdr->a.rtp_tx, 12);
	assert_int_equal(cdr->a.rtp_lost, 13);
	assert_int_equal(cdr->b.rtp_rx, 21);
	assert_int_equal(cdr->b.rtp_tx, 22);
	assert_true(cdr->b.jitter_ms == 2.5);
	assert_int_equal(rig->host.counters[TD_C_CALL_MEDIA_TIMEOUT], 1);
	rig_free(rig);
}

static void longest_duration(void **state)
{
	struct rig *rig = rig_new();
	struct rig_call call;

	rig->trunks[0].max_duration_s = 60;
	rig->trunks[1].max_duration_s = 5;
	rig_policy(rig);
	rig_call(rig, &call);
	rig_advance(rig, 4999);
	rig_silence(rig);
	rig_advance(rig, 1);
	rig_reply(rig, rig_expect(rig, "BYE sip:secretwest@"), "200 OK", "", "", "");
	rig_reply(rig, rig_expect(rig, "BYE sip:secreteast@"), "200 OK", "", "", "");
	assert_int_equal(rig_cdr(rig)->duration_us, 5000000);
	rig_free(rig);
}

// A call that lasts tells so at its intervals, and still ends when it has lasted long enough.
static void records_of_a_call_that_lasts(void **state)
{
	struct rig *rig = rig_new();
	struct rig_call call;

	rig->engine->conf.interim_s = 10;
	rig->trunks[0].max_duration_s = 25;
	rig_policy(rig);
	rig_call(rig, &call);
	for (unsigned i = 0; i < FAKE_LEGS_MAX; i++)
		rig->host.legs[i].stats =
			(struct td_leg_stats){ .rx_packets = 100, .tx_packets = 90 };
	rig_advance(rig, 9999);
	assert_int_equal(rig->host.n_interim, 0);
	rig_advance(rig, 1);
	assert_int_equal(rig->host.n_interim, 1);
	const struct td_cdr *interim = &rig->host.interim;
	assert_int_equal(interim->duration_us, 10000000);
	assert_int_equal(interim->end_us, 0);
	assert_int_equal(interim->complete, 0);
	assert_int_equal(interim->a.rtp_rx, 100);
	assert_int_equal(interim->b.rtp_tx, 90);
	rig_advance(rig, 14999);
	assert_int_equal(rig->host.n_interim, 2);
	assert_int_equal(interim->duration_us, 20000000);
	rig_silence(rig);
	rig_advance(rig, 1);
	rig_reply(rig, rig_expect(rig, "BYE sip:secretwest@"), "200 OK", "", "", "");
	rig_reply(rig, rig_expect(rig, "BYE sip:secreteast@"), "200 OK", "", "", "");
	assert_string_equal(rig_cdr(rig)->id, interim->id);
	assert_int_equal(rig_cdr(rig)->duration_us, 25000000);
	assert_int_equal(rig->host.n_interim, 2);
	rig_free(rig);
}

#define PARTS_TYPE "Content-Type: multipart/mixed;boundary=\"cut here\"\r\nMIME-Version: 1.0\r\n"
#define PARTS(sdp, handling)                                                                       \
	"--cut here\r\nContent-Type: application/ISUP;version=ansi\r\n"                            \
	"Content-Disposition: signal;handling=" handling "\r\n\r\nsecretisup\r\n--cut here\r\n"    \
	"Content-Type: application/sdp\r\n\r\n" sdp "\r\n--cut here--\r\n"

// Of a body of several parts the session description crosses, as if it stood alone; also to the
// second target.
static void bodies_of_several_parts(void **state)
{
	struct rig *rig = rig_new();
	struct rig_dialog a;

	rig_invite(rig, PARTS_TYPE, PARTS(RIG_SDP_A, "optional"));
	for (unsigned i = 0; i < 2; i++) {
		const struct fake_sent *invite = rig_expect(rig, "INVITE ");
		assert_string_equal(fake_header(invite, "Content-Type"), "application/sdp");
		assert_string_equal(fake_header(invite, "MIME-Version"), "");
		RIG_HAS(invite, "\r\n\r\nv=0\r\n");
		RIG_HAS(invite, "c=IN IP4 10.0.2.254\r\n");
		RIG_LACKS(invite, "secret");
		if (i == 0)
			rig_reply(rig, invite, "503 Unavailable", "btag", "", "");
		else
			rig_reply(rig, invite, "200 OK", "btag",
				PARTS_TYPE "Contact: <sip:b@10.0.2.2>\r\n",
				PARTS(RIG_SDP_B, "required")); // who is answered cannot refuse
		rig_expect(rig, "ACK ");
	}
	const struct fake_sent *ok = rig_expect(rig, "SIP/2.0 200 ");
	assert_string_equal(fake_header(ok, "Content-Type"), "application/sdp");
	RIG_LACKS(ok, "secreteast");
	RIG_LACKS(ok, "secretisup");
	rig_dialog_a(rig, ok, &a);
	rig_send(rig, &a, "ACK", "", "");
	rig_send(rig, &a, "INVITE", PARTS_TYPE, PARTS(RIG_SDP_A, "required"));
	assert_string_equal(fake_header(rig_expect(rig, "SIP/2.0 415 "), "Accept"),
		"application/sdp, multipart/mixed");
	rig_send(rig, &a, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200 ");
	rig_reply(rig, rig_expect(rig, "BYE "), "200 OK", "", "", "");
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

static void bodies_that_are_refused(void **state)
{
	static const struct {
		const char *body, *status;
		uint16_t code;
	} cases[] = {
		{ PARTS(RIG_SDP_A, "required"), "SIP/2.0 415 ", 415 },
		{ "--cut here\r\nContent-Type: text/plain\r\n\r\nx\r\n--cut here--\r\n",
			"SIP/2.0 415 ", 415 },
		{ "--cut here\r\nContent-Type: application/sdp\r\n\r\n" RIG_SDP_A,
			"SIP/2.0 400 Malformed Multipart Body\r\n", 400 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct rig *rig = rig_new();
		rig_invite(rig, PARTS_TYPE, cases[i].body);
		rig_expect(rig, cases[i].status);
		rig_silence(rig);
		assert_int_equal(rig_cdr(rig)->sip_code, cases[i].code);
		rig_free(rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(basic_call_by_a),
		cmocka_unit_test(bye_by_b),
		cmocka_unit_test(byes_cross),
		cmocka_unit_test(early_media),
		cmocka_unit_test(delayed_offer),
		cmocka_unit_test(delayed_offer_without_answer),
		cmocka_unit_test(delayed_offer_and_bye),
		cmocka_unit_test(lost_ack),
		cmocka_unit_test(bye_waits_for_ack),
		cmocka_unit_test(record_routes),
		cmocka_unit_test(strict_route),
		cmocka_unit_test(two_families),
		cmocka_unit_test(host_of_the_peer),
		cmocka_unit_test(hangup_and_list),
		cmocka_unit_test(hangup_all_while_ringing),
		cmocka_unit_test(media_timeout_and_stats),
		cmocka_unit_test(longest_duration),
		cmocka_unit_test(records_of_a_call_that_lasts),
		cmocka_unit_test(bodies_of_several_parts),
		cmocka_unit_test(bodies_that_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
