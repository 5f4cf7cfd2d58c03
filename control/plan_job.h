// SPDX-License-Identifier: BSD-3-Clause
// One job on a dial plan that takes too long for the loop (control/plan_store.h): a chain of steps,
// each on a thread of its own kind.
#pragma once

#include "control/plan_diff.h"
#include "control/plan_rows.h"
#include "control/plan_store.h"
#include "control/route_csv.h"
#include "control/route_edit.h"

#include <limits.h>

enum plan_job_kind {
	PLAN_LOAD,   // path → fd, rows, info, diff
	PLAN_COMMIT, // fd → its file, aside, and the data plane, staged; rows → the store; then
		     // into force
	PLAN_CHANGE, // the store → rows, changed → fd, diff; then as a commit
	PLAN_FETCH,  // the store → rows → fd → the data plane
	PLAN_IMPORT, // the plan's file → rows → the store
	PLAN_PUSH,   // the plan's file → fd → the data plane
	PLAN_REMOVE, // out of the store and the data plane
	PLAN_FORGET, // out of the data plane
	PLAN__KINDS
};

enum plan_step {
	PLAN_STEP_END,
	PLAN_STEP_WORK,
	PLAN_STEP_STAGE, // the data plane looks at it and holds it ready
	PLAN_STEP_STORE,
	PLAN_STEP_PUSH, // it is in force there
};

// How the data plane took it.
enum plan_push { PLAN_PUSH_TAKEN, PLAN_PUSH_ABSENT, PLAN_PUSH_REFUSED, PLAN_PUSH_UNKNOWN };

struct plan_job {
	uv_work_t work;
	struct td_store_job store_job;
	struct td_plan_store *store;
	enum plan_job_kind kind;
	unsigned at;         // of its steps
	const char *event;   // of its log line
	uint64_t serial, id; // who asked; serial 0: nobody
	bool commit;         // what was loaded at once
	bool push_waits;     // something else is on its way to the data plane
	bool held;           // the data plane holds it staged
	bool compare;        // what is fetched, with what is there
	enum plan_push push;
	char path[PATH_MAX];
	struct td_route_names *names;
	int fd;                     // sealed memfd of the image; -1: none
	struct td_plan_rows *rows;  // NULL: none
	struct td_route_edit *edit; // of a change
	struct td_plan_info info;
	struct td_store_plan stored; // as it goes into the store or comes from there
	uint64_t before;             // version in the store that it takes the place of
	struct td_plan_diff diff;
	int rc;
	char error[512];
	_Atomic(const char *) phase;
	_Atomic uint64_t done, total; // bytes of the phase; total 0: nobody knows
};

struct plan_job *plan_job_new(
	struct td_plan_store *store, enum plan_job_kind kind, const char *plan);
void plan_job_free(struct plan_job *job);
enum plan_step plan_job_step(const struct plan_job *job); // the one that job->at is at
// On threads. after_work() or after_store() comes on the loop; job->rc and job->error say how it
// ended. 0, or negative errno and nothing comes.
int plan_job_run(struct plan_job *job, uv_after_work_cb after_work);
int plan_job_store(struct plan_job *job, void (*after_store)(struct td_store_job *job, int rc));
struct plan_job *plan_job_of(struct td_store_job *store_job);
// Makes it the one under way (control/plan_store.c), which frees it; there is none yet.
void plan_job_begin(struct plan_job *job);
