// SPDX-License-Identifier: BSD-3-Clause
// tandemctl: the operator's command line. Commands are one line each in ctl_commands.c.
#include "control/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// It ends with its answer, and what it holds goes with it: nothing for a leak checker to stop at.
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

// For the test that holds the manual page against the table: one synopsis a line.
static int synopses_print(void)
{
	char text[256];

	for (const struct ctl_command *c = ctl_commands; c->words; c++) {
		ctl_synopsis(c, text, sizeof(text));
		puts(text);
	}
	return CTL_DONE;
}

// Rows that did not reach their file are no answer: a full disk must not look like success.
static int output_end(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "tandemctl: the output could not be written: %s\n", strerror(errno));
	return status == CTL_DONE ? CTL_REFUSED : status;
}

int main(int argc, char **argv)
{
	static struct ctl ctl = { .fd = -1, .timeout_ms = -1 };

	ctl.colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	if (argc > 1 && strcmp(argv[1], "--complete") == 0) {
		ctl.args = argv + 2;
		ctl.n_args = argc - 2;
		return output_end((int)ctl_complete_words(&ctl));
	}
	if (argc == 2 && strcmp(argv[1], "--commands") == 0)
		return output_end(synopses_print());
	int status = ctl_options_read(&ctl, argc, argv);
	if (status < 0 && !ctl.command->local)
		status = ctl_socket_find(&ctl);
	if (status >= 0)
		return output_end(status);
	ctl.deadline_ms =
		ctl_now_ms() + (uint64_t)(ctl.timeout_ms >= 0 ? ctl.timeout_ms : CTL_TIMEOUT_MS);
	return output_end((int)ctl.command->run(&ctl));
}
