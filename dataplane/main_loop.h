// SPDX-License-Identifier: BSD-3-Clause
// The main lcore's loop: neighbours, the management socket, grace periods, logs, the clock, the end
// (architecture §1).
#pragma once

#include "dataplane/dataplane.h"
#include "dataplane/policy_apply.h"

// Runs until the switch has drained after SIGTERM or SIGINT. Says READY to systemd once the workers
// run. *ends: how often the process was asked to end; a signal handler's. 0, or -errno with one
// line in fault.
int td_main_loop(struct td_switch *s, const struct td_policy_codec *codec,
	_Atomic unsigned int *ends, char fault[TD_FAULT_LEN]);
