// SPDX-License-Identifier: BSD-3-Clause
#include "sip/route_build_priv.h"

#include <errno.h>
#include <stdlib.h>

#define ROWS_MAX (1u << 27)
#define SOS "urn:service:sos"

struct td_route_builder *td_route_builder_new(void)
{
	static const uint32_t zero[TD_NAME_LEN / 4];
	struct td_route_builder *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->names = (struct intern){ .unit = TD_NAME_LEN, .max = UINT16_MAX };
	b->opts = (struct intern){ .unit = sizeof(struct td_route_opts), .max = UINT16_MAX };
	b->filters = (struct intern){ .unit = sizeof(struct filter), .max = INTERN_FULL };
	b->targets = (struct intern){ .unit = sizeof(struct td_route_to), .max = INTERN_FULL };
	b->text = (struct intern){ .unit = 1, .max = 1u << 31 };
	b->sets = (struct intern){ .unit = 4, .max = 1u << 31 };
	b->shorts.row_bytes = sizeof(struct short_row);
	b->longs.row_bytes = sizeof(struct long_row);
	b->aors.row_bytes = sizeof(struct aor_row);
	if (intern_add(&b->names, zero, TD_NAME_LEN) == 0 &&
		intern_add(&b->opts, zero, sizeof(struct td_route_opts)) == 0 &&
		intern_add(&b->text, zero, 2) == 0 && intern_add(&b->sets, zero, 4) == 0)
		return b;
	td_route_builder_free(b);
	return NULL;
}

void td_route_builder_free(struct td_route_builder *b)
{
	if (!b)
		return;
	intern_free(&b->names);
	intern_free(&b->opts);
	intern_free(&b->filters);
	intern_free(&b->targets);
	intern_free(&b->text);
	intern_free(&b->sets);
	free(b->shorts.rows);
	free(b->longs.rows);
	free(b->aors.rows);
	free(b);
}

uint64_t td_route_builder_rows(const struct td_route_builder *b)
{
	return b->n_rows;
}

// --- a row ---

static int bad(const char **error, const char *text)
{
	*error = text;
	return -EINVAL;
}

static int full(const char **error)
{
	*error = "no memory, or more names, domains and targets than a plan holds";
	return -E2BIG;
}

static int name_add(
	struct td_route_builder *b, struct td_span name, uint16_t *out, const char **error)
{
	char record[TD_NAME_LEN] = { 0 };

	*out = 0;
	if (name.len == 0)
		return 0;
	if (name.len >= TD_NAME_LEN || memchr(name.ptr, '\0', name.len))
		return bad(error, "a name is longer than 31 characters");
	memcpy(record, name.ptr, name.len);
	uint32_t index = intern_add(&b->names, record, sizeof(record));
	*out = (uint16_t)index;
	return index == INTERN_FULL ? full(error) : 0;
}

static int text_add(struct td_route_builder *b, struct td_span text, bool lower, uint32_t *out,
	const char **error)
{
	char record[2 + 512];

	*out = 0;
	if (text.len == 0)
		return 0;
	if (text.len > sizeof(record) - 2)
		return bad(error, "a domain or address is longer than 512 characters");
	uint16_t len = (uint16_t)text.len;
	memcpy(record, &len, sizeof(len));
	for (uint32_t i = 0; i < text.len; i++)
		record[2 + i] = lower ? td_lower(text.ptr[i]) : text.ptr[i];
	*out = intern_add(&b->text, record, 2u + len);
	return *out == INTERN_FULL ? full(error) : 0;
}

static bool is_digits(struct td_span text)
{
	for (uint32_t i = 0; i < text.len; i++)
		if (td_route_symbol(text.ptr[i]) == 0)
			return false;
	return true;
}

static int filter_add(struct td_route_builder *b, const struct td_route_row *row,
	struct td_span domain, uint32_t *out, const char **error)
{
	struct filter f = { 0 };

	if (!is_digits(row->caller) && !td_span_eq(row->caller, TD_SPAN("anonymous")))
		return bad(error, "the caller is neither digits nor \"anonymous\"");
	int rc = text_add(b, domain, true, &f.domain, error);
	if (rc == 0)
		rc = text_add(b, row->caller, false, &f.caller, error);
	if (rc == 0)
		rc = name_add(b, row->window, &f.window, error);
	if (rc < 0)
		return rc;
	*out = intern_add(&b->filters, &f, sizeof(f));
	return *out == INTERN_FULL ? full(error) : 0;
}

static int target_add(struct td_route_builder *b, const struct td_route_row *row, uint32_t *out,
	const char **error)
{
	struct td_route_to to = { .priority = row->priority,
		.weight = row->to.len > 0 ? row->weight : row->status,
		.cost = row->cost };
	struct td_route_opts opts = { .max_duration_s = row->max_duration_s };
	int rc = name_add(b, row->to, &to.name, error);

	if (rc == 0)
		rc = name_add(b, row->label, &opts.label, error);
	if (rc == 0)
		rc = name_add(b, row->limit, &opts.limit, error);
	if (rc == 0)
		rc = name_add(b, row->failover, &opts.failover, error);
	if (rc < 0)
		return rc;
	uint32_t index = intern_add(&b->opts, &opts, sizeof(opts));
	to.opts = (uint16_t)index;
	*out = intern_add(&b->targets, &to, sizeof(to));
	return index == INTERN_FULL || *out == INTERN_FULL ? full(error) : 0;
}

static void *row_add(struct rows *rows)
{
	if (rows->n == ROWS_MAX)
		return NULL;
	if (rows->n == rows->cap) {
		uint32_t cap = rows->cap ? 2 * rows->cap : 16;
		void *more = realloc(rows->rows, cap * rows->row_bytes);
		if (!more)
			return NULL;
		rows->rows = more;
		rows->cap = cap;
	}
	return (char *)rows->rows + rows->n++ * rows->row_bytes;
}

static int number_add(struct td_route_builder *b, struct td_route_key key, uint32_t filter,
	uint32_t target, const char **error)
{
	struct rows *rows = key.lo == 0 ? &b->shorts : &b->longs;
	void *row = row_add(rows);

	if (!row)
		return full(error);
	if (key.lo == 0)
		*(struct short_row *)row = (struct short_row){ key.hi, { { filter, target } } };
	else
		*(struct long_row *)row =
			(struct long_row){ key.hi, key.lo, 0, 0, { { filter, target } } };
	b->n_rows++;
	return 0;
}

// A prefix has no end mark; "=" before it asks for the whole number.
static int key_read(struct td_span match, struct td_route_key *key, const char **error)
{
	bool whole = match.len > 0 && match.ptr[0] == '=';

	if (td_span_eq(match, TD_SPAN(SOS))) {
		*key = (struct td_route_key){ TD_ROUTE_SOS, 0 };
		return 0;
	}
	if (whole)
		match = td_span(match.ptr + 1, match.len - 1);
	if (!is_digits(match) || (whole && match.len == 0))
		return bad(error, "is neither digits nor '" SOS "'");
	if (match.len >= TD_ROUTE_SYMBOLS_MAX)
		return bad(error, "has more than 31 digits");
	td_route_key_of(match, key);
	if (!whole && match.len < TD_ROUTE_KEY_SYMBOLS)
		key->hi &= ~(15ull << (60 - match.len * 4));
	else if (!whole)
		key->lo &= ~(15ull << (60 - (match.len - TD_ROUTE_KEY_SYMBOLS) * 4));
	return 0;
}

static int aor_add(struct td_route_builder *b, struct td_span user, struct td_span domain,
	uint32_t filter, uint32_t target, const char **error)
{
	char text[512];
	size_t len = (size_t)user.len + 1 + domain.len;

	if (len > sizeof(text))
		return bad(error, "is longer than 512 characters");
	memcpy(text, user.ptr, user.len);
	text[user.len] = '@';
	for (uint32_t i = 0; i < domain.len; i++)
		text[user.len + 1 + i] = td_lower(domain.ptr[i]);
	struct aor_row fresh = { .hash = td_route_aor_hash(user, domain),
		.order = b->aors.n,
		.filter = filter,
		.target = target };
	int rc = text_add(b, td_span(text, len), false, &fresh.text, error);
	struct aor_row *row = rc == 0 ? row_add(&b->aors) : NULL;
	if (rc < 0)
		return rc;
	if (!row)
		return full(error);
	*row = fresh;
	b->n_rows++;
	return 0;
}

int td_route_builder_add(
	struct td_route_builder *b, const struct td_route_row *row, const char **error)
{
	const char *at = row->match.len > 0 ? memrchr(row->match.ptr, '@', row->match.len) : NULL;
	struct td_span user =
		at ? td_span(row->match.ptr, (size_t)(at - row->match.ptr)) : row->match;
	struct td_span domain =
		at ? td_span(at + 1, row->match.len - user.len - 1) : (struct td_span){ 0 };
	struct td_route_key key = { 0 };
	uint32_t filter, target;

	if (at && domain.len == 0)
		return bad(error, "has no domain behind '@'");
	if (at && row->domain.len > 0)
		return bad(error, "names a domain, and so does the domain's own place");
	int rc = at ? 0 : key_read(row->match, &key, error);
	if (rc == 0)
		rc = filter_add(b, row, at && user.len == 0 ? domain : row->domain, &filter, error);
	if (rc == 0)
		rc = target_add(b, row, &target, error);
	if (rc < 0)
		return rc;
	return user.len > 0 && at ? aor_add(b, user, domain, filter, target, error)
				  : number_add(b, key, filter, target, error);
}
