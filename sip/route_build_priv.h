// SPDX-License-Identifier: BSD-3-Clause
// What the files of route_build share: rows as they come, joined, and written as an image.
#pragma once

#include "sip/route_build.h"
#include "sip/route_intern.h"

// When a target applies; the more it says, the earlier it is asked.
struct filter {
	uint32_t domain, caller; // text
	uint16_t window, zero;
};

// A row, and once it is joined with its likes, a key and what it leads to.
struct short_row {
	uint64_t key;
	union {
		struct {
			uint32_t filter, target;
		};
		struct td_route_ref ref;
	};
};

struct long_row {
	uint64_t hi, lo;
	uint32_t parent, zero;
	union {
		struct {
			uint32_t filter, target;
		};
		struct td_route_ref ref;
	};
};

struct aor_row {
	uint64_t hash;
	uint32_t text, order;
	uint32_t filter, target; // target: the set, once joined
};

struct rows {
	void *rows;
	size_t row_bytes;
	uint32_t n, cap;
};

struct td_route_builder {
	struct intern names, opts, filters, targets, text, sets;
	struct rows shorts, longs, aors;
	uint64_t n_rows;
	uint32_t aor_slots, n_buckets;
	struct td_route_header header; // laid out by close()
};

// --- route_join.c

// Sorts the rows and joins those of one match. 0; -EINVAL and the match; -ENOMEM.
int route_rows_join(struct td_route_builder *b, char match[TD_ROUTE_SYMBOLS_MAX + 2]);
