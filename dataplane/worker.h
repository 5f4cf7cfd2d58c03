// SPDX-License-Identifier: BSD-3-Clause
// A worker lcore: everything it owns, and its loop (architecture §3, §4). Built by main before "ready".
#pragma once

#include "dataplane/adjacency.h"
#include "dataplane/clock.h"
#include "dataplane/packet.h"
#include "include/config.h"
#include "include/counters.h"
#include "sip/engine.h"
#include "sip/token.h"

#include <rte_ethdev.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>

#define TD_BURST 32
#define TD_SIP_PER_LOOP 16 // RTP is served first; at most so many SIP messages a loop

struct td_leg_table;     // dataplane/leg.h
struct td_journal_ring;  // dataplane/journal_ring.h
struct td_command_ring;  // dataplane/command.h
struct td_reassembly;    // dataplane/reassembly.h
struct td_sip_host;      // dataplane/sip_host.h
struct td_log_ring;      // dataplane/log_ring.h
struct td_trunk_state;   // dataplane/trunk_state.h

// A burst on its way out of one port: flushed at the end of each loop turn or when full.
struct td_tx_batch {
	uint16_t n;
	struct rte_mbuf *frames[TD_BURST];
};

struct td_port {
	struct td_port_conf conf;
	uint16_t ethdev;
	uint16_t n_rxq, n_txq;
	uint16_t rx_owner[TD_WORKERS_MAX]; // queue → worker
	uint16_t tx_queue[TD_WORKERS_MAX + 1]; // worker (last: main) → its own queue, or UINT16_MAX: sends through the owner
	uint16_t tx_owner;                 // worker that owns queue 0 and sends for those without one
	bool verify_rx;                    // checksums verified in software
	bool hw_rx_cksum, hw_tx_cksum;     // offload in use
	const char *steering;              // "single", "rss", "flow", "software"
	struct rte_ether_addr mac;
	uint16_t mtu;
};

struct td_realm {
	struct td_realm_conf conf;
	uint16_t port; // index
	uint16_t mtu;
};

struct td_worker {
	uint16_t id;          // 0 …
	uint16_t cpu;
	unsigned int lcore;
	uint64_t counters[TD_C__COUNT]; // this worker: wo; anyone: ro, may lag
	uint64_t now_ns;      // one clock read per burst
	uint64_t busy_cycles, total_cycles; // of the life; main derives the last second's ratio
	struct td_dataplane *dp;
	struct td_tx_batch tx[TD_PORTS_MAX];
	struct rte_mempool *mbufs;      // of its socket: frames
	struct rte_mempool *big_mbufs;  // linear buffers of limits.sip_message_bytes
	struct td_leg_table *legs;
	struct td_engine *engine;
	struct td_journal_ring *journal;
	struct td_command_ring *commands;
	struct td_reassembly *reassembly;
	struct td_sip_host *sip_host;
	struct td_log_ring *log;
	struct rte_ring *sip_in[TD_WORKERS_MAX]; // SPSC, from worker i; own index: what waits behind TD_SIP_PER_LOOP
	struct rte_ring *rtp_in[TD_WORKERS_MAX];
	struct rte_ring *tx_in[TD_WORKERS_MAX + 1]; // frames to send on ports whose queue is ours; last: from main
	struct rte_ring *to_main; // packets that wait for a neighbour, ARP/ND/ICMP errors for main
	bool idle; // the last turn found nothing
	uint64_t sip_due_ns; // worker: the engine's next deadline, UINT64_MAX when it has none

	// What main last asked for, as this worker has seen it (control_input.c).
	const struct td_policy *policy;
	uint64_t wall_offset_ns;
	bool draining;
	_Atomic uint32_t calls, legs, sip_busy; // worker: wo, main: ro; once a turn
} __attribute__((aligned(64)));

struct td_dataplane {
	struct td_config conf;
	uint16_t n_workers, n_ports, n_realms;
	struct td_worker *workers[TD_WORKERS_MAX];
	struct td_port ports[TD_PORTS_MAX];
	struct td_realm realms[TD_REALMS_MAX];
	struct td_adjacency *adjacencies;
	uint32_t n_adjacencies;
	struct td_token_keys keys;
	struct rte_rcu_qsbr *qsbr;        // workers report quiescent once a turn; offline while asleep
	_Atomic(const struct td_policy *) policy; // main: wo, workers: ro
	_Atomic bool stop;                // main: wo
	_Atomic bool draining;            // main: wo, workers: ro
	_Atomic uint64_t wall_offset_ns;  // wall = now + offset; main: wo, workers: ro
	struct td_clock clock;            // ro after start-up
	uint64_t tsc_hz;
	struct td_trunk_state *trunks;    // shared limits of trunks
	uint32_t epoch;                   // boot epoch of this data plane
};

static inline void td_worker_count(struct td_worker *w, enum td_counter counter, uint64_t n)
{
	w->counters[counter] += n;
}

// Counts by name and frees: the only way a frame is dropped.
static inline void td_worker_drop(struct td_worker *w, struct rte_mbuf *m, enum td_counter counter)
{
	w->counters[counter]++;
	rte_pktmbuf_free(m);
}

// The loop, for rte_eal_remote_launch(). Runs until dp->stop.
int td_worker_main(void *worker);
// One turn of it, for tests and benchmarks: receive, relay, SIP, timers, send. Returns frames handled.
uint32_t td_worker_turn(struct td_worker *worker);

// --- stages: each takes a burst and sorts it into the next (one file each) -------------------------------------------

void td_eth_input(struct td_worker *w, uint16_t port, struct rte_mbuf **frames, uint16_t n);   // eth_input.c
void td_ip_input(struct td_worker *w, struct rte_mbuf **packets, uint16_t n);                 // ip_input.c: realm, l3_off set
void td_rtp_input(struct td_worker *w, struct rte_mbuf **packets, uint16_t n);                // rtp_input.c: UDP to a media port; owner or hand-off
void td_sip_input(struct td_worker *w, struct rte_mbuf **packets, uint16_t n);                // sip_input.c: UDP to a SIP listener; peek, to the owner's sip_in
// The owner's end of sip_in: at most max messages go to the engine. Then the timers that are due. Returns messages taken.
uint32_t td_sip_run(struct td_worker *w, uint32_t max);                                       // sip_input.c
// First thing in every turn, and after a sleep: policy, clock, drain, and at most one command from main.
void td_control_input(struct td_worker *w);                                                   // control_input.c
// The packet starts at its IP header, lengths and checksums of IP and UDP are this function's unless l4_done. Writes
// layer 2, fragments where the MTU asks for it, queues for port_tx. Takes the mbuf in every case.
void td_ip_output(struct td_worker *w, uint32_t adjacency, struct rte_mbuf *packet);          // ip_output.c
// The frame is complete: to the batch of its port, or to the queue's owner.
void td_port_tx(struct td_worker *w, uint16_t port, struct rte_mbuf *frame);                  // port_tx.c
void td_port_tx_flush(struct td_worker *w);
