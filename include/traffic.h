// SPDX-License-Identifier: BSD-3-Clause
// What passes through the switch, in figures: SIP messages by method and class, calls by result,
// and histograms of what callers notice.
//
// One struct td_traffic for each engine, written by its owner alone; anyone may read it, and may
// see it lag. Values of histograms are integers in millionths of the base unit that Prometheus
// wants: microseconds for seconds, parts per million for ratios.
#pragma once

#include "include/count.h"

#include <stdbool.h>

#define TD_TRAFFIC_METHODS 16 // enum td_method of sip/msg.h
#define TD_TRAFFIC_CLASSES 7  // status / 100, 1 to 6
#define TD_HISTOGRAM_BOUNDS 12

enum td_traffic_direction { TD_TRAFFIC_RX, TD_TRAFFIC_TX, TD_TRAFFIC__DIRECTIONS };

// How calls end, in the words of the label "result".
#define TD_CALL_RESULTS(X)                                                                         \
	X(ANSWERED, "answered")                                                                    \
	X(CANCELLED, "cancelled")                                                                  \
	X(BUSY, "busy")                                                                            \
	X(NO_ANSWER, "no_answer")                                                                  \
	X(REDIRECTED, "redirected")                                                                \
	X(CLIENT_ERROR, "client_error")                                                            \
	X(SERVER_ERROR, "server_error")                                                            \
	X(GLOBAL_ERROR, "global_error")

#define X(id, name) TD_CALL_RESULT_##id,
enum td_call_result { TD_CALL_RESULTS(X) TD_CALL_RESULT__COUNT };
#undef X

static inline const char *td_call_result_name(enum td_call_result result)
{
#define X(id, name) [TD_CALL_RESULT_##id] = name,
	static const char *const names[TD_CALL_RESULT__COUNT] = { TD_CALL_RESULTS(X) };
#undef X
	return names[result];
}

// status: the final code that A got.
static inline enum td_call_result td_call_result_of(bool answered, uint16_t status)
{
	if (answered)
		return TD_CALL_RESULT_ANSWERED;
	switch (status) {
	case 487:
		return TD_CALL_RESULT_CANCELLED;
	case 486:
	case 600:
		return TD_CALL_RESULT_BUSY;
	case 408:
	case 480:
		return TD_CALL_RESULT_NO_ANSWER;
	default:
		return status < 400   ? TD_CALL_RESULT_REDIRECTED
		       : status < 500 ? TD_CALL_RESULT_CLIENT_ERROR
		       : status < 600 ? TD_CALL_RESULT_SERVER_ERROR
				      : TD_CALL_RESULT_GLOBAL_ERROR;
	}
}

// Upper bounds in millionths, each its bucket's own; above the last one is a bucket more.
#define TD_HISTOGRAMS(X)                                                                           \
	X(CALL_DURATION, 1000000, 5000000, 10000000, 30000000, 60000000, 120000000, 300000000,     \
		600000000, 1800000000, 3600000000, 7200000000, 14400000000)                        \
	X(POST_DIAL_DELAY, 50000, 100000, 250000, 500000, 1000000, 2000000, 3000000, 5000000,      \
		8000000, 12000000, 20000000, 60000000)                                             \
	X(RTP_LOSS, 0, 500, 1000, 2500, 5000, 10000, 20000, 30000, 50000, 100000, 200000, 500000)  \
	X(RTP_JITTER, 1000, 2000, 5000, 10000, 15000, 20000, 30000, 50000, 75000, 100000, 200000,  \
		500000)

#define X(id, ...) TD_HISTOGRAM_##id,
enum td_histogram_id { TD_HISTOGRAMS(X) TD_HISTOGRAM__COUNT };
#undef X

static inline const uint64_t *td_histogram_bounds(enum td_histogram_id id)
{
#define X(id, ...) [TD_HISTOGRAM_##id] = { __VA_ARGS__ },
	static const uint64_t bounds[TD_HISTOGRAM__COUNT][TD_HISTOGRAM_BOUNDS] = { TD_HISTOGRAMS(
		X) };
#undef X
	return bounds[id];
}

struct td_histogram {
	td_count counts[TD_HISTOGRAM_BOUNDS + 1]; // of each bucket alone
	td_count sum;                             // of the values, millionths
};

struct td_traffic {
	td_count requests[TD_TRAFFIC__DIRECTIONS][TD_TRAFFIC_METHODS];
	td_count responses[TD_TRAFFIC__DIRECTIONS][TD_TRAFFIC_METHODS][TD_TRAFFIC_CLASSES];
	td_count offered; // INVITEs that leave a detail record
	td_count results[TD_CALL_RESULT__COUNT];
	struct td_histogram histograms[TD_HISTOGRAM__COUNT];
};

static inline void td_traffic_observe(
	struct td_traffic *traffic, enum td_histogram_id id, uint64_t millionths)
{
	struct td_histogram *h = &traffic->histograms[id];
	const uint64_t *bounds = td_histogram_bounds(id);
	unsigned i = 0;

	while (i < TD_HISTOGRAM_BOUNDS && millionths > bounds[i])
		i++;
	td_count_add(&h->counts[i], 1);
	td_count_add(&h->sum, millionths);
}

// status 0: a request.
static inline void td_traffic_message(struct td_traffic *traffic,
	enum td_traffic_direction direction, uint8_t method, uint16_t status)
{
	if (status == 0)
		td_count_add(&traffic->requests[direction][method], 1);
	else if (status < 100u * TD_TRAFFIC_CLASSES)
		td_count_add(&traffic->responses[direction][method][status / 100], 1);
}
