// SPDX-License-Identifier: BSD-3-Clause
// The tables of `show`: each row a frame, then Done with their number. Short tables go out at once;
// calls and trunks in pieces, as fast as they are read.
#include "dataplane/admin.h"
#include "dataplane/limit_table.h"
#include "dataplane/port.h"
#include "dataplane/trunk_state.h"
#include "sip/health.h"

#include <rte_version.h>

#include <errno.h>
#include <stdio.h>

#define TRUNKS_PER_TURN 256
#define PEERS_PER_TURN 32 // those of so many trunks

static void job_end(struct td_mgmt_conn *conn)
{
	struct td_mgmt_job job = conn->job;

	conn->job = (struct td_mgmt_job){ 0 };
	td_mgmt_send_done(conn, job.id, job.count);
}

// --- cores, ports, counters, version ---

static void core_send(const struct td_admin *admin, struct td_mgmt_conn *conn, uint64_t id,
	const struct td_worker *w)
{
	Tandem__Item item = TANDEM__ITEM__INIT;
	Tandem__Core core = TANDEM__CORE__INIT;
	char role_main[] = "main", role_worker[] = "worker";

	item.row_case = TANDEM__ITEM__ROW_CORE;
	item.core = &core;
	core.core = w->lcore;
	core.role = w->id == TD_MAIN_ID ? role_main : role_worker;
	core.busy = admin->stats->cores[w->id].busy;
	core.rx_packets = td_count_get(&w->counters[TD_C_RX_FRAMES]);
	core.tx_packets = td_count_get(&w->counters[TD_C_TX_FRAMES]);
	core.drops = td_counters_drops(w->counters);
	core.handed_off = td_count_get(&w->counters[TD_C_HANDOFF_SENT]);
	core.calls = atomic_load_explicit(&w->live_calls, memory_order_relaxed);
	core.legs = atomic_load_explicit(&w->live_legs, memory_order_relaxed);
	core.held = td_counters_balance(w->counters);
	core.buffers = (uint64_t)rte_mempool_in_use_count(w->mbufs) +
		       rte_mempool_in_use_count(w->big_mbufs);
	td_mgmt_item_send(conn, id, &item);
}

static void show_cores(const struct td_admin *admin, struct td_mgmt_conn *conn, uint64_t id)
{
	core_send(admin, conn, id, admin->dp->main);
	for (uint16_t i = 0; i < admin->dp->n_workers; i++)
		core_send(admin, conn, id, admin->dp->workers[i]);
	td_mgmt_send_done(conn, id, admin->dp->n_workers + 1u);
}

static void port_send(struct td_mgmt_conn *conn, uint64_t id, const struct td_port *port)
{
	Tandem__Item item = TANDEM__ITEM__INIT;
	Tandem__Port row = TANDEM__PORT__INIT;
	struct rte_eth_stats stats = { 0 };

	rte_eth_stats_get(port->ethdev, &stats);
	item.row_case = TANDEM__ITEM__ROW_PORT;
	item.port = &row;
	row.name = (char *)port->conf.name;
	row.device = (char *)port->conf.device;
	row.rx_queues = port->n_rxq;
	row.tx_queues = port->n_txq;
	row.steering = (char *)port->steering;
	row.rx_packets = stats.ipackets;
	row.tx_packets = stats.opackets;
	row.rx_missed = stats.imissed + stats.rx_nombuf;
	row.up = td_port_up(port);
	td_mgmt_item_send(conn, id, &item);
}

static void show_ports(const struct td_admin *admin, struct td_mgmt_conn *conn, uint64_t id)
{
	for (uint16_t i = 0; i < admin->dp->n_ports; i++)
		port_send(conn, id, &admin->dp->ports[i]);
	td_mgmt_send_done(conn, id, admin->dp->n_ports);
}

static void show_counters(
	const struct td_admin *admin, struct td_mgmt_conn *conn, uint64_t id, bool per_core)
{
	const struct td_dataplane *dp = admin->dp;
	uint64_t cores[TD_WORKERS_MAX + 1];

	for (int c = 0; c < TD_C__COUNT; c++) {
		Tandem__Item item = TANDEM__ITEM__INIT;
		Tandem__Counter counter = TANDEM__COUNTER__INIT;
		cores[0] = td_count_get(&dp->main->counters[c]); // in the order of show cores
		counter.sum = cores[0];
		for (uint16_t i = 0; i < dp->n_workers; i++) {
			cores[i + 1] = td_count_get(&dp->workers[i]->counters[c]);
			counter.sum += cores[i + 1];
		}
		item.row_case = TANDEM__ITEM__ROW_COUNTER;
		item.counter = &counter;
		counter.name = (char *)td_counter_name(c);
		counter.n_per_core = per_core ? dp->n_workers + 1u : 0;
		counter.per_core = cores;
		td_mgmt_item_send(conn, id, &item);
	}
	td_mgmt_send_done(conn, id, TD_C__COUNT);
}

static void version_send(
	struct td_mgmt_conn *conn, uint64_t id, const char *component, const char *version)
{
	Tandem__Item item = TANDEM__ITEM__INIT;
	Tandem__Version row = TANDEM__VERSION__INIT;

	item.row_case = TANDEM__ITEM__ROW_VERSION;
	item.version = &row;
	row.component = (char *)component;
	row.version = (char *)version;
	td_mgmt_item_send(conn, id, &item);
}

static void show_version(struct td_mgmt_conn *conn, uint64_t id)
{
	version_send(conn, id, "tandem-dataplane", TANDEM_VERSION);
	version_send(conn, id, "dpdk", rte_version());
	td_mgmt_send_done(conn, id, 2);
}

// --- trunks

static struct td_peer_view peer_view(
	const struct td_dataplane *dp, const struct td_trunk *trunk, uint32_t peer)
{
	return td_health_view(dp->health, trunk->slot, &trunk->conf.peers[peer].address,
		&trunk->conf.health, td_clock_now(&dp->clock) / 1000000);
}

static uint32_t peers_down(const struct td_dataplane *dp, const struct td_trunk *trunk)
{
	uint32_t n = 0;

	if (td_health_marked(dp->health, trunk->slot) == 0)
		return 0;
	for (uint32_t i = 0; i < trunk->conf.n_peers; i++)
		n += peer_view(dp, trunk, i).state == TD_PEER_DOWN;
	return n;
}

// Down is what no call could leave through: the port of its realm has no carrier, all of its peers
// are down, or its hosts have no known address. A disabled trunk drains as long as it has calls.
static const char *trunk_state(const struct td_dataplane *dp, const struct td_trunk *trunk,
	uint64_t calls, uint32_t n_down)
{
	if (!trunk->conf.enabled)
		return calls > 0 ? "draining" : "disabled";
	if (!td_port_up(&dp->ports[dp->realms[trunk->realm].port]) ||
		(trunk->conf.n_peers + trunk->conf.n_hosts > 0 && n_down == trunk->conf.n_peers))
		return "down";
	return atomic_load_explicit(&dp->draining, memory_order_relaxed) ? "draining" : "up";
}

static const char *registration_state(uint8_t state)
{
	switch ((enum td_registration_state)state) {
	case TD_REGISTERED:
		return "registered";
	case TD_REGISTRATION_FAILED:
		return "failed";
	case TD_REGISTRATION_NONE:
		break;
	}
	return "none";
}

static void trunk_registration(const struct td_dataplane *dp, const struct td_trunk *trunk,
	Tandem__TrunkState *row)
{
	struct td_trunk_registration r = td_trunk_registration(dp->trunks, trunk->slot);

	if (trunk->conf.registration.expires_s == 0)
		return;
	row->registration = (char *)registration_state(r.state);
	row->registration_code = r.sip_code;
	row->registered_until_s = r.until_s;
}

static void trunk_send(
	const struct td_admin *admin, struct td_mgmt_conn *conn, const struct td_trunk *trunk)
{
	Tandem__Item item = TANDEM__ITEM__INIT;
	Tandem__TrunkState row = TANDEM__TRUNK_STATE__INIT;
	const struct td_limit_count *count =
		td_limit_count_of(admin->dp->limits, TD_LIMIT_TRUNK, trunk->slot);

	item.row_case = TANDEM__ITEM__ROW_TRUNK;
	item.trunk = &row;
	row.name = (char *)trunk->conf.name;
	row.realm = (char *)trunk->conf.realm;
	row.calls = count ? atomic_load_explicit(&count->c.calls, memory_order_relaxed) : 0;
	if (count) {
		row.seizures = atomic_load_explicit(&count->seized, memory_order_relaxed);
		row.answers = atomic_load_explicit(&count->answered, memory_order_relaxed);
	}
	row.peers = trunk->conf.n_peers;
	row.peers_down = peers_down(admin->dp, trunk);
	row.state = (char *)trunk_state(admin->dp, trunk, row.calls, row.peers_down);
	row.max_calls = trunk->conf.max_calls;
	row.cps = td_stats_cps(admin->stats, TD_LIMIT_TRUNK, trunk->slot);
	row.max_cps = trunk->conf.max_cps;
	trunk_registration(admin->dp, trunk, &row);
	td_mgmt_item_send(conn, conn->job.id, &item);
}

static void trunks_more(const struct td_admin *admin, struct td_mgmt_conn *conn)
{
	const struct td_policy *policy = admin->policy->current;
	uint32_t n = policy ? td_policy_n_trunks(policy) : 0;

	for (uint32_t i = 0; i < TRUNKS_PER_TURN && conn->job.cursor < n; i++, conn->job.count++)
		trunk_send(admin, conn, td_policy_trunk(policy, conn->job.cursor++));
	if (conn->job.cursor >= n)
		job_end(conn);
}

// --- peers

static void peer_send(const struct td_admin *admin, struct td_mgmt_conn *conn,
	const struct td_trunk *trunk, uint32_t peer)
{
	const struct td_dataplane *dp = admin->dp;
	const struct td_sockaddr *address = &trunk->conf.peers[peer].address;
	const struct td_host_conf *host = td_trunk_host(trunk, address);
	struct td_peer_view view = peer_view(dp, trunk, peer);
	Tandem__Item item = TANDEM__ITEM__INIT;
	Tandem__PeerState row = TANDEM__PEER_STATE__INIT;
	char text[TD_ADDR_STRLEN];

	td_sockaddr_format(address, text, sizeof(text));
	item.row_case = TANDEM__ITEM__ROW_PEER;
	item.peer = &row;
	row.trunk = (char *)trunk->conf.name;
	row.realm = (char *)trunk->conf.realm;
	row.address = text;
	if (host)
		row.host = (char *)host->name;
	row.state = (char *)td_peer_state_name(view.state);
	row.sip_code = view.sip_code;
	row.share = view.share_10000 / 10000.0;
	row.rtt_us = view.rtt_us;
	row.probed = trunk->conf.health.probe != TD_PROBE_NONE && trunk->conf.enabled;
	if (view.since_ms > 0)
		row.since_us = view.since_ms * 1000 +
			       atomic_load_explicit(&dp->wall_offset_ns, memory_order_relaxed) /
				       1000;
	td_mgmt_item_send(conn, conn->job.id, &item);
}

static void peers_more(const struct td_admin *admin, struct td_mgmt_conn *conn)
{
	const struct td_policy *policy = admin->policy->current;
	uint32_t n = policy ? td_policy_n_trunks(policy) : 0;

	for (uint32_t i = 0; i < PEERS_PER_TURN && conn->job.cursor < n; i++) {
		const struct td_trunk *trunk = td_policy_trunk(policy, conn->job.cursor++);
		for (uint32_t p = 0; p < trunk->conf.n_peers; p++, conn->job.count++)
			peer_send(admin, conn, trunk, p);
	}
	if (conn->job.cursor >= n)
		job_end(conn);
}

// --- calls

static void calls_ask(const struct td_admin *admin, struct td_mgmt_conn *conn)
{
	struct td_mgmt_job *job = &conn->job;

	if (job->asked)
		return;
	if (job->worker == admin->dp->n_workers) {
		job_end(conn);
		return;
	}
	struct td_command_ring *ring = admin->dp->workers[job->worker]->commands;
	struct td_command *c = td_command_next(ring);
	if (!c)
		return;
	c->kind = TD_COMMAND_LIST;
	c->tag = td_mgmt_tag(conn);
	c->cursor = job->cursor;
	td_command_ask(ring);
	job->asked = true;
}

static void leg_fill(Tandem__Leg *row, const struct td_call_leg_view *leg,
	char text[2][TD_ADDR_STRLEN], char side[2])
{
	const struct td_sockaddr *remote =
		leg->stats.remote.family ? &leg->stats.remote : &leg->remote;

	tandem__leg__init(row);
	side[0] = leg->side;
	side[1] = '\0';
	td_sockaddr_format(&leg->local, text[0], TD_ADDR_STRLEN);
	td_sockaddr_format(remote, text[1], TD_ADDR_STRLEN);
	row->side = side;
	row->local = text[0];
	row->remote = text[1];
	row->rx_packets = leg->stats.rx_packets;
	row->tx_packets = leg->stats.tx_packets;
	row->lost = leg->stats.lost;
	row->jitter_ms = leg->stats.jitter_ms;
}

static void call_send(struct td_mgmt_conn *conn, const struct td_call_view *view)
{
	Tandem__Item item = TANDEM__ITEM__INIT;
	Tandem__Call row = TANDEM__CALL__INIT;
	Tandem__Leg legs[2 * TD_STREAMS_MAX], *leg_rows[2 * TD_STREAMS_MAX];
	char text[2 * TD_STREAMS_MAX][2][TD_ADDR_STRLEN], sides[2 * TD_STREAMS_MAX][2];

	for (uint8_t i = 0; i < view->n_legs; i++) {
		leg_fill(&legs[i], &view->legs[i], text[i], sides[i]);
		leg_rows[i] = &legs[i];
	}
	item.row_case = TANDEM__ITEM__ROW_CALL;
	item.call = &row;
	row.id = (char *)view->id;
	row.state = (char *)view->state;
	row.trunk_in = (char *)view->trunk_in;
	row.trunk_out = (char *)view->trunk_out;
	row.from = (char *)view->from;
	row.to = (char *)view->to;
	row.codec = (char *)view->codec;
	row.start_us = view->start_us;
	row.answer_us = view->answer_us;
	row.n_legs = view->n_legs;
	row.legs = leg_rows;
	td_mgmt_item_send(conn, conn->job.id, &item);
}

void td_mgmt_show_calls(struct td_mgmt_conn *conn, const struct td_command *answer)
{
	struct td_mgmt_job *job = &conn->job;

	for (uint32_t i = 0; i < answer->n; i++) {
		if (job->key[0] != '\0' && strcmp(job->key, answer->views[i].id) != 0)
			continue;
		call_send(conn, &answer->views[i]);
		job->count++;
	}
	job->cursor = answer->end ? 0 : answer->cursor;
	job->worker += answer->end;
}

void td_mgmt_show_more(struct td_admin *admin, struct td_mgmt_conn *conn)
{
	if (conn->job.kind == TD_JOB_TRUNKS)
		trunks_more(admin, conn);
	else if (conn->job.kind == TD_JOB_LIMITS)
		td_mgmt_show_limits(admin, conn);
	else if (conn->job.kind == TD_JOB_PEERS)
		peers_more(admin, conn);
	else
		calls_ask(admin, conn);
}


static void job_begin(struct td_admin *admin, struct td_mgmt_conn *conn, uint64_t id,
	enum td_admin_job kind, const char *key)
{
	conn->job = (struct td_mgmt_job){ .kind = (uint8_t)kind, .id = id };
	snprintf(conn->job.key, sizeof(conn->job.key), "%s", key);
	td_mgmt_show_more(admin, conn);
}

void td_mgmt_show(
	struct td_admin *admin, struct td_mgmt_conn *conn, uint64_t id, const Tandem__Show *show)
{
	switch (show->table) {
	case TANDEM__TABLE__CORES:
		show_cores(admin, conn, id);
		break;
	case TANDEM__TABLE__PORTS:
		show_ports(admin, conn, id);
		break;
	case TANDEM__TABLE__COUNTERS:
		show_counters(admin, conn, id, show->per_core);
		break;
	case TANDEM__TABLE__VERSION:
		show_version(conn, id);
		break;
	case TANDEM__TABLE__STATS:
		td_mgmt_show_stats(admin, conn, id);
		break;
	case TANDEM__TABLE__TRUNKS:
		job_begin(admin, conn, id, TD_JOB_TRUNKS, "");
		break;
	case TANDEM__TABLE__LIMITS:
		job_begin(admin, conn, id, TD_JOB_LIMITS, "");
		break;
	case TANDEM__TABLE__PEERS:
		job_begin(admin, conn, id, TD_JOB_PEERS, "");
		break;
	case TANDEM__TABLE__RULES:
		td_rules_show(admin, conn, id);
		break;
	case TANDEM__TABLE__CALLS:
		job_begin(admin, conn, id, TD_JOB_CALLS, show->key);
		break;
	default:
		td_mgmt_send_error(conn, id, EINVAL, "no such table");
		break;
	}
}
