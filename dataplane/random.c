// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

// The state is four rows of four words, and a round works on its columns: four of them at once in
// the compiler's own vectors.
typedef uint32_t row __attribute__((vector_size(16)));

#define ROTATE(v, n) ((v) << (n) | (v) >> (32 - (n)))
#define TURN(v, n) __builtin_shufflevector(v, v, (n)&3, ((n) + 1) & 3, ((n) + 2) & 3, ((n) + 3) & 3)
#define QUARTERS(a, b, c, d)                                                                       \
	do {                                                                                       \
		a += b;                                                                            \
		d = ROTATE(d ^ a, 16);                                                             \
		c += d;                                                                            \
		b = ROTATE(b ^ c, 12);                                                             \
		a += b;                                                                            \
		d = ROTATE(d ^ a, 8);                                                              \
		c += d;                                                                            \
		b = ROTATE(b ^ c, 7);                                                              \
	} while (0)

void td_chacha20_block(const uint32_t key[8], uint64_t counter, uint8_t out[64])
{
	const row start[4] = { { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 },
		{ key[0], key[1], key[2], key[3] }, { key[4], key[5], key[6], key[7] },
		{ (uint32_t)counter, (uint32_t)(counter >> 32) } };
	row a = start[0], b = start[1], c = start[2], d = start[3];

	for (int round = 0; round < 10; round++) {
		QUARTERS(a, b, c, d);
		b = TURN(b, 1);
		c = TURN(c, 2);
		d = TURN(d, 3);
		QUARTERS(a, b, c, d);
		b = TURN(b, 3);
		c = TURN(c, 2);
		d = TURN(d, 1);
	}
	const row end[4] = { a + start[0], b + start[1], c + start[2], d + start[3] };
	memcpy(out, end, sizeof(end));
}

void td_random_seed(struct td_random *random, const uint8_t key[32])
{
	memset(random, 0, sizeof(*random));
	memcpy(random->key, key, 32);
	random->used = sizeof(random->pool);
}

int td_random_init(struct td_random *random)
{
	uint8_t key[32];

	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		return -EIO;
	td_random_seed(random, key);
	explicit_bzero(key, sizeof(key));
	return 0;
}

static void pool_refill(struct td_random *random)
{
	for (uint32_t at = 0; at < sizeof(random->pool); at += 64)
		td_chacha20_block(random->key, random->block++, random->pool + at);
	memcpy(random->key, random->pool, 32);
	random->used = 32;
}

void td_random_bytes(struct td_random *random, void *dst, uint32_t len)
{
	uint8_t *out = dst;

	while (len > 0) {
		if (random->used == sizeof(random->pool))
			pool_refill(random);
		uint32_t n = (uint32_t)sizeof(random->pool) - random->used;
		n = n < len ? n : len;
		memcpy(out, random->pool + random->used, n);
		memset(random->pool + random->used, 0,
			n); // what was given out cannot be read here again
		random->used += n;
		out += n;
		len -= n;
	}
}
