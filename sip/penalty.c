// SPDX-License-Identifier: BSD-3-Clause
#include "sip/penalty.h"

#include "sip/hash.h"

enum { FREE_FAILURES = 2, MOST_DOUBLINGS = 9 };

#define SECOND_NS 1000000000ull
#define FORGIVEN_NS (3600 * SECOND_NS)

struct entry {
	uint64_t key; // 0: free
	uint64_t until_ns;
	uint32_t failures;
};

struct td_penalties {
	uint64_t key[2];
	uint32_t mask;
	uint32_t used; // entries; mostly none
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

static struct entry *entry_find(struct td_penalties *penalties, uint64_t key)
{
	struct entry *first = &penalties->entries[key >> 1 & penalties->mask];
	struct entry *second = &penalties->entries[key >> 32 & penalties->mask];

	if (first->key == key)
		return first;
	return second->key == key ? second : NULL;
}

uint32_t td_penalty_left(struct td_penalties *penalties, uint64_t now_ns, uint64_t source,
	struct td_span name)
{
	if (penalties->used == 0)
		return 0;
	const struct entry *e = entry_find(penalties, key_of(penalties, source, name));
	if (!e || e->failures <= FREE_FAILURES || e->until_ns <= now_ns)
		return 0;
	return (uint32_t)((e->until_ns - now_ns + SECOND_NS - 1) / SECOND_NS);
}

void td_penalty_failed(struct td_penalties *penalties, uint64_t now_ns, uint64_t source,
	struct td_span name)
{
	uint64_t key = key_of(penalties, source, name);
	struct entry *e = entry_find(penalties, key);

	if (!e) {
		struct entry *first = &penalties->entries[key >> 1 & penalties->mask];
		e = &penalties->entries[key >> 32 & penalties->mask];
		e = first->until_ns <= e->until_ns ? first : e;
		penalties->used += e->key == 0;
		*e = (struct entry){ .key = key };
	} else if (e->until_ns + FORGIVEN_NS <= now_ns) {
		e->failures = 0;
	}
	e->until_ns = now_ns;
	if (++e->failures <= FREE_FAILURES)
		return;
	uint32_t doublings = e->failures - FREE_FAILURES - 1;
	e->until_ns += SECOND_NS << (doublings < MOST_DOUBLINGS ? doublings : MOST_DOUBLINGS);
}

void td_penalty_passed(struct td_penalties *penalties, uint64_t source, struct td_span name)
{
	if (penalties->used == 0)
		return;
	struct entry *e = entry_find(penalties, key_of(penalties, source, name));
	if (!e)
		return;
	*e = (struct entry){ 0 };
	penalties->used--;
}
