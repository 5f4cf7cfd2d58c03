// SPDX-License-Identifier: BSD-3-Clause
// From, To, Contact, Route, P-Asserted-Identity and their kin: name-addr or addr-spec (RFC 3261
// §20.10, §25.1).
#include "sip/chars.h"
#include "sip/entry.h"

#include <errno.h>

// ;name=value… up to the end of the entry, and the tag among them. p is behind the address.
static const char *params_scan(const char *p, const char *end, struct td_name_addr *out)
{
	struct td_span name, value;

	p = td_skip_space(p, end);
	if (p == end || *p == ',')
		return p;
	if (*p != ';')
		return NULL;
	const char *start = p + 1;
	while (p < end && *p == ';') {
		p = td_param_next(p + 1, end, &name, &value);
		if (!p)
			return NULL;
		if (name.len != 3 || !td_span_ieq(name, TD_SPAN("tag")))
			continue;
		if (out->tag.ptr || value.len == 0)
			return NULL; // twice or empty: two receivers could read two dialogs
		out->tag = value;
	}
	out->params = td_trim(start, p);
	return p;
}

// p on '<'. No URI holds a '>': its scan stops there.
static const char *angle_scan(const char *p, const char *end, struct td_name_addr *out)
{
	p = td_uri_scan(p + 1, end, &out->uri);
	if (!p || p == end || *p != '>')
		return NULL;
	out->angle = true;
	return params_scan(p + 1, end, out);
}

// Without <> every ';' begins a header parameter, and a URI with ',' or '?' must not stand here
// (§20.10): the first ends the entry, the second is a fault.
static const char *bare_scan(const char *p, const char *end, struct td_name_addr *out)
{
	const char *q = p;

	for (; q < end && *q != ';' && *q != ',' && !td_char_is(*q, TD_CH_SPACE); q++)
		if (*q == '?')
			return NULL;
	return td_uri_scan(p, q, &out->uri) == q ? params_scan(q, end, out) : NULL;
}

static const char *address_scan(const char *p, const char *end, struct td_name_addr *out)
{
	if (p == end)
		return NULL;
	if (*p == '<')
		return angle_scan(p, end, out);
	if (*p == '"') {
		const char *close = td_skip_quoted(p, end);
		if (!close)
			return NULL;
		out->display = td_span(p, (size_t)(close - p));
		p = td_skip_space(close, end);
		return p < end && *p == '<' ? angle_scan(p, end, out) : NULL;
	}
	const char *q = td_skip(p, end, TD_CH_TOKEN | TD_CH_SPACE);
	if (q < end && *q == '<') {
		out->display = td_trim(p, q);
		return angle_scan(q, end, out);
	}
	if (q == end && *p == '*' && td_skip_space(p + 1, end) == end) {
		out->star = true;
		return end;
	}
	return bare_scan(p, end, out);
}

const char *td_name_addr_scan(const char *p, const char *end, struct td_name_addr *out)
{
	const char *stop = address_scan(p, end, out);

	if (stop)
		out->whole = td_trim(p, stop);
	return stop;
}

int td_name_addr_decode(struct td_span entry, struct td_name_addr *out)
{
	memset(out, 0, sizeof(*out));
	if (entry.len > 0 &&
		td_name_addr_scan(entry.ptr, entry.ptr + entry.len, out) == entry.ptr + entry.len)
		return 0;
	memset(out, 0, sizeof(*out));
	return -EBADMSG;
}
