// SPDX-License-Identifier: BSD-3-Clause
// The file's routes compiled into dial plans, one for each trunk that they are from, and the names
// of all plans bound to what this policy has under them.
#include "sip/policy_priv.h"
#include "sip/route_build.h"

#include <errno.h>
#include <stdlib.h>

#define SUBSCRIBERS "subscribers"

// What routes name beside trunks. A plan may have 65,535 names, and each is looked for among all.
enum named { GROUP, WINDOW, FAILOVER, LIMIT, N_NAMED };

struct named_ref {
	const char *name;
	uint32_t index;
};

struct named_list {
	struct named_ref *refs; // sorted
	uint32_t n;
};

struct compiler {
	struct td_policy *policy;
	const struct td_policy_conf *conf;
	const struct td_policy_env *env;
	const struct trunk_names *names;
	struct policy_error *error;
	struct named_list named[N_NAMED];
};

// --- groups, windows, failover rules, limits

static int ref_compare(const void *a, const void *b)
{
	const struct named_ref *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

// The names stand first in n records of so many bytes.
static int named_sort(
	struct compiler *c, enum named kind, const void *records, size_t bytes, uint32_t n)
{
	struct named_list *list = &c->named[kind];

	list->refs = calloc(n + 1, sizeof(*list->refs));
	if (!list->refs)
		return policy_no_memory(c->error);
	list->n = n;
	for (uint32_t i = 0; i < n; i++)
		list->refs[i] = (struct named_ref){ (const char *)records + i * bytes, i };
	if (n > 1)
		qsort(list->refs, n, sizeof(*list->refs), ref_compare);
	return 0;
}

// Its index + 1, of several the first one's; 0: none has that name.
static uint16_t by_name(const struct compiler *c, enum named kind, const char *name)
{
	const struct named_list *list = &c->named[kind];
	uint32_t lo = 0, hi = list->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (strcmp(list->refs[mid].name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	bool there = lo < list->n && strcmp(list->refs[lo].name, name) == 0;
	return there ? (uint16_t)(list->refs[lo].index + 1) : 0;
}

// A copy of the array, each name ended; *n is set with it.
#define COPY_LIST(c, field, ceiling, count_of)                                                     \
	list_copy((c), (c)->conf->field, sizeof(*(c)->conf->field), (c)->conf->count_of, ceiling,  \
		#field)

static void *list_copy(struct compiler *c, const void *list, size_t bytes, uint32_t n, uint32_t max,
	const char *what)
{
	if (n > max) {
		policy_fail(c->error, "more than %u %s", max, what);
		return NULL;
	}
	void *copy = calloc(n + 1, bytes);
	if (!copy) {
		policy_no_memory(c->error);
		return NULL;
	}
	if (n > 0)
		memcpy(copy, list, n * bytes);
	for (uint32_t i = 0; i < n; i++)
		((char *)copy)[i * bytes + TD_NAME_LEN - 1] = '\0'; // the name stands first
	return copy;
}

static int lists_copy(struct compiler *c)
{
	struct routes *r = &c->policy->routes;

	r->group_confs = COPY_LIST(c, groups, TD_GROUPS_MAX, n_groups);
	r->windows = r->group_confs ? COPY_LIST(c, windows, TD_WINDOWS_MAX, n_windows) : NULL;
	r->failovers = r->windows ? COPY_LIST(c, failovers, TD_FAILOVERS_MAX, n_failovers) : NULL;
	r->limits = r->failovers ? COPY_LIST(c, limits, TD_LIMITS_MAX, n_limits) : NULL;
	if (!r->limits)
		return -EINVAL;
	r->n_groups = c->conf->n_groups;
	r->n_windows = c->conf->n_windows;
	r->n_failovers = c->conf->n_failovers;
	r->n_limits = c->conf->n_limits;
	for (uint32_t i = 0; i < r->n_windows; i++)
		if (r->windows[i].n_periods > TD_PERIODS_MAX ||
			r->windows[i].n_steps > TD_ZONE_STEPS_MAX)
			return policy_fail(
				c->error, "window '%s': too many periods", r->windows[i].name);
	int rc = named_sort(c, GROUP, r->group_confs, sizeof(*r->group_confs), r->n_groups);
	if (rc == 0)
		rc = named_sort(c, WINDOW, r->windows, sizeof(*r->windows), r->n_windows);
	if (rc == 0)
		rc = named_sort(c, FAILOVER, r->failovers, sizeof(*r->failovers), r->n_failovers);
	return rc == 0 ? named_sort(c, LIMIT, r->limits, sizeof(*r->limits), r->n_limits) : rc;
}

static void members_sort(struct route_member *members, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		struct route_member m = members[i];
		uint32_t j = i;
		for (; j > 0 && members[j - 1].priority > m.priority; j--)
			members[j] = members[j - 1];
		members[j] = m;
	}
}

static int group_compile(struct compiler *c, uint32_t index, uint32_t *n_members)
{
	struct routes *r = &c->policy->routes;
	const struct td_group_conf *g = &r->group_confs[index];

	if (g->n_members == 0 || g->n_members > TD_ROUTE_TARGETS_MAX)
		return policy_fail(
			c->error, "group '%s': 1 to %d members", g->name, TD_ROUTE_TARGETS_MAX);
	if (trunk_by_name(c->names, g->name) >= 0 || strcmp(g->name, TD_ROUTE_REGISTRAR) == 0 ||
		by_name(c, GROUP, g->name) != index + 1)
		return policy_fail(c->error, "group '%s': the name is taken", g->name);
	r->groups[index] = (struct route_group){ *n_members, g->n_members };
	for (uint32_t i = 0; i < g->n_members; i++) {
		const struct td_route_target_conf *m = &g->members[i];
		int64_t trunk = memchr(m->trunk, '\0', TD_NAME_LEN)
					? trunk_by_name(c->names, m->trunk)
					: -1;
		if (trunk < 0)
			return policy_fail(c->error, "group '%s': there is no trunk '%.31s'",
				g->name, m->trunk);
		r->members[(*n_members)++] =
			(struct route_member){ (uint32_t)trunk, m->priority, m->weight };
	}
	members_sort(r->members + r->groups[index].first, g->n_members);
	return 0;
}

static int groups_compile(struct compiler *c)
{
	struct routes *r = &c->policy->routes;
	uint32_t n_members = 0;
	int rc = 0;

	r->groups = calloc(r->n_groups + 1, sizeof(*r->groups));
	r->members = calloc(r->n_groups * TD_ROUTE_TARGETS_MAX + 1, sizeof(*r->members));
	if (!r->groups || !r->members)
		return policy_no_memory(c->error);
	for (uint32_t i = 0; rc == 0 && i < r->n_groups; i++)
		rc = group_compile(c, i, &n_members);
	return rc;
}

// --- binding

static uint32_t target_of(const struct compiler *c, const char *name)
{
	int64_t trunk = trunk_by_name(c->names, name);

	if (trunk >= 0)
		return (uint32_t)trunk;
	if (strcmp(name, TD_ROUTE_REGISTRAR) == 0)
		return ROUTE_REGISTRAR;
	uint16_t group = by_name(c, GROUP, name);
	return group != 0 ? ROUTE_GROUP + group - 1u : ROUTE_NONE;
}

static int plan_bind(struct compiler *c, struct route_plan *plan)
{
	uint32_t n = plan->image.n_names;

	plan->names = calloc(n + 1, sizeof(*plan->names));
	if (!plan->names)
		return policy_no_memory(c->error);
	for (uint32_t i = 1; i < n; i++) {
		const char *name = plan->image.names[i];
		plan->names[i] = (struct route_name){
			.to = target_of(c, name),
			.window = by_name(c, WINDOW, name),
			.failover = by_name(c, FAILOVER, name),
			.limit = by_name(c, LIMIT, name),
		};
	}
	return 0;
}

// --- the file's routes

static int fields_check(const struct td_route_conf *r, uint32_t number, struct policy_error *error)
{
	const struct {
		const char *text;
		size_t cap;
	} texts[] = {
		{ r->prefix, sizeof(r->prefix) },
		{ r->domain, sizeof(r->domain) },
		{ r->caller, sizeof(r->caller) },
		{ r->window, sizeof(r->window) },
		{ r->name, sizeof(r->name) },
		{ r->limit, sizeof(r->limit) },
		{ r->failover, sizeof(r->failover) },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (!memchr(texts[i].text, '\0', texts[i].cap))
			return policy_fail(error, "route %u: a text is too long", number);
	if (r->n_from > TD_ROUTE_FROM_MAX || r->n_to > TD_ROUTE_TARGETS_MAX)
		return policy_fail(error, "route %u: too many names in from or to", number);
	if (r->n_to == 0 && r->block == 0)
		return policy_fail(error, "route %u: nothing in to", number);
	return 0;
}

static int names_check(const struct compiler *c, const struct td_route_conf *r, uint32_t number)
{
	if (r->window[0] && by_name(c, WINDOW, r->window) == 0)
		return policy_fail(
			c->error, "route %u: there is no window '%s'", number, r->window);
	if (r->limit[0] && by_name(c, LIMIT, r->limit) == 0)
		return policy_fail(c->error, "route %u: there is no limit '%s'", number, r->limit);
	if (r->failover[0] && by_name(c, FAILOVER, r->failover) == 0)
		return policy_fail(
			c->error, "route %u: there is no failover '%s'", number, r->failover);
	for (uint32_t i = 0; i < r->n_to; i++) {
		if (!memchr(r->to[i].trunk, '\0', TD_NAME_LEN))
			return policy_fail(c->error, "route %u: a name is too long", number);
		if (!r->to[i].registrar && target_of(c, r->to[i].trunk) >= ROUTE_REGISTRAR)
			return policy_fail(c->error, "route %u: there is no trunk '%s'", number,
				r->to[i].trunk);
	}
	for (uint32_t i = 0; i < r->n_from; i++)
		if (!memchr(r->from[i], '\0', TD_NAME_LEN) ||
			(strcmp(r->from[i], SUBSCRIBERS) != 0 &&
				trunk_by_name(c->names, r->from[i]) < 0))
			return policy_fail(c->error, "route %u: there is no trunk '%.31s'", number,
				r->from[i]);
	return 0;
}

// A route of the file is from one plan: sorted by that, then as written.
struct from {
	const char *plan;
	uint32_t route;
};

static int from_compare(const void *a, const void *b)
{
	const struct from *x = a, *y = b;
	int order = strcmp(x->plan, y->plan);

	return order != 0 ? order : (x->route > y->route) - (x->route < y->route);
}

static int route_add(struct compiler *c, struct td_route_builder *builder, uint32_t route)
{
	const struct td_route_conf *r = &c->conf->routes[route];
	const char *why = "";
	int rc = 0;
	struct td_route_row row = {
		.match = td_span_str(r->prefix),
		.domain = td_span_str(r->domain),
		.caller = td_span_str(r->caller),
		.window = td_span_str(r->window),
		.label = td_span_str(r->name),
		.limit = td_span_str(r->limit),
		.failover = td_span_str(r->failover),
		.max_duration_s = r->max_duration_s,
		.status = r->block,
		.priority = 0,
	};

	if (r->block != 0)
		rc = td_route_builder_add(builder, &row, &why);
	for (uint32_t i = 0; rc == 0 && r->block == 0 && i < r->n_to; i++) {
		row.to = r->to[i].registrar ? TD_SPAN(TD_ROUTE_REGISTRAR)
					    : td_span_str(r->to[i].trunk);
		row.priority = r->to[i].priority;
		row.weight = r->to[i].weight;
		row.cost = r->to[i].cost;
		rc = td_route_builder_add(builder, &row, &why);
	}
	return rc < 0 ? policy_fail(c->error, "route %u: prefix '%s' %s", route + 1, r->prefix, why)
		      : 0;
}

static int plan_write(struct compiler *c, struct td_route_builder *builder, const char *name)
{
	struct route_plan *plan = &c->policy->routes.plans[c->policy->routes.n_plans];
	char match[TD_ROUTE_SYMBOLS_MAX + 2];
	const char *why = NULL;
	size_t bytes;
	int rc = td_route_builder_close(builder, &bytes, match);

	if (rc == -EINVAL)
		return policy_fail(c->error,
			"routes with prefix '%s': more than %d targets together", match,
			TD_ROUTE_TARGETS_MAX);
	if (rc < 0)
		return policy_no_memory(c->error);
	plan->owned = aligned_alloc(64, bytes);
	if (!plan->owned)
		return policy_no_memory(c->error);
	c->policy->routes.n_plans++;
	memset(plan->owned, 0, bytes);
	td_route_builder_write(builder, name, plan->owned);
	if (td_route_image_open(&plan->image, plan->owned, bytes, &why) < 0)
		return policy_fail(c->error, "routes from '%s': %s", name, why);
	return plan_bind(c, plan);
}

static int plan_compile(struct compiler *c, const struct from *from, uint32_t n)
{
	struct td_route_builder *builder = td_route_builder_new();
	int rc = builder ? 0 : policy_no_memory(c->error);

	for (uint32_t i = 0; rc == 0 && i < n; i++)
		rc = route_add(c, builder, from[i].route);
	if (rc == 0)
		rc = plan_write(c, builder, from[0].plan);
	td_route_builder_free(builder);
	return rc;
}

static int64_t plan_find(const struct routes *r, uint32_t lo, uint32_t hi, const char *name)
{
	for (uint32_t i = lo; i < hi; i++)
		if (strcmp(r->plans[i].image.header->plan, name) == 0)
			return i;
	return -1;
}

// The file's plans came in the order of their names.
static uint32_t file_plan_of(const struct routes *r, const char *name)
{
	uint32_t lo = 0, hi = r->n_file;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int order = strcmp(r->plans[mid].image.header->plan, name);
		if (order == 0)
			return mid;
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return ROUTE_NONE;
}

static int file_compile(struct compiler *c, struct from *from, uint32_t n_from)
{
	struct routes *r = &c->policy->routes;
	int rc = 0;

	if (n_from > 1)
		qsort(from, n_from, sizeof(*from), from_compare);
	r->plans = calloc(n_from + c->env->n_plans + 1, sizeof(*r->plans));
	if (!r->plans)
		return policy_no_memory(c->error);
	for (uint32_t i = 0, end; rc == 0 && i < n_from; i = end) {
		for (end = i + 1; end < n_from && strcmp(from[i].plan, from[end].plan) == 0;)
			end++;
		rc = plan_compile(c, from + i, end - i);
	}
	r->n_file = r->n_plans;
	return rc;
}

static int loaded_bind(struct compiler *c)
{
	struct routes *r = &c->policy->routes;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < c->env->n_plans; i++) {
		struct route_plan *plan = &r->plans[r->n_plans++];
		plan->image = *c->env->plans[i];
		rc = plan_bind(c, plan);
	}
	return rc;
}

// Is there a choice among its peers that weights decide?
static bool peers_weighted(const struct td_trunk_conf *t)
{
	for (uint32_t i = 1; i < t->n_peers; i++)
		if (peers_equal(&t->peers[i - 1], &t->peers[i]) &&
			t->peers[i - 1].weight + t->peers[i].weight > 0)
			return true;
	return false;
}

static int trunks_bind(struct compiler *c)
{
	struct routes *r = &c->policy->routes;
	uint32_t n = c->policy->n_trunks;

	r->trunks = calloc(n + 1, sizeof(*r->trunks));
	if (!r->trunks)
		return policy_no_memory(c->error);
	r->subscribers = file_plan_of(r, SUBSCRIBERS);
	for (uint32_t i = 0; i < n; i++) {
		const struct td_trunk_conf *t = &c->policy->trunks[i].conf;
		int64_t loaded = t->plan[0] ? plan_find(r, r->n_file, r->n_plans, t->plan) : -1;
		r->trunks[i] = (struct route_trunk){
			.file_plan = file_plan_of(r, t->name),
			.loaded_plan = loaded < 0 ? ROUTE_NONE : (uint32_t)loaded,
			.slot = c->policy->trunks[i].slot,
			.enabled = t->enabled,
			.n_peers = t->n_peers,
			.weighted = peers_weighted(t),
		};
	}
	return 0;
}

static int compile(struct compiler *c)
{
	const struct td_policy_conf *conf = c->conf;
	uint32_t n_from = 0, n = 0;
	int rc = lists_copy(c);

	if (rc == 0)
		rc = groups_compile(c);
	for (uint32_t i = 0; rc == 0 && i < conf->n_routes; i++) {
		rc = fields_check(&conf->routes[i], i + 1, c->error);
		if (rc == 0)
			rc = names_check(c, &conf->routes[i], i + 1);
		n_from += conf->routes[i].n_from;
	}
	if (rc < 0)
		return rc;
	struct from *from = calloc(n_from + 1, sizeof(*from));
	if (!from)
		return policy_no_memory(c->error);
	for (uint32_t i = 0; i < conf->n_routes; i++)
		for (uint32_t k = 0; k < conf->routes[i].n_from; k++)
			from[n++] = (struct from){ conf->routes[i].from[k], i };
	rc = file_compile(c, from, n);
	free(from);
	if (rc == 0)
		rc = loaded_bind(c);
	return rc == 0 ? trunks_bind(c) : rc;
}

int routes_compile(struct td_policy *policy, const struct td_policy_conf *conf,
	const struct td_policy_env *env, const struct trunk_names *names,
	struct policy_error *error)
{
	struct compiler c = { policy, conf, env, names, error, .named = { { .n = 0 } } };
	int rc = compile(&c);

	for (int kind = 0; kind < N_NAMED; kind++)
		free(c.named[kind].refs);
	return rc;
}

void routes_free(struct routes *routes)
{
	for (uint32_t i = 0; routes->plans && i < routes->n_plans; i++) {
		free(routes->plans[i].names);
		free(routes->plans[i].owned);
	}
	free(routes->plans);
	free(routes->trunks);
	free(routes->groups);
	free(routes->members);
	free(routes->group_confs);
	free(routes->windows);
	free(routes->failovers);
	free(routes->limits);
	for (int kind = 0; kind < TD_LIMIT__KINDS; kind++)
		free(routes->shared[kind]);
}
