// SPDX-License-Identifier: BSD-3-Clause
// One line of a dial plan changed among its lines (control/plan_rows.h): what an operator does
// without a file. Any thread, one at a time.
#pragma once

#include "control/plan_rows.h"
#include "control/route_csv.h"

struct td_route_edit {
	char *texts[TD_ROUTE_CSV_COLUMNS]; // owned; NULL: nothing was said of that column
	bool remove;
};

// fields: "column=value". NULL and why, static text, or which field.
struct td_route_edit *td_route_edit_new(
	const char *match, bool remove, char *const *fields, size_t n, char *error, size_t cap);
void td_route_edit_free(struct td_route_edit *edit); // NULL is fine
// The line that it puts there, with names that are known. 0; -EINVAL and error.
int td_route_edit_check(const struct td_route_edit *edit, const struct td_route_names *names,
	char *error, size_t cap);
// All lines of from, changed, to the end of the empty rows. *gone: lines that were removed or
// replaced. 0; -EINVAL and error; -EBADMSG, -E2BIG, -ENOMEM.
int td_route_edit_run(const struct td_route_edit *edit, struct td_plan_rows *from,
	struct td_plan_rows *to, uint64_t *gone, char *error, size_t cap);
