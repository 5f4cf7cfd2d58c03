// SPDX-License-Identifier: BSD-3-Clause
// SIP, SIPS, tel and other URIs as views (RFC 3261 §19, RFC 3966, RFC 5031). Pure; any thread.
#pragma once

#include "include/addr.h"

enum td_scheme { TD_SCHEME_OTHER, TD_SCHEME_SIP, TD_SCHEME_SIPS, TD_SCHEME_TEL, TD_SCHEME_URN };

struct td_uri {
	uint8_t scheme; // enum td_scheme
	bool has_port;
	uint16_t port;        // 0 where absent
	struct td_span whole; // as it stands, without <>
	struct td_span scheme_name;
	struct td_span user; // escaped, without password; tel: the subscriber part; urn: what
			     // follows "urn:"
	struct td_span password;
	struct td_span host;    // IPv6 with its brackets
	struct td_span params;  // after the host's first ';', without it
	struct td_span headers; // after '?', without it
};

// 0 or -EBADMSG (illegal escape, empty host, port out of range, white space).
int td_uri_parse(struct td_span text, struct td_uri *out);
// Value of a ;name=value parameter (empty for a flag). false: not there. Names compare
// case-insensitively.
bool td_param_get(struct td_span params, struct td_span name, struct td_span *value);
// RFC 3261 §19.1.4 equality.
bool td_uri_equal(const struct td_uri *a, const struct td_uri *b);
// Unescapes %HH. Returns the length, or -ENOBUFS.
int td_uri_unescape(struct td_span text, char *dst, size_t cap);
// The contract's routing number: digits of the user part, unescaped, parameters and visual
// separators removed, one leading '+' ignored; use_rn takes the rn parameter where there is one
// (RFC 4694). A user that is no telephone number is given back unescaped as it stands. Returns the
// length, or -ENOBUFS.
int td_uri_number(const struct td_uri *uri, bool use_rn, char *dst, size_t cap);
bool td_uri_emergency(const struct td_uri *uri); // urn:service:sos and its sub-services (RFC 5031)
