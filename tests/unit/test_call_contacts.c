// SPDX-License-Identifier: BSD-3-Clause
// Calls to registered phones: all of one q ring together, then the next; the first answer wins, the
// best failure is told.
#include "tests/unit/call_rig.h"
#include "sip/subscribers.h"
#include "tests/unit/digest_client.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define PHONES 3

struct bed {
	struct rig *rig;
	const struct fake_sent *invites[PHONES]; // by phone
};

static const char *const ips[PHONES] = { "10.0.1.61", "10.0.1.62", "10.0.1.63" };
static const char *const uris[PHONES] = { "sip:1002@192.168.0.61:5062", "sip:1002@192.168.0.62;ob",
	"sip:1002@10.0.1.63" };

// The number of q decides how many phones there are: "55" are two of 0.5.
static void bed_up(struct bed *bed, const char *q, uint32_t max_calls)
{
	struct rig *rig = rig_new();
	struct td_locate_answer *located = &rig->host.located;

	*bed = (struct bed){ .rig = rig };
	rig_registrar(rig);
	rig_subscriber(rig, "1002", "49301234", "", max_calls);
	located->subscriber = td_subscribers_by_number(rig->subscribers, TD_SPAN("49301234"));
	rig->host.locate_answer = TD_DONE;
	for (; q[located->n]; located->n++)
		located->contacts[located->n] = (struct td_contact){
			.aor = TD_SPAN("1002@tandem.example"),
			.uri = td_span_str(uris[located->n]),
			.path = located->n == 1 ? TD_SPAN("<sip:10.0.1.99;lr>")
						: (struct td_span){ 0 },
			.flow = fake_flow(&rig->host, FAKE_WEST, ips[located->n],
				(uint16_t)(40000 + located->n)),
			.q = (uint16_t)(100 * (q[located->n] - '0')),
		};
	snprintf(rig->host.known_who, sizeof(rig->host.known_who), "49301234");
	rig->host.route_answer = TD_DONE;
	rig->host.route = (struct td_route_answer){ .n = 2,
		.targets = { { .kind = TD_TARGET_AOR }, { .trunk = 1 } } };
}

static void rang(struct bed *bed, unsigned phone)
{
	char line[128];

	snprintf(line, sizeof(line), "INVITE %s SIP/2.0\r\n", uris[phone]);
	bed->invites[phone] = rig_expect(bed->rig, line);
	assert_true(td_sockaddr_eq(&bed->invites[phone]->flow.remote,
		&bed->rig->host.located.contacts[phone].flow.remote));
}

// The INVITE that each of phones [from, to) has got, in this order.
static void ring(struct bed *bed, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		rang(bed, i);
	rig_silence(bed->rig);
}

// Contacts [0, n) are flows of one phone.
static void flows_of_one_phone(struct bed *bed, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		bed->rig->host.located.contacts[i].instance = TD_SPAN("<urn:uuid:1>");
		bed->rig->host.located.contacts[i].reg_id = i + 1;
	}
}

static void refuse(struct bed *bed, unsigned phone, const char *status)
{
	rig_reply(bed->rig, bed->invites[phone], status, "ptag", "", "");
	rig_expect(bed->rig, "ACK ");
}

static void bed_down(struct bed *bed)
{
	rig_advance(bed->rig, 100);
	bed->rig->host.n_read = bed->rig->host.n_sent;
	rig_free(bed->rig);
}

static void cancelled(struct bed *bed, unsigned phone)
{
	const struct fake_sent *cancel = rig_expect(bed->rig, "CANCEL ");

	assert_true(td_sockaddr_eq(&cancel->flow.remote, &bed->invites[phone]->flow.remote));
	rig_reply(bed->rig, cancel, "200 OK", "", "", "");
	rig_reply(bed->rig, bed->invites[phone], "487 Request Terminated", "ptag", "", "");
	rig_expect(bed->rig, "ACK ");
}

static void first_answer_wins(void **state)
{
	struct rig_dialog a;
	struct bed bed;
	char tags[2][64];

	bed_up(&bed, "55", 1);
	rig_invite(bed.rig, "", RIG_SDP_A);
	ring(&bed, 0, 2);
	assert_string_equal(
		bed.rig->host.last_who, "49301234"); // after the AoR, which is our address
	RIG_HAS(bed.invites[0], "To: <sip:+49301234@tandem.example>\r\n");
	RIG_HAS(bed.invites[0], "From: \"Alice\" <sip:+4930999@tandem.example>;tag=");
	RIG_HAS(bed.invites[0], "Contact: <sip:10.0.1.254:5060>\r\n");
	assert_string_equal(fake_header(bed.invites[0], "Route"), "");
	assert_string_equal(fake_header(bed.invites[1], "Route"), "<sip:10.0.1.99;lr>");
	RIG_LACKS(bed.invites[0], "secretwest");
	assert_int_equal(bed.rig->host.legs_open, 3); // A's, and one of each phone
	for (unsigned i = 0; i < 2; i++) {
		rig_reply(bed.rig, bed.invites[i], "180 Ringing", "ptag",
			"Contact: <sip:x@192.168.0.9>\r\n", "");
		const struct fake_sent *ringing = rig_expect(bed.rig, "SIP/2.0 180 ");
		snprintf(tags[i], sizeof(tags[i]), "%s",
			strstr(fake_header(ringing, "To"), ";tag="));
	}
	assert_string_not_equal(tags[0], tags[1]);
	rig_reply(bed.rig, bed.invites[1], "200 OK", "ptag", "Contact: <sip:x@192.168.0.9>\r\n",
		RIG_SDP_B);
	const struct fake_sent *ack = rig_expect(bed.rig, "ACK sip:x@192.168.0.9 ");
	assert_true(td_sockaddr_eq(
		&ack->flow.remote, &bed.invites[1]->flow.remote)); // on its flow, whatever it names
	const struct fake_sent *ok = rig_expect(bed.rig, "SIP/2.0 200 ");
	assert_string_equal(strstr(fake_header(ok, "To"), ";tag="), tags[1]);
	RIG_HAS(&bed.rig->host.sent[bed.rig->host.n_read], "Call completed elsewhere");
	cancelled(&bed, 0);
	rig_dialog_a(bed.rig, ok, &a);
	rig_send(bed.rig, &a, "ACK", "", "");
	assert_int_equal(bed.rig->host.legs_open, 2);
	rig_send(bed.rig, &a, "BYE", "", "");
	rig_expect(bed.rig, "SIP/2.0 200 ");
	const struct fake_sent *bye = rig_expect(bed.rig, "BYE sip:x@192.168.0.9 ");
	assert_true(td_sockaddr_eq(&bye->flow.remote, &bed.invites[1]->flow.remote));
	rig_reply(bed.rig, bye, "200 OK", "", "", "");
	assert_string_equal(rig_cdr(bed.rig)->trunk_out, "subscribers");
	assert_int_equal(bed.rig->host.n_attempts, 2);
	bed_down(&bed);
}

// A phone whose battery is empty says no BYE.
static void a_phone_that_vanishes_ends_its_call(void **state)
{
	struct rig_dialog a;
	struct bed bed;
	const struct fake_leg *phone = NULL;

	bed_up(&bed, "5", 0);
	bed.rig->subscriber_media_timeout_s = 300;
	rig_policy(bed.rig);
	rig_invite(bed.rig, "", RIG_SDP_A);
	ring(&bed, 0, 1);
	rig_reply(bed.rig, bed.invites[0], "200 OK", "ptag", "Contact: <sip:x@192.168.0.9>\r\n",
		RIG_SDP_B);
	rig_expect(bed.rig, "ACK sip:x@");
	rig_dialog_a(bed.rig, rig_expect(bed.rig, "SIP/2.0 200 "), &a);
	rig_send(bed.rig, &a, "ACK", "", "");
	for (unsigned i = 0; i < FAKE_LEGS_MAX; i++)
		if (bed.rig->host.legs[i].last.timeout_s == 300)
			phone = &bed.rig->host.legs[i];
	assert_non_null(phone);
	td_engine_media_timeout(bed.rig->engine, bed.rig->host.now_ns, phone->opened.call);
	for (int i = 0; i < 2; i++)
		rig_reply(bed.rig, rig_expect(bed.rig, "BYE "), "200 OK", "", "", "");
	assert_int_equal(bed.rig->host.legs_open, 0);
	assert_int_equal(bed.rig->host.counters[TD_C_CALL_MEDIA_TIMEOUT], 1);
	bed_down(&bed);
}

// Two phones at once answer: one is connected, the other one's dialog is ended.
static void two_answers_cross(void **state)
{
	struct rig_dialog a;
	struct bed bed;

	bed_up(&bed, "55", 0);
	rig_invite(bed.rig, "", RIG_SDP_A);
	ring(&bed, 0, 2);
	rig_reply(bed.rig, bed.invites[0], "200 OK", "one", "Contact: <sip:one@192.168.0.61>\r\n",
		RIG_SDP_B);
	rig_expect(bed.rig, "ACK sip:one@");
	rig_dialog_a(bed.rig, rig_expect(bed.rig, "SIP/2.0 200 "), &a);
	rig_reply(bed.rig, bed.invites[1], "200 OK", "two", "Contact: <sip:two@192.168.0.62>\r\n",
		RIG_SDP_B);
	rig_expect(bed.rig, "ACK sip:two@");
	rig_reply(bed.rig, rig_expect(bed.rig, "BYE sip:two@"), "200 OK", "", "", "");
	rig_silence(bed.rig);
	rig_send(bed.rig, &a, "ACK", "", "");
	rig_send(bed.rig, &a, "BYE", "", "");
	rig_expect(bed.rig, "SIP/2.0 200 ");
	rig_reply(bed.rig, rig_expect(bed.rig, "BYE sip:one@"), "200 OK", "", "", "");
	bed_down(&bed);
}

// The lower q rings when all of the higher have failed, and never the trunk behind them.
static void q_after_q_and_the_best_failure(void **state)
{
	struct bed bed;

	bed_up(&bed, "995", 0);
	rig_invite(bed.rig, "", RIG_SDP_A);
	ring(&bed, 0, 2);
	refuse(&bed, 0, "503 Service Unavailable");
	rig_silence(bed.rig);
	refuse(&bed, 1, "486 Busy Here");
	ring(&bed, 2, 3);
	refuse(&bed, 2, "500 Oops");
	rig_expect(bed.rig, "SIP/2.0 486 ");
	rig_silence(bed.rig);
	assert_int_equal(rig_cdr(bed.rig)->sip_code, 486);
	assert_int_equal(bed.rig->host.n_attempts, 3);
	bed_down(&bed);
}

static void decline_ends_all(void **state)
{
	struct bed bed;

	bed_up(&bed, "995", 0);
	rig_invite(bed.rig, "", RIG_SDP_A);
	ring(&bed, 0, 2);
	rig_reply(bed.rig, bed.invites[0], "180 Ringing", "ptag", "", "");
	rig_expect(bed.rig, "SIP/2.0 180 ");
	refuse(&bed, 1, "603 Decline");
	const struct fake_sent *cancel = rig_expect(bed.rig, "CANCEL ");
	rig_reply(bed.rig, cancel, "200 OK", "", "", "");
	rig_expect(bed.rig, "SIP/2.0 603 ");
	rig_reply(bed.rig, bed.invites[0], "487 Request Terminated", "ptag", "", "");
	rig_expect(bed.rig, "ACK ");
	rig_silence(bed.rig);
	assert_int_equal(rig_cdr(bed.rig)->sip_code, 603);
	bed_down(&bed);
}

static void caller_gives_up(void **state)
{
	struct bed bed;

	bed_up(&bed, "55", 0);
	rig_invite(bed.rig, "", RIG_SDP_A);
	ring(&bed, 0, 2);
	for (unsigned i = 0; i < 2; i++) {
		rig_reply(bed.rig, bed.invites[i], "180 Ringing", "ptag", "", "");
		rig_expect(bed.rig, "SIP/2.0 180 ");
	}
	rig_cancel(bed.rig, "");
	rig_expect(bed.rig, "SIP/2.0 200 ");
	rig_expect(bed.rig, "CANCEL ");
	rig_expect(bed.rig, "CANCEL ");
	rig_expect(bed.rig, "SIP/2.0 487 ");
	assert_int_equal(bed.rig->host.n_attempts, 2);
	bed_down(&bed);
}

// BYE in the early dialog of one phone leaves the other ringing.
static void bye_in_one_phones_dialog(void **state)
{
	struct rig_dialog a;
	struct bed bed;

	bed_up(&bed, "55", 0);
	rig_invite(bed.rig, "", RIG_SDP_A);
	ring(&bed, 0, 2);
	rig_reply(bed.rig, bed.invites[0], "180 Ringing", "ptag", "", "");
	rig_dialog_a(bed.rig, rig_expect(bed.rig, "SIP/2.0 180 "), &a);
	rig_send(bed.rig, &a, "BYE", "", "");
	rig_expect(bed.rig, "SIP/2.0 200 ");
	cancelled(&bed, 0);
	rig_silence(bed.rig);
	assert_int_equal(td_engine_calls(bed.rig->engine), 1);
	refuse(&bed, 1, "480 Not Now");
	rig_expect(bed.rig, "SIP/2.0 480 ");
	bed_down(&bed);
}

// Nobody of that name: the next route. Nobody there: 480, and no other route.
static void nobody_is_not_the_same_as_absent(void **state)
{
	struct bed bed;

	bed_up(&bed, "5", 0);
	snprintf(bed.rig->host.known_who, sizeof(bed.rig->host.known_who), "other@tandem.example");
	rig_invite(bed.rig, "", RIG_SDP_A);
	rig_reply(bed.rig, rig_expect(bed.rig, "INVITE sip:+49301234@10.0.2.1:5060 "),
		"486 Busy Here", "b", "", "");
	bed_down(&bed);

	bed_up(&bed, "5", 0);
	snprintf(bed.rig->host.known_who, sizeof(bed.rig->host.known_who), "other@tandem.example");
	bed.rig->host.route.n = 1;
	rig_invite(bed.rig, "", RIG_SDP_A);
	rig_expect(bed.rig, "SIP/2.0 404 ");
	bed_down(&bed);

	bed_up(&bed, "5", 0);
	bed.rig->host.locate_answer = TD_REFUSED;
	bed.rig->host.located.sip_code = 480;
	rig_invite(bed.rig, "", RIG_SDP_A);
	rig_expect(bed.rig, "SIP/2.0 480 ");
	rig_silence(bed.rig);
	assert_int_equal(rig_cdr(bed.rig)->cause, 20);
	assert_int_equal(bed.rig->host.n_attempts, 0);
	bed_down(&bed);
}

// Right after a start nobody knows who registers here: no other route is tried, and nobody is said
// not to exist.
static void not_known_yet_is_neither(void **state)
{
	struct bed bed;

	bed_up(&bed, "5", 0);
	bed.rig->host.locate_answer = TD_REFUSED;
	bed.rig->host.located.sip_code = 503;
	rig_invite(bed.rig, "", RIG_SDP_A);
	rig_expect(bed.rig, "SIP/2.0 503 ");
	rig_silence(bed.rig);
	bed_down(&bed);
}

// What the host found out about whom it was asked for; n: contacts.
static void found(struct bed *bed, enum td_answer answer, uint16_t sip_code)
{
	struct td_locate_answer located = bed->rig->host.located;
	struct td_late_answer late = {
		.cookie = bed->rig->host.last_cookie, .answer = answer, .located = &located
	};

	located.sip_code = sip_code;
	td_engine_answer(bed->rig->engine, bed->rig->host.now_ns, &late);
}

// The host may have to ask somebody else where a subscriber is: that is no 480. A is told 100
// meanwhile.
static void where_is_found_out_later(void **state)
{
	struct bed bed;

	bed_up(&bed, "55", 1);
	bed.rig->host.locate_answer = TD_PENDING;
	rig_invite(bed.rig, "", RIG_SDP_A);
	rig_silence(bed.rig);
	assert_string_equal(bed.rig->host.last_who, "+49301234@10.0.1.254");
	rig_advance(bed.rig, 200);
	rig_expect(bed.rig, "SIP/2.0 100 ");
	// Nothing of that name; the number is asked for, which takes its time too.
	found(&bed, TD_REFUSED, 404);
	rig_silence(bed.rig);
	assert_string_equal(bed.rig->host.last_who, "49301234");
	// An answer to another question changes nothing.
	td_engine_answer(bed.rig->engine, bed.rig->host.now_ns,
		&(struct td_late_answer){ .cookie = bed.rig->host.last_cookie,
			.answer = TD_REFUSED,
			.route = { .sip_code = 404 } });
	rig_advance(bed.rig, 4999);
	rig_silence(bed.rig);
	found(&bed, TD_DONE, 0);
	ring(&bed, 0, 2);
	found(&bed, TD_DONE, 0); // nobody waits for it any more
	rig_silence(bed.rig);
	rig_advance(bed.rig, 1);
	refuse(&bed, 0, "486 Busy Here");
	refuse(&bed, 1, "480 Not Now");
	rig_expect(bed.rig, "SIP/2.0 480 ");
	bed_down(&bed);
}

static void what_may_be_found_out_later(void **state)
{
	static const struct {
		enum td_answer answer;
		uint16_t sip_code, status;
	} cases[] = { { TD_REFUSED, 480, 480 }, { TD_REFUSED, 503, 503 } };
	struct bed bed;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char expected[16];
		bed_up(&bed, "5", 0);
		bed.rig->host.locate_answer = TD_PENDING;
		rig_invite(bed.rig, "", RIG_SDP_A);
		found(&bed, cases[i].answer, cases[i].sip_code);
		snprintf(expected, sizeof(expected), "SIP/2.0 %u ", cases[i].status);
		rig_expect(bed.rig, expected);
		rig_silence(bed.rig);
		bed_down(&bed);
	}
	bed_up(&bed, "5", 0);
	bed.rig->host.locate_answer = TD_PENDING;
	rig_invite(bed.rig, "", RIG_SDP_A);
	found(&bed, TD_REFUSED, 404);
	found(&bed, TD_REFUSED, 404);
	rig_reply(bed.rig, rig_expect(bed.rig, "INVITE sip:+49301234@10.0.2.1:5060 "),
		"486 Busy Here", "b", "", "");
	bed_down(&bed);
}

static void nobody_finds_out_where(void **state)
{
	struct bed bed;

	bed_up(&bed, "5", 0);
	bed.rig->host.locate_answer = TD_PENDING;
	rig_invite(bed.rig, "", RIG_SDP_A);
	rig_advance(bed.rig, 5000);
	rig_expect(bed.rig, "SIP/2.0 100 ");
	RIG_HAS(rig_expect(bed.rig, "SIP/2.0 503 "), "Retry-After: ");
	found(&bed, TD_DONE, 0);
	rig_silence(bed.rig);
	bed_down(&bed);

	bed_up(&bed, "5", 0);
	bed.rig->host.locate_answer = TD_PENDING;
	rig_invite(bed.rig, "", RIG_SDP_A);
	rig_cancel(bed.rig, "");
	rig_expect(bed.rig, "SIP/2.0 200 ");
	rig_expect(bed.rig, "SIP/2.0 487 ");
	found(&bed, TD_DONE, 0);
	rig_silence(bed.rig);
	bed_down(&bed);
}

static void limit_of_the_callee(void **state)
{
	struct bed bed;

	bed_up(&bed, "5", 1);
	assert_int_equal(
		td_subscriber_acquire(bed.rig->subscribers, bed.rig->host.located.subscriber->slot,
			&(struct td_limit){ 1, 0, 0 }, 1),
		0);
	rig_invite(bed.rig, "", RIG_SDP_A);
	rig_expect(bed.rig, "SIP/2.0 486 ");
	rig_silence(bed.rig);
	assert_int_equal(bed.rig->host.counters[TD_C_SIP_SUBSCRIBER_CALLS], 1);
	bed_down(&bed);
}

// A call that rang nowhere takes nothing of what its callee may get in a second; one that rang
// does.
static void a_callees_rate_is_of_calls_that_rang(void **state)
{
	static const struct td_limit one = { .max_cps = 1 };
	enum { ABSENT, NO_PORT, RINGS, CASES };

	for (unsigned i = 0; i < CASES; i++) {
		struct td_subscriber_entry rated;
		struct bed bed;
		bed_up(&bed, i == ABSENT ? "" : "5", 0);
		rated = *bed.rig->host.located.subscriber;
		rated.limit = one;
		bed.rig->host.located.subscriber = &rated;
		bed.rig->host.route.n = 1;
		bed.rig->host.no_port = i == NO_PORT;
		rig_invite(bed.rig, "", RIG_SDP_A);
		if (i == RINGS) {
			ring(&bed, 0, 1);
			refuse(&bed, 0, "480 Temporarily Unavailable");
		}
		rig_expect(bed.rig, i == NO_PORT ? "SIP/2.0 503 " : "SIP/2.0 480 ");
		int rc = td_subscriber_acquire(
			bed.rig->subscribers, rated.slot, &one, bed.rig->host.now_ns);
		assert_int_equal(rc, i == RINGS ? -EAGAIN : 0);
		bed_down(&bed);
	}
}

// A call that goes on to somebody else is none of the callee's any more.
static void a_call_that_moved_on_leaves_its_callee_free(void **state)
{
	struct bed bed;

	bed_up(&bed, "5", 1);
	bed.rig->rule =
		(struct td_failover_conf){ .name = "voicemail", .n_codes = 1, .codes = { 480 } };
	rig_policy(bed.rig);
	bed.rig->host.route.targets[0].failover = 1;
	uint32_t slot = bed.rig->host.located.subscriber->slot;
	rig_invite(bed.rig, "", RIG_SDP_A);
	ring(&bed, 0, 1);
	assert_int_equal(
		td_subscriber_acquire(bed.rig->subscribers, slot, &(struct td_limit){ 1, 0, 0 }, 1),
		-EDQUOT);
	refuse(&bed, 0, "480 Temporarily Unavailable");
	rig_expect(bed.rig, "INVITE sip:+49301234@10.0.2.1:5060 ");
	assert_int_equal(
		td_subscriber_acquire(bed.rig->subscribers, slot, &(struct td_limit){ 1, 0, 0 }, 1),
		0);
	td_subscriber_release(bed.rig->subscribers, slot);
	rig_cancel(bed.rig, "");
	bed_down(&bed);
}

// The called phone too may go on from another address, when it proves whose it is.
static void the_called_phone_moves(void **state)
{
	struct digest_client digest = { .algorithm = TD_DIGEST_SHA256,
		.user = "1002",
		.password = "secret",
		.realm = "tandem.example" };
	struct rig_dialog b;
	struct bed bed;
	char line[1024];

	bed_up(&bed, "5", 1);
	rig_invite(bed.rig, "", RIG_SDP_A);
	ring(&bed, 0, 1);
	rig_reply(bed.rig, bed.invites[0], "200 OK", "ptag", "Contact: <sip:x@192.168.0.9>\r\n",
		RIG_SDP_B);
	rig_expect(bed.rig, "ACK ");
	rig_dialog_b(bed.rig, bed.invites[0], "ptag", &b);
	bed.rig->host.n_read = bed.rig->host.n_sent;
	b.flow = fake_flow(&bed.rig->host, FAKE_WEST, "10.0.1.99", 5099);
	rig_send(bed.rig, &b, "BYE", "", "");
	const struct fake_sent *challenge = rig_expect(bed.rig, "SIP/2.0 401 ");
	assert_true(digest_client_take(
		&digest, td_span_str(fake_header(challenge, "WWW-Authenticate"))));
	digest_client_line(&digest, "BYE", b.target, line, sizeof(line));
	rig_send(bed.rig, &b, "BYE", line, "");
	rig_expect(bed.rig, "SIP/2.0 200 ");
	bed_down(&bed);
}

// Without memory or ports for some of them the others ring; without any the call ends in order.
static void ports_run_out(void **state)
{
	struct bed bed;

	bed_up(&bed, "555", 0);
	bed.rig->host.no_port = true;
	rig_invite(bed.rig, "", RIG_SDP_A);
	rig_expect(bed.rig, "SIP/2.0 503 ");
	assert_int_equal(rig_cdr(bed.rig)->sip_code, 503);
	bed_down(&bed);
}

// RFC 5626 §5.3: a failed flow is replaced by the next of its phone, and never are two of them
// tried at once.
static void a_failed_flow_gives_way_to_the_next(void **state)
{
	struct rig_dialog a;
	struct bed bed;

	bed_up(&bed, "555", 1);
	flows_of_one_phone(&bed, 2);
	rig_invite(bed.rig, "", RIG_SDP_A);
	rang(&bed, 0);
	rang(&bed, 2);
	rig_silence(bed.rig);
	assert_int_equal(bed.rig->host.legs_open, 3);
	refuse(&bed, 0, "430 Flow Failed");
	ring(&bed, 1, 2); // while the other phone still rings
	assert_string_not_equal(fake_header(bed.invites[1], "Call-ID"), "");
	refuse(&bed, 2, "486 Busy Here");
	rig_silence(bed.rig);
	rig_reply(bed.rig, bed.invites[1], "200 OK", "ptag", "Contact: <sip:x@192.168.0.9>\r\n",
		RIG_SDP_B);
	rig_expect(bed.rig, "ACK sip:x@192.168.0.9 ");
	rig_dialog_a(bed.rig, rig_expect(bed.rig, "SIP/2.0 200 "), &a);
	rig_silence(bed.rig);
	assert_int_equal(bed.rig->host.legs_open, 2);
	rig_send(bed.rig, &a, "ACK", "", "");
	rig_send(bed.rig, &a, "BYE", "", "");
	rig_expect(bed.rig, "SIP/2.0 200 ");
	rig_reply(bed.rig, rig_expect(bed.rig, "BYE sip:x@"), "200 OK", "", "", "");
	assert_int_equal(bed.rig->host.n_attempts, 3);
	assert_int_equal(bed.rig->host.counters[TD_C_CALL_FLOW_FAILED], 1);
	bed_down(&bed);
}

static void a_silent_flow_gives_way_to_the_next(void **state)
{
	struct bed bed;

	bed_up(&bed, "95", 0); // whatever its q is
	flows_of_one_phone(&bed, 2);
	rig_invite(bed.rig, "", RIG_SDP_A);
	ring(&bed, 0, 1);
	const struct fake_sent *sent;
	for (int ms = 0; ms < 10000 && bed.rig->host.counters[TD_C_CALL_FLOW_FAILED] == 0; ms++)
		rig_advance(bed.rig, 1);
	while ((sent = fake_next(&bed.rig->host)) &&
		!fake_starts(sent, "INVITE sip:1002@192.168.0.62;ob "))
		assert_true(fake_starts(sent, "SIP/2.0 100 ") ||
			    fake_starts(sent, "INVITE sip:1002@192.168.0.61:5062 "));
	assert_non_null(sent);
	rig_silence(bed.rig);
	bed.invites[1] = sent;
	refuse(&bed, 1, "486 Busy Here");
	rig_expect(bed.rig, "SIP/2.0 486 ");
	assert_int_equal(bed.rig->host.n_attempts, 2);
	bed_down(&bed);
}

// A phone that has spoken is not asked again over another flow, be it rung in vain.
static void an_answer_speaks_for_all_flows(void **state)
{
	static const char *const answers[] = { "486 Busy Here", "503 Service Unavailable",
		"480 Not Now", "500 Oops" };
	struct bed bed;

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		char expected[16];
		bed_up(&bed, "55", 0);
		flows_of_one_phone(&bed, 2);
		rig_invite(bed.rig, "", RIG_SDP_A);
		ring(&bed, 0, 1);
		refuse(&bed, 0, answers[i]);
		snprintf(expected, sizeof(expected), "SIP/2.0 %.3s ", answers[i]);
		rig_expect(bed.rig, expected);
		rig_silence(bed.rig);
		bed_down(&bed);
	}
	bed_up(&bed, "55", 0);
	flows_of_one_phone(&bed, 2);
	rig_invite(bed.rig, "", RIG_SDP_A);
	ring(&bed, 0, 1);
	rig_reply(bed.rig, bed.invites[0], "180 Ringing", "ptag", "", "");
	rig_expect(bed.rig, "SIP/2.0 180 ");
	rig_advance(bed.rig, 181000);
	assert_int_equal(bed.rig->host.n_attempts, 1);
	assert_int_equal(rig_cdr(bed.rig)->sip_code, 480);
	bed_down(&bed);
}

// No caller hears of flows; and the next phone rings when the last flow of the one before has
// failed.
static void all_flows_fail(void **state)
{
	struct bed bed;

	bed_up(&bed, "995", 0);
	flows_of_one_phone(&bed, 2);
	rig_invite(bed.rig, "", RIG_SDP_A);
	ring(&bed, 0, 1);
	refuse(&bed, 0, "430 Flow Failed");
	ring(&bed, 1, 2);
	refuse(&bed, 1, "430 Flow Failed");
	ring(&bed, 2, 3);
	refuse(&bed, 2, "408 Request Timeout");
	rig_expect(bed.rig, "SIP/2.0 480 ");
	rig_silence(bed.rig);
	assert_int_equal(rig_cdr(bed.rig)->sip_code, 480);
	assert_int_equal(bed.rig->host.n_attempts, 3);
	bed_down(&bed);
}

// The caller who gives up takes back the flow that is tried, and no other is tried for it.
static void given_up_on_the_second_flow(void **state)
{
	struct bed bed;

	bed_up(&bed, "555", 0);
	flows_of_one_phone(&bed, 3);
	rig_invite(bed.rig, "", RIG_SDP_A);
	ring(&bed, 0, 1);
	refuse(&bed, 0, "430 Flow Failed");
	ring(&bed, 1, 2);
	rig_reply(bed.rig, bed.invites[1], "180 Ringing", "ptag", "", "");
	rig_expect(bed.rig, "SIP/2.0 180 ");
	rig_cancel(bed.rig, "");
	rig_expect(bed.rig, "SIP/2.0 200 ");
	rig_expect(bed.rig, "CANCEL ");
	rig_expect(bed.rig, "SIP/2.0 487 ");
	refuse(&bed, 1, "430 Flow Failed");
	rig_silence(bed.rig);
	assert_int_equal(bed.rig->host.n_attempts, 2);
	bed_down(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_answer_wins),
		cmocka_unit_test(a_phone_that_vanishes_ends_its_call),
		cmocka_unit_test(two_answers_cross),
		cmocka_unit_test(q_after_q_and_the_best_failure),
		cmocka_unit_test(decline_ends_all),
		cmocka_unit_test(caller_gives_up),
		cmocka_unit_test(bye_in_one_phones_dialog),
		cmocka_unit_test(nobody_is_not_the_same_as_absent),
		cmocka_unit_test(not_known_yet_is_neither),
		cmocka_unit_test(where_is_found_out_later),
		cmocka_unit_test(what_may_be_found_out_later),
		cmocka_unit_test(nobody_finds_out_where),
		cmocka_unit_test(limit_of_the_callee),
		cmocka_unit_test(a_callees_rate_is_of_calls_that_rang),
		cmocka_unit_test(a_call_that_moved_on_leaves_its_callee_free),
		cmocka_unit_test(the_called_phone_moves),
		cmocka_unit_test(ports_run_out),
		cmocka_unit_test(a_failed_flow_gives_way_to_the_next),
		cmocka_unit_test(a_silent_flow_gives_way_to_the_next),
		cmocka_unit_test(an_answer_speaks_for_all_flows),
		cmocka_unit_test(all_flows_fail),
		cmocka_unit_test(given_up_on_the_second_flow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
