// SPDX-License-Identifier: BSD-3-Clause
// Compiles rows of a dial plan into an image (sip/route_image.h). One owner at a time; allocates;
// some 40 bytes a row while it works. Nothing here is on the packet path.
#pragma once

#include "sip/route_image.h"

// One target of one match, as a line of a file says it. Spans need to live until the call returns.
struct td_route_row {
	struct td_span match;  // "", "4930", "=4930555100", "1001@example.net", "@example.net",
			       // "urn:service:sos"
	struct td_span to;     // a trunk, a group or "registrar"; empty: blocked
	struct td_span domain; // of the R-URI; empty: any
	struct td_span caller; // leading digits of the caller's number, or "anonymous"; empty: any
	struct td_span window; // empty: always
	struct td_span label, limit, failover; // names
	uint16_t priority, weight;
	uint16_t status; // of a blocked one
	uint32_t cost;   // millionths a minute
	uint32_t max_duration_s;
};

struct td_route_builder;

struct td_route_builder *td_route_builder_new(void);          // NULL: no memory
void td_route_builder_free(struct td_route_builder *builder); // NULL is fine

// 0; -EINVAL and *error, static text: what is wrong with the row; -ENOMEM; -E2BIG.
int td_route_builder_add(
	struct td_route_builder *builder, const struct td_route_row *row, const char **error);
uint64_t td_route_builder_rows(const struct td_route_builder *builder);

// Sorts and joins. *bytes: the image's size. 0; -EINVAL and match[] says which prefix has more than
// TD_ROUTE_TARGETS_MAX targets for one caller, domain and window; -ENOMEM; -E2BIG.
int td_route_builder_close(
	struct td_route_builder *builder, size_t *bytes, char match[TD_ROUTE_SYMBOLS_MAX + 2]);
// Writes the image into dst, which is zero, aligned to 64 and as large as close() said.
void td_route_builder_write(const struct td_route_builder *builder, const char *plan, void *dst);
