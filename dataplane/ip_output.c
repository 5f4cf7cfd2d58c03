// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/checksum.h"
#include "dataplane/handoff.h"
#include "dataplane/l2.h"

#include <rte_ip.h>
#include <rte_udp.h>

// Lengths of IP and UDP; checksums whole, or left to the NIC where it does them. A packet that will
// be sent in pieces is always complete, because no NIC sees it as one.
static void ip4_finish(struct td_dataplane *dp, struct rte_mbuf *m, uint8_t *ip, bool offload)
{
	struct rte_ipv4_hdr *h = (struct rte_ipv4_hdr *)ip;
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + sizeof(*h));
	uint16_t len = (uint16_t)(m->pkt_len - sizeof(*h));

	// A router may cut what does not forbid it, and pieces of two packets with one ID would be
	// taken for one (RFC 6864 §4.3).
	if (!(h->fragment_offset & RTE_BE16(RTE_IPV4_HDR_DF_FLAG)))
		h->packet_id = rte_cpu_to_be_16((uint16_t)atomic_fetch_add_explicit(
			&dp->ip_id, 1, memory_order_relaxed));
	h->total_length = rte_cpu_to_be_16((uint16_t)m->pkt_len);
	h->hdr_checksum = 0;
	udp->dgram_len = rte_cpu_to_be_16(len);
	udp->dgram_cksum = 0;
	if (offload) {
		m->ol_flags |=
			RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_UDP_CKSUM;
		m->l3_len = sizeof(*h);
		udp->dgram_cksum = rte_ipv4_phdr_cksum(h, m->ol_flags);
		return;
	}
	h->hdr_checksum = td_checksum_of(td_sum_ip4_header(ip));
	udp->dgram_cksum = td_checksum_udp_of(
		td_sum_add(td_sum_pseudo4(ip, IPPROTO_UDP, len), td_sum_bytes(udp, len)));
}

static void ip6_finish(struct rte_mbuf *m, uint8_t *ip, bool offload)
{
	struct rte_ipv6_hdr *h = (struct rte_ipv6_hdr *)ip;
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + sizeof(*h));
	uint16_t len = (uint16_t)(m->pkt_len - sizeof(*h));

	h->payload_len = rte_cpu_to_be_16(len);
	udp->dgram_len = h->payload_len;
	udp->dgram_cksum = 0;
	if (offload) {
		m->ol_flags |= RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_UDP_CKSUM;
		m->l3_len = sizeof(*h);
		udp->dgram_cksum = rte_ipv6_phdr_cksum(h, m->ol_flags);
		return;
	}
	udp->dgram_cksum = td_checksum_udp_of(
		td_sum_add(td_sum_pseudo6(ip, IPPROTO_UDP, len), td_sum_bytes(udp, len)));
}

void td_ip_output(struct td_worker *w, uint32_t adjacency, struct rte_mbuf *m)
{
	struct td_adjacency *a = &w->dp->adjacencies[adjacency];
	uint64_t mac;

	if (unlikely(adjacency == TD_ADJACENCY_NONE)) {
		td_handoff_main(w, TD_ERRAND_RESOLVE, m);
		return;
	}
	mac = atomic_load_explicit(&a->mac, memory_order_relaxed);
	if (unlikely(!(mac & TD_ADJACENCY_VALID))) {
		td_packet(m)->realm = a->realm;
		td_handoff_main(w, TD_ERRAND_RESOLVE, m);
		return;
	}
	if (!atomic_load_explicit(&a->used, memory_order_relaxed))
		atomic_store_explicit(&a->used, true, memory_order_relaxed);
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);
	bool v4 = ip[0] >> 4 == 4, pieces = m->pkt_len > a->mtu;
	m->ol_flags = 0;
	if (!(td_packet(m)->flags & TD_PACKET_L4_DONE)) {
		bool offload = w->dp->ports[a->port].hw_tx_cksum && !pieces;
		m->l2_len = a->vlan == 0 ? RTE_ETHER_HDR_LEN : RTE_ETHER_HDR_LEN + 4;
		if (v4)
			ip4_finish(w->dp, m, ip, offload);
		else
			ip6_finish(m, ip, offload);
	}
	if (unlikely(pieces)) {
		td_fragment(w, a, mac, m);
		return;
	}
	td_l2_push(m, a, mac, v4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6));
	td_port_tx(w, a->port, m);
}
