// SPDX-License-Identifier: BSD-3-Clause
// What is wrong at the moment and needs somebody: raised once, cleared once, shown by `tandemctl
// alarms`. An alarm is its name ("area.what") and its subject (which one of several).
//
// Any thread of tandem-control; a lock that is held for a copy. Raising and clearing write one log
// line each, and nothing where they change nothing; what finds the list full has a line a minute.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TD_ALARMS_MAX 64
#define TD_ALARMS_LOST_S 60 // between two lines about alarms that find no place

enum td_severity { TD_WARNING, TD_CRITICAL };

struct td_alarm {
	char name[32], subject[144]; // longer ones are cut
	enum td_severity severity;
	uint64_t since_us;           // wall clock
	char text[256], advice[256]; // what is wrong; what to do
};

struct td_alarms {
	pthread_mutex_t lock;
	uint32_t n, lost;      // lost: raises that found the list full
	uint64_t lost_told_us; // when the log was last told of one
	struct td_alarm list[TD_ALARMS_MAX];
	// Told of each raise and clear, on the thread that did it; NULL: nobody. Set before the
	// threads begin.
	void (*changed)(
		void *user, const char *name, const char *subject, bool raised, const char *text);
	void *user;
};

#define TD_ALARMS_INIT                                                                             \
	{                                                                                          \
		.lock = PTHREAD_MUTEX_INITIALIZER                                                  \
	}

// One that is raised already takes the new text and keeps its time.
void td_alarm_raise(struct td_alarms *alarms, enum td_severity severity, const char *name,
	const char *subject, const char *advice, const char *format, ...)
	__attribute__((format(printf, 6, 7)));
// Whether it was raised.
bool td_alarm_clear(struct td_alarms *alarms, const char *name, const char *subject);
// Copies what is raised, oldest first; out has TD_ALARMS_MAX. Returns how many.
uint32_t td_alarms_copy(struct td_alarms *alarms, struct td_alarm *out);
// How many raises have found the list full.
uint32_t td_alarms_lost(struct td_alarms *alarms);
