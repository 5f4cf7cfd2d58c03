// SPDX-License-Identifier: BSD-3-Clause
#include "sip/shared_count.h"

#include <errno.h>

#define SECOND_NS 1000000000ull

static bool calls_acquire(struct td_shared_count *c, uint32_t max_calls)
{
	uint32_t calls = atomic_load_explicit(&c->calls, memory_order_relaxed);

	do {
		if (max_calls > 0 && calls >= max_calls)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&c->calls, &calls, calls + 1, memory_order_relaxed, memory_order_relaxed));
	return true;
}

static uint32_t interval_ns(struct td_shared_count *c, uint32_t max_cps)
{
	uint64_t rate = atomic_load_explicit(&c->rate, memory_order_relaxed);

	if (rate >> 32 != max_cps) { // once for each change of the limit
		rate = (uint64_t)max_cps << 32 | SECOND_NS / max_cps;
		atomic_store_explicit(&c->rate, rate, memory_order_relaxed);
	}
	return (uint32_t)rate;
}

// Generic cell rate: a full bucket lets a burst through at once.
static bool rate_acquire(struct td_shared_count *c, const struct td_limit *limit, uint64_t now_ns)
{
	uint64_t interval = interval_ns(c, limit->max_cps);
	uint64_t full = limit->cps_burst ? limit->cps_burst * interval : SECOND_NS;
	uint64_t arrival = atomic_load_explicit(&c->arrival_ns, memory_order_relaxed), next;

	do {
		next = (arrival > now_ns ? arrival : now_ns) + interval;
		if (next - now_ns > full)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&c->arrival_ns, &arrival, next, memory_order_relaxed, memory_order_relaxed));
	return true;
}

int td_shared_acquire(struct td_shared_count *c, const struct td_limit *limit, uint64_t now_ns)
{
	if (!calls_acquire(c, limit->max_calls))
		return -EDQUOT;
	if (limit->max_cps > 0 && !rate_acquire(c, limit, now_ns)) {
		atomic_fetch_sub_explicit(&c->calls, 1, memory_order_relaxed);
		return -EAGAIN;
	}
	atomic_fetch_add_explicit(&c->accepted, 1, memory_order_relaxed);
	return 0;
}

void td_shared_release(struct td_shared_count *c)
{
	atomic_fetch_sub_explicit(&c->calls, 1, memory_order_relaxed);
}

void td_shared_cancel(struct td_shared_count *c)
{
	uint64_t interval = (uint32_t)atomic_load_explicit(&c->rate, memory_order_relaxed);
	uint64_t arrival = atomic_load_explicit(&c->arrival_ns, memory_order_relaxed), before;

	do {
		before = arrival > interval ? arrival - interval : 0;
	} while (!atomic_compare_exchange_weak_explicit(&c->arrival_ns, &arrival, before,
		memory_order_relaxed, memory_order_relaxed));
	td_shared_release(c);
}
