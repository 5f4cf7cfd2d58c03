// SPDX-License-Identifier: BSD-3-Clause
// Calls: one A leg and a list of B attempts (architecture §5). What sip/engine.c calls; everything
// else is inside call_*.c.
//
// Owner: the engine's thread. A call lives from its INVITE to its CDR and the end of its last BYE.
#pragma once

#include "sip/token.h"
#include "sip/txn.h"

// The branch field of our local tags: on the A side this bit and the number of the dialog shown to
// A (from 1), on the B side the number of the attempt (from 1).
#define TD_CALL_TAG_A 0x80

struct td_calls; // pool and tables of one engine
struct td_calls *td_calls_create(
	struct td_engine *engine, const struct td_engine_conf *conf); // NULL + errno
// Closes the legs of calls that are still up; says nothing to anybody.
void td_calls_destroy(struct td_calls *calls);
// Calls that still hold memory.
uint32_t td_calls_busy(const struct td_calls *calls);
void td_calls_pool(const struct td_calls *calls, struct td_pool_view *out);

struct td_subscriber_entry;

// A request that no transaction absorbed and that has no To-tag: INVITE. The engine has checked
// source and rate; trunk_in is the ingress trunk; caller: the subscriber that has proved to be it,
// NULL: a trunk's call.
void td_call_invite(struct td_engine *engine, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core, uint32_t trunk_in, const struct td_subscriber_entry *caller);
// Refuses such an INVITE for a reason of the engine's: with a transaction, so that copies of it
// change nothing, and with its detail record.
void td_call_refuse(struct td_engine *engine, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core, uint32_t trunk_in, const struct td_response *response);
// A request with a To-tag, ACK to a 2xx included. The token was read already: slot and generation
// name the call, token->branch the side (TD_CALL_TAG_A or the number of the attempt).
void td_call_in_dialog(struct td_engine *engine, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core, const struct td_token *token);
