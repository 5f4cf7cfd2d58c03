// SPDX-License-Identifier: BSD-3-Clause
// SDP as an index of lines (RFC 8866) with what offer/answer needs decoded (RFC 3264). Pure; no
// copy, no allocation.
#pragma once

#include "include/addr.h"

#define TD_SDP_MEDIA_MAX 16
#define TD_SDP_LINES_MAX 512

struct td_sdp_line {
	uint16_t off; // of the value, after "x="
	uint16_t len; // without the line end
	char type;
};

enum td_sdp_direction {
	TD_SDP_INACTIVE = 0,
	TD_SDP_SENDONLY = 1,
	TD_SDP_RECVONLY = 2,
	TD_SDP_SENDRECV = 3
};

struct td_sdp_media {
	struct td_span type;    // "audio"
	struct td_span proto;   // "RTP/AVP"
	struct td_span formats; // "8 0 101"
	uint16_t port;          // 0: refused
	uint16_t n_ports;       // the /n, 1 where absent
	uint16_t line;          // index of its m= line
	uint16_t end;           // index after its last line
	uint8_t direction;      // enum td_sdp_direction, session level inherited
	bool rtp;               // proto is some RTP/* profile over UDP
	bool rtcp_mux;
	struct td_sockaddr address; // its c= or the session's, port 0; family 0: a host name or
				    // none (c= of 0.0.0.0 is set)
	struct td_sockaddr rtcp;    // a=rtcp (RFC 3605), family/port 0 where absent
	uint16_t ptime_ms;          // 0 where absent
};

struct td_sdp {
	const char *buf;
	uint32_t len;
	uint16_t n_lines;
	uint16_t session_end; // index after the session level
	uint8_t n_media;
	struct td_span origin_user, origin_address, session_name;
	uint64_t session_id, session_version; // 0 where not numeric
	struct td_sdp_media media[TD_SDP_MEDIA_MAX];
	struct td_sdp_line lines[TD_SDP_LINES_MAX];
};

// 0 or -EBADMSG (order, missing v= o= s= t=, ports out of range, too many lines). Bare LF line ends
// are taken.
int td_sdp_parse(struct td_sdp *sdp, const char *buf, uint32_t len);
// rtpmap of a payload type inside a media section, else the static table's (RFC 3551). false:
// unknown.
bool td_sdp_codec(const struct td_sdp *sdp, const struct td_sdp_media *media, unsigned payload_type,
	struct td_span *name, uint32_t *clock_hz);
