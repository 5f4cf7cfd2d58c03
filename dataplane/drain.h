// SPDX-License-Identifier: BSD-3-Clause
// How the switch ends: new calls get 503, those in progress limits.drain_s, what is left a BYE. An
// operator's drain does the first part and can be taken back. Owner: main.
#pragma once

#include "dataplane/worker.h"

enum td_drain_state {
	TD_DRAIN_OFF,
	TD_DRAIN_WAITING,    // asked to end: calls may finish
	TD_DRAIN_HANGING_UP, // they may not: BYE to both sides
	TD_DRAIN_DONE,
};

#define TD_DRAIN_TAG 0 // of its commands to workers

struct td_drain {
	struct td_dataplane *dp;
	enum td_drain_state state;
	bool by_operator;
	uint64_t since_ns, deadline_ns;
	bool asked[TD_WORKERS_MAX]; // a worker has a command of ours
};

void td_drain_operator(struct td_drain *drain, bool on);
// Asked to end (SIGTERM). The second time: at once.
void td_drain_end(struct td_drain *drain, uint64_t now_ns);
// A worker answered a command that carried TD_DRAIN_TAG.
void td_drain_answered(struct td_drain *drain, uint16_t worker);
// Once a turn. true: the process may end.
bool td_drain_turn(struct td_drain *drain, uint64_t now_ns);
uint32_t td_drain_calls(const struct td_dataplane *dp); // calls up on all workers, a turn ago
