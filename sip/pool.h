// SPDX-License-Identifier: BSD-3-Clause
// Fixed-size objects with generations, and text blocks in size classes: all memory of the engine after start-up.
// Owner: one thread. One allocation at creation, none later.
#pragma once

#include "include/span.h"

struct td_alloc { // where pools get their memory at start-up; a test fails the n-th
	void *(*alloc)(void *ctx, size_t bytes);
	void (*free)(void *ctx, void *ptr);
	void *ctx;
};

struct td_pool {
	char *items;
	uint32_t *free_slots;  // stack
	uint32_t *generations; // odd: in use
	uint32_t item_bytes, capacity, n_free;
};

int td_pool_init(struct td_pool *pool, const struct td_alloc *alloc, uint32_t item_bytes, uint32_t capacity); // 0, -ENOMEM
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

// Text of calls and transactions: blocks of 64 B … 64 KiB (powers of two and their 1.5-folds) from one arena.
struct td_slab;
struct td_slab *td_slab_new(const struct td_alloc *alloc, size_t arena_bytes); // NULL: ENOMEM
void td_slab_free_all(struct td_slab *slab, const struct td_alloc *alloc);
char *td_slab_get(struct td_slab *slab, uint32_t len); // NULL: empty; len 0 gives a block too
void td_slab_put(struct td_slab *slab, char *block);    // NULL is fine
struct td_span td_slab_dup(struct td_slab *slab, struct td_span text); // ptr NULL: empty
size_t td_slab_used(const struct td_slab *slab); // bytes in blocks that are lent
