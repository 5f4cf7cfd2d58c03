// SPDX-License-Identifier: BSD-3-Clause
// In-dialog requests that go through the switch from end to end: the pair of transactions, and INFO
// (RFC 6086).
#include "sip/call_priv.h"

#include "sip/hiding.h"

struct td_relay *relay_new(struct td_call *call, enum call_side_id from, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core, const struct td_stx_user *user)
{
	struct td_engine *engine = call->engine;
	struct td_relay *relay =
		call->n_relays < CALL_RELAYS_MAX
			? (struct td_relay *)(void *)td_slab_get(engine->slab, sizeof(*relay))
			: NULL;

	if (!relay) {
		td_engine_count(engine, TD_C_SIP_NO_MEMORY);
		call_reply(engine, flow, msg, core, 503, TD_SPAN(TD_RETRY_AFTER_LINE));
		return NULL;
	}
	*relay =
		(struct td_relay){ .call = call, .from = (uint8_t)from, .cseq = core->cseq.number };
	relay->stx = td_stx_new(engine, flow, msg, core, user, relay);
	if (!relay->stx) {
		td_slab_put(engine->slab, (char *)relay);
		call_reply(engine, flow, msg, core, 503, TD_SPAN(TD_RETRY_AFTER_LINE));
		return NULL;
	}
	relay->next = call->relays;
	call->relays = relay;
	call->n_relays++;
	return relay;
}

static void relay_unlink(struct td_relay *relay)
{
	struct td_call *call = relay->call;
	struct td_relay **at = &call->relays;

	while (*at != relay)
		at = &(*at)->next;
	*at = relay->next;
	call->n_relays--;
	if (call->reinvite == relay)
		call->reinvite = NULL;
	if (call->ack.relay != relay)
		return;
	call->ack.relay = NULL;
	call->ack.far = NULL;
	call->ack.stx = NULL;
}

void relay_drop(struct td_relay *relay)
{
	struct td_engine *engine = relay->call->engine;

	relay_unlink(relay);
	if (relay->stx)
		td_stx_set_user(relay->stx, NULL, NULL);
	if (relay->ctx) {
		td_ctx_cancel(engine, relay->ctx,
			(struct td_span){ 0 }); // without it a ringing one would never end
		td_ctx_set_user(relay->ctx, NULL, NULL);
	}
	td_timer_stop(&engine->wheel, &relay->timer);
	call_text_free(engine, &relay->contact);
	call_text_free(engine, &relay->ack.body);
	td_slab_put(engine->slab, (char *)relay->saved);
	td_slab_put(engine->slab, (char *)relay);
}

static bool relay_owed_ack(const struct td_relay *relay)
{
	return relay->call->ack.waiting && relay->call->ack.relay == relay;
}

void relay_settle(struct td_relay *relay)
{
	if (!relay->stx && !relay->ctx && !relay_owed_ack(relay))
		relay_drop(relay);
}

void relay_respond(struct td_relay *relay, const struct td_response *response)
{
	if (!relay->stx)
		return;
	td_stx_respond(relay->call->engine, relay->stx, response);
	td_stx_set_user(relay->stx, NULL, NULL);
	relay->stx = NULL;
	relay->done = true;
}

void relay_abort(struct td_call *call)
{
	struct td_relay *next;

	for (struct td_relay *relay = call->relays; relay; relay = next) {
		struct td_response response = { .status = relay->invite ? 487 : 481 };
		next = relay->next;
		if (!relay->done)
			relay_respond(relay, &response);
		if (!relay_owed_ack(relay))
			relay_drop(relay);
	}
}

// The side that the request goes out to; NULL where none has answered, or another one than it was
// sent to before that.
static struct td_side *relay_far(struct td_relay *relay)
{
	const struct td_call *call = relay->call;

	return call->state == CALL_ANSWERED && (!relay->attempt || relay->attempt == call->answered)
		       ? call_side(relay->call, side_other(relay->from))
		       : NULL;
}

const struct td_trunk *relay_trunk(struct td_engine *engine, struct td_ctx *ctx)
{
	struct td_side *far = relay_far(td_ctx_data(ctx));

	return far ? trunk_ref_challenged(engine, &far->trunk) : NULL;
}

uint32_t relay_next_cseq(struct td_engine *engine, struct td_ctx *ctx)
{
	return ++relay_far(td_ctx_data(ctx))->dialog.local_cseq;
}

static void info_moved(struct td_engine *engine, struct td_ctx *ctx, struct td_ctx *fresh)
{
	struct td_relay *relay = td_ctx_data(fresh);

	relay->ctx = fresh;
}

// --- INFO ---

static void info_stx_ended(struct td_engine *engine, struct td_stx *stx)
{
	struct td_relay *relay = td_stx_data(stx);

	relay->stx = NULL;
	relay_settle(relay);
}

static const struct td_stx_user info_stx_user = { .ended = info_stx_ended };

// A body crosses as it stands, whatever it is for (DTMF, mostly), unless it names an address of the
// side it comes from.
static bool info_body_fit(const struct td_msg *msg)
{
	struct td_span type = td_msg_get(msg, TD_H_CONTENT_TYPE);

	return msg->body.len == 0 ||
	       (type.len > 0 && !td_hiding_unfit(type) && !td_hiding_has_address(msg->body));
}

static void info_response(struct td_engine *engine, struct td_ctx *ctx, const struct td_msg *msg,
	const struct td_core *core, const struct td_flow *flow)
{
	struct td_relay *relay = td_ctx_data(ctx);
	struct td_call *call = relay->call;

	if (msg->status < 200)
		return;
	struct td_side *to = attempt_side(relay->attempt, relay->from),
		       *from = attempt_side(relay->attempt, side_other(relay->from));
	struct td_writer headers = call_relayed(call, from, to, msg);
	struct td_response response = {
		.status = msg->status < 300 ? msg->status : status_for_other(msg->status),
		.headers = call_written(&headers),
	};
	if (msg->body.len > 0 && info_body_fit(msg)) {
		response.content_type = td_msg_get(msg, TD_H_CONTENT_TYPE);
		response.body = msg->body;
	}
	relay_respond(relay, &response);
	relay_drop(relay);
}

static void info_timeout(struct td_engine *engine, struct td_ctx *ctx, bool transport_error)
{
	struct td_relay *relay = td_ctx_data(ctx);
	struct td_response response = { .status = transport_error ? 503 : 408 };

	relay_respond(relay, &response);
	relay_drop(relay);
}

static void info_ctx_ended(struct td_engine *engine, struct td_ctx *ctx)
{
	struct td_relay *relay = td_ctx_data(ctx);

	relay->ctx = NULL;
	relay_settle(relay);
}

static const struct td_ctx_user info_ctx_user = {
	.response = info_response,
	.timeout = info_timeout,
	.ended = info_ctx_ended,
	.trunk = relay_trunk,
	.next_cseq = relay_next_cseq,
	.moved = info_moved,
};

static int info_send(struct td_relay *relay, struct td_side *to, const struct td_msg *msg,
	const struct td_core *core)
{
	struct td_call *call = relay->call;
	struct td_side *sender = attempt_side(relay->attempt, relay->from);
	struct td_writer headers = call_relayed(call, sender, to, msg);
	struct td_request request;

	dialog_request(call->engine, to, TD_M_INFO, &request);
	request.max_forwards = (uint8_t)(core->max_forwards - 1);
	request.headers = call_written(&headers);
	request.body = msg->body;
	if (msg->body.len > 0)
		request.content_type = td_msg_get(msg, TD_H_CONTENT_TYPE);
	relay->ctx = td_ctx_new(call->engine, &request, &info_ctx_user, relay);
	return relay->ctx ? 0 : -1;
}

// In the dialog on the other side that answers to the sender's.
static int info_pass(struct td_relay *relay, const struct td_fork *fork, const struct td_msg *msg,
	const struct td_core *core)
{
	enum call_side_id to = side_other(relay->from);
	struct td_side early;

	if (!fork)
		return info_send(relay, attempt_side(relay->attempt, to), msg, core);
	if (early_open(relay->attempt, fork, to, &early) != 0)
		return -1;
	int rc = info_send(relay, &early, msg, core);
	early_close(relay->attempt, to, &early);
	return rc;
}

void info_relay(struct td_attempt *attempt, const struct td_fork *fork, enum call_side_id from,
	const struct td_flow *flow, const struct td_msg *msg, const struct td_core *core)
{
	struct td_call *call = attempt->call;
	const struct td_response failed = { .status = 503 };

	if (!info_body_fit(msg)) {
		call_reply(call->engine, flow, msg, core, 415,
			TD_SPAN("Accept: application/dtmf-relay, application/dtmf\r\n"));
		return;
	}
	struct td_relay *relay = relay_new(call, from, flow, msg, core, &info_stx_user);
	if (!relay)
		return;
	relay->attempt = attempt;
	if (info_pass(relay, fork, msg, core) != 0) {
		relay_respond(relay, &failed);
		relay_drop(relay);
	}
}

void call_rx_info(struct td_call *call, enum call_side_id from, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core)
{
	info_relay(call->answered, NULL, from, flow, msg, core);
}
