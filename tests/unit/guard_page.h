// SPDX-License-Identifier: BSD-3-Clause
// Puts bytes at the very end of memory that may be read: one byte further is a crash. For tests
// only.
#pragma once

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { GUARD_ROOM = 128 * 1024, GUARD_PAGE = 4096 };

// The place stays valid until the next call.
static inline char *guard_page_put(const char *bytes, size_t len)
{
	static char *room;

	if (!room) {
		room = mmap(NULL, GUARD_ROOM + GUARD_PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (room == MAP_FAILED || mprotect(room + GUARD_ROOM, GUARD_PAGE, PROT_NONE) != 0)
			abort();
	}
	if (len > 0)
		memcpy(room + GUARD_ROOM - len, bytes, len);
	return room + GUARD_ROOM - len;
}
