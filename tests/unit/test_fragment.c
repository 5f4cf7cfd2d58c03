// SPDX-License-Identifier: BSD-3-Clause
// Large packets leave in pieces: put together again by hand they are what was sent.
#include "path_host.h"

#include "dataplane/neigh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct rte_ether_addr peer = PEER_MAC;

static int setup(void **state)
{
	path_start(1, TD_CHECKSUM_AUTO);
	struct td_sockaddr v4 = path_addr("10.0.1.7", 0), v6 = path_addr("fd00:1::7", 0);
	for (uint16_t r = WEST; r <= BLUE; r++) {
		td_neigh_learn(path.dp, r, &v4, &peer, true);
		td_neigh_learn(path.dp, r, &v6, &peer, true);
	}
	return 0;
}

static void send_large(uint16_t realm, bool v4, uint16_t n)
{
	struct td_worker *w = path.dp->workers[0];
	struct td_sockaddr s = path_addr(v4 ? "10.0.1.254" : "fd00:1::fe", 5060);
	struct td_sockaddr d = path_addr(v4 ? "10.0.1.7" : "fd00:1::7", 5060);
	struct rte_mbuf *m = rte_pktmbuf_alloc(path.big);
	char *p = rte_pktmbuf_append(m, n);

	for (uint16_t i = 0; i < n; i++)
		p[i] = (char)(i * 7 + (i >> 8));
	assert_true(td_udp_header(w, m, realm, &s, &d, 24));
	td_ip_output(w, td_adjacency_find(w, realm, &d), m);
	path_run(0);
}

// Takes the pieces from the port; returns how many. Builds a whole packet of them and checks it.
static uint32_t collect(uint16_t realm, bool v4, uint16_t n)
{
	static uint8_t out[2048], all[PATH_BYTES];
	size_t l3 = realm == BLUE ? 18 : 14, head = v4 ? 20 : 40, skip = v4 ? 20 : 48, len,
	       total = 0, end = 0;
	uint32_t pieces = 0, id = 0;

	for (; (len = path_take(PORT_A, out, sizeof(out))) > 0; pieces++) {
		const uint8_t *ip = out + l3, *x = ip + 40;
		assert_true(len - l3 <= 1500);
		bool more = v4 ? ip[6] & 0x20 : x[3] & 1;
		size_t at = v4 ? (size_t)((ip[6] & 0x1f) << 8 | ip[7]) * 8
			       : (size_t)(x[2] << 8 | (x[3] & 0xf8));
		uint32_t this_id =
			v4 ? (uint32_t)(ip[4] << 8 | ip[5]) : (uint32_t)(x[6] << 8 | x[7]);
		assert_int_equal(v4 ? ip[2] << 8 | ip[3] : 40 + (ip[4] << 8 | ip[5]), len - l3);
		assert_int_equal(at, total); // in order, without a gap
		if (pieces > 0)
			assert_int_equal(this_id, id);
		id = this_id;
		memcpy(all + head + at, ip + skip, len - l3 - skip);
		total += len - l3 - skip;
		if (!more)
			end = total;
		if (pieces == 0)
			memcpy(all, ip, head);
	}
	assert_int_equal(total, n + 8u);
	assert_int_equal(end, total);
	all[6] = v4 ? 0 : 17;
	all[v4 ? 2 : 4] = (uint8_t)((v4 ? total + 20 : total) >> 8);
	all[v4 ? 3 : 5] = (uint8_t)(v4 ? total + 20 : total);
	if (v4) {
		all[7] = all[10] = all[11] = 0;
		struct frame_buf b = { .len = 0 };
		frame_add(&b, all, 20);
		frame_ip_checksum(&b, 0);
		memcpy(all, b.bytes, 20);
	}
	assert_true(frame_ip_good(all, head + total));
	for (uint16_t i = 0; i < n; i++)
		assert_int_equal(all[head + 8 + i], (uint8_t)(i * 7 + (i >> 8)));
	return pieces;
}

static void pieces_make_the_whole(void **state)
{
	for (int v4 = 0; v4 < 2; v4++) {
		for (uint16_t realm = WEST; realm <= BLUE; realm++) {
			send_large(realm, v4, 6000);
			assert_int_equal(collect(realm, v4, 6000), 5);
		}
	}
	assert_int_equal(path_count(TD_C_IP_FRAGMENT_MADE), 16);
}

static void one_byte_decides(void **state)
{
	uint8_t out[2048];

	send_large(WEST, true, 1472);
	assert_int_equal(path_take(PORT_A, out, sizeof(out)), 1514);
	assert_true(frame_ip_good(out + 14, 1500));
	send_large(WEST, true, 1473);
	assert_int_equal(collect(WEST, true, 1473), 2);
	send_large(WEST, false, 1452);
	assert_int_equal(path_take(PORT_A, out, sizeof(out)), 1514);
	assert_true(frame_ip_good(out + 14, 1500));
	send_large(WEST, false, 1453);
	assert_int_equal(collect(WEST, false, 1453), 2);
}

// A router on the way may cut any of them, and tells their pieces apart by the ID alone.
static void whole_ones_differ_in_their_id(void **state)
{
	uint8_t out[2][2048];

	for (int i = 0; i < 2; i++) {
		send_large(WEST, true, 1000);
		assert_int_equal(path_take(PORT_A, out[i], sizeof(out[i])), 1042);
		assert_true(frame_ip_good(out[i] + 14, 1028));
		assert_int_equal(out[i][20] & 0x40, 0);
		assert_int_equal(out[i][15], 24 << 2); // DSCP
		assert_int_equal(out[i][22], 64);
	}
	assert_memory_not_equal(out[0] + 18, out[1] + 18, 2);
}

static void no_buffer_is_named(void **state)
{
	static struct rte_mbuf *all[2047];
	uint8_t out[2048];
	uint32_t n = rte_mempool_avail_count(path.frames);

	assert_int_equal(rte_pktmbuf_alloc_bulk(path.frames, all, n - 2), 0);
	send_large(WEST, true, 6000);
	assert_int_equal(path_count(TD_C_IP_FRAGMENT_NO_BUFFER), 1);
	assert_int_equal(path_count(TD_C_IP_FRAGMENT_MADE), 2);
	rte_pktmbuf_free_bulk(all, n - 2);
	assert_int_not_equal(path_take(PORT_A, out, sizeof(out)), 0);
}

static void mtu_too_small_is_named(void **state)
{
	for (uint32_t i = 0; i < path.dp->n_adjacencies; i++)
		path.dp->adjacencies[i].mtu = 27;
	send_large(WEST, true, 100);
	assert_int_equal(path_count(TD_C_IP_TOO_BIG), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pieces_make_the_whole, setup, path_down),
		cmocka_unit_test_setup_teardown(whole_ones_differ_in_their_id, setup, path_down),
		cmocka_unit_test_setup_teardown(one_byte_decides, setup, path_down),
		cmocka_unit_test_setup_teardown(no_buffer_is_named, setup, path_down),
		cmocka_unit_test_setup_teardown(mtu_too_small_is_named, setup, path_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
