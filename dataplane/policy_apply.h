// SPDX-License-Identifier: BSD-3-Clause
// The policy in force: published to workers whole, the old one freed when no worker can still read
// it, a copy kept in state_dir for a start without control (architecture §1). Nobody waits for a
// grace period.
//
// Owner: main. Allocates; the disk is touched once for each policy.
#pragma once

#include "dataplane/plans.h"
#include "dataplane/worker.h"
#include "include/policy_conf.h"

#include <tandem.pb-c.h>

#define TD_POLICY_RETIRED_MAX 8

// How policies are read; main.c hands in control's functions (control/policy_pb.h), so that nothing
// else here knows them.
struct td_policy_codec {
	struct td_policy_conf *(*from_pb)(const Tandem__Policy *policy, const char **error);
	struct td_policy_conf *(*unpack)(const uint8_t *bytes, size_t len, const char **error);
	uint8_t *(*pack)(const struct td_policy_conf *conf, size_t *len);
	void (*free)(struct td_policy_conf *conf);
};

// A policy and the dial plans that it borrows.
struct td_policy_lent {
	struct td_policy *policy;
	struct td_plan **plans;
	uint32_t n_plans;
};

struct td_policy_retired {
	struct td_policy_lent lent;
	uint64_t token; // of the grace period
};

struct td_policy_apply {
	struct td_dataplane *dp;
	const struct td_policy_codec *codec;
	char path[128]; // of the copy
	struct td_plans *plans;
	struct td_policy_conf *conf; // of current
	struct td_policy *current;
	struct td_policy_lent lent; // current with its plans
	uint32_t n_retired;
	struct td_policy_retired retired[TD_POLICY_RETIRED_MAX];
};

void td_policy_apply_init(struct td_policy_apply *apply, struct td_dataplane *dp,
	struct td_plans *plans, const struct td_policy_codec *codec);
// Takes the copy of the last boot. 0; -ENOENT: there is none; -EINVAL: it does not hold (*error
// says why).
int td_policy_apply_saved(struct td_policy_apply *apply, char *error, size_t cap);
// A policy from control. 0, and it is in force and kept; -EINVAL or -EAGAIN with error, and the old
// one stands.
int td_policy_apply_push(
	struct td_policy_apply *apply, const Tandem__Policy *policy, char *error, size_t cap);
// The policy in force once more, with the dial plans as they are now. 0 (where there is none, too);
// -EAGAIN, -EINVAL: as it was.
int td_policy_apply_again(struct td_policy_apply *apply, char *error, size_t cap);
// Whether td_policy_apply_again() would succeed. 0; -EINVAL with error.
int td_policy_apply_check(struct td_policy_apply *apply, char *error, size_t cap);
// Frees what no worker reads any more. Once a turn.
void td_policy_apply_collect(struct td_policy_apply *apply);
// After the workers have returned.
void td_policy_apply_fini(struct td_policy_apply *apply);
