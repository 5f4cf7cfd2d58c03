// SPDX-License-Identifier: BSD-3-Clause
// The date of the newest change of a binding, kept over boots in state_dir/changed: where the
// system's clock was set back while no data plane ran, the next changes are dated behind it, or a
// store would take them for older than what it has.
//
// Owner: main. Written once a second at most, ahead of the changes and never synced: what a power
// loss takes of it the next boot adds, where it finds the clock behind.
#pragma once

#include <stdint.h>

struct td_change_clock {
	int fd; // -1: it cannot be kept
	uint64_t kept_us;
};

// Reads what was kept. Returns the date that every change of an earlier boot lies before, or 0
// where the clock, which says wall_us, is past it.
uint64_t td_change_clock_open(
	struct td_change_clock *clock, const char *state_dir, uint64_t wall_us);
// The newest change so far.
void td_change_clock_follow(struct td_change_clock *clock, uint64_t changed_us);
void td_change_clock_close(struct td_change_clock *clock);
