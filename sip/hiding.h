// SPDX-License-Identifier: BSD-3-Clause
// What text may cross the switch (architecture §5: topology hiding). Pure; any thread.
#pragma once

#include "sip/writer.h"

// Does the text hold something that reads as an IPv4 or IPv6 address, or a control character that
// no header or SDP value may hold? Such text names the side it comes from, or breaks the message it
// is put into. Errs towards true.
bool td_hiding_unfit(struct td_span text);
// The same for a body, whose lines may end as they like: an address alone makes it unfit.
bool td_hiding_has_address(struct td_span text);
// Appends a header value with each fold (RFC 3261 §7.3.1) joined to one space.
void td_put_unfolded(struct td_writer *w, struct td_span value);
