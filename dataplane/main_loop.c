// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/main_loop.h"

#include "dataplane/admin.h"
#include "dataplane/log.h"
#include "dataplane/neigh.h"
#include "dataplane/port.h"
#include "sip/policy.h"

#include <systemd/sd-daemon.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define IDLE_MS 5             // errands from workers come without notice, and wait no longer
#define HANDOVER_MS 1         // bindings wait for a worker to take those before them
#define CLOCK_NS 100000000ull // how often the wall clock is looked at
#define CLOCK_STEP_NS 1000000 // less is drift, followed with the next step
#define LOG_LINES_PER_TURN 64

struct main_state {
	struct td_switch *s;
	struct td_dataplane *dp;
	struct td_policy_apply policy;
	struct td_plans plans;
	struct td_drain drain;
	struct td_stats stats;
	struct td_provision provision;
	struct td_admin admin;
	uint64_t clock_ns;                   // when the wall clock is due
	uint64_t ended_tsc;                  // of the last turn
	unsigned int ends;                   // requests to end that were followed
	int journal_error;                   // that was last told
	uint64_t watchdog_ns, watched_ns;    // how often systemd wants to hear; when it next does
	uint64_t turns_seen[TD_WORKERS_MAX]; // cycles of each worker's life at that time
};

static void changes_follow(struct main_state *m)
{
	uint64_t newest_us = 0;

	for (uint16_t i = 0; i < m->dp->n_workers; i++) {
		uint64_t changed_us = td_engine_changed_us(m->dp->workers[i]->engine);
		newest_us = changed_us > newest_us ? changed_us : newest_us;
	}
	td_change_clock_follow(&m->s->changes, newest_us);
}

// A step of the system's clock moves the dates of calls and nothing else.
static void clock_follow(struct main_state *m, uint64_t now_ns)
{
	if (now_ns < m->clock_ns)
		return;
	m->clock_ns = now_ns + CLOCK_NS;
	uint64_t seen = td_clock_wall_offset(td_clock_now(&m->dp->clock));
	uint64_t told = atomic_load_explicit(&m->dp->wall_offset_ns, memory_order_relaxed);
	uint64_t apart = seen > told ? seen - told : told - seen;
	if (apart > CLOCK_STEP_NS)
		atomic_store_explicit(&m->dp->wall_offset_ns, seen, memory_order_relaxed);
	changes_follow(m);
}

static uint32_t logs_write(struct main_state *m)
{
	uint32_t n = 0;

	for (uint16_t i = 0; i < m->dp->n_workers; i++)
		n += td_log_drain(m->dp->workers[i]->log, LOG_LINES_PER_TURN);
	return n;
}

static void journal_watch(struct main_state *m)
{
	int error = atomic_load_explicit(&m->s->journal.error, memory_order_relaxed);

	if (error == m->journal_error)
		return;
	m->journal_error = error;
	if (error < 0)
		td_log(TD_LOG_ERROR, "journal.stopped",
			"reason=\"%s\" effect=\"new calls get 503 when the rings are full\"",
			strerror(-error));
	else
		td_log(TD_LOG_INFO, "journal.goes_on", NULL);
}

// systemd is told that all is well (WatchdogSec=) only while every worker comes round: one that
// hangs has calls that nobody else can serve.
static void watchdog_feed(struct main_state *m, uint64_t now_ns)
{
	bool well = true;

	if (m->watchdog_ns == 0 || now_ns < m->watched_ns)
		return;
	m->watched_ns = now_ns + m->watchdog_ns;
	for (uint16_t i = 0; i < m->dp->n_workers; i++) {
		uint64_t cycles = m->dp->workers[i]->total_cycles;
		well = well && cycles != m->turns_seen[i];
		m->turns_seen[i] = cycles;
	}
	if (well)
		sd_notify(0, "WATCHDOG=1");
	else
		td_log(TD_LOG_ERROR, "worker.hangs",
			"effect=\"systemd is not told that all is well\"");
}

static void watchdog_start(struct main_state *m)
{
	uint64_t us = 0;

	if (sd_watchdog_enabled(0, &us) > 0)
		m->watchdog_ns = us * 1000 / 3;
}

static void ends_follow(struct main_state *m, const _Atomic unsigned int *ends, uint64_t now_ns)
{
	for (unsigned int asked = atomic_load(ends); m->ends < asked; m->ends++)
		td_drain_end(&m->drain, now_ns);
}

// One turn. true: the process may end.
static bool main_turn(struct main_state *m, const _Atomic unsigned int *ends)
{
	struct td_worker *w = m->dp->main;
	uint64_t begin = rte_rdtsc(), now_ns = td_clock_ns(&m->dp->clock, begin);
	uint32_t work = td_mgmt_turn(&m->admin.mgmt);

	td_neigh_turn(m->dp, now_ns, &work);
	work += td_admin_collect(&m->admin);
	td_policy_apply_collect(&m->policy);
	td_provision_collect(&m->provision);
	td_admin_plans(&m->admin);
	work += logs_write(m);
	td_stats_turn(&m->stats, now_ns);
	clock_follow(m, now_ns);
	journal_watch(m);
	watchdog_feed(m, now_ns);
	ends_follow(m, ends, now_ns);
	bool done = td_drain_turn(&m->drain, now_ns);
	td_count_add(&w->total_cycles, begin - m->ended_tsc);
	m->ended_tsc = rte_rdtsc();
	td_count_add(&w->total_cycles, m->ended_tsc - begin);
	td_count_add(&w->busy_cycles, work > 0 ? m->ended_tsc - begin : 0);
	td_mgmt_wait(&m->admin.mgmt, work > 0 ? 0 : m->provision.records ? HANDOVER_MS : IDLE_MS);
	return done;
}

static void policy_start(struct main_state *m)
{
	char error[256] = "";
	int rc = td_policy_apply_saved(&m->policy, error, sizeof(error));

	if (rc == 0)
		td_log(TD_LOG_INFO, "policy.kept", "generation=%016" PRIx64,
			td_policy_generation(m->policy.current));
	else if (rc == -ENOENT)
		td_log(TD_LOG_INFO, "policy.none",
			"effect=\"new calls get 503 until control pushes one\"");
	else
		td_log(TD_LOG_WARNING, "policy.not_taken", "reason=\"%s\"", error);
}

static void ports_tell(const struct td_dataplane *dp)
{
	char text[256];

	for (uint16_t i = 0; i < dp->n_ports; i++) {
		td_port_describe(&dp->ports[i], text, sizeof(text));
		td_log(TD_LOG_INFO, "port.up", "name=%s device=\"%s\" text=\"%s\"",
			dp->ports[i].conf.name, dp->ports[i].conf.device, text);
	}
}

static int main_start(
	struct main_state *m, const struct td_policy_codec *codec, char fault[TD_FAULT_LEN])
{
	td_plans_init(&m->plans, m->dp->conf.state_dir);
	td_policy_apply_init(&m->policy, m->dp, &m->plans, codec);
	m->drain.dp = m->dp;
	m->provision.dp = m->dp;
	m->admin = (struct td_admin){
		.dp = m->dp,
		.policy = &m->policy,
		.plans = &m->plans,
		.drain = &m->drain,
		.stats = &m->stats,
		.journal = &m->s->journal,
		.provision = &m->provision,
	};
	int rc = td_stats_init(&m->stats, m->dp);
	if (rc == 0)
		rc = td_admin_open(&m->admin);
	if (rc < 0) {
		snprintf(fault, TD_FAULT_LEN, "%s/dataplane.sock: %s", m->dp->conf.run_dir,
			strerror(-rc));
		return rc;
	}
	td_plans_load_saved(&m->plans);
	policy_start(m);
	rc = td_switch_launch(m->s);
	if (rc < 0) {
		snprintf(fault, TD_FAULT_LEN, "starting the workers: %s", strerror(-rc));
		return rc;
	}
	ports_tell(m->dp);
	td_neigh_announce(m->dp);
	td_log(TD_LOG_INFO, "start.ready",
		"version=" TANDEM_VERSION " node=%s epoch=%u workers=%u run_dir=%s",
		m->dp->conf.node, m->dp->epoch, m->dp->n_workers, m->dp->conf.run_dir);
	sd_notify(0, "READY=1");
	watchdog_start(m);
	return 0;
}

int td_main_loop(struct td_switch *s, const struct td_policy_codec *codec,
	_Atomic unsigned int *ends, char fault[TD_FAULT_LEN])
{
	struct main_state *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->s = s;
	m->dp = s->dp;
	m->admin.mgmt.listen_fd = m->admin.mgmt.epoll_fd = -1;
	m->ended_tsc = rte_rdtsc();
	int rc = main_start(m, codec, fault);
	while (rc == 0 && !main_turn(m, ends))
		;
	sd_notify(0, "STOPPING=1");
	td_mgmt_close(&m->admin.mgmt);
	td_switch_stop(s);
	logs_write(m);
	td_policy_apply_fini(&m->policy);
	td_provision_drop(&m->provision);
	td_plans_fini(&m->plans);
	td_stats_fini(&m->stats);
	free(m);
	return rc;
}
