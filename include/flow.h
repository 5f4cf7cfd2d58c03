// SPDX-License-Identifier: BSD-3-Clause
// A flow is where bytes came from and may go back to (RFC 5626 §3 without its TCP bias).
// Copied by value; owns nothing.
#pragma once

#include "include/addr.h"

enum td_transport { TD_UDP, TD_TCP, TD_TLS, TD_WS, TD_WSS, TD_SCTP, TD_TRANSPORT__COUNT };

struct td_flow {
	struct td_sockaddr local;
	struct td_sockaddr remote;
	uint32_t connection; // 0 on datagram transports
	uint32_t generation; // of the connection slot; a stale one is refused, never followed
	uint16_t realm;      // index in the order of the configuration file
	uint8_t transport;   // enum td_transport
	uint8_t reliable;    // 1: no retransmission timers (RFC 3261 §17)
};

static_assert(sizeof(struct td_flow) == 52, "kept in every dialog");
