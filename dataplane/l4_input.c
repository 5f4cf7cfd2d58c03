// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/udp_input.h"

static void udp_input(struct td_worker *w, struct rte_mbuf *m, uint16_t len)
{
	struct td_packet *p = td_packet(m);
	const uint8_t *udp = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4_off);
	const struct td_realm_entry *e =
		td_realm_find_ip(w->dp->realm_table, p->port, p->vlan, &p->dst);
	enum td_counter why = TD_C_UDP_BAD_LENGTH;
	enum td_udp_next next = TD_UDP_DROP;

	// A datagram put together from pieces has no verdict of a NIC.
	if (len >= 8 && e)
		next = td_udp_check(w, &w->dp->ports[p->port], m, e, p->l4_off, len,
			p->src.family == TD_IPV6, &why);
	if (next == TD_UDP_DROP) {
		td_worker_drop(w, m, why);
		return;
	}
	p->src.port = (uint16_t)(udp[0] << 8 | udp[1]);
	p->dst.port = (uint16_t)(udp[2] << 8 | udp[3]);
	p->leg = TD_LEG_UNASKED;
	if (next == TD_UDP_RTP)
		td_rtp_input(w, &m, 1);
	else
		td_sip_input(w, &m, 1);
}

void td_l4_input(struct td_worker *w, struct rte_mbuf *m, uint8_t protocol, uint16_t len)
{
	bool v6 = td_packet(m)->src.family == TD_IPV6;

	if (protocol == IPPROTO_UDP)
		udp_input(w, m, len);
	else if (protocol == IPPROTO_ICMP && !v6)
		td_icmp_input(w, m, len);
	else if (protocol == IPPROTO_ICMPV6 && v6)
		td_icmp6_input(w, m, len);
	else
		td_worker_drop(w, m, TD_C_IP_UNKNOWN_PROTOCOL);
}
