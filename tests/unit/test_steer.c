// SPDX-License-Identifier: BSD-3-Clause
// Slots and owners, and the key that makes a NIC's redirection table agree with them.
#include "dataplane/steer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <rte_thash.h>
#include <cmocka.h>

static void pairs_share_a_worker_and_slots_are_spread(void **state)
{
	struct td_steer s;

	for (uint16_t n = 1; n <= TD_WORKERS_MAX; n++) {
		uint32_t load[TD_WORKERS_MAX] = { 0 };
		td_steer_init(&s, n, TD_STEER_SLOTS);
		for (uint32_t port = 0; port < 65536; port += 2) {
			assert_int_equal(td_steer_owner(&s, (uint16_t)port),
				td_steer_owner(&s, (uint16_t)(port + 1)));
			load[td_steer_owner(&s, (uint16_t)port)]++;
		}
		for (uint16_t w = 0; w < n; w++)
			assert_in_range(load[w], 32768 / TD_STEER_SLOTS * (TD_STEER_SLOTS / n),
				32768 / TD_STEER_SLOTS * (TD_STEER_SLOTS / n + 1));
	}
}

// For every size of table: both ports of a pair on one entry, entries in step with the slots, all
// of them used.
static void key_agrees_with_the_slots(void **state)
{
	uint8_t key[52], used[2048];

	for (unsigned int bits = 4; bits <= 11; bits++) {
		int16_t slot_of[2048];
		uint16_t period =
			(1u << bits) < TD_STEER_SLOTS ? (uint16_t)(1u << bits) : TD_STEER_SLOTS;
		memset(used, 0, sizeof(used));
		memset(slot_of, 0xff, sizeof(slot_of));
		td_steer_key(key, sizeof(key), bits);
		for (uint32_t port = 0; port < 65536; port++) {
			uint16_t entry = td_steer_entry(key, (uint16_t)port, bits);
			int16_t slot = (int16_t)(td_steer_slot((uint16_t)port) % period);
			assert_in_range(entry, 0, (1u << bits) - 1);
			used[entry] = 1;
			if (slot_of[entry] >= 0)
				assert_int_equal(slot_of[entry], slot);
			slot_of[entry] = slot;
		}
		for (uint32_t e = 0; e < 1u << bits; e++)
			assert_int_equal(used[e], 1);
	}
}

// Wherever a NIC puts the 16 bits of the port into its hash input, the hash is the same.
static void key_works_at_every_word(void **state)
{
	uint8_t key[52];

	td_steer_key(key, sizeof(key), 7);
	for (uint32_t i = 0; i < 1000; i++) {
		uint16_t port = (uint16_t)rand();
		uint16_t entry = td_steer_entry(key, port, 7);
		for (int word = 0; word < 6; word++) {
			uint32_t tuple[3] = { 0 };
			tuple[word / 2] = word % 2 ? port : (uint32_t)port << 16;
			assert_int_equal(rte_softrss(tuple, 3, key) & 127, entry);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_share_a_worker_and_slots_are_spread),
		cmocka_unit_test(key_agrees_with_the_slots),
		cmocka_unit_test(key_works_at_every_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
