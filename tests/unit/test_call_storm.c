// SPDX-License-Identifier: BSD-3-Clause
// One call at a time under phones that do anything at any moment, from seeds: answer twice, late or
// never, hang up, hold, cancel and repeat themselves. Whatever they do: one detail record, and
// nothing left.
#include "tests/unit/call_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#ifndef SEEDS
#define SEEDS 400
#endif
#define STEPS 60

struct storm {
	struct rig *rig;
	uint64_t random;
	const struct fake_sent *requests[64]; // that the switch sent to either side
	uint32_t n_requests;
	struct rig_dialog a, b;
	bool a_known, b_known;
};

static uint32_t below(struct storm *storm, uint32_t n)
{
	storm->random = storm->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(storm->random >> 33) % n;
}

static void respond(struct storm *storm, const struct fake_sent *request)
{
	static const char *const refusals[] = { "486 Busy", "503 No", "500 Oops", "404 None",
		"603 No", "491 Pending", "481 Gone", "302 There", "407 Who" };
	static const char *const tags[] = { "one", "two" };
	struct rig *rig = storm->rig;
	bool invite = fake_starts(request, "INVITE ");
	const char *tag =
		strstr(fake_header(request, "To"), ";tag=") ? "" : tags[below(storm, 8) == 0];
	const char *sdp = request->flow.realm == FAKE_EAST ? RIG_SDP_B : RIG_SDP_A;

	switch (below(storm, 8)) {
	case 0:
		break;
	case 1:
		rig_reply(rig, request, refusals[below(storm, 9)], tag, "", "");
		break;
	case 2:
	case 3:
		rig_reply(rig, request, below(storm, 2) ? "180 Ringing" : "183 Progress", tag, "",
			invite && below(storm, 2) ? sdp : "");
		break;
	case 4:
		rig_reply(rig, request, "100 Trying", "", "", "");
		break;
	default:
		rig_reply(rig, request, "200 OK", tag, "Contact: <sip:x@10.0.2.1>\r\n",
			invite && below(storm, 12) ? sdp
			: below(storm, 2)          ? ""
						   : "nonsense");
		if (invite && request->flow.realm == FAKE_EAST && tag[0] && !storm->b_known) {
			rig_dialog_b(rig, request, tag, &storm->b);
			storm->b_known = true;
		}
	}
}

static void react(struct storm *storm, const struct fake_sent *sent)
{
	if (!fake_starts(sent, "SIP/2.0 ")) {
		if (!fake_starts(sent, "ACK ") && storm->n_requests < 64)
			storm->requests[storm->n_requests++] = sent;
		if (!fake_starts(sent, "ACK "))
			respond(storm, sent);
		return;
	}
	bool invite = strstr(fake_header(sent, "CSeq"), "INVITE") != NULL;
	if (!invite || !fake_starts(sent, "SIP/2.0 2"))
		return;
	bool b = sent->flow.realm == FAKE_EAST;
	struct rig_dialog *dialog = b ? &storm->b : &storm->a;
	if (!b && !storm->a_known) {
		rig_dialog_a(storm->rig, sent, dialog);
		storm->a_known = true;
	}
	if (below(storm, 6) == 0)
		return;
	uint32_t cseq = dialog->cseq;
	dialog->cseq = (uint32_t)atoi(fake_header(sent, "CSeq"));
	rig_send(storm->rig, dialog, "ACK", "", below(storm, 3) ? "" : b ? RIG_SDP_B : RIG_SDP_A);
	dialog->cseq = cseq;
}

static void whim(struct storm *storm)
{
	static const char *const methods[] = { "BYE", "INVITE", "INVITE", "INVITE", "INFO",
		"OPTIONS", "UPDATE", "ACK" };
	struct rig *rig = storm->rig;
	bool b = storm->b_known && below(storm, 2);
	const char *method = methods[below(storm, 8)];

	switch (below(storm, 9)) {
	case 0:
		rig_cancel(rig, below(storm, 2) ? "" : "Reason: Q.850;cause=31\r\n");
		break;
	case 1:
		rig_advance(rig, below(storm, 40000));
		break;
	case 2:
	case 3:
		if (storm->n_requests > 0)
			respond(storm, storm->requests[below(storm, storm->n_requests)]);
		break;
	case 4:
		if (below(storm, 8) == 0)
			td_engine_hangup_all(rig->engine, rig->host.now_ns, 10);
		break;
	case 5:
		rig_policy(rig);
		break;
	default:
		if (b || storm->a_known)
			rig_send(rig, b ? &storm->b : &storm->a, method, "",
				strcmp(method, "INVITE") == 0 && below(storm, 3)
					? (b ? RIG_SDP_B : RIG_SDP_A)
					: "");
		else
			rig_advance(rig, below(storm, 6000));
	}
}

static void storm_run(uint64_t seed)
{
	struct storm *storm = calloc(1, sizeof(*storm));

	storm->rig = rig_new();
	storm->random = seed;
	rig_route(storm->rig, "012");
	rig_invite(storm->rig, "", below(storm, 4) ? RIG_SDP_A : "");
	for (unsigned step = 0; step < STEPS; step++) {
		const struct fake_sent *sent =
			below(storm, 4) ? fake_next(&storm->rig->host) : NULL;
		if (sent)
			react(storm, sent);
		else
			whim(storm);
	}
	td_engine_hangup_all(storm->rig->engine, storm->rig->host.now_ns, 10);
	assert_int_equal(storm->rig->host.n_ends, 1);
	rig_free(storm->rig);
	free(storm);
}

static void any_order(void **state)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		storm_run(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(any_order) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
