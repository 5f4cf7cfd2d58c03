// SPDX-License-Identifier: BSD-3-Clause
// Bindings as the data plane journals them (include/binding.h): kept by their key, the newest
// change winning, so that a record that comes twice or late does nothing.
#include "control/store_priv.h"

#include "control/text.h"
#include "include/binding.h"

#include <errno.h>
#include <string.h>

// Texts off the wire; what a database would not take becomes '?'.
static struct td_value value_span(struct td_span text, char *dst, size_t cap)
{
	size_t len = td_text_clean(text.ptr ? text.ptr : "", text.len, false, dst, cap);

	return (struct td_value){ .kind = TD_VALUE_TEXT, .text = dst, .len = len };
}

int td_store_binding(struct td_store *store, const uint8_t *record, size_t len)
{
	char raw[TD_BINDING_KEY_LEN], key[TD_BINDING_KEY_LEN], aor[TD_AOR_LEN];
	struct td_binding b;

	if (td_binding_unpack(record, len, &b) == 0)
		return -EBADMSG;
	size_t key_len = td_binding_key(&b, raw);
	const struct td_value values[] = {
		value_text(store->node),
		value_span(td_span(raw, key_len), key, sizeof(key)),
		value_int((int64_t)b.changed_us),
		value_span(b.aor, aor, sizeof(aor)),
		value_int((int64_t)b.expires_s),
		{ .kind = TD_VALUE_BYTES, .text = (const char *)record, .len = len },
	};
	if (b.op == TD_BINDING_REMOVE)
		return store_run(store, ST_BINDING_DELETE, values, 3);
	return store_run(store, ST_BINDING_PUT, values, 6);
}

struct reading {
	td_binding_each each;
	void *user;
	char *last; // key of the last one
};

static int binding_row(void *user, const struct td_value *row, int n)
{
	struct reading *reading = user;
	size_t len = row[0].len < TD_BINDING_KEY_LEN ? row[0].len : TD_BINDING_KEY_LEN - 1;

	memcpy(reading->last, row[0].text, len);
	reading->last[len] = '\0';
	if (row[1].kind == TD_VALUE_BYTES)
		reading->each(reading->user, (const uint8_t *)row[1].text, row[1].len);
	return 0;
}

int td_store_bindings(struct td_store *store, char after[TD_BINDING_KEY_LEN], uint64_t now_s,
	uint32_t limit, td_binding_each each, void *user)
{
	struct reading reading = { .each = each, .user = user, .last = after };
	char from[TD_BINDING_KEY_LEN];

	memcpy(from, after, sizeof(from));
	const struct td_value values[] = { value_text(store->node), value_text(from),
		value_int((int64_t)now_s), value_int(limit) };
	return store_query(store, ST_BINDINGS, values, 4, binding_row, &reading);
}

int td_store_bindings_of(struct td_store *store, const char *aor, uint64_t now_s,
	td_binding_each each, void *user)
{
	char last[TD_BINDING_KEY_LEN];
	struct reading reading = { .each = each, .user = user, .last = last };
	const struct td_value values[] = { value_text(store->node), value_text(aor),
		value_int((int64_t)now_s) };

	return store_query(store, ST_BINDINGS_OF, values, 3, binding_row, &reading);
}

int td_store_bindings_expire(struct td_store *store, uint64_t before_s)
{
	const struct td_value values[] = { value_text(store->node), value_int((int64_t)before_s) };
	int rc = td_store_begin(store);

	if (rc == 0)
		rc = store_run(store, ST_BINDINGS_EXPIRE, values, 2);
	return rc ? rc : td_store_commit(store);
}
