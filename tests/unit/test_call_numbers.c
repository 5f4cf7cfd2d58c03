// SPDX-License-Identifier: BSD-3-Clause
// Numbers of calls: rules and forms of the trunk they come in by and of each that they go out to;
// what the far side and the record see of them.
#include "tests/unit/call_rig.h"
#include "sip/numbers.h"
#include "sip/subscribers.h"
#include "tests/unit/digest_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct td_number_form_conf germany = {
	.country = "49", .international = "00", .national = "0"
};
static const struct td_number_form_conf france = {
	.country = "33", .international = "00", .national = "0"
};

static void rule(struct rig *rig, const char *name, const char *match, const char *replace)
{
	struct td_rule_conf *r = rig->rules;

	while (r->name[0] != '\0')
		r++;
	snprintf(r->name, sizeof(r->name), "%s", name);
	snprintf(r->match, sizeof(r->match), "%s", match);
	snprintf(r->replace, sizeof(r->replace), "%s", replace);
}

static void list(struct td_rule_list_conf *conf, const char *name)
{
	snprintf(conf->names[conf->n++], TD_NAME_LEN, "%s", name);
}

// What the subscribers of a realm have in place of what all have.
static void realm_form(struct td_realm_numbers_conf *conf, const char *realm,
	const struct td_number_form_conf *form)
{
	snprintf(conf->realm, sizeof(conf->realm), "%s", realm);
	conf->subscribers.form = *form;
	conf->subscribers.from_realm = 1 << TD_PART_FORM;
}

static const char *from_user = "0301234", *to_user = "040999", *more = "";

static void invite(struct rig *rig)
{
	char text[4096];

	snprintf(text, sizeof(text),
		"INVITE sip:%s@10.0.1.254 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"10.0.1.1:5060;branch=z9hG4bKinvite\r\nMax-Forwards: 20\r\n"
		"From: \"Alice\" <sip:%s@10.0.1.1>;tag=atag\r\nTo: <sip:%s@10.0.1.254>\r\nCall-ID: "
		"secretwest-call\r\n"
		"CSeq: 1 INVITE\r\nContact: <sip:secretwest@10.0.1.1:5060>\r\n%sContent-Type: "
		"application/sdp\r\n"
		"Content-Length: %zu\r\n\r\n%s",
		to_user, from_user, to_user, more, strlen(RIG_SDP_A), RIG_SDP_A);
	rig_rx(rig, &rig->west, text);
}

// B is busy, and the call over.
static void refuse(struct rig *rig, const struct fake_sent *sent)
{
	rig_reply(rig, sent, "486 Busy Here", "b", "", "");
	rig_expect(rig, "ACK ");
	rig_expect(rig, "SIP/2.0 486 ");
}

static void rig_down(struct rig *rig)
{
	from_user = "0301234", to_user = "040999", more = "";
	rig_advance(rig, 100000);
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

static void normalised_and_routed(void **state)
{
	struct rig *rig = rig_new();

	rig->trunks[0].numbers.form = germany;
	rig_policy(rig);
	rig_route(rig, "0");
	rig->host.route.targets[0].matched = 4;
	invite(rig);
	assert_string_equal(rig->host.last_number, "4940999");
	const struct fake_sent *sent = rig_expect(rig, "INVITE sip:+4940999@10.0.2.1:5060 ");
	assert_string_equal(fake_header(sent, "To"), "<sip:+4940999@10.0.2.1:5060>");
	RIG_HAS(sent, "From: \"Alice\" <sip:+49301234@10.0.2.254:5060>;tag=");
	refuse(rig, sent);
	const struct td_cdr *cdr = rig_cdr(rig);
	assert_string_equal(cdr->from_number, "0301234"); // as they came
	assert_string_equal(cdr->to_number, "040999");
	assert_string_equal(cdr->route, "4940");
	assert_string_equal(cdr->rules, "");
	rig_down(rig);
}

// Each target hears the numbers in its own form, and the record names the rules of the last one.
static void each_target_its_own_form(void **state)
{
	struct rig *rig = rig_new();

	rule(rig, "cut", "^9", "");
	rule(rig, "tech", "^", "77#");
	rig->trunks[0].numbers.form = germany;
	list(&rig->trunks[0].numbers.in.callee, "cut");
	rig->trunks[1].numbers.form = germany;
	rig->trunks[1].numbers.form.format = TD_FORMAT_NATIONAL;
	rig->trunks[2].numbers.form.format = TD_FORMAT_PLAIN;
	list(&rig->trunks[2].numbers.out.callee, "tech");
	rig_policy(rig);
	rig_route(rig, "02");
	to_user = "9040999";
	invite(rig);
	assert_string_equal(rig->host.last_number, "4940999");
	const struct fake_sent *sent = rig_expect(rig, "INVITE sip:040999@10.0.2.1:5060 ");
	RIG_HAS(sent, "To: <sip:040999@10.0.2.1:5060>\r\n");
	RIG_HAS(sent, "From: \"Alice\" <sip:0301234@10.0.2.254:5060>;tag=");
	rig_reply(rig, sent, "503 Service Unavailable", "b", "", "");
	rig_expect(rig, "ACK ");
	sent = rig_expect(rig, "INVITE sip:77%234940999@10.0.2.3:5060 ");
	RIG_HAS(sent, "From: \"Alice\" <sip:49301234@10.0.2.254:5060>;tag=");
	refuse(rig, sent);
	assert_string_equal(rig_cdr(rig)->rules, "cut,tech");
	assert_int_equal(rig->host.counters[TD_C_NUMBER_RULES], 2);
	assert_int_equal(rig->host.counters[TD_C_NUMBER_RULE_FAILED], 0);
	rig_down(rig);
}

// A trunk that says nothing passes the numbers of one that does as they are.
static void nothing_said_nothing_changed(void **state)
{
	struct rig *rig = rig_new();

	rule(rig, "never", "^555", "");
	list(&rig->trunks[0].numbers.in.caller, "never");
	rig_policy(rig);
	rig_route(rig, "0");
	from_user = "+49-30-12";
	to_user = "+49(40)9;isub=1";
	invite(rig);
	assert_string_equal(rig->host.last_number, "49409");
	const struct fake_sent *sent = rig_expect(rig, "INVITE sip:+49(40)9;isub=1@10.0.2.1:5060 ");
	RIG_HAS(sent, "From: \"Alice\" <sip:+49-30-12@10.0.2.254:5060>;tag=");
	refuse(rig, sent);
	assert_string_equal(rig_cdr(rig)->rules, "");
	rig_down(rig);
}

// Identities that are believed change like the number in From, and cross to who may know them.
static void identities_follow(void **state)
{
	for (unsigned trusted = 0; trusted < 2; trusted++) {
		struct rig *rig = rig_new();
		rig->trunks[0].numbers.form = germany;
		rig->trunks[0].trust = TD_TRUST_IN;
		rig->trunks[1].trust = trusted ? TD_TRUST_OUT : TD_TRUST_NONE;
		rig_policy(rig);
		rig_route(rig, "0");
		more = "P-Asserted-Identity: \"Real\" <sip:0305550@10.0.1.1>\r\nRemote-Party-ID: "
		       "<sip:0305550@10.0.1.1>\r\n";
		invite(rig);
		const struct fake_sent *sent = rig_expect(rig, "INVITE ");
		RIG_HAS(sent, "<sip:+49301234@10.0.2.254:5060>;tag=");
		RIG_LACKS(sent, "0305550");
		RIG_LACKS(sent, "Remote-Party-ID");
		if (trusted)
			RIG_HAS(sent, "P-Asserted-Identity: <sip:+49305550@10.0.2.254:5060>\r\n");
		else
			RIG_LACKS(sent, "P-Asserted-Identity");
		refuse(rig, sent);
		assert_string_equal(rig_cdr(rig)->asserted, "49305550");
		rig_down(rig);
	}
}

static void anonymous_stays_so(void **state)
{
	struct rig *rig = rig_new();

	rule(rig, "any", "^.*$", "+4930");
	list(&rig->trunks[0].numbers.in.caller, "any");
	rig_policy(rig);
	rig_route(rig, "0");
	from_user = "anonymous";
	invite(rig);
	const struct fake_sent *sent = rig_expect(rig, "INVITE ");
	RIG_HAS(sent, "<sip:anonymous@10.0.2.254:5060>;tag=");
	assert_true(rig->host.last_query.anonymous);
	refuse(rig, sent);
	rig_down(rig);
}

static void emergency_is_called_as_it_is(void **state)
{
	struct rig *rig = rig_new();
	char text[2048];

	rule(rig, "any", ".*", "1");
	list(&rig->trunks[0].numbers.in.callee, "any");
	list(&rig->trunks[1].numbers.out.callee, "any");
	rig->trunks[0].numbers.form = germany;
	rig_policy(rig);
	rig_route(rig, "0");
	snprintf(text, sizeof(text),
		"INVITE urn:service:sos SIP/2.0\r\nVia: SIP/2.0/UDP "
		"10.0.1.1:5060;branch=z9hG4bKsos\r\nMax-Forwards: 20\r\n"
		"From: <sip:0301234@10.0.1.1>;tag=atag\r\nTo: <urn:service:sos>\r\nCall-ID: "
		"sos\r\nCSeq: 1 INVITE\r\n"
		"Contact: <sip:x@10.0.1.1>\r\nContent-Type: application/sdp\r\nContent-Length: "
		"%zu\r\n\r\n%s",
		strlen(RIG_SDP_A), RIG_SDP_A);
	rig_rx(rig, &rig->west, text);
	const struct fake_sent *sent = rig_expect(rig, "INVITE urn:service:sos ");
	RIG_HAS(sent, "<sip:+49301234@10.0.2.254:5060>;tag="); // so that somebody can call back
	refuse(rig, sent);
	rig_down(rig);
}

static void what_gives_up_is_passed_over(void **state)
{
	struct rig *rig = rig_new();

	rule(rig, "endless", "^(a+)+$", "");
	rule(rig, "good", "b$", "7");
	list(&rig->trunks[0].numbers.in.callee, "endless");
	list(&rig->trunks[0].numbers.in.callee, "good");
	rig_policy(rig);
	rig_route(rig, "0");
	to_user = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab";
	invite(rig);
	const struct fake_sent *sent =
		rig_expect(rig, "INVITE sip:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa7@");
	assert_int_equal(rig->host.counters[TD_C_NUMBER_RULE_FAILED], 1);
	refuse(rig, sent);
	assert_string_equal(rig_cdr(rig)->rules, "good");
	rig_down(rig);
}

// A route question that stays open: the numbers wait with the call.
static void pending_route(void **state)
{
	struct rig *rig = rig_new();

	rig->trunks[0].numbers.form = germany;
	rig_policy(rig);
	rig_route(rig, "0");
	struct td_late_answer late = { .answer = TD_DONE, .route = rig->host.route };
	rig->host.route_answer = TD_PENDING;
	invite(rig);
	late.cookie = rig->host.last_cookie;
	td_engine_answer(rig->engine, rig->host.now_ns, &late);
	refuse(rig, rig_expect(rig, "INVITE sip:+4940999@10.0.2.1:5060 "));
	rig_down(rig);
}

// Who is called by a number that rules make is looked up by it.
static void registered_callee(void **state)
{
	struct rig *rig = rig_new();

	rig_registrar(rig);
	rig_subscriber(rig, "1002", "4940999", "", 0);
	rig->trunks[0].numbers.form = germany;
	rig->subscriber_numbers.form = germany;
	rig->subscriber_numbers.form.format = TD_FORMAT_NATIONAL;
	rig_policy(rig);
	rig->host.locate_answer = TD_DONE;
	snprintf(rig->host.known_who, sizeof(rig->host.known_who), "4940999");
	rig->host.located = (struct td_locate_answer){ .n = 1,
		.subscriber = td_subscribers_by_number(rig->subscribers, TD_SPAN("4940999")),
		.contacts = { { .aor = TD_SPAN("1002@tandem.example"),
			.uri = TD_SPAN("sip:1002@10.0.1.61"),
			.flow = fake_flow(&rig->host, FAKE_WEST, "10.0.1.61", 5060),
			.q = 1000 } } };
	rig->host.route =
		(struct td_route_answer){ .n = 1, .targets = { { .kind = TD_TARGET_AOR } } };
	rig->host.route_answer = TD_DONE;
	invite(rig);
	const struct fake_sent *sent = rig_expect(rig, "INVITE sip:1002@10.0.1.61 ");
	RIG_HAS(sent, "To: <sip:040999@tandem.example>\r\n");
	RIG_HAS(sent, "<sip:0301234@tandem.example>;tag=");
	refuse(rig, sent);
	rig_down(rig);
}

// A subscriber's own number, in the form that the carrier wants; the one it dials is written as in
// its own realm.
static void subscribers_number(void **state)
{
	struct rig *rig = rig_new();
	struct td_flow flow;
	struct digest_client digest = { .algorithm = TD_DIGEST_SHA256,
		.user = "1001",
		.password = "secret",
		.realm = "tandem.example" };
	char line[1024] = "", text[4096];

	rig_registrar(rig);
	rig_subscriber(rig, "1001", "4930555100", "Alice", 1);
	rig->subscriber_numbers.form = france;
	realm_form(&rig->realms[0], "east", &france);
	realm_form(&rig->realms[1], "west", &germany);
	rig->trunks[1].numbers.form = germany;
	rig->trunks[1].numbers.form.format = TD_FORMAT_INTERNATIONAL;
	rig->trunks[1].trust = TD_TRUST_OUT;
	// The plan is the subscriber's, not one of a trunk.
	rule(rig, "desk", "^\\+4940999$", "+4940998");
	snprintf(rig->plans[0].name, TD_NAME_LEN, "%s", TD_PLAN_DEFAULT);
	list(&rig->plans[0].rules.callee, "desk");
	rig_policy(rig);
	const struct td_numbers *numbers = td_policy_trunk(
		rig->policy, (uint32_t)td_policy_subscribers(rig->policy, FAKE_WEST))
						   ->numbers;
	assert_string_equal(td_numbers_realm(numbers, TD_PART_FORM), "west");
	assert_null(td_numbers_realm(numbers, TD_PART_IN_CALLER));
	rig_route(rig, "0");
	flow = fake_flow(&rig->host, FAKE_WEST, "10.0.1.50", 5070);
	for (unsigned i = 1; i <= 2; i++) {
		snprintf(text, sizeof(text),
			"INVITE sip:040999@tandem.example SIP/2.0\r\nVia: SIP/2.0/UDP "
			"10.0.1.50:5070;rport;branch=z9hG4bKp%u\r\n"
			"Max-Forwards: 70\r\nFrom: <sip:1001@tandem.example>;tag=p\r\nTo: "
			"<sip:040999@tandem.example>\r\n"
			"Call-ID: p\r\nCSeq: %u INVITE\r\nContact: "
			"<sip:1001@10.0.1.50:5070>\r\n%sContent-Type: application/sdp\r\n"
			"Content-Length: %zu\r\n\r\n%s",
			i, i, line, strlen(RIG_SDP_A), RIG_SDP_A);
		rig_rx(rig, &flow, text);
		if (i == 2)
			break;
		const struct fake_sent *challenge = rig_expect(rig, "SIP/2.0 401 ");
		assert_true(digest_client_take(
			&digest, td_span_str(fake_header(challenge, "WWW-Authenticate"))));
		digest_client_line(
			&digest, "INVITE", "sip:040999@tandem.example", line, sizeof(line));
	}
	assert_string_equal(rig->host.last_number, "4940998");
	const struct fake_sent *sent = rig_expect(rig, "INVITE sip:004940998@10.0.2.1:5060 ");
	RIG_HAS(sent, "From: \"Alice\" <sip:004930555100@10.0.2.254:5060>;tag=");
	RIG_HAS(sent, "P-Asserted-Identity: \"Alice\" <sip:004930555100@10.0.2.254:5060>\r\n");
	refuse(rig, sent);
	assert_string_equal(rig_cdr(rig)->auth_user, "1001@tandem.example");
	assert_string_equal(rig_cdr(rig)->asserted, "4930555100");
	assert_string_equal(rig_cdr(rig)->rules, "desk");
	rig_down(rig);
}

// What the plan makes of both numbers comes behind the trunk's own rules and screening, and before
// the routes; another plan's rules are nobody's.
static void rules_of_the_dial_plan(void **state)
{
	struct rig *rig = rig_new();

	rule(rig, "cut", "^9", "");
	rule(rig, "desk", "^\\+4940999$", "+4930555");
	rule(rig, "pilot", "^.*$", "+4930000");
	rule(rig, "never", "^", "1");
	snprintf(rig->trunks[0].plan, TD_NAME_LEN, "gold");
	rig->trunks[0].numbers.form = germany;
	list(&rig->trunks[0].numbers.in.callee, "cut");
	snprintf(rig->trunks[0].numbers.caller_in.allowed[0], 20, "+49301234");
	rig->trunks[0].numbers.caller_in.n_allowed = 1;
	rig->trunks[0].numbers.caller_in.on_refused = TD_CALLER_REJECT;
	rig->plans[0] = (struct td_plan_conf){ .name = "silver" };
	list(&rig->plans[0].rules.callee, "never");
	rig->plans[1] = (struct td_plan_conf){ .name = "gold" };
	list(&rig->plans[1].rules.callee, "desk");
	list(&rig->plans[1].rules.caller, "pilot");
	rig_policy(rig);
	rig_route(rig, "0");
	to_user = "9040999";
	invite(rig);
	assert_string_equal(rig->host.last_number, "4930555");
	const struct fake_sent *sent = rig_expect(rig, "INVITE sip:+4930555@10.0.2.1:5060 ");
	RIG_HAS(sent, "From: \"Alice\" <sip:+4930000@10.0.2.254:5060>;tag=");
	refuse(rig, sent);
	assert_string_equal(rig_cdr(rig)->to_number, "9040999");
	assert_string_equal(rig_cdr(rig)->rules, "cut,desk,pilot");
	rig_down(rig);
}

// A trunk that says nothing of numbers has those of its plan all the same, and an emergency number
// is nobody's to change.
static void rules_of_a_plan_alone(void **state)
{
	for (int emergency = 0; emergency < 2; emergency++) {
		struct rig *rig = rig_new();
		rule(rig, "any", "^", "1");
		snprintf(rig->trunks[0].plan, TD_NAME_LEN, "gold");
		rig->plans[0] = (struct td_plan_conf){ .name = "gold" };
		list(&rig->plans[0].rules.callee, "any");
		rig_policy(rig);
		rig_route(rig, "0");
		to_user = emergency ? "112" : "555";
		invite(rig);
		refuse(rig, rig_expect(rig, emergency ? "INVITE sip:112@10.0.2.1:5060 "
						      : "INVITE sip:1555@10.0.2.1:5060 "));
		assert_string_equal(rig_cdr(rig)->rules, emergency ? "" : "any");
		rig_down(rig);
	}
}

// --- callers that a trunk may show

static void allow(struct td_caller_id_conf *conf, const char *prefix, const char *fallback,
	uint8_t on_refused)
{
	snprintf(conf->allowed[conf->n_allowed++], sizeof(conf->allowed[0]), "%s", prefix);
	snprintf(conf->fallback, sizeof(conf->fallback), "%s", fallback);
	conf->on_refused = on_refused;
}

static void callers_of_a_trunk(void **state)
{
	static const struct {
		const char *from, *pai; // as A says it
		uint8_t on_refused;
		const char *shown, *asserted; // NULL: refused; nobody
		const char *rules;
	} cases[] = {
		{ "0301234", "", TD_CALLER_REJECT, "+49301234", "+49301234",
			"" }, // allowed, so vouched for
		{ "0217777", "", TD_CALLER_DEFAULT, "+49300", "+49300", "caller_id" },
		{ "0217777", "", TD_CALLER_REJECT, NULL, NULL, "caller_id" },
		{ "0217777", "", TD_CALLER_ANONYMOUS, "anonymous", "+49300", "caller_id" },
		// What somebody vouches for is screened, too; a hidden caller must be known by it.
		{ "0301234", "0305", TD_CALLER_REJECT, "+49301234", "+49305", "" },
		{ "0301234", "0405", TD_CALLER_REJECT, "+49301234", "+49301234", "" },
		{ "anonymous", "0305", TD_CALLER_REJECT, "anonymous", "+49305", "" },
		{ "anonymous", "0405", TD_CALLER_REJECT, NULL, NULL, "caller_id" },
		{ "anonymous", "", TD_CALLER_DEFAULT, "anonymous", "+49300", "" },
		// What is no number fits no list.
		{ "0217777%20", "", TD_CALLER_DEFAULT, "+49300", "+49300", "caller_id" },
		{ "0217777%20", "", TD_CALLER_REJECT, NULL, NULL, "caller_id" },
		// Of several identities the one that was judged goes on.
		{ "0301234", "0305@10.0.1.1>, <sip:0217777", TD_CALLER_REJECT, "+49301234",
			"+49305", "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig *rig = rig_new();
		char line[128], text[128];
		rig->trunks[0].numbers.form = germany;
		rig->trunks[0].trust = TD_TRUST_IN;
		rig->trunks[1].trust = TD_TRUST_OUT;
		allow(&rig->trunks[0].numbers.caller_in, "+4930", "+49300", cases[i].on_refused);
		rig_policy(rig);
		rig_route(rig, "0");
		from_user = cases[i].from;
		snprintf(line, sizeof(line), "P-Asserted-Identity: <sip:%s@10.0.1.1>\r\n",
			cases[i].pai);
		more = cases[i].pai[0] ? line : "";
		invite(rig);
		if (!cases[i].shown) {
			rig_expect(rig, "SIP/2.0 403 ");
			rig_silence(rig);
			assert_int_equal(rig->host.counters[TD_C_CALLER_REFUSED], 1);
			assert_int_equal(rig_cdr(rig)->sip_code, 403);
		} else {
			const struct fake_sent *sent = rig_expect(rig, "INVITE ");
			snprintf(text, sizeof(text), "<sip:%s@", cases[i].shown);
			assert_non_null(strstr(fake_header(sent, "From"), text));
			snprintf(text, sizeof(text),
				"P-Asserted-Identity: <sip:%s@10.0.2.254:5060>\r\n",
				cases[i].asserted);
			RIG_HAS(sent, text);
			bool hidden = strcmp(cases[i].shown, "anonymous") == 0 &&
				      cases[i].on_refused == TD_CALLER_ANONYMOUS;
			assert_int_equal(fake_has(sent, "Privacy: id\r\n"), hidden);
			RIG_LACKS(sent, "217777");
			refuse(rig, sent);
			assert_string_equal(rig_cdr(rig)->asserted, cases[i].asserted + 1);
		}
		assert_string_equal(rig_cdr(rig)->rules, cases[i].rules);
		rig_down(rig);
	}
}

// The name of who is not shown is not shown beside another number, unless the trunk wants it; the
// form of a number is none of that.
static void names_of_replaced_callers(void **state)
{
	static const struct {
		const char *from;
		bool in, keep, named;
	} cases[] = { { "0217777", false, false, false }, { "0217777", true, false, false },
		{ "0217777", false, true, true }, { "0217777", true, true, true },
		{ "0301234", false, false, true }, { "0301234", true, false, true } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig *rig = rig_new();
		struct td_caller_id_conf *conf = cases[i].in ? &rig->trunks[0].numbers.caller_in
							     : &rig->trunks[1].numbers.caller_out;
		rig->trunks[0].numbers.form = germany;
		allow(conf, "+4930", "+49300", TD_CALLER_DEFAULT);
		conf->keep_name = cases[i].keep;
		rig_policy(rig);
		rig_route(rig, "0");
		from_user = cases[i].from;
		invite(rig);
		const struct fake_sent *sent = rig_expect(rig, "INVITE ");
		assert_int_equal(
			strstr(fake_header(sent, "From"), "\"Alice\"") != NULL, cases[i].named);
		refuse(rig, sent);
		rig_down(rig);
	}
}

// Who may not be shown to a carrier goes to the next one, or is refused.
static void callers_towards_a_trunk(void **state)
{
	for (unsigned n = 1; n <= 2; n++) {
		struct rig *rig = rig_new();
		rig->trunks[0].numbers.form = germany;
		allow(&rig->trunks[1].numbers.caller_out, "+4940", "", TD_CALLER_REJECT);
		allow(&rig->trunks[2].numbers.caller_out, "+4940", "+494000", TD_CALLER_DEFAULT);
		rig->trunks[2].numbers.form = germany;
		rig->trunks[2].numbers.form.format = TD_FORMAT_NATIONAL;
		rig_policy(rig);
		rig_route(rig, n == 1 ? "0" : "02");
		invite(rig);
		if (n == 1) {
			rig_expect(rig, "SIP/2.0 403 ");
		} else {
			const struct fake_sent *sent =
				rig_expect(rig, "INVITE sip:040999@10.0.2.3:5060 ");
			RIG_HAS(sent, "<sip:04000@10.0.2.254:5060>;tag=");
			refuse(rig, sent);
			assert_string_equal(rig_cdr(rig)->rules, "caller_id");
			assert_int_equal(rig->host.counters[TD_C_CALLER_REPLACED], 1);
		}
		rig_down(rig);
	}
}

static void emergency_is_never_screened(void **state)
{
	struct rig *rig = rig_new();

	allow(&rig->trunks[0].numbers.caller_in, "+4930", "", TD_CALLER_REJECT);
	allow(&rig->trunks[1].numbers.caller_out, "+4930", "", TD_CALLER_REJECT);
	rig_policy(rig);
	rig_route(rig, "0");
	char text[2048];
	snprintf(text, sizeof(text),
		"INVITE urn:service:sos SIP/2.0\r\nVia: SIP/2.0/UDP "
		"10.0.1.1:5060;branch=z9hG4bKsos\r\nMax-Forwards: 20\r\n"
		"From: <sip:040999@10.0.1.1>;tag=atag\r\nTo: <urn:service:sos>\r\nCall-ID: "
		"sos\r\nCSeq: 1 INVITE\r\n"
		"Contact: <sip:x@10.0.1.1>\r\nContent-Type: application/sdp\r\nContent-Length: "
		"%zu\r\n\r\n%s",
		strlen(RIG_SDP_A), RIG_SDP_A);
	rig_rx(rig, &rig->west, text);
	refuse(rig, rig_expect(rig, "INVITE urn:service:sos "));
	rig_down(rig);
}

// Privacy that A asks for, towards a trunk that is not trusted.
static void privacy_of_a_trunk(void **state)
{
	static const struct {
		uint8_t privacy;
		bool shown, header;
	} cases[] = { { TD_PRIVACY_HONOUR, false, true }, { TD_PRIVACY_PASS, true, true },
		{ TD_PRIVACY_STRIP, true, false } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig *rig = rig_new();
		rig->trunks[1].numbers.caller_out.privacy = cases[i].privacy;
		rig_policy(rig);
		rig_route(rig, "0");
		more = "Privacy: id\r\n";
		invite(rig);
		const struct fake_sent *sent = rig_expect(rig, "INVITE ");
		assert_int_equal(
			strstr(fake_header(sent, "From"), "0301234") != NULL, cases[i].shown);
		assert_int_equal(fake_has(sent, "Privacy: id\r\n"), cases[i].header);
		refuse(rig, sent);
		rig_down(rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(normalised_and_routed),
		cmocka_unit_test(each_target_its_own_form),
		cmocka_unit_test(nothing_said_nothing_changed),
		cmocka_unit_test(identities_follow),
		cmocka_unit_test(anonymous_stays_so),
		cmocka_unit_test(emergency_is_called_as_it_is),
		cmocka_unit_test(what_gives_up_is_passed_over),
		cmocka_unit_test(pending_route),
		cmocka_unit_test(registered_callee),
		cmocka_unit_test(subscribers_number),
		cmocka_unit_test(rules_of_the_dial_plan),
		cmocka_unit_test(rules_of_a_plan_alone),
		cmocka_unit_test(callers_of_a_trunk),
		cmocka_unit_test(names_of_replaced_callers),
		cmocka_unit_test(callers_towards_a_trunk),
		cmocka_unit_test(emergency_is_never_screened),
		cmocka_unit_test(privacy_of_a_trunk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
