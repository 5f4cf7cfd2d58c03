// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/checksum.h"
#include "dataplane/l2.h"
#include "dataplane/worker.h"

#include <rte_ip.h>

#define IP4_LEN sizeof(struct rte_ipv4_hdr)
#define IP6_LEN sizeof(struct rte_ipv6_hdr)
#define IP6_FRAGMENT_LEN 8

static void piece4_header(uint8_t *ip, uint16_t id, uint16_t offset, uint16_t len, bool more)
{
	struct rte_ipv4_hdr *h = (struct rte_ipv4_hdr *)ip;

	h->total_length = rte_cpu_to_be_16((uint16_t)(IP4_LEN + len));
	h->packet_id = rte_cpu_to_be_16(id);
	h->fragment_offset =
		rte_cpu_to_be_16((uint16_t)(offset / 8 | (more ? RTE_IPV4_HDR_MF_FLAG : 0)));
	h->hdr_checksum = 0;
	h->hdr_checksum = td_checksum_of(td_sum_ip4_header(ip));
}

static void piece6_header(uint8_t *ip, uint32_t id, uint16_t offset, uint16_t len, bool more)
{
	struct rte_ipv6_hdr *h = (struct rte_ipv6_hdr *)ip;
	uint8_t *f = ip + IP6_LEN;
	uint16_t where = rte_cpu_to_be_16((uint16_t)(offset | (more ? 1 : 0)));

	f[0] = h->proto;
	f[1] = 0;
	memcpy(f + 2, &where, sizeof(where));
	id = rte_cpu_to_be_32(id);
	memcpy(f + 4, &id, sizeof(id));
	h->proto = IPPROTO_FRAGMENT;
	h->payload_len = rte_cpu_to_be_16((uint16_t)(IP6_FRAGMENT_LEN + len));
}

// Copies, because an indirect mbuf is a chain and not every driver sends those.
static bool piece_send(struct td_worker *w, const struct td_adjacency *a, uint64_t mac,
	const uint8_t *ip, uint32_t id, uint16_t offset, uint16_t len, bool more)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->mbufs);
	bool v4 = ip[0] >> 4 == 4;
	uint16_t ip_len = v4 ? IP4_LEN : IP6_LEN, head = v4 ? ip_len : ip_len + IP6_FRAGMENT_LEN;
	uint8_t *out = m ? (uint8_t *)rte_pktmbuf_append(m, head + len) : NULL;

	if (!out) {
		rte_pktmbuf_free(m);
		return false;
	}
	memcpy(out, ip, ip_len);
	memcpy(out + head, ip + ip_len + offset, len);
	if (v4)
		piece4_header(out, (uint16_t)id, offset, len, more);
	else
		piece6_header(out, id, offset, len, more);
	td_packet(m)->flags = TD_PACKET_L4_DONE;
	td_l2_push(m, a, mac, v4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6));
	td_port_tx(w, a->port, m);
	return true;
}

void td_fragment(
	struct td_worker *w, const struct td_adjacency *a, uint64_t mac, struct rte_mbuf *packet)
{
	const uint8_t *ip = rte_pktmbuf_mtod(packet, const uint8_t *);
	uint16_t ip_len = ip[0] >> 4 == 4 ? IP4_LEN : IP6_LEN;
	uint16_t head = ip[0] >> 4 == 4 ? ip_len : ip_len + IP6_FRAGMENT_LEN;
	uint32_t len = packet->pkt_len - ip_len, made = 0;
	uint32_t id = atomic_fetch_add_explicit(&w->dp->ip_id, 1, memory_order_relaxed);

	if (packet->nb_segs != 1 || a->mtu < head + 8) {
		td_worker_drop(w, packet, TD_C_IP_TOO_BIG);
		return;
	}
	uint16_t step = (uint16_t)((a->mtu - head) & ~7);
	for (uint32_t offset = 0; offset < len; offset += step, made++) {
		bool more = len - offset > step;
		uint16_t n = more ? step : (uint16_t)(len - offset);
		if (!piece_send(w, a, mac, ip, id, (uint16_t)offset, n, more)) {
			td_worker_count(w, TD_C_IP_FRAGMENT_MADE, made);
			td_worker_drop(w, packet, TD_C_IP_FRAGMENT_NO_BUFFER);
			return;
		}
	}
	// The packet itself became one of them.
	td_worker_count(w, TD_C_IP_FRAGMENT_MADE, made - 1);
	rte_pktmbuf_free(packet);
}
