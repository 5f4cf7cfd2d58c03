// SPDX-License-Identifier: BSD-3-Clause
// Requests with our tag: which call and side, may its sender say that, and who handles the method
// (§12.2.2).
#include "sip/call_priv.h"

#include "sip/auth.h"
#include "sip/subscribers.h"

struct method {
	uint8_t id; // enum td_method
	void (*handle)(struct td_call *call, enum call_side_id from, const struct td_flow *flow,
		const struct td_msg *msg, const struct td_core *core);
};

static void rx_options(struct td_call *call, enum call_side_id from, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core)
{
	call_reply(call->engine, flow, msg, core, 200,
		TD_SPAN(TD_OPTIONS_LINES));
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

// The side of the answered call that a tag of ours names; NULL: none, or an early dialog that lost.
static struct td_side *side_of_tag(struct td_call *call, uint8_t branch)
{
	if (!call->answered)
		return NULL;
	if (branch & TD_CALL_TAG_A)
		return branch == call->a.dialog.branch ? &call->a : NULL;
	return call->answered->number == branch ? &call->answered->b : NULL;
}

// The early dialog of that attempt with that tag of ours; NULL: none.
static struct td_fork *fork_of_tag(
	struct td_attempt *attempt, uint8_t branch, const struct td_core *core)
{
	for (struct td_fork *fork = attempt->forks; fork; fork = fork->next) {
		bool named = branch & TD_CALL_TAG_A ? fork->branch == branch
						    : attempt->number == branch &&
							      td_span_eq(fork->tag, core->from.tag);
		if (named && !fork->over)
			return fork;
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

// Does the dialog of our tag agree with the rest of the request? A's early dialogs differ by our
// tag alone, those of an attempt by the tag of the far end, which the fork was found by.
static bool early_matches(struct td_attempt *attempt, enum call_side_id from,
	const struct td_flow *flow, const struct td_core *core)
{
	const struct td_dialog *dialog = &attempt_side(attempt, from)->dialog;

	if (from == SIDE_A)
		return dialog_matches(dialog, flow, core);
	return dialog->flow.realm == flow->realm &&
	       td_span_eq(core->call_id, dialog_get(dialog, DLG_CALL_ID));
}

// Before the answer: inside an early dialog.
static void early_in_dialog(struct td_call *call, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core, uint8_t branch)
{
	enum call_side_id from = branch & TD_CALL_TAG_A ? SIDE_A : SIDE_B;
	struct td_attempt *attempt = call->attempts;
	struct td_fork *fork = NULL;

	for (; attempt; attempt = attempt->next)
		if (attempt_running(attempt) && (fork = fork_of_tag(attempt, branch, core)))
			break;
	if (!fork || !early_matches(attempt, from, flow, core)) {
		no_dialog(call->engine, flow, msg, core);
		return;
	}
	if (!sender_allowed(call->engine, attempt_side(attempt, from), flow)) {
		stranger(call->engine, flow, msg, core);
		return;
	}
	early_rx(attempt, fork, from, flow, msg, core);
	call_settle(call);
}

// The subscriber on that side of the call; false: there is none.
static bool party_slot(const struct td_call *call, enum call_side_id from, uint32_t *slot)
{
	if (from == SIDE_A)
		*slot = call->caller ? call->caller->slot : 0;
	else
		*slot = call->callee_slot;
	return from == SIDE_A ? call->caller != NULL
			      : call->callee_held && call->answered->contact;
}

// A phone may get another address in mid call. Who proves to be the subscriber on that side goes on
// from there; everybody else was answered. An ACK cannot be asked: it follows its request.
static bool has_moved(struct td_call *call, enum call_side_id from, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core)
{
	struct td_engine *engine = call->engine;
	struct td_auth_answer proof;
	uint32_t slot;

	if (!engine->auth || !party_slot(call, from, &slot) || msg->method == TD_M_ACK) {
		stranger(engine, flow, msg, core);
		return false;
	}
	td_auth_check(engine, flow, msg, core, NULL, &proof);
	if (proof.verdict != TD_AUTH_PASSED) {
		const struct td_response response = { .status = proof.status,
			.headers = td_auth_headers(&proof) };
		td_respond_stateless(engine, flow, msg, core, &response);
		return false;
	}
	if (proof.subscriber->slot != slot) {
		stranger(engine, flow, msg, core);
		return false;
	}
	call_side(call, from)->dialog.flow = *flow;
	return true;
}

void td_call_in_dialog(struct td_engine *engine, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core, const struct td_token *token)
{
	struct td_call *call = call_find(engine, token->slot, token->generation);
	struct td_side *side = call ? side_of_tag(call, token->branch) : NULL;

	if (call && call->state < CALL_ANSWERED) {
		early_in_dialog(call, flow, msg, core, token->branch);
		return;
	}
	if (!side || !dialog_matches(&side->dialog, flow, core)) {
		no_dialog(engine, flow, msg, core);
		return;
	}
	enum call_side_id from = side == &call->a ? SIDE_A : SIDE_B;
	if (!sender_allowed(engine, side, flow) && !has_moved(call, from, flow, msg, core))
		return;
	if (msg->method == TD_M_ACK)
		call_ack(call, from, msg, core);
	else
		dispatch(call, from, flow, msg, core);
	call_settle(call);
}
