// SPDX-License-Identifier: BSD-3-Clause
// The table of subscribers: by AoR and number, replaced and removed under readers' eyes, whole
// pushes, shared limits.
#include "sip/subscribers.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static unsigned held;

static void *heap(void *ctx, size_t bytes)
{
	held++;
	return malloc(bytes);
}

static void heap_free(void *ctx, void *ptr)
{
	held--;
	free(ptr);
}

static const struct td_alloc alloc = { heap, heap_free, NULL };

// Grace periods that end when the test says so.
struct grace {
	uint64_t begun, over;
};

static uint64_t grace_begin(void *host)
{
	struct grace *g = host;

	return ++g->begun;
}

static bool grace_over(void *host, uint64_t token)
{
	const struct grace *g = host;

	return token <= g->over;
}

static int put(struct td_subscribers *t, const char *aor, const char *number)
{
	struct td_subscriber s = { .enabled = true, .plan = TD_PLAN_DEFAULT, .max_calls = 1 };

	td_span_cstr(td_span_str(aor), s.aor, sizeof(s.aor));
	if (number) {
		td_span_cstr(td_span_str(number), s.numbers[0], sizeof(s.numbers[0]));
		s.n_numbers = 1;
	}
	return td_subscribers_put(t, &s);
}

static bool number_is(const struct td_subscribers *t, const char *number, const char *aor)
{
	const struct td_subscriber_entry *e = td_subscribers_by_number(t, td_span_str(number));

	return aor ? e && td_span_eq(td_subscriber_aor(e), td_span_str(aor)) : !e;
}

static void found_by_aor_and_number(void **state)
{
	struct grace g = { 0, 1000 };
	struct td_subscribers_grace grace = { grace_begin, grace_over, &g };
	struct td_subscribers *t = td_subscribers_new(&alloc, &grace, 100);

	assert_int_equal(put(t, "alice@a.example", "49301"), 0);
	assert_int_equal(put(t, "bob@a.example", "49302"), 0);
	assert_true(number_is(t, "49301", "alice@a.example"));
	assert_true(number_is(t, "49303", NULL));
	assert_null(td_subscribers_find(t, TD_SPAN("Alice@a.example"))); // case counts in the user
	const struct td_subscriber_entry *e = td_subscribers_find(t, TD_SPAN("alice@a.example"));
	assert_true(td_span_eq(td_subscriber_number(e, 0), TD_SPAN("49301")));
	assert_true(td_span_eq(td_subscriber_plan(e), TD_SPAN(TD_PLAN_DEFAULT)));
	assert_int_equal(td_subscriber_number(e, 1).len, 0);
	// A number goes to whom it was given last, and back when that one goes.
	assert_int_equal(put(t, "carol@a.example", "49301"), 0);
	assert_true(number_is(t, "49301", "carol@a.example"));
	assert_int_equal(td_subscribers_delete(t, TD_SPAN("carol@a.example")), 0);
	assert_true(number_is(t, "49301", "alice@a.example"));
	assert_int_equal(put(t, "alice@a.example", "49309"), 0);
	assert_true(number_is(t, "49301", NULL));
	assert_true(number_is(t, "49309", "alice@a.example"));
	assert_int_equal(td_subscribers_delete(t, TD_SPAN("carol@a.example")), -ENOENT);
	assert_int_equal(td_subscribers_count(t), 2);
	td_subscribers_free(t);
	assert_int_equal(held, 0);
}

static void nonsense_is_refused(void **state)
{
	struct td_subscribers_grace grace = { 0 };
	struct td_subscribers *t = td_subscribers_new(&alloc, &grace, 2);

	assert_int_equal(put(t, "alice", "1"), -EINVAL);
	assert_int_equal(put(t, "@a.example", "1"), -EINVAL);
	assert_int_equal(put(t, "alice@", "1"), -EINVAL);
	assert_int_equal(put(t, "al ice@a.example", "1"), -EINVAL);
	assert_int_equal(put(t, "alice@a.example", "+49"), -EINVAL);
	assert_int_equal(put(t, "alice@a.example", ""), -EINVAL);
	assert_int_equal(put(t, "a@a.example", NULL), 0);
	assert_int_equal(put(t, "b@a.example", NULL), 0);
	assert_int_equal(put(t, "c@a.example", NULL), -ENOSPC);
	assert_int_equal(put(t, "b@a.example", "5"), 0); // a change needs no room
	td_subscribers_free(t);
	assert_int_equal(held, 0);
}

// What a reader was given stands until its grace period is over.
static void replaced_entries_wait(void **state)
{
	struct grace g = { 0 };
	struct td_subscribers_grace grace = { grace_begin, grace_over, &g };
	struct td_subscribers *t = td_subscribers_new(&alloc, &grace, 10);

	assert_int_equal(put(t, "alice@a.example", "1"), 0);
	const struct td_subscriber_entry *old = td_subscribers_find(t, TD_SPAN("alice@a.example"));
	unsigned before = held;
	assert_int_equal(put(t, "alice@a.example", "2"), 0);
	td_subscribers_collect(t);
	assert_int_equal(held, before + 1);
	assert_true(td_span_eq(td_subscriber_number(old, 0), TD_SPAN("1")));
	assert_int_equal(td_subscribers_find(t, TD_SPAN("alice@a.example"))->slot, old->slot);
	g.over = g.begun;
	td_subscribers_collect(t);
	assert_int_equal(held, before);
	td_subscribers_free(t);
	assert_int_equal(held, 0);
}

static void whole_push_sweeps(void **state)
{
	struct td_subscribers_grace grace = { 0 };
	struct td_subscribers *t = td_subscribers_new(&alloc, &grace, 1000);
	char aor[32];

	for (int i = 0; i < 1000; i++) {
		snprintf(aor, sizeof(aor), "u%d@a.example", i);
		assert_int_equal(put(t, aor, NULL), 0);
	}
	assert_false(td_subscribers_ready(t));
	td_subscribers_mark(t);
	for (int i = 0; i < 1000; i += 2) {
		snprintf(aor, sizeof(aor), "u%d@a.example", i);
		assert_int_equal(put(t, aor, NULL), 0);
	}
	unsigned turns = 1;
	for (; td_subscribers_sweep(t, 64); turns++)
		td_subscribers_collect(t);
	assert_true(turns > 5);
	assert_true(td_subscribers_ready(t));
	assert_int_equal(td_subscribers_count(t), 500);
	assert_non_null(td_subscribers_find(t, TD_SPAN("u10@a.example")));
	assert_null(td_subscribers_find(t, TD_SPAN("u11@a.example")));
	td_subscribers_free(t);
	assert_int_equal(held, 0);
}

// The calls of somebody who was removed are not another's.
static void limits_belong_to_one(void **state)
{
	struct td_subscribers_grace grace = { 0 };
	struct td_subscribers *t = td_subscribers_new(&alloc, &grace, 4);

	assert_int_equal(put(t, "a@a.example", NULL), 0);
	uint32_t a = td_subscribers_find(t, TD_SPAN("a@a.example"))->slot;
	assert_int_equal(td_subscriber_acquire(t, a, &(struct td_limit){ 1, 0, 0 }, 1), 0);
	assert_int_equal(td_subscriber_acquire(t, a, &(struct td_limit){ 1, 0, 0 }, 1), -EDQUOT);
	assert_int_equal(td_subscribers_delete(t, TD_SPAN("a@a.example")), 0);
	assert_int_equal(put(t, "b@a.example", NULL), 0);
	uint32_t b = td_subscribers_find(t, TD_SPAN("b@a.example"))->slot;
	assert_int_not_equal(a, b);
	assert_int_equal(td_subscriber_acquire(t, b, &(struct td_limit){ 1, 0, 0 }, 1), 0);
	td_subscriber_release(t, a);
	assert_int_equal(put(t, "c@a.example", NULL), 0);
	assert_int_equal(td_subscribers_find(t, TD_SPAN("c@a.example"))->slot, a);
	td_subscriber_release(t, b);
	td_subscribers_free(t);
	assert_int_equal(held, 0);
}

// One call that lasts keeps its slot, and nobody else from one.
static void a_long_call_uses_up_no_slots(void **state)
{
	struct td_subscribers_grace grace = { 0 };
	struct td_subscribers *t = td_subscribers_new(&alloc, &grace, 4);

	assert_int_equal(put(t, "a@a.example", NULL), 0);
	uint32_t a = td_subscribers_find(t, TD_SPAN("a@a.example"))->slot;
	assert_int_equal(td_subscriber_acquire(t, a, &(struct td_limit){ 1, 0, 0 }, 1), 0);
	assert_int_equal(td_subscribers_delete(t, TD_SPAN("a@a.example")), 0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(put(t, "b@a.example", NULL), 0);
		assert_int_not_equal(td_subscribers_find(t, TD_SPAN("b@a.example"))->slot, a);
		assert_int_equal(td_subscribers_delete(t, TD_SPAN("b@a.example")), 0);
	}
	td_subscriber_release(t, a);
	td_subscribers_free(t);
	assert_int_equal(held, 0);
}

static void a_burst_is_its_subscribers(void **state)
{
	struct td_subscribers_grace grace = { 0 };
	struct td_subscribers *t = td_subscribers_new(&alloc, &grace, 4);
	struct td_subscriber s = {
		.aor = "a@a.example", .enabled = true, .max_cps = 2, .cps_burst = 5
	};
	const uint64_t second = 1000000000;

	assert_int_equal(td_subscribers_put(t, &s), 0);
	const struct td_subscriber_entry *e = td_subscribers_find(t, TD_SPAN("a@a.example"));
	for (int i = 0; i < 5; i++)
		assert_int_equal(td_subscriber_acquire(t, e->slot, &e->limit, second), 0);
	assert_int_equal(td_subscriber_acquire(t, e->slot, &e->limit, second), -EAGAIN);
	assert_int_equal(td_subscriber_acquire(t, e->slot, &e->limit, second + second / 2), 0);
	s.cps_burst = 0; // one second's worth, once what went before is over
	assert_int_equal(td_subscribers_put(t, &s), 0);
	e = td_subscribers_find(t, TD_SPAN("a@a.example"));
	assert_int_equal(td_subscriber_acquire(t, e->slot, &e->limit, 9 * second), 0);
	assert_int_equal(td_subscriber_acquire(t, e->slot, &e->limit, 9 * second), 0);
	assert_int_equal(td_subscriber_acquire(t, e->slot, &e->limit, 9 * second), -EAGAIN);
	td_subscribers_free(t);
	assert_int_equal(held, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found_by_aor_and_number),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(replaced_entries_wait),
		cmocka_unit_test(whole_push_sweeps),
		cmocka_unit_test(limits_belong_to_one),
		cmocka_unit_test(a_long_call_uses_up_no_slots),
		cmocka_unit_test(a_burst_is_its_subscribers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
