// SPDX-License-Identifier: BSD-3-Clause
#include "sip/chars.h"

#define ALNUM (TD_CH_TOKEN | TD_CH_USER | TD_CH_HOST | TD_CH_PARAM | TD_CH_VALUE)
#define MARK (TD_CH_USER | TD_CH_PARAM | TD_CH_VALUE)

// Wider than the grammar in three places where nothing can be misread for it: '#' in a user part
// (technical prefixes of carriers), '_' in a host name, and any visible character that delimits
// nothing in a parameter value (base64 tags).
const uint8_t td_chars[256] = {
	['a' ... 'f'] = ALNUM | TD_CH_HEX,
	['g' ... 'z'] = ALNUM,
	['A' ... 'F'] = ALNUM | TD_CH_HEX,
	['G' ... 'Z'] = ALNUM,
	['0' ... '9'] = ALNUM | TD_CH_DIGIT | TD_CH_HEX,
	['-'] = TD_CH_TOKEN | MARK | TD_CH_HOST,
	['_'] = TD_CH_TOKEN | MARK | TD_CH_HOST,
	['.'] = TD_CH_TOKEN | MARK | TD_CH_HOST,
	['!'] = TD_CH_TOKEN | MARK,
	['~'] = TD_CH_TOKEN | MARK,
	['*'] = TD_CH_TOKEN | MARK,
	['\''] = TD_CH_TOKEN | MARK,
	['('] = MARK,
	[')'] = MARK,
	['%'] = TD_CH_TOKEN | TD_CH_VALUE,
	['`'] = TD_CH_TOKEN | TD_CH_VALUE,
	['+'] = TD_CH_TOKEN | MARK,
	['&'] = MARK,
	['='] = MARK,
	['$'] = MARK,
	['/'] = MARK,
	[','] = TD_CH_USER,
	[';'] = TD_CH_USER,
	['?'] = TD_CH_USER | TD_CH_VALUE,
	['#'] = TD_CH_USER | TD_CH_VALUE,
	['['] = TD_CH_PARAM | TD_CH_VALUE,
	[']'] = TD_CH_PARAM | TD_CH_VALUE,
	[':'] = TD_CH_PARAM | TD_CH_VALUE,
	['@'] = TD_CH_VALUE,
	['^'] = TD_CH_VALUE,
	['{'] = TD_CH_VALUE,
	['|'] = TD_CH_VALUE,
	['}'] = TD_CH_VALUE,
	[' '] = TD_CH_SPACE,
	['\t'] = TD_CH_SPACE,
	['\r'] = TD_CH_SPACE,
	['\n'] = TD_CH_SPACE,
};

// Up to the first quote or backslash, 16 characters at a time while 16 are there. May stop early.
static const char *skip_unquoted(const char *p, const char *end)
{
#if defined(__SSE2__)
	for (; end - p >= 16; p += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i stop = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
			_mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
		unsigned stops = (unsigned)_mm_movemask_epi8(stop);
		if (stops)
			return p + __builtin_ctz(stops);
	}
#endif
	return p;
}

const char *td_skip_quoted(const char *p, const char *end)
{
	for (p = skip_unquoted(p + 1, end); p < end; p++) {
		if (*p == '"')
			return p + 1;
		if (*p == '\\')
			p++;
	}
	return NULL;
}

const char *td_skip_escaped(const char *p, const char *end, uint8_t classes)
{
	for (;;) {
		p = td_skip(td_skip_word(p, end), end, classes);
		if (p == end || *p != '%')
			return p;
		if (end - p < 3 || !td_char_is(p[1], TD_CH_HEX) || !td_char_is(p[2], TD_CH_HEX))
			return NULL;
		p += 3;
	}
}

// "name=value" or "name" of words, as nearly all are: one look at 16 characters shows where both
// end. The position behind it, NULL where it is anything else.
static inline const char *plain_param(
	const char *p, const char *end, struct td_span *name, struct td_span *value)
{
#if defined(__SSE2__)
	if (p == end)
		return NULL;
	unsigned breaks = td_word_breaks_until(p, end);
	const char *name_end = p + __builtin_ctz(breaks), *q = name_end;
	breaks &= breaks - 1;
	if (name_end == p || (breaks == 0 && q < end))
		return NULL;
	if (q < end && *q == '=') {
		q = p + __builtin_ctz(breaks);
		if (q == p + 16)
			q = td_skip(td_skip_word(q, end), end, TD_CH_VALUE);
		if (q == name_end + 1)
			return NULL;
	}
	if (q < end && *q != ';' && *q != ',')
		return NULL;
	*name = td_span(p, (size_t)(name_end - p));
	*value = q > name_end ? td_span(name_end + 1, (size_t)(q - name_end - 1)) : td_span(q, 0);
	return q;
#else
	return NULL;
#endif
}

const char *td_param_next(
	const char *p, const char *end, struct td_span *name, struct td_span *value)
{
	const char *plain = plain_param(p, end, name, value);

	if (plain)
		return plain;
	p = td_skip_space(p, end);
	const char *q = td_skip(p, end, TD_CH_TOKEN); // too short to be skipped as a word
	if (q == p)
		return NULL;
	*name = td_span(p, (size_t)(q - p));
	*value = td_span(q, 0);
	p = td_skip_space(q, end);
	if (p < end && *p == '=') {
		p = td_skip_space(p + 1, end);
		q = p < end && *p == '"' ? td_skip_quoted(p, end)
					 : td_skip(td_skip_word(p, end), end, TD_CH_VALUE);
		if (!q || q == p)
			return NULL;
		*value = td_span(p, (size_t)(q - p));
		p = td_skip_space(q, end);
	}
	return p == end || *p == ';' || *p == ',' ? p : NULL;
}

const char *td_skip_host(const char *p, const char *end)
{
	const char *q = p;

	if (p == end || *p != '[') {
		q = td_skip(td_skip_word(p, end), end, TD_CH_HOST);
		return q == p ? NULL : q;
	}
	for (q++; q < end && (td_char_is(*q, TD_CH_HEX) || *q == ':' || *q == '.'); q++)
		;
	return q < end && *q == ']' && q - p > 2 ? q + 1 : NULL;
}

// Most ports have four digits: read at once. p where these are not there.
static inline const char *four_digits(const char *p, const char *end, uint32_t *number)
{
	uint32_t w;

	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__ || end - p < 4)
		return p;
	memcpy(&w, p, 4);
	if (((w & 0xf0f0f0f0) | ((w + 0x06060606) & 0xf0f0f0f0) >> 4) != 0x33333333)
		return p;
	w = (w & 0x0f0f0f0f) * 10 + ((w & 0x0f0f0f0f) >> 8); // pairs, in the bytes 0 and 2
	*number = (w & 0xff) * 100 + (w >> 16 & 0xff);
	return p + 4;
}

const char *td_skip_port(const char *p, const char *end, uint16_t *port)
{
	uint32_t n = 0;
	const char *q = four_digits(p, end, &n);

	for (; q < end; q++) {
		unsigned digit = (unsigned)(uint8_t)*q - '0';
		if (digit > 9)
			break;
		n = n * 10 + digit;
		if (n > UINT16_MAX)
			return NULL;
	}
	if (n == 0)
		return NULL;
	*port = (uint16_t)n;
	return q;
}
