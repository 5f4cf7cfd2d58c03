// SPDX-License-Identifier: BSD-3-Clause
// Everything tandem-control owns. One thread, the libuv loop of control/main.c; what waits for a
// disk or a server has threads of its own (control/destination.h).
#pragma once

#include "control/collector.h"
#include "control/config.h"
#include "control/destination.h"
#include "control/dns_names.h"
#include "control/events.h"
#include "control/link.h"
#include "control/overlay.h"
#include "control/plan_store.h"
#include "control/pushed.h"
#include "control/server.h"
#include "control/store_worker.h"
#include "control/sync.h"
#include "control/trunks.h"

struct td_control {
	uv_loop_t loop;
	const char *path;        // of the configuration file
	const char *const *sets; // --set overrides, applied again by each reload
	int n_sets;
	struct td_config *conf; // as started; only its policy follows reloads
	struct td_alarms alarms;
	struct td_events events;
	struct td_destinations destinations; // of the journal
	struct td_store_worker store;        // what is asked of the store
	struct td_store_worker restore;      // bindings that go back, beside the subscribers
	struct td_sync sync;
	struct td_link link;
	struct td_dns_names names;
	struct td_pushed pushed;
	struct td_plan_store plans;
	struct td_server server;
	struct td_collector collector;
	bool reloading; // or another change of the policy is under way
	struct td_overlay overlay;
	struct td_trunks trunks; // of the store
	uv_signal_t on_term, on_int, on_hup;
	uv_fs_event_t journal_watch;
	uv_timer_t journal_timer, watchdog;
	bool stuck;   // a thread hangs in its disk or server: what it uses is left to the exit
	int run_lock; // held: no second tandem-control on this run_dir
};
