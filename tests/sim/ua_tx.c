// SPDX-License-Identifier: BSD-3-Clause
// The agents' transactions: repeat until answered, answer repetitions, give up after 64·T1 (RFC
// 3261 §17).
#include "tests/sim/sim.h"

#include <stdlib.h>

#define MESSAGE_MAX 4096

struct tx *tx_new(
	struct ua *ua, bool server, const char *method, uint32_t cseq, struct td_span branch)
{
	struct tx *tx = calloc(1, sizeof(*tx));

	if (!tx)
		abort();
	*tx = (struct tx){
		.next = ua->txs, .ua = ua, .server = server, .cseq = cseq, .to = ua->gateway
	};
	td_span_cstr(td_span_str(method), tx->method, sizeof(tx->method));
	td_span_cstr(branch, tx->branch, sizeof(tx->branch));
	ua->txs = tx;
	return tx;
}

struct tx *tx_find(struct ua *ua, bool server, const char *method, struct td_span branch)
{
	for (struct tx *tx = ua->txs; tx; tx = tx->next)
		if (tx->server == server && strcmp(tx->method, method) == 0 &&
			td_span_eq(td_span_str(tx->branch), branch))
			return tx;
	return NULL;
}

void tx_free_all(struct ua *ua)
{
	while (ua->txs) {
		struct tx *tx = ua->txs;
		ua->txs = tx->next;
		free(tx->msg);
		free(tx->request);
		free(tx);
	}
}

void tx_keep(struct tx *tx, const char *text, uint32_t len)
{
	free(tx->msg);
	tx->msg = malloc(len);
	if (!tx->msg)
		abort();
	memcpy(tx->msg, text, len);
	tx->len = len;
}

// Responses go out from where the request came to; requests from the agent's own address.
static void tx_send(struct tx *tx)
{
	const struct td_sockaddr *from =
		tx->server && tx->ua->side == 1 ? &tx->ua->gateway : &tx->ua->address;

	if (tx->msg && !tx->ua->dead)
		net_to_switch(tx->ua, from, &tx->to, tx->msg, tx->len);
}

static bool tx_repeats(const struct tx *tx)
{
	if (tx->server)
		return tx->state == TX_FINAL;
	return tx->state == TX_TRYING ||
	       (tx->state == TX_PROCEEDING && strcmp(tx->method, "INVITE") != 0);
}

static void tx_timer(struct sim *sim, void *what, uint64_t generation)
{
	struct tx *tx = what;

	if (tx->timer != generation || tx->state == TX_DONE)
		return;
	if (sim->now >= tx->stop) {
		ua_tx_timeout(tx->ua, tx);
		return;
	}
	if (!tx_repeats(tx)) { // an INVITE that was cancelled waits for its end
		at(sim, tx->stop, tx_timer, tx, generation);
		return;
	}
	tx_send(tx);
	bool unbounded = !tx->server && strcmp(tx->method, "INVITE") == 0;
	tx->interval = tx->state == TX_PROCEEDING ? T2 : 2 * tx->interval;
	if (tx->interval > T2 && !unbounded)
		tx->interval = T2;
	uint64_t next = sim->now + tx->interval;
	at(sim, next < tx->stop ? next : tx->stop, tx_timer, tx, generation);
}

void tx_start(struct tx *tx, uint64_t interval)
{
	struct sim *sim = tx->ua->sim;

	tx->interval = interval;
	tx->stop = sim->now + 64 * T1;
	at(sim, sim->now + interval, tx_timer, tx, ++tx->timer);
}

void tx_send_request(struct ua *ua, const char *method, uint32_t cseq, const char *branch, bool sdp)
{
	char text[MESSAGE_MAX], own[96];
	struct td_sockaddr to = ua->gateway;

	if (!branch) {
		snprintf(own, sizeof(own), "z9hG4bK-%u-%u-%u-%016llx", ua->call, ua->side,
			ua->attempt, (unsigned long long)rng_next(&ua->rng));
		branch = own;
	}
	uint32_t len = ua_request(ua, method, cseq, branch, sdp, text, sizeof(text));
	if (!sip_address(td_span_str(ua->target), &to) && ua->sim->opt.corrupt == 0)
		breach(ua->sim, BREACH_MALFORMED, "call %u: contact %s", ua->call, ua->target);
	if (strcmp(method, "ACK") == 0) {
		net_to_switch(ua, &ua->address, &to, text, len);
		return;
	}
	struct tx *tx = tx_new(ua, false, method, cseq, td_span_str(branch));
	tx->to = to;
	tx_keep(tx, text, len);
	tx_send(tx);
	tx_start(tx, T1);
}

void tx_respond(struct tx *tx, int status, bool sdp)
{
	char text[MESSAGE_MAX];
	struct sip request;

	if (!sip_read(&request, tx->request, tx->request_len))
		abort();
	tx_keep(tx, text, ua_response(tx->ua, &request, status, sdp, text, sizeof(text)));
	tx->status = (uint16_t)status;
	tx_send(tx);
	if (status < 200)
		return;
	tx->state = TX_DONE;
	if (strcmp(tx->method, "INVITE") != 0)
		return;
	tx->state = TX_FINAL;
	tx_start(tx, T1);
}
