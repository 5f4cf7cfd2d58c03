// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/handoff.h"
#include "dataplane/reassembly.h"
#include "dataplane/udp_input.h"

#include <rte_icmp.h>
#include <rte_ip.h>

#define BEHIND 5 // packets after which the index of a leg that was asked for has come

// One burst, sorted by where its packets go next.
struct sorted {
	const struct td_port *port; // it came in on
	uint32_t n_rtp, n_sip;
	struct rte_mbuf *rtp[TD_BURST], *sip[TD_BURST];
	const uint32_t *slot[TD_BURST]; // of rtp: where the index of its leg stands
};

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

static inline const struct td_realm_entry *entry4(
	const struct td_worker *w, const struct td_packet *p, const uint8_t *ip)
{
	uint32_t word;

	memcpy(&word, ip, sizeof(word));
	return td_realm_find(w->dp->realm_table, td_realm_key(p->port, p->vlan, TD_IPV4), 0, word);
}

static inline const struct td_realm_entry *entry6(
	const struct td_worker *w, const struct td_packet *p, const uint8_t *ip)
{
	return td_realm_find(w->dp->realm_table, td_realm_key(p->port, p->vlan, TD_IPV6),
		td_sum_load(ip), td_sum_load(ip + 8));
}

// Asks early for what the relay will want first. Where the packet turns out to be another worker's
// the place means nothing, and rtp_input forgets it.
static inline void rtp_add(const struct td_worker *w, struct sorted *s, struct rte_mbuf *m,
	const struct td_realm_entry *e, uint16_t l4_off)
{
	uint16_t port_be;

	memcpy(&port_be, rte_pktmbuf_mtod_offset(m, const uint8_t *, l4_off + 2), sizeof(port_be));
	uint32_t at = (uint32_t)e->realm * TD_REALM_ADDRS_MAX + e->address;
	const uint32_t *slot = td_leg_slot_at(w->legs, at, __builtin_bswap16(port_be));
	rte_prefetch0(slot);
	s->slot[s->n_rtp] = slot;
	s->rtp[s->n_rtp++] = m;
}

// Its index has come, so its lines can be asked for.
static inline void rtp_fetch(const struct td_worker *w, const struct sorted *s, uint32_t i)
{
	uint32_t leg = *s->slot[i];

	td_packet(s->rtp[i])->leg = leg;
	td_leg_fetch(w->legs, leg);
}

static inline void udp_sort(struct td_worker *w, struct sorted *s, struct rte_mbuf *m,
	const struct td_realm_entry *e, uint16_t l4_off, uint32_t room, bool v6)
{
	enum td_counter why;
	enum td_udp_next next = td_udp_check(w, s->port, m, e, l4_off, room, v6, &why);

	if (likely(next == TD_UDP_RTP)) {
		rtp_add(w, s, m, e, l4_off);
	} else if (next == TD_UDP_SIP && td_ip_source_bad(w, m)) {
		td_worker_drop(w, m, TD_C_IP_BAD_SOURCE);
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

// Header, length, checksum and destination of an IPv4 packet. NULL: it is gone.
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
	if (td_ip_source_bad(w, m)) {
		td_worker_drop(w, m, TD_C_IP_BAD_SOURCE);
		return;
	}
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
	if (ip[24] == 0xff && ip[6] == IPPROTO_ICMPV6 &&
		td_realm_vlan_known(w->dp, p->port, p->vlan)) {
		td_icmp6_input(w, m, len);
		return;
	}
	const struct td_realm_entry *e = entry6(w, p, ip + 24);
	if (!e) {
		not_ours(w, m);
	} else if (td_ip_source_bad(w, m)) {
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
	else
		udp_sort(w, s, m, e, p->l3_off + 40, len, true);
}

void td_ip_input(struct td_worker *w, struct rte_mbuf **packets, uint16_t n)
{
	struct sorted s;
	uint32_t fetched = 0;

	s.port = &w->dp->ports[td_packet(packets[0])->port];
	s.n_rtp = s.n_sip = 0;
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = packets[i];
		uint16_t l3_off = td_packet(m)->l3_off;
		const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, l3_off);
		uint32_t have = m->data_len - (uint32_t)l3_off;
		uint16_t type;
		memcpy(&type, ip - 2, sizeof(type));
		if (type == RTE_BE16(RTE_ETHER_TYPE_IPV4))
			ip4_input(w, &s, m, ip, have);
		else
			ip6_input(w, &s, m, ip, have);
		if (s.n_rtp - fetched > BEHIND)
			rtp_fetch(w, &s, fetched++);
	}
	while (fetched < s.n_rtp)
		rtp_fetch(w, &s, fetched++);
	if (s.n_rtp > 0)
		td_rtp_input(w, s.rtp, (uint16_t)s.n_rtp);
	if (s.n_sip > 0)
		td_sip_input(w, s.sip, (uint16_t)s.n_sip);
}
