// SPDX-License-Identifier: BSD-3-Clause
// The journal's destinations: the store, and CSV and JSON lines where they are asked for. Each has
// a thread, a sink and a position of its own; one that is slow or down holds up nothing but the
// journal's segments, which stay until the last one has read them.
//
// Owner: tandem-control's loop; what the threads tell is atomic. A failure is told as an alarm
// (control/alarm.h) and tried again, later and later.
#pragma once

#include "control/alarm.h"
#include "control/journal_reader.h"

#include <stdatomic.h>

#define TD_DESTINATIONS_MAX 4
#define TD_DESTINATION_BATCH 6000 // records of one transaction, at most
#define TD_DESTINATION_ERROR_LEN 256

// Opens the sink; called on the thread, again after each failure. As td_sink_store_open().
typedef struct td_sink *(*td_sink_open)(const void *user, char *error, size_t cap);

struct td_destinations;

struct td_destination {
	const char *name; // "store", "csv", "jsonl", "watch"
	const char *advice; // what to do when it is down
	char shown[128];  // where it is, without secrets
	struct td_destinations *all;
	td_sink_open open;
	const void *user; // of open

	pthread_t thread;
	struct td_journal_reader *reader; // thread
	struct td_sink *sink;             // thread; lock to interrupt it
	uint32_t failures;                // thread; one after the other
	uint64_t stranger_ms; // thread; when somebody else's hand was last seen; 0: not of late
	uint64_t rewind_ms;   // thread; when it was last put back to an older state
	uint32_t rewinds;     // thread; of them, one soon after the other
	uint32_t news;                    // thread; of all->news, what it has seen
	bool running;

	_Atomic uint64_t sequence; // thread: wo; of the first segment it still needs
	_Atomic uint64_t offset;   // thread: wo; of the first byte in it; may lag behind sequence
	_Atomic uint64_t records;  // thread: wo; applied in its life
	_Atomic uint64_t passes;   // thread: wo; times that it came to the journal's end
	_Atomic uint64_t since_ms; // thread: wo; when it began what it is at; 0: it waits
};

struct td_destinations {
	struct td_destination list[TD_DESTINATIONS_MAX];
	uint32_t n;
	char dir[256]; // the journal's
	struct td_alarms *alarms;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	uint32_t news; // lock; counts td_destinations_wake()
	bool stop;     // lock
};

void td_destinations_init(
	struct td_destinations *all, const char *dir, struct td_alarms *alarms);
// Before the start. shown is copied, the rest borrowed.
void td_destinations_add(struct td_destinations *all, const char *name, const char *shown,
	const char *advice, td_sink_open open, const void *user);
int td_destinations_start(struct td_destinations *all); // 0 or negative errno
// Something was appended to the journal.
void td_destinations_wake(struct td_destinations *all);
// Looks for threads that do not get on and for a journal that fills up: once in a while, on the
// loop.
void td_destinations_watch(struct td_destinations *all);
// Lets every thread read to the end of the journal, at most patience_ms long, and ends it. false:
// one hangs in its disk or server and was left behind.
bool td_destinations_stop(struct td_destinations *all, uint32_t patience_ms);
