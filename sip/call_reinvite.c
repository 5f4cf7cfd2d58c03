// SPDX-License-Identifier: BSD-3-Clause
// INVITE inside the call, from either side to the other: hold, resume, another codec, another
// address (§14). One at a time; whoever comes meanwhile gets 491 and takes its own time by the rule
// of who owns the Call-ID.
#include "sip/call_priv.h"

// --- what a refused offer leaves behind ---

static int session_save(struct td_relay *relay)
{
	struct td_call *call = relay->call;
	char *block;

	if (!media_unfold(call->engine, &call->a) ||
		!media_unfold(call->engine, &call->answered->b))
		return -1;
	block = td_slab_get(call->engine->slab, 2 * sizeof(struct td_sdp_side));
	if (!block)
		return -1;
	relay->saved = (struct td_sdp_side *)(void *)block;
	relay->saved[SIDE_A] = call->a.media->sdp;
	relay->saved[SIDE_B] = call->answered->b.media->sdp;
	return 0;
}

// The session stays as it was before (§14.1), but versions that a peer has seen are spent.
static void session_restore(struct td_relay *relay)
{
	for (unsigned side = SIDE_A; relay->saved && side <= SIDE_B; side++) {
		struct td_sdp_side *now = &call_side(relay->call, side)->media->sdp;
		struct td_sdp_side seen = *now;
		*now = relay->saved[side];
		now->session_version = seen.session_version;
		now->sent_hash = seen.sent_hash;
	}
}

// --- the answer ---

static void reinvite_refuse(struct td_relay *relay, uint16_t status, struct td_span headers)
{
	struct td_response response = { .status = status, .headers = headers };

	session_restore(relay);
	relay->call->reinvite = NULL;
	relay_respond(relay, &response);
}

// The SDP of a 2xx for the requester: an answer, or the offer that its request asked for.
static uint16_t reinvite_sdp(struct td_relay *relay, const struct td_msg *msg,
	const struct td_core *core, struct td_writer *body)
{
	struct td_call *call = relay->call;
	struct td_side *to = call_side(call, relay->from),
		       *from = call_side(call, side_other(relay->from));

	if (!core->sdp)
		return 500;
	uint16_t status = media_receive(call, from, core->sdp_body, !relay->offer);
	return status ? status : media_send(call, from, to, body);
}

static void reinvite_accepted(
	struct td_relay *relay, const struct td_msg *msg, const struct td_core *core)
{
	struct td_call *call = relay->call;
	struct td_engine *engine = call->engine;
	struct td_side *to = call_side(call, relay->from),
		       *from = call_side(call, side_other(relay->from));
	struct td_writer body = call_writer(engine->calls, engine->calls->body);
	char contact[80];

	if (core->contact.whole.len > 0 && !core->contact.star)
		dialog_set_target(engine, &from->dialog, core->contact.uri.whole);
	uint16_t status = reinvite_sdp(relay, msg, core, &body);
	if (relay->offer || status != 0)
		ack_send(engine, from, &relay->ack);
	if (status != 0) {
		reinvite_refuse(relay, 500, (struct td_span){ 0 });
		return;
	}
	struct td_writer headers = call_relayed(call, from, to, msg);
	td_put_lit(&headers, TD_ALLOW_LINE);
	struct td_response response = {
		.status = 200,
		.contact = call_contact(engine, &to->dialog.flow, contact),
		.headers = call_written(&headers),
		.content_type = CALL_SDP_TYPE,
		.body = call_written(&body),
	};
	relay->done = true;
	call->reinvite = NULL;
	dialog_set_target(engine, &to->dialog, relay->contact);
	if (relay->offer) {
		memcpy(call->codec, from->media->sdp.codec, sizeof(call->codec));
		media_connect(call, call->answered, true);
	}
	td_stx_respond(engine, relay->stx, &response);
	ack_wait_start(call, relay->from, relay->stx, relay->cseq);
	call->ack.relay = relay;
	call->ack.far = relay->offer ? NULL : &relay->ack;
}

static void reinvite_refused(struct td_relay *relay, const struct td_msg *msg)
{
	struct td_call *call = relay->call;
	struct td_side *to = call_side(call, relay->from),
		       *from = call_side(call, side_other(relay->from));
	struct td_writer headers = call_relayed(call, from, to, msg);

	reinvite_refuse(relay, status_for_other(msg->status), call_written(&headers));
	// The dialog is gone at the far end, and with it the call (§12.2.1.2).
	if (msg->status == 481 || msg->status == 408)
		call_hangup(call, 200, td_cause_of_status(msg->status));
	else
		relay_drop(relay);
}

// Its SDP stays behind: what an unreliable provisional says, the 2xx has to repeat (§13.2.1).
static void reinvite_provisional(struct td_relay *relay, const struct td_msg *msg)
{
	struct td_call *call = relay->call;
	struct td_side *to = call_side(call, relay->from),
		       *from = call_side(call, side_other(relay->from));
	char contact[80];

	if (msg->status == 100 || !relay->stx)
		return;
	struct td_writer headers = call_relayed(call, from, to, msg);
	struct td_response response = {
		.status = msg->status,
		.contact = call_contact(call->engine, &to->dialog.flow, contact),
		.headers = call_written(&headers),
	};
	td_stx_respond(call->engine, relay->stx, &response);
}

// --- its transactions ---

static void reinvite_response(struct td_engine *engine, struct td_ctx *ctx,
	const struct td_msg *msg, const struct td_core *core, const struct td_flow *flow)
{
	struct td_relay *relay = td_ctx_data(ctx);
	struct td_call *call = relay->call;

	if (msg->status < 200) {
		reinvite_provisional(relay, msg);
	} else if (msg->status < 300 && relay->done) {
		if (relay->ack.sent)
			ack_send(engine, call_side(call, side_other(relay->from)), &relay->ack);
	} else if (msg->status < 300) {
		reinvite_accepted(relay, msg, core);
	} else {
		reinvite_refused(relay, msg);
	}
	call_settle(call);
}

static void reinvite_timeout(struct td_engine *engine, struct td_ctx *ctx, bool transport_error)
{
	struct td_relay *relay = td_ctx_data(ctx);
	struct td_call *call = relay->call;

	reinvite_refuse(relay, transport_error ? 503 : 408, (struct td_span){ 0 });
	call_hangup(call, 200, transport_error ? CAUSE_NETWORK_FAILURE : CAUSE_TIMER);
	call_settle(call);
}

static void reinvite_ctx_ended(struct td_engine *engine, struct td_ctx *ctx)
{
	struct td_relay *relay = td_ctx_data(ctx);

	relay->ctx = NULL;
	relay_settle(relay);
}

static void reinvite_moved(struct td_engine *engine, struct td_ctx *ctx, struct td_ctx *fresh)
{
	struct td_relay *relay = td_ctx_data(fresh);

	relay->ctx = fresh;
	relay->ack.cseq = td_ctx_cseq(fresh);
}

static const struct td_ctx_user reinvite_ctx_user = {
	.response = reinvite_response,
	.timeout = reinvite_timeout,
	.ended = reinvite_ctx_ended,
	.trunk = relay_trunk,
	.next_cseq = relay_next_cseq,
	.moved = reinvite_moved,
};

// The far end may still accept: its answer is the one that counts, so that both sides agree on the
// session.
static void reinvite_cancelled(
	struct td_engine *engine, struct td_stx *stx, const struct td_msg *cancel)
{
	struct td_relay *relay = td_stx_data(stx);

	if (relay->ctx && !relay->done)
		td_ctx_cancel(engine, relay->ctx, (struct td_span){ 0 });
}

static void reinvite_late(void *arg, struct td_timer *timer)
{
	struct td_relay *relay = call_of(timer, struct td_relay, timer);

	if (relay->ctx && !relay->done)
		td_ctx_cancel(arg, relay->ctx, (struct td_span){ 0 });
}

static void reinvite_stx_ended(struct td_engine *engine, struct td_stx *stx)
{
	struct td_relay *relay = td_stx_data(stx);

	relay->stx = NULL;
	if (relay->call->ack.stx == stx)
		relay->call->ack.stx = NULL;
	relay_settle(relay);
}

static const struct td_stx_user reinvite_stx_user = { .cancelled = reinvite_cancelled,
	.ended = reinvite_stx_ended };

// --- the request ---

static int reinvite_send(struct td_relay *relay, const struct td_msg *msg,
	const struct td_core *core, const struct td_writer *body)
{
	struct td_call *call = relay->call;
	struct td_engine *engine = call->engine;
	struct td_side *from = call_side(call, relay->from),
		       *to = call_side(call, side_other(relay->from));
	struct td_writer headers = call_relayed(call, from, to, msg);
	struct td_request request;
	char contact[80];

	td_put_lit(&headers, TD_ALLOW_LINE);
	if (headers.overflow)
		return -1;
	dialog_request(engine, to, TD_M_INVITE, &request);
	request.max_forwards = (uint8_t)(core->max_forwards - 1);
	request.contact = call_contact(engine, &to->dialog.flow, contact);
	request.headers = call_written(&headers);
	request.body = call_written(body);
	if (relay->offer)
		request.content_type = CALL_SDP_TYPE;
	relay->ack.cseq = request.cseq;
	relay->ctx = td_ctx_new(engine, &request, &reinvite_ctx_user, relay);
	return relay->ctx ? 0 : -1;
}

// 0, or the status that refuses the request.
static uint16_t reinvite_pass(
	struct td_relay *relay, const struct td_msg *msg, const struct td_core *core)
{
	struct td_call *call = relay->call;
	struct td_side *from = call_side(call, relay->from),
		       *to = call_side(call, side_other(relay->from));
	struct td_writer body = call_writer(call->engine->calls, call->engine->calls->body);
	struct td_span target =
		core->contact.star ? (struct td_span){ 0 } : core->contact.uri.whole;

	if (session_save(relay) != 0)
		return 503;
	if (target.len > 0 && !(relay->contact = td_slab_dup(call->engine->slab, target)).ptr)
		return 503;
	if (relay->offer) {
		uint16_t status = media_receive(call, from, core->sdp_body, true);
		status = status ? status : media_send(call, from, to, &body);
		if (status != 0)
			return status;
	}
	return reinvite_send(relay, msg, core, &body) == 0 ? 0 : 503;
}

// Why it cannot be taken now (§14.2); 0: it can.
static uint16_t reinvite_judge(const struct td_call *call, enum call_side_id from,
	const struct td_msg *msg, const struct td_core *core)
{
	const struct td_relay *open = call->reinvite;

	if (msg->body.len > 0 && !core->sdp)
		return 415;
	if (open)
		return open->from == from ? 500 : 491;
	if (call->ack.waiting)
		return call->ack.side == from ? 500 : 491;
	return 0;
}

void call_rx_reinvite(struct td_call *call, enum call_side_id from, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core)
{
	uint16_t status = reinvite_judge(call, from, msg, core);

	if (status != 0) {
		call_reply(call->engine, flow, msg, core, status,
			status == 500	? TD_SPAN(TD_RETRY_AFTER_LINE)
			: status == 415 ? TD_SPAN(TD_ACCEPT_LINE)
					: (struct td_span){ 0 });
		return;
	}
	struct td_relay *relay = relay_new(call, from, flow, msg, core, &reinvite_stx_user);
	if (!relay)
		return;
	relay->invite = true;
	relay->offer = core->sdp;
	status = reinvite_pass(relay, msg, core);
	if (status == 0) {
		call->reinvite = relay;
		relay->timer.expired = reinvite_late;
		td_timer_start(
			&call->engine->wheel, &relay->timer, call_now_ms(call) + CALL_TIMER_C_MS);
		return;
	}
	reinvite_refuse(relay, status, (struct td_span){ 0 });
	relay_drop(relay);
}
