// SPDX-License-Identifier: BSD-3-Clause
#include "control/plan_store.h"

#include "control/control.h"
#include "control/log.h"
#include "control/plan_job.h"
#include "control/plan_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TICK_MS 250
#define PUSH_WAIT_MIN_MS 1000
#define PUSH_WAIT_MAX_MS 60000

// --- answers ---

static struct td_conn *asker_of(const struct plan_job *job)
{
	return job->serial == 0 ? NULL
				: td_server_client(&job->store->control->server, job->serial);
}

static void item_send(const struct plan_job *job, Tandem__Item *item)
{
	struct td_conn *conn = asker_of(job);

	if (conn)
		td_conn_item(conn, job->id, item);
}

static void diff_send(const struct plan_job *job)
{
	static const char signs[TD_PLAN__CHANGES] = { '+', '~', '-' };
	char texts[TD_PLAN__CHANGES * TD_PLAN_SAMPLES][66];
	char *samples[TD_PLAN__CHANGES * TD_PLAN_SAMPLES];
	Tandem__Item item = TANDEM__ITEM__INIT;
	Tandem__RouteDiff diff = TANDEM__ROUTE_DIFF__INIT;
	size_t n = 0;

	for (int c = 0; c < TD_PLAN__CHANGES; c++)
		for (uint64_t i = 0; i < job->diff.count[c] && i < TD_PLAN_SAMPLES; i++) {
			snprintf(texts[n], sizeof(texts[n]), "%c%s", signs[c],
				job->diff.samples[c][i]);
			samples[n] = texts[n];
			n++;
		}
	item.row_case = TANDEM__ITEM__ROW_ROUTE_DIFF;
	item.route_diff = &diff;
	diff.plan = (char *)(uintptr_t)job->info.name;
	diff.rows = job->info.rows;
	diff.generation = job->info.generation;
	diff.bytes = job->info.bytes;
	diff.added = job->diff.count[TD_PLAN_ADDED];
	diff.changed = job->diff.count[TD_PLAN_CHANGED];
	diff.removed = job->diff.count[TD_PLAN_REMOVED];
	diff.samples = samples;
	diff.n_samples = n;
	item_send(job, &item);
}

static void progress_send(const struct plan_job *job)
{
	Tandem__Item item = TANDEM__ITEM__INIT;
	Tandem__RouteProgress progress = TANDEM__ROUTE_PROGRESS__INIT;

	item.row_case = TANDEM__ITEM__ROW_ROUTE_PROGRESS;
	item.route_progress = &progress;
	progress.phase = (char *)(uintptr_t)atomic_load_explicit(&job->phase, memory_order_relaxed);
	progress.done = atomic_load_explicit(&job->done, memory_order_relaxed);
	progress.total = atomic_load_explicit(&job->total, memory_order_relaxed);
	item_send(job, &item);
}

// --- jobs ---

static void job_next(struct td_plan_store *store);

static void job_end(struct plan_job *job, int code, const char *text)
{
	struct td_plan_store *store = job->store;
	struct td_conn *conn = asker_of(job);

	if (code == 0)
		td_log(TD_LOG_INFO, job->event, "plan=%s generation=%016" PRIx64 " rows=%" PRIu64,
			job->info.name, job->info.generation, job->info.rows);
	else
		td_log(TD_LOG_ERROR, "plan.refused", "event=%s plan=%s reason=\"%s\"", job->event,
			job->info.name, text);
	if (conn && code == 0)
		td_conn_done(conn, job->id, job->info.rows, text);
	else if (conn)
		td_conn_error(conn, job->id, -code, text);
	plan_job_free(job);
	store->job = NULL;
	job_next(store);
}

static void on_let_go(void *user, const Tandem__Frame *frame, int error)
{
}

// The data plane need not hold it ready any more. Where this cannot be sent, the next plan takes
// its place.
static void let_go(struct plan_job *job)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__RouteImage image = TANDEM__ROUTE_IMAGE__INIT;

	frame.body_case = TANDEM__FRAME__BODY_ROUTE_IMAGE;
	frame.route_image = &image;
	image.plan = job->info.name;
	image.stage = true;
	td_link_ask(&job->store->control->link, &frame, on_let_go, NULL);
}

static void job_fail(struct plan_job *job, int rc, const char *why)
{
	struct td_plan_store *store = job->store;

	job->rc = rc;
	if (job->held)
		let_go(job);
	if (job->kind == PLAN_PUSH)
		plan_refusal_note(store, job->info.name, why); // there is nothing to push
	if (job->kind == PLAN_COMMIT || job->kind == PLAN_CHANGE || job->kind == PLAN_FETCH)
		plan_file_discard(store->folder, job->info.name);
	plan_home_failed(job, why);
	job_end(job, rc, why);
}

// What nobody knows the outcome of is sent again, with growing pauses.
static void push_pause(struct td_plan_store *store, bool unknown)
{
	uint64_t longer = 2 * store->push_wait_ms;

	if (!unknown)
		store->push_wait_ms = 0;
	else if (longer < PUSH_WAIT_MIN_MS)
		store->push_wait_ms = PUSH_WAIT_MIN_MS;
	else
		store->push_wait_ms = longer < PUSH_WAIT_MAX_MS ? longer : PUSH_WAIT_MAX_MS;
	store->push_ms = uv_now(&store->control->loop) + store->push_wait_ms;
}

// How the data plane took what is committed, in words; 0, or what the asker is told.
static int push_end(struct plan_job *job, char *text, size_t cap)
{
	struct td_plan_store *store = job->store;
	struct td_plan_info *info = plan_info_find(store, job->info.name);

	info->pushed = job->push == PLAN_PUSH_TAKEN;
	info->refused = false;
	push_pause(store, job->push == PLAN_PUSH_UNKNOWN);
	if (job->push == PLAN_PUSH_TAKEN)
		plan_refusal_forget(store, job->info.name);
	if (job->push == PLAN_PUSH_REFUSED)
		plan_refusal_note(store, job->info.name, job->error);
	if (job->push == PLAN_PUSH_TAKEN || job->push == PLAN_PUSH_ABSENT) {
		snprintf(text, cap, "%s",
			job->push == PLAN_PUSH_TAKEN
				? "committed"
				: "committed; the data plane will get it when it is there");
		return 0;
	}
	snprintf(text, cap, "stored for all nodes, but not in force on this one: %s", job->error);
	return job->push == PLAN_PUSH_REFUSED ? -EINVAL : -ETIMEDOUT;
}

// The store has it: it takes the place of the one before.
static void committed(struct plan_job *job)
{
	struct td_plan_store *store = job->store;
	char text[sizeof(job->error) + 80];

	job->info.version = job->stored.version;
	job->info.checksum = job->stored.checksum;
	bool room = plan_has_room(store, job->info.name);
	int rc = room ? plan_file_commit(store->folder, &job->info) : -ENOSPC;
	if (rc < 0) {
		job_fail(job, rc,
			room ? "it is stored, but its file could not be put in its place here"
			     : "as many plans as there may be are here already");
		return;
	}
	plan_info_set(store, &job->info);
	td_alarm_clear(&store->control->alarms, PLAN_BEHIND, job->info.name);
	td_alarm_clear(&store->control->alarms, PLAN_UNSTORED, job->info.name);
	rc = push_end(job, text, sizeof(text));
	job_end(job, rc, text);
}

static void versioned(struct plan_job *job)
{
	struct td_plan_info *info = plan_info_find(job->store, job->info.name);

	info->version = job->stored.version;
	info->checksum = job->stored.checksum;
	plan_version_write(job->store->folder, info);
	td_alarm_clear(&job->store->control->alarms, PLAN_BEHIND, job->info.name);
	td_alarm_clear(&job->store->control->alarms, PLAN_UNSTORED, job->info.name);
	job_end(job, 0, "");
}

static void removed(struct plan_job *job)
{
	char why[sizeof(job->error)];

	if (job->push == PLAN_PUSH_REFUSED || job->push == PLAN_PUSH_UNKNOWN) {
		memcpy(why, job->error, sizeof(why));
		job_fail(job, -EINVAL, why);
		return;
	}
	plan_info_forget(job->store, job->info.name);
	job_end(job, 0,
		job->push == PLAN_PUSH_TAKEN
			? "removed"
			: "removed; the data plane will follow when it is there");
}

static void stage(struct plan_job *job)
{
	struct td_plan_store *store = job->store;
	struct plan_job *staged = plan_job_new(store, PLAN_COMMIT, job->info.name);

	if (!staged) {
		job_end(job, -ENOMEM, "no memory");
		return;
	}
	staged->info = job->info;
	staged->stored = job->stored;
	staged->before = job->before;
	staged->fd = job->fd;
	staged->rows = job->rows;
	job->fd = -1;
	job->rows = NULL;
	if (store->staged)
		plan_job_free(store->staged);
	store->staged = staged;
	job_end(job, 0, "staged");
}

static void pushed(struct plan_job *job)
{
	char text[sizeof(job->error) + 80];
	int rc = push_end(job, text, sizeof(text));

	job_end(job, rc, rc == 0 ? "" : job->error);
}

static void job_go(struct plan_job *job);

// All steps are done.
static void job_done(struct plan_job *job)
{
	switch (job->kind) {
	case PLAN_LOAD:
		diff_send(job);
		if (job->commit) {
			job->kind = PLAN_COMMIT;
			job->event = "plan.committed";
			job->at = 0;
			job_go(job);
			return;
		}
		stage(job);
		return;
	case PLAN_CHANGE:
		diff_send(job);
		committed(job);
		return;
	case PLAN_COMMIT:
	case PLAN_FETCH:
		committed(job);
		return;
	case PLAN_IMPORT:
		versioned(job);
		return;
	case PLAN_PUSH:
		pushed(job);
		return;
	case PLAN_REMOVE:
	case PLAN_FORGET:
		removed(job);
		return;
	case PLAN__KINDS:
		return;
	}
}

static void job_next_step(struct plan_job *job)
{
	job->at++;
	job_go(job);
}

// Where the data plane went away in the middle of it, the plan may be the reason: no other node
// shall have it.
static void after_stage(struct plan_job *job, enum plan_push push, const char *why)
{
	char text[sizeof(job->error)];

	job->held = push == PLAN_PUSH_TAKEN;
	if (push == PLAN_PUSH_TAKEN || push == PLAN_PUSH_ABSENT) {
		job_next_step(job);
		return;
	}
	snprintf(text, sizeof(text), "nothing has changed: %s%s",
		push == PLAN_PUSH_REFUSED ? "the data plane refuses the plan: " : "", why);
	job_fail(job, push == PLAN_PUSH_REFUSED ? -EINVAL : -ETIMEDOUT, text);
}

static void after_push(struct plan_job *job, enum plan_push push, const char *why)
{
	if (plan_job_step(job) == PLAN_STEP_STAGE) {
		after_stage(job, push, why);
		return;
	}
	job->held = false;
	job->push = push;
	snprintf(job->error, sizeof(job->error), "%s", why);
	job_next_step(job);
}

static void on_pushed(void *user, const Tandem__Frame *frame, int error)
{
	struct plan_job *job = user;

	if (error == -ETIMEDOUT)
		td_link_doubt(&job->store->control->link);
	if (frame && frame->body_case == TANDEM__FRAME__BODY_DONE)
		after_push(job, PLAN_PUSH_TAKEN, "");
	else if (frame && frame->body_case == TANDEM__FRAME__BODY_ERROR)
		after_push(job, PLAN_PUSH_REFUSED, frame->error->text);
	else
		after_push(job, PLAN_PUSH_UNKNOWN,
			"the data plane did not say whether it took the plan");
}

static void job_push(struct plan_job *job)
{
	struct td_link *link = &job->store->control->link;
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__RouteImage image = TANDEM__ROUTE_IMAGE__INIT;

	frame.body_case = TANDEM__FRAME__BODY_ROUTE_IMAGE;
	frame.route_image = &image;
	image.plan = job->info.name;
	image.generation = job->info.generation;
	image.remove = job->kind == PLAN_REMOVE || job->kind == PLAN_FORGET;
	image.stage = plan_job_step(job) == PLAN_STEP_STAGE;
	if (image.stage && !job->store->stages) {
		after_push(job, PLAN_PUSH_ABSENT, "");
		return;
	}
	int rc = td_link_ask_fd(link, &frame, job->fd, on_pushed, job);
	job->push_waits = rc == -EAGAIN;
	if (rc == -ENOTCONN)
		after_push(job, PLAN_PUSH_ABSENT, "");
	else if (rc < 0 && rc != -EAGAIN)
		after_push(job, PLAN_PUSH_UNKNOWN, "it could not be sent to the data plane");
}

// A plan from before the store had any: it stays, and is the store's where it says the same.
static void fetched_compare(struct plan_job *job)
{
	const uint64_t *count = job->diff.count;

	plan_file_discard(job->store->folder, job->info.name);
	if (count[TD_PLAN_ADDED] || count[TD_PLAN_CHANGED] || count[TD_PLAN_REMOVED])
		job_fail(job, -EEXIST, "this node has other routes under that name, from before");
	else
		versioned(job);
}

static void after_work(uv_work_t *work, int status)
{
	struct plan_job *job = work->data;
	char why[sizeof(job->error)];

	if (job->store->stopping) {
		plan_job_free(job);
	} else if (job->rc < 0) {
		memcpy(why, job->error, sizeof(why));
		job_fail(job, job->rc, why);
	} else if (job->kind == PLAN_FETCH && job->compare) {
		fetched_compare(job);
	} else {
		job_next_step(job);
	}
}

static void after_store(struct td_store_job *store_job, int rc)
{
	struct plan_job *job = plan_job_of(store_job);
	char why[TD_STORE_REASON_LEN + 80];

	if (job->store->stopping) {
		job->store->job = NULL;
		plan_job_free(job);
		return;
	}
	if (rc != 0) {
		snprintf(why, sizeof(why), "nothing has changed: the store: %s", store_job->reason);
		job_fail(job, rc, why);
		return;
	}
	bool changed = job->kind != PLAN_FETCH && (job->kind != PLAN_CHANGE || job->at > 0);
	if (changed && job->stored.version != 0)
		plan_home_note(&job->store->home, &job->stored);
	job_next_step(job);
}

static void job_go(struct plan_job *job)
{
	switch (plan_job_step(job)) {
	case PLAN_STEP_END:
		job_done(job);
		return;
	case PLAN_STEP_WORK:
		if (plan_job_run(job, after_work) != 0)
			job_fail(job, -ENOMEM, "no thread for it");
		return;
	case PLAN_STEP_STORE:
		if (plan_job_store(job, after_store) != 0)
			job_fail(job, -ENOBUFS, "too much is asked of the store");
		return;
	case PLAN_STEP_STAGE:
	case PLAN_STEP_PUSH:
		job_push(job);
		return;
	}
}

void plan_job_begin(struct plan_job *job)
{
	job->store->job = job;
	job_go(job);
}

static struct plan_job *push_next(struct td_plan_store *store)
{
	struct plan_job *job;

	for (uint32_t i = 0; i < store->n; i++) {
		if (store->table[i].pushed)
			continue;
		job = plan_job_new(store, PLAN_PUSH, store->table[i].name);
		if (job)
			job->info = store->table[i];
		return job;
	}
	for (uint32_t i = 0; i < store->n_strangers; i++) {
		if (!plan_home_is_stranger(&store->home, store->strangers[i]))
			continue;
		job = plan_job_new(store, PLAN_FORGET, store->strangers[i]);
		plan_stranger_drop(store, i);
		return job;
	}
	return NULL;
}

// What the data plane lacks or has too much, then what the store has otherwise; one after the
// other.
static void job_next(struct td_plan_store *store)
{
	struct plan_job *job = NULL;

	if (store->job || store->stopping)
		return;
	if (store->control->link.connected && uv_now(&store->control->loop) >= store->push_ms)
		job = push_next(store);
	if (!job)
		job = plan_home_next(store);
	if (job)
		plan_job_begin(job);
}

static void on_tick(uv_timer_t *timer)
{
	struct td_plan_store *store = timer->data;

	plan_home_tick(store);
	if (store->job && store->job->push_waits)
		job_push(store->job);
	else if (store->job && store->job->kind != PLAN_REMOVE)
		progress_send(store->job);
	else
		job_next(store);
}

// --- the outside ---

int td_plan_store_start(struct td_plan_store *store, struct td_control *control)
{
	store->control = control;
	snprintf(store->folder, sizeof(store->folder), "%s/routes", control->conf->state_dir);
	mkdir(store->folder, 0750);
	plan_table_read(store);
	uv_timer_init(&control->loop, &store->tick);
	store->tick.data = store;
	uv_timer_start(&store->tick, on_tick, TICK_MS, TICK_MS);
	return plan_home_start(&store->home, control);
}

bool td_plan_store_stop(struct td_plan_store *store)
{
	store->stopping = true;
	uv_close((uv_handle_t *)&store->tick, NULL);
	if (store->staged)
		plan_job_free(store->staged);
	store->staged = NULL;
	return plan_home_stop(&store->home);
}

void td_plan_store_hello(struct td_plan_store *store, const Tandem__Hello *hello)
{
	store->n_strangers = 0;
	store->stages = hello->stages_plans;
	store->push_ms = 0;
	for (uint32_t i = 0; i < store->n; i++)
		store->table[i].pushed = store->table[i].refused = false;
	for (size_t i = 0; i < hello->n_plans; i++) {
		const Tandem__PlanState *plan = hello->plans[i];
		struct td_plan_info *info = plan_info_find(store, plan->name);
		if (info)
			info->pushed = info->generation == plan->generation;
		if (info && info->pushed)
			plan_refusal_forget(store, info->name);
		else if (!info && store->n_strangers < TD_PLANS_MAX &&
			 strlen(plan->name) < TD_NAME_LEN)
			snprintf(store->strangers[store->n_strangers++], TD_NAME_LEN, "%s",
				plan->name);
	}
}
