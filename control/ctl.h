// SPDX-License-Identifier: BSD-3-Clause
// Inside of tandemctl: one process, one request, one answer. Memory is the process's; errors end it
// with a status.
//
// A command is one line of ctl_commands.c: usage, help, completion and the checks of arguments and
// options come from there, and a test holds tandemctl(1) against it.
#pragma once

#include "include/frame.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <tandem.pb-c.h>

enum ctl_status {
	CTL_DONE = 0,
	CTL_REFUSED = 1,
	CTL_USAGE = 2,
	CTL_UNREACHABLE = 3,
};

#define CTL_OPTIONS_MAX 128
#define CTL_TIMEOUT_MS 15000

struct ctl;
struct ctl_view;

struct ctl_command {
	const char *words;   // "show counters"
	const char *args;    // as usage says it: "ID", "[FILE]"
	const char *options; // its own: "--all --number=N"; '=': takes a value
	const char *help;    // what it does, without a full stop
	enum ctl_status (*run)(struct ctl *ctl);
	const struct ctl_view *view; // of ctl_show()
	uint8_t args_min, args_max;
	bool local; // works without tandem-control
};

struct ctl {
	const struct ctl_command *command;
	char socket[108];
	const char *config; // -c; NULL: not given
	bool json, colour;
	int timeout_ms; // -1: the command's default
	int n_args;     // behind the command's words
	char **args;
	int n_options; // the command's own, as they were given
	struct {
		const char *name, *value; // "--number"; value NULL where it takes none
	} options[CTL_OPTIONS_MAX];
	int fd; // -1: not connected
	uint64_t deadline_ms;
	struct td_frames in;
};

// --- ctl_commands.c: the table, and what is made from it ---

extern const struct ctl_command ctl_commands[]; // ends with words NULL
// The command that the words at the front of args name, the longest one; *used: how many those are.
const struct ctl_command *ctl_command_find(char *const *args, int n_args, int *used);
void ctl_usage(FILE *out);
void ctl_usage_of(FILE *out, const struct ctl_command *command);
// "show counters [--per-core] [--all]"
void ctl_synopsis(const struct ctl_command *command, char *dst, size_t cap);

// --- ctl_options.c ---

// Fills ctl from the command line. -1: go on; else the exit status.
int ctl_options_read(struct ctl *ctl, int argc, char **argv);
// Is name (of len bytes) an option of any command? *valued: it takes a value, and does so in all.
bool ctl_option_known(const char *name, size_t len, bool *valued);
// What its value is called ("PLAN", up to a blank or a '='); NULL: the command (which may be NULL)
// has no such option, or it takes none.
const char *ctl_option_place(const struct ctl_command *command, const char *name);
bool ctl_flag(const struct ctl *ctl, const char *name);
// Value of the n-th (from 0) option of that name; NULL: not given so often.
const char *ctl_value(const struct ctl *ctl, const char *name, int n);
// Without -s the configuration says where control listens. -1: go on.
int ctl_socket_find(struct ctl *ctl);

// --- ctl_complete.c ---

// Prints what may stand next, one a line; args: the words behind "tandemctl", the last one begun.
enum ctl_status ctl_complete_words(struct ctl *ctl);

// --- ctl_conn.c ---

uint64_t ctl_now_ms(void);
// Connects and sends; CTL_DONE or CTL_UNREACHABLE. quiet: says nothing of a failure. Waits until
// ctl->deadline_ms.
enum ctl_status ctl_ask(struct ctl *ctl, Tandem__Frame *frame, bool quiet);
// Next frame of the answer; the caller frees it. NULL: the connection broke or the time is over
// (told unless quiet).
Tandem__Frame *ctl_next(struct ctl *ctl, bool quiet);
void ctl_disconnect(struct ctl *ctl);

// --- ctl_print.c ---

// The end of a command that has no table: text for people, {"ok": …, "text": …} for scripts.
enum ctl_status ctl_end(const struct ctl *ctl, enum ctl_status status, const char *text);
// The same for an Error or an unexpected frame; NULL: unreachable, told already.
enum ctl_status ctl_end_error(const struct ctl *ctl, const Tandem__Frame *frame);
void ctl_print_json(json_t *value); // takes the reference
json_t *ctl_text(const char *text); // whatever it holds, it becomes valid JSON
json_t *ctl_number(uint64_t n);
json_t *ctl_time_or_null(uint64_t us); // 0: null

// A table for people: cells are copied, columns as wide as their widest cell.
struct ctl_table;
// columns: headings; one that begins with '>' is set flush right.
struct ctl_table *ctl_table_new(const char *const *columns, int n);
void ctl_table_cell(struct ctl_table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
// A line of its own below the row that the last cell has ended.
void ctl_table_below(struct ctl_table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
size_t ctl_table_rows(const struct ctl_table *table);
void ctl_table_limit(struct ctl_table *table, uint64_t limit); // 0 is no limit: "-"
void ctl_table_print(const struct ctl_table *table, bool colour);
void ctl_table_free(struct ctl_table *table);
const char *ctl_colour_of(const char *word); // of a state, for a terminal; empty: it has none

// --- ctl_show.c ---

// How the rows of one table are shown. JSON is an array of json(), or where key is there an object
// of key() to json(); with one, the only row itself.
struct ctl_view {
	Tandem__Table table;
	Tandem__Item__RowCase row;
	const char *const *columns;
	int n_columns;
	bool one;            // the row whose key is the argument
	const char *missing; // said where one finds none
	const char *none;    // said to people instead of a table without rows; NULL: its heading
	void (*cells)(const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item);
	json_t *(*json)(const struct ctl *ctl, const Tandem__Item *item);
	const char *(*key)(const Tandem__Item *item);
	void (*more)(const struct ctl *ctl, const Tandem__Item *item); // below the table of one
};

#define CTL_COLUMNS(list) .columns = list, .n_columns = sizeof(list) / sizeof(list[0])

// Asks for a table and hands each row to take(), until that returns false. quiet: a failure is only
// returned, not told.
enum ctl_status ctl_each_row(struct ctl *ctl, Tandem__Table table, bool quiet,
	bool (*take)(void *user, const Tandem__Item *item), void *user);
// Asks for the table of ctl->command->view and prints it.
enum ctl_status ctl_show(struct ctl *ctl);
// The same for any request whose answer is rows of that view.
enum ctl_status ctl_show_rows(struct ctl *ctl, const struct ctl_view *view, Tandem__Frame *request);
extern const struct ctl_view ctl_view_cores, ctl_view_ports, ctl_view_trunks, ctl_view_peers,
	ctl_view_limits, ctl_view_calls, ctl_view_call, ctl_view_counters, ctl_view_version;
extern const struct ctl_view ctl_view_stats; // ctl_stats.c
extern const struct ctl_view ctl_view_audit; // ctl_watch.c
extern const struct ctl_view ctl_view_subscribers, ctl_view_subscriber, ctl_view_numbers,
	ctl_view_registrations;                             // ctl_provision.c
extern const struct ctl_view ctl_view_cdr, ctl_view_alarms; // ctl_cdr.c
extern const struct ctl_view ctl_view_dns;                  // ctl_dns.c

// --- ctl_route.c ---

enum ctl_status ctl_route_load(struct ctl *ctl);
enum ctl_status ctl_route_add(struct ctl *ctl);
enum ctl_status ctl_route_del(struct ctl *ctl);
enum ctl_status ctl_route_remove(struct ctl *ctl);
enum ctl_status ctl_route_show(struct ctl *ctl);
enum ctl_status ctl_route_dump(struct ctl *ctl);
enum ctl_status ctl_route_test(struct ctl *ctl);
extern const struct ctl_view ctl_view_plans;

// --- ctl_rule.c ---

extern const struct ctl_view ctl_view_rules;
enum ctl_status ctl_rule_test(struct ctl *ctl);
void ctl_number_step(const Tandem__RouteStep *step); // what became of a number, a line

// --- ctl_actions.c ---

// Asks for something that ends with Done. text: said when the answer brings none.
enum ctl_status ctl_act(struct ctl *ctl, Tandem__Frame *request, const char *text);
enum ctl_status ctl_wait(struct ctl *ctl);
enum ctl_status ctl_status(struct ctl *ctl); // ctl_status.c
enum ctl_status ctl_hangup(struct ctl *ctl);
enum ctl_status ctl_drain(struct ctl *ctl);
enum ctl_status ctl_reload(struct ctl *ctl);
enum ctl_status ctl_check(struct ctl *ctl);
enum ctl_status ctl_watch(struct ctl *ctl);        // ctl_watch.c
enum ctl_status ctl_trunk_enable(struct ctl *ctl); // ctl_trunk.c
enum ctl_status ctl_trunk_disable(struct ctl *ctl);
enum ctl_status ctl_trunk_drain(struct ctl *ctl);
enum ctl_status ctl_trunk_add(struct ctl *ctl);
enum ctl_status ctl_trunk_change(struct ctl *ctl);
enum ctl_status ctl_trunk_del(struct ctl *ctl);
extern const struct ctl_view ctl_view_stored_trunks;

// --- ctl_provision.c, ctl_cdr.c ---

enum ctl_status ctl_subscriber_add(struct ctl *ctl);
enum ctl_status ctl_subscriber_set(struct ctl *ctl);
enum ctl_status ctl_subscriber_del(struct ctl *ctl);
enum ctl_status ctl_number_add(struct ctl *ctl);
enum ctl_status ctl_number_del(struct ctl *ctl);
enum ctl_status ctl_cdr_last(struct ctl *ctl);
enum ctl_status ctl_cdr_find(struct ctl *ctl);
enum ctl_status ctl_dns_refresh(struct ctl *ctl); // ctl_dns.c
