// SPDX-License-Identifier: BSD-3-Clause
// Where call detail records are kept (architecture §9). The embedded form is SQLite:
// control/store_sqlite.c.
//
// Owner: tandem-control's loop. Everything between begin and commit happens once or not at all,
// power loss included.
#pragma once

#include "include/cdr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct td_store;

// How far the journal was read: rows and position are committed together.
struct td_store_position {
	uint64_t sequence; // of the segment
	uint64_t offset;   // of the first byte not read; 0: nothing of it
};

// Opens or makes the database. NULL and error text.
struct td_store *td_store_open(const char *path, char *error, size_t error_cap);
void td_store_close(struct td_store *store); // rolls back what is not committed; NULL is fine

// 0 or -EIO, -EBUSY (somebody else holds the database: try later); td_store_error() says more.
int td_store_begin(struct td_store *store);
int td_store_commit(struct td_store *store);
void td_store_rollback(struct td_store *store);
const char *td_store_error(const struct td_store *store);

// The call was answered: kept aside until its end, or until a later boot proves that no end will
// come.
int td_store_cdr_start(struct td_store *store, uint32_t epoch, const struct td_cdr *cdr);
// Final row; the start goes.
int td_store_cdr_end(struct td_store *store, const struct td_cdr *cdr);
int td_store_cdr_attempt(struct td_store *store, const struct td_cdr_attempt *attempt);
// A data plane of this epoch began: starts of all others become rows with complete = 0. *closed:
// how many.
int td_store_boot(struct td_store *store, uint32_t epoch, uint32_t *closed);

int td_store_position_get(
	struct td_store *store, struct td_store_position *out); // -ENOENT: nothing read yet
int td_store_position_set(struct td_store *store, const struct td_store_position *position);
