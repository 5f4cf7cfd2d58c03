// SPDX-License-Identifier: BSD-3-Clause
// What an engine answers to messages that belong to nobody yet, and its life.
#include "sip/engine_priv.h"
#include "sip/source_rate.h"
#include "tests/unit/fake_host.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

struct env {
	struct fake_host host;
	struct td_engine *engine;
	struct td_policy *policy;
	struct td_source_rate *rate;
	struct td_flow west, stranger;
};

static void slow_sources(struct td_policy_conf *conf)
{
	conf->source_cps = 5;
}

static int set_up(void **state)
{
	struct env *env = test_calloc(1, sizeof(*env));
	struct td_engine_conf conf;

	fake_host_init(&env->host, 1);
	fake_host_conf(&env->host, &conf);
	struct td_alloc alloc = { conf.alloc, conf.free, conf.alloc_ctx };
	env->rate = td_source_rate_new(&alloc, 64, (uint64_t[2]){ 1, 2 });
	assert_non_null(env->rate);
	conf.source_rate = env->rate;
	env->engine = td_engine_new(&conf);
	assert_non_null(env->engine);
	env->policy = fake_policy(NULL);
	td_engine_set_policy(env->engine, env->policy);
	env->west = fake_flow(&env->host, FAKE_WEST, "10.0.1.1", 5060);
	env->stranger = fake_flow(&env->host, FAKE_WEST, "10.0.1.99", 5060);
	*state = env;
	return 0;
}

static int tear_down(void **state)
{
	struct env *env = *state;

	fake_advance(&env->host, env->engine, 40000);
	assert_int_equal(td_engine_busy(env->engine), 0);
	td_engine_free(env->engine);
	td_policy_free(env->policy);
	struct td_engine_conf conf;
	fake_host_conf(&env->host, &conf);
	struct td_alloc alloc = { conf.alloc, conf.free, conf.alloc_ctx };
	td_source_rate_free(env->rate, &alloc);
	assert_int_equal(fake_host_fini(&env->host), 0);
	test_free(env);
	return 0;
}

#define CALL_ID "abc@10.0.1.1"

// A request with exchangeable start, To-tag and further lines.
static const char *request(
	const char *method, const char *uri, const char *to_params, const char *more)
{
	static char text[8192];

	snprintf(text, sizeof(text),
		"%s %s SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 10.0.1.1:5060;branch=z9hG4bKone;rport\r\n"
		"From: <sip:100@10.0.1.1>;tag=from1\r\n"
		"To: <sip:200@10.0.1.254>%s\r\n"
		"Call-ID: " CALL_ID "\r\n"
		"CSeq: 1 %s\r\n"
		"%s"
		"Content-Length: 0\r\n\r\n",
		method, uri, to_params, method, more);
	return text;
}

static const struct fake_sent *ask(struct env *env, const struct td_flow *flow, const char *text)
{
	fake_rx(&env->host, env->engine, flow, text);
	return fake_next(&env->host);
}

static uint64_t count(const struct env *env, enum td_counter counter)
{
	return env->host.counters[counter];
}

#define TO_US "sip:200@10.0.1.254"

// Without rport the sender waits where its Via says, but never at another address (§18.2.2, RFC
// 3581 §4).
static void answers_go_to_the_sent_by_port(void **state)
{
	static const struct {
		const char *via;
		uint16_t port;
	} cases[] = { { "10.0.1.1:5080", 5080 }, { "10.9.9.9", 5060 },
		{ "10.0.1.1:5080;rport", 40000 } };
	struct env *env = *state;
	const struct td_flow from = fake_flow(&env->host, FAKE_WEST, "10.0.1.1", 40000);

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[1024];
		snprintf(text, sizeof(text),
			"OPTIONS sip:10.0.1.254 SIP/2.0\r\nVia: SIP/2.0/UDP "
			"%s;branch=z9hG4bKo%u\r\n"
			"From: <sip:1@a>;tag=t\r\nTo: <sip:1@b>\r\nCall-ID: o\r\nCSeq: 1 "
			"OPTIONS\r\n\r\n",
			cases[i].via, i);
		const struct fake_sent *sent = ask(env, &from, text);
		assert_true(fake_starts(sent, "SIP/2.0 200 "));
		assert_true(td_ip_eq(&sent->flow.remote, &from.remote));
		assert_int_equal(sent->flow.remote.port, cases[i].port);
	}
}

static void keepalives_are_counted(void **state)
{
	struct env *env = *state;

	assert_null(ask(env, &env->west, "\r\n\r\n"));
	assert_null(ask(env, &env->stranger, "\r\n"));
	td_engine_rx(env->engine, env->host.now_ns, &env->west, "\0\0\0", 3);
	td_engine_rx(env->engine, env->host.now_ns, &env->west, "", 0);
	assert_int_equal(count(env, TD_C_SIP_KEEPALIVE), 4);
	assert_int_equal(count(env, TD_C_SIP_BAD_MESSAGE), 0);
}

static void options_are_answered(void **state)
{
	struct env *env = *state;
	const struct fake_sent *sent =
		ask(env, &env->west, request("OPTIONS", TO_US, "", "Max-Forwards: 0\r\n"));

	assert_true(fake_starts(sent, "SIP/2.0 200 OK\r\n"));
	assert_string_equal(fake_header(sent, "Via"),
		"SIP/2.0/UDP 10.0.1.1:5060;branch=z9hG4bKone;received=10.0.1.1;rport=5060");
	assert_string_equal(fake_header(sent, "Allow"), "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO");
	assert_string_equal(fake_header(sent, "Accept"), "application/sdp, multipart/mixed");
	assert_true(fake_has(sent, "\r\nSupported:\r\n"));
	assert_true(td_sockaddr_eq(&sent->flow.remote, &env->west.remote));
	assert_true(strncmp(fake_header(sent, "To"), "<sip:200@10.0.1.254>;tag=", 25) == 0);

	td_engine_drain(env->engine, true);
	sent = ask(env, &env->west, request("OPTIONS", TO_US, "", ""));
	assert_true(fake_starts(sent, "SIP/2.0 503 "));
	assert_string_not_equal(fake_header(sent, "Retry-After"), "");
	assert_int_equal(count(env, TD_C_SIP_DRAINING), 1);
}

// RFC 3581: the response goes to the address and port it came from, whatever Via says; RFC 3261
// §18.2.1 without rport.
static void responses_go_back_on_the_flow(void **state)
{
	struct env *env = *state;
	struct td_flow nat = fake_flow(&env->host, FAKE_WEST, "10.0.1.1", 40000);
	const struct fake_sent *sent = ask(env, &nat,
		"OPTIONS " TO_US " SIP/2.0\r\n"
		"v: SIP/2.0/UDP "
		"192.168.7.7;received=1.2.3.4;rport=9;branch=z9hG4bKx;q=\"a;rport\\\";b\", "
		"SIP/2.0/TCP "
		"first.example:5\r\nVia: SIP/2.0/UDP zero\r\n"
		"f: <sip:1@h>;tag=1\r\nt: <sip:2@h>\r\ni: 7\r\nCSeq: 5 OPTIONS\r\nl: 0\r\n\r\n");

	assert_non_null(sent);
	assert_true(fake_has(sent,
		"\r\nVia: SIP/2.0/UDP "
		"192.168.7.7;branch=z9hG4bKx;q=\"a;rport\\\";b\";received=10.0.1.1;rport=40000, "
		"SIP/2.0/TCP first.example:5\r\nVia: SIP/2.0/UDP zero\r\n"));
	assert_true(td_sockaddr_eq(&sent->flow.remote, &nat.remote));

	sent = ask(env, &nat,
		"OPTIONS " TO_US " SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.7.7;branch=z9hG4bKy\r\n"
		"From: <sip:1@h>;tag=1\r\nTo: <sip:2@h>\r\nCall-ID: 7\r\nCSeq: 5 OPTIONS\r\n\r\n");
	assert_string_equal(fake_header(sent, "Via"),
		"SIP/2.0/UDP 192.168.7.7;branch=z9hG4bKy;received=10.0.1.1");
	sent = ask(env, &nat,
		"OPTIONS " TO_US " SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.1.1;branch=z9hG4bKz\r\n"
		"From: <sip:1@h>;tag=1\r\nTo: <sip:2@h>\r\nCall-ID: 7\r\nCSeq: 5 OPTIONS\r\n\r\n");
	assert_string_equal(fake_header(sent, "Via"), "SIP/2.0/UDP 10.0.1.1;branch=z9hG4bKz");
}

// The two parameters that are ours to say go, wherever they stand and however they are written.
static void via_is_cleared_of_what_is_ours(void **state)
{
	struct env *env = *state;
	struct td_flow nat = fake_flow(&env->host, FAKE_WEST, "10.0.1.1", 40000);
	static const struct {
		const char *asked, *answered;
	} cases[] = {
		{ ";rport;branch=z9hG4bK%u", ";branch=z9hG4bK%u;received=10.0.1.1;rport=40000" },
		{ ";branch=z9hG4bK%u ; RPORT = 7 ;received=\"a;b\";x",
			";branch=z9hG4bK%u ;x;received=10.0.1.1;rport=40000" },
		{ ";received=::1;a;rport;branch=z9hG4bK%u",
			";a;branch=z9hG4bK%u;received=10.0.1.1;rport=40000" },
		{ ";received=1.1.1.1;branch=z9hG4bK%u", ";branch=z9hG4bK%u;received=10.0.1.1" },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char asked[128], answered[128], request[512];
		snprintf(asked, sizeof(asked), cases[i].asked, i);
		snprintf(answered, sizeof(answered), cases[i].answered, i);
		snprintf(request, sizeof(request),
			"OPTIONS " TO_US
			" SIP/2.0\r\nVia: SIP/2.0/UDP h%s\r\nFrom: <sip:1@h>;tag=1\r\n"
			"To: <sip:2@h>\r\nCall-ID: via%u\r\nCSeq: 5 OPTIONS\r\n\r\n",
			asked, i);
		const char *via = fake_header(ask(env, &nat, request), "Via");
		assert_memory_equal(via, "SIP/2.0/UDP h", 13);
		assert_string_equal(via + 13, answered);
	}
}

static void strangers_hear_nothing(void **state)
{
	static const char *const methods[] = { "OPTIONS", "INVITE", "CANCEL", "REGISTER", "BYE",
		"FOO" };
	struct env *env = *state;

	for (size_t i = 0; i < 6; i++) {
		assert_null(ask(env, &env->stranger, request(methods[i], TO_US, "", "")));
		assert_null(ask(env, &env->stranger,
			request(methods[i], TO_US, ";tag=x", "Require: y\r\n")));
		assert_null(ask(env, &env->stranger,
			request(methods[i], "foo:bar", "", "Max-Forwards: 0\r\n")));
		assert_null(ask(env, &env->stranger,
			request(methods[i], TO_US, "", "Content-Length: 1\r\n")));
	}
	assert_int_equal(count(env, TD_C_SIP_UNKNOWN_SOURCE), 24);
	env->host.realms[FAKE_WEST].unknown = TD_UNKNOWN_403;
	assert_true(fake_starts(ask(env, &env->stranger, request("OPTIONS", TO_US, "", "")),
		"SIP/2.0 403 Forbidden"));
	assert_null(ask(env, &env->stranger, request("ACK", TO_US, "", "")));
}

static void expect(struct env *env, const char *text, const char *status_line)
{
	const struct fake_sent *sent = ask(env, &env->west, text);

	if (!fake_starts(sent, status_line))
		print_error("expected %s\ngot %s\n", status_line, sent ? sent->data : "nothing");
	assert_true(fake_starts(sent, status_line));
	assert_null(fake_next(&env->host));
}

// The same request of a transaction of its own: a refused INVITE has one, which absorbs copies.
static const char *another(const char *text)
{
	static char copy[8192];
	static char mark = 'a';

	td_span_cstr(td_span_str(text), copy, sizeof(copy));
	*(strstr(copy, "z9hG4bKone") + 7) = mark;
	*(strstr(copy, "tag=from1") + 4) = mark++;
	return copy;
}

static void refusals(void **state)
{
	static const char *const not_allowed[] = { "REGISTER", "SUBSCRIBE", "MESSAGE", "PUBLISH",
		"REFER", "NOTIFY", "INFO", "UPDATE", "PRACK", "FOO" };
	struct env *env = *state;

	assert_null(ask(env, &env->west, request("ACK", TO_US, "", "")));
	assert_int_equal(count(env, TD_C_SIP_STRAY_ACK), 1);
	for (size_t i = 0; i < sizeof(not_allowed) / sizeof(*not_allowed); i++) {
		expect(env, request(not_allowed[i], TO_US, "", ""),
			"SIP/2.0 405 Method Not Allowed\r\n");
		assert_string_not_equal(
			fake_header(&env->host.sent[env->host.n_sent - 1], "Allow"), "");
	}
	expect(env, request("BYE", TO_US, "", ""), "SIP/2.0 481 ");
	expect(env, request("CANCEL", TO_US, "", ""), "SIP/2.0 481 ");
	expect(env,
		another(request(
			"INVITE", TO_US, "", "Require: 100rel\r\nRequire: timer, replaces\r\n")),
		"SIP/2.0 420 ");
	assert_true(fake_has(&env->host.sent[env->host.n_sent - 1],
		"Unsupported: 100rel\r\nUnsupported: timer, replaces\r\n"));
	expect(env, request("OPTIONS", TO_US, "", "Require: replaces\r\n"), "SIP/2.0 420 ");
	expect(env, another(request("INVITE", "nobody:knows", "", "")), "SIP/2.0 416 ");
	expect(env, another(request("INVITE", "urn:service:other", "", "")), "SIP/2.0 416 ");
	expect(env,
		another(request(
			"INVITE", TO_US, "", "Max-Forwards: 0\r\nContact: <sip:1@10.0.1.1>\r\n")),
		"SIP/2.0 483 ");
	// Each of those INVITEs has its row.
	assert_int_equal(env->host.n_ends, 4);
	assert_int_equal(env->host.ends[0].sip_code, 420);
}

static void foreign_tags_name_no_dialog(void **state)
{
	static const char *const tags[] = { ";tag=x", ";tag=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" };
	struct env *env = *state;

	for (size_t i = 0; i < 2; i++) {
		expect(env, request("INVITE", TO_US, tags[i], ""), "SIP/2.0 481 ");
		assert_string_equal(
			strstr(fake_header(&env->host.sent[env->host.n_sent - 1], "To"), ";tag"),
			tags[i]);
		expect(env, request("BYE", TO_US, tags[i], "Require: x\r\n"), "SIP/2.0 481 ");
	}
	assert_int_equal(count(env, TD_C_SIP_BAD_TOKEN), 4);
	assert_null(ask(env, &env->west, request("ACK", TO_US, tags[1], "")));
	assert_int_equal(count(env, TD_C_SIP_BAD_TOKEN), 5);
}

static void faults_are_named(void **state)
{
	struct env *env = *state;

	expect(env, request("INVITE", TO_US, "", "Content-Length: 1\r\n"),
		"SIP/2.0 400 Content-Length Twice\r\n");
	assert_true(strlen(env->host.sent[0].data) > 20 && env->host.sent[0].data[12] != '\r');
	expect(env, request("OPTIONS", TO_US, "", "CSeq: 2 OPTIONS\r\n"),
		"SIP/2.0 400 Header Given Twice: CSeq\r\n");
	assert_int_equal(count(env, TD_C_SIP_BAD_ANSWERED), 2);
	char *other = strdup(request("OPTIONS", TO_US, "", ""));
	memcpy(strstr(other, "SIP/2.0"), "SIP/3.0", 7);
	expect(env, other, "SIP/2.0 505 ");
	free(other);
	assert_null(ask(env, &env->west, request("ACK", TO_US, "", "Content-Length: 1\r\n")));
	assert_null(ask(env, &env->west, "OPTIONS sip:x SIP/2.0\r\nCall-ID: 1\r\n\r\n"));
	const struct fake_sent *sent = ask(env, &env->west,
		"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.1.1\r\nCSeq: 1 OPTIONS\r\n\r\n");
	assert_true(fake_starts(sent, "SIP/2.0 400 Header Missing: From\r\n"));
	assert_true(fake_has(sent,
		"\r\nVia: SIP/2.0/UDP 10.0.1.1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"));
	assert_null(ask(env, &env->west, "garbage"));
	assert_null(ask(env, &env->west, "SIP/2.0 200 OK\r\n\r\n"));
	assert_int_equal(count(env, TD_C_SIP_BAD_MESSAGE), 3);
	assert_null(ask(env, &env->west,
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP "
		"10.0.1.254;branch=z9hG4bKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n"
		"From: <sip:1@h>;tag=1\r\nTo: <sip:2@h>;tag=2\r\nCall-ID: 7\r\nCSeq: 5 "
		"OPTIONS\r\n\r\n"));
	assert_int_equal(count(env, TD_C_SIP_STRAY_RESPONSE), 1);
}

// An INVITE that cannot be read was tried all the same: it is refused once, and has one row.
static void faulty_invites_leave_rows(void **state)
{
	static const struct {
		const char *uri, *to_params, *more, *status;
		uint16_t code;
	} cases[] = {
		{ TO_US, "", "Content-Length: 1\r\n", "SIP/2.0 400 Content-Length Twice\r\n", 400 },
		{ "sip:%zz@10.0.1.254", "", "", "SIP/2.0 400 ", 400 },
		{ TO_US, ";tag=\"open", "", "SIP/2.0 400 ", 400 },
		{ TO_US, "", "Max-Forwards: x\r\n", "SIP/2.0 400 ", 400 },
		{ TO_US, "", "Call-ID: again\r\n", "SIP/2.0 400 Header Given Twice: Call-ID\r\n",
			400 },
	};
	struct env *env = *state;

	for (uint32_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char copy[8192];
		const char *text =
			another(request("INVITE", cases[i].uri, cases[i].to_params, cases[i].more));
		expect(env, text, cases[i].status);
		assert_int_equal(env->host.n_ends, i + 1);
		assert_int_equal(env->host.ends[i].sip_code, cases[i].code);
		assert_string_equal(env->host.ends[i].trunk_in, "carrier-a");
		expect(env, text, cases[i].status); // a copy is answered from what is known
		assert_int_equal(env->host.n_ends, i + 1);
		td_span_cstr(td_span_str(text), copy, sizeof(copy));
		memcpy(copy, "ACK   ", 6);
		memcpy(strstr(copy, "CSeq: 1 INVITE"), "CSeq: 1 ACK   ", 14);
		assert_null(ask(env, &env->west, copy));
		fake_advance(&env->host, env->engine, 2000);
		assert_null(fake_next(&env->host)); // acknowledged, whatever its faults
	}
	// Without a Via nothing can be said, and nothing is recorded; an OPTIONS leaves none
	// either.
	assert_null(ask(env, &env->west, "INVITE sip:x SIP/2.0\r\nCall-ID: 1\r\n\r\n"));
	expect(env, request("OPTIONS", TO_US, "", "Call-ID: again\r\n"), "SIP/2.0 400 ");
	assert_int_equal(env->host.n_ends, sizeof(cases) / sizeof(*cases));
	assert_int_equal(count(env, TD_C_SIP_BAD_ANSWERED), sizeof(cases) / sizeof(*cases) + 1);
}

static void too_big(struct env *env, const char *method)
{
	char *big = malloc(20000);
	const char *text = another(request(method, TO_US, "", ""));
	size_t head = (size_t)(strstr(text, "Content-Length") - text);

	memcpy(big, text, head);
	int n = snprintf(big + head, 40, "Content-Length: 17000\r\n\r\n");
	memset(big + head + n, 'x', 17000);
	big[head + (size_t)n + 17000] = '\0';
	expect(env, big, "SIP/2.0 513 Message Too Large\r\n");
	free(big);
}

static void too_big_is_513(void **state)
{
	struct env *env = *state;

	too_big(env, "OPTIONS");
	assert_int_equal(count(env, TD_C_SIP_TOO_BIG), 1);
	assert_int_equal(env->host.n_ends, 0);
	too_big(env, "INVITE");
	assert_int_equal(env->host.n_ends, 1);
	assert_int_equal(env->host.ends[0].sip_code, 513);
}

static void without_policy_503(void **state)
{
	struct env *env = *state;

	td_engine_set_policy(env->engine, NULL);
	expect(env, request("INVITE", TO_US, "", ""), "SIP/2.0 503 ");
	expect(env, request("OPTIONS", TO_US, "", ""), "SIP/2.0 503 ");
	assert_string_not_equal(fake_header(&env->host.sent[0], "Retry-After"), "");
	assert_int_equal(count(env, TD_C_SIP_NO_POLICY), 2);
}

// A source that is spread over workers has one limit with all of them.
static void one_limit_for_all_engines(void **state)
{
	struct env *env = *state;
	struct td_policy *policy = fake_policy(slow_sources);
	struct td_engine_conf conf;

	fake_host_conf(&env->host, &conf);
	conf.worker = 1;
	conf.source_rate = env->rate;
	struct td_engine *other = td_engine_new(&conf);
	assert_non_null(other);
	td_engine_set_policy(env->engine, policy);
	td_engine_set_policy(other, policy);
	for (int i = 0; i < 50; i++)
		fake_rx(&env->host, i % 2 ? other : env->engine, &env->west,
			request("OPTIONS", TO_US, "", ""));
	assert_int_equal(fake_pending(&env->host), 5);
	assert_int_equal(count(env, TD_C_SIP_SOURCE_RATE), 45);
	td_engine_set_policy(env->engine, env->policy);
	fake_advance(&env->host, other, 40000);
	td_engine_free(other);
	td_policy_free(policy);
}

// Two Call-IDs that lie in one place, one after the other, are two, whoever asks and when.
static void a_call_ids_hash_is_its_own(void **state)
{
	struct env *env = *state;
	char text[] = "call-1";
	uint64_t hash = td_engine_call_hash(env->engine, td_span(text, 6));

	text[5] = '2';
	assert_int_not_equal(td_engine_call_hash(env->engine, td_span(text, 6)), hash);
	fake_rx(&env->host, env->engine, &env->west, request("OPTIONS", TO_US, "", ""));
	assert_int_equal(fake_pending(&env->host), 1);
	text[5] = '1';
	assert_int_equal(td_engine_call_hash(env->engine, td_span(text, 6)), hash);
}

static void a_flood_touches_nobody_else(void **state)
{
	struct env *env = *state;
	struct td_flow other = fake_flow(&env->host, FAKE_WEST, "fd00:1::1", 5060);
	struct td_policy *policy = fake_policy(slow_sources);

	td_engine_set_policy(env->engine, policy);
	for (int i = 0; i < 50; i++)
		fake_rx(&env->host, env->engine, &env->west, request("OPTIONS", TO_US, "", ""));
	assert_int_equal(fake_pending(&env->host), 5);
	assert_int_equal(count(env, TD_C_SIP_SOURCE_RATE), 45);
	fake_rx(&env->host, env->engine, &other, request("OPTIONS", TO_US, "", ""));
	assert_int_equal(fake_pending(&env->host), 6);
	td_engine_set_policy(env->engine, env->policy);
	td_policy_free(policy);
}

// The emergency service passes the limit for calls to it; its name in other requests opens nothing.
static void only_emergency_calls_pass_the_rate(void **state)
{
	struct env *env = *state;
	struct td_policy *policy = fake_policy(slow_sources);

	td_engine_set_policy(env->engine, policy);
	for (int i = 0; i < 50; i++)
		fake_rx(&env->host, env->engine, &env->west,
			request("OPTIONS", "urn:service:sos", "", ""));
	assert_int_equal(fake_pending(&env->host), 5);
	assert_int_equal(count(env, TD_C_SIP_SOURCE_RATE), 45);
	td_engine_set_policy(env->engine, env->policy);
	td_policy_free(policy);
}

static void no_buffer_is_counted(void **state)
{
	struct env *env = *state;

	env->host.no_buffer = true;
	assert_null(ask(env, &env->west, request("OPTIONS", TO_US, "", "")));
	assert_int_equal(count(env, TD_C_SIP_NO_MEMORY), 1);
	env->host.no_buffer = false;
	env->host.send_error = -ENOBUFS;
	assert_null(ask(env, &env->west, request("OPTIONS", TO_US, "", "")));
	assert_int_equal(count(env, TD_C_SIP_SEND_FAILED), 1);
}

// Every allocation of the start fails once: nothing is left behind.
static void start_without_memory(void **state)
{
	uint32_t n = 0;

	for (uint32_t at = 1; n == 0; at++) {
		struct fake_host *host = test_malloc(sizeof(*host));
		struct td_engine_conf conf;

		fake_host_init(host, 1);
		fake_host_conf(host, &conf);
		host->fail_alloc_at = at;
		errno = 0;
		struct td_engine *engine = td_engine_new(&conf);
		if (engine)
			n = at;
		else
			assert_int_equal(errno, ENOMEM);
		td_engine_free(engine);
		assert_int_equal(fake_host_fini(host), 0);
		test_free(host);
		assert_true(at < 100);
	}
	assert_true(n > 5);
}

static void senseless_limits_are_refused(void **state)
{
	struct fake_host *host = test_malloc(sizeof(*host));
	struct td_engine_conf good, bad;

	fake_host_init(host, 1);
	fake_host_conf(host, &good);
	for (int i = 0; i < 6; i++) {
		bad = good;
		switch (i) {
		case 0:
			bad.max_calls = 0;
			break;
		case 1:
			bad.sip_message_bytes = 70000;
			break;
		case 2:
			bad.t1_ms = 0;
			break;
		case 3:
			bad.ops = NULL;
			break;
		case 4:
			bad.worker = 64;
			break;
		default:
			bad.free = NULL;
		}
		errno = 0;
		assert_null(td_engine_new(&bad));
		assert_int_equal(errno, EINVAL);
	}
	assert_int_equal(fake_host_fini(host), 0);
	test_free(host);
}

int main(void)
{
#define WITH_ENGINE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_ENGINE(keepalives_are_counted),
		WITH_ENGINE(options_are_answered),
		WITH_ENGINE(answers_go_to_the_sent_by_port),
		WITH_ENGINE(responses_go_back_on_the_flow),
		WITH_ENGINE(via_is_cleared_of_what_is_ours),
		WITH_ENGINE(strangers_hear_nothing),
		WITH_ENGINE(refusals),
		WITH_ENGINE(foreign_tags_name_no_dialog),
		WITH_ENGINE(faults_are_named),
		WITH_ENGINE(faulty_invites_leave_rows),
		WITH_ENGINE(too_big_is_513),
		WITH_ENGINE(without_policy_503),
		WITH_ENGINE(a_flood_touches_nobody_else),
		WITH_ENGINE(a_call_ids_hash_is_its_own),
		WITH_ENGINE(only_emergency_calls_pass_the_rate),
		WITH_ENGINE(one_limit_for_all_engines),
		WITH_ENGINE(no_buffer_is_counted),
		cmocka_unit_test(start_without_memory),
		cmocka_unit_test(senseless_limits_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
