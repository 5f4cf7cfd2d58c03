// SPDX-License-Identifier: BSD-3-Clause
// The transmit line of a leg: the headers its packets leave with, made once for each change of
// signalling instead of once for each packet.
#include "dataplane/checksum.h"
#include "dataplane/leg.h"

#include <rte_ip.h>
#include <rte_udp.h>

const struct td_sockaddr *td_leg_destination(const struct td_leg_cold *leg)
{
	return leg->learned.family ? &leg->learned : &leg->remote;
}

static uint16_t header_ipv4(
	uint8_t *header, const struct td_sockaddr *src, const struct td_sockaddr *dst, uint8_t dscp)
{
	struct rte_ipv4_hdr ip = {
		.version_ihl = 0x45,
		.type_of_service = (uint8_t)(dscp << 2),
		// RFC 6864 §4.1: atomic, so its ID says nothing.
		.fragment_offset = rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
	};

	memcpy(&ip.src_addr, src->ip, 4);
	memcpy(&ip.dst_addr, dst->ip, 4);
	memcpy(header, &ip, sizeof(ip));
	return sizeof(ip);
}

static uint16_t header_ipv6(
	uint8_t *header, const struct td_sockaddr *src, const struct td_sockaddr *dst, uint8_t dscp)
{
	struct rte_ipv6_hdr ip = {
		.vtc_flow = rte_cpu_to_be_32(6u << 28 | (uint32_t)dscp << 22),
		.proto = IPPROTO_UDP,
		.hop_limits = 64,
	};

	memcpy(ip.src_addr, src->ip, 16);
	memcpy(ip.dst_addr, dst->ip, 16);
	memcpy(header, &ip, sizeof(ip));
	return sizeof(ip);
}

uint16_t td_leg_header(uint8_t header[TD_LEG_HEADER_LEN], const struct td_sockaddr *src,
	const struct td_sockaddr *dst, uint8_t dscp)
{
	uint16_t ports_be[2] = { rte_cpu_to_be_16(src->port), rte_cpu_to_be_16(dst->port) };
	uint16_t ip_len = dst->family == TD_IPV4 ? header_ipv4(header, src, dst, dscp) :
						   header_ipv6(header, src, dst, dscp);

	memcpy(header + ip_len, ports_be, sizeof(ports_be));
	return ip_len;
}

void td_leg_tx_build(struct td_worker *w, uint32_t index)
{
	struct td_leg *hot = &w->legs->legs[index];
	const struct td_leg_cold *leg = &w->legs->cold[index];
	const struct td_leg_cold *peer = &w->legs->cold[leg->peer];

	hot->flags &= (uint8_t)~(TD_LEG_RELAY | TD_LEG_TX_V6);
	if (leg->peer == 0)
		return;
	const struct td_sockaddr *dst = td_leg_destination(peer);
	if (dst->family != peer->local.family)
		return;
	if (!(leg->direction & TD_LEG_RECV) || !(peer->direction & TD_LEG_SEND))
		return;

	bool v6 = dst->family == TD_IPV6;
	uint16_t ip_len = td_leg_header(
		hot->header, &peer->local, dst, w->dp->realms[peer->realm].conf.dscp_rtp);
	// They and the ports behind them are all that the UDP checksum covers of this.
	uint16_t addresses = v6 ? 8 : 12;
	hot->ip_sum = v6 ? 0 : td_sum_fold(td_sum_bytes(hot->header, ip_len));
	hot->udp_sum = td_sum_fold(td_sum_bytes(hot->header + addresses, ip_len + 4u - addresses));
	hot->adjacency = td_adjacency_find(w, peer->realm, dst);
	hot->flags |= v6 ? TD_LEG_RELAY | TD_LEG_TX_V6 : TD_LEG_RELAY;
}

void td_leg_tx_build_feeders(struct td_worker *w, uint32_t peer)
{
	const struct td_leg_cold *cold = w->legs->cold;

	for (uint32_t leg = cold[peer].feeders; leg != 0; leg = cold[leg].feeder_next)
		td_leg_tx_build(w, leg);
}
