// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/command.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

// An engine of N_CALLS calls, numbered.
#define N_CALLS 70
static uint32_t alive = N_CALLS;
static char hung_up[TD_CDR_ID_LEN];

uint32_t td_engine_list(
	struct td_engine *engine, uint32_t *cursor, struct td_call_view *out, uint32_t max)
{
	uint32_t n = 0;

	for (; n < max && *cursor < N_CALLS; n++, (*cursor)++)
		snprintf(out[n].id, sizeof(out[n].id), "call-%u", *cursor);
	return n;
}

int td_engine_hangup(struct td_engine *engine, uint64_t now_ns, struct td_span id)
{
	td_span_cstr(id, hung_up, sizeof(hung_up));
	return td_span_eq(id, TD_SPAN("call-3")) ? 0 : -ENOENT;
}

uint32_t td_engine_hangup_all(struct td_engine *engine, uint64_t now_ns, uint32_t max)
{
	alive -= alive < max ? alive : max;
	return alive;
}

static void ask(
	struct td_command_ring *ring, enum td_command_kind kind, uint32_t cursor, const char *id)
{
	struct td_command *c = td_command_next(ring);

	assert_non_null(c);
	c->kind = (uint8_t)kind;
	c->cursor = cursor;
	snprintf(c->id, sizeof(c->id), "%s", id);
	td_command_ask(ring);
}

static void test_list_goes_in_pieces(void **state)
{
	struct td_command_ring *ring = td_command_ring_new();
	uint32_t seen = 0, cursor = 0, turns = 0;
	bool end = false;

	while (!end) {
		ask(ring, TD_COMMAND_LIST, cursor, "");
		assert_null(td_command_collect(ring));
		assert_true(td_command_run(ring, NULL, 0));
		struct td_command *c = td_command_collect(ring);
		assert_true(c->n <= TD_COMMAND_ITEMS);
		for (uint32_t i = 0; i < c->n; i++) {
			char id[16];
			snprintf(id, sizeof(id), "call-%u", seen++);
			assert_string_equal(c->views[i].id, id);
		}
		cursor = c->cursor;
		end = c->end;
		td_command_done(ring);
		turns++;
	}
	assert_int_equal(seen, N_CALLS);
	assert_int_equal(turns, 3);
	td_command_ring_free(ring);
}

static void test_one_a_turn_and_no_more_than_there_is_room_for(void **state)
{
	struct td_command_ring *ring = td_command_ring_new();

	for (int i = 0; i < TD_COMMAND_SLOTS; i++)
		ask(ring, TD_COMMAND_HANGUP, 0, i == 3 ? "call-3" : "call-99");
	assert_null(td_command_next(ring));
	for (int i = 0; i < TD_COMMAND_SLOTS; i++) {
		assert_true(td_command_run(ring, NULL, 0));
		assert_int_equal(td_command_collect(ring)->result, i == 3 ? 0 : -ENOENT);
		td_command_done(ring);
		assert_null(td_command_collect(ring));
	}
	assert_false(td_command_run(ring, NULL, 0));
	assert_non_null(td_command_next(ring));
	assert_string_equal(hung_up, "call-3");
	td_command_ring_free(ring);
}

static void test_hangup_all_says_what_is_left(void **state)
{
	struct td_command_ring *ring = td_command_ring_new();

	ask(ring, TD_COMMAND_HANGUP_ALL, 0, "");
	assert_true(td_command_run(ring, NULL, 0));
	assert_int_equal(td_command_collect(ring)->result, N_CALLS - TD_COMMAND_ITEMS);
	td_command_ring_free(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list_goes_in_pieces),
		cmocka_unit_test(test_one_a_turn_and_no_more_than_there_is_room_for),
		cmocka_unit_test(test_hangup_all_says_what_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
