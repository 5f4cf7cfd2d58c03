// SPDX-License-Identifier: BSD-3-Clause
// The loaded dial plans: staged from a route file, committed to the store (control/plan_home.h),
// kept compiled in state_dir/routes, so that a start needs no store, and pushed to the data plane;
// brought back into sync when either comes back.
//
// Owner: the loop. Files are read, compiled, compared and written by a thread of libuv's pool, one
// job at a time.
#pragma once

#include "control/plan_file.h"
#include "control/plan_home.h"

#include <tandem.pb-c.h>
#include <uv.h>

struct td_control;
struct td_client;
struct plan_job;

struct td_plan_store {
	struct td_control *control;
	char folder[160];
	struct td_plan_home home;
	struct td_plan_info table[TD_PLANS_MAX]; // committed
	uint32_t n;
	struct plan_job *staged;                   // a load that is done; NULL: nothing is staged
	struct plan_job *job;                      // under way
	char strangers[TD_PLANS_MAX][TD_NAME_LEN]; // that the data plane has and we have not
	uint32_t n_strangers;
	bool stages;           // the data plane can hold a plan ready (RouteImage.stage)
	uint64_t push_ms;      // nothing that differs is sent before
	uint64_t push_wait_ms; // the last such pause; 0: the last one went well
	uv_timer_t tick;
	bool stopping;
};

int td_plan_store_start(struct td_plan_store *store, struct td_control *control);
bool td_plan_store_stop(struct td_plan_store *store); // false: a thread hangs in the store
// The data plane is there and says what it has: what differs is pushed, what is unknown removed.
void td_plan_store_hello(struct td_plan_store *store, const Tandem__Hello *hello);
void td_plan_store_show(struct td_client *client, const Tandem__Frame *frame); // PLANS
// RouteLoad, RouteCommit, RouteChange, RouteRemove: answered now or later.
void td_plan_store_request(struct td_client *client, const Tandem__Frame *frame);
