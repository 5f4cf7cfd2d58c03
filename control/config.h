// SPDX-License-Identifier: BSD-3-Clause
// Reads a configuration file (libconfig) into struct td_config, checked whole. Used by both
// daemons' main.c and by tandemctl; linked alone (config_dep), it brings nothing else of control/
// along. Any thread, start-up and reload only.
#pragma once

#include "control/faults.h"
#include "include/config.h"

// sets: n_sets overrides "path=value", applied in order before anything is checked. A path is keys
// joined by dots; an element of a list is named by its index or by its name: limits.calls=10,
// ports.0.device=net_tap0, trunks.carrier-a.max_calls=5, lcores.workers=[1,1]. A value that is not
// libconfig syntax is taken as a string.
//
// 0 and *out (td_config_free), policy included with generation 0; -EINVAL: every fault was added to
// *faults, *out is untouched. faults starts zeroed and is the caller's to free in both cases.
int td_config_load(const char *path, const char *const *sets, int n_sets, struct td_config **out,
	struct td_faults *faults);
// A trunk that is kept in the store.
struct td_stored_trunk {
	char name[TD_NAME_LEN];
	const char *settings; // borrowed; a line for each, "key=value" as of --set
	char where[TD_NAME_LEN + 16]; // TD_STORED_WHERE and the name: what its faults begin with
};

#define TD_STORED_WHERE "stored trunk "

// The same with n trunks beside the file's; one whose name the file has is passed over.
int td_config_load_stored(const char *path, const char *const *sets, int n_sets,
	const struct td_stored_trunk *stored, uint32_t n, struct td_config **out,
	struct td_faults *faults);
// The same from text in memory; name stands for the file in faults.
int td_config_load_text(const char *text, const char *name, const char *const *sets, int n_sets,
	struct td_config **out, struct td_faults *faults);
// Only run_dir, so that a command finds its daemon by a file that may be in the middle of an edit.
// 0; -EINVAL as above.
int td_config_run_dir(const char *path, char *dst, size_t cap, struct td_faults *faults);
void td_config_free(struct td_config *conf); // NULL is fine

struct td_policy_env;
// For compiling a policy (sip/policy.h) without a data plane: every trunk has a slot. conf is kept.
void td_config_policy_env(struct td_config *conf, struct td_policy_env *out);
