// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/handoff.h"

#include <rte_malloc.h>

#include <errno.h>

#define RING_SIZE 1024

// Not by name: a process may hold several data planes (tests), and names are global.
static struct rte_ring *ring_new(int socket)
{
	ssize_t bytes = rte_ring_get_memsize(RING_SIZE);
	struct rte_ring *r =
		rte_zmalloc_socket("handoff", (size_t)bytes, RTE_CACHE_LINE_SIZE, socket);

	if (r && rte_ring_init(r, "handoff", RING_SIZE, RING_F_SP_ENQ | RING_F_SC_DEQ) != 0) {
		rte_free(r);
		r = NULL;
	}
	return r;
}

static void ring_free(struct rte_ring **r)
{
	struct rte_mbuf *m;

	if (!*r)
		return;
	while (rte_ring_sc_dequeue(*r, (void **)&m) == 0)
		rte_pktmbuf_free(m);
	rte_free(*r);
	*r = NULL;
}

static int worker_rings(struct td_dataplane *dp, struct td_worker *w, int socket)
{
	w->rtp_out = rte_calloc_socket("handoff", dp->n_workers, sizeof(*w->rtp_out), 64, socket);
	w->to_main = ring_new(socket);
	w->tx_in[TD_MAIN_ID] = ring_new(socket);
	if (!w->rtp_out || !w->to_main || !w->tx_in[TD_MAIN_ID])
		return -ENOMEM;
	for (uint16_t from = 0; from < dp->n_workers; from++) {
		w->sip_in[from] = ring_new(socket);
		if (!w->sip_in[from])
			return -ENOMEM;
		if (from == w->id)
			continue;
		w->rtp_in[from] = ring_new(socket);
		w->tx_in[from] = ring_new(socket);
		if (!w->rtp_in[from] || !w->tx_in[from])
			return -ENOMEM;
	}
	return 0;
}

int td_handoff_create(struct td_dataplane *dp, int socket)
{
	for (uint16_t i = 0; i < dp->n_workers; i++) {
		if (worker_rings(dp, dp->workers[i], socket) != 0) {
			td_handoff_destroy(dp);
			return -ENOMEM;
		}
	}
	return 0;
}

void td_handoff_destroy(struct td_dataplane *dp)
{
	for (uint16_t i = 0; i < dp->n_workers; i++) {
		struct td_worker *w = dp->workers[i];
		for (uint16_t from = 0; from < dp->n_workers; from++) {
			ring_free(&w->sip_in[from]);
			ring_free(&w->rtp_in[from]);
			ring_free(&w->tx_in[from]);
		}
		ring_free(&w->tx_in[TD_MAIN_ID]);
		ring_free(&w->to_main);
		rte_free(w->rtp_out);
		w->rtp_out = NULL;
	}
}

static void rtp_send(struct td_worker *w, uint16_t to)
{
	struct td_tx_batch *b = &w->rtp_out[to];
	struct rte_ring *ring = w->dp->workers[to]->rtp_in[w->id];
	uint32_t n = rte_ring_sp_enqueue_burst(ring, (void **)b->frames, b->n, NULL);

	td_worker_count(w, TD_C_HANDOFF_SENT, n);
	if (unlikely(n < b->n)) {
		td_worker_count(w, TD_C_HANDOFF_FULL, b->n - n);
		rte_pktmbuf_free_bulk(b->frames + n, b->n - n);
	}
	b->n = 0;
}

void td_handoff_rtp(struct td_worker *w, uint16_t to, struct rte_mbuf *packet)
{
	static_assert(TD_WORKERS_MAX <= 64, "rtp_out_dirty has a bit for each");
	struct td_tx_batch *b = &w->rtp_out[to];

	b->frames[b->n++] = packet;
	w->rtp_out_dirty |= 1ull << to;
	if (b->n == TD_BURST)
		rtp_send(w, to);
}

void td_handoff_flush(struct td_worker *w)
{
	for (; w->rtp_out_dirty != 0; w->rtp_out_dirty &= w->rtp_out_dirty - 1) {
		uint16_t to = (uint16_t)__builtin_ctzll(w->rtp_out_dirty);
		if (w->rtp_out[to].n > 0)
			rtp_send(w, to);
	}
}

void td_handoff_sip(struct td_worker *w, uint16_t to, struct rte_mbuf *packet)
{
	if (rte_ring_sp_enqueue(w->dp->workers[to]->sip_in[w->id], packet) != 0)
		td_worker_drop(w, packet, TD_C_HANDOFF_FULL);
	else if (to != w->id) // what waits in the own ring has not left
		td_worker_count(w, TD_C_HANDOFF_SENT, 1);
}

void td_handoff_main(struct td_worker *w, enum td_errand errand, struct rte_mbuf *packet)
{
	td_packet(packet)->errand = (uint8_t)errand;
	// Main's own packets without a neighbour never come here: it keeps them itself.
	if (!w->to_main || rte_ring_sp_enqueue(w->to_main, packet) != 0)
		td_worker_drop(w, packet, TD_C_MAIN_FULL);
	else
		td_worker_count(w, TD_C_MAIN_HANDED, 1);
}

uint32_t td_handoff_rtp_in(struct td_worker *w)
{
	struct rte_mbuf *packets[TD_BURST];
	uint32_t total = 0;

	for (uint16_t from = 0; from < w->dp->n_workers; from++) {
		if (!w->rtp_in[from])
			continue;
		uint32_t n = rte_ring_sc_dequeue_burst(
			w->rtp_in[from], (void **)packets, TD_BURST, NULL);
		if (n == 0)
			continue;
		td_worker_count(w, TD_C_RX_RINGS, n);
		td_rtp_input(w, packets, (uint16_t)n);
		total += n;
	}
	return total;
}

uint32_t td_handoff_tx_in(struct td_worker *w)
{
	struct rte_mbuf *frames[TD_BURST];
	uint32_t total = 0;

	for (uint16_t from = 0; from <= TD_MAIN_ID; from++) {
		if (from == w->dp->n_workers)
			from = TD_MAIN_ID;
		if (!w->tx_in[from])
			continue;
		uint32_t n =
			rte_ring_sc_dequeue_burst(w->tx_in[from], (void **)frames, TD_BURST, NULL);
		td_worker_count(w, TD_C_RX_RINGS, n);
		for (uint32_t i = 0; i < n; i++)
			td_port_tx(w, frames[i]->port, frames[i]);
		total += n;
	}
	return total;
}

uint32_t td_handoff_sip_in(struct td_worker *w, struct rte_mbuf **packets, uint32_t max)
{
	uint16_t n_workers = w->dp->n_workers, from = w->sip_in_next;
	uint32_t total = 0;

	for (uint16_t i = 0; i < n_workers && total < max; i++) {
		uint32_t n = rte_ring_sc_dequeue_burst(
			w->sip_in[from], (void **)(packets + total), max - total, NULL);
		if (from != w->id)
			td_worker_count(w, TD_C_RX_RINGS, n);
		total += n;
		from = from + 1 < n_workers ? from + 1 : 0;
	}
	// The next call begins one further, so that no ring starves behind a full one.
	w->sip_in_next = w->sip_in_next + 1 < n_workers ? w->sip_in_next + 1 : 0;
	return total;
}
