// SPDX-License-Identifier: BSD-3-Clause
// Keyed tokens in every branch and every local tag (architecture §4): 32 base64url characters,
// opaque to peers. Pure; any thread.
#pragma once

#include "include/span.h"

#define TD_TOKEN_LEN 32
#define TD_BRANCH_COOKIE "z9hG4bK" // RFC 3261 §8.1.1.7
#define TD_BRANCH_LEN (7 + TD_TOKEN_LEN)

enum td_token_kind { TD_TOKEN_TRANSACTION = 1, TD_TOKEN_DIALOG = 2, TD_TOKEN_NONCE = 3 };

struct td_token_keys {
	uint64_t mac[2]; // SipHash-2-4
	uint64_t mask[2]; // hides the fields: mac(fields) ‖ fields ⊕ stream(mask, mac) becomes text
	uint64_t hash[2]; // for seeded hashes of Call-ID and AoR
	uint16_t node;
	uint32_t epoch;
};

struct td_token {
	uint8_t kind; // enum td_token_kind
	uint8_t worker;
	uint32_t slot;
	uint32_t generation;
	uint8_t branch; // of a forked or parallel attempt: free for the owner
};

// key: 32 secret bytes, from which the three keys are derived.
void td_token_keys_init(
	struct td_token_keys *keys, const uint8_t key[32], uint16_t node, uint32_t epoch);
void td_token_write(
	const struct td_token_keys *keys, const struct td_token *token, char dst[TD_TOKEN_LEN]);
// 0; -EBADMSG: not 32 such characters or a bad MAC; -ESTALE: another node's or epoch's. Constant
// time in the MAC.
int td_token_read(const struct td_token_keys *keys, struct td_span text, struct td_token *out);

// The text of the token in a branch parameter, behind its cookie; an empty span where none can be.
static inline struct td_span td_branch_token(struct td_span branch)
{
	if (branch.len != TD_BRANCH_LEN || memcmp(branch.ptr, TD_BRANCH_COOKIE, 7) != 0)
		return (struct td_span){ 0 };
	return td_span(branch.ptr + 7, TD_TOKEN_LEN);
}

// A token of kind TD_TOKEN_NONCE that holds only together with bound, which does not stand in it: a
// nonce and whom it was given to. It is short, since it is hashed with every request that brings
// it: node and epoch do not stand in it either, branch is none. generation: TD_BOUND_GENERATION_MAX
// at most. Reading: 0, or -EBADMSG, also of another node's or epoch's.
#define TD_BOUND_LEN 22
#define TD_BOUND_GENERATION_MAX ((1u << 26) - 1)
void td_token_write_bound(const struct td_token_keys *keys, const struct td_token *token,
	uint64_t bound, char dst[TD_BOUND_LEN]);
int td_token_read_bound(const struct td_token_keys *keys, struct td_span text, uint64_t bound,
	struct td_token *out);

uint64_t td_siphash(const uint64_t key[2], const void *data, size_t len);
