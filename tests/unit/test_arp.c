// SPDX-License-Identifier: BSD-3-Clause
// ARP: answering, asking, believing.
#include "path_host.h"

#include "dataplane/l2.h"
#include "dataplane/neigh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct rte_ether_addr peer = PEER_MAC;
static const uint8_t everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
static struct frame_buf f;
static uint8_t out[2048];

static void arp(uint16_t vlan, uint8_t opcode, const char *sender, const char *target)
{
	uint8_t head[8] = { 0, 1, 8, 0, 6, 4, 0, opcode };
	struct td_sockaddr s = path_addr(sender, 0), t = path_addr(target, 0);

	frame_eth(&f, PORT_A, vlan, RTE_ETHER_TYPE_ARP);
	memcpy(f.bytes, everybody, 6);
	frame_add(&f, head, 8);
	frame_add(&f, &peer, 6);
	frame_add(&f, s.ip, 4);
	frame_add(&f, "\0\0\0\0\0\0", 6);
	frame_add(&f, t.ip, 4);
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

static void request_is_answered(void **state)
{
	arp(0, 1, "10.0.1.7", "10.0.1.254");
	put();
	assert_int_equal(path_take(PORT_A, out, sizeof(out)), 42);
	assert_memory_equal(out, &peer, 6);
	assert_int_equal(out[21], 2);
	assert_memory_equal(out + 22, &path.dp->ports[PORT_A].mac, 6);
	assert_memory_equal(out + 28, f.bytes + 38, 4);
	assert_memory_equal(out + 32, &peer, 6);
	assert_memory_equal(out + 38, f.bytes + 28, 4);
	// Who asks for us will be answered: it is known now.
	assert_int_equal(mac_of(WEST, "10.0.1.7"), td_mac_word(&peer) | TD_ADJACENCY_VALID);
	assert_int_equal(mac_of(BLUE, "10.0.1.7"), 0);
}

static void request_on_a_vlan_is_answered_there(void **state)
{
	arp(100, 1, "10.0.1.7", "10.0.1.254");
	put();
	assert_int_equal(path_take(PORT_A, out, sizeof(out)), 46);
	assert_int_equal(out[14] << 8 | out[15], 100);
	assert_int_equal(mac_of(WEST, "10.0.1.7"), 0);
	assert_int_equal(mac_of(BLUE, "10.0.1.7"), td_mac_word(&peer) | TD_ADJACENCY_VALID);
}

static void probe_is_answered(void **state)
{
	arp(0, 1, "0.0.0.0", "10.0.1.254");
	put();
	assert_int_equal(path_take(PORT_A, out, sizeof(out)), 42);
}

static void request_for_others_is_not_answered(void **state)
{
	arp(0, 1, "10.0.1.7", "10.0.1.8");
	put();
	arp(0, 1, "10.0.1.7", "10.0.2.254");
	put();
	assert_int_equal(path_take(PORT_A, out, sizeof(out)), 0);
	assert_int_equal(path_count(TD_C_NEIGH_IGNORED), 2);
	assert_int_equal(mac_of(WEST, "10.0.1.7"), 0);
}

static void nonsense_is_dropped(void **state)
{
	static const size_t places[] = { 15, 16, 18, 19 };

	for (size_t i = 0; i < 4; i++) {
		arp(0, 1, "10.0.1.7", "10.0.1.254");
		f.bytes[places[i]] ^= 0x40;
		put();
	}
	arp(0, 1, "10.0.1.7", "10.0.1.254");
	f.len--;
	put();
	arp(0, 1, "10.0.1.254", "10.0.1.254"); // somebody says that he is we
	put();
	arp(0, 2, "10.0.1.7", "10.0.1.254");
	f.bytes[22] |= 1; // a group cannot be a neighbour
	put();
	assert_int_equal(path_count(TD_C_NEIGH_BAD), 7);
	assert_int_equal(path_take(PORT_A, out, sizeof(out)), 0);
}

static void unasked_replies_make_no_entries(void **state)
{
	arp(0, 2, "10.0.1.7", "10.0.1.254");
	put();
	assert_int_equal(mac_of(WEST, "10.0.1.7"), 0);
	// The gateway is in the table from the start, so its word counts.
	arp(0, 2, "10.0.1.1", "10.0.1.254");
	put();
	assert_int_equal(mac_of(WEST, "10.0.1.1"), td_mac_word(&peer) | TD_ADJACENCY_VALID);
	assert_int_equal(mac_of(WEST, "192.0.2.1"), td_mac_word(&peer) | TD_ADJACENCY_VALID);
	// It moves: a gratuitous request tells everybody.
	arp(0, 1, "10.0.1.1", "10.0.1.1");
	f.bytes[27] ^= 0xff;
	put();
	assert_int_not_equal(mac_of(WEST, "10.0.1.1"), td_mac_word(&peer) | TD_ADJACENCY_VALID);
	assert_int_not_equal(mac_of(WEST, "10.0.1.1"), 0);
}

static void strangers_fill_half_the_table_at_most(void **state)
{
	char ip[24];

	for (int i = 1; i < 100; i++) {
		snprintf(ip, sizeof(ip), "10.0.1.%d", i);
		arp(0, 1, ip, "10.0.1.254");
		put();
		assert_int_not_equal(path_take(PORT_A, out, sizeof(out)), 0);
	}
	assert_int_equal(path.dp->n_adjacencies, 2 + 32); // and the gateways
}

static void announcement(void **state)
{
	uint32_t arps = 0, nas = 0, asks = 0;
	size_t n;

	td_neigh_announce(path.dp);
	path_run(0);
	while ((n = path_take(PORT_A, out, sizeof(out))) > 0) {
		size_t l3 = out[12] == 0x81 ? 18 : 14;
		bool is_arp = out[l3 - 1] == 0x06;
		bool own = is_arp && memcmp(out + l3 + 14, out + l3 + 24, 4) == 0;
		arps += own;
		asks += is_arp && !own;
		if (!is_arp) {
			assert_true(frame_ip_good(out + l3, n - l3));
			nas += out[l3 + 40] == 136;
			asks += out[l3 + 40] == 135;
		}
	}
	assert_int_equal(arps, 2); // west and blue
	assert_int_equal(nas, 2);
	assert_int_equal(asks, 2); // the gateways of west
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(request_is_answered, path_up, path_down),
		cmocka_unit_test_setup_teardown(
			request_on_a_vlan_is_answered_there, path_up, path_down),
		cmocka_unit_test_setup_teardown(probe_is_answered, path_up, path_down),
		cmocka_unit_test_setup_teardown(
			request_for_others_is_not_answered, path_up, path_down),
		cmocka_unit_test_setup_teardown(nonsense_is_dropped, path_up, path_down),
		cmocka_unit_test_setup_teardown(
			unasked_replies_make_no_entries, path_up, path_down),
		cmocka_unit_test_setup_teardown(
			strangers_fill_half_the_table_at_most, path_up, path_down),
		cmocka_unit_test_setup_teardown(announcement, path_up, path_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
