// SPDX-License-Identifier: BSD-3-Clause
// A file of lines that is appended to, turned over by size or by the clock, and of which a number
// of old ones is kept: PATH is the current one, PATH.20261126T130000Z an old one, by the time it
// was turned over.
//
// Owner: one thread. A file that somebody moved away is made anew. What is written is there whole
// lines at a time: a line that a crash cut is cut off at the next start, since it was never synced.
#pragma once

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

struct td_rotated_conf {
	const char *path;   // absolute
	const char *header; // first line of each file, or NULL
	uint64_t rotate_bytes;
	uint32_t rotate_s; // turned over where the clock passes a multiple of it; 0: never
	uint32_t keep;     // old ones
};

struct td_rotated_file {
	struct td_rotated_conf conf;
	int fd;         // -1: not open
	bool strange;   // its header is another one: turned over before a line goes there
	uint64_t bytes; // in it
	uint64_t start; // bytes that were synced
	uint64_t period; // of rotate_s, of its last line
};

void td_rotated_init(struct td_rotated_file *file, const struct td_rotated_conf *conf);
// Opens it where it is not open, turns it over where it is due. 0 or -errno.
int td_rotated_ready(struct td_rotated_file *file, uint64_t now_s);
// Appends whole lines and syncs: all of them or, with -errno, none.
int td_rotated_append(struct td_rotated_file *file, const char *lines, size_t len, uint64_t now_s);
// Takes back what the last append wrote.
void td_rotated_undo(struct td_rotated_file *file);
void td_rotated_close(struct td_rotated_file *file);
