// SPDX-License-Identifier: BSD-3-Clause
// Runs the simulation over several networks and numbers of owners. SEED= and CALLS= choose another
// life of it; the same seed is the same run to the byte.
// SIM_ONLY=owners|bad|scarce|limits|corrupt|numbers|gateways|registrar|providers runs one
// part, SIM_LOG=1 shows the switch's log, SIM_TRACE=N what the agents of call N receive.
#include "tests/sim/provider.h"
#include "tests/sim/registrar.h"

#include <stdlib.h>
#include <time.h>

#define CALLS_MAX 65000 // the last two bytes of an agent's address are its call

static uint32_t n_lines;
static bool failed;

void report(bool good, const char *part, const char *what, uint32_t count, const char *story)
{
	fprintf(stdout, "%sok %u - %s: %s (%u)\n", good ? "" : "not ", ++n_lines, part, what,
		count);
	if (!good && story && story[0] != '\0') {
		fprintf(stdout, "# ");
		for (const char *c = story; *c != '\0'; c++)
			fprintf(stdout, *c == '\n' ? "\n# " : "%c", *c);
		fprintf(stdout, "\n");
	}
	failed |= !good;
}

static struct sim *sim_new(const struct options *opt)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	uint32_t slots = 1;

	if (!sim)
		abort();
	sim->opt = *opt;
	while (slots < 4 * opt->calls)
		slots *= 2;
	sim->by_id_mask = slots - 1;
	sim->by_id = calloc(slots, sizeof(*sim->by_id));
	sim->calls = calloc(opt->calls, sizeof(*sim->calls));
	if (!sim->by_id || !sim->calls)
		abort();
	return sim;
}

static void sim_free(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->opt.calls; i++) {
		struct call *call = &sim->calls[i];
		tx_free_all(&call->caller);
		for (uint32_t k = 0; k < call->n_callees; k++) {
			tx_free_all(call->callees[k]);
			free(call->callees[k]);
		}
	}
	free(sim->calls);
	free(sim->by_id);
	free(sim->heap);
	free(sim->cdr_ids);
	free(sim);
}

static uint64_t call_digest(const struct call *call)
{
	uint64_t digest = call->caller.digest;

	for (uint32_t i = 0; i < call->n_callees; i++)
		digest = digest * 31 + call->callees[i]->digest;
	return digest;
}

static void counters_show(const struct sim *sim)
{
	for (uint32_t c = 0; c < TD_C__COUNT; c++) {
		uint64_t sum = 0;
		for (uint32_t i = 0; i < sim->opt.owners; i++)
			sum += sim->owners[i].counters[c];
		if (sum > 0)
			fprintf(stdout, "#   %s %llu\n", td_counter_name((enum td_counter)c),
				(unsigned long long)sum);
	}
}

// One life of the whole system. digests: of each call, NULL: not wanted.
static void run(const char *part, const struct options *opt, bool outcomes, uint64_t *digests)
{
	struct sim *sim = sim_new(opt);
	clock_t begun = clock();
	uint64_t n_events = 0;

	fprintf(stdout, "# %s: seed %llu, %u calls, %u owners\n", part,
		(unsigned long long)opt->seed, opt->calls, opt->owners);
	fflush(stdout);
	if (switch_up(sim) < 0) {
		report(false, part, "the switch starts", 0, NULL);
		exit(1);
	}
	for (uint32_t i = 0; i < opt->calls; i++)
		script_make(sim, i);
	while (next_event(sim))
		n_events++;
	check_end(sim);
	for (uint32_t k = 0; outcomes && k < KIND__COUNT; k++) {
		uint32_t n_calls, bad = check_kind(sim, (enum kind)k, &n_calls);
		report(bad == 0, part, kind_name((enum kind)k), bad == 0 ? n_calls : bad, NULL);
	}
	for (uint32_t b = 0; b < BREACH__COUNT; b++)
		report(sim->breaches[b] == 0, part, breach_name((enum breach)b),
			sim->breaches[b] == 0 ? sim->opt.calls : sim->breaches[b], sim->stories[b]);
	for (uint32_t i = 0; digests && i < opt->calls; i++)
		digests[i] = call_digest(&sim->calls[i]);
	fprintf(stdout,
		"# %llu events, %llu datagrams (%llu lost, %llu to nobody), %llu RTP (%llu "
		"dropped), %.0f s simulated "
		"in %.1f s\n",
		(unsigned long long)n_events, (unsigned long long)sim->n_datagrams,
		(unsigned long long)sim->n_lost, (unsigned long long)sim->n_strays,
		(unsigned long long)sim->n_rtp, (unsigned long long)sim->n_rtp_dropped,
		(double)sim->now / SECOND, (double)(clock() - begun) / CLOCKS_PER_SEC);
	if (failed || getenv("SIM_COUNTERS"))
		counters_show(sim);
	fflush(stdout);
	switch_down(sim);
	sim_free(sim);
}

// The same calls with 1, 2 and 7 owners: every agent must have heard the same messages.
static void run_owners(struct options opt)
{
	static const uint32_t owners[] = { 1, 2, 7 };
	uint64_t *digests[3];
	char what[64];

	for (uint32_t i = 0; i < 3; i++) {
		digests[i] = calloc(opt.calls, sizeof(uint64_t));
		if (!digests[i])
			abort();
		opt.owners = owners[i];
		snprintf(what, sizeof(what), "lossless, owners %u", owners[i]);
		run(what, &opt, true, digests[i]);
	}
	for (uint32_t i = 1; i < 3; i++) {
		uint32_t different = 0, first = 0;
		for (uint32_t c = 0; c < opt.calls; c++)
			if (digests[0][c] != digests[i][c] && different++ == 0)
				first = c;
		snprintf(
			what, sizeof(what), "the same messages as with 1 (first other: %u)", first);
		report(different == 0, i == 1 ? "2 owners" : "7 owners", what, different, NULL);
	}
	for (uint32_t i = 0; i < 3; i++)
		free(digests[i]);
}

static bool wanted(const char *part)
{
	const char *only = getenv("SIM_ONLY");

	return !only || strcmp(only, part) == 0;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && text[0] != '\0' ? strtoull(text, NULL, 0) : otherwise;
}

// Phones at a registrar: where everything goes well, where everything goes wrong, and where a 200
// waits for the disk and the power fails.
static void run_registrar(uint64_t seed)
{
	struct reg_options opt = {
		.seed = seed, .phones = 300, .owners = 3, .life_s = 600, .attackers = 2
	};

	registrar_run("registrar, lossless", &opt);
	opt.seed += 1000;
	opt.loss = 50000;
	opt.duplicate = 30000;
	opt.jitter_ms = 300;
	opt.attackers = 4;
	opt.restarts = 12;
	opt.refuse = 20000;
	registrar_run("registrar, bad network, killed", &opt);
	opt.seed += 1000;
	opt.sync = true;
	opt.clock_steps = true;
	registrar_run("registrar, sync, the clock set", &opt);
}

// At providers: where everything goes well, and where everything goes wrong. LIVES= chooses how
// many.
static void run_providers(uint64_t seed, uint32_t lives)
{
	struct prov_options opt = { .seed = seed, .life_s = 600 };

	prov_run("providers, lossless", &opt, lives);
	opt.seed += 1000000;
	opt.life_s = 1200;
	opt.loss = 50000;
	opt.duplicate = 30000;
	opt.jitter_ms = 300;
	opt.faults = true;
	prov_run("providers, bad network, moods", &opt, lives);
}

int main(void)
{
	struct options opt = { .seed = number_of("SEED", 1),
		.calls = (uint32_t)number_of("CALLS", 4000),
		.owners = 3,
		.calls_per_second = 100,
		.delay_ms = 10,
		.jitter_ms = 0,
		.trace = (uint32_t)number_of("SIM_TRACE", UINT32_MAX) };

	if (opt.calls == 0 || opt.calls > CALLS_MAX) {
		fprintf(stderr, "CALLS must be 1 to %d\n", CALLS_MAX);
		return 2;
	}
	if (wanted("owners"))
		run_owners(opt);
	struct options bad = opt;
	bad.calls = opt.calls * 5 / 2 > CALLS_MAX ? CALLS_MAX : opt.calls * 5 / 2;
	bad.seed += 1000;
	bad.delay_ms = 5;
	bad.jitter_ms = 300;
	bad.loss = 50000;
	bad.duplicate = 30000;
	if (wanted("bad"))
		run("loss, delay, reordering, duplicates", &bad, false, NULL);
	bad.calls = opt.calls;
	bad.seed += 1000;
	bad.scarce = 20000;
	bad.reload = true;
	if (wanted("scarce"))
		run("nothing to be had, policy reloaded", &bad, false, NULL);
	bad.scarce = 0;
	bad.limits = true;
	bad.seed += 1000;
	if (wanted("limits"))
		run("limits of groups and routes, policy reloaded", &bad, false, NULL);
	bad.limits = false;
	bad.corrupt = 30000;
	bad.seed += 1000;
	if (wanted("corrupt"))
		run("corruption as well", &bad, false, NULL);
	struct options numbers = opt;
	numbers.seed += 5000;
	numbers.jitter_ms = 50;
	numbers.reload = numbers.numbers = true;
	if (wanted("numbers"))
		run("number rules, policy reloaded", &numbers, false, NULL);
	struct options gateways = opt;
	gateways.seed += 4000;
	gateways.calls_per_second = 20;
	gateways.jitter_ms = 20;
	gateways.reload = gateways.gateways = gateways.numbers = gateways.limits = true;
	if (wanted("gateways"))
		run("gateways come and go", &gateways, false, NULL);
	if (wanted("registrar"))
		run_registrar(opt.seed);
	if (wanted("providers"))
		run_providers(opt.seed, (uint32_t)number_of("LIVES", 100));
	fprintf(stdout, "1..%u\n", n_lines);
	return failed ? 1 : 0;
}
