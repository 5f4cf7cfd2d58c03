// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/journal_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

void journal_path(const char *dir, uint64_t n, char path[128])
{
	snprintf(path, 128, "%s/%016" PRIx64 ".tdj", dir, n);
}

FILE *journal_segment(const char *dir, uint64_t n)
{
	char path[128];
	struct td_journal_segment header = { TD_JOURNAL_MAGIC, TD_JOURNAL_VERSION, n };

	journal_path(dir, n, path);
	FILE *f = fopen(path, "ab");
	if (!f)
		abort();
	if (ftell(f) == 0)
		fwrite(&header, sizeof(header), 1, f);
	return f;
}

void journal_put(FILE *f, uint16_t type, uint32_t epoch, const void *payload, uint32_t length)
{
	static const uint8_t zero[8];
	struct td_journal_record r = { .length = length, .type = type, .epoch = epoch };

	r.crc = td_journal_crc(&r, payload);
	fwrite(&r, sizeof(r), 1, f);
	fwrite(payload, length, 1, f);
	fwrite(zero, td_journal_padded(length) - length, 1, f);
}

void journal_put_cdr(FILE *f, uint16_t type, uint32_t epoch, int n)
{
	struct td_cdr cdr = { .trunk_in = "a",
		.start_us = 1,
		.answer_us = 2,
		.sip_code = 200,
		.complete = type == TD_JOURNAL_END };

	snprintf(cdr.id, sizeof(cdr.id), "x-%u-0-%d", epoch, n);
	journal_put(f, type, epoch, &cdr, sizeof(cdr));
}

void journal_put_boot(FILE *f, uint32_t epoch)
{
	struct td_journal_boot boot = { .started_us = 1, .epoch = epoch };

	journal_put(f, TD_JOURNAL_BOOT, epoch, &boot, sizeof(boot));
}
