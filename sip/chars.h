// SPDX-License-Identifier: BSD-3-Clause
// Character classes of RFC 3261 §25.1 and the small scanning steps every parser of sip/ is made of.
// Read-only; any thread; never allocates. Every step stops at `end` and never reads it.
#pragma once

#include "include/span.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum {
	TD_CH_TOKEN = 1,  // token
	TD_CH_USER = 2,   // user and password of a URI, without '%' and ':'
	TD_CH_HOST = 4,   // host name or IPv4 address
	TD_CH_PARAM = 8,  // parameters and headers of a URI, without '%', ';' and '?'
	TD_CH_VALUE = 16, // unquoted value of a header parameter
	TD_CH_SPACE = 32, // LWS: SP, HTAB and what is left of a fold
	TD_CH_DIGIT = 64,
	TD_CH_HEX = 128,
};

extern const uint8_t td_chars[256];

static inline bool td_char_is(char c, uint8_t classes)
{
	return (td_chars[(uint8_t)c] & classes) != 0;
}

// First position whose character is in none of the classes.
static inline const char *td_skip(const char *p, const char *end, uint8_t classes)
{
	for (; end - p >= 4; p += 4) {
		if (!td_char_is(p[0], classes))
			return p;
		if (!td_char_is(p[1], classes))
			return p + 1;
		if (!td_char_is(p[2], classes))
			return p + 2;
		if (!td_char_is(p[3], classes))
			return p + 3;
	}
	while (p < end && td_char_is(*p, classes))
		p++;
	return p;
}

// Letters, digits, '-', '.' and '_', which most names, hosts and tags are made of: a "word".
#if defined(__SSE2__)
// Bit i: byte i is none of these.
static inline unsigned td_word_breaks_of(__m128i v)
{
	__m128i letter = _mm_sub_epi8(
		_mm_or_si128(v, _mm_set1_epi8(0x20)), _mm_set1_epi8((char)('a' + 128)));
	__m128i digit = _mm_sub_epi8(v, _mm_set1_epi8((char)('-' + 128)));
	__m128i in = _mm_cmplt_epi8(letter, _mm_set1_epi8(-128 + 26));
	in = _mm_or_si128(
		in, _mm_andnot_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('/')),
			    _mm_cmplt_epi8(digit,
				    _mm_set1_epi8(-128 + 13)))); // "-./0123456789" without the '/'
	in = _mm_or_si128(in, _mm_cmpeq_epi8(v, _mm_set1_epi8('_')));
	return ~(unsigned)_mm_movemask_epi8(in) & 0xffff;
}

// The same of p[i]: 16 bytes are read.
static inline unsigned td_word_breaks(const char *p)
{
	return td_word_breaks_of(_mm_loadu_si128((const __m128i *)(const void *)p));
}
#endif

// Exactly [p, p + len), len 1 … 16, with zeros behind, by loads that overlap.
#if defined(__SSE2__)
static inline __m128i td_load_short(const char *p, uint32_t len)
{
	uint64_t low, high = 0;
	uint32_t a, b;

	if (len >= 8) {
		memcpy(&low, p, 8);
		memcpy(&high, p + len - 8, 8);
		high = len > 8 ? high >> (8 * (16 - len)) : 0;
	} else if (len >= 4) {
		memcpy(&a, p, 4);
		memcpy(&b, p + len - 4, 4);
		low = a | (uint64_t)b << (8 * (len - 4));
	} else {
		low = (uint64_t)(uint8_t)p[0] | (uint64_t)(uint8_t)p[len / 2] << (8 * (len / 2)) |
		      (uint64_t)(uint8_t)p[len - 1] << (8 * (len - 1));
	}
	return _mm_set_epi64x((int64_t)high, (int64_t)low);
}

// td_word_breaks() of what is there of [p, end), which is not empty; bit 16 is always set.
static inline unsigned td_word_breaks_until(const char *p, const char *end)
{
	unsigned breaks = end - p >= 16 ? td_word_breaks(p)
					: td_word_breaks_of(td_load_short(p, (uint32_t)(end - p)));

	return breaks | 1u << 16;
}
#endif

// Skips a word, 16 characters at a time while 16 are there. May stop early: td_skip goes on from
// there, for any class that contains these.
static inline const char *td_skip_word(const char *p, const char *end)
{
#if defined(__SSE2__)
	for (; end - p >= 16; p += 16) {
		unsigned out = td_word_breaks(p);
		if (out)
			return p + __builtin_ctz(out);
	}
#endif
	return p;
}

static inline const char *td_skip_space(const char *p, const char *end)
{
	while (p < end && (uint8_t)*p <= ' ' && td_char_is(*p, TD_CH_SPACE))
		p++;
	return p;
}

static inline const char *td_skip_token(const char *p, const char *end)
{
	return td_skip(td_skip_word(p, end), end, TD_CH_TOKEN);
}

// A span without the white space around it.
static inline struct td_span td_trim(const char *p, const char *end)
{
	p = td_skip_space(p, end);
	while (end > p && td_char_is(end[-1], TD_CH_SPACE))
		end--;
	return td_span(p, (size_t)(end - p));
}

// p stands on '"'. Position after the closing quote, NULL where there is none (§25.1
// quoted-string).
const char *td_skip_quoted(const char *p, const char *end);

// Like td_skip over the classes and %HH. NULL where an escape is broken.
const char *td_skip_escaped(const char *p, const char *end, uint8_t classes);

// One ";name=value" of a header: p stands behind the ';'. Fills name and value (quotes kept, empty
// for a flag). Returns the position of the next ';', of the ',' that ends the entry, or end; NULL
// where the parameter is malformed (no name, open quote).
const char *td_param_next(
	const char *p, const char *end, struct td_span *name, struct td_span *value);

// Host name, IPv4 address or [IPv6 reference]. IPv6 is checked for its characters only: whether it
// is an address matters to nobody before td_ip_parse() (RFC 5118 §4.10). Position behind it, NULL
// where there is none.
const char *td_skip_host(const char *p, const char *end);

// Decimal port, 1–65535. Position behind it, NULL where it is none.
const char *td_skip_port(const char *p, const char *end, uint16_t *port);
