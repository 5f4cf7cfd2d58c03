// SPDX-License-Identifier: BSD-3-Clause
// Seeded hashes for tables and comparisons inside the process: SipHash with one round a word and
// three at the end, which nobody who does not see them can aim at. What leaves the process, or
// proves something, is td_siphash() (token.h), with twice as many. Pure; any thread; never
// allocates.
#pragma once

#include "include/span.h"

struct td_hash {
	uint64_t v[4];
};

static inline uint64_t td_hash_load(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

static inline uint64_t td_hash_rotate(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

static inline void td_hash_round(struct td_hash *h)
{
	uint64_t *v = h->v;

	v[0] += v[1];
	v[2] += v[3];
	v[1] = td_hash_rotate(v[1], 13) ^ v[0];
	v[3] = td_hash_rotate(v[3], 16) ^ v[2];
	v[0] = td_hash_rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = td_hash_rotate(v[1], 17) ^ v[2];
	v[3] = td_hash_rotate(v[3], 21) ^ v[0];
	v[2] = td_hash_rotate(v[2], 32);
}

static inline void td_hash_begin(struct td_hash *h, const uint64_t key[2])
{
	h->v[0] = key[0] ^ 0x736f6d6570736575u;
	h->v[1] = key[1] ^ 0x646f72616e646f6du;
	h->v[2] = key[0] ^ 0x6c7967656e657261u;
	h->v[3] = key[1] ^ 0x7465646279746573u;
}

static inline void td_hash_word(struct td_hash *h, uint64_t word)
{
	h->v[3] ^= word;
	td_hash_round(h);
	h->v[0] ^= word;
}

// The bytes behind the last whole word of a text, the first of them lowest.
static inline uint64_t td_hash_rest(const uint8_t *p, size_t len)
{
	const size_t n = len % 8;
	uint64_t rest = 0;

	if (n == 0)
		return 0;
	if (len > 8) // the word that ends with the text, without what was taken
		return td_hash_load(p + len - 8) >> 8 * (8 - n);
	p += len - n;
	for (size_t i = 0; i < n; i++)
		rest |= (uint64_t)p[i] << (8 * i);
	return rest;
}

static inline void td_hash_words(struct td_hash *h, const uint8_t *p, size_t len)
{
	for (; len >= 8; p += 8, len -= 8)
		td_hash_word(h, td_hash_load(p));
}

// One text of several, by its kind and length: no two sequences of texts look alike.
static inline void td_hash_text(struct td_hash *h, uint32_t kind, struct td_span text)
{
	const uint8_t *p = (const uint8_t *)text.ptr;

	td_hash_word(h, (uint64_t)kind << 32 | text.len);
	td_hash_words(h, p, text.len);
	if (text.len % 8 != 0)
		td_hash_word(h, td_hash_rest(p, text.len));
}

static inline uint64_t td_hash_folded(const struct td_hash *h)
{
	return h->v[0] ^ h->v[1] ^ h->v[2] ^ h->v[3];
}

static inline uint64_t td_hash_end(struct td_hash *h)
{
	h->v[2] ^= 0xff;
	td_hash_round(h);
	td_hash_round(h);
	td_hash_round(h);
	return td_hash_folded(h);
}

// SipHash-1-3 of one text.
uint64_t td_hash_of(const uint64_t key[2], const void *data, size_t len);
