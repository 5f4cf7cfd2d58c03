// SPDX-License-Identifier: BSD-3-Clause
// The policy as the data plane shall have it: that of the configuration, its host names replaced by
// the addresses that they have at the moment. When those change it is pushed again, once a second
// at most; a change of their times to live alone pushes nothing.
//
// Owner: the loop.
#pragma once

#include "control/policy_resolve.h"

#include <uv.h>

struct td_control;

#define TD_PUSHED_LOST_MAX 16

struct td_pushed {
	struct td_control *control;
	struct td_resolved_policy policy; // what is in force, or will be
	uint64_t serial, committed;       // of pushes
	uv_timer_t timer;
	uint64_t pushed_ms; // the last time that names made it
	uint32_t n_lost;    // trunks with an alarm about their sources
	char lost[TD_PUSHED_LOST_MAX][TD_NAME_LEN];
};

// code 0: the data plane has it (in_force) or will get it when it is back; else negative errno and
// text: nothing changed. It lives until the return.
typedef void (*td_pushed_done)(void *user, int code, const char *text);

// At the start, before the link: the policy of control->conf is what there is, and its names are
// looked up. 0, or negative errno with *error a text.
int td_pushed_begin(struct td_pushed *pushed, struct td_control *control, const char **error);
void td_pushed_stop(struct td_pushed *pushed);
// Pushes that policy with its names replaced. Where it is taken, it is kept in state_dir and is
// what the link holds the data plane to, and done() makes it the configuration's before it returns.
void td_pushed_push(struct td_pushed *pushed, const struct td_policy_conf *conf,
	td_pushed_done done, void *user);
