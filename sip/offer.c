// SPDX-License-Identifier: BSD-3-Clause
#include "sip/offer.h"

#include "sip/hiding.h"

// Attributes that describe codecs and their transport on a relayed stream. What is not here does
// not cross: ICE, keys, candidates and whatever names the first side.
static const struct td_span passing[] = {
	{ "rtpmap", 6 },
	{ "fmtp", 4 },
	{ "ptime", 5 },
	{ "maxptime", 8 },
	{ "minptime", 8 },
	{ "rtcp-fb", 7 },
	{ "framerate", 9 },
	{ "framesize", 9 },
	{ "imageattr", 9 },
	{ "content", 7 },
	{ "silenceSupp", 11 },
	{ "ecan", 4 },
	{ "gpmd", 4 },
	{ "rtcp-rsize", 10 },
};

void td_sdp_side_init(struct td_sdp_side *side, uint64_t session_id)
{
	*side = (struct td_sdp_side){ .session_id = session_id };
}

static bool address_is_zero(const struct td_sockaddr *a)
{
	static const uint8_t zero[16];

	return a->family != 0 && memcmp(a->ip, zero, sizeof(zero)) == 0;
}

// Relayed without a change of keys: only the plain profiles can be.
static bool media_active(const struct td_sdp_media *m)
{
	return m->port != 0 && m->rtp &&
	       (td_span_ieq(m->proto, TD_SPAN("RTP/AVP")) ||
		       td_span_ieq(m->proto, TD_SPAN("RTP/AVPF")));
}

// RFC 3264 §8.4: a connection address of zeros takes media from nobody, whatever a= says.
static uint8_t media_direction(const struct td_sdp_media *m)
{
	return address_is_zero(&m->address) ? m->direction & TD_SDP_SENDONLY : m->direction;
}

static void stream_receive(struct td_sdp_stream *s, const struct td_sdp_media *m)
{
	bool mux_sent = s->mux_sent;

	*s = (struct td_sdp_stream){ .mux_sent = mux_sent };
	s->active = media_active(m);
	s->direction = media_direction(m);
	s->ptime_ms = m->ptime_ms;
	s->mux_received = m->rtcp_mux;
	s->rtcp_mux = s->mux_received && s->mux_sent;
	if (!s->active || m->address.family == 0 || address_is_zero(&m->address))
		return;
	s->rtp = m->address;
	s->rtp.port = m->port;
	if (m->rtcp.port == 0 || m->rtcp_mux)
		return;
	s->rtcp = m->rtcp.family != 0 ? m->rtcp : m->address;
	s->rtcp.port = m->rtcp.port;
}

// First payload type of a format list, -1 where it is no number of 0–127.
static int first_payload_type(struct td_span formats)
{
	unsigned n = 0;
	uint32_t i = 0;

	while (i < formats.len && formats.ptr[i] >= '0' && formats.ptr[i] <= '9' && i < 4)
		n = 10 * n + (unsigned)(formats.ptr[i++] - '0');
	return i == 0 || n > 127 ? -1 : (int)n;
}

static void codec_receive(struct td_sdp_side *side, const struct td_sdp *sdp)
{
	struct td_span name;
	uint32_t clock_hz;

	for (uint32_t i = 0; i < sdp->n_media; i++) {
		const struct td_sdp_media *m = &sdp->media[i];
		int type = media_active(m) ? first_payload_type(m->formats) : -1;
		if (type < 0 || !td_sdp_codec(sdp, m, (unsigned)type, &name, &clock_hz))
			continue;
		td_span_cstr(name, side->codec, sizeof(side->codec));
		return;
	}
}

enum td_sdp_fault td_sdp_side_receive(
	struct td_sdp_side *side, const struct td_sdp *sdp, bool offer)
{
	if (sdp->n_media > TD_SDP_MEDIA_MAX)
		return TD_SDP_TOO_MANY;
	if (offer && sdp->n_media == 0)
		return TD_SDP_NO_MEDIA;
	if (offer ? sdp->n_media < side->n_media : sdp->n_media != side->n_media)
		return TD_SDP_MISMATCH;
	side->n_media = sdp->n_media;
	side->received = true;
	for (uint32_t i = 0; i < sdp->n_media && i < TD_STREAMS_MAX; i++)
		stream_receive(&side->streams[i], &sdp->media[i]);
	codec_receive(side, sdp);
	return TD_SDP_OK;
}

// --- writing ---

// One SDP on its way to one side.
struct rewrite {
	const struct td_sdp *sdp;
	const struct td_sdp_side *to;
	const struct td_leg_local *local;
	struct td_writer *out;
	struct td_sockaddr connection; // the session level's c=
	uint8_t mux_sent;              // bit i: stream i got a=rtcp-mux
};

static bool stream_relayed(const struct rewrite *r, uint32_t i)
{
	return i < TD_STREAMS_MAX && media_active(&r->sdp->media[i]) && r->local[i].rtp.family != 0;
}

static struct td_sockaddr connection_of(const struct rewrite *r)
{
	for (uint32_t i = 0; i < r->sdp->n_media; i++)
		if (stream_relayed(r, i))
			return r->local[i].rtp;
	return (struct td_sockaddr){ .family = TD_IPV4 };
}

// "IN IP4 192.0.2.1"
static void address_put(struct td_writer *out, const struct td_sockaddr *a)
{
	td_put(out, a->family == TD_IPV6 ? "IN IP6 " : "IN IP4 ", 7);
	td_put_address(out, a);
}

static void line_put(
	struct td_writer *out, const struct td_sdp *sdp, const struct td_sdp_line *line)
{
	struct td_span value = td_span(sdp->buf + line->off, line->len);

	if (td_hiding_unfit(value))
		return;
	td_put_char(out, line->type);
	td_put_char(out, '=');
	td_put_span(out, value);
	td_put_lit(out, "\r\n");
}

static bool attribute_passes(struct td_span value)
{
	uint32_t n = 0;

	while (n < value.len && value.ptr[n] != ':')
		n++;
	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
		if (td_span_ieq(passing[i], td_span(value.ptr, n)))
			return true;
	return false;
}

// b= and the attributes of lines [from, to) that may cross, in their order.
static void lines_put(const struct rewrite *r, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		const struct td_sdp_line *line = &r->sdp->lines[i];
		if (line->type == 'b' ||
			(line->type == 'a' &&
				attribute_passes(td_span(r->sdp->buf + line->off, line->len))))
			line_put(r->out, r->sdp, line);
	}
}

static bool type_at(const struct td_sdp *sdp, uint32_t from, uint32_t to, char type)
{
	for (uint32_t i = from; i < to; i++)
		if (sdp->lines[i].type == type)
			return true;
	return false;
}

static void session_put(const struct rewrite *r)
{
	const struct td_sdp *sdp = r->sdp;

	td_put_lit(r->out, "s=-\r\nc=");
	address_put(r->out, &r->connection);
	td_put_lit(r->out, "\r\n");
	for (uint32_t i = 0; i < sdp->session_end; i++)
		if (sdp->lines[i].type == 'b')
			line_put(r->out, sdp, &sdp->lines[i]);
	if (!type_at(sdp, 0, sdp->session_end, 't'))
		td_put_lit(r->out, "t=0 0\r\n");
	for (uint32_t i = 0; i < sdp->session_end; i++)
		if (sdp->lines[i].type == 't')
			line_put(r->out, sdp, &sdp->lines[i]);
	for (uint32_t i = 0; i < sdp->session_end; i++)
		if (sdp->lines[i].type == 'a' &&
			attribute_passes(td_span(sdp->buf + sdp->lines[i].off, sdp->lines[i].len)))
			line_put(r->out, sdp, &sdp->lines[i]);
}

static void media_line_put(const struct rewrite *r, const struct td_sdp_media *m, uint16_t port)
{
	td_put_lit(r->out, "m=");
	td_put_span(r->out, m->type);
	td_put_char(r->out, ' ');
	td_put_uint(r->out, port);
	td_put_char(r->out, ' ');
	td_put_span(r->out, m->proto);
	td_put_char(r->out, ' ');
	td_put_span(r->out, m->formats);
	td_put_lit(r->out, "\r\n");
}

// RFC 3605; left out where it is the port after RTP's, which is what everybody assumes.
static void rtcp_put(const struct rewrite *r, const struct td_leg_local *local)
{
	if (local->rtcp.family == 0 ||
		(td_ip_eq(&local->rtp, &local->rtcp) && local->rtcp.port == local->rtp.port + 1))
		return;
	td_put_lit(r->out, "a=rtcp:");
	td_put_uint(r->out, local->rtcp.port);
	td_put_char(r->out, ' ');
	address_put(r->out, &local->rtcp);
	td_put_lit(r->out, "\r\n");
}

static void direction_put(struct td_writer *out, uint8_t direction)
{
	static const char *const lines[] = { "a=inactive\r\n", "a=sendonly\r\n", "a=recvonly\r\n",
		"a=sendrecv\r\n" };

	td_put(out, lines[direction & 3], 12);
}

static void media_put(struct rewrite *r, uint32_t i)
{
	const struct td_sdp_media *m = &r->sdp->media[i];

	if (!stream_relayed(r, i)) {
		media_line_put(r, m, 0);
		return;
	}
	const struct td_leg_local *local = &r->local[i];
	media_line_put(r, m, local->rtp.port);
	if (!td_ip_eq(&local->rtp, &r->connection)) {
		td_put_lit(r->out, "c=");
		address_put(r->out, &local->rtp);
		td_put_lit(r->out, "\r\n");
	}
	lines_put(r, m->line + 1u, m->end);
	direction_put(r->out, media_direction(m));
	// RFC 5761 §5.1.1: only towards a far end that has said it itself, or has not spoken yet.
	const struct td_sdp_stream *stream = &r->to->streams[i];
	if (m->rtcp_mux && (!r->to->received || stream->mux_received)) {
		td_put_lit(r->out, "a=rtcp-mux\r\n");
		r->mux_sent |= (uint8_t)(1u << i);
		return;
	}
	rtcp_put(r, local);
}

// What stands in the m= line itself goes out with no rule of its own: it must not carry an address.
static bool media_lines_fit(const struct td_sdp *sdp)
{
	for (uint32_t i = 0; i < sdp->n_media; i++) {
		const struct td_sdp_media *m = &sdp->media[i];
		if (td_hiding_unfit(m->type) || td_hiding_unfit(m->proto) ||
			td_hiding_unfit(m->formats))
			return false;
	}
	return true;
}

// Tells one SDP from the next; no adversary gains by a collision but a version that stays.
static uint64_t text_hash(const char *text, size_t len)
{
	uint64_t h = 0x9e3779b97f4a7c15u ^ len, word;

	for (; len >= 8; text += 8, len -= 8) {
		memcpy(&word, text, 8);
		h = (h ^ word) * 0xd6e8feb86659fd93u;
		h ^= h >> 32;
	}
	word = 0;
	memcpy(&word, text, len);
	h = (h ^ word) * 0xd6e8feb86659fd93u;
	return h ^ h >> 32;
}

// "o=- ID VERSION IN IP4 192.0.2.1"
static void origin_put(const struct rewrite *r, uint64_t version, struct td_writer *out)
{
	td_put_lit(out, "o=- ");
	td_put_uint(out, r->to->session_id);
	td_put_char(out, ' ');
	td_put_uint(out, version);
	td_put_char(out, ' ');
	address_put(out, &r->connection);
	td_put_lit(out, "\r\n");
}

// The version hangs on what follows the o= line (RFC 3264 §8). Mostly that is new; where it is not,
// the line is put right afterwards, and the rest moves where the number has a digit less.
static void origin_replace(const struct rewrite *r, char *line, uint32_t len, uint64_t version)
{
	char text[160];
	struct td_writer w = { text, text, text + sizeof(text), false };

	origin_put(r, version, &w);
	uint32_t new_len = td_writer_len(&w);
	if ((size_t)(r->out->end - r->out->pos) + len < new_len) {
		r->out->overflow = true;
		return;
	}
	memmove(line + new_len, line + len, (size_t)(r->out->pos - (line + len)));
	memcpy(line, text, new_len);
	r->out->pos += (int64_t)new_len - len;
}

enum td_sdp_fault td_sdp_rewrite(const struct td_sdp *sdp, struct td_sdp_side *to,
	const struct td_leg_local local[TD_STREAMS_MAX], struct td_writer *out)
{
	struct rewrite r = { .sdp = sdp, .to = to, .local = local, .out = out };

	if (sdp->n_media < to->n_media)
		return TD_SDP_MISMATCH;
	if (!media_lines_fit(sdp))
		return TD_SDP_MALFORMED;
	r.connection = connection_of(&r);
	td_put_lit(out, "v=0\r\n");
	char *origin = out->pos;
	origin_put(&r, to->session_version + 1, out);
	char *rest = out->pos;
	session_put(&r);
	for (uint32_t i = 0; i < sdp->n_media; i++)
		media_put(&r, i);
	uint64_t hash = text_hash(rest, (size_t)(out->pos - rest));
	bool changed = to->session_version == 0 || hash != to->sent_hash;
	if (!changed && !out->overflow)
		origin_replace(&r, origin, (uint32_t)(rest - origin), to->session_version);
	if (out->overflow)
		return TD_SDP_OVERFLOW;
	to->session_version += changed ? 1 : 0;
	to->sent_hash = hash;
	to->n_media = sdp->n_media;
	for (uint32_t i = 0; i < TD_STREAMS_MAX; i++) {
		struct td_sdp_stream *s = &to->streams[i];
		s->mux_sent = (r.mux_sent >> i & 1) != 0;
		s->rtcp_mux = s->mux_sent && s->mux_received;
	}
	return TD_SDP_OK;
}
