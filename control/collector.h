// SPDX-License-Identifier: BSD-3-Clause
// Once a second asks the data plane for its tables and makes a page for the exporter of them and of
// what control knows itself. The next round begins when the last one ended, never earlier than a
// second after it began, and later where a round is dear.
//
// Owner: the loop.
#pragma once

#include "control/exporter.h"
#include "control/metrics_page.h"
#include "control/trunk_watch.h"
#include "include/ceilings.h"

#include <tandem.pb-c.h>
#include <uv.h>

struct td_control;

#define TD_ASR_SLOTS 30
#define TD_ASR_SLOT_MS 10000 // 30 of them: five minutes

struct td_asr { // calls that ended, looked at every ten seconds
	uint64_t ended[TD_ASR_SLOTS], answered[TD_ASR_SLOTS];
	unsigned next, n;
	uint64_t due_ms, ended_now, answered_now;
	uint64_t ended_round, answered_round; // summed up over the rows of a round
	bool told;                            // in this round
};

struct td_collector {
	struct td_control *control;
	struct td_exporter *exporter; // NULL: off, or its address is taken
	uint64_t exporter_due_ms;     // when it is tried again
	uv_timer_t timer, beat;
	struct td_metrics_page page;
	struct td_asr asr;
	unsigned step; // the table that is asked for now
	uint64_t began_ns;
	uint32_t n_cores, cores[TD_WORKERS_MAX + 1]; // in the order of show cores
	bool ports_ready, draining;
	uint64_t away_since_ms; // the data plane; 0: it is there
	struct td_trunk_watch watch;
};

// Starts the exporter where the configuration wants one, and the rounds.
void td_collector_start(struct td_collector *collector, struct td_control *control);
void td_collector_stop(struct td_collector *collector);

// The answered share of the calls that ended in the last five minutes, NaN where none did; counts
// may begin again.
double td_asr_add(struct td_asr *asr, uint64_t ended, uint64_t answered, uint64_t now_ms);
