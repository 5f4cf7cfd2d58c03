// SPDX-License-Identifier: BSD-3-Clause
// An SQL database as the store needs it: numbered statements over positional values. SQL is written
// once, in what both engines speak ($1, ON CONFLICT, RETURNING); an engine is one file and one line
// of db_engines[] in control/store.c.
//
// Owner: one thread for each open database; only interrupt() may be called from another. Every
// function may wait: for the disk, or for the far end at most TD_DB_PATIENCE_MS.
#pragma once

#include "control/value.h"

#include <stdbool.h>

#define TD_DB_PATIENCE_MS 10000
#define TD_DB_VALUES_MAX 48
#define TD_DB_ERROR_LEN 256

struct td_db;

// One row of an answer; its values live until the return. Not 0: no more rows are wanted.
typedef int (*td_db_row)(void *user, const struct td_value *row, int n);

struct td_db_engine {
	const char *scheme;    // of the URL, with its colon
	const char *clustered; // what makes a table lie in the order of its key; may be empty
	bool shared;           // several nodes may use one database
	// Where programs older than table schema_version keep its number, and look for a newer's:
	// asked and told with these. NULL: there were none.
	const char *version_ask, *version_tell;

	// NULL and error text, which holds no secret of the URL.
	struct td_db *(*open)(const char *url, char *error, size_t cap);
	void (*close)(struct td_db *db);
	// 0 or -EIO; -EBUSY: somebody else holds the database, try later; -ENOSPC: its disk is
	// full; -ETIMEDOUT. After anything but -EBUSY a database is best closed and opened again.
	int (*prepare)(struct td_db *db, const char *const *sql, int n);
	int (*begin)(struct td_db *db);
	// The same, and no other begins one meanwhile: schema changes.
	int (*begin_alone)(struct td_db *db);
	int (*commit)(struct td_db *db);
	void (*rollback)(struct td_db *db);
	int (*script)(struct td_db *db, const char *sql); // statements without values
	// A statement whose rows nobody wants. An engine may send it later and tell of its failure
	// then, commit() at the latest.
	int (*run)(struct td_db *db, int statement, const struct td_value *values, int n);
	int (*query)(struct td_db *db, int statement, const struct td_value *values, int n,
		td_db_row row, void *user);
	// The first column of the first row of an answer; -ENOENT: no row.
	int (*number)(struct td_db *db, const char *sql, int64_t *out);
	// What waits returns soon, as a failure. From any thread.
	void (*interrupt)(struct td_db *db);
};

// What every engine's database begins with.
struct td_db {
	const struct td_db_engine *engine;
	char error[TD_DB_ERROR_LEN]; // of the last failure
};

extern const struct td_db_engine td_db_sqlite;     // "sqlite:PATH"
extern const struct td_db_engine td_db_postgresql; // "postgresql://…", libpq's URI
