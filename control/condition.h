// SPDX-License-Identifier: BSD-3-Clause
// What is wrong with the switch itself, as the collector's rounds see it, told as alarms: a data
// plane that is away or refuses the policy, a port without carrier, a journal that cannot be
// written.
//
// Owner: the loop.
#pragma once

#include "control/alarm.h"

#include <tandem.pb-c.h>

struct td_link;

#define TD_CONDITION_PATIENCE_MS 5000 // a restart is no alarm

// now_ms: of any clock that goes on; *away_since_ms: the caller's memory, 0 at first.
void td_condition_link(struct td_alarms *alarms, const struct td_link *link,
	uint64_t *away_since_ms, uint64_t now_ms);
// What is wrong with the data plane for longer than a restart takes, "" where nothing is.
const char *td_condition_sick(const struct td_link *link, uint64_t away_since_ms, uint64_t now_ms);
void td_condition_port(struct td_alarms *alarms, const Tandem__Port *port);
void td_condition_journal(struct td_alarms *alarms, bool failing);
