// SPDX-License-Identifier: BSD-3-Clause
// Addresses of record: one spelling for each, "user@domain" with the user unescaped and the domain
// in lower case, and the hash that names their owner. Pure; any thread.
#pragma once

#include "include/subscriber.h"
#include "sip/hash.h"
#include "sip/token.h"
#include "sip/uri.h"

// Length; -EINVAL: the URI has no user or host, is too long, or its user holds what is no visible
// character (a space parts the AoR from what follows it in a binding's key).
int td_aor_make(const struct td_uri *uri, char dst[TD_AOR_LEN]);

// The same in every realm: all bindings of an AoR live with one worker.
static inline uint64_t td_aor_hash(const struct td_token_keys *keys, struct td_span aor)
{
	return td_hash_of(keys->hash, aor.ptr, aor.len);
}

// The worker that owns what hashes so; a multiplication spreads it without a division.
static inline uint16_t td_hash_owner(uint64_t hash, uint16_t n_workers)
{
	return (uint16_t)((hash >> 32) * n_workers >> 32);
}
