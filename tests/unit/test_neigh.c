// SPDX-License-Identifier: BSD-3-Clause
// Next hops: resolving, waiting, ageing, giving up; and the packet that goes out.
#include "path_host.h"

#include "dataplane/l2.h"
#include "dataplane/neigh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct rte_ether_addr peer = PEER_MAC;
static uint8_t out[4096];

static int setup(void **state)
{
	path_start(2, TD_CHECKSUM_AUTO);
	path_run(0); // main's clock runs
	return 0;
}

static int teardown(void **state)
{
	path_stop();
	return 0;
}

// As SIP sends: n payload bytes from a worker to an address.
static void send_from(uint16_t worker, uint16_t realm, const char *src, const char *dst, uint16_t n)
{
	struct td_worker *w = path.dp->workers[worker];
	struct td_sockaddr s = path_addr(src, 5060), d = path_addr(dst, 5070);
	struct rte_mbuf *m = rte_pktmbuf_alloc(n > 1500 ? path.big : path.frames);

	memset(rte_pktmbuf_append(m, n), 'x', n);
	assert_true(td_udp_header(w, m, realm, &s, &d, 24));
	td_ip_output(w, td_adjacency_find(w, realm, &d), m);
}

static uint32_t sent(int port)
{
	uint32_t n = 0;

	while (path_take(port, out, sizeof(out)) > 0)
		n++;
	return n;
}

static void learn(uint16_t realm, const char *ip)
{
	struct td_sockaddr a = path_addr(ip, 0);

	td_neigh_learn(path.dp, realm, &a, &peer, true);
}

static void packet_waits_for_its_neighbour(void **state)
{
	send_from(0, WEST, "10.0.1.254", "10.0.1.7", 100);
	path_run(0);
	assert_int_equal(path_take(PORT_A, out, sizeof(out)), 42); // the question
	assert_int_equal(out[21], 1);
	assert_int_equal(out[41], 7);
	assert_int_equal(td_neigh_held(path.dp), 1);
	learn(WEST, "10.0.1.7");
	path_run(0);
	assert_int_equal(path_take(PORT_A, out, sizeof(out)), 14 + 28 + 100);
	assert_memory_equal(out, &peer, 6);
	assert_true(frame_ip_good(out + 14, 128));
	assert_int_equal(out[15], 24 << 2);
	assert_int_equal(out[22], 64);
	send_from(1, WEST, "10.0.1.254", "10.0.1.7", 100); // known now: no detour
	path_run(0);
	assert_int_equal(sent(PORT_A), 1);
	assert_int_equal(path_count(TD_C_MAIN_HANDED), 1);
}

static void ipv6_waits_too_and_leaves_with_a_tag(void **state)
{
	send_from(0, BLUE, "fd00:1::fe", "fd00:1::7", 99);
	path_run(0);
	assert_int_equal(path_take(PORT_A, out, sizeof(out)), 90);
	assert_true(frame_ip_good(out + 18, 72));
	assert_int_equal(out[58], 135);
	learn(BLUE, "fd00:1::7");
	path_run(0);
	assert_int_equal(path_take(PORT_A, out, sizeof(out)), 18 + 48 + 99);
	assert_int_equal(out[14] << 8 | out[15], 100);
	assert_true(frame_ip_good(out + 18, 48 + 99));
	assert_int_equal((out[18] & 15) << 4 | out[19] >> 4, 24 << 2);
}

static void the_ninth_that_waits_is_dropped(void **state)
{
	for (int i = 0; i < TD_NEIGH_WAIT + 3; i++)
		send_from(i % 2, WEST, "10.0.1.254", "10.0.1.7", 100);
	path_run(0);
	assert_int_equal(path_count(TD_C_NEIGH_QUEUE_FULL), 3);
	assert_int_equal(sent(PORT_A), 1);
	learn(WEST, "10.0.1.7");
	path_run(0);
	assert_int_equal(sent(PORT_A), TD_NEIGH_WAIT);
}

static void nobody_answers(void **state)
{
	send_from(0, WEST, "10.0.1.254", "10.0.1.7", 100);
	path_run(0);
	assert_int_equal(sent(PORT_A), 1);
	path_run(1100);
	assert_int_equal(sent(PORT_A), 1);
	path_run(1100);
	assert_int_equal(sent(PORT_A), 1);
	assert_int_equal(path_count(TD_C_NEIGH_UNREACHABLE), 0);
	path_run(1100);
	assert_int_equal(sent(PORT_A), 0);
	assert_int_equal(path_count(TD_C_NEIGH_UNREACHABLE), 1);
	assert_int_equal(td_neigh_held(path.dp), 0);
	send_from(0, WEST, "10.0.1.254", "10.0.1.7", 100); // the next one asks anew
	path_run(0);
	assert_int_equal(sent(PORT_A), 1);
}

static void neighbours_age(void **state)
{
	learn(WEST, "10.0.1.7");
	send_from(0, WEST, "10.0.1.254", "10.0.1.7", 100);
	path_run(0);
	assert_int_equal(sent(PORT_A), 1);
	path_run(29000);
	assert_int_equal(sent(PORT_A), 0);
	path_run(1200);
	assert_int_equal(path_take(PORT_A, out, sizeof(out)), 42); // asked where it was last
	assert_memory_equal(out, &peer, 6);
	send_from(0, WEST, "10.0.1.254", "10.0.1.7", 100); // it still holds
	path_run(0);
	assert_int_equal(sent(PORT_A), 1);
	learn(WEST, "10.0.1.7");
	path_run(29000);
	assert_int_equal(sent(PORT_A), 0);
	for (int i = 0; i < 5; i++)
		path_run(1200);
	assert_int_equal(sent(PORT_A), TD_NEIGH_TRIES);
	send_from(0, WEST, "10.0.1.254", "10.0.1.7", 100); // gone: waits again
	path_run(0);
	assert_int_equal(sent(PORT_A), 1);
	assert_int_equal(td_neigh_held(path.dp), 1);
}

static void far_destinations_go_by_the_gateway(void **state)
{
	struct td_sockaddr a = path_addr("192.0.2.9", 5060), b = path_addr("10.0.1.1", 0);
	struct td_worker *w = path.dp->workers[0];

	assert_int_equal(td_adjacency_find(w, WEST, &a), td_adjacency_find(w, WEST, &b));
	assert_int_not_equal(td_adjacency_find(w, WEST, &a), TD_ADJACENCY_NONE);
	learn(WEST, "10.0.1.1");
	send_from(0, WEST, "10.0.1.254", "192.0.2.9", 100);
	path_run(0);
	assert_int_equal(sent(PORT_A), 1);
	send_from(0, EAST, "10.0.2.254", "192.0.2.9", 100); // there is none in the east
	path_run(0);
	assert_int_equal(path_count(TD_C_IP_NO_ROUTE), 1);
}

static void the_same_address_in_two_realms(void **state)
{
	struct td_sockaddr a = path_addr("10.0.1.7", 0);
	struct rte_ether_addr other = { { 2, 0, 0, 0, 0xcc, 1 } };

	learn(WEST, "10.0.1.7");
	td_neigh_learn(path.dp, BLUE, &a, &other, true);
	send_from(0, WEST, "10.0.1.254", "10.0.1.7", 100);
	send_from(0, BLUE, "10.0.1.254", "10.0.1.7", 100);
	path_run(0);
	assert_int_equal(path_take(PORT_A, out, sizeof(out)), 142);
	assert_memory_equal(out, &peer, 6);
	assert_int_equal(path_take(PORT_A, out, sizeof(out)), 146);
	assert_memory_equal(out, &other, 6);
}

static void table_full_is_named(void **state)
{
	char ip[24];

	for (int i = 1; i < 100; i++) {
		snprintf(ip, sizeof(ip), "10.0.2.%d", i);
		send_from(0, EAST, "10.0.2.254", ip, 10);
	}
	path_run(0);
	assert_int_equal(path_count(TD_C_NEIGH_TABLE_FULL), 99 - (64 - 2));
	assert_int_equal(path.dp->n_adjacencies, 64);
}

// A worker without a queue of its own sends through the one that has it.
static void sending_through_the_owner(void **state)
{
	learn(WEST, "10.0.1.7");
	for (uint16_t i = 0; i < 2; i++)
		for (int k = 0; k < 40; k++)
			send_from(i, WEST, "10.0.1.254", "10.0.1.7", 10);
	path_run(0);
	assert_int_equal(sent(PORT_A), 80);
	assert_int_equal(path.dp->workers[0]->counters[TD_C_TX_FRAMES] + path.dp->workers[1]->counters[TD_C_TX_FRAMES], 80);
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
		cmocka_unit_test_setup_teardown(packet_waits_for_its_neighbour, setup, teardown),
		cmocka_unit_test_setup_teardown(ipv6_waits_too_and_leaves_with_a_tag, setup, teardown),
		cmocka_unit_test_setup_teardown(the_ninth_that_waits_is_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(neighbours_age, setup, teardown),
		cmocka_unit_test_setup_teardown(far_destinations_go_by_the_gateway, setup, teardown),
		cmocka_unit_test_setup_teardown(the_same_address_in_two_realms, setup, teardown),
		cmocka_unit_test_setup_teardown(table_full_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(sending_through_the_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(no_headroom_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
