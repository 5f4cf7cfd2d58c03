// SPDX-License-Identifier: BSD-3-Clause
#include "sip/sdp.h"
#include "tests/unit/data_file.h"
#include "tests/unit/guard_page.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct td_sdp sdp;

#define HEAD "v=0\r\no=bob 1 2 IN IP4 192.0.2.1\r\ns=-\r\n"
#define SESSION HEAD "c=IN IP4 192.0.2.9\r\nt=0 0\r\n"

static bool is(struct td_span s, const char *text)
{
	return td_span_eq(s, td_span_str(text));
}

static int parse(const char *text)
{
	return td_sdp_parse(&sdp, text, (uint32_t)strlen(text));
}

static bool address_is(const struct td_sockaddr *a, const char *text)
{
	char got[TD_ADDR_STRLEN];

	td_ip_format(a, false, got, sizeof(got));
	return strcmp(got, text) == 0;
}

static void test_the_carrier_invite(void **state)
{
	struct td_span file = data_file("invite-1023.sip"), name;
	uint32_t clock;

	assert_int_equal(td_sdp_parse(&sdp, file.ptr + file.len - 283, 283), 0);
	assert_int_equal(sdp.n_lines, 14);
	assert_int_equal(sdp.session_end, 5);
	assert_int_equal(sdp.n_media, 1);
	assert_true(is(sdp.origin_user, "bench") && is(sdp.origin_address, "127.0.0.1") &&
		    is(sdp.session_name, "-"));
	assert_true(sdp.session_id == 2890844526 && sdp.session_version == 2890844526);
	const struct td_sdp_media *m = &sdp.media[0];
	assert_true(
		is(m->type, "audio") && is(m->proto, "RTP/AVP") && is(m->formats, "8 0 18 101"));
	assert_true(m->rtp && !m->rtcp_mux && m->direction == TD_SDP_SENDRECV);
	assert_int_equal(m->port, 49170);
	assert_int_equal(m->n_ports, 1);
	assert_int_equal(m->line, 5);
	assert_int_equal(m->end, 14);
	assert_int_equal(m->ptime_ms, 20);
	assert_true(address_is(&m->address, "127.0.0.1"));
	assert_true(td_sdp_codec(&sdp, m, 101, &name, &clock) && is(name, "telephone-event") &&
		    clock == 8000);
	assert_true(td_sdp_codec(&sdp, m, 8, &name, &clock) && is(name, "PCMA"));
	assert_true(
		td_sdp_codec(&sdp, m, 9, &name, &clock) && is(name, "G722")); // the static table
	assert_false(td_sdp_codec(&sdp, m, 96, &name, &clock));
	assert_false(td_sdp_codec(&sdp, m, 2, &name, &clock));
	free((void *)(uintptr_t)file.ptr);
}

static void test_levels(void **state)
{
	assert_int_equal(
		parse(HEAD
			"c=IN IP6 2001:db8::1\r\nt=0 0\r\na=sendonly\r\n"
			"m=audio 6000 RTP/SAVP 0\r\na=rtcp:6005 IN IP4 192.0.2.7\r\na=rtcp-mux\r\n"
			"m=video 6002/2 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 "
			"192.0.2.3/127/2\r\na=recvonly\r\n"
			"m=image 0 udptl t38\r\nc=IN IP4 media.example.com\r\na=inactive\r\n"
			"m=audio 7 TCP/RTP/AVP 0\r\na=rtcp:7\r\na=sendrecv\r\na=ptime:2.5\r\n"),
		0);
	assert_int_equal(sdp.n_media, 4);
	assert_int_equal(sdp.session_end, 6);
	const struct td_sdp_media *m = sdp.media;
	assert_true(m[0].direction == TD_SDP_SENDONLY && m[0].rtp && m[0].rtcp_mux);
	assert_true(
		address_is(&m[0].address, "2001:db8::1") && address_is(&m[0].rtcp, "192.0.2.7"));
	assert_int_equal(m[0].rtcp.port, 6005);
	assert_int_equal(m[0].end, 9);
	assert_true(m[1].direction == TD_SDP_RECVONLY && m[1].n_ports == 2 && m[1].rtp &&
		    !m[1].rtcp_mux);
	assert_true(address_is(&m[1].address, "192.0.2.3") && m[1].rtcp.family == 0 &&
		    m[1].rtcp.port == 0);
	assert_true(m[2].direction == TD_SDP_INACTIVE && m[2].port == 0 && !m[2].rtp &&
		    m[2].address.family == 0);
	assert_true(m[3].direction == TD_SDP_SENDRECV && !m[3].rtp && m[3].ptime_ms == 2);
	assert_true(m[3].rtcp.port == 7 && m[3].rtcp.family == 0);
	assert_int_equal(m[3].end, sdp.n_lines);
}

static void test_hold_by_zero_address(void **state)
{
	assert_int_equal(parse(HEAD "c=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n"), 0);
	assert_int_equal(sdp.media[0].address.family, TD_IPV4);
	assert_true(address_is(&sdp.media[0].address, "0.0.0.0"));
}

static void test_line_ends(void **state)
{
	assert_int_equal(parse("v=0\no=a 1 1 IN IP4 x\ns=\nt=0 0\nm=audio 1 RTP/AVP 0"),
		0); // bare LF, none at the end
	assert_true(is(sdp.media[0].formats, "0"));
	assert_int_equal(parse(SESSION "m=audio 1 RTP/AVP 0\r\n\r\n\r\n"), 0);
	assert_int_equal(parse(SESSION "\r\nm=audio 1 RTP/AVP 0\r\n"), -EBADMSG);
	assert_int_equal(parse(SESSION "a=x\rm=audio 1 RTP/AVP 0\r\n"), -EBADMSG);
	assert_int_equal(
		td_sdp_parse(&sdp, SESSION "a=\0\r\n", sizeof(SESSION "a=\0\r\n") - 1), -EBADMSG);
}

static void test_faults(void **state)
{
	static const char *const bad[] = {
		"",
		"v=0\r\n",
		HEAD, // no t=
		"o=bob 1 2 IN IP4 192.0.2.1\r\nv=0\r\ns=-\r\nt=0 0\r\n",
		"v=1\r\no=bob 1 2 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n",
		"v=0\r\ns=-\r\no=bob 1 2 IN IP4 192.0.2.1\r\nt=0 0\r\n",
		"v=0\r\no=bob 1 2 IN IP4\r\ns=-\r\nt=0 0\r\n",
		"v=0\r\no=bob 1 2 IN IP4 192.0.2.1 more\r\ns=-\r\nt=0 0\r\n",
		HEAD "c=IN IP6 192.0.2.1\r\nt=0 0\r\n",
		HEAD "m=audio 1 RTP/AVP 0\r\nt=0 0\r\n", // t= behind m=
		SESSION "c=IN IP4 192.0.2.8\r\n",        // two session addresses
		SESSION "v=0\r\n",
		SESSION "m=audio 65536 RTP/AVP 0\r\n",
		SESSION "m=audio -1 RTP/AVP 0\r\n",
		SESSION "m=audio 65535/2 RTP/AVP 0\r\n",
		SESSION "m=audio 1/0 RTP/AVP 0\r\n",
		SESSION "m=audio 1 RTP/AVP\r\n",
		SESSION "m=audio 1  RTP/AVP 0\r\n",
		SESSION "m= 1 RTP/AVP 0\r\n",
		SESSION "m =audio 1 RTP/AVP 0\r\n",
		SESSION "M=audio 1 RTP/AVP 0\r\n",
		SESSION "m=audio 1 RTP/AVP 0\r\na=rtcp:0\r\n",
		SESSION "m=audio 1 RTP/AVP 0\r\na=rtcp:99999\r\n",
		SESSION "m=audio 1 RTP/AVP 0\r\na=rtcp:5 IN IP4\r\n",
		SESSION "m=audio 1 RTP/AVP 0\r\nc=IN IP6 192.0.2.1\r\n",
		SESSION "m=audio 1 RTP/AVP 0\r\no=x 1 1 IN IP4 y\r\n",
		SESSION "garbage\r\n",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(bad[i]) != -EBADMSG)
			fail_msg("accepted: %s", bad[i]);
	assert_int_equal(parse(SESSION "m=audio 65535/1 RTP/AVP 0\r\n"), 0);
}

static void test_numbers_that_are_none(void **state)
{
	assert_int_equal(
		parse("v=0\r\no=- abc 18446744073709551616 IN IP4 x\r\ns=-\r\nt=0 0\r\n"), 0);
	assert_true(sdp.session_id == 0 && sdp.session_version == 0);
	assert_int_equal(
		parse("v=0\r\no=- 18446744073709551615 7 IN IP4 x\r\ns=-\r\nt=0 0\r\n"), 0);
	assert_true(sdp.session_id == UINT64_MAX && sdp.session_version == 7);
}

static void test_rtpmap_edges(void **state)
{
	struct td_span name;
	uint32_t clock;

	assert_int_equal(parse(SESSION "m=audio 1 RTP/AVP 31 96 97 98\r\na=rtpmap:31 "
				       "LPC\r\na=rtpmap:96 opus/48000/2\r\n"
				       "a=rtpmap:97 x/0\r\na=rtpmap:980 y/1\r\n"
				       "m=audio 1 RTP/AVP 98\r\na=rtpmap:98 z/8000\r\n"),
		0);
	const struct td_sdp_media *m = &sdp.media[0];
	assert_true(td_sdp_codec(&sdp, m, 31, &name, &clock) &&
		    is(name, "H261")); // RFC 4475's own slip: no clock rate
	assert_true(td_sdp_codec(&sdp, m, 96, &name, &clock) && is(name, "opus") && clock == 48000);
	assert_false(td_sdp_codec(&sdp, m, 97, &name, &clock));
	assert_false(td_sdp_codec(&sdp, m, 98, &name, &clock)); // stands in another section
	assert_false(td_sdp_codec(&sdp, m, 500, &name, &clock));
}

static void test_limits(void **state)
{
	static char text[8192];
	size_t n = 0, head = strlen(SESSION);

	memcpy(text, SESSION, head);
	n = head;
	for (unsigned i = 5; i < TD_SDP_LINES_MAX; i++, n += 5)
		memcpy(text + n, "a=x\r\n", 5);
	assert_int_equal(td_sdp_parse(&sdp, text, (uint32_t)n), 0);
	assert_int_equal(sdp.n_lines, TD_SDP_LINES_MAX);
	memcpy(text + n, "a=x\r\n", 5);
	assert_int_equal(td_sdp_parse(&sdp, text, (uint32_t)n + 5), -EBADMSG);
	assert_int_equal(td_sdp_parse(&sdp, text, 65536), -EBADMSG);
	n = head;
	for (unsigned i = 0; i < TD_SDP_MEDIA_MAX; i++, n += 21)
		memcpy(text + n, "m=audio 1 RTP/AVP 0\r\n", 21);
	assert_int_equal(td_sdp_parse(&sdp, text, (uint32_t)n), 0);
	memcpy(text + n, "m=audio 1 RTP/AVP 0\r\n", 21);
	assert_int_equal(td_sdp_parse(&sdp, text, (uint32_t)n + 21), -EBADMSG);
}

// Cut at every length, before a page that must not be touched: never a crash, and never a line that
// is not there.
static void test_every_length(void **state)
{
	struct td_span file = data_file("invite-1023.sip");
	const char *body = file.ptr + file.len - 283;

	for (uint32_t len = 0; len <= 283; len++) {
		const char *at = guard_page_put(body, len);
		td_sdp_parse(&sdp, at, len);
		assert_true(sdp.n_lines <= 14);
	}
	free((void *)(uintptr_t)file.ptr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_carrier_invite),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_hold_by_zero_address),
		cmocka_unit_test(test_line_ends),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_numbers_that_are_none),
		cmocka_unit_test(test_rtpmap_edges),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_every_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
