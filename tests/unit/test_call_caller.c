// SPDX-License-Identifier: BSD-3-Clause
// Calls of subscribers: who does not prove who it is gets nowhere, and whoever does is shown as the
// switch knows it.
#include "tests/unit/call_rig.h"
#include "sip/source_rate.h"
#include "sip/subscribers.h"
#include "tests/unit/digest_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define URI "sip:+49301234@tandem.example"

struct phone {
	struct rig *rig;
	struct td_flow flow;
	struct digest_client digest;
	unsigned cseq;
	const char *uri;  // that it calls; NULL: URI
	char lines[1024]; // of the INVITE with credentials
};

static struct rig *rig_up(struct phone *phone, const char *user)
{
	struct rig *rig = rig_new();

	rig_registrar(rig);
	rig_subscriber(rig, "1001", "4930555100,4930555109", "Alice \"A\" Doe", 1);
	rig_subscriber(rig, "1002", NULL, "", 0);
	rig_subscriber(rig, "we<ird", NULL, "", 0);
	*phone = (struct phone){ .rig = rig,
		.flow = fake_flow(&rig->host, FAKE_WEST, "10.0.1.50", 5070),
		.digest = { .algorithm = TD_DIGEST_SHA256,
			.user = user,
			.password = "secret",
			.realm = "tandem.example" } };
	return rig;
}

static void phone_invite(struct phone *phone, const char *from, const char *headers)
{
	char text[4096];

	const char *uri = phone->uri ? phone->uri : URI;

	phone->cseq++;
	snprintf(text, sizeof(text),
		"INVITE %s SIP/2.0\r\nVia: SIP/2.0/UDP "
		"10.0.1.50:5070;rport;branch=z9hG4bKp%u\r\nMax-Forwards: 70\r\n"
		"From: %s;tag=ptag\r\nTo: <%s>\r\nCall-ID: phone-call\r\nCSeq: %u INVITE\r\n"
		"Contact: <sip:1001@10.0.1.50:5070>\r\nUser-Agent: phone/1\r\n%s"
		"Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s",
		uri, phone->cseq, from, uri, phone->cseq, headers, strlen(RIG_SDP_A), RIG_SDP_A);
	rig_rx(phone->rig, &phone->flow, text);
}

// The INVITE, its challenge, and the INVITE again with credentials.
static void phone_call(struct phone *phone, const char *from, const char *headers)
{
	char *lines = phone->lines;

	phone_invite(phone, from, headers);
	const struct fake_sent *challenge = rig_expect(phone->rig, "SIP/2.0 401 ");
	assert_true(digest_client_take(
		&phone->digest, td_span_str(fake_header(challenge, "WWW-Authenticate"))));
	assert_int_equal(phone->rig->host.n_ends, 0);
	size_t len = digest_client_line(&phone->digest, "INVITE", phone->uri ? phone->uri : URI,
		lines, sizeof(phone->lines));
	snprintf(lines + len, sizeof(phone->lines) - len, "%s", headers);
	phone_invite(phone, from, lines);
}

static void rig_down(struct rig *rig)
{
	rig_advance(rig, 100000);
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

// What ends a challenge is part of every call and no sign of anything; another tag is.
static void the_ack_of_a_challenge_is_no_stray(void **state)
{
	struct phone phone;
	struct rig *rig = rig_up(&phone, "1001");
	const char *from = "<sip:1001@tandem.example>";
	char text[1024];

	phone_invite(&phone, from, "");
	const struct fake_sent *challenge = rig_expect(rig, "SIP/2.0 401 ");
	for (unsigned forged = 0; forged < 2; forged++) {
		snprintf(text, sizeof(text),
			"ACK " URI " SIP/2.0\r\nVia: SIP/2.0/UDP "
				   "10.0.1.50:5070;rport;branch=z9hG4bKp1\r\nMax-Forwards: 70\r\n"
			"From: %s;tag=ptag\r\nTo: %s%s\r\nCall-ID: phone-call\r\nCSeq: 1 "
			"ACK\r\nContent-Length: 0\r\n\r\n",
			from, fake_header(challenge, "To"), forged ? "x" : "");
		rig_rx(rig, &phone.flow, text);
		assert_int_equal(rig->host.counters[TD_C_SIP_STRAY_ACK], forged);
		assert_int_equal(rig->host.counters[TD_C_SIP_BAD_TOKEN], forged);
	}
	rig_silence(rig);
	rig_down(rig);
}

static void nobody_calls_without_proof(void **state)
{
	struct phone phone;
	struct rig *rig = rig_up(&phone, "1001");

	phone_invite(&phone, "<sip:1001@tandem.example>", "");
	const struct fake_sent *challenge = rig_expect(rig, "SIP/2.0 401 ");
	assert_string_not_equal(strstr(fake_header(challenge, "To"), ";tag="), "");
	phone.digest.password = "wrong";
	assert_true(digest_client_take(
		&phone.digest, td_span_str(fake_header(challenge, "WWW-Authenticate"))));
	char line[1024];
	digest_client_line(&phone.digest, "INVITE", URI, line, sizeof(line));
	phone_invite(&phone, "<sip:1001@tandem.example>", line);
	assert_true(fake_starts(rig_expect(rig, "SIP/2.0 40"), "SIP/2.0 40"));
	rig_silence(rig);
	// Neither call nor row nor anything else: not even for one that cannot be read.
	rig_rx(rig, &phone.flow,
		"INVITE " URI
		" SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.1.50;branch=z9hG4bKx\r\nCSeq: 1 INVITE\r\n\r\n");
	rig_expect(rig, "SIP/2.0 400 ");
	assert_int_equal(td_engine_calls(rig->engine), 0);
	assert_int_equal(rig->host.n_ends, 0);
	rig_free(rig);
}

// An INVITE with its credentials is good for one call: a copy of it, when the first has ended, is
// not.
static void a_copy_is_no_second_call(void **state)
{
	struct phone phone;
	struct rig *rig = rig_up(&phone, "1001");
	char line[1024];

	rig->host.route_answer = TD_REFUSED;
	rig->host.route.sip_code = 404;
	phone_invite(&phone, "<sip:1001@tandem.example>", "");
	const struct fake_sent *challenge = rig_expect(rig, "SIP/2.0 401 ");
	assert_true(digest_client_take(
		&phone.digest, td_span_str(fake_header(challenge, "WWW-Authenticate"))));
	digest_client_line(&phone.digest, "INVITE", URI, line, sizeof(line));
	phone_invite(&phone, "<sip:1001@tandem.example>", line);
	rig_expect(rig, "SIP/2.0 404 ");
	assert_int_equal(rig->host.n_ends, 1);
	rig_advance(rig, 100000); // nothing of the first is left
	rig->host.n_read = rig->host.n_sent;
	phone.cseq--;
	phone_invite(&phone, "<sip:1001@tandem.example>", line);
	rig_expect(rig, "SIP/2.0 401 ");
	assert_int_equal(rig->host.n_ends, 1);
	rig_down(rig);
}

static void identity_is_asserted(void **state)
{
	static const struct {
		const char *user, *from, *headers, *shown, *asserted, *auth_user;
	} cases[] = {
		{ "1001", "\"Boss\" <sip:1001@tandem.example>", "",
			"\"Alice \\\"A\\\" Doe\" <sip:+4930555100@10.0.2.254:5060>", "4930555100",
			"1001@tandem.example" },
		// One of its own numbers it may choose.
		{ "1001", "<sip:+4930555109@tandem.example>", "",
			"\"Alice \\\"A\\\" Doe\" <sip:+4930555109@10.0.2.254:5060>", "4930555109",
			"1001@tandem.example" },
		{ "1001", "<sip:1001@tandem.example>", "P-Preferred-Identity: <tel:4930555109>\r\n",
			"\"Alice \\\"A\\\" Doe\" <sip:+4930555109@10.0.2.254:5060>", "4930555109",
			"1001@tandem.example" },
		// Somebody else's identity it does not get.
		{ "1002", "<sip:+4930555100@tandem.example>",
			"P-Asserted-Identity: <sip:+4930555100@tandem.example>\r\n",
			"<sip:1002@10.0.2.254:5060>", "1002@tandem.example",
			"1002@tandem.example" },
		{ "1001", "<sip:1001@tandem.example>", "P-Preferred-Identity: <tel:4930555200>\r\n",
			"\"Alice \\\"A\\\" Doe\" <sip:+4930555100@10.0.2.254:5060>", "4930555100",
			"1001@tandem.example" },
		{ "we<ird", "<sip:1001@tandem.example>", "", "<sip:we%3Cird@10.0.2.254:5060>",
			"we<ird@tandem.example", "we<ird@tandem.example" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct phone phone;
		struct rig *rig = rig_up(&phone, cases[i].user);
		rig->trunks[1].trust = TD_TRUST_OUT;
		rig_policy(rig);
		rig_route(rig, "0");
		phone_call(&phone, cases[i].from, cases[i].headers);
		const struct fake_sent *invite =
			rig_expect(rig, "INVITE sip:+49301234@10.0.2.1:5060 ");
		const char *from = fake_header(invite, "From");
		if (strncmp(from, cases[i].shown, strlen(cases[i].shown)) != 0)
			print_error("case %zu: %s\n", i, from);
		assert_true(strncmp(from, cases[i].shown, strlen(cases[i].shown)) == 0);
		assert_true(strncmp(fake_header(invite, "P-Asserted-Identity"), cases[i].shown,
				    strlen(cases[i].shown)) == 0);
		RIG_LACKS(invite, "Authorization");
		RIG_LACKS(invite, "10.0.1.50");
		assert_int_equal(rig->host.last_query.plan.len, strlen("subscribers"));
		rig_reply(rig, invite, "486 Busy Here", "btag", "", "");
		rig_expect(rig, "ACK ");
		rig_expect(rig, "SIP/2.0 486 ");
		assert_string_equal(rig_cdr(rig)->trunk_in, "subscribers");
		assert_string_equal(rig_cdr(rig)->asserted, cases[i].asserted);
		assert_string_equal(rig_cdr(rig)->auth_user, cases[i].auth_user);
		assert_string_equal(rig_cdr(rig)->plan, "subscribers");
		assert_string_equal(rig_cdr(rig)->user_agent, "phone/1");
		rig_down(rig);
	}
}

// Towards a trunk that is not trusted a caller who wants to stay unknown is unknown.
static void privacy_of_a_subscriber(void **state)
{
	struct phone phone;
	struct rig *rig = rig_up(&phone, "1001");

	rig_route(rig, "0");
	phone_call(&phone, "<sip:1001@tandem.example>", "Privacy: id\r\n");
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	RIG_HAS(invite, "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>");
	RIG_LACKS(invite, "4930555100");
	RIG_LACKS(invite, "Alice");
	assert_true(rig->host.last_query.anonymous);
	rig_reply(rig, invite, "486 Busy Here", "btag", "", "");
	rig_down(rig);
}

// A subscriber whose From names nobody is not named to the callee: who is trusted learns the number
// as an identity that is not to be shown (RFC 3323 §4.1, RFC 3325 §9.1), nobody else does.
static void an_anonymous_from_is_a_wish(void **state)
{
	static const struct {
		const char *from, *headers;
		uint8_t trust, privacy;
		const char *shown, *asserted, *says; // NULL: none
	} cases[] = {
#define NOBODY "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag="
#define ALICE "\"Alice \\\"A\\\" Doe\" <sip:+4930555100@10.0.2.254:5060>"
		{ "\"Anonymous\" <sip:anonymous@anonymous.invalid>", "", TD_TRUST_NONE,
			TD_PRIVACY_HONOUR, NOBODY, NULL, "id" },
		{ "\"Anonymous\" <sip:anonymous@anonymous.invalid>", "", TD_TRUST_OUT,
			TD_PRIVACY_HONOUR, NOBODY, ALICE, "id" },
		{ "<sip:c8oqz84zk7z@anonymous.invalid>", "", TD_TRUST_NONE, TD_PRIVACY_HONOUR,
			NOBODY, NULL, "id" },
		{ "<sip:anonymous@tandem.example>", "Privacy: header\r\nPrivacy: none, id\r\n",
			TD_TRUST_OUT, TD_PRIVACY_HONOUR, NOBODY, ALICE, "header" },
		// As the trunk wants it.
		{ "<sip:anonymous@anonymous.invalid>", "", TD_TRUST_NONE, TD_PRIVACY_PASS, ALICE,
			NULL, "id" },
		{ "<sip:anonymous@anonymous.invalid>", "", TD_TRUST_NONE, TD_PRIVACY_STRIP, ALICE,
			NULL, NULL },
		// Who names itself is shown.
		{ "<sip:1001@tandem.example>", "Privacy: header\r\n", TD_TRUST_NONE,
			TD_PRIVACY_HONOUR, ALICE, NULL, "header" },
		// The second line counts as the first.
		{ "<sip:1001@tandem.example>", "Privacy: header\r\nPrivacy: critical;id\r\n",
			TD_TRUST_NONE, TD_PRIVACY_HONOUR, NOBODY, NULL, "header" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct phone phone;
		struct rig *rig = rig_up(&phone, "1001");
		rig->trunks[1].trust = cases[i].trust;
		rig->trunks[1].numbers.caller_out.privacy = cases[i].privacy;
		rig_policy(rig);
		rig_route(rig, "0");
		phone_call(&phone, cases[i].from, cases[i].headers);
		const struct fake_sent *invite = rig_expect(rig, "INVITE ");
		const char *from = fake_header(invite, "From");
		if (strncmp(from, cases[i].shown, strlen(cases[i].shown)) != 0)
			fail_msg("case %zu: %s", i, invite->data);
		assert_string_equal(fake_header(invite, "P-Asserted-Identity"),
			cases[i].asserted ? cases[i].asserted : "");
		assert_string_equal(
			fake_header(invite, "Privacy"), cases[i].says ? cases[i].says : "");
		assert_int_equal(fake_has(invite, "4930555100"),
			cases[i].asserted || strcmp(cases[i].shown, ALICE) == 0);
		rig_reply(rig, invite, "486 Busy Here", "btag", "", "");
		assert_string_equal(rig_cdr(rig)->asserted, "4930555100");
		rig_down(rig);
	}
}

// Who is to be helped is to be called back.
static void nobody_is_anonymous_in_an_emergency(void **state)
{
	struct phone phone;
	struct rig *rig = rig_up(&phone, "1001");

	rig_route(rig, "0");
	phone.uri = "sip:112@tandem.example";
	phone_call(&phone, "<sip:anonymous@anonymous.invalid>", "");
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	RIG_HAS(invite, "From: " ALICE ";tag=");
	RIG_LACKS(invite, "Privacy:");
	rig_reply(rig, invite, "486 Busy Here", "btag", "", "");
	rig_down(rig);
}

// The credentials of a call buy one call: who has listened and sends it again when it is forgotten
// gets none.
static void a_call_is_not_replayed(void **state)
{
	struct phone phone;
	struct rig *rig = rig_up(&phone, "1001");

	rig_route(rig, "0");
	phone_call(&phone, "<sip:1001@tandem.example>", "");
	rig_reply(rig, rig_expect(rig, "INVITE "), "486 Busy Here", "btag", "", "");
	rig_expect(rig, "ACK ");
	rig_expect(rig, "SIP/2.0 486 ");
	rig_advance(rig, 70000);
	rig->host.n_read = rig->host.n_sent;
	phone.cseq--;
	phone_invite(&phone, "<sip:1001@tandem.example>", phone.lines);
	const struct fake_sent *challenge = rig_expect(rig, "SIP/2.0 401 ");
	RIG_HAS(challenge, "stale=true");
	rig_silence(rig);
	assert_int_equal(rig->host.n_ends, 1);
	rig_down(rig);
}

// Sends a request in the phone's dialog with the credentials that its challenge asks for.
static void proven_send(
	struct phone *phone, struct rig_dialog *a, const char *method, const char *body)
{
	char line[1024];

	rig_send(phone->rig, a, method, "", body);
	const struct fake_sent *challenge = rig_expect(phone->rig, "SIP/2.0 401 ");
	assert_true(digest_client_take(
		&phone->digest, td_span_str(fake_header(challenge, "WWW-Authenticate"))));
	digest_client_line(&phone->digest, method, a->target, line, sizeof(line));
	rig_send(phone->rig, a, method, line, body);
}

// A phone that gets another address in mid call proves who it is and goes on from there; nobody
// else does.
static void a_phone_moves_in_mid_call(void **state)
{
	struct phone phone;
	struct rig *rig = rig_up(&phone, "1001");
	struct rig_dialog a, b;

	rig_route(rig, "0");
	phone_call(&phone, "<sip:1001@tandem.example>", "");
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "200 OK", "btag", "Contact: <sip:secreteast@10.0.2.1:5060>\r\n",
		RIG_SDP_B);
	rig_expect(rig, "ACK ");
	rig_dialog_a(rig, rig_expect(rig, "SIP/2.0 200 "), &a);
	rig_dialog_b(rig, invite, "btag", &b);
	a.flow = phone.flow;
	a.cseq = phone.cseq;
	rig_send(rig, &a, "ACK", "", "");
	a.flow = fake_flow(&rig->host, FAKE_WEST, "10.0.1.99", 5099);
	phone.digest.user = "1002"; // who is somebody, but not a party of this call
	proven_send(&phone, &a, "BYE", "");
	rig_expect(rig, "SIP/2.0 403 ");
	rig_silence(rig);
	phone.digest.user = "1001";
	proven_send(&phone, &a, "INVITE", RIG_SDP_A);
	rig_reply(rig, rig_expect(rig, "INVITE "), "200 OK", "",
		"Contact: <sip:secreteast@10.0.2.1:5060>\r\n", RIG_SDP_B);
	rig_expect(rig, "ACK ");
	const struct fake_sent *ok = rig_expect(rig, "SIP/2.0 200 ");
	assert_true(td_sockaddr_eq(&ok->flow.remote, &a.flow.remote));
	rig_send(rig, &a, "ACK", "", ""); // from where it was proven to be
	rig->host.n_read = rig->host.n_sent;
	rig_send(rig, &b, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200 ");
	const struct fake_sent *bye = rig_expect(rig, "BYE ");
	assert_true(td_sockaddr_eq(&bye->flow.remote, &a.flow.remote));
	rig_reply(rig, bye, "200 OK", "", "", "");
	rig_down(rig);
}

// A switch that takes three requests a second from one source, and a phone of 1001.
static struct rig *rated_up(struct phone *phone)
{
	struct rig *rig = rig_new();
	struct td_alloc alloc = { rig->conf.alloc, rig->conf.free, rig->conf.alloc_ctx, NULL };

	rig->conf.source_rate = td_source_rate_new(&alloc, 64, (uint64_t[2]){ 1, 2 });
	rig->source_cps = 3;
	rig_registrar(rig);
	rig_subscriber(rig, "1001", "4930555100", "", 0);
	rig_route(rig, "0");
	*phone = (struct phone){ .rig = rig,
		.flow = fake_flow(&rig->host, FAKE_WEST, "10.0.1.50", 5070),
		.digest = { .algorithm = TD_DIGEST_SHA256,
			.user = "1001",
			.password = "secret",
			.realm = "tandem.example" } };
	return rig;
}

static void rated_down(struct rig *rig)
{
	struct td_alloc alloc = { rig->conf.alloc, rig->conf.free, rig->conf.alloc_ctx, NULL };

	rig_advance(rig, 100000);
	rig->host.n_read = rig->host.n_sent;
	td_engine_free(rig->engine);
	td_source_rate_free(rig->conf.source_rate, &alloc);
	rig->conf.source_rate = NULL;
	rig->engine = td_engine_new(&rig->conf);
	rig_free(rig);
}

// An emergency call passes the limit of its source when it is proven; who only asks for one is
// answered no oftener than others.
static void emergency_is_no_way_to_flood(void **state)
{
	struct phone phone;
	struct rig *rig = rated_up(&phone);
	char line[1024];

	phone.uri = "sip:112@tandem.example";
	for (unsigned i = 0; i < 50; i++)
		phone_invite(&phone, "<sip:1001@tandem.example>", "");
	for (unsigned i = 0; i < 3; i++) {
		const struct fake_sent *challenge = rig_expect(rig, "SIP/2.0 401 ");
		assert_true(digest_client_take(
			&phone.digest, td_span_str(fake_header(challenge, "WWW-Authenticate"))));
	}
	rig_silence(rig);
	assert_int_equal(rig->host.counters[TD_C_SIP_SOURCE_RATE], 47);
	digest_client_line(&phone.digest, "INVITE", phone.uri, line, sizeof(line));
	phone_invite(&phone, "<sip:1001@tandem.example>", line);
	rig_reply(rig, rig_expect(rig, "INVITE "), "486 Busy Here", "btag", "", "");
	rated_down(rig);
}

static void unproven(struct rig *rig, const struct td_flow *flow, const char *method)
{
	char text[1024];

	rig->branch++;
	snprintf(text, sizeof(text),
		"%s sip:tandem.example SIP/2.0\r\nVia: SIP/2.0/UDP "
		"10.0.1.50:5070;rport;branch=z9hG4bKr%u\r\n"
		"From: <sip:1001@tandem.example>;tag=1\r\nTo: "
		"<sip:1001@tandem.example>\r\nCall-ID: r\r\n"
		"CSeq: %u %s\r\nContact: <sip:1001@10.0.1.50:5070>\r\n\r\n",
		method, rig->branch, rig->branch, method);
	rig_rx(rig, flow, text);
}

static void expect_answers(struct rig *rig, const char *prefix, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		rig_expect(rig, prefix);
	rig_silence(rig);
}

// REGISTERs without proof: three a second are answered, from each source.
static void registers_have_their_sources_rate(void **state)
{
	struct phone phone;
	struct rig *rig = rated_up(&phone);
	struct td_flow other = fake_flow(&rig->host, FAKE_WEST, "10.0.1.51", 5070);

	for (unsigned i = 0; i < 50; i++)
		unproven(rig, &phone.flow, "REGISTER");
	expect_answers(rig, "SIP/2.0 401 ", 3);
	assert_int_equal(rig->host.counters[TD_C_SIP_SOURCE_RATE], 47);
	unproven(rig, &other, "REGISTER");
	expect_answers(rig, "SIP/2.0 401 ", 1);
	rated_down(rig);
}

// Whoever has one address of a /64 has them all; but a carrier's machines are each for itself.
static void a_site_is_one_source_unless_it_is_a_carriers(void **state)
{
	struct phone phone;
	struct rig *rig = rated_up(&phone);
	struct td_flow flow = fake_flow(&rig->host, FAKE_WEST, "fd00:1:0:1::7", 5060);

	for (unsigned i = 0; i < 50; i++) {
		flow.remote.ip[15] = (uint8_t)i;
		unproven(rig, &flow, "REGISTER");
	}
	expect_answers(rig, "SIP/2.0 401 ", 3);
	flow.remote.ip[7]++;
	unproven(rig, &flow, "REGISTER");
	expect_answers(rig, "SIP/2.0 401 ", 1);
	for (unsigned i = 0; i < 2; i++) {
		flow.remote.ip[15] = (uint8_t)(0xa0 + i);
		rig->trunks[0].peers[i].address = flow.remote;
	}
	rig->trunks[0].n_peers = 2;
	rig_policy(rig);
	for (unsigned i = 0; i < 8; i++) {
		flow.remote.ip[15] = (uint8_t)(0xa0 + i % 2);
		unproven(rig, &flow, "OPTIONS");
	}
	expect_answers(rig, "SIP/2.0 200 ", 6);
	rated_down(rig);
}

static void limits_of_a_subscriber(void **state)
{
	struct phone phone;
	struct rig *rig = rig_up(&phone, "1001");

	rig_route(rig, "0");
	phone_call(&phone, "<sip:1001@tandem.example>", "");
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	char line[1024];
	digest_client_line(&phone.digest, "INVITE", URI, line, sizeof(line));
	phone.cseq = 20;
	phone_invite(&phone, "<sip:1001@tandem.example>", line);
	const struct fake_sent *refused = rig_expect(rig, "SIP/2.0 503 ");
	assert_string_not_equal(fake_header(refused, "Retry-After"), "");
	assert_int_equal(rig->host.counters[TD_C_SIP_SUBSCRIBER_CALLS], 1);
	assert_int_equal(rig->host.n_ends, 1);
	rig_reply(rig, invite, "486 Busy Here", "btag", "", "");
	rig_expect(rig, "ACK ");
	rig_expect(rig, "SIP/2.0 486 ");
	phone.cseq = 30; // given back
	digest_client_line(&phone.digest, "INVITE", URI, line, sizeof(line));
	phone_invite(&phone, "<sip:1001@tandem.example>", line);
	rig_reply(rig, rig_expect(rig, "INVITE "), "486 Busy Here", "btag", "", "");
	rig_down(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ack_of_a_challenge_is_no_stray),
		cmocka_unit_test(nobody_calls_without_proof),
		cmocka_unit_test(a_copy_is_no_second_call),
		cmocka_unit_test(identity_is_asserted),
		cmocka_unit_test(privacy_of_a_subscriber),
		cmocka_unit_test(an_anonymous_from_is_a_wish),
		cmocka_unit_test(nobody_is_anonymous_in_an_emergency),
		cmocka_unit_test(a_call_is_not_replayed),
		cmocka_unit_test(a_phone_moves_in_mid_call),
		cmocka_unit_test(emergency_is_no_way_to_flood),
		cmocka_unit_test(registers_have_their_sources_rate),
		cmocka_unit_test(a_site_is_one_source_unless_it_is_a_carriers),
		cmocka_unit_test(limits_of_a_subscriber),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
