// SPDX-License-Identifier: BSD-3-Clause
// What main asks of a worker, seen once a turn, before anything else touches the engine.
#include "dataplane/command.h"
#include "dataplane/registrar_host.h"

static void gauges_publish(struct td_worker *w)
{
	atomic_store_explicit(&w->live_calls, td_engine_calls(w->engine), memory_order_relaxed);
	atomic_store_explicit(&w->live_legs, td_engine_legs(w->engine), memory_order_relaxed);
	atomic_store_explicit(&w->held_calls, td_engine_held(w->engine), memory_order_relaxed);
}

uint32_t td_control_input(struct td_worker *w)
{
	const struct td_policy *policy = atomic_load_explicit(&w->dp->policy, memory_order_acquire);
	uint64_t wall = atomic_load_explicit(&w->dp->wall_offset_ns, memory_order_relaxed);
	bool draining = atomic_load_explicit(&w->dp->draining, memory_order_relaxed);

	if (policy != atomic_load_explicit(&w->policy, memory_order_relaxed)) {
		td_engine_set_policy(w->engine, policy); // looks at the one before once more
		atomic_store_explicit(&w->policy, policy, memory_order_release);
	}
	if (wall != w->wall_offset_ns) {
		w->wall_offset_ns = wall;
		td_engine_set_wall(w->engine, wall);
	}
	if (draining != w->draining) {
		w->draining = draining;
		td_engine_drain(w->engine, draining);
	}
	uint32_t work = w->registrar ? td_registrar_host_turn(w) : 0;
	td_command_run(w->commands, w->engine, w->now_ns);
	gauges_publish(w);
	return work;
}
