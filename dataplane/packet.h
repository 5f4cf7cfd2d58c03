// SPDX-License-Identifier: BSD-3-Clause
// What travels with an mbuf between stages: its private area, filled by eth_input and ip_input.
//
// Owner: the core that holds the mbuf. 64 bytes, one cache line (architecture §4: the receiver's
// peek goes along).
#pragma once

#include "include/flow.h"
#include "sip/peek.h"

#include <rte_mbuf.h>

// td_packet.flags
enum {
	// In: the UDP checksum that the datagram carries was verified, so that a change may be
	// folded into it.
	TD_PACKET_L4_VERIFIED = 1,
	// Out: lengths and checksums of IP and UDP are complete; ip_output leaves them as they are.
	TD_PACKET_L4_DONE = 2,
};

// td_packet.errand: what main shall do with a packet that a worker gave it.
enum td_errand {
	TD_ERRAND_ARP, // a received frame
	TD_ERRAND_ND,  // a received frame; l3_off and l4_off are set
	// Starts at its IP header; waits for the neighbour of its destination in td_packet.realm.
	TD_ERRAND_RESOLVE,
};

#define TD_LEG_UNASKED UINT32_MAX

struct td_packet {
	uint16_t realm;       // index; set by ip_input from port, VLAN and destination
	uint8_t port;         // index in td_dataplane.ports it came in on
	uint8_t address;      // index of the realm's local address it was sent to
	uint16_t l3_off;      // from the start of the frame
	uint16_t l4_off;      // the UDP or ICMP header
	uint16_t payload_len; // of UDP, from its verified length; the payload starts at l4_off + 8
	uint8_t owner;        // worker it goes to
	uint8_t flags;        // TD_PACKET_*
	union {
		struct {
			uint8_t errand; // enum td_errand
			uint8_t unused;
			uint16_t vlan;  // 0: untagged
		};
		// Of SIP on its way to its owner: the token that the peek verified.
		struct {
			uint8_t token_kind, token_branch;
			uint16_t token_off; // in the payload, 0: there is none
		};
	};
	struct td_sockaddr src, dst; // of SIP and slow packets; RTP reads them from the frame
	union {
		uint32_t leg; // of RTP to this worker: the index of its leg, 0: none; or
			      // TD_LEG_UNASKED
		struct {
			uint32_t token_slot, token_generation;
		};
	};
};

static_assert(sizeof(struct td_packet) == 64, "one cache line of private area");

static inline struct td_packet *td_packet(struct rte_mbuf *m)
{
	return (struct td_packet *)rte_mbuf_to_priv(m);
}
