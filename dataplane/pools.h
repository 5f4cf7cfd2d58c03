// SPDX-License-Identifier: BSD-3-Clause
// How much of everything the limits need, computed before EAL starts (architecture §3): mbufs,
// legs, rings, memory.
// `--check` prints the table. Pools are made once, one pair for each NUMA socket with a worker.
#pragma once

#include "include/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TD_POOL_ROWS 12
#define TD_NEIGHBOURS 8192

struct td_pool_row {
	const char *name;
	uint64_t count;
	uint64_t bytes;
	bool eal; // out of EAL's memory, which memory.huge_mb bounds
};

struct td_pool_plan {
	// Shares of one worker.
	uint32_t worker_calls, worker_cps, worker_legs;
	uint32_t worker_registrations; // 0: nobody registers
	uint32_t worker_probes;        // peers that it asks by OPTIONS
	uint64_t journal_ring_bytes;
	uint32_t mbufs, big_mbufs;                // of the whole data plane
	uint16_t mbuf_room, big_mbuf_room;        // data room, headroom included
	uint64_t media_pairs, media_pairs_needed; // RTP/RTCP port pairs of all realms
	uint64_t eal_bytes;                       // of the rows that are in EAL's memory
	uint64_t small_page_bytes; // beside them without hugepages: no frame crosses the end of a
				   // page
	uint32_t n_rows;
	struct td_pool_row rows[TD_POOL_ROWS];
};

void td_pools_plan(const struct td_config *conf, struct td_pool_plan *plan);
// Megabytes that EAL must have, its own needs included; huge: from hugepages.
uint32_t td_pools_eal_mb(const struct td_pool_plan *plan, bool huge);
// Prints needed and available on fd where fd >= 0. 0, or -ENOSPC where huge_mb, the port ranges,
// run_dir or this machine's memory cannot hold it.
int td_pools_check(const struct td_pool_plan *plan, const struct td_config *conf, int fd);

struct td_dataplane;
// Gives every worker and main their pools. 0 or -ENOMEM.
int td_pools_create(struct td_dataplane *dp, const struct td_pool_plan *plan);
void td_pools_destroy(struct td_dataplane *dp);
