// SPDX-License-Identifier: BSD-3-Clause
// What is asked of memory before a decision: the same places that the decision reads.
#include "sip/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROUTES = 400 };

static uint32_t slot_of(void *ctx, enum td_limit_kind kind, const char *name)
{
	return 0;
}

static int realm_of(void *ctx, const char *name)
{
	return 0;
}

static void trunk_fill(struct td_trunk_conf *t, const char *name, uint8_t last)
{
	td_span_cstr(td_span_str(name), t->name, sizeof(t->name));
	t->enabled = true;
	t->n_peers = 1;
	t->peers[0].address =
		(struct td_sockaddr){ .ip = { 10, 0, 0, last }, .port = 5060, .family = TD_IPV4 };
}

// Prefixes 49000, 49001 …; every other one leads to the registrar first.
static struct td_policy *policy_of(uint32_t n_routes)
{
	struct td_trunk_conf trunks[2] = { 0 };
	struct td_route_conf *routes = calloc(n_routes, sizeof(*routes));
	const struct td_policy_conf conf = {
		.n_trunks = 2, .trunks = trunks, .n_routes = n_routes, .routes = routes
	};
	const struct td_policy_env env = { .slot_of = slot_of, .realm_of = realm_of };
	char error[256] = "";

	assert_non_null(routes);
	trunk_fill(&trunks[0], "a", 1);
	trunk_fill(&trunks[1], "b", 2);
	for (uint32_t i = 0; i < n_routes; i++) {
		struct td_route_conf *r = &routes[i];
		r->n_from = 1;
		r->from[0][0] = 'a';
		snprintf(r->prefix, sizeof(r->prefix), "49%03u", i);
		if (i % 2)
			r->to[r->n_to++].registrar = true;
		r->to[r->n_to].trunk[0] = 'b';
		r->to[r->n_to++].priority = 1;
	}
	struct td_policy *policy = td_policy_new(&conf, &env, error, sizeof(error));
	free(routes);
	if (!policy)
		fail_msg("%s", error);
	return policy;
}

static void steps_of(const struct td_policy *policy, const char *number,
	const enum td_ahead_step *steps)
{
	struct td_route_ahead ahead;

	td_policy_ahead(policy, 0, td_span_str(number), &ahead);
	for (;; steps++) {
		assert_int_equal(ahead.step, *steps);
		if (*steps == TD_AHEAD_OVER)
			return;
		td_policy_ahead_step(&ahead);
	}
}

static void a_large_plan_is_walked(void **state)
{
	static const enum td_ahead_step plain[] = { TD_AHEAD_KEY, TD_AHEAD_NAMES, TD_AHEAD_OVER },
					set[] = { TD_AHEAD_KEY, TD_AHEAD_SET, TD_AHEAD_NAMES,
						TD_AHEAD_OVER },
					unknown[] = { TD_AHEAD_KEY, TD_AHEAD_OVER },
					over[] = { TD_AHEAD_OVER };
	struct td_policy *policy = policy_of(ROUTES);

	steps_of(policy, "490081234", plain);
	steps_of(policy, "490091234", set);
	steps_of(policy, "33123", unknown);
	steps_of(policy, "alice", over);
	td_policy_free(policy);
}

static void nothing_is_asked_of_a_small_plan(void **state)
{
	static const enum td_ahead_step over[] = { TD_AHEAD_OVER };
	struct td_policy *policy = policy_of(4);
	struct td_route_ahead ahead;

	steps_of(policy, "490001234", over);
	td_policy_ahead(policy, 1, TD_SPAN("490001234"), &ahead); // no route is from there
	assert_int_equal(ahead.step, TD_AHEAD_OVER);
	td_policy_ahead_step(&ahead);
	assert_int_equal(ahead.step, TD_AHEAD_OVER);
	td_policy_free(policy);
}

// What a call asks of a trunk lies on two lines, wherever the trunk stands.
static void trunks_lie_on_their_lines(void **state)
{
	struct td_policy *policy = policy_of(1);

	for (uint32_t i = 0; i < td_policy_n_trunks(policy); i++)
		assert_int_equal((uintptr_t)td_policy_trunk(policy, i) % TD_TRUNK_HOT, 0);
	td_policy_free(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_large_plan_is_walked),
		cmocka_unit_test(nothing_is_asked_of_a_small_plan),
		cmocka_unit_test(trunks_lie_on_their_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
