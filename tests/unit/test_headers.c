// SPDX-License-Identifier: BSD-3-Clause
#include "sip/headers.h"
#include "sip/hiding.h"
#include "tests/unit/guard_page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define HEAD                                                                                       \
	"INVITE sip:4930@10.0.1.254 SIP/2.0\r\n"                                                   \
	"Via: SIP/2.0/UDP 10.9.9.9:5060;branch=z9hG4bKcanary\r\n"                                  \
	"From: \"Alice\" <sip:+4989@10.9.9.9:5060;transport=udp>;tag=canary\r\n"                   \
	"To: Bob <sip:4930@10.0.1.254>\r\n"                                                        \
	"Call-ID: canary@10.9.9.9\r\n"                                                             \
	"CSeq: 1 INVITE\r\n"                                                                       \
	"Contact: <sip:canary@10.9.9.9>\r\n"                                                       \
	"Max-Forwards: 70\r\n"

static char out_text[8192];
static struct td_msg msg;
static struct td_core core;

static struct td_sockaddr ours(void)
{
	struct td_sockaddr a = { .port = 5060 };

	assert_int_equal(td_ip_parse(TD_SPAN("10.0.2.254"), &a), 0);
	return a;
}

static void parse(const char *headers)
{
	static char text[8192];

	snprintf(text, sizeof(text), HEAD "%sContent-Length: 0\r\n\r\n", headers);
	if (td_msg_parse(&msg, text, (uint32_t)strlen(text)) < 0 || td_core_decode(&msg, &core) < 0)
		fail_msg("%s", td_fault_text(msg.fault));
}

static struct td_writer writer(size_t cap)
{
	return (struct td_writer){ out_text, out_text, out_text + cap, false };
}

static const char *written(struct td_writer *w)
{
	assert_false(w->overflow);
	*w->pos = '\0';
	return out_text;
}

// What passes of the headers, towards a receiver.
static const char *relayed(const char *headers, uint8_t trust_in, uint8_t trust_out)
{
	struct td_headers_way way = {
		.trust_in = trust_in, .trust_out = trust_out, .our_address = ours()
	};
	struct td_writer w = writer(sizeof(out_text) - 1);

	parse(headers);
	td_headers_relay(&msg, &way, &w);
	return written(&w);
}

static const char *none(const char *headers)
{
	return relayed(headers, TD_TRUST_NONE, TD_TRUST_NONE);
}

static const char *both(const char *headers)
{
	return relayed(headers, TD_TRUST_BOTH, TD_TRUST_BOTH);
}

static void test_pass_and_drop(void **state)
{
	assert_string_equal(none(""), "");
	assert_string_equal(
		none("s: hello\r\nPriority:urgent\r\n"), "Subject: hello\r\nPriority: urgent\r\n");
	assert_string_equal(none("User-Agent: x\r\nServer: y\r\nOrganization: z\r\nX-Own: "
				 "1\r\nWarning: 399 pbx \"t\"\r\n"),
		"");
	assert_string_equal(none("Reason: Q.850;cause=16;text=\"bye\"\r\n"),
		"Reason: Q.850;cause=16;text=\"bye\"\r\n");
	assert_string_equal(none("Subject: two\r\n  lines\r\n"), "Subject: two lines\r\n");
	assert_string_equal(
		none("Record-Route: <sip:10.9.9.9;lr>\r\nSupported: 100rel\r\nAuthorization: "
		     "Digest x=1\r\n"
		     "Session-Expires: 90\r\nReplaces: a;to-tag=b;from-tag=c\r\nRefer-To: "
		     "<sip:x@y>\r\nCall-Info: <http://h/>\r\n"),
		"");
	// Unknown headers only where both sides are trusted.
	assert_string_equal(both("X-Own: 1\r\n"), "X-Own: 1\r\n");
	assert_string_equal(relayed("X-Own: 1\r\n", TD_TRUST_IN, TD_TRUST_IN), "");
	assert_string_equal(none("Alert-Info: <urn:alert:service:call-waiting>\r\n"),
		"Alert-Info: <urn:alert:service:call-waiting>\r\n");
	assert_string_equal(
		both("Alert-Info: <urn:alert:x>, <http://pbx.example/ring.wav>\r\n"), "");
}

static void test_no_address_crosses(void **state)
{
	static const char *const leaks[] = { "Subject: at 10.9.9.9\r\n",
		"X-Host: [fd00:9::9]:5060\r\n", "Subject: fe80::1\r\n",
		"Reason: SIP;cause=480;text=\"from 10.9.9.9:5060\"\r\n",
		"User-to-User: 1:2:3:4:5:6:7:8\r\n", "X-A: ::ffff:10.9.9.9\r\n",
		"X-A: v10.9.9.9v\r\n" };

	for (size_t i = 0; i < sizeof(leaks) / sizeof(leaks[0]); i++)
		assert_string_equal(both(leaks[i]), "");
	assert_string_equal(none("Subject: version 1.2.3, 12:30:00\r\n"),
		"Subject: version 1.2.3, 12:30:00\r\n");
	assert_true(td_hiding_unfit(TD_SPAN("a\x01")));
	assert_true(td_hiding_unfit(TD_SPAN("a\r\nVia: x")));
	assert_true(td_hiding_unfit(td_span("a\0b", 3)));
	assert_false(td_hiding_unfit(TD_SPAN("a\r\n b\tc")));
	assert_false(td_hiding_unfit(TD_SPAN("256.1.1.1")));
	assert_true(td_hiding_unfit(TD_SPAN("1.10.9.9.9")));
	assert_false(td_hiding_unfit(TD_SPAN("")));
}

// Is there something like an address? By the words of the definition, a character at a time.
static bool plainly_unfit(struct td_span s)
{
	for (uint32_t i = 0; i < s.len; i++) {
		unsigned a, b, c, d, colons = 0;
		char rest[64] = "";
		if ((uint8_t)s.ptr[i] == 0x7f || ((uint8_t)s.ptr[i] < ' ' && s.ptr[i] != '\t'))
			return true; // no folds in this test
		memcpy(rest, s.ptr + i, s.len - i);
		bool starts = i == 0 || s.ptr[i - 1] < '0' || s.ptr[i - 1] > '9';
		size_t part[4], at = 0;
		for (unsigned k = 0; k < 4; k++, at += k < 4) {
			part[k] = strspn(rest + at, "0123456789");
			at += part[k];
			if (k < 3 && rest[at] != '.')
				part[k] = 0;
		}
		if (starts && part[0] - 1 < 3 && part[1] - 1 < 3 && part[2] - 1 < 3 &&
			part[3] - 1 < 3 && sscanf(rest, "%u.%u.%u.%u", &a, &b, &c, &d) == 4 &&
			a < 256 && b < 256 && c < 256 && d < 256)
			return true;
		if (i > 0 && strchr("0123456789abcdefABCDEF:.", s.ptr[i - 1]))
			continue;
		size_t run = strspn(rest, "0123456789abcdefABCDEF:");
		for (size_t k = 0; k < run; k++)
			colons += rest[k] == ':';
		rest[run] = '\0';
		if (colons >= 7 || strstr(rest, "::"))
			return true;
	}
	return false;
}

// Texts of all lengths in which addresses nearly or really stand, right before a page that must not
// be touched.
static void test_fit_like_a_plain_loop(void **state)
{
	static const char some[] = "1209.::.aF \tx/\x7f\x01";
	uint64_t random = 1;
	unsigned unfit = 0;

	for (unsigned n = 0; n < 400000; n++) {
		char text[48];
		uint32_t len = n % (sizeof(text) + 1), kinds = n % 3 == 0   ? 4
							       : n % 3 == 1 ? 9
									    : sizeof(some) - 1;
		for (uint32_t i = 0; i < len; i++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			text[i] = random >> 60 ? "abcxyz"[(random >> 40) % 6]
					       : some[(random >> 40) % kinds];
			if (n % 5 == 0)
				text[i] = some[(random >> 40) % kinds];
		}
		struct td_span s = td_span(guard_page_put(text, len), len);
		bool expected = plainly_unfit(s);
		unfit += expected;
		if (td_hiding_unfit(s) != expected)
			fail_msg("\"%.*s\"", (int)len, text);
	}
	assert_true(unfit > 1000);
}

static void test_identities(void **state)
{
	const char *pai = "P-Asserted-Identity: \"A\" <sip:+4989@pbx.west.example;user=phone>, "
			  "<tel:+4989>\r\n";

	assert_string_equal(none(pai), "");
	assert_string_equal(relayed(pai, TD_TRUST_IN, TD_TRUST_IN), "");
	assert_string_equal(relayed(pai, TD_TRUST_OUT, TD_TRUST_OUT), "");
	assert_string_equal(relayed(pai, TD_TRUST_IN, TD_TRUST_OUT),
		"P-Asserted-Identity: \"A\" <sip:+4989@10.0.2.254:5060>, "
		"<sip:+4989@10.0.2.254:5060>\r\n");
	assert_string_equal(both("P-Preferred-Identity: <sip:+4989@h>\r\n"), "");
	assert_string_equal(
		both("Diversion: <sip:77@pbx.west.example>;reason=unconditional;counter=1\r\n"),
		"Diversion: <sip:77@10.0.2.254:5060>;reason=unconditional;counter=1\r\n");
	assert_string_equal(both("Diversion: <sip:77@h>;host=10.9.9.9\r\n"),
		"Diversion: <sip:77@10.0.2.254:5060>\r\n");
	assert_string_equal(none("Diversion: <sip:77@h>\r\nHistory-Info: "
				 "<sip:1@h>;index=1\r\nRemote-Party-ID: <sip:1@h>\r\n"),
		"");
	assert_string_equal(both("P-Asserted-Identity: <http://x/>\r\n"), "");
	assert_string_equal(none("Privacy: id\r\n"), "Privacy: id\r\n");
	assert_string_equal(
		none("Subject: s\r\nPrivacy: header;user\r\n"), "Privacy: header;user\r\n");
}

static const char *from_towards(uint8_t trust_out, struct td_span privacy)
{
	struct td_headers_way way = {
		.trust_out = trust_out, .our_address = ours(), .privacy = privacy
	};
	struct td_writer w = writer(sizeof(out_text) - 1);

	td_headers_from(&core, &way, &w);
	return written(&w);
}

static void test_from_and_to(void **state)
{
	struct td_writer w = writer(sizeof(out_text) - 1);

	parse("");
	assert_string_equal(from_towards(TD_TRUST_NONE, TD_SPAN("none")),
		"\"Alice\" <sip:+4989@10.0.2.254:5060>");
	assert_string_equal(from_towards(TD_TRUST_NONE, TD_SPAN("critical; id")),
		"\"Anonymous\" <sip:anonymous@anonymous.invalid>");
	assert_string_equal(
		from_towards(TD_TRUST_OUT, TD_SPAN("id")), "\"Alice\" <sip:+4989@10.0.2.254:5060>");

	td_headers_to(&core, TD_SPAN("4930"), TD_SPAN("[fd00:2::1]:5070"), &w);
	assert_string_equal(written(&w), "Bob <sip:4930@[fd00:2::1]:5070>");

	core.from.uri.user = TD_SPAN("10.9.9.9");
	core.from.display = TD_SPAN("\"at 10.9.9.9\"");
	assert_string_equal(from_towards(TD_TRUST_NONE, (struct td_span){ 0 }),
		"<sip:anonymous@10.0.2.254:5060>");
}

// Every header that the switch knows, filled with the first side's address and a token: neither
// comes out.
static void test_canary(void **state)
{
	char *all = calloc(1, 8192);

	for (uint32_t id = TD_H_CONTENT_TYPE; id < TD_H__COUNT; id++) {
		struct td_span name = td_header_name((enum td_header_id)id);
		if (id == TD_H_DATE)
			continue; // its value is a date or the message is refused
		snprintf(all, 8192, "%.*s: <sip:10.9.9.9>;canary=10.9.9.9\r\n", (int)name.len,
			name.ptr);
		struct td_headers_way way = { TD_TRUST_BOTH, TD_TRUST_BOTH, ours(), { 0 } };
		struct td_writer w = writer(sizeof(out_text) - 1);
		static char text[8192];
		snprintf(text, sizeof(text), HEAD "%s\r\n", all);
		td_msg_parse(&msg, text, (uint32_t)strlen(text));
		td_headers_relay(&msg, &way, &w);
		assert_null(strstr(written(&w), "10.9.9.9"));
		assert_null(strstr(out_text, "canary"));
	}
	free(all);
}

static void test_overflow(void **state)
{
	struct td_headers_way way = { .our_address = ours() };
	struct td_writer w = writer(10);

	parse("Subject: longer than ten\r\n");
	td_headers_relay(&msg, &way, &w);
	assert_true(w.overflow);
	assert_true(td_writer_len(&w) <= 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pass_and_drop),
		cmocka_unit_test(test_no_address_crosses),
		cmocka_unit_test(test_fit_like_a_plain_loop),
		cmocka_unit_test(test_identities),
		cmocka_unit_test(test_from_and_to),
		cmocka_unit_test(test_canary),
		cmocka_unit_test(test_overflow),
	};
	return cmocka_run_group_tests_name("headers", tests, NULL, NULL);
}
