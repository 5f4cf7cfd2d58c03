// SPDX-License-Identifier: BSD-3-Clause
// Media legs of one worker: the table, its ports, and what the relay reads with every packet
// (architecture §4).
//
// Owner: the worker. All memory comes at creation, from hugepages where there are any; nothing is
// allocated later. A packet received on a leg is judged, counted and rewritten from one cache line
// of that leg, from two where IPv6 or a learned port is in play: where it goes (the peer's
// addresses and next hop) is copied there by td_leg_modify(). What changes seldom is in struct
// td_leg_cold.
#pragma once

#include "dataplane/steer.h"
#include "dataplane/worker.h"
#include "include/leg.h"
#include "media/rtp_stats.h"

#include <rte_prefetch.h>

// Learn-once: how long after an offer or answer a source may be learned.
#define TD_LEARN_WINDOW_NS (10ull * 1000000000u)

enum {
	TD_LEG_V6 = 1,          // of the local address, so of every packet that gets here
	TD_LEG_SOURCE = 2,      // td_leg_wide.source holds an address that was found good
	TD_LEG_SOURCE_PORT = 4, // its port must match too: learned
	TD_LEG_RELAY = 8,       // the peer's far end is known, directions let it pass
	TD_LEG_MUX = 16,        // RFC 5761 agreed
	TD_LEG_TX_V6 = 32,      // the peer's far end is IPv6
};
// The second line is needed, too.
#define TD_LEG_WIDE (TD_LEG_V6 | TD_LEG_SOURCE_PORT | TD_LEG_TX_V6)

#define TD_LEG_NO_ADJACENCY UINT16_MAX // an adjacency's index in the first line

// The first line: of every packet.
struct td_leg {
	uint32_t source_ip4; // of td_leg_wide.source, the first four bytes
	uint32_t heard_ms;   // when valid RTP last came: now_ns >> 20
	struct td_rtp_stats stats;
	// What the peer sends to its far end, when that is IPv4: source and destination, then the
	// UDP ports, network order.
	uint8_t addresses[8];
	uint8_t ports[4];
	uint16_t adjacency;
	uint16_t udp_sum; // of addresses and ports; ones' complement
	uint16_t ip_sum;  // of the IPv4 header, its length and checksum zero
	uint8_t tos;
	uint8_t flags;
} __attribute__((aligned(64)));

static_assert(sizeof(struct td_leg) == 64, "one cache line");

// The second line.
struct td_leg_wide {
	// Last good source address, network order; IPv4 in the first four bytes.
	uint8_t source[16];
	// IPv6 header and UDP ports that the peer sends to its far end, network order; length and
	// checksum zero.
	uint8_t header[TD_UDP_HEADER_MAX];
	uint16_t source_port_be;
	uint8_t zero[2];
} __attribute__((aligned(64)));

static_assert(sizeof(struct td_leg_wide) == 64, "one cache line");

struct td_leg_cold {
	uint32_t generation; // odd: open
	uint32_t peer;       // leg that sends what is received here; 0: none
	uint32_t feeders;    // first leg whose peer is this one; 0: none
	uint32_t feeder_next, feeder_prev;
	uint32_t timed; // place in the time-out list + 1; 0: not in it
	uint32_t free_next;
	uint32_t timeout_ms; // in units of heard_ms; 0: off
	uint32_t armed_ms;   // when the time-out began to count
	uint32_t trunk_index, trunk_slot;
	uint64_t trunk_generation; // of the policy that trunk_index belongs to
	uint64_t call;
	uint16_t realm;
	uint8_t address;           // index in the realm
	uint8_t source_mode;       // enum td_media_source
	uint8_t direction;         // TD_LEG_SEND | TD_LEG_RECV
	bool known;                // modify came at least once
	bool locked;               // learn-once: a source was learned since the last reopening
	struct td_sockaddr local;  // rtp; port even
	struct td_sockaddr remote; // of SDP
	struct td_sockaddr remote_rtcp;
	struct td_sockaddr learned; // learn-once: where the far end really is; family 0: not yet
	// Learned before the reopening: still heard, but not learned again.
	struct td_sockaddr former;
	uint64_t learn_until_ns;
	struct td_rtp_past past;
	// Sent to this far end, before the feeders' current spells; and of this leg's own spell as
	// somebody's feeder.
	uint64_t tx_packets, tx_bytes;
	uint64_t spell_packets, spell_bytes;       // stats when it began to feed its peer
	uint64_t withheld_packets, withheld_bytes; // received in it and not relayed
};

struct td_leg_address {                 // one local media address of a realm
	uint32_t *slots;                // pair in the worker's slice → leg index; 0: none
	uint32_t first_block, n_blocks; // of TD_STEER_SLOTS pairs
	struct td_leg_ports *ports;
};

struct td_leg_timed {
	uint32_t leg;
	// Not before then can it be silent for too long; looked at anew when it comes.
	uint32_t due_ms;
};

struct td_leg_table {
	struct td_leg *legs; // [0] is no leg: every flag off
	struct td_leg_wide *wide;
	struct td_leg_cold *cold;
	uint32_t capacity, n_open, free_head;
	struct td_leg_timed *timed; // legs with a time-out
	td_count *holds;            // [TD_NEIGHBOURS]: legs that hold an adjacency's index
	uint32_t n_timed, timed_cursor;
	uint32_t timed_ms;            // of the last scan
	uint32_t quarantine_ms;       // in units of heard_ms
	uint16_t n_own;               // slots of this worker
	uint8_t rank[TD_STEER_SLOTS]; // of an own slot among the own ones
	uint32_t no_slot;             // 0, for look-ups out of range
	bool any_wide;                // some leg has needed its second line
	uint16_t address_turn;        // where the next leg starts to look for a port
	uint16_t n_realms;
	struct td_leg_address addresses[]; // [realm × TD_REALM_ADDRS_MAX + address]
};

// Memory for a worker's table, for the pools' sum before EAL starts.
size_t td_leg_table_bytes(const struct td_config *conf, uint16_t n_workers, uint32_t max_legs);
// Makes w->legs for at most max_legs from w->dp's realms and steering; after td_path_start(). 0,
// -ENOMEM, -EINVAL (a media range without a pair).
int td_leg_table_create(struct td_worker *w, uint32_t max_legs);
void td_leg_table_destroy(struct td_worker *w);

// The leg functions of struct td_host_ops, with the same meaning (include/host.h). On the worker's
// own thread.
int td_leg_open(struct td_worker *w, const struct td_leg_open *open, td_leg_id *out,
	struct td_leg_local *local);
void td_leg_modify(struct td_worker *w, td_leg_id id, const struct td_leg_modify *modify);
void td_leg_close(struct td_worker *w, td_leg_id id, struct td_leg_stats *stats);
void td_leg_stats(struct td_worker *w, td_leg_id id, struct td_leg_stats *stats);

static inline uint32_t td_leg_count(const struct td_worker *w)
{
	return w->legs ? w->legs->n_open : 0;
}

// Where the index of the leg on that port of a realm's local address stands; at: realm ×
// TD_REALM_ADDRS_MAX + address, of one there is. Safe on any port.
static inline const uint32_t *td_leg_slot_at(
	const struct td_leg_table *t, uint32_t at, uint16_t port)
{
	const struct td_leg_address *a = &t->addresses[at];
	uint32_t block = (port >> 1) / TD_STEER_SLOTS - a->first_block;

	return block < a->n_blocks ? &a->slots[block * t->n_own + t->rank[td_steer_slot(port)]]
				   : &t->no_slot;
}

// The same; safe on any realm and address, too.
static inline const uint32_t *td_leg_slot(
	const struct td_leg_table *t, uint16_t realm, uint8_t address, uint16_t port)
{
	if (realm >= t->n_realms || address >= TD_REALM_ADDRS_MAX)
		return &t->no_slot;
	return td_leg_slot_at(t, (uint32_t)realm * TD_REALM_ADDRS_MAX + address, port);
}

static inline void td_leg_fetch(const struct td_leg_table *t, uint32_t leg)
{
	rte_prefetch0(&t->legs[leg]);
	if (t->any_wide)
		rte_prefetch0(&t->wide[leg]);
}

// --- leg_tx.c: what the peer sends ---

// Fills a leg's part for the peer's far end, and sets or clears TD_LEG_RELAY, from what it and its
// peer are now.
void td_leg_tx_build(struct td_worker *w, uint32_t leg);
// The leg holds the adjacency for that destination of a realm from now on, if there is one.
void td_leg_adjacency_hold(
	struct td_worker *w, uint32_t leg, uint16_t realm, const struct td_sockaddr *dst);
void td_leg_adjacency_drop(struct td_leg_table *t, uint32_t leg);
// Any thread: does a leg of that worker hold it?
static inline bool td_leg_adjacency_held(const struct td_worker *w, uint32_t adjacency)
{
	return w->legs && td_count_get(&w->legs->holds[adjacency]) != 0;
}
// The same for every leg that feeds peer.
void td_leg_tx_build_feeders(struct td_worker *w, uint32_t peer);
// Where a leg's far end takes RTP: the learned source, else SDP's address. Family 0: nowhere yet.
const struct td_sockaddr *td_leg_destination(const struct td_leg_cold *leg);

// --- leg_source.c: the source policy ---

// The slow half of the source check: is that source good? Notes it as the last good one, learns
// where that is allowed.
bool td_leg_source_check(struct td_worker *w, uint32_t leg, const struct td_sockaddr *source);
// The same for RTCP, which comes from another port and teaches nothing.
bool td_leg_source_known(struct td_worker *w, uint32_t leg, const struct td_sockaddr *source);

// --- leg_ports.c: the ports of one address ---

struct td_leg_ports;
// Even ports of [min, max] whose odd neighbour lies in it too and whose slot is w's.
uint32_t td_leg_ports_count(
	const struct td_steer *steer, uint16_t worker, uint16_t min, uint16_t max);
size_t td_leg_ports_bytes(uint32_t n);
void td_leg_ports_init(struct td_leg_ports *ports, const struct td_steer *steer, uint16_t worker,
	uint16_t min, uint16_t max);
// The port that was freed longest ago, 0 where none has rested long enough. now_ms, quarantine_ms:
// one unit, modulo 2^32.
uint16_t td_leg_ports_get(struct td_leg_ports *ports, uint32_t now_ms, uint32_t quarantine_ms);
void td_leg_ports_put(struct td_leg_ports *ports, uint16_t port, uint32_t now_ms);

// --- stages beside those of worker.h ---

// rtp_relay.c: this worker's media, RTCP too.
void td_rtp_relay(struct td_worker *w, struct rte_mbuf **packets, uint16_t n);
void td_rtcp_relay(struct td_worker *w, struct rte_mbuf *packet, uint32_t leg); // rtcp_relay.c
// rtp_emit.c: the way of what the leg's lines cannot serve: an unresolved next hop, too big.
// Rewrites addresses and ports and leaves the rest to ip_output. Takes the mbuf.
void td_rtp_emit(struct td_worker *w, struct rte_mbuf *packet, uint16_t realm,
	const struct td_sockaddr *src, const struct td_sockaddr *dst, uint32_t adjacency);

// media_timeout.c: looks at a bounded share of the legs with a time-out, each about once a second.
// Once a turn.
void td_media_timeout_run(struct td_worker *w);
