// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/worker.h"

static void frames_drop(
	struct td_worker *w, struct rte_mbuf **frames, uint16_t n, enum td_counter why)
{
	td_worker_count(w, why, n);
	rte_pktmbuf_free_bulk(frames, n);
}

// The core that owns the port's only queue sends them.
static void batch_hand(struct td_worker *w, uint16_t port, struct td_tx_batch *b)
{
	const struct td_port *p = &w->dp->ports[port];
	struct rte_ring *ring = w->dp->workers[p->tx_owner]->tx_in[w->id];
	uint16_t n;

	for (uint16_t i = 0; i < b->n; i++)
		b->frames[i]->port = port;
	n = (uint16_t)rte_ring_sp_enqueue_burst(ring, (void **)b->frames, b->n, NULL);
	td_worker_count(w, TD_C_TX_HANDED, n);
	if (n < b->n)
		frames_drop(w, b->frames + n, b->n - n, TD_C_HANDOFF_FULL);
}

static void batch_send(struct td_worker *w, uint16_t port, struct td_tx_batch *b)
{
	const struct td_port *p = &w->dp->ports[port];
	uint16_t queue = p->tx_queue[w->id];

	if (queue == UINT16_MAX) {
		batch_hand(w, port, b);
	} else {
		uint16_t n = rte_eth_tx_burst(p->ethdev, queue, b->frames, b->n);
		td_worker_count(w, TD_C_TX_FRAMES, n);
		if (unlikely(n < b->n))
			frames_drop(w, b->frames + n, b->n - n, TD_C_TX_FULL);
	}
	b->n = 0;
}

void td_port_tx(struct td_worker *w, uint16_t port, struct rte_mbuf *frame)
{
	struct td_tx_batch *b = &w->tx[port];

	b->frames[b->n++] = frame;
	w->tx_dirty |= 1u << port;
	if (b->n == TD_BURST)
		batch_send(w, port, b);
}

void td_port_tx_burst(struct td_worker *w, uint16_t port, struct rte_mbuf **frames, uint16_t n)
{
	struct td_tx_batch *b = &w->tx[port];

	while (n > 0) {
		uint16_t room = (uint16_t)(TD_BURST - b->n), take = n < room ? n : room;
		memcpy(&b->frames[b->n], frames, take * sizeof(*frames));
		w->tx_dirty |= 1u << port;
		b->n = (uint16_t)(b->n + take);
		frames += take;
		n = (uint16_t)(n - take);
		if (b->n == TD_BURST)
			batch_send(w, port, b);
	}
}

void td_port_tx_flush(struct td_worker *w)
{
	static_assert(TD_PORTS_MAX <= 32, "tx_dirty has a bit for each");

	for (; w->tx_dirty != 0; w->tx_dirty &= w->tx_dirty - 1) {
		uint16_t port = (uint16_t)__builtin_ctz(w->tx_dirty);
		if (w->tx[port].n > 0)
			batch_send(w, port, &w->tx[port]);
	}
}
