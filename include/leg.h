// SPDX-License-Identifier: BSD-3-Clause
// A media leg: one local RTP/RTCP port pair of the switch and the far end it talks to (one SDP m=
// line of one side). What sip/ asks of its host and what it gets back; the data plane's own leg is
// in dataplane/leg.h.
#pragma once

#include "include/addr.h"

// A leg's handle. 0 is no leg. Carries a generation: a stale handle is refused, never followed.
typedef uint64_t td_leg_id;

// Directions are those of SDP, seen from the switch towards this leg's far end.
enum { TD_LEG_SEND = 1, TD_LEG_RECV = 2, TD_LEG_SENDRECV = 3 };

struct td_leg_open {
	uint16_t realm;
	uint8_t family;    // TD_IPV4 or TD_IPV6: of the local address wanted
	uint8_t zero;
	uint32_t trunk;    // index in the policy in force: media.sources
	uint64_t call;     // the call's cookie, given back in events
};

struct td_leg_local {
	struct td_sockaddr rtp;  // as it stands in SDP: the advertised address, even port
	struct td_sockaddr rtcp; // port + 1
};

// How a leg stands after an offer or answer. Every field is set on every modify.
struct td_leg_modify {
	struct td_sockaddr rtp;  // where to send; family 0: nothing known yet
	struct td_sockaddr rtcp; // where to send RTCP; family 0: rtp's port + 1
	// What is received here leaves from there; 0: dropped as rtp.no_peer.
	td_leg_id peer;
	uint8_t direction;       // TD_LEG_*
	bool reopen;             // a new offer/answer: learn-once may learn again
	bool rtcp_mux;           // RFC 5761 agreed on this leg
	uint32_t timeout_s;      // 0: off; counts only while direction lets the far end send
};

// Counts of one leg since it was opened (RFC 3550 App. A.3, A.8).
struct td_leg_stats {
	uint64_t rx_packets, rx_bytes; // valid RTP from the far end
	uint64_t tx_packets, tx_bytes; // RTP sent to the far end
	uint64_t lost;                 // expected − received, never negative
	// Interarrival jitter; clock rate of the payload type, 8 kHz if unknown.
	double jitter_ms;
	// Where the far end really sends from; unset when it never sent.
	struct td_sockaddr remote;
};
