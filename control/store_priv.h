// SPDX-License-Identifier: BSD-3-Clause
// Inside of the store: its statements, and how their values are put together.
#pragma once

#include "control/columns.h"
#include "control/db.h"
#include "control/store.h"

enum store_statement {
	ST_START,
	ST_END,
	ST_BLOCK_LAST,
	ST_OPEN_END,
	ST_OPEN_CLEAR,
	ST_OPEN_OTHERS,
	ST_BOOT_COUNT,
	ST_BOOT_ROWS,
	ST_BOOT_OPEN,
	ST_ATTEMPT,
	ST_CDR_LAST,
	ST_CDR_FIND,
	ST_CDR_SHOW,
	ST_ATTEMPTS_OF,
	ST_SUBSCRIBER_PUT,
	ST_SUBSCRIBER_DELETE,
	ST_SUBSCRIBER_GET,
	ST_SUBSCRIBERS,
	ST_NUMBER_PUT,
	ST_NUMBERS_DELETE,
	ST_NUMBERS_OF,
	ST_NUMBERS,
	ST_NUMBER_OWNER,
	ST_GENERATION,
	ST_GENERATION_NEXT,
	ST_CHANGE_PUT,
	ST_CHANGES_DELETE,
	ST_CHANGES,
	ST_TRUNK_GENERATION,
	ST_TRUNK_GENERATION_NEXT,
	ST_TRUNK_GET,
	ST_TRUNK_PUT,
	ST_TRUNK_DELETE,
	ST_TRUNKS,
	ST_PLAN_GENERATION,
	ST_PLAN_GENERATION_NEXT,
	ST_PLANS,
	ST_PLAN_GET,
	ST_PLAN_PUT,
	ST_PLAN_PART,
	ST_PLAN_PART_PUT,
	ST_PLAN_PARTS_DELETE,
	ST_BINDING_PUT,
	ST_BINDING_DELETE,
	ST_BINDINGS,
	ST_BINDINGS_OF,
	ST_BINDINGS_EXPIRE,
	ST_BINDINGS_DELETE,
	ST_POSITION_GET,
	ST_POSITION_SET,
	ST__COUNT,
};

struct td_store {
	struct td_db *db;
	bool in_transaction;
	uint64_t generation; // of subscribers, that the change under way makes
	char node[64]; // empty where the database is this node's alone
	int64_t block;       // of the next final record (store_cdr.c)
	uint32_t block_left; // how many it still takes; 0: the next one begins
};

// store_sql.c: the text of every statement; freed by the caller, one by one. NULL: no memory.
char *store_sql(enum store_statement statement);
// store_schema.c: brings the schema up to this program's version. 0 or negative errno and error
// text.
int store_schema_migrate(struct td_db *db, char *error, size_t cap);

int store_run(struct td_store *store, enum store_statement statement, const struct td_value *values,
	int n);
// The one number of a statement with n values, such as a table's generation, which is never 0.
int store_generation(struct td_store *store, enum store_statement statement,
	const struct td_value *values, int n, uint64_t *out);
int store_query(struct td_store *store, enum store_statement statement,
	const struct td_value *values, int n, td_db_row row, void *user);

static inline struct td_value value_int(int64_t n)
{
	return (struct td_value){ .kind = TD_VALUE_INT, .number = n };
}

static inline struct td_value value_text(const char *text)
{
	size_t len = 0;

	while (text[len])
		len++;
	return (struct td_value){ .kind = TD_VALUE_TEXT, .text = text, .len = len };
}
