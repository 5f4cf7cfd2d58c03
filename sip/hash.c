// SPDX-License-Identifier: BSD-3-Clause
#include "sip/hash.h"

uint64_t td_hash_of(const uint64_t key[2], const void *data, size_t len)
{
	const uint8_t *p = data;
	struct td_hash h;

	td_hash_begin(&h, key);
	td_hash_words(&h, p, len);
	td_hash_word(&h, td_hash_rest(p, len) | (uint64_t)len << 56);
	return td_hash_end(&h);
}
