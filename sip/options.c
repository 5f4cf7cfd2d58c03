// SPDX-License-Identifier: BSD-3-Clause
// OPTIONS to the switch itself (RFC 3261 §11): peers' keep-alive and capability question, answered
// without state.
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
