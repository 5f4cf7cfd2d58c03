// SPDX-License-Identifier: BSD-3-Clause
// The heap of events, and the network between agents and switch.
#include "tests/sim/sim.h"

#include <stdlib.h>

static bool before(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

void at(struct sim *sim, uint64_t when, void (*fire)(struct sim *, void *, uint64_t), void *what,
	uint64_t arg)
{
	if (sim->n_events == sim->cap_events) {
		sim->cap_events = sim->cap_events == 0 ? 4096 : 2 * sim->cap_events;
		sim->heap = realloc(sim->heap, sim->cap_events * sizeof(*sim->heap));
		if (!sim->heap)
			abort();
	}
	struct event e = { when < sim->now ? sim->now : when, sim->seq++, fire, what, arg };
	size_t i = sim->n_events++;
	for (; i > 0 && before(&e, &sim->heap[(i - 1) / 2]); i = (i - 1) / 2)
		sim->heap[i] = sim->heap[(i - 1) / 2];
	sim->heap[i] = e;
}

bool next_event(struct sim *sim)
{
	if (sim->n_events == 0)
		return false;
	struct event first = sim->heap[0], last = sim->heap[--sim->n_events];
	size_t i = 0;
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= sim->n_events)
			break;
		if (child + 1 < sim->n_events && before(&sim->heap[child + 1], &sim->heap[child]))
			child++;
		if (!before(&sim->heap[child], &last))
			break;
		sim->heap[i] = sim->heap[child];
		i = child;
	}
	if (sim->n_events > 0)
		sim->heap[i] = last;
	sim->now = first.at;
	first.fire(sim, first.what, first.arg);
	return true;
}

// One copy of a message on its way.
struct datagram {
	struct ua *ua; // that sent it, or that it is for
	struct td_sockaddr src, dst;
	bool whole; // not corrupted
	uint32_t len;
	char data[];
};

static void arrive_at_switch(struct sim *sim, void *what, uint64_t arg)
{
	struct datagram *d = what;
	struct td_flow flow = {
		.local = d->dst, .remote = d->src, .realm = d->ua->realm, .transport = TD_UDP
	};

	const struct td_sockaddr *ours = &sim->realms[flow.realm].addresses[0].ip;
	if (d->whole && d->len > 200 && memcmp(d->data, "INVITE ", 7) == 0) {
		struct call *call = &sim->calls[d->ua->call];
		call->rules = call->reached ? call->rules : sim->rules;
		call->reached = true;
	}
	// Corruption makes other addresses of the switch's Contact: the data plane would not have
	// taken that.
	if (td_ip_eq(ours, &d->dst) && d->dst.port == 5060)
		switch_rx(sim, &flow, d->ua->call, d->data, d->len);
	else if (sim->opt.corrupt == 0)
		breach(sim, BREACH_ASTRAY, "call %u sent to where the switch does not listen",
			d->ua->call);
	free(d);
}

static void arrive_at_agent(struct sim *sim, void *what, uint64_t arg)
{
	struct datagram *d = what;
	struct sip m;

	if (sim->opt.trace == d->ua->call)
		fprintf(stderr, "%llu us, to side %u attempt %u: %.*s\n",
			(unsigned long long)(sim->now / 1000), d->ua->side, d->ua->attempt,
			(int)d->len, d->data);
	if (d->whole && sip_read(&m, d->data, d->len))
		check_message(d->ua, &m, d->data, d->len, true);
	else if (d->whole)
		breach(sim, BREACH_MALFORMED, "call %u: %.*s", d->ua->call, (int)d->len, d->data);
	if (d->ua->call == NO_CALL)
		gateway_rx(d->ua, &d->src, &d->dst, &m);
	else
		ua_rx(d->ua, &d->src, &d->dst, d->data, d->len);
	free(d);
}

static void launch(struct ua *ua, uint64_t *rng, const struct td_sockaddr *src,
	const struct td_sockaddr *dst, const char *data, uint32_t len,
	void (*arrive)(struct sim *, void *, uint64_t))
{
	struct sim *sim = ua->sim;
	// The odd microseconds keep arrivals off the engine's millisecond ticks: which of two comes
	// first at the same instant would hang on the number of owners.
	uint64_t delay =
		(sim->opt.delay_ms + rng_below(rng, sim->opt.jitter_ms + 1)) * MS + 137 * MS / 1000;

	// Always the same number of draws, so that one copy's fate does not move the next one's.
	bool lost = rng_chance(rng, sim->opt.loss), corrupt = rng_chance(rng, sim->opt.corrupt);
	uint32_t where = rng_below(rng, len > 0 ? len : 1);
	char bits = (char)rng_between(rng, 1, 255);
	if (lost) {
		sim->n_lost++;
		return;
	}
	struct datagram *d = malloc(sizeof(*d) + len);
	if (!d)
		abort();
	*d = (struct datagram){ .ua = ua, .src = *src, .dst = *dst, .whole = !corrupt, .len = len };
	memcpy(d->data, data, len);
	if (corrupt && len > 0)
		d->data[where] = (char)(d->data[where] ^ bits);
	at(sim, sim->now + delay, arrive, d, 0);
}

static void launch_copies(struct ua *ua, uint64_t *rng, const struct td_sockaddr *src,
	const struct td_sockaddr *dst, const char *data, uint32_t len,
	void (*arrive)(struct sim *, void *, uint64_t))
{
	uint32_t copies = rng_chance(rng, ua->sim->opt.duplicate) ? 2 : 1;

	ua->sim->n_datagrams++;
	for (uint32_t i = 0; i < copies; i++)
		launch(ua, rng, src, dst, data, len, arrive);
}

void net_to_switch(struct ua *from, const struct td_sockaddr *src, const struct td_sockaddr *dst,
	const char *data, uint32_t len)
{
	launch_copies(from, &from->rng, src, dst, data, len, arrive_at_switch);
}

void net_to_agent(struct sim *sim, const struct td_flow *flow, const char *data, uint32_t len)
{
	struct sip m;
	if (memmem(data, len, GARBAGE, sizeof(GARBAGE) - 1))
		return;
	struct ua *ua = sip_read(&m, data, len) ? ua_find(sim, sip_header(&m, "Call-ID", 0)) : NULL;

	if (!ua && m.request && strcmp(m.method, "INVITE") == 0) {
		gateway_called(sim, &flow->remote);
		ua = ua_callee_of(sim, &flow->remote, &m);
	}
	struct gateway *gateway = gateway_at(sim, &flow->remote);
	if (!ua && gateway && m.request && strcmp(m.method, "OPTIONS") == 0)
		ua = &gateway->ua;
	// An answer to what corruption made of a message belongs to nobody.
	if (!ua) {
		sim->n_strays++;
		if (sim->opt.corrupt == 0)
			breach(sim, BREACH_ASTRAY, "to nobody: %.*s", (int)len, data);
		return;
	}
	launch_copies(ua, &ua->rng_in, &flow->local, &flow->remote, data, len, arrive_at_agent);
}
