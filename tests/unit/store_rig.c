// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/store_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

struct pg_server store_pg;
char store_path[64], store_url[256];
static bool on_pg;

void store_files_remove(void)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	char other[80];

	for (int i = 0; i < 3; i++) {
		snprintf(other, sizeof(other), "%s%s", store_path, ends[i]);
		unlink(other);
	}
}

// A store of node n; the caller closes it.
struct td_store *store_open_as(const char *node)
{
	char error[256] = "";
	struct td_store *store = td_store_open(store_url, node, error, sizeof(error));

	if (!store)
		fprintf(stderr, "# %s\n", error);
	return store;
}

int store_fresh_sqlite(void **state)
{
	on_pg = false;
	snprintf(store_path, sizeof(store_path), "/tmp/td_store_%d.db", (int)getpid());
	snprintf(store_url, sizeof(store_url), "sqlite:%s", store_path);
	store_files_remove();
	return (*state = store_open_as("n")) ? 0 : -1;
}

int store_fresh_pg(void **state)
{
	on_pg = true;
	snprintf(store_url, sizeof(store_url), "%s", store_pg.url);
	if (!pg_server_ask(&store_pg, "DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
		return -1;
	return (*state = store_open_as("n")) ? 0 : -1;
}

int store_clean(void **state)
{
	td_store_close(*state);
	store_files_remove();
	return 0;
}

static const char *sqlite_ask(const char *sql)
{
	static char answer[4096];
	sqlite3 *db;
	sqlite3_stmt *st;

	assert_int_equal(sqlite3_open_v2(store_path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	snprintf(answer, sizeof(answer), "none");
	if (sqlite3_step(st) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(st, 0);
		snprintf(answer, sizeof(answer), "%s", text ? text : "NULL");
	}
	sqlite3_finalize(st);
	sqlite3_close(db);
	return answer;
}

// The first column of the first row as text ("NULL" where it is), by another connection, as a
// script would.
const char *store_ask(const char *sql)
{
	const char *answer = on_pg ? pg_server_ask(&store_pg, sql) : sqlite_ask(sql);

	assert_non_null(answer);
	return answer;
}

int store_server_up(void **state)
{
	return pg_server_make(&store_pg) ? 0 : -1;
}

int store_server_down(void **state)
{
	pg_server_remove(&store_pg);
	return 0;
}
