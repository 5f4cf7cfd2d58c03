// SPDX-License-Identifier: BSD-3-Clause
// The columns of call detail records: name, kind and place of each stand in one line of columns.c.
// SQL, CSV, JSON and the management protocol all go by this table, in its order.
#pragma once

#include "control/value.h"
#include "include/cdr.h"

enum td_column_kind {
	TD_COLUMN_KEY,      // text, never NULL
	TD_COLUMN_TEXT,     // NULL where empty
	TD_COLUMN_COUNT,    // u64
	TD_COLUMN_TIME,     // u64, NULL where 0
	TD_COLUMN_NUMBER,   // u16
	TD_COLUMN_CODE,     // u16, NULL where 0
	TD_COLUMN_REAL,     // double
	TD_COLUMN_RELEASED, // enum td_released_by as a word
	TD_COLUMN_FLAG,     // u8, 0 or 1
	TD_COLUMN_DURATION, // u64, NULL where 0 and the record is not complete
};

struct td_column {
	const char *name;
	enum td_column_kind kind;
	uint16_t offset, size; // in the record
};

struct td_columns {
	const char *name;
	const struct td_column *list;
	int n, keys;  // keys: columns in front that are the key
	size_t bytes; // of the record
};

#define TD_CDR_COLUMNS 31
#define TD_ATTEMPT_COLUMNS 10
extern const struct td_columns td_cdr_columns;     // struct td_cdr
extern const struct td_columns td_attempt_columns; // struct td_cdr_attempt

// One record's values; text without sense is cleaned into texts and lives as long as it does.
struct td_column_texts {
	size_t used;
	char bytes[2048];
};
void td_columns_read(const struct td_columns *columns, const void *record,
	struct td_column_texts *texts, struct td_value *out);
// The other way: a row becomes a record.
void td_columns_write(const struct td_columns *columns, const struct td_value *row, void *record);
