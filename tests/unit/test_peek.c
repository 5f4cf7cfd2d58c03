// SPDX-License-Identifier: BSD-3-Clause
#include "sip/peek.h"
#include "tests/unit/data_file.h"
#include "tests/unit/guard_page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { REALM = 3, WORKER = 17 };

static struct td_token_keys keys;
static char token[TD_TOKEN_LEN + 1], branch[TD_TOKEN_LEN + 1]; // of a dialog, of a transaction
static char text[8192];

static struct td_peek peek(const char *format, ...)
{
	struct td_peek out;
	va_list args;

	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	const char *at = guard_page_put(text, (size_t)n);
	td_peek(&keys, REALM, at, (uint32_t)n, &out);
	return out;
}

static uint64_t call_id_hash(const char *call_id)
{
	struct td_peek p =
		peek("INVITE sip:a@b SIP/2.0\r\nTo: <sip:a@b>\r\nCall-ID: %s\r\n\r\n", call_id);

	assert_int_equal(p.kind, TD_PEEK_CALL_ID);
	return p.hash;
}

static void test_keepalive_and_garbage(void **state)
{
	struct td_peek out;

	assert_int_equal(peek("\r\n\r\n").kind, TD_PEEK_KEEPALIVE);
	assert_int_equal(peek("\r\n").kind, TD_PEEK_KEEPALIVE);
	assert_int_equal(peek("%s", "").kind, TD_PEEK_KEEPALIVE);
	td_peek(&keys, REALM, "\0\0\0\0", 4, &out);
	assert_int_equal(out.kind, TD_PEEK_KEEPALIVE);
	assert_int_equal(peek("hello").kind, TD_PEEK_GARBAGE);
	assert_int_equal(peek("hello world\r\nCall-ID: 1\r\n\r\n").kind, TD_PEEK_GARBAGE);
	assert_int_equal(peek("GET / HTTP/1.1\r\nCall-ID: 1\r\n\r\n").kind, TD_PEEK_GARBAGE);
	assert_int_equal(peek("INVITE sip:a@b SIP/2.0\r\nTo: x\r\n\r\n").kind,
		TD_PEEK_GARBAGE); // no Call-ID
	assert_int_equal(peek("INVITE sip:a@b SIP/2.0\r\nTo: x\r\n\r\nCall-ID: body\r\n").kind,
		TD_PEEK_GARBAGE);
}

static void test_response_by_branch(void **state)
{
	struct td_peek p = peek(
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK%s;received=1.2.3.4\r\n"
		"Via: SIP/2.0/UDP other;branch=z9hG4bKnobody\r\nCall-ID: x\r\n\r\n",
		branch);
	assert_int_equal(p.kind, TD_PEEK_TOKEN);
	assert_int_equal(p.token.worker, WORKER);
	assert_int_equal(p.token.slot, 6);
	assert_memory_equal(text + p.token_off, branch, TD_TOKEN_LEN);
	p = peek("SIP/2.0 180 Ringing\r\nl: 0\r\ni: x\r\nv : SIP/2.0/UDP a\r\n "
		 ";rport=1;branch=z9hG4bK%s, SIP/2.0/UDP b\r\n\r\n",
		branch);
	assert_int_equal(p.kind, TD_PEEK_TOKEN);
	// Ours stands second: the response is not for us, and its Call-ID decides.
	p = peek("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP o;branch=z9hG4bKx\r\nVia: SIP/2.0/UDP "
		 "a;branch=z9hG4bK%s\r\nCall-ID: x\r\n\r\n",
		branch);
	assert_int_equal(p.kind, TD_PEEK_CALL_ID);
	assert_true(p.hash == call_id_hash("x"));
	p = peek("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a, SIP/2.0/UDP b;branch=z9hG4bK%s\r\nCall-ID: "
		 "x\r\n\r\n",
		branch);
	assert_int_equal(p.kind, TD_PEEK_CALL_ID);
	// A dialog's token in the place of a transaction's is none.
	p = peek("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK%s\r\nCall-ID: x\r\n\r\n",
		token);
	assert_int_equal(p.kind, TD_PEEK_CALL_ID);
	// Half a token at the end of what came.
	p = peek("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK%.31s\r\nCall-ID: x\r\n\r\n",
		branch);
	assert_int_equal(p.kind, TD_PEEK_CALL_ID);
}

static void test_request_by_to_tag(void **state)
{
	struct td_peek p = peek("BYE sip:a@b SIP/2.0\r\nt: \"x;tag=no\" <sip:a@b;tag=no> ; "
				"tag=%s\r\nCall-ID: x\r\n\r\n",
		token);
	assert_int_equal(p.kind, TD_PEEK_TOKEN);
	assert_int_equal(p.token.worker, WORKER);
	p = peek(
		"\r\n\r\nBYE sip:a@b SIP/2.0\r\nCall-ID: x\r\nTo:\r\n sip:a@b\r\n\t;tag=%s\r\n\r\n",
		token);
	assert_int_equal(p.kind, TD_PEEK_TOKEN);
	p = peek("BYE sip:a@b SIP/2.0\r\nTo: <sip:a@b>;tag=%s\r\nCall-ID: x\r\n\r\n", token);
	assert_int_equal(p.kind, TD_PEEK_TOKEN);
	assert_int_equal(p.token.slot, 5);
	assert_memory_equal(text + p.token_off, token, TD_TOKEN_LEN);
	p = peek("BYE sip:a@b SIP/2.0\r\nTo: <sip:a@b>;tag=%s\r\nCall-ID: x\r\n\r\n", branch);
	assert_int_equal(p.kind, TD_PEEK_CALL_ID);
	// A From-tag of ours says nothing about the receiver, a foreign or broken To-tag neither.
	p = peek("BYE sip:a@b SIP/2.0\r\nFrom: <sip:a@b>;tag=%s\r\nTo: <sip:a@b>;tag=x\r\nCall-ID: "
		 "x\r\n\r\n",
		token);
	assert_int_equal(p.kind, TD_PEEK_CALL_ID);
	token[5] ^= 1;
	p = peek("BYE sip:a@b SIP/2.0\r\nTo: <sip:a@b>;tag=%s\r\nCall-ID: x\r\n\r\n", token);
	token[5] ^= 1;
	assert_int_equal(p.kind, TD_PEEK_CALL_ID);
	assert_true(p.hash == call_id_hash("x"));
}

static void test_call_id_spellings(void **state)
{
	uint64_t hash = call_id_hash("abc@host");
	struct td_peek out;

	assert_true(peek("INVITE sip:a@b SIP/2.0\r\ni:abc@host\r\nt: x\r\n\r\n").hash == hash);
	assert_true(
		peek("CANCEL sip:a@b SIP/2.0\r\nCALL-id : \r\n  abc@host \r\nTo: <sip:x@y>\r\n\r\n")
			.hash == hash);
	assert_true(call_id_hash("Abc@host") != hash); // compared with case (RFC 3261 §20.8)
	assert_true(peek("INVITE sip:a@b SIP/2.0\r\nCall-Info: <x>\r\nTo: x\r\nCall-ID: "
			 "abc@host\r\n\r\n")
			    .hash == hash);
	size_t n = strlen(text);
	td_peek(&keys, REALM + 1, text, (uint32_t)n, &out);
	assert_true(out.kind == TD_PEEK_CALL_ID && out.hash != hash); // another realm, another call
}

static void test_register_by_aor(void **state)
{
	struct td_peek a = peek("REGISTER sip:b SIP/2.0\r\nTo: "
				"<sip:alice@Example.COM:5060;x=y>\r\nCall-ID: 1\r\n\r\n");
	struct td_peek b = peek("REGISTER sip:b SIP/2.0\r\nt: \"Al\" "
				"<sip:%%61lice@example.com>;q=1\r\ni: 2\r\n\r\n");
	struct td_peek c =
		peek("REGISTER sip:b SIP/2.0\r\nt: <sip:Alice@example.com>\r\ni: 2\r\n\r\n");

	assert_int_equal(a.kind, TD_PEEK_AOR);
	assert_int_equal(b.kind, TD_PEEK_AOR);
	assert_true(a.hash == b.hash);
	assert_true(a.hash != c.hash);
	assert_int_equal(peek("REGISTER sip:b SIP/2.0\r\nTo: <<>\r\nCall-ID: 1\r\n\r\n").kind,
		TD_PEEK_CALL_ID);
}

static void test_window(void **state)
{
	// Beyond 4096 bytes nothing is looked at, and half a Call-ID is none.
	struct td_peek p = peek(
		"INVITE sip:a@b SIP/2.0\r\nTo: x\r\nX: %04000d\r\nCall-ID: %080d\r\n\r\n", 0, 0);
	assert_int_equal(p.kind, TD_PEEK_GARBAGE);
	p = peek("INVITE sip:a@b SIP/2.0\r\nTo: x\r\nX: %03900d\r\nCall-ID: %080d\r\n\r\n", 0, 0);
	assert_int_equal(p.kind, TD_PEEK_CALL_ID);
}

static void test_every_length(void **state)
{
	struct td_span file = data_file("invite-1023.sip");
	struct td_peek out;

	for (uint32_t len = 0; len <= file.len; len++) {
		const char *at = guard_page_put(file.ptr, len);
		td_peek(&keys, REALM, at, len, &out);
		bool whole = file.ptr && memmem(file.ptr, len, "@sipgen\r\n", 9) != NULL;
		assert_int_equal(out.kind, len == 0 ? TD_PEEK_KEEPALIVE
					   : whole  ? TD_PEEK_CALL_ID
						    : TD_PEEK_GARBAGE);
	}
	assert_int_equal(out.kind, TD_PEEK_CALL_ID);
	free((void *)(uintptr_t)file.ptr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keepalive_and_garbage),
		cmocka_unit_test(test_response_by_branch),
		cmocka_unit_test(test_request_by_to_tag),
		cmocka_unit_test(test_call_id_spellings),
		cmocka_unit_test(test_register_by_aor),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_every_length),
	};
	const uint8_t secret[32] = { 9 };
	const struct td_token dialog = { .kind = TD_TOKEN_DIALOG, .worker = WORKER, .slot = 5 };
	const struct td_token transaction = {
		.kind = TD_TOKEN_TRANSACTION, .worker = WORKER, .slot = 6
	};

	td_token_keys_init(&keys, secret, 1, 1);
	td_token_write(&keys, &dialog, token);
	td_token_write(&keys, &transaction, branch);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
