// SPDX-License-Identifier: BSD-3-Clause
// Who gave wrong credentials too often waits, longer each time: per source and name together, so
// that nobody can lock somebody else out. The source is a hash of whoever received the nonce
// (nonce.h), which no forged address changes. Fixed table, two choices, the older is replaced.
//
// One table for all workers, since who guesses chooses the worker by the name or the Call-ID that
// he writes: any thread may ask, nobody locks. Allocates only at creation.
#pragma once

#include "include/span.h"
#include "sip/pool.h"

#define TD_PENALTIES 16384 // entries of a switch

struct td_penalties;
struct td_penalties *td_penalties_new(
	const struct td_alloc *alloc, uint32_t entries, const uint64_t key[2]); // NULL: ENOMEM
void td_penalties_free(struct td_penalties *penalties, const struct td_alloc *alloc);

// Seconds that are left to wait; 0: none.
uint32_t td_penalty_left(struct td_penalties *penalties, uint64_t now_ns, uint64_t source,
	struct td_span name);
// Two failures are free; from the third on 1, 2, 4 … 512 s. An hour of peace forgives.
void td_penalty_failed(struct td_penalties *penalties, uint64_t now_ns, uint64_t source,
	struct td_span name);
void td_penalty_passed(struct td_penalties *penalties, uint64_t source, struct td_span name);
