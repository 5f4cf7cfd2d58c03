// SPDX-License-Identifier: BSD-3-Clause
// tandemctl route …: dial plans loaded from files, looked at and tested.
#include "control/ctl.h"
#include "control/plan_diff.h"
#include "control/route_csv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PLAN_DEFAULT "default"
#define LOAD_MS 600000

static char *plan_of(const struct ctl *ctl)
{
	const char *plan = ctl_value(ctl, "--plan", 0);

	return (char *)(uintptr_t)(plan ? plan : PLAN_DEFAULT);
}

// --- load ---

static void progress_print(const Tandem__RouteProgress *p)
{
	if (!isatty(STDERR_FILENO))
		return;
	if (p->total > 0)
		fprintf(stderr, "\r%s %3.0f %% ", p->phase,
			100.0 * (double)p->done / (double)p->total);
	else
		fprintf(stderr, "\r%s …       ", p->phase);
}

static json_t *diff_json(const Tandem__RouteDiff *d)
{
	json_t *samples = json_array();
	char generation[20];

	for (size_t i = 0; i < d->n_samples; i++)
		json_array_append_new(samples, ctl_text(d->samples[i]));
	snprintf(generation, sizeof(generation), "%016" PRIx64, d->generation);
	return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "plan", ctl_text(d->plan),
		"generation", generation, "rows", ctl_number(d->rows), "bytes",
		ctl_number(d->bytes), "added", ctl_number(d->added), "changed",
		ctl_number(d->changed), "removed", ctl_number(d->removed), "samples", samples);
}

static void diff_print(const Tandem__RouteDiff *d)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r                    \r");
	fprintf(stdout,
		"plan %s: %" PRIu64 " lines; %" PRIu64 " added, %" PRIu64 " changed, %" PRIu64
		" removed\n",
		d->plan, d->rows, d->added, d->changed, d->removed);
	for (size_t i = 0; i < d->n_samples; i++)
		fprintf(stdout, "  %s\n", d->samples[i]);
}

// Reads on to the end of the answer. *diff: its item, the caller's; NULL where none came.
static Tandem__Frame *load_answer(struct ctl *ctl, Tandem__Frame **diff)
{
	Tandem__Frame *frame;

	*diff = NULL;
	while ((frame = ctl_next(ctl, false)) && frame->body_case == TANDEM__FRAME__BODY_ITEM) {
		if (frame->item->row_case == TANDEM__ITEM__ROW_ROUTE_PROGRESS && !ctl->json)
			progress_print(frame->item->route_progress);
		if (frame->item->row_case == TANDEM__ITEM__ROW_ROUTE_DIFF && !*diff) {
			*diff = frame;
			if (!ctl->json)
				diff_print(frame->item->route_diff);
			continue;
		}
		tandem__frame__free_unpacked(frame, NULL);
	}
	return frame;
}

static bool wanted(void)
{
	char line[16] = "";

	fprintf(stderr, "commit? [y/N] ");
	return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y');
}

static enum ctl_status load_end(
	const struct ctl *ctl, const Tandem__RouteDiff *diff, bool committed)
{
	if (!ctl->json)
		return ctl_end(
			ctl, CTL_DONE, committed ? "committed" : "staged; nothing is in force");
	json_t *out = diff_json(diff);
	json_object_set_new(out, "ok", json_true());
	json_object_set_new(out, "committed", json_boolean(committed));
	ctl_print_json(out);
	return CTL_DONE;
}

static enum ctl_status commit(struct ctl *ctl, const Tandem__RouteDiff *diff)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__RouteCommit request = TANDEM__ROUTE_COMMIT__INIT;
	Tandem__Frame *none;

	frame.body_case = TANDEM__FRAME__BODY_ROUTE_COMMIT;
	frame.route_commit = &request;
	request.plan = diff->plan;
	request.generation = diff->generation;
	ctl_disconnect(ctl);
	if (ctl_ask(ctl, &frame, false) != CTL_DONE)
		return CTL_UNREACHABLE;
	Tandem__Frame *answer = load_answer(ctl, &none);
	enum ctl_status status = answer && answer->body_case == TANDEM__FRAME__BODY_DONE
					 ? load_end(ctl, diff, true)
					 : ctl_end_error(ctl, answer);
	tandem__frame__free_unpacked(none, NULL);
	tandem__frame__free_unpacked(answer, NULL);
	return status;
}

enum ctl_status ctl_route_load(struct ctl *ctl)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT, *diff;
	Tandem__RouteLoad load = TANDEM__ROUTE_LOAD__INIT;
	char path[PATH_MAX], folder[PATH_MAX] = "";

	// The file is control's to open: its own folder is another.
	const char *slash = "";
	if (ctl->args[0][0] != '/' && getcwd(folder, sizeof(folder)))
		slash = "/";
	if ((size_t)snprintf(path, sizeof(path), "%s%s%s", folder, slash, ctl->args[0]) >=
		sizeof(path))
		return ctl_end(ctl, CTL_REFUSED, "the path is too long");
	frame.body_case = TANDEM__FRAME__BODY_ROUTE_LOAD;
	frame.route_load = &load;
	load.path = path;
	load.plan = plan_of(ctl);
	load.commit = ctl_flag(ctl, "--commit");
	ctl->deadline_ms =
		ctl_now_ms() + (uint64_t)(ctl->timeout_ms >= 0 ? ctl->timeout_ms : LOAD_MS);
	if (ctl_ask(ctl, &frame, false) != CTL_DONE)
		return CTL_UNREACHABLE;
	Tandem__Frame *answer = load_answer(ctl, &diff);
	enum ctl_status status;
	if (!answer || answer->body_case != TANDEM__FRAME__BODY_DONE || !diff)
		status = ctl_end_error(ctl, answer);
	else if (!load.commit && !ctl->json && isatty(STDIN_FILENO) && wanted())
		status = commit(ctl, diff->item->route_diff);
	else
		status = load_end(ctl, diff->item->route_diff, load.commit);
	tandem__frame__free_unpacked(diff, NULL);
	tandem__frame__free_unpacked(answer, NULL);
	return status;
}

// --- one route ---

// Options are columns of a route file, and the match is the argument.
static size_t fields_of(const struct ctl *ctl, char *fields[TD_ROUTE_CSV_COLUMNS])
{
	char option[32];
	size_t n = 0;

	for (int c = COL_TO; c < TD_ROUTE_CSV_COLUMNS; c++) {
		const char *column = td_route_csv_columns[c];
		snprintf(option, sizeof(option), "--%s",
			c == COL_MAX_DURATION ? "max-duration" : column);
		const char *value = ctl_value(ctl, option, 0);
		if (value && asprintf(&fields[n], "%s=%s", column, value) > 0)
			n++;
	}
	return n;
}

static enum ctl_status change(struct ctl *ctl, bool remove)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT, *diff;
	Tandem__RouteChange request = TANDEM__ROUTE_CHANGE__INIT;
	char *fields[TD_ROUTE_CSV_COLUMNS];

	frame.body_case = TANDEM__FRAME__BODY_ROUTE_CHANGE;
	frame.route_change = &request;
	request.plan = plan_of(ctl);
	request.match = ctl->args[0];
	request.remove = remove;
	request.fields = fields;
	request.n_fields = fields_of(ctl, fields);
	ctl->deadline_ms =
		ctl_now_ms() + (uint64_t)(ctl->timeout_ms >= 0 ? ctl->timeout_ms : LOAD_MS);
	enum ctl_status asked = ctl_ask(ctl, &frame, false);
	for (size_t i = 0; i < request.n_fields; i++)
		free(fields[i]);
	if (asked != CTL_DONE)
		return CTL_UNREACHABLE;
	Tandem__Frame *answer = load_answer(ctl, &diff);
	enum ctl_status status = answer && answer->body_case == TANDEM__FRAME__BODY_DONE && diff
					 ? load_end(ctl, diff->item->route_diff, true)
					 : ctl_end_error(ctl, answer);
	tandem__frame__free_unpacked(diff, NULL);
	tandem__frame__free_unpacked(answer, NULL);
	return status;
}

enum ctl_status ctl_route_add(struct ctl *ctl)
{
	return change(ctl, false);
}

enum ctl_status ctl_route_del(struct ctl *ctl)
{
	return change(ctl, true);
}

enum ctl_status ctl_route_remove(struct ctl *ctl)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__RouteRemove request = TANDEM__ROUTE_REMOVE__INIT;

	frame.body_case = TANDEM__FRAME__BODY_ROUTE_REMOVE;
	frame.route_remove = &request;
	request.plan = ctl->args[0];
	return ctl_act(ctl, &frame, "removed");
}

// --- list ---

static const char *const plan_columns[] = { "plan", ">lines", ">bytes", "generation", "in force" };

static void plan_cells(const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item)
{
	const Tandem__PlanState *p = item->plan;

	ctl_table_cell(out, "%s", p->name);
	ctl_table_cell(out, "%" PRIu64, p->rows);
	ctl_table_cell(out, "%" PRIu64, p->bytes);
	ctl_table_cell(out, "%016" PRIx64, p->generation);
	ctl_table_cell(out, "%s", p->in_force ? "yes" : "no");
}

static json_t *plan_json(const struct ctl *ctl, const Tandem__Item *item)
{
	const Tandem__PlanState *p = item->plan;
	char generation[20];

	snprintf(generation, sizeof(generation), "%016" PRIx64, p->generation);
	return json_pack("{s:o, s:o, s:o, s:s, s:b}", "plan", ctl_text(p->name), "rows",
		ctl_number(p->rows), "bytes", ctl_number(p->bytes), "generation", generation,
		"in_force", p->in_force);
}

const struct ctl_view ctl_view_plans = {
	.table = TANDEM__TABLE__PLANS,
	.row = TANDEM__ITEM__ROW_PLAN,
	CTL_COLUMNS(plan_columns),
	.none = "no dial plan is loaded; route load FILE does",
	.cells = plan_cells,
	.json = plan_json,
};

// --- show and dump: the committed image, read here ---

struct wanted_plan {
	const char *name;
	char path[PATH_MAX]; // empty: there is none
};

static bool plan_look(void *user, const Tandem__Item *item)
{
	struct wanted_plan *wanted = user;

	if (item->row_case == TANDEM__ITEM__ROW_PLAN && strcmp(item->plan->name, wanted->name) == 0)
		snprintf(wanted->path, sizeof(wanted->path), "%s", item->plan->path);
	return true;
}

// The image of a plan, mapped for the rest of the process. false: told why not.
static bool plan_open(
	struct ctl *ctl, const char *name, struct td_route_image *image, enum ctl_status *status)
{
	struct wanted_plan plan = { .name = name };
	char text[PATH_MAX + 64];
	const char *error = "", *path = plan.path;
	struct stat st;

	*status = ctl_each_row(ctl, TANDEM__TABLE__PLANS, false, plan_look, &plan);
	if (*status != CTL_DONE)
		return false;
	int fd = path[0] ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *at = fd >= 0 && fstat(fd, &st) == 0
			   ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
			   : MAP_FAILED;
	if (at != MAP_FAILED && td_route_image_open(image, at, (size_t)st.st_size, &error) == 0)
		return true;
	if (path[0])
		snprintf(text, sizeof(text), "%s: %s", path, error[0] ? error : strerror(errno));
	else
		snprintf(text, sizeof(text),
			"no plan is named %s; route list shows them, --plan names another", name);
	*status = ctl_end(ctl, CTL_REFUSED, text);
	return false;
}

static void line_print(void *ctx, const char *text, size_t len)
{
	fwrite(text, 1, len, stdout);
}

// Objects of a JSON array, written as they come: a plan may have millions.
static void row_print(void *ctx, const struct td_span *fields)
{
	bool *first = ctx;
	json_t *row = json_object();

	for (int c = 0; c < TD_ROUTE_CSV_COLUMNS; c++) {
		char text[600];
		td_span_cstr(fields[c], text, sizeof(text));
		json_object_set_new(row, td_route_csv_columns[c],
			text[0] || c == 0 ? ctl_text(text) : json_null());
	}
	fputs(*first ? "[" : ",\n", stdout);
	*first = false;
	json_dumpf(row, stdout, JSON_COMPACT);
	json_decref(row);
}

struct printing {
	const struct ctl *ctl;
	const struct td_route_image *image;
	bool first;
};

static void match_print(struct printing *p, const char *match, uint32_t set)
{
	if (p->ctl->json)
		td_route_csv_each(p->image, match, set, row_print, &p->first);
	else
		td_route_csv_write(p->image, match, set, line_print, NULL);
}

static void print_begin(const struct printing *p)
{
	if (!p->ctl->json)
		fputs(TD_ROUTE_CSV_HEADER, stdout);
}

static void print_end(const struct printing *p)
{
	if (p->ctl->json)
		fputs(p->first ? "[]\n" : "]\n", stdout);
}

// A '+' does not count, as in route files.
static const char *match_plain(char *match)
{
	if (match[0] == '=' && match[1] == '+') {
		match[1] = '=';
		return match + 1;
	}
	return match + (match[0] == '+');
}

enum ctl_status ctl_route_show(struct ctl *ctl)
{
	struct td_route_image image;
	enum ctl_status status;

	if (!plan_open(ctl, plan_of(ctl), &image, &status))
		return status;
	const char *match = match_plain(ctl->args[0]);
	uint32_t set = td_plan_find(&image, match);
	if (set == 0)
		return ctl_end(ctl, CTL_REFUSED,
			"no route has exactly that match; route test NUMBER --from WHOM says which "
			"one a call takes");
	struct printing p = { ctl, &image, true };
	print_begin(&p);
	match_print(&p, match, set);
	print_end(&p);
	return CTL_DONE;
}

struct dump_line {
	char *match;
	uint32_t set;
};

struct dump {
	struct dump_line *lines;
	size_t n, cap;
};

static void dump_add(void *ctx, const char *text, uint32_t set)
{
	struct dump *d = ctx;

	if (d->n == d->cap) {
		d->cap = d->cap ? 2 * d->cap : 1024;
		d->lines = realloc(d->lines, d->cap * sizeof(*d->lines));
		if (!d->lines)
			abort();
	}
	d->lines[d->n++] = (struct dump_line){ strdup(text), set };
}

static int dump_compare(const void *a, const void *b)
{
	return strcmp(((const struct dump_line *)a)->match, ((const struct dump_line *)b)->match);
}

enum ctl_status ctl_route_dump(struct ctl *ctl)
{
	struct dump dump = { 0 };
	struct td_route_image image;
	enum ctl_status status;

	if (!plan_open(ctl, plan_of(ctl), &image, &status))
		return status;
	td_plan_each(&image, dump_add, &dump);
	if (dump.n > 1)
		qsort(dump.lines, dump.n, sizeof(*dump.lines), dump_compare);
	struct printing p = { ctl, &image, true };
	print_begin(&p);
	for (size_t i = 0; i < dump.n; i++) {
		match_print(&p, dump.lines[i].match, dump.lines[i].set);
		free(dump.lines[i].match);
	}
	free(dump.lines);
	print_end(&p);
	return CTL_DONE;
}

// --- test ---

static void step_print(const Tandem__RouteStep *s)
{
	if (s->who[0])
		ctl_number_step(s);
	else if (strcmp(s->what, "plan") == 0)
		fprintf(stdout, "plan %s (%s)\n", s->plan, s->name);
	else if (strcmp(s->what, "match") == 0)
		fprintf(stdout, "match \"%s\" in plan %s\n", s->match, s->plan);
	else if (strcmp(s->what, "pass") == 0)
		fprintf(stdout, "  pass over: %s%s%s\n", s->why, s->name[0] ? " " : "", s->name);
	else if (strcmp(s->what, "block") == 0)
		fprintf(stdout, "  blocked with %u%s%s\n", s->status, s->name[0] ? ": " : "",
			s->name);
	else
		fprintf(stdout, "  %s %s: priority %u, cost %g, weight %u%s%s\n", s->what, s->name,
			s->priority, s->cost / 1e6, s->weight, s->why[0] ? "; not tried: " : "",
			s->why);
}

static json_t *step_json(const Tandem__RouteStep *s)
{
	bool number = s->who[0] != '\0';

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:o, s:o}",
		"what", ctl_text(s->what), "who", number ? ctl_text(s->who) : json_null(), "before",
		number ? ctl_text(s->before) : json_null(), "after",
		number ? ctl_text(s->after) : json_null(), "plan", ctl_text(s->plan), "realm",
		number ? ctl_text(s->realm) : json_null(), "match", ctl_text(s->match), "name",
		ctl_text(s->name), "why", s->why[0] ? ctl_text(s->why) : json_null(), "priority",
		ctl_number(s->priority), "weight", ctl_number(s->weight), "cost",
		(double)s->cost / 1e6, "status", ctl_number(s->status), "tried",
		json_boolean(strcmp(s->what, "target") == 0 && s->why[0] == '\0'));
}

static json_t *target_json(const Tandem__RouteTargetState *t)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "trunk", ctl_text(t->trunk),
		"peer", ctl_text(t->peer), "group", ctl_text(t->group), "limit", ctl_text(t->limit),
		"failover", ctl_text(t->failover), "max_duration_s", ctl_number(t->max_duration_s),
		"number", ctl_text(t->number), "caller", ctl_text(t->caller));
}

static void target_print(int n, const Tandem__RouteTargetState *t)
{
	if (n == 1)
		fputs("tried in this order:\n", stdout);
	fprintf(stdout, "  %d. %s%s%s%s%s%s%s\n", n, t->trunk, t->peer[0] ? " " : "", t->peer,
		t->number[0] ? ", called " : "", t->number, t->caller[0] ? " by " : "", t->caller);
}

static bool time_read(const char *text, uint64_t *out)
{
	struct tm tm = { 0 };
	char *end;
	unsigned long long s = strtoull(text, &end, 10);

	if (end != text && *end == '\0') {
		*out = s;
		return true;
	}
	for (const char *const *f =
			(const char *const[]){ "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", NULL };
		*f; f++) {
		memset(&tm, 0, sizeof(tm));
		end = strptime(text, *f, &tm);
		if (end && *end == '\0') {
			*out = (uint64_t)timegm(&tm);
			return true;
		}
	}
	return false;
}

// status: 0, or what the call is refused with.
static enum ctl_status test_end(
	const struct ctl *ctl, unsigned status, json_t *steps, json_t *targets)
{
	if (ctl->json)
		ctl_print_json(json_pack("{s:b, s:i, s:O, s:O}", "ok", status == 0, "status",
			(int)status, "steps", steps, "targets", targets));
	else if (status != 0)
		fprintf(stdout, "refused with %u\n", status);
	return status == 0 ? CTL_DONE : CTL_REFUSED;
}

static enum ctl_status test_answer(struct ctl *ctl)
{
	json_t *steps = json_array(), *targets = json_array();
	Tandem__Frame *frame;
	int n = 0;

	while ((frame = ctl_next(ctl, false)) && frame->body_case == TANDEM__FRAME__BODY_ITEM) {
		const Tandem__Item *item = frame->item;
		if (item->row_case == TANDEM__ITEM__ROW_ROUTE_STEP && ctl->json)
			json_array_append_new(steps, step_json(item->route_step));
		else if (item->row_case == TANDEM__ITEM__ROW_ROUTE_STEP)
			step_print(item->route_step);
		else if (item->row_case == TANDEM__ITEM__ROW_ROUTE_TARGET && ctl->json)
			json_array_append_new(targets, target_json(item->route_target));
		else if (item->row_case == TANDEM__ITEM__ROW_ROUTE_TARGET)
			target_print(++n, item->route_target);
		tandem__frame__free_unpacked(frame, NULL);
	}
	enum ctl_status status =
		frame && frame->body_case == TANDEM__FRAME__BODY_DONE
			? test_end(ctl, (unsigned)frame->done->count, steps, targets)
			: ctl_end_error(ctl, frame);
	tandem__frame__free_unpacked(frame, NULL);
	json_decref(steps);
	json_decref(targets);
	return status;
}

enum ctl_status ctl_route_test(struct ctl *ctl)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__RouteTest test = TANDEM__ROUTE_TEST__INIT;
	const char *from = ctl_value(ctl, "--from", 0), *at = ctl_value(ctl, "--at", 0),
		   *caller = ctl_value(ctl, "--caller", 0);

	frame.body_case = TANDEM__FRAME__BODY_ROUTE_TEST;
	frame.route_test = &test;
	test.at_s = (uint64_t)time(NULL);
	if (!from || (at && !time_read(at, &test.at_s))) {
		fprintf(stderr, "tandemctl: %s\n",
			from ? "--at takes seconds since 1970 or a time such as 2026-12-24T18:00Z"
			     : "route test needs --from TRUNK or --from AOR");
		return CTL_USAGE;
	}
	test.number = ctl->args[0];
	test.from = (char *)(uintptr_t)from;
	if (caller)
		test.caller = (char *)(uintptr_t)caller;
	if (ctl_ask(ctl, &frame, false) != CTL_DONE)
		return CTL_UNREACHABLE;
	return test_answer(ctl);
}
