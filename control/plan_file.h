// SPDX-License-Identifier: BSD-3-Clause
// Dial plans in state_dir/routes, the folder: of each the compiled image, and beside it which
// version of the store's that is.
#pragma once

#include "include/ceilings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct td_plan_info {
	char name[TD_NAME_LEN];
	uint64_t generation, rows, bytes;
	uint64_t version,
		checksum; // of the store's plan that it is; version 0: of none
	bool pushed;      // the data plane has it, or will not have it
	bool refused;     // it will not: not in force, and not sent again before its next
			  // Hello
};

bool plan_name_fits(const char *name);
// "folder/NAME.img" and suffix.
void plan_path(const char *folder, const char *name, const char *suffix, char *dst, size_t cap);
// Of a file of the folder. 0; -EINVAL: it is no plan; -EBADMSG: one of another name than the
// file's, which somebody copied or renamed.
int plan_info_read(const char *folder, const char *file, struct td_plan_info *out);
// What was written aside takes its place, and then its version is noted; where a crash comes
// between the two, the next start asks the store for the plan again. 0 or -errno, and nothing has
// changed.
int plan_file_commit(const char *folder, const struct td_plan_info *info);
void plan_version_write(const char *folder,
	const struct td_plan_info *info); // that alone
// Removes a file of the folder that a crash left aside; false: it is none.
bool plan_file_sweep(const char *folder, const char *file);
void plan_file_discard(const char *folder, const char *name);
void plan_file_remove(const char *folder, const char *name);
