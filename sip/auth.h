// SPDX-License-Identifier: BSD-3-Clause
// Who sent a request: digest authentication (RFC 7616, RFC 8760) of REGISTER and of what begins a
// dialog, from the worker's own tables and without a round trip.
//
// Owner: the engine's thread. Allocates only at creation.
#pragma once

#include "sip/core.h"
#include "sip/engine.h"
#include "sip/pool.h"

struct td_auth; // nonces and penalties of one engine
// For so many registrations of this engine. NULL: ENOMEM.
struct td_auth *td_auth_create(
	struct td_engine *engine, const struct td_alloc *alloc, uint32_t registrations);
void td_auth_destroy(struct td_auth *auth, const struct td_alloc *alloc); // NULL is fine

enum td_auth_verdict {
	TD_AUTH_PASSED,    // *subscriber is who it says
	TD_AUTH_CHALLENGE, // 401 with `headers`: no credentials, none that fit, or stale ones
	TD_AUTH_FORBIDDEN, // 403: wrong credentials, or a subscriber that may not
	TD_AUTH_BUSY,      // 503 with `headers` (Retry-After): wrong too often from that source, or
			   // the subscribers are not known yet
	TD_AUTH_BAD,       // 400: an Authorization that nobody could read
};

#define TD_AUTH_HEADERS_MAX 1024

struct td_auth_answer {
	uint8_t verdict; // enum td_auth_verdict
	bool repeated;   // passed, and the very REGISTER that passed last with this nonce
	uint16_t status; // to answer with; 0: passed
	// passed; until the event is over
	const struct td_subscriber_entry *subscriber;
	uint32_t headers_len;
	char headers[TD_AUTH_HEADERS_MAX]; // complete lines for the response
};

// Who will probably be asked for: its hash need not be worked out again.
struct td_auth_hint {
	struct td_span aor;
	uint64_t hash; // of td_subscribers_hash()
};

// Judges the request in msg. The realm it came in has a registrar. The AoR of a pass is that of the
// credentials: whether it is also who From, To or the Request-URI name is the caller's to compare.
// Counts its verdict. A pass uses the nonce count up: ask once for each request that is no
// retransmission. hint: NULL, where there is none.
void td_auth_check(struct td_engine *engine, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core, const struct td_auth_hint *hint, struct td_auth_answer *out);

static inline struct td_span td_auth_headers(const struct td_auth_answer *a)
{
	return td_span(a->headers, a->headers_len);
}
