// SPDX-License-Identifier: BSD-3-Clause
// Which worker owns a local media port: slot = (port >> 1) mod S, and a table slot → worker that
// mirrors the redirection table of the NICs (architecture §4). Built by main before "ready",
// read-only afterwards.
#pragma once

#include "include/ceilings.h"

#include <stdint.h>

#define TD_STEER_SLOTS 128

// Where a NIC redirects by fewer slots, the table repeats with that period, so that a look-up needs
// no modulus of its own.
struct td_steer {
	uint16_t period; // a power of two ≤ TD_STEER_SLOTS
	uint8_t owner[TD_STEER_SLOTS]; // slot → worker
};

static inline uint16_t td_steer_slot(uint16_t port)
{
	return (port >> 1) % TD_STEER_SLOTS;
}

static inline uint16_t td_steer_owner(const struct td_steer *steer, uint16_t port)
{
	return steer->owner[td_steer_slot(port)];
}

// Spreads the slots evenly over the workers. period: the smallest number of slots that a port in
// use can tell apart.
void td_steer_init(struct td_steer *steer, uint16_t n_workers, uint16_t period);

#define TD_STEER_KEY_MAX 64

// The Toeplitz key (len bytes) with which a NIC that hashes the L4 destination port alone gives
// both ports of a pair the same entry, and neighbouring pairs different ones, in a redirection
// table of 1 << bits entries. It repeats every 16 bits, so that it does not matter at which word of
// the hash input the NIC puts the port. bits: 1–15.
void td_steer_key(uint8_t *key, uint16_t len, unsigned int bits);
// Entry of that redirection table that a local port falls on, as rte_softrss computes it.
uint16_t td_steer_entry(const uint8_t *key, uint16_t port, unsigned int bits);
