// SPDX-License-Identifier: BSD-3-Clause
// What a route says of its targets beside their trunks: when to go on to the next one, and how long
// a call may last.
#include "tests/unit/call_rig.h"
#include "sip/subscribers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct rig *rig_up(void)
{
	struct rig *rig = rig_new();

	rig->rule = (struct td_failover_conf){ .name = "soft",
		.n_codes = 1,
		.codes = { 404 },
		.classes = 1 << 3,
		.attempt_timeout_ms = 2000 };
	rig_policy(rig);
	rig_route(rig, "01");
	rig->host.route.targets[0].failover = 1;
	return rig;
}

static void rig_down(struct rig *rig)
{
	rig_advance(rig, 100000);
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

// A code, a class, 486 in spite of any rule, and what is in no rule.
static void codes_and_classes(void **state)
{
	static const struct {
		const char *status;
		bool leads_on;
	} cases[] = { { "404 Not Found", true }, { "302 Moved", true }, { "503 Unavailable", true },
		{ "403 Forbidden", false }, { "486 Busy Here", false }, { "603 Decline", false } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct rig *rig = rig_up();
		rig_invite(rig, "", RIG_SDP_A);
		rig_reply(rig, rig_expect(rig, "INVITE sip:+49301234@10.0.2.1:5060 "),
			cases[i].status, "b", "", "");
		rig_expect(rig, "ACK ");
		if (cases[i].leads_on) {
			const struct fake_sent *next =
				rig_expect(rig, "INVITE sip:+49301234@10.0.2.2:5060 ");
			rig_reply(rig, next, "404 Not Found", "b", "",
				""); // the rule is the first target's
			rig_expect(rig, "ACK ");
		}
		rig_expect(rig, "SIP/2.0 ");
		rig_silence(rig);
		rig_down(rig);
	}
}

static void patience_of_the_rule(void **state)
{
	struct rig *rig = rig_up();

	rig_invite(rig, "", RIG_SDP_A);
	rig_expect(rig, "INVITE sip:+49301234@10.0.2.1:5060 ");
	rig_advance(rig, 2000);
	const struct fake_sent *sent;
	bool next = false;
	while ((sent = fake_next(&rig->host)))
		next |= fake_starts(sent, "INVITE sip:+49301234@10.0.2.2:5060 ");
	assert_true(next);
	rig_down(rig);
}

// The rule of a policy that is not in force any more is nobody's.
static void rule_of_another_policy(void **state)
{
	struct rig *rig = rig_up();

	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig->generation = 2;
	rig_policy(rig);
	rig_reply(rig, invite, "404 Not Found", "b", "", "");
	rig_expect(rig, "ACK ");
	rig_expect(rig, "SIP/2.0 404 ");
	rig_down(rig);
}

static void duration_of_the_route(void **state)
{
	struct rig *rig = rig_up();
	struct rig_call call;

	rig->trunks[1].max_duration_s = 60;
	rig_policy(rig);
	rig->host.route.targets[0].max_duration_s = 3;
	rig_call(rig, &call);
	rig_advance(rig, 2999);
	rig_silence(rig);
	rig_advance(rig, 1);
	rig_reply(rig, rig_expect(rig, "BYE sip:secretwest@"), "200 OK", "", "", "");
	rig_reply(rig, rig_expect(rig, "BYE sip:secreteast@"), "200 OK", "", "", "");
	rig_down(rig);
}

// Of a registered callee only a rule leads on to somebody else: a mailbox, say.
static void from_a_phone_to_a_mailbox(void **state)
{
	for (unsigned with_rule = 0; with_rule < 2; with_rule++) {
		struct rig *rig = rig_up();
		rig_registrar(rig);
		rig_subscriber(rig, "1002", "49301234", "", 0);
		rig->host.locate_answer = TD_DONE;
		rig->host.located = (struct td_locate_answer){ .n = 1,
			.subscriber =
				td_subscribers_by_number(rig->subscribers, TD_SPAN("49301234")),
			.contacts = { { .aor = TD_SPAN("1002@tandem.example"),
				.uri = TD_SPAN("sip:1002@10.0.1.61"),
				.flow = fake_flow(&rig->host, FAKE_WEST, "10.0.1.61", 5060),
				.q = 1000 } } };
		rig->host.route = (struct td_route_answer){ .n = 2,
			.targets = { { .kind = TD_TARGET_AOR, .failover = (uint16_t)with_rule },
				{ .trunk = 1 } } };
		rig_invite(rig, "", RIG_SDP_A);
		rig_reply(rig, rig_expect(rig, "INVITE sip:1002@10.0.1.61 "), "404 Not Found", "b",
			"", "");
		rig_expect(rig, "ACK ");
		rig_expect(rig, with_rule ? "INVITE sip:+49301234@10.0.2.1:5060 " : "SIP/2.0 404 ");
		rig_down(rig);
	}
}

// The record names the route that led to the target that was tried last, and the dial plan.
static void route_of_the_record(void **state)
{
	static const struct {
		const char *name;
		uint8_t matched;
		const char *route;
	} cases[] = {
		{ "to-berlin", 4, "to-berlin" },
		{ NULL, 4, "4930" },
		{ NULL, 0, "" },
		{ NULL, 255, "49301234" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig *rig = rig_up();
		struct rig_call call;
		snprintf(rig->trunks[0].plan, TD_NAME_LEN, "deck");
		rig_policy(rig);
		rig->host.route.targets[0].route = cases[i].name;
		rig->host.route.targets[0].matched = cases[i].matched;
		rig_call(rig, &call);
		rig_send(rig, &call.a, "BYE", "", "");
		rig_expect(rig, "SIP/2.0 200 ");
		rig_reply(rig, rig_expect(rig, "BYE "), "200 OK", "", "", "");
		const struct td_cdr *cdr = rig_cdr(rig);
		assert_string_equal(cdr->route, cases[i].route);
		assert_string_equal(cdr->plan, "deck");
		assert_string_equal(rig->host.starts[0].route, cases[i].route);
		assert_string_equal(cdr->to_number, "49301234");
		rig_down(rig);
	}
}

static void route_after_failover(void **state)
{
	struct rig *rig = rig_up();

	rig->host.route.targets[0].route = "cheap";
	rig->host.route.targets[1].route = "good";
	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "503 Service Unavailable", "b", "", "");
	rig_expect(rig, "ACK ");
	invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "486 Busy Here", "b", "", "");
	rig_expect(rig, "ACK ");
	rig_expect(rig, "SIP/2.0 486 ");
	assert_string_equal(rig_cdr(rig)->route, "good");
	rig_down(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes_and_classes),
		cmocka_unit_test(patience_of_the_rule),
		cmocka_unit_test(rule_of_another_policy),
		cmocka_unit_test(duration_of_the_route),
		cmocka_unit_test(route_of_the_record),
		cmocka_unit_test(route_after_failover),
		cmocka_unit_test(from_a_phone_to_a_mailbox),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
