// SPDX-License-Identifier: BSD-3-Clause
// What happens in a call: drawn from the seed and the call's number alone.
#include "tests/sim/sim.h"

static const char *const names[KIND__COUNT] = { "answered and hung up", "busy", "declined",
	"unknown number", "rings for ever", "cancelled", "failover", "every target fails",
	"hold and resume", "glare", "delayed offer", "lost ACK", "a side falls silent",
	"operator hangs up", "garbage beside the call", "several phones ring",
	"a phone with several flows" };

const char *kind_name(enum kind kind)
{
	return names[kind];
}

static void script_fail(struct script *s, uint64_t *rng, uint8_t n)
{
	static const uint16_t statuses[] = { 503, 500, 0, 504 };

	s->n_fail = n;
	for (uint32_t i = 0; i < n; i++)
		s->fail[i] = statuses[rng_below(rng, 4)];
}

static void script_of_kind(struct script *s, uint64_t *rng)
{
	switch ((enum kind)s->kind) {
	case KIND_BUSY:
		s->final = 486;
		break;
	case KIND_DECLINE:
		s->final = 603;
		break;
	case KIND_UNKNOWN_NUMBER:
		s->final = 404;
		break;
	case KIND_NO_ANSWER:
		s->final = 0;
		s->ring = true;
		break;
	case KIND_CANCEL: // from before the first answer until after the 200, now and then right on
			  // it
		s->cancel_ms = rng_between(rng, 1, s->answer_ms + 300);
		if (rng_chance(rng, 300000))
			s->cancel_ms = s->answer_ms + rng_below(rng, 60);
		break;
	case KIND_FAILOVER:
		script_fail(s, rng, (uint8_t)rng_between(rng, 1, 2));
		break;
	case KIND_ALL_FAIL:
		script_fail(s, rng, 4);
		break;
	case KIND_DELAYED_OFFER:
		s->delayed_offer = true;
		s->ring |= s->early_media;
		s->early_media = false; // there is no offer that a 183 could answer
		break;
	case KIND_LOST_ACK:
		s->acks_lost = rng_chance(rng, 500000) ? UINT32_MAX : rng_between(rng, 1, 4);
		break;
	case KIND_DEAD:
		s->dead = (uint8_t)rng_between(rng, 1, 3);
		s->media_timeout = rng_chance(rng, 500000);
		break;
	case KIND_PHONES: // the rival now and then right on the winner's answer
		s->winner = (uint8_t)rng_below(rng, PHONES);
		s->rival = s->winner == 2 ? RIVAL_REFUSES : (uint8_t)rng_below(rng, RIVAL__COUNT);
		break;
	case KIND_FLOWS: // one after the other, until one is whole; what the phone says there is
			 // its answer
		s->n_fail = (uint8_t)rng_below(rng, PHONES);
		for (uint32_t i = 0; i < s->n_fail; i++)
			s->fail[i] = (uint16_t[]){ 430, 408, 0 }[rng_below(rng, 3)];
		if (rng_chance(rng, 300000))
			s->final = 486;
		break;
	default:
		break;
	}
}

static void call_begin(struct sim *sim, uint32_t call)
{
	struct call *c = &sim->calls[call];
	uint64_t rng = rng_seed(sim->opt.seed, call, 77);
	uint8_t from = rng_chance(&rng, 500000) ? TRUNK_WEST_1 : TRUNK_EAST_1;

	c->script = (struct script){
		.kind = (uint8_t)(rng_chance(&rng, 300000) ? KIND_ANSWER : call % KIND__COUNT),
		.final = 200,
		.hangup_by = (uint8_t)rng_below(&rng, 3)
	};
	struct script *s = &c->script;
	if (sim->opt.gateways) // silence and refusals are theirs
		s->kind = (uint8_t[]){ KIND_ANSWER, KIND_BUSY, KIND_CANCEL, KIND_PHONES,
			KIND_FLOWS }[call % 5];
	s->ring = rng_chance(&rng, 700000);
	s->early_media = rng_chance(&rng, 300000);
	s->ring_ms = rng_between(&rng, 5, 500);
	s->answer_ms = s->ring_ms + rng_between(&rng, 0, s->ring || s->early_media ? 8000 : 2000);
	s->talk_ms =
		rng_chance(&rng, 100000) ? rng_below(&rng, 50) : rng_between(&rng, 1000, 40000);
	script_of_kind(s, &rng);
	c->random = rng_seed(sim->opt.seed, call, 78);
	ua_init(&c->caller, sim, call, 0, 0, from);
	c->caller.acks_lost = s->acks_lost;
}

static uint64_t call_time(const struct sim *sim, uint32_t call)
{
	return (uint64_t)call * SECOND / sim->opt.calls_per_second;
}

void script_make(struct sim *sim, uint32_t call)
{
	call_begin(sim, call);
	at(sim, call_time(sim, call), script_start, &sim->calls[call].caller, 0);
}

static void do_cancel(struct sim *sim, void *what, uint64_t arg)
{
	ua_cancel(what);
}

// A request that nobody asked for: a dialog that does not exist, a start line of noise, a body that
// is cut.
static void do_garbage(struct sim *sim, void *what, uint64_t n)
{
	static const char *const texts[] = { "\r\n\r\n", "INVITE sip:x SIP/2.0\r\n\r\n",
		"SIP/2.0 200 OK\r\n\r\n",
		"BYE sip:49@172.16.1.254 SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.0.1;branch=" GARBAGE
		"\r\nContent-Length: 99\r\n\r\n",
		"\x01\x02\x03",
		"INVITE sip:1@172.16.1.254 SIP/2.0\r\nContent-Length: -1\r\nContent-Length: "
		"5\r\n\r\n" };
	struct ua *ua = what;
	struct td_sockaddr to = sim->realms[ua->realm].addresses[0].ip;

	to.port = 5060;
	if (ua->state == UA_OVER)
		return;
	net_to_switch(ua, &ua->address, &to, texts[n % 6], (uint32_t)strlen(texts[n % 6]));
	if (n > 0)
		at(sim, sim->now + 700 * MS, do_garbage, ua, n - 1);
}

void script_start(struct sim *sim, void *what, uint64_t arg)
{
	struct ua *ua = what;
	const struct script *s = &sim->calls[ua->call].script;

	ua_invite(ua);
	// Nobody waits for ever: whatever the kind, the caller gives up after two minutes.
	at(sim, sim->now + (s->cancel_ms > 0 ? s->cancel_ms * MS : 120 * SECOND), do_cancel, ua, 0);
	if (s->kind == KIND_JUNK)
		do_garbage(sim, ua, 12);
}

// --- the callee ---

static void do_final(struct sim *sim, void *what, uint64_t status)
{
	struct tx *tx = what;
	struct ua *ua = tx->ua;

	if (tx->state > TX_PROCEEDING || ua->dead)
		return;
	tx_respond(tx, (int)status, status == 200);
	if (ua->state != UA_INVITING)
		return;
	ua->final = (uint16_t)status;
	ua->state = status == 200 ? UA_UP : UA_OVER;
}

static void do_provisional(struct sim *sim, void *what, uint64_t status)
{
	struct tx *tx = what;

	if (tx->state > TX_PROCEEDING || tx->ua->state == UA_OVER)
		return;
	tx->state = TX_PROCEEDING;
	tx_respond(tx, (int)status, status == 183);
}

// One of a subscriber's phones that is not to answer first.
static void rival_called(struct ua *ua, struct tx *tx, const struct script *s)
{
	static const uint16_t refusals[] = { 486, 480, 500 };
	struct sim *sim = ua->sim;

	at(sim, sim->now + s->ring_ms * MS, do_provisional, tx, s->early_media ? 183 : 180);
	if (s->rival == RIVAL_REFUSES)
		at(sim, sim->now + (s->ring_ms + 1 + ua->attempt) * MS, do_final, tx,
			refusals[rng_below(&ua->rng, 3)]);
	if (s->rival == RIVAL_ANSWERS)
		at(sim, sim->now + (s->answer_ms + rng_below(&ua->rng, 30)) * MS, do_final, tx,
			200);
	at(sim, sim->now + 200 * SECOND, do_final, tx, 480);
}

void script_called(struct ua *ua, struct tx *tx)
{
	struct sim *sim = ua->sim;
	const struct script *s = &sim->calls[ua->call].script;

	if (s->kind == KIND_PHONES && ua->attempt != s->winner) {
		rival_called(ua, tx, s);
		return;
	}
	uint16_t says = gateway_says(sim, &ua->gateway);
	if (says == 0) {
		ua_over(ua);
		return;
	}
	if (says != 200) {
		at(sim, sim->now, do_final, tx, says);
		return;
	}
	if (ua->attempt < s->n_fail) {
		uint16_t status = s->fail[ua->attempt];
		if (status > 0)
			at(sim, sim->now + s->ring_ms * MS, do_final, tx, status);
		else
			ua_over(ua); // hears it and says nothing
		return;
	}
	if (s->ring)
		at(sim, sim->now + s->ring_ms * MS, do_provisional, tx, 180);
	if (s->early_media)
		at(sim, sim->now + s->ring_ms * MS, do_provisional, tx, 183);
	if (s->final > 0)
		at(sim, sim->now + s->answer_ms * MS, do_final, tx, s->final);
	at(sim, sim->now + 200 * SECOND, do_final, tx,
		480); // a phone has patience too, where no CANCEL comes
}

void script_reinvited(struct ua *ua, struct tx *tx)
{
	at(ua->sim, ua->sim->now + rng_below(&ua->rng, 200) * MS, do_final, tx, 200);
}

// --- the talk ---

static void do_bye(struct sim *sim, void *what, uint64_t arg)
{
	ua_bye(what);
}

static void do_hold(struct sim *sim, void *what, uint64_t hold)
{
	ua_reinvite(what, hold != 0);
}

static void do_die(struct sim *sim, void *what, uint64_t arg)
{
	struct ua *ua = what;

	ua->dead = true;
}

static void do_media_timeout(struct sim *sim, void *what, uint64_t arg)
{
	switch_media_timeout(sim, what);
}

static void do_operator(struct sim *sim, void *what, uint64_t arg)
{
	struct ua *ua = what;

	switch_hangup(sim, &sim->calls[ua->call]);
}

static void do_talk(struct sim *sim, void *what, uint64_t left)
{
	struct ua *ua = what;

	if (ua->dead || ua->state != UA_UP)
		return;
	if (ua->media.family != 0 && ua->media.port != 0) {
		ua->said++;
		host_rtp(sim, ua);
	}
	if (left > 0)
		at(sim, sim->now + 400 * MS, do_talk, ua, left - 1);
}

static bool hangs_up(const struct ua *ua, const struct script *s)
{
	if (s->kind == KIND_OPERATOR)
		return false;
	return s->hangup_by == 2 || s->hangup_by == ua->side;
}

// Re-INVITEs in the middle of the talk: one side's hold and resume, or both sides at the same
// instant.
static void up_reinvites(struct ua *ua, const struct script *s)
{
	struct sim *sim = ua->sim;
	uint64_t middle = sim->now + s->talk_ms * MS / 2;

	if (s->kind == KIND_HOLD && ua->side == (ua->call & 1)) {
		at(sim, middle, do_hold, ua, 1);
		at(sim, middle + 2 * SECOND, do_hold, ua, 0);
	}
	if (s->kind == KIND_GLARE)
		at(sim, call_time(sim, ua->call) + (s->answer_ms + 1000 + s->talk_ms / 2) * MS,
			do_hold, ua, ua->side);
}

void script_up(struct ua *ua)
{
	struct sim *sim = ua->sim;
	const struct script *s = &sim->calls[ua->call].script;

	ua->up_at = sim->now;
	at(sim, sim->now + 300 * MS, do_talk, ua, 5);
	up_reinvites(ua, s);
	if (s->kind == KIND_DEAD && (s->dead >> ua->side & 1)) {
		at(sim, sim->now + s->talk_ms * MS / 2, do_die, ua, 0);
		if (s->media_timeout)
			at(sim, sim->now + s->talk_ms * MS / 2 + 20 * SECOND, do_media_timeout, ua,
				0);
	}
	if (s->kind == KIND_OPERATOR && ua->side == 0)
		at(sim, sim->now + s->talk_ms * MS, do_operator, ua, 0);
	if (hangs_up(ua, s))
		at(sim, sim->now + s->talk_ms * MS, do_bye, ua, 0);
	// Whoever is alive hangs up in the end, also where the other side's BYE or the operator
	// never came.
	at(sim, sim->now + 280 * SECOND, do_bye, ua, 0);
}
