// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/trunk_state.h"

#include "include/ceilings.h"

#include <stdatomic.h>
#include <stdlib.h>

#define N_SLOTS TD_TRUNK_SLOTS

struct td_trunk_state {
	_Atomic uint64_t registrations[N_SLOTS]; // until_s << 24 | sip_code << 8 | state
};

struct td_trunk_state *td_trunk_state_new(void)
{
	return calloc(1, sizeof(struct td_trunk_state));
}

void td_trunk_state_free(struct td_trunk_state *state)
{
	free(state);
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
