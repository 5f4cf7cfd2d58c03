// SPDX-License-Identifier: BSD-3-Clause
#include "sip/writer.h"

static void put_ipv4(struct td_writer *w, const uint8_t *ip)
{
	char text[15], *p = text;

	for (unsigned i = 0; i < 4; i++) {
		unsigned n = ip[i];
		if (i > 0)
			*p++ = '.';
		if (n >= 100)
			*p++ = (char)('0' + n / 100);
		if (n >= 10)
			*p++ = (char)('0' + n / 10 % 10);
		*p++ = (char)('0' + n % 10);
	}
	td_put(w, text, (size_t)(p - text));
}

static void put_hex(struct td_writer *w, unsigned group)
{
	bool started = false;

	for (int shift = 12; shift >= 0; shift -= 4) {
		unsigned digit = group >> shift & 15;
		if (digit != 0 || started || shift == 0) {
			td_put_char(w, "0123456789abcdef"[digit]);
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
		put_hex(w, group[i]);
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
