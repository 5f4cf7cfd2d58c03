// SPDX-License-Identifier: BSD-3-Clause
// The table STATS: rows of include/metrics.h, from what workers count and main may read while it
// lags.
#include "dataplane/admin.h"
#include "dataplane/leg.h"
#include "include/metrics.h"
#include "sip/location.h"
#include "sip/msg.h"
#include "sip/policy.h"

#include <stdio.h>

#define LABELS_MAX 4

struct row {
	struct td_mgmt_conn *conn;
	uint64_t id, n;
	Tandem__Metric metric;
	Tandem__Label labels[LABELS_MAX], *label_ptrs[LABELS_MAX];
};

static void row_begin(struct row *row, enum td_metric_id id)
{
	tandem__metric__init(&row->metric);
	row->metric.name = (char *)(uintptr_t)td_metric(id)->name; // only read by the packer
	row->metric.labels = row->label_ptrs;
}

static void row_label(struct row *row, const char *name, const char *value)
{
	Tandem__Label *label = &row->labels[row->metric.n_labels];

	tandem__label__init(label);
	label->name = (char *)(uintptr_t)name;
	label->value = (char *)(uintptr_t)value;
	row->label_ptrs[row->metric.n_labels++] = label;
}

static void row_send(struct row *row)
{
	Tandem__Item item = TANDEM__ITEM__INIT;

	item.row_case = TANDEM__ITEM__ROW_METRIC;
	item.metric = &row->metric;
	td_mgmt_item_send(row->conn, row->id, &item);
	row->n++;
}

static void row_counter(struct row *row, uint64_t value)
{
	row->metric.value_case = TANDEM__METRIC__VALUE_COUNTER;
	row->metric.counter = value;
	row_send(row);
}

static void row_gauge(struct row *row, double value)
{
	row->metric.value_case = TANDEM__METRIC__VALUE_GAUGE;
	row->metric.gauge = value;
	row_send(row);
}

// --- traffic: the sum over workers ---

static void traffic_add(struct td_traffic *sum, const struct td_traffic *one)
{
	static_assert(sizeof(*sum) % sizeof(td_count) == 0, "counts and nothing else");
	td_count *to = (td_count *)sum;
	const td_count *from = (const td_count *)one;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(td_count); i++)
		td_count_add(&to[i], td_count_get(&from[i]));
}

static const char *method_name(unsigned method, char text[static 16])
{
	struct td_span name = td_method_text((enum td_method)method);

	if (method == TD_M_OTHER || name.len == 0)
		return "other";
	snprintf(text, 16, "%.*s", (int)name.len, name.ptr);
	return text;
}

static void messages_send(struct row *row, const struct td_traffic *t)
{
	static const char *const directions[] = { "in", "out" };
	static const char *const classes[] = { "", "1xx", "2xx", "3xx", "4xx", "5xx", "6xx" };
	char name[16];

	for (unsigned d = 0; d < TD_TRAFFIC__DIRECTIONS; d++) {
		for (unsigned m = 0; m < TD_M__COUNT; m++) {
			row_begin(row, TD_METRIC_SIP_REQUESTS);
			row_label(row, "direction", directions[d]);
			row_label(row, "method", method_name(m, name));
			row_counter(row, t->requests[d][m]);
		}
	}
	for (unsigned d = 0; d < TD_TRAFFIC__DIRECTIONS; d++) {
		for (unsigned i = 0; i < TD_M__COUNT * (TD_TRAFFIC_CLASSES - 1); i++) {
			unsigned m = i / (TD_TRAFFIC_CLASSES - 1),
				 class = i % (TD_TRAFFIC_CLASSES - 1) + 1;
			row_begin(row, TD_METRIC_SIP_RESPONSES);
			row_label(row, "direction", directions[d]);
			row_label(row, "method", method_name(m, name));
			row_label(row, "class", classes[class]);
			row_counter(row, t->responses[d][m][class]);
		}
	}
}

static void histogram_send(struct row *row, enum td_metric_id metric, const struct td_traffic *t,
	enum td_histogram_id id)
{
	Tandem__Histogram histogram = TANDEM__HISTOGRAM__INIT;
	double bounds[TD_HISTOGRAM_BOUNDS];

	for (int i = 0; i < TD_HISTOGRAM_BOUNDS; i++)
		bounds[i] = (double)td_histogram_bounds(id)[i] / 1e6;
	histogram.n_bounds = TD_HISTOGRAM_BOUNDS;
	histogram.bounds = bounds;
	histogram.n_counts = TD_HISTOGRAM_BOUNDS + 1;
	histogram.counts = (uint64_t *)(uintptr_t)t->histograms[id].counts;
	histogram.sum = (double)t->histograms[id].sum / 1e6;
	row_begin(row, metric);
	row->metric.value_case = TANDEM__METRIC__VALUE_HISTOGRAM;
	row->metric.histogram = &histogram;
	row_send(row);
}

static void traffic_send(struct row *row, const struct td_dataplane *dp)
{
	struct td_traffic sum = { 0 };
	uint64_t answered = 0, calls = 0, bindings = 0;

	for (uint16_t i = 0; i < dp->n_workers; i++) {
		traffic_add(&sum, td_engine_traffic(dp->workers[i]->engine));
		answered += td_count_get(&dp->workers[i]->counters[TD_C_CALL_ANSWERED]);
		calls += atomic_load_explicit(&dp->workers[i]->live_calls, memory_order_relaxed);
		const struct td_location *location = td_engine_location(dp->workers[i]->engine);
		bindings += location ? td_location_count(location) : 0;
	}
	messages_send(row, &sum);
	row_begin(row, TD_METRIC_CALLS);
	row_gauge(row, (double)calls);
	row_begin(row, TD_METRIC_CALLS_OFFERED);
	row_counter(row, sum.offered);
	row_begin(row, TD_METRIC_CALLS_ANSWERED);
	row_counter(row, answered);
	for (int r = 0; r < TD_CALL_RESULT__COUNT; r++) {
		row_begin(row, TD_METRIC_CALLS_ENDED);
		row_label(row, "result", td_call_result_name((enum td_call_result)r));
		row_counter(row, sum.results[r]);
	}
	histogram_send(row, TD_METRIC_CALL_DURATION, &sum, TD_HISTOGRAM_CALL_DURATION);
	histogram_send(row, TD_METRIC_POST_DIAL_DELAY, &sum, TD_HISTOGRAM_POST_DIAL_DELAY);
	histogram_send(row, TD_METRIC_RTP_LOSS, &sum, TD_HISTOGRAM_RTP_LOSS);
	histogram_send(row, TD_METRIC_RTP_JITTER, &sum, TD_HISTOGRAM_RTP_JITTER);
	row_begin(row, TD_METRIC_REGISTRATIONS);
	row_gauge(row, (double)bindings);
	row_begin(row, TD_METRIC_REGISTRATIONS_LIMIT);
	row_gauge(row, dp->conf.max_registrations);
}

// --- pools and the journal ---

struct pool_use {
	const char *name;
	char place[20]; // core or socket
	uint64_t used, size;
};

// pools: room for n more rows than are there. Buffers are told once for each socket.
static unsigned worker_pools(const struct td_dataplane *dp, uint16_t w, struct pool_use *out)
{
	const struct td_worker *worker = dp->workers[w];
	struct td_pool_view views[TD_ENGINE_POOLS];
	unsigned n = 0;

	td_engine_pools(worker->engine, views);
	for (unsigned i = 0; i < TD_ENGINE_POOLS; i++)
		out[n++] = (struct pool_use){
			.name = views[i].name, .used = views[i].used, .size = views[i].size
		};
	out[n++] = (struct pool_use){ .name = "media_legs",
		.used = atomic_load_explicit(&worker->live_legs, memory_order_relaxed),
		.size = worker->legs->capacity };
	for (unsigned i = 0; i < n; i++)
		snprintf(out[i].place, sizeof(out[i].place), "core%u", worker->lcore);
	for (uint16_t other = 0; other < w; other++)
		if (dp->workers[other]->mbufs == worker->mbufs)
			return n;
	for (unsigned big = 0; big < 2; big++, n++) {
		const struct rte_mempool *pool = big ? worker->big_mbufs : worker->mbufs;
		out[n] = (struct pool_use){ .name = big ? "large_buffers" : "buffers",
			.used = rte_mempool_in_use_count(pool),
			.size = pool->size };
		snprintf(out[n].place, sizeof(out[n].place), "socket%d",
			pool->socket_id >= 0 ? pool->socket_id : 0);
	}
	return n;
}

// The samples of one metric stand together: all that are used, then all sizes.
static void pools_send(struct row *row, const struct td_dataplane *dp, bool size)
{
	struct pool_use pools[TD_ENGINE_POOLS + 3];

	for (uint16_t w = 0; w < dp->n_workers; w++) {
		unsigned n = worker_pools(dp, w, pools);
		for (unsigned i = 0; i < n; i++) {
			row_begin(row, size ? TD_METRIC_POOL_SIZE : TD_METRIC_POOL_USED);
			row_label(row, "pool", pools[i].name);
			row_label(row, "place", pools[i].place);
			row_gauge(row, (double)(size ? pools[i].size : pools[i].used));
		}
	}
}

static void journal_send(struct row *row, const struct td_dataplane *dp, bool size)
{
	char core[12];

	for (uint16_t w = 0; w < dp->n_workers; w++) {
		const struct td_journal_ring_head *ring = dp->workers[w]->journal->shared;
		uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed),
			 head = atomic_load_explicit(&ring->head, memory_order_relaxed);
		snprintf(core, sizeof(core), "%u", dp->workers[w]->lcore);
		row_begin(row, size ? TD_METRIC_JOURNAL_RING_SIZE : TD_METRIC_JOURNAL_RING_USED);
		row_label(row, "core", core);
		row_gauge(row, (double)(size ? ring->capacity : head - tail));
	}
}

void td_mgmt_show_stats(const struct td_admin *admin, struct td_mgmt_conn *conn, uint64_t id)
{
	const struct td_dataplane *dp = admin->dp;
	struct row row = { .conn = conn, .id = id };

	traffic_send(&row, dp);
	row_begin(&row, TD_METRIC_CALLS_LIMIT);
	row_gauge(&row, admin->policy->current ? td_policy_limits(admin->policy->current)->max_calls
					       : dp->conf.max_calls);
	pools_send(&row, dp, false);
	pools_send(&row, dp, true);
	journal_send(&row, dp, false);
	journal_send(&row, dp, true);
	row_begin(&row, TD_METRIC_JOURNAL_WRITTEN);
	row_counter(&row, atomic_load_explicit(&admin->journal->bytes, memory_order_relaxed));
	row_begin(&row, TD_METRIC_JOURNAL_FAILING);
	row_gauge(&row, atomic_load_explicit(&admin->journal->error, memory_order_relaxed) < 0);
	row_begin(&row, TD_METRIC_DRAINING);
	row_gauge(&row, atomic_load_explicit(&dp->draining, memory_order_relaxed));
	td_mgmt_send_done(conn, id, row.n);
}
