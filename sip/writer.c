// SPDX-License-Identifier: BSD-3-Clause
#include "sip/writer.h"

static const char hex_digits[] = "0123456789abcdef";

// Two digits at once: of a number below 100, and of a byte in hexadecimal.
static char tens[100][2], hexes[256][2];

// The numbers of a byte as they stand in an address, with the dot behind them.
static char octets[256][4];

// Written here only, before any thread exists.
__attribute__((constructor)) static void tables_fill(void)
{
	for (unsigned n = 0; n < 100; n++) {
		tens[n][0] = (char)('0' + n / 10);
		tens[n][1] = (char)('0' + n % 10);
	}
	for (unsigned n = 0; n < 256; n++) {
		hexes[n][0] = hex_digits[n >> 4];
		hexes[n][1] = hex_digits[n & 15];
	}
	for (unsigned n = 0; n < 256; n++) {
		char *p = octets[n];
		if (n >= 100)
			*p++ = (char)('0' + n / 100);
		if (n >= 10)
			*p++ = (char)('0' + n / 10 % 10);
		*p++ = (char)('0' + n % 10);
		*p = '.';
	}
}

// At most 64 bytes, by loads and stores that overlap, all loads first.
static inline void copy(char *dst, const char *src, size_t len)
{
	uint64_t a[2], b[2], c[2], d[2];

	if (len >= 8) {
		if (len > 32) {
			memcpy(a, src, 16);
			memcpy(b, src + 16, 16);
			memcpy(c, src + len - 32, 16);
			memcpy(d, src + len - 16, 16);
			memcpy(dst, a, 16);
			memcpy(dst + 16, b, 16);
			memcpy(dst + len - 32, c, 16);
			memcpy(dst + len - 16, d, 16);
		} else if (len > 16) {
			memcpy(a, src, 16);
			memcpy(b, src + len - 16, 16);
			memcpy(dst, a, 16);
			memcpy(dst + len - 16, b, 16);
		} else {
			memcpy(a, src, 8);
			memcpy(b, src + len - 8, 8);
			memcpy(dst, a, 8);
			memcpy(dst + len - 8, b, 8);
		}
	} else if (len >= 4) {
		memcpy(a, src, 4);
		memcpy(b, src + len - 4, 4);
		memcpy(dst, a, 4);
		memcpy(dst + len - 4, b, 4);
	} else if (len > 0) {
		char middle = src[len / 2], last = src[len - 1];
		dst[0] = src[0];
		dst[len / 2] = middle;
		dst[len - 1] = last;
	}
}

// Apart, so that short pieces need no stack.
static __attribute__((noinline)) void put_long(struct td_writer *w, const char *ptr, size_t len)
{
	memcpy(w->pos, ptr, len);
	w->pos += len;
}

static __attribute__((noinline)) void put_nothing(struct td_writer *w)
{
	w->overflow = true;
}

__attribute__((noinline)) void td_put(struct td_writer *w, const char *ptr, size_t len)
{
	char *dst = w->pos;

	if ((size_t)(w->end - dst) < len) {
		put_nothing(w);
		return;
	}
	if (len > 64) {
		put_long(w, ptr, len);
		return;
	}
	w->pos = dst + len;
	copy(dst, ptr, len);
}

void td_put_uint(struct td_writer *w, uint64_t n)
{
	char text[20];
	size_t i = sizeof(text);

	if (n < 10) {
		td_put_char(w, (char)('0' + n));
		return;
	}
	for (; n >= 100; n /= 100)
		memcpy(text + (i -= 2), tens[n % 100], 2);
	if (n >= 10)
		memcpy(text + (i -= 2), tens[n], 2);
	else
		text[--i] = (char)('0' + n);
	td_put(w, text + i, sizeof(text) - i);
}

void td_put_hex(struct td_writer *w, const uint8_t *bytes, size_t n)
{
	if ((size_t)(w->end - w->pos) < 2 * n) {
		w->overflow = true;
		return;
	}
	for (size_t i = 0; i < n; i++)
		memcpy(w->pos + 2 * i, hexes[bytes[i]], 2);
	w->pos += 2 * n;
}

static void put_ipv4(struct td_writer *w, const uint8_t *ip)
{
	char text[4 * 4], *p = text;

	for (unsigned i = 0; i < 4; i++) {
		memcpy(p, octets[ip[i]], 4);
		p += ip[i] < 10 ? 2 : ip[i] < 100 ? 3 : 4;
	}
	td_put(w, text, (size_t)(p - 1 - text));
}

static void put_group(struct td_writer *w, unsigned group)
{
	bool started = false;

	for (int shift = 12; shift >= 0; shift -= 4) {
		unsigned digit = group >> shift & 15;
		if (digit != 0 || started || shift == 0) {
			td_put_char(w, hex_digits[digit]);
			started = true;
		}
	}
}

// The longest run of zero groups, the first of equals; shorter than two is none (RFC 5952 §4.2).
static void longest_zeros(const unsigned group[8], unsigned *from, unsigned *len)
{
	*from = 8;
	*len = 1;
	for (unsigned i = 0; i < 8; i++) {
		unsigned n = 0;
		while (i + n < 8 && group[i + n] == 0)
			n++;
		if (n > *len) {
			*from = i;
			*len = n;
		}
	}
}

static void put_ipv6(struct td_writer *w, const uint8_t *ip)
{
	unsigned group[8], from, len;

	for (unsigned i = 0; i < 8; i++)
		group[i] = (unsigned)ip[2 * i] << 8 | ip[2 * i + 1];
	longest_zeros(group, &from, &len);
	bool mapped = from == 0 && len == 5 && group[5] == 0xffff; // ::ffff:192.0.2.1, RFC 5952 §5
	for (unsigned i = 0; i < 8; i++) {
		if (i == from) {
			td_put_lit(w, "::");
			i += len - 1;
			continue;
		}
		if (i > 0 && i != from + len)
			td_put_char(w, ':');
		if (mapped && i == 6) {
			put_ipv4(w, ip + 12);
			return;
		}
		put_group(w, group[i]);
	}
}

void td_put_ip(struct td_writer *w, const struct td_sockaddr *a)
{
	if (a->family == TD_IPV4) {
		put_ipv4(w, a->ip);
	} else if (a->family == TD_IPV6) {
		td_put_char(w, '[');
		put_ipv6(w, a->ip);
		td_put_char(w, ']');
	}
}

void td_put_address(struct td_writer *w, const struct td_sockaddr *a)
{
	if (a->family == TD_IPV4)
		put_ipv4(w, a->ip);
	else if (a->family == TD_IPV6)
		put_ipv6(w, a->ip);
}

void td_put_hostport(struct td_writer *w, const struct td_sockaddr *a)
{
	td_put_ip(w, a);
	if (a->port != 0) {
		td_put_char(w, ':');
		td_put_uint(w, a->port);
	}
}
