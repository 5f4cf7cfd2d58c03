// SPDX-License-Identifier: BSD-3-Clause
// What all workers count together about a trunk, a subscriber or the whole switch: calls, and new
// INVITEs per second. One limit however many workers; relaxed atomics, nobody locks.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct td_shared_count {
	_Atomic uint32_t calls;
	// Theoretical arrival time of the next INVITE (ns) of a bucket that holds one second's
	// worth.
	_Atomic uint64_t arrival_ns;
	_Atomic uint64_t rate; // per second << 32 | ns between two; so that nobody divides in the
			       // way of a call
	_Atomic uint64_t accepted; // INVITEs in its life
};

// Limits of 0 are none. 0, -EDQUOT (calls), -EAGAIN (per second: nothing is held then). now_ns is
// monotonic.
int td_shared_acquire(
	struct td_shared_count *c, uint32_t max_calls, uint32_t max_cps, uint64_t now_ns);
void td_shared_release(struct td_shared_count *c);
