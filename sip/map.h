// SPDX-License-Identifier: BSD-3-Clause
// A hash map of embedded nodes: one writer, many readers, nobody locks or waits. Of one key it may
// hold several nodes.
//
// The writer links and unlinks; readers walk under a grace period of their own (QSBR in the data
// plane). A node that was unlinked keeps its link: a reader that stands on it finds the rest of its
// chain. It is the writer's to reuse only when the grace period that began after is over. The heads
// are allocated at creation, nothing later.
//
// A map that is asked for many keys which it does not hold has a filter: two bytes for each head,
// with a bit for each node behind it. It is a quarter of the heads, and for most such keys the one
// line that is read.
#pragma once

#include "sip/pool.h"

#include <stdatomic.h>
#include <stdbool.h>

struct td_map_node {
	_Atomic(struct td_map_node *) next; // writer: wo, readers: ro
	uint64_t hash;
};

struct td_map {
	_Atomic(struct td_map_node *) *heads;
	uint64_t mask;
	_Atomic uint16_t *filter; // by head; NULL: there is none
	void *memory;
};

// heads: rounded up to a power of two. 0 or -ENOMEM.
int td_map_init(struct td_map *map, const struct td_alloc *alloc, uint64_t heads);
int td_map_init_filtered(struct td_map *map, const struct td_alloc *alloc, uint64_t heads);
void td_map_fini(struct td_map *map, const struct td_alloc *alloc);

// The head's place takes the low bits of a hash.
static inline uint16_t td_map_bit(uint64_t hash)
{
	return (uint16_t)(1u << (hash >> 60));
}

// --- writer ---

// Readers find it before older ones of the same hash. node->hash is set.
static inline void td_map_insert(struct td_map *map, struct td_map_node *node)
{
	_Atomic(struct td_map_node *) *head = &map->heads[node->hash & map->mask];

	if (map->filter) {
		_Atomic uint16_t *filter = &map->filter[node->hash & map->mask];
		uint16_t bits = atomic_load_explicit(filter, memory_order_relaxed);
		atomic_store_explicit(
			filter, bits | td_map_bit(node->hash), memory_order_relaxed);
	}
	atomic_store_explicit(&node->next, atomic_load_explicit(head, memory_order_relaxed),
		memory_order_relaxed);
	atomic_store_explicit(head, node, memory_order_release);
}

// Of a chain from which a node has gone.
static inline void td_map_refilter(struct td_map *map, uint64_t head)
{
	struct td_map_node *at = atomic_load_explicit(&map->heads[head], memory_order_relaxed);
	uint16_t bits = 0;

	for (; at; at = atomic_load_explicit(&at->next, memory_order_relaxed))
		bits |= td_map_bit(at->hash);
	atomic_store_explicit(&map->filter[head], bits, memory_order_relaxed);
}

// node is in the map.
static inline void td_map_remove(struct td_map *map, struct td_map_node *node)
{
	_Atomic(struct td_map_node *) *link = &map->heads[node->hash & map->mask];
	struct td_map_node *at;

	while ((at = atomic_load_explicit(link, memory_order_relaxed)) != node)
		link = &at->next;
	atomic_store_explicit(link, atomic_load_explicit(&node->next, memory_order_relaxed),
		memory_order_release);
	if (map->filter)
		td_map_refilter(map, node->hash & map->mask);
}

// --- readers ---

// A look-up reads memory that nobody has touched for long. Who knows of it in time asks for the
// head first and, when that has come, for the first node, of which so many bytes will be read.
static inline void td_map_prefetch_head(const struct td_map *map, uint64_t hash)
{
	__builtin_prefetch((const void *)&map->heads[hash & map->mask]);
}

static inline void td_map_prefetch_node(const struct td_map *map, uint64_t hash, size_t bytes)
{
	const char *node = (const char *)atomic_load_explicit(
		&map->heads[hash & map->mask], memory_order_acquire);
	const char *line = (const char *)((uintptr_t)node & ~(uintptr_t)63);

	for (; node && line < node + bytes; line += 64)
		__builtin_prefetch(line);
}

// false: nothing of that hash is in a map that has a filter.
static inline bool td_map_may_have(const struct td_map *map, uint64_t hash)
{
	uint16_t bits = atomic_load_explicit(&map->filter[hash & map->mask], memory_order_relaxed);

	return (bits & td_map_bit(hash)) != 0;
}

// Nodes of that hash: first, then next until NULL. Which of them has the key is the caller's to
// compare.
static inline struct td_map_node *td_map_match(struct td_map_node *at, uint64_t hash)
{
	while (at && at->hash != hash)
		at = atomic_load_explicit(&at->next, memory_order_acquire);
	return at;
}

static inline struct td_map_node *td_map_first(const struct td_map *map, uint64_t hash)
{
	return td_map_match(atomic_load_explicit(&map->heads[hash & map->mask],
				    memory_order_acquire), hash);
}

static inline struct td_map_node *td_map_next(const struct td_map_node *node)
{
	return td_map_match(
		atomic_load_explicit(&node->next, memory_order_acquire), node->hash);
}
