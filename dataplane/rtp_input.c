// SPDX-License-Identifier: BSD-3-Clause
// UDP to a media port: to the worker whose slot the port is in (architecture §4).
#include "dataplane/handoff.h"
#include "dataplane/leg.h"

#include <rte_byteorder.h>
#include <rte_udp.h>

void td_rtp_input(struct td_worker *w, struct rte_mbuf **packets, uint16_t n)
{
	uint16_t own = 0;

	if (w->dp->n_workers == 1) {
		td_rtp_relay(w, packets, n);
		return;
	}
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = packets[i];
		const struct rte_udp_hdr *udp = rte_pktmbuf_mtod_offset(
			m, const struct rte_udp_hdr *, td_packet(m)->l4_off);
		uint16_t owner = td_steer_owner(&w->dp->steer, rte_be_to_cpu_16(udp->dst_port));
		if (likely(owner == w->id)) {
			packets[own++] = m;
		} else {
			td_packet(m)->leg = TD_LEG_UNASKED; // in the owner's table
			td_handoff_rtp(w, owner, m);
		}
	}
	td_rtp_relay(w, packets, own);
}
