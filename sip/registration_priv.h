// SPDX-License-Identifier: BSD-3-Clause
// The inside of the registrations at providers: the request that they and their end share.
//
// Owner: the engine's thread. Memory is the slab's but for struct td_leavings, made at start-up.
#pragma once

#include "sip/engine_priv.h"
#include "sip/registration.h"
#include "sip/txn.h"

#define REGISTER_RETRY_MAX_MS 1800000u

// Who asks: what all requests of one registration have in common (RFC 3261 §10.2).
struct register_from {
	uint32_t cseq; // of the last request
	uint8_t peer;  // of the trunk: whose turn it is
	char call_id[32], tag[16];
};

// The next REGISTER, to that trunk's peer whose turn it is. NULL: it could not be sent.
struct td_ctx *register_send(struct td_engine *e, struct register_from *from,
	const struct td_trunk *trunk, uint32_t expires_s, const struct td_ctx_user *user,
	void *user_data);
// How long the provider wants to be left alone (§20.33), at most REGISTER_RETRY_MAX_MS; 0: it does
// not say.
uint64_t register_retry_after_ms(const struct td_msg *msg);

// --- registration_leave.c: what nobody wants any more ---

struct td_leavings;
struct td_leavings *td_leavings_new(
	struct td_engine *engine, const struct td_alloc *alloc); // NULL: no memory
void td_leavings_free(struct td_leavings *leavings, const struct td_alloc *alloc);

// Takes back the binding that `from` made with that trunk, which the policy does not have any more,
// behind those that wait and no sooner than after wait_ms. Not when a trunk of the policy in force
// then has the same binding. After until_ms it is gone at the provider, too. Numbers of `from` are
// set aside for it.
void td_leave(struct td_leavings *leavings, struct register_from *from,
	const struct td_trunk *trunk, uint64_t until_ms, uint64_t wait_ms);
// The policy has changed, and td_leave() was called for all that it no longer has.
void td_leavings_follow(struct td_leavings *leavings);
