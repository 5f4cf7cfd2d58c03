// SPDX-License-Identifier: BSD-3-Clause
// Fixed-size objects with generations: all memory of the engine after start-up, beside the text in
// sip/slab.h. Owner: one thread. One allocation at creation, none later.
#pragma once

#include "include/span.h"

struct td_alloc { // where pools get their memory at start-up; a test fails the n-th
	void *(*alloc)(void *ctx, size_t bytes);
	void (*free)(void *ctx, void *ptr);
	void *ctx;
	// As alloc, for what begins with resident bytes that will be used; the rest may never be,
	// and is not touched before it is. NULL: alloc does.
	void *(*reserve)(void *ctx, size_t bytes, size_t resident);
};

static inline void *td_reserve(const struct td_alloc *alloc, size_t bytes, size_t resident)
{
	return alloc->reserve ? alloc->reserve(alloc->ctx, bytes, resident)
			      : alloc->alloc(alloc->ctx, bytes);
}

struct td_pool {
	char *items;
	uint32_t *free_slots;  // stack
	uint32_t *generations; // odd: in use
	uint32_t item_bytes, capacity, n_free;
	uint32_t shift;   // item_bytes = odd part << shift
	uint64_t inverse; // of the odd part, modulo 2^64: slots come without a division
	void *memory;     // what was allocated
};

// resident: how many of its items are expected to be in use at once; memory of further ones is
// touched when they are taken. 0, -ENOMEM.
int td_pool_init(struct td_pool *pool, const struct td_alloc *alloc, uint32_t item_bytes,
	uint32_t capacity, uint32_t resident);
void td_pool_fini(struct td_pool *pool, const struct td_alloc *alloc);
void *td_pool_get(struct td_pool *pool); // zeroed item, or NULL: empty
void td_pool_put(struct td_pool *pool, void *item);
uint32_t td_pool_slot(const struct td_pool *pool, const void *item);
uint32_t td_pool_generation(const struct td_pool *pool, const void *item);
// The item in slot if it is in use with that generation, else NULL. Safe on any numbers.
void *td_pool_find(const struct td_pool *pool, uint32_t slot, uint32_t generation);
static inline uint32_t td_pool_used(const struct td_pool *pool)
{
	return pool->capacity - pool->n_free;
}
