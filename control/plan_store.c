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

static char committed_words[] = "committed";

// --- the table ---

static struct td_plan_info *info_find(struct td_plan_store *store, const char *name)
{
	for (uint32_t i = 0; i < store->n; i++)
		if (strcmp(store->table[i].name, name) == 0)
			return &store->table[i];
	return NULL;
}

static bool info_set(struct td_plan_store *store, const struct td_plan_info *info)
{
	struct td_plan_info *at = info_find(store, info->name);

	if (!at && store->n == TD_PLANS_MAX)
		return false;
	if (!at)
		at = &store->table[store->n++];
	*at = *info;
	return true;
}

static void table_read(struct td_plan_store *store)
{
	DIR *dir = opendir(store->folder);
	const struct dirent *e;

	while (dir && (e = readdir(dir))) {
		struct td_plan_info info;
		if (plan_info_read(store->folder, e->d_name, &info) != 0)
			continue;
		if (info_set(store, &info))
			td_log(TD_LOG_INFO, "plan.kept",
				"plan=%s generation=%016" PRIx64 " rows=%" PRIu64, info.name,
				info.generation, info.rows);
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
	progress.total = job->total;
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

// The data plane has it, or is not there: the file takes the place of the one before.
static void commit_end(struct plan_job *job, bool pushed, const char *text)
{
	struct td_plan_store *store = job->store;
	int rc = plan_file_commit(store->folder, job->info.name);
	struct td_plan_info *info = info_find(store, job->info.name);

	if (rc == 0) {
		job->info.pushed = pushed;
		job->info.refused = false;
		info_set(store, &job->info);
		refusal_forget(store, job->info.name);
	} else if (pushed && info) {
		info->pushed = false; // the data plane gets back what the disk still has
	} else if (pushed && store->n_strangers < TD_PLANS_MAX) {
		snprintf(store->strangers[store->n_strangers++], TD_NAME_LEN, "%s", job->info.name);
	}
	job_end(job, rc, rc == 0 ? text : "the plan's file could not be put in its place");
}

static void remove_end(struct plan_job *job, bool pushed)
{
	struct td_plan_store *store = job->store;
	struct td_plan_info *info = info_find(store, job->info.name);

	plan_file_remove(store->folder, job->info.name);
	refusal_forget(store, job->info.name);
	if (info)
		*info = store->table[--store->n];
	job_end(job, 0,
		pushed ? "removed" : "removed; the data plane will follow when it is there");
}

static void on_pushed(void *user, const Tandem__Frame *frame, int error)
{
	struct plan_job *job = user;
	bool taken = frame && frame->body_case == TANDEM__FRAME__BODY_DONE;
	const char *why = frame && frame->body_case == TANDEM__FRAME__BODY_ERROR
				  ? frame->error->text
				  : "the data plane did not say whether it took the plan";
	struct td_plan_info *info = info_find(job->store, job->info.name);

	if (taken && job->kind == PLAN_COMMIT) {
		commit_end(job, true, committed_words);
	} else if (taken && job->kind == PLAN_REMOVE) {
		remove_end(job, true);
	} else {
		if (job->kind == PLAN_COMMIT)
			plan_file_discard(job->store->folder, job->info.name);
		if (job->kind == PLAN_PUSH && info)
			info->pushed = taken;
		if (job->kind == PLAN_PUSH && taken)
			refusal_forget(job->store, job->info.name);
		else if (job->kind == PLAN_PUSH && frame)
			refusal_note(job->store, job->info.name, why);
		if (error == -ETIMEDOUT)
			td_link_doubt(&job->store->control->link);
		job_end(job, taken ? 0 : error ? error : -EINVAL, taken ? "" : why);
	}
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
	image.remove = job->kind == PLAN_REMOVE;
	int rc = td_link_ask_fd(link, &frame, job->fd, on_pushed, job);
	job->push_waits = rc == -EAGAIN;
	if (rc == 0 || rc == -EAGAIN)
		return;
	if (job->kind == PLAN_COMMIT && rc == -ENOTCONN)
		commit_end(job, false, "committed; the data plane will get it when it is there");
	else if (job->kind == PLAN_REMOVE && rc == -ENOTCONN)
		remove_end(job, false);
	else
		job_end(job, rc, "the plan could not be sent to the data plane");
}

static void stage(struct plan_job *job)
{
	struct td_plan_store *store = job->store;

	if (store->staged_fd >= 0)
		close(store->staged_fd);
	store->staged = job->info;
	store->staged_fd = job->fd;
	job->fd = -1;
	job_end(job, 0, "staged");
}

static void after_work(uv_work_t *work, int status)
{
	struct plan_job *job = work->data;
	char text[sizeof(job->error)];

	if (job->store->stopping) {
		plan_job_free(job);
		return;
	}
	if (job->rc < 0) {
		memcpy(text, job->error, sizeof(text));
		if (job->kind == PLAN_PUSH)
			refusal_note(job->store, job->info.name, text); // there is nothing to push
		job_end(job, job->rc, text);
		return;
	}
	if (job->kind == PLAN_LOAD) {
		diff_send(job);
		if (!job->commit) {
			stage(job);
			return;
		}
		job->kind = PLAN_COMMIT;
		job->event = "plan.committed";
		plan_job_run(job, after_work);
		return;
	}
	job_push(job);
}

static void job_begin(struct plan_job *job)
{
	job->store->job = job;
	if (job->kind == PLAN_REMOVE)
		job_push(job);
	else if (plan_job_run(job, after_work) != 0)
		job_end(job, -ENOMEM, "no thread for it");
}

// What the data plane lacks or has too much, one after the other.
static void job_next(struct td_plan_store *store)
{
	struct plan_job *job = NULL;

	if (store->job || store->stopping || !store->control->link.connected)
		return;
	for (uint32_t i = 0; i < store->n && !job; i++) {
		if (store->table[i].pushed)
			continue;
		job = plan_job_new(store, PLAN_PUSH, store->table[i].name);
		if (job)
			job->info = store->table[i];
	}
	if (!job && store->n_strangers > 0)
		job = plan_job_new(store, PLAN_REMOVE, store->strangers[--store->n_strangers]);
	if (job)
		job_begin(job);
}

static void on_tick(uv_timer_t *timer)
{
	struct td_plan_store *store = timer->data;

	if (store->job && store->job->push_waits)
		job_push(store->job);
	else if (store->job)
		progress_send(store->job);
	else
		job_next(store);
}

// --- the outside ---

void td_plan_store_start(struct td_plan_store *store, struct td_control *control)
{
	store->control = control;
	store->staged_fd = -1;
	snprintf(store->folder, sizeof(store->folder), "%s/routes", control->conf->state_dir);
	mkdir(store->folder, 0750);
	table_read(store);
	uv_timer_init(&control->loop, &store->tick);
	store->tick.data = store;
	uv_timer_start(&store->tick, on_tick, TICK_MS, TICK_MS);
}

void td_plan_store_stop(struct td_plan_store *store)
{
	store->stopping = true;
	uv_close((uv_handle_t *)&store->tick, NULL);
	if (store->staged_fd >= 0)
		close(store->staged_fd);
	store->staged_fd = -1;
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

static struct plan_job *asked_job(struct td_client *client, const Tandem__Frame *frame,
	enum plan_job_kind kind, const char *event, const char *plan)
{
	struct td_plan_store *store = &client->server->control->plans;
	struct plan_job *job = NULL;

	if (!plan_name_fits(plan))
		td_conn_error(client->conn, frame->id, EINVAL,
			"a plan's name has at most 31 letters, digits, '_', '-' and '.'");
	else if (store->job)
		td_conn_error(client->conn, frame->id, EBUSY,
			"another plan is being loaded or sent; try again when it is done");
	else if (store->n == TD_PLANS_MAX && !info_find(store, plan))
		td_conn_error(client->conn, frame->id, ENOSPC,
			"as many plans as there may be are loaded; tandemctl route remove one "
			"first");
	else if (!(job = plan_job_new(store, kind, plan)))
		td_conn_error(client->conn, frame->id, ENOMEM, "no memory");
	if (!job)
		return NULL;
	job->serial = client->serial;
	job->id = frame->id;
	job->event = event;
	return job;
}

static void load_request(struct td_client *client, const Tandem__Frame *frame)
{
	const Tandem__RouteLoad *load = frame->route_load;
	struct plan_job *job = asked_job(client, frame, PLAN_LOAD, "plan.staged", load->plan);

	if (!job)
		return;
	job->names = td_route_names_new(&job->store->control->conf->policy);
	job->commit = load->commit;
	if (!job->names || (size_t)snprintf(job->path, sizeof(job->path), "%s", load->path) >=
				   sizeof(job->path)) {
		job->store->job = job;
		job_end(job, -EINVAL, "the path is too long");
		return;
	}
	job_begin(job);
}

static void commit_request(struct td_client *client, const Tandem__Frame *frame)
{
	const Tandem__RouteCommit *commit = frame->route_commit;
	struct td_plan_store *store = &client->server->control->plans;

	if (store->staged_fd < 0 || store->staged.generation != commit->generation ||
		strcmp(store->staged.name, commit->plan) != 0) {
		td_conn_error(client->conn, frame->id, ENOENT,
			"that plan is not staged any more: load the file again");
		return;
	}
	struct plan_job *job =
		asked_job(client, frame, PLAN_COMMIT, "plan.committed", commit->plan);
	if (!job)
		return;
	job->info = store->staged;
	job->fd = store->staged_fd;
	store->staged_fd = -1;
	job_begin(job);
}

static void remove_request(struct td_client *client, const Tandem__Frame *frame)
{
	const char *plan = frame->route_remove->plan;
	struct td_plan_store *store = &client->server->control->plans;

	if (!info_find(store, plan)) {
		td_conn_error(client->conn, frame->id, ENOENT, "there is no plan of that name");
		return;
	}
	struct plan_job *job = asked_job(client, frame, PLAN_REMOVE, "plan.removed", plan);
	if (!job)
		return;
	job->info = *info_find(store, plan);
	job_begin(job);
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
	case TANDEM__FRAME__BODY_ROUTE_REMOVE:
		remove_request(client, frame);
		break;
	default:
		break;
	}
}
