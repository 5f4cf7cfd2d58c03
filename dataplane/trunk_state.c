// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/trunk_state.h"

#include "include/ceilings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define N_SLOTS                                                                                    \
	(2 * TD_TRUNKS_MAX) // a reload may replace every trunk while the old ones still have calls
#define N_BUCKETS (2 * N_SLOTS)

// On lines of its own.
struct trunk_count {
	struct td_shared_count c __attribute__((aligned(64)));
};

struct td_trunk_state {
	struct trunk_count counts[N_SLOTS];
	struct trunk_count whole;         // the switch's own limits
	_Atomic uint64_t registrations[N_SLOTS]; // until_s << 24 | sip_code << 8 | state
	char names[N_SLOTS][TD_NAME_LEN]; // empty: free
	uint32_t buckets[N_BUCKETS];      // slot + 1, linear probing
	uint32_t next;                    // where the search for a free slot goes on
};

struct td_trunk_state *td_trunk_state_new(void)
{
	struct td_trunk_state *state = aligned_alloc(64, (sizeof(*state) + 63) & ~63ull);

	if (state)
		memset(state, 0, sizeof(*state));
	return state;
}

void td_trunk_state_free(struct td_trunk_state *state)
{
	free(state);
}

static uint32_t name_hash(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h;
}

static uint32_t *bucket_of(struct td_trunk_state *state, const char *name)
{
	for (uint32_t i = name_hash(name) % N_BUCKETS;; i = (i + 1) % N_BUCKETS) {
		uint32_t *bucket = &state->buckets[i];
		if (*bucket == 0 || strcmp(state->names[*bucket - 1], name) == 0)
			return bucket;
	}
}

uint32_t td_trunk_state_slot(struct td_trunk_state *state, const char *name)
{
	uint32_t *bucket = bucket_of(state, name);

	if (*bucket != 0)
		return *bucket - 1;
	for (uint32_t i = 0; i < N_SLOTS; i++) {
		uint32_t slot = (state->next + i) % N_SLOTS;
		if (state->names[slot][0] != '\0')
			continue;
		strncpy(state->names[slot], name, TD_NAME_LEN - 1);
		atomic_store_explicit(&state->counts[slot].c.arrival_ns, 0, memory_order_relaxed);
		atomic_store_explicit(&state->counts[slot].c.accepted, 0, memory_order_relaxed);
		*bucket = slot + 1;
		state->next = slot + 1;
		return slot;
	}
	return TD_TRUNK_SLOT_NONE;
}

void td_trunk_state_sweep(
	struct td_trunk_state *state, bool (*wanted)(void *ctx, const char *name), void *ctx)
{
	for (uint32_t slot = 0; slot < N_SLOTS; slot++)
		if (state->names[slot][0] != '\0' && !wanted(ctx, state->names[slot]) &&
			!atomic_load_explicit(&state->counts[slot].c.calls, memory_order_relaxed))
			memset(state->names[slot], 0, TD_NAME_LEN);
	memset(state->buckets, 0, sizeof(state->buckets));
	for (uint32_t slot = 0; slot < N_SLOTS; slot++)
		if (state->names[slot][0] != '\0')
			*bucket_of(state, state->names[slot]) = slot + 1;
}

const struct td_shared_count *td_trunk_state_counts(
	const struct td_trunk_state *state, uint32_t slot)
{
	return slot < N_SLOTS ? &state->counts[slot].c : NULL;
}

int td_trunk_acquire(struct td_trunk_state *state, uint32_t slot, uint32_t max_calls,
	uint32_t max_cps, uint64_t now_ns)
{
	if (slot >= N_SLOTS)
		return -EDQUOT;
	return td_shared_acquire(&state->counts[slot].c, max_calls, max_cps, now_ns);
}

int td_trunk_whole_acquire(
	struct td_trunk_state *state, uint32_t max_calls, uint32_t max_cps, uint64_t now_ns)
{
	return td_shared_acquire(&state->whole.c, max_calls, max_cps, now_ns);
}

void td_trunk_whole_release(struct td_trunk_state *state)
{
	td_shared_release(&state->whole.c);
}

void td_trunk_release(struct td_trunk_state *state, uint32_t slot)
{
	if (slot < N_SLOTS)
		td_shared_release(&state->counts[slot].c);
}

void td_trunk_registered(struct td_trunk_state *state, uint32_t slot,
	const struct td_trunk_registration *r)
{
	uint64_t word = r->until_s << 24 | (uint64_t)r->sip_code << 8 | r->state;

	if (slot < N_SLOTS)
		atomic_store_explicit(&state->registrations[slot], word, memory_order_relaxed);
}

struct td_trunk_registration td_trunk_registration(
	const struct td_trunk_state *state, uint32_t slot)
{
	uint64_t word = slot < N_SLOTS ? atomic_load_explicit(&state->registrations[slot],
						 memory_order_relaxed)
				       : 0;

	return (struct td_trunk_registration){ .state = (uint8_t)word,
		.sip_code = (uint16_t)(word >> 8),
		.until_s = word >> 24 };
}
