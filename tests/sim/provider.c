// SPDX-License-Identifier: BSD-3-Clause
// Lives of the switch before its providers: faults and reloads for a while, then peace, in which
// everything wanted must come to stand and nothing else, then a policy that wants nothing.
#include "tests/sim/provider.h"

#include <stdarg.h>
#include <stdlib.h>

#define GOODBYES (400 * SECOND) // a farewell's four tries, with what providers ask for between
#define SETTLED (4200 * SECOND) // until a provider that has lost all is asked again

static const char *const breach_texts[PROV__COUNT] = {
	[PROV_TWO] = "one transaction of a registration at a time",
	[PROV_HASTY] = "pauses grow and are kept, Retry-After as well",
	[PROV_TARDY] = "refreshed before it expires",
	[PROV_TAKEN] = "nothing is taken back that a trunk has",
	[PROV_UNBOUND] = "in the end what is wanted is bound",
	[PROV_BEHIND] = "what is not wanted is taken back, or counted",
	[PROV_SPENT] = "no transaction, timer or buffer left",
};

void prov_breach(struct prov *p, enum prov_breach what, const char *format, ...)
{
	va_list args;

	if (p->breaches[what]++ > 0)
		return;
	int n = snprintf(p->stories[what], sizeof(p->stories[what]),
		"seed %llu at %.6f s: ", (unsigned long long)p->opt.seed,
		(double)p->sim.now / SECOND);
	va_start(args, format);
	vsnprintf(p->stories[what] + n, sizeof(p->stories[what]) - (size_t)n, format, args);
	va_end(args);
}

static void reload(struct sim *sim, void *what, uint64_t arg)
{
	struct prov *p = prov_of(sim);

	if (p->quiet)
		return;
	prov_reload(p, false);
	// Often before the last one has come to anything.
	uint32_t ms = rng_chance(&p->rng, 300000) ? rng_between(&p->rng, 1, 2000)
						  : rng_between(&p->rng, 2000, 120000);
	at(sim, sim->now + ms * MS, reload, NULL, 0);
}

static void mishap(struct sim *sim, void *what, uint64_t arg)
{
	struct prov *p = prov_of(sim);
	uint32_t provider = rng_below(&p->rng, PROV_PROVIDERS);

	if (p->quiet)
		return;
	if (rng_chance(&p->rng, 500000))
		prov_restart(p, provider);
	else
		p->down_until[provider][rng_below(&p->rng, PROV_PEERS)] =
			sim->now + rng_between(&p->rng, 1, 90) * SECOND;
	at(sim, sim->now + rng_between(&p->rng, 5, 200) * SECOND, mishap, NULL, 0);
}

// A registration that stands is asked for anew while it does.
static void audit(struct sim *sim, void *what, uint64_t until)
{
	struct prov *p = prov_of(sim);

	for (uint32_t i = 0; i < PROV_TRUNKS; i++) {
		const struct prov_trunk *t = &p->told[i];
		if (t->registered && p->trunks[i].registration.expires_s > 0 &&
			sim->now > t->until && t->asked + 33 * SECOND < sim->now)
			prov_breach(p, PROV_TARDY, "trunk %u, %.1f s ago", i,
				(double)(sim->now - t->until) / SECOND);
	}
	if (sim->now < until)
		at(sim, sim->now + 777 * MS, audit, NULL, until);
}

// Bindings that stand: those that a trunk has, and others.
static void bound_count(const struct prov *p, uint32_t *wanted, uint32_t *others)
{
	*wanted = *others = 0;
	for (uint32_t i = 0; i < PROV_ACCOUNTS; i++)
		for (uint32_t c = 0; c < PROV_CONTACTS; c++) {
			const struct prov_binding *b = &p->accounts[i].bindings[c];
			if (b->bound && b->until > p->sim.now)
				++*(prov_wanted(p, i, c) >= 0 ? wanted : others);
		}
}

static void peace(struct sim *sim, void *what, uint64_t arg)
{
	struct prov *p = prov_of(sim);

	p->quiet = true;
	memset(p->down_until, 0, sizeof(p->down_until));
}

static void check_others(struct sim *sim, void *what, uint64_t arg)
{
	struct prov *p = prov_of(sim);
	uint32_t wanted, others;

	bound_count(p, &wanted, &others);
	if (others > prov_left(p))
		prov_breach(p, PROV_BEHIND, "%u, %u are counted", others, (uint32_t)prov_left(p));
}

static void check_wanted(struct sim *sim, void *what, uint64_t until)
{
	struct prov *p = prov_of(sim);
	uint32_t wanted, others, n = 0;

	bound_count(p, &wanted, &others);
	for (uint32_t i = 0; i < PROV_TRUNKS; i++)
		n += p->trunks[i].registration.expires_s > 0;
	if (wanted < n)
		prov_breach(p, PROV_UNBOUND, "%u of %u", wanted, n);
	if (sim->now < until)
		at(sim, sim->now + 3 * SECOND, check_wanted, NULL, until);
	else
		prov_reload(p, true);
}

static struct prov *life(const struct prov_options *opt)
{
	struct prov *p = calloc(1, sizeof(*p));
	uint64_t end = opt->life_s * SECOND;
	uint32_t wanted, others;

	if (!p)
		abort();
	p->opt = *opt;
	p->rng = rng_seed(opt->seed, 5060, 0);
	p->sim.now = SECOND;
	if (prov_switch_up(p) < 0)
		abort();
	at(&p->sim, SECOND, reload, NULL, 0);
	if (opt->faults)
		at(&p->sim, 10 * SECOND, mishap, NULL, 0);
	at(&p->sim, 2 * SECOND, audit, NULL, end + SETTLED);
	at(&p->sim, end, peace, NULL, 0);
	at(&p->sim, end + GOODBYES, check_others, NULL, 0);
	at(&p->sim, end + SETTLED, check_wanted, NULL, end + SETTLED + 700 * SECOND);
	while (next_event(&p->sim))
		;
	uint64_t before = p->sim.now;
	p->sim.now = end + SETTLED + 704 * SECOND; // when all of the last policy must be done
	bound_count(p, &wanted, &others);
	if (others > 0)
		prov_breach(p, PROV_BEHIND, "%u behind the last policy", others);
	p->sim.now = before;
	for (uint32_t i = 0; i < PROV_OWNERS; i++)
		if (td_engine_busy(p->owners[i].engine) + p->owners[i].bufs_out > 0)
			prov_breach(p, PROV_SPENT, "owner %u: %u busy, %u buffers", i,
				td_engine_busy(p->owners[i].engine), p->owners[i].bufs_out);
	prov_switch_down(p);
	free(p->sim.heap);
	return p;
}

static void sum_up(struct prov *all, const struct prov *one)
{
	all->n_bound += one->n_bound;
	all->n_removed += one->n_removed;
	all->n_challenged += one->n_challenged;
	all->n_brief += one->n_brief;
	all->n_busy += one->n_busy;
	all->n_lost += one->n_lost;
	all->reloads += one->reloads;
	for (uint32_t b = 0; b < PROV__COUNT; b++) {
		if (all->breaches[b] == 0)
			memcpy(all->stories[b], one->stories[b], sizeof(all->stories[b]));
		all->breaches[b] += one->breaches[b];
	}
}

void prov_run(const char *part, const struct prov_options *opt, uint32_t seeds)
{
	struct prov *all = calloc(1, sizeof(*all));
	struct prov_options one = *opt;

	if (!all)
		abort();
	fprintf(stdout, "# %s: seeds %llu to %llu, %u accounts\n", part,
		(unsigned long long)opt->seed, (unsigned long long)opt->seed + seeds - 1,
		PROV_ACCOUNTS);
	fflush(stdout);
	for (uint32_t i = 0; i < seeds; i++, one.seed++) {
		struct prov *p = life(&one);
		sum_up(all, p);
		free(p);
	}
	for (uint32_t b = 0; b < PROV__COUNT; b++)
		report(all->breaches[b] == 0, part, breach_texts[b],
			all->breaches[b] == 0 ? all->n_bound : all->breaches[b], all->stories[b]);
	// A life in which nothing happened proves nothing.
	report(all->n_bound > seeds && all->n_removed > seeds && all->n_challenged > 0 &&
			all->n_brief > 0 &&
			(!opt->faults || (all->n_busy > seeds && all->n_lost > seeds)),
		part, "and all of it happened", all->n_bound, "a kind of event never came");
	fprintf(stdout,
		"# %u bound, %u removed, %u challenges, %u too brief, %u refused, %u lost, %u "
		"reloads\n",
		all->n_bound, all->n_removed, all->n_challenged, all->n_brief, all->n_busy,
		all->n_lost, all->reloads);
	fflush(stdout);
	free(all);
}
