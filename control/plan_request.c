// SPDX-License-Identifier: BSD-3-Clause
// What an operator asks of the loaded dial plans: who may have a job now, and what it begins with.
#include "control/control.h"
#include "control/plan_job.h"
#include "control/plan_table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void plans_show(struct td_plan_store *store, struct td_conn *conn, uint64_t id)
{
	char path[256];

	for (uint32_t i = 0; i < store->n; i++) {
		const struct td_plan_info *info = &store->table[i];
		Tandem__Item item = TANDEM__ITEM__INIT;
		Tandem__PlanState plan = TANDEM__PLAN_STATE__INIT;
		item.row_case = TANDEM__ITEM__ROW_PLAN;
		item.plan = &plan;
		plan_path(store->folder, info->name, "", path, sizeof(path));
		plan.name = (char *)(uintptr_t)info->name;
		plan.generation = info->generation;
		plan.rows = info->rows;
		plan.bytes = info->bytes;
		plan.in_force = info->pushed && !info->refused && store->control->link.connected;
		plan.path = path;
		td_conn_item(conn, id, &item);
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
static const char *busy_or_full(struct td_plan_store *store, const char *plan, int *code)
{
	const char *busy = busy_with(store, plan, code);

	if (busy || plan_has_room(store, plan))
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
	plan_job_begin(job);
}

static struct plan_job *load_job(struct td_plan_store *store, const Tandem__RouteLoad *load)
{
	const struct td_store_plan *now = plan_home_find(&store->home, load->plan);
	const struct td_plan_info *info = plan_info_find(store, load->plan);
	struct plan_job *job = plan_job_new(store, PLAN_LOAD, load->plan);

	if (!job)
		return NULL;
	snprintf(job->path, sizeof(job->path), "%s", load->path);
	job->commit = load->commit;
	if (now)
		job->before = now->version;
	else if (info && store->home.generation == 0) // nobody has looked there yet
		job->before = info->version;
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
static bool is_known(struct td_plan_store *store, const char *plan)
{
	const struct td_store_plan *there = plan_home_find(&store->home, plan);

	return plan_is_here(store, plan) || (there && there->parts > 0);
}

static void remove_request(struct td_client *client, const Tandem__Frame *frame)
{
	struct td_plan_store *store = &client->server->control->plans;
	const char *plan = frame->route_remove->plan;
	const struct td_plan_info *info = plan_info_find(store, plan);
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
