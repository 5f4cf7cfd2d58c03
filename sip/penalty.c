// SPDX-License-Identifier: BSD-3-Clause
#include "sip/penalty.h"

#include "sip/hash.h"

#include <stdatomic.h>

enum { FREE_FAILURES = 2, MOST_DOUBLINGS = 9 };

#define FORGIVEN_MS 3600000ull

// A failure that is counted beside another's, where two workers meet in one place, makes somebody
// wait a little sooner; nothing else comes of it.
struct entry {
	_Atomic uint64_t key;   // 0: free
	_Atomic uint64_t state; // until when, in ms, above the number of failures
};

#define FAILURES_BITS 8
#define FAILURES_MASK ((1ull << FAILURES_BITS) - 1)

struct td_penalties {
	uint64_t key[2];
	uint32_t mask;
	_Atomic uint32_t used; // entries; mostly none
	struct entry entries[];
};

struct td_penalties *td_penalties_new(
	const struct td_alloc *alloc, uint32_t entries, const uint64_t key[2])
{
	uint32_t n = 16;

	while (n < entries && n < 1u << 24)
		n *= 2;
	size_t bytes = sizeof(struct td_penalties) + n * sizeof(struct entry);
	struct td_penalties *penalties = alloc->alloc(alloc->ctx, bytes);
	if (!penalties)
		return NULL;
	memset(penalties, 0, bytes);
	memcpy(penalties->key, key, sizeof(penalties->key));
	penalties->mask = n - 1;
	return penalties;
}

void td_penalties_free(struct td_penalties *penalties, const struct td_alloc *alloc)
{
	if (penalties)
		alloc->free(alloc->ctx, penalties);
}

static uint64_t key_of(
	const struct td_penalties *penalties, uint64_t source, struct td_span name)
{
	const uint64_t both[2] = { source, td_hash_of(penalties->key, name.ptr, name.len) };

	return td_hash_of(penalties->key, both, sizeof(both)) | 1;
}

static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static bool swap(_Atomic uint64_t *word, uint64_t *old, uint64_t new)
{
	return atomic_compare_exchange_strong_explicit(
		word, old, new, memory_order_relaxed, memory_order_relaxed);
}

static struct entry *entry_find(struct td_penalties *penalties, uint64_t key)
{
	struct entry *first = &penalties->entries[key >> 1 & penalties->mask];
	struct entry *second = &penalties->entries[key >> 32 & penalties->mask];

	if (load(&first->key) == key)
		return first;
	return load(&second->key) == key ? second : NULL;
}

// The older of its two places.
static struct entry *entry_take(struct td_penalties *penalties, uint64_t key)
{
	struct entry *first = &penalties->entries[key >> 1 & penalties->mask];
	struct entry *second = &penalties->entries[key >> 32 & penalties->mask];
	struct entry *e = load(&first->state) <= load(&second->state) ? first : second;
	uint64_t old = load(&e->key);

	if (!swap(&e->key, &old, key))
		return NULL;
	if (old == 0)
		atomic_fetch_add_explicit(&penalties->used, 1, memory_order_relaxed);
	atomic_store_explicit(&e->state, 0, memory_order_relaxed);
	return e;
}

static bool has_none(const struct td_penalties *penalties)
{
	return atomic_load_explicit(&penalties->used, memory_order_relaxed) == 0;
}

uint32_t td_penalty_left(struct td_penalties *penalties, uint64_t now_ns, uint64_t source,
	struct td_span name)
{
	if (has_none(penalties))
		return 0;
	const struct entry *e = entry_find(penalties, key_of(penalties, source, name));
	uint64_t state = e ? load(&e->state) : 0, now_ms = now_ns / 1000000;
	uint64_t until_ms = state >> FAILURES_BITS;

	if ((state & FAILURES_MASK) <= FREE_FAILURES || until_ms <= now_ms)
		return 0;
	return (uint32_t)((until_ms - now_ms + 999) / 1000);
}

static uint64_t state_after(uint64_t state, uint64_t now_ms)
{
	uint64_t failures = state & FAILURES_MASK, until_ms = now_ms;

	if ((state >> FAILURES_BITS) + FORGIVEN_MS <= now_ms)
		failures = 0;
	if (failures < FAILURES_MASK)
		failures++;
	if (failures > FREE_FAILURES) {
		uint64_t doublings = failures - FREE_FAILURES - 1;
		until_ms += 1000ull << (doublings < MOST_DOUBLINGS ? doublings : MOST_DOUBLINGS);
	}
	return until_ms << FAILURES_BITS | failures;
}

void td_penalty_failed(struct td_penalties *penalties, uint64_t now_ns, uint64_t source,
	struct td_span name)
{
	uint64_t key = key_of(penalties, source, name);
	struct entry *e = entry_find(penalties, key);

	if (!e)
		e = entry_take(penalties, key);
	if (!e)
		return; // another has just taken it
	uint64_t state = load(&e->state);
	while (!swap(&e->state, &state, state_after(state, now_ns / 1000000)))
		;
}

void td_penalty_passed(struct td_penalties *penalties, uint64_t source, struct td_span name)
{
	if (has_none(penalties))
		return;
	uint64_t key = key_of(penalties, source, name);
	struct entry *e = entry_find(penalties, key);
	if (!e || !swap(&e->key, &key, 0))
		return;
	atomic_store_explicit(&e->state, 0, memory_order_relaxed);
	atomic_fetch_sub_explicit(&penalties->used, 1, memory_order_relaxed);
}
