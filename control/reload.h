// SPDX-License-Identifier: BSD-3-Clause
// Takes a changed configuration file into force: trunks, routes and limits live, all or nothing;
// the rest is named as needing a restart. Owner: the loop.
#pragma once

#include <stdbool.h>

struct td_control;

// code 0, or negative errno and the faults in text. Text lives until the return.
typedef void (*td_reload_done)(void *user, int code, const char *text);

// Ends by done, at once or when the data plane has answered. dry_run: says what would change, and
// changes nothing.
void td_reload(struct td_control *control, bool dry_run, td_reload_done done, void *user);
