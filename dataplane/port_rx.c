// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/worker.h"

uint32_t td_port_rx(struct td_worker *w)
{
	struct rte_mbuf *frames[TD_BURST];
	uint32_t total = 0;

	for (uint16_t i = 0; i < w->n_rx; i++) {
		const struct td_rx_queue *q = &w->rx[i];
		uint16_t n = rte_eth_rx_burst(q->ethdev, q->queue, frames, TD_BURST);
		if (n == 0)
			continue;
		td_worker_count(w, TD_C_RX_FRAMES, n);
		td_eth_input(w, q->port, frames, n);
		total += n;
	}
	return total;
}
