// SPDX-License-Identifier: BSD-3-Clause
#include "control/collector.h"

#include "control/condition.h"
#include "control/control.h"
#include "control/log.h"
#include "include/counters.h"
#include "include/traffic.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUND_MS 1000
#define BEAT_MS 500
// A round may take a twentieth of the time: with very many trunks the page gets older instead.
#define ROUND_SHARE 20

#define EXPORTER_AGAIN_MS 10000

#define STEP_PEERS 4 // place of PEERS among the tables below
#define LABELS(...) ((const struct td_metrics_label[]){ __VA_ARGS__, { NULL, NULL } })

// --- answer-seizure ratio ---

double td_asr_add(struct td_asr *asr, uint64_t ended, uint64_t answered, uint64_t now_ms)
{
	if (ended < asr->ended_now || answered < asr->answered_now)
		asr->n = asr->next = 0, asr->due_ms = 0; // another boot
	asr->ended_now = ended;
	asr->answered_now = answered;
	if (now_ms >= asr->due_ms) {
		asr->ended[asr->next] = ended;
		asr->answered[asr->next] = answered;
		asr->next = (asr->next + 1) % TD_ASR_SLOTS;
		asr->n += asr->n < TD_ASR_SLOTS;
		asr->due_ms = now_ms + TD_ASR_SLOT_MS;
	}
	unsigned oldest = asr->n < TD_ASR_SLOTS ? 0 : asr->next;
	uint64_t all = ended - asr->ended[oldest];
	return all == 0 ? NAN : (double)(answered - asr->answered[oldest]) / (double)all;
}

// --- rows of the data plane ---

static void core_row(struct td_collector *c, const Tandem__Core *row)
{
	char core[12];
	const struct td_metrics_label labels[] = { { "core", core }, { "role", row->role }, { 0 } };

	snprintf(core, sizeof(core), "%u", row->core);
	if (c->n_cores < TD_WORKERS_MAX + 1)
		c->cores[c->n_cores++] = row->core;
	td_metrics_sample(&c->page, TD_METRIC_CORE_BUSY, labels, row->busy);
	td_metrics_count(&c->page, TD_METRIC_CORE_RX, labels, row->rx_packets);
	td_metrics_count(&c->page, TD_METRIC_CORE_TX, labels, row->tx_packets);
	td_metrics_count(&c->page, TD_METRIC_CORE_HANDED, labels, row->handed_off);
	td_metrics_sample(&c->page, TD_METRIC_CORE_HANDOFF, labels,
		row->rx_packets > 0 ? (double)row->handed_off / (double)row->rx_packets : 0);
	td_metrics_count(&c->page, TD_METRIC_CORE_CALLS, labels, row->calls);
	td_metrics_count(&c->page, TD_METRIC_CORE_LEGS, labels, row->legs);
}

static bool counter_is_drop(const char *name)
{
	for (int i = 0; i < TD_C__COUNT; i++) {
		enum td_counter_kind kind = td_counter_kind((enum td_counter)i);
		if (strcmp(td_counter_name((enum td_counter)i), name) == 0)
			return kind == TD_COUNTER_DROP || kind == TD_COUNTER_REFUSED;
	}
	return false;
}

static void counter_row(struct td_collector *c, const Tandem__Counter *row)
{
	char core[12];

	if (!counter_is_drop(row->name)) {
		td_metrics_count(
			&c->page, TD_METRIC_EVENTS, LABELS({ "event", row->name }), row->sum);
		return;
	}
	for (size_t i = 0; i < row->n_per_core && i < c->n_cores; i++) {
		snprintf(core, sizeof(core), "%u", c->cores[i]);
		td_metrics_count(&c->page, TD_METRIC_DROPPED,
			LABELS({ "core", core }, { "reason", row->name }), row->per_core[i]);
	}
}

static void port_row(struct td_collector *c, const Tandem__Port *row)
{
	const struct td_metrics_label labels[] = { { "port", row->name }, { 0 } };

	td_condition_port(&c->control->alarms, row);
	td_metrics_sample(&c->page, TD_METRIC_PORT_UP, labels, row->up);
	td_metrics_count(&c->page, TD_METRIC_PORT_RX, labels, row->rx_packets);
	td_metrics_count(&c->page, TD_METRIC_PORT_TX, labels, row->tx_packets);
	td_metrics_count(&c->page, TD_METRIC_PORT_MISSED, labels, row->rx_missed);
}

static void trunk_row(struct td_collector *c, const Tandem__TrunkState *row)
{
	static const char *const states[] = { "up", "down", "disabled", "draining" };
	const struct td_metrics_label labels[] = { { "trunk", row->name }, { "realm", row->realm },
		{ 0 } };

	td_trunk_watch_trunk(&c->watch, row);
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		td_metrics_sample(&c->page, TD_METRIC_TRUNK_STATE,
			LABELS({ "trunk", row->name }, { "realm", row->realm },
				{ "state", states[i] }),
			strcmp(row->state, states[i]) == 0);
	if (row->registration[0] && strcmp(row->state, "disabled") != 0)
		td_metrics_sample(&c->page, TD_METRIC_TRUNK_REGISTERED, labels,
			strcmp(row->registration, "registered") == 0);
	td_metrics_count(&c->page, TD_METRIC_TRUNK_CALLS, labels, row->calls);
	td_metrics_count(&c->page, TD_METRIC_TRUNK_CALLS_LIMIT, labels, row->max_calls);
	td_metrics_sample(&c->page, TD_METRIC_TRUNK_CPS, labels, row->cps);
	td_metrics_count(&c->page, TD_METRIC_TRUNK_SEIZURES, labels, row->seizures);
	td_metrics_count(&c->page, TD_METRIC_TRUNK_ANSWERS, labels, row->answers);
}

static void limit_row(struct td_collector *c, const Tandem__LimitState *row)
{
	const struct td_metrics_label labels[] = { { "kind", row->kind }, { "name", row->name },
		{ 0 } };

	td_metrics_count(&c->page, TD_METRIC_LIMIT_CALLS, labels, row->calls);
	td_metrics_count(&c->page, TD_METRIC_LIMIT_CALLS_MAX, labels, row->max_calls);
	td_metrics_sample(&c->page, TD_METRIC_LIMIT_CPS, labels, row->cps);
	td_metrics_count(&c->page, TD_METRIC_LIMIT_CPS_MAX, labels, row->max_cps);
	td_metrics_count(&c->page, TD_METRIC_LIMIT_REFUSED, labels, row->refused);
}

static void peer_row(struct td_collector *c, const Tandem__PeerState *row)
{
	const struct td_metrics_label labels[] = { { "trunk", row->trunk }, { "realm", row->realm },
		{ "peer", row->address }, { 0 } };

	td_trunk_watch_peer(&c->watch, row);
	td_metrics_sample(&c->page, TD_METRIC_PEER_SHARE, labels, row->share);
	td_metrics_sample(
		&c->page, TD_METRIC_PEER_RTT, labels, row->rtt_us > 0 ? row->rtt_us / 1e6 : NAN);
}

static void metric_row(struct td_collector *c, const Tandem__Metric *row)
{
	const struct td_metric *metric = td_metric_named(row->name);
	struct td_metrics_label labels[9] = { { 0 } };

	if (!metric) // of a newer data plane
		return;
	enum td_metric_id id = (enum td_metric_id)(metric - td_metric((enum td_metric_id)0));
	for (size_t i = 0; i < row->n_labels && i < 8; i++)
		labels[i] =
			(struct td_metrics_label){ row->labels[i]->name, row->labels[i]->value };
	if (row->value_case == TANDEM__METRIC__VALUE_COUNTER)
		td_metrics_count(&c->page, id, labels, row->counter);
	else if (row->value_case == TANDEM__METRIC__VALUE_GAUGE)
		td_metrics_sample(&c->page, id, labels, row->gauge);
	else if (row->value_case == TANDEM__METRIC__VALUE_HISTOGRAM &&
		 row->histogram->n_counts == row->histogram->n_bounds + 1)
		td_metrics_histogram(&c->page, id, labels, row->histogram->bounds,
			row->histogram->n_bounds, row->histogram->counts, row->histogram->sum);
	if (id == TD_METRIC_JOURNAL_FAILING && row->value_case == TANDEM__METRIC__VALUE_GAUGE)
		td_condition_journal(&c->control->alarms, row->gauge != 0);
	if (id == TD_METRIC_CALLS_ENDED && row->value_case == TANDEM__METRIC__VALUE_COUNTER) {
		c->asr.told = true;
		c->asr.ended_round += row->counter;
		if (row->n_labels > 0 && strcmp(row->labels[0]->value,
						 td_call_result_name(TD_CALL_RESULT_ANSWERED)) == 0)
			c->asr.answered_round += row->counter;
	}
}

static void row_take(struct td_collector *c, const Tandem__Item *item)
{
	switch (item->row_case) {
	case TANDEM__ITEM__ROW_CORE:
		core_row(c, item->core);
		break;
	case TANDEM__ITEM__ROW_COUNTER:
		counter_row(c, item->counter);
		break;
	case TANDEM__ITEM__ROW_PORT:
		port_row(c, item->port);
		break;
	case TANDEM__ITEM__ROW_TRUNK:
		trunk_row(c, item->trunk);
		break;
	case TANDEM__ITEM__ROW_LIMIT:
		limit_row(c, item->limit);
		break;
	case TANDEM__ITEM__ROW_PEER:
		peer_row(c, item->peer);
		break;
	case TANDEM__ITEM__ROW_METRIC:
		metric_row(c, item->metric);
		break;
	case TANDEM__ITEM__ROW_VERSION:
		td_metrics_sample(&c->page, TD_METRIC_BUILD,
			LABELS({ "component", item->version->component },
				{ "version", item->version->version }),
			1);
		break;
	default:
		break;
	}
}

// --- a round ---

static void on_timer(uv_timer_t *timer);
static void exporter_start(struct td_collector *c);

static unsigned operators(const struct td_server *server)
{
	unsigned n = 0;

	for (int i = 0; i < TD_CLIENTS_MAX; i++)
		n += server->clients[i].conn != NULL;
	return n;
}

static const char *missing_of(const struct td_collector *c)
{
	const char *lacking = td_link_lacking(&c->control->link);

	if (!lacking)
		lacking = td_sync_lacking(&c->control->sync);
	if (lacking)
		return lacking;
	if (!c->ports_ready)
		return "a port has no carrier";
	return c->draining ? "draining: new calls get 503" : "";
}

static void destination_samples(
	struct td_metrics_page *page, const struct td_destinations *destinations)
{
	for (uint32_t i = 0; i < destinations->n; i++) {
		const struct td_destination *d = &destinations->list[i];
		struct td_store_position position = { atomic_load(&d->sequence),
			atomic_load(&d->offset) };
		const struct td_metrics_label labels[] = { { "destination", d->name }, { 0 } };
		td_metrics_count(page, TD_METRIC_JOURNAL_UNREAD, labels,
			td_journal_unread(destinations->dir, &position));
		td_metrics_count(page, TD_METRIC_JOURNAL_STORED, labels, atomic_load(&d->records));
	}
}

static void alarm_samples(struct td_metrics_page *page, struct td_alarms *alarms)
{
	static struct td_alarm list[TD_ALARMS_MAX];
	uint32_t n = td_alarms_copy(alarms, list), by_severity[2] = { 0 };

	for (uint32_t i = 0; i < n; i++) {
		by_severity[list[i].severity == TD_CRITICAL]++;
		td_metrics_sample(page, TD_METRIC_ALARM,
			LABELS({ "alarm", list[i].name }, { "subject", list[i].subject }), 1);
	}
	td_metrics_count(page, TD_METRIC_ALARMS, LABELS({ "severity", "warning" }), by_severity[0]);
	td_metrics_count(
		page, TD_METRIC_ALARMS, LABELS({ "severity", "critical" }), by_severity[1]);
	td_metrics_count(page, TD_METRIC_ALARMS_LOST, NULL, td_alarms_lost(alarms));
}

static void dns_samples(struct td_metrics_page *page, const struct td_dns_names *names)
{
	td_metrics_count(page, TD_METRIC_DNS_QUERIES, NULL, names->resolver.queries);
	td_metrics_count(page, TD_METRIC_DNS_FAILURES, NULL, names->resolver.failures);
	for (int i = 0; i < TD_DNS_STATE__COUNT; i++)
		td_metrics_count(page, TD_METRIC_DNS_NAMES,
			LABELS({ "state", td_dns_state_name((enum td_dns_state)i) }),
			td_dns_names_count(names, (enum td_dns_state)i));
}

static void own_samples(struct td_collector *c)
{
	const struct td_control *control = c->control;
	struct td_metrics_page *page = &c->page;
	uint64_t now_ns = uv_hrtime();

	td_metrics_sample(page, TD_METRIC_CONNECTED, NULL, td_link_answers(&control->link));
	td_metrics_sample(page, TD_METRIC_IN_SYNC, NULL, control->link.in_sync);
	td_metrics_sample(page, TD_METRIC_READY, NULL, missing_of(c)[0] == '\0');
	if (control->link.epoch != 0) // not known yet is no boot
		td_metrics_count(page, TD_METRIC_EPOCH, NULL, control->link.epoch);
	td_metrics_count(page, TD_METRIC_OPERATORS, NULL, operators(&control->server));
	td_metrics_sample(page, TD_METRIC_BUILD,
		LABELS({ "component", "tandem-control" }, { "version", TANDEM_VERSION }), 1);
	dns_samples(page, &control->names);
	destination_samples(page, &control->destinations);
	alarm_samples(page, &c->control->alarms);
	// A data plane that is away has not begun anew: no count is not a count of nothing.
	td_metrics_sample(page, TD_METRIC_ASR, NULL,
		c->asr.told ? td_asr_add(&c->asr, c->asr.ended_round, c->asr.answered_round,
				      now_ns / 1000000)
			    : NAN);
	td_metrics_sample(
		page, TD_METRIC_SCRAPE_SECONDS, NULL, (double)(now_ns - c->began_ns) / 1e9);
}

// Whether the switch is well does not wait for a round: that waits for the data plane.
static void on_beat(uv_timer_t *timer)
{
	struct td_collector *c = timer->data;
	const struct td_link *link = &c->control->link;
	uint64_t now_ms = uv_hrtime() / 1000000;

	td_condition_link(&c->control->alarms, link, &c->away_since_ms, now_ms);
	if (c->exporter)
		td_exporter_tell(c->exporter, td_condition_sick(link, c->away_since_ms, now_ms),
			missing_of(c));
}

// whole: the data plane gave all that it was asked for. Where it did not, its silence was no work.
static void round_end(struct td_collector *c, bool whole)
{
	size_t len = 0;

	own_samples(c);
	if (c->exporter) {
		char *text = td_metrics_render(&c->page, &len);
		td_exporter_publish(c->exporter, text, len);
	}
	uint64_t took_ms = whole ? (uv_hrtime() - c->began_ns) / 1000000 : 0;
	uint64_t wait_ms = took_ms * (ROUND_SHARE - 1);
	if (wait_ms + took_ms < ROUND_MS)
		wait_ms = ROUND_MS - took_ms;
	uv_timer_start(&c->timer, on_timer, wait_ms, 0);
}

static void step_ask(struct td_collector *c);

static void on_answer(void *user, const Tandem__Frame *frame, int error)
{
	struct td_collector *c = user;

	if (uv_is_closing((uv_handle_t *)&c->timer))
		return;
	if (frame && frame->body_case == TANDEM__FRAME__BODY_ITEM) {
		row_take(c, frame->item);
		return;
	}
	if (frame && frame->body_case == TANDEM__FRAME__BODY_STATUS) {
		c->ports_ready = frame->status->ports_ready;
		c->draining = frame->status->draining;
	}
	bool good = frame && frame->body_case != TANDEM__FRAME__BODY_ERROR;
	if (c->step == STEP_PEERS && good)
		td_trunk_watch_end(&c->watch);
	c->step++;
	if (good)
		step_ask(c);
	else
		round_end(c, false); // what is there is shown
}

// Tables in the order in which they are asked for: cores before counters, which stand in their
// order.
static void step_ask(struct td_collector *c)
{
	static const Tandem__Table tables[] = { TANDEM__TABLE__CORES, TANDEM__TABLE__COUNTERS,
		TANDEM__TABLE__PORTS, TANDEM__TABLE__TRUNKS, TANDEM__TABLE__PEERS,
		TANDEM__TABLE__STATS, TANDEM__TABLE__LIMITS, TANDEM__TABLE__VERSION };
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Show show = TANDEM__SHOW__INIT;
	Tandem__StatusRequest status = TANDEM__STATUS_REQUEST__INIT;
	const unsigned n = sizeof(tables) / sizeof(tables[0]);

	if (c->step < n) {
		frame.body_case = TANDEM__FRAME__BODY_SHOW;
		frame.show = &show;
		show.table = tables[c->step];
		show.per_core = true;
	} else {
		frame.body_case = TANDEM__FRAME__BODY_STATUS_REQUEST;
		frame.status_request = &status;
	}
	if (c->step > n || td_link_ask(&c->control->link, &frame, on_answer, c) != 0)
		round_end(c, c->step > n);
}

static void on_timer(uv_timer_t *timer)
{
	struct td_collector *c = timer->data;

	if (c->control->conf->metrics_enabled && !c->exporter &&
		uv_hrtime() / 1000000 >= c->exporter_due_ms)
		exporter_start(c);
	td_metrics_page_reset(&c->page);
	c->step = 0;
	c->n_cores = 0;
	td_trunk_watch_begin(&c->watch);
	c->asr.ended_round = c->asr.answered_round = 0;
	c->asr.told = false;
	c->began_ns = uv_hrtime();
	step_ask(c);
}

// --- life ---

static void exporter_start(struct td_collector *c)
{
	const struct td_config *conf = c->control->conf;
	char where[TD_ADDR_STRLEN];
	const char *error = NULL;

	td_sockaddr_format(&conf->metrics, where, sizeof(where));
	c->exporter = td_exporter_start(&conf->metrics, &error);
	if (c->exporter) {
		td_log(TD_LOG_INFO, "metrics.ready", "address=%s", where);
		td_alarm_clear(&c->control->alarms, "metrics.failed", where);
		return;
	}
	c->exporter_due_ms = uv_hrtime() / 1000000 + EXPORTER_AGAIN_MS;
	td_alarm_raise(&c->control->alarms, TD_WARNING, "metrics.failed", where,
		"who else listens there (ss -ltnp)? It is tried again; another address or port in "
		"metrics = { } takes a restart",
		"metrics are not served, so nobody is alerted; calls are not touched: %s", error);
}

void td_collector_start(struct td_collector *c, struct td_control *control)
{
	c->control = control;
	c->watch =
		(struct td_trunk_watch){ .events = &control->events, .alarms = &control->alarms };
	if (control->conf->metrics_enabled)
		exporter_start(c);
	uv_timer_init(&control->loop, &c->timer);
	c->timer.data = c;
	uv_timer_start(&c->timer, on_timer, 0, 0);
	uv_timer_init(&control->loop, &c->beat);
	c->beat.data = c;
	uv_timer_start(&c->beat, on_beat, BEAT_MS, BEAT_MS);
}

void td_collector_stop(struct td_collector *c)
{
	if (!c->control)
		return;
	uv_close((uv_handle_t *)&c->timer, NULL);
	uv_close((uv_handle_t *)&c->beat, NULL);
	td_exporter_stop(c->exporter);
	td_metrics_page_fini(&c->page);
	td_trunk_watch_fini(&c->watch);
	c->exporter = NULL;
}
