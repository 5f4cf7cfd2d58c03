// SPDX-License-Identifier: BSD-3-Clause
// The Internet checksum (RFC 1071): whole, and folded into an existing one (RFC 1624 eqn. 3). Any
// thread; pure.
//
// Sums are ones' complement in the byte order of the wire, 64 bits wide and unfolded until somebody
// needs the 16.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

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

#if defined(__SSE2__)

// Words of 32 bits in lanes of 64: the lanes cannot overflow before 2^32 words.
static inline __m128i td_sum_lanes(__m128i sum, const uint8_t *p)
{
	__m128i v = _mm_loadu_si128((const __m128i *)p);

	sum = _mm_add_epi64(sum, _mm_srli_epi64(v, 32));
	return _mm_add_epi64(sum, _mm_and_si128(v, _mm_set1_epi64x(0xffffffff)));
}

// The whole blocks of 32 bytes.
static inline uint64_t td_sum_blocks(const uint8_t **data, size_t *len)
{
	const uint8_t *p = *data, *end = p + (*len & ~(size_t)31);
	__m128i a = _mm_setzero_si128(), b = a;

	for (; p != end; p += 32) {
		a = td_sum_lanes(a, p);
		b = td_sum_lanes(b, p + 16);
	}
	a = _mm_add_epi64(a, b);
	*data = p;
	*len &= 31;
	return (uint64_t)_mm_cvtsi128_si64(a) + (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(a, a));
}

#else

static inline uint64_t td_sum_blocks(const uint8_t **data, size_t *len)
{
	uint64_t sum = 0;

	for (; *len >= 8; *data += 8, *len -= 8)
		sum = td_sum_add(sum, td_sum_load(*data));
	return sum;
}

#endif

// Sum of len bytes; an odd last byte counts as if a zero followed.
static inline uint64_t td_sum_bytes(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t sum = td_sum_blocks(&p, &len);

	for (; len >= 8; p += 8, len -= 8)
		sum = td_sum_add(sum, td_sum_load(p));
	// By size and not by memcpy: a word put together from bytes would be waited for.
	if (len & 4) {
		uint32_t word;
		memcpy(&word, p, sizeof(word));
		sum = td_sum_add(sum, word);
		p += sizeof(word);
	}
	if (len & 2) {
		uint16_t word;
		memcpy(&word, p, sizeof(word));
		sum = td_sum_add(sum, word);
		p += sizeof(word);
	}
	return len & 1 ? td_sum_add(sum, *p) : sum;
}

// Is a sum over data and their checksum what it must be? It folds to 0xffff when it is a multiple of it, which the
// compiler asks with one multiplication.
static inline bool td_sum_good(uint64_t sum)
{
	return sum % 0xffff == 0 && sum != 0;
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
