// SPDX-License-Identifier: BSD-3-Clause
// Moves the workers' journal rings to segment files, with one fsync for all of them at least every
// 100 ms: that is what a power loss may cost; a kill costs nothing. Neither a worker nor main waits
// for it.
//
// Main starts and stops it. At the start, what a killed predecessor left in the rings is moved
// first, with its epoch.
#pragma once

#include "dataplane/journal_ring.h"
#include "dataplane/journal_store.h"

#include <pthread.h>

struct td_journal {
	struct td_journal_store store;
	struct td_journal_ring rings[TD_WORKERS_MAX];
	char run_dir[128];
	uint16_t n_rings;
	uint32_t epoch;
	pthread_t thread;
	bool running;
	_Atomic bool stop;      // main: wo
	_Atomic int error;      // thread: wo; negative errno of the last round, 0: well
	_Atomic uint64_t bytes; // thread: wo; moved in its life
};

// Counts the boot, drains the predecessor, makes n rings of ring_bytes, writes the BOOT record
// (wall time started_us). 0 or -errno with *what naming the step.
int td_journal_open(struct td_journal *journal, const char *run_dir, const char *state_dir,
	uint16_t n, uint64_t ring_bytes, uint64_t started_us, const char **what);
int td_journal_start(struct td_journal *journal); // the thread; 0 or -errno
// Stops the thread after it has moved and synced all; the rings are removed where nothing is left
// in them.
void td_journal_close(struct td_journal *journal);
// One round over all rings, for the thread and for tests. 0 or -errno.
int td_journal_round(struct td_journal *journal);
