// SPDX-License-Identifier: BSD-3-Clause
// The last committed policy in state_dir (architecture §1): what was in force, whatever the file
// says by now.
#pragma once

#include "include/policy_conf.h"

#define TD_POLICY_FILE "policy.pb"

// Generation of what is there, 0 where nothing is.
uint64_t td_policy_file_generation(const char *state_dir);
