// SPDX-License-Identifier: BSD-3-Clause
// The end of an answered call: BYE from either side or from the switch (§15).
#include "sip/call_priv.h"

// --- our own BYEs ---

static void bye_done(struct td_ctx *ctx)
{
	struct td_call *call = td_ctx_data(ctx);

	td_ctx_set_user(ctx, NULL, NULL);
	call->byes--;
	call_settle(call);
}

static void bye_response(struct td_engine *engine, struct td_ctx *ctx, const struct td_msg *msg,
	const struct td_core *core, const struct td_flow *flow)
{
	if (msg->status >= 200)
		bye_done(ctx);
}

static void bye_timeout(struct td_engine *engine, struct td_ctx *ctx, bool transport_error)
{
	bye_done(ctx);
}

static void bye_ended(struct td_engine *engine, struct td_ctx *ctx)
{
	bye_done(ctx);
}

static const struct td_trunk *bye_a_trunk(struct td_engine *engine, struct td_ctx *ctx)
{
	struct td_call *call = td_ctx_data(ctx);

	return trunk_ref_challenged(engine, &call->a.trunk);
}

static const struct td_trunk *bye_b_trunk(struct td_engine *engine, struct td_ctx *ctx)
{
	struct td_call *call = td_ctx_data(ctx);

	return call->answered ? trunk_ref_challenged(engine, &call->answered->b.trunk) : NULL;
}

#define BYE_USER(side_trunk)                                                                       \
	{                                                                                          \
		.response = bye_response, .timeout = bye_timeout, .ended = bye_ended,              \
		.trunk = side_trunk                                                                \
	}

static const struct td_ctx_user bye_user[] = {
	[SIDE_A] = BYE_USER(bye_a_trunk),
	[SIDE_B] = BYE_USER(bye_b_trunk),
};

void call_bye(struct td_call *call, enum call_side_id to, struct td_span headers)
{
	struct td_engine *engine = call->engine;
	struct td_side *side = call_side(call, to);
	struct td_far_ack *far = call->ack.far;
	struct td_request request;

	if (call->ack.waiting && call->ack.side == to) {
		call->ack.bye = true;
		return;
	}
	// A 2xx that still waits for the answer to its offer gets its ACK first.
	if (call->ack.waiting && far && !far->sent)
		ack_send(engine, side, far);
	dialog_request(engine, side, TD_M_BYE, &request);
	request.headers = headers;
	if (td_ctx_new(engine, &request, &bye_user[to], call))
		call->byes++;
}

void call_bye_held(struct td_call *call, enum call_side_id to)
{
	struct td_writer headers = call_writer(call->engine->calls, call->engine->calls->headers);

	call_put_reason(&headers, call->end_cause);
	call_bye(call, to, call_written(&headers));
}

void call_hangup(struct td_call *call, uint16_t status, uint16_t cause)
{
	if (call->state == CALL_ENDING)
		return;
	if (call->state < CALL_ANSWERED) {
		call_fail(call, TD_RELEASED_SWITCH, status < 300 ? 480 : status, cause,
			(struct td_span){ 0 });
		return;
	}
	struct td_writer headers = call_writer(call->engine->calls, call->engine->calls->headers);
	call_put_reason(&headers, cause);
	call_bye(call, SIDE_A, call_written(&headers));
	call_bye(call, SIDE_B, call_written(&headers));
	call_end(call, TD_RELEASED_SWITCH, 200, cause);
}

// --- theirs ---

void call_rx_bye(struct td_call *call, enum call_side_id from, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core)
{
	enum call_side_id to = side_other(from);
	uint16_t reason = td_cause_of_reason(msg);

	call_reply(call->engine, flow, msg, core, 200, (struct td_span){ 0 });
	if (call->state == CALL_ANSWERED) {
		struct td_writer headers =
			call_relayed(call, call_side(call, from), call_side(call, to), msg);
		call_bye(call, to, call_written(&headers));
	}
	if (call->ack.waiting && call->ack.side == from)
		ack_wait_stop(call); // who hangs up sends no ACK any more
	call_end(call, from == SIDE_A ? TD_RELEASED_A : TD_RELEASED_B, 200,
		reason ? reason : CAUSE_NORMAL);
}
