// SPDX-License-Identifier: BSD-3-Clause
// Rows of one match become a set: sorted by key, by what says more, by priority and cost.
#include "sip/route_build_priv.h"

#include <errno.h>
#include <stdlib.h>

#define GROUP_MAX 512 // rows of one match, over all domains, callers and windows

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

int route_rows_join(struct td_route_builder *b, char match[TD_ROUTE_SYMBOLS_MAX + 2])
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
