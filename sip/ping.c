// SPDX-License-Identifier: BSD-3-Clause
// Pings to contacts behind NAT, over the flow they came on, so that it stays open: OPTIONS, or CRLF
// alone. Each once and without a transaction; a hash of the binding spreads them over the interval.
#include "sip/hash.h"
#include "sip/options.h"
#include "sip/register_priv.h"
#include "sip/txn_priv.h"

// Does the far end say that it sits where the bytes come from?
static bool is_behind_nat(const struct td_flow *flow, const struct td_uri *contact)
{
	struct td_sockaddr said = { 0 };

	if (td_ip_parse(contact->host, &said) != 0 || !td_ip_eq(&said, &flow->remote))
		return true;
	return (contact->has_port ? contact->port : 5060) != flow->remote.port;
}

void td_ping_plan(
	struct td_engine *e, struct td_location_binding *b, const struct td_uri *contact)
{
	const struct td_registrar_conf *conf = &e->conf.realms[b->flow.realm].registrar;

	if (conf->ping == TD_PING_OFF || conf->ping_interval_s == 0 || b->path_len > 0 ||
		!is_behind_nat(&b->flow, contact))
		return;
	uint64_t spread = td_hash_of(e->keys.hash, b->text, (size_t)b->aor_len + b->contact_len);
	b->ping_ms = td_engine_now_ms(e) + 1000 +
		     ((spread >> 32) * (conf->ping_interval_s * 1000ull) >> 32);
}

static void crlf_send(struct td_engine *e, const struct td_flow *flow)
{
	struct td_buf buf;

	if (e->conf.ops->buf_get(e->conf.host, 4, &buf) != 0)
		return;
	memcpy(buf.data, "\r\n\r\n", 4);
	buf.len = 4;
	e->conf.ops->send(e->conf.host, flow, &buf);
}

static void options_send(struct td_engine *e, const struct td_location_binding *b)
{
	struct td_options_ask ask;

	td_options_ask(e, &b->flow, td_location_contact(b), &ask);
	td_send_once(e, &ask.request);
}

void td_ping_send(struct td_engine *e, struct td_location_binding *b)
{
	const struct td_registrar_conf *conf = &e->conf.realms[b->flow.realm].registrar;

	td_engine_count(e, TD_C_REG_PINGS);
	if (conf->ping == TD_PING_CRLF)
		crlf_send(e, &b->flow);
	else
		options_send(e, b);
	b->ping_ms = td_engine_now_ms(e) + conf->ping_interval_s * 1000ull;
}

bool td_ping_answered(struct td_engine *e, const struct td_msg *msg, const struct td_core *core)
{
	struct td_token token;

	if (!e->registrar || core->cseq.method != TD_M_OPTIONS ||
		td_engine_token(e, td_branch_token(core->via.branch), &token) != 0 ||
		token.kind != TD_TOKEN_TRANSACTION || token.slot != UINT32_MAX)
		return false;
	td_engine_count(e, TD_C_REG_PONGS);
	return true;
}
