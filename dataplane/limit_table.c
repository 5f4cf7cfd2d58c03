// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/limit_table.h"

#include "include/ceilings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// A reload may replace every name while the old ones still have calls.
static const uint32_t n_slots[TD_LIMIT__KINDS] = {
	[TD_LIMIT_WHOLE] = 1,
	[TD_LIMIT_TRUNK] = TD_TRUNK_SLOTS,
	[TD_LIMIT_GROUP] = 2 * TD_GROUPS_MAX,
	[TD_LIMIT_ROUTE] = 2 * TD_LIMITS_MAX,
};

struct kind {
	struct td_limit_count *counts;
	char (*names)[TD_NAME_LEN]; // empty: free
	uint32_t *buckets;          // slot + 1, linear probing; twice as many as slots
	uint32_t next;              // where the search for a free slot goes on
};

struct td_limit_table {
	struct kind kinds[TD_LIMIT__KINDS];
};

static bool kind_init(struct kind *k, uint32_t n)
{
	k->counts = aligned_alloc(64, n * sizeof(*k->counts));
	k->names = calloc(n, sizeof(*k->names));
	k->buckets = calloc(2ull * n, sizeof(*k->buckets));
	if (k->counts)
		memset(k->counts, 0, n * sizeof(*k->counts));
	return k->counts && k->names && k->buckets;
}

struct td_limit_table *td_limit_table_new(void)
{
	struct td_limit_table *table = calloc(1, sizeof(*table));
	bool good = table;

	for (unsigned kind = 0; good && kind < TD_LIMIT__KINDS; kind++)
		good = kind_init(&table->kinds[kind], n_slots[kind]);
	if (good)
		return table;
	td_limit_table_free(table);
	return NULL;
}

void td_limit_table_free(struct td_limit_table *table)
{
	for (unsigned kind = 0; table && kind < TD_LIMIT__KINDS; kind++) {
		free(table->kinds[kind].counts);
		free(table->kinds[kind].names);
		free(table->kinds[kind].buckets);
	}
	free(table);
}

static uint32_t name_hash(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h;
}

static uint32_t *bucket_of(struct kind *k, uint32_t n, const char *name)
{
	for (uint32_t i = name_hash(name) % (2 * n);; i = (i + 1) % (2 * n)) {
		uint32_t *bucket = &k->buckets[i];
		if (*bucket == 0 || strcmp(k->names[*bucket - 1], name) == 0)
			return bucket;
	}
}

uint32_t td_limit_slot(struct td_limit_table *table, enum td_limit_kind kind, const char *name)
{
	struct kind *k = &table->kinds[kind];
	uint32_t n = n_slots[kind];
	uint32_t *bucket = bucket_of(k, n, name);

	if (*bucket != 0)
		return *bucket - 1;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t slot = (k->next + i) % n;
		if (k->names[slot][0] != '\0')
			continue;
		strncpy(k->names[slot], name, TD_NAME_LEN - 1);
		struct td_limit_count *count = &k->counts[slot];
		atomic_store_explicit(&count->c.arrival_ns, 0, memory_order_relaxed);
		atomic_store_explicit(&count->c.accepted, 0, memory_order_relaxed);
		atomic_store_explicit(&count->refused, 0, memory_order_relaxed);
		atomic_store_explicit(&count->seized, 0, memory_order_relaxed);
		atomic_store_explicit(&count->answered, 0, memory_order_relaxed);
		*bucket = slot + 1;
		k->next = slot + 1;
		return slot;
	}
	return TD_LIMIT_SLOT_NONE;
}

void td_limit_sweep(struct td_limit_table *table, enum td_limit_kind kind,
	bool (*wanted)(void *ctx, const char *name), void *ctx)
{
	struct kind *k = &table->kinds[kind];
	uint32_t n = n_slots[kind];

	for (uint32_t slot = 0; slot < n; slot++)
		if (k->names[slot][0] != '\0' && !wanted(ctx, k->names[slot]) &&
			!atomic_load_explicit(&k->counts[slot].c.calls, memory_order_relaxed))
			memset(k->names[slot], 0, TD_NAME_LEN);
	memset(k->buckets, 0, 2ull * n * sizeof(*k->buckets));
	for (uint32_t slot = 0; slot < n; slot++)
		if (k->names[slot][0] != '\0')
			*bucket_of(k, n, k->names[slot]) = slot + 1;
}

const struct td_limit_count *td_limit_count_of(
	const struct td_limit_table *table, enum td_limit_kind kind, uint32_t slot)
{
	return slot < n_slots[kind] ? &table->kinds[kind].counts[slot] : NULL;
}

int td_limit_acquire(struct td_limit_table *table, enum td_limit_kind kind, uint32_t slot,
	const struct td_limit *limit, uint64_t now_ns)
{
	if (slot >= n_slots[kind])
		return -EDQUOT;
	struct td_limit_count *count = &table->kinds[kind].counts[slot];
	int rc = td_shared_acquire(&count->c, limit, now_ns);
	if (rc < 0)
		atomic_fetch_add_explicit(&count->refused, 1, memory_order_relaxed);
	return rc;
}

void td_limit_expect(
	const struct td_limit_table *table, enum td_limit_kind kind, uint32_t slot)
{
	if (slot < n_slots[kind])
		__builtin_prefetch(&table->kinds[kind].counts[slot], 1);
}

void td_limit_release(struct td_limit_table *table, enum td_limit_kind kind, uint32_t slot)
{
	if (slot < n_slots[kind])
		td_shared_release(&table->kinds[kind].counts[slot].c);
}

void td_limit_cancel(struct td_limit_table *table, enum td_limit_kind kind, uint32_t slot)
{
	if (slot < n_slots[kind])
		td_shared_cancel(&table->kinds[kind].counts[slot].c);
}

void td_limit_seized(struct td_limit_table *table, uint32_t trunk_slot, bool answered)
{
	if (trunk_slot >= n_slots[TD_LIMIT_TRUNK])
		return;
	struct td_limit_count *count = &table->kinds[TD_LIMIT_TRUNK].counts[trunk_slot];
	atomic_fetch_add_explicit(
		answered ? &count->answered : &count->seized, 1, memory_order_relaxed);
}
