// SPDX-License-Identifier: BSD-3-Clause
// tandemctl show: the rows of one table, as its view says.
#include "control/ctl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

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

static json_t *core_json(const struct ctl *ctl, const Tandem__Item *item)
{
	const Tandem__Core *c = item->core;

	return json_pack("{s:i, s:o, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o}", "core",
		(int)c->core, "role", ctl_text(c->role), "busy", c->busy, "rx_packets",
		ctl_number(c->rx_packets), "tx_packets", ctl_number(c->tx_packets), "drops",
		ctl_number(c->drops), "handed_off", ctl_number(c->handed_off), "calls",
		ctl_number(c->calls), "legs", ctl_number(c->legs), "held", (json_int_t)c->held,
		"buffers", ctl_number(c->buffers));
}

const struct ctl_view ctl_view_cores = { TANDEM__TABLE__CORES, TANDEM__ITEM__ROW_CORE,
	CTL_COLUMNS(core_columns), .cells = core_cells, .json = core_json };

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

static json_t *port_json(const struct ctl *ctl, const Tandem__Item *item)
{
	const Tandem__Port *p = item->port;

	return json_pack("{s:o, s:o, s:i, s:i, s:o, s:o, s:o, s:o, s:b}", "name", ctl_text(p->name),
		"device", ctl_text(p->device), "rx_queues", (int)p->rx_queues, "tx_queues",
		(int)p->tx_queues, "steering", ctl_text(p->steering), "rx_packets",
		ctl_number(p->rx_packets), "tx_packets", ctl_number(p->tx_packets), "rx_missed",
		ctl_number(p->rx_missed), "up", p->up);
}

const struct ctl_view ctl_view_ports = { TANDEM__TABLE__PORTS, TANDEM__ITEM__ROW_PORT,
	CTL_COLUMNS(port_columns), .cells = port_cells, .json = port_json };

// --- trunks ---

static const char *const trunk_columns[] = { "name", "realm", "state", ">peers up", ">calls",
	">max calls", ">cps", ">max cps", "registration" };

static void trunk_cells(const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item)
{
	const Tandem__TrunkState *t = item->trunk;

	ctl_table_cell(out, "%s", t->name);
	ctl_table_cell(out, "%s", t->realm);
	ctl_table_cell(out, "%s", t->state);
	ctl_table_cell(out, "%u/%u", t->peers - t->peers_down, t->peers);
	ctl_table_cell(out, "%" PRIu64, t->calls);
	ctl_table_limit(out, t->max_calls);
	ctl_table_cell(out, "%.1f", t->cps);
	ctl_table_limit(out, t->max_cps);
	if (t->registration_code > 0)
		ctl_table_cell(out, "%s (%u)", t->registration, t->registration_code);
	else
		ctl_table_cell(out, "%s", t->registration[0] ? t->registration : "-");
}

static json_t *trunk_json(const struct ctl *ctl, const Tandem__Item *item)
{
	const Tandem__TrunkState *t = item->trunk;

	json_t *row = json_pack("{s:o, s:o, s:o, s:o, s:o, s:f, s:o}", "name", ctl_text(t->name),
		"realm", ctl_text(t->realm), "state", ctl_text(t->state), "calls",
		ctl_number(t->calls), "max_calls", ctl_number(t->max_calls), "cps", t->cps,
		"max_cps", ctl_number(t->max_cps));

	json_object_set_new(row, "peers", ctl_number(t->peers));
	json_object_set_new(row, "peers_down", ctl_number(t->peers_down));
	json_object_set_new(row, "seizures", ctl_number(t->seizures));
	json_object_set_new(row, "answers", ctl_number(t->answers));
	if (t->registration[0] == '\0')
		return row;
	json_object_set_new(row, "registration", ctl_text(t->registration));
	json_object_set_new(row, "registration_code", ctl_number(t->registration_code));
	json_object_set_new(row, "registered_until_s", ctl_number(t->registered_until_s));
	return row;
}

const struct ctl_view ctl_view_trunks = { TANDEM__TABLE__TRUNKS, TANDEM__ITEM__ROW_TRUNK,
	CTL_COLUMNS(trunk_columns), .cells = trunk_cells, .json = trunk_json };

// --- peers ---

static const char *const peer_columns[] = { "trunk", "peer", "host", "state", ">share", ">code",
	">rtt", "since" };

static void peer_cells(const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item)
{
	const Tandem__PeerState *p = item->peer;
	time_t since = (time_t)(p->since_us / 1000000);
	struct tm tm;
	char text[24] = "-";

	if (since > 0) {
		localtime_r(&since, &tm);
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	}
	ctl_table_cell(out, "%s", p->trunk);
	ctl_table_cell(out, "%s", p->address);
	ctl_table_cell(out, "%s", p->host[0] ? p->host : "-");
	ctl_table_cell(out, "%s", p->state);
	ctl_table_cell(out, "%.0f %%", 100 * p->share);
	ctl_table_limit(out, p->sip_code);
	if (p->rtt_us > 0)
		ctl_table_cell(out, "%.1f ms", p->rtt_us / 1e3);
	else
		ctl_table_cell(out, "-");
	ctl_table_cell(out, "%s", text);
}

static json_t *peer_json(const struct ctl *ctl, const Tandem__Item *item)
{
	const Tandem__PeerState *p = item->peer;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:f, s:o, s:f, s:o, s:b}", "trunk",
		ctl_text(p->trunk), "realm", ctl_text(p->realm), "peer", ctl_text(p->address),
		"host", ctl_text(p->host), "state", ctl_text(p->state), "share", p->share, "code",
		ctl_number(p->sip_code), "rtt_ms", p->rtt_us / 1e3, "since_us",
		ctl_time_or_null(p->since_us), "probed", p->probed);
}

const struct ctl_view ctl_view_peers = { TANDEM__TABLE__PEERS, TANDEM__ITEM__ROW_PEER,
	CTL_COLUMNS(peer_columns), .cells = peer_cells, .json = peer_json };

// --- limits ---

static const char *const limit_columns[] = { "kind", "name", ">calls", ">max calls", ">cps",
	">max cps", ">burst", ">refused" };

static void limit_cells(const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item)
{
	const Tandem__LimitState *l = item->limit;

	ctl_table_cell(out, "%s", l->kind);
	ctl_table_cell(out, "%s", l->name);
	ctl_table_cell(out, "%" PRIu64, l->calls);
	ctl_table_limit(out, l->max_calls);
	ctl_table_cell(out, "%.1f", l->cps);
	ctl_table_limit(out, l->max_cps);
	ctl_table_limit(out, l->cps_burst ? l->cps_burst : l->max_cps);
	ctl_table_cell(out, "%" PRIu64, l->refused);
}

static json_t *limit_json(const struct ctl *ctl, const Tandem__Item *item)
{
	const Tandem__LimitState *l = item->limit;

	return json_pack("{s:o, s:o, s:o, s:o, s:f, s:o, s:o, s:o}", "kind", ctl_text(l->kind),
		"name", ctl_text(l->name), "calls", ctl_number(l->calls), "max_calls",
		ctl_number(l->max_calls), "cps", l->cps, "max_cps", ctl_number(l->max_cps),
		"cps_burst", ctl_number(l->cps_burst), "refused", ctl_number(l->refused));
}

const struct ctl_view ctl_view_limits = { TANDEM__TABLE__LIMITS, TANDEM__ITEM__ROW_LIMIT,
	CTL_COLUMNS(limit_columns), .cells = limit_cells, .json = limit_json };

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

static json_t *call_json(const struct ctl *ctl, const Tandem__Item *item)
{
	const Tandem__Call *c = item->call;
	json_t *legs = json_array();

	for (size_t i = 0; i < c->n_legs; i++) {
		const Tandem__Leg *l = c->legs[i];
		json_array_append_new(
			legs, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:f}", "side",
				      ctl_text(l->side), "local", ctl_text(l->local), "remote",
				      ctl_text(l->remote), "rx_packets", ctl_number(l->rx_packets),
				      "tx_packets", ctl_number(l->tx_packets), "lost",
				      ctl_number(l->lost), "jitter_ms", l->jitter_ms));
	}
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
		ctl_text(c->id), "state", ctl_text(c->state), "trunk_in", ctl_text(c->trunk_in),
		"trunk_out", ctl_text(c->trunk_out), "from", ctl_text(c->from), "to",
		ctl_text(c->to), "start_us", ctl_time_or_null(c->start_us), "answer_us",
		ctl_time_or_null(c->answer_us), "codec", ctl_text(c->codec), "legs", legs);
}

static const char *const leg_columns[] = { "side", "local", "remote", ">rx packets", ">tx packets",
	">lost", ">jitter" };

static void legs_print(const struct ctl *ctl, const Tandem__Item *item)
{
	const Tandem__Call *call = item->call;
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
	ctl_table_free(out);
}

const struct ctl_view ctl_view_calls = { TANDEM__TABLE__CALLS, TANDEM__ITEM__ROW_CALL,
	CTL_COLUMNS(call_columns), .none = "no call is up", .cells = call_cells,
	.json = call_json };
const struct ctl_view ctl_view_call = { TANDEM__TABLE__CALLS, TANDEM__ITEM__ROW_CALL,
	CTL_COLUMNS(call_columns), .one = true,
	.missing = "no call of that id is up; show calls lists those that are", .cells = call_cells,
	.json = call_json, .more = legs_print };

// --- counters ---

static const char *const counter_columns[] = { "name", ">sum", "per core" };

static void counter_cells(const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item)
{
	const Tandem__Counter *c = item->counter;
	char text[240] = "";

	if (c->sum == 0 && !ctl_flag(ctl, "--all"))
		return;
	ctl_table_cell(out, "%s", c->name);
	ctl_table_cell(out, "%" PRIu64, c->sum);
	for (size_t i = 0, at = 0; i < c->n_per_core && at < sizeof(text); i++)
		at += (size_t)snprintf(
			text + at, sizeof(text) - at, "%s%" PRIu64, i ? "  " : "", c->per_core[i]);
	ctl_table_cell(out, "%s", text);
}

static json_t *counter_json(const struct ctl *ctl, const Tandem__Item *item)
{
	if (!ctl_flag(ctl, "--per-core"))
		return ctl_number(item->counter->sum);
	json_t *cores = json_array();
	for (size_t i = 0; i < item->counter->n_per_core; i++)
		json_array_append_new(cores, ctl_number(item->counter->per_core[i]));
	return cores;
}

static const char *counter_key(const Tandem__Item *item)
{
	return item->counter->name;
}

const struct ctl_view ctl_view_counters = { TANDEM__TABLE__COUNTERS, TANDEM__ITEM__ROW_COUNTER,
	CTL_COLUMNS(counter_columns), .none = "nothing was counted yet", .cells = counter_cells,
	.json = counter_json, .key = counter_key };

// --- version ---

static const char *const version_columns[] = { "component", "version" };

static void version_cells(const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item)
{
	ctl_table_cell(out, "%s", item->version->component);
	ctl_table_cell(out, "%s", item->version->version);
}

static json_t *version_json(const struct ctl *ctl, const Tandem__Item *item)
{
	return ctl_text(item->version->version);
}

static const char *version_key(const Tandem__Item *item)
{
	return item->version->component;
}

const struct ctl_view ctl_view_version = { TANDEM__TABLE__VERSION, TANDEM__ITEM__ROW_VERSION,
	CTL_COLUMNS(version_columns), .cells = version_cells, .json = version_json,
	.key = version_key };

// --- show ---

static void row_take(struct ctl *ctl, const struct ctl_view *view, json_t *out,
	struct ctl_table *table, const Tandem__Item *item)
{
	if (!ctl->json)
		view->cells(ctl, table, item);
	else if (view->key)
		json_object_set_new(out, view->key(item), view->json(ctl, item));
	else
		json_array_append_new(out, view->json(ctl, item));
}

// Takes rows until the answer ends. The last frame (NULL: broken off) is the caller's.
static Tandem__Frame *rows_take(struct ctl *ctl, const struct ctl_view *view, json_t *out,
	struct ctl_table *table, Tandem__Frame **first)
{
	for (;;) {
		Tandem__Frame *frame = ctl_next(ctl, false);
		if (!frame || frame->body_case != TANDEM__FRAME__BODY_ITEM)
			return frame;
		bool wanted = frame->item->row_case == view->row && !(view->one && *first);
		if (wanted)
			row_take(ctl, view, out, table, frame->item);
		if (wanted && !*first)
			*first = frame;
		else
			tandem__frame__free_unpacked(frame, NULL);
	}
}

// tandemctl is one of the components that have a version.
static void own_version(struct ctl *ctl, json_t *out, struct ctl_table *table)
{
	char component[] = "tandemctl", version[] = TANDEM_VERSION;
	Tandem__Item item = TANDEM__ITEM__INIT;
	Tandem__Version row = TANDEM__VERSION__INIT;

	item.row_case = TANDEM__ITEM__ROW_VERSION;
	item.version = &row;
	row.component = component;
	row.version = version;
	row_take(ctl, &ctl_view_version, out, table, &item);
}

// A whole answer; first: its first row, or NULL.
static enum ctl_status rows_print(struct ctl *ctl, const struct ctl_view *view, json_t *out,
	struct ctl_table *table, const Tandem__Frame *first)
{
	if (view->one && !first)
		return ctl_end(ctl, CTL_REFUSED, view->missing);
	if (ctl->json) {
		ctl_print_json(json_incref(view->one ? json_array_get(out, 0) : out));
	} else if (view->none && ctl_table_rows(table) == 0) {
		puts(view->none);
	} else {
		ctl_table_print(table, ctl->colour);
		if (view->more && first)
			view->more(ctl, first->item);
	}
	return CTL_DONE;
}

enum ctl_status ctl_show_rows(struct ctl *ctl, const struct ctl_view *view, Tandem__Frame *request)
{
	json_t *out = view->key ? json_object() : json_array();
	struct ctl_table *table = ctl_table_new(view->columns, view->n_columns);
	Tandem__Frame *first = NULL, *last = NULL;
	enum ctl_status status = ctl_ask(ctl, request, false);

	if (view->row == TANDEM__ITEM__ROW_VERSION)
		own_version(ctl, out, table);
	if (status == CTL_DONE) {
		last = rows_take(ctl, view, out, table, &first);
		status = last && last->body_case == TANDEM__FRAME__BODY_DONE
				 ? rows_print(ctl, view, out, table, first)
				 : ctl_end_error(ctl, last);
	}
	if (first)
		tandem__frame__free_unpacked(first, NULL);
	if (last)
		tandem__frame__free_unpacked(last, NULL);
	ctl_table_free(table);
	json_decref(out);
	return status;
}

enum ctl_status ctl_each_row(struct ctl *ctl, Tandem__Table table, bool quiet,
	bool (*take)(void *user, const Tandem__Item *item), void *user)
{
	Tandem__Frame request = TANDEM__FRAME__INIT, *frame;
	Tandem__Show show = TANDEM__SHOW__INIT;
	enum ctl_status status = CTL_DONE;
	bool more = true;

	request.body_case = TANDEM__FRAME__BODY_SHOW;
	request.show = &show;
	show.table = table;
	if (ctl_ask(ctl, &request, quiet) != CTL_DONE)
		return CTL_UNREACHABLE;
	while (more && (frame = ctl_next(ctl, quiet)) &&
		frame->body_case == TANDEM__FRAME__BODY_ITEM) {
		more = take(user, frame->item);
		tandem__frame__free_unpacked(frame, NULL);
	}
	if (more && (!frame || frame->body_case != TANDEM__FRAME__BODY_DONE))
		status = !frame ? CTL_UNREACHABLE : quiet ? CTL_REFUSED : ctl_end_error(ctl, frame);
	if (more && frame)
		tandem__frame__free_unpacked(frame, NULL);
	ctl_disconnect(ctl);
	return status;
}

static bool last_read(const struct ctl *ctl, uint32_t *out)
{
	const char *text = ctl_value(ctl, "--last", 0);
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	*out = (uint32_t)n;
	if (end != text && *end == '\0' && n > 0 && n <= 1000000)
		return true;
	fprintf(stderr, "tandemctl: found --last %s, expected a number from 1 to 1000000\n", text);
	return false;
}

enum ctl_status ctl_show(struct ctl *ctl)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Show show = TANDEM__SHOW__INIT;

	frame.body_case = TANDEM__FRAME__BODY_SHOW;
	frame.show = &show;
	show.table = ctl->command->view->table;
	show.per_core = ctl_flag(ctl, "--per-core");
	if (ctl_value(ctl, "--last", 0) && !last_read(ctl, &show.limit))
		return CTL_USAGE;
	if (ctl->n_args > 0)
		show.key = ctl->args[0];
	return ctl_show_rows(ctl, ctl->command->view, &frame);
}
