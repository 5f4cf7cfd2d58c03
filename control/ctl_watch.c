// SPDX-License-Identifier: BSD-3-Clause
// tandemctl watch and audit: what happens, and what operators did.
#include "control/ctl.h"

#include "control/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#define KINDS_MAX 16

// "2026-11-26 12:00:00.123", local time.
static void time_text(uint64_t us, char dst[static 32])
{
	time_t seconds = (time_t)(us / 1000000);
	struct tm tm;
	char day[24] = "";

	localtime_r(&seconds, &tm);
	strftime(day, sizeof(day), "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(dst, 32, "%s.%03u", day, (unsigned)(us / 1000 % 1000));
}

// --- watch ---

static json_t *event_json(const Tandem__Event *event)
{
	json_t *details = json_object();

	for (size_t i = 0; i < event->n_details; i++)
		json_object_set_new(
			details, event->details[i]->name, ctl_text(event->details[i]->value));
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "time_us",
		ctl_number(event->time_us), "kind", ctl_text(event->kind), "subject",
		ctl_text(event->subject), "state", ctl_text(event->state), "text",
		ctl_text(event->text), "details", details, "lost", ctl_number(event->lost));
}

static void event_print(const struct ctl *ctl, const Tandem__Event *event)
{
	char stamp[32], line[640], clean[640];

	if (ctl->json) {
		ctl_print_json(event_json(event));
		fflush(stdout);
		return;
	}
	if (event->lost > 0)
		printf("… %" PRIu64 " events were lost: this terminal reads too slowly\n",
			event->lost);
	time_text(event->time_us, stamp);
	snprintf(line, sizeof(line), "%s", event->text);
	for (char *c = line; *c; c++)
		if (*c == '\n')
			*c = c[1] ? ';' : '\0';
	td_text_clean(line, sizeof(line), false, clean, sizeof(clean));
	const char *colour = ctl->colour ? ctl_colour_of(event->state) : "";
	printf("%s  %-9s  %s  %s%s%s  %s\n", stamp, event->kind, event->subject, colour,
		event->state, colour[0] ? "\033[0m" : "", clean);
	fflush(stdout);
}

enum ctl_status ctl_watch(struct ctl *ctl)
{
	Tandem__Frame request = TANDEM__FRAME__INIT, *frame;
	Tandem__Subscribe subscribe = TANDEM__SUBSCRIBE__INIT;
	char *kinds[KINDS_MAX];
	const char *kind, *trunk = ctl_value(ctl, "--trunk", 0);

	while (subscribe.n_kinds < KINDS_MAX &&
		(kind = ctl_value(ctl, "--kind", (int)subscribe.n_kinds)))
		kinds[subscribe.n_kinds++] = (char *)(uintptr_t)kind;
	request.body_case = TANDEM__FRAME__BODY_SUBSCRIBE;
	request.subscribe = &subscribe;
	subscribe.kinds = kinds;
	if (trunk)
		subscribe.trunk = (char *)(uintptr_t)trunk;
	if (ctl_ask(ctl, &request, false) != CTL_DONE)
		return CTL_UNREACHABLE;
	frame = ctl_next(ctl, false);
	if (!frame || frame->body_case != TANDEM__FRAME__BODY_DONE)
		return ctl_end_error(ctl, frame);
	ctl->deadline_ms =
		ctl->timeout_ms >= 0 ? ctl_now_ms() + (uint64_t)ctl->timeout_ms : UINT64_MAX;
	while ((frame = ctl_next(ctl, true))) {
		if (frame->body_case == TANDEM__FRAME__BODY_EVENT)
			event_print(ctl, frame->event);
		tandem__frame__free_unpacked(frame, NULL);
		if (ferror(stdout)) // nobody is told any more
			return CTL_REFUSED;
	}
	if (errno == ETIMEDOUT)
		return CTL_DONE;
	fputs("tandemctl: tandem-control ended the connection\n", stderr);
	return CTL_UNREACHABLE;
}

// --- audit ---

static const char *const audit_columns[] = { "time", "user", ">pid", "what", "on", "result",
	"text" };

static void audit_cells(const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item)
{
	const Tandem__Audit *a = item->audit;
	char stamp[32];

	time_text(a->time_us, stamp);
	ctl_table_cell(out, "%s", stamp);
	ctl_table_cell(out, "%s", a->user);
	ctl_table_cell(out, "%u", a->pid);
	ctl_table_cell(out, "%s", a->what);
	ctl_table_cell(out, "%s", a->subject);
	ctl_table_cell(out, "%s", a->code == 0 ? "done" : strerror(a->code));
	ctl_table_cell(out, "%s", a->text);
}

static json_t *audit_json(const struct ctl *ctl, const Tandem__Item *item)
{
	const Tandem__Audit *a = item->audit;

	return json_pack("{s:o, s:o, s:i, s:i, s:o, s:o, s:i, s:o}", "time_us",
		ctl_number(a->time_us), "user", ctl_text(a->user), "uid", (int)a->uid, "pid",
		(int)a->pid, "what", ctl_text(a->what), "on", ctl_text(a->subject), "code",
		(int)a->code, "text", ctl_text(a->text));
}

const struct ctl_view ctl_view_audit = { TANDEM__TABLE__AUDIT, TANDEM__ITEM__ROW_AUDIT,
	CTL_COLUMNS(audit_columns), .none = "nobody has changed anything", .cells = audit_cells,
	.json = audit_json };
