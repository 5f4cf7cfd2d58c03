// SPDX-License-Identifier: BSD-3-Clause
// Everything tandem-control owns. One thread: the libuv loop of control/main.c.
#pragma once

#include "control/config.h"
#include "control/journal_reader.h"
#include "control/link.h"
#include "control/server.h"

struct td_control {
	uv_loop_t loop;
	const char *path;        // of the configuration file
	const char *const *sets; // --set overrides, applied again by each reload
	int n_sets;
	struct td_config *conf; // as started; only its policy follows reloads
	struct td_store *store;
	struct td_journal_reader *journal;
	struct td_link link;
	struct td_server server;
	bool reloading;
	uv_signal_t on_term, on_int, on_hup;
	uv_fs_event_t journal_watch;
	uv_timer_t journal_timer;
	int run_lock; // held: no second tandem-control on this run_dir
};
