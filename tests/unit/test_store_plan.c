// SPDX-License-Identifier: BSD-3-Clause
// Dial plans in the store, on both engines: whole or not at all, one version after the other, and
// what a second node sees.
#include "tests/unit/store_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PART_BYTES 70000 // more than what fits into one page of either engine

struct maker {
	uint8_t seed;
	uint32_t fails_at; // 0: never
	uint8_t bytes[PART_BYTES];
};

static int make_part(void *user, uint32_t n, const void **bytes, size_t *len)
{
	struct maker *maker = user;

	if (maker->fails_at && n >= maker->fails_at)
		return -EIO;
	for (size_t i = 0; i < sizeof(maker->bytes); i++)
		maker->bytes[i] = (uint8_t)(i * i + maker->seed + n);
	*bytes = maker->bytes;
	*len = sizeof(maker->bytes) - n;
	return 0;
}

static struct td_store_plan plan_of(const char *name, uint8_t seed, uint32_t parts)
{
	struct td_store_plan plan = {
		.checksum = 0xfedc0000u + seed, .lines = 10u * parts, .parts = parts
	};

	snprintf(plan.name, sizeof(plan.name), "%s", name);
	for (uint32_t n = 0; n < parts; n++)
		plan.bytes += PART_BYTES - n;
	return plan;
}

static int put(struct td_store *store, struct td_store_plan *plan, uint64_t before)
{
	struct maker *maker = calloc(1, sizeof(*maker));

	maker->seed = (uint8_t)plan->checksum;
	int rc = td_store_plan_put(store, plan, before, make_part, maker);
	free(maker);
	if (rc != 0)
		td_store_rollback(store);
	return rc;
}

struct comparison {
	struct maker maker;
	uint32_t n;
	bool same;
};

static int part_compare(void *user, const void *bytes, size_t len)
{
	struct comparison *c = user;
	const void *expected = NULL;
	size_t expected_len = 0;

	make_part(&c->maker, c->n, &expected, &expected_len);
	c->same = len == expected_len && memcmp(bytes, expected, len) == 0;
	return 0;
}

static void is_whole(struct td_store *store, const struct td_store_plan *plan)
{
	struct comparison *c = calloc(1, sizeof(*c));

	c->maker.seed = (uint8_t)plan->checksum;
	for (c->n = 0; c->n < plan->parts; c->n++) {
		c->same = false;
		assert_int_equal(td_store_plan_part(store, plan, c->n, part_compare, c), 0);
		assert_true(c->same);
	}
	assert_int_equal(td_store_plan_part(store, plan, c->n, part_compare, c), -ENOENT);
	free(c);
}

struct seen {
	struct td_store_plan plans[8];
	int n;
};

static void see(void *user, const struct td_store_plan *plan)
{
	struct seen *seen = user;

	if (seen->n < 8)
		seen->plans[seen->n++] = *plan;
}

static struct seen look(struct td_store *store)
{
	struct seen seen = { 0 };

	assert_int_equal(td_store_plans(store, see, &seen), 0);
	return seen;
}

static void is_row(const struct td_store_plan *seen, const struct td_store_plan *plan)
{
	assert_string_equal(seen->name, plan->name);
	assert_int_equal(seen->version, plan->version);
	assert_int_equal(seen->checksum, plan->checksum);
	assert_int_equal(seen->lines, plan->lines);
	assert_int_equal(seen->bytes, plan->bytes);
	assert_int_equal(seen->parts, plan->parts);
}

static uint64_t generation(struct td_store *store)
{
	uint64_t n = 0;

	assert_int_equal(td_store_plans_generation(store, &n), 0);
	return n;
}

static void a_plan_comes_back_whole(void **state)
{
	struct td_store_plan plan = plan_of("deck", 1, 3);
	uint64_t first = generation(*state);

	assert_int_equal(put(*state, &plan, 0), 0);
	assert_int_equal(plan.version, first + 1);
	assert_int_equal(generation(*state), first + 1);
	struct seen seen = look(*state);
	assert_int_equal(seen.n, 1);
	is_row(&seen.plans[0], &plan);
	is_whole(*state, &plan);
}

static void a_newer_one_takes_its_place(void **state)
{
	struct td_store_plan old = plan_of("deck", 1, 3), other = plan_of("other", 9, 1),
			     fresh = plan_of("deck", 2, 2);

	assert_int_equal(put(*state, &old, 0), 0);
	assert_int_equal(put(*state, &other, 0), 0);
	assert_int_equal(put(*state, &fresh, old.version), 0);
	assert_true(fresh.version > other.version);
	is_whole(*state, &fresh);
	is_whole(*state, &other);
	assert_string_equal(store_ask("SELECT count(*) FROM dial_plan_part"),
		"3"); // nothing of the old one is left
	struct seen seen = look(*state);
	assert_int_equal(seen.n, 2);
	is_row(&seen.plans[0], &fresh);
}

static void a_change_of_what_somebody_changed_is_refused(void **state)
{
	struct td_store_plan mine = plan_of("deck", 1, 2), theirs = plan_of("deck", 2, 2);
	struct td_store *node = store_open_as("two");

	assert_int_equal(put(*state, &mine, 0), 0);
	assert_int_equal(put(node, &theirs, 0), -EINVAL); // it had seen none
	assert_int_equal(put(node, &theirs, mine.version + 1), -EINVAL);
	is_whole(node, &mine);
	assert_int_equal(put(node, &theirs, mine.version), 0);
	is_whole(*state, &theirs);
	td_store_close(node);
}

// As after a commit of which nobody heard whether it happened.
static void the_same_again_is_no_change(void **state)
{
	struct td_store_plan plan = plan_of("deck", 1, 2), again = plan;

	assert_int_equal(put(*state, &plan, 0), 0);
	uint64_t before = generation(*state);
	assert_int_equal(put(*state, &again, 0), 0);
	assert_int_equal(again.version, plan.version);
	assert_int_equal(generation(*state), before);
	is_whole(*state, &plan);
}

static void what_breaks_in_the_middle_leaves_the_old_one(void **state)
{
	struct td_store_plan old = plan_of("deck", 1, 2), fresh = plan_of("deck", 2, 5);
	struct maker *maker = calloc(1, sizeof(*maker));

	assert_int_equal(put(*state, &old, 0), 0);
	uint64_t before = generation(*state);
	for (maker->fails_at = 1; maker->fails_at < 5; maker->fails_at++) {
		assert_int_equal(
			td_store_plan_put(*state, &fresh, old.version, make_part, maker), -EIO);
		td_store_rollback(*state);
		assert_int_equal(generation(*state), before);
		struct seen seen = look(*state);
		assert_int_equal(seen.n, 1);
		is_row(&seen.plans[0], &old);
		is_whole(*state, &old);
	}
	free(maker);
}

static void a_removed_one_leaves_its_name(void **state)
{
	struct td_store_plan plan = plan_of("deck", 1, 2), gone = plan_of("deck", 0, 0),
			     back = plan_of("deck", 1, 2);
	struct td_store_plan none = plan_of("none", 0, 0);

	assert_int_equal(td_store_plan_remove(*state, &none), -ENOENT);
	td_store_rollback(*state);
	assert_int_equal(put(*state, &plan, 0), 0);
	assert_int_equal(td_store_plan_remove(*state, &gone), 0);
	assert_true(gone.version > plan.version);
	struct seen seen = look(*state);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.plans[0].parts, 0);
	assert_int_equal(seen.plans[0].version, gone.version);
	assert_string_equal(store_ask("SELECT count(*) FROM dial_plan_part"), "0");
	assert_int_equal(td_store_plan_remove(*state, &gone), -ENOENT);
	td_store_rollback(*state);
	assert_int_equal(put(*state, &back, plan.version), -EINVAL); // it had not seen it go
	assert_int_equal(put(*state, &back, gone.version), 0);
	is_whole(*state, &back);
}

// A node that reads one version while another node puts the next: a part that is not there any
// more, never another's.
static void an_old_version_is_not_mixed_with_a_new_one(void **state)
{
	struct td_store_plan old = plan_of("deck", 1, 3), fresh = plan_of("deck", 2, 3);
	struct td_store *node = store_open_as("two");
	struct comparison *c = calloc(1, sizeof(*c));

	assert_int_equal(put(*state, &old, 0), 0);
	c->maker.seed = (uint8_t)old.checksum;
	assert_int_equal(td_store_plan_part(node, &old, 0, part_compare, c), 0);
	assert_true(c->same);
	assert_int_equal(put(*state, &fresh, old.version), 0);
	assert_int_equal(td_store_plan_part(node, &old, 1, part_compare, c), -ENOENT);
	is_whole(node, &fresh);
	free(c);
	td_store_close(node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_plan_comes_back_whole),
		BOTH(a_newer_one_takes_its_place),
		BOTH(a_change_of_what_somebody_changed_is_refused),
		BOTH(the_same_again_is_no_change),
		BOTH(what_breaks_in_the_middle_leaves_the_old_one),
		BOTH(a_removed_one_leaves_its_name),
		BOTH(an_old_version_is_not_mixed_with_a_new_one),
	};

	return cmocka_run_group_tests(tests, store_server_up, store_server_down);
}
