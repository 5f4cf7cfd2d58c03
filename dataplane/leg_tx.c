// SPDX-License-Identifier: BSD-3-Clause
// The transmit line of a leg: the headers its packets leave with, made once for each change of
// signalling instead of once for each packet.
#include "dataplane/checksum.h"
#include "dataplane/leg.h"

#include <rte_ip.h>

const struct td_sockaddr *td_leg_destination(const struct td_leg_cold *leg)
{
	return leg->learned.family ? &leg->learned : &leg->remote;
}

// RFC 6864 §4.1: a packet that nobody may cut is atomic, so its ID says nothing.
static void header_atomic(uint8_t *ip)
{
	uint16_t flags_be = rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG);

	memcpy(ip + offsetof(struct rte_ipv4_hdr, fragment_offset), &flags_be, sizeof(flags_be));
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
	uint16_t ip_len = td_udp_header_write(
		hot->header, &peer->local, dst, w->dp->realms[peer->realm].conf.dscp_rtp);
	if (!v6)
		header_atomic(hot->header);
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
