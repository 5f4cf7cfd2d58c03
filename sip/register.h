// SPDX-License-Identifier: BSD-3-Clause
// The registrar (RFC 3261 §10.3): REGISTER in, bindings of this engine's location table out.
//
// Owner: the engine's thread. Allocates only at creation. A REGISTER leaves no transaction: what
// repeats it is recognised by its nonce count and changes nothing.
#pragma once

#include "sip/core.h"
#include "sip/engine.h"
#include "sip/pool.h"

struct td_registrar;
struct td_registrar *td_registrar_create(struct td_engine *engine, const struct td_alloc *alloc,
	uint32_t registrations); // NULL: ENOMEM
void td_registrar_destroy(struct td_engine *engine, const struct td_alloc *alloc);
size_t td_registrar_bytes(uint32_t registrations); // what it and td_auth_create() allocate

// A REGISTER is in the engine's msg, of which To alone is decoded: has what it will be looked up by
// on its way.
void td_register_expect(struct td_engine *engine);
// That REGISTER, whole and outside any dialog. came: where from; flow: where
// answers go.
void td_register(struct td_engine *engine, const struct td_flow *came, const struct td_flow *flow);

// Set in the cookies of bindings_write().
#define TD_REGISTER_COOKIE (1ull << 63)
// They are safe, or will never be.
void td_register_answered(struct td_engine *engine, const struct td_late_answer *answer);

// ping.c: keeps the NAT of one binding open (RFC 5626 §4.4), and hears of the answer. True: it was
// one.
struct td_location_binding;
void td_ping_plan(struct td_engine *engine, struct td_location_binding *binding,
	const struct td_uri *contact);
void td_ping_send(struct td_engine *engine, struct td_location_binding *binding);
bool td_ping_answered(struct td_engine *engine, const struct td_msg *msg,
	const struct td_core *core);
// stun.c: a keep-alive of RFC 5626 §4.4.2 (RFC 5389). True: it was STUN, answered or dropped.
bool td_stun_rx(
	struct td_engine *engine, const struct td_flow *flow, const char *data, uint32_t len);
