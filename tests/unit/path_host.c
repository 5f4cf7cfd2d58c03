// SPDX-License-Identifier: BSD-3-Clause
#include "path_host.h"

#include "dataplane/leg.h"
#include "dataplane/neigh.h"
#include "dataplane/realm_table.h"

#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ip.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <stdlib.h>

struct path path;

// --- the stages above the path ---

static void capture(struct td_worker *w, struct rte_mbuf *m, struct captured *list, uint32_t *n)
{
	struct captured *c = &list[*n];

	if (*n == PATH_CAPTURE)
		abort();
	c->worker = w->id;
	c->packet = *td_packet(m);
	c->len = m->pkt_len;
	memcpy(c->bytes, rte_pktmbuf_mtod(m, const void *), RTE_MIN(m->data_len, sizeof(c->bytes)));
	(*n)++;
	td_worker_count(w, TD_C_SIP_CONSUMED, 1);
	rte_pktmbuf_free(m);
}

void td_rtp_input(struct td_worker *w, struct rte_mbuf **packets, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		capture(w, packets[i], path.rtp, &path.n_rtp);
}

void td_sip_input(struct td_worker *w, struct rte_mbuf **packets, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		capture(w, packets[i], path.sip, &path.n_sip);
}

uint32_t td_sip_run(struct td_worker *w, uint32_t max)
{
	w->sip_due_ns = UINT64_MAX;
	return 0;
}

uint32_t td_control_input(struct td_worker *w)
{
	return 0;
}

void td_media_timeout_run(struct td_worker *w)
{
}

// --- the path ---

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "path: %s\n", what);
	abort();
}

void path_eal(void)
{
	static char *argv[] = { "test", "--no-huge", "-m", "96", "--no-pci", "--no-telemetry",
		"--no-shconf", "--lcores", "0@0", "--log-level", "4", NULL };
	static bool done;

	if (!done)
		must(rte_eal_init(RTE_DIM(argv) - 1, argv) >= 0, "EAL does not start");
	done = true;
	if (path.frames)
		return;
	path.frames = rte_pktmbuf_pool_create("frames", 2047, 0, TD_MBUF_PRIV, 2176, SOCKET_ID_ANY);
	path.big = rte_pktmbuf_pool_create("big", 127, 0, TD_MBUF_PRIV, 16384 + 256, SOCKET_ID_ANY);
	path.small = rte_pktmbuf_pool_create(
		"small", 63, 0, TD_MBUF_PRIV, 256 + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
	must(path.frames && path.big && path.small, "no memory for buffers");
	for (int i = 0; i < 2; i++) {
		path.rx[i] = rte_ring_create(
			i ? "rx-b" : "rx-a", 1024, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		path.tx[i] = rte_ring_create(
			i ? "tx-b" : "tx-a", 1024, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		must(path.rx[i] && path.tx[i], "no memory for rings");
		must(rte_eth_from_rings(i ? "b" : "a", &path.rx[i], 1, &path.tx[i], 1, 0) >= 0,
			"no ring port");
	}
}

struct td_sockaddr path_addr(const char *ip, uint16_t port)
{
	struct td_sockaddr a = { .port = port };

	must(td_ip_parse(td_span_str(ip), &a) == 0, "no address");
	return a;
}

static void realm_fill(struct td_realm_conf *r, const char *name, const char *port, uint16_t vlan,
	const char *v4, const char *v6)
{
	snprintf(r->name, sizeof(r->name), "%s", name);
	snprintf(r->port, sizeof(r->port), "%s", port);
	r->vlan = vlan;
	r->n_addresses = 2;
	r->addresses[0] = (struct td_realm_address){
		.ip = path_addr(v4, 0), .prefix_len = 24, .media = true
	};
	r->addresses[1] = (struct td_realm_address){
		.ip = path_addr(v6, 0), .prefix_len = 64, .media = true
	};
	r->n_listeners = 1;
	r->sip[0] = (struct td_listener_conf){ TD_UDP, 5060 };
	r->media_port_min = 16384;
	r->media_port_max = 32767;
}

static void conf_fill(struct td_config *conf, uint8_t rx_checksum)
{
	conf->n_ports = 2;
	conf->ports[0] = (struct td_port_conf){
		.name = "a", .device = "net_ring_a", .rx_checksum = rx_checksum
	};
	conf->ports[1] = (struct td_port_conf){
		.name = "b", .device = "net_ring_b", .rx_checksum = rx_checksum
	};
	conf->n_realms = 3;
	realm_fill(&conf->realms[WEST], "west", "a", 0, "10.0.1.254", "fd00:1::fe");
	conf->realms[WEST].n_gateways = 2;
	conf->realms[WEST].gateways[0] = path_addr("10.0.1.1", 0);
	conf->realms[WEST].gateways[1] = path_addr("fd00:1::1", 0);
	realm_fill(&conf->realms[BLUE], "blue", "a", 100, "10.0.1.254", "fd00:1::fe");
	realm_fill(&conf->realms[EAST], "east", "b", 0, "10.0.2.254", "fd00:2::fe");
}

static struct td_worker *worker_new(uint16_t id)
{
	struct td_worker *w = rte_zmalloc("worker", sizeof(*w), 64);

	must(w, "no memory for a worker");
	w->id = id;
	w->dp = path.dp;
	w->mbufs = path.frames;
	w->big_mbufs = path.big;
	return w;
}

void path_start(uint16_t n_workers, uint8_t rx_checksum)
{
	struct td_path_conf conf = { .neighbours = 64, .socket = SOCKET_ID_ANY };
	char fault[TD_PORT_FAULT_LEN] = "";

	path_eal();
	path.dp = rte_zmalloc("dataplane", sizeof(*path.dp), 64);
	must(path.dp, "no memory for the data plane");
	td_clock_init(&path.dp->clock, rte_get_tsc_hz(), rte_rdtsc());
	conf_fill(&path.dp->conf, rx_checksum);
	path.dp->main = worker_new(TD_MAIN_ID);
	path.dp->n_workers = n_workers;
	for (uint16_t i = 0; i < n_workers; i++)
		path.dp->workers[i] = worker_new(i);
	path.in_use = rte_mempool_in_use_count(path.frames) + rte_mempool_in_use_count(path.big);
	if (td_path_start(path.dp, &conf, fault) != 0)
		must(false, fault);
	for (uint16_t i = 0; i < n_workers; i++)
		must(td_leg_table_create(path.dp->workers[i], 2) == 0, "no memory for legs");
	path.now_ns = td_clock_now(&path.dp->clock);
}

static void ring_empty(struct rte_ring *r)
{
	struct rte_mbuf *m;

	while (rte_ring_sc_dequeue(r, (void **)&m) == 0)
		rte_pktmbuf_free(m);
}

void path_stop(void)
{
	uint16_t n = path.dp->n_workers;

	for (int i = 0; i < 2; i++) {
		ring_empty(path.rx[i]);
		ring_empty(path.tx[i]);
	}
	td_path_stop(path.dp);
	must(rte_mempool_in_use_count(path.frames) + rte_mempool_in_use_count(path.big) ==
			path.in_use,
		"a buffer did not come back");
	for (uint16_t i = 0; i < n; i++) {
		td_leg_table_destroy(path.dp->workers[i]);
		rte_free(path.dp->workers[i]);
	}
	rte_free(path.dp->main);
	rte_free(path.dp);
	path.dp = NULL;
	path.n_rtp = path.n_sip = 0;
}

int path_up(void **state)
{
	path_start(1, TD_CHECKSUM_AUTO);
	return 0;
}

int path_down(void **state)
{
	path_stop();
	return 0;
}

void path_put_mbuf(int port, struct rte_mbuf *m)
{
	must(rte_ring_sp_enqueue(path.rx[port], m) == 0, "the ring of a port is full");
}

void path_put(int port, const void *frame, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(len <= 2048 ? path.frames : path.big);
	char *data = m ? rte_pktmbuf_append(m, (uint16_t)len) : NULL;

	must(data, "no buffer");
	memcpy(data, frame, len);
	path_put_mbuf(port, m);
}

static void balance_check(void)
{
	for (uint16_t i = 0; i < path.dp->n_workers; i++) {
		const struct td_worker *w = path.dp->workers[i];
		must(td_counters_balance(w->counters) == (int64_t)td_worker_held(w),
			"a worker's counters do not balance");
	}
	must(td_counters_balance(path.dp->main->counters) == (int64_t)td_neigh_held(path.dp),
		"main's do not");
}

void path_run(uint64_t ms)
{
	uint32_t work, idle = 0;

	path.now_ns += ms * 1000000;
	// What main sends reaches a queue's owner only in the round after.
	while (idle < 3) {
		work = 0;
		for (uint16_t i = 0; i < path.dp->n_workers; i++)
			work += td_worker_turn(path.dp->workers[i]);
		td_neigh_turn(path.dp, path.now_ns, &work);
		balance_check();
		idle = work > 0 ? 0 : idle + 1;
	}
}

size_t path_take(int port, uint8_t *dst, size_t cap)
{
	struct rte_mbuf *m;
	size_t len;

	if (rte_ring_sc_dequeue(path.tx[port], (void **)&m) != 0)
		return 0;
	len = m->pkt_len;
	must(len <= cap && m->nb_segs == 1, "a frame is too long");
	memcpy(dst, rte_pktmbuf_mtod(m, const void *), len);
	rte_pktmbuf_free(m);
	return len;
}

uint64_t path_count(enum td_counter counter)
{
	uint64_t sum = path.dp->main->counters[counter];

	for (uint16_t i = 0; i < path.dp->n_workers; i++)
		sum += path.dp->workers[i]->counters[counter];
	return sum;
}

// --- frames ---

void frame_add(struct frame_buf *f, const void *data, size_t len)
{
	must(f->len + len <= sizeof(f->bytes), "frame too long");
	if (len > 0)
		memcpy(f->bytes + f->len, data, len);
	f->len += len;
}

static void add16(struct frame_buf *f, uint16_t v)
{
	uint16_t be = rte_cpu_to_be_16(v);

	frame_add(f, &be, 2);
}

void frame_eth(struct frame_buf *f, int port, uint16_t vlan, uint16_t type)
{
	static const struct rte_ether_addr peer = PEER_MAC;

	f->len = 0;
	frame_add(f, &path.dp->ports[port].mac, 6);
	frame_add(f, &peer, 6);
	if (vlan != 0) {
		add16(f, RTE_ETHER_TYPE_VLAN);
		add16(f, vlan);
	}
	add16(f, type);
}

// The plainest sum there is, so that the tests do not check the code against itself.
static uint32_t sum_slow(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint16_t fold_slow(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

void frame_ip_checksum(struct frame_buf *f, size_t l3)
{
	uint8_t *ip = f->bytes + l3;

	ip[10] = ip[11] = 0;
	uint16_t sum = (uint16_t)~fold_slow(sum_slow(ip, (ip[0] & 15) * 4u, 0));
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
}

void frame_ip(struct frame_buf *f, const char *src, const char *dst, uint8_t protocol, uint16_t len)
{
	struct td_sockaddr s = path_addr(src, 0), d = path_addr(dst, 0);
	uint8_t v4[20] = { 0x45, 0, (uint8_t)((len + 20) >> 8), (uint8_t)(len + 20), 0, 1, 0, 0, 61,
		protocol };
	uint8_t v6[40] = { 0x60, 0, 0, 0, (uint8_t)(len >> 8), (uint8_t)len, protocol, 61 };
	size_t l3 = f->len;

	if (s.family == TD_IPV4) {
		memcpy(v4 + 12, s.ip, 4);
		memcpy(v4 + 16, d.ip, 4);
		frame_add(f, v4, sizeof(v4));
		frame_ip_checksum(f, l3);
	} else {
		memcpy(v6 + 8, s.ip, 16);
		memcpy(v6 + 24, d.ip, 16);
		frame_add(f, v6, sizeof(v6));
	}
}

static uint32_t pseudo_slow(const uint8_t *ip, uint8_t protocol, size_t len)
{
	uint32_t sum = ip[0] >> 4 == 4 ? sum_slow(ip + 12, 8, 0) : sum_slow(ip + 8, 32, 0);

	return sum + protocol + (uint32_t)len;
}

void frame_l4_checksum(struct frame_buf *f, size_t l3, size_t l4, size_t at)
{
	const uint8_t *ip = f->bytes + l3;
	uint8_t protocol = ip[0] >> 4 == 4 ? ip[9] : ip[6];

	f->bytes[at] = f->bytes[at + 1] = 0;
	uint32_t sum = sum_slow(f->bytes + l4, f->len - l4, pseudo_slow(ip, protocol, f->len - l4));
	uint16_t checksum = (uint16_t)~fold_slow(sum);
	if (checksum == 0)
		checksum = 0xffff;
	f->bytes[at] = (uint8_t)(checksum >> 8);
	f->bytes[at + 1] = (uint8_t)checksum;
}

void frame_udp(struct frame_buf *f, int port, uint16_t vlan, const char *src, const char *dst,
	uint16_t sport, uint16_t dport, uint16_t n)
{
	bool v4 = path_addr(src, 0).family == TD_IPV4;

	frame_eth(f, port, vlan, v4 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6);
	size_t l3 = f->len;
	frame_ip(f, src, dst, IPPROTO_UDP, n + 8);
	size_t l4 = f->len;
	add16(f, sport);
	add16(f, dport);
	add16(f, n + 8);
	add16(f, 0);
	for (uint16_t i = 0; i < n; i++)
		frame_add(f, &(uint8_t){ (uint8_t)(i ^ i >> 8) }, 1);
	frame_l4_checksum(f, l3, l4, l4 + 6);
}

bool frame_ip_good(const uint8_t *l3, size_t len)
{
	bool v4 = l3[0] >> 4 == 4;
	size_t head = v4 ? 20 : 40;
	uint8_t protocol = v4 ? l3[9] : l3[6];
	size_t total = v4 ? (size_t)(l3[2] << 8 | l3[3]) : 40u + (size_t)(l3[4] << 8 | l3[5]);

	if (len < head + 8 || total != len || (v4 && fold_slow(sum_slow(l3, 20, 0)) != 0xffff))
		return false;
	if (protocol == IPPROTO_UDP && (size_t)(l3[head + 4] << 8 | l3[head + 5]) != len - head)
		return false;
	uint32_t start = protocol == IPPROTO_ICMP ? 0 : pseudo_slow(l3, protocol, len - head);
	return fold_slow(sum_slow(l3 + head, len - head, start)) == 0xffff;
}
