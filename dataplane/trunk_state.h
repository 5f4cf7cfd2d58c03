// SPDX-License-Identifier: BSD-3-Clause
// What all workers count together, about each trunk and about the whole switch: calls and calls per
// second (contract: max_calls, max_cps, limits). One limit however many workers and peers; relaxed
// atomics on cache lines of their own.
//
// A slot belongs to a trunk's name and stands over reloads. Names are main's; the counts are
// anybody's. Memory comes once.
#pragma once

#include "sip/shared_count.h"

#include <stdbool.h>
#include <stdint.h>

#define TD_TRUNK_SLOT_NONE UINT32_MAX

struct td_trunk_state;
struct td_trunk_state *td_trunk_state_new(void); // NULL: ENOMEM
void td_trunk_state_free(struct td_trunk_state *state);

// --- main ---

// The slot of a name, taken when it is new. NONE: all are taken (sweep first).
uint32_t td_trunk_state_slot(struct td_trunk_state *state, const char *name);
// Frees the names that wanted() does not want and that have no call left. No worker may hold an
// older policy.
void td_trunk_state_sweep(
	struct td_trunk_state *state, bool (*wanted)(void *ctx, const char *name), void *ctx);
const struct td_shared_count *td_trunk_state_counts(
	const struct td_trunk_state *state, uint32_t slot); // NULL: none

// --- workers ---

// td_host_ops.trunk_acquire: 0, -EDQUOT (calls), -EAGAIN (per second). A slot that is none is
// refused.
int td_trunk_acquire(struct td_trunk_state *state, uint32_t slot, uint32_t max_calls,
	uint32_t max_cps, uint64_t now_ns);
void td_trunk_release(struct td_trunk_state *state, uint32_t slot);

// td_host_ops.trunk_registered, and what it last said; one word, so that no reader sees half of it.
struct td_trunk_registration {
	uint8_t state; // enum td_registration_state
	uint16_t sip_code;
	uint64_t until_s; // wall clock; 0: not registered
};
void td_trunk_registered(struct td_trunk_state *state, uint32_t slot,
	const struct td_trunk_registration *registration);
struct td_trunk_registration td_trunk_registration(
	const struct td_trunk_state *state, uint32_t slot);

// td_host_ops.call_acquire and call_release: the limits of the whole switch.
int td_trunk_whole_acquire(
	struct td_trunk_state *state, uint32_t max_calls, uint32_t max_cps, uint64_t now_ns);
void td_trunk_whole_release(struct td_trunk_state *state);
