// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/clock.h"

#include <time.h>

void td_clock_init(struct td_clock *clock, uint64_t tsc_hz, uint64_t tsc_now)
{
	// Ten seconds in the past, so that no deadline computed by subtraction falls below zero.
	clock->tsc_base = tsc_now - tsc_hz * 10;
	clock->ns_per_tick = (uint64_t)(((unsigned __int128)NS_PER_S << 32) / tsc_hz);
}

uint64_t td_clock_wall_offset(uint64_t now_ns)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec - now_ns;
}
