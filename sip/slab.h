// SPDX-License-Identifier: BSD-3-Clause
// Text of calls and transactions: blocks of 64 B … 64 KiB (four sizes to a doubling) from one
// arena.
//
// Owner: one thread. One allocation at creation, none later. The arena is cut into chunks of 64
// KiB, each of one block size while any of its blocks is lent, so that no size can starve the
// others for ever.
#pragma once

#include "sip/pool.h"

#define TD_SLAB_BLOCK_MAX 65536u

struct td_slab;
// resident_bytes: how much of it is expected to be in use at once. NULL: ENOMEM.
struct td_slab *td_slab_new(
	const struct td_alloc *alloc, size_t arena_bytes, size_t resident_bytes);
void td_slab_free_all(struct td_slab *slab, const struct td_alloc *alloc);     // NULL is fine
// NULL: empty, or len above TD_SLAB_BLOCK_MAX; len 0 gives a block too.
char *td_slab_get(struct td_slab *slab, uint32_t len);
void td_slab_put(struct td_slab *slab, char *block);                   // NULL is fine
struct td_span td_slab_dup(struct td_slab *slab, struct td_span text); // ptr NULL: empty
size_t td_slab_used(const struct td_slab *slab); // bytes in blocks that are lent
size_t td_slab_size(const struct td_slab *slab); // bytes of the arena
