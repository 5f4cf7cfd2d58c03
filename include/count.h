// SPDX-License-Identifier: BSD-3-Clause
// A number that one thread counts up and any thread may read: a reader may see it lag, never torn.
// No lock and no fence: relaxed loads and stores.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic uint64_t td_count;

static inline uint64_t td_count_get(const td_count *count)
{
	return atomic_load_explicit(count, memory_order_relaxed);
}

// The writer's.
static inline void td_count_add(td_count *count, uint64_t n)
{
	atomic_store_explicit(count, td_count_get(count) + n, memory_order_relaxed);
}
