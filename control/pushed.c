// SPDX-License-Identifier: BSD-3-Clause
#include "control/pushed.h"

#include "control/control.h"
#include "control/log.h"
#include "control/policy_file.h"
#include "sip/policy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define GATHER_MS 50  // answers come in groups
#define APART_MS 1000 // between two pushes for names
#define AGAIN_MS 5000 // after one that was refused
#define BUSY_MS 200   // while another change is under way

struct push {
	struct td_pushed *pushed;
	uint64_t serial;
	struct td_resolved_policy policy;
	td_pushed_done done; // NULL: for names alone
	void *user;
};

static void on_timer(uv_timer_t *timer);

static const struct td_dns_answer *answer_find(void *ctx, const struct td_host_conf *host)
{
	const struct td_dns_name *name = td_dns_names_find(ctx, host->name, host->port);

	return name ? &name->answer : NULL;
}

static int resolve(
	struct td_pushed *pushed, const struct td_policy_conf *conf, struct td_resolved_policy *out)
{
	uint32_t left_out = 0;
	int rc = td_policy_resolve(
		conf, pushed->control->conf, answer_find, &pushed->control->names, out, &left_out);

	if (left_out > 0)
		td_log(TD_LOG_WARNING, "dns.left_out",
			"addresses=%u reason=\"a trunk has at most %d peers\"", left_out,
			TD_PEERS_MAX);
	return rc;
}

// --- sources that two trunks have ---

struct losing {
	struct td_pushed *pushed;
	uint32_t n;
	char names[TD_PUSHED_LOST_MAX][TD_NAME_LEN];
};

static void on_source_lost(void *ctx, const struct td_trunk *trunk, const struct td_trunk *keeper,
	const struct td_sockaddr *address)
{
	struct losing *losing = ctx;
	char ip[TD_ADDR_STRLEN];

	for (uint32_t i = 0; i < losing->n; i++)
		if (strcmp(losing->names[i], trunk->conf.name) == 0)
			return;
	if (losing->n == TD_PUSHED_LOST_MAX)
		return;
	memcpy(losing->names[losing->n++], trunk->conf.name, TD_NAME_LEN);
	td_ip_format(address, false, ip, sizeof(ip));
	td_alarm_raise(&losing->pushed->control->alarms, TD_WARNING, "dns.ambiguous",
		trunk->conf.name, "give one of them sources, or a match that tells them apart",
		"dns: %s, which a host of trunk %s has, is a source of trunk %s too: what comes "
		"from it is %s's",
		ip, trunk->conf.name, keeper->conf.name, keeper->conf.name);
}

static void sources_check(struct td_pushed *pushed)
{
	struct losing losing = { .pushed = pushed };
	struct td_policy_conf conf = { .n_trunks = pushed->policy.conf.n_trunks,
		.trunks = pushed->policy.conf.trunks };
	struct td_policy_env env;
	char error[160];

	if (!pushed->policy.trunks && pushed->n_lost == 0)
		return;
	td_config_policy_env(pushed->control->conf, &env);
	env.source_lost = on_source_lost;
	env.source_ctx = &losing;
	td_policy_free(td_policy_new(&conf, &env, error, sizeof(error)));
	for (uint32_t i = 0; i < pushed->n_lost; i++) {
		bool still = false;
		for (uint32_t k = 0; k < losing.n; k++)
			still |= strcmp(losing.names[k], pushed->lost[i]) == 0;
		if (!still)
			td_alarm_clear(&pushed->control->alarms, "dns.ambiguous", pushed->lost[i]);
	}
	memcpy(pushed->lost, losing.names, sizeof(losing.names));
	pushed->n_lost = losing.n;
}

// --- into force ---

static void file_write(const struct td_pushed *pushed)
{
	const char *state_dir = pushed->control->conf->state_dir;
	int rc = td_policy_file_write(state_dir, &pushed->policy.conf);

	if (rc != 0)
		td_log(TD_LOG_WARNING, "policy.not_saved", "state_dir=%s error=\"%s\"", state_dir,
			strerror(-rc));
}

static void policy_take(struct td_pushed *pushed, struct td_resolved_policy *policy)
{
	free(pushed->policy.trunks);
	pushed->policy = *policy;
	*policy = (struct td_resolved_policy){ .trunks = NULL };
	file_write(pushed);
	sources_check(pushed);
}

static void push_end(struct push *push, int code, const char *text)
{
	if (push->done)
		push->done(push->user, code, text);
	free(push->policy.trunks);
	free(push);
}

static void push_commit(struct push *push, bool in_force)
{
	struct td_pushed *pushed = push->pushed;

	// Its arrays may be gone with the configuration that came after it.
	if (push->serial < pushed->committed) {
		push_end(push, -ESTALE, "another change came in between");
		return;
	}
	pushed->committed = push->serial;
	policy_take(pushed, &push->policy);
	td_link_set_policy(&pushed->control->link, &pushed->policy.conf, in_force);
	td_dns_names_want(&pushed->control->names, &pushed->policy.conf);
	if (!push->done)
		td_log(TD_LOG_INFO, "policy.resolved", "generation=%016" PRIx64,
			pushed->policy.conf.generation);
	push_end(push, 0, "");
}

static void later(struct td_pushed *pushed, uint64_t ms)
{
	uv_timer_start(&pushed->timer, on_timer, ms, 0);
}

static void push_refused(struct push *push, int code, const char *text)
{
	struct td_pushed *pushed = push->pushed;

	if (!push->done) {
		td_log(TD_LOG_WARNING, "dns.not_pushed", "reason=\"%s\"", text);
		if (!uv_is_closing((uv_handle_t *)&pushed->timer))
			later(pushed, AGAIN_MS);
	}
	push_end(push, code, text);
}

static void push_lost(struct push *push, int error)
{
	td_link_doubt(&push->pushed->control->link);
	push_refused(push, error,
		"the data plane did not say whether it took the policy; it is held to the one "
		"before");
}

static void on_answer(void *user, const Tandem__Frame *frame, int error)
{
	struct push *push = user;

	if (frame && frame->body_case == TANDEM__FRAME__BODY_DONE)
		push_commit(push, true);
	else if (frame && frame->body_case == TANDEM__FRAME__BODY_ERROR)
		push_refused(push, -EINVAL, frame->error->text);
	else
		push_lost(push, error ? error : -EPROTO);
}

static void push_send(struct push *push)
{
	int rc = td_link_push(&push->pushed->control->link, &push->policy.conf, on_answer, push);

	if (rc == -ENOTCONN)
		push_commit(push, false);
	else if (rc != 0)
		push_refused(push, rc, "the policy could not be sent to the data plane");
}

static struct push *push_new(struct td_pushed *pushed, const struct td_policy_conf *conf,
	td_pushed_done done, void *user)
{
	struct push *push = calloc(1, sizeof(*push));

	if (!push)
		return NULL;
	*push = (struct push){
		.pushed = pushed, .serial = ++pushed->serial, .done = done, .user = user
	};
	if (resolve(pushed, conf, &push->policy) == 0)
		return push;
	free(push);
	return NULL;
}

void td_pushed_push(struct td_pushed *pushed, const struct td_policy_conf *conf,
	td_pushed_done done, void *user)
{
	struct push *push = push_new(pushed, conf, done, user);

	if (push)
		push_send(push);
	else
		done(user, -ENOMEM, "no memory");
}

// --- names ---

static void on_timer(uv_timer_t *timer)
{
	struct td_pushed *pushed = timer->data;

	if (pushed->control->reloading) {
		later(pushed, BUSY_MS);
		return;
	}
	struct push *push = push_new(pushed, &pushed->control->conf->policy, NULL, NULL);
	if (!push) {
		later(pushed, AGAIN_MS);
		return;
	}
	if (push->policy.conf.generation == pushed->policy.conf.generation) {
		push_end(push, 0, "");
		return;
	}
	pushed->pushed_ms = uv_now(timer->loop);
	push_send(push);
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

int td_pushed_begin(struct td_pushed *pushed, struct td_control *control, const char **error)
{
	struct td_policy_conf *conf = &control->conf->policy;
	uint64_t before = td_policy_file_generation(control->conf->state_dir);
	struct td_resolved_policy policy;

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
	td_dns_names_want(&control->names, conf);
	if (resolve(pushed, conf, &policy) != 0)
		return -ENOMEM;
	td_log(TD_LOG_INFO, "policy.read",
		"generation=%016" PRIx64 " before=%016" PRIx64 " trunks=%u routes=%u",
		policy.conf.generation, before, conf->n_trunks, conf->n_routes);
	pushed->policy = policy;
	if (before != policy.conf.generation)
		file_write(pushed);
	sources_check(pushed);
	return 0;
}

void td_pushed_stop(struct td_pushed *pushed)
{
	uv_close((uv_handle_t *)&pushed->timer, NULL);
	td_dns_names_stop(&pushed->control->names);
	free(pushed->policy.trunks);
	pushed->policy.trunks = NULL;
}
