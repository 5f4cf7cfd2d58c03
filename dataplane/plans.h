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

struct td_plan_load {
	bool busy;
	_Atomic bool done;
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
};

void td_plans_init(struct td_plans *plans, const char *state_dir);
// Takes what the last boot kept; a file that does not hold is told and left alone.
void td_plans_load_saved(struct td_plans *plans);
// Begins to read an image. The descriptor is taken in every case. 0; -EBUSY: another is being read.
int td_plans_take(struct td_plans *plans, int fd, uint64_t tag, uint64_t id);
// true once for each image that was begun: load tells the result, and the plan is the caller's.
bool td_plans_done(struct td_plans *plans);
// Puts the plan in force for the policies to come, in the place of that of its name. The reference
// goes to the table. Returns the one before (the caller gives it back), NULL: none; plan itself:
// there are TD_PLANS_MAX others.
struct td_plan *td_plans_install(struct td_plans *plans, struct td_plan *plan);
// Takes a plan out, its copy too. NULL: there is none of that name.
struct td_plan *td_plans_remove(struct td_plans *plans, const char *name);
void td_plan_put(struct td_plan *plan); // NULL is fine
void td_plans_fini(struct td_plans *plans);
