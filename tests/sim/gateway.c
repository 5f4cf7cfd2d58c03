// SPDX-License-Identifier: BSD-3-Clause
// Gateways of the carriers, for a switch that keeps an eye on them: each answers, says nothing or
// refuses, for a while at a time. What the switch knows of them must become right, and no call may
// go to one that it knows to be down.
#include "tests/sim/sim.h"

#include "sip/health.h"

enum mode { ANSWERS, SILENT, REFUSES, MODES };

// A second for what is on its way when a gateway changes.
#define DOWN_WITHIN (10 * SECOND) // an interval, two time-outs, one between them
#define UP_WITHIN (22 * SECOND)   // a call's patience, an interval, two answers, the return
#define WATCH_MS 500

const struct td_health_conf gateway_health = { .interval_ms = 3000,
	.timeout_ms = 1000,
	.return_ms = 6000,
	.probe = TD_PROBE_OPTIONS,
	.down_after = 2,
	.up_after = 2,
	.silent_after = 3 };

struct gateway *gateway_at(struct sim *sim, const struct td_sockaddr *address)
{
	for (uint32_t i = 0; sim->opt.gateways && i < GATEWAYS; i++)
		if (td_sockaddr_eq(&sim->gateways[i].ua.address, address))
			return &sim->gateways[i];
	return NULL;
}

static struct td_peer_view view_of(struct sim *sim, const struct gateway *g)
{
	return td_health_view(
		sim->health, g->ua.trunk, &g->ua.address, &gateway_health, sim->now / MS);
}

static uint64_t end_of_calls(const struct sim *sim)
{
	return (uint64_t)sim->opt.calls * SECOND / sim->opt.calls_per_second;
}

static void flip(struct sim *sim, void *what, uint64_t arg)
{
	struct gateway *g = what;
	bool over = sim->now >= end_of_calls(sim);
	uint8_t mode =
		over ? ANSWERS : (uint8_t)((g->mode + rng_between(&g->rng, 1, MODES - 1)) % MODES);

	if (mode != g->mode)
		g->since = sim->now;
	g->mode = mode;
	if (!over)
		at(sim, sim->now + rng_between(&g->rng, 1000, 45000) * MS, flip, g, 0);
}

static void watch(struct sim *sim, void *what, uint64_t arg)
{
	struct gateway *g = what;
	uint64_t age = sim->now - g->since;
	struct td_peer_view view = view_of(sim, g);

	if (sim->gateways_over)
		return;
	if (g->mode == ANSWERS && age > UP_WITHIN && view.state != TD_PEER_UP)
		breach(sim, BREACH_HEALTH, "gateway %ld answers for %llu ms and is %s",
			(long)(g - sim->gateways), (unsigned long long)(age / MS),
			td_peer_state_name(view.state));
	if (g->mode != ANSWERS && age > DOWN_WITHIN && view.state != TD_PEER_DOWN)
		breach(sim, BREACH_HEALTH, "gateway %ld does not answer for %llu ms and is %s",
			(long)(g - sim->gateways), (unsigned long long)(age / MS),
			td_peer_state_name(view.state));
	at(sim, sim->now + WATCH_MS * MS, watch, g, 0);
}

// Nobody is asked any more, so that everything can come to its end.
static void over(struct sim *sim, void *what, uint64_t arg)
{
	uint64_t downs = 0, backs = 0;

	for (uint32_t i = 0; i < sim->opt.owners; i++) {
		downs += sim->owners[i].counters[TD_C_PEER_WENT_DOWN];
		backs += sim->owners[i].counters[TD_C_PEER_CAME_BACK];
	}
	if (downs < GATEWAYS || backs < GATEWAYS)
		breach(sim, BREACH_HEALTH, "%llu times down, %llu times back: nothing was tried",
			(unsigned long long)downs, (unsigned long long)backs);
	sim->gateways_over = true;
	switch_policy(sim);
}

void gateways_up(struct sim *sim)
{
	static const uint8_t trunks[GATEWAYS] = { TRUNK_WEST_1, TRUNK_WEST_1, TRUNK_EAST_1,
		TRUNK_EAST_1, TRUNK_EAST_2, TRUNK_WEST_2 };

	for (uint32_t i = 0; i < GATEWAYS; i++) {
		struct gateway *g = &sim->gateways[i];
		bool second = i > 0 && trunks[i] == trunks[i - 1];
		ua_init(&g->ua, sim, 0, 1, 0, trunks[i]);
		g->ua.call = NO_CALL;
		g->ua.state = UA_OVER;
		g->ua.address.ip[2] = 255;
		g->ua.address.ip[3] = second ? 2 : 1;
		g->rng = rng_seed(sim->opt.seed, 55, i);
		at(sim, rng_below(&g->rng, 20000) * MS, flip, g, 0);
		at(sim, WATCH_MS * MS, watch, g, 0);
	}
	at(sim, end_of_calls(sim) + 50 * SECOND + UP_WITHIN, over, NULL, 0);
}

void gateway_rx(struct ua *ua, const struct td_sockaddr *src, const struct td_sockaddr *dst,
	const struct sip *m)
{
	const struct gateway *g = gateway_at(ua->sim, dst);
	char text[2048];

	if (!g || !m->request || g->mode == SILENT)
		return;
	uint32_t len =
		ua_response(ua, m, g->mode == REFUSES ? 503 : 200, false, text, sizeof(text));
	net_to_switch(ua, dst, src, text, len);
}

void gateway_called(struct sim *sim, const struct td_sockaddr *address)
{
	struct gateway *g = gateway_at(sim, address);

	if (g && !sim->gateways_over && view_of(sim, g).state == TD_PEER_DOWN)
		breach(sim, BREACH_DOWN, "gateway %ld got a call", (long)(g - sim->gateways));
}

uint16_t gateway_says(struct sim *sim, const struct td_sockaddr *address)
{
	static const uint16_t statuses[MODES] = { [ANSWERS] = 200, [SILENT] = 0, [REFUSES] = 503 };
	const struct gateway *g = gateway_at(sim, address);

	return statuses[g ? g->mode : ANSWERS];
}
