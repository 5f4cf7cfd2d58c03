// SPDX-License-Identifier: BSD-3-Clause
// The judgement of a message that came in: whose it is, and what it is answered when it is nobody's
// (RFC 3261 §8.2).
//
//   keep-alive │ response → transaction │ request → transaction → dialog → source → rate → faults →
//   method → call
//
// A stranger is told nothing before its source is known: whatever answers comes after that check.
#include "sip/auth.h"
#include "sip/engine_priv.h"
#include "sip/peek.h"
#include "sip/writer.h"

static void answer(
	struct td_engine *e, const struct td_flow *flow, uint16_t status, struct td_span headers)
{
	const struct td_response response = { .status = status, .headers = headers };

	td_respond_stateless(e, flow, &e->msg, &e->core, &response);
}

// CRLF, CRLFCRLF and NULs keep a binding open in somebody's NAT (RFC 5626 §4.4.1).
static bool is_keepalive(const char *data, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if (data[i] != '\r' && data[i] != '\n' && data[i] != '\0')
			return false;
	return true;
}

// Refuses a request outside any dialog. An INVITE that came as far as this leaves a detail record.
static void refuse(struct td_engine *e, const struct td_flow *flow, int trunk, uint16_t status,
	struct td_span headers)
{
	const struct td_response response = { .status = status, .headers = headers };

	if (trunk >= 0 && e->msg.method == TD_M_INVITE)
		td_call_refuse(e, flow, &e->msg, &e->core, (uint32_t)trunk, &response);
	else
		answer(e, flow, status, headers);
}

static bool is_answerable(const struct td_engine *e)
{
	return e->core.via.whole.len > 0;
}

// Refuses what cannot be read whole. false: there is no Via that an answer could follow.
static bool refuse_faulty(struct td_engine *e, const struct td_flow *flow, uint32_t trunk,
	const struct td_response *response)
{
	if (!is_answerable(e))
		return false;
	// Who has proved nothing yet leaves no record either.
	if (e->msg.method != TD_M_INVITE || td_policy_is_subscribers(e->policy, trunk))
		return td_respond_stateless(e, flow, &e->msg, &e->core, response) == 0;
	td_call_refuse(e, flow, &e->msg, &e->core, trunk, response);
	return true;
}

// A faulty INVITE is refused in a transaction all the same: copies of it leave no second record,
// and the ACK, which has its faults, ends it.
static bool is_of_refused(struct td_engine *e, const struct td_flow *flow, bool good)
{
	bool of_invite = e->msg.method == TD_M_INVITE || e->msg.method == TD_M_ACK;

	return !good && of_invite && is_answerable(e) &&
	       td_txn_rx_request(e, flow, &e->msg, &e->core);
}

// --- checks; each returns true when it has dealt with the request ---

// came: where from; flow: where answers go.
static bool is_stranger(
	struct td_engine *e, const struct td_flow *came, const struct td_flow *flow, int *trunk)
{
	if (!e->policy) {
		td_engine_count(e, TD_C_SIP_NO_POLICY);
		answer(e, flow, 503, TD_SPAN(TD_RETRY_AFTER_LINE));
		return true;
	}
	*trunk = td_policy_ingress(e->policy, came, &e->core);
	if (*trunk < 0 && e->auth)
		*trunk = td_policy_subscribers(e->policy, came->realm);
	if (*trunk >= 0)
		return false;
	td_engine_count(e, TD_C_SIP_UNKNOWN_SOURCE);
	if (flow->realm < e->conf.n_realms && e->conf.realms[flow->realm].unknown == TD_UNKNOWN_403)
		answer(e, flow, 403, (struct td_span){ 0 });
	return true;
}

// A trunk's peers may stand side by side in one /64; of others that is one source.
static bool is_over_rate(struct td_engine *e, const struct td_flow *flow, bool of_trunk)
{
	uint32_t per_second = e->policy ? td_policy_limits(e->policy)->source_cps : 0;
	struct td_sockaddr source = of_trunk ? flow->remote : td_ip_site(&flow->remote);

	if (td_source_rate_pass(e->conf.source_rate, e->now_ns, flow->realm, &source, per_second))
		return false;
	td_engine_count(e, TD_C_SIP_SOURCE_RATE);
	return true;
}

static bool calls_emergency(const struct td_engine *e)
{
	return e->msg.method == TD_M_INVITE && td_policy_emergency(e->policy, &e->core.uri);
}

static bool is_too_fast(struct td_engine *e, const struct td_flow *flow, bool of_trunk)
{
	return !calls_emergency(e) && is_over_rate(e, flow, of_trunk);
}

static bool is_too_big(
	struct td_engine *e, const struct td_flow *flow, uint32_t trunk, uint32_t len)
{
	const struct td_response too_big = { .status = 513 };

	if (len <= e->conf.sip_message_bytes)
		return false;
	td_engine_count(e, TD_C_SIP_TOO_BIG);
	refuse_faulty(e, flow, trunk, &too_big);
	return true;
}

static bool is_faulty(struct td_engine *e, const struct td_flow *flow, uint32_t trunk)
{
	enum td_fault fault = e->msg.fault;
	char text[96];
	struct td_writer w = { text, text, text + sizeof(text), false };

	if (fault == TD_FAULT_NONE)
		return false;
	td_put_span(&w, td_span_str(td_fault_text(fault)));
	if (fault == TD_FAULT_MISSING || fault == TD_FAULT_TWICE) {
		td_put_lit(&w, ": ");
		td_put_span(&w, td_header_name(e->msg.fault_header));
	}
	struct td_response bad = { .status = 400, .reason = td_span(text, td_writer_len(&w)) };
	if (fault == TD_FAULT_VERSION)
		bad = (struct td_response){ .status = 505 };
	bool answered = refuse_faulty(e, flow, trunk, &bad);
	td_engine_count(e, answered ? TD_C_SIP_BAD_ANSWERED : TD_C_SIP_BAD_MESSAGE);
	return true;
}

// A To-tag that names no dialog of ours: the token was forged, is older than this boot, or never
// was one.
static bool is_out_of_any_dialog(struct td_engine *e, const struct td_flow *flow)
{
	if (e->msg.method != TD_M_CANCEL && e->core.to.tag.len == 0)
		return false;
	if (e->core.to.tag.len > 0)
		td_engine_count(e, TD_C_SIP_BAD_TOKEN);
	answer(e, flow, 481, (struct td_span){ 0 });
	return true;
}

// No extension that could be required is known yet (§8.2.2.3). trunk: -1 inside a dialog.
static bool requires_too_much(struct td_engine *e, const struct td_flow *flow, int trunk)
{
	const struct td_msg *msg = &e->msg;
	char text[1024];
	struct td_writer w = { text, text, text + sizeof(text), false };

	if (!td_msg_has(msg, TD_H_REQUIRE) || msg->method == TD_M_ACK || msg->method == TD_M_CANCEL)
		return false;
	for (uint8_t i = msg->first[TD_H_REQUIRE]; i != 0xff; i = msg->headers[i].next) {
		struct td_span tags = td_msg_value(msg, &msg->headers[i]);
		if (tags.len + 16 > (size_t)(w.end - w.pos))
			break; // what was told of suffices to refuse
		td_put_lit(&w, "Unsupported: ");
		td_put_span(&w, tags);
		td_put_lit(&w, "\r\n");
	}
	refuse(e, flow, trunk, 420, td_span(text, td_writer_len(&w)));
	return true;
}

// The end of a call must get through whatever its hop count; the others go on to the next switch or
// are ours to answer.
static bool has_no_hop_left(struct td_engine *e, const struct td_flow *flow)
{
	uint8_t method = e->msg.method;

	if (!e->core.has_max_forwards || e->core.max_forwards > 0 || method == TD_M_OPTIONS ||
		method == TD_M_ACK || method == TD_M_BYE)
		return false;
	answer(e, flow, 483, (struct td_span){ 0 });
	return true;
}

static bool has_unknown_scheme(struct td_engine *e, const struct td_flow *flow, int trunk)
{
	const struct td_uri *uri = &e->core.uri;

	if (uri->scheme != TD_SCHEME_OTHER &&
		(uri->scheme != TD_SCHEME_URN || td_uri_emergency(uri)))
		return false;
	refuse(e, flow, trunk, 416, (struct td_span){ 0 });
	return true;
}

// --- requests ---

static void invite(struct td_engine *e, const struct td_flow *flow, uint32_t trunk,
	const struct td_subscriber_entry *caller)
{
	if (td_txn_merged(e, flow, &e->core))
		refuse(e, flow, (int)trunk, 482, (struct td_span){ 0 });
	else
		td_call_invite(e, flow, &e->msg, &e->core, trunk, caller);
}

// A subscriber's request proves who sends it before anything is kept of it.
static bool is_unproven(struct td_engine *e, const struct td_flow *flow,
	struct td_auth_answer *proof)
{
	td_auth_check(e, flow, &e->msg, &e->core, NULL, proof);
	if (proof->verdict == TD_AUTH_PASSED)
		return false;
	// An emergency call that is proven passed the rate; what only looks like one has none.
	if (calls_emergency(e) && is_over_rate(e, flow, false))
		return true;
	answer(e, flow, proof->status, td_auth_headers(proof));
	return true;
}

static void subscriber_invite(struct td_engine *e, const struct td_flow *flow, uint32_t trunk)
{
	struct td_auth_answer proof;

	if (!is_unproven(e, flow, &proof) && !has_unknown_scheme(e, flow, (int)trunk) &&
		!requires_too_much(e, flow, (int)trunk))
		invite(e, flow, trunk, proof.subscriber);
}

static void options(struct td_engine *e, const struct td_flow *flow)
{
	if (!e->draining) {
		td_options_answer(e, flow);
		return;
	}
	td_engine_count(e, TD_C_SIP_DRAINING);
	answer(e, flow, 503, TD_SPAN(TD_RETRY_AFTER_LINE));
}

// A request outside any dialog, of a known source (§8.2.1: the method is looked at first).
static void out_of_dialog(struct td_engine *e, const struct td_flow *flow, uint32_t trunk)
{
	uint8_t method = e->msg.method;

	if (method == TD_M_BYE) {
		answer(e, flow, 481, (struct td_span){ 0 });
		return;
	}
	if (method != TD_M_INVITE && method != TD_M_OPTIONS) {
		answer(e, flow, 405, TD_SPAN(TD_ALLOW_LINE));
		return;
	}
	if (method == TD_M_INVITE && td_policy_is_subscribers(e->policy, trunk)) {
		subscriber_invite(e, flow, trunk);
		return;
	}
	if (has_unknown_scheme(e, flow, (int)trunk) || requires_too_much(e, flow, (int)trunk))
		return;
	if (method == TD_M_INVITE)
		invite(e, flow, trunk, NULL);
	else
		options(e, flow);
}

// true: a dialog of ours was named.
static bool in_dialog(struct td_engine *e, const struct td_flow *flow)
{
	struct td_token token;

	if (e->msg.method == TD_M_CANCEL || e->core.to.tag.len == 0 ||
		td_engine_token(e, e->core.to.tag, &token) != 0 || token.kind != TD_TOKEN_DIALOG ||
		token.worker != e->conf.worker)
		return false;
	if (!has_no_hop_left(e, flow) && !requires_too_much(e, flow, -1))
		td_call_in_dialog(e, flow, &e->msg, &e->core, &token);
	return true;
}

// Without rport the sender waits at the port that its Via names (§18.2.2, RFC 3581 §4), always at
// the address it sent from: maddr would let it name a third party.
static struct td_flow flow_back(const struct td_engine *e, const struct td_flow *came)
{
	const struct td_via *via = &e->core.via;
	struct td_flow back = *came;

	if (!came->reliable && via->whole.len > 0 && !via->has_rport)
		back.remote.port = via->port != 0 ? via->port : 5060;
	return back;
}

static bool is_of_registrar(const struct td_engine *e, const struct td_flow *came)
{
	return e->registrar && came->realm < e->conf.n_realms &&
	       e->conf.realms[came->realm].registrar.n_domains > 0;
}

static bool is_register(const struct td_engine *e, const struct td_flow *came)
{
	return e->msg.request && e->msg.method == TD_M_REGISTER && is_of_registrar(e, came);
}

// A REGISTER is judged by its credentials, wherever it comes from, and needs no transaction.
static void register_rx(struct td_engine *e, const struct td_flow *came, const struct td_flow *flow,
	uint32_t len)
{
	if (is_too_fast(e, flow, false) || is_too_big(e, flow, 0, len) || is_faulty(e, flow, 0))
		return;
	td_register(e, came, flow);
}

// An ACK that belongs to nothing. That of an INVITE which was refused without a transaction, as the
// first of every subscriber's call is, was waited for by nobody and is nothing to look into.
static void ack_leave(struct td_engine *e, bool good)
{
	if (good && td_acks_stateless(e, &e->msg, &e->core))
		return;
	td_engine_count(e, good ? TD_C_SIP_STRAY_ACK : TD_C_SIP_BAD_MESSAGE);
	if (good && e->core.to.tag.len > 0)
		td_engine_count(e, TD_C_SIP_BAD_TOKEN);
}

static void request_rx(struct td_engine *e, const struct td_flow *came, uint32_t len)
{
	bool good = e->msg.fault == TD_FAULT_NONE && len <= e->conf.sip_message_bytes;
	const struct td_flow back = flow_back(e, came), *flow = &back;
	int trunk;

	td_engine_count(e, TD_C_SIP_RX_REQUESTS);
	td_traffic_message(&e->traffic, TD_TRAFFIC_RX, e->msg.method, 0);
	if (is_register(e, came)) {
		register_rx(e, came, flow, len);
		return;
	}
	if (good && (td_txn_rx_request(e, flow, &e->msg, &e->core) || in_dialog(e, flow)))
		return;
	if (is_of_refused(e, flow, good))
		return;
	if (e->msg.method == TD_M_ACK) { // nobody ever answers an ACK
		ack_leave(e, good);
		return;
	}
	if (is_stranger(e, came, flow, &trunk) ||
		is_too_fast(e, flow, !td_policy_is_subscribers(e->policy, (uint32_t)trunk)) ||
		is_too_big(e, flow, (uint32_t)trunk, len) || is_faulty(e, flow, (uint32_t)trunk) ||
		is_out_of_any_dialog(e, flow))
		return;
	out_of_dialog(e, flow, (uint32_t)trunk);
}

// --- responses ---

static void response_rx(struct td_engine *e, const struct td_flow *flow, uint32_t len)
{
	td_engine_count(e, TD_C_SIP_RX_RESPONSES);
	td_traffic_message(&e->traffic, TD_TRAFFIC_RX, e->msg.method, e->msg.status);
	if (len > e->conf.sip_message_bytes)
		td_engine_count(e, TD_C_SIP_TOO_BIG);
	if (e->msg.fault != TD_FAULT_NONE || len > e->conf.sip_message_bytes)
		td_engine_count(e, TD_C_SIP_BAD_MESSAGE);
	else if (!td_txn_rx_response(e, flow, &e->msg, &e->core) &&
		 !td_ping_answered(e, &e->msg, &e->core))
		td_engine_count(e, TD_C_SIP_STRAY_RESPONSE);
}

// One CRLF for the two of a ping (RFC 5626 §4.4.1).
static void pong_send(struct td_engine *e, const struct td_flow *flow)
{
	struct td_buf buf;

	if (e->conf.ops->buf_get(e->conf.host, 2, &buf) != 0)
		return;
	memcpy(buf.data, "\r\n", 2);
	buf.len = 2;
	e->conf.ops->send(e->conf.host, flow, &buf);
}

uint64_t td_engine_call_hash(struct td_engine *e, struct td_span call_id)
{
	if (!call_id.ptr || call_id.ptr != e->call_hash_of)
		return td_siphash(e->keys.hash, call_id.ptr, call_id.len);
	if (!e->call_hash_known)
		e->call_hash = td_siphash(e->keys.hash, call_id.ptr, call_id.len);
	e->call_hash_known = true;
	return e->call_hash;
}

int td_engine_token(const struct td_engine *e, struct td_span text, struct td_token *out)
{
	const struct td_peek *peek = e->peek;

	if (!peek || peek->kind != TD_PEEK_TOKEN || text.len != TD_TOKEN_LEN ||
		text.ptr != e->msg.buf + peek->token_off)
		return td_token_read(&e->keys, text, out);
	*out = peek->token;
	return 0;
}

void td_engine_rx_peeked(struct td_engine *e, uint64_t now_ns, const struct td_flow *flow,
	const char *data, uint32_t len, const struct td_peek *peek)
{
	e->now_ns = now_ns;
	if (is_keepalive(data, len)) {
		td_engine_count(e, TD_C_SIP_KEEPALIVE);
		if (len == 4 && is_of_registrar(e, flow))
			pong_send(e, flow);
		return;
	}
	if (td_stun_rx(e, flow, data, len))
		return;
	e->peek = peek;
	td_msg_parse(&e->msg, data, len);
	td_core_decode_to(&e->msg, &e->core);
	if (is_register(e, flow))
		td_register_expect(e);
	td_core_decode_rest(&e->msg, &e->core);
	e->call_hash_of = e->core.call_id.ptr;
	e->call_hash_known = false;
	if (e->msg.request)
		request_rx(e, flow, len);
	else
		response_rx(e, flow, len);
	e->peek = NULL;
	e->call_hash_of = NULL;
}

void td_engine_rx(struct td_engine *e, uint64_t now_ns, const struct td_flow *flow,
	const char *data, uint32_t len)
{
	td_engine_rx_peeked(e, now_ns, flow, data, len, NULL);
}
