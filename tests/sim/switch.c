// SPDX-License-Identifier: BSD-3-Clause
// The switch: N owners, each with its engine, and the steering in front of them that a receiver
// does (architecture §4).
#include "tests/sim/sim.h"

#include "sip/health.h"
#include "sip/peek.h"

#include <stdlib.h>

#define MAX_CALLS 8192
#define MAX_CPS 400

static const uint8_t token_key[32] = "simulated switch, simulated key";

static struct td_sockaddr address(const char *text, uint16_t port)
{
	struct td_sockaddr a = { 0 };

	td_ip_parse(td_span_str(text), &a);
	a.port = port;
	return a;
}

static void realm_up(struct td_engine_realm *realm, const char *name, const char *ip)
{
	*realm = (struct td_engine_realm){ .n_addresses = 1, .n_listeners = 1 };
	td_span_cstr(td_span_str(name), realm->name, sizeof(realm->name));
	realm->addresses[0] =
		(struct td_realm_address){ .ip = address(ip, 0), .prefix_len = 8, .media = true };
	realm->listeners[0] = (struct td_listener_conf){ .transport = TD_UDP, .port = 5060 };
}

static uint32_t slot_of(void *ctx, enum td_limit_kind kind, const char *name)
{
	static const char *const names[TRUNKS] = { "west-1", "east-1", "east-2", "west-2" };

	if (kind != TD_LIMIT_TRUNK)
		return name[0] == 'w' ? WEST : EAST;
	for (uint32_t i = 0; i < TRUNKS; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return TRUNKS;
}

static const char *registrar_realm(void *ctx, uint16_t realm)
{
	return realm == WEST ? "west" : "east";
}

static int realm_of(void *ctx, const char *name)
{
	return name[0] == 'w' ? WEST : EAST;
}

// Trunk t owns 10.(t+1).0.0/16; its gateways are 10.(t+1).255.1 and up.
static void trunk_make(struct td_trunk_conf *t, uint32_t index, const char *name, uint8_t n_peers)
{
	char ip[32];

	*t = (struct td_trunk_conf){ .enabled = true,
		.n_peers = n_peers,
		.n_sources = 1,
		.attempt_timeout_ms = 5000,
		.ring_timeout_ms = 30000,
		.max_duration_s = 300 };
	td_span_cstr(td_span_str(name), t->name, sizeof(t->name));
	td_span_cstr(td_span_str(name[0] == 'w' ? "west" : "east"), t->realm, sizeof(t->realm));
	for (uint8_t i = 0; i < n_peers; i++) {
		snprintf(ip, sizeof(ip), "10.%u.255.%u", index + 1, i + 1u);
		t->peers[i] = (struct td_peer_conf){ .address = address(ip, 5060), .priority = i };
	}
	t->sources[0] = (struct td_prefix){
		.ip = { 10, (uint8_t)(index + 1) }, .family = TD_IPV4, .len = 16
	};
}

// Groups of both trunks of a side, and a limit of all calls there, in the way of a quarter of the
// calls or so; none without opt.limits.
static void limits_make(
	struct sim *sim, struct td_group_conf groups[REALMS], struct td_limit_conf limits[REALMS])
{
	static const char *const names[REALMS] = { "west", "east" };
	uint64_t rng = rng_seed(sim->opt.seed, 97, sim->now);
	uint32_t cps = sim->opt.calls_per_second;

	for (uint32_t i = 0; i < REALMS; i++) {
		struct td_limit *l[] = { &groups[i].limit, &limits[i].limit };
		groups[i] = (struct td_group_conf){ .n_members = 2 };
		limits[i] = (struct td_limit_conf){ 0 };
		snprintf(groups[i].name, TD_NAME_LEN, "%s", names[i]);
		snprintf(limits[i].name, TD_NAME_LEN, "%s", names[i]);
		for (uint32_t m = 0; m < 2; m++) {
			snprintf(groups[i].members[m].trunk, TD_NAME_LEN, "%s-%u", names[i], m + 1);
			groups[i].members[m].weight = 1;
		}
		for (uint32_t k = 0; k < 2; k++) {
			l[k]->max_calls = rng_between(&rng, 4 * cps, 10 * cps);
			l[k]->max_cps = rng_between(&rng, cps * 3 / 10, cps * 9 / 10);
			l[k]->cps_burst = rng_between(&rng, 0, 5);
			sim->limits[k == 0 ? TD_LIMIT_GROUP : TD_LIMIT_ROUTE][i].max =
				l[k]->max_calls;
		}
	}
}

static void route_limit(struct td_route_conf *r, const char *side)
{
	snprintf(r->limit, TD_NAME_LEN, "%s", side);
	snprintf(r->to[0].trunk, TD_NAME_LEN, "%s", side);
	r->n_to = 1;
}

static void route_make(struct td_route_conf *r, const char *from, const char *prefix,
	const char *first, const char *second)
{
	*r = (struct td_route_conf){ .n_from = 2, .n_to = 2 };
	snprintf(r->from[0], TD_NAME_LEN, "%s-1", from);
	snprintf(r->from[1], TD_NAME_LEN, "%s-2", from);
	td_span_cstr(td_span_str(prefix), r->prefix, sizeof(r->prefix));
	td_span_cstr(td_span_str(first), r->to[0].trunk, TD_NAME_LEN);
	td_span_cstr(td_span_str(second), r->to[1].trunk, TD_NAME_LEN);
	r->to[0].priority = 1;
	r->to[1].priority = 2;
}

static int policy_up(struct sim *sim)
{
	struct td_trunk_conf trunks[TRUNKS];
	struct td_route_conf *routes = calloc(2, sizeof(*routes));
	struct td_group_conf groups[REALMS];
	struct td_limit_conf limits[REALMS];
	struct td_rule_conf rules[SIM_RULES];
	struct td_policy_conf conf = { .generation = 1 + sim->now,
		.n_trunks = TRUNKS,
		.n_routes = 2,
		.trunks = trunks,
		.routes = routes };
	struct td_policy_env env = { .slot_of = slot_of,
		.realm_of = realm_of,
		.registrar_realm = registrar_realm,
		.n_realms = REALMS };
	char error[256];

	if (!routes)
		return -1;
	trunk_make(&trunks[TRUNK_WEST_1], TRUNK_WEST_1, "west-1", 2);
	trunk_make(&trunks[TRUNK_EAST_1], TRUNK_EAST_1, "east-1", 2);
	trunk_make(&trunks[TRUNK_EAST_2], TRUNK_EAST_2, "east-2", 1);
	trunk_make(&trunks[TRUNK_WEST_2], TRUNK_WEST_2, "west-2", 1);
	for (uint32_t t = 0; t < TRUNKS && sim->opt.gateways && !sim->gateways_over; t++)
		trunks[t].health = gateway_health;
	route_make(&routes[0], "west", "49", "east-1", "east-2");
	route_make(&routes[1], "east", "44", "west-1", "west-2");
	if (sim->opt.limits) {
		limits_make(sim, groups, limits);
		conf.groups = groups;
		conf.limits = limits;
		conf.n_groups = conf.n_limits = REALMS;
		route_limit(&routes[0], "east");
		route_limit(&routes[1], "west");
	}
	if (sim->opt.numbers) { // they may make any prefix of another
		sim_numbers_draw(sim, rules, trunks);
		conf.rules = rules;
		conf.n_rules = SIM_RULES;
		routes[0].prefix[0] = routes[1].prefix[0] = '\0';
	}
	sim->policy = td_policy_new(&conf, &env, error, sizeof(error));
	free(routes);
	if (!sim->policy)
		fprintf(stderr, "policy: %s\n", error);
	if (sim->policy && sim->health)
		td_health_follow(sim->health, sim->policy);
	return sim->policy ? 0 : -1;
}

static int owner_up(struct sim *sim, uint32_t index)
{
	struct owner *o = &sim->owners[index];
	struct td_engine_conf conf = { .ops = &sim_host_ops,
		.host = o,
		.counters = o->counters,
		.node = 1,
		.worker = (uint8_t)index,
		.n_workers = (uint8_t)sim->opt.owners,
		.health = sim->health,
		.epoch = 7,
		.node_name = "sim",
		.max_calls = MAX_CALLS,
		.max_cps = MAX_CPS,
		.sip_message_bytes = 16384,
		.t1_ms = 500,
		.t2_ms = 4000,
		.t4_ms = 5000,
		.wall_offset_ns = 1700000000 * SECOND,
		.n_realms = REALMS,
		.realms = sim->realms };

	*o = (struct owner){ .sim = sim,
		.index = index,
		.tick_at = UINT64_MAX,
		.rng = rng_seed(sim->opt.seed, 99, index),
		.rng_scarce = rng_seed(sim->opt.seed, 98, index) };
	memcpy(conf.token_key, token_key, sizeof(token_key));
	if (host_up(o) < 0)
		return -1;
	o->engine = td_engine_new(&conf);
	if (!o->engine)
		return -1;
	td_engine_set_policy(o->engine, sim->policy);
	owner_run(o);
	return 0;
}

// Every reader lets go of the old policy before it is freed.
void switch_policy(struct sim *sim)
{
	struct td_policy *old = sim->policy;

	if (policy_up(sim) < 0)
		abort();
	for (uint32_t i = 0; i < sim->opt.owners; i++) {
		td_engine_set_policy(sim->owners[i].engine, sim->policy);
		owner_run(&sim->owners[i]);
	}
	if (sim->health)
		td_health_sweep(sim->health, sim->policy);
	td_policy_free(old);
}

static void reload(struct sim *sim, void *what, uint64_t left)
{
	switch_policy(sim);
	if (left > 0)
		at(sim, sim->now + 3 * SECOND, reload, NULL, left - 1);
}

int switch_up(struct sim *sim)
{
	realm_up(&sim->realms[WEST], "west", "172.16.1.254");
	realm_up(&sim->realms[EAST], "east", "172.16.2.254");
	td_token_keys_init(&sim->keys, token_key, 1, 7);
	sim->opt.owners = sim->opt.owners > OWNERS_MAX ? OWNERS_MAX : sim->opt.owners;
	sim->context = UINT32_MAX;
	if (sim->opt.gateways && !(sim->health = td_health_new()))
		return -1;
	if (policy_up(sim) < 0)
		return -1;
	for (uint32_t i = 0; i < sim->opt.owners; i++)
		if (owner_up(sim, i) < 0)
			return -1;
	if (sim->opt.gateways)
		gateways_up(sim);
	if (sim->opt.reload)
		at(sim, SECOND, reload, NULL, sim->opt.calls / sim->opt.calls_per_second / 3);
	return 0;
}

void switch_down(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->opt.owners; i++) {
		td_engine_free(sim->owners[i].engine);
		host_down(&sim->owners[i]);
	}
	td_policy_free(sim->policy);
	sim_numbers_free(sim);
	td_health_free(sim->health);
}

static void tick(struct sim *sim, void *what, uint64_t arg)
{
	struct owner *o = what;

	if (o->tick_at != arg)
		return; // an earlier one was asked for meanwhile
	o->tick_at = UINT64_MAX;
	owner_run(o);
}

void owner_run(struct owner *o)
{
	struct sim *sim = o->sim;
	uint64_t next = td_engine_tick(o->engine, sim->now, 64);

	if (next == UINT64_MAX)
		return;
	// What is still due runs in the next turn of the loop.
	if (next <= sim->now)
		next = sim->now + MS / 10;
	if (next >= o->tick_at)
		return;
	o->tick_at = next;
	at(sim, next, tick, o, next);
}

static struct owner *owner_of(struct sim *sim, const struct td_peek *peek)
{
	switch (peek->kind) {
	case TD_PEEK_TOKEN:
		return &sim->owners[peek->token.worker % sim->opt.owners];
	case TD_PEEK_CALL_ID:
	case TD_PEEK_AOR:
		return &sim->owners[peek->hash % sim->opt.owners];
	default:
		return &sim->owners[0];
	}
}

void switch_rx(
	struct sim *sim, const struct td_flow *flow, uint32_t call, const char *data, uint32_t len)
{
	struct td_peek peek;
	td_peek(&sim->keys, flow->realm, data, len, &peek);
	struct owner *o = owner_of(sim, &peek);
	// A copy of exactly that size: reading beyond it is seen by the sanitizer.
	char *bytes = malloc(len > 0 ? len : 1);

	if (!bytes)
		abort();
	memcpy(bytes, data, len);
	sim->context = call;
	td_engine_rx_peeked(o->engine, sim->now, flow, bytes, len, &peek);
	sim->context = UINT32_MAX;
	free(bytes);
	owner_run(o);
}

void switch_media_timeout(struct sim *sim, struct ua *ua)
{
	struct leg *leg = host_leg_at(sim, ua->realm, ua->media.port);

	if (!leg)
		return;
	struct owner *o = &sim->owners[(ua->media.port >> 1) % sim->opt.owners];
	sim->context = ua->call;
	td_engine_media_timeout(o->engine, sim->now, leg->opened.call);
	sim->context = UINT32_MAX;
	owner_run(o);
}

void switch_hangup(struct sim *sim, struct call *call)
{
	for (uint32_t i = 0; i < sim->opt.owners && call->n_started > 0; i++) {
		sim->context = call->caller.call;
		int rc = td_engine_hangup(
			sim->owners[i].engine, sim->now, td_span_str(call->cdr.id));
		sim->context = UINT32_MAX;
		owner_run(&sim->owners[i]);
		if (rc == 0)
			return;
	}
}
