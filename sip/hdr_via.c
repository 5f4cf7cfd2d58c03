// SPDX-License-Identifier: BSD-3-Clause
// Via (RFC 3261 §20.42, RFC 3581).
#include "include/flow.h"
#include "sip/chars.h"
#include "sip/entry.h"

#include <errno.h>

static uint8_t transport_id(struct td_span name)
{
	static const struct td_span names[TD_TRANSPORT__COUNT] = {
		[TD_UDP] = { "UDP", 3 },
		[TD_TCP] = { "TCP", 3 },
		[TD_TLS] = { "TLS", 3 },
		[TD_WS] = { "WS", 2 },
		[TD_WSS] = { "WSS", 3 },
		[TD_SCTP] = { "SCTP", 4 },
	};

	for (uint8_t i = 0; i < TD_TRANSPORT__COUNT; i++)
		if (td_span_ieq(name, names[i]))
			return i;
	return 0xff;
}

static const char *token_slash(const char *p, const char *end)
{
	const char *q = td_skip(p, end, TD_CH_TOKEN);

	if (q == p)
		return NULL;
	p = td_skip_space(q, end);
	return p < end && *p == '/' ? td_skip_space(p + 1, end) : NULL;
}

// sent-protocol and the white space after it. Any name and version is taken: the start line has
// judged the version.
static const char *protocol_parse(const char *p, const char *end, struct td_via *out)
{
	if (end - p > 12 && memcmp(p, "SIP/2.0/UDP ", 12) == 0) {
		out->transport = TD_UDP;
		return td_skip_space(p + 12, end);
	}
	p = token_slash(p, end);
	if (p)
		p = token_slash(p, end);
	if (!p)
		return NULL;
	const char *transport = p, *q = td_skip(p, end, TD_CH_TOKEN);
	out->transport = transport_id(td_span(transport, (size_t)(q - transport)));
	p = td_skip_space(q, end);
	return q > transport && p > q ? p : NULL;
}

static const char *sent_by_parse(const char *p, const char *end, struct td_via *out)
{
	const char *q = td_skip_host(p, end);

	if (!q)
		return NULL;
	out->host = td_span(p, (size_t)(q - p));
	p = td_skip_space(q, end);
	if (p == end || *p != ':')
		return p;
	q = td_skip_port(td_skip_space(p + 1, end), end, &out->port);
	return q ? td_skip_space(q, end) : NULL;
}

// As nearly everybody writes it, else without case.
#define NAMED(name, literal)                                                                       \
	(memcmp((name).ptr, (literal), sizeof(literal) - 1) == 0 ||                                \
		td_span_ieq((name), TD_SPAN(literal)))

// Where a parameter's value goes; NULL: nobody asks for it.
static struct td_span *param_slot(struct td_via *out, struct td_span name)
{
	switch (name.len) {
	case 5:
		if (NAMED(name, "rport"))
			return &out->rport;
		return NAMED(name, "maddr") ? &out->maddr : NULL;
	case 6:
		return NAMED(name, "branch") ? &out->branch : NULL;
	case 8:
		return NAMED(name, "received") ? &out->received : NULL;
	default:
		return NULL;
	}
}

const char *td_via_scan(const char *p, const char *end, struct td_via *out)
{
	const char *start = p;
	struct td_span name, value;

	p = protocol_parse(p, end, out);
	if (p)
		p = sent_by_parse(p, end, out);
	while (p && p < end && *p != ',') {
		if (*p != ';')
			return NULL;
		p = td_param_next(p + 1, end, &name, &value);
		struct td_span *slot = p ? param_slot(out, name) : NULL;
		if (!slot)
			continue;
		if (slot->ptr)
			return NULL; // given twice: two receivers could read two answers
		*slot = value;
		out->has_rport |= slot == &out->rport;
	}
	if (p)
		out->whole = td_trim(start, p);
	return p;
}

int td_via_decode(struct td_span entry, struct td_via *out)
{
	memset(out, 0, sizeof(*out));
	if (entry.len > 0 &&
		td_via_scan(entry.ptr, entry.ptr + entry.len, out) == entry.ptr + entry.len)
		return 0;
	memset(out, 0, sizeof(*out));
	return -EBADMSG;
}
