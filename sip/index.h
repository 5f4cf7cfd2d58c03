// SPDX-License-Identifier: BSD-3-Clause
// From the lines of a header block to the header index of a message.
// The kernel is chosen once, before main(), by what the processor can do. Pure; any thread; never
// allocates.
#pragma once

#include "sip/msg.h"
#include "sip/scan.h"

// Fills headers, n_headers, first and each header's next from msg->buf[0, len) and its lines, of
// which the first is the start line. first holds 0xff before. Returns the first fault met; what is
// well-formed is indexed all the same.
typedef enum td_fault td_index_fn(struct td_msg *msg, const struct td_lines *lines);

td_index_fn td_index_headers;

struct td_index_kernel {
	const char *name;
	td_index_fn *fn;
	bool usable; // on this processor
};

// All kernels, the reference first; the last usable one is the one in use.
const struct td_index_kernel *td_index_kernels(unsigned *n);
