// SPDX-License-Identifier: BSD-3-Clause
// Neighbours: ARP (RFC 826) and neighbour discovery (RFC 4861), their ages, and the packets that
// wait for them.
//
// Owner: main. Workers read dp->adjacencies and find entries by td_adjacency_find(); everything
// else is main's alone.
#pragma once

#include "dataplane/worker.h"

// Packets that wait for one neighbour; the ninth is neigh.queue_full.
#define TD_NEIGH_WAIT 8
#define TD_NEIGH_WAIT_ALL 8192   // that wait for any
#define TD_NEIGH_TRIES 3         // requests before a neighbour is unreachable
#define TD_NEIGH_RETRY_NS 1000000000ull       // RFC 4861 §10 RETRANS_TIMER
#define TD_NEIGH_REACHABLE_NS 30000000000ull  // RFC 4861 §10 REACHABLE_TIME; then it is asked again

// Makes the table for at most capacity neighbours, with the gateways of every realm already in it.
// dp->realms and dp->ports must be there. 0 or -ENOMEM.
int td_neigh_create(struct td_dataplane *dp, uint32_t capacity);
void td_neigh_destroy(struct td_dataplane *dp);

// Says who has our addresses (RFC 5227 §2.3, RFC 4861 §7.2.6) and asks for the gateways. Once, when
// ports are up.
void td_neigh_announce(struct td_dataplane *dp);

// Main's turn: the workers' errands, then retries and ages. Sets dp->main->now_ns, sends what came
// of it. Returns when it must run again (ns); errands come without notice, so run it every
// millisecond or so. *work grows by what was done.
uint64_t td_neigh_turn(struct td_dataplane *dp, uint64_t now_ns, uint32_t *work);

// Frames that wait here: main's share of the balance.
uint32_t td_neigh_held(const struct td_dataplane *dp);

// --- for neigh_reuse.c ---

// We sent something to it just now.
void td_neigh_used(struct td_dataplane *dp, uint32_t index);
// What waits for it is dropped, its address forgotten.
void td_neigh_unreachable(struct td_dataplane *dp, uint32_t index);

// --- for arp.c and ip6_nd.c ---

// A neighbour said where it is. create: it asked for us, so it will be answered; else only known
// ones are refreshed.
void td_neigh_learn(struct td_dataplane *dp, uint16_t realm, const struct td_sockaddr *ip,
	const struct rte_ether_addr *mac, bool create);
// The same on every realm of a port and VLAN that has it on-link, known ones only: it told
// everybody.
void td_neigh_heard(struct td_dataplane *dp, uint16_t port, uint16_t vlan,
	const struct td_sockaddr *ip, const struct rte_ether_addr *mac);
// Main's frame of len bytes behind its layer 2 header, all zero. NULL: no buffer. td_neigh_send()
// takes it.
struct rte_mbuf *td_neigh_frame(struct td_dataplane *dp, uint16_t realm,
	const struct rte_ether_addr *to, uint16_t type, uint16_t len, uint8_t **payload);
void td_neigh_send(struct td_dataplane *dp, uint16_t realm, struct rte_mbuf *frame);

// arp.c and ip6_nd.c; they take the mbuf.
void td_arp_input(struct td_dataplane *dp, struct rte_mbuf *frame);
void td_nd_input(struct td_dataplane *dp, struct rte_mbuf *frame);
// Ask for the neighbour of an adjacency: at its last MAC while that holds, else everybody.
void td_arp_ask(struct td_dataplane *dp, const struct td_adjacency *a);
void td_nd_ask(struct td_dataplane *dp, const struct td_adjacency *a);
// Says that a local address is ours.
void td_arp_announce(struct td_dataplane *dp, uint16_t realm, uint8_t address);
void td_nd_announce(struct td_dataplane *dp, uint16_t realm, uint8_t address);
