// SPDX-License-Identifier: BSD-3-Clause
// As many calls as limits.calls allows ring at the same time, for longer than anybody plans for:
// each of them is held.
#include "tests/unit/call_rig.h"
#include "sip/engine_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { CALLS = 3000, CPS = 20 }; // 150 s of ringing, of the 180 that are allowed

static void invite(struct rig *rig, unsigned n)
{
	char text[4096];

	// As long as a carrier's INVITE is.
	snprintf(text, sizeof(text),
		"INVITE sip:+4930%07u@10.0.1.254:5060;user=phone SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 10.0.1.1:5060;branch=z9hG4bK-524287-1---%u\r\n"
		"Via: SIP/2.0/UDP "
		"192.168.20.30:5060;received=10.9.8.7;branch=z9hG4bK-another-hop-%u\r\n"
		"Record-Route: <sip:10.0.1.1:5060;lr;ftag=%u>\r\n"
		"Max-Forwards: 68\r\n"
		"From: \"A Caller With A Name\" "
		"<sip:+4930999%u@10.0.1.1;user=phone>;tag=caller-%u\r\n"
		"To: <sip:+4930%07u@10.0.1.254;user=phone>\r\n"
		"Call-ID: 8a7b6c5d4e3f2a1b0c9d8e7f-%u@10.0.1.1\r\n"
		"CSeq: 1 INVITE\r\n"
		"Contact: <sip:+4930999%u@192.168.20.30:5060;transport=udp>\r\n"
		"P-Asserted-Identity: <sip:+4930999%u@10.0.1.1>\r\n"
		"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK\r\n"
		"Supported: timer, 100rel\r\nUser-Agent: carrier-sbc/7.4.1\r\n"
		"Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n" RIG_SDP_A,
		n, n, n, n, n, n, n, n, n, n, strlen(RIG_SDP_A));
	rig_rx(rig, &rig->west, text);
}

static void all_of_them_ring(void **state)
{
	struct rig *rig = rig_new();

	td_engine_free(rig->engine);
	rig->conf.max_calls = CALLS;
	rig->conf.max_cps = CPS;
	rig->engine = td_engine_new(&rig->conf);
	assert_non_null(rig->engine);
	rig_policy(rig);
	for (unsigned n = 0; n < CALLS; n++) {
		invite(rig, n);
		const struct fake_sent *sent = fake_next(&rig->host);
		if (!sent || !fake_starts(sent, "INVITE "))
			fail_msg("call %u: %s", n, sent ? sent->data : "nothing");
		rig_reply(rig, sent, "100 Trying", "", "", "");
		rig_reply(rig, sent, "183 Session Progress", "callee",
			"Record-Route: <sip:10.0.2.1;lr>\r\nContact: <sip:callee@10.0.2.1>\r\n",
			RIG_SDP_B);
		rig_expect(rig, "SIP/2.0 183 ");
		fake_forget(&rig->host);
		rig_advance(rig, 1000 / CPS);
	}
	assert_int_equal(td_engine_calls(rig->engine), CALLS);
	assert_int_equal(rig->host.counters[TD_C_SIP_NO_MEMORY], 0);
	assert_int_equal(rig->host.counters[TD_C_SIP_NO_TRANSACTION], 0);
	print_message("a ringing call takes %zu bytes of text\n",
		td_slab_used(rig->engine->slab) / CALLS);
	invite(rig, CALLS); // one more is one too many
	assert_true(fake_starts(fake_next(&rig->host), "SIP/2.0 503 "));
	for (unsigned left = CALLS; left > 0;) {
		left = td_engine_hangup_all(rig->engine, rig->host.now_ns, FAKE_RECORDS_MAX / 2);
		rig->host.n_ends = rig->host.n_attempts = 0;
		rig_advance(rig, 20);
		fake_forget(&rig->host);
	}
	for (unsigned i = 0; i < 700; i++) {
		rig_advance(rig, 100);
		fake_forget(&rig->host);
	}
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(all_of_them_ring) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
