// SPDX-License-Identifier: BSD-3-Clause
// The segment files in state_dir/journal: written by the data plane, read and removed by control
// (include/journal.h).
//
// Owner: the journal thread. Every function may block on the disk.
#pragma once

#include "include/journal.h"

#include <stdbool.h>
#include <stddef.h>

#define TD_JOURNAL_SEGMENT_BYTES (16u << 20)

struct td_journal_store {
	char dir[256];
	uint64_t sequence;      // of the open segment, or of the next
	int fd;                 // -1: none open
	uint64_t segment_bytes; // written to the open one
	uint64_t quota;
	bool unsynced;
	bool torn; // a sync failed: what was written since the last one may be lost
};

// The directory is made where it is missing. Segments of epoch begin behind all older ones. 0 or
// -errno.
int td_journal_store_open(struct td_journal_store *store, const char *state_dir, uint32_t epoch);
void td_journal_store_close(struct td_journal_store *store); // synced
// Appends whole records: all of them or, with -errno, none. -EDQUOT: the quota is spent.
int td_journal_store_append(struct td_journal_store *store, const void *records, size_t bytes);
// 0; -errno: what was appended since the last success may be lost, also where a later sync of that
// segment would succeed. The next append begins another one.
int td_journal_store_sync(struct td_journal_store *store);
// The record of a boot, synced.
int td_journal_store_boot(struct td_journal_store *store, const struct td_journal_boot *boot);
