// SPDX-License-Identifier: BSD-3-Clause
// Hierarchical timer wheel, 1 ms tick (architecture §5). Owner: one thread. Timers are embedded in
// what they time; nothing is allocated. Adding and removing are O(1); a run expires at most as many
// as it is told.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct td_timer {
	struct td_timer *next, **prev; // prev NULL: not armed
	uint64_t due_ms;
	void (*expired)(void *arg, struct td_timer *timer); // arg: td_wheel's
};

#define TD_WHEEL_LEVELS 4
#define TD_WHEEL_SLOTS 256

// Level n has slots of 256^n ms. A timer sinks to the level below when its slot's time begins.
struct td_wheel {
	uint64_t now_ms; // ticks before it are done
	uint32_t armed;
	void *arg;
	uint64_t used[TD_WHEEL_LEVELS][TD_WHEEL_SLOTS / 64]; // a clear bit: the slot is empty; a
							     // set one: perhaps not
	struct td_timer *slots[TD_WHEEL_LEVELS][TD_WHEEL_SLOTS];
};

void td_wheel_init(struct td_wheel *wheel, uint64_t now_ms, void *arg);
// Arms, or moves an armed timer. Due in the past or now: at the next run, or in the present one
// (bounded by its max) when armed from inside an expiry.
void td_timer_start(struct td_wheel *wheel, struct td_timer *timer, uint64_t due_ms);
void td_timer_stop(struct td_wheel *wheel, struct td_timer *timer); // idempotent
static inline bool td_timer_armed(const struct td_timer *timer)
{
	return timer->prev != NULL;
}
// Expires what is due until now_ms, at most max. Returns how many ran; the rest stays due.
uint32_t td_wheel_run(struct td_wheel *wheel, uint64_t now_ms, uint32_t max);
// Lower bound of the next due time in ms, UINT64_MAX when empty.
uint64_t td_wheel_next(struct td_wheel *wheel);
