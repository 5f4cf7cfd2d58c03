// SPDX-License-Identifier: BSD-3-Clause
// Next hops: resolving, waiting, ageing, giving up; and the packet that goes out.
#include "neigh_rig.h"

#include "dataplane/l2.h"
#include "dataplane/neigh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct rte_ether_addr peer = PEER_MAC;

static void packet_waits_for_its_neighbour(void **state)
{
	neigh_send(0, WEST, "10.0.1.254", "10.0.1.7", 100);
	path_run(0);
	assert_int_equal(path_take(PORT_A, neigh_frame, sizeof(neigh_frame)), 42); // the question
	assert_int_equal(neigh_frame[21], 1);
	assert_int_equal(neigh_frame[41], 7);
	assert_int_equal(td_neigh_held(path.dp), 1);
	neigh_learn(WEST, "10.0.1.7");
	path_run(0);
	assert_int_equal(path_take(PORT_A, neigh_frame, sizeof(neigh_frame)), 14 + 28 + 100);
	assert_memory_equal(neigh_frame, &peer, 6);
	assert_true(frame_ip_good(neigh_frame + 14, 128));
	assert_int_equal(neigh_frame[15], 24 << 2);
	assert_int_equal(neigh_frame[22], 64);
	neigh_send(1, WEST, "10.0.1.254", "10.0.1.7", 100); // known now: no detour
	path_run(0);
	assert_int_equal(neigh_sent(PORT_A), 1);
	assert_int_equal(path_count(TD_C_MAIN_HANDED), 1);
}

static void ipv6_waits_too_and_leaves_with_a_tag(void **state)
{
	neigh_send(0, BLUE, "fd00:1::fe", "fd00:1::7", 99);
	path_run(0);
	assert_int_equal(path_take(PORT_A, neigh_frame, sizeof(neigh_frame)), 90);
	assert_true(frame_ip_good(neigh_frame + 18, 72));
	assert_int_equal(neigh_frame[58], 135);
	neigh_learn(BLUE, "fd00:1::7");
	path_run(0);
	assert_int_equal(path_take(PORT_A, neigh_frame, sizeof(neigh_frame)), 18 + 48 + 99);
	assert_int_equal(neigh_frame[14] << 8 | neigh_frame[15], 100);
	assert_true(frame_ip_good(neigh_frame + 18, 48 + 99));
	assert_int_equal((neigh_frame[18] & 15) << 4 | neigh_frame[19] >> 4, 24 << 2);
}

static void the_ninth_that_waits_is_dropped(void **state)
{
	for (int i = 0; i < TD_NEIGH_WAIT + 3; i++)
		neigh_send(i % 2, WEST, "10.0.1.254", "10.0.1.7", 100);
	path_run(0);
	assert_int_equal(path_count(TD_C_NEIGH_QUEUE_FULL), 3);
	assert_int_equal(neigh_sent(PORT_A), 1);
	neigh_learn(WEST, "10.0.1.7");
	path_run(0);
	assert_int_equal(neigh_sent(PORT_A), TD_NEIGH_WAIT);
}

static void nobody_answers(void **state)
{
	neigh_send(0, WEST, "10.0.1.254", "10.0.1.7", 100);
	path_run(0);
	assert_int_equal(neigh_sent(PORT_A), 1);
	path_run(1100);
	assert_int_equal(neigh_sent(PORT_A), 1);
	path_run(1100);
	assert_int_equal(neigh_sent(PORT_A), 1);
	assert_int_equal(path_count(TD_C_NEIGH_UNREACHABLE), 0);
	path_run(1100);
	assert_int_equal(neigh_sent(PORT_A), 0);
	assert_int_equal(path_count(TD_C_NEIGH_UNREACHABLE), 1);
	assert_int_equal(td_neigh_held(path.dp), 0);
	neigh_send(0, WEST, "10.0.1.254", "10.0.1.7", 100); // the next one asks anew
	path_run(0);
	assert_int_equal(neigh_sent(PORT_A), 1);
}

static void neighbours_age(void **state)
{
	neigh_learn(WEST, "10.0.1.7");
	neigh_send(0, WEST, "10.0.1.254", "10.0.1.7", 100);
	path_run(0);
	assert_int_equal(neigh_sent(PORT_A), 1);
	path_run(29000);
	assert_int_equal(neigh_sent(PORT_A), 0);
	path_run(1200);
	assert_int_equal(
		path_take(PORT_A, neigh_frame, sizeof(neigh_frame)), 42); // asked where it was last
	assert_memory_equal(neigh_frame, &peer, 6);
	neigh_send(0, WEST, "10.0.1.254", "10.0.1.7", 100); // it still holds
	path_run(0);
	assert_int_equal(neigh_sent(PORT_A), 1);
	neigh_learn(WEST, "10.0.1.7");
	path_run(29000);
	assert_int_equal(neigh_sent(PORT_A), 0);
	for (int i = 0; i < 5; i++)
		path_run(1200);
	assert_int_equal(neigh_sent(PORT_A), TD_NEIGH_TRIES);
	neigh_send(0, WEST, "10.0.1.254", "10.0.1.7", 100); // gone: waits again
	path_run(0);
	assert_int_equal(neigh_sent(PORT_A), 1);
	assert_int_equal(td_neigh_held(path.dp), 1);
}

static void far_destinations_go_by_the_gateway(void **state)
{
	struct td_sockaddr a = path_addr("192.0.2.9", 5060), b = path_addr("10.0.1.1", 0);
	struct td_worker *w = path.dp->workers[0];

	assert_int_equal(td_adjacency_find(w, WEST, &a), td_adjacency_find(w, WEST, &b));
	assert_int_not_equal(td_adjacency_find(w, WEST, &a), TD_ADJACENCY_NONE);
	neigh_learn(WEST, "10.0.1.1");
	neigh_send(0, WEST, "10.0.1.254", "192.0.2.9", 100);
	path_run(0);
	assert_int_equal(neigh_sent(PORT_A), 1);
	neigh_send(0, EAST, "10.0.2.254", "192.0.2.9", 100); // there is none in the east
	path_run(0);
	assert_int_equal(path_count(TD_C_IP_NO_ROUTE), 1);
}

static void the_same_address_in_two_realms(void **state)
{
	struct td_sockaddr a = path_addr("10.0.1.7", 0);
	struct rte_ether_addr other = { { 2, 0, 0, 0, 0xcc, 1 } };

	neigh_learn(WEST, "10.0.1.7");
	td_neigh_learn(path.dp, BLUE, &a, &other, true);
	neigh_send(0, WEST, "10.0.1.254", "10.0.1.7", 100);
	neigh_send(0, BLUE, "10.0.1.254", "10.0.1.7", 100);
	path_run(0);
	assert_int_equal(path_take(PORT_A, neigh_frame, sizeof(neigh_frame)), 142);
	assert_memory_equal(neigh_frame, &peer, 6);
	assert_int_equal(path_take(PORT_A, neigh_frame, sizeof(neigh_frame)), 146);
	assert_memory_equal(neigh_frame, &other, 6);
}

static void table_full_is_named(void **state)
{
	char ip[24];

	for (int i = 1; i < 100; i++) {
		snprintf(ip, sizeof(ip), "10.0.2.%d", i);
		neigh_send(0, EAST, "10.0.2.254", ip, 10);
	}
	path_run(0);
	assert_int_equal(path_count(TD_C_NEIGH_TABLE_FULL), 99 - (64 - 2));
	assert_int_equal(path.dp->n_adjacencies, 64);
}

// A worker without a queue of its own sends through the one that has it.
static void sending_through_the_owner(void **state)
{
	neigh_learn(WEST, "10.0.1.7");
	for (uint16_t i = 0; i < 2; i++)
		for (int k = 0; k < 40; k++)
			neigh_send(i, WEST, "10.0.1.254", "10.0.1.7", 10);
	path_run(0);
	assert_int_equal(neigh_sent(PORT_A), 80);
	assert_int_equal(path.dp->workers[0]->counters[TD_C_TX_FRAMES] +
				 path.dp->workers[1]->counters[TD_C_TX_FRAMES],
		80);
	assert_int_equal(path_count(TD_C_TX_HANDED), 40);
}

static void no_headroom_is_refused(void **state)
{
	struct td_sockaddr a = path_addr("10.0.1.254", 1), b = path_addr("10.0.1.7", 2);
	struct rte_mbuf *m = rte_pktmbuf_alloc(path.frames);

	rte_pktmbuf_prepend(m, RTE_PKTMBUF_HEADROOM - 45);
	assert_false(td_udp_header(path.dp->workers[0], m, WEST, &a, &b, 0));
	assert_int_equal(rte_pktmbuf_headroom(m), 45);
	assert_int_equal(path_count(TD_C_TX_ORIGINATED), 0);
	rte_pktmbuf_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			packet_waits_for_its_neighbour, neigh_setup, neigh_teardown),
		cmocka_unit_test_setup_teardown(
			ipv6_waits_too_and_leaves_with_a_tag, neigh_setup, neigh_teardown),
		cmocka_unit_test_setup_teardown(
			the_ninth_that_waits_is_dropped, neigh_setup, neigh_teardown),
		cmocka_unit_test_setup_teardown(nobody_answers, neigh_setup, neigh_teardown),
		cmocka_unit_test_setup_teardown(neighbours_age, neigh_setup, neigh_teardown),
		cmocka_unit_test_setup_teardown(
			far_destinations_go_by_the_gateway, neigh_setup, neigh_teardown),
		cmocka_unit_test_setup_teardown(
			the_same_address_in_two_realms, neigh_setup, neigh_teardown),
		cmocka_unit_test_setup_teardown(table_full_is_named, neigh_setup, neigh_teardown),
		cmocka_unit_test_setup_teardown(
			sending_through_the_owner, neigh_setup, neigh_teardown),
		cmocka_unit_test_setup_teardown(
			no_headroom_is_refused, neigh_setup, neigh_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
