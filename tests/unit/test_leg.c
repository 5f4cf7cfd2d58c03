// SPDX-License-Identifier: BSD-3-Clause
// The leg table: ports, handles, and what happens at their limits.
#include "leg_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <errno.h>
#include <cmocka.h>

#define SECOND 1000000000ull

static int setup(void **state)
{
	host_eal();
	host_start(0, 1, 64);
	return 0;
}

static int teardown(void **state)
{
	host_stop();
	return 0;
}

static uint32_t slot_of(const struct td_leg_local *local, uint16_t realm, uint8_t address)
{
	return *td_leg_slot(host.worker.legs, realm, address, local->rtp.port);
}

static void test_open(void **state)
{
	struct td_leg_local local;
	td_leg_id id = host_leg(EAST, TD_IPV6, &local);
	struct td_sockaddr own = host_addr("fd00:2::fe", local.rtp.port);

	assert_int_not_equal(id, 0);
	assert_true(td_sockaddr_eq(&local.rtp, &own));
	assert_int_equal(local.rtp.port % 2, 0);
	assert_int_equal(local.rtcp.port, local.rtp.port + 1);
	assert_int_equal(td_leg_count(&host.worker), 1);
	assert_int_equal(slot_of(&local, EAST, 1), (uint32_t)id);
	assert_int_equal(slot_of(&local, EAST, 0), 0);
	assert_int_equal(slot_of(&local, WEST, 1), 0);
	td_leg_close(&host.worker, id, NULL);
	assert_int_equal(slot_of(&local, EAST, 1), 0);
	assert_int_equal(td_leg_count(&host.worker), 0);
}

static void test_lookup_bounds(void **state)
{
	const struct td_leg_table *t = host.worker.legs;

	for (uint32_t port = 0; port < 65536; port++)
		for (uint16_t realm = 0; realm < 4; realm++)
			for (uint8_t address = 0; address < 10; address++)
				assert_int_equal(
					*td_leg_slot(t, realm, address, (uint16_t)port), 0);
}

static void test_advertise(void **state)
{
	struct td_leg_local local;

	host.dp.realms[WEST].conf.addresses[0].advertise = host_addr("203.0.113.9", 0);
	td_leg_id id = host_leg(WEST, TD_IPV4, &local);
	struct td_sockaddr outside = host_addr("203.0.113.9", local.rtp.port);
	assert_true(td_sockaddr_eq(&local.rtp, &outside));
	assert_int_equal(slot_of(&local, WEST, 0), (uint32_t)id);
}

static void test_refused(void **state)
{
	struct td_leg_open open = { .realm = 9, .family = TD_IPV4 };
	struct td_leg_local local;
	td_leg_id id = 77;

	assert_int_equal(td_leg_open(&host.worker, &open, &id, &local), -ENOSPC);
	open.realm = WEST;
	host.dp.realms[WEST].conf.n_addresses = 1; // no IPv6 there
	open.family = TD_IPV6;
	assert_int_equal(td_leg_open(&host.worker, &open, &id, &local), -ENOSPC);
	assert_int_equal(id, 77);
}

static void test_table_full(void **state)
{
	td_leg_id ids[64];

	for (int i = 0; i < 64; i++) {
		ids[i] = host_leg(WEST, TD_IPV4, NULL);
		assert_int_not_equal(ids[i], 0);
	}
	assert_int_equal(host_leg(WEST, TD_IPV4, NULL), 0);
	td_leg_close(&host.worker, ids[20], NULL);
	assert_int_not_equal(host_leg(WEST, TD_IPV4, NULL), 0);
}

static void test_handles(void **state)
{
	td_leg_id first = host_leg(WEST, TD_IPV4, NULL);
	struct td_leg_stats stats = { .rx_packets = 5 };
	struct td_leg_modify modify = { .rtp = host_addr("10.0.1.1", 4000),
		.direction = TD_LEG_SENDRECV };

	td_leg_close(&host.worker, first, NULL);
	td_leg_close(&host.worker, first, &stats); // again: refused, and nothing to tell
	assert_int_equal(stats.rx_packets, 0);
	assert_int_equal(td_leg_count(&host.worker), 0);
	for (int i = 0; i < 64; i++)
		assert_int_not_equal(host_leg(WEST, TD_IPV4, NULL), first);
	td_leg_modify(&host.worker, first, &modify); // the place is in use by another leg now
	assert_int_equal(host.worker.legs->cold[(uint32_t)first].known, 0);
	const td_leg_id wrong[] = { 0, 1, UINT64_MAX, 1ull << 32, (1ull << 32) + 65,
		(1ull << 32) + UINT32_MAX };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		td_leg_close(&host.worker, wrong[i], NULL);
	assert_int_equal(td_leg_count(&host.worker), 64);
}

static void test_last_closed_first(void **state)
{
	td_leg_id a = host_leg(WEST, TD_IPV4, NULL), b = host_leg(WEST, TD_IPV4, NULL);

	td_leg_close(&host.worker, a, NULL);
	td_leg_close(&host.worker, b, NULL);
	td_leg_id next = host_leg(WEST, TD_IPV4, NULL), after = host_leg(WEST, TD_IPV4, NULL);
	assert_int_equal((uint32_t)next, (uint32_t)b);
	assert_int_equal((uint32_t)after, (uint32_t)a);
	assert_int_not_equal(next, b); // the old handles lead nowhere
	assert_int_not_equal(after, a);
	td_leg_close(&host.worker, a, NULL);
	td_leg_close(&host.worker, b, NULL);
	assert_int_equal(td_leg_count(&host.worker), 2);
}

static void test_quarantine(void **state)
{
	struct td_leg_local local;
	uint16_t last = 0;

	// Every port once, in turn, never one that has not rested.
	for (int i = 0; i < HOST_PAIRS; i++) {
		td_leg_id id = host_leg(WEST, TD_IPV4, &local);
		assert_int_not_equal(id, 0);
		assert_int_not_equal(local.rtp.port, last);
		last = local.rtp.port;
		td_leg_close(&host.worker, id, NULL);
	}
	assert_int_equal(host_leg(WEST, TD_IPV4, &local), 0);
	host.worker.now_ns += SECOND / 2;
	assert_int_equal(host_leg(WEST, TD_IPV4, &local), 0);
	host.worker.now_ns += SECOND * 6 / 10;
	assert_int_not_equal(host_leg(WEST, TD_IPV4, &local), 0);
	assert_int_equal(local.rtp.port, HOST_PORT_MIN); // freed longest ago
}

static void test_other_address_when_full(void **state)
{
	struct td_leg_local local;
	struct td_realm_conf *realm = &host.dp.realms[WEST].conf;

	host_stop();
	host_start(0, 1, 600);
	td_leg_table_destroy(&host.worker);
	realm->n_addresses = 3;
	realm->addresses[2] =
		(struct td_realm_address){ .ip = host_addr("10.0.1.253", 0), .media = true };
	assert_int_equal(td_leg_table_create(&host.worker, 600), 0);
	uint32_t on[3] = { 0 };
	for (int i = 0; i < 2 * HOST_PAIRS; i++) {
		td_leg_id id = host_leg(WEST, TD_IPV4, &local);
		assert_int_not_equal(id, 0);
		on[host.worker.legs->cold[(uint32_t)id].address]++;
	}
	assert_int_equal(on[0], HOST_PAIRS);
	assert_int_equal(on[2], HOST_PAIRS);
	assert_int_equal(host_leg(WEST, TD_IPV4, &local), 0);
}

static void test_owners(void **state)
{
	// Three workers share the range without a port twice, and a pair's two ports have one
	// owner.
	uint8_t taken[HOST_PAIRS] = { 0 };
	struct td_leg_local local;

	for (uint16_t worker = 0; worker < 3; worker++) {
		host_stop();
		host_start(worker, 3, HOST_PAIRS);
		while (host_leg(WEST, TD_IPV4, &local)) {
			assert_int_equal(td_steer_owner(&host.dp.steer, local.rtp.port), worker);
			assert_int_equal(td_steer_owner(&host.dp.steer, local.rtcp.port), worker);
			assert_int_not_equal(slot_of(&local, WEST, 0), 0);
			assert_int_equal(taken[(local.rtp.port - HOST_PORT_MIN) / 2]++, 0);
		}
	}
	for (int i = 0; i < HOST_PAIRS; i++)
		assert_int_equal(taken[i], 1);
}

static void test_bad_range(void **state)
{
	td_leg_table_destroy(&host.worker);
	host.dp.realms[EAST].conf.media_port_max = HOST_PORT_MIN;
	assert_int_equal(td_leg_table_create(&host.worker, 10), -EINVAL);
	assert_null(host.worker.legs);
	host.dp.realms[EAST].conf.media_port_max = HOST_PORT_MIN + 1;
	assert_int_equal(td_leg_table_create(&host.worker, UINT32_MAX - 1), -ENOMEM);
	assert_null(host.worker.legs);
	assert_int_equal(td_leg_table_create(&host.worker, 10), 0);
	assert_int_not_equal(host_leg(EAST, TD_IPV4, NULL), 0);
	assert_int_equal(host_leg(EAST, TD_IPV4, NULL), 0);
}

static void test_timeout(void **state)
{
	td_leg_id id = host_leg(WEST, TD_IPV4, NULL);
	struct td_leg_modify modify = {
		.rtp = host_addr("10.0.1.1", 4000),
		.direction = TD_LEG_SEND, // the far end may not send: nothing counts
		.timeout_s = 30,
	};

	td_leg_modify(&host.worker, id, &modify);
	for (int i = 0; i < 100; i++, host.worker.now_ns += SECOND)
		td_media_timeout_run(&host.worker);
	assert_int_equal(host.n_timed_out, 0);

	modify.direction = TD_LEG_SENDRECV;
	td_leg_modify(&host.worker, id, &modify);
	for (int i = 0; i < 29; i++, host.worker.now_ns += SECOND) {
		td_leg_modify(&host.worker, id, &modify); // a re-INVITE does not wind it up anew
		td_media_timeout_run(&host.worker);
	}
	assert_int_equal(host.n_timed_out, 0);
	for (int i = 0; i < 5; i++, host.worker.now_ns += SECOND)
		td_media_timeout_run(&host.worker);
	assert_int_equal(host.n_timed_out, 1);
	assert_int_equal(host.timed_out[0], 100 + WEST);
	td_leg_close(&host.worker, id, NULL);
	assert_int_equal(host.worker.legs->n_timed, 0);
}

static void test_timeout_list(void **state)
{
	td_leg_id ids[64];
	struct td_leg_modify modify = { .direction = TD_LEG_RECV, .timeout_s = 5 };

	for (int i = 0; i < 64; i++) {
		ids[i] = host_leg(WEST, TD_IPV4, NULL);
		td_leg_modify(&host.worker, ids[i], &modify);
	}
	for (int i = 0; i < 64; i += 3)
		td_leg_close(&host.worker, ids[i], NULL);
	assert_int_equal(host.worker.legs->n_timed, td_leg_count(&host.worker));
	for (uint32_t i = 0; i < host.worker.legs->n_timed; i++)
		assert_int_equal(
			host.worker.legs->cold[host.worker.legs->timed[i].leg].timed, i + 1);
	modify.timeout_s = 0;
	for (int i = 0; i < 64; i++)
		td_leg_modify(&host.worker, ids[i], &modify);
	assert_int_equal(host.worker.legs->n_timed, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_open),
		TEST(test_lookup_bounds),
		TEST(test_advertise),
		TEST(test_refused),
		TEST(test_table_full),
		TEST(test_handles),
		TEST(test_last_closed_first),
		TEST(test_quarantine),
		TEST(test_other_address_when_full),
		TEST(test_owners),
		TEST(test_bad_range),
		TEST(test_timeout),
		TEST(test_timeout_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
