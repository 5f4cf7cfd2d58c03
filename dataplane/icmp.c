// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/checksum.h"
#include "dataplane/handoff.h"
#include "dataplane/l2.h"
#include "dataplane/worker.h"

#include <rte_icmp.h>
#include <rte_ip.h>

#define ECHO_PER_SECOND 1000
#define ECHO_BURST 100
#define TTL 64

enum { ICMP6_ECHO_REQUEST = 128, ICMP6_ECHO_REPLY = 129, ICMP6_NS = 135, ICMP6_NA = 136 };

// A bucket for each worker: answering strangers must not cost a flood's worth of time.
static bool echo_allowed(struct td_worker *w)
{
	uint64_t since_ns = w->now_ns - w->icmp_ns;

	if (since_ns >= 1000000000ull / ECHO_PER_SECOND) {
		uint64_t more = since_ns / (1000000000ull / ECHO_PER_SECOND) + w->icmp_tokens;
		w->icmp_tokens = more < ECHO_BURST ? (uint32_t)more : ECHO_BURST;
		w->icmp_ns = w->now_ns;
	}
	if (w->icmp_tokens == 0)
		return false;
	w->icmp_tokens--;
	return true;
}

// Turns the frame round and sends it back to whoever sent it: no look-up, no state.
static void echo_send(struct td_worker *w, struct rte_mbuf *m)
{
	const struct td_packet *p = td_packet(m);
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct td_adjacency back = { .port = p->port, .vlan = p->vlan };
	uint16_t type_be;

	memcpy(&type_be, (const uint8_t *)eth + p->l3_off - 2, sizeof(type_be));
	back.src = w->dp->ports[p->port].mac;
	uint64_t mac = td_mac_word(&eth->src_addr);
	rte_pktmbuf_adj(m, p->l3_off);
	m->ol_flags = 0;
	td_l2_push(m, &back, mac, type_be);
	td_port_tx(w, p->port, m);
}

// Common to both families: is it an echo request that may be answered now?
static bool echo_wanted(struct td_worker *w, struct rte_mbuf *m, uint8_t type, uint8_t request)
{
	const struct td_packet *p = td_packet(m);

	if (type != request || m->pkt_len - p->l3_off > w->dp->realms[p->realm].mtu) {
		td_worker_drop(w, m, TD_C_ICMP_IGNORED);
		return false;
	}
	if (!echo_allowed(w)) {
		td_worker_drop(w, m, TD_C_ICMP_RATE);
		return false;
	}
	return true;
}

void td_icmp_input(struct td_worker *w, struct rte_mbuf *m, uint16_t len)
{
	struct td_packet *p = td_packet(m);
	uint8_t *icmp = rte_pktmbuf_mtod_offset(m, uint8_t *, p->l4_off);

	if (len < 8 || !td_sum_good(td_sum_bytes(icmp, len))) {
		td_worker_drop(w, m, TD_C_ICMP_BAD);
		return;
	}
	m->data_len = p->l4_off + len;
	m->pkt_len = m->data_len;
	if (!echo_wanted(w, m, icmp[0], RTE_IP_ICMP_ECHO_REQUEST))
		return;
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, p->l3_off);
	memcpy(&ip->dst_addr, p->src.ip, 4);
	memcpy(&ip->src_addr, p->dst.ip, 4);
	ip->time_to_live = TTL;
	ip->hdr_checksum = 0;
	ip->hdr_checksum = td_checksum_of(td_sum_bytes(ip, (ip->version_ihl & 15) * 4u));
	icmp[0] = RTE_IP_ICMP_ECHO_REPLY;
	icmp[2] = icmp[3] = 0;
	uint16_t sum = td_checksum_of(td_sum_bytes(icmp, len));
	memcpy(icmp + 2, &sum, sizeof(sum));
	echo_send(w, m);
}

void td_icmp6_input(struct td_worker *w, struct rte_mbuf *m, uint16_t len)
{
	struct td_packet *p = td_packet(m);
	struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv6_hdr *, p->l3_off);
	uint8_t *icmp = rte_pktmbuf_mtod_offset(m, uint8_t *, p->l4_off);
	uint64_t pseudo = td_sum_pseudo6((const uint8_t *)ip, IPPROTO_ICMPV6, len);

	if (len < 8 || !td_sum_good(td_sum_add(pseudo, td_sum_bytes(icmp, len)))) {
		td_worker_drop(w, m, TD_C_ICMP_BAD);
		return;
	}
	m->data_len = p->l4_off + len;
	m->pkt_len = m->data_len;
	if (icmp[0] == ICMP6_NS || icmp[0] == ICMP6_NA) {
		p->payload_len = len;
		td_handoff_main(w, TD_ERRAND_ND, m);
		return;
	}
	if (p->dst.ip[0] == 0xff) { // groups are for neighbour discovery alone
		td_worker_drop(w, m, TD_C_ICMP_IGNORED);
		return;
	}
	if (!echo_wanted(w, m, icmp[0], ICMP6_ECHO_REQUEST))
		return;
	memcpy(ip->dst_addr, p->src.ip, 16);
	memcpy(ip->src_addr, p->dst.ip, 16);
	ip->hop_limits = TTL;
	icmp[0] = ICMP6_ECHO_REPLY;
	icmp[2] = icmp[3] = 0;
	uint16_t sum = td_checksum_of(td_sum_add(
		td_sum_pseudo6((const uint8_t *)ip, IPPROTO_ICMPV6, len), td_sum_bytes(icmp, len)));
	memcpy(icmp + 2, &sum, sizeof(sum));
	echo_send(w, m);
}
