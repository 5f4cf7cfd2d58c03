// SPDX-License-Identifier: BSD-3-Clause
// One value of a row, whatever it goes to or comes from: SQL of either engine, CSV, JSON, a record.
// Text and bytes are borrowed.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum td_value_kind { TD_VALUE_NULL, TD_VALUE_INT, TD_VALUE_REAL, TD_VALUE_TEXT, TD_VALUE_BYTES };

struct td_value {
	enum td_value_kind kind;
	int64_t number;
	double real;
	const char *text; // not terminated
	size_t len;       // of text, in bytes
};
