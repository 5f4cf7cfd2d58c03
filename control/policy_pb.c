// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy_pb_priv.h"

#include <stdlib.h>

static ProtobufCBinaryData bytes_to_pb(struct builder *b, const uint8_t *bytes, size_t len)
{
	ProtobufCBinaryData out = { .data = make(b, len, 1) };

	if (out.data) {
		memcpy(out.data, bytes, len);
		out.len = len;
	}
	return out;
}

static ProtobufCBinaryData ip_to_pb(struct builder *b, const uint8_t *ip, uint8_t family)
{
	return bytes_to_pb(b, ip, td_ip_len(family));
}

static Tandem__Peer *peer_to_pb(struct builder *b, const struct td_peer_conf *conf)
{
	Tandem__Peer *peer = make(b, 1, sizeof(*peer));

	if (!peer)
		return NULL;
	tandem__peer__init(peer);
	peer->priority = conf->priority;
	peer->transport = conf->transport;
	peer->weight = conf->weight;
	peer->host = conf->host;
	peer->set = conf->set;
	peer->address = make(b, 1, sizeof(*peer->address));
	if (peer->address) {
		tandem__address__init(peer->address);
		peer->address->port = conf->address.port;
		peer->address->ip = ip_to_pb(b, conf->address.ip, conf->address.family);
	}
	return peer;
}

static void hosts_to_pb(struct builder *b, const struct td_trunk_conf *conf, Tandem__Trunk *trunk)
{
	trunk->hosts = make(b, conf->n_hosts, sizeof(*trunk->hosts));
	for (uint8_t i = 0; trunk->hosts && i < conf->n_hosts; i++) {
		Tandem__Host *host = make(b, 1, sizeof(*host));
		if (!host)
			break;
		tandem__host__init(host);
		host->name = text_to_pb(b, conf->hosts[i].name);
		host->port = conf->hosts[i].port;
		trunk->hosts[trunk->n_hosts++] = host;
	}
}

static Tandem__Prefix **prefixes_to_pb(
	struct builder *b, const struct td_prefix *conf, size_t n, size_t *count)
{
	Tandem__Prefix **out = make(b, n, sizeof(*out));

	for (size_t i = 0; out && i < n; i++) {
		out[i] = make(b, 1, sizeof(**out));
		if (!out[i])
			break;
		tandem__prefix__init(out[i]);
		out[i]->ip = ip_to_pb(b, conf[i].ip, conf[i].family);
		out[i]->length = conf[i].len;
		*count = i + 1;
	}
	return out;
}

static void trunk_lists_to_pb(
	struct builder *b, const struct td_trunk_conf *conf, Tandem__Trunk *trunk)
{
	trunk->peers = make(b, conf->n_peers, sizeof(*trunk->peers));
	for (uint8_t i = 0; trunk->peers && i < conf->n_peers; i++) {
		trunk->peers[i] = peer_to_pb(b, &conf->peers[i]);
		if (!trunk->peers[i])
			break;
		trunk->n_peers = i + 1u;
	}
	hosts_to_pb(b, conf, trunk);
	trunk->sources = prefixes_to_pb(b, conf->sources, conf->n_sources, &trunk->n_sources);
	trunk->media_sources = prefixes_to_pb(
		b, conf->media_sources, conf->n_media_sources, &trunk->n_media_sources);
	trunk->failover_codes = make(b, conf->n_failover_codes, sizeof(*trunk->failover_codes));
	for (uint8_t i = 0; trunk->failover_codes && i < conf->n_failover_codes; i++)
		trunk->failover_codes[trunk->n_failover_codes++] = conf->failover_codes[i];
}

static void account_to_pb(
	struct builder *b, const struct td_trunk_conf *conf, Tandem__Trunk *trunk)
{
	const struct td_credentials *auth = &conf->credentials;
	const struct td_register_conf *reg = &conf->registration;

	if (auth->realm[0] != '\0') {
		trunk->auth_username = text_to_pb(b, auth->username);
		trunk->auth_realm = text_to_pb(b, auth->realm);
		trunk->auth_ha1_md5 = bytes_to_pb(b, auth->ha1_md5, sizeof(auth->ha1_md5));
		trunk->auth_ha1_sha256 = bytes_to_pb(b, auth->ha1_sha256, sizeof(auth->ha1_sha256));
	}
	if (reg->expires_s == 0)
		return;
	trunk->register_user = text_to_pb(b, reg->user);
	trunk->register_domain = text_to_pb(b, reg->domain);
	trunk->register_contact = text_to_pb(b, reg->contact);
	trunk->register_expires_s = reg->expires_s;
}

static void health_to_pb(const struct td_health_conf *conf, Tandem__Trunk *trunk)
{
	trunk->health_probe = conf->probe;
	trunk->health_interval_ms = conf->interval_ms;
	trunk->health_timeout_ms = conf->timeout_ms;
	trunk->health_down_after = conf->down_after;
	trunk->health_up_after = conf->up_after;
	trunk->health_return_ms = conf->return_ms;
	trunk->health_silent_after = conf->silent_after;
}

static Tandem__Trunk *trunk_to_pb(struct builder *b, const struct td_trunk_conf *conf)
{
	Tandem__Trunk *trunk = make(b, 1, sizeof(*trunk));

	if (!trunk)
		return NULL;
	tandem__trunk__init(trunk);
	trunk->name = text_to_pb(b, conf->name);
	trunk->realm = text_to_pb(b, conf->realm);
	trunk->plan = text_to_pb(b, conf->plan);
	trunk->enabled = conf->enabled;
	trunk->early_single = conf->early_single;
	trunk->use_rn = conf->use_rn;
	trunk->trust = conf->trust;
	trunk->match_listener = text_to_pb(b, conf->match.listener);
	trunk->match_tech_prefix = text_to_pb(b, conf->match.tech_prefix);
	trunk->match_domain = text_to_pb(b, conf->match.domain);
	trunk->match_source_port = conf->match.source_port;
	trunk->max_calls = conf->max_calls;
	trunk->max_cps = conf->max_cps;
	trunk->cps_burst = conf->cps_burst;
	trunk->attempt_timeout_ms = conf->attempt_timeout_ms;
	trunk->ring_timeout_ms = conf->ring_timeout_ms;
	trunk->max_duration_s = conf->max_duration_s;
	trunk->media_timeout_s = conf->media_timeout_s;
	health_to_pb(&conf->health, trunk);
	trunk_lists_to_pb(b, conf, trunk);
	account_to_pb(b, conf, trunk);
	trunk->numbers = numbers_to_pb(b, &conf->numbers);
	return trunk;
}

static Tandem__RouteTarget **targets_to_pb(
	struct builder *b, const struct td_route_target_conf *conf, uint16_t n, size_t *count)
{
	Tandem__RouteTarget **out = make(b, n, sizeof(*out));

	for (uint16_t i = 0; out && i < n; i++) {
		Tandem__RouteTarget *target = make(b, 1, sizeof(*target));
		if (!target)
			break;
		tandem__route_target__init(target);
		target->trunk = text_to_pb(b, conf[i].trunk);
		target->registrar = conf[i].registrar;
		target->priority = conf[i].priority;
		target->weight = conf[i].weight;
		target->cost = conf[i].cost;
		out[(*count)++] = target;
	}
	return out;
}

static Tandem__Route *route_to_pb(struct builder *b, const struct td_route_conf *conf)
{
	Tandem__Route *route = make(b, 1, sizeof(*route));

	if (!route)
		return NULL;
	tandem__route__init(route);
	route->prefix = text_to_pb(b, conf->prefix);
	route->domain = text_to_pb(b, conf->domain);
	route->from = make(b, conf->n_from, sizeof(*route->from));
	for (uint16_t i = 0; route->from && i < conf->n_from; i++)
		route->from[route->n_from++] = text_to_pb(b, conf->from[i]);
	route->caller = text_to_pb(b, conf->caller);
	route->window = text_to_pb(b, conf->window);
	route->name = text_to_pb(b, conf->name);
	route->limit = text_to_pb(b, conf->limit);
	route->failover = text_to_pb(b, conf->failover);
	route->max_duration_s = conf->max_duration_s;
	route->block = conf->block;
	route->to = targets_to_pb(b, conf->to, conf->n_to, &route->n_to);
	return route;
}

static Tandem__Group *group_to_pb(struct builder *b, const struct td_group_conf *conf)
{
	Tandem__Group *group = make(b, 1, sizeof(*group));

	if (!group)
		return NULL;
	tandem__group__init(group);
	group->name = text_to_pb(b, conf->name);
	group->max_calls = conf->limit.max_calls;
	group->max_cps = conf->limit.max_cps;
	group->cps_burst = conf->limit.cps_burst;
	group->to = targets_to_pb(b, conf->members, conf->n_members, &group->n_to);
	return group;
}

static Tandem__Window *window_to_pb(struct builder *b, const struct td_window_conf *conf)
{
	Tandem__Window *window = make(b, 1, sizeof(*window));

	if (!window)
		return NULL;
	tandem__window__init(window);
	window->name = text_to_pb(b, conf->name);
	window->zone = text_to_pb(b, conf->zone);
	window->periods = make(b, conf->n_periods, sizeof(*window->periods));
	window->steps = make(b, conf->n_steps, sizeof(*window->steps));
	for (uint8_t i = 0; window->periods && i < conf->n_periods; i++) {
		Tandem__Period *p = make(b, 1, sizeof(*p));
		if (!p)
			break;
		tandem__period__init(p);
		p->first_day = conf->periods[i].first_day;
		p->last_day = conf->periods[i].last_day;
		p->from_min = conf->periods[i].from_min;
		p->to_min = conf->periods[i].to_min;
		p->weekdays = conf->periods[i].weekdays;
		window->periods[window->n_periods++] = p;
	}
	for (uint8_t i = 0; window->steps && i < conf->n_steps; i++) {
		Tandem__ZoneStep *step = make(b, 1, sizeof(*step));
		if (!step)
			break;
		tandem__zone_step__init(step);
		step->at_s = conf->steps[i].at_s;
		step->offset_s = conf->steps[i].offset_s;
		window->steps[window->n_steps++] = step;
	}
	return window;
}

static Tandem__Failover *failover_to_pb(struct builder *b, const struct td_failover_conf *conf)
{
	Tandem__Failover *failover = make(b, 1, sizeof(*failover));

	if (!failover)
		return NULL;
	tandem__failover__init(failover);
	failover->name = text_to_pb(b, conf->name);
	failover->classes = conf->classes;
	failover->attempt_timeout_ms = conf->attempt_timeout_ms;
	failover->codes = make(b, conf->n_codes, sizeof(*failover->codes));
	for (uint8_t i = 0; failover->codes && i < conf->n_codes; i++)
		failover->codes[failover->n_codes++] = conf->codes[i];
	return failover;
}

static Tandem__RouteLimit *limit_to_pb(struct builder *b, const struct td_limit_conf *conf)
{
	Tandem__RouteLimit *limit = make(b, 1, sizeof(*limit));

	if (!limit)
		return NULL;
	tandem__route_limit__init(limit);
	limit->name = text_to_pb(b, conf->name);
	limit->max_calls = conf->limit.max_calls;
	limit->max_cps = conf->limit.max_cps;
	limit->cps_burst = conf->limit.cps_burst;
	return limit;
}

static void routing_to_pb(
	struct builder *b, const struct td_policy_conf *conf, Tandem__Policy *policy)
{
	policy->groups = make(b, conf->n_groups, sizeof(*policy->groups));
	policy->windows = make(b, conf->n_windows, sizeof(*policy->windows));
	policy->failovers = make(b, conf->n_failovers, sizeof(*policy->failovers));
	policy->route_limits = make(b, conf->n_limits, sizeof(*policy->route_limits));
	policy->rules = make(b, conf->n_rules, sizeof(*policy->rules));
	policy->plans = make(b, conf->n_plans, sizeof(*policy->plans));
	policy->realms = make(b, conf->n_realms, sizeof(*policy->realms));
	policy->subscribers = numbers_to_pb(b, &conf->subscribers);
	policy->subscribers_media_timeout_s = conf->subscribers_media_timeout_s;
	policy->subscribers_max_duration_s = conf->subscribers_max_duration_s;
	for (uint32_t i = 0; !b->failed && i < conf->n_groups; i++)
		policy->groups[policy->n_groups++] = group_to_pb(b, &conf->groups[i]);
	for (uint32_t i = 0; !b->failed && i < conf->n_windows; i++)
		policy->windows[policy->n_windows++] = window_to_pb(b, &conf->windows[i]);
	for (uint32_t i = 0; !b->failed && i < conf->n_failovers; i++)
		policy->failovers[policy->n_failovers++] = failover_to_pb(b, &conf->failovers[i]);
	for (uint32_t i = 0; !b->failed && i < conf->n_limits; i++)
		policy->route_limits[policy->n_route_limits++] = limit_to_pb(b, &conf->limits[i]);
	for (uint32_t i = 0; !b->failed && i < conf->n_rules; i++)
		policy->rules[policy->n_rules++] = rule_to_pb(b, &conf->rules[i]);
	for (uint32_t i = 0; !b->failed && i < conf->n_plans; i++)
		policy->plans[policy->n_plans++] = plan_to_pb(b, &conf->plans[i]);
	for (uint32_t i = 0; !b->failed && i < conf->n_realms; i++)
		if (conf->realms[i].subscribers.from_realm != 0)
			policy->realms[policy->n_realms++] = realm_to_pb(b, &conf->realms[i]);
}

Tandem__Policy *td_policy_to_pb(const struct td_policy_conf *conf)
{
	struct builder b = { false };
	Tandem__Policy *policy = make(&b, 1, sizeof(*policy));

	if (!policy)
		return NULL;
	tandem__policy__init(policy);
	policy->generation = conf->generation;
	policy->max_calls = conf->max_calls;
	policy->max_cps = conf->max_cps;
	policy->cps_burst = conf->cps_burst;
	policy->source_cps = conf->source_cps;
	policy->drain_s = conf->drain_s;
	policy->emergency_numbers =
		make(&b, conf->n_emergency, sizeof(*policy->emergency_numbers));
	for (uint32_t i = 0; !b.failed && i < conf->n_emergency; i++)
		policy->emergency_numbers[policy->n_emergency_numbers++] =
			text_to_pb(&b, conf->emergency[i]);
	policy->trunks = make(&b, conf->n_trunks, sizeof(*policy->trunks));
	policy->routes = make(&b, conf->n_routes, sizeof(*policy->routes));
	for (uint32_t i = 0; !b.failed && i < conf->n_trunks; i++)
		policy->trunks[policy->n_trunks++] = trunk_to_pb(&b, &conf->trunks[i]);
	for (uint32_t i = 0; !b.failed && i < conf->n_routes; i++)
		policy->routes[policy->n_routes++] = route_to_pb(&b, &conf->routes[i]);
	routing_to_pb(&b, conf, policy);
	if (b.failed) {
		tandem__policy__free_unpacked(policy, NULL);
		return NULL;
	}
	return policy;
}

// --- bytes ---

uint8_t *td_policy_pack(const struct td_policy_conf *conf, size_t *len)
{
	Tandem__Policy *policy = td_policy_to_pb(conf);
	uint8_t *bytes = NULL;

	if (policy) {
		*len = tandem__policy__get_packed_size(policy);
		bytes = malloc(*len + 1);
		if (bytes)
			tandem__policy__pack(policy, bytes);
		tandem__policy__free_unpacked(policy, NULL);
	}
	return bytes;
}

uint64_t td_policy_generation_of(const struct td_policy_conf *conf)
{
	struct td_policy_conf plain = *conf;
	uint64_t hash = 0xcbf29ce484222325u; // FNV-1a
	size_t len;

	plain.generation = 0;
	uint8_t *bytes = td_policy_pack(&plain, &len);
	for (size_t i = 0; bytes && i < len; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3u;
	free(bytes);
	return hash ? hash : 1;
}
