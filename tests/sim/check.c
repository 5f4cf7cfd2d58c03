// SPDX-License-Identifier: BSD-3-Clause
// The invariants: what must hold whatever the network does, and what must come out when it does
// nothing wrong.
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdlib.h>

void breach(struct sim *sim, enum breach what, const char *format, ...)
{
	va_list args;

	if (sim->breaches[what]++ > 0)
		return;
	va_start(args, format);
	vsnprintf(sim->stories[what], sizeof(sim->stories[what]), format, args);
	va_end(args);
}

const char *breach_name(enum breach what)
{
	static const char *const texts[BREACH__COUNT] = { "every call ended",
		"every agent came to an end", "one plausible CDR a call",
		"no leg, port, timer, buffer or count left", "nobody heard anybody else's media",
		"nothing of one side reached the other", "every message well formed",
		"every message went where it belongs", "no limit passed, no count left",
		"no second dialog answered", "audio both ways in answered calls",
		"numbers as the rules make them", "no call to a peer known to be down",
		"what is known of peers becomes right" };

	return texts[what];
}

#define FOREIGN 7

// --- each message ---

void check_message(struct ua *ua, const struct sip *m, const char *data, uint32_t len, bool whole)
{
	static const char *const foreign[REALMS][FOREIGN] = {
		{ "172.16.2.", "10.2.", "10.3.", "east-tag-", "caller.east", "simulated",
			"s=call" },
		{ "172.16.1.", "10.1.", "10.4.", "west-tag-", "caller.west", "simulated",
			"s=call" },
	};

	ua->digest = sip_digest(m, ua->digest);
	if (ua->sim->opt.corrupt > 0)
		return;
	for (uint32_t i = 0; i < FOREIGN; i++)
		if (memmem(data, len, foreign[ua->realm][i], strlen(foreign[ua->realm][i])))
			breach(ua->sim, BREACH_LEAK, "call %u: '%s' in %.*s", ua->call,
				foreign[ua->realm][i], (int)len, data);
	if (m->request && strcmp(m->method, "INVITE") == 0 &&
		strtoul(sip_header(m, "Max-Forwards", 0).ptr, NULL, 10) != 69)
		breach(ua->sim, BREACH_MALFORMED, "call %u: Max-Forwards in %.*s", ua->call,
			(int)len, data);
}

// --- each record ---

static void cdr_id_keep(struct sim *sim, const char *id)
{
	if (sim->n_cdr_ids == sim->cap_cdr_ids) {
		sim->cap_cdr_ids = sim->cap_cdr_ids == 0 ? 1024 : 2 * sim->cap_cdr_ids;
		sim->cdr_ids = realloc(sim->cdr_ids, sim->cap_cdr_ids * sizeof(*sim->cdr_ids));
		if (!sim->cdr_ids)
			abort();
	}
	td_span_cstr(td_span_str(id), sim->cdr_ids[sim->n_cdr_ids++], TD_CDR_ID_LEN);
}

void check_cdr(struct sim *sim, const struct td_cdr *c)
{
	bool answered = c->answer_us != 0;

	cdr_id_keep(sim, c->id);
	if (c->id[0] == '\0' || !c->complete || c->start_us == 0 || c->end_us < c->start_us)
		breach(sim, BREACH_CDR, "%s of %s: id, complete, start or end", c->id,
			c->call_id_a);
	if ((c->ring_us != 0 && (c->ring_us < c->start_us || c->ring_us > c->end_us)) ||
		(answered && (c->answer_us < c->start_us || c->answer_us > c->end_us ||
				     c->answer_us < c->ring_us)))
		breach(sim, BREACH_CDR, "%s of %s: times out of order", c->id, c->call_id_a);
	if (c->sip_code < 200 || c->sip_code > 699 || answered != (c->sip_code == 200) ||
		c->cause == 0 || c->cause > 127)
		breach(sim, BREACH_CDR, "%s of %s: code %u, cause %u, answered %d", c->id,
			c->call_id_a, c->sip_code, c->cause, answered);
	if (c->duration_us > c->end_us - c->start_us + 1000)
		breach(sim, BREACH_CDR, "%s of %s: lasted longer than it existed", c->id,
			c->call_id_a);
}

// --- at the end ---

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void agent_check(const struct ua *ua)
{
	if (!ua->dead && ua->state != UA_OVER && ua->state != UA_IDLE)
		breach(ua->sim, BREACH_AGENT_LEFT, "call %u (%s), side %u attempt %u: state %u",
			ua->call, kind_name(ua->sim->calls[ua->call].script.kind), ua->side,
			ua->attempt, ua->state);
}

static void call_check(struct sim *sim, uint32_t index)
{
	const struct call *call = &sim->calls[index];
	uint32_t expected = call->reached ? 1 : 0;

	// Corruption makes another call of an INVITE, of which the whole copy then is a repetition:
	// no telling whose record it is, only that each is its own. Without room in the journal or
	// for a transaction a call is refused without a record.
	bool wrong = sim->opt.corrupt == 0 && call->n_ended != expected;
	if (sim->opt.scarce > 0)
		wrong = call->n_ended > expected;
	if (wrong)
		breach(sim, BREACH_CDR, "call %u (%s): %u CDRs", index,
			kind_name(call->script.kind), call->n_ended);
	agent_check(&call->caller);
	for (uint32_t i = 0; i < call->n_callees; i++)
		agent_check(call->callees[i]);
}

static void owner_check(struct sim *sim, const struct owner *o)
{
	uint32_t calls = td_engine_calls(o->engine), legs = td_engine_legs(o->engine),
		 busy = td_engine_busy(o->engine);

	if (calls > 0)
		breach(sim, BREACH_CALL_LEFT, "owner %u: %u calls left", o->index, calls);
	if (legs > 0 || busy > 0 || o->bufs_out > 0 || o->reserved > 0)
		breach(sim, BREACH_RESOURCE_LEFT,
			"owner %u: %u legs, %u busy, %u buffers, %u reservations left", o->index,
			legs, busy, o->bufs_out, o->reserved);
}

void check_end(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->opt.calls; i++)
		call_check(sim, i);
	for (uint32_t i = 0; i < sim->opt.owners; i++)
		owner_check(sim, &sim->owners[i]);
	if (sim->legs_open > 0)
		breach(sim, BREACH_RESOURCE_LEFT, "%u legs open at the host", sim->legs_open);
	for (uint32_t l = 0; l < TD_LIMIT__KINDS * SLOTS; l++) {
		const struct sim_limit *limit = &sim->limits[l / SLOTS][l % SLOTS];
		if (limit->calls > 0 || limit->count.calls > 0)
			breach(sim, BREACH_LIMIT, "kind %u, slot %u: %u calls counted", l / SLOTS,
				l % SLOTS, limit->calls);
	}
	qsort(sim->cdr_ids, sim->n_cdr_ids, TD_CDR_ID_LEN, by_text);
	for (uint32_t i = 1; i < sim->n_cdr_ids; i++)
		if (strcmp(sim->cdr_ids[i - 1], sim->cdr_ids[i]) == 0)
			breach(sim, BREACH_CDR, "two CDRs are %s", sim->cdr_ids[i]);
}

static const struct ua *callee_of(const struct call *call)
{
	return call->n_callees > 0 ? call->callees[call->n_callees - 1] : NULL;
}

// What each kind must come to on a network that loses nothing.
static bool outcome_holds(const struct call *call)
{
	const struct script *s = &call->script;
	const struct td_cdr *cdr = &call->cdr;
	uint16_t final = call->caller.final;

	if (final != cdr->sip_code)
		return false;
	switch ((enum kind)s->kind) {
	case KIND_BUSY:
	case KIND_DECLINE:
	case KIND_UNKNOWN_NUMBER:
		return final == s->final && call->n_callees == 1;
	case KIND_NO_ANSWER:
	case KIND_ALL_FAIL:
		return final >= 400;
	case KIND_CANCEL:
		return final == 487 || final == 200;
	case KIND_FAILOVER:
		return final == 200 && call->n_callees == s->n_fail + 1u;
	case KIND_OPERATOR:
		return final == 200 && cdr->released_by == TD_RELEASED_SWITCH;
	case KIND_LOST_ACK:
	case KIND_DEAD:
		return final == 200;
	case KIND_PHONES: // the third one rings when both others have failed
		return final == 200 && call->n_callees == (s->winner == 2 ? 3 : 2);
	case KIND_FLOWS: // no flow was tried beside another, nor behind an answer
		return final == s->final && call->n_callees == s->n_fail + 1u;
	default:
		return final == 200 &&
		       (s->hangup_by == 2 ||
			       cdr->released_by ==
				       (s->hangup_by == 0 ? TD_RELEASED_A : TD_RELEASED_B));
	}
}

static void audio_check(struct sim *sim, uint32_t index)
{
	const struct call *call = &sim->calls[index];
	const struct ua *callee = callee_of(call);
	bool plain = call->script.kind == KIND_ANSWER || call->script.kind == KIND_DELAYED_OFFER ||
		     call->script.kind == KIND_JUNK || call->script.kind == KIND_OPERATOR ||
		     call->script.kind == KIND_FAILOVER;

	if (!plain || call->script.talk_ms < 1000 || call->caller.final != 200 || !callee)
		return;
	if (call->caller.heard == 0 || callee->heard == 0)
		breach(sim, BREACH_SILENT, "call %u (%s): heard %llu and %llu", index,
			kind_name(call->script.kind), (unsigned long long)call->caller.heard,
			(unsigned long long)callee->heard);
}

uint32_t check_kind(struct sim *sim, enum kind kind, uint32_t *n_calls)
{
	uint32_t bad = 0;

	*n_calls = 0;
	for (uint32_t i = 0; i < sim->opt.calls; i++) {
		const struct call *call = &sim->calls[i];
		if (call->script.kind != kind)
			continue;
		++*n_calls;
		audio_check(sim, i);
		if (outcome_holds(call))
			continue;
		if (bad++ == 0)
			fprintf(stdout,
				"# call %u: %u attempts, final %u, CDR %u cause %u released by "
				"%u\n",
				i, call->n_callees, call->caller.final, call->cdr.sip_code,
				call->cdr.cause, call->cdr.released_by);
	}
	return bad;
}
