// SPDX-License-Identifier: BSD-3-Clause
// IP addresses, socket addresses and prefixes of both families. Any thread; never allocates.
//
// Unused bytes are always zero, so that equality is a memcmp and a hash may run over the struct.
#pragma once

#include "include/span.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { TD_IPV4 = 4, TD_IPV6 = 6 };

#define TD_ADDR_STRLEN 56 // "[v6]:port" and NUL

struct td_sockaddr {
	uint8_t ip[16];  // network order; IPv4 in the first four bytes
	uint16_t port;   // host order; 0 where only the address counts
	uint8_t family;  // TD_IPV4, TD_IPV6, 0 = unset
	uint8_t zero;
};

static_assert(sizeof(struct td_sockaddr) == 20, "hashed and compared as bytes");

struct td_prefix {
	uint8_t ip[16];
	uint8_t family;
	uint8_t len; // bits
};

static inline size_t td_ip_len(uint8_t family)
{
	return family == TD_IPV4 ? 4 : 16;
}

// An address that one machine can have on a wire.
static inline bool td_ip_is_host(const struct td_sockaddr *a)
{
	static const uint8_t zero[16], loopback6[16] = { [15] = 1 };

	if (memcmp(a->ip, zero, 16) == 0)
		return false;
	if (a->family == TD_IPV4)
		return a->ip[0] != 0 && a->ip[0] != 127 && a->ip[0] < 224;
	return a->ip[0] != 0xff && memcmp(a->ip, loopback6, 16) != 0;
}

static inline bool td_ip_eq(const struct td_sockaddr *a, const struct td_sockaddr *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip, 16) == 0;
}

// Whom an address stands for where nobody vouches for it: of IPv6 its /64, since whoever has one
// address there has them all.
static inline struct td_sockaddr td_ip_site(const struct td_sockaddr *a)
{
	struct td_sockaddr site = { .family = a->family };

	memcpy(site.ip, a->ip, a->family == TD_IPV6 ? 8 : sizeof(site.ip));
	return site;
}

static inline bool td_sockaddr_eq(const struct td_sockaddr *a, const struct td_sockaddr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static inline bool td_prefix_has(const struct td_prefix *p, const struct td_sockaddr *a)
{
	if (p->family != a->family)
		return false;
	if (memcmp(p->ip, a->ip, p->len / 8) != 0)
		return false;
	uint8_t mask = (uint8_t)(0xff00 >> (p->len % 8));
	return p->len % 8 == 0 || ((p->ip[p->len / 8] ^ a->ip[p->len / 8]) & mask) == 0;
}

// Dotted quad, decimal without leading zeros: what inet_pton takes, in a tenth of its time.
static inline bool td_ipv4_parse(struct td_span s, uint8_t ip[4])
{
	const char *p = s.ptr, *end = s.ptr + s.len;

	for (unsigned i = 0; i < 4; i++) {
		unsigned n = 0;
		const char *start = p;
		for (; p < end && (uint8_t)(*p - '0') <= 9 && n <= 255; p++)
			n = n * 10 + (unsigned)(*p - '0');
		if (p == start || n > 255 || (*start == '0' && p - start > 1))
			return false;
		ip[i] = (uint8_t)n;
		if (i < 3 && (p == end || *p++ != '.'))
			return false;
	}
	return p == end;
}

// Parses "10.0.0.1", "fd00::1" or "[fd00::1]" into ip and family, port untouched.
// Returns 0 or -1; *out is written only on success.
static inline int td_ip_parse(struct td_span s, struct td_sockaddr *out)
{
	char text[48];
	uint8_t ip[16] = { 0 };

	if (s.len >= 2 && s.ptr[0] == '[' && s.ptr[s.len - 1] == ']')
		s = td_span(s.ptr + 1, s.len - 2);
	if (s.len == 0 || s.len >= sizeof(text) || memchr(s.ptr, '\0', s.len))
		return -1;
	uint8_t family = td_ipv4_parse(s, ip) ? TD_IPV4 : TD_IPV6;
	if (family == TD_IPV6) {
		td_span_cstr(s, text, sizeof(text));
		memset(ip, 0, sizeof(ip));
		if (inet_pton(AF_INET6, text, ip) != 1)
			return -1;
	}
	memcpy(out->ip, ip, 16);
	out->family = family;
	out->zero = 0;
	return 0;
}

// Writes "10.0.0.1" or "fd00::1" (brackets where asked for). Returns the length, 0 where unset.
static inline size_t td_ip_format(const struct td_sockaddr *a, bool brackets, char *dst, size_t cap)
{
	char text[INET6_ADDRSTRLEN];

	if (a->family == 0 || cap < sizeof(text) + 3 ||
		!inet_ntop(a->family == TD_IPV4 ? AF_INET : AF_INET6, a->ip, text, sizeof(text))) {
		if (cap > 0)
			dst[0] = '\0';
		return 0;
	}
	bool wrap = brackets && a->family == TD_IPV6;
	int n = snprintf(dst, cap, wrap ? "[%s]" : "%s", text);
	return (size_t)n;
}

// Writes "10.0.0.1:5060" or "[fd00::1]:5060"; cap at least TD_ADDR_STRLEN. Returns the length.
static inline size_t td_sockaddr_format(const struct td_sockaddr *a, char *dst, size_t cap)
{
	size_t n = td_ip_format(a, true, dst, cap);

	return n == 0 ? 0 : n + (size_t)snprintf(dst + n, cap - n, ":%u", a->port);
}
