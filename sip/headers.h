// SPDX-License-Identifier: BSD-3-Clause
// The header table: what becomes of each header of a request or response on its way through the
// switch (architecture §5: pass, rewrite host, drop; by trust). One table, sip/headers.c; topology
// hiding is nothing else than this.
#pragma once

#include "include/policy_conf.h"
#include "sip/core.h"
#include "sip/writer.h"

// Who the switch says that the caller is, whatever From says.
struct td_identity {
	struct td_span display; // quoted; or empty
	struct td_span user;    // escaped
};

struct td_headers_way {
	uint8_t trust_in;  // does the switch believe the sender (enum td_trust of its trunk)
	uint8_t trust_out; // is the receiver trusted with identities (RFC 3325)
	struct td_sockaddr our_address; // replaces hosts in identities towards the receiver; port
					// 0: none written
	struct td_span host; // is written in the place of our_address; empty: that is
	const struct td_identity *identity; // of the caller; NULL: From is believed
	const struct td_identity *asserted; // whom the switch vouches for; NULL: nobody
	bool own_identities; // the sender's stay behind
	bool hidden;         // From is anonymous for everybody
	uint8_t privacy_is;  // enum td_privacy
	struct td_span
		privacy; // all of Privacy of the request (RFC 3323), kept by the call for its
			 // responses
};

// Appends the complete header lines (each with CRLF, compact forms spelt out, folds joined) that
// pass from msg to the other side. Headers the transaction or call writes itself (Via, From, To,
// Call-ID, CSeq, Contact, Max-Forwards, Route, Record-Route, Content-Length, Content-Type,
// Supported, Require, Allow …) are never among them.
void td_headers_relay(
	const struct td_msg *msg, const struct td_headers_way *way, struct td_writer *out);

// From and To values towards the other side: display name and user kept (anonymised where Privacy
// asks for it and the receiver is not trusted), host replaced by ours (From) or the target's (To),
// no tag, parameters of the URI dropped.
void td_headers_from(
	const struct td_core *core, const struct td_headers_way *way, struct td_writer *out);
// Does From name nobody (RFC 3323 §4.1)?
bool td_headers_unnamed(const struct td_core *core);
// Does the caller hide who it is: by Privacy, or by such a From?
bool td_headers_anonymous(const struct td_core *core, struct td_span privacy);
// P-Asserted-Identity of the caller (RFC 3325 §9.1), as a line, where the switch vouches for one
// and the receiver is trusted with it.
void td_headers_identity(const struct td_headers_way *way, struct td_writer *out);
void td_headers_to(const struct td_core *core, struct td_span user, struct td_span target,
	struct td_writer *out); // target: its host and port as a URI has them

// Q.850 cause of a SIP status and back (RFC 3398 §7.2, §8.2.6.1); cause from a Reason header: 0
// where there is none.
uint16_t td_cause_of_status(uint16_t status);
uint16_t td_status_of_cause(uint16_t cause);
uint16_t td_cause_of_reason(const struct td_msg *msg);
struct td_span td_status_reason(uint16_t status); // the RFC's phrase
