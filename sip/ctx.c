// SPDX-License-Identifier: BSD-3-Clause
// What the two client transactions share: birth, repeating, end.
#include "sip/txn_priv.h"

#include <errno.h>

static void ctx_retransmit_expired(void *engine, struct td_timer *timer)
{
	struct td_ctx *ctx = txn_of(timer, struct td_ctx, retransmit);

	if (ctx->method == TD_M_INVITE)
		ict_retransmit_due(engine, ctx);
	else
		nict_retransmit_due(engine, ctx);
}

static void ctx_end_expired(void *engine, struct td_timer *timer)
{
	struct td_ctx *ctx = txn_of(timer, struct td_ctx, end);

	if (ctx->method == TD_M_INVITE)
		ict_end_due(engine, ctx);
	else
		nict_end_due(engine, ctx);
}

// Keeps what may have to be repeated: the whole request, on a reliable flow only what a CANCEL is
// made from, unless a challenge may come.
static int ctx_keep_text(struct td_engine *e, struct td_ctx *ctx, const struct td_buf *buf)
{
	ctx->text_len = ctx->flow.reliable && !ctx->whole ? ctx->marks.core_len : buf->len;
	ctx->text = td_slab_get(e->slab, ctx->text_len);
	if (!ctx->text)
		return -ENOBUFS;
	memcpy(ctx->text, buf->data, ctx->text_len);
	return 0;
}

// A datagram that found no room is like one lost on the way; a flow that is gone ends the
// transaction at the next tick.
static void ctx_send(struct td_engine *e, struct td_ctx *ctx, struct td_buf *buf)
{
	int rc = message_send(e, &ctx->flow, buf, ctx->method, 0);

	if (rc == 0 || (rc == -ENOBUFS && !ctx->flow.reliable))
		return;
	ctx->transport_error = true;
	td_timer_start(&e->wheel, &ctx->end, td_engine_now_ms(e));
}

static void ctx_init(struct td_engine *e, struct td_ctx *ctx, const struct td_flow *flow,
	uint8_t method, const struct request_marks *marks)
{
	ctx->engine = e;
	ctx->retransmit.expired = ctx_retransmit_expired;
	ctx->end.expired = ctx_end_expired;
	ctx->flow = *flow;
	ctx->method = method;
	ctx->marks = *marks;
}

// Takes the buffer in every case.
static int ctx_start(struct td_engine *e, struct td_ctx *ctx, struct td_buf *buf)
{
	if (ctx_keep_text(e, ctx, buf) != 0) {
		td_engine_count(e, TD_C_SIP_NO_MEMORY);
		e->conf.ops->buf_put(e->conf.host, buf);
		return -ENOBUFS;
	}
	if (ctx->method == TD_M_INVITE)
		ict_start(e, ctx);
	else
		nict_start(e, ctx);
	ctx_send(e, ctx, buf);
	return 0;
}

static struct td_ctx *ctx_get(struct td_engine *e)
{
	struct td_ctx *ctx = td_pool_get(&e->txn->ctx);

	if (!ctx)
		td_engine_count(e, TD_C_SIP_NO_TRANSACTION);
	return ctx;
}

struct td_ctx *ctx_new(struct td_engine *e, const struct td_request *request,
	const struct td_ctx *again, const struct td_ctx_user *user, void *user_data)
{
	struct td_pool *pool = &e->txn->ctx;
	struct td_ctx *ctx = ctx_get(e);
	struct request_marks marks;
	struct td_buf buf;
	int rc = ctx ? 0 : -ENOBUFS;

	if (ctx) {
		const struct td_token token = { .kind = TD_TOKEN_TRANSACTION,
			.worker = e->conf.worker,
			.slot = td_pool_slot(pool, ctx),
			.generation = td_pool_generation(pool, ctx) };
		rc = again ? request_write_again(
				     e, again, request->cseq, request->trunk, &token, &buf, &marks)
			   : request_write(e, request, &token, &buf, &marks);
	}
	if (rc == 0) {
		ctx_init(e, ctx, &request->flow, request->method, &marks);
		ctx->user = user;
		ctx->user_data = user_data;
		ctx->cseq = request->cseq;
		ctx->whole = request->trunk != NULL;
		rc = ctx_start(e, ctx, &buf);
	}
	if (rc == 0)
		return ctx;
	if (ctx)
		td_pool_put(pool, ctx);
	errno = -rc;
	return NULL;
}

struct td_ctx *td_ctx_new(struct td_engine *e, const struct td_request *request,
	const struct td_ctx_user *user, void *user_data)
{
	return ctx_new(e, request, NULL, user, user_data);
}

int ctx_start_cancel(struct td_engine *e, struct td_ctx *invite, struct td_span reason_header)
{
	struct td_ctx *ctx = ctx_get(e);
	struct request_marks marks;
	struct td_buf buf;

	if (!ctx)
		return -ENOBUFS;
	int rc = request_write_cancel(e, invite, reason_header, &buf, &marks);
	if (rc == 0) {
		ctx_init(e, ctx, &invite->flow, TD_M_CANCEL, &marks);
		ctx->cseq = invite->cseq;
		rc = ctx_start(e, ctx, &buf);
	}
	if (rc != 0) {
		td_pool_put(&e->txn->ctx, ctx);
		return rc;
	}
	ctx->other = invite;
	invite->other = ctx;
	return 0;
}

void ctx_release_text(struct td_engine *e, struct td_ctx *ctx)
{
	td_slab_put(e->slab, ctx->text);
	ctx->text = NULL;
	ctx->text_len = 0;
}

void ctx_end(struct td_engine *e, struct td_ctx *ctx)
{
	td_timer_stop(&e->wheel, &ctx->retransmit);
	td_timer_stop(&e->wheel, &ctx->end);
	ctx_release_text(e, ctx);
	td_slab_put(e->slab, ctx->cancel_reason);
	if (ctx->other)
		ctx->other->other = NULL;
	ctx->state = CTX_ENDED;
	if (ctx->user)
		ctx->user->ended(e, ctx);
	td_pool_put(&e->txn->ctx, ctx);
}

void td_ctx_forget(struct td_engine *e, struct td_ctx *ctx)
{
	ctx->user = NULL;
	ctx_end(e, ctx);
}

void ctx_repeat(struct td_engine *e, struct td_ctx *ctx)
{
	struct td_buf buf;

	if (message_buf(e, ctx->text_len, &buf) != 0)
		return; // as if lost; the next one comes
	memcpy(buf.data, ctx->text, ctx->text_len);
	buf.len = ctx->text_len;
	td_engine_count(e, TD_C_SIP_RETRANSMITTED);
	ctx_send(e, ctx, &buf);
}

void *td_ctx_data(const struct td_ctx *ctx)
{
	return ctx->user_data;
}

void td_ctx_set_user(struct td_ctx *ctx, const struct td_ctx_user *user, void *user_data)
{
	ctx->user = user;
	ctx->user_data = user_data;
	// Nobody would ACK its 2xx, nor end a ringing that has no timer of its own.
	if (!user && ctx->state <= CTX_PROCEEDING)
		td_ctx_abandon(ctx->engine, ctx);
}

uint32_t td_ctx_cseq(const struct td_ctx *ctx)
{
	return ctx->cseq;
}

const struct td_flow *td_ctx_flow(const struct td_ctx *ctx)
{
	return &ctx->flow;
}
