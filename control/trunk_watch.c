// SPDX-License-Identifier: BSD-3-Clause
#include "control/trunk_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALARM "trunk.down"
#define ADVICE                                                                                     \
	"tandemctl show peers; ask the carrier; where it answers no OPTIONS: health.probe = "      \
	"\"none\"; to be silent about it: tandemctl trunk disable"

enum { TOLD_MAX = 16 }; // alarms are few: they must not hide what else is wrong

void td_trunk_watch_fini(struct td_trunk_watch *w)
{
	free(w->trunks.list);
	free(w->peers.list);
	w->trunks = w->peers = (struct td_states_seen){ 0 };
}

void td_trunk_watch_begin(struct td_trunk_watch *w)
{
	w->trunks.at = w->peers.at = 0;
	w->n_down = w->n_told = 0;
}

// Writes down what a row says, and returns true with what it said before where that was another.
// Where the order changed, the rows behind are new to us, and what they were is not told.
static bool seen_change(
	struct td_states_seen *seen, const char *name, const char *state, char before[16])
{
	if (seen->at == seen->cap) {
		uint32_t cap = 2 * seen->cap + 64;
		struct td_state_seen *larger = realloc(seen->list, cap * sizeof(*larger));
		if (!larger)
			return false;
		seen->list = larger;
		seen->cap = cap;
	}
	struct td_state_seen *one = &seen->list[seen->at++];
	bool changed = seen->at <= seen->n && strcmp(one->name, name) == 0 &&
		       strcmp(one->state, state) != 0;
	if (changed)
		snprintf(before, 16, "%s", one->state);
	snprintf(one->name, sizeof(one->name), "%s", name);
	snprintf(one->state, sizeof(one->state), "%s", state);
	return changed;
}

void td_trunk_watch_trunk(struct td_trunk_watch *w, const Tandem__TrunkState *row)
{
	char before[16];

	if (seen_change(&w->trunks, row->name, row->state, before))
		td_events_tell(
			w->events, TD_EVENT_TRUNK, row->name, row->state, "it was %s", before);
	if (strcmp(row->state, "down") == 0 && row->peers > 0 && row->peers == row->peers_down &&
		w->n_down < TOLD_MAX)
		snprintf(w->down[w->n_down++], sizeof(w->down[0]), "%s", row->name);
}

// Peers come in the order of their trunks: the first one of a trunk that is down tells its alarm.
static void alarm_raise(struct td_trunk_watch *w, const Tandem__PeerState *row)
{
	const char *how = row->probed ? "OPTIONS" : "calls";

	if (w->n_told == w->n_down || strcmp(w->down[w->n_told], row->trunk) != 0)
		return;
	w->n_told++;
	if (row->sip_code == 503)
		td_alarm_raise(w->alarms, TD_WARNING, ALARM, row->trunk, ADVICE,
			"no peer of the trunk is there: %s answers %s with 503", row->address, how);
	else
		td_alarm_raise(w->alarms, TD_WARNING, ALARM, row->trunk, ADVICE,
			"no peer of the trunk is there: no answer to %s from %s", how,
			row->address);
}

void td_trunk_watch_peer(struct td_trunk_watch *w, const Tandem__PeerState *row)
{
	char name[96], state[24], before[16];

	snprintf(name, sizeof(name), "%s %s", row->trunk, row->address);
	if (seen_change(&w->peers, name, row->state, before)) {
		snprintf(state, sizeof(state), "peer_%s", row->state);
		td_events_tell(w->events, TD_EVENT_TRUNK, row->trunk, state, "%s was %s (%u)",
			row->address, before, row->sip_code);
	}
	alarm_raise(w, row);
}

static bool is_down(const struct td_trunk_watch *w, const char *trunk)
{
	for (uint32_t i = 0; i < w->n_down; i++)
		if (strcmp(w->down[i], trunk) == 0)
			return true;
	return false;
}

void td_trunk_watch_end(struct td_trunk_watch *w)
{
	static struct td_alarm list[TD_ALARMS_MAX];
	uint32_t n = td_alarms_copy(w->alarms, list);

	w->trunks.n = w->trunks.at;
	w->peers.n = w->peers.at;
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(list[i].name, ALARM) == 0 && !is_down(w, list[i].subject))
			td_alarm_clear(w->alarms, ALARM, list[i].subject);
}
