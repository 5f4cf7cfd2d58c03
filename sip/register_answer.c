// SPDX-License-Identifier: BSD-3-Clause
// The 200 to a REGISTER: everything that is bound now (RFC 3261 §10.3 step 8), and what the far end
// must know beside it (RFC 3327, RFC 3608, RFC 5626).
#include "sip/register_priv.h"
#include "sip/txn_priv.h"

static void put_q(struct td_writer *w, uint16_t q)
{
	if (q == TD_BINDING_Q_MAX)
		return;
	td_put_lit(w, ";q=0.");
	td_put_char(w, (char)('0' + q / 100));
	td_put_char(w, (char)('0' + q / 10 % 10));
	td_put_char(w, (char)('0' + q % 10));
}

static void put_contact(
	struct td_writer *w, const struct td_location_binding *b, uint64_t now_ms)
{
	uint64_t left_s = b->expires_ms > now_ms ? (b->expires_ms - now_ms + 999) / 1000 : 0;

	td_put_lit(w, "Contact: <");
	td_put_span(w, td_location_contact(b));
	td_put_lit(w, ">;expires=");
	td_put_uint(w, left_s);
	put_q(w, b->q);
	if (b->instance_len > 0) {
		td_put_lit(w, ";+sip.instance=\"");
		td_put_span(w, td_location_instance(b));
		td_put_char(w, '"');
	}
	if (b->reg_id > 0) {
		td_put_lit(w, ";reg-id=");
		td_put_uint(w, b->reg_id);
	}
	td_put_lit(w, "\r\n");
}

static void put_headers(struct register_ask *ask, struct td_writer *w)
{
	const struct td_registrar_conf *conf = ask->conf;

	for (struct td_location_binding *b =
			td_location_first(ask->e->registrar->location, ask->hash, ask->aor);
		b; b = td_location_next(b))
		put_contact(w, b, td_engine_now_ms(ask->e));
	if (ask->path_len > 0) {
		td_put_lit(w, "Path: ");
		td_put(w, ask->path, ask->path_len);
		td_put_lit(w, "\r\n");
	}
	if (conf->service_route[0] != '\0') {
		td_put_lit(w, "Service-Route: ");
		td_put_span(w, td_span_str(conf->service_route));
		td_put_lit(w, "\r\n");
	}
	td_put_lit(w, "Supported: path, outbound\r\n");
	if (!register_asks_for_flow(ask))
		return;
	td_put_lit(w, "Require: outbound\r\n");
	if (conf->flow_timer_s > 0) {
		td_put_lit(w, "Flow-Timer: ");
		td_put_uint(w, conf->flow_timer_s);
		td_put_lit(w, "\r\n");
	}
}

int register_answer_write(struct register_ask *ask, struct td_buf *out)
{
	struct td_engine *e = ask->e;
	char *text = e->registrar->headers;
	struct td_writer w = { text, text, text + REGISTER_HEADERS_MAX, false };
	struct td_response ok = { .status = 200 };

	put_headers(ask, &w);
	ok.headers = td_span(text, td_writer_len(&w));
	return response_write_stateless(e, ask->flow, &e->msg, &e->core, &ok, out);
}
