// SPDX-License-Identifier: BSD-3-Clause
// tandemctl: the operator's command line. Commands are one line each in the table below.
#include "control/config.h"
#include "control/ctl.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_SOCKET "/run/tandem/control.sock"
#define DEFAULT_TIMEOUT_MS 15000

static const struct {
	const char *word, *help;
	enum ctl_status (*run)(struct ctl *ctl);
} commands[] = {
	{ "wait",
		"wait                      until both daemons are up, in sync and every port works",
		ctl_wait },
	{ "show", "show cores|ports|trunks|calls|call ID|counters [--per-core] [--all]|version",
		ctl_show },
	{ "hangup", "hangup ID                 end a call", ctl_hangup },
	{ "drain", "drain [--off]             take no new calls, or take them again", ctl_drain },
	{ "reload", "reload [--dry-run]        take the changed configuration file into force",
		ctl_reload },
	{ "check", "check [FILE]              is a configuration file right?", ctl_check },
};

static void usage(FILE *out)
{
	fputs("usage: tandemctl [-c FILE | -s SOCKET] [--json] [--timeout SECONDS] COMMAND\n", out);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  %s\n", commands[i].help);
	fputs("  -c FILE       find tandem-control by the run_dir of this configuration\n"
	      "  -s SOCKET     its socket (default " DEFAULT_SOCKET ")\n"
	      "  --json        for scripts\n"
	      "  --timeout S   give up after so many seconds\n"
	      "Exit status: 0 done, 1 refused or not found, 2 wrong usage, 3 tandem-control cannot "
	      "be reached.\n",
		out);
}

static bool timeout_read(struct ctl *ctl, const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end != '\0' || !(seconds >= 0 && seconds <= 86400)) {
		fprintf(stderr, "tandemctl: found --timeout %s, expected seconds from 0 to 86400\n",
			text);
		return false;
	}
	ctl->timeout_ms = (int)(seconds * 1000);
	return true;
}

static bool socket_set(struct ctl *ctl, const char *path)
{
	if ((size_t)snprintf(ctl->socket, sizeof(ctl->socket), "%s", path) < sizeof(ctl->socket))
		return true;
	fprintf(stderr, "tandemctl: the path of the socket is longer than %zu bytes\n",
		sizeof(ctl->socket) - 1);
	return false;
}

// -1: go on; else the exit status.
static int option_take(struct ctl *ctl, int c)
{
	switch (c) {
	case 'c':
		ctl->config = optarg;
		return -1;
	case 's':
		return socket_set(ctl, optarg) ? -1 : CTL_USAGE;
	case 'j':
		ctl->json = true;
		return -1;
	case 't':
		return timeout_read(ctl, optarg) ? -1 : CTL_USAGE;
	case 'S':
		if (ctl->n_sets == CTL_SETS_MAX)
			return CTL_USAGE;
		ctl->sets[ctl->n_sets++] = optarg;
		return -1;
	case 'p':
		ctl->per_core = true;
		return -1;
	case 'a':
		ctl->all = true;
		return -1;
	case 'o':
		ctl->off = true;
		return -1;
	case 'd':
		ctl->dry_run = true;
		return -1;
	case 'v':
		puts("tandemctl " TANDEM_VERSION);
		return CTL_DONE;
	case 'h':
		usage(stdout);
		return CTL_DONE;
	default:
		usage(stderr);
		return CTL_USAGE;
	}
}

// Without -s the configuration says where control listens.
static int socket_find(struct ctl *ctl)
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
		return CTL_USAGE;
	}
	snprintf(path, sizeof(path), "%s/control.sock", run_dir);
	return socket_set(ctl, path) ? -1 : CTL_USAGE;
}

static int options_read(struct ctl *ctl, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "socket", required_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' },
		{ "timeout", required_argument, NULL, 't' },
		{ "set", required_argument, NULL, 'S' },
		{ "per-core", no_argument, NULL, 'p' },
		{ "all", no_argument, NULL, 'a' },
		{ "off", no_argument, NULL, 'o' },
		{ "dry-run", no_argument, NULL, 'd' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};

	for (int c; (c = getopt_long(argc, argv, "c:s:h", longs, NULL)) != -1;) {
		int status = option_take(ctl, c);
		if (status >= 0)
			return status;
	}
	return -1;
}

int main(int argc, char **argv)
{
	static struct ctl ctl = { .fd = -1, .timeout_ms = -1 };
	int status = options_read(&ctl, argc, argv);

	if (status >= 0)
		return status;
	if (optind == argc) {
		usage(stderr);
		return CTL_USAGE;
	}
	ctl.colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	ctl.args = argv + optind + 1;
	ctl.n_args = argc - optind - 1;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].word, argv[optind]) != 0)
			continue;
		if (commands[i].run != ctl_check && (status = socket_find(&ctl)) >= 0)
			return status;
		ctl.deadline_ms =
			ctl_now_ms() +
			(uint64_t)(ctl.timeout_ms >= 0 ? ctl.timeout_ms : DEFAULT_TIMEOUT_MS);
		return commands[i].run(&ctl);
	}
	fprintf(stderr, "tandemctl: found \"%s\", expected a command\n", argv[optind]);
	usage(stderr);
	return CTL_USAGE;
}
