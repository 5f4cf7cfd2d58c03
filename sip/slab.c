// SPDX-License-Identifier: BSD-3-Clause
#include "sip/slab.h"

enum {
	CHUNK_BITS = 16,
	CHUNK_BYTES = 1 << CHUNK_BITS,
	N_CLASSES = 41, // 64, 80, 96, 112, 128, 160 … 65536: four sizes to a doubling
	LINE = 64,
};

static_assert(CHUNK_BYTES == TD_SLAB_BLOCK_MAX, "the largest block is a chunk of its own");

// A lent block is the borrower's; a free one holds the link to the next free one of its chunk.
struct block {
	struct block *next;
};

struct chunk {
	struct chunk *next,
		**prev; // chunks of a class with room, or the unused ones; prev NULL: full
	struct block *free;
	uint32_t n_lent, n_cut; // blocks lent; blocks cut from the chunk so far, in order
	uint8_t class;
};

struct td_slab {
	char *arena;
	struct chunk *chunks;
	struct chunk *unused;
	struct chunk *with_room[N_CLASSES];
	uint32_t per_chunk[N_CLASSES];
	size_t used_bytes, arena_bytes;
};

static uint32_t class_bytes(unsigned class)
{
	return (64u + 16u * (class % 4)) << class / 4;
}

// len 1 … TD_SLAB_BLOCK_MAX to the smallest class that holds it.
static unsigned class_of(uint32_t len)
{
	if (len <= 64)
		return 0;
	uint32_t last = len - 1;
	unsigned log2 = 31 - (unsigned)__builtin_clz(last);
	unsigned quarter = last >> (log2 - 2) & 3;

	return (log2 - 6) * 4 + 1 + quarter;
}

static void chunk_link(struct chunk **head, struct chunk *chunk)
{
	chunk->next = *head;
	chunk->prev = head;
	if (chunk->next)
		chunk->next->prev = &chunk->next;
	*head = chunk;
}

static void chunk_unlink(struct chunk *chunk)
{
	*chunk->prev = chunk->next;
	if (chunk->next)
		chunk->next->prev = chunk->prev;
	chunk->prev = NULL;
}

struct td_slab *td_slab_new(const struct td_alloc *alloc, size_t arena_bytes, size_t resident_bytes)
{
	size_t n_chunks = (arena_bytes + CHUNK_BYTES - 1) >> CHUNK_BITS;
	size_t head_bytes = sizeof(struct td_slab) + n_chunks * sizeof(struct chunk) + LINE;
	struct td_slab *slab = td_reserve(
		alloc, head_bytes + (n_chunks << CHUNK_BITS), head_bytes + resident_bytes);

	if (!slab)
		return NULL;
	memset(slab, 0, head_bytes);
	slab->arena_bytes = n_chunks << CHUNK_BITS;
	slab->chunks = (struct chunk *)(slab + 1);
	char *arena = (char *)(slab->chunks + n_chunks);
	slab->arena = arena + (LINE - (uintptr_t)arena % LINE) % LINE;
	for (size_t i = n_chunks; i > 0; i--)
		chunk_link(&slab->unused, &slab->chunks[i - 1]);
	for (unsigned class = 0; class < N_CLASSES; class ++)
		slab->per_chunk[class] = CHUNK_BYTES / class_bytes(class);
	return slab;
}

void td_slab_free_all(struct td_slab *slab, const struct td_alloc *alloc)
{
	if (slab)
		alloc->free(alloc->ctx, slab);
}

static char *chunk_start(const struct td_slab *slab, const struct chunk *chunk)
{
	return slab->arena + ((size_t)(chunk - slab->chunks) << CHUNK_BITS);
}

// A chunk of that class with room for one more block; NULL: the arena is used up.
static struct chunk *chunk_take(struct td_slab *slab, unsigned class)
{
	struct chunk *chunk = slab->with_room[class];

	if (chunk || !slab->unused)
		return chunk;
	chunk = slab->unused;
	chunk_unlink(chunk);
	chunk->free = NULL;
	chunk->n_cut = 0;
	chunk->class = (uint8_t) class;
	chunk_link(&slab->with_room[class], chunk);
	return chunk;
}

char *td_slab_get(struct td_slab *slab, uint32_t len)
{
	if (len > TD_SLAB_BLOCK_MAX)
		return NULL;
	unsigned class = class_of(len);
	struct chunk *chunk = chunk_take(slab, class);

	if (!chunk)
		return NULL;
	char *block = (char *)chunk->free;
	if (block)
		chunk->free = chunk->free->next;
	else
		block = chunk_start(slab, chunk) + (size_t)chunk->n_cut++ * class_bytes(class);
	if (++chunk->n_lent == slab->per_chunk[class])
		chunk_unlink(chunk);
	slab->used_bytes += class_bytes(class);
	return block;
}

void td_slab_put(struct td_slab *slab, char *text)
{
	if (!text)
		return;
	struct chunk *chunk = &slab->chunks[(size_t)(text - slab->arena) >> CHUNK_BITS];
	struct block *block = (struct block *)(void *)text;

	assert(chunk->n_lent > 0);
	block->next = chunk->free;
	chunk->free = block;
	chunk->n_lent--;
	slab->used_bytes -= class_bytes(chunk->class);
	if (!chunk->prev)
		chunk_link(&slab->with_room[chunk->class], chunk);
	if (chunk->n_lent == 0) {
		chunk_unlink(chunk);
		chunk_link(&slab->unused, chunk);
	}
}

struct td_span td_slab_dup(struct td_slab *slab, struct td_span text)
{
	char *copy = td_slab_get(slab, text.len);

	if (!copy)
		return (struct td_span){ 0 };
	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	return td_span(copy, text.len);
}

size_t td_slab_size(const struct td_slab *slab)
{
	return slab->arena_bytes;
}

size_t td_slab_used(const struct td_slab *slab)
{
	return slab->used_bytes;
}
