// SPDX-License-Identifier: BSD-3-Clause
// IPv6 neighbour discovery (RFC 4861): answering, believing, and what must not be believed.
#include "path_host.h"

#include "dataplane/l2.h"
#include "dataplane/neigh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define L3 14
#define ICMP 54

static const struct rte_ether_addr peer = PEER_MAC;
static struct frame_buf f;
static uint8_t out[2048];

// option: 1 source, 2 target, 0 none.
static void nd(uint8_t type, const char *src, const char *dst, const char *target, uint8_t option)
{
	uint8_t head[8] = { type };
	uint8_t opt[2] = { option, 1 };
	struct td_sockaddr t = path_addr(target, 0), d = path_addr(dst, 0);

	frame_eth(&f, PORT_A, 0, RTE_ETHER_TYPE_IPV6);
	if (d.ip[0] == 0xff) {
		f.bytes[0] = f.bytes[1] = 0x33;
		memcpy(f.bytes + 2, d.ip + 12, 4);
	}
	frame_ip(&f, src, dst, 58, option ? 32 : 24);
	f.bytes[L3 + 7] = 255;
	frame_add(&f, head, 8);
	frame_add(&f, t.ip, 16);
	if (option) {
		frame_add(&f, opt, 2);
		frame_add(&f, &peer, 6);
	}
	frame_l4_checksum(&f, L3, ICMP, ICMP + 2);
}

static void put(void)
{
	path_put(PORT_A, f.bytes, f.len);
	path_run(0);
}

static uint64_t mac_of(uint16_t realm, const char *ip)
{
	struct td_sockaddr a = path_addr(ip, 0);
	uint32_t index = td_adjacency_find(path.dp->workers[0], realm, &a);

	return index == TD_ADJACENCY_NONE ? 0 : path.dp->adjacencies[index].mac;
}

static void assert_advertised(bool solicited)
{
	struct td_sockaddr own = path_addr("fd00:1::fe", 0);

	assert_int_equal(path_take(PORT_A, out, sizeof(out)), 86);
	assert_true(frame_ip_good(out + L3, 86 - L3));
	assert_int_equal(out[L3 + 7], 255);
	assert_memory_equal(out + L3 + 8, own.ip, 16);
	assert_int_equal(out[ICMP], 136);
	assert_int_equal(out[ICMP + 4], solicited ? 0x60 : 0x20);
	assert_memory_equal(out + ICMP + 8, own.ip, 16);
	assert_int_equal(out[ICMP + 24], 2);
	assert_memory_equal(out + ICMP + 26, &path.dp->ports[PORT_A].mac, 6);
}

static void solicitation_to_the_group_is_answered(void **state)
{
	nd(135, "fd00:1::7", "ff02::1:ff00:fe", "fd00:1::fe", 1);
	put();
	assert_advertised(true);
	assert_memory_equal(out, &peer, 6);
	assert_int_equal(mac_of(WEST, "fd00:1::7"), td_mac_word(&peer) | TD_ADJACENCY_VALID);
	assert_int_equal(mac_of(BLUE, "fd00:1::7"), 0);
}

static void solicitation_to_us_is_answered(void **state)
{
	nd(135, "fd00:1::7", "fd00:1::fe", "fd00:1::fe", 0);
	put();
	assert_advertised(true);
	assert_int_equal(mac_of(WEST, "fd00:1::7"), 0); // it did not say where it is
}

static void duplicate_detection_is_answered_to_all(void **state)
{
	nd(135, "::", "ff02::1:ff00:fe", "fd00:1::fe", 0);
	put();
	assert_advertised(false);
	assert_int_equal(out[0] << 8 | out[1], 0x3333);
	assert_int_equal(out[L3 + 24] << 8 | out[L3 + 25], 0xff02);
}

static void hop_limit_must_be_255(void **state)
{
	nd(135, "fd00:1::7", "ff02::1:ff00:fe", "fd00:1::fe", 1);
	f.bytes[L3 + 7] = 254;
	put();
	nd(136, "fd00:1::1", "fd00:1::fe", "fd00:1::1", 2);
	f.bytes[L3 + 7] = 64;
	put();
	assert_int_equal(path_count(TD_C_NEIGH_BAD), 2);
	assert_int_equal(mac_of(WEST, "fd00:1::1"), 0);
	assert_int_equal(path_take(PORT_A, out, sizeof(out)), 0);
}

static void what_must_not_be_believed(void **state)
{
	nd(135, "::", "ff02::1:ff00:fe", "fd00:1::fe", 1); // from nowhere, and yet with an address
	put();
	nd(135, "::", "fd00:1::fe", "fd00:1::fe", 0); // from nowhere to one: a martian already
	put();
	nd(136, "fd00:1::7", "fd00:1::fe", "fd00:1::fe", 2); // says that it is we
	put();
	nd(135, "fd00:1::fe", "ff02::1:ff00:fe", "fd00:1::fe", 1); // says so by its source
	put();
	nd(136, "fd00:1::1", "fd00:1::fe", "ff02::1", 2); // a group
	put();
	nd(135, "fd00:1::7", "ff02::1:ff00:fe", "fd00:1::fe", 1);
	f.bytes[ICMP + 25] = 0; // an option without length
	frame_l4_checksum(&f, L3, ICMP, ICMP + 2);
	put();
	nd(135, "fd00:1::7", "ff02::1:ff00:fe", "fd00:1::fe", 1);
	f.bytes[ICMP + 25] = 2; // beyond the end
	frame_l4_checksum(&f, L3, ICMP, ICMP + 2);
	put();
	nd(135, "fd00:1::7", "ff02::1:ff00:fe", "fd00:1::fe", 1);
	f.bytes[ICMP + 1] = 1; // code
	frame_l4_checksum(&f, L3, ICMP, ICMP + 2);
	put();
	assert_int_equal(path_count(TD_C_NEIGH_BAD), 7);
	assert_int_equal(path_count(TD_C_IP_BAD_SOURCE), 1);
	nd(135, "fd00:1::7", "ff02::1:ff00:fe", "fd00:1::fe", 1);
	f.bytes[ICMP + 30] ^= 1;
	put();
	assert_int_equal(path_count(TD_C_ICMP_BAD), 1);
	assert_int_equal(path_take(PORT_A, out, sizeof(out)), 0);
}

static void truncated_messages(void **state)
{
	for (uint16_t len = 0; len < 24; len++) {
		frame_eth(&f, PORT_A, 0, RTE_ETHER_TYPE_IPV6);
		frame_ip(&f, "fd00:1::7", "fd00:1::fe", 58, len);
		f.bytes[L3 + 7] = 255;
		for (uint16_t i = 0; i < len; i++)
			frame_add(&f, i == 0 ? "\x87" : "\0", 1);
		if (len >= 4)
			frame_l4_checksum(&f, L3, ICMP, ICMP + 2);
		put();
	}
	assert_int_equal(path_count(TD_C_ICMP_BAD), 8);
	assert_int_equal(path_count(TD_C_NEIGH_BAD), 16);
}

static void advertisements(void **state)
{
	nd(136, "fd00:1::7", "fd00:1::fe", "fd00:1::7", 2); // nobody asked
	put();
	assert_int_equal(mac_of(WEST, "fd00:1::7"), 0);
	nd(136, "fd00:1::1", "fd00:1::fe", "fd00:1::1", 2); // the gateway
	put();
	assert_int_equal(mac_of(WEST, "fd00:1::1"), td_mac_word(&peer) | TD_ADJACENCY_VALID);
	nd(136, "fd00:1::1", "ff02::1", "fd00:1::1", 2); // it moved, and tells all
	f.bytes[ICMP + 31] ^= 0xff;
	frame_l4_checksum(&f, L3, ICMP, ICMP + 2);
	put();
	assert_int_not_equal(mac_of(WEST, "fd00:1::1"), td_mac_word(&peer) | TD_ADJACENCY_VALID);
	nd(136, "fd00:1::1", "fd00:1::fe", "fd00:1::1", 0); // by the frame's own source
	put();
	assert_int_equal(mac_of(WEST, "fd00:1::1"), td_mac_word(&peer) | TD_ADJACENCY_VALID);
}

static void other_messages_to_groups_are_ignored(void **state)
{
	nd(134, "fd00:1::1", "ff02::1", "fd00:1::1", 0); // a router advertisement
	put();
	nd(128, "fd00:1::1", "ff02::1", "fd00:1::1", 0); // an echo request to all
	put();
	assert_int_equal(path_count(TD_C_ICMP_IGNORED), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			solicitation_to_the_group_is_answered, path_up, path_down),
		cmocka_unit_test_setup_teardown(solicitation_to_us_is_answered, path_up, path_down),
		cmocka_unit_test_setup_teardown(
			duplicate_detection_is_answered_to_all, path_up, path_down),
		cmocka_unit_test_setup_teardown(hop_limit_must_be_255, path_up, path_down),
		cmocka_unit_test_setup_teardown(what_must_not_be_believed, path_up, path_down),
		cmocka_unit_test_setup_teardown(truncated_messages, path_up, path_down),
		cmocka_unit_test_setup_teardown(advertisements, path_up, path_down),
		cmocka_unit_test_setup_teardown(
			other_messages_to_groups_are_ignored, path_up, path_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
