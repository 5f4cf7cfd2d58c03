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

struct below {
	size_t row, at; // behind which row; where in text
};

struct ctl_table {
	const char *const *columns;
	int n;
	size_t cells, cap; // at[] says where each begins
	size_t *at;
	size_t n_below, below_cap;
	struct below *below;
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

static void *grown(void *list, size_t *cap, size_t bytes)
{
	*cap = *cap ? 2 * *cap : 64;
	list = realloc(list, *cap * bytes);
	if (list)
		return list;
	fputs("tandemctl: no memory for so long a table\n", stderr);
	exit(CTL_REFUSED);
}

// Where in table->text it stands from now on.
static size_t text_add(struct ctl_table *table, const char *format, va_list ap)
{
	char raw[CELL_MAX];
	size_t at = table->len;

	while (table->text_cap - at < CELL_MAX)
		table->text = grown(table->text, &table->text_cap, 1);
	vsnprintf(raw, sizeof(raw), format, ap);
	table->len += td_text_clean(raw, sizeof(raw), false, table->text + at, CELL_MAX) + 1;
	return at;
}

void ctl_table_cell(struct ctl_table *table, const char *format, ...)
{
	va_list ap;

	if (table->cells == table->cap)
		table->at = grown(table->at, &table->cap, sizeof(*table->at));
	va_start(ap, format);
	table->at[table->cells++] = text_add(table, format, ap);
	va_end(ap);
}

void ctl_table_below(struct ctl_table *table, const char *format, ...)
{
	va_list ap;

	if (table->n_below == table->below_cap)
		table->below = grown(table->below, &table->below_cap, sizeof(*table->below));
	struct below *below = &table->below[table->n_below++];
	below->row = ctl_table_rows(table) - 1;
	va_start(ap, format);
	below->at = text_add(table, format, ap);
	va_end(ap);
}

size_t ctl_table_rows(const struct ctl_table *table)
{
	return table->cells / (size_t)table->n;
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

const char *ctl_colour_of(const char *word)
{
	static const struct {
		const char *colour;
		const char *words[12];
	} colours[] = {
		{ "\033[31m", { "down", "peer_down", "raised", "lost", "refused", "server_error",
				      "critical", "unresolved", "failed" } },
		{ "\033[32m", { "up", "peer_up", "cleared", "connected", "in_sync", "registered",
				      "resolved" } },
		{ "\033[33m", { "warning", "draining", "disabled", "stale", "returning" } },
	};

	for (size_t i = 0; i < sizeof(colours) / sizeof(colours[0]); i++)
		for (const char *const *w = colours[i].words; *w; w++)
			if (strcmp(*w, word) == 0)
				return colours[i].colour;
	return "";
}

// A column that no row fills is left out.
static bool *columns_used(const struct ctl_table *table, int *widths)
{
	bool *used = calloc((size_t)table->n, sizeof(*used));

	for (int c = 0; used && c < table->n; c++) {
		widths[c] = width_of(table->columns[c] + (table->columns[c][0] == '>'));
		used[c] = table->cells == 0;
	}
	for (size_t i = 0; used && i < table->cells; i++) {
		int c = (int)(i % (size_t)table->n), width = width_of(cell(table, i));
		used[c] |= width > 0;
		widths[c] = widths[c] < width ? width : widths[c];
	}
	return used;
}

// texts of the columns, NULL: their headings. No blank stands at a line's end.
static void row_print(const struct ctl_table *table, const int *widths, const bool *used,
	const size_t *row, bool colour)
{
	int blanks = 0;

	for (int c = 0; c < table->n; c++) {
		bool right = table->columns[c][0] == '>';
		const char *text = row ? table->text + row[c] : table->columns[c] + right;
		const char *shade = row && colour ? ctl_colour_of(text) : "";
		int pad = widths[c] - width_of(text);
		if (!used[c])
			continue;
		blanks += right ? pad : 0;
		if (text[0])
			printf("%*s%s%s%s", blanks, "", shade, text, shade[0] ? "\033[0m" : "");
		blanks = (text[0] ? 0 : blanks) + (right ? 0 : pad) + 2;
	}
	putchar('\n');
}

void ctl_table_print(const struct ctl_table *table, bool colour)
{
	int *widths = calloc((size_t)table->n, sizeof(*widths));
	bool *used = widths ? columns_used(table, widths) : NULL;
	size_t below = 0;

	if (used && colour)
		fputs("\033[1m", stdout);
	if (used)
		row_print(table, widths, used, NULL, false);
	if (used && colour)
		fputs("\033[0m", stdout);
	for (size_t i = 0; used && i < ctl_table_rows(table); i++) {
		row_print(table, widths, used, table->at + i * (size_t)table->n, colour);
		for (; below < table->n_below && table->below[below].row == i; below++)
			printf("  %s\n", table->text + table->below[below].at);
	}
	free(used);
	free(widths);
}

void ctl_table_free(struct ctl_table *table)
{
	free(table->at);
	free(table->below);
	free(table->text);
	free(table);
}
