// SPDX-License-Identifier: BSD-3-Clause
#include "sip/hiding.h"

#include "sip/chars.h"

enum { DIGIT = 1, HEX = 2, COLON = 4, DOT = 8, CONTROL = 16 };

// What matters about a character; 0 for most of them, so that text without addresses costs one look
// a character.
// clang-format off
static const uint8_t kinds[256] = {
	[0 ... 8] = CONTROL, [10 ... 0x1f] = CONTROL, [0x7f] = CONTROL, ['.'] = DOT, [':'] = COLON,
	['0' ... '9'] = DIGIT | HEX, ['a' ... 'f'] = HEX, ['A' ... 'F'] = HEX,
};
// clang-format on

static inline uint8_t kind_at(struct td_span s, uint32_t i)
{
	return kinds[(uint8_t)s.ptr[i]];
}

// Length of a dotted quad at the start of the text (leading zeros included), 0: none.
static uint32_t quad_at(struct td_span s)
{
	uint32_t i = 0;

	for (uint32_t part = 0; part < 4; part++) {
		uint32_t digits = 0, value = 0;
		while (i < s.len && (kind_at(s, i) & DIGIT) && digits < 4) {
			value = 10 * value + (uint32_t)(s.ptr[i++] - '0');
			digits++;
		}
		if (digits == 0 || digits > 3 || value > 255)
			return 0;
		if (part < 3 && (i == s.len || s.ptr[i++] != '.'))
			return 0;
	}
	return i;
}

// A run of hexadecimal digits and colons is an IPv6 address where it holds "::" or seven colons. A
// time ("12:30:00") or a codec parameter ("mode:1") holds neither.
static bool run_is_ipv6(struct td_span s, uint32_t i)
{
	uint32_t colons = 0;

	for (uint8_t before = 0, kind; i < s.len && ((kind = kind_at(s, i)) & (HEX | COLON));
		i++, before = kind) {
		if (!(kind & COLON))
			continue;
		colons++;
		if (before & COLON)
			return true;
	}
	return colons >= 7;
}

static bool control_character(struct td_span s, uint32_t i)
{
	unsigned char c = (unsigned char)s.ptr[i];

	if (c == '\r' || c == '\n') { // part of a fold: white space must follow the line end
		uint32_t next = i + 1;
		if (c == '\r' && next < s.len && s.ptr[next] == '\n')
			next++;
		return next >= s.len || (s.ptr[next] != ' ' && s.ptr[next] != '\t');
	}
	return (c < 0x20 && c != '\t') || c == 0x7f;
}

// Does an address begin there? kind is of that character, before of the one in front of it.
static bool address_at(struct td_span text, uint32_t i, uint8_t kind, uint8_t before)
{
	if ((kind & DIGIT) && !(before & DIGIT) && quad_at(td_span(text.ptr + i, text.len - i)) > 0)
		return true;
	return (kind & (HEX | COLON)) && !(before & (HEX | COLON | DOT)) && run_is_ipv6(text, i);
}

#if defined(__SSE2__)
// Bits of the characters that ask for a closer look: '.', controls. *colons: those of ':'.
static inline unsigned suspects(__m128i v, unsigned *colons)
{
	__m128i stop = _mm_or_si128(
		_mm_cmpeq_epi8(v, _mm_set1_epi8('.')), _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)));
	__m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);

	*colons = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(':')));
	return (unsigned)_mm_movemask_epi8(_mm_or_si128(stop, control));
}
#endif

// No IPv4 address is without a '.', no IPv6 address without two ':'. Nearly every text has neither
// these nor a control character. false: look closer.
static inline bool plainly_fit(struct td_span text)
{
#if defined(__SSE2__)
	unsigned colons, before = 0;
	uint32_t i = 0;

	for (; i + 16 <= text.len; i += 16, before |= colons)
		if (suspects(_mm_loadu_si128((const __m128i *)(const void *)(text.ptr + i)),
			    &colons) ||
			(colons & (colons - 1)) || (before && colons))
			return false;
	if (i == text.len)
		return true;
	unsigned there = (1u << (text.len - i)) - 1;
	unsigned stop = suspects(td_load_short(text.ptr + i, text.len - i), &colons) & there;
	return !stop && !(colons & (colons - 1)) && !(before && colons);
#else
	return false;
#endif
}

static inline bool text_has(struct td_span text, bool controls)
{
	uint8_t before = 0, kind;

	if (plainly_fit(text))
		return false;
	for (uint32_t i = 0; i < text.len; i++, before = kind) {
		kind = kind_at(text, i);
		if (kind == 0)
			continue;
		if ((controls && (kind & CONTROL) && control_character(text, i)) ||
			address_at(text, i, kind, before))
			return true;
	}
	return false;
}

bool td_hiding_unfit(struct td_span text)
{
	return text_has(text, true);
}

bool td_hiding_has_address(struct td_span text)
{
	return text_has(text, false);
}

void td_put_unfolded(struct td_writer *w, struct td_span value)
{
	uint32_t i = 0;

	while (i < value.len) {
		uint32_t start = i;
		while (i < value.len && value.ptr[i] != '\r' && value.ptr[i] != '\n')
			i++;
		td_put(w, value.ptr + start, i - start);
		if (i == value.len)
			return;
		while (i < value.len && (value.ptr[i] == '\r' || value.ptr[i] == '\n' ||
						value.ptr[i] == ' ' || value.ptr[i] == '\t'))
			i++;
		td_put_char(w, ' ');
	}
}
