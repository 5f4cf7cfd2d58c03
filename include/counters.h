// SPDX-License-Identifier: BSD-3-Clause
// Every counted outcome of the switch, by name: one array of td_count per worker, written by its
// owner alone.
// Add a counter by adding a line; the name is what `tandemctl show counters` prints (area.verdict).
// The third column says what the balance of a core does with it (td_counters_balance()): frames
// come IN, go OUT or are DROPped. REFUSED counts messages dropped in silence by the engine, whose
// frames are OUT as sip.consumed; INFO counts something else than frames.
#pragma once

#include "include/count.h"

// clang-format off
#define TD_COUNTERS(X) \
	X(RX_FRAMES,            "port.rx",                 IN) \
	X(RX_RINGS,             "ring.rx",                 IN) \
	X(TX_FRAMES,            "port.tx",                 OUT) \
	X(TX_ORIGINATED,        "tx.originated",           IN) \
	X(TX_HANDED,            "tx.handed",               OUT) \
	X(TX_FULL,              "port.tx_full",            DROP) \
	X(MAIN_HANDED,          "main.handed",             OUT) \
	X(MAIN_FULL,            "main.full",               DROP) \
	X(ETH_SHORT,            "eth.short",               DROP) \
	X(ETH_SEGMENTED,        "eth.segmented",           DROP) \
	X(ETH_NOT_FOR_US,       "eth.not_for_us",          DROP) \
	X(ETH_UNKNOWN_TYPE,     "eth.unknown_type",        DROP) \
	X(ETH_UNKNOWN_VLAN,     "eth.unknown_vlan",        DROP) \
	X(IP_BAD_HEADER,        "ip.bad_header",           DROP) \
	X(IP_BAD_LENGTH,        "ip.bad_length",           DROP) \
	X(IP_BAD_CHECKSUM,      "ip.bad_checksum",         DROP) \
	X(IP_BAD_SOURCE,        "ip.bad_source",           DROP) \
	X(IP_NOT_FOR_US,        "ip.not_for_us",           DROP) \
	X(IP_UNKNOWN_PROTOCOL,  "ip.unknown_protocol",     DROP) \
	X(IP_EXTENSION_HEADER,  "ip.extension_header",     DROP) \
	X(IP_FRAGMENT_MERGED,   "ip.fragment_merged",      OUT) \
	X(IP_FRAGMENT_MADE,     "ip.fragment_made",        IN) \
	X(IP_FRAGMENT_FULL,     "ip.fragment_full",        DROP) \
	X(IP_FRAGMENT_NO_BUFFER, "ip.fragment_no_buffer",  DROP) \
	X(IP_FRAGMENT_BAD,      "ip.fragment_bad",         DROP) \
	X(IP_FRAGMENT_TIMEOUT,  "ip.fragment_timeout",     DROP) \
	X(IP_NO_ROUTE,          "ip.no_route",             DROP) \
	X(IP_TOO_BIG,           "ip.too_big",              DROP) \
	X(UDP_BAD_LENGTH,       "udp.bad_length",          DROP) \
	X(UDP_BAD_CHECKSUM,     "udp.bad_checksum",        DROP) \
	X(UDP_NO_LISTENER,      "udp.no_listener",         DROP) \
	X(NEIGH_QUEUE_FULL,     "neigh.queue_full",        DROP) \
	X(NEIGH_UNREACHABLE,    "neigh.unreachable",       DROP) \
	X(NEIGH_BAD,            "neigh.bad",               DROP) \
	X(NEIGH_IGNORED,        "neigh.ignored",           DROP) \
	X(NEIGH_CONSUMED,       "neigh.consumed",          OUT) \
	X(NEIGH_TABLE_FULL,     "neigh.table_full",        DROP) \
	X(ICMP_BAD,             "icmp.bad",                DROP) \
	X(ICMP_IGNORED,         "icmp.ignored",            DROP) \
	X(ICMP_RATE,            "icmp.rate",               DROP) \
	X(HANDOFF_FULL,         "handoff.full",            DROP) \
	X(HANDOFF_SENT,         "handoff.sent",            OUT) \
	X(BUF_NO_HEADROOM,      "buf.no_headroom",         DROP) \
	X(BUF_EMPTY,            "buf.empty",               INFO) \
	X(RTP_RELAYED,          "rtp.relayed",             INFO) \
	X(RTP_NO_LEG,           "rtp.no_leg",              DROP) \
	X(RTP_NO_PEER,          "rtp.no_peer",             DROP) \
	X(RTP_HELD,             "rtp.held",                DROP) \
	X(RTP_WRONG_SOURCE,     "rtp.wrong_source",        DROP) \
	X(RTP_BAD_VERSION,      "rtp.bad_version",         DROP) \
	X(RTP_BAD_LENGTH,       "rtp.bad_length",          DROP) \
	X(RTP_BAD_PAYLOAD,      "rtp.bad_payload",         DROP) \
	X(RTCP_RELAYED,         "rtcp.relayed",            INFO) \
	X(RTCP_BAD,             "rtcp.bad",                DROP) \
	X(SIP_RX_REQUESTS,      "sip.rx_requests",         INFO) \
	X(SIP_RX_RESPONSES,     "sip.rx_responses",        INFO) \
	X(SIP_TX_REQUESTS,      "sip.tx_requests",         INFO) \
	X(SIP_TX_RESPONSES,     "sip.tx_responses",        INFO) \
	X(SIP_CONSUMED,         "sip.consumed",            OUT) \
	X(SIP_KEEPALIVE,        "sip.keepalive",           INFO) \
	X(SIP_RETRANSMISSION,   "sip.retransmission",      INFO) \
	X(SIP_RETRANSMITTED,    "sip.retransmitted",       INFO) \
	X(SIP_UNKNOWN_SOURCE,   "sip.unknown_source",      REFUSED) \
	X(SIP_BAD_MESSAGE,      "sip.bad_message",         REFUSED) \
	X(SIP_BAD_ANSWERED,     "sip.bad_answered",        INFO) \
	X(SIP_TOO_BIG,          "sip.too_big",             INFO) \
	X(SIP_BAD_TOKEN,        "sip.bad_token",           INFO) \
	X(SIP_STRAY_RESPONSE,   "sip.stray_response",      REFUSED) \
	X(SIP_STRAY_ACK,        "sip.stray_ack",           REFUSED) \
	X(SIP_SOURCE_RATE,      "sip.source_rate",         REFUSED) \
	X(SIP_LIMIT_CALLS,      "sip.limit_calls",         INFO) \
	X(SIP_LIMIT_CPS,        "sip.limit_cps",           INFO) \
	X(SIP_TRUNK_CALLS,      "sip.trunk_calls",         INFO) \
	X(SIP_TRUNK_CPS,        "sip.trunk_cps",           INFO) \
	X(SIP_SUBSCRIBER_CALLS, "sip.subscriber_calls",    INFO) \
	X(SIP_SUBSCRIBER_CPS,   "sip.subscriber_cps",      INFO) \
	X(SIP_GROUP_CALLS,      "sip.group_calls",         INFO) \
	X(SIP_GROUP_CPS,        "sip.group_cps",           INFO) \
	X(SIP_ROUTE_CALLS,      "sip.route_calls",         INFO) \
	X(SIP_ROUTE_CPS,        "sip.route_cps",           INFO) \
	X(SIP_TRUNK_DISABLED,   "sip.trunk_disabled",      INFO) \
	X(NUMBER_RULES,         "number.rules",            INFO) \
	X(NUMBER_RULE_FAILED,   "number.rule_failed",      INFO) \
	X(CALLER_REPLACED,      "caller.replaced",         INFO) \
	X(CALLER_HIDDEN,        "caller.hidden",           INFO) \
	X(CALLER_REFUSED,       "caller.refused",          INFO) \
	X(SIP_NO_ROUTE,         "sip.no_route",            INFO) \
	X(SIP_NO_POLICY,        "sip.no_policy",           INFO) \
	X(SIP_DRAINING,         "sip.draining",            INFO) \
	X(SIP_NO_TRANSACTION,   "sip.no_transaction",      INFO) \
	X(SIP_NO_CALL,          "sip.no_call",             INFO) \
	X(SIP_NO_MEMORY,        "sip.no_memory",           INFO) \
	X(SIP_NO_MEDIA_PORT,    "sip.no_media_port",       INFO) \
	X(SIP_SEND_FAILED,      "sip.send_failed",         INFO) \
	X(AUTH_PASSED,          "auth.passed",             INFO) \
	X(AUTH_CHALLENGED,      "auth.challenged",         INFO) \
	X(AUTH_STALE,           "auth.stale",              INFO) \
	X(AUTH_REPLAYED,        "auth.replayed",           INFO) \
	X(AUTH_REPEATED,        "auth.repeated",           INFO) \
	X(AUTH_FORBIDDEN,       "auth.forbidden",          INFO) \
	X(AUTH_PENALTY,         "auth.penalty",            INFO) \
	X(AUTH_BAD,             "auth.bad",                INFO) \
	X(SIP_CHALLENGE_ANSWERED, "sip.challenge_answered", INFO) \
	X(SIP_CHALLENGE_FOREIGN, "sip.challenge_foreign",  INFO) \
	X(SIP_CREDENTIALS_REFUSED, "sip.credentials_refused", INFO) \
	X(SIP_LEFT_REGISTERED,  "sip.left_registered",     INFO) \
	X(REG_ADDED,            "reg.added",               INFO) \
	X(REG_REFRESHED,        "reg.refreshed",           INFO) \
	X(REG_REMOVED,          "reg.removed",             INFO) \
	X(REG_EXPIRED,          "reg.expired",             INFO) \
	X(REG_REFUSED,          "reg.refused",             INFO) \
	X(REG_NO_ROOM,          "reg.no_room",             INFO) \
	X(REG_NOT_READY,        "reg.not_ready",           INFO) \
	X(REG_RESTORED,         "reg.restored",            INFO) \
	X(REG_PINGS,            "reg.pings",               INFO) \
	X(REG_PONGS,            "reg.pongs",               INFO) \
	X(SIP_STUN,             "sip.stun",                INFO) \
	X(PEER_PROBED,          "peer.probed",             INFO) \
	X(PEER_SILENT,          "peer.silent",             INFO) \
	X(PEER_NOT_PROBED,      "peer.not_probed",         INFO) \
	X(PEER_WENT_DOWN,       "peer.went_down",          INFO) \
	X(PEER_CAME_BACK,       "peer.came_back",          INFO) \
	X(CALL_STARTED,         "call.started",            INFO) \
	X(CALL_ANSWERED,        "call.answered",           INFO) \
	X(CALL_ENDED,           "call.ended",              INFO) \
	X(CALL_ATTEMPTS,        "call.attempts",           INFO) \
	X(CALL_EMERGENCY,       "call.emergency",          INFO) \
	X(CALL_FAILOVER,        "call.failover",           INFO) \
	X(CALL_FLOW_FAILED,     "call.flow_failed",        INFO) \
	X(CALL_PEER_DOWN,       "call.peer_down",          INFO) \
	X(CALL_MEDIA_TIMEOUT,   "call.media_timeout",      INFO) \
	X(JOURNAL_RECORDS,      "journal.records",         INFO) \
	X(JOURNAL_FULL,         "journal.full",            INFO) \
	X(JOURNAL_INTERIM_SKIPPED, "journal.interim_skipped", INFO) \
	X(LOG_FULL,             "log.full",                INFO)
// clang-format on

#define X(id, name, kind) TD_C_##id,
enum td_counter { TD_COUNTERS(X) TD_C__COUNT };
#undef X

enum td_counter_kind {
	TD_COUNTER_INFO,
	TD_COUNTER_IN,
	TD_COUNTER_OUT,
	TD_COUNTER_DROP,
	TD_COUNTER_REFUSED,
};

static inline enum td_counter_kind td_counter_kind(enum td_counter c)
{
#define X(id, name, kind) [TD_C_##id] = TD_COUNTER_##kind,
	static const uint8_t kinds[TD_C__COUNT] = { TD_COUNTERS(X) };
#undef X
	return (enum td_counter_kind)kinds[c];
}

// Everything that was thrown away by name.
static inline uint64_t td_counters_drops(const td_count counters[TD_C__COUNT])
{
	uint64_t sum = 0;

	for (int c = 0; c < TD_C__COUNT; c++) {
		enum td_counter_kind kind = td_counter_kind((enum td_counter)c);
		sum += kind == TD_COUNTER_DROP || kind == TD_COUNTER_REFUSED
			       ? td_count_get(&counters[c])
			       : 0;
	}
	return sum;
}

// Frames that a core must still hold: what came in less what went out or was dropped. Negative: a
// verdict counted twice.
static inline int64_t td_counters_balance(const td_count counters[TD_C__COUNT])
{
	int64_t held = 0;

	for (int c = 0; c < TD_C__COUNT; c++) {
		switch (td_counter_kind((enum td_counter)c)) {
		case TD_COUNTER_IN:
			held += (int64_t)td_count_get(&counters[c]);
			break;
		case TD_COUNTER_OUT:
		case TD_COUNTER_DROP:
			held -= (int64_t)td_count_get(&counters[c]);
			break;
		default:
			break;
		}
	}
	return held;
}

// Name of a counter, as the contract spells it.
static inline const char *td_counter_name(enum td_counter c)
{
#define X(id, name, kind) [TD_C_##id] = name,
	static const char *const names[TD_C__COUNT] = { TD_COUNTERS(X) };
#undef X
	return names[c];
}
