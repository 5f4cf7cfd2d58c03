// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/worker.h"

#include <rte_ip.h>
#include <rte_udp.h>

#define TTL 64
// What layer 2 and a fragment header may still need in front.
#define ROOM_LEFT (RTE_ETHER_HDR_LEN + 4)

bool td_udp_header(struct td_worker *w, struct rte_mbuf *m, uint16_t realm,
	const struct td_sockaddr *src, const struct td_sockaddr *dst, uint8_t dscp)
{
	bool v4 = dst->family == TD_IPV4;
	uint16_t ip_len = v4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
	uint16_t len = ip_len + sizeof(struct rte_udp_hdr);

	if (rte_pktmbuf_headroom(m) < len + ROOM_LEFT)
		return false;
	uint8_t *l3 = (uint8_t *)rte_pktmbuf_prepend(m, len);
	memset(l3, 0, len);
	if (v4) {
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)l3;
		ip->version_ihl = 0x45;
		ip->type_of_service = (uint8_t)(dscp << 2);
		ip->time_to_live = TTL;
		ip->next_proto_id = IPPROTO_UDP;
		memcpy(&ip->src_addr, src->ip, 4);
		memcpy(&ip->dst_addr, dst->ip, 4);
	} else {
		struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)l3;
		ip->vtc_flow = rte_cpu_to_be_32(6u << 28 | (uint32_t)dscp << 22);
		ip->hop_limits = TTL;
		ip->proto = IPPROTO_UDP;
		memcpy(ip->src_addr, src->ip, 16);
		memcpy(ip->dst_addr, dst->ip, 16);
	}
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(l3 + ip_len);
	udp->src_port = rte_cpu_to_be_16(src->port);
	udp->dst_port = rte_cpu_to_be_16(dst->port);
	td_packet(m)->realm = realm;
	td_packet(m)->flags = 0;
	td_worker_count(w, TD_C_TX_ORIGINATED, 1);
	return true;
}
