// SPDX-License-Identifier: BSD-3-Clause
// The INVITE client transaction (RFC 3261 §17.1.1, figure 5, with RFC 6026 §7.2) and its CANCEL
// (§9.1).
//
//   Calling ─ 1xx → Proceeding ─ 2xx → Accepted ── M ─→ end
//      │ B, abandon      └─ 300–699 → Completed ── D ─→ end (each copy is ACKed anew)
//      └→ Given up ─ 64·T1 ─→ end: a late 1xx is cancelled, a late 2xx is the user's, a late
//      300–699 is ACKed
#include "sip/txn_priv.h"

void ict_start(struct td_engine *e, struct td_ctx *ctx)
{
	struct td_txn *txn = e->txn;

	td_timer_start(&e->wheel, &ctx->end, txn_after(e, txn->timeout_ms)); // B
	if (ctx->flow.reliable)
		return;
	ctx->interval_ms = txn->t1_ms;
	td_timer_start(&e->wheel, &ctx->retransmit, txn_after(e, ctx->interval_ms)); // A
}

static void cancel_send(struct td_engine *e, struct td_ctx *ctx);

// A, or another try at a CANCEL for which there was no memory.
void ict_retransmit_due(struct td_engine *e, struct td_ctx *ctx)
{
	if (ctx->cancelled) {
		cancel_send(e, ctx);
		return;
	}
	ctx->interval_ms *= 2;
	td_timer_start(&e->wheel, &ctx->retransmit, txn_after(e, ctx->interval_ms));
	ctx_repeat(e, ctx);
}

// --- text ---

// Swaps the text for a shorter one; keeps the long one when there is no memory for that.
static void text_replace(struct td_engine *e, struct td_ctx *ctx, char *shorter, uint32_t len)
{
	if (!shorter)
		return;
	td_slab_put(e->slab, ctx->text);
	ctx->text = shorter;
	ctx->text_len = len;
}

// The body cannot be wanted again once something came back; only a CANCEL may still be made.
static void text_to_core(struct td_engine *e, struct td_ctx *ctx)
{
	uint32_t len = ctx->marks.core_len;

	if (ctx->text_len < 2 * len)
		return; // it would hardly give anything back
	text_replace(
		e, ctx, (char *)(uintptr_t)td_slab_dup(e->slab, td_span(ctx->text, len)).ptr, len);
}

// After the final answer only the ACK is made anew: from its URI, its routes and the answer itself.
static void text_to_target(struct td_engine *e, struct td_ctx *ctx)
{
	struct request_marks *m = &ctx->marks;
	uint32_t len = (uint32_t)m->uri_len + m->routes_len;
	char *text = td_slab_get(e->slab, len);

	if (!text)
		return;
	memcpy(text, ctx->text + m->uri, m->uri_len);
	memcpy(text + m->uri_len, ctx->text + m->routes, m->routes_len);
	text_replace(e, ctx, text, len);
	m->uri = 0;
	m->routes = m->uri_len;
}

// --- CANCEL ---

// After 64·T1 without a final answer the INVITE is over (§9.1); one that was given up has that wait
// already.
static void cancel_send(struct td_engine *e, struct td_ctx *ctx)
{
	if (!ctx->cancelled)
		td_timer_start(&e->wheel, &ctx->end, txn_after(e, e->txn->timeout_ms));
	ctx->cancelled = true;
	if (ctx_start_cancel(e, ctx, td_span(ctx->cancel_reason, ctx->cancel_reason_len)) != 0) {
		td_timer_start(&e->wheel, &ctx->retransmit, txn_after(e, e->txn->t1_ms));
		return;
	}
	td_slab_put(e->slab, ctx->cancel_reason);
	ctx->cancel_reason = NULL;
	ctx->cancel_reason_len = 0;
}

void td_ctx_cancel(struct td_engine *e, struct td_ctx *ctx, struct td_span reason_header)
{
	if (ctx->method != TD_M_INVITE || ctx->cancel_wanted || ctx->state > CTX_PROCEEDING)
		return;
	ctx->cancel_wanted = true;
	if (reason_header.len > 0) {
		struct td_span copy = td_slab_dup(e->slab, reason_header);
		ctx->cancel_reason = (char *)(uintptr_t)copy.ptr;
		ctx->cancel_reason_len = copy.len;
	}
	if (ctx->state == CTX_PROCEEDING)
		cancel_send(e, ctx);
}

static void ict_give_up(struct td_engine *e, struct td_ctx *ctx)
{
	ctx->state = CTX_GIVEN_UP;
	ctx->cancel_wanted = true;
	td_timer_stop(&e->wheel, &ctx->retransmit);
	td_timer_start(&e->wheel, &ctx->end, txn_after(e, e->txn->timeout_ms));
	text_to_core(e, ctx);
}

void td_ctx_abandon(struct td_engine *e, struct td_ctx *ctx)
{
	if (ctx->method == TD_M_INVITE && ctx->state == CTX_CALLING)
		ict_give_up(e, ctx);
	else
		td_ctx_cancel(e, ctx, (struct td_span){ 0 });
}

// --- responses ---

static void ict_ack(struct td_engine *e, struct td_ctx *ctx, const struct td_msg *response)
{
	struct td_buf buf;

	if (request_write_ack(e, ctx, response, &buf) == 0)
		message_send(e, &ctx->flow, &buf, TD_M_ACK, 0);
}

static void tell(struct td_engine *e, struct td_ctx *ctx, const struct td_msg *msg,
	const struct td_core *core, const struct td_flow *flow)
{
	if (ctx->user)
		ctx->user->response(e, ctx, msg, core, flow);
}

static void ict_provisional(struct td_engine *e, struct td_ctx *ctx, const struct td_msg *msg,
	const struct td_core *core, const struct td_flow *flow)
{
	if (ctx->state == CTX_CALLING) {
		ctx->state = CTX_PROCEEDING;
		td_timer_stop(&e->wheel, &ctx->retransmit);
		td_timer_stop(&e->wheel, &ctx->end);
	}
	if (ctx->text_len > ctx->marks.core_len && (!ctx->whole || msg->status > 100))
		text_to_core(e, ctx);
	if (ctx->cancel_wanted && !ctx->cancelled)
		cancel_send(e, ctx);
	tell(e, ctx, msg, core, flow);
}

static void ict_success(struct td_engine *e, struct td_ctx *ctx, const struct td_msg *msg,
	const struct td_core *core, const struct td_flow *flow)
{
	ctx->state = CTX_ACCEPTED;
	td_timer_stop(&e->wheel, &ctx->retransmit);
	td_timer_start(&e->wheel, &ctx->end, txn_after(e, e->txn->timeout_ms)); // M
	ctx_release_text(e, ctx);
	tell(e, ctx, msg, core, flow);
}

// tell_user: false where the user was told of a time-out already.
static void ict_failure(struct td_engine *e, struct td_ctx *ctx, const struct td_msg *msg,
	const struct td_core *core, const struct td_flow *flow, bool tell_user)
{
	uint32_t timer_d_ms = ctx->flow.reliable ? 0 : e->txn->timeout_ms;

	ctx->state = CTX_COMPLETED;
	td_timer_stop(&e->wheel, &ctx->retransmit);
	td_timer_start(&e->wheel, &ctx->end, txn_after(e, timer_d_ms));
	ict_ack(e, ctx, msg);
	bool moved = tell_user && ctx_challenged(e, ctx, msg);
	text_to_target(e, ctx);
	if (tell_user && !moved)
		tell(e, ctx, msg, core, flow);
}

void ict_response(struct td_engine *e, struct td_ctx *ctx, const struct td_msg *msg,
	const struct td_core *core, const struct td_flow *flow)
{
	unsigned class = msg->status / 100;

	switch ((enum ctx_state)ctx->state) {
	case CTX_CALLING:
	case CTX_PROCEEDING:
		if (class == 1)
			ict_provisional(e, ctx, msg, core, flow);
		else if (class == 2)
			ict_success(e, ctx, msg, core, flow);
		else
			ict_failure(e, ctx, msg, core, flow, true);
		break;
	case CTX_GIVEN_UP:
		if (class == 1 && !ctx->cancelled)
			cancel_send(e, ctx);
		else if (class == 2)
			ict_success(e, ctx, msg, core, flow);
		else if (class > 2)
			ict_failure(e, ctx, msg, core, flow, false);
		break;
	case CTX_ACCEPTED: // repeated, or from another branch of a fork (RFC 6026 §7.2)
		if (class == 2)
			tell(e, ctx, msg, core, flow);
		break;
	case CTX_COMPLETED: // a 2xx that crossed the failure is a dialog that the user must end
		if (class == 2)
			tell(e, ctx, msg, core, flow);
		else if (class > 2) {
			td_engine_count(e, TD_C_SIP_RETRANSMISSION);
			ict_ack(e, ctx, msg);
		}
		break;
	case CTX_ENDED:
		break;
	}
}

void ict_end_due(struct td_engine *e, struct td_ctx *ctx)
{
	bool over = ctx->transport_error || ctx->cancelled;

	if (ctx->state > CTX_PROCEEDING) {
		ctx_end(e, ctx);
		return;
	}
	// B, the transport, or no answer after CANCEL. Only after B may something still come.
	ict_give_up(e, ctx);
	if (ctx->user)
		ctx->user->timeout(e, ctx, ctx->transport_error);
	if (over)
		ctx_end(e, ctx);
}
