// SPDX-License-Identifier: BSD-3-Clause
// Subscribers, numbers and bindings in control/store.h, over both engines.
#include "tests/unit/store_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct td_subscriber somebody(const char *aor, const char *number)
{
	struct td_subscriber s = {
		.has_sha256 = true, .enabled = true, .n_numbers = number ? 1 : 0, .max_calls = 3
	};

	snprintf(s.aor, sizeof(s.aor), "%s", aor);
	snprintf(s.plan, sizeof(s.plan), "%s", TD_PLAN_DEFAULT);
	if (number)
		snprintf(s.numbers[0], sizeof(s.numbers[0]), "%s", number);
	memset(s.ha1_sha256, 0xab, sizeof(s.ha1_sha256));
	s.ha1_sha256[3] = 0; // bytes, not text
	return s;
}

static int put(
	struct td_store *store, const struct td_subscriber *s, bool replace, uint64_t *generation)
{
	char reason[256] = "";

	return td_store_subscriber_put(store, s, replace, generation, reason, sizeof(reason));
}

static void a_subscriber_comes_back_whole(void **state)
{
	struct td_store *store = *state;
	struct td_subscriber s = somebody("1001@tandem.example", "4930555100"), back;
	uint64_t first, generation;
	char owner[TD_AOR_LEN];

	s.n_numbers = 2;
	s.max_cps = 5;
	s.cps_burst = 9;
	snprintf(s.numbers[1], sizeof(s.numbers[1]), "4930555199");
	s.has_md5 = true;
	memset(s.ha1_md5, 0x0f, sizeof(s.ha1_md5));
	snprintf(s.display, sizeof(s.display), "O'Hara \"Q\" \xc3\xbc");
	assert_int_equal(td_store_generation(store, &first), 0);
	assert_int_not_equal(first, 0);
	assert_int_equal(put(store, &s, false, &generation), 0);
	assert_int_equal(generation, first + 1);
	assert_int_equal(td_store_subscriber_get(store, "1001@tandem.example", &back), 0);
	assert_memory_equal(&back, &s, sizeof(s));
	assert_int_equal(td_store_number_owner(store, "4930555199", owner), 0);
	assert_string_equal(owner, "1001@tandem.example");
	assert_int_equal(td_store_subscriber_get(store, "1002@tandem.example", &back), -ENOENT);
	assert_int_equal(td_store_number_owner(store, "1", owner), -ENOENT);
}

static void adding_twice_is_refused_and_replacing_is_not(void **state)
{
	struct td_store *store = *state;
	struct td_subscriber s = somebody("a@x", "1"), back;
	uint64_t generation, after;
	char owner[TD_AOR_LEN];

	assert_int_equal(put(store, &s, false, &generation), 0);
	s.numbers[0][0] = '2';
	assert_int_equal(put(store, &s, false, &after), -EEXIST);
	td_store_rollback(store);
	assert_int_equal(put(store, &s, true, &after), 0);
	assert_int_equal(after, generation + 1);
	assert_int_equal(td_store_subscriber_get(store, "a@x", &back), 0);
	assert_int_equal(back.n_numbers, 1);
	assert_string_equal(back.numbers[0], "2");
	assert_int_equal(td_store_number_owner(store, "1", owner), -ENOENT);
}

static void a_number_has_one_owner(void **state)
{
	struct td_store *store = *state;
	struct td_subscriber a = somebody("a@x", "1"), b = somebody("b@x", "1"), back;
	uint64_t before, generation;
	char reason[256];

	assert_int_equal(put(store, &a, false, &before), 0);
	assert_int_equal(
		td_store_subscriber_put(store, &b, false, &generation, reason, sizeof(reason)),
		-EEXIST);
	assert_string_equal(reason, "number 1 belongs to a@x");
	td_store_rollback(store);
	assert_int_equal(td_store_subscriber_get(store, "b@x", &back), -ENOENT);
	assert_int_equal(td_store_generation(store, &generation), 0);
	assert_int_equal(generation, before);
	assert_int_equal(td_store_subscriber_delete(store, "a@x", &generation), 0);
	assert_int_equal(put(store, &b, false, &generation), 0);
}

static void deleting_takes_the_numbers_along(void **state)
{
	struct td_store *store = *state;
	struct td_subscriber s = somebody("a@x", "1");
	uint64_t generation;
	char owner[TD_AOR_LEN];

	assert_int_equal(td_store_subscriber_delete(store, "a@x", &generation), -ENOENT);
	td_store_rollback(store);
	put(store, &s, false, &generation);
	assert_int_equal(td_store_subscriber_delete(store, "a@x", &generation), 0);
	assert_int_equal(td_store_number_owner(store, "1", owner), -ENOENT);
	assert_string_equal(store_ask("SELECT count(*) FROM subscriber"), "0");
}

struct paging {
	int n, numbers;
	char last[TD_AOR_LEN];
};

static void page_take(void *user, const struct td_subscriber *s)
{
	struct paging *paging = user;

	paging->n++;
	paging->numbers += s->n_numbers;
	snprintf(paging->last, sizeof(paging->last), "%s", s->aor);
}

static void all_of_them_come_page_by_page(void **state)
{
	static struct td_subscriber list[250];
	struct td_store *store = *state;
	struct paging paging = { 0 };
	uint64_t generation;
	int pages = 0, before;

	for (int i = 0; i < 250; i++) {
		char aor[32], number[20];
		snprintf(aor, sizeof(aor), "u%d@x", i * 7919 % 1000);
		snprintf(number, sizeof(number), "49%d", i);
		list[i] = somebody(aor, i % 10 == 0 ? NULL : number);
		if (i % 10 == 1) {
			list[i].n_numbers = 2;
			snprintf(list[i].numbers[1], sizeof(list[i].numbers[1]), "50%d", i);
		}
	}
	assert_int_equal(td_store_subscribers_load(store, list, 250, &generation), 0);
	do {
		before = paging.n;
		assert_int_equal(
			td_store_subscribers(store, paging.last, 60, page_take, &paging), 0);
		pages += paging.n > before;
	} while (paging.n > before);
	assert_int_equal(pages, 5);
	assert_int_equal(paging.n, 250);
	assert_int_equal(paging.numbers, 250);
}

// --- the log of changes ---

struct log_seen {
	int n;
	char text[4096]; // "aor=number " or "aor- " of each
};

static void change_see(void *user, const char *aor, const struct td_subscriber *s)
{
	struct log_seen *seen = user;
	size_t at = strlen(seen->text);

	snprintf(seen->text + at, sizeof(seen->text) - at, "%s%s%s ", aor, s ? "=" : "-",
		s && s->n_numbers ? s->numbers[0] : "");
	seen->n++;
}

static int changes(
	struct td_store *store, uint64_t after, struct log_seen *seen, uint64_t *generation)
{
	*seen = (struct log_seen){ 0 };
	return td_store_subscriber_changes(store, after, change_see, seen, generation);
}

static void the_log_tells_what_changed_as_it_is_now(void **state)
{
	struct td_store *store = *state;
	struct td_subscriber a = somebody("a@x", "1"), b = somebody("b@x", "2"),
			     c = somebody("c@x", NULL);
	struct log_seen seen;
	uint64_t first, generation, to = 0;

	assert_int_equal(td_store_generation(store, &first), 0);
	assert_int_equal(changes(store, first, &seen, &to), 0);
	assert_int_equal(seen.n, 0);
	assert_int_equal(to, first);
	assert_int_equal(put(store, &a, false, &generation), 0);
	assert_int_equal(put(store, &b, false, &generation), 0);
	assert_int_equal(put(store, &c, false, &generation), 0);
	a.numbers[0][0] = '3';
	assert_int_equal(put(store, &a, true, &generation), 0);
	assert_int_equal(td_store_subscriber_delete(store, "b@x", &generation), 0);
	assert_int_equal(generation, first + 5);
	assert_int_equal(changes(store, first, &seen, &to), 0);
	assert_string_equal(seen.text, "c@x= a@x=3 b@x- ");
	assert_int_equal(to, generation);
	assert_int_equal(changes(store, first + 1, &seen, &to), 0);
	assert_string_equal(seen.text, "c@x= a@x=3 b@x- ");
	assert_int_equal(changes(store, first + 4, &seen, &to), 0);
	assert_string_equal(seen.text, "b@x- ");
	assert_int_equal(changes(store, generation, &seen, &to), 0);
	assert_int_equal(seen.n, 0);
}

static void what_was_rolled_back_is_not_in_the_log(void **state)
{
	struct td_store *store = *state;
	struct td_subscriber a = somebody("a@x", "1"), b = somebody("b@x", "1");
	struct log_seen seen;
	uint64_t first, generation, to;

	assert_int_equal(td_store_generation(store, &first), 0);
	assert_int_equal(put(store, &a, false, &generation), 0);
	assert_int_equal(put(store, &b, false, &generation), -EEXIST);
	td_store_rollback(store);
	assert_int_equal(td_store_subscriber_delete(store, "b@x", &generation), -ENOENT);
	td_store_rollback(store);
	assert_int_equal(td_store_subscribers_begin(store), 0);
	td_store_rollback(store);
	assert_int_equal(td_store_subscribers_begin(store), 0);
	snprintf(a.numbers[0], sizeof(a.numbers[0]), "7");
	assert_int_equal(put(store, &a, true, &generation), 0);
	assert_int_equal(generation, first + 2);
	assert_int_equal(changes(store, first, &seen, &to), 0);
	assert_string_equal(seen.text, "a@x=7 ");
	assert_int_equal(to, first + 2);
}

static void a_load_is_in_the_log_subscriber_by_subscriber(void **state)
{
	static struct td_subscriber list[150];
	struct td_store *store = *state;
	struct log_seen seen;
	uint64_t first, generation, at, to, n = 0;

	assert_int_equal(td_store_generation(store, &first), 0);
	for (int i = 0; i < 150; i++) {
		char aor[32];
		snprintf(aor, sizeof(aor), "u%d@x", i);
		list[i] = somebody(aor, NULL);
	}
	assert_int_equal(td_store_subscribers_load(store, list, 150, &generation), 0);
	assert_int_equal(generation, first + 150);
	for (at = first; at != generation; at = to) {
		assert_int_equal(changes(store, at, &seen, &to), 0);
		assert_in_range(to, at + 1, at + TD_STORE_CHANGES_MAX);
		n += (uint64_t)seen.n;
	}
	assert_int_equal(n, 150);
}

static void a_log_that_does_not_reach_back_says_so(void **state)
{
	struct td_store *store = *state;
	struct td_subscriber a = somebody("a@x", "1");
	struct log_seen seen;
	uint64_t first, generation, to;
	char sql[128];

	assert_int_equal(td_store_generation(store, &first), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(put(store, &a, true, &generation), 0);
	assert_int_equal(changes(store, first - 1, &seen, &to), -ESTALE);
	assert_int_equal(
		changes(store, generation + 1, &seen, &to), -ESTALE); // a store that was set back
	// A script counts the generation and leaves no row.
	store_ask("UPDATE subscriber_generation SET generation = generation + 1");
	assert_int_equal(changes(store, generation, &seen, &to), -ESTALE);
	assert_int_equal(put(store, &a, true, &generation), 0);
	assert_int_equal(changes(store, first, &seen, &to), -ESTALE);
	assert_int_equal(changes(store, generation - 1, &seen, &to), 0);
	// Rows of a future that a store set back has forgotten are not told.
	snprintf(sql, sizeof(sql), "UPDATE subscriber_generation SET generation = %d",
		(int)first + 2);
	store_ask(sql);
	assert_int_equal(changes(store, first, &seen, &to), 0);
	assert_int_equal(to, first + 2);
	assert_int_equal(put(store, &a, true, &generation), 0);
	assert_int_equal(generation, first + 3);
	assert_int_equal(changes(store, first + 2, &seen, &to), 0);
	assert_int_equal(to, first + 3);
}

static void the_log_is_bounded(void **state)
{
	struct td_store *store = *state;
	struct td_subscriber a = somebody("a@x", "1");
	struct log_seen seen;
	uint64_t first, generation = 0, to;
	char sql[128];

	assert_int_equal(put(store, &a, true, &first), 0);
	snprintf(sql, sizeof(sql), "UPDATE subscriber_generation SET generation = %d",
		(TD_STORE_CHANGES_KEPT / 1024 + 2) * 1024 - 3);
	store_ask(sql);
	for (int i = 0; i < 4; i++) // every 1024 generations it is pruned
		assert_int_equal(put(store, &a, true, &generation), 0);
	assert_string_equal(store_ask("SELECT count(*) FROM subscriber_change"), "4");
	assert_int_equal(changes(store, first - 1, &seen, &to), -ESTALE);
	assert_int_equal(changes(store, generation - 4, &seen, &to), 0);
	assert_string_equal(seen.text, "a@x=1 ");
}

struct writer {
	pthread_t thread;
	struct td_store *store;
	int at, failed;
};

static void *writer_run(void *argument)
{
	struct writer *w = argument;

	for (int i = 0; i < 100; i++) {
		char aor[32], number[16];
		uint64_t generation;
		snprintf(aor, sizeof(aor), "u%d@x", i % 7);
		snprintf(number, sizeof(number), "%d", w->at * 1000 + i);
		struct td_subscriber s = somebody(aor, number);
		int rc = i % 10 == 9 ? td_store_subscriber_delete(w->store, aor, &generation)
				     : put(w->store, &s, true, &generation);
		td_store_rollback(w->store);
		w->failed += rc != 0 && rc != -ENOENT;
	}
	return NULL;
}

// Somebody who reads all the time sees no gap, and in the end what is there.
static void several_writers_leave_no_gap(void **state)
{
	struct writer writers[3] = { 0 };
	struct td_store *reader = *state;
	struct log_seen seen;
	uint64_t first, at, to = 0, last = 0;

	assert_int_equal(td_store_generation(reader, &first), 0);
	for (int i = 0; i < 3; i++) {
		writers[i] = (struct writer){ .store = store_open_as("w"), .at = i };
		assert_non_null(writers[i].store);
		assert_int_equal(
			pthread_create(&writers[i].thread, NULL, writer_run, &writers[i]), 0);
	}
	for (at = first; at < first + 100; at = to)
		assert_int_equal(changes(reader, at, &seen, &to), 0);
	for (int i = 0; i < 3; i++) {
		pthread_join(writers[i].thread, NULL);
		assert_int_equal(writers[i].failed, 0);
		td_store_close(writers[i].store);
	}
	assert_int_equal(td_store_generation(reader, &last), 0);
	for (; at != last; at = to)
		assert_int_equal(changes(reader, at, &seen, &to), 0);
}

// --- bindings ---

static size_t binding(uint8_t *dst, const char *aor, const char *contact, enum td_binding_op op,
	uint64_t changed_us, uint64_t expires_s)
{
	struct td_binding b = { .op = (uint8_t)op,
		.aor = td_span_str(aor),
		.contact = td_span_str(contact),
		.realm = td_span_str("access"),
		.call_id = td_span_str("c"),
		.user_agent = td_span_str("Phone"),
		.changed_us = changed_us,
		.expires_s = expires_s };

	b.local.family = b.remote.family = TD_IPV4;
	return td_binding_pack(&b, dst);
}

struct seen {
	int n;
	uint64_t expires_s;
	char last[64];
};

static void see(void *user, const uint8_t *record, size_t len)
{
	struct seen *seen = user;
	struct td_binding b;

	assert_int_equal(td_binding_unpack(record, len, &b), len);
	seen->n++;
	seen->expires_s = b.expires_s;
	td_span_cstr(b.contact, seen->last, sizeof(seen->last));
}

static int live(struct td_store *store, uint64_t now_s, struct seen *seen)
{
	char after[TD_BINDING_KEY_LEN] = "";

	*seen = (struct seen){ 0 };
	assert_int_equal(td_store_bindings(store, after, now_s, 100, see, seen), 0);
	return seen->n;
}

static void the_newest_change_of_a_binding_wins(void **state)
{
	struct td_store *store = *state;
	uint8_t record[TD_BINDING_PACKED_MAX];
	struct seen seen;
	size_t len;

	len = binding(record, "a@x", "sip:a@1.1.1.1", TD_BINDING_UPSERT, 10, 1000);
	assert_int_equal(td_store_binding(store, record, len), 0);
	len = binding(record, "a@x", "sip:a@1.1.1.1", TD_BINDING_UPSERT, 20, 2000);
	assert_int_equal(td_store_binding(store, record, len), 0);
	len = binding(record, "a@x", "sip:a@1.1.1.1", TD_BINDING_UPSERT, 10, 1000); // again
	assert_int_equal(td_store_binding(store, record, len), 0);
	assert_int_equal(live(store, 0, &seen), 1);
	assert_int_equal(seen.expires_s, 2000);
	len = binding(record, "a@x", "sip:a@1.1.1.1", TD_BINDING_REMOVE, 15, 0); // late
	assert_int_equal(td_store_binding(store, record, len), 0);
	assert_int_equal(live(store, 0, &seen), 1);
	len = binding(record, "a@x", "sip:a@1.1.1.1", TD_BINDING_REMOVE, 30, 0);
	assert_int_equal(td_store_binding(store, record, len), 0);
	assert_int_equal(live(store, 0, &seen), 0);
	assert_int_equal(td_store_binding(store, record, 20), -EBADMSG);
	record[0] ^= 0xff;
	assert_int_equal(td_store_binding(store, record, len), -EBADMSG);
}

static void what_expired_does_not_come_back(void **state)
{
	struct td_store *store = *state;
	uint8_t record[TD_BINDING_PACKED_MAX];
	struct seen seen;

	td_store_binding(
		store, record, binding(record, "a@x", "sip:old@1", TD_BINDING_UPSERT, 1, 100));
	td_store_binding(
		store, record, binding(record, "a@x", "sip:new@1", TD_BINDING_UPSERT, 2, 200));
	td_store_binding(
		store, record, binding(record, "b@x", "sip:new@1", TD_BINDING_UPSERT, 3, 300));
	assert_int_equal(live(store, 150, &seen), 2);
	assert_int_equal(live(store, 250, &seen), 1);
	assert_int_equal(td_store_bindings_expire(store, 250), 0);
	assert_string_equal(store_ask("SELECT count(*) FROM binding"), "1");
}

static void bindings_go_with_their_subscriber(void **state)
{
	struct td_store *store = *state;
	struct td_subscriber s = somebody("a@x", "1");
	uint8_t record[TD_BINDING_PACKED_MAX];
	struct seen seen;
	uint64_t generation;

	assert_int_equal(put(store, &s, false, &generation), 0);
	td_store_binding(
		store, record, binding(record, "a@x", "sip:a@1", TD_BINDING_UPSERT, 1, 100));
	td_store_binding(
		store, record, binding(record, "b@x", "sip:b@1", TD_BINDING_UPSERT, 1, 100));
	assert_int_equal(put(store, &s, true, &generation), 0); // changed, and still the same
	assert_int_equal(live(store, 0, &seen), 2);
	assert_int_equal(td_store_subscriber_delete(store, "a@x", &generation), 0);
	assert_int_equal(live(store, 0, &seen), 1);
	assert_string_equal(seen.last, "sip:b@1");
}

static void bindings_come_page_by_page(void **state)
{
	struct td_store *store = *state;
	uint8_t record[TD_BINDING_PACKED_MAX];
	char contact[64], after[TD_BINDING_KEY_LEN] = "";
	struct seen seen = { 0 };
	int pages = 0, before;

	for (int i = 0; i < 100; i++) {
		snprintf(contact, sizeof(contact), "sip:%d@1.1.1.1", i);
		td_store_binding(
			store, record, binding(record, "a@x", contact, TD_BINDING_UPSERT, 1, 100));
	}
	do {
		before = seen.n;
		assert_int_equal(td_store_bindings(store, after, 0, 30, see, &seen), 0);
		pages += seen.n > before;
	} while (seen.n > before);
	assert_int_equal(seen.n, 100);
	assert_int_equal(pages, 4);
}

// A binding lives on the flow of one node.
static void bindings_are_their_nodes(void **state)
{
	struct td_store *one = *state, *two = store_open_as("m");
	uint8_t record[TD_BINDING_PACKED_MAX];
	struct seen seen;

	td_store_binding(one, record, binding(record, "a@x", "sip:a@1", TD_BINDING_UPSERT, 1, 100));
	assert_int_equal(live(one, 0, &seen), 1);
	assert_int_equal(live(two, 0, &seen), 0);
	td_store_close(two);
}

struct trunks_seen {
	int n;
	char text[256];
};

static void trunk_see(void *user, struct td_span name, struct td_span settings)
{
	struct trunks_seen *seen = user;
	size_t at = strlen(seen->text);

	snprintf(seen->text + at, sizeof(seen->text) - at, "%.*s{%.*s}", (int)name.len, name.ptr,
		(int)settings.len, settings.ptr);
	seen->n++;
}

static void trunks_are_kept_with_their_generation(void **state)
{
	struct td_store *store = *state;
	struct trunks_seen seen = { 0 };
	uint64_t first, generation;

	assert_int_equal(td_store_trunks_generation(store, &first), 0);
	assert_int_equal(td_store_trunk_put(store, "b", "realm=\"x\"\nmax_calls=3", NULL), 0);
	assert_int_equal(td_store_trunk_put(store, "b", "", NULL), -EEXIST);
	td_store_rollback(store);
	assert_int_equal(td_store_trunk_put(store, "a", "", ""), -ENOENT);
	td_store_rollback(store);
	assert_int_equal(td_store_trunk_put(store, "a", "realm=\"y\"", NULL), 0);
	assert_int_equal(
		td_store_trunk_put(store, "a", "", "realm=\"v\""), -EINVAL); // of another node
	td_store_rollback(store);
	assert_int_equal(td_store_trunk_put(store, "a", "realm=\"z\"", "realm=\"y\""), 0);
	assert_int_equal(td_store_trunks_generation(store, &generation), 0);
	assert_int_equal(generation, first + 3);
	assert_int_equal(td_store_trunks(store, trunk_see, &seen), 0);
	assert_string_equal(seen.text, "a{realm=\"z\"}b{realm=\"x\"\nmax_calls=3}");
	assert_int_equal(td_store_trunk_delete(store, "c"), -ENOENT);
	td_store_rollback(store);
	assert_int_equal(td_store_trunk_delete(store, "b"), 0);
	assert_int_equal(td_store_trunks_generation(store, &generation), 0);
	assert_int_equal(generation, first + 4);
}

// A store of schema version 3 has subscribers and neither trunks nor a log.
static void version_3_is_brought_forward(void **state)
{
	struct td_subscriber s = somebody("1001@tandem.example", "4930555100"), back;
	struct trunks_seen seen = { 0 };
	struct log_seen log;
	uint64_t generation, after;

	assert_int_equal(put(*state, &s, false, &generation), 0);
	td_store_close(*state);
	*state = NULL;
	store_ask("DROP TABLE trunk");
	store_ask("DROP TABLE trunk_generation");
	store_ask("DROP TABLE dial_plan");
	store_ask("DROP TABLE dial_plan_part");
	store_ask("DROP TABLE dial_plan_generation");
	store_ask("DROP TABLE subscriber_change");
	store_ask("ALTER TABLE subscriber DROP COLUMN cps_burst");
	store_ask("DROP INDEX cdr_from");
	store_ask("DROP INDEX cdr_to");
	store_ask("ALTER TABLE cdr DROP COLUMN block");
	store_ask("CREATE INDEX cdr_from ON cdr (from_number, start_us)");
	store_ask("CREATE INDEX cdr_to ON cdr (to_number, start_us)");
	store_ask("UPDATE schema_version SET version = 3");
	struct td_store *store = *state = store_open_as("n");
	assert_non_null(store);
	assert_string_not_equal(store_ask("SELECT version FROM schema_version"), "3");
	assert_int_equal(td_store_subscriber_get(store, s.aor, &back), 0);
	assert_memory_equal(&back, &s, sizeof(s));
	assert_int_equal(td_store_generation(store, &after), 0);
	assert_int_equal(after, generation);
	assert_int_equal(put(store, &s, true, &generation), 0);
	assert_int_equal(changes(store, after, &log, &after), 0);
	assert_int_equal(td_store_trunk_put(store, "a", "x=1", NULL), 0);
	assert_int_equal(td_store_trunks(store, trunk_see, &seen), 0);
	assert_string_equal(seen.text, "a{x=1}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_subscriber_comes_back_whole),
		BOTH(adding_twice_is_refused_and_replacing_is_not),
		BOTH(a_number_has_one_owner),
		BOTH(deleting_takes_the_numbers_along),
		BOTH(all_of_them_come_page_by_page),
		BOTH(the_log_tells_what_changed_as_it_is_now),
		BOTH(what_was_rolled_back_is_not_in_the_log),
		BOTH(a_load_is_in_the_log_subscriber_by_subscriber),
		BOTH(a_log_that_does_not_reach_back_says_so),
		BOTH(the_log_is_bounded),
		BOTH(the_newest_change_of_a_binding_wins),
		BOTH(what_expired_does_not_come_back),
		BOTH(bindings_go_with_their_subscriber),
		BOTH(bindings_come_page_by_page),
		BOTH(trunks_are_kept_with_their_generation),
		BOTH(version_3_is_brought_forward),
		cmocka_unit_test_setup_teardown(
			several_writers_leave_no_gap, store_fresh_pg, store_clean),
		cmocka_unit_test_setup_teardown(
			bindings_are_their_nodes, store_fresh_pg, store_clean),
	};
	return cmocka_run_group_tests(tests, store_server_up, store_server_down);
}
