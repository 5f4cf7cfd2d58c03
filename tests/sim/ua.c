// SPDX-License-Identifier: BSD-3-Clause
// A user agent: one dialog, the transactions in it, and what it does when a message comes.
#include "tests/sim/sim.h"

#include <stdlib.h>

// --- who is who ---

static uint32_t id_hash(struct td_span id)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (uint32_t i = 0; i < id.len; i++)
		h = (h ^ (uint8_t)id.ptr[i]) * 0x100000001b3u;
	return (uint32_t)(h ^ h >> 32);
}

struct ua *ua_find(struct sim *sim, struct td_span call_id)
{
	struct ua *ua = sim->by_id[id_hash(call_id) & sim->by_id_mask];

	while (ua && !td_span_eq(td_span_str(ua->call_id), call_id))
		ua = ua->next_by_id;
	return ua;
}

static void ua_index(struct ua *ua)
{
	struct ua **slot = &ua->sim->by_id[id_hash(td_span_str(ua->call_id)) & ua->sim->by_id_mask];

	ua->next_by_id = *slot;
	*slot = ua;
}

static struct td_sockaddr address(uint8_t trunk, uint8_t hi, uint8_t lo, uint16_t port)
{
	return (struct td_sockaddr){
		.ip = { 10, (uint8_t)(trunk + 1), hi, lo }, .port = port, .family = TD_IPV4
	};
}

void ua_init(
	struct ua *ua, struct sim *sim, uint32_t call, uint8_t side, uint8_t attempt, uint8_t trunk)
{
	uint32_t who = side * 16u + attempt;

	*ua = (struct ua){
		.sim = sim, .call = call, .side = side, .attempt = attempt, .trunk = trunk
	};
	ua->realm = trunk == TRUNK_WEST_1 || trunk == TRUNK_WEST_2 ? WEST : EAST;
	ua->address = address(trunk, (uint8_t)(call >> 8), (uint8_t)call, 5060);
	ua->rtp = address(trunk, (uint8_t)(call >> 8), (uint8_t)call, (uint16_t)(4000 + 2 * who));
	ua->rng = rng_seed(sim->opt.seed, call + 1, 2 * who);
	ua->rng_in = rng_seed(sim->opt.seed, call + 1, 2 * who + 1);
	snprintf(ua->local_tag, sizeof(ua->local_tag), "%s-tag-%u-%u",
		ua->realm == WEST ? "west" : "east", call, who);
	if (side == 1)
		return;
	ua->gateway =
		sim->realms[ua->realm].addresses[0].ip; // where it sends what has no target yet
	ua->gateway.port = 5060;
	snprintf(ua->call_id, sizeof(ua->call_id), "call-%u@caller.%s", call,
		ua->realm == WEST ? "west" : "east");
	char ip[TD_ADDR_STRLEN];
	td_ip_format(&ua->gateway, false, ip, sizeof(ip));
	snprintf(ua->target, sizeof(ua->target), "sip:%s%06u@%s", ua->realm == WEST ? "49" : "44",
		call, ip);
	td_span_cstr(td_span_str(ua->target), ua->remote, sizeof(ua->remote));
	td_ip_format(&ua->address, false, ip, sizeof(ip));
	snprintf(ua->local, sizeof(ua->local), "sip:+33%06u@%s", call, ip);
	ua_index(ua);
}

// The switch tries a target: a phone behind that gateway, known by the number it was asked for.
struct ua *ua_callee_of(
	struct sim *sim, const struct td_sockaddr *gateway, const struct sip *invite)
{
	uint32_t number;

	if (!sim_numbers_call(invite->uri, &number) || number >= sim->opt.calls ||
		gateway->ip[1] == 0 || gateway->ip[1] > TRUNKS)
		return NULL;
	struct call *call = &sim->calls[number];
	if (call->n_callees == ATTEMPTS_SEEN_MAX) {
		breach(sim, BREACH_ASTRAY, "call %u: more attempts than there are targets", number);
		return NULL;
	}
	struct ua *ua = malloc(sizeof(*ua));
	if (!ua)
		abort();
	ua_init(ua, sim, number, 1, (uint8_t)call->n_callees, (uint8_t)(gateway->ip[1] - 1));
	ua->gateway = *gateway;
	td_span_cstr(sip_header(invite, "Call-ID", 0), ua->call_id, sizeof(ua->call_id));
	ua_index(ua);
	call->callees[call->n_callees++] = ua;
	sim_numbers_check(ua, invite);
	return ua;
}

// --- what it does of its own ---

void ua_over(struct ua *ua)
{
	ua->state = UA_OVER;
}

struct tx *ua_invite_tx(struct ua *ua, bool server)
{
	for (struct tx *tx = ua->txs; tx; tx = tx->next)
		if (tx->server == server && tx->state <= TX_PROCEEDING &&
			strcmp(tx->method, "INVITE") == 0)
			return tx;
	return NULL;
}

void ua_invite(struct ua *ua)
{
	ua->state = UA_INVITING;
	tx_send_request(
		ua, "INVITE", ++ua->cseq, NULL, !ua->sim->calls[ua->call].script.delayed_offer);
}

// RFC 3261 §9.1: not before a provisional answer came.
void ua_cancel(struct ua *ua)
{
	struct tx *tx = ua_invite_tx(ua, false);

	ua->wants_out = true;
	if (!tx || ua->dead || ua->state != UA_INVITING || tx->state != TX_PROCEEDING ||
		tx->cancel_wanted)
		return;
	tx->cancel_wanted = true;
	// CANCEL goes where the INVITE went: the target is still the first one, whatever an early
	// dialog said.
	tx_send_request(ua, "CANCEL", tx->cseq, tx->branch, false);
	tx_start(tx, 64 * T1);
}

void ua_bye(struct ua *ua)
{
	if (ua->dead || ua->state != UA_UP)
		return;
	ua->state = UA_LEAVING;
	tx_send_request(ua, "BYE", ++ua->cseq, NULL, false);
}

void ua_reinvite(struct ua *ua, bool hold)
{
	if (ua->dead || ua->state != UA_UP || ua_invite_tx(ua, false) || ua_invite_tx(ua, true))
		return;
	ua->hold = hold;
	tx_send_request(ua, "INVITE", ++ua->cseq, NULL, true);
}

static void reinvite_again(struct sim *sim, void *what, uint64_t arg)
{
	struct ua *ua = what;

	ua_reinvite(ua, ua->hold);
}

void ua_tx_timeout(struct ua *ua, struct tx *tx)
{
	bool invite = strcmp(tx->method, "INVITE") == 0;

	tx->state = TX_DONE;
	if (ua->dead)
		return;
	// No ACK to a 2xx: the session is ended (RFC 3261 §13.3.1.4).
	if (tx->server && tx->status == 200) {
		ua_bye(ua);
		return;
	}
	if (tx->server)
		return;
	if (strcmp(tx->method, "BYE") == 0 || (invite && ua->state == UA_INVITING))
		ua_over(ua);
	else if (invite)
		ua_bye(ua);
}

// --- responses ---

static void dialog_from(struct ua *ua, const struct sip *m)
{
	struct td_span contact = sip_header(m, "Contact", 0);

	td_span_cstr(
		sip_param(sip_header(m, "To", 0), "tag"), ua->remote_tag, sizeof(ua->remote_tag));
	if (contact.len > 0)
		td_span_cstr(sip_uri(contact), ua->target, sizeof(ua->target));
}

static void ack(struct ua *ua, struct tx *tx, bool sdp)
{
	if (ua->acks_lost > 0) {
		ua->acks_lost -= ua->acks_lost == UINT32_MAX ? 0 : 1;
		return;
	}
	tx_send_request(ua, "ACK", tx->cseq, NULL, sdp);
}

// The ACK to a failure belongs to the transaction: same branch, same target, the answer's To.
static void ack_failure(struct ua *ua, struct tx *tx, const struct sip *m)
{
	char tag[64], target[160];

	td_span_cstr(td_span_str(ua->remote_tag), tag, sizeof(tag));
	td_span_cstr(td_span_str(ua->target), target, sizeof(target));
	const char *space = memchr(tx->msg + 7, ' ', tx->len - 7);
	td_span_cstr(td_span(tx->msg + 7, (size_t)(space - tx->msg - 7)), ua->target,
		sizeof(ua->target));
	td_span_cstr(
		sip_param(sip_header(m, "To", 0), "tag"), ua->remote_tag, sizeof(ua->remote_tag));
	tx_send_request(ua, "ACK", tx->cseq, tx->branch, false);
	td_span_cstr(td_span_str(tag), ua->remote_tag, sizeof(ua->remote_tag));
	td_span_cstr(td_span_str(target), ua->target, sizeof(ua->target));
}

static void answered(struct ua *ua, struct tx *tx, const struct sip *m)
{
	bool offer_in_answer =
		ua->state == UA_INVITING && ua->sim->calls[ua->call].script.delayed_offer;
	bool again = tx->status == 200;

	if (!again) {
		tx->status = 200;
		tx->timer++;
		dialog_from(ua, m);
		ua_read_sdp(ua, m->body);
		tx->ack_sdp = offer_in_answer;
	} else if (!td_span_eq(
			   sip_param(sip_header(m, "To", 0), "tag"), td_span_str(ua->remote_tag))) {
		if (ua->sim->opt.corrupt == 0)
			breach(ua->sim, BREACH_OUTCOME, "call %u: a second dialog answered",
				ua->call);
		return;
	}
	ack(ua, tx, tx->ack_sdp);
	if (again)
		return;
	tx->state = TX_DONE;
	if (ua->state == UA_OVER) { // it had given up waiting
		ua->state = UA_INVITING;
		ua->wants_out = true;
	}
	if (ua->state != UA_INVITING)
		return;
	ua->final = 200;
	ua->state = UA_UP;
	if (ua->wants_out)
		ua_bye(ua); // the CANCEL crossed the 200
	else
		script_up(ua);
}

static void refused(struct ua *ua, struct tx *tx, const struct sip *m)
{
	bool first = tx->state != TX_DONE;

	ack_failure(ua, tx, m);
	tx->state = TX_DONE;
	tx->status = (uint16_t)m->status;
	if (!first)
		return;
	if (ua->state == UA_INVITING) {
		ua->final = (uint16_t)m->status;
		ua_over(ua);
		return;
	}
	if (m->status == 481 || m->status == 408)
		ua_bye(ua);        // RFC 3261 §12.2.1.2
	else if (m->status == 491) // §14.1: the owner of the Call-ID waits longer
		at(ua->sim,
			ua->sim->now + (ua->side == 0 ? rng_between(&ua->rng, 210, 400)
						      : rng_below(&ua->rng, 200)) *
					       10 * MS,
			reinvite_again, ua, 0);
	else
		ua->hold = false;
}

static void provisional(struct ua *ua, struct tx *tx, const struct sip *m)
{
	if (tx->state == TX_DONE)
		return;
	if (tx->state == TX_TRYING)
		tx->timer++; // Timer A stops; the caller's patience has its own
	tx->state = TX_PROCEEDING;
	if (m->status > 100 && ua->state == UA_INVITING)
		ua_read_sdp(ua, m->body);
	if (ua->wants_out)
		ua_cancel(ua);
}

static void rx_response(struct ua *ua, const struct sip *m)
{
	struct tx *tx = tx_find(ua, false, m->method, sip_param(sip_header(m, "Via", 0), "branch"));

	if (!tx) {
		if (ua->sim->opt.corrupt == 0)
			breach(ua->sim, BREACH_ASTRAY, "call %u: a %d to a %s that was never sent",
				ua->call, m->status, m->method);
		return;
	}
	if (strcmp(m->method, "INVITE") == 0) {
		if (m->status < 200)
			provisional(ua, tx, m);
		else if (m->status < 300)
			answered(ua, tx, m);
		else
			refused(ua, tx, m);
		return;
	}
	if (m->status < 200) {
		if (tx->state == TX_TRYING)
			tx->state = TX_PROCEEDING;
		return;
	}
	if (tx->state == TX_DONE)
		return;
	tx->state = TX_DONE;
	if (strcmp(m->method, "BYE") == 0)
		ua_over(ua);
}

// --- requests ---

static struct tx *server_tx(struct ua *ua, const struct sip *m, const struct td_sockaddr *src,
	const char *data, uint32_t len)
{
	struct tx *tx =
		tx_new(ua, true, m->method, m->cseq, sip_param(sip_header(m, "Via", 0), "branch"));

	tx->to = *src;
	tx->request_len = len;
	tx->request = malloc(len);
	if (!tx->request)
		abort();
	memcpy(tx->request, data, len);
	return tx;
}

static void rx_initial(struct ua *ua, struct tx *tx, const struct sip *m)
{
	struct td_span contact = sip_uri(sip_header(m, "Contact", 0)),
		       from = sip_header(m, "From", 0);

	ua->remote_cseq = m->cseq;
	td_span_cstr(sip_param(from, "tag"), ua->remote_tag, sizeof(ua->remote_tag));
	td_span_cstr(contact, ua->target, sizeof(ua->target));
	td_span_cstr(sip_uri(from), ua->remote, sizeof(ua->remote));
	td_span_cstr(sip_uri(sip_header(m, "To", 0)), ua->local, sizeof(ua->local));
	ua_read_sdp(ua, m->body);
	ua->state = UA_INVITING;
	script_called(ua, tx);
}

static void rx_reinvite(struct ua *ua, struct tx *tx, const struct sip *m)
{
	struct td_span contact = sip_uri(sip_header(m, "Contact", 0));

	if (ua->state == UA_OVER) {
		tx_respond(tx, 481, false);
		return;
	}
	if (ua_invite_tx(ua, false)) {
		tx_respond(tx, 491, false);
		return;
	}
	td_span_cstr(contact, ua->target, sizeof(ua->target));
	ua_read_sdp(ua, m->body);
	script_reinvited(ua, tx);
}

static void rx_ack(struct ua *ua, const struct sip *m)
{
	for (struct tx *tx = ua->txs; tx; tx = tx->next) {
		if (!tx->server || tx->cseq != m->cseq || strcmp(tx->method, "INVITE") != 0 ||
			tx->state != TX_FINAL)
			continue;
		tx->state = TX_DONE;
		if (tx->status == 200)
			ua_read_sdp(ua, m->body);
		if (tx->status == 200 && ua->state == UA_UP && ua->up_at == 0)
			script_up(ua);
	}
}

static void rx_cancel(struct ua *ua, struct tx *tx, const struct sip *m)
{
	struct tx *invite =
		tx_find(ua, true, "INVITE", sip_param(sip_header(m, "Via", 0), "branch"));

	tx_respond(tx, invite ? 200 : 481, false);
	if (!invite || invite->state > TX_PROCEEDING)
		return;
	tx_respond(invite, 487, false);
	if (ua->state == UA_INVITING) {
		ua->final = 487;
		ua_over(ua);
	}
}

static void rx_request(struct ua *ua, const struct sip *m, const struct td_sockaddr *src,
	const char *data, uint32_t len)
{
	if (strcmp(m->method, "ACK") == 0) {
		rx_ack(ua, m);
		return;
	}
	struct tx *tx = tx_find(ua, true, m->method, sip_param(sip_header(m, "Via", 0), "branch"));
	if (tx) {
		if (tx->msg)
			net_to_switch(ua, ua->side == 1 ? &ua->gateway : &ua->address, &tx->to,
				tx->msg, tx->len);
		return;
	}
	bool in_dialog = sip_param(sip_header(m, "To", 0), "tag").len > 0;
	tx = server_tx(ua, m, src, data, len);
	if (strcmp(m->method, "INVITE") == 0 && in_dialog) {
		rx_reinvite(ua, tx, m);
	} else if (strcmp(m->method, "INVITE") == 0) {
		if (ua->state != UA_IDLE || ua->side == 0)
			tx_respond(tx, 482, false);
		else
			rx_initial(ua, tx, m);
	} else if (strcmp(m->method, "CANCEL") == 0) {
		rx_cancel(ua, tx, m);
	} else if (strcmp(m->method, "BYE") == 0) {
		tx_respond(tx, 200, false);
		struct tx *invite = ua_invite_tx(ua, true);
		if (invite)
			tx_respond(invite, 487, false);
		ua_over(ua);
	} else {
		tx_respond(tx, ua->state == UA_OVER ? 481 : 200, false);
	}
}

void ua_rx(struct ua *ua, const struct td_sockaddr *src, const struct td_sockaddr *dst,
	const char *data, uint32_t len)
{
	struct sip m;

	if (ua->dead || !sip_read(&m, data, len))
		return;
	if (!td_ip_eq(dst, &ua->address) && !(ua->side == 1 && td_ip_eq(dst, &ua->gateway)) &&
		ua->sim->opt.corrupt == 0)
		breach(ua->sim, BREACH_ASTRAY,
			"call %u: sent to an address that is not the agent's", ua->call);
	if (m.request)
		rx_request(ua, &m, src, data, len);
	else
		rx_response(ua, &m);
}
