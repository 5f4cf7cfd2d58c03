// SPDX-License-Identifier: BSD-3-Clause
// Which frames are taken, from whom they are hidden, and by what name the others are dropped.
#include "path_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct frame_buf f;

static void rtp_frame(uint16_t vlan)
{
	frame_udp(&f, PORT_A, vlan, "10.0.1.7", "10.0.1.254", 4000, 16384, 172);
}

static void plain_frame_is_taken(void **state)
{
	rtp_frame(0);
	path_put(PORT_A, f.bytes, f.len);
	path_run(0);
	assert_int_equal(path.n_rtp, 1);
	assert_int_equal(path.rtp[0].packet.realm, WEST);
	assert_int_equal(path.rtp[0].packet.l3_off, 14);
	assert_int_equal(path.rtp[0].packet.l4_off, 34);
	assert_int_equal(path.rtp[0].packet.payload_len, 172);
	assert_int_equal(path.rtp[0].packet.address, 0);
}

static void tag_in_the_frame_names_the_realm(void **state)
{
	rtp_frame(100);
	path_put(PORT_A, f.bytes, f.len);
	path_run(0);
	assert_int_equal(path.n_rtp, 1);
	assert_int_equal(path.rtp[0].packet.realm, BLUE);
	assert_int_equal(path.rtp[0].packet.l3_off, 18);
}

static void tag_in_the_mbuf_names_the_realm(void **state)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(path.frames);

	rtp_frame(0);
	memcpy(rte_pktmbuf_append(m, (uint16_t)f.len), f.bytes, f.len);
	m->ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	m->vlan_tci = 0xa000 | 100; // priority bits are not the VLAN
	path_put_mbuf(PORT_A, m);
	path_run(0);
	assert_int_equal(path.n_rtp, 1);
	assert_int_equal(path.rtp[0].packet.realm, BLUE);
	assert_int_equal(path.rtp[0].packet.l3_off, 14);
}

static void unknown_vlan_is_dropped(void **state)
{
	rtp_frame(101);
	path_put(PORT_A, f.bytes, f.len);
	frame_eth(&f, PORT_A, 101, RTE_ETHER_TYPE_ARP);
	path_put(PORT_A, f.bytes, f.len);
	rtp_frame(100); // on the other port there is no such VLAN
	memcpy(f.bytes, &path.dp->ports[PORT_B].mac, 6);
	path_put(PORT_B, f.bytes, f.len);
	path_run(0);
	assert_int_equal(path_count(TD_C_ETH_UNKNOWN_VLAN), 3);
	assert_int_equal(path.n_rtp, 0);
}

static void two_tags_are_not_taken_for_one(void **state)
{
	static const uint8_t tags[] = { 0x81, 0x00, 0, 100, 0x81, 0x00, 0, 100 };

	rtp_frame(0);
	memmove(f.bytes + 20, f.bytes + 12, f.len - 12);
	memcpy(f.bytes + 12, tags, sizeof(tags));
	path_put(PORT_A, f.bytes, f.len + 8);
	path_run(0);
	assert_int_equal(path.n_rtp, 0);
	assert_int_equal(path_count(TD_C_ETH_UNKNOWN_TYPE), 1);
}

static void priority_tag_is_no_vlan(void **state)
{
	static const uint8_t tag[] = { 0x81, 0x00, 0xa0, 0 };

	rtp_frame(0);
	memmove(f.bytes + 16, f.bytes + 12, f.len - 12);
	memcpy(f.bytes + 12, tag, sizeof(tag));
	path_put(PORT_A, f.bytes, f.len + 4);
	path_run(0);
	assert_int_equal(path.n_rtp, 1);
	assert_int_equal(path.rtp[0].packet.realm, WEST);
}

static void others_frames_are_dropped(void **state)
{
	rtp_frame(0);
	f.bytes[5] ^= 1;
	path_put(PORT_A, f.bytes, f.len);
	path_run(0);
	assert_int_equal(path_count(TD_C_ETH_NOT_FOR_US), 1);
}

static void every_length_has_a_verdict(void **state)
{
	rtp_frame(100);
	for (size_t len = 0; len <= f.len; len++)
		path_put(PORT_A, f.bytes, len);
	path_run(0);
	assert_int_equal(path_count(TD_C_ETH_SHORT), 14);
	assert_int_equal(path.n_rtp, 1);
	assert_int_equal(td_counters_drops(path.dp->workers[0]->counters), f.len);
}

static void unknown_types_are_dropped(void **state)
{
	frame_eth(&f, PORT_A, 0, 0x88cc);
	frame_add(&f, "0123456789", 10);
	path_put(PORT_A, f.bytes, f.len);
	path_run(0);
	assert_int_equal(path_count(TD_C_ETH_UNKNOWN_TYPE), 1);
}

// A NIC may scatter a frame over several buffers.
static void scattered_frame_is_put_together(void **state)
{
	struct rte_mbuf *head = rte_pktmbuf_alloc(path.frames),
			*tail = rte_pktmbuf_alloc(path.frames);

	rtp_frame(0);
	memcpy(rte_pktmbuf_append(head, 40), f.bytes, 40);
	memcpy(rte_pktmbuf_append(tail, (uint16_t)(f.len - 40)), f.bytes + 40, f.len - 40);
	assert_int_equal(rte_pktmbuf_chain(head, tail), 0);
	path_put_mbuf(PORT_A, head);
	path_run(0);
	assert_int_equal(path.n_rtp, 1);
	assert_memory_equal(path.rtp[0].bytes, f.bytes, f.len);
}

static void scattered_frame_too_large_is_dropped(void **state)
{
	struct rte_mbuf *head = NULL;

	path.dp->workers[0]->big_mbufs = path.small;
	for (int i = 0; i < 2; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(path.frames);
		rte_pktmbuf_append(m, 200);
		if (head)
			assert_int_equal(rte_pktmbuf_chain(head, m), 0);
		else
			head = m;
	}
	path_put_mbuf(PORT_A, head);
	path_run(0);
	assert_int_equal(path_count(TD_C_ETH_SEGMENTED), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(plain_frame_is_taken, path_up, path_down),
		cmocka_unit_test_setup_teardown(
			tag_in_the_frame_names_the_realm, path_up, path_down),
		cmocka_unit_test_setup_teardown(
			tag_in_the_mbuf_names_the_realm, path_up, path_down),
		cmocka_unit_test_setup_teardown(unknown_vlan_is_dropped, path_up, path_down),
		cmocka_unit_test_setup_teardown(two_tags_are_not_taken_for_one, path_up, path_down),
		cmocka_unit_test_setup_teardown(priority_tag_is_no_vlan, path_up, path_down),
		cmocka_unit_test_setup_teardown(others_frames_are_dropped, path_up, path_down),
		cmocka_unit_test_setup_teardown(every_length_has_a_verdict, path_up, path_down),
		cmocka_unit_test_setup_teardown(unknown_types_are_dropped, path_up, path_down),
		cmocka_unit_test_setup_teardown(
			scattered_frame_is_put_together, path_up, path_down),
		cmocka_unit_test_setup_teardown(
			scattered_frame_too_large_is_dropped, path_up, path_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
