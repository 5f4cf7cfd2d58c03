// SPDX-License-Identifier: BSD-3-Clause
// The headers of every datagram that leaves: SIP's in front of their payload, media's once for each
// change of signalling.
#include "dataplane/worker.h"

#include <rte_ip.h>
#include <rte_udp.h>

// What layer 2 and a fragment header may still need in front.
#define ROOM_LEFT (RTE_ETHER_HDR_LEN + 4)

static uint16_t ip4_write(
	uint8_t *header, const struct td_sockaddr *src, const struct td_sockaddr *dst, uint8_t dscp)
{
	struct rte_ipv4_hdr ip = {
		.version_ihl = 0x45,
		.type_of_service = (uint8_t)(dscp << 2),
		.time_to_live = TD_TTL,
		.next_proto_id = IPPROTO_UDP,
	};

	memcpy(&ip.src_addr, src->ip, 4);
	memcpy(&ip.dst_addr, dst->ip, 4);
	memcpy(header, &ip, sizeof(ip));
	return sizeof(ip);
}

static uint16_t ip6_write(
	uint8_t *header, const struct td_sockaddr *src, const struct td_sockaddr *dst, uint8_t dscp)
{
	struct rte_ipv6_hdr ip = {
		.vtc_flow = rte_cpu_to_be_32(6u << 28 | (uint32_t)dscp << 22),
		.proto = IPPROTO_UDP,
		.hop_limits = TD_TTL,
	};

	memcpy(ip.src_addr, src->ip, 16);
	memcpy(ip.dst_addr, dst->ip, 16);
	memcpy(header, &ip, sizeof(ip));
	return sizeof(ip);
}

uint16_t td_udp_header_write(uint8_t header[TD_UDP_HEADER_MAX], const struct td_sockaddr *src,
	const struct td_sockaddr *dst, uint8_t dscp)
{
	uint16_t ports_be[2] = { rte_cpu_to_be_16(src->port), rte_cpu_to_be_16(dst->port) };
	uint16_t ip_len = dst->family == TD_IPV4 ? ip4_write(header, src, dst, dscp)
						 : ip6_write(header, src, dst, dscp);

	memcpy(header + ip_len, ports_be, sizeof(ports_be));
	return ip_len;
}

bool td_udp_header(struct td_worker *w, struct rte_mbuf *m, uint16_t realm,
	const struct td_sockaddr *src, const struct td_sockaddr *dst, uint8_t dscp)
{
	uint16_t len = sizeof(struct rte_udp_hdr);

	len += dst->family == TD_IPV4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
	if (rte_pktmbuf_headroom(m) < len + ROOM_LEFT)
		return false;
	td_udp_header_write((uint8_t *)rte_pktmbuf_prepend(m, len), src, dst, dscp);
	td_packet(m)->realm = realm;
	td_packet(m)->flags = 0;
	td_worker_count(w, TD_C_TX_ORIGINATED, 1);
	return true;
}
