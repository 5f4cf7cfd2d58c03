// SPDX-License-Identifier: BSD-3-Clause
// A dial plan compiled into one piece of memory without pointers: every place in it is an offset,
// so that it can lie in a file, cross a process boundary in a memfd and be mapped anywhere. Made by
// sip/route_build.h, believed only after td_route_image_open(), read by any number of threads.
//
// A number is a key of 4-bit symbols, the first in the highest bits: 1–10 are 0–9, 11 is '*', 12
// '#', 13 the end of a whole number, 14 an emergency call, 0 what is behind the last one. Keys of
// at most 16 symbols stand in a hash table. A table of the first symbols says which lengths there
// are behind them, so that a look-up knows all the places it may have to read, asks memory for all
// of them at once, and waits once. Longer keys, which are few, stand sorted in a table of their
// own.
#pragma once

#include "include/ceilings.h"
#include "include/span.h"

#define TD_ROUTE_MAGIC 0x3130455455524454u
#define TD_ROUTE_NONE UINT32_MAX
#define TD_ROUTE_BUCKET 4    // keys of a bucket
#define TD_ROUTE_HOPS_MAX 64 // buckets from a key's own to where it stands
#define TD_ROUTE_HEAD_MAX 4  // symbols that the table of heads knows
#define TD_ROUTE_KEY_SYMBOLS 16
#define TD_ROUTE_SYMBOLS_MAX 32 // of a prefix, end mark included
#define TD_ROUTE_END 13u
#define TD_ROUTE_SOS (14ull << 60)

enum td_route_part {
	TD_ROUTE_BUCKETS, // struct td_route_bucket
	TD_ROUTE_HEADS,   // uint32_t for each value of the first symbols: bit n: keys of n symbols
	TD_ROUTE_LONG,    // struct td_route_long
	TD_ROUTE_AORS,    // struct td_route_aor, a power of two of them; none: 0
	TD_ROUTE_SETS,    // uint32_t: struct td_route_set one after the other; word 0 is unused
	TD_ROUTE_OPTS,    // struct td_route_opts; 0 is "nothing said"
	TD_ROUTE_NAMES,   // char[TD_NAME_LEN]; 0 is ""
	TD_ROUTE_TEXT,    // uint16_t length and the bytes; offset 0 is ""
	TD_ROUTE__PARTS
};

struct td_route_section {
	uint64_t offset; // from the header's first byte; a multiple of 64
	uint64_t n;      // elements
};

struct td_route_header {
	uint64_t magic;
	uint64_t bytes;      // the whole image
	uint64_t generation; // of the content: td_route_image_hash()
	char plan[TD_NAME_LEN];
	uint64_t rows;   // that it was made of
	uint32_t n_keys; // in the buckets
	uint32_t head_symbols;
	struct td_route_section parts[TD_ROUTE__PARTS];
};

static_assert(sizeof(struct td_route_header) % 8 == 0, "hashed in words");

// What a key leads to. to is the name of the one target that there is, where nothing else is said
// of it: such a key's set need not be read.
struct td_route_ref {
	uint32_t set; // word of the sets
	uint16_t to;  // 0: read the set
	uint16_t zero;
};

struct td_route_bucket {
	uint64_t key[TD_ROUTE_BUCKET]; // UINT64_MAX: free
	uint64_t beyond;               // a bit of each key that found no room here
	uint32_t set[TD_ROUTE_BUCKET];
	uint16_t to[TD_ROUTE_BUCKET];
};

static_assert(sizeof(struct td_route_bucket) == 64, "one cache line");

struct td_route_long {
	uint64_t hi, lo;
	uint32_t parent; // longest other one that begins it; TD_ROUTE_NONE
	struct td_route_ref ref;
	uint32_t zero;
};

struct td_route_aor {
	uint64_t hash; // 0: free
	uint32_t text; // "user@domain", the domain in lower case
	uint32_t set;
};

// What one key leads to: entries in the order in which they are asked. An entry applies where the
// domain, the caller and the window fit; each is followed by its targets by priority, then cost.
struct td_route_set {
	uint32_t n_entries;
};

struct td_route_entry {
	uint32_t domain; // text; 0: any
	uint32_t caller; // text: leading digits, or "anonymous"; 0: any
	uint16_t window; // name; 0: always
	uint16_t n_targets;
};

struct td_route_to {
	uint16_t name;     // trunk, group or TD_ROUTE_REGISTRAR; 0: blocked, weight is the status
	uint16_t priority; // lower first
	uint16_t weight;   // at random within a priority and cost
	uint16_t opts;
	uint32_t cost; // millionths a minute; lower first within a priority
};

struct td_route_opts {
	uint16_t label, limit, failover; // names
	uint16_t zero;
	uint32_t max_duration_s; // 0: the trunk's
};

#define TD_ROUTE_REGISTRAR "registrar" // a target that is the bindings of who was called

// An image that was looked at and found to hold: parts as pointers. Borrows the memory.
struct td_route_image {
	const struct td_route_header *header;
	const struct td_route_bucket *buckets;
	const uint32_t *heads;
	const struct td_route_long *longs;
	const struct td_route_aor *aors;
	const uint32_t *sets;
	const struct td_route_opts *opts;
	const char (*names)[TD_NAME_LEN];
	const char *text;
	uint32_t n_buckets, n_longs, n_names, n_aors; // n_aors: slots
	uint32_t head_shift;
};

// Looks at every offset and every order that a look-up relies on. 0; -EINVAL and *error, static
// text; -ENOMEM. Reads all of it: not on a thread that others wait for.
int td_route_image_open(
	struct td_route_image *image, const void *bytes, size_t len, const char **error);
// Of everything behind the generation. len: the header's bytes.
uint64_t td_route_image_hash(const struct td_route_header *header);

static inline uint64_t td_route_hash(uint64_t key)
{
	uint64_t h = key * 0x9e3779b97f4a7c15u;

	h ^= h >> 32;
	return h * 0xd6e8feb86659fd93u;
}

static inline uint32_t td_route_home(uint64_t hash, uint32_t n_buckets)
{
	return (uint32_t)((hash >> 32) * n_buckets >> 32);
}

static inline uint64_t td_route_beyond(uint64_t hash)
{
	return 1ull << (hash & 63);
}

static inline uint64_t td_route_mask(uint64_t key)
{
	return key == 0 ? 0 : ~0ull << (__builtin_ctzll(key) & ~3);
}

static inline uint32_t td_route_length(uint64_t key)
{
	return key == 0 ? 0 : TD_ROUTE_KEY_SYMBOLS - (uint32_t)__builtin_ctzll(key) / 4;
}

static inline struct td_span td_route_text(const struct td_route_image *image, uint32_t offset)
{
	uint16_t len;

	memcpy(&len, image->text + offset, sizeof(len));
	return td_span(image->text + offset + sizeof(len), len);
}

// A number as a key; symbols beyond 32 do not count.
struct td_route_key {
	uint64_t hi, lo;
};

// Symbol of a digit, '*' or '#'; 0: it is none.
static inline uint32_t td_route_symbol(char c)
{
	uint32_t d = (uint8_t)c - (uint32_t)'0';

	return d <= 9 ? d + 1 : c == '*' ? 11 : c == '#' ? 12 : 0;
}

// The number with its end mark. false: not a number, and the key is that of the empty prefix.
bool td_route_key_of(struct td_span number, struct td_route_key *out);
// Writes "4930", "=4930555100" or "urn:service:sos"; dst of TD_ROUTE_SYMBOLS_MAX + 2 bytes. Returns
// the length.
size_t td_route_key_format(const struct td_route_key *key, char *dst);

// The prefixes of a number in a plan, the longest first.
struct td_route_cursor {
	uint64_t key;
	uint32_t lengths;                        // of keys that may be there, a bit each
	uint32_t at_long;                        // TD_ROUTE_NONE: no more there
	uint64_t hash[TD_ROUTE_KEY_SYMBOLS + 1]; // of the key of each such length
};

struct td_route_match {
	struct td_route_key key;
	uint32_t length; // symbols
	struct td_route_ref ref;
};

void td_route_find(const struct td_route_image *image, const struct td_route_key *number,
	struct td_route_cursor *cursor);
bool td_route_next(const struct td_route_image *image, struct td_route_cursor *cursor,
	struct td_route_match *out);
// What exactly that key leads to; its set is 0 where there is none.
struct td_route_ref td_route_exact(const struct td_route_image *image, uint64_t key);
// The set of an AoR, or 0. The user is compared as it stands, the domain without case.
uint32_t td_route_aor(
	const struct td_route_image *image, struct td_span user, struct td_span domain);
uint64_t td_route_aor_hash(struct td_span user, struct td_span domain); // never 0
