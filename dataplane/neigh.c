// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/neigh.h"

#include "dataplane/handoff.h"
#include "dataplane/l2.h"
#include "dataplane/neigh_table.h"
#include "dataplane/realm_table.h"

#define SCAN_NS 100000000ull // how often ages are looked at
#define ERRANDS_PER_TURN 64  // of each worker

// The on-link address a packet for that destination is sent to.
static bool next_hop(const struct td_realm_conf *realm, const struct td_sockaddr *destination,
	struct td_sockaddr *hop)
{
	if (td_realm_on_link(realm, destination) >= 0) {
		*hop = *destination;
		hop->port = 0;
		return true;
	}
	for (uint8_t i = 0; i < realm->n_gateways; i++) {
		if (realm->gateways[i].family != destination->family)
			continue;
		*hop = realm->gateways[i];
		hop->port = 0;
		return true;
	}
	return false;
}

uint32_t td_adjacency_find(
	struct td_worker *worker, uint16_t realm, const struct td_sockaddr *destination)
{
	const struct td_dataplane *dp = worker->dp;
	struct td_sockaddr hop;

	if (realm >= dp->n_realms || !next_hop(&dp->realms[realm].conf, destination, &hop))
		return TD_ADJACENCY_NONE;
	return td_neigh_table_find(dp, realm, &hop);
}

int td_neigh_create(struct td_dataplane *dp, uint32_t capacity)
{
	if (td_neigh_table_create(dp, capacity) != 0)
		return -ENOMEM;
	for (uint16_t r = 0; r < dp->n_realms; r++)
		for (uint8_t g = 0; g < dp->realms[r].conf.n_gateways; g++)
			td_neigh_table_get(dp, r, &dp->realms[r].conf.gateways[g]);
	dp->neigh->n_kept = td_neigh_table_count(dp);
	for (uint32_t i = 0; i < dp->neigh->n_kept; i++)
		td_neigh_used(dp, i);
	return 0;
}

void td_neigh_destroy(struct td_dataplane *dp)
{
	td_neigh_table_destroy(dp);
}

void td_neigh_used(struct td_dataplane *dp, uint32_t index)
{
	struct td_neighbour *e = &dp->neigh->neighbours[index];

	dp->neigh->n_strangers -= !e->wanted;
	e->wanted = true;
	e->used_ns = dp->main->now_ns;
}

uint32_t td_neigh_held(const struct td_dataplane *dp)
{
	uint32_t held = 0, n = atomic_load_explicit(&dp->n_adjacencies, memory_order_relaxed);

	for (uint32_t i = 0; i < n; i++)
		held += dp->neigh->neighbours[i].n_wait;
	for (uint16_t p = 0; p < dp->n_ports; p++)
		held += dp->main->tx[p].n;
	return held;
}

// --- frames of main's own ---

struct rte_mbuf *td_neigh_frame(struct td_dataplane *dp, uint16_t realm,
	const struct rte_ether_addr *to, uint16_t type, uint16_t len, uint8_t **payload)
{
	const struct td_realm *r = &dp->realms[realm];
	struct td_adjacency a = {
		.port = r->port, .vlan = r->conf.vlan, .src = dp->ports[r->port].mac
	};
	struct rte_mbuf *m = rte_pktmbuf_alloc(dp->main->mbufs);

	if (!m)
		return NULL;
	*payload = (uint8_t *)rte_pktmbuf_append(m, len);
	memset(*payload, 0, len);
	td_l2_push(m, &a, td_mac_word(to), rte_cpu_to_be_16(type));
	return m;
}

void td_neigh_send(struct td_dataplane *dp, uint16_t realm, struct rte_mbuf *frame)
{
	td_worker_count(dp->main, TD_C_TX_ORIGINATED, 1);
	td_port_tx(dp->main, dp->realms[realm].port, frame);
}

static void ask(struct td_dataplane *dp, uint32_t index)
{
	const struct td_adjacency *a = &dp->adjacencies[index];
	struct td_neighbour *n = &dp->neigh->neighbours[index];

	n->tries++;
	n->due_ns = dp->main->now_ns + TD_NEIGH_RETRY_NS;
	if (a->next_hop.family == TD_IPV4)
		td_arp_ask(dp, a);
	else
		td_nd_ask(dp, a);
}

static void resolve_start(struct td_dataplane *dp, uint32_t index)
{
	struct td_neighbour *n = &dp->neigh->neighbours[index];

	if (n->state != TD_NEIGH_FAILED)
		return;
	n->state = TD_NEIGH_ASKING;
	n->tries = 0;
	ask(dp, index);
}

void td_neigh_announce(struct td_dataplane *dp)
{
	uint32_t gateways = atomic_load_explicit(&dp->n_adjacencies, memory_order_relaxed);

	dp->main->now_ns = td_clock_now(&dp->clock);
	for (uint16_t r = 0; r < dp->n_realms; r++) {
		for (uint8_t a = 0; a < dp->realms[r].conf.n_addresses; a++) {
			if (dp->realms[r].conf.addresses[a].ip.family == TD_IPV4)
				td_arp_announce(dp, r, a);
			else
				td_nd_announce(dp, r, a);
		}
	}
	for (uint32_t i = 0; i < gateways; i++)
		resolve_start(dp, i);
	td_port_tx_flush(dp->main);
}

// --- learning ---

static bool mac_usable(const struct rte_ether_addr *mac)
{
	return rte_is_unicast_ether_addr(mac) && !rte_is_zero_ether_addr(mac);
}

static void reachable(struct td_dataplane *dp, uint32_t index, uint64_t mac)
{
	struct td_adjacency *a = &dp->adjacencies[index];
	struct td_neighbour *n = &dp->neigh->neighbours[index];
	uint8_t n_wait = n->n_wait;

	atomic_store_explicit(&a->mac, mac | TD_ADJACENCY_VALID, memory_order_release);
	n->state = TD_NEIGH_REACHABLE;
	n->tries = 0;
	n->due_ns = dp->main->now_ns + TD_NEIGH_REACHABLE_NS;
	n->n_wait = 0;
	dp->neigh->waiting -= n_wait;
	for (uint8_t i = 0; i < n_wait; i++)
		td_ip_output(dp->main, index, n->wait[i]);
}

void td_neigh_learn(struct td_dataplane *dp, uint16_t realm, const struct td_sockaddr *ip,
	const struct rte_ether_addr *mac, bool create)
{
	uint32_t index = td_neigh_table_find(dp, realm, ip);

	if (!mac_usable(mac))
		return;
	// Strangers may fill half of the table and no more: the rest is for those we want to reach.
	if (index == TD_ADJACENCY_NONE && create &&
		dp->neigh->n_strangers < dp->neigh->capacity / 2)
		index = td_neigh_table_get(dp, realm, ip);
	if (index != TD_ADJACENCY_NONE)
		reachable(dp, index, td_mac_word(mac));
}

void td_neigh_heard(struct td_dataplane *dp, uint16_t port, uint16_t vlan,
	const struct td_sockaddr *ip, const struct rte_ether_addr *mac)
{
	for (uint16_t r = 0; r < dp->n_realms; r++) {
		const struct td_realm *realm = &dp->realms[r];
		if (realm->port == port && realm->conf.vlan == vlan &&
			td_realm_on_link(&realm->conf, ip) >= 0)
			td_neigh_learn(dp, r, ip, mac, false);
	}
}

// --- errands ---

static void destination_of(const struct rte_mbuf *m, struct td_sockaddr *destination)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	bool v4 = ip[0] >> 4 == 4;

	memset(destination, 0, sizeof(*destination));
	destination->family = v4 ? TD_IPV4 : TD_IPV6;
	memcpy(destination->ip, v4 ? ip + 16 : ip + 24, td_ip_len(destination->family));
}

static void resolve(struct td_dataplane *dp, struct rte_mbuf *m)
{
	uint16_t realm = td_packet(m)->realm;
	struct td_sockaddr destination, hop;

	destination_of(m, &destination);
	if (!next_hop(&dp->realms[realm].conf, &destination, &hop)) {
		td_worker_drop(dp->main, m, TD_C_IP_NO_ROUTE);
		return;
	}
	uint32_t index = td_neigh_table_get(dp, realm, &hop);
	if (index == TD_ADJACENCY_NONE) {
		td_worker_drop(dp->main, m, TD_C_NEIGH_TABLE_FULL);
		return;
	}
	struct td_neighbour *n = &dp->neigh->neighbours[index];
	td_neigh_used(dp, index);
	if (dp->adjacencies[index].mac & TD_ADJACENCY_VALID) {
		td_ip_output(dp->main, index, m);
		return;
	}
	resolve_start(dp, index);
	if (n->n_wait == TD_NEIGH_WAIT || dp->neigh->waiting == TD_NEIGH_WAIT_ALL) {
		td_worker_drop(dp->main, m, TD_C_NEIGH_QUEUE_FULL);
		return;
	}
	n->wait[n->n_wait++] = m;
	dp->neigh->waiting++;
}

static void errand(struct td_dataplane *dp, struct rte_mbuf *m)
{
	switch ((enum td_errand)td_packet(m)->errand) {
	case TD_ERRAND_ARP:
		td_arp_input(dp, m);
		break;
	case TD_ERRAND_ND:
		td_nd_input(dp, m);
		break;
	case TD_ERRAND_RESOLVE:
		resolve(dp, m);
		break;
	}
}

void td_neigh_unreachable(struct td_dataplane *dp, uint32_t index)
{
	struct td_neighbour *n = &dp->neigh->neighbours[index];

	atomic_store_explicit(&dp->adjacencies[index].mac, 0, memory_order_release);
	n->state = TD_NEIGH_FAILED;
	for (uint8_t i = 0; i < n->n_wait; i++)
		td_worker_drop(dp->main, n->wait[i], TD_C_NEIGH_UNREACHABLE);
	dp->neigh->waiting -= n->n_wait;
	n->n_wait = 0;
}

static void age(struct td_dataplane *dp, uint32_t index)
{
	struct td_neighbour *n = &dp->neigh->neighbours[index];

	if (n->state <= TD_NEIGH_FAILED || n->due_ns > dp->main->now_ns)
		return;
	if (n->state == TD_NEIGH_REACHABLE) {
		if (!n->wanted) // a stranger goes, unasked
			return;
		n->state = TD_NEIGH_PROBING;
		n->tries = 0;
	}
	if (n->tries < TD_NEIGH_TRIES)
		ask(dp, index);
	else
		td_neigh_unreachable(dp, index);
}

uint64_t td_neigh_turn(struct td_dataplane *dp, uint64_t now_ns, uint32_t *work)
{
	struct rte_mbuf *m[ERRANDS_PER_TURN];
	struct td_neigh *n = dp->neigh;

	dp->main->now_ns = now_ns;
	for (uint16_t i = 0; i < dp->n_workers; i++) {
		uint32_t k = rte_ring_sc_dequeue_burst(
			dp->workers[i]->to_main, (void **)m, ERRANDS_PER_TURN, NULL);
		td_worker_count(dp->main, TD_C_RX_RINGS, k);
		for (uint32_t j = 0; j < k; j++)
			errand(dp, m[j]);
		*work += k;
	}
	if (now_ns >= n->scan_ns) {
		uint32_t live = atomic_load_explicit(&dp->n_adjacencies, memory_order_relaxed);
		n->scan_ns = now_ns + SCAN_NS;
		td_neigh_sweep(dp);
		for (uint32_t i = 0; i < live; i++)
			age(dp, i);
	}
	td_port_tx_flush(dp->main);
	return n->scan_ns;
}
