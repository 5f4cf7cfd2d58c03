// SPDX-License-Identifier: BSD-3-Clause
#include "control/trunk_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOWN "trunk.down"
#define UNREGISTERED "trunk.registration"
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
	w->down.n = w->unregistered.n = w->n_told = 0;
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

// False: there are too many already.
static bool told_add(struct td_trunks_told *told, const char *trunk)
{
	if (told->n == TOLD_MAX)
		return false;
	snprintf(told->names[told->n++], sizeof(told->names[0]), "%s", trunk);
	return true;
}

static const char *registration_advice(uint32_t code)
{
	switch (code) {
	case 401:
	case 403:
	case 407:
		return "the provider does not accept username, realm or password of the trunk's "
		       "auth = { }: ask it for those in force, mend the file, tandemctl reload";
	case 404:
	case 410:
		return "the provider does not know the user of register = { }: is the account "
		       "closed, or the user or domain wrong? Mend the file, tandemctl reload";
	case 0:
	case 408:
		return "is the provider there (tandemctl show peers; ping it from its network), "
		       "and does a firewall let SIP through? It is tried again by itself";
	default:
		return "ask the provider what is wrong with the account; it is tried again by "
		       "itself";
	}
}

static void registration_watch(struct td_trunk_watch *w, const Tandem__TrunkState *row)
{
	uint32_t code = row->registration_code;
	const char *advice = registration_advice(code);

	if (strcmp(row->registration, "failed") != 0 || strcmp(row->state, "disabled") == 0 ||
		!told_add(&w->unregistered, row->name))
		return;
	if (code == 0 || code == 408)
		td_alarm_raise(w->alarms, TD_WARNING, UNREGISTERED, row->name, advice,
			"the provider does not answer REGISTER: calls from it do not arrive");
	else
		td_alarm_raise(w->alarms, TD_WARNING, UNREGISTERED, row->name, advice,
			"the provider answers REGISTER with %u: calls from it do not arrive", code);
}

void td_trunk_watch_trunk(struct td_trunk_watch *w, const Tandem__TrunkState *row)
{
	char before[16];

	if (seen_change(&w->trunks, row->name, row->state, before))
		td_events_tell(
			w->events, TD_EVENT_TRUNK, row->name, row->state, "it was %s", before);
	if (strcmp(row->state, "down") == 0 && row->peers > 0 && row->peers == row->peers_down)
		told_add(&w->down, row->name);
	registration_watch(w, row);
}

// Peers come in the order of their trunks: the first one of a trunk that is down tells its alarm.
static void alarm_raise(struct td_trunk_watch *w, const Tandem__PeerState *row)
{
	const char *how = row->probed ? "OPTIONS" : "calls";

	if (w->n_told == w->down.n || strcmp(w->down.names[w->n_told], row->trunk) != 0)
		return;
	w->n_told++;
	if (row->sip_code == 503)
		td_alarm_raise(w->alarms, TD_WARNING, DOWN, row->trunk, ADVICE,
			"no peer of the trunk is there: %s answers %s with 503", row->address, how);
	else
		td_alarm_raise(w->alarms, TD_WARNING, DOWN, row->trunk, ADVICE,
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

static bool is_told(const struct td_trunks_told *told, const char *trunk)
{
	for (uint32_t i = 0; i < told->n; i++)
		if (strcmp(told->names[i], trunk) == 0)
			return true;
	return false;
}

static void alarm_end(struct td_trunk_watch *w, const struct td_alarm *alarm)
{
	const struct {
		const char *name;
		const struct td_trunks_told *told;
	} kinds[] = { { DOWN, &w->down }, { UNREGISTERED, &w->unregistered } };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(alarm->name, kinds[i].name) == 0 &&
			!is_told(kinds[i].told, alarm->subject))
			td_alarm_clear(w->alarms, alarm->name, alarm->subject);
}

void td_trunk_watch_end(struct td_trunk_watch *w)
{
	static struct td_alarm list[TD_ALARMS_MAX];
	uint32_t n = td_alarms_copy(w->alarms, list);

	w->trunks.n = w->trunks.at;
	w->peers.n = w->peers.at;
	for (uint32_t i = 0; i < n; i++)
		alarm_end(w, &list[i]);
}
