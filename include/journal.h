// SPDX-License-Identifier: BSD-3-Clause
// The journal's record format: on the workers' rings in run_dir and in the segment files in
// state_dir/journal.
//
// A worker appends to its ring (dataplane/journal_ring.h); the journal thread moves whole records
// to segment files named NNNNNNNNNNNNNNNN.tdj (sequence number, hexadecimal) and fsyncs; control
// reads the segments and commits rows and its position in one transaction, then removes segments
// that lie wholly behind every reader. The sequence number is the boot epoch (high 32 bits) and the
// segment's number in it: it never repeats. A record that a kill caught between ring and segment
// may stand in two segments; readers key on the record's cdr id. Integers are little endian. A
// reader stops at the first record whose length or CRC does not hold, until a segment with a higher
// number is there: a data plane that starts opens a new one and never appends behind a torn tail.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __x86_64__
#include <nmmintrin.h>
#endif

#define TD_JOURNAL_MAGIC 0x4c4a4454u // "TDJL"
#define TD_JOURNAL_VERSION 1
#define TD_JOURNAL_PAYLOAD_MAX 4096 // a longer record does not hold
#define TD_JOURNAL_QUOTA_BYTES (1024ull << 20) // of all segments that somebody still has to read

enum td_journal_type {
	// struct td_journal_boot: a data plane began; older epochs' open calls are incomplete.
	TD_JOURNAL_BOOT = 1,
	TD_JOURNAL_START = 2,   // struct td_cdr as known at the answer
	TD_JOURNAL_END = 3,     // struct td_cdr, final
	TD_JOURNAL_ATTEMPT = 4, // struct td_cdr_attempt, written when the attempt ended
	TD_JOURNAL_BINDING = 5, // a packed binding (include/binding.h), written before its 200
	TD_JOURNAL_INTERIM = 6, // struct td_cdr of a call that lasts
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

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static inline uint32_t td_journal_crc_sse42(
	uint32_t crc, const uint8_t *p, size_t n)
{
	uint64_t sum = crc, word[4];

	for (; n >= sizeof(word); n -= sizeof(word), p += sizeof(word)) {
		memcpy(word, p, sizeof(word));
		for (unsigned i = 0; i < 4; i++)
			sum = _mm_crc32_u64(sum, word[i]);
	}
	for (; n >= sizeof(word[0]); n -= sizeof(word[0]), p += sizeof(word[0])) {
		memcpy(word, p, sizeof(word[0]));
		sum = _mm_crc32_u64(sum, word[0]);
	}
	crc = (uint32_t)sum;
	for (; n > 0; n--)
		crc = _mm_crc32_u8(crc, *p++);
	return crc;
}
#endif

// CRC-32C (Castagnoli, reflected, RFC 3720 App. B.4) continued over bytes; begin with ~0 and invert
// the end. What is built for any machine looks whether this one has the instruction.
static inline uint32_t td_journal_crc_bytes(uint32_t crc, const void *bytes, size_t n)
{
	static const uint32_t nibble[16] = { 0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
		0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6,
		0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75 };
	const uint8_t *p = (const uint8_t *)bytes;

#ifdef __SSE4_2__
	return td_journal_crc_sse42(crc, p, n);
#elif defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return td_journal_crc_sse42(crc, p, n);
#endif
	for (; n > 0; n--) {
		crc ^= *p++;
		crc = nibble[crc & 15] ^ crc >> 4;
		crc = nibble[crc & 15] ^ crc >> 4;
	}
	return crc;
}

// The crc field of a record: over type, epoch and payload, in this order.
static inline uint32_t td_journal_crc(const struct td_journal_record *record, const void *payload)
{
	uint32_t crc = ~0u;

	crc = td_journal_crc_bytes(crc, &record->type, sizeof(record->type));
	crc = td_journal_crc_bytes(crc, &record->epoch, sizeof(record->epoch));
	return ~td_journal_crc_bytes(crc, payload, record->length);
}

// Bytes of the whole record at data (header, payload, padding): 0 where fewer than a record are
// there, -1 where it does not hold.
static inline int64_t td_journal_check(const void *data, size_t have)
{
	struct td_journal_record record;

	if (have < sizeof(record))
		return 0;
	memcpy(&record, data, sizeof(record));
	if (record.length > TD_JOURNAL_PAYLOAD_MAX)
		return -1;
	size_t bytes = sizeof(record) + td_journal_padded(record.length);
	if (have < bytes)
		return 0;
	return td_journal_crc(&record, (const char *)data + sizeof(record)) == record.crc
		       ? (int64_t)bytes
		       : -1;
}
