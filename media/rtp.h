// SPDX-License-Identifier: BSD-3-Clause
// The RTP header as it lies on the wire (RFC 3550 §5.1) and what of it can be checked without a
// session. Pure; any thread; never allocates.
#pragma once

#include <stdint.h>
#include <string.h>

#define TD_RTP_HEADER_LEN 12 // bytes, without CSRC list and extension

enum td_rtp_verdict {
	TD_RTP_OK,
	TD_RTP_BAD_VERSION,
	TD_RTP_BAD_LENGTH,  // CSRC list, extension or padding reach beyond the packet
	TD_RTP_BAD_PAYLOAD, // payload type that RFC 3551 §6 keeps free for RTCP
	TD_RTP_IS_RTCP,     // RFC 5761 §4, only where mux was agreed
};

struct td_rtp {
	uint32_t ssrc, timestamp;
	uint16_t seq;
	uint8_t payload_type; // 0–127
	uint8_t marker;
};

// The part of td_rtp_check() that a plain packet never needs: padding, extension, CSRC list, odd
// payload types.
enum td_rtp_verdict td_rtp_check_rare(const uint8_t *data, uint32_t len, int mux);

// Checks version, lengths and payload type (RFC 3550 App. A.1). mux: RTCP may share the port.
static inline enum td_rtp_verdict td_rtp_check(const uint8_t *data, uint32_t len, int mux)
{
	// No padding, extension or CSRC, and a payload type outside 64–95: nearly every packet
	// there is.
	if (len >= TD_RTP_HEADER_LEN && data[0] == 0x80 && (data[1] & 0x60) != 0x40)
		return TD_RTP_OK;
	return td_rtp_check_rare(data, len, mux);
}

// Reads the fixed header; only after TD_RTP_OK.
static inline struct td_rtp td_rtp_read(const uint8_t *data)
{
	uint64_t head;
	uint32_t ssrc;

	memcpy(&head, data, 8);
	memcpy(&ssrc, data + 8, 4);
	head = __builtin_bswap64(head);
	return (struct td_rtp){
		.seq = (uint16_t)(head >> 32),
		.timestamp = (uint32_t)head,
		.ssrc = __builtin_bswap32(ssrc),
		.payload_type = head >> 48 & 0x7f,
		.marker = head >> 55 & 1,
	};
}
