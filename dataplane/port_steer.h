// SPDX-License-Identifier: BSD-3-Clause
// How a port with several queues brings a media packet to the worker that owns its port: RSS over
// the L4 destination port, rte_flow rules with port masks, or not at all. Main lcore, while ports
// start.
#pragma once

#include "dataplane/worker.h"

#include <rte_ethdev.h>

// Before rte_eth_dev_configure(): fills conf's RSS part where the device can hash the L4
// destination port alone; key must outlive the configuration. Returns the slots it can tell apart,
// 0 where it can't.
uint16_t td_port_rss_prepare(const struct rte_eth_dev_info *info, struct rte_eth_conf *conf,
	uint8_t key[TD_STEER_KEY_MAX]);
// After the start: writes the redirection table from dp->steer. 0 or negative errno.
int td_port_rss_apply(const struct td_dataplane *dp, const struct td_port *port, const uint8_t *key,
	uint16_t key_len);
// Rules over masks of the UDP destination port, both families; all or none. 0 or negative errno.
int td_port_flow_apply(const struct td_dataplane *dp, const struct td_port *port);
