// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/policy_apply.h"

#include "dataplane/limit_table.h"
#include "dataplane/log.h"
#include "dataplane/state_file.h"
#include "include/frame.h"
#include "sip/health.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void td_policy_apply_init(struct td_policy_apply *apply, struct td_dataplane *dp,
	struct td_plans *plans, const struct td_policy_codec *codec)
{
	*apply = (struct td_policy_apply){ .dp = dp, .plans = plans, .codec = codec };
	snprintf(apply->path, sizeof(apply->path), "%s/policy.bin", dp->conf.state_dir);
}

// --- names → slots and indices ---

static uint32_t slot_of(void *ctx, enum td_limit_kind kind, const char *name)
{
	struct td_dataplane *dp = ctx;

	return td_limit_slot(dp->limits, kind, name);
}

static int realm_of(void *ctx, const char *realm_name)
{
	const struct td_dataplane *dp = ctx;

	for (uint8_t i = 0; i < dp->conf.n_realms; i++)
		if (strcmp(dp->conf.realms[i].name, realm_name) == 0)
			return i;
	return -1;
}

static const char *registrar_realm(void *ctx, uint16_t realm)
{
	const struct td_dataplane *dp = ctx;
	const struct td_realm_conf *conf = &dp->conf.realms[realm];

	return conf->registrar.n_domains > 0 ? conf->name : NULL;
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct name_list {
	const char **names;
	uint32_t n;
};

static bool name_listed(void *ctx, const char *name)
{
	const struct name_list *list = ctx;

	return bsearch(&name, list->names, list->n, sizeof(*list->names), name_compare);
}

// The name of a kind's place in the policy in force; NULL: that was the last one.
static const char *name_at(const struct td_policy *policy, enum td_limit_kind kind, uint32_t i)
{
	if (kind == TD_LIMIT_TRUNK)
		return i < td_policy_n_trunks(policy) ? td_policy_trunk(policy, i)->conf.name
						      : NULL;
	const struct td_policy_limit *limit = td_policy_limit(policy, kind, (uint16_t)(i + 1));
	return limit ? limit->name : NULL;
}

// Gives the slots of names that are gone to others. Only when no worker holds an older policy.
static void slots_sweep(struct td_policy_apply *apply, enum td_limit_kind kind)
{
	struct name_list list = { 0 };

	while (name_at(apply->current, kind, list.n))
		list.n++;
	list.names = calloc(list.n + 1, sizeof(*list.names));
	if (!list.names)
		return;
	for (uint32_t i = 0; i < list.n; i++)
		list.names[i] = name_at(apply->current, kind, i);
	qsort(list.names, list.n, sizeof(*list.names), name_compare);
	td_limit_sweep(apply->dp->limits, kind, name_listed, &list);
	free(list.names);
}

// --- publish and retire ---

static void lent_free(struct td_policy_lent *lent)
{
	td_policy_free(lent->policy);
	for (uint32_t i = 0; i < lent->n_plans; i++)
		td_plan_put(lent->plans[i]);
	free(lent->plans);
	*lent = (struct td_policy_lent){ 0 };
}

static int lent_make(struct td_policy_apply *apply, const struct td_policy_conf *conf,
	struct td_policy_lent *out, char *error, size_t cap)
{
	const struct td_route_image *images[TD_PLANS_MAX];
	struct td_policy_env env = { .slot_of = slot_of,
		.realm_of = realm_of,
		.ctx = apply->dp,
		.registrar_realm = registrar_realm,
		.n_realms = apply->dp->conf.n_realms,
		.plans = images };

	*out = (struct td_policy_lent){ .plans = calloc(TD_PLANS_MAX, sizeof(*out->plans)) };
	for (; out->plans && env.n_plans < apply->plans->n; env.n_plans++) {
		struct td_plan *plan = apply->plans->table[env.n_plans];
		plan->refs++;
		out->plans[out->n_plans++] = plan;
		images[env.n_plans] = &plan->image;
	}
	out->policy = out->plans ? td_policy_new(conf, &env, error, cap) : NULL;
	if (out->policy)
		return 0;
	lent_free(out);
	return -EINVAL;
}

static int publish(
	struct td_policy_apply *apply, const struct td_policy_conf *conf, char *error, size_t cap)
{
	struct td_policy_lent fresh;

	if (apply->n_retired == TD_POLICY_RETIRED_MAX) {
		snprintf(error, cap, "workers have not taken the last policies yet");
		return -EAGAIN;
	}
	if (lent_make(apply, conf, &fresh, error, cap) < 0)
		return -EINVAL;
	td_health_follow(apply->dp->health, fresh.policy);
	apply->current = fresh.policy;
	atomic_store_explicit(&apply->dp->policy, fresh.policy, memory_order_release);
	if (apply->lent.policy)
		apply->retired[apply->n_retired++] = (struct td_policy_retired){ apply->lent,
			rte_rcu_qsbr_start(apply->dp->qsbr) };
	apply->lent = fresh;
	return 0;
}

// Has a worker that slept through its grace period still to leave that policy? It looks at it once
// more when it takes the next one.
static bool is_held(const struct td_dataplane *dp, const struct td_policy *policy)
{
	for (uint16_t i = 0; i < dp->n_workers; i++)
		if (atomic_load_explicit(&dp->workers[i]->policy, memory_order_acquire) == policy)
			return true;
	return false;
}

static bool is_over(const struct td_policy_apply *apply, const struct td_policy_retired *retired)
{
	return rte_rcu_qsbr_check(apply->dp->qsbr, retired->token, false) == 1 &&
	       !is_held(apply->dp, retired->lent.policy);
}

void td_policy_apply_collect(struct td_policy_apply *apply)
{
	uint32_t done = 0;

	// Grace periods end in the order in which they began.
	while (done < apply->n_retired && is_over(apply, &apply->retired[done]))
		lent_free(&apply->retired[done++].lent);
	if (done == 0)
		return;
	apply->n_retired -= done;
	memmove(apply->retired, apply->retired + done,
		apply->n_retired * sizeof(apply->retired[0]));
	if (apply->n_retired > 0)
		return;
	for (int kind = TD_LIMIT_TRUNK; kind < TD_LIMIT__KINDS; kind++)
		slots_sweep(apply, (enum td_limit_kind)kind);
	td_health_sweep(apply->dp->health, apply->current);
}

void td_policy_apply_fini(struct td_policy_apply *apply)
{
	for (uint32_t i = 0; i < apply->n_retired; i++)
		lent_free(&apply->retired[i].lent);
	lent_free(&apply->lent);
	apply->codec->free(apply->conf);
	apply->conf = NULL;
	apply->n_retired = 0;
	apply->current = NULL;
}

// --- where policies come from ---

// conf is taken: kept where it is in force, else freed.
static int publish_taken(
	struct td_policy_apply *apply, struct td_policy_conf *conf, char *error, size_t cap)
{
	int rc = publish(apply, conf, error, cap);
	struct td_policy_conf *gone = rc == 0 ? apply->conf : conf;

	if (rc == 0)
		apply->conf = conf;
	apply->codec->free(gone);
	return rc;
}

int td_policy_apply_again(struct td_policy_apply *apply, char *error, size_t cap)
{
	return apply->conf ? publish(apply, apply->conf, error, cap) : 0;
}

int td_policy_apply_check(struct td_policy_apply *apply, char *error, size_t cap)
{
	struct td_policy_lent trial;

	if (!apply->conf)
		return 0;
	int rc = lent_make(apply, apply->conf, &trial, error, cap);
	if (rc == 0)
		lent_free(&trial);
	return rc;
}

int td_policy_apply_saved(struct td_policy_apply *apply, char *error, size_t cap)
{
	const char *why = NULL;
	void *bytes = NULL;
	size_t len = 0;
	int rc = td_state_file_read(apply->path, TD_FRAME_MAX, &bytes, &len);

	if (rc < 0) {
		snprintf(error, cap, "%s: %s", apply->path, strerror(-rc));
		return rc;
	}
	struct td_policy_conf *conf = apply->codec->unpack(bytes, len, &why);
	free(bytes);
	if (!conf) {
		snprintf(error, cap, "%s: %s", apply->path, why);
		return -EINVAL;
	}
	return publish_taken(apply, conf, error, cap);
}

static void save(struct td_policy_apply *apply, const struct td_policy_conf *conf)
{
	size_t len = 0;
	uint8_t *bytes = apply->codec->pack(conf, &len);
	int rc = bytes ? td_state_file_write(apply->path, bytes, len) : -ENOMEM;

	// The policy is in force all the same; control pushes it again after a restart.
	if (rc < 0)
		td_log(TD_LOG_WARNING, "policy.not_kept", "path=%s reason=\"%s\"", apply->path,
			strerror(-rc));
	free(bytes);
}

int td_policy_apply_push(
	struct td_policy_apply *apply, const Tandem__Policy *policy, char *error, size_t cap)
{
	const char *why = NULL;
	struct td_policy_conf *conf = apply->codec->from_pb(policy, &why);

	if (!conf) {
		snprintf(error, cap, "%s", why);
		return -EINVAL;
	}
	int rc = publish_taken(apply, conf, error, cap);
	if (rc == 0)
		save(apply, apply->conf);
	return rc;
}
