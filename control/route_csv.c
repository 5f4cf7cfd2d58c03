// SPDX-License-Identifier: BSD-3-Clause
#include "control/route_csv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define PROGRESS_LINES 4096
#define CACHE 64

const char *const td_route_csv_columns[COL__COUNT] = { "match", "to", "priority", "weight", "cost",
	"domain", "caller", "window", "max_duration", "block", "limit", "failover", "name" };

// What spreadsheets put in front of a text in UTF-8.
static const char byte_order_mark[] = "\xef\xbb\xbf";

// --- names ---

enum name_kind { NAME_TARGET, NAME_WINDOW, NAME_LIMIT, NAME_FAILOVER, NAME__KINDS };

struct name_list {
	char (*names)[TD_NAME_LEN];
	uint32_t n;
};

struct td_route_names {
	struct name_list lists[NAME__KINDS];
};

static int name_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool names_copy(struct name_list *list, const void *records, size_t stride, uint32_t n)
{
	char(*more)[TD_NAME_LEN] = realloc(list->names, (list->n + n + 1) * sizeof(*more));

	if (!more)
		return false;
	list->names = more;
	for (uint32_t i = 0; i < n; i++)
		memcpy(list->names[list->n++], (const char *)records + i * stride, TD_NAME_LEN);
	qsort(list->names, list->n, TD_NAME_LEN, name_compare);
	return true;
}

struct td_route_names *td_route_names_new(const struct td_policy_conf *p)
{
	static const char registrar[TD_NAME_LEN] = TD_ROUTE_REGISTRAR;
	struct td_route_names *names = calloc(1, sizeof(*names));
	struct name_list *l = names ? names->lists : NULL;

	if (names && names_copy(&l[NAME_TARGET], p->trunks, sizeof(*p->trunks), p->n_trunks) &&
		names_copy(&l[NAME_TARGET], p->groups, sizeof(*p->groups), p->n_groups) &&
		names_copy(&l[NAME_TARGET], registrar, sizeof(registrar), 1) &&
		names_copy(&l[NAME_WINDOW], p->windows, sizeof(*p->windows), p->n_windows) &&
		names_copy(&l[NAME_LIMIT], p->limits, sizeof(*p->limits), p->n_limits) &&
		names_copy(&l[NAME_FAILOVER], p->failovers, sizeof(*p->failovers), p->n_failovers))
		return names;
	td_route_names_free(names);
	return NULL;
}

void td_route_names_free(struct td_route_names *names)
{
	for (int i = 0; names && i < NAME__KINDS; i++)
		free(names->lists[i].names);
	free(names);
}

// --- lines ---

struct td_route_csv {
	const struct td_route_names *names;
	struct td_route_builder *builder;
	_Atomic uint64_t *progress;
	uint64_t line, read;         // read: bytes of what was fed before
	uint8_t columns[COL__COUNT]; // of the file's columns in turn
	uint32_t n_columns;
	char cache[NAME__KINDS][CACHE][TD_NAME_LEN]; // names that were found
	char *error;
	size_t cap;
};

__attribute__((format(printf, 2, 3))) static int fail(
	struct td_route_csv *r, const char *format, ...)
{
	va_list args;
	int n = snprintf(r->error, r->cap, "line %" PRIu64 ": ", r->line);

	va_start(args, format);
	if (n > 0 && (size_t)n < r->cap)
		vsnprintf(r->error + n, r->cap - (size_t)n, format, args);
	va_end(args);
	return -EINVAL;
}

static struct td_span trimmed(struct td_span s)
{
	while (s.len > 0 && (*s.ptr == ' ' || *s.ptr == '\t'))
		s = td_span(s.ptr + 1, s.len - 1);
	while (s.len > 0 &&
		(s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t' || s.ptr[s.len - 1] == '\r'))
		s.len--;
	return s;
}

// What is between the quotes; a quote inside has no use here. *at is moved behind the field.
static int quoted_take(
	struct td_route_csv *r, const char **at, const char *end, struct td_span *out)
{
	const char *start = *at + 1;
	const char *stop = memchr(start, '"', (size_t)(end - start));

	if (!stop)
		return fail(r, "a quote does not end");
	*out = td_span(start, (size_t)(stop - start));
	for (stop++; stop < end && *stop != ','; stop++)
		if (*stop != ' ')
			return fail(r, "something stands behind a quoted field");
	*at = stop;
	return 0;
}

// The next field, *at behind it: at its comma or at the end.
static int field_take(struct td_route_csv *r, const char **at, const char *end, struct td_span *out)
{
	while (*at < end && **at == ' ')
		++*at;
	if (*at < end && **at == '"')
		return quoted_take(r, at, end, out);
	const char *comma = memchr(*at, ',', (size_t)(end - *at));
	const char *stop = comma ? comma : end;
	*out = trimmed(td_span(*at, (size_t)(stop - *at)));
	*at = stop;
	return 0;
}

static int header_read(struct td_route_csv *r, const char *at, const char *end)
{
	bool seen[COL__COUNT] = { false };
	struct td_span field = { 0 };

	for (;; at++) {
		unsigned c = 0;
		int rc = field_take(r, &at, end, &field);
		if (rc < 0)
			return rc;
		while (c < COL__COUNT && !td_span_eq(field, td_span_str(td_route_csv_columns[c])))
			c++;
		if (c == COL__COUNT)
			return fail(r, "no column is named \"%.*s\"",
				field.len < 40 ? (int)field.len : 40, field.ptr);
		if (seen[c])
			return fail(r, "column \"%s\" stands there twice", td_route_csv_columns[c]);
		seen[c] = true;
		r->columns[r->n_columns++] = (uint8_t)c;
		if (at == end)
			break;
	}
	return seen[COL_MATCH] ? 0 : fail(r, "there is no column \"match\"");
}

static int number_read(struct td_route_csv *r, enum td_route_column c, struct td_span s,
	uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s.len; i++) {
		uint32_t digit = (uint8_t)s.ptr[i] - (uint32_t)'0';
		n = n * 10 + digit;
		if (digit > 9 || n > max)
			return fail(r, "%s \"%.*s\" is no number from 0 to %" PRIu64,
				td_route_csv_columns[c], s.len < 40 ? (int)s.len : 40, s.ptr, max);
	}
	*out = n;
	return 0;
}

// "0.0123" as millionths.
static int cost_read(struct td_route_csv *r, struct td_span s, uint32_t *out)
{
	const char *dot = memchr(s.ptr, '.', s.len);
	uint32_t whole_len = dot ? (uint32_t)(dot - s.ptr) : s.len;
	struct td_span parts =
		dot ? td_span(dot + 1, s.len - whole_len - 1) : (struct td_span){ 0 };
	uint64_t whole = 0, part = 0;

	if (parts.len > 6)
		return fail(r, "cost \"%.*s\" has more than six places",
			(int)(s.len < 40 ? s.len : 40), s.ptr);
	int rc = number_read(r, COL_COST, td_span(s.ptr, whole_len), 4293, &whole);
	if (rc == 0)
		rc = number_read(r, COL_COST, parts, 999999, &part);
	for (uint32_t i = parts.len; i < 6; i++)
		part *= 10;
	*out = (uint32_t)(whole * 1000000 + part);
	return rc;
}

static int name_check(
	struct td_route_csv *r, enum name_kind kind, enum td_route_column c, struct td_span name)
{
	char text[TD_NAME_LEN] = { 0 };
	uint32_t h = name.len;

	if (!r->names || name.len == 0)
		return 0;
	if (name.len >= TD_NAME_LEN)
		return fail(r, "%s is longer than %d characters", td_route_csv_columns[c],
			TD_NAME_LEN - 1);
	memcpy(text, name.ptr, name.len);
	for (uint32_t i = 0; i < name.len; i++)
		h = h * 31 + (uint8_t)text[i];
	char *kept = r->cache[kind][h % CACHE];
	if (memcmp(kept, text, sizeof(text)) == 0)
		return 0;
	const struct name_list *list = &r->names->lists[kind];
	if (!bsearch(text, list->names, list->n, TD_NAME_LEN, name_compare))
		return fail(r, "there is no %s named \"%s\"",
			kind == NAME_TARGET ? "trunk or group" : td_route_csv_columns[c], text);
	memcpy(kept, text, sizeof(text));
	return 0;
}

// A number may stand there with its '+'.
static int match_read(struct td_span s, char scratch[40], struct td_span *out)
{
	bool whole = s.len > 1 && s.ptr[0] == '=';

	*out = s;
	if (s.len > 0 && s.ptr[0] == '+') {
		*out = td_span(s.ptr + 1, s.len - 1);
	} else if (whole && s.ptr[1] == '+' && s.len < 40) {
		scratch[0] = '=';
		memcpy(scratch + 1, s.ptr + 2, s.len - 2);
		*out = td_span(scratch, s.len - 1);
	}
	return 0;
}

static int field_read(struct td_route_csv *r, enum td_route_column c, struct td_span s,
	struct td_route_row *row, char scratch[40])
{
	uint64_t n = 0;
	int rc = 0;

	switch (c) {
	case COL_MATCH:
		return match_read(s, scratch, &row->match);
	case COL_TO:
		row->to = s;
		return name_check(r, NAME_TARGET, c, s);
	case COL_PRIORITY:
		rc = s.len > 0 ? number_read(r, c, s, 65535, &n) : 0;
		row->priority = s.len > 0 ? (uint16_t)n : 1;
		return rc;
	case COL_WEIGHT:
		rc = s.len > 0 ? number_read(r, c, s, 65535, &n) : 0;
		row->weight = s.len > 0 ? (uint16_t)n : 100;
		return rc;
	case COL_COST:
		return s.len > 0 ? cost_read(r, s, &row->cost) : 0;
	case COL_DOMAIN:
		row->domain = s;
		return 0;
	case COL_CALLER:
		row->caller = s.len > 0 && s.ptr[0] == '+' ? td_span(s.ptr + 1, s.len - 1) : s;
		return 0;
	case COL_WINDOW:
		row->window = s;
		return name_check(r, NAME_WINDOW, c, s);
	case COL_MAX_DURATION:
		rc = number_read(r, c, s, 2592000, &n);
		row->max_duration_s = (uint32_t)n;
		return rc;
	case COL_BLOCK:
		rc = number_read(r, c, s, 699, &n);
		row->status = (uint16_t)n;
		return rc == 0 && n != 0 && n < 400 ? fail(r, "block is a status from 400 to 699")
						    : rc;
	case COL_LIMIT:
		row->limit = s;
		return name_check(r, NAME_LIMIT, c, s);
	case COL_FAILOVER:
		row->failover = s;
		return name_check(r, NAME_FAILOVER, c, s);
	case COL_NAME:
		row->label = s;
		return 0;
	default:
		return 0;
	}
}

// The fields of a line, each in the place of its column; those of columns that the file lacks are
// left alone.
static int fields_take(
	struct td_route_csv *r, const char *at, const char *end, struct td_span *fields)
{
	for (uint32_t i = 0;; i++, at++) {
		if (i == r->n_columns)
			return fail(r, "more fields than columns");
		int rc = field_take(r, &at, end, &fields[r->columns[i]]);
		if (rc < 0)
			return rc;
		if (at == end && i + 1 < r->n_columns)
			return fail(r, "%u fields, and %u columns", i + 1, r->n_columns);
		if (at == end)
			return 0;
	}
}

static int line_read(struct td_route_csv *r, const char *at, const char *end)
{
	struct td_route_row row = { .priority = 1, .weight = 100 };
	struct td_span fields[COL__COUNT] = { 0 };
	char scratch[40];
	const char *why = "";
	int rc = fields_take(r, at, end, fields);

	for (uint32_t i = 0; rc == 0 && i < r->n_columns; i++)
		rc = field_read(r, r->columns[i], fields[r->columns[i]], &row, scratch);
	if (rc < 0)
		return rc;
	if (row.to.len == 0 && row.status == 0)
		return fail(r, "neither \"to\" nor \"block\" is set");
	if (row.to.len > 0 && row.status != 0)
		return fail(r, "both \"to\" and \"block\" are set");
	rc = td_route_builder_add(r->builder, &row, &why);
	return rc == 0 ? 0
		       : fail(r, "\"%.*s\" %s", (int)(row.match.len < 60 ? row.match.len : 60),
				 row.match.len > 0 ? row.match.ptr : "", why);
}

struct td_route_csv *td_route_csv_new(struct td_route_builder *builder,
	const struct td_route_names *names, _Atomic uint64_t *progress, char *error, size_t cap)
{
	struct td_route_csv *r = calloc(1, sizeof(*r));

	if (!r) {
		snprintf(error, cap, "no memory");
		return NULL;
	}
	r->names = names;
	r->builder = builder;
	r->progress = progress;
	r->error = error;
	r->cap = cap;
	return r;
}

void td_route_csv_free(struct td_route_csv *r)
{
	free(r);
}

// A file's first text without the mark.
static struct td_span mark_skipped(const struct td_route_csv *r, struct td_span text)
{
	const uint32_t mark = sizeof(byte_order_mark) - 1;
	bool marked =
		r->line == 0 && text.len >= mark && memcmp(text.ptr, byte_order_mark, mark) == 0;

	return marked ? td_span(text.ptr + mark, text.len - mark) : text;
}

static int any_line_read(struct td_route_csv *r, const char *at, const char *end)
{
	struct td_span line = trimmed(td_span(at, (size_t)(end - at)));

	r->line++;
	if ((size_t)(end - at) > UINT16_MAX || memchr(at, '\0', (size_t)(end - at)))
		return fail(r, "this is no line of text");
	if (line.len == 0)
		return 0;
	return r->n_columns == 0 ? header_read(r, line.ptr, line.ptr + line.len)
				 : line_read(r, line.ptr, line.ptr + line.len);
}

int td_route_csv_feed(struct td_route_csv *r, const char *text, size_t len)
{
	const char *end = text + len, *at = mark_skipped(r, td_span(text, len)).ptr;
	int rc = 0;

	while (rc == 0 && at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		rc = any_line_read(r, at, stop ? stop : end);
		if (r->line % PROGRESS_LINES == 0)
			atomic_store_explicit(
				r->progress, r->read + (uint64_t)(at - text), memory_order_relaxed);
		at = stop ? stop + 1 : end;
	}
	r->read += len;
	return rc;
}

int td_route_csv_fields(
	struct td_route_csv *r, const char *text, size_t len, struct td_span *fields, bool *row)
{
	struct td_span line = trimmed(mark_skipped(r, td_span(text, len)));

	*row = line.len > 0 && r->n_columns > 0;
	r->line++;
	if (*row) {
		for (int c = 0; c < COL__COUNT; c++)
			fields[c] = (struct td_span){ "", 0 };
		return fields_take(r, line.ptr, line.ptr + line.len, fields);
	}
	return line.len > 0 ? header_read(r, line.ptr, line.ptr + line.len) : 0;
}

bool td_route_csv_has_all(const struct td_route_csv *r)
{
	for (uint32_t i = 0; i < r->n_columns; i++)
		if (r->columns[i] != i)
			return false;
	return r->n_columns == COL__COUNT;
}

int td_route_csv_end(struct td_route_csv *r)
{
	return r->n_columns > 0 ? 0 : fail(r, "the line with the names of the columns is missing");
}

int td_route_csv_read(struct td_route_builder *builder, const char *text, size_t len,
	const struct td_route_names *names, _Atomic uint64_t *progress, char *error, size_t cap)
{
	struct td_route_csv *r = td_route_csv_new(builder, names, progress, error, cap);
	int rc = r ? td_route_csv_feed(r, text, len) : -ENOMEM;

	if (rc == 0)
		rc = td_route_csv_end(r);
	td_route_csv_free(r);
	return rc;
}

// --- writing ---

static struct td_span text_of(const struct td_route_image *image, uint32_t offset)
{
	return offset == 0 ? (struct td_span){ "", 0 } : td_route_text(image, offset);
}

struct each {
	const struct td_route_image *image;
	const char *match;
	void (*row)(void *ctx, const struct td_span *fields);
	void *ctx;
};

static void target_tell(
	const struct each *each, const struct td_route_entry *e, const struct td_route_to *to)
{
	const struct td_route_image *image = each->image;
	const struct td_route_opts *o = &image->opts[to->opts];
	char priority[8], cost[24] = "", duration[16] = "", block[8] = "", weight[8] = "";

	snprintf(priority, sizeof(priority), "%u", to->priority);
	if (to->cost != 0)
		snprintf(cost, sizeof(cost), "%u.%06u", to->cost / 1000000, to->cost % 1000000);
	if (o->max_duration_s != 0)
		snprintf(duration, sizeof(duration), "%u", o->max_duration_s);
	snprintf(to->name == 0 ? block : weight, sizeof(block), "%u", to->weight);
	const struct td_span fields[COL__COUNT] = {
		[COL_MATCH] = td_span_str(each->match),
		[COL_TO] = td_span_str(image->names[to->name]),
		[COL_PRIORITY] = td_span_str(priority),
		[COL_WEIGHT] = td_span_str(weight),
		[COL_COST] = td_span_str(cost),
		[COL_DOMAIN] = text_of(image, e->domain),
		[COL_CALLER] = text_of(image, e->caller),
		[COL_WINDOW] = td_span_str(image->names[e->window]),
		[COL_MAX_DURATION] = td_span_str(duration),
		[COL_BLOCK] = td_span_str(block),
		[COL_LIMIT] = td_span_str(image->names[o->limit]),
		[COL_FAILOVER] = td_span_str(image->names[o->failover]),
		[COL_NAME] = td_span_str(image->names[o->label]),
	};
	each->row(each->ctx, fields);
}

void td_route_csv_each(const struct td_route_image *image, const char *match, uint32_t set,
	void (*row)(void *ctx, const struct td_span *fields), void *ctx)
{
	const struct each each = { image, match, row, ctx };
	const uint32_t *at = image->sets + set;

	for (uint32_t n = *at++; n > 0; n--) {
		const struct td_route_entry *e = (const void *)at;
		const struct td_route_to *to = (const void *)(e + 1);
		for (uint32_t i = 0; i < e->n_targets; i++)
			target_tell(&each, e, &to[i]);
		at = (const void *)(to + e->n_targets);
	}
}

struct writing {
	void (*line)(void *ctx, const char *text, size_t len);
	void *ctx;
};

// What a bare field cannot hold.
static bool needs_quotes(struct td_span s)
{
	return s.len > 0 && (memchr(s.ptr, ',', s.len) || strchr(" \t", s.ptr[0]) ||
				    strchr(" \t", s.ptr[s.len - 1]));
}

size_t td_route_csv_line(const struct td_span *fields, char *dst, size_t cap)
{
	size_t len = 0;

	for (int c = 0; c < COL__COUNT; c++) {
		const char *quote = needs_quotes(fields[c]) ? "\"" : "";
		int n = snprintf(dst + len, cap - len, "%s%.*s%s%s", quote, (int)fields[c].len,
			fields[c].ptr, quote, c == COL__COUNT - 1 ? "\n" : ",");
		if (n < 0 || (size_t)n >= cap - len)
			return 0;
		len += (size_t)n;
	}
	return len;
}

static void row_write(void *ctx, const struct td_span *fields)
{
	const struct writing *writing = ctx;
	char text[TD_ROUTE_CSV_LINE_MAX];
	size_t len = td_route_csv_line(fields, text, sizeof(text));

	if (len > 0)
		writing->line(writing->ctx, text, len);
}

void td_route_csv_write(const struct td_route_image *image, const char *match, uint32_t set,
	void (*line)(void *ctx, const char *text, size_t len), void *ctx)
{
	struct writing writing = { line, ctx };

	td_route_csv_each(image, match, set, row_write, &writing);
}
