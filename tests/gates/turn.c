// SPDX-License-Identifier: BSD-3-Clause
// Every turn takes TURN_NS of a time that only turns move, so that no retransmission comes on a
// slow machine, no timer stays out on a fast one, and two runs do the same. What the turns did is
// reported when the program ends.
#include "turn.h"

#include "dataplane/worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define TURN_NS                                                                                    \
	40000000u // the answer to a message comes within five turns, half of T1; 32 s are 800 turns
#define TICKS_PER_NS_LOG2 16 // far slower than any TSC: what passes inside of a turn is nothing

static uint64_t turns, relayed, ended, records;

uint32_t __real_td_worker_turn(struct td_worker *w);

static void clock_set(struct td_clock *clock)
{
	static uint64_t now_ns;

	now_ns = (now_ns ? now_ns : td_clock_now(clock)) + TURN_NS;
	clock->ns_per_tick = 1ull << (32 - TICKS_PER_NS_LOG2);
	clock->tsc_base = rte_rdtsc() - (now_ns << TICKS_PER_NS_LOG2);
}

uint32_t __wrap_td_worker_turn(struct td_worker *w)
{
	clock_set(&w->dp->clock);
	if (quiet_arm)
		quiet_arm();
	uint32_t work = __real_td_worker_turn(w);
	if (quiet_disarm)
		quiet_disarm();
	turns++;
	relayed = w->counters[TD_C_RTP_RELAYED];
	ended = w->counters[TD_C_CALL_ENDED];
	records = w->counters[TD_C_JOURNAL_RECORDS];
	return work;
}

static void __attribute__((destructor)) turns_report(void)
{
	dprintf(STDERR_FILENO,
		"turns: {\"turns\": %" PRIu64 ", \"relayed\": %" PRIu64 ", \"ended\": %" PRIu64
		", \"records\": %" PRIu64 "}\n",
		turns, relayed, ended, records);
}
