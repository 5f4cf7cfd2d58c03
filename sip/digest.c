// SPDX-License-Identifier: BSD-3-Clause
#include "sip/digest.h"

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

// Parts joined by colons. What fits is gathered first: few calls of the hash are fewer than many.
static void hash_joined(enum td_digest_algorithm algorithm, const struct td_span *parts, size_t n,
	uint8_t *out)
{
	struct hash h;
	char text[256];
	size_t len = 0;

	hash_begin(&h, algorithm);
	for (size_t i = 0; i < n; i++) {
		if (len + parts[i].len + 1 > sizeof(text)) {
			hash_put(&h, text, len);
			len = 0;
		}
		if (parts[i].len + 1 > sizeof(text)) {
			hash_put(&h, parts[i].ptr, parts[i].len);
		} else if (parts[i].len > 0) {
			memcpy(text + len, parts[i].ptr, parts[i].len);
			len += parts[i].len;
		}
		if (i + 1 < n)
			text[len++] = ':';
	}
	hash_put(&h, text, len);
	hash_end(&h, out);
}

void td_digest_ha1(enum td_digest_algorithm algorithm, struct td_span user, struct td_span realm,
	struct td_span password, uint8_t ha1[TD_DIGEST_BYTES_MAX])
{
	const struct td_span parts[] = { user, realm, password };

	hash_joined(algorithm, parts, 3, ha1);
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

size_t td_digest_response(enum td_digest_algorithm algorithm, const uint8_t *ha1,
	const struct td_digest_ask *ask, char hex[TD_DIGEST_HEX_MAX])
{
	const size_t bytes = td_digest_bytes(algorithm), len = 2 * bytes;
	const struct td_span a2[] = { ask->method, ask->uri };
	uint8_t raw[TD_DIGEST_BYTES_MAX];
	char one[TD_DIGEST_HEX_MAX], two[TD_DIGEST_HEX_MAX];

	hex_write(ha1, bytes, one);
	hash_joined(algorithm, a2, 2, raw);
	hex_write(raw, bytes, two);
	if (ask->qop.len > 0) {
		const struct td_span parts[] = { td_span(one, len), ask->nonce, ask->nc,
			ask->cnonce, ask->qop, td_span(two, len) };
		hash_joined(algorithm, parts, 6, raw);
	} else {
		const struct td_span parts[] = { td_span(one, len), ask->nonce,
			td_span(two, len) };
		hash_joined(algorithm, parts, 3, raw);
	}
	hex_write(raw, bytes, hex);
	return len;
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
