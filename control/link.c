// SPDX-License-Identifier: BSD-3-Clause
#include "control/link.h"

#include "control/log.h"
#include "control/plan_store.h"
#include "include/frame.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 1000
#define HELLO_MS 5000
#define OUT_MAX (2u * TD_FRAME_MAX)

static void connect_begin(struct td_link *link);

static void on_retry(uv_timer_t *timer)
{
	connect_begin(timer->data);
}

static void tell(struct td_link *link, enum td_event_kind kind, const char *subject,
	const char *state, const char *text)
{
	if (link->events)
		td_events_tell(link->events, kind, subject, state, "%s", text);
}

// --- pending questions ---

static void pending_end(struct td_link_pending *pending, const Tandem__Frame *frame, int error)
{
	struct td_link_pending ended = *pending;

	pending->id = 0;
	ended.answer(ended.user, frame, error);
}

// Not what is asked meanwhile, by who is told.
static void pending_fail_all(struct td_link *link, int error)
{
	uint64_t newest = link->next_id;

	for (int i = 0; i < TD_LINK_PENDING_MAX; i++)
		if (link->pending[i].id != 0 && link->pending[i].id <= newest)
			pending_end(&link->pending[i], NULL, error);
}

static bool is_last(const Tandem__Frame *frame)
{
	return frame->body_case != TANDEM__FRAME__BODY_ITEM;
}

static void answer_take(struct td_link *link, const Tandem__Frame *frame)
{
	for (int i = 0; i < TD_LINK_PENDING_MAX; i++) {
		struct td_link_pending *pending = &link->pending[i];
		if (pending->id != frame->id)
			continue;
		if (is_last(frame)) {
			pending_end(pending, frame, 0);
		} else {
			pending->deadline_ms = uv_now(link->loop) + TD_LINK_PATIENCE_MS;
			pending->answer(pending->user, frame, 0);
		}
		return;
	}
}

// Looks are counted and not the time: a loop that was busy itself has not read what is there.
static bool quiet_look(struct td_link *link)
{
	bool owes = false;

	for (int i = 0; i < TD_LINK_PENDING_MAX; i++) {
		if (link->pending[i].id != 0 && link->pending[i].bulk)
			return false;
		owes |= link->pending[i].id != 0;
	}
	link->quiet += owes;
	return owes && link->quiet >= TD_LINK_QUIET_MAX;
}

static void silent_set(struct td_link *link, bool silent)
{
	if (silent != link->silent)
		td_log(silent ? TD_LOG_ERROR : TD_LOG_INFO,
			silent ? "dataplane.hangs" : "dataplane.answers", "epoch=%u", link->epoch);
	link->silent = silent;
	link->quiet = silent ? link->quiet : 0;
}

static void on_watch(uv_timer_t *timer)
{
	struct td_link *link = timer->data;

	if (quiet_look(link)) {
		silent_set(link, true);
		pending_fail_all(link, -ETIMEDOUT);
	}
	for (int i = 0; i < TD_LINK_PENDING_MAX; i++)
		if (link->pending[i].id != 0 && link->pending[i].deadline_ms <= uv_now(link->loop))
			pending_end(&link->pending[i], NULL, -ETIMEDOUT);
	if (link->conn && !link->connected && link->hello_ms <= uv_now(link->loop)) {
		silent_set(link, true); // it listens, and says nothing
		td_conn_close(link->conn);
	}
}

static struct td_link_pending *pending_find(struct td_link *link, uint64_t id)
{
	for (int i = 0; i < TD_LINK_PENDING_MAX; i++)
		if (link->pending[i].id == id)
			return &link->pending[i];
	return NULL;
}

// What is asked: a frame, a descriptor beside it (-1: none), and the rest of it where that is
// packed already.
struct question {
	Tandem__Frame *frame;
	int fd;
	const uint8_t *rest;
	size_t rest_len;
	uint64_t patience_ms;
};

static int ask(
	struct td_link *link, const struct question *q, td_link_answer answer, void *user)
{
	if (!link->connected || link->conn->closing)
		return -ENOTCONN;
	struct td_link_pending *pending = pending_find(link, 0);
	if (!pending)
		return -ENOBUFS;
	q->frame->version = 1;
	q->frame->id = ++link->next_id;
	int rc = q->fd < 0 ? td_conn_send_packed(link->conn, q->frame, q->rest, q->rest_len)
			   : td_conn_send_fd(link->conn, q->frame, q->fd);
	if (rc == 0)
		*pending = (struct td_link_pending){ .id = q->frame->id,
			.deadline_ms = uv_now(link->loop) + q->patience_ms,
			.bulk = q->fd >= 0,
			.answer = answer,
			.user = user };
	return rc == -EPIPE ? -ENOTCONN : rc;
}

int td_link_ask_fd(
	struct td_link *link, Tandem__Frame *frame, int fd, td_link_answer answer, void *user)
{
	struct question q = { frame, fd, NULL, 0,
		(fd < 0 ? 1 : 6) * (uint64_t)TD_LINK_PATIENCE_MS };

	return ask(link, &q, answer, user);
}

int td_link_ask(struct td_link *link, Tandem__Frame *frame, td_link_answer answer, void *user)
{
	return td_link_ask_fd(link, frame, -1, answer, user);
}

// --- policy ---

int td_link_push(struct td_link *link, const struct td_resolved_policy *policy,
	td_link_answer answer, void *user)
{
	Tandem__Frame head = TANDEM__FRAME__INIT;
	struct question q = { &head, -1, policy->frame, policy->frame_len, TD_LINK_PATIENCE_MS };

	return ask(link, &q, answer, user);
}

static void on_pushed(void *user, const Tandem__Frame *frame, int error)
{
	struct td_link *link = user;

	if (frame && frame->body_case == TANDEM__FRAME__BODY_DONE) {
		link->in_sync = true;
		link->refusal[0] = '\0';
		td_log(TD_LOG_INFO, "dataplane.in_sync", "generation=%016" PRIx64,
			link->policy->conf.generation);
		tell(link, TD_EVENT_POLICY, "dataplane", "in_sync",
			"the data plane has the policy in force");
		return;
	}
	if (frame && frame->body_case == TANDEM__FRAME__BODY_ERROR) {
		snprintf(link->refusal, sizeof(link->refusal), "%s", frame->error->text);
		td_log(TD_LOG_ERROR, "dataplane.refused_policy",
			"generation=%016" PRIx64 " reason=\"%s\"", link->policy->conf.generation,
			link->refusal);
		tell(link, TD_EVENT_POLICY, "dataplane", "refused", link->refusal);
		return;
	}
	td_log(TD_LOG_WARNING, "dataplane.silent", "reason=\"%s\"", strerror(-error));
	td_link_doubt(link);
}

// Sends the policy that the data plane shall have. What cannot even be sent is told like a refusal,
// or it would be tried without end and without a word.
static void policy_send(struct td_link *link)
{
	int rc = td_link_push(link, link->policy, on_pushed, link);

	if (rc == 0 || rc == -ENOTCONN)
		return;
	snprintf(link->refusal, sizeof(link->refusal), "the policy could not be sent: %s",
		strerror(-rc));
	td_log(TD_LOG_ERROR, "dataplane.refused_policy", "generation=%016" PRIx64 " reason=\"%s\"",
		link->policy->conf.generation, link->refusal);
}

void td_link_doubt(struct td_link *link)
{
	if (link->conn)
		td_conn_close(link->conn);
}

bool td_link_answers(const struct td_link *link)
{
	return link->connected && !link->silent;
}

const char *td_link_lacking(const struct td_link *link)
{
	if (link->silent)
		return "tandem-dataplane is there, but does not answer: it hangs or was stopped";
	if (!link->connected)
		return "tandem-dataplane is not connected: where it does not run, no call is "
		       "carried";
	if (!link->in_sync)
		return link->refusal[0] ? link->refusal
					: "the data plane has not taken the policy yet";
	return NULL;
}

void td_link_set_policy(
	struct td_link *link, const struct td_resolved_policy *policy, bool in_force)
{
	link->policy = policy;
	link->in_sync = in_force;
	if (!in_force && link->connected)
		policy_send(link);
}

static void hello_take(struct td_link *link, const Tandem__Hello *hello)
{
	td_log(TD_LOG_INFO, "dataplane.connected",
		"epoch=%u software=\"%s\" generation=%016" PRIx64, hello->epoch, hello->software,
		hello->policy_generation);
	link->connected = true;
	tell(link, TD_EVENT_DATAPLANE, "dataplane", "connected", hello->software);
	link->epoch = hello->epoch;
	link->backoff_ms = BACKOFF_MIN_MS;
	if (link->plans)
		td_plan_store_hello(link->plans, hello);
	link->in_sync = hello->policy_generation == link->policy->conf.generation;
	if (link->in_sync)
		td_log(TD_LOG_INFO, "dataplane.in_sync", "generation=%016" PRIx64 " pushed=no",
			hello->policy_generation);
	else
		policy_send(link);
	if (link->watcher.hello)
		link->watcher.hello(link->watcher.user, hello);
}

// --- connection ---

static void on_frame(struct td_conn *conn, const Tandem__Frame *frame)
{
	struct td_link *link = conn->data;

	silent_set(link, false);
	if (frame->body_case == TANDEM__FRAME__BODY_HELLO && !link->connected)
		hello_take(link, frame->hello);
	else if (frame->id != 0)
		answer_take(link, frame);
}

static void on_conn_closed(struct td_conn *conn)
{
	struct td_link *link = conn->data;

	bool ending = uv_is_closing((uv_handle_t *)&link->retry);

	if (link->connected && !ending) {
		td_log(TD_LOG_WARNING, "dataplane.lost", "epoch=%u", link->epoch);
		tell(link, TD_EVENT_DATAPLANE, "dataplane", "lost", "the connection ended");
	}
	if (link->connected && link->watcher.lost)
		link->watcher.lost(link->watcher.user);
	link->conn = NULL;
	link->connected = false;
	link->in_sync = false;
	pending_fail_all(link, -ECONNRESET);
	if (!ending)
		uv_timer_start(&link->retry, on_retry, link->backoff_ms, 0);
	link->backoff_ms =
		2 * link->backoff_ms < BACKOFF_MAX_MS ? 2 * link->backoff_ms : BACKOFF_MAX_MS;
}

static const struct td_conn_user link_user = { .frame = on_frame, .closed = on_conn_closed };

static void hello_send(struct td_link *link)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Hello hello = TANDEM__HELLO__INIT;
	char role[] = "control", software[] = "tandem-control " TANDEM_VERSION;

	frame.version = 1;
	frame.body_case = TANDEM__FRAME__BODY_HELLO;
	frame.hello = &hello;
	hello.role = role;
	hello.software = software;
	hello.policy_generation = link->policy->conf.generation;
	td_conn_send(link->conn, &frame);
}

static void on_connected(uv_connect_t *request, int status)
{
	struct td_link *link = request->data;

	if (status == UV_ENOENT || status == UV_ECONNREFUSED)
		silent_set(link, false); // nobody is there
	if (status == 0 && td_conn_start(link->conn) == 0)
		hello_send(link);
	else if (status != UV_ECANCELED)
		td_conn_close(link->conn);
}

static void connect_begin(struct td_link *link)
{
	link->conn = td_conn_new(link->loop, &link_user, link, TD_FRAME_MAX, OUT_MAX);
	if (!link->conn) {
		uv_timer_start(&link->retry, on_retry, BACKOFF_MAX_MS, 0);
		return;
	}
	link->request.data = link;
	link->hello_ms = uv_now(link->loop) + HELLO_MS;
	uv_pipe_connect(&link->request, &link->conn->pipe, link->path, on_connected);
}

int td_link_start(struct td_link *link, uv_loop_t *loop, const char *path,
	const struct td_resolved_policy *policy)
{
	link->loop = loop;
	link->policy = policy;
	link->backoff_ms = BACKOFF_MIN_MS;
	if ((size_t)snprintf(link->path, sizeof(link->path), "%s", path) >= sizeof(link->path))
		return -ENAMETOOLONG;
	uv_timer_init(loop, &link->retry);
	uv_timer_init(loop, &link->watch);
	link->retry.data = link;
	link->watch.data = link;
	uv_timer_start(&link->watch, on_watch, TD_LINK_WATCH_MS, TD_LINK_WATCH_MS);
	connect_begin(link);
	return 0;
}

void td_link_stop(struct td_link *link)
{
	uv_close((uv_handle_t *)&link->retry, NULL);
	uv_close((uv_handle_t *)&link->watch, NULL);
	if (link->conn)
		td_conn_close(link->conn);
}
