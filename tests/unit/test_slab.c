// SPDX-License-Identifier: BSD-3-Clause
#include "sip/slab.h"
#include "tests/unit/checked_heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

static void every_length_fits_its_block(void **state)
{
	struct td_slab *slab = td_slab_new(&alloc, 65536, 65536);

	for (uint32_t len = 0; len <= 65536; len += len < 300 ? 1 : 97) {
		char *block = td_slab_get(slab, len);
		assert_non_null(block);
		memset(block, 0x5a, len);
		size_t used = td_slab_used(slab);
		assert_true(used >= len && (len <= 64 || used < len + len / 4 + 1));
		td_slab_put(slab, block);
		assert_int_equal(td_slab_used(slab), 0);
	}
	assert_null(td_slab_get(slab, 65537));
	assert_null(td_slab_get(slab, UINT32_MAX));
	td_slab_put(slab, NULL);
	td_slab_free_all(slab, &alloc);
}

static void arena_is_used_up_and_comes_back(void **state)
{
	struct td_slab *slab = td_slab_new(&alloc, 3 * 65536, 65536);
	static char *blocks[4096];
	uint32_t n = 0;

	while (n < 4096 && (blocks[n] = td_slab_get(slab, 64)))
		n++;
	assert_int_equal(n, 3 * 1024);
	assert_null(td_slab_get(slab, 40000));
	for (uint32_t i = 0; i < n; i++)
		td_slab_put(slab, blocks[i]);
	for (int i = 0; i < 3; i++)
		assert_non_null(blocks[i] = td_slab_get(slab, 65536));
	assert_null(td_slab_get(slab, 1));
	for (int i = 0; i < 3; i++)
		td_slab_put(slab, blocks[i]);
	assert_int_equal(td_slab_used(slab), 0);
	td_slab_free_all(slab, &alloc);
}

enum { N_BLOCKS = 800 };

// Random lending: no two blocks overlap and none changes while it is lent.
static void lent_blocks_are_apart(void **state)
{
	const char *given = getenv("SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
	struct td_slab *slab = td_slab_new(&alloc, 1 << 20, 0);
	struct td_span *lent = test_calloc(N_BLOCKS, sizeof(*lent));

	print_message("# SEED=%llu\n", (unsigned long long)seed);
	for (int step = 0; step < 100000; step++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		uint32_t i = (uint32_t)(seed >> 33) % N_BLOCKS;
		char fill = (char)i;
		if (lent[i].ptr) {
			assert_true(
				lent[i].len == 0 ||
				(lent[i].ptr[0] == fill && lent[i].ptr[lent[i].len - 1] == fill));
			td_slab_put(slab, (char *)(uintptr_t)lent[i].ptr);
			lent[i].ptr = NULL;
			continue;
		}
		uint32_t len = (uint32_t)(seed >> 40) % (i % 50 == 0 ? 65537 : 2000);
		char *block = td_slab_get(slab, len);
		if (!block)
			continue;
		memset(block, fill, len);
		lent[i] = td_span(block, len);
	}
	for (uint32_t i = 0; i < N_BLOCKS; i++) {
		for (uint32_t k = 0; lent[i].ptr && k < lent[i].len; k++)
			assert_int_equal(lent[i].ptr[k], (char)i);
		td_slab_put(slab, (char *)(uintptr_t)lent[i].ptr);
	}
	assert_int_equal(td_slab_used(slab), 0);
	test_free(lent);
	td_slab_free_all(slab, &alloc);
}

static void dup_copies(void **state)
{
	struct td_slab *slab = td_slab_new(&alloc, 65536, 65536);
	struct td_span copy = td_slab_dup(slab, TD_SPAN("sip:100@example.org"));

	assert_true(td_span_eq(copy, TD_SPAN("sip:100@example.org")));
	char *all = td_slab_get(slab, 65536);
	assert_null(all);
	struct td_span empty = td_slab_dup(slab, (struct td_span){ 0 });
	assert_non_null(empty.ptr);
	assert_int_equal(empty.len, 0);
	td_slab_put(slab, (char *)(uintptr_t)copy.ptr);
	td_slab_put(slab, (char *)(uintptr_t)empty.ptr);
	assert_non_null(all = td_slab_get(slab, 65536));
	assert_null(td_slab_dup(slab, TD_SPAN("x")).ptr);
	td_slab_put(slab, all);
	td_slab_free_all(slab, &alloc);

	assert_null(td_slab_new(&none, 65536, 65536));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length_fits_its_block),
		cmocka_unit_test(arena_is_used_up_and_comes_back),
		cmocka_unit_test(lent_blocks_are_apart),
		cmocka_unit_test(dup_copies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
