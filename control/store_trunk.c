// SPDX-License-Identifier: BSD-3-Clause
// Trunks beside those of the configuration file. Each change counts their generation up in its own
// transaction.
#include "control/store_priv.h"

#include <errno.h>

struct now {
	const char *before;
	bool found, same;
};

static int now_row(void *user, const struct td_value *row, int n)
{
	struct now *now = user;

	now->found = true;
	now->same = now->before && row[0].kind == TD_VALUE_TEXT &&
		    td_span_eq(td_span(row[0].text, row[0].len), td_span_str(now->before));
	return 1;
}

static int found_row(void *user, const struct td_value *row, int n)
{
	*(bool *)user = true;
	return 1;
}

int td_store_trunks_generation(struct td_store *store, uint64_t *generation)
{
	return store_generation(store, ST_TRUNK_GENERATION, NULL, 0, generation);
}

// The row of the generation is changed first: whoever else changes a trunk waits for it.
static int change_begin(struct td_store *store)
{
	int rc = td_store_begin(store);

	return rc ? rc : store_run(store, ST_TRUNK_GENERATION_NEXT, NULL, 0);
}

static int change_end(struct td_store *store, int rc)
{
	return rc ? rc : td_store_commit(store);
}

int td_store_trunk_put(
	struct td_store *store, const char *name, const char *settings, const char *before)
{
	const struct td_value values[] = { value_text(name), value_text(settings) };
	struct now now = { .before = before };
	int rc = change_begin(store);

	if (rc == 0)
		rc = store_query(store, ST_TRUNK_GET, values, 1, now_row, &now);
	if (rc == 0 && now.found != (before != NULL))
		rc = before ? -ENOENT : -EEXIST;
	if (rc == 0 && before && !now.same)
		rc = -EINVAL;
	if (rc == 0)
		rc = store_run(store, ST_TRUNK_PUT, values, 2);
	return change_end(store, rc);
}

int td_store_trunk_delete(struct td_store *store, const char *name)
{
	const struct td_value value = value_text(name);
	bool found = false;
	int rc = change_begin(store);

	if (rc == 0)
		rc = store_query(store, ST_TRUNK_DELETE, &value, 1, found_row, &found);
	if (rc == 0 && !found)
		rc = -ENOENT;
	return change_end(store, rc);
}

struct reading {
	td_trunk_each each;
	void *user;
};

static int trunk_row(void *user, const struct td_value *row, int n)
{
	const struct reading *reading = user;

	if (row[0].kind == TD_VALUE_TEXT && row[1].kind == TD_VALUE_TEXT)
		reading->each(reading->user, td_span(row[0].text, row[0].len),
			td_span(row[1].text, row[1].len));
	return 0;
}

int td_store_trunks(struct td_store *store, td_trunk_each each, void *user)
{
	struct reading reading = { each, user };

	return store_query(store, ST_TRUNKS, NULL, 0, trunk_row, &reading);
}
