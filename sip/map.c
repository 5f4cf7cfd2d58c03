// SPDX-License-Identifier: BSD-3-Clause
#include "sip/map.h"

#include <errno.h>

#define LINE 64u

int td_map_init(struct td_map *map, const struct td_alloc *alloc, uint64_t heads)
{
	uint64_t n = 16;

	while (n < heads)
		n *= 2;
	size_t bytes = n * sizeof(map->heads[0]);
	char *memory = alloc->alloc(alloc->ctx, bytes + LINE);
	if (!memory)
		return -ENOMEM;
	map->memory = memory;
	map->heads = (void *)(memory + (LINE - (uintptr_t)memory % LINE) % LINE);
	memset((void *)map->heads, 0, bytes);
	map->mask = n - 1;
	return 0;
}

void td_map_fini(struct td_map *map, const struct td_alloc *alloc)
{
	if (map->memory)
		alloc->free(alloc->ctx, map->memory);
	*map = (struct td_map){ 0 };
}
