// SPDX-License-Identifier: BSD-3-Clause
// From the bytes at the start of a header line to the header's id, without a branch on the name's length: the words of
// the name, folded to one case, are hashed into a table built from TD_HEADERS before main(). Any thread; no allocation.
#pragma once

#include "sip/msg.h"

enum { TD_HDR_WINDOW = 32, TD_HDR_NAME_MAX = 23, TD_HDR_SLOTS = 512 };

// 32 bytes each, so that an index is a shift.
struct td_hdr_words {
	uint64_t w[3];
	uint64_t id; // of a name; of a mask unused
};

struct td_hdr_table {
	struct td_hdr_words fold[TD_HDR_NAME_MAX + 1]; // by length: keeps the name's bytes and drops the case bit
	struct td_hdr_words name[TD_H__COUNT * 2];     // folded; TD_H__COUNT + id: the compact form; 0: none
	uint8_t slot[TD_HDR_SLOTS];                    // index into name; linear probing
};

extern struct td_hdr_table td_hdr_table; // written before main() only

static inline unsigned td_hdr_hash(const struct td_hdr_words *n)
{
	uint64_t h = n->w[0] * 0x9e3779b97f4a7c15u + (n->w[1] ^ n->w[2]) * 0xc2b2ae3d27d4eb4fu;

	return (unsigned)(h >> 55);
}

// The length is the last byte: white space folds to zero, and so would look like a shorter name. Folding also maps CR onto
// '-': a name with a CR inside has failed the line scan already.
static inline struct td_hdr_words td_hdr_fold(const char window[TD_HDR_WINDOW], unsigned len)
{
	const struct td_hdr_words *fold = &td_hdr_table.fold[len];
	uint64_t a, b, c;

	memcpy(&a, window, 8);
	memcpy(&b, window + 8, 8);
	memcpy(&c, window + 16, 8);
	return (struct td_hdr_words){ { a & fold->w[0], b & fold->w[1], (c & fold->w[2]) | (uint64_t)len << 56 }, 0 };
}

// Id of the name window[0, len), TD_H_OTHER where it is none of the table's.
static inline uint8_t td_hdr_lookup(const char window[TD_HDR_WINDOW], unsigned len)
{
	if (len > TD_HDR_NAME_MAX)
		return TD_H_OTHER;
	struct td_hdr_words n = td_hdr_fold(window, len);
	for (unsigned at = td_hdr_hash(&n);; at = (at + 1) % TD_HDR_SLOTS) {
		const struct td_hdr_words *e = &td_hdr_table.name[td_hdr_table.slot[at]];
		if (((n.w[0] ^ e->w[0]) | (n.w[1] ^ e->w[1]) | (n.w[2] ^ e->w[2])) == 0 || e->id == TD_H_OTHER)
			return (uint8_t)e->id;
	}
}
