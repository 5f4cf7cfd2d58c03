// SPDX-License-Identifier: BSD-3-Clause
// Calls whose far end fell silent. Times are those of struct td_leg: now_ns >> 20, about a millisecond, modulo 2^32.
#include "dataplane/leg.h"

#define SCAN_MAX 256   // legs a turn
#define SCAN_ROUND 1024 // units in which every leg is seen once: a second

static bool leg_silent(const struct td_leg_table *t, uint32_t index, uint32_t now_ms)
{
	const struct td_leg_cold *leg = &t->cold[index];
	const struct td_leg *hot = &t->legs[index];
	uint32_t silent = now_ms - leg->armed_ms;

	if (hot->stats.packets > 0 && now_ms - hot->heard_ms < silent)
		silent = now_ms - hot->heard_ms;
	return silent >= leg->timeout_ms;
}

// As many legs as the time since the last scan is of a round.
static uint32_t share_due(const struct td_leg_table *t, uint32_t elapsed_ms)
{
	uint64_t due = (uint64_t)t->n_timed * elapsed_ms / SCAN_ROUND;

	if (due > t->n_timed)
		due = t->n_timed;
	return due < SCAN_MAX ? (uint32_t)due : SCAN_MAX;
}

void td_media_timeout_run(struct td_worker *w)
{
	struct td_leg_table *t = w->legs;
	uint32_t now_ms = (uint32_t)(w->now_ns >> 20);
	uint32_t due = t->n_timed ? share_due(t, now_ms - t->timed_ms) : 0;

	if (t->n_timed == 0)
		t->timed_ms = now_ms;
	if (due == 0)
		return;
	t->timed_ms = now_ms;
	// The list may shrink meanwhile: a call that is told ends, and its legs close.
	while (due-- > 0 && t->n_timed > 0) {
		if (t->timed_cursor >= t->n_timed)
			t->timed_cursor = 0;
		uint32_t index = t->timed[t->timed_cursor++];
		if (!leg_silent(t, index, now_ms))
			continue;
		t->cold[index].armed_ms = now_ms; // told once; the engine has as long again to end the call
		td_engine_media_timeout(w->engine, w->now_ns, t->cold[index].call);
	}
}
