// SPDX-License-Identifier: BSD-3-Clause
#include "sip/subscribers.h"

#include "sip/digest.h"
#include "sip/hash.h"
#include "sip/shared_count.h"

#include <errno.h>

enum {
	SLOTS_PER_CHUNK = 4096,
	COLLECT_BURST = 256, // freed at most in one call
	HEADS_MAX = 1 << 20, // chains grow beyond
};

static const uint64_t aor_key[2] = { 0x73756273637269, 0x62657220616f72 };
static const uint64_t number_key[2] = { 0x73756273637269, 0x6e756d62657273 };

struct td_subscribers {
	struct td_alloc alloc;
	struct td_subscribers_grace grace;
	struct td_map by_aor, by_number;
	uint32_t capacity, count;
	uint32_t mark;
	uint64_t births;
	// What was replaced or removed, in the order of the grace periods.
	struct td_subscriber_entry *retired, **retired_end;
	// Counts of calls, by slot. A chunk is there before an entry names one of its slots.
	uint32_t n_slots;          // given out so far
	uint32_t *rested;          // ring of slots whose subscriber is gone
	uint32_t rested_at, n_rested;
	uint64_t sweep_head;       // bucket where the sweep goes on
	_Atomic bool ready;        // main: wo, workers: ro
	struct td_shared_count *chunks[];
};

// --- entries ---

static char *texts_of(const struct td_subscriber_entry *e)
{
	return (char *)(uintptr_t)&e->numbers[e->n_numbers];
}

struct td_span td_subscriber_aor(const struct td_subscriber_entry *e)
{
	return td_span(texts_of(e), e->aor_len);
}

struct td_span td_subscriber_plan(const struct td_subscriber_entry *e)
{
	return td_span(texts_of(e) + e->aor_len, e->plan_len);
}

struct td_span td_subscriber_display(const struct td_subscriber_entry *e)
{
	return td_span(texts_of(e) + e->aor_len + e->plan_len, e->display_len);
}

struct td_span td_subscriber_number(const struct td_subscriber_entry *e, uint8_t i)
{
	const char *text = texts_of(e) + e->aor_len + e->plan_len + e->display_len;

	if (i >= e->n_numbers)
		return (struct td_span){ 0 };
	for (uint8_t k = 0; k < i; k++)
		text += e->number_len[k];
	return td_span(text, e->number_len[i]);
}

uint64_t td_subscribers_hash(struct td_span aor)
{
	return td_hash_of(aor_key, aor.ptr, aor.len);
}

static uint64_t number_hash(struct td_span number)
{
	return td_hash_of(number_key, number.ptr, number.len);
}

static const struct td_subscriber_entry *entry_of_number(const struct td_map_node *node)
{
	const struct td_subscriber_number *n = (const struct td_subscriber_number *)node;
	const char *first = (const char *)(n - n->at);

	return (const struct td_subscriber_entry *)(const void *)(first -
		offsetof(struct td_subscriber_entry, numbers));
}

static void text_put(char **p, const char *text, uint8_t *len, size_t cap)
{
	*len = (uint8_t)strnlen(text, cap - 1);
	memcpy(*p, text, *len);
	*p += *len;
}

static struct td_subscriber_entry *entry_new(
	struct td_subscribers *t, const struct td_subscriber *s)
{
	size_t head = sizeof(struct td_subscriber_entry) +
		      s->n_numbers * sizeof(struct td_subscriber_number);
	size_t bytes = head + strlen(s->aor) + strlen(s->plan) + strlen(s->display);

	for (uint8_t i = 0; i < s->n_numbers; i++)
		bytes += strlen(s->numbers[i]);
	struct td_subscriber_entry *e = t->alloc.alloc(t->alloc.ctx, bytes);
	if (!e)
		return NULL;
	memset(e, 0, head);
	if (s->has_sha256)
		td_digest_seed(TD_DIGEST_SHA256, s->ha1_sha256, e->seed_sha256);
	memcpy(e->ha1_md5, s->ha1_md5, sizeof(e->ha1_md5));
	e->flags = (uint8_t)((s->has_md5 ? TD_SUBSCRIBER_MD5 : 0) |
			     (s->has_sha256 ? TD_SUBSCRIBER_SHA256 : 0) |
			     (s->enabled ? TD_SUBSCRIBER_ENABLED : 0));
	e->n_numbers = s->n_numbers;
	e->limit = (struct td_limit){ .max_calls = s->max_calls, .max_cps = s->max_cps,
		.cps_burst = s->cps_burst };
	char *p = texts_of(e);
	text_put(&p, s->aor, &e->aor_len, sizeof(s->aor));
	text_put(&p, s->plan, &e->plan_len, sizeof(s->plan));
	text_put(&p, s->display, &e->display_len, sizeof(s->display));
	for (uint8_t i = 0; i < s->n_numbers; i++) {
		text_put(&p, s->numbers[i], &e->number_len[i], TD_NUMBER_LEN);
		e->numbers[i].at = i;
		e->numbers[i].node.hash = number_hash(td_subscriber_number(e, i));
	}
	e->node.hash = td_subscribers_hash(td_subscriber_aor(e));
	return e;
}

static bool is_sane(const struct td_subscriber *s)
{
	const char *at = strchr(s->aor, '@');

	if (!at || at == s->aor || at[1] == '\0' || s->n_numbers > TD_SUBSCRIBER_NUMBERS_MAX)
		return false;
	for (const char *c = s->aor; *c; c++)
		if ((uint8_t)*c <= ' ' || *c == 0x7f)
			return false;
	for (uint8_t i = 0; i < s->n_numbers; i++) {
		const char *c = s->numbers[i];
		if (*c == '\0')
			return false;
		for (; *c; c++)
			if (*c < '0' || *c > '9')
				return false;
	}
	return true;
}

// --- slots ---

static struct td_shared_count *slot_count(const struct td_subscribers *t, uint32_t slot)
{
	return &t->chunks[slot / SLOTS_PER_CHUNK][slot % SLOTS_PER_CHUNK];
}

static void slot_rest(struct td_subscribers *t, uint32_t slot)
{
	uint32_t at = t->rested_at + t->n_rested++;

	t->rested[at < 2 * t->capacity ? at : at - 2 * t->capacity] = slot;
}

static uint32_t slot_wake(struct td_subscribers *t)
{
	uint32_t slot = t->rested[t->rested_at];

	t->rested_at = t->rested_at + 1 == 2 * t->capacity ? 0 : t->rested_at + 1;
	t->n_rested--;
	return slot;
}

// The longest at rest of those without calls. false: there is none.
static bool slot_again(struct td_subscribers *t, uint32_t *out)
{
	for (uint32_t n = t->n_rested; n > 0; n--) {
		*out = slot_wake(t);
		struct td_shared_count *c = slot_count(t, *out);
		if (atomic_load_explicit(&c->calls, memory_order_relaxed) == 0) {
			atomic_store_explicit(&c->arrival_ns, 0, memory_order_relaxed);
			return true;
		}
		slot_rest(t, *out);
	}
	return false;
}

static int slot_take(struct td_subscribers *t, uint32_t *out)
{
	if (slot_again(t, out))
		return 0;
	if (t->n_slots == 2 * t->capacity)
		return -ENOSPC;
	struct td_shared_count **chunk = &t->chunks[t->n_slots / SLOTS_PER_CHUNK];
	if (!*chunk) {
		size_t bytes = SLOTS_PER_CHUNK * sizeof(**chunk);
		*chunk = t->alloc.alloc(t->alloc.ctx, bytes);
		if (!*chunk)
			return -ENOMEM;
		memset(*chunk, 0, bytes);
	}
	*out = t->n_slots++;
	return 0;
}

int td_subscriber_acquire(struct td_subscribers *t, uint32_t slot, const struct td_limit *limit,
	uint64_t now_ns)
{
	return td_shared_acquire(slot_count(t, slot), limit, now_ns);
}

void td_subscriber_release(struct td_subscribers *t, uint32_t slot)
{
	td_shared_release(slot_count(t, slot));
}

void td_subscriber_cancel(struct td_subscribers *t, uint32_t slot)
{
	td_shared_cancel(slot_count(t, slot));
}

bool td_subscribers_calls(const struct td_subscribers *t, uint32_t *at, uint32_t max, uint64_t *sum)
{
	for (uint32_t n = 0; n < max && *at < t->n_slots; n++, ++*at)
		*sum += atomic_load_explicit(&slot_count(t, *at)->calls, memory_order_relaxed);
	return *at < t->n_slots;
}

// --- life ---

static uint32_t n_chunks(uint32_t capacity)
{
	return 2 * capacity / SLOTS_PER_CHUNK + 1;
}

struct td_subscribers *td_subscribers_new(
	const struct td_alloc *alloc, const struct td_subscribers_grace *grace, uint32_t capacity)
{
	if (capacity == 0 || capacity > 1u << 28) {
		errno = EINVAL;
		return NULL;
	}
	size_t bytes = sizeof(struct td_subscribers) +
		       n_chunks(capacity) * sizeof(struct td_shared_count *);
	uint32_t heads = capacity < HEADS_MAX / 2 ? 2 * capacity : HEADS_MAX;
	struct td_subscribers *t = alloc->alloc(alloc->ctx, bytes);
	if (!t) {
		errno = ENOMEM;
		return NULL;
	}
	memset(t, 0, bytes);
	t->alloc = *alloc;
	t->grace = *grace;
	t->capacity = capacity;
	t->retired_end = &t->retired;
	t->rested = alloc->alloc(alloc->ctx, 2ull * capacity * sizeof(*t->rested));
	if (t->rested && td_map_init_filtered(&t->by_aor, alloc, heads) == 0 &&
		td_map_init_filtered(&t->by_number, alloc, heads) == 0)
		return t;
	td_subscribers_free(t);
	errno = ENOMEM;
	return NULL;
}

static void retired_free(struct td_subscribers *t, uint32_t max, bool all)
{
	for (uint32_t n = 0; t->retired && (all || n < max); n++) {
		struct td_subscriber_entry *e = t->retired;
		if (!all && t->grace.over && !t->grace.over(t->grace.host, e->retired_at))
			return;
		t->retired = e->retired_next;
		if (!t->retired)
			t->retired_end = &t->retired;
		t->alloc.free(t->alloc.ctx, e);
	}
}

void td_subscribers_collect(struct td_subscribers *t)
{
	retired_free(t, COLLECT_BURST, false);
}

void td_subscribers_free(struct td_subscribers *t)
{
	if (!t)
		return;
	retired_free(t, 0, true);
	for (uint64_t i = 0; t->by_aor.heads && i <= t->by_aor.mask; i++) {
		struct td_map_node *node;
		while ((node = atomic_load(&t->by_aor.heads[i]))) {
			td_map_remove(&t->by_aor, node);
			t->alloc.free(t->alloc.ctx, node);
		}
	}
	for (uint32_t i = 0; i < n_chunks(t->capacity); i++)
		if (t->chunks[i])
			t->alloc.free(t->alloc.ctx, t->chunks[i]);
	td_map_fini(&t->by_aor, &t->alloc);
	td_map_fini(&t->by_number, &t->alloc);
	if (t->rested)
		t->alloc.free(t->alloc.ctx, t->rested);
	t->alloc.free(t->alloc.ctx, t);
}

// --- changes ---

static void retire(struct td_subscribers *t, struct td_subscriber_entry *e)
{
	td_map_remove(&t->by_aor, &e->node);
	for (uint8_t i = 0; i < e->n_numbers; i++)
		td_map_remove(&t->by_number, &e->numbers[i].node);
	e->retired_next = NULL;
	e->retired_at = t->grace.begin ? t->grace.begin(t->grace.host) : 0;
	*t->retired_end = e;
	t->retired_end = &e->retired_next;
}

int td_subscribers_put(struct td_subscribers *t, const struct td_subscriber *s)
{
	if (!is_sane(s))
		return -EINVAL;
	struct td_subscriber_entry *old =
		(struct td_subscriber_entry *)(uintptr_t)td_subscribers_find(
			t, td_span_str(s->aor));
	struct td_subscriber_entry *e = entry_new(t, s);
	int rc = !e ? -ENOMEM : !old && t->count == t->capacity ? -ENOSPC : 0;
	if (rc == 0 && old)
		e->slot = old->slot;
	else if (rc == 0)
		rc = slot_take(t, &e->slot);
	if (rc != 0) {
		if (e)
			t->alloc.free(t->alloc.ctx, e);
		return rc;
	}
	e->mark = t->mark;
	e->born = old ? old->born : ++t->births;
	// The new one stands before the old one goes: no reader finds neither.
	for (uint8_t i = 0; i < e->n_numbers; i++)
		td_map_insert(&t->by_number, &e->numbers[i].node);
	td_map_insert(&t->by_aor, &e->node);
	if (old)
		retire(t, old);
	else
		t->count++;
	return 0;
}

static void entry_delete(struct td_subscribers *t, struct td_subscriber_entry *e)
{
	slot_rest(t, e->slot);
	t->count--;
	retire(t, e);
}

int td_subscribers_delete(struct td_subscribers *t, struct td_span aor)
{
	struct td_subscriber_entry *e =
		(struct td_subscriber_entry *)(uintptr_t)td_subscribers_find(t, aor);

	if (!e)
		return -ENOENT;
	entry_delete(t, e);
	return 0;
}

void td_subscribers_mark(struct td_subscribers *t)
{
	t->mark++;
	t->sweep_head = 0;
}

bool td_subscribers_sweep(struct td_subscribers *t, uint32_t max)
{
	for (uint32_t n = 0; n < max && t->sweep_head <= t->by_aor.mask; n++, t->sweep_head++) {
		struct td_map_node *node = atomic_load_explicit(
			&t->by_aor.heads[t->sweep_head], memory_order_relaxed);
		while (node) {
			struct td_subscriber_entry *e = (struct td_subscriber_entry *)node;
			node = atomic_load_explicit(&node->next, memory_order_relaxed);
			if (e->mark != t->mark)
				entry_delete(t, e);
		}
	}
	bool more = t->sweep_head <= t->by_aor.mask;
	if (!more)
		atomic_store_explicit(&t->ready, true, memory_order_release);
	return more;
}

bool td_subscribers_ready(const struct td_subscribers *t)
{
	return atomic_load_explicit(&t->ready, memory_order_acquire);
}

uint32_t td_subscribers_count(const struct td_subscribers *t)
{
	return t->count;
}

// --- readers ---

void td_subscribers_prefetch_head(const struct td_subscribers *t, uint64_t hash)
{
	td_map_prefetch_head(&t->by_aor, hash);
}

void td_subscribers_prefetch_entry(const struct td_subscribers *t, uint64_t hash)
{
	td_map_prefetch_node(&t->by_aor, hash,
		sizeof(struct td_subscriber_entry) + sizeof(struct td_subscriber_number));
}

const struct td_subscriber_entry *td_subscribers_find(
	const struct td_subscribers *t, struct td_span aor)
{
	uint64_t hash = td_subscribers_hash(aor);

	return td_map_may_have(&t->by_aor, hash) ? td_subscribers_find_hashed(t, hash, aor) : NULL;
}

const struct td_subscriber_entry *td_subscribers_find_hashed(
	const struct td_subscribers *t, uint64_t hash, struct td_span aor)
{
	for (const struct td_map_node *n = td_map_first(&t->by_aor, hash); n; n = td_map_next(n)) {
		const struct td_subscriber_entry *e = (const struct td_subscriber_entry *)n;
		if (td_span_eq(td_subscriber_aor(e), aor))
			return e;
	}
	return NULL;
}

const struct td_subscriber_entry *td_subscribers_by_number(
	const struct td_subscribers *t, struct td_span number)
{
	uint64_t hash = number_hash(number);

	if (!td_map_may_have(&t->by_number, hash))
		return NULL;
	for (const struct td_map_node *n = td_map_first(&t->by_number, hash); n;
		n = td_map_next(n)) {
		const struct td_subscriber_entry *e = entry_of_number(n);
		uint8_t at = (uint8_t)((const struct td_subscriber_number *)n)->at;
		if (td_span_eq(td_subscriber_number(e, at), number))
			return e;
	}
	return NULL;
}
