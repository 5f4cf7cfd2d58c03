// SPDX-License-Identifier: BSD-3-Clause
// An engine whose transactions a test drives by hand, with a user that writes down what it hears.
#pragma once

#include "sip/engine_priv.h"
#include "tests/unit/fake_host.h"

struct txn_env {
	struct fake_host host;
	struct td_engine *engine;
	struct td_policy *policy;
	struct td_flow west, east;
	uint64_t start_ms;
	// What the user heard.
	uint32_t responses, timeouts, ended, cancelled;
	uint16_t last_status;
	bool transport_error;
	uint16_t answer_cancel; // status that cancelled() answers the INVITE with; 0: none
};

extern const struct td_stx_user txn_env_stx_user;
extern const struct td_ctx_user txn_env_ctx_user;

struct txn_env *txn_env_new(uint32_t max_calls, uint32_t max_cps);
// Lets everything run out and checks that nothing is left.
void txn_env_free(struct txn_env *env);

// Parses, and gives the message to the transactions. true: it was theirs.
bool txn_env_rx(struct txn_env *env, const struct td_flow *flow, const char *text);
// A new server transaction for a request that must not be known yet.
struct td_stx *txn_env_serve(struct txn_env *env, const struct td_flow *flow, const char *text);
void txn_env_advance(struct txn_env *env, uint64_t ms);
// What is sent until ms after the call: compares the times, relative to now, with times[0, n).
void txn_env_expect_times(struct txn_env *env, uint64_t ms, const uint64_t *times, uint32_t n);
// The response of a peer to one of our requests.
const char *txn_env_answer(const struct fake_sent *request, const char *status_line,
	const char *to_params, const char *more);
