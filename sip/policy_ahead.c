// SPDX-License-Identifier: BSD-3-Clause
// What a decision will read of a large plan lies in memory that nobody has touched for long: key,
// set, names and trunk, each of which says where the next one is. Packet path.
#include "sip/policy_priv.h"

#define SMALL_BUCKETS 64 // a plan that the cache keeps anyway

static const struct route_plan *ahead_plan(const struct td_policy *policy, uint32_t trunk_in)
{
	const struct routes *r = &policy->routes;
	const struct route_trunk *t = &r->trunks[trunk_in];
	uint32_t at = t->loaded_plan != ROUTE_NONE ? t->loaded_plan : t->file_plan;

	return at == ROUTE_NONE || r->plans[at].image.n_buckets <= SMALL_BUCKETS ? NULL
										 : &r->plans[at];
}

void td_policy_ahead(const struct td_policy *policy, uint32_t trunk_in, struct td_span number,
	struct td_route_ahead *out)
{
	struct td_route_key key;

	out->step = TD_AHEAD_OVER;
	out->plan = trunk_in < policy->n_trunks ? ahead_plan(policy, trunk_in) : NULL;
	if (!out->plan || !td_route_key_of(number, &key))
		return;
	out->policy = policy;
	out->step = TD_AHEAD_KEY;
	td_route_find(&out->plan->image, &key, &out->cursor);
}

static void key_step(struct td_route_ahead *a)
{
	const struct route_plan *plan = a->plan;
	struct td_route_match match;

	if (!td_route_next(&plan->image, &a->cursor, &match))
		return;
	a->n_names = 0;
	if (match.ref.to != 0) {
		a->names[a->n_names++] = match.ref.to;
		__builtin_prefetch(&plan->names[match.ref.to]);
		a->step = TD_AHEAD_NAMES;
		return;
	}
	a->set = plan->image.sets + match.ref.set;
	__builtin_prefetch(a->set);
	a->step = TD_AHEAD_SET;
}

// The first entry's targets: they are the ones that most calls try.
static void set_step(struct td_route_ahead *a)
{
	const struct td_route_entry *e = (const void *)(a->set + 1);
	const struct td_route_to *to = (const void *)(e + 1);

	if (a->set[0] == 0)
		return;
	for (uint32_t i = 0; i < e->n_targets && a->n_names < TD_AHEAD_TARGETS; i++) {
		a->names[a->n_names++] = to[i].name;
		__builtin_prefetch(&a->plan->names[to[i].name]);
	}
	a->step = TD_AHEAD_NAMES;
}

static void names_step(struct td_route_ahead *a)
{
	const struct td_policy *policy = a->policy;

	for (uint32_t i = 0; i < a->n_names; i++) {
		uint32_t trunk = a->plan->names[a->names[i]].to;
		if (trunk >= policy->n_trunks)
			continue;
		const char *hot = (const char *)&policy->trunks[trunk];
		for (uint32_t at = 0; at < TD_TRUNK_HOT; at += 64)
			__builtin_prefetch(hot + at);
		__builtin_prefetch(&policy->routes.trunks[trunk]);
	}
}

void td_policy_ahead_step(struct td_route_ahead *a)
{
	enum td_ahead_step step = a->step;

	a->step = TD_AHEAD_OVER;
	switch (step) {
	case TD_AHEAD_OVER:
		break;
	case TD_AHEAD_KEY:
		key_step(a);
		break;
	case TD_AHEAD_SET:
		set_step(a);
		break;
	case TD_AHEAD_NAMES:
		names_step(a);
		break;
	}
}
