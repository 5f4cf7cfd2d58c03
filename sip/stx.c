// SPDX-License-Identifier: BSD-3-Clause
// What the two server transactions share: birth, responding, repeating, end.
#include "sip/txn_priv.h"

#include <errno.h>

static void stx_retransmit_expired(void *engine, struct td_timer *timer)
{
	ist_retransmit_due(engine, txn_of(timer, struct td_stx, retransmit));
}

// Left without a user before its final answer: the far end is told, and nothing waits for ever.
static void stx_orphan_due(struct td_engine *e, struct td_stx *stx)
{
	const struct td_response failed = { .status = 500 };

	if (stx->user)
		return;
	if (td_stx_respond(e, stx, &failed) != 0)
		stx_end(e, stx);
}

static void stx_end_expired(void *engine, struct td_timer *timer)
{
	struct td_stx *stx = txn_of(timer, struct td_stx, end);

	if (stx->state == STX_PROCEEDING) {
		stx_orphan_due(engine, stx);
		return;
	}
	if (stx->invite)
		ist_end_due(engine, stx);
	else
		nist_end_due(engine, stx);
}

struct td_stx *td_stx_new(struct td_engine *e, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core, const struct td_stx_user *user, void *user_data)
{
	struct td_txn *txn = e->txn;
	struct td_stx *stx = td_pool_get(&txn->stx);

	if (!stx) {
		td_engine_count(e, TD_C_SIP_NO_TRANSACTION);
		return NULL;
	}
	if (response_head_copy(e, flow, msg, core, &stx->head) != 0) {
		td_engine_count(e, TD_C_SIP_NO_MEMORY);
		td_pool_put(&txn->stx, stx);
		return NULL;
	}
	stx->engine = e;
	stx->user = user;
	stx->user_data = user_data;
	stx->flow = *flow;
	stx->method = msg->method;
	stx->invite = msg->method == TD_M_INVITE;
	stx->takes_tag = response_takes_tag(msg, core);
	stx->retransmit.expired = stx_retransmit_expired;
	stx->end.expired = stx_end_expired;
	txn_insert(txn, txn->rx_key, REF_STX, td_pool_slot(&txn->stx, stx));
	if (txn->rx_merge_key != 0)
		txn_insert(txn, txn->rx_merge_key, REF_MERGE, td_pool_slot(&txn->stx, stx));
	if (stx->invite)
		ist_start(e, stx);
	return stx;
}

void *td_stx_data(const struct td_stx *stx)
{
	return stx->user_data;
}

void td_stx_set_user(struct td_stx *stx, const struct td_stx_user *user, void *user_data)
{
	stx->user = user;
	stx->user_data = user_data;
	if (user)
		return;
	// Never at once: the caller may still hold the handle.
	if (stx->state == STX_ACCEPTED)
		td_timer_start(&stx->engine->wheel, &stx->end, td_engine_now_ms(stx->engine));
	else if (stx->state == STX_PROCEEDING)
		td_timer_start(&stx->engine->wheel, &stx->end,
			txn_after(stx->engine, stx->engine->txn->t1_ms));
}

const struct td_flow *td_stx_flow(const struct td_stx *stx)
{
	return &stx->flow;
}

void stx_release_texts(struct td_engine *e, struct td_stx *stx)
{
	td_slab_put(e->slab, stx->head.text);
	td_slab_put(e->slab, stx->copy);
	stx->head.text = NULL;
	stx->copy = NULL;
}

void stx_end(struct td_engine *e, struct td_stx *stx)
{
	struct td_txn *txn = e->txn;
	uint32_t slot = td_pool_slot(&txn->stx, stx);

	td_timer_stop(&e->wheel, &stx->retransmit);
	td_timer_stop(&e->wheel, &stx->end);
	txn_remove(txn, stx->node.key, REF_STX, slot);
	if (stx->merge.key != 0)
		txn_remove(txn, stx->merge.key, REF_MERGE, slot);
	stx_release_texts(e, stx);
	stx->state = STX_ENDED;
	if (stx->user)
		stx->user->ended(e, stx);
	td_pool_put(&txn->stx, stx);
}

void stx_end_with_tombstone(struct td_engine *e, struct td_stx *stx, bool silent)
{
	tombstone_put(e, stx->node.key, stx->status, silent, stx_tag(stx));
	stx_end(e, stx);
}

// Can the response be written again from the head alone?
static bool is_plain(const struct td_response *r)
{
	return r->reason.len == 0 && r->contact.len == 0 && r->headers.len == 0 &&
	       r->body.len == 0 && !r->record_route;
}

// The tag that goes into this response; remembered, for all responses of a transaction should have
// the same (§8.2.6.2) unless the user names another (another early dialog).
static struct td_span stx_choose_tag(
	struct td_engine *e, struct td_stx *stx, const struct td_response *r)
{
	if (r->status <= 100 || !stx->takes_tag)
		return (struct td_span){ 0 };
	if (r->to_tag.len > 0) {
		memcpy(stx->tag, r->to_tag.ptr, r->to_tag.len);
		stx->tag_len = (uint8_t)r->to_tag.len;
	} else if (stx->tag_len == 0) {
		response_derive_tag(
			e, td_span((const char *)&stx->node.key, sizeof(stx->node.key)), stx->tag);
		stx->tag_len = DERIVED_TAG_LEN;
	}
	return stx_tag(stx);
}

// Keeps what cannot be written anew. Without memory a plain answer is repeated instead, but a 2xx
// to an INVITE has no plain form: it is refused.
static int stx_keep_copy(struct td_engine *e, struct td_stx *stx, const struct td_response *r,
	const struct td_buf *buf)
{
	td_slab_put(e->slab, stx->copy);
	stx->copy = NULL;
	if (is_plain(r))
		return 0;
	stx->copy = td_slab_get(e->slab, buf->len);
	if (!stx->copy) {
		td_engine_count(e, TD_C_SIP_NO_MEMORY);
		return stx->invite && r->status / 100 == 2 ? -ENOBUFS : 0;
	}
	memcpy(stx->copy, buf->data, buf->len);
	stx->copy_len = buf->len;
	return 0;
}

// Without a buffer a final answer is as lost on the way: what repeats it then writes it anew, in
// its plain form. A 2xx to an INVITE has none.
static bool may_be_lost(const struct td_stx *stx, const struct td_response *r)
{
	return r->status >= 300 || (r->status >= 200 && !stx->invite);
}

int td_stx_respond(struct td_engine *e, struct td_stx *stx, const struct td_response *r)
{
	struct td_buf buf = { 0 };

	if (stx->state != STX_PROCEEDING)
		return -EALREADY;
	if (r->to_tag.len > TD_TAG_MAX)
		return -EINVAL;
	int rc = response_write(e, &stx->head, r, stx_choose_tag(e, stx, r), &buf);
	if (rc != 0 && !may_be_lost(stx, r))
		return rc;
	if (rc == 0) {
		rc = stx_keep_copy(e, stx, r, &buf);
		if (rc != 0) {
			e->conf.ops->buf_put(e->conf.host, &buf);
			return rc;
		}
		message_send(e, &stx->flow, &buf, stx->method, r->status);
	} else {
		td_slab_put(e->slab, stx->copy);
		stx->copy = NULL;
	}
	stx->status = r->status;
	if (stx->invite)
		ist_responded(e, stx);
	else
		nist_responded(e, stx);
	return 0;
}

int stx_repeat(struct td_engine *e, struct td_stx *stx)
{
	struct td_response plain = { .status = stx->status };
	struct td_buf buf;
	int rc;

	if (stx->status == 0 || (!stx->copy && !stx->head.text))
		return -ENOENT;
	if (stx->copy) {
		rc = message_buf(e, stx->copy_len, &buf);
		if (rc == 0) {
			memcpy(buf.data, stx->copy, stx->copy_len);
			buf.len = stx->copy_len;
		}
	} else {
		rc = response_write(e, &stx->head, &plain, stx_choose_tag(e, stx, &plain), &buf);
	}
	if (rc != 0)
		return rc;
	td_engine_count(e, TD_C_SIP_RETRANSMITTED);
	message_send(e, &stx->flow, &buf, stx->method, stx->status);
	return 0;
}

int td_stx_resend(struct td_engine *e, struct td_stx *stx)
{
	return stx_repeat(e, stx);
}
