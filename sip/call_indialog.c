// SPDX-License-Identifier: BSD-3-Clause
// Requests with our tag: which call and side, may its sender say that, and who handles the method
// (§12.2.2).
#include "sip/call_priv.h"

struct method {
	uint8_t id; // enum td_method
	void (*handle)(struct td_call *call, enum call_side_id from, const struct td_flow *flow,
		const struct td_msg *msg, const struct td_core *core);
};

static void rx_options(struct td_call *call, enum call_side_id from, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core)
{
	call_reply(call->engine, flow, msg, core, 200,
		TD_SPAN(TD_ALLOW_LINE "Accept: application/sdp\r\n"));
}

static const struct method methods[] = {
	{ TD_M_INVITE, call_rx_reinvite },
	{ TD_M_BYE, call_rx_bye },
	{ TD_M_INFO, call_rx_info },
	{ TD_M_OPTIONS, rx_options },
};

static const struct method *method_find(uint8_t id)
{
	for (unsigned i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (methods[i].id == id)
			return &methods[i];
	return NULL;
}

// The side that a tag of ours names; NULL: none, or an early dialog that lost.
static struct td_side *side_of_tag(struct td_call *call, uint8_t branch)
{
	bool a = branch & TD_CALL_TAG_A;
	unsigned number = branch & ~(unsigned)TD_CALL_TAG_A;

	if (!a)
		return call->answered && call->answered->number == number ? &call->answered->b
									  : NULL;
	if (call->answered)
		return branch == call->a.dialog.branch ? &call->a : NULL;
	return number >= 1 && number <= call->n_a_dialogs ? &call->a : NULL;
}

// An attempt that rings and has that early dialog at its far end; NULL: none.
static struct td_attempt *attempt_of_tag(struct td_call *call, uint8_t branch,
	const struct td_flow *flow, const struct td_core *core)
{
	for (struct td_attempt *attempt = call->answered ? NULL : call->attempts; attempt;
		attempt = attempt->next) {
		const struct td_dialog *dialog = &attempt->b.dialog;
		if (attempt->number != branch || !attempt_running(attempt) ||
			dialog->flow.realm != flow->realm ||
			!td_span_eq(core->call_id, dialog_get(dialog, DLG_CALL_ID)))
			continue;
		for (const struct td_fork *fork = attempt->forks; fork; fork = fork->next)
			if (td_span_eq(fork->tag, core->from.tag))
				return attempt;
	}
	return NULL;
}

static bool sender_allowed(
	struct td_engine *engine, struct td_side *side, const struct td_flow *flow)
{
	return td_ip_eq(&flow->remote, &side->dialog.flow.remote) ||
	       trunk_ref_has(engine, &side->trunk, &flow->remote);
}

static void no_dialog(struct td_engine *engine, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core)
{
	struct td_response response = { .status = 481 };

	if (msg->method == TD_M_ACK) {
		td_engine_count(engine, TD_C_SIP_STRAY_ACK);
		return;
	}
	td_engine_count(engine, TD_C_SIP_NO_CALL);
	td_respond_stateless(engine, flow, msg, core, &response);
}

static void stranger(struct td_engine *engine, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core)
{
	struct td_response response = { .status = 403 };

	td_engine_count(engine, TD_C_SIP_UNKNOWN_SOURCE);
	if (msg->method != TD_M_ACK)
		td_respond_stateless(engine, flow, msg, core, &response);
}

static void dispatch(struct td_call *call, enum call_side_id from, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core)
{
	struct td_engine *engine = call->engine;
	struct td_dialog *dialog = &call_side(call, from)->dialog;
	const struct method *method = method_find(msg->method);

	// Out of order (§12.2.2); retransmissions never come this far.
	if (dialog->remote_cseq_known && core->cseq.number <= dialog->remote_cseq) {
		call_reply(engine, flow, msg, core, 500, (struct td_span){ 0 });
		return;
	}
	dialog->remote_cseq = core->cseq.number;
	dialog->remote_cseq_known = true;
	if (!method)
		call_reply(engine, flow, msg, core, 405, TD_SPAN(TD_ALLOW_LINE));
	else if (call->state == CALL_ENDING && msg->method != TD_M_BYE)
		call_reply(engine, flow, msg, core, 481, (struct td_span){ 0 });
	else
		method->handle(call, from, flow, msg, core);
}

// The far end takes its ringing back by BYE, which it should not (§15), but which must not leave A
// waiting.
static void early_bye(struct td_attempt *attempt, const struct td_msg *msg)
{
	uint16_t reason = td_cause_of_reason(msg),
		 cause = reason ? reason : td_cause_of_status(480);

	if (attempt->forks->next)
		return; // the other dialogs of the attempt go on
	attempt_give_up(attempt, 480, cause, (struct td_span){ 0 });
	attempt_failed(attempt, 480, cause, msg);
}

// Inside an early dialog of B.
static void dispatch_early(struct td_attempt *attempt, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core)
{
	struct td_engine *engine = attempt->engine;

	if (msg->method == TD_M_ACK) {
		td_engine_count(engine, TD_C_SIP_STRAY_ACK);
	} else if (msg->method == TD_M_BYE) {
		call_reply(engine, flow, msg, core, 200, (struct td_span){ 0 });
		early_bye(attempt, msg);
	} else if (msg->method == TD_M_OPTIONS) {
		rx_options(attempt->call, SIDE_B, flow, msg, core);
	} else if (method_find(msg->method)) {
		call_reply(engine, flow, msg, core, 500, TD_SPAN(TD_RETRY_AFTER_LINE));
	} else {
		call_reply(engine, flow, msg, core, 405, TD_SPAN(TD_ALLOW_LINE));
	}
}

void td_call_in_dialog(struct td_engine *engine, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core, const struct td_token *token)
{
	struct td_call *call = call_find(engine, token->slot, token->generation);
	struct td_side *side = call ? side_of_tag(call, token->branch) : NULL;
	struct td_attempt *early = call ? attempt_of_tag(call, token->branch, flow, core) : NULL;

	if (early && sender_allowed(engine, &early->b, flow)) {
		dispatch_early(early, flow, msg, core);
		call_settle(call);
		return;
	}

	if (!side || !dialog_matches(&side->dialog, flow, core)) {
		no_dialog(engine, flow, msg, core);
		return;
	}
	if (!sender_allowed(engine, side, flow)) {
		stranger(engine, flow, msg, core);
		return;
	}
	enum call_side_id from = side == &call->a ? SIDE_A : SIDE_B;
	if (msg->method == TD_M_ACK)
		call_ack(call, from, msg, core);
	else
		dispatch(call, from, flow, msg, core);
	call_settle(call);
}
