// SPDX-License-Identifier: BSD-3-Clause
// Nonces: whose they are, how long, and which counts were used; penalties of those who guess.
#include "sip/nonce.h"
#include "sip/penalty.h"
#include "tests/unit/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECOND 1000000000ull

static struct td_token_keys keys_of(uint32_t epoch)
{
	static const uint8_t key[32] = "only for tests, of 32 bytes len";
	struct td_token_keys keys;

	td_token_keys_init(&keys, key, 7, epoch);
	return keys;
}

static struct td_flow flow_from(const char *ip, uint16_t port)
{
	struct td_flow flow = { 0 };

	td_ip_parse(td_span_str(ip), &flow.remote);
	flow.remote.port = port;
	return flow;
}

struct bed {
	struct td_nonces *nonces;
	char text[TD_NONCE_LEN];
	struct td_nonce token;
	size_t len;
};

static struct bed bed_new(uint32_t entries)
{
	struct td_token_keys keys = keys_of(1);

	return (struct bed){ .nonces = td_nonces_new(&heap, entries, &keys, 3) };
}

static enum td_nonce_verdict check(struct bed *b, uint64_t now_s, struct td_flow flow)
{
	return td_nonce_check(
		b->nonces, now_s * SECOND, &flow, false, 60, td_span(b->text, b->len), &b->token);
}

static void holds_for_whom_it_was_given_to(void **state)
{
	struct bed b = bed_new(64);
	struct td_flow alice = flow_from("10.0.1.7", 5060);

	b.len = td_nonce_mint(b.nonces, 10 * SECOND, &alice, false, b.text);
	assert_int_equal(check(&b, 10, alice), TD_NONCE_GOOD);
	assert_int_equal(check(&b, 10, flow_from("10.0.1.7", 40000)), TD_NONCE_GOOD);
	assert_int_equal(check(&b, 10, flow_from("10.0.1.8", 5060)), TD_NONCE_STALE);
	struct td_flow other_realm = alice;
	other_realm.realm = 1;
	assert_int_equal(check(&b, 10, other_realm), TD_NONCE_STALE);
	assert_int_equal(check(&b, 70, alice), TD_NONCE_GOOD);
	assert_int_equal(check(&b, 71, alice), TD_NONCE_STALE);
	b.text[5] ^= 1;
	assert_int_equal(check(&b, 10, alice), TD_NONCE_STALE);
	td_nonces_free(b.nonces, &heap);
}

static void may_hold_for_any_source(void **state)
{
	struct bed b = bed_new(64);
	struct td_flow alice = flow_from("10.0.1.7", 5060), moved = flow_from("10.0.9.9", 9);

	b.len = td_nonce_mint(b.nonces, SECOND, &alice, true, b.text);
	assert_int_equal(td_nonce_check(b.nonces, SECOND, &moved, true, 60, td_span(b.text, b.len),
				 &b.token),
		TD_NONCE_GOOD);
	assert_int_equal(
		check(&b, 1, alice), TD_NONCE_STALE); // where it is to be bound, it does not hold
	td_nonces_free(b.nonces, &heap);
}

static void others_of_it_are_stale(void **state)
{
	struct bed b = bed_new(64);
	struct td_token_keys keys = keys_of(1), next_boot = keys_of(2);
	struct td_flow alice = flow_from("fd00::7", 5060);
	struct td_nonces *other_worker = td_nonces_new(&heap, 64, &keys, 4);
	struct td_nonces *other_boot = td_nonces_new(&heap, 64, &next_boot, 3);

	b.len = td_nonce_mint(other_worker, SECOND, &alice, false, b.text);
	assert_int_equal(check(&b, 1, alice), TD_NONCE_STALE);
	b.len = td_nonce_mint(other_boot, SECOND, &alice, false, b.text);
	assert_int_equal(check(&b, 1, alice), TD_NONCE_STALE);
	td_nonces_free(other_worker, &heap);
	td_nonces_free(other_boot, &heap);
	td_nonces_free(b.nonces, &heap);
}

static void counts_are_used_once(void **state)
{
	struct bed b = bed_new(64);
	struct td_flow alice = flow_from("10.0.1.7", 5060);

	b.len = td_nonce_mint(b.nonces, SECOND, &alice, false, b.text);
	assert_int_equal(check(&b, 1, alice), TD_NONCE_GOOD);
	assert_int_equal(td_nonce_use(b.nonces, &b.token, 0, 1), TD_NONCE_REPLAYED);
	assert_int_equal(td_nonce_use(b.nonces, &b.token, 1, 11), TD_NONCE_GOOD);
	assert_int_equal(
		td_nonce_use(b.nonces, &b.token, 1, 11), TD_NONCE_REPEATED); // a retransmission
	assert_int_equal(td_nonce_use(b.nonces, &b.token, 1, 12), TD_NONCE_REPLAYED);
	assert_int_equal(td_nonce_use(b.nonces, &b.token, 4, 14), TD_NONCE_GOOD);
	assert_int_equal(
		td_nonce_use(b.nonces, &b.token, 2, 13), TD_NONCE_GOOD); // overtaken on the way
	assert_int_equal(td_nonce_use(b.nonces, &b.token, 2, 13), TD_NONCE_REPLAYED);
	assert_int_equal(td_nonce_use(b.nonces, &b.token, 1000, 15), TD_NONCE_GOOD);
	assert_int_equal(
		td_nonce_use(b.nonces, &b.token, 3, 16), TD_NONCE_REPLAYED); // behind the window
	assert_int_equal(td_nonce_use(b.nonces, &b.token, 937, 17), TD_NONCE_GOOD);
	assert_int_equal(td_nonce_use(b.nonces, &b.token, 936, 18), TD_NONCE_REPLAYED);
	td_nonces_free(b.nonces, &heap);
}

// What was thrown out for lack of room may not begin anew: its counts are forgotten.
static void forgotten_ones_stay_forgotten(void **state)
{
	struct bed b = bed_new(64);
	struct td_flow alice = flow_from("10.0.1.7", 5060);
	struct td_nonce first;
	unsigned good = 0;

	b.len = td_nonce_mint(b.nonces, SECOND, &alice, false, b.text);
	assert_int_equal(check(&b, 1, alice), TD_NONCE_GOOD);
	first = b.token;
	assert_int_equal(td_nonce_use(b.nonces, &first, 1, 1), TD_NONCE_GOOD);
	for (uint64_t s = 2; s < 502; s++) {
		b.len = td_nonce_mint(b.nonces, s * SECOND, &alice, false, b.text);
		assert_int_equal(check(&b, s, alice), TD_NONCE_GOOD);
		good += td_nonce_use(b.nonces, &b.token, 1, 1) == TD_NONCE_GOOD;
	}
	assert_int_equal(good, 500);
	assert_int_equal(td_nonce_use(b.nonces, &first, 1, 2), TD_NONCE_STALE);
	assert_int_equal(td_nonce_use(b.nonces, &first, 2, 2), TD_NONCE_STALE);
	td_nonces_free(b.nonces, &heap);
}

// More nonces of one second than there is room for: what was called stale stays so, since its
// bearer was challenged anew and whoever repeats it is another; and it throws nobody out.
static void what_was_stale_stays_stale(void **state)
{
	enum { ROOM = 64 };
	struct bed b = bed_new(ROOM);
	struct td_flow alice = flow_from("10.0.1.7", 5060);
	struct td_nonce first;

	for (unsigned i = 0; i <= ROOM; i++) {
		b.len = td_nonce_mint(b.nonces, SECOND, &alice, false, b.text);
		assert_int_equal(check(&b, 1, alice), TD_NONCE_GOOD);
		if (i == 0)
			first = b.token;
		assert_int_equal(td_nonce_use(b.nonces, &b.token, 1, 1),
			i < ROOM ? TD_NONCE_GOOD : TD_NONCE_STALE);
	}
	assert_int_equal(td_nonce_use(b.nonces, &b.token, 1, 1), TD_NONCE_STALE);
	assert_int_equal(td_nonce_use(b.nonces, &first, 2, 2), TD_NONCE_GOOD);
	b.len = td_nonce_mint(b.nonces, 2 * SECOND, &alice, false, b.text);
	assert_int_equal(check(&b, 2, alice), TD_NONCE_GOOD);
	assert_int_equal(td_nonce_use(b.nonces, &b.token, 1, 1), TD_NONCE_GOOD);
	td_nonces_free(b.nonces, &heap);
}

// --- penalties ---

static void penalties_grow(void **state)
{
	static const uint64_t key[2] = { 1, 2 };
	struct td_penalties *p = td_penalties_new(&heap, 64, key);
	enum { EVE = 66, ALICE = 7 };
	struct td_span name = TD_SPAN("alice@tandem.example");
	static const uint32_t expected[] = { 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 512 };
	uint64_t now = SECOND;

	for (unsigned i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		td_penalty_failed(p, now, EVE, name);
		assert_int_equal(td_penalty_left(p, now, EVE, name), expected[i]);
		assert_int_equal(
			td_penalty_left(p, now, ALICE, name), 0); // nobody locks another out
		assert_int_equal(td_penalty_left(p, now, EVE, TD_SPAN("bob@tandem.example")), 0);
		now += expected[i] * SECOND;
		assert_int_equal(td_penalty_left(p, now, EVE, name), 0);
	}
	td_penalty_failed(p, now + 3600 * SECOND, EVE, name);
	assert_int_equal(td_penalty_left(p, now + 3600 * SECOND, EVE, name), 0); // forgiven
	now += 3600 * SECOND;
	for (unsigned i = 0; i < 4; i++) { // who knows the password may mistype it again
		td_penalty_passed(p, EVE, name);
		td_penalty_failed(p, now, EVE, name);
		assert_int_equal(td_penalty_left(p, now, EVE, name), 0);
	}
	td_penalties_free(p, &heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_for_whom_it_was_given_to),
		cmocka_unit_test(may_hold_for_any_source),
		cmocka_unit_test(others_of_it_are_stale),
		cmocka_unit_test(counts_are_used_once),
		cmocka_unit_test(forgotten_ones_stay_forgotten),
		cmocka_unit_test(what_was_stale_stays_stale),
		cmocka_unit_test(penalties_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
