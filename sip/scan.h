// SPDX-License-Identifier: BSD-3-Clause
// Finds the lines of a header block or an SDP body, 64 bytes at a time, through bitmaps of LF and
// CR. The kernel is chosen once, before main(), by what the processor can do. Pure; any thread;
// never allocates.
#pragma once

#include "include/span.h"

#define TD_LINES_MAX 512 // physical lines of one header block or one body

struct td_lines {
	uint16_t n;
	bool blank;                      // the last line is empty: the header block is complete
	bool bare_cr;                    // a CR without its LF
	bool bare_lf;                    // an LF without its CR
	bool full;                       // more lines than TD_LINES_MAX; the rest was not looked at
	uint16_t end[TD_LINES_MAX + 68]; // offset of each line's LF; the excess takes a whole block
					 // before `full` is looked at
};

// Lines of buf[from, len), len <= 65535. to_blank stops after the first empty line; what follows is
// not judged.
typedef void td_scan_fn(
	struct td_lines *lines, const char *buf, uint32_t from, uint32_t len, bool to_blank);

td_scan_fn td_scan_lines;

struct td_scan_kernel {
	const char *name;
	td_scan_fn *fn;
	bool usable; // on this processor
};

// All kernels, the scalar reference first; the last usable one is the one in use.
const struct td_scan_kernel *td_scan_kernels(unsigned *n);
