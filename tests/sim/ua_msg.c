// SPDX-License-Identifier: BSD-3-Clause
// How agents read and write messages: a second, simple reading of RFC 3261 that shares nothing with
// the engine's.
#include "tests/sim/sim.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <strings.h>

// The next line of *rest without its CRLF. false: no more.
static bool line_next(struct td_span *rest, struct td_span *line)
{
	if (rest->len == 0)
		return false;
	const char *end = memchr(rest->ptr, '\n', rest->len);
	uint32_t n = end ? (uint32_t)(end - rest->ptr) + 1 : rest->len;
	*line = td_span(rest->ptr, n);
	*rest = td_span(rest->ptr + n, rest->len - n);
	while (line->len > 0 &&
		(line->ptr[line->len - 1] == '\n' || line->ptr[line->len - 1] == '\r'))
		line->len--;
	return true;
}

static bool is_name(struct td_span line, const char *name)
{
	size_t n = strlen(name);

	return line.len > n && strncasecmp(line.ptr, name, n) == 0 && line.ptr[n] == ':';
}

struct td_span sip_header(const struct sip *m, const char *name, uint32_t nth)
{
	struct td_span rest = m->head, line;

	while (line_next(&rest, &line)) {
		if (!is_name(line, name) || nth-- > 0)
			continue;
		uint32_t skip = (uint32_t)strlen(name) + 1;
		while (skip < line.len && line.ptr[skip] == ' ')
			skip++;
		return td_span(line.ptr + skip, line.len - skip);
	}
	return (struct td_span){ 0 };
}

struct td_span sip_param(struct td_span value, const char *name)
{
	size_t n = strlen(name);
	const char *from = value.len > 0 ? memchr(value.ptr, '>', value.len) : NULL;
	uint32_t i = from ? (uint32_t)(from - value.ptr) : 0;

	for (; i + n + 1 < value.len; i++) {
		if (value.ptr[i] != ';' || strncasecmp(value.ptr + i + 1, name, n) != 0 ||
			value.ptr[i + 1 + n] != '=')
			continue;
		uint32_t start = i + (uint32_t)n + 2, end = start;
		while (end < value.len && !strchr(";, >", value.ptr[end]))
			end++;
		return td_span(value.ptr + start, end - start);
	}
	return (struct td_span){ 0 };
}

struct td_span sip_uri(struct td_span value)
{
	const char *open = value.len > 0 ? memchr(value.ptr, '<', value.len) : NULL;
	const char *close = value.len > 0 ? memchr(value.ptr, '>', value.len) : NULL;

	if (!open || !close || close < open)
		return value;
	return td_span(open + 1, (size_t)(close - open - 1));
}

bool sip_address(struct td_span uri, struct td_sockaddr *out)
{
	const char *host = uri.len > 0 ? memchr(uri.ptr, '@', uri.len) : NULL;
	uint32_t i = host ? (uint32_t)(host - uri.ptr) + 1 : 4, start = i;
	struct td_sockaddr a = { .port = 5060 };

	while (i < uri.len && (isdigit((unsigned char)uri.ptr[i]) || uri.ptr[i] == '.'))
		i++;
	if (i > uri.len || td_ip_parse(td_span(uri.ptr + start, i - start), &a) < 0)
		return false;
	if (i < uri.len && uri.ptr[i] == ':')
		a.port = (uint16_t)strtoul(uri.ptr + i + 1, NULL, 10);
	*out = a;
	return true;
}

static bool start_read(struct sip *m, struct td_span line)
{
	if (line.len > 12 && memcmp(line.ptr, "SIP/2.0 ", 8) == 0) {
		m->status = (int)strtoul(line.ptr + 8, NULL, 10);
		return m->status >= 100 && m->status < 700;
	}
	const char *space = line.len > 0 ? memchr(line.ptr, ' ', line.len) : NULL;
	if (!space || line.len < 10 || memcmp(line.ptr + line.len - 8, " SIP/2.0", 8) != 0)
		return false;
	m->request = true;
	m->uri = td_span(space + 1, line.len - 8 - (size_t)(space + 1 - line.ptr));
	td_span_cstr(td_span(line.ptr, (size_t)(space - line.ptr)), m->method, sizeof(m->method));
	return true;
}

bool sip_read(struct sip *m, const char *data, uint32_t len)
{
	struct td_span rest = td_span(data, len), line;
	const char *end = len > 0 ? memmem(data, len, "\r\n\r\n", 4) : NULL;

	*m = (struct sip){ 0 };
	if (!end || !line_next(&rest, &line) || !start_read(m, line))
		return false;
	m->head = td_span(rest.ptr, (size_t)(end + 2 - rest.ptr));
	m->body = td_span(end + 4, len - (size_t)(end + 4 - data));
	struct td_span length = sip_header(m, "Content-Length", 0), cseq = sip_header(m, "CSeq", 0);
	if (length.len == 0 || strtoul(length.ptr, NULL, 10) != m->body.len)
		return false;
	const char *space = cseq.len > 0 ? memchr(cseq.ptr, ' ', cseq.len) : NULL;
	if (!space || sip_header(m, "Via", 0).len == 0 || sip_header(m, "Call-ID", 0).len == 0 ||
		sip_header(m, "From", 0).len == 0 || sip_header(m, "To", 0).len == 0)
		return false;
	m->cseq = (uint32_t)strtoul(cseq.ptr, NULL, 10);
	td_span_cstr(td_span(space + 1, cseq.len - (size_t)(space + 1 - cseq.ptr)), m->method,
		sizeof(m->method));
	return true;
}

// --- the digest ---

static uint64_t mix(uint64_t h, const char *text, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)text[i]) * 0x100000001b3u;
	return h ^ h >> 29;
}

// What differs from run to run and says nothing: tokens, ports, session ids, lengths.
static uint64_t digest_line(uint64_t h, struct td_span line, bool body)
{
	static const char *const names_only[] = { "Via", "Call-ID", "Contact", "Content-Length",
		"Retry-After" };

	if (body) {
		const char *space = memchr(line.ptr, ' ', line.len);
		bool ports = line.len > 2 && (line.ptr[0] == 'o' || line.ptr[0] == 'm');
		return mix(h, line.ptr, ports && space ? (uint32_t)(space - line.ptr) : line.len);
	}
	for (size_t i = 0; i < sizeof(names_only) / sizeof(names_only[0]); i++)
		if (is_name(line, names_only[i]))
			return mix(h, names_only[i], (uint32_t)strlen(names_only[i]));
	const char *tag = memmem(line.ptr, line.len, ";tag=", 5);
	return mix(h, line.ptr, tag ? (uint32_t)(tag - line.ptr) : line.len);
}

uint64_t sip_digest(const struct sip *m, uint64_t h)
{
	struct td_span rest = m->head, line;

	h = mix(h, m->method, (uint32_t)strlen(m->method));
	h = (h ^ (uint64_t)m->status) * 0x9e3779b97f4a7c15u;
	while (line_next(&rest, &line))
		h = digest_line(h, line, false);
	rest = m->body;
	while (line_next(&rest, &line))
		h = digest_line(h, line, true);
	return h;
}

// --- writing ---

struct text {
	char *at, *end;
};

static void put(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int n = vsnprintf(t->at, (size_t)(t->end - t->at), format, args);
	va_end(args);
	if (n < 0 || n >= t->end - t->at)
		abort();
	t->at += n;
}

// An offer says what the agent wants, an answer also what the offer left (RFC 3264 §6.1).
static const char *direction(const struct ua *ua, bool answer)
{
	static const char *const texts[] = { "inactive", "sendonly", "recvonly", "sendrecv" };
	uint8_t mine = ua->hold ? TD_LEG_SEND : TD_LEG_SENDRECV;

	if (answer)
		mine &= (uint8_t)((ua->remote_direction & TD_LEG_SEND) << 1 |
				  (ua->remote_direction & TD_LEG_RECV) >> 1);
	return texts[mine];
}

static void put_body(struct text *t, struct ua *ua, bool sdp, bool answer)
{
	char body[512], ip[TD_ADDR_STRLEN];

	if (!sdp) {
		put(t, "Content-Length: 0\r\n\r\n");
		return;
	}
	td_ip_format(&ua->rtp, false, ip, sizeof(ip));
	int n = snprintf(body, sizeof(body),
		"v=0\r\no=%s %u %u IN IP4 %s\r\ns=call\r\nc=IN IP4 %s\r\nt=0 0\r\n"
		"m=audio %u RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
		"a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=%s\r\n",
		ua->side == 0 ? "caller" : "callee", ua->call + 1, ++ua->sdp_version, ip, ip,
		ua->rtp.port, direction(ua, answer));
	put(t, "Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", n, body);
}

static void put_copies(struct text *t, const struct sip *m, const char *name)
{
	for (uint32_t i = 0;; i++) {
		struct td_span value = sip_header(m, name, i);
		if (value.len == 0)
			return;
		put(t, "%s: %.*s\r\n", name, (int)value.len, value.ptr);
	}
}

uint32_t ua_request(struct ua *ua, const char *method, uint32_t cseq, const char *branch, bool sdp,
	char *text, size_t cap)
{
	struct text t = { text, text + cap };
	char address[TD_ADDR_STRLEN];
	bool cancels = strcmp(method, "CANCEL") == 0;

	td_sockaddr_format(&ua->address, address, sizeof(address));
	put(&t, "%s %s SIP/2.0\r\n", method, ua->target);
	put(&t, "Via: SIP/2.0/UDP %s;branch=%s;rport\r\n", address, branch);
	put(&t, "Max-Forwards: 70\r\nFrom: <%s>;tag=%s\r\n", ua->local, ua->local_tag);
	if (ua->remote_tag[0] != '\0' && !cancels)
		put(&t, "To: <%s>;tag=%s\r\n", ua->remote, ua->remote_tag);
	else
		put(&t, "To: <%s>\r\n", ua->remote);
	put(&t, "Call-ID: %s\r\nCSeq: %u %s\r\n", ua->call_id, cseq, method);
	put(&t, "User-Agent: simulated\r\n");
	if (!cancels)
		put(&t, "Contact: <sip:%s@%s>\r\n", ua->side == 0 ? "caller" : "callee", address);
	put_body(&t, ua, sdp, strcmp(method, "ACK") == 0);
	return (uint32_t)(t.at - text);
}

uint32_t ua_response(
	struct ua *ua, const struct sip *request, int status, bool sdp, char *text, size_t cap)
{
	struct text t = { text, text + cap };
	char address[TD_ADDR_STRLEN];
	struct td_span to = sip_header(request, "To", 0);

	td_sockaddr_format(&ua->address, address, sizeof(address));
	put(&t, "SIP/2.0 %d Simulated\r\n", status);
	put_copies(&t, request, "Via");
	put_copies(&t, request, "Record-Route");
	put(&t, "From: %.*s\r\n", (int)sip_header(request, "From", 0).len,
		sip_header(request, "From", 0).ptr);
	if (sip_param(to, "tag").len > 0 || status == 100)
		put(&t, "To: %.*s\r\n", (int)to.len, to.ptr);
	else
		put(&t, "To: %.*s;tag=%s\r\n", (int)to.len, to.ptr, ua->local_tag);
	put_copies(&t, request, "Call-ID");
	put_copies(&t, request, "CSeq");
	put(&t, "Contact: <sip:%s@%s>\r\n", ua->side == 0 ? "caller" : "callee", address);
	put_body(&t, ua, sdp, request->body.len > 0);
	return (uint32_t)(t.at - text);
}

// What the switch said of its media: where to send, and which way it flows.
void ua_read_sdp(struct ua *ua, struct td_span body)
{
	struct td_span rest = body, line;
	struct td_sockaddr media = { 0 };

	if (body.len == 0)
		return;
	ua->remote_direction = TD_LEG_SENDRECV;
	while (line_next(&rest, &line)) {
		if (line.len > 9 && memcmp(line.ptr, "c=IN IP4 ", 9) == 0)
			td_ip_parse(td_span(line.ptr + 9, line.len - 9), &media);
		if (line.len > 8 && memcmp(line.ptr, "m=audio ", 8) == 0)
			media.port = (uint16_t)strtoul(line.ptr + 8, NULL, 10);
		if (td_span_eq(line, TD_SPAN("a=sendonly")))
			ua->remote_direction = TD_LEG_SEND;
		if (td_span_eq(line, TD_SPAN("a=recvonly")))
			ua->remote_direction = TD_LEG_RECV;
		if (td_span_eq(line, TD_SPAN("a=inactive")))
			ua->remote_direction = 0;
	}
	ua->media = media;
}
