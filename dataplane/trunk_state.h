// SPDX-License-Identifier: BSD-3-Clause
// How the switch's registrations at the trunks' providers stand: workers say it, main tells it to
// operators. By the slot that a trunk has in the limit table. Memory comes once.
#pragma once

#include <stdint.h>

struct td_trunk_state;
struct td_trunk_state *td_trunk_state_new(void); // NULL: ENOMEM
void td_trunk_state_free(struct td_trunk_state *state);

// td_host_ops.trunk_registered, and what it last said; one word, so that no reader sees half of it.
struct td_trunk_registration {
	uint8_t state; // enum td_registration_state
	uint16_t sip_code;
	uint64_t until_s; // wall clock; 0: not registered
};
void td_trunk_registered(struct td_trunk_state *state, uint32_t slot,
	const struct td_trunk_registration *registration);
struct td_trunk_registration td_trunk_registration(
	const struct td_trunk_state *state, uint32_t slot);
