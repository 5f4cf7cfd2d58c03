// SPDX-License-Identifier: BSD-3-Clause
// Neighbour solicitation and advertisement (RFC 4861 §4.3, §4.4, §7).
#include "dataplane/checksum.h"
#include "dataplane/neigh.h"
#include "dataplane/realm_table.h"

#include <rte_ip.h>

enum { NS = 135, NA = 136, OPTION_SOURCE = 1, OPTION_TARGET = 2 };
enum { NA_SOLICITED = 0x40, NA_OVERRIDE = 0x20 };

#define HEADER_LEN sizeof(struct rte_ipv6_hdr)
#define MESSAGE_LEN 24 // both, without options
#define OPTION_LEN 8
#define HOP_LIMIT 255

static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };

// ff02::1:ffXX:XXXX and the Ethernet group that stands for an IPv6 group (RFC 4291 §2.7.1, RFC 2464
// §7).
static void solicited_node(uint8_t group[16], const uint8_t *ip)
{
	static const uint8_t prefix[13] = { 0xff, 0x02, [11] = 1, [12] = 0xff };

	memcpy(group, prefix, sizeof(prefix));
	memcpy(group + 13, ip + 13, 3);
}

static struct rte_ether_addr group_mac(const uint8_t *group)
{
	struct rte_ether_addr mac = { { 0x33, 0x33 } };

	memcpy(mac.addr_bytes + 2, group + 12, 4);
	return mac;
}

struct message {
	uint8_t type, flags, option;
	const uint8_t *src, *dst, *target;
};

static void message_send(struct td_dataplane *dp, uint16_t realm, const struct rte_ether_addr *to,
	const struct message *msg)
{
	uint16_t len = MESSAGE_LEN + OPTION_LEN;
	uint8_t *l3;
	struct rte_mbuf *m = td_neigh_frame(
		dp, realm, to, RTE_ETHER_TYPE_IPV6, (uint16_t)(HEADER_LEN + len), &l3);

	if (!m) {
		td_worker_count(dp->main, TD_C_BUF_EMPTY, 1);
		return;
	}
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)l3;
	uint8_t *icmp = l3 + HEADER_LEN;
	ip->vtc_flow = RTE_BE32(6u << 28);
	ip->payload_len = rte_cpu_to_be_16(len);
	ip->proto = IPPROTO_ICMPV6;
	ip->hop_limits = HOP_LIMIT;
	memcpy(ip->src_addr, msg->src, 16);
	memcpy(ip->dst_addr, msg->dst, 16);
	icmp[0] = msg->type;
	icmp[4] = msg->flags;
	memcpy(icmp + 8, msg->target, 16);
	icmp[24] = msg->option;
	icmp[25] = 1; // in units of 8 bytes
	memcpy(icmp + 26, &dp->ports[dp->realms[realm].port].mac, sizeof(struct rte_ether_addr));
	uint16_t sum = td_checksum_of(
		td_sum_add(td_sum_pseudo6(l3, IPPROTO_ICMPV6, len), td_sum_bytes(icmp, len)));
	memcpy(icmp + 2, &sum, sizeof(sum));
	td_neigh_send(dp, realm, m);
}

void td_nd_ask(struct td_dataplane *dp, const struct td_adjacency *a)
{
	const struct td_realm_conf *realm = &dp->realms[a->realm].conf;
	uint64_t mac = atomic_load_explicit(&a->mac, memory_order_relaxed);
	int own = td_realm_on_link(realm, &a->next_hop);
	uint8_t group[16];

	for (uint8_t i = 0; own < 0 && i < realm->n_addresses; i++)
		if (realm->addresses[i].ip.family == TD_IPV6)
			own = i;
	if (own < 0)
		return;
	solicited_node(group, a->next_hop.ip);
	struct rte_ether_addr to = group_mac(group);
	bool known = mac & TD_ADJACENCY_VALID;
	if (known)
		memcpy(&to, &mac, sizeof(to));
	struct message msg = {
		.type = NS,
		.option = OPTION_SOURCE,
		.src = realm->addresses[own].ip.ip,
		.dst = known ? a->next_hop.ip : group,
		.target = a->next_hop.ip,
	};
	message_send(dp, a->realm, &to, &msg);
}

void td_nd_announce(struct td_dataplane *dp, uint16_t realm, uint8_t address)
{
	const uint8_t *ip = dp->realms[realm].conf.addresses[address].ip.ip;
	struct rte_ether_addr to = group_mac(all_nodes);
	struct message msg = {
		.type = NA,
		.flags = NA_OVERRIDE,
		.option = OPTION_TARGET,
		.src = ip,
		.dst = all_nodes,
		.target = ip,
	};

	message_send(dp, realm, &to, &msg);
}

// The link-layer address in the options, if there is one. -1: an option of length 0 (RFC 4861
// §4.6).
static int option_find(const uint8_t *icmp, uint16_t len, uint8_t type, struct rte_ether_addr *mac)
{
	int found = 0;

	for (uint32_t at = MESSAGE_LEN; at + OPTION_LEN <= len;) {
		uint32_t size = icmp[at + 1] * 8u;
		if (size == 0 || size > len - at)
			return -1;
		if (icmp[at] == type && size == OPTION_LEN) {
			memcpy(mac, icmp + at + 2, sizeof(*mac));
			found = 1;
		}
		at += size;
	}
	return found;
}

static void solicitation(struct td_dataplane *dp, struct rte_mbuf *m, const uint8_t *icmp)
{
	const struct td_packet *p = td_packet(m);
	struct td_sockaddr target = { .family = TD_IPV6 }, nobody = { .family = TD_IPV6 };
	struct rte_ether_addr mac;

	memcpy(target.ip, icmp + 8, 16);
	const struct td_realm_entry *e =
		td_realm_find_ip(dp->realm_table, p->port, p->vlan, &target);
	int option = option_find(icmp, p->payload_len, OPTION_SOURCE, &mac);
	bool probe = td_ip_eq(&p->src, &nobody);
	if (option < 0 || (probe && option > 0)) {
		td_worker_drop(dp->main, m, TD_C_NEIGH_BAD);
		return;
	}
	if (!e) {
		td_worker_drop(dp->main, m, TD_C_NEIGH_IGNORED);
		return;
	}
	if (option > 0 && td_realm_on_link(&dp->realms[e->realm].conf, &p->src) >= 0)
		td_neigh_learn(dp, e->realm, &p->src, &mac, true);
	// Duplicate detection asks from nowhere and is answered to all (§7.2.4).
	struct rte_ether_addr to = group_mac(all_nodes);
	if (!probe)
		to = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *)->src_addr;
	struct message msg = {
		.type = NA,
		.flags = probe ? NA_OVERRIDE : NA_SOLICITED | NA_OVERRIDE,
		.option = OPTION_TARGET,
		.src = target.ip,
		.dst = probe ? all_nodes : p->src.ip,
		.target = target.ip,
	};
	message_send(dp, e->realm, &to, &msg);
	td_worker_drop(dp->main, m, TD_C_NEIGH_CONSUMED);
}

static void advertisement(struct td_dataplane *dp, struct rte_mbuf *m, const uint8_t *icmp)
{
	const struct td_packet *p = td_packet(m);
	struct td_sockaddr target = { .family = TD_IPV6 };
	struct rte_ether_addr mac;

	memcpy(target.ip, icmp + 8, 16);
	int option = option_find(icmp, p->payload_len, OPTION_TARGET, &mac);
	if (option < 0 || td_realm_find_ip(dp->realm_table, p->port, p->vlan, &target)) {
		td_worker_drop(dp->main, m, TD_C_NEIGH_BAD);
		return;
	}
	// An answer to a question sent to one MAC may leave the address out (§4.4): it is who sent
	// it.
	if (option == 0)
		mac = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *)->src_addr;
	td_neigh_heard(dp, p->port, p->vlan, &target, &mac);
	td_worker_drop(dp->main, m, TD_C_NEIGH_CONSUMED);
}

void td_nd_input(struct td_dataplane *dp, struct rte_mbuf *m)
{
	const struct td_packet *p = td_packet(m);
	const uint8_t *l3 = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l3_off);
	const uint8_t *icmp = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4_off);
	const struct rte_ipv6_hdr *ip = (const struct rte_ipv6_hdr *)l3;
	static const uint8_t zero[16];

	// A hop limit of 255 proves that no router carried it here (§7.1).
	bool bad = ip->hop_limits != HOP_LIMIT || p->payload_len < MESSAGE_LEN || icmp[1] != 0;
	bad = bad || icmp[8] == 0xff || p->src.ip[0] == 0xff || p->l3_off < RTE_ETHER_HDR_LEN;
	bad = bad || td_realm_find_ip(dp->realm_table, p->port, p->vlan, &p->src);
	// From nowhere comes only a question, and only to the group of who is asked.
	bool nowhere = memcmp(p->src.ip, zero, 16) == 0;
	bad = bad || (nowhere && (icmp[0] != NS || p->dst.ip[0] != 0xff));
	if (bad)
		td_worker_drop(dp->main, m, TD_C_NEIGH_BAD);
	else if (icmp[0] == NS)
		solicitation(dp, m, icmp);
	else
		advertisement(dp, m, icmp);
}
