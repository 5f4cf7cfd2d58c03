// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/neigh.h"
#include "dataplane/realm_table.h"

#include <rte_arp.h>

static const struct rte_ether_addr everybody = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };

static struct td_sockaddr address4(const void *ip)
{
	struct td_sockaddr a = { .family = TD_IPV4 };

	memcpy(a.ip, ip, 4);
	return a;
}

static void arp_send(struct td_dataplane *dp, uint16_t realm, uint16_t opcode,
	const struct td_sockaddr *sender, const struct rte_ether_addr *to,
	const struct td_sockaddr *target)
{
	struct rte_arp_hdr *arp;
	uint8_t *payload;
	struct rte_mbuf *m =
		td_neigh_frame(dp, realm, to, RTE_ETHER_TYPE_ARP, sizeof(*arp), &payload);

	if (!m) {
		td_worker_count(dp->main, TD_C_BUF_EMPTY, 1);
		return;
	}
	arp = (struct rte_arp_hdr *)payload;
	arp->arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER);
	arp->arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	arp->arp_hlen = sizeof(struct rte_ether_addr);
	arp->arp_plen = 4;
	arp->arp_opcode = rte_cpu_to_be_16(opcode);
	arp->arp_data.arp_sha = dp->ports[dp->realms[realm].port].mac;
	memcpy(&arp->arp_data.arp_sip, sender->ip, 4);
	if (opcode == RTE_ARP_OP_REPLY)
		arp->arp_data.arp_tha = *to;
	memcpy(&arp->arp_data.arp_tip, target->ip, 4);
	td_neigh_send(dp, realm, m);
}

void td_arp_ask(struct td_dataplane *dp, const struct td_adjacency *a)
{
	const struct td_realm_conf *realm = &dp->realms[a->realm].conf;
	uint64_t mac = atomic_load_explicit(&a->mac, memory_order_relaxed);
	struct rte_ether_addr to = everybody;
	int own = td_realm_on_link(realm, &a->next_hop);

	if (mac & TD_ADJACENCY_VALID)
		memcpy(&to, &mac, sizeof(to));
	// A gateway that lies outside all prefixes is asked from the first address of its family.
	for (uint8_t i = 0; own < 0 && i < realm->n_addresses; i++)
		if (realm->addresses[i].ip.family == TD_IPV4)
			own = i;
	if (own >= 0)
		arp_send(dp, a->realm, RTE_ARP_OP_REQUEST, &realm->addresses[own].ip, &to,
			&a->next_hop);
}

void td_arp_announce(struct td_dataplane *dp, uint16_t realm, uint8_t address)
{
	const struct td_sockaddr *ip = &dp->realms[realm].conf.addresses[address].ip;

	arp_send(dp, realm, RTE_ARP_OP_REQUEST, ip, &everybody, ip);
}

static bool arp_valid(const struct rte_mbuf *m, const struct rte_arp_hdr *arp, uint16_t l3_off)
{
	return m->data_len >= l3_off + sizeof(*arp) &&
	       arp->arp_hardware == RTE_BE16(RTE_ARP_HRD_ETHER) &&
	       arp->arp_protocol == RTE_BE16(RTE_ETHER_TYPE_IPV4) &&
	       arp->arp_hlen == sizeof(struct rte_ether_addr) && arp->arp_plen == 4;
}

void td_arp_input(struct td_dataplane *dp, struct rte_mbuf *m)
{
	const struct td_packet *p = td_packet(m);
	const struct rte_arp_hdr *arp =
		rte_pktmbuf_mtod_offset(m, const struct rte_arp_hdr *, p->l3_off);

	if (!arp_valid(m, arp, p->l3_off)) {
		td_worker_drop(dp->main, m, TD_C_NEIGH_BAD);
		return;
	}
	struct rte_ether_addr mac = arp->arp_data.arp_sha;
	struct td_sockaddr sender = address4((const uint8_t *)arp + 14);
	struct td_sockaddr target = address4((const uint8_t *)arp + 24);
	const struct td_realm_entry *e =
		td_realm_find_ip(dp->realm_table, p->port, p->vlan, &target);
	// Somebody else says that he is we.
	if (td_realm_find_ip(dp->realm_table, p->port, p->vlan, &sender) ||
		!rte_is_unicast_ether_addr(&mac)) {
		td_worker_drop(dp->main, m, TD_C_NEIGH_BAD);
		return;
	}
	if (!e || arp->arp_opcode != RTE_BE16(RTE_ARP_OP_REQUEST)) {
		td_neigh_heard(dp, p->port, p->vlan, &sender, &mac);
		td_worker_drop(dp->main, m,
			arp->arp_opcode == RTE_BE16(RTE_ARP_OP_REPLY) ? TD_C_NEIGH_CONSUMED
								      : TD_C_NEIGH_IGNORED);
		return;
	}
	// A probe (RFC 5227) has no sender address yet and is answered all the same.
	if (td_realm_on_link(&dp->realms[e->realm].conf, &sender) >= 0)
		td_neigh_learn(dp, e->realm, &sender, &mac, true);
	arp_send(dp, e->realm, RTE_ARP_OP_REPLY, &target, &mac, &sender);
	td_worker_drop(dp->main, m, TD_C_NEIGH_CONSUMED);
}
