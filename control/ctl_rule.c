// SPDX-License-Identifier: BSD-3-Clause
// tandemctl rule: the number rules in force, and what one makes of a number.
#include "control/ctl.h"

#include <string.h>

static const char *const columns[] = { "name", "match", "replace", "last" };

static void rule_cells(const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item)
{
	const Tandem__Rule *rule = item->rule;

	ctl_table_cell(out, "%s", rule->name);
	ctl_table_cell(out, "%s", rule->match);
	ctl_table_cell(out, "%s", rule->replace);
	ctl_table_cell(out, "%s", rule->last ? "yes" : "-");
}

static json_t *rule_json(const struct ctl *ctl, const Tandem__Item *item)
{
	const Tandem__Rule *rule = item->rule;

	return json_pack("{s:o, s:o, s:o, s:b}", "name", ctl_text(rule->name), "match",
		ctl_text(rule->match), "replace", ctl_text(rule->replace), "last", rule->last);
}

const struct ctl_view ctl_view_rules = {
	.table = TANDEM__TABLE__RULES,
	.row = TANDEM__ITEM__ROW_RULE,
	CTL_COLUMNS(columns),
	.none = "the configuration has no number rules",
	.cells = rule_cells,
	.json = rule_json,
};

void ctl_number_step(const Tandem__RouteStep *s)
{
	fprintf(stdout, "%s %s%s%s%s%s%s%s: %s", s->who, s->what, s->name[0] ? " " : "", s->name,
		s->plan[0] ? " of plan " : "", s->plan, s->realm[0] ? " of realm " : "", s->realm,
		s->before);
	if (strcmp(s->before, s->after) != 0)
		fprintf(stdout, " → %s", s->after[0] ? s->after : "nothing");
	fprintf(stdout, "%s%s\n", s->why[0] ? ", " : "", s->why);
}

enum ctl_status ctl_rule_test(struct ctl *ctl)
{
	Tandem__Frame request = TANDEM__FRAME__INIT, *frame;
	Tandem__RuleTest test = TANDEM__RULE_TEST__INIT;

	request.body_case = TANDEM__FRAME__BODY_RULE_TEST;
	request.rule_test = &test;
	test.name = ctl->args[0];
	test.number = ctl->args[1];
	if (ctl_ask(ctl, &request, false) != CTL_DONE)
		return CTL_UNREACHABLE;
	while ((frame = ctl_next(ctl, false)) && frame->body_case == TANDEM__FRAME__BODY_ITEM) {
		const Tandem__RouteStep *s = frame->item->route_step;
		bool step = frame->item->row_case == TANDEM__ITEM__ROW_ROUTE_STEP;
		if (step && ctl->json)
			ctl_print_json(json_pack("{s:b, s:o, s:o, s:o}", "ok", s->why[0] == '\0',
				"before", ctl_text(s->before), "after", ctl_text(s->after), "why",
				s->why[0] ? ctl_text(s->why) : json_null()));
		else if (step && s->why[0])
			fprintf(stdout, "%s %s\n", s->name, s->why);
		else if (step)
			fprintf(stdout, "%s → %s\n", s->before, s->after);
		tandem__frame__free_unpacked(frame, NULL);
	}
	if (!frame || frame->body_case != TANDEM__FRAME__BODY_DONE)
		return ctl_end_error(ctl, frame);
	enum ctl_status status = frame->done->count > 0 ? CTL_DONE : CTL_REFUSED;
	tandem__frame__free_unpacked(frame, NULL);
	return status;
}
