// SPDX-License-Identifier: BSD-3-Clause
// Where an engine's pools lie: allocated once at start-up, touched, on large pages where the kernel
// gives them, so that no call waits for a page. What is reserved for more calls in set-up than
// limits.cps lets expect is left to small pages, which come when such a crowd does.
// td_engine_conf.alloc_ctx is a struct td_engine_memory.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct td_engine_memory {
	uint64_t bytes;    // allocated and touched so far
	uint64_t reserved; // beside them
};

void *td_engine_memory_alloc(
	void *memory, size_t bytes); // zeroed, 64-byte aligned; NULL: out of memory
void *td_engine_memory_reserve(
	void *memory, size_t bytes, size_t resident); // only the first resident bytes are zeroed
void td_engine_memory_free(void *memory, void *ptr);
