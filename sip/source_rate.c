// SPDX-License-Identifier: BSD-3-Clause
#include "sip/source_rate.h"

#include "sip/hash.h"

#include <stdatomic.h>

// A bucket is one word, so that it changes hands and fills up in one step: a mark of the source
// above the time at which it will be full again (GCRA), in ticks and modulo 2^44, twelve days.
#define TIME_BITS 44
#define TIME_MASK ((1ull << TIME_BITS) - 1)
#define TICKS 16000000ull // a second's
#define TICK_OF_NS(ns) ((ns) / 125 * 2)

struct td_source_rate {
	uint64_t key[2];
	// Per second << 32 | ticks between two, at the rate asked for last: a division is done only
	// when it changes.
	_Atomic uint64_t rate;
	uint32_t mask;
	_Atomic uint64_t buckets[];
};

struct td_source_rate *td_source_rate_new(
	const struct td_alloc *alloc, uint32_t entries, const uint64_t key[2])
{
	uint32_t n = 16;

	while (n < entries && n < 1u << 20)
		n *= 2;
	size_t bytes = sizeof(struct td_source_rate) + n * sizeof(_Atomic uint64_t);
	struct td_source_rate *rate = alloc->alloc(alloc->ctx, bytes);
	if (!rate)
		return NULL;
	memset(rate, 0, bytes);
	memcpy(rate->key, key, sizeof(rate->key));
	rate->mask = n - 1;
	return rate;
}

void td_source_rate_free(struct td_source_rate *rate, const struct td_alloc *alloc)
{
	if (rate)
		alloc->free(alloc->ctx, rate);
}

static uint64_t source_hash(
	const struct td_source_rate *rate, uint16_t realm, const struct td_sockaddr *source)
{
	uint8_t text[20] = { (uint8_t)realm, (uint8_t)(realm >> 8), source->family };

	memcpy(text + 4, source->ip, sizeof(source->ip));
	return td_hash_of(rate->key, text, sizeof(text));
}

// Ticks until the bucket is full. None where it is full, or has not been touched for so long that
// its time says nothing.
static uint64_t fill_left(uint64_t bucket, uint64_t now)
{
	uint64_t left = (bucket - now) & TIME_MASK;

	return left <= TICKS ? left : 0;
}

// The source's own bucket, or the older of its two places.
static _Atomic uint64_t *bucket_of(struct td_source_rate *rate, uint64_t hash, uint64_t now)
{
	_Atomic uint64_t *first = &rate->buckets[hash & rate->mask];
	_Atomic uint64_t *second = &rate->buckets[hash >> 20 & rate->mask];
	uint64_t a = atomic_load_explicit(first, memory_order_relaxed);
	uint64_t b = atomic_load_explicit(second, memory_order_relaxed);

	if (((a ^ hash) & ~TIME_MASK) == 0)
		return first;
	if (((b ^ hash) & ~TIME_MASK) == 0)
		return second;
	return fill_left(a, now) <= fill_left(b, now) ? first : second;
}

static uint64_t interval_of(struct td_source_rate *rate, uint32_t per_second)
{
	uint64_t both = atomic_load_explicit(&rate->rate, memory_order_relaxed);

	if (both >> 32 != per_second) {
		both = (uint64_t)per_second << 32 | TICKS / per_second;
		atomic_store_explicit(&rate->rate, both, memory_order_relaxed);
	}
	return (uint32_t)both;
}

bool td_source_rate_pass(struct td_source_rate *rate, uint64_t now_ns, uint16_t realm,
	const struct td_sockaddr *source, uint32_t per_second)
{
	if (!rate || per_second == 0)
		return true;
	uint64_t hash = source_hash(rate, realm, source), now = TICK_OF_NS(now_ns);
	uint64_t interval = interval_of(rate, per_second);
	_Atomic uint64_t *bucket = bucket_of(rate, hash, now);
	uint64_t old = atomic_load_explicit(bucket, memory_order_relaxed), new;

	do {
		bool own = ((old ^ hash) & ~TIME_MASK) == 0;
		uint64_t left = (own ? fill_left(old, now) : 0) + interval;
		if (left > TICKS)
			return false;
		new = (hash & ~TIME_MASK) | ((now + left) & TIME_MASK);
	} while (!atomic_compare_exchange_weak_explicit(
		bucket, &old, new, memory_order_relaxed, memory_order_relaxed));
	return true;
}
