// SPDX-License-Identifier: BSD-3-Clause
// What outlives the switch: call detail records, how far the journal was read, and what is
// provisioned (architecture §9). One interface; SQLite and PostgreSQL are below control/db.h. Each
// noun has a file: store_cdr.c and so on.
//
// Owner: one thread for each open store; several may be open on one database. Everything between
// begin and commit happens once or not at all, power loss included. Every function may wait for the
// disk or the far end (control/db.h), so none is called on tandem-control's loop.
#pragma once

#include "include/binding.h"
#include "include/cdr.h"
#include "include/ceilings.h"
#include "include/subscriber.h"

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
int td_store_open_drop(struct td_store *store, uint32_t epoch); // those of td_store_open_others()
int td_store_open_clear(struct td_store *store); // all starts of this node are void

// Newest first, at most limit.
int td_store_cdr_last(struct td_store *store, uint32_t limit, td_store_cdr_each each, void *user);
int td_store_cdr_find(struct td_store *store, const char *number, uint32_t limit,
	td_store_cdr_each each, void *user);
// One record and its attempts; nothing is called where there is none.
int td_store_cdr_show(struct td_store *store, const char *id, td_store_cdr_each each,
	td_store_attempt_each attempt, void *user);

// --- subscribers (store_subscriber.c) ---

// Each change makes the next generation of the table, in the same transaction, and a log keeps
// whom the last ones were about.
#define TD_STORE_CHANGES_KEPT 100000
#define TD_STORE_CHANGES_MAX 64 // that are read at once

typedef void (*td_subscriber_each)(void *user, const struct td_subscriber *subscriber);

// Begins a change of what is read first: no other node changes a subscriber until the put or the
// delete that ends it. Those begin by themselves where this was not called.
int td_store_subscribers_begin(struct td_store *store);
// -EEXIST with reason: it is there and replace is not set, or another has one of its numbers.
int td_store_subscriber_put(struct td_store *store, const struct td_subscriber *subscriber,
	bool replace, uint64_t *generation, char *reason, size_t reason_cap);
// Many at once, whatever was there, and a generation for each; their numbers are nobody else's.
int td_store_subscribers_load(struct td_store *store, const struct td_subscriber *list, uint32_t n,
	uint64_t *generation);
int td_store_subscriber_delete(
	struct td_store *store, const char *aor, uint64_t *generation); // -ENOENT
int td_store_subscriber_get(
	struct td_store *store, const char *aor, struct td_subscriber *out); // -ENOENT
int td_store_number_owner(
	struct td_store *store, const char *number, char aor[TD_AOR_LEN]); // -ENOENT
// At most limit, in the order of their AoRs, behind that one ("": from the first).
int td_store_subscribers(struct td_store *store, const char *after, uint32_t limit,
	td_subscriber_each each, void *user);
int td_store_generation(struct td_store *store, uint64_t *generation); // of the table, not 0
// The next TD_STORE_CHANGES_MAX changes after that generation, each AoR once, as it is now; NULL:
// it is gone. *generation: that of the last of them. -ESTALE: the log does not tell all of them.
typedef void (*td_subscriber_change)(
	void *user, const char *aor, const struct td_subscriber *subscriber);
int td_store_subscriber_changes(struct td_store *store, uint64_t after, td_subscriber_change each,
	void *user, uint64_t *generation);

// --- trunks beside the configuration file's (store_trunk.c) ---

// Each change makes the next generation of the table, in the same transaction.
int td_store_trunks_generation(struct td_store *store, uint64_t *generation); // not 0
// settings: a line for each. before: those that they were made from, or NULL for a new one.
// -EEXIST, -ENOENT; -EINVAL: somebody else changed it meanwhile.
int td_store_trunk_put(
	struct td_store *store, const char *name, const char *settings, const char *before);
int td_store_trunk_delete(struct td_store *store, const char *name); // -ENOENT
// All, in the order of their names; texts live until the return.
typedef void (*td_trunk_each)(void *user, struct td_span name, struct td_span settings);
int td_store_trunks(struct td_store *store, td_trunk_each each, void *user);

// --- dial plans (store_plan.c) ---

// The lines of a route file, packed in parts (control/plan_rows.h).
struct td_store_plan {
	char name[TD_NAME_LEN];
	uint64_t version;      // another one after each change, also after a removal
	uint64_t checksum;     // of its parts
	uint64_t lines, bytes; // bytes: of all parts
	uint32_t parts;        // 0: it was removed
};

// Each change makes the next generation of the table, in the same transaction.
int td_store_plans_generation(struct td_store *store, uint64_t *generation); // not 0
// All, in the order of their names, with those that were removed.
typedef void (*td_store_plan_each)(void *user, const struct td_store_plan *plan);
int td_store_plans(struct td_store *store, td_store_plan_each each, void *user);
// Part n, which lives until the next call. 0 or negative errno, which ends it all.
typedef int (*td_store_plan_source)(void *user, uint32_t n, const void **bytes, size_t *len);
// Puts a plan in the place of what is there, as a whole; its version is set. before: the version of
// what it was made from, 0: there was none. -EINVAL: somebody else changed it meanwhile. Of the
// same content: 0, and the version that is there.
int td_store_plan_put(struct td_store *store, struct td_store_plan *plan, uint64_t before,
	td_store_plan_source source, void *user);
int td_store_plan_remove(struct td_store *store, struct td_store_plan *plan); // by name; -ENOENT
// One part of one version. each() returns 0 or negative errno. -ENOENT: there is a newer one.
typedef int (*td_store_part_each)(void *user, const void *bytes, size_t len);
int td_store_plan_part(struct td_store *store, const struct td_store_plan *plan, uint32_t n,
	td_store_part_each each, void *user);

// --- bindings (store_binding.c) ---

// Applies one record of the journal. -EBADMSG: it does not hold, and nothing was done.
int td_store_binding(struct td_store *store, const uint8_t *record, size_t len);
// Records of this node's bindings that live after now_s, at most limit, behind the key after, which
// becomes the last one's.
typedef void (*td_binding_each)(void *user, const uint8_t *record, size_t len);
int td_store_bindings(struct td_store *store, char after[TD_BINDING_KEY_LEN], uint64_t now_s,
	uint32_t limit, td_binding_each each, void *user);
int td_store_bindings_of(struct td_store *store, const char *aor, uint64_t now_s,
	td_binding_each each, void *user);
int td_store_bindings_expire(struct td_store *store, uint64_t before_s);

// --- the journal ---

int td_store_position_get(
	struct td_store *store, struct td_store_position *out); // -ENOENT: nothing read yet
int td_store_position_set(struct td_store *store, const struct td_store_position *position);
