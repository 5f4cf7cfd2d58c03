// SPDX-License-Identifier: BSD-3-Clause
// Host names in a policy replaced by addresses, and the result as it is sent and kept. Pure but for
// what find() does.
#pragma once

#include "control/dns_lookup.h"
#include "include/config.h"

// What that host has at the moment; NULL: nothing.
typedef const struct td_dns_answer *(*td_resolve_find)(void *ctx, const struct td_host_conf *host);

struct td_resolved_policy {
	struct td_policy_conf conf;   // arrays borrowed from the one it was made of
	struct td_trunk_conf *trunks; // owned; NULL: borrowed too, where no trunk has hosts
	uint8_t *frame;               // owned: a packed Frame with this policy alone; NULL: not yet
	size_t frame_len, policy_len; // the policy's bytes are its last ones
};

// A copy of conf in *out whose peers all have addresses: a host stands for those of the families
// that its realm (of config) has, which are not the realm's own, each once, as many as a trunk may
// have; in the order of their SRV priority, each of which is a set that is drawn by weight. A host
// without any leaves no peer. 0 or -ENOMEM. *left_out: addresses that found no room. It has neither
// a generation of its own nor a frame before it is sealed.
int td_policy_resolve(const struct td_policy_conf *conf, const struct td_config *config,
	td_resolve_find find, void *ctx, struct td_resolved_policy *out, uint32_t *left_out);
// Counts out the generation and packs the frame: with 10,000 trunks what takes long. Any thread. 0
// or -ENOMEM.
int td_policy_seal(struct td_resolved_policy *policy);
void td_resolved_policy_fini(struct td_resolved_policy *policy);
