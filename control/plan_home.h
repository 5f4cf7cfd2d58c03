// SPDX-License-Identifier: BSD-3-Clause
// The store as the home of the loaded dial plans: what it has under each name, looked at once a
// second, and what this node is to do about it. Whoever else commits or removes a plan there, this
// node follows.
//
// Owner: the loop. What takes time is on a thread with a store of its own, so that a plan of
// millions of lines holds up nothing else that is asked of the store.
#pragma once

#include "control/store_worker.h"

struct td_alarms;
struct td_control;
struct td_plan_store;
struct plan_job;

struct td_plan_seen {
	struct td_store_plan plan;
	// It could not be taken: not again before another policy is in force, or the time has come.
	bool failed;
	uint64_t failed_policy, retry_ms;
};

struct td_plan_home {
	struct td_store_worker worker;
	struct td_alarms *alarms;  // borrowed
	struct td_plan_seen *seen; // in the order of their names
	uint32_t n;
	uint64_t generation; // of the store's table; 0: it was never seen
	uint64_t changes;    // by this node; a look that began before the last one knows less
	bool asking;         // a look is under way
	bool fresh;          // the store answered last
	uint64_t look_ms;    // of the next look
	uint64_t pause_ms;   // nothing is put there before
};

int plan_home_start(struct td_plan_home *home, struct td_control *control);
bool plan_home_stop(struct td_plan_home *home); // false: its thread hangs and was left behind
void plan_home_tick(struct td_plan_store *store);
// NULL: the store has nothing under that name.
const struct td_store_plan *plan_home_find(const struct td_plan_home *home, const char *name);
// This node has just put or removed it.
void plan_home_note(struct td_plan_home *home, const struct td_store_plan *plan);
// The next thing to do that brings this node and the store together; NULL: there is none.
struct plan_job *plan_home_next(struct td_plan_store *store);
// Such a job could not be done.
void plan_home_failed(const struct plan_job *job, const char *why);
// Whether the data plane is to forget a plan that this node does not know.
bool plan_home_is_stranger(const struct td_plan_home *home, const char *name);
