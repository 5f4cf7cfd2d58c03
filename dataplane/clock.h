// SPDX-License-Identifier: BSD-3-Clause
// Monotonic nanoseconds from the TSC, without a system call, and the wall clock as an offset to
// them.
//
// Calibrated once by main; read by every core. The engine's time is now_ns; wall time is now_ns +
// wall_offset_ns, which main follows, so that a step of the system's clock moves dates and no
// duration.
#pragma once

#include <rte_cycles.h>
#include <stdint.h>

struct td_clock {
	uint64_t tsc_base;
	uint64_t ns_per_tick; // 32.32 fixed point
};

void td_clock_init(struct td_clock *clock, uint64_t tsc_hz, uint64_t tsc_now);

static inline uint64_t td_clock_ns(const struct td_clock *clock, uint64_t tsc)
{
	return (uint64_t)((unsigned __int128)(tsc - clock->tsc_base) * clock->ns_per_tick >> 32);
}

static inline uint64_t td_clock_now(const struct td_clock *clock)
{
	return td_clock_ns(clock, rte_rdtsc());
}

// Offset of the wall clock to now_ns, as the system sees it at this moment.
uint64_t td_clock_wall_offset(uint64_t now_ns);
