// SPDX-License-Identifier: BSD-3-Clause
// Subscribers and their numbers (include/subscriber.h). Each change counts the table's generation
// up and leaves a row of a log that says whom it was about, in its own transaction. The generation
// is counted first: its row is locked until the commit, so that changes come one after the other,
// whichever node makes them, and nobody sees a generation whose predecessor is not committed.
#include "control/store_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROW_COLUMNS 9
#define PRUNE_EVERY 1024 // generations

static struct td_value value_bytes(const uint8_t *bytes, size_t len)
{
	return (struct td_value){ .kind = TD_VALUE_BYTES, .text = (const char *)bytes, .len = len };
}

static void text_take(const struct td_value *value, char *dst, size_t cap)
{
	size_t len = value->kind != TD_VALUE_TEXT ? 0 : value->len < cap ? value->len : cap - 1;

	memcpy(dst, len > 0 ? value->text : "", len);
	dst[len] = '\0';
}

static bool hash_take(const struct td_value *value, uint8_t *dst, size_t len)
{
	if (value->kind != TD_VALUE_BYTES || value->len != len)
		return false;
	memcpy(dst, value->text, len);
	return true;
}

static void subscriber_take(const struct td_value *row, struct td_subscriber *out)
{
	memset(out, 0, sizeof(*out));
	text_take(&row[0], out->aor, sizeof(out->aor));
	out->has_md5 = hash_take(&row[1], out->ha1_md5, sizeof(out->ha1_md5));
	out->has_sha256 = hash_take(&row[2], out->ha1_sha256, sizeof(out->ha1_sha256));
	text_take(&row[3], out->plan, sizeof(out->plan));
	text_take(&row[4], out->display, sizeof(out->display));
	out->max_calls = (uint32_t)row[5].number;
	out->max_cps = (uint32_t)row[6].number;
	out->enabled = row[7].number != 0;
	out->cps_burst = (uint32_t)row[8].number;
}

// --- the generation ---

int td_store_generation(struct td_store *store, uint64_t *generation)
{
	return store_generation(store, ST_GENERATION, NULL, 0, generation);
}

static int change_begin(struct td_store *store, uint32_t generations)
{
	struct td_value n = value_int(generations);
	int rc = td_store_begin(store);

	return rc ? rc : store_generation(store, ST_GENERATION_NEXT, &n, 1, &store->generation);
}

int td_store_subscribers_begin(struct td_store *store)
{
	return change_begin(store, 1);
}

// Of a change that td_store_subscribers_begin() began, or of one of its own.
static int change_join(struct td_store *store)
{
	return store->in_transaction ? 0 : change_begin(store, 1);
}

static int log_write(struct td_store *store, uint64_t generation, const char *aor)
{
	const struct td_value row[] = { value_int((int64_t)generation), value_text(aor) };
	struct td_value last = value_int((int64_t)generation - TD_STORE_CHANGES_KEPT);
	int rc = store_run(store, ST_CHANGE_PUT, row, 2);

	if (rc == 0 && generation % PRUNE_EVERY == 0)
		rc = store_run(store, ST_CHANGES_DELETE, &last, 1);
	return rc;
}

static int change_end(struct td_store *store, int rc, const char *aor, uint64_t *generation)
{
	if (rc == 0)
		rc = log_write(store, store->generation, aor);
	if (rc == 0)
		rc = td_store_commit(store);
	if (rc == 0)
		*generation = store->generation;
	return rc;
}

// --- reading ---

// Subscribers in the order of their AoRs, then their numbers in the same order: two walks along an
// index cost less than half of a join.
struct page {
	struct td_subscriber *list;
	uint32_t n, cap;
	uint32_t at; // whose numbers come now
};

static int subscriber_row(void *user, const struct td_value *row, int n)
{
	struct page *page = user;

	if (page->n == page->cap)
		return 1;
	subscriber_take(row, &page->list[page->n++]);
	return 0;
}

static void number_add(struct td_subscriber *s, const struct td_value *number)
{
	if (s->n_numbers < TD_SUBSCRIBER_NUMBERS_MAX)
		text_take(number, s->numbers[s->n_numbers++], TD_NUMBER_LEN);
}

static bool is_of(const struct td_subscriber *s, const struct td_value *aor)
{
	return aor->len < sizeof(s->aor) && memcmp(s->aor, aor->text, aor->len) == 0 &&
	       s->aor[aor->len] == '\0';
}

// One whose subscriber is not in the page came between the two questions, and with another
// generation.
static int number_row(void *user, const struct td_value *row, int n)
{
	struct page *page = user;

	if (row[0].kind != TD_VALUE_TEXT)
		return 0;
	for (uint32_t i = page->at; i < page->n; i++) {
		if (!is_of(&page->list[i], &row[0]))
			continue;
		page->at = i;
		number_add(&page->list[i], &row[1]);
		break;
	}
	return 0;
}

static int page_read(struct td_store *store, const char *after, uint32_t limit, struct page *page)
{
	const struct td_value values[] = { value_text(after), value_int(limit) };
	int rc = store_query(store, ST_SUBSCRIBERS, values, 2, subscriber_row, page);

	if (rc != 0 || page->n == 0)
		return rc;
	const struct td_value range[] = { value_text(after),
		value_text(page->list[page->n - 1].aor) };
	return store_query(store, ST_NUMBERS, range, 2, number_row, page);
}

int td_store_subscribers(struct td_store *store, const char *after, uint32_t limit,
	td_subscriber_each each, void *user)
{
	struct page page = { .list = malloc(limit * sizeof(*page.list)), .cap = limit };

	if (!page.list)
		return -ENOMEM;
	int rc = page_read(store, after, limit, &page);
	for (uint32_t i = 0; rc == 0 && i < page.n; i++)
		each(user, &page.list[i]);
	free(page.list);
	return rc;
}

static int number_of_one(void *user, const struct td_value *row, int n)
{
	number_add(user, &row[0]);
	return 0;
}

int td_store_subscriber_get(struct td_store *store, const char *aor, struct td_subscriber *out)
{
	struct td_subscriber found;
	struct page page = { .list = &found, .cap = 1 };
	struct td_value value = value_text(aor);
	int rc = store_query(store, ST_SUBSCRIBER_GET, &value, 1, subscriber_row, &page);

	if (rc == 0 && page.n == 0)
		return -ENOENT;
	if (rc == 0)
		rc = store_query(store, ST_NUMBERS_OF, &value, 1, number_of_one, &found);
	if (rc == 0)
		*out = found;
	return rc;
}

// --- what changed ---

struct changes {
	uint64_t after;
	uint32_t n;
	bool gap; // a generation has no row
	char aors[TD_STORE_CHANGES_MAX][TD_AOR_LEN];
};

static int change_row(void *user, const struct td_value *row, int n)
{
	struct changes *c = user;

	c->gap = (uint64_t)row[0].number != c->after + c->n + 1;
	if (c->gap || c->n == TD_STORE_CHANGES_MAX)
		return 1;
	text_take(&row[1], c->aors[c->n++], TD_AOR_LEN);
	return 0;
}

// What is gone from the log, or was never in it: by hand, by an older program, by a store that was
// set back.
static int log_read(struct td_store *store, uint64_t after, struct changes *c)
{
	const struct td_value values[] = { value_int((int64_t)after),
		value_int(TD_STORE_CHANGES_MAX) };
	uint64_t generation;

	c->after = after;
	// Before the log: what comes in between is in it.
	int rc = td_store_generation(store, &generation);
	if (rc == 0)
		rc = store_query(store, ST_CHANGES, values, 2, change_row, c);
	return rc ? rc : c->gap || (c->n == 0 && generation != after) ? -ESTALE : 0;
}

static bool changed_again(const struct changes *c, uint32_t at)
{
	for (uint32_t i = at + 1; i < c->n; i++)
		if (strcmp(c->aors[i], c->aors[at]) == 0)
			return true;
	return false;
}

// One by one: no engine can be trusted to find a few AoRs of a million in the order of its index.
int td_store_subscriber_changes(struct td_store *store, uint64_t after, td_subscriber_change each,
	void *user, uint64_t *generation)
{
	struct td_subscriber now;
	struct changes c = { 0 };
	int rc = log_read(store, after, &c);

	for (uint32_t i = 0; rc == 0 && i < c.n; i++) {
		if (changed_again(&c, i))
			continue;
		rc = td_store_subscriber_get(store, c.aors[i], &now);
		if (rc == 0 || rc == -ENOENT)
			each(user, c.aors[i], rc == 0 ? &now : NULL);
		rc = rc == -ENOENT ? 0 : rc;
	}
	if (rc == 0)
		*generation = after + c.n;
	return rc;
}

// --- changing ---

static int owner_row(void *user, const struct td_value *row, int n)
{
	text_take(&row[0], user, TD_AOR_LEN);
	return 1;
}

int td_store_number_owner(struct td_store *store, const char *number, char aor[TD_AOR_LEN])
{
	struct td_value value = value_text(number);

	aor[0] = '\0';
	int rc = store_query(store, ST_NUMBER_OWNER, &value, 1, owner_row, aor);
	return rc == 0 && !aor[0] ? -ENOENT : rc;
}

// -EEXIST where another has one of the numbers.
static int numbers_free(
	struct td_store *store, const struct td_subscriber *s, char *reason, size_t cap)
{
	char owner[TD_AOR_LEN];
	int rc = 0;

	for (uint8_t i = 0; (rc == 0 || rc == -ENOENT) && i < s->n_numbers; i++) {
		rc = td_store_number_owner(store, s->numbers[i], owner);
		if (rc != 0 || strcmp(owner, s->aor) == 0)
			continue;
		snprintf(reason, cap, "number %s belongs to %s", s->numbers[i], owner);
		return -EEXIST;
	}
	return rc == -ENOENT ? 0 : rc;
}

static int subscriber_write(struct td_store *store, const struct td_subscriber *s)
{
	static const struct td_value null = { .kind = TD_VALUE_NULL };
	const struct td_value values[ROW_COLUMNS] = {
		value_text(s->aor),
		s->has_md5 ? value_bytes(s->ha1_md5, sizeof(s->ha1_md5)) : null,
		s->has_sha256 ? value_bytes(s->ha1_sha256, sizeof(s->ha1_sha256)) : null,
		value_text(s->plan),
		value_text(s->display),
		value_int(s->max_calls),
		value_int(s->max_cps),
		value_int(s->enabled),
		value_int(s->cps_burst),
	};
	int rc = store_run(store, ST_SUBSCRIBER_PUT, values, ROW_COLUMNS);

	if (rc == 0)
		rc = store_run(store, ST_NUMBERS_DELETE, values, 1);
	for (uint8_t i = 0; rc == 0 && i < s->n_numbers; i++) {
		const struct td_value number[] = { value_text(s->numbers[i]), value_text(s->aor),
			value_int(i) };
		rc = store_run(store, ST_NUMBER_PUT, number, 3);
	}
	return rc;
}

int td_store_subscriber_put(struct td_store *store, const struct td_subscriber *s, bool replace,
	uint64_t *generation, char *reason, size_t cap)
{
	struct td_subscriber before;
	int rc = change_join(store);

	if (rc == 0 && !replace) {
		rc = td_store_subscriber_get(store, s->aor, &before);
		if (rc == 0)
			snprintf(reason, cap, "%s is there already: --replace overwrites it",
				s->aor);
		rc = rc == 0 ? -EEXIST : rc == -ENOENT ? 0 : rc;
	}
	if (rc == 0)
		rc = numbers_free(store, s, reason, cap);
	if (rc == 0)
		rc = subscriber_write(store, s);
	return change_end(store, rc, s->aor, generation);
}

// A generation for each, so that the log is as long as its generations are apart. More than it
// holds is not worth a row.
static int load_log(struct td_store *store, const struct td_subscriber *list, uint32_t n)
{
	struct td_value all = value_int((int64_t)store->generation);
	int rc = 0;

	if (n > TD_STORE_CHANGES_KEPT)
		return store_run(store, ST_CHANGES_DELETE, &all, 1);
	for (uint32_t i = 0; rc == 0 && i < n; i++)
		rc = log_write(store, store->generation - n + 1 + i, list[i].aor);
	return rc;
}

int td_store_subscribers_load(struct td_store *store, const struct td_subscriber *list, uint32_t n,
	uint64_t *generation)
{
	int rc = change_begin(store, n);

	for (uint32_t i = 0; rc == 0 && i < n; i++)
		rc = subscriber_write(store, &list[i]);
	if (rc == 0)
		rc = load_log(store, list, n);
	if (rc == 0)
		rc = td_store_commit(store);
	if (rc == 0)
		*generation = store->generation;
	return rc;
}

int td_store_subscriber_delete(struct td_store *store, const char *aor, uint64_t *generation)
{
	struct td_value value = value_text(aor);
	char gone[TD_AOR_LEN] = "";
	int rc = change_join(store);

	if (rc == 0)
		rc = store_query(store, ST_SUBSCRIBER_DELETE, &value, 1, owner_row, gone);
	if (rc == 0 && !gone[0])
		rc = -ENOENT;
	if (rc == 0)
		rc = store_run(store, ST_NUMBERS_DELETE, &value, 1);
	// Whoever gets the name next does not get its phones.
	if (rc == 0)
		rc = store_run(store, ST_BINDINGS_DELETE, &value, 1);
	return change_end(store, rc, aor, generation);
}
