// SPDX-License-Identifier: BSD-3-Clause
// From the bytes at the start of a header line to the header's id, without a branch on the name's
// length: the bytes of the name, folded to one case, are hashed into a table built from TD_HEADERS
// before main(). The hash is perfect: each name has a slot of its own, so that one comparison
// decides. Any thread; no allocation.
#pragma once

#include "sip/msg.h"

enum { TD_HDR_WINDOW = 32, TD_HDR_NAME_MAX = 23, TD_HDR_SLOT_BITS = 10 };

// A window of bytes at the start of a line, or what of them counts.
struct td_hdr_words {
	_Alignas(TD_HDR_WINDOW) uint64_t w[TD_HDR_WINDOW / 8];
};

struct td_hdr_table {
	struct td_hdr_words fold, colon;             // every byte the case bit, every byte ':'
	struct td_hdr_words keep[TD_HDR_WINDOW + 1]; // by length: ones over the name's bytes; none
						     // where it is too long
	struct td_hdr_words name[TD_H__COUNT *
				 2]; // folded; TD_H__COUNT + id: the compact form; 0: like no name
	uint8_t id[TD_H__COUNT * 2]; // of each name
	uint8_t slot[1 << TD_HDR_SLOT_BITS]; // index into name, 0: none
	uint64_t multiplier;
};

extern struct td_hdr_table td_hdr_table; // written before main() only

// No name has all its differences behind the first 16 bytes.
static inline unsigned td_hdr_hash(uint64_t first, uint64_t second)
{
	return (unsigned)(((first ^ second) * td_hdr_table.multiplier) >> (64 - TD_HDR_SLOT_BITS));
}

// Setting the case bit maps CR onto '-' and LF onto '*': the scan of the lines has told of a CR
// inside a line, and no name of the table has a '*'. Bytes behind the name become zero, which no
// folded byte is.
static inline struct td_hdr_words td_hdr_fold(const char window[TD_HDR_WINDOW], unsigned len)
{
	const struct td_hdr_words *keep = &td_hdr_table.keep[len];
	struct td_hdr_words n;

	memcpy(n.w, window, sizeof(n.w));
	for (unsigned i = 0; i < TD_HDR_WINDOW / 8; i++)
		n.w[i] = (n.w[i] | td_hdr_table.fold.w[i]) & keep->w[i];
	return n;
}

// Id of the name window[0, len), len <= TD_HDR_WINDOW; TD_H_OTHER where it is none of the table's.
static inline uint8_t td_hdr_lookup(const char window[TD_HDR_WINDOW], unsigned len)
{
	struct td_hdr_words n = td_hdr_fold(window, len);
	unsigned at = td_hdr_table.slot[td_hdr_hash(n.w[0], n.w[1])];
	const struct td_hdr_words *name = &td_hdr_table.name[at];
	uint64_t differ = (n.w[0] ^ name->w[0]) | (n.w[1] ^ name->w[1]) | (n.w[2] ^ name->w[2]);

	return differ ? TD_H_OTHER : td_hdr_table.id[at];
}
