// SPDX-License-Identifier: BSD-3-Clause
// Finding the transaction that a message belongs to (RFC 3261 §17.1.3, §17.2.3).
#include "sip/txn_priv.h"

#include "sip/hash.h"
#include "sip/policy.h"

#include <errno.h>

// --- table ---

static struct txn_node *node_of(struct td_txn *txn, uint32_t ref)
{
	uint32_t index = ref >> 2;

	if ((ref & 3) == REF_TOMBSTONE)
		return &txn->tombstones[index].node;
	struct td_stx *stx =
		(struct td_stx *)(void *)(txn->stx.items + (size_t)index * txn->stx.item_bytes);
	return (ref & 3) == REF_STX ? &stx->node : &stx->merge;
}

void txn_insert(struct td_txn *txn, uint64_t key, enum txn_ref_kind kind, uint32_t index)
{
	uint32_t ref = index << 2 | kind;
	uint32_t *head = &txn->heads[key & txn->mask];
	struct txn_node *node = node_of(txn, ref);

	node->key = key;
	node->next = *head;
	*head = ref;
}

void txn_remove(struct td_txn *txn, uint64_t key, enum txn_ref_kind kind, uint32_t index)
{
	uint32_t ref = index << 2 | kind;
	uint32_t *link = &txn->heads[key & txn->mask];

	while (*link != 0 && *link != ref)
		link = &node_of(txn, *link)->next;
	assert(*link == ref);
	*link = node_of(txn, ref)->next;
}

// The reference with that key, or 0.
static uint32_t txn_find(struct td_txn *txn, uint64_t key)
{
	uint32_t ref = txn->heads[key & txn->mask];

	while (ref != 0) {
		struct txn_node *node = node_of(txn, ref);
		if (node->key == key)
			break;
		ref = node->next;
	}
	return ref;
}

// --- keys ---

enum { KEY_PART_MAX = 192, KEY_PARTS_MAX = 5 };

struct key_text {
	uint32_t len;
	uint8_t bytes[16 + KEY_PARTS_MAX * (KEY_PART_MAX + 4)];
};

static void key_number(struct key_text *k, uint32_t n)
{
	memcpy(k->bytes + k->len, &n, sizeof(n));
	k->len += sizeof(n);
}

// Each part with its length, so that no two sequences of parts look alike. A long one is
// represented by its hash.
static void key_part(struct key_text *k, const struct td_engine *e, struct td_span part)
{
	uint64_t hash;

	key_number(k, part.len);
	if (part.len > KEY_PART_MAX) {
		hash = td_hash_of(e->keys.hash, part.ptr, part.len);
		part = td_span((const char *)&hash, sizeof(hash));
	}
	if (part.len > 0)
		memcpy(k->bytes + k->len, part.ptr, part.len);
	k->len += part.len;
}

// The keyed hash stands for the parts themselves: 64 bits that nobody outside can aim at.
static uint64_t key_hash(const struct td_engine *e, const struct key_text *k)
{
	uint64_t hash = td_hash_of(e->keys.hash, k->bytes, k->len);

	return hash != 0 ? hash : 1;
}

static uint64_t request_key(const struct td_engine *e, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core, enum td_method method)
{
	const struct td_via *via = &core->via;
	struct key_text k;
	bool cookie = via->branch.len > 7 &&
		      td_span_ieq(td_span(via->branch.ptr, 7), TD_SPAN(TD_BRANCH_COOKIE));

	k.len = 0; // the bytes are not cleared: they are written before they are hashed
	key_number(&k, (uint32_t)flow->realm << 16 | (uint32_t)cookie << 8 | method);
	// Whoever has only overheard a branch can neither cancel nor acknowledge, nor have an
	// answer repeated to himself.
	key_part(&k, e, td_span((const char *)flow->remote.ip, sizeof(flow->remote.ip)));
	if (cookie) {
		key_number(&k, via->port);
		key_part(&k, e, via->branch);
		key_part(&k, e, via->host);
	} else {
		// RFC 2543 matching. To is left out: an ACK has a tag there that its INVITE had
		// not.
		key_number(&k, core->cseq.number);
		key_part(&k, e, msg->uri);
		key_part(&k, e, core->from.tag);
		key_part(&k, e, core->call_id);
		key_part(&k, e, via->whole);
	}
	return key_hash(e, &k);
}

bool td_txn_merged(struct td_engine *e, const struct td_flow *flow, const struct td_core *core)
{
	struct key_text k;

	k.len = 0;
	// Method 255 is none: these keys never meet those of requests.
	key_number(&k, (uint32_t)flow->realm << 16 | 255);
	key_number(&k, core->cseq.number);
	key_part(&k, e, core->cseq.method_name);
	key_part(&k, e, core->from.tag);
	key_part(&k, e, core->call_id);
	e->txn->rx_merge_key = key_hash(e, &k);
	return txn_find(e->txn, e->txn->rx_merge_key) != 0;
}

// --- requests ---

static struct td_stx *stx_of(struct td_txn *txn, uint32_t ref)
{
	return (ref & 3) == REF_STX ? txn_of(node_of(txn, ref), struct td_stx, node) : NULL;
}

// Absorbs a copy of the request; answers it from itself where an answer is due.
static bool tombstone_request(struct td_engine *e, struct tombstone *t, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core)
{
	if (msg->method == TD_M_ACK) {
		// With RFC 2543 matching the ACK to a 2xx comes here too: it is the user's.
		if (t->status < 300)
			return false;
		t->silent = true;
		return true;
	}
	td_engine_count(e, TD_C_SIP_RETRANSMISSION);
	if (t->silent)
		return true;
	struct td_response again = { .status = t->status, .to_tag = td_span(t->tag, t->tag_len) };
	if (td_respond_stateless(e, flow, msg, core, &again) == 0)
		td_engine_count(e, TD_C_SIP_RETRANSMITTED);
	return true;
}

// §9.2: a CANCEL is answered 200 whenever its INVITE is known, and has an effect only before a
// final answer.
static bool cancel_request(struct td_engine *e, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core)
{
	uint32_t ref = txn_find(e->txn, request_key(e, flow, msg, core, TD_M_INVITE));

	if (ref == 0)
		return false;
	struct td_stx *stx = stx_of(e->txn, ref);
	struct tombstone *t = stx ? NULL : &e->txn->tombstones[ref >> 2];
	struct td_response ok = { .status = 200,
		.to_tag = stx ? stx_tag(stx) : td_span(t->tag, t->tag_len) };
	td_respond_stateless(e, flow, msg, core, &ok);
	if (stx)
		ist_cancel(e, stx, msg);
	return true;
}

bool td_txn_rx_request(struct td_engine *e, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core)
{
	struct td_txn *txn = e->txn;
	enum td_method method = msg->method == TD_M_ACK ? TD_M_INVITE : (enum td_method)msg->method;

	if (msg->method == TD_M_CANCEL)
		return cancel_request(e, flow, msg, core);
	txn->rx_key = request_key(e, flow, msg, core, method);
	txn->rx_merge_key = 0;
	uint32_t ref = txn_find(txn, txn->rx_key);
	if (ref == 0)
		return false;
	struct td_stx *stx = stx_of(txn, ref);
	if (!stx)
		return tombstone_request(e, &txn->tombstones[ref >> 2], flow, msg, core);
	if (stx->invite)
		return ist_request(e, stx, msg);
	nist_request(e, stx);
	return true;
}

// --- responses ---

// A datagram from elsewhere than the request went to is believed only when it comes from the same
// trunk.
static bool source_is_right(const struct td_engine *e, const struct td_ctx *ctx,
	const struct td_flow *flow, const struct td_core *core)
{
	if (flow->realm != ctx->flow.realm || flow->connection != ctx->flow.connection)
		return false;
	if (td_ip_eq(&flow->remote, &ctx->flow.remote))
		return true;
	int trunk = e->policy ? td_policy_ingress(e->policy, &ctx->flow, core) : -1;
	return trunk >= 0 && td_policy_trunk_has(e->policy, (uint32_t)trunk, &flow->remote);
}

bool td_txn_rx_response(struct td_engine *e, const struct td_flow *flow, struct td_msg *msg,
	const struct td_core *core)
{
	struct td_token token;

	// Exactly one Via: more mean that it was meant for somebody behind us (§8.1.3.3).
	if (core->via.whole.len != td_msg_get(msg, TD_H_VIA).len || td_msg_repeats(msg, TD_H_VIA))
		return false;
	if (td_engine_token(e, td_branch_token(core->via.branch), &token) != 0 ||
		token.kind != TD_TOKEN_TRANSACTION || token.worker != e->conf.worker)
		return false;
	struct td_ctx *ctx = td_pool_find(&e->txn->ctx, token.slot, token.generation);
	// A CANCEL has its INVITE's branch (§9.1).
	if (ctx && ctx->method == TD_M_INVITE && msg->method == TD_M_CANCEL)
		ctx = ctx->other;
	if (!ctx || ctx->method != msg->method || ctx->cseq != core->cseq.number ||
		!source_is_right(e, ctx, flow, core))
		return false;
	if (ctx->method == TD_M_INVITE)
		ict_response(e, ctx, msg, core, flow);
	else
		nict_response(e, ctx, msg, core, flow);
	return true;
}

// --- life ---

static uint32_t power_of_two(uint64_t n)
{
	uint32_t p = 16;

	while (p < n && p < 1u << 28)
		p *= 2;
	return p;
}

enum { SETUP_S = 10 }; // from an INVITE to its answer, as it is expected

// How many server and client transactions there are at once, and tombstones.
struct txn_counts {
	uint64_t stx, ctx, tombstones;
};

// A call that is set up has an INVITE under way on each side, an established one has none, and few
// have a re-INVITE. What has ended stays for 64·T1: the answered client INVITE (Timer M) and its
// BYE (Timer K) as they are, the two server transactions of the other side as tombstones. An eighth
// is for calls that stand (td_txn_has_room()).
static struct txn_counts counts_of(
	const struct td_txn *txn, const struct td_engine_conf *conf, uint32_t setups)
{
	uint64_t ended = conf->max_cps * (txn->timeout_ms / 1000 + 1ull);
	uint64_t stx = 64 + (uint64_t)setups * 5 / 4 + conf->max_cps;

	return (struct txn_counts){
		.stx = stx,
		.ctx = stx + ended + conf->max_cps * (txn->t4_ms / 1000 + 2ull),
		.tombstones = 64 + 9 * ended / 4,
	};
}

static int pools_create(
	struct td_txn *txn, const struct td_engine *e, const struct td_engine_conf *conf)
{
	struct txn_counts most = counts_of(txn, conf, conf->max_calls);
	struct txn_counts usual = counts_of(txn, conf, td_engine_setups(conf, SETUP_S));
	uint64_t n_tombstones = most.tombstones;

	if (most.ctx > 1u << 28 || n_tombstones > 1u << 28)
		return -EINVAL;
	uint32_t n_heads = power_of_two(2 * usual.stx + n_tombstones);
	txn->tombstone_capacity = (uint32_t)n_tombstones;
	txn->mask = n_heads - 1;
	if (td_pool_init(&txn->stx, &e->alloc, sizeof(struct td_stx), (uint32_t)most.stx,
		    (uint32_t)usual.stx) != 0 ||
		td_pool_init(&txn->ctx, &e->alloc, sizeof(struct td_ctx), (uint32_t)most.ctx,
			(uint32_t)usual.ctx) != 0)
		return -ENOMEM;
	txn->tombstones = e->alloc.alloc(e->alloc.ctx, n_tombstones * sizeof(*txn->tombstones));
	txn->heads = e->alloc.alloc(e->alloc.ctx, n_heads * sizeof(*txn->heads));
	if (!txn->tombstones || !txn->heads)
		return -ENOMEM;
	memset(txn->heads, 0, n_heads * sizeof(*txn->heads));
	return 0;
}

static void txn_free(struct td_txn *txn, const struct td_alloc *alloc)
{
	td_pool_fini(&txn->stx, alloc);
	td_pool_fini(&txn->ctx, alloc);
	if (txn->tombstones)
		alloc->free(alloc->ctx, txn->tombstones);
	if (txn->heads)
		alloc->free(alloc->ctx, txn->heads);
	alloc->free(alloc->ctx, txn);
}

struct td_txn *td_txn_create(struct td_engine *e, const struct td_engine_conf *conf)
{
	struct td_txn *txn = e->alloc.alloc(e->alloc.ctx, sizeof(*txn));

	if (!txn) {
		errno = ENOMEM;
		return NULL;
	}
	memset(txn, 0, sizeof(*txn));
	txn->alloc = &e->alloc;
	txn->t1_ms = conf->t1_ms;
	txn->t2_ms = conf->t2_ms;
	txn->t4_ms = conf->t4_ms;
	txn->timeout_ms = 64 * conf->t1_ms;
	txn->tombstone_timer.expired = tombstone_expired;
	int rc = pools_create(txn, e, conf);
	if (rc != 0) {
		txn_free(txn, &e->alloc);
		errno = -rc;
		return NULL;
	}
	return txn;
}

void td_txn_destroy(struct td_txn *txn)
{
	if (txn)
		txn_free(txn, txn->alloc);
}

static bool pool_has_room(const struct td_pool *pool)
{
	return pool->n_free > pool->capacity / 8;
}

bool td_txn_has_room(const struct td_engine *e)
{
	return pool_has_room(&e->txn->stx) && pool_has_room(&e->txn->ctx);
}

void td_txn_pools(const struct td_engine *e, struct td_pool_view *out)
{
	const struct td_txn *txn = e->txn;

	out[0] = (struct td_pool_view){ "server_transactions", td_pool_used(&txn->stx),
		txn->stx.capacity };
	out[1] = (struct td_pool_view){ "client_transactions", td_pool_used(&txn->ctx),
		txn->ctx.capacity };
	out[2] = (struct td_pool_view){ "ended_transactions", txn->n_tombstones,
		txn->tombstone_capacity };
}

uint32_t td_txn_busy(const struct td_engine *e)
{
	return td_pool_used(&e->txn->stx) + td_pool_used(&e->txn->ctx) + e->txn->n_tombstones;
}
