// SPDX-License-Identifier: BSD-3-Clause
// Routing policy as people write it and as control pushes it: plain data, one allocation of arrays,
// no pointers into other processes. sip/policy.h compiles it into what workers read.
#pragma once

#include "include/addr.h"
#include "include/ceilings.h"

// Who the switch is to a provider, who challenges it (RFC 7616 §3.4). A password is nowhere in it:
// HA1 = H(username:realm:password) of each algorithm. The realm is part of it, so that nobody else
// can have a challenge answered.
struct td_credentials {
	char username[64];
	char realm[64]; // empty: there are none
	uint8_t ha1_md5[16];
	uint8_t ha1_sha256[32];
};

// How the switch registers itself at a trunk's peers (RFC 3261 §10.2).
struct td_register_conf {
	char user[64];    // of the AoR
	char domain[64];  // of the AoR
	char contact[64]; // user part of our Contact
	uint32_t expires_s; // to ask for; 0: it does not register
};

// What may be at once, and how fast it may begin.
struct td_limit {
	uint32_t max_calls; // 0: no limit
	uint32_t max_cps;   // new INVITEs a second; 0: no limit
	uint32_t cps_burst; // of them at once; 0: one second's worth
};

// Whose limit it is. Each kind has names of its own.
enum td_limit_kind {
	TD_LIMIT_WHOLE, // limits.calls and limits.cps, of no name
	TD_LIMIT_TRUNK,
	TD_LIMIT_GROUP,
	TD_LIMIT_ROUTE, // route_limits
	TD_LIMIT__KINDS
};

enum td_trust { TD_TRUST_NONE = 0, TD_TRUST_IN = 1, TD_TRUST_OUT = 2, TD_TRUST_BOTH = 3 };

// A peer's host as people write it (RFC 3263): it is in the Request-URI of what is sent there.
struct td_host_conf {
	char name[TD_HOST_LEN]; // lower case
	uint16_t port;          // 0: not given, so that SRV records say which
};

// Labels of letters, digits, '-' and '_', the last one not of digits alone (RFC 1123 §2.1), so that
// no mistyped address is taken for a name.
static inline bool td_host_is_name(struct td_span s)
{
	bool digits = true;
	uint32_t label = 0;

	for (uint32_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		bool digit = c >= '0' && c <= '9';
		if (c == '.' && label > 0) {
			label = 0;
			digits = true;
			continue;
		}
		if (!digit && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && c != '-' && c != '_')
			return false;
		digits &= digit;
		if (++label > 63)
			return false;
	}
	return label > 0 && !digits && s.len < TD_HOST_LEN;
}

struct td_peer_conf {
	struct td_sockaddr address; // family 0: of a host whose addresses are not known
	uint16_t priority;          // lower first
	uint16_t weight; // at random among neighbours of one priority and set; 0: after the others
	uint8_t transport; // enum td_transport
	uint8_t host;      // 1 + index of the trunk's host it is an address of; 0: of none
	uint8_t set;       // answers of one host and SRV priority; 0: of no host
	uint8_t zero;
};

// How an ingress trunk is told apart where sources overlap; unset fields match anything.
struct td_match_conf {
	char listener[TD_ADDR_STRLEN]; // our address[:port] the request arrived on
	char tech_prefix[TD_NAME_LEN]; // leading digits of the R-URI's user part
	char domain[128];              // host part of the From URI
	uint16_t source_port;          // 0: any
};

// What is asked of a trunk's peers, and what withdraws one and brings it back (sip/health.h).
enum td_probe { TD_PROBE_NONE, TD_PROBE_OPTIONS };

struct td_health_conf {
	uint32_t interval_ms; // between probes; without them: until a silent peer is tried again
	uint32_t timeout_ms;  // of a probe; and between one that tells of a change and the next
	uint32_t return_ms;   // from a tenth of its calls to all of them; 0: at once
	uint8_t probe;        // enum td_probe
	uint8_t down_after, up_after; // probes in a row
	uint8_t silent_after;         // calls in a row that it leaves unanswered; 0: never
};

static_assert(sizeof(struct td_health_conf) == 16, "compared as bytes");
// A number rule: the part of a number where match (PCRE2) is found becomes replace.
struct td_rule_conf {
	char name[TD_NAME_LEN];
	char match[TD_RULE_MATCH_LEN];
	char replace[TD_RULE_REPLACE_LEN]; // \0 – \9: what was found, and what its groups hold
	bool last;                         // where it applies, it is the last one of its list
};

struct td_rule_list_conf {
	uint8_t n;
	char names[TD_RULE_LIST_MAX][TD_NAME_LEN];
};

struct td_rule_lists_conf {
	struct td_rule_list_conf caller, callee;
};

// What becomes of the numbers of calls that ask a dial plan, behind their trunk's own.
struct td_plan_conf {
	char name[TD_NAME_LEN];
	struct td_rule_lists_conf rules;
};

enum td_number_accept {
	TD_NUMBER_DIALLED, // with the prefixes of the country
	TD_NUMBER_DIGITS,  // E.164 without its '+'
};

enum td_number_format {
	TD_FORMAT_KEEP,
	TD_FORMAT_E164,          // +4930123
	TD_FORMAT_PLAIN,         // 4930123
	TD_FORMAT_NATIONAL,      // 030123, of other countries 0033123
	TD_FORMAT_INTERNATIONAL, // 004930123
};

// How numbers are written at a trunk. All texts are digits, or empty.
struct td_number_form_conf {
	char country[4];
	char area[8];
	char international[8]; // prefixes
	char national[8];
	uint8_t bare_digits; // so many of them need no prefix to be a whole number; 0: none is
	uint8_t accept;      // enum td_number_accept
	uint8_t format;      // enum td_number_format, of what is sent
};

enum td_caller_refused { TD_CALLER_DEFAULT, TD_CALLER_REJECT, TD_CALLER_ANONYMOUS };

// What becomes of Privacy (RFC 3323) towards a trunk that is not trusted with identities.
enum td_privacy {
	TD_PRIVACY_HONOUR, // who asks for it is anonymous
	TD_PRIVACY_PASS,   // the trunk does that: it gets the number and the header
	TD_PRIVACY_STRIP,  // it gets the number alone
};

// Which callers a trunk may show, or may be shown.
struct td_caller_id_conf {
	char fallback[20]; // "default": of those who may not; or empty
	char allowed[TD_CALLERS_MAX][20]; // how numbers of E.164 begin
	uint8_t n_allowed;                // 0: all
	uint8_t on_refused;               // enum td_caller_refused
	uint8_t privacy;                  // enum td_privacy; of those that are shown
	bool keep_name; // the caller's, with the number that is shown in place of its own
};

// The parts of what is said of numbers: each as a whole is the trunk's own, or its realm's.
enum td_numbers_part {
	TD_PART_FORM,
	TD_PART_IN_CALLER,
	TD_PART_IN_CALLEE,
	TD_PART_OUT_CALLER,
	TD_PART_OUT_CALLEE,
	TD_PART_SHOWN_IN, // caller_id
	TD_PART_SHOWN_OUT,
	TD_PARTS
};

// What becomes of numbers: of calls that come in, first the rules, then the form; of those that go
// out, first the form, then the rules.
struct td_numbers_conf {
	struct td_rule_lists_conf in, out;
	struct td_number_form_conf form;
	struct td_caller_id_conf caller_in, caller_out;
	uint8_t from_realm; // bit n: enum td_numbers_part n is what the realm says
};

// What every call asks of a trunk stands first, on lines that lie side by side (sip/policy.h).
struct td_trunk_conf {
	char name[TD_NAME_LEN];
	bool enabled;
	bool early_single; // early = "single": one early dialog to the A side only
	bool use_rn;       // RFC 4694 rn is the routing number
	uint8_t trust;     // enum td_trust
	uint8_t n_peers, n_sources, n_media_sources, n_failover_codes;
	uint8_t n_hosts;
	uint32_t max_calls;          // 0: no limit; both directions
	uint32_t max_cps;            // 0: no limit
	uint32_t cps_burst;          // 0: one second's worth
	uint32_t attempt_timeout_ms; // INVITE sent to first response, 100 included
	uint32_t ring_timeout_ms;    // from the 100, and anew from the first one above
	uint32_t max_duration_s;     // 0: no limit
	uint32_t media_timeout_s;    // 0: off
	struct td_health_conf health;
	struct td_peer_conf peers[TD_PEERS_MAX];
	char realm[TD_NAME_LEN];
	char plan[TD_NAME_LEN]; // dial plan of its calls beside the file's routes; empty: none
	struct td_prefix sources[TD_SOURCES_MAX];       // none: the peers' addresses, any port
	struct td_prefix media_sources[TD_SOURCES_MAX]; // beside the SDP's address
	struct td_match_conf match;
	uint16_t failover_codes[16]; // beside time-out, 503 and 5xx
	struct td_credentials credentials; // towards its peers
	struct td_register_conf registration;
	struct td_host_conf hosts[TD_TRUNK_HOSTS_MAX];
	struct td_numbers_conf numbers;
};

struct td_route_target_conf {
	char trunk[TD_NAME_LEN]; // or a group of trunks; empty where registrar is set
	bool registrar;
	uint16_t priority; // lower first
	uint16_t weight;   // at random within a priority and cost
	uint32_t cost;     // millionths a minute; lower first within a priority
};

struct td_route_conf {
	uint16_t n_from, n_to;
	char from[TD_ROUTE_FROM_MAX][TD_NAME_LEN]; // trunk names; "subscribers" is reserved
	char prefix[TD_NAME_LEN];                  // td_route_row.match
	char domain[128];                          // empty for any
	char caller[TD_NAME_LEN];                  // leading digits, "anonymous", or empty for any
	char window[TD_NAME_LEN], name[TD_NAME_LEN], limit[TD_NAME_LEN], failover[TD_NAME_LEN];
	uint32_t max_duration_s; // 0: the trunk's
	uint16_t block;          // refused with that status, to is empty; 0: not
	struct td_route_target_conf to[TD_ROUTE_TARGETS_MAX];
};

// Trunks behind one name: tried by priority, and by weight within one.
struct td_group_conf {
	char name[TD_NAME_LEN];
	struct td_limit limit; // of all calls to the group
	uint8_t n_members;
	struct td_route_target_conf members[TD_ROUTE_TARGETS_MAX];
};

// Days and hours of a window, in its zone's local time. All that is set must hold.
struct td_period_conf {
	int32_t first_day, last_day; // days since 1970-01-01, inclusive; both 0: every day
	uint16_t from_min, to_min; // minutes of the day, to is not in it; from > to: over midnight
	uint8_t weekdays;          // bit 0: Monday; 0: every day
};

// From at_s (seconds since the epoch) on, local time is UTC + offset_s.
struct td_zone_step {
	int64_t at_s;
	int32_t offset_s;
};

// When a route applies: inside any of the periods.
struct td_window_conf {
	char name[TD_NAME_LEN];
	char zone[64]; // as people write it; the steps are what counts
	uint8_t n_periods, n_steps;
	struct td_period_conf periods[TD_PERIODS_MAX];
	struct td_zone_step steps[TD_ZONE_STEPS_MAX]; // ascending; before the first: its offset
};

// What makes a call go on to the next target, beside what the trunk says.
struct td_failover_conf {
	char name[TD_NAME_LEN];
	uint8_t n_codes;
	uint8_t classes; // bit n: n00 to n99
	uint16_t codes[16];
	uint32_t attempt_timeout_ms; // 0: the trunk's
};

// A limit that routes share: of a destination, whatever trunk serves it.
struct td_limit_conf {
	char name[TD_NAME_LEN];
	struct td_limit limit;
};

// What a realm says of numbers. Whoever reads the file fills it in where the realm's trunks do not
// say a part of it themselves, and likewise where subscribers do not.
struct td_realm_numbers_conf {
	char realm[TD_NAME_LEN];
	struct td_numbers_conf numbers; // as the file says it; control's alone
	// Of subscribers of this realm; those of all hold where nothing in it is from the realm.
	struct td_numbers_conf subscribers;
};

struct td_policy_conf {
	// Hash of the content: equal policies have equal generations; 0: none yet.
	uint64_t generation;
	uint32_t n_trunks, n_routes, n_groups, n_windows, n_failovers, n_limits, n_rules,
		n_plans, n_realms;
	struct td_trunk_conf *trunks; // owned, as all that follow
	struct td_route_conf *routes;
	struct td_group_conf *groups;
	struct td_window_conf *windows;
	struct td_failover_conf *failovers;
	struct td_limit_conf *limits;
	struct td_rule_conf *rules;
	struct td_plan_conf *plans;
	struct td_realm_numbers_conf *realms; // those that say something
	struct td_numbers_conf subscribers; // of subscribers' calls
	uint32_t subscribers_media_timeout_s, subscribers_max_duration_s; // 0: off
	// Called numbers that are emergency calls, beside urn:service:sos.
	uint32_t n_emergency;
	char emergency[TD_EMERGENCY_MAX][TD_EMERGENCY_LEN];
	uint32_t max_calls; // limits.calls
	uint32_t max_cps;   // limits.cps
	uint32_t cps_burst; // limits.cps_burst
	// limits.source_cps: new requests/s of one source; 0: no limit.
	uint32_t source_cps;
	uint32_t drain_s; // limits.drain_s
};
