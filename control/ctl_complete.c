// SPDX-License-Identifier: BSD-3-Clause
// Completion: the shell hands over the words of its line, and gets what may stand next. All of it
// comes from the table of commands and the running switch.
#include "control/ctl.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 64

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

// Names that the running switch knows; nothing where it cannot be reached.
static void offer_rows(struct ctl *ctl, Tandem__Table table, const char *begun)
{
	Tandem__Frame request = TANDEM__FRAME__INIT, *frame;
	Tandem__Show show = TANDEM__SHOW__INIT;

	request.body_case = TANDEM__FRAME__BODY_SHOW;
	request.show = &show;
	show.table = table;
	ctl->timeout_ms = 1000;
	ctl->deadline_ms = ctl_now_ms() + (uint64_t)ctl->timeout_ms;
	if (ctl_socket_find(ctl) >= 0 || ctl_ask(ctl, &request, true) != CTL_DONE)
		return;
	while ((frame = ctl_next(ctl, true)) && frame->body_case == TANDEM__FRAME__BODY_ITEM) {
		const char *name = frame->item->row_case == TANDEM__ITEM__ROW_CALL
					   ? frame->item->call->id
				   : frame->item->row_case == TANDEM__ITEM__ROW_TRUNK
					   ? frame->item->trunk->name
					   : "";
		offer(name, strlen(name), begun);
		tandem__frame__free_unpacked(frame, NULL);
	}
}

static void offer_argument(struct ctl *ctl, const struct ctl_command *command, const char *begun)
{
	switch ((enum ctl_complete)command->complete) {
	case CTL_NOTHING:
		break;
	case CTL_FILES:
		puts(":files"); // the shell's own business
		break;
	case CTL_CALLS:
		offer_rows(ctl, TANDEM__TABLE__CALLS, begun);
		break;
	case CTL_TRUNKS:
		offer_rows(ctl, TANDEM__TABLE__TRUNKS, begun);
		break;
	}
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

static void offer_value(struct ctl *ctl, const char *option, const char *begun)
{
	if (strcmp(option, "--kind") == 0)
		offer_list("trunk alarm call policy dataplane audit", begun);
	else if (strcmp(option, "--trunk") == 0 || strcmp(option, "--from") == 0)
		offer_rows(ctl, TANDEM__TABLE__TRUNKS, begun);
	else
		puts(":files");
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
		offer_value(ctl, before, begun);
		return CTL_DONE;
	}
	if (begun[0] == '-') {
		offer_list(global_options, begun);
		offer_list(command ? command->options : NULL, begun);
		return CTL_DONE;
	}
	offer_words(words, n, begun);
	if (command && n - used < command->args_max)
		offer_argument(ctl, command, begun);
	return CTL_DONE;
}
