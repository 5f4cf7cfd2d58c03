// SPDX-License-Identifier: BSD-3-Clause
// The 12 IPv6 messages of RFC 5118 against what each section asks for.
#include "sip/core.h"
#include "sip/sdp.h"
#include "tests/unit/data_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct td_msg msg;
static struct td_core core;
static struct td_sdp sdp;

static bool is(struct td_span s, const char *text)
{
	return td_span_eq(s, td_span_str(text));
}

static bool address_is(const struct td_sockaddr *a, const char *text)
{
	char got[TD_ADDR_STRLEN];

	td_ip_format(a, false, got, sizeof(got));
	return strcmp(got, text) == 0;
}

static void check_good(void)
{
	assert_true(is(core.uri.host, "[2001:db8::10]") && !core.uri.has_port);
	assert_true(
		is(core.via.host, "[2001:db8::9:1]") && is(core.contact.uri.host, "[2001:db8::1]"));
}

static void check_ambiguous(void)
{
	assert_true(is(core.uri.host, "[2001:db8::10:5070]") &&
		    !core.uri.has_port); // part of the address (§4.3)
}

static void check_unambiguous(void)
{
	assert_true(
		is(core.uri.host, "[2001:db8::10]") && core.uri.has_port && core.uri.port == 5070);
}

static void check_received(const char *expected)
{
	struct td_sockaddr a = { 0 };

	assert_true(is(core.via.received, expected));
	assert_int_equal(td_ip_parse(core.via.received, &a), 0); // with or without brackets (§4.5)
	assert_true(address_is(&a, "2001:db8::9:255"));
}

static void check_with_delim(void)
{
	check_received("[2001:db8::9:255]");
}

static void check_no_delim(void)
{
	check_received("2001:db8::9:255");
}

static void check_in_sdp(void)
{
	assert_int_equal(td_sdp_parse(&sdp, msg.body.ptr, msg.body.len), 0);
	assert_int_equal(sdp.n_media, 2);
	assert_true(address_is(&sdp.media[0].address, "2001:db8::20") &&
		    is(sdp.origin_address, "2001:db8::20"));
}

static void check_mult_ip_in_header(void)
{
	static const char *const hosts[] = { "[2001:db8::9:1]", "192.0.2.1", "[2001:db8::9:255]" };
	struct td_via via;
	unsigned n = 0;

	for (uint8_t i = msg.first[TD_H_VIA]; i != 0xff; i = msg.headers[i].next, n++) {
		assert_int_equal(td_via_decode(td_msg_value(&msg, &msg.headers[i]), &via), 0);
		assert_true(is(via.host, hosts[n]));
	}
	assert_int_equal(n, 3);
	assert_true(is(via.received, "192.0.2.200"));
	assert_int_equal(core.via.port, 6050);
}

static void check_mult_ip_in_sdp(void)
{
	assert_int_equal(td_sdp_parse(&sdp, msg.body.ptr, msg.body.len), 0);
	assert_int_equal(sdp.n_media, 2);
	assert_true(address_is(&sdp.media[0].address, "192.0.2.1") &&
		    address_is(&sdp.media[1].address, "2001:db8::1"));
	assert_int_equal(sdp.session_name.len, 0);
}

static void check_mapped(void)
{
	struct td_sockaddr a = { 0 };

	assert_int_equal(td_ip_parse(core.via.host, &a), 0);
	assert_int_equal(a.family, TD_IPV6);
	assert_int_equal(core.via.port, 19823);
	assert_int_equal(td_sdp_parse(&sdp, msg.body.ptr, msg.body.len), 0);
	assert_true(address_is(&sdp.media[1].address, "::ffff:192.0.2.2"));
}

static void check_three_colons(void)
{
	struct td_sockaddr a = { 0 };

	// The reference may be parsed although RFC 3261's grammar is at fault (§4.10), but it names
	// no address.
	assert_true(is(core.uri.host, "[2001:db8:::192.0.2.1]"));
	assert_int_equal(td_ip_parse(core.uri.host, &a), -1);
}

static void check_two_colons(void)
{
	struct td_sockaddr a = { 0 };

	assert_int_equal(td_ip_parse(core.uri.host, &a), 0);
	assert_true(address_is(&a, "2001:db8::c000:201"));
}

static const struct torture {
	const char *name;
	uint8_t fault;
	void (*check)(void);
} tortures[] = {
	{ "ipv6-good", TD_FAULT_NONE, check_good },
	{ "ipv6-bad", TD_FAULT_URI, NULL },
	{ "port-ambiguous", TD_FAULT_NONE, check_ambiguous },
	{ "port-unambiguous", TD_FAULT_NONE, check_unambiguous },
	{ "via-received-param-with-delim", TD_FAULT_NONE, check_with_delim },
	{ "via-received-param-no-delim", TD_FAULT_NONE, check_no_delim },
	{ "ipv6-in-sdp", TD_FAULT_NONE, check_in_sdp },
	{ "mult-ip-in-header", TD_FAULT_NONE, check_mult_ip_in_header },
	{ "mult-ip-in-sdp", TD_FAULT_NONE, check_mult_ip_in_sdp },
	{ "ipv4-mapped-ipv6", TD_FAULT_NONE, check_mapped },
	{ "ipv6-bug-abnf-3-colons", TD_FAULT_NONE, check_three_colons },
	{ "ipv6-correct-abnf-2-colons", TD_FAULT_NONE, check_two_colons },
};

static void test_message(void **state)
{
	const struct torture *t = *state;
	char name[80];

	snprintf(name, sizeof(name), "rfc5118/%s", t->name);
	struct td_span bytes = data_file(name);
	assert_true(bytes.len > 0);
	int rc = td_msg_parse(&msg, bytes.ptr, bytes.len);
	rc |= td_core_decode(&msg, &core);
	assert_int_equal(msg.fault, t->fault);
	assert_int_equal(rc, t->fault == TD_FAULT_NONE ? 0 : -EBADMSG);
	if (t->check)
		t->check();
	free((void *)(uintptr_t)bytes.ptr);
}

int main(void)
{
	enum { N = sizeof(tortures) / sizeof(tortures[0]) };
	struct CMUnitTest tests[N];

	static_assert(N == 12, "all of them");
	for (unsigned i = 0; i < N; i++)
		tests[i] = (struct CMUnitTest){ tortures[i].name, test_message, NULL, NULL,
			(void *)(uintptr_t)&tortures[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
