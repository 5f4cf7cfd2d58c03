// SPDX-License-Identifier: BSD-3-Clause
// Reception statistics of one RTP stream: loss with sequence cycles and restarts (RFC 3550 App.
// A.1, A.3), interarrival jitter in integer arithmetic (App. A.8).
//
// Two parts, so that a packet touches one cache line: struct td_rtp_stats with every packet, struct
// td_rtp_past only when a stream starts anew. Owner: one thread, which alone writes. Never
// allocates.
#pragma once

#include "media/rtp.h"

#include <assert.h>
#include <stdbool.h>

#define TD_RTP_MAX_DROPOUT 3000 // App. A.1
#define TD_RTP_MAX_MISORDER 100

struct td_rtp_stats {
	uint64_t packets; // valid ones, since the leg was opened
	uint64_t bytes;   // their UDP payload
	uint32_t ssrc;
	uint32_t transit; // arrival − timestamp, RTP clock
	uint32_t jitter;  // App. A.8: scaled by 16, RTP clock
	uint16_t max_seq;
	uint16_t cycles;
	uint8_t payload_type; // of the last packet; jitter is in its clock
	uint8_t state;        // TD_RTP_STATS_*
	uint8_t zero[2];
} __attribute__((packed, aligned(4)));

static_assert(sizeof(struct td_rtp_stats) == 36, "shares a cache line with all else of a leg");

enum {
	TD_RTP_STATS_STARTED = 1, // a first packet came: the sequence fields hold
	TD_RTP_STATS_JUMPED = 2,  // td_rtp_past.bad_seq holds
	TD_RTP_STATS_TRANSIT = 4, // transit holds: the next packet gives a jitter sample
};

struct td_rtp_past {
	uint64_t lost;         // by streams that ended in a restart
	uint64_t packets_base; // td_rtp_stats.packets when this stream began
	uint64_t jumped; // packets of this stream that were counted but lie outside its sequence
	uint16_t base_seq;
	uint16_t bad_seq; // one after the packet that jumped
};

// RTP clock of a payload type (RFC 3551 §6), 8000 where it is dynamic or unknown.
uint32_t td_rtp_clock_hz(uint8_t payload_type);
// Factor that turns nanoseconds into that clock: ticks = ns × factor / 2^64.
extern const uint64_t td_rtp_clock_factor[128];

// The packets that a plain one never is: the first, a jump, another SSRC, a late one.
void td_rtp_stats_odd(struct td_rtp_stats *stats, struct td_rtp_past *past, uint32_t ssrc,
	uint16_t seq, uint8_t payload_type);

// Counts one valid packet that arrived at now_ns (monotonic). bytes: its UDP payload.
static inline void td_rtp_stats_update(struct td_rtp_stats *stats, struct td_rtp_past *past,
	const struct td_rtp *rtp, uint32_t bytes, uint64_t now_ns)
{
	uint16_t ahead = (uint16_t)(rtp->seq - stats->max_seq);

	stats->packets++;
	stats->bytes += bytes;
	bool plain = (uint16_t)(ahead - 1) < TD_RTP_MAX_DROPOUT - 1 && stats->ssrc == rtp->ssrc &&
		     stats->payload_type == rtp->payload_type &&
		     (stats->state & TD_RTP_STATS_STARTED);
	if (__builtin_expect(plain, 1)) {
		stats->cycles = (uint16_t)(stats->cycles + (rtp->seq < stats->max_seq));
		stats->max_seq = rtp->seq;
	} else {
		td_rtp_stats_odd(stats, past, rtp->ssrc, rtp->seq, rtp->payload_type);
	}

	unsigned __int128 ticks =
		(unsigned __int128)now_ns * td_rtp_clock_factor[rtp->payload_type];
	uint32_t transit = (uint32_t)(ticks >> 64) - rtp->timestamp;
	int32_t d = (int32_t)(transit - stats->transit);
	uint32_t distance = d < 0 ? 0u - (uint32_t)d : (uint32_t)d;
	stats->transit = transit;
	if (__builtin_expect(stats->state & TD_RTP_STATS_TRANSIT, 1))
		stats->jitter += distance - ((stats->jitter + 8) >> 4);
	stats->state |= TD_RTP_STATS_TRANSIT;
}

// Expected − received over all streams so far (App. A.3), never negative.
uint64_t td_rtp_stats_lost(const struct td_rtp_stats *stats, const struct td_rtp_past *past);
double td_rtp_stats_jitter_ms(const struct td_rtp_stats *stats);
