// SPDX-License-Identifier: BSD-3-Clause
#include "control/config_schema.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

// A fault's text as it grows; what does not fit is cut.
struct text {
	size_t len;
	char buf[900];
};

static void text_addv(struct text *t, const char *format, va_list ap)
{
	int n = vsnprintf(t->buf + t->len, sizeof(t->buf) - t->len, format, ap);

	if (n > 0)
		t->len += (size_t)n < sizeof(t->buf) - t->len ? (size_t)n
							      : sizeof(t->buf) - t->len - 1;
}

static void __attribute__((format(printf, 2, 3))) text_add(struct text *t, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	text_addv(t, format, ap);
	va_end(ap);
}

// --- faults ---

// "limits.calls", "trunks[1].peers[0].address". Recursion is as deep as the file nests, which the
// parser bounds.
static void path_print(struct text *out, const config_setting_t *setting)
{
	const config_setting_t *parent = config_setting_parent(setting);

	if (!parent)
		return;
	path_print(out, parent);
	if (!config_setting_name(setting))
		text_add(out, "[%d]", config_setting_index(setting));
	else
		text_add(out, "%s%s", config_setting_is_root(parent) ? "" : ".",
			config_setting_name(setting));
}

int cfg_set_shown(const char *set)
{
	size_t path = strcspn(set, "=");
	bool secret = strstr(set, "://") || memmem(set, path, "password", strlen("password"));

	return (int)(secret ? path : strlen(set));
}

static void place_print(
	const struct cfg_reader *reader, struct text *out, const config_setting_t *setting)
{
	// An override carries its own text in the setting's hook; so do the elements of its value.
	for (const config_setting_t *s = setting; s; s = config_setting_parent(s)) {
		if (config_setting_get_hook(s)) {
			const char *set = config_setting_get_hook(s);
			if (strncmp(set, TD_STORED_WHERE, strlen(TD_STORED_WHERE)) == 0)
				text_add(out, "%s: ", set);
			else
				text_add(out, "--set %.*s: ", cfg_set_shown(set), set);
			return;
		}
	}
	const char *file = config_setting_source_file(setting);
	unsigned int line = config_setting_source_line(setting);
	text_add(out, "%s:%u: ", file ? file : reader->name, line > 0 ? line : 1);
}

static void value_print(struct text *out, const config_setting_t *setting)
{
	const char *name = config_setting_name(setting);

	if (name && strcmp(name, "password") == 0) {
		text_add(out, "a value that is not shown");
		return;
	}
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		text_add(out, "%lld", config_setting_get_int64(setting));
		break;
	case CONFIG_TYPE_FLOAT:
		text_add(out, "%g", config_setting_get_float(setting));
		break;
	case CONFIG_TYPE_BOOL:
		text_add(out, "%s", config_setting_get_bool(setting) ? "true" : "false");
		break;
	case CONFIG_TYPE_STRING:
		text_add(out, "\"%.80s\"", config_setting_get_string(setting));
		break;
	case CONFIG_TYPE_ARRAY:
		text_add(out, "an array of %d", config_setting_length(setting));
		break;
	case CONFIG_TYPE_LIST:
		text_add(out, "a list of %d", config_setting_length(setting));
		break;
	default:
		text_add(out, "a group { … }");
	}
}

// Places the fault at setting, or at its member key where that is not NULL.
static void fault_begin(struct text *out, const struct cfg_reader *reader,
	const config_setting_t *setting, const char *key)
{
	out->len = 0;
	place_print(reader, out, setting);
	path_print(out, setting);
	if (key)
		text_add(out, "%s%s", config_setting_is_root(setting) ? "" : ".", key);
	if (key || !config_setting_is_root(setting))
		text_add(out, ": ");
}

void cfg_fault(struct cfg_reader *reader, const config_setting_t *setting, const char *format, ...)
{
	struct text out;
	va_list ap;

	fault_begin(&out, reader, setting, NULL);
	text_add(&out, "found ");
	value_print(&out, setting);
	text_add(&out, ", expected ");
	va_start(ap, format);
	text_addv(&out, format, ap);
	va_end(ap);
	td_faults_add(reader->faults, "%s", out.buf);
}

void cfg_fault_text(
	struct cfg_reader *reader, const config_setting_t *setting, const char *format, ...)
{
	struct text out;
	va_list ap;

	fault_begin(&out, reader, setting, NULL);
	va_start(ap, format);
	text_addv(&out, format, ap);
	va_end(ap);
	td_faults_add(reader->faults, "%s", out.buf);
}

static void expected_print(struct text *out, const struct cfg_field *f)
{
	switch (f->kind) {
	case CFG_DIGITS:
		text_add(out, "at most %u digits", f->size - 1u);
		break;
	case CFG_NAME:
		text_add(out, "a name of 1 to %u letters, digits, '-', '_' or '.'", f->size - 1u);
		break;
	case CFG_TEXT:
		text_add(out, "a text of 1 to %u characters", f->size - 1u);
		break;
	case CFG_PATH:
		text_add(out, "an absolute path of at most %u characters", f->size - 1u);
		break;
	case CFG_NUMBER:
		text_add(out, "a whole number from %lld to %lld", (long long)f->min,
			(long long)f->max);
		break;
	case CFG_SECONDS:
		text_add(out, "seconds from %lld to %lld", (long long)f->min, (long long)f->max);
		break;
	case CFG_BOOL:
		text_add(out, "true or false");
		break;
	case CFG_CHOICE:
		for (const char *const *w = f->words; *w; w++)
			text_add(out, "%s\"%s\"", w == f->words ? "" : w[1] ? ", " : " or ", *w);
		break;
	case CFG_GROUP:
		text_add(out, "a group { … }");
		break;
	case CFG_LIST:
		text_add(out, "a list of at most %u groups ( { … }, … )", f->list->max);
		break;
	default:
		text_add(out, "%s", f->expected ? f->expected : "nothing");
	}
}

static void fault_field(
	struct cfg_reader *reader, const config_setting_t *setting, const struct cfg_field *f)
{
	struct text out;

	fault_begin(&out, reader, setting, NULL);
	text_add(&out, "found ");
	value_print(&out, setting);
	text_add(&out, ", expected ");
	expected_print(&out, f);
	td_faults_add(reader->faults, "%s", out.buf);
}

static void fault_missing(
	struct cfg_reader *reader, const config_setting_t *group, const struct cfg_field *f)
{
	struct text out;

	fault_begin(&out, reader, group, f->key);
	text_add(&out, "found nothing, expected ");
	expected_print(&out, f);
	td_faults_add(reader->faults, "%s", out.buf);
}

static void fault_unknown(
	struct cfg_reader *reader, const config_setting_t *setting, const struct cfg_field *fields)
{
	struct text out;
	const char *comma = "";

	fault_begin(&out, reader, setting, NULL);
	text_add(&out, "found an unknown key, expected one of ");
	for (const struct cfg_field *f = fields; f->key; f++) {
		if (f->kind != CFG_LATER) {
			text_add(&out, "%s%s", comma, f->key);
			comma = ", ";
		}
	}
	td_faults_add(reader->faults, "%s", out.buf);
}

// --- values ---

static void *at(void *record, size_t offset)
{
	return (char *)record + offset;
}

static void *group_at(struct cfg_reader *reader, const struct cfg_field *f, void *record)
{
	return at(f->elsewhere ? f->elsewhere(reader, record) : record, f->offset);
}

static void put_number(void *record, const struct cfg_field *f, uint64_t value)
{
	memcpy(at(record, f->offset), &value,
		f->size); // little endian, as all of Tandem's machines are
}

static bool whole_number(const config_setting_t *setting, int64_t *out)
{
	int type = config_setting_type(setting);

	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64)
		return false;
	*out = config_setting_get_int64(setting);
	return true;
}

static void read_number(struct cfg_reader *reader, config_setting_t *setting,
	const struct cfg_field *f, void *record)
{
	int64_t n;

	if (!whole_number(setting, &n) || n < f->min || n > f->max) {
		fault_field(reader, setting, f);
		return;
	}
	put_number(record, f, (uint64_t)n);
}

static void read_seconds(struct cfg_reader *reader, config_setting_t *setting,
	const struct cfg_field *f, void *record)
{
	int64_t n;
	double s;

	if (whole_number(setting, &n))
		s = (double)n;
	else if (config_setting_type(setting) == CONFIG_TYPE_FLOAT)
		s = config_setting_get_float(setting);
	else
		s = -1;
	if (!(s >= (double)f->min && s <= (double)f->max)) {
		fault_field(reader, setting, f);
		return;
	}
	put_number(record, f, (uint64_t)(s * f->scale + 0.5));
}

static void read_choice(struct cfg_reader *reader, config_setting_t *setting,
	const struct cfg_field *f, void *record)
{
	const char *word = config_setting_get_string(setting);
	uint32_t i;

	for (i = 0; f->words[i]; i++) {
		if (word && strcmp(word, f->words[i]) == 0) {
			put_number(record, f, i);
			return;
		}
	}
	for (i++; word && f->words[i]; i++) {
		if (strcmp(word, f->words[i]) == 0) {
			cfg_fault_text(reader, setting,
				"found \"%s\", which is not supported by this version", word);
			return;
		}
	}
	fault_field(reader, setting, f);
}

static bool text_fits(const struct cfg_field *f, const char *text)
{
	if (!text || (text[0] == '\0' && f->kind != CFG_DIGITS) || strlen(text) >= f->size ||
		(f->kind == CFG_PATH && text[0] != '/'))
		return false;
	for (const char *c = text; *c; c++) {
		if (iscntrl((unsigned char)*c))
			return false;
		if (f->kind == CFG_DIGITS && !isdigit((unsigned char)*c))
			return false;
		if (f->kind == CFG_NAME && !isalnum((unsigned char)*c) && !strchr("-_.", *c))
			return false;
	}
	return true;
}

static void put_text(void *record, const struct cfg_field *f, const char *text)
{
	td_span_cstr(td_span_str(text), at(record, f->offset), f->size);
}

static void read_text(struct cfg_reader *reader, config_setting_t *setting,
	const struct cfg_field *f, void *record)
{
	const char *text = config_setting_get_string(setting);

	if (text_fits(f, text))
		put_text(record, f, text);
	else
		fault_field(reader, setting, f);
}

static void read_list(struct cfg_reader *reader, config_setting_t *setting,
	const struct cfg_field *f, void *record)
{
	const struct cfg_list *list = f->list;
	uint64_t n = setting && config_setting_is_list(setting)
			     ? (uint64_t)config_setting_length(setting)
			     : 0;
	char *elements = at(record, list->offset);

	if (setting && (!config_setting_is_list(setting) || n > list->max)) {
		fault_field(reader, setting, f);
		return;
	}
	if (list->owned) {
		elements = calloc(n > 0 ? n : 1, list->element_bytes);
		memcpy(at(record, list->offset), &elements, sizeof(elements));
		if (!elements) {
			cfg_fault_text(reader, setting, "no memory for %llu elements",
				(unsigned long long)n);
			return;
		}
	}
	void *outer = reader->outer;
	reader->outer = record;
	// The count comes first: readers of elements find each other through it.
	memcpy(at(record, list->count_offset), &n, list->count_bytes);
	for (uint64_t i = 0; i < n; i++) {
		config_setting_t *element = config_setting_get_elem(setting, (unsigned int)i);
		void *place = elements + i * list->element_bytes;
		if (config_setting_is_group(element)) {
			cfg_read_fields(reader, element, list->group, place);
		} else {
			cfg_fault(reader, element, "a group { … }");
			cfg_read_fields(reader, NULL, list->group, place);
		}
	}
	reader->outer = outer;
}

static void put_preset(struct cfg_reader *reader, const struct cfg_field *f, void *record)
{
	switch (f->kind) {
	case CFG_DIGITS:
	case CFG_NAME:
	case CFG_TEXT:
	case CFG_PATH:
		put_text(record, f, f->text ? f->text : "");
		break;
	case CFG_GROUP:
		cfg_read_fields(reader, NULL, f->group, group_at(reader, f, record));
		break;
	case CFG_LIST:
		read_list(reader, NULL, f, record);
		break;
	case CFG_READ:
		f->read(reader, NULL, record);
		break;
	case CFG_LATER:
		break;
	default:
		put_number(record, f, (uint64_t)f->preset);
	}
}

static void read_value(struct cfg_reader *reader, config_setting_t *setting,
	const struct cfg_field *f, void *record)
{
	switch (f->kind) {
	case CFG_DIGITS:
	case CFG_NAME:
	case CFG_TEXT:
	case CFG_PATH:
		read_text(reader, setting, f, record);
		break;
	case CFG_NUMBER:
		read_number(reader, setting, f, record);
		break;
	case CFG_SECONDS:
		read_seconds(reader, setting, f, record);
		break;
	case CFG_BOOL:
		if (config_setting_type(setting) == CONFIG_TYPE_BOOL)
			put_number(record, f, config_setting_get_bool(setting) != 0);
		else
			fault_field(reader, setting, f);
		break;
	case CFG_CHOICE:
		read_choice(reader, setting, f, record);
		break;
	case CFG_GROUP:
		if (config_setting_is_group(setting))
			cfg_read_fields(reader, setting, f->group, group_at(reader, f, record));
		else
			fault_field(reader, setting, f);
		break;
	case CFG_LIST:
		read_list(reader, setting, f, record);
		break;
	case CFG_READ:
		f->read(reader, setting, record);
		break;
	case CFG_LATER:
		cfg_fault_text(reader, setting,
			"found a setting that is not supported by this version, expected none");
	}
}

static const struct cfg_field *field_find(const struct cfg_field *fields, const char *key)
{
	for (; fields->key; fields++)
		if (strcmp(fields->key, key) == 0)
			return fields;
	return NULL;
}

void cfg_read_fields(struct cfg_reader *reader, config_setting_t *group,
	const struct cfg_field *fields, void *record)
{
	for (const struct cfg_field *f = fields; f->key; f++) {
		config_setting_t *setting = group ? config_setting_get_member(group, f->key) : NULL;
		// The default goes in even where a faulty value follows, so that cross checks see a
		// whole record. An owned list is the exception: it would be made twice.
		if (!setting || f->kind != CFG_LIST)
			put_preset(reader, f, record);
		if (setting)
			read_value(reader, setting, f, record);
		else if (group && f->required)
			fault_missing(reader, group, f);
	}
	for (int i = 0; group && i < config_setting_length(group); i++) {
		config_setting_t *setting = config_setting_get_elem(group, (unsigned int)i);
		if (!field_find(fields, config_setting_name(setting)))
			fault_unknown(reader, setting, fields);
	}
}
