// SPDX-License-Identifier: BSD-3-Clause
#include "sip/offer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define SESSION "v=0\r\no=canary 99 7 IN IP4 10.9.9.9\r\ns=secret\r\nc=IN IP4 10.9.9.9\r\nt=0 0\r\n"
#define AUDIO                                                                                      \
	"m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 "                    \
	"telephone-event/8000\r\na=fmtp:101 0-15\r\n"
#define OURS "v=0\r\no=- 5 %u IN IP4 10.0.2.254\r\ns=-\r\nc=IN IP4 10.0.2.254\r\nt=0 0\r\n"
#define OUR_AUDIO                                                                                  \
	"m=audio 20000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 "                   \
	"telephone-event/8000\r\na=fmtp:101 0-15\r\n"

static struct td_sdp sdp;
static struct td_leg_local local[TD_STREAMS_MAX];
static char text[8192], expected[8192];

static struct td_sockaddr address(const char *ip, uint16_t port)
{
	struct td_sockaddr a = { 0 };

	assert_int_equal(td_ip_parse(td_span_str(ip), &a), 0);
	a.port = port;
	return a;
}

static int set_up(void **state)
{
	for (uint16_t i = 0; i < TD_STREAMS_MAX; i++) {
		local[i].rtp = address("10.0.2.254", (uint16_t)(20000 + 2 * i));
		local[i].rtcp = address("10.0.2.254", (uint16_t)(20001 + 2 * i));
	}
	return 0;
}

static void parse(const char *body)
{
	assert_int_equal(td_sdp_parse(&sdp, body, (uint32_t)strlen(body)), 0);
}

static const char *rewritten(const char *body, struct td_sdp_side *to)
{
	struct td_writer w = { text, text, text + sizeof(text) - 1, false };

	parse(body);
	assert_int_equal(td_sdp_rewrite(&sdp, to, local, &w), TD_SDP_OK);
	*w.pos = '\0';
	return text;
}

static const char *ours(unsigned version, const char *media)
{
	int n = snprintf(expected, sizeof(expected), OURS, version);

	snprintf(expected + n, sizeof(expected) - (size_t)n, "%s", media);
	return expected;
}

static void test_plain(void **state)
{
	struct td_sdp_side to;

	td_sdp_side_init(&to, 5);
	assert_string_equal(rewritten(SESSION AUDIO, &to), ours(1, OUR_AUDIO "a=sendrecv\r\n"));
	assert_int_equal(to.n_media, 1);
	// The same again keeps the version, a change moves it by one (RFC 3264 §8).
	assert_string_equal(rewritten(SESSION AUDIO, &to), ours(1, OUR_AUDIO "a=sendrecv\r\n"));
	assert_string_equal(rewritten(SESSION AUDIO "a=sendonly\r\n", &to),
		ours(2, OUR_AUDIO "a=sendonly\r\n"));
	to.session_version = 99;
	assert_string_equal(rewritten(SESSION AUDIO, &to), ours(100, OUR_AUDIO "a=sendrecv\r\n"));
}

static void test_nothing_of_the_first_side(void **state)
{
	struct td_sdp_side to;
	const char *body =
		"v=0\r\no=canary 99 7 IN IP4 "
		"10.9.9.9\r\ns=canary\r\ni=canary\r\nu=http://canary/\r\ne=canary@x\r\n"
		"p=+49canary\r\nc=IN IP4 10.9.9.9\r\nb=AS:84\r\nt=0 "
		"0\r\na=tool:canary\r\na=ice-lite\r\na=group:BUNDLE canary\r\n"
		"a=source-filter: incl IN IP4 * 10.9.9.9\r\nm=audio 4000 RTP/AVP "
		"8\r\ni=canary\r\nc=IN IP4 10.9.9.9\r\n"
		"b=TIAS:64000\r\na=rtcp:4001 IN IP4 10.9.9.9\r\na=candidate:1 1 UDP 1 10.9.9.9 "
		"4000 typ host\r\n"
		"a=ice-ufrag:canary\r\na=ice-pwd:canary\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 "
		"inline:canary\r\n"
		"a=fingerprint:sha-1 00:11:22:33:44:55:66:77\r\na=setup:actpass\r\na=ssrc:1 "
		"cname:canary\r\na=x-own:canary\r\n"
		"a=fmtp:8 at=10.9.9.9\r\na=ptime:20\r\na=end-of-candidates\r\n";

	td_sdp_side_init(&to, 5);
	assert_string_equal(rewritten(body, &to),
		"v=0\r\no=- 5 1 IN IP4 10.0.2.254\r\ns=-\r\nc=IN IP4 10.0.2.254\r\nb=AS:84\r\n"
		"t=0 0\r\nm=audio 20000 RTP/AVP 8\r\nb=TIAS:64000\r\na=ptime:20\r\na=sendrecv\r\n");
}

static void test_refused_streams(void **state)
{
	struct td_sdp_side to;

	td_sdp_side_init(&to, 5);
	local[1].rtp.family = 0;
	assert_string_equal(
		rewritten(SESSION AUDIO "m=video 5000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
					"m=audio 6000 RTP/SAVP 8\r\nm=image 7000 udptl "
					"t38\r\nm=audio 0 RTP/AVP 0\r\nm=audio 8000 RTP/AVP 0\r\n",
			&to),
		ours(1, OUR_AUDIO "a=sendrecv\r\nm=video 0 RTP/AVP 96\r\nm=audio 0 RTP/SAVP "
				  "8\r\nm=image 0 udptl t38\r\n"
				  "m=audio 0 RTP/AVP 0\r\nm=audio 0 RTP/AVP 0\r\n"));
	assert_int_equal(to.n_media, 6);
	// m= lines never go away.
	struct td_writer w = { text, text, text + sizeof(text), false };
	parse(SESSION AUDIO);
	assert_int_equal(td_sdp_rewrite(&sdp, &to, local, &w), TD_SDP_MISMATCH);
	set_up(NULL);
	for (uint32_t i = 0; i < TD_STREAMS_MAX; i++)
		local[i].rtp.family = 0;
	td_sdp_side_init(&to, 5);
	assert_non_null(strstr(
		rewritten(SESSION AUDIO, &to), "c=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 0 RTP/AVP"));
	set_up(NULL);
}

static void test_hold(void **state)
{
	struct td_sdp_side from, to;
	const char *zero =
		"v=0\r\no=- 1 1 IN IP4 10.9.9.9\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n" AUDIO;

	td_sdp_side_init(&from, 1);
	td_sdp_side_init(&to, 5);
	assert_string_equal(rewritten(zero, &to), ours(1, OUR_AUDIO "a=sendonly\r\n"));
	assert_int_equal(td_sdp_side_receive(&from, &sdp, true), TD_SDP_OK);
	assert_int_equal(from.streams[0].direction, TD_SDP_SENDONLY);
	assert_int_equal(from.streams[0].rtp.family, 0);
	assert_true(from.streams[0].active);
	parse("v=0\r\no=- 1 2 IN IP4 10.9.9.9\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 "
	      "0\r\na=recvonly\r\n" AUDIO);
	assert_int_equal(td_sdp_side_receive(&from, &sdp, true), TD_SDP_OK);
	assert_int_equal(from.streams[0].direction, TD_SDP_INACTIVE);
}

static void test_receive(void **state)
{
	struct td_sdp_side side;
	struct td_sockaddr rtp = address("10.9.9.9", 4000), rtcp = address("10.9.9.8", 4444);

	td_sdp_side_init(&side, 1);
	parse(SESSION AUDIO "a=ptime:30\r\na=rtcp:4444 IN IP4 10.9.9.8\r\na=recvonly\r\n");
	assert_int_equal(td_sdp_side_receive(&side, &sdp, true), TD_SDP_OK);
	assert_string_equal(side.codec, "PCMA");
	assert_true(td_sockaddr_eq(&side.streams[0].rtp, &rtp));
	assert_true(td_sockaddr_eq(&side.streams[0].rtcp, &rtcp));
	assert_int_equal(side.streams[0].direction, TD_SDP_RECVONLY);
	assert_int_equal(side.streams[0].ptime_ms, 30);

	// An answer has the offer's m= lines; a new offer has no fewer than before. Nothing changes
	// on a fault.
	struct td_sdp_side before = side;
	parse(SESSION AUDIO "m=video 0 RTP/AVP 96\r\n");
	assert_int_equal(td_sdp_side_receive(&side, &sdp, false), TD_SDP_MISMATCH);
	assert_memory_equal(&side, &before, sizeof(side));
	assert_int_equal(td_sdp_side_receive(&side, &sdp, true), TD_SDP_OK);
	assert_false(side.streams[1].active);
	parse(SESSION AUDIO);
	assert_int_equal(td_sdp_side_receive(&side, &sdp, true), TD_SDP_MISMATCH);
	parse(SESSION);
	assert_int_equal(td_sdp_side_receive(&side, &sdp, true), TD_SDP_NO_MEDIA);
}

static void test_rtcp_mux(void **state)
{
	struct td_sdp_side a, b;

	td_sdp_side_init(&a, 1);
	td_sdp_side_init(&b, 5);
	parse(SESSION AUDIO "a=rtcp-mux\r\n");
	assert_int_equal(td_sdp_side_receive(&a, &sdp, true), TD_SDP_OK);
	assert_false(a.streams[0].rtcp_mux);
	assert_non_null(strstr(rewritten(SESSION AUDIO "a=rtcp-mux\r\n", &b), "a=rtcp-mux\r\n"));
	// B takes it: so do we towards A.
	parse(SESSION AUDIO "a=rtcp-mux\r\n");
	assert_int_equal(td_sdp_side_receive(&b, &sdp, false), TD_SDP_OK);
	assert_true(b.streams[0].rtcp_mux);
	assert_non_null(strstr(rewritten(SESSION AUDIO "a=rtcp-mux\r\n", &a), "a=rtcp-mux\r\n"));
	assert_true(a.streams[0].rtcp_mux);

	// A never offered it: B's answer cannot make it so.
	td_sdp_side_init(&a, 1);
	parse(SESSION AUDIO);
	assert_int_equal(td_sdp_side_receive(&a, &sdp, true), TD_SDP_OK);
	assert_null(strstr(rewritten(SESSION AUDIO "a=rtcp-mux\r\n", &a), "a=rtcp-mux"));
	assert_false(a.streams[0].rtcp_mux);
}

static void test_families_and_rtcp(void **state)
{
	struct td_sdp_side to;

	td_sdp_side_init(&to, 5);
	local[1].rtp = address("fd00:2::fe", 30000);
	local[1].rtcp = address("fd00:2::fe", 30005);
	assert_string_equal(rewritten(SESSION AUDIO "m=audio 5000 RTP/AVP 0\r\n", &to),
		ours(1, OUR_AUDIO "a=sendrecv\r\nm=audio 30000 RTP/AVP 0\r\nc=IN IP6 "
				  "fd00:2::fe\r\na=sendrecv\r\n"
				  "a=rtcp:30005 IN IP6 fd00:2::fe\r\n"));
	set_up(NULL);
}

// Too small at every size: a fault, the side as it was, not a byte beyond.
static void test_overflow(void **state)
{
	struct td_sdp_side to, before;
	struct td_writer whole = { text, text, text + sizeof(text), false };

	td_sdp_side_init(&to, 5);
	to.session_version = 9;
	before = to;
	parse(SESSION AUDIO);
	assert_int_equal(td_sdp_rewrite(&sdp, &to, local, &whole), TD_SDP_OK);
	uint32_t len = td_writer_len(&whole);
	for (uint32_t cap = 0; cap < len; cap++) {
		struct td_writer w = { text, text, text + cap, false };
		to = before;
		text[cap] = '#';
		assert_int_equal(td_sdp_rewrite(&sdp, &to, local, &w), TD_SDP_OVERFLOW);
		assert_memory_equal(&to, &before, sizeof(to));
		assert_int_equal(text[cap], '#');
	}
	struct td_writer w = { text, text, text + len, false };
	to = before;
	assert_int_equal(td_sdp_rewrite(&sdp, &to, local, &w), TD_SDP_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_nothing_of_the_first_side),
		cmocka_unit_test(test_refused_streams),
		cmocka_unit_test(test_hold),
		cmocka_unit_test(test_receive),
		cmocka_unit_test(test_rtcp_mux),
		cmocka_unit_test(test_families_and_rtcp),
		cmocka_unit_test(test_overflow),
	};
	return cmocka_run_group_tests_name("offer", tests, set_up, NULL);
}
