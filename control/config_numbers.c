// SPDX-License-Identifier: BSD-3-Clause
// Number rules: each compiled where it is read, so that a wrong pattern is told with its line, and
// the lists that name them.
#include "control/config_schema.h"

#include "sip/rule.h"

#include <stdio.h>

// --- lists ---

static void list_read(
	struct cfg_reader *reader, config_setting_t *setting, struct td_rule_list_conf *list)
{
	int n = setting ? config_setting_length(setting) : 0;

	if (setting && (!config_setting_is_array(setting) || n > TD_RULE_LIST_MAX)) {
		cfg_fault(
			reader, setting, "an array of at most %d names of rules", TD_RULE_LIST_MAX);
		return;
	}
	for (int i = 0; i < n; i++) {
		const char *name = config_setting_get_string_elem(setting, i);
		if (!name || strlen(name) >= TD_NAME_LEN)
			cfg_fault(reader, config_setting_get_elem(setting, (unsigned int)i),
				"the name of one of the rules");
		else
			td_span_cstr(td_span_str(name), list->names[list->n++], TD_NAME_LEN);
	}
}

void cfg_read_rules_of_caller(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	list_read(reader, setting, &((struct td_rule_lists_conf *)record)->caller);
}

void cfg_read_rules_of_callee(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	list_read(reader, setting, &((struct td_rule_lists_conf *)record)->callee);
}

// --- callers ---

static bool number_text(const char *text, size_t cap)
{
	size_t plus = text && text[0] == '+';

	return text && strlen(text) < cap && strlen(text) > plus &&
	       strspn(text + plus, "0123456789") == strlen(text) - plus;
}

void cfg_read_callers(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_caller_id_conf *caller = record;
	int n = setting ? config_setting_length(setting) : 0;

	if (setting && (!config_setting_is_array(setting) || n > TD_CALLERS_MAX)) {
		cfg_fault(reader, setting, "an array of at most %d beginnings of numbers",
			TD_CALLERS_MAX);
		return;
	}
	for (int i = 0; i < n; i++) {
		const char *text = config_setting_get_string_elem(setting, i);
		if (!number_text(text, sizeof(caller->allowed[0])))
			cfg_fault(reader, config_setting_get_elem(setting, (unsigned int)i),
				"how a number begins, such as \"+4930\"");
		else
			td_span_cstr(td_span_str(text), caller->allowed[caller->n_allowed++],
				sizeof(caller->allowed[0]));
	}
}

void cfg_read_caller_default(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_caller_id_conf *caller = record;
	const char *text = setting ? config_setting_get_string(setting) : NULL;

	if (setting && !number_text(text, sizeof(caller->fallback)))
		cfg_fault(reader, setting, "a number, such as \"+4930123456\"");
	else if (setting)
		td_span_cstr(td_span_str(text), caller->fallback, sizeof(caller->fallback));
}

static void caller_check(struct cfg_reader *reader, const char *base, const char *direction,
	const struct td_caller_id_conf *caller)
{
	char path[96];

	snprintf(path, sizeof(path), "%s.caller_id.%s", base, direction);
	const config_setting_t *at = config_lookup(&reader->config, path);
	if (at && caller->n_allowed > 0 && caller->on_refused == TD_CALLER_DEFAULT &&
		caller->fallback[0] == '\0')
		cfg_fault_text(reader, at,
			"found callers that are allowed and no default for the others, expected "
			"one, or another on_refused");
}

// --- what the whole can tell ---

static bool rule_there(const struct td_policy_conf *policy, const char *name)
{
	for (uint32_t i = 0; i < policy->n_rules; i++)
		if (strcmp(policy->rules[i].name, name) == 0)
			return true;
	return false;
}

// base: where in the file the lists stand.
static void list_check(struct cfg_reader *reader, const char *base, const char *list,
	const struct td_rule_list_conf *conf)
{
	char path[96];

	for (uint8_t i = 0; i < conf->n; i++) {
		snprintf(path, sizeof(path), "%s.rules.%s.[%u]", base, list, i);
		const config_setting_t *at = config_lookup(&reader->config, path);
		if (!rule_there(&reader->conf->policy, conf->names[i]))
			cfg_fault(reader, at ? at : config_root_setting(&reader->config),
				"the name of one of the rules");
	}
}

static void numbers_check(
	struct cfg_reader *reader, const char *base, const struct td_numbers_conf *numbers)
{
	const struct td_number_form_conf *form = &numbers->form;
	char path[96];

	list_check(reader, base, "in.caller", &numbers->in.caller);
	list_check(reader, base, "in.callee", &numbers->in.callee);
	list_check(reader, base, "out.caller", &numbers->out.caller);
	list_check(reader, base, "out.callee", &numbers->out.callee);
	caller_check(reader, base, "in", &numbers->caller_in);
	caller_check(reader, base, "out", &numbers->caller_out);
	snprintf(path, sizeof(path), "%s.number", base);
	const config_setting_t *at = config_lookup(&reader->config, path);
	if (at && form->country[0] == '\0' &&
		(form->area[0] || form->national[0] || form->international[0] ||
			form->bare_digits || form->format == TD_FORMAT_NATIONAL))
		cfg_fault_text(reader, at, "found no country, expected its code, such as \"49\"");
	if (at && form->format == TD_FORMAT_INTERNATIONAL && form->international[0] == '\0')
		cfg_fault_text(
			reader, at, "found no international_prefix, expected one for that format");
}

static void plan_check(struct cfg_reader *reader, uint32_t index)
{
	const struct td_plan_conf *plans = reader->conf->policy.plans;
	char base[32];

	snprintf(base, sizeof(base), "plans.[%u]", index);
	list_check(reader, base, "caller", &plans[index].rules.caller);
	list_check(reader, base, "callee", &plans[index].rules.callee);
	for (uint32_t i = 0; i < index; i++)
		if (strcmp(plans[i].name, plans[index].name) == 0)
			cfg_fault_text(reader, config_lookup(&reader->config, base),
				"found plan %s again, expected each once", plans[i].name);
}

void cfg_numbers_check(struct cfg_reader *reader)
{
	const struct td_policy_conf *policy = &reader->conf->policy;
	char base[32];

	for (uint32_t i = 0; i < policy->n_trunks; i++) {
		snprintf(base, sizeof(base), "trunks.[%u]", i);
		numbers_check(reader, base, &policy->trunks[i].numbers);
	}
	numbers_check(reader, "subscribers", &policy->subscribers);
	for (uint8_t i = 0; i < reader->conf->n_realms; i++) {
		snprintf(base, sizeof(base), "realms.[%u]", i);
		numbers_check(reader, base, &policy->realms[i].numbers);
	}
	for (uint32_t i = 0; i < policy->n_plans; i++)
		plan_check(reader, i);
}

// --- rules ---

void cfg_read_rule_replace(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_rule_conf *rule = record;
	const char *text = setting ? config_setting_get_string(setting) : "";

	if (!text || strlen(text) >= sizeof(rule->replace))
		cfg_fault(reader, setting, "a text of at most %zu characters",
			sizeof(rule->replace) - 1);
	else
		td_span_cstr(td_span_str(text), rule->replace, sizeof(rule->replace));
}

// Reads what it is replaced by, too: only together can they be judged.
void cfg_read_rule_match(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_rule_conf probe = { 0 }, *rule = record;
	const char *text = setting ? config_setting_get_string(setting) : "", *replace = "";
	struct td_rule *compiled = NULL;
	char why[160] = "out of memory";

	if (!setting)
		return;
	if (!text || text[0] == '\0' || strlen(text) >= sizeof(rule->match)) {
		cfg_fault(reader, setting, "a pattern of 1 to %zu characters",
			sizeof(rule->match) - 1);
		return;
	}
	td_span_cstr(td_span_str(text), rule->match, sizeof(rule->match));
	config_setting_lookup_string(config_setting_parent(setting), "replace", &replace);
	td_span_cstr(td_span_str(text), probe.match, sizeof(probe.match));
	td_span_cstr(td_span_str(replace), probe.replace, sizeof(probe.replace));
	if (td_rule_compile(&probe, &compiled, why, sizeof(why)) < 0)
		cfg_fault_text(reader, setting, "found \"%s\": %s", text, why);
	td_rule_free(compiled);
}
