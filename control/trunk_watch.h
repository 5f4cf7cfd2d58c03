// SPDX-License-Identifier: BSD-3-Clause
// What trunks and their peers have come to since the last round of the collector, told as events;
// and an alarm for each trunk all of whose peers are down, and for each whose provider does not
// take its registration.
//
// Owner: the loop.
#pragma once

#include "control/alarm.h"
#include "control/events.h"

#include <tandem.pb-c.h>

struct td_state_seen {
	char name[96], state[16]; // a trunk, or a trunk and a peer
};

// The rows of one table in the last round, in their order.
struct td_states_seen {
	struct td_state_seen *list;
	uint32_t n, cap, at;
};

// Trunks with an alarm of one name in this round, as many as there can be alarms.
struct td_trunks_told {
	char names[TD_ALARMS_MAX][32];
	uint32_t n;
};

struct td_trunk_watch {
	struct td_events *events;
	struct td_alarms *alarms;
	struct td_states_seen trunks, peers;
	struct td_trunks_told down, unregistered;
	uint32_t n_told; // of down: those before it have their alarm
};

void td_trunk_watch_fini(struct td_trunk_watch *watch);

void td_trunk_watch_begin(struct td_trunk_watch *watch);
// Trunks before peers, each table in the order of the policy.
void td_trunk_watch_trunk(struct td_trunk_watch *watch, const Tandem__TrunkState *row);
void td_trunk_watch_peer(struct td_trunk_watch *watch, const Tandem__PeerState *row);
// Both tables came whole: alarms of trunks that are not down any more are cleared.
void td_trunk_watch_end(struct td_trunk_watch *watch);
