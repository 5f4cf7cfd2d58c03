// SPDX-License-Identifier: BSD-3-Clause
// The bindings of one worker's AoRs (RFC 3261 §10): written and expired by the engine that owns
// them, read by all (architecture §4).
//
// Writer: the engine's thread. Readers: any thread under a grace period; what they were given
// stands until their event is over. One allocation of the map and one of the texts at creation.
#pragma once

#include "include/binding.h"
#include "include/host.h"
#include "sip/map.h"
#include "sip/slab.h"
#include "sip/wheel.h"

struct td_location_binding {
	struct td_map_node node; // hash of the AoR
	union {
		struct td_timer timer; // of its end or its next ping; writer
		struct {
			struct td_location_binding *next;
			uint64_t grace;
		} retired; // unlinked; writer
	};
	struct td_flow flow;
	// The writer's alone, and may change in place.
	uint32_t cseq;
	uint64_t expires_ms, ping_ms; // monotonic; ping UINT64_MAX: none
	uint64_t changed_us;
	// Never changes while it is linked.
	uint64_t born; // of the subscriber whose it is
	uint32_t reg_id;
	uint16_t q;
	uint16_t aor_len, contact_len, call_id_len, path_len, instance_len, user_agent_len;
	char text[]; // in that order
};

static_assert(sizeof(struct td_location_binding) <= 160, "256 bytes with AoR, Call-ID and agent");

struct td_location_conf {
	const struct td_alloc *alloc;
	const struct td_host_ops *ops; // grace_begin, grace_over
	void *host;
	struct td_wheel *wheel;
	void (*due)(void *wheel_arg, struct td_timer *timer); // of a binding
	uint32_t capacity;                                    // bindings
};

struct td_location;
struct td_location *td_location_new(const struct td_location_conf *conf); // NULL: ENOMEM
void td_location_free(struct td_location *location);                      // NULL is fine
size_t td_location_bytes(uint32_t capacity); // what td_location_new() allocates

// --- writer ---

// A look-up to come: its place, then what stands there.
void td_location_prefetch_head(const struct td_location *location, uint64_t hash);
void td_location_prefetch_bindings(const struct td_location *location, uint64_t hash);
// Bindings of an AoR one after the other; hash is that of aor.
struct td_location_binding *td_location_first(
	struct td_location *location, uint64_t hash, struct td_span aor);
struct td_location_binding *td_location_next(struct td_location_binding *binding);
// One for b that nobody finds yet. realm: index of the flow; born: of the subscriber. NULL: no
// memory.
struct td_location_binding *td_location_make(struct td_location *location, uint64_t hash,
	uint16_t realm, uint64_t born, const struct td_binding *b);
// Puts it into the table, in the place of old where that is not NULL; not timed yet.
void td_location_link(struct td_location *location, struct td_location_binding *old,
	struct td_location_binding *made);
// Gives back what was made and is in no table.
void td_location_drop(struct td_location *location, struct td_location_binding *made);
void td_location_remove(struct td_location *location, struct td_location_binding *binding);
// Frees what no reader can hold any more. Before each change; nothing that was found before stands
// after it.
void td_location_collect(struct td_location *location);
uint32_t td_location_count(const struct td_location *location);
bool td_location_has_room(const struct td_location *location, uint32_t more);

static inline struct td_span td_location_aor(const struct td_location_binding *b)
{
	return td_span(b->text, b->aor_len);
}

static inline struct td_span td_location_contact(const struct td_location_binding *b)
{
	return td_span(b->text + b->aor_len, b->contact_len);
}

static inline struct td_span td_location_call_id(const struct td_location_binding *b)
{
	return td_span(b->text + b->aor_len + b->contact_len, b->call_id_len);
}

static inline struct td_span td_location_path(const struct td_location_binding *b)
{
	return td_span(b->text + b->aor_len + b->contact_len + b->call_id_len, b->path_len);
}

static inline struct td_span td_location_instance(const struct td_location_binding *b)
{
	return td_span(b->text + b->aor_len + b->contact_len + b->call_id_len + b->path_len,
		b->instance_len);
}

static inline struct td_span td_location_user_agent(const struct td_location_binding *b)
{
	return td_span(b->text + b->aor_len + b->contact_len + b->call_id_len + b->path_len +
			       b->instance_len,
		b->user_agent_len);
}

// --- readers ---

// Contacts of an AoR, the highest q first, of one q the newest; all flows of an instance are among
// them (RFC 5626 §5.3). born: of the subscriber that has it now: what others have left is not its
// own.
// Returns how many.
uint16_t td_location_find(const struct td_location *location, uint64_t hash, struct td_span aor,
	uint64_t born, struct td_contact out[TD_CONTACTS_MAX]);
