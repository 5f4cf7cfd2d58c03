// SPDX-License-Identifier: BSD-3-Clause
#include "sip/hdr_auth.h"

#include "sip/chars.h"

#include <errno.h>

#define FIELD(key, bytes, member)                                                                  \
	{                                                                                          \
		key, bytes, offsetof(struct td_digest_params, member)                              \
	}

// By the first eight letters of the name; one has nine.
static const struct field {
	char head[8];
	uint8_t len;
	uint8_t offset;
} fields[] = {
	FIELD("username", 8, username),
	FIELD("realm", 5, realm),
	FIELD("nonce", 5, nonce),
	FIELD("uri", 3, uri),
	FIELD("response", 8, response),
	FIELD("algorith", 9, algorithm),
	FIELD("cnonce", 6, cnonce),
	FIELD("opaque", 6, opaque),
	FIELD("qop", 3, qop),
	FIELD("nc", 2, nc),
	FIELD("stale", 5, stale),
};
static_assert(sizeof(struct td_digest_params) < 256, "offsets fit");

// As it would stand in the table: the rest zero, letters in lower case. A token has no character
// but a letter that becomes one with that bit.
static uint64_t head_of(struct td_span name, const char *end)
{
	const uint64_t lower = 0x2020202020202020;
	uint32_t n = name.len < 8 ? name.len : 8;
	uint64_t word = 0;

	if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && end - name.ptr >= 8) {
		uint64_t mask = n == 8 ? UINT64_MAX : (1ull << 8 * n) - 1;
		memcpy(&word, name.ptr, 8);
		return (word | lower) & mask;
	}
	char head[8] = { 0 };
	for (uint32_t i = 0; i < n; i++)
		head[i] = name.ptr[i] | 0x20;
	memcpy(&word, head, 8);
	return word;
}

// What nobody asked for is passed over (§25.1 auth-param). end: of the header.
static struct td_span *place_of(struct td_span name, const char *end, struct td_digest_params *out)
{
	uint64_t word = head_of(name, end), head;

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		memcpy(&head, fields[i].head, 8);
		if (word != head || name.len != fields[i].len)
			continue;
		if (name.len == 9 && (name.ptr[8] | 0x20) != 'm')
			return NULL;
		return (struct td_span *)(void *)((char *)out + fields[i].offset);
	}
	return NULL;
}

// First '"', '\\' or control character.
static const char *quoted_skip(const char *p, const char *end)
{
#if defined(__SSE2__)
	for (; end - p >= 16; p += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i stop = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
			_mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
		stop = _mm_or_si128(stop, _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(31)), v));
		unsigned at = (unsigned)_mm_movemask_epi8(stop);
		if (at)
			return p + __builtin_ctz(at);
	}
#endif
	while (p < end && *p != '"' && *p != '\\' && (uint8_t)*p >= ' ')
		p++;
	return p;
}

// A token or a quoted string without its quotes, p behind the '='. Position behind it, or NULL.
static const char *value_scan(const char *p, const char *end, struct td_span *value)
{
	if (p == end || *p != '"') {
		const char *q = td_skip_token(p, end);
		*value = td_span(p, (size_t)(q - p));
		return q > p ? q : NULL;
	}
	const char *q = quoted_skip(p + 1, end);
	if (q == end || *q != '"')
		return NULL;
	*value = td_span(p + 1, (size_t)(q - p - 1));
	return q + 1;
}

static const char *param_scan(const char *p, const char *end, struct td_digest_params *out)
{
	struct td_span value;
	const char *name = p, *name_end = td_skip_token(p, end);

	p = td_skip_space(name_end, end);
	if (name_end == name || p == end || *p != '=')
		return NULL;
	p = value_scan(td_skip_space(p + 1, end), end, &value);
	if (!p)
		return NULL;
	struct td_span *place = place_of(td_span(name, (size_t)(name_end - name)), end, out);
	if (place && place->ptr)
		return NULL;
	if (place)
		*place = value;
	return td_skip_space(p, end);
}

int td_digest_params_decode(struct td_span value, struct td_digest_params *out)
{
	const char *p = value.ptr, *end = value.ptr + value.len;

	memset(out, 0, sizeof(*out));
	if (value.len < 7 || !td_span_ieq(td_span(p, 6), TD_SPAN("Digest")) ||
		!td_char_is(p[6], TD_CH_SPACE))
		return -ENOTSUP;
	for (p = td_skip_space(p + 6, end);; p = td_skip_space(p + 1, end)) {
		p = param_scan(p, end, out);
		if (p == end)
			return 0;
		if (!p || *p != ',')
			return -EBADMSG;
	}
}

bool td_nc_decode(struct td_span text, uint32_t *out)
{
	uint32_t n = 0;

	if (text.len != 8)
		return false;
	for (uint32_t i = 0; i < 8; i++) {
		char c = td_lower(text.ptr[i]);
		if (!td_char_is(c, TD_CH_HEX))
			return false;
		n = n << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	*out = n;
	return true;
}
