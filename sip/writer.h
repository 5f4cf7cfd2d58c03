// SPDX-License-Identifier: BSD-3-Clause
// Writes a message into a lent buffer. Overflow is remembered, not reported by each call: check
// once at the end.
#pragma once

#include "include/addr.h"
#include "include/host.h"

struct td_writer {
	char *start, *pos, *end;
	bool overflow;
};

static inline struct td_writer td_writer(struct td_buf *buf)
{
	return (struct td_writer){ buf->data, buf->data, buf->data + buf->cap, false };
}

static inline uint32_t td_writer_len(const struct td_writer *w)
{
	return (uint32_t)(w->pos - w->start);
}

// Most pieces are short, and a call of memcpy takes longer than to copy them.
void td_put(struct td_writer *w, const char *ptr, size_t len);

static inline void td_put_span(struct td_writer *w, struct td_span s)
{
	td_put(w, s.ptr, s.len);
}

// len is known when this is compiled.
static inline __attribute__((always_inline)) void td_put_fixed(
	struct td_writer *w, const char *ptr, size_t len)
{
	if ((size_t)(w->end - w->pos) < len) {
		w->overflow = true;
		return;
	}
	memcpy(w->pos, ptr, len);
	w->pos += len;
}

#define td_put_lit(w, literal) td_put_fixed((w), (literal), sizeof(literal) - 1)

static inline void td_put_char(struct td_writer *w, char c)
{
	td_put_fixed(w, &c, 1);
}

void td_put_uint(struct td_writer *w, uint64_t n);
// Lower case, all digits, the highest first.
void td_put_hex(struct td_writer *w, const uint8_t *bytes, size_t n);
// "10.0.0.1" or "[fd00::1]".
void td_put_ip(struct td_writer *w, const struct td_sockaddr *a);
// "10.0.0.1" or "fd00::1", as SDP and Via's received have it.
void td_put_address(struct td_writer *w, const struct td_sockaddr *a);
// "10.0.0.1:5060"; the port is left out where it is 0.
void td_put_hostport(struct td_writer *w, const struct td_sockaddr *a);
