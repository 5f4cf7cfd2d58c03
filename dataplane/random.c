// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define ROTATE(v, n) ((v) << (n) | (v) >> (32 - (n)))
#define QUARTER(a, b, c, d)                                                                        \
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
	uint32_t start[16] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 }, x[16];

	memcpy(start + 4, key, 32);
	start[12] = (uint32_t)counter;
	start[13] = (uint32_t)(counter >> 32);
	memcpy(x, start, sizeof(x));
	for (int round = 0; round < 10; round++) {
		QUARTER(x[0], x[4], x[8], x[12]);
		QUARTER(x[1], x[5], x[9], x[13]);
		QUARTER(x[2], x[6], x[10], x[14]);
		QUARTER(x[3], x[7], x[11], x[15]);
		QUARTER(x[0], x[5], x[10], x[15]);
		QUARTER(x[1], x[6], x[11], x[12]);
		QUARTER(x[2], x[7], x[8], x[13]);
		QUARTER(x[3], x[4], x[9], x[14]);
	}
	for (int i = 0; i < 16; i++) {
		uint32_t word = x[i] + start[i];
		memcpy(out + 4 * i, &word, 4);
	}
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
