// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pools.h"

#include "dataplane/eal.h"
#include "dataplane/journal_files.h"
#include "dataplane/journal_ring.h"
#include "dataplane/leg.h"
#include "dataplane/path.h"
#include "dataplane/port.h"
#include "dataplane/reassembly.h"
#include "dataplane/registrar_host.h"
#include "sip/probe.h"
#include "sip/register.h"

#include <rte_lcore.h>

#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define SMALL_PAGE 4096
#define MIB (1024ull * 1024)
#define FRAME_ROOM (2048 + RTE_PKTMBUF_HEADROOM)
#define QUEUE_DEPTH 1024   // descriptors of a queue, receive or transmit
#define HANDOFF_DEPTH 1024 // of each ring between two cores
#define HANDOFF_RINGS_MAX                                                                          \
	16 // of a worker that may be full at once: more than that is overload, and named drops
#define POOL_CACHE 256
#define BIG_IN_FLIGHT                                                                              \
	512 // long SIP messages of a worker that are being written, sent or handed over
#define MBUF_OVERHEAD (sizeof(struct rte_mbuf) + TD_MBUF_PRIV + 64)
// Of the engines, measured and rounded up: a call with its transactions and texts; one of the calls
// that may begin in a second, which leaves transactions and tombstones behind for 32 s.
#define CALL_BYTES 8192
#define CPS_BYTES 20480
#define EAL_OWN_MB 64 // DPDK's own tables, ports' queues, and what alignment costs

// With several workers a hash never spreads evenly: each may take a quarter more than its part.
static uint32_t worker_share(uint32_t total, uint16_t n)
{
	if (n <= 1)
		return total;
	uint64_t share = (uint64_t)(total + n - 1) / n * 5 / 4 + 64;
	return share < total ? (uint32_t)share : total;
}

// A whole datagram with its headers, which the parser may find one byte too long; a message that is
// sent; the frame of a port whose kernel joins fragments.
static uint16_t big_room(const struct td_config *conf)
{
	uint32_t room = conf->sip_message_bytes + RTE_PKTMBUF_HEADROOM + 128;

	for (uint8_t i = 0; i < conf->n_ports; i++) {
		uint32_t frame = td_port_frame_bytes(&conf->ports[i], conf->sip_message_bytes);
		if (frame + RTE_PKTMBUF_HEADROOM > room)
			room = frame + RTE_PKTMBUF_HEADROOM;
	}
	return room < UINT16_MAX ? (uint16_t)room : UINT16_MAX;
}

static void row_add(
	struct td_pool_plan *plan, const char *name, uint64_t count, uint64_t bytes, bool eal)
{
	plan->rows[plan->n_rows++] = (struct td_pool_row){ name, count, bytes, eal };
	if (eal)
		plan->eal_bytes += bytes;
}

static uint32_t frames_needed(const struct td_config *conf)
{
	uint64_t n = conf->n_workers;
	uint64_t rings = 3 * n < HANDOFF_RINGS_MAX ? 3 * n : HANDOFF_RINGS_MAX;
	uint64_t frames =
		n * (rings * HANDOFF_DEPTH + POOL_CACHE + 2ull * TD_BURST * conf->n_ports);

	for (uint8_t i = 0; i < conf->n_ports; i++)
		frames += 2ull * QUEUE_DEPTH *
			  (td_port_queues_max(&conf->ports[i], conf->n_workers) + 1u);
	frames += 8 * 1024; // packets that wait for a neighbour
	return (uint32_t)frames;
}

static uint32_t big_needed(const struct td_config *conf)
{
	uint32_t n = conf->n_workers * (TD_REASSEMBLY_MAX + BIG_IN_FLIGHT + POOL_CACHE);

	for (uint8_t i = 0; i < conf->n_ports; i++)
		if (td_port_frame_bytes(&conf->ports[i], conf->sip_message_bytes) != 0)
			n += QUEUE_DEPTH;
	return n;
}

static void media_count(const struct td_config *conf, struct td_pool_plan *plan)
{
	for (uint8_t r = 0; r < conf->n_realms; r++) {
		const struct td_realm_conf *realm = &conf->realms[r];
		uint32_t pairs = realm->media_port_max < realm->media_port_min
					 ? 0
					 : (realm->media_port_max - realm->media_port_min + 1u) / 2;
		for (uint8_t a = 0; a < realm->n_addresses; a++)
			if (realm->addresses[a].media)
				plan->media_pairs += pairs;
	}
	plan->media_pairs_needed =
		2ull * conf->max_calls + (uint64_t)conf->max_cps * 2 * conf->quarantine_ms / 1000;
}

void td_pools_plan(const struct td_config *conf, struct td_pool_plan *plan)
{
	uint16_t n = conf->n_workers;

	*plan = (struct td_pool_plan){ 0 };
	plan->worker_calls = worker_share(conf->max_calls, n);
	plan->worker_cps = worker_share(conf->max_cps, n);
	// Attempts in parallel and further streams: most of them while calls are set up.
	uint32_t spare = plan->worker_calls / 8 < plan->worker_cps ? plan->worker_calls / 8
								    : plan->worker_cps;
	plan->worker_legs = 2 * plan->worker_calls + spare + 64;
	if (td_registrar_configured(conf))
		plan->worker_registrations = worker_share(conf->max_registrations, n);
	plan->journal_ring_bytes = td_journal_ring_bytes(
		plan->worker_calls, plan->worker_cps, plan->worker_registrations);
	plan->mbuf_room = FRAME_ROOM;
	plan->big_mbuf_room = big_room(conf);
	plan->mbufs = frames_needed(conf);
	plan->big_mbufs = big_needed(conf);
	plan->small_page_bytes =
		plan->mbufs * (SMALL_PAGE - (MBUF_OVERHEAD + plan->mbuf_room) % SMALL_PAGE) +
		plan->big_mbufs * (uint64_t)SMALL_PAGE;
	media_count(conf, plan);

	row_add(plan, "frames", plan->mbufs, plan->mbufs * (MBUF_OVERHEAD + plan->mbuf_room), true);
	row_add(plan, "sip messages", plan->big_mbufs,
		plan->big_mbufs * (MBUF_OVERHEAD + plan->big_mbuf_room), true);
	row_add(plan, "media legs", (uint64_t)n * plan->worker_legs,
		n * td_leg_table_bytes(conf, n, plan->worker_legs), true);
	row_add(plan, "hand-off rings", (uint64_t)n * (3 * n + 1),
		n * (3 * n + 1) * (HANDOFF_DEPTH * 8ull + 512), true);
	row_add(plan, "neighbours", TD_NEIGHBOURS, TD_NEIGHBOURS * 512ull, true);
	row_add(plan, "calls, about", (uint64_t)n * plan->worker_calls,
		n * ((uint64_t)plan->worker_calls * CALL_BYTES +
			    (uint64_t)plan->worker_cps * CPS_BYTES),
		false);
	if (plan->worker_registrations > 0)
		row_add(plan, "registrations", (uint64_t)n * plan->worker_registrations,
			n * (td_registrar_bytes(plan->worker_registrations) +
				    sizeof(struct td_registrar_host)),
			false);
	// Twice: slots fall unevenly, and peers that are gone rest until their turn comes.
	plan->worker_probes = worker_share(2 * TD_PROBES_MAX, n);
	row_add(plan, "probes of peers", TD_PROBES_MAX,
		n * td_probes_bytes(plan->worker_probes), false);
	row_add(plan, "journal rings", n, n * plan->journal_ring_bytes, false);
}

uint32_t td_pools_eal_mb(const struct td_pool_plan *plan, bool huge)
{
	uint64_t bytes =
		plan->eal_bytes + plan->eal_bytes / 16 + (huge ? 0 : plan->small_page_bytes);

	return (uint32_t)(bytes / MIB) + EAL_OWN_MB;
}

static void print_line(
	int fd, const char *name, uint64_t needed, uint64_t available, const char *unit)
{
	if (fd >= 0)
		dprintf(fd, "  %-28s needed %10lu %-8s available %10lu%s\n", name, needed, unit,
			available, needed > available ? "   TOO SMALL" : "");
}

// Free room where run_dir is or will be.
static uint64_t run_dir_bytes(const struct td_config *conf)
{
	struct statvfs fs;
	char path[TD_PATH_LEN];

	snprintf(path, sizeof(path), "%s", conf->run_dir);
	while (statvfs(path, &fs) < 0) {
		char *slash = strrchr(path, '/');
		if (!slash)
			return 0;
		slash[slash == path] = '\0';
		if (slash == path && statvfs(path, &fs) < 0)
			return 0;
	}
	return (uint64_t)fs.f_bavail * fs.f_frsize;
}

// What the machine can still give without swapping, and what is given back before that. UINT64_MAX
// where the kernel does not say.
static uint64_t ram_available_mb(uint64_t left)
{
	unsigned long kib = 0;
	char line[128];
	bool found = false;
	FILE *file = fopen("/proc/meminfo", "re");

	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, "MemAvailable: %lu kB", &kib) == 1;
	if (file)
		fclose(file);
	return found ? kib / 1024 + left / MIB : UINT64_MAX;
}

// Without hugepages EAL's part is ordinary memory too.
static uint64_t ram_needed_mb(const struct td_pool_plan *plan, const struct td_config *conf)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < plan->n_rows; i++)
		bytes += plan->rows[i].eal ? 0 : plan->rows[i].bytes;
	return bytes / MIB + (conf->huge_mb ? 0 : td_pools_eal_mb(plan, false));
}

int td_pools_check(const struct td_pool_plan *plan, const struct td_config *conf, int fd)
{
	uint32_t needed_mb = td_pools_eal_mb(plan, conf->huge_mb > 0);
	uint64_t huge_mb = conf->huge_mb ? conf->huge_mb : needed_mb;
	// Rings that a kill has left go before new ones are made, and lie in memory as those will.
	uint64_t left = td_journal_files_bytes(conf->run_dir);
	uint64_t rings = (conf->n_workers * plan->journal_ring_bytes + MIB - 1) / MIB,
		 run_mb = (run_dir_bytes(conf) + left) / MIB, ram = ram_needed_mb(plan, conf),
		 ram_mb = ram_available_mb(left);

	for (uint32_t i = 0; i < plan->n_rows && fd >= 0; i++)
		dprintf(fd, "  %-28s %10lu in %8lu KiB\n", plan->rows[i].name, plan->rows[i].count,
			plan->rows[i].bytes / 1024);
	print_line(fd, "memory.huge_mb", needed_mb, huge_mb, "MiB");
	print_line(fd, "media port pairs", plan->media_pairs_needed, plan->media_pairs, "pairs");
	print_line(fd, "journal rings in run_dir", rings, run_mb, "MiB");
	print_line(fd, "ordinary memory", ram, ram_mb, "MiB");
	if (fd >= 0 && conf->huge_mb > td_eal_huge_free_mb())
		dprintf(fd,
			"  %lu MiB of hugepages are free: it would run on ordinary pages, slower\n",
			td_eal_huge_free_mb());
	bool holds = needed_mb <= huge_mb && plan->media_pairs_needed <= plan->media_pairs &&
		     rings <= run_mb && ram <= ram_mb;
	return holds ? 0 : -ENOSPC;
}

// --- after EAL ---

static uint16_t sockets_used(const struct td_dataplane *dp, int sockets[TD_WORKERS_MAX])
{
	uint16_t n = 0;

	for (uint16_t i = 0; i < dp->n_workers; i++) {
		int socket = (int)rte_lcore_to_socket_id(dp->workers[i]->lcore);
		uint16_t at = 0;
		while (at < n && sockets[at] != socket)
			at++;
		sockets[at] = socket;
		n = at == n ? n + 1 : n;
	}
	return n;
}

static struct rte_mempool *pool_make(const char *kind, int socket, uint32_t count, uint16_t room)
{
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "%s.%d", kind, socket);
	return rte_pktmbuf_pool_create(name, count, POOL_CACHE, TD_MBUF_PRIV, room, socket);
}

int td_pools_create(struct td_dataplane *dp, const struct td_pool_plan *plan)
{
	int sockets[TD_WORKERS_MAX];
	uint16_t n = sockets_used(dp, sockets);

	for (uint16_t s = 0; s < n; s++) {
		struct rte_mempool *mbufs =
			pool_make("frames", sockets[s], plan->mbufs / n, plan->mbuf_room);
		struct rte_mempool *big =
			pool_make("messages", sockets[s], plan->big_mbufs / n, plan->big_mbuf_room);
		if (!mbufs || !big)
			return -ENOMEM;
		for (uint16_t i = 0; i < dp->n_workers; i++) {
			if ((int)rte_lcore_to_socket_id(dp->workers[i]->lcore) != sockets[s])
				continue;
			dp->workers[i]->mbufs = mbufs;
			dp->workers[i]->big_mbufs = big;
		}
	}
	dp->main->mbufs = dp->workers[0]->mbufs;
	dp->main->big_mbufs = dp->workers[0]->big_mbufs;
	return 0;
}

static void pool_free_once(
	struct td_dataplane *dp, struct rte_mempool *mbufs, struct rte_mempool *big)
{
	for (uint16_t i = 0; i < dp->n_workers; i++) {
		if (dp->workers[i]->mbufs != mbufs)
			continue;
		dp->workers[i]->mbufs = NULL;
		dp->workers[i]->big_mbufs = NULL;
	}
	rte_mempool_free(mbufs);
	rte_mempool_free(big);
}

void td_pools_destroy(struct td_dataplane *dp)
{
	for (uint16_t i = 0; i < dp->n_workers; i++)
		if (dp->workers[i]->mbufs)
			pool_free_once(dp, dp->workers[i]->mbufs, dp->workers[i]->big_mbufs);
	dp->main->mbufs = dp->main->big_mbufs = NULL;
}
