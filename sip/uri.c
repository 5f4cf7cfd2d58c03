// SPDX-License-Identifier: BSD-3-Clause
#include "sip/uri.h"

#include "sip/chars.h"
#include "sip/entry.h"

#include <errno.h>

static const char *host_parse(const char *p, const char *end, struct td_uri *out)
{
	const char *q = td_skip_host(p, end);

	if (q)
		out->host = td_span(p, (size_t)(q - p));
	return q;
}

// ":port", p on the colon.
static const char *port_parse(const char *p, const char *end, struct td_uri *out)
{
	out->has_port = true;
	return td_skip_port(p + 1, end, &out->port);
}

// ;name=value…, p on the first ';'. An empty one is a fault.
static const char *params_parse(const char *p, const char *end, struct td_uri *out)
{
	const char *start = p + 1;

	while (p < end && *p == ';') {
		const char *q = td_skip_escaped(p + 1, end, TD_CH_PARAM);
		if (!q || q == p + 1)
			return NULL;
		p = q;
	}
	out->params = td_span(start, (size_t)(p - start));
	return p;
}

static const char *uri_headers_parse(const char *p, const char *end, struct td_uri *out)
{
	const char *start = p + 1;

	while (p && p < end && *p == '?')
		p = td_skip_escaped(p + 1, end, TD_CH_PARAM);
	if (p)
		out->headers = td_span(start, (size_t)(p - start));
	return p;
}

// userinfo "@", where there is one: an unescaped '@' stands nowhere else in a SIP URI. NULL:
// malformed.
static const char *userinfo_parse(const char *p, const char *end, struct td_uri *out)
{
	const char *colon = NULL;
	const char *q =
		p + (p < end && *p == '+'); // of a number: the rest may then be skipped as one word

	q = td_skip_escaped(q, end, TD_CH_USER);

	if (q && q < end && *q == ':') {
		colon = q++;
		while ((q = td_skip_escaped(q, end, TD_CH_USER)) && q < end && *q == ':')
			q++;
	}
	if (!q)
		return NULL;
	if (q == end || *q != '@')
		return p;
	const char *user_end = colon ? colon : q;
	if (user_end == p)
		return NULL;
	out->user = td_span(p, (size_t)(user_end - p));
	if (colon)
		out->password = td_span(colon + 1, (size_t)(q - colon - 1));
	return q + 1;
}

// "user@host" of word characters, a '+' before the user, as in most URIs: two overlapping loads
// show where both end. Sets user and host and returns the position behind them; NULL where it is
// anything else, or longer than the loads.
static inline const char *plain_scan(const char *p, const char *end, struct td_uri *out)
{
#if defined(__SSE2__)
	size_t left = (size_t)(end - p), second = left < 32 ? left - 16 : 16;

	if (left < 16)
		return NULL;
	uint64_t breaks = td_word_breaks(p) | (uint64_t)td_word_breaks(p + second) << second |
			  1ull << (second + 16);
	breaks &= *p == '+' ? UINT64_MAX - 1 : UINT64_MAX;
	unsigned at = (unsigned)__builtin_ctzll(breaks);
	breaks &= breaks - 1;
	unsigned host_end = breaks ? (unsigned)__builtin_ctzll(breaks) : 0;
	if (host_end <= at + 1 || at == 0 || p[at] != '@' || (host_end == 32 && left > 32))
		return NULL;
	out->user = td_span(p, at);
	out->host = td_span(p + at + 1, host_end - at - 1);
	return p + host_end;
#else
	return NULL;
#endif
}

// These three stop where the URI ends: at end, or at a character that no URI of that scheme holds.
// NULL: malformed.
static const char *sip_scan(const char *p, const char *end, struct td_uri *out)
{
	const char *plain = plain_scan(p, end, out);

	if (!plain) {
		p = userinfo_parse(p, end, out);
		plain = p ? host_parse(p, end, out) : NULL;
	}
	p = plain;
	if (p && p < end && *p == ':')
		p = port_parse(p, end, out);
	if (p && p < end && *p == ';')
		p = params_parse(p, end, out);
	if (p && p < end && *p == '?')
		p = uri_headers_parse(p, end, out);
	return p;
}

// RFC 3966 §3: digits, visual separators, and what local numbers add to them.
static const char *tel_scan(const char *p, const char *end, struct td_uri *out)
{
	const char *q = p;

	while (q < end && (td_char_is(*q, TD_CH_HEX) || memchr("+-.()*#", *q, 7)))
		q++;
	if (q == p)
		return NULL;
	out->user = td_span(p, (size_t)(q - p));
	return q < end && *q == ';' ? params_parse(q, end, out) : q;
}

static const char *opaque_scan(const char *p, const char *end, struct td_uri *out)
{
	const char *q = p;

	while (q && q < end) {
		if (*q == '%')
			q = td_skip_escaped(q, end, 0);
		else if (td_char_is(*q, TD_CH_VALUE | TD_CH_USER))
			q++;
		else
			break;
	}
	if (!q || q == p)
		return NULL;
	if (out->scheme == TD_SCHEME_URN)
		out->user = td_span(p, (size_t)(q - p));
	return q;
}

static enum td_scheme scheme_id(struct td_span name)
{
	if (td_span_ieq(name, TD_SPAN("sip")))
		return TD_SCHEME_SIP;
	if (td_span_ieq(name, TD_SPAN("sips")))
		return TD_SCHEME_SIPS;
	if (td_span_ieq(name, TD_SPAN("tel")))
		return TD_SCHEME_TEL;
	return td_span_ieq(name, TD_SPAN("urn")) ? TD_SCHEME_URN : TD_SCHEME_OTHER;
}

static bool scheme_char(char c)
{
	return td_char_is(c, TD_CH_TOKEN) &&
	       (td_char_is(c, TD_CH_DIGIT) || (td_lower(c) >= 'a' && td_lower(c) <= 'z') ||
		       c == '+' || c == '-' || c == '.');
}

// Not inlined: td_uri_scan stays short for "sip:".
static __attribute__((noinline)) const char *scheme_scan(
	const char *text, const char *end, struct td_uri *out)
{
	const char *p = text;

	while (p < end && scheme_char(*p))
		p++;
	if (p == text || p == end || *p != ':' || !td_char_is(*text, TD_CH_HOST) ||
		td_char_is(*text, TD_CH_DIGIT))
		return NULL;
	out->scheme_name = td_span(text, (size_t)(p - text));
	out->scheme = (uint8_t)scheme_id(out->scheme_name);
	switch (out->scheme) {
	case TD_SCHEME_SIP:
	case TD_SCHEME_SIPS:
		return sip_scan(p + 1, end, out);
	case TD_SCHEME_TEL:
		return tel_scan(p + 1, end, out);
	default:
		return opaque_scan(p + 1, end, out);
	}
}

const char *td_uri_scan(const char *p, const char *end, struct td_uri *out)
{
	const char *stop;

	if (end - p > 4 && memcmp(p, "sip:", 4) == 0) {
		out->scheme = TD_SCHEME_SIP;
		out->scheme_name = td_span(p, 3);
		stop = sip_scan(p + 4, end, out);
	} else {
		stop = scheme_scan(p, end, out);
	}
	if (stop)
		out->whole = td_span(p, (size_t)(stop - p));
	return stop;
}

int td_uri_parse(struct td_span text, struct td_uri *out)
{
	memset(out, 0, sizeof(*out));
	if (text.len > 0 && td_uri_scan(text.ptr, text.ptr + text.len, out) == text.ptr + text.len)
		return 0;
	memset(out, 0, sizeof(*out));
	return -EBADMSG;
}

bool td_param_get(struct td_span params, struct td_span name, struct td_span *value)
{
	if (params.len == 0)
		return false;
	const char *p = params.ptr, *end = params.ptr + params.len;
	struct td_span n, v;

	while ((p = td_param_next(p, end, &n, &v))) {
		if (td_span_ieq(n, name)) {
			*value = v;
			return true;
		}
		if (p == end || *p++ != ';')
			break;
	}
	return false;
}

static unsigned hex_value(char c)
{
	return td_char_is(c, TD_CH_DIGIT) ? (unsigned)(c - '0')
					  : (unsigned)(td_lower(c) - 'a' + 10);
}

static bool is_escape(struct td_span s, uint32_t i)
{
	return s.ptr[i] == '%' && s.len - i >= 3 && td_char_is(s.ptr[i + 1], TD_CH_HEX) &&
	       td_char_is(s.ptr[i + 2], TD_CH_HEX);
}

// The character at *i, unescaped; moves *i behind it.
static char next_char(struct td_span s, uint32_t *i)
{
	if (is_escape(s, *i)) {
		char c = (char)(hex_value(s.ptr[*i + 1]) << 4 | hex_value(s.ptr[*i + 2]));
		*i += 3;
		return c;
	}
	return s.ptr[(*i)++];
}

int td_uri_unescape(struct td_span text, char *dst, size_t cap)
{
	size_t n = 0;

	for (uint32_t i = 0; i < text.len;) {
		if (n == cap)
			return -ENOBUFS;
		dst[n++] = next_char(text, &i);
	}
	return (int)n;
}

// Escaped and plain forms of a character are the same (§19.1.4).
static bool text_equal(struct td_span a, struct td_span b, bool fold)
{
	uint32_t i = 0, j = 0;

	while (i < a.len && j < b.len) {
		char x = next_char(a, &i), y = next_char(b, &j);
		if (fold ? td_lower(x) != td_lower(y) : x != y)
			return false;
	}
	return i == a.len && j == b.len;
}

// Cuts the next "name[=value]" off *rest.
static bool pair_next(
	struct td_span *rest, char separator, struct td_span *name, struct td_span *value)
{
	if (rest->len == 0)
		return false;
	const char *sep = memchr(rest->ptr, separator, rest->len);
	uint32_t len = sep ? (uint32_t)(sep - rest->ptr) : rest->len;
	const char *equals = memchr(rest->ptr, '=', len);
	uint32_t name_len = equals ? (uint32_t)(equals - rest->ptr) : len;
	*name = td_span(rest->ptr, name_len);
	*value = equals ? td_span(equals + 1, len - name_len - 1) : td_span(rest->ptr + len, 0);
	uint32_t gone = sep ? len + 1 : len;
	*rest = td_span(rest->ptr + gone, rest->len - gone);
	return true;
}

// false: they are not equal. Most names differ in their first letter.
static bool begin_alike(struct td_span a, struct td_span b)
{
	return a.len == 0 || b.len == 0 || *a.ptr == '%' || *b.ptr == '%' ||
	       td_lower(*a.ptr) == td_lower(*b.ptr);
}

enum pair_match { PAIR_ABSENT, PAIR_DIFFERS, PAIR_EQUAL };

// A name may stand twice in hostile text: the pair is equal when any of its namesakes is.
static enum pair_match pair_find(
	struct td_span list, char separator, struct td_span name, struct td_span value, bool fold)
{
	enum pair_match match = PAIR_ABSENT;
	struct td_span n, v;

	while (pair_next(&list, separator, &n, &v)) {
		if (!begin_alike(n, name) || !text_equal(n, name, true))
			continue;
		if (text_equal(v, value, fold))
			return PAIR_EQUAL;
		match = PAIR_DIFFERS;
	}
	return match;
}

// Parameters that must not stand in one URI alone (§19.1.4; transport by its examples).
static bool must_match(struct td_span name)
{
	static const struct td_span names[] = { { "user", 4 }, { "ttl", 3 }, { "method", 6 },
		{ "maddr", 5 }, { "transport", 9 } };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (begin_alike(name, names[i]) && text_equal(name, names[i], true))
			return true;
	return false;
}

static bool params_match(struct td_span a, struct td_span b, bool all)
{
	struct td_span name, value;

	while (pair_next(&a, ';', &name, &value)) {
		enum pair_match match = pair_find(b, ';', name, value, true);
		if (match == PAIR_DIFFERS || (match == PAIR_ABSENT && (all || must_match(name))))
			return false;
	}
	return true;
}

static bool headers_match(struct td_span a, struct td_span b)
{
	struct td_span name, value;

	while (pair_next(&a, '&', &name, &value))
		if (pair_find(b, '&', name, value, false) != PAIR_EQUAL)
			return false;
	return true;
}

static bool is_separator(char c)
{
	return c == '-' || c == '.' || c == '(' || c == ')';
}

// RFC 3966 §4: visual separators do not count.
static bool tel_equal(struct td_span a, struct td_span b)
{
	uint32_t i = 0, j = 0;

	for (;; i++, j++) {
		while (i < a.len && is_separator(a.ptr[i]))
			i++;
		while (j < b.len && is_separator(b.ptr[j]))
			j++;
		if (i == a.len || j == b.len)
			return i == a.len && j == b.len;
		if (td_lower(a.ptr[i]) != td_lower(b.ptr[j]))
			return false;
	}
}

bool td_uri_equal(const struct td_uri *a, const struct td_uri *b)
{
	if (a->scheme != b->scheme || !td_span_ieq(a->scheme_name, b->scheme_name))
		return false;
	switch (a->scheme) {
	case TD_SCHEME_SIP:
	case TD_SCHEME_SIPS:
		return text_equal(a->user, b->user, false) &&
		       text_equal(a->password, b->password, false) &&
		       td_span_ieq(a->host, b->host) && a->port == b->port &&
		       params_match(a->params, b->params, false) &&
		       params_match(b->params, a->params, false) &&
		       headers_match(a->headers, b->headers) &&
		       headers_match(b->headers, a->headers);
	case TD_SCHEME_TEL:
		return tel_equal(a->user, b->user) && params_match(a->params, b->params, true) &&
		       params_match(b->params, a->params, true);
	default:
		return text_equal(a->whole, b->whole, a->scheme == TD_SCHEME_URN);
	}
}

// Writes the number in text without its separators and its '+'. Length, -ENOBUFS, or -EINVAL where
// it is no number.
static int number_write(struct td_span text, char *dst, size_t cap)
{
	uint32_t start = text.len > 0 && text.ptr[0] == '+', i = start;
	bool digit = false;
	size_t n = 0;

	// Mostly there is nothing but digits.
	while (i < text.len && td_char_is(text.ptr[i], TD_CH_DIGIT))
		i++;
	if (i == text.len && i > start && i - start <= cap) {
		memcpy(dst, text.ptr + start, i - start);
		return (int)(i - start);
	}
	for (i = 0; i < text.len;) {
		bool first = i == 0;
		char c = next_char(text, &i);
		if (is_separator(c) || (first && c == '+'))
			continue;
		if (!td_char_is(c, TD_CH_DIGIT) && c != '*' && c != '#')
			return -EINVAL;
		digit |= td_char_is(c, TD_CH_DIGIT);
		if (n == cap)
			return -ENOBUFS;
		dst[n++] = c;
	}
	return digit ? (int)n : -EINVAL;
}

int td_uri_number(const struct td_uri *uri, bool use_rn, char *dst, size_t cap)
{
	struct td_span user = uri->user, params = uri->params, rn;
	const char *semicolon = user.len > 0 ? memchr(user.ptr, ';', user.len) : NULL;

	// The parameters of a telephone number stand inside the user part of a SIP URI (§19.1.6).
	if (semicolon) {
		params = td_span(semicolon + 1, (size_t)(user.ptr + user.len - semicolon - 1));
		user.len = (uint32_t)(semicolon - user.ptr);
	}
	if (use_rn && (semicolon || uri->scheme == TD_SCHEME_TEL) &&
		td_param_get(params, TD_SPAN("rn"), &rn)) {
		int n = number_write(rn, dst, cap);
		if (n != -EINVAL)
			return n;
	}
	int n = number_write(user, dst, cap);
	return n == -EINVAL ? td_uri_unescape(uri->user, dst, cap) : n;
}

bool td_uri_emergency(const struct td_uri *uri)
{
	const struct td_span sos = TD_SPAN("service:sos");

	if (uri->scheme != TD_SCHEME_URN || uri->user.len < sos.len ||
		!td_span_ieq(td_span(uri->user.ptr, sos.len), sos))
		return false;
	return uri->user.len == sos.len || uri->user.ptr[sos.len] == '.';
}
