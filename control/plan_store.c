// SPDX-License-Identifier: BSD-3-Clause
#include "control/plan_store.h"

#include "control/control.h"
#include "control/log.h"
#include "control/plan_job.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TICK_MS 250
#define ALARM "plan.refused"
#define BEHIND "plan.behind" // control/plan_home.c raises it

// --- the table ---

static struct td_plan_info *info_find(struct td_plan_store *store, const char *name)
{
	for (uint32_t i = 0; i < store->n; i++)
		if (strcmp(store->table[i].name, name) == 0)
			return &store->table[i];
	return NULL;
}

static bool is_here(const struct td_plan_store *store, const char *name)
{
	for (uint32_t i = 0; i < store->n; i++)
		if (strcmp(store->table[i].name, name) == 0)
			return true;
	return false;
}

static bool has_room(const struct td_plan_store *store, const char *name)
{
	return is_here(store, name) || store->n < TD_PLANS_MAX;
}

static void stranger_drop(struct td_plan_store *store, uint32_t i)
{
	memmove(store->strangers[i], store->strangers[--store->n_strangers], TD_NAME_LEN);
}

static void info_set(struct td_plan_store *store, const struct td_plan_info *info)
{
	struct td_plan_info *at = info_find(store, info->name);

	if (!at)
		at = &store->table[store->n++];
	*at = *info;
	// Nor is it taken away as one, should the store lose it.
	for (uint32_t i = 0; i < store->n_strangers; i++)
		if (strcmp(store->strangers[i], info->name) == 0)
			stranger_drop(store, i--);
}

static void table_read(struct td_plan_store *store)
{
	DIR *dir = opendir(store->folder);
	const struct dirent *e;

	while (dir && (e = readdir(dir))) {
		struct td_plan_info info;
		if (plan_file_sweep(store->folder, e->d_name) ||
			plan_info_read(store->folder, e->d_name, &info) != 0 ||
			!has_room(store, info.name))
			continue;
		info_set(store, &info);
		td_log(TD_LOG_INFO, "plan.kept", "plan=%s generation=%016" PRIx64 " rows=%" PRIu64,
			info.name, info.generation, info.rows);
	}
	if (dir)
		closedir(dir);
}

// What the data plane was sent again on its own account: nobody waits for the answer.
static void refusal_note(struct td_plan_store *store, const char *name, const char *reason)
{
	struct td_plan_info *info = info_find(store, name);

	if (!info)
		return;
	info->pushed = info->refused = true;
	td_alarm_raise(&store->control->alarms, TD_CRITICAL, ALARM, name,
		"calls that need this plan find no route in it: load its route file again "
		"(tandemctl route load)",
		"dial plan %s is committed, but the data plane does not have it: %s", name, reason);
}

static void refusal_forget(struct td_plan_store *store, const char *name)
{
	td_alarm_clear(&store->control->alarms, ALARM, name);
}

static void info_forget(struct td_plan_store *store, const char *name)
{
	struct td_plan_info *info = info_find(store, name);

	plan_file_remove(store->folder, name);
	refusal_forget(store, name);
	td_alarm_clear(&store->control->alarms, BEHIND, name);
	if (info)
		*info = store->table[--store->n];
}

// --- answers ---

static struct td_conn *asker_of(const struct plan_job *job)
{
	return job->serial == 0 ? NULL
				: td_server_client(&job->store->control->server, job->serial);
}

static void item_send(const struct plan_job *job, Tandem__Item *item)
{
	struct td_conn *conn = asker_of(job);
	Tandem__Frame frame = TANDEM__FRAME__INIT;

	if (!conn)
		return;
	frame.version = 1;
	frame.id = job->id;
	frame.body_case = TANDEM__FRAME__BODY_ITEM;
	frame.item = item;
	td_conn_send(conn, &frame);
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

static void job_fail(struct plan_job *job, int rc, const char *why)
{
	struct td_plan_store *store = job->store;

	job->rc = rc;
	if (job->kind == PLAN_PUSH)
		refusal_note(store, job->info.name, why); // there is nothing to push
	if (job->kind == PLAN_COMMIT || job->kind == PLAN_CHANGE || job->kind == PLAN_FETCH)
		plan_file_discard(store->folder, job->info.name);
	plan_home_failed(job, why);
	job_end(job, rc, why);
}

// How the data plane took what is committed, in words; 0, or what the asker is told.
static int push_end(struct plan_job *job, char *text, size_t cap)
{
	struct td_plan_store *store = job->store;
	struct td_plan_info *info = info_find(store, job->info.name);

	info->pushed = job->push == PLAN_PUSH_TAKEN;
	info->refused = false;
	if (job->push == PLAN_PUSH_TAKEN)
		refusal_forget(store, job->info.name);
	if (job->push == PLAN_PUSH_REFUSED)
		refusal_note(store, job->info.name, job->error);
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
	bool room = has_room(store, job->info.name);
	int rc = room ? plan_file_commit(store->folder, &job->info) : -ENOSPC;
	if (rc < 0) {
		job_fail(job, rc,
			room ? "it is stored, but its file could not be put in its place here"
			     : "as many plans as there may be are here already");
		return;
	}
	info_set(store, &job->info);
	td_alarm_clear(&store->control->alarms, BEHIND, job->info.name);
	rc = push_end(job, text, sizeof(text));
	job_end(job, rc, text);
}

static void versioned(struct plan_job *job)
{
	struct td_plan_info *info = info_find(job->store, job->info.name);

	info->version = job->stored.version;
	info->checksum = job->stored.checksum;
	plan_version_write(job->store->folder, info);
	td_alarm_clear(&job->store->control->alarms, BEHIND, job->info.name);
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
	info_forget(job->store, job->info.name);
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

static void after_push(struct plan_job *job, enum plan_push push, const char *why)
{
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
	case PLAN_STEP_PUSH:
		job_push(job);
		return;
	}
}

static void job_begin(struct plan_job *job)
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
		stranger_drop(store, i);
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
	if (store->control->link.connected)
		job = push_next(store);
	if (!job)
		job = plan_home_next(store);
	if (job)
		job_begin(job);
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
	table_read(store);
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
	for (uint32_t i = 0; i < store->n; i++)
		store->table[i].pushed = store->table[i].refused = false;
	for (size_t i = 0; i < hello->n_plans; i++) {
		const Tandem__PlanState *plan = hello->plans[i];
		struct td_plan_info *info = info_find(store, plan->name);
		if (info)
			info->pushed = info->generation == plan->generation;
		if (info && info->pushed)
			refusal_forget(store, info->name);
		else if (!info && store->n_strangers < TD_PLANS_MAX &&
			 strlen(plan->name) < TD_NAME_LEN)
			snprintf(store->strangers[store->n_strangers++], TD_NAME_LEN, "%s",
				plan->name);
	}
}

static void plans_show(struct td_plan_store *store, struct td_conn *conn, uint64_t id)
{
	char path[256];

	for (uint32_t i = 0; i < store->n; i++) {
		const struct td_plan_info *info = &store->table[i];
		Tandem__Frame frame = TANDEM__FRAME__INIT;
		Tandem__Item item = TANDEM__ITEM__INIT;
		Tandem__PlanState plan = TANDEM__PLAN_STATE__INIT;
		frame.version = 1;
		frame.id = id;
		frame.body_case = TANDEM__FRAME__BODY_ITEM;
		frame.item = &item;
		item.row_case = TANDEM__ITEM__ROW_PLAN;
		item.plan = &plan;
		plan_path(store->folder, info->name, "", path, sizeof(path));
		plan.name = (char *)(uintptr_t)info->name;
		plan.generation = info->generation;
		plan.rows = info->rows;
		plan.bytes = info->bytes;
		plan.in_force = info->pushed && !info->refused && store->control->link.connected;
		plan.path = path;
		td_conn_send(conn, &frame);
	}
	td_conn_done(conn, id, store->n, "");
}

// NULL, or why the asker cannot have a job on that plan now; *code for it.
static const char *busy_with(const struct td_plan_store *store, const char *plan, int *code)
{
	*code = plan_name_fits(plan) ? EBUSY : EINVAL;
	if (*code == EINVAL)
		return "a plan's name has at most 31 letters, digits, '_', '-' and '.'";
	return store->job ? "another plan is being loaded or sent; try again when it is done"
			  : NULL;
}

// The same of a plan that may be a new one.
static const char *busy_or_full(const struct td_plan_store *store, const char *plan, int *code)
{
	const char *busy = busy_with(store, plan, code);

	if (busy || has_room(store, plan))
		return busy;
	*code = ENOSPC;
	return "as many plans as there may be are loaded; tandemctl route remove one first";
}

static void asked_begin(struct plan_job *job, struct td_client *client, const Tandem__Frame *frame)
{
	if (!job) {
		td_conn_error(client->conn, frame->id, ENOMEM, "no memory");
		return;
	}
	job->serial = client->serial;
	job->id = frame->id;
	job_begin(job);
}

static struct plan_job *load_job(struct td_plan_store *store, const Tandem__RouteLoad *load)
{
	const struct td_store_plan *now = plan_home_find(&store->home, load->plan);
	const struct td_plan_info *info = info_find(store, load->plan);
	struct plan_job *job = plan_job_new(store, PLAN_LOAD, load->plan);

	if (!job)
		return NULL;
	snprintf(job->path, sizeof(job->path), "%s", load->path);
	job->commit = load->commit;
	job->before = now ? now->version : info ? info->version : 0;
	job->names = td_route_names_new(&store->control->conf->policy);
	if (job->names)
		return job;
	plan_job_free(job);
	return NULL;
}

static void load_request(struct td_client *client, const Tandem__Frame *frame)
{
	struct td_plan_store *store = &client->server->control->plans;
	const Tandem__RouteLoad *load = frame->route_load;
	int code;
	const char *busy = busy_or_full(store, load->plan, &code);

	if (busy)
		td_conn_error(client->conn, frame->id, code, busy);
	else if (strlen(load->path) >= PATH_MAX)
		td_conn_error(client->conn, frame->id, EINVAL, "the path is too long");
	else
		asked_begin(load_job(store, load), client, frame);
}

static void commit_request(struct td_client *client, const Tandem__Frame *frame)
{
	const Tandem__RouteCommit *commit = frame->route_commit;
	struct td_plan_store *store = &client->server->control->plans;
	struct plan_job *staged = store->staged;
	int code;
	const char *busy = busy_or_full(store, commit->plan, &code);

	if (!staged || staged->info.generation != commit->generation ||
		strcmp(staged->info.name, commit->plan) != 0) {
		td_conn_error(client->conn, frame->id, ENOENT,
			"that plan is not staged any more: load the file again");
		return;
	}
	if (busy) {
		td_conn_error(client->conn, frame->id, code, busy);
		return;
	}
	store->staged = NULL;
	asked_begin(staged, client, frame);
}

static const char *change_read(struct plan_job *job, const Tandem__RouteChange *change)
{
	struct td_plan_store *store = job->store;
	const struct td_store_plan *now = plan_home_find(&store->home, job->info.name);

	if (now)
		job->stored = *now;
	job->before = job->stored.version;
	job->names = td_route_names_new(&store->control->conf->policy);
	job->edit = td_route_edit_new(change->match, change->remove, change->fields,
		change->n_fields, job->error, sizeof(job->error));
	if (!job->names || store->home.generation == 0)
		return job->names ? "what the store has is not known yet; try again" : "no memory";
	if (!job->edit ||
		td_route_edit_check(job->edit, job->names, job->error, sizeof(job->error)) < 0)
		return job->error;
	return change->remove && job->stored.parts == 0 ? "there is no plan of that name" : NULL;
}

static void change_request(struct td_client *client, const Tandem__Frame *frame)
{
	struct td_plan_store *store = &client->server->control->plans;
	const Tandem__RouteChange *change = frame->route_change;
	int code;
	const char *busy = busy_with(store, change->plan, &code);
	struct plan_job *job = busy ? NULL : plan_job_new(store, PLAN_CHANGE, change->plan);
	const char *wrong = job ? change_read(job, change) : NULL;

	if (!busy && !wrong) {
		asked_begin(job, client, frame);
		return;
	}
	td_conn_error(client->conn, frame->id, busy ? code : EINVAL, busy ? busy : wrong);
	if (job)
		plan_job_free(job);
}

// Also one that this node cannot take: it is in the store all the same.
static bool is_known(const struct td_plan_store *store, const char *plan)
{
	const struct td_store_plan *there = plan_home_find(&store->home, plan);

	return is_here(store, plan) || (there && there->parts > 0);
}

static void remove_request(struct td_client *client, const Tandem__Frame *frame)
{
	struct td_plan_store *store = &client->server->control->plans;
	const char *plan = frame->route_remove->plan;
	const struct td_plan_info *info = info_find(store, plan);
	int code = ENOENT;
	const char *busy = is_known(store, plan) ? busy_with(store, plan, &code)
						 : "there is no plan of that name";

	if (busy) {
		td_conn_error(client->conn, frame->id, code, busy);
		return;
	}
	struct plan_job *job = plan_job_new(store, PLAN_REMOVE, plan);
	if (job && info)
		job->info = *info;
	asked_begin(job, client, frame);
}

void td_plan_store_show(struct td_client *client, const Tandem__Frame *frame)
{
	plans_show(&client->server->control->plans, client->conn, frame->id);
}

void td_plan_store_request(struct td_client *client, const Tandem__Frame *frame)
{
	switch (frame->body_case) {
	case TANDEM__FRAME__BODY_ROUTE_LOAD:
		load_request(client, frame);
		break;
	case TANDEM__FRAME__BODY_ROUTE_COMMIT:
		commit_request(client, frame);
		break;
	case TANDEM__FRAME__BODY_ROUTE_CHANGE:
		change_request(client, frame);
		break;
	case TANDEM__FRAME__BODY_ROUTE_REMOVE:
		remove_request(client, frame);
		break;
	default:
		break;
	}
}
