// SPDX-License-Identifier: BSD-3-Clause
// One life of phones and registrar from its seed: begins it, kills the switch now and then, and
// says what held.
#include "tests/sim/registrar.h"

#include <stdarg.h>
#include <stdlib.h>

void reg_breach(struct world *w, enum reg_breach what, const char *format, ...)
{
	va_list args;

	if (w->breaches[what]++ > 0)
		return;
	int n = snprintf(w->stories[what], sizeof(w->stories[what]),
		"at %.6f s, boot %u: ", (double)w->sim.now / SECOND, w->boot);
	va_start(args, format);
	vsnprintf(w->stories[what] + n, sizeof(w->stories[what]) - (size_t)n, format, args);
	va_end(args);
}

static const char *const breach_texts[REG__COUNT] = {
	[REG_LOST] = "what got its 200 is there, also after a kill",
	[REG_WRONG] = "the tables are what the records say",
	[REG_ZOMBIE] = "what was removed or has expired is gone",
	[REG_INTRUDER] = "nobody is bound or calls without having proved who it is",
	[REG_REPLAYED] = "what is sent again changes nothing",
	[REG_STATE] = "no call state before authentication",
	[REG_LOCKED_OUT] = "nobody is locked out by others",
	[REG_STUCK] = "every phone gets its answers",
	[REG_FORKS] = "of a call's forks the first answer wins, the best code is returned, all end",
	[REG_LEFT] = "no binding, call, buffer, port or count left",
};

static void kill_switch(struct sim *sim, void *what, uint64_t left)
{
	struct world *w = world_of(sim);

	reg_switch_kill(w);
	if (left > 1)
		at(sim,
			sim->now + rng_between(&w->rng, 5, 2 * w->opt.life_s / w->opt.restarts) *
					   SECOND,
			kill_switch, NULL, left - 1);
}

static void step_wall(struct sim *sim, void *what, uint64_t arg)
{
	struct world *w = world_of(sim);

	if (w->ended)
		return;
	// Not while bindings come back: what had expired by one clock has not by the next.
	if (w->ready)
		reg_wall_step(w, ((int64_t)rng_below(&w->rng, 80000) - 40000) * (int64_t)MS);
	at(sim, sim->now + rng_between(&w->rng, 5, 60) * SECOND, step_wall, NULL, 0);
}

static void audit(struct sim *sim, void *what, uint64_t arg)
{
	struct world *w = world_of(sim);

	if (w->ready)
		for (uint32_t aor = 0; aor < w->opt.phones / REG_FAMILY; aor++)
			reg_check_tables(w, aor);
	if (!w->ended)
		at(sim, sim->now + 7 * SECOND + 333 * MS, audit, NULL, 0);
}

static void end_of_life(struct sim *sim, void *what, uint64_t arg)
{
	struct world *w = world_of(sim);

	if (w->ready)
		reg_check_acked(w);
	w->ended = true;
}

static struct world *world_new(const struct reg_options *opt)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		abort();
	w->opt = *opt;
	w->opt.phones -= w->opt.phones % REG_FAMILY;
	w->rng = rng_seed(opt->seed, 4711, 0);
	w->sim.now = SECOND;
	w->wall_ns = 1700000000 * SECOND;
	w->flushing_end = &w->flushing;
	w->phones = calloc(w->opt.phones, sizeof(*w->phones));
	if (!w->phones || reg_switch_up(w, opt->owners) < 0)
		abort();
	w->ready = true;
	for (uint32_t i = 0; i < w->opt.phones; i++)
		phone_start(&w->phones[i], w, i);
	attackers_start(w);
	return w;
}

static void world_free(struct world *w)
{
	reg_switch_down(w);
	reg_store_free(w);
	reg_legs_free(w);
	for (struct message *m = w->messages, *next; m; m = next) {
		next = m->next;
		free(m);
	}
	free(w->phones);
	free(w->sim.heap);
	free(w);
}

static void check_left(struct world *w)
{
	for (uint32_t i = 0; i < w->n_owners; i++) {
		const struct reg_owner *o = &w->owners[i];
		uint32_t busy = td_engine_busy(o->engine), calls = td_engine_calls(o->engine);
		if (busy + calls + o->bufs_out + o->reserved + o->held + o->legs > 0)
			reg_breach(w, REG_LEFT,
				"owner %u: %u busy, %u calls, %u buffers, %u records, %u counts, "
				"%u legs",
				i, busy, calls, o->bufs_out, o->reserved, o->held, o->legs);
	}
	for (uint32_t aor = 0; aor < w->opt.phones / REG_FAMILY; aor++)
		reg_check_tables(w, aor);
}

void registrar_run(const char *part, const struct reg_options *opt)
{
	struct world *w = world_new(opt);

	fprintf(stdout, "# %s: seed %llu, %u phones, %u owners\n", part,
		(unsigned long long)opt->seed, w->opt.phones, opt->owners);
	fflush(stdout);
	at(&w->sim, w->sim.now + opt->life_s * SECOND, end_of_life, NULL, 0);
	at(&w->sim, w->sim.now + SECOND, audit, NULL, 0);
	if (opt->restarts > 0)
		at(&w->sim,
			w->sim.now + rng_between(&w->rng, 5, opt->life_s / opt->restarts) * SECOND,
			kill_switch, NULL, opt->restarts);
	if (opt->clock_steps)
		at(&w->sim, w->sim.now + 3 * SECOND, step_wall, NULL, 0);
	while (next_event(&w->sim))
		;
	check_left(w);
	reg_legs_check(w);
	for (uint32_t b = 0; b < REG__COUNT; b++)
		report(w->breaches[b] == 0, part, breach_texts[b],
			w->breaches[b] == 0 ? w->n_registered : w->breaches[b], w->stories[b]);
	// A life in which nothing happened proves nothing.
	report(w->n_registered > w->opt.phones && w->n_removed > 0 && w->n_forks > 0 &&
			w->n_answered > 0 && (opt->attackers == 0 || w->n_attacks > 0) &&
			(opt->refuse == 0 || w->n_refused > 0) &&
			(opt->restarts == 0 || w->n_restored > 0),
		part, "and all of it happened", w->n_registered, "a kind of event never came");
	fprintf(stdout,
		"# %u registered, %u removed, %u calls to %u contacts, %u attacks, %u replays, %u "
		"refused by "
		"the journal, %u bindings restored in %u boots, %.0f s simulated\n",
		w->n_registered, w->n_removed, w->n_calls, w->n_forks, w->n_attacks, w->n_replays,
		w->n_refused, w->n_restored, w->boot, (double)w->sim.now / SECOND);
	fflush(stdout);
	world_free(w);
}
