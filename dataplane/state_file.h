// SPDX-License-Identifier: BSD-3-Clause
// Small files in state_dir that are either the old or the new one, whatever is pulled: written
// aside, synced, renamed. Main and start-up only; reading allocates with malloc.
#pragma once

#include <stddef.h>
#include <stdint.h>

// 0 or -errno.
int td_state_file_write(const char *path, const void *data, size_t len);
// 0 with *data (free) and *len; -ENOENT; -EFBIG above max; -errno.
int td_state_file_read(const char *path, size_t max, void **data, size_t *len);
// mkdir -p. 0 or -errno.
int td_state_dir_make(const char *path);
// The number of this boot, synced before it is given: greater than all before it in this state_dir,
// and at least the seconds from 2026 to wall_s, so that also a state_dir that was wiped does not
// number its boots, and with them calls and journal segments, as before. 0 or -errno.
int td_state_epoch_next(const char *state_dir, uint64_t wall_s, uint32_t *epoch);
