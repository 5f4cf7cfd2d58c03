// SPDX-License-Identifier: BSD-3-Clause
#include "sip/core.h"
#include "sip/hdr_date.h"
#include "sip/writer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct td_msg msg;
static struct td_core core;
static char text[4096];

static bool is(struct td_span s, const char *expected)
{
	return td_span_eq(s, td_span_str(expected));
}

#define VIA "Via: SIP/2.0/UDP h;branch=z9hG4bKx\r\n"
#define REST "From: <sip:f@h>;tag=1\r\nTo: <sip:t@h>\r\nCall-ID: c@h\r\nCSeq: 1 INVITE\r\n"

// Fault of a request with these header lines.
static uint8_t fault_of(const char *headers)
{
	snprintf(text, sizeof(text), "INVITE sip:a@b SIP/2.0\r\n%s\r\n", headers);
	assert_int_equal(td_msg_parse(&msg, text, (uint32_t)strlen(text)), 0);
	int rc = td_core_decode(&msg, &core);
	assert_int_equal(rc, msg.fault == TD_FAULT_NONE ? 0 : -EBADMSG);
	return msg.fault;
}

static void test_presence(void **state)
{
	assert_int_equal(fault_of(VIA REST), 0);
	assert_true(
		core.max_forwards == 70 && !core.has_max_forwards && core.contact.whole.len == 0);
	assert_int_equal(fault_of(REST), TD_FAULT_MISSING);
	assert_int_equal(msg.fault_header, TD_H_VIA);
	assert_true(is(core.call_id, "c@h")); // what can be read is there all the same
	assert_int_equal(fault_of(VIA REST "Call-ID: d\r\n"), TD_FAULT_TWICE);
	assert_int_equal(msg.fault_header, TD_H_CALL_ID);
	assert_int_equal(fault_of(VIA REST "t: <sip:t@h>\r\n"), TD_FAULT_TWICE);
	assert_int_equal(
		fault_of(VIA REST "Max-Forwards: 1\r\nMax-Forwards: 2\r\n"), TD_FAULT_TWICE);
	assert_int_equal(
		fault_of(VIA REST "c: a/b\r\nContent-Type: application/sdp\r\n"), TD_FAULT_TWICE);
	assert_int_equal(fault_of(VIA REST VIA "m: <sip:x>\r\nContact: <sip:y>\r\n"), 0);
	assert_true(is(core.contact.uri.host, "x"));
}

static void test_single_headers(void **state)
{
	static const struct {
		const char *header;
		uint8_t fault;
	} cases[] = {
		{ "Max-Forwards: 0\r\n", 0 },
		{ "Max-Forwards: 255\r\n", 0 },
		{ "Max-Forwards: 256\r\n", TD_FAULT_MAX_FORWARDS },
		{ "Max-Forwards: -1\r\n", TD_FAULT_MAX_FORWARDS },
		{ "Max-Forwards:\r\n", TD_FAULT_MAX_FORWARDS },
		{ "Contact:\r\n", TD_FAULT_CONTACT },
		{ "Contact: *\r\n", 0 },
		{ "Contact: <sip:a@b>, garbage\r\n", 0 }, // only the first is asked for
		{ "Contact: garbage\r\n", TD_FAULT_CONTACT },
		{ "Content-Type: application\r\n", TD_FAULT_CONTENT_TYPE },
		{ "Content-Type: application/\r\n", TD_FAULT_CONTENT_TYPE },
		{ "Content-Type: a/b c\r\n", TD_FAULT_CONTENT_TYPE },
		{ "Content-Type: a / b ;c=d\r\n", 0 },
		{ "Content-Type:\r\n", TD_FAULT_CONTENT_TYPE },
		{ "Date: Sat, 13 Nov 2010 23:29:00 GMT\r\n", 0 },
		{ "Date: Sat, 13 Nov 2010 23:29:00 EST\r\n", TD_FAULT_DATE },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char headers[1024];
		snprintf(headers, sizeof(headers), VIA REST "%s", cases[i].header);
		if (fault_of(headers) != cases[i].fault)
			fail_msg("%s: fault %u", cases[i].header, msg.fault);
	}
	assert_int_equal(
		fault_of(VIA "From: *\r\nTo: <sip:t@h>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"),
		TD_FAULT_FROM);
	assert_int_equal(fault_of(VIA "From: <sip:f@h>\r\nTo:\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"),
		TD_FAULT_TO);
	assert_int_equal(
		fault_of(VIA "From: <sip:f@h>\r\nTo: sip:t\r\nCall-ID: c d\r\nCSeq: 1 INVITE\r\n"),
		TD_FAULT_CALL_ID);
	assert_int_equal(
		fault_of(VIA "From: <sip:f@h>\r\nTo: sip:t\r\nCall-ID:\r\nCSeq: 1 INVITE\r\n"),
		TD_FAULT_CALL_ID);
	assert_int_equal(
		fault_of(VIA "From: <sip:f@h>\r\nTo: sip:t\r\nCall-ID: c\r\nCSeq: 1 BYE\r\n"),
		TD_FAULT_CSEQ_METHOD);
}

static void test_sdp_flag(void **state)
{
	static const char format[] = "SIP/2.0 200 OK\r\n" VIA REST "c: %s\r\nl: %u\r\n\r\nv=0";

	snprintf(text, sizeof(text), format, "Application/SDP;x=y", 3);
	assert_int_equal(td_msg_parse(&msg, text, (uint32_t)strlen(text)), 0);
	assert_int_equal(td_core_decode(&msg, &core), 0);
	assert_true(
		core.sdp && is(core.content_type, "Application/SDP") && msg.method == TD_M_INVITE);
	snprintf(text, sizeof(text), format, "application/sdp", 0);
	td_msg_parse(&msg, text, (uint32_t)strlen(text));
	assert_int_equal(td_core_decode(&msg, &core), 0);
	assert_false(core.sdp);
	snprintf(text, sizeof(text), format, "application/sdpx", 3);
	td_msg_parse(&msg, text, (uint32_t)strlen(text));
	assert_int_equal(td_core_decode(&msg, &core), 0);
	assert_false(core.sdp);
}

static void test_first_fault_stays(void **state)
{
	const char *bad =
		"INVITE  sip:a@b SIP/2.0\r\n" VIA "To: <<\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n";

	assert_int_equal(td_msg_parse(&msg, bad, (uint32_t)strlen(bad)), -EBADMSG);
	assert_int_equal(td_core_decode(&msg, &core), -EBADMSG);
	assert_int_equal(msg.fault, TD_FAULT_START_LINE);
	assert_true(is(core.via.branch, "z9hG4bKx") && core.to.whole.ptr == NULL &&
		    core.from.whole.ptr == NULL);
	assert_int_equal(core.cseq.number, 1);
}

static void test_list(void **state)
{
	struct td_span rest = TD_SPAN(" a , \"b,\\\",c\" <d,e>;f , (g,(h)),i ,, j, "), entry;
	static const char *const expected[] = { "a", "\"b,\\\",c\" <d,e>;f", "(g,(h))", "i", "",
		"j" };

	for (size_t i = 0; i < 6; i++) {
		assert_true(td_list_next(&rest, &entry));
		assert_true(is(entry, expected[i]));
	}
	assert_false(td_list_next(&rest, &entry));
	rest = (struct td_span){ 0 };
	assert_false(td_list_next(&rest, &entry));
	rest = TD_SPAN("\"open, quote");
	assert_true(td_list_next(&rest, &entry) && is(entry, "\"open, quote"));
	assert_false(td_list_next(&rest, &entry));
}

static void test_via(void **state)
{
	struct td_via via;

	assert_int_equal(
		td_via_decode(
			TD_SPAN("SIP / 2.0 / tls [2001:db8::1] : 5061 ;RPORT; branch = z9hG4bKa "
				";received=2001:db8::9;maddr=m;ttl=3;x=\"q;branch=1\""),
			&via),
		0);
	assert_int_equal(via.transport, 2);
	assert_true(is(via.host, "[2001:db8::1]") && via.port == 5061 && via.has_rport &&
		    via.rport.len == 0);
	assert_true(is(via.branch, "z9hG4bKa") && is(via.received, "2001:db8::9") &&
		    is(via.maddr, "m"));
	assert_int_equal(td_via_decode(TD_SPAN("SIP/2.0/UDP h;rport=5070"), &via), 0);
	assert_true(via.has_rport && is(via.rport, "5070") && via.port == 0 && via.branch.len == 0);
	static const char *const bad[] = {
		"",
		"SIP/2.0/UDP",
		"SIP/2.0/UDP ",
		"SIP/2.0 h",
		"SIP/2.0/ h",
		"SIP/2.0/UDPh",
		"SIP/2.0/UDP h h",
		"SIP/2.0/UDP h:0",
		"SIP/2.0/UDP h:70000",
		"SIP/2.0/UDP h:",
		"SIP/2.0/UDP h;",
		"SIP/2.0/UDP h;;branch=x",
		"SIP/2.0/UDP h;branch=",
		"SIP/2.0/UDP h;branch=a;branch=b",
		"SIP/2.0/UDP [::1",
		"SIP/2.0/UDP h;x=\"open",
		"SIP/2.0/UDP h?x",
		"SIP/2.0/UDP h;received=1;received=2",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (td_via_decode(td_span_str(bad[i]), &via) != -EBADMSG)
			fail_msg("accepted: %s", bad[i]);
		assert_true(via.whole.ptr == NULL && via.host.len == 0);
	}
}

static void test_name_addr(void **state)
{
	struct td_name_addr n;

	assert_int_equal(
		td_name_addr_decode(
			TD_SPAN("\"A \\\" <x>\" <sip:a@h;p> ; tag = \tt1 ;q=\"a;tag=2\""), &n),
		0);
	assert_true(is(n.display, "\"A \\\" <x>\"") && is(n.tag, "t1") && is(n.uri.params, "p") &&
		    n.angle);
	assert_true(is(n.params, "tag = \tt1 ;q=\"a;tag=2\""));
	assert_int_equal(td_name_addr_decode(TD_SPAN("A B <tel:+1>"), &n), 0);
	assert_true(is(n.display, "A B") && n.uri.scheme == TD_SCHEME_TEL && n.tag.len == 0);
	assert_int_equal(td_name_addr_decode(TD_SPAN("sip:a@h;tag=x;lr"), &n), 0);
	assert_true(
		is(n.tag, "x") && n.uri.params.len == 0 && !n.angle && is(n.params, "tag=x;lr"));
	assert_int_equal(td_name_addr_decode(TD_SPAN("<sip:h>;tag=ab+/c=="), &n), 0);
	assert_true(is(n.tag, "ab+/c=="));
	assert_int_equal(td_name_addr_decode(TD_SPAN("*"), &n), 0);
	assert_true(n.star);
	static const char *const bad[] = {
		"",
		"<>",
		"<sip:a",
		"sip:a>",
		"\"x\"",
		"\"x\" sip:a@h",
		"\"x <sip:a@h>",
		"A, B <sip:a@h>",
		"<sip:a@h> x",
		"<sip:a@h>;",
		"<sip:a@h>;tag",
		"<sip:a@h>;tag=1;tag=2",
		"<sip:a@h>;;tag=1",
		"sip:a@h?x=y",
		"sip:a@h,b",
		"< sip:a@h>",
		"<sip:a@h >",
		"<<sip:a@h>>",
		"* ;x",
		"<sip:a@h>;x=\"y",
		"A\xc3\xa4 <sip:a@h>",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (td_name_addr_decode(td_span_str(bad[i]), &n) != -EBADMSG)
			fail_msg("accepted: %s", bad[i]);
		assert_true(n.whole.ptr == NULL && n.uri.host.len == 0);
	}
}

static void test_cseq_and_numbers(void **state)
{
	struct td_cseq cseq;
	uint32_t n = 5;

	assert_int_equal(td_cseq_decode(TD_SPAN("2147483647 \r\n BYE"), &cseq), 0);
	assert_true(
		cseq.number == INT32_MAX && cseq.method == TD_M_BYE && is(cseq.method_name, "BYE"));
	assert_int_equal(td_cseq_decode(TD_SPAN("0 X.y"), &cseq), 0);
	assert_true(cseq.method == TD_M_OTHER);
	static const char *const bad[] = { "", "1", "1 ", "BYE", "1BYE", "-1 BYE", "2147483648 BYE",
		"1 BYE x", "1 B@E", "99999999999999999999999999999999 BYE" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(td_cseq_decode(td_span_str(bad[i]), &cseq), -EBADMSG);
	assert_int_equal(td_number_decode(TD_SPAN("0090"), 90, &n), 0);
	assert_int_equal(n, 90);
	assert_int_equal(td_number_decode(TD_SPAN("91"), 90, &n), -ERANGE);
	assert_int_equal(
		td_number_decode(TD_SPAN("99999999999999999999999999"), UINT32_MAX, &n), -ERANGE);
	assert_int_equal(td_number_decode(TD_SPAN("4294967295"), UINT32_MAX, &n), 0);
	assert_true(n == UINT32_MAX);
	assert_int_equal(td_number_decode(TD_SPAN("4294967296"), UINT32_MAX, &n), -ERANGE);
	assert_int_equal(td_number_decode(TD_SPAN("9 "), 90, &n), -EBADMSG);
	assert_int_equal(td_number_decode((struct td_span){ 0 }, 90, &n), -EBADMSG);
	assert_true(n == UINT32_MAX); // written only on success
}

static void test_date(void **state)
{
	assert_true(td_date_valid(TD_SPAN("Sat, 13 Nov 2010 23:29:00 GMT")));
	assert_false(td_date_valid(TD_SPAN("Sat, 13 Nov 2010 23:29:00 UTC")));
	assert_false(td_date_valid(TD_SPAN("Sat, 13 Nox 2010 23:29:00 GMT")));
	assert_false(td_date_valid(TD_SPAN("Sax, 13 Nov 2010 23:29:00 GMT")));
	assert_false(td_date_valid(TD_SPAN("Sat, 1x Nov 2010 23:29:00 GMT")));
	assert_false(td_date_valid(TD_SPAN("Sat, 13 Nov 2010 23:29:00 GMT ")));
	assert_false(td_date_valid((struct td_span){ 0 }));
}

// RFC 5952: what is written is the one canonical text, and reads back as the same address for every
// pattern of zeros.
static void test_writer_addresses(void **state)
{
	static const char *const canonical[] = { "0.0.0.0", "255.255.255.255", "10.0.100.1", "[::]",
		"[::1]", "[::ffff:192.0.2.1]", "[1::]", "[2001:db8::1:0:0:1]", "[2001:0:0:1::1]",
		"[fe80::a0b:c0d]", "[2001:db8:0:1:1:1:1:1]" };
	char out[128];
	struct td_buf buf = { .data = out, .cap = sizeof(out) };
	struct td_sockaddr a = { .family = TD_IPV6 }, back = { 0 };

	for (unsigned bits = 0; bits < 256; bits++) {
		for (unsigned i = 0; i < 8; i++) {
			a.ip[2 * i] = bits >> i & 1 ? (uint8_t)(bits * 7) : 0;
			a.ip[2 * i + 1] = bits >> i & 1 ? (uint8_t)(i + 1) : 0;
		}
		struct td_writer w = td_writer(&buf);
		td_put_ip(&w, &a);
		assert_int_equal(td_ip_parse(td_span(out, td_writer_len(&w)), &back), 0);
		assert_true(td_ip_eq(&a, &back));
	}
	for (size_t i = 0; i < sizeof(canonical) / sizeof(canonical[0]); i++) {
		assert_int_equal(td_ip_parse(td_span_str(canonical[i]), &back), 0);
		struct td_writer w = td_writer(&buf);
		back.port = 0;
		td_put_hostport(&w, &back);
		assert_true(is(td_span(out, td_writer_len(&w)), canonical[i]));
		back.port = 5060;
		td_put_hostport(&w, &back);
		assert_true(is(td_span(out + td_writer_len(&w) - 5, 5), ":5060"));
	}
}

static void test_writer_overflow(void **state)
{
	char out[12];
	struct td_buf buf = { .data = out, .cap = 8 };
	struct td_sockaddr a = { .family = TD_IPV4, .ip = { 255, 255, 255, 255 }, .port = 65535 };
	struct td_writer w = td_writer(&buf);

	memset(out, 'z', sizeof(out));
	td_put_hostport(&w, &a);
	assert_true(w.overflow && td_writer_len(&w) <= 8);
	assert_memory_equal(out + 8, "zzzz", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_presence),
		cmocka_unit_test(test_single_headers),
		cmocka_unit_test(test_sdp_flag),
		cmocka_unit_test(test_first_fault_stays),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_via),
		cmocka_unit_test(test_name_addr),
		cmocka_unit_test(test_cseq_and_numbers),
		cmocka_unit_test(test_date),
		cmocka_unit_test(test_writer_addresses),
		cmocka_unit_test(test_writer_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
