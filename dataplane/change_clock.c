// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/change_clock.h"

#include "dataplane/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AHEAD_US 2000000      // what is kept is so much later than the newest change
#define LOST_US 60000000      // what the kernel may not have written when the power went
#define KEPT_MAX (1ull << 62) // dates are kept with a sign elsewhere

uint64_t td_change_clock_open(
	struct td_change_clock *clock, const char *state_dir, uint64_t wall_us)
{
	char path[PATH_MAX], text[32] = "";

	clock->kept_us = 0;
	snprintf(path, sizeof(path), "%s/changed", state_dir);
	clock->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (clock->fd < 0 || pread(clock->fd, text, sizeof(text) - 1, 0) < 0) {
		td_log(TD_LOG_WARNING, "changed.not_kept", "path=%s reason=\"%s\"", path,
			strerror(errno));
		return 0;
	}
	uint64_t kept_us = strtoull(text, NULL, 10);
	if (kept_us > KEPT_MAX || kept_us <= wall_us)
		return 0;
	uint64_t behind_us = kept_us - wall_us;
	if (behind_us <= AHEAD_US) // up again at once
		return kept_us;
	td_log(TD_LOG_WARNING, "clock.behind",
		"seconds=%" PRIu64 " effect=\"changes of bindings are dated on from the last one\"",
		behind_us / 1000000);
	return kept_us + LOST_US;
}

void td_change_clock_follow(struct td_change_clock *clock, uint64_t changed_us)
{
	char text[32];

	if (clock->fd < 0 || changed_us + AHEAD_US / 2 <= clock->kept_us)
		return;
	clock->kept_us = changed_us + AHEAD_US;
	int n = snprintf(text, sizeof(text), "%020" PRIu64 "\n", clock->kept_us);
	if (pwrite(clock->fd, text, (size_t)n, 0) != n) // a full disk: again with a later change
		clock->kept_us = 0;
}

void td_change_clock_close(struct td_change_clock *clock)
{
	if (clock->fd >= 0)
		close(clock->fd);
	clock->fd = -1;
}
