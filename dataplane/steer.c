// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/steer.h"

#include <rte_common.h>
#include <rte_thash.h>

#include <string.h>

void td_steer_init(struct td_steer *steer, uint16_t n_workers, uint16_t period)
{
	steer->period = period;
	for (uint16_t slot = 0; slot < TD_STEER_SLOTS; slot++)
		steer->owner[slot] = (uint8_t)(slot % period % n_workers);
}

// Toeplitz: bit j of the hash is the sum of input bit i times key bit i + 31 − j. With a key in
// which one bit of every 16 is set, bit j of the hash is one bit of the port; the place is chosen
// so that bits bits − 1 … 0 are the port's bits 1 … bits, and its lowest bit, RTP or RTCP, counts
// for none of them.
void td_steer_key(uint8_t *key, uint16_t len, unsigned int bits)
{
	unsigned int place = (46 - bits) % 16;

	memset(key, 0, len);
	for (unsigned int at = place; at < len * 8u; at += 16)
		key[at / 8] |= (uint8_t)(0x80 >> (at % 8));
}

uint16_t td_steer_entry(const uint8_t *key, uint16_t port, unsigned int bits)
{
	uint32_t tuple = (uint32_t)port << 16; // the port as the first 16 bits of the input

	return (uint16_t)(rte_softrss(&tuple, 1, key) & ((1u << bits) - 1));
}
