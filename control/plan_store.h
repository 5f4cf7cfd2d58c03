// SPDX-License-Identifier: BSD-3-Clause
// The loaded dial plans: staged from a route file, committed to state_dir/routes and pushed to the
// data plane, both or none; brought back into sync when it comes back.
//
// Owner: the loop. Files are read, compiled, compared and written by a thread of libuv's pool, one
// job at a time.
#pragma once

#include "include/ceilings.h"

#include <tandem.pb-c.h>
#include <uv.h>

#include <stdbool.h>

struct td_control;
struct td_client;
struct plan_job;

struct td_plan_info {
	char name[TD_NAME_LEN];
	uint64_t generation, rows, bytes;
	bool pushed;  // the data plane has it, or will not have it
	bool refused; // it will not: not in force, and not sent again before its next Hello
};

struct td_plan_store {
	struct td_control *control;
	char folder[160];
	struct td_plan_info table[TD_PLANS_MAX]; // committed
	uint32_t n;
	struct td_plan_info staged;                // of staged_fd
	int staged_fd;                             // memfd; -1: nothing is staged
	struct plan_job *job;                      // under way
	char strangers[TD_PLANS_MAX][TD_NAME_LEN]; // that the data plane has and we have not
	uint32_t n_strangers;
	uv_timer_t tick;
	bool stopping;
};

void td_plan_store_start(struct td_plan_store *store, struct td_control *control);
void td_plan_store_stop(struct td_plan_store *store);
// The data plane is there and says what it has: what differs is pushed, what is unknown removed.
void td_plan_store_hello(struct td_plan_store *store, const Tandem__Hello *hello);
void td_plan_store_show(struct td_client *client, const Tandem__Frame *frame); // PLANS
// RouteLoad, RouteCommit, RouteRemove: answered now or later.
void td_plan_store_request(struct td_client *client, const Tandem__Frame *frame);
