// SPDX-License-Identifier: BSD-3-Clause
// Client transactions against RFC 3261 §17.1 and §9.1, RFC 6026, their times to the millisecond.
#include "sip/txn_priv.h"
#include "tests/unit/txn_env.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static int set_up(void **state)
{
	*state = txn_env_new(16, 1);
	return 0;
}

static int tear_down(void **state)
{
	txn_env_free(*state);
	return 0;
}

static struct td_request request_of(const struct txn_env *env, enum td_method method)
{
	static char body[3000];

	memset(body, 'b', sizeof(body));
	return (struct td_request){
		.method = method,
		.uri = TD_SPAN("sip:200@10.0.2.1"),
		.routes = TD_SPAN("Route: <sip:r1;lr>\r\nRoute: <sip:r2;lr>\r\n"),
		.from = TD_SPAN("<sip:100@10.0.2.254>;tag=a"),
		.to = TD_SPAN("<sip:200@10.0.2.1>"),
		.call_id = TD_SPAN("id-b"),
		.cseq = 17,
		.max_forwards = 69,
		.contact = TD_SPAN("<sip:10.0.2.254>"),
		.headers = TD_SPAN("Supported:\r\n"),
		.content_type = TD_SPAN("application/sdp"),
		.body = method == TD_M_INVITE ? td_span(body, sizeof(body)) : (struct td_span){ 0 },
		.flow = env->east,
	};
}

static struct td_ctx *start(struct txn_env *env, enum td_method method)
{
	struct td_request request = request_of(env, method);
	struct td_ctx *ctx = td_ctx_new(env->engine, &request, &txn_env_ctx_user, env);

	assert_non_null(ctx);
	return ctx;
}

static bool answered(struct txn_env *env, const char *status_line, const char *to_params)
{
	return txn_env_rx(
		env, &env->east, txn_env_answer(&env->host.sent[0], status_line, to_params, ""));
}

static void requests_are_written_whole(void **state)
{
	struct txn_env *env = *state;
	struct td_ctx *ctx = start(env, TD_M_BYE);
	const struct fake_sent *sent = fake_next(&env->host);
	char expected[1024];

	assert_true(strncmp(fake_header(sent, "Via"), "SIP/2.0/UDP 10.0.2.254:5060;branch=z9hG4bK",
			    42) == 0);
	snprintf(expected, sizeof(expected),
		"BYE sip:200@10.0.2.1 SIP/2.0\r\nVia: %s\r\nMax-Forwards: 69\r\nRoute: "
		"<sip:r1;lr>\r\nRoute: <sip:r2;lr>\r\n"
		"From: <sip:100@10.0.2.254>;tag=a\r\nTo: <sip:200@10.0.2.1>\r\nCall-ID: "
		"id-b\r\nCSeq: 17 BYE\r\n"
		"Contact: <sip:10.0.2.254>\r\nSupported:\r\nContent-Length: 0\r\n\r\n",
		fake_header(sent, "Via"));
	assert_string_equal(sent->data, expected);
	assert_true(td_sockaddr_eq(&sent->flow.remote, &env->east.remote));
	assert_int_equal(td_ctx_cseq(ctx), 17);
	assert_ptr_equal(td_ctx_data(ctx), env);
	assert_true(answered(env, "200 OK", ";tag=b"));
}

static void timer_a_doubles_until_timer_b(void **state)
{
	static const uint64_t at[] = { 500, 1500, 3500, 7500, 15500, 31500 };
	struct txn_env *env = *state;

	start(env, TD_M_INVITE);
	txn_env_expect_times(env, 31999, at, 6);
	for (uint32_t i = 1; i <= 6; i++)
		assert_string_equal(env->host.sent[i].data, env->host.sent[0].data);
	assert_int_equal(env->timeouts, 0);
	txn_env_advance(env, 1);
	assert_int_equal(env->timeouts, 1);
	assert_false(env->transport_error);
	// Late answers are waited for as long again.
	txn_env_expect_times(env, 31999, NULL, 0);
	assert_int_equal(env->ended, 0);
	txn_env_advance(env, 1);
	assert_int_equal(env->ended, 1);
	assert_int_equal(env->timeouts, 1);
}

static void a_provisional_stops_timers_a_and_b(void **state)
{
	struct txn_env *env = *state;

	start(env, TD_M_INVITE);
	size_t before = td_slab_used(env->engine->slab);
	assert_true(answered(env, "100 Trying", ""));
	assert_int_equal(env->last_status, 100);
	assert_true(td_slab_used(env->engine->slab) < before / 4); // the body is given back
	txn_env_expect_times(env, 100000, NULL, 0);
	assert_int_equal(env->timeouts, 0);
	assert_true(answered(env, "180 Ringing", ";tag=b"));
	assert_true(answered(env, "486 Busy Here", ";tag=b"));
	assert_int_equal(env->responses, 3);
}

static void a_failure_is_acked_each_time(void **state)
{
	struct txn_env *env = *state;
	char expected[1024];

	start(env, TD_M_INVITE);
	assert_true(answered(env, "486 Busy Here", ";tag=b"));
	assert_int_equal(env->last_status, 486);
	const struct fake_sent *ack = &env->host.sent[1];
	snprintf(expected, sizeof(expected),
		"ACK sip:200@10.0.2.1 SIP/2.0\r\nVia: %s\r\nMax-Forwards: 70\r\nRoute: "
		"<sip:r1;lr>\r\nRoute: <sip:r2;lr>\r\n"
		"From: <sip:100@10.0.2.254>;tag=a\r\nTo: <sip:200@10.0.2.1>;tag=b\r\nCall-ID: "
		"id-b\r\nCSeq: 17 ACK\r\n"
		"Content-Length: 0\r\n\r\n",
		fake_header(&env->host.sent[0], "Via"));
	assert_string_equal(ack->data, expected);
	assert_true(td_slab_used(env->engine->slab) <= 96); // what the ACK is made from
	txn_env_expect_times(env, 31999, NULL, 0);
	assert_true(answered(env, "486 Busy Here", ";tag=b"));
	assert_string_equal(env->host.sent[2].data, expected);
	assert_true(answered(env, "180 Ringing", ";tag=b"));
	assert_int_equal(env->responses, 1);
	assert_int_equal(env->host.n_sent, 3);
	txn_env_advance(env, 1); // D
	assert_int_equal(env->ended, 1);
	assert_false(answered(env, "486 Busy Here", ";tag=b"));
}

static void accepted_passes_every_2xx_until_timer_m(void **state)
{
	struct txn_env *env = *state;

	start(env, TD_M_INVITE);
	assert_true(answered(env, "200 OK", ";tag=b"));
	assert_int_equal(td_slab_used(env->engine->slab), 0);
	assert_true(answered(env, "200 OK", ";tag=b"));
	assert_true(answered(env, "200 OK", ";tag=fork"));
	assert_true(answered(env, "180 Ringing", ";tag=c"));
	assert_true(answered(env, "486 Busy Here", ";tag=c"));
	assert_int_equal(env->responses, 3);
	txn_env_expect_times(env, 31999, NULL, 0); // the ACK is the user's
	assert_int_equal(env->ended, 0);
	txn_env_advance(env, 1);
	assert_int_equal(env->ended, 1);
	assert_false(answered(env, "200 OK", ";tag=b"));
}

static void cancel_waits_for_a_provisional(void **state)
{
	static const uint64_t repeats[] = { 500, 1500, 3500 };
	struct txn_env *env = *state;
	struct td_ctx *ctx = start(env, TD_M_INVITE);
	char expected[1024];

	td_ctx_cancel(env->engine, ctx, TD_SPAN("Reason: SIP;cause=487\r\n"));
	td_ctx_cancel(env->engine, ctx, (struct td_span){ 0 });
	assert_int_equal(env->host.n_sent, 1);
	assert_true(answered(env, "180 Ringing", ";tag=b"));
	assert_int_equal(env->host.n_sent, 2);
	snprintf(expected, sizeof(expected),
		"CANCEL sip:200@10.0.2.1 SIP/2.0\r\nVia: %s\r\nMax-Forwards: 69\r\nRoute: "
		"<sip:r1;lr>\r\n"
		"Route: <sip:r2;lr>\r\nFrom: <sip:100@10.0.2.254>;tag=a\r\nTo: "
		"<sip:200@10.0.2.1>\r\nCall-ID: id-b\r\n"
		"CSeq: 17 CANCEL\r\nReason: SIP;cause=487\r\nContent-Length: 0\r\n\r\n",
		fake_header(&env->host.sent[0], "Via"));
	assert_string_equal(env->host.sent[1].data, expected);
	txn_env_expect_times(env, 4000, repeats, 3);
	// Its answer has the INVITE's branch and is no answer to the INVITE.
	const char *ok = txn_env_answer(&env->host.sent[1], "200 OK", ";tag=b", "");
	assert_true(txn_env_rx(env, &env->east, ok));
	assert_int_equal(env->last_status, 180);
	txn_env_expect_times(env, 10000, NULL, 0);
	assert_true(answered(env, "487 Request Terminated", ";tag=b"));
	assert_int_equal(env->last_status, 487);
	assert_true(fake_starts(fake_next(&env->host), "ACK "));
}

static void cancel_at_once_after_a_provisional(void **state)
{
	struct txn_env *env = *state;
	struct td_ctx *ctx = start(env, TD_M_INVITE);

	assert_true(answered(env, "100 Trying", ""));
	td_ctx_cancel(env->engine, ctx, (struct td_span){ 0 });
	assert_true(fake_starts(&env->host.sent[1], "CANCEL "));
	// The 200 that crossed the CANCEL reaches the user.
	assert_true(answered(env, "200 OK", ";tag=b"));
	assert_int_equal(env->last_status, 200);
	td_ctx_cancel(env->engine, ctx, (struct td_span){ 0 });
	assert_int_equal(env->host.n_sent, 2);
	assert_true(txn_env_rx(
		env, &env->east, txn_env_answer(&env->host.sent[1], "481 Gone", ";tag=b", "")));
}

static void a_cancelled_invite_ends_after_64_t1(void **state)
{
	struct txn_env *env = *state;
	struct td_ctx *ctx = start(env, TD_M_INVITE);

	assert_true(answered(env, "100 Trying", ""));
	txn_env_advance(env, 90000);
	td_ctx_cancel(env->engine, ctx, (struct td_span){ 0 });
	assert_true(txn_env_rx(
		env, &env->east, txn_env_answer(&env->host.sent[1], "200 OK", ";tag=b", "")));
	txn_env_advance(env, 31999);
	assert_int_equal(env->timeouts, 0);
	txn_env_advance(env, 1);
	assert_int_equal(env->timeouts, 1);
	assert_int_equal(env->ended, 1);
}

static void an_abandoned_invite_answers_what_is_late(void **state)
{
	static const char *const late[] = { "180 Ringing", "200 OK", "503 Busy" };
	struct txn_env *env = *state;

	for (unsigned i = 0; i < 3; i++) {
		struct td_ctx *ctx = start(env, TD_M_INVITE);
		const struct fake_sent *invite = &env->host.sent[env->host.n_sent - 1];

		td_ctx_abandon(env->engine, ctx);
		txn_env_expect_times(env, 3000, NULL, 0);
		env->responses = env->last_status = 0;
		assert_true(
			txn_env_rx(env, &env->east, txn_env_answer(invite, late[i], ";tag=b", "")));
		const struct fake_sent *sent = fake_next(&env->host);
		if (i == 0)
			assert_true(fake_starts(sent, "CANCEL "));
		else if (i == 1)
			assert_null(sent);
		else
			assert_true(fake_starts(sent, "ACK "));
		assert_int_equal(env->last_status, i == 1 ? 200 : 0);
		if (i == 0) {
			assert_true(txn_env_rx(
				env, &env->east, txn_env_answer(sent, "200 OK", ";tag=b", "")));
			assert_true(txn_env_rx(
				env, &env->east, txn_env_answer(invite, "487 No", ";tag=b", "")));
		}
	}
	txn_env_advance(env, 33000);
	assert_int_equal(env->ended, 3);
	assert_int_equal(env->timeouts, 0);
}

static void an_invite_without_a_user_is_cancelled(void **state)
{
	struct txn_env *env = *state;
	struct td_ctx *ctx = start(env, TD_M_INVITE);

	assert_true(answered(env, "180 Ringing", ";tag=b"));
	td_ctx_set_user(ctx, NULL, NULL);
	assert_true(fake_starts(&env->host.sent[1], "CANCEL "));
	assert_true(txn_env_rx(
		env, &env->east, txn_env_answer(&env->host.sent[1], "200 OK", ";tag=b", "")));
	assert_true(answered(env, "200 OK", ";tag=b"));
	assert_int_equal(env->responses, 1);
	txn_env_advance(env, 32000);
	assert_int_equal(td_txn_busy(env->engine), 0);
}

static void timer_e_doubles_until_timer_f(void **state)
{
	static const uint64_t at[] = { 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500,
		31500 };
	struct txn_env *env = *state;

	start(env, TD_M_BYE);
	txn_env_expect_times(env, 31999, at, 10);
	assert_int_equal(env->ended, 0);
	txn_env_advance(env, 1);
	assert_int_equal(env->timeouts, 1);
	assert_int_equal(env->ended, 1);
}

static void a_provisional_slows_timer_e_down(void **state)
{
	static const uint64_t at[] = { 500, 4500, 8500 };
	struct txn_env *env = *state;

	start(env, TD_M_BYE);
	assert_true(answered(env, "100 Trying", ""));
	txn_env_expect_times(env, 10000, at, 3);
	assert_true(answered(env, "200 OK", ""));
	assert_int_equal(env->responses, 2);
	assert_int_equal(td_slab_used(env->engine->slab), 0);
	txn_env_expect_times(env, 4999, NULL, 0);
	assert_true(answered(env, "200 OK", ""));
	assert_int_equal(env->responses, 2);
	assert_int_equal(env->ended, 0);
	txn_env_advance(env, 1); // K
	assert_int_equal(env->ended, 1);
	assert_false(answered(env, "200 OK", ""));
}

static void responses_from_elsewhere_are_not_believed(void **state)
{
	struct txn_env *env = *state;
	struct td_flow from = env->east;

	start(env, TD_M_BYE);
	const char *ok = txn_env_answer(&env->host.sent[0], "200 OK", "", "");
	assert_false(txn_env_rx(env, &env->west, ok));
	from = fake_flow(&env->host, FAKE_EAST, "10.0.2.9", 5060);
	assert_false(txn_env_rx(env, &from, ok));
	from = fake_flow(&env->host, FAKE_EAST, "10.0.1.1", 5060);
	assert_false(txn_env_rx(env, &from, ok));
	from = env->east;
	from.connection = 1;
	assert_false(txn_env_rx(env, &from, ok));
	assert_int_equal(env->responses, 0);
	from = fake_flow(&env->host, FAKE_EAST, "10.0.2.2", 5070); // the trunk's other peer
	assert_true(txn_env_rx(env, &from, ok));
	assert_int_equal(env->responses, 1);
}

static void responses_must_fit_their_request(void **state)
{
	static const char *const wrong[][2] = {
		{ "CSeq: 17 BYE", "CSeq: 18 BYE" },
		{ "CSeq: 17 BYE", "CSeq: 17 INFO" },
		{ ";rport", ";rport, SIP/2.0/UDP 1.1.1.1;branch=z9hG4bKx" },
		{ "\r\nFrom", "\r\nVia: SIP/2.0/UDP 1.1.1.1;branch=z9hG4bKx\r\nFrom" },
		{ "branch=z9hG4bK", "branch=z9hG4bk" },
	};
	struct txn_env *env = *state;

	start(env, TD_M_BYE);
	const char *ok = txn_env_answer(&env->host.sent[0], "200 OK", "", "");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		char text[2048];
		const char *at = strstr(ok, wrong[i][0]);
		assert_non_null(at);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - ok), ok, wrong[i][1],
			at + strlen(wrong[i][0]));
		assert_false(txn_env_rx(env, &env->east, text));
	}
	assert_int_equal(env->responses, 0);
	assert_true(txn_env_rx(env, &env->east, ok));
}

static void reliable_flows_repeat_nothing(void **state)
{
	struct txn_env *env = *state;
	struct td_request request = request_of(env, TD_M_INVITE);

	request.flow.reliable = 1;
	request.flow.transport = TD_TCP;
	request.flow.connection = 7;
	env->east = request.flow;
	assert_non_null(td_ctx_new(env->engine, &request, &txn_env_ctx_user, env));
	assert_true(fake_has(&env->host.sent[0], "Via: SIP/2.0/TCP 10.0.2.254:5060"));
	txn_env_expect_times(env, 20000, NULL, 0);
	assert_true(answered(env, "486 Busy Here", ";tag=b"));
	assert_true(fake_starts(&env->host.sent[1], "ACK "));
	txn_env_advance(env, 1);
	assert_int_equal(env->ended, 1);
	fake_forget(&env->host);
	request.method = TD_M_BYE;
	assert_non_null(td_ctx_new(env->engine, &request, &txn_env_ctx_user, env));
	txn_env_expect_times(env, 31999, NULL, 0);
	txn_env_advance(env, 1);
	assert_int_equal(env->timeouts, 1);
	assert_int_equal(env->ended, 2);
	request.cseq = 1;
	assert_non_null(td_ctx_new(env->engine, &request, &txn_env_ctx_user, env));
	assert_true(
		txn_env_rx(env, &env->east, txn_env_answer(&env->host.sent[1], "200 OK", "", "")));
	txn_env_advance(env, 1);
	assert_int_equal(env->ended, 3);
}

static void a_flow_that_is_gone_is_told_at_the_next_tick(void **state)
{
	struct txn_env *env = *state;

	env->host.send_error = -ENOTCONN;
	start(env, TD_M_INVITE);
	start(env, TD_M_BYE);
	assert_int_equal(env->timeouts, 0);
	txn_env_advance(env, 1);
	assert_int_equal(env->timeouts, 2);
	assert_true(env->transport_error);
	assert_int_equal(env->ended, 2);
	assert_int_equal(env->host.counters[TD_C_SIP_SEND_FAILED], 2);
	// A full queue is a lost datagram: Timer E repeats it.
	env->host.send_error = -ENOBUFS;
	start(env, TD_M_BYE);
	txn_env_advance(env, 400);
	env->host.send_error = 0;
	txn_env_advance(env, 100);
	assert_int_equal(env->timeouts, 2);
	assert_int_equal(env->host.n_sent, 1);
	assert_true(answered(env, "200 OK", ""));
}

static void limits_refuse_a_request(void **state)
{
	struct txn_env *env = *state;
	struct td_request request = request_of(env, TD_M_BYE);
	struct td_ctx *ctx;
	uint32_t n = 0;

	env->host.no_buffer = true;
	errno = 0;
	assert_null(td_ctx_new(env->engine, &request, &txn_env_ctx_user, env));
	assert_int_equal(errno, ENOBUFS);
	assert_int_equal(td_send_once(env->engine, &request), -ENOBUFS);
	env->host.no_buffer = false;
	char *huge = calloc(1, 40000);
	request.body = td_span(huge, 40000);
	assert_null(td_ctx_new(env->engine, &request, &txn_env_ctx_user, env));
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(td_send_once(env->engine, &request), -EMSGSIZE);
	free(huge);
	request.body = (struct td_span){ 0 };
	assert_int_equal(td_txn_busy(env->engine), 0);
	while ((ctx = td_ctx_new(env->engine, &request, NULL, NULL)) != NULL)
		assert_true(++n < 1000);
	assert_int_equal(errno, ENOBUFS);
	assert_true(n > 16);
	assert_int_equal(env->host.counters[TD_C_SIP_NO_TRANSACTION], 1);
	for (uint32_t i = 0; i < n; i++)
		txn_env_rx(env, &env->east, txn_env_answer(&env->host.sent[i], "200 OK", "", ""));
}

static void acks_have_branches_of_their_own(void **state)
{
	struct txn_env *env = *state;
	struct td_request ack = request_of(env, TD_M_ACK);
	char first[256];

	assert_int_equal(td_send_once(env->engine, &ack), 0);
	assert_int_equal(td_send_once(env->engine, &ack), 0);
	assert_string_equal(fake_header(&env->host.sent[0], "CSeq"), "17 ACK");
	snprintf(first, sizeof(first), "%s", fake_header(&env->host.sent[0], "Via"));
	assert_string_not_equal(first, fake_header(&env->host.sent[1], "Via"));
	assert_int_equal(td_txn_busy(env->engine), 0);
	assert_false(
		txn_env_rx(env, &env->east, txn_env_answer(&env->host.sent[0], "200 OK", "", "")));
}

static void advertised_addresses_stand_in_via(void **state)
{
	struct txn_env *env = *state;

	td_ip_parse(TD_SPAN("198.51.100.7"), &env->host.realms[FAKE_EAST].addresses[0].advertise);
	start(env, TD_M_BYE);
	assert_true(fake_has(&env->host.sent[0], "Via: SIP/2.0/UDP 198.51.100.7:5060;"));
	env->east = fake_flow(&env->host, FAKE_EAST, "fd00:2::1", 5060);
	start(env, TD_M_BYE);
	assert_true(fake_has(&env->host.sent[1], "Via: SIP/2.0/UDP [fd00:2::fe]:5060;"));
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(requests_are_written_whole),
		TEST(timer_a_doubles_until_timer_b),
		TEST(a_provisional_stops_timers_a_and_b),
		TEST(a_failure_is_acked_each_time),
		TEST(accepted_passes_every_2xx_until_timer_m),
		TEST(cancel_waits_for_a_provisional),
		TEST(cancel_at_once_after_a_provisional),
		TEST(a_cancelled_invite_ends_after_64_t1),
		TEST(an_abandoned_invite_answers_what_is_late),
		TEST(an_invite_without_a_user_is_cancelled),
		TEST(timer_e_doubles_until_timer_f),
		TEST(a_provisional_slows_timer_e_down),
		TEST(responses_from_elsewhere_are_not_believed),
		TEST(responses_must_fit_their_request),
		TEST(reliable_flows_repeat_nothing),
		TEST(a_flow_that_is_gone_is_told_at_the_next_tick),
		TEST(limits_refuse_a_request),
		TEST(acks_have_branches_of_their_own),
		TEST(advertised_addresses_stand_in_via),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
