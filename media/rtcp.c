// SPDX-License-Identifier: BSD-3-Clause
#include "media/rtcp.h"

// Fewest bytes that a packet of a type with that count may have (RFC 3550 §6.4–6.7).
static uint32_t packet_least(uint8_t type, uint8_t count)
{
	switch (type) {
	case TD_RTCP_SR:
		return 28 + 24u * count;
	case TD_RTCP_RR:
		return 8 + 24u * count;
	case TD_RTCP_SDES: // per chunk: SSRC and at least the END item, filled to a word
		return 4 + 8u * count;
	case TD_RTCP_BYE:
		return 4 + 4u * count;
	case TD_RTCP_APP:
		return 12;
	default:
		return 4;
	}
}

static bool padding_valid(const uint8_t *packet, uint32_t bytes, uint32_t least)
{
	uint8_t padding = packet[bytes - 1];

	return padding != 0 && padding % 4 == 0 && padding <= bytes - least;
}

bool td_rtcp_valid(const uint8_t *data, uint32_t len)
{
	// App. A.2: the first packet is SR or RR.
	if (len < 8 || (data[1] != TD_RTCP_SR && data[1] != TD_RTCP_RR))
		return false;

	uint32_t at = 0;
	while (at < len) {
		const uint8_t *packet = data + at;
		if (len - at < 4 || packet[0] >> 6 != 2)
			return false;
		uint32_t bytes = 4 + 4u * (uint32_t)(packet[2] << 8 | packet[3]);
		uint32_t least = packet_least(packet[1], packet[0] & 0x1f);
		if (bytes > len - at || bytes < least)
			return false;
		bool last = at + bytes == len;
		if (packet[0] & 0x20 && (!last || at == 0 || !padding_valid(packet, bytes, least)))
			return false;
		at += bytes;
	}
	return true;
}
