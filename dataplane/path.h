// SPDX-License-Identifier: BSD-3-Clause
// The packet path as a whole, in the order in which its parts need one another. Main lcore, before
// "ready".
#pragma once

#include "dataplane/port.h"

// Room that every frame's mbuf needs in front of it, and in its private area.
#define TD_MBUF_PRIV sizeof(struct td_packet)

struct td_path_conf {
	uint32_t neighbours; // 0: 8192
	int socket;          // NUMA socket of main's tables; SOCKET_ID_ANY where it does not matter
};

// After EAL, clock and pools: ports, realms, rings, neighbours, reassembly. dp->conf, clock,
// n_workers, workers[] (id, dp, mbufs, big_mbufs) and main (id TD_MAIN_ID, dp, mbufs) must be
// filled in; dp->qsbr may be NULL. 0 or negative errno with one line in fault.
int td_path_start(
	struct td_dataplane *dp, const struct td_path_conf *conf, char fault[TD_PORT_FAULT_LEN]);
// After the workers have returned.
void td_path_stop(struct td_dataplane *dp);
