// SPDX-License-Identifier: BSD-3-Clause
// Number rules compiled, and bound to the trunks and dial plans that name them. A trunk that says
// nothing of numbers has none, and costs its calls nothing.
#include "sip/policy_priv.h"

#include <errno.h>
#include <stdlib.h>

struct binder {
	struct td_policy *policy;
	struct policy_error *error;
	uint32_t *order; // of rules by name
};

static int by_name(const void *a, const void *b, void *arg)
{
	struct td_rule *const *rules = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return strcmp(td_rule_conf(rules[x])->name, td_rule_conf(rules[y])->name);
}

static const struct td_rule *rule_by_name(const struct binder *b, const char *name)
{
	const struct numbers *all = &b->policy->numbers;
	uint32_t lo = 0, hi = all->n_rules;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int order = strcmp(td_rule_conf(all->rules[b->order[mid]])->name, name);
		if (order == 0)
			return all->rules[b->order[mid]];
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static int rules_compile(struct binder *b, const struct td_policy_conf *conf)
{
	struct numbers *all = &b->policy->numbers;
	char why[160] = "out of memory";

	if (conf->n_rules > TD_RULES_MAX)
		return policy_fail(b->error, "more than %d rules", TD_RULES_MAX);
	all->rules = calloc(conf->n_rules + 1, sizeof(struct td_rule *));
	b->order = calloc(conf->n_rules + 1, sizeof(*b->order));
	if (!all->rules || !b->order)
		return policy_no_memory(b->error);
	for (uint32_t i = 0; i < conf->n_rules; i++) {
		const struct td_rule_conf *rule = &conf->rules[i];
		if (!memchr(rule->name, '\0', sizeof(rule->name)) ||
			!memchr(rule->match, '\0', sizeof(rule->match)) ||
			!memchr(rule->replace, '\0', sizeof(rule->replace)))
			return policy_fail(b->error, "rule %u: a text is too long", i + 1);
		int rc = td_rule_compile(rule, &all->rules[i], why, sizeof(why));
		if (rc == -ENOMEM)
			return policy_no_memory(b->error);
		if (rc < 0)
			return policy_fail(b->error, "rule '%s': %s", rule->name, why);
		b->order[all->n_rules++] = i;
	}
	qsort_r(b->order, all->n_rules, sizeof(*b->order), by_name, all->rules);
	for (uint32_t i = 1; i < all->n_rules; i++)
		if (strcmp(td_rule_conf(all->rules[b->order[i - 1]])->name,
			    td_rule_conf(all->rules[b->order[i]])->name) == 0)
			return policy_fail(b->error, "two rules are named '%s'",
				td_rule_conf(all->rules[b->order[i]])->name);
	return 0;
}

// whose: "trunk" or "plan", for what is said of it; name: its own.
static int list_bind(const struct binder *b, const char *whose, const char *name,
	const struct td_rule_list_conf *conf, struct td_rule_list *out)
{
	if (conf->n > TD_RULE_LIST_MAX)
		return policy_fail(b->error, "%s '%s': too many rules", whose, name);
	for (out->n = 0; out->n < conf->n; out->n++) {
		const char *wanted = conf->names[out->n];
		const struct td_rule *rule =
			memchr(wanted, '\0', TD_NAME_LEN) ? rule_by_name(b, wanted) : NULL;
		if (!rule)
			return policy_fail(
				b->error, "%s '%s': there is no rule '%.31s'", whose, name, wanted);
		out->rules[out->n] = rule;
	}
	return 0;
}

static bool digits_end(const char *text, size_t cap)
{
	size_t len = strnlen(text, cap);

	for (size_t i = 0; i < len; i++)
		if (text[i] < '0' || text[i] > '9')
			return false;
	return len < cap;
}

static int form_check(
	const struct binder *b, const char *trunk, const struct td_number_form_conf *form)
{
	if (!digits_end(form->country, sizeof(form->country)) ||
		!digits_end(form->area, sizeof(form->area)) ||
		!digits_end(form->international, sizeof(form->international)) ||
		!digits_end(form->national, sizeof(form->national)))
		return policy_fail(b->error, "trunk '%s': a prefix is not of digits", trunk);
	if (form->country[0] == '\0' &&
		(form->area[0] || form->national[0] || form->format == TD_FORMAT_NATIONAL))
		return policy_fail(b->error, "trunk '%s': national numbers need a country", trunk);
	return 0;
}

static bool number_ends(const char *text, size_t cap)
{
	return digits_end(text + (text[0] == '+'), cap - (text[0] == '+'));
}

static int caller_bind(const struct binder *b, const char *trunk,
	const struct td_caller_id_conf *conf, struct td_caller_id_conf *out)
{
	bool good = conf->n_allowed <= TD_CALLERS_MAX &&
		    number_ends(conf->fallback, sizeof(conf->fallback));

	for (uint8_t i = 0; good && i < conf->n_allowed; i++)
		good = number_ends(conf->allowed[i], sizeof(conf->allowed[i]));
	if (!good)
		return policy_fail(b->error, "trunk '%s': a caller is no number", trunk);
	*out = *conf;
	return 0;
}

static int numbers_bind(const struct binder *b, const char *trunk,
	const struct td_numbers_conf *conf, struct td_numbers *out)
{
	int rc = form_check(b, trunk, &conf->form);

	out->form = conf->form;
	if (rc == 0)
		rc = caller_bind(b, trunk, &conf->caller_in, &out->caller_in);
	if (rc == 0)
		rc = caller_bind(b, trunk, &conf->caller_out, &out->caller_out);
	if (rc == 0)
		rc = list_bind(b, "trunk", trunk, &conf->in.caller, &out->in[TD_CALLER]);
	if (rc == 0)
		rc = list_bind(b, "trunk", trunk, &conf->in.callee, &out->in[TD_CALLEE]);
	if (rc == 0)
		rc = list_bind(b, "trunk", trunk, &conf->out.caller, &out->out[TD_CALLER]);
	if (rc == 0)
		rc = list_bind(b, "trunk", trunk, &conf->out.callee, &out->out[TD_CALLEE]);
	return rc;
}

static bool says_something(const struct td_numbers_conf *conf)
{
	static const struct td_numbers_conf nothing;

	return memcmp(conf, &nothing, sizeof(nothing)) != 0;
}

// Pointers to trunks' numbers hold only once the array has its size: counted first.
static int trunks_bind(struct binder *b)
{
	struct td_policy *policy = b->policy;
	uint32_t n = 0;
	int rc = 0;

	for (uint32_t i = 0; i < policy->n_trunks; i++)
		n += says_something(&policy->trunks[i].conf.numbers);
	policy->numbers.list = calloc(n + 1, sizeof(*policy->numbers.list));
	if (!policy->numbers.list)
		return policy_no_memory(b->error);
	n = 0;
	for (uint32_t i = 0; rc == 0 && i < policy->n_trunks; i++) {
		struct td_trunk *trunk = &policy->trunks[i];
		if (!says_something(&trunk->conf.numbers))
			continue;
		struct td_numbers *numbers = &policy->numbers.list[n++];
		trunk->numbers = numbers;
		numbers->realm = trunk->conf.realm;
		numbers->from_realm = trunk->conf.numbers.from_realm;
		rc = numbers_bind(b, trunk->conf.name, &trunk->conf.numbers, numbers);
	}
	return rc;
}

static int plan_compare(const void *name, const void *plan)
{
	return strcmp(name, ((const struct td_numbers *)plan)->plan);
}

static int plan_order(const void *a, const void *b)
{
	return plan_compare(((const struct td_numbers *)a)->plan, b);
}

static int plan_bind(
	const struct binder *b, const struct td_plan_conf *conf, struct td_numbers *out)
{
	td_span_cstr(td_span(conf->name, strnlen(conf->name, sizeof(conf->name))), out->plan,
		sizeof(out->plan));
	int rc = list_bind(b, "plan", out->plan, &conf->rules.caller, &out->in[TD_CALLER]);
	return rc ? rc : list_bind(b, "plan", out->plan, &conf->rules.callee, &out->in[TD_CALLEE]);
}

static int plans_bind(const struct binder *b, const struct td_policy_conf *conf)
{
	struct numbers *all = &b->policy->numbers;
	int rc = 0;

	if (conf->n_plans > TD_PLANS_MAX)
		return policy_fail(b->error, "more than %d plans have rules", TD_PLANS_MAX);
	all->plans = calloc(conf->n_plans + 1, sizeof(*all->plans));
	if (!all->plans)
		return policy_no_memory(b->error);
	for (uint32_t i = 0; rc == 0 && i < conf->n_plans; i++)
		rc = plan_bind(b, &conf->plans[i], &all->plans[all->n_plans++]);
	if (rc != 0)
		return rc;
	qsort(all->plans, all->n_plans, sizeof(*all->plans), plan_order);
	for (uint32_t i = 1; i < all->n_plans; i++)
		if (plan_order(&all->plans[i - 1], &all->plans[i]) == 0)
			return policy_fail(
				b->error, "two plans are named '%s'", all->plans[i].plan);
	return 0;
}

const struct td_numbers *td_policy_plan_numbers(
	const struct td_policy *policy, const struct td_trunk *trunk, struct td_span plan)
{
	const struct numbers *all = &policy->numbers;
	char name[TD_NAME_LEN];

	if (all->n_plans == 0)
		return NULL;
	td_span_cstr(plan.len > 0 ? plan : td_span_str(trunk->conf.plan), name, sizeof(name));
	return bsearch(name, all->plans, all->n_plans, sizeof(*all->plans), plan_compare);
}

int numbers_compile(
	struct td_policy *policy, const struct td_policy_conf *conf, struct policy_error *error)
{
	struct binder b = { policy, error, NULL };
	int rc = rules_compile(&b, conf);

	if (rc == 0)
		rc = trunks_bind(&b);
	if (rc == 0)
		rc = plans_bind(&b, conf);
	free(b.order);
	return rc;
}

void numbers_free(struct numbers *numbers)
{
	for (uint32_t i = 0; numbers->rules && i < numbers->n_rules; i++)
		td_rule_free(numbers->rules[i]);
	free(numbers->rules);
	free(numbers->list);
	free(numbers->plans);
}

uint32_t td_policy_n_rules(const struct td_policy *policy)
{
	return policy->numbers.n_rules;
}

const struct td_rule *td_policy_rule(const struct td_policy *policy, uint32_t index)
{
	return index < policy->numbers.n_rules ? policy->numbers.rules[index] : NULL;
}
