// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port_steer.h"

#include <rte_flow.h>

#include <errno.h>

#define RETA_MAX 2048

static unsigned int bits_of(uint16_t reta_size)
{
	return (unsigned int)__builtin_ctz(reta_size);
}

uint16_t td_port_rss_prepare(const struct rte_eth_dev_info *info, struct rte_eth_conf *conf,
	uint8_t key[TD_STEER_KEY_MAX])
{
	uint64_t udp = RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV6_UDP;
	uint64_t hash = udp & info->flow_type_rss_offloads;
	uint16_t reta = info->reta_size;

	// Without DST_ONLY the hash covers addresses and the far end's port too: it spreads, but
	// can't steer.
	if (hash == 0 || !(info->flow_type_rss_offloads & RTE_ETH_RSS_L4_DST_ONLY) ||
		reta < 16 || reta > RETA_MAX || (reta & (reta - 1)) != 0 ||
		info->hash_key_size == 0 || info->hash_key_size > TD_STEER_KEY_MAX)
		return 0;
	td_steer_key(key, info->hash_key_size, bits_of(reta));
	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	conf->rx_adv_conf.rss_conf.rss_key = key;
	conf->rx_adv_conf.rss_conf.rss_key_len = info->hash_key_size;
	conf->rx_adv_conf.rss_conf.rss_hf = hash | RTE_ETH_RSS_L4_DST_ONLY;
	return reta < TD_STEER_SLOTS ? reta : TD_STEER_SLOTS;
}

// The queue whose owner a worker is; its own packets arrive there.
static uint16_t queue_of(const struct td_port *port, uint16_t worker)
{
	for (uint16_t q = 0; q < port->n_rxq; q++)
		if (port->rx_owner[q] == worker)
			return q;
	return 0;
}

int td_port_rss_apply(const struct td_dataplane *dp, const struct td_port *port, const uint8_t *key,
	uint16_t key_len)
{
	struct rte_eth_rss_reta_entry64 reta[RETA_MAX / RTE_ETH_RETA_GROUP_SIZE] = { 0 };
	uint8_t in_force[TD_STEER_KEY_MAX] = { 0 };
	struct rte_eth_rss_conf conf = { .rss_key = in_force, .rss_key_len = sizeof(in_force) };
	struct rte_eth_dev_info info;

	int err = rte_eth_dev_info_get(port->ethdev, &info);
	if (err != 0)
		return err;
	// A NIC that kept its own key would scatter pairs over workers without anybody noticing.
	err = rte_eth_dev_rss_hash_conf_get(port->ethdev, &conf);
	if (err != 0)
		return err;
	if (memcmp(in_force, key, key_len) != 0)
		return -EINVAL;
	for (uint32_t local = 0; local < 65536; local += 2) {
		uint16_t entry = td_steer_entry(key, (uint16_t)local, bits_of(info.reta_size));
		uint16_t owner = td_steer_owner(&dp->steer, (uint16_t)local);
		reta[entry / RTE_ETH_RETA_GROUP_SIZE].mask |= 1ull
							      << (entry % RTE_ETH_RETA_GROUP_SIZE);
		reta[entry / RTE_ETH_RETA_GROUP_SIZE].reta[entry % RTE_ETH_RETA_GROUP_SIZE] =
			queue_of(port, owner);
	}
	return rte_eth_dev_rss_reta_update(port->ethdev, reta, info.reta_size);
}

static struct rte_flow *flow_slot(
	const struct td_port *port, bool v6, uint16_t slot, uint16_t period, uint16_t queue)
{
	struct rte_flow_attr attr = { .ingress = 1 };
	struct rte_flow_item_udp spec = { .hdr.dst_port = rte_cpu_to_be_16((uint16_t)(slot << 1)) };
	struct rte_flow_item_udp mask = { .hdr.dst_port =
						  rte_cpu_to_be_16((uint16_t)((period - 1) << 1)) };
	struct rte_flow_item pattern[] = {
		{ .type = RTE_FLOW_ITEM_TYPE_ETH },
		{ .type = v6 ? RTE_FLOW_ITEM_TYPE_IPV6 : RTE_FLOW_ITEM_TYPE_IPV4 },
		{ .type = RTE_FLOW_ITEM_TYPE_UDP, .spec = &spec, .mask = &mask },
		{ .type = RTE_FLOW_ITEM_TYPE_END },
	};
	struct rte_flow_action_queue to = { .index = queue };
	struct rte_flow_action actions[] = {
		{ .type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &to },
		{ .type = RTE_FLOW_ACTION_TYPE_END },
	};
	struct rte_flow_error error;

	if (rte_flow_validate(port->ethdev, &attr, pattern, actions, &error) != 0)
		return NULL;
	return rte_flow_create(port->ethdev, &attr, pattern, actions, &error);
}

int td_port_flow_apply(const struct td_dataplane *dp, const struct td_port *port)
{
	struct rte_flow_error error;

	for (uint16_t slot = 0; slot < dp->steer.period; slot++) {
		uint16_t queue = queue_of(port, dp->steer.owner[slot]);
		for (int v6 = 0; v6 < 2; v6++) {
			if (flow_slot(port, v6, slot, dp->steer.period, queue))
				continue;
			rte_flow_flush(port->ethdev, &error);
			return -ENOTSUP;
		}
	}
	return 0;
}
