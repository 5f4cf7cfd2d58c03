// SPDX-License-Identifier: BSD-3-Clause
// From, To, Contact, Route, P-Asserted-Identity and their kin: name-addr or addr-spec (RFC 3261 §20.10, §25.1).
#include "sip/chars.h"
#include "sip/core.h"

#include <errno.h>

// ;name=value… up to the end, and the tag among them. p is behind the address.
static bool params_parse(const char *p, const char *end, struct td_name_addr *out)
{
	struct td_span name, value;

	p = td_skip_space(p, end);
	if (p == end)
		return true;
	if (*p != ';')
		return false;
	out->params = td_trim(p + 1, end);
	while (p < end) {
		p = td_param_next(p + 1, end, &name, &value);
		if (!p)
			return false;
		if (name.len != 3 || !td_span_ieq(name, TD_SPAN("tag")))
			continue;
		if (out->tag.ptr || value.len == 0)
			return false; // twice or empty: two receivers could read two dialogs
		out->tag = value;
	}
	return true;
}

// p on '<'.
static bool angle_parse(const char *p, const char *end, struct td_name_addr *out)
{
	const char *close = memchr(p, '>', (size_t)(end - p));

	if (!close || td_uri_parse(td_span(p + 1, (size_t)(close - p - 1)), &out->uri) != 0)
		return false;
	out->angle = true;
	return params_parse(close + 1, end, out);
}

// Without <> every ';' begins a header parameter, and a URI with ',' or '?' must not stand here (§20.10).
static bool bare_parse(const char *p, const char *end, struct td_name_addr *out)
{
	const char *q = p;

	for (; q < end && *q != ';' && !td_char_is(*q, TD_CH_SPACE); q++)
		if (*q == ',' || *q == '?')
			return false;
	return td_uri_parse(td_span(p, (size_t)(q - p)), &out->uri) == 0 && params_parse(q, end, out);
}

static bool name_addr_parse(struct td_span entry, struct td_name_addr *out)
{
	const char *p = entry.ptr, *end = entry.ptr + entry.len;

	out->whole = entry;
	if (*p == '<')
		return angle_parse(p, end, out);
	if (*p == '"') {
		const char *close = td_skip_quoted(p, end);
		if (!close)
			return false;
		out->display = td_span(p, (size_t)(close - p));
		p = td_skip_space(close, end);
		return p < end && *p == '<' && angle_parse(p, end, out);
	}
	const char *q = td_skip(p, end, TD_CH_TOKEN | TD_CH_SPACE);
	if (q < end && *q == '<') {
		out->display = td_trim(p, q);
		return angle_parse(q, end, out);
	}
	if (entry.len == 1 && *p == '*') {
		out->star = true;
		return true;
	}
	return bare_parse(p, end, out);
}

int td_name_addr_decode(struct td_span entry, struct td_name_addr *out)
{
	memset(out, 0, sizeof(*out));
	if (entry.len > 0 && name_addr_parse(entry, out))
		return 0;
	memset(out, 0, sizeof(*out));
	return -EBADMSG;
}
