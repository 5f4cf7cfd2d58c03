// SPDX-License-Identifier: BSD-3-Clause
// What a receiver learns of a SIP datagram without parsing it: enough to hand it to the worker that
// owns it (architecture §4). Pure; any thread.
#pragma once

#include "include/flow.h"
#include "sip/token.h"

enum td_peek_kind {
	TD_PEEK_GARBAGE,   // no start line: the receiver's own engine deals with it
	TD_PEEK_KEEPALIVE, // CRLF, CRLFCRLF, NULs (RFC 5626 §4.4.1)
	TD_PEEK_TOKEN,     // response by its branch, request by its To-tag: token is set
	TD_PEEK_CALL_ID,   // request without a To-tag of ours: hash is set
	TD_PEEK_AOR,       // REGISTER: hash over the To URI's user and host
};

struct td_peek {
	uint8_t kind;          // enum td_peek_kind
	uint16_t token_off;    // where the token's text begins in the datagram
	struct td_token token; // verified; of a transaction in a response, of a dialog in a request
	uint64_t hash;         // seeded hash(realm, Call-ID) or hash(AoR)
};

// keys checks tokens: a token that does not verify is treated as absent (then the Call-ID decides,
// and the owner answers 481). At most the first 4096 bytes are looked at. *out is always filled.
void td_peek(const struct td_token_keys *keys, uint16_t realm, const char *data, uint32_t len,
	struct td_peek *out);
