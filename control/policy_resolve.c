// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy_resolve.h"

#include "control/policy_pb.h"

#include <errno.h>
#include <stdlib.h>

static const struct td_realm_conf *realm_find(const struct td_config *config, const char *name)
{
	for (uint8_t i = 0; i < config->n_realms; i++)
		if (strcmp(config->realms[i].name, name) == 0)
			return &config->realms[i];
	return NULL;
}

// Can a peer of that realm have the address?
static bool address_fits(const struct td_realm_conf *realm, const struct td_sockaddr *a)
{
	bool family = false;

	for (uint8_t i = 0; realm && i < realm->n_addresses; i++) {
		if (td_ip_eq(&realm->addresses[i].ip, a))
			return false;
		family |= realm->addresses[i].ip.family == a->family;
	}
	return family;
}

static bool peer_there(const struct td_trunk_conf *trunk, const struct td_sockaddr *a)
{
	for (uint8_t i = 0; i < trunk->n_peers; i++)
		if (td_sockaddr_eq(&trunk->peers[i].address, a))
			return true;
	return false;
}

struct resolving {
	const struct td_config *config;
	td_resolve_find find;
	void *ctx;
	uint32_t left_out;
};

// false: there is no room.
static bool peer_add(struct td_trunk_conf *trunk, const struct td_peer_conf *peer)
{
	if (peer_there(trunk, &peer->address))
		return true;
	if (trunk->n_peers == TD_PEERS_MAX)
		return false;
	trunk->peers[trunk->n_peers++] = *peer;
	return true;
}

// What of an answer is of use to that realm: shares are among those alone.
static void answer_filter(const struct td_realm_conf *realm, const struct td_dns_answer *answer,
	struct td_dns_answer *out)
{
	out->n = 0;
	for (uint16_t i = 0; i < answer->n; i++)
		if (address_fits(realm, &answer->records[i].address))
			out->records[out->n++] = answer->records[i];
}

static void host_add(struct resolving *r, struct td_trunk_conf *trunk,
	const struct td_peer_conf *named, uint8_t *set)
{
	const struct td_dns_answer *found = r->find(r->ctx, &trunk->hosts[named->host - 1]);
	struct td_dns_answer answer = { .n = 0 };
	uint16_t shares[TD_DNS_ANSWERS_MAX];

	if (found)
		answer_filter(realm_find(r->config, trunk->realm), found, &answer);
	td_dns_shares(&answer, shares);
	for (uint16_t i = 0; i < answer.n; i++) {
		struct td_peer_conf peer = *named;
		if (i == 0 || answer.records[i].priority != answer.records[i - 1].priority)
			++*set;
		peer.address = answer.records[i].address;
		peer.weight = shares[i];
		peer.set = *set;
		r->left_out += !peer_add(trunk, &peer);
	}
}

// Written addresses and hosts in the order of their priority, so that what finds no room is what
// would be tried last.
static void trunk_resolve(struct resolving *r, struct td_trunk_conf *trunk)
{
	struct td_trunk_conf before = *trunk;
	uint8_t set = 0;
	bool taken[TD_PEERS_MAX] = { false };

	memset(trunk->peers, 0, sizeof(trunk->peers));
	trunk->n_peers = 0;
	for (uint8_t k = 0; k < before.n_peers; k++) {
		int first = -1;
		for (uint8_t i = 0; i < before.n_peers; i++)
			if (!taken[i] && (first < 0 || before.peers[i].priority <
							       before.peers[first].priority))
				first = i;
		taken[first] = true;
		if (before.peers[first].host != 0)
			host_add(r, trunk, &before.peers[first], &set);
		else
			r->left_out += !peer_add(trunk, &before.peers[first]);
	}
}

int td_policy_resolve(const struct td_policy_conf *conf, const struct td_config *config,
	td_resolve_find find, void *ctx, struct td_resolved_policy *out, uint32_t *left_out)
{
	struct resolving r = { config, find, ctx, 0 };
	bool named = false;

	for (uint32_t i = 0; i < conf->n_trunks && !named; i++)
		named = conf->trunks[i].n_hosts > 0;
	*left_out = 0;
	*out = (struct td_resolved_policy){ .conf = *conf };
	if (named) {
		out->trunks = malloc(conf->n_trunks * sizeof(*out->trunks));
		if (!out->trunks)
			return -ENOMEM;
		memcpy(out->trunks, conf->trunks, conf->n_trunks * sizeof(*out->trunks));
		for (uint32_t i = 0; i < conf->n_trunks; i++)
			if (out->trunks[i].n_hosts > 0)
				trunk_resolve(&r, &out->trunks[i]);
		out->conf.trunks = out->trunks;
	}
	*left_out = r.left_out;
	return 0;
}

// --- as bytes ---

int td_policy_seal(struct td_resolved_policy *policy)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;

	policy->conf.generation = td_policy_generation_of(&policy->conf);
	frame.body_case = TANDEM__FRAME__BODY_POLICY;
	frame.policy = td_policy_to_pb(&policy->conf);
	if (!frame.policy)
		return -ENOMEM;
	policy->policy_len = tandem__policy__get_packed_size(frame.policy);
	policy->frame_len = tandem__frame__get_packed_size(&frame);
	policy->frame = malloc(policy->frame_len);
	if (policy->frame)
		tandem__frame__pack(&frame, policy->frame);
	tandem__policy__free_unpacked(frame.policy, NULL);
	return policy->frame ? 0 : -ENOMEM;
}

void td_resolved_policy_fini(struct td_resolved_policy *policy)
{
	free(policy->trunks);
	free(policy->frame);
	*policy = (struct td_resolved_policy){ .trunks = NULL };
}
