// SPDX-License-Identifier: BSD-3-Clause
// Framing of the management protocol (architecture §8): four bytes of length, big endian, then one
// Protobuf message of include/tandem.proto (TandemFrame). Pure, but for the buffer of a stream,
// which grows on the heap; any thread.
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
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

static inline uint32_t td_frame_payload(const uint8_t src[TD_FRAME_HEADER])
{
	return (uint32_t)src[0] << 24 | (uint32_t)src[1] << 16 | (uint32_t)src[2] << 8 | src[3];
}

// What came of a stream and was not taken yet, in [begin, end). All zero, and max: empty.
struct td_frames {
	uint8_t *bytes;
	size_t begin, end, cap;
	size_t max; // longest payload that is taken, at most TD_FRAME_MAX
};

// 1 and the payload of the next whole frame, which stays until the next td_frames_room(); 0: more
// bytes must come; -EMSGSIZE: what comes is longer than max, and nothing behind it makes sense.
static inline int td_frames_next(struct td_frames *f, const uint8_t **payload, size_t *len)
{
	size_t have = f->end - f->begin;

	if (have < TD_FRAME_HEADER)
		return 0;
	const uint8_t *at = f->bytes + f->begin;
	uint32_t n = td_frame_payload(at);
	if (n > TD_FRAME_MAX || n > f->max)
		return -EMSGSIZE;
	if (have - TD_FRAME_HEADER < n)
		return 0;
	*payload = at + TD_FRAME_HEADER;
	*len = n;
	f->begin += TD_FRAME_HEADER + (size_t)n;
	return 1;
}

// Makes room for at least so many bytes behind end; what they are is added to end by the caller.
// Grows with what really came, not with what a length field promises. false: no memory.
static inline bool td_frames_room(struct td_frames *f, size_t bytes)
{
	size_t have = f->end - f->begin, cap = f->cap ? f->cap : bytes;

	if (f->begin > 0)
		memmove(f->bytes, f->bytes + f->begin, have);
	f->begin = 0;
	f->end = have;
	if (f->cap - have >= bytes)
		return true;
	while (cap - have < bytes)
		cap *= 2;
	uint8_t *larger = (uint8_t *)realloc(f->bytes, cap);
	if (!larger)
		return false;
	f->bytes = larger;
	f->cap = cap;
	return true;
}

// A whole frame of the longest kind is there, and more: read no further before it is taken.
static inline bool td_frames_full(const struct td_frames *f)
{
	return f->end - f->begin > f->max + TD_FRAME_HEADER;
}

static inline void td_frames_free(struct td_frames *f)
{
	free(f->bytes);
	*f = (struct td_frames){ .max = f->max };
}
