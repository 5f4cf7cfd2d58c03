// SPDX-License-Identifier: BSD-3-Clause
// The way back: nothing of what came from outside is believed.
#include "control/policy_pb_priv.h"

#include "include/flow.h"

#include <stdlib.h>

static uint8_t ip_from_pb(struct checker *c, const ProtobufCBinaryData *pb, uint8_t ip[16])
{
	if (pb->len != 4 && pb->len != 16) {
		fail(c, "an IP address has neither 4 nor 16 bytes");
		return 0;
	}
	memcpy(ip, pb->data, pb->len);
	return pb->len == 4 ? TD_IPV4 : TD_IPV6;
}

static uint8_t prefixes_from_pb(
	struct checker *c, Tandem__Prefix **pb, size_t n, struct td_prefix *out)
{
	n = bounded(c, n, TD_SOURCES_MAX, "a trunk has too many sources");
	for (size_t i = 0; i < n; i++) {
		out[i].family = ip_from_pb(c, &pb[i]->ip, out[i].ip);
		out[i].len = (uint8_t)bounded(c, pb[i]->length, out[i].family == TD_IPV4 ? 32 : 128,
			"a prefix is longer than its address");
	}
	return (uint8_t)n;
}

static void peers_from_pb(struct checker *c, const Tandem__Trunk *pb, struct td_trunk_conf *out)
{
	out->n_peers = (uint8_t)bounded(c, pb->n_peers, TD_PEERS_MAX, "a trunk has too many peers");
	for (uint8_t i = 0; i < out->n_peers; i++) {
		const Tandem__Peer *peer = pb->peers[i];
		struct td_peer_conf *to = &out->peers[i];
		if (!peer->address) {
			fail(c, "a peer has no address");
			continue;
		}
		to->address.family = ip_from_pb(c, &peer->address->ip, to->address.ip);
		to->address.port =
			(uint16_t)bounded(c, peer->address->port, 65535, "a port is above 65535");
		to->priority =
			(uint16_t)bounded(c, peer->priority, 65535, "a priority is above 65535");
		to->transport = (uint8_t)bounded(
			c, peer->transport, TD_TRANSPORT__COUNT - 1, "a transport is unknown");
		to->weight = (uint16_t)bounded(c, peer->weight, 65535, "a weight is above 65535");
		to->host = (uint8_t)bounded(
			c, peer->host, out->n_hosts, "a peer is of a host that is none");
		to->set = (uint8_t)bounded(c, peer->set, UINT8_MAX, "a set is above 255");
	}
}

// Into URIs it goes as it is.
static void hosts_from_pb(struct checker *c, const Tandem__Trunk *pb, struct td_trunk_conf *out)
{
	out->n_hosts =
		(uint8_t)bounded(c, pb->n_hosts, TD_TRUNK_HOSTS_MAX, "a trunk has too many hosts");
	for (uint8_t i = 0; i < out->n_hosts; i++) {
		struct td_host_conf *to = &out->hosts[i];
		text_from_pb(c, pb->hosts[i]->name, to->name, sizeof(to->name));
		to->port = (uint16_t)bounded(c, pb->hosts[i]->port, 65535, "a port is above 65535");
		if (!td_host_is_name(td_span_str(to->name)))
			fail(c, "a host is no host name");
	}
}

static void hash_from_pb(
	struct checker *c, const ProtobufCBinaryData *pb, uint8_t *out, size_t bytes)
{
	if (pb->len == bytes)
		memcpy(out, pb->data, bytes);
	else
		fail(c, "a hash of credentials has the wrong length");
}

static void account_from_pb(struct checker *c, const Tandem__Trunk *pb, struct td_trunk_conf *out)
{
	struct td_credentials *auth = &out->credentials;
	struct td_register_conf *reg = &out->registration;

	text_from_pb(c, pb->auth_username, auth->username, sizeof(auth->username));
	text_from_pb(c, pb->auth_realm, auth->realm, sizeof(auth->realm));
	if (auth->realm[0] != '\0') {
		hash_from_pb(c, &pb->auth_ha1_md5, auth->ha1_md5, sizeof(auth->ha1_md5));
		hash_from_pb(c, &pb->auth_ha1_sha256, auth->ha1_sha256, sizeof(auth->ha1_sha256));
	}
	text_from_pb(c, pb->register_user, reg->user, sizeof(reg->user));
	text_from_pb(c, pb->register_domain, reg->domain, sizeof(reg->domain));
	text_from_pb(c, pb->register_contact, reg->contact, sizeof(reg->contact));
	reg->expires_s = (uint32_t)bounded(
		c, pb->register_expires_s, 86400, "a registration is longer than a day");
}

static void health_from_pb(struct checker *c, const Tandem__Trunk *pb, struct td_health_conf *out)
{
	const size_t hour_ms = 3600000;

	out->probe = (uint8_t)bounded(c, pb->health_probe, TD_PROBE_OPTIONS, "a probe is unknown");
	out->interval_ms = (uint32_t)bounded(
		c, pb->health_interval_ms, hour_ms, "a probe's interval is above an hour");
	out->timeout_ms = (uint32_t)bounded(
		c, pb->health_timeout_ms, hour_ms, "a probe's time-out is above an hour");
	out->return_ms = (uint32_t)bounded(
		c, pb->health_return_ms, hour_ms, "a peer's return takes more than an hour");
	out->down_after = (uint8_t)bounded(
		c, pb->health_down_after, TD_FINDINGS_MAX, "too many probes are asked for");
	out->up_after = (uint8_t)bounded(
		c, pb->health_up_after, TD_FINDINGS_MAX, "too many probes are asked for");
	out->silent_after = (uint8_t)bounded(
		c, pb->health_silent_after, TD_FINDINGS_MAX, "too many calls are asked for");
}

static void trunk_from_pb(struct checker *c, const Tandem__Trunk *pb, struct td_trunk_conf *out)
{
	text_from_pb(c, pb->name, out->name, sizeof(out->name));
	text_from_pb(c, pb->realm, out->realm, sizeof(out->realm));
	text_from_pb(c, pb->plan, out->plan, sizeof(out->plan));
	out->enabled = pb->enabled;
	out->early_single = pb->early_single;
	out->use_rn = pb->use_rn;
	out->trust = (uint8_t)bounded(c, pb->trust, TD_TRUST_BOTH, "a trust is unknown");
	hosts_from_pb(c, pb, out);
	peers_from_pb(c, pb, out);
	out->n_sources = prefixes_from_pb(c, pb->sources, pb->n_sources, out->sources);
	out->n_media_sources =
		prefixes_from_pb(c, pb->media_sources, pb->n_media_sources, out->media_sources);
	out->n_failover_codes = (uint8_t)bounded(c, pb->n_failover_codes,
		sizeof(out->failover_codes) / sizeof(out->failover_codes[0]),
		"a trunk has too many failover codes");
	for (uint8_t i = 0; i < out->n_failover_codes; i++)
		out->failover_codes[i] = (uint16_t)bounded(
			c, pb->failover_codes[i], 699, "a status code is above 699");
	text_from_pb(c, pb->match_listener, out->match.listener, sizeof(out->match.listener));
	text_from_pb(
		c, pb->match_tech_prefix, out->match.tech_prefix, sizeof(out->match.tech_prefix));
	text_from_pb(c, pb->match_domain, out->match.domain, sizeof(out->match.domain));
	out->match.source_port =
		(uint16_t)bounded(c, pb->match_source_port, 65535, "a port is above 65535");
	out->max_calls = pb->max_calls;
	out->max_cps = pb->max_cps;
	out->cps_burst = pb->cps_burst;
	out->attempt_timeout_ms = pb->attempt_timeout_ms;
	out->ring_timeout_ms = pb->ring_timeout_ms;
	out->max_duration_s = pb->max_duration_s;
	out->media_timeout_s = pb->media_timeout_s;
	health_from_pb(c, pb, &out->health);
	account_from_pb(c, pb, out);
	numbers_from_pb(c, pb->numbers, &out->numbers);
}

static size_t targets_from_pb(
	struct checker *c, Tandem__RouteTarget **pb, size_t n, struct td_route_target_conf *out)
{
	n = bounded(c, n, TD_ROUTE_TARGETS_MAX, "a route or group has too many targets");
	for (size_t i = 0; i < n; i++) {
		text_from_pb(c, pb[i]->trunk, out[i].trunk, sizeof(out[i].trunk));
		out[i].registrar = pb[i]->registrar;
		out[i].priority = (uint16_t)bounded(
			c, pb[i]->priority, 65535, "a priority is above 65535");
		out[i].weight =
			(uint16_t)bounded(c, pb[i]->weight, 65535, "a weight is above 65535");
		out[i].cost = pb[i]->cost;
	}
	return n;
}

static void route_from_pb(struct checker *c, const Tandem__Route *pb, struct td_route_conf *out)
{
	text_from_pb(c, pb->prefix, out->prefix, sizeof(out->prefix));
	text_from_pb(c, pb->domain, out->domain, sizeof(out->domain));
	out->n_from = (uint16_t)bounded(
		c, pb->n_from, TD_ROUTE_FROM_MAX, "a route is from too many trunks");
	for (uint16_t i = 0; i < out->n_from; i++)
		text_from_pb(c, pb->from[i], out->from[i], sizeof(out->from[i]));
	out->n_to = (uint16_t)targets_from_pb(c, pb->to, pb->n_to, out->to);
	text_from_pb(c, pb->caller, out->caller, sizeof(out->caller));
	text_from_pb(c, pb->window, out->window, sizeof(out->window));
	text_from_pb(c, pb->name, out->name, sizeof(out->name));
	text_from_pb(c, pb->limit, out->limit, sizeof(out->limit));
	text_from_pb(c, pb->failover, out->failover, sizeof(out->failover));
	out->max_duration_s = pb->max_duration_s;
	out->block = (uint16_t)bounded(c, pb->block, 699, "a status code is above 699");
}

static void group_from_pb(struct checker *c, const Tandem__Group *pb, struct td_group_conf *out)
{
	text_from_pb(c, pb->name, out->name, sizeof(out->name));
	out->limit = (struct td_limit){ pb->max_calls, pb->max_cps, pb->cps_burst };
	out->n_members = (uint8_t)targets_from_pb(c, pb->to, pb->n_to, out->members);
}

static void window_from_pb(struct checker *c, const Tandem__Window *pb, struct td_window_conf *out)
{
	text_from_pb(c, pb->name, out->name, sizeof(out->name));
	text_from_pb(c, pb->zone, out->zone, sizeof(out->zone));
	out->n_periods =
		(uint8_t)bounded(c, pb->n_periods, TD_PERIODS_MAX, "a window has too many periods");
	for (uint8_t i = 0; i < out->n_periods; i++) {
		const Tandem__Period *p = pb->periods[i];
		out->periods[i] = (struct td_period_conf){
			.first_day = p->first_day,
			.last_day = p->last_day,
			.from_min =
				(uint16_t)bounded(c, p->from_min, 1440, "a minute is above 1440"),
			.to_min = (uint16_t)bounded(c, p->to_min, 1440, "a minute is above 1440"),
			.weekdays = (uint8_t)bounded(c, p->weekdays, 127, "a weekday is none"),
		};
	}
	out->n_steps =
		(uint8_t)bounded(c, pb->n_steps, TD_ZONE_STEPS_MAX, "a zone has too many changes");
	for (uint8_t i = 0; i < out->n_steps; i++)
		out->steps[i] =
			(struct td_zone_step){ pb->steps[i]->at_s, pb->steps[i]->offset_s };
}

static void failover_from_pb(
	struct checker *c, const Tandem__Failover *pb, struct td_failover_conf *out)
{
	text_from_pb(c, pb->name, out->name, sizeof(out->name));
	out->classes = (uint8_t)bounded(c, pb->classes, 127, "a class of status codes is none");
	out->attempt_timeout_ms = pb->attempt_timeout_ms;
	out->n_codes = (uint8_t)bounded(c, pb->n_codes, sizeof(out->codes) / sizeof(out->codes[0]),
		"a failover rule has too many codes");
	for (uint8_t i = 0; i < out->n_codes; i++)
		out->codes[i] =
			(uint16_t)bounded(c, pb->codes[i], 699, "a status code is above 699");
}

static void limit_from_pb(
	struct checker *c, const Tandem__RouteLimit *pb, struct td_limit_conf *out)
{
	text_from_pb(c, pb->name, out->name, sizeof(out->name));
	out->limit = (struct td_limit){ pb->max_calls, pb->max_cps, pb->cps_burst };
}

// false: no memory.
static bool routing_from_pb(struct checker *c, const Tandem__Policy *pb, struct td_policy_conf *out)
{
	size_t groups = bounded(c, pb->n_groups, TD_GROUPS_MAX, "there are too many groups");
	size_t windows = bounded(c, pb->n_windows, TD_WINDOWS_MAX, "there are too many windows");
	size_t failovers =
		bounded(c, pb->n_failovers, TD_FAILOVERS_MAX, "there are too many failover rules");
	size_t limits = bounded(c, pb->n_route_limits, TD_LIMITS_MAX, "there are too many limits");
	size_t rules = bounded(c, pb->n_rules, TD_RULES_MAX, "there are too many number rules");
	size_t plans = bounded(c, pb->n_plans, TD_PLANS_MAX, "too many plans have rules");
	size_t realms = bounded(c, pb->n_realms, TD_REALMS_MAX, "there are too many realms");

	out->groups = calloc(groups + 1, sizeof(*out->groups));
	out->windows = calloc(windows + 1, sizeof(*out->windows));
	out->failovers = calloc(failovers + 1, sizeof(*out->failovers));
	out->limits = calloc(limits + 1, sizeof(*out->limits));
	out->rules = calloc(rules + 1, sizeof(*out->rules));
	out->plans = calloc(plans + 1, sizeof(*out->plans));
	out->realms = calloc(realms + 1, sizeof(*out->realms));
	if (!out->groups || !out->windows || !out->failovers || !out->limits || !out->rules ||
		!out->plans || !out->realms)
		return false;
	for (; out->n_groups < groups; out->n_groups++)
		group_from_pb(c, pb->groups[out->n_groups], &out->groups[out->n_groups]);
	for (; out->n_windows < windows; out->n_windows++)
		window_from_pb(c, pb->windows[out->n_windows], &out->windows[out->n_windows]);
	for (; out->n_failovers < failovers; out->n_failovers++)
		failover_from_pb(
			c, pb->failovers[out->n_failovers], &out->failovers[out->n_failovers]);
	for (; out->n_limits < limits; out->n_limits++)
		limit_from_pb(c, pb->route_limits[out->n_limits], &out->limits[out->n_limits]);
	for (; out->n_rules < rules; out->n_rules++)
		rule_from_pb(c, pb->rules[out->n_rules], &out->rules[out->n_rules]);
	for (; out->n_plans < plans; out->n_plans++)
		plan_from_pb(c, pb->plans[out->n_plans], &out->plans[out->n_plans]);
	for (; out->n_realms < realms; out->n_realms++)
		realm_from_pb(c, pb->realms[out->n_realms], &out->realms[out->n_realms]);
	numbers_from_pb(c, pb->subscribers, &out->subscribers);
	out->subscribers_media_timeout_s = pb->subscribers_media_timeout_s;
	out->subscribers_max_duration_s = pb->subscribers_max_duration_s;
	return true;
}

struct td_policy_conf *td_policy_from_pb(const Tandem__Policy *policy, const char **error)
{
	struct checker c = { NULL };
	size_t n_trunks = bounded(&c, policy->n_trunks, TD_TRUNKS_MAX, "there are too many trunks");
	size_t n_routes = bounded(&c, policy->n_routes, TD_ROUTES_MAX, "there are too many routes");
	struct td_policy_conf *conf = calloc(1, sizeof(*conf));

	if (conf) {
		conf->trunks = calloc(n_trunks + 1, sizeof(*conf->trunks));
		conf->routes = calloc(n_routes + 1, sizeof(*conf->routes));
	}
	if (!conf || !conf->trunks || !conf->routes || !routing_from_pb(&c, policy, conf)) {
		td_policy_conf_free(conf);
		*error = "no memory";
		return NULL;
	}
	conf->generation = policy->generation;
	conf->max_calls = policy->max_calls;
	conf->max_cps = policy->max_cps;
	conf->cps_burst = policy->cps_burst;
	conf->source_cps = policy->source_cps;
	conf->drain_s = policy->drain_s;
	conf->n_emergency = (uint32_t)bounded(&c, policy->n_emergency_numbers, TD_EMERGENCY_MAX,
		"there are too many emergency numbers");
	for (uint32_t i = 0; i < conf->n_emergency; i++)
		text_from_pb(&c, policy->emergency_numbers[i], conf->emergency[i],
			TD_EMERGENCY_LEN);
	for (; conf->n_trunks < n_trunks; conf->n_trunks++)
		trunk_from_pb(&c, policy->trunks[conf->n_trunks], &conf->trunks[conf->n_trunks]);
	for (; conf->n_routes < n_routes; conf->n_routes++)
		route_from_pb(&c, policy->routes[conf->n_routes], &conf->routes[conf->n_routes]);
	if (c.error) {
		td_policy_conf_free(conf);
		*error = c.error;
		return NULL;
	}
	return conf;
}

void td_policy_conf_free(struct td_policy_conf *conf)
{
	if (!conf)
		return;
	free(conf->trunks);
	free(conf->routes);
	free(conf->groups);
	free(conf->windows);
	free(conf->failovers);
	free(conf->limits);
	free(conf->rules);
	free(conf->plans);
	free(conf->realms);
	free(conf);
}

struct td_policy_conf *td_policy_unpack(const uint8_t *bytes, size_t len, const char **error)
{
	Tandem__Policy *policy = tandem__policy__unpack(NULL, len, bytes);
	struct td_policy_conf *conf;

	if (!policy) {
		*error = "not a Policy message";
		return NULL;
	}
	conf = td_policy_from_pb(policy, error);
	tandem__policy__free_unpacked(policy, NULL);
	return conf;
}
