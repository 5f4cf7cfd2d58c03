// SPDX-License-Identifier: BSD-3-Clause
// tandemctl show stats: metrics as Prometheus names them.
#include "control/ctl.h"

#include <inttypes.h>

static const char *const stats_columns[] = { "name", "labels", ">value", ">mean", ">50 %", ">95 %",
	">99 %" };

static uint64_t histogram_count(const Tandem__Histogram *h)
{
	uint64_t n = 0;

	for (size_t i = 0; i < h->n_counts; i++)
		n += h->counts[i];
	return n;
}

// The bound below which that share of the values lies.
static void quantile_cell(struct ctl_table *out, const Tandem__Histogram *h, double share)
{
	uint64_t total = histogram_count(h), n = 0;

	for (size_t i = 0; i < h->n_counts && i < h->n_bounds; i++) {
		n += h->counts[i];
		if ((double)n >= share * (double)total) {
			ctl_table_cell(out, "<= %g", h->bounds[i]);
			return;
		}
	}
	ctl_table_cell(out, "> %g", h->n_bounds > 0 ? h->bounds[h->n_bounds - 1] : 0);
}

static void histogram_cells(struct ctl_table *out, const Tandem__Histogram *h)
{
	uint64_t total = histogram_count(h);

	ctl_table_cell(out, "%" PRIu64, total);
	ctl_table_cell(out, "%.4g", h->sum / (double)total);
	quantile_cell(out, h, 0.5);
	quantile_cell(out, h, 0.95);
	quantile_cell(out, h, 0.99);
}

static bool is_zero(const Tandem__Metric *m)
{
	switch (m->value_case) {
	case TANDEM__METRIC__VALUE_COUNTER:
		return m->counter == 0;
	case TANDEM__METRIC__VALUE_GAUGE:
		return m->gauge == 0;
	case TANDEM__METRIC__VALUE_HISTOGRAM:
		return histogram_count(m->histogram) == 0;
	default:
		return true;
	}
}

static void stats_cells(const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item)
{
	const Tandem__Metric *m = item->metric;
	char labels[240] = "";

	if (is_zero(m))
		return;
	for (size_t i = 0, at = 0; i < m->n_labels && at < sizeof(labels); i++)
		at += (size_t)snprintf(labels + at, sizeof(labels) - at, "%s%s=%s", i ? " " : "",
			m->labels[i]->name, m->labels[i]->value);
	ctl_table_cell(out, "%s", m->name);
	ctl_table_cell(out, "%s", labels);
	if (m->value_case == TANDEM__METRIC__VALUE_HISTOGRAM) {
		histogram_cells(out, m->histogram);
		return;
	}
	if (m->value_case == TANDEM__METRIC__VALUE_COUNTER)
		ctl_table_cell(out, "%" PRIu64, m->counter);
	else
		ctl_table_cell(out, "%.15g", m->gauge);
	for (int i = 0; i < 4; i++)
		ctl_table_cell(out, "%s", "");
}

static json_t *histogram_json(const Tandem__Histogram *h)
{
	json_t *buckets = json_array();

	for (size_t i = 0; i < h->n_counts; i++)
		json_array_append_new(
			buckets, json_pack("{s:o, s:o}", "le",
					 i < h->n_bounds ? json_real(h->bounds[i]) : json_null(),
					 "count", ctl_number(h->counts[i])));
	return json_pack("{s:o, s:f, s:o}", "count", ctl_number(histogram_count(h)), "sum", h->sum,
		"buckets", buckets);
}

static json_t *stats_json(const struct ctl *ctl, const Tandem__Item *item)
{
	const Tandem__Metric *m = item->metric;
	json_t *labels = json_object();
	json_t *out = json_pack("{s:o, s:o}", "name", ctl_text(m->name), "labels", labels);

	for (size_t i = 0; i < m->n_labels; i++)
		json_object_set_new(labels, m->labels[i]->name, ctl_text(m->labels[i]->value));
	if (m->value_case == TANDEM__METRIC__VALUE_HISTOGRAM)
		json_object_set_new(out, "histogram", histogram_json(m->histogram));
	else if (m->value_case == TANDEM__METRIC__VALUE_COUNTER)
		json_object_set_new(out, "value", ctl_number(m->counter));
	else
		json_object_set_new(out, "value", json_real(m->gauge));
	return out;
}

const struct ctl_view ctl_view_stats = { TANDEM__TABLE__STATS, TANDEM__ITEM__ROW_METRIC,
	CTL_COLUMNS(stats_columns), .cells = stats_cells, .json = stats_json };
