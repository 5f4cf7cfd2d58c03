// SPDX-License-Identifier: BSD-3-Clause
// What a leg's packets leave with, made once for each change of signalling instead of once for each
// packet.
#include "dataplane/checksum.h"
#include "dataplane/leg.h"
#include "dataplane/pools.h"

#include <rte_ip.h>

const struct td_sockaddr *td_leg_destination(const struct td_leg_cold *leg)
{
	return leg->learned.family ? &leg->learned : &leg->remote;
}

static void ipv4_fill(struct td_leg *hot, uint8_t *header)
{
	// RFC 6864 §4.1: a packet that nobody may cut is atomic, so its ID says nothing.
	uint16_t flags_be = rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG);

	memcpy(header + offsetof(struct rte_ipv4_hdr, fragment_offset), &flags_be, 2);
	hot->ip_sum = td_sum_fold(td_sum_bytes(header, sizeof(struct rte_ipv4_hdr)));
	hot->tos = header[offsetof(struct rte_ipv4_hdr, type_of_service)];
	memcpy(hot->addresses, header + offsetof(struct rte_ipv4_hdr, src_addr), 8);
	memcpy(hot->ports, header + sizeof(struct rte_ipv4_hdr), 4);
}

void td_leg_adjacency_drop(struct td_leg_table *t, uint32_t index)
{
	struct td_leg *hot = &t->legs[index];

	if (hot->adjacency != TD_LEG_NO_ADJACENCY)
		td_count_add(&t->holds[hot->adjacency], UINT64_MAX); // one less
	hot->adjacency = TD_LEG_NO_ADJACENCY;
}

void td_leg_adjacency_hold(
	struct td_worker *w, uint32_t index, uint16_t realm, const struct td_sockaddr *dst)
{
	uint32_t found = td_adjacency_find(w, realm, dst);

	static_assert(TD_NEIGHBOURS < TD_LEG_NO_ADJACENCY, "an index is two bytes long in a leg");
	td_leg_adjacency_drop(w->legs, index);
	if (found == TD_ADJACENCY_NONE)
		return;
	w->legs->legs[index].adjacency = (uint16_t)found;
	td_count_add(&w->legs->holds[found], 1);
}

void td_leg_tx_build(struct td_worker *w, uint32_t index)
{
	struct td_leg *hot = &w->legs->legs[index];
	const struct td_leg_cold *leg = &w->legs->cold[index];
	const struct td_leg_cold *peer = &w->legs->cold[leg->peer];

	hot->flags &= (uint8_t) ~(TD_LEG_RELAY | TD_LEG_TX_V6);
	if (leg->peer == 0)
		return;
	const struct td_sockaddr *dst = td_leg_destination(peer);
	if (dst->family != peer->local.family)
		return;
	if (!(leg->direction & TD_LEG_RECV) || !(peer->direction & TD_LEG_SEND))
		return;

	bool v6 = dst->family == TD_IPV6;
	uint8_t header[TD_UDP_HEADER_MAX];
	uint16_t ip_len = td_udp_header_write(
		header, &peer->local, dst, w->dp->realms[peer->realm].conf.dscp_rtp);
	// They and the ports behind them are all that the UDP checksum covers of this.
	uint16_t addresses = v6 ? 8 : 12;
	hot->udp_sum = td_sum_fold(td_sum_bytes(header + addresses, ip_len + 4u - addresses));
	if (v6) {
		memcpy(w->legs->wide[index].header, header, sizeof(header));
		w->legs->any_wide = true;
	} else {
		ipv4_fill(hot, header);
	}
	td_leg_adjacency_hold(w, index, peer->realm, dst);
	hot->flags |= v6 ? TD_LEG_RELAY | TD_LEG_TX_V6 : TD_LEG_RELAY;
}

void td_leg_tx_build_feeders(struct td_worker *w, uint32_t peer)
{
	const struct td_leg_cold *cold = w->legs->cold;

	for (uint32_t leg = cold[peer].feeders; leg != 0; leg = cold[leg].feeder_next)
		td_leg_tx_build(w, leg);
}
