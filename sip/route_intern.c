// SPDX-License-Identifier: BSD-3-Clause
#include "sip/route_intern.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 16

static uint32_t record_hash(const uint8_t *record, uint32_t len)
{
	uint64_t h = len, word;

	for (; len >= 8; record += 8, len -= 8) {
		memcpy(&word, record, 8);
		h = (h ^ word) * 0x9e3779b97f4a7c15u;
		h ^= h >> 32;
	}
	for (; len > 0; record++, len--)
		h = (h ^ *record) * 0x100000001b3u;
	h *= 0xd6e8feb86659fd93u;
	return (uint32_t)(h >> 32);
}

static bool slots_grow(struct intern *intern)
{
	uint32_t n = intern->slots ? 2 * (intern->mask + 1) : FIRST_SLOTS;
	uint32_t *slots = calloc(n, sizeof(*slots)), *hashes = calloc(n, sizeof(*hashes));

	if (!slots || !hashes) {
		free(slots);
		free(hashes);
		return false;
	}
	for (uint32_t i = 0; intern->slots && i <= intern->mask; i++) {
		if (intern->slots[i] == 0)
			continue;
		uint32_t at = intern->hashes[i] & (n - 1);
		while (slots[at] != 0)
			at = (at + 1) & (n - 1);
		slots[at] = intern->slots[i];
		hashes[at] = intern->hashes[i];
	}
	free(intern->slots);
	free(intern->hashes);
	intern->slots = slots;
	intern->hashes = hashes;
	intern->mask = n - 1;
	return true;
}

static bool bytes_grow(struct intern *intern, uint32_t len)
{
	if (intern->len + len <= intern->cap)
		return true;
	size_t cap = intern->cap ? 2 * intern->cap : 256;
	while (cap < intern->len + len)
		cap *= 2;
	uint8_t *bytes = realloc(intern->bytes, cap);
	if (!bytes)
		return false;
	intern->bytes = bytes;
	intern->cap = cap;
	return true;
}

uint32_t intern_add(struct intern *intern, const void *record, uint32_t len)
{
	uint32_t hash = record_hash(record, len);

	if ((!intern->slots || 4ull * (intern->n + 1) > 3ull * (intern->mask + 1)) &&
		!slots_grow(intern))
		return INTERN_FULL;
	uint32_t at = hash & intern->mask;
	for (; intern->slots[at] != 0; at = (at + 1) & intern->mask) {
		size_t offset = (size_t)(intern->slots[at] - 1) * intern->unit;
		if (intern->hashes[at] == hash && intern->len - offset >= len &&
			memcmp(intern->bytes + offset, record, len) == 0)
			return intern->slots[at] - 1;
	}
	uint64_t index = intern->len / intern->unit;
	if (index >= intern->max || !bytes_grow(intern, len))
		return INTERN_FULL;
	memcpy(intern->bytes + intern->len, record, len);
	intern->len += len;
	intern->slots[at] = (uint32_t)index + 1;
	intern->hashes[at] = hash;
	intern->n++;
	return (uint32_t)index;
}

void intern_free(struct intern *intern)
{
	free(intern->bytes);
	free(intern->slots);
	free(intern->hashes);
}
