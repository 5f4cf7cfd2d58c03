// SPDX-License-Identifier: BSD-3-Clause
// The registrar against RFC 3261 §10.3, 3327, 3608 and 5626: what is bound, listed, refused,
// journalled, and when it ends.
#include "sip/location.h"
#include "sip/aor.h"
#include "sip/engine_priv.h"
#include "sip/penalty.h"
#include "tests/unit/register_rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define DESK "Contact: <sip:alice@10.0.1.7:5060>"

static int up(void **state)
{
	struct register_rig *rig = calloc(1, sizeof(*rig));

	*state = rig;
	return register_rig_up(rig, NULL);
}

static int down(void **state)
{
	struct register_rig *rig = *state;
	uint32_t left = register_rig_down(rig);

	free(rig);
	return left == 0 ? 0 : -1;
}

static void is_ok(const struct fake_sent *sent)
{
	assert_non_null(sent);
	if (!fake_starts(sent, "SIP/2.0 200 OK"))
		print_message("%s\n", sent->data);
	assert_true(fake_starts(sent, "SIP/2.0 200 OK"));
}

static void is_status(const struct fake_sent *sent, const char *status)
{
	char line[64];

	snprintf(line, sizeof(line), "SIP/2.0 %s", status);
	assert_non_null(sent);
	if (!fake_starts(sent, line))
		print_message("%s\n", sent->data);
	assert_true(fake_starts(sent, line));
}

static uint16_t located(struct register_rig *rig, struct td_contact *out)
{
	struct td_token_keys keys;
	static const uint8_t key[32] = "only for tests, of 32 bytes len.";

	td_token_keys_init(&keys, key, 7, 1);
	const struct td_subscriber_entry *alice =
		td_subscribers_find(rig->subscribers, TD_SPAN(RIG_ALICE));
	return td_location_find(td_engine_location(rig->engine),
		td_aor_hash(&keys, TD_SPAN(RIG_ALICE)), TD_SPAN(RIG_ALICE), alice ? alice->born : 0,
		out);
}

static uint16_t bound(struct register_rig *rig)
{
	struct td_contact contacts[TD_CONTACTS_MAX];

	return located(rig, contacts);
}

static int restored(struct register_rig *rig, const char *contact)
{
	uint8_t record[TD_BINDING_PACKED_MAX];
	struct td_binding b = { .op = TD_BINDING_UPSERT,
		.expires_s = td_engine_wall_us(rig->engine) / 1000000 + 600,
		.aor = TD_SPAN(RIG_ALICE),
		.realm = TD_SPAN("west"),
		.contact = td_span_str(contact),
		.call_id = TD_SPAN("c") };
	struct td_flow flow = fake_flow(&rig->host, FAKE_WEST, "10.0.1.7", 5060);

	b.local = flow.local;
	b.remote = flow.remote;
	return td_engine_restore_binding(
		rig->engine, rig->host.now_ns, record, (uint32_t)td_binding_pack(&b, record));
}

// --- binding ---

static void registers_lists_and_locates(void **state)
{
	struct register_rig *rig = *state;
	struct td_contact c[TD_CONTACTS_MAX];

	const struct fake_sent *sent = rig_register(rig, DESK ";expires=600\r\n");
	is_ok(sent);
	assert_string_equal(fake_header(sent, "Contact"), "<sip:alice@10.0.1.7:5060>;expires=600");
	assert_int_equal(located(rig, c), 1);
	assert_true(td_span_eq(c[0].uri, TD_SPAN("sip:alice@10.0.1.7:5060")));
	assert_int_equal(c[0].flow.remote.port, 5060);
	assert_int_equal(rig->host.n_bindings, 1);
	is_ok(rig_register(rig, "")); // asks what is bound
	assert_true(fake_has(
		&rig->host.sent[rig->host.n_sent - 1], "Contact: <sip:alice@10.0.1.7:5060>"));
	assert_int_equal(rig->host.n_bindings, 1);
}

static void several_contacts_by_q(void **state)
{
	struct register_rig *rig = *state;
	struct td_contact c[TD_CONTACTS_MAX];

	is_ok(rig_register(rig, "Contact: <sip:alice@10.0.1.7>;q=0.5, "
				"<sip:alice@10.0.1.7:5070>;q=0.25;expires=120\r\n"
				"m: <sip:alice@10.0.1.7:5080>\r\nExpires: 300\r\n"));
	const struct fake_sent *sent = &rig->host.sent[rig->host.n_sent - 1];
	assert_true(fake_has(sent, "Contact: <sip:alice@10.0.1.7>;expires=300;q=0.500\r\n"));
	assert_true(fake_has(sent, "Contact: <sip:alice@10.0.1.7:5070>;expires=120;q=0.250\r\n"));
	assert_true(fake_has(sent, "Contact: <sip:alice@10.0.1.7:5080>;expires=300\r\n"));
	assert_int_equal(located(rig, c), 3);
	assert_int_equal(c[0].q, 1000);
	assert_int_equal(c[1].q, 500);
	assert_int_equal(c[2].q, 250);
	is_status(rig_register(rig, "Contact: <sip:alice@10.0.1.7:5090>\r\n"),
		"403 Too Many Contacts");
	is_ok(rig_register(rig,
		"Contact: <sip:alice@10.0.1.7:5090>, <sip:alice@10.0.1.7:5080>;expires=0\r\n"));
	assert_int_equal(bound(rig), 3);
	is_ok(rig_register(rig, "Contact: *\r\nExpires: 0\r\n"));
	assert_int_equal(bound(rig), 0);
	assert_int_equal(rig->host.counters[TD_C_REG_REMOVED], 4);
}

static void at_most_one(struct register_rig *rig, struct td_engine_conf *conf)
{
	rig->host.realms[FAKE_WEST].registrar.max_contacts = 1;
}

// What counts is how many are bound afterwards. Where more are bound than may be, since fewer may
// be than before, they are refreshed and removed, not added to.
static void limit_is_of_what_is_bound(void **state)
{
	struct register_rig *rig = calloc(1, sizeof(*rig));

	assert_int_equal(register_rig_up(rig, at_most_one), 0);
	is_ok(rig_register(rig, DESK "\r\n"));
	is_ok(rig_register(rig,
		"Contact: <sip:alice@10.0.1.7:5070>, <sip:alice@10.0.1.7:5060>;expires=0\r\n"));
	is_status(rig_register(rig, DESK "\r\n"), "403 Too Many Contacts");
	rig->host.realms[FAKE_WEST].registrar.max_contacts = 3;
	is_ok(rig_register(rig, DESK "\r\n"));
	is_ok(rig_register(rig, "Contact: <sip:alice@10.0.1.7:5080>\r\n"));
	rig->host.realms[FAKE_WEST].registrar.max_contacts = 1;
	is_ok(rig_register(rig, DESK "\r\n"));
	is_status(rig_register(rig, "Contact: <sip:alice@10.0.1.7:5090>\r\n"),
		"403 Too Many Contacts");
	is_ok(rig_register(rig, DESK ";expires=0\r\n"));
	assert_int_equal(bound(rig), 2);
	assert_int_equal(register_rig_down(rig), 0);
	free(rig);
}

static void star_only_removes(void **state)
{
	struct register_rig *rig = *state;

	is_ok(rig_register(rig, DESK "\r\n"));
	is_status(rig_register(rig, "Contact: *\r\n"), "400");
	is_status(rig_register(rig, "Contact: *\r\nExpires: 60\r\n"), "400");
	is_status(rig_register(rig, "Contact: *\r\nContact: <sip:a@b>\r\nExpires: 0\r\n"), "400");
	assert_int_equal(bound(rig), 1);
}

static void lifetimes_are_held_to_their_range(void **state)
{
	struct register_rig *rig = *state;

	const struct fake_sent *sent = rig_register(rig, DESK ";expires=59\r\n");
	is_status(sent, "423");
	assert_string_equal(fake_header(sent, "Min-Expires"), "60");
	is_ok(rig_register(rig, DESK ";expires=99999999999\r\n"));
	assert_true(fake_has(&rig->host.sent[rig->host.n_sent - 1], ";expires=3600\r\n"));
	is_ok(rig_register(rig, DESK "\r\n"));
	assert_true(fake_has(&rig->host.sent[rig->host.n_sent - 1], ";expires=1800\r\n"));
	is_ok(rig_register(rig, DESK ";expires=soon\r\n")); // stands for 3600 (RFC 3261 §20.10)
	assert_true(fake_has(&rig->host.sent[rig->host.n_sent - 1], ";expires=3600\r\n"));
	is_ok(rig_register(rig, DESK "\r\nExpires: 99999999999\r\n"));
	assert_true(fake_has(&rig->host.sent[rig->host.n_sent - 1], ";expires=3600\r\n"));
}

static void ends_when_it_is_not_refreshed(void **state)
{
	struct register_rig *rig = *state;

	is_ok(rig_register(rig, DESK ";expires=60\r\n"));
	fake_advance(&rig->host, rig->engine, 50000);
	is_ok(rig_register(rig, DESK ";expires=60\r\n"));
	fake_advance(&rig->host, rig->engine, 59900);
	assert_int_equal(bound(rig), 1);
	fake_advance(&rig->host, rig->engine, 200);
	assert_int_equal(bound(rig), 0);
	assert_int_equal(rig->host.counters[TD_C_REG_EXPIRED], 1);
	assert_int_equal(rig->host.counters[TD_C_REG_REFRESHED], 1);
	assert_int_equal(
		td_engine_tick(rig->engine, rig->host.now_ns, 64), UINT64_MAX); // no timer is left
}

static void order_within_a_call_id(void **state)
{
	struct register_rig *rig = *state;

	is_ok(rig_register(rig, DESK "\r\n"));
	rig->cseq -= 2;
	is_status(rig_register(rig, DESK ";expires=0\r\n"), "500");
	rig->cseq -= 1;
	is_status(rig_register(rig, DESK ";expires=0\r\n"), "500"); // the same number again
	assert_int_equal(bound(rig), 1);
	rig->call_id = "c2"; // after a restart the phone counts anew
	rig->cseq = 0;
	is_ok(rig_register(rig, DESK ";expires=0\r\n"));
	assert_int_equal(bound(rig), 0);
}

static void retransmission_gets_the_same(void **state)
{
	struct register_rig *rig = *state;
	char first[2048];

	const struct fake_sent *sent = rig_register(rig, DESK "\r\n");
	is_ok(sent);
	snprintf(first, sizeof(first), "%s", sent->data);
	sent = rig_repeat(rig);
	is_ok(sent);
	assert_string_equal(sent->data, first);
	assert_int_equal(bound(rig), 1);
	assert_int_equal(rig->host.counters[TD_C_AUTH_REPEATED], 1);
}

// The last request again with one text in it changed: what somebody sends who has listened.
static const struct fake_sent *altered(struct register_rig *rig, const char *from, const char *to)
{
	char text[sizeof(rig->last)];
	const char *at = strstr(rig->last, from);

	assert_non_null(at);
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - rig->last), rig->last, to,
		at + strlen(from));
	snprintf(rig->last, sizeof(rig->last), "%s", text);
	return rig_repeat(rig);
}

// Only what is the same in all that counts is a retransmission: the digest covers neither contact
// nor lifetime.
static void altered_copies_are_replays(void **state)
{
	static const char *const alterations[][2] = {
		{ "alice@10.0.1.7:5060>", "eve@10.0.1.7:6666>" },
		{ "Expires: 600", "Expires: 0" },
		{ "Path: <sip:edge.example;lr>", "Path: <sip:eve.example;lr>" },
		{ "branch=z9hG4bK", "branch=z9hG4bKx" },
		{ "Call-ID: c1", "Call-ID: c9" },
		{ "CSeq: ", "CSeq: 9" },
	};
	struct register_rig *rig = *state;
	struct td_contact c[TD_CONTACTS_MAX];
	char last[sizeof(rig->last)];

	is_ok(rig_register(rig, DESK "\r\nExpires: 600\r\nPath: <sip:edge.example;lr>\r\n"));
	snprintf(last, sizeof(last), "%s", rig->last);
	for (size_t i = 0; i < sizeof(alterations) / sizeof(alterations[0]); i++) {
		is_status(altered(rig, alterations[i][0], alterations[i][1]), "401");
		snprintf(rig->last, sizeof(rig->last), "%s", last);
	}
	rig->port = 6666; // the same bytes from behind the same NAT
	is_status(rig_repeat(rig), "401");
	rig->port = 5060;
	is_ok(rig_repeat(rig));
	assert_int_equal(located(rig, c), 1);
	assert_true(td_span_eq(c[0].uri, TD_SPAN("sip:alice@10.0.1.7:5060")));
	assert_int_equal(c[0].flow.remote.port, 5060);
}

static void nonce_for_all(struct register_rig *rig, struct td_engine_conf *conf)
{
	rig->host.realms[FAKE_WEST].registrar.nonce_any_source = true;
}

// Where a nonce may come back from any address, a copy from another one is a replay all the same.
static void copies_from_other_addresses_are_replays(void **state)
{
	struct register_rig *rig = calloc(1, sizeof(*rig));

	assert_int_equal(register_rig_up(rig, nonce_for_all), 0);
	is_ok(rig_register(rig, DESK "\r\n"));
	rig->ip = "10.0.1.66";
	is_status(rig_repeat(rig), "401");
	rig->ip = "10.0.1.7";
	is_ok(rig_repeat(rig));
	assert_int_equal(rig->host.counters[TD_C_AUTH_REPLAYED], 1);
	assert_int_equal(register_rig_down(rig), 0);
	free(rig);
}

// Who kept a REGISTER and sends it again, from where it came or from another port behind the same
// address, binds nothing and removes nothing.
static void copies_change_nothing(void **state)
{
	struct register_rig *rig = *state;
	struct td_contact c[TD_CONTACTS_MAX];
	char kept[sizeof(rig->last)];

	is_ok(rig_register(rig, DESK "\r\n"));
	snprintf(kept, sizeof(kept), "%s", rig->last);
	rig->port = 40000;
	is_status(rig_repeat(rig), "401");
	rig->port = 5060;
	assert_int_equal(located(rig, c), 1);
	assert_int_equal(c[0].flow.remote.port, 5060);
	assert_int_equal(rig->host.n_bindings, 1);
	rig->phone.nonce[0] = '\0'; // another nonce: the one of the copy keeps its window
	is_ok(rig_register(rig, DESK ";expires=0\r\n"));
	snprintf(rig->last, sizeof(rig->last), "%s", kept);
	is_status(rig_repeat(rig), "500");
	assert_int_equal(bound(rig), 0);
	// And so with a copy of the removal, after the phone has begun anew.
	is_ok(rig_register(rig, DESK "\r\n"));
	is_ok(rig_register(rig, DESK ";expires=0\r\n"));
	snprintf(kept, sizeof(kept), "%s", rig->last);
	rig->phone.nonce[0] = '\0';
	rig->call_id = "c2";
	is_ok(rig_register(rig, DESK "\r\n"));
	snprintf(rig->last, sizeof(rig->last), "%s", kept);
	is_status(rig_repeat(rig), "500");
	assert_int_equal(bound(rig), 1);
}

static uint64_t changed_us(const struct register_rig *rig, uint32_t nth)
{
	struct td_binding b;
	uint32_t at = 0;

	for (;; nth--) {
		size_t n =
			td_binding_unpack(rig->host.bindings + at, rig->host.bindings_len - at, &b);
		assert_true(n > 0);
		if (nth == 0)
			return b.changed_us;
		at += (uint32_t)n;
	}
}

// The store keeps what changed last: also of changes in one burst, or when the clock was set back.
static void changes_are_dated_in_their_order(void **state)
{
	struct register_rig *rig = *state;

	is_ok(rig_register(rig, DESK "\r\n"));
	is_ok(rig_register(rig, DESK ";expires=0\r\n"));
	is_ok(rig_register(rig, DESK "\r\n"));
	td_engine_set_wall(rig->engine, 1000000000);
	is_ok(rig_register(rig, DESK ";expires=0\r\n"));
	is_ok(rig_register(rig, DESK "\r\n"));
	for (uint32_t i = 1; i < 5; i++)
		assert_true(changed_us(rig, i) > changed_us(rig, i - 1));
}

#define AHEAD_US 4000000000000000

static void earlier_boot_ahead(struct register_rig *rig, struct td_engine_conf *conf)
{
	conf->changed_us = AHEAD_US;
}

// Also where an earlier boot dated them by a clock that was ahead.
static void changes_go_on_from_an_earlier_boot(void **state)
{
	struct register_rig *rig = calloc(1, sizeof(*rig));

	assert_int_equal(register_rig_up(rig, earlier_boot_ahead), 0);
	is_ok(rig_register(rig, DESK "\r\n"));
	is_ok(rig_register(rig, DESK ";expires=0\r\n"));
	assert_int_equal(changed_us(rig, 0), AHEAD_US + 1);
	assert_int_equal(changed_us(rig, 1), AHEAD_US + 2);
	assert_int_equal(td_engine_changed_us(rig->engine), AHEAD_US + 2);
	assert_int_equal(register_rig_down(rig), 0);
	free(rig);
}

// Another spelling of an equal URI is the same binding, and keeps the key that the store knows.
static void equal_uris_are_one_binding(void **state)
{
	struct register_rig *rig = *state;
	struct td_binding b;
	struct td_contact c[TD_CONTACTS_MAX];

	is_ok(rig_register(rig, "Contact: <sip:alice@Desk.example;ob>\r\n"));
	uint32_t at = rig->host.bindings_len;
	is_ok(rig_register(rig, "Contact: <sip:%61lice@desk.example;ob>\r\n"));
	assert_int_equal(located(rig, c), 1);
	assert_true(td_span_eq(c[0].uri, TD_SPAN("sip:alice@Desk.example;ob")));
	assert_true(
		td_binding_unpack(rig->host.bindings + at, rig->host.bindings_len - at, &b) > 0);
	assert_true(td_span_eq(b.contact, TD_SPAN("sip:alice@Desk.example;ob")));
	is_status(rig_register(rig, "Contact: <sip:a@b>, <sip:a@b>\r\n"), "400 Contact Twice");
}

// Equality of URIs is not transitive (RFC 3261 §19.1.4): two that differ may both be the one that
// is bound.
static void one_binding_is_named_once(void **state)
{
	struct register_rig *rig = *state;

	is_ok(rig_register(rig, "Contact: <sip:alice@10.0.1.7>\r\n"));
	is_status(rig_register(
			  rig, "Contact: <sip:alice@10.0.1.7;a=1>, <sip:alice@10.0.1.7;a=2>\r\n"),
		"400 Contact Twice");
	is_status(rig_register(rig, "Contact: <sip:alice@10.0.1.7;a=1>;expires=0, "
				    "<sip:alice@10.0.1.7;a=2>;expires=0\r\n"),
		"400 Contact Twice");
	assert_int_equal(bound(rig), 1);
	is_ok(rig_register(rig, "Contact: <sip:alice@10.0.1.7;a=1>;expires=0\r\n"));
	assert_int_equal(bound(rig), 0);
}

static void binding_keeps_the_flow_it_came_on(void **state)
{
	struct register_rig *rig = *state;
	struct td_contact c[TD_CONTACTS_MAX];

	rig->port = 40000; // behind a NAT
	is_ok(rig_register(rig, "Contact: <sip:alice@192.168.1.2>\r\n"));
	rig->port = 40001; // the NAT forgot
	is_ok(rig_register(rig, "Contact: <sip:alice@192.168.1.2>\r\n"));
	assert_int_equal(located(rig, c), 1);
	assert_int_equal(c[0].flow.remote.port, 40001);
	assert_int_equal(c[0].flow.local.port, 5060);
}

// --- who may ---

static void others_are_refused(void **state)
{
	struct register_rig *rig = *state;

	is_ok(rig_register(rig, DESK "\r\n"));
	is_status(rig_send(rig, "bob@tandem.example", true, DESK "\r\n"),
		"403"); // alice's credentials, bob's AoR
	is_status(rig_send(rig, "alice@elsewhere.example", true, DESK "\r\n"), "404");
	rig->phone.password = "wrong";
	is_status(rig_register(rig, DESK ";expires=0\r\n"), "401");
	rig->phone.algorithm = TD_DIGEST_MD5;
	is_status(rig_register(rig, DESK ";expires=0\r\n"), "403");
	assert_int_equal(bound(rig), 1);
}

static void full_journal_changes_nothing(void **state)
{
	struct register_rig *rig = *state;

	rig->host.bindings_answer = TD_REFUSED;
	const struct fake_sent *sent = rig_register(rig, DESK "\r\n");
	is_status(sent, "503");
	assert_true(fake_has(sent, "Retry-After"));
	assert_int_equal(bound(rig), 0);
	assert_int_equal(rig->host.counters[TD_C_REG_NO_ROOM], 1);
}

static bool never_over(void *host, uint64_t token)
{
	return false;
}

static uint64_t begin(void *host)
{
	return 1;
}

static struct td_host_ops ops_that_read;

static void readers_that_stay(struct register_rig *rig, struct td_engine_conf *conf)
{
	ops_that_read = *conf->ops;
	ops_that_read.grace_begin = begin;
	ops_that_read.grace_over = never_over;
	conf->ops = &ops_that_read;
	rig->host.realms[FAKE_WEST].registrar.nonce_lifetime_s = 100000;
}

// Without memory for what it asks for nothing is journalled, nothing changes, and no 200 says
// otherwise.
static void no_memory_changes_nothing(void **state)
{
	struct register_rig *rig = calloc(1, sizeof(*rig));
	const struct fake_sent *sent;
	char lines[1600];
	unsigned n = 0;

	assert_int_equal(register_rig_up(rig, readers_that_stay), 0);
	do {
		fake_forget(&rig->host);
		rig->host.bindings_len = rig->host.n_bindings = 0;
		snprintf(lines, sizeof(lines),
			"Contact: <sip:alice@10.0.1.7;n=%0400u>\r\nPath: <sip:p%u@e;n=%0900u>\r\n",
			1, n, 1);
		sent = rig_register(rig, lines);
	} while (++n < 10000 && fake_starts(sent, "SIP/2.0 200"));
	is_status(sent, "503");
	assert_true(fake_has(sent, "Retry-After"));
	assert_int_equal(rig->host.n_bindings, 0);
	assert_int_equal(rig->host.counters[TD_C_REG_NO_ROOM], 1);
	assert_int_equal(bound(rig), 1); // the old one stands
	is_ok(rig_register(rig, "Contact: *\r\nExpires: 0\r\n"));
	assert_int_equal(bound(rig), 0);
	assert_int_equal(register_rig_down(rig), 0);
	free(rig);
}

static void limit_of_bindings_is_held(void **state)
{
	static const char *const users[] = { "alice", "bob", "md5only" };
	struct register_rig *rig = *state;

	for (unsigned i = 0; i < 3; i++) {
		rig->phone.user = users[i];
		rig->phone.algorithm = i == 2 ? TD_DIGEST_MD5 : TD_DIGEST_SHA256;
		rig->phone.nonce[0] = '\0';
		const struct fake_sent *sent = rig_register(rig,
			"Contact: <sip:a@10.0.1.7:1>, <sip:a@10.0.1.7:2>, <sip:a@10.0.1.7:3>\r\n");
		if (i < 2)
			is_ok(sent);
		else
			is_status(sent, "503"); // eight in all
	}
	assert_int_equal(rig->host.counters[TD_C_REG_NO_ROOM], 1);
}

static void second_of_two(struct register_rig *rig, struct td_engine_conf *conf)
{
	conf->n_workers = 2;
	conf->worker = 1;
}

static void first_of_two(struct register_rig *rig, struct td_engine_conf *conf)
{
	conf->n_workers = 2;
}

// Bindings that no reader looks for would be as good as lost: only their owner takes them.
static void only_the_owner_binds(void **state)
{
	struct register_rig *rigs[2] = { calloc(1, sizeof(**rigs)), calloc(1, sizeof(**rigs)) };
	unsigned taken = 0;

	assert_int_equal(register_rig_up(rigs[0], first_of_two), 0);
	assert_int_equal(register_rig_up(rigs[1], second_of_two), 0);
	for (unsigned i = 0; i < 2; i++) {
		const struct fake_sent *sent = rig_register(rigs[i], DESK "\r\n");
		taken += fake_starts(sent, "SIP/2.0 200");
		if (!fake_starts(sent, "SIP/2.0 200"))
			is_status(sent, "400 To Too Far Behind");
		assert_int_equal(bound(rigs[i]), fake_starts(sent, "SIP/2.0 200"));
	}
	assert_int_equal(taken, 1);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(register_rig_down(rigs[i]), 0);
		free(rigs[i]);
	}
}

// Who gets the name of a subscriber that was deleted gets none of its calls and contacts with it.
static void a_name_is_given_to_another(void **state)
{
	struct register_rig *rig = *state;
	struct td_subscriber s = { .has_sha256 = true, .enabled = true, .aor = RIG_ALICE };
	struct td_contact c[TD_CONTACTS_MAX];

	is_ok(rig_register(rig, DESK "\r\n"));
	td_digest_ha1(TD_DIGEST_SHA256, TD_SPAN("alice"), TD_SPAN("tandem.example"),
		TD_SPAN("other"), s.ha1_sha256);
	assert_int_equal(td_subscribers_put(rig->subscribers, &s),
		0); // another password: the same subscriber
	assert_int_equal(bound(rig), 1);
	assert_int_equal(td_subscribers_delete(rig->subscribers, TD_SPAN(RIG_ALICE)), 0);
	assert_int_equal(td_subscribers_put(rig->subscribers, &s), 0);
	assert_int_equal(bound(rig), 0);
	rig->phone.password = "other";
	rig->call_id = "c2";
	const struct fake_sent *sent = rig_register(rig, "Contact: <sip:alice@10.0.1.7:5080>\r\n");
	is_ok(sent);
	assert_false(fake_has(sent, "10.0.1.7:5060>"));
	assert_int_equal(located(rig, c), 1);
	assert_true(td_span_eq(c[0].uri, TD_SPAN("sip:alice@10.0.1.7:5080")));
	assert_int_equal(td_subscribers_delete(rig->subscribers, TD_SPAN(RIG_ALICE)), 0);
	assert_int_equal(restored(rig, "sip:alice@10.0.1.7:5090"), -ENOENT);
}

// --- extensions ---

static void path_and_service_route(void **state)
{
	struct register_rig *rig = *state;
	struct td_contact c[TD_CONTACTS_MAX];

	const struct fake_sent *sent = rig_register(rig,
		DESK "\r\nSupported: path\r\nRequire: path\r\n"
		     "Path: <sip:edge2.example;lr>\r\nPath: <sip:edge1.example;lr>\r\n");
	is_ok(sent);
	assert_string_equal(
		fake_header(sent, "Path"), "<sip:edge2.example;lr>, <sip:edge1.example;lr>");
	assert_int_equal(located(rig, c), 1);
	assert_true(
		td_span_eq(c[0].path, TD_SPAN("<sip:edge2.example;lr>, <sip:edge1.example;lr>")));
	is_status(rig_register(rig, DESK "\r\nPath: edge\r\n"), "400");
	sent = rig_register(rig, DESK "\r\nRequire: gruu, path\r\n");
	is_status(sent, "420");
	assert_string_equal(fake_header(sent, "Unsupported"), "gruu");
	// Too long to be repeated is not known either.
	char lines[512];
	snprintf(lines, sizeof(lines), DESK "\r\nRequire: path, %0300d\r\n", 0);
	is_status(rig_register(rig, lines), "420");
}

#define INSTANCE ";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>\""

// RFC 5626 §6: instance and reg-id name the binding, whatever the contact is; all flows of an
// instance are told, the newest first, unless they are one and the same.
static void outbound_flows(void **state)
{
	struct register_rig *rig = *state;
	struct td_contact c[TD_CONTACTS_MAX];

	const struct fake_sent *sent =
		rig_register(rig, "Contact: <sip:alice@10.0.1.7:5060>" INSTANCE ";reg-id=1\r\n"
				  "Supported: outbound, path\r\n");
	is_ok(sent);
	assert_string_equal(fake_header(sent, "Require"), "outbound");
	assert_string_equal(fake_header(sent, "Contact"),
		"<sip:alice@10.0.1.7:5060>;expires=1800" INSTANCE ";reg-id=1");
	rig->port = 5062;
	is_ok(rig_register(rig, "Contact: <sip:alice@10.0.1.8:5062>" INSTANCE
				";reg-id=1\r\nSupported: outbound\r\n"));
	assert_int_equal(located(rig, c), 1);
	assert_true(td_span_eq(c[0].uri, TD_SPAN("sip:alice@10.0.1.8:5062")));
	rig->port = 5064;
	is_ok(rig_register(rig, "Contact: <sip:alice@10.0.1.8:5064>" INSTANCE
				";reg-id=2\r\nSupported: outbound\r\n"));
	assert_int_equal(located(rig, c), 2);
	assert_int_equal(c[0].reg_id, 2);
	assert_int_equal(c[1].reg_id, 1);
	assert_int_equal(rig->host.counters[TD_C_REG_ADDED], 2);
	is_ok(rig_register(rig, "Contact: <sip:alice@10.0.1.8:5064>" INSTANCE
				";reg-id=3\r\nSupported: outbound\r\n"));
	assert_int_equal(td_location_count(td_engine_location(rig->engine)), 3);
	assert_int_equal(located(rig, c), 2);
	is_ok(rig_register(rig, "Contact: <sip:alice@10.0.1.8:5064>" INSTANCE
				";reg-id=3;expires=0\r\nSupported: outbound\r\n"));
	// Without the option the instance is a parameter like others.
	sent = rig_register(rig, "Contact: <sip:alice@10.0.1.7:5060>" INSTANCE ";reg-id=1\r\n");
	is_ok(sent);
	assert_string_equal(fake_header(sent, "Require"), "");
}

// RFC 5626 §6: of a proxy between that knows nothing of flows no flow can be kept.
static void first_hop_must_know_of_flows(void **state)
{
	static const char flow[] = "Contact: <sip:alice@10.0.1.7:5060>" INSTANCE
				   ";reg-id=1\r\nSupported: outbound, path\r\n";
	static const char via[] = "Via: SIP/2.0/UDP 192.168.0.7;branch=z9hG4bKphone\r\n";
	struct register_rig *rig = *state;
	char lines[1024];

	snprintf(lines, sizeof(lines), "%s%s", flow, via);
	is_status(rig_register(rig, lines), "439 First Hop Lacks Outbound Support");
	snprintf(lines, sizeof(lines),
		"%s%sPath: <sip:x@second.example;lr;ob>, <sip:first.example;lr>\r\n", flow, via);
	is_status(rig_register(rig, lines), "439");
	assert_int_equal(bound(rig), 0);
	snprintf(lines, sizeof(lines),
		"%s%sPath: <sip:second.example;lr>, <sip:x@first.example;lr;ob>\r\n", flow, via);
	is_ok(rig_register(rig, lines));
	snprintf(lines, sizeof(lines), "Contact: <sip:alice@10.0.1.7:5062>\r\n%s",
		via); // asks for none
	is_ok(rig_register(rig, lines));
	assert_int_equal(bound(rig), 2);
}

// Two phones in two homes, both 192.168.1.2 there: both ring.
static void alike_contacts_of_two_instances(void **state)
{
	struct register_rig *rig = *state;
	struct td_contact c[TD_CONTACTS_MAX];

	rig->port = 40000;
	is_ok(rig_register(rig, "Contact: "
				"<sip:alice@192.168.1.2>;+sip.instance=\"<urn:uuid:1>\";reg-id="
				"1\r\nSupported: outbound\r\n"));
	rig->ip = "10.0.1.8";
	rig->call_id = "c8";
	rig->phone.nonce[0] = '\0';
	is_ok(rig_register(rig, "Contact: "
				"<sip:alice@192.168.1.2>;+sip.instance=\"<urn:uuid:2>\";reg-id="
				"1\r\nSupported: outbound\r\n"));
	assert_int_equal(located(rig, c), 2);
	assert_false(td_sockaddr_eq(&c[0].flow.remote, &c[1].flow.remote));
}

static void bad_contacts_are_refused(void **state)
{
	static const char *const bad[] = { "Contact: <sip:a@b>;q=1.1\r\n",
		"Contact: <sip:a@b>;q=x\r\n", "Contact: <sip:a@b>;reg-id=0\r\n",
		"Contact: <tel:+4930>\r\n", "Contact: <sip:a@b?x=y>\r\n",
		"Contact: <sip:a@b>;+sip.instance=x\r\n",
		"Contact: <sip:a@b>;+sip.instance=\"a b\"\r\n" };
	struct register_rig *rig = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		is_status(rig_register(rig, bad[i]), "400");
	assert_int_equal(bound(rig), 0);
}

// Comparing two URIs takes the product of their parameters, and of 32 contacts each is compared
// with each.
static void a_contact_has_few_parameters(void **state)
{
	struct register_rig *rig = *state;
	char text[TD_BINDING_CONTACT_MAX];

	for (unsigned more = 0; more < 2; more++) {
		size_t len = (size_t)snprintf(text, sizeof(text), "Contact: <sip:alice@10.0.1.7");
		for (unsigned i = 0; i < TD_BINDING_PARAMS_MAX + more; i++)
			len += (size_t)snprintf(text + len, sizeof(text) - len, ";p%u=%u", i, i);
		snprintf(text + len, sizeof(text) - len, ">\r\n");
		is_status(rig_register(rig, text), more ? "400" : "200");
	}
	assert_int_equal(bound(rig), 1);
}

// --- what comes back after a restart ---

static void bindings_come_back(void **state)
{
	struct register_rig *rig = *state, *next = calloc(1, sizeof(*next));
	struct td_contact c[TD_CONTACTS_MAX];
	uint8_t record[TD_BINDING_PACKED_MAX];

	rig->port = 40000;
	is_ok(rig_register(
		rig, "Contact: <sip:alice@192.168.1.2>;expires=600;q=0.7\r\nUser-Agent: Desk\r\n"));
	uint32_t len = rig->host.bindings_len;
	memcpy(record, rig->host.bindings, len);
	assert_int_equal(register_rig_up(next, NULL), 0);
	next->host.now_ns = rig->host.now_ns + 100ull * 1000000000;
	assert_int_equal(
		td_engine_restore_binding(next->engine, next->host.now_ns, record, len), 0);
	assert_int_equal(
		td_engine_restore_binding(next->engine, next->host.now_ns, record, len), -EEXIST);
	assert_int_equal(
		td_engine_restore_binding(next->engine, next->host.now_ns, record, len - 1),
		-EBADMSG);
	assert_int_equal(located(next, c), 1);
	assert_int_equal(c[0].q, 700);
	assert_int_equal(c[0].flow.remote.port, 40000);
	fake_advance(&next->host, next->engine, 499000);
	assert_int_equal(bound(next), 1);
	fake_advance(&next->host, next->engine, 2000);
	assert_int_equal(bound(next), 0);
	assert_int_equal(
		td_engine_restore_binding(next->engine, next->host.now_ns, record, len), -ESTALE);
	assert_int_equal(register_rig_down(next), 0);
	free(next);
}

// A maximum that was lowered holds for what comes back, and so it does for what no realm granted.
static void what_comes_back_ends_by_the_maximum(void **state)
{
	struct register_rig *rig = *state;
	uint8_t record[TD_BINDING_PACKED_MAX];
	uint64_t max_s = rig->host.realms[FAKE_WEST].registrar.max_expires_s;
	struct td_binding b;

	is_ok(rig_register(rig, "Contact: <sip:alice@10.0.1.7>;expires=600\r\n"));
	assert_true(td_binding_unpack(rig->host.bindings, rig->host.bindings_len, &b) > 0);
	b.expires_s = UINT64_MAX;
	uint32_t len = (uint32_t)td_binding_pack(&b, record);
	fake_advance(&rig->host, rig->engine, 601000);
	assert_int_equal(bound(rig), 0);
	assert_int_equal(td_engine_restore_binding(rig->engine, rig->host.now_ns, record, len), 0);
	fake_advance(&rig->host, rig->engine, max_s * 1000 - 1000);
	assert_int_equal(bound(rig), 1);
	fake_advance(&rig->host, rig->engine, 2000);
	assert_int_equal(bound(rig), 0);
}

static void room_for_many(struct register_rig *rig, struct td_engine_conf *conf)
{
	conf->max_registrations = 64;
}

// A phone that was quicker than the store is not there twice, and nobody has more bindings than an
// answer can list.
static void what_comes_back_has_its_limits(void **state)
{
	struct register_rig *rig = calloc(1, sizeof(*rig));
	char contact[64];

	assert_int_equal(register_rig_up(rig, room_for_many), 0);
	is_ok(rig_register(rig, "Contact: <sip:alice@10.0.1.7;ob>\r\n"));
	assert_int_equal(restored(rig, "sip:%61lice@10.0.1.7;ob"), -EEXIST);
	for (unsigned i = 1; i < TD_CONTACTS_MAX; i++) {
		snprintf(contact, sizeof(contact), "sip:alice@10.0.1.7:%u", 6000 + i);
		assert_int_equal(restored(rig, contact), 0);
	}
	assert_int_equal(restored(rig, "sip:alice@10.0.1.7:7000"), -ENOSPC);
	is_ok(rig_register(rig, "Contact: *\r\nExpires: 0\r\n"));
	assert_int_equal(bound(rig), 0);
	assert_int_equal(register_rig_down(rig), 0);
	free(rig);
}

// Until the bindings of the boot before are back, what is not there may yet come: no 200 says that
// it is gone.
static void nothing_is_removed_before_all_is_back(void **state)
{
	struct register_rig *rig = *state;

	rig->host.restoring = true;
	const struct fake_sent *sent = rig_register(rig, DESK ";expires=0\r\n");
	is_status(sent, "503");
	assert_true(fake_has(sent, "Retry-After"));
	is_status(rig_register(rig, "Contact: *\r\nExpires: 0\r\n"), "503");
	is_ok(rig_register(rig, DESK "\r\n"));
	is_status(rig_register(rig, "Contact: *\r\nExpires: 0\r\n"), "503");
	is_status(rig_register(rig, DESK ";expires=0\r\n"),
		"503"); // its older record may be on its way
	assert_int_equal(bound(rig), 1);
	rig->host.restoring = false;
	is_ok(rig_register(rig, DESK ";expires=0\r\n"));
	is_ok(rig_register(rig, "Contact: *\r\nExpires: 0\r\n"));
}

static void sync(struct register_rig *rig, struct td_engine_conf *conf)
{
	conf->location_sync = true;
}

// durability = "sync": no 200 before the host says that the records are safe, none at all where
// they will not be.
static void answer_waits_for_the_disk(void **state)
{
	struct register_rig *rig = calloc(1, sizeof(*rig));
	struct td_late_answer late = { .answer = TD_DONE };

	assert_int_equal(register_rig_up(rig, sync), 0);
	rig->host.bindings_answer = TD_PENDING;
	assert_null(rig_register(rig, DESK "\r\n"));
	late.cookie = rig->host.last_cookie;
	td_engine_answer(rig->engine, rig->host.now_ns, &late);
	is_ok(fake_next(&rig->host));
	td_engine_answer(rig->engine, rig->host.now_ns, &late); // a stale cookie
	assert_null(fake_next(&rig->host));
	assert_null(rig_register(rig, DESK "\r\n"));
	late.cookie = rig->host.last_cookie;
	late.answer = TD_REFUSED;
	td_engine_answer(rig->engine, rig->host.now_ns, &late);
	assert_null(fake_next(&rig->host));
	assert_null(rig_repeat(rig)); // and waits again
	assert_null(rig_register(
		rig, DESK "\r\n")); // left waiting: its buffer is given back at the end
	assert_int_equal(register_rig_down(rig), 0);
	free(rig);
}

// --- keeping NATs open ---

static void pings(struct register_rig *rig, struct td_engine_conf *conf)
{
	rig->host.realms[FAKE_WEST].registrar.ping = TD_PING_OPTIONS;
	rig->host.realms[FAKE_WEST].registrar.ping_interval_s = 20;
}

static void pings_go_to_those_behind_nat(void **state)
{
	struct register_rig *rig = calloc(1, sizeof(*rig));

	assert_int_equal(register_rig_up(rig, pings), 0);
	is_ok(rig_register(rig, DESK ";expires=600\r\n")); // says where it is
	fake_advance(&rig->host, rig->engine, 60000);
	assert_null(fake_next(&rig->host));
	rig->port = 40000;
	is_ok(rig_register(rig, "Contact: <sip:alice@192.168.1.2>;expires=600\r\n"));
	fake_advance(&rig->host, rig->engine, 61000);
	unsigned n = 0;
	for (const struct fake_sent *sent; (sent = fake_next(&rig->host)); n++) {
		char pong[1024];
		assert_true(fake_starts(sent, "OPTIONS sip:alice@192.168.1.2 SIP/2.0\r\n"));
		assert_int_equal(sent->flow.remote.port, 40000);
		snprintf(pong, sizeof(pong), "SIP/2.0 200 OK\r\nVia: %s\r\n",
			fake_header(sent, "Via"));
		snprintf(pong + strlen(pong), sizeof(pong) - strlen(pong), "From: %s\r\n",
			fake_header(sent, "From"));
		snprintf(pong + strlen(pong), sizeof(pong) - strlen(pong),
			"To: <sip:x@y>;tag=1\r\nCall-ID: %s\r\n", fake_header(sent, "Call-ID"));
		snprintf(pong + strlen(pong), sizeof(pong) - strlen(pong),
			"CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n");
		struct td_flow flow = fake_flow(&rig->host, FAKE_WEST, "10.0.1.7", 40000);
		fake_rx(&rig->host, rig->engine, &flow, pong);
	}
	assert_true(n == 3 || n == 4);
	assert_int_equal(rig->host.counters[TD_C_REG_PONGS], n);
	assert_int_equal(rig->host.counters[TD_C_SIP_STRAY_RESPONSE], 0);
	assert_int_equal(register_rig_down(rig), 0);
	free(rig);
}

static void keepalives_are_answered(void **state)
{
	static const uint8_t request[20] = { 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6,
		7, 8, 9, 10, 11, 12 };
	static const uint8_t expected[32] = { 1, 1, 0, 12, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6,
		7, 8, 9, 10, 11, 12, 0, 0x20, 0, 8, 0, 1, 0x9c ^ 0x21, 0x40 ^ 0x12, 10 ^ 0x21,
		0 ^ 0x12, 1 ^ 0xa4, 7 ^ 0x42 };
	struct register_rig *rig = *state;
	struct td_flow flow = fake_flow(&rig->host, FAKE_WEST, "10.0.1.7", 0x9c40);
	struct td_flow east = fake_flow(&rig->host, FAKE_EAST, "10.0.2.7", 5060);

	fake_rx(&rig->host, rig->engine, &flow, "\r\n\r\n");
	const struct fake_sent *sent = fake_next(&rig->host);
	assert_string_equal(sent->data, "\r\n");
	fake_rx(&rig->host, rig->engine, &flow, "\r\n");
	fake_rx(&rig->host, rig->engine, &east, "\r\n\r\n");
	assert_null(fake_next(&rig->host));
	td_engine_rx(rig->engine, rig->host.now_ns, &flow, (const char *)request, sizeof(request));
	sent = fake_next(&rig->host);
	assert_int_equal(sent->len, sizeof(expected));
	assert_memory_equal(sent->data, expected, sizeof(expected));
	td_engine_rx(rig->engine, rig->host.now_ns, &east, (const char *)request, sizeof(request));
	assert_null(fake_next(&rig->host));
	uint8_t broken[28] = { 0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0x80, 0x22, 0, 9, 'x' };
	td_engine_rx(rig->engine, rig->host.now_ns, &flow, (const char *)broken, sizeof(broken));
	assert_null(fake_next(&rig->host));
	broken[23] = 2; // an attribute that may be passed over
	td_engine_rx(rig->engine, rig->host.now_ns, &flow, (const char *)broken, sizeof(broken));
	assert_non_null(fake_next(&rig->host));
}

#define T(name) cmocka_unit_test_setup_teardown(name, up, down)

// --- several workers ---

static struct td_penalties *penalties;

static void with_penalties(struct register_rig *rig, struct td_engine_conf *conf)
{
	static const uint64_t key[2] = { 1, 2 };

	if (!penalties)
		penalties = td_penalties_new(
			&(struct td_alloc){ conf->alloc, conf->free, conf->alloc_ctx, NULL }, 64,
			key);
	conf->penalties = penalties;
}

// Who guesses picks the worker by what he writes: all of them know of what failed at any.
static void workers_share_what_failed(void **state)
{
	struct register_rig *workers[2];

	for (unsigned i = 0; i < 2; i++) {
		workers[i] = calloc(1, sizeof(*workers[i]));
		assert_int_equal(register_rig_up(workers[i], with_penalties), 0);
		workers[i]->phone.password = "wrong";
		workers[i]->phone.algorithm = TD_DIGEST_MD5;
	}
	for (unsigned guess = 0; guess < 3; guess++)
		is_status(rig_register(workers[guess % 2], DESK "\r\n"), "403");
	is_status(rig_register(workers[1], DESK "\r\n"), "503");
	assert_int_equal(workers[1]->host.counters[TD_C_AUTH_PENALTY], 1);
	td_penalties_free(penalties, &workers[0]->engine->alloc);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(register_rig_down(workers[i]), 0);
		free(workers[i]);
	}
}

// One spelling for each: the domain in lower case whatever its length, the user as it is,
// unescaped.
static void one_spelling_for_each_aor(void **state)
{
	static const char domain[] = "[@`{Z-A.Example-0123456789.ZYXWVUTSRQPONMLKJIHGFEDCBA";
	char aor[TD_AOR_LEN];

	for (uint32_t len = 1; len < sizeof(domain); len++) {
		const struct td_uri uri = { .user = TD_SPAN("Al%69ce%40X"),
			.host = td_span(domain, len) };
		assert_int_equal(td_aor_make(&uri, aor), 8 + len);
		assert_memory_equal(aor, "Alice@X@", 8);
		for (uint32_t i = 0; i < len; i++)
			assert_int_equal(aor[8 + i], td_lower(domain[i]));
	}
	const struct td_uri plain = { .user = TD_SPAN("Alice"), .host = TD_SPAN("A") };
	assert_int_equal(td_aor_make(&plain, aor), 7);
	assert_memory_equal(aor, "Alice@a", 7);
	const struct td_uri blank = { .user = TD_SPAN("Al%20ice"), .host = TD_SPAN("A") };
	assert_true(td_aor_make(&blank, aor) < 0);
	const struct td_uri nobody = { .host = TD_SPAN("A") };
	assert_true(td_aor_make(&nobody, aor) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(registers_lists_and_locates),
		T(several_contacts_by_q),
		cmocka_unit_test(one_spelling_for_each_aor),
		cmocka_unit_test(limit_is_of_what_is_bound),
		T(star_only_removes),
		T(lifetimes_are_held_to_their_range),
		T(ends_when_it_is_not_refreshed),
		T(order_within_a_call_id),
		T(retransmission_gets_the_same),
		T(altered_copies_are_replays),
		cmocka_unit_test(copies_from_other_addresses_are_replays),
		T(copies_change_nothing),
		T(changes_are_dated_in_their_order),
		T(changes_go_on_from_an_earlier_boot),
		T(equal_uris_are_one_binding),
		T(one_binding_is_named_once),
		T(binding_keeps_the_flow_it_came_on),
		T(others_are_refused),
		T(full_journal_changes_nothing),
		cmocka_unit_test(no_memory_changes_nothing),
		T(limit_of_bindings_is_held),
		cmocka_unit_test(only_the_owner_binds),
		T(a_name_is_given_to_another),
		T(path_and_service_route),
		T(outbound_flows),
		T(first_hop_must_know_of_flows),
		T(alike_contacts_of_two_instances),
		T(bad_contacts_are_refused),
		T(a_contact_has_few_parameters),
		T(bindings_come_back),
		T(what_comes_back_ends_by_the_maximum),
		cmocka_unit_test(what_comes_back_has_its_limits),
		T(nothing_is_removed_before_all_is_back),
		cmocka_unit_test(answer_waits_for_the_disk),
		cmocka_unit_test(pings_go_to_those_behind_nat),
		T(keepalives_are_answered),
		cmocka_unit_test(workers_share_what_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
