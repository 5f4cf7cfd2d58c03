// SPDX-License-Identifier: BSD-3-Clause
// Fragments: any order, both families, two realms, and everything that somebody may do with them on
// purpose.
#include "path_host.h"

#include "dataplane/reassembly.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct frame_buf whole, f;

static void whole_make(bool v4, uint16_t vlan, uint16_t n)
{
	if (v4)
		frame_udp(&whole, PORT_A, vlan, "10.0.1.7", "10.0.1.254", 5060, 5060, n);
	else
		frame_udp(&whole, PORT_A, vlan, "fd00:1::7", "fd00:1::fe", 5060, 5060, n);
}

// The bytes [from, to) of the datagram as a fragment.
static void piece(bool v4, uint16_t vlan, uint16_t id, uint32_t from, uint32_t to, bool more)
{
	size_t l3 = vlan ? 18 : 14, head = v4 ? 20 : 40;
	uint16_t len = (uint16_t)(to - from);

	f.len = 0;
	frame_add(&f, whole.bytes, l3 + head);
	if (v4) {
		uint8_t *ip = f.bytes + l3;
		ip[2] = (uint8_t)((len + 20) >> 8);
		ip[3] = (uint8_t)(len + 20);
		ip[4] = (uint8_t)(id >> 8);
		ip[5] = (uint8_t)id;
		ip[6] = (uint8_t)((more ? 0x20 : 0) | from >> 11);
		ip[7] = (uint8_t)(from >> 3);
		frame_ip_checksum(&f, l3);
	} else {
		uint8_t h[8] = { 17, 0, (uint8_t)(from >> 8), (uint8_t)((from & 0xf8) | more), 0, 0,
			(uint8_t)(id >> 8), (uint8_t)id };
		f.bytes[l3 + 6] = 44;
		f.bytes[l3 + 4] = (uint8_t)((len + 8) >> 8);
		f.bytes[l3 + 5] = (uint8_t)(len + 8);
		frame_add(&f, h, 8);
	}
	frame_add(&f, whole.bytes + l3 + head + from, len);
	path_put(PORT_A, f.bytes, f.len);
	path_run(0);
}

static void assert_whole(uint32_t nth, bool v4, uint16_t n)
{
	const struct captured *c = &path.sip[nth];

	assert_int_equal(path.n_sip, nth + 1);
	assert_int_equal(c->packet.payload_len, n);
	assert_int_equal(c->packet.l3_off, 14);
	assert_int_equal(c->packet.l4_off, v4 ? 34 : 54);
	for (uint16_t i = 0; i < n && c->packet.l4_off + 8 + i < (int)sizeof(c->bytes); i++)
		assert_int_equal(c->bytes[c->packet.l4_off + 8 + i], (uint8_t)(i ^ i >> 8));
	assert_true(c->packet.flags & TD_PACKET_L4_VERIFIED);
}

static void in_order(void **state)
{
	for (int v4 = 0; v4 < 2; v4++) {
		uint16_t n = 6000;
		whole_make(v4, 0, n);
		for (uint32_t at = 0; at < n + 8u; at += 1480)
			piece(v4, 0, 1, at, RTE_MIN(at + 1480, n + 8u), at + 1480 < n + 8u);
		assert_whole((uint32_t)v4, v4, n);
	}
	assert_int_equal(td_reassembly_held(path.dp->workers[0]), 0);
	assert_int_equal(path_count(TD_C_IP_FRAGMENT_MERGED), 8);
}

static void in_every_order(void **state)
{
	static const int orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 },
		{ 2, 0, 1 }, { 2, 1, 0 } };

	for (uint32_t o = 0; o < 12; o++) {
		bool v4 = o % 2;
		whole_make(v4, 100, 300);
		for (int i = 0; i < 3; i++) {
			uint32_t k = (uint32_t)orders[o / 2][i];
			piece(v4, 100, (uint16_t)o, k * 104, RTE_MIN(k * 104 + 104, 308u), k < 2);
		}
		assert_whole(o, v4, 300);
		assert_int_equal(path.sip[o].packet.realm, BLUE);
	}
}

static void largest_message(void **state)
{
	whole_make(true, 0, 16300);
	for (uint32_t at = 0; at < 16308u; at += 8)
		piece(true, 0, 1, at, RTE_MIN(at + 8, 16308u), at + 8 < 16308u);
	assert_whole(0, true, 16300);
}

static void beyond_the_limit(void **state)
{
	whole_make(true, 0, 17000);
	piece(true, 0, 1, 0, 1480, true);
	piece(true, 0, 1, 16280, 17008, false);
	assert_int_equal(path_count(TD_C_IP_TOO_BIG), 2);
	assert_int_equal(td_reassembly_held(path.dp->workers[0]), 0);
	piece(true, 0, 1, 1480, 2960, true); // finds it condemned
	assert_int_equal(path_count(TD_C_IP_FRAGMENT_BAD), 1);
}

static void beyond_the_end_of_ip(void **state)
{
	whole_make(true, 0, 800);
	f = whole;
	f.bytes[14 + 6] = 0x1f;
	f.bytes[14 + 7] = 0xff;
	frame_ip_checksum(&f, 14);
	path_put(PORT_A, f.bytes, f.len);
	path_run(0);
	assert_int_equal(path_count(TD_C_IP_FRAGMENT_BAD), 1);
}

static void an_overlap_condemns(void **state)
{
	whole_make(true, 0, 300);
	piece(true, 0, 1, 0, 104, true);
	piece(true, 0, 1, 96, 208, true);
	piece(true, 0, 1, 208, 308, false);
	piece(true, 0, 1, 104, 208, true);
	assert_int_equal(path.n_sip, 0);
	assert_int_equal(path_count(TD_C_IP_FRAGMENT_BAD), 4);
}

static void a_repetition_does_not(void **state)
{
	whole_make(true, 0, 300);
	piece(true, 0, 1, 0, 104, true);
	piece(true, 0, 1, 0, 104, true);
	piece(true, 0, 1, 208, 308, false);
	piece(true, 0, 1, 208, 308, false);
	piece(true, 0, 1, 104, 208, true);
	assert_whole(0, true, 300);
	assert_int_equal(path_count(TD_C_IP_FRAGMENT_BAD), 2);
}

static void two_ends_condemn(void **state)
{
	whole_make(true, 0, 300);
	piece(true, 0, 1, 104, 208, false);
	piece(true, 0, 1, 208, 308, false);
	assert_int_equal(path_count(TD_C_IP_FRAGMENT_BAD), 2);
}

static void data_beyond_the_end_condemns(void **state)
{
	whole_make(false, 0, 300);
	piece(false, 0, 1, 208, 312, true);
	piece(false, 0, 1, 104, 200, false);
	piece(false, 0, 1, 0, 104, true);
	assert_int_equal(path.n_sip, 0);
	assert_int_equal(path_count(TD_C_IP_FRAGMENT_BAD), 3);
}

static void odd_and_empty_pieces_condemn(void **state)
{
	whole_make(true, 0, 300);
	piece(true, 0, 1, 0, 103, true);
	piece(true, 0, 2, 8, 8, true);
	whole_make(false, 0, 300);
	piece(false, 0, 3, 8, 8, false);
	assert_int_equal(path_count(TD_C_IP_FRAGMENT_BAD), 3);
	assert_int_equal(td_reassembly_held(path.dp->workers[0]), 0);
	f.len = 14 + 40 + 7; // less than a fragment header
	f.bytes[14 + 4] = 0;
	f.bytes[14 + 5] = 7;
	path_put(PORT_A, f.bytes, f.len);
	path_run(0);
	assert_int_equal(path_count(TD_C_IP_FRAGMENT_BAD), 4);
}

static void realms_do_not_mix(void **state)
{
	whole_make(true, 0, 300);
	piece(true, 0, 1, 0, 104, true);
	whole_make(true, 100, 300);
	piece(true, 100, 1, 104, 208, true);
	piece(true, 100, 1, 208, 308, false);
	assert_int_equal(path.n_sip, 0);
	assert_int_equal(td_reassembly_held(path.dp->workers[0]), 2);
}

static void checksum_of_the_whole_is_verified(void **state)
{
	whole_make(true, 0, 300);
	whole.bytes[200] ^= 1;
	piece(true, 0, 1, 0, 104, true);
	piece(true, 0, 1, 104, 308, false);
	assert_int_equal(path.n_sip, 0);
	assert_int_equal(path_count(TD_C_UDP_BAD_CHECKSUM), 1);
}

static void old_ones_time_out(void **state)
{
	struct td_worker *w = path.dp->workers[0];

	whole_make(true, 0, 300);
	piece(true, 0, 1, 0, 104, true);
	uint64_t due = td_reassembly_age(w);
	assert_in_range(due, w->now_ns + 1, w->now_ns + TD_REASSEMBLY_NS);
	w->now_ns = due - 1;
	assert_int_equal(td_reassembly_age(w), due);
	assert_int_equal(path_count(TD_C_IP_FRAGMENT_TIMEOUT), 0);
	w->now_ns += 1;
	assert_int_equal(td_reassembly_age(w), UINT64_MAX);
	assert_int_equal(path_count(TD_C_IP_FRAGMENT_TIMEOUT), 1);
	assert_int_equal(td_reassembly_held(w), 0);
}

static void a_flood_pushes_the_oldest_out(void **state)
{
	whole_make(true, 0, 300);
	for (uint16_t id = 0; id < TD_REASSEMBLY_MAX + 10; id++)
		piece(true, 0, id, 0, 104, true);
	assert_int_equal(path_count(TD_C_IP_FRAGMENT_FULL), 10);
	assert_int_equal(td_reassembly_held(path.dp->workers[0]), TD_REASSEMBLY_MAX);
	piece(true, 0, 200, 0, 104, true); // and who sends at once still gets through
	piece(true, 0, 200, 104, 308, false);
	assert_int_equal(path.n_sip, 1);
}

static void no_buffer_is_named(void **state)
{
	struct rte_mbuf *all[127];

	assert_int_equal(rte_pktmbuf_alloc_bulk(path.big, all, 127), 0);
	whole_make(true, 0, 300);
	piece(true, 0, 1, 0, 104, true);
	assert_int_equal(path_count(TD_C_IP_FRAGMENT_NO_BUFFER), 1);
	rte_pktmbuf_free_bulk(all, 127);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(in_order, path_up, path_down),
		cmocka_unit_test_setup_teardown(in_every_order, path_up, path_down),
		cmocka_unit_test_setup_teardown(largest_message, path_up, path_down),
		cmocka_unit_test_setup_teardown(beyond_the_limit, path_up, path_down),
		cmocka_unit_test_setup_teardown(beyond_the_end_of_ip, path_up, path_down),
		cmocka_unit_test_setup_teardown(an_overlap_condemns, path_up, path_down),
		cmocka_unit_test_setup_teardown(a_repetition_does_not, path_up, path_down),
		cmocka_unit_test_setup_teardown(two_ends_condemn, path_up, path_down),
		cmocka_unit_test_setup_teardown(data_beyond_the_end_condemns, path_up, path_down),
		cmocka_unit_test_setup_teardown(odd_and_empty_pieces_condemn, path_up, path_down),
		cmocka_unit_test_setup_teardown(realms_do_not_mix, path_up, path_down),
		cmocka_unit_test_setup_teardown(
			checksum_of_the_whole_is_verified, path_up, path_down),
		cmocka_unit_test_setup_teardown(old_ones_time_out, path_up, path_down),
		cmocka_unit_test_setup_teardown(a_flood_pushes_the_oldest_out, path_up, path_down),
		cmocka_unit_test_setup_teardown(no_buffer_is_named, path_up, path_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
