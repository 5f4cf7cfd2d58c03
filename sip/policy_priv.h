// SPDX-License-Identifier: BSD-3-Clause
// The inside of a compiled policy, for policy.c, policy_ingress.c and policy_route.c alone.
//
// Every array is allocated while compiling and never changes afterwards: readers need no lock.
#pragma once

#include "sip/policy.h"

// One trunk that may be meant by a source prefix. Those of one prefix stand together, the more
// specific match first.
struct ingress_entry {
	struct td_prefix prefix; // host bits zero
	uint16_t realm;
	uint16_t fields; // how many fields of match are set
	uint32_t trunk;
	struct td_sockaddr listener; // match.listener; family 0: any
	uint32_t next;               // of the same prefix; UINT32_MAX: none
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

// A node of the digit trie: its children stand together in digit order, so that a bit map and a
// population count find one.
struct route_node {
	uint32_t children; // index of the first
	uint32_t bucket;   // index of its first route entry
	uint16_t n_bucket;
	uint16_t map; // bit d: there is a child for symbol d
};

// A compiled route: its domain and its targets, by priority.
struct route_entry {
	const struct td_route_conf *conf; // only while compiling
	struct td_span domain;            // empty: any; points into text
	uint32_t targets;
	uint16_t n_targets;
	uint32_t trunk_in;
};

struct route_target {
	uint32_t trunk; // ROUTE_NONE: the registrar
	uint16_t priority;
	uint16_t weight;
};

#define ROUTE_NONE UINT32_MAX

struct routes {
	uint32_t *roots; // by ingress trunk: node of the empty prefix, ROUTE_NONE: no routes
	uint32_t *sos;   // by ingress trunk: first entry of its emergency routes, ROUTE_NONE: none
	uint32_t *n_sos;
	struct route_node *nodes;
	uint32_t n_nodes;
	struct route_entry *entries;
	uint32_t n_entries;
	struct route_target *targets;
	char *text; // domains
};

// Where a compile step says what is wrong.
struct policy_error {
	char *text;
	size_t cap;
};

struct td_policy {
	struct td_policy_conf limits;
	uint32_t n_trunks, n_named; // the others are those of subscribers
	struct td_trunk *trunks;
	struct ingress ingress;
	struct routes routes;
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

int ingress_compile(struct td_policy *policy, struct policy_error *error); // 0 or negative errno
void ingress_free(struct ingress *ingress);
int routes_compile(struct td_policy *policy, const struct td_policy_conf *conf,
	const struct trunk_names *names,
	struct policy_error *error); // 0 or negative errno
void routes_free(struct routes *routes);
