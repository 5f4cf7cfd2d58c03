// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/engine_memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LARGE_PAGE (2u << 20)

void *td_engine_memory_alloc(void *memory, size_t bytes)
{
	struct td_engine_memory *m = memory;
	size_t align = bytes >= LARGE_PAGE ? LARGE_PAGE : 64;
	size_t whole = (bytes + align - 1) & ~(align - 1);
	void *ptr = aligned_alloc(align, whole ? whole : align);

	if (!ptr)
		return NULL;
	if (align == LARGE_PAGE)
		madvise(ptr, whole, MADV_HUGEPAGE); // a refusal costs speed alone
	memset(ptr, 0, whole);
	m->bytes += whole;
	return ptr;
}

void td_engine_memory_free(void *memory, void *ptr)
{
	free(ptr);
}
