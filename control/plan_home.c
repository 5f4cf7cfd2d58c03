// SPDX-License-Identifier: BSD-3-Clause
#include "control/plan_home.h"

#include "control/control.h"
#include "control/log.h"
#include "control/plan_file.h"
#include "control/plan_job.h"
#include "control/plan_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 1000
#define RETRY_MS 300000 // what failed costs a compilation each time
#define PAUSE_MS 30000
#define SOON_MS 5000
#define SEEN_MAX 4096
#define PLAN_NAMES "plan.names" // alarm: the store has more names than that

// --- looking ---

struct look {
	struct td_store_job job;
	struct td_plan_home *home;
	struct td_plan_seen *seen;
	uint32_t n, cap;
	uint64_t generation,
		changes; // generation: of what we have, then of the store
	bool read, failed;
};

static void plan_take(void *user, const struct td_store_plan *plan)
{
	struct look *look = user;

	if (!plan_name_fits(plan->name)) // by hand: it would be the name of a file
		return;
	if (look->n == look->cap) {
		uint32_t cap = look->cap ? 2 * look->cap : 16;
		struct td_plan_seen *more =
			cap > SEEN_MAX ? NULL : realloc(look->seen, cap * sizeof(*more));
		look->failed |= !more;
		if (!more)
			return;
		look->seen = more;
		look->cap = cap;
	}
	look->seen[look->n++] = (struct td_plan_seen){ .plan = *plan };
}

// The generation before the rows: what changes after this makes another, and another look.
static int look_run(struct td_store_job *job, struct td_store *store)
{
	struct look *look = (struct look *)job;
	uint64_t generation;
	int rc = td_store_plans_generation(store, &generation);

	if (rc != 0 || generation == look->generation)
		return rc;
	look->n = 0; // of the try before
	look->failed = false;
	rc = td_store_plans(store, plan_take, look);
	look->read = rc == 0 && !look->failed;
	if (look->read)
		look->generation = generation;
	return rc == 0 && look->failed ? look->cap == SEEN_MAX ? -ENOSPC : -ENOMEM : rc;
}

static struct td_plan_seen *seen_find(const struct td_plan_home *home, const char *name)
{
	for (uint32_t i = 0; i < home->n; i++)
		if (strcmp(home->seen[i].plan.name, name) == 0)
			return &home->seen[i];
	return NULL;
}

static void look_put(struct td_plan_home *home, struct look *look)
{
	for (uint32_t i = 0; i < look->n; i++) {
		const struct td_plan_seen *before = seen_find(home, look->seen[i].plan.name);
		if (before && before->plan.version == look->seen[i].plan.version)
			look->seen[i] = *before;
		else if (before && before->failed)
			td_alarm_clear(home->alarms, PLAN_BEHIND, before->plan.name);
	}
	free(home->seen);
	home->seen = look->seen;
	home->n = look->n;
	home->generation = look->generation;
	look->seen = NULL;
	td_log(TD_LOG_INFO, "plans.read", "generation=%" PRIu64 " plans=%u", home->generation,
		home->n);
}

static void look_done(struct td_store_job *job, int rc)
{
	struct look *look = (struct look *)job;
	struct td_plan_home *home = look->home;

	home->asking = false;
	home->fresh = rc == 0;
	if (rc == 0)
		td_alarm_clear(home->alarms, PLAN_NAMES, "store");
	else if (rc == -ENOSPC)
		td_alarm_raise(home->alarms, TD_CRITICAL, PLAN_NAMES, "store",
			"when every node is up and in sync: DELETE FROM dial_plan WHERE parts = 0",
			"the store has more than %d names of dial plans, removed ones with them: "
			"this node sees no change of a plan any more",
			SEEN_MAX);
	if (rc == 0 && look->read && look->changes == home->changes)
		look_put(home, look);
	free(look->seen);
	free(look);
}

void plan_home_tick(struct td_plan_store *store)
{
	struct td_plan_home *home = &store->home;
	uint64_t now_ms = uv_now(&store->control->loop);
	struct look *look;

	if (home->asking || now_ms < home->look_ms || !(look = calloc(1, sizeof(*look))))
		return;
	look->job.run = look_run;
	look->job.done = look_done;
	look->home = home;
	look->generation = home->generation;
	look->changes = home->changes;
	home->look_ms = now_ms + LOOK_MS;
	home->asking = td_store_submit(&home->worker, &look->job) == 0;
	if (!home->asking)
		free(look);
}

int plan_home_start(struct td_plan_home *home, struct td_control *control)
{
	home->alarms = &control->alarms;
	return td_store_worker_start(
		&home->worker, &control->loop, control->conf->store, control->conf->node);
}

bool plan_home_stop(struct td_plan_home *home)
{
	bool joined = td_store_worker_stop(&home->worker);

	if (joined) {
		free(home->seen);
		home->seen = NULL;
		home->n = 0;
	}
	return joined;
}

// --- what is there ---

const struct td_store_plan *plan_home_find(const struct td_plan_home *home, const char *name)
{
	const struct td_plan_seen *seen = seen_find(home, name);

	return seen ? &seen->plan : NULL;
}

void plan_home_note(struct td_plan_home *home, const struct td_store_plan *plan)
{
	struct td_plan_seen *seen = seen_find(home, plan->name);

	home->changes++;
	if (!seen) {
		struct td_plan_seen *more =
			realloc(home->seen, (home->n + 1) * sizeof(*home->seen));
		if (!more)
			return; // the next look brings it
		home->seen = more;
		seen = &home->seen[home->n++];
	}
	*seen = (struct td_plan_seen){ .plan = *plan };
}

bool plan_home_is_stranger(const struct td_plan_home *home, const char *name)
{
	const struct td_store_plan *plan = plan_home_find(home, name);

	return home->generation != 0 && (!plan || plan->parts == 0);
}

// --- what to do ---

static bool is_of(const struct td_plan_info *info, const struct td_store_plan *plan)
{
	return info->version == plan->version && info->checksum == plan->checksum;
}

static struct plan_job *fetch_job(struct td_plan_store *store, const struct td_plan_seen *seen)
{
	const struct td_plan_info *info = plan_info_find(store, seen->plan.name);
	struct plan_job *job = plan_job_new(store, PLAN_FETCH, seen->plan.name);

	if (!job)
		return NULL;
	job->stored = seen->plan;
	job->compare = info && info->version == 0;
	job->names = td_route_names_new(&store->control->conf->policy);
	if (job->names)
		return job;
	plan_job_free(job);
	return NULL;
}

static struct plan_job *known_job(
	struct td_plan_store *store, enum plan_job_kind kind, const struct td_plan_info *info)
{
	struct plan_job *job = plan_job_new(store, kind, info->name);

	if (job)
		job->info = *info;
	return job;
}

// A plan that is in the store, or was.
static struct plan_job *seen_job(struct td_plan_store *store, const struct td_plan_seen *seen)
{
	const struct td_plan_info *info = plan_info_find(store, seen->plan.name);

	if (info && is_of(info, &seen->plan))
		return NULL;
	if (seen->failed && seen->failed_policy == store->control->conf->policy.generation &&
		uv_now(&store->control->loop) < seen->retry_ms)
		return NULL;
	if (seen->plan.parts > 0)
		return fetch_job(store, seen);
	return info && info->version != 0 ? known_job(store, PLAN_FORGET, info) : NULL;
}

// A node's own plan, from before the store had any, is not taken away by what was removed there.
static void removed_note(struct td_plan_store *store, const struct td_plan_info *info)
{
	struct td_plan_seen *seen = seen_find(&store->home, info->name);

	if (seen->failed)
		return;
	seen->failed = true;
	td_alarm_raise(&store->control->alarms, TD_WARNING, PLAN_BEHIND, info->name,
		"load it again for all nodes (tandemctl route load), or take it away (tandemctl "
		"route remove)",
		"dial plan %s was removed from the store, and this node has one of its own",
		info->name);
}

struct plan_job *plan_home_next(struct td_plan_store *store)
{
	struct td_plan_home *home = &store->home;
	struct plan_job *job = NULL;

	if (home->generation == 0 || !home->fresh)
		return NULL;
	for (uint32_t i = 0; i < home->n && !job; i++)
		job = seen_job(store, &home->seen[i]);
	if (uv_now(&store->control->loop) < home->pause_ms)
		return job;
	for (uint32_t i = 0; i < store->n && !job; i++) {
		const struct td_store_plan *plan = plan_home_find(home, store->table[i].name);
		if (!plan)
			job = known_job(store, PLAN_IMPORT, &store->table[i]);
		else if (plan->parts == 0 && store->table[i].version == 0)
			removed_note(store, &store->table[i]);
	}
	return job;
}

// --- what went wrong ---

static void behind_note(const struct plan_job *job, const char *advice, const char *why)
{
	struct td_plan_store *store = job->store;
	bool lacks = !plan_info_find(store, job->info.name);

	td_alarm_raise(&store->control->alarms, lacks ? TD_CRITICAL : TD_WARNING, PLAN_BEHIND,
		job->info.name, advice,
		"dial plan %s of the store is not in force here, %s: %.150s", job->info.name,
		lacks ? "and none in its place" : "the one before is", why);
}

static void seen_hold(const struct plan_job *job, struct td_plan_seen *seen, uint64_t ms)
{
	seen->failed = true;
	seen->failed_policy = job->store->control->conf->policy.generation;
	seen->retry_ms = uv_now(&job->store->control->loop) + ms;
}

// The store's fault, or somebody was faster: looked at again soon, behind all others.
static void store_failed(const struct plan_job *job, struct td_plan_seen *seen, const char *why)
{
	struct td_plan_home *home = &job->store->home;

	home->fresh = false;
	if (job->kind == PLAN_IMPORT)
		home->pause_ms = uv_now(&job->store->control->loop) + PAUSE_MS;
	if (job->kind != PLAN_FETCH || !seen)
		return;
	if (seen->failed && job->rc == -ENOENT) // and no newer one came
		behind_note(job, "load it again (tandemctl route load)", why);
	seen_hold(job, seen, SOON_MS);
}

void plan_home_failed(const struct plan_job *job, const char *why)
{
	struct td_plan_home *home = &job->store->home;
	struct td_plan_seen *seen = seen_find(home, job->info.name);

	// Who asked is told, and what cannot be pushed has an alarm of its own.
	if (job->serial != 0 || job->kind == PLAN_PUSH)
		return;
	if (job->kind == PLAN_IMPORT)
		td_alarm_raise(home->alarms, TD_WARNING, PLAN_UNSTORED, job->info.name,
			"other nodes and a new disk do not have it: see that the store takes it "
			"(tried again in up to 5 min), or load it again (tandemctl route load)",
			"dial plan %s is in force here, but could not be put into the store: "
			"%.150s",
			job->info.name, why);
	if (plan_job_step(job) == PLAN_STEP_STORE && job->rc != -EINVAL) {
		store_failed(job, seen, why);
		return;
	}
	if (job->kind == PLAN_IMPORT)
		home->pause_ms = uv_now(&job->store->control->loop) + RETRY_MS;
	if (!seen || (job->kind != PLAN_FETCH && job->kind != PLAN_FORGET))
		return;
	seen_hold(job, seen, RETRY_MS);
	if (job->kind == PLAN_FETCH)
		behind_note(job,
			job->compare ? "load the plan again on any node (tandemctl route load): "
				       "that one then holds for all"
				     : "make it fit this node's configuration, or load another "
				       "(tandemctl route load)",
			why);
}
