// SPDX-License-Identifier: BSD-3-Clause
// Places in the neighbour table come back: by age, and when somebody invents addresses.
#include "neigh_rig.h"

#include "dataplane/leg.h"
#include "dataplane/l2.h"
#include "dataplane/neigh_table.h"
#include "sip/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

#define GATEWAYS 2
#define CAPACITY 64
#define SPOOFED 10000

static const struct rte_ether_addr peer = PEER_MAC;

// From the first worker.
static void send_to(uint16_t realm, const char *src, const char *dst)
{
	neigh_send(0, realm, src, dst, 100);
}

static uint32_t find(uint16_t realm, const char *ip)
{
	struct td_sockaddr a = path_addr(ip, 0);

	return td_neigh_table_find(path.dp, realm, &a);
}

static bool known(uint16_t realm, const char *ip)
{
	uint32_t index = find(realm, ip);

	return index != TD_ADJACENCY_NONE &&
	       path.dp->adjacencies[index].mac == (td_mac_word(&peer) | TD_ADJACENCY_VALID);
}

// We have sent to it and it answered.
static void meet(uint16_t realm, const char *src, const char *ip)
{
	neigh_learn(realm, ip);
	send_to(realm, src, ip);
	path_run(1000); // a sweep sees it
	assert_true(known(realm, ip));
}

static void seconds(int n)
{
	for (int i = 0; i < n; i++) {
		path_run(1000);
		neigh_sent(PORT_A);
		neigh_sent(PORT_B);
	}
}

// A call's media goes to that address from worker 0.
static td_leg_id leg_to(const char *ip)
{
	struct td_worker *w = path.dp->workers[0];
	struct td_leg_open open = { .realm = WEST, .family = TD_IPV4, .call = 1 };
	struct td_leg_modify modify = { .rtp = path_addr(ip, 4000), .direction = TD_LEG_SENDRECV };
	struct td_leg_local local;
	td_leg_id to, from;

	assert_int_equal(td_leg_open(w, &open, &to, &local), 0);
	open.realm = EAST;
	assert_int_equal(td_leg_open(w, &open, &from, &local), 0);
	td_leg_modify(w, to, &modify);
	modify = (struct td_leg_modify){
		.rtp = path_addr("10.0.2.7", 4000), .direction = TD_LEG_SENDRECV, .peer = to
	};
	td_leg_modify(w, from, &modify);
	return from;
}

static void strangers_go_unasked(void **state)
{
	neigh_learn(WEST, "10.0.1.7");
	seconds(29);
	assert_true(known(WEST, "10.0.1.7"));
	neigh_learn(WEST, "10.0.1.7"); // it is heard of again
	seconds(29);
	assert_true(known(WEST, "10.0.1.7"));
	for (int i = 0; i < 5; i++) {
		path_run(1000);
		assert_int_equal(neigh_sent(PORT_A), 0);
	}
	assert_int_equal(find(WEST, "10.0.1.7"), TD_ADJACENCY_NONE);
	assert_int_equal(td_neigh_table_count(path.dp), GATEWAYS);
}

static void who_does_not_answer_goes(void **state)
{
	send_to(WEST, "10.0.1.254", "10.0.1.7");
	seconds(6);
	assert_int_equal(path_count(TD_C_NEIGH_UNREACHABLE), 1);
	assert_int_equal(td_neigh_table_count(path.dp), GATEWAYS);
}

static void those_we_sent_to_stay_ten_minutes(void **state)
{
	meet(WEST, "10.0.1.254", "10.0.1.7");
	for (int i = 0; i < 2 * 590; i++) {
		if (i == 590)
			send_to(WEST, "10.0.1.254", "10.0.1.7");
		path_run(1000);
		if (neigh_sent(PORT_A) > 0)
			neigh_learn(WEST, "10.0.1.7"); // it answers
		assert_true(known(WEST, "10.0.1.7"));
	}
	seconds(15);
	assert_int_equal(td_neigh_table_count(path.dp), GATEWAYS);
}

static void a_place_is_another_s_then(void **state)
{
	neigh_learn(WEST, "10.0.1.7");
	uint32_t place = find(WEST, "10.0.1.7");
	seconds(33);
	neigh_learn(EAST, "10.0.2.9");
	assert_int_equal(find(EAST, "10.0.2.9"), place);
	assert_int_equal(path.dp->adjacencies[place].port, PORT_B);
	assert_true(known(EAST, "10.0.2.9"));
}

static void a_leg_holds_its_neighbour(void **state)
{
	meet(WEST, "10.0.1.254", "10.0.1.7");
	uint32_t place = find(WEST, "10.0.1.7");
	td_leg_id leg = leg_to("10.0.1.7");
	assert_true(td_leg_adjacency_held(path.dp->workers[0], place));
	for (int i = 0; i < 700; i++) {
		path_run(1000);
		if (neigh_sent(PORT_A) > 0)
			neigh_learn(WEST, "10.0.1.7");
	}
	assert_true(known(WEST, "10.0.1.7"));
	assert_int_equal(find(WEST, "10.0.1.7"), place);
	td_leg_close(path.dp->workers[0], leg, NULL);
	assert_false(td_leg_adjacency_held(path.dp->workers[0], place));
	for (int i = 0; i < 610; i++) {
		path_run(1000);
		if (neigh_sent(PORT_A) > 0)
			neigh_learn(WEST, "10.0.1.7");
	}
	assert_int_equal(find(WEST, "10.0.1.7"), TD_ADJACENCY_NONE);
}

// Somebody on the link invents addresses, asks from them, and has us send to them.
static void spoof(int from, int to, bool answers)
{
	char ip[32];

	for (int i = from; i < to; i++) {
		snprintf(ip, sizeof(ip), "fd00:1::1:%x", i);
		if (i % 2 == 0)
			neigh_learn(WEST, ip);
		else
			send_to(WEST, "fd00:1::fe", ip);
		if (i % 2 == 1 && answers) {
			path_run(0);
			neigh_learn(WEST, ip);
		}
		if (i % 16 == 0)
			path_run(100);
		neigh_sent(PORT_A);
	}
}

static void spoofed_sources(void **state)
{
	meet(WEST, "10.0.1.254", "10.0.1.7");
	uint32_t place = find(WEST, "10.0.1.7");
	td_leg_id leg = leg_to("10.0.1.7");
	for (int i = 0; i < SPOOFED; i += 1000) {
		spoof(i, i + 1000, i % 2000 == 0);
		neigh_learn(WEST, "10.0.1.7"); // answers when it is asked
		assert_int_equal(find(WEST, "10.0.1.7"), place);
		assert_true(known(WEST, "10.0.1.7"));
		assert_true(path.dp->n_adjacencies <= CAPACITY);
		// Somebody new is found in the middle of it.
		for (int sweep = 0; sweep < 3; sweep++)
			path_run(100);
		neigh_sent(PORT_B);
		send_to(EAST, "10.0.2.254", i % 2000 ? "10.0.2.8" : "10.0.2.9");
		path_run(0);
		neigh_learn(EAST, i % 2000 ? "10.0.2.8" : "10.0.2.9");
		path_run(0);
		assert_true(neigh_sent(PORT_B) >= 1);
		assert_true(known(EAST, i % 2000 ? "10.0.2.8" : "10.0.2.9"));
	}
	assert_int_not_equal(find(WEST, "10.0.1.1"), TD_ADJACENCY_NONE);
	assert_int_not_equal(find(WEST, "fd00:1::1"), TD_ADJACENCY_NONE);
	td_leg_close(path.dp->workers[0], leg, NULL);
	seconds(650); // all of it ages
	assert_int_equal(td_neigh_table_count(path.dp), GATEWAYS);
	assert_int_equal(td_neigh_held(path.dp), 0);
}

static uint32_t slot_of(void *ctx, enum td_limit_kind kind, const char *name)
{
	return 1;
}

static int realm_of(void *ctx, const char *name)
{
	return WEST;
}

static void a_trunk_s_peer_stays(void **state)
{
	struct td_trunk_conf trunk = {
		.name = "carrier", .realm = "west", .enabled = true, .n_peers = 1
	};
	struct td_policy_conf conf = { .trunks = &trunk, .n_trunks = 1 };
	struct td_policy_env env = { slot_of, realm_of, NULL };
	char error[128] = "";

	trunk.peers[0].address = path_addr("10.0.1.20", 5060);
	struct td_policy *policy = td_policy_new(&conf, &env, error, sizeof(error));
	assert_non_null(policy);
	path.dp->policy = policy;
	meet(WEST, "10.0.1.254", "10.0.1.20");
	meet(WEST, "10.0.1.254", "10.0.1.21"); // later, but nobody's
	spoof(0, 4000, true);
	neigh_learn(WEST, "10.0.1.20");
	assert_true(known(WEST, "10.0.1.20"));
	assert_int_equal(find(WEST, "10.0.1.21"), TD_ADJACENCY_NONE);
	for (int i = 0; i < 1300; i++) { // nor does silence drive it away
		path_run(1000);
		neigh_sent(PORT_A);
		neigh_learn(WEST, "10.0.1.20");
	}
	assert_int_equal(td_neigh_table_count(path.dp), GATEWAYS + 1);
	path.dp->policy = NULL;
	td_policy_free(policy);
}

// However many have come and gone, a look-up in vain ends behind the run that it began in.
static void nothing_is_left_of_those_who_went(void **state)
{
	enum { LIVE = CAPACITY * 3 / 4, CHANGES = 20000 };
	struct td_sockaddr live[LIVE];
	const struct td_neigh *n = path.dp->neigh;
	uint32_t gateways = td_neigh_table_count(path.dp), index, taken = 0, random = 1;

	for (uint32_t i = 0; i < CHANGES; i++) {
		struct td_sockaddr *a = &live[i < LIVE - gateways ? i : random % (LIVE - gateways)];
		random = random * 1664525 + 1013904223;
		if (i >= LIVE - gateways) {
			index = td_neigh_table_find(path.dp, WEST, a);
			assert_int_not_equal(index, TD_ADJACENCY_NONE);
			td_neigh_table_hide(path.dp, index);
			assert_int_equal(td_neigh_table_find(path.dp, WEST, a), TD_ADJACENCY_NONE);
			td_neigh_table_free(path.dp, index);
		}
		*a = (struct td_sockaddr){ .family = TD_IPV4 };
		memcpy(a->ip, &i, sizeof(i));
		assert_int_not_equal(td_neigh_table_get(path.dp, WEST, a), TD_ADJACENCY_NONE);
	}
	for (uint32_t i = 0; i < LIVE - gateways; i++)
		assert_int_not_equal(
			td_neigh_table_find(path.dp, WEST, &live[i]), TD_ADJACENCY_NONE);
	for (uint32_t slot = 0; slot <= n->mask; slot++)
		taken += n->slots[slot] != 0;
	assert_int_equal(taken, LIVE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(strangers_go_unasked, neigh_setup, neigh_teardown),
		cmocka_unit_test_setup_teardown(
			who_does_not_answer_goes, neigh_setup, neigh_teardown),
		cmocka_unit_test_setup_teardown(
			those_we_sent_to_stay_ten_minutes, neigh_setup, neigh_teardown),
		cmocka_unit_test_setup_teardown(
			a_place_is_another_s_then, neigh_setup, neigh_teardown),
		cmocka_unit_test_setup_teardown(
			a_leg_holds_its_neighbour, neigh_setup, neigh_teardown),
		cmocka_unit_test_setup_teardown(spoofed_sources, neigh_setup, neigh_teardown),
		cmocka_unit_test_setup_teardown(a_trunk_s_peer_stays, neigh_setup, neigh_teardown),
		cmocka_unit_test_setup_teardown(
			nothing_is_left_of_those_who_went, neigh_setup, neigh_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
