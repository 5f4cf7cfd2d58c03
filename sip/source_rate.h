// SPDX-License-Identifier: BSD-3-Clause
// A token bucket per source in front of new requests (not in-dialog ones), so that one
// peer's flood does not touch another's calls. What one source is the caller says: a whole address,
// or its site (td_ip_site()). Fixed table, keyed (realm, address); two choices,
// the older is replaced. One table for all workers: any thread may ask, nobody locks.
#pragma once

#include "include/addr.h"
#include "sip/pool.h"

struct td_source_rate;
struct td_source_rate *td_source_rate_new(
	const struct td_alloc *alloc, uint32_t entries, const uint64_t key[2]);
void td_source_rate_free(struct td_source_rate *rate, const struct td_alloc *alloc);
// true: passes. per_second 0 always passes; the burst is one second's worth.
bool td_source_rate_pass(struct td_source_rate *rate, uint64_t now_ns, uint16_t realm,
	const struct td_sockaddr *source, uint32_t per_second);
