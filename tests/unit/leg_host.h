// SPDX-License-Identifier: BSD-3-Clause
// What stands around the leg table and the relay in their tests: one data plane of two realms, and
// stages that only note what they are given. One thread.
#pragma once

#include "dataplane/leg.h"
#include "include/policy_conf.h"

#define HOST_CAPTURE 64
#define HOST_PORT_MIN 16384
#define HOST_PAIRS 256 // of ports, in each realm

enum { WEST, EAST };

struct host {
	struct td_dataplane dp;
	struct td_worker worker;
	struct td_adjacency adjacencies[2]; // of WEST and EAST
	uint32_t adjacency[2];              // what td_adjacency_find() answers
	struct rte_mempool *pool;
	struct rte_mbuf *sent[HOST_CAPTURE]; // complete frames
	uint16_t sent_port[HOST_CAPTURE];
	uint32_t n_sent;
	struct rte_mbuf *slow[HOST_CAPTURE]; // given to ip_output
	uint32_t slow_adjacency[HOST_CAPTURE];
	uint32_t n_slow;
	struct rte_mbuf *handed[HOST_CAPTURE];
	uint16_t handed_to[HOST_CAPTURE];
	uint32_t n_handed;
	uint64_t timed_out[HOST_CAPTURE]; // calls
	uint32_t n_timed_out;
	struct td_prefix media_source; // of trunk slot 7; family 0: none
	uint32_t trunk_index;          // where slot 7 is in the policy in force
	uint64_t policy_generation;
};

extern struct host host;

// EAL without hugepages, once for the process.
void host_eal(void);
// Makes dp, worker id of n, and a leg table for max_legs.
void host_start(uint16_t id, uint16_t n_workers, uint32_t max_legs);
// Checks that no mbuf is lost, and frees.
void host_stop(void);
// Frees what the stages noted.
void host_drain(void);

struct td_sockaddr host_addr(const char *ip, uint16_t port);
td_leg_id host_leg(uint16_t realm, uint8_t family, struct td_leg_local *local);
