// SPDX-License-Identifier: BSD-3-Clause
// How peers stand: what is found withdraws them and brings them back, whoever finds it; and what
// the choice of a route makes of it.
#include "sip/health.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SLOT = 7 };

static const struct td_health_conf probed = { 30000, 4000, 60000, TD_PROBE_OPTIONS, 3, 2, 5 };
static const struct td_health_conf unprobed = { 30000, 4000, 60000, TD_PROBE_NONE, 3, 2, 5 };

struct bench {
	struct td_health *health;
	struct td_policy *policy;
	struct td_trunk_conf trunks[3];
	struct td_route_conf route;
	uint64_t now_ms;
};

static struct td_sockaddr peer(unsigned n)
{
	return (struct td_sockaddr){
		.ip = { 10, 0, 2, (uint8_t)n }, .port = 5060, .family = TD_IPV4
	};
}

// Trunk "in" calls; "one" has two peers, "two" has one.
static uint32_t slot_of(void *ctx, enum td_limit_kind kind, const char *name)
{
	return SLOT + (uint32_t)(name[0] == 'o') + 2 * (uint32_t)(name[0] == 't');
}

static uint32_t row_slot(void *ctx, enum td_limit_kind kind, const char *name)
{
	return (uint32_t)atoi(name);
}

static int realm_of(void *ctx, const char *name)
{
	return 0;
}

static void publish(struct bench *b)
{
	char error[256] = "";
	struct td_policy_conf conf = { .generation = 1,
		.n_trunks = 3,
		.n_routes = 1,
		.trunks = b->trunks,
		.routes = &b->route };
	struct td_policy_env env = { slot_of, realm_of, NULL };
	struct td_policy *policy = td_policy_new(&conf, &env, error, sizeof(error));

	if (!policy)
		fail_msg("%s", error);
	td_health_follow(b->health, policy);
	td_policy_free(b->policy);
	b->policy = policy;
	td_health_sweep(b->health, policy);
}

static void trunk(struct td_trunk_conf *t, const char *name, unsigned first, unsigned n,
	const struct td_health_conf *health)
{
	*t = (struct td_trunk_conf){ .enabled = true, .n_peers = (uint8_t)n, .health = *health };
	snprintf(t->name, sizeof(t->name), "%s", name);
	snprintf(t->realm, sizeof(t->realm), "r");
	for (unsigned i = 0; i < n; i++)
		t->peers[i].address = peer(first + i);
}

static struct bench *bench_new(const struct td_health_conf *one)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->health = td_health_new();
	assert_non_null(b->health);
	trunk(&b->trunks[0], "in", 1, 1, &unprobed);
	trunk(&b->trunks[1], "one", 11, 2, one);
	trunk(&b->trunks[2], "two", 21, 1, &probed);
	b->route = (struct td_route_conf){ .n_from = 1,
		.n_to = 2,
		.from = { "in" },
		.prefix = "49",
		.to = { { .trunk = "one", .priority = 1, .weight = 1 },
			{ .trunk = "two", .priority = 2, .weight = 1 } } };
	b->now_ms = 1000;
	publish(b);
	return b;
}

static void bench_free(struct bench *b)
{
	td_policy_free(b->policy);
	td_health_free(b->health);
	free(b);
}

static struct td_peer_change probe(struct bench *b, unsigned n, uint16_t code)
{
	struct td_sockaddr a = peer(n);
	unsigned t = n / 10;

	return td_health_probed(b->health, SLOT + t, &a, &b->trunks[t].health, b->now_ms, code,
		code == 408 ? 0 : 1000);
}

static struct td_peer_change call(struct bench *b, unsigned n, bool heard)
{
	struct td_sockaddr a = peer(n);
	unsigned t = n / 10;

	return td_health_called(b->health, SLOT + t, &a, &b->trunks[t].health, b->now_ms, heard);
}

static struct td_peer_view view(struct bench *b, unsigned n)
{
	struct td_sockaddr a = peer(n);
	unsigned t = n / 10;

	return td_health_view(b->health, SLOT + t, &a, &b->trunks[t].health, b->now_ms);
}

// Last bytes of the peers that a call is sent to, in order; a peer that is tried for want of others
// with "?".
static const char *route(struct bench *b, uint64_t random, bool emergency)
{
	static char text[128];
	struct td_route_query query = { .number = TD_SPAN("4930"),
		.random = random,
		.health = b->health,
		.now_ms = b->now_ms,
		.emergency = emergency };
	struct td_route_answer answer;
	size_t len = 0;

	if (td_policy_route(b->policy, &query, &answer) != TD_DONE) {
		snprintf(text, sizeof(text), "%u", answer.sip_code);
		return text;
	}
	for (unsigned i = 0; i < answer.n; i++) {
		const struct td_trunk *t = td_policy_trunk(b->policy, answer.targets[i].trunk);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u%s", i ? " " : "",
			t->conf.peers[answer.targets[i].peer].address.ip[3],
			answer.targets[i].last ? "?" : "");
	}
	return text;
}

static void probes_withdraw_and_bring_back(void **state)
{
	struct bench *b = bench_new(&probed);

	assert_string_equal(route(b, 1, false), "11 12 21");
	for (int i = 0; i < 2; i++) {
		assert_false(probe(b, 11, 408).changed);
		assert_true(probe(b, 11, 408).doubtful);
		assert_int_equal(
			probe(b, 11, 404).state, TD_PEER_UP); // any answer is a sign of life
	}
	assert_true(probe(b, 11, 503).doubtful);
	assert_false(probe(b, 11, 503).changed);
	struct td_peer_change down = probe(b, 11, 408);
	assert_true(down.changed);
	assert_int_equal(down.state, TD_PEER_DOWN);
	assert_int_equal(view(b, 11).sip_code, 408);
	assert_int_equal(view(b, 11).since_ms, 1000);
	assert_int_equal(view(b, 11).share_10000, 0);
	assert_int_equal(view(b, 12).state, TD_PEER_UP);
	assert_string_equal(route(b, 1, false), "12 21");
	assert_string_equal(
		route(b, 1, true), "12 21 11?"); // an emergency call leaves nothing untried
	// One answer in between is not enough, and calls that it answers are no probes.
	assert_true(probe(b, 11, 200).doubtful);
	assert_false(probe(b, 11, 408).changed);
	assert_false(call(b, 11, true).changed);
	assert_false(probe(b, 11, 200).changed);
	b->now_ms = 5000;
	assert_int_equal(probe(b, 11, 200).state, TD_PEER_RETURNING);
	assert_int_equal(view(b, 11).share_10000, 1000);
	assert_int_equal(view(b, 11).rtt_us, 1000);
	b->now_ms += 30000;
	assert_int_equal(view(b, 11).share_10000, 5500);
	b->now_ms += 30000;
	assert_int_equal(view(b, 11).state, TD_PEER_UP);
	assert_true(probe(b, 11, 200).changed); // now it is written down
	assert_int_equal(td_health_marked(b->health, SLOT + 1), 0);
	bench_free(b);
}

static void a_returning_peer_gets_its_share_and_no_second_chance(void **state)
{
	struct bench *b = bench_new(&probed);
	unsigned first = 0, n = 10000;

	for (int i = 0; i < 3; i++)
		probe(b, 11, 408);
	probe(b, 11, 200);
	probe(b, 11, 200);
	b->now_ms += 20000; // 40 %
	for (unsigned i = 0; i < n; i++) {
		const char *got = route(b, i * 7919ull, false);
		bool in_turn = strcmp(got, "11 12 21") == 0;
		first += in_turn;
		if (!in_turn)
			assert_string_equal(got, "12 21 11?");
	}
	assert_in_range(first, n * 38 / 100, n * 42 / 100);
	assert_string_equal(route(b, 5, false), route(b, 5, false)); // one seed, one order
	assert_int_equal(call(b, 11, false).state, TD_PEER_DOWN);
	assert_string_equal(route(b, 1, false), "12 21");
	bench_free(b);
}

static void silent_calls_withdraw_and_time_gives_another_chance(void **state)
{
	struct bench *b = bench_new(&unprobed);

	for (int i = 0; i < 4; i++)
		assert_false(call(b, 11, false).changed);
	assert_false(call(b, 11, true).changed); // in a row
	for (int i = 0; i < 4; i++)
		assert_false(call(b, 11, false).changed);
	assert_true(call(b, 11, false).changed);
	assert_int_equal(view(b, 11).state, TD_PEER_DOWN);
	// Nobody knows for sure, so it comes last instead of never.
	assert_string_equal(route(b, 1, false), "12 21 11?");
	assert_true(call(b, 11, true).changed);
	assert_int_equal(view(b, 11).state, TD_PEER_RETURNING);
	assert_int_equal(call(b, 11, false).state, TD_PEER_DOWN);
	b->now_ms += 29999;
	assert_int_equal(view(b, 11).state, TD_PEER_DOWN);
	b->now_ms += 1;
	assert_int_equal(view(b, 11).state, TD_PEER_RETURNING);
	assert_int_equal(call(b, 11, false).state, TD_PEER_DOWN); // silent again: another interval
	b->now_ms += 29999;
	assert_int_equal(view(b, 11).state, TD_PEER_DOWN);
	b->now_ms += 60001;
	assert_int_equal(view(b, 11).state, TD_PEER_UP);
	assert_string_equal(route(b, 1, false), "11 12 21");
	call(b, 11, true);
	assert_int_equal(td_health_marked(b->health, SLOT + 1), 0);
	bench_free(b);
}

static void with_all_down_there_is_no_way(void **state)
{
	struct bench *b = bench_new(&probed);

	for (int i = 0; i < 3; i++) {
		probe(b, 11, 408);
		probe(b, 12, 503);
		probe(b, 21, 408);
	}
	assert_string_equal(route(b, 1, false), "503");
	assert_string_equal(route(b, 1, true), "11? 12? 21?");
	probe(b, 21, 200);
	probe(b, 21, 200);
	assert_int_equal(view(b, 21).state, TD_PEER_RETURNING);
	assert_int_equal(route(b, 1, false)[0], '2'); // in turn or not, it is the only one
	bench_free(b);
}

// As many trunks may be down as there are: each is passed over, and what is still there is found
// behind them.
static void a_long_row_of_trunks_is_down(void **state)
{
	enum { ROUTES = 6, TRUNKS = ROUTES * TD_ROUTE_TARGETS_MAX };
	struct td_health *health = td_health_new();
	struct td_trunk_conf *trunks = calloc(TRUNKS + 2, sizeof(*trunks));
	struct td_route_conf *routes = calloc(ROUTES + 1, sizeof(*routes));
	struct td_policy_conf conf = { .generation = 1,
		.n_trunks = TRUNKS + 2,
		.n_routes = ROUTES + 1,
		.trunks = trunks,
		.routes = routes };
	struct td_policy_env env = { row_slot, realm_of, NULL };
	struct td_route_query query = {
		.number = TD_SPAN("4930123456"), .random = 1, .health = health, .now_ms = 1
	};
	struct td_route_answer answer;
	char name[TD_NAME_LEN], error[256] = "";

	for (unsigned i = 0; i < TRUNKS + 2; i++) {
		snprintf(name, sizeof(name), "%u", i);
		trunk(&trunks[i], name, i, 1, &probed);
	}
	for (unsigned i = 0; i <= ROUTES;
		i++) { // the longest prefix first; the last route is the only way
		routes[i] = (struct td_route_conf){ .n_from = 1, .from = { "0" } };
		snprintf(routes[i].prefix, sizeof(routes[i].prefix), "%.*s", (int)(ROUTES - i + 1),
			"4930123456");
		for (unsigned k = 0; k < (i < ROUTES ? TD_ROUTE_TARGETS_MAX : 1); k++)
			snprintf(routes[i].to[routes[i].n_to++].trunk, TD_NAME_LEN, "%u",
				1 + i * TD_ROUTE_TARGETS_MAX + k);
	}
	struct td_policy *policy = td_policy_new(&conf, &env, error, sizeof(error));
	if (!policy)
		fail_msg("%s", error);
	td_health_follow(health, policy);
	for (unsigned i = 1; i <= TRUNKS; i++)
		for (unsigned n = 0; n < probed.down_after; n++)
			td_health_probed(
				health, i, &trunks[i].peers[0].address, &probed, 1, 408, 0);
	assert_int_equal(td_policy_route(policy, &query, &answer), TD_DONE);
	assert_int_equal(answer.n, 1);
	assert_int_equal(answer.targets[0].trunk, TRUNKS + 1);
	query.emergency = true;
	assert_int_equal(td_policy_route(policy, &query, &answer), TD_DONE);
	assert_int_equal(answer.n, TD_ATTEMPTS_MAX);
	assert_int_equal(answer.targets[0].trunk, TRUNKS + 1);
	assert_int_equal(answer.targets[1].trunk, 1);
	td_policy_free(policy);
	td_health_free(health);
	free(trunks);
	free(routes);
}

static void what_nobody_asked_for_stays_off(void **state)
{
	static const struct td_health_conf off = { 0 };
	struct bench *b = bench_new(&off);

	for (int i = 0; i < 200; i++)
		assert_false(call(b, 11, false).changed);
	assert_string_equal(route(b, 1, false), "11 12 21");
	// What has no place is up.
	struct td_sockaddr stranger = peer(99);
	assert_int_equal(td_health_view(b->health, SLOT, &stranger, &probed, 1).state, TD_PEER_UP);
	assert_int_equal(
		td_health_view(b->health, UINT32_MAX, &stranger, &probed, 1).share_10000, 10000);
	assert_false(
		td_health_probed(b->health, UINT32_MAX, &stranger, &probed, 1, 408, 0).changed);
	assert_int_equal(td_health_marked(b->health, UINT32_MAX), 0);
	bench_free(b);
}

static void a_reload_keeps_what_stays(void **state)
{
	struct bench *b = bench_new(&probed);

	for (int i = 0; i < 3; i++) {
		probe(b, 11, 408);
		probe(b, 12, 408);
	}
	// The order changes, .12 goes, .13 is new.
	b->trunks[1].peers[0].address = peer(13);
	b->trunks[1].peers[1].address = peer(11);
	publish(b);
	assert_string_equal(route(b, 1, false), "13 21");
	assert_int_equal(view(b, 11).state, TD_PEER_DOWN);
	// Who comes back is not held to what it once was.
	b->trunks[1].peers[0].address = peer(12);
	publish(b);
	assert_int_equal(view(b, 12).state, TD_PEER_UP);
	assert_string_equal(route(b, 1, false), "12 21");
	// All peers replaced, again and again: places are found.
	for (unsigned round = 0; round < 40; round++) {
		b->trunks[1].n_peers = TD_PEERS_MAX;
		for (unsigned i = 0; i < TD_PEERS_MAX; i++) {
			b->trunks[1].peers[i].address = peer(11);
			b->trunks[1].peers[i].address.port = (uint16_t)(1000 + round * 100 + i);
		}
		publish(b);
		publish(b);
		for (unsigned i = 0; i < TD_PEERS_MAX; i++) {
			const struct td_sockaddr *a = &b->trunks[1].peers[i].address;
			for (int k = 0; k < 3; k++)
				td_health_probed(
					b->health, SLOT + 1, a, &probed, b->now_ms, 408, 0);
			assert_int_equal(
				td_health_view(b->health, SLOT + 1, a, &probed, b->now_ms).state,
				TD_PEER_DOWN);
		}
	}
	bench_free(b);
}

// --- several threads: each change is made once ---

struct finder {
	pthread_t thread;
	struct bench *bench;
	uint32_t seed, downs, returns;
};

static void *finds(void *arg)
{
	struct finder *f = arg;
	struct td_sockaddr a = peer(11);

	for (int i = 0; i < 200000; i++) {
		f->seed = f->seed * 1103515245 + 12345;
		struct td_peer_change c = td_health_called(
			f->bench->health, SLOT + 1, &a, &unprobed, 1000, f->seed >> 20 & 1);
		f->downs += c.changed && c.state == TD_PEER_DOWN;
		f->returns += c.changed && c.state == TD_PEER_RETURNING;
	}
	return NULL;
}

static void many_find_and_each_change_is_one(void **state)
{
	struct bench *b = bench_new(&unprobed);
	struct finder finders[4];
	uint32_t downs = 0, returns = 0;

	for (uint32_t i = 0; i < 4; i++) {
		finders[i] = (struct finder){ .bench = b, .seed = i + 1 };
		assert_int_equal(pthread_create(&finders[i].thread, NULL, finds, &finders[i]), 0);
	}
	for (uint32_t i = 0; i < 4; i++) {
		pthread_join(finders[i].thread, NULL);
		downs += finders[i].downs;
		returns += finders[i].returns;
	}
	assert_in_range(downs, 1, UINT32_MAX);
	assert_in_range(downs - returns, 0, 1); // they alternate
	assert_int_equal(downs - returns, view(b, 11).state == TD_PEER_DOWN);
	assert_true(td_health_marked(b->health, SLOT + 1) != 0);
	bench_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probes_withdraw_and_bring_back),
		cmocka_unit_test(a_returning_peer_gets_its_share_and_no_second_chance),
		cmocka_unit_test(silent_calls_withdraw_and_time_gives_another_chance),
		cmocka_unit_test(with_all_down_there_is_no_way),
		cmocka_unit_test(a_long_row_of_trunks_is_down),
		cmocka_unit_test(what_nobody_asked_for_stays_off),
		cmocka_unit_test(a_reload_keeps_what_stays),
		cmocka_unit_test(many_find_and_each_change_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
