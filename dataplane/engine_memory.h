// SPDX-License-Identifier: BSD-3-Clause
// Where an engine's pools lie: allocated once at start-up, touched whole, on large pages where the
// kernel gives them, so that no call ever waits for a page. td_engine_conf.alloc_ctx is a struct
// td_engine_memory.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct td_engine_memory {
	uint64_t bytes; // allocated so far
};

void *td_engine_memory_alloc(
	void *memory, size_t bytes); // zeroed, 64-byte aligned; NULL: out of memory
void td_engine_memory_free(void *memory, void *ptr);
