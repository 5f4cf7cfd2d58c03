// SPDX-License-Identifier: BSD-3-Clause
#include "sip/nonce.h"

enum { WAYS = 4, WINDOW = 64 };

#define SECOND_NS 1000000000u

// Of a nonce in use, known by second and sequence.
struct window {
	uint32_t minted_s; // from 1; 0: free
	uint32_t sequence;
	uint32_t highest; // count used
	// Of the first of a bucket: what was minted until then and is not here was thrown out.
	uint32_t gone_s;
	uint64_t used; // bit i: highest − i was used
	uint64_t last; // the request that used highest
};

static_assert(sizeof(struct window) == 32, "two to a cache line");

struct td_nonces {
	struct td_token_keys keys;
	uint8_t worker;
	uint32_t sequence;
	uint32_t mask; // of buckets
	struct window (*buckets)[WAYS];
};

struct td_nonces *td_nonces_new(const struct td_alloc *alloc, uint32_t entries,
	const struct td_token_keys *keys, uint8_t worker)
{
	uint32_t n = 16;

	while (n < entries / WAYS && n < 1u << 26)
		n *= 2;
	size_t bytes = sizeof(struct td_nonces) + 64 + n * sizeof(struct window[WAYS]);
	struct td_nonces *nonces = alloc->alloc(alloc->ctx, bytes);
	if (!nonces)
		return NULL;
	memset(nonces, 0, bytes);
	nonces->keys = *keys;
	nonces->worker = worker;
	nonces->mask = n - 1;
	char *memory = (char *)(nonces + 1);
	nonces->buckets = (void *)(memory + (64 - (uintptr_t)memory % 64) % 64);
	return nonces;
}

void td_nonces_free(struct td_nonces *nonces, const struct td_alloc *alloc)
{
	if (nonces)
		alloc->free(alloc->ctx, nonces);
}

enum { HEX = TD_NONCE_LEN - TD_BOUND_LEN };

// The address, not the port, which a NAT may change.
static uint64_t source_hash(
	const struct td_nonces *nonces, uint16_t realm, const struct td_sockaddr *source)
{
	uint8_t text[sizeof(source->ip) + 3];

	memcpy(text, source->ip, sizeof(source->ip));
	text[sizeof(source->ip)] = source->family;
	text[sizeof(source->ip) + 1] = (uint8_t)realm;
	text[sizeof(source->ip) + 2] = (uint8_t)(realm >> 8);
	return td_siphash(nonces->keys.hash, text, sizeof(text));
}

static uint64_t site_hash(const struct td_nonces *nonces, const struct td_flow *flow)
{
	const struct td_sockaddr site = td_ip_site(&flow->remote);

	return source_hash(nonces, flow->realm, &site);
}

static uint32_t second_of(uint64_t now_ns)
{
	return (uint32_t)(now_ns / SECOND_NS) + 1;
}

// Bound to the address it is for; one that anybody may bring names whom it was given to.
size_t td_nonce_mint(struct td_nonces *nonces, uint64_t now_ns, const struct td_flow *flow,
	bool any_source, char dst[TD_NONCE_LEN])
{
	const struct td_token token = {
		.kind = TD_TOKEN_NONCE,
		.worker = nonces->worker,
		.slot = second_of(now_ns),
		.generation = nonces->sequence++ & TD_BOUND_GENERATION_MAX,
	};
	uint64_t bound = any_source ? site_hash(nonces, flow)
				    : source_hash(nonces, flow->realm, &flow->remote);

	td_token_write_bound(&nonces->keys, &token, bound, dst);
	for (unsigned i = 0; any_source && i < HEX; i++)
		dst[TD_BOUND_LEN + i] = "0123456789abcdef"[bound >> 4 * (HEX - 1 - i) & 15];
	return any_source ? TD_NONCE_LEN : TD_BOUND_LEN;
}

// The end of a nonce that anybody may bring. false: it is none.
static bool given_to_read(struct td_span nonce, uint64_t *out)
{
	uint64_t hash = 0;

	if (nonce.len != TD_NONCE_LEN)
		return false;
	for (unsigned i = TD_BOUND_LEN; i < TD_NONCE_LEN; i++) {
		char c = nonce.ptr[i];
		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
			return false;
		hash = hash << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	*out = hash;
	return true;
}

enum td_nonce_verdict td_nonce_check(const struct td_nonces *nonces, uint64_t now_ns,
	const struct td_flow *flow, bool any_source, uint32_t lifetime_s, struct td_span nonce,
	struct td_nonce *out)
{
	uint64_t bound = source_hash(nonces, flow->realm, &flow->remote);

	out->source = out->given_to = bound;
	if (any_source) {
		if (!given_to_read(nonce, &out->given_to))
			return TD_NONCE_STALE;
		bound = out->given_to;
		nonce.len = TD_BOUND_LEN;
	} else if (flow->remote.family == TD_IPV6) {
		out->given_to = site_hash(nonces, flow);
	}
	if (td_token_read_bound(&nonces->keys, nonce, bound, &out->token) != 0 ||
		out->token.worker != nonces->worker)
		return TD_NONCE_STALE;
	return second_of(now_ns) - out->token.slot <= lifetime_s ? TD_NONCE_GOOD : TD_NONCE_STALE;
}

// The window's place: its own, else a free one, else that of the oldest of the bucket. NULL: it was
// in use before and was thrown out, or nobody can tell.
static struct window *window_of(struct window bucket[WAYS], const struct td_token *nonce)
{
	struct window *oldest = &bucket[0];

	for (unsigned i = 0; i < WAYS; i++) {
		struct window *w = &bucket[i];
		if (w->minted_s == nonce->slot && w->sequence == nonce->generation)
			return w;
		if (w->minted_s < oldest->minted_s)
			oldest = w;
	}
	uint32_t gone_s = bucket[0].gone_s;
	if (oldest->minted_s > gone_s)
		gone_s = oldest->minted_s;
	if (nonce->slot <= gone_s)
		return NULL;
	*oldest = (struct window){ .minted_s = nonce->slot, .sequence = nonce->generation };
	bucket[0].gone_s = gone_s;
	return oldest;
}

static enum td_nonce_verdict window_use(struct window *w, uint32_t nc, uint64_t request)
{
	uint32_t behind = w->highest - nc;

	if (nc > w->highest) {
		uint32_t ahead = nc - w->highest;
		w->used = ahead < WINDOW ? w->used << ahead | 1 : 1;
		w->highest = nc;
		w->last = request;
		return TD_NONCE_GOOD;
	}
	if (behind >= WINDOW)
		return TD_NONCE_REPLAYED;
	if (behind == 0 && w->last == request)
		return TD_NONCE_REPEATED;
	if (w->used >> behind & 1)
		return TD_NONCE_REPLAYED;
	w->used |= 1ull << behind;
	return TD_NONCE_GOOD;
}

// Sequences follow one another: so do their buckets, and each is used as often as another.
static struct window *bucket_of(const struct td_nonces *nonces, const struct td_nonce *nonce)
{
	return nonces->buckets[nonce->token.generation & nonces->mask];
}

void td_nonce_prefetch(const struct td_nonces *nonces, const struct td_nonce *nonce)
{
	const struct window *bucket = bucket_of(nonces, nonce);

	__builtin_prefetch(&bucket[0]);
	__builtin_prefetch(&bucket[WAYS / 2]);
}

enum td_nonce_verdict td_nonce_use(
	struct td_nonces *nonces, const struct td_nonce *nonce, uint32_t nc, uint64_t request)
{
	struct window *w = window_of(bucket_of(nonces, nonce), &nonce->token);

	if (!w)
		return TD_NONCE_STALE;
	return nc == 0 ? TD_NONCE_REPLAYED : window_use(w, nc, request);
}
