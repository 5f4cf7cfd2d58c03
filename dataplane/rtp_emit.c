// SPDX-License-Identifier: BSD-3-Clause
// Media by the slow way out: addresses and ports are rewritten here, the rest is ip_output's.
#include "dataplane/leg.h"

#include <rte_ip.h>
#include <rte_udp.h>

// Moves the front of the packet to where its new IP header begins, and its end to that of the
// datagram.
static bool packet_frame(struct rte_mbuf *m, uint16_t l4_off, uint16_t ip_len, uint16_t payload_len)
{
	uint32_t end = l4_off + 8u + payload_len;

	if (m->pkt_len > end && rte_pktmbuf_trim(m, (uint16_t)(m->pkt_len - end)) < 0)
		return false;
	if (l4_off >= ip_len)
		return rte_pktmbuf_adj(m, (uint16_t)(l4_off - ip_len)) != NULL;
	return rte_pktmbuf_prepend(m, (uint16_t)(ip_len - l4_off)) != NULL;
}

static void lengths_write(uint8_t *ip, uint16_t ip_len, uint16_t udp_len)
{
	uint16_t udp_len_be = rte_cpu_to_be_16(udp_len);
	uint16_t total_be = rte_cpu_to_be_16((uint16_t)(ip_len + udp_len));

	if (ip_len == sizeof(struct rte_ipv4_hdr))
		memcpy(ip + offsetof(struct rte_ipv4_hdr, total_length), &total_be, 2);
	else
		memcpy(ip + offsetof(struct rte_ipv6_hdr, payload_len), &udp_len_be, 2);
	memcpy(ip + ip_len + offsetof(struct rte_udp_hdr, dgram_len), &udp_len_be, 2);
}

void td_rtp_emit(struct td_worker *w, struct rte_mbuf *m, uint16_t realm,
	const struct td_sockaddr *src, const struct td_sockaddr *dst, uint32_t adjacency)
{
	struct td_packet *p = td_packet(m);
	uint8_t header[TD_UDP_HEADER_MAX];
	uint16_t ip_len =
		td_udp_header_write(header, src, dst, w->dp->realms[realm].conf.dscp_rtp);

	if (!packet_frame(m, p->l4_off, ip_len, p->payload_len)) {
		td_worker_drop(w, m, TD_C_BUF_NO_HEADROOM);
		return;
	}
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);
	memcpy(ip, header, ip_len + 4u);
	lengths_write(ip, ip_len, (uint16_t)(p->payload_len + 8));
	p->realm = realm;
	p->src = *src;
	p->dst = *dst;
	p->l3_off = 0;
	p->l4_off = ip_len;
	p->flags = 0;
	td_ip_output(w, adjacency, m);
}
