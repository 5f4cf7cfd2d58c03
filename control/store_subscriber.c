// SPDX-License-Identifier: BSD-3-Clause
// Subscribers and their numbers (include/subscriber.h). Each change counts the table's generation
// up in its own transaction.
#include "control/store_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROW_COLUMNS 8

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
}

// --- the generation ---

static int generation_row(void *user, const struct td_value *row, int n)
{
	*(uint64_t *)user = (uint64_t)row[0].number;
	return 1;
}

static int generation_next(struct td_store *store, uint64_t *generation)
{
	return store_query(store, ST_GENERATION_NEXT, NULL, 0, generation_row, generation);
}

int td_store_generation(struct td_store *store, uint64_t *generation)
{
	*generation = 0;
	int rc = store_query(store, ST_GENERATION, NULL, 0, generation_row, generation);
	return rc == 0 && *generation == 0 ? -EIO : rc;
}

// Commits a change, which makes another generation of the table.
static int change_end(struct td_store *store, int rc, uint64_t *generation)
{
	if (rc == 0)
		rc = generation_next(store, generation);
	return rc ? rc : td_store_commit(store);
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
	int rc = td_store_begin(store);

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
	return change_end(store, rc, generation);
}

int td_store_subscribers_load(struct td_store *store, const struct td_subscriber *list, uint32_t n,
	uint64_t *generation)
{
	int rc = td_store_begin(store);

	for (uint32_t i = 0; rc == 0 && i < n; i++)
		rc = subscriber_write(store, &list[i]);
	return change_end(store, rc, generation);
}

int td_store_subscriber_delete(struct td_store *store, const char *aor, uint64_t *generation)
{
	struct td_value value = value_text(aor);
	char gone[TD_AOR_LEN] = "";
	int rc = td_store_begin(store);

	if (rc == 0)
		rc = store_query(store, ST_SUBSCRIBER_DELETE, &value, 1, owner_row, gone);
	if (rc == 0 && !gone[0])
		rc = -ENOENT;
	if (rc == 0)
		rc = store_run(store, ST_NUMBERS_DELETE, &value, 1);
	// Whoever gets the name next does not get its phones.
	if (rc == 0)
		rc = store_run(store, ST_BINDINGS_DELETE, &value, 1);
	return change_end(store, rc, generation);
}
