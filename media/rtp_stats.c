// SPDX-License-Identifier: BSD-3-Clause
#include "media/rtp_stats.h"

// ns → ticks: hz × 2^64 / 10^9, so that the ticks are the upper half of one multiplication.
#define FACTOR(hz) ((uint64_t)(((unsigned __int128)(hz) << 64) / 1000000000u))

// RFC 3551 §6; what is missing there is dynamic, reserved or unassigned and taken for 8000 Hz.
const uint64_t td_rtp_clock_factor[128] = {
	[0 ... 5] = FACTOR(8000),
	[6] = FACTOR(16000),         // DVI4
	[7 ... 9] = FACTOR(8000),    // G722 (9) counts 8000 by an old mistake of the RFC
	[10 ... 11] = FACTOR(44100), // L16
	[12 ... 13] = FACTOR(8000),
	[14] = FACTOR(90000), // MPA
	[15] = FACTOR(8000),
	[16] = FACTOR(11025), // DVI4
	[17] = FACTOR(22050), // DVI4
	[18 ... 24] = FACTOR(8000),
	[25 ... 26] = FACTOR(90000), // CelB, JPEG
	[27] = FACTOR(8000),
	[28] = FACTOR(90000), // nv
	[29 ... 30] = FACTOR(8000),
	[31 ... 34] = FACTOR(90000), // H261, MPV, MP2T, H263
	[35 ... 127] = FACTOR(8000),
};

uint32_t td_rtp_clock_hz(uint8_t payload_type)
{
	// Rounded, for FACTOR() cut it off.
	unsigned __int128 hz =
		(unsigned __int128)td_rtp_clock_factor[payload_type & 0x7f] * 1000000000u;

	return (uint32_t)((hz + (1ull << 63)) >> 64);
}

static uint64_t stream_expected(const struct td_rtp_stats *stats, const struct td_rtp_past *past)
{
	uint64_t highest = ((uint64_t)stats->cycles << 16) + stats->max_seq;

	return highest - past->base_seq + 1;
}

// Lost of the stream now running.
static uint64_t stream_lost(
	const struct td_rtp_stats *stats, const struct td_rtp_past *past, uint64_t packets)
{
	uint64_t received = packets - past->packets_base - past->jumped;
	uint64_t expected = stream_expected(stats, past);

	return expected > received ? expected - received : 0;
}

// App. A.1, init_seq(): the packet at hand is the first of a stream. early: packets before it that
// belong to it.
static void stream_begin(struct td_rtp_stats *stats, struct td_rtp_past *past, uint32_t ssrc,
	uint16_t seq, uint8_t payload_type, uint16_t early)
{
	if (stats->state & TD_RTP_STATS_STARTED)
		past->lost += stream_lost(stats, past, stats->packets - 1 - early);
	past->packets_base = stats->packets - 1 - early;
	past->jumped = 0;
	stats->ssrc = ssrc;
	stats->payload_type = payload_type;
	stats->max_seq = seq;
	past->base_seq = (uint16_t)(seq - early);
	stats->cycles = seq < past->base_seq;
	stats->state = TD_RTP_STATS_STARTED;
}

void td_rtp_stats_odd(struct td_rtp_stats *stats, struct td_rtp_past *past, uint32_t ssrc,
	uint16_t seq, uint8_t payload_type)
{
	if (!(stats->state & TD_RTP_STATS_STARTED) || stats->ssrc != ssrc) {
		stream_begin(stats, past, ssrc, seq, payload_type, 0);
		return;
	}
	if (td_rtp_clock_factor[stats->payload_type] != td_rtp_clock_factor[payload_type]) {
		stats->jitter = 0; // it was in the other clock
		stats->state &= (uint8_t)~TD_RTP_STATS_TRANSIT;
	}
	stats->payload_type = payload_type;

	uint16_t ahead = (uint16_t)(seq - stats->max_seq);
	if (ahead < TD_RTP_MAX_DROPOUT) {
		stats->cycles = (uint16_t)(stats->cycles + (seq < stats->max_seq));
		stats->max_seq = seq;
	} else if (ahead <= 65536 - TD_RTP_MAX_MISORDER) {
		// A jump: believed when the next packet confirms it, for the sender has then
		// started anew.
		if (stats->state & TD_RTP_STATS_JUMPED && seq == past->bad_seq) {
			past->jumped--; // the packet that jumped is the new stream's first
			stream_begin(stats, past, ssrc, seq, payload_type, 1);
			return;
		}
		past->jumped++;
		past->bad_seq = (uint16_t)(seq + 1);
		stats->state =
			(uint8_t)((stats->state | TD_RTP_STATS_JUMPED) & ~TD_RTP_STATS_TRANSIT);
	}
}

uint64_t td_rtp_stats_lost(const struct td_rtp_stats *stats, const struct td_rtp_past *past)
{
	if (!(stats->state & TD_RTP_STATS_STARTED))
		return past->lost;
	return past->lost + stream_lost(stats, past, stats->packets);
}

double td_rtp_stats_jitter_ms(const struct td_rtp_stats *stats)
{
	return (double)stats->jitter / 16.0 * 1000.0 / td_rtp_clock_hz(stats->payload_type);
}
