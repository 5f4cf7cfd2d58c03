// SPDX-License-Identifier: BSD-3-Clause
// Small files of state_dir, replaced whole in one step: whoever reads finds the old one or the new
// one, and after the return the new one, whatever the power does. Any thread.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// 0, or negative errno: the old one stands, or a power loss may bring it back.
int td_state_write(const char *folder, const char *name, const uint8_t *bytes, size_t len);
// The same of what print() writes to out.
int td_state_print(const char *folder, const char *name, void (*print)(FILE *out, const void *what),
	const void *what);
int td_folder_sync(const char *folder); // what was renamed in it stays so. 0 or negative errno
