// SPDX-License-Identifier: BSD-3-Clause
// Routing policy compiled for workers: immutable once made, read without a lock, replaced whole
// (architecture §4). Made by whoever pushes (data plane's main, simulator, `tandemctl check`); read
// by any thread.
#pragma once

#include "include/host.h"
#include "include/policy_conf.h"
#include "sip/core.h"
#include "sip/route_image.h"

#define TD_TRUNK_HOT 128 // bytes of a trunk that every call to it reads: two lines of the cache

struct td_policy;
struct route_plan;
struct td_numbers; // sip/numbers.h
struct td_rule;    // sip/rule.h

// A trunk as workers read it. slot is stable over reloads by name: limits and counts hang on it.
struct td_trunk {
	uint16_t realm;   // index
	uint8_t privacy;  // enum td_privacy of conf.numbers.caller_out
	bool credentials; // conf has some
	uint32_t slot;
	const struct td_numbers *numbers; // NULL: numbers stay as they are
	struct td_trunk_conf conf;
} __attribute__((aligned(TD_TRUNK_HOT)));

static_assert(offsetof(struct td_trunk, conf.peers[0].priority) <= TD_TRUNK_HOT,
	"what a call asks of a trunk with one peer");

// A limit of a group, or one that routes share. slot as of a trunk.
struct td_policy_limit {
	const char *name;
	struct td_limit limit;
	uint32_t slot;
};

// slot_of: gives the stable slot of a name of its kind (the caller keeps the table); realm_of:
// index or -1.
struct td_policy_env {
	uint32_t (*slot_of)(void *ctx, enum td_limit_kind kind, const char *name);
	int (*realm_of)(void *ctx, const char *realm_name);
	void *ctx;
	// The name of that realm (an index below n_realms) if it has a registrar, else NULL. Each
	// such realm gets a trunk "subscribers": trusted in nothing, without peers. NULL: none has.
	const char *(*registrar_realm)(void *ctx, uint16_t realm);
	uint16_t n_realms;
	// An address that a host name of one trunk has at the moment is another trunk's source too,
	// and no match tells them apart: the other one keeps it. The address is still a peer. NULL:
	// nobody is told.
	void (*source_lost)(void *source_ctx, const struct td_trunk *trunk,
		const struct td_trunk *keeper, const struct td_sockaddr *address);
	void *source_ctx;
	// Dial plans that were loaded, found by the name in their header; they outlive the policy.
	const struct td_route_image *const *plans;
	uint32_t n_plans;
};

// Compiles. NULL with *error (static text or inside error_text) where a name does not resolve,
// peers of two trunks are ambiguous inside a realm (contract: match), or memory is out. conf is not
// kept.
struct td_policy *td_policy_new(const struct td_policy_conf *conf, const struct td_policy_env *env,
	char *error_text, size_t error_cap);
void td_policy_free(struct td_policy *policy);

uint64_t td_policy_generation(const struct td_policy *policy);
uint32_t td_policy_n_trunks(const struct td_policy *policy);
const struct td_trunk *td_policy_trunk(const struct td_policy *policy, uint32_t index);
// The trunk of that name's slot, however it has moved; not one of subscribers. Index or -1.
int td_policy_by_slot(const struct td_policy *policy, uint32_t slot);
// Trunks that are enabled and register themselves. Returns how many.
uint32_t td_policy_registering(const struct td_policy *policy, const uint32_t **indices);
// Does one of those, of whatever worker, have that binding at its provider: AoR and our Contact?
bool td_policy_registers(
	const struct td_policy *policy, uint16_t realm, const struct td_register_conf *conf);
// That binding and a trunk's; 0: the same one.
int td_registers_compare(
	uint16_t realm, const struct td_register_conf *conf, const struct td_trunk *trunk);
// Trunks that are enabled and whose peers are asked by OPTIONS, in the same manner.
uint32_t td_policy_probed(const struct td_policy *policy, const uint32_t **indices);
// The policy's number rules, in the order of the file; NULL beyond the last one.
uint32_t td_policy_n_rules(const struct td_policy *policy);
const struct td_rule *td_policy_rule(const struct td_policy *policy, uint32_t index);
// What the dial plan does with the numbers of a call that comes in from that trunk, behind the
// trunk's own; plan: of the subscriber who calls, or empty. NULL: nothing.
const struct td_numbers *td_policy_plan_numbers(
	const struct td_policy *policy, const struct td_trunk *trunk, struct td_span plan);
const struct td_policy_conf *td_policy_limits(
	const struct td_policy *policy); // n_trunks, n_routes 0: limits only

// Is that an emergency call: urn:service:sos (RFC 5031), or a number of emergency.numbers? policy
// NULL: it has none.
bool td_policy_emergency(const struct td_policy *policy, const struct td_uri *uri);

// Ingress trunk of a request that came in on flow: the longest source prefix of the realm, then the
// most specific match. A disabled trunk is found too, for its calls that stand; new ones are
// refused by the call layer. Index or -1.
int td_policy_ingress(
	const struct td_policy *policy, const struct td_flow *flow, const struct td_core *core);
// The trunk of a realm's subscribers, for requests of that realm that are no other trunk's. Index
// or -1: the realm has no registrar.
int td_policy_subscribers(const struct td_policy *policy, uint16_t realm);
bool td_policy_is_subscribers(const struct td_policy *policy, uint32_t trunk);
// Is that address one of the trunk's peers or sources? (in-dialog targets, responses' sources)
bool td_policy_trunk_has(
	const struct td_policy *policy, uint32_t trunk, const struct td_sockaddr *address);
// The host that this peer was resolved from; NULL: it is written as an address, or no peer now.
const struct td_host_conf *td_trunk_host(
	const struct td_trunk *trunk, const struct td_sockaddr *peer);
// May media come from that address beside the SDP's? (trunk media.sources)
bool td_policy_media_has(
	const struct td_policy *policy, uint32_t trunk, const struct td_sockaddr *address);
// Where the call may go (contract): the longest prefix first, of the file's routes and of the dial
// plan alike; at one prefix routes that name the caller, the domain or a window before those that
// do not; then priority, then cost, then weight at random without replacement; each trunk's peers
// before the next trunk. Shorter prefixes follow as fallbacks with the trunks that were not named
// yet, and at last the peers that a call had better not try (sip/health.h). TD_DONE, or TD_REFUSED
// with 404, 503 where all trunks that were found are disabled or down, or the status of the route
// that blocks the call.
enum td_answer td_policy_route(const struct td_policy *policy, const struct td_route_query *query,
	struct td_route_answer *out);

// What such a decision will read, asked of memory while the caller does other work: it costs a step
// each where the plan is large, and nothing where the cache keeps it. A number that rules change
// until then makes it vain, not wrong.
#define TD_AHEAD_TARGETS 2

enum td_ahead_step { TD_AHEAD_OVER, TD_AHEAD_KEY, TD_AHEAD_SET, TD_AHEAD_NAMES };

// Valid inside one event.
struct td_route_ahead {
	const struct td_policy *policy;
	const struct route_plan *plan;
	const uint32_t *set;
	enum td_ahead_step step; // what has been asked for
	uint32_t n_names;
	uint16_t names[TD_AHEAD_TARGETS];
	struct td_route_cursor cursor;
};

void td_policy_ahead(const struct td_policy *policy, uint32_t trunk_in, struct td_span number,
	struct td_route_ahead *out);
// What was asked for is read, and tells what is next.
void td_policy_ahead_step(struct td_route_ahead *ahead);

// One step of that decision, for people. Texts live until the return.
struct td_route_step {
	const char *what; // "plan", "match", "pass", "target", "group", "block"
	const char *why;  // of "pass" and of a target that is not tried; NULL
	struct td_span plan, match, name;
	uint32_t priority, weight, cost;
	uint16_t status;
};

struct td_route_trace {
	void (*step)(void *ctx, const struct td_route_step *step);
	void *ctx;
};

// The same, telling each step. trace NULL: as td_policy_route().
enum td_answer td_policy_route_traced(const struct td_policy *policy,
	const struct td_route_query *query, struct td_route_answer *out,
	const struct td_route_trace *trace);

// What a target's failover stands for; NULL for 0 and what is none.
const struct td_failover_conf *td_policy_failover(const struct td_policy *policy, uint16_t index);
// The same of a target's group (kind TD_LIMIT_GROUP) and limit (TD_LIMIT_ROUTE).
const struct td_policy_limit *td_policy_limit(
	const struct td_policy *policy, enum td_limit_kind kind, uint16_t index);
// Whatever place it has in this policy; NULL: none of that slot is left.
const struct td_policy_limit *td_policy_limit_of_slot(
	const struct td_policy *policy, enum td_limit_kind kind, uint32_t slot);
