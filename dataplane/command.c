// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/command.h"

#include <stdlib.h>

struct td_command_ring *td_command_ring_new(void)
{
	struct td_command_ring *ring = aligned_alloc(64, (sizeof(*ring) + 63) & ~63ull);

	if (ring)
		memset(ring, 0, sizeof(*ring));
	return ring;
}

void td_command_ring_free(struct td_command_ring *ring)
{
	free(ring);
}

struct td_command *td_command_next(struct td_command_ring *ring)
{
	uint32_t asked = atomic_load_explicit(&ring->asked, memory_order_relaxed);

	if (asked - ring->collected == TD_COMMAND_SLOTS)
		return NULL;
	return &ring->slots[asked % TD_COMMAND_SLOTS];
}

void td_command_ask(struct td_command_ring *ring)
{
	uint32_t asked = atomic_load_explicit(&ring->asked, memory_order_relaxed);

	atomic_store_explicit(&ring->asked, asked + 1, memory_order_release);
}

struct td_command *td_command_collect(struct td_command_ring *ring)
{
	if (ring->collected == atomic_load_explicit(&ring->answered, memory_order_acquire))
		return NULL;
	return &ring->slots[ring->collected % TD_COMMAND_SLOTS];
}

void td_command_done(struct td_command_ring *ring)
{
	ring->collected++;
}

static void command_answer(struct td_command *c, struct td_engine *engine, uint64_t now_ns)
{
	switch ((enum td_command_kind)c->kind) {
	case TD_COMMAND_LIST:
		c->n = td_engine_list(engine, &c->cursor, c->views, TD_COMMAND_ITEMS);
		c->end = c->n < TD_COMMAND_ITEMS;
		break;
	case TD_COMMAND_HANGUP:
		c->result = td_engine_hangup(engine, now_ns, td_span_str(c->id));
		break;
	case TD_COMMAND_HANGUP_ALL:
		c->result = (int32_t)td_engine_hangup_all(engine, now_ns, TD_COMMAND_ITEMS);
		break;
	}
}

bool td_command_run(struct td_command_ring *ring, struct td_engine *engine, uint64_t now_ns)
{
	uint32_t answered = atomic_load_explicit(&ring->answered, memory_order_relaxed);

	if (answered == atomic_load_explicit(&ring->asked, memory_order_acquire))
		return false;
	command_answer(&ring->slots[answered % TD_COMMAND_SLOTS], engine, now_ns);
	atomic_store_explicit(&ring->answered, answered + 1, memory_order_release);
	return true;
}
