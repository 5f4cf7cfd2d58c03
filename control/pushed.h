// SPDX-License-Identifier: BSD-3-Clause
// The policy as the data plane shall have it: that of the configuration, its host names replaced by
// the addresses that they have at the moment. When those change it is pushed again, once a second
// at most; a change of their times to live alone pushes nothing.
//
// Owner: the loop. Packing, compiling and writing a policy of 10,000 trunks takes a tenth of a
// second: threads of libuv's pool do it. One push is under way at a time; what an operator changes
// meanwhile waits for it, and names that moved meanwhile go together in the next one.
#pragma once

#include "control/policy_resolve.h"

#include <uv.h>

struct td_control;

#define TD_PUSHED_LOST_MAX 16

// A trunk that another one takes a source from.
struct td_pushed_lost {
	char trunk[TD_NAME_LEN], keeper[TD_NAME_LEN], ip[TD_ADDR_STRLEN];
};

// code 0: the data plane has it (in_force) or will get it when it is back; else negative errno and
// text: nothing changed. It lives until the return.
typedef void (*td_pushed_done)(void *user, int code, const char *text);

struct td_pushed_wish {
	const struct td_policy_conf *conf; // NULL: none
	void (*begin)(void *user);         // nobody else reads conf now; NULL: nothing to do then
	td_pushed_done done;               // NULL: for names alone
	void *user;
};

struct td_pushed {
	struct td_control *control;
	struct td_resolved_policy policy; // what is in force, or will be; sealed
	struct td_push *flight;           // the push that is under way; NULL: none is
	struct td_pushed_wish waiting;    // what was asked for meanwhile
	bool stopping;
	uv_timer_t timer;
	uint64_t pushed_ms; // the last time that names made it
	uint32_t n_lost;    // trunks with an alarm about their sources
	struct td_pushed_lost lost[TD_PUSHED_LOST_MAX];
};

// At the start, before the link: the policy of control->conf is what there is, and its names are
// looked up. 0, or negative errno with *error a text.
int td_pushed_begin(struct td_pushed *pushed, struct td_control *control, const char **error);
void td_pushed_stop(struct td_pushed *pushed);
// Pushes that policy with its names replaced. Where it is taken, it is what the link holds the data
// plane to, done() makes it the configuration's before it returns, and then it is kept in
// state_dir.
// From begin() to done() a thread reads conf, so that it stays as it is; nobody else asks meanwhile
// (control->reloading). *wish is copied.
void td_pushed_push(struct td_pushed *pushed, const struct td_pushed_wish *wish);
