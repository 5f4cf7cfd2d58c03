// SPDX-License-Identifier: BSD-3-Clause
// Rows of the store, in one transaction with the position: each record exactly once.
#include "control/sink.h"

#include <stdio.h>
#include <stdlib.h>

struct store_sink {
	struct td_sink base;
	struct td_store *store;
};

static struct td_store *store_of(const struct td_sink *sink)
{
	return ((const struct store_sink *)sink)->store;
}

static void store_close(struct td_sink *sink)
{
	td_store_close(store_of(sink));
	free(sink);
}

static int store_position_get(struct td_sink *sink, struct td_store_position *out)
{
	return td_store_position_get(store_of(sink), out);
}

static int store_begin(struct td_sink *sink)
{
	return td_store_begin(store_of(sink));
}

static int store_boot(struct td_sink *sink, uint32_t epoch, uint32_t *closed)
{
	return td_store_boot(store_of(sink), epoch, closed);
}

static int store_start(struct td_sink *sink, uint32_t epoch, const struct td_cdr *cdr)
{
	return td_store_cdr_start(store_of(sink), epoch, cdr);
}

static int store_interim(struct td_sink *sink, uint32_t epoch, const struct td_cdr *cdr)
{
	return td_store_cdr_interim(store_of(sink), epoch, cdr);
}

static int store_end(struct td_sink *sink, const struct td_cdr *cdr)
{
	return td_store_cdr_end(store_of(sink), cdr);
}

static int store_attempt(struct td_sink *sink, const struct td_cdr_attempt *attempt)
{
	return td_store_cdr_attempt(store_of(sink), attempt);
}

static int store_binding(struct td_sink *sink, const uint8_t *record, size_t len)
{
	return td_store_binding(store_of(sink), record, len);
}

static int store_gap(struct td_sink *sink)
{
	return td_store_open_clear(store_of(sink));
}

static int store_commit(struct td_sink *sink, const struct td_store_position *position)
{
	int rc = td_store_position_set(store_of(sink), position);

	return rc ? rc : td_store_commit(store_of(sink));
}

static void store_rollback(struct td_sink *sink)
{
	td_store_rollback(store_of(sink));
}

static const char *store_error(const struct td_sink *sink)
{
	return td_store_error(store_of(sink));
}

static void store_interrupt(struct td_sink *sink)
{
	td_store_interrupt(store_of(sink));
}

static const struct td_sink_ops store_ops = {
	.close = store_close,
	.position_get = store_position_get,
	.begin = store_begin,
	.boot = store_boot,
	.start = store_start,
	.interim = store_interim,
	.end = store_end,
	.attempt = store_attempt,
	.binding = store_binding,
	.gap = store_gap,
	.commit = store_commit,
	.rollback = store_rollback,
	.error = store_error,
	.interrupt = store_interrupt,
};

struct td_sink *td_sink_store_open(const char *url, const char *node, char *error, size_t cap)
{
	struct store_sink *sink = calloc(1, sizeof(*sink));

	if (!sink) {
		snprintf(error, cap, "no memory");
		return NULL;
	}
	sink->base.ops = &store_ops;
	sink->store = td_store_open(url, node, error, cap);
	if (sink->store)
		return &sink->base;
	free(sink);
	return NULL;
}
