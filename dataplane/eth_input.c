// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/handoff.h"
#include "dataplane/l2.h"
#include "dataplane/path.h"
#include "dataplane/realm_table.h"

#include <rte_prefetch.h>

#define AHEAD 12 // frames that are fetched before they are looked at
#define LINES 4  // of a G.711 frame of 20 ms

// Stages read headers and payload as one piece; a frame that a NIC scattered is copied once.
static struct rte_mbuf *frame_linear(struct td_worker *w, struct rte_mbuf *m)
{
	struct rte_mbuf *big = w->big_mbufs ? rte_pktmbuf_alloc(w->big_mbufs) : NULL;

	if (!big || m->pkt_len > rte_pktmbuf_tailroom(big)) {
		rte_pktmbuf_free(big);
		td_worker_drop(w, m, TD_C_ETH_SEGMENTED);
		return NULL;
	}
	char *dst = rte_pktmbuf_append(big, (uint16_t)m->pkt_len);
	const char *src = rte_pktmbuf_read(m, 0, m->pkt_len, dst);
	if (src != dst)
		memcpy(dst, src, m->pkt_len);
	big->ol_flags = m->ol_flags;
	big->vlan_tci = m->vlan_tci;
	rte_pktmbuf_free(m);
	return big;
}

// Strips nothing: finds where layer 3 begins and on which VLAN. Returns the ether type as it lies
// in the frame; 0 where the tag makes no sense.
static inline uint16_t frame_type(const struct rte_mbuf *m, const uint8_t *l2, struct td_packet *p)
{
	uint16_t type;

	p->vlan = m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED ? m->vlan_tci & 0xfff : 0;
	p->l3_off = RTE_ETHER_HDR_LEN;
	memcpy(&type, l2 + 12, 2);
	if (type != RTE_BE16(RTE_ETHER_TYPE_VLAN))
		return type;
	if (p->vlan != 0 || m->data_len < RTE_ETHER_HDR_LEN + 4)
		return 0;
	p->vlan = (uint16_t)((l2[14] << 8 | l2[15]) & 0xfff);
	p->l3_off = RTE_ETHER_HDR_LEN + 4;
	memcpy(&type, l2 + 16, 2);
	return type;
}

static void frame_other(struct td_worker *w, struct rte_mbuf *m, uint16_t type)
{
	const struct td_packet *p = td_packet(m);

	if (type == 0 || !td_realm_vlan_known(w->dp, p->port, p->vlan))
		td_worker_drop(w, m, TD_C_ETH_UNKNOWN_VLAN);
	else if (type == RTE_BE16(RTE_ETHER_TYPE_ARP))
		td_handoff_main(w, TD_ERRAND_ARP, m);
	else
		td_worker_drop(w, m, TD_C_ETH_UNKNOWN_TYPE);
}

// true: an IP packet for us. Everything else is gone.
static inline bool frame_input(
	struct td_worker *w, const struct td_port *port, uint8_t index, struct rte_mbuf **frame)
{
	struct rte_mbuf *m = *frame;

	if (unlikely(m->nb_segs != 1)) {
		m = *frame = frame_linear(w, m);
		if (!m)
			return false;
	}
	if (unlikely(m->data_len < RTE_ETHER_HDR_LEN)) {
		td_worker_drop(w, m, TD_C_ETH_SHORT);
		return false;
	}
	const uint8_t *l2 = rte_pktmbuf_mtod(m, const uint8_t *);
	struct td_packet *p = td_packet(m);
	uint64_t dst;
	memcpy(&dst, l2, sizeof(dst));
	// The lowest bit of the first byte is the group bit: broadcast and multicast are judged
	// above.
	if (unlikely((dst & TD_MAC_MASK) != port->mac_word && (dst & 1) == 0)) {
		td_worker_drop(w, m, TD_C_ETH_NOT_FOR_US);
		return false;
	}
	p->port = index;
	p->flags = 0;
	uint16_t type = frame_type(m, l2, p);
	if (likely(type == RTE_BE16(RTE_ETHER_TYPE_IPV4) || type == RTE_BE16(RTE_ETHER_TYPE_IPV6)))
		return true;
	frame_other(w, m, type);
	return false;
}

// The first lines of a frame, from where they lie in every buffer of ours: asking the mbuf for the
// place would already wait for it. A wrong guess costs nothing but the guess.
static inline void frame_fetch(struct rte_mbuf *m, int lines)
{
	const uint8_t *data = (const uint8_t *)m + sizeof(*m) + TD_MBUF_PRIV + RTE_PKTMBUF_HEADROOM;

	rte_prefetch0(m);
	rte_prefetch0(td_packet(m));
	for (int line = 0; line < lines; line++)
		rte_prefetch0(data + line * RTE_CACHE_LINE_SIZE);
}

static __rte_always_inline void burst_input(
	struct td_worker *w, uint16_t port, struct rte_mbuf **frames, uint16_t n, const int lines)
{
	const struct td_port *p = &w->dp->ports[port];
	uint32_t n_ip = 0;

	for (uint32_t i = 0; i < n && i < AHEAD; i++)
		frame_fetch(frames[i], lines);
	for (uint32_t i = 0; i < n; i++) {
		if (i + AHEAD < n)
			frame_fetch(frames[i + AHEAD], lines);
		struct rte_mbuf *m = frames[i];
		if (frame_input(w, p, (uint8_t)port, &m))
			frames[n_ip++] = m;
	}
	if (n_ip > 0)
		td_ip_input(w, frames, (uint16_t)n_ip);
}

void td_eth_input(struct td_worker *w, uint16_t port, struct rte_mbuf **frames, uint16_t n)
{
	if (w->dp->ports[port].hw_rx_cksum)
		burst_input(w, port, frames, n, 1);
	else // a sum over the payload will be made
		burst_input(w, port, frames, n, LINES);
}
