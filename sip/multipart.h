// SPDX-License-Identifier: BSD-3-Clause
// Bodies of several parts (RFC 2046 §5.1, RFC 5621). Pure; any thread; nothing is copied.
#pragma once

#include "include/span.h"

#define TD_MULTIPART_PARTS_MAX 16 // more: malformed

struct td_multipart {
	// The one application/sdp part that describes the session; of alternatives the last.
	struct td_span sdp; // len 0: there is none
	bool must_handle;   // some other part says that it must not stay behind
};

// params: those of the Content-Type, from behind its first ';'. 0; -EBADMSG: no boundary or a bad
// one, no closing delimiter, a part without its blank line, two sessions that are no alternatives.
int td_multipart_read(struct td_span params, struct td_span body, bool alternative,
	struct td_multipart *out);
