// SPDX-License-Identifier: BSD-3-Clause
// The relay: a packet for one of this worker's legs is judged, counted and sent on, in place on the
// received mbuf.
//
// The leg's lines and the packet were asked for by ip_input, packets before they are needed here.
// Whatever is not plain leaves through a function of its own.
#include "dataplane/checksum.h"
#include "dataplane/leg.h"

#include <rte_ip.h>
#include <rte_prefetch.h>
#include <rte_udp.h>

#define IPV4_LEN 20
#define IPV6_LEN 40
#define UDP_LEN 8
#define VLAN_LEN 4

// What a burst has in common. Written for the port that most of it leaves by.
struct outgoing {
	const struct td_adjacency *adjacencies;
	uint32_t port, n, relayed;
	struct rte_mbuf *frames[TD_BURST];
};

// What the flags of a leg must be for the code that nearly all packets take, and which of them it
// asks about.
#define PLAIN (TD_LEG_SOURCE | TD_LEG_RELAY)
#define PLAIN_MASK (PLAIN | TD_LEG_WIDE)

static inline uint32_t load32(const void *at)
{
	uint32_t v;
	memcpy(&v, at, sizeof(v));
	return v;
}

static inline uint64_t load64(const void *at)
{
	uint64_t v;
	memcpy(&v, at, sizeof(v));
	return v;
}

static inline void store16(void *at, uint16_t v)
{
	memcpy(at, &v, sizeof(v));
}

// DPDK's own swap is inline assembly, which the compiler cannot look into.
static inline uint16_t be16(uint16_t v)
{
	return __builtin_bswap16(v);
}

static inline void store32(void *at, uint32_t v)
{
	memcpy(at, &v, sizeof(v));
}

static inline void store64(void *at, uint64_t v)
{
	memcpy(at, &v, sizeof(v));
}

static inline bool source_good(const struct td_leg *leg, const struct td_leg_wide *wide,
	const uint8_t *ip, const struct rte_udp_hdr *udp, const uint8_t flags)
{
	uint64_t differs = flags & TD_LEG_V6 ? (load64(ip + 8) ^ load64(wide->source)) |
						       (load64(ip + 16) ^ load64(wide->source + 8))
					     : load32(ip + 12) ^ leg->source_ip4;

	if (flags & TD_LEG_SOURCE_PORT)
		differs |= (uint64_t)(udp->src_port ^ wide->source_port_be);
	return differs == 0 && flags & TD_LEG_SOURCE;
}

// Takes the mbuf when it is not.
static bool source_good_rare(struct td_worker *w, struct rte_mbuf *m, uint32_t index,
	const uint8_t *ip, const struct rte_udp_hdr *udp)
{
	bool v6 = w->legs->legs[index].flags & TD_LEG_V6;
	struct td_sockaddr source = {
		.family = v6 ? TD_IPV6 : TD_IPV4,
		.port = rte_be_to_cpu_16(udp->src_port),
	};

	memcpy(source.ip, ip + (v6 ? 8 : 12), v6 ? 16 : 4);
	if (td_ip_source_bad(w, m))
		td_worker_drop(w, m, TD_C_IP_BAD_SOURCE);
	else if (!td_leg_source_check(w, index, &source))
		td_worker_drop(w, m, TD_C_RTP_WRONG_SOURCE);
	else
		return true;
	return false;
}

// Valid RTP that may not go on: no peer, or a direction that forbids it.
static void packet_withhold(struct td_worker *w, struct rte_mbuf *m, uint32_t index)
{
	struct td_leg_cold *leg = &w->legs->cold[index];
	const struct td_leg_cold *peer = &w->legs->cold[leg->peer];
	bool nowhere = leg->peer == 0 || td_leg_destination(peer)->family != peer->local.family;

	leg->withheld_packets++;
	leg->withheld_bytes += td_packet(m)->payload_len;
	td_worker_drop(w, m, nowhere ? TD_C_RTP_NO_PEER : TD_C_RTP_HELD);
}

// No next hop yet, or larger than it takes.
static void packet_emit(struct td_worker *w, struct rte_mbuf *m, uint32_t index)
{
	struct td_leg *leg = &w->legs->legs[index];
	const struct td_leg_cold *peer = &w->legs->cold[w->legs->cold[index].peer];
	const struct td_sockaddr *dst = td_leg_destination(peer);

	if (leg->adjacency == TD_LEG_NO_ADJACENCY)
		td_leg_adjacency_hold(w, index, peer->realm, dst);
	uint32_t adjacency =
		leg->adjacency == TD_LEG_NO_ADJACENCY ? TD_ADJACENCY_NONE : leg->adjacency;
	td_rtp_emit(w, m, peer->realm, &peer->local, dst, adjacency);
}

static void packet_bad(
	struct td_worker *w, struct rte_mbuf *m, uint32_t index, enum td_rtp_verdict verdict)
{
	static const enum td_counter names[] = {
		[TD_RTP_BAD_VERSION] = TD_C_RTP_BAD_VERSION,
		[TD_RTP_BAD_LENGTH] = TD_C_RTP_BAD_LENGTH,
		[TD_RTP_BAD_PAYLOAD] = TD_C_RTP_BAD_PAYLOAD,
	};

	if (verdict == TD_RTP_IS_RTCP)
		td_rtcp_relay(w, m, index);
	else
		td_worker_drop(w, m, names[verdict]);
}

// Layer 2 ends at l3. Returns where the frame begins.
static inline uint8_t *ethernet_write(
	uint8_t *l3, const struct td_adjacency *adjacency, uint64_t mac, uint16_t type)
{
	uint64_t src = load64(&adjacency->src);
	uint64_t first = (mac & 0xffffffffffff) | src << 48;
	uint32_t second = (uint32_t)(src >> 16);

	store16(l3 - 2, be16(type));
	if (unlikely(adjacency->vlan != 0)) {
		store16(l3 - 4, be16(adjacency->vlan));
		store16(l3 - 6, be16(RTE_ETHER_TYPE_VLAN));
		l3 -= VLAN_LEN;
	}
	memcpy(l3 - 14, &first, sizeof(first));
	memcpy(l3 - 6, &second, sizeof(second));
	return l3 - 14;
}

static inline void ipv4_write(uint8_t *l3, const struct td_leg *leg, uint16_t udp_len)
{
	uint16_t total_be = be16((uint16_t)(udp_len + IPV4_LEN));
	uint32_t sum = leg->ip_sum + (uint32_t)total_be;
	uint32_t checksum = ~(sum + (sum >> 16)) << 16; // ip_sum is folded: one carry at most

	// Version and length, type of service, total length; no ID, do not fragment.
	store64(l3, 0x45u | (uint32_t)leg->tos << 8 | (uint32_t)total_be << 16 |
			    (uint64_t)RTE_BE16(RTE_IPV4_HDR_DF_FLAG) << 48);
	store32(l3 + 8, TD_TTL | IPPROTO_UDP << 8 | checksum);
	store64(l3 + 12, load64(leg->addresses));
	store32(l3 + 20, load32(leg->ports));
}

static inline void ipv6_write(uint8_t *l3, const struct td_leg_wide *wide, uint16_t udp_len)
{
	memcpy(l3, wide->header, IPV6_LEN + 4);
	store16(l3 + 4, be16(udp_len));
}

// What the received datagram's addresses and ports are worth in its checksum, taken away: each word
// complemented.
static inline uint64_t received_complement(const uint8_t *ip, const void *udp, bool v6)
{
	const uint8_t *addresses = ip + (v6 ? 8 : 12);
	uint64_t sum = (uint32_t)~load32(udp);

	for (int i = 0; i < (v6 ? 32 : 8); i += 4)
		sum += (uint32_t)~load32(addresses + i);
	return sum;
}

// The UDP checksum that the datagram leaves with. Where the received one was verified only the
// change is folded in; elsewhere it may be unfinished, as on veth, and is made from the payload.
static inline uint16_t udp_checksum(bool verified, const struct td_leg *leg, const uint8_t *ip,
	const struct rte_udp_hdr *udp, uint16_t udp_len, bool v6)
{
	if (likely(verified && udp->dgram_cksum != 0))
		return td_checksum_udp_of(leg->udp_sum + received_complement(ip, udp, v6) +
					  (uint16_t)~udp->dgram_cksum);
	uint64_t rest = (uint64_t)be16(IPPROTO_UDP) +
			2ull * be16(udp_len); // the length counts in both headers
	return td_checksum_udp_of(
		td_sum_add(td_sum_bytes(udp + 1, udp_len - UDP_LEN), leg->udp_sum + rest));
}

static void outgoing_flush(struct td_worker *w, struct outgoing *out)
{
	td_port_tx_burst(w, (uint16_t)out->port, out->frames, (uint16_t)out->n);
	out->n = 0;
}

static inline void outgoing_add(
	struct td_worker *w, struct outgoing *out, uint32_t port, struct rte_mbuf *m)
{
	if (unlikely(port != out->port)) {
		outgoing_flush(w, out);
		out->port = port;
	}
	out->frames[out->n++] = m;
}

// Rewrites the packet for the peer's far end. False: it must go by the slow way, nothing was
// changed.
static __rte_always_inline bool packet_send(struct td_worker *w, struct rte_mbuf *m,
	const struct td_leg *leg, const struct td_leg_wide *wide, uint8_t *ip,
	struct rte_udp_hdr *udp, struct outgoing *out, const uint8_t flags)
{
	const bool v6 = flags & TD_LEG_V6, tx_v6 = flags & TD_LEG_TX_V6;
	const struct td_packet *p = td_packet(m);
	const uint32_t ip_len = tx_v6 ? IPV6_LEN : IPV4_LEN;
	const uint32_t udp_len = p->payload_len + UDP_LEN;

	if (unlikely(leg->adjacency == TD_LEG_NO_ADJACENCY))
		return false;
	const struct td_adjacency *adjacency = &out->adjacencies[leg->adjacency];
	uint64_t mac = atomic_load_explicit(&adjacency->mac, memory_order_relaxed);
	if (unlikely(!(mac & TD_ADJACENCY_VALID) || ip_len + udp_len > adjacency->mtu ||
		     m->data_off + p->l4_off < IPV6_LEN + RTE_ETHER_HDR_LEN + VLAN_LEN))
		return false;

	uint32_t port = adjacency->port;
	uint16_t checksum =
		udp_checksum(p->flags & TD_PACKET_L4_VERIFIED, leg, ip, udp, (uint16_t)udp_len, v6);
	uint8_t *l3 = (uint8_t *)udp - ip_len;
	if (tx_v6)
		ipv6_write(l3, wide, (uint16_t)udp_len);
	else
		ipv4_write(l3, leg, (uint16_t)udp_len);
	store32(&udp->dgram_len, be16((uint16_t)udp_len) | (uint32_t)checksum << 16);
	uint8_t *frame = ethernet_write(
		l3, adjacency, mac, tx_v6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);
	uint32_t len = (uint32_t)(l3 - frame) + ip_len + udp_len;
	m->data_off = (uint16_t)(frame - (uint8_t *)m->buf_addr);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	outgoing_add(w, out, port, m);
	return true;
}

// RTP, valid in itself, on a leg: whose it is, what it counts, where it goes. flags: the leg's;
// PLAIN makes a copy of the code for nearly all there is.
static __rte_always_inline void packet_relay(struct td_worker *w, struct rte_mbuf *m,
	struct td_leg *leg, uint32_t index, struct outgoing *out, const uint8_t flags)
{
	const struct td_packet *p = td_packet(m);
	const struct td_leg_wide *wide = flags & TD_LEG_WIDE ? &w->legs->wide[index] : NULL;
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	uint8_t *ip = frame + p->l3_off;
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(frame + p->l4_off);

	if (unlikely(!source_good(leg, wide, ip, udp, flags)) &&
		!source_good_rare(w, m, index, ip, udp))
		return;
	struct td_rtp header = td_rtp_read((const uint8_t *)(udp + 1));
	td_rtp_stats_update(
		&leg->stats, &w->legs->cold[index].past, &header, p->payload_len, w->now_ns);
	leg->heard_ms = (uint32_t)(w->now_ns >> 20);
	if (unlikely(!(flags & TD_LEG_RELAY))) {
		packet_withhold(w, m, index);
		return;
	}
	out->relayed++;
	if (unlikely(!packet_send(w, m, leg, wide, ip, udp, out, flags)))
		packet_emit(w, m, index);
}

static inline void packet_input(
	struct td_worker *w, struct rte_mbuf *m, uint32_t index, struct outgoing *out)
{
	const struct td_packet *p = td_packet(m);
	const struct rte_udp_hdr *udp =
		rte_pktmbuf_mtod_offset(m, const struct rte_udp_hdr *, p->l4_off);
	struct td_leg *leg = &w->legs->legs[index];
	uint8_t flags = leg->flags;

	if (unlikely(udp->dst_port & be16(1))) {
		td_rtcp_relay(w, m, index);
		return;
	}
	enum td_rtp_verdict verdict =
		td_rtp_check((const uint8_t *)(udp + 1), p->payload_len, flags & TD_LEG_MUX);
	if (unlikely(verdict != TD_RTP_OK))
		packet_bad(w, m, index, verdict);
	else if (likely((flags & PLAIN_MASK) == PLAIN))
		packet_relay(w, m, leg, index, out, PLAIN);
	else
		packet_relay(w, m, leg, index, out, flags);
}

// Of packets that another worker received, or that came whole from pieces.
static void legs_ask(const struct td_leg_table *t, struct rte_mbuf **packets, uint16_t n)
{
	const uint32_t *slots[TD_BURST];

	for (uint16_t i = 0; i < n; i++) {
		const struct td_packet *p = td_packet(packets[i]);
		const struct rte_udp_hdr *udp =
			rte_pktmbuf_mtod_offset(packets[i], const struct rte_udp_hdr *, p->l4_off);
		slots[i] = td_leg_slot(t, p->realm, p->address, be16(udp->dst_port));
		rte_prefetch0(slots[i]);
	}
	for (uint16_t i = 0; i < n; i++) {
		td_packet(packets[i])->leg = *slots[i];
		td_leg_fetch(t, *slots[i]);
	}
}

static void burst_relay(struct td_worker *w, struct rte_mbuf **packets, uint16_t n)
{
	struct outgoing out;

	out.adjacencies = w->dp->adjacencies;
	out.port = out.n = out.relayed = 0;
	if (unlikely(td_packet(packets[0])->leg == TD_LEG_UNASKED))
		legs_ask(w->legs, packets, n);
	for (uint16_t i = 0; i < n; i++) {
		uint32_t leg = td_packet(packets[i])->leg;
		if (unlikely(leg - 1 >= w->legs->capacity)) // 0, and what nobody asked for
			td_worker_drop(w, packets[i], TD_C_RTP_NO_LEG);
		else
			packet_input(w, packets[i], leg, &out);
	}
	td_worker_count(w, TD_C_RTP_RELAYED, out.relayed);
	outgoing_flush(w, &out);
}

void td_rtp_relay(struct td_worker *w, struct rte_mbuf **packets, uint16_t n)
{
	for (uint16_t done = 0; done < n; done = (uint16_t)(done + TD_BURST))
		burst_relay(w, packets + done, (uint16_t)RTE_MIN(n - done, TD_BURST));
}
