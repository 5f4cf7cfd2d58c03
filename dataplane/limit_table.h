// SPDX-License-Identifier: BSD-3-Clause
// What all workers count together, about each trunk, group of trunks and route limit, and about the
// whole switch: calls and calls per second (contract: max_calls, max_cps, limits). One limit
// however many workers and peers; relaxed atomics on cache lines of their own.
//
// A slot belongs to a name of its kind and stands over reloads. Names are main's; the counts are
// anybody's. Memory comes once.
#pragma once

#include "sip/shared_count.h"

#include <stdbool.h>
#include <stdint.h>

#define TD_LIMIT_SLOT_NONE UINT32_MAX

// On lines of its own.
struct td_limit_count {
	struct td_shared_count c __attribute__((aligned(64)));
	_Atomic uint64_t refused; // INVITEs, in its life
	_Atomic uint64_t seized, answered; // of a trunk: attempts, in its life
};

struct td_limit_table;
struct td_limit_table *td_limit_table_new(void); // NULL: ENOMEM
void td_limit_table_free(struct td_limit_table *table);

// --- main ---

// The slot of a name, taken when it is new. NONE: all are taken (sweep first).
uint32_t td_limit_slot(struct td_limit_table *table, enum td_limit_kind kind, const char *name);
// Frees the names that wanted() does not want and that have no call left. No worker may hold an
// older policy.
void td_limit_sweep(struct td_limit_table *table, enum td_limit_kind kind,
	bool (*wanted)(void *ctx, const char *name), void *ctx);
// NULL: there is no such slot. Slots of a kind are those from 0 on.
const struct td_limit_count *td_limit_count_of(
	const struct td_limit_table *table, enum td_limit_kind kind, uint32_t slot);

// --- workers ---

// td_host_ops.limit_acquire: 0, -EDQUOT (calls), -EAGAIN (per second). A slot that is none is
// refused.
int td_limit_acquire(struct td_limit_table *table, enum td_limit_kind kind, uint32_t slot,
	const struct td_limit *limit, uint64_t now_ns);
void td_limit_expect(
	const struct td_limit_table *table, enum td_limit_kind kind, uint32_t slot);
void td_limit_release(struct td_limit_table *table, enum td_limit_kind kind, uint32_t slot);
void td_limit_cancel(struct td_limit_table *table, enum td_limit_kind kind, uint32_t slot);
// td_host_ops.trunk_seized.
void td_limit_seized(struct td_limit_table *table, uint32_t trunk_slot, bool answered);
