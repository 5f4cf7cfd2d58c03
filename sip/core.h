// SPDX-License-Identifier: BSD-3-Clause
// The headers that every message is judged by, decoded at once (RFC 3261 §8.1.1). Each family's
// decoder has its own file.
#pragma once

#include "sip/msg.h"
#include "sip/uri.h"

// One Via entry (RFC 3261 §20.42, RFC 3581).
struct td_via {
	uint8_t transport;                             // enum td_transport, 0xff unknown
	bool has_rport;                                // ";rport" with or without a value
	uint16_t port;                                 // sent-by, 0 where absent
	struct td_span whole;                          // the entry as it stands
	struct td_span host;                           // sent-by
	struct td_span branch, received, maddr, rport; // empty where absent
};

// From, To, Contact, Route, P-Asserted-Identity …: name-addr or addr-spec (§20.10).
struct td_name_addr {
	struct td_span whole;
	struct td_span display; // as it stands, quotes included
	struct td_uri uri;
	struct td_span params; // header parameters after the URI, without the first ';'
	struct td_span tag;    // From and To
	bool angle;
	bool star; // Contact: *
};

struct td_cseq {
	uint32_t number; // < 2^31
	struct td_span method_name;
	uint8_t method; // enum td_method
};

struct td_core {
	struct td_uri uri; // Request-URI of a request
	struct td_via via; // topmost
	struct td_name_addr from, to;
	struct td_name_addr contact; // the first; whole.len 0 where absent
	struct td_span call_id;
	struct td_cseq cseq;
	uint8_t max_forwards; // 70 where absent
	bool has_max_forwards;
	struct td_span content_type; // type/subtype without parameters
	bool sdp;                    // there is a session description
	struct td_span sdp_body;     // it: the body, or its part of that type (RFC 5621)
};

// Decodes and checks what every message must have: exactly one From, To, Call-ID, CSeq, at least
// one Via, the CSeq method equal to the request's. Returns 0, or -EBADMSG with msg->fault and
// msg->fault_header; what was decoded before stays valid, the rest is zero. Sets msg->method of a
// response.
int td_core_decode(struct td_msg *msg, struct td_core *core);
// The same in two steps, for who wants to know early whom a message is about: To alone, zero where
// it cannot be read, then the rest.
void td_core_decode_to(const struct td_msg *msg, struct td_core *core);
int td_core_decode_rest(struct td_msg *msg, struct td_core *core);

// Next entry of a comma-separated header (Via, Route, Record-Route, Contact, Supported …): cuts it
// off *rest, trimmed. Quotes, <> and () are respected. false: no more.
bool td_list_next(struct td_span *rest, struct td_span *entry);

int td_via_decode(struct td_span entry, struct td_via *out);             // 0 or -EBADMSG
int td_name_addr_decode(struct td_span entry, struct td_name_addr *out); // 0 or -EBADMSG
int td_cseq_decode(struct td_span value, struct td_cseq *out);           // 0 or -EBADMSG
// A bare decimal as in Max-Forwards, Expires, RSeq: 0, -EBADMSG, or -ERANGE above max.
int td_number_decode(struct td_span value, uint32_t max, uint32_t *out);
