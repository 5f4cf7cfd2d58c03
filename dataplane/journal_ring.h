// SPDX-License-Identifier: BSD-3-Clause
// One worker's journal: a ring of records in a prefaulted MAP_SHARED file in run_dir (architecture
// §1). Appending is a copy and a release store: no system call, and a kill -9 leaves every appended
// record readable in the file.
//
// Producer: the worker. Consumer: the journal thread, or the next boot's. All memory comes at
// creation. A record is never cut at the end of the ring; the rest of the ring is then skipped.
#pragma once

#include "include/ceilings.h"
#include "include/cdr.h"
#include "include/journal.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define TD_JOURNAL_RECORD_BYTES(type)                                                              \
	(sizeof(struct td_journal_record) + ((sizeof(type) + 7) & ~7ull))
// What one call may still write: before its answer everything, then its end and the attempts that
// outlive the answer.
#define TD_JOURNAL_EARLY_BYTES                                                                     \
	(2 * TD_JOURNAL_RECORD_BYTES(struct td_cdr) +                                              \
		TD_ATTEMPTS_MAX * TD_JOURNAL_RECORD_BYTES(struct td_cdr_attempt))
#define TD_JOURNAL_ANSWERED_BYTES                                                                  \
	(TD_JOURNAL_RECORD_BYTES(struct td_cdr) +                                                  \
		2 * TD_JOURNAL_RECORD_BYTES(struct td_cdr_attempt))

// First page of the file.
struct td_journal_ring_head {
	uint32_t magic;
	uint32_t version;
	uint32_t epoch;
	uint32_t worker;
	uint64_t capacity;                                  // bytes of the ring, a power of two
	_Atomic uint64_t head __attribute__((aligned(64))); // producer: wo
	_Atomic uint64_t tail __attribute__((aligned(64))); // consumer: wo
};

struct td_journal_ring {
	struct td_journal_ring_head *shared;
	char *data;
	uint64_t mask;
	uint64_t head;            // producer's own copy
	uint64_t synced_seen;     // as the producer last looked
	uint32_t early, answered; // calls that hold a reservation; producer
	// Everything before it is on disk, and its room free again. Consumer: wo, producer: ro.
	_Atomic uint64_t synced;
	_Atomic int error;        // of the consumer's last round: negative errno, 0: well
	size_t map_bytes;
};

// Bytes a ring must have for max_calls calls at max_cps (a power of two).
uint64_t td_journal_ring_bytes(uint32_t max_calls, uint32_t max_cps, uint32_t max_registrations);

// A new, empty, prefaulted ring; a file of that name is replaced. capacity: a power of two, at
// least 64 KiB. 0 or -errno.
int td_journal_ring_create(struct td_journal_ring *ring, const char *path, uint64_t capacity,
	uint16_t worker, uint32_t epoch);
// An existing one, to drain it. Nothing in the file is trusted. 0, -EBADMSG (no ring), -errno.
int td_journal_ring_open(struct td_journal_ring *ring, const char *path);
void td_journal_ring_close(struct td_journal_ring *ring);

// --- producer ---

// Is there room for bytes of records (heads included) that nothing was reserved for?
bool td_journal_has_spare(struct td_journal_ring *ring, uint64_t bytes);
// Holds room for a whole call. 0 or -ENOSPC.
int td_journal_reserve(struct td_journal_ring *ring);
// 0, or -ENOSPC where it does not fit, which a reservation rules out. START moves a call's
// reservation on, END frees it.
int td_journal_append(struct td_journal_ring *ring, enum td_journal_type type, const void *payload,
	uint32_t length);
// The same for what may be left out: -ENOSPC also where it would take room that is reserved.
int td_journal_append_spare(struct td_journal_ring *ring, enum td_journal_type type,
	const void *payload, uint32_t length);
// END of a call that never was answered, or was: which share it gives back.
void td_journal_release(struct td_journal_ring *ring, bool was_answered);

// --- consumer ---

// Whole, checked records that lie in one piece, at most max bytes of them. 0: none.
size_t td_journal_peek(struct td_journal_ring *ring, const void **records, size_t max);
void td_journal_consume(struct td_journal_ring *ring, size_t bytes); // of the last peek
// What was consumed is on disk, and its room the producer's again; or it may be lost, and is there
// to be consumed once more. rc: how the round went.
void td_journal_tell(struct td_journal_ring *ring, bool synced, int rc);
