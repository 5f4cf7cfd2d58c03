// SPDX-License-Identifier: BSD-3-Clause
// What is counted as taken is what is touched: large pages for much, small ones for a little.
#include "dataplane/engine_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define MIB ((size_t)1 << 20)

static void reserved(size_t bytes, size_t resident, size_t taken, size_t further)
{
	struct td_engine_memory m = { 0 };
	uint8_t *ptr = td_engine_memory_reserve(&m, bytes, resident);

	assert_non_null(ptr);
	assert_int_equal(m.bytes, taken);
	assert_int_equal(m.reserved, further);
	for (size_t i = 0; i < taken; i++)
		assert_int_equal(ptr[i], 0);
	td_engine_memory_free(&m, ptr);
}

static void a_little_of_much_takes_small_pages(void **state)
{
	reserved(16 * MIB, 5000, 8192, 16 * MIB - 8192);
	reserved(16 * MIB, 0, 0, 16 * MIB);
}

static void much_takes_large_pages(void **state)
{
	reserved(16 * MIB, 3 * MIB, 4 * MIB, 12 * MIB);
	reserved(16 * MIB, 16 * MIB, 16 * MIB, 0);
}

static void what_is_small_takes_itself(void **state)
{
	reserved(1000, 1000, 1024, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_little_of_much_takes_small_pages),
		cmocka_unit_test(much_takes_large_pages),
		cmocka_unit_test(what_is_small_takes_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
