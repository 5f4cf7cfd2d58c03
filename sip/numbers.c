// SPDX-License-Identifier: BSD-3-Clause
#include "sip/numbers.h"

static void tell(struct td_numbers_run *run, enum td_numbers_who who, const char *what,
	const char *name, const char *why, const struct td_number *before,
	const struct td_number *after)
{
	const struct td_numbers_step step = { what, name, why, run->plan, run->realm, who, *before,
		*after };

	if (run->trace)
		run->trace->step(run->trace->ctx, &step);
}

static void name_add(struct td_numbers_run *run, const char *name)
{
	struct td_number names = run->names;

	if ((names.len == 0 || td_number_append(&names, TD_SPAN(","))) &&
		td_number_append(&names, td_span_str(name)))
		run->names = names;
}

static const char *why_not(enum td_rule_result result)
{
	switch (result) {
	case TD_RULE_APPLIED:
		return NULL;
	case TD_RULE_PASSED:
		return "does not match";
	case TD_RULE_GAVE_UP:
		return "takes too many steps, passed over";
	case TD_RULE_TOO_LONG:
		return "makes a number that is too long, passed over";
	}
	return NULL;
}

static void rules_run(const struct td_rule_list *list, struct td_numbers_run *run,
	enum td_numbers_who who, struct td_number *number)
{
	for (uint8_t i = 0; i < list->n; i++) {
		const struct td_rule_conf *conf = td_rule_conf(list->rules[i]);
		struct td_number before = *number;
		enum td_rule_result result = td_rule_apply(list->rules[i], run->matcher, number);
		tell(run, who, "rule", conf->name, why_not(result), &before, number);
		run->failed += result == TD_RULE_GAVE_UP || result == TD_RULE_TOO_LONG;
		if (result != TD_RULE_APPLIED)
			continue;
		run->applied++;
		name_add(run, conf->name);
		if (conf->last)
			return;
	}
}

void td_numbers_in(const struct td_numbers *numbers, struct td_numbers_run *run,
	enum td_numbers_who who, struct td_number *number)
{
	run->plan = numbers->plan;
	run->realm = td_numbers_realm(numbers, TD_PART_IN_CALLER + who);
	rules_run(&numbers->in[who], run, who, number);
	run->realm = td_numbers_realm(numbers, TD_PART_FORM);
	struct td_number before = *number;
	if (td_number_accept(&numbers->form, number))
		tell(run, who, "number", "", NULL, &before, number);
}

void td_numbers_out(const struct td_numbers *numbers, struct td_numbers_run *run,
	enum td_numbers_who who, struct td_number *number)
{
	struct td_number before = *number;

	run->plan = numbers->plan;
	run->realm = td_numbers_realm(numbers, TD_PART_FORM);
	if (td_number_format(&numbers->form, number))
		tell(run, who, "number", "", NULL, &before, number);
	run->realm = td_numbers_realm(numbers, TD_PART_OUT_CALLER + who);
	rules_run(&numbers->out[who], run, who, number);
}

// --- callers ---

static struct td_span digits_of(const char *text)
{
	return td_span_str(text + (text[0] == '+'));
}

static bool caller_allowed(const struct td_caller_id_conf *conf, const struct td_number *number)
{
	struct td_span digits = td_number_digits(number);

	for (uint8_t i = 0; i < conf->n_allowed; i++) {
		struct td_span prefix = digits_of(conf->allowed[i]);
		if (digits.len >= prefix.len && memcmp(digits.ptr, prefix.ptr, prefix.len) == 0)
			return true;
	}
	return conf->n_allowed == 0;
}

// Nobody vouches for the caller: the trunk's default number stands for it.
static void vouch(const struct td_caller_id_conf *conf, struct td_number *asserted)
{
	if (asserted->len == 0)
		td_number_append(asserted, td_span_str(conf->fallback));
}

static enum td_caller_verdict caller_judge(
	const struct td_caller_id_conf *conf, struct td_number *caller, struct td_number *asserted)
{
	if (caller->len > 0 && caller_allowed(conf, caller)) {
		if (asserted->len == 0 && conf->n_allowed > 0)
			*asserted = *caller;
		return TD_CALLER_FITS;
	}
	// Who is hidden already must be known to somebody, where callers are named at all.
	if (caller->len == 0 && (conf->n_allowed == 0 || asserted->len > 0)) {
		vouch(conf, asserted);
		return TD_CALLER_FITS;
	}
	if (conf->on_refused == TD_CALLER_REJECT)
		return TD_CALLER_REFUSED;
	vouch(conf, asserted);
	if (caller->len == 0)
		return TD_CALLER_FITS;
	caller->len = 0;
	if (conf->on_refused == TD_CALLER_ANONYMOUS)
		return TD_CALLER_HIDDEN;
	td_number_append(caller, td_span_str(conf->fallback));
	return TD_CALLER_REPLACED;
}

enum td_caller_verdict td_numbers_screen(const struct td_caller_id_conf *conf,
	struct td_numbers_run *run, struct td_number *caller, struct td_number *asserted)
{
	static const char *const why[] = { NULL, "is not allowed: the default is shown",
		"is not allowed: it is hidden", "is not allowed: the call is refused" };
	struct td_number before = *caller;

	if (asserted->len > 0 && !caller_allowed(conf, asserted))
		asserted->len = 0;
	enum td_caller_verdict verdict = caller_judge(conf, caller, asserted);
	if (verdict == TD_CALLER_FITS)
		return verdict;
	name_add(run, "caller_id");
	tell(run, TD_CALLER, "caller", "", why[verdict], &before, caller);
	return verdict;
}
