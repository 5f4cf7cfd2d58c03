// SPDX-License-Identifier: BSD-3-Clause
// A parsed SIP message: an index over bytes that somebody else owns (RFC 3261 §7, §25).
//
// One pass, no copy, no allocation, offsets of 16 bits. The index knows where each header is and
// which it is; what a
// header says is decoded by its family's own file (sip/hdr_*.h) when somebody asks. Lengths are
// checked here, once.
#pragma once

#include "include/span.h"

#define TD_MSG_HEADERS_MAX 160 // more: fault TD_FAULT_TOO_MANY_HEADERS

// Headers that the switch knows: id, full name, compact form (or 0). Unknown ones are TD_H_OTHER
// and parse all the same.
// clang-format off
#define TD_HEADERS(X) \
	X(VIA, "Via", 'v') \
	X(FROM, "From", 'f') \
	X(TO, "To", 't') \
	X(CALL_ID, "Call-ID", 'i') \
	X(CSEQ, "CSeq", 0) \
	X(CONTACT, "Contact", 'm') \
	X(MAX_FORWARDS, "Max-Forwards", 0) \
	X(CONTENT_LENGTH, "Content-Length", 'l') \
	X(CONTENT_TYPE, "Content-Type", 'c') \
	X(ROUTE, "Route", 0) \
	X(RECORD_ROUTE, "Record-Route", 0) \
	X(REQUIRE, "Require", 0) \
	X(PROXY_REQUIRE, "Proxy-Require", 0) \
	X(SUPPORTED, "Supported", 'k') \
	X(UNSUPPORTED, "Unsupported", 0) \
	X(ALLOW, "Allow", 0) \
	X(ALLOW_EVENTS, "Allow-Events", 'u') \
	X(ACCEPT, "Accept", 0) \
	X(ACCEPT_ENCODING, "Accept-Encoding", 0) \
	X(ACCEPT_LANGUAGE, "Accept-Language", 0) \
	X(CONTENT_ENCODING, "Content-Encoding", 'e') \
	X(CONTENT_DISPOSITION, "Content-Disposition", 0) \
	X(CONTENT_LANGUAGE, "Content-Language", 0) \
	X(MIME_VERSION, "MIME-Version", 0) \
	X(EXPIRES, "Expires", 0) \
	X(MIN_EXPIRES, "Min-Expires", 0) \
	X(RETRY_AFTER, "Retry-After", 0) \
	X(REASON, "Reason", 0) \
	X(WARNING, "Warning", 0) \
	X(USER_AGENT, "User-Agent", 0) \
	X(SERVER, "Server", 0) \
	X(DATE, "Date", 0) \
	X(SUBJECT, "Subject", 's') \
	X(ORGANIZATION, "Organization", 0) \
	X(PRIORITY, "Priority", 0) \
	X(TIMESTAMP, "Timestamp", 0) \
	X(CALL_INFO, "Call-Info", 0) \
	X(ALERT_INFO, "Alert-Info", 0) \
	X(ERROR_INFO, "Error-Info", 0) \
	X(IN_REPLY_TO, "In-Reply-To", 0) \
	X(REPLY_TO, "Reply-To", 0) \
	X(AUTHORIZATION, "Authorization", 0) \
	X(PROXY_AUTHORIZATION, "Proxy-Authorization", 0) \
	X(WWW_AUTHENTICATE, "WWW-Authenticate", 0) \
	X(PROXY_AUTHENTICATE, "Proxy-Authenticate", 0) \
	X(AUTHENTICATION_INFO, "Authentication-Info", 0) \
	X(P_ASSERTED_IDENTITY, "P-Asserted-Identity", 0) \
	X(P_PREFERRED_IDENTITY, "P-Preferred-Identity", 0) \
	X(PRIVACY, "Privacy", 0) \
	X(REMOTE_PARTY_ID, "Remote-Party-ID", 0) \
	X(DIVERSION, "Diversion", 0) \
	X(HISTORY_INFO, "History-Info", 0) \
	X(REFER_TO, "Refer-To", 'r') \
	X(REFERRED_BY, "Referred-By", 'b') \
	X(REPLACES, "Replaces", 0) \
	X(EVENT, "Event", 'o') \
	X(SUBSCRIPTION_STATE, "Subscription-State", 0) \
	X(RSEQ, "RSeq", 0) \
	X(RACK, "RAck", 0) \
	X(SESSION_EXPIRES, "Session-Expires", 'x') \
	X(MIN_SE, "Min-SE", 0) \
	X(PATH, "Path", 0) \
	X(SERVICE_ROUTE, "Service-Route", 0) \
	X(FLOW_TIMER, "Flow-Timer", 0) \
	X(IDENTITY, "Identity", 'y') \
	X(P_EARLY_MEDIA, "P-Early-Media", 0) \
	X(P_CHARGING_VECTOR, "P-Charging-Vector", 0) \
	X(P_ASSERTED_SERVICE, "P-Asserted-Service", 0) \
	X(ANSWER_MODE, "Answer-Mode", 0) \
	X(GEOLOCATION, "Geolocation", 0) \
	X(USER_TO_USER, "User-to-User", 0)
// clang-format on

enum td_header_id {
	TD_H_OTHER,
#define X(id, name, compact) TD_H_##id,
	TD_HEADERS(X)
#undef X
	TD_H__COUNT
};

enum td_method {
	TD_M_OTHER, TD_M_INVITE, TD_M_ACK, TD_M_BYE, TD_M_CANCEL, TD_M_OPTIONS, TD_M_REGISTER,
	TD_M_PRACK, TD_M_UPDATE,
	TD_M_INFO, TD_M_REFER, TD_M_NOTIFY, TD_M_SUBSCRIBE, TD_M_MESSAGE, TD_M_PUBLISH, TD_M__COUNT
};

// What is wrong with a message; td_fault_text() is the reason phrase of the 400 (or 505, 513).
enum td_fault {
	TD_FAULT_NONE, TD_FAULT_START_LINE, TD_FAULT_VERSION, TD_FAULT_URI, TD_FAULT_HEADER,
	TD_FAULT_TOO_MANY_HEADERS,
	TD_FAULT_NO_END, TD_FAULT_CONTENT_LENGTH, TD_FAULT_CONTENT_LENGTH_TWICE,
	TD_FAULT_BODY_SHORT,
	TD_FAULT_VIA, TD_FAULT_FROM, TD_FAULT_TO, TD_FAULT_CALL_ID, TD_FAULT_CSEQ,
	TD_FAULT_CSEQ_METHOD, TD_FAULT_CONTACT,
	TD_FAULT_MAX_FORWARDS, TD_FAULT_ROUTE, TD_FAULT_TWICE, TD_FAULT_MISSING, TD_FAULT_DATE,
	TD_FAULT_SDP,
	TD_FAULT_CONTENT_TYPE, TD_FAULT_MULTIPART, TD_FAULT_TOO_LONG, TD_FAULT__COUNT
};

struct td_header {
	uint16_t name_off, name_len;
	// without leading and trailing white space; folds stay inside
	uint16_t value_off, value_len;
	uint8_t id;                    // enum td_header_id
	uint8_t next;                  // index of the next header of the same id; 0xff: none
};

struct td_msg {
	const char *buf;
	uint32_t len;           // start line to end of body
	bool request;
	// enum td_method; of a response: that of its CSeq, TD_M_OTHER before td_core_decode()
	uint8_t method;
	uint8_t fault;          // enum td_fault, why parsing failed
	uint8_t fault_header;   // enum td_header_id the fault was in, 0 if none
	uint16_t status;        // of a response, 100–699
	uint16_t n_headers;
	struct td_span method_name;
	struct td_span uri;     // of a request
	struct td_span reason;  // of a response
	struct td_span body;    // Content-Length bytes; on datagrams without one the rest
	uint8_t first[TD_H__COUNT]; // index of the first header of that id; 0xff: none
	struct td_header headers[TD_MSG_HEADERS_MAX];
};

// Indexes buf[0, len). Returns 0, or -EBADMSG with msg->fault set and everything indexed up to
// there still usable,
// so that a 400 can be routed (§8.1.1, §16.3). Bytes after the body of a datagram are ignored
// (§18.3).
int td_msg_parse(struct td_msg *msg, const char *buf, uint32_t len);

static inline bool td_msg_has(const struct td_msg *msg, enum td_header_id id)
{
	return msg->first[id] != 0xff;
}

// More than one header of that id.
static inline bool td_msg_repeats(const struct td_msg *msg, enum td_header_id id)
{
	return td_msg_has(msg, id) && msg->headers[msg->first[id]].next != 0xff;
}

static inline struct td_span td_msg_value(const struct td_msg *msg, const struct td_header *h)
{
	return td_span(msg->buf + h->value_off, h->value_len);
}

// Value of the first header of that id; an empty span where there is none.
static inline struct td_span td_msg_get(const struct td_msg *msg, enum td_header_id id)
{
	return td_msg_has(msg, id) ? td_msg_value(msg, &msg->headers[msg->first[id]])
				   : (struct td_span){ 0 };
}

const char *td_fault_text(enum td_fault fault);
struct td_span td_header_name(enum td_header_id id);       // full form, canonical case
struct td_span td_method_text(enum td_method method);
enum td_method td_method_id(struct td_span name);          // case-sensitive (§7.1)
