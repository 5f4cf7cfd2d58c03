// SPDX-License-Identifier: BSD-3-Clause
// Framing of the management protocol (architecture §8): four bytes of length, big endian, then one
// Protobuf message of include/tandem.proto (TandemFrame). Pure; any thread.
#pragma once

#include <stdint.h>
#include <string.h>

#define TD_FRAME_HEADER 4
#define TD_FRAME_MAX (16u << 20) // larger is refused and the connection closed

static inline void td_frame_header(uint8_t dst[TD_FRAME_HEADER], uint32_t length)
{
	dst[0] = (uint8_t)(length >> 24);
	dst[1] = (uint8_t)(length >> 16);
	dst[2] = (uint8_t)(length >> 8);
	dst[3] = (uint8_t)length;
}

// Payload length of the frame that starts at src: -1 more bytes are needed, -2 too long.
static inline int64_t td_frame_length(const uint8_t *src, size_t have)
{
	if (have < TD_FRAME_HEADER)
		return -1;
	uint32_t n =
		(uint32_t)src[0] << 24 | (uint32_t)src[1] << 16 | (uint32_t)src[2] << 8 | src[3];
	if (n > TD_FRAME_MAX)
		return -2;
	return have < TD_FRAME_HEADER + (size_t)n ? -1 : (int64_t)n;
}
