// SPDX-License-Identifier: BSD-3-Clause
// Where a call may go: the prefixes of its number in the file's plan of its trunk and in the dial
// plan that was loaded, asked in one order (sip/policy.h). Packet path.
#include "sip/health.h"
#include "sip/policy_priv.h"

#define MATCHED_WHOLE 255 // td_route_target.matched
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

struct choice {
	const struct td_policy *policy;
	const struct td_route_query *query;
	struct td_route_answer *out;
	const struct td_route_trace *trace;
	const struct route_plan *plans[2]; // the file's, then the loaded one
	uint32_t n_plans;
	uint64_t random;
	uint32_t n_named;
	uint32_t n_last;
	bool disabled; // a trunk was passed over
	uint16_t blocked;
	uint8_t matched; // td_route_target
	char match[TD_ROUTE_SYMBOLS_MAX + 2]; // of the trace
	// Trunks that brought a peer here or to last, and ROUTE_REGISTRAR.
	uint32_t named[2 * TD_ATTEMPTS_MAX];
	// Peers that are tried when all others have failed: down, or returning and not in turn.
	struct td_route_target last[TD_ATTEMPTS_MAX];
};

// What a target says beside its name.
struct extras {
	const struct route_plan *plan;
	const struct td_route_to *to;
	uint16_t group;
};

// --- telling

static struct td_span name_text(const struct route_plan *plan, uint16_t name)
{
	return td_span_str(plan->image.names[name]);
}

static void tell(struct choice *c, const struct route_plan *plan, struct td_route_step step)
{
	step.plan = td_span_str(plan->image.header->plan);
	step.match = td_span_str(c->match);
	c->trace->step(c->trace->ctx, &step);
}

static void tell_target(struct choice *c, const struct extras *x, const char *what,
	const char *name, const char *why)
{
	if (UNLIKELY(c->trace != NULL))
		tell(c, x->plan,
			(struct td_route_step){ .what = what,
				.why = why,
				.name = td_span_str(name),
				.priority = x->to->priority,
				.weight = x->to->weight,
				.cost = x->to->cost });
}

static void tell_peer(struct choice *c, const struct extras *x, const struct td_trunk_conf *trunk,
	uint16_t peer, const char *what, const char *why)
{
	char name[TD_ADDR_STRLEN];

	if (UNLIKELY(c->trace != NULL)) {
		td_sockaddr_format(&trunk->peers[peer].address, name, sizeof(name));
		tell_target(c, x, what, name, why);
	}
}

// --- targets

// splitmix64: one step per draw, so that one seed gives the whole order.
static uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

// The order of n weights, drawn without replacement. One of weight 0 comes after all that have one
// (RFC 2782's sense).
static void draw(struct choice *c, const uint16_t *weights, uint32_t n, uint8_t *order)
{
	uint8_t left[TD_ROUTE_TARGETS_MAX];
	uint64_t total = 0;

	for (uint32_t i = 0; i < n; i++) {
		left[i] = (uint8_t)i;
		total += weights[i];
	}
	for (uint32_t k = 0; n > 0; k++, n--) {
		uint64_t at = (random_next(&c->random) >> 32) * total >> 32;
		uint32_t i = 0;
		while (i + 1 < n && total > 0 && (at >= weights[left[i]] || weights[left[i]] == 0))
			at -= weights[left[i++]];
		total -= weights[left[i]];
		order[k] = left[i];
		memmove(&left[i], &left[i + 1], n - i - 1);
	}
}

static bool is_named(struct choice *c, uint32_t to)
{
	for (uint32_t i = 0; i < c->n_named; i++)
		if (c->named[i] == to)
			return true;
	return false;
}

static struct td_route_target target_of(const struct choice *c, const struct extras *x,
	uint32_t trunk, uint16_t peer, enum td_target_kind kind)
{
	const struct td_route_opts *opts = &x->plan->image.opts[x->to->opts];

	return (struct td_route_target){
		.trunk = trunk,
		.peer = peer,
		.kind = (uint8_t)kind,
		.matched = c->matched,
		.failover = x->plan->names[opts->failover].failover,
		.group = x->group,
		.limit = x->plan->names[opts->limit].limit,
		.max_duration_s = opts->max_duration_s,
		.route = opts->label != 0 ? x->plan->image.names[opts->label] : NULL,
	};
}

static void answer_add(struct choice *c, const struct extras *x, uint32_t trunk, uint16_t peer,
	enum td_target_kind kind)
{
	c->out->targets[c->out->n++] = target_of(c, x, trunk, peer, kind);
}

static void take_registrar(struct choice *c, const struct extras *x)
{
	if (is_named(c, ROUTE_REGISTRAR))
		return;
	c->named[c->n_named++] = ROUTE_REGISTRAR;
	tell_target(c, x, "target", TD_ROUTE_REGISTRAR, NULL);
	answer_add(c, x, ROUTE_NONE, 0, TD_TARGET_AOR);
}

// A peer of a trunk with which something is wrong. One that its probes have found down is tried by
// emergency calls alone; one that calls have found silent might be there all the same.
static void take_doubtful(
	struct choice *c, const struct extras *x, uint32_t trunk, uint16_t peer)
{
	const struct td_trunk *t = &c->policy->trunks[trunk];
	struct td_peer_view view = td_health_view(c->query->health, t->slot,
		&t->conf.peers[peer].address, &t->conf.health, c->query->now_ms);
	bool down = view.state == TD_PEER_DOWN;

	if (view.state == TD_PEER_UP ||
		(!down && td_health_takes(&view, (uint32_t)(random_next(&c->random) >> 32)))) {
		answer_add(c, x, trunk, peer, TD_TARGET_PEER);
		return;
	}
	if (down && t->conf.health.probe != TD_PROBE_NONE && !c->query->emergency) {
		c->disabled = true;
		tell_peer(c, x, &t->conf, peer, "pass", "it is down");
		return;
	}
	tell_peer(c, x, &t->conf, peer, "last", down ? "it is down" : "it is returning");
	if (c->n_last == TD_ATTEMPTS_MAX)
		return;
	c->last[c->n_last] = target_of(c, x, trunk, peer, TD_TARGET_PEER);
	c->last[c->n_last++].last = true;
}

static void take_peer(
	struct choice *c, const struct extras *x, uint32_t trunk, uint16_t peer, bool doubtful)
{
	if (UNLIKELY(doubtful))
		take_doubtful(c, x, trunk, peer);
	else
		answer_add(c, x, trunk, peer, TD_TARGET_PEER);
}

// Peers by their priority, and by weight within one (RFC 2782).
static void take_drawn_peers(
	struct choice *c, const struct extras *x, uint32_t trunk, bool doubtful)
{
	const struct td_trunk_conf *conf = &c->policy->trunks[trunk].conf;

	static_assert(TD_PEERS_MAX <= TD_ROUTE_TARGETS_MAX, "what draw() holds");
	for (uint32_t i = 0, end; i < conf->n_peers; i = end) {
		uint16_t weights[TD_ROUTE_TARGETS_MAX];
		uint8_t order[TD_ROUTE_TARGETS_MAX];
		for (end = i; end < conf->n_peers; end++) {
			if (!peers_equal(&conf->peers[i], &conf->peers[end]))
				break;
			weights[end - i] = conf->peers[end].weight;
		}
		draw(c, weights, end - i, order);
		for (uint32_t k = 0; k < end - i && c->out->n < TD_ATTEMPTS_MAX; k++)
			take_peer(c, x, trunk, (uint16_t)(i + order[k]), doubtful);
	}
}

static void take_peers(struct choice *c, const struct extras *x, uint32_t trunk, bool doubtful)
{
	const struct route_trunk *t = &c->policy->routes.trunks[trunk];

	if (UNLIKELY(t->weighted)) {
		take_drawn_peers(c, x, trunk, doubtful);
		return;
	}
	for (uint32_t i = 0; i < t->n_peers && c->out->n < TD_ATTEMPTS_MAX; i++)
		take_peer(c, x, trunk, (uint16_t)i, doubtful);
}

static void take_trunk(struct choice *c, const struct extras *x, uint32_t trunk)
{
	const struct route_trunk *t = &c->policy->routes.trunks[trunk];
	const char *name = c->policy->trunks[trunk].conf.name;

	if (is_named(c, trunk)) {
		tell_target(c, x, "target", name, "it stands in the list already");
		return;
	}
	if (!t->enabled || t->n_peers == 0) {
		c->disabled = true;
		bool unknown = c->policy->trunks[trunk].conf.n_hosts > 0;
		tell_target(c, x, "target", name,
			!t->enabled ? "it is disabled"
			: unknown   ? "its host has no known address"
				    : "it has no peers");
		return;
	}
	tell_target(c, x, "target", name, NULL);
	bool doubtful =
		c->query->health != NULL && td_health_marked(c->query->health, t->slot) != 0;
	uint32_t before = c->out->n + c->n_last;
	take_peers(c, x, trunk, doubtful);
	// Who is down brings nothing, however often it is named, so that the list has an end.
	if (c->out->n + c->n_last > before)
		c->named[c->n_named++] = trunk;
}

static void take_group(struct choice *c, struct extras *x, uint32_t group)
{
	const struct routes *routes = &c->policy->routes;
	const struct route_member *members = routes->members + routes->groups[group].first;
	uint32_t n = routes->groups[group].n;

	x->group = (uint16_t)(group + 1);
	tell_target(c, x, "group", routes->group_confs[group].name, NULL);
	for (uint32_t i = 0, end; i < n; i = end) {
		uint16_t weights[TD_ROUTE_TARGETS_MAX];
		uint8_t order[TD_ROUTE_TARGETS_MAX];
		for (end = i; end < n && members[end].priority == members[i].priority; end++)
			weights[end - i] = members[end].weight;
		draw(c, weights, end - i, order);
		for (uint32_t k = 0; k < end - i && c->out->n < TD_ATTEMPTS_MAX; k++)
			take_trunk(c, x, members[i + order[k]].trunk);
	}
}

static void take(struct choice *c, const struct route_plan *plan, const struct td_route_to *to)
{
	struct extras x = { plan, to, 0 };
	uint32_t target = plan->names[to->name].to;

	if (c->out->n == TD_ATTEMPTS_MAX)
		return;
	if (target < ROUTE_GROUP) {
		take_trunk(c, &x, target);
	} else if (target == ROUTE_REGISTRAR) {
		take_registrar(c, &x);
	} else if (target == ROUTE_NONE) {
		c->disabled = true;
		tell_target(c, &x, "target", plan->image.names[to->name],
			"there is no such trunk or group now");
	} else {
		take_group(c, &x, target - ROUTE_GROUP);
	}
}

// --- sets

static bool caller_fits(const struct td_route_query *query, struct td_span caller)
{
	if (td_span_eq(caller, TD_SPAN("anonymous")))
		return query->anonymous || query->caller.len == 0;
	return !query->anonymous && query->caller.len >= caller.len &&
	       memcmp(query->caller.ptr, caller.ptr, caller.len) == 0;
}

// NULL: the entry applies; else why not.
static const char *entry_unfit(
	const struct choice *c, const struct route_plan *plan, const struct td_route_entry *e)
{
	const struct td_route_image *image = &plan->image;

	if (e->domain != 0 && !td_span_ieq(td_route_text(image, e->domain), c->query->domain))
		return "the domain is another";
	if (e->caller != 0 && !caller_fits(c->query, td_route_text(image, e->caller)))
		return "the caller is another";
	if (e->window == 0)
		return NULL;
	uint16_t window = plan->names[e->window].window;
	if (window == 0 || !window_open(&c->policy->routes.windows[window - 1], c->query->wall_s))
		return "the window is closed";
	return NULL;
}

static bool take_block(
	struct choice *c, const struct route_plan *plan, const struct td_route_to *to)
{
	struct extras x = { plan, to, 0 };

	if (c->query->emergency) {
		tell_target(c, &x, "pass", "", "an emergency call is never blocked");
		return false;
	}
	c->blocked = to->weight != 0 ? to->weight : 403;
	if (UNLIKELY(c->trace != NULL))
		tell(c, plan,
			(struct td_route_step){ .what = "block",
				.name = name_text(plan, plan->image.opts[to->opts].label),
				.status = c->blocked });
	return true;
}

// Targets of one priority and cost, in an order drawn by weight.
static void take_equals(
	struct choice *c, const struct route_plan *plan, const struct td_route_to *to, uint32_t n)
{
	uint16_t weights[TD_ROUTE_TARGETS_MAX];
	uint8_t order[TD_ROUTE_TARGETS_MAX];

	if (n == 1) {
		random_next(&c->random);
		take(c, plan, to);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		weights[i] = to[i].weight;
	draw(c, weights, n, order);
	for (uint32_t i = 0; i < n; i++)
		take(c, plan, &to[order[i]]);
}

static void take_entry(struct choice *c, const struct route_plan *plan,
	const struct td_route_entry *e, const struct td_route_to *to)
{
	const char *unfit = entry_unfit(c, plan, e);

	if (unfit) {
		if (UNLIKELY(c->trace != NULL))
			tell(c, plan,
				(struct td_route_step){ .what = "pass",
					.why = unfit,
					.name = name_text(plan, e->window) });
		return;
	}
	for (uint32_t i = 0, end; i < e->n_targets && c->blocked == 0; i = end) {
		end = i + 1;
		if (to[i].name == 0) {
			take_block(c, plan, &to[i]);
			continue;
		}
		while (end < e->n_targets && to[end].name != 0 &&
			to[end].priority == to[i].priority && to[end].cost == to[i].cost)
			end++;
		take_equals(c, plan, to + i, end - i);
	}
}

static bool goes_on(const struct choice *c)
{
	return c->blocked == 0 && c->out->n < TD_ATTEMPTS_MAX;
}

static void take_set(struct choice *c, const struct route_plan *plan, uint32_t set)
{
	const uint32_t *at = plan->image.sets + set;

	if (UNLIKELY(c->trace != NULL))
		tell(c, plan, (struct td_route_step){ .what = "match" });
	for (uint32_t n = *at++; n > 0 && goes_on(c); n--) {
		const struct td_route_entry *e = (const void *)at;
		const struct td_route_to *to = (const void *)(e + 1);
		take_entry(c, plan, e, to);
		at = (const void *)(to + e->n_targets);
	}
}

// What one key leads to. Most lead to one target of which nothing more is said: its set stays
// unread.
static void take_ref(
	struct choice *c, const struct route_plan *plan, const struct td_route_ref *ref)
{
	static const struct td_route_to plain = { 0 };
	uint32_t to = plan->names[ref->to].to;

	if (ref->to == 0 || to >= ROUTE_GROUP || UNLIKELY(c->trace != NULL)) {
		take_set(c, plan, ref->set);
		return;
	}
	struct extras x = { plan, &plain, 0 };
	random_next(&c->random);
	take_trunk(c, &x, to);
}

// --- the decision

static const struct route_plan *loaded_plan(const struct choice *c)
{
	const struct routes *r = &c->policy->routes;
	struct td_span name = c->query->plan;

	if (name.len == 0) {
		uint32_t at = r->trunks[c->query->trunk_in].loaded_plan;
		return at == ROUTE_NONE ? NULL : &r->plans[at];
	}
	for (uint32_t i = r->n_file; i < r->n_plans; i++)
		if (td_span_eq(td_span_str(r->plans[i].image.header->plan), name))
			return &r->plans[i];
	return NULL;
}

static void plans_find(struct choice *c)
{
	const struct routes *r = &c->policy->routes;
	uint32_t file = r->trunks[c->query->trunk_in].file_plan;
	const struct route_plan *loaded = loaded_plan(c);

	if (file == ROUTE_NONE && c->query->plan.len > 0)
		file = r->subscribers;
	c->n_plans = 0;
	if (file != ROUTE_NONE)
		c->plans[c->n_plans++] = &r->plans[file];
	if (loaded)
		c->plans[c->n_plans++] = loaded;
	for (uint32_t i = 0; UNLIKELY(c->trace != NULL) && i < c->n_plans; i++)
		tell(c, c->plans[i],
			(struct td_route_step){ .what = "plan",
				.name = td_span_str(
					file != ROUTE_NONE && i == 0 ? "file" : "loaded") });
}

static void take_special(struct choice *c)
{
	for (uint32_t i = 0; i < c->n_plans && goes_on(c); i++) {
		const struct route_plan *plan = c->plans[i];
		struct td_route_ref sos = { 0 };
		if (c->query->emergency)
			sos = td_route_exact(&plan->image, TD_ROUTE_SOS);
		uint32_t aor =
			plan->image.n_aors > 0 && c->query->user.len > 0
				? td_route_aor(&plan->image, c->query->user, c->query->domain)
				: 0;
		if (UNLIKELY(c->trace != NULL))
			td_span_cstr(sos.set ? TD_SPAN("urn:service:sos") : c->query->user,
				c->match, sizeof(c->match));
		if (sos.set != 0)
			take_ref(c, plan, &sos);
		if (aor != 0 && goes_on(c))
			take_set(c, plan, aor);
	}
}

// Both plans' prefixes of the number, the longer first, of equal ones the file's.
static void take_prefixes(struct choice *c)
{
	struct td_route_cursor cursors[2];
	struct td_route_match matches[2];
	bool there[2] = { false, false };
	struct td_route_key number;

	td_route_key_of(c->query->number, &number);
	for (uint32_t i = 0; i < c->n_plans; i++) {
		td_route_find(&c->plans[i]->image, &number, &cursors[i]);
		there[i] = td_route_next(&c->plans[i]->image, &cursors[i], &matches[i]);
	}
	while ((there[0] || there[1]) && goes_on(c)) {
		uint32_t i = there[1] && (!there[0] || matches[1].length > matches[0].length);
		if (UNLIKELY(c->trace != NULL))
			td_route_key_format(&matches[i].key, c->match);
		c->matched = matches[i].length <= c->query->number.len ? (uint8_t)matches[i].length
								       : MATCHED_WHOLE;
		take_ref(c, c->plans[i], &matches[i].ref);
		there[i] = td_route_next(&c->plans[i]->image, &cursors[i], &matches[i]);
	}
}

static void take_last(struct choice *c)
{
	for (uint32_t i = 0; i < c->n_last && c->out->n < TD_ATTEMPTS_MAX; i++)
		c->out->targets[c->out->n++] = c->last[i];
}

enum td_answer td_policy_route_traced(const struct td_policy *policy,
	const struct td_route_query *query, struct td_route_answer *out,
	const struct td_route_trace *trace)
{
	struct choice c;

	out->n = 0;
	out->sip_code = 404;
	if (query->trunk_in >= policy->n_trunks)
		return TD_REFUSED;
	c.policy = policy;
	c.query = query;
	c.out = out;
	c.trace = trace;
	c.random = query->random;
	c.n_named = 0;
	c.n_last = 0;
	c.disabled = false;
	c.blocked = 0;
	c.match[0] = '\0';
	c.matched = MATCHED_WHOLE;
	plans_find(&c);
	take_special(&c);
	take_prefixes(&c);
	take_last(&c);
	if (out->n > 0)
		return TD_DONE;
	if (c.blocked != 0)
		out->sip_code = c.blocked;
	else if (c.disabled)
		out->sip_code = 503;
	return TD_REFUSED;
}

enum td_answer td_policy_route(const struct td_policy *policy, const struct td_route_query *query,
	struct td_route_answer *out)
{
	return td_policy_route_traced(policy, query, out, NULL);
}

const struct td_failover_conf *td_policy_failover(const struct td_policy *policy, uint16_t index)
{
	return index > 0 && index <= policy->routes.n_failovers
		       ? &policy->routes.failovers[index - 1]
		       : NULL;
}
