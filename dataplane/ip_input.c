// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/handoff.h"
#include "dataplane/reassembly.h"
#include "dataplane/udp_input.h"

#include <rte_icmp.h>
#include <rte_ip.h>

#define AHEAD 5  // packets whose payload is fetched before it is summed up
#define LINES 4  // of a G.711 frame of 20 ms
#define BEHIND 5 // packets after which the index of a leg that was asked for has come

// One burst, sorted by where its packets go next.
struct sorted {
	uint16_t n_rtp, n_sip;
	struct rte_mbuf *rtp[TD_BURST], *sip[TD_BURST];
};

// Nobody may send from there (RFC 1122 §3.2.1.3, RFC 6890): this network, loopback, multicast,
// reserved and broadcast.
static inline bool martian4(const uint8_t *src)
{
	return src[0] == 0 || src[0] >= 224 || src[0] == 127;
}

// Multicast, and everything in ::/96 and ::ffff:0:0/96: unspecified, loopback, IPv4 in disguise.
static inline bool martian6(const uint8_t *src)
{
	uint64_t hi = td_sum_load(src);
	uint32_t mid;

	memcpy(&mid, src + 8, sizeof(mid));
	return src[0] == 0xff || (hi == 0 && (mid == 0 || mid == RTE_BE32(0xffff)));
}

static void address4(struct td_sockaddr *a, const uint8_t *ip)
{
	memset(a, 0, sizeof(*a));
	memcpy(a->ip, ip, 4);
	a->family = TD_IPV4;
}

static void address6(struct td_sockaddr *a, const uint8_t *ip)
{
	memset(a, 0, sizeof(*a));
	memcpy(a->ip, ip, 16);
	a->family = TD_IPV6;
}

static void addresses_fill(const uint8_t *l3, struct td_packet *p)
{
	if (l3[0] >> 4 == 4) {
		address4(&p->src, l3 + 12);
		address4(&p->dst, l3 + 16);
	} else {
		address6(&p->src, l3 + 8);
		address6(&p->dst, l3 + 24);
	}
}

static void not_ours(struct td_worker *w, struct rte_mbuf *m)
{
	const struct td_packet *p = td_packet(m);
	bool known = td_realm_vlan_known(w->dp, p->port, p->vlan);

	td_worker_drop(w, m, known ? TD_C_IP_NOT_FOR_US : TD_C_ETH_UNKNOWN_VLAN);
}

static inline const struct td_realm_entry *entry4(const struct td_worker *w,
	const struct td_packet *p, const uint8_t *ip)
{
	uint32_t word;

	memcpy(&word, ip, sizeof(word));
	return td_realm_find(w->dp->realm_table, td_realm_key(p->port, p->vlan, TD_IPV4), 0, word);
}

static inline const struct td_realm_entry *entry6(const struct td_worker *w,
	const struct td_packet *p, const uint8_t *ip)
{
	return td_realm_find(w->dp->realm_table, td_realm_key(p->port, p->vlan, TD_IPV6),
		td_sum_load(ip), td_sum_load(ip + 8));
}

// A bit says no for nearly every stranger; only for the rest the table is asked.
static inline bool own4(const struct td_worker *w, const struct td_packet *p, const uint8_t *src)
{
	uint64_t key = td_realm_key(p->port, p->vlan, TD_IPV4);
	uint32_t word;

	memcpy(&word, src, sizeof(word));
	return unlikely(td_realm_perhaps(w->dp->realm_table, key, 0, word)) && entry4(w, p, src);
}

static inline bool own6(const struct td_worker *w, const struct td_packet *p, const uint8_t *src)
{
	uint64_t key = td_realm_key(p->port, p->vlan, TD_IPV6);
	uint64_t hi = td_sum_load(src), lo = td_sum_load(src + 8);

	return unlikely(td_realm_perhaps(w->dp->realm_table, key, hi, lo)) && entry6(w, p, src);
}

static inline void udp_sort(struct td_worker *w, struct sorted *s, struct rte_mbuf *m,
	const struct td_realm_entry *e, uint16_t l4_off, uint32_t room, bool v6)
{
	enum td_counter why;
	enum td_udp_next next = td_udp_check(w, m, e, l4_off, room, v6, &why);

	if (likely(next == TD_UDP_RTP)) {
		s->rtp[s->n_rtp++] = m;
	} else if (next == TD_UDP_SIP) {
		struct td_packet *p = td_packet(m);
		const uint8_t *udp = rte_pktmbuf_mtod_offset(m, const uint8_t *, l4_off);
		addresses_fill(rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l3_off), p);
		p->src.port = (uint16_t)(udp[0] << 8 | udp[1]);
		p->dst.port = (uint16_t)(udp[2] << 8 | udp[3]);
		s->sip[s->n_sip++] = m;
	} else {
		td_worker_drop(w, m, why);
	}
}

// Header, length, checksum and addresses of an IPv4 packet. NULL: it is gone.
static inline const struct td_realm_entry *ip4_check(
	struct td_worker *w, struct rte_mbuf *m, const uint8_t *ip, uint32_t header, uint32_t have)
{
	struct td_packet *p = td_packet(m);
	uint32_t total = (uint32_t)(ip[2] << 8 | ip[3]);

	if (unlikely(total > have || total < header)) {
		td_worker_drop(w, m, TD_C_IP_BAD_LENGTH);
		return NULL;
	}
	// Header checksums are never left to a NIC by those who send, so that trust does not go
	// this far.
	uint64_t sum = header == 20 ? td_sum_ip4_header(ip) : td_sum_bytes(ip, header);
	if (unlikely(!td_sum_good(sum))) {
		td_worker_drop(w, m, TD_C_IP_BAD_CHECKSUM);
		return NULL;
	}
	const struct td_realm_entry *e = entry4(w, p, ip + 16);
	if (unlikely(!e)) {
		not_ours(w, m);
		return NULL;
	}
	if (unlikely(martian4(ip + 12) || own4(w, p, ip + 12))) {
		td_worker_drop(w, m, TD_C_IP_BAD_SOURCE);
		return NULL;
	}
	return e;
}

// Options, fragments, other protocols.
static void ip4_slow(struct td_worker *w, struct rte_mbuf *m, const uint8_t *ip, uint32_t have)
{
	struct td_packet *p = td_packet(m);
	uint32_t header = have >= 20 ? (ip[0] & 15) * 4u : 0;

	if (header < 20 || header > have || ip[0] >> 4 != 4) {
		td_worker_drop(w, m, TD_C_IP_BAD_HEADER);
		return;
	}
	const struct td_realm_entry *e = ip4_check(w, m, ip, header, have);
	if (!e)
		return;
	uint16_t len = (uint16_t)((ip[2] << 8 | ip[3]) - (int)header);
	uint16_t fragment = (uint16_t)(ip[6] << 8 | ip[7]);
	p->realm = e->realm;
	p->address = e->address;
	p->l4_off = (uint16_t)(p->l3_off + header);
	addresses_fill(ip, p);
	if (fragment & (RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)) {
		struct td_fragment_info info = {
			.family = TD_IPV4,
			.protocol = ip[9],
			.more = fragment & RTE_IPV4_HDR_MF_FLAG,
			.id = (uint32_t)(ip[4] << 8 | ip[5]),
			.offset = (uint16_t)((fragment & RTE_IPV4_HDR_OFFSET_MASK) * 8),
			.data_len = len,
		};
		td_reassembly_input(w, m, &info);
		return;
	}
	td_l4_input(w, m, ip[9], len);
}

static inline void ip4_input(
	struct td_worker *w, struct sorted *s, struct rte_mbuf *m, const uint8_t *ip, uint32_t have)
{
	uint16_t fragment;

	memcpy(&fragment, ip + 6, sizeof(fragment));
	if (unlikely(have < 28 || ip[0] != 0x45 || ip[9] != IPPROTO_UDP ||
		    (fragment & RTE_BE16(0x3fff)) != 0)) {
		ip4_slow(w, m, ip, have);
		return;
	}
	const struct td_realm_entry *e = ip4_check(w, m, ip, 20, have);
	if (likely(e != NULL))
		udp_sort(w, s, m, e, td_packet(m)->l3_off + 20, (ip[2] << 8 | ip[3]) - 20u, false);
}

static void ip6_fragment(struct td_worker *w, struct rte_mbuf *m, const uint8_t *ip, uint16_t len)
{
	const uint8_t *f = ip + 40;

	if (len < 8) {
		td_worker_drop(w, m, TD_C_IP_FRAGMENT_BAD);
		return;
	}
	struct td_fragment_info info = {
		.family = TD_IPV6,
		.protocol = f[0],
		.more = f[3] & 1,
		.id = (uint32_t)f[4] << 24 | (uint32_t)f[5] << 16 | (uint32_t)f[6] << 8 | f[7],
		.offset = (uint16_t)((f[2] << 8 | f[3]) & 0xfff8),
		.data_len = len - 8,
	};
	td_packet(m)->l4_off += 8;
	td_reassembly_input(w, m, &info);
}

static void ip6_upper(struct td_worker *w, struct rte_mbuf *m, const uint8_t *ip, uint16_t len)
{
	switch (ip[6]) {
	case IPPROTO_FRAGMENT:
		ip6_fragment(w, m, ip, len);
		break;
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_AH:
		td_worker_drop(w, m, TD_C_IP_EXTENSION_HEADER);
		break;
	default:
		td_l4_input(w, m, ip[6], len);
	}
}

// Everything that is not plain UDP to one of our addresses.
static void ip6_slow(struct td_worker *w, struct rte_mbuf *m, const uint8_t *ip, uint32_t have)
{
	struct td_packet *p = td_packet(m);

	if (have < 40 || ip[0] >> 4 != 6) {
		td_worker_drop(w, m, TD_C_IP_BAD_HEADER);
		return;
	}
	uint16_t len = (uint16_t)(ip[4] << 8 | ip[5]);
	if (len > have - 40) {
		td_worker_drop(w, m, TD_C_IP_BAD_LENGTH);
		return;
	}
	p->l4_off = p->l3_off + 40;
	addresses_fill(ip, p);
	// Neighbour discovery comes to groups and, for duplicate detection, from nowhere: main
	// judges it.
	if (ip[24] == 0xff && ip[6] == IPPROTO_ICMPV6 && td_realm_vlan_known(w->dp, p->port, p->vlan)) {
		td_icmp6_input(w, m, len);
		return;
	}
	const struct td_realm_entry *e = entry6(w, p, ip + 24);
	if (!e) {
		not_ours(w, m);
	} else if (martian6(ip + 8) || own6(w, p, ip + 8)) {
		td_worker_drop(w, m, TD_C_IP_BAD_SOURCE);
	} else {
		p->realm = e->realm;
		p->address = e->address;
		ip6_upper(w, m, ip, len);
	}
}

static inline void ip6_input(
	struct td_worker *w, struct sorted *s, struct rte_mbuf *m, const uint8_t *ip, uint32_t have)
{
	const struct td_packet *p = td_packet(m);

	if (unlikely(have < 48 || ip[0] >> 4 != 6 || ip[6] != IPPROTO_UDP)) {
		ip6_slow(w, m, ip, have);
		return;
	}
	uint32_t len = (uint32_t)(ip[4] << 8 | ip[5]);
	if (unlikely(len < 8 || len > have - 40)) {
		td_worker_drop(w, m, TD_C_IP_BAD_LENGTH);
		return;
	}
	const struct td_realm_entry *e = entry6(w, p, ip + 24);
	if (unlikely(!e))
		not_ours(w, m);
	else if (unlikely(martian6(ip + 8) || own6(w, p, ip + 8)))
		td_worker_drop(w, m, TD_C_IP_BAD_SOURCE);
	else
		udp_sort(w, s, m, e, p->l3_off + 40, len, true);
}

// The lines behind the first, which eth_input fetched: while others are summed up.
static inline void payload_fetch(struct rte_mbuf *m)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);

	for (int line = 1; line < LINES; line++)
		rte_prefetch0(data + line * RTE_CACHE_LINE_SIZE);
}

// The packet before the last few has the place of its leg's index at hand by now.
static inline void leg_fetch(const struct td_worker *w, const struct sorted *s)
{
	if (unlikely(s->n_rtp <= BEHIND))
		return;
	const uint32_t *slot = td_packet(s->rtp[s->n_rtp - 1 - BEHIND])->slot;
	if (likely(slot != NULL))
		td_leg_fetch(w->legs, *slot);
}

void td_ip_input(struct td_worker *w, struct rte_mbuf **packets, uint16_t n)
{
	// A sum over the payload will be made here.
	bool whole = !w->dp->ports[td_packet(packets[0])->port].hw_rx_cksum;
	struct sorted s;

	for (uint16_t i = 0; whole && i < n && i < AHEAD; i++)
		payload_fetch(packets[i]);
	s.n_rtp = s.n_sip = 0;
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = packets[i];
		if (whole && i + AHEAD < n)
			payload_fetch(packets[i + AHEAD]);
		uint16_t l3_off = td_packet(m)->l3_off;
		const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, l3_off);
		uint32_t have = m->data_len - (uint32_t)l3_off;
		uint16_t type;
		memcpy(&type, ip - 2, sizeof(type));
		if (type == RTE_BE16(RTE_ETHER_TYPE_IPV4))
			ip4_input(w, &s, m, ip, have);
		else
			ip6_input(w, &s, m, ip, have);
		leg_fetch(w, &s);
	}
	if (s.n_rtp > 0)
		td_rtp_input(w, s.rtp, s.n_rtp);
	if (s.n_sip > 0)
		td_sip_input(w, s.sip, s.n_sip);
}
