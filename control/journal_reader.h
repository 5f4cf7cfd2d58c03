// SPDX-License-Identifier: BSD-3-Clause
// Takes the data plane's journal (include/journal.h) into the store, each record exactly once.
//
// Owner: tandem-control's loop. Nothing here waits for the writer: what is not there yet is read by
// the next run.
#pragma once

#include "control/store.h"

struct td_journal_reader;

// dir: state_dir/journal, which need not exist yet. store is borrowed. NULL: no memory.
struct td_journal_reader *td_journal_reader_new(const char *dir, struct td_store *store);
void td_journal_reader_free(struct td_journal_reader *reader); // NULL is fine

// Reads and commits up to max records, then removes the segments that lie wholly behind. Returns
// the number applied (0: nothing new), or negative errno after a rollback: the same records come
// again in the next run.
int td_journal_reader_run(struct td_journal_reader *reader, uint32_t max);

struct td_journal_reader_stats {
	uint64_t records;       // applied
	uint64_t unknown;       // of a type or length that this version does not know: passed over
	uint64_t skipped_bytes; // behind a bad record of a segment that has a successor
	uint64_t incomplete;    // calls closed by a boot
};
void td_journal_reader_stats(
	const struct td_journal_reader *reader, struct td_journal_reader_stats *out);
