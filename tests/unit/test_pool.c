// SPDX-License-Identifier: BSD-3-Clause
#include "sip/pool.h"
#include "tests/unit/checked_heap.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void slots_come_without_division(void **state)
{
	for (uint32_t bytes = 1; bytes <= 1000; bytes += 37) {
		struct td_pool pool;
		void *items[50];

		assert_int_equal(td_pool_init(&pool, &alloc, bytes, 50, 50), 0);
		for (uint32_t i = 0; i < 50; i++) {
			items[i] = td_pool_get(&pool);
			assert_non_null(items[i]);
			assert_int_equal(td_pool_slot(&pool, items[i]), i);
			assert_ptr_equal(
				td_pool_find(&pool, i, td_pool_generation(&pool, items[i])),
				items[i]);
			memset(items[i], 0xff, bytes);
		}
		assert_int_equal(td_pool_used(&pool), 50);
		assert_null(td_pool_get(&pool));
		for (uint32_t i = 0; i < 50; i++)
			td_pool_put(&pool, items[i]);
		assert_int_equal(td_pool_used(&pool), 0);
		td_pool_fini(&pool, &alloc);
	}
}

static void generations_refuse_stale_handles(void **state)
{
	struct td_pool pool;

	assert_int_equal(td_pool_init(&pool, &alloc, 24, 3, 3), 0);
	char *first = td_pool_get(&pool);
	uint32_t slot = td_pool_slot(&pool, first), generation = td_pool_generation(&pool, first);
	memset(first, 0xff, 24);
	td_pool_put(&pool, first);
	assert_null(td_pool_find(&pool, slot, generation));
	assert_null(td_pool_find(&pool, slot, generation + 1));

	char *again = td_pool_get(&pool);
	assert_ptr_equal(again, first);
	for (int i = 0; i < 24; i++)
		assert_int_equal(again[i], 0);
	assert_null(td_pool_find(&pool, slot, generation));
	assert_ptr_equal(td_pool_find(&pool, slot, generation + 2), again);
	assert_null(td_pool_find(&pool, 3, 1));
	assert_null(td_pool_find(&pool, UINT32_MAX, UINT32_MAX));
	assert_null(td_pool_find(&pool, slot, 0));
	td_pool_fini(&pool, &alloc);
}

static void init_reports_no_memory(void **state)
{
	struct td_pool pool;

	assert_int_equal(td_pool_init(&pool, &none, 24, 3, 3), -ENOMEM);
	td_pool_fini(&pool, &none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_come_without_division),
		cmocka_unit_test(generations_refuse_stale_handles),
		cmocka_unit_test(init_reports_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
