// SPDX-License-Identifier: BSD-3-Clause
// What changes with time and nobody counts: the share of useful cycles and the rates of limits in
// the last second. Owner: main, from counts that workers publish and that may lag.
#pragma once

#include "dataplane/worker.h"

struct td_stats_core {
	uint64_t busy_cycles, total_cycles; // when last looked at
	double busy;                        // 0–1, of the last second
};

struct td_stats {
	const struct td_dataplane *dp;
	uint64_t next_ns, last_ns;
	struct td_stats_core cores[TD_WORKERS_MAX + 1]; // [TD_MAIN_ID]: main
	struct td_stats_rates {
		uint64_t *accepted; // [slot]
		double *cps;
		uint32_t n_slots;
	} rates[TD_LIMIT__KINDS];
};

int td_stats_init(struct td_stats *stats, const struct td_dataplane *dp); // 0 or -ENOMEM
void td_stats_fini(struct td_stats *stats);
void td_stats_turn(struct td_stats *stats, uint64_t now_ns); // samples once a second
double td_stats_cps(const struct td_stats *stats, enum td_limit_kind kind, uint32_t slot);
// Worker i for i < n_workers, then main.
const struct td_worker *td_stats_core_of(const struct td_dataplane *dp, uint16_t i);
