// SPDX-License-Identifier: BSD-3-Clause
// The joined rows as an image.
#include "sip/route_build_priv.h"

#include <errno.h>
#include <stdlib.h>

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
	int rc = route_rows_join(b, match);

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
