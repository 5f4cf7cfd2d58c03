// SPDX-License-Identifier: BSD-3-Clause
// Open addressing with linear probing; no more than half of the slots are taken. Where an entry
// leaves, those behind it that it kept from their own place move up: a mark in its stead would make
// runs longer and longer while neighbours come and go, until each look-up in vain passed all slots.
// A worker may miss one that moves just then: its packet goes to main, who finds it.
#include "dataplane/neigh_table.h"

#include "dataplane/realm_table.h"

#include <rte_malloc.h>
#include <rte_random.h>

#include <errno.h>
#include <stdlib.h>

static uint32_t slot_of(const struct td_neigh *n, uint16_t realm, const struct td_sockaddr *ip)
{
	uint64_t hi, lo, h;

	memcpy(&hi, ip->ip, 8);
	memcpy(&lo, ip->ip + 8, 8);
	h = (hi ^ n->seed[0]) * 0x9e3779b97f4a7c15u;
	h = ((h ^ h >> 29) + (lo ^ n->seed[1] ^ realm)) * 0xbf58476d1ce4e5b9u;
	return (uint32_t)(h >> 32) & n->mask;
}

static uint32_t slot_load(const struct td_neigh *n, uint32_t slot)
{
	return atomic_load_explicit(&n->slots[slot & n->mask], memory_order_acquire);
}

static void slot_store(struct td_neigh *n, uint32_t slot, uint32_t value)
{
	atomic_store_explicit(&n->slots[slot & n->mask], value, memory_order_release);
}

uint32_t td_neigh_table_find(
	const struct td_dataplane *dp, uint16_t realm, const struct td_sockaddr *hop)
{
	const struct td_neigh *n = dp->neigh;
	uint32_t at;

	for (uint32_t slot = slot_of(n, realm, hop); (at = slot_load(n, slot)) != 0; slot++) {
		const struct td_adjacency *a = &dp->adjacencies[at - 1];
		if (a->realm == realm && td_ip_eq(&a->next_hop, hop))
			return at - 1;
	}
	return TD_ADJACENCY_NONE;
}

static uint32_t home_of(const struct td_dataplane *dp, uint32_t index)
{
	const struct td_adjacency *a = &dp->adjacencies[index];

	return slot_of(dp->neigh, a->realm, &a->next_hop);
}

void td_neigh_table_show(struct td_dataplane *dp, uint32_t index)
{
	struct td_neigh *n = dp->neigh;
	uint32_t slot = home_of(dp, index);

	while (slot_load(n, slot) != 0)
		slot++;
	slot_store(n, slot, index + 1);
	n->neighbours[index].leaving = false;
}

void td_neigh_table_hide(struct td_dataplane *dp, uint32_t index)
{
	struct td_neigh *n = dp->neigh;
	uint32_t hole = home_of(dp, index), at;

	while (slot_load(n, hole) != index + 1)
		hole++;
	n->neighbours[index].leaving = true;
	for (uint32_t slot = hole + 1; (at = slot_load(n, slot)) != 0; slot++) {
		// It may not stand in front of its own place.
		if (((slot - home_of(dp, at - 1)) & n->mask) < ((slot - hole) & n->mask))
			continue;
		slot_store(n, hole, at);
		hole = slot;
	}
	slot_store(n, hole, 0);
}

// One that is about to leave, but not gone.
static uint32_t leaving_find(
	const struct td_dataplane *dp, uint16_t realm, const struct td_sockaddr *hop)
{
	const struct td_neigh *n = dp->neigh;

	for (uint32_t i = 0; i < n->n_leaving; i++) {
		const struct td_adjacency *a = &dp->adjacencies[n->leaving[i]];
		if (a->realm == realm && td_ip_eq(&a->next_hop, hop))
			return i;
	}
	return UINT32_MAX;
}

static uint32_t place_take(struct td_dataplane *dp)
{
	struct td_neigh *n = dp->neigh;
	uint32_t live = atomic_load_explicit(&dp->n_adjacencies, memory_order_relaxed);

	if (n->n_free > 0)
		return n->free[--n->n_free];
	if (live == n->capacity)
		return TD_ADJACENCY_NONE;
	atomic_store_explicit(&dp->n_adjacencies, live + 1, memory_order_release);
	return live;
}

uint32_t td_neigh_table_get(struct td_dataplane *dp, uint16_t realm, const struct td_sockaddr *hop)
{
	struct td_neigh *n = dp->neigh;
	uint32_t index = td_neigh_table_find(dp, realm, hop);
	const struct td_realm *r = &dp->realms[realm];

	if (index != TD_ADJACENCY_NONE)
		return index;
	uint32_t leaving = leaving_find(dp, realm, hop);
	if (leaving != UINT32_MAX) {
		index = n->leaving[leaving];
		n->leaving[leaving] = n->leaving[--n->n_leaving];
		td_neigh_table_show(dp, index);
		return index;
	}
	index = place_take(dp);
	if (index == TD_ADJACENCY_NONE)
		return index;
	dp->adjacencies[index] = (struct td_adjacency){
		.port = r->port,
		.vlan = r->conf.vlan,
		.realm = realm,
		.mtu = r->mtu,
		.src = dp->ports[r->port].mac,
		.next_hop = *hop,
	};
	n->neighbours[index] = (struct td_neighbour){
		.state = TD_NEIGH_FAILED,
		.used_ns = dp->main->now_ns,
	};
	n->n_strangers++;
	td_neigh_table_show(dp, index);
	return index;
}

void td_neigh_table_free(struct td_dataplane *dp, uint32_t index)
{
	struct td_neigh *n = dp->neigh;

	n->n_strangers -= !n->neighbours[index].wanted;
	n->neighbours[index] = (struct td_neighbour){ .state = TD_NEIGH_FREE };
	atomic_store_explicit(&dp->adjacencies[index].mac, 0, memory_order_relaxed);
	n->free[n->n_free++] = index;
}

uint32_t td_neigh_table_count(const struct td_dataplane *dp)
{
	return atomic_load_explicit(&dp->n_adjacencies, memory_order_relaxed) - dp->neigh->n_free;
}

int td_neigh_table_create(struct td_dataplane *dp, uint32_t capacity)
{
	uint32_t slots = rte_align32pow2(capacity * 2);
	struct td_neigh *n = calloc(1, sizeof(*n) + slots * sizeof(n->slots[0]));

	dp->neigh = n;
	dp->adjacencies = rte_calloc("adjacency", capacity, sizeof(*dp->adjacencies), 64);
	if (n) {
		n->neighbours = calloc(capacity, sizeof(*n->neighbours));
		n->free = calloc(capacity, sizeof(*n->free));
		n->leaving = calloc(capacity, sizeof(*n->leaving));
		n->choices = calloc(capacity, sizeof(*n->choices));
	}
	if (!n || !n->neighbours || !n->free || !n->leaving || !n->choices || !dp->adjacencies) {
		td_neigh_table_destroy(dp);
		return -ENOMEM;
	}
	n->capacity = capacity;
	n->mask = slots - 1;
	n->seed[0] = rte_rand();
	n->seed[1] = rte_rand();
	return 0;
}

void td_neigh_table_destroy(struct td_dataplane *dp)
{
	struct td_neigh *n = dp->neigh;

	if (n) {
		for (uint32_t i = 0; n->neighbours && i < dp->n_adjacencies; i++)
			rte_pktmbuf_free_bulk(n->neighbours[i].wait, n->neighbours[i].n_wait);
		free(n->neighbours);
		free(n->free);
		free(n->leaving);
		free(n->choices);
	}
	free(n);
	rte_free(dp->adjacencies);
	dp->neigh = NULL;
	dp->adjacencies = NULL;
	dp->n_adjacencies = 0;
}
