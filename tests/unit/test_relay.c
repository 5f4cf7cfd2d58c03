// SPDX-License-Identifier: BSD-3-Clause
// The relay, frame in to frame out, against a rewriter of its own: headers are built field by field
// and checksums summed word by word here, without a line of the code under test.
#include "leg_host.h"

#include <rte_ip.h>
#include <rte_udp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define SECOND 1000000000ull

// A pair of legs with a far end on each side.
struct pair {
	td_leg_id west, east;
	struct td_leg_local west_local, east_local;
	struct td_leg_modify west_state, east_state;
};

struct datagram {
	struct td_sockaddr src, dst;
	const uint8_t *payload;
	uint16_t len;
	uint16_t vlan;
	uint8_t options; // bytes of IPv4 options
	bool verified;   // else the checksum is garbage, as on veth
	bool no_checksum;
};

static struct pair calls;
static uint8_t voice[1600];

static void pair_modify(void)
{
	td_leg_modify(&host.worker, calls.west, &calls.west_state);
	td_leg_modify(&host.worker, calls.east, &calls.east_state);
}

static void pair_open(uint8_t west, uint8_t east)
{
	calls.west = host_leg(WEST, west, &calls.west_local);
	calls.east = host_leg(EAST, east, &calls.east_local);
	calls.west_state = (struct td_leg_modify){
		.rtp = west == TD_IPV4 ? host_addr("10.0.1.1", 4000) : host_addr("fd00:1::1", 4000),
		.peer = calls.east,
		.direction = TD_LEG_SENDRECV,
		.reopen = true,
	};
	calls.east_state = (struct td_leg_modify){
		.rtp = east == TD_IPV4 ? host_addr("10.0.2.1", 5002) : host_addr("fd00:2::1", 5002),
		.peer = calls.west,
		.direction = TD_LEG_SENDRECV,
		.reopen = true,
	};
	pair_modify();
}

static int setup(void **state)
{
	host_eal();
	host_start(0, 1, 16);
	for (size_t i = 0; i < sizeof(voice); i++)
		voice[i] = (uint8_t)(i * 7 + 3);
	voice[0] = 0x80;
	voice[1] = 8;
	return 0;
}

static int teardown(void **state)
{
	host_stop();
	return 0;
}

// --- independent of the code under test ---

static uint32_t sum16(const uint8_t *data, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)data[i] << 8 : data[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint32_t udp_sum(
	const uint8_t *udp, uint32_t len, const struct td_sockaddr *a, const struct td_sockaddr *b)
{
	uint32_t sum = sum16(a->ip, (uint32_t)td_ip_len(a->family), 17 + len);

	sum = sum16(b->ip, (uint32_t)td_ip_len(b->family), sum);
	return sum16(udp, len, sum);
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t ip_build(uint8_t *ip, const struct datagram *d)
{
	if (d->src.family == TD_IPV6) {
		uint8_t header[40] = { 0x60, [6] = 17, [7] = 9 };
		put16(header + 4, d->len + 8u);
		memcpy(header + 8, d->src.ip, 16);
		memcpy(header + 24, d->dst.ip, 16);
		memcpy(ip, header, 40);
		return 40;
	}
	uint8_t header[60] = { (uint8_t)(0x45 + d->options / 4), 0, [8] = 9, [9] = 17 };
	uint32_t len = 20u + d->options;
	memset(header + 20, 1, d->options); // no-operation
	put16(header + 2, len + 8 + d->len);
	memcpy(header + 12, d->src.ip, 4);
	memcpy(header + 16, d->dst.ip, 4);
	put16(header + 10, ~sum16(header, len, 0) & 0xffff);
	memcpy(ip, header, len);
	return len;
}

// A received frame as eth_input and ip_input hand it on.
static struct rte_mbuf *frame_build(uint16_t realm, const struct datagram *d)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(host.pool);
	struct td_packet *p = td_packet(m);
	uint8_t frame[2000] = { 0 };
	uint32_t l2 = d->vlan ? 18 : 14;
	uint32_t l4 = l2 + ip_build(frame + l2, d);

	put16(frame + l4, d->src.port);
	put16(frame + l4 + 2, d->dst.port);
	put16(frame + l4 + 4, d->len + 8u);
	memcpy(frame + l4 + 8, d->payload, d->len);
	uint32_t sum = ~udp_sum(frame + l4, d->len + 8u, &d->src, &d->dst) & 0xffff;
	put16(frame + l4 + 6, d->no_checksum ? 0 : d->verified ? (sum ? sum : 0xffff) : 0x1234);
	uint32_t size = l4 + 8 + d->len;
	size = size < 60 ? 60 : size; // Ethernet's padding
	memset(p, 0, sizeof(*p));
	memcpy(rte_pktmbuf_append(m, (uint16_t)size), frame, size);
	p->realm = realm;
	p->port = (uint8_t)realm;
	p->address = d->dst.family == TD_IPV6;
	p->l3_off = (uint16_t)l2;
	p->l4_off = (uint16_t)l4;
	p->payload_len = d->len;
	p->leg = TD_LEG_UNASKED;
	p->flags = d->verified ? TD_PACKET_L4_VERIFIED : 0;
	return m;
}

static void deliver(uint16_t realm, const struct datagram *d)
{
	struct rte_mbuf *m = frame_build(realm, d);

	td_rtp_input(&host.worker, &m, 1);
}

// Checks a complete IP packet: our addresses and marks, lengths, checksums, and every byte of the
// payload.
static void ip_check(const uint8_t *ip, uint32_t size, const struct datagram *want)
{
	uint32_t l4 = want->src.family == TD_IPV4 ? 20 : 40;

	assert_int_equal(size, l4 + 8 + want->len);
	if (l4 == 20) {
		assert_int_equal(ip[0], 0x45);
		assert_int_equal(ip[1], 46 << 2);
		assert_int_equal(get16(ip + 2), size);
		assert_int_equal(get16(ip + 4), 0);
		assert_int_equal(get16(ip + 6), 0x4000);
		assert_int_equal(ip[8], 64);
		assert_int_equal(ip[9], 17);
		assert_int_equal(sum16(ip, 20, 0), 0xffff);
		assert_memory_equal(ip + 12, want->src.ip, 4);
		assert_memory_equal(ip + 16, want->dst.ip, 4);
	} else {
		const uint8_t mark[4] = { 0x6b, 0x80 }; // version 6, DSCP 46
		assert_memory_equal(ip, mark, 4);
		assert_int_equal(get16(ip + 4), size - 40);
		assert_int_equal(ip[6], 17);
		assert_int_equal(ip[7], 64);
		assert_memory_equal(ip + 8, want->src.ip, 16);
		assert_memory_equal(ip + 24, want->dst.ip, 16);
	}
	assert_int_equal(get16(ip + l4), want->src.port);
	assert_int_equal(get16(ip + l4 + 2), want->dst.port);
	assert_int_equal(get16(ip + l4 + 4), want->len + 8);
	assert_int_not_equal(get16(ip + l4 + 6), 0);
	assert_int_equal(udp_sum(ip + l4, want->len + 8u, &want->src, &want->dst), 0xffff);
	assert_memory_equal(ip + l4 + 8, want->payload, want->len);
}

// The only frame that was sent is that datagram, on the port of realm. Frees it.
static void sent_check(uint16_t realm, const struct datagram *want)
{
	assert_int_equal(host.n_sent, 1);
	assert_int_equal(host.n_slow, 0);
	const struct rte_mbuf *m = host.sent[0];
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	const uint8_t macs[12] = { 2, 0xcc, 0, 0xbb, 0, (uint8_t)(0xaa + realm), 2, 0, 0, 0, 0,
		(uint8_t)(0x10 + realm) };
	uint32_t l2 = want->vlan ? 18 : 14;
	assert_int_equal(host.sent_port[0], realm);
	assert_memory_equal(frame, macs, 12);
	if (want->vlan) {
		assert_int_equal(get16(frame + 12), 0x8100);
		assert_int_equal(get16(frame + 14), want->vlan);
	}
	assert_int_equal(get16(frame + l2 - 2), want->src.family == TD_IPV4 ? 0x0800 : 0x86dd);
	assert_int_equal(m->data_len, m->pkt_len);
	ip_check(frame + l2, m->pkt_len - l2, want);
	host_drain();
}

static void dropped(enum td_counter counter)
{
	assert_int_equal(host.n_sent + host.n_slow, 0);
	assert_int_equal(host.worker.counters[counter], 1);
	host.worker.counters[counter] = 0;
}

static struct datagram from_west(void)
{
	return (struct datagram){ .src = calls.west_state.rtp,
		.dst = calls.west_local.rtp,
		.payload = voice,
		.len = 172 };
}

static struct datagram to_east(const struct datagram *d)
{
	return (struct datagram){
		.src = calls.east_local.rtp,
		.dst = calls.east_state.rtp,
		.payload = d->payload,
		.len = d->len,
	};
}

static void relays(struct datagram *d, bool yes)
{
	struct datagram want = to_east(d);

	deliver(WEST, d);
	if (yes)
		sent_check(EAST, &want);
	else
		dropped(TD_C_RTP_WRONG_SOURCE);
}

// --- tests ---

static void rewrite_all(uint8_t west, uint8_t east)
{
	pair_open(west, east);
	srand(7);
	for (uint16_t len = 12; len < 400; len++) {
		for (int how = 0; how < 6; how++) {
			struct datagram d = from_west();
			d.len = len;
			for (uint16_t i = 12; i < len; i++)
				voice[i] = (uint8_t)rand();
			d.verified = how & 1;
			d.no_checksum = how == 5 && west == TD_IPV4;
			d.vlan = how == 2 ? 5 : 0;
			d.options = how == 3 && west == TD_IPV4 ? 8 : 0;
			struct datagram want = to_east(&d);
			want.vlan = how == 4 ? 7 : 0;
			host.adjacencies[EAST].vlan = want.vlan;
			deliver(WEST, &d);
			sent_check(EAST, &want);
		}
	}
	assert_int_equal(host.worker.counters[TD_C_RTP_RELAYED], (400 - 12) * 6);
}

static void test_v4_to_v4(void **state)
{
	rewrite_all(TD_IPV4, TD_IPV4);
}

static void test_v4_to_v6(void **state)
{
	rewrite_all(TD_IPV4, TD_IPV6);
}

static void test_v6_to_v4(void **state)
{
	rewrite_all(TD_IPV6, TD_IPV4);
}

static void test_v6_to_v6(void **state)
{
	rewrite_all(TD_IPV6, TD_IPV6);
}

// A payload chosen so that the sum comes to zero must leave as 0xffff (RFC 768).
static void test_zero_checksum(void **state)
{
	pair_open(TD_IPV4, TD_IPV4);
	for (int verified = 0; verified < 2; verified++) {
		struct datagram d = from_west();
		struct datagram want = to_east(&d);
		uint8_t udp[8 + 172] = { 0 };
		put16(udp, want.src.port);
		put16(udp + 2, want.dst.port);
		put16(udp + 4, sizeof(udp));
		put16(voice + 170, 0);
		memcpy(udp + 8, voice, 172);
		put16(voice + 170, ~udp_sum(udp, sizeof(udp), &want.src, &want.dst) & 0xffff);
		d.verified = verified;
		deliver(WEST, &d);
		assert_int_equal(
			get16(rte_pktmbuf_mtod_offset(host.sent[0], const uint8_t *, 40)), 0xffff);
		sent_check(EAST, &want);
	}
}

static void test_strict(void **state)
{
	pair_open(TD_IPV4, TD_IPV4);
	struct datagram d = from_west();
	relays(&d, true);
	d.src.port = 9; // any port
	relays(&d, true);
	d.src = host_addr("10.0.1.2", 4000);
	relays(&d, false);
	d = from_west();
	relays(&d, true);
	// The far end moves by signalling: the old place is wrong from then on.
	calls.west_state.rtp = host_addr("10.0.1.3", 4000);
	pair_modify();
	relays(&d, false);
	d.src = calls.west_state.rtp;
	relays(&d, true);
}

static void test_strict_v6(void **state)
{
	pair_open(TD_IPV6, TD_IPV4);
	struct datagram d = from_west();
	relays(&d, true);
	for (int byte = 0; byte < 16; byte++) {
		struct datagram other = d;
		other.src.ip[byte] ^= 1;
		relays(&other, false);
	}
}

// Whatever signalling says: no host has such an address.
static void test_impossible_source(void **state)
{
	pair_open(TD_IPV4, TD_IPV4);
	struct datagram d = from_west();
	relays(&d, true);
	calls.west_state.rtp = host_addr("127.0.0.1", 4000);
	pair_modify();
	d.src = calls.west_state.rtp;
	deliver(WEST, &d);
	dropped(TD_C_IP_BAD_SOURCE);
}

static void test_nothing_known(void **state)
{
	pair_open(TD_IPV4, TD_IPV4);
	struct datagram d = from_west();
	calls.west_state.rtp = (struct td_sockaddr){ 0 };
	pair_modify();
	relays(&d, false);
	struct datagram back = { .src = calls.east_state.rtp,
		.dst = calls.east_local.rtp,
		.payload = voice,
		.len = 50 };
	deliver(EAST, &back);
	dropped(TD_C_RTP_NO_PEER);
}

static void test_media_sources(void **state)
{
	struct td_leg_open open = { .realm = WEST, .family = TD_IPV4, .trunk = 1 };

	host.media_source = (struct td_prefix){ .ip = { 192, 0, 2 }, .family = TD_IPV4, .len = 24 };
	host.trunk_index = 1;
	host.worker.policy = (const struct td_policy *)&host;
	pair_open(TD_IPV4, TD_IPV4);
	td_leg_close(&host.worker, calls.west, NULL);
	assert_int_equal(td_leg_open(&host.worker, &open, &calls.west, &calls.west_local), 0);
	calls.east_state.peer = calls.west;
	pair_modify();
	struct datagram d = from_west();
	d.src = host_addr("192.0.2.77", 1234);
	relays(&d, true);
	d.src = host_addr("192.0.3.77", 1234);
	relays(&d, false);
	// A reload moves the trunk in the policy: its slot finds it again. Then it is gone.
	host.policy_generation++;
	host.trunk_index = 2;
	d.src = host_addr("192.0.2.78", 1234);
	relays(&d, true);
	host.policy_generation++;
	host.trunk_index = 99;
	d.src = host_addr("192.0.2.79", 1234);
	relays(&d, false);
}

static void test_learn_once(void **state)
{
	host.dp.realms[WEST].conf.media_source = TD_SOURCE_LEARN_ONCE;
	pair_open(TD_IPV4, TD_IPV4);
	struct datagram nat = from_west();
	nat.src = host_addr("198.51.100.1", 30000);
	struct datagram bad = nat;
	bad.payload = (const uint8_t *)"\x40";
	bad.len = 1;
	bad.src.port = 666;
	deliver(WEST, &bad); // not valid: teaches nothing
	assert_int_equal(host.worker.counters[TD_C_RTP_BAD_LENGTH], 1);
	relays(&nat, true);
	relays(&nat, true);
	struct datagram thief = nat;
	thief.src.port++;
	relays(&thief, false);
	thief.src = calls.west_state.rtp;
	relays(&thief, false);
	// What the far side sends goes to where the far end really is.
	struct datagram back = { .src = calls.east_state.rtp,
		.dst = calls.east_local.rtp,
		.payload = voice,
		.len = 172 };
	struct datagram want = {
		.src = calls.west_local.rtp, .dst = nat.src, .payload = voice, .len = 172
	};
	deliver(EAST, &back);
	sent_check(WEST, &want);
	struct td_leg_stats stats;
	td_leg_stats(&host.worker, calls.west, &stats);
	assert_true(td_sockaddr_eq(&stats.remote, &nat.src));
}

static void test_learn_window(void **state)
{
	host.dp.realms[WEST].conf.media_source = TD_SOURCE_LEARN_ONCE;
	pair_open(TD_IPV4, TD_IPV4);
	host.worker.now_ns += TD_LEARN_WINDOW_NS;
	struct datagram d = from_west();
	d.src = host_addr("198.51.100.1", 30000);
	relays(&d, false); // too late for anybody but whom SDP named
	d.src = calls.west_state.rtp;
	relays(&d, true);
}

static void test_learn_reopened(void **state)
{
	host.dp.realms[WEST].conf.media_source = TD_SOURCE_LEARN_ONCE;
	pair_open(TD_IPV4, TD_IPV4);
	struct datagram old = from_west(), new = from_west(), thief = from_west();
	old.src = host_addr("198.51.100.1", 30000);
	new.src = host_addr("198.51.100.2", 30000);
	thief.src = host_addr("198.51.100.3", 30000);
	relays(&old, true);
	calls.west_state.rtp.port +=
		2; // the far end moves; packets from the old place are still under way
	pair_modify();
	relays(&old, true);
	relays(&new, true);
	relays(&old, false);
	relays(&thief, false);
	// Signalling that moves nothing: the first to come is the one that was there.
	pair_modify();
	relays(&new, true);
	relays(&thief, false);
	calls.west_state.reopen = false;
	pair_modify();
	relays(&thief, false);
	relays(&new, true);
}

static void test_directions(void **state)
{
	static const uint8_t directions[] = { 0, TD_LEG_SEND, TD_LEG_RECV, TD_LEG_SENDRECV };

	pair_open(TD_IPV4, TD_IPV4);
	for (int i = 0; i < 4; i++) {
		for (int j = 0; j < 4; j++) {
			struct datagram d = from_west(), want = to_east(&d);
			calls.west_state.direction = directions[i];
			calls.east_state.direction = directions[j];
			pair_modify();
			deliver(WEST, &d);
			if (directions[i] & TD_LEG_RECV && directions[j] & TD_LEG_SEND)
				sent_check(EAST, &want);
			else
				dropped(TD_C_RTP_HELD);
		}
	}
}

static void test_peer_closed(void **state)
{
	pair_open(TD_IPV4, TD_IPV4);
	struct datagram d = from_west();
	relays(&d, true);
	struct td_leg_stats stats;
	td_leg_close(&host.worker, calls.east, &stats);
	assert_int_equal(stats.tx_packets, 1);
	deliver(WEST, &d);
	dropped(TD_C_RTP_NO_PEER);
	host_leg(EAST, TD_IPV4, NULL); // whoever comes next does not inherit a feeder
	deliver(WEST, &d);
	dropped(TD_C_RTP_NO_PEER);
	td_leg_close(&host.worker, calls.west, NULL);
	deliver(WEST, &d);
	dropped(TD_C_RTP_NO_LEG);
}

static void test_bad_rtp(void **state)
{
	static const struct {
		uint8_t bytes[16];
		uint16_t len;
		enum td_counter counter;
	} cases[] = {
		{ { 0x00 }, 16, TD_C_RTP_BAD_VERSION },
		{ { 0x80 }, 11, TD_C_RTP_BAD_LENGTH },
		{ { 0x80 }, 0, TD_C_RTP_BAD_LENGTH },
		{ { 0x82 }, 16, TD_C_RTP_BAD_LENGTH },
		{ { 0xa0 }, 16, TD_C_RTP_BAD_LENGTH },
		{ { 0x80, 200 }, 16, TD_C_RTP_BAD_PAYLOAD },
	};

	pair_open(TD_IPV4, TD_IPV4);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct datagram d = from_west();
		d.payload = cases[i].bytes;
		d.len = cases[i].len;
		deliver(WEST, &d);
		dropped(cases[i].counter);
	}
	struct td_leg_stats stats;
	td_leg_stats(&host.worker, calls.west, &stats);
	assert_int_equal(stats.rx_packets, 0);
}

static void test_stats(void **state)
{
	struct td_leg_stats west, east;

	pair_open(TD_IPV4, TD_IPV4);
	for (int i = 0; i < 100; i++, host.worker.now_ns += 20000000) {
		struct datagram d = from_west(), want = to_east(&d);
		put16(voice + 2, 65500u + (uint32_t)i);
		put16(voice + 6, (uint32_t)i * 160);
		if (i % 10 == 5)
			continue;
		calls.west_state.direction = i < 50 ? TD_LEG_SENDRECV : TD_LEG_SEND;
		pair_modify();
		deliver(WEST, &d);
		if (i < 50)
			sent_check(EAST, &want);
	}
	assert_int_equal(host.worker.counters[TD_C_RTP_HELD], 45);
	td_leg_stats(&host.worker, calls.west, &west);
	td_leg_stats(&host.worker, calls.east, &east);
	assert_int_equal(west.rx_packets, 90);
	assert_int_equal(west.rx_bytes, 90 * 172);
	assert_int_equal(west.lost, 10);
	assert_int_equal(west.tx_packets, 0);
	assert_int_equal(east.tx_packets, 45);
	assert_int_equal(east.tx_bytes, 45 * 172);
	assert_int_equal(east.rx_packets, 0);
	assert_int_equal(east.remote.family, 0);
	assert_true(td_sockaddr_eq(&west.remote, &calls.west_state.rtp));
	assert_true(west.jitter_ms < 0.2);
}

// Two early dialogs feed the A side in turn; its sent count is the sum of what each relayed.
static void test_two_feeders(void **state)
{
	struct td_leg_local other_local;
	struct td_leg_stats stats;

	pair_open(TD_IPV4, TD_IPV4);
	td_leg_id other = host_leg(WEST, TD_IPV4, &other_local);
	struct td_leg_modify state_of_other = calls.west_state;
	state_of_other.rtp = host_addr("10.0.1.9", 4444);
	td_leg_modify(&host.worker, other, &state_of_other);
	struct datagram d = from_west(), fork = d;
	fork.src = state_of_other.rtp;
	fork.dst = other_local.rtp;
	relays(&d, true);
	relays(&fork, true);
	relays(&fork, true);
	td_leg_close(&host.worker, calls.west, NULL);
	relays(&fork, true);
	td_leg_stats(&host.worker, calls.east, &stats);
	assert_int_equal(stats.tx_packets, 4);

	// The feeder turns to another peer, which inherits nothing.
	struct td_leg_local next_local;
	td_leg_id next = host_leg(EAST, TD_IPV4, &next_local);
	struct td_leg_modify state_of_next = calls.east_state;
	state_of_next.peer = other;
	td_leg_modify(&host.worker, next, &state_of_next);
	state_of_other.peer = next;
	td_leg_modify(&host.worker, other, &state_of_other);
	td_leg_stats(&host.worker, next, &stats);
	assert_int_equal(stats.tx_packets, 0);
	deliver(WEST, &fork);
	td_leg_stats(&host.worker, next, &stats);
	assert_int_equal(stats.tx_packets, 1);
	assert_int_equal(stats.tx_bytes, 172);
	td_leg_stats(&host.worker, calls.east, &stats);
	assert_int_equal(stats.tx_packets, 4);
}

static void slow_check(uint32_t adjacency)
{
	struct datagram d = from_west(), want = to_east(&d);

	host.n_slow = 0;
	deliver(WEST, &d);
	assert_int_equal(host.n_sent, 0);
	assert_int_equal(host.n_slow, 1);
	assert_int_equal(host.slow_adjacency[0], adjacency);
	const struct rte_mbuf *m = host.slow[0];
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t l4 = want.src.family == TD_IPV4 ? 20 : 40;
	assert_int_equal(m->pkt_len, l4 + 8 + want.len);
	assert_int_equal(td_packet(host.slow[0])->realm, EAST);
	assert_int_equal(td_packet(host.slow[0])->flags & TD_PACKET_L4_DONE, 0);
	assert_memory_equal(ip + (l4 == 20 ? 12 : 8), want.src.ip, td_ip_len(want.src.family));
	assert_memory_equal(ip + (l4 == 20 ? 16 : 24), want.dst.ip, td_ip_len(want.src.family));
	assert_int_equal(get16(ip + l4), want.src.port);
	assert_int_equal(get16(ip + l4 + 2), want.dst.port);
	assert_int_equal(get16(ip + l4 + 4), want.len + 8);
	assert_memory_equal(ip + l4 + 8, voice, want.len);
	host_drain();
}

static void test_unresolved(void **state)
{
	host.adjacency[EAST] = TD_ADJACENCY_NONE;
	pair_open(TD_IPV4, TD_IPV6);
	slow_check(TD_ADJACENCY_NONE);
	host.adjacency[EAST] = EAST; // main made it, and is still asking for the MAC
	uint64_t mac = host.adjacencies[EAST].mac;
	host.adjacencies[EAST].mac = 0;
	slow_check(EAST);
	host.adjacencies[EAST].mac = mac;
	struct datagram d = from_west();
	relays(&d, true);
}

static void test_too_big(void **state)
{
	pair_open(TD_IPV4, TD_IPV6);
	host.adjacencies[EAST].mtu = 40 + 8 + 172;
	struct datagram d = from_west();
	relays(&d, true);
	host.adjacencies[EAST].mtu--;
	slow_check(EAST);
}

static void test_rtcp(void **state)
{
	uint8_t report[32] = { 0x80, 201, 0, 1, [8] = 0x81, 202, 0, 2 };

	pair_open(TD_IPV4, TD_IPV4);
	struct datagram d = from_west();
	d.payload = report;
	d.len = 20;
	d.dst.port++;
	d.src.port++;
	deliver(WEST, &d);
	assert_int_equal(host.n_slow, 1);
	const uint8_t *ip = rte_pktmbuf_mtod(host.slow[0], const uint8_t *);
	assert_int_equal(get16(ip + 20), calls.east_local.rtcp.port);
	assert_int_equal(get16(ip + 22), calls.east_state.rtp.port + 1);
	assert_memory_equal(ip + 28, report, 20);
	assert_int_equal(host.slow[0]->pkt_len, 48);
	host_drain();

	// It goes where SDP says (RFC 3605), also while media is held.
	calls.east_state.rtcp = host_addr("10.0.2.77", 7001);
	calls.east_state.direction = calls.west_state.direction = 0;
	pair_modify();
	deliver(WEST, &d);
	ip = rte_pktmbuf_mtod(host.slow[0], const uint8_t *);
	assert_memory_equal(ip + 16, calls.east_state.rtcp.ip, 4);
	assert_int_equal(get16(ip + 22), 7001);
	host_drain();
	assert_int_equal(host.worker.counters[TD_C_RTCP_RELAYED], 2);

	report[3] = 9;
	deliver(WEST, &d);
	dropped(TD_C_RTCP_BAD);
	report[3] = 1;
	d.src = host_addr("10.0.1.66", 4001);
	deliver(WEST, &d);
	dropped(TD_C_RTP_WRONG_SOURCE);
	td_leg_close(&host.worker, calls.east, NULL);
	d = from_west();
	d.payload = report;
	d.len = 20;
	d.dst.port++;
	deliver(WEST, &d);
	dropped(TD_C_RTP_NO_PEER);
}

static void test_rtcp_mux(void **state)
{
	const uint8_t report[8] = { 0x80, 201, 0, 1 };

	pair_open(TD_IPV4, TD_IPV4);
	struct datagram d = from_west();
	d.payload = report;
	d.len = 8;
	deliver(WEST, &d); // not agreed
	dropped(TD_C_RTP_BAD_LENGTH);
	calls.west_state.rtcp_mux = true;
	pair_modify();
	deliver(WEST, &d);
	const uint8_t *ip = rte_pktmbuf_mtod(host.slow[0], const uint8_t *);
	assert_int_equal(get16(ip + 20), calls.east_local.rtcp.port);
	assert_int_equal(get16(ip + 22), calls.east_state.rtp.port + 1);
	host_drain();
	calls.east_state.rtcp_mux = true;
	pair_modify();
	deliver(WEST, &d);
	ip = rte_pktmbuf_mtod(host.slow[0], const uint8_t *);
	assert_int_equal(get16(ip + 20), calls.east_local.rtp.port);
	assert_int_equal(get16(ip + 22), calls.east_state.rtp.port);
	host_drain();
	d = from_west();
	relays(&d, true);
}

static void test_handoff(void **state)
{
	host_stop();
	host_start(0, 3, 16);
	pair_open(TD_IPV4, TD_IPV4);
	for (uint16_t i = 0; i < 6; i++) {
		struct datagram d = from_west();
		d.dst.port = (uint16_t)(HOST_PORT_MIN + i);
		d.payload = (const uint8_t *)"";
		d.len = 0;
		deliver(WEST, &d);
	}
	assert_int_equal(host.n_handed, 4); // both ports of a pair
	assert_int_equal(host.handed_to[0], host.handed_to[1]);
	assert_int_equal(host.handed_to[2], host.handed_to[3]);
	assert_int_not_equal(host.handed_to[0], host.handed_to[2]);
}

static void test_burst(void **state)
{
	struct rte_mbuf *burst[TD_BURST + 5];
	struct datagram d;

	pair_open(TD_IPV4, TD_IPV4);
	d = from_west();
	for (int i = 0; i < TD_BURST + 5; i++)
		burst[i] = frame_build(WEST, &d);
	td_rtp_relay(&host.worker, burst, TD_BURST + 5);
	assert_int_equal(host.n_sent, TD_BURST + 5);
	for (int i = 0; i < TD_BURST + 5; i++)
		assert_int_equal(host.sent[i]->pkt_len, 214);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_v4_to_v4),
		TEST(test_v4_to_v6),
		TEST(test_v6_to_v4),
		TEST(test_v6_to_v6),
		TEST(test_zero_checksum),
		TEST(test_strict),
		TEST(test_strict_v6),
		TEST(test_impossible_source),
		TEST(test_nothing_known),
		TEST(test_media_sources),
		TEST(test_learn_once),
		TEST(test_learn_window),
		TEST(test_learn_reopened),
		TEST(test_directions),
		TEST(test_peer_closed),
		TEST(test_bad_rtp),
		TEST(test_stats),
		TEST(test_two_feeders),
		TEST(test_unresolved),
		TEST(test_too_big),
		TEST(test_rtcp),
		TEST(test_rtcp_mux),
		TEST(test_handoff),
		TEST(test_burst),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
