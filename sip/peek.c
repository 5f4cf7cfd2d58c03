// SPDX-License-Identifier: BSD-3-Clause
#include "sip/peek.h"

#include "sip/aor.h"
#include "sip/chars.h"
#include "sip/core.h"

enum { PEEK_MAX = 4096 };

// What one walk over the header lines gathers.
struct found {
	struct td_span via, to, call_id;
};

static bool is_keepalive(const char *data, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if (data[i] != '\r' && data[i] != '\n' && data[i] != '\0')
			return false;
	return true;
}

static const char *line_end(const char *p, const char *end)
{
	const char *lf = memchr(p, '\n', (size_t)(end - p));

	return lf ? lf : end;
}

// The line's end with its folds; *first is the end of its first physical line.
static const char *header_end(const char *p, const char *end, const char **first)
{
	const char *lf = line_end(p, end);

	*first = lf;
	while (lf < end && end - lf > 1 && (lf[1] == ' ' || lf[1] == '\t'))
		lf = line_end(lf + 1, end);
	return lf;
}

// The value when the line has that name in its full or its compact form and the value was not found
// before.
static void take(const char *p, const char *first, const char *lf, struct td_span name,
	char compact, struct td_span *value)
{
	const char *q = p;

	if (value->ptr)
		return;
	if (first - p > name.len && td_span_ieq(td_span(p, name.len), name))
		q += name.len;
	else if (first > p && td_lower(*p) == compact)
		q += 1;
	while (q < first && (*q == ' ' || *q == '\t'))
		q++;
	if (q > p && q < first && *q == ':')
		*value = td_trim(q + 1, lf);
}

// Walks the lines behind the start line until everything wanted is there.
static void find_headers(const char *p, const char *end, bool response, struct found *f)
{
	const char *first;

	while (p < end && *p != '\r' && *p != '\n') {
		const char *lf = header_end(p, end, &first);
		if (lf == end)
			return; // cut off: half a value would name another owner
		switch (td_lower(*p)) {
		case 'v':
			take(p, first, lf, TD_SPAN("Via"), 'v', &f->via);
			break;
		case 't':
			take(p, first, lf, TD_SPAN("To"), 't', &f->to);
			break;
		case 'c':
		case 'i':
			take(p, first, lf, TD_SPAN("Call-ID"), 'i', &f->call_id);
			break;
		default:
			break;
		}
		if (response ? f->via.ptr != NULL : f->to.ptr && f->call_id.ptr)
			return;
		p = lf + 1;
	}
}

static uint64_t seeded_hash(
	const struct td_token_keys *keys, uint16_t realm, const char *text, size_t len)
{
	const uint64_t key[2] = { keys->hash[0] ^ realm, keys->hash[1] };

	return td_siphash(key, text, len);
}

static bool take_token(const struct td_token *token, struct td_peek *out)
{
	out->kind = TD_PEEK_TOKEN;
	out->worker = token->worker;
	return true;
}

static bool peek_response(
	const struct td_token_keys *keys, struct td_span via_value, struct td_peek *out)
{
	struct td_span entry;
	struct td_token token;
	struct td_via via;

	return td_list_next(&via_value, &entry) && td_via_decode(entry, &via) == 0 &&
	       td_token_read_branch(keys, via.branch, &token) == 0 && take_token(&token, out);
}

// Every spelling of one AoR meets at one worker.
static bool peek_register(
	const struct td_token_keys *keys, const struct td_uri *to, struct td_peek *out)
{
	char aor[TD_AOR_LEN];
	int n = td_aor_make(to, aor);

	if (n < 0)
		return false;
	out->kind = TD_PEEK_AOR;
	out->hash = td_aor_hash(keys, td_span(aor, (size_t)n));
	return true;
}

static bool peek_request(const struct td_token_keys *keys, bool registers, struct td_span to_value,
	struct td_peek *out)
{
	struct td_name_addr to;
	struct td_token token;

	if (!to_value.ptr || td_name_addr_decode(to_value, &to) != 0)
		return false;
	if (registers)
		return peek_register(keys, &to.uri, out);
	return td_token_read(keys, to.tag, &token) == 0 && take_token(&token, out);
}

// A start line begins or ends with the version; anything more is the parser's to judge.
static bool is_start_line(const char *p, const char *lf, bool response)
{
	const char *end = lf > p && lf[-1] == '\r' ? lf - 1 : lf;

	return response || (end - p > 10 && td_span_ieq(td_span(end - 8, 5), TD_SPAN(" SIP/")));
}

void td_peek(const struct td_token_keys *keys, uint16_t realm, const char *data, uint32_t len,
	struct td_peek *out)
{
	struct found found = { 0 };

	*out = (struct td_peek){ .kind = TD_PEEK_KEEPALIVE };
	if (is_keepalive(data, len))
		return;
	out->kind = TD_PEEK_GARBAGE;
	const char *p = data, *end = data + (len < PEEK_MAX ? len : PEEK_MAX);
	while (p < end && (*p == '\r' || *p == '\n'))
		p++;
	bool response = end - p >= 4 && td_span_ieq(td_span(p, 4), TD_SPAN("SIP/"));
	const char *lf = line_end(p, end);
	if (lf == end || !is_start_line(p, lf, response))
		return;
	find_headers(lf + 1, end, response, &found);
	if (response) {
		if (found.via.ptr && peek_response(keys, found.via, out))
			return;
		find_headers(lf + 1, end, false, &found);
	} else {
		bool registers = lf - p > 9 && memcmp(p, "REGISTER ", 9) == 0;
		if (peek_request(keys, registers, found.to, out))
			return;
	}
	if (found.call_id.len == 0)
		return;
	out->kind = TD_PEEK_CALL_ID;
	out->hash = seeded_hash(keys, realm, found.call_id.ptr, found.call_id.len);
}
