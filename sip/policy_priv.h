// SPDX-License-Identifier: BSD-3-Clause
// The inside of a compiled policy, for policy*.c alone.
//
// Every array is allocated while compiling and never changes afterwards: readers need no lock.
#pragma once

#include "sip/numbers.h"
#include "sip/policy.h"
#include "sip/route_image.h"

// One trunk that may be meant by a source prefix. Those of one prefix stand together, the more
// specific match first.
struct ingress_entry {
	struct td_prefix prefix; // host bits zero
	uint16_t realm;
	uint16_t fields; // how many fields of match are set
	uint32_t trunk;
	struct td_sockaddr listener; // match.listener; family 0: any
	// Those of one prefix that have as many fields, as long a tech_prefix, and a domain or
	// none, are a run, in the order of those: where it ends, and of its first entry where the
	// next run of the same prefix begins; UINT32_MAX: there is none.
	uint32_t run_end, next_run;
	bool resolved;               // an address that a host name has at the moment
};

// The prefix lengths that occur in a realm, longest first: each is one probe of the table.
struct ingress_lengths {
	uint8_t n[2]; // of IPv4, IPv6
	uint8_t len[2][129];
};

struct ingress {
	struct ingress_entry *entries;
	uint32_t n_entries;
	uint32_t *table; // open addressing: first entry of a prefix, UINT32_MAX: free
	uint32_t mask;
	struct ingress_lengths *realms; // by realm index
	uint32_t n_realms;
};

// A name in a plan's image, as this policy means it.
struct route_name {
	uint32_t to;                      // trunk, ROUTE_GROUP + index, ROUTE_REGISTRAR, ROUTE_NONE
	uint16_t window, failover, limit; // index + 1; 0: none of that name
};

#define ROUTE_NONE UINT32_MAX
#define ROUTE_REGISTRAR (UINT32_MAX - 1)
#define ROUTE_GROUP (1u << 31)

struct route_plan {
	struct td_route_image image;
	struct route_name *names; // by the image's names
	void *owned;              // the image, where it was compiled here
};

struct route_member {
	uint32_t trunk;
	uint16_t priority, weight;
};

struct route_group {
	uint32_t first, n; // members, by priority
};

// What a decision asks of a trunk, on one line of the cache for several.
struct route_trunk {
	uint32_t file_plan, loaded_plan; // of calls from it; ROUTE_NONE: none
	uint32_t slot;
	bool enabled, weighted; // weighted: some peers are drawn
	uint8_t n_peers;
};

// Plans of the file, one for each trunk that routes are from, then those that were loaded.
struct routes {
	struct route_plan *plans;
	uint32_t n_plans, n_file;
	struct route_trunk *trunks; // by trunk
	uint32_t subscribers;       // the file's plan for their calls
	struct route_group *groups;
	struct route_member *members;
	uint32_t n_groups;
	struct td_window_conf *windows;
	struct td_failover_conf *failovers;
	struct td_limit_conf *limits;
	struct td_group_conf *group_confs;
	uint32_t n_windows, n_failovers, n_limits;
	struct td_policy_limit *shared[TD_LIMIT__KINDS]; // of groups and limits, by their index
};

struct numbers {
	struct td_rule **rules;
	struct td_numbers *list; // of the trunks that have some
	struct td_numbers *plans; // by name
	uint32_t n_rules, n_plans;
};

// Where a compile step says what is wrong.
struct policy_error {
	char *text;
	size_t cap;
};

struct trunk_slot {
	uint32_t slot, index;
};

struct td_policy {
	struct td_policy_conf limits;
	uint32_t n_trunks, n_named; // the others are those of subscribers
	struct td_trunk *trunks;
	struct trunk_slot *slots;  // of those that have names, by slot
	uint32_t *registering;     // those that register themselves
	uint32_t n_registering;
	uint32_t *probed; // those whose peers are asked by OPTIONS
	uint32_t n_probed;
	struct ingress ingress;
	struct routes routes;
	struct numbers numbers;
};

// Writes the formatted text and returns -EINVAL, so that a check can return it at once.
int policy_fail(struct policy_error *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
int policy_no_memory(struct policy_error *error); // -ENOMEM
// Index of a trunk by its name, or -1. names: sorted by policy.c while compiling.
struct trunk_names {
	const struct td_trunk *trunks;
	uint32_t *order; // indices by name
	uint32_t n;
};
int64_t trunk_by_name(const struct trunk_names *names, const char *name);

// Are two peers, one behind the other, drawn by weight?
static inline bool peers_equal(const struct td_peer_conf *a, const struct td_peer_conf *b)
{
	return a->priority == b->priority && a->set == b->set;
}

int ingress_compile(struct td_policy *policy, const struct td_policy_env *env,
	struct policy_error *error); // 0 or negative errno
void ingress_free(struct ingress *ingress);
int routes_compile(struct td_policy *policy, const struct td_policy_conf *conf,
	const struct td_policy_env *env, const struct trunk_names *names,
	struct policy_error *error); // 0 or negative errno
void routes_free(struct routes *routes);
int limits_compile(struct td_policy *policy, const struct td_policy_env *env,
	struct policy_error *error); // 0 or negative errno; after the routes
int numbers_compile(struct td_policy *policy, const struct td_policy_conf *conf,
	struct policy_error *error); // 0 or negative errno
void numbers_free(struct numbers *numbers);
// Is the window open at that second (since the epoch)?
bool window_open(const struct td_window_conf *window, uint64_t wall_s);
