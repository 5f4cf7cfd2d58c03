// SPDX-License-Identifier: BSD-3-Clause
// Calls while text memory runs out: whatever step fails, the call ends in order, its row is
// written, nothing is left.
#include "tests/unit/call_rig.h"
#include "sip/engine_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HELD_MAX 4096
#define BLOCK 65536 // one chunk of the slab

struct hunger {
	char *held[HELD_MAX];
	uint32_t n;
};

// Takes every unused chunk but so many.
static void take_all_but(struct rig *rig, struct hunger *hunger, uint32_t spared)
{
	char *block;

	hunger->n = 0;
	while (hunger->n < HELD_MAX && (block = td_slab_get(rig->engine->slab, BLOCK)))
		hunger->held[hunger->n++] = block;
	while (spared-- > 0 && hunger->n > 0)
		td_slab_put(rig->engine->slab, hunger->held[--hunger->n]);
}

static void give_back(struct rig *rig, struct hunger *hunger)
{
	while (hunger->n > 0)
		td_slab_put(rig->engine->slab, hunger->held[--hunger->n]);
}

// Phones that answer whatever comes; B rings first, and its second INVITE is put on hold by itself.
static void pump(struct rig *rig, bool delayed)
{
	const struct fake_sent *sent;
	struct rig_dialog a;

	while ((sent = fake_next(&rig->host))) {
		if (fake_starts(sent, "INVITE ")) {
			rig_reply(rig, sent, "180 Ringing",
				strstr(fake_header(sent, "To"), "tag=") ? "" : "btag", "", "");
			rig_reply(rig, sent, "200 OK",
				strstr(fake_header(sent, "To"), "tag=") ? "" : "btag",
				"Contact: <sip:b@10.0.2.1>\r\n", RIG_SDP_B);
		} else if (fake_starts(sent, "BYE ") || fake_starts(sent, "CANCEL ")) {
			rig_reply(rig, sent, "200 OK", "", "", "");
		} else if (fake_starts(sent, "SIP/2.0 200 ") &&
			   strstr(fake_header(sent, "CSeq"), "INVITE")) {
			rig_dialog_a(rig, sent, &a);
			a.cseq = (uint32_t)atoi(fake_header(sent, "CSeq"));
			rig_send(rig, &a, "ACK", "", delayed ? RIG_SDP_A : "");
			if (a.cseq == 1)
				rig_send(rig, &a, "INVITE", "", delayed ? "" : RIG_SDP_A);
			else
				rig_send(rig, &a, "INFO", "", "x");
		}
	}
}

static uint32_t starve(uint32_t spared, bool delayed)
{
	struct rig *rig = rig_new();
	struct hunger hunger;

	take_all_but(rig, &hunger, spared);
	rig_invite(rig, "", delayed ? "" : RIG_SDP_A);
	for (unsigned i = 0; i < 20; i++) {
		pump(rig, delayed);
		rig_advance(rig, 300);
	}
	td_engine_hangup_all(rig->engine, rig->host.now_ns, UINT32_MAX);
	pump(rig, delayed);
	assert_int_equal(rig->host.n_ends, 1);
	uint32_t answered = rig->host.n_starts;
	give_back(rig, &hunger);
	rig_free(rig);
	return answered;
}

static void starving(void **state)
{
	uint32_t answered = 0;

	for (uint32_t spared = 0; spared < 16; spared++) {
		answered += starve(spared, false);
		answered += starve(spared, true);
	}
	// Some of them had enough, or nothing was tried here.
	assert_true(answered > 0 && answered < 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(starving) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
