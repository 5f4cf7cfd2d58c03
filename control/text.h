// SPDX-License-Identifier: BSD-3-Clause
// Text that came off the wire, made fit for tables, JSON and terminals. Pure; any thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// Copies at most cap - 1 bytes of src (to its NUL, at most src_cap) and ends them with NUL. Control
// characters (C1 too, which terminals obey, and those that turn the direction of a line) and what
// is not UTF-8 become '?'; ends of lines stay where lines is set. Returns the length.
size_t td_text_clean(const char *src, size_t src_cap, bool lines, char *dst, size_t cap);
