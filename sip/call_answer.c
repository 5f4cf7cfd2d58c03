// SPDX-License-Identifier: BSD-3-Clause
// The 2xx to our INVITE: the call's answer, its repetition, or that of a fork that lost.
#include "sip/call_priv.h"

// The SDP for A's 200. Its first under a tag stays as it was (§13.2.1), and is repeated where B
// left it out.
static uint16_t answer_sdp(struct td_attempt *attempt, const struct td_fork *fork,
	const struct td_msg *msg, const struct td_core *core, struct td_span *out)
{
	struct td_call *call = attempt->call;
	struct td_writer body = call_writer(call->engine->calls, call->engine->calls->body);
	bool repeat = fork && fork->sdp.len > 0;

	if (core->sdp) {
		uint16_t status = media_receive(call, &attempt->b, core->sdp_body, !call->offered);
		if (status != 0)
			return status;
	} else if (!repeat) {
		return 488;
	}
	if (repeat) {
		*out = fork->sdp;
		return 0;
	}
	uint16_t status = media_send(call, &attempt->b, &call->a, &body);
	*out = call_written(&body);
	return status;
}

static void answer_useless(
	struct td_attempt *attempt, const struct td_msg *msg, const struct td_core *core)
{
	struct td_call *call = attempt->call;

	late_put_down(call->engine, td_ctx_flow(attempt->ctx), msg, core, &attempt->put_down);
	attempt_over(attempt, 502, CAUSE_PROTOCOL);
	call_fail(call, TD_RELEASED_SWITCH, 502, CAUSE_PROTOCOL, (struct td_span){ 0 });
}

static uint32_t duration_limit(struct td_call *call, const struct td_attempt *attempt)
{
	const struct td_trunk *trunk = trunk_ref_find(call->engine, &call->a.trunk);
	uint32_t a = trunk ? trunk->conf.max_duration_s : 0, b = attempt->max_duration_s;

	return a == 0 || (b != 0 && b < a) ? b : a;
}

// The call stands: what only its set-up needed goes.
static void call_established(struct td_call *call, struct td_attempt *attempt)
{
	struct td_engine *engine = call->engine;

	attempt->state = ATTEMPT_ANSWERED;
	trunk_ref_seized(engine, &attempt->b.trunk, true);
	td_timer_stop(&engine->wheel, &attempt->timer);
	call->answered = attempt;
	// The others' phones count no missed call (RFC 3326 §2).
	call_attempts_end(
		call, TD_SPAN("Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n"));
	call->state = CALL_ANSWERED;
	if (call->ring_us == 0)
		call_dialled(call);
	call->answer_us = td_engine_wall_us(engine);
	call->answer_ns = engine->now_ns;
	memcpy(call->codec, attempt->b.media->sdp.codec, sizeof(call->codec));
	media_connect(call, attempt, true);
	media_fold(engine, &call->a, &attempt->b);
	call_setup_free(call);
	call_timer_duration(call, duration_limit(call, attempt));
	call_cdr_start(call);
	td_engine_count(engine, TD_C_CALL_ANSWERED);
}

// The order of requests goes on where it stood in the early dialog.
static void answer_cseqs(struct td_attempt *attempt, const struct td_fork *fork)
{
	attempt->call->a.dialog.remote_cseq = fork->a_cseq;
	attempt->b.dialog.remote_cseq = fork->b_cseq;
	attempt->b.dialog.remote_cseq_known = fork->b_cseq_known;
}

static void answer_first(
	struct td_attempt *attempt, const struct td_msg *msg, const struct td_core *core)
{
	struct td_call *call = attempt->call;
	struct td_engine *engine = call->engine;
	const struct td_fork *fork = fork_find(attempt, core->to.tag);
	struct td_span sdp = { 0 };

	if (fork && fork->over) {
		late_put_down(engine, td_ctx_flow(attempt->ctx), msg, core, &attempt->put_down);
		return;
	}

	if (answer_sdp(attempt, fork, msg, core, &sdp) != 0 ||
		dialog_learn(engine, &attempt->b.dialog, msg, core) != 0) {
		answer_useless(attempt, msg, core);
		return;
	}
	if (call->offered)
		ack_send(engine, &attempt->b, &attempt->ack);
	call->a.dialog.branch = fork && fork->branch ? fork->branch : call_a_branch(call);
	if (fork)
		answer_cseqs(attempt, fork);
	struct td_writer headers = call_relayed(call, &attempt->b, &call->a, msg);
	td_put_lit(&headers, TD_ALLOW_LINE);
	if (call_respond_a(call, msg->status, call->a.dialog.branch, call_written(&headers), sdp) !=
		0) {
		answer_useless(attempt, msg, core);
		return;
	}
	call_established(call, attempt);
	ack_wait_start(call, SIDE_A, call->stx, call->invite_cseq);
	call->ack.far = call->offered ? NULL : &attempt->ack;
}

void attempt_answered(
	struct td_attempt *attempt, const struct td_msg *msg, const struct td_core *core)
{
	struct td_call *call = attempt->call;

	switch (attempt->state) {
	case ATTEMPT_CALLING:
	case ATTEMPT_RINGING:
		answer_first(attempt, msg, core);
		break;
	case ATTEMPT_ANSWERED:
		if (!td_span_eq(core->to.tag, dialog_get(&attempt->b.dialog, DLG_REMOTE_TAG)))
			late_put_down(call->engine, td_ctx_flow(attempt->ctx), msg, core,
				&attempt->put_down);
		else if (attempt->ack.sent)
			ack_send(call->engine, &attempt->b, &attempt->ack);
		break;
	case ATTEMPT_OVER:
		break;
	}
}
