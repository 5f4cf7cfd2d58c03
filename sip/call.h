// SPDX-License-Identifier: BSD-3-Clause
// Calls: one A leg and a list of B attempts (architecture §5). What sip/engine.c calls; everything else is inside call_*.c.
//
// Owner: the engine's thread. A call lives from its INVITE to the end of its last transaction and its CDR.
#pragma once

#include "sip/token.h"
#include "sip/txn.h"

struct td_calls; // pool and tables of one engine
struct td_calls *td_calls_create(struct td_engine *engine, const struct td_engine_conf *conf); // NULL + errno
void td_calls_destroy(struct td_calls *calls);

// A request that no transaction absorbed and that has no To-tag: INVITE. The engine has checked source and rate; trunk_in
// is the ingress trunk.
void td_call_invite(struct td_engine *engine, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core, uint32_t trunk_in);
// A request with a To-tag, ACK to a 2xx included. The token was read already: slot and generation name the call,
// token->branch the side ('a': 0; attempt n: n).
void td_call_in_dialog(struct td_engine *engine, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core, const struct td_token *token);
