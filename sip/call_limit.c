// SPDX-License-Identifier: BSD-3-Clause
// The limits that a call is counted against and that all workers share: of the whole switch, of
// trunks, and of the group and the route that its target stands for. An emergency call is counted
// and passes.
#include "sip/call_priv.h"

#include <errno.h>

static const struct {
	enum td_counter calls, cps;
} refused[TD_LIMIT__KINDS] = {
	[TD_LIMIT_WHOLE] = { TD_C_SIP_LIMIT_CALLS, TD_C_SIP_LIMIT_CPS },
	[TD_LIMIT_TRUNK] = { TD_C_SIP_TRUNK_CALLS, TD_C_SIP_TRUNK_CPS },
	[TD_LIMIT_GROUP] = { TD_C_SIP_GROUP_CALLS, TD_C_SIP_GROUP_CPS },
	[TD_LIMIT_ROUTE] = { TD_C_SIP_ROUTE_CALLS, TD_C_SIP_ROUTE_CPS },
};

int limit_acquire(struct td_engine *engine, enum td_limit_kind kind, uint32_t slot,
	const struct td_limit *limit, bool limits, bool new_call)
{
	struct td_limit asked = { 0 };

	if (limits)
		asked = *limit;
	if (!new_call)
		asked.max_cps = 0;
	int rc = engine->conf.ops->limit_acquire(
		engine->conf.host, kind, slot, &asked, engine->now_ns);
	if (rc != 0)
		td_engine_count(engine, rc == -EAGAIN ? refused[kind].cps : refused[kind].calls);
	return rc;
}

void limit_expect(const struct td_engine *engine, enum td_limit_kind kind, uint32_t slot)
{
	if (engine->conf.ops->limit_expect)
		engine->conf.ops->limit_expect(engine->conf.host, kind, slot);
}

void limit_release(
	struct td_engine *engine, enum td_limit_kind kind, uint32_t slot, bool fresh)
{
	const struct td_host_ops *ops = engine->conf.ops;

	if (fresh && ops->limit_cancel)
		ops->limit_cancel(engine->conf.host, kind, slot);
	else
		ops->limit_release(engine->conf.host, kind, slot);
}

uint16_t limit_cause(int rc)
{
	return rc == -EAGAIN ? CAUSE_CONGESTION : CAUSE_NO_CIRCUIT;
}

// --- of the whole switch

int call_limits_acquire(struct td_call *call)
{
	const struct td_policy_conf *conf = td_policy_limits(call->engine->policy);
	struct td_limit limit = { conf->max_calls, conf->max_cps, conf->cps_burst };
	int rc = limit_acquire(call->engine, TD_LIMIT_WHOLE, 0, &limit, !call->emergency, true);

	call->counted = rc == 0;
	return rc;
}

// --- of groups and routes

static void shared_release(
	struct td_call *call, enum td_limit_kind kind, struct td_held_limit *held)
{
	if (held->held)
		limit_release(call->engine, kind, held->slot, held->fresh);
	held->held = false;
}

void call_limits_used(struct td_call *call)
{
	call->group.fresh = call->route.fresh = false;
}

void call_limits_release(struct td_call *call)
{
	shared_release(call, TD_LIMIT_GROUP, &call->group);
	shared_release(call, TD_LIMIT_ROUTE, &call->route);
	if (call->counted)
		limit_release(call->engine, TD_LIMIT_WHOLE, 0, false);
	call->counted = false;
}

struct td_limit_ref limit_ref(
	const struct td_policy *policy, enum td_limit_kind kind, uint16_t index)
{
	const struct td_policy_limit *limit = td_policy_limit(policy, kind, index);

	return limit ? (struct td_limit_ref){ limit->slot, index } : (struct td_limit_ref){ 0 };
}

// NULL: a reload has taken it away.
static const struct td_policy_limit *limit_find(
	const struct td_policy *policy, enum td_limit_kind kind, const struct td_limit_ref *ref)
{
	const struct td_policy_limit *limit = td_policy_limit(policy, kind, ref->index);

	return limit && limit->slot == ref->slot ? limit
						 : td_policy_limit_of_slot(policy, kind, ref->slot);
}

// The call is counted once, however many targets of the same group it tries.
static int shared_move(struct td_call *call, enum td_limit_kind kind, struct td_held_limit *held,
	const struct td_limit_ref *ref)
{
	const struct td_policy *policy = call->engine->policy;

	if (ref->index > 0 && held->held && held->slot == ref->slot)
		return 0;
	shared_release(call, kind, held);
	const struct td_policy_limit *limit =
		ref->index > 0 && policy ? limit_find(policy, kind, ref) : NULL;
	if (!limit)
		return 0;
	bool limits = !call->emergency, new_call = call->n_attempts == 0;
	int rc = limit_acquire(
		call->engine, kind, ref->slot, &limit->limit, limits, new_call);
	held->slot = ref->slot;
	held->held = rc == 0;
	held->fresh = limits && new_call && limit->limit.max_cps > 0;
	return rc;
}

int call_limits_move(struct td_call *call, const struct td_call_target *target)
{
	int rc = shared_move(call, TD_LIMIT_ROUTE, &call->route, &target->limit);

	return rc == 0 ? shared_move(call, TD_LIMIT_GROUP, &call->group, &target->group) : rc;
}
