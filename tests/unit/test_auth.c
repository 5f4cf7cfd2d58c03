// SPDX-License-Identifier: BSD-3-Clause
// The judgement of credentials: challenges, who passes, what is stale, replayed or wrong, and what
// an attacker learns.
#include "sip/auth.h"
#include "sip/engine_priv.h"
#include "sip/subscribers.h"
#include "tests/unit/register_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct bed {
	struct register_rig rig;
	struct td_auth_answer answer;
	unsigned cseq;
};

static void *conf_alloc(void *ctx, size_t bytes)
{
	return malloc(bytes);
}

static void conf_free(void *ctx, void *ptr)
{
	free(ptr);
}

static int bed_up(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));

	*state = b;
	return register_rig_up(&b->rig, NULL);
}

static int bed_down(void **state)
{
	struct bed *b = *state;
	uint32_t left = register_rig_down(&b->rig);

	free(b);
	return left == 0 ? 0 : -1;
}

#define URI "sip:tandem.example"

// Judges a REGISTER with that line of credentials from that address.
static uint8_t judged_from(struct bed *b, const char *ip, const char *line)
{
	char text[2048];
	struct td_flow flow = fake_flow(&b->rig.host, FAKE_WEST, ip, 5060);
	struct td_msg *msg = &b->rig.engine->msg;

	int n = snprintf(text, sizeof(text),
		"REGISTER " URI " SIP/2.0\r\nVia: SIP/2.0/UDP "
				"10.0.1.7;branch=z9hG4bK%u;rport\r\nMax-Forwards: 70\r\n"
		"From: <sip:alice@tandem.example>;tag=1\r\nTo: "
		"<sip:alice@tandem.example>\r\nCall-ID: c1\r\n"
		"CSeq: %u REGISTER\r\n%sContent-Length: 0\r\n\r\n",
		b->cseq, b->cseq, line);
	b->rig.engine->now_ns = b->rig.host.now_ns;
	assert_int_equal(td_msg_parse(msg, text, (uint32_t)n), 0);
	assert_int_equal(td_core_decode(msg, &b->rig.engine->core), 0);
	td_auth_check(b->rig.engine, &flow, msg, &b->rig.engine->core, NULL, &b->answer);
	return b->answer.verdict;
}

static uint8_t judged(struct bed *b, const char *line)
{
	b->cseq++;
	return judged_from(b, "10.0.1.7", line);
}

// The next credentials of the phone.
static const char *credentials(struct bed *b)
{
	static char line[1024];

	digest_client_line(&b->rig.phone, "REGISTER", URI, line, sizeof(line));
	return line;
}

// Takes the nonce from the line of the phone's algorithm among the answer's.
static bool challenged(struct bed *b)
{
	struct td_span rest = td_auth_headers(&b->answer);

	while (rest.len > 0) {
		const char *lf = memchr(rest.ptr, '\n', rest.len);
		const char *value = memchr(rest.ptr, ':', rest.len);
		if (digest_client_take(
			    &b->rig.phone, td_span(value + 2, (size_t)(lf - 1 - value - 2))))
			return true;
		rest = td_span(lf + 1, (size_t)(rest.ptr + rest.len - lf - 1));
	}
	return false;
}

static bool answer_has(struct bed *b, const char *words)
{
	char text[TD_AUTH_HEADERS_MAX + 1];

	td_span_cstr(td_auth_headers(&b->answer), text, sizeof(text));
	return strstr(text, words) != NULL;
}

static void challenge_then_pass(void **state)
{
	struct bed *b = *state;

	assert_int_equal(judged(b, ""), TD_AUTH_CHALLENGE);
	assert_int_equal(b->answer.status, 401);
	assert_false(answer_has(b, "stale"));
	struct td_span lines = td_auth_headers(&b->answer); // the realm's order
	assert_true(lines.len > 40 && memmem(lines.ptr, lines.len, "SHA-256", 7) <
					      memmem(lines.ptr, lines.len, "MD5", 3));
	assert_true(challenged(b));
	assert_int_equal(judged(b, credentials(b)), TD_AUTH_PASSED);
	assert_true(td_span_eq(
		td_subscriber_aor(b->answer.subscriber), TD_SPAN("alice@tandem.example")));
	assert_int_equal(judged(b, credentials(b)), TD_AUTH_PASSED); // the same nonce, next count
	b->rig.phone.algorithm = TD_DIGEST_MD5;
	assert_int_equal(judged(b, credentials(b)), TD_AUTH_PASSED);
	assert_int_equal(b->rig.host.counters[TD_C_AUTH_PASSED], 3);
}

static void retransmission_is_known(void **state)
{
	struct bed *b = *state;
	char line[1024];

	assert_int_equal(judged(b, ""), TD_AUTH_CHALLENGE);
	assert_true(challenged(b));
	snprintf(line, sizeof(line), "%s", credentials(b));
	assert_int_equal(judged(b, line), TD_AUTH_PASSED);
	assert_false(b->answer.repeated);
	assert_int_equal(judged_from(b, "10.0.1.7", line), TD_AUTH_PASSED);
	assert_true(b->answer.repeated);
}

// The same credentials under another request, or from another address, are worth nothing.
static void replay_is_refused(void **state)
{
	struct bed *b = *state;
	char line[1024];

	assert_int_equal(judged(b, ""), TD_AUTH_CHALLENGE);
	assert_true(challenged(b));
	snprintf(line, sizeof(line), "%s", credentials(b));
	assert_int_equal(judged(b, line), TD_AUTH_PASSED);
	assert_int_equal(judged(b, line), TD_AUTH_CHALLENGE);
	assert_true(answer_has(b, "stale=true"));
	assert_int_equal(b->rig.host.counters[TD_C_AUTH_REPLAYED], 1);
	b->cseq++;
	assert_int_equal(judged_from(b, "10.0.1.66", credentials(b)), TD_AUTH_CHALLENGE);
	assert_int_equal(judged(b, credentials(b)), TD_AUTH_PASSED);
}

static void old_nonce_is_stale(void **state)
{
	struct bed *b = *state;

	assert_int_equal(judged(b, ""), TD_AUTH_CHALLENGE);
	assert_true(challenged(b));
	b->rig.host.now_ns += 302ull * 1000000000;
	assert_int_equal(judged(b, credentials(b)), TD_AUTH_CHALLENGE);
	assert_true(answer_has(b, "stale=true"));
	assert_true(challenged(b));
	assert_int_equal(judged(b, credentials(b)), TD_AUTH_PASSED);
}

// Wrong passwords, unknown and barred subscribers look alike; guesses cost more each time, and only
// for who makes them.
static void wrong_credentials_cost(void **state)
{
	static const char *const users[] = { "alice", "nobody", "barred" };
	struct bed *b = *state;

	b->rig.phone.algorithm = TD_DIGEST_MD5;
	for (unsigned i = 0; i < 3; i++) {
		b->rig.phone.user = users[i];
		b->rig.phone.password = i == 2 ? "secret" : "wrong";
		assert_int_equal(judged(b, ""), TD_AUTH_CHALLENGE);
		assert_true(challenged(b));
		for (unsigned k = 0; k < 3; k++)
			assert_int_equal(judged(b, credentials(b)), TD_AUTH_FORBIDDEN);
		assert_int_equal(b->answer.status, 403);
		assert_int_equal(judged(b, credentials(b)), TD_AUTH_BUSY);
		assert_int_equal(b->answer.status, 503);
		assert_true(answer_has(b, "Retry-After: 1"));
	}
	// The right password does not help while it lasts; the subscriber elsewhere is not touched.
	b->rig.phone.user = "alice";
	b->rig.phone.password = "secret";
	assert_int_equal(judged(b, credentials(b)), TD_AUTH_BUSY);
	assert_int_equal(judged_from(b, "10.0.1.9", ""), TD_AUTH_CHALLENGE);
	assert_true(challenged(b));
	assert_int_equal(judged_from(b, "10.0.1.9", credentials(b)), TD_AUTH_PASSED);
}

// Wrong digests under nonces that do not hold are not held against the address they claim to come
// from, and tell nothing.
static void forged_source_locks_nobody_out(void **state)
{
	struct bed *b = *state;

	assert_int_equal(judged(b, ""), TD_AUTH_CHALLENGE);
	assert_true(challenged(b)); // the attacker's own nonce, for its own address
	for (unsigned i = 0; i < 100; i++) {
		b->cseq++;
		b->rig.phone.password = i % 2 ? "wrong" : "secret";
		assert_int_equal(judged_from(b, "10.0.1.99", credentials(b)), TD_AUTH_CHALLENGE);
		assert_true(answer_has(b, "stale=true"));
	}
	b->rig.phone.password = "secret";
	assert_int_equal(judged_from(b, "10.0.1.99", ""), TD_AUTH_CHALLENGE);
	assert_true(challenged(b));
	assert_int_equal(judged_from(b, "10.0.1.99", credentials(b)), TD_AUTH_PASSED);
}

static void any_source(struct register_rig *rig, struct td_engine_conf *conf)
{
	rig->host.realms[FAKE_WEST].registrar.nonce_any_source = true;
}

// Where a nonce may come back from any address, guesses are held against whom it was given to: an
// attacker that writes the address of a phone upon them hurts itself.
static void no_lock_out_by_a_nonce_for_all(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));
	char mine[sizeof(b->rig.phone.nonce)];

	assert_int_equal(register_rig_up(&b->rig, any_source), 0);
	assert_int_equal(judged_from(b, "10.0.1.66", ""), TD_AUTH_CHALLENGE);
	assert_true(challenged(b));
	snprintf(mine, sizeof(mine), "%s", b->rig.phone.nonce);
	b->rig.phone.algorithm = TD_DIGEST_MD5;
	b->rig.phone.password = "wrong";
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(
			judged(b, credentials(b)), TD_AUTH_FORBIDDEN); // from 10.0.1.7, it says
	assert_int_equal(judged(b, credentials(b)), TD_AUTH_BUSY);
	mine[TD_TOKEN_LEN] ^= 1; // given to somebody else, it says
	snprintf(b->rig.phone.nonce, sizeof(b->rig.phone.nonce), "%s", mine);
	assert_int_equal(judged(b, credentials(b)), TD_AUTH_CHALLENGE);
	b->rig.phone.password = "secret";
	assert_int_equal(judged(b, ""), TD_AUTH_CHALLENGE);
	assert_true(challenged(b));
	b->cseq++;
	assert_int_equal(judged(b, credentials(b)), TD_AUTH_PASSED);
	b->cseq++;
	assert_int_equal(judged_from(b, "10.0.1.8", credentials(b)),
		TD_AUTH_PASSED); // another way out of its network
	assert_int_equal(register_rig_down(&b->rig), 0);
	free(b);
}

// Whoever has one address of a /64 has them all.
static void addresses_of_a_site_are_one_source(void **state)
{
	struct bed *b = *state;
	char ip[32];

	b->rig.phone.algorithm = TD_DIGEST_MD5;
	b->rig.phone.password = "wrong";
	for (unsigned i = 0; i < 4; i++) {
		b->cseq++;
		snprintf(ip, sizeof(ip), "fd00:1::%x", 0x700 + i);
		assert_int_equal(judged_from(b, ip, ""), TD_AUTH_CHALLENGE);
		assert_true(challenged(b));
		assert_int_equal(judged_from(b, ip, credentials(b)),
			i < 3 ? TD_AUTH_FORBIDDEN : TD_AUTH_BUSY);
	}
	assert_int_equal(judged_from(b, "fd00:1::801", credentials(b)),
		TD_AUTH_CHALLENGE); // a nonce is for one address
	b->rig.phone.password = "secret";
	assert_int_equal(judged_from(b, "fd00:1:0:1::7", ""), TD_AUTH_CHALLENGE);
	assert_true(challenged(b));
	assert_int_equal(judged_from(b, "fd00:1:0:1::7", credentials(b)), TD_AUTH_PASSED);
}

static void none_pushed(struct register_rig *rig, struct td_engine_conf *conf)
{
	static const struct td_alloc alloc = { .alloc = conf_alloc, .free = conf_free };
	static const struct td_subscribers_grace grace = { 0 };

	td_subscribers_free(rig->subscribers);
	conf->subscribers = rig->subscribers = td_subscribers_new(&alloc, &grace, 4);
}

// After a start the subscribers come a little later: until then nobody is refused for not being
// known.
static void nobody_is_judged_before_all_are_known(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));

	assert_int_equal(register_rig_up(&b->rig, none_pushed), 0);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(judged(b, ""), TD_AUTH_BUSY);
	assert_int_equal(b->answer.status, 503);
	assert_true(answer_has(b, "Retry-After: "));
	assert_int_equal(register_rig_down(&b->rig), 0);
	free(b);
}

// A phone takes the first algorithm that it knows; by that one its subscriber may have no hash.
static void subscriber_of_one_algorithm_is_asked_by_it(void **state)
{
	struct bed *b = *state;

	b->rig.phone.user = "md5only";
	for (unsigned i = 0; i < 10; i++) { // what is wrong by the first does not add up
		b->rig.phone.algorithm = TD_DIGEST_SHA256;
		assert_int_equal(judged(b, ""), TD_AUTH_CHALLENGE);
		assert_true(challenged(b));
		assert_int_equal(judged(b, credentials(b)), TD_AUTH_CHALLENGE);
		assert_true(answer_has(b, "stale=true"));
		assert_false(answer_has(b, "SHA-256"));
		b->rig.phone.algorithm = TD_DIGEST_MD5;
		assert_true(challenged(b));
		assert_int_equal(judged(b, credentials(b)), TD_AUTH_PASSED);
	}
}

// Of which hashes there are nothing shows: not there, of one algorithm, barred and wrong are
// answered alike, step by step.
static void hashes_do_not_show(void **state)
{
	static const char *const users[] = { "alice", "nobody", "barred", "md5only" };
	static const enum td_digest_algorithm algorithms[] = { TD_DIGEST_SHA256, TD_DIGEST_MD5,
		TD_DIGEST_SHA256, TD_DIGEST_MD5 };
	static const uint16_t statuses[] = { 401, 403, 401, 503 };
	struct bed *b = *state;

	for (unsigned i = 0; i < 4; i++) {
		b->rig.phone.user = users[i];
		b->rig.phone.password = "wrong";
		b->rig.phone.algorithm = TD_DIGEST_SHA256;
		assert_int_equal(judged(b, ""), TD_AUTH_CHALLENGE);
		assert_true(challenged(b));
		for (unsigned k = 0; k < 4; k++) {
			b->rig.phone.algorithm = algorithms[k];
			judged(b, credentials(b));
			assert_int_equal(b->answer.status, statuses[k]);
			assert_false(answer_has(b, "SHA-256"));
			assert_int_equal(answer_has(b, "MD5"), statuses[k] == 401);
		}
	}
	assert_int_equal(b->rig.host.counters[TD_C_AUTH_STALE], 0);
	assert_int_equal(b->rig.host.counters[TD_C_AUTH_FORBIDDEN], 4 * 3);
}

static void sha256_alone(struct register_rig *rig, struct td_engine_conf *conf)
{
	struct td_registrar_conf *registrar = &rig->host.realms[FAKE_WEST].registrar;

	registrar->n_algorithms = 1;
	registrar->algorithms[0] = TD_DIGEST_SHA256;
}

// A hash that was never provisioned is not one of zeros, nor begins at zeros, both of which
// everybody knows.
static void absent_hash_opens_nothing(void **state)
{
	static const uint8_t zeros[TD_DIGEST_BYTES_MAX];
	struct bed *b = calloc(1, sizeof(*b));
	char hex[TD_DIGEST_HEX_MAX], line[1024];

	assert_int_equal(register_rig_up(&b->rig, sha256_alone), 0);
	b->rig.phone.user = "md5only";
	assert_int_equal(judged(b, ""), TD_AUTH_CHALLENGE);
	assert_true(challenged(b));
	for (unsigned seeded = 0; seeded < 2; seeded++) {
		char nc[9];
		snprintf(nc, sizeof(nc), "%08x", seeded + 1);
		const struct td_digest_ask ask = { .method = TD_SPAN("REGISTER"),
			.uri = TD_SPAN(URI),
			.nonce = td_span_str(b->rig.phone.nonce),
			.nc = td_span_str(nc),
			.cnonce = TD_SPAN("x"),
			.qop = TD_SPAN("auth") };
		struct td_digest_a2 a2 = { 0 };
		td_digest_a2(&a2, TD_DIGEST_SHA256, ask.method, ask.uri);
		size_t len = seeded ? td_digest_seeded(TD_DIGEST_SHA256, zeros, &a2, &ask, hex)
				    : td_digest_response(TD_DIGEST_SHA256, zeros, &ask, hex);
		snprintf(line, sizeof(line),
			"Authorization: Digest username=\"md5only\", realm=\"tandem.example\", "
			"nonce=\"%s\", uri=\"" URI "\", "
			"response=\"%.*s\", algorithm=SHA-256, cnonce=\"x\", qop=auth, nc=%s\r\n",
			b->rig.phone.nonce, (int)len, hex, nc);
		assert_int_equal(judged(b, line), TD_AUTH_FORBIDDEN);
	}
	assert_int_equal(register_rig_down(&b->rig), 0);
	free(b);
}

// Under a nonce that holds: another realm's, an algorithm that was not offered, no nonce of the
// client. None of it is judged, so none is held against anybody, and the weaker algorithm is no way
// in.
static void what_was_not_asked_for_is_asked_again(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));

	assert_int_equal(register_rig_up(&b->rig, sha256_alone), 0);
	assert_int_equal(judged(b, ""), TD_AUTH_CHALLENGE);
	assert_true(challenged(b));
	b->rig.phone.realm = "other.example";
	assert_int_equal(judged(b, credentials(b)), TD_AUTH_CHALLENGE);
	b->rig.phone.realm = "tandem.example";
	b->rig.phone.algorithm = TD_DIGEST_MD5;
	assert_int_equal(judged(b, credentials(b)), TD_AUTH_CHALLENGE);
	b->rig.phone.algorithm = TD_DIGEST_SHA256;
	b->rig.phone.cnonce = "";
	assert_int_equal(judged(b, credentials(b)), TD_AUTH_CHALLENGE);
	b->rig.phone.cnonce = NULL;
	assert_int_equal(judged(b, credentials(b)), TD_AUTH_PASSED);
	assert_int_equal(register_rig_down(&b->rig), 0);
	free(b);
}

static void credentials_for_another_uri_are_wrong(void **state)
{
	struct bed *b = *state;
	char line[1024];

	b->rig.phone.algorithm = TD_DIGEST_MD5;
	assert_int_equal(judged(b, ""), TD_AUTH_CHALLENGE);
	assert_true(challenged(b));
	digest_client_line(&b->rig.phone, "REGISTER", "sip:elsewhere.example", line, sizeof(line));
	assert_int_equal(judged(b, line), TD_AUTH_FORBIDDEN);
	digest_client_line(&b->rig.phone, "INVITE", URI, line, sizeof(line));
	assert_int_equal(judged(b, line), TD_AUTH_FORBIDDEN);
	digest_client_line(&b->rig.phone, "REGISTER", URI ":5060", line, sizeof(line));
	assert_int_equal(judged(b, line), TD_AUTH_PASSED);
}

static void unfit_credentials_are_asked_again(void **state)
{
	static const struct {
		const char *line;
		uint8_t verdict;
	} cases[] = {
		{ "Authorization: Basic Zm9v\r\n", TD_AUTH_CHALLENGE },
		{ "Authorization: Digest username=\"alice\r\n", TD_AUTH_BAD },
		{ "Authorization: Digest username=\"alice\", realm=\"other.example\", nonce=\"x\", "
		  "uri=\"" URI "\", response=\"0\"\r\n",
			TD_AUTH_CHALLENGE },
		{ "Authorization: Digest username=\"alice\", realm=\"tandem.example\", "
		  "nonce=\"x\", uri=\"" URI "\", response=\"0\"\r\n",
			TD_AUTH_CHALLENGE }, // no qop
		{ "Authorization: Digest username=\"alice\", realm=\"tandem.example\", "
		  "nonce=\"x\", uri=\"" URI "\", response=\"0\", "
		  "qop=auth, nc=00000001, cnonce=\"1\", algorithm=SHA-512-256\r\n",
			TD_AUTH_CHALLENGE },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(judged(*state, cases[i].line), cases[i].verdict);
}

#define T(name) cmocka_unit_test_setup_teardown(name, bed_up, bed_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(challenge_then_pass),
		T(retransmission_is_known),
		T(replay_is_refused),
		T(old_nonce_is_stale),
		T(wrong_credentials_cost),
		T(forged_source_locks_nobody_out),
		cmocka_unit_test(no_lock_out_by_a_nonce_for_all),
		T(addresses_of_a_site_are_one_source),
		cmocka_unit_test(nobody_is_judged_before_all_are_known),
		T(subscriber_of_one_algorithm_is_asked_by_it),
		T(hashes_do_not_show),
		cmocka_unit_test(absent_hash_opens_nothing),
		cmocka_unit_test(what_was_not_asked_for_is_asked_again),
		T(credentials_for_another_uri_are_wrong),
		T(unfit_credentials_are_asked_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
