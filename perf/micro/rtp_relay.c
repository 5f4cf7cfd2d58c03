// SPDX-License-Identifier: BSD-3-Clause
// What one relayed RTP packet costs, from the ring of one port to the ring of the other: everything
// a worker does in its turns, with 1,000 legs and with 1,000,000, beside a bare swap of MAC
// addresses over the same ports. The two take turns, sample for sample, so that whatever else the
// machine does meets both; "quiet" is the figure of the samples beside which the swap was quickest.
//
// Every frame that comes out is compared byte for byte with one that is built here, from the
// bench's own notes and with a checksum summed word by word: nothing of it is the switch's code.
#include "bench.h"
#include "relay_bed.h"

#include <arpa/inet.h>
#include <string.h>

#define FRAME 214
#define PAYLOAD 172
#define BATCH 256 // frames on each side before the clock starts: eight bursts
#define SAMPLES 1001
#define BATCHES 2 // of a sample

struct run {
	struct bed *bed;
	uint64_t seed, random;
	uint32_t *order[BED_SIDES]; // legs of a side, shuffled
	uint32_t at[BED_SIDES];
	uint32_t legs[BED_SIDES][BATCH];       // of the batch under way
	uint8_t want[BED_SIDES][BATCH][FRAME]; // that leaves for what came in there
	uint64_t checked;
};

static uint8_t voice[65536];

// --- the rewriter of our own ---------------------------------------------------------------------

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static uint32_t sum16(const uint8_t *p, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

struct ends {
	struct rte_ether_addr src_mac, dst_mac;
	uint32_t src, dst;
	uint16_t src_port, dst_port;
	uint8_t tos, ttl;
	uint16_t fragment;
};

static void frame_write(uint8_t *f, const struct ends *e, const uint8_t *rtp)
{
	uint8_t *ip = f + 14, *udp = f + 34;

	memcpy(f, &e->dst_mac, 6);
	memcpy(f + 6, &e->src_mac, 6);
	put16(f + 12, 0x0800);
	memset(ip, 0, 28);
	ip[0] = 0x45;
	ip[1] = e->tos;
	put16(ip + 2, FRAME - 14);
	put16(ip + 6, e->fragment);
	ip[8] = e->ttl;
	ip[9] = 17;
	put32(ip + 12, e->src);
	put32(ip + 16, e->dst);
	put16(ip + 10, ~sum16(ip, 20, 0) & 0xffff);
	put16(udp, e->src_port);
	put16(udp + 2, e->dst_port);
	put16(udp + 4, FRAME - 34);
	memcpy(udp + 8, rtp, PAYLOAD);
	uint32_t sum = ~sum16(udp, FRAME - 34, sum16(ip + 12, 8, 17 + FRAME - 34)) & 0xffff;
	put16(udp + 6, sum ? sum : 0xffff);
}

static void rtp_write(struct run *r, struct bed_leg *leg, uint8_t *rtp)
{
	put16(rtp, 0x8008);
	put16(rtp + 2, leg->seq++);
	put32(rtp + 4, leg->sent++ * 160);
	put32(rtp + 8, leg->remote_ip);
	memcpy(rtp + 12, voice + bench_random(&r->random) % (sizeof(voice) - PAYLOAD),
		PAYLOAD - 12);
}

// One packet of that leg's far end, and what must become of it.
static struct rte_mbuf *packet_make(struct run *r, uint32_t index, uint8_t *want)
{
	const struct td_dataplane *dp = r->bed->s.dp;
	struct bed_leg *leg = &r->bed->legs[index];
	const struct bed_leg *peer = &r->bed->legs[leg->peer];
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->bed->w->mbufs);
	uint8_t rtp[PAYLOAD];

	if (!m)
		bed_fail("no buffers");
	rtp_write(r, leg, rtp);
	const struct ends in = {
		bed_gateway_mac(leg->realm),
		dp->ports[leg->realm % BED_SIDES].mac,
		leg->remote_ip,
		leg->local_ip,
		leg->remote_port,
		leg->local_port,
		0,
		57,
		0,
	};
	const struct ends out = {
		dp->ports[peer->realm % BED_SIDES].mac,
		bed_gateway_mac(peer->realm),
		peer->local_ip,
		peer->remote_ip,
		peer->local_port,
		peer->remote_port,
		46 << 2,
		64,
		0x4000,
	};
	frame_write((uint8_t *)rte_pktmbuf_append(m, FRAME), &in, rtp);
	frame_write(want, &out, rtp);
	return m;
}

// --- batches -------------------------------------------------------------------------------------

// swapped: no leg will see these, so that they are not counted as sent.
static void batch_put(struct run *r, bool swapped)
{
	struct rte_mbuf *frames[BATCH];

	for (int side = 0; side < BED_SIDES; side++) {
		uint32_t n = r->bed->n_legs / BED_SIDES;
		for (int i = 0; i < BATCH; i++) {
			uint32_t leg =
				r->order[side][r->at[side]++ % n] * BED_SIDES + (uint32_t)side;
			r->legs[side][i] = leg;
			struct bed_leg before = r->bed->legs[leg];
			frames[i] = packet_make(r, leg, r->want[side][i]);
			if (swapped)
				r->bed->legs[leg] = before;
		}
		if (rte_ring_enqueue_bulk(r->bed->in[side], (void **)frames, BATCH, NULL) != BATCH)
			bed_fail("a ring is full");
	}
}

// What came in on one side must have left by the other, in its order. swapped: with its MACs
// exchanged and nothing else.
static void batch_check(struct run *r, bool swapped)
{
	struct rte_mbuf *frames[BATCH];

	for (int side = 0; side < BED_SIDES; side++) {
		if (rte_ring_dequeue_bulk(r->bed->out[!side], (void **)frames, BATCH, NULL) !=
				BATCH ||
			!rte_ring_empty(r->bed->out[!side]))
			bed_fail("packets are missing");
		for (int i = 0; i < BATCH; i++) {
			const uint8_t *frame = rte_pktmbuf_mtod(frames[i], const uint8_t *);
			const struct rte_ether_addr mac =
				bed_gateway_mac(r->bed->legs[r->legs[side][i]].realm);
			bool good = frames[i]->pkt_len == FRAME && frames[i]->data_len == FRAME;
			good = good &&
			       (swapped ? memcmp(frame, &mac, 6) == 0 &&
						       memcmp(frame + 42, r->want[side][i] + 42,
							       PAYLOAD) == 0
					: memcmp(frame, r->want[side][i], FRAME) == 0);
			if (!good)
				bed_fail("a packet is wrong");
		}
		rte_pktmbuf_free_bulk(frames, BATCH);
		r->checked += BATCH;
	}
}

static uint64_t batch_relay(struct run *r)
{
	uint64_t start = bench_cycles();

	for (int turn = 0; turn < BATCH / TD_BURST; turn++)
		td_worker_turn(r->bed->w);
	return bench_cycles() - start;
}

static uint64_t batch_swap(struct run *r)
{
	const struct td_dataplane *dp = r->bed->s.dp;
	struct rte_mbuf *frames[TD_BURST];
	uint64_t start = bench_cycles();

	for (int turn = 0; turn < BATCH / TD_BURST; turn++) {
		for (int side = 0; side < BED_SIDES; side++) {
			uint16_t n = rte_eth_rx_burst(dp->ports[side].ethdev, 0, frames, TD_BURST);
			for (uint16_t i = 0; i < n; i++) {
				struct rte_ether_hdr *eth =
					rte_pktmbuf_mtod(frames[i], struct rte_ether_hdr *);
				struct rte_ether_addr mac = eth->dst_addr;
				eth->dst_addr = eth->src_addr;
				eth->src_addr = mac;
			}
			rte_eth_tx_burst(dp->ports[!side].ethdev, 0, frames, n);
		}
	}
	return bench_cycles() - start;
}

// --- runs ----------------------------------------------------------------------------------------

static void order_make(struct run *r, uint32_t n_legs)
{
	for (int side = 0; side < BED_SIDES; side++) {
		free(r->order[side]);
		r->order[side] = calloc(n_legs / BED_SIDES, sizeof(uint32_t));
		if (!r->order[side])
			bed_fail("no memory for the order");
		bench_shuffle(r->order[side], n_legs / BED_SIDES, &r->random);
		r->at[side] = 0;
	}
}

// Every leg's first packet, which makes its source known and begins its statistics, is no sample.
static void legs_warm(struct run *r)
{
	for (uint32_t i = 0; i < r->bed->n_legs / BED_SIDES; i += BATCH) {
		batch_put(r, false);
		batch_relay(r);
		batch_check(r, false);
	}
}

static void sample_take(struct run *r, struct bench *b, bool swapped)
{
	uint64_t cycles = 0, before = r->checked;

	for (int i = 0; i < BATCHES; i++) {
		batch_put(r, swapped);
		cycles += swapped ? batch_swap(r) : batch_relay(r);
		batch_check(r, swapped);
	}
	bench_add(b, (double)cycles / (BATCHES * BED_SIDES * BATCH));
	b->checked += r->checked - before;
}

// The switch's own counts must agree with ours, leg for leg, and no frame may be held.
static void counts_check(struct run *r, uint64_t relayed_before)
{
	struct td_worker *w = r->bed->w;
	uint64_t sent = 0;

	for (uint32_t i = 0; i < r->bed->n_legs; i++) {
		struct bed_leg *leg = &r->bed->legs[i];
		struct td_leg_stats stats, peer;
		td_leg_stats(w, leg->id, &stats);
		td_leg_stats(w, r->bed->legs[leg->peer].id, &peer);
		if (stats.rx_packets != leg->sent || peer.tx_packets != leg->sent ||
			stats.lost != 0 || stats.rx_bytes != (uint64_t)leg->sent * PAYLOAD)
			bed_fail("a leg counted wrong");
		sent += leg->sent;
	}
	if (w->counters[TD_C_RTP_RELAYED] - relayed_before != sent ||
		td_counters_balance(w->counters) != 0 || td_counters_drops(w->counters) != 0)
		bed_fail("the counters do not balance");
}

static double median_of(const struct bench *b)
{
	static struct bench copy;

	copy = *b;
	qsort(copy.sample, copy.n, sizeof(copy.sample[0]), bench_compare);
	return copy.sample[copy.n / 2];
}

static struct bench swap_new(const struct run *r)
{
	return (struct bench){
		.name = "rtp_relay.macswap",
		.unit = "TSC cycles/packet",
		.seed = r->seed,
		.yardstick = "the floor: what ports, rings and buffers cost",
		.method = "rx_burst, swap of MACs, tx_burst over the same ports and frames, in "
			  "turns with the relay",
	};
}

static void legs_start(struct run *r, uint32_t n_legs)
{
	bed_legs(r->bed, n_legs);
	order_make(r, n_legs);
	r->checked = 0;
}

static void relay_measure(
	struct run *r, const char *name, uint32_t n_legs, unsigned most, struct bench *swap)
{
	static struct bench b;
	char yardstick[96];
	uint64_t before = r->bed->w->counters[TD_C_RTP_RELAYED];

	*swap = swap_new(r);
	b = (struct bench){
		.name = name, .unit = "TSC cycles/packet", .seed = r->seed, .yardstick = yardstick
	};
	b.method = r->bed->huge ? "td_worker_turn over two net_ring ports, 214 B frames, random "
				  "leg order, 2 MiB pages, in "
				  "turns with macswap; quiet: median of the quarter beside the "
				  "lowest macswap"
				: "td_worker_turn over two net_ring ports, 214 B frames, random "
				  "leg order, 4 KiB pages, in "
				  "turns with macswap; quiet: median of the quarter beside the "
				  "lowest macswap";
	legs_start(r, n_legs);
	legs_warm(r);
	b.checked = r->checked;
	for (unsigned sample = 0, samples = bench_rounds(SAMPLES); sample < samples; sample++) {
		sample_take(r, swap, true);
		sample_take(r, &b, false);
	}
	counts_check(r, before);
	bench_quiet(&b, swap);
	snprintf(yardstick, sizeof(yardstick), "at most %u; macswap of this run %.1f", most,
		median_of(swap));
	bench_report(&b);
}

// Alone, where nobody wants the relay.
static void swap_measure(struct run *r, struct bench *swap)
{
	*swap = swap_new(r);
	legs_start(r, 1000);
	for (unsigned sample = 0, samples = bench_rounds(SAMPLES); sample < samples; sample++)
		sample_take(r, swap, true);
}

static bool wanted(const char *name)
{
	const char *only = getenv("ONLY");

	return !only || !*only || strcmp(only, "rtp_relay") == 0 || strcmp(only, name) == 0;
}

int main(void)
{
	static struct bed bed;
	static struct run run;
	static struct bench swap, swap_of_1m;
	uint32_t max = wanted("rtp_relay.1m") ? 1000000 : 1000;

	run.bed = &bed;
	run.seed = run.random = bench_seed();
	for (size_t i = 0; i < sizeof(voice); i++)
		voice[i] = (uint8_t)bench_random(&run.random);
	bed_start(&bed, max);
	if (wanted("rtp_relay.1k"))
		relay_measure(&run, "rtp_relay.1k", 1000, 120, &swap);
	else if (wanted("rtp_relay.macswap"))
		swap_measure(&run, &swap);
	if (wanted("rtp_relay.1m"))
		relay_measure(&run, "rtp_relay.1m", 1000000, 200, &swap_of_1m);
	if (wanted("rtp_relay.macswap"))
		bench_report(&swap);
	for (int side = 0; side < BED_SIDES; side++)
		free(run.order[side]);
	bed_stop(&bed);
	return 0;
}
