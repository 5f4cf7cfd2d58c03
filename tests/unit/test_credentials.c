// SPDX-License-Identifier: BSD-3-Clause
// Providers that challenge the switch (RFC 3261 §22, RFC 7616, RFC 8760): every request of a call
// is answered once with the trunk's credentials, and carries them at once as soon as the nonce is
// known.
#include "sip/digest.h"
#include "sip/hdr_auth.h"
#include "tests/unit/call_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define USER "tandem"
#define REALM "provider.example"
#define PASSWORD "wholesale"

static struct rig *rig_with_account(void)
{
	struct rig *rig = rig_new();
	struct td_credentials *who = &rig->trunks[1].credentials;
	uint8_t ha1[TD_DIGEST_BYTES_MAX];

	td_span_cstr(TD_SPAN(USER), who->username, sizeof(who->username));
	td_span_cstr(TD_SPAN(REALM), who->realm, sizeof(who->realm));
	td_digest_ha1(TD_DIGEST_MD5, TD_SPAN(USER), TD_SPAN(REALM), TD_SPAN(PASSWORD), ha1);
	memcpy(who->ha1_md5, ha1, sizeof(who->ha1_md5));
	td_digest_ha1(TD_DIGEST_SHA256, TD_SPAN(USER), TD_SPAN(REALM), TD_SPAN(PASSWORD),
		who->ha1_sha256);
	rig_policy(rig);
	return rig;
}

// Judges the credentials of a request as the provider would: by the password.
static void verify(
	const struct fake_sent *sent, const char *header, const char *nonce, const char *nc)
{
	struct td_digest_params p;
	char method[16], hex[TD_DIGEST_HEX_MAX], value[2048];
	uint8_t ha1[TD_DIGEST_BYTES_MAX];

	snprintf(value, sizeof(value), "%s", fake_header(sent, header));
	if (td_digest_params_decode(td_span_str(value), &p) != 0)
		fail_msg("no credentials: %s", sent->data);
	assert_true(td_span_eq(p.username, TD_SPAN(USER)));
	assert_true(td_span_eq(p.realm, TD_SPAN(REALM)));
	assert_true(td_span_eq(p.nonce, td_span_str(nonce)));
	assert_true(td_span_eq(p.nc, td_span_str(nc)));
	assert_int_equal(sscanf(sent->data, "%15s", method), 1);
	const char *uri = sent->data + strlen(method) + 1;
	assert_true(td_span_eq(p.uri, td_span(uri, strcspn(uri, " "))));
	enum td_digest_algorithm algorithm = td_digest_id(p.algorithm);
	td_digest_ha1(algorithm, TD_SPAN(USER), TD_SPAN(REALM), TD_SPAN(PASSWORD), ha1);
	const struct td_digest_ask ask = { .method = td_span_str(method),
		.uri = p.uri,
		.nonce = p.nonce,
		.nc = p.nc,
		.cnonce = p.cnonce,
		.qop = p.qop };
	size_t len = td_digest_response(algorithm, ha1, &ask, hex);
	assert_true(td_digest_equal(hex, p.response, len));
}

static void challenge(
	struct rig *rig, const struct fake_sent *request, const char *status, const char *params)
{
	char line[512];

	snprintf(line, sizeof(line), "%s: Digest realm=\"" REALM "\", qop=\"auth\", %s\r\n",
		status[2] == '7' ? "Proxy-Authenticate" : "WWW-Authenticate", params);
	rig_reply(rig, request, status,
		strstr(fake_header(request, "To"), ";tag=") ? "" : "challenge", line, "");
}

static void expect_ack(struct rig *rig)
{
	rig_expect(rig, "ACK ");
}

static void an_invite_goes_again_with_credentials(void **state)
{
	struct rig *rig = rig_with_account();
	char branch[128];

	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *first = rig_expect(rig, "INVITE ");
	RIG_LACKS(first, "Authorization");
	snprintf(branch, sizeof(branch), "%s", fake_header(first, "Via"));
	rig_reply(rig, first, "100 Trying", "", "", "");
	challenge(rig, first, "407 Proxy Authentication Required", "nonce=\"n1\", opaque=\"o1\"");
	expect_ack(rig);
	const struct fake_sent *again = rig_expect(rig, "INVITE ");
	verify(again, "Proxy-Authorization", "n1", "00000001");
	RIG_HAS(again, "opaque=\"o1\"");
	assert_string_not_equal(fake_header(again, "Via"), branch);
	assert_string_equal(fake_header(again, "CSeq"), "2 INVITE");
	RIG_HAS(again, "m=audio ");
	rig_silence(rig); // A hears nothing of it
	assert_int_equal(rig->host.counters[TD_C_SIP_CHALLENGE_ANSWERED], 1);
	// The challenge comes again: ACKed, and no third INVITE.
	challenge(rig, first, "407 Proxy Authentication Required", "nonce=\"n1\", opaque=\"o1\"");
	expect_ack(rig);
	rig_silence(rig);

	struct rig_dialog a, b;
	rig_reply(rig, again, "200 OK", "btag", "Contact: <sip:bob@10.0.2.1>\r\n", RIG_SDP_B);
	const struct fake_sent *ack = rig_expect(rig, "ACK ");
	assert_string_equal(fake_header(ack, "CSeq"), "2 ACK");
	rig_dialog_b(rig, again, "btag", &b);
	rig_dialog_a(rig, rig_expect(rig, "SIP/2.0 200 "), &a);
	rig_send(rig, &a, "ACK", "", "");
	// What follows carries credentials at once, counted up.
	rig_send(rig, &a, "INVITE", "Contact: <sip:alice@10.0.1.1>\r\n", RIG_SDP_A);
	const struct fake_sent *reinvite = rig_expect(rig, "INVITE ");
	verify(reinvite, "Proxy-Authorization", "n1", "00000002");
	assert_string_equal(fake_header(reinvite, "CSeq"), "3 INVITE");
	challenge(rig, reinvite, "407 Proxy Authentication Required", "nonce=\"n2\"");
	expect_ack(rig);
	reinvite = rig_expect(rig, "INVITE ");
	verify(reinvite, "Proxy-Authorization", "n2", "00000001");
	rig_reply(rig, reinvite, "200 OK", "", "Contact: <sip:bob@10.0.2.1>\r\n", RIG_SDP_B);
	assert_string_equal(fake_header(rig_expect(rig, "ACK "), "CSeq"), "4 ACK");
	rig_expect(rig, "SIP/2.0 200 ");
	rig_send(rig, &a, "ACK", "", "");
	rig_send(rig, &a, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200 ");
	const struct fake_sent *bye = rig_expect(rig, "BYE ");
	verify(bye, "Proxy-Authorization", "n2", "00000002");
	assert_string_equal(fake_header(bye, "CSeq"), "5 BYE");
	challenge(rig, bye, "401 Unauthorized", "nonce=\"n3\", algorithm=SHA-256");
	bye = rig_expect(rig, "BYE ");
	verify(bye, "Authorization", "n3", "00000001");
	rig_reply(rig, bye, "200 OK", "", "", "");
	assert_int_equal(rig_cdr(rig)->sip_code, 200);
	rig_free(rig);
}

static void the_topmost_known_algorithm_is_taken(void **state)
{
	struct rig *rig = rig_with_account();

	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "401 Unauthorized", "t",
		"WWW-Authenticate: Digest realm=\"" REALM
		"\", nonce=\"n0\", algorithm=SHA-512-256, qop=\"auth\"\r\n"
		"WWW-Authenticate: Digest realm=\"elsewhere\", nonce=\"n1\", algorithm=MD5, "
		"qop=\"auth\"\r\n"
		"WWW-Authenticate: Digest realm=\"" REALM
		"\", nonce=\"n2\", algorithm=SHA-256, qop=\"auth-int,auth\"\r\n"
		"WWW-Authenticate: Digest realm=\"" REALM
		"\", nonce=\"n3\", algorithm=MD5, qop=\"auth\"\r\n",
		"");
	expect_ack(rig);
	const struct fake_sent *again = rig_expect(rig, "INVITE ");
	verify(again, "Authorization", "n2", "00000001");
	RIG_HAS(again, "algorithm=SHA-256");
	rig_reply(rig, again, "486 Busy Here", "t", "", "");
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

// Without qop: RFC 2069's form, which old gateways ask for.
static void an_old_challenge_is_answered(void **state)
{
	struct rig *rig = rig_with_account();

	rig_invite(rig, "", RIG_SDP_A);
	rig_reply(rig, rig_expect(rig, "INVITE "), "401 Unauthorized", "t",
		"WWW-Authenticate: Digest realm=\"" REALM "\", nonce=\"old\"\r\n", "");
	expect_ack(rig);
	const struct fake_sent *again = rig_expect(rig, "INVITE ");
	verify(again, "Authorization", "old", "");
	RIG_LACKS(again, "cnonce");
	rig_reply(rig, again, "486 Busy Here", "t", "", "");
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

// Refused credentials are the end of that attempt; the calling side learns nothing of realms and
// nonces.
static void refused_credentials_fail_the_attempt(void **state)
{
	struct rig *rig = rig_with_account();

	rig_route(rig, "0");
	rig_invite(rig, "", RIG_SDP_A);
	challenge(rig, rig_expect(rig, "INVITE "), "401 Unauthorized", "nonce=\"n1\"");
	expect_ack(rig);
	challenge(rig, rig_expect(rig, "INVITE "), "401 Unauthorized", "nonce=\"n2\"");
	expect_ack(rig);
	const struct fake_sent *failure = rig_expect(rig, "SIP/2.0 ");
	RIG_LACKS(failure, "Authenticate");
	RIG_LACKS(failure, REALM);
	RIG_LACKS(failure, "SIP/2.0 401");
	assert_int_equal(rig->host.counters[TD_C_SIP_CREDENTIALS_REFUSED], 1);
	assert_int_equal(rig->host.attempts[0].sip_code, 401);
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

static void a_stale_nonce_is_no_refusal(void **state)
{
	struct rig *rig = rig_with_account();

	rig_invite(rig, "", RIG_SDP_A);
	challenge(rig, rig_expect(rig, "INVITE "), "401 Unauthorized", "nonce=\"n1\"");
	expect_ack(rig);
	challenge(rig, rig_expect(rig, "INVITE "), "401 Unauthorized", "nonce=\"n2\", stale=true");
	expect_ack(rig);
	const struct fake_sent *third = rig_expect(rig, "INVITE ");
	verify(third, "Authorization", "n2", "00000001");
	// Whoever calls every nonce stale is not followed for ever.
	challenge(rig, third, "401 Unauthorized", "nonce=\"n3\", stale=true");
	expect_ack(rig);
	rig_expect(rig, "INVITE sip:+49301234@10.0.2.2"); // the next peer begins anew
	rig_cancel(rig, "");
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

// Requests that cross are challenged with one nonce: a count of it that comes twice would be a
// replay.
static void a_nonce_that_comes_again_is_counted_on(void **state)
{
	struct rig *rig = rig_with_account();
	struct rig_call call;

	rig_call(rig, &call);
	for (unsigned i = 0; i < 2; i++) {
		rig_send(rig, &call.a, "INFO", "Content-Type: application/dtmf-relay\r\n",
			"Signal=1\r\n");
		challenge(rig, rig_expect(rig, "INFO "), "401 Unauthorized", "nonce=\"n1\"");
		const struct fake_sent *info = rig_expect(rig, "INFO ");
		verify(info, "Authorization", "n1", i == 0 ? "00000001" : "00000003");
		rig_reply(rig, info, "200 OK", "", "", "");
		rig_expect(rig, "SIP/2.0 200 ");
	}
	rig_send(rig, &call.a, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200 ");
	rig_reply(rig, rig_expect(rig, "BYE "), "200 OK", "", "", "");
	rig_free(rig);
}

// Requests that go again are counted behind all that went out in their dialog meanwhile
// (§12.2.1.1).
static void what_goes_again_is_counted_anew(void **state)
{
	struct rig *rig = rig_with_account();
	const struct fake_sent *info[3];
	struct rig_call call;

	rig_call(rig, &call);
	for (unsigned i = 0; i < 3; i++) {
		rig_send(rig, &call.a, "INFO", "", "");
		info[i] = rig_expect(rig, "INFO ");
	}
	assert_string_equal(fake_header(info[2], "CSeq"), "4 INFO");
	for (unsigned i = 0; i < 3; i++) {
		char cseq[16];
		snprintf(cseq, sizeof(cseq), "%u INFO", 5 + i);
		challenge(rig, info[i], "401 Unauthorized", "nonce=\"n1\"");
		const struct fake_sent *again = rig_expect(rig, "INFO ");
		assert_string_equal(fake_header(again, "CSeq"), cseq);
		rig_reply(rig, again, "200 OK", "", "", "");
		rig_expect(rig, "SIP/2.0 200 ");
	}
	rig_send(rig, &call.a, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200 ");
	const struct fake_sent *bye = rig_expect(rig, "BYE ");
	assert_string_equal(fake_header(bye, "CSeq"), "8 BYE");
	rig_reply(rig, bye, "200 OK", "", "", "");
	rig_free(rig);
}

// An INFO of the ringing that is challenged behind the answer, and one that follows it.
static void an_early_request_goes_again_in_the_call(void **state)
{
	struct rig *rig = rig_with_account();
	struct rig_dialog a;

	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "183 Session Progress", "btag", "Contact: <sip:bob@10.0.2.1>\r\n",
		RIG_SDP_B);
	rig_dialog_a(rig, rig_expect(rig, "SIP/2.0 183 "), &a);
	rig_send(rig, &a, "INFO", "", "");
	const struct fake_sent *early = rig_expect(rig, "INFO ");
	assert_string_equal(fake_header(early, "CSeq"), "2 INFO");
	rig_reply(rig, invite, "200 OK", "btag", "Contact: <sip:bob@10.0.2.1>\r\n", RIG_SDP_B);
	rig_expect(rig, "ACK ");
	rig_expect(rig, "SIP/2.0 200 ");
	struct rig_dialog ack = a;
	ack.cseq = 1;
	rig_send(rig, &ack, "ACK", "", "");
	for (unsigned i = 0; i < 2; i++) {
		rig_send(rig, &a, "INFO", "", "");
		rig_reply(rig, rig_expect(rig, "INFO "), "200 OK", "", "", "");
		rig_expect(rig, "SIP/2.0 200 ");
	}
	challenge(rig, early, "401 Unauthorized", "nonce=\"n1\"");
	const struct fake_sent *again = rig_expect(rig, "INFO ");
	assert_string_equal(fake_header(again, "CSeq"), "5 INFO");
	rig_reply(rig, again, "200 OK", "", "", "");
	rig_expect(rig, "SIP/2.0 200 ");
	rig_send(rig, &a, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200 ");
	const struct fake_sent *bye = rig_expect(rig, "BYE ");
	assert_string_equal(fake_header(bye, "CSeq"), "6 BYE");
	rig_reply(rig, bye, "200 OK", "", "", "");
	rig_free(rig);
}

// An INVITE that is challenged after it has rung goes again behind what was said meanwhile.
static void an_invite_goes_again_behind_its_early_requests(void **state)
{
	struct rig *rig = rig_with_account();
	struct rig_dialog a;

	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "183 Session Progress", "btag", "Contact: <sip:bob@10.0.2.1>\r\n",
		RIG_SDP_B);
	rig_dialog_a(rig, rig_expect(rig, "SIP/2.0 183 "), &a);
	for (unsigned i = 0; i < 2; i++) {
		rig_send(rig, &a, "INFO", "", "");
		rig_reply(rig, rig_expect(rig, "INFO "), "200 OK", "", "", "");
		rig_expect(rig, "SIP/2.0 200 ");
	}
	challenge(rig, invite, "401 Unauthorized", "nonce=\"n1\"");
	expect_ack(rig);
	invite = rig_expect(rig, "INVITE ");
	assert_string_equal(fake_header(invite, "CSeq"), "4 INVITE");
	rig_reply(rig, invite, "486 Busy Here", "btag2", "", "");
	assert_string_equal(fake_header(rig_expect(rig, "ACK "), "CSeq"), "4 ACK");
	rig_expect(rig, "SIP/2.0 486 ");
	rig_free(rig);
}

// Nobody but the configured realm gets an answer out of us, and nobody without a trunk's account.
static void foreign_challenges_are_failures(void **state)
{
	struct rig *rig = rig_with_account();

	rig_route(rig, "02");
	rig_invite(rig, "", RIG_SDP_A);
	rig_reply(rig, rig_expect(rig, "INVITE "), "401 Unauthorized", "t",
		"WWW-Authenticate: Digest realm=\"evil.example\", nonce=\"n\", qop=\"auth\"\r\n",
		"");
	expect_ack(rig);
	assert_int_equal(rig->host.counters[TD_C_SIP_CHALLENGE_FOREIGN], 1);
	const struct fake_sent *other = rig_expect(rig, "INVITE sip:+49301234@10.0.2.3");
	challenge(rig, other, "401 Unauthorized", "nonce=\"n\"");
	expect_ack(rig);
	rig_expect(rig, "SIP/2.0 403 ");
	rig_silence(rig);
	assert_int_equal(rig->host.counters[TD_C_SIP_CHALLENGE_ANSWERED], 0);
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

// CANCEL crosses the challenge: the INVITE is not begun again.
static void a_cancelled_invite_stays_cancelled(void **state)
{
	struct rig *rig = rig_with_account();

	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "100 Trying", "", "", "");
	rig_cancel(rig, "");
	rig->host.n_read = rig->host.n_sent;
	challenge(rig, invite, "407 Proxy Authentication Required", "nonce=\"n1\"");
	expect_ack(rig);
	rig_silence(rig);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_invite_goes_again_with_credentials),
		cmocka_unit_test(the_topmost_known_algorithm_is_taken),
		cmocka_unit_test(an_old_challenge_is_answered),
		cmocka_unit_test(refused_credentials_fail_the_attempt),
		cmocka_unit_test(a_stale_nonce_is_no_refusal),
		cmocka_unit_test(a_nonce_that_comes_again_is_counted_on),
		cmocka_unit_test(what_goes_again_is_counted_anew),
		cmocka_unit_test(an_early_request_goes_again_in_the_call),
		cmocka_unit_test(an_invite_goes_again_behind_its_early_requests),
		cmocka_unit_test(foreign_challenges_are_failures),
		cmocka_unit_test(a_cancelled_invite_stays_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
