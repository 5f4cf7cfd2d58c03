// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/worker.h"

#include "dataplane/handoff.h"
#include "dataplane/leg.h"
#include "dataplane/reassembly.h"
#include "dataplane/rx_wait.h"

#include <errno.h>
#include <time.h>

#define EMPTY_ROUNDS 512 // before the first sleep
#define SLEEP_MIN_NS 50000
#define SLEEP_MAX_NS 500000
// No call that talks leaves a silence that long; behind it, waking up more rarely keeps the
// processor at rest.
#define QUIET_NS 100000000
#define SLEEP_QUIET_NS 1000000

// What passed since the last turn began was that turn's; it was useful when something was found.
static void turn_account(struct td_worker *w, uint64_t tsc)
{
	uint64_t passed = w->turn_tsc != 0 ? tsc - w->turn_tsc : 0;

	w->turn_tsc = tsc;
	td_count_add(&w->total_cycles, passed);
	if (!w->idle)
		td_count_add(&w->busy_cycles, passed);
}

uint32_t td_worker_turn(struct td_worker *w)
{
	uint64_t tsc = rte_rdtsc();
	uint32_t work;

	turn_account(w, tsc);
	w->now_ns = td_clock_ns(&w->dp->clock, tsc);
	work = td_control_input(w);
	work += td_port_rx(w);
	work += td_handoff_rtp_in(w);
	work += td_handoff_tx_in(w);
	work += td_sip_run(w, TD_SIP_PER_LOOP);
	if (w->legs)
		td_media_timeout_run(w);
	td_reassembly_age(w);
	td_handoff_flush(w);
	td_port_tx_flush(w);
	w->idle = work == 0;
	if (w->dp->qsbr)
		rte_rcu_qsbr_quiescent(w->dp->qsbr, w->id);
	return work;
}

uint32_t td_worker_held(const struct td_worker *w)
{
	uint32_t held = td_reassembly_held(w);

	for (uint16_t p = 0; p < w->dp->n_ports; p++)
		held += w->tx[p].n;
	for (uint16_t to = 0; w->rtp_out && to < w->dp->n_workers; to++)
		held += w->rtp_out[to].n;
	if (w->sip_in[w->id])
		held += rte_ring_count(w->sip_in[w->id]);
	return held;
}

// Until then, however often a signal wakes us (the tap driver's do).
static void sleep_until(uint64_t ns)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	ns += (uint64_t)t.tv_nsec;
	t.tv_sec += (time_t)(ns / 1000000000u);
	t.tv_nsec = (long)(ns % 1000000000u);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static void worker_offline(struct td_worker *w)
{
	if (w->dp->qsbr)
		rte_rcu_qsbr_thread_offline(w->dp->qsbr, w->id);
}

static void worker_online(struct td_worker *w)
{
	if (w->dp->qsbr)
		rte_rcu_qsbr_thread_online(w->dp->qsbr, w->id);
}

// What comes on a port ends it at once; what comes from other cores is seen within a millisecond.
static void queues_wait(struct td_worker *w, uint64_t ns)
{
	td_rx_wait_arm(w);
	if (td_worker_turn(w) == 0) { // nothing came before they were armed
		worker_offline(w);
		td_rx_wait((int)(ns / 1000000));
		worker_online(w);
	}
	td_rx_wait_disarm(w);
}

// No longer than to the next timer. A sleeping worker holds up nobody's grace period.
static void worker_sleep(struct td_worker *w, uint64_t sleep_ns)
{
	uint64_t now_ns = td_clock_now(&w->dp->clock);

	if (w->sip_due_ns <= now_ns)
		return;
	if (w->sip_due_ns - now_ns < sleep_ns)
		sleep_ns = w->sip_due_ns - now_ns;
	if (w->rx_wait) {
		queues_wait(w, sleep_ns);
		return;
	}
	worker_offline(w);
	sleep_until(sleep_ns);
	worker_online(w);
}

static uint64_t sleep_next(uint64_t sleep_ns, uint64_t slept_ns)
{
	uint64_t most_ns = slept_ns < QUIET_NS ? SLEEP_MAX_NS : SLEEP_QUIET_NS;

	return sleep_ns * 2 < most_ns ? sleep_ns * 2 : most_ns;
}

static void loop_adaptive(struct td_worker *w)
{
	const uint64_t least_ns = td_rx_wait_start(w) ? SLEEP_QUIET_NS : SLEEP_MIN_NS;
	uint64_t sleep_ns = least_ns, slept_ns = 0;
	uint32_t empty = 0;

	while (!atomic_load_explicit(&w->dp->stop, memory_order_relaxed)) {
		if (td_worker_turn(w) > 0) {
			empty = 0;
			sleep_ns = least_ns;
			slept_ns = 0;
		} else if (++empty > EMPTY_ROUNDS) {
			empty = EMPTY_ROUNDS;
			worker_sleep(w, sleep_ns);
			slept_ns += sleep_ns;
			sleep_ns = RTE_MAX(least_ns, sleep_next(sleep_ns, slept_ns));
		}
	}
}

int td_worker_main(void *worker)
{
	struct td_worker *w = worker;

	if (w->dp->qsbr) {
		rte_rcu_qsbr_thread_register(w->dp->qsbr, w->id);
		rte_rcu_qsbr_thread_online(w->dp->qsbr, w->id);
	}
	if (w->dp->conf.poll == TD_POLL_BUSY) {
		while (!atomic_load_explicit(&w->dp->stop, memory_order_relaxed))
			td_worker_turn(w);
	} else {
		loop_adaptive(w);
	}
	if (w->dp->qsbr) {
		rte_rcu_qsbr_thread_offline(w->dp->qsbr, w->id);
		rte_rcu_qsbr_thread_unregister(w->dp->qsbr, w->id);
	}
	return 0;
}
