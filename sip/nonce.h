// SPDX-License-Identifier: BSD-3-Clause
// Nonces (RFC 7616 §3.3, §5.4): tokens that name the worker that minted them and hold only for
// whom they were given to. What has been minted takes no memory; what has been used once has a
// window of nonce counts, kept by its worker.
//
// Owner: one thread. Allocates only at creation.
#pragma once

#include "include/flow.h"
#include "sip/pool.h"
#include "sip/token.h"

#define TD_NONCE_LEN (TD_BOUND_LEN + 16) // at most

enum td_nonce_verdict {
	TD_NONCE_GOOD,
	TD_NONCE_REPEATED, // the very request that used it last
	TD_NONCE_STALE,    // not ours, another worker's or boot's, too old, or forgotten
	TD_NONCE_REPLAYED, // that count was used
};

// A nonce that was checked.
struct td_nonce {
	struct td_token token;
	// The address that was challenged, of IPv6 its /64, hashed: that one received it, whatever
	// address stands in the packet that brings it back.
	uint64_t given_to;
	uint64_t source; // the address that brought it back, hashed
};

struct td_nonces;
// entries: nonces in use that are told apart; more, and the oldest of them become stale. NULL:
// ENOMEM.
struct td_nonces *td_nonces_new(const struct td_alloc *alloc, uint32_t entries,
	const struct td_token_keys *keys, uint8_t worker);
void td_nonces_free(struct td_nonces *nonces, const struct td_alloc *alloc); // NULL is fine

// For the far end of the flow; any_source: whoever brings it may use it. Returns the length.
size_t td_nonce_mint(struct td_nonces *nonces, uint64_t now_ns, const struct td_flow *flow,
	bool any_source, char dst[TD_NONCE_LEN]);
// Whether it may be answered with: GOOD or STALE. Uses nothing up.
enum td_nonce_verdict td_nonce_check(const struct td_nonces *nonces, uint64_t now_ns,
	const struct td_flow *flow, bool any_source, uint32_t lifetime_s, struct td_span nonce,
	struct td_nonce *out);
// Of a checked one that will be used soon: its window is on its way.
void td_nonce_prefetch(const struct td_nonces *nonces, const struct td_nonce *nonce);
// Uses count nc of a checked one up, for the request that request is a hash of. Counts may come out
// of order within 64.
enum td_nonce_verdict td_nonce_use(
	struct td_nonces *nonces, const struct td_nonce *nonce, uint32_t nc, uint64_t request);
