// SPDX-License-Identifier: BSD-3-Clause
// A view of bytes that somebody else owns. Never NUL-terminated. Any thread; never allocates.
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct td_span {
	const char *ptr; // NULL only when len is 0
	uint32_t len;    // bytes
};

#define TD_SPAN(literal) ((struct td_span){ (literal), sizeof(literal) - 1 })

static inline struct td_span td_span(const char *ptr, size_t len)
{
	return (struct td_span){ ptr, (uint32_t)len };
}

static inline struct td_span td_span_str(const char *nul_terminated)
{
	return td_span(nul_terminated, strlen(nul_terminated));
}

static inline bool td_span_eq(struct td_span a, struct td_span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline char td_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

// ASCII case folded, as RFC 3261 §7.3.1 compares names and tokens.
static inline bool td_span_ieq(struct td_span a, struct td_span b)
{
	uint32_t i = 0;

	if (a.len != b.len)
		return false;
	while (a.len - i >= 8 && memcmp(a.ptr + i, b.ptr + i, 8) == 0)
		i += 8; // mostly it is the same case
	for (; i < a.len; i++)
		if (a.ptr[i] != b.ptr[i] && td_lower(a.ptr[i]) != td_lower(b.ptr[i]))
			return false;
	return true;
}

// Copies at most cap - 1 bytes and ends them with NUL. Returns the bytes copied.
static inline size_t td_span_cstr(struct td_span s, char *dst, size_t cap)
{
	size_t n = s.len < cap - 1 ? s.len : cap - 1;

	if (n > 0)
		memcpy(dst, s.ptr, n);
	dst[n] = '\0';
	return n;
}
