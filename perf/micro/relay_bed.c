// SPDX-License-Identifier: BSD-3-Clause
#include "relay_bed.h"

#include "dataplane/eal.h"
#include "dataplane/neigh.h"

#include <rte_eth_ring.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HUGEPAGES "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
#define ADDRESSES TD_REALM_ADDRS_MAX

void bed_fail(const char *what)
{
	fprintf(stderr, "rtp_relay: %s\n", what);
	exit(1);
}

// --- memory --------------------------------------------------------------------------------------

static uint32_t hugepages_read(void)
{
	FILE *f = fopen(HUGEPAGES, "re");
	unsigned int n = 0;

	if (f && fscanf(f, "%u", &n) != 1)
		n = 0;
	if (f)
		fclose(f);
	return n;
}

static void hugepages_write(uint32_t n)
{
	FILE *f = fopen(HUGEPAGES, "we");

	if (!f)
		return;
	fprintf(f, "%u", n);
	fclose(f);
}

// A server has them reserved; here they are for the run, where this user may and nobody says
// NO_HUGE.
static bool hugepages_take(struct bed *bed, uint32_t mb)
{
	bed->huge_before = UINT32_MAX;
	if (getenv("NO_HUGE"))
		return false;
	if (td_eal_huge_free_mb() >= mb)
		return true;
	uint32_t before = hugepages_read();
	hugepages_write(before + (mb - (uint32_t)td_eal_huge_free_mb()) / 2 + 1);
	bed->huge_before = before;
	if (td_eal_huge_free_mb() >= mb)
		return true;
	hugepages_write(before);
	bed->huge_before = UINT32_MAX;
	return false;
}

// --- configuration -------------------------------------------------------------------------------

static struct td_sockaddr ip4(uint32_t ip)
{
	return (struct td_sockaddr){
		.ip = { (uint8_t)(ip >> 24), (uint8_t)(ip >> 16), (uint8_t)(ip >> 8), (uint8_t)ip },
		.family = TD_IPV4,
	};
}

static uint32_t realm_net(uint16_t realm)
{
	return 10u << 24 | (uint32_t)(realm + 1) << 16;
}

struct rte_ether_addr bed_gateway_mac(uint16_t realm)
{
	return (struct rte_ether_addr){ { 2, 0, 0, 0, 1, (uint8_t)realm } };
}

static void realm_conf(struct td_realm_conf *realm, uint16_t index)
{
	snprintf(realm->name, sizeof(realm->name), "realm%u", index);
	snprintf(realm->port, sizeof(realm->port), "port%u", index % BED_SIDES);
	for (uint32_t a = 0; a < ADDRESSES; a++)
		realm->addresses[realm->n_addresses++] = (struct td_realm_address){
			.ip = ip4(realm_net(index) + 10 + a),
			.prefix_len = 16,
			.media = true,
		};
	realm->gateways[realm->n_gateways++] = ip4(realm_net(index) + 1);
	realm->media_port_min = 1024;
	realm->media_port_max = 65535;
	realm->media_source = TD_SOURCE_STRICT;
	realm->dscp_rtp = 46;
}

// However the run ends, the machine is as it was.
static struct bed *running;

static void machine_restore(void)
{
	char command[64];

	if (running->huge_before != UINT32_MAX)
		hugepages_write(running->huge_before);
	snprintf(command, sizeof(command), "rm -rf %s", running->folder);
	if (system(command) != 0)
		fprintf(stderr, "rtp_relay: %s stays\n", running->folder);
}

static void switch_conf(const struct bed *bed, struct td_config *conf)
{
	snprintf(conf->node, sizeof(conf->node), "bench");
	snprintf(conf->run_dir, sizeof(conf->run_dir), "%s", bed->folder);
	snprintf(conf->state_dir, sizeof(conf->state_dir), "%s", bed->folder);
	conf->n_workers = 1;
	conf->poll = TD_POLL_BUSY;
	conf->max_calls = 16;
	conf->max_cps = 16;
	conf->sip_message_bytes = 16384;
	conf->quarantine_ms = 1000;
	conf->t1_ms = 500;
	conf->t2_ms = 4000;
	conf->t4_ms = 5000;
	for (uint8_t i = 0; i < BED_SIDES; i++, conf->n_ports++) {
		snprintf(conf->ports[i].name, sizeof(conf->ports[i].name), "port%u", i);
		snprintf(conf->ports[i].device, sizeof(conf->ports[i].device), "net_ring_bench%u",
			i);
	}
	for (uint16_t i = 0; i < BED_REALMS; i++)
		realm_conf(&conf->realms[conf->n_realms++], i);
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
		snprintf(name, sizeof(name), "bench%d", i);
		if (!bed->in[i] || !bed->out[i] ||
			rte_eth_from_rings(name, &bed->in[i], 1, &bed->out[i], 1, SOCKET_ID_ANY) <
				0)
			bed_fail("no memory for the ports");
	}
}

static void eal_start(struct bed *bed, const struct td_config *conf, uint32_t max_legs)
{
	static struct td_eal_args args;
	struct td_pool_plan plan;

	td_pools_plan(conf, &plan);
	uint32_t mb = td_pools_eal_mb(&plan, false) +
		      (uint32_t)(td_leg_table_bytes(conf, 1, max_legs) >> 20) + 64;
	bed->huge = hugepages_take(bed, mb);
	if (td_eal_args(conf, mb, bed->huge, &args) < 0 || td_eal_start(&args) < 0)
		bed_fail("EAL does not start");
}

void bed_start(struct bed *bed, uint32_t max_legs)
{
	static struct td_config conf;
	char fault[TD_FAULT_LEN];

	memset(bed, 0, sizeof(*bed));
	snprintf(bed->folder, sizeof(bed->folder), "/tmp/rtp_relay-XXXXXX");
	if (!mkdtemp(bed->folder))
		bed_fail("no temporary folder");
	bed->huge_before = UINT32_MAX;
	running = bed;
	atexit(machine_restore);
	switch_conf(bed, &conf);
	eal_start(bed, &conf, max_legs);
	rings_make(bed);
	if (td_switch_create(&bed->s, &conf, fault) < 0)
		bed_fail(fault);
	bed->w = bed->s.dp->workers[0];
	td_leg_table_destroy(bed->w);
	for (uint16_t r = 0; r < BED_REALMS; r++) {
		struct rte_ether_addr mac = bed_gateway_mac(r);
		td_neigh_learn(bed->s.dp, r, &conf.realms[r].gateways[0], &mac, true);
	}
	bed->legs = calloc(max_legs, sizeof(*bed->legs));
	if (!bed->legs)
		bed_fail("no memory for the legs' far ends");
}

void bed_stop(struct bed *bed)
{
	td_switch_destroy(&bed->s);
	free(bed->legs);
}

// --- legs ----------------------------------------------------------------------------------------

static uint32_t word_of(const struct td_sockaddr *a)
{
	return (uint32_t)a->ip[0] << 24 | (uint32_t)a->ip[1] << 16 | (uint32_t)a->ip[2] << 8 |
	       a->ip[3];
}

static void leg_open(struct bed *bed, uint32_t index)
{
	struct bed_leg *leg = &bed->legs[index];
	// The sides alternate, and so do the realms of each side.
	struct td_leg_open open = {
		.realm = (uint16_t)(index % BED_REALMS), .family = TD_IPV4, .call = index
	};
	struct td_leg_local local;

	if (td_leg_open(bed->w, &open, &leg->id, &local) < 0)
		bed_fail("no port for a leg");
	*leg = (struct bed_leg){
		.id = leg->id,
		.realm = open.realm,
		.local_ip = word_of(&local.rtp),
		.local_port = local.rtp.port,
		.remote_ip = (100u << 24 | 64u << 16) + index, // of its own, behind the gateway
		.remote_port = (uint16_t)(20000 + index % 20000),
		.seq = (uint16_t)(index * 7919u),
		.peer = index ^ 1,
	};
}

static void leg_answer(struct bed *bed, uint32_t index)
{
	const struct bed_leg *leg = &bed->legs[index];
	struct td_leg_modify modify = {
		.rtp = ip4(leg->remote_ip),
		.peer = bed->legs[leg->peer].id,
		.direction = TD_LEG_SENDRECV,
		.reopen = true,
		.timeout_s = 600,
	};

	modify.rtp.port = leg->remote_port;
	td_leg_modify(bed->w, leg->id, &modify);
}

void bed_legs(struct bed *bed, uint32_t n_legs)
{
	td_leg_table_destroy(bed->w);
	if (td_leg_table_create(bed->w, n_legs) < 0)
		bed_fail("no memory for the legs");
	bed->n_legs = n_legs;
	for (uint32_t i = 0; i < n_legs; i++)
		leg_open(bed, i);
	for (uint32_t i = 0; i < n_legs; i++)
		leg_answer(bed, i);
}
