// SPDX-License-Identifier: BSD-3-Clause
// Writing responses (RFC 3261 §8.2.6, RFC 3581): spans are copied, nothing is formatted but
// numbers.
#include "sip/txn_priv.h"

#include "sip/headers.h"

#include <errno.h>

// What a response takes beside the spans that it copies: status line, header names, received and
// rport, Content-Length.
#define FIXED_BYTES 320u

int message_buf(struct td_engine *e, size_t bytes, struct td_buf *out)
{
	if (bytes > e->conf.sip_message_bytes)
		return -EMSGSIZE;
	if (e->conf.ops->buf_get(e->conf.host, (uint32_t)bytes, out) != 0) {
		td_engine_count(e, TD_C_SIP_NO_MEMORY);
		return -ENOBUFS;
	}
	return 0;
}

int message_send(struct td_engine *e, const struct td_flow *flow, struct td_buf *buf,
	uint8_t method, uint16_t status)
{
	int rc = e->conf.ops->send(e->conf.host, flow, buf);

	if (rc != 0) {
		td_engine_count(e, TD_C_SIP_SEND_FAILED);
		return rc;
	}
	td_engine_count(e, status == 0 ? TD_C_SIP_TX_REQUESTS : TD_C_SIP_TX_RESPONSES);
	td_traffic_message(&e->traffic, TD_TRAFFIC_TX, method, status);
	return 0;
}

// Where a parameter stands, from its ';' up to the next or the end. A flag's value is empty and
// begins behind its name.
static struct td_span via_part(struct td_span whole, struct td_span value)
{
	const char *start = value.ptr - 1, *end = value.ptr + value.len;

	while (*start != ';')
		start--;
	while (end < whole.ptr + whole.len && *end != ';')
		end++;
	return td_span(start, (size_t)(end - start));
}

// Copies the topmost Via without its received and rport, whose values are ours to say.
static void put_via_filtered(struct td_writer *w, const struct td_via *top)
{
	const char *from = top->whole.ptr, *end = from + top->whole.len;
	struct td_span cut[2] = { { end, 0 }, { end, 0 } };

	if (top->has_rport)
		cut[0] = via_part(top->whole, top->rport);
	if (top->received.ptr)
		cut[1] = via_part(top->whole, top->received);
	unsigned first = cut[1].ptr < cut[0].ptr;
	td_put(w, from, (size_t)(cut[first].ptr - from));
	from = cut[first].ptr + cut[first].len;
	td_put(w, from, (size_t)(cut[!first].ptr - from));
	from = cut[!first].ptr + cut[!first].len;
	td_put(w, from, (size_t)(end - from));
}

static bool via_tells_source(const struct td_via *via, const struct td_sockaddr *source)
{
	struct td_sockaddr sent_by = { 0 };

	return td_ip_parse(via->host, &sent_by) == 0 && td_ip_eq(&sent_by, source);
}

// The topmost Via with what the sender could not know (§18.2.1, RFC 3581 §4), then the others as
// they stand; without the last line's end.
static void put_vias(struct td_writer *w, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_via *top)
{
	const struct td_header *h = &msg->headers[msg->first[TD_H_VIA]];
	struct td_span value = td_msg_value(msg, h);

	td_put_lit(w, "Via: ");
	put_via_filtered(w, top);
	if (top->has_rport || !via_tells_source(top, &flow->remote)) {
		td_put_lit(w, ";received="); // an IPv6 address without its brackets (§25.1)
		td_put_address(w, &flow->remote);
	}
	if (top->has_rport) {
		td_put_lit(w, ";rport=");
		td_put_uint(w, flow->remote.port);
	}
	const char *rest = top->whole.ptr + top->whole.len;
	td_put(w, rest, (size_t)(value.ptr + value.len - rest));
	while (h->next != 0xff) {
		h = &msg->headers[h->next];
		td_put_lit(w, "\r\nVia: ");
		td_put_span(w, td_msg_value(msg, h));
	}
}

// A header that a faulty request lacks is lacking in the answer too.
static void put_value(
	struct td_writer *w, const struct td_msg *msg, enum td_header_id id, struct td_span start)
{
	if (!td_msg_has(msg, id))
		return;
	td_put_span(w, start);
	td_put_span(w, td_msg_get(msg, id));
}

static void put_until_to(struct td_writer *w, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core)
{
	put_vias(w, flow, msg, &core->via);
	put_value(w, msg, TD_H_FROM, TD_SPAN("\r\nFrom: "));
	put_value(w, msg, TD_H_TO, TD_SPAN("\r\nTo: "));
}

static void put_after_to(struct td_writer *w, const struct td_msg *msg)
{
	put_value(w, msg, TD_H_CALL_ID, TD_SPAN("\r\nCall-ID: "));
	put_value(w, msg, TD_H_CSEQ, TD_SPAN("\r\nCSeq: "));
	td_put_lit(w, "\r\n");
}

static void put_lines(
	struct td_writer *w, const struct td_msg *msg, enum td_header_id id, struct td_span name)
{
	for (uint8_t i = msg->first[id]; i != 0xff; i = msg->headers[i].next) {
		td_put_span(w, name);
		td_put_lit(w, ": ");
		td_put_span(w, td_msg_value(msg, &msg->headers[i]));
		td_put_lit(w, "\r\n");
	}
}

static size_t lines_bytes(const struct td_msg *msg, enum td_header_id id, size_t name_bytes)
{
	size_t bytes = 0;

	for (uint8_t i = msg->first[id]; i != 0xff; i = msg->headers[i].next)
		bytes += name_bytes + msg->headers[i].value_len;
	return bytes;
}

static size_t head_bytes(const struct td_msg *msg)
{
	return FIXED_BYTES + lines_bytes(msg, TD_H_VIA, 7) +
	       lines_bytes(msg, TD_H_RECORD_ROUTE, 16) + lines_bytes(msg, TD_H_TIMESTAMP, 13) +
	       td_msg_get(msg, TD_H_FROM).len + td_msg_get(msg, TD_H_TO).len +
	       td_msg_get(msg, TD_H_CALL_ID).len + td_msg_get(msg, TD_H_CSEQ).len;
}

int response_head_copy(struct td_engine *e, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core, struct response_head *out)
{
	size_t bytes = head_bytes(msg);
	char *text = bytes <= TD_SLAB_BLOCK_MAX ? td_slab_get(e->slab, (uint32_t)bytes) : NULL;

	if (!text)
		return -ENOBUFS;
	struct td_writer w = { text, text, text + bytes, false };
	put_until_to(&w, flow, msg, core);
	out->to_end = td_writer_len(&w);
	put_after_to(&w, msg);
	out->timestamp = td_writer_len(&w);
	put_lines(&w, msg, TD_H_TIMESTAMP, TD_SPAN("Timestamp"));
	out->routes = td_writer_len(&w);
	put_lines(&w, msg, TD_H_RECORD_ROUTE, TD_SPAN("Record-Route"));
	out->len = td_writer_len(&w);
	out->text = text;
	return 0;
}

static void put_status_line(struct td_writer *w, const struct td_response *r)
{
	const uint16_t status = r->status;
	const char code[] = { (char)('0' + status / 100), (char)('0' + status / 10 % 10),
		(char)('0' + status % 10), ' ' };

	td_put_lit(w, "SIP/2.0 ");
	td_put_fixed(w, code, sizeof(code));
	td_put_span(w, r->reason.len > 0 ? r->reason : td_status_reason(r->status));
	td_put_lit(w, "\r\n");
}

static void put_tag(struct td_writer *w, struct td_span tag)
{
	if (tag.len == 0)
		return;
	td_put_lit(w, ";tag=");
	td_put_span(w, tag);
}

static void put_tail(struct td_writer *w, const struct td_response *r)
{
	if (r->contact.len > 0) {
		td_put_lit(w, "Contact: ");
		td_put_span(w, r->contact);
		td_put_lit(w, "\r\n");
	}
	td_put_span(w, r->headers);
	if (r->body.len > 0) {
		td_put_lit(w, "Content-Type: ");
		td_put_span(w, r->content_type);
		td_put_lit(w, "\r\n");
	}
	td_put_lit(w, "Content-Length: ");
	td_put_uint(w, r->body.len);
	td_put_lit(w, "\r\n\r\n");
	td_put_span(w, r->body);
}

static size_t own_bytes(const struct td_response *r, struct td_span tag)
{
	return FIXED_BYTES + r->reason.len + tag.len + r->contact.len + r->headers.len +
	       r->content_type.len + r->body.len;
}

int message_finish(struct td_engine *e, const struct td_writer *w, struct td_buf *buf)
{
	if (w->overflow) {
		e->conf.ops->buf_put(e->conf.host, buf);
		return -EMSGSIZE;
	}
	buf->len = td_writer_len(w);
	return 0;
}

int response_write(struct td_engine *e, const struct response_head *head,
	const struct td_response *r, struct td_span tag, struct td_buf *out)
{
	int rc = message_buf(e, head->len + own_bytes(r, tag), out);

	if (rc != 0)
		return rc;
	struct td_writer w = td_writer(out);
	put_status_line(&w, r);
	td_put(&w, head->text, head->to_end);
	put_tag(&w, tag);
	td_put(&w, head->text + head->to_end, head->timestamp - head->to_end);
	if (r->status == 100)
		td_put(&w, head->text + head->timestamp, head->routes - head->timestamp);
	if (r->record_route)
		td_put(&w, head->text + head->routes, head->len - head->routes);
	put_tail(&w, r);
	return message_finish(e, &w, out);
}

static void tag_write(uint64_t hash, char tag[DERIVED_TAG_LEN])
{
	static_assert(DERIVED_TAG_LEN == 16, "two words");
	// The nibbles side by side, a byte each; then '0' is added, or what makes it a letter.
	for (unsigned half = 0; half < 2; half++, hash >>= 32) {
		uint64_t w = hash & UINT32_MAX;
		w = (w | w << 16) & 0x0000ffff0000ffff;
		w = (w | w << 8) & 0x00ff00ff00ff00ff;
		w = (w | w << 4) & 0x0f0f0f0f0f0f0f0f;
		uint64_t letters = (w + 0x0606060606060606) >> 4 & 0x0101010101010101;
		w += 0x3030303030303030 + letters * ('a' - '0' - 10);
		memcpy(tag + 8 * half, &w, 8);
	}
}

void response_derive_tag(struct td_engine *e, struct td_span seed, char tag[DERIVED_TAG_LEN])
{
	tag_write(td_siphash(e->keys.hash, seed.ptr, seed.len), tag);
}

// A To that could not be decoded is looked through for the bare name of the parameter.
bool response_takes_tag(const struct td_msg *msg, const struct td_core *core)
{
	struct td_span to = td_msg_get(msg, TD_H_TO);

	if (core->to.whole.len > 0)
		return core->to.tag.len == 0;
	for (uint32_t i = 0; i + 5 <= to.len; i++)
		if (td_span_ieq(td_span(to.ptr + i, 5), TD_SPAN(";tag=")))
			return false;
	return td_msg_has(msg, TD_H_TO);
}

int response_write_stateless(struct td_engine *e, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core, const struct td_response *r,
	struct td_buf *out)
{
	char derived[DERIVED_TAG_LEN];
	struct td_span tag = { 0 };

	if (core->via.whole.len == 0)
		return -EBADMSG;
	if (r->status > 100 && response_takes_tag(msg, core)) {
		tag = r->to_tag;
		if (tag.len == 0) {
			tag_write(td_engine_call_hash(e, td_msg_get(msg, TD_H_CALL_ID)), derived);
			tag = td_span(derived, sizeof(derived));
		}
	}
	int rc = message_buf(e, head_bytes(msg) + own_bytes(r, tag), out);
	if (rc != 0)
		return rc;
	struct td_writer w = td_writer(out);
	put_status_line(&w, r);
	put_until_to(&w, flow, msg, core);
	put_tag(&w, tag);
	put_after_to(&w, msg);
	if (r->record_route)
		put_lines(&w, msg, TD_H_RECORD_ROUTE, TD_SPAN("Record-Route"));
	put_tail(&w, r);
	return message_finish(e, &w, out);
}

bool td_acks_stateless(struct td_engine *e, const struct td_msg *ack, const struct td_core *core)
{
	char derived[DERIVED_TAG_LEN];

	response_derive_tag(e, td_msg_get(ack, TD_H_CALL_ID), derived);
	return td_span_eq(core->to.tag, td_span(derived, sizeof(derived)));
}

int td_respond_stateless(struct td_engine *e, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core, const struct td_response *r)
{
	struct td_buf buf;
	int rc = response_write_stateless(e, flow, msg, core, r, &buf);

	if (rc != 0)
		return rc;
	message_send(e, flow, &buf, msg->method, r->status);
	return 0;
}
