// SPDX-License-Identifier: BSD-3-Clause
// The switch as the user agent that a provider challenges (RFC 7616 §3.4, RFC 8760): reads
// challenges, keeps the last nonce of each trunk, and writes the credentials of the requests that
// follow. The other end, challenging others, is sip/auth.h.
//
// Owner: the engine's thread. Allocates only at creation. A trunk whose place another one took is
// challenged anew: nothing is lost but a round trip.
#pragma once

#include "sip/engine.h"
#include "sip/msg.h"
#include "sip/policy.h"
#include "sip/pool.h"
#include "sip/writer.h"

#define TD_NONCE_MAX 256 // a longer nonce or opaque is not answered
#define TD_OPAQUE_MAX 128
#define TD_CREDENTIALS_LINE_MAX 1024 // of a header line, the URI left out

struct td_challenges;
struct td_challenges *td_challenges_new(const struct td_alloc *alloc); // NULL: no memory
void td_challenges_free(const struct td_alloc *alloc, struct td_challenges *challenges);

// Keeps what the topmost challenge of the trunk's realm asks for that can be answered: MD5 or
// SHA-256, qop auth or none (RFC 8760 §2.4). *stale: it says that only the nonce was too old. 0 or
// -ENOENT: there is none.
int td_challenge_learn(struct td_challenges *challenges, const struct td_trunk *trunk,
	const struct td_msg *response, bool *stale);

// Writes the line "Authorization: Digest …" (after a 407 Proxy-Authorization) for a request to that
// trunk. Nothing where no nonce of it is known.
void td_credentials_put(struct td_challenges *challenges, struct td_engine *engine,
	const struct td_trunk *trunk, struct td_span method, struct td_span uri,
	struct td_writer *out);
