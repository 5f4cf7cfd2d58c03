// SPDX-License-Identifier: BSD-3-Clause
// The Internet checksum (RFC 1071): whole, and folded into an existing one (RFC 1624 eqn. 3). Any
// thread; pure.
//
// Sums are ones' complement in the byte order of the wire, 64 bits wide and unfolded until somebody
// needs the 16.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t td_sum_add(uint64_t a, uint64_t b)
{
	uint64_t s = a + b;

	return s + (s < b);
}

static inline uint64_t td_sum_load(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint16_t td_sum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

// Sum of len bytes; an odd last byte counts as if a zero followed. Four chains, because an add with
// carry waits for the one before it.
static inline uint64_t td_sum_bytes(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t a = 0, b = 0, c = 0, d = 0;

	for (; len >= 32; p += 32, len -= 32) {
		a = td_sum_add(a, td_sum_load(p));
		b = td_sum_add(b, td_sum_load(p + 8));
		c = td_sum_add(c, td_sum_load(p + 16));
		d = td_sum_add(d, td_sum_load(p + 24));
	}
	for (; len >= 8; p += 8, len -= 8)
		a = td_sum_add(a, td_sum_load(p));
	if (len > 0) {
		uint64_t tail = 0;
		memcpy(&tail, p, len);
		b = td_sum_add(b, tail);
	}
	return td_sum_add(td_sum_add(a, b), td_sum_add(c, d));
}

// The checksum over words that sum up to that; in the order of the wire.
static inline uint16_t td_checksum_of(uint64_t sum)
{
	return (uint16_t)~td_sum_fold(sum);
}

// The same for UDP, where 0 would say that there is none (RFC 768).
static inline uint16_t td_checksum_udp_of(uint64_t sum)
{
	uint16_t c = td_checksum_of(sum);

	return c == 0 ? 0xffff : c;
}

// A checksum after the words that summed up to `before` were replaced by words that sum up to
// `after`.
static inline uint64_t td_checksum_change(uint16_t checksum, uint64_t before, uint64_t after)
{
	return (uint64_t)(uint16_t)~checksum + (uint16_t)~td_sum_fold(before) + td_sum_fold(after);
}

// IPv4 header without options; a received one is right when the sum over all of it folds to 0xffff.
static inline uint64_t td_sum_ip4_header(const uint8_t *ip)
{
	uint32_t last;

	memcpy(&last, ip + 16, sizeof(last));
	return td_sum_add(td_sum_add(td_sum_load(ip), td_sum_load(ip + 8)), last);
}

// Pseudo-headers (RFC 768, RFC 8200 §8.1). protocol in host order; len: of the upper layer in
// bytes.
static inline uint64_t td_sum_pseudo4(const uint8_t *ip, uint8_t protocol, uint16_t len)
{
	return td_sum_add(td_sum_load(ip + 12), ((uint64_t)protocol << 8) + __builtin_bswap16(len));
}

static inline uint64_t td_sum_pseudo6(const uint8_t *ip, uint8_t protocol, uint16_t len)
{
	return td_sum_add(td_sum_bytes(ip + 8, 32), ((uint64_t)protocol << 8) + __builtin_bswap16(len));
}
