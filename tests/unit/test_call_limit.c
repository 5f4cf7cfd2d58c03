// SPDX-License-Identifier: BSD-3-Clause
// Limits of groups and of routes: one call is one count from its first target to its end, whichever
// way it ends, and what is full leads on to the next target.
#include "tests/unit/call_rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { GROUP_ONE = 1, GROUP_TWO = 2, LIMIT_ONE = 1 };

static void group_conf(
	struct td_group_conf *group, const char *name, const char *trunk, struct td_limit limit)
{
	*group = (struct td_group_conf){ .limit = limit, .n_members = 1 };
	snprintf(group->name, sizeof(group->name), "%s", name);
	snprintf(group->members[0].trunk, TD_NAME_LEN, "%s", trunk);
}

// Group "one" is trunk east, group "two" trunk far; the route has the limit "mobile".
static struct rig *rig_limited(struct td_limit one, struct td_limit two, struct td_limit mobile)
{
	struct rig *rig = rig_new();

	group_conf(&rig->groups[0], "one", "east", one);
	group_conf(&rig->groups[1], "two", "far", two);
	rig->limits[0] = (struct td_limit_conf){ .name = "mobile", .limit = mobile };
	rig_policy(rig);
	return rig;
}

static void target(struct rig *rig, uint32_t i, uint16_t group, uint16_t limit)
{
	rig->host.route.targets[i].group = group;
	rig->host.route.targets[i].limit = limit;
}

static uint32_t held(const struct rig *rig, enum td_limit_kind kind, uint16_t index)
{
	return rig->host.shared[kind][index - 1].calls;
}

static const struct td_cdr *refused(struct rig *rig, uint16_t cause)
{
	const struct td_cdr *cdr;

	rig_expect(rig, "SIP/2.0 503 ");
	cdr = rig_cdr(rig);
	assert_int_equal(cdr->sip_code, 503);
	assert_int_equal(cdr->cause, cause);
	assert_int_equal(rig->host.n_attempts, 0);
	return cdr;
}

static void somebody_else(struct rig *rig, enum td_limit_kind kind, uint16_t index, uint32_t calls)
{
	rig->host.shared[kind][index - 1].calls += calls;
}

static void who_is_over_its_own_limit_takes_nothing_of_all(void **state)
{
	struct rig *rig = rig_new();

	rig_route(rig, "0");
	rig->host.trunk_error = -EAGAIN;
	rig->host.call_max = 0;
	rig_invite(rig, "", RIG_SDP_A);
	rig_expect(rig, "SIP/2.0 503 ");
	assert_int_equal(rig->host.call_max, 0); // the whole switch's was not asked
	rig_free(rig);
}

// What a call took of the rate of its trunk is given back where the whole switch refuses it.
static void who_is_refused_by_all_keeps_its_own_rate(void **state)
{
	struct rig *rig = rig_new();

	rig->trunks[0].max_cps = 5;
	rig_policy(rig);
	rig->host.call_error = -EAGAIN;
	rig_invite(rig, "", RIG_SDP_A);
	rig_expect(rig, "SIP/2.0 503 ");
	assert_int_equal(rig->host.cancelled[TD_LIMIT_TRUNK], 1);
	rig_free(rig);

	rig = rig_new();
	rig->trunks[0].max_cps = rig->trunks[1].max_cps = 5;
	rig_policy(rig);
	rig_route(rig, "0");
	rig_invite(rig, "", RIG_SDP_A);
	rig_reply(rig, rig_expect(rig, "INVITE "), "486 Busy Here", "b", "", "");
	rig->host.n_read = rig->host.n_sent;
	for (int kind = 0; kind < TD_LIMIT__KINDS; kind++)
		assert_int_equal(rig->host.cancelled[kind], 0); // something has come of it
	rig_free(rig);
}

// A group, and a route, whose trunks are full lose nothing of their rates by the calls that find it
// out.
static void full_trunks_cost_their_group_no_rate(void **state)
{
	const struct td_limit one = { 9, 1, 1 };
	struct rig *rig = rig_limited(one, one, one);

	rig_route(rig, "0");
	target(rig, 0, GROUP_ONE, LIMIT_ONE);
	rig->trunks[1].enabled = false; // as good as full
	rig_policy(rig);
	rig_invite(rig, "", RIG_SDP_A);
	rig_expect(rig, "SIP/2.0 503 ");
	assert_int_equal(rig->host.cancelled[TD_LIMIT_GROUP], 1);
	assert_int_equal(rig->host.cancelled[TD_LIMIT_ROUTE], 1);
	for (int kind = TD_LIMIT_GROUP; kind <= TD_LIMIT_ROUTE; kind++) {
		assert_int_equal(held(rig, kind, 1), 0);
		assert_int_equal(
			td_shared_acquire(&rig->host.shared[kind][0], &one, rig->host.now_ns), 0);
		td_shared_release(&rig->host.shared[kind][0]);
	}
	rig_free(rig);
}

static void a_full_group_is_503(void **state)
{
	struct rig *rig = rig_limited(
		(struct td_limit){ 2, 0, 0 }, (struct td_limit){ 0 }, (struct td_limit){ 0 });

	rig_route(rig, "01");
	target(rig, 0, GROUP_ONE, 0);
	target(rig, 1, GROUP_ONE, 0);
	somebody_else(rig, TD_LIMIT_GROUP, GROUP_ONE, 2);
	rig_invite(rig, "", RIG_SDP_A);
	refused(rig, 34);
	assert_int_equal(rig->host.counters[TD_C_SIP_GROUP_CALLS], 2);
	assert_int_equal(held(rig, TD_LIMIT_GROUP, GROUP_ONE), 2);
	rig_free(rig);
}

static void a_full_group_leads_on_to_the_next(void **state)
{
	struct rig *rig = rig_limited(
		(struct td_limit){ 1, 0, 0 }, (struct td_limit){ 1, 0, 0 }, (struct td_limit){ 0 });

	rig_route(rig, "02");
	target(rig, 0, GROUP_ONE, 0);
	target(rig, 1, GROUP_TWO, 0);
	somebody_else(rig, TD_LIMIT_GROUP, GROUP_ONE, 1);
	struct rig_call call;
	rig_call(rig, &call);
	assert_int_equal(held(rig, TD_LIMIT_GROUP, GROUP_ONE), 1);
	assert_int_equal(held(rig, TD_LIMIT_GROUP, GROUP_TWO), 1);
	rig_send(rig, &call.a, "BYE", "", "");
	assert_int_equal(held(rig, TD_LIMIT_GROUP, GROUP_TWO), 0);
	rig_free(rig);
}

// The trunk's peers are one group's: the call stays counted once. Then the next group takes it
// over.
static void failover_moves_the_count(void **state)
{
	struct rig *rig = rig_limited((struct td_limit){ 1, 1, 1 }, (struct td_limit){ 1, 1, 1 },
		(struct td_limit){ 1, 1, 1 });

	rig_route(rig, "012");
	target(rig, 0, GROUP_ONE, LIMIT_ONE);
	target(rig, 1, GROUP_ONE, LIMIT_ONE);
	target(rig, 2, GROUP_TWO, LIMIT_ONE);
	rig->host.shared[TD_LIMIT_GROUP][GROUP_TWO - 1].arrival_ns =
		rig->host.now_ns + 5000000000; // its bucket is empty
	rig_invite(rig, "", RIG_SDP_A);
	for (int i = 0; i < 2; i++) {
		const struct fake_sent *invite = rig_expect(rig, "INVITE ");
		assert_int_equal(held(rig, TD_LIMIT_GROUP, GROUP_ONE), 1);
		assert_int_equal(held(rig, TD_LIMIT_ROUTE, LIMIT_ONE), 1);
		rig_reply(rig, invite, "503 Busy", "b", "", "");
		rig_expect(rig, "ACK ");
	}
	assert_int_equal(held(rig, TD_LIMIT_GROUP, GROUP_ONE), 0);
	assert_int_equal(held(rig, TD_LIMIT_GROUP, GROUP_TWO),
		1); // failover is no new call: its rate does not matter
	assert_int_equal(held(rig, TD_LIMIT_ROUTE, LIMIT_ONE), 1);
	rig_expect(rig, "INVITE ");
	rig_cancel(rig, "");
	assert_int_equal(held(rig, TD_LIMIT_GROUP, GROUP_TWO), 0);
	assert_int_equal(held(rig, TD_LIMIT_ROUTE, LIMIT_ONE), 0);
	rig_free(rig);
}

static void a_route_limit_holds_over_all_its_targets(void **state)
{
	struct rig *rig = rig_limited(
		(struct td_limit){ 0 }, (struct td_limit){ 0 }, (struct td_limit){ 3, 0, 0 });

	rig_route(rig, "02");
	target(rig, 0, 0, LIMIT_ONE);
	target(rig, 1, GROUP_TWO, LIMIT_ONE);
	somebody_else(rig, TD_LIMIT_ROUTE, LIMIT_ONE, 3);
	rig_invite(rig, "", RIG_SDP_A);
	refused(rig, 34);
	assert_int_equal(rig->host.counters[TD_C_SIP_ROUTE_CALLS], 2);
	rig_free(rig);
}

static void a_burst_and_one_more(void **state)
{
	struct rig *rig = rig_limited(
		(struct td_limit){ 0 }, (struct td_limit){ 0 }, (struct td_limit){ 0, 10, 1 });

	rig_route(rig, "0");
	target(rig, 0, 0, LIMIT_ONE);
	assert_int_equal(td_shared_acquire(&rig->host.shared[TD_LIMIT_ROUTE][LIMIT_ONE - 1],
				 &rig->limits[0].limit, rig->host.now_ns),
		0);
	rig_invite(rig, "", RIG_SDP_A);
	refused(rig, 42);
	assert_int_equal(rig->host.counters[TD_C_SIP_ROUTE_CPS], 1);
	rig_free(rig);
}

// A reload between two attempts: the indices mean something else, the slots do not; what is gone
// limits nobody.
static void a_reload_keeps_and_changes_limits(void **state)
{
	struct rig *rig = rig_limited((struct td_limit){ 5, 0, 0 }, (struct td_limit){ 5, 0, 0 },
		(struct td_limit){ 5, 0, 0 });

	rig_route(rig, "02");
	target(rig, 0, GROUP_ONE, LIMIT_ONE);
	target(rig, 1, GROUP_TWO, LIMIT_ONE);
	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig->limits[0].name[0] = '\0'; // taken away
	rig->groups[1].limit.max_calls = 1;
	rig->generation = 2;
	rig_policy(rig);
	somebody_else(rig, TD_LIMIT_GROUP, GROUP_TWO, 1);
	rig_reply(rig, invite, "503 Busy", "b", "", "");
	rig_expect(rig, "ACK ");
	rig_expect(rig, "SIP/2.0 503 "); // the new limit refused
	assert_int_equal(rig->host.counters[TD_C_SIP_GROUP_CALLS], 1);
	assert_int_equal(rig_cdr(rig)->sip_code, 503);
	assert_int_equal(held(rig, TD_LIMIT_GROUP, GROUP_ONE), 0);
	assert_int_equal(
		held(rig, TD_LIMIT_ROUTE, LIMIT_ONE), 0); // it was counted by then, and given back
	rig_free(rig);
}

// INVITE of an emergency call, whichever way it is written; to is what the far end must be told.
static void emergency(const char *uri, const char *to)
{
	struct rig *rig = rig_limited(
		(struct td_limit){ 1, 0, 0 }, (struct td_limit){ 0 }, (struct td_limit){ 1, 0, 0 });
	char text[2048];

	rig_route(rig, "0");
	target(rig, 0, GROUP_ONE, LIMIT_ONE);
	somebody_else(rig, TD_LIMIT_GROUP, GROUP_ONE, 1);
	somebody_else(rig, TD_LIMIT_ROUTE, LIMIT_ONE, 1);
	td_engine_drain(rig->engine, true);
	snprintf(text, sizeof(text),
		"INVITE %s SIP/2.0\r\nVia: SIP/2.0/UDP "
		"10.0.1.1:5060;branch=z9hG4bKsos\r\nMax-Forwards: 70\r\n"
		"From: <sip:a@10.0.1.1>;tag=x\r\nTo: <%s>\r\nCall-ID: sos-1\r\nCSeq: 1 INVITE\r\n"
		"Contact: <sip:a@10.0.1.1>\r\nContent-Length: 0\r\n\r\n",
		uri, uri);
	rig_rx(rig, &rig->west, text);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	RIG_HAS(invite, to);
	RIG_LACKS(invite, "10.0.1.");
	assert_true(rig->host.last_query.emergency);
	assert_int_equal(rig->host.counters[TD_C_CALL_EMERGENCY], 1);
	assert_int_equal(held(rig, TD_LIMIT_GROUP, GROUP_ONE), 2);
	assert_int_equal(held(rig, TD_LIMIT_ROUTE, LIMIT_ONE), 2);
	rig_reply(rig, invite, "486 Busy", "b", "", "");
	assert_int_equal(held(rig, TD_LIMIT_GROUP, GROUP_ONE), 1);
	assert_int_equal(held(rig, TD_LIMIT_ROUTE, LIMIT_ONE), 1);
	rig_free(rig);
}

static void an_emergency_call_passes_and_is_counted(void **state)
{
	emergency("urn:service:sos.police", "To: <urn:service:sos.police>");
	emergency("sip:112@10.0.1.254", "To: <sip:112@10.0.2.1:5060>");
	emergency("tel:+1-12", "INVITE sip:+1-12@10.0.2.1:5060;user=phone SIP/2.0");
}

// One digit more is another number.
static void a_longer_number_is_no_emergency(void **state)
{
	struct rig *rig = rig_new();

	td_engine_drain(rig->engine, true);
	rig_rx(rig, &rig->west,
		"INVITE sip:1121@10.0.1.254 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"10.0.1.1:5060;branch=z9hG4bKx\r\nMax-Forwards: 70\r\n"
		"From: <sip:a@10.0.1.1>;tag=x\r\nTo: <sip:1121@x>\r\nCall-ID: x-1\r\nCSeq: 1 "
		"INVITE\r\n"
		"Contact: <sip:a@10.0.1.1>\r\nContent-Length: 0\r\n\r\n");
	rig_expect(rig, "SIP/2.0 503 ");
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_over_its_own_limit_takes_nothing_of_all),
		cmocka_unit_test(who_is_refused_by_all_keeps_its_own_rate),
		cmocka_unit_test(full_trunks_cost_their_group_no_rate),
		cmocka_unit_test(a_full_group_is_503),
		cmocka_unit_test(a_full_group_leads_on_to_the_next),
		cmocka_unit_test(failover_moves_the_count),
		cmocka_unit_test(a_route_limit_holds_over_all_its_targets),
		cmocka_unit_test(a_burst_and_one_more),
		cmocka_unit_test(a_reload_keeps_and_changes_limits),
		cmocka_unit_test(an_emergency_call_passes_and_is_counted),
		cmocka_unit_test(a_longer_number_is_no_emergency),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
