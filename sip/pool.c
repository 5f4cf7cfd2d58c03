// SPDX-License-Identifier: BSD-3-Clause
#include "sip/pool.h"

#include <errno.h>

#define LINE 64u

// Newton's iteration doubles the right bits of an odd number's inverse from five (x·x ≡ 1 mod 8) to
// all 64.
static uint64_t odd_inverse(uint64_t x)
{
	uint64_t inverse = x;

	for (int i = 0; i < 5; i++)
		inverse *= 2 - x * inverse;
	return inverse;
}

int td_pool_init(struct td_pool *pool, const struct td_alloc *alloc, uint32_t item_bytes,
	uint32_t capacity, uint32_t resident)
{
	memset(pool, 0, sizeof(*pool));
	item_bytes = (item_bytes + 15u) & ~15u;
	size_t numbers = 2 * (size_t)capacity * sizeof(uint32_t);
	size_t head = numbers + 2 * (size_t)LINE; // before the items, which are touched in order
	char *memory = td_reserve(alloc, head + (size_t)item_bytes * capacity,
		head + (size_t)item_bytes * resident);

	if (!memory)
		return -ENOMEM;
	pool->memory = memory;
	pool->free_slots = (uint32_t *)(void *)memory;
	pool->generations = pool->free_slots + capacity;
	char *end = memory + numbers;
	pool->items = end + (LINE - (uintptr_t)end % LINE) % LINE;
	pool->item_bytes = item_bytes;
	pool->capacity = pool->n_free = capacity;
	pool->shift = (uint32_t)__builtin_ctz(item_bytes);
	pool->inverse = odd_inverse(item_bytes >> pool->shift);
	for (uint32_t i = 0; i < capacity; i++) {
		pool->free_slots[i] = capacity - 1 - i;
		pool->generations[i] = 0;
	}
	return 0;
}

void td_pool_fini(struct td_pool *pool, const struct td_alloc *alloc)
{
	if (pool->memory)
		alloc->free(alloc->ctx, pool->memory);
	memset(pool, 0, sizeof(*pool));
}

void *td_pool_get(struct td_pool *pool)
{
	if (pool->n_free == 0)
		return NULL;
	uint32_t slot = pool->free_slots[--pool->n_free];
	char *item = pool->items + (size_t)slot * pool->item_bytes;

	pool->generations[slot]++;
	memset(item, 0, pool->item_bytes);
	return item;
}

void td_pool_put(struct td_pool *pool, void *item)
{
	uint32_t slot = td_pool_slot(pool, item);

	assert(slot < pool->capacity && (pool->generations[slot] & 1));
	pool->generations[slot]++;
	pool->free_slots[pool->n_free++] = slot;
}

uint32_t td_pool_slot(const struct td_pool *pool, const void *item)
{
	uint64_t offset = (uint64_t)((const char *)item - pool->items);

	return (uint32_t)((offset >> pool->shift) * pool->inverse);
}

uint32_t td_pool_generation(const struct td_pool *pool, const void *item)
{
	return pool->generations[td_pool_slot(pool, item)];
}

void *td_pool_find(const struct td_pool *pool, uint32_t slot, uint32_t generation)
{
	if (slot >= pool->capacity || !(generation & 1) || pool->generations[slot] != generation)
		return NULL;
	return pool->items + (size_t)slot * pool->item_bytes;
}
