// SPDX-License-Identifier: BSD-3-Clause
#include "sip/multipart.h"

#include "sip/chars.h"
#include "sip/uri.h"

#include <errno.h>

enum { BOUNDARY_MAX = 70 };

// What a part's header lines say of it.
struct part {
	struct td_span content, type, disposition, disposition_params, encoding;
};

// RFC 2046 §5.1.1 bchars; a quoted one may hold blanks, but not at its end.
static bool boundary_fits(struct td_span b, bool quoted)
{
	static const char marks[] = "'()+_,-./:=?";

	if (b.len == 0 || b.len > BOUNDARY_MAX || b.ptr[b.len - 1] == ' ')
		return false;
	for (uint32_t i = 0; i < b.len; i++) {
		char c = b.ptr[i];
		bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			     (c >= 'A' && c <= 'Z');
		if (!alnum && !memchr(marks, c, sizeof(marks) - 1) && !(quoted && c == ' '))
			return false;
	}
	return true;
}

static int boundary_read(struct td_span params, struct td_span *out)
{
	struct td_span b;
	bool quoted;

	if (!td_param_get(params, TD_SPAN("boundary"), &b))
		return -EBADMSG;
	quoted = b.len >= 2 && b.ptr[0] == '"';
	if (quoted)
		b = td_span(b.ptr + 1, b.len - 2u);
	*out = b;
	return boundary_fits(b, quoted) ? 0 : -EBADMSG;
}

// The line at p, without its CRLF; *next: what comes behind. NULL where no line ends.
static const char *line_end(const char *p, const char *end, const char **next)
{
	while (end - p >= 2) {
		const char *cr = memchr(p, '\r', (size_t)(end - p - 1));
		if (!cr)
			return NULL;
		if (cr[1] == '\n') {
			*next = cr + 2;
			return cr;
		}
		p = cr + 1;
	}
	return NULL;
}

enum line { LINE_TEXT, LINE_DELIMITER, LINE_CLOSE };

// "--boundary", behind it nothing but blanks, or "--" first where it closes.
static enum line line_kind(const char *p, const char *end, struct td_span boundary)
{
	enum line kind = LINE_DELIMITER;

	if ((size_t)(end - p) < 2u + boundary.len || memcmp(p, "--", 2) != 0 ||
		memcmp(p + 2, boundary.ptr, boundary.len) != 0)
		return LINE_TEXT;
	p += 2 + boundary.len;
	if (end - p >= 2 && memcmp(p, "--", 2) == 0) {
		p += 2;
		kind = LINE_CLOSE;
	}
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p == end ? kind : LINE_TEXT;
}

// Reads up to the next delimiter. *content ends where the CRLF before it begins, which is the
// delimiter's. LINE_TEXT: there is none.
static enum line part_end(
	const char **at, const char *end, struct td_span boundary, struct td_span *content)
{
	const char *start = *at, *p = start;

	while (p < end) {
		const char *next = end, *stop = line_end(p, end, &next);
		enum line kind = line_kind(p, stop ? stop : end, boundary);
		// The last line may end with the body; an opening one has to end.
		if (kind == LINE_CLOSE || (kind == LINE_DELIMITER && stop)) {
			*content =
				td_span(start, p - start >= 2 ? (size_t)(p - start - 2) : 0);
			*at = next;
			return kind;
		}
		p = next;
	}
	return LINE_TEXT;
}

static void part_header(struct part *part, struct td_span name, struct td_span value)
{
	const char *semi = value.len > 0 ? memchr(value.ptr, ';', value.len) : NULL;
	const char *end = value.ptr + value.len;
	struct td_span word = td_trim(value.ptr, semi ? semi : end);
	struct td_span params = semi ? td_span(semi + 1, (size_t)(end - semi - 1)) : TD_SPAN("");

	if (td_span_ieq(name, TD_SPAN("Content-Type")) || td_span_ieq(name, TD_SPAN("c"))) {
		part->type = word;
	} else if (td_span_ieq(name, TD_SPAN("Content-Disposition"))) {
		part->disposition = word;
		part->disposition_params = params;
	} else if (td_span_ieq(name, TD_SPAN("Content-Transfer-Encoding"))) {
		part->encoding = word;
	}
}

// Header lines, each with those that continue it, up to the blank one.
static int part_read(struct td_span text, struct part *part)
{
	const char *p = text.ptr, *end = text.ptr + text.len, *next, *stop;

	*part = (struct part){ 0 };
	while ((stop = line_end(p, end, &next))) {
		if (stop == p) {
			part->content = td_span(next, (size_t)(end - next));
			return 0;
		}
		while (next < end && (*next == ' ' || *next == '\t') &&
			(stop = line_end(next, end, &next)))
			;
		const char *colon = stop ? memchr(p, ':', (size_t)(stop - p)) : NULL;
		if (!colon)
			return -EBADMSG;
		part_header(part, td_trim(p, colon), td_trim(colon + 1, stop));
		p = next;
	}
	return -EBADMSG;
}

// As it stands on the wire: what an encoding hides is not looked for.
static bool part_is_plain(const struct part *part)
{
	return part->encoding.len == 0 || td_span_ieq(part->encoding, TD_SPAN("binary")) ||
	       td_span_ieq(part->encoding, TD_SPAN("7bit")) ||
	       td_span_ieq(part->encoding, TD_SPAN("8bit"));
}

// A session description is one by default (RFC 3261 §20.11); an early-session (RFC 3959) is not.
static bool part_is_session(const struct part *part)
{
	return td_span_ieq(part->type, TD_SPAN("application/sdp")) && part_is_plain(part) &&
	       part->content.len > 0 &&
	       (part->disposition.len == 0 || td_span_ieq(part->disposition, TD_SPAN("session")));
}

// RFC 5621 §7.2 takes a part that does not say so for one that must be handled; nobody who sends
// such parts to carriers means it.
static bool part_must_be_handled(const struct part *part)
{
	struct td_span handling;

	return td_param_get(part->disposition_params, TD_SPAN("handling"), &handling) &&
	       td_span_ieq(handling, TD_SPAN("required"));
}

int td_multipart_read(
	struct td_span params, struct td_span body, bool alternative, struct td_multipart *out)
{
	const char *at = body.ptr, *end = body.ptr + body.len;
	struct td_span boundary, content;
	struct part part;

	*out = (struct td_multipart){ 0 };
	if (boundary_read(params, &boundary) != 0)
		return -EBADMSG;
	enum line line = part_end(&at, end, boundary, &content); // what stands before is no part
	if (line != LINE_DELIMITER)
		return -EBADMSG;
	for (unsigned n = 0; line == LINE_DELIMITER; n++) {
		line = part_end(&at, end, boundary, &content);
		if (n == TD_MULTIPART_PARTS_MAX || line == LINE_TEXT ||
			part_read(content, &part) != 0)
			return -EBADMSG;
		if (!part_is_session(&part)) {
			out->must_handle |= part_must_be_handled(&part);
			continue;
		}
		if (out->sdp.len > 0 && !alternative)
			return -EBADMSG;
		out->sdp = part.content;
	}
	return line == LINE_CLOSE ? 0 : -EBADMSG;
}
