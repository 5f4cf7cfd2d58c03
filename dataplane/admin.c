// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/admin.h"

#include "dataplane/log.h"
#include "dataplane/port.h"
#include "sip/policy.h"
#include "sip/subscribers.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static uint64_t generation_in_force(const struct td_admin *admin)
{
	return admin->policy->current ? td_policy_generation(admin->policy->current) : 0;
}

static bool bindings_restored(const struct td_admin *admin)
{
	return atomic_load_explicit(&admin->dp->restored, memory_order_relaxed);
}

static void hello_send(void *ctx, struct td_mgmt_conn *conn)
{
	const struct td_admin *admin = ctx;
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Hello hello = TANDEM__HELLO__INIT;
	char role[] = "dataplane", software[] = "tandem-dataplane " TANDEM_VERSION;

	frame.version = 1;
	frame.body_case = TANDEM__FRAME__BODY_HELLO;
	frame.hello = &hello;
	hello.role = role;
	hello.software = software;
	hello.epoch = admin->dp->epoch;
	hello.policy_generation = generation_in_force(admin);
	hello.subscriber_generation = admin->provision->generation;
	hello.registrar = admin->dp->subscribers != NULL;
	hello.stages_plans = true;
	hello.bindings_restored = !admin->dp->subscribers || bindings_restored(admin);
	Tandem__PlanState rows[TD_PLANS_MAX], *plans[TD_PLANS_MAX];
	hello.plans = plans;
	for (; hello.n_plans < admin->plans->n; hello.n_plans++) {
		const struct td_route_header *h =
			admin->plans->table[hello.n_plans]->image.header;
		Tandem__PlanState *row = &rows[hello.n_plans];
		tandem__plan_state__init(row);
		row->name = (char *)(uintptr_t)h->plan;
		row->generation = h->generation;
		row->rows = h->rows;
		row->bytes = h->bytes;
		plans[hello.n_plans] = row;
	}
	td_mgmt_send(conn, &frame);
}

static bool lacks_subscribers(const struct td_admin *admin)
{
	return admin->dp->subscribers && !td_subscribers_ready(admin->dp->subscribers);
}

// What is still missing: REGISTER and calls get 503 without it.
static const char *missing(const struct td_admin *admin)
{
	if (!admin->policy->current)
		return "no policy yet: is tandem-control running?";
	if (lacks_subscribers(admin))
		return "no subscribers yet: has tandem-control pushed them?";
	return NULL;
}

static void status_send(const struct td_admin *admin, struct td_mgmt_conn *conn, uint64_t id)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Status status = TANDEM__STATUS__INIT;
	const char *lacking = missing(admin);

	frame.version = 1;
	frame.id = id;
	frame.body_case = TANDEM__FRAME__BODY_STATUS;
	frame.status = &status;
	status.dataplane_connected = true;
	status.in_sync = !lacking;
	status.ports_ready = td_ports_up(admin->dp);
	status.draining = atomic_load_explicit(&admin->dp->draining, memory_order_relaxed);
	status.policy_generation = generation_in_force(admin);
	if (!status.ports_ready)
		lacking = "a port has no carrier";
	status.text = (char *)(uintptr_t)(lacking ? lacking : ""); // only read by the packer
	td_mgmt_send(conn, &frame);
}

static void policy_take(struct td_admin *admin, struct td_mgmt_conn *conn, uint64_t id,
	const Tandem__Policy *policy)
{
	char error[256] = "";
	int rc = td_policy_apply_push(admin->policy, policy, error, sizeof(error));

	if (rc < 0) {
		td_log(TD_LOG_ERROR, "policy.refused", "reason=\"%s\"", error);
		td_mgmt_send_error(conn, id, -rc, error);
		return;
	}
	td_log(TD_LOG_INFO, "policy.in_force", "generation=%016" PRIx64 " trunks=%u",
		generation_in_force(admin), td_policy_n_trunks(admin->policy->current));
	td_mgmt_send_done(conn, id, td_policy_n_trunks(admin->policy->current));
}

// --- dial plans ---

static void plan_remove(
	struct td_admin *admin, struct td_mgmt_conn *conn, uint64_t id, const char *name)
{
	char error[256] = "";
	struct td_plan *plan = td_plans_remove(admin->plans, name);
	int rc = plan ? td_policy_apply_again(admin->policy, error, sizeof(error)) : 0;

	td_plan_put(plan);
	if (rc < 0) {
		td_mgmt_send_error(conn, id, -rc, error);
		return;
	}
	td_log(TD_LOG_INFO, "plan.removed", "plan=%s", name);
	td_mgmt_send_done(conn, id, 0);
}

static void plan_take(struct td_admin *admin, struct td_mgmt_conn *conn, uint64_t id,
	const Tandem__RouteImage *image)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	const struct td_plan_order order = { .plan = image->plan,
		.generation = image->generation,
		.stage = image->stage,
		.tag = td_mgmt_tag(conn),
		.id = id };
	int fd = conn->passed_fd;

	conn->passed_fd = -1;
	if (image->stage && fd < 0) {
		td_plans_unstage(admin->plans);
		td_mgmt_send_done(conn, id, 0);
		return;
	}
	if (image->remove) {
		if (fd >= 0)
			close(fd);
		plan_remove(admin, conn, id, image->plan);
		return;
	}
	if (fd < 0 || (fcntl(fd, F_GET_SEALS) & seals) != seals) {
		if (fd >= 0)
			close(fd);
		td_mgmt_send_error(conn, id, EBADF, "no sealed image came with the request");
		return;
	}
	int rc = td_plans_take(admin->plans, fd, &order);
	if (rc < 0)
		td_mgmt_send_error(conn, id, -rc,
			rc == -EBUSY ? "another dial plan is being read"
				     : "no thread to read the dial plan");
}

// *before: what td_plans_install() says.
static int plan_install(struct td_admin *admin, struct td_plan *plan, struct td_plan **before,
	char *error, size_t cap)
{
	*before = td_plans_install(admin->plans, plan);
	if (*before != plan)
		return 0;
	snprintf(error, cap, "there are %d dial plans already", TD_PLANS_MAX);
	return -ENOSPC;
}

// All that could go wrong with it has been tried, and its memory is there.
static int plan_stage(struct td_admin *admin, struct td_plan *plan, char *error, size_t cap)
{
	struct td_plan *before;
	int rc = plan_install(admin, plan, &before, error, cap);

	if (rc < 0)
		return rc;
	rc = td_policy_apply_check(admin->policy, error, cap);
	td_plans_withdraw(admin->plans, plan, before);
	if (rc == 0)
		td_plans_stage(admin->plans, plan, admin->plans->load.tag);
	return rc;
}

// The plan is in the table and every policy to come has it, or it is gone again.
static int plan_publish(struct td_admin *admin, struct td_plan *plan, char *error, size_t cap)
{
	struct td_plan *before;
	int rc = plan_install(admin, plan, &before, error, cap);

	if (rc < 0)
		return rc;
	plan->refs++;
	rc = td_policy_apply_again(admin->policy, error, cap);
	if (rc < 0 && before)
		td_plans_install(admin->plans, before);
	else if (rc < 0)
		td_plans_remove(admin->plans, plan->image.header->plan);
	td_plan_put(rc < 0 ? plan : before);
	return rc;
}

// What came of the image, for the log.
static void load_tell(const struct td_plan_load *load, int rc, const char *error)
{
	const struct td_route_header *h = rc == 0 ? load->plan->image.header : NULL;

	if (rc < 0)
		td_log(TD_LOG_ERROR, "plan.refused", "reason=\"%s\"", error);
	else
		td_log(TD_LOG_INFO, load->stage ? "plan.staged" : "plan.in_force",
			"plan=%s generation=%016" PRIx64 " rows=%" PRIu64, h->plan, h->generation,
			h->rows);
	if (rc == 0 && load->saved < 0)
		td_log(TD_LOG_WARNING, "plan.not_kept", "plan=%s reason=\"%s\"", h->plan,
			strerror(-load->saved));
}

static int load_end(struct td_admin *admin, char *error, size_t cap)
{
	struct td_plan_load *load = &admin->plans->load;

	if (!load->plan) {
		snprintf(error, cap, "%s", load->error);
		return -EINVAL;
	}
	return load->stage ? plan_stage(admin, load->plan, error, cap)
			   : plan_publish(admin, load->plan, error, cap);
}

void td_admin_plans(struct td_admin *admin)
{
	struct td_plans *plans = admin->plans;
	struct td_plan_load *load = &plans->load;
	char error[256] = "";

	// Nobody comes for it any more.
	if (plans->staged && !td_mgmt_tagged(&admin->mgmt, plans->staged_tag))
		td_plans_unstage(plans);
	// A policy more than workers have let go of waits for its turn; so does the image.
	if (admin->policy->n_retired == TD_POLICY_RETIRED_MAX || !td_plans_done(plans))
		return;
	struct td_mgmt_conn *conn = td_mgmt_tagged(&admin->mgmt, load->tag);
	int rc = load_end(admin, error, sizeof(error));
	load_tell(load, rc, error);
	if (conn && rc == 0)
		td_mgmt_send_done(conn, load->id, load->plan->image.header->rows);
	else if (conn)
		td_mgmt_send_error(conn, load->id, -rc, error);
	td_plan_put(load->plan);
}

// --- hangup: the worker that has the call is asked last; none of the others knows it ---

static void hangup_ask(struct td_admin *admin, struct td_mgmt_conn *conn)
{
	struct td_mgmt_job *job = &conn->job;

	if (job->asked)
		return;
	if (job->worker == admin->dp->n_workers) {
		uint64_t id = job->id;
		*job = (struct td_mgmt_job){ 0 };
		td_mgmt_send_error(conn, id, ENOENT,
			"no call of that id is up; show calls lists those that are");
		return;
	}
	struct td_command_ring *ring = admin->dp->workers[job->worker]->commands;
	struct td_command *c = td_command_next(ring);
	if (!c)
		return;
	c->kind = TD_COMMAND_HANGUP;
	c->tag = td_mgmt_tag(conn);
	memcpy(c->id, job->key, sizeof(c->id));
	td_command_ask(ring);
	job->asked = true;
}

static void hangup_answered(struct td_mgmt_conn *conn, const struct td_command *c)
{
	if (c->result == 0) {
		uint64_t id = conn->job.id;
		conn->job = (struct td_mgmt_job){ 0 };
		td_mgmt_send_done(conn, id, 1);
		return;
	}
	conn->job.worker++;
}

static void hangup_begin(
	struct td_admin *admin, struct td_mgmt_conn *conn, uint64_t id, const char *call_id)
{
	conn->job = (struct td_mgmt_job){ .kind = TD_JOB_HANGUP, .id = id };
	snprintf(conn->job.key, sizeof(conn->job.key), "%s", call_id);
	hangup_ask(admin, conn);
}

// --- subscribers and bindings ---

static void settle(
	struct td_mgmt_conn *conn, uint64_t id, int rc, uint64_t count, const char *error)
{
	if (rc < 0)
		td_mgmt_send_error(conn, id, -rc, error);
	else
		td_mgmt_send_done(conn, id, count);
}

static void provision_take(
	struct td_admin *admin, struct td_mgmt_conn *conn, const Tandem__Frame *frame)
{
	char error[256] = "";
	uint64_t count = 1;
	int rc;

	if (frame->body_case == TANDEM__FRAME__BODY_SUBSCRIBER_PUT)
		rc = td_provision_put(
			admin->provision, frame->subscriber_put, error, sizeof(error));
	else if (frame->body_case == TANDEM__FRAME__BODY_SUBSCRIBER_DELETE)
		rc = td_provision_delete(
			admin->provision, frame->subscriber_delete, error, sizeof(error));
	else
		rc = td_provision_bulk(
			admin->provision, frame->subscriber_bulk, &count, error, sizeof(error));
	if (rc < 0)
		td_log(TD_LOG_ERROR, "subscribers.refused", "reason=\"%s\"", error);
	else if (frame->body_case == TANDEM__FRAME__BODY_SUBSCRIBER_BULK &&
		 frame->subscriber_bulk->last)
		td_log(TD_LOG_INFO, "subscribers.in_force", "generation=%016" PRIx64 " n=%u",
			admin->provision->generation, td_subscribers_count(admin->dp->subscribers));
	settle(conn, frame->id, rc, count, error);
}

static void bindings_more(struct td_admin *admin, struct td_mgmt_conn *conn)
{
	if (!td_provision_more(admin->provision))
		return;
	uint64_t id = conn->job.id;
	conn->job = (struct td_mgmt_job){ 0 };
	td_mgmt_send_done(conn, id, admin->provision->taken);
	if (bindings_restored(admin))
		td_log(TD_LOG_INFO, "bindings.restored", NULL);
}

static void bindings_take(struct td_admin *admin, struct td_mgmt_conn *conn, uint64_t id,
	const Tandem__BindingBulk *bulk)
{
	char error[256] = "";

	if (admin->provision->records && !td_mgmt_tagged(&admin->mgmt, admin->bindings_tag))
		td_provision_drop(admin->provision);
	int rc = td_provision_bindings(admin->provision, bulk, error, sizeof(error));
	if (rc < 0) {
		td_mgmt_send_error(conn, id, -rc, error);
		return;
	}
	admin->bindings_tag = td_mgmt_tag(conn);
	conn->job = (struct td_mgmt_job){ .kind = TD_JOB_BINDINGS, .id = id };
	bindings_more(admin, conn);
}

// --- frames ---

static void frame_take(void *ctx, struct td_mgmt_conn *conn, const Tandem__Frame *frame)
{
	struct td_admin *admin = ctx;

	switch (frame->body_case) {
	case TANDEM__FRAME__BODY_HELLO: // says who it is; the file's permissions said what it may
					// do
		break;
	case TANDEM__FRAME__BODY_POLICY:
		policy_take(admin, conn, frame->id, frame->policy);
		break;
	case TANDEM__FRAME__BODY_SHOW:
		td_mgmt_show(admin, conn, frame->id, frame->show);
		break;
	case TANDEM__FRAME__BODY_HANGUP:
		hangup_begin(admin, conn, frame->id, frame->hangup->call_id);
		break;
	case TANDEM__FRAME__BODY_DRAIN:
		td_drain_operator(admin->drain, !frame->drain->off);
		td_mgmt_send_done(conn, frame->id, td_drain_calls(admin->dp));
		break;
	case TANDEM__FRAME__BODY_ROUTE_IMAGE:
		plan_take(admin, conn, frame->id, frame->route_image);
		break;
	case TANDEM__FRAME__BODY_ROUTE_TEST:
		td_route_test(admin, conn, frame->id, frame->route_test);
		break;
	case TANDEM__FRAME__BODY_RULE_TEST:
		td_rule_test(admin, conn, frame->id, frame->rule_test);
		break;
	case TANDEM__FRAME__BODY_STATUS_REQUEST:
		status_send(admin, conn, frame->id);
		break;
	case TANDEM__FRAME__BODY_SUBSCRIBER_PUT:
	case TANDEM__FRAME__BODY_SUBSCRIBER_DELETE:
	case TANDEM__FRAME__BODY_SUBSCRIBER_BULK:
		provision_take(admin, conn, frame);
		break;
	case TANDEM__FRAME__BODY_BINDING_BULK:
		bindings_take(admin, conn, frame->id, frame->binding_bulk);
		break;
	default:
		td_mgmt_send_error(
			conn, frame->id, EOPNOTSUPP, "the data plane has no such request");
		break;
	}
}

static void job_resume(void *ctx, struct td_mgmt_conn *conn)
{
	if (conn->job.kind == TD_JOB_HANGUP)
		hangup_ask(ctx, conn);
	else if (conn->job.kind == TD_JOB_BINDINGS)
		bindings_more(ctx, conn);
	else
		td_mgmt_show_more(ctx, conn);
}

static void answer_take(struct td_admin *admin, const struct td_command *c, uint16_t worker)
{
	if (c->tag == TD_DRAIN_TAG) {
		td_drain_answered(admin->drain, worker);
		return;
	}
	struct td_mgmt_conn *conn = td_mgmt_tagged(&admin->mgmt, c->tag);
	if (!conn)
		return; // closed meanwhile
	conn->job.asked = false;
	if (c->kind == TD_COMMAND_HANGUP)
		hangup_answered(conn, c);
	else
		td_mgmt_show_calls(conn, c);
}

uint32_t td_admin_collect(struct td_admin *admin)
{
	uint32_t n = 0;

	for (uint16_t i = 0; i < admin->dp->n_workers; i++) {
		struct td_command_ring *ring = admin->dp->workers[i]->commands;
		struct td_command *c;
		for (; (c = td_command_collect(ring)); n++) {
			answer_take(admin, c, i);
			td_command_done(ring);
		}
	}
	return n;
}

void td_admin_handler(struct td_admin *admin, struct td_mgmt_handler *handler)
{
	*handler = (struct td_mgmt_handler){ hello_send, frame_take, job_resume, admin };
}

int td_admin_open(struct td_admin *admin)
{
	struct td_mgmt_handler handler;
	char path[128];

	td_admin_handler(admin, &handler);
	snprintf(path, sizeof(path), "%s/dataplane.sock", admin->dp->conf.run_dir);
	return td_mgmt_open(&admin->mgmt, path, &handler);
}
