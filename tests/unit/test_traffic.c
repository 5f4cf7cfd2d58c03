// SPDX-License-Identifier: BSD-3-Clause
// What an engine counts of its traffic: each message once, each call once, each value in its
// bucket.
#include "include/metrics.h"
#include "sip/msg.h"
#include "tests/unit/call_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t in_all(const struct td_histogram *h)
{
	uint64_t n = 0;

	for (int i = 0; i <= TD_HISTOGRAM_BOUNDS; i++)
		n += h->counts[i];
	return n;
}

static void values_fall_into_their_buckets(void **state)
{
	for (int id = 0; id < TD_HISTOGRAM__COUNT; id++) {
		const uint64_t *bounds = td_histogram_bounds((enum td_histogram_id)id);
		struct td_traffic t = { 0 };
		uint64_t sum = 0;
		for (int i = 0; i < TD_HISTOGRAM_BOUNDS; i++) {
			assert_true(i == 0 || bounds[i] > bounds[i - 1]);
			td_traffic_observe(
				&t, (enum td_histogram_id)id, bounds[i]); // the bound is in it
			assert_int_equal(t.histograms[id].counts[i], i == 0 ? 1 : 2);
			td_traffic_observe(&t, (enum td_histogram_id)id, bounds[i] + 1);
			assert_int_equal(t.histograms[id].counts[i + 1], 1);
			sum += 2 * bounds[i] + 1;
		}
		assert_int_equal(t.histograms[id].sum, sum);
		assert_int_equal(in_all(&t.histograms[id]), 2 * TD_HISTOGRAM_BOUNDS);
	}
}

static void results_have_names_of_their_own(void **state)
{
	static const struct {
		bool answered;
		uint16_t status;
		const char *name;
	} cases[] = { { true, 200, "answered" }, { false, 487, "cancelled" },
		{ false, 486, "busy" }, { false, 600, "busy" }, { false, 480, "no_answer" },
		{ false, 408, "no_answer" }, { false, 302, "redirected" },
		{ false, 404, "client_error" }, { false, 503, "server_error" },
		{ false, 603, "global_error" } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(
			td_call_result_name(td_call_result_of(cases[i].answered, cases[i].status)),
			cases[i].name);
}

static void metrics_are_named_as_prometheus_wants(void **state)
{
	for (int i = 0; i < TD_METRIC__COUNT; i++) {
		const struct td_metric *m = td_metric((enum td_metric_id)i);
		size_t len = strlen(m->name);
		bool total = len > 6 && strcmp(m->name + len - 6, "_total") == 0;
		assert_true(strncmp(m->name, "tandem_", 7) == 0);
		assert_true(total == (m->type == TD_METRIC_COUNTER));
		assert_true(strspn(m->name, "abcdefghijklmnopqrstuvwxyz_") == len);
		assert_int_equal(m->help[strlen(m->help) - 1], '.');
		assert_ptr_equal(td_metric_named(m->name), m); // and no other has that name
	}
	assert_null(td_metric_named("tandem_no_such_thing"));
}

static uint64_t requests(const struct td_traffic *t, enum td_traffic_direction direction)
{
	uint64_t n = 0;

	for (int m = 0; m < TD_TRAFFIC_METHODS; m++)
		n += t->requests[direction][m];
	return n;
}

static uint64_t responses(const struct td_traffic *t, enum td_traffic_direction direction)
{
	uint64_t n = 0;

	for (int m = 0; m < TD_TRAFFIC_METHODS; m++)
		for (int c = 0; c < TD_TRAFFIC_CLASSES; c++)
			n += t->responses[direction][m][c];
	return n;
}

// Every message of the totals is in one cell.
static void expect_balance(struct rig *rig)
{
	const struct td_traffic *t = td_engine_traffic(rig->engine);
	const td_count *c = rig->host.counters;
	uint64_t results = 0;

	assert_int_equal(requests(t, TD_TRAFFIC_RX), c[TD_C_SIP_RX_REQUESTS]);
	assert_int_equal(requests(t, TD_TRAFFIC_TX), c[TD_C_SIP_TX_REQUESTS]);
	assert_int_equal(responses(t, TD_TRAFFIC_RX), c[TD_C_SIP_RX_RESPONSES]);
	assert_int_equal(responses(t, TD_TRAFFIC_TX), c[TD_C_SIP_TX_RESPONSES]);
	for (int r = 0; r < TD_CALL_RESULT__COUNT; r++)
		results += t->results[r];
	assert_int_equal(t->offered, results + td_engine_calls(rig->engine));
	assert_int_equal(t->results[TD_CALL_RESULT_ANSWERED] + td_engine_calls(rig->engine),
		c[TD_C_CALL_ANSWERED]);
}

static void an_answered_call(void **state)
{
	struct rig *rig = rig_new();
	const struct td_traffic *t = td_engine_traffic(rig->engine);
	struct rig_dialog a;

	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_advance(rig, 300);
	rig_expect(rig, "SIP/2.0 100");
	rig_reply(rig, invite, "180 Ringing", "btag", "", "");
	rig_expect(rig, "SIP/2.0 180");
	assert_int_equal(t->histograms[TD_HISTOGRAM_POST_DIAL_DELAY].sum, 300000);
	rig_reply(
		rig, invite, "183 Progress", "btag", "", ""); // the delay ended with the first one
	rig_expect(rig, "SIP/2.0 183");
	rig_reply(rig, invite, "200 OK", "btag", "Contact: <sip:b@10.0.2.1>\r\n", RIG_SDP_B);
	rig_expect(rig, "ACK ");
	rig_dialog_a(rig, rig_expect(rig, "SIP/2.0 200"), &a);
	rig_send(rig, &a, "ACK", "", "");
	assert_int_equal(in_all(&t->histograms[TD_HISTOGRAM_POST_DIAL_DELAY]), 1);
	expect_balance(rig);
	rig_advance(rig, 7000);
	rig_send(rig, &a, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200");
	rig_reply(rig, rig_expect(rig, "BYE "), "200 OK", "", "", "");
	assert_int_equal(t->offered, 1);
	assert_int_equal(t->results[TD_CALL_RESULT_ANSWERED], 1);
	assert_int_equal(t->histograms[TD_HISTOGRAM_CALL_DURATION].sum, 7000000);
	assert_int_equal(t->histograms[TD_HISTOGRAM_CALL_DURATION].counts[2], 1); // 5 to 10 s
	assert_int_equal(t->requests[TD_TRAFFIC_RX][TD_M_INVITE], 1);
	assert_int_equal(t->requests[TD_TRAFFIC_RX][TD_M_ACK], 1);
	assert_int_equal(t->requests[TD_TRAFFIC_TX][TD_M_BYE], 1);
	assert_int_equal(t->responses[TD_TRAFFIC_RX][TD_M_INVITE][1], 2);
	assert_int_equal(t->responses[TD_TRAFFIC_TX][TD_M_INVITE][1], 3);
	assert_int_equal(t->responses[TD_TRAFFIC_TX][TD_M_INVITE][2], 1);
	assert_int_equal(t->responses[TD_TRAFFIC_TX][TD_M_BYE][2], 1);
	expect_balance(rig);
	rig_free(rig);
}

static void legs_that_heard_something_are_measured(void **state)
{
	struct rig *rig = rig_new();
	const struct td_traffic *t = td_engine_traffic(rig->engine);
	struct rig_call call;

	rig_call(rig, &call);
	rig->host.legs[0].stats =
		(struct td_leg_stats){ .rx_packets = 990, .lost = 10, .jitter_ms = 12.5 };
	rig->host.legs[1].stats = (struct td_leg_stats){ .tx_packets = 990 };
	assert_int_equal(in_all(&t->histograms[TD_HISTOGRAM_RTP_LOSS]), 0);
	rig_send(rig, &call.b, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200");
	rig_reply(rig, rig_expect(rig, "BYE "), "200 OK", "", "", "");
	assert_int_equal(in_all(&t->histograms[TD_HISTOGRAM_RTP_LOSS]), 1);
	assert_int_equal(t->histograms[TD_HISTOGRAM_RTP_LOSS].counts[5], 1); // up to 1 %
	assert_int_equal(t->histograms[TD_HISTOGRAM_RTP_JITTER].sum, 12500);
	rig_free(rig);
}

static void calls_that_fail_say_how(void **state)
{
	struct rig *rig = rig_new();
	const struct td_traffic *t = td_engine_traffic(rig->engine);

	rig_route(rig, "0");
	rig_invite(rig, "", RIG_SDP_A);
	rig_reply(rig, rig_expect(rig, "INVITE "), "486 Busy Here", "btag", "", "");
	rig_expect(rig, "ACK ");
	rig_expect(rig, "SIP/2.0 486");
	assert_int_equal(t->results[TD_CALL_RESULT_BUSY], 1);
	assert_int_equal(t->responses[TD_TRAFFIC_TX][TD_M_INVITE][4], 1);
	assert_int_equal(in_all(&t->histograms[TD_HISTOGRAM_POST_DIAL_DELAY]), 0);
	assert_int_equal(in_all(&t->histograms[TD_HISTOGRAM_CALL_DURATION]), 0);
	expect_balance(rig);
	rig_free(rig);
}

static void pools_are_told(void **state)
{
	struct rig *rig = rig_new();
	struct td_pool_view pools[TD_ENGINE_POOLS];
	struct rig_call call;

	td_engine_pools(rig->engine, pools);
	for (int i = 0; i < TD_ENGINE_POOLS; i++) {
		assert_int_equal(pools[i].used, 0);
		assert_true(pools[i].size > 0 && pools[i].name[0]);
	}
	rig_call(rig, &call);
	td_engine_pools(rig->engine, pools);
	assert_string_equal(pools[0].name, "calls");
	assert_int_equal(pools[0].used, 1);
	assert_true(pools[4].used > 0 && pools[4].used < pools[4].size);
	rig_send(rig, &call.b, "BYE", "", "");
	rig_expect(rig, "SIP/2.0 200");
	rig_reply(rig, rig_expect(rig, "BYE "), "200 OK", "", "", "");
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_fall_into_their_buckets),
		cmocka_unit_test(results_have_names_of_their_own),
		cmocka_unit_test(metrics_are_named_as_prometheus_wants),
		cmocka_unit_test(an_answered_call),
		cmocka_unit_test(legs_that_heard_something_are_measured),
		cmocka_unit_test(calls_that_fail_say_how),
		cmocka_unit_test(pools_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
