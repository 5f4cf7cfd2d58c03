// SPDX-License-Identifier: BSD-3-Clause
// The text that Prometheus scrapes (exposition format 0.0.4), built sample by sample in any order:
// the samples of one metric end up together, below its help and type.
//
// Owner: the loop. The memory of one page serves the next.
#pragma once

#include "include/metrics.h"

#include <stdbool.h>
#include <stdint.h>

struct td_metrics_part {
	char *text;
	size_t len, cap;
};

struct td_metrics_page {
	struct td_metrics_part parts[TD_METRIC__COUNT];
	bool failed; // no memory: the page is not rendered
};

struct td_metrics_label {
	const char *name, *value;
};

void td_metrics_page_fini(struct td_metrics_page *page);
void td_metrics_page_reset(struct td_metrics_page *page);

// labels end with name NULL; NULL: none. value: any double, NaN included.
void td_metrics_sample(struct td_metrics_page *page, enum td_metric_id id,
	const struct td_metrics_label *labels, double value);
// Integers are written whole, however large.
void td_metrics_count(struct td_metrics_page *page, enum td_metric_id id,
	const struct td_metrics_label *labels, uint64_t value);
// bounds ascend; counts: of each bucket alone, n_bounds + 1 of them.
void td_metrics_histogram(struct td_metrics_page *page, enum td_metric_id id,
	const struct td_metrics_label *labels, const double *bounds, size_t n_bounds,
	const uint64_t *counts, double sum);

// The whole text in memory of its own, and its length; NULL: no memory.
char *td_metrics_render(const struct td_metrics_page *page, size_t *len);
