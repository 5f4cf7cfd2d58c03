// SPDX-License-Identifier: BSD-3-Clause
// control/db.h over SQLite: a file, WAL, commits that outlive the power.
#include "control/db.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUSY_TIMEOUT_MS 500
#define SCHEME "sqlite:"

// FULL: a journal segment is removed as soon as its rows are committed, so a commit must outlive
// the power. A longer WAL and a larger cache let a page that many batches touch be written once.
static const char settings[] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
			       "PRAGMA wal_autocheckpoint=8000; PRAGMA cache_size=-32768;";

struct sqlite {
	struct td_db base;
	sqlite3 *db;
	sqlite3_stmt **st;
	int n_st;
};

static int failure(struct sqlite *s, int rc)
{
	snprintf(s->base.error, sizeof(s->base.error), "%s", sqlite3_errmsg(s->db));
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_INTERRUPT:
		return -ECANCELED;
	default:
		return -EIO;
	}
}

static void sqlite_close(struct td_db *db)
{
	struct sqlite *s = (struct sqlite *)db;

	for (int i = 0; i < s->n_st; i++)
		sqlite3_finalize(s->st[i]);
	free(s->st);
	sqlite3_close(s->db);
	free(s);
}

// Counting its memory would take a lock with each allocation. Too late once something is open.
static void statistics_stop(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static struct td_db *sqlite_open(const char *url, char *error, size_t cap)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct sqlite *s = calloc(1, sizeof(*s));

	pthread_once(&once, statistics_stop);
	if (!s) {
		snprintf(error, cap, "no memory");
		return NULL;
	}
	s->base.engine = &td_db_sqlite;
	// One thread at a time uses it, and interrupting is safe without a mutex too.
	int rc = sqlite3_open_v2(url + strlen(SCHEME), &s->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_busy_timeout(s->db, BUSY_TIMEOUT_MS);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(s->db, settings, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		return &s->base;
	snprintf(error, cap, "%s", s->db ? sqlite3_errmsg(s->db) : "no memory");
	sqlite_close(&s->base);
	return NULL;
}

static int sqlite_prepare(struct td_db *db, const char *const *sql, int n)
{
	struct sqlite *s = (struct sqlite *)db;

	s->st = calloc((size_t)n, sizeof(*s->st));
	if (!s->st)
		return -ENOMEM;
	for (s->n_st = 0; s->n_st < n; s->n_st++) {
		int rc = sqlite3_prepare_v3(s->db, sql[s->n_st], -1, SQLITE_PREPARE_PERSISTENT,
			&s->st[s->n_st], NULL);
		if (rc != SQLITE_OK)
			return failure(s, rc);
	}
	return 0;
}

static int sqlite_script(struct td_db *db, const char *sql)
{
	struct sqlite *s = (struct sqlite *)db;
	int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : failure(s, rc);
}

// What is written to a file that has no name any more is lost with the process.
static bool file_is_gone(struct sqlite *s)
{
	int moved = 0;

	return sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
	       moved != 0;
}

static int sqlite_begin(struct td_db *db)
{
	struct sqlite *s = (struct sqlite *)db;

	if (!file_is_gone(s))
		return sqlite_script(db, "BEGIN IMMEDIATE");
	snprintf(db->error, sizeof(db->error),
		"the file was moved or replaced; the one that has its name is opened");
	return -EIO;
}

static int sqlite_commit(struct td_db *db)
{
	return sqlite_script(db, "COMMIT");
}

static void sqlite_rollback(struct td_db *db)
{
	struct sqlite *s = (struct sqlite *)db;

	if (!sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

// --- statements ---

static void bind(sqlite3_stmt *st, int at, const struct td_value *value)
{
	switch (value->kind) {
	case TD_VALUE_NULL:
		return; // as it is
	case TD_VALUE_INT:
		sqlite3_bind_int64(st, at, value->number);
		return;
	case TD_VALUE_REAL:
		sqlite3_bind_double(st, at, value->real);
		return;
	case TD_VALUE_TEXT:
		sqlite3_bind_text(st, at, value->text, (int)value->len, SQLITE_STATIC);
		return;
	case TD_VALUE_BYTES:
		sqlite3_bind_blob(st, at, value->text, (int)value->len, SQLITE_STATIC);
		return;
	}
}

static void column(sqlite3_stmt *st, int at, struct td_value *out)
{
	*out = (struct td_value){ .kind = TD_VALUE_NULL };
	switch (sqlite3_column_type(st, at)) {
	case SQLITE_INTEGER:
		out->kind = TD_VALUE_INT;
		out->number = sqlite3_column_int64(st, at);
		break;
	case SQLITE_FLOAT:
		out->kind = TD_VALUE_REAL;
		out->real = sqlite3_column_double(st, at);
		break;
	case SQLITE_TEXT:
		out->kind = TD_VALUE_TEXT;
		out->text = (const char *)sqlite3_column_text(st, at);
		break;
	case SQLITE_BLOB:
		out->kind = TD_VALUE_BYTES;
		out->text = sqlite3_column_blob(st, at);
		break;
	}
	if (out->text)
		out->len = (size_t)sqlite3_column_bytes(st, at);
}

static int sqlite_query(struct td_db *db, int statement, const struct td_value *values, int n,
	td_db_row row, void *user)
{
	struct sqlite *s = (struct sqlite *)db;
	sqlite3_stmt *st = s->st[statement];
	struct td_value out[TD_DB_VALUES_MAX];
	int rc;

	for (int i = 0; i < n; i++)
		bind(st, i + 1, &values[i]);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		int columns = sqlite3_column_count(st);
		for (int i = 0; i < columns && i < TD_DB_VALUES_MAX; i++)
			column(st, i, &out[i]);
		if (row && row(user, out, columns) != 0)
			row = NULL;
	}
	int result = rc == SQLITE_DONE ? 0 : failure(s, rc);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return result;
}

static int sqlite_run(struct td_db *db, int statement, const struct td_value *values, int n)
{
	return sqlite_query(db, statement, values, n, NULL, NULL);
}

static int sqlite_number(struct td_db *db, const char *sql, int64_t *out)
{
	struct sqlite *s = (struct sqlite *)db;
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*out = sqlite3_column_int64(st, 0);
	int result = rc == SQLITE_ROW ? 0 : rc == SQLITE_DONE ? -ENOENT : failure(s, rc);
	sqlite3_finalize(st);
	return result;
}

static void sqlite_interrupt(struct td_db *db)
{
	sqlite3_interrupt(((struct sqlite *)db)->db);
}

const struct td_db_engine td_db_sqlite = {
	.scheme = SCHEME,
	.clustered = " WITHOUT ROWID",
	.shared = false,
	.version_ask = "PRAGMA user_version",
	.version_tell = "PRAGMA user_version = ",
	.open = sqlite_open,
	.close = sqlite_close,
	.prepare = sqlite_prepare,
	.begin = sqlite_begin,
	.begin_alone = sqlite_begin,
	.commit = sqlite_commit,
	.rollback = sqlite_rollback,
	.script = sqlite_script,
	.run = sqlite_run,
	.query = sqlite_query,
	.number = sqlite_number,
	.interrupt = sqlite_interrupt,
};
