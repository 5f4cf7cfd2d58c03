// SPDX-License-Identifier: BSD-3-Clause
#include "control/columns.h"

#include "control/text.h"

#include <assert.h>
#include <string.h>

#define PLACE(record, field)                                                                       \
	.offset = offsetof(struct record, field), .size = sizeof(((struct record *)0)->field)
#define CDR(column, k, field) { .name = column, .kind = TD_COLUMN_##k, PLACE(td_cdr, field) }
#define ATTEMPT(field, k) { .name = #field, .kind = TD_COLUMN_##k, PLACE(td_cdr_attempt, field) }

static const struct td_column cdr_list[] = {
	CDR("id", KEY, id),
	CDR("call_id_a", TEXT, call_id_a),
	CDR("call_id_b", TEXT, call_id_b),
	CDR("from_number", TEXT, from_number),
	CDR("to_number", TEXT, to_number),
	CDR("trunk_in", TEXT, trunk_in),
	CDR("trunk_out", TEXT, trunk_out),
	CDR("start_us", TIME, start_us),
	CDR("ring_us", TIME, ring_us),
	CDR("answer_us", TIME, answer_us),
	CDR("end_us", TIME, end_us),
	CDR("duration_us", DURATION, duration_us),
	CDR("sip_code", CODE, sip_code),
	CDR("cause", CODE, cause),
	CDR("released_by", RELEASED, released_by),
	CDR("complete", FLAG, complete),
	CDR("codec", TEXT, codec),
	CDR("rtp_a_rx", COUNT, a.rtp_rx),
	CDR("rtp_a_lost", COUNT, a.rtp_lost),
	CDR("jitter_a_ms", REAL, a.jitter_ms),
	CDR("rtp_a_tx", COUNT, a.rtp_tx),
	CDR("rtp_b_rx", COUNT, b.rtp_rx),
	CDR("rtp_b_lost", COUNT, b.rtp_lost),
	CDR("jitter_b_ms", REAL, b.jitter_ms),
	CDR("rtp_b_tx", COUNT, b.rtp_tx),
	CDR("plan", TEXT, plan),
	CDR("route", TEXT, route),
	CDR("rules", TEXT, rules),
	CDR("asserted", TEXT, asserted),
	CDR("auth_user", TEXT, auth_user),
	CDR("user_agent", TEXT, user_agent),
};

static const struct td_column attempt_list[] = {
	ATTEMPT(cdr_id, KEY),
	ATTEMPT(n, NUMBER),
	ATTEMPT(trunk, TEXT),
	ATTEMPT(peer, TEXT),
	ATTEMPT(call_id, TEXT),
	ATTEMPT(start_us, TIME),
	ATTEMPT(ring_us, TIME),
	ATTEMPT(end_us, TIME),
	ATTEMPT(sip_code, CODE),
	ATTEMPT(cause, CODE),
};

#define COUNT(list) (sizeof(list) / sizeof(list[0]))

static_assert(COUNT(cdr_list) == TD_CDR_COLUMNS && COUNT(attempt_list) == TD_ATTEMPT_COLUMNS,
	"columns.h says how many");

const struct td_columns td_cdr_columns = {
	.name = "cdr",
	.list = cdr_list,
	.n = TD_CDR_COLUMNS,
	.keys = 1,
	.bytes = sizeof(struct td_cdr),
};
const struct td_columns td_attempt_columns = {
	.name = "attempt",
	.list = attempt_list,
	.n = TD_ATTEMPT_COLUMNS,
	.keys = 2,
	.bytes = sizeof(struct td_cdr_attempt),
};

static const char *const released_words[] = {
	[TD_RELEASED_SWITCH] = "switch",
	[TD_RELEASED_A] = "a",
	[TD_RELEASED_B] = "b",
};

// --- record to row ---

static void text_set(struct td_value *out, const char *text, size_t len)
{
	*out = (struct td_value){ .kind = TD_VALUE_TEXT, .text = text, .len = len };
}

static void number_set(struct td_value *out, uint64_t n, bool null_at_zero)
{
	if (n == 0 && null_at_zero)
		*out = (struct td_value){ .kind = TD_VALUE_NULL };
	else
		*out = (struct td_value){ .kind = TD_VALUE_INT,
			.number = n > INT64_MAX ? INT64_MAX : (int64_t)n };
}

static uint64_t u64_of(const char *field)
{
	uint64_t n;

	memcpy(&n, field, sizeof(n));
	return n;
}

static uint16_t u16_of(const char *field)
{
	uint16_t n;

	memcpy(&n, field, sizeof(n));
	return n;
}

static void text_read(const struct td_column *column, const char *field,
	struct td_column_texts *texts, struct td_value *out)
{
	char *clean = texts->bytes + texts->used;
	size_t room = sizeof(texts->bytes) - texts->used;
	size_t len = td_text_clean(field, column->size, false, clean, room);

	texts->used += len + 1;
	if (len == 0 && column->kind == TD_COLUMN_TEXT)
		*out = (struct td_value){ .kind = TD_VALUE_NULL };
	else
		text_set(out, clean, len);
}

static void column_read(const struct td_column *column, const void *record,
	struct td_column_texts *texts, struct td_value *out)
{
	const char *field = (const char *)record + column->offset;
	uint8_t by;

	switch (column->kind) {
	case TD_COLUMN_KEY:
	case TD_COLUMN_TEXT:
		text_read(column, field, texts, out);
		return;
	case TD_COLUMN_COUNT:
	case TD_COLUMN_TIME:
		number_set(out, u64_of(field), column->kind == TD_COLUMN_TIME);
		return;
	case TD_COLUMN_DURATION:
		number_set(out, u64_of(field), !((const struct td_cdr *)record)->complete);
		return;
	case TD_COLUMN_NUMBER:
	case TD_COLUMN_CODE:
		number_set(out, u16_of(field), column->kind == TD_COLUMN_CODE);
		return;
	case TD_COLUMN_REAL:
		*out = (struct td_value){ .kind = TD_VALUE_REAL };
		memcpy(&out->real, field, sizeof(out->real));
		return;
	case TD_COLUMN_RELEASED:
		by = (uint8_t)field[0] <= TD_RELEASED_B ? (uint8_t)field[0] : 0;
		text_set(out, released_words[by], strlen(released_words[by]));
		return;
	case TD_COLUMN_FLAG:
		number_set(out, field[0] != 0, false);
		return;
	}
}

void td_columns_read(const struct td_columns *columns, const void *record,
	struct td_column_texts *texts, struct td_value *out)
{
	texts->used = 0;
	for (int i = 0; i < columns->n; i++)
		column_read(&columns->list[i], record, texts, &out[i]);
}

// --- row to record ---

static void column_write(const struct td_column *column, const struct td_value *value, char *field)
{
	uint64_t n = value->kind == TD_VALUE_INT ? (uint64_t)value->number : 0;
	double real = value->kind == TD_VALUE_REAL ? value->real : (double)n;

	switch (column->kind) {
	case TD_COLUMN_KEY:
	case TD_COLUMN_TEXT:
		if (value->kind == TD_VALUE_TEXT)
			memcpy(field, value->text,
				value->len < column->size ? value->len : column->size - 1u);
		return;
	case TD_COLUMN_COUNT:
	case TD_COLUMN_TIME:
	case TD_COLUMN_DURATION:
		memcpy(field, &n, sizeof(n));
		return;
	case TD_COLUMN_NUMBER:
	case TD_COLUMN_CODE:
		memcpy(field, &(uint16_t){ (uint16_t)n }, sizeof(uint16_t));
		return;
	case TD_COLUMN_REAL:
		memcpy(field, &real, sizeof(real));
		return;
	case TD_COLUMN_RELEASED:
		for (uint8_t by = 0; value->kind == TD_VALUE_TEXT && by <= TD_RELEASED_B; by++)
			if (strlen(released_words[by]) == value->len &&
				memcmp(released_words[by], value->text, value->len) == 0)
				field[0] = (char)by;
		return;
	case TD_COLUMN_FLAG:
		field[0] = n != 0;
		return;
	}
}

void td_columns_write(const struct td_columns *columns, const struct td_value *row, void *record)
{
	memset(record, 0, columns->bytes);
	for (int i = 0; i < columns->n; i++)
		column_write(&columns->list[i], &row[i], (char *)record + columns->list[i].offset);
}
