// SPDX-License-Identifier: BSD-3-Clause
// Where a UDP datagram to one of our addresses goes, and whether it is whole: shared by the fast
// and the slow way in. Owner: the worker that holds the packet.
#pragma once

#include "dataplane/checksum.h"
#include "dataplane/leg.h"
#include "dataplane/realm_table.h"

#include <rte_prefetch.h>

enum td_udp_next { TD_UDP_RTP, TD_UDP_SIP, TD_UDP_DROP };

static inline bool td_udp_is_listener(const struct td_realm_conf *realm, uint16_t port)
{
	for (uint8_t i = 0; i < realm->n_listeners; i++)
		if (realm->sip[i].port == port && realm->sip[i].transport == TD_UDP)
			return true;
	return false;
}

// Checks length and checksum of the datagram at l4_off of which `room` bytes are in the packet;
// cuts the mbuf to its end, unless it is media, of which the relay reads no more. The sum of the
// pseudo-header is asked for only where it is needed. On TD_UDP_DROP *why says the name. port: it
// came in on.
static inline enum td_udp_next td_udp_check(struct td_worker *w, const struct td_port *port,
	struct rte_mbuf *m, const struct td_realm_entry *e, uint16_t l4_off, uint32_t room, bool v6,
	enum td_counter *why)
{
	const uint8_t *l3 = rte_pktmbuf_mtod_offset(m, const uint8_t *, td_packet(m)->l3_off);
	const uint8_t *udp = rte_pktmbuf_mtod_offset(m, const uint8_t *, l4_off);
	struct td_packet *p = td_packet(m);
	uint64_t head = td_sum_load(udp);
	uint16_t dport = __builtin_bswap16((uint16_t)(head >> 16));
	uint16_t len = __builtin_bswap16((uint16_t)(head >> 32));
	uint16_t checksum = (uint16_t)(head >> 48);

	*why = TD_C_UDP_BAD_LENGTH;
	if (unlikely(len < 8 || len > room))
		return TD_UDP_DROP;
	*why = TD_C_UDP_BAD_CHECKSUM;
	if (unlikely(checksum == 0)) {
		if (v6) // RFC 8200 §8.1
			return TD_UDP_DROP;
	} else if (port->verify_rx) {
		uint64_t hw = port->hw_rx_cksum ? m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK : 0;
		if (hw == RTE_MBUF_F_RX_L4_CKSUM_BAD)
			return TD_UDP_DROP;
		if (hw != RTE_MBUF_F_RX_L4_CKSUM_GOOD) {
			uint64_t sum =
				v6 ? td_sum_pseudo6(l3, 17, len) : td_sum_pseudo4(l3, 17, len);
			if (!td_sum_good(td_sum_add(sum, td_sum_bytes(udp, len))))
				return TD_UDP_DROP;
		}
		p->flags |= TD_PACKET_L4_VERIFIED;
	}
	p->realm = e->realm;
	p->address = e->address;
	p->l4_off = l4_off;
	p->payload_len = len - 8;
	if (likely((uint16_t)(dport - e->media_min) <= e->media_span))
		return TD_UDP_RTP;
	m->data_len = l4_off + len;
	m->pkt_len = l4_off + len;
	*why = TD_C_UDP_NO_LISTENER;
	return td_udp_is_listener(&w->dp->realms[e->realm].conf, dport) ? TD_UDP_SIP : TD_UDP_DROP;
}
