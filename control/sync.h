// SPDX-License-Identifier: BSD-3-Clause
// Holds the data plane to what the store has: subscribers by the generation of their table, and,
// after it began anew, the bindings of its predecessor (architecture §1).
//
// Owner: the loop. Whole tables go in pages that the store's thread reads while the data plane
// takes the ones before. Other nodes may change a shared store: its generation is looked at four
// times a second, and what they changed goes one by one as long as the store's log tells
// (control/catchup.h).
#pragma once

#include "control/link.h"
#include "control/store_worker.h"

struct td_control;

struct td_sync {
	struct td_control *control;
	uv_timer_t timer;
	bool wanted;    // some realm has a registrar, by the configuration or the data plane's word
	bool asking;    // a job for the generation is under way
	uint64_t stored; // generation of the store's table as last seen; 0: not seen
	uint64_t sent;   // that the data plane has, or will have with what was sent; 0: unknown
	bool filled;     // the data plane has had a whole table since it began
	uint32_t changes; // single changes without an answer
	struct td_sync_change *waiting; // single changes behind others that are not there yet
	uint64_t hellos;  // counts data planes that came and went
	bool catching_up; // changes out of the log are under way
	bool pushing[2];  // a whole table is under way: subscribers, bindings
	bool bindings_due;
	uint64_t passes_due; // of the store's reader: it has all that a predecessor journaled
	uint64_t retry_ms; // no new push before
	uint64_t expire_ms;
};

// Told when a change has reached the data plane, or why it has not yet (NULL: it has).
typedef void (*td_sync_told)(void *user, const char *why_not);

void td_sync_start(struct td_sync *sync, struct td_control *control);
void td_sync_stop(struct td_sync *sync);
// The data plane said what it has; it was lost.
void td_sync_hello(struct td_sync *sync, const Tandem__Hello *hello);
void td_sync_lost(struct td_sync *sync);
// The store has a subscriber more or another (NULL: one less), and is of that generation now.
void td_sync_changed(struct td_sync *sync, const char *aor, const struct td_subscriber *subscriber,
	uint64_t generation, td_sync_told told, void *user);
// One subscriber as it is now (NULL: it is gone) to the data plane, which is of that generation
// then; 0: it stays of the one before. As td_link_ask().
int td_sync_send(struct td_sync *sync, const char *aor, const struct td_subscriber *subscriber,
	uint64_t generation, td_link_answer answer, void *user);
// Catching up: the data plane is of that generation; it ended there. error: -ESTALE: the log does
// not tell; -EBADMSG: the data plane refused something; anything else may come right.
void td_sync_reached(struct td_sync *sync, uint64_t generation);
void td_sync_caught_up(struct td_sync *sync, int error);
// What the data plane cannot serve without, or NULL: it has all subscribers and bindings of some
// moment since it began.
const char *td_sync_lacking(const struct td_sync *sync);
// What it has not, or not as the store has it now; NULL: nothing.
const char *td_sync_missing(const struct td_sync *sync);
