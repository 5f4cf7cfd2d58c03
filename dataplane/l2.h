// SPDX-License-Identifier: BSD-3-Clause
// The Ethernet header in front of an IP packet, from its adjacency. Any core; nothing is allocated.
#pragma once

#include "dataplane/adjacency.h"

#include <rte_mbuf.h>

#define TD_MAC_MASK ((1ull << 48) - 1)

static inline uint64_t td_mac_word(const struct rte_ether_addr *mac)
{
	uint64_t word = 0;

	memcpy(&word, mac, sizeof(*mac));
	return word;
}

// mac: the adjacency's word. type_be: ether type as it lies in the frame. The mbuf's headroom is
// RTE_PKTMBUF_HEADROOM in everything that comes here.
static inline void td_l2_push(
	struct rte_mbuf *m, const struct td_adjacency *a, uint64_t mac, uint16_t type_be)
{
	uint16_t len = a->vlan == 0 ? RTE_ETHER_HDR_LEN : RTE_ETHER_HDR_LEN + 4;
	uint8_t *l2;
	uint16_t src_head;
	uint64_t head;

	m->data_off -= len;
	m->data_len += len;
	m->pkt_len += len;
	l2 = rte_pktmbuf_mtod(m, uint8_t *);
	memcpy(&src_head, a->src.addr_bytes, 2);
	head = (mac & TD_MAC_MASK) | (uint64_t)src_head << 48;
	memcpy(l2, &head, 8);
	memcpy(l2 + 8, a->src.addr_bytes + 2, 4);
	if (a->vlan != 0) {
		uint16_t tag[2] = { RTE_BE16(RTE_ETHER_TYPE_VLAN), rte_cpu_to_be_16(a->vlan) };
		memcpy(l2 + 12, tag, 4);
	}
	memcpy(l2 + len - 2, &type_be, 2);
}
