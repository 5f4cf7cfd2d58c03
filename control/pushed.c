// SPDX-License-Identifier: BSD-3-Clause
#include "control/pushed.h"

#include "control/control.h"
#include "control/dns_answers.h"
#include "control/log.h"
#include "control/policy_file.h"
#include "control/state_file.h"
#include "sip/policy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define GATHER_MS 50  // answers come in groups
#define APART_MS 1000 // between two pushes for names
#define AGAIN_MS 5000 // after one that was refused
#define BUSY_MS 200   // while another change is under way

struct td_push {
	uv_work_t work;
	struct td_pushed *pushed;
	struct td_pushed_wish wish;
	struct td_dns_answers *answers; // as they were when it began
	struct td_policy_env env;
	struct td_resolved_policy policy; // then, when it is in force, the one before
	uint32_t left_out; // addresses that found no room
	uint32_t n_lost;   // with the names as they are now
	struct td_pushed_lost lost[TD_PUSHED_LOST_MAX];
	int rc; // of what a thread did
};

static void on_timer(uv_timer_t *timer);

// --- sources that two trunks have ---

static void on_source_lost(void *ctx, const struct td_trunk *trunk, const struct td_trunk *keeper,
	const struct td_sockaddr *address)
{
	struct td_push *push = ctx;

	for (uint32_t i = 0; i < push->n_lost; i++)
		if (strcmp(push->lost[i].trunk, trunk->conf.name) == 0)
			return;
	if (push->n_lost == TD_PUSHED_LOST_MAX)
		return;
	struct td_pushed_lost *lost = &push->lost[push->n_lost++];
	memcpy(lost->trunk, trunk->conf.name, TD_NAME_LEN);
	memcpy(lost->keeper, keeper->conf.name, TD_NAME_LEN);
	td_ip_format(address, false, lost->ip, sizeof(lost->ip));
}

// Any thread. The file's own addresses were looked at when it was read.
static void sources_find(struct td_push *push)
{
	struct td_policy_conf conf = { .n_trunks = push->policy.conf.n_trunks,
		.trunks = push->policy.conf.trunks };
	char error[160];

	push->env.source_lost = on_source_lost;
	push->env.source_ctx = push;
	if (push->policy.trunks)
		td_policy_free(td_policy_new(&conf, &push->env, error, sizeof(error)));
}

static bool is_lost(const struct td_push *push, const char *trunk)
{
	for (uint32_t i = 0; i < push->n_lost; i++)
		if (strcmp(push->lost[i].trunk, trunk) == 0)
			return true;
	return false;
}

static void sources_tell(struct td_pushed *pushed, const struct td_push *push)
{
	struct td_alarms *alarms = &pushed->control->alarms;

	for (uint32_t i = 0; i < push->n_lost; i++) {
		const struct td_pushed_lost *lost = &push->lost[i];
		td_alarm_raise(alarms, TD_WARNING, "dns.ambiguous", lost->trunk,
			"give one of them sources, or a match that tells them apart",
			"dns: %s, which a host of trunk %s has, is a source of trunk %s too: what "
			"comes from it is %s's",
			lost->ip, lost->trunk, lost->keeper, lost->keeper);
	}
	for (uint32_t i = 0; i < pushed->n_lost; i++)
		if (!is_lost(push, pushed->lost[i].trunk))
			td_alarm_clear(alarms, "dns.ambiguous", pushed->lost[i].trunk);
	memcpy(pushed->lost, push->lost, sizeof(push->lost));
	pushed->n_lost = push->n_lost;
}

// --- on a thread of the pool ---

static void work_seal(uv_work_t *work)
{
	struct td_push *push = work->data;

	push->rc = td_policy_resolve(push->wish.conf, push->pushed->control->conf,
		td_dns_answers_find, push->answers, &push->policy, &push->left_out);
	if (push->rc == 0)
		push->rc = td_policy_seal(&push->policy);
	if (push->rc == 0)
		sources_find(push);
}

static void left_out_tell(const struct td_push *push)
{
	if (push->left_out > 0)
		td_log(TD_LOG_WARNING, "dns.left_out",
			"addresses=%u reason=\"a trunk has at most %d peers\"", push->left_out,
			TD_PEERS_MAX);
}

// The policy in force stays as it is until this push has ended.
static int file_write(const struct td_pushed *pushed)
{
	const struct td_resolved_policy *policy = &pushed->policy;

	return td_state_write(pushed->control->conf->state_dir, TD_POLICY_FILE,
		policy->frame + policy->frame_len - policy->policy_len, policy->policy_len);
}

static void work_write(uv_work_t *work)
{
	struct td_push *push = work->data;

	push->rc = file_write(push->pushed);
	td_resolved_policy_fini(&push->policy);
}

static void file_written(const struct td_pushed *pushed, int rc)
{
	if (rc != 0)
		td_log(TD_LOG_WARNING, "policy.not_saved", "state_dir=%s error=\"%s\"",
			pushed->control->conf->state_dir, strerror(-rc));
}

// --- one push ---

static void wish_begin(struct td_pushed *pushed, const struct td_pushed_wish *wish);

static void wish_done(const struct td_pushed_wish *wish, int code, const char *text)
{
	if (wish->done)
		wish->done(wish->user, code, text);
}

static void push_free(struct td_push *push)
{
	td_dns_answers_free(push->answers);
	td_resolved_policy_fini(&push->policy);
	free(push);
}

// The next one may begin.
static void flight_end(struct td_push *push)
{
	struct td_pushed *pushed = push->pushed;
	struct td_pushed_wish next = pushed->waiting;

	push_free(push);
	pushed->flight = NULL;
	pushed->waiting.conf = NULL;
	if (pushed->stopping)
		td_resolved_policy_fini(&pushed->policy);
	else if (next.conf)
		wish_begin(pushed, &next);
}

static void after_write(uv_work_t *work, int status)
{
	struct td_push *push = work->data;

	file_written(push->pushed, push->rc);
	flight_end(push);
}

static void push_commit(struct td_push *push, bool in_force)
{
	struct td_pushed *pushed = push->pushed;
	struct td_control *control = pushed->control;
	struct td_resolved_policy before = pushed->policy;

	pushed->policy = push->policy;
	push->policy = before;
	sources_tell(pushed, push);
	td_link_set_policy(&control->link, &pushed->policy, in_force);
	td_dns_names_want(&control->names, &pushed->policy.conf);
	if (!push->wish.done)
		td_log(TD_LOG_INFO, "policy.resolved", "generation=%016" PRIx64,
			pushed->policy.conf.generation);
	wish_done(&push->wish, 0, "");
	if (uv_queue_work(&control->loop, &push->work, work_write, after_write) == 0)
		return;
	file_written(pushed, -ENOMEM);
	flight_end(push);
}

static void later(struct td_pushed *pushed, uint64_t ms)
{
	uv_timer_start(&pushed->timer, on_timer, ms, 0);
}

static void push_refused(struct td_push *push, int code, const char *text)
{
	struct td_pushed *pushed = push->pushed;

	if (!push->wish.done && !pushed->stopping) {
		td_log(TD_LOG_WARNING, "dns.not_pushed", "reason=\"%s\"", text);
		later(pushed, AGAIN_MS);
	}
	wish_done(&push->wish, code, text);
	flight_end(push);
}

static void push_lost(struct td_push *push, int error)
{
	td_link_doubt(&push->pushed->control->link);
	push_refused(push, error,
		"the data plane did not say whether it took the policy; it is held to the one "
		"before");
}

static void on_answer(void *user, const Tandem__Frame *frame, int error)
{
	struct td_push *push = user;

	if (frame && frame->body_case == TANDEM__FRAME__BODY_DONE)
		push_commit(push, true);
	else if (frame && frame->body_case == TANDEM__FRAME__BODY_ERROR)
		push_refused(push, -EINVAL, frame->error->text);
	else
		push_lost(push, error ? error : -EPROTO);
}

static void push_send(struct td_push *push)
{
	struct td_pushed *pushed = push->pushed;

	if (!push->wish.done)
		pushed->pushed_ms = uv_now(pushed->timer.loop);
	int rc = td_link_push(&pushed->control->link, &push->policy, on_answer, push);
	if (rc == -ENOTCONN)
		push_commit(push, false);
	else if (rc != 0)
		push_refused(push, rc, "the policy could not be sent to the data plane");
}

static void after_seal(uv_work_t *work, int status)
{
	struct td_push *push = work->data;
	const struct td_pushed *pushed = push->pushed;

	left_out_tell(push);
	if (pushed->stopping)
		push_refused(push, -ECANCELED, "tandem-control ends");
	else if (push->rc != 0)
		push_refused(push, push->rc, "no memory");
	else if (!push->wish.done &&
		 push->policy.conf.generation == pushed->policy.conf.generation)
		flight_end(push);
	else
		push_send(push);
}

static struct td_push *push_new(struct td_pushed *pushed, const struct td_pushed_wish *wish)
{
	struct td_push *push = calloc(1, sizeof(*push));

	if (!push)
		return NULL;
	*push = (struct td_push){ .pushed = pushed, .wish = *wish };
	push->work.data = push;
	push->answers = td_dns_answers_take(&pushed->control->names);
	td_config_policy_env(pushed->control->conf, &push->env);
	if (push->answers)
		return push;
	free(push);
	return NULL;
}

static void wish_begin(struct td_pushed *pushed, const struct td_pushed_wish *wish)
{
	struct td_push *push = push_new(pushed, wish);

	pushed->flight = push;
	if (push && wish->begin)
		wish->begin(wish->user);
	if (!push && !wish->done)
		later(pushed, AGAIN_MS);
	else if (!push)
		wish_done(wish, -ENOMEM, "no memory");
	else if (uv_queue_work(&pushed->control->loop, &push->work, work_seal, after_seal) != 0)
		push_refused(push, -ENOMEM, "no thread for it");
}

void td_pushed_push(struct td_pushed *pushed, const struct td_pushed_wish *wish)
{
	if (!pushed->flight)
		wish_begin(pushed, wish);
	else if (!pushed->waiting.conf)
		pushed->waiting = *wish;
	else
		wish_done(wish, -EBUSY, "another change is under way");
}

// --- names ---

static void on_timer(uv_timer_t *timer)
{
	struct td_pushed *pushed = timer->data;
	struct td_pushed_wish wish = { .conf = &pushed->control->conf->policy };

	if (pushed->control->reloading || pushed->flight)
		later(pushed, BUSY_MS);
	else
		wish_begin(pushed, &wish);
}

// Some name leads elsewhere now.
static void on_names_changed(void *user)
{
	struct td_pushed *pushed = user;
	uint64_t now_ms = uv_now(pushed->timer.loop), next_ms = pushed->pushed_ms + APART_MS;

	if (!uv_is_active((uv_handle_t *)&pushed->timer))
		later(pushed, pushed->pushed_ms > 0 && next_ms > now_ms + GATHER_MS
				      ? next_ms - now_ms
				      : GATHER_MS);
}

// --- life ---

static int policy_begin(struct td_pushed *pushed)
{
	const struct td_policy_conf *conf = &pushed->control->conf->policy;
	struct td_pushed_wish wish = { .conf = conf };
	uint64_t before = td_policy_file_generation(pushed->control->conf->state_dir);
	struct td_push *push = push_new(pushed, &wish);

	if (push)
		work_seal(&push->work);
	if (!push || push->rc != 0) {
		free(push);
		return -ENOMEM;
	}
	left_out_tell(push);
	pushed->policy = push->policy;
	push->policy = (struct td_resolved_policy){ .trunks = NULL };
	td_log(TD_LOG_INFO, "policy.read",
		"generation=%016" PRIx64 " before=%016" PRIx64 " trunks=%u routes=%u",
		pushed->policy.conf.generation, before, conf->n_trunks, conf->n_routes);
	sources_tell(pushed, push);
	push_free(push);
	if (before != pushed->policy.conf.generation)
		file_written(pushed, file_write(pushed));
	return 0;
}

int td_pushed_begin(struct td_pushed *pushed, struct td_control *control, const char **error)
{
	*error = "no memory";
	pushed->control = control;
	uv_timer_init(&control->loop, &pushed->timer);
	pushed->timer.data = pushed;
	control->names.changed = on_names_changed;
	control->names.user = pushed;
	int rc = td_dns_names_start(&control->names, &control->loop, &control->conf->dns,
		control->conf->state_dir, &control->alarms, error);
	if (rc != 0)
		return rc;
	td_dns_names_want(&control->names, &control->conf->policy);
	return policy_begin(pushed);
}

void td_pushed_stop(struct td_pushed *pushed)
{
	struct td_pushed_wish waiting = pushed->waiting;

	pushed->stopping = true;
	pushed->waiting.conf = NULL;
	uv_close((uv_handle_t *)&pushed->timer, NULL);
	td_dns_names_stop(&pushed->control->names);
	if (waiting.conf)
		wish_done(&waiting, -ECANCELED, "tandem-control ends");
	if (!pushed->flight)
		td_resolved_policy_fini(&pushed->policy);
}
