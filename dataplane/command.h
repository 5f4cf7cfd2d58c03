// SPDX-License-Identifier: BSD-3-Clause
// What operators want of a worker, as commands on a ring (architecture §4): nobody reads another
// core's calls.
//
// Main asks and collects, the worker answers in between, one command a turn and at most
// TD_COMMAND_ITEMS calls in it. The commands lie in the ring itself: nothing is allocated, and no
// pointer changes hands.
#pragma once

#include "sip/engine.h"

#include <stdatomic.h>

#define TD_COMMAND_ITEMS 32
#define TD_COMMAND_SLOTS 4

enum td_command_kind {
	TD_COMMAND_LIST,       // calls from cursor on; views, n and the cursor moved
	TD_COMMAND_HANGUP,     // the call named id; result 0 or -ENOENT
	TD_COMMAND_HANGUP_ALL, // at most TD_COMMAND_ITEMS calls; result: calls left
};

struct td_command {
	uint8_t kind; // enum td_command_kind
	bool end;     // LIST: that was the last call
	uint32_t cursor;
	uint32_t n;
	int32_t result;
	char id[TD_CDR_ID_LEN];
	uint64_t tag; // main's, given back
	struct td_call_view views[TD_COMMAND_ITEMS];
};

struct td_command_ring {
	_Atomic uint32_t asked __attribute__((aligned(64)));    // main: wo
	_Atomic uint32_t answered __attribute__((aligned(64))); // worker: wo
	uint32_t collected;                                     // main
	struct td_command slots[TD_COMMAND_SLOTS];
};

struct td_command_ring *td_command_ring_new(void); // NULL: ENOMEM
void td_command_ring_free(struct td_command_ring *ring);

// --- main: fill what td_command_next() gives, then td_command_ask() ---

struct td_command *td_command_next(struct td_command_ring *ring); // NULL: full
void td_command_ask(struct td_command_ring *ring);
struct td_command *td_command_collect(
	struct td_command_ring *ring);              // the oldest answered one, or NULL
void td_command_done(struct td_command_ring *ring); // of the collected one

// --- worker ---

// Answers at most one command. true: there was one.
bool td_command_run(struct td_command_ring *ring, struct td_engine *engine, uint64_t now_ns);
