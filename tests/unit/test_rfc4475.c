// SPDX-License-Identifier: BSD-3-Clause
// The 49 torture messages of RFC 4475 against the answer each section asks for.
#include "sip/core.h"
#include "tests/unit/data_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct td_msg msg;
static struct td_core core;

static bool is(struct td_span s, const char *text)
{
	return td_span_eq(s, td_span_str(text));
}

static void check_wsinv(void)
{
	assert_int_equal(core.max_forwards, 68);
	assert_int_equal(core.cseq.number, 9);
	assert_true(is(core.to.tag, "1918181833n"));
	assert_true(is(core.from.tag, "98asjd8"));
	assert_true(is(core.from.display, "\"J Rosenberg \\\\\\\"\""));
	assert_true(is(core.via.host, "192.0.2.2"));
	assert_true(is(core.via.branch, "390skdjuw"));
	assert_int_equal(core.via.transport, 0);
	assert_true(is(core.uri.params, "unknownparam"));
	assert_true(is(core.contact.uri.user, "jdrosen"));
	assert_int_equal(msg.body.len, 150);
	// Both forms of the name are one header: Via and v, with a comma inside the second.
	const struct td_header *v = &msg.headers[msg.headers[msg.first[TD_H_VIA]].next];
	struct td_span rest = td_msg_value(&msg, v), entry;
	struct td_via via;
	assert_true(td_list_next(&rest, &entry));
	assert_int_equal(td_via_decode(entry, &via), 0);
	assert_true(is(via.host, "spindle.example.com"));
	assert_int_equal(via.transport, 1);
	assert_true(is(via.branch, "z9hG4bK9ikj8"));
	assert_true(td_list_next(&rest, &entry));
	assert_int_equal(td_via_decode(entry, &via), 0);
	assert_true(is(via.host, "192.168.255.111"));
	assert_true(is(via.branch, "z9hG4bK30239"));
	assert_false(td_list_next(&rest, &entry));
	assert_true(td_msg_has(&msg, TD_H_ROUTE));
	assert_true(td_msg_has(&msg, TD_H_SUBJECT));
	assert_int_equal(td_msg_get(&msg, TD_H_SUBJECT).len, 0);
}

static void check_intmeth(void)
{
	assert_int_equal(msg.method, TD_M_OTHER);
	assert_true(is(msg.method_name, "!interesting-Method0123456789_*+`.%indeed'~"));
	assert_true(is(core.uri.user, "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"));
	assert_true(is(core.uri.password, "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
	assert_true(is(core.from.display, "token1~` token2'+_ token3*%!.-"));
	assert_true(is(core.from.tag, "_token~1'+`*%!-."));
	assert_int_equal(core.max_forwards, 255);
	assert_true(memchr(core.to.display.ptr, '\0', core.to.display.len) != NULL);
}

static void check_esc01(void)
{
	char text[64];
	struct td_span value;

	assert_true(is(core.uri.user, "sips%3Auser%40example.com"));
	assert_int_equal(td_uri_unescape(core.uri.user, text, sizeof(text)), 21);
	assert_memory_equal(text, "sips:user@example.com", 21);
	assert_true(is(core.uri.host, "example.net"));
	assert_true(td_param_get(core.contact.uri.params, TD_SPAN("n%61me"), &value));
	assert_true(is(value, "v%61lue%25%34%31"));
}

static void check_escnull(void)
{
	char text[16];

	assert_int_equal(td_uri_unescape(core.contact.uri.user, text, sizeof(text)), 1);
	assert_int_equal(text[0], 0);
	assert_true(td_msg_repeats(&msg, TD_H_CONTACT));
	assert_int_equal(msg.body.len, 0);
}

static void check_esc02(void)
{
	// %HH is no escape outside a URI: another method than REGISTER, another header than
	// Contact.
	assert_int_equal(msg.method, TD_M_OTHER);
	assert_int_equal(core.cseq.method, TD_M_OTHER);
	unsigned contacts = 0;
	for (uint8_t i = msg.first[TD_H_CONTACT]; i != 0xff; i = msg.headers[i].next)
		contacts++;
	assert_int_equal(contacts, 2);
	assert_true(is(core.from.display, "\"%Z%45\""));
}

static void check_lwsdisp(void)
{
	assert_true(is(core.from.display, "caller"));
	assert_true(is(core.from.uri.user, "caller"));
}

static void check_longreq(void)
{
	assert_int_equal(core.from.uri.user.len, 23 * 5);
	assert_int_equal(core.to.uri.port, 6000);
	unsigned vias = 0;
	for (uint8_t i = msg.first[TD_H_VIA]; i != 0xff; i = msg.headers[i].next)
		vias++;
	assert_int_equal(vias, 34);
}

static void check_dblreq(void)
{
	// What follows the first message on a datagram is ignored (RFC 3261 §18.3).
	assert_int_equal(msg.method, TD_M_REGISTER);
	assert_int_equal(msg.body.len, 0);
	assert_int_equal(msg.len, 300);
	assert_true(td_msg_has(&msg, TD_H_CALL_ID));
}

static void check_semiuri(void)
{
	assert_true(is(core.uri.user, "user;par=u%40example.net"));
	assert_true(is(core.uri.host, "example.com"));
	assert_true(is(core.uri.params, ""));
}

static void check_transports(void)
{
	static const uint8_t expected[] = { 0, 5, 2, 0xff, 1 };
	unsigned n = 0;
	struct td_via via;

	for (uint8_t i = msg.first[TD_H_VIA]; i != 0xff; i = msg.headers[i].next, n++) {
		assert_int_equal(td_via_decode(td_msg_value(&msg, &msg.headers[i]), &via), 0);
		assert_int_equal(via.transport, expected[n]);
	}
	assert_int_equal(n, 5);
}

static void check_mpart01(void)
{
	assert_int_equal(msg.body.len, 553);
	assert_true(is(core.content_type, "multipart/mixed"));
	assert_false(core.sdp);
	assert_true(core.via.has_rport);
}

static void check_unreason(void)
{
	assert_int_equal(msg.status, 200);
	assert_true(msg.reason.len > 60);
	assert_int_equal(msg.method, TD_M_INVITE);
}

static void check_noreason(void)
{
	assert_int_equal(msg.status, 100);
	assert_int_equal(msg.reason.len, 0);
}

static void check_badvers(void)
{
	// 505 must find its way: Via is read although its version is the wrong one as well.
	assert_true(is(core.via.host, "c.example.com"));
	assert_true(is(core.call_id, "badvers.31417@c.example.com"));
}

static void check_mismatch02(void)
{
	assert_int_equal(msg.method, TD_M_OTHER);
	assert_int_equal(core.cseq.method, TD_M_INVITE);
}

static void check_badbranch(void)
{
	// The cookie alone: an element treats it as a branch of RFC 2543 (§3.2.1).
	assert_true(is(core.via.branch, "z9hG4bK"));
}

static void check_unkscm(void)
{
	assert_int_equal(core.uri.scheme, TD_SCHEME_OTHER); // the element answers 416
	assert_true(is(core.uri.scheme_name, "nobodyKnowsThisScheme"));
}

static void check_novelsc(void)
{
	assert_int_equal(core.uri.scheme, TD_SCHEME_OTHER);
	assert_true(is(core.uri.scheme_name, "soap.beep"));
}

static void check_unksm2(void)
{
	assert_int_equal(core.to.uri.scheme, TD_SCHEME_OTHER);
	assert_true(is(core.from.uri.scheme_name, "http"));
	assert_true(is(core.from.tag, "3234233"));
}

static void check_bext01(void)
{
	struct td_span rest = td_msg_get(&msg, TD_H_REQUIRE), entry;

	assert_true(td_list_next(
		&rest, &entry)); // the element answers 420 with these two in Unsupported
	assert_true(is(entry, "nothingSupportsThis"));
	assert_true(td_list_next(&rest, &entry));
	assert_true(is(entry, "nothingSupportsThisEither"));
	assert_false(td_list_next(&rest, &entry));
	assert_true(td_msg_has(&msg, TD_H_PROXY_REQUIRE));
}

static void check_invut(void)
{
	assert_true(is(core.content_type, "application/unknownformat")); // the element answers 415
	assert_false(core.sdp);
	assert_int_equal(msg.body.len, 40);
}

static void check_zeromf(void)
{
	assert_true(core.has_max_forwards); // the element answers OPTIONS itself or 483
	assert_int_equal(core.max_forwards, 0);
}

static void check_cparam01(void)
{
	assert_true(is(core.contact.params, "unknownparam"));
	assert_true(is(core.contact.uri.params, ""));
}

static void check_cparam02(void)
{
	assert_true(is(core.contact.params, ""));
	assert_true(is(core.contact.uri.params, "unknownparam"));
}

static void check_regescrt(void)
{
	assert_true(is(core.contact.uri.headers, "Route=%3Csip:sip.example.com%3E"));
}

static void check_sdp01(void)
{
	assert_true(core.sdp); // Accept names no type we have: the element answers 406
	assert_true(is(td_msg_get(&msg, TD_H_ACCEPT), "text/nobodyKnowsThis"));
}

static void check_inv2543(void)
{
	assert_int_equal(core.from.tag.len, 0);
	assert_int_equal(core.via.branch.len, 0);
	assert_false(core.has_max_forwards);
	assert_int_equal(core.max_forwards, 70);
	assert_true(core.sdp); // no Content-Length: the rest of the datagram
	assert_true(msg.body.len > 0);
}

static void check_bcast(void)
{
	const struct td_header *second = &msg.headers[msg.headers[msg.first[TD_H_VIA]].next];
	struct td_via via;

	assert_int_equal(td_via_decode(td_msg_value(&msg, second), &via), 0);
	assert_true(is(via.host, "255.255.255.255")); // two Via: not for an end point (§3.3.8)
}

static void check_regaut01(void)
{
	assert_true(td_msg_has(&msg, TD_H_AUTHORIZATION));
}

static void check_multi01(void)
{
	assert_true(is(core.via.host, "192.0.2.25"));
}

static void check_insuf(void)
{
	assert_true(is(core.via.host, "192.0.2.95"));
	assert_int_equal(core.cseq.number, 193942);
}

static const struct torture {
	const char *name;
	uint8_t fault;
	uint8_t header;
	void (*check)(void);
} tortures[] = {
	// §3.1.1: valid messages
	{ "wsinv", TD_FAULT_NONE, 0, check_wsinv },
	{ "intmeth", TD_FAULT_NONE, 0, check_intmeth },
	{ "esc01", TD_FAULT_NONE, 0, check_esc01 },
	{ "escnull", TD_FAULT_NONE, 0, check_escnull },
	{ "esc02", TD_FAULT_NONE, 0, check_esc02 },
	{ "lwsdisp", TD_FAULT_NONE, 0, check_lwsdisp },
	{ "longreq", TD_FAULT_NONE, 0, check_longreq },
	{ "dblreq", TD_FAULT_NONE, 0, check_dblreq },
	{ "semiuri", TD_FAULT_NONE, 0, check_semiuri },
	{ "transports", TD_FAULT_NONE, 0, check_transports },
	{ "mpart01", TD_FAULT_NONE, 0, check_mpart01 },
	{ "unreason", TD_FAULT_NONE, 0, check_unreason },
	{ "noreason", TD_FAULT_NONE, 0, check_noreason },
	// §3.1.2: invalid messages. Where the section lets an element repair, this parser does not.
	{ "badinv01", TD_FAULT_VIA, TD_H_VIA, NULL },
	{ "clerr", TD_FAULT_BODY_SHORT, TD_H_CONTENT_LENGTH, NULL },
	{ "ncl", TD_FAULT_CONTENT_LENGTH, TD_H_CONTENT_LENGTH, NULL },
	{ "scalar02", TD_FAULT_CSEQ, TD_H_CSEQ, NULL },
	{ "scalarlg", TD_FAULT_CSEQ, TD_H_CSEQ, NULL },
	{ "quotbal", TD_FAULT_TO, TD_H_TO, NULL },
	{ "ltgtruri", TD_FAULT_URI, 0, NULL },
	{ "lwsruri", TD_FAULT_START_LINE, 0, NULL },
	{ "lwsstart", TD_FAULT_START_LINE, 0, NULL },
	{ "trws", TD_FAULT_START_LINE, 0, NULL },
	{ "escruri", TD_FAULT_URI, 0, NULL },
	{ "baddate", TD_FAULT_DATE, TD_H_DATE, NULL },
	{ "regbadct", TD_FAULT_CONTACT, TD_H_CONTACT, NULL },
	{ "badaspec", TD_FAULT_TO, TD_H_TO, NULL },
	{ "baddn", TD_FAULT_FROM, TD_H_FROM, NULL },
	{ "badvers", TD_FAULT_VERSION, 0, check_badvers },
	{ "mismatch01", TD_FAULT_CSEQ_METHOD, TD_H_CSEQ, NULL },
	{ "mismatch02", TD_FAULT_CSEQ_METHOD, TD_H_CSEQ, check_mismatch02 },
	{ "bigcode", TD_FAULT_START_LINE, 0, NULL },
	// §3.2: transaction layer
	{ "badbranch", TD_FAULT_NONE, 0, check_badbranch },
	// §3.3: application layer
	{ "insuf", TD_FAULT_MISSING, TD_H_FROM, check_insuf },
	{ "unkscm", TD_FAULT_NONE, 0, check_unkscm },
	{ "novelsc", TD_FAULT_NONE, 0, check_novelsc },
	{ "unksm2", TD_FAULT_NONE, 0, check_unksm2 },
	{ "bext01", TD_FAULT_NONE, 0, check_bext01 },
	{ "invut", TD_FAULT_NONE, 0, check_invut },
	{ "regaut01", TD_FAULT_NONE, 0, check_regaut01 },
	{ "multi01", TD_FAULT_TWICE, TD_H_FROM, check_multi01 },
	{ "mcl01", TD_FAULT_CONTENT_LENGTH_TWICE, TD_H_CONTENT_LENGTH, NULL },
	{ "bcast", TD_FAULT_NONE, 0, check_bcast },
	{ "zeromf", TD_FAULT_NONE, 0, check_zeromf },
	{ "cparam01", TD_FAULT_NONE, 0, check_cparam01 },
	{ "cparam02", TD_FAULT_NONE, 0, check_cparam02 },
	{ "regescrt", TD_FAULT_NONE, 0, check_regescrt },
	{ "sdp01", TD_FAULT_NONE, 0, check_sdp01 },
	// §3.4: backward compatibility
	{ "inv2543", TD_FAULT_NONE, 0, check_inv2543 },
};

static void test_message(void **state)
{
	const struct torture *t = *state;
	char name[64];

	snprintf(name, sizeof(name), "rfc4475/%s.dat", t->name);
	struct td_span bytes = data_file(name);
	assert_true(bytes.len > 0);
	td_msg_parse(&msg, bytes.ptr, bytes.len);
	int rc = td_core_decode(&msg, &core);
	assert_int_equal(msg.fault, t->fault);
	assert_int_equal(msg.fault_header, t->header);
	assert_int_equal(rc, t->fault == TD_FAULT_NONE ? 0 : -EBADMSG);
	if (t->check)
		t->check();
	free((void *)(uintptr_t)bytes.ptr);
}

int main(void)
{
	enum { N = sizeof(tortures) / sizeof(tortures[0]) };
	struct CMUnitTest tests[N];

	static_assert(N == 49, "all of them");
	for (unsigned i = 0; i < N; i++)
		tests[i] = (struct CMUnitTest){ tortures[i].name, test_message, NULL, NULL,
			(void *)(uintptr_t)&tortures[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
