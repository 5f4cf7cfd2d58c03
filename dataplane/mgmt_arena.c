// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/mgmt_arena.h"

#include <stdlib.h>

#define CHUNK_BYTES (256u << 10)

struct td_arena_chunk {
	struct td_arena_chunk *next;
	size_t cap, used;
	char data[] __attribute__((aligned(16)));
};

static struct td_arena_chunk *chunk_new(struct td_arena *arena, size_t bytes)
{
	size_t cap = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;

	if (cap > TD_ARENA_MAX - arena->bytes)
		return NULL;
	struct td_arena_chunk *chunk = malloc(sizeof(*chunk) + cap);
	if (!chunk)
		return NULL;
	*chunk = (struct td_arena_chunk){ .next = arena->chunks, .cap = cap };
	arena->chunks = chunk;
	arena->bytes += cap;
	return chunk;
}

static void *arena_alloc(void *data, size_t bytes)
{
	struct td_arena *arena = data;
	struct td_arena_chunk *chunk = arena->chunks;

	if (bytes > TD_ARENA_MAX)
		return NULL;
	bytes = (bytes + 15) & ~(size_t)15;
	if (!chunk || chunk->cap - chunk->used < bytes)
		chunk = chunk_new(arena, bytes);
	if (!chunk)
		return NULL;
	void *ptr = chunk->data + chunk->used;
	chunk->used += bytes;
	return ptr;
}

static void arena_free(void *data, void *ptr)
{
}

void td_arena_init(struct td_arena *arena)
{
	*arena = (struct td_arena){ .allocator = { arena_alloc, arena_free, arena } };
}

void td_arena_reset(struct td_arena *arena)
{
	while (arena->chunks && arena->chunks->next) {
		struct td_arena_chunk *chunk = arena->chunks;
		arena->chunks = chunk->next;
		arena->bytes -= chunk->cap;
		free(chunk);
	}
	if (arena->chunks)
		arena->chunks->used = 0;
}

void td_arena_fini(struct td_arena *arena)
{
	td_arena_reset(arena);
	free(arena->chunks);
	arena->chunks = NULL;
	arena->bytes = 0;
}
