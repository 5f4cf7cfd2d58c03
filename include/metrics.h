// SPDX-License-Identifier: BSD-3-Clause
// Every metric by name, as Prometheus wants names: base units, _total behind what only grows. The
// data plane names the rows of its table STATS from here, control the rest; the exporter takes type
// and help from here.
//
// Add a metric by adding a line, and the place that fills it: dataplane/mgmt_stats.c, or
// control/collector.c for what control knows itself or asks in other
// tables.
#pragma once

#include <stddef.h>
#include <string.h>

enum td_metric_type { TD_METRIC_COUNTER, TD_METRIC_GAUGE, TD_METRIC_HISTOGRAM };

// clang-format off
#define TD_METRICS(X) \
	X(CORE_BUSY, "tandem_core_busy_ratio", GAUGE, \
		"Share of useful cycles of a core in the last second, 0 to 1.") \
	X(CORE_RX, "tandem_core_received_packets_total", COUNTER, \
		"Packets a core received from ports.") \
	X(CORE_TX, "tandem_core_sent_packets_total", COUNTER, \
		"Packets a core sent to ports.") \
	X(CORE_HANDED, "tandem_core_handed_off_packets_total", COUNTER, \
		"Packets a core received for another one and handed over.") \
	X(CORE_HANDOFF, "tandem_core_handoff_ratio", GAUGE, \
		"Share of the received packets that belonged to another core, in the life of the " \
		"data plane.") \
	X(CORE_CALLS, "tandem_core_calls", GAUGE, \
		"Calls that a core owns.") \
	X(CORE_LEGS, "tandem_core_media_legs", GAUGE, \
		"Media legs that a core owns.") \
	X(DROPPED, "tandem_dropped_packets_total", COUNTER, \
		"Packets and messages dropped, by core and name.") \
	X(EVENTS, "tandem_events_total", COUNTER, \
		"Named outcomes that are no drops, as tandemctl show counters names them.") \
	X(SIP_REQUESTS, "tandem_sip_requests_total", COUNTER, \
		"SIP requests by direction and method.") \
	X(SIP_RESPONSES, "tandem_sip_responses_total", COUNTER, \
		"SIP responses by direction, method and class.") \
	X(CALLS, "tandem_calls", GAUGE, \
		"Calls that are up.") \
	X(CALLS_LIMIT, "tandem_calls_limit", GAUGE, \
		"limits.calls.") \
	X(CALLS_OFFERED, "tandem_calls_offered_total", COUNTER, \
		"INVITEs of callers that passed source and rate checks: each leaves a detail " \
		"record.") \
	X(CALLS_ANSWERED, "tandem_calls_answered_total", COUNTER, \
		"Calls that were answered.") \
	X(CALLS_ENDED, "tandem_calls_ended_total", COUNTER, \
		"Calls that ended, by result.") \
	X(ASR, "tandem_answer_seizure_ratio", GAUGE, \
		"Answered share of the calls that ended in the last five minutes, 0 to 1; NaN " \
		"where none ended.") \
	X(CALL_DURATION, "tandem_call_duration_seconds", HISTOGRAM, \
		"From the answer to the end of answered calls.") \
	X(POST_DIAL_DELAY, "tandem_post_dial_delay_seconds", HISTOGRAM, \
		"From a caller's INVITE to the first ringing, or to the answer where none rang.") \
	X(RTP_LOSS, "tandem_rtp_loss_ratio", HISTOGRAM, \
		"Share of RTP packets lost on the way to the switch, of each media leg that " \
		"ended.") \
	X(RTP_JITTER, "tandem_rtp_jitter_seconds", HISTOGRAM, \
		"Interarrival jitter (RFC 3550) of each media leg that ended.") \
	X(REGISTRATIONS, "tandem_registrations", GAUGE, \
		"Bindings of subscribers that are registered.") \
	X(REGISTRATIONS_LIMIT, "tandem_registrations_limit", GAUGE, \
		"limits.registrations; 0: nobody registers.") \
	X(POOL_USED, "tandem_pool_used", GAUGE, \
		"Items in use of a pool, by core or socket.") \
	X(POOL_SIZE, "tandem_pool_size", GAUGE, \
		"Items of a pool, by core or socket.") \
	X(JOURNAL_RING_USED, "tandem_journal_ring_used_bytes", GAUGE, \
		"Records in a core's journal ring that are not on disk yet.") \
	X(JOURNAL_RING_SIZE, "tandem_journal_ring_size_bytes", GAUGE, \
		"Size of a core's journal ring.") \
	X(JOURNAL_WRITTEN, "tandem_journal_written_bytes_total", COUNTER, \
		"Bytes moved from the rings to segment files.") \
	X(JOURNAL_FAILING, "tandem_journal_failing", GAUGE, \
		"1 while the journal cannot be written: new calls get 503 when the rings are " \
		"full.") \
	X(JOURNAL_UNREAD, "tandem_journal_unread_bytes", GAUGE, \
		"Bytes of segment files that a destination has not taken yet.") \
	X(JOURNAL_STORED, "tandem_journal_stored_records_total", COUNTER, \
		"Records of the journal that a destination has taken since control's start.") \
	X(ALARMS, "tandem_alarms", GAUGE, \
		"Alarms that are raised, by severity.") \
	X(ALARM, "tandem_alarm", GAUGE, \
		"1 for each alarm that is raised, as tandemctl alarms shows them.") \
	X(ALARMS_LOST, "tandem_alarms_lost_total", COUNTER, \
		"Times that an alarm was raised and the list was full.") \
	X(DRAINING, "tandem_draining", GAUGE, \
		"1 while new calls get 503 because of a drain.") \
	X(PORT_UP, "tandem_port_up", GAUGE, \
		"1 while a port has a carrier.") \
	X(PORT_RX, "tandem_port_received_packets_total", COUNTER, \
		"Packets a port received.") \
	X(PORT_TX, "tandem_port_sent_packets_total", COUNTER, \
		"Packets a port sent.") \
	X(PORT_MISSED, "tandem_port_missed_packets_total", COUNTER, \
		"Packets a port lost for want of a buffer or of time.") \
	X(TRUNK_STATE, "tandem_trunk_state", GAUGE, \
		"1 for the state a trunk is in, 0 for the others.") \
	X(TRUNK_REGISTERED, "tandem_trunk_registered", GAUGE, \
		"1 while the provider of a trunk has its registration, 0 while it has not; of " \
		"trunks that register.") \
	X(TRUNK_CALLS, "tandem_trunk_calls", GAUGE, \
		"Calls on a trunk, both directions.") \
	X(TRUNK_CALLS_LIMIT, "tandem_trunk_calls_limit", GAUGE, \
		"max_calls of a trunk; 0: none.") \
	X(TRUNK_CPS, "tandem_trunk_calls_per_second", GAUGE, \
		"New calls on a trunk in the last second.") \
	X(LIMIT_CALLS, "tandem_limit_calls", GAUGE, \
		"Calls counted against a limit, by its kind and name.") \
	X(LIMIT_CALLS_MAX, "tandem_limit_calls_max", GAUGE, \
		"max_calls of a limit; 0: none.") \
	X(LIMIT_CPS, "tandem_limit_calls_per_second", GAUGE, \
		"New calls against a limit in the last second.") \
	X(LIMIT_CPS_MAX, "tandem_limit_calls_per_second_max", GAUGE, \
		"max_cps of a limit; 0: none.") \
	X(LIMIT_REFUSED, "tandem_limit_refused_total", COUNTER, \
		"Calls that a limit has turned away or sent on to another target.") \
	X(TRUNK_SEIZURES, "tandem_trunk_seizures_total", COUNTER, \
		"Attempts at a trunk, failovers and each phone that rings among them.") \
	X(TRUNK_ANSWERS, "tandem_trunk_answers_total", COUNTER, \
		"Attempts at a trunk that were answered.") \
	X(PEER_SHARE, "tandem_trunk_peer_share_ratio", GAUGE, \
		"Share of its calls that a peer of a trunk gets: 1 up, 0 down, between them " \
		"while it returns.") \
	X(PEER_RTT, "tandem_trunk_peer_rtt_seconds", GAUGE, \
		"Round trip of the last OPTIONS that a peer answered; NaN where it had none.") \
	X(CONNECTED, "tandem_dataplane_connected", GAUGE, \
		"1 while the data plane is connected to control and answers it.") \
	X(IN_SYNC, "tandem_policy_in_sync", GAUGE, \
		"1 while the data plane has control's policy in force.") \
	X(READY, "tandem_ready", GAUGE, \
		"1 while both daemons are up, in sync, every port works and no drain is on.") \
	X(EPOCH, "tandem_dataplane_epoch", GAUGE, \
		"Number of the data plane's boot: grows with each.") \
	X(DNS_QUERIES, "tandem_dns_queries_total", COUNTER, \
		"Questions to name servers.") \
	X(DNS_FAILURES, "tandem_dns_failures_total", COUNTER, \
		"Questions to name servers that got no answer that holds.") \
	X(DNS_NAMES, "tandem_dns_names", GAUGE, \
		"Host names among the peers of trunks, by state.") \
	X(OPERATORS, "tandem_operators", GAUGE, \
		"Connections on control.sock.") \
	X(SCRAPE_SECONDS, "tandem_snapshot_seconds", GAUGE, \
		"What it took to collect this page.") \
	X(BUILD, "tandem_build_info", GAUGE, \
		"1, with the version of each component.")
// clang-format on

#define X(id, name, type, help) TD_METRIC_##id,
enum td_metric_id { TD_METRICS(X) TD_METRIC__COUNT };
#undef X

struct td_metric {
	const char *name, *help;
	enum td_metric_type type;
};

static inline const struct td_metric *td_metric(enum td_metric_id id)
{
#define X(id_, name_, type_, help_) [TD_METRIC_##id_] = { name_, help_, TD_METRIC_##type_ },
	static const struct td_metric metrics[TD_METRIC__COUNT] = { TD_METRICS(X) };
#undef X
	return &metrics[id];
}

// NULL: no metric has that name.
static inline const struct td_metric *td_metric_named(const char *name)
{
	for (int i = 0; i < TD_METRIC__COUNT; i++)
		if (strcmp(td_metric((enum td_metric_id)i)->name, name) == 0)
			return td_metric((enum td_metric_id)i);
	return NULL;
}
