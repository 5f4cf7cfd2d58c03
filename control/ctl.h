// SPDX-License-Identifier: BSD-3-Clause
// Inside of tandemctl: one process, one request, one answer. Memory is the process's; errors end it
// with a status.
#pragma once

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

#define CTL_SETS_MAX 64

struct ctl {
	char socket[108];
	const char *config; // -c; NULL: not given
	const char *sets[CTL_SETS_MAX];
	int n_sets;
	bool json, per_core, all, off, dry_run, colour;
	int timeout_ms; // -1: the command's default
	int n_args;     // behind the command's words
	char **args;
	int fd; // -1: not connected
	uint64_t deadline_ms;
	uint8_t *in; // received and not taken
	size_t in_len, in_cap;
};

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

// A table for people: cells are copied, columns as wide as their widest cell.
struct ctl_table;
// columns: headings; one that begins with '>' is set flush right.
struct ctl_table *ctl_table_new(const char *const *columns, int n);
void ctl_table_cell(struct ctl_table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void ctl_table_print(struct ctl_table *table, bool colour); // and frees it

// --- commands ---

enum ctl_status ctl_show(struct ctl *ctl);
enum ctl_status ctl_wait(struct ctl *ctl);
enum ctl_status ctl_hangup(struct ctl *ctl);
enum ctl_status ctl_drain(struct ctl *ctl);
enum ctl_status ctl_reload(struct ctl *ctl);
enum ctl_status ctl_check(struct ctl *ctl);
