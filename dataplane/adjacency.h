// SPDX-License-Identifier: BSD-3-Clause
// Layer 2 towards a next hop: what ip_output writes in front of a packet. One array for all; main
// writes, workers read.
//
// An entry is born when somebody first sends to a next hop of a realm, or asks for us, and is never
// moved. Legs keep its index, and say so (td_leg_adjacency_held()); nobody else keeps it beyond a
// worker's turn, so that an entry that no leg holds may become another's (neigh_reuse.c). Its
// address is one atomic word, so a reader sees the old or the new MAC and never half of one.
#pragma once

#include "include/addr.h"

#include <rte_ether.h>
#include <stdatomic.h>
#include <stdbool.h>

#define TD_ADJACENCY_NONE UINT32_MAX
// The low 48 bits are the MAC as it lies in the frame (first byte lowest).
#define TD_ADJACENCY_VALID (1ull << 48)

struct td_adjacency {
	_Atomic uint64_t mac;    // ctl (main): wo, workers: ro
	uint16_t port;           // index in td_dataplane.ports
	uint16_t vlan;           // 0: untagged
	uint16_t realm;
	uint16_t mtu;            // of IP
	struct rte_ether_addr src;
	_Atomic bool used;       // since main looked; workers: set, main: clear
	uint8_t zero;
	struct td_sockaddr next_hop;
} __attribute__((aligned(64)));

struct td_worker;
// The adjacency for a destination (on-link, or its family's gateway) of a realm. Any worker;
// lock-free. NONE where there is no route or nobody sent there yet: td_ip_output() with NONE hands
// the packet to main, which makes the entry, resolves it and keeps at most 8 packets for each
// neighbour meanwhile. The index holds until the end of the turn.
uint32_t td_adjacency_find(
	struct td_worker *worker, uint16_t realm, const struct td_sockaddr *destination);
