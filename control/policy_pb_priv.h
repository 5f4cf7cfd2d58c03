// SPDX-License-Identifier: BSD-3-Clause
// What the files of policy_pb share: how messages are built, and how values are taken from them.
#pragma once

#include "control/policy_pb.h"

#include <stdlib.h>

// Every pointer in the message is malloc()ed, as free_unpacked() expects; a failed allocation is
// remembered and the whole message freed in the end.

struct builder {
	bool failed;
};

static inline void *make(struct builder *b, size_t n, size_t size)
{
	void *p = calloc(n > 0 ? n : 1, size);

	if (!p)
		b->failed = true;
	return p;
}

static inline char *text_to_pb(struct builder *b, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		b->failed = true;
	return copy;
}

// The first thing that was wrong; everything later is carried on with harmless values.
struct checker {
	const char *error;
};

static inline void fail(struct checker *c, const char *error)
{
	if (!c->error)
		c->error = error;
}

static inline uint64_t bounded(struct checker *c, uint64_t value, uint64_t max, const char *error)
{
	if (value <= max)
		return value;
	fail(c, error);
	return 0;
}

static inline void text_from_pb(struct checker *c, const char *text, char *dst, size_t cap)
{
	if (strlen(text) >= cap)
		fail(c, "a text is longer than its ceiling");
	td_span_cstr(td_span_str(text), dst, cap);
}

// --- policy_pb_numbers.c
Tandem__Numbers *numbers_to_pb(struct builder *b, const struct td_numbers_conf *conf);
Tandem__RealmNumbers *realm_to_pb(struct builder *b, const struct td_realm_numbers_conf *conf);
Tandem__Rule *rule_to_pb(struct builder *b, const struct td_rule_conf *conf);
Tandem__Plan *plan_to_pb(struct builder *b, const struct td_plan_conf *conf);
void numbers_from_pb(
	struct checker *c, const Tandem__Numbers *pb, struct td_numbers_conf *out);
void realm_from_pb(
	struct checker *c, const Tandem__RealmNumbers *pb, struct td_realm_numbers_conf *out);
void rule_from_pb(struct checker *c, const Tandem__Rule *pb, struct td_rule_conf *out);
void plan_from_pb(struct checker *c, const Tandem__Plan *pb, struct td_plan_conf *out);
