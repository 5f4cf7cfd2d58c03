// SPDX-License-Identifier: BSD-3-Clause
// Dial plans as lines of their route files, packed, in parts. Each change counts the table's
// generation up in its own transaction, and the plan's version is what the count became.
#include "control/store_priv.h"

#include <errno.h>
#include <string.h>

int td_store_plans_generation(struct td_store *store, uint64_t *generation)
{
	return store_generation(store, ST_PLAN_GENERATION, NULL, 0, generation);
}

// --- the table ---

struct reading {
	td_store_plan_each each;
	void *user;
};

static int plan_row(void *user, const struct td_value *row, int n)
{
	const struct reading *reading = user;
	struct td_store_plan plan = { .version = (uint64_t)row[1].number,
		.checksum = (uint64_t)row[2].number,
		.lines = (uint64_t)row[3].number,
		.bytes = (uint64_t)row[4].number,
		.parts = (uint32_t)row[5].number };

	if (row[0].kind != TD_VALUE_TEXT || row[0].len == 0 || row[0].len >= sizeof(plan.name))
		return 0;
	memcpy(plan.name, row[0].text, row[0].len);
	reading->each(reading->user, &plan);
	return 0;
}

int td_store_plans(struct td_store *store, td_store_plan_each each, void *user)
{
	struct reading reading = { each, user };

	return store_query(store, ST_PLANS, NULL, 0, plan_row, &reading);
}

static void plan_copy(void *user, const struct td_store_plan *plan)
{
	*(struct td_store_plan *)user = *plan;
}

// What is there under the name; version 0: nothing ever was.
static int plan_get(struct td_store *store, const char *name, struct td_store_plan *out)
{
	const struct td_value value = value_text(name);
	struct reading reading = { plan_copy, out };

	*out = (struct td_store_plan){ 0 };
	return store_query(store, ST_PLAN_GET, &value, 1, plan_row, &reading);
}

// --- changes ---

// The row of the generation is changed first: whoever else changes a plan waits for it.
static int change_begin(
	struct td_store *store, const char *name, uint64_t *version, struct td_store_plan *now)
{
	int rc = td_store_begin(store);

	if (rc == 0)
		rc = store_generation(store, ST_PLAN_GENERATION_NEXT, NULL, 0, version);
	return rc ? rc : plan_get(store, name, now);
}

static int row_put(struct td_store *store, const struct td_store_plan *plan)
{
	const struct td_value values[] = { value_text(plan->name),
		value_int((int64_t)plan->version), value_int((int64_t)plan->checksum),
		value_int((int64_t)plan->lines), value_int((int64_t)plan->bytes),
		value_int(plan->parts) };
	int rc = store_run(store, ST_PLAN_PUT, values, 6);

	// Of the plan that was there before.
	return rc ? rc : store_run(store, ST_PLAN_PARTS_DELETE, values, 2);
}

// One after the other, each waited for: what is on its way to a server stays one part.
static int parts_put(struct td_store *store, const struct td_store_plan *plan,
	td_store_plan_source source, void *user)
{
	const void *bytes;
	size_t len;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < plan->parts; i++) {
		rc = source(user, i, &bytes, &len);
		const struct td_value values[] = { value_text(plan->name),
			value_int((int64_t)plan->version), value_int(i),
			{ .kind = TD_VALUE_BYTES, .text = bytes, .len = len } };
		if (rc == 0)
			rc = store_query(store, ST_PLAN_PART_PUT, values, 4, NULL, NULL);
	}
	return rc;
}

int td_store_plan_put(struct td_store *store, struct td_store_plan *plan, uint64_t before,
	td_store_plan_source source, void *user)
{
	struct td_store_plan now;
	int rc = change_begin(store, plan->name, &plan->version, &now);

	if (rc == 0 && now.parts == plan->parts && now.bytes == plan->bytes &&
		now.checksum == plan->checksum) {
		*plan = now; // also where the outcome of a commit was not heard of
		td_store_rollback(store);
		return 0;
	}
	if (rc == 0 && now.version != before)
		rc = -EINVAL;
	if (rc == 0)
		rc = parts_put(store, plan, source, user);
	if (rc == 0)
		rc = row_put(store, plan);
	return rc ? rc : td_store_commit(store);
}

int td_store_plan_remove(struct td_store *store, struct td_store_plan *plan)
{
	struct td_store_plan now, gone = { 0 };
	int rc = change_begin(store, plan->name, &gone.version, &now);

	if (rc == 0 && now.parts == 0)
		rc = -ENOENT;
	memcpy(gone.name, plan->name, sizeof(gone.name));
	if (rc == 0)
		rc = row_put(store, &gone);
	if (rc == 0)
		rc = td_store_commit(store);
	if (rc == 0)
		*plan = gone;
	return rc;
}

// --- reading one ---

struct part {
	td_store_part_each each;
	void *user;
	bool found;
	int rc;
};

static int part_row(void *user, const struct td_value *row, int n)
{
	struct part *part = user;

	part->found = row[0].kind == TD_VALUE_BYTES;
	if (part->found)
		part->rc = part->each(part->user, row[0].text, row[0].len);
	return 1;
}

int td_store_plan_part(struct td_store *store, const struct td_store_plan *plan, uint32_t n,
	td_store_part_each each, void *user)
{
	const struct td_value values[] = { value_text(plan->name),
		value_int((int64_t)plan->version), value_int(n) };
	struct part part = { .each = each, .user = user };
	int rc = store_query(store, ST_PLAN_PART, values, 3, part_row, &part);

	return rc ? rc : part.found ? part.rc : -ENOENT;
}
