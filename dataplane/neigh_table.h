// SPDX-License-Identifier: BSD-3-Clause
// The table of neighbours: realm and address → index of an adjacency, and main's half of each.
//
// Owner: main. Workers only find (td_adjacency_find()), without a lock, in between two of their
// quiescent states. So an entry leaves in two steps: first nobody can find it any more, and after a
// grace period its place is given to another, unless a leg holds it (neigh_reuse.c).
#pragma once

#include "dataplane/neigh.h"

enum td_neigh_state {
	TD_NEIGH_FREE,
	TD_NEIGH_FAILED,
	TD_NEIGH_ASKING,
	TD_NEIGH_REACHABLE,
	TD_NEIGH_PROBING,
};

// Main's half of an adjacency.
struct td_neighbour {
	uint8_t state; // enum td_neigh_state
	uint8_t tries, n_wait;
	bool leaving; // cannot be found; waits for the workers
	bool wanted;  // we have sent to it; else it is a stranger that asked for us
	bool peer;    // a trunk's, as the last sweep saw it
	uint64_t due_ns;
	uint64_t used_ns; // when we last sent, of a stranger: when it came
	struct rte_mbuf *wait[TD_NEIGH_WAIT];
};

// One that could go, and how dear it is: a sweep's.
struct td_neigh_choice {
	uint64_t worth;
	uint32_t index;
};

struct td_neigh {
	uint32_t capacity, mask;
	uint64_t seed[2];
	uint64_t scan_ns, sweep_ns;
	uint32_t waiting;
	uint32_t n_kept; // of the first entries, the gateways, which never leave
	uint32_t n_strangers;
	uint32_t n_free;
	uint32_t *free; // places of entries that left, a stack
	uint32_t n_leaving;
	uint32_t *leaving;
	uint64_t token;                  // of the grace period that those leaving wait for
	struct td_neigh_choice *choices; // scratch of a sweep
	struct td_neighbour *neighbours; // index as in dp->adjacencies
	_Atomic uint32_t slots[];        // index + 1; 0: free. main: wo, workers: ro
};

int td_neigh_table_create(struct td_dataplane *dp, uint32_t capacity); // 0 or -ENOMEM
void td_neigh_table_destroy(struct td_dataplane *dp);

// NONE: not there.
uint32_t td_neigh_table_find(
	const struct td_dataplane *dp, uint16_t realm, const struct td_sockaddr *hop);
// Finds or makes. NONE: the table is full.
uint32_t td_neigh_table_get(struct td_dataplane *dp, uint16_t realm, const struct td_sockaddr *hop);
// Entries that are there, those that leave included.
uint32_t td_neigh_table_count(const struct td_dataplane *dp);
// From now on nobody finds it.
void td_neigh_table_hide(struct td_dataplane *dp, uint32_t index);
// It is found again.
void td_neigh_table_show(struct td_dataplane *dp, uint32_t index);
// Its place is another's: no worker may hold the index.
void td_neigh_table_free(struct td_dataplane *dp, uint32_t index);

// neigh_reuse.c: who can go, goes: a sweep over the table once a second, oftener while places are
// rare. In main's turn, ten times a second.
#define TD_NEIGH_IDLE_NS 600000000000ull // we sent nothing to it for so long: it may go
// Of the capacity, what is kept free where that is possible; a sweep lets no more go.
#define TD_NEIGH_RESERVE 8
void td_neigh_sweep(struct td_dataplane *dp);
