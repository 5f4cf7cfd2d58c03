// SPDX-License-Identifier: BSD-3-Clause
// tandemctl rule list and rule test: the number rules in force, and what one makes of a number, by
// the code that a worker runs.
#include "dataplane/admin.h"
#include "sip/policy.h"

#include <errno.h>

void td_number_step_send(struct td_mgmt_conn *conn, uint64_t id, const struct td_numbers_step *step)
{
	Tandem__Item item = TANDEM__ITEM__INIT;
	Tandem__RouteStep row = TANDEM__ROUTE_STEP__INIT;
	char before[TD_NUMBER_TEXT], after[TD_NUMBER_TEXT];
	char caller[] = "caller", callee[] = "callee";

	td_span_cstr(td_number_span(&step->before), before, sizeof(before));
	td_span_cstr(td_number_span(&step->after), after, sizeof(after));
	item.row_case = TANDEM__ITEM__ROW_ROUTE_STEP;
	item.route_step = &row;
	row.what = (char *)(uintptr_t)step->what;
	row.name = (char *)(uintptr_t)step->name;
	if (step->plan)
		row.plan = (char *)(uintptr_t)step->plan;
	if (step->realm)
		row.realm = (char *)(uintptr_t)step->realm;
	if (step->why)
		row.why = (char *)(uintptr_t)step->why;
	row.who = step->who == TD_CALLER ? caller : callee;
	row.before = before;
	row.after = after;
	td_mgmt_item_send(conn, id, &item);
}

struct test {
	struct td_mgmt_conn *conn;
	uint64_t id;
};

static void on_number(void *ctx, const struct td_numbers_step *step)
{
	const struct test *t = ctx;

	td_number_step_send(t->conn, t->id, step);
}

static const struct td_rule *rule_find(const struct td_policy *policy, const char *name)
{
	for (uint32_t i = 0; policy && i < td_policy_n_rules(policy); i++)
		if (strcmp(td_rule_conf(td_policy_rule(policy, i))->name, name) == 0)
			return td_policy_rule(policy, i);
	return NULL;
}

void td_rule_test(struct td_admin *admin, struct td_mgmt_conn *conn, uint64_t id,
	const Tandem__RuleTest *request)
{
	const struct td_rule *rule = rule_find(admin->policy->current, request->name);
	struct test t = { conn, id };
	const struct td_numbers_trace trace = { on_number, &t };
	struct td_numbers one = { 0 };
	struct td_numbers_run run = { .trace = &trace };
	struct td_number number = { 0 };

	if (!rule || !td_number_append(&number, td_span_str(request->number))) {
		td_mgmt_send_error(conn, id, rule ? EINVAL : ENOENT,
			rule ? "that is too long for a number"
			     : "no rule in force has that name; rule list shows them");
		return;
	}
	run.matcher = td_rule_matcher_new(&td_rule_test_memory);
	if (!run.matcher) {
		td_mgmt_send_error(conn, id, ENOMEM, "no memory");
		return;
	}
	one.in[TD_CALLEE] = (struct td_rule_list){ { rule }, 1 };
	td_numbers_in(&one, &run, TD_CALLEE, &number);
	td_rule_matcher_free(run.matcher, &td_rule_test_memory);
	td_mgmt_send_done(conn, id, run.applied);
}

void td_rules_show(const struct td_admin *admin, struct td_mgmt_conn *conn, uint64_t id)
{
	const struct td_policy *policy = admin->policy->current;
	uint32_t n = policy ? td_policy_n_rules(policy) : 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct td_rule_conf *conf = td_rule_conf(td_policy_rule(policy, i));
		Tandem__Item item = TANDEM__ITEM__INIT;
		Tandem__Rule row = TANDEM__RULE__INIT;
		item.row_case = TANDEM__ITEM__ROW_RULE;
		item.rule = &row;
		row.name = (char *)(uintptr_t)conf->name;
		row.match = (char *)(uintptr_t)conf->match;
		row.replace = (char *)(uintptr_t)conf->replace;
		row.last = conf->last;
		td_mgmt_item_send(conn, id, &item);
	}
	td_mgmt_send_done(conn, id, n);
}
