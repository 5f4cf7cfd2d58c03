// SPDX-License-Identifier: BSD-3-Clause
// What outlives the switch: call detail records, how far the journal was read, and what is
// provisioned (architecture §9). One interface; SQLite and PostgreSQL are below control/db.h. Each
// noun has a file: store_cdr.c and so on.
//
// Owner: one thread for each open store; several may be open on one database. Everything between
// begin and commit happens once or not at all, power loss included. Every function may wait for the
// disk or the far end (control/db.h), so none is called on tandem-control's loop.
#pragma once

#include "include/cdr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct td_store;

// How far a journal was read: rows and position are committed together.
struct td_store_position {
	uint64_t sequence; // of the segment
	uint64_t offset;   // of the first byte not read; 0: nothing of it
};

// Opens or makes the database and brings its schema up to this version, in one transaction. url:
// "sqlite:PATH" or "postgresql://…". node: whose calls and position these are, where several nodes
// share a database. NULL and error text, which tells no secret.
struct td_store *td_store_open(const char *url, const char *node, char *error, size_t error_cap);
void td_store_close(struct td_store *store); // rolls back what is not committed; NULL is fine
// Whether some engine knows the scheme.
bool td_store_url_known(const char *url);
// The URL without its secrets: what may be logged.
void td_store_url_clean(const char *url, char *dst, size_t cap);

// All that return int: 0; -EBUSY: somebody else holds the database, try later; anything else
// negative: close it and open it again. td_store_error() says more.
int td_store_begin(struct td_store *store);
int td_store_commit(struct td_store *store);
void td_store_rollback(struct td_store *store);
const char *td_store_error(const struct td_store *store);
// Lets what waits fail soon. From any thread.
void td_store_interrupt(struct td_store *store);

// --- call detail records (store_cdr.c) ---

// The call was answered: kept aside until its end, or until a later boot proves that no end will
// come.
int td_store_cdr_start(struct td_store *store, uint32_t epoch, const struct td_cdr *cdr);
// It lasts: what is kept aside becomes as old as this. Without a start it is one.
int td_store_cdr_interim(struct td_store *store, uint32_t epoch, const struct td_cdr *cdr);
// Final row; the start goes.
int td_store_cdr_end(struct td_store *store, const struct td_cdr *cdr);
int td_store_cdr_attempt(struct td_store *store, const struct td_cdr_attempt *attempt);
// A data plane of this epoch began: starts of all others become rows with complete = 0. *closed:
// how many.
int td_store_boot(struct td_store *store, uint32_t epoch, uint32_t *closed);

// Called with each record; it lives until the return.
typedef void (*td_store_cdr_each)(void *user, const struct td_cdr *cdr);
typedef void (*td_store_attempt_each)(void *user, const struct td_cdr_attempt *attempt);

// For destinations that are no tables: starts of other epochs, and the end of one start.
int td_store_open_others(
	struct td_store *store, uint32_t epoch, td_store_cdr_each each, void *user);
int td_store_open_end(struct td_store *store, const char *id);
int td_store_open_clear(struct td_store *store); // all starts of this node are void

// Newest first, at most limit.
int td_store_cdr_last(struct td_store *store, uint32_t limit, td_store_cdr_each each, void *user);
int td_store_cdr_find(struct td_store *store, const char *number, uint32_t limit,
	td_store_cdr_each each, void *user);
// One record and its attempts; nothing is called where there is none.
int td_store_cdr_show(struct td_store *store, const char *id, td_store_cdr_each each,
	td_store_attempt_each attempt, void *user);

// --- the journal ---

int td_store_position_get(
	struct td_store *store, struct td_store_position *out); // -ENOENT: nothing read yet
int td_store_position_set(struct td_store *store, const struct td_store_position *position);
