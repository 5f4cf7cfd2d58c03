// SPDX-License-Identifier: BSD-3-Clause
// A whole packet path for its tests and its fuzzer: two ports that are rings, three realms, as many
// workers as asked for on one thread, and stages above it that only note what they are given.
//
//   port a: west 10.0.1.254/24 fd00:1::fe/64, gateways 10.0.1.1 fd00:1::1; blue, the same addresses
//   on VLAN 100 port b: east 10.0.2.254/24 fd00:2::fe/64
#pragma once

#include "dataplane/path.h"

#include <rte_ether.h>

#define PATH_CAPTURE 256
#define PATH_BYTES 20000

enum { PORT_A, PORT_B };
enum { WEST, BLUE, EAST };

struct captured {
	uint16_t worker;
	struct td_packet packet;
	uint32_t len;
	uint8_t bytes[2048]; // the first of the frame
};

struct path {
	struct td_dataplane *dp;
	struct rte_ring *rx[2], *tx[2];
	struct rte_mempool *frames, *big, *small;
	uint64_t now_ns; // main's
	struct captured rtp[PATH_CAPTURE], sip[PATH_CAPTURE];
	uint32_t n_rtp, n_sip;
	uint32_t in_use; // buffers before the test
};

extern struct path path;

// EAL without hugepages; once for the process. Aborts where that fails.
void path_eal(void);
// rx_checksum: enum td_rx_checksum of both ports.
void path_start(uint16_t n_workers, uint8_t rx_checksum);
// Sends nothing more, frees all, and asserts that every buffer came back.
void path_stop(void);
// Both as cmocka takes them: one worker, checksums as the port wants them.
int path_up(void **state);
int path_down(void **state);

// A frame arrives on a port; path_run() has the workers and main handle it.
void path_put(int port, const void *frame, size_t len);
void path_put_mbuf(int port, struct rte_mbuf *m);
// Turns of every worker and of main until nothing moves; main's clock goes on by ms first. Asserts
// the balance.
void path_run(uint64_t ms);
// The next frame that left the port; 0: none.
size_t path_take(int port, uint8_t *dst, size_t cap);
// Of all workers and main.
uint64_t path_count(enum td_counter counter);

// --- frames ---

struct frame_buf {
	size_t len;
	uint8_t bytes[PATH_BYTES];
};

#define PEER_MAC                                                                                   \
	{                                                                                          \
		{                                                                                  \
			2, 0, 0, 0, 0xbb, 1                                                        \
		}                                                                                  \
	}

struct td_sockaddr path_addr(const char *ip, uint16_t port);
// To the port's own MAC, from PEER_MAC; vlan 0: untagged.
void frame_eth(struct frame_buf *f, int port, uint16_t vlan, uint16_t type);
void frame_add(struct frame_buf *f, const void *data, size_t len);
// IPv4 or IPv6 header in front of len bytes that the caller adds; checksum done.
void frame_ip(
	struct frame_buf *f, const char *src, const char *dst, uint8_t protocol, uint16_t len);
// Ethernet, IP, UDP and n payload bytes 0, 1, 2 …; all checksums right.
void frame_udp(struct frame_buf *f, int port, uint16_t vlan, const char *src, const char *dst,
	uint16_t sport, uint16_t dport, uint16_t n);
// Sets the checksum of the UDP or ICMPv6 datagram that begins at l4; l3: the IP header.
void frame_l4_checksum(struct frame_buf *f, size_t l3, size_t l4, size_t at);
// The IP header checksum again after a change.
void frame_ip_checksum(struct frame_buf *f, size_t l3);
// Checks lengths and checksums of a frame that left, at its IP header: true where all is well.
bool frame_ip_good(const uint8_t *l3, size_t len);
