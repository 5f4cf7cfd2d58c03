// SPDX-License-Identifier: BSD-3-Clause
// The switch as a user agent that registers at its trunks' providers (RFC 3261 §10.2): one
// registration for each trunk with `register`, refreshed before it expires, tried again with
// growing pauses at one peer after the other. The other end, registering others, is
// sip/registrar.h.
//
// Owner: the engine's thread. A trunk belongs to the worker that its slot names. Memory is the
// slab's.
#pragma once

#include "sip/engine.h"
#include "sip/pool.h"

struct td_registrations;
struct td_registrations *td_registrations_new(
	struct td_engine *engine, const struct td_alloc *alloc); // NULL: no memory
void td_registrations_free(struct td_registrations *registrations, const struct td_alloc *alloc);

// The engine's policy has changed from `before` (NULL: none), which is still there: what is new is
// registered, what is gone is unregistered, what goes on is left alone.
void td_registrations_follow(
	struct td_registrations *registrations, const struct td_policy *before);
