// SPDX-License-Identifier: BSD-3-Clause
// The switch registers itself at a provider (RFC 3261 §10.2): it asks, proves who it is, comes back
// in time, and does not give up.
#include "sip/digest.h"
#include "tests/unit/call_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void account(struct rig *rig)
{
	struct td_trunk_conf *trunk = &rig->trunks[1];
	struct td_credentials *who = &trunk->credentials;

	td_span_cstr(TD_SPAN("4930555"), trunk->registration.user, 64);
	td_span_cstr(TD_SPAN("provider.example"), trunk->registration.domain, 64);
	td_span_cstr(TD_SPAN("main"), trunk->registration.contact, 64);
	trunk->registration.expires_s = 600;
	td_span_cstr(TD_SPAN("tandem"), who->username, sizeof(who->username));
	td_span_cstr(TD_SPAN("provider.example"), who->realm, sizeof(who->realm));
	td_digest_ha1(TD_DIGEST_MD5, TD_SPAN("tandem"), TD_SPAN("provider.example"), TD_SPAN("x"),
		who->ha1_sha256);
	memcpy(who->ha1_md5, who->ha1_sha256, sizeof(who->ha1_md5));
}

static struct rig *rig_with_account(void)
{
	struct rig *rig = rig_new();

	account(rig);
	rig_policy(rig);
	return rig;
}

static void rig_end(struct rig *rig)
{
	rig->trunks[1].registration.expires_s = 0;
	rig_policy(rig);
	rig_free(rig);
}

// The next REGISTER, that must come within so many milliseconds.
static const struct fake_sent *within(struct rig *rig, uint64_t ms)
{
	for (uint64_t i = 0; i < ms && fake_pending(&rig->host) == 0; i++)
		rig_advance(rig, 1);
	return rig_expect(rig, "REGISTER sip:provider.example SIP/2.0\r\n");
}

static void grant(struct rig *rig, const struct fake_sent *request, const char *headers)
{
	rig_reply(rig, request, "200 OK", "reg", headers, "");
}

static void it_registers_and_comes_back(void **state)
{
	struct rig *rig = rig_with_account();
	const struct fake_sent *first = within(rig, 1001);
	char call_id[128];

	assert_string_equal(fake_header(first, "To"), "<sip:4930555@provider.example>");
	assert_true(strncmp(fake_header(first, "From"),
			    "<sip:4930555@provider.example>;tag=", 35) == 0);
	assert_string_equal(fake_header(first, "Contact"), "<sip:main@10.0.2.254:5060>");
	assert_string_equal(fake_header(first, "Expires"), "600");
	assert_string_equal(fake_header(first, "CSeq"), "1 REGISTER");
	snprintf(call_id, sizeof(call_id), "%s", fake_header(first, "Call-ID"));
	rig_reply(rig, first, "401 Unauthorized", "reg",
		"WWW-Authenticate: Digest realm=\"provider.example\", nonce=\"n1\", "
		"qop=\"auth\"\r\n",
		"");
	const struct fake_sent *second = rig_expect(rig, "REGISTER ");
	RIG_HAS(second, "Authorization: Digest username=\"tandem\"");
	assert_string_equal(fake_header(second, "CSeq"), "2 REGISTER");
	// Of several contacts ours counts.
	grant(rig, second,
		"Contact: <sip:other@10.9.9.9>;expires=9999, "
		"<sip:main@10.0.2.254:5060>;expires=300\r\n");
	assert_int_equal(rig->host.registration_state, TD_REGISTERED);
	assert_int_equal(rig->host.registration_expires_s, 300);
	rig_advance(rig, 230 * 1000);
	rig_silence(rig);
	const struct fake_sent *third = within(rig, 40 * 1000);
	assert_string_equal(fake_header(third, "Call-ID"), call_id);
	assert_string_equal(fake_header(third, "CSeq"), "3 REGISTER");
	RIG_HAS(third, "nc=00000002");
	grant(rig, third, "Expires: 60\r\n");
	grant(rig, within(rig, 31 * 1000), "");
	assert_int_equal(rig->host.registration_expires_s, 600);
	// What nobody wants any more is taken back.
	rig->trunks[1].registration.expires_s = 0;
	rig_policy(rig);
	const struct fake_sent *last = within(rig, 10);
	assert_string_equal(fake_header(last, "Expires"), "0");
	assert_int_equal(rig->host.registration_state, TD_REGISTRATION_NONE);
	grant(rig, last, "");
	rig_advance(rig, 1000 * 1000);
	rig_silence(rig);
	rig_free(rig);
}

static void a_minimum_is_taken(void **state)
{
	struct rig *rig = rig_with_account();

	rig_reply(
		rig, within(rig, 1001), "423 Interval Too Brief", "t", "Min-Expires: 1800\r\n", "");
	const struct fake_sent *again = within(rig, 10);
	assert_string_equal(fake_header(again, "Expires"), "1800");
	// The same minimum once more is a failure like any other.
	rig_reply(rig, again, "423 Interval Too Brief", "t", "Min-Expires: 1800\r\n", "");
	assert_int_equal(rig->host.registration_state, TD_REGISTRATION_FAILED);
	assert_int_equal(rig->host.registration_code, 423);
	rig_end(rig);
}

static void failures_go_round_the_peers_and_slow_down(void **state)
{
	struct rig *rig = rig_with_account();
	uint64_t last_ms = 0, pause_ms = 0;

	for (int round = 0; round < 6; round++) {
		const struct fake_sent *one = within(rig, 400 * 1000);
		assert_true(td_sockaddr_eq(&one->flow.remote, &rig->east[0].remote));
		pause_ms = one->at_ms - last_ms;
		rig_reply(rig, one, "503 Service Unavailable", "t", "", "");
		const struct fake_sent *two = within(rig, 200);
		assert_true(td_sockaddr_eq(&two->flow.remote, &rig->east[1].remote));
		rig_reply(rig, two, "403 Forbidden", "t", "", "");
		assert_int_equal(rig->host.registration_code, 403);
		last_ms = two->at_ms;
	}
	assert_in_range(
		pause_ms, 70 * 1000, 80 * 1000); // 5 s doubled four times, less up to an eighth
	grant(rig, within(rig, 400 * 1000), "");
	assert_int_equal(rig->host.registration_state, TD_REGISTERED);
	rig_end(rig);
}

// A provider that says for how long is left alone for so long (RFC 3261 §21.5.4), as far as that is
// no end of it.
static void a_provider_is_left_alone_when_it_asks(void **state)
{
	static const struct {
		const char *header;
		uint64_t least_ms, most_ms;
	} cases[] = { { "Retry-After: 120\r\n", 120000, 121000 },
		{ "Retry-After: 90 (maintenance);duration=9\r\n", 90000, 91000 },
		{ "Retry-After: 99999999\r\n", 1800000, 1801000 },
		{ "Retry-After: soon\r\n", 4000, 6000 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig *rig = rig_with_account();
		rig_reply(rig, within(rig, 1001), "503 Service Unavailable", "t", cases[i].header,
			"");
		const struct fake_sent *other = within(rig, 200); // which has said nothing
		rig_reply(rig, other, "503 Service Unavailable", "t", cases[i].header, "");
		uint64_t told_ms = other->at_ms;
		const struct fake_sent *again = within(rig, cases[i].most_ms + 1000);
		assert_in_range(again->at_ms - told_ms, cases[i].least_ms, cases[i].most_ms);
		grant(rig, again, "");
		rig_end(rig);
	}
}

static void silence_is_a_failure(void **state)
{
	struct rig *rig = rig_with_account();

	rig_advance(rig, 34 * 1000);
	assert_int_equal(rig->host.registration_code, 408);
	rig->host.n_read = rig->host.n_sent;
	rig_end(rig);
}

static void an_equal_policy_changes_nothing(void **state)
{
	struct rig *rig = rig_with_account();

	grant(rig, within(rig, 1001), "");
	rig_policy(rig);
	rig_advance(rig, 100 * 1000);
	rig_silence(rig);
	td_span_cstr(TD_SPAN("other"), rig->trunks[1].registration.contact, 64);
	rig_policy(rig);
	const struct fake_sent *gone = within(rig, 10); // or calls would come by both
	assert_string_equal(fake_header(gone, "Contact"), "<sip:main@10.0.2.254:5060>");
	assert_string_equal(fake_header(gone, "Expires"), "0");
	assert_string_equal(fake_header(within(rig, 10), "Contact"), "<sip:other@10.0.2.254:5060>");
	rig_end(rig);
}

// An account that changes while the old one is asked for is not forgotten over that answer.
static void a_change_does_not_wait_for_an_answer(void **state)
{
	struct rig *rig = rig_with_account();
	const struct fake_sent *old = within(rig, 1001);

	td_span_cstr(TD_SPAN("4930666"), rig->trunks[1].registration.user, 64);
	rig_policy(rig);
	rig_advance(rig, 10);
	const struct fake_sent *fresh = rig_expect(rig, "REGISTER ");
	assert_string_equal(fake_header(fresh, "To"), "<sip:4930666@provider.example>");
	grant(rig, old, ""); // says nothing of the new one
	assert_int_not_equal(rig->host.registration_state, TD_REGISTERED);
	grant(rig, fresh, "");
	assert_int_equal(rig->host.registration_state, TD_REGISTERED);
	rig_end(rig);
}

// A trunk that is gone is unregistered as it was, though no trunk of the policy has its place any
// more.
static void a_trunk_that_is_gone_is_taken_back(void **state)
{
	struct rig *rig = rig_new();

	account(rig);
	rig->trunks[2].registration = rig->trunks[1].registration;
	rig->trunks[2].credentials = rig->trunks[1].credentials;
	rig->trunks[1].registration.expires_s = 0;
	rig_policy(rig);
	grant(rig, within(rig, 1001), "");
	rig->n_trunks = 2;
	rig_policy(rig);
	const struct fake_sent *gone = within(rig, 10);
	assert_string_equal(fake_header(gone, "Contact"), "<sip:main@10.0.2.254:5060>");
	assert_string_equal(fake_header(gone, "Expires"), "0");
	grant(rig, gone, "");
	rig_free(rig);
}

// A provider may challenge the farewell as it challenges everything else, with the credentials that
// were; what it refuses all the same, or never answers, stays registered, and that is told.
static void a_farewell_is_challenged(void **state)
{
	static const char *const answers[] = { "200 OK", "403 Forbidden", NULL };

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct rig *rig = rig_with_account();
		grant(rig, within(rig, 1001), "");
		rig->trunks[1].registration.expires_s = 0;
		memset(&rig->trunks[1].credentials, 0, sizeof(rig->trunks[1].credentials));
		rig_policy(rig);
		const struct fake_sent *gone = within(rig, 10);
		assert_string_equal(fake_header(gone, "Authorization"), "");
		rig_reply(rig, gone, "401 Unauthorized", "reg",
			"WWW-Authenticate: Digest realm=\"provider.example\", nonce=\"n1\", "
			"qop=\"auth\"\r\n",
			"");
		gone = within(rig, 10);
		assert_string_equal(fake_header(gone, "Expires"), "0");
		assert_non_null(strstr(fake_header(gone, "Authorization"), "username=\"tandem\""));
		if (answers[i])
			rig_reply(rig, gone, answers[i], "reg", "", "");
		// Silence may pass: it is tried four times.
		rig_advance(rig, answers[i] ? 33000 : 130000);
		assert_int_equal(rig->host.counters[TD_C_SIP_LEFT_REGISTERED], i == 1);
		rig_advance(rig, 20000);
		assert_int_equal(rig->host.counters[TD_C_SIP_LEFT_REGISTERED], i > 0);
		if (i > 0)
			assert_non_null(strstr(rig->host.last_log,
				i == 1 ? "trunk.left_registered trunk=east sip_code=403"
				       : "trunk.left_registered trunk=east sip_code=408"));
		rig->host.n_read = rig->host.n_sent;
		rig_free(rig);
	}
}

// The farewell of an old binding, challenged, and the first REGISTER of the new one have numbers of
// their own.
static void a_farewell_and_a_new_binding_do_not_meet(void **state)
{
	struct rig *rig = rig_with_account();

	grant(rig, within(rig, 1001), "");
	td_span_cstr(TD_SPAN("other"), rig->trunks[1].registration.contact, 64);
	rig_policy(rig);
	const struct fake_sent *gone = within(rig, 10), *fresh = within(rig, 10);
	assert_string_equal(fake_header(gone, "Expires"), "0");
	assert_string_equal(fake_header(fresh, "Expires"), "600");
	rig_reply(rig, gone, "401 Unauthorized", "reg",
		"WWW-Authenticate: Digest realm=\"provider.example\", nonce=\"n1\", "
		"qop=\"auth\"\r\n",
		"");
	unsigned number = (unsigned)atoi(fake_header(fresh, "CSeq"));
	const struct fake_sent *again = within(rig, 10);
	assert_string_equal(fake_header(again, "Expires"), "0");
	assert_true((unsigned)atoi(fake_header(again, "CSeq")) < number);
	grant(rig, again, "");
	grant(rig, fresh, "");
	rig_end(rig);
}

// What cannot be said at once is said later, and what cannot be said for ten minutes is counted and
// told.
static void what_stays_registered_is_told(void **state)
{
	for (int later = 0; later < 2; later++) {
		struct rig *rig = rig_with_account();
		grant(rig, within(rig, 1001), "Expires: 3600\r\n");
		rig->host.no_buffer = true;
		rig->trunks[1].registration.expires_s = 0;
		rig_policy(rig);
		rig_advance(rig, later ? 590000 : 601000);
		rig_silence(rig);
		rig->host.no_buffer = false;
		if (later)
			grant(rig, within(rig, 1001), "");
		else
			assert_string_equal(rig->host.last_log,
				"trunk.left_registered trunk=east sip_code=503");
		assert_int_equal(rig->host.counters[TD_C_SIP_LEFT_REGISTERED], !later);
		rig_free(rig);
	}
}

// No more than one in ten milliseconds, and none is left.
#define MANY 200

struct many {
	struct rig *rig;
	struct td_trunk_conf trunks[MANY];
	struct td_policy *policy;
};

static uint32_t many_slot(void *ctx, enum td_limit_kind kind, const char *name)
{
	return kind == TD_LIMIT_TRUNK && name[0] == 't' ? (uint32_t)atoi(name + 1) : MANY;
}

static int many_realm(void *ctx, const char *name)
{
	return FAKE_EAST;
}

static void many_policy(struct many *many, uint32_t n)
{
	char error[256];
	struct td_policy_conf conf = { .generation = 1, .n_trunks = n, .trunks = many->trunks };
	struct td_policy_env env = {
		.slot_of = many_slot, .realm_of = many_realm, .n_realms = FAKE_REALMS
	};
	struct td_policy *policy = td_policy_new(&conf, &env, error, sizeof(error));

	if (!policy)
		fail_msg("%s", error);
	td_engine_set_policy(many->rig->engine, policy);
	td_policy_free(many->policy);
	many->policy = policy;
}

static void many_up(struct many *many)
{
	account(many->rig);
	for (uint32_t i = 0; i < MANY; i++) {
		struct td_trunk_conf *trunk = &many->trunks[i];
		*trunk = many->rig->trunks[1];
		snprintf(trunk->name, sizeof(trunk->name), "t%u", i);
		snprintf(trunk->registration.user, sizeof(trunk->registration.user), "%u", i);
		trunk->peers[0].address.ip[3] = (uint8_t)(i + 1);
		trunk->n_peers = 1;
	}
	many_policy(many, MANY);
}

static void many_are_taken_back_one_by_one(void **state)
{
	struct many *many = calloc(1, sizeof(*many));
	uint32_t n = 0;

	assert_non_null(many);
	struct rig *rig = many->rig = rig_new();
	many_up(many);
	for (uint32_t ms = 0; ms < 20000; ms++) {
		rig_advance(rig, 1);
		while (fake_pending(&rig->host) > 0) {
			grant(rig, rig_expect(rig, "REGISTER "), "");
			n++;
		}
	}
	assert_int_equal(n, MANY);
	many_policy(many, 1);
	n = 0;
	for (uint64_t ms = 0, last_ms = 0; ms < MANY * 10; ms++) {
		rig_advance(rig, 1);
		while (fake_pending(&rig->host) > 0) {
			const struct fake_sent *gone = rig_expect(rig, "REGISTER ");
			assert_string_equal(fake_header(gone, "Expires"), "0");
			assert_true(n == 0 ||
				    gone->at_ms >= last_ms + 9); // the first one came with a tick
			last_ms = gone->at_ms;
			grant(rig, gone, "");
			n++;
		}
	}
	assert_int_equal(n, MANY - 1);
	assert_int_equal(rig->host.counters[TD_C_SIP_LEFT_REGISTERED], 0);
	many_policy(many, 0);
	grant(rig, within(rig, 10), "");
	td_engine_set_policy(rig->engine, NULL);
	td_policy_free(many->policy);
	rig_free(rig);
	free(many);
}

// The same account, and its registration, move to a trunk of another name: what that has at the
// provider is not taken from it.
static void a_renamed_trunk_keeps_its_binding(void **state)
{
	struct rig *rig = rig_with_account();

	grant(rig, within(rig, 1001), "");
	rig->trunks[2].registration = rig->trunks[1].registration;
	rig->trunks[1].registration.expires_s = 0;
	rig_policy(rig);
	const struct fake_sent *fresh = within(rig, 1001);
	assert_string_equal(fake_header(fresh, "Expires"), "600");
	grant(rig, fresh, "");
	rig_advance(rig, 100 * 1000);
	rig_silence(rig);
	rig->trunks[2].registration.expires_s = 0;
	rig_policy(rig);
	grant(rig, within(rig, 10), "");
	rig_free(rig);
}

// The other trunk goes before it has registered: what the first one had is taken back after all.
static void a_binding_that_nobody_took_over_is_taken_back(void **state)
{
	struct rig *rig = rig_with_account();

	grant(rig, within(rig, 1001), "");
	rig->trunks[2].registration = rig->trunks[1].registration;
	rig->trunks[1].registration.expires_s = 0;
	rig_policy(rig);
	rig_advance(rig, 100);
	rig_silence(rig);
	rig->trunks[2].registration.expires_s = 0;
	rig_policy(rig);
	const struct fake_sent *gone = within(rig, 10);
	assert_string_equal(fake_header(gone, "Expires"), "0");
	grant(rig, gone, "");
	rig_advance(rig, 700 * 1000);
	rig_silence(rig);
	rig_free(rig);
}

// A trunk that comes back while its farewell is under way: nothing more of that is sent behind its
// new registration.
static void a_trunk_that_comes_back_is_not_taken_back(void **state)
{
	struct rig *rig = rig_with_account();

	grant(rig, within(rig, 1001), "");
	rig->trunks[1].registration.expires_s = 0;
	rig_policy(rig);
	assert_string_equal(fake_header(within(rig, 10), "Expires"), "0");
	rig->trunks[1].registration.expires_s = 600;
	rig_policy(rig);
	const struct fake_sent *fresh = within(rig, 1001);
	assert_string_equal(fake_header(fresh, "Expires"), "600");
	grant(rig, fresh, "");
	rig_advance(rig, 100 * 1000);
	rig_silence(rig);
	rig_end(rig);
}

// A REGISTER that had no answer yet may have been taken: it is not sent again, and taken back when
// no copy of it can be on its way any more.
static void what_may_be_bound_is_taken_back(void **state)
{
	struct rig *rig = rig_with_account();

	assert_string_equal(fake_header(within(rig, 1001), "Expires"), "600");
	rig->trunks[1].registration.expires_s = 0;
	rig_policy(rig);
	rig_advance(rig, 4999);
	rig_silence(rig);
	const struct fake_sent *gone = within(rig, 10);
	assert_string_equal(fake_header(gone, "Expires"), "0");
	grant(rig, gone, "");
	rig_free(rig);
}

// A provider that moved is registered at anew, soon, and not only when the old registration ends.
static void it_follows_its_provider(void **state)
{
	struct rig *rig = rig_with_account();

	grant(rig, within(rig, 1001), "");
	rig->trunks[1].peers[0] = rig->trunks[1].peers[1];
	rig->trunks[1].n_peers = 1;
	rig_policy(rig);
	const struct fake_sent *moved = within(rig, 1001);
	assert_true(td_sockaddr_eq(&moved->flow.remote, &rig->east[1].remote));
	grant(rig, moved, "");

	// Its host has no address: refused for now, and tried at once when there is one.
	rig->trunks[1].n_peers = 0;
	rig_policy(rig);
	rig_advance(rig, 1001);
	assert_int_equal(rig->host.registration_state, TD_REGISTRATION_FAILED);
	rig_advance(rig, 600 * 1000);
	rig_silence(rig);
	rig->trunks[1].n_peers = 1;
	rig_policy(rig);
	grant(rig, within(rig, 1001), "");
	assert_int_equal(rig->host.registration_state, TD_REGISTERED);
	rig_end(rig);
}

// A trunk belongs to one worker.
static void another_workers_trunk_is_left_alone(void **state)
{
	struct rig *rig = rig_new();

	td_engine_free(rig->engine);
	rig->conf.n_workers = 2; // slot 1 is of worker 1, and this is worker 0
	rig->engine = td_engine_new(&rig->conf);
	assert_non_null(rig->engine);
	account(rig);
	rig_policy(rig);
	rig_advance(rig, 5000);
	rig_silence(rig);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_registers_and_comes_back),
		cmocka_unit_test(a_minimum_is_taken),
		cmocka_unit_test(a_change_does_not_wait_for_an_answer),
		cmocka_unit_test(a_trunk_that_is_gone_is_taken_back),
		cmocka_unit_test(a_farewell_is_challenged),
		cmocka_unit_test(a_farewell_and_a_new_binding_do_not_meet),
		cmocka_unit_test(what_stays_registered_is_told),
		cmocka_unit_test(many_are_taken_back_one_by_one),
		cmocka_unit_test(a_renamed_trunk_keeps_its_binding),
		cmocka_unit_test(a_binding_that_nobody_took_over_is_taken_back),
		cmocka_unit_test(a_trunk_that_comes_back_is_not_taken_back),
		cmocka_unit_test(what_may_be_bound_is_taken_back),
		cmocka_unit_test(it_follows_its_provider),
		cmocka_unit_test(failures_go_round_the_peers_and_slow_down),
		cmocka_unit_test(a_provider_is_left_alone_when_it_asks),
		cmocka_unit_test(silence_is_a_failure),
		cmocka_unit_test(an_equal_policy_changes_nothing),
		cmocka_unit_test(another_workers_trunk_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
