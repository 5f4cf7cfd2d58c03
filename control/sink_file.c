// SPDX-License-Identifier: BSD-3-Clause
#include "control/sink_file.h"

#include "control/columns.h"
#include "control/rotated_file.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// A file and the lines that the transaction adds to it.
struct output {
	struct td_rotated_file file;
	char path[PATH_MAX];
	char *header;
	char *lines;
	size_t len;
	FILE *out;    // of lines; NULL: none yet
	bool written; // by the commit under way
};

struct file_sink {
	struct td_sink base;
	enum td_file_format format;
	struct td_store *ledger;
	struct output calls, attempts; // JSON: both kinds go to the first
	char error[TD_PATH_LEN + 128];
};

static struct file_sink *sink_of(const struct td_sink *sink)
{
	return (struct file_sink *)(uintptr_t)sink;
}

static int failed(struct file_sink *s, const struct output *o, int rc)
{
	snprintf(s->error, sizeof(s->error), "%.100s: %s", o->path, strerror(-rc));
	return rc;
}

// --- lines ---

static FILE *lines_of(struct output *o)
{
	if (!o->out)
		o->out = open_memstream(&o->lines, &o->len);
	return o->out;
}

// The stream gives its text away here, cut to size, and here too it may find that there is no
// memory: glibc then says so by NULL alone.
static int lines_end(struct output *o)
{
	int rc = fclose(o->out);

	o->out = NULL;
	return rc == 0 && o->lines ? 0 : -ENOMEM;
}

static void lines_drop(struct output *o)
{
	if (o->out)
		fclose(o->out);
	free(o->lines);
	o->out = NULL;
	o->lines = NULL;
	o->len = 0;
	o->written = false;
}

// RFC 4180 §2.
static void csv_text(FILE *out, const char *text, size_t len)
{
	bool quoted = memchr(text, ',', len) || memchr(text, '"', len) || memchr(text, '\n', len) ||
		      memchr(text, '\r', len);

	if (!quoted) {
		fwrite(text, 1, len, out);
		return;
	}
	fputc('"', out);
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"')
			fputc('"', out);
		fputc(text[i], out);
	}
	fputc('"', out);
}

static void csv_row(FILE *out, const char *kind, const struct td_value *row, int n)
{
	fputs(kind, out);
	for (int i = 0; i < n; i++) {
		fputc(',', out);
		if (row[i].kind == TD_VALUE_INT)
			fprintf(out, "%" PRId64, row[i].number);
		else if (row[i].kind == TD_VALUE_REAL)
			fprintf(out, "%.6g", row[i].real);
		else if (row[i].kind == TD_VALUE_TEXT)
			csv_text(out, row[i].text, row[i].len);
	}
	fputc('\n', out);
}

static json_t *json_value(const struct td_value *value)
{
	switch (value->kind) {
	case TD_VALUE_INT:
		return json_integer(value->number);
	case TD_VALUE_REAL:
		return isfinite(value->real) ? json_real(value->real) : json_null();
	case TD_VALUE_TEXT:
		return json_stringn(value->text, value->len);
	default:
		return json_null();
	}
}

// -1: no memory; the object must not be written without what was lost.
static int json_row(
	FILE *out, const char *kind, const struct td_columns *columns, const struct td_value *row)
{
	json_t *object = json_object();
	int rc = json_object_set_new(object, "record", json_string(kind));

	for (int i = 0; i < columns->n; i++)
		rc |= json_object_set_new(object, columns->list[i].name, json_value(&row[i]));
	if (rc == 0)
		rc = json_dumpf(object, out, JSON_COMPACT | JSON_REAL_PRECISION(9));
	fputc('\n', out);
	json_decref(object);
	return rc;
}

static int record_add(
	struct file_sink *s, const char *kind, const struct td_columns *columns, const void *record)
{
	bool own = s->format == TD_FILE_CSV && columns == &td_attempt_columns;
	struct output *o = own ? &s->attempts : &s->calls;
	struct td_value row[TD_CDR_COLUMNS];
	struct td_column_texts texts;
	FILE *out = lines_of(o);

	if (!out)
		return failed(s, o, -ENOMEM);
	td_columns_read(columns, record, &texts, row);
	int rc = 0;
	if (s->format == TD_FILE_CSV)
		csv_row(out, kind, row, columns->n);
	else
		rc = json_row(out, kind, columns, row);
	return rc != 0 || ferror(out) ? failed(s, o, -ENOMEM) : 0;
}

static char *csv_header(const struct td_columns *columns)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	fputs("record", out);
	for (int i = 0; i < columns->n; i++)
		fprintf(out, ",%s", columns->list[i].name);
	fputc('\n', out);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

// --- operations ---

static void file_close(struct td_sink *sink)
{
	struct file_sink *s = sink_of(sink);
	struct output *const outputs[] = { &s->calls, &s->attempts };

	for (int i = 0; i < 2; i++) {
		lines_drop(outputs[i]);
		td_rotated_close(&outputs[i]->file);
		free(outputs[i]->header);
	}
	td_store_close(s->ledger);
	free(s);
}

static int ledger_rc(struct file_sink *s, int rc)
{
	if (rc != 0 && rc != -ENOENT)
		snprintf(s->error, sizeof(s->error), "ledger: %.100s", td_store_error(s->ledger));
	return rc;
}

// Asked at least once a second: files are turned over here, also where no call ends.
static int file_position_get(struct td_sink *sink, struct td_store_position *out)
{
	struct file_sink *s = sink_of(sink);
	struct output *const outputs[] = { &s->calls, &s->attempts };

	for (int i = 0; i < (s->format == TD_FILE_CSV ? 2 : 1); i++) {
		int rc = td_rotated_ready(&outputs[i]->file, (uint64_t)time(NULL));
		if (rc != 0)
			return failed(s, outputs[i], rc);
	}
	return ledger_rc(s, td_store_position_get(s->ledger, out));
}

static int file_begin(struct td_sink *sink)
{
	struct file_sink *s = sink_of(sink);

	lines_drop(&s->calls);
	lines_drop(&s->attempts);
	return ledger_rc(s, td_store_begin(s->ledger));
}

struct closing {
	struct file_sink *sink;
	uint32_t n;
	int rc;
};

static void incomplete_add(void *user, const struct td_cdr *cdr)
{
	struct closing *closing = user;

	closing->n++;
	if (closing->rc == 0)
		closing->rc = record_add(closing->sink, "incomplete", &td_cdr_columns, cdr);
}

static int file_boot(struct td_sink *sink, uint32_t epoch, uint32_t *closed)
{
	struct file_sink *s = sink_of(sink);
	struct closing closing = { .sink = s };
	int rc = td_store_open_others(s->ledger, epoch, incomplete_add, &closing);

	*closed = closing.n;
	if (rc == 0 && closing.rc != 0)
		return closing.rc;
	return ledger_rc(s, rc ? rc : td_store_open_drop(s->ledger, epoch));
}

static int file_start(struct td_sink *sink, uint32_t epoch, const struct td_cdr *cdr)
{
	struct file_sink *s = sink_of(sink);

	return ledger_rc(s, td_store_cdr_start(s->ledger, epoch, cdr));
}

static int file_interim(struct td_sink *sink, uint32_t epoch, const struct td_cdr *cdr)
{
	struct file_sink *s = sink_of(sink);
	int rc = record_add(s, "interim", &td_cdr_columns, cdr);

	return rc ? rc : ledger_rc(s, td_store_cdr_interim(s->ledger, epoch, cdr));
}

static int file_end(struct td_sink *sink, const struct td_cdr *cdr)
{
	struct file_sink *s = sink_of(sink);
	int rc = record_add(s, "call", &td_cdr_columns, cdr);

	if (rc != 0 || cdr->answer_us == 0)
		return rc;
	return ledger_rc(s, td_store_open_end(s->ledger, cdr->id));
}

static int file_attempt(struct td_sink *sink, const struct td_cdr_attempt *attempt)
{
	return record_add(sink_of(sink), "attempt", &td_attempt_columns, attempt);
}

static int file_gap(struct td_sink *sink)
{
	struct file_sink *s = sink_of(sink);

	return ledger_rc(s, td_store_open_clear(s->ledger));
}

static int output_write(struct file_sink *s, struct output *o)
{
	if (!o->out)
		return 0;
	int rc = lines_end(o);
	if (rc != 0)
		return failed(s, o, rc);
	rc = td_rotated_append(&o->file, o->lines, o->len, (uint64_t)time(NULL));
	o->written = rc == 0;
	return rc ? failed(s, o, rc) : 0;
}

static int file_commit(struct td_sink *sink, const struct td_store_position *position)
{
	struct file_sink *s = sink_of(sink);
	int rc = output_write(s, &s->calls);

	if (rc == 0)
		rc = output_write(s, &s->attempts);
	if (rc != 0)
		return rc;
	rc = ledger_rc(s, td_store_position_set(s->ledger, position));
	return rc ? rc : ledger_rc(s, td_store_commit(s->ledger));
}

static void file_rollback(struct td_sink *sink)
{
	struct file_sink *s = sink_of(sink);

	if (s->calls.written)
		td_rotated_undo(&s->calls.file);
	if (s->attempts.written)
		td_rotated_undo(&s->attempts.file);
	lines_drop(&s->calls);
	lines_drop(&s->attempts);
	td_store_rollback(s->ledger);
}

static const char *file_error(const struct td_sink *sink)
{
	return sink_of(sink)->error;
}

static void file_interrupt(struct td_sink *sink)
{
	td_store_interrupt(sink_of(sink)->ledger);
}

static const struct td_sink_ops file_ops = {
	.close = file_close,
	.position_get = file_position_get,
	.begin = file_begin,
	.boot = file_boot,
	.start = file_start,
	.interim = file_interim,
	.end = file_end,
	.attempt = file_attempt,
	.gap = file_gap,
	.commit = file_commit,
	.rollback = file_rollback,
	.error = file_error,
	.interrupt = file_interrupt,
};

// --- opening ---

static bool output_init(struct output *o, const struct td_cdr_file_conf *conf, const char *more,
	const struct td_columns *columns)
{
	// cdr.csv → cdr-attempts.csv
	const char *dot = strrchr(conf->path, '.'), *slash = strrchr(conf->path, '/');
	size_t stem = dot && dot > slash ? (size_t)(dot - conf->path) : strlen(conf->path);

	snprintf(o->path, sizeof(o->path), "%.*s%s%s", (int)stem, conf->path, more,
		conf->path + stem);
	o->header = columns ? csv_header(columns) : NULL;
	const struct td_rotated_conf rotated = {
		.path = o->path,
		.header = o->header,
		.rotate_bytes = (uint64_t)conf->rotate_mb << 20,
		.rotate_s = conf->rotate_s,
		.keep = conf->keep,
	};
	td_rotated_init(&o->file, &rotated);
	return !columns || o->header;
}

struct td_sink *td_sink_file_open(enum td_file_format format, const struct td_cdr_file_conf *conf,
	const char *ledger, char *error, size_t cap)
{
	struct file_sink *s = calloc(1, sizeof(*s));
	bool csv = format == TD_FILE_CSV;

	if (!s || !output_init(&s->calls, conf, "", csv ? &td_cdr_columns : NULL) ||
		!output_init(&s->attempts, conf, "-attempts", csv ? &td_attempt_columns : NULL)) {
		snprintf(error, cap, "no memory");
		free(s);
		return NULL;
	}
	s->base.ops = &file_ops;
	s->format = format;
	s->ledger = td_store_open(ledger, "", error, cap);
	if (s->ledger)
		return &s->base;
	file_close(&s->base);
	return NULL;
}
