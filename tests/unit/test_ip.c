// SPDX-License-Identifier: BSD-3-Clause
// IPv4 and IPv6 in: lengths, checksums, sources, who gets what; echo.
#include "path_host.h"

#include "dataplane/realm_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define L3 14
#define L4 34
#define L4_6 54

static struct frame_buf f;

static int setup_trust(void **state)
{
	path_start(1, TD_CHECKSUM_TRUST);
	return 0;
}

static void put(void)
{
	path_put(PORT_A, f.bytes, f.len);
	path_run(0);
}

static void udp4(void)
{
	frame_udp(&f, PORT_A, 0, "10.0.1.7", "10.0.1.254", 4000, 16384, 20);
}

static void udp6(void)
{
	frame_udp(&f, PORT_A, 0, "fd00:1::7", "fd00:1::fe", 4000, 16385, 20);
}

static void media_goes_to_rtp_and_sip_to_sip(void **state)
{
	udp4();
	put();
	udp6();
	put();
	frame_udp(&f, PORT_A, 0, "10.0.1.7", "10.0.1.254", 5062, 5060, 400);
	put();
	frame_udp(&f, PORT_A, 100, "fd00:1::7", "fd00:1::fe", 5064, 5060, 400);
	put();
	assert_int_equal(path.n_rtp, 2);
	assert_true(path.rtp[0].packet.flags & TD_PACKET_L4_VERIFIED);
	assert_true(path.rtp[1].packet.flags & TD_PACKET_L4_VERIFIED);
	assert_int_equal(path.rtp[1].packet.l4_off, L4_6);
	assert_int_equal(path.rtp[1].packet.address, 1);
	assert_int_equal(path.n_sip, 2);
	struct td_sockaddr src = path_addr("10.0.1.7", 5062), dst = path_addr("10.0.1.254", 5060);
	assert_memory_equal(&path.sip[0].packet.src, &src, sizeof(src));
	assert_memory_equal(&path.sip[0].packet.dst, &dst, sizeof(dst));
	src = path_addr("fd00:1::7", 5064);
	assert_memory_equal(&path.sip[1].packet.src, &src, sizeof(src));
	assert_int_equal(path.sip[1].packet.realm, BLUE);
}

static void ports_at_the_range_s_ends(void **state)
{
	static const struct {
		uint16_t port;
		bool media;
	} cases[] = { { 16383, false }, { 16384, true }, { 32767, true }, { 32768, false },
		{ 0, false }, { 65535, false } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t before = path.n_rtp;
		frame_udp(&f, PORT_A, 0, "10.0.1.7", "10.0.1.254", 4000, cases[i].port, 20);
		put();
		assert_int_equal(path.n_rtp - before, cases[i].media);
	}
	assert_int_equal(path_count(TD_C_UDP_NO_LISTENER), 4);
}

static void padding_is_cut_off(void **state)
{
	frame_udp(&f, PORT_A, 0, "10.0.1.7", "10.0.1.254", 4000, 5060, 20);
	size_t len = f.len;
	frame_add(&f, "padding of Ethernet", 18);
	put();
	assert_int_equal(path.n_sip, 1);
	assert_int_equal(path.sip[0].len, len);
	udp4();
	frame_add(&f, "padding of Ethernet", 18);
	put();
	assert_int_equal(path.n_rtp, 1);
	assert_int_equal(path.rtp[0].packet.payload_len, 20);
}

static void bad_headers_and_lengths(void **state)
{
	udp4();
	f.bytes[L3] = 0x44; // shorter than a header can be
	put();
	udp4();
	f.bytes[L3] = 0x55;
	put();
	udp4();
	f.bytes[L3] = 0x4f; // longer than the packet
	put();
	udp6();
	f.bytes[L3] = 0x40;
	put();
	assert_int_equal(path_count(TD_C_IP_BAD_HEADER), 4);
	udp4();
	f.bytes[L3 + 3]++;
	frame_ip_checksum(&f, L3);
	put();
	udp4();
	f.bytes[L3 + 2] = 0;
	f.bytes[L3 + 3] = 19;
	frame_ip_checksum(&f, L3);
	put();
	udp6();
	f.bytes[L3 + 5]++;
	put();
	assert_int_equal(path_count(TD_C_IP_BAD_LENGTH), 3);
	assert_int_equal(path.n_rtp, 0);
}

static void ip_checksum_is_always_verified(void **state)
{
	udp4();
	f.bytes[L3 + 10] ^= 1;
	put();
	assert_int_equal(path_count(TD_C_IP_BAD_CHECKSUM), 1);
}

static void udp_lengths(void **state)
{
	udp4();
	f.bytes[L4 + 5]++; // beyond the packet
	put();
	udp4();
	f.bytes[L4 + 5] = 7;
	put();
	udp6();
	f.bytes[L4_6 + 4] = 0xff;
	put();
	assert_int_equal(path_count(TD_C_UDP_BAD_LENGTH), 3);
}

static void udp_checksums_verified(void **state)
{
	for (size_t at = L4; at < L4 + 28; at++) {
		udp4();
		f.bytes[at] ^= 0x10;
		put();
	}
	assert_int_equal(path.n_rtp, 0);
	udp6();
	f.bytes[L4_6 + 9] ^= 1;
	put();
	assert_int_equal(path.n_rtp, 0);
	udp4();
	f.bytes[L4 + 6] = f.bytes[L4 + 7] = 0; // none: RFC 768 allows it
	put();
	assert_int_equal(path.n_rtp, 1);
	assert_false(path.rtp[0].packet.flags & TD_PACKET_L4_VERIFIED);
	udp6();
	f.bytes[L4_6 + 6] = f.bytes[L4_6 + 7] = 0; // RFC 8200 §8.1 does not
	uint64_t before = path_count(TD_C_UDP_BAD_CHECKSUM);
	put();
	assert_int_equal(path.n_rtp, 1);
	assert_int_equal(path_count(TD_C_UDP_BAD_CHECKSUM), before + 1);
}

// Every payload length, so that every tail of the sum is met.
static void udp_checksums_of_all_lengths(void **state)
{
	for (uint16_t n = 0; n < 100; n++) {
		frame_udp(&f, PORT_A, 0, "10.0.1.7", "10.0.1.254", 4000, 16384, n);
		put();
		frame_udp(&f, PORT_A, 0, "fd00:1::7", "fd00:1::fe", 4000, 16384, n);
		put();
	}
	assert_int_equal(path.n_rtp, 200);
}

static void trusted_port_takes_unfinished_checksums(void **state)
{
	udp4();
	f.bytes[L4 + 6] ^= 0xff;
	put();
	assert_int_equal(path.n_rtp, 1);
	assert_false(path.rtp[0].packet.flags & TD_PACKET_L4_VERIFIED);
}

static void martians(void **state)
{
	static const char *const v4[] = { "0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1",
		"239.1.1.1", "255.255.255.255", "240.0.0.1", "10.0.1.254" };
	static const char *const v6[] = { "::", "::1", "ff02::1", "::ffff:10.0.1.7", "::10.0.1.7",
		"fd00:1::fe" };

	for (size_t i = 0; i < 8; i++) {
		frame_udp(&f, PORT_A, 0, v4[i], "10.0.1.254", 4000, 5060, 20);
		put();
		assert_int_equal(path_count(TD_C_IP_BAD_SOURCE), i + 1);
	}
	for (size_t i = 0; i < 6; i++) {
		frame_udp(&f, PORT_A, 0, v6[i], "fd00:1::fe", 4000, 5060, 20);
		put();
		assert_int_equal(path_count(TD_C_IP_BAD_SOURCE), 8 + i + 1);
	}
	// Not ours in this realm, though it has our last byte; and a neighbour's own.
	frame_udp(&f, PORT_A, 0, "10.0.2.254", "10.0.1.254", 4000, 16384, 20);
	put();
	assert_int_equal(path.n_rtp, 1);
}

static void others_destinations(void **state)
{
	frame_udp(&f, PORT_A, 0, "10.0.1.7", "10.0.2.254", 4000, 16384, 20); // is on the other port
	put();
	frame_udp(&f, PORT_A, 0, "fd00:1::7", "fd00:1::ff", 4000, 16384, 20);
	put();
	frame_udp(&f, PORT_A, 0, "10.0.1.7", "255.255.255.255", 4000, 16384, 20);
	put();
	assert_int_equal(path_count(TD_C_IP_NOT_FOR_US), 3);
}

static void options_are_skipped(void **state)
{
	static const uint8_t options[] = { 1, 1, 1, 0 };

	udp4();
	memmove(f.bytes + L4 + 4, f.bytes + L4, f.len - L4);
	memcpy(f.bytes + L4, options, 4);
	f.len += 4;
	f.bytes[L3] = 0x46;
	f.bytes[L3 + 3] += 4;
	frame_ip_checksum(&f, L3);
	put();
	assert_int_equal(path.n_rtp, 1);
	assert_int_equal(path.rtp[0].packet.l4_off, L4 + 4);
	assert_true(path.rtp[0].packet.flags & TD_PACKET_L4_VERIFIED);
}

static void extension_headers_are_dropped_by_name(void **state)
{
	static const uint8_t protocols[] = { 0, 43, 60, 51 };

	for (size_t i = 0; i < 4; i++) {
		udp6();
		f.bytes[L3 + 6] = protocols[i];
		put();
	}
	assert_int_equal(path_count(TD_C_IP_EXTENSION_HEADER), 4);
	udp6();
	f.bytes[L3 + 6] = 6;
	put();
	udp4();
	f.bytes[L3 + 9] = 6;
	frame_ip_checksum(&f, L3);
	put();
	assert_int_equal(path_count(TD_C_IP_UNKNOWN_PROTOCOL), 2);
}

static void echo(uint16_t vlan, const char *src, const char *dst, size_t n)
{
	bool v4 = path_addr(src, 0).family == TD_IPV4;
	uint8_t head[8] = { v4 ? 8 : 128, 0, 0, 0, 1, 2, 3, 4 }, byte = 7;

	frame_eth(&f, PORT_A, vlan, v4 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6);
	size_t l3 = f.len;
	frame_ip(&f, src, dst, v4 ? 1 : 58, (uint16_t)(8 + n));
	size_t l4 = f.len;
	frame_add(&f, head, 8);
	for (size_t i = 0; i < n; i++)
		frame_add(&f, &byte, 1);
	if (!v4) {
		frame_l4_checksum(&f, l3, l4, l4 + 2);
	} else {
		uint32_t sum = 0x0800 + 0x0102 + 0x0304 + 0x0707u * (uint32_t)(n / 2) +
			       (n % 2 ? 0x0700 : 0);
		sum = (sum & 0xffff) + (sum >> 16);
		f.bytes[l4 + 2] = (uint8_t)(~sum >> 8);
		f.bytes[l4 + 3] = (uint8_t)~sum;
	}
}

static void echo_is_answered(void **state)
{
	static const struct rte_ether_addr peer = PEER_MAC;
	uint8_t out[2048];

	echo(0, "10.0.1.7", "10.0.1.254", 33);
	put();
	assert_int_equal(path_take(PORT_A, out, sizeof(out)), f.len);
	assert_memory_equal(out, &peer, 6);
	assert_memory_equal(out + 6, &path.dp->ports[PORT_A].mac, 6);
	assert_true(frame_ip_good(out + L3, f.len - L3));
	assert_int_equal(out[L4], 0);
	assert_int_equal(out[L3 + 8], 64);
	assert_memory_equal(out + L3 + 12, f.bytes + L3 + 16, 4);
	assert_memory_equal(out + L4 + 4, f.bytes + L4 + 4, f.len - L4 - 4);

	echo(100, "fd00:1::7", "fd00:1::fe", 56);
	put();
	assert_int_equal(path_take(PORT_A, out, sizeof(out)), f.len);
	assert_int_equal(out[14] << 8 | out[15], 100);
	assert_true(frame_ip_good(out + 18, f.len - 18));
	assert_int_equal(out[58], 129);
}

static void bad_icmp_is_not_answered(void **state)
{
	uint8_t out[2048];

	echo(0, "10.0.1.7", "10.0.1.254", 32);
	f.bytes[L4 + 2] ^= 1;
	put();
	echo(0, "fd00:1::7", "fd00:1::fe", 32);
	f.bytes[L4_6 + 9] ^= 1;
	put();
	assert_int_equal(path_count(TD_C_ICMP_BAD), 2);
	echo(0, "10.0.1.7", "10.0.1.254", 0);
	f.bytes[L4] = 3; // an error about something we sent
	f.bytes[L4 + 2] += 5;
	put();
	assert_int_equal(path_count(TD_C_ICMP_IGNORED), 1);
	assert_int_equal(path_take(PORT_A, out, sizeof(out)), 0);
}

static void echo_flood_is_limited(void **state)
{
	uint8_t out[2048];
	uint32_t answered = 0;

	echo(0, "10.0.1.7", "10.0.1.254", 32);
	for (int i = 0; i < 900; i++)
		path_put(PORT_A, f.bytes, f.len);
	path_run(0);
	while (path_take(PORT_A, out, sizeof(out)) > 0)
		answered++;
	assert_in_range(answered, 1, 899);
	assert_int_equal(answered + path_count(TD_C_ICMP_RATE), 900);
}

// As many realms and addresses as there may be: each is found, and strangers nearly never reach the
// slots.
static void every_own_address_is_found(void **state)
{
	static struct td_dataplane dp;
	uint16_t bad;
	uint32_t perhaps = 0;

	dp.n_ports = 1;
	memcpy(dp.ports[0].conf.name, "p", 2);
	dp.conf.n_realms = TD_REALMS_MAX;
	for (int r = 0; r < TD_REALMS_MAX; r++) {
		struct td_realm_conf *realm = &dp.conf.realms[r];
		memcpy(realm->port, "p", 2);
		realm->n_addresses = TD_REALM_ADDRS_MAX;
		for (uint8_t a = 0; a < TD_REALM_ADDRS_MAX; a++)
			realm->addresses[a].ip = (struct td_sockaddr){
				.ip = { 10, (uint8_t)r, 0, (uint8_t)(10 + a) }, .family = TD_IPV4
			};
	}
	assert_int_equal(td_realm_table_create(&dp, &bad), 0);
	for (uint32_t i = 0; i < TD_REALMS_MAX << 8; i++) {
		struct td_sockaddr ip = { .ip = { 10, (uint8_t)(i >> 8), 0, (uint8_t)i },
			.family = TD_IPV4 };
		uint32_t word, a = (i & 255) - 10;
		memcpy(&word, ip.ip, sizeof(word));
		const struct td_realm_entry *e = td_realm_find_ip(dp.realm_table, 0, 0, &ip);
		bool maybe = td_realm_perhaps(dp.realm_table, td_realm_key(0, 0, TD_IPV4), 0, word);
		assert_int_equal(e != NULL, a < TD_REALM_ADDRS_MAX);
		if (e) {
			assert_true(maybe);
			assert_int_equal(e->realm, i >> 8);
			assert_int_equal(e->address, a);
		}
		perhaps += maybe && !e;
	}
	assert_in_range(perhaps, 0, (TD_REALMS_MAX << 8) / 2);
	td_realm_table_destroy(&dp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			media_goes_to_rtp_and_sip_to_sip, path_up, path_down),
		cmocka_unit_test_setup_teardown(ports_at_the_range_s_ends, path_up, path_down),
		cmocka_unit_test_setup_teardown(padding_is_cut_off, path_up, path_down),
		cmocka_unit_test_setup_teardown(bad_headers_and_lengths, path_up, path_down),
		cmocka_unit_test_setup_teardown(
			ip_checksum_is_always_verified, setup_trust, path_down),
		cmocka_unit_test_setup_teardown(udp_lengths, path_up, path_down),
		cmocka_unit_test_setup_teardown(udp_checksums_verified, path_up, path_down),
		cmocka_unit_test_setup_teardown(udp_checksums_of_all_lengths, path_up, path_down),
		cmocka_unit_test_setup_teardown(
			trusted_port_takes_unfinished_checksums, setup_trust, path_down),
		cmocka_unit_test_setup_teardown(martians, path_up, path_down),
		cmocka_unit_test_setup_teardown(others_destinations, path_up, path_down),
		cmocka_unit_test_setup_teardown(options_are_skipped, path_up, path_down),
		cmocka_unit_test_setup_teardown(
			extension_headers_are_dropped_by_name, path_up, path_down),
		cmocka_unit_test_setup_teardown(echo_is_answered, path_up, path_down),
		cmocka_unit_test_setup_teardown(bad_icmp_is_not_answered, path_up, path_down),
		cmocka_unit_test_setup_teardown(echo_flood_is_limited, path_up, path_down),
		cmocka_unit_test(every_own_address_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
