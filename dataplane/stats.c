// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stats.h"

#include "dataplane/limit_table.h"

#include <errno.h>
#include <stdlib.h>

#define SAMPLE_NS 1000000000ull

int td_stats_init(struct td_stats *stats, const struct td_dataplane *dp)
{
	*stats = (struct td_stats){ .dp = dp };
	for (int kind = 0; kind < TD_LIMIT__KINDS; kind++) {
		struct td_stats_rates *r = &stats->rates[kind];
		while (td_limit_count_of(dp->limits, (enum td_limit_kind)kind, r->n_slots))
			r->n_slots++;
		r->accepted = calloc(r->n_slots, sizeof(*r->accepted));
		r->cps = calloc(r->n_slots, sizeof(*r->cps));
		if (!r->accepted || !r->cps) {
			td_stats_fini(stats);
			return -ENOMEM;
		}
	}
	return 0;
}

void td_stats_fini(struct td_stats *stats)
{
	for (int kind = 0; kind < TD_LIMIT__KINDS; kind++) {
		free(stats->rates[kind].accepted);
		free(stats->rates[kind].cps);
	}
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

static void rates_sample(struct td_stats *stats, enum td_limit_kind kind, double seconds)
{
	struct td_stats_rates *r = &stats->rates[kind];

	for (uint32_t slot = 0; slot < r->n_slots; slot++) {
		uint64_t accepted = atomic_load_explicit(
			&td_limit_count_of(stats->dp->limits, kind, slot)->c.accepted,
			memory_order_relaxed);
		r->cps[slot] = accepted >= r->accepted[slot]
				       ? (double)(accepted - r->accepted[slot]) / seconds
				       : 0;
		r->accepted[slot] = accepted;
	}
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
	for (int kind = 0; kind < TD_LIMIT__KINDS; kind++)
		rates_sample(stats, (enum td_limit_kind)kind, seconds);
	stats->last_ns = now_ns;
	stats->next_ns = now_ns + SAMPLE_NS;
}

double td_stats_cps(const struct td_stats *stats, enum td_limit_kind kind, uint32_t slot)
{
	return slot < stats->rates[kind].n_slots ? stats->rates[kind].cps[slot] : 0;
}
