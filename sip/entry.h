// SPDX-License-Identifier: BSD-3-Clause
// Decoders that find the end of what they decode themselves, so that a comma or a bracket need not
// be looked for first. *out is zero at the call; where they return NULL it holds rubbish. Pure; any
// thread; never allocates.
#pragma once

#include "sip/core.h"

// A URI. Position behind it: end, or a character that cannot belong to it.
const char *td_uri_scan(const char *p, const char *end, struct td_uri *out);

// One entry of Via, or of a name-addr header; p on its first character. Position of the ',' behind
// it, or end.
const char *td_via_scan(const char *p, const char *end, struct td_via *out);
const char *td_name_addr_scan(const char *p, const char *end, struct td_name_addr *out);
