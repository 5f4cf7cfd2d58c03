// SPDX-License-Identifier: BSD-3-Clause
#include "control/metrics_page.h"

#include "control/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define LABEL_MAX 256

void td_metrics_page_fini(struct td_metrics_page *page)
{
	for (int i = 0; i < TD_METRIC__COUNT; i++)
		free(page->parts[i].text);
	*page = (struct td_metrics_page){ 0 };
}

void td_metrics_page_reset(struct td_metrics_page *page)
{
	for (int i = 0; i < TD_METRIC__COUNT; i++)
		page->parts[i].len = 0;
	page->failed = false;
}

static void part_add(struct td_metrics_page *page, struct td_metrics_part *part, const char *format,
	...) __attribute__((format(printf, 3, 4)));

static void part_add(
	struct td_metrics_page *page, struct td_metrics_part *part, const char *format, ...)
{
	for (;;) {
		va_list ap;
		size_t room = part->cap - part->len;
		va_start(ap, format);
		int n = vsnprintf(part->text ? part->text + part->len : NULL, room, format, ap);
		va_end(ap);
		if (n >= 0 && (size_t)n < room) {
			part->len += (size_t)n;
			return;
		}
		size_t cap = 2 * part->cap + (size_t)(n > 0 ? n : 0) + 512;
		char *larger = n < 0 ? NULL : realloc(part->text, cap);
		if (!larger) {
			page->failed = true;
			return;
		}
		part->text = larger;
		part->cap = cap;
	}
}

// In label values \, " and the end of a line are escaped; the latter never gets here.
static void label_value_add(
	struct td_metrics_page *page, struct td_metrics_part *part, const char *value)
{
	char clean[LABEL_MAX];

	td_text_clean(value, LABEL_MAX, false, clean, sizeof(clean));
	for (const char *c = clean; *c;) {
		size_t plain = strcspn(c, "\\\"");
		part_add(page, part, "%.*s", (int)plain, c);
		c += plain;
		if (*c)
			part_add(page, part, "\\%c", *c++);
	}
}

// "name_suffix{label="value",le="bound"} ", le: NULL where there is none.
static void name_add(struct td_metrics_page *page, enum td_metric_id id, const char *suffix,
	const struct td_metrics_label *labels, const char *le)
{
	struct td_metrics_part *part = &page->parts[id];
	const char *between = "{";

	part_add(page, part, "%s%s", td_metric(id)->name, suffix);
	for (; labels && labels->name; labels++, between = ",") {
		part_add(page, part, "%s%s=\"", between, labels->name);
		label_value_add(page, part, labels->value);
		part_add(page, part, "\"");
	}
	if (le)
		part_add(page, part, "%sle=\"%s\"", between, le);
	part_add(page, part, le || between[0] == ',' ? "} " : " ");
}

static void value_add(struct td_metrics_page *page, enum td_metric_id id, double value)
{
	if (isnan(value))
		part_add(page, &page->parts[id], "NaN\n");
	else if (isinf(value))
		part_add(page, &page->parts[id], value > 0 ? "+Inf\n" : "-Inf\n");
	else
		part_add(page, &page->parts[id], "%.15g\n", value);
}

void td_metrics_sample(struct td_metrics_page *page, enum td_metric_id id,
	const struct td_metrics_label *labels, double value)
{
	name_add(page, id, "", labels, NULL);
	value_add(page, id, value);
}

void td_metrics_count(struct td_metrics_page *page, enum td_metric_id id,
	const struct td_metrics_label *labels, uint64_t value)
{
	name_add(page, id, "", labels, NULL);
	part_add(page, &page->parts[id], "%" PRIu64 "\n", value);
}

void td_metrics_histogram(struct td_metrics_page *page, enum td_metric_id id,
	const struct td_metrics_label *labels, const double *bounds, size_t n_bounds,
	const uint64_t *counts, double sum)
{
	uint64_t below = 0;
	char le[32];

	for (size_t i = 0; i <= n_bounds; i++) {
		below += counts[i];
		if (i < n_bounds)
			snprintf(le, sizeof(le), "%.10g", bounds[i]);
		name_add(page, id, "_bucket", labels, i < n_bounds ? le : "+Inf");
		part_add(page, &page->parts[id], "%" PRIu64 "\n", below);
	}
	name_add(page, id, "_sum", labels, NULL);
	value_add(page, id, sum);
	name_add(page, id, "_count", labels, NULL);
	part_add(page, &page->parts[id], "%" PRIu64 "\n", below);
}

char *td_metrics_render(const struct td_metrics_page *page, size_t *len)
{
	static const char *const types[] = { "counter", "gauge", "histogram" };
	char *text = NULL;
	FILE *out = page->failed ? NULL : open_memstream(&text, len);

	if (!out)
		return NULL;
	for (int i = 0; i < TD_METRIC__COUNT; i++) {
		const struct td_metric *m = td_metric((enum td_metric_id)i);
		const struct td_metrics_part *part = &page->parts[i];
		if (part->len == 0)
			continue;
		fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name,
			types[m->type]);
		fwrite(part->text, 1, part->len, out);
	}
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
