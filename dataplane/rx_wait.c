// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/rx_wait.h"

#include <rte_epoll.h>
#include <rte_interrupts.h>

#include <errno.h>

bool td_rx_wait_possible(uint16_t ethdev, uint16_t n_rxq)
{
	for (uint16_t q = 0; q < n_rxq; q++) {
		if (rte_eth_dev_rx_intr_enable(ethdev, q) != 0)
			return false;
		rte_eth_dev_rx_intr_disable(ethdev, q);
	}
	return true;
}

bool td_rx_wait_start(struct td_worker *w)
{
	w->rx_wait = w->n_rx > 0;
	for (uint16_t i = 0; i < w->n_rx; i++) {
		const struct td_rx_queue *q = &w->rx[i];
		if (!w->dp->ports[q->port].rx_interrupts ||
			rte_eth_dev_rx_intr_ctl_q(q->ethdev, q->queue, RTE_EPOLL_PER_THREAD,
				RTE_INTR_EVENT_ADD, NULL) != 0)
			w->rx_wait = false;
	}
	return w->rx_wait;
}

void td_rx_wait_arm(struct td_worker *w)
{
	for (uint16_t i = 0; i < w->n_rx; i++)
		rte_eth_dev_rx_intr_enable(w->rx[i].ethdev, w->rx[i].queue);
}

void td_rx_wait_disarm(struct td_worker *w)
{
	for (uint16_t i = 0; i < w->n_rx; i++)
		rte_eth_dev_rx_intr_disable(w->rx[i].ethdev, w->rx[i].queue);
}

bool td_rx_wait(int timeout_ms)
{
	struct rte_epoll_event events[8];

	return rte_epoll_wait(RTE_EPOLL_PER_THREAD, events, RTE_DIM(events), timeout_ms) > 0;
}
