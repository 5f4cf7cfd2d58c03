// SPDX-License-Identifier: BSD-3-Clause
// Where the journal's records go: a destination of its own, with its own position. The store is one
// (sink_store.c), CSV and JSON lines are others (sink_file.c).
//
// Owner: the destination's thread (control/destination.h); only interrupt() comes from another.
// Every function may wait. What stands between begin and commit is committed with the position; a
// sink that cannot do both at once does the records first, so that they may come twice and never
// get lost.
#pragma once

#include "control/store.h"

struct td_sink;

struct td_sink_ops {
	void (*close)(struct td_sink *sink);
	// 0 or -ENOENT: nothing read yet. This and all below: negative errno, -EBUSY as in
	// control/store.h.
	int (*position_get)(struct td_sink *sink, struct td_store_position *out);
	int (*begin)(struct td_sink *sink);
	int (*boot)(struct td_sink *sink, uint32_t epoch, uint32_t *closed);
	int (*start)(struct td_sink *sink, uint32_t epoch, const struct td_cdr *cdr);
	int (*interim)(struct td_sink *sink, uint32_t epoch, const struct td_cdr *cdr);
	int (*end)(struct td_sink *sink, const struct td_cdr *cdr);
	int (*attempt)(struct td_sink *sink, const struct td_cdr_attempt *attempt);
	// A packed binding (include/binding.h). NULL: passed over.
	int (*binding)(struct td_sink *sink, const uint8_t *record, size_t len);
	// Records were removed before this sink saw them (it was switched off): what waits for an
	// end waits in vain.
	int (*gap)(struct td_sink *sink);
	int (*commit)(struct td_sink *sink, const struct td_store_position *position);
	void (*rollback)(struct td_sink *sink);
	const char *(*error)(const struct td_sink *sink);
	void (*interrupt)(struct td_sink *sink);
};

struct td_sink {
	const struct td_sink_ops *ops;
};

struct td_events;
// Events of ends of calls. NULL: no memory.
struct td_sink *td_sink_watch_open(struct td_events *events);
// The store at url. NULL and error text, as td_store_open().
struct td_sink *td_sink_store_open(const char *url, const char *node, char *error, size_t cap);
