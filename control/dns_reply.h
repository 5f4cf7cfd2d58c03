// SPDX-License-Identifier: BSD-3-Clause
// An answer of a name server: c-ares takes the records out of it, this keeps what calls are sent by
// (RFC 3263), in an order that does not depend on the server's, and bounded. Pure; any thread.
#pragma once

#include "include/addr.h"
#include "include/ceilings.h"

enum td_dns_type { TD_DNS_A, TD_DNS_AAAA, TD_DNS_SRV, TD_DNS_NAPTR };

struct td_dns_srv {
	uint16_t priority, weight, port;
	char target[TD_HOST_LEN]; // lower case
};

// Of the service SIP+D2U, with flag "s": the name whose SRV records are meant.
struct td_dns_naptr {
	uint16_t order, preference;
	char replacement[TD_HOST_LEN];
};

struct td_dns_reply {
	uint32_t ttl_s;    // for how long it holds: the least of all records on the way, CNAMEs too
			   // (RFC 2308 §5 does so); UINT32_MAX: nobody said
	uint16_t n;        // of the list below
	uint16_t left_out; // there was no room for, or no sense in
	bool none;         // SRV: "." as the target: decidedly no such service (RFC 2782)
	union {
		struct td_sockaddr addresses[TD_DNS_ANSWERS_MAX]; // port 0
		struct td_dns_srv srv[TD_DNS_ANSWERS_MAX];        // lower priority first
		struct td_dns_naptr naptr[TD_DNS_ANSWERS_MAX];    // in the order to try them
	};
};

// 0; -ENOENT: there is no record of the type in it, and ttl_s says for how long (RFC 2308: the
// zone's SOA does); -EBADMSG: it does not hold. *out is written whole each time.
int td_dns_reply_read(
	enum td_dns_type type, const uint8_t *bytes, size_t len, struct td_dns_reply *out);
// For how long a packet holds that says that there is none; UINT32_MAX: it does not tell.
uint32_t td_dns_none_ttl_s(const uint8_t *bytes, size_t len);
