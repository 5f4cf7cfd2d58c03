// SPDX-License-Identifier: BSD-3-Clause
// RTCP goes the way of its stream, with our addresses: from the peer's RTCP port to where its far
// end takes RTCP. It also goes while the media is on hold (RFC 3264 §8.4 holds RTP alone). Its
// contents stay as they are.
#include "dataplane/leg.h"
#include "media/rtcp.h"

#include <rte_ip.h>
#include <rte_udp.h>

static struct td_sockaddr source_read(const struct rte_mbuf *m, const struct td_leg_cold *leg)
{
	const struct td_packet *p = td_packet((struct rte_mbuf *)(uintptr_t)m);
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l3_off);
	const struct rte_udp_hdr *udp =
		rte_pktmbuf_mtod_offset(m, const struct rte_udp_hdr *, p->l4_off);
	struct td_sockaddr source = { .family = leg->local.family,
		.port = rte_be_to_cpu_16(udp->src_port) };

	if (source.family == TD_IPV4)
		memcpy(source.ip, ip + offsetof(struct rte_ipv4_hdr, src_addr), 4);
	else
		memcpy(source.ip, ip + offsetof(struct rte_ipv6_hdr, src_addr), 16);
	return source;
}

// Where a far end takes RTCP: with its RTP under mux (RFC 5761), where SDP says so (RFC 3605), or
// one above its RTP.
static struct td_sockaddr rtcp_destination(const struct td_leg_cold *leg, bool mux)
{
	struct td_sockaddr dst = *td_leg_destination(leg);

	if (mux || dst.family == 0)
		return dst;
	if (leg->remote_rtcp.family != 0 && leg->learned.family == 0)
		return leg->remote_rtcp;
	dst.port++;
	return dst;
}

void td_rtcp_relay(struct td_worker *w, struct rte_mbuf *m, uint32_t index)
{
	const struct td_packet *p = td_packet(m);
	const struct td_leg_cold *leg = &w->legs->cold[index];
	struct td_sockaddr source = source_read(m, leg);

	if (td_ip_source_bad(w, m)) {
		td_worker_drop(w, m, TD_C_IP_BAD_SOURCE);
		return;
	}
	if (!td_leg_source_known(w, index, &source)) {
		td_worker_drop(w, m, TD_C_RTP_WRONG_SOURCE);
		return;
	}
	if (!td_rtcp_valid(
		    rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4_off + 8), p->payload_len)) {
		td_worker_drop(w, m, TD_C_RTCP_BAD);
		return;
	}
	const struct td_leg_cold *peer = &w->legs->cold[leg->peer];
	bool mux = w->legs->legs[leg->peer].flags & TD_LEG_MUX;
	struct td_sockaddr dst = rtcp_destination(peer, mux);
	if (leg->peer == 0 || dst.family != peer->local.family) {
		td_worker_drop(w, m, TD_C_RTP_NO_PEER);
		return;
	}
	struct td_sockaddr src = peer->local;
	src.port = (uint16_t)(src.port + !mux);
	td_worker_count(w, TD_C_RTCP_RELAYED, 1);
	td_rtp_emit(w, m, peer->realm, &src, &dst, td_adjacency_find(w, peer->realm, &dst));
}
