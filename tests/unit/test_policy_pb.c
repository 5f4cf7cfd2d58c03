// SPDX-License-Identifier: BSD-3-Clause
// control/policy_pb.h: a policy survives the way there and back; what is out of bounds does not.
#include "control/policy_pb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct td_trunk_conf trunks[2];
static struct td_route_conf routes[1];
static struct td_rule_conf rules[1];

static struct td_group_conf group = { .name = "g",
	.limit = { 10, 20, 30 },
	.n_members = 1,
	.members = { { .trunk = "b", .priority = 1, .weight = 2 } } };
static struct td_limit_conf limit = { .name = "l", .limit = { 11, 21, 31 } };

static struct td_plan_conf plan = { .name = "gold",
	.rules = { .caller = { 1, { "r" } }, .callee = { 2, { "r", "s" } } } };

static struct td_realm_numbers_conf realms[2] = {
	{ .realm = "west",
		.subscribers = { .form = { .country = "33" }, .from_realm = 1 << TD_PART_FORM } },
	{ .realm = "east", .numbers = { .form = { .country = "44" } } },
};

static struct td_policy_conf sample(void)
{
	memset(trunks, 0, sizeof(trunks));
	memset(routes, 0, sizeof(routes));
	trunks[0] = (struct td_trunk_conf){ .name = "a",
		.realm = "west",
		.enabled = true,
		.trust = TD_TRUST_IN,
		.n_peers = 2,
		.n_sources = 1,
		.n_media_sources = 1,
		.n_failover_codes = 2,
		.failover_codes = { 404, 480 },
		.max_calls = 5,
		.max_cps = 6,
		.cps_burst = 7,
		.attempt_timeout_ms = 1500,
		.ring_timeout_ms = 9,
		.max_duration_s = 8,
		.media_timeout_s = 7,
		.health = { 1, 2, 3, TD_PROBE_OPTIONS, 4, 5, 6 },
		.match = { .listener = "10.0.0.1", .domain = "d", .source_port = 9 },
		.credentials = { .username = "u",
			.realm = "r",
			.ha1_md5 = { 1 },
			.ha1_sha256 = { 2 } },
		.registration = { .user = "u", .domain = "d", .contact = "c", .expires_s = 300 },
		.n_hosts = 1,
		.hosts = { { .name = "sip.carrier.example", .port = 5070 } },
		.numbers = { .in = { .caller = { 1, { "r" } }, .callee = { 2, { "r", "r" } } },
			.out = { .caller = { 1, { "r" } }, .callee = { 1, { "r" } } },
			.form = { .country = "49",
				.area = "30",
				.international = "00",
				.national = "0",
				.bare_digits = 5,
				.accept = TD_NUMBER_DIGITS,
				.format = TD_FORMAT_NATIONAL },
			.caller_in = { .fallback = "+4930",
				.allowed = { "+49", "44" },
				.n_allowed = 2,
				.on_refused = TD_CALLER_REJECT,
				.keep_name = true },
			.caller_out = { .privacy = TD_PRIVACY_STRIP },
			.from_realm = 1 << TD_PART_IN_CALLEE | 1 << TD_PART_SHOWN_OUT } };
	rules[0] = (struct td_rule_conf){
		.name = "r", .match = "^00(.*)", .replace = "+\\1", .last = true
	};
	td_ip_parse(TD_SPAN("10.0.0.9"), &trunks[0].peers[0].address);
	td_ip_parse(TD_SPAN("fd00::9"), &trunks[0].peers[1].address);
	trunks[0].peers[0].address.port = 5060;
	trunks[0].peers[1].priority = 4;
	trunks[0].peers[1].weight = 5;
	trunks[0].peers[1].host = 1;
	trunks[0].peers[1].set = 2;
	trunks[0].sources[0] = (struct td_prefix){ .ip = { 10 }, .family = TD_IPV4, .len = 8 };
	trunks[0].media_sources[0] =
		(struct td_prefix){ .ip = { 0xfd }, .family = TD_IPV6, .len = 16 };
	trunks[1] = (struct td_trunk_conf){
		.name = "b", .realm = "east", .early_single = true, .use_rn = true
	};
	routes[0] = (struct td_route_conf){ .n_from = 1,
		.n_to = 1,
		.from = { "a" },
		.prefix = "49",
		.to = { { .trunk = "b", .priority = 1, .weight = 100 } } };
	return (struct td_policy_conf){ .generation = 77,
		.n_trunks = 2,
		.n_routes = 1,
		.trunks = trunks,
		.routes = routes,
		.n_rules = 1,
		.rules = rules,
		.n_plans = 1,
		.plans = &plan,
		.n_realms = 2,
		.realms = realms,
		.subscribers = { .form = { .country = "1" } },
		.subscribers_media_timeout_s = 301,
		.subscribers_max_duration_s = 7201,
		.max_calls = 1,
		.max_cps = 2,
		.cps_burst = 5,
		.n_emergency = 2,
		.emergency = { "112", "110" },
		.n_groups = 1,
		.groups = &group,
		.n_limits = 1,
		.limits = &limit,
		.source_cps = 3,
		.drain_s = 4 };
}

static void there_and_back_is_the_same(void **state)
{
	struct td_policy_conf conf = sample();
	const char *error = NULL;
	size_t len;
	uint8_t *bytes = td_policy_pack(&conf, &len);

	assert_non_null(bytes);
	struct td_policy_conf *back = td_policy_unpack(bytes, len, &error);
	assert_non_null(back);
	assert_int_equal(back->generation, 77);
	assert_int_equal(back->drain_s, 4);
	assert_int_equal(back->cps_burst, 5);
	assert_int_equal(back->n_emergency, 2);
	assert_memory_equal(back->emergency, conf.emergency, sizeof(conf.emergency));
	assert_int_equal(back->n_trunks, 2);
	for (uint32_t i = 0; i < 2; i++)
		assert_memory_equal(&back->trunks[i], &trunks[i], sizeof(trunks[i]));
	assert_memory_equal(&back->routes[0], &routes[0], sizeof(routes[0]));
	assert_memory_equal(&back->groups[0], &group, sizeof(group));
	assert_memory_equal(&back->limits[0], &limit, sizeof(limit));
	assert_int_equal(back->n_rules, 1);
	assert_memory_equal(&back->rules[0], &rules[0], sizeof(rules[0]));
	assert_int_equal(back->n_plans, 1);
	assert_memory_equal(&back->plans[0], &plan, sizeof(plan));
	assert_memory_equal(&back->subscribers, &conf.subscribers, sizeof(conf.subscribers));
	// What east says is in its trunks already, and it has no subscribers.
	assert_int_equal(back->n_realms, 1);
	assert_memory_equal(&back->realms[0], &realms[0], sizeof(realms[0]));
	assert_int_equal(back->subscribers_media_timeout_s, 301);
	assert_int_equal(back->subscribers_max_duration_s, 7201);
	td_policy_conf_free(back);
	free(bytes);
}

static void generation_follows_content_only(void **state)
{
	struct td_policy_conf conf = sample();
	uint64_t before = td_policy_generation_of(&conf);

	conf.generation = 1234;
	assert_int_equal(td_policy_generation_of(&conf), before);
	trunks[1].max_cps = 1;
	assert_int_not_equal(td_policy_generation_of(&conf), before);
	trunks[1].max_cps = 0;
	assert_int_equal(td_policy_generation_of(&conf), before);
	rules[0].last = false;
	assert_int_not_equal(td_policy_generation_of(&conf), before);
	rules[0].last = true;
	conf.subscribers.form.format = TD_FORMAT_PLAIN;
	assert_int_not_equal(td_policy_generation_of(&conf), before);
}

static void refuse(Tandem__Policy *policy, const char *words)
{
	const char *error = NULL;

	assert_null(td_policy_from_pb(policy, &error));
	assert_non_null(error);
	assert_non_null(strstr(error, words));
}

static void what_is_out_of_bounds_is_refused(void **state)
{
	struct td_policy_conf conf = sample();
	Tandem__Policy *policy = td_policy_to_pb(&conf);
	Tandem__Trunk *trunk = policy->trunks[0];

	trunk->trust = 9;
	refuse(policy, "trust");
	trunk->trust = 0;
	trunk->numbers->from_realm = 1 << TD_PARTS;
	refuse(policy, "no part of numbers");
	trunk->numbers->from_realm = 0;
	trunk->peers[0]->address->port = 70000;
	refuse(policy, "port");
	trunk->peers[0]->address->port = 1;
	trunk->peers[0]->address->ip.len = 3;
	refuse(policy, "neither 4 nor 16");
	trunk->peers[0]->address->ip.len = 4;
	trunk->sources[0]->length = 33;
	refuse(policy, "longer than its address");
	trunk->sources[0]->length = 8;
	free(trunk->name);
	trunk->name = strdup("a name that is far longer than any name of a trunk may ever be");
	refuse(policy, "longer than its ceiling");
	trunk->name[1] = '\0';
	trunk->numbers->form->format = 5;
	refuse(policy, "form of numbers");
	trunk->numbers->form->format = 0;
	trunk->numbers->caller_in->on_refused = 3;
	refuse(policy, "refused callers");
	trunk->numbers->caller_in->on_refused = 0;
	policy->n_routes = TD_ROUTES_MAX + 1;
	refuse(policy, "too many routes");
	policy->n_routes = 1;
	tandem__address__free_unpacked(trunk->peers[0]->address, NULL);
	trunk->peers[0]->address = NULL;
	refuse(policy, "no address");
	tandem__policy__free_unpacked(policy, NULL);
}

static void bytes_that_are_no_policy(void **state)
{
	static const uint8_t garbage[] = { 0xff, 0xff, 0xff, 0xff, 0x01 };
	const char *error = NULL;

	assert_null(td_policy_unpack(garbage, sizeof(garbage), &error));
	assert_string_equal(error, "not a Policy message");
	struct td_policy_conf *empty = td_policy_unpack(garbage, 0, &error);
	assert_non_null(empty);
	assert_int_equal(empty->n_trunks, 0);
	td_policy_conf_free(empty);
}

// Every cut of a whole message is refused or taken, never followed out of bounds (the sanitizers
// watch).
static void cut_messages_do_no_harm(void **state)
{
	struct td_policy_conf conf = sample();
	size_t len;
	uint8_t *bytes = td_policy_pack(&conf, &len);

	for (size_t cut = 0; cut < len; cut++) {
		const char *error = NULL;
		uint8_t *part = malloc(cut + 1);
		memcpy(part, bytes, cut);
		td_policy_conf_free(td_policy_unpack(part, cut, &error));
		free(part);
	}
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back_is_the_same),
		cmocka_unit_test(generation_follows_content_only),
		cmocka_unit_test(what_is_out_of_bounds_is_refused),
		cmocka_unit_test(bytes_that_are_no_policy),
		cmocka_unit_test(cut_messages_do_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
