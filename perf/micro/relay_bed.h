// SPDX-License-Identifier: BSD-3-Clause
// A whole data plane of one worker between two net_ring ports, with as many media legs as asked
// for, in this process: what rtp_relay measures. Packets are put on a ring where a NIC would, and
// taken from one.
#pragma once

#include "dataplane/dataplane.h"
#include "dataplane/leg.h"

#define BED_SIDES 2   // port 0, west, and port 1, east
#define BED_REALMS 4  // two of each side
#define BED_RING 1024 // frames

// A leg as its far end sees it; everything in host order.
struct bed_leg {
	uint32_t local_ip, remote_ip;
	uint16_t local_port, remote_port;
	uint16_t seq;
	uint16_t realm;
	uint32_t peer; // index
	uint32_t sent;
	td_leg_id id;
};

struct bed {
	struct td_switch s;
	struct td_worker *w;
	struct rte_ring *in[BED_SIDES], *out[BED_SIDES];
	struct bed_leg *legs; // even: west, odd: east
	uint32_t n_legs;
	bool huge;
	uint32_t huge_before; // pages that were reserved; UINT32_MAX: none were added
	char folder[32];
};

// EAL with room for max_legs, ports, worker. Exits with one line where that cannot be had.
void bed_start(struct bed *bed, uint32_t max_legs);
// n_legs legs (even), each pair answered both ways; the ones before are closed.
void bed_legs(struct bed *bed, uint32_t n_legs);
void bed_stop(struct bed *bed);

// MAC that the far side's gateway of a realm has.
struct rte_ether_addr bed_gateway_mac(uint16_t realm);
// Ends the process with one line.
void bed_fail(const char *what) __attribute__((noreturn));
