// SPDX-License-Identifier: BSD-3-Clause
// Server transactions against RFC 3261 §17.2 and RFC 6026, their times to the millisecond.
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

// Only a 100 says when the request was sent (§8.2.6.1).
static void timestamp_in_trying(void **state)
{
	static const char invite[] =
		"INVITE sip:200@10.0.1.254 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"10.0.1.1:5060;branch=z9hG4bKone\r\n"
		"From: <sip:100@10.0.1.1>;tag=from1\r\nTo: <sip:200@10.0.1.254>\r\nTimestamp: "
		"54.25\r\n"
		"Call-ID: id@10.0.1.1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
	static const struct td_response progress = { .status = 183 }, busy_here = { .status = 486 };
	struct txn_env *env = *state;
	struct td_stx *stx = txn_env_serve(env, &env->west, invite);

	txn_env_advance(env, 200);
	assert_string_equal(fake_header(fake_next(&env->host), "Timestamp"), "54.25");
	assert_int_equal(td_stx_respond(env->engine, stx, &progress), 0);
	assert_string_equal(fake_header(fake_next(&env->host), "Timestamp"), "");
	assert_int_equal(td_stx_respond(env->engine, stx, &busy_here), 0);
	txn_env_advance(env, 32000);
}

static const char *request_by(
	const char *method, const char *via, const char *to_params, unsigned cseq)
{
	static char text[2048];

	snprintf(text, sizeof(text),
		"%s sip:200@10.0.1.254 SIP/2.0\r\nVia: SIP/2.0/UDP %s\r\nVia: SIP/2.0/UDP "
		"1.2.3.4;branch=z9hG4bKold\r\n"
		"Record-Route: <sip:10.0.1.1;lr>\r\nFrom: <sip:100@10.0.1.1>;tag=from1\r\nTo: "
		"<sip:200@10.0.1.254>%s\r\n"
		"Call-ID: id@10.0.1.1\r\nCSeq: %u %s\r\nContent-Length: 0\r\n\r\n",
		method, via, to_params, cseq, method);
	return text;
}

#define VIA "10.0.1.1:5060;branch=z9hG4bKone"
#define INVITE request_by("INVITE", VIA, "", 1)
#define ACK request_by("ACK", VIA, ";tag=ours", 1)
#define CANCEL request_by("CANCEL", VIA, "", 1)
#define BYE request_by("BYE", VIA, ";tag=ours", 2)

static const struct td_response ringing = { .status = 180, .to_tag = TD_SPAN("ours") };
static const struct td_response busy = { .status = 486, .to_tag = TD_SPAN("ours") };
static const struct td_response ok = {
	.status = 200,
	.to_tag = TD_SPAN("ours"),
	.contact = TD_SPAN("<sip:10.0.1.254>"),
	.record_route = true,
	.headers = TD_SPAN("Allow: BYE\r\n"),
	.content_type = TD_SPAN("application/sdp"),
	.body = TD_SPAN("v=0\r\n"),
};

static void responses_are_written_whole(void **state)
{
	struct txn_env *env = *state;
	struct td_stx *stx = txn_env_serve(env, &env->west, INVITE);

	assert_int_equal(td_stx_respond(env->engine, stx, &ok), 0);
	assert_string_equal(fake_next(&env->host)->data,
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP " VIA
		"\r\nVia: SIP/2.0/UDP 1.2.3.4;branch=z9hG4bKold\r\n"
		"From: <sip:100@10.0.1.1>;tag=from1\r\nTo: <sip:200@10.0.1.254>;tag=ours\r\n"
		"Call-ID: id@10.0.1.1\r\nCSeq: 1 INVITE\r\nRecord-Route: <sip:10.0.1.1;lr>\r\n"
		"Contact: <sip:10.0.1.254>\r\nAllow: BYE\r\nContent-Type: "
		"application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n");
	assert_int_equal(td_stx_respond(env->engine, stx, &busy), -EALREADY);
}

static void trying_within_200_ms(void **state)
{
	static const uint64_t at[] = { 180 };
	struct txn_env *env = *state;

	struct td_stx *stx = txn_env_serve(env, &env->west, INVITE);
	txn_env_expect_times(env, 1000, at, 1);
	const struct fake_sent *trying = &env->host.sent[0];
	assert_true(fake_starts(trying, "SIP/2.0 100 Trying\r\n"));
	assert_string_equal(fake_header(trying, "To"), "<sip:200@10.0.1.254>");
	assert_int_equal(td_stx_respond(env->engine, stx, &busy), 0);
	assert_true(txn_env_rx(env, &env->west, ACK));
}

static void no_trying_after_a_response(void **state)
{
	struct txn_env *env = *state;
	struct td_stx *stx = txn_env_serve(env, &env->west, INVITE);

	assert_int_equal(td_stx_respond(env->engine, stx, &ringing), 0);
	txn_env_expect_times(env, 5000, NULL, 0);
	// A copy of the INVITE gets the last provisional again.
	assert_true(txn_env_rx(env, &env->west, INVITE));
	assert_string_equal(fake_next(&env->host)->data, env->host.sent[0].data);
	assert_int_equal(td_stx_respond(env->engine, stx, &busy), 0);
	assert_true(txn_env_rx(env, &env->west, ACK));
}

static void a_copy_before_any_answer_gets_trying(void **state)
{
	struct txn_env *env = *state;
	struct td_stx *stx = txn_env_serve(env, &env->west, INVITE);

	assert_true(txn_env_rx(env, &env->west, INVITE));
	assert_true(fake_starts(fake_next(&env->host), "SIP/2.0 100 "));
	txn_env_expect_times(env, 1000, NULL, 0);
	td_stx_respond(env->engine, stx, &busy);
	assert_true(txn_env_rx(env, &env->west, ACK));
}

static void timer_g_doubles_until_timer_h(void **state)
{
	static const uint64_t at[] = { 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500,
		31500 };
	struct txn_env *env = *state;
	struct td_stx *stx = txn_env_serve(env, &env->west, INVITE);

	assert_int_equal(td_stx_respond(env->engine, stx, &busy), 0);
	txn_env_expect_times(env, 31999, at, 10);
	for (uint32_t i = 1; i <= 10; i++)
		assert_string_equal(env->host.sent[i].data, env->host.sent[0].data);
	assert_int_equal(env->ended, 0);
	txn_env_advance(env, 1);
	assert_int_equal(env->ended, 1);
	assert_int_equal(td_txn_busy(env->engine), 0);
}

static void the_ack_confirms(void **state)
{
	struct txn_env *env = *state;
	struct td_stx *stx = txn_env_serve(env, &env->west, INVITE);

	assert_int_equal(td_stx_respond(env->engine, stx, &busy), 0);
	txn_env_advance(env, 600);
	assert_true(txn_env_rx(env, &env->west, ACK));
	assert_int_equal(env->ended, 1);
	assert_int_equal(td_slab_used(env->engine->slab), 0);
	// Confirmed: further ACKs and copies are absorbed without a word, for 64·T1.
	txn_env_expect_times(env, 31999, NULL, 0);
	assert_true(txn_env_rx(env, &env->west, ACK));
	assert_true(txn_env_rx(env, &env->west, INVITE));
	assert_int_equal(fake_pending(&env->host), 0);
	txn_env_advance(env, 1);
	assert_false(txn_env_rx(env, &env->west, INVITE));
}

// RFC 6026 Accepted: copies of the INVITE are absorbed, the user repeats the 2xx, the ACK is the
// user's.
static void accepted_absorbs_until_timer_l(void **state)
{
	struct txn_env *env = *state;
	struct td_stx *stx = txn_env_serve(env, &env->west, INVITE);

	assert_int_equal(td_stx_respond(env->engine, stx, &ok), 0);
	txn_env_expect_times(env, 1000, NULL, 0);
	assert_true(txn_env_rx(env, &env->west, INVITE));
	assert_int_equal(fake_pending(&env->host), 0);
	assert_int_equal(td_stx_resend(env->engine, stx), 0);
	assert_string_equal(fake_next(&env->host)->data, env->host.sent[0].data);
	assert_false(txn_env_rx(env, &env->west,
		request_by("ACK", "10.0.1.1:5060;branch=z9hG4bKother", ";tag=ours", 1)));
	txn_env_advance(env, 30999);
	assert_int_equal(env->ended, 0);
	txn_env_advance(env, 1);
	assert_int_equal(env->ended, 1);
	assert_int_equal(td_txn_busy(env->engine), 0);
}

static void an_acked_2xx_leaves_a_tombstone(void **state)
{
	struct txn_env *env = *state;
	struct td_stx *stx = txn_env_serve(env, &env->west, INVITE);

	assert_int_equal(td_stx_respond(env->engine, stx, &ok), 0);
	td_stx_set_user(stx, NULL, NULL);
	txn_env_advance(env, 1);
	assert_int_equal(td_slab_used(env->engine->slab), 0);
	assert_int_equal(td_txn_busy(env->engine), 1);
	fake_next(&env->host);
	assert_true(txn_env_rx(env, &env->west, INVITE));
	assert_int_equal(fake_pending(&env->host), 0);
	assert_int_equal(env->ended, 0);
}

static void cancel_before_the_answer(void **state)
{
	struct txn_env *env = *state;
	struct td_stx *stx = txn_env_serve(env, &env->west, INVITE);

	td_stx_respond(env->engine, stx, &ringing);
	env->answer_cancel = 487;
	fake_next(&env->host);
	assert_true(txn_env_rx(env, &env->west, CANCEL));
	assert_int_equal(env->cancelled, 1);
	const struct fake_sent *cancel_ok = fake_next(&env->host);
	assert_true(fake_starts(cancel_ok, "SIP/2.0 200 OK\r\n"));
	assert_string_equal(fake_header(cancel_ok, "CSeq"), "1 CANCEL");
	assert_string_equal(fake_header(cancel_ok, "To"), "<sip:200@10.0.1.254>;tag=ours");
	const struct fake_sent *terminated = fake_next(&env->host);
	assert_true(fake_starts(terminated, "SIP/2.0 487 Request Terminated\r\n"));
	assert_string_equal(fake_header(terminated, "CSeq"), "1 INVITE");
	assert_string_equal(fake_header(terminated, "To"), "<sip:200@10.0.1.254>;tag=ours");
	// A copy of the CANCEL, before and after the ACK: answered the same, without effect.
	assert_true(txn_env_rx(env, &env->west, CANCEL));
	assert_string_equal(fake_next(&env->host)->data, cancel_ok->data);
	assert_true(txn_env_rx(env, &env->west, ACK));
	assert_true(txn_env_rx(env, &env->west, CANCEL));
	assert_string_equal(fake_next(&env->host)->data, cancel_ok->data);
	assert_int_equal(env->cancelled, 1);
}

static void cancel_after_the_answer_has_no_effect(void **state)
{
	struct txn_env *env = *state;
	struct td_stx *stx = txn_env_serve(env, &env->west, INVITE);

	td_stx_respond(env->engine, stx, &ok);
	assert_true(txn_env_rx(env, &env->west, CANCEL));
	assert_int_equal(env->cancelled, 0);
	assert_true(fake_starts(&env->host.sent[1], "SIP/2.0 200 "));
	assert_int_equal(env->host.n_sent, 2);
}

static void cancel_of_nothing_is_not_ours(void **state)
{
	struct txn_env *env = *state;

	assert_false(txn_env_rx(env, &env->west, CANCEL));
	struct td_stx *stx = txn_env_serve(env, &env->west, BYE);
	assert_false(txn_env_rx(env, &env->west, CANCEL));
	td_stx_respond(env->engine, stx, &ok);
}

static void cancel_that_nobody_hears_is_answered_487(void **state)
{
	struct txn_env *env = *state;
	struct td_stx *stx = txn_env_serve(env, &env->west, INVITE);

	td_stx_set_user(stx, NULL, NULL);
	assert_true(txn_env_rx(env, &env->west, CANCEL));
	assert_true(fake_starts(&env->host.sent[1], "SIP/2.0 487 "));
	assert_true(txn_env_rx(env, &env->west, ACK));
}

static void a_request_that_nobody_answers_is_answered_500(void **state)
{
	struct txn_env *env = *state;

	td_stx_set_user(txn_env_serve(env, &env->west, BYE), NULL, NULL);
	td_stx_set_user(txn_env_serve(env, &env->east, INVITE), NULL, NULL);
	struct td_stx *taken_up = txn_env_serve(env, &env->east, BYE);
	td_stx_set_user(taken_up, NULL, NULL);
	td_stx_set_user(taken_up, &txn_env_stx_user, env);
	txn_env_advance(env, 499);
	assert_int_equal(env->host.n_sent, 1); // 100 Trying
	txn_env_advance(env, 1);
	assert_int_equal(env->host.n_sent, 3);
	assert_true(fake_starts(&env->host.sent[1], "SIP/2.0 500 Server Internal Error\r\n"));
	assert_true(fake_starts(&env->host.sent[2], "SIP/2.0 500 Server Internal Error\r\n"));
	assert_true(txn_env_rx(env, &env->east, request_by("ACK", VIA, ";tag=x", 1)));
	td_stx_respond(env->engine, taken_up, &ok);
	// Not even a buffer for that: it ends all the same.
	env->host.no_buffer = true;
	td_stx_set_user(txn_env_serve(env, &env->west, INVITE), NULL, NULL);
	txn_env_advance(env, 500);
	env->host.no_buffer = false;
}

static void a_final_answer_without_a_buffer_is_repeated(void **state)
{
	struct txn_env *env = *state;
	struct td_stx *stx = txn_env_serve(env, &env->west, INVITE);

	// As after a refusal: nobody ever listened to this transaction, so nobody would end it.
	td_stx_set_user(stx, NULL, NULL);
	env->host.no_buffer = true;
	assert_int_equal(td_stx_respond(env->engine, stx, &busy), 0);
	env->host.no_buffer = false;
	txn_env_advance(env, 500);
	assert_int_equal(env->host.n_sent, 1);
	assert_true(fake_starts(&env->host.sent[0], "SIP/2.0 486 Busy Here\r\n"));
	assert_true(txn_env_rx(env, &env->west, ACK));
	// A 2xx has no plain form: its user is told.
	struct td_stx *other = txn_env_serve(env, &env->east, INVITE);
	env->host.no_buffer = true;
	assert_int_equal(td_stx_respond(env->engine, other, &ok), -ENOBUFS);
	env->host.no_buffer = false;
	assert_int_equal(td_stx_respond(env->engine, other, &busy), 0);
	assert_true(txn_env_rx(env, &env->east, ACK));
}

static void a_plain_answer_lives_in_a_tombstone(void **state)
{
	const struct td_response plain = { .status = 200 };
	struct txn_env *env = *state;
	struct td_stx *stx = txn_env_serve(env, &env->west, BYE);

	// Trying absorbs.
	assert_true(txn_env_rx(env, &env->west, BYE));
	assert_int_equal(env->host.n_sent, 0);
	assert_int_equal(td_stx_respond(env->engine, stx, &plain), 0);
	assert_int_equal(env->ended, 0);
	assert_true(txn_env_rx(env, &env->west, BYE));
	txn_env_advance(env, 1);
	assert_int_equal(env->ended, 1);
	assert_int_equal(td_slab_used(env->engine->slab), 0);
	assert_true(txn_env_rx(env, &env->west, BYE));
	assert_int_equal(env->host.n_sent, 3);
	assert_string_equal(env->host.sent[1].data, env->host.sent[0].data);
	assert_string_equal(env->host.sent[2].data, env->host.sent[0].data);
	assert_int_equal(env->host.counters[TD_C_SIP_RETRANSMISSION], 3);
	txn_env_advance(env, 32000);
	assert_false(txn_env_rx(env, &env->west, BYE));
}

// Without a To-tag in the request the tombstone must know the one that was given.
static void a_tombstone_keeps_the_tag(void **state)
{
	static const struct td_response answers[] = { { .status = 404 },
		{ .status = 404, .to_tag = TD_SPAN("mine") } };
	struct txn_env *env = *state;

	for (unsigned i = 0; i < 2; i++) {
		char via[64];
		snprintf(via, sizeof(via), "10.0.1.1:5060;branch=z9hG4bK%u", i);
		const char *text = request_by("MESSAGE", via, "", 1);
		struct td_stx *stx = txn_env_serve(env, &env->west, text);
		assert_int_equal(td_stx_respond(env->engine, stx, &answers[i]), 0);
		txn_env_advance(env, 5);
		assert_true(txn_env_rx(env, &env->west, text));
		const struct fake_sent *first = fake_next(&env->host);
		assert_true(fake_has(first, ";tag="));
		assert_string_equal(fake_next(&env->host)->data, first->data);
	}
}

static void a_rich_answer_waits_for_timer_j(void **state)
{
	struct txn_env *env = *state;
	struct td_stx *stx = txn_env_serve(env, &env->west, BYE);

	assert_int_equal(td_stx_respond(env->engine, stx, &ok), 0);
	txn_env_advance(env, 31999);
	assert_true(txn_env_rx(env, &env->west, BYE));
	assert_string_equal(env->host.sent[1].data, env->host.sent[0].data);
	assert_int_equal(env->ended, 0);
	txn_env_advance(env, 1);
	assert_int_equal(env->ended, 1);
	assert_int_equal(td_txn_busy(env->engine), 0);
}

// RFC 2543 matching (§17.2.3) for branches without the cookie, or without a branch.
static void old_branches_match_by_everything_else(void **state)
{
	static const char *const vias[] = { "10.0.1.1:5060;branch=1", "10.0.1.1:5061",
		"10.0.1.1:5062;branch=z9hG4bK" };
	struct txn_env *env = *state;

	for (unsigned i = 0; i < 3; i++) {
		struct td_stx *stx =
			txn_env_serve(env, &env->west, request_by("INVITE", vias[i], "", 1));
		assert_true(txn_env_rx(env, &env->west, request_by("INVITE", vias[i], "", 1)));
		assert_false(txn_env_rx(env, &env->west, request_by("INVITE", vias[i], "", 2)));
		assert_int_equal(td_stx_respond(env->engine, stx, i == 2 ? &ok : &busy), 0);
		// The ACK to a 2xx looks like that to any other answer: it is passed.
		assert_int_equal(
			txn_env_rx(env, &env->west, request_by("ACK", vias[i], ";tag=ours", 1)),
			i != 2);
	}
}

static void what_tells_transactions_apart(void **state)
{
	struct txn_env *env = *state;

	txn_env_serve(env, &env->west, INVITE);
	txn_env_serve(env, &env->east, INVITE);
	txn_env_serve(
		env, &env->west, request_by("INVITE", "10.0.1.1:5061;branch=z9hG4bKone", "", 1));
	txn_env_serve(
		env, &env->west, request_by("INVITE", "10.0.1.2:5060;branch=z9hG4bKone", "", 1));
	txn_env_serve(env, &env->west, request_by("OPTIONS", VIA, "", 1));
	assert_int_equal(td_txn_busy(env->engine), 5);
	env->answer_cancel = 487;
	assert_true(txn_env_rx(env, &env->east, CANCEL));
	assert_int_equal(env->cancelled, 1);
	// End what is left, that the test may check for leaks.
	for (uint32_t slot = 0; slot < 5; slot++) {
		struct td_stx *stx = td_pool_find(&env->engine->txn->stx, slot, 1);
		assert_non_null(stx);
		td_stx_respond(env->engine, stx, &busy);
	}
}

// §8.2.2.2: the same request by another way.
static void merged_requests_are_seen(void **state)
{
	struct txn_env *env = *state;
	struct td_engine *e = env->engine;

	assert_false(txn_env_rx(env, &env->west, INVITE));
	e->msg.buf = INVITE;
	td_msg_parse(&e->msg, e->msg.buf, (uint32_t)strlen(e->msg.buf));
	td_core_decode(&e->msg, &e->core);
	assert_false(td_txn_merged(e, &env->west, &e->core));
	struct td_stx *stx = td_stx_new(e, &env->west, &e->msg, &e->core, &txn_env_stx_user, env);
	const char *other = request_by("INVITE", "10.0.1.9:5060;branch=z9hG4bKtwo", "", 1);
	td_msg_parse(&e->msg, other, (uint32_t)strlen(other));
	td_core_decode(&e->msg, &e->core);
	assert_false(td_txn_rx_request(e, &env->west, &e->msg, &e->core));
	assert_true(td_txn_merged(e, &env->west, &e->core));
	assert_false(td_txn_merged(e, &env->east, &e->core));
	td_stx_respond(e, stx, &busy);
	assert_true(txn_env_rx(env, &env->west, ACK));
	td_msg_parse(&e->msg, other, (uint32_t)strlen(other));
	td_core_decode(&e->msg, &e->core);
	assert_false(td_txn_merged(e, &env->west, &e->core));
}

static void reliable_flows_need_no_waiting(void **state)
{
	struct txn_env *env = *state;
	struct td_flow tcp = env->west;
	const struct td_response plain = { .status = 200 };

	tcp.reliable = 1;
	tcp.transport = TD_TCP;
	tcp.connection = 3;
	struct td_stx *stx = txn_env_serve(env, &tcp, INVITE);
	td_stx_respond(env->engine, stx, &busy);
	txn_env_expect_times(env, 20000, NULL, 0);
	assert_true(txn_env_rx(env, &tcp, ACK));
	assert_int_equal(td_txn_busy(env->engine), 0);
	stx = txn_env_serve(env, &tcp, BYE);
	td_stx_respond(env->engine, stx, &plain);
	txn_env_advance(env, 1);
	assert_int_equal(td_txn_busy(env->engine), 0);
	assert_int_equal(env->ended, 2);
}

static void the_ring_of_tombstones_is_bounded(void **state)
{
	const struct td_response plain = { .status = 200 };
	struct txn_env *env = *state;
	char first[2048], via[64];
	uint32_t most = 0;

	for (unsigned i = 0; i < 500; i++) {
		snprintf(via, sizeof(via), "10.0.1.1:5060;branch=z9hG4bKn%u", i);
		const char *text = request_by("BYE", via, ";tag=ours", 2);
		if (i == 0)
			memcpy(first, text, strlen(text) + 1);
		td_stx_respond(env->engine, txn_env_serve(env, &env->west, text), &plain);
		txn_env_advance(env, 1);
		assert_true(txn_env_rx(env, &env->west, text));
		if (td_txn_busy(env->engine) > most)
			most = td_txn_busy(env->engine);
	}
	assert_in_range(most, 100, 200);
	assert_false(txn_env_rx(env, &env->west, first));
}

static void an_empty_pool_refuses(void **state)
{
	struct txn_env *env = *state;
	struct td_stx *all[200];
	char via[64];
	uint32_t n = 0;

	do {
		snprintf(via, sizeof(via), "10.0.1.1:5060;branch=z9hG4bKn%u", n);
		all[n] = txn_env_serve(env, &env->west, request_by("BYE", via, ";tag=ours", 2));
	} while (all[n] && ++n < 200);
	assert_in_range(n, 16, 199);
	assert_int_equal(env->host.counters[TD_C_SIP_NO_TRANSACTION], 1);
	for (uint32_t i = 0; i < n; i++)
		td_stx_respond(env->engine, all[i], &ok);
}

// A full slab: a 2xx to an INVITE, which must be repeatable, is refused; the others are answered
// all the same.
static void without_text_memory(void **state)
{
	struct txn_env *env = *state;
	struct td_stx *stx = txn_env_serve(env, &env->west, INVITE);
	char *blocks[4096];
	uint32_t n = 0;

	for (uint32_t bytes = 65536; bytes >= 64; bytes /= 2)
		for (unsigned eighths = 8; eighths >= 5; eighths--)
			while ((blocks[n] = td_slab_get(env->engine->slab, bytes / 8 * eighths)) !=
				NULL)
				assert_true(++n < 4096);
	assert_null(txn_env_serve(env, &env->west, BYE));
	assert_int_equal(td_stx_respond(env->engine, stx, &ok), -ENOBUFS);
	assert_int_equal(env->host.n_sent, 0);
	struct td_response rich = busy;
	rich.headers = TD_SPAN("Reason: Q.850;cause=17\r\n");
	assert_int_equal(td_stx_respond(env->engine, stx, &rich), 0);
	txn_env_advance(env, 500);
	assert_int_equal(env->host.n_sent, 2);
	assert_true(fake_starts(&env->host.sent[1], "SIP/2.0 486 "));
	while (n > 0)
		td_slab_put(env->engine->slab, blocks[--n]);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(responses_are_written_whole),
		TEST(trying_within_200_ms),
		TEST(timestamp_in_trying),
		TEST(no_trying_after_a_response),
		TEST(a_copy_before_any_answer_gets_trying),
		TEST(timer_g_doubles_until_timer_h),
		TEST(the_ack_confirms),
		TEST(accepted_absorbs_until_timer_l),
		TEST(an_acked_2xx_leaves_a_tombstone),
		TEST(cancel_before_the_answer),
		TEST(cancel_after_the_answer_has_no_effect),
		TEST(cancel_of_nothing_is_not_ours),
		TEST(cancel_that_nobody_hears_is_answered_487),
		TEST(a_request_that_nobody_answers_is_answered_500),
		TEST(a_final_answer_without_a_buffer_is_repeated),
		TEST(a_plain_answer_lives_in_a_tombstone),
		TEST(a_tombstone_keeps_the_tag),
		TEST(a_rich_answer_waits_for_timer_j),
		TEST(old_branches_match_by_everything_else),
		TEST(what_tells_transactions_apart),
		TEST(merged_requests_are_seen),
		TEST(reliable_flows_need_no_waiting),
		TEST(the_ring_of_tombstones_is_bounded),
		TEST(an_empty_pool_refuses),
		TEST(without_text_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
