// SPDX-License-Identifier: BSD-3-Clause
// Route files: comma-separated lines under a line that names the columns (tandem-routes(5)). Pure;
// any thread.
#pragma once

#include "include/policy_conf.h"
#include "sip/route_build.h"

#include <stdatomic.h>
#include <stdbool.h>

// What a file may name, copied from a policy, so that another thread can ask while the policy goes.
struct td_route_names;
struct td_route_names *td_route_names_new(const struct td_policy_conf *policy); // NULL: no memory
void td_route_names_free(struct td_route_names *names);                         // NULL is fine

// Reads lines into the builder. progress: bytes read so far, for others to look at. names NULL:
// names are not checked. Lines before a faulty one are in the builder already: it is of no use
// then. All pointers are borrowed. NULL: no memory, error says so.
struct td_route_csv;
struct td_route_csv *td_route_csv_new(struct td_route_builder *builder,
	const struct td_route_names *names, _Atomic uint64_t *progress, char *error, size_t cap);
void td_route_csv_free(struct td_route_csv *csv); // NULL is fine
// Whole lines, the next of the file. 0; -EINVAL and "line N: what is wrong" in error; -ENOMEM.
int td_route_csv_feed(struct td_route_csv *csv, const char *text, size_t len);
int td_route_csv_end(struct td_route_csv *csv); // behind the last line, in the same way
// Instead of feeding it to the builder, which may be NULL: the fields of one line, the next of the
// file, in the order of td_route_csv_columns. *row false: it is empty, or names the columns.
int td_route_csv_fields(
	struct td_route_csv *csv, const char *text, size_t len, struct td_span *fields, bool *row);
// Whether the file's columns are those of TD_ROUTE_CSV_HEADER in its order.
bool td_route_csv_has_all(const struct td_route_csv *csv);
// All of that with a file that is in one piece.
int td_route_csv_read(struct td_route_builder *builder, const char *text, size_t len,
	const struct td_route_names *names, _Atomic uint64_t *progress, char *error, size_t cap);

// The line of column names that td_route_csv_write() writes for.
#define TD_ROUTE_CSV_HEADER                                                                        \
	"match,to,priority,weight,cost,domain,caller,window,max_duration,block,limit,failover,"    \
	"name\n"
#define TD_ROUTE_CSV_COLUMNS 13
#define TD_ROUTE_CSV_LINE_MAX 2048 // of such a line

enum td_route_column {
	COL_MATCH,
	COL_TO,
	COL_PRIORITY,
	COL_WEIGHT,
	COL_COST,
	COL_DOMAIN,
	COL_CALLER,
	COL_WINDOW,
	COL_MAX_DURATION,
	COL_BLOCK,
	COL_LIMIT,
	COL_FAILOVER,
	COL_NAME,
	COL__COUNT
};

extern const char *const td_route_csv_columns[TD_ROUTE_CSV_COLUMNS];

// A line of such fields, its end included. Returns its length; 0: it is too long.
size_t td_route_csv_line(const struct td_span *fields, char *dst, size_t cap);
// Calls row() with the fields of each line of one match; they live until it returns. set: of match.
void td_route_csv_each(const struct td_route_image *image, const char *match, uint32_t set,
	void (*row)(void *ctx, const struct td_span *fields), void *ctx);
// The same as lines that td_route_csv_read() reads into what they came from, ends included.
void td_route_csv_write(const struct td_route_image *image, const char *match, uint32_t set,
	void (*line)(void *ctx, const char *text, size_t len), void *ctx);
