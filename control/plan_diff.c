// SPDX-License-Identifier: BSD-3-Clause
#include "control/plan_diff.h"

#include <stdio.h>

#define MATCH_MAX 600

// --- all matches ---

static void key_tell(const struct td_route_key *key, uint32_t set,
	void (*match)(void *ctx, const char *text, uint32_t set), void *ctx)
{
	char text[TD_ROUTE_SYMBOLS_MAX + 2];

	td_route_key_format(key, text);
	match(ctx, text, set);
}

void td_plan_each(const struct td_route_image *image,
	void (*match)(void *ctx, const char *text, uint32_t set), void *ctx)
{
	char text[MATCH_MAX];

	for (uint32_t i = 0; i < image->n_buckets; i++)
		for (uint32_t k = 0; k < TD_ROUTE_BUCKET; k++)
			if (image->buckets[i].key[k] != UINT64_MAX)
				key_tell(&(struct td_route_key){ image->buckets[i].key[k], 0 },
					image->buckets[i].set[k], match, ctx);
	for (uint32_t i = 0; i < image->n_longs; i++)
		key_tell(&(struct td_route_key){ image->longs[i].hi, image->longs[i].lo },
			image->longs[i].ref.set, match, ctx);
	for (uint32_t i = 0; i < image->n_aors; i++) {
		if (image->aors[i].hash == 0)
			continue;
		td_span_cstr(td_route_text(image, image->aors[i].text), text, sizeof(text));
		match(ctx, text, image->aors[i].set);
	}
}

static uint32_t number_find(const struct td_route_image *image, const char *text)
{
	struct td_route_cursor cursor;
	struct td_route_match m;
	struct td_route_key key;
	bool whole = text[0] == '=';
	char digits[TD_ROUTE_SYMBOLS_MAX + 2], found[TD_ROUTE_SYMBOLS_MAX + 2];

	snprintf(digits, sizeof(digits), "%s", text);
	td_route_key_of(td_span_str(text + whole), &key);
	td_route_find(image, &key, &cursor);
	while (td_route_next(image, &cursor, &m)) {
		td_route_key_format(&m.key, found);
		if (strcmp(found, digits) == 0)
			return m.ref.set;
	}
	return 0;
}

uint32_t td_plan_find(const struct td_route_image *image, const char *match)
{
	const char *at = strrchr(match, '@');

	if (strcmp(match, "urn:service:sos") == 0)
		return td_route_exact(image, TD_ROUTE_SOS).set;
	if (at)
		return td_route_aor(
			image, td_span(match, (size_t)(at - match)), td_span_str(at + 1));
	return number_find(image, match);
}

// --- comparing ---

static bool text_same(
	const struct td_route_image *a, uint32_t x, const struct td_route_image *b, uint32_t y)
{
	return td_span_eq(td_route_text(a, x), td_route_text(b, y));
}

static bool name_same(
	const struct td_route_image *a, uint16_t x, const struct td_route_image *b, uint16_t y)
{
	return strcmp(a->names[x], b->names[y]) == 0;
}

static bool target_same(const struct td_route_image *a, const struct td_route_to *x,
	const struct td_route_image *b, const struct td_route_to *y)
{
	const struct td_route_opts *o = &a->opts[x->opts], *p = &b->opts[y->opts];

	return x->priority == y->priority && x->weight == y->weight && x->cost == y->cost &&
	       name_same(a, x->name, b, y->name) && o->max_duration_s == p->max_duration_s &&
	       name_same(a, o->label, b, p->label) && name_same(a, o->limit, b, p->limit) &&
	       name_same(a, o->failover, b, p->failover);
}

static bool set_same(
	const struct td_route_image *a, uint32_t x, const struct td_route_image *b, uint32_t y)
{
	const uint32_t *s = a->sets + x, *t = b->sets + y;

	if (*s != *t)
		return false;
	uint32_t n = *s;
	for (s++, t++; n > 0; n--) {
		const struct td_route_entry *e = (const void *)s, *f = (const void *)t;
		const struct td_route_to *to = (const void *)(e + 1), *tu = (const void *)(f + 1);
		if (e->n_targets != f->n_targets || !text_same(a, e->domain, b, f->domain) ||
			!text_same(a, e->caller, b, f->caller) ||
			!name_same(a, e->window, b, f->window))
			return false;
		for (uint32_t i = 0; i < e->n_targets; i++)
			if (!target_same(a, &to[i], b, &tu[i]))
				return false;
		s = (const void *)(to + e->n_targets);
		t = (const void *)(tu + f->n_targets);
	}
	return true;
}

struct differ {
	const struct td_route_image *before, *after;
	struct td_plan_diff *out;
};

static void count(struct differ *d, enum td_plan_change change, const struct td_route_key *key,
	const char *text)
{
	uint64_t n = d->out->count[change]++;
	char digits[TD_ROUTE_SYMBOLS_MAX + 2];

	if (n >= TD_PLAN_SAMPLES)
		return;
	if (key)
		td_route_key_format(key, digits);
	snprintf(d->out->samples[change][n], sizeof(d->out->samples[change][n]), "%s",
		key ? digits : text);
}

static void pair_count(struct differ *d, uint32_t before, uint32_t after,
	const struct td_route_key *key, const char *text)
{
	if (before == 0)
		count(d, TD_PLAN_ADDED, key, text);
	else if (!set_same(d->before, before, d->after, after))
		count(d, TD_PLAN_CHANGED, key, text);
}

static uint32_t long_set(const struct td_route_image *image, const struct td_route_key *key)
{
	uint32_t lo = 0, hi = image ? image->n_longs : 0;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		const struct td_route_long *l = &image->longs[mid];
		if (l->hi == key->hi && l->lo == key->lo)
			return l->ref.set;
		if (l->hi < key->hi || (l->hi == key->hi && l->lo < key->lo))
			lo = mid + 1;
		else
			hi = mid;
	}
	return 0;
}

static uint32_t aor_set(const struct td_route_image *image, struct td_span text)
{
	const char *at = text.len > 0 ? memrchr(text.ptr, '@', text.len) : NULL;

	if (!image || !at)
		return 0;
	uint32_t user = (uint32_t)(at - text.ptr);
	return td_route_aor(image, td_span(text.ptr, user), td_span(at + 1, text.len - user - 1));
}

#define AHEAD 12 // buckets whose keys' places in the other plan are on their way

static void keys_fetch(
	const struct td_route_image *of, uint32_t bucket, const struct td_route_image *other)
{
	if (bucket >= of->n_buckets || !other || other->n_buckets == 0)
		return;
	for (uint32_t k = 0; k < TD_ROUTE_BUCKET; k++)
		__builtin_prefetch(&other->buckets[td_route_home(
			td_route_hash(of->buckets[bucket].key[k]), other->n_buckets)]);
}

// One direction: forward tells what is new or changed, else what is gone.
static void sweep(struct differ *d, const struct td_route_image *of,
	const struct td_route_image *other, bool forward)
{
	for (uint32_t i = 0; i < of->n_buckets; i++) {
		keys_fetch(of, i + AHEAD, other);
		for (uint32_t k = 0; k < TD_ROUTE_BUCKET; k++) {
			struct td_route_key key = { of->buckets[i].key[k], 0 };
			if (key.hi == UINT64_MAX)
				continue;
			uint32_t set = other ? td_route_exact(other, key.hi).set : 0;
			if (forward)
				pair_count(d, set, of->buckets[i].set[k], &key, NULL);
			else if (set == 0)
				count(d, TD_PLAN_REMOVED, &key, NULL);
		}
	}
	for (uint32_t i = 0; i < of->n_longs; i++) {
		struct td_route_key key = { of->longs[i].hi, of->longs[i].lo };
		uint32_t set = long_set(other, &key);
		if (forward)
			pair_count(d, set, of->longs[i].ref.set, &key, NULL);
		else if (set == 0)
			count(d, TD_PLAN_REMOVED, &key, NULL);
	}
	for (uint32_t i = 0; i < of->n_aors; i++) {
		if (of->aors[i].hash == 0)
			continue;
		struct td_span text = td_route_text(of, of->aors[i].text);
		uint32_t set = aor_set(other, text);
		char words[MATCH_MAX];
		td_span_cstr(text, words, sizeof(words));
		if (forward)
			pair_count(d, set, of->aors[i].set, NULL, words);
		else if (set == 0)
			count(d, TD_PLAN_REMOVED, NULL, words);
	}
}

void td_plan_diff(const struct td_route_image *before, const struct td_route_image *after,
	struct td_plan_diff *out)
{
	struct differ d = { before, after, out };

	*out = (struct td_plan_diff){ 0 };
	sweep(&d, after, before, true);
	if (before)
		sweep(&d, before, after, false);
}
