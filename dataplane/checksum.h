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
	// Added to itself with its halves exchanged: the upper half then has the lower one's carry.
	uint32_t word = (uint32_t)((sum + (sum << 32 | sum >> 32)) >> 32);

	return (uint16_t)((word + (word << 16 | word >> 16)) >> 16);
}

// The compiler puts no chain of additions with carry together from C, and of vectors half of every
// word must be masked away: the chain takes one instruction for eight bytes.
#if defined(__x86_64__)

// The data were written as whatever they are.
struct td_sum_block32 {
	uint64_t words[4];
} __attribute__((packed, may_alias));

static inline uint64_t td_sum_16(uint64_t sum, const uint8_t *p)
{
	const struct td_sum_block32 *b = (const struct td_sum_block32 *)p;

	__asm__("addq %1, %0\n\tadcq %2, %0\n\tadcq $0, %0"
		: "+r"(sum)
		: "m"(b->words[0]), "m"(b->words[1])
		: "cc");
	return sum;
}

static inline uint64_t td_sum_32(uint64_t sum, const uint8_t *p)
{
	const struct td_sum_block32 *b = (const struct td_sum_block32 *)p;

	__asm__("addq %1, %0\n\tadcq %2, %0\n\tadcq %3, %0\n\tadcq %4, %0\n\tadcq $0, %0"
		: "+r"(sum)
		: "m"(b->words[0]), "m"(b->words[1]), "m"(b->words[2]), "m"(b->words[3])
		: "cc");
	return sum;
}

static inline uint64_t td_sum_64(uint64_t sum, const uint8_t *p)
{
	const struct td_sum_block32 *b = (const struct td_sum_block32 *)p;

	__asm__("addq %1, %0\n\tadcq %2, %0\n\tadcq %3, %0\n\tadcq %4, %0\n\t"
		"adcq %5, %0\n\tadcq %6, %0\n\tadcq %7, %0\n\tadcq %8, %0\n\tadcq $0, %0"
		: "+r"(sum)
		: "m"(b[0].words[0]), "m"(b[0].words[1]), "m"(b[0].words[2]), "m"(b[0].words[3]),
		"m"(b[1].words[0]), "m"(b[1].words[1]), "m"(b[1].words[2]), "m"(b[1].words[3])
		: "cc");
	return sum;
}

#else

static inline uint64_t td_sum_16(uint64_t sum, const uint8_t *p)
{
	return td_sum_add(td_sum_add(sum, td_sum_load(p)), td_sum_load(p + 8));
}

static inline uint64_t td_sum_32(uint64_t sum, const uint8_t *p)
{
	return td_sum_16(td_sum_16(sum, p), p + 16);
}

static inline uint64_t td_sum_64(uint64_t sum, const uint8_t *p)
{
	return td_sum_32(td_sum_32(sum, p), p + 32);
}

#endif

// The last 15 bytes or fewer.
static inline uint64_t td_sum_tail(uint64_t sum, const uint8_t *p, size_t len)
{
	// By size and not by memcpy: a word put together from bytes would be waited for.
	if (len & 8) {
		sum = td_sum_add(sum, td_sum_load(p));
		p += 8;
	}
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

// Sum of len bytes; an odd last byte counts as if a zero followed.
static inline uint64_t td_sum_bytes(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t sum = 0;

	for (size_t blocks = len / 64; blocks > 0; blocks--, p += 64)
		sum = td_sum_64(sum, p);
	if (len & 32) {
		sum = td_sum_32(sum, p);
		p += 32;
	}
	if (len & 16) {
		sum = td_sum_16(sum, p);
		p += 16;
	}
	return len & 15 ? td_sum_tail(sum, p, len) : sum;
}

// Is a sum over data and their checksum what it must be? It folds to 0xffff when it is a multiple
// of it, which the
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
	return td_sum_add(
		td_sum_bytes(ip + 8, 32), ((uint64_t)protocol << 8) + __builtin_bswap16(len));
}
