// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stats.h"

#include "dataplane/trunk_state.h"

#include <errno.h>
#include <stdlib.h>

#define SAMPLE_NS 1000000000ull

int td_stats_init(struct td_stats *stats, const struct td_dataplane *dp)
{
	uint32_t n = 0;

	*stats = (struct td_stats){ .dp = dp };
	while (td_trunk_state_counts(dp->trunks, n))
		n++;
	stats->accepted = calloc(n, sizeof(*stats->accepted));
	stats->cps = calloc(n, sizeof(*stats->cps));
	if (!stats->accepted || !stats->cps) {
		td_stats_fini(stats);
		return -ENOMEM;
	}
	stats->n_slots = n;
	return 0;
}

void td_stats_fini(struct td_stats *stats)
{
	free(stats->accepted);
	free(stats->cps);
	*stats = (struct td_stats){ 0 };
}

const struct td_worker *td_stats_core_of(const struct td_dataplane *dp, uint16_t i)
{
	return i < dp->n_workers ? dp->workers[i] : dp->main;
}

static void core_sample(struct td_stats_core *core, const struct td_worker *w)
{
	uint64_t total_cycles = td_count_get(&w->total_cycles);
	uint64_t busy_cycles = td_count_get(&w->busy_cycles);
	uint64_t total = total_cycles - core->total_cycles,
		 busy = busy_cycles - core->busy_cycles;

	core->busy = total > 0 && busy <= total ? (double)busy / (double)total : 0;
	core->total_cycles = total_cycles;
	core->busy_cycles = busy_cycles;
}

void td_stats_turn(struct td_stats *stats, uint64_t now_ns)
{
	if (now_ns < stats->next_ns)
		return;
	double seconds = stats->last_ns ? (double)(now_ns - stats->last_ns) / 1e9 : 1;
	for (uint16_t i = 0; i <= stats->dp->n_workers; i++) {
		const struct td_worker *w = td_stats_core_of(stats->dp, i);
		core_sample(&stats->cores[w->id], w);
	}
	for (uint32_t slot = 0; slot < stats->n_slots; slot++) {
		uint64_t accepted = atomic_load_explicit(
			&td_trunk_state_counts(stats->dp->trunks, slot)->accepted,
			memory_order_relaxed);
		stats->cps[slot] = accepted >= stats->accepted[slot]
					   ? (double)(accepted - stats->accepted[slot]) / seconds
					   : 0;
		stats->accepted[slot] = accepted;
	}
	stats->last_ns = now_ns;
	stats->next_ns = now_ns + SAMPLE_NS;
}

double td_stats_trunk_cps(const struct td_stats *stats, uint32_t slot)
{
	return slot < stats->n_slots ? stats->cps[slot] : 0;
}
