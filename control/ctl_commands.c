// SPDX-License-Identifier: BSD-3-Clause
// Every command of tandemctl: the one place where its words, arguments, options and help are said.
// What an argument or an option's value is called says what completion offers (ctl_complete.c).
// tandemctl(1) lists the same lines (tests/unit/test_tandemctl.py).
#include "control/ctl.h"

#include <string.h>

#define VIEW(words_, view_, ...)                                                                   \
	{                                                                                          \
		.words = words_, .run = ctl_show, .view = &(view_), __VA_ARGS__                    \
	}
#define ROUTE_KEYS "--plan=PLAN --to=NAME --domain=DOMAIN --caller=DIGITS --window=WINDOW"
#define ROUTE_OPTIONS                                                                              \
	ROUTE_KEYS " --priority=N --weight=N --cost=COST --max-duration=S --block=STATUS "         \
		   "--limit=LIMIT --failover=RULE --name=NAME"
#define TRUNK_OPTIONS                                                                              \
	"--realm=REALM --peer=ADDRESS --max-calls=N --max-cps=N --plan=PLAN --set=KEY=VALUE"
#define SUBSCRIBER_OPTIONS                                                                         \
	"--password-stdin --number=N --plan=PLAN --display=NAME --max-calls=N --max-cps=N "        \
	"--cps-burst=N --disabled"
#define ONE_ARG .args_min = 1, .args_max = 1

// clang-format off
const struct ctl_command ctl_commands[] = {
	{ "wait", .run = ctl_wait,
		.help = "until both daemons are up, in sync and every port works" },
	{ "status", .run = ctl_status,
		.help = "does it take calls, and what is wrong: one screen" },
	VIEW("show cores", ctl_view_cores, .help = "load and packets of each core"),
	VIEW("show ports", ctl_view_ports, .help = "ports and how they steer packets to cores"),
	VIEW("show trunks", ctl_view_trunks, .help = "trunks, their state, calls and limits"),
	VIEW("show peers", ctl_view_peers, .help = "peers of trunks, and who of them is there"),
	VIEW("show limits", ctl_view_limits,
		.help = "limits of the switch, trunks, groups and routes, and what they hold"),
	VIEW("show calls", ctl_view_calls, .help = "every call that is up"),
	VIEW("show call", ctl_view_call, .args = "ID", ONE_ARG,
		.help = "one call and its media legs"),
	VIEW("show counters", ctl_view_counters, .options = "--per-core --all",
		.help = "named outcomes that are not zero, or all"),
	VIEW("show stats", ctl_view_stats,
		.help = "SIP messages, calls by result, histograms, pools, journal"),
	VIEW("show version", ctl_view_version, .help = "of everything that runs"),
	VIEW("show registrations", ctl_view_registrations, .args = "[AOR]", .args_max = 1,
		.help = "who is registered, and where"),
	{ "subscriber add", .args = "AOR", ONE_ARG, .run = ctl_subscriber_add,
		.options = SUBSCRIBER_OPTIONS " --replace",
		.help = "let somebody register and call" },
	{ "subscriber set", .args = "AOR", ONE_ARG, .run = ctl_subscriber_set,
		.options = SUBSCRIBER_OPTIONS " --enabled",
		.help = "change what is named of a subscriber, and nothing else" },
	VIEW("subscriber list", ctl_view_subscribers, .help = "all subscribers"),
	VIEW("subscriber show", ctl_view_subscriber, .args = "AOR", ONE_ARG,
		.help = "one subscriber"),
	{ "subscriber del", .args = "AOR", ONE_ARG, .run = ctl_subscriber_del,
		.help = "remove a subscriber and its numbers" },
	{ "number add", .args = "NUMBER AOR", .args_min = 2, .args_max = 2, .run = ctl_number_add,
		.help = "give a subscriber a further number" },
	VIEW("number list", ctl_view_numbers, .help = "all numbers and whose they are"),
	{ "number del", .args = "NUMBER", ONE_ARG, .run = ctl_number_del,
		.help = "take a number from its subscriber" },
	{ "cdr last", .args = "[N]", .args_max = 1, .run = ctl_cdr_last,
		.help = "the newest call detail records" },
	{ "cdr find", .args = "NUMBER", ONE_ARG, .options = "--limit=N", .run = ctl_cdr_find,
		.help = "the newest ones of a calling or called number" },
	VIEW("cdr show", ctl_view_cdr, .args = "CDR", ONE_ARG,
		.help = "one record and its attempts"),
	VIEW("show dns", ctl_view_dns, .help = "host names of peers and what they lead to"),
	{ "dns refresh", .args = "HOST", ONE_ARG, .run = ctl_dns_refresh,
		.help = "ask for a host name now" },
	VIEW("alarms", ctl_view_alarms, .help = "what is wrong at the moment, and what to do"),
	{ "hangup", .args = "ID", ONE_ARG, .run = ctl_hangup,
		.help = "end a call on both sides" },
	{ "drain", .options = "--off", .run = ctl_drain,
		.help = "take no new calls, or take them again" },
	{ "trunk add", .args = "NAME", ONE_ARG, .options = TRUNK_OPTIONS, .run = ctl_trunk_add,
		.help = "keep a trunk in the store, beside those of the configuration file" },
	{ "trunk set", .args = "TRUNK", ONE_ARG, .options = TRUNK_OPTIONS,
		.run = ctl_trunk_change, .help = "change a trunk of the store" },
	{ "trunk del", .args = "TRUNK", ONE_ARG, .run = ctl_trunk_del,
		.help = "remove a trunk from the store" },
	VIEW("trunk list", ctl_view_stored_trunks, .help = "trunks of the store"),
	{ "trunk enable", .args = "TRUNK", ONE_ARG, .run = ctl_trunk_enable,
		.help = "let a trunk take calls, whatever the configuration file says" },
	{ "trunk disable", .args = "TRUNK", ONE_ARG, .run = ctl_trunk_disable,
		.help = "no new calls on a trunk; those that are up go on" },
	{ "trunk drain", .args = "TRUNK", ONE_ARG, .run = ctl_trunk_drain,
		.help = "the same, and wait until its last call has ended" },
	{ "reload", .options = "--dry-run", .run = ctl_reload,
		.help = "take the changed configuration file into force, "
			"or say what would change" },
	{ "watch", .options = "--kind=KIND --trunk=TRUNK", .run = ctl_watch,
		.help = "what happens, as it happens: trunks, alarms, calls, policy, dataplane, "
			"audit, dns" },
	VIEW("audit", ctl_view_audit, .options = "--last=N", .help = "who changed what, and when"),
	{ "route load", .args = "FILE", ONE_ARG, .options = "--plan=PLAN --commit",
		.run = ctl_route_load,
		.help = "stage a route file, show what it changes, commit it or ask" },
	VIEW("route list", ctl_view_plans, .help = "dial plans that were loaded"),
	{ "route show", .args = "MATCH", ONE_ARG, .options = "--plan=PLAN", .run = ctl_route_show,
		.help = "the lines of one match of a dial plan" },
	{ "route dump", .options = "--plan=PLAN", .run = ctl_route_dump,
		.help = "a whole dial plan as a route file" },
	{ "route add", .args = "MATCH", ONE_ARG, .options = ROUTE_OPTIONS, .run = ctl_route_add,
		.help = "put one route into a dial plan, or in the place of one" },
	{ "route del", .args = "MATCH", ONE_ARG, .options = ROUTE_KEYS, .run = ctl_route_del,
		.help = "take the routes of one match out of a dial plan" },
	{ "route test", .args = "NUMBER", ONE_ARG,
		.options = "--from=WHOM --at=TIME --caller=NUMBER",
		.run = ctl_route_test, .help = "every step of the decision where a call would go" },
	{ "route remove", .args = "PLAN", ONE_ARG, .run = ctl_route_remove,
		.help = "forget a dial plan" },
	VIEW("rule list", ctl_view_rules, .help = "number rules in force"),
	{ "rule test", .args = "RULE NUMBER", .args_min = 2, .args_max = 2, .run = ctl_rule_test,
		.help = "what a rule makes of a number" },
	{ "check", .args = "[FILE]", .args_max = 1, .options = "--set=PATH=VALUE",
		.local = true, .run = ctl_check, .help = "is a configuration file right?" },
	{ 0 },
};
// clang-format on

// How many words of the command stand at the front of args; 0: not all of them.
static int words_match(const struct ctl_command *command, char *const *args, int n_args)
{
	const char *word = command->words;
	int n = 0;

	for (; *word; n++) {
		size_t len = strcspn(word, " ");
		if (n == n_args || strlen(args[n]) != len || strncmp(args[n], word, len) != 0)
			return 0;
		word += len + (word[len] == ' ');
	}
	return n;
}

const struct ctl_command *ctl_command_find(char *const *args, int n_args, int *used)
{
	const struct ctl_command *found = NULL;

	*used = 0;
	for (const struct ctl_command *c = ctl_commands; c->words; c++) {
		int n = words_match(c, args, n_args);
		if (n > *used) {
			*used = n;
			found = c;
		}
	}
	return found;
}

void ctl_synopsis(const struct ctl_command *command, char *dst, size_t cap)
{
	int at = snprintf(dst, cap, "%s%s%s", command->words, command->args ? " " : "",
		command->args ? command->args : "");

	for (const char *o = command->options; o && *o && at > 0 && (size_t)at < cap;) {
		size_t len = strcspn(o, " "), name = strcspn(o, " =");
		bool valued = name < len;
		at += snprintf(dst + at, cap - (size_t)at, " [%.*s%s%.*s]", (int)name, o,
			valued ? " " : "", valued ? (int)(len - name - 1) : 0, o + name + valued);
		o += len + (o[len] == ' ');
	}
}

void ctl_usage_of(FILE *out, const struct ctl_command *command)
{
	char text[256];

	ctl_synopsis(command, text, sizeof(text));
	fprintf(out, "usage: tandemctl %s\n  %s\n", text, command->help);
}

void ctl_usage(FILE *out)
{
	char text[256];

	fputs("usage: tandemctl [-c FILE | -s SOCKET] [--json] [--timeout SECONDS] COMMAND\n", out);
	for (const struct ctl_command *c = ctl_commands; c->words; c++) {
		ctl_synopsis(c, text, sizeof(text));
		fprintf(out, strlen(text) > 36 ? "  %s\n%40s%s\n" : "  %-36s%.0s  %s\n", text, "",
			c->help);
	}
	fputs("  -c, --config FILE    find tandem-control by the run_dir of this configuration\n"
	      "  -s, --socket SOCKET  its socket (default /run/tandem/control.sock)\n"
	      "  --json               for scripts, on every command\n"
	      "  --timeout SECONDS    give up after so long\n"
	      "  --version, --help    of tandemctl, or of the command before it\n"
	      "Exit status: 0 done, 1 refused or not found, 2 wrong usage, 3 tandem-control cannot "
	      "be reached.\n",
		out);
}
