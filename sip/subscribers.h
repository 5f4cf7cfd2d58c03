// SPDX-License-Identifier: BSD-3-Clause
// All subscribers, by AoR and by number: one writer, many readers without a lock
// (include/subscriber.h says what a subscriber is).
//
// Writer: main of the data plane, which allocates. Readers: workers under a grace period; what they
// were given stands until their event is over. An entry that is replaced or removed is freed when
// every reader has moved on.
#pragma once

#include "include/policy_conf.h"
#include "include/subscriber.h"
#include "sip/map.h"
#include "sip/pool.h"

// As it lies in the table; texts stand behind it.
struct td_subscriber_entry {
	struct td_map_node node;
	uint8_t seed_sha256[TD_SHA256_BYTES]; // of td_digest_seed(), in the place of HA1
	uint8_t ha1_md5[TD_MD5_BYTES];
	uint8_t flags; // TD_SUBSCRIBER_…
	uint8_t n_numbers, aor_len, plan_len, display_len;
	uint8_t number_len[TD_SUBSCRIBER_NUMBERS_MAX];
	uint32_t slot; // of td_subscriber_acquire(): the same as long as the AoR stands
	struct td_limit limit;
	uint64_t born; // tells it from others that have had its AoR; not 0
	uint32_t mark; // of the bulk push that named it last; writer
	struct td_subscriber_entry *retired_next; // writer
	uint64_t retired_at;                      // grace token; writer
	struct td_subscriber_number {
		struct td_map_node node;
		uint32_t at; // index of the number
	} numbers[];
};

struct td_subscribers; // the table

struct td_subscribers_grace { // both NULL: there are no readers but the writer
	uint64_t (*begin)(void *host);
	bool (*over)(void *host, uint64_t token);
	void *host;
};

// --- writer ---

// capacity: subscribers at most. NULL and errno.
struct td_subscribers *td_subscribers_new(
	const struct td_alloc *alloc, const struct td_subscribers_grace *grace, uint32_t capacity);
void td_subscribers_free(struct td_subscribers *table); // after the readers have gone; NULL is fine
// Adds or replaces by AoR. A number belongs to whom it was given last. 0, -EINVAL (no AoR, a number
// that is none), -ENOSPC, -ENOMEM; the old one stands then.
int td_subscribers_put(struct td_subscribers *table, const struct td_subscriber *subscriber);
int td_subscribers_delete(struct td_subscribers *table, struct td_span aor); // 0 or -ENOENT
// A whole push: begin, then put, then end removes at most max of what was not put since, and tells
// whether more is left.
void td_subscribers_mark(struct td_subscribers *table);
bool td_subscribers_sweep(struct td_subscribers *table, uint32_t max);
uint32_t td_subscribers_count(const struct td_subscribers *table);
// Adds up the calls that are counted, of at most max slots from *at on, and moves it. Whether some
// are left.
bool td_subscribers_calls(
	const struct td_subscribers *table, uint32_t *at, uint32_t max, uint64_t *sum);
// Frees what no reader can hold any more. Once a turn.
void td_subscribers_collect(struct td_subscribers *table);

// --- readers ---

const struct td_subscriber_entry *td_subscribers_find(
	const struct td_subscribers *table, struct td_span aor); // NULL: nobody
// The same in steps, for who knows of it early: hash of the AoR, its place, what stands there.
uint64_t td_subscribers_hash(struct td_span aor);
void td_subscribers_prefetch_head(const struct td_subscribers *table, uint64_t hash);
void td_subscribers_prefetch_entry(const struct td_subscribers *table, uint64_t hash);
const struct td_subscriber_entry *td_subscribers_find_hashed(
	const struct td_subscribers *table, uint64_t hash, struct td_span aor);
// number: digits without '+'.
const struct td_subscriber_entry *td_subscribers_by_number(
	const struct td_subscribers *table, struct td_span number);
// Was a whole push ever taken? Before that nobody is refused for not being known.
bool td_subscribers_ready(const struct td_subscribers *table);

struct td_span td_subscriber_aor(const struct td_subscriber_entry *e);
struct td_span td_subscriber_plan(const struct td_subscriber_entry *e);
struct td_span td_subscriber_display(const struct td_subscriber_entry *e); // or empty
struct td_span td_subscriber_number(const struct td_subscriber_entry *e, uint8_t i);

static inline bool td_subscriber_enabled(const struct td_subscriber_entry *e)
{
	return e->flags & TD_SUBSCRIBER_ENABLED;
}

// Counts a call (and a new INVITE) against max_calls and max_cps of a subscriber, shared by all
// workers. now_ns is monotonic. 0; -EDQUOT: max_calls; -EAGAIN: max_cps (nothing is held then).
// Given back with the same slot exactly once, whatever became of the subscriber.
int td_subscriber_acquire(struct td_subscribers *table, uint32_t slot,
	const struct td_limit *limit, uint64_t now_ns);
void td_subscriber_release(struct td_subscribers *table, uint32_t slot);
void td_subscriber_cancel(struct td_subscribers *table, uint32_t slot); // td_shared_cancel()
