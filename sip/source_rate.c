// SPDX-License-Identifier: BSD-3-Clause
#include "sip/source_rate.h"

#include "sip/token.h"

#define SECOND_NS 1000000000ull

// The bucket as the time at which it will be full again (GCRA): one number instead of two.
struct bucket {
	uint64_t full_at_ns;
	uint8_t ip[16];
	uint16_t realm;
	uint8_t family; // 0: free
};

struct td_source_rate {
	uint64_t key[2];
	uint64_t interval_ns; // of one request at the rate asked for last
	uint32_t per_second;  // that rate, so that a division is done only when it changes
	uint32_t mask;
	struct bucket buckets[];
};

struct td_source_rate *td_source_rate_new(
	const struct td_alloc *alloc, uint32_t entries, const uint64_t key[2])
{
	uint32_t n = 16;

	while (n < entries && n < 1u << 24)
		n *= 2;
	size_t bytes = sizeof(struct td_source_rate) + n * sizeof(struct bucket);
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

static bool bucket_is(const struct bucket *b, uint16_t realm, const struct td_sockaddr *source)
{
	return b->family == source->family && b->realm == realm &&
	       memcmp(b->ip, source->ip, sizeof(b->ip)) == 0;
}

// The source's own bucket, or the older of its two places, taken over.
static struct bucket *bucket_of(
	struct td_source_rate *rate, uint16_t realm, const struct td_sockaddr *source)
{
	uint8_t text[20] = { (uint8_t)realm, (uint8_t)(realm >> 8), source->family };

	memcpy(text + 4, source->ip, sizeof(source->ip));
	uint64_t hash = td_siphash(rate->key, text, sizeof(text));
	struct bucket *first = &rate->buckets[hash & rate->mask];
	struct bucket *second = &rate->buckets[hash >> 32 & rate->mask];
	if (bucket_is(first, realm, source))
		return first;
	if (bucket_is(second, realm, source))
		return second;
	struct bucket *b = first->full_at_ns <= second->full_at_ns ? first : second;
	*b = (struct bucket){ .realm = realm, .family = source->family };
	memcpy(b->ip, source->ip, sizeof(b->ip));
	return b;
}

bool td_source_rate_pass(struct td_source_rate *rate, uint64_t now_ns, uint16_t realm,
	const struct td_sockaddr *source, uint32_t per_second)
{
	if (per_second == 0)
		return true;
	if (per_second != rate->per_second) {
		rate->per_second = per_second;
		rate->interval_ns = SECOND_NS / per_second;
	}
	struct bucket *b = bucket_of(rate, realm, source);
	uint64_t full_at = (b->full_at_ns > now_ns ? b->full_at_ns : now_ns) + rate->interval_ns;
	if (full_at > now_ns + SECOND_NS)
		return false;
	b->full_at_ns = full_at;
	return true;
}
