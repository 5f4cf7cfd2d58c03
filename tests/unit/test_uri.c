// SPDX-License-Identifier: BSD-3-Clause
#include "sip/uri.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct td_uri uri;

static bool is(struct td_span s, const char *text)
{
	return td_span_eq(s, td_span_str(text));
}

static int parse(const char *text)
{
	return td_uri_parse(td_span_str(text), &uri);
}

static void test_parts(void **state)
{
	assert_int_equal(
		parse("sip:alice:secret@[2001:db8::1]:5061;transport=tcp;lr?a=b&c=%64"), 0);
	assert_int_equal(uri.scheme, TD_SCHEME_SIP);
	assert_true(is(uri.user, "alice") && is(uri.password, "secret") &&
		    is(uri.host, "[2001:db8::1]"));
	assert_true(uri.has_port && uri.port == 5061);
	assert_true(is(uri.params, "transport=tcp;lr") && is(uri.headers, "a=b&c=%64"));
	assert_int_equal(parse("SIPS:example.com"), 0);
	assert_true(uri.scheme == TD_SCHEME_SIPS && uri.user.len == 0 &&
		    is(uri.host, "example.com") && !uri.has_port);
	assert_int_equal(parse("sip:host:5060;x"), 0);
	assert_true(uri.user.len == 0 && is(uri.host, "host") && uri.port == 5060 &&
		    is(uri.params, "x"));
	assert_int_equal(parse("sip:00#4420;a=b@10.0.0.1"), 0);
	assert_true(is(uri.user, "00#4420;a=b") && is(uri.host, "10.0.0.1"));
	assert_int_equal(parse("tel:+1-201-555-0123;phone-context=x"), 0);
	assert_true(uri.scheme == TD_SCHEME_TEL && is(uri.user, "+1-201-555-0123") &&
		    is(uri.params, "phone-context=x"));
	assert_int_equal(parse("urn:service:sos.fire"), 0);
	assert_true(uri.scheme == TD_SCHEME_URN && is(uri.user, "service:sos.fire"));
	assert_int_equal(parse("http://a/b?c;d@e"), 0);
	assert_true(uri.scheme == TD_SCHEME_OTHER && is(uri.scheme_name, "http"));
}

static void test_faults(void **state)
{
	static const char *const bad[] = {
		"",
		"sip",
		"sip:",
		":x",
		"1sip:x",
		"si p:x",
		"<sip:x>",
		"sip:@host",
		"sip:a@",
		"sip:a@b@c",
		"sip:a b@c",
		"sip:a@b c",
		"sip:a@b:0",
		"sip:a@b:65536",
		"sip:a@b:99999999999",
		"sip:a@b:",
		"sip:a@b:5x",
		"sip:a@b;",
		"sip:a@b;;x",
		"sip:a@b;x;",
		"sip:a%4@b",
		"sip:a%zz@b",
		"sip:a@b;x=%g0",
		"sip:a@b;x=\"y\"",
		"sip:a@[]",
		"sip:a@[::1",
		"sip:a@[::g]",
		"sip:2001:db8::1",
		"sip:a@b<c",
		"sip:a@b\r\nX: y",
		"sip:a@b?%1",
		"tel:",
		"tel:;x",
		"tel:x@y",
		"urn:",
		"urn:a b",
		"http://a<b",
		"x:%1",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse(bad[i]) != -EBADMSG)
			fail_msg("accepted: %s", bad[i]);
		assert_true(uri.whole.ptr == NULL && uri.host.len == 0);
	}
	assert_int_equal(td_uri_parse(td_span("sip:a\0b@c", 9), &uri), -EBADMSG);
	assert_int_equal(td_uri_parse((struct td_span){ 0 }, &uri), -EBADMSG);
}

static void test_params(void **state)
{
	struct td_span params = TD_SPAN("a=b ; LR;q = \"x;lr2=y\" ;z="), value;

	assert_true(td_param_get(params, TD_SPAN("A"), &value) && is(value, "b"));
	assert_true(td_param_get(params, TD_SPAN("lr"), &value) && value.len == 0);
	assert_true(td_param_get(params, TD_SPAN("q"), &value) && is(value, "\"x;lr2=y\""));
	assert_false(td_param_get(params, TD_SPAN("lr2"), &value));
	assert_false(td_param_get(params, TD_SPAN("z"), &value)); // malformed: "z=" has no value
	assert_false(td_param_get((struct td_span){ 0 }, TD_SPAN("z"), &value));
	assert_false(td_param_get(TD_SPAN(""), TD_SPAN("z"), &value));
}

static bool equal(const char *a, const char *b)
{
	struct td_uri x, y;

	assert_int_equal(td_uri_parse(td_span_str(a), &x), 0);
	assert_int_equal(td_uri_parse(td_span_str(b), &y), 0);
	assert_int_equal(td_uri_equal(&x, &y), td_uri_equal(&y, &x));
	return td_uri_equal(&x, &y);
}

// The examples of RFC 3261 §19.1.4, and those of RFC 3966 §4.
static void test_equality(void **state)
{
	assert_true(equal(
		"sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"));
	assert_true(equal("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"));
	assert_true(equal("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"));
	assert_true(equal("sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
		"sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"));
	assert_true(equal("sip:biloxi.com;%75ser=phone;x=1", "sip:biloxi.com;X=1;user=phone"));
	assert_false(equal("sip:biloxi.com;x=1;user=phone", "sip:biloxi.com;x=1;%75ser=ip"));
	assert_true(equal("sip:alice@atlanta.com?subject=project%20x&priority=urgent",
		"sip:alice@atlanta.com?priority=urgent&subject=project%20x"));
	assert_false(equal(
		"SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"));
	assert_false(equal("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"));
	assert_false(equal("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"));
	assert_false(equal("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"));
	assert_false(
		equal("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"));
	assert_false(equal("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"));
	assert_false(
		equal("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"));
	assert_true(equal("sip:a@b;x=1;x=2?h=1&h=2", "sip:a@b;x=1;x=2?h=2&h=1"));
	assert_false(equal("sip:a@b;x=1;x=2", "sip:a@b;x=1;x=3"));
	assert_false(equal("sip:a@b", "sips:a@b"));
	assert_false(equal("sip:a@b;user=phone", "sip:a@b"));
	assert_true(equal("tel:+1-201-555-0123", "tel:+12015550123"));
	assert_false(equal("tel:+1-201-555-0123;ext=1", "tel:+12015550123"));
	assert_false(equal("tel:+12015550123", "tel:+12015550124"));
	assert_true(equal("urn:service:SOS", "URN:service:sos"));
	assert_false(equal("http://a/B", "http://a/b"));
}

static void check_number(const char *text, bool use_rn, const char *expected)
{
	char dst[64];

	assert_int_equal(parse(text), 0);
	int n = td_uri_number(&uri, use_rn, dst, sizeof(dst));
	if (n < 0 || !td_span_eq(td_span(dst, (size_t)n), td_span_str(expected)))
		fail_msg("%s gives %.*s", text, n, dst);
}

static void test_number(void **state)
{
	char dst[4];

	check_number("sip:+44-20.7946(0123)@h;user=phone", false, "442079460123");
	check_number("sip:%2b44%32@h", false, "442");
	check_number("sip:+442079460123;npdi;rn=+441@h", false, "442079460123");
	check_number("sip:+442079460123;npdi;rn=+44-1@h", true, "441");
	check_number("tel:+442079460123;rn=+443", true, "443");
	check_number("tel:+442079460123;rn=+443", false, "442079460123");
	check_number("sip:1@h;rn=7", true, "1"); // a parameter of the URI, not of the number
	check_number("sip:12#34@h", false, "12#34");
	check_number("sip:*72@h", false, "*72");
	check_number("sip:alice.smith@h", false, "alice.smith");
	check_number("sip:%61l;x@h", false, "al;x");
	check_number("sip:++1@h", false, "++1");
	check_number("sip:h", false, "");
	check_number("urn:service:sos", false, "service:sos");
	parse("sip:12345@h");
	assert_int_equal(td_uri_number(&uri, false, dst, sizeof(dst)), -ENOBUFS);
	parse("sip:abcde@h");
	assert_int_equal(td_uri_number(&uri, false, dst, sizeof(dst)), -ENOBUFS);
}

static void test_unescape(void **state)
{
	char dst[8];

	assert_int_equal(td_uri_unescape(TD_SPAN("%41%6aB%00"), dst, sizeof(dst)), 4);
	assert_memory_equal(dst, "AjB\0", 4);
	assert_int_equal(
		td_uri_unescape(TD_SPAN("%4%zz%"), dst, sizeof(dst)), 6); // no escape, no change
	assert_int_equal(td_uri_unescape(TD_SPAN("123456789"), dst, sizeof(dst)), -ENOBUFS);
	assert_int_equal(td_uri_unescape(TD_SPAN("12345678"), dst, sizeof(dst)), 8);
	assert_int_equal(td_uri_unescape((struct td_span){ 0 }, dst, sizeof(dst)), 0);
}

static void test_emergency(void **state)
{
	static const struct {
		const char *text;
		bool expected;
	} cases[] = {
		{ "urn:service:sos", true },
		{ "URN:Service:SOS", true },
		{ "urn:service:sos.fire", true },
		{ "urn:service:sosx", false },
		{ "urn:service:counseling", false },
		{ "sip:service:sos@h", false },
		{ "urn:service", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(parse(cases[i].text), 0);
		assert_int_equal(td_uri_emergency(&uri), cases[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_params),
		cmocka_unit_test(test_equality),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_unescape),
		cmocka_unit_test(test_emergency),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
