// SPDX-License-Identifier: BSD-3-Clause
// Every key of the configuration: the one place where a key, its range and its default are said.
// tandem.conf(5) describes them in the same order.
#include "control/config_schema.h"

#include "include/flow.h"

#define PLACE(record, field)                                                                       \
	.offset = offsetof(struct record, field), .size = sizeof(((struct record *)0)->field)
#define NAME(k, record, field, ...)                                                                \
	{                                                                                          \
		.key = k, .kind = CFG_NAME, PLACE(record, field), __VA_ARGS__                      \
	}
#define TEXT(k, record, field, ...)                                                                \
	{                                                                                          \
		.key = k, .kind = CFG_TEXT, PLACE(record, field), __VA_ARGS__                      \
	}
#define PATH(k, record, field, dflt)                                                               \
	{                                                                                          \
		.key = k, .kind = CFG_PATH, PLACE(record, field), .text = dflt                     \
	}
#define NUMBER(k, record, field, lo, hi, dflt) \
	{ .key = k, .kind = CFG_NUMBER, PLACE(record, field), .min = lo, .max = hi, .preset = dflt }
// dflt is in the unit that is kept.
#define SECONDS(k, record, field, per_s, lo, hi, dflt)                                             \
	{                                                                                          \
		.key = k, .kind = CFG_SECONDS, PLACE(record, field), .scale = per_s, .min = lo,    \
		.max = hi, .preset = dflt                                                          \
	}
#define BOOL(k, record, field, dflt)                                                               \
	{                                                                                          \
		.key = k, .kind = CFG_BOOL, PLACE(record, field), .preset = dflt                   \
	}
#define CHOICE(k, record, field, list, dflt) \
	{ .key = k, .kind = CFG_CHOICE, PLACE(record, field), .words = list, .preset = dflt }
#define DIGITS(k, record, field) { .key = k, .kind = CFG_DIGITS, PLACE(record, field) }
// Of a record inside the record.
#define INSIDE(k, fields, record, field)                                                           \
	{ .key = k, .kind = CFG_GROUP, .group = fields, .offset = offsetof(struct record, field) }
#define GROUP(k, fields, ...) { .key = k, .kind = CFG_GROUP, .group = fields, __VA_ARGS__ }
#define LIST(k, desc, ...) { .key = k, .kind = CFG_LIST, .list = &(desc), __VA_ARGS__ }
#define READ(k, function, ...) { .key = k, .kind = CFG_READ, .read = function, __VA_ARGS__ }
#define LATER(k) { .key = k, .kind = CFG_LATER }
#define REQUIRED .required = true
#define END { .key = NULL }

static const char *const poll_words[] = { "adaptive", "busy", NULL, NULL };
static const char *const checksum_words[] = { "auto", "verify", "trust", NULL, NULL };
static const char *const punt_words[] = { "none", NULL, "tap", NULL };
static const char *const transport_words[] = { "udp", NULL, "tcp", "tls", "ws", "wss", "sctp",
	NULL };
static const char *const source_words[] = { "strict", "learn-once", NULL, "authenticated", NULL };
static const char *const unknown_words[] = { "drop", "403", NULL, NULL };
static const char *const trust_words[] = { "none", "in", "out", "both", NULL, NULL };
static const char *const share_words[] = { "local", NULL, NULL };
static const char *const durability_words[] = { "async", "sync", NULL, NULL };
static const char *const nonce_source_words[] = { "address", "any", NULL, NULL };
static const char *const ping_words[] = { "off", "options", "crlf", NULL, NULL };
static const char *const probe_words[] = { "none", "options", NULL, NULL };
static const char *const accept_words[] = { "dialled", "plain", NULL, NULL };
static const char *const format_words[] = { "keep", "e164", "plain", "national", "international",
	NULL, NULL };
static const char *const refused_words[] = { "default", "reject", "anonymous", NULL, NULL };
static const char *const privacy_words[] = { "honour", "pass", "strip", NULL, NULL };
static const char *const early_words[] = { "all", "single", NULL, NULL };

// --- the machine ---

static const struct cfg_field lcores[] = {
	NUMBER("main", td_config, main_cpu, 0, 1023, 0),
	READ("workers", cfg_read_workers, REQUIRED,
		.expected = "an array of CPU numbers, such as [ 1 ]"),
	READ("dsp", cfg_read_dsp),
	CHOICE("poll", td_config, poll, poll_words, TD_POLL_ADAPTIVE),
	END,
};

static const struct cfg_field memory[] = {
	NUMBER("huge_mb", td_config, huge_mb, 0, 1 << 22, 0),
	END,
};

static const struct cfg_field limits[] = {
	NUMBER("calls", td_config, max_calls, 1, 10000000, 1000),
	NUMBER("cps", td_config, max_cps, 1, 1000000, 100),
	NUMBER("cps_burst", td_config, cps_burst, 0, 1000000, 0),
	NUMBER("registrations", td_config, max_registrations, 0, 100000000, 0),
	NUMBER("source_cps", td_config, source_cps, 0, 1000000, 0),
	NUMBER("sip_message_bytes", td_config, sip_message_bytes, 2048, TD_SIP_MESSAGE_MAX, 16384),
	NUMBER("quarantine_ms", td_config, quarantine_ms, 0, 600000, 1000),
	SECONDS("drain_s", td_config, drain_s, 1, 0, 86400, 30),
	END,
};

static const struct cfg_field emergency[] = {
	READ("numbers", cfg_read_emergency_numbers),
	END,
};

static const struct cfg_field timers[] = {
	NUMBER("t1", td_config, t1_ms, 10, 60000, 500),
	NUMBER("t2", td_config, t2_ms, 10, 600000, 4000),
	NUMBER("t4", td_config, t4_ms, 10, 600000, 5000),
	END,
};

static const struct cfg_field metrics[] = {
	BOOL("enabled", td_config, metrics_enabled, true),
	READ("address", cfg_read_metrics_address),
	NUMBER("port", td_config, metrics.port, 1, 65535, 9464),
	END,
};

static const struct cfg_field port[] = {
	NAME("name", td_port_conf, name, REQUIRED),
	TEXT("device", td_port_conf, device, REQUIRED),
	CHOICE("rx_checksum", td_port_conf, rx_checksum, checksum_words, TD_CHECKSUM_AUTO),
	CHOICE("punt", td_port_conf, punt_tap, punt_words, 0),
	NUMBER("mtu", td_port_conf, mtu, 576, 9216, 0),
	END,
};

// --- realms ---

static const struct cfg_field listener[] = {
	CHOICE("transport", td_listener_conf, transport, transport_words, TD_UDP),
	NUMBER("port", td_listener_conf, port, 1, 65535, 5060),
	END,
};

static const struct cfg_list listeners = { .group = listener,
	.max = TD_REALM_LISTENERS_MAX,
	.element_bytes = sizeof(struct td_listener_conf),
	.offset = offsetof(struct td_realm_conf, sip),
	.count_offset = offsetof(struct td_realm_conf, n_listeners),
	.count_bytes = 1 };

static const struct cfg_field realm_media[] = {
	READ("ports", cfg_read_media_ports),
	CHOICE("source", td_realm_conf, media_source, source_words, TD_SOURCE_STRICT),
	READ("addresses", cfg_read_media_addresses),
	END,
};

static const struct cfg_field dscp[] = {
	NUMBER("sip", td_realm_conf, dscp_sip, 0, 63, 24),
	NUMBER("rtp", td_realm_conf, dscp_rtp, 0, 63, 46),
	END,
};

static const struct cfg_field registrar[] = {
	READ("domains", cfg_read_registrar_domains, REQUIRED,
		.expected = "an array of the domains that register here, such as [ "
			    "\"tandem.example\" ]"),
	READ("algorithms", cfg_read_registrar_algorithms),
	SECONDS("min_expires", td_realm_conf, registrar.min_expires_s, 1, 1, 86400, 60),
	SECONDS("max_expires", td_realm_conf, registrar.max_expires_s, 1, 1, 604800, 3600),
	SECONDS("default_expires", td_realm_conf, registrar.default_expires_s, 1, 1, 604800, 3600),
	NUMBER("max_contacts", td_realm_conf, registrar.max_contacts, 1, TD_CONTACTS_MAX, 5),
	SECONDS("nonce_lifetime", td_realm_conf, registrar.nonce_lifetime_s, 1, 10, 604800, 3600),
	CHOICE("nonce_source", td_realm_conf, registrar.nonce_any_source, nonce_source_words, 0),
	CHOICE("ping", td_realm_conf, registrar.ping, ping_words, TD_PING_OPTIONS),
	SECONDS("ping_interval", td_realm_conf, registrar.ping_interval_s, 1, 5, 3600, 30),
	SECONDS("flow_timer", td_realm_conf, registrar.flow_timer_s, 1, 0, 3600, 120),
	TEXT("service_route", td_realm_conf, registrar.service_route),
	END,
};

static const struct cfg_field number[] = {
	DIGITS("country", td_number_form_conf, country),
	DIGITS("area", td_number_form_conf, area),
	DIGITS("international_prefix", td_number_form_conf, international),
	DIGITS("national_prefix", td_number_form_conf, national),
	NUMBER("bare_digits", td_number_form_conf, bare_digits, 0, 15, 0),
	CHOICE("accept", td_number_form_conf, accept, accept_words, TD_NUMBER_DIALLED),
	CHOICE("format", td_number_form_conf, format, format_words, TD_FORMAT_KEEP),
	END,
};

static const struct cfg_field rule_lists[] = {
	READ("caller", cfg_read_rules_of_caller),
	READ("callee", cfg_read_rules_of_callee),
	END,
};

static const struct cfg_field trunk_rules[] = {
	INSIDE("in", rule_lists, td_numbers_conf, in),
	INSIDE("out", rule_lists, td_numbers_conf, out),
	END,
};

static const struct cfg_field caller_in[] = {
	READ("allowed", cfg_read_callers),
	READ("default", cfg_read_caller_default),
	CHOICE("on_refused", td_caller_id_conf, on_refused, refused_words, TD_CALLER_DEFAULT),
	BOOL("keep_name", td_caller_id_conf, keep_name, false),
	END,
};

static const struct cfg_field caller_out[] = {
	READ("allowed", cfg_read_callers),
	READ("default", cfg_read_caller_default),
	CHOICE("on_refused", td_caller_id_conf, on_refused, refused_words, TD_CALLER_DEFAULT),
	BOOL("keep_name", td_caller_id_conf, keep_name, false),
	CHOICE("privacy", td_caller_id_conf, privacy, privacy_words, TD_PRIVACY_HONOUR),
	END,
};

static const struct cfg_field caller_id[] = {
	INSIDE("in", caller_in, td_numbers_conf, caller_in),
	INSIDE("out", caller_out, td_numbers_conf, caller_out),
	END,
};

#define NUMBERS(record, field)                                                                     \
	INSIDE("number", number, record, field.form),                                              \
		INSIDE("rules", trunk_rules, record, field),                                       \
		INSIDE("caller_id", caller_id, record, field)

// A realm's own record is what only a start reads.
#define REALM_NUMBERS(k, fields, part)                                                             \
	{                                                                                          \
		.key = k, .kind = CFG_GROUP, .group = fields, .elsewhere = cfg_realm_numbers,      \
		.offset = part                                                                     \
	}

static const struct cfg_field realm[] = {
	NAME("name", td_realm_conf, name, REQUIRED),
	NAME("port", td_realm_conf, port, REQUIRED),
	NUMBER("vlan", td_realm_conf, vlan, 1, 4094, 0),
	NUMBER("mtu", td_realm_conf, mtu, 576, 9216, 0),
	READ("addresses", cfg_read_realm_addresses, REQUIRED,
		.expected = "an array of addresses with their prefix length, such as [ "
			    "\"192.0.2.1/24\" ]"),
	READ("advertise", cfg_read_realm_advertise),
	READ("gateways", cfg_read_realm_gateways),
	LIST("sip", listeners, REQUIRED),
	GROUP("media", realm_media),
	GROUP("dscp", dscp),
	CHOICE("unknown", td_realm_conf, unknown, unknown_words, TD_UNKNOWN_DROP),
	GROUP("registrar", registrar),
	REALM_NUMBERS("number", number, offsetof(struct td_numbers_conf, form)),
	REALM_NUMBERS("rules", trunk_rules, 0),
	REALM_NUMBERS("caller_id", caller_id, 0),
	END,
};

// --- policy ---

static const struct cfg_field peer[] = {
	NUMBER("port", td_peer_conf, address.port, 1, 65535, 0), // what is read next knows
	READ("address", cfg_read_peer_address, REQUIRED,
		.expected = "an IP address or a host name"),
	CHOICE("transport", td_peer_conf, transport, transport_words, TD_UDP),
	NUMBER("priority", td_peer_conf, priority, 0, 65535, 1),
	NUMBER("weight", td_peer_conf, weight, 0, 65535, 0),
	END,
};

static const struct cfg_list peers = { .group = peer,
	.max = TD_PEERS_MAX,
	.element_bytes = sizeof(struct td_peer_conf),
	.offset = offsetof(struct td_trunk_conf, peers),
	.count_offset = offsetof(struct td_trunk_conf, n_peers),
	.count_bytes = 1 };

static const struct cfg_field match[] = {
	READ("listener", cfg_read_listener_match),
	TEXT("tech_prefix", td_trunk_conf, match.tech_prefix),
	TEXT("domain", td_trunk_conf, match.domain),
	NUMBER("source_port", td_trunk_conf, match.source_port, 1, 65535, 0),
	END,
};

static const struct cfg_field trunk_media[] = {
	READ("sources", cfg_read_media_sources),
	LATER("codecs"),
	LATER("srtp"),
	LATER("dtmf"),
	LATER("ptime"),
	LATER("record"),
	END,
};

static const struct cfg_field health[] = {
	CHOICE("probe", td_trunk_conf, health.probe, probe_words, TD_PROBE_NONE),
	SECONDS("interval", td_trunk_conf, health.interval_ms, 1000, 1, 3600, 30000),
	SECONDS("timeout", td_trunk_conf, health.timeout_ms, 1000, 1, 30, 4000),
	NUMBER("down_after", td_trunk_conf, health.down_after, 1, TD_FINDINGS_MAX, 3),
	NUMBER("up_after", td_trunk_conf, health.up_after, 1, TD_FINDINGS_MAX, 2),
	SECONDS("return_s", td_trunk_conf, health.return_ms, 1000, 0, 3600, 60000),
	NUMBER("silent_after", td_trunk_conf, health.silent_after, 0, TD_FINDINGS_MAX, 5),
	END,
};

static const struct cfg_field plan[] = {
	NAME("name", td_plan_conf, name, REQUIRED),
	INSIDE("rules", rule_lists, td_plan_conf, rules),
	END,
};

static const struct cfg_field subscribers[] = {
	NUMBERS(td_config, policy.subscribers),
	SECONDS("max_duration", td_config, policy.subscribers_max_duration_s, 1, 0, 2592000, 0),
	SECONDS("media_timeout", td_config, policy.subscribers_media_timeout_s, 1, 0, 86400, 300),
	END,
};

static const struct cfg_field trunk[] = {
	NAME("name", td_trunk_conf, name, REQUIRED),
	NAME("realm", td_trunk_conf, realm, REQUIRED),
	BOOL("enabled", td_trunk_conf, enabled, true),
	NAME("plan", td_trunk_conf, plan),
	CHOICE("trust", td_trunk_conf, trust, trust_words, TD_TRUST_NONE),
	LIST("peers", peers),
	READ("sources", cfg_read_sources),
	GROUP("match", match),
	BOOL("use_rn", td_trunk_conf, use_rn, false),
	CHOICE("early", td_trunk_conf, early_single, early_words, 0),
	READ("failover_codes", cfg_read_failover_codes),
	NUMBER("max_calls", td_trunk_conf, max_calls, 0, 10000000, 0),
	NUMBER("max_cps", td_trunk_conf, max_cps, 0, 1000000, 0),
	NUMBER("cps_burst", td_trunk_conf, cps_burst, 0, 1000000, 0),
	SECONDS("attempt_timeout", td_trunk_conf, attempt_timeout_ms, 1000, 1, 300, 5000),
	SECONDS("ring_timeout", td_trunk_conf, ring_timeout_ms, 1000, 1, 3600, 180000),
	SECONDS("max_duration", td_trunk_conf, max_duration_s, 1, 0, 2592000, 0),
	SECONDS("media_timeout", td_trunk_conf, media_timeout_s, 1, 0, 86400, 0),
	GROUP("media", trunk_media),
	GROUP("health", health),
	NUMBERS(td_trunk_conf, numbers),
	READ("auth", cfg_read_auth),
	READ("register", cfg_read_register), // what it leaves out comes from auth
	END,
};

static const struct cfg_field target[] = {
	NAME("trunk", td_route_target_conf, trunk),
	BOOL("registrar", td_route_target_conf, registrar, false),
	NUMBER("priority", td_route_target_conf, priority, 0, 65535, 1),
	NUMBER("weight", td_route_target_conf, weight, 0, 65535, 100),
	SECONDS("cost", td_route_target_conf, cost, 1000000, 0, 4293, 0),
	END,
};

static const struct cfg_list targets = { .group = target,
	.max = TD_ROUTE_TARGETS_MAX,
	.element_bytes = sizeof(struct td_route_target_conf),
	.offset = offsetof(struct td_route_conf, to),
	.count_offset = offsetof(struct td_route_conf, n_to),
	.count_bytes = 2 };

static const struct cfg_field route[] = {
	READ("from", cfg_read_route_from, REQUIRED,
		.expected = "an array of trunk names, such as [ \"carrier-a\" ]"),
	READ("prefix", cfg_read_route_prefix),
	TEXT("domain", td_route_conf, domain),
	TEXT("caller", td_route_conf, caller),
	NAME("window", td_route_conf, window),
	NAME("name", td_route_conf, name),
	NAME("limit", td_route_conf, limit),
	NAME("failover", td_route_conf, failover),
	SECONDS("max_duration", td_route_conf, max_duration_s, 1, 0, 2592000, 0),
	NUMBER("block", td_route_conf, block, 400, 699, 0),
	LIST("to", targets),
	END,
};

static const struct cfg_list members = { .group = target,
	.max = TD_ROUTE_TARGETS_MAX,
	.element_bytes = sizeof(struct td_route_target_conf),
	.offset = offsetof(struct td_group_conf, members),
	.count_offset = offsetof(struct td_group_conf, n_members),
	.count_bytes = 1 };

#define LIMIT(record)                                                                              \
	NUMBER("max_calls", record, limit.max_calls, 0, 10000000, 0),                              \
		NUMBER("max_cps", record, limit.max_cps, 0, 1000000, 0),                           \
		NUMBER("cps_burst", record, limit.cps_burst, 0, 1000000, 0)

static const struct cfg_field rule[] = {
	NAME("name", td_rule_conf, name, REQUIRED),
	READ("match", cfg_read_rule_match, REQUIRED, .expected = "a pattern, such as \"^00(.*)\""),
	READ("replace", cfg_read_rule_replace, REQUIRED,
		.expected = "what that becomes, such as \"+\\\\1\""),
	BOOL("last", td_rule_conf, last, false),
	END,
};

static const struct cfg_field group[] = {
	NAME("name", td_group_conf, name, REQUIRED),
	LIMIT(td_group_conf),
	LIST("to", members, REQUIRED),
	END,
};

static const struct cfg_field period[] = {
	READ("days", cfg_read_weekdays),
	READ("dates", cfg_read_dates),
	READ("from", cfg_read_from_minute),
	READ("to", cfg_read_to_minute),
	END,
};

static const struct cfg_list periods = { .group = period,
	.max = TD_PERIODS_MAX,
	.element_bytes = sizeof(struct td_period_conf),
	.offset = offsetof(struct td_window_conf, periods),
	.count_offset = offsetof(struct td_window_conf, n_periods),
	.count_bytes = 1 };

static const struct cfg_field window[] = {
	NAME("name", td_window_conf, name, REQUIRED),
	READ("zone", cfg_read_zone),
	LIST("periods", periods, REQUIRED),
	END,
};

static const struct cfg_field route_limit[] = {
	NAME("name", td_limit_conf, name, REQUIRED),
	LIMIT(td_limit_conf),
	END,
};

static const struct cfg_field failover[] = {
	NAME("name", td_failover_conf, name, REQUIRED),
	READ("codes", cfg_read_failover_rule_codes),
	READ("classes", cfg_read_failover_rule_classes),
	SECONDS("attempt_timeout", td_failover_conf, attempt_timeout_ms, 1000, 0, 300, 0),
	END,
};

// --- call detail records ---

#define CDR_FILE(which)                                                                            \
	PATH("path", td_config, which.path, ""),                                                   \
		NUMBER("rotate_mb", td_config, which.rotate_mb, 1, 1 << 20, 100),                  \
		SECONDS("rotate_s", td_config, which.rotate_s, 1, 0, 31536000, 86400),             \
		NUMBER("keep", td_config, which.keep, 0, 100000, 30), END

static const struct cfg_field cdr_csv[] = { CDR_FILE(cdr_csv) };
static const struct cfg_field cdr_jsonl[] = { CDR_FILE(cdr_jsonl) };

static const struct cfg_field cdr[] = {
	GROUP("csv", cdr_csv),
	GROUP("jsonl", cdr_jsonl),
	SECONDS("interim_s", td_config, cdr_interim_s, 1, 0, 86400, 0),
	END,
};

static const struct cfg_field dns[] = {
	READ("servers", cfg_read_dns_servers),
	SECONDS("timeout", td_config, dns.timeout_ms, 1000, 0, 30, 2000),
	NUMBER("tries", td_config, dns.tries, 1, 10, 2),
	SECONDS("min_ttl", td_config, dns.min_ttl_s, 1, 1, 86400, 10),
	SECONDS("max_ttl", td_config, dns.max_ttl_s, 1, 1, 604800, 3600),
	END,
};

// --- the file ---

static const struct cfg_field location[] = {
	CHOICE("share", td_config, location_share, share_words, 0),
	CHOICE("durability", td_config, location_sync, durability_words, 0),
	END,
};

static const struct cfg_list ports = { .group = port, .max = TD_PORTS_MAX,
	.element_bytes = sizeof(struct td_port_conf), .offset = offsetof(struct td_config, ports),
	.count_offset = offsetof(struct td_config, n_ports), .count_bytes = 1 };
static const struct cfg_list realms = { .group = realm, .max = TD_REALMS_MAX,
	.element_bytes = sizeof(struct td_realm_conf), .offset = offsetof(struct td_config, realms),
	.count_offset = offsetof(struct td_config, n_realms), .count_bytes = 1 };
static const struct cfg_list trunks = { .group = trunk,
	.max = TD_TRUNKS_MAX,
	.element_bytes = sizeof(struct td_trunk_conf),
	.offset = offsetof(struct td_config, policy.trunks),
	.count_offset = offsetof(struct td_config, policy.n_trunks),
	.count_bytes = 4,
	.owned = true };
static const struct cfg_list routes = { .group = route,
	.max = TD_ROUTES_MAX,
	.element_bytes = sizeof(struct td_route_conf),
	.offset = offsetof(struct td_config, policy.routes),
	.count_offset = offsetof(struct td_config, policy.n_routes),
	.count_bytes = 4,
	.owned = true };

#define POLICY_LIST(variable, fields, ceiling, record, place, count)                               \
	static const struct cfg_list variable = { .group = fields,                                 \
		.max = ceiling,                                                                    \
		.element_bytes = sizeof(struct record),                                            \
		.offset = offsetof(struct td_config, policy.place),                                \
		.count_offset = offsetof(struct td_config, policy.count),                          \
		.count_bytes = 4,                                                                  \
		.owned = true }

POLICY_LIST(groups, group, TD_GROUPS_MAX, td_group_conf, groups, n_groups);
POLICY_LIST(windows, window, TD_WINDOWS_MAX, td_window_conf, windows, n_windows);
POLICY_LIST(failovers, failover, TD_FAILOVERS_MAX, td_failover_conf, failovers, n_failovers);
POLICY_LIST(route_limits, route_limit, TD_LIMITS_MAX, td_limit_conf, limits, n_limits);

POLICY_LIST(rules, rule, TD_RULES_MAX, td_rule_conf, rules, n_rules);
POLICY_LIST(plans, plan, TD_PLANS_MAX, td_plan_conf, plans, n_plans);

const struct cfg_field cfg_top[] = {
	NAME("node", td_config, node, .text = "tandem-1"),
	PATH("run_dir", td_config, run_dir, "/run/tandem"),
	PATH("state_dir", td_config, state_dir, "/var/lib/tandem"),
	GROUP("lcores", lcores, REQUIRED),
	GROUP("memory", memory),
	GROUP("limits", limits),
	GROUP("emergency", emergency),
	GROUP("sip", timers),
	GROUP("metrics", metrics),
	GROUP("dns", dns),
	LIST("ports", ports, REQUIRED),
	LIST("realms", realms, REQUIRED),
	LIST("rules", rules),
	LIST("trunks", trunks),
	LIST("plans", plans),
	GROUP("subscribers", subscribers),
	LIST("groups", groups),
	LIST("windows", windows),
	LIST("failovers", failovers),
	LIST("route_limits", route_limits),
	LIST("routes", routes),
	READ("store", cfg_read_store),
	GROUP("cdr", cdr),
	GROUP("location", location),
	END,
};
