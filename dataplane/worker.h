// SPDX-License-Identifier: BSD-3-Clause
// A worker lcore: everything it owns, and its loop (architecture §3, §4). Built by main before
// "ready".
#pragma once

#include "dataplane/adjacency.h"
#include "dataplane/clock.h"
#include "dataplane/packet.h"
#include "dataplane/steer.h"
#include "include/config.h"
#include "include/counters.h"
#include "sip/engine.h"
#include "sip/token.h"

#include <rte_ethdev.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>

#define TD_BURST 32
#define TD_SIP_PER_LOOP 16 // RTP is served first; at most so many SIP messages a loop
// The td_worker.id of main, which has no engine, legs or receive queues.
#define TD_MAIN_ID TD_WORKERS_MAX

struct td_leg_table;     // dataplane/leg.h
struct td_journal_ring;  // dataplane/journal_ring.h
struct td_command_ring;  // dataplane/command.h
struct td_reassembly;    // dataplane/reassembly.h
struct td_realm_table;   // dataplane/realm_table.h
struct td_neigh;         // dataplane/neigh.h
struct td_sip_host;      // dataplane/sip_host.h
struct td_log_ring;      // dataplane/log_ring.h
struct td_trunk_state;   // dataplane/trunk_state.h
struct td_limit_table;   // dataplane/limit_table.h
struct td_registrar_host; // dataplane/registrar_host.h
struct td_source_rate;   // sip/source_rate.h
struct td_penalties;     // sip/penalty.h

// A burst on its way out of one port, or to another worker: flushed at the end of each loop turn or
// when full.
struct td_tx_batch {
	uint16_t n;
	struct rte_mbuf *frames[TD_BURST];
};

struct td_rx_queue {
	uint16_t port; // index in td_dataplane.ports
	uint16_t ethdev, queue;
};

struct td_port {
	struct td_port_conf conf;
	uint16_t ethdev;
	uint16_t n_rxq, n_txq;
	uint16_t rx_owner[TD_WORKERS_MAX]; // queue → worker
	// Worker (last: main) → its own queue; UINT16_MAX: sends through the owner.
	uint16_t tx_queue[TD_WORKERS_MAX + 1];
	// The worker that owns queue 0 and sends for those without one.
	uint16_t tx_owner;
	bool verify_rx;                    // checksums verified in software
	bool hw_rx_cksum, hw_tx_cksum;     // offload in use
	bool rx_interrupts;                // its queues can wake who waits
	const char *steering;              // "single", "rss", "flow", "software"
	struct rte_ether_addr mac;
	// The same as the low 48 bits of a word loaded from a frame.
	uint64_t mac_word;
	uint16_t mtu;                      // of IP
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
	td_count counters[TD_C__COUNT]; // this worker: wo; anyone: ro, may lag
	uint64_t now_ns;      // one clock read per burst
	td_count busy_cycles, total_cycles; // of the life; main derives the last second's ratio
	struct td_dataplane *dp;
	struct td_rx_queue *rx; // the receive queues it polls
	uint16_t n_rx;
	uint32_t tx_dirty;    // ports whose batch is not empty
	uint32_t icmp_tokens; // echo replies that may be sent now
	uint64_t icmp_ns;     // when tokens were last added
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
	struct td_registrar_host *registrar; // NULL: nobody registers here
	// SPSC, from worker i; own index: what waits behind TD_SIP_PER_LOOP.
	struct rte_ring *sip_in[TD_WORKERS_MAX];
	struct rte_ring *rtp_in[TD_WORKERS_MAX];
	// Frames to send on ports whose queue is ours; last: from main.
	struct rte_ring *tx_in[TD_WORKERS_MAX + 1];
	struct rte_ring *to_main; // packets that wait for a neighbour, ARP and ND for main
	// [n_workers]: filled by td_handoff_rtp(), flushed at the end of the turn.
	struct td_tx_batch *rtp_out;
	uint64_t rtp_out_dirty;
	uint16_t sip_in_next; // ring of sip_in that is served first
	uint64_t turn_tsc;    // when the last turn began
	bool idle; // the last turn found nothing
	bool rx_wait; // its queues wake it (rx_wait.h)
	uint64_t sip_due_ns; // worker: the engine's next deadline, UINT64_MAX when it has none

	// What main last asked for, as this worker has seen it (control_input.c).
	_Atomic(const struct td_policy *) policy; // worker: wo, when it has left the one before
	uint64_t wall_offset_ns;
	bool draining;
	_Atomic uint32_t live_calls, held_calls, live_legs; // worker: wo, main: ro; once a turn
} __attribute__((aligned(64)));

struct td_dataplane {
	struct td_config conf;
	uint16_t n_workers, n_ports, n_realms;
	struct td_worker *workers[TD_WORKERS_MAX];
	// Of id TD_MAIN_ID: counters, mbufs and transmit batches of the main lcore.
	struct td_worker *main;
	struct td_port ports[TD_PORTS_MAX];
	struct td_realm realms[TD_REALMS_MAX];
	struct td_steer steer;
	struct td_realm_table *realm_table; // read-only once built
	struct td_adjacency *adjacencies;
	_Atomic uint32_t n_adjacencies;     // main: wo, workers: ro
	struct td_neigh *neigh;
	struct td_token_keys keys;
	// Workers report quiescent once a turn; offline while asleep.
	struct rte_rcu_qsbr *qsbr;
	_Atomic(const struct td_policy *) policy; // main: wo, workers: ro
	_Atomic bool stop;                // main: wo
	_Atomic bool draining;            // main: wo, workers: ro
	_Atomic uint64_t wall_offset_ns;  // wall = now + offset; main: wo, workers: ro
	struct td_clock clock;            // ro after start-up
	uint64_t tsc_hz;
	struct td_trunk_state *trunks;    // what workers say of trunks
	struct td_limit_table *limits;    // what all workers count together
	struct td_health *health;         // how trunks' peers stand
	struct td_subscribers *subscribers; // main: wo, workers: ro; NULL: nobody registers here
	_Atomic bool restored; // the bindings of earlier boots have come; main: wo, workers: ro
	struct td_source_rate *source_rate; // the limit of each source, shared
	struct td_penalties *penalties;     // of those who guess passwords, shared
	uint32_t epoch;                   // boot epoch of this data plane
	// IDs of packets that we or a router may send in pieces; any. The line is its own: all
	// workers read the others with every packet.
	_Atomic uint32_t ip_id __attribute__((aligned(64)));
};

static inline void td_worker_count(struct td_worker *w, enum td_counter counter, uint64_t n)
{
	td_count_add(&w->counters[counter], n);
}

// Counts by name and frees: the only way a frame is dropped.
static inline void td_worker_drop(struct td_worker *w, struct rte_mbuf *m, enum td_counter counter)
{
	td_count_add(&w->counters[counter], 1);
	rte_pktmbuf_free(m);
}

// The loop, for rte_eal_remote_launch(). Runs until dp->stop.
int td_worker_main(void *worker);
// One turn of it, for tests and benchmarks: receive, relay, SIP, timers, send. Returns frames
// handled.
uint32_t td_worker_turn(struct td_worker *worker);

// Frames this worker holds now: batches, rings of its own, reassembly. For the balance of its
// counters (td_counters_balance()); exact while the worker is between turns.
uint32_t td_worker_held(const struct td_worker *worker);

// --- stages: each takes a burst and sorts it into the next (one file each) ---

// port_rx.c: polls every receive queue of this worker. Returns the frames received.
uint32_t td_port_rx(struct td_worker *w);
// eth_input.c
void td_eth_input(struct td_worker *w, uint16_t port, struct rte_mbuf **frames, uint16_t n);
// ip_input.c: port, vlan and l3_off are set; one segment.
void td_ip_input(struct td_worker *w, struct rte_mbuf **packets, uint16_t n);
// ip_source.c: the source of that IP packet is one that nobody may send from, or an address of our
// own. Media's is asked for only before a leg takes it for its far end's.
bool td_ip_source_bad(const struct td_worker *w, struct rte_mbuf *packet);
// l4_input.c: what a slow packet carries (reassembled, with options): realm, address, offsets, src
// and dst are set; len is of the upper layer, l4_off its place. Takes the mbuf.
void td_l4_input(struct td_worker *w, struct rte_mbuf *packet, uint8_t protocol, uint16_t len);
// icmp.c: the same for ICMP and ICMPv6.
void td_icmp_input(struct td_worker *w, struct rte_mbuf *packet, uint16_t len);
void td_icmp6_input(struct td_worker *w, struct rte_mbuf *packet, uint16_t len);
// rtp_input.c: UDP to a media port; owner or hand-off.
void td_rtp_input(struct td_worker *w, struct rte_mbuf **packets, uint16_t n);
// sip_input.c: UDP to a SIP listener, src and dst are set; peek, to the owner's sip_in.
void td_sip_input(struct td_worker *w, struct rte_mbuf **packets, uint16_t n);
// sip_input.c: the owner's end of sip_in: at most max messages go to the engine. Then the timers
// that are due. Returns messages taken.
uint32_t td_sip_run(struct td_worker *w, uint32_t max);
// control_input.c: first thing in every turn, and after a sleep: policy, clock, drain, and at most
// one command from main. Returns what it found that will not wait: bindings that come back, and
// answers that waited for the disk.
uint32_t td_control_input(struct td_worker *w);
// udp_header.c: IP header and UDP ports from src to dst, lengths and checksums zero, free to be
// sent in pieces. Returns the IP header's length.
#define TD_UDP_HEADER_MAX 44 // of IPv6, and the ports
#define TD_TTL 64            // of everything that leaves, and the hop limit
uint16_t td_udp_header_write(uint8_t header[TD_UDP_HEADER_MAX], const struct td_sockaddr *src,
	const struct td_sockaddr *dst, uint8_t dscp);
// udp_header.c: puts IP and UDP headers in front of the payload that m is, and makes it ready for
// td_ip_output(), which does lengths, checksums and the ID. Sets td_packet's realm and flags and
// counts the packet as tx.originated. false: no headroom (m untouched).
bool td_udp_header(struct td_worker *w, struct rte_mbuf *m, uint16_t realm,
	const struct td_sockaddr *src, const struct td_sockaddr *dst, uint8_t dscp);
// ip_output.c: the packet starts at its IP header; td_packet's realm (of the way out) and flags are
// set. Lengths and checksums of IP and UDP are this function's unless TD_PACKET_L4_DONE. Writes
// layer 2, fragments where the MTU asks for it, queues for port_tx. Takes the mbuf in every case.
void td_ip_output(struct td_worker *w, uint32_t adjacency, struct rte_mbuf *packet);
// fragment.c: larger than the adjacency's MTU; lengths and checksums are complete. Takes the mbuf.
void td_fragment(
	struct td_worker *w, const struct td_adjacency *a, uint64_t mac, struct rte_mbuf *packet);
// port_tx.c: the frame is complete; to the batch of its port, or to the queue's owner. Takes the
// mbuf.
void td_port_tx(struct td_worker *w, uint16_t port, struct rte_mbuf *frame);
// The same for n frames of one port, n <= TD_BURST.
void td_port_tx_burst(struct td_worker *w, uint16_t port, struct rte_mbuf **frames, uint16_t n);
void td_port_tx_flush(struct td_worker *w);
