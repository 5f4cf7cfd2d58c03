// SPDX-License-Identifier: BSD-3-Clause
// Subscribers and bindings as records: what is packed comes back, and nothing is trusted.
#include "include/binding.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct td_subscriber alice(void)
{
	struct td_subscriber s = {
		.aor = "alice@tandem.example",
		.has_sha256 = true,
		.enabled = true,
		.n_numbers = 2,
		.numbers = { "4930555100", "4930555101" },
		.plan = TD_PLAN_DEFAULT,
		.display = "Alice",
		.max_calls = 2,
		.max_cps = 1,
	};

	memset(s.ha1_sha256, 0xa5, sizeof(s.ha1_sha256));
	return s;
}

static struct td_binding desk(void)
{
	struct td_binding b = {
		.op = TD_BINDING_UPSERT,
		.q = 500,
		.reg_id = 1,
		.cseq = 7,
		.expires_s = 1800000000,
		.changed_us = 1799996400000000,
		.aor = TD_SPAN("alice@tandem.example"),
		.realm = TD_SPAN("access"),
		.contact = TD_SPAN("sip:alice@10.0.1.7:5062;ob"),
		.call_id = TD_SPAN("a84b4c76e66710"),
		.path = TD_SPAN("<sip:edge.example;lr>"),
		.instance = TD_SPAN("<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>"),
		.user_agent = TD_SPAN("Desk 1.2"),
	};

	td_ip_parse(TD_SPAN("10.0.1.254"), &b.local);
	td_ip_parse(TD_SPAN("10.0.1.7"), &b.remote);
	b.local.port = 5060;
	b.remote.port = 5062;
	return b;
}

static void subscriber_comes_back(void **state)
{
	struct td_subscriber in = alice(), out;
	uint8_t text[TD_SUBSCRIBER_PACKED_MAX];

	size_t n = td_subscriber_pack(&in, text);
	assert_int_equal(td_subscriber_unpack(text, n, &out), n);
	assert_memory_equal(&out, &in, sizeof(in));
}

static void largest_subscriber_fits(void **state)
{
	struct td_subscriber in = { .n_numbers = TD_SUBSCRIBER_NUMBERS_MAX,
		.cps_burst = UINT32_MAX },
			     out;
	uint8_t text[TD_SUBSCRIBER_PACKED_MAX];

	memset(in.aor, 'a', sizeof(in.aor) - 1);
	memset(in.plan, 'p', sizeof(in.plan) - 1);
	memset(in.display, 'd', sizeof(in.display) - 1);
	for (unsigned i = 0; i < TD_SUBSCRIBER_NUMBERS_MAX; i++)
		memset(in.numbers[i], '1', TD_NUMBER_LEN - 1);
	size_t n = td_subscriber_pack(&in, text);
	assert_true(n <= sizeof(text));
	assert_int_equal(td_subscriber_unpack(text, n, &out), n);
	assert_memory_equal(&out, &in, sizeof(in));
}

static void binding_comes_back(void **state)
{
	struct td_binding in = desk(), out;
	uint8_t text[TD_BINDING_PACKED_MAX];

	size_t n = td_binding_pack(&in, text);
	assert_int_equal(td_binding_unpack(text, n, &out), n);
	assert_true(td_span_eq(in.aor, out.aor) && td_span_eq(in.realm, out.realm) &&
		    td_span_eq(in.contact, out.contact) && td_span_eq(in.call_id, out.call_id) &&
		    td_span_eq(in.path, out.path) && td_span_eq(in.instance, out.instance) &&
		    td_span_eq(in.user_agent, out.user_agent));
	assert_true(
		td_sockaddr_eq(&in.local, &out.local) && td_sockaddr_eq(&in.remote, &out.remote));
	assert_int_equal(out.expires_s, in.expires_s);
	assert_int_equal(out.changed_us, in.changed_us);
	assert_int_equal(out.cseq, 7);
	assert_int_equal(out.q, 500);
	assert_int_equal(out.reg_id, 1);
}

// A record that is cut or whose every byte was changed once is refused or read; never beyond its
// end (the sanitizer and valgrind watch).
static void broken_records_are_refused(void **state)
{
	struct td_binding b = desk(), out;
	struct td_subscriber s = alice(), back;
	uint8_t text[TD_BINDING_PACKED_MAX];
	size_t n = td_binding_pack(&b, text);

	s.cps_burst = 3;
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(td_binding_unpack(text, cut, &out), 0);
	for (size_t i = 0; i < n * 8; i++) {
		text[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_true(td_binding_unpack(text, n, &out) <= n);
		text[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	n = td_subscriber_pack(&s, text);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(td_subscriber_unpack(text, cut, &back), 0);
	for (size_t i = 0; i < n * 8; i++) {
		text[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_true(td_subscriber_unpack(text, n, &back) <= n);
		text[i / 8] ^= (uint8_t)(1 << i % 8);
	}
}

// With reg-id the instance and it name the binding, whatever the contact is (RFC 5626 §6).
static void key_names_a_binding(void **state)
{
	char one[TD_BINDING_KEY_LEN], two[TD_BINDING_KEY_LEN];
	struct td_binding a = desk(), b = desk();

	b.contact = TD_SPAN("sip:alice@10.0.1.8");
	td_binding_key(&a, one);
	td_binding_key(&b, two);
	assert_string_equal(one, two);
	assert_string_equal(
		one, "alice@tandem.example <urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF> 1");
	b.reg_id = 2;
	td_binding_key(&b, two);
	assert_string_not_equal(one, two);
	a.reg_id = 0;
	td_binding_key(&a, one);
	assert_string_equal(one, "alice@tandem.example sip:alice@10.0.1.7:5062;ob");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subscriber_comes_back),
		cmocka_unit_test(largest_subscriber_fits),
		cmocka_unit_test(binding_comes_back),
		cmocka_unit_test(broken_records_are_refused),
		cmocka_unit_test(key_names_a_binding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
