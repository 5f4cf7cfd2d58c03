// SPDX-License-Identifier: BSD-3-Clause
#include "control/zone.h"

#include "control/zone_rule.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define FILE_MAX (1u << 20)
#define HEADER 44
#define YEAR_S (366ll * 86400)
#define YEARS 32 // more than there is room for

struct file {
	const uint8_t *bytes;
	size_t len, at;
};

static uint64_t big_endian(const uint8_t *at, unsigned n)
{
	uint64_t value = 0;

	while (n-- > 0)
		value = value << 8 | *at++;
	return value;
}

// Counts of a header, in the file's order.
struct counts {
	uint32_t isut, isstd, leap, time, type, chars;
};

static bool header_read(struct file *f, struct counts *c)
{
	const uint8_t *at = f->bytes + f->at;

	if (f->len - f->at < HEADER || memcmp(at, "TZif", 4) != 0)
		return false;
	*c = (struct counts){ (uint32_t)big_endian(at + 20, 4), (uint32_t)big_endian(at + 24, 4),
		(uint32_t)big_endian(at + 28, 4), (uint32_t)big_endian(at + 32, 4),
		(uint32_t)big_endian(at + 36, 4), (uint32_t)big_endian(at + 40, 4) };
	f->at += HEADER;
	return c->type > 0 && c->type <= 256 && c->time < FILE_MAX && c->chars < FILE_MAX &&
	       c->leap < FILE_MAX && c->isut < FILE_MAX && c->isstd < FILE_MAX;
}

static uint64_t body_bytes(const struct counts *c, unsigned time_bytes)
{
	return (uint64_t)c->time * (time_bytes + 1) + c->type * 6ull + c->chars +
	       c->leap * (time_bytes + 4ull) + c->isstd + c->isut;
}

// The step before now stands first: what came earlier does not matter any more.
static void step_add(struct td_window_conf *w, struct td_zone_step step, int64_t now_s)
{
	if (step.at_s <= now_s)
		w->steps[0] = step;
	else if (w->n_steps < TD_ZONE_STEPS_MAX)
		w->steps[w->n_steps++] = step;
}

// Returns the time of the last one.
static int64_t steps_fill(
	struct td_window_conf *w, const uint8_t *body, const struct counts *c, int64_t now_s)
{
	const uint8_t *types = body + c->time * 8ull, *infos = types + c->time;
	int64_t at_s = INT64_MIN;

	w->n_steps = 1;
	w->steps[0] = (struct td_zone_step){ 0, (int32_t)big_endian(infos, 4) };
	for (uint32_t i = 0; i < c->time; i++) {
		at_s = (int64_t)big_endian(body + i * 8ull, 8);
		uint8_t type = types[i] < c->type ? types[i] : 0;
		step_add(w,
			(struct td_zone_step){ at_s, (int32_t)big_endian(infos + type * 6u, 4) },
			now_s);
	}
	return at_s;
}

// What follows the last change of the file: many files hold no more than the rule of those to come.
static bool rule_follow(
	struct td_window_conf *w, struct td_span text, int64_t last_s, int64_t now_s)
{
	struct td_zone_rule rule;
	struct td_zone_step steps[2];

	if (text.len == 0)
		return true;
	if (!td_zone_rule_read(text, &rule))
		return false;
	int64_t year = 1970 + now_s / YEAR_S - 1;
	for (int64_t y = year; rule.has_summer && y < year + YEARS; y++) {
		td_zone_rule_year(&rule, y, steps);
		for (int i = 0; i < 2; i++)
			if (steps[i].at_s > last_s)
				step_add(w, steps[i], now_s);
	}
	return true;
}

// Between two ends of line.
static struct td_span footer_of(const struct file *f)
{
	const char *text = (const char *)f->bytes + f->at;
	size_t left = f->len - f->at;
	const char *end = left > 1 && *text == '\n' ? memchr(text + 1, '\n', left - 1) : NULL;

	return end ? td_span(text + 1, (size_t)(end - text - 1)) : (struct td_span){ 0 };
}

int td_zone_decode(const uint8_t *bytes, size_t len, int64_t now_s, struct td_window_conf *window)
{
	struct file f = { bytes, len, 0 };
	struct counts c;

	// The first part is of 32-bit times; the second one, of 64-bit times, is what counts.
	if (!header_read(&f, &c) || body_bytes(&c, 4) > f.len - f.at)
		return -EINVAL;
	f.at += body_bytes(&c, 4);
	if (!header_read(&f, &c) || body_bytes(&c, 8) > f.len - f.at)
		return -EINVAL;
	int64_t last_s = steps_fill(window, bytes + f.at, &c, now_s);
	f.at += body_bytes(&c, 8);
	return rule_follow(window, footer_of(&f), last_s, now_s) ? 0 : -EINVAL;
}

static bool zone_fits(const char *zone)
{
	for (const char *c = zone; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("/_+-", *c))
			return false;
	return zone[0] != '\0' && zone[0] != '/';
}

static int file_load(const char *zone, uint8_t *bytes, size_t *len)
{
	char path[128];

	snprintf(path, sizeof(path), TD_ZONE_FOLDER "/%s", zone);
	FILE *in = fopen(path, "rbe");
	if (!in)
		return -ENOENT;
	*len = fread(bytes, 1, FILE_MAX, in);
	fclose(in);
	return 0;
}

int td_zone_read(const char *zone, struct td_window_conf *window)
{
	size_t len = 0;

	if (strcmp(zone, "UTC") == 0) {
		window->n_steps = 0;
		return 0;
	}
	uint8_t *bytes = zone_fits(zone) ? malloc(FILE_MAX) : NULL;
	int rc = bytes ? file_load(zone, bytes, &len) : -ENOENT;
	// A year back, so that a file read today still answers for the calls of yesterday's time.
	if (rc == 0)
		rc = td_zone_decode(bytes, len, (int64_t)time(NULL) - YEAR_S, window);
	free(bytes);
	return rc;
}
