// SPDX-License-Identifier: BSD-3-Clause
// Trunks as calls remember them: by name, since a reload may move or remove them under a call.
#include "sip/call_priv.h"
#include "sip/probe.h"

void trunk_ref_set(struct td_trunk_ref *ref, const struct td_trunk *trunk, uint32_t index)
{
	memcpy(ref->name, trunk->conf.name, sizeof(ref->name));
	ref->index = index;
	ref->realm = trunk->realm;
	ref->slot = trunk->slot;
	ref->trust = trunk->conf.trust;
	ref->privacy = trunk->privacy & 3u;
	ref->held = false;
	ref->credentials = trunk->credentials;
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
	int index = td_policy_by_slot(policy, ref->slot);
	if (index < 0)
		index = td_policy_subscribers(policy, ref->realm);
	if (index < 0 || !trunk_is(td_policy_trunk(policy, (uint32_t)index), ref))
		return NULL;
	ref->index = (uint32_t)index;
	return td_policy_trunk(policy, ref->index);
}

const struct td_trunk *trunk_ref_challenged(
	const struct td_engine *engine, struct td_trunk_ref *ref)
{
	return ref->credentials ? trunk_ref_find(engine, ref) : NULL;
}

int trunk_ref_acquire(struct td_engine *engine, struct td_trunk_ref *ref,
	const struct td_trunk *trunk, bool limits, bool new_call)
{
	const struct td_trunk_conf *conf = &trunk->conf;
	struct td_limit limit = { conf->max_calls, conf->max_cps, conf->cps_burst };
	int rc = limit_acquire(engine, TD_LIMIT_TRUNK, ref->slot, &limit, limits, new_call);

	ref->held = rc == 0;
	ref->fresh = limits && new_call && limit.max_cps > 0;
	return rc;
}

void trunk_ref_release(struct td_engine *engine, struct td_trunk_ref *ref)
{
	if (ref->held)
		limit_release(engine, TD_LIMIT_TRUNK, ref->slot, ref->fresh);
	ref->held = false;
}

bool trunk_ref_has(
	const struct td_engine *engine, struct td_trunk_ref *ref, const struct td_sockaddr *address)
{
	return trunk_ref_find(engine, ref) &&
	       td_policy_trunk_has(engine->policy, ref->index, address);
}

void trunk_ref_found(struct td_engine *engine, struct td_trunk_ref *ref,
	const struct td_sockaddr *peer, bool heard)
{
	struct td_health *health = engine->conf.health;

	if (!health || (heard && td_health_marked(health, ref->slot) == 0))
		return;
	const struct td_trunk *trunk = trunk_ref_find(engine, ref);
	if (!trunk)
		return;
	struct td_peer_change change = td_health_called(health, ref->slot, peer,
		&trunk->conf.health, td_engine_now_ms(engine), heard);
	if (change.changed)
		td_peer_changed(engine, trunk, peer, change.state,
			heard ? "calls are answered" : "calls are not answered");
}

bool trunk_ref_down(struct td_engine *engine, struct td_trunk_ref *ref,
	const struct td_sockaddr *peer, bool last)
{
	const struct td_health *health = engine->conf.health;

	if (!health || td_health_marked(health, ref->slot) == 0)
		return false;
	const struct td_trunk *trunk = trunk_ref_find(engine, ref);
	if (!trunk)
		return false;
	// Without probes it was put last since it was down already.
	if (last && trunk->conf.health.probe == TD_PROBE_NONE)
		return false;
	struct td_peer_view view = td_health_view(health, ref->slot, peer, &trunk->conf.health,
		td_engine_now_ms(engine));
	return view.state == TD_PEER_DOWN;
}

void trunk_ref_seized(
	struct td_engine *engine, const struct td_trunk_ref *ref, bool answered)
{
	if (engine->conf.ops->trunk_seized)
		engine->conf.ops->trunk_seized(engine->conf.host, ref->slot, answered);
}
