// SPDX-License-Identifier: BSD-3-Clause
#include "leg_host.h"

#include "dataplane/handoff.h"
#include "dataplane/realm_table.h"
#include "sip/policy.h"

#include <rte_eal.h>
#include <stdlib.h>

struct host host;

void host_eal(void)
{
	static char *argv[] = { "test", "--no-huge", "-m", "128", "--no-pci", "--no-telemetry",
		"--lcores", "0@0", "--log-level", "4", "--no-shconf" };
	static bool done;

	if (!done && rte_eal_init(sizeof(argv) / sizeof(argv[0]), argv) < 0)
		abort();
	done = true;
}

struct td_sockaddr host_addr(const char *ip, uint16_t port)
{
	struct td_sockaddr a = { .port = port };

	if (td_ip_parse(td_span_str(ip), &a) < 0)
		abort();
	return a;
}

static void realm_fill(struct td_realm *realm, const char *v4, const char *v6)
{
	realm->conf.n_addresses = 2;
	realm->conf.addresses[0] =
		(struct td_realm_address){ .ip = host_addr(v4, 0), .media = true };
	realm->conf.addresses[1] =
		(struct td_realm_address){ .ip = host_addr(v6, 0), .media = true };
	realm->conf.media_port_min = HOST_PORT_MIN;
	realm->conf.media_port_max = HOST_PORT_MIN + 2 * HOST_PAIRS - 1;
	realm->conf.dscp_rtp = 46;
}

void host_start(uint16_t id, uint16_t n_workers, uint32_t max_legs)
{
	static struct td_realm_table no_addresses;

	memset(&host, 0, sizeof(host));
	host.dp.n_workers = n_workers;
	host.dp.n_realms = 2;
	host.dp.conf.quarantine_ms = 1000;
	host.dp.adjacencies = host.adjacencies;
	host.dp.realm_table = &no_addresses;
	host.dp.steer.period = TD_STEER_SLOTS;
	for (uint32_t slot = 0; slot < TD_STEER_SLOTS; slot++)
		host.dp.steer.owner[slot] = (uint8_t)(slot % n_workers);
	realm_fill(&host.dp.realms[WEST], "10.0.1.254", "fd00:1::fe");
	realm_fill(&host.dp.realms[EAST], "10.0.2.254", "fd00:2::fe");
	for (uint16_t i = 0; i < 2; i++) {
		host.adjacency[i] = i;
		host.adjacencies[i] = (struct td_adjacency){
			.mac = TD_ADJACENCY_VALID | 0x0000aa00bb00cc02ull | (uint64_t)i << 40,
			.port = i,
			.realm = i,
			.mtu = 1500,
			.src.addr_bytes = { 2, 0, 0, 0, 0, (uint8_t)(0x10 + i) },
		};
	}
	host.worker.id = id;
	host.worker.dp = &host.dp;
	host.worker.now_ns = 1000000000000;
	host.dp.workers[id] = &host.worker;
	host.pool = rte_pktmbuf_pool_create(
		"frames", 255, 0, sizeof(struct td_packet), RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	if (!host.pool || td_leg_table_create(&host.worker, max_legs) < 0)
		abort();
}

void host_drain(void)
{
	rte_pktmbuf_free_bulk(host.sent, host.n_sent);
	rte_pktmbuf_free_bulk(host.slow, host.n_slow);
	rte_pktmbuf_free_bulk(host.handed, host.n_handed);
	host.n_sent = host.n_slow = host.n_handed = 0;
}

void host_stop(void)
{
	host_drain();
	if (rte_mempool_in_use_count(host.pool) != 0)
		abort();
	td_leg_table_destroy(&host.worker);
	rte_mempool_free(host.pool);
}

td_leg_id host_leg(uint16_t realm, uint8_t family, struct td_leg_local *local)
{
	struct td_leg_open open = { .realm = realm, .family = family, .call = 100u + realm };
	struct td_leg_local unused;
	td_leg_id id = 0;

	return td_leg_open(&host.worker, &open, &id, local ? local : &unused) == 0 ? id : 0;
}

// --- the stages and modules around ---

uint32_t td_adjacency_find(
	struct td_worker *worker, uint16_t realm, const struct td_sockaddr *destination)
{
	return host.adjacency[realm];
}

void td_port_tx(struct td_worker *w, uint16_t port, struct rte_mbuf *frame)
{
	host.sent_port[host.n_sent] = port;
	host.sent[host.n_sent++] = frame;
}

void td_port_tx_burst(struct td_worker *w, uint16_t port, struct rte_mbuf **frames, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		td_port_tx(w, port, frames[i]);
}

void td_ip_output(struct td_worker *w, uint32_t adjacency, struct rte_mbuf *packet)
{
	host.slow_adjacency[host.n_slow] = adjacency;
	host.slow[host.n_slow++] = packet;
}

void td_handoff_rtp(struct td_worker *w, uint16_t to, struct rte_mbuf *packet)
{
	host.handed_to[host.n_handed] = to;
	host.handed[host.n_handed++] = packet;
}

void td_engine_media_timeout(struct td_engine *engine, uint64_t now_ns, uint64_t call)
{
	host.timed_out[host.n_timed_out++] = call;
}

uint64_t td_policy_generation(const struct td_policy *policy)
{
	return host.policy_generation;
}

uint32_t td_policy_n_trunks(const struct td_policy *policy)
{
	return 3;
}

const struct td_trunk *td_policy_trunk(const struct td_policy *policy, uint32_t index)
{
	static struct td_trunk trunk;

	trunk.slot = index == host.trunk_index ? 7 : 100 + index;
	return &trunk;
}

int td_policy_by_slot(const struct td_policy *policy, uint32_t slot)
{
	return slot == 7 && host.trunk_index < td_policy_n_trunks(policy) ? (int)host.trunk_index
									  : -1;
}

bool td_policy_media_has(
	const struct td_policy *policy, uint32_t trunk, const struct td_sockaddr *address)
{
	return trunk == host.trunk_index && td_prefix_has(&host.media_source, address);
}
