// SPDX-License-Identifier: BSD-3-Clause
// OPTIONS to the switch itself (RFC 3261 §11), peers' keep-alive and capability question, answered
// without state; and its own.
#include "sip/options.h"

#include "sip/engine_priv.h"
#include "sip/writer.h"

void td_options_answer(struct td_engine *e, const struct td_flow *flow)
{
	char text[256];
	struct td_writer w = { text, text, text + sizeof(text), false };
	struct td_response ok = { .status = 200 };

	td_put_lit(&w, TD_OPTIONS_LINES "Supported:\r\nServer: ");
	td_put_span(&w, td_span_str(e->conf.node_name));
	td_put_lit(&w, "\r\n");
	ok.headers = td_span(text, td_writer_len(&w));
	td_respond_stateless(e, flow, &e->msg, &e->core, &ok);
}

static struct td_span host_uri(struct td_writer *out, const struct td_sockaddr *host)
{
	char *start = out->pos;

	td_put_lit(out, "<sip:");
	td_put_hostport(out, host);
	td_put_char(out, '>');
	return td_span(start, (size_t)(out->pos - start));
}

void td_options_ask(struct td_engine *e, const struct td_flow *flow, struct td_span uri,
	struct td_options_ask *out)
{
	struct td_writer from = { out->from, out->from, out->from + sizeof(out->from), false };
	struct td_writer to = { out->to, out->to, out->to + sizeof(out->to), false };
	struct td_writer id = { out->call_id, out->call_id, out->call_id + sizeof(out->call_id),
		false };
	struct td_sockaddr local = td_engine_advertised(e, flow->realm, &flow->local);
	uint64_t random;

	e->conf.ops->random(e->conf.host, &random, sizeof(random));
	host_uri(&from, &local);
	td_put_lit(&from, ";tag=");
	td_put_uint(&from, random);
	td_put_lit(&id, "ping-");
	td_put_uint(&id, random);
	out->request = (struct td_request){
		.method = TD_M_OPTIONS,
		.uri = uri,
		.to = host_uri(&to, &flow->remote),
		.from = td_span(out->from, td_writer_len(&from)),
		.call_id = td_span(out->call_id, td_writer_len(&id)),
		.cseq = 1,
		.max_forwards = 70,
		.flow = *flow,
	};
}
