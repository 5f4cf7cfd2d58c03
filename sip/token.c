// SPDX-License-Identifier: BSD-3-Clause
#include "sip/token.h"

#include "include/ceilings.h"
#include "sip/hash.h"

#include <errno.h>

enum { WORDS = 3, FIELDS = 16, MAC = 8 };

static_assert(TD_TOKEN_LEN * 6 == WORDS * 64, "no padding");
static_assert(TD_WORKERS_MAX <= 64, "a worker has six bits in a token");

// The layout of the fields is part of what the keys are derived from: a token of another layout has
// a bad MAC.
#define LAYOUT "tandem token 2 "

static void store64(uint8_t *p, uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	memcpy(p, &v, sizeof(v));
}

// SipHash-2-4 is td_hash (hash.h) with twice the rounds.
static inline void sip_word(struct td_hash *h, uint64_t word)
{
	h->v[3] ^= word;
	td_hash_round(h);
	td_hash_round(h);
	h->v[0] ^= word;
}

// last: the bytes that fill no word, and the length in the top byte.
static inline uint64_t sip_end(struct td_hash *h, uint64_t last)
{
	sip_word(h, last);
	h->v[2] ^= 0xff;
	td_hash_round(h);
	td_hash_round(h);
	td_hash_round(h);
	td_hash_round(h);
	return td_hash_folded(h);
}

uint64_t td_siphash(const uint64_t key[2], const void *data, size_t len)
{
	const uint8_t *p = data;
	const size_t whole = len & ~(size_t)7;
	struct td_hash h;

	td_hash_begin(&h, key);
	for (size_t i = 0; i < whole; i += 8)
		sip_word(&h, td_hash_load(p + i));
	return sip_end(&h, td_hash_rest(p, len) | (uint64_t)len << 56);
}

static uint64_t derive(const uint8_t key[32], char label)
{
	const uint64_t low[2] = { td_hash_load(key), td_hash_load(key + 8) };
	const uint64_t high[2] = { td_hash_load(key + 16), td_hash_load(key + 24) };
	char text[] = LAYOUT "?";

	text[sizeof(text) - 2] = label;
	uint64_t inner = td_siphash(low, text, sizeof(text) - 1);
	uint8_t word[8];
	store64(word, inner);
	return td_siphash(high, word, sizeof(word));
}

void td_token_keys_init(
	struct td_token_keys *keys, const uint8_t key[32], uint16_t node, uint32_t epoch)
{
	*keys = (struct td_token_keys){
		.mac = { derive(key, 'a'), derive(key, 'b') },
		.mask = { derive(key, 'c'), derive(key, 'd') },
		.hash = { derive(key, 'e'), derive(key, 'f') },
		.node = node,
		.epoch = epoch,
	};
}

// A token before it becomes text.
struct raw {
	uint64_t mac;
	uint64_t fields[2]; // kind 2 bits, worker 6, branch 8, node 16, epoch 32 | slot 32,
			    // generation 32
};

static void fields_write(
	const struct td_token_keys *keys, const struct td_token *token, uint64_t fields[2])
{
	fields[0] = (uint64_t)token->kind << 6 | token->worker | (uint64_t)token->branch << 8 |
		    (uint64_t)keys->node << 16 | (uint64_t)keys->epoch << 32;
	fields[1] = token->slot | (uint64_t)token->generation << 32;
}

// td_siphash() of the fields, and of *bound behind them where there is one, without its loops.
static inline uint64_t fields_mac(
	const struct td_token_keys *keys, const uint64_t fields[2], const uint64_t *bound)
{
	struct td_hash h;

	td_hash_begin(&h, keys->mac);
	sip_word(&h, fields[0]);
	sip_word(&h, fields[1]);
	if (!bound)
		return sip_end(&h, (uint64_t)FIELDS << 56);
	sip_word(&h, *bound);
	return sip_end(&h, (uint64_t)(FIELDS + sizeof(*bound)) << 56);
}

// Hides n fields under a stream that the MAC selects, so that equal fields look alike only when
// they are equal whole. The stream is SipHash-1-3 of the MAC with 128 bits of output: it keeps
// numbers from the curious, whom the MAC already keeps from choosing its input.
static inline void fields_mask(const struct td_token_keys *keys, struct raw *raw, unsigned n)
{
	struct td_hash h;

	td_hash_begin(&h, keys->mask);
	h.v[1] ^= 0xee;
	td_hash_word(&h, raw->mac);
	td_hash_word(&h, (uint64_t)MAC << 56);
	h.v[2] ^= 0xee;
	td_hash_round(&h);
	td_hash_round(&h);
	td_hash_round(&h);
	raw->fields[0] ^= td_hash_folded(&h);
	if (n == 1)
		return;
	h.v[1] ^= 0xdd;
	td_hash_round(&h);
	td_hash_round(&h);
	td_hash_round(&h);
	raw->fields[1] ^= td_hash_folded(&h);
}

// --- text: 32 characters of base64url's alphabet, in an order of our own. The low six bits of each
// byte of the three words make 24 characters, what is left of the three bytes in one place another.

#define SIX 0x3f3f3f3f3f3f3f3fu
#define TWO 0x0303030303030303u

// Characters side by side, as the compiler has room for them.
typedef int8_t lanes __attribute__((vector_size(16)));
enum { HALVES = TD_TOKEN_LEN / sizeof(lanes) };

static void chars_write(const uint64_t sixes[4], char dst[TD_TOKEN_LEN])
{
	lanes v[HALVES];

	memcpy(v, sixes, sizeof(v));
	for (unsigned i = 0; i < HALVES; i++)
		v[i] += 'A' + ((v[i] > 25) & ('a' - 'A' - 26)) + ((v[i] > 51) & ('0' - 'a' - 26)) +
			((v[i] > 61) & ('-' - '0' - 10)) + ((v[i] > 62) & ('_' - '-' - 1));
	memcpy(dst, v, sizeof(v));
}

// false: a character is none of the alphabet's.
static bool chars_read(const char text[TD_TOKEN_LEN], uint64_t sixes[4])
{
	lanes v[HALVES], all = { 0 };
	uint64_t good[2];

	all = all == 0;
	memcpy(v, text, sizeof(v));
	for (unsigned i = 0; i < HALVES; i++) {
		lanes upper = (v[i] >= 'A') & (v[i] <= 'Z'), lower = (v[i] >= 'a') & (v[i] <= 'z');
		lanes digit = (v[i] >= '0') & (v[i] <= '9');
		lanes dash = v[i] == '-', line = v[i] == '_';
		all &= upper | lower | digit | dash | line;
		v[i] += (upper & -'A') + (lower & (26 - 'a')) + (digit & (52 - '0')) +
			(dash & (62 - '-')) + (line & (63 - '_'));
	}
	memcpy(sixes, v, sizeof(v));
	memcpy(good, &all, sizeof(good));
	return (good[0] & good[1]) == UINT64_MAX;
}

static void text_write(const struct raw *raw, char dst[TD_TOKEN_LEN])
{
	uint64_t a = raw->mac, b = raw->fields[0], c = raw->fields[1];
	const uint64_t sixes[4] = { a & SIX, b & SIX, c & SIX,
		(a >> 6 & TWO) | (b >> 6 & TWO) << 2 | (c >> 6 & TWO) << 4 };

	chars_write(sixes, dst);
}

static bool text_read(const char text[TD_TOKEN_LEN], struct raw *raw)
{
	uint64_t sixes[4];
	bool good = chars_read(text, sixes);

	raw->mac = sixes[0] | (sixes[3] & TWO) << 6;
	raw->fields[0] = sixes[1] | (sixes[3] >> 2 & TWO) << 6;
	raw->fields[1] = sixes[2] | (sixes[3] >> 4 & TWO) << 6;
	return good;
}

void td_token_write(
	const struct td_token_keys *keys, const struct td_token *token, char dst[TD_TOKEN_LEN])
{
	struct raw raw;

	assert(token->worker < 64 && token->kind >= TD_TOKEN_TRANSACTION &&
		token->kind <= TD_TOKEN_DIALOG);
	fields_write(keys, token, raw.fields);
	raw.mac = fields_mac(keys, raw.fields, NULL);
	fields_mask(keys, &raw, 2);
	text_write(&raw, dst);
}

int td_token_read(const struct td_token_keys *keys, struct td_span text, struct td_token *out)
{
	struct raw raw;

	if (text.len != TD_TOKEN_LEN || !text_read(text.ptr, &raw))
		return -EBADMSG;
	fields_mask(keys, &raw, 2);
	// One XOR over the whole word: the time tells nothing of how many bytes were right.
	if ((fields_mac(keys, raw.fields, NULL) ^ raw.mac) != 0)
		return -EBADMSG;
	uint64_t first = raw.fields[0], second = raw.fields[1];
	if ((uint16_t)(first >> 16) != keys->node || (uint32_t)(first >> 32) != keys->epoch)
		return -ESTALE;
	*out = (struct td_token){
		.kind = first >> 6 & 3,
		.worker = first & 63,
		.branch = (uint8_t)(first >> 8),
		.slot = (uint32_t)second,
		.generation = (uint32_t)(second >> 32),
	};
	return 0;
}

// --- bound tokens: the MAC covers the same fields, of which only what the reader cannot know
// stands in the text.

enum { WORKER_SHIFT = 58 }; // above 26 bits of generation and 32 of slot

// Low six bits of 16 bytes make 16 characters; of the four bits that are left of each of 8 pairs,
// six make six characters, which take those of the other two along as their fifth and sixth bit.
static void bound_text_write(const struct raw *raw, char dst[TD_BOUND_LEN])
{
	uint64_t a = raw->mac, b = raw->fields[0];
	uint64_t rest = (a >> 6 & TWO) | (b >> 6 & TWO) << 2, over = rest >> 48;
	uint64_t spread =
		(over & 3) | (over >> 2 & 3) << 8 | (over >> 8 & 3) << 16 | (over >> 10 & 3) << 24;
	const uint64_t sixes[4] = { a & SIX, b & SIX, (rest & UINT64_MAX >> 16) | spread << 4 };
	char text[TD_TOKEN_LEN];

	chars_write(sixes, text);
	memcpy(dst, text, TD_BOUND_LEN);
}

static bool bound_text_read(const char text[TD_BOUND_LEN], struct raw *raw)
{
	char whole[TD_TOKEN_LEN];
	uint64_t sixes[4];

	memset(whole, 'A', sizeof(whole));
	memcpy(whole, text, TD_BOUND_LEN);
	bool good = chars_read(whole, sixes);
	uint64_t x = sixes[2], spread = x >> 4 & TWO;
	uint64_t over = (spread & 3) | (spread >> 8 & 3) << 2 | (spread >> 16 & 3) << 8 |
			(spread >> 24 & 3) << 10;
	uint64_t rest = (x & 0x0f0f0f0f0f0f) | over << 48;
	raw->mac = sixes[0] | (rest & TWO) << 6;
	raw->fields[0] = sixes[1] | (rest >> 2 & TWO) << 6;
	return good && spread >> 32 == 0; // of the last two characters those bits are none's
}

static uint64_t bound_mac(
	const struct td_token_keys *keys, const struct td_token *token, uint64_t bound)
{
	uint64_t fields[2];

	fields_write(keys, token, fields);
	return fields_mac(keys, fields, &bound);
}

void td_token_write_bound(const struct td_token_keys *keys, const struct td_token *token,
	uint64_t bound, char dst[TD_BOUND_LEN])
{
	struct raw raw = { .mac = bound_mac(keys, token, bound) };

	assert(token->worker < 64 && token->kind == TD_TOKEN_NONCE && token->branch == 0 &&
		token->generation <= TD_BOUND_GENERATION_MAX);
	raw.fields[0] = token->slot | (uint64_t)token->generation << 32 |
			(uint64_t)token->worker << WORKER_SHIFT;
	fields_mask(keys, &raw, 1);
	bound_text_write(&raw, dst);
}

int td_token_read_bound(
	const struct td_token_keys *keys, struct td_span text, uint64_t bound, struct td_token *out)
{
	struct raw raw;

	if (text.len != TD_BOUND_LEN || !bound_text_read(text.ptr, &raw))
		return -EBADMSG;
	fields_mask(keys, &raw, 1);
	uint64_t fields = raw.fields[0];
	const struct td_token token = { .kind = TD_TOKEN_NONCE,
		.worker = (uint8_t)(fields >> WORKER_SHIFT),
		.slot = (uint32_t)fields,
		.generation = (uint32_t)(fields >> 32) & TD_BOUND_GENERATION_MAX };
	if ((bound_mac(keys, &token, bound) ^ raw.mac) != 0)
		return -EBADMSG;
	*out = token;
	return 0;
}
