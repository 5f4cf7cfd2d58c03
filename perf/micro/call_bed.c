// SPDX-License-Identifier: BSD-3-Clause
#include "call_bed.h"

#include "dataplane/eal.h"
#include "dataplane/neigh.h"
#include "dataplane/limit_table.h"
#include "dataplane/provision.h"
#include "sip/policy.h"
#include "sip/subscribers.h"
#include "sip/token.h"

#include <rte_eth_ring.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define HEADERS                                                                                    \
	(sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr))

#define MESSAGES 8                // of a call, about
#define FOLDER_BYTES (1ull << 30) // rings and segments of 100,000 calls

const char *const bed_peer_ip[BED_SIDES] = { "10.0.1.1", "10.0.2.1" };
static const char *const own_ip[BED_SIDES] = { "10.0.1.254", "10.0.2.254" };
static const struct rte_ether_addr peer_mac = { { 2, 0, 0, 0, 0, 1 } };

void bed_fail(const char *what)
{
	fprintf(stderr, "sip_call: %s\n", what);
	exit(1);
}

static struct td_sockaddr address(const char *ip, uint16_t port)
{
	struct td_sockaddr a = { .port = port };

	if (td_ip_parse(td_span_str(ip), &a) < 0)
		bed_fail("a bad address");
	return a;
}

// There is a table of subscribers where a realm has a registrar.
static void registrar_fill(struct td_config *conf)
{
	struct td_registrar_conf *r = &conf->realms[WEST].registrar;

	snprintf(r->domains[r->n_domains++], sizeof(r->domains[0]), "bench.example");
	conf->max_registrations = 1000;
}

static void conf_fill(struct td_config *conf, const char *folder, uint32_t max_calls)
{
	*conf = (struct td_config){ .n_workers = 1,
		.poll = TD_POLL_BUSY,
		.max_calls = max_calls,
		.max_cps = 5000,
		.sip_message_bytes = 16384,
		.quarantine_ms = 1,
		.t1_ms = 500,
		.t2_ms = 4000,
		.t4_ms = 5000 };
	snprintf(conf->node, sizeof(conf->node), "bench");
	snprintf(conf->run_dir, sizeof(conf->run_dir), "%s", folder);
	snprintf(conf->state_dir, sizeof(conf->state_dir), "%s", folder);
	for (int i = 0; i < BED_SIDES; i++) {
		struct td_port_conf *port = &conf->ports[conf->n_ports++];
		struct td_realm_conf *realm = &conf->realms[conf->n_realms++];
		snprintf(port->name, sizeof(port->name), "port%d", i);
		snprintf(port->device, sizeof(port->device), "net_ring_call%d", i);
		snprintf(realm->name, sizeof(realm->name), "realm%d", i);
		snprintf(realm->port, sizeof(realm->port), "port%d", i);
		// Further addresses hold the media of 100,000 calls.
		for (uint8_t a = 0; a < 6; a++) {
			struct td_realm_address *own = &realm->addresses[realm->n_addresses++];
			own->ip = address(own_ip[i], 0);
			own->ip.ip[3] = (uint8_t)(254 - a);
			own->prefix_len = 24;
			own->media = true;
		}
		realm->sip[realm->n_listeners++] = (struct td_listener_conf){ TD_UDP, 5060 };
		realm->media_port_min = 16384;
		realm->media_port_max = 65535;
	}
}

// --- policy --------------------------------------------------------------------------------------

static uint32_t slot_of(void *ctx, enum td_limit_kind kind, const char *name)
{
	return td_limit_slot(((struct td_dataplane *)ctx)->limits, kind, name);
}

static int realm_of(void *ctx, const char *name)
{
	return name[strlen(name) - 1] - '0';
}

static void trunk_fill(struct td_trunk_conf *t, uint32_t index, int side)
{
	snprintf(t->name, sizeof(t->name), "trunk%u", index);
	snprintf(t->realm, sizeof(t->realm), "realm%d", side);
	t->enabled = true;
	t->attempt_timeout_ms = 5000;
	t->ring_timeout_ms = 180000;
	t->peers[t->n_peers++].address = address(bed_peer_ip[side], 5060);
}

// For calls of the west: to the registrar where there is one, then to that trunk.
static void route_fill(const struct bed *bed, struct td_route_conf *r, uint32_t trunk)
{
	struct td_route_target_conf *to = &r->to[r->n_to++];

	snprintf(r->from[r->n_from++], TD_NAME_LEN, "trunk0");
	snprintf(to->trunk, sizeof(to->trunk), "trunk%u", trunk);
	to->priority = 1;
	to->weight = 100;
	if (bed->registrar)
		r->to[r->n_to++] =
			(struct td_route_target_conf){ .registrar = true, .weight = 100 };
}

static struct td_policy *policy_compile(struct bed *bed, const struct td_policy_conf *conf)
{
	struct td_policy_env env = { slot_of, realm_of, bed->s.dp };
	char error[256] = "";
	struct td_policy *policy = td_policy_new(conf, &env, error, sizeof(error));

	if (!policy)
		bed_fail(error);
	return policy;
}

static void policy_make(struct bed *bed)
{
	static struct td_trunk_conf trunks[BED_SIDES];
	static struct td_route_conf route;
	struct td_policy_conf conf = { .generation = 1,
		.n_trunks = BED_SIDES,
		.n_routes = 1,
		.trunks = trunks,
		.routes = &route,
		.max_calls = bed->s.dp->conf.max_calls };

	for (int i = 0; i < BED_SIDES; i++)
		trunk_fill(&trunks[i], (uint32_t)i, i);
	// What led to a trunk is noted for each call: so it is with few trunks, too.
	if (bed->registrar)
		snprintf(route.prefix, sizeof(route.prefix), "49");
	route_fill(bed, &route, 1);
	bed->policy = policy_compile(bed, &conf);
	bed_policy(bed, bed->policy);
}

void bed_policy(struct bed *bed, const struct td_policy *policy)
{
	if (bed->many)
		bed->s.dp->subscribers = policy == bed->large ? bed->many : bed->few;
	atomic_store(&bed->s.dp->policy, (struct td_policy *)(uintptr_t)policy);
}

static void subscribers_fill(struct td_subscribers *table, uint32_t n)
{
	struct td_subscriber s = { .enabled = true, .has_sha256 = true, .n_numbers = 1 };

	snprintf(s.plan, sizeof(s.plan), TD_PLAN_DEFAULT);
	td_subscribers_mark(table);
	for (uint32_t i = 0; i < n; i++) {
		snprintf(s.aor, sizeof(s.aor), "%07u@bench.example", i);
		snprintf(s.numbers[0], sizeof(s.numbers[0]), "4930%07u", i);
		if (td_subscribers_put(table, &s) < 0)
			bed_fail("no memory for the subscribers");
	}
	while (td_subscribers_sweep(table, UINT32_MAX))
		;
}

// --- many ----------------------------------------------------------------------------------------

// Behind the caller's trunk: each with a source of its own, the same far end behind all.
static struct td_policy *large_compile(struct bed *bed, uint32_t n)
{
	struct td_policy_conf conf = { .generation = 2,
		.n_trunks = n,
		.n_routes = n - 1,
		.trunks = calloc(n, sizeof(*conf.trunks)),
		.routes = calloc(n, sizeof(*conf.routes)),
		.max_calls = bed->s.dp->conf.max_calls };

	if (!conf.trunks || !conf.routes)
		bed_fail("no memory for the trunks");
	trunk_fill(&conf.trunks[0], 0, WEST);
	for (uint32_t i = 1; i < n; i++) {
		struct td_trunk_conf *t = &conf.trunks[i];
		struct td_route_conf *r = &conf.routes[i - 1];
		trunk_fill(t, i, EAST);
		t->sources[t->n_sources++] = (struct td_prefix){
			.ip = { 10, 9, (uint8_t)(i >> 8), (uint8_t)i }, .family = TD_IPV4, .len = 32
		};
		// Calls in turn go out over trunks that are far apart in memory.
		snprintf(r->prefix, sizeof(r->prefix), "49%04u", (i * 4999u) % BED_SPREAD);
		route_fill(bed, r, i);
	}
	struct td_policy *policy = policy_compile(bed, &conf);
	free(conf.trunks);
	free(conf.routes);
	return policy;
}

void bed_grow(struct bed *bed, uint32_t n_subscribers)
{
	bed->large = large_compile(bed, BED_SPREAD + 1);
	if (td_subscribers_make(bed->s.dp) < 0)
		bed_fail("no memory for the subscribers");
	bed->many = bed->s.dp->subscribers;
	subscribers_fill(bed->many, n_subscribers);
}

// --- start and stop ------------------------------------------------------------------------------

static void rings_make(struct bed *bed)
{
	char name[16];

	for (int i = 0; i < BED_SIDES; i++) {
		snprintf(name, sizeof(name), "in%d", i);
		bed->in[i] = rte_ring_create(
			name, BED_RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		snprintf(name, sizeof(name), "out%d", i);
		bed->out[i] = rte_ring_create(
			name, BED_RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		snprintf(name, sizeof(name), "call%d", i);
		if (!bed->in[i] || !bed->out[i] ||
			rte_eth_from_rings(name, &bed->in[i], 1, &bed->out[i], 1, SOCKET_ID_ANY) <
				0)
			bed_fail("no memory for the ports");
	}
}

static const char *folder; // of the bed

// After a failure, too: what stays on tmpfs stays in memory.
static void folder_remove(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", folder);
	if (system(command) != 0)
		fputs("sip_call: the temporary folder stays\n", stderr);
}

// The journal's rings stand on tmpfs, as the daemon's do: on a disk's file system each page's first
// write after every write-back is a fault, which the worker's turn would pay for.
static void folder_make(struct bed *bed)
{
	struct statvfs shm;
	bool roomy = statvfs("/dev/shm", &shm) == 0 && shm.f_bavail * shm.f_frsize >= FOLDER_BYTES;

	snprintf(bed->folder, sizeof(bed->folder), "%s/sip_call-XXXXXX",
		roomy ? "/dev/shm" : "/tmp");
	if (!mkdtemp(bed->folder))
		bed_fail("no temporary folder");
	folder = bed->folder;
	atexit(folder_remove);
}

void bed_start(struct bed *bed, uint32_t max_calls, uint32_t n_calls)
{
	static struct td_config conf;
	static struct td_eal_args args;
	struct td_pool_plan plan;
	char fault[TD_FAULT_LEN] = "";

	folder_make(bed);
	conf_fill(&conf, bed->folder, max_calls);
	if (bed->registrar)
		registrar_fill(&conf);
	td_pools_plan(&conf, &plan);
	if (td_eal_args(&conf, td_pools_eal_mb(&plan, false), false, &args) < 0 ||
		td_eal_start(&args) < 0)
		bed_fail("EAL does not start");
	rings_make(bed);
	if (td_switch_create(&bed->s, &conf, fault) < 0)
		bed_fail(fault);
	bed->w = bed->s.dp->workers[0];
	for (uint16_t i = 0; i < BED_SIDES; i++) {
		struct td_sockaddr peer = address(bed_peer_ip[i], 0);
		td_neigh_learn(bed->s.dp, i, &peer, &peer_mac, true);
	}
	bed->few = bed->s.dp->subscribers;
	if (bed->few)
		subscribers_fill(bed->few, 1);
	policy_make(bed);
	rte_rcu_qsbr_thread_register(bed->s.dp->qsbr, 0);
	rte_rcu_qsbr_thread_online(bed->s.dp->qsbr, 0);
	bed->n_calls = n_calls;
	bed->calls = calloc(n_calls, sizeof(*bed->calls));
	bed->seen_mask = rte_align32pow2(n_calls * 2 * MESSAGES) - 1;
	bed->seen = calloc(bed->seen_mask + 1u, sizeof(*bed->seen));
	if (!bed->calls || !bed->seen)
		bed_fail("no memory for the far ends");
}

void bed_stop(struct bed *bed)
{
	if (bed->many) {
		bed->s.dp->subscribers = bed->many;
		td_subscribers_unmake(bed->s.dp);
		bed->s.dp->subscribers = bed->few;
	}
	td_switch_destroy(&bed->s);
	td_policy_free(bed->policy);
	td_policy_free(bed->large);
	for (uint32_t i = 0; i < bed->n_calls; i++)
		free(bed->calls[i].invite);
	free(bed->calls);
	free(bed->seen);
}

// --- bytes ---------------------------------------------------------------------------------------

void bed_send(struct bed *bed, int side, const char *format, ...)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(bed->w->mbufs);
	va_list ap;

	if (!m)
		bed_fail("no buffer");
	char *frame = rte_pktmbuf_mtod(m, char *);
	va_start(ap, format);
	int n = vsnprintf(frame + HEADERS, BED_MESSAGE - HEADERS, format, ap);
	va_end(ap);
	if (n < 0 || n >= (int)(BED_MESSAGE - HEADERS))
		bed_fail("a message too long");
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)frame;
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);
	struct td_sockaddr src = address(bed_peer_ip[side], 0), dst = address(own_ip[side], 0);
	*eth = (struct rte_ether_hdr){ bed->s.dp->ports[side].mac, peer_mac,
		rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) };
	*ip = (struct rte_ipv4_hdr){ .version_ihl = 0x45,
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.total_length =
			rte_cpu_to_be_16((uint16_t)(sizeof(*ip) + sizeof(*udp) + (size_t)n)) };
	memcpy(&ip->src_addr, src.ip, 4);
	memcpy(&ip->dst_addr, dst.ip, 4);
	*udp = (struct rte_udp_hdr){ rte_cpu_to_be_16(5060), rte_cpu_to_be_16(5060),
		rte_cpu_to_be_16((uint16_t)(sizeof(*udp) + (size_t)n)), 0 };
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	udp->dgram_cksum = rte_ipv4_udptcp_cksum(ip, udp);
	m->data_len = (uint16_t)(HEADERS + (size_t)n);
	m->pkt_len = m->data_len;
	if (rte_ring_sp_enqueue(bed->in[side], m) != 0)
		bed_fail("a port's ring is full");
}

uint64_t bed_turns(struct bed *bed)
{
	uint64_t begin = rte_rdtsc_precise();

	while (td_worker_turn(bed->w) > 0)
		;
	return rte_rdtsc_precise() - begin;
}

// A copy is the same to the byte, and stands at its side for ever.
static bool seen_before(struct bed *bed, int side, size_t len)
{
	const uint64_t key[2] = { 0, (uint64_t)side };
	uint64_t hash = td_siphash(key, bed->message, len) | 1;
	uint32_t at = (uint32_t)(hash >> 32) & bed->seen_mask;

	while (bed->seen[at] != 0 && bed->seen[at] != hash)
		at = (at + 1) & bed->seen_mask;
	bool before = bed->seen[at] == hash;
	bed->seen[at] = hash;
	bed->copies += before;
	return before;
}

const char *bed_take(struct bed *bed, int side)
{
	struct rte_mbuf *m;

	for (int tries = 0; tries < BED_RING; tries++) {
		if (rte_ring_sc_dequeue(bed->out[side], (void **)&m) != 0)
			break;
		size_t n = m->data_len > HEADERS ? m->data_len - HEADERS : 0;
		n = n < BED_MESSAGE ? n : BED_MESSAGE - 1;
		memcpy(bed->message, rte_pktmbuf_mtod(m, char *) + HEADERS, n);
		bed->message[n] = '\0';
		rte_pktmbuf_free(m);
		// 100 Trying comes where the machine was slow; it is no answer that is waited for.
		if (n > 0 && strncmp(bed->message, "SIP/2.0 100", 11) != 0 &&
			!seen_before(bed, side, n))
			return bed->message;
	}
	bed_fail("a message did not leave");
}

void bed_rest(struct bed *bed)
{
	if (td_journal_round(&bed->s.journal) < 0)
		bed_fail("the journal does not take its records");
}

void bed_keep(char **copy, const char *message)
{
	free(*copy);
	*copy = strdup(message);
	if (!*copy)
		bed_fail("no memory for a message");
}

void bed_header(const char *message, const char *name, char *dst, size_t cap)
{
	char start[64];

	snprintf(start, sizeof(start), "\r\n%s: ", name);
	const char *at = strcasestr(message, start);
	dst[0] = '\0';
	if (!at)
		return;
	at += strlen(start);
	snprintf(dst, cap, "%.*s", (int)strcspn(at, "\r"), at);
}

void bed_uri(const char *message, const char *name, char *dst, size_t cap)
{
	char value[256];

	bed_header(message, name, value, sizeof(value));
	const char *open = strchr(value, '<');
	snprintf(dst, cap, "%.*s", open ? (int)strcspn(open + 1, ">") : 0, open ? open + 1 : "");
}
