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

// Hides the fields under a stream that the MAC selects, so that equal fields look alike only when
// they are equal whole. The stream is SipHash-1-3 of the MAC with 128 bits of output: it keeps
// numbers from the curious, whom the MAC already keeps from choosing its input.
static void fields_mask(const struct td_token_keys *keys, struct raw *raw)
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

static void text_write(const struct raw *raw, char dst[TD_TOKEN_LEN])
{
	uint64_t a = raw->mac, b = raw->fields[0], c = raw->fields[1];
	uint64_t sixes[4] = { a & SIX, b & SIX, c & SIX,
		(a >> 6 & TWO) | (b >> 6 & TWO) << 2 | (c >> 6 & TWO) << 4 };
	lanes v[HALVES];

	memcpy(v, sixes, sizeof(v));
	for (unsigned i = 0; i < HALVES; i++)
		v[i] += 'A' + ((v[i] > 25) & ('a' - 'A' - 26)) + ((v[i] > 51) & ('0' - 'a' - 26)) +
			((v[i] > 61) & ('-' - '0' - 10)) + ((v[i] > 62) & ('_' - '-' - 1));
	memcpy(dst, v, sizeof(v));
}

// false: a character is none of the alphabet's.
static bool text_read(const char text[TD_TOKEN_LEN], struct raw *raw)
{
	lanes v[HALVES], all = { 0 };
	uint64_t sixes[4], good[2];

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
	memcpy(sixes, v, sizeof(sixes));
	memcpy(good, &all, sizeof(good));
	raw->mac = sixes[0] | (sixes[3] & TWO) << 6;
	raw->fields[0] = sixes[1] | (sixes[3] >> 2 & TWO) << 6;
	raw->fields[1] = sixes[2] | (sixes[3] >> 4 & TWO) << 6;
	return (good[0] & good[1]) == UINT64_MAX;
}

static inline void token_write(const struct td_token_keys *keys, const struct td_token *token,
	const uint64_t *bound, char dst[TD_TOKEN_LEN])
{
	struct raw raw;

	assert(token->worker < 64 && token->kind >= TD_TOKEN_TRANSACTION &&
		token->kind <= TD_TOKEN_NONCE);
	fields_write(keys, token, raw.fields);
	raw.mac = fields_mac(keys, raw.fields, bound);
	fields_mask(keys, &raw);
	text_write(&raw, dst);
}

void td_token_write(
	const struct td_token_keys *keys, const struct td_token *token, char dst[TD_TOKEN_LEN])
{
	token_write(keys, token, NULL, dst);
}

void td_token_write_bound(const struct td_token_keys *keys, const struct td_token *token,
	uint64_t bound, char dst[TD_TOKEN_LEN])
{
	token_write(keys, token, &bound, dst);
}

static inline int token_read(const struct td_token_keys *keys, struct td_span text,
	const uint64_t *bound, struct td_token *out)
{
	struct raw raw;

	if (text.len != TD_TOKEN_LEN || !text_read(text.ptr, &raw))
		return -EBADMSG;
	fields_mask(keys, &raw);
	// One XOR over the whole word: the time tells nothing of how many bytes were right.
	if ((fields_mac(keys, raw.fields, bound) ^ raw.mac) != 0)
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

int td_token_read(const struct td_token_keys *keys, struct td_span text, struct td_token *out)
{
	return token_read(keys, text, NULL, out);
}

int td_token_read_bound(
	const struct td_token_keys *keys, struct td_span text, uint64_t bound, struct td_token *out)
{
	return token_read(keys, text, &bound, out);
}
