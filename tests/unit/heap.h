// SPDX-License-Identifier: BSD-3-Clause
// The C library's memory for what takes a struct td_alloc; not zeroed.
#pragma once

#include "sip/pool.h"

#include <stdlib.h>

static void *heap_take(void *ctx, size_t bytes)
{
	return malloc(bytes);
}

static void heap_give(void *ctx, void *ptr)
{
	free(ptr);
}

static const struct td_alloc heap = { .alloc = heap_take, .free = heap_give };
