// SPDX-License-Identifier: BSD-3-Clause
// Whose media a leg takes: strict, or learn-once (architecture §6). The fast path compares with the
// last good source alone and comes here when that fails.
//
// Authenticated is treated as strict: with neither DTLS nor SRTP there is nothing yet that could
// authenticate a source.
#include "dataplane/leg.h"
#include "sip/policy.h"

#include <rte_byteorder.h>

// The trunk's index in the policy in force. A reload may move it, its slot stays; found anew once
// for each reload.
static bool trunk_index_refresh(struct td_leg_cold *leg, const struct td_policy *policy)
{
	uint64_t generation = td_policy_generation(policy);

	if (leg->trunk_generation == generation)
		return leg->trunk_index != UINT32_MAX;
	leg->trunk_generation = generation;
	int index = td_policy_by_slot(policy, leg->trunk_slot);
	leg->trunk_index = index < 0 ? UINT32_MAX : (uint32_t)index;
	return index >= 0;
}

static bool source_of_trunk(
	const struct td_worker *w, struct td_leg_cold *leg, const struct td_sockaddr *source)
{
	const struct td_policy *policy = atomic_load_explicit(&w->policy, memory_order_relaxed);

	return policy && leg->trunk_slot != UINT32_MAX && trunk_index_refresh(leg, policy) &&
	       td_policy_media_has(policy, leg->trunk_index, source);
}

static void source_note(
	struct td_leg_table *t, uint32_t index, const struct td_sockaddr *source, bool port_too)
{
	struct td_leg *hot = &t->legs[index];
	struct td_leg_wide *wide = &t->wide[index];

	memcpy(&hot->source_ip4, source->ip, sizeof(hot->source_ip4));
	memcpy(wide->source, source->ip, sizeof(wide->source));
	wide->source_port_be = rte_cpu_to_be_16(source->port);
	hot->flags |= TD_LEG_SOURCE;
	hot->flags &= (uint8_t)~TD_LEG_SOURCE_PORT;
	if (port_too) {
		hot->flags |= TD_LEG_SOURCE_PORT;
		t->any_wide = true;
	}
}

// The first valid source of the window is the far end until signalling reopens it; media goes there
// too, for a far end behind a NAT has no other address.
static void source_learn(struct td_worker *w, uint32_t index, const struct td_sockaddr *source)
{
	struct td_leg_cold *leg = &w->legs->cold[index];

	leg->learned = *source;
	leg->locked = true;
	source_note(w->legs, index, source, true);
	td_leg_tx_build_feeders(w, index);
}

static bool source_learn_once(struct td_worker *w, uint32_t index, const struct td_sockaddr *source)
{
	struct td_leg_cold *leg = &w->legs->cold[index];

	if (leg->locked) {
		if (!td_sockaddr_eq(&leg->learned, source))
			return false;
		source_note(w->legs, index, source, true);
		return true;
	}
	bool open = w->now_ns < leg->learn_until_ns;
	// What is still under way from where the far end was is heard, but must not pin it there.
	if (open && leg->former.family && td_sockaddr_eq(&leg->former, source))
		return true;
	if (!open && !td_ip_eq(&leg->remote, source))
		return false;
	source_learn(w, index, source);
	return true;
}

bool td_leg_source_check(struct td_worker *w, uint32_t index, const struct td_sockaddr *source)
{
	struct td_leg_cold *leg = &w->legs->cold[index];

	if (!leg->known)
		return false;
	if (leg->source_mode == TD_SOURCE_LEARN_ONCE)
		return source_learn_once(w, index, source);
	if (!td_ip_eq(&leg->remote, source) && !source_of_trunk(w, leg, source))
		return false;
	source_note(w->legs, index, source, false);
	return true;
}

bool td_leg_source_known(struct td_worker *w, uint32_t index, const struct td_sockaddr *source)
{
	struct td_leg_cold *leg = &w->legs->cold[index];

	if (w->legs->legs[index].flags & TD_LEG_SOURCE &&
		memcmp(w->legs->wide[index].source, source->ip, td_ip_len(source->family)) == 0)
		return true;
	return td_ip_eq(&leg->remote, source) || td_ip_eq(&leg->remote_rtcp, source) ||
	       source_of_trunk(w, leg, source);
}
