// SPDX-License-Identifier: BSD-3-Clause
// Neighbours: ARP (RFC 826) and neighbour discovery (RFC 4861), their ages, and the packets that
// wait for them.
//
// Owner: main. Workers read dp->adjacencies and find entries by td_adjacency_find(); everything
// else is main's alone.
#pragma once

#include "dataplane/worker.h"

#define TD_NEIGH_WAIT 8          // packets that wait for one neighbour; the ninth is neigh.queue_full
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

// --- for arp.c and ip6_nd.c --------------------------------------------------------------------------------------------

// A neighbour said where it is. create: it asked for us, so it will be answered; else only known
// ones are refreshed.
void td_neigh_learn(struct td_dataplane *dp, uint16_t realm, const struct td_sockaddr *ip, const struct rte_ether_addr *mac,
	bool create);
// It confirmed that it is reachable without giving an address.
void td_neigh_confirm(struct td_dataplane *dp, uint16_t realm, const struct td_sockaddr *ip);

void td_arp_input(struct td_dataplane *dp, struct rte_mbuf *frame); // arp.c; takes the mbuf
void td_nd_input(struct td_dataplane *dp, struct rte_mbuf *frame);  // ip6_nd.c; takes the mbuf
// Ask for the neighbour of an adjacency; to its last MAC while that holds, else to all.
void td_arp_ask(struct td_dataplane *dp, const struct td_adjacency *a);
void td_nd_ask(struct td_dataplane *dp, const struct td_adjacency *a);
void td_arp_announce(struct td_dataplane *dp, uint16_t realm, uint8_t address);
void td_nd_announce(struct td_dataplane *dp, uint16_t realm, uint8_t address);
