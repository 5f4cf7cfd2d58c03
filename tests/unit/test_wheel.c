// SPDX-License-Identifier: BSD-3-Clause
#include "sip/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

enum { N_TIMERS = 500 };

// The naive model: each timer's due time in an array.
struct model {
	struct td_wheel wheel;
	struct td_timer timers[N_TIMERS];
	uint64_t due[N_TIMERS]; // UINT64_MAX: not armed
	uint64_t random;
	uint64_t earliest, latest; // what may expire in the present run
	uint32_t expired;
	bool rearm;
};

static uint64_t random_below(struct model *m, uint64_t n)
{
	m->random = m->random * 6364136223846793005u + 1442695040888963407u;
	return (m->random >> 33) % n;
}

static uint64_t random_delay(struct model *m)
{
	static const uint64_t spans[] = { 3, 300, 70000, 20000000, 6000000000 };

	return random_below(m, spans[random_below(m, 5)]);
}

static void model_expired(void *arg, struct td_timer *timer)
{
	struct model *m = arg;
	size_t i = (size_t)(timer - m->timers);

	assert_false(td_timer_armed(timer));
	assert_true(m->due[i] != UINT64_MAX && m->due[i] <= m->latest);
	assert_true(timer->due_ms == m->due[i]);
	m->due[i] = UINT64_MAX;
	m->expired++;
	if (m->rearm && random_below(m, 4) == 0) {
		m->due[i] = m->latest + 1 + random_delay(m);
		td_timer_start(&m->wheel, timer, m->due[i]);
	}
}

static uint64_t model_next(const struct model *m)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < N_TIMERS; i++)
		if (m->due[i] < next)
			next = m->due[i];
	return next;
}

static void model_run(struct model *m, uint64_t now)
{
	uint32_t before = 0, overdue = 0;

	for (size_t i = 0; i < N_TIMERS; i++) {
		before += m->due[i] != UINT64_MAX;
		overdue += m->due[i] <= now;
	}
	assert_int_equal(before, m->wheel.armed);
	m->latest = now;
	m->expired = 0;
	uint32_t max = random_below(m, 3) == 0 ? (uint32_t)random_below(m, 10) : UINT32_MAX;
	uint32_t ran = td_wheel_run(&m->wheel, now, max);
	assert_int_equal(ran, m->expired);
	assert_int_equal(ran, overdue < max ? overdue : max);
}

static void wheel_agrees_with_a_naive_model(void **state)
{
	const char *given = getenv("SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
	struct model *m = test_calloc(1, sizeof(*m));
	uint64_t now = 12345;

	print_message("# SEED=%llu\n", (unsigned long long)seed);
	m->random = seed;
	m->rearm = true;
	td_wheel_init(&m->wheel, now, m);
	for (size_t i = 0; i < N_TIMERS; i++) {
		m->due[i] = UINT64_MAX;
		m->timers[i].expired = model_expired;
	}
	for (int step = 0; step < 20000; step++) {
		size_t i = random_below(m, N_TIMERS);
		switch (random_below(m, 4)) {
		case 0:
		case 1:
			m->due[i] = now + random_delay(m);
			if (m->due[i] > 5 && random_below(m, 8) == 0)
				m->due[i] = now - random_below(m, 5);
			td_timer_start(&m->wheel, &m->timers[i], m->due[i]);
			break;
		case 2:
			m->due[i] = UINT64_MAX;
			td_timer_stop(&m->wheel, &m->timers[i]);
			break;
		default:
			now += random_below(m, 50) == 0 ? random_delay(m) : random_below(m, 40);
			model_run(m, now);
		}
		uint64_t next = td_wheel_next(&m->wheel), due = model_next(m);
		assert_true(
			due == UINT64_MAX ? next == UINT64_MAX : next <= (due > now ? due : now));
	}
	test_free(m);
}

struct single {
	struct td_wheel wheel;
	struct td_timer timer;
	uint64_t now, fired_at;
};

static void single_expired(void *arg, struct td_timer *timer)
{
	struct single *s = arg;

	s->fired_at = s->now;
}

// Following the wheel's own bounds reaches every due time exactly, in few steps.
static void next_leads_to_the_due_time(void **state)
{
	static const uint64_t delays[] = { 0, 1, 255, 256, 257, 65535, 65536, 65537, 16777216,
		4294967295, 9999999999 };

	for (uint64_t start = 0; start < 70000; start += 69111)
		for (size_t i = 0; i < sizeof(delays) / sizeof(*delays); i++) {
			struct single s = { .now = start,
				.timer.expired = single_expired,
				.fired_at = UINT64_MAX };
			int steps = 0;

			td_wheel_init(&s.wheel, start, &s);
			td_timer_start(&s.wheel, &s.timer, start + delays[i]);
			while (s.fired_at == UINT64_MAX && steps++ < 12) {
				s.now = td_wheel_next(&s.wheel);
				td_wheel_run(&s.wheel, s.now, 1);
			}
			assert_true(s.fired_at == start + delays[i]);
			assert_true(td_wheel_next(&s.wheel) == UINT64_MAX);
		}
}

static void stop_is_idempotent(void **state)
{
	struct single s = { .timer.expired = single_expired, .fired_at = UINT64_MAX };

	td_wheel_init(&s.wheel, 0, &s);
	td_timer_start(&s.wheel, &s.timer, 5);
	td_timer_start(&s.wheel, &s.timer, 7);
	assert_int_equal(s.wheel.armed, 1);
	td_timer_stop(&s.wheel, &s.timer);
	td_timer_stop(&s.wheel, &s.timer);
	assert_int_equal(s.wheel.armed, 0);
	assert_int_equal(td_wheel_run(&s.wheel, 100, 10), 0);
	assert_true(s.fired_at == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wheel_agrees_with_a_naive_model),
		cmocka_unit_test(next_leads_to_the_due_time),
		cmocka_unit_test(stop_is_idempotent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
