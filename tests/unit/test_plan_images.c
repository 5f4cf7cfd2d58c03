// SPDX-License-Identifier: BSD-3-Clause
// dataplane/plans.h: which files of the last boot are taken, and what is staged before it is taken.
#include "dataplane/plans.h"

#include "sip/route_build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[32];
static struct td_plans plans;

static int set_up(void **state)
{
	char folder[64];

	snprintf(dir, sizeof(dir), "/tmp/td-plans-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(folder, sizeof(folder), "%s/plans", dir);
	td_plans_init(&plans, dir);
	return mkdir(folder, 0700);
}

static int tear_down(void **state)
{
	char command[64];

	td_plans_fini(&plans);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

// A sealed image of one line.
static int image_make(const char *plan, const char *match)
{
	struct td_route_builder *builder = td_route_builder_new();
	struct td_route_row row = { .match = td_span_str(match), .to = td_span_str("b") };
	char wrong[TD_ROUTE_SYMBOLS_MAX + 2];
	const char *error = "";
	size_t bytes = 0;

	assert_int_equal(td_route_builder_add(builder, &row, &error), 0);
	assert_int_equal(td_route_builder_close(builder, &bytes, wrong), 0);
	int fd = memfd_create("image", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(at, MAP_FAILED);
	td_route_builder_write(builder, plan, at);
	munmap(at, bytes);
	td_route_builder_free(builder);
	return fd;
}

// Its generation.
static uint64_t file_put(const char *name, const char *plan, const char *match)
{
	static union {
		struct td_route_header header;
		char bytes[1 << 16];
	} image;
	char path[96];
	int fd = image_make(plan, match);
	ssize_t n = pread(fd, &image, sizeof(image), 0);

	assert_true(n > 0 && n < (ssize_t)sizeof(image));
	snprintf(path, sizeof(path), "%s/plans/%s", dir, name);
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(&image, 1, (size_t)n, file), n);
	fclose(file);
	close(fd);
	return image.header.generation;
}

static void a_copy_under_another_name_is_not_taken(void **state)
{
	uint64_t deck = file_put("deck.img", "deck", "49");
	file_put("deck-old.img", "deck", "48");
	file_put("spare.img", "deck", "47");
	uint64_t own = file_put("own.img", "own", "46");
	td_plans_load_saved(&plans);
	assert_int_equal(plans.n, 2);
	for (uint32_t i = 0; i < plans.n; i++)
		assert_int_equal(plans.table[i]->image.header->generation,
			strcmp(plans.table[i]->image.header->plan, "deck") == 0 ? deck : own);
	td_plan_put(td_plans_remove(&plans, "deck"));
	assert_int_equal(plans.n, 1);
	assert_string_equal(plans.table[0]->image.header->plan, "own");
}

// What came of an image.
static struct td_plan *taken(int fd, const char *plan, uint64_t generation, bool stage)
{
	const struct td_plan_order order = {
		.plan = plan, .generation = generation, .stage = stage
	};

	assert_int_equal(td_plans_take(&plans, fd, &order), 0);
	while (!td_plans_done(&plans))
		usleep(1000);
	return plans.load.plan;
}

static bool is_kept(const char *plan)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/plans/%s.img", dir, plan);
	return access(path, F_OK) == 0;
}

static struct td_plan *staged(const char *plan, const char *match)
{
	struct td_plan *staged = taken(image_make(plan, match), plan, 0, true);

	assert_non_null(staged);
	td_plans_stage(&plans, staged, 7);
	td_plan_put(staged);
	assert_false(is_kept(plan));
	return staged;
}

static int nothing(void)
{
	return memfd_create("nothing", MFD_CLOEXEC);
}

static void what_is_staged_is_not_read_again(void **state)
{
	struct td_plan *plan = staged("deck", "49");

	assert_ptr_equal(taken(nothing(), "deck", plan->image.header->generation, false), plan);
	assert_int_equal(plan->refs, 1); // the caller's
	assert_null(plans.staged);
	assert_true(is_kept("deck"));
	assert_int_equal(plans.load.saved, 0);
	td_plan_put(plan);
}

static void another_takes_the_place_of_what_is_staged(void **state)
{
	uint64_t generation = staged("deck", "49")->image.header->generation;

	assert_null(taken(nothing(), "deck", generation + 1, false));
	assert_null(plans.staged);
	staged("deck", "48");
	assert_null(taken(nothing(), "own", plans.staged->image.header->generation, false));
	staged("deck", "48");
	assert_null(taken(nothing(), "deck", plans.staged->image.header->generation, true));
	assert_null(plans.staged);
	staged("deck", "47"); // goes in the end
}

static void what_was_tried_leaves_the_table_as_it_was(void **state)
{
	struct td_plan *first = taken(image_make("deck", "49"), "deck", 0, true);
	struct td_plan *second = taken(image_make("deck", "48"), "deck", 0, true);

	assert_null(td_plans_install(&plans, first));
	td_plans_withdraw(&plans, first, NULL);
	assert_int_equal(plans.n, 0);
	assert_null(td_plans_install(&plans, first));
	td_plans_withdraw(&plans, second, td_plans_install(&plans, second));
	assert_int_equal(plans.n, 1);
	assert_ptr_equal(plans.table[0], first);
	td_plan_put(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_copy_under_another_name_is_not_taken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_staged_is_not_read_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			another_takes_the_place_of_what_is_staged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_was_tried_leaves_the_table_as_it_was, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
