// SPDX-License-Identifier: BSD-3-Clause
#include "sip/sdp.h"

#include "sip/chars.h"
#include "sip/scan.h"

#include <errno.h>

static_assert(TD_LINES_MAX == TD_SDP_LINES_MAX, "one scan finds them all and no more");

static struct td_span line_value(const struct td_sdp *sdp, const struct td_sdp_line *line)
{
	return td_span(sdp->buf + line->off, line->len);
}

// First c of [p, end), end where there is none. Fields are short: a call of memchr costs more than
// they do.
static inline const char *find(const char *p, const char *end, char c)
{
#if defined(__SSE2__)
	for (; end - p >= 16; p += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		unsigned found = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(c)));
		if (found)
			return p + __builtin_ctz(found);
	}
#endif
	while (p < end && *p != c)
		p++;
	return p;
}

// Cuts what stands before the next space off *rest; empty at the end and where two spaces meet.
static struct td_span field_next(struct td_span *rest)
{
	const char *end = rest->ptr + rest->len;
	const char *p = find(rest->ptr, end, ' ');

	struct td_span field = td_span(rest->ptr, (size_t)(p - rest->ptr));
	p += p < end;
	*rest = td_span(p, (size_t)(end - p));
	return field;
}

// 1*DIGIT not above max.
static bool number_parse(struct td_span text, uint64_t max, uint64_t *out)
{
	uint32_t i = 0, sure = text.len < 18 ? text.len : 18; // digits that cannot overflow
	uint64_t n = 0;

	for (; i < sure; i++) {
		unsigned digit = (unsigned)(uint8_t)text.ptr[i] - '0';
		if (digit > 9)
			return false;
		n = n * 10 + digit;
	}
	for (; i < text.len; i++) {
		unsigned digit = (unsigned)(uint8_t)text.ptr[i] - '0';
		if (digit > 9)
			return false;
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, digit, &n))
			return false;
	}
	*out = n;
	return text.len > 0 && n <= max;
}

static bool literal_at(struct td_span s, const char *literal, uint32_t len)
{
	return s.len >= len && memcmp(s.ptr, literal, len) == 0;
}

#define STARTS(s, literal) literal_at((s), (literal), sizeof(literal) - 1)
#define EQUALS(s, literal) ((s).len == sizeof(literal) - 1 && STARTS(s, literal))

// nettype addrtype address, what c=, o= and a=rtcp end with. false: malformed.
static bool address_fields(
	struct td_span rest, struct td_span *net, struct td_span *type, struct td_span *address)
{
	*net = field_next(&rest);
	*type = field_next(&rest);
	*address = field_next(&rest);
	return net->len > 0 && type->len > 0 && address->len > 0 && rest.len == 0;
}

// The same as an address. A host name, or a network that is not IN, leaves it unset. false:
// malformed.
static bool address_parse(struct td_span value, struct td_sockaddr *out)
{
	struct td_span net, type, address;
	struct td_sockaddr ip = { 0 };

	if (!address_fields(value, &net, &type, &address))
		return false;
	const char *slash =
		memchr(address.ptr, '/', address.len); // the TTL or count of a multicast group
	if (slash)
		address.len = (uint32_t)(slash - address.ptr);
	memset(out, 0, sizeof(*out));
	if (!EQUALS(net, "IN") || td_ip_parse(address, &ip) != 0)
		return true;
	*out = ip;
	return ip.family == TD_IPV4 ? EQUALS(type, "IP4") : EQUALS(type, "IP6");
}

// o=<user> <sess-id> <sess-version> <nettype> <addrtype> <address> (RFC 8866 §5.2).
static bool origin_parse(struct td_sdp *sdp, struct td_span value)
{
	struct td_span user = field_next(&value), id = field_next(&value),
		       version = field_next(&value), net, type;

	if (user.len == 0 || id.len == 0 || version.len == 0 ||
		!address_fields(value, &net, &type, &sdp->origin_address))
		return false;
	sdp->origin_user = user;
	if (!number_parse(id, UINT64_MAX, &sdp->session_id))
		sdp->session_id = 0;
	if (!number_parse(version, UINT64_MAX, &sdp->session_version))
		sdp->session_version = 0;
	return true;
}

static bool proto_is_rtp(struct td_span proto)
{
	return STARTS(proto, "RTP/") || STARTS(proto, "UDP/TLS/RTP/");
}

// m=<media> <port>["/"<n>] <proto> <fmt> … (RFC 8866 §5.14).
static bool media_parse(struct td_sdp_media *m, struct td_span value)
{
	uint64_t port, count = 1;

	m->type = field_next(&value);
	struct td_span ports = field_next(&value);
	m->proto = field_next(&value);
	m->formats = value;
	const char *slash = ports.len > 0 ? memchr(ports.ptr, '/', ports.len) : NULL;
	if (slash) {
		struct td_span after =
			td_span(slash + 1, (size_t)(ports.ptr + ports.len - slash - 1));
		if (!number_parse(after, UINT16_MAX, &count) || count == 0)
			return false;
		ports.len = (uint32_t)(slash - ports.ptr);
	}
	if (!number_parse(ports, UINT16_MAX, &port) || port + 2 * (count - 1) > UINT16_MAX)
		return false;
	m->port = (uint16_t)port;
	m->n_ports = (uint16_t)count;
	m->rtp = proto_is_rtp(m->proto);
	return m->type.len > 0 && m->proto.len > 0 && m->formats.len > 0;
}

// a=rtcp:<port> [<nettype> <addrtype> <address>] (RFC 3605 §2.1).
static bool rtcp_parse(struct td_sdp_media *m, struct td_span value)
{
	struct td_span port_text = field_next(&value);
	uint64_t port;

	if (!number_parse(port_text, UINT16_MAX, &port) || port == 0)
		return false;
	if (value.len > 0 && !address_parse(value, &m->rtcp))
		return false;
	m->rtcp.port = (uint16_t)port;
	return true;
}

// ptime may have a fraction (RFC 8866 §6.4): it is cut. What is no number, or none that fits, is as
// if it were absent.
static uint16_t ptime_parse(struct td_span text)
{
	const char *dot = text.len > 0 ? memchr(text.ptr, '.', text.len) : NULL;
	uint64_t ms;

	if (dot)
		text.len = (uint32_t)(dot - text.ptr);
	return number_parse(text, UINT16_MAX, &ms) ? (uint16_t)ms : 0;
}

static bool direction_parse(struct td_span a, uint8_t *direction)
{
	if (a.len != 8)
		return false;
	if (memcmp(a.ptr, "sendrecv", 8) == 0)
		*direction = TD_SDP_SENDRECV;
	else if (memcmp(a.ptr, "sendonly", 8) == 0)
		*direction = TD_SDP_SENDONLY;
	else if (memcmp(a.ptr, "recvonly", 8) == 0)
		*direction = TD_SDP_RECVONLY;
	else if (memcmp(a.ptr, "inactive", 8) == 0)
		*direction = TD_SDP_INACTIVE;
	else
		return false;
	return true;
}

static bool media_attribute(struct td_sdp_media *m, struct td_span a)
{
	if (STARTS(a, "rtpm") || STARTS(a, "fmtp"))
		return true; // most are these, and nobody asks for them here
	if (direction_parse(a, &m->direction))
		return true;
	if (STARTS(a, "rtcp:"))
		return rtcp_parse(m, td_span(a.ptr + 5, a.len - 5));
	if (EQUALS(a, "rtcp-mux"))
		m->rtcp_mux = true;
	else if (STARTS(a, "ptime:"))
		m->ptime_ms = ptime_parse(td_span(a.ptr + 6, a.len - 6));
	return true;
}

// What a media section begins with.
struct session {
	struct td_sockaddr address;
	uint8_t direction;
	bool connection, timing;
};

static bool session_line(struct td_sdp *sdp, struct session *s, unsigned index)
{
	static const char order[] = "vos"; // the first three lines (RFC 8866 §5)
	const struct td_sdp_line *line = &sdp->lines[index];
	struct td_span value = line_value(sdp, line);

	if (index < 3 && line->type != order[index])
		return false;
	switch (line->type) {
	case 'v':
		return index == 0 && EQUALS(value, "0");
	case 'o':
		return index == 1 && origin_parse(sdp, value);
	case 's':
		sdp->session_name = value;
		return index == 2;
	case 'c':
		if (s->connection)
			return false;
		s->connection = true;
		return address_parse(value, &s->address);
	case 't':
		s->timing = true;
		return true;
	case 'a':
		direction_parse(value, &s->direction);
		return true;
	default:
		return true;
	}
}

static bool media_begin(struct td_sdp *sdp, const struct session *s, unsigned index)
{
	if (!s->timing || sdp->n_media == TD_SDP_MEDIA_MAX)
		return false;
	if (sdp->n_media == 0)
		sdp->session_end = (uint16_t)index;
	else
		sdp->media[sdp->n_media - 1].end = (uint16_t)index;
	struct td_sdp_media *m = &sdp->media[sdp->n_media++];
	*m = (struct td_sdp_media){
		.line = (uint16_t)index, .direction = s->direction, .address = s->address
	};
	return media_parse(m, line_value(sdp, &sdp->lines[index]));
}

// Several c= in one section are the layers of one multicast group (RFC 8866 §5.7): the first
// counts.
static bool media_line(struct td_sdp *sdp, unsigned index, bool *connection)
{
	const struct td_sdp_line *line = &sdp->lines[index];
	struct td_sdp_media *m = &sdp->media[sdp->n_media - 1];

	switch (line->type) {
	case 'c':
		if (*connection)
			return true;
		*connection = true;
		return address_parse(line_value(sdp, line), &m->address);
	case 'a':
		return media_attribute(m, line_value(sdp, line));
	case 'v':
	case 'o':
	case 's':
	case 't':
		return false;
	default:
		return true;
	}
}

static bool decode_lines(struct td_sdp *sdp)
{
	struct session session = { .direction = TD_SDP_SENDRECV };
	bool connection = false;

	for (unsigned i = 0; i < sdp->n_lines; i++) {
		bool good;
		if (sdp->lines[i].type == 'm' && i >= 3) {
			connection = false;
			good = media_begin(sdp, &session, i);
		} else if (sdp->n_media > 0) {
			good = media_line(sdp, i, &connection);
		} else {
			good = session_line(sdp, &session, i);
		}
		if (!good)
			return false;
	}
	if (sdp->n_media == 0)
		sdp->session_end = sdp->n_lines;
	else
		sdp->media[sdp->n_media - 1].end = sdp->n_lines;
	return session.timing && sdp->n_lines > 3;
}

// [from, to) without its LF: "x=value", with or without a CR.
static inline bool line_read(struct td_sdp_line *line, const char *buf, uint32_t from, uint32_t to)
{
	const char *p = buf + from;

	to -= to > from && buf[to - 1] == '\r';
	if (to < from + 2 || p[1] != '=' || (uint8_t)(p[0] - 'a') > 'z' - 'a')
		return false;
	*line = (struct td_sdp_line){ (uint16_t)(from + 2), (uint16_t)(to - from - 2), p[0] };
	return true;
}

// A NUL or a lone CR inside a line could end it for somebody else. The last line may lack its end.
static bool index_lines(struct td_sdp *sdp)
{
	struct td_lines lines;
	uint32_t from = 0;
	unsigned n = 0;

	td_scan_lines(&lines, sdp->buf, 0, sdp->len, false);
	if (lines.full || lines.bare_cr || memchr(sdp->buf, '\0', sdp->len))
		return false;
	for (; n < lines.n; from = lines.end[n++] + 1u)
		if (!line_read(&sdp->lines[n], sdp->buf, from, lines.end[n]))
			return false;
	if (from < sdp->len &&
		(n == TD_SDP_LINES_MAX || !line_read(&sdp->lines[n++], sdp->buf, from, sdp->len)))
		return false;
	sdp->n_lines = (uint16_t)n;
	return true;
}

int td_sdp_parse(struct td_sdp *sdp, const char *buf, uint32_t len)
{
	memset(sdp, 0,
		offsetof(
			struct td_sdp, media)); // the tables behind are as long as their counts say
	if (len == 0 || len > UINT16_MAX)
		return -EBADMSG;
	sdp->buf = buf;
	sdp->len = len;
	while (sdp->len >= 4 && memcmp(buf + sdp->len - 4, "\r\n\r\n", 4) == 0)
		sdp->len -=
			2; // empty lines behind the last one are seen in the field and mean nothing
	return index_lines(sdp) && decode_lines(sdp) ? 0 : -EBADMSG;
}

// RFC 3551 §6: the payload types that need no rtpmap.
static const struct {
	struct td_span name;
	uint32_t clock_hz;
} static_types[35] = {
	[0] = { { "PCMU", 4 }, 8000 },
	[3] = { { "GSM", 3 }, 8000 },
	[4] = { { "G723", 4 }, 8000 },
	[5] = { { "DVI4", 4 }, 8000 },
	[6] = { { "DVI4", 4 }, 16000 },
	[7] = { { "LPC", 3 }, 8000 },
	[8] = { { "PCMA", 4 }, 8000 },
	[9] = { { "G722", 4 }, 8000 },
	[10] = { { "L16", 3 }, 44100 },
	[11] = { { "L16", 3 }, 44100 },
	[12] = { { "QCELP", 5 }, 8000 },
	[13] = { { "CN", 2 }, 8000 },
	[14] = { { "MPA", 3 }, 90000 },
	[15] = { { "G728", 4 }, 8000 },
	[16] = { { "DVI4", 4 }, 11025 },
	[17] = { { "DVI4", 4 }, 22050 },
	[18] = { { "G729", 4 }, 8000 },
	[25] = { { "CelB", 4 }, 90000 },
	[26] = { { "JPEG", 4 }, 90000 },
	[28] = { { "nv", 2 }, 90000 },
	[31] = { { "H261", 4 }, 90000 },
	[32] = { { "MPV", 3 }, 90000 },
	[33] = { { "MP2T", 4 }, 90000 },
	[34] = { { "H263", 4 }, 90000 },
};

// a=rtpmap:<type> <name>/<clock>[/<channels>]
static bool rtpmap_parse(
	struct td_span a, unsigned payload_type, struct td_span *name, uint32_t *clock_hz)
{
	uint64_t number;

	if (!STARTS(a, "rtpmap:"))
		return false;
	struct td_span rest = td_span(a.ptr + 7, a.len - 7);
	struct td_span type = field_next(&rest);
	if (!number_parse(type, 127, &number) || number != payload_type || rest.len == 0)
		return false;
	const char *slash = memchr(rest.ptr, '/', rest.len);
	if (!slash || slash == rest.ptr)
		return false;
	struct td_span clock = td_span(slash + 1, (size_t)(rest.ptr + rest.len - slash - 1));
	const char *channels = clock.len > 0 ? memchr(clock.ptr, '/', clock.len) : NULL;
	if (channels)
		clock.len = (uint32_t)(channels - clock.ptr);
	if (!number_parse(clock, UINT32_MAX, &number) || number == 0)
		return false;
	*name = td_span(rest.ptr, (size_t)(slash - rest.ptr));
	*clock_hz = (uint32_t)number;
	return true;
}

bool td_sdp_codec(const struct td_sdp *sdp, const struct td_sdp_media *media, unsigned payload_type,
	struct td_span *name, uint32_t *clock_hz)
{
	for (unsigned i = media->line + 1u; i < media->end; i++)
		if (sdp->lines[i].type == 'a' &&
			rtpmap_parse(line_value(sdp, &sdp->lines[i]), payload_type, name, clock_hz))
			return true;
	if (payload_type >= sizeof(static_types) / sizeof(static_types[0]) ||
		static_types[payload_type].clock_hz == 0)
		return false;
	*name = static_types[payload_type].name;
	*clock_hz = static_types[payload_type].clock_hz;
	return true;
}
