// SPDX-License-Identifier: BSD-3-Clause
// A queue of free ports: taken at the head, given back at the tail, so that a port rests as long as
// possible and a late packet of an ended call does not reach the next one.
#include "dataplane/leg.h"

struct port_entry {
	uint32_t freed_ms;
	uint16_t port;
	uint16_t used; // 0: never yet, needs no rest
};

struct td_leg_ports {
	uint32_t capacity, head, n;
	struct port_entry queue[];
};

uint32_t td_leg_ports_count(
	const struct td_steer *steer, uint16_t worker, uint16_t min, uint16_t max)
{
	uint32_t n = 0;

	for (uint32_t port = (min + 1u) & ~1u; port + 1 <= max; port += 2)
		n += td_steer_owner(steer, (uint16_t)port) == worker;
	return n;
}

size_t td_leg_ports_bytes(uint32_t n)
{
	return sizeof(struct td_leg_ports) + n * sizeof(struct port_entry);
}

void td_leg_ports_init(struct td_leg_ports *ports, const struct td_steer *steer, uint16_t worker,
	uint16_t min, uint16_t max)
{
	ports->head = 0;
	ports->n = 0;
	for (uint32_t port = (min + 1u) & ~1u; port + 1 <= max; port += 2)
		if (td_steer_owner(steer, (uint16_t)port) == worker)
			ports->queue[ports->n++] = (struct port_entry){ .port = (uint16_t)port };
	ports->capacity = ports->n;
}

uint16_t td_leg_ports_get(struct td_leg_ports *ports, uint32_t now_ms, uint32_t quarantine_ms)
{
	if (ports->n == 0)
		return 0;
	struct port_entry *entry = &ports->queue[ports->head];
	// The queue is in the order of freeing: where the head has not rested, none has.
	if (entry->used && now_ms - entry->freed_ms < quarantine_ms)
		return 0;
	ports->head = ports->head + 1 == ports->capacity ? 0 : ports->head + 1;
	ports->n--;
	return entry->port;
}

void td_leg_ports_put(struct td_leg_ports *ports, uint16_t port, uint32_t now_ms)
{
	assert(ports->n < ports->capacity);
	uint32_t tail = ports->head + ports->n;
	if (tail >= ports->capacity)
		tail -= ports->capacity;
	ports->queue[tail] = (struct port_entry){ .freed_ms = now_ms, .port = port, .used = 1 };
	ports->n++;
}
