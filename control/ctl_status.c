// SPDX-License-Identifier: BSD-3-Clause
// tandemctl status: the whole switch on one screen, for whoever was just woken by it.
#include "control/ctl.h"

#include <inttypes.h>
#include <string.h>

#define NAMED_MAX 4 // names of what is not well, on one line

// How many are in that state, and the first names of those that are not well.
struct tally {
	unsigned up, down, other, named;
	char names[256];
};

struct status {
	bool reached, connected, in_sync, ports_ready, draining;
	char text[512]; // what is missing
	uint64_t calls, max_calls, max_cps, registrations;
	double cps, busiest;
	struct tally trunks, ports, alarms; // of alarms: up the warnings, down the critical ones
};

// --- what there is ---

static void tally_add(struct tally *tally, const char *name, bool well)
{
	size_t at = strlen(tally->names);

	if (well || tally->named++ >= NAMED_MAX)
		return;
	snprintf(tally->names + at, sizeof(tally->names) - at, "%s%s", at ? ", " : "", name);
}

static bool trunk_take(void *user, const Tandem__Item *item)
{
	struct tally *trunks = &((struct status *)user)->trunks;
	const Tandem__TrunkState *t = item->trunk;
	bool up = item->row_case == TANDEM__ITEM__ROW_TRUNK && strcmp(t->state, "up") == 0;

	if (item->row_case != TANDEM__ITEM__ROW_TRUNK)
		return true;
	trunks->up += up;
	trunks->down += strcmp(t->state, "down") == 0;
	trunks->other += !up && strcmp(t->state, "down") != 0;
	tally_add(trunks, t->name, up);
	return true;
}

static bool port_take(void *user, const Tandem__Item *item)
{
	struct tally *ports = &((struct status *)user)->ports;

	if (item->row_case != TANDEM__ITEM__ROW_PORT)
		return true;
	bool up = item->port->up;
	ports->up += up;
	ports->down += !up;
	tally_add(ports, item->port->name, up);
	return true;
}

static bool alarm_take(void *user, const Tandem__Item *item)
{
	struct tally *alarms = &((struct status *)user)->alarms;

	if (item->row_case != TANDEM__ITEM__ROW_ALARM)
		return true;
	bool critical = strcmp(item->alarm->severity, "critical") == 0;
	alarms->down += critical;
	alarms->up += !critical;
	tally_add(alarms, item->alarm->name, false);
	return true;
}

static bool limit_take(void *user, const Tandem__Item *item)
{
	struct status *s = user;
	const Tandem__LimitState *l = item->limit;

	if (item->row_case != TANDEM__ITEM__ROW_LIMIT || strcmp(l->kind, "switch") != 0)
		return true;
	s->calls = l->calls;
	s->max_calls = l->max_calls;
	s->cps = l->cps;
	s->max_cps = l->max_cps;
	return true;
}

static bool core_take(void *user, const Tandem__Item *item)
{
	struct status *s = user;

	if (item->row_case == TANDEM__ITEM__ROW_CORE && strcmp(item->core->role, "worker") == 0 &&
		item->core->busy > s->busiest)
		s->busiest = item->core->busy;
	return true;
}

static bool metric_take(void *user, const Tandem__Item *item)
{
	struct status *s = user;

	if (item->row_case == TANDEM__ITEM__ROW_METRIC &&
		item->metric->value_case == TANDEM__METRIC__VALUE_GAUGE &&
		strcmp(item->metric->name, "tandem_registrations") == 0)
		s->registrations += (uint64_t)item->metric->gauge;
	return true;
}

static void status_ask(struct ctl *ctl, struct status *s)
{
	Tandem__Frame request = TANDEM__FRAME__INIT, *frame;
	Tandem__StatusRequest status_request = TANDEM__STATUS_REQUEST__INIT;

	request.body_case = TANDEM__FRAME__BODY_STATUS_REQUEST;
	request.status_request = &status_request;
	if (ctl_ask(ctl, &request, false) != CTL_DONE || !(frame = ctl_next(ctl, false)))
		return;
	if (frame->body_case == TANDEM__FRAME__BODY_STATUS) {
		s->reached = true;
		s->connected = frame->status->dataplane_connected;
		s->in_sync = frame->status->in_sync;
		s->ports_ready = frame->status->ports_ready;
		s->draining = frame->status->draining;
		snprintf(s->text, sizeof(s->text), "%s", frame->status->text);
	}
	tandem__frame__free_unpacked(frame, NULL);
	ctl_disconnect(ctl);
}

// A table that the data plane does not give leaves zeros: it is away, and that is told.
static void tables_ask(struct ctl *ctl, struct status *s)
{
	static const struct {
		Tandem__Table table;
		bool (*take)(void *user, const Tandem__Item *item);
		bool own; // of control itself
	} tables[] = {
		{ TANDEM__TABLE__ALARMS, alarm_take, true },
		{ TANDEM__TABLE__TRUNKS, trunk_take },
		{ TANDEM__TABLE__PORTS, port_take },
		{ TANDEM__TABLE__LIMITS, limit_take },
		{ TANDEM__TABLE__CORES, core_take },
		{ TANDEM__TABLE__STATS, metric_take },
	};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (s->connected || tables[i].own)
			ctl_each_row(ctl, tables[i].table, true, tables[i].take, s);
}

// --- how it is said ---

static bool well(const struct status *s)
{
	return s->connected && s->in_sync && s->ports_ready && !s->draining;
}

static const char *headline(const struct status *s)
{
	static const char drained[] =
		"takes no new calls: drained by an operator (drain --off ends it)";

	return well(s)                       ? "takes calls"
	       : s->connected && s->draining ? drained
	       : s->text[0]                  ? s->text
					     : "is not ready";
}

static void tally_print(const char *what, const struct tally *t, const char *up, const char *down,
	const char *other, const char *more)
{
	printf("%-14s %u %s", what, t->up, up);
	if (t->down > 0)
		printf(", %u %s", t->down, down);
	if (t->other > 0)
		printf(", %u %s", t->other, other);
	if (t->named > 0)
		printf(": %s%s (%s)", t->names, t->named > NAMED_MAX ? ", …" : "", more);
	putchar('\n');
}

static void status_print(const struct ctl *ctl, const struct status *s)
{
	const char *colour = ctl->colour ? ctl_colour_of(well(s) ? "up" : "down") : "";

	printf("%s%s%s\n", colour, headline(s), colour[0] ? "\033[0m" : "");
	tally_print("alarms", &s->alarms, "warnings", "critical", "", "alarms says what to do");
	if (!s->connected)
		return;
	printf("%-14s %" PRIu64 " of %" PRIu64 " up, %.1f new a second of %" PRIu64 "\n", "calls",
		s->calls, s->max_calls, s->cps, s->max_cps);
	tally_print("trunks", &s->trunks, "up", "down", "disabled or draining", "show trunks");
	tally_print("ports", &s->ports, "up", "down", "", "show ports");
	printf("%-14s %" PRIu64 "\n", "registrations", s->registrations);
	printf("%-14s %.0f %%\n", "busiest core", 100 * s->busiest);
}

static json_t *status_json(const struct status *s)
{
	return json_pack(
		"{s:b, s:o, s:b, s:b, s:b, s:b, s:o, s:o, s:f, s:o, s:o, s:f, s:{s:i, s:i}, "
		"s:{s:i, s:i, s:i}, s:{s:i, s:i}}",
		"ok", well(s), "text", ctl_text(headline(s)), "dataplane_connected", s->connected,
		"in_sync", s->in_sync, "ports_ready", s->ports_ready, "draining", s->draining,
		"calls", ctl_number(s->calls), "max_calls", ctl_number(s->max_calls), "cps", s->cps,
		"max_cps", ctl_number(s->max_cps), "registrations", ctl_number(s->registrations),
		"busiest", s->busiest, "alarms", "critical", (int)s->alarms.down, "warning",
		(int)s->alarms.up, "trunks", "up", (int)s->trunks.up, "down", (int)s->trunks.down,
		"other", (int)s->trunks.other, "ports", "up", (int)s->ports.up, "down",
		(int)s->ports.down);
}

enum ctl_status ctl_status(struct ctl *ctl)
{
	struct status s = { .reached = false };

	status_ask(ctl, &s);
	if (!s.reached)
		return CTL_UNREACHABLE;
	tables_ask(ctl, &s);
	if (ctl->json)
		ctl_print_json(status_json(&s));
	else
		status_print(ctl, &s);
	return well(&s) ? CTL_DONE : CTL_REFUSED;
}
