// SPDX-License-Identifier: BSD-3-Clause
// SIP datagrams: the receiver peeks and hands over, the owner's engine parses (architecture §4).
#include "dataplane/handoff.h"
#include "sip/aor.h"

#define TIMERS_PER_LOOP 64

static uint16_t owner_of(const struct td_worker *w, const struct td_peek *peek)
{
	switch ((enum td_peek_kind)peek->kind) {
	case TD_PEEK_TOKEN:
		return peek->token.worker < w->dp->n_workers ? peek->token.worker : w->id;
	case TD_PEEK_CALL_ID:
	case TD_PEEK_AOR:
		return td_hash_owner(peek->hash, w->dp->n_workers);
	case TD_PEEK_GARBAGE:
	case TD_PEEK_KEEPALIVE:
		break;
	}
	return w->id;
}

static const char *payload_of(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod_offset(
		m, const char *, td_packet(m)->l4_off + sizeof(struct rte_udp_hdr));
}

// What the peek has verified goes along, so that the owner need not do it again.
static void token_keep(struct td_packet *p, const struct td_peek *peek)
{
	p->token_off = peek->kind == TD_PEEK_TOKEN ? peek->token_off : 0;
	p->token_kind = peek->token.kind;
	p->token_branch = peek->token.branch;
	p->token_slot = peek->token.slot;
	p->token_generation = peek->token.generation;
}

static struct td_peek token_kept(const struct td_worker *w, const struct td_packet *p)
{
	return (struct td_peek){ .kind = p->token_off != 0 ? TD_PEEK_TOKEN : TD_PEEK_CALL_ID,
		.token_off = p->token_off,
		.token = { .kind = p->token_kind,
			.worker = (uint8_t)w->id,
			.branch = p->token_branch,
			.slot = p->token_slot,
			.generation = p->token_generation } };
}

// RFC 5626 §4.4.1 is for streams; phones that do it over datagrams want their answer too.
static bool asks_for_pong(const struct td_worker *w, const struct td_packet *p)
{
	return p->payload_len == 4 && w->dp->realms[p->realm].conf.registrar.n_domains > 0;
}

void td_sip_input(struct td_worker *w, struct rte_mbuf **packets, uint16_t n)
{
	struct td_peek peek;

	for (uint16_t i = 0; i < n; i++) {
		struct td_packet *p = td_packet(packets[i]);
		td_peek(&w->dp->keys, p->realm, payload_of(packets[i]), p->payload_len, &peek);
		if (peek.kind == TD_PEEK_KEEPALIVE && !asks_for_pong(w, p)) {
			td_worker_count(w, TD_C_SIP_KEEPALIVE, 1);
			td_worker_count(w, TD_C_SIP_CONSUMED, 1);
			rte_pktmbuf_free(packets[i]);
			continue;
		}
		token_keep(p, &peek);
		p->owner = (uint8_t)owner_of(w, &peek);
		td_handoff_sip(w, p->owner, packets[i]);
	}
}

static void message_rx(struct td_worker *w, struct rte_mbuf *m)
{
	const struct td_packet *p = td_packet(m);
	struct td_flow flow = {
		.local = p->dst, .remote = p->src, .realm = p->realm, .transport = TD_UDP
	};

	const struct td_peek peek = token_kept(w, p);

	td_engine_rx_peeked(w->engine, w->now_ns, &flow, payload_of(m), p->payload_len, &peek);
	td_worker_count(w, TD_C_SIP_CONSUMED, 1);
	rte_pktmbuf_free(m);
}

uint32_t td_sip_run(struct td_worker *w, uint32_t max)
{
	struct rte_mbuf *packets[TD_SIP_PER_LOOP];
	uint32_t n = td_handoff_sip_in(w, packets, max < TD_SIP_PER_LOOP ? max : TD_SIP_PER_LOOP);

	for (uint32_t i = 0; i < n; i++)
		message_rx(w, packets[i]);
	w->sip_due_ns = td_engine_tick(w->engine, w->now_ns, TIMERS_PER_LOOP);
	return n;
}
