// SPDX-License-Identifier: BSD-3-Clause
#include "perf/micro/slow_sip.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TEXT_MAX = 65536, HEADERS_MAX = 256 };

struct slow_header {
	char *name, *value;
};

static char text[TEXT_MAX];
static struct slow_header header[HEADERS_MAX];
static unsigned n_headers;

static bool same(struct td_span span, const char *expected)
{
	return span.len == strlen(expected) &&
	       strncmp(span.ptr ? span.ptr : "", expected, span.len) == 0;
}

static char *trim(char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	for (char *end = s + strlen(s); end > s && isspace((unsigned char)end[-1]);)
		*--end = '\0';
	return s;
}

// Cuts text, which holds the header block, into lines and those into names and values. Returns the
// start line.
static char *split(void)
{
	char *start = strtok(text, "\n"), *previous = NULL;

	n_headers = 0;
	for (char *line; (line = strtok(NULL, "\n")) && n_headers < HEADERS_MAX; previous = line) {
		if ((*line == ' ' || *line == '\t') && previous) {
			line[-1] = '\n'; // a fold: the line before goes on
			line = previous;
			continue;
		}
		char *colon = strchr(line, ':');
		if (!colon)
			continue;
		header[n_headers++] = (struct slow_header){ line, colon + 1 };
	}
	for (unsigned i = 0; i < n_headers; i++) {
		header[i].value[-1] = '\0';
		header[i].name = trim(header[i].name);
		header[i].value = trim(header[i].value);
	}
	return start;
}

static const char *slow_value(const char *name, const char *compact)
{
	for (unsigned i = 0; i < n_headers; i++)
		if (strcasecmp(header[i].name, name) == 0 ||
			strcasecmp(header[i].name, compact) == 0)
			return header[i].value;
	return NULL;
}

static bool index_agrees(const struct td_msg *msg)
{
	if (msg->n_headers != n_headers)
		return false;
	for (unsigned i = 0; i < n_headers; i++) {
		const struct td_header *h = &msg->headers[i];
		struct td_span full = td_header_name((enum td_header_id)h->id);
		bool known = h->id != TD_H_OTHER;
		if (!same(td_span(msg->buf + h->name_off, h->name_len), header[i].name) ||
			!same(td_msg_value(msg, h), header[i].value))
			return false;
		if (known && strlen(header[i].name) > 1 &&
			strncasecmp(full.ptr, header[i].name, full.len) != 0)
			return false;
	}
	return true;
}

// What follows "name=" up to a delimiter; an empty string where it is not there.
static const char *slow_param(const char *value, const char *name)
{
	static char out[1024];
	const char *at = value;

	out[0] = '\0';
	while ((at = strcasestr(at, name))) {
		const char *before = at;
		while (before > value && isspace((unsigned char)before[-1]))
			before--;
		if (before > value && before[-1] == ';') {
			at += strlen(name);
			at += strspn(at, " \t\r\n=");
			size_t n = strcspn(at, ";, \t\r\n>");
			memcpy(out, at, n < sizeof(out) - 1 ? n : sizeof(out) - 1);
			out[n < sizeof(out) - 1 ? n : sizeof(out) - 1] = '\0';
			break;
		}
		at++;
	}
	return out;
}

// The tag of From or To: behind the last '>', so that neither display name nor URI is read.
static bool tag_agrees(const struct td_name_addr *party, const char *value)
{
	const char *angle = strrchr(value, '>');

	return same(party->tag, slow_param(angle ? angle : value, "tag"));
}

// User and host of "sip:[user@]host": only where the URI is of that plain kind.
static bool uri_agrees(const struct td_uri *uri, const char *value)
{
	const char *sip = strstr(value, "sip:");
	char copy[1024];

	if (!sip || uri->scheme != TD_SCHEME_SIP)
		return true;
	size_t n = strcspn(sip, "> \t\r\n");
	if (n >= sizeof(copy))
		return true;
	memcpy(copy, sip, n);
	copy[n] = '\0';
	char *at = strchr(copy, '@'), *host = at ? at + 1 : copy + 4;
	size_t host_len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":;?");
	if (at && (uri->user.len == 0 || strncmp(copy + 4, uri->user.ptr, uri->user.len) != 0))
		return false;
	return uri->host.len == host_len && strncmp(uri->host.ptr, host, host_len) == 0;
}

static const char *core_differs(
	const struct td_msg *msg, const struct td_core *core, const char *start)
{
	const char *via = slow_value("Via", "v"), *from = slow_value("From", "f"),
		   *to = slow_value("To", "t");
	const char *call_id = slow_value("Call-ID", "i"), *cseq = slow_value("CSeq", "CSeq");
	const char *contact = slow_value("Contact", "m"),
		   *hops = slow_value("Max-Forwards", "Max-Forwards");

	if (!via || !from || !to || !call_id || !cseq)
		return "presence";
	if (!tag_agrees(&core->from, from) ||
		!uri_agrees(&core->from.uri, strrchr(from, '<') ? strrchr(from, '<') : from))
		return "From";
	if (!tag_agrees(&core->to, to) ||
		!uri_agrees(&core->to.uri, strrchr(to, '<') ? strrchr(to, '<') : to))
		return "To";
	if (!same(core->via.branch, slow_param(via, "branch")))
		return "Via";
	if (!same(core->call_id, call_id))
		return "Call-ID";
	if (core->cseq.number != strtoul(cseq, NULL, 10))
		return "CSeq";
	if (core->has_max_forwards != (hops != NULL) ||
		(hops && core->max_forwards != strtoul(hops, NULL, 10)))
		return "Max-Forwards";
	if ((contact != NULL) != (core->contact.whole.len > 0))
		return "Contact";
	return msg->request && !uri_agrees(&core->uri, start) ? "Request-URI" : NULL;
}

static const char *sdp_differs(const struct td_msg *msg, const struct td_sdp *sdp)
{
	unsigned n_lines = 0, n_media = 0, port;
	char type[64];

	memcpy(text, msg->body.ptr, msg->body.len);
	text[msg->body.len] = '\0';
	for (char *line = strtok(text, "\r\n"); line; line = strtok(NULL, "\r\n"), n_lines++) {
		if (n_lines >= sdp->n_lines || sdp->lines[n_lines].type != line[0] ||
			!same(td_span(sdp->buf + sdp->lines[n_lines].off, sdp->lines[n_lines].len),
				line + 2))
			return "SDP line";
		if (line[0] != 'm')
			continue;
		if (sscanf(line, "m=%63s %u", type, &port) != 2 || n_media >= sdp->n_media ||
			sdp->media[n_media].port != port || !same(sdp->media[n_media].type, type))
			return "SDP media";
		n_media++;
	}
	return n_lines == sdp->n_lines && n_media == sdp->n_media ? NULL : "SDP count";
}

const char *slow_sip_differs(
	const struct td_msg *msg, const struct td_core *core, const struct td_sdp *sdp)
{
	size_t from = strspn(msg->buf, "\r\n"),
	       headers = msg->body.ptr ? (size_t)(msg->body.ptr - msg->buf) : msg->len;

	memcpy(text, msg->buf + from, headers - from);
	text[headers - from] = '\0';
	if (strlen(text) != headers - from)
		return NULL; // a NUL inside: this reader cannot judge it
	const char *start = split();
	if (!index_agrees(msg))
		return "index";
	const char *wrong = core_differs(msg, core, start);
	return wrong || !sdp ? wrong : sdp_differs(msg, sdp);
}
