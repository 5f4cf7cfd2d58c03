// SPDX-License-Identifier: BSD-3-Clause
// What a fuzzer asks of its own set-up and of what it tests: it ends by SIGABRT where that fails.
#pragma once

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static inline void must(bool holds)
{
	if (!holds)
		abort();
}

// Zeroed memory, aligned to a cache line; the caller frees it.
static inline void *zeroed(size_t bytes)
{
	void *at = aligned_alloc(64, (bytes + 63) & ~(size_t)63);

	must(at != NULL);
	memset(at, 0, bytes);
	return at;
}
