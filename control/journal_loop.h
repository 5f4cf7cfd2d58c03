// SPDX-License-Identifier: BSD-3-Clause
// Runs the journal reader when the journal grows: told by inotify, and once a second for what
// inotify cannot see.
#pragma once

struct td_control;

int td_journal_loop_start(struct td_control *control); // 0 or a libuv error
void td_journal_loop_stop(struct td_control *control); // reads what is there a last time
