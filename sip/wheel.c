// SPDX-License-Identifier: BSD-3-Clause
#include "sip/wheel.h"

#include <string.h>

enum { SLOT_BITS = 8, SLOT_MASK = TD_WHEEL_SLOTS - 1 };

#define DELTA_MAX                                                                                  \
	UINT32_MAX // what four levels can tell apart; farther timers wait in the last slot and are
		   // put anew

void td_wheel_init(struct td_wheel *wheel, uint64_t now_ms, void *arg)
{
	memset(wheel, 0, sizeof(*wheel));
	wheel->now_ms = now_ms;
	wheel->arg = arg;
}

static void timer_link(struct td_wheel *wheel, struct td_timer *timer)
{
	uint64_t due = timer->due_ms > wheel->now_ms ? timer->due_ms : wheel->now_ms;
	uint64_t delta = due - wheel->now_ms;
	unsigned level = 0;

	if (delta > DELTA_MAX) {
		delta = DELTA_MAX;
		due = wheel->now_ms + DELTA_MAX;
	}
	while (delta >= TD_WHEEL_SLOTS) {
		delta >>= SLOT_BITS;
		level++;
	}
	unsigned slot = (unsigned)(due >> (SLOT_BITS * level)) & SLOT_MASK;
	struct td_timer **head = &wheel->slots[level][slot];

	timer->next = *head;
	timer->prev = head;
	if (timer->next)
		timer->next->prev = &timer->next;
	*head = timer;
	wheel->used[level][slot / 64] |= 1ull << (slot % 64);
}

static void timer_unlink(struct td_timer *timer)
{
	*timer->prev = timer->next;
	if (timer->next)
		timer->next->prev = timer->prev;
	timer->prev = NULL;
	timer->next = NULL;
}

void td_timer_start(struct td_wheel *wheel, struct td_timer *timer, uint64_t due_ms)
{
	if (td_timer_armed(timer))
		timer_unlink(timer);
	else
		wheel->armed++;
	timer->due_ms = due_ms;
	timer_link(wheel, timer);
}

void td_timer_stop(struct td_wheel *wheel, struct td_timer *timer)
{
	if (!td_timer_armed(timer))
		return;
	timer_unlink(timer);
	wheel->armed--;
}

// Distance from slot `from` to the next slot that holds a timer, going round; TD_WHEEL_SLOTS when
// the level is empty. Bits of slots that emptied meanwhile are cleared on the way.
static unsigned level_scan(struct td_wheel *wheel, unsigned level, unsigned from)
{
	unsigned distance = 0;

	while (distance < TD_WHEEL_SLOTS) {
		unsigned slot = (from + distance) & SLOT_MASK;
		uint64_t word = wheel->used[level][slot / 64] >> (slot % 64);

		if (word == 0) {
			distance += 64 - slot % 64;
			continue;
		}
		distance += (unsigned)__builtin_ctzll(word);
		slot = (from + distance) & SLOT_MASK;
		if (distance < TD_WHEEL_SLOTS && wheel->slots[level][slot])
			return distance;
		wheel->used[level][slot / 64] &= ~(1ull << (slot % 64));
	}
	return TD_WHEEL_SLOTS;
}

uint64_t td_wheel_next(struct td_wheel *wheel)
{
	uint64_t next = UINT64_MAX;

	if (wheel->armed == 0)
		return next;
	for (unsigned level = 0; level < TD_WHEEL_LEVELS; level++) {
		// Above level 0 the present slot has sunk already: what is in it is a whole turn
		// away.
		uint64_t first = (wheel->now_ms >> (SLOT_BITS * level)) + (level > 0);
		unsigned distance = level_scan(wheel, level, (unsigned)first & SLOT_MASK);

		if (distance == TD_WHEEL_SLOTS)
			continue;
		uint64_t start = (first + distance) << (SLOT_BITS * level);
		if (start < next)
			next = start;
	}
	return next;
}

static void level_sink(struct td_wheel *wheel, unsigned level)
{
	struct td_timer **head =
		&wheel->slots[level][(wheel->now_ms >> (SLOT_BITS * level)) & SLOT_MASK];
	struct td_timer *list = *head;

	// Cut off first: a timer beyond the last level may come back to the very slot.
	*head = NULL;
	while (list) {
		struct td_timer *timer = list;
		list = timer->next;
		timer_link(wheel, timer);
	}
}

static void wheel_advance(struct td_wheel *wheel, uint64_t now_ms)
{
	wheel->now_ms = now_ms;
	for (unsigned level = TD_WHEEL_LEVELS - 1; level > 0; level--)
		if ((now_ms & ((1ull << (SLOT_BITS * level)) - 1)) == 0)
			level_sink(wheel, level);
}

uint32_t td_wheel_run(struct td_wheel *wheel, uint64_t now_ms, uint32_t max)
{
	uint32_t n = 0;

	while (wheel->armed > 0) {
		struct td_timer *timer = wheel->slots[0][wheel->now_ms & SLOT_MASK];

		if (timer) {
			if (n == max)
				return n;
			timer_unlink(timer);
			wheel->armed--;
			n++;
			timer->expired(wheel->arg, timer);
			continue;
		}
		uint64_t next = td_wheel_next(wheel);
		if (next > now_ms)
			break;
		wheel_advance(wheel, next);
	}
	// Nothing begins between here and now_ms, so that no level has to sink on the way.
	if (now_ms > wheel->now_ms)
		wheel->now_ms = now_ms;
	return n;
}
