// SPDX-License-Identifier: BSD-3-Clause
// Writing requests (RFC 3261 §8.1.1). What a CANCEL is made from comes first, so that it can be cut
// off as one piece.
#include "sip/credentials.h"
#include "sip/txn_priv.h"

// What a request takes beside the spans that it copies: names, Via, numbers.
#define FIXED_BYTES 384u

static const struct td_span via_protocol[TD_TRANSPORT__COUNT] = {
	[TD_UDP] = TD_SPAN("Via: SIP/2.0/UDP "),
	[TD_TCP] = TD_SPAN("Via: SIP/2.0/TCP "),
	[TD_TLS] = TD_SPAN("Via: SIP/2.0/TLS "),
	[TD_WS] = TD_SPAN("Via: SIP/2.0/WS "),
	[TD_WSS] = TD_SPAN("Via: SIP/2.0/WSS "),
	[TD_SCTP] = TD_SPAN("Via: SIP/2.0/SCTP "),
};

static void put_via(struct td_engine *e, struct td_writer *w, const struct td_flow *flow,
	const struct td_token *token)
{
	char branch[TD_TOKEN_LEN];

	td_token_write(&e->keys, token, branch);
	td_put_span(w, via_protocol[flow->transport]);
	td_put_span(w, td_engine_sent_by(e, flow));
	td_put_lit(w, ";branch=" TD_BRANCH_COOKIE);
	td_put(w, branch, sizeof(branch));
	td_put_lit(w, ";rport\r\n");
}

// name ends with ": ".
#define put_line(w, name, value)                                                                   \
	do {                                                                                       \
		td_put_lit(w, name);                                                               \
		td_put_span(w, value);                                                             \
		td_put_lit(w, "\r\n");                                                             \
	} while (0)

static void put_cseq(struct td_writer *w, uint32_t number, struct td_span method)
{
	td_put_lit(w, "CSeq: ");
	td_put_uint(w, number);
	td_put_char(w, ' ');
	td_put_span(w, method);
	td_put_lit(w, "\r\n");
}

static void put_start(
	struct td_writer *w, struct td_span method, struct td_span uri, struct request_marks *marks)
{
	td_put_span(w, method);
	td_put_char(w, ' ');
	marks->uri = (uint16_t)td_writer_len(w);
	marks->uri_len = (uint16_t)uri.len;
	td_put_span(w, uri);
	td_put_lit(w, " SIP/2.0\r\n");
	marks->via = (uint16_t)td_writer_len(w);
}

static void put_body(struct td_writer *w, struct td_span content_type, struct td_span body)
{
	if (body.len > 0)
		put_line(w, "Content-Type: ", content_type);
	td_put_lit(w, "Content-Length: ");
	td_put_uint(w, body.len);
	td_put_lit(w, "\r\n\r\n");
	td_put_span(w, body);
}

static void put_core(struct td_engine *e, struct td_writer *w, const struct td_request *r,
	const struct td_token *token, struct request_marks *marks)
{
	struct td_span method =
		r->method == TD_M_OTHER ? r->method_name : td_method_text(r->method);

	put_start(w, method, r->uri, marks);
	put_via(e, w, &r->flow, token);
	td_put_lit(w, "Max-Forwards: ");
	td_put_uint(w, r->max_forwards);
	td_put_lit(w, "\r\n");
	marks->routes = (uint16_t)td_writer_len(w);
	marks->routes_len = (uint16_t)r->routes.len;
	td_put_span(w, r->routes);
	put_line(w, "From: ", r->from);
	put_line(w, "To: ", r->to);
	put_line(w, "Call-ID: ", r->call_id);
	marks->cseq = (uint16_t)td_writer_len(w);
	put_cseq(w, r->cseq, method);
	marks->core_len = (uint16_t)td_writer_len(w);
}

static void put_credentials(struct td_engine *e, struct td_writer *w, const struct td_trunk *trunk,
	struct td_span method, struct td_span uri, struct request_marks *marks)
{
	uint32_t before = td_writer_len(w);

	if (trunk)
		td_credentials_put(e->challenges, e, trunk, method, uri, w);
	marks->credentials_len = (uint16_t)(td_writer_len(w) - before);
}

int request_write(struct td_engine *e, const struct td_request *r, const struct td_token *token,
	struct td_buf *out, struct request_marks *marks)
{
	size_t bytes = FIXED_BYTES + r->method_name.len * 2 + r->uri.len + r->routes.len +
		       r->from.len + r->to.len + r->call_id.len + r->contact.len + r->headers.len +
		       r->content_type.len + r->body.len +
		       (r->trunk ? TD_CREDENTIALS_LINE_MAX + r->uri.len : 0);
	int rc = message_buf(e, bytes, out);

	if (rc != 0)
		return rc;
	struct td_writer w = td_writer(out);
	put_core(e, &w, r, token, marks);
	put_credentials(e, &w, r->trunk,
		r->method == TD_M_OTHER ? r->method_name : td_method_text(r->method), r->uri,
		marks);
	if (r->contact.len > 0)
		put_line(&w, "Contact: ", r->contact);
	td_put_span(&w, r->headers);
	put_body(&w, r->content_type, r->body);
	return message_finish(e, &w, out);
}

int request_write_again(struct td_engine *e, const struct td_ctx *before, uint32_t cseq,
	const struct td_trunk *trunk, const struct td_token *token, struct td_buf *out,
	struct request_marks *marks)
{
	const struct request_marks *m = &before->marks;
	const char *text = before->text, *via_end = memchr(text + m->via, '\n', m->cseq - m->via);
	struct td_span method = td_span(text, (size_t)(m->uri - 1));
	struct td_span uri = td_span(text + m->uri, m->uri_len);
	uint32_t rest = (uint32_t)m->core_len + m->credentials_len;
	int rc = message_buf(
		e, FIXED_BYTES + before->text_len + TD_CREDENTIALS_LINE_MAX + uri.len, out);

	if (rc != 0)
		return rc;
	struct td_writer w = td_writer(out);
	put_start(&w, method, uri, marks);
	put_via(e, &w, &before->flow, token);
	marks->routes_len = m->routes_len;
	marks->routes = (uint16_t)(td_writer_len(&w) + (uint32_t)(text + m->routes - via_end - 1));
	td_put(&w, via_end + 1, (size_t)(text + m->cseq - via_end - 1));
	marks->cseq = (uint16_t)td_writer_len(&w);
	put_cseq(&w, cseq, method);
	marks->core_len = (uint16_t)td_writer_len(&w);
	put_credentials(e, &w, trunk, method, uri, marks);
	td_put(&w, text + rest, before->text_len - rest);
	return message_finish(e, &w, out);
}

int request_write_cancel(struct td_engine *e, const struct td_ctx *invite,
	struct td_span reason_header, struct td_buf *out, struct request_marks *marks)
{
	const struct request_marks *m = &invite->marks;
	int rc = message_buf(e, FIXED_BYTES + m->core_len + reason_header.len, out);

	if (rc != 0)
		return rc;
	*marks = (struct request_marks){ 0 };
	struct td_writer w = td_writer(out);
	put_start(&w, TD_SPAN("CANCEL"), td_span(invite->text + m->uri, m->uri_len), marks);
	td_put(&w, invite->text + m->via, (size_t)(m->cseq - m->via));
	put_cseq(&w, invite->cseq, TD_SPAN("CANCEL"));
	marks->core_len = (uint16_t)td_writer_len(&w);
	td_put_span(&w, reason_header);
	put_body(&w, (struct td_span){ 0 }, (struct td_span){ 0 });
	return message_finish(e, &w, out);
}

int request_write_ack(struct td_engine *e, const struct td_ctx *invite,
	const struct td_msg *response, struct td_buf *out)
{
	const struct td_pool *pool = &e->txn->ctx;
	const struct request_marks *m = &invite->marks;
	const struct td_token token = { .kind = TD_TOKEN_TRANSACTION,
		.worker = e->conf.worker,
		.slot = td_pool_slot(pool, invite),
		.generation = td_pool_generation(pool, invite) };
	struct td_span from = td_msg_get(response, TD_H_FROM), to = td_msg_get(response, TD_H_TO);
	struct td_span call_id = td_msg_get(response, TD_H_CALL_ID);
	struct request_marks unused;
	int rc = message_buf(
		e, FIXED_BYTES + m->uri_len + m->routes_len + from.len + to.len + call_id.len, out);

	if (rc != 0)
		return rc;
	struct td_writer w = td_writer(out);
	put_start(&w, TD_SPAN("ACK"), td_span(invite->text + m->uri, m->uri_len), &unused);
	put_via(e, &w, &invite->flow, &token);
	td_put_lit(&w, "Max-Forwards: 70\r\n");
	td_put(&w, invite->text + m->routes, m->routes_len);
	put_line(&w, "From: ", from);
	put_line(&w, "To: ", to);
	put_line(&w, "Call-ID: ", call_id);
	put_cseq(&w, invite->cseq, TD_SPAN("ACK"));
	put_body(&w, (struct td_span){ 0 }, (struct td_span){ 0 });
	return message_finish(e, &w, out);
}

int td_send_once(struct td_engine *e, const struct td_request *request)
{
	// No transaction has that slot; the sequence makes each branch another one (§17.1.1.3).
	const struct td_token token = { .kind = TD_TOKEN_TRANSACTION,
		.worker = e->conf.worker,
		.slot = UINT32_MAX,
		.generation = ++e->txn->ack_sequence };
	struct request_marks marks;
	struct td_buf buf;
	int rc = request_write(e, request, &token, &buf, &marks);

	if (rc != 0)
		return rc;
	message_send(e, &request->flow, &buf, request->method, 0);
	return 0;
}

void td_put_peer(struct td_writer *out, const struct td_trunk *trunk,
	const struct td_sockaddr *peer)
{
	const struct td_host_conf *host = trunk ? td_trunk_host(trunk, peer) : NULL;

	if (!host) {
		td_put_hostport(out, peer);
		return;
	}
	td_put_span(out, td_span_str(host->name));
	if (host->port != 0) {
		td_put_lit(out, ":");
		td_put_uint(out, host->port);
	}
}
