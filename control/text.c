// SPDX-License-Identifier: BSD-3-Clause
#include "control/text.h"

#include <stdint.h>
#include <string.h>

// C1, ends of lines and paragraphs, and what turns the direction of those that follow.
static bool obeyed(uint32_t code)
{
	return (code >= 0x80 && code < 0xa0) || code == 0x61c ||
	       (code >= 0x200e && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069);
}

// Bytes of the UTF-8 character at s (RFC 3629: no surrogates, shortest form), 0 where there is
// none. *control: a terminal would obey it.
static size_t utf8_len(const uint8_t *s, size_t have, bool *control)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80       ? 1
		   : s[0] >> 5 == 6  ? 2
		   : s[0] >> 4 == 14 ? 3
		   : s[0] >> 3 == 30 ? 4
				     : 0;

	*control = n == 1 && (s[0] < 0x20 || s[0] == 0x7f);
	if (n <= 1 || n > have)
		return n <= 1 ? n : 0;
	uint32_t code = s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	*control = obeyed(code);
	return code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : n;
}

// Printable ASCII at the front.
static size_t plain_len(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && (uint8_t)(s[n] - ' ') < 0x7f - ' ')
		n++;
	return n;
}

size_t td_text_clean(const char *src, size_t src_cap, bool lines, char *dst, size_t cap)
{
	size_t len = strnlen(src, src_cap), out = 0;

	for (size_t i = 0; i < len;) {
		// Nearly every text is plain to its end.
		size_t plain =
			plain_len(src + i, len - i < cap - 1 - out ? len - i : cap - 1 - out);
		memcpy(dst + out, src + i, plain);
		i += plain;
		out += plain;
		if (i == len)
			break;
		bool control;
		size_t n = utf8_len((const uint8_t *)src + i, len - i, &control);
		size_t take = n > 0 ? n : 1;
		bool clean = n > 0 && (!control || (lines && src[i] == '\n'));
		size_t put = clean ? n : 1;
		if (out + put > cap - 1)
			break;
		memcpy(dst + out, clean ? src + i : "?", put);
		out += put;
		i += take;
	}
	dst[out] = '\0';
	return out;
}
