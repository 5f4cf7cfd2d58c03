// SPDX-License-Identifier: BSD-3-Clause
#include "control/route_edit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

// --- what is asked ---

void td_route_edit_free(struct td_route_edit *edit)
{
	for (int c = 0; edit && c < TD_ROUTE_CSV_COLUMNS; c++)
		free(edit->texts[c]);
	free(edit);
}

static bool fits(const char *value)
{
	for (const char *c = value; *c; c++)
		if ((unsigned char)*c < ' ' || *c == '"' || *c == 0x7f)
			return false;
	return strlen(value) < 600;
}

static int field_put(struct td_route_edit *edit, const char *name, size_t len, const char *value)
{
	for (int c = 0; c < TD_ROUTE_CSV_COLUMNS; c++) {
		const char *column = td_route_csv_columns[c];
		if (strlen(column) != len || memcmp(column, name, len) != 0)
			continue;
		if (edit->texts[c] || !fits(value))
			return -EINVAL;
		edit->texts[c] = strdup(value);
		return edit->texts[c] ? 0 : -ENOMEM;
	}
	return -EINVAL;
}

struct td_route_edit *td_route_edit_new(
	const char *match, bool remove, char *const *fields, size_t n, char *error, size_t cap)
{
	struct td_route_edit *edit = calloc(1, sizeof(*edit));
	const char *wrong = match;
	int rc = edit ? field_put(edit, "match", strlen("match"), match) : -ENOMEM;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		const char *equals = strchr(fields[i], '=');
		wrong = fields[i];
		rc = equals ? field_put(edit, fields[i], (size_t)(equals - fields[i]), equals + 1)
			    : -EINVAL;
	}
	if (rc == 0) {
		edit->remove = remove;
		return edit;
	}
	snprintf(error, cap, "\"%.60s\": %s", wrong,
		rc == -ENOMEM ? "no memory" : "expected a column of a route file and its value");
	td_route_edit_free(edit);
	return NULL;
}

static size_t line_of(const struct td_route_edit *edit, char *dst, size_t cap)
{
	struct td_span fields[TD_ROUTE_CSV_COLUMNS];

	for (int c = 0; c < TD_ROUTE_CSV_COLUMNS; c++)
		fields[c] = td_span_str(edit->texts[c] ? edit->texts[c] : "");
	return td_route_csv_line(fields, dst, cap);
}

int td_route_edit_check(const struct td_route_edit *edit, const struct td_route_names *names,
	char *error, size_t cap)
{
	static const char second[] = "line 2: "; // behind that of the columns; nobody sees a file
	char text[sizeof(TD_ROUTE_CSV_HEADER) + TD_ROUTE_CSV_LINE_MAX] = TD_ROUTE_CSV_HEADER;
	const size_t head = sizeof(TD_ROUTE_CSV_HEADER) - 1;
	_Atomic uint64_t progress = 0;

	if (edit->remove)
		return 0;
	size_t len = line_of(edit, text + head, sizeof(text) - head);
	struct td_route_builder *builder = len > 0 ? td_route_builder_new() : NULL;
	if (!builder) {
		snprintf(error, cap, "%s", len > 0 ? "no memory" : "the line is too long");
		return len > 0 ? -ENOMEM : -EINVAL;
	}
	int rc = td_route_csv_read(builder, text, head + len, names, &progress, error, cap);
	td_route_builder_free(builder);
	if (rc < 0 && strncmp(error, second, sizeof(second) - 1) == 0)
		memmove(error, error + sizeof(second) - 1, strlen(error) - sizeof(second) + 2);
	return rc;
}

// --- a line of the plan ---

// A '+' does not count, as in route files.
static struct td_span plain(struct td_span match)
{
	uint32_t whole = match.len > 0 && match.ptr[0] == '=';

	if (match.len > whole && match.ptr[whole] == '+')
		return td_span(match.ptr + whole + 1, match.len - whole - 1);
	return td_span(match.ptr + whole, match.len - whole);
}

static bool match_same(struct td_span a, struct td_span b)
{
	const char *at = a.len > 0 ? memrchr(a.ptr, '@', a.len) : NULL;
	size_t user = at ? (size_t)(at - a.ptr) : a.len;

	if (at) // the domain of an address is compared without case
		return a.len == b.len && memcmp(a.ptr, b.ptr, user) == 0 &&
		       strncasecmp(at, b.ptr + user, a.len - user) == 0;
	return (a.len > 0 && a.ptr[0] == '=') == (b.len > 0 && b.ptr[0] == '=') &&
	       td_span_eq(plain(a), plain(b));
}

static bool field_same(
	const struct td_route_edit *edit, enum td_route_column c, struct td_span field)
{
	struct td_span said = td_span_str(edit->texts[c] ? edit->texts[c] : "");

	if (c == COL_MATCH)
		return match_same(said, field);
	return edit->remove && !edit->texts[c] ? true : td_span_eq(said, field);
}

static bool goes(const struct td_route_edit *edit, const struct td_span *fields)
{
	static const enum td_route_column keys[] = { COL_MATCH, COL_TO, COL_DOMAIN, COL_CALLER,
		COL_WINDOW };

	for (int c = 0; edit->remove && c < TD_ROUTE_CSV_COLUMNS; c++)
		if (!field_same(edit, (enum td_route_column)c, fields[c]))
			return false;
	for (size_t i = 0; !edit->remove && i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!field_same(edit, keys[i], fields[keys[i]]))
			return false;
	return true;
}

// --- all lines ---

struct run {
	const struct td_route_edit *edit;
	struct td_route_csv *csv;
	struct td_plan_rows *to;
	uint64_t gone;
};

// end: behind the line's end, where it has one.
static int line_pass(struct run *run, const char *at, const char *end)
{
	struct td_span fields[TD_ROUTE_CSV_COLUMNS];
	char text[TD_ROUTE_CSV_LINE_MAX];
	bool row, ended = end[-1] == '\n';
	int rc = td_route_csv_fields(run->csv, at, (size_t)(end - ended - at), fields, &row);

	if (rc < 0 || !row)
		return rc;
	if (goes(run->edit, fields)) {
		run->gone++;
		return 0;
	}
	if (ended && td_route_csv_has_all(run->csv))
		return td_plan_rows_add(run->to, at, (size_t)(end - at));
	size_t len = td_route_csv_line(fields, text, sizeof(text));
	return len > 0 ? td_plan_rows_add(run->to, text, len) : -E2BIG;
}

static int part_pass(struct run *run, const char *text, size_t len)
{
	const char *end = text + len;
	int rc = 0;

	while (rc == 0 && text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		const char *next = stop ? stop + 1 : end;
		rc = line_pass(run, text, next);
		text = next;
	}
	return rc;
}

static int all_pass(struct run *run, struct td_plan_rows *from)
{
	char line[TD_ROUTE_CSV_LINE_MAX];
	const char *text;
	size_t len;
	int rc = td_plan_rows_add(run->to, TD_ROUTE_CSV_HEADER, sizeof(TD_ROUTE_CSV_HEADER) - 1);

	for (uint32_t i = 0; rc == 0 && i < td_plan_rows_parts(from); i++) {
		rc = td_plan_rows_text(from, i, &text, &len);
		if (rc == 0)
			rc = part_pass(run, text, len);
	}
	len = run->edit->remove ? 0 : line_of(run->edit, line, sizeof(line));
	if (rc == 0 && len > 0)
		rc = td_plan_rows_add(run->to, line, len);
	return rc == 0 ? td_plan_rows_end(run->to) : rc;
}

int td_route_edit_run(const struct td_route_edit *edit, struct td_plan_rows *from,
	struct td_plan_rows *to, uint64_t *gone, char *error, size_t cap)
{
	_Atomic uint64_t progress = 0;
	struct run run = { .edit = edit, .to = to };

	error[0] = '\0';
	run.csv = td_route_csv_new(NULL, NULL, &progress, error, cap);
	int rc = run.csv ? all_pass(&run, from) : -ENOMEM;
	td_route_csv_free(run.csv);
	*gone = run.gone;
	return rc;
}
