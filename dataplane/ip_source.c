// SPDX-License-Identifier: BSD-3-Clause
// Who may not send: what no host may be called, and what we are called ourselves.
#include "dataplane/checksum.h"
#include "dataplane/realm_table.h"

// Nobody may send from there (RFC 1122 §3.2.1.3, RFC 6890): this network, loopback, multicast,
// reserved and broadcast.
static bool martian4(const uint8_t *src)
{
	return src[0] == 0 || src[0] >= 224 || src[0] == 127;
}

// Multicast, and everything in ::/96 and ::ffff:0:0/96: unspecified, loopback, IPv4 in disguise.
static bool martian6(const uint8_t *src)
{
	uint64_t hi = td_sum_load(src);
	uint32_t mid;

	memcpy(&mid, src + 8, sizeof(mid));
	return src[0] == 0xff || (hi == 0 && (mid == 0 || mid == RTE_BE32(0xffff)));
}

// A bit says no for nearly every stranger; only for the rest the table is asked.
static bool own4(const struct td_worker *w, const struct td_packet *p, const uint8_t *src)
{
	uint64_t key = td_realm_key(p->port, p->vlan, TD_IPV4);
	uint32_t word;

	memcpy(&word, src, sizeof(word));
	return td_realm_perhaps(w->dp->realm_table, key, 0, word) &&
	       td_realm_find(w->dp->realm_table, key, 0, word);
}

static bool own6(const struct td_worker *w, const struct td_packet *p, const uint8_t *src)
{
	uint64_t key = td_realm_key(p->port, p->vlan, TD_IPV6);
	uint64_t hi = td_sum_load(src), lo = td_sum_load(src + 8);

	return td_realm_perhaps(w->dp->realm_table, key, hi, lo) &&
	       td_realm_find(w->dp->realm_table, key, hi, lo);
}

bool td_ip_source_bad(const struct td_worker *w, struct rte_mbuf *m)
{
	const struct td_packet *p = td_packet(m);
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l3_off);

	return ip[0] >> 4 == 4 ? martian4(ip + 12) || own4(w, p, ip + 12)
			       : martian6(ip + 8) || own6(w, p, ip + 8);
}
