// SPDX-License-Identifier: BSD-3-Clause
// Number rules and what trunks do with numbers, between their two forms.
#include "control/policy_pb_priv.h"

static char **rule_list_to_pb(
	struct builder *b, const struct td_rule_list_conf *conf, size_t *count)
{
	char **out = make(b, conf->n, sizeof(*out));

	for (uint8_t i = 0; out && i < conf->n; i++)
		out[(*count)++] = text_to_pb(b, conf->names[i]);
	return out;
}

static Tandem__NumberForm *form_to_pb(struct builder *b, const struct td_number_form_conf *conf)
{
	Tandem__NumberForm *form = make(b, 1, sizeof(*form));

	if (!form)
		return NULL;
	tandem__number_form__init(form);
	form->country = text_to_pb(b, conf->country);
	form->area = text_to_pb(b, conf->area);
	form->international = text_to_pb(b, conf->international);
	form->national = text_to_pb(b, conf->national);
	form->bare_digits = conf->bare_digits;
	form->accept = conf->accept;
	form->format = conf->format;
	return form;
}

static Tandem__CallerId *caller_to_pb(struct builder *b, const struct td_caller_id_conf *conf)
{
	Tandem__CallerId *caller = make(b, 1, sizeof(*caller));

	if (!caller)
		return NULL;
	tandem__caller_id__init(caller);
	caller->fallback = text_to_pb(b, conf->fallback);
	caller->allowed = make(b, conf->n_allowed, sizeof(*caller->allowed));
	for (uint8_t i = 0; caller->allowed && i < conf->n_allowed; i++)
		caller->allowed[caller->n_allowed++] = text_to_pb(b, conf->allowed[i]);
	caller->on_refused = conf->on_refused;
	caller->privacy = conf->privacy;
	caller->keep_name = conf->keep_name;
	return caller;
}

// NULL, too, where nothing is said.
Tandem__Numbers *numbers_to_pb(struct builder *b, const struct td_numbers_conf *conf)
{
	static const struct td_numbers_conf nothing;
	Tandem__Numbers *numbers;

	if (memcmp(conf, &nothing, sizeof(nothing)) == 0 ||
		!(numbers = make(b, 1, sizeof(*numbers))))
		return NULL;
	tandem__numbers__init(numbers);
	numbers->form = form_to_pb(b, &conf->form);
	numbers->caller_in = caller_to_pb(b, &conf->caller_in);
	numbers->caller_out = caller_to_pb(b, &conf->caller_out);
	numbers->from_realm = conf->from_realm;
	numbers->in_caller = rule_list_to_pb(b, &conf->in.caller, &numbers->n_in_caller);
	numbers->in_callee = rule_list_to_pb(b, &conf->in.callee, &numbers->n_in_callee);
	numbers->out_caller = rule_list_to_pb(b, &conf->out.caller, &numbers->n_out_caller);
	numbers->out_callee = rule_list_to_pb(b, &conf->out.callee, &numbers->n_out_callee);
	return numbers;
}

Tandem__RealmNumbers *realm_to_pb(struct builder *b, const struct td_realm_numbers_conf *conf)
{
	Tandem__RealmNumbers *realm = make(b, 1, sizeof(*realm));

	if (!realm)
		return NULL;
	tandem__realm_numbers__init(realm);
	realm->realm = text_to_pb(b, conf->realm);
	realm->subscribers = numbers_to_pb(b, &conf->subscribers);
	return realm;
}

Tandem__Rule *rule_to_pb(struct builder *b, const struct td_rule_conf *conf)
{
	Tandem__Rule *rule = make(b, 1, sizeof(*rule));

	if (!rule)
		return NULL;
	tandem__rule__init(rule);
	rule->name = text_to_pb(b, conf->name);
	rule->match = text_to_pb(b, conf->match);
	rule->replace = text_to_pb(b, conf->replace);
	rule->last = conf->last;
	return rule;
}

Tandem__Plan *plan_to_pb(struct builder *b, const struct td_plan_conf *conf)
{
	Tandem__Plan *plan = make(b, 1, sizeof(*plan));

	if (!plan)
		return NULL;
	tandem__plan__init(plan);
	plan->name = text_to_pb(b, conf->name);
	plan->caller = rule_list_to_pb(b, &conf->rules.caller, &plan->n_caller);
	plan->callee = rule_list_to_pb(b, &conf->rules.callee, &plan->n_callee);
	return plan;
}

static void rule_list_from_pb(struct checker *c, char **pb, size_t n, struct td_rule_list_conf *out)
{
	out->n = (uint8_t)bounded(c, n, TD_RULE_LIST_MAX, "a list has too many rules");
	for (uint8_t i = 0; i < out->n; i++)
		text_from_pb(c, pb[i], out->names[i], sizeof(out->names[i]));
}

static void form_from_pb(
	struct checker *c, const Tandem__NumberForm *pb, struct td_number_form_conf *out)
{
	text_from_pb(c, pb->country, out->country, sizeof(out->country));
	text_from_pb(c, pb->area, out->area, sizeof(out->area));
	text_from_pb(c, pb->international, out->international, sizeof(out->international));
	text_from_pb(c, pb->national, out->national, sizeof(out->national));
	out->bare_digits =
		(uint8_t)bounded(c, pb->bare_digits, 15, "a number has more than 15 digits");
	out->accept =
		(uint8_t)bounded(c, pb->accept, TD_NUMBER_DIGITS, "a form of numbers is unknown");
	out->format = (uint8_t)bounded(
		c, pb->format, TD_FORMAT_INTERNATIONAL, "a form of numbers is unknown");
}

static void caller_from_pb(
	struct checker *c, const Tandem__CallerId *pb, struct td_caller_id_conf *out)
{
	if (!pb)
		return;
	text_from_pb(c, pb->fallback, out->fallback, sizeof(out->fallback));
	out->n_allowed = (uint8_t)bounded(
		c, pb->n_allowed, TD_CALLERS_MAX, "a trunk allows too many callers");
	for (uint8_t i = 0; i < out->n_allowed; i++)
		text_from_pb(c, pb->allowed[i], out->allowed[i], sizeof(out->allowed[i]));
	out->on_refused = (uint8_t)bounded(
		c, pb->on_refused, TD_CALLER_ANONYMOUS, "what refused callers get is unknown");
	out->privacy = (uint8_t)bounded(c, pb->privacy, TD_PRIVACY_STRIP, "a privacy is unknown");
	out->keep_name = pb->keep_name;
}

void numbers_from_pb(struct checker *c, const Tandem__Numbers *pb, struct td_numbers_conf *out)
{
	if (!pb)
		return;
	if (pb->form)
		form_from_pb(c, pb->form, &out->form);
	caller_from_pb(c, pb->caller_in, &out->caller_in);
	caller_from_pb(c, pb->caller_out, &out->caller_out);
	out->from_realm = (uint8_t)bounded(c, pb->from_realm, (1u << TD_PARTS) - 1,
		"a realm says what is no part of numbers");
	rule_list_from_pb(c, pb->in_caller, pb->n_in_caller, &out->in.caller);
	rule_list_from_pb(c, pb->in_callee, pb->n_in_callee, &out->in.callee);
	rule_list_from_pb(c, pb->out_caller, pb->n_out_caller, &out->out.caller);
	rule_list_from_pb(c, pb->out_callee, pb->n_out_callee, &out->out.callee);
}

void realm_from_pb(
	struct checker *c, const Tandem__RealmNumbers *pb, struct td_realm_numbers_conf *out)
{
	text_from_pb(c, pb->realm, out->realm, sizeof(out->realm));
	numbers_from_pb(c, pb->subscribers, &out->subscribers);
}

void rule_from_pb(struct checker *c, const Tandem__Rule *pb, struct td_rule_conf *out)
{
	text_from_pb(c, pb->name, out->name, sizeof(out->name));
	text_from_pb(c, pb->match, out->match, sizeof(out->match));
	text_from_pb(c, pb->replace, out->replace, sizeof(out->replace));
	out->last = pb->last;
}

void plan_from_pb(struct checker *c, const Tandem__Plan *pb, struct td_plan_conf *out)
{
	text_from_pb(c, pb->name, out->name, sizeof(out->name));
	rule_list_from_pb(c, pb->caller, pb->n_caller, &out->rules.caller);
	rule_list_from_pb(c, pb->callee, pb->n_callee, &out->rules.callee);
}
