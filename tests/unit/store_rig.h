// SPDX-License-Identifier: BSD-3-Clause
// A new store for each test, of either engine; *state is the open store.
#pragma once

#include "control/store.h"
#include "tests/unit/pg_server.h"

extern struct pg_server store_pg;
extern char store_path[64], store_url[256]; // of the test's database

int store_server_up(void **state);
int store_server_down(void **state);
int store_fresh_sqlite(void **state);
int store_fresh_pg(void **state);
int store_clean(void **state);
// A further store on the same database, of that node; the caller closes it.
struct td_store *store_open_as(const char *node);
void store_files_remove(void);
// The first column of the first row as text ("NULL" where it is), by another connection, as a
// script would.
const char *store_ask(const char *sql);

#define BOTH(test)                                                                                 \
	{ "sqlite_" #test, test, store_fresh_sqlite, store_clean, NULL },                          \
	{                                                                                          \
		"postgresql_" #test, test, store_fresh_pg, store_clean, NULL                       \
	}
