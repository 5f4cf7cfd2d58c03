// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/engine_memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SMALL_PAGE ((size_t)4096)
#define LARGE_PAGE ((size_t)2 << 20)

static size_t round_up(size_t bytes, size_t align)
{
	return (bytes + align - 1) & ~(align - 1);
}

void *td_engine_memory_reserve(void *memory, size_t bytes, size_t resident)
{
	struct td_engine_memory *m = memory;
	size_t align = bytes >= LARGE_PAGE ? LARGE_PAGE : 64;
	// A little that is touched of much that may never be is not worth a large page.
	bool little = align == LARGE_PAGE && resident <= LARGE_PAGE / 8;
	size_t whole = round_up(bytes ? bytes : 1, align);
	size_t touched = round_up(resident, little ? SMALL_PAGE : align);

	if (touched > whole)
		touched = whole;
	char *ptr = aligned_alloc(align, whole);
	if (!ptr)
		return NULL;
	if (align == LARGE_PAGE && !little)
		madvise(ptr, touched, MADV_HUGEPAGE); // a refusal costs speed alone
	if (align == LARGE_PAGE && whole > touched)
		madvise(ptr + touched, whole - touched, MADV_NOHUGEPAGE);
	memset(ptr, 0, touched);
	m->bytes += touched;
	m->reserved += whole - touched;
	return ptr;
}

void *td_engine_memory_alloc(void *memory, size_t bytes)
{
	return td_engine_memory_reserve(memory, bytes, bytes);
}

void td_engine_memory_free(void *memory, void *ptr)
{
	free(ptr);
}
