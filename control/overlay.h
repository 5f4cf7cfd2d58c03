// SPDX-License-Identifier: BSD-3-Clause
// Trunks that an operator has enabled or disabled (tandemctl trunk enable, disable, drain): what he
// said stands over the configuration file, over reloads and over restarts, until he says what the
// file says or the trunk is gone from it. Kept in state_dir/trunks.state.
//
// Owner: the loop.
#pragma once

#include "include/policy_conf.h"

#include <stdio.h>

#define TD_OVERLAY_MAX 1024

struct td_control;

struct td_overlay_entry {
	char name[TD_NAME_LEN];
	bool enabled; // what the operator said
	bool file;    // what the file says
	bool file_next,
		seen_next; // what the file says that is being taken; whether it has the trunk
};

struct td_overlay {
	uint32_t n;
	struct td_overlay_entry list[TD_OVERLAY_MAX];
};

// At the start: reads the file of state_dir and lays it over the policy.
void td_overlay_begin(
	struct td_overlay *overlay, const char *state_dir, struct td_policy_conf *policy);
// Lays it over a policy just read from the configuration.
void td_overlay_apply(struct td_overlay *overlay, struct td_policy_conf *policy);
// That policy is in force now: trunks that it lacks, and those that it has as said, are forgotten.
void td_overlay_commit(struct td_overlay *overlay, const char *state_dir);
// Names what differs from the file.
void td_overlay_report(FILE *out, const struct td_overlay *overlay);

typedef void (*td_trunk_set_done)(void *user, int code, const char *text);
// Enables or disables a trunk: calls that stand are not touched. Ends by done, at once or when the
// data plane has answered; code 0 or negative errno.
void td_trunk_set(struct td_control *control, const char *name, bool enabled,
	td_trunk_set_done done, void *user);
