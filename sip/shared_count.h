// SPDX-License-Identifier: BSD-3-Clause
// What all workers count together about a trunk, a group of them, a destination, a subscriber or
// the whole switch: calls, and new INVITEs per second. One limit however many workers; relaxed
// atomics, nobody locks.
#pragma once

#include "include/policy_conf.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct td_shared_count {
	_Atomic uint32_t calls;
	// Theoretical arrival time of the next INVITE (ns).
	_Atomic uint64_t arrival_ns;
	_Atomic uint64_t rate; // per second << 32 | ns between two; so that nobody divides in the
			       // way of a call
	_Atomic uint64_t accepted; // INVITEs in its life
};

// 0, -EDQUOT (calls), -EAGAIN (per second: nothing is held then). now_ns is monotonic.
int td_shared_acquire(struct td_shared_count *c, const struct td_limit *limit, uint64_t now_ns);
void td_shared_release(struct td_shared_count *c);
// The same where nothing came of it, with what it took of the rate.
void td_shared_cancel(struct td_shared_count *c);
