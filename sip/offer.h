// SPDX-License-Identifier: BSD-3-Clause
// Offer/answer across the switch (RFC 3264): takes one side's SDP and writes the other side's, with
// our addresses, our origin and nothing that names the first side. Knows media legs only through
// the table below; no host calls.
//
// Owner: the call. State per call and side is struct td_sdp_side.
#pragma once

#include "include/leg.h"
#include "include/ceilings.h"
#include "sip/sdp.h"
#include "sip/writer.h"

enum td_sdp_fault {
	TD_SDP_OK = 0,
	TD_SDP_MALFORMED,
	TD_SDP_NO_MEDIA,
	TD_SDP_TOO_MANY,
	TD_SDP_MISMATCH,
	TD_SDP_OVERFLOW
};

// One m= line of the session; index is the same on both sides of the call. Lines beyond
// TD_STREAMS_MAX, or not RTP over UDP, are relayed as refused (port 0).
struct td_sdp_stream {
	uint8_t direction; // as that far end stated it (TD_SDP_*)
	bool active; // port not 0, and plain RTP (RTP/AVP, RTP/AVPF): without keys no other can be
		     // relayed
	bool rtcp_mux; // RFC 5761 agreed: the far end and we have both said so
	bool mux_received, mux_sent;
	uint16_t ptime_ms;
	struct td_sockaddr rtp,
		rtcp; // where that far end wants media; family 0: unknown or refused
};

// What the switch remembers of the SDP between itself and one far end.
struct td_sdp_side {
	uint64_t session_id;      // of our o= towards that side; random, never changes (§8)
	uint64_t session_version; // grows by one whenever what we send differs from what we sent
				  // last
	uint64_t sent_hash;       // of the last SDP written without its o= line
	uint8_t n_media;          // m= lines so far; never shrinks (§8)
	bool received;            // this far end has sent some SDP
	char codec[24];           // first codec of the last SDP received, "PCMA"
	struct td_sdp_stream
		streams[TD_STREAMS_MAX]; // last: who keeps many sides may cut it after n_media
};

void td_sdp_side_init(struct td_sdp_side *side, uint64_t session_id);

// Reads what a far end sent into its side: streams, codec. offer: it is an offer (may add m=
// lines); an answer must have exactly as many m= lines as were offered. Nothing changes on a fault.
enum td_sdp_fault td_sdp_side_receive(
	struct td_sdp_side *side, const struct td_sdp *sdp, bool offer);

// Writes the SDP for the other side: sdp as received from one, with o=/s=/c=/ports of ours
// (local[i] for stream i; family 0: refused, port 0). Only attributes of a list in offer.c pass,
// those that describe a codec; ICE, crypto, fingerprints, i=, u=, e=, p= and anything with an
// address never do (architecture §5). a=rtcp is rewritten to ours or dropped; b=, t= and the
// direction pass. Hold by c=0.0.0.0 (RFC 3264 §8.4) becomes a direction. to is the side it goes to:
// its origin, version and m= count. 0 or a fault.
enum td_sdp_fault td_sdp_rewrite(const struct td_sdp *sdp, struct td_sdp_side *to,
	const struct td_leg_local local[TD_STREAMS_MAX], struct td_writer *out);
