// SPDX-License-Identifier: BSD-3-Clause
// A PostgreSQL of the test's own: Debian's programs, a folder in /tmp, a Unix socket, an
// unprivileged user; gone with the test, however it ends.
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct pg_server {
	char dir[64];
	char url[256]; // postgresql://…
	pid_t pid;     // 0: not running
};

bool pg_server_make(struct pg_server *pg); // initdb and start
bool pg_server_start(struct pg_server *pg);
void pg_server_kill(struct pg_server *pg);           // at once, as a crash
void pg_server_pause(struct pg_server *pg, bool on); // with all its children
void pg_server_remove(struct pg_server *pg);
// Runs SQL by a connection of its own; the first column of the first row ("NULL" where it is) or
// "none" in a static buffer; NULL: it failed.
const char *pg_server_ask(const struct pg_server *pg, const char *sql);
