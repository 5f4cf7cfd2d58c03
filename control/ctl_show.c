// SPDX-License-Identifier: BSD-3-Clause
// tandemctl show: each table is one line of the registration table at the end.
#include "control/ctl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct view {
	const char *word;
	Tandem__Table table;
	Tandem__Item__RowCase row;
	const char *const *columns;
	int n_columns;
	void (*cells)(const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item);
	json_t *(*json)(const Tandem__Item *item);
};

#define COLUMNS(list) .columns = list, .n_columns = sizeof(list) / sizeof(list[0])

// --- cores ---

static const char *const core_columns[] = { ">core", "role", ">busy", ">rx packets", ">tx packets",
	">drops", ">handed off", ">calls", ">legs" };

static void core_cells(const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item)
{
	const Tandem__Core *c = item->core;

	ctl_table_cell(out, "%u", c->core);
	ctl_table_cell(out, "%s", c->role);
	ctl_table_cell(out, "%.1f %%", 100 * c->busy);
	ctl_table_cell(out, "%" PRIu64, c->rx_packets);
	ctl_table_cell(out, "%" PRIu64, c->tx_packets);
	ctl_table_cell(out, "%" PRIu64, c->drops);
	ctl_table_cell(out, "%" PRIu64, c->handed_off);
	ctl_table_cell(out, "%" PRIu64, c->calls);
	ctl_table_cell(out, "%" PRIu64, c->legs);
}

static json_t *number(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static json_t *core_json(const Tandem__Item *item)
{
	const Tandem__Core *c = item->core;

	return json_pack("{s:i, s:o, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o}", "core", (int)c->core,
		"role", ctl_text(c->role), "busy", c->busy, "rx_packets", number(c->rx_packets),
		"tx_packets", number(c->tx_packets), "drops", number(c->drops), "handed_off",
		number(c->handed_off), "calls", number(c->calls), "legs", number(c->legs), "held",
		(json_int_t)c->held, "buffers", number(c->buffers));
}

// --- ports ---

static const char *const port_columns[] = { "name", "device", ">rx queues", ">tx queues",
	"steering", ">rx packets", ">tx packets", ">rx missed", "link" };

static void port_cells(const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item)
{
	const Tandem__Port *p = item->port;

	ctl_table_cell(out, "%s", p->name);
	ctl_table_cell(out, "%s", p->device);
	ctl_table_cell(out, "%u", p->rx_queues);
	ctl_table_cell(out, "%u", p->tx_queues);
	ctl_table_cell(out, "%s", p->steering);
	ctl_table_cell(out, "%" PRIu64, p->rx_packets);
	ctl_table_cell(out, "%" PRIu64, p->tx_packets);
	ctl_table_cell(out, "%" PRIu64, p->rx_missed);
	ctl_table_cell(out, "%s", p->up ? "up" : "down");
}

static json_t *port_json(const Tandem__Item *item)
{
	const Tandem__Port *p = item->port;

	return json_pack("{s:o, s:o, s:i, s:i, s:o, s:o, s:o, s:o, s:b}", "name", ctl_text(p->name),
		"device", ctl_text(p->device), "rx_queues", (int)p->rx_queues, "tx_queues",
		(int)p->tx_queues, "steering", ctl_text(p->steering), "rx_packets",
		number(p->rx_packets), "tx_packets", number(p->tx_packets), "rx_missed",
		number(p->rx_missed), "up", p->up);
}

// --- trunks ---

static const char *const trunk_columns[] = { "name", "realm", "state", ">calls", ">max calls",
	">cps", ">max cps" };

// 0 is no limit.
static void limit_cell(struct ctl_table *out, uint64_t limit)
{
	if (limit == 0)
		ctl_table_cell(out, "-");
	else
		ctl_table_cell(out, "%" PRIu64, limit);
}

static void trunk_cells(const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item)
{
	const Tandem__TrunkState *t = item->trunk;

	ctl_table_cell(out, "%s", t->name);
	ctl_table_cell(out, "%s", t->realm);
	ctl_table_cell(out, "%s", t->state);
	ctl_table_cell(out, "%" PRIu64, t->calls);
	limit_cell(out, t->max_calls);
	ctl_table_cell(out, "%.1f", t->cps);
	limit_cell(out, t->max_cps);
}

static json_t *trunk_json(const Tandem__Item *item)
{
	const Tandem__TrunkState *t = item->trunk;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:f, s:o}", "name", ctl_text(t->name), "realm",
		ctl_text(t->realm), "state", ctl_text(t->state), "calls", number(t->calls),
		"max_calls", number(t->max_calls), "cps", t->cps, "max_cps", number(t->max_cps));
}

// --- calls ---

static const char *const call_columns[] = { "id", "state", "from", "to", "in", "out", "codec",
	">age" };

static void call_cells(const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item)
{
	const Tandem__Call *c = item->call;
	uint64_t start_s = c->start_us / 1000000, now_s = (uint64_t)time(NULL);

	ctl_table_cell(out, "%s", c->id);
	ctl_table_cell(out, "%s", c->state);
	ctl_table_cell(out, "%s", c->from);
	ctl_table_cell(out, "%s", c->to);
	ctl_table_cell(out, "%s", c->trunk_in);
	ctl_table_cell(out, "%s", c->trunk_out);
	ctl_table_cell(out, "%s", c->codec);
	ctl_table_cell(out, "%" PRIu64 " s", now_s > start_s ? now_s - start_s : 0);
}

static json_t *time_or_null(uint64_t us)
{
	return us ? number(us) : json_null();
}

static json_t *call_json(const Tandem__Item *item)
{
	const Tandem__Call *c = item->call;
	json_t *legs = json_array();

	for (size_t i = 0; i < c->n_legs; i++) {
		const Tandem__Leg *l = c->legs[i];
		json_array_append_new(
			legs, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:f}", "side",
				      ctl_text(l->side), "local", ctl_text(l->local), "remote",
				      ctl_text(l->remote), "rx_packets", number(l->rx_packets),
				      "tx_packets", number(l->tx_packets), "lost", number(l->lost),
				      "jitter_ms", l->jitter_ms));
	}
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
		ctl_text(c->id), "state", ctl_text(c->state), "trunk_in", ctl_text(c->trunk_in),
		"trunk_out", ctl_text(c->trunk_out), "from", ctl_text(c->from), "to",
		ctl_text(c->to), "start_us", time_or_null(c->start_us), "answer_us",
		time_or_null(c->answer_us), "codec", ctl_text(c->codec), "legs", legs);
}

static const char *const leg_columns[] = { "side", "local", "remote", ">rx packets", ">tx packets",
	">lost", ">jitter" };

static void legs_print(const struct ctl *ctl, const Tandem__Call *call)
{
	struct ctl_table *out =
		ctl_table_new(leg_columns, sizeof(leg_columns) / sizeof(leg_columns[0]));

	for (size_t i = 0; i < call->n_legs; i++) {
		const Tandem__Leg *l = call->legs[i];
		ctl_table_cell(out, "%s", l->side);
		ctl_table_cell(out, "%s", l->local);
		ctl_table_cell(out, "%s", l->remote);
		ctl_table_cell(out, "%" PRIu64, l->rx_packets);
		ctl_table_cell(out, "%" PRIu64, l->tx_packets);
		ctl_table_cell(out, "%" PRIu64, l->lost);
		ctl_table_cell(out, "%.1f ms", l->jitter_ms);
	}
	ctl_table_print(out, ctl->colour);
}

// --- counters ---

static const char *const counter_columns[] = { "name", ">sum" };
static const char *const per_core_columns[] = { "name", ">sum", "per core" };

static void counter_cells(const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item)
{
	const Tandem__Counter *c = item->counter;
	char text[240] = "";

	if (c->sum == 0 && !ctl->all)
		return;
	ctl_table_cell(out, "%s", c->name);
	ctl_table_cell(out, "%" PRIu64, c->sum);
	if (!ctl->per_core)
		return;
	for (size_t i = 0, at = 0; i < c->n_per_core && at < sizeof(text); i++)
		at += (size_t)snprintf(
			text + at, sizeof(text) - at, "%s%" PRIu64, i ? "  " : "", c->per_core[i]);
	ctl_table_cell(out, "%s", text);
}

// --- version ---

static const char *const version_columns[] = { "component", "version" };

static void version_cells(const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item)
{
	ctl_table_cell(out, "%s", item->version->component);
	ctl_table_cell(out, "%s", item->version->version);
}

// --- show ---

static const struct view views[] = {
	{ "cores", TANDEM__TABLE__CORES, TANDEM__ITEM__ROW_CORE, COLUMNS(core_columns), core_cells,
		core_json },
	{ "ports", TANDEM__TABLE__PORTS, TANDEM__ITEM__ROW_PORT, COLUMNS(port_columns), port_cells,
		port_json },
	{ "trunks", TANDEM__TABLE__TRUNKS, TANDEM__ITEM__ROW_TRUNK, COLUMNS(trunk_columns),
		trunk_cells, trunk_json },
	{ "calls", TANDEM__TABLE__CALLS, TANDEM__ITEM__ROW_CALL, COLUMNS(call_columns), call_cells,
		call_json },
	{ "call", TANDEM__TABLE__CALLS, TANDEM__ITEM__ROW_CALL, COLUMNS(call_columns), call_cells,
		call_json },
	{ "counters", TANDEM__TABLE__COUNTERS, TANDEM__ITEM__ROW_COUNTER, COLUMNS(counter_columns),
		counter_cells, NULL },
	{ "version", TANDEM__TABLE__VERSION, TANDEM__ITEM__ROW_VERSION, COLUMNS(version_columns),
		version_cells, NULL },
};

// Counters and versions are objects by name; everything else is an array.
static void json_add(
	const struct ctl *ctl, const struct view *view, json_t *out, const Tandem__Item *item)
{
	if (view->json) {
		json_array_append_new(out, view->json(item));
	} else if (view->row == TANDEM__ITEM__ROW_VERSION) {
		json_object_set_new(
			out, item->version->component, ctl_text(item->version->version));
	} else if (ctl->per_core) {
		json_t *cores = json_array();
		for (size_t i = 0; i < item->counter->n_per_core; i++)
			json_array_append_new(cores, number(item->counter->per_core[i]));
		json_object_set_new(out, item->counter->name, cores);
	} else {
		json_object_set_new(out, item->counter->name, number(item->counter->sum));
	}
}

// Takes rows until the answer ends. The last frame (NULL: broken off) is the caller's.
static Tandem__Frame *rows_take(
	struct ctl *ctl, const struct view *view, json_t *out, struct ctl_table *table, int *rows)
{
	bool one = strcmp(view->word, "call") == 0;

	for (;;) {
		Tandem__Frame *frame = ctl_next(ctl, false);
		if (!frame || frame->body_case != TANDEM__FRAME__BODY_ITEM)
			return frame;
		if (frame->item->row_case == view->row) {
			(*rows)++;
			if (ctl->json)
				json_add(ctl, view, out, frame->item);
			else
				view->cells(ctl, table, frame->item);
			if (one && !ctl->json) {
				ctl_table_print(table, ctl->colour);
				legs_print(ctl, frame->item->call);
			}
		}
		tandem__frame__free_unpacked(frame, NULL);
	}
}

static enum ctl_status view_show(struct ctl *ctl, const struct view *view, Tandem__Frame *request)
{
	bool one = strcmp(view->word, "call") == 0;
	bool wide = view->row == TANDEM__ITEM__ROW_COUNTER && ctl->per_core;
	json_t *out = view->json ? json_array() : json_object();
	struct ctl_table *table = wide ? ctl_table_new(per_core_columns, 3)
				       : ctl_table_new(view->columns, view->n_columns);
	int rows = 0;

	if (view->row == TANDEM__ITEM__ROW_VERSION && ctl->json)
		json_object_set_new(out, "tandemctl", json_string(TANDEM_VERSION));
	if (view->row == TANDEM__ITEM__ROW_VERSION && !ctl->json) {
		ctl_table_cell(table, "tandemctl");
		ctl_table_cell(table, TANDEM_VERSION);
	}
	if (ctl_ask(ctl, request, false) != CTL_DONE)
		return CTL_UNREACHABLE;
	Tandem__Frame *last = rows_take(ctl, view, out, table, &rows);
	if (!last || last->body_case != TANDEM__FRAME__BODY_DONE)
		return ctl_end_error(ctl, last);
	if (one && rows == 0)
		return ctl_end(ctl, CTL_REFUSED, "no call has that id");
	if (ctl->json)
		ctl_print_json(one ? json_incref(json_array_get(out, 0)) : out);
	else if (!one)
		ctl_table_print(table, ctl->colour);
	return CTL_DONE;
}

enum ctl_status ctl_show(struct ctl *ctl)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Show show = TANDEM__SHOW__INIT;

	for (size_t i = 0; ctl->n_args > 0 && i < sizeof(views) / sizeof(views[0]); i++) {
		if (strcmp(views[i].word, ctl->args[0]) != 0)
			continue;
		if (ctl->n_args != (strcmp(views[i].word, "call") == 0 ? 2 : 1))
			break;
		frame.body_case = TANDEM__FRAME__BODY_SHOW;
		frame.show = &show;
		show.table = views[i].table;
		show.per_core = ctl->per_core;
		if (ctl->n_args == 2)
			show.key = ctl->args[1];
		return view_show(ctl, &views[i], &frame);
	}
	fputs("tandemctl: expected show cores, ports, trunks, calls, call ID, counters or "
	      "version\n",
		stderr);
	return CTL_USAGE;
}
