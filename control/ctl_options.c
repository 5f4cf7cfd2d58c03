// SPDX-License-Identifier: BSD-3-Clause
// The command line of tandemctl: options may stand anywhere; which ones a command takes is said in
// its line of ctl_commands.c.
#include "control/config.h"
#include "control/ctl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_SOCKET "/run/tandem/control.sock"

// Of every command; '=': takes a value.
static const char globals[] = "-c=FILE --config=FILE -s=SOCKET --socket=SOCKET --timeout=SECONDS "
			      "--json --version -h --help";

// Where name (of len bytes) ends in that list, at the '=' of one that takes a value; NULL: it is
// not there.
static const char *place_of(const char *list, const char *name, size_t len)
{
	for (const char *o = list; o && *o;) {
		size_t all = strcspn(o, " "), own = strcspn(o, " =");
		if (own == len && strncmp(o, name, len) == 0)
			return o + own;
		o += all + (o[all] == ' ');
	}
	return NULL;
}

// Is it one of that list? *valued: it takes a value.
static bool listed(const char *list, const char *name, size_t len, bool *valued)
{
	const char *end = place_of(list, name, len);

	if (end)
		*valued = *end == '=';
	return end != NULL;
}

const char *ctl_option_place(const struct ctl_command *command, const char *name)
{
	const char *end = place_of(globals, name, strlen(name));

	if (!end && command)
		end = place_of(command->options, name, strlen(name));
	return end && *end == '=' ? end + 1 : NULL;
}

bool ctl_option_known(const char *name, size_t len, bool *valued)
{
	bool found = listed(globals, name, len, valued);

	for (const struct ctl_command *c = ctl_commands; !found && c->words; c++)
		found = listed(c->options, name, len, valued);
	return found;
}

static int fault(const char *what, const char *found, const char *expected)
{
	fprintf(stderr, "tandemctl: found %s%s%s, expected %s\n", what, what[0] ? " " : "", found,
		expected);
	return CTL_USAGE;
}

static bool socket_set(struct ctl *ctl, const char *path)
{
	if ((size_t)snprintf(ctl->socket, sizeof(ctl->socket), "%s", path) < sizeof(ctl->socket))
		return true;
	fprintf(stderr, "tandemctl: the path of the socket is longer than %zu bytes\n",
		sizeof(ctl->socket) - 1);
	return false;
}

static bool timeout_read(struct ctl *ctl, const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end != '\0' || !(seconds >= 0 && seconds <= 86400)) {
		fault("--timeout", text, "seconds from 0 to 86400");
		return false;
	}
	ctl->timeout_ms = (int)(seconds * 1000);
	return true;
}

// -1: go on; else the exit status. help, version: asked for, wherever they stand.
static int global_take(struct ctl *ctl, const char *name, const char *value, bool *help)
{
	if (strcmp(name, "-c") == 0 || strcmp(name, "--config") == 0) {
		ctl->config = value;
	} else if (strcmp(name, "-s") == 0 || strcmp(name, "--socket") == 0) {
		return socket_set(ctl, value) ? -1 : CTL_USAGE;
	} else if (strcmp(name, "--timeout") == 0) {
		return timeout_read(ctl, value) ? -1 : CTL_USAGE;
	} else if (strcmp(name, "--json") == 0) {
		ctl->json = true;
	} else if (strcmp(name, "--version") == 0) {
		puts("tandemctl " TANDEM_VERSION);
		return CTL_DONE;
	} else {
		*help = true;
	}
	return -1;
}

// One option at argv[*i]; moves *i behind its value. -1: go on.
static int option_take(struct ctl *ctl, int argc, char **argv, int *i, bool *help)
{
	char *text = argv[*i], *equals = text[1] == '-' ? strchr(text, '=') : NULL;
	size_t len = equals ? (size_t)(equals - text) : strlen(text);
	bool valued = false, global = listed(globals, text, len, &valued);
	const char *value = NULL;

	if (!global && !ctl_option_known(text, len, &valued))
		return fault("", text, "an option of the command (--help shows them)");
	if (equals && !valued)
		return fault("", text, "that option without a value");
	if (valued && !equals && *i + 1 == argc)
		return fault("", text, "a value behind it");
	if (valued)
		value = equals ? equals + 1 : argv[++*i];
	if (equals)
		*equals = '\0';
	if (global)
		return global_take(ctl, text, value, help);
	if (ctl->n_options == CTL_OPTIONS_MAX)
		return fault("", text, "fewer options");
	ctl->options[ctl->n_options].name = text;
	ctl->options[ctl->n_options++].value = value;
	return -1;
}

static int command_check(struct ctl *ctl)
{
	const struct ctl_command *c = ctl->command;
	char synopsis[256];
	bool valued;

	ctl_synopsis(c, synopsis, sizeof(synopsis));
	if (ctl->n_args < c->args_min || ctl->n_args > c->args_max) {
		if (ctl->n_args > c->args_max)
			return fault("", ctl->args[c->args_max], synopsis);
		fprintf(stderr, "tandemctl: expected %s\n", synopsis);
		return CTL_USAGE;
	}
	for (int i = 0; i < ctl->n_options; i++)
		if (!listed(c->options, ctl->options[i].name, strlen(ctl->options[i].name),
			    &valued))
			return fault("", ctl->options[i].name, synopsis);
	return -1;
}

// Whether one of the command's words begins with that one, or with all of it but a plural's s.
static bool resembles(const struct ctl_command *command, const char *word)
{
	size_t len = strlen(word);

	len -= len > 3 && word[len - 1] == 's';
	for (const char *w = command->words; w; w = strchr(w, ' '), w += w != NULL)
		if (strncmp(w, word, len) == 0)
			return true;
	return false;
}

// Says which commands there are instead: those that begin with that word, else those that have one
// like it.
static int command_unknown(char *const *words, int n)
{
	const char *word = n > 0 ? words[0] : "";
	size_t len = strlen(word);
	int found = 0;

	for (int like = 0; like < 2 && found == 0; like++) {
		for (const struct ctl_command *c = ctl_commands; len > 0 && c->words; c++) {
			if (like ? !resembles(c, word)
				 : strncmp(c->words, word, len) != 0 || c->words[len] != ' ')
				continue;
			if (found++ == 0)
				fprintf(stderr, "tandemctl: found \"%s%s%s\", expected %s\n", word,
					n > 1 ? " " : "", n > 1 ? words[1] : "",
					like ? "a command such as" : "one of");
			fprintf(stderr, "  %s%s%s\n", c->words, c->args ? " " : "",
				c->args ? c->args : "");
		}
	}
	if (found > 0)
		return CTL_USAGE;
	if (n > 0)
		fprintf(stderr, "tandemctl: found \"%s\", expected a command (--help lists them)\n",
			word);
	else
		ctl_usage(stderr);
	return CTL_USAGE;
}

int ctl_options_read(struct ctl *ctl, int argc, char **argv)
{
	bool help = false, options_end = false;
	int n = 0, used = 0;

	// Words and arguments are moved to the front of argv.
	for (int i = 1; i < argc; i++) {
		if (!options_end && strcmp(argv[i], "--") == 0) {
			options_end = true;
		} else if (options_end || argv[i][0] != '-' || argv[i][1] == '\0') {
			argv[n++] = argv[i];
		} else {
			int status = option_take(ctl, argc, argv, &i, &help);
			if (status >= 0)
				return status;
		}
	}
	if (n > 0 && strcmp(argv[0], "help") == 0) {
		help = true;
		argv++;
		n--;
	}
	ctl->command = ctl_command_find(argv, n, &used);
	ctl->args = argv + used;
	ctl->n_args = n - used;
	if (help && ctl->command)
		ctl_usage_of(stdout, ctl->command);
	else if (help)
		ctl_usage(stdout);
	if (help)
		return CTL_DONE;
	return ctl->command ? command_check(ctl) : command_unknown(argv, n);
}

bool ctl_flag(const struct ctl *ctl, const char *name)
{
	for (int i = 0; i < ctl->n_options; i++)
		if (strcmp(ctl->options[i].name, name) == 0)
			return true;
	return false;
}

const char *ctl_value(const struct ctl *ctl, const char *name, int n)
{
	for (int i = 0; i < ctl->n_options; i++)
		if (strcmp(ctl->options[i].name, name) == 0 && n-- == 0)
			return ctl->options[i].value;
	return NULL;
}

int ctl_socket_find(struct ctl *ctl)
{
	struct td_faults faults = { 0 };
	char run_dir[TD_PATH_LEN] = "", path[2 * TD_PATH_LEN];

	if (ctl->socket[0])
		return -1;
	if (!ctl->config)
		return socket_set(ctl, DEFAULT_SOCKET) ? -1 : CTL_USAGE;
	if (td_config_run_dir(ctl->config, run_dir, sizeof(run_dir), &faults) != 0) {
		td_faults_print(&faults, STDERR_FILENO);
		td_faults_free(&faults);
		fputs("tandemctl: -s RUN_DIR/control.sock reaches what runs without that file\n",
			stderr);
		return CTL_USAGE;
	}
	snprintf(path, sizeof(path), "%s/control.sock", run_dir);
	return socket_set(ctl, path) ? -1 : CTL_USAGE;
}
