// SPDX-License-Identifier: BSD-3-Clause
#include "sip/core.h"
#include "tests/unit/data_file.h"
#include "tests/unit/guard_page.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <ctype.h>
#include <dirent.h>
#include <cmocka.h>

static struct td_msg msg;
static struct td_core core;
static char text[80000];

#define START "INVITE sip:a@b SIP/2.0\r\n"

static bool is(struct td_span s, const char *expected)
{
	return td_span_eq(s, td_span_str(expected));
}

static int parse(const char *bytes)
{
	size_t len = strlen(bytes);

	return td_msg_parse(&msg, guard_page_put(bytes, len), (uint32_t)len);
}

static uint8_t fault_of(const char *bytes)
{
	int rc = parse(bytes);

	assert_int_equal(rc, msg.fault == TD_FAULT_NONE ? 0 : -EBADMSG);
	return msg.fault;
}

static void test_the_carrier_invite(void **state)
{
	struct td_span file = data_file("invite-1023.sip");
	struct td_span via;

	assert_int_equal(td_msg_parse(&msg, guard_page_put(file.ptr, file.len), file.len), 0);
	assert_true(
		msg.request && msg.method == TD_M_INVITE && msg.len == 1023 && msg.body.len == 283);
	assert_true(is(msg.uri, "sip:+442079460123@127.0.0.1:5080"));
	assert_int_equal(msg.n_headers, 17);
	via = td_msg_get(&msg, TD_H_VIA);
	assert_true(is(via, "SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK4c1d.9f2a77b1.0"));
	const struct td_header *second = &msg.headers[msg.headers[msg.first[TD_H_VIA]].next];
	assert_true(
		is(td_msg_value(&msg, second),
			"SIP/2.0/UDP "
			"127.0.0.1:5070;received=127.0.0.1;branch=z9hG4bK6f3a.1b2c.1;rport=5070") &&
		second->next == 0xff);
	assert_true(td_msg_repeats(&msg, TD_H_VIA) && !td_msg_repeats(&msg, TD_H_TO) &&
		    !td_msg_repeats(&msg, TD_H_ROUTE));
	assert_true(is(td_msg_get(&msg, TD_H_MIN_SE), "90"));
	assert_false(td_msg_has(&msg, TD_H_ROUTE));
	assert_int_equal(td_msg_get(&msg, TD_H_ROUTE).len, 0);
	free((void *)(uintptr_t)file.ptr);
}

// Every name of the table is found in full, upper, lower and mixed case, and in its compact form.
static void test_every_header_name(void **state)
{
#define X(id, full, letter) { TD_H_##id, full, letter },
	static const struct {
		uint8_t id;
		const char *name;
		char compact;
	} names[] = { TD_HEADERS(X) };
#undef X
	char name[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_true(is(td_header_name(names[i].id), names[i].name));
		for (unsigned form = 0; form < 4; form++) {
			size_t n = 0;
			for (; names[i].name[n]; n++)
				name[n] = (char)((form + n * (form == 3)) % 2
							 ? toupper(names[i].name[n])
							 : tolower(names[i].name[n]));
			name[n] = '\0';
			if (form == 2 && names[i].compact)
				snprintf(name, sizeof(name), "%c", names[i].compact);
			snprintf(text, sizeof(text), START "%s: x\r\n\r\n", name);
			parse(text);
			assert_int_equal(msg.headers[0].id, names[i].id);
			assert_true(is(td_msg_get(&msg, names[i].id), "x"));
			// One character more or less, or another one, is another header.
			snprintf(text, sizeof(text), START "%sx: x\r\n\r\n", name);
			parse(text);
			assert_int_equal(msg.headers[0].id, TD_H_OTHER);
			name[n / 2] = '_';
			snprintf(text, sizeof(text), START "%s : x\r\n\r\n", name);
			parse(text);
			if (strlen(name) > 1)
				assert_int_equal(msg.headers[0].id, TD_H_OTHER);
		}
	}
}

static void test_header_lines(void **state)
{
	assert_int_equal(
		fault_of(START
			"Via : a\r\nX-Thing\t:\t b \t\r\nSubject:\r\nTo: c\r\n d\r\n\te\r\n\r\n"),
		0);
	assert_int_equal(msg.n_headers, 4);
	assert_true(is(td_msg_get(&msg, TD_H_VIA), "a"));
	assert_int_equal(msg.headers[0].name_len, 3);
	assert_true(is(td_msg_get(&msg, TD_H_OTHER), "b"));
	assert_int_equal(msg.headers[1].name_len, 7);
	assert_true(td_msg_has(&msg, TD_H_SUBJECT) && td_msg_get(&msg, TD_H_SUBJECT).len == 0);
	assert_true(is(td_msg_get(&msg, TD_H_TO), "c\r\n d\r\n\te"));
	assert_int_equal(fault_of(START "To:\r\n \r\n c\r\n\r\n"),
		TD_FAULT_HEADER); // a fold of white space alone
	assert_int_equal(fault_of(START "To: c\r\n \r\n\r\n"), TD_FAULT_HEADER);
	assert_int_equal(fault_of(START "Content Length: 0\r\n\r\n"),
		TD_FAULT_HEADER); // white space in a name
	assert_int_equal(fault_of(START ": 0\r\n\r\n"), TD_FAULT_HEADER);
	assert_int_equal(
		fault_of(START "Via\r\n : 0\r\n\r\n"), TD_FAULT_HEADER); // no fold before the colon
	assert_int_equal(fault_of(START "no colon\r\n\r\n"), TD_FAULT_HEADER);
	assert_int_equal(
		fault_of(START " To: x\r\n\r\n"), TD_FAULT_HEADER); // a fold of the start line
	assert_int_equal(fault_of(START "To@: x\r\n\r\n"), TD_FAULT_HEADER);
	assert_int_equal(fault_of(START "To: x\rFrom: y\r\n\r\n"),
		TD_FAULT_HEADER); // a CR that ends nothing
	assert_int_equal(fault_of(START "Call\rID: x\r\n\r\n"), TD_FAULT_HEADER);
	assert_int_equal(fault_of(START "To: x\nFrom: y\r\n\r\n"),
		TD_FAULT_HEADER); // an LF that ends a line for some
	assert_int_equal(fault_of("INVITE sip:a@b SIP/2.0\n\n"), TD_FAULT_HEADER);
	assert_int_equal(fault_of(START "To: x\r\n"), TD_FAULT_NO_END);
	assert_int_equal(fault_of(START), TD_FAULT_NO_END);
	assert_int_equal(fault_of(START "\r\n"), 0);
	assert_int_equal(fault_of("\r\n\r\n" START "To: x\r\n\r\n"), 0);
	assert_true(is(td_msg_get(&msg, TD_H_TO), "x"));
	assert_int_equal(fault_of("\r\n\r\n"), TD_FAULT_START_LINE);
	assert_int_equal(fault_of(""), TD_FAULT_START_LINE);
	assert_int_equal(td_msg_parse(&msg, NULL, 0), -EBADMSG);
	snprintf(text, sizeof(text), START "X-%0100d: y\r\nTo: z\r\n\r\n", 0);
	assert_int_equal(fault_of(text), 0);
	assert_int_equal(msg.headers[0].name_len, 102);
}

static void test_faults_do_not_stop_the_index(void **state)
{
	assert_int_equal(
		fault_of("INVITE  sip:a@b SIP/2.0\r\nVia: v\r\nbad line\r\nCall-ID: c\r\n\r\n"),
		TD_FAULT_START_LINE);
	assert_true(is(td_msg_get(&msg, TD_H_VIA), "v") && is(td_msg_get(&msg, TD_H_CALL_ID), "c"));
	assert_true(msg.request && msg.method == TD_M_INVITE);
}

static void test_start_lines(void **state)
{
	static const struct {
		const char *line;
		uint8_t fault;
	} lines[] = {
		{ "SIP/2.0 200 OK", 0 },
		{ "sip/2.0 200 OK", 0 },
		{ "SIP/2.0 200 ", 0 },
		{ "SIP/2.0 200", 0 },
		{ "SIP/2.0 699 x", 0 },
		{ "SIP/2.0 700 x", TD_FAULT_START_LINE },
		{ "SIP/2.0 099 x", TD_FAULT_START_LINE },
		{ "SIP/2.0 20 x", TD_FAULT_START_LINE },
		{ "SIP/2.0 2000 x", TD_FAULT_START_LINE },
		{ "SIP/2.0  200 x", TD_FAULT_START_LINE },
		{ "SIP/2.0", TD_FAULT_START_LINE },
		{ "SIP/3.0 200 OK", TD_FAULT_VERSION },
		{ "SIP/2.00 200 OK", TD_FAULT_VERSION },
		{ "SIP/x 200 OK", TD_FAULT_START_LINE },
		{ "NEW sip:a@b sip/2.0", 0 },
		{ "NEW sip:a@b SIP/2.1", TD_FAULT_VERSION },
		{ "NEW sip:a@b SIP/2.0 ", TD_FAULT_START_LINE },
		{ "NEW sip:a@b HTTP/1.1", TD_FAULT_START_LINE },
		{ "NEW sip:a@b", TD_FAULT_START_LINE },
		{ "NEW", TD_FAULT_START_LINE },
		{ "N@W sip:a@b SIP/2.0", TD_FAULT_START_LINE },
		{ " NEW sip:a@b SIP/2.0", TD_FAULT_START_LINE },
		{ "NEW\tsip:a@b SIP/2.0", TD_FAULT_START_LINE },
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(text, sizeof(text), "%s\r\nTo: x\r\n\r\n", lines[i].line);
		if (fault_of(text) != lines[i].fault)
			fail_msg("%s: fault %u", lines[i].line, msg.fault);
	}
}

static void test_content_length(void **state)
{
	static const struct {
		const char *headers;
		uint8_t fault;
		uint32_t body;
	} cases[] = {
		{ "l: 5\r\n", 0, 5 },
		{ "l: 4\r\n", 0, 4 },
		{ "l: 0\r\n", 0, 0 },
		{ "l: 0005\r\n", 0, 5 },
		{ "To: x\r\n", 0, 5 },
		{ "l: 6\r\n", TD_FAULT_BODY_SHORT, 0 },
		{ "l: 4294967296\r\n", TD_FAULT_BODY_SHORT, 0 },
		{ "l: 18446744073709551621\r\n", TD_FAULT_BODY_SHORT, 0 },
		{ "l: -1\r\n", TD_FAULT_CONTENT_LENGTH, 0 },
		{ "l: +5\r\n", TD_FAULT_CONTENT_LENGTH, 0 },
		{ "l: 5, 5\r\n", TD_FAULT_CONTENT_LENGTH, 0 },
		{ "l: 5 5\r\n", TD_FAULT_CONTENT_LENGTH, 0 },
		{ "l: 0x5\r\n", TD_FAULT_CONTENT_LENGTH, 0 },
		{ "l:\r\n", TD_FAULT_CONTENT_LENGTH, 0 },
		{ "l: 5\r\nContent-Length: 5\r\n", TD_FAULT_CONTENT_LENGTH_TWICE, 0 },
		{ "Content-Length: 5\r\nTo: x\r\nCONTENT-LENGTH : 0\r\n",
			TD_FAULT_CONTENT_LENGTH_TWICE, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), START "%s\r\nhello", cases[i].headers);
		if (fault_of(text) != cases[i].fault || msg.body.len != cases[i].body)
			fail_msg(
				"%s: fault %u, body %u", cases[i].headers, msg.fault, msg.body.len);
	}
}

static void test_limits(void **state)
{
	size_t n = (size_t)snprintf(text, sizeof(text), START);

	for (unsigned i = 0; i < TD_MSG_HEADERS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "A: 1\r\n");
	snprintf(text + n, sizeof(text) - n, "\r\n");
	assert_int_equal(fault_of(text), 0);
	assert_int_equal(msg.n_headers, TD_MSG_HEADERS_MAX);
	snprintf(text + n, sizeof(text) - n, "A: 1\r\n\r\n");
	assert_int_equal(fault_of(text), TD_FAULT_TOO_MANY_HEADERS);
	n = (size_t)snprintf(text, sizeof(text), START "A: 1\r\n");
	for (unsigned i = 0; i < 600; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " folded\r\n");
	snprintf(text + n, sizeof(text) - n, "\r\n");
	assert_int_equal(fault_of(text), TD_FAULT_TOO_MANY_HEADERS);
	memset(text, 'x', sizeof(text));
	n = (size_t)snprintf(text, sizeof(text), START "To: y\r\n\r\n");
	text[n] = 'x';
	assert_int_equal(td_msg_parse(&msg, guard_page_put(text, 65535), 65535), 0);
	assert_int_equal(msg.body.len, 65535 - n);
	assert_int_equal(td_msg_parse(&msg, guard_page_put(text, 65536), 65536), -EBADMSG);
	assert_int_equal(msg.fault, TD_FAULT_TOO_LONG);
	assert_true(is(td_msg_get(&msg, TD_H_TO), "y"));
	text[n - 2] = text[n - 1] = 'x'; // a header that never ends
	assert_int_equal(td_msg_parse(&msg, guard_page_put(text, 65535), 65535), -EBADMSG);
	assert_int_equal(msg.fault, TD_FAULT_NO_END);
}

static void check_inside(struct td_span s)
{
	assert_true(s.len == 0 || (s.ptr >= msg.buf && s.ptr + s.len <= msg.buf + msg.len));
}

static void every_length(struct td_span file)
{
	for (uint32_t len = 0; len <= file.len; len++) {
		td_msg_parse(&msg, guard_page_put(file.ptr, len), len);
		td_core_decode(&msg, &core);
		for (unsigned i = 0; i < msg.n_headers; i++) {
			const struct td_header *h = &msg.headers[i];
			assert_true(h->name_len > 0 && h->name_off + h->name_len < h->value_off);
			assert_true((uint32_t)h->value_off + h->value_len <= msg.len);
		}
		check_inside(msg.body);
		check_inside(msg.uri);
		check_inside(core.from.whole);
		check_inside(core.from.params);
		check_inside(core.contact.uri.params);
		check_inside(core.via.branch);
	}
}

// Each message of the test data cut at every length, right before a page that must not be touched.
static void test_every_length(void **state)
{
	static const char *const folders[] = { ".", "rfc4475", "rfc5118" };
	char path[600];

	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", TEST_DATA, folders[i]);
		DIR *dir = opendir(path);
		assert_non_null(dir);
		for (struct dirent *e; (e = readdir(dir));) {
			if (e->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "%s/%s", folders[i], e->d_name);
			struct td_span file = data_file(path);
			every_length(file);
			free((void *)(uintptr_t)file.ptr);
		}
		closedir(dir);
	}
}

// Bytes flipped at random: whatever comes out stays inside the message.
static void test_mutations(void **state)
{
	struct td_span file = data_file("rfc4475/wsinv.dat");
	uint64_t random = 7;

	for (unsigned round = 0; round < 20000; round++) {
		memcpy(text, file.ptr, file.len);
		for (unsigned k = 0; k < 4; k++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			text[(random >> 40) % file.len] = "\r\n :;,<>\"@x"[(random >> 20) % 11];
		}
		td_msg_parse(&msg, guard_page_put(text, file.len), file.len);
		td_core_decode(&msg, &core);
		check_inside(core.to.whole);
		check_inside(core.via.whole);
	}
	free((void *)(uintptr_t)file.ptr);
}

static void test_texts(void **state)
{
	for (unsigned i = 0; i < TD_FAULT__COUNT; i++)
		assert_true(td_fault_text((enum td_fault)i) != NULL &&
			    strlen(td_fault_text((enum td_fault)i)) > 0);
	for (unsigned i = 1; i < TD_M__COUNT; i++)
		assert_int_equal(td_method_id(td_method_text((enum td_method)i)), i);
	assert_int_equal(td_method_id(TD_SPAN("invite")), TD_M_OTHER); // §7.1: methods have a case
	assert_int_equal(td_method_id((struct td_span){ 0 }), TD_M_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_carrier_invite),
		cmocka_unit_test(test_every_header_name),
		cmocka_unit_test(test_header_lines),
		cmocka_unit_test(test_faults_do_not_stop_the_index),
		cmocka_unit_test(test_start_lines),
		cmocka_unit_test(test_content_length),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
