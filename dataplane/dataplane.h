// SPDX-License-Identifier: BSD-3-Clause
// The whole data plane, put together from its configuration: workers, pools, ports, legs, engines,
// journal.
//
// Main lcore. Everything is made before "ready" and unmade after the workers have returned.
#pragma once

#include "dataplane/change_clock.h"
#include "dataplane/engine_memory.h"
#include "dataplane/journal_thread.h"
#include "dataplane/pools.h"
#include "dataplane/worker.h"

#define TD_FAULT_LEN 320

struct td_switch {
	struct td_dataplane *dp;
	struct td_pool_plan plan;
	struct td_journal journal;
	struct td_change_clock changes; // main loop: wo
	uint64_t changed_us;            // of changes of earlier boots; 0: the clock is past them
	struct td_engine_realm *realms; // lent to every engine
	struct td_engine_memory engine_memory;
	uint8_t token_key[32];
	bool launched;
};

// EAL runs. conf is copied. 0, or -errno with one line in fault; what was made is then unmade.
int td_switch_create(struct td_switch *s, const struct td_config *conf, char fault[TD_FAULT_LEN]);
// Workers on their lcores, the journal thread on main's CPU. 0 or -errno.
int td_switch_launch(struct td_switch *s);
// Stops the workers and waits until they have returned. Idempotent.
void td_switch_stop(struct td_switch *s);
// Stops them too, then unmakes everything. Safe after a create that failed.
void td_switch_destroy(struct td_switch *s);
