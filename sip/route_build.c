// SPDX-License-Identifier: BSD-3-Clause
#include "sip/route_build.h"

#include "sip/route_intern.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#define ROWS_MAX (1u << 27)
#define GROUP_MAX 512 // rows of one match, over all domains, callers and windows
#define SOS "urn:service:sos"

// When a target applies; the more it says, the earlier it is asked.
struct filter {
	uint32_t domain, caller; // text
	uint16_t window, zero;
};

// A row, and once it is joined with its likes, a key and what it leads to.
struct short_row {
	uint64_t key;
	union {
		struct {
			uint32_t filter, target;
		};
		struct td_route_ref ref;
	};
};

struct long_row {
	uint64_t hi, lo;
	uint32_t parent, zero;
	union {
		struct {
			uint32_t filter, target;
		};
		struct td_route_ref ref;
	};
};

struct aor_row {
	uint64_t hash;
	uint32_t text, order;
	uint32_t filter, target; // target: the set, once joined
};

struct rows {
	void *rows;
	size_t row_bytes;
	uint32_t n, cap;
};

struct td_route_builder {
	struct intern names, opts, filters, targets, text, sets;
	struct rows shorts, longs, aors;
	uint64_t n_rows;
	uint32_t aor_slots, n_buckets;
	struct td_route_header header; // laid out by close()
};

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

// --- rows of one match become a set ---

struct pair {
	uint32_t filter, target;
};

static unsigned filter_rank(const struct filter *f)
{
	return (f->caller ? 0 : 4u) | (f->domain ? 0 : 2u) | (f->window ? 0 : 1u);
}

static uint16_t text_len(const struct td_route_builder *b, uint32_t offset)
{
	uint16_t len;

	memcpy(&len, b->text.bytes + offset, sizeof(len));
	return len;
}

static int pair_compare(const struct td_route_builder *b, struct pair x, struct pair y)
{
	const struct filter *filters = (const struct filter *)(const void *)b->filters.bytes;
	const struct td_route_to *targets =
		(const struct td_route_to *)(const void *)b->targets.bytes;
	const struct filter *f = &filters[x.filter], *g = &filters[y.filter];
	const struct td_route_to *t = &targets[x.target], *u = &targets[y.target];

	if (x.filter != y.filter) {
		unsigned a = filter_rank(f), c = filter_rank(g);
		if (a != c)
			return a < c ? -1 : 1;
		if (text_len(b, f->caller) != text_len(b, g->caller)) // the longer one first
			return text_len(b, f->caller) > text_len(b, g->caller) ? -1 : 1;
		return x.filter < y.filter ? -1 : 1;
	}
	if (t->priority != u->priority)
		return t->priority < u->priority ? -1 : 1;
	return (t->cost > u->cost) - (t->cost < u->cost);
}

static void pairs_sort(const struct td_route_builder *b, struct pair *pairs, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		struct pair p = pairs[i];
		uint32_t j = i;
		for (; j > 0 && pair_compare(b, pairs[j - 1], p) > 0; j--)
			pairs[j] = pairs[j - 1];
		pairs[j] = p;
	}
}

static uint32_t *entry_write(
	const struct td_route_builder *b, const struct pair *pairs, uint32_t n, uint32_t *at)
{
	struct filter f;
	struct td_route_to to;

	memcpy(&f, b->filters.bytes + pairs[0].filter * sizeof(f), sizeof(f));
	struct td_route_entry e = { f.domain, f.caller, f.window, (uint16_t)n };
	memcpy(at, &e, sizeof(e));
	at += sizeof(e) / 4;
	for (uint32_t i = 0; i < n; i++) {
		memcpy(&to, b->targets.bytes + pairs[i].target * sizeof(to), sizeof(to));
		memcpy(at, &to, sizeof(to));
		at += sizeof(to) / 4;
	}
	return at;
}

// The one target that nothing else is said of.
static uint16_t plain_target(const struct td_route_builder *b, const struct pair *pair)
{
	struct filter f;
	struct td_route_to to;

	memcpy(&f, b->filters.bytes + pair->filter * sizeof(f), sizeof(f));
	memcpy(&to, b->targets.bytes + pair->target * sizeof(to), sizeof(to));
	return f.domain == 0 && f.caller == 0 && f.window == 0 && to.opts == 0 ? to.name : 0;
}

// 0 and *ref; -EINVAL: too many targets; -ENOMEM.
static int set_of(
	struct td_route_builder *b, struct pair *pairs, uint32_t n, struct td_route_ref *ref)
{
	uint32_t words[1 + GROUP_MAX *
				   (sizeof(struct td_route_entry) + sizeof(struct td_route_to)) /
				   4];
	uint32_t *at = words + 1;

	pairs_sort(b, pairs, n);
	words[0] = 0;
	for (uint32_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && pairs[end].filter == pairs[i].filter;)
			end++;
		if (end - i > TD_ROUTE_TARGETS_MAX)
			return -EINVAL;
		at = entry_write(b, pairs + i, end - i, at);
		words[0]++;
	}
	*ref = (struct td_route_ref){ .set = intern_add(
					      &b->sets, words, (uint32_t)((at - words) * 4)),
		.to = n == 1 ? plain_target(b, pairs) : 0 };
	return ref->set == INTERN_FULL ? -ENOMEM : 0;
}

// --- sorting and joining ---

static bool shorts_sorted(const struct short_row *rows, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		if (rows[i].key < rows[i - 1].key)
			return false;
	return true;
}

// By key, eight bits at a time from the lowest; rows of one key stay as they came.
static int shorts_sort(struct rows *all)
{
	static const uint32_t byte_values = 256;
	uint32_t counts[8][256] = { 0 };
	struct short_row *rows = all->rows, *other;

	if (shorts_sorted(rows, all->n))
		return 0;
	other = malloc(all->n * sizeof(*other));
	if (!other)
		return -ENOMEM;
	for (uint32_t i = 0; i < all->n; i++)
		for (unsigned byte = 0; byte < 8; byte++)
			counts[byte][rows[i].key >> 8 * byte & 255]++;
	for (unsigned byte = 0; byte < 8; byte++) {
		uint32_t at = 0, *count = counts[byte];
		if (count[rows[0].key >> 8 * byte & 255] == all->n)
			continue;
		for (uint32_t v = 0; v < byte_values; v++) {
			uint32_t n = count[v];
			count[v] = at;
			at += n;
		}
		for (uint32_t i = 0; i < all->n; i++)
			other[count[rows[i].key >> 8 * byte & 255]++] = rows[i];
		struct short_row *swap = rows;
		rows = other;
		other = swap;
	}
	free(other);
	all->rows = rows;
	all->cap = all->n;
	return 0;
}

static int shorts_join(struct td_route_builder *b, uint64_t *faulty)
{
	struct short_row *rows = b->shorts.rows;
	struct pair pairs[GROUP_MAX];
	uint32_t n = 0;

	for (uint32_t i = 0, end; i < b->shorts.n; i = end) {
		uint64_t key = rows[i].key;
		for (end = i; end < b->shorts.n && rows[end].key == key && end - i < GROUP_MAX;
			end++)
			pairs[end - i] = (struct pair){ rows[end].filter, rows[end].target };
		struct td_route_ref ref;
		bool many = end < b->shorts.n && rows[end].key == key;
		int rc = many ? -EINVAL : set_of(b, pairs, end - i, &ref);
		*faulty = key;
		if (rc < 0)
			return rc;
		rows[n].key = key;
		rows[n++].ref = ref;
	}
	b->shorts.n = n;
	return 0;
}

static int long_compare(const void *a, const void *b)
{
	const struct long_row *x = a, *y = b;

	if (x->hi != y->hi)
		return x->hi < y->hi ? -1 : 1;
	return (x->lo > y->lo) - (x->lo < y->lo);
}

static int longs_join(struct td_route_builder *b, struct td_route_key *faulty)
{
	struct long_row *rows = b->longs.rows;
	struct pair pairs[GROUP_MAX];
	uint32_t n = 0;

	if (b->longs.n > 1)
		qsort(rows, b->longs.n, sizeof(*rows), long_compare);
	for (uint32_t i = 0, end; i < b->longs.n; i = end) {
		struct long_row first = rows[i];
		for (end = i; end < b->longs.n && long_compare(&rows[end], &first) == 0 &&
			      end - i < GROUP_MAX;
			end++)
			pairs[end - i] = (struct pair){ rows[end].filter, rows[end].target };
		uint32_t at = n - 1;
		bool many = end < b->longs.n && long_compare(&rows[end], &first) == 0;
		int rc = many ? -EINVAL : set_of(b, pairs, end - i, &first.ref);
		*faulty = (struct td_route_key){ first.hi, first.lo };
		if (rc < 0)
			return rc;
		while (at != TD_ROUTE_NONE &&
			(rows[at].hi != first.hi ||
				(first.lo & td_route_mask(rows[at].lo)) != rows[at].lo))
			at = rows[at].parent;
		first.parent = at;
		rows[n++] = first;
	}
	b->longs.n = n;
	return 0;
}

static int aor_compare(const void *a, const void *b)
{
	const struct aor_row *x = a, *y = b;

	if (x->text != y->text)
		return x->text < y->text ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

static int aors_join(struct td_route_builder *b, uint32_t *faulty)
{
	struct aor_row *rows = b->aors.rows;
	struct pair pairs[GROUP_MAX];
	uint32_t n = 0;

	if (b->aors.n > 1)
		qsort(rows, b->aors.n, sizeof(*rows), aor_compare);
	for (uint32_t i = 0, end; i < b->aors.n; i = end) {
		struct aor_row first = rows[i];
		for (end = i;
			end < b->aors.n && rows[end].text == first.text && end - i < GROUP_MAX;
			end++)
			pairs[end - i] = (struct pair){ rows[end].filter, rows[end].target };
		struct td_route_ref ref;
		bool many = end < b->aors.n && rows[end].text == first.text;
		int rc = many ? -EINVAL : set_of(b, pairs, end - i, &ref);
		*faulty = first.text;
		if (rc < 0)
			return rc;
		first.target = ref.set;
		rows[n++] = first;
	}
	b->aors.n = n;
	for (b->aor_slots = 0; n > 0 && b->aor_slots < 2 * n;)
		b->aor_slots = b->aor_slots ? 2 * b->aor_slots : 2;
	return 0;
}

static int rows_join(struct td_route_builder *b, char match[TD_ROUTE_SYMBOLS_MAX + 2])
{
	struct td_route_key faulty = { 0 };
	uint32_t text = 0;
	int rc = shorts_sort(&b->shorts);

	if (rc == 0)
		rc = shorts_join(b, &faulty.hi);
	if (rc == 0)
		rc = longs_join(b, &faulty);
	td_route_key_format(&faulty, match);
	if (rc == 0)
		rc = aors_join(b, &text);
	if (text != 0)
		td_span_cstr(td_span((const char *)b->text.bytes + text + 2, text_len(b, text)),
			match, TD_ROUTE_SYMBOLS_MAX + 2);
	return rc;
}

// --- the image ---

static void part_place(struct td_route_header *h, enum td_route_part part, uint64_t n, size_t bytes)
{
	h->parts[part] = (struct td_route_section){ h->bytes, n };
	h->bytes = (h->bytes + n * bytes + 63) & ~63ull;
}

// The buckets of which every key finds room near its own. 0 or -ENOMEM.
static int buckets_size(struct td_route_builder *b)
{
	const struct short_row *rows = b->shorts.rows;

	for (uint64_t n = b->shorts.n / 2.8 + 1;; n += n / 4 + 1) {
		uint8_t *used = calloc(n, 1);
		uint32_t i = 0;
		if (!used || n >= TD_ROUTE_NONE) {
			free(used);
			return -ENOMEM;
		}
		for (uint32_t hops = 0; i < b->shorts.n && hops <= TD_ROUTE_HOPS_MAX; i++) {
			uint32_t at = td_route_home(td_route_hash(rows[i].key), (uint32_t)n);
			for (hops = 0; used[at] == TD_ROUTE_BUCKET && hops <= TD_ROUTE_HOPS_MAX;
				hops++)
				at = at + 1 == n ? 0 : at + 1;
			used[at] += hops <= TD_ROUTE_HOPS_MAX;
		}
		free(used);
		b->n_buckets = (uint32_t)n;
		if (i == b->shorts.n)
			return 0;
	}
}

static void layout(struct td_route_builder *b)
{
	struct td_route_header *h = &b->header;

	*h = (struct td_route_header){ .magic = TD_ROUTE_MAGIC,
		.bytes = (sizeof(*h) + 63) & ~63ull,
		.rows = b->n_rows,
		.n_keys = b->shorts.n,
		.head_symbols = b->shorts.n < 64     ? 0
				: b->shorts.n < 4096 ? 2
						     : 4 };
	part_place(h, TD_ROUTE_BUCKETS, b->n_buckets, sizeof(struct td_route_bucket));
	part_place(h, TD_ROUTE_HEADS, 1ull << 4 * h->head_symbols, sizeof(uint32_t));
	part_place(h, TD_ROUTE_LONG, b->longs.n, sizeof(struct td_route_long));
	part_place(h, TD_ROUTE_AORS, b->aor_slots, sizeof(struct td_route_aor));
	part_place(h, TD_ROUTE_SETS, b->sets.len / 4, 4);
	part_place(h, TD_ROUTE_OPTS, b->opts.n, sizeof(struct td_route_opts));
	part_place(h, TD_ROUTE_NAMES, b->names.n, TD_NAME_LEN);
	part_place(h, TD_ROUTE_TEXT, b->text.len, 1);
}

int td_route_builder_close(
	struct td_route_builder *b, size_t *bytes, char match[TD_ROUTE_SYMBOLS_MAX + 2])
{
	int rc = rows_join(b, match);

	if (rc == 0)
		rc = buckets_size(b);
	if (rc < 0)
		return rc;
	layout(b);
	*bytes = b->header.bytes;
	return 0;
}

static void *part_at(const struct td_route_header *h, enum td_route_part part, void *dst)
{
	return (char *)dst + h->parts[part].offset;
}

#define AHEAD 16 // rows whose buckets are on their way

static void bucket_put(struct td_route_bucket *buckets, uint32_t n, const struct short_row *row)
{
	uint64_t hash = td_route_hash(row->key);
	uint32_t at = td_route_home(hash, n), i = 0;

	while (buckets[at].key[TD_ROUTE_BUCKET - 1] != UINT64_MAX) {
		buckets[at].beyond |= td_route_beyond(hash);
		at = at + 1 == n ? 0 : at + 1;
	}
	while (buckets[at].key[i] != UINT64_MAX)
		i++;
	buckets[at].key[i] = row->key;
	buckets[at].set[i] = row->ref.set;
	buckets[at].to[i] = row->ref.to;
}

static void buckets_write(const struct td_route_builder *b, void *dst)
{
	const struct short_row *rows = b->shorts.rows;
	struct td_route_bucket *buckets = part_at(&b->header, TD_ROUTE_BUCKETS, dst);

	for (uint32_t i = 0; i < b->n_buckets; i++)
		for (uint32_t k = 0; k < TD_ROUTE_BUCKET; k++)
			buckets[i].key[k] = UINT64_MAX;
	for (uint32_t i = 0; i < b->shorts.n; i++) {
		if (i + AHEAD < b->shorts.n)
			__builtin_prefetch(
				&buckets[td_route_home(
					td_route_hash(rows[i + AHEAD].key), b->n_buckets)],
				1);
		bucket_put(buckets, b->n_buckets, &rows[i]);
	}
}

// A short key counts for every head that it begins.
static void heads_write(const struct td_route_builder *b, void *dst)
{
	const struct short_row *rows = b->shorts.rows;
	uint32_t *heads = part_at(&b->header, TD_ROUTE_HEADS, dst);
	uint32_t shift = 63 - 4 * b->header.head_symbols;

	for (uint32_t i = 0; i < b->shorts.n; i++) {
		uint64_t key = rows[i].key, last = key | ~td_route_mask(key);
		for (uint64_t head = key >> 1 >> shift; head <= last >> 1 >> shift; head++)
			heads[head] |= 1u << td_route_length(key);
	}
}

static void others_write(const struct td_route_builder *b, void *dst)
{
	struct td_route_long *longs = part_at(&b->header, TD_ROUTE_LONG, dst);
	struct td_route_aor *aors = part_at(&b->header, TD_ROUTE_AORS, dst);
	const struct long_row *long_rows = b->longs.rows;
	const struct aor_row *aor_rows = b->aors.rows;

	for (uint32_t i = 0; i < b->longs.n; i++)
		longs[i] = (struct td_route_long){ long_rows[i].hi, long_rows[i].lo,
			long_rows[i].parent, long_rows[i].ref, 0 };
	for (uint32_t i = 0; i < b->aors.n; i++) {
		uint32_t at = (uint32_t)aor_rows[i].hash & (b->aor_slots - 1);
		while (aors[at].hash != 0)
			at = (at + 1) & (b->aor_slots - 1);
		aors[at] = (struct td_route_aor){ aor_rows[i].hash, aor_rows[i].text,
			aor_rows[i].target };
	}
}

void td_route_builder_write(const struct td_route_builder *b, const char *plan, void *dst)
{
	struct td_route_header *h = dst;

	*h = b->header;
	td_span_cstr(td_span_str(plan), h->plan, sizeof(h->plan));
	buckets_write(b, dst);
	heads_write(b, dst);
	others_write(b, dst);
	memcpy(part_at(h, TD_ROUTE_SETS, dst), b->sets.bytes, b->sets.len);
	memcpy(part_at(h, TD_ROUTE_OPTS, dst), b->opts.bytes, b->opts.len);
	memcpy(part_at(h, TD_ROUTE_NAMES, dst), b->names.bytes, b->names.len);
	memcpy(part_at(h, TD_ROUTE_TEXT, dst), b->text.bytes, b->text.len);
	h->generation = td_route_image_hash(h);
}
