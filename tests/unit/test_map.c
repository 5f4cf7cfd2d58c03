// SPDX-License-Identifier: BSD-3-Clause
// The map of embedded nodes: several of one key, removal from anywhere in a chain, and readers that
// never miss what stands while the writer replaces it.
#include "sip/map.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct item {
	struct td_map_node node;
	int value;
};

static void *heap(void *ctx, size_t bytes)
{
	return malloc(bytes);
}

static void heap_free(void *ctx, void *ptr)
{
	free(ptr);
}

static const struct td_alloc alloc = { heap, heap_free, NULL };

static int sum_of(const struct td_map *map, uint64_t hash)
{
	int sum = 0;

	for (struct td_map_node *n = td_map_first(map, hash); n; n = td_map_next(n))
		sum += ((struct item *)n)->value;
	return sum;
}

static void finds_by_hash(void **state)
{
	struct item items[64];
	struct td_map map;

	assert_int_equal(td_map_init(&map, &alloc, 16), 0);
	for (int i = 0; i < 64; i++) {
		items[i] = (struct item){ .node.hash = (uint64_t)(i % 32), .value = i };
		td_map_insert(&map, &items[i].node);
	}
	for (int i = 0; i < 32; i++)
		assert_int_equal(sum_of(&map, (uint64_t)i), 2 * i + 32);
	assert_null(td_map_first(&map, 32));
	for (int i = 0; i < 64; i += 2)
		td_map_remove(&map, &items[i].node);
	for (int i = 0; i < 32; i++)
		assert_int_equal(sum_of(&map, (uint64_t)i), i % 2 ? 2 * i + 32 : 0);
	td_map_fini(&map, &alloc);
}

static uint64_t spread(uint32_t i)
{
	return (i + 1) * 0x9e3779b97f4a7c15u;
}

// Nobody who is there is ever taken for a stranger; of strangers most are known as such.
static void filter_tells_strangers(void **state)
{
	struct item items[64];
	struct td_map map;
	uint32_t taken = 0;

	assert_int_equal(td_map_init_filtered(&map, &alloc, 64), 0);
	for (uint32_t i = 0; i < 1000; i++)
		assert_false(td_map_may_have(&map, spread(i)));
	for (uint32_t i = 0; i < 64; i++) {
		items[i] = (struct item){ .node.hash = spread(i) };
		td_map_insert(&map, &items[i].node);
	}
	for (uint32_t i = 64; i < 1064; i++)
		taken += td_map_may_have(&map, spread(i));
	assert_in_range(taken, 0, 125);
	for (uint32_t gone = 0; gone < 64; gone++) {
		for (uint32_t i = gone; i < 64; i++)
			assert_true(td_map_may_have(&map, spread(i)));
		td_map_remove(&map, &items[gone].node);
	}
	for (uint32_t i = 0; i < 64; i++)
		assert_false(td_map_may_have(&map, spread(i)));
	td_map_fini(&map, &alloc);
}

// --- a reader beside the writer ---

#define ROUNDS 300000
#define SPARE 1024

struct race {
	struct td_map map;
	_Atomic int done;
	uint64_t looked, missed;
};

// One of the two values of hash 3 always stands: a replacement is linked before the old goes.
static void *reader(void *arg)
{
	struct race *race = arg;

	while (!atomic_load(&race->done)) {
		race->missed += td_map_first(&race->map, 3) == NULL;
		race->missed += td_map_first(&race->map, 19) == NULL; // another of the same chain
		race->looked++;
	}
	return NULL;
}

static void readers_never_miss(void **state)
{
	static struct race race;
	static struct item ring[SPARE];
	struct item fixed = { .node.hash = 19 };
	pthread_t thread;

	assert_int_equal(td_map_init(&race.map, &alloc, 16), 0);
	td_map_insert(&race.map, &fixed.node);
	ring[0].node.hash = 3;
	td_map_insert(&race.map, &ring[0].node);
	assert_int_equal(pthread_create(&thread, NULL, reader, &race), 0);
	// A node comes back after SPARE replacements only if nobody can stand on it any more: here
	// never.
	for (unsigned i = 1; i < SPARE; i++) {
		ring[i].node.hash = 3;
		td_map_insert(&race.map, &ring[i].node);
		td_map_remove(&race.map, &ring[i - 1].node);
		for (unsigned spin = 0; spin < ROUNDS / SPARE; spin++)
			atomic_thread_fence(memory_order_seq_cst);
	}
	atomic_store(&race.done, 1);
	pthread_join(thread, NULL);
	assert_int_equal(race.missed, 0);
	td_map_fini(&race.map, &alloc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_by_hash),
		cmocka_unit_test(filter_tells_strangers),
		cmocka_unit_test(readers_never_miss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
