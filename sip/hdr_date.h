// SPDX-License-Identifier: BSD-3-Clause
// Date (RFC 3261 §20.17): SIP-date, which is GMT and nothing else. Pure; any thread.
#pragma once

#include "include/span.h"

bool td_date_valid(struct td_span value);
