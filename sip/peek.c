// SPDX-License-Identifier: BSD-3-Clause
#include "sip/peek.h"

#include "sip/aor.h"
#include "sip/chars.h"
#include "sip/core.h"

enum { PEEK_MAX = 4096 };

// A walk over the header lines, and what it has gathered.
struct walk {
	const char *p, *end;
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

// Walks on until that value is there. Of a header that is cut off nothing is taken: half a value
// would name another owner.
static void walk_to(struct walk *w, const struct td_span *wanted)
{
	const char *first;

	while (!wanted->ptr && w->p < w->end && *w->p != '\r' && *w->p != '\n') {
		const char *p = w->p, *lf = header_end(p, w->end, &first);
		if (lf == w->end)
			return;
		switch (td_lower(*p)) {
		case 'v':
			take(p, first, lf, TD_SPAN("Via"), 'v', &w->via);
			break;
		case 't':
			take(p, first, lf, TD_SPAN("To"), 't', &w->to);
			break;
		case 'c':
		case 'i':
			take(p, first, lf, TD_SPAN("Call-ID"), 'i', &w->call_id);
			break;
		default:
			break;
		}
		w->p = lf + 1;
	}
}

static uint64_t seeded_hash(
	const struct td_token_keys *keys, uint16_t realm, const char *text, size_t len)
{
	const uint64_t key[2] = { keys->hash[0] ^ realm, keys->hash[1] };

	return td_hash_of(key, text, len);
}

// What is being looked at, and what is known of it.
struct glance {
	const struct td_token_keys *keys;
	const char *data;
	struct td_peek *out;
};

static bool take_token(const struct glance *g, struct td_span text, enum td_token_kind kind)
{
	if (td_token_read(g->keys, text, &g->out->token) != 0 || g->out->token.kind != kind)
		return false;
	g->out->kind = TD_PEEK_TOKEN;
	g->out->token_off = (uint16_t)(text.ptr - g->data);
	return true;
}

#define BRANCH ";branch=" TD_BRANCH_COOKIE

// As we wrote it, the branch is the first parameter of the first Via.
static bool take_first_parameter(const struct glance *g, struct td_span via)
{
	const char *p = memchr(via.ptr, ';', via.len);
	size_t left = p ? (size_t)(via.ptr + via.len - p) : 0;

	return left >= sizeof(BRANCH) - 1 + TD_TOKEN_LEN &&
	       memcmp(p, BRANCH, sizeof(BRANCH) - 1) == 0 &&
	       !memchr(via.ptr, ',', (size_t)(p - via.ptr)) &&
	       take_token(g, td_span(p + sizeof(BRANCH) - 1, TD_TOKEN_LEN), TD_TOKEN_TRANSACTION);
}

static bool take_branch(const struct glance *g, struct td_span vias)
{
	struct td_span entry;
	struct td_via via;

	if (vias.len == 0)
		return false;
	if (take_first_parameter(g, vias))
		return true;
	return td_list_next(&vias, &entry) && td_via_decode(entry, &via) == 0 &&
	       take_token(g, td_branch_token(via.branch), TD_TOKEN_TRANSACTION);
}

#define TAG ";tag="

// Mostly the tag is what To ends with.
static bool take_last_parameter(const struct glance *g, struct td_span to)
{
	const char *text = to.ptr + to.len - TD_TOKEN_LEN;

	return to.len > sizeof(TAG) - 1 + TD_TOKEN_LEN &&
	       memcmp(text - (sizeof(TAG) - 1), TAG, sizeof(TAG) - 1) == 0 &&
	       take_token(g, td_span(text, TD_TOKEN_LEN), TD_TOKEN_DIALOG);
}

static bool take_tag(const struct glance *g, struct td_span value)
{
	struct td_name_addr to;

	if (value.len == 0)
		return false;
	return take_last_parameter(g, value) ||
	       (td_name_addr_decode(value, &to) == 0 && take_token(g, to.tag, TD_TOKEN_DIALOG));
}

// Every spelling of one AoR meets at one worker.
static bool take_aor(const struct glance *g, struct td_span value)
{
	struct td_name_addr to;
	char aor[TD_AOR_LEN];

	if (value.len == 0 || td_name_addr_decode(value, &to) != 0)
		return false;
	int n = td_aor_make(&to.uri, aor);
	if (n < 0)
		return false;
	g->out->kind = TD_PEEK_AOR;
	g->out->hash = td_aor_hash(g->keys, td_span(aor, (size_t)n));
	return true;
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
	const struct glance g = { keys, data, out };
	bool known;

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
	struct walk w = { .p = lf + 1, .end = end };
	walk_to(&w, response ? &w.via : &w.to);
	if (response)
		known = take_branch(&g, w.via);
	else if (lf - p > 9 && memcmp(p, "REGISTER ", 9) == 0)
		known = take_aor(&g, w.to);
	else
		known = take_tag(&g, w.to);
	if (known)
		return;
	walk_to(&w, &w.call_id);
	if (w.call_id.len == 0)
		return;
	out->kind = TD_PEEK_CALL_ID;
	out->hash = seeded_hash(keys, realm, w.call_id.ptr, w.call_id.len);
}
