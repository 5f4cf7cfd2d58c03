// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/log_ring.h"

#include <stdlib.h>
#include <string.h>

struct td_log_ring *td_log_ring_new(void)
{
	struct td_log_ring *ring = aligned_alloc(64, (sizeof(*ring) + 63) & ~63ull);

	if (ring)
		memset(ring, 0, sizeof(*ring));
	return ring;
}

void td_log_ring_free(struct td_log_ring *ring)
{
	free(ring);
}

bool td_log_ring_put(struct td_log_ring *ring, const char *text, uint32_t len)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

	if (head - atomic_load_explicit(&ring->tail, memory_order_acquire) == TD_LOG_LINES)
		return false;
	struct td_log_line *line = &ring->lines[head % TD_LOG_LINES];
	line->len = len < TD_LOG_LINE ? len : TD_LOG_LINE;
	for (uint32_t i = 0; i < line->len; i++)
		line->text[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
	atomic_store_explicit(&ring->head, head + 1, memory_order_release);
	return true;
}

const struct td_log_line *td_log_ring_peek(struct td_log_ring *ring)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	return tail == atomic_load_explicit(&ring->head, memory_order_acquire)
		       ? NULL
		       : &ring->lines[tail % TD_LOG_LINES];
}

void td_log_ring_next(struct td_log_ring *ring)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
}
