// SPDX-License-Identifier: BSD-3-Clause
// tandemctl route test: the decision that a worker would take now, told step by step, from the
// policy in force and by the same code.
#include "dataplane/admin.h"
#include "sip/policy.h"
#include "sip/subscribers.h"

#include <errno.h>
#include <stdlib.h>

struct test {
	struct td_mgmt_conn *conn;
	uint64_t id;
	uint64_t steps;
	bool emergency;
	struct td_rule_matcher *matcher;
};

struct numbers {
	struct td_number caller, callee, asserted;
};

#define STEPS_MAX 2000 // of one answer

static void on_step(void *ctx, const struct td_route_step *step)
{
	struct test *t = ctx;
	Tandem__Item item = TANDEM__ITEM__INIT;
	Tandem__RouteStep row = TANDEM__ROUTE_STEP__INIT;
	char plan[TD_NAME_LEN], match[128], name[TD_NAME_LEN];

	if (t->steps++ >= STEPS_MAX)
		return;
	td_span_cstr(step->plan, plan, sizeof(plan));
	td_span_cstr(step->match, match, sizeof(match));
	td_span_cstr(step->name, name, sizeof(name));
	item.row_case = TANDEM__ITEM__ROW_ROUTE_STEP;
	item.route_step = &row;
	row.what = (char *)(uintptr_t)step->what;
	if (step->why)
		row.why = (char *)(uintptr_t)step->why;
	row.plan = plan;
	row.match = match;
	row.name = name;
	row.priority = step->priority;
	row.weight = step->weight;
	row.cost = step->cost;
	row.status = step->status;
	td_mgmt_item_send(t->conn, t->id, &item);
}

// What the rules and the form of a trunk make of the two numbers.
static void on_number(void *ctx, const struct td_numbers_step *step)
{
	struct test *t = ctx;

	if (t->steps++ < STEPS_MAX)
		td_number_step_send(t->conn, t->id, step);
}

// As they go out to a target; the number of an emergency call stays as it is.
static void numbers_out(struct test *t, const struct td_trunk *trunk, struct numbers *n)
{
	const struct td_numbers_trace trace = { on_number, t };
	struct td_numbers_run run = { .matcher = t->matcher, .trace = &trace };

	if (!trunk->numbers)
		return;
	run.realm = td_numbers_realm(trunk->numbers, TD_PART_SHOWN_OUT);
	if (!t->emergency)
		td_numbers_screen(&trunk->numbers->caller_out, &run, &n->caller, &n->asserted);
	if (n->callee.len > 0 && !t->emergency)
		td_numbers_out(trunk->numbers, &run, TD_CALLEE, &n->callee);
	if (n->caller.len > 0)
		td_numbers_out(trunk->numbers, &run, TD_CALLER, &n->caller);
}

static void rules_in(struct test *t, const struct td_numbers *numbers, struct td_numbers_run *run,
	struct numbers *n)
{
	if (n->callee.len > 0 && !t->emergency)
		td_numbers_in(numbers, run, TD_CALLEE, &n->callee);
	if (n->caller.len > 0)
		td_numbers_in(numbers, run, TD_CALLER, &n->caller);
}

// As they come in from the trunk. false: that caller is refused.
static bool trunk_in(
	struct test *t, const struct td_trunk *trunk, struct td_numbers_run *run, struct numbers *n)
{
	if (!trunk->numbers)
		return true;
	rules_in(t, trunk->numbers, run, n);
	run->realm = td_numbers_realm(trunk->numbers, TD_PART_SHOWN_IN);
	return t->emergency || td_numbers_screen(&trunk->numbers->caller_in, run, &n->caller,
				       &n->asserted) != TD_CALLER_REFUSED;
}

// And in the dial plan behind it.
static bool numbers_in(struct test *t, const struct td_policy *policy,
	const struct td_route_query *query, struct numbers *n)
{
	const struct td_numbers_trace trace = { on_number, t };
	struct td_numbers_run run = { .matcher = t->matcher, .trace = &trace };
	const struct td_trunk *trunk = td_policy_trunk(policy, query->trunk_in);
	const struct td_numbers *plan = td_policy_plan_numbers(policy, trunk, query->plan);

	if (!trunk_in(t, trunk, &run, n))
		return false;
	if (plan)
		rules_in(t, plan, &run, n);
	return true;
}

static void target_send(struct test *t, const struct td_policy *policy,
	const struct td_route_target *target, const struct numbers *came)
{
	const struct td_trunk *trunk = td_policy_trunk(policy, target->trunk);
	const struct td_policy_limit *group =
		td_policy_limit(policy, TD_LIMIT_GROUP, target->group);
	const struct td_policy_limit *limit =
		td_policy_limit(policy, TD_LIMIT_ROUTE, target->limit);
	const struct td_failover_conf *failover = td_policy_failover(policy, target->failover);
	Tandem__Item item = TANDEM__ITEM__INIT;
	Tandem__RouteTargetState row = TANDEM__ROUTE_TARGET_STATE__INIT;
	char peer[TD_ADDR_STRLEN] = "", registrar[] = "registrar";
	char number[TD_NUMBER_TEXT], caller[TD_NUMBER_TEXT];
	struct numbers n = *came;

	if (target->kind == TD_TARGET_PEER && trunk)
		numbers_out(t, trunk, &n);
	td_span_cstr(td_number_span(&n.callee), number, sizeof(number));
	td_span_cstr(td_number_span(&n.caller), caller, sizeof(caller));

	item.row_case = TANDEM__ITEM__ROW_ROUTE_TARGET;
	item.route_target = &row;
	row.trunk = registrar;
	row.number = number;
	row.caller = caller;
	if (target->kind == TD_TARGET_PEER && trunk) {
		row.trunk = (char *)(uintptr_t)trunk->conf.name;
		td_sockaddr_format(&trunk->conf.peers[target->peer].address, peer, sizeof(peer));
	}
	row.peer = peer;
	if (group)
		row.group = (char *)(uintptr_t)group->name;
	if (limit)
		row.limit = (char *)(uintptr_t)limit->name;
	if (failover)
		row.failover = (char *)(uintptr_t)failover->name;
	row.max_duration_s = target->max_duration_s;
	td_mgmt_item_send(t->conn, t->id, &item);
}

// Index of the trunk that requests of that name come from.
static bool trunk_find(const struct td_policy *policy, const char *name, uint32_t *out)
{
	for (uint32_t i = 0; i < td_policy_n_trunks(policy); i++)
		if (strcmp(td_policy_trunk(policy, i)->conf.name, name) == 0) {
			*out = i;
			return true;
		}
	return false;
}

// Index of the trunk of subscribers in the realm where that AoR's domain registers.
static bool subscribers_find(const struct td_admin *admin, const char *aor, uint32_t *out)
{
	const struct td_config *conf = &admin->dp->conf;
	int trunk = -1;

	for (uint16_t r = 0; trunk < 0 && r < conf->n_realms; r++)
		for (uint8_t d = 0; d < conf->realms[r].registrar.n_domains; d++)
			if (strcmp(conf->realms[r].registrar.domains[d], strchr(aor, '@') + 1) == 0)
				trunk = td_policy_subscribers(admin->policy->current, r);
	*out = trunk < 0 ? 0 : (uint32_t)trunk;
	return trunk >= 0;
}

// Who calls: a trunk, or a subscriber by AoR, whose plan and first number are known then.
static bool caller_find(const struct td_admin *admin, const Tandem__RouteTest *request,
	struct td_route_query *query, char *plan)
{
	const struct td_policy *policy = admin->policy->current;

	query->caller = td_span_str(request->caller);
	if (!strchr(request->from, '@'))
		return trunk_find(policy, request->from, &query->trunk_in);
	const struct td_subscriber_entry *e =
		admin->dp->subscribers
			? td_subscribers_find(admin->dp->subscribers, td_span_str(request->from))
			: NULL;
	if (!e || !subscribers_find(admin, request->from, &query->trunk_in))
		return false;
	td_span_cstr(td_subscriber_plan(e), plan, TD_NAME_LEN);
	query->plan = td_span_str(plan);
	if (query->caller.len == 0 && e->n_numbers > 0)
		query->caller = td_subscriber_number(e, 0);
	return true;
}

// As the call layer asks: of the URI that such a call would have.
static bool is_emergency(const struct td_policy *policy, const char *number)
{
	char text[160];
	struct td_uri uri;
	bool urn = strncmp(number, "urn:", 4) == 0;

	snprintf(text, sizeof(text), "%s%s%s", urn ? "" : "sip:", number, urn ? "" : "@localhost");
	return td_uri_parse(td_span_str(text), &uri) == 0 && td_policy_emergency(policy, &uri);
}

static void *heap(void *ctx, size_t bytes)
{
	return malloc(bytes);
}

static void heap_free(void *ctx, void *place)
{
	free(place);
}

const struct td_alloc td_rule_test_memory = { .alloc = heap, .free = heap_free };

static void number_put(struct td_number *number, struct td_span text, bool plus)
{
	if (plus && text.len > 0 && text.ptr[0] != '+')
		td_number_append(number, TD_SPAN("+"));
	if (!td_number_append(number, text))
		number->len = 0; // too long for any rule
}

static enum td_answer decide(struct test *t, const struct td_policy *policy,
	struct td_route_query *query, const struct numbers *n, struct td_route_answer *answer)
{
	struct td_route_trace trace = { on_step, t };

	query->user = n->callee.len > 0 ? td_number_span(&n->callee) : query->user;
	query->number = n->callee.len > 0 ? td_number_digits(&n->callee) : query->user;
	query->caller = td_number_digits(&n->caller);
	return td_policy_route_traced(policy, query, answer, &trace);
}

static void test_run(struct test *t, const struct td_policy *policy, struct td_route_query *query,
	struct numbers *n)
{
	struct td_route_answer answer = { 0 };
	enum td_answer said = TD_REFUSED;

	if (numbers_in(t, policy, query, n))
		said = decide(t, policy, query, n, &answer);
	else
		answer.sip_code = 403;
	for (uint16_t i = 0; said == TD_DONE && i < answer.n; i++)
		target_send(t, policy, &answer.targets[i], n);
	td_mgmt_send_done(t->conn, t->id, said == TD_DONE ? 0 : answer.sip_code);
}

void td_route_test(struct td_admin *admin, struct td_mgmt_conn *conn, uint64_t id,
	const Tandem__RouteTest *request)
{
	const struct td_policy *policy = admin->policy->current;
	struct test t = { .conn = conn, .id = id };
	struct numbers n = { 0 };
	struct td_route_query query = { .random = 1,
		.wall_s = request->at_s,
		.health = admin->dp->health,
		.now_ms = td_clock_now(&admin->dp->clock) / 1000000 };
	char plan[TD_NAME_LEN];
	const char *number = request->number, *at = strchr(number, '@');

	if (!policy || !caller_find(admin, request, &query, plan)) {
		td_mgmt_send_error(conn, id, ENOENT,
			policy ? "no trunk has that name, and no subscriber that address; "
				 "show trunks and subscriber list say who there is"
			       : "there is no policy in force");
		return;
	}
	query.user = at ? td_span(number, (size_t)(at - number)) : td_span_str(number);
	if (at)
		query.domain = td_span_str(at + 1);
	query.emergency = t.emergency = is_emergency(policy, number);
	number_put(&n.callee, query.user, false);
	// A subscriber's own numbers are E.164.
	number_put(&n.caller, query.caller, strchr(request->from, '@') != NULL);
	if (strchr(request->from, '@'))
		n.asserted = n.caller;
	t.matcher = td_rule_matcher_new(&td_rule_test_memory);
	if (t.matcher)
		test_run(&t, policy, &query, &n);
	else
		td_mgmt_send_error(conn, id, ENOMEM, "no memory");
	td_rule_matcher_free(t.matcher, &td_rule_test_memory);
}
