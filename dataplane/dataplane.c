// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/dataplane.h"

#include "dataplane/command.h"
#include "dataplane/eal.h"
#include "dataplane/leg.h"
#include "dataplane/limit_table.h"
#include "dataplane/log_ring.h"
#include "dataplane/path.h"
#include "dataplane/provision.h"
#include "dataplane/registrar_host.h"
#include "dataplane/sip_host.h"
#include "dataplane/state_file.h"
#include "dataplane/trunk_state.h"
#include "sip/health.h"
#include "sip/penalty.h"
#include "sip/source_rate.h"

#include <rte_launch.h>
#include <rte_malloc.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>

#define SOURCES 65536 // addresses told apart by limits.source_cps

static int fault_set(char fault[TD_FAULT_LEN], int rc, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fault_set(char fault[TD_FAULT_LEN], int rc, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	int n = vsnprintf(fault, TD_FAULT_LEN, format, ap);
	va_end(ap);
	if (n > 0 && n < TD_FAULT_LEN)
		snprintf(fault + n, TD_FAULT_LEN - (size_t)n, ": %s", strerror(-rc));
	return rc;
}

static struct td_worker *worker_new(
	struct td_dataplane *dp, uint16_t id, int cpu, unsigned int lcore)
{
	struct td_worker *w =
		rte_zmalloc_socket("worker", sizeof(*w), 64, (int)rte_lcore_to_socket_id(lcore));

	if (!w)
		return NULL;
	w->id = id;
	w->cpu = (uint16_t)cpu;
	w->lcore = lcore;
	w->dp = dp;
	w->sip_due_ns = UINT64_MAX;
	return w;
}

static int workers_make(struct td_dataplane *dp)
{
	dp->main = worker_new(dp, TD_MAIN_ID, dp->conf.main_cpu, rte_get_main_lcore());
	if (!dp->main)
		return -ENOMEM;
	for (uint16_t i = 0; i < dp->conf.n_workers; i++) {
		dp->workers[i] = worker_new(dp, i, dp->conf.worker_cpus[i], td_eal_worker_lcore(i));
		if (!dp->workers[i])
			return -ENOMEM;
		dp->n_workers++;
	}
	size_t bytes = rte_rcu_qsbr_get_memsize(dp->n_workers);
	dp->qsbr = rte_zmalloc("qsbr", bytes, 64);
	return dp->qsbr ? rte_rcu_qsbr_init(dp->qsbr, dp->n_workers) : -ENOMEM;
}

static int realms_lend(struct td_switch *s)
{
	const struct td_config *conf = &s->dp->conf;

	s->realms = calloc(conf->n_realms ? conf->n_realms : 1, sizeof(*s->realms));
	if (!s->realms)
		return -ENOMEM;
	for (uint8_t i = 0; i < conf->n_realms; i++) {
		const struct td_realm_conf *from = &conf->realms[i];
		struct td_engine_realm *to = &s->realms[i];
		memcpy(to->name, from->name, sizeof(to->name));
		memcpy(to->addresses, from->addresses, sizeof(to->addresses));
		memcpy(to->listeners, from->sip, sizeof(to->listeners));
		to->n_addresses = from->n_addresses;
		to->n_listeners = from->n_listeners;
		to->unknown = from->unknown;
		to->registrar = from->registrar;
	}
	return 0;
}

static uint16_t node_hash(const struct td_config *conf)
{
	static const uint64_t key[2] = { 0x746e6164656d2d31, 0x6e6f64652d686173 };

	return (uint16_t)td_siphash(key, conf->node, strlen(conf->node));
}

static int keys_make(struct td_switch *s)
{
	if (getrandom(s->token_key, sizeof(s->token_key), 0) != (ssize_t)sizeof(s->token_key))
		return -EIO;
	s->dp->epoch = s->journal.epoch;
	td_token_keys_init(&s->dp->keys, s->token_key, node_hash(&s->dp->conf), s->dp->epoch);
	return 0;
}

static int sources_make(struct td_switch *s)
{
	const struct td_alloc alloc = { td_engine_memory_alloc, td_engine_memory_free,
		&s->engine_memory };

	s->dp->source_rate = td_source_rate_new(&alloc, SOURCES, s->dp->keys.hash);
	s->dp->penalties = td_penalties_new(&alloc, TD_PENALTIES, s->dp->keys.hash);
	return s->dp->source_rate && s->dp->penalties ? 0 : -ENOMEM;
}

static void sources_unmake(struct td_switch *s)
{
	const struct td_alloc alloc = { td_engine_memory_alloc, td_engine_memory_free,
		&s->engine_memory };

	td_source_rate_free(s->dp->source_rate, &alloc);
	td_penalties_free(s->dp->penalties, &alloc);
}

static int engine_make(struct td_switch *s, struct td_worker *w)
{
	const struct td_config *conf = &s->dp->conf;
	struct td_engine_conf e = {
		.ops = &td_sip_host_ops,
		.host = w,
		.counters = w->counters,
		.alloc = td_engine_memory_alloc,
		.free = td_engine_memory_free,
		.reserve = td_engine_memory_reserve,
		.alloc_ctx = &s->engine_memory,
		.node = node_hash(conf),
		.worker = (uint8_t)w->id,
		.n_workers = (uint8_t)s->dp->n_workers,
		.epoch = s->dp->epoch,
		.max_calls = s->plan.worker_calls,
		.interim_s = conf->cdr_interim_s,
		.max_cps = s->plan.worker_cps,
		.sip_message_bytes = conf->sip_message_bytes,
		.t1_ms = conf->t1_ms,
		.t2_ms = conf->t2_ms,
		.t4_ms = conf->t4_ms,
		.wall_offset_ns = s->dp->wall_offset_ns,
		.n_realms = conf->n_realms,
		.realms = s->realms,
		.source_rate = s->dp->source_rate,
		.health = s->dp->health,
		.penalties = s->dp->penalties,
		.max_probes = s->plan.worker_probes,
		.max_registrations = s->plan.worker_registrations,
		.changed_us = s->changed_us,
		.location_sync = conf->location_sync,
		.subscribers = s->dp->subscribers,
	};

	memcpy(e.token_key, s->token_key, sizeof(e.token_key));
	memcpy(e.node_name, conf->node, sizeof(e.node_name));
	w->wall_offset_ns = e.wall_offset_ns;
	w->engine = td_engine_new(&e);
	return w->engine ? 0 : -errno;
}

static int worker_furnish(struct td_switch *s, struct td_worker *w, char fault[TD_FAULT_LEN])
{
	w->journal = &s->journal.rings[w->id];
	w->commands = td_command_ring_new();
	w->log = td_log_ring_new();
	int rc = w->commands && w->log ? td_sip_host_create(w) : -ENOMEM;
	if (rc < 0)
		return fault_set(fault, rc, "worker %u", w->id);
	rc = td_registrar_host_create(w);
	if (rc < 0)
		return fault_set(fault, rc, "registrar of worker %u", w->id);
	rc = td_leg_table_create(w, s->plan.worker_legs);
	if (rc < 0)
		return fault_set(fault, rc, "%u media legs of worker %u (memory.huge_mb)",
			s->plan.worker_legs, w->id);
	rc = engine_make(s, w);
	if (rc < 0)
		return fault_set(fault, rc, "%u calls of worker %u, after %lu MiB",
			s->plan.worker_calls, w->id, s->engine_memory.bytes >> 20);
	return 0;
}

static int parts_make(struct td_switch *s, char fault[TD_FAULT_LEN])
{
	struct td_dataplane *dp = s->dp;
	struct td_path_conf path = { .neighbours = TD_NEIGHBOURS, .socket = SOCKET_ID_ANY };
	const char *what;

	if (workers_make(dp) < 0)
		return fault_set(fault, -ENOMEM, "workers");
	dp->trunks = td_trunk_state_new();
	dp->limits = td_limit_table_new();
	dp->health = td_health_new();
	if (!dp->trunks || !dp->limits || !dp->health || realms_lend(s) < 0 ||
		td_subscribers_make(dp) < 0)
		return fault_set(fault, -ENOMEM, "tables");
	int rc = td_pools_create(dp, &s->plan);
	if (rc < 0)
		return fault_set(fault, rc, "packet buffers (memory.huge_mb)");
	rc = td_path_start(dp, &path, fault);
	if (rc < 0)
		return rc;
	uint64_t wall_us =
		(td_clock_now(&dp->clock) + td_clock_wall_offset(td_clock_now(&dp->clock))) / 1000;
	rc = td_journal_open(&s->journal, dp->conf.run_dir, dp->conf.state_dir, dp->n_workers,
		s->plan.journal_ring_bytes, wall_us, &what);
	if (rc < 0)
		return fault_set(fault, rc, "%s", what);
	s->changed_us = td_change_clock_open(&s->changes, dp->conf.state_dir, wall_us);
	rc = keys_make(s);
	if (rc < 0)
		return fault_set(fault, rc, "random bytes");
	rc = sources_make(s);
	if (rc < 0)
		return fault_set(fault, rc, "tables");
	dp->wall_offset_ns = td_clock_wall_offset(td_clock_now(&dp->clock));
	for (uint16_t i = 0; i < dp->n_workers && rc == 0; i++)
		rc = worker_furnish(s, dp->workers[i], fault);
	return rc;
}

int td_switch_create(struct td_switch *s, const struct td_config *conf, char fault[TD_FAULT_LEN])
{
	*s = (struct td_switch){ .journal = { .store = { .fd = -1 } }, .changes = { .fd = -1 } };
	td_pools_plan(conf, &s->plan);
	s->dp = rte_zmalloc("dataplane", sizeof(*s->dp), 64);
	if (!s->dp)
		return fault_set(fault, -ENOMEM, "memory");
	s->dp->conf = *conf;
	s->dp->tsc_hz = rte_get_tsc_hz();
	td_clock_init(&s->dp->clock, s->dp->tsc_hz, rte_rdtsc());
	int rc = parts_make(s, fault);
	if (rc < 0)
		td_switch_destroy(s);
	return rc;
}

int td_switch_launch(struct td_switch *s)
{
	int rc = td_journal_start(&s->journal);

	for (uint16_t i = 0; i < s->dp->n_workers && rc == 0; i++)
		rc = rte_eal_remote_launch(
			td_worker_main, s->dp->workers[i], s->dp->workers[i]->lcore);
	s->launched = true;
	return rc;
}

static void worker_unmake(struct td_worker *w)
{
	if (w->engine)
		td_engine_free(w->engine);
	if (w->legs)
		td_leg_table_destroy(w);
	td_sip_host_destroy(w);
	td_registrar_host_destroy(w);
	td_command_ring_free(w->commands);
	td_log_ring_free(w->log);
}

void td_switch_stop(struct td_switch *s)
{
	atomic_store_explicit(&s->dp->stop, true, memory_order_release);
	for (uint16_t i = 0; i < s->dp->n_workers && s->launched; i++)
		rte_eal_wait_lcore(s->dp->workers[i]->lcore);
	s->launched = false;
}

void td_switch_destroy(struct td_switch *s)
{
	struct td_dataplane *dp = s->dp;

	if (!dp)
		return;
	td_switch_stop(s);
	td_journal_close(&s->journal);
	for (uint16_t i = 0; i < dp->n_workers; i++)
		worker_unmake(dp->workers[i]);
	if (dp->main) {
		td_path_stop(dp);
		td_pools_destroy(dp);
	}
	for (uint16_t i = 0; i < dp->n_workers; i++)
		rte_free(dp->workers[i]);
	rte_free(dp->main);
	rte_free(dp->qsbr);
	td_trunk_state_free(dp->trunks);
	td_limit_table_free(dp->limits);
	td_health_free(dp->health);
	sources_unmake(s);
	td_change_clock_close(&s->changes);
	td_subscribers_unmake(dp);
	free(s->realms);
	rte_free(dp);
	s->dp = NULL;
}
