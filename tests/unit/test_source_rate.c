// SPDX-License-Identifier: BSD-3-Clause
#include "sip/source_rate.h"
#include "tests/unit/checked_heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#define SECOND 1000000000ull

static const uint64_t key[2] = { 1, 2 };

static struct td_sockaddr address(unsigned n)
{
	struct td_sockaddr a = { .family = TD_IPV4, .port = 5060 };

	memcpy(a.ip, &n, 4);
	return a;
}

static unsigned burst(struct td_source_rate *rate, uint64_t now, uint16_t realm, unsigned source,
	uint32_t per_second)
{
	struct td_sockaddr a = address(source);
	unsigned passed = 0;

	for (unsigned i = 0; i < 1000; i++) {
		a.port = (uint16_t)i; // the port makes no other source
		passed += td_source_rate_pass(rate, now, realm, &a, per_second);
	}
	return passed;
}

static void a_burst_is_one_seconds_worth(void **state)
{
	struct td_source_rate *rate = td_source_rate_new(&alloc, 64, key);
	uint64_t now = 5 * SECOND;

	assert_int_equal(burst(rate, now, 0, 1, 100), 100);
	assert_int_equal(burst(rate, now, 0, 2, 100), 100);
	assert_int_equal(burst(rate, now, 1, 1, 100), 100);
	assert_int_equal(burst(rate, now + SECOND / 2, 0, 1, 100), 50);
	assert_int_equal(burst(rate, now + SECOND / 2, 0, 1, 100), 0);
	assert_int_equal(burst(rate, now + 100 * SECOND, 0, 1, 100), 100);
	td_source_rate_free(rate, &alloc);
}

static void the_long_run_keeps_the_rate(void **state)
{
	struct td_source_rate *rate = td_source_rate_new(&alloc, 64, key);
	struct td_sockaddr a = address(1);
	unsigned passed = 0;

	for (uint64_t ms = 0; ms < 60000; ms++)
		passed += td_source_rate_pass(rate, SECOND + ms * 1000000, 0, &a, 7);
	assert_in_range(passed, 60 * 7, 61 * 7);
	td_source_rate_free(rate, &alloc);
}

static void no_rate_passes_all(void **state)
{
	struct td_source_rate *rate = td_source_rate_new(&alloc, 64, key);

	assert_int_equal(burst(rate, SECOND, 0, 1, 0), 1000);
	assert_int_equal(burst(rate, SECOND, 0, 1, 10), 10);
	assert_int_equal(burst(rate, SECOND, 0, 1, 0), 1000);
	td_source_rate_free(rate, &alloc);
}

// More sources than buckets: a new one takes over the older of its two places, and nobody writes
// beyond the table.
static void the_older_bucket_gives_way(void **state)
{
	struct td_source_rate *rate = td_source_rate_new(&alloc, 16, key);

	for (unsigned n = 0; n < 1000; n++)
		assert_int_equal(burst(rate, SECOND + n * SECOND * 2, 0, n, 3), 3);
	td_source_rate_free(rate, &alloc);
	assert_null(td_source_rate_new(&none, 16, key));
	td_source_rate_free(NULL, &alloc);
}

struct crowd {
	struct td_source_rate *rate;
	_Atomic unsigned passed;
};

static void *crowd_member(void *arg)
{
	struct crowd *crowd = arg;

	for (unsigned i = 0; i < 100; i++)
		atomic_fetch_add(&crowd->passed, burst(crowd->rate, 5 * SECOND, 0, 1, 500));
	return NULL;
}

// However many threads ask at once, one second's worth passes.
static void threads_share_one_limit(void **state)
{
	struct crowd crowd = { td_source_rate_new(&alloc, 64, key), 0 };
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, crowd_member, &crowd), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(crowd.passed, 500);
	td_source_rate_free(crowd.rate, &alloc);
}

// A bucket's time is modulo twelve days: one that nobody touched for longer is full.
static void a_month_later(void **state)
{
	struct td_source_rate *rate = td_source_rate_new(&alloc, 16, key);

	for (unsigned day = 1; day < 60; day++)
		assert_int_equal(burst(rate, day * 86400 * SECOND, 0, 1, 100), 100);
	td_source_rate_free(rate, &alloc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_is_one_seconds_worth),
		cmocka_unit_test(the_long_run_keeps_the_rate),
		cmocka_unit_test(no_rate_passes_all),
		cmocka_unit_test(the_older_bucket_gives_way),
		cmocka_unit_test(threads_share_one_limit),
		cmocka_unit_test(a_month_later),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
