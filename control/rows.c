// SPDX-License-Identifier: BSD-3-Clause
#include "control/rows.h"

#include "control/columns.h"
#include "control/text.h"
#include "include/frame.h"

#include <stdlib.h>
#include <string.h>

void td_rows_clear(struct td_rows *rows)
{
	rows->len = 0;
	rows->n = 0;
	rows->failed = false;
}

void td_rows_free(struct td_rows *rows)
{
	free(rows->bytes);
	rows->bytes = NULL;
}

static void row_add(struct td_rows *rows, Tandem__Item *item)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;

	frame.version = 1;
	frame.id = rows->id;
	frame.body_case = TANDEM__FRAME__BODY_ITEM;
	frame.item = item;
	size_t len = tandem__frame__get_packed_size(&frame), whole = TD_FRAME_HEADER + len;
	if (rows->len + whole > rows->cap) {
		size_t cap = 2 * (rows->cap + whole);
		uint8_t *larger = realloc(rows->bytes, cap);
		if (!larger) {
			rows->failed = true;
			return;
		}
		rows->bytes = larger;
		rows->cap = cap;
	}
	td_frame_header(rows->bytes + rows->len, (uint32_t)len);
	tandem__frame__pack(&frame, rows->bytes + rows->len + TD_FRAME_HEADER);
	rows->len += whole;
	rows->n++;
}

static char *borrowed(const char *text)
{
	return (char *)(uintptr_t)text; // only read by the packer
}

// --- subscribers ---

void td_subscriber_to_pb(const struct td_subscriber *s, Tandem__Subscriber *out, char **numbers)
{
	tandem__subscriber__init(out);
	out->aor = borrowed(s->aor);
	out->plan = borrowed(s->plan);
	out->display = borrowed(s->display);
	out->max_calls = s->max_calls;
	out->max_cps = s->max_cps;
	out->cps_burst = s->cps_burst;
	out->disabled = !s->enabled;
	out->n_numbers = s->n_numbers;
	out->numbers = numbers;
	for (uint8_t i = 0; i < s->n_numbers; i++)
		numbers[i] = borrowed(s->numbers[i]);
	if (s->has_md5)
		out->ha1_md5 = (ProtobufCBinaryData){ sizeof(s->ha1_md5),
			(uint8_t *)(uintptr_t)s->ha1_md5 };
	if (s->has_sha256)
		out->ha1_sha256 = (ProtobufCBinaryData){ sizeof(s->ha1_sha256),
			(uint8_t *)(uintptr_t)s->ha1_sha256 };
}

void td_rows_subscriber(struct td_rows *rows, const struct td_subscriber *s)
{
	Tandem__Item item = TANDEM__ITEM__INIT;
	Tandem__Subscriber row;
	char *numbers[TD_SUBSCRIBER_NUMBERS_MAX];

	td_subscriber_to_pb(s, &row, numbers);
	row.ha1_md5.len = row.ha1_sha256.len = 0;
	item.row_case = TANDEM__ITEM__ROW_SUBSCRIBER;
	item.subscriber = &row;
	row_add(rows, &item);
}

void td_rows_number(struct td_rows *rows, const char *number, const char *aor)
{
	Tandem__Item item = TANDEM__ITEM__INIT;
	Tandem__NumberRow row = TANDEM__NUMBER_ROW__INIT;

	row.number = borrowed(number);
	row.aor = borrowed(aor);
	item.row_case = TANDEM__ITEM__ROW_NUMBER;
	item.number = &row;
	row_add(rows, &item);
}

// --- registrations ---

void td_rows_registration(struct td_rows *rows, const uint8_t *record, size_t len, uint64_t now_s)
{
	Tandem__Item item = TANDEM__ITEM__INIT;
	Tandem__Registration row = TANDEM__REGISTRATION__INIT;
	char texts[5][TD_BINDING_PATH_MAX + 1], received[TD_ADDR_STRLEN + 8];
	struct td_binding b;

	if (td_binding_unpack(record, len, &b) == 0)
		return;
	const struct td_span spans[5] = { b.aor, b.contact, b.user_agent, b.path, b.realm };
	for (int i = 0; i < 5; i++)
		td_text_clean(spans[i].ptr ? spans[i].ptr : "", spans[i].len, false, texts[i],
			sizeof(texts[i]));
	td_sockaddr_format(&b.remote, received, sizeof(received));
	row.aor = texts[0];
	row.contact = texts[1];
	row.user_agent = texts[2];
	row.path = texts[3];
	row.realm = texts[4];
	row.received = received;
	row.expires_s = b.expires_s > now_s ? b.expires_s - now_s : 0;
	row.q = b.q;
	item.row_case = TANDEM__ITEM__ROW_REGISTRATION;
	item.registration = &row;
	row_add(rows, &item);
}

// --- call detail records ---

static void field_set(
	void *message, const ProtobufCFieldDescriptor *field, const struct td_value *v)
{
	void *at = (char *)message + field->offset;

	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		if (v->kind == TD_VALUE_TEXT)
			*(char **)at = borrowed(v->text);
		break;
	case PROTOBUF_C_TYPE_UINT64:
		*(uint64_t *)at = v->kind == TD_VALUE_INT ? (uint64_t)v->number : 0;
		break;
	case PROTOBUF_C_TYPE_UINT32:
		*(uint32_t *)at = v->kind == TD_VALUE_INT ? (uint32_t)v->number : 0;
		break;
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)at = v->kind == TD_VALUE_INT && v->number != 0;
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		*(double *)at = v->real;
		break;
	default:
		break;
	}
}

// A message whose fields are named as the columns are. texts lives as long as it.
static void record_to_pb(const struct td_columns *columns, const void *record,
	const ProtobufCMessageDescriptor *descriptor, struct td_column_texts *texts, void *message)
{
	struct td_value row[TD_CDR_COLUMNS];

	td_columns_read(columns, record, texts, row);
	for (int i = 0; i < columns->n; i++) {
		const ProtobufCFieldDescriptor *field =
			protobuf_c_message_descriptor_get_field_by_name(
				descriptor, columns->list[i].name);
		if (field)
			field_set(message, field, &row[i]);
	}
}

void td_rows_cdr(struct td_rows *rows, const struct td_cdr *cdr,
	const struct td_cdr_attempt *attempts, uint32_t n)
{
	static _Thread_local struct td_column_texts texts, attempt_texts[TD_ROWS_ATTEMPTS_MAX];
	Tandem__Item item = TANDEM__ITEM__INIT;
	Tandem__Cdr row = TANDEM__CDR__INIT;
	Tandem__CdrAttempt tries[TD_ROWS_ATTEMPTS_MAX], *list[TD_ROWS_ATTEMPTS_MAX];

	record_to_pb(&td_cdr_columns, cdr, &tandem__cdr__descriptor, &texts, &row);
	for (uint32_t i = 0; i < n && i < TD_ROWS_ATTEMPTS_MAX; i++) {
		tandem__cdr_attempt__init(&tries[i]);
		record_to_pb(&td_attempt_columns, &attempts[i], &tandem__cdr_attempt__descriptor,
			&attempt_texts[i], &tries[i]);
		list[i] = &tries[i];
		row.n_attempts = i + 1;
	}
	row.attempts = list;
	item.row_case = TANDEM__ITEM__ROW_CDR;
	item.cdr = &row;
	row_add(rows, &item);
}

// --- alarms ---

void td_rows_alarm(struct td_rows *rows, const struct td_alarm *alarm)
{
	Tandem__Item item = TANDEM__ITEM__INIT;
	Tandem__Alarm row = TANDEM__ALARM__INIT;

	row.name = borrowed(alarm->name);
	row.subject = borrowed(alarm->subject);
	row.severity = borrowed(alarm->severity == TD_CRITICAL ? "critical" : "warning");
	row.since_us = alarm->since_us;
	row.text = borrowed(alarm->text);
	row.advice = borrowed(alarm->advice);
	item.row_case = TANDEM__ITEM__ROW_ALARM;
	item.alarm = &row;
	row_add(rows, &item);
}

// --- trunks of the store ---

#define TRUNK_SETTINGS_MAX 64

void td_rows_stored_trunk(struct td_rows *rows, struct td_span name, struct td_span settings)
{
	Tandem__Item item = TANDEM__ITEM__INIT;
	Tandem__StoredTrunk row = TANDEM__STORED_TRUNK__INIT;
	char *lines[TRUNK_SETTINGS_MAX], *rest = NULL, name_text[TD_NAME_LEN];
	char *text = strndup(settings.ptr, settings.len);

	if (!text) {
		rows->failed = true;
		return;
	}
	td_span_cstr(name, name_text, sizeof(name_text));
	row.settings = lines;
	for (char *line = strtok_r(text, "\n", &rest); line && row.n_settings < TRUNK_SETTINGS_MAX;
		line = strtok_r(NULL, "\n", &rest))
		lines[row.n_settings++] = line;
	row.name = name_text;
	item.row_case = TANDEM__ITEM__ROW_STORED_TRUNK;
	item.stored_trunk = &row;
	row_add(rows, &item);
	free(text);
}

// --- host names ---

#define TRUNKS_SHOWN 32

static size_t trunks_of(
	const struct td_dns_name *name, const struct td_policy_conf *policy, char **out)
{
	size_t n = 0;

	for (uint32_t t = 0; t < policy->n_trunks && n < TRUNKS_SHOWN; t++) {
		const struct td_trunk_conf *trunk = &policy->trunks[t];
		for (uint8_t i = 0; i < trunk->n_hosts; i++) {
			if (trunk->hosts[i].port == name->port &&
				strcmp(trunk->hosts[i].name, name->name) == 0) {
				out[n++] = borrowed(trunk->name);
				break;
			}
		}
	}
	return n;
}

void td_rows_dns_name(struct td_rows *rows, const struct td_dns_name *name, uint64_t now_ms,
	const struct td_policy_conf *policy)
{
	Tandem__Item item = TANDEM__ITEM__INIT;
	Tandem__DnsName row = TANDEM__DNS_NAME__INIT;
	Tandem__DnsRecord records[TD_DNS_ANSWERS_MAX], *list[TD_DNS_ANSWERS_MAX];
	char addresses[TD_DNS_ANSWERS_MAX][TD_ADDR_STRLEN], *trunks[TRUNKS_SHOWN];

	row.name = borrowed(name->name);
	row.port = name->port;
	row.state = borrowed(td_dns_state_name((enum td_dns_state)name->state));
	row.ttl_s = name->ends_ms > now_ms ? (name->ends_ms - now_ms + 999) / 1000 : 0;
	row.next_s = name->due_ms > now_ms ? (name->due_ms - now_ms + 999) / 1000 : 0;
	row.resolved_s = name->resolved_s;
	row.error = borrowed(td_dns_error(name->error));
	row.left_out = name->answer.left_out;
	for (uint16_t i = 0; i < name->answer.n; i++) {
		const struct td_dns_record *r = &name->answer.records[i];
		tandem__dns_record__init(&records[i]);
		td_sockaddr_format(&r->address, addresses[i], sizeof(addresses[i]));
		records[i].address = addresses[i];
		records[i].priority = r->priority;
		records[i].weight = r->weight;
		records[i].host = borrowed(r->host);
		list[i] = &records[i];
	}
	row.n_records = name->answer.n;
	row.records = list;
	row.n_trunks = trunks_of(name, policy, trunks);
	row.trunks = trunks;
	item.row_case = TANDEM__ITEM__ROW_DNS_NAME;
	item.dns_name = &row;
	row_add(rows, &item);
}
