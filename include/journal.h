// SPDX-License-Identifier: BSD-3-Clause
// The journal's record format: on the workers' rings in run_dir and in the segment files in state_dir/journal.
//
// A worker appends to its ring (dataplane/journal_ring.h); the journal thread moves whole records to segment files
// named NNNNNNNNNNNNNNNN.tdj (sequence number, hexadecimal) and fsyncs; control reads the segments and commits rows
// and its position in one transaction, then removes segments that lie wholly behind every reader.
// Integers are little endian. A reader stops at the first record whose length or CRC does not hold.
#pragma once

#include <stdint.h>

#define TD_JOURNAL_MAGIC 0x4c4a4454u // "TDJL"
#define TD_JOURNAL_VERSION 1

enum td_journal_type {
	TD_JOURNAL_BOOT = 1,    // struct td_journal_boot: a data plane began; older epochs' open calls are incomplete
	TD_JOURNAL_START = 2,   // struct td_cdr as known at the answer
	TD_JOURNAL_END = 3,     // struct td_cdr, final
	TD_JOURNAL_ATTEMPT = 4, // struct td_cdr_attempt, written when the attempt ended
};

// Opens each segment file.
struct td_journal_segment {
	uint32_t magic;
	uint32_t version;
	uint64_t sequence;
};

struct td_journal_record {
	uint32_t length; // bytes of the payload that follows; records start 8-byte aligned
	uint32_t crc;    // CRC-32C over type, epoch and payload
	uint16_t type;   // enum td_journal_type
	uint16_t worker;
	uint32_t epoch;  // boot epoch of the data plane that wrote it
};

struct td_journal_boot {
	uint64_t started_us;
	uint32_t epoch;
	uint32_t zero;
};

static inline uint32_t td_journal_padded(uint32_t length)
{
	return (length + 7u) & ~7u;
}
