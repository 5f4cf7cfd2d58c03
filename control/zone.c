// SPDX-License-Identifier: BSD-3-Clause
#include "control/zone.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define FILE_MAX (1u << 20)
#define HEADER 44

struct file {
	uint8_t bytes[FILE_MAX];
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
static void steps_fill(
	struct td_window_conf *w, const uint8_t *body, const struct counts *c, int64_t now_s)
{
	const uint8_t *types = body + c->time * 8ull, *infos = types + c->time;

	w->n_steps = 1;
	w->steps[0] = (struct td_zone_step){ 0, (int32_t)big_endian(infos, 4) };
	for (uint32_t i = 0; i < c->time; i++) {
		int64_t at_s = (int64_t)big_endian(body + i * 8ull, 8);
		uint8_t type = types[i] < c->type ? types[i] : 0;
		struct td_zone_step step = { at_s, (int32_t)big_endian(infos + type * 6u, 4) };
		if (at_s <= now_s)
			w->steps[0] = step;
		else if (w->n_steps < TD_ZONE_STEPS_MAX)
			w->steps[w->n_steps++] = step;
	}
}

static bool zone_fits(const char *zone)
{
	for (const char *c = zone; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("/_+-", *c))
			return false;
	return zone[0] != '\0' && zone[0] != '/';
}

static int file_load(const char *zone, struct file *f)
{
	char path[128];

	snprintf(path, sizeof(path), TD_ZONE_FOLDER "/%s", zone);
	FILE *in = fopen(path, "rbe");
	if (!in)
		return -ENOENT;
	f->len = fread(f->bytes, 1, sizeof(f->bytes), in);
	fclose(in);
	return 0;
}

int td_zone_read(const char *zone, struct td_window_conf *window)
{
	struct counts c;

	if (strcmp(zone, "UTC") == 0) {
		window->n_steps = 0;
		return 0;
	}
	struct file *f = zone_fits(zone) ? calloc(1, sizeof(*f)) : NULL;
	int rc = f ? file_load(zone, f) : -ENOENT;
	// The first part is of 32-bit times; the second one, of 64-bit times, is what counts.
	bool good = rc == 0 && header_read(f, &c) && body_bytes(&c, 4) <= f->len - f->at;
	if (good)
		f->at += body_bytes(&c, 4);
	good = good && header_read(f, &c) && body_bytes(&c, 8) <= f->len - f->at;
	// A year back, so that a file read today still answers for the calls of yesterday's time.
	if (good)
		steps_fill(window, f->bytes + f->at, &c, (int64_t)time(NULL) - 366ll * 86400);
	free(f);
	return good ? 0 : rc < 0 ? rc : -EINVAL;
}
