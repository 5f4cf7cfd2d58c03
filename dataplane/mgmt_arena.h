// SPDX-License-Identifier: BSD-3-Clause
// Memory for one unpacked frame: handed out in order, given back whole. A few bytes on the wire may
// ask for much memory, so that it is bounded: by what the largest policy that fits a frame takes.
// Owner: main.
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

#define TD_ARENA_MAX (256u << 20)

struct td_arena_chunk;

struct td_arena {
	ProtobufCAllocator allocator;  // pass its address to protobuf-c
	struct td_arena_chunk *chunks; // newest first; the oldest is kept over resets
	size_t bytes;                  // of all chunks
};

void td_arena_init(struct td_arena *arena);
void td_arena_reset(struct td_arena *arena); // everything it gave is dead
void td_arena_fini(struct td_arena *arena);
