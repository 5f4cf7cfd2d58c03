// SPDX-License-Identifier: BSD-3-Clause
// A user agent's side of digest in tests and benchmarks: the Authorization line that answers a
// challenge.
#pragma once

#include "sip/digest.h"
#include "sip/hdr_auth.h"

#include <stdio.h>

struct digest_client {
	enum td_digest_algorithm algorithm;
	const char *user, *password, *realm;
	char nonce[64];
	unsigned nc;
	const char *cnonce;
};

// Takes the nonce of a challenge's value ("Digest realm=…"). false: it is not for this client's
// algorithm.
static inline bool digest_client_take(struct digest_client *c, struct td_span challenge)
{
	struct td_digest_params p;

	if (td_digest_params_decode(challenge, &p) != 0 ||
		td_digest_id(p.algorithm) != c->algorithm)
		return false;
	td_span_cstr(p.nonce, c->nonce, sizeof(c->nonce));
	c->nc = 0;
	return true;
}

// One Authorization line with the next nonce count. Returns its length.
static inline size_t digest_client_line(
	struct digest_client *c, const char *method, const char *uri, char *dst, size_t cap)
{
	uint8_t ha1[TD_DIGEST_BYTES_MAX];
	char hex[TD_DIGEST_HEX_MAX], nc[9];

	snprintf(nc, sizeof(nc), "%08x", ++c->nc);
	const struct td_digest_ask ask = {
		.method = td_span_str(method),
		.uri = td_span_str(uri),
		.nonce = td_span_str(c->nonce),
		.nc = td_span_str(nc),
		.cnonce = td_span_str(c->cnonce ? c->cnonce : "0a4f113b"),
		.qop = TD_SPAN("auth"),
	};
	td_digest_ha1(c->algorithm, td_span_str(c->user), td_span_str(c->realm),
		td_span_str(c->password), ha1);
	size_t len = td_digest_response(c->algorithm, ha1, &ask, hex);
	struct td_span name = td_digest_name(c->algorithm);
	return (size_t)snprintf(dst, cap,
		"Authorization: Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", uri=\"%s\", "
		"response=\"%.*s\", "
		"algorithm=%.*s, cnonce=\"%.*s\", qop=auth, nc=%s\r\n",
		c->user, c->realm, c->nonce, uri, (int)len, hex, (int)name.len, name.ptr,
		(int)ask.cnonce.len, ask.cnonce.ptr, nc);
}
