// SPDX-License-Identifier: BSD-3-Clause
// Digest against the examples of RFC 7616 §3.9.1 and RFC 2617 §3.5; credentials as they come.
#include "sip/digest.h"
#include "sip/hdr_auth.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void answers(enum td_digest_algorithm a, const char *realm, const char *password,
	const struct td_digest_ask *ask, const char *expected)
{
	uint8_t ha1[TD_DIGEST_BYTES_MAX];
	char hex[TD_DIGEST_HEX_MAX];

	td_digest_ha1(a, TD_SPAN("Mufasa"), td_span_str(realm), td_span_str(password), ha1);
	size_t len = td_digest_response(a, ha1, ask, hex);
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(hex, expected, len);
	// The same from what is kept of HA1 and of the last method and URI; twice, to use what is
	// kept.
	static struct td_digest_a2 kept[TD_DIGEST__COUNT];
	uint8_t seed[TD_DIGEST_BYTES_MAX];
	td_digest_seed(a, ha1, seed);
	for (int i = 0; i < 2; i++) {
		td_digest_a2(&kept[a], a, ask->method, ask->uri);
		len = td_digest_seeded(a, seed, &kept[a], ask, hex);
		assert_int_equal(len, strlen(expected));
		assert_memory_equal(hex, expected, len);
	}
}

static void rfc_7616_examples(void **state)
{
	const struct td_digest_ask ask = {
		.method = TD_SPAN("GET"),
		.uri = TD_SPAN("/dir/index.html"),
		.nonce = TD_SPAN("7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"),
		.nc = TD_SPAN("00000001"),
		.cnonce = TD_SPAN("f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"),
		.qop = TD_SPAN("auth"),
	};

	answers(TD_DIGEST_MD5, "http-auth@example.org", "Circle of Life", &ask,
		"8ca523f5e9506fed4657c9700eebdbec");
	answers(TD_DIGEST_SHA256, "http-auth@example.org", "Circle of Life", &ask,
		"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
}

static void rfc_2617_examples(void **state)
{
	struct td_digest_ask ask = {
		.method = TD_SPAN("GET"),
		.uri = TD_SPAN("/dir/index.html"),
		.nonce = TD_SPAN("dcd98b7102dd2f0e8b11d0f600bfb0c093"),
		.nc = TD_SPAN("00000001"),
		.cnonce = TD_SPAN("0a4f113b"),
		.qop = TD_SPAN("auth"),
	};

	answers(TD_DIGEST_MD5, "testrealm@host.com", "Circle Of Life", &ask,
		"6629fae49393a05397450978507c4ef1");
	// The same without qop, as RFC 2069 had it.
	ask.qop = (struct td_span){ 0 };
	answers(TD_DIGEST_MD5, "testrealm@host.com", "Circle Of Life", &ask,
		"670fd8c2df070c60b045671b8b24ff02");
}

// What is kept of one request is another's only where method and URI are the same; a URI that finds
// no room is hashed each time.
static void what_is_kept_is_of_one_uri(void **state)
{
	static const char *const methods[] = { "REGISTER", "REGISTER", "INVITE", "REGISTE",
		"REGISTER" };
	static const char *const uris[] = { "sip:a", "sip:b", "sip:b", "Rsip:b", NULL };
	static struct td_digest_a2 kept;
	struct td_digest_ask ask = { .nonce = TD_SPAN("n"),
		.nc = TD_SPAN("00000001"),
		.cnonce = TD_SPAN("c"),
		.qop = TD_SPAN("auth") };
	uint8_t ha1[TD_DIGEST_BYTES_MAX], seed[TD_DIGEST_BYTES_MAX];
	char whole[TD_DIGEST_HEX_MAX], hex[TD_DIGEST_HEX_MAX], uri[300];

	memset(uri, 'u', sizeof(uri));
	td_digest_ha1(TD_DIGEST_SHA256, TD_SPAN("u"), TD_SPAN("r"), TD_SPAN("p"), ha1);
	td_digest_seed(TD_DIGEST_SHA256, ha1, seed);
	for (unsigned i = 0; i < 20; i++) {
		ask.method = td_span_str(methods[i * 7 % 5]);
		ask.uri = uris[i * 7 % 5] ? td_span_str(uris[i * 7 % 5])
					  : td_span(uri, sizeof(uri) - i);
		size_t len = td_digest_response(TD_DIGEST_SHA256, ha1, &ask, whole);
		td_digest_a2(&kept, TD_DIGEST_SHA256, ask.method, ask.uri);
		assert_int_equal(td_digest_seeded(TD_DIGEST_SHA256, seed, &kept, &ask, hex), len);
		assert_memory_equal(hex, whole, len);
	}
}

// Wherever the end falls in a block, and where it is padded elsewhere because it is long.
static void of_every_length(void **state)
{
	static struct td_digest_a2 kept;
	struct td_digest_ask ask = { .method = TD_SPAN("REGISTER"),
		.uri = TD_SPAN("sip:a"),
		.nonce = TD_SPAN("n"),
		.nc = TD_SPAN("00000001"),
		.qop = TD_SPAN("auth") };
	uint8_t ha1[TD_DIGEST_BYTES_MAX], seed[TD_DIGEST_BYTES_MAX];
	char whole[TD_DIGEST_HEX_MAX], hex[TD_DIGEST_HEX_MAX], cnonce[300];

	memset(cnonce, 'c', sizeof(cnonce));
	td_digest_ha1(TD_DIGEST_SHA256, TD_SPAN("u"), TD_SPAN("r"), TD_SPAN("p"), ha1);
	td_digest_seed(TD_DIGEST_SHA256, ha1, seed);
	td_digest_a2(&kept, TD_DIGEST_SHA256, ask.method, ask.uri);
	for (unsigned len = 0; len <= sizeof(cnonce); len++) {
		ask.cnonce = td_span(cnonce, len);
		td_digest_response(TD_DIGEST_SHA256, ha1, &ask, whole);
		assert_int_equal(
			td_digest_seeded(TD_DIGEST_SHA256, seed, &kept, &ask, hex), sizeof(hex));
		assert_memory_equal(hex, whole, sizeof(hex));
	}
}

// However the parts lie around the buffer in which they are gathered, the hash is that of the
// whole: "A:B:C:D" cut at other colons is the same text.
static void long_parts_are_hashed_whole(void **state)
{
	char text[1300];
	uint8_t one[TD_DIGEST_BYTES_MAX], two[TD_DIGEST_BYTES_MAX];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 26);
	for (uint32_t n = 1; n < 400; n += 7) {
		text[n] = text[2 * n + 1] = ':';
		struct td_span a = td_span(text, n), b = td_span(text + n + 1, n),
			       c = td_span(text + 2 * n + 2, 300);
		struct td_span ab = td_span(text, 2 * n + 1), bc = td_span(text + n + 1, n + 301);
		td_digest_ha1(TD_DIGEST_SHA256, a, bc, TD_SPAN("p"), one);
		td_digest_ha1(TD_DIGEST_SHA256, ab, c, TD_SPAN("p"), two);
		assert_memory_equal(one, two, sizeof(one));
		td_digest_ha1(TD_DIGEST_SHA256, a, b, TD_SPAN("p"), two);
		assert_memory_not_equal(one, two, sizeof(one));
		text[n] = text[2 * n + 1] = 'x';
	}
}

static void equal_takes_both_cases(void **state)
{
	assert_true(td_digest_equal("8ca523f5", TD_SPAN("8CA523F5"), 8));
	assert_false(td_digest_equal("8ca523f5", TD_SPAN("8ca523f6"), 8));
	assert_false(td_digest_equal("8ca523f5", TD_SPAN("8ca523f"), 8));
}

static void credentials_are_read(void **state)
{
	struct td_digest_params p;

	assert_int_equal(td_digest_params_decode(
				 TD_SPAN("Digest username=\"bob\",realm=\"biloxi.com\" , "
					 "nonce=\"ea9c\", uri=\"sip:a,b=c@biloxi.com\",\tqop=auth,"
					 "nc=00000001, cnonce=\"\",response=\"6629\", opaque=\"\", "
					 "algorithm=MD5, x=y"),
				 &p),
		0);
	assert_true(td_span_eq(p.username, TD_SPAN("bob")));
	assert_true(td_span_eq(p.uri, TD_SPAN("sip:a,b=c@biloxi.com")));
	assert_true(td_span_eq(p.qop, TD_SPAN("auth")));
	assert_true(td_span_eq(p.algorithm, TD_SPAN("MD5")));
	assert_int_equal(p.cnonce.len, 0);
	assert_int_equal(p.stale.len, 0);
}

// Names in any case, and at the very end; what only looks like one is none.
static void names_are_told_apart(void **state)
{
	char text[] = "Digest "
		      "rEALM=\"r\",ALGORITHM=MD5,algorithx=1,algorith=1,username8=2,noncf=3,realms="
		      "4,\x0eonce=5,NC=7";
	struct td_digest_params p;

	assert_int_equal(td_digest_params_decode(td_span(text, sizeof(text) - 1), &p),
		-EBADMSG); // no character of a name
	*strchr(text, '\x0e') = '.';
	char *exact = malloc(sizeof(text) - 1); // a sanitizer sees what is read behind it
	memcpy(exact, text, sizeof(text) - 1);
	assert_int_equal(td_digest_params_decode(td_span(exact, sizeof(text) - 1), &p), 0);
	assert_true(td_span_eq(p.realm, TD_SPAN("r")));
	assert_true(td_span_eq(p.algorithm, TD_SPAN("MD5")));
	assert_true(td_span_eq(p.nc, TD_SPAN("7")));
	assert_int_equal(p.username.len + p.nonce.len, 0);
	free(exact);
}

static void broken_credentials_are_refused(void **state)
{
	static const char *const bad[] = { "Digest ", "Digest username",
		"Digest username=", "Digest username=\"bob", "Digest username=\"b\\\"ob\"",
		"Digest username=\"bob\",", "Digest username=\"bob\" realm=\"x\"",
		"Digest username=\"bob\", username=\"eve\"", "Digest =\"x\"",
		"Digest username=\"b\nob\"" };
	struct td_digest_params p;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(td_digest_params_decode(td_span_str(bad[i]), &p), -EBADMSG);
	assert_int_equal(td_digest_params_decode(TD_SPAN("Basic Zm9v"), &p), -ENOTSUP);
	assert_int_equal(td_digest_params_decode(TD_SPAN("Digest"), &p), -ENOTSUP);
	assert_int_equal(td_digest_params_decode((struct td_span){ 0 }, &p), -ENOTSUP);
}

#define PHONE                                                                                      \
	"Digest username=\"bob\", "                                                                \
	"realm=\"biloxi.com\",%snonce=\"ea9c8e88df84f1cec4341ae6cbe5a359\","                       \
	" uri=\"sip:a,b=c@biloxi.com\", extra=\"x=\", algorithm=SHA-256, cnonce=\"\", qop=auth, "  \
	"response=\"66293b6d84c3f1d5b8c2a4e6f80a1c2e66293b6d84c3f1d5b8c2a4e6f80a1c2e\", "          \
	"%snc=00000001"

static void phone_check(const char *gap, const char *more)
{
	struct td_digest_params p;
	char text[1200];
	int len = snprintf(text, sizeof(text), PHONE, gap, more);
	char *exact = malloc((size_t)len); // a sanitizer sees what is read beside it

	memcpy(exact, text, (size_t)len);
	assert_int_equal(td_digest_params_decode(td_span(exact, (size_t)len), &p), 0);
	assert_true(td_span_eq(p.username, TD_SPAN("bob")));
	assert_true(td_span_eq(p.realm, TD_SPAN("biloxi.com")));
	assert_true(td_span_eq(p.nonce, TD_SPAN("ea9c8e88df84f1cec4341ae6cbe5a359")));
	assert_true(td_span_eq(p.uri, TD_SPAN("sip:a,b=c@biloxi.com")));
	assert_true(td_span_eq(p.algorithm, TD_SPAN("SHA-256")));
	assert_true(p.cnonce.ptr && p.cnonce.len == 0);
	assert_true(td_span_eq(p.qop, TD_SPAN("auth")));
	assert_int_equal(p.response.len, 64);
	assert_true(td_span_eq(p.nc, TD_SPAN("00000001")));
	free(exact);
}

// Where all quotes are found at once, and where they are not: for a fold, or too many, or length.
static void phones_are_read_alike(void **state)
{
	char more[600];
	size_t n = 0;

	phone_check(" ", "");
	phone_check("", "");
	phone_check("\r\n ", "");
	phone_check(" ", "stale = \"no\" , ");
	for (unsigned i = 0; i < 30; i++)
		n += (size_t)snprintf(more + n, sizeof(more) - n, "x%u=\"\",", i);
	phone_check(" ", more);
	snprintf(more, sizeof(more), "opaque=\"%0500d\", ", 0);
	phone_check(" ", more);
}

static void broken_phones_are_refused(void **state)
{
	static const char *const bad[] = { "opaque=\"a\"b\"c\", ", "opaque=\"a\\\"\", ",
		"opaque=\"a, ", "nonce=\"twice\", ", "qop=auth, ", "opaque=a\"b\", ", "=\"x\", ",
		"opaque=\"a\" \"b\", ", "\"\"=\"x\", ", "opaque=, ", "a b=\"c\", ", ", " };
	struct td_digest_params p;
	char text[1200];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), PHONE, " ", bad[i]);
		assert_int_equal(td_digest_params_decode(td_span_str(text), &p), -EBADMSG);
		snprintf(text, sizeof(text), PHONE, "\t", bad[i]);
		assert_int_equal(td_digest_params_decode(td_span_str(text), &p), -EBADMSG);
	}
}

static void nonce_counts_are_eight_digits(void **state)
{
	uint32_t nc;

	assert_true(td_nc_decode(TD_SPAN("0000001F"), &nc));
	assert_int_equal(nc, 31);
	assert_false(td_nc_decode(TD_SPAN("000001f"), &nc));
	assert_false(td_nc_decode(TD_SPAN("0000001g"), &nc));
	assert_true(td_nc_decode(TD_SPAN("89aBCdeF"), &nc));
	assert_int_equal(nc, 0x89abcdef);
	for (unsigned c = 0; c < 256; c++) {
		char text[] = "12345678";
		bool digit =
			(c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
		text[c % 8] = (char)c;
		assert_int_equal(td_nc_decode(td_span(text, 8), &nc), digit);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_7616_examples),
		cmocka_unit_test(rfc_2617_examples),
		cmocka_unit_test(what_is_kept_is_of_one_uri),
		cmocka_unit_test(of_every_length),
		cmocka_unit_test(long_parts_are_hashed_whole),
		cmocka_unit_test(equal_takes_both_cases),
		cmocka_unit_test(credentials_are_read),
		cmocka_unit_test(names_are_told_apart),
		cmocka_unit_test(broken_credentials_are_refused),
		cmocka_unit_test(phones_are_read_alike),
		cmocka_unit_test(broken_phones_are_refused),
		cmocka_unit_test(nonce_counts_are_eight_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
