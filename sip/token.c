// SPDX-License-Identifier: BSD-3-Clause
#include "sip/token.h"

#include "include/ceilings.h"

#include <errno.h>

enum { FIELDS = 16, MAC = 8, RAW = FIELDS + MAC };

static_assert(TD_TOKEN_LEN == RAW / 3 * 4, "no padding");
static_assert(TD_WORKERS_MAX <= 64, "a worker has six bits in a token");

// The layout of the fields is part of what the keys are derived from: a token of another layout has
// a bad MAC.
#define LAYOUT "tandem token 1 "

static uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

static void store64(uint8_t *p, uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	memcpy(p, &v, sizeof(v));
}

static inline uint64_t rotl(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] = rotl(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] = rotl(v[2], 32);
}

static inline void sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
}

static inline void sip_begin(uint64_t v[4], const uint64_t key[2])
{
	v[0] = key[0] ^ 0x736f6d6570736575u;
	v[1] = key[1] ^ 0x646f72616e646f6du;
	v[2] = key[0] ^ 0x6c7967656e657261u;
	v[3] = key[1] ^ 0x7465646279746573u;
}

// last: the bytes that fill no word, and the length in the top byte.
static inline uint64_t sip_end(uint64_t v[4], uint64_t last)
{
	sip_word(v, last);
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t td_siphash(const uint64_t key[2], const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t last = (uint64_t)len << 56, v[4];

	sip_begin(v, key);
	for (; len >= 8; p += 8, len -= 8)
		sip_word(v, load64(p));
	for (size_t i = 0; i < len; i++)
		last |= (uint64_t)p[i] << (8 * i);
	return sip_end(v, last);
}

static uint64_t derive(const uint8_t key[32], char label)
{
	const uint64_t low[2] = { load64(key), load64(key + 8) };
	const uint64_t high[2] = { load64(key + 16), load64(key + 24) };
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

// kind 2 bits, worker 6, branch 8, node 16, epoch 32 | slot 32, generation 32.
static void fields_write(
	const struct td_token_keys *keys, const struct td_token *token, uint8_t fields[FIELDS])
{
	uint64_t first = (uint64_t)token->kind << 6 | token->worker | (uint64_t)token->branch << 8 |
			 (uint64_t)keys->node << 16 | (uint64_t)keys->epoch << 32;

	store64(fields, first);
	store64(fields + 8, token->slot | (uint64_t)token->generation << 32);
}

// td_siphash() of the fields, and of *bound behind them where there is one, without its loops.
static inline uint64_t fields_mac(
	const struct td_token_keys *keys, const uint8_t fields[FIELDS], const uint64_t *bound)
{
	uint64_t v[4];

	sip_begin(v, keys->mac);
	sip_word(v, load64(fields));
	sip_word(v, load64(fields + 8));
	if (!bound)
		return sip_end(v, (uint64_t)FIELDS << 56);
	sip_word(v, *bound);
	return sip_end(v, (uint64_t)(FIELDS + sizeof(*bound)) << 56);
}

// Hides the fields under a stream that the MAC selects, so that equal fields look alike only when
// they are equal whole. The stream is td_siphash() of the MAC and a byte that counts; both words
// begin alike.
static void fields_mask(
	const struct td_token_keys *keys, const uint8_t mac[MAC], uint8_t fields[FIELDS])
{
	uint64_t first[4];

	sip_begin(first, keys->mask);
	sip_word(first, load64(mac));
	uint64_t second[4] = { first[0], first[1], first[2], first[3] };
	uint64_t last = (uint64_t)(MAC + 1) << 56;
	store64(fields, load64(fields) ^ sip_end(first, last));
	store64(fields + 8, load64(fields + 8) ^ sip_end(second, last | 1));
}

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static inline void token_write(const struct td_token_keys *keys, const struct td_token *token,
	const uint64_t *bound, char dst[TD_TOKEN_LEN])
{
	uint8_t raw[RAW];

	assert(token->worker < 64 && token->kind >= TD_TOKEN_TRANSACTION &&
		token->kind <= TD_TOKEN_NONCE);
	fields_write(keys, token, raw + MAC);
	store64(raw, fields_mac(keys, raw + MAC, bound));
	fields_mask(keys, raw, raw + MAC);
	for (unsigned i = 0, o = 0; i < RAW; i += 3, o += 4) {
		unsigned bits = (unsigned)raw[i] << 16 | (unsigned)raw[i + 1] << 8 | raw[i + 2];
		dst[o] = base64url[bits >> 18];
		dst[o + 1] = base64url[bits >> 12 & 63];
		dst[o + 2] = base64url[bits >> 6 & 63];
		dst[o + 3] = base64url[bits & 63];
	}
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

// The six bits of a character plus one, 0 for what is none of base64url's.
// clang-format off
static const uint8_t six_bits[256] = {
	['A'] = 1, ['B'] = 2, ['C'] = 3, ['D'] = 4, ['E'] = 5, ['F'] = 6, ['G'] = 7, ['H'] = 8, ['I'] = 9, ['J'] = 10,
	['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19,
	['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28,
	['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37,
	['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46,
	['u'] = 47, ['v'] = 48, ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55,
	['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['-'] = 63, ['_'] = 64,
};
// clang-format on

static bool base64url_decode(const char text[TD_TOKEN_LEN], uint8_t raw[RAW])
{
	bool good = true;

	for (unsigned i = 0, o = 0; i < TD_TOKEN_LEN; i += 4, o += 3) {
		unsigned bits = 0;
		for (unsigned k = 0; k < 4; k++) {
			unsigned six = six_bits[(uint8_t)text[i + k]];
			good &= six != 0;
			bits = bits << 6 | ((six - 1) & 63);
		}
		raw[o] = (uint8_t)(bits >> 16);
		raw[o + 1] = (uint8_t)(bits >> 8);
		raw[o + 2] = (uint8_t)bits;
	}
	return good;
}

static inline int token_read(const struct td_token_keys *keys, struct td_span text,
	const uint64_t *bound, struct td_token *out)
{
	uint8_t raw[RAW];

	if (text.len != TD_TOKEN_LEN || !base64url_decode(text.ptr, raw))
		return -EBADMSG;
	fields_mask(keys, raw, raw + MAC);
	// One XOR over the whole word: the time tells nothing of how many bytes were right.
	uint64_t difference = fields_mac(keys, raw + MAC, bound) ^ load64(raw);
	if (difference != 0)
		return -EBADMSG;
	uint64_t first = load64(raw + MAC), second = load64(raw + MAC + 8);
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

int td_token_read_bound(const struct td_token_keys *keys, struct td_span text, uint64_t bound,
	struct td_token *out)
{
	return token_read(keys, text, &bound, out);
}

int td_token_read_branch(
	const struct td_token_keys *keys, struct td_span branch, struct td_token *out)
{
	if (branch.len != TD_BRANCH_LEN || memcmp(branch.ptr, TD_BRANCH_COOKIE, 7) != 0)
		return -EBADMSG;
	return td_token_read(keys, td_span(branch.ptr + 7, TD_TOKEN_LEN), out);
}
