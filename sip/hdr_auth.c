// SPDX-License-Identifier: BSD-3-Clause
#include "sip/hdr_auth.h"

#include "sip/chars.h"

#include <errno.h>

#define FIELD(key, member)                                                                         \
	{                                                                                          \
		TD_SPAN(key), offsetof(struct td_digest_params, member)                            \
	}

static const struct field {
	struct td_span name;
	size_t offset;
} fields[] = {
	FIELD("username", username),
	FIELD("realm", realm),
	FIELD("nonce", nonce),
	FIELD("uri", uri),
	FIELD("response", response),
	FIELD("algorithm", algorithm),
	FIELD("cnonce", cnonce),
	FIELD("opaque", opaque),
	FIELD("qop", qop),
	FIELD("nc", nc),
	FIELD("stale", stale),
};

// What nobody asked for is passed over (§25.1 auth-param).
static struct td_span *place_of(struct td_span name, struct td_digest_params *out)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (name.len == fields[i].name.len &&
			(memcmp(name.ptr, fields[i].name.ptr, name.len) == 0 ||
				td_span_ieq(name, fields[i].name)))
			return (struct td_span *)(void *)((char *)out + fields[i].offset);
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
	struct td_span *place = place_of(td_span(name, (size_t)(name_end - name)), out);
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
