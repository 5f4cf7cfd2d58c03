// SPDX-License-Identifier: BSD-3-Clause
// The 2xx to our INVITE: the call's answer, its repetition, or an answer that nobody wants any
// more.
#include "sip/call_priv.h"

// --- not wanted: late, of another fork, or unusable
// --------------------------------------------------------

void attempt_put_down(struct td_engine *engine, struct td_attempt *attempt,
	const struct td_msg *msg, const struct td_core *core)
{
	struct td_side other = { .dialog = attempt->b.dialog, .trunk = attempt->b.trunk };
	struct td_far_ack ack = { .cseq = attempt->ack.cseq };
	struct td_span own[DLG__COUNT];
	uint64_t tag = td_siphash(engine->keys.hash, core->to.tag.ptr, core->to.tag.len) | 1;

	// A dialog of its own, made for two requests.
	for (unsigned i = 0; i < DLG__COUNT; i++)
		own[i] = dialog_get(&attempt->b.dialog, i);
	other.dialog.text = NULL;
	other.dialog.local_cseq = ack.cseq;
	if (dialog_set(engine, &other.dialog, own) != 0 ||
		dialog_learn(engine, &other.dialog, msg, core) != 0) {
		dialog_free(engine, &other.dialog);
		return;
	}
	ack_send(engine, &other, &ack);
	if (attempt->put_down != tag) { // a repeated 2xx is ACKed again, but one BYE is enough
		struct td_request bye;
		dialog_request(engine, &other, TD_M_BYE, &bye);
		td_ctx_new(engine, &bye, NULL, NULL);
		attempt->put_down = tag;
	}
	dialog_free(engine, &other.dialog);
}

// --- wanted
// --------------------------------------------------------------------------------------------

// The SDP for A's 200. Its first under a tag stays as it was (§13.2.1), and is repeated where B
// left it out.
static uint16_t answer_sdp(struct td_attempt *attempt, const struct td_fork *fork,
	const struct td_msg *msg, const struct td_core *core, struct td_span *out)
{
	struct td_call *call = attempt->call;
	struct td_writer body = call_writer(call->engine->calls, call->engine->calls->body);
	bool repeat = fork && fork->sdp.len > 0;

	if (core->sdp) {
		uint16_t status = media_receive(call, &attempt->b, msg->body, !call->offered);
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

	attempt_put_down(call->engine, attempt, msg, core);
	attempt->state = ATTEMPT_GIVEN_UP;
	attempt_close(attempt, 502, CAUSE_PROTOCOL);
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
	td_timer_stop(&engine->wheel, &attempt->timer);
	call->answered = attempt;
	for (struct td_attempt *other = call->attempts; other; other = other->next)
		if (other != attempt)
			attempt_give_up(other, 487, CAUSE_NORMAL, (struct td_span){ 0 });
	call->state = CALL_ANSWERED;
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

static void answer_first(
	struct td_attempt *attempt, const struct td_msg *msg, const struct td_core *core)
{
	struct td_call *call = attempt->call;
	struct td_engine *engine = call->engine;
	struct td_fork *fork = attempt_fork(attempt, core->to.tag);
	struct td_span sdp = { 0 };

	if (answer_sdp(attempt, fork, msg, core, &sdp) != 0 ||
		dialog_learn(engine, &attempt->b.dialog, msg, core) != 0) {
		answer_useless(attempt, msg, core);
		return;
	}
	if (call->offered)
		ack_send(engine, &attempt->b, &attempt->ack);
	call->a.dialog.branch = fork && fork->branch ? fork->branch : call_a_branch(call);
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
			attempt_put_down(call->engine, attempt, msg, core);
		else if (attempt->ack.sent)
			ack_send(call->engine, &attempt->b, &attempt->ack);
		break;
	case ATTEMPT_FAILED:
		break;
	case ATTEMPT_GIVEN_UP:
		attempt_put_down(attempt->engine, attempt, msg, core);
		break;
	}
}
