// SPDX-License-Identifier: BSD-3-Clause
// tandemctl cdr, alarms: what became of calls, and what is wrong at the moment.
#include "control/ctl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// --- call detail records ---

static const char *const cdr_columns[] = { "start", "id", "from", "to", "trunk in", "trunk out",
	">code", ">seconds", "released by" };

static void time_cell(struct ctl_table *out, uint64_t us)
{
	time_t t = (time_t)(us / 1000000);
	char text[32] = "-";
	struct tm tm;

	if (us > 0 && localtime_r(&t, &tm))
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	ctl_table_cell(out, "%s", text);
}

static void cdr_cells(const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item)
{
	const Tandem__Cdr *c = item->cdr;

	time_cell(out, c->start_us);
	ctl_table_cell(out, "%s", c->id);
	ctl_table_cell(out, "%s", c->from_number);
	ctl_table_cell(out, "%s", c->to_number);
	ctl_table_cell(out, "%s", c->trunk_in);
	ctl_table_cell(out, "%s", c->trunk_out);
	ctl_table_cell(out, "%u", c->sip_code);
	ctl_table_cell(out, "%.1f", (double)c->duration_us / 1e6);
	ctl_table_cell(out, "%s", c->complete ? c->released_by : "cut by a crash");
}

// 0 and empty are what the table holds as NULL, where the column may be NULL.
static json_t *field_json(const ProtobufCFieldDescriptor *field, const void *at)
{
	const char *name = field->name;
	bool nullable = strcmp(name, "sip_code") == 0 || strcmp(name, "cause") == 0 ||
			(strlen(name) > 3 && strcmp(name + strlen(name) - 3, "_us") == 0 &&
				strcmp(name, "duration_us") != 0);

	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		return (*(char *const *)at)[0] ? ctl_text(*(char *const *)at) : json_null();
	case PROTOBUF_C_TYPE_UINT64:
		return nullable ? ctl_time_or_null(*(const uint64_t *)at)
				: ctl_number(*(const uint64_t *)at);
	case PROTOBUF_C_TYPE_UINT32:
		return nullable ? ctl_time_or_null(*(const uint32_t *)at)
				: ctl_number(*(const uint32_t *)at);
	case PROTOBUF_C_TYPE_BOOL:
		return ctl_number((uint64_t) * (const protobuf_c_boolean *)at);
	case PROTOBUF_C_TYPE_DOUBLE:
		return json_real(*(const double *)at);
	default:
		return NULL;
	}
}

static json_t *message_json(const ProtobufCMessage *message)
{
	json_t *out = json_object();

	for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
		json_t *value = field->label == PROTOBUF_C_LABEL_REPEATED
					? NULL
					: field_json(field, (const char *)message + field->offset);
		if (value)
			json_object_set_new(out, field->name, value);
	}
	return out;
}

static json_t *cdr_json(const struct ctl *ctl, const Tandem__Item *item)
{
	const Tandem__Cdr *c = item->cdr;
	json_t *out = message_json(&c->base), *attempts = json_array();

	for (size_t i = 0; i < c->n_attempts; i++)
		json_array_append_new(attempts, message_json(&c->attempts[i]->base));
	if (ctl->command->view && ctl->command->view->one)
		json_object_set_new(out, "attempts", attempts);
	else
		json_decref(attempts);
	return out;
}

// For people: one field a line, then the attempts.
static void cdr_more(const struct ctl *ctl, const Tandem__Item *item)
{
	static const char *const columns[] = { ">attempt", "trunk", "peer", "start", ">code",
		">cause", "call id" };
	const Tandem__Cdr *c = item->cdr;
	struct ctl_table *out = ctl_table_new(columns, 7);
	json_t *fields = message_json(&c->base), *value;
	const char *name;

	putchar('\n');
	json_object_foreach(fields, name, value)
	{
		char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
		if (text && !json_is_null(value))
			printf("%-14s %s\n", name, text);
		free(text);
	}
	json_decref(fields);
	putchar('\n');
	for (size_t i = 0; i < c->n_attempts; i++) {
		const Tandem__CdrAttempt *a = c->attempts[i];
		ctl_table_cell(out, "%u", a->n);
		ctl_table_cell(out, "%s", a->trunk);
		ctl_table_cell(out, "%s", a->peer);
		time_cell(out, a->start_us);
		ctl_table_cell(out, "%u", a->sip_code);
		ctl_table_cell(out, "%u", a->cause);
		ctl_table_cell(out, "%s", a->call_id);
	}
	ctl_table_print(out, ctl->colour);
	ctl_table_free(out);
}

static const struct ctl_view cdrs = { TANDEM__TABLE__CDRS, TANDEM__ITEM__ROW_CDR,
	CTL_COLUMNS(cdr_columns), .none = "no such call detail record is stored",
	.cells = cdr_cells, .json = cdr_json };
const struct ctl_view ctl_view_cdr = { TANDEM__TABLE__CDRS, TANDEM__ITEM__ROW_CDR,
	CTL_COLUMNS(cdr_columns), .one = true,
	.missing = "no call detail record has that id; cdr last and cdr find list them",
	.cells = cdr_cells, .json = cdr_json, .more = cdr_more };

static enum ctl_status cdrs_show(struct ctl *ctl, const char *limit, char *find)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Show show = TANDEM__SHOW__INIT;
	char *end = NULL;
	unsigned long n = limit ? strtoul(limit, &end, 10) : 0;

	if (limit && (*end != '\0' || n < 1 || n > 10000)) {
		fprintf(stderr, "tandemctl: found %s, expected a number from 1 to 10000\n", limit);
		return CTL_USAGE;
	}
	frame.body_case = TANDEM__FRAME__BODY_SHOW;
	frame.show = &show;
	show.table = TANDEM__TABLE__CDRS;
	show.limit = (uint32_t)n;
	if (find)
		show.find = find;
	return ctl_show_rows(ctl, &cdrs, &frame);
}

enum ctl_status ctl_cdr_last(struct ctl *ctl)
{
	return cdrs_show(ctl, ctl->n_args > 0 ? ctl->args[0] : NULL, NULL);
}

enum ctl_status ctl_cdr_find(struct ctl *ctl)
{
	return cdrs_show(ctl, ctl_value(ctl, "--limit", 0), ctl->args[0]);
}

// --- alarms ---

static const char *const alarm_columns[] = { "since", "severity", "alarm", "subject" };

static void alarm_cells(const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item)
{
	const Tandem__Alarm *a = item->alarm;

	time_cell(out, a->since_us);
	ctl_table_cell(out, "%s", a->severity);
	ctl_table_cell(out, "%s", a->name);
	ctl_table_cell(out, "%s", a->subject);
	ctl_table_below(out, "%s", a->text);
	ctl_table_below(out, "what to do: %s", a->advice);
}

static json_t *alarm_json(const struct ctl *ctl, const Tandem__Item *item)
{
	const Tandem__Alarm *a = item->alarm;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "name", ctl_text(a->name), "subject",
		ctl_text(a->subject), "severity", ctl_text(a->severity), "since_us",
		ctl_number(a->since_us), "text", ctl_text(a->text), "advice", ctl_text(a->advice));
}

const struct ctl_view ctl_view_alarms = { TANDEM__TABLE__ALARMS, TANDEM__ITEM__ROW_ALARM,
	CTL_COLUMNS(alarm_columns), .none = "nothing is wrong", .cells = alarm_cells,
	.json = alarm_json };
