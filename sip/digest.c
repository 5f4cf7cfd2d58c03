// SPDX-License-Identifier: BSD-3-Clause
#include "sip/digest.h"

#include "sip/writer.h"

#include <nettle/md5.h>
#include <nettle/sha2.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

// One hash in the making, of either kind.
struct hash {
	enum td_digest_algorithm algorithm;
	union {
		struct md5_ctx md5;
		struct sha256_ctx sha256;
	};
};

static void hash_begin(struct hash *h, enum td_digest_algorithm algorithm)
{
	h->algorithm = algorithm;
	if (algorithm == TD_DIGEST_MD5)
		md5_init(&h->md5);
	else
		sha256_init(&h->sha256);
}

static void hash_put(struct hash *h, const void *data, size_t len)
{
	if (h->algorithm == TD_DIGEST_MD5)
		md5_update(&h->md5, len, data);
	else
		sha256_update(&h->sha256, len, data);
}

static void hash_end(struct hash *h, uint8_t *out)
{
	if (h->algorithm == TD_DIGEST_MD5)
		md5_digest(&h->md5, TD_MD5_BYTES, out);
	else
		sha256_digest(&h->sha256, TD_SHA256_BYTES, out);
}

size_t td_digest_bytes(enum td_digest_algorithm algorithm)
{
	return algorithm == TD_DIGEST_MD5 ? TD_MD5_BYTES : TD_SHA256_BYTES;
}

struct td_span td_digest_name(enum td_digest_algorithm algorithm)
{
	return algorithm == TD_DIGEST_MD5 ? TD_SPAN("MD5") : TD_SPAN("SHA-256");
}

enum td_digest_algorithm td_digest_id(struct td_span name)
{
	if (name.len == 0 || td_span_ieq(name, TD_SPAN("MD5")))
		return TD_DIGEST_MD5;
	return td_span_ieq(name, TD_SPAN("SHA-256")) ? TD_DIGEST_SHA256 : TD_DIGEST__COUNT;
}

// Parts joined by colons. false: they do not fit.
static bool joined_put(struct td_writer *w, const struct td_span *parts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		td_put_span(w, parts[i]);
		if (i + 1 < n)
			td_put_char(w, ':');
	}
	return !w->overflow;
}

// Parts joined by colons behind what was hashed before. What fits is gathered first: one call of
// the hash is fewer than many.
static void hash_joined(struct hash *h, const struct td_span *parts, size_t n, uint8_t *out)
{
	char text[256];
	struct td_writer w = { text, text, text + sizeof(text), false };

	if (joined_put(&w, parts, n)) {
		hash_put(h, text, td_writer_len(&w));
		hash_end(h, out);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		hash_put(h, parts[i].ptr, parts[i].len);
		if (i + 1 < n)
			hash_put(h, ":", 1);
	}
	hash_end(h, out);
}

void td_digest_ha1(enum td_digest_algorithm algorithm, struct td_span user, struct td_span realm,
	struct td_span password, uint8_t ha1[TD_DIGEST_BYTES_MAX])
{
	const struct td_span parts[] = { user, realm, password };
	struct hash h;

	hash_begin(&h, algorithm);
	hash_joined(&h, parts, 3, ha1);
}

static void hex_write(const uint8_t *bytes, size_t n, char *hex)
{
#if defined(__SSE2__)
	// Digits of 16 bytes at once: the nibbles in their order, then '0' or 'a' - 10 added.
	for (; n >= 16; n -= 16, bytes += 16, hex += 32) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)bytes);
		__m128i mask = _mm_set1_epi8(15);
		__m128i high = _mm_and_si128(_mm_srli_epi16(v, 4), mask);
		__m128i low = _mm_and_si128(v, mask);
		for (int half = 0; half < 2; half++) {
			__m128i d = half == 0 ? _mm_unpacklo_epi8(high, low)
					      : _mm_unpackhi_epi8(high, low);
			__m128i letter = _mm_cmpgt_epi8(d, _mm_set1_epi8(9));
			d = _mm_add_epi8(d, _mm_set1_epi8('0'));
			d = _mm_add_epi8(d, _mm_and_si128(letter, _mm_set1_epi8('a' - '0' - 10)));
			_mm_storeu_si128((__m128i *)(void *)(hex + 16 * half), d);
		}
	}
#endif
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		hex[2 * i] = digits[bytes[i] >> 4];
		hex[2 * i + 1] = digits[bytes[i] & 15];
	}
}

enum { PARTS_MAX = 6 };

// What is hashed: ha1, the fields of ask, a2 in hexadecimal. Returns how many parts.
static size_t parts_of(struct td_span ha1, struct td_span a2, const struct td_digest_ask *ask,
	struct td_span parts[PARTS_MAX])
{
	size_t n = 0;

	parts[n++] = ha1;
	parts[n++] = ask->nonce;
	if (ask->qop.len > 0) {
		parts[n++] = ask->nc;
		parts[n++] = ask->cnonce;
		parts[n++] = ask->qop;
	}
	parts[n++] = a2;
	return n;
}

static size_t response_end(
	struct hash *h, const struct td_span *parts, size_t n, char hex[TD_DIGEST_HEX_MAX])
{
	const size_t bytes = td_digest_bytes(h->algorithm);
	uint8_t raw[TD_DIGEST_BYTES_MAX];

	hash_joined(h, parts, n, raw);
	hex_write(raw, bytes, hex);
	return 2 * bytes;
}

static void word_write(uint8_t *dst, uint32_t word)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	word = __builtin_bswap32(word);
#endif
	memcpy(dst, &word, sizeof(word));
}

// SHA-256 of one block, whose state is seed, and the parts behind it. They are padded here (FIPS
// 180-4 §5.1.1), so that nothing is copied once more and the state is the result. false: they are
// too long for that.
static bool seeded_hash(
	const uint8_t *seed, const struct td_span *parts, size_t n, char hex[TD_DIGEST_HEX_MAX])
{
	enum { PADDING = 9, BLOCKS = 4 };
	char text[BLOCKS * SHA256_BLOCK_SIZE];
	struct td_writer w = { text, text, text + sizeof(text) - PADDING, false };
	struct sha256_ctx sha256 = { .count = 1 };
	uint8_t raw[TD_SHA256_BYTES];

	if (!joined_put(&w, parts, n))
		return false;
	size_t len = td_writer_len(&w);
	size_t whole = (len + PADDING + SHA256_BLOCK_SIZE - 1) & ~(size_t)(SHA256_BLOCK_SIZE - 1);
	uint32_t bits = 8 * (uint32_t)(SHA256_BLOCK_SIZE + len);
	text[len++] = (char)0x80;
	memset(text + len, 0, whole - len);
	word_write((uint8_t *)text + whole - 4, bits);
	memcpy(sha256.state, seed, sizeof(sha256.state));
	sha256_update(&sha256, whole, (const uint8_t *)text);
	for (unsigned i = 0; i < TD_SHA256_BYTES / 4; i++)
		word_write(raw + 4 * i, sha256.state[i]);
	hex_write(raw, TD_SHA256_BYTES, hex);
	return true;
}

static void a2_hash(enum td_digest_algorithm algorithm, struct td_span method, struct td_span uri,
	char hex[TD_DIGEST_HEX_MAX])
{
	const struct td_span parts[] = { method, uri };
	uint8_t raw[TD_DIGEST_BYTES_MAX];
	struct hash h;

	hash_begin(&h, algorithm);
	hash_joined(&h, parts, 2, raw);
	hex_write(raw, td_digest_bytes(algorithm), hex);
}

size_t td_digest_response(enum td_digest_algorithm algorithm, const uint8_t *ha1,
	const struct td_digest_ask *ask, char hex[TD_DIGEST_HEX_MAX])
{
	const size_t bytes = td_digest_bytes(algorithm);
	char one[TD_DIGEST_HEX_MAX], two[TD_DIGEST_HEX_MAX];
	struct td_span parts[PARTS_MAX];
	struct hash h;

	hex_write(ha1, bytes, one);
	a2_hash(algorithm, ask->method, ask->uri, two);
	size_t n = parts_of(td_span(one, 2 * bytes), td_span(two, 2 * bytes), ask, parts);
	hash_begin(&h, algorithm);
	return response_end(&h, parts, n, hex);
}

void td_digest_seed(enum td_digest_algorithm algorithm, const uint8_t *ha1,
	uint8_t seed[TD_DIGEST_BYTES_MAX])
{
	struct sha256_ctx sha256;
	char hex[TD_DIGEST_HEX_MAX];

	static_assert(sizeof(sha256.state) == TD_DIGEST_BYTES_MAX, "the seed is that state");
	static_assert(sizeof(hex) == SHA256_BLOCK_SIZE, "HA1 is one block");
	if (algorithm == TD_DIGEST_MD5) {
		memcpy(seed, ha1, TD_MD5_BYTES);
		return;
	}
	hex_write(ha1, TD_SHA256_BYTES, hex);
	sha256_init(&sha256);
	sha256_update(&sha256, sizeof(hex), (const uint8_t *)hex);
	memcpy(seed, sha256.state, sizeof(sha256.state));
}

static bool a2_is(const struct td_digest_a2 *kept, struct td_span method, struct td_span uri)
{
	return td_span_eq(td_span(kept->text, kept->method_len), method) &&
	       td_span_eq(td_span(kept->text + kept->method_len, kept->uri_len), uri);
}

void td_digest_a2(struct td_digest_a2 *kept, enum td_digest_algorithm algorithm,
	struct td_span method, struct td_span uri)
{
	if (kept->uri_len > 0 && a2_is(kept, method, uri))
		return;
	a2_hash(algorithm, method, uri, kept->hex);
	kept->uri_len = 0;
	if (method.len + uri.len > sizeof(kept->text) || uri.len == 0)
		return; // good for this once
	memcpy(kept->text, method.ptr, method.len);
	memcpy(kept->text + method.len, uri.ptr, uri.len);
	kept->method_len = (uint16_t)method.len;
	kept->uri_len = (uint16_t)uri.len;
}

size_t td_digest_seeded(enum td_digest_algorithm algorithm, const uint8_t *seed,
	const struct td_digest_a2 *a2, const struct td_digest_ask *ask,
	char hex[TD_DIGEST_HEX_MAX])
{
	const struct td_span end = td_span(a2->hex, 2 * td_digest_bytes(algorithm));
	struct td_span parts[PARTS_MAX];
	char ha1[TD_DIGEST_HEX_MAX];
	struct hash h;

	if (algorithm == TD_DIGEST_MD5) {
		hex_write(seed, TD_MD5_BYTES, ha1);
		hash_begin(&h, algorithm);
		size_t n = parts_of(td_span(ha1, 2 * TD_MD5_BYTES), end, ask, parts);
		return response_end(&h, parts, n, hex);
	}
	size_t n = parts_of((struct td_span){ 0 }, end, ask, parts);
	if (seeded_hash(seed, parts, n, hex))
		return 2 * TD_SHA256_BYTES;
	h.algorithm = algorithm;
	memcpy(h.sha256.state, seed, sizeof(h.sha256.state));
	h.sha256.count = 1; // block behind it
	h.sha256.index = 0;
	return response_end(&h, parts, n, hex);
}

bool td_digest_equal(const char *ours, struct td_span theirs, size_t len)
{
	uint8_t difference = 0;

	if (theirs.len != len)
		return false;
	for (size_t i = 0; i < len; i++)
		difference |= (uint8_t)(ours[i] ^ (theirs.ptr[i] | 0x20)); // digits have that bit
	return difference == 0;
}
