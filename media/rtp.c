// SPDX-License-Identifier: BSD-3-Clause
#include "media/rtp.h"

// RFC 3551 §6: 72–76 would read as SR, RR, SDES, BYE, APP with the marker set.
static int payload_type_reserved(uint8_t payload_type)
{
	return payload_type >= 72 && payload_type <= 76;
}

enum td_rtp_verdict td_rtp_check_rare(const uint8_t *data, uint32_t len, int mux)
{
	if (len < 2)
		return TD_RTP_BAD_LENGTH;
	if (data[0] >> 6 != 2)
		return TD_RTP_BAD_VERSION;
	if (mux && data[1] >= 192 && data[1] <= 223) // RFC 5761 §4
		return TD_RTP_IS_RTCP;

	uint32_t header = TD_RTP_HEADER_LEN + 4u * (data[0] & 0x0f);
	if (len < header)
		return TD_RTP_BAD_LENGTH;
	if (data[0] & 0x10) { // RFC 3550 §5.3.1: length in words, its own four bytes not counted
		if (len < header + 4)
			return TD_RTP_BAD_LENGTH;
		header += 4 + 4u * (uint32_t)(data[header + 2] << 8 | data[header + 3]);
		if (len < header)
			return TD_RTP_BAD_LENGTH;
	}
	if (data[0] & 0x20) { // the last byte counts the padding, itself included
		uint8_t padding = data[len - 1];
		if (padding == 0 || padding > len - header)
			return TD_RTP_BAD_LENGTH;
	}
	return payload_type_reserved(data[1] & 0x7f) ? TD_RTP_BAD_PAYLOAD : TD_RTP_OK;
}
