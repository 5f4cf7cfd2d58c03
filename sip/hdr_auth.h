// SPDX-License-Identifier: BSD-3-Clause
// Credentials and challenges: Authorization, Proxy-Authorization, WWW-Authenticate,
// Proxy-Authenticate (RFC 3261 §20.7, §20.44, RFC 7616 §3.3, §3.4). Pure; any thread.
#pragma once

#include "include/span.h"

// Views of what stands between the quotes; empty where absent.
struct td_digest_params {
	struct td_span username, realm, nonce, uri, response, algorithm, cnonce, opaque, qop, nc,
		stale;
};

// 0; -ENOTSUP: another scheme than Digest; -EBADMSG: not to be read, something stands twice, or a
// value has an escape, which no two readers would take alike.
int td_digest_params_decode(struct td_span value, struct td_digest_params *out);
// The eight hexadecimal digits of nc. false: it is none.
bool td_nc_decode(struct td_span text, uint32_t *out);
