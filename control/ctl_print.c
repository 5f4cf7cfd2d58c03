// SPDX-License-Identifier: BSD-3-Clause
// What tandemctl prints: tables for people, JSON for scripts.
#include "control/ctl.h"

#include "control/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define CELL_MAX 256

// --- JSON ---

json_t *ctl_text(const char *text)
{
	size_t cap = strlen(text) + 1;
	char *clean = malloc(cap);
	json_t *value = NULL;

	if (clean) {
		td_text_clean(text, cap, true, clean, cap);
		size_t len = strlen(clean); // a last line's end is for people
		if (len > 0 && clean[len - 1] == '\n')
			clean[len - 1] = '\0';
		value = json_string(clean);
	}
	free(clean);
	return value;
}

json_t *ctl_number(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

json_t *ctl_time_or_null(uint64_t us)
{
	return us ? ctl_number(us) : json_null();
}

void ctl_print_json(json_t *value)
{
	json_dumpf(value, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(value);
}

enum ctl_status ctl_end(const struct ctl *ctl, enum ctl_status status, const char *text)
{
	size_t len = strlen(text);
	const char *end = len == 0 || text[len - 1] == '\n' ? "" : "\n";
	char *clean = malloc(len + 1); // it may quote a file, or what came off the wire

	if (!clean)
		exit(CTL_REFUSED);
	td_text_clean(text, len, true, clean, len + 1);
	if (ctl->json)
		ctl_print_json(
			json_pack("{s:b, s:o}", "ok", status == CTL_DONE, "text", ctl_text(clean)));
	else if (status == CTL_DONE)
		printf("%s%s", clean, end);
	if (status != CTL_DONE)
		fprintf(stderr, "%s%s%s", strchr(clean, '\n') ? "" : "tandemctl: ", clean, end);
	free(clean);
	return status;
}

enum ctl_status ctl_end_error(const struct ctl *ctl, const Tandem__Frame *frame)
{
	if (!frame)
		return CTL_UNREACHABLE;
	return ctl_end(ctl, CTL_REFUSED,
		frame->body_case == TANDEM__FRAME__BODY_ERROR ? frame->error->text
							      : "an answer that is no answer");
}

// --- tables ---

struct ctl_table {
	const char *const *columns;
	int n;
	size_t cells, cap; // at[] says where each begins
	size_t *at;
	char *text; // one behind the other, each with its NUL
	size_t len, text_cap;
};

struct ctl_table *ctl_table_new(const char *const *columns, int n)
{
	struct ctl_table *table = calloc(1, sizeof(*table));

	if (!table)
		exit(CTL_REFUSED);
	table->columns = columns;
	table->n = n;
	return table;
}

void ctl_table_cell(struct ctl_table *table, const char *format, ...)
{
	char raw[CELL_MAX];
	va_list ap;

	if (table->cells == table->cap) {
		table->cap = table->cap ? 2 * table->cap : 64;
		table->at = realloc(table->at, table->cap * sizeof(*table->at));
	}
	if (table->text_cap - table->len < CELL_MAX) {
		table->text_cap = 2 * table->text_cap + 16 * CELL_MAX;
		table->text = realloc(table->text, table->text_cap);
	}
	if (!table->at || !table->text) {
		fputs("tandemctl: no memory for so long a table\n", stderr);
		exit(CTL_REFUSED);
	}
	va_start(ap, format);
	vsnprintf(raw, sizeof(raw), format, ap);
	va_end(ap);
	table->at[table->cells++] = table->len;
	table->len +=
		td_text_clean(raw, sizeof(raw), false, table->text + table->len, CELL_MAX) + 1;
}

static const char *cell(const struct ctl_table *table, size_t i)
{
	return table->text + table->at[i];
}

void ctl_table_limit(struct ctl_table *table, uint64_t limit)
{
	if (limit == 0)
		ctl_table_cell(table, "-");
	else
		ctl_table_cell(table, "%" PRIu64, limit);
}

// Columns on a terminal: characters, not bytes.
static int width_of(const char *text)
{
	int width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static void cell_print(const char *text, int width, bool right, bool last)
{
	int pad = width - width_of(text);

	if (right)
		printf("%*s%s%s", pad, "", text, last ? "\n" : "  ");
	else if (last)
		printf("%s\n", text);
	else
		printf("%s%*s  ", text, pad, "");
}

void ctl_table_print(struct ctl_table *table, bool colour)
{
	int *widths = calloc((size_t)table->n, sizeof(*widths));

	for (int c = 0; widths && c < table->n; c++)
		widths[c] = width_of(table->columns[c] + (table->columns[c][0] == '>'));
	for (size_t i = 0; widths && i < table->cells; i++)
		if (widths[i % (size_t)table->n] < width_of(cell(table, i)))
			widths[i % (size_t)table->n] = width_of(cell(table, i));
	if (colour)
		fputs("\033[1m", stdout);
	for (int c = 0; widths && c < table->n; c++) {
		bool right = table->columns[c][0] == '>';
		cell_print(table->columns[c] + right, widths[c], right, c == table->n - 1);
	}
	if (colour)
		fputs("\033[0m", stdout);
	for (size_t i = 0; widths && i < table->cells; i++) {
		int c = (int)(i % (size_t)table->n);
		cell_print(
			cell(table, i), widths[c], table->columns[c][0] == '>', c == table->n - 1);
	}
	free(widths);
	free(table->at);
	free(table->text);
	free(table);
}
