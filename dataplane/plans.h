// SPDX-License-Identifier: BSD-3-Clause
// The loaded dial plans (sip/route_image.h): taken from control as a sealed memfd, copied to huge
// pages, looked at, kept in state_dir for a start without control, and lent to policies until no
// worker can read them any more.
//
// Owner: main. Reading hundreds of megabytes is not main's work: a thread does it, one image at a
// time, and main asks each turn whether it is done.
#pragma once

#include "sip/route_image.h"

#include <pthread.h>
#include <stdatomic.h>

struct td_plan {
	struct td_route_image image;
	void *memory;
	size_t mapped;
	uint32_t refs; // the table and each policy that may be read
};

// What is asked of an image.
struct td_plan_order {
	const char *plan;
	uint64_t generation;
	bool stage;       // look at it, keep no copy
	uint64_t tag, id; // whose request it is
};

struct td_plan_load {
	bool busy;
	_Atomic bool done;
	bool stage;
	pthread_t thread;
	int fd;
	char folder[160];
	struct td_plan *plan; // when done: the result; NULL: error says why
	const char *error;
	int saved;        // 0, or why no copy could be kept
	uint64_t tag, id; // whose request it is
};

struct td_plans {
	char folder[160]; // state_dir/plans
	struct td_plan *table[TD_PLANS_MAX];
	uint32_t n;
	struct td_plan_load load;
	struct td_plan *staged; // was looked at, and waits to be taken; NULL: none
	uint64_t staged_tag;    // whose it is
};

void td_plans_init(struct td_plans *plans, const char *state_dir);
// Takes what the last boot kept; a file that does not hold is told and left alone.
void td_plans_load_saved(struct td_plans *plans);
// Begins to read an image, or only to keep a copy where it is the staged one; what was staged is
// let go of in either case. The descriptor is taken in every case. 0; -EBUSY: another is being
// read; -EAGAIN: there is no thread for it.
int td_plans_take(struct td_plans *plans, int fd, const struct td_plan_order *order);
// true once for each image that was begun: load tells the result, and the plan is the caller's.
bool td_plans_done(struct td_plans *plans);
// Puts the plan in force for the policies to come, in the place of that of its name. The reference
// goes to the table. Returns the one before (the caller gives it back), NULL: none; plan itself:
// there are TD_PLANS_MAX others.
struct td_plan *td_plans_install(struct td_plans *plans, struct td_plan *plan);
// Takes a plan out, its copy too. NULL: there is none of that name.
struct td_plan *td_plans_remove(struct td_plans *plans, const char *name);
// Undoes td_plans_install(), which returned before; no copy is touched. The reference is the
// caller's again.
void td_plans_withdraw(struct td_plans *plans, const struct td_plan *plan, struct td_plan *before);
// Holds a plan, of which it takes a reference, ready for an order of its name and generation.
void td_plans_stage(struct td_plans *plans, struct td_plan *plan, uint64_t tag);
void td_plans_unstage(struct td_plans *plans); // nothing staged is fine
void td_plan_put(struct td_plan *plan); // NULL is fine
void td_plans_fini(struct td_plans *plans);
