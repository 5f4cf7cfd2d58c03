// SPDX-License-Identifier: BSD-3-Clause
// Takes the data plane's journal (include/journal.h) to one destination, in the order of the
// records.
//
// Owner: one thread; several readers may read one journal, each for its own sink. Nothing here
// waits for the writer: what is not there yet is read by the next run.
#pragma once

#include "control/sink.h"

struct td_journal_reader;

// dir: state_dir/journal, which need not exist yet. NULL: no memory.
struct td_journal_reader *td_journal_reader_new(const char *dir);
void td_journal_reader_free(struct td_journal_reader *reader); // NULL is fine

// Reads and commits up to max records. Returns the number applied (0: nothing new), or negative
// errno after a rollback: the same records come again in the next run.
int td_journal_reader_run(struct td_journal_reader *reader, struct td_sink *sink, uint32_t max);
// While another switch is known to write our position, one behind ours is no older state of the
// sink, but that switch's.
void td_journal_reader_shared(struct td_journal_reader *reader, bool shared);
// What of the journal the last run could not read; empty: nothing, or it was the sink that failed.
const char *td_journal_reader_error(const struct td_journal_reader *reader);
// Where the last run ended.
struct td_store_position td_journal_reader_position(const struct td_journal_reader *reader);
// Removes the segments in front of that one: whoever calls knows that nobody needs them.
void td_journal_remove(const char *dir, uint64_t before);
// Bytes of all segments that are there.
uint64_t td_journal_bytes(const char *dir);
// Of them, those from that position on.
uint64_t td_journal_unread(const char *dir, const struct td_store_position *position);

struct td_journal_reader_stats {
	uint64_t records;       // applied
	uint64_t unknown;       // of a type or length that this version does not know: passed over
	uint64_t skipped_bytes; // behind a bad record of a segment that has a successor
	uint64_t incomplete;    // calls closed by a boot
	uint64_t gaps;          // times that segments were gone before they were read
	uint64_t strangers;     // times that another switch had written our position meanwhile
	uint64_t rewinds;       // times that the sink had been put back to an older position
};
void td_journal_reader_stats(
	const struct td_journal_reader *reader, struct td_journal_reader_stats *out);
