// SPDX-License-Identifier: BSD-3-Clause
#include "sip/map.h"

#include <errno.h>

#define LINE 64u

static int map_make(struct td_map *map, const struct td_alloc *alloc, uint64_t heads, bool filtered)
{
	uint64_t n = 16;

	while (n < heads)
		n *= 2;
	size_t heads_bytes = n * sizeof(map->heads[0]);
	size_t bytes = heads_bytes + (filtered ? n * sizeof(map->filter[0]) : 0);
	char *memory = alloc->alloc(alloc->ctx, bytes + LINE);
	if (!memory)
		return -ENOMEM;
	map->memory = memory;
	map->heads = (void *)(memory + (LINE - (uintptr_t)memory % LINE) % LINE);
	memset((void *)map->heads, 0, bytes);
	map->filter = filtered ? (void *)((char *)(void *)map->heads + heads_bytes) : NULL;
	map->mask = n - 1;
	return 0;
}

int td_map_init(struct td_map *map, const struct td_alloc *alloc, uint64_t heads)
{
	return map_make(map, alloc, heads, false);
}

int td_map_init_filtered(struct td_map *map, const struct td_alloc *alloc, uint64_t heads)
{
	return map_make(map, alloc, heads, true);
}

void td_map_fini(struct td_map *map, const struct td_alloc *alloc)
{
	if (map->memory)
		alloc->free(alloc->ctx, map->memory);
	*map = (struct td_map){ 0 };
}
