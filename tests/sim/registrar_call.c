// SPDX-License-Identifier: BSD-3-Clause
// Calls between registered phones: what each contact that rings does, and what must hold of the
// forks of one call, by what reached the switch and what it recorded.
#include "tests/sim/registrar.h"

#include <stdlib.h>

static struct reg_leg *leg_find(struct world *w, struct td_span call_id)
{
	for (struct reg_leg *l = w->legs; l; l = l->next)
		if (td_span_eq(td_span_str(l->call_id), call_id))
			return l;
	return NULL;
}

// --- what the switch sends and records ---

void reg_leg_sent(struct world *w, const struct sip *m)
{
	struct td_span id = sip_header(m, "Call-ID", 0);
	struct reg_leg *l = leg_find(w, id);

	if (strcmp(m->method, "INVITE") == 0 && !l) {
		l = calloc(1, sizeof(*l));
		if (!l)
			abort();
		td_span_cstr(id, l->call_id, sizeof(l->call_id));
		l->boot = w->boot;
		l->next = w->legs;
		w->legs = l;
		return;
	}
	if (!l)
		return;
	l->cancelled |= strcmp(m->method, "CANCEL") == 0;
	l->byed |= strcmp(m->method, "BYE") == 0;
}

void reg_leg_heard(struct world *w, const struct message *m)
{
	struct reg_leg *l = m->leg;

	if (!l || l->boot != w->boot)
		return;
	if (m->status < 200)
		l->rang = true;
	else if (l->heard == 0) {
		l->heard = m->status;
		l->heard_at = ++w->n_heard;
		l->heard_late = l->recorded;
	}
}

void reg_attempt_record(struct world *w, const struct td_cdr_attempt *a)
{
	struct reg_leg *l = leg_find(w, td_span_str(a->call_id));

	if (!l || l->recorded) {
		reg_breach(w, REG_FORKS, "attempt %u of %s: %s", a->n, a->cdr_id,
			l ? "recorded twice" : "never sent");
		return;
	}
	l->recorded = true;
	l->code = a->sip_code;
	l->heard_late |= l->heard == 0;
	snprintf(l->cdr_id, sizeof(l->cdr_id), "%s", a->cdr_id);
}

// 502: an answer that came to nothing, for want of a port.
static bool counts(const struct reg_leg *l, const struct td_cdr *cdr)
{
	return l->recorded && strcmp(l->cdr_id, cdr->id) == 0 && l->heard > 0 && !l->heard_late &&
	       l->code != 502;
}

// What ends a call whatever its other forks have said: that it has rung for too long, and an answer
// that came to nothing.
static bool decides(const struct td_cdr *cdr)
{
	return cdr->sip_code == 480 || cdr->sip_code == 502;
}

void reg_cdr_check(struct world *w, const struct td_cdr *cdr)
{
	const struct reg_leg *first = NULL;
	bool declined = false, refused = false, said = false;

	for (const struct reg_leg *l = w->legs; l; l = l->next) {
		if (!counts(l, cdr))
			continue;
		if (l->heard == 200 && (!first || l->heard_at < first->heard_at))
			first = l;
		declined |= l->heard >= 600;
		refused |= l->heard / 100 == 4;
		said |= l->heard == cdr->sip_code;
	}
	w->n_answered += cdr->answer_us > 0;
	if (cdr->answer_us > 0 && (!first || strcmp(first->call_id, cdr->call_id_b) != 0))
		reg_breach(w, REG_FORKS, "%s was answered by %s, the first was %s", cdr->id,
			cdr->call_id_b, first ? first->call_id : "none");
	if (cdr->answer_us > 0 || cdr->sip_code == 487 || cdr->released_by == TD_RELEASED_A)
		return;
	if (first && cdr->sip_code != 502)
		reg_breach(w, REG_FORKS, "%s ended with %u, %s had answered", cdr->id,
			cdr->sip_code, first->call_id);
	else if (declined ? cdr->sip_code < 600 : refused && !said && !decides(cdr))
		reg_breach(w, REG_FORKS, "%s ended with %u, which is not the best", cdr->id,
			cdr->sip_code);
}

// Behind the last event: each fork of the last boot came to an end.
void reg_legs_check(struct world *w)
{
	for (const struct reg_leg *l = w->legs; l; l = l->next) {
		if (l->boot != w->boot)
			continue;
		if (!l->recorded)
			reg_breach(w, REG_FORKS, "no record of fork %s", l->call_id);
		if (l->heard == 200 && !l->byed)
			reg_breach(
				w, REG_FORKS, "fork %s was answered and never ended", l->call_id);
		if (l->heard == 0 && l->rang && !l->cancelled)
			reg_breach(w, REG_FORKS, "fork %s rings for ever", l->call_id);
	}
}

void reg_legs_free(struct world *w)
{
	for (struct reg_leg *l = w->legs, *next; l; l = next) {
		next = l->next;
		free(l);
	}
}

// --- the phone that is called ---

static void repeat(struct sim *sim, void *what, uint64_t arg)
{
	struct message *m = what;
	struct world *w = world_of(sim);
	struct reg_leg *l = m->leg;
	uint64_t interval = arg & 0xffffffff, left = arg >> 32;

	// A final answer of before stands.
	if (l->acked || (l->final && l->final != m) || left == 0)
		return;
	l->final = m;
	message_launch(w, m, &m->src, &m->phone->rng);
	at(sim, sim->now + interval * MS, repeat, m,
		(left - 1) << 32 | (2 * interval < 4000 ? 2 * interval : 4000));
}

static struct message *answer_make(
	struct phone *p, const struct sip *m, struct reg_leg *l, uint16_t status)
{
	struct message *a = phone_answer(p, m, status, status == 200 ? REG_SDP : "");

	a->leg = l;
	a->status = status;
	return a;
}

// Rings or not; answers, is busy or says nothing: by the Call-ID, so that it does the same again.
void reg_called(struct phone *p, const struct sip *m)
{
	static const uint16_t finals[] = { 200, 200, 200, 486, 480, 603, 404, 0 };
	struct world *w = p->w;
	struct reg_leg *l = leg_find(w, sip_header(m, "Call-ID", 0));
	uint64_t dice = 0;

	if (!l || l->boot != w->boot)
		return;
	for (const char *c = l->call_id; *c; c++)
		dice = rng_seed(dice, (uint64_t)*c, w->opt.seed);
	if (dice & 1 || (dice & 6) == 2) {
		struct message *ring = answer_make(p, m, l, 180);
		message_launch(w, ring, &ring->src, &p->rng);
	}
	uint16_t final = finals[(dice >> 8) % 8];
	if (l->called || final == 0)
		return;
	l->called = true;
	at(&w->sim, w->sim.now + ((dice >> 16) % 9000) * MS, repeat, answer_make(p, m, l, final),
		11ull << 32 | 500);
}

void reg_cancelled(struct phone *p, const struct sip *m)
{
	struct reg_leg *l = leg_find(p->w, sip_header(m, "Call-ID", 0));
	struct message *ok = phone_answer(p, m, 200, "");

	message_launch(p->w, ok, &ok->src, &p->rng);
	if (!l || l->final)
		return;
	struct message *a = answer_make(p, m, l, 487);
	char *cseq = memmem(a->data, a->len, " CANCEL\r\n", 9);
	if (cseq)
		memcpy(cseq, " INVITE\r\n", 9);
	repeat(&p->w->sim, a, 11ull << 32 | 500);
}

void reg_acked(struct phone *p, const struct sip *m)
{
	struct reg_leg *l = leg_find(p->w, sip_header(m, "Call-ID", 0));

	if (l)
		l->acked = true;
}

// --- the phone that calls ---

static void bye(struct sim *sim, void *what, uint64_t left)
{
	struct message *m = what;

	if (left == 0)
		return;
	message_launch(world_of(sim), m, &m->src, &m->phone->rng);
	at(sim, sim->now + T2, bye, m, left - 1);
}

void reg_hang_up_later(struct phone *p, struct message *m, uint64_t ms)
{
	at(&p->w->sim, p->w->sim.now + ms * MS, bye, m, 8);
}
