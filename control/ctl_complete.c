// SPDX-License-Identifier: BSD-3-Clause
// Completion: the shell hands over the words of its line, and gets what may stand next. All of it
// comes from the table of commands and the running switch.
#include "control/ctl.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 64
#define OFFERS_MAX 1000 // nobody reads so many
#define OFFER_LEN 256
#define TIMEOUT_MS 1000

static const char global_options[] = "--json --timeout --config --socket --help --version";

static void offer(const char *word, size_t len, const char *begun)
{
	size_t n = strlen(begun);

	if (n <= len && strncmp(word, begun, n) == 0)
		printf("%.*s\n", (int)len, word);
}

static void offer_list(const char *list, const char *begun)
{
	for (const char *o = list; o && *o;) {
		size_t all = strcspn(o, " ");
		offer(o, strcspn(o, " ="), begun);
		o += all + (o[all] == ' ');
	}
}

static bool takes_value(const char *option)
{
	bool valued = false;

	return ctl_option_known(option, strlen(option), &valued) && valued;
}

// The word behind the n that stand there already, of every command that begins with them.
static void offer_words(char *const *words, int n, const char *begun)
{
	const char *last = "";

	for (const struct ctl_command *c = ctl_commands; c->words; c++) {
		const char *word = c->words;
		int i = 0;
		for (; i < n && *word; i++) {
			size_t len = strcspn(word, " ");
			if (strlen(words[i]) != len || strncmp(words[i], word, len) != 0)
				break;
			word += len + (word[len] == ' ');
		}
		size_t len = strcspn(word, " ");
		if (i < n || len == 0 ||
			(strncmp(last, word, len) == 0 && strcspn(last, " ") == len))
			continue;
		offer(word, len, begun);
		last = word;
	}
}

// What an argument or a value is called in ctl_commands.c, and where those that there are come
// from.
static const struct source {
	const char *place;
	const char *words; // of that command alone; NULL: of any
	const char *list;  // a list of words, ":files" (the shell's own business); NULL: a table's
	Tandem__Table table;
	const char *field; // of its rows
} sources[] = {
	{ "AOR", "show registrations", NULL, TANDEM__TABLE__REGISTRATIONS, "aor" },
	{ "AOR", NULL, NULL, TANDEM__TABLE__SUBSCRIBERS, "aor" },
	{ "CDR", NULL, NULL, TANDEM__TABLE__CDRS, "id" },
	{ "FILE", NULL, ":files" },
	{ "HOST", NULL, NULL, TANDEM__TABLE__DNS, "name" },
	{ "ID", NULL, NULL, TANDEM__TABLE__CALLS, "id" },
	{ "KIND", NULL, "trunk alarm call policy dataplane audit dns" },
	{ "NUMBER", "number add", "" }, // it is a new one
	{ "NUMBER", NULL, NULL, TANDEM__TABLE__NUMBERS, "number" },
	{ "PLAN", NULL, NULL, TANDEM__TABLE__PLANS, "name" },
	{ "REALM", NULL, NULL, TANDEM__TABLE__TRUNKS, "realm" },
	{ "RULE", NULL, NULL, TANDEM__TABLE__RULES, "name" },
	{ "SOCKET", NULL, ":files" },
	{ "TRUNK", "trunk set", NULL, TANDEM__TABLE__STORED_TRUNKS, "name" },
	{ "TRUNK", "trunk del", NULL, TANDEM__TABLE__STORED_TRUNKS, "name" },
	{ "TRUNK", NULL, NULL, TANDEM__TABLE__TRUNKS, "name" },
	{ "WHOM", NULL, "subscribers" },
	{ "WHOM", NULL, NULL, TANDEM__TABLE__TRUNKS, "name" },
	{ "WHOM", NULL, NULL, TANDEM__TABLE__SUBSCRIBERS, "aor" },
};
#define N_SOURCES (sizeof(sources) / sizeof(sources[0]))

// A field of the row, whatever row it is.
static const char *row_text(const Tandem__Item *item, const char *name)
{
	const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(
		item->base.descriptor, (unsigned)item->row_case);

	if (!field)
		return "";
	const ProtobufCMessage *row =
		*(ProtobufCMessage *const *)((const char *)item + field->offset);
	field = protobuf_c_message_descriptor_get_field_by_name(row->descriptor, name);
	return field && field->type == PROTOBUF_C_TYPE_STRING
		       ? *(char *const *)((const char *)row + field->offset)
		       : "";
}

struct offering {
	const struct source *source;
	const char *begun;
	char last[OFFER_LEN];
	int n;
};

static bool offer_row(void *user, const Tandem__Item *item)
{
	struct offering *o = user;
	const char *text = row_text(item, o->source->field);

	if (strcmp(o->last, text) != 0 && strncmp(text, o->begun, strlen(o->begun)) == 0) {
		offer(text, strlen(text), o->begun);
		o->n++;
	}
	snprintf(o->last, sizeof(o->last), "%s", text);
	return o->n < OFFERS_MAX;
}

// What the running switch knows; nothing where it cannot be reached.
static void offer_rows(struct ctl *ctl, const struct source *source, const char *begun)
{
	struct offering offering = { .source = source, .begun = begun };

	ctl->timeout_ms = TIMEOUT_MS;
	ctl->deadline_ms = ctl_now_ms() + (uint64_t)ctl->timeout_ms;
	if (ctl_socket_find(ctl) < 0)
		ctl_each_row(ctl, source->table, true, offer_row, &offering);
}

// place: len bytes, such as "AOR".
static void offer_place(struct ctl *ctl, const struct ctl_command *command, const char *place,
	size_t len, const char *begun)
{
	bool special = false; // of that command alone

	for (const struct source *s = sources; s < sources + N_SOURCES; s++) {
		if (strlen(s->place) != len || strncmp(s->place, place, len) != 0 ||
			(s->words ? !command || strcmp(s->words, command->words) != 0 : special))
			continue;
		special |= s->words != NULL;
		if (s->list && s->list[0] == ':')
			puts(s->list);
		else if (s->list)
			offer_list(s->list, begun);
		else
			offer_rows(ctl, s, begun);
	}
}

// The n-th (from 0) of "NUMBER AOR" or "[FILE]".
static void offer_argument(
	struct ctl *ctl, const struct ctl_command *command, int n, const char *begun)
{
	const char *at = command->args;

	for (; n > 0 && *at; n--)
		at += strcspn(at, " ") + (at[strcspn(at, " ")] == ' ');
	at += strspn(at, "[");
	offer_place(ctl, command, at, strcspn(at, " ]"), begun);
}

static bool is(const char *word, const char *name, const char *other)
{
	return strcmp(word, name) == 0 || strcmp(word, other) == 0;
}

// Where the switch is that shall say its names.
static void target_take(struct ctl *ctl, const char *option, const char *value)
{
	if (is(option, "-c", "--config"))
		ctl->config = value;
	else if (is(option, "-s", "--socket"))
		snprintf(ctl->socket, sizeof(ctl->socket), "%s", value);
}

static void offer_value(
	struct ctl *ctl, const struct ctl_command *command, const char *option, const char *begun)
{
	const char *place = ctl_option_place(command, option);

	if (place)
		offer_place(ctl, command, place, strcspn(place, " ="), begun);
}

enum ctl_status ctl_complete_words(struct ctl *ctl)
{
	const char *begun = ctl->n_args > 0 ? ctl->args[ctl->n_args - 1] : "";
	const char *before = ctl->n_args > 1 ? ctl->args[ctl->n_args - 2] : "";
	char *words[WORDS_MAX] = { NULL };
	int n = 0, used = 0;

	for (int i = 0; i + 1 < ctl->n_args; i++) {
		char *word = ctl->args[i];
		target_take(ctl, word, ctl->args[i + 1]);
		if (word[0] == '-')
			i += takes_value(word);
		else if (n < WORDS_MAX)
			words[n++] = word;
	}
	const struct ctl_command *command = ctl_command_find(words, n, &used);
	if (before[0] == '-' && takes_value(before)) {
		offer_value(ctl, command, before, begun);
		return CTL_DONE;
	}
	if (begun[0] == '-') {
		offer_list(global_options, begun);
		offer_list(command ? command->options : NULL, begun);
		return CTL_DONE;
	}
	offer_words(words, n, begun);
	if (command && n - used < command->args_max)
		offer_argument(ctl, command, n - used, begun);
	return CTL_DONE;
}
