// SPDX-License-Identifier: BSD-3-Clause
// Records that are kept once each, by their bytes: a growing array and an open hash table over it.
// For compiling only: allocates.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct intern {
	uint32_t unit; // bytes that an index counts; records are multiples of it
	uint32_t n, mask;
	uint64_t max; // indices are below it
	uint8_t *bytes;
	size_t len, cap;
	uint32_t *slots; // index + 1, 0: free
	uint32_t *hashes;
};

#define INTERN_FULL UINT32_MAX

// Index of the record, added where it is new; INTERN_FULL: no memory, or it would be max. Records
// may differ in length where each says itself how long it is.
uint32_t intern_add(struct intern *intern, const void *record, uint32_t len);
void intern_free(struct intern *intern);
