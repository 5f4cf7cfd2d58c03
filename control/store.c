// SPDX-License-Identifier: BSD-3-Clause
#include "control/store_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct td_db_engine *const db_engines[] = { &td_db_sqlite, &td_db_postgresql };

static const struct td_db_engine *engine_of(const char *url)
{
	for (size_t i = 0; i < sizeof(db_engines) / sizeof(db_engines[0]); i++)
		if (strncmp(url, db_engines[i]->scheme, strlen(db_engines[i]->scheme)) == 0)
			return db_engines[i];
	return NULL;
}

bool td_store_url_known(const char *url)
{
	return engine_of(url) != NULL;
}

// A password stands between the first ':' behind "//" and the '@', or among the parameters.
void td_store_url_clean(const char *url, char *dst, size_t cap)
{
	const char *authority = strstr(url, "//");
	size_t end = strcspn(url, "?");
	const char *at = memchr(url, '@', end);

	if (!authority || !at || at < authority) {
		snprintf(dst, cap, "%.*s", (int)end, url);
		return;
	}
	// A password may hold an '@' that nobody escaped: the last one before the path counts.
	for (const char *more; (more = memchr(at + 1, '@', end - (size_t)(at + 1 - url)));)
		at = more;
	size_t user = strcspn(authority + 2, ":@");
	snprintf(dst, cap, "%.*s%.*s", (int)((size_t)(authority + 2 - url) + user), url,
		(int)(end - (size_t)(at - url)), at);
}

// --- opening ---

static int statements_prepare(struct td_db *db)
{
	char *sql[ST__COUNT] = { 0 };
	int rc = 0;

	for (int i = 0; i < ST__COUNT; i++) {
		sql[i] = store_sql((enum store_statement)i);
		rc = sql[i] ? rc : -ENOMEM;
	}
	if (rc == 0)
		rc = db->engine->prepare(db, (const char *const *)sql, ST__COUNT);
	for (int i = 0; i < ST__COUNT; i++)
		free(sql[i]);
	return rc;
}

struct td_store *td_store_open(const char *url, const char *node, char *error, size_t error_cap)
{
	const struct td_db_engine *engine = engine_of(url);
	struct td_store *store = calloc(1, sizeof(*store));

	if (!store || !engine) {
		snprintf(error, error_cap, "%s", store ? "no such kind of store" : "no memory");
		free(store);
		return NULL;
	}
	if (engine->shared)
		snprintf(store->node, sizeof(store->node), "%s", node);
	store->db = engine->open(url, error, error_cap);
	if (!store->db) {
		free(store);
		return NULL;
	}
	int rc = store_schema_migrate(store->db, error, error_cap);
	if (rc == 0 && (rc = statements_prepare(store->db)) != 0)
		snprintf(error, error_cap, "%s",
			store->db->error[0] ? store->db->error : strerror(-rc));
	if (rc == 0)
		return store;
	td_store_close(store);
	return NULL;
}

void td_store_close(struct td_store *store)
{
	if (!store)
		return;
	td_store_rollback(store);
	store->db->engine->close(store->db);
	free(store);
}

const char *td_store_error(const struct td_store *store)
{
	return store->db->error;
}

void td_store_interrupt(struct td_store *store)
{
	store->db->engine->interrupt(store->db);
}

// --- transactions ---

int td_store_begin(struct td_store *store)
{
	int rc = store->db->engine->begin(store->db);

	store->in_transaction = rc == 0;
	return rc;
}

int td_store_commit(struct td_store *store)
{
	int rc = store->db->engine->commit(store->db);

	if (rc == 0)
		store->in_transaction = false;
	return rc;
}

void td_store_rollback(struct td_store *store)
{
	if (store->in_transaction)
		store->db->engine->rollback(store->db);
	store->in_transaction = false;
}

int store_run(struct td_store *store, enum store_statement statement, const struct td_value *values,
	int n)
{
	return store->db->engine->run(store->db, statement, values, n);
}

int store_query(struct td_store *store, enum store_statement statement,
	const struct td_value *values, int n, td_db_row row, void *user)
{
	return store->db->engine->query(store->db, statement, values, n, row, user);
}

static int generation_row(void *user, const struct td_value *row, int n)
{
	*(uint64_t *)user = (uint64_t)row[0].number;
	return 1;
}

int store_generation(struct td_store *store, enum store_statement statement,
	const struct td_value *values, int n, uint64_t *out)
{
	*out = 0;
	int rc = store_query(store, statement, values, n, generation_row, out);
	return rc == 0 && *out == 0 ? -EIO : rc;
}

// --- the journal's position ---

static int position_row(void *user, const struct td_value *row, int n)
{
	struct td_store_position *out = user;

	out->sequence = (uint64_t)row[0].number;
	out->offset = (uint64_t)row[1].number;
	return 0;
}

int td_store_position_get(struct td_store *store, struct td_store_position *out)
{
	struct td_store_position none = { UINT64_MAX, UINT64_MAX }, found = none;
	struct td_value node = value_text(store->node);
	int rc = store_query(store, ST_POSITION_GET, &node, 1, position_row, &found);

	if (rc != 0)
		return rc;
	if (found.sequence == none.sequence && found.offset == none.offset)
		return -ENOENT;
	*out = found;
	return 0;
}

int td_store_position_set(struct td_store *store, const struct td_store_position *position)
{
	const struct td_value values[] = { value_text(store->node),
		value_int((int64_t)position->sequence), value_int((int64_t)position->offset) };

	return store_run(store, ST_POSITION_SET, values, 3);
}
