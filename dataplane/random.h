// SPDX-License-Identifier: BSD-3-Clause
// Unpredictable bytes without a system call: ChaCha20 (RFC 8439 §2.3) keyed by the kernel at
// start-up, with the key replaced by its own output at every refill. One per worker.
#pragma once

#include <stdint.h>

struct td_random {
	uint32_t key[8];
	uint64_t block;
	uint8_t pool[8 * 64]; // the first 32 bytes of a refill become the next key
	uint32_t used;
};

int td_random_init(struct td_random *random); // start-up only. 0 or -errno
void td_random_seed(struct td_random *random, const uint8_t key[32]);
void td_random_bytes(struct td_random *random, void *dst, uint32_t len);
// One block of the cipher, for its test vector.
void td_chacha20_block(const uint32_t key[8], uint64_t counter, uint8_t out[64]);
