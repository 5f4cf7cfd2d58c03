// SPDX-License-Identifier: BSD-3-Clause
#include "control/text.h"

#include <stdint.h>
#include <string.h>

// Bytes of the UTF-8 character at s (RFC 3629: no surrogates, shortest form), 0 where there is
// none.
static size_t utf8_len(const uint8_t *s, size_t have)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80       ? 1
		   : s[0] >> 5 == 6  ? 2
		   : s[0] >> 4 == 14 ? 3
		   : s[0] >> 3 == 30 ? 4
				     : 0;

	if (n <= 1 || n > have)
		return n <= 1 ? n : 0;
	uint32_t code = s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
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
		size_t n = utf8_len((const uint8_t *)src + i, len - i);
		size_t take = n > 0 ? n : 1;
		uint8_t c = (uint8_t)src[i];
		if (out + take > cap - 1)
			break;
		if (n == 0 || (n == 1 && (c < 0x20 || c == 0x7f) && !(lines && c == '\n')))
			dst[out] = '?';
		else
			memcpy(dst + out, src + i, take);
		out += take;
		i += take;
	}
	dst[out] = '\0';
	return out;
}
