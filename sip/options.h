// SPDX-License-Identifier: BSD-3-Clause
// OPTIONS of the switch itself, outside any dialog (RFC 3261 §11): to peers whether they are there,
// to contacts so that a NAT stays open. Owner: the engine's thread.
#pragma once

#include "sip/txn.h"

// The request with its texts, which it points into: not to be moved.
struct td_options_ask {
	struct td_request request;
	char from[TD_ADDR_STRLEN + 64], to[TD_ADDR_STRLEN + 16], call_id[40];
};

// uri is borrowed.
void td_options_ask(struct td_engine *engine, const struct td_flow *flow, struct td_span uri,
	struct td_options_ask *out);
