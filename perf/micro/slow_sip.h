// SPDX-License-Identifier: BSD-3-Clause
// A second reader of SIP and SDP, written with nothing of sip/ but its result structs: it unfolds
// into NUL-terminated lines and uses libc's string functions. Slow and plain on purpose.
#pragma once

#include "sip/core.h"
#include "sip/sdp.h"

// Name of the first thing that it reads differently, NULL where both agree. sdp NULL: the message
// has none.
const char *slow_sip_differs(
	const struct td_msg *msg, const struct td_core *core, const struct td_sdp *sdp);
