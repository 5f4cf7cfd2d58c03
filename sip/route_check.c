// SPDX-License-Identifier: BSD-3-Clause
// A dial plan's image from outside, looked at once before a look-up may follow an offset in it.
#include "sip/route_image.h"

#include <errno.h>
#include <stdlib.h>

static const uint32_t element_bytes[TD_ROUTE__PARTS] = {
	[TD_ROUTE_BUCKETS] = sizeof(struct td_route_bucket),
	[TD_ROUTE_HEADS] = sizeof(uint32_t),
	[TD_ROUTE_LONG] = sizeof(struct td_route_long),
	[TD_ROUTE_AORS] = sizeof(struct td_route_aor),
	[TD_ROUTE_SETS] = sizeof(uint32_t),
	[TD_ROUTE_OPTS] = sizeof(struct td_route_opts),
	[TD_ROUTE_NAMES] = TD_NAME_LEN,
	[TD_ROUTE_TEXT] = 1,
};

uint64_t td_route_image_hash(const struct td_route_header *header)
{
	size_t from = offsetof(struct td_route_header, plan);
	const char *at = (const char *)header + from;
	size_t words = (header->bytes - from) / 8;
	uint64_t h[4] = { 1, 2, 3, 4 }, word;

	for (size_t i = 0; i < words; i++, at += 8) {
		memcpy(&word, at, 8);
		h[i & 3] = (h[i & 3] ^ word) * 0x9e3779b97f4a7c15u;
		h[i & 3] ^= h[i & 3] >> 32;
	}
	word = h[0] ^ (h[1] << 1) ^ (h[2] << 2) ^ (h[3] << 3);
	word = (word ^ word >> 29) * 0xd6e8feb86659fd93u;
	return word == 0 ? 1 : word;
}

struct checker {
	struct td_route_image *image;
	uint8_t *starts; // a bit for each word of the sets that begins one
	const char *error;
};

static bool wrong(struct checker *c, const char *error)
{
	c->error = error;
	return false;
}

static uint64_t count(const struct checker *c, enum td_route_part part)
{
	return c->image->header->parts[part].n;
}

static bool parts_lie_inside(struct checker *c, size_t len)
{
	const struct td_route_header *h = c->image->header;

	for (unsigned i = 0; i < TD_ROUTE__PARTS; i++) {
		const struct td_route_section *part = &h->parts[i];
		if (part->offset % 64 != 0 || part->offset > len || part->n >= TD_ROUTE_NONE ||
			part->n * element_bytes[i] > len - part->offset)
			return wrong(c, "a part lies outside the image");
	}
	if (count(c, TD_ROUTE_SETS) == 0 || count(c, TD_ROUTE_OPTS) == 0 ||
		count(c, TD_ROUTE_NAMES) == 0 || count(c, TD_ROUTE_NAMES) > UINT16_MAX ||
		count(c, TD_ROUTE_TEXT) < 2 || h->head_symbols > TD_ROUTE_HEAD_MAX ||
		count(c, TD_ROUTE_HEADS) != 1ull << 4 * h->head_symbols)
		return wrong(c, "a part is too short");
	return true;
}

static void image_fill(struct td_route_image *image)
{
	const struct td_route_header *h = image->header;
	const void *at[TD_ROUTE__PARTS];

	for (unsigned i = 0; i < TD_ROUTE__PARTS; i++)
		at[i] = (const char *)h + h->parts[i].offset;
	image->buckets = at[TD_ROUTE_BUCKETS];
	image->heads = at[TD_ROUTE_HEADS];
	image->longs = at[TD_ROUTE_LONG];
	image->aors = at[TD_ROUTE_AORS];
	image->sets = at[TD_ROUTE_SETS];
	image->opts = at[TD_ROUTE_OPTS];
	image->names = at[TD_ROUTE_NAMES];
	image->text = at[TD_ROUTE_TEXT];
	image->n_buckets = (uint32_t)h->parts[TD_ROUTE_BUCKETS].n;
	image->head_shift = 63 - 4 * h->head_symbols;
	image->n_longs = (uint32_t)h->parts[TD_ROUTE_LONG].n;
	image->n_names = (uint32_t)h->parts[TD_ROUTE_NAMES].n;
	image->n_aors = (uint32_t)h->parts[TD_ROUTE_AORS].n;
}

static bool text_holds(const struct checker *c, uint32_t offset)
{
	uint64_t n = count(c, TD_ROUTE_TEXT);

	return offset + 2ull <= n && offset + 2ull + td_route_text(c->image, offset).len <= n;
}

static bool names_hold(struct checker *c)
{
	for (uint32_t i = 0; i < c->image->n_names; i++)
		if (!memchr(c->image->names[i], '\0', TD_NAME_LEN))
			return wrong(c, "a name does not end");
	if (c->image->names[0][0] != '\0')
		return wrong(c, "the first name is not empty");
	for (uint64_t i = 0; i < count(c, TD_ROUTE_OPTS); i++) {
		const struct td_route_opts *o = &c->image->opts[i];
		if (o->label >= c->image->n_names || o->limit >= c->image->n_names ||
			o->failover >= c->image->n_names)
			return wrong(c, "a name is none");
	}
	return true;
}

// --- sets ---

// A blocked one's weight is the status of the answer.
static bool target_holds(const struct checker *c, const struct td_route_to *to)
{
	if (to->name == 0 && to->weight != 0 && (to->weight < 400 || to->weight > 699))
		return false;
	return to->name < c->image->n_names && to->opts < count(c, TD_ROUTE_OPTS);
}

// Words of an entry with its targets; 0: it does not hold.
static uint64_t entry_words(struct checker *c, uint64_t at)
{
	const uint64_t end = count(c, TD_ROUTE_SETS);
	const uint64_t head = sizeof(struct td_route_entry) / 4,
		       one = sizeof(struct td_route_to) / 4;
	struct td_route_entry e;

	if (at + head > end)
		return 0;
	memcpy(&e, c->image->sets + at, sizeof(e));
	uint64_t words = head + e.n_targets * one;
	if (at + words > end || e.n_targets > TD_ROUTE_TARGETS_MAX ||
		e.window >= c->image->n_names || !text_holds(c, e.domain) ||
		!text_holds(c, e.caller))
		return 0;
	for (uint32_t i = 0; i < e.n_targets; i++) {
		struct td_route_to to;
		memcpy(&to, c->image->sets + at + head + i * one, sizeof(to));
		if (!target_holds(c, &to))
			return 0;
	}
	return words;
}

static bool sets_hold(struct checker *c)
{
	uint64_t n = count(c, TD_ROUTE_SETS), at = 1;

	c->starts = calloc(n / 8 + 1, 1);
	if (!c->starts)
		return wrong(c, "no memory");
	if (c->image->sets[0] != 0)
		return wrong(c, "the first set is not empty");
	while (at < n) {
		uint32_t n_entries = c->image->sets[at];
		c->starts[at / 8] |= (uint8_t)(1u << at % 8);
		at++;
		for (uint32_t i = 0; i < n_entries; i++) {
			uint64_t words = entry_words(c, at);
			if (words == 0)
				return wrong(c, "a set does not hold");
			at += words;
		}
	}
	return true;
}

static bool set_starts(const struct checker *c, uint32_t set)
{
	return set != 0 && set < count(c, TD_ROUTE_SETS) &&
	       (c->starts[set / 8] >> set % 8 & 1) != 0;
}

static bool ref_holds(const struct checker *c, const struct td_route_ref *ref)
{
	return set_starts(c, ref->set) && ref->to < c->image->n_names;
}

// --- keys ---

static bool symbols_hold(uint64_t key)
{
	for (uint64_t rest = key; rest != 0; rest <<= 4)
		if (rest >> 60 == 0 || rest >> 60 == 15)
			return false;
	return true;
}

// Where a key stands does not matter for safety: a look-up compares it, and goes no further than
// TD_ROUTE_HOPS_MAX.
static bool keys_hold(struct checker *c)
{
	const struct td_route_image *image = c->image;
	uint64_t n = 0;

	for (uint32_t i = 0; i < image->n_buckets; i++) {
		const struct td_route_bucket *bucket = &image->buckets[i];
		for (uint32_t k = 0; k < TD_ROUTE_BUCKET; k++) {
			if (bucket->key[k] == UINT64_MAX)
				continue;
			n++;
			if (!symbols_hold(bucket->key[k]))
				return wrong(c, "a key is none");
			const struct td_route_ref ref = { bucket->set[k], bucket->to[k], 0 };
			if (!ref_holds(c, &ref))
				return wrong(c, "a key leads nowhere");
		}
	}
	if (n != image->header->n_keys)
		return wrong(c, "there are more or fewer keys than it says");
	for (uint64_t i = 0; i < count(c, TD_ROUTE_HEADS); i++)
		if (image->heads[i] >> (TD_ROUTE_KEY_SYMBOLS + 1) != 0 ||
			(image->heads[i] != 0 && image->n_buckets == 0))
			return wrong(c, "a head knows of keys that are too long");
	return true;
}

static bool longs_hold(struct checker *c)
{
	const struct td_route_image *image = c->image;

	for (uint32_t i = 0; i < image->n_longs; i++) {
		const struct td_route_long *l = &image->longs[i];
		const struct td_route_long *before = i > 0 ? l - 1 : NULL;
		if (!symbols_hold(l->hi) || !symbols_hold(l->lo) || l->hi << 60 == 0 ||
			l->lo == 0 ||
			(before && (l->hi < before->hi ||
					   (l->hi == before->hi && l->lo <= before->lo))))
			return wrong(c, "the long keys do not ascend");
		if (!ref_holds(c, &l->ref))
			return wrong(c, "a long key leads nowhere");
		if (l->parent == TD_ROUTE_NONE)
			continue;
		const struct td_route_long *parent = &image->longs[l->parent];
		if (l->parent >= i || parent->hi != l->hi ||
			(l->lo & td_route_mask(parent->lo)) != parent->lo)
			return wrong(c, "a long key's prefix does not begin it");
	}
	return true;
}

static bool aors_hold(struct checker *c)
{
	uint32_t n = c->image->n_aors, used = 0;

	if ((n & (n - 1)) != 0)
		return wrong(c, "the table of AoRs has no power of two");
	for (uint32_t i = 0; i < n; i++) {
		const struct td_route_aor *aor = &c->image->aors[i];
		if (aor->hash == 0)
			continue;
		used++;
		if (!text_holds(c, aor->text) || !set_starts(c, aor->set))
			return wrong(c, "an AoR leads nowhere");
	}
	return used < n || n == 0 || wrong(c, "the table of AoRs is full");
}

int td_route_image_open(
	struct td_route_image *image, const void *bytes, size_t len, const char **error)
{
	struct td_route_image seen = { .header = bytes };
	struct checker c = { .image = &seen, .error = "no memory" };

	if (len < sizeof(*seen.header) || (uintptr_t)bytes % 64 != 0 ||
		seen.header->magic != TD_ROUTE_MAGIC || seen.header->bytes != len ||
		len % 64 != 0 || !memchr(seen.header->plan, '\0', TD_NAME_LEN)) {
		*error = "this is no dial plan";
		return -EINVAL;
	}
	if (!parts_lie_inside(&c, len)) {
		*error = c.error;
		return -EINVAL;
	}
	image_fill(&seen);
	bool holds = text_holds(&c, 0) && names_hold(&c) && sets_hold(&c) && keys_hold(&c) &&
		     longs_hold(&c) && aors_hold(&c);
	free(c.starts);
	if (holds && td_route_image_hash(seen.header) != seen.header->generation)
		holds = wrong(&c, "the content is another than was written");
	if (!holds) {
		*error = c.error;
		return -EINVAL;
	}
	*image = seen;
	return 0;
}
