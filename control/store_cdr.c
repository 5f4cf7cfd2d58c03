// SPDX-License-Identifier: BSD-3-Clause
#include "control/store_priv.h"

#define BLOCK_ROWS 8192

// A row of td_cdr_columns and what may follow it.
struct cdr_row {
	struct td_value values[TD_CDR_COLUMNS + 2];
	struct td_column_texts texts;
};

static int open_write(struct td_store *store, uint32_t epoch, const struct td_cdr *cdr)
{
	struct cdr_row row;

	td_columns_read(&td_cdr_columns, cdr, &row.texts, row.values);
	row.values[TD_CDR_COLUMNS] = value_int(epoch);
	row.values[TD_CDR_COLUMNS + 1] = value_text(store->node);
	return store_run(store, ST_START, row.values, TD_CDR_COLUMNS + 2);
}

int td_store_cdr_start(struct td_store *store, uint32_t epoch, const struct td_cdr *cdr)
{
	struct td_cdr begun = *cdr;

	begun.complete = 0;
	begun.end_us = 0;
	begun.duration_us = 0;
	return open_write(store, epoch, &begun);
}

int td_store_cdr_interim(struct td_store *store, uint32_t epoch, const struct td_cdr *cdr)
{
	struct td_cdr lasting = *cdr;

	lasting.complete = 0;
	lasting.end_us = 0;
	return open_write(store, epoch, &lasting);
}

int td_store_open_end(struct td_store *store, const char *id)
{
	struct td_value value = value_text(id);

	return store_run(store, ST_OPEN_END, &value, 1);
}

static int number_row(void *user, const struct td_value *row, int n)
{
	*(int64_t *)user = row[0].number;
	return 1;
}

// Final records are numbered in blocks. Numbers are indexed within their block, so that a batch of
// records touches the few pages of the last block; an index over all of them would have a page
// read, logged and written for nearly each record, once there are millions. Who looks for a number
// asks each block. Several nodes may fill one block, and it may hold more or fewer: nothing but
// speed hangs on it.
static int block_take(struct td_store *store, struct td_value *out)
{
	int rc = 0;

	if (store->block == 0)
		rc = store_query(store, ST_BLOCK_LAST, NULL, 0, number_row, &store->block);
	if (rc != 0)
		return rc;
	if (store->block_left == 0) {
		store->block++;
		store->block_left = BLOCK_ROWS;
	}
	store->block_left--;
	*out = value_int(store->block);
	return 0;
}

int td_store_cdr_end(struct td_store *store, const struct td_cdr *cdr)
{
	struct cdr_row row;
	int rc = block_take(store, &row.values[TD_CDR_COLUMNS]);

	if (rc != 0)
		return rc;
	td_columns_read(&td_cdr_columns, cdr, &row.texts, row.values);
	rc = store_run(store, ST_END, row.values, TD_CDR_COLUMNS + 1);
	// A call that was never answered has no start.
	if (rc != 0 || cdr->answer_us == 0)
		return rc;
	return store_run(store, ST_OPEN_END, row.values, 1);
}

int td_store_cdr_attempt(struct td_store *store, const struct td_cdr_attempt *attempt)
{
	struct td_value values[TD_ATTEMPT_COLUMNS];
	struct td_column_texts texts;

	td_columns_read(&td_attempt_columns, attempt, &texts, values);
	return store_run(store, ST_ATTEMPT, values, TD_ATTEMPT_COLUMNS);
}

static int count_row(void *user, const struct td_value *row, int n)
{
	*(uint32_t *)user = (uint32_t)row[0].number;
	return 1;
}

int td_store_boot(struct td_store *store, uint32_t epoch, uint32_t *closed)
{
	struct td_value rows[3] = { [1] = value_int(epoch), [2] = value_text(store->node) };
	const struct td_value *values = &rows[1];
	int rc = store_query(store, ST_BOOT_COUNT, values, 2, count_row, closed);

	if (rc == 0 && *closed > 0)
		rc = block_take(store, &rows[0]);
	if (rc == 0 && *closed > 0)
		rc = store_run(store, ST_BOOT_ROWS, rows, 3);
	if (rc == 0 && *closed > 0)
		rc = store_run(store, ST_BOOT_OPEN, values, 2);
	return rc;
}

// --- reading ---

struct reading {
	td_store_cdr_each each;
	td_store_attempt_each attempt;
	void *user;
};

static int cdr_row(void *user, const struct td_value *row, int n)
{
	const struct reading *reading = user;
	struct td_cdr cdr;

	td_columns_write(&td_cdr_columns, row, &cdr);
	reading->each(reading->user, &cdr);
	return 0;
}

static int attempt_row(void *user, const struct td_value *row, int n)
{
	const struct reading *reading = user;
	struct td_cdr_attempt attempt;

	td_columns_write(&td_attempt_columns, row, &attempt);
	reading->attempt(reading->user, &attempt);
	return 0;
}

int td_store_open_others(
	struct td_store *store, uint32_t epoch, td_store_cdr_each each, void *user)
{
	const struct td_value values[] = { value_int(epoch), value_text(store->node) };
	struct reading reading = { .each = each, .user = user };

	return store_query(store, ST_OPEN_OTHERS, values, 2, cdr_row, &reading);
}

int td_store_open_drop(struct td_store *store, uint32_t epoch)
{
	const struct td_value values[] = { value_int(epoch), value_text(store->node) };

	return store_run(store, ST_BOOT_OPEN, values, 2);
}

int td_store_open_clear(struct td_store *store)
{
	struct td_value node = value_text(store->node);

	return store_run(store, ST_OPEN_CLEAR, &node, 1);
}

int td_store_cdr_last(struct td_store *store, uint32_t limit, td_store_cdr_each each, void *user)
{
	struct td_value value = value_int(limit);
	struct reading reading = { .each = each, .user = user };

	return store_query(store, ST_CDR_LAST, &value, 1, cdr_row, &reading);
}

int td_store_cdr_find(struct td_store *store, const char *number, uint32_t limit,
	td_store_cdr_each each, void *user)
{
	const struct td_value values[] = { value_text(number), value_int(limit) };
	struct reading reading = { .each = each, .user = user };

	return store_query(store, ST_CDR_FIND, values, 2, cdr_row, &reading);
}

int td_store_cdr_show(struct td_store *store, const char *id, td_store_cdr_each each,
	td_store_attempt_each attempt, void *user)
{
	struct td_value value = value_text(id);
	struct reading reading = { .each = each, .attempt = attempt, .user = user };
	int rc = store_query(store, ST_CDR_SHOW, &value, 1, cdr_row, &reading);

	return rc ? rc : store_query(store, ST_ATTEMPTS_OF, &value, 1, attempt_row, &reading);
}
