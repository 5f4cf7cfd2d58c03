// SPDX-License-Identifier: BSD-3-Clause
// Number rules, drawn anew with each policy, and a reading of them of their own: what comes out at
// a trunk is what this makes of what went in. Each rule leaves the last six digits alone, by which
// agents know the call.
#include "tests/sim/sim.h"

#include <stdlib.h>

enum rule { BEGINS, TURNS, ENDS, ENDLESS, TOO_LONG, RULES };

#define FILLING                                                                                    \
	"00000000000000000000000000000000000000000000000000000000000" // with a number behind it
								      // more than one holds

static const char *const prefixes[] = { "49", "44", "33", "+33", "0", "00", "7", "1" };
static const char *const becomes[] = { "", "0", "00", "+", "71", "0049", "+44" };

// A text as both the pattern and this reading want it: '+' stands for itself.
static void pattern_put(char *dst, size_t cap, const char *prefix)
{
	snprintf(dst, cap, "^%s%s(?=.{6})", prefix[0] == '+' ? "\\" : "", prefix);
}

static void rule_draw(struct sim_rule *rule, uint64_t *rng)
{
	*rule = (struct sim_rule){ .kind = (uint8_t)rng_below(rng, RULES),
		.prefix = prefixes[rng_below(rng, sizeof(prefixes) / sizeof(prefixes[0]))],
		.becomes = becomes[rng_below(rng, sizeof(becomes) / sizeof(becomes[0]))],
		.last = rng_chance(rng, 300000) };
	if (rng_chance(rng, 400000))
		rule->kind = BEGINS;
}

static void rule_write(const struct sim_rule *rule, uint32_t n, struct td_rule_conf *conf)
{
	*conf = (struct td_rule_conf){ .last = rule->last };
	snprintf(conf->name, sizeof(conf->name), "r%u", n);
	switch ((enum rule)rule->kind) {
	case BEGINS:
		pattern_put(conf->match, sizeof(conf->match), rule->prefix);
		snprintf(conf->replace, sizeof(conf->replace), "%s", rule->becomes);
		break;
	case TURNS:
		snprintf(conf->match, sizeof(conf->match), "^(\\d)(\\d)(?=.{6})");
		snprintf(conf->replace, sizeof(conf->replace), "\\2\\1");
		break;
	case ENDS:
		snprintf(conf->match, sizeof(conf->match), "(\\d{6})$");
		snprintf(conf->replace, sizeof(conf->replace), "9\\1");
		break;
	case ENDLESS:
		snprintf(conf->match, sizeof(conf->match), "^\\+?(\\d+)+(\\d+)+x$");
		snprintf(conf->replace, sizeof(conf->replace), "\\0");
		break;
	case TOO_LONG:
	case RULES:
		snprintf(conf->match, sizeof(conf->match), "^(?=.{6})");
		snprintf(conf->replace, sizeof(conf->replace), FILLING);
		break;
	}
}

// As people would do it by hand. true: the rule applied.
static bool rule_read(const struct sim_rule *rule, char number[NUMBER_CAP])
{
	size_t len = strlen(number), n = strlen(rule->prefix);
	char before[NUMBER_CAP];

	memcpy(before, number, NUMBER_CAP);
	switch ((enum rule)rule->kind) {
	case BEGINS:
		if (strncmp(number, rule->prefix, n) != 0 || len < n + 6)
			return false;
		if (len - n + strlen(rule->becomes) >= TD_NUMBER_TEXT)
			return false;
		snprintf(number, NUMBER_CAP, "%s%s", rule->becomes, before + n);
		return true;
	case TURNS:
		if (len < 8 || number[0] == '+' || number[1] == '+')
			return false;
		number[0] = before[1];
		number[1] = before[0];
		return true;
	case ENDS:
		if (len < 6 || strspn(number + len - 6, "0123456789") < 6 ||
			len + 1 >= TD_NUMBER_TEXT)
			return false;
		snprintf(number, NUMBER_CAP, "%.*s9%s", (int)len - 6, before, before + len - 6);
		return true;
	default:
		return false;
	}
}

static void list_read(
	const struct sim_rules *rules, uint32_t trunk, uint32_t way, char number[NUMBER_CAP])
{
	const uint8_t *list = rules->lists[trunk][way];

	for (uint32_t i = 0; i < SIM_LIST && list[i] > 0; i++) {
		const struct sim_rule *rule = &rules->rules[list[i] - 1];
		if (rule_read(rule, number) && rule->last)
			return;
	}
}

static void list_write(const uint8_t list[SIM_LIST], struct td_rule_list_conf *conf)
{
	for (uint32_t i = 0; i < SIM_LIST && list[i] > 0; i++)
		snprintf(conf->names[conf->n++], TD_NAME_LEN, "r%u", list[i] - 1u);
}

void sim_numbers_draw(
	struct sim *sim, struct td_rule_conf conf[SIM_RULES], struct td_trunk_conf trunks[TRUNKS])
{
	uint64_t rng = rng_seed(sim->opt.seed, 96, sim->now);
	struct sim_rules *rules = calloc(1, sizeof(*rules));

	if (!rules)
		abort();
	for (uint32_t i = 0; i < SIM_RULES; i++) {
		rule_draw(&rules->rules[i], &rng);
		rule_write(&rules->rules[i], i, &conf[i]);
	}
	for (uint32_t t = 0; t < TRUNKS; t++) {
		struct td_rule_list_conf *lists[] = { &trunks[t].numbers.in.caller,
			&trunks[t].numbers.in.callee, &trunks[t].numbers.out.caller,
			&trunks[t].numbers.out.callee };
		for (uint32_t way = 0; way < SIM_WAYS; way++) {
			uint32_t n = rng_below(&rng, SIM_LIST + 1);
			for (uint32_t i = 0; i < n; i++)
				rules->lists[t][way][i] = (uint8_t)(1 + rng_below(&rng, SIM_RULES));
			list_write(rules->lists[t][way], lists[way]);
		}
	}
	rules->before = sim->rules;
	sim->rules = rules;
}

void sim_numbers_free(struct sim *sim)
{
	for (struct sim_rules *rules = sim->rules, *before; rules; rules = before) {
		before = rules->before;
		free(rules);
	}
}

static struct td_span user_of(struct td_span uri)
{
	const char *at = uri.len > 4 ? memchr(uri.ptr, '@', uri.len) : NULL;

	return at ? td_span(uri.ptr + 4, (size_t)(at - uri.ptr - 4)) : (struct td_span){ 0 };
}

bool sim_numbers_call(struct td_span uri, uint32_t *call)
{
	struct td_span user = user_of(uri);
	uint32_t n = 0;

	if (user.len < 6)
		return false;
	for (uint32_t i = user.len - 6; i < user.len; i++) {
		if (user.ptr[i] < '0' || user.ptr[i] > '9')
			return false;
		n = 10 * n + (uint32_t)(user.ptr[i] - '0');
	}
	*call = n;
	return true;
}

void sim_numbers_check(const struct ua *callee, const struct sip *invite)
{
	struct sim *sim = callee->sim;
	const struct call *call = &sim->calls[callee->call];
	const struct ua *caller = &call->caller;
	char numbers[2][NUMBER_CAP];
	struct td_span said[2] = { user_of(sip_uri(sip_header(invite, "From", 0))),
		user_of(invite->uri) };

	if (!call->rules || calls_phones(&call->script))
		return;
	snprintf(numbers[0], NUMBER_CAP, "+33%06u", callee->call);
	snprintf(numbers[1], NUMBER_CAP, "%s%06u", caller->realm == WEST ? "49" : "44",
		callee->call);
	for (uint32_t who = 0; who < 2; who++) {
		list_read(call->rules, caller->trunk, who, numbers[who]);
		list_read(sim->rules, callee->trunk, 2 + who, numbers[who]);
		if (!td_span_eq(said[who], td_span_str(numbers[who])))
			breach(sim, BREACH_NUMBER, "call %u, attempt %u: %s %.*s, expected %s",
				callee->call, callee->attempt, who == 0 ? "caller" : "callee",
				(int)said[who].len, said[who].ptr, numbers[who]);
	}
}
