// SPDX-License-Identifier: BSD-3-Clause
// The lines of a route file as the store keeps them: in parts of at most TD_PLAN_PART_TEXT bytes,
// which end where a line does, each packed by itself (zlib). So they outlive every change of the
// compiled image, and whoever handles them needs the memory of one part. They lie in a memfd.
//
// Owner: one thread at a time.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TD_PLAN_PART_TEXT (1u << 20)
#define TD_PLAN_PARTS_MAX (1u << 16)

struct td_plan_rows;

struct td_plan_rows *td_plan_rows_new(void);       // NULL: no memory
void td_plan_rows_free(struct td_plan_rows *rows); // NULL is fine

// Whole lines; only the very last one may lack its end. 0; -EINVAL: a line is longer than a part;
// -E2BIG, -ENOMEM and what writing a memfd may end with.
int td_plan_rows_add(struct td_plan_rows *rows, const char *text, size_t len);
int td_plan_rows_end(struct td_plan_rows *rows); // behind the last line
// One part as it was packed by another.
int td_plan_rows_add_packed(struct td_plan_rows *rows, const void *bytes, size_t len);

uint32_t td_plan_rows_parts(const struct td_plan_rows *rows);
uint64_t td_plan_rows_bytes(const struct td_plan_rows *rows); // packed
uint64_t td_plan_rows_checksum(const struct td_plan_rows *rows);

// Part n as it is packed, which lives until the next call for these rows. 0 or negative errno.
int td_plan_rows_packed(struct td_plan_rows *rows, uint32_t n, const void **bytes, size_t *len);
// The text of part n, in the same way; -EBADMSG: it is damaged.
int td_plan_rows_text(struct td_plan_rows *rows, uint32_t n, const char **text, size_t *len);
