// SPDX-License-Identifier: BSD-3-Clause
// RTP and RTCP checks and the statistics. First byte: bit 0 mux; the rest is cut into datagrams by
// a length byte each.
#include "media/rtcp.h"
#include "media/rtp_stats.h"
#include "tests/fuzz/must.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void datagram(struct td_rtp_stats *stats, struct td_rtp_past *past, const uint8_t *data,
	uint32_t len, int mux, uint64_t now_ns)
{
	enum td_rtp_verdict verdict = td_rtp_check(data, len, mux);

	must(mux || verdict != TD_RTP_IS_RTCP);
	must(!td_rtcp_valid(data, len) || len % 4 == 0);
	if (verdict != TD_RTP_OK)
		return;
	must(td_rtp_check_rare(data, len, mux) == TD_RTP_OK); // the quick answer is the whole one's
	struct td_rtp rtp = td_rtp_read(data);
	uint64_t before = td_rtp_stats_lost(stats, past);
	td_rtp_stats_update(stats, past, &rtp, len, now_ns);
	// Lost can shrink only by what came late, one by one.
	uint64_t after = td_rtp_stats_lost(stats, past);
	must(after + 2 >= before && after < (1ull << 40));
	must(td_rtp_stats_jitter_ms(stats) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct td_rtp_stats stats = { 0 };
	struct td_rtp_past past = { 0 };
	uint64_t now_ns = 1ull << 40;

	if (size == 0)
		return 0;
	int mux = data[0] & 1;
	for (size_t at = 1; at < size; now_ns += 20000000) {
		size_t len = data[at++];
		if (len > size - at)
			len = size - at;
		// On a block of its own: the checks may not look beyond the datagram.
		uint8_t *exact = malloc(len ? len : 1);
		if (!exact)
			return 0;
		memcpy(exact, data + at, len);
		datagram(&stats, &past, exact, (uint32_t)len, mux, now_ns);
		free(exact);
		at += len;
	}
	return 0;
}
