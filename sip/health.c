// SPDX-License-Identifier: BSD-3-Clause
// Each peer is one word, changed by compare and swap, so that two workers never make two changes of
// one: state 2 | findings 6 | silent calls 6 | sip_code 10 | since_ms 40.
//
//   up ── down_after failed OPTIONS in a row, or silent_after silent calls ──→ down
//   down ── up_after answered OPTIONS; without probes: after an interval ────→ returning
//   returning ── one failure ──→ down;  ── return_s later ──→ up
//
// What time alone brings about is read out of since_ms whenever somebody looks: nobody's timer
// has to run for it.
#include "sip/health.h"

#include <stdlib.h>

#define ENTRIES (2 * TD_PEERS_MAX) // a reload may replace every peer while the old ones are in use
#define SINCE_BITS 40              // of milliseconds: 34 years

struct td_health_entry {
	struct td_sockaddr address; // main: wo, before the entry is used
	_Atomic uint32_t rtt_us;
	_Atomic uint64_t word;
};

struct state {
	uint8_t state, findings, silent;
	uint16_t code;
	uint64_t since_ms;
};

static uint64_t pack(const struct state *s)
{
	return (uint64_t)s->state << 62 | (uint64_t)(s->findings & 63) << 56 |
	       (uint64_t)(s->silent & 63) << 50 | (uint64_t)(s->code & 1023) << SINCE_BITS |
	       (s->since_ms & ((1ull << SINCE_BITS) - 1));
}

static struct state unpack(uint64_t word)
{
	return (struct state){ .state = (uint8_t)(word >> 62),
		.findings = word >> 56 & 63,
		.silent = word >> 50 & 63,
		.code = word >> SINCE_BITS & 1023,
		.since_ms = word & ((1ull << SINCE_BITS) - 1) };
}

struct td_health *td_health_new(void)
{
	struct td_health *health = calloc(1, sizeof(*health));

	if (!health)
		return NULL;
	health->entries = calloc((size_t)TD_TRUNK_SLOTS * ENTRIES, sizeof(*health->entries));
	if (health->entries)
		return health;
	free(health);
	return NULL;
}

void td_health_free(struct td_health *health)
{
	if (health)
		free(health->entries);
	free(health);
}

// --- places ---

// An entry that was freed rests until the next sweep, since whoever read the old `used` may still
// look at its address.

static struct td_health_entry *entries_of(const struct td_health *health, uint32_t slot)
{
	return health->entries + (size_t)slot * ENTRIES;
}

static int entry_of(const struct td_health *health, uint32_t slot, uint32_t among,
	const struct td_sockaddr *peer)
{
	for (; among != 0; among &= among - 1) {
		int n = __builtin_ctz(among);
		if (td_sockaddr_eq(&entries_of(health, slot)[n].address, peer))
			return n;
	}
	return -1;
}

static struct td_health_entry *entry_find(
	const struct td_health *health, uint32_t slot, const struct td_sockaddr *peer)
{
	if (slot >= TD_TRUNK_SLOTS)
		return NULL;
	uint32_t used = atomic_load_explicit(&health->used[slot], memory_order_acquire);
	int n = entry_of(health, slot, used, peer);
	return n >= 0 ? &entries_of(health, slot)[n] : NULL;
}

static void entry_take(struct td_health *health, uint32_t slot, const struct td_sockaddr *peer)
{
	uint32_t used = atomic_load_explicit(&health->used[slot], memory_order_relaxed);
	uint32_t resting = health->resting[slot];

	if (entry_of(health, slot, used, peer) >= 0)
		return;
	int n = entry_of(health, slot, resting, peer);
	if (n < 0 && (used | resting) != UINT32_MAX)
		n = __builtin_ctz(~(used | resting));
	if (n < 0)
		return;
	struct td_health_entry *entry = &entries_of(health, slot)[n];
	health->resting[slot] &= ~(1u << n);
	entry->address = *peer;
	atomic_store_explicit(&entry->word, 0, memory_order_relaxed);
	atomic_store_explicit(&entry->rtt_us, 0, memory_order_relaxed);
	atomic_fetch_and(&health->marked[slot], ~(1u << n));
	atomic_store_explicit(&health->used[slot], used | 1u << n, memory_order_release);
}

void td_health_follow(struct td_health *health, const struct td_policy *policy)
{
	for (uint32_t i = 0; i < td_policy_n_trunks(policy); i++) {
		const struct td_trunk *trunk = td_policy_trunk(policy, i);
		for (uint32_t p = 0; p < trunk->conf.n_peers && trunk->slot < TD_TRUNK_SLOTS; p++)
			entry_take(health, trunk->slot, &trunk->conf.peers[p].address);
	}
}

static void slot_sweep(struct td_health *health, uint32_t slot)
{
	uint32_t used = atomic_load_explicit(&health->used[slot], memory_order_relaxed);
	uint32_t gone = used & ~health->wanted[slot];

	health->resting[slot] = gone;
	health->wanted[slot] = 0;
	if (gone == 0)
		return;
	atomic_store_explicit(&health->used[slot], used & ~gone, memory_order_release);
	atomic_fetch_and(&health->marked[slot], ~gone);
}

void td_health_sweep(struct td_health *health, const struct td_policy *policy)
{
	for (uint32_t i = 0; i < td_policy_n_trunks(policy); i++) {
		const struct td_trunk *trunk = td_policy_trunk(policy, i);
		uint32_t slot = trunk->slot;
		for (uint32_t p = 0; p < trunk->conf.n_peers && slot < TD_TRUNK_SLOTS; p++) {
			int n = entry_of(
				health, slot, health->used[slot], &trunk->conf.peers[p].address);
			health->wanted[slot] |= n >= 0 ? 1u << n : 0;
		}
	}
	for (uint32_t slot = 0; slot < TD_TRUNK_SLOTS; slot++)
		slot_sweep(health, slot);
}

// --- what time has made of a state ---

static uint64_t since(const struct state *s, uint64_t now_ms)
{
	return now_ms > s->since_ms ? now_ms - s->since_ms : 0;
}

static struct state state_now(
	const struct state *s, const struct td_health_conf *conf, uint64_t now_ms)
{
	struct state now = *s;

	if (now.state == TD_PEER_DOWN && conf->probe == TD_PROBE_NONE &&
		since(&now, now_ms) >= conf->interval_ms) {
		now.state = TD_PEER_RETURNING;
		now.since_ms += conf->interval_ms;
		now.silent = now.findings = 0;
	}
	if (now.state == TD_PEER_RETURNING && since(&now, now_ms) >= conf->return_ms) {
		now.state = TD_PEER_UP;
		now.since_ms += conf->return_ms;
		now.silent = now.findings = 0;
	}
	return now;
}

// A tenth from the first moment on.
static uint16_t share_10000(
	const struct state *s, const struct td_health_conf *conf, uint64_t now_ms)
{
	if (s->state != TD_PEER_RETURNING)
		return s->state == TD_PEER_UP ? 10000 : 0;
	// A division, but for nobody else than those that return.
	return (uint16_t)(1000 + 9000 * since(s, now_ms) / conf->return_ms);
}

struct td_peer_view td_health_view(const struct td_health *health, uint32_t slot,
	const struct td_sockaddr *peer, const struct td_health_conf *conf, uint64_t now_ms)
{
	const struct td_health_entry *entry = entry_find(health, slot, peer);

	if (!entry)
		return (struct td_peer_view){ .share_10000 = 10000 };
	struct state s = unpack(atomic_load_explicit(&entry->word, memory_order_relaxed));
	s = state_now(&s, conf, now_ms);
	return (struct td_peer_view){ .state = s.state,
		.sip_code = s.code,
		.share_10000 = share_10000(&s, conf, now_ms),
		.rtt_us = atomic_load_explicit(&entry->rtt_us, memory_order_relaxed),
		.since_ms = s.since_ms };
}

bool td_health_takes(const struct td_peer_view *view, uint32_t random)
{
	return ((uint64_t)random * 10000 >> 32) < view->share_10000;
}

// --- findings ---

enum finding { PROBE_GOOD, PROBE_BAD, CALL_HEARD, CALL_SILENT };

static void turn(struct state *s, enum td_peer_state state, uint64_t now_ms)
{
	s->state = (uint8_t)state;
	s->findings = s->silent = 0;
	s->since_ms = now_ms;
}

static void up_finds(
	struct state *s, const struct td_health_conf *conf, uint64_t now_ms, enum finding what)
{
	switch (what) {
	case PROBE_GOOD:
		s->findings = 0;
		return;
	case CALL_HEARD:
		s->silent = 0;
		return;
	case PROBE_BAD:
		if (++s->findings >= conf->down_after)
			turn(s, TD_PEER_DOWN, now_ms);
		return;
	case CALL_SILENT:
		if (conf->silent_after > 0 && ++s->silent >= conf->silent_after)
			turn(s, TD_PEER_DOWN, now_ms);
		return;
	}
}

// Where there are probes they alone bring a peer back; else the first call that it answers.
static void down_finds(
	struct state *s, const struct td_health_conf *conf, uint64_t now_ms, enum finding what)
{
	if (what == PROBE_BAD)
		s->findings = 0;
	bool enough = what == PROBE_GOOD && ++s->findings >= conf->up_after;
	if (enough || (what == CALL_HEARD && conf->probe == TD_PROBE_NONE))
		turn(s, conf->return_ms > 0 ? TD_PEER_RETURNING : TD_PEER_UP, now_ms);
}

static struct state finds(
	struct state s, const struct td_health_conf *conf, uint64_t now_ms, enum finding what)
{
	switch ((enum td_peer_state)s.state) {
	case TD_PEER_UP:
		up_finds(&s, conf, now_ms, what);
		break;
	case TD_PEER_DOWN:
		down_finds(&s, conf, now_ms, what);
		break;
	case TD_PEER_RETURNING:
		if (what == PROBE_BAD || what == CALL_SILENT)
			turn(&s, TD_PEER_DOWN, now_ms);
		break;
	}
	return s;
}

static bool is_plain(const struct state *s)
{
	return s->state == TD_PEER_UP && s->findings == 0 && s->silent == 0;
}

// Whoever clears the mark looks once more: another worker may have found something meanwhile.
static void mark(struct td_health *health, uint32_t slot, const struct td_health_entry *entry)
{
	uint32_t bit = 1u << (entry - entries_of(health, slot));
	struct state s = unpack(atomic_load(&entry->word));

	if (is_plain(&s)) {
		atomic_fetch_and(&health->marked[slot], ~bit);
		s = unpack(atomic_load(&entry->word));
	}
	if (!is_plain(&s))
		atomic_fetch_or(&health->marked[slot], bit);
}

static struct td_peer_change entry_found(struct td_health *health, uint32_t slot,
	struct td_health_entry *entry, const struct td_health_conf *conf, uint64_t now_ms,
	enum finding what, uint16_t code)
{
	uint64_t word = atomic_load(&entry->word), next;
	struct state stored, after;

	do {
		stored = unpack(word);
		after = finds(state_now(&stored, conf, now_ms), conf, now_ms, what);
		after.code = code ? code : after.code;
		next = pack(&after);
	} while (next != word && !atomic_compare_exchange_weak(&entry->word, &word, next));
	if (next != word)
		mark(health, slot, entry);
	return (struct td_peer_change){ .changed = after.state != stored.state,
		.doubtful = after.findings > 0,
		.state = after.state };
}

struct td_peer_change td_health_probed(struct td_health *health, uint32_t slot,
	const struct td_sockaddr *peer, const struct td_health_conf *conf, uint64_t now_ms,
	uint16_t sip_code, uint32_t rtt_us)
{
	struct td_health_entry *entry = entry_find(health, slot, peer);
	bool good = sip_code != TD_HEALTH_SILENT && sip_code != 503;

	if (!entry)
		return (struct td_peer_change){ 0 };
	if (rtt_us > 0)
		atomic_store_explicit(&entry->rtt_us, rtt_us, memory_order_relaxed);
	return entry_found(
		health, slot, entry, conf, now_ms, good ? PROBE_GOOD : PROBE_BAD, sip_code);
}

struct td_peer_change td_health_called(struct td_health *health, uint32_t slot,
	const struct td_sockaddr *peer, const struct td_health_conf *conf, uint64_t now_ms,
	bool heard)
{
	struct td_health_entry *entry = entry_find(health, slot, peer);

	if (!entry)
		return (struct td_peer_change){ 0 };
	return entry_found(health, slot, entry, conf, now_ms, heard ? CALL_HEARD : CALL_SILENT,
		heard ? 0 : TD_HEALTH_SILENT);
}

const char *td_peer_state_name(uint8_t state)
{
	switch ((enum td_peer_state)state) {
	case TD_PEER_UP:
		return "up";
	case TD_PEER_DOWN:
		return "down";
	case TD_PEER_RETURNING:
		return "returning";
	}
	return "unknown";
}
