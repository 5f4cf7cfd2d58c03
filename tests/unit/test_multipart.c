// SPDX-License-Identifier: BSD-3-Clause
// Bodies of several parts: the session description is found wherever it stands, and only there.
#include "sip/multipart.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define SDP "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\n"
#define SDP_PART "Content-Type: application/sdp\r\n\r\n" SDP
#define ISUP_PART                                                                                  \
	"Content-Type: application/ISUP;version=itu-t92+\r\nContent-Disposition: "                 \
	"signal;handling=optional\r\n\r\n\x01\r\n--\r"
#define CLOSED "\r\n--b--\r\n"

// A copy of exact size, so that a sanitizer sees a read beyond it.
static int read_parts(
	const char *params, const char *body, bool alternative, char *sdp, bool *must_handle)
{
	struct td_multipart parts;
	size_t len = strlen(body);
	char *copy = malloc(len + 1);

	memcpy(copy, body, len);
	char *exact = len ? realloc(copy, len) : copy;
	int rc = td_multipart_read(td_span_str(params), td_span(exact, len), alternative, &parts);
	td_span_cstr(parts.sdp, sdp, 512);
	*must_handle = parts.must_handle;
	free(exact);
	return rc;
}

static void good_bodies(void **state)
{
	static const struct {
		const char *params, *body;
		bool alternative, found, must_handle;
	} cases[] = {
		{ "boundary=b", "--b\r\n" SDP_PART CLOSED, false, true, false },
		{ " boundary=\"b\"", "--b\r\n" ISUP_PART "\r\n--b\r\n" SDP_PART CLOSED, false, true,
			false },
		{ "type=x;Boundary=b",
			"preamble\r\n\r\n--b  \r\n" SDP_PART "\r\n--b-- \t\r\nepilogue --b", false,
			true, false },
		{ "boundary=b", "--b\r\n" SDP_PART "\r\n--b--", false, true, false },
		{ "boundary=\"a b:c\"", "--a b:c\r\n" SDP_PART "\r\n--a b:c--\r\n", false, true,
			false },
		// Another part's longer boundary is no boundary.
		{ "boundary=b",
			"--b\r\nX: y\r\n\r\n--bb\r\n" SDP_PART "\r\n--b\r\n" SDP_PART CLOSED, false,
			true, false },
		{ "boundary=b",
			"--b\r\nc: application/SDP\r\ncontent-disposition: session;\r\n "
			"handling=required\r\n\r\n" SDP CLOSED,
			false, true, false },
		{ "boundary=b",
			"--b\r\nContent-Type: a/b\r\nContent-Disposition: "
			"x;\r\n\thandling=required\r\n\r\ny\r\n--b\r\n" SDP_PART CLOSED,
			false, true, true },
		{ "boundary=b",
			"--b\r\n\r\nplain\r\n--b\r\nContent-Type: "
			"application/sdp\r\nContent-Disposition: early-session\r\n\r\n"
			"v=1" CLOSED,
			false, false, false },
		{ "boundary=b",
			"--b\r\nContent-Type: application/sdp\r\nContent-Transfer-Encoding: "
			"base64\r\n\r\ndj0w" CLOSED,
			false, false, false },
		{ "boundary=b",
			"--b\r\nContent-Type: application/sdp\r\n\r\nv=7\r\n--b\r\n" SDP_PART
				CLOSED,
			true, true, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char sdp[512];
		bool must_handle;
		int rc = read_parts(
			cases[i].params, cases[i].body, cases[i].alternative, sdp, &must_handle);
		if (rc != 0)
			print_error("case %zu\n", i);
		assert_int_equal(rc, 0);
		assert_string_equal(sdp, cases[i].found ? SDP : "");
		assert_int_equal(must_handle, cases[i].must_handle);
	}
}

static void bad_bodies(void **state)
{
	static const struct {
		const char *params, *body;
	} cases[] = {
		{ "", "--b\r\n" SDP_PART CLOSED },
		{ "boundary=", "--\r\n" SDP_PART "\r\n----\r\n" },
		{ "boundary=\"\"", "--\r\n" SDP_PART "\r\n----\r\n" },
		{ "boundary=\"b \"", "--b \r\n" SDP_PART "\r\n--b --\r\n" },
		{ "boundary=\"b\\\"\"", "--b\"\r\n" SDP_PART "\r\n--b\"--\r\n" },
		{ "boundary=b;boundary", "" },
		{ "boundary="
		  "12345678901234567890123456789012345678901234567890123456789012345678901",
			"" },
		{ "boundary=b", "" }, { "boundary=b", "--b" },
		{ "boundary=b", "--b\r\n" SDP_PART }, // never closed
		{ "boundary=b", "--b\r\n" SDP_PART "\r\n--b\r\n" },
		{ "boundary=b", "--b\r\n" SDP_PART "x--b--\r\n--bx--" }, // inside a line
		{ "boundary=b", "--b--\r\n--b\r\n" SDP_PART "\r\n"
				"--c--" },
		{ "boundary=b", "--b\n" SDP_PART "\n--b--\n" },
		{ "boundary=b",
			"--b\r\nContent-Type: application/sdp\r\n" SDP CLOSED }, // no blank line
		{ "boundary=b", "--b\r\nnonsense\r\n\r\n" SDP CLOSED },
		{ "boundary=b", "--b\r\n--b--\r\n" },
		{ "boundary=b",
			"--b\r\n" SDP_PART "\r\n--b\r\n" SDP_PART CLOSED }, // which of them?
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char sdp[512];
		bool must_handle;
		int rc = read_parts(cases[i].params, cases[i].body, false, sdp, &must_handle);
		if (rc == 0)
			print_error("case %zu is taken: %s\n", i, sdp);
		assert_int_equal(rc, -EBADMSG);
	}
}

static void parts_are_bounded(void **state)
{
	char body[1024] = "--b\r\n" SDP_PART, sdp[512];
	bool must_handle;

	for (int i = 1; i < TD_MULTIPART_PARTS_MAX; i++)
		snprintf(
			body + strlen(body), sizeof(body) - strlen(body), "%s", "\r\n--b\r\n\r\nx");
	size_t len = strlen(body);
	snprintf(body + len, sizeof(body) - len, "%s", CLOSED);
	assert_int_equal(read_parts("boundary=b", body, false, sdp, &must_handle), 0);
	snprintf(body + len, sizeof(body) - len, "%s", "\r\n--b\r\n\r\nx" CLOSED);
	assert_int_equal(read_parts("boundary=b", body, false, sdp, &must_handle), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_bodies),
		cmocka_unit_test(bad_bodies),
		cmocka_unit_test(parts_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
