// SPDX-License-Identifier: BSD-3-Clause
// Route files of any bytes: refused with a line, or a plan that its own check and look-up take; and
// the same bytes as an image.
#include "control/plan_diff.h"
#include "control/route_csv.h"

#include <stdlib.h>

static void each(void *ctx, const char *text, uint32_t set)
{
	++*(uint64_t *)ctx;
	assert(set != 0);
}

static void plan_try(struct td_route_builder *builder)
{
	char match[TD_ROUTE_SYMBOLS_MAX + 2];
	struct td_route_image image;
	struct td_plan_diff diff;
	const char *error = NULL;
	uint64_t n = 0;
	size_t bytes;

	if (td_route_builder_close(builder, &bytes, match) < 0)
		return;
	void *memory = aligned_alloc(64, bytes);
	if (!memory)
		return;
	memset(memory, 0, bytes);
	td_route_builder_write(builder, "fuzz", memory);
	int rc = td_route_image_open(&image, memory, bytes, &error);
	assert(rc == 0);
	td_plan_each(&image, each, &n);
	td_plan_diff(NULL, &image, &diff);
	assert(n == diff.count[TD_PLAN_ADDED]);
	free(memory);
}

static void image_try(const uint8_t *data, size_t size)
{
	size_t len = size & ~63ul;
	const char *error = NULL;
	struct td_route_image image;
	void *memory = len > 0 ? aligned_alloc(64, len) : NULL;

	if (!memory)
		return;
	memcpy(memory, data, len);
	struct td_route_header *h = memory;
	if (len >= sizeof(*h)) {
		h->magic = TD_ROUTE_MAGIC;
		h->bytes = len;
		h->generation = td_route_image_hash(h);
	}
	if (td_route_image_open(&image, memory, len, &error) == 0)
		td_plan_find(&image, "4930");
	free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct td_route_builder *builder = td_route_builder_new();
	_Atomic uint64_t progress = 0;
	char error[256] = "";

	if (!builder)
		return 0;
	if (td_route_csv_read(
		    builder, (const char *)data, size, NULL, &progress, error, sizeof(error)) == 0)
		plan_try(builder);
	else
		assert(error[0] != '\0');
	td_route_builder_free(builder);
	image_try(data, size);
	return 0;
}
