// SPDX-License-Identifier: BSD-3-Clause
// The limits of groups and those that routes share, with the slots that all workers count them in.
#include "sip/policy_priv.h"

#include <stdlib.h>

static uint32_t n_of(const struct td_policy *policy, enum td_limit_kind kind)
{
	return kind == TD_LIMIT_GROUP   ? policy->routes.n_groups
	       : kind == TD_LIMIT_ROUTE ? policy->routes.n_limits
					: 0;
}

static int kind_compile(struct td_policy *policy, enum td_limit_kind kind,
	const struct td_policy_env *env, struct policy_error *error)
{
	struct routes *r = &policy->routes;
	uint32_t n = n_of(policy, kind);
	struct td_policy_limit *shared = calloc(n + 1, sizeof(*shared));

	r->shared[kind] = shared;
	if (!shared)
		return policy_no_memory(error);
	for (uint32_t i = 0; i < n; i++) {
		bool group = kind == TD_LIMIT_GROUP;
		shared[i].name = group ? r->group_confs[i].name : r->limits[i].name;
		shared[i].limit = group ? r->group_confs[i].limit : r->limits[i].limit;
		shared[i].slot = env->slot_of(env->ctx, kind, shared[i].name);
	}
	return 0;
}

int limits_compile(struct td_policy *policy, const struct td_policy_env *env,
	struct policy_error *error)
{
	int rc = kind_compile(policy, TD_LIMIT_GROUP, env, error);

	return rc == 0 ? kind_compile(policy, TD_LIMIT_ROUTE, env, error) : rc;
}

const struct td_policy_limit *td_policy_limit(
	const struct td_policy *policy, enum td_limit_kind kind, uint16_t index)
{
	return index > 0 && index <= n_of(policy, kind) ? &policy->routes.shared[kind][index - 1]
							: NULL;
}

const struct td_policy_limit *td_policy_limit_of_slot(
	const struct td_policy *policy, enum td_limit_kind kind, uint32_t slot)
{
	for (uint32_t i = 0; i < n_of(policy, kind); i++)
		if (policy->routes.shared[kind][i].slot == slot)
			return &policy->routes.shared[kind][i];
	return NULL;
}
