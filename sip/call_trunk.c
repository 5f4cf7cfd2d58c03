// SPDX-License-Identifier: BSD-3-Clause
// Trunks as calls remember them: by name, since a reload may move or remove them under a call.
#include "sip/call_priv.h"

#include <errno.h>

void trunk_ref_set(struct td_trunk_ref *ref, const struct td_trunk *trunk, uint32_t index)
{
	memcpy(ref->name, trunk->conf.name, sizeof(ref->name));
	ref->index = index;
	ref->realm = trunk->realm;
	ref->slot = trunk->slot;
	ref->trust = trunk->conf.trust;
	ref->held = false;
	ref->credentials = trunk->conf.credentials.realm[0] != '\0';
}

// Trunks of subscribers have one name in all realms.
static bool trunk_is(const struct td_trunk *trunk, const struct td_trunk_ref *ref)
{
	return trunk->realm == ref->realm &&
	       strncmp(trunk->conf.name, ref->name, TD_NAME_LEN) == 0;
}

const struct td_trunk *trunk_ref_find(const struct td_engine *engine, struct td_trunk_ref *ref)
{
	const struct td_policy *policy = engine->policy;

	if (!policy)
		return NULL;
	uint32_t n = td_policy_n_trunks(policy);
	if (ref->index < n && trunk_is(td_policy_trunk(policy, ref->index), ref))
		return td_policy_trunk(policy, ref->index);
	for (uint32_t i = 0; i < n; i++) {
		const struct td_trunk *trunk = td_policy_trunk(policy, i);
		if (trunk_is(trunk, ref)) {
			ref->index = i;
			return trunk;
		}
	}
	return NULL;
}

const struct td_trunk *trunk_ref_challenged(
	const struct td_engine *engine, struct td_trunk_ref *ref)
{
	return ref->credentials ? trunk_ref_find(engine, ref) : NULL;
}

int trunk_ref_acquire(struct td_engine *engine, struct td_trunk_ref *ref,
	const struct td_trunk *trunk, bool limits, bool new_call)
{
	uint32_t max_calls = limits ? trunk->conf.max_calls : 0;
	uint32_t max_cps = limits && new_call ? trunk->conf.max_cps : 0;
	int rc = engine->conf.ops->trunk_acquire(
		engine->conf.host, ref->slot, max_calls, max_cps, engine->now_ns);

	ref->held = rc == 0;
	if (rc != 0)
		td_engine_count(engine, rc == -EAGAIN ? TD_C_SIP_TRUNK_CPS : TD_C_SIP_TRUNK_CALLS);
	return rc;
}

void trunk_ref_release(struct td_engine *engine, struct td_trunk_ref *ref)
{
	if (ref->held)
		engine->conf.ops->trunk_release(engine->conf.host, ref->slot);
	ref->held = false;
}

int call_limits_acquire(struct td_call *call)
{
	struct td_engine *engine = call->engine;
	const struct td_policy_conf *limits = td_policy_limits(engine->policy);

	if (!engine->conf.ops->call_acquire)
		return 0;
	int rc = engine->conf.ops->call_acquire(engine->conf.host,
		call->emergency ? 0 : limits->max_calls, call->emergency ? 0 : limits->max_cps,
		engine->now_ns);
	call->counted = rc == 0;
	if (rc != 0)
		td_engine_count(engine, rc == -EAGAIN ? TD_C_SIP_LIMIT_CPS : TD_C_SIP_LIMIT_CALLS);
	return rc;
}

void call_limits_release(struct td_call *call)
{
	if (call->counted)
		call->engine->conf.ops->call_release(call->engine->conf.host);
	call->counted = false;
}

bool trunk_ref_has(
	const struct td_engine *engine, struct td_trunk_ref *ref, const struct td_sockaddr *address)
{
	return trunk_ref_find(engine, ref) &&
	       td_policy_trunk_has(engine->policy, ref->index, address);
}
