// SPDX-License-Identifier: BSD-3-Clause
// Reads one file of tests/data whole. For tests only: it may allocate.
#pragma once

#include "include/span.h"

#include <stdio.h>
#include <stdlib.h>

// The caller frees .ptr. len 0: no such file.
static inline struct td_span data_file(const char *name)
{
	char path[1200];
	size_t cap = 65536;
	char *bytes = malloc(cap);

	if (!bytes)
		abort();

	snprintf(path, sizeof(path), "%s/%s", TEST_DATA, name);
	FILE *f = fopen(path, "rb");
	size_t n = f ? fread(bytes, 1, cap, f) : 0;
	if (f)
		fclose(f);
	return td_span(bytes, n);
}
