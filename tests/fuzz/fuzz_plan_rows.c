// SPDX-License-Identifier: BSD-3-Clause
// The lines of a plan as a database may give them back, torn or written over: they are refused, or
// compile into a plan that holds, and are found again as they are.
//
// Input: pieces of two bytes length (bit 15: packed already, else text that is packed here) and so
// many bytes.
#include "control/plan_diff.h"
#include "control/plan_rows.h"
#include "control/route_csv.h"
#include "tests/fuzz/must.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

// Text in a part of its own, wherever its lines end.
static void text_add(struct td_plan_rows *rows, const uint8_t *text, size_t len)
{
	uint8_t packed[33 << 10];
	uLongf n = sizeof(packed);

	must(compress2(packed, &n, text, len, 1) == Z_OK);
	must(td_plan_rows_add_packed(rows, packed, n) == 0);
}

static void rows_fill(struct td_plan_rows *rows, const uint8_t *data, size_t size)
{
	uint16_t head;

	while (size > sizeof(head)) {
		memcpy(&head, data, sizeof(head));
		size_t n = head & 0x7fff;
		data += sizeof(head);
		size -= sizeof(head);
		n = n < size ? n : size;
		if (head & 0x8000)
			must(td_plan_rows_add_packed(rows, data, n) == 0);
		else
			text_add(rows, data, n);
		data += n;
		size -= n;
	}
}

// As a job that fetched them reads them.
static int rows_read(struct td_plan_rows *rows, struct td_route_csv *csv)
{
	const char *text;
	size_t len;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < td_plan_rows_parts(rows); i++) {
		rc = td_plan_rows_text(rows, i, &text, &len);
		must(rc == 0 || rc == -EBADMSG);
		if (rc == 0)
			rc = td_route_csv_feed(csv, text, len);
	}
	return rc == 0 ? td_route_csv_end(csv) : rc;
}

static void line_count(void *ctx, const char *text, size_t len)
{
	++*(uint64_t *)ctx;
	must(len > 0 && text[len - 1] == '\n');
}

struct walk {
	const struct td_route_image *image;
	uint64_t lines;
};

static void match_write(void *ctx, const char *match, uint32_t set)
{
	struct walk *walk = ctx;

	td_route_csv_write(walk->image, match, set, line_count, &walk->lines);
}

static void plan_check(struct td_route_builder *builder)
{
	char match[TD_ROUTE_SYMBOLS_MAX + 2];
	struct td_route_image image;
	struct walk walk = { .image = &image };
	const char *error = NULL;
	size_t bytes;

	if (td_route_builder_close(builder, &bytes, match) < 0)
		return;
	void *memory = aligned_alloc(64, bytes);
	must(memory != NULL);
	memset(memory, 0, bytes);
	td_route_builder_write(builder, "fuzz", memory);
	must(td_route_image_open(&image, memory, bytes, &error) == 0);
	td_plan_each(&image, match_write, &walk);
	must(walk.lines == image.header->rows);
	free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct td_plan_rows *rows = td_plan_rows_new();
	struct td_route_builder *builder = td_route_builder_new();
	_Atomic uint64_t progress = 0;
	char error[256] = "";
	struct td_route_csv *csv =
		td_route_csv_new(builder, NULL, &progress, error, sizeof(error));

	must(rows && builder && csv);
	rows_fill(rows, data, size);
	int rc = rows_read(rows, csv);
	must(rc == 0 || rc == -EBADMSG || error[0] != '\0');
	if (rc == 0)
		plan_check(builder);
	td_route_csv_free(csv);
	td_route_builder_free(builder);
	td_plan_rows_free(rows);
	return 0;
}
