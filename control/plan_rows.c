// SPDX-License-Identifier: BSD-3-Clause
#include "control/plan_rows.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#define LEVEL 1                                // of zlib: a plan waits for it
#define PACKED_MAX (TD_PLAN_PART_TEXT + 65536) // what cannot be packed grows a little

struct td_plan_rows {
	int fd;
	uint32_t n, cap;
	uint64_t *ends; // of the parts, in the memfd
	uint32_t checksum;
	uint32_t used;                // of text
	char text[TD_PLAN_PART_TEXT]; // collected, or unpacked
	uint8_t packed[PACKED_MAX];
};

struct td_plan_rows *td_plan_rows_new(void)
{
	struct td_plan_rows *rows = malloc(sizeof(*rows)); // its buffers need no zeros

	if (!rows)
		return NULL;
	memset(rows, 0, offsetof(struct td_plan_rows, text));
	rows->fd = memfd_create("tandem-plan-rows", MFD_CLOEXEC);
	if (rows->fd >= 0)
		return rows;
	free(rows);
	return NULL;
}

void td_plan_rows_free(struct td_plan_rows *rows)
{
	if (!rows)
		return;
	close(rows->fd);
	free(rows->ends);
	free(rows);
}

uint32_t td_plan_rows_parts(const struct td_plan_rows *rows)
{
	return rows->n;
}

uint64_t td_plan_rows_bytes(const struct td_plan_rows *rows)
{
	return rows->n == 0 ? 0 : rows->ends[rows->n - 1];
}

uint64_t td_plan_rows_checksum(const struct td_plan_rows *rows)
{
	return rows->checksum;
}

// --- making ---

static int write_all(int fd, const uint8_t *bytes, size_t len, uint64_t at)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, bytes, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		bytes += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int td_plan_rows_add_packed(struct td_plan_rows *rows, const void *bytes, size_t len)
{
	uint64_t at = td_plan_rows_bytes(rows);

	if (len > PACKED_MAX)
		return -EBADMSG;
	if (rows->n == TD_PLAN_PARTS_MAX)
		return -E2BIG;
	if (rows->n == rows->cap) {
		uint32_t cap = rows->cap ? 2 * rows->cap : 16;
		uint64_t *more = realloc(rows->ends, cap * sizeof(*more));
		if (!more)
			return -ENOMEM;
		rows->ends = more;
		rows->cap = cap;
	}
	int rc = write_all(rows->fd, bytes, len, at);
	if (rc < 0)
		return rc;
	rows->ends[rows->n++] = at + len;
	rows->checksum = (uint32_t)crc32_z(rows->checksum, bytes, len);
	return 0;
}

int td_plan_rows_end(struct td_plan_rows *rows)
{
	uLongf len = sizeof(rows->packed);

	if (rows->used == 0)
		return 0;
	if (compress2(rows->packed, &len, (const Bytef *)rows->text, rows->used, LEVEL) != Z_OK)
		return -ENOMEM;
	rows->used = 0;
	return td_plan_rows_add_packed(rows, rows->packed, len);
}

int td_plan_rows_add(struct td_plan_rows *rows, const char *text, size_t len)
{
	while (len > 0) {
		size_t room = sizeof(rows->text) - rows->used, take = len;
		if (len > room) {
			const char *end = memrchr(text, '\n', room);
			take = end ? (size_t)(end + 1 - text) : 0;
		}
		if (take == 0 && rows->used == 0)
			return -EINVAL;
		memcpy(rows->text + rows->used, text, take);
		rows->used += (uint32_t)take;
		text += take;
		len -= take;
		int rc = len > 0 ? td_plan_rows_end(rows) : 0;
		if (rc < 0)
			return rc;
	}
	return 0;
}

// --- reading ---

static int read_all(int fd, uint8_t *dst, size_t len, uint64_t at)
{
	while (len > 0) {
		ssize_t n = pread(fd, dst, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		dst += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int td_plan_rows_packed(struct td_plan_rows *rows, uint32_t n, const void **bytes, size_t *len)
{
	if (n >= rows->n)
		return -ENOENT;
	uint64_t at = n == 0 ? 0 : rows->ends[n - 1];
	*bytes = rows->packed;
	*len = rows->ends[n] - at;
	return read_all(rows->fd, rows->packed, *len, at);
}

int td_plan_rows_text(struct td_plan_rows *rows, uint32_t n, const char **text, size_t *len)
{
	const void *bytes;
	size_t packed_len;
	uLongf text_len = sizeof(rows->text);
	int rc = td_plan_rows_packed(rows, n, &bytes, &packed_len);

	if (rc < 0)
		return rc;
	if (uncompress((Bytef *)rows->text, &text_len, bytes, packed_len) != Z_OK)
		return -EBADMSG;
	*text = rows->text;
	*len = text_len;
	return 0;
}
