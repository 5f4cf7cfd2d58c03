// SPDX-License-Identifier: BSD-3-Clause
// The non-INVITE client transaction (RFC 3261 §17.1.2, figure 6).
//
//   Trying ─ 1xx → Proceeding ─ final → Completed ─ K ─→ end;  E repeats, F gives up
#include "sip/txn_priv.h"

void nict_start(struct td_engine *e, struct td_ctx *ctx)
{
	struct td_txn *txn = e->txn;

	td_timer_start(&e->wheel, &ctx->end, txn_after(e, txn->timeout_ms)); // F
	if (ctx->flow.reliable)
		return;
	ctx->interval_ms = txn->t1_ms;
	td_timer_start(&e->wheel, &ctx->retransmit, txn_after(e, ctx->interval_ms)); // E
}

void nict_retransmit_due(struct td_engine *e, struct td_ctx *ctx)
{
	uint32_t t2_ms = e->txn->t2_ms;

	if (ctx->state == CTX_PROCEEDING || ctx->interval_ms * 2 > t2_ms)
		ctx->interval_ms = t2_ms;
	else
		ctx->interval_ms *= 2;
	td_timer_start(&e->wheel, &ctx->retransmit, txn_after(e, ctx->interval_ms));
	ctx_repeat(e, ctx);
}

void nict_response(struct td_engine *e, struct td_ctx *ctx, const struct td_msg *msg,
	const struct td_core *core, const struct td_flow *flow)
{
	if (ctx->state > CTX_PROCEEDING) {
		td_engine_count(e, TD_C_SIP_RETRANSMISSION);
		return;
	}
	if (msg->status < 200) {
		ctx->state = CTX_PROCEEDING;
	} else {
		ctx->state = CTX_COMPLETED;
		td_timer_stop(&e->wheel, &ctx->retransmit);
		td_timer_start(&e->wheel, &ctx->end,
			txn_after(e, ctx->flow.reliable ? 0 : e->txn->t4_ms)); // K
		ctx_challenged(e, ctx, msg);
		ctx_release_text(e, ctx);
	}
	if (ctx->user)
		ctx->user->response(e, ctx, msg, core, flow);
}

void nict_end_due(struct td_engine *e, struct td_ctx *ctx)
{
	if (ctx->state <= CTX_PROCEEDING) {
		ctx->state = CTX_COMPLETED;
		if (ctx->user)
			ctx->user->timeout(e, ctx, ctx->transport_error);
	}
	ctx_end(e, ctx);
}
