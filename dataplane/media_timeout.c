// SPDX-License-Identifier: BSD-3-Clause
// Calls whose far end fell silent. Times are those of struct td_leg: now_ns >> 20, about a
// millisecond, modulo 2^32.
//
// The list says of each leg when it can be too late at the earliest, so that a leg itself is
// touched once in its time-out and not once a second.
#include "dataplane/leg.h"

#define SCAN_MAX 256    // legs a turn
#define SCAN_ROUND 1024 // units in which every leg is seen once: a second

// When the leg will have been silent for too long, as things stand.
static uint32_t leg_due(const struct td_leg_table *t, uint32_t index)
{
	const struct td_leg_cold *leg = &t->cold[index];
	const struct td_leg *hot = &t->legs[index];
	bool heard = hot->stats.packets > 0 && (int32_t)(hot->heard_ms - leg->armed_ms) > 0;

	return (heard ? hot->heard_ms : leg->armed_ms) + leg->timeout_ms;
}

// As many legs as the time since the last scan is of a round.
static uint32_t share_due(const struct td_leg_table *t, uint32_t elapsed_ms)
{
	uint64_t due = (uint64_t)t->n_timed * elapsed_ms / SCAN_ROUND;

	if (due > t->n_timed)
		due = t->n_timed;
	return due < SCAN_MAX ? (uint32_t)due : SCAN_MAX;
}

static void leg_look(struct td_worker *w, struct td_leg_timed *timed, uint32_t now_ms)
{
	struct td_leg_cold *leg = &w->legs->cold[timed->leg];

	timed->due_ms = leg_due(w->legs, timed->leg);
	if ((int32_t)(now_ms - timed->due_ms) < 0)
		return;
	leg->armed_ms = now_ms; // told once; the engine has as long again to end the call
	timed->due_ms = now_ms + leg->timeout_ms;
	// May end the call and take the leg off the list.
	td_engine_media_timeout(w->engine, w->now_ns, leg->call);
}

void td_media_timeout_run(struct td_worker *w)
{
	struct td_leg_table *t = w->legs;
	uint32_t now_ms = (uint32_t)(w->now_ns >> 20);

	if (now_ms == t->timed_ms)
		return;
	uint32_t due = share_due(t, now_ms - t->timed_ms);
	if (due == 0 && t->n_timed > 0)
		return;
	t->timed_ms = now_ms;
	for (; due > 0 && t->n_timed > 0; due--) {
		if (t->timed_cursor >= t->n_timed)
			t->timed_cursor = 0;
		struct td_leg_timed *timed = &t->timed[t->timed_cursor++];
		if ((int32_t)(now_ms - timed->due_ms) >= 0)
			leg_look(w, timed, now_ms);
	}
}
