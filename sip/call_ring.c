// SPDX-License-Identifier: BSD-3-Clause
// Provisional responses of B on their way to A.
#include "sip/call_priv.h"

uint8_t call_a_branch(struct td_call *call)
{
	if (call->n_a_dialogs < TD_CALL_TAG_A - 1)
		call->n_a_dialogs++;
	return (uint8_t)(TD_CALL_TAG_A | call->n_a_dialogs);
}

// A carrier that takes one early dialog only hears of the first.
static bool fork_shown(struct td_call *call, struct td_fork *fork)
{
	if (fork->branch == 0 && !(call->early_single && call->n_a_dialogs > 0))
		fork->branch = call_a_branch(call);
	return fork->branch != 0;
}

// The SDP that goes up with a provisional. The first one under a tag stays (§13.2.1): later ones
// only move the media.
static struct td_span early_sdp(struct td_attempt *attempt, struct td_fork *fork,
	const struct td_msg *msg, const struct td_core *core)
{
	struct td_call *call = attempt->call;
	struct td_writer body = call_writer(call->engine->calls, call->engine->calls->body);

	if (!core->sdp || media_receive(call, &attempt->b, core->sdp_body, !call->offered) != 0)
		return (struct td_span){ 0 };
	if (fork->sdp.len == 0) {
		if (media_send(call, &attempt->b, &call->a, &body) != 0)
			return (struct td_span){ 0 };
		fork->sdp = td_slab_dup(call->engine->slab, call_written(&body));
	}
	media_connect(call, attempt, false);
	return fork->sdp;
}

// The peer is there and at work: attempt_timeout, which is for those that say nothing, is over, and
// the attempt has as long as it might ring. Retransmission and Timer B ended with the same 100.
static void attempt_tried(struct td_attempt *attempt)
{
	if (!attempt->tried && attempt->state == ATTEMPT_CALLING)
		attempt_timer_start(attempt, attempt->ring_timeout_ms);
	attempt->tried = true;
}

void call_dialled(struct td_call *call)
{
	uint32_t ms = (uint32_t)td_engine_now_ms(call->engine) - call->start_ms;

	td_traffic_observe(
		&call->engine->traffic, TD_HISTOGRAM_POST_DIAL_DELAY, (uint64_t)ms * 1000);
}

void attempt_provisional(
	struct td_attempt *attempt, const struct td_msg *msg, const struct td_core *core)
{
	struct td_call *call = attempt->call;

	if (!attempt_running(attempt))
		return;
	if (msg->status == 100) {
		attempt_tried(attempt);
		return;
	}
	if (attempt->state == ATTEMPT_CALLING) {
		attempt->state = ATTEMPT_RINGING;
		attempt->ring_us = td_engine_wall_us(call->engine);
		attempt_timer_start(attempt, attempt->ring_timeout_ms);
	}
	struct td_fork *fork = attempt_fork(attempt, msg, core);
	if (!fork || fork->over || !fork_shown(call, fork))
		return;
	struct td_span sdp = early_sdp(attempt, fork, msg, core);
	struct td_writer headers = call_relayed(call, &attempt->b, &call->a, msg);
	if (call_respond_a(call, msg->status, fork->branch, call_written(&headers), sdp) != 0)
		return;
	call->state = CALL_RINGING;
	if (call->ring_us == 0) {
		call_dialled(call);
		call->ring_us = td_engine_wall_us(call->engine);
	}
}
