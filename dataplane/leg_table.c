// SPDX-License-Identifier: BSD-3-Clause
// Legs open, change and close; the memory they live in.
#include "dataplane/leg.h"
#include "dataplane/pools.h"
#include "sip/policy.h"

#include <rte_malloc.h>
#include <errno.h>

static uint32_t time_units(uint64_t ns)
{
	return (uint32_t)(ns >> 20);
}

// --- memory ---

static uint16_t ranks_fill(
	uint8_t rank[TD_STEER_SLOTS], const struct td_steer *steer, uint16_t worker)
{
	uint8_t n = 0;

	for (uint32_t slot = 0; slot < TD_STEER_SLOTS; slot++)
		rank[slot] = steer->owner[slot] == worker ? n++ : 0;
	return n;
}

static uint32_t realm_blocks(const struct td_realm_conf *realm)
{
	return (realm->media_port_max >> 1) / TD_STEER_SLOTS -
	       (realm->media_port_min >> 1) / TD_STEER_SLOTS + 1;
}

size_t td_leg_table_bytes(const struct td_config *conf, uint16_t n_workers, uint32_t max_legs)
{
	size_t bytes = sizeof(struct td_leg_table) + TD_NEIGHBOURS * sizeof(td_count) +
		       (size_t)conf->n_realms * TD_REALM_ADDRS_MAX * sizeof(struct td_leg_address) +
		       (max_legs + 1ull) *
			       (sizeof(struct td_leg) + sizeof(struct td_leg_wide) +
				       sizeof(struct td_leg_cold) + sizeof(struct td_leg_timed));

	for (uint32_t r = 0; r < conf->n_realms; r++) {
		const struct td_realm_conf *realm = &conf->realms[r];
		uint32_t slots = realm_blocks(realm) * (TD_STEER_SLOTS / n_workers + 1);
		for (uint32_t a = 0; a < realm->n_addresses; a++)
			if (realm->addresses[a].media)
				bytes += slots * sizeof(uint32_t) + td_leg_ports_bytes(slots);
	}
	return bytes;
}

static void *zalloc(const struct td_worker *w, size_t bytes)
{
	return rte_zmalloc_socket("legs", bytes, 64, (int)rte_lcore_to_socket_id(w->lcore));
}

// One local address: its look-up array, and its ports on a free queue.
static int address_create(
	struct td_worker *w, struct td_leg_address *a, const struct td_realm_conf *realm)
{
	const struct td_leg_table *t = w->legs;
	uint32_t n = td_leg_ports_count(
		&w->dp->steer, w->id, realm->media_port_min, realm->media_port_max);

	a->first_block = (realm->media_port_min >> 1) / TD_STEER_SLOTS;
	a->n_blocks = realm_blocks(realm);
	a->slots = zalloc(w, ((size_t)a->n_blocks * t->n_own + 1) * sizeof(uint32_t));
	a->ports = zalloc(w, td_leg_ports_bytes(n));
	if (!a->slots || !a->ports)
		return -ENOMEM;
	td_leg_ports_init(
		a->ports, &w->dp->steer, w->id, realm->media_port_min, realm->media_port_max);
	return 0;
}

static int addresses_create(struct td_worker *w)
{
	for (uint32_t r = 0; r < w->dp->n_realms; r++) {
		const struct td_realm_conf *realm = &w->dp->realms[r].conf;
		for (uint32_t i = 0; i < realm->n_addresses; i++) {
			if (!realm->addresses[i].media)
				continue;
			if (realm->media_port_min == 0 ||
				realm->media_port_min >= realm->media_port_max)
				return -EINVAL;
			int rc = address_create(
				w, &w->legs->addresses[r * TD_REALM_ADDRS_MAX + i], realm);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

int td_leg_table_create(struct td_worker *w, uint32_t max_legs)
{
	size_t n_addresses = (size_t)w->dp->n_realms * TD_REALM_ADDRS_MAX;
	struct td_leg_table *t =
		zalloc(w, sizeof(*t) + n_addresses * sizeof(struct td_leg_address));

	w->legs = t;
	if (!t)
		return -ENOMEM;
	t->capacity = max_legs;
	t->n_realms = w->dp->n_realms;
	t->quarantine_ms = time_units(w->dp->conf.quarantine_ms * 1000000ull);
	t->n_own = ranks_fill(t->rank, &w->dp->steer, w->id);
	t->legs = zalloc(w, (max_legs + 1ull) * sizeof(*t->legs));
	t->wide = zalloc(w, (max_legs + 1ull) * sizeof(*t->wide));
	t->cold = zalloc(w, (max_legs + 1ull) * sizeof(*t->cold));
	t->timed = zalloc(w, (max_legs + 1ull) * sizeof(*t->timed));
	t->holds = zalloc(w, TD_NEIGHBOURS * sizeof(*t->holds));
	bool all = t->legs && t->wide && t->cold && t->timed && t->holds;
	int rc = all ? addresses_create(w) : -ENOMEM;
	if (rc < 0) {
		td_leg_table_destroy(w);
		return rc;
	}
	for (uint32_t i = 1; i <= max_legs; i++)
		t->cold[i].free_next = i < max_legs ? i + 1 : 0;
	t->free_head = max_legs > 0;
	return 0;
}

void td_leg_table_destroy(struct td_worker *w)
{
	struct td_leg_table *t = w->legs;

	if (!t)
		return;
	for (uint32_t i = 0; i < (uint32_t)t->n_realms * TD_REALM_ADDRS_MAX; i++) {
		rte_free(t->addresses[i].slots);
		rte_free(t->addresses[i].ports);
	}
	rte_free(t->holds);
	rte_free(t->timed);
	rte_free(t->cold);
	rte_free(t->wide);
	rte_free(t->legs);
	rte_free(t);
	w->legs = NULL;
}

// --- handles ---

static td_leg_id leg_id(const struct td_leg_table *t, uint32_t index)
{
	return (uint64_t)t->cold[index].generation << 32 | index;
}

// 0: closed, stale or never one of ours.
static uint32_t leg_find(const struct td_leg_table *t, td_leg_id id)
{
	uint32_t index = (uint32_t)id, generation = (uint32_t)(id >> 32);

	if (index == 0 || index > t->capacity || generation % 2 == 0 ||
		t->cold[index].generation != generation)
		return 0;
	return index;
}

static uint32_t leg_take(struct td_leg_table *t)
{
	uint32_t index = t->free_head;

	if (index == 0)
		return 0;
	struct td_leg_cold *leg = &t->cold[index];
	t->free_head = leg->free_next;
	*leg = (struct td_leg_cold){ .generation = leg->generation + 1 };
	t->legs[index] = (struct td_leg){ .adjacency = TD_LEG_NO_ADJACENCY };
	t->wide[index] = (struct td_leg_wide){ 0 };
	t->n_open++;
	return index;
}

// The next leg takes it, while its lines are still in the cache.
static void leg_give(struct td_leg_table *t, uint32_t index)
{
	td_leg_adjacency_drop(t, index);
	t->cold[index].generation++;
	t->cold[index].free_next = t->free_head;
	t->legs[index].flags = 0;
	t->free_head = index;
	t->n_open--;
}

static uint32_t *leg_slot(struct td_leg_table *t, const struct td_leg_cold *leg)
{
	return (uint32_t *)(uintptr_t)td_leg_slot(t, leg->realm, leg->address, leg->local.port);
}

// --- open ---

// A port on one of the realm's media addresses of that family; the addresses take turns.
static int port_take(struct td_worker *w, const struct td_leg_open *open, struct td_leg_cold *leg)
{
	struct td_leg_table *t = w->legs;
	const struct td_realm_conf *realm = &w->dp->realms[open->realm].conf;

	for (uint32_t i = 0; i < realm->n_addresses; i++) {
		uint8_t at = (uint8_t)((t->address_turn + i) % realm->n_addresses);
		struct td_leg_address *a = &t->addresses[open->realm * TD_REALM_ADDRS_MAX + at];
		if (!a->ports || realm->addresses[at].ip.family != open->family)
			continue;
		uint16_t port = td_leg_ports_get(a->ports, time_units(w->now_ns), t->quarantine_ms);
		if (port == 0)
			continue;
		leg->realm = open->realm;
		leg->address = at;
		leg->local = realm->addresses[at].ip;
		leg->local.port = port;
		t->address_turn = (uint16_t)(at + 1);
		return 0;
	}
	return -ENOSPC;
}

static void trunk_note(const struct td_worker *w, struct td_leg_cold *leg, uint32_t trunk)
{
	const struct td_policy *policy = atomic_load_explicit(&w->policy, memory_order_relaxed);

	leg->trunk_slot = UINT32_MAX;
	if (!policy || trunk >= td_policy_n_trunks(policy))
		return;
	leg->trunk_index = trunk;
	leg->trunk_slot = td_policy_trunk(policy, trunk)->slot;
	leg->trunk_generation = td_policy_generation(policy);
}

int td_leg_open(struct td_worker *w, const struct td_leg_open *open, td_leg_id *out,
	struct td_leg_local *local)
{
	struct td_leg_table *t = w->legs;
	struct td_leg_cold place;

	if (open->realm >= t->n_realms || t->free_head == 0 || port_take(w, open, &place) < 0)
		return -ENOSPC;
	uint32_t index = leg_take(t);
	struct td_leg_cold *leg = &t->cold[index];
	leg->realm = place.realm;
	leg->address = place.address;
	leg->local = place.local;
	leg->call = open->call;
	leg->source_mode = w->dp->realms[open->realm].conf.media_source;
	trunk_note(w, leg, open->trunk);
	if (open->family == TD_IPV6) {
		t->legs[index].flags = TD_LEG_V6;
		t->any_wide = true;
	}
	*leg_slot(t, leg) = index;

	const struct td_realm_address *address =
		&w->dp->realms[leg->realm].conf.addresses[leg->address];
	local->rtp = address->advertise.family ? address->advertise : leg->local;
	local->rtp.port = leg->local.port;
	local->rtcp = local->rtp;
	local->rtcp.port++;
	*out = leg_id(t, index);
	return 0;
}

// --- who sends for whom ---

// What a feeder received since it began to feed its peer, and passed on.
static uint64_t spell_packets(const struct td_leg_table *t, uint32_t feeder)
{
	const struct td_leg_cold *leg = &t->cold[feeder];

	return t->legs[feeder].stats.packets - leg->spell_packets - leg->withheld_packets;
}

static uint64_t spell_bytes(const struct td_leg_table *t, uint32_t feeder)
{
	const struct td_leg_cold *leg = &t->cold[feeder];

	return t->legs[feeder].stats.bytes - leg->spell_bytes - leg->withheld_bytes;
}

// The peer's sent counts are its feeders' received ones; they are settled when a feeder leaves.
static void peer_leave(struct td_leg_table *t, uint32_t index)
{
	struct td_leg_cold *leg = &t->cold[index];
	struct td_leg_cold *peer = &t->cold[leg->peer];

	if (leg->peer == 0)
		return;
	peer->tx_packets += spell_packets(t, index);
	peer->tx_bytes += spell_bytes(t, index);
	if (leg->feeder_prev)
		t->cold[leg->feeder_prev].feeder_next = leg->feeder_next;
	else
		peer->feeders = leg->feeder_next;
	if (leg->feeder_next)
		t->cold[leg->feeder_next].feeder_prev = leg->feeder_prev;
	leg->peer = leg->feeder_next = leg->feeder_prev = 0;
	t->legs[index].flags &= (uint8_t)~TD_LEG_RELAY;
}

static void peer_join(struct td_leg_table *t, uint32_t index, uint32_t peer)
{
	struct td_leg_cold *leg = &t->cold[index];

	leg->peer = peer;
	leg->feeder_next = t->cold[peer].feeders;
	if (leg->feeder_next)
		t->cold[leg->feeder_next].feeder_prev = index;
	t->cold[peer].feeders = index;
	leg->spell_packets = t->legs[index].stats.packets;
	leg->spell_bytes = t->legs[index].stats.bytes;
	leg->withheld_packets = leg->withheld_bytes = 0;
}

// --- modify ---

static void timed_remove(struct td_leg_table *t, struct td_leg_cold *leg)
{
	if (leg->timed == 0)
		return;
	struct td_leg_timed last = t->timed[--t->n_timed];
	t->timed[leg->timed - 1] = last;
	t->cold[last.leg].timed = leg->timed;
	leg->timed = 0;
}

// The time-out counts only while the far end may send, and anew when it may again.
static void timeout_arm(struct td_worker *w, uint32_t index, uint32_t timeout_s)
{
	struct td_leg_table *t = w->legs;
	struct td_leg_cold *leg = &t->cold[index];
	uint64_t ns = timeout_s * 1000000000ull;
	uint32_t timeout_ms = ns >> 20 < INT32_MAX ? time_units(ns) : INT32_MAX;

	if (timeout_s == 0 || !(leg->direction & TD_LEG_RECV)) {
		timed_remove(t, leg);
		return;
	}
	if (leg->timed && leg->timeout_ms == timeout_ms)
		return;
	leg->timeout_ms = timeout_ms;
	leg->armed_ms = time_units(w->now_ns);
	if (!leg->timed)
		leg->timed = ++t->n_timed;
	t->timed[leg->timed - 1] = (struct td_leg_timed){ index, leg->armed_ms + timeout_ms };
}

static bool sockaddr_usable(const struct td_sockaddr *a)
{
	static const uint8_t any[16];

	return a->family != 0 && a->port != 0 && memcmp(a->ip, any, sizeof(any)) != 0;
}

// A new offer or answer: the far end may have moved, so its source is judged anew.
static void source_reopen(struct td_worker *w, uint32_t index, bool moved, bool reopen)
{
	struct td_leg_cold *leg = &w->legs->cold[index];

	if (moved || reopen)
		w->legs->legs[index].flags &= (uint8_t) ~(TD_LEG_SOURCE | TD_LEG_SOURCE_PORT);
	if (!reopen || leg->source_mode != TD_SOURCE_LEARN_ONCE)
		return;
	leg->former = moved ? leg->learned : (struct td_sockaddr){ 0 };
	if (moved)
		leg->learned = (struct td_sockaddr){ 0 };
	leg->locked = false;
	leg->learn_until_ns = w->now_ns + TD_LEARN_WINDOW_NS;
}

void td_leg_modify(struct td_worker *w, td_leg_id id, const struct td_leg_modify *modify)
{
	struct td_leg_table *t = w->legs;
	uint32_t index = leg_find(t, id);
	uint32_t peer = leg_find(t, modify->peer);

	if (index == 0)
		return;
	struct td_leg_cold *leg = &t->cold[index];
	struct td_sockaddr remote =
		sockaddr_usable(&modify->rtp) ? modify->rtp : (struct td_sockaddr){ 0 };
	bool moved = !td_sockaddr_eq(&leg->remote, &remote);
	leg->remote = remote;
	leg->remote_rtcp =
		sockaddr_usable(&modify->rtcp) ? modify->rtcp : (struct td_sockaddr){ 0 };
	leg->direction = modify->direction;
	leg->known = true;
	source_reopen(w, index, moved, modify->reopen);
	t->legs[index].flags &= (uint8_t)~TD_LEG_MUX;
	if (modify->rtcp_mux)
		t->legs[index].flags |= TD_LEG_MUX;
	if (peer != leg->peer) {
		peer_leave(t, index);
		if (peer)
			peer_join(t, index, peer);
	}
	timeout_arm(w, index, modify->timeout_s);
	td_leg_tx_build(w, index);
	td_leg_tx_build_feeders(w, index);
}

// --- close and stats ---

static void stats_fill(const struct td_leg_table *t, uint32_t index, struct td_leg_stats *out)
{
	const struct td_leg *hot = &t->legs[index];
	const struct td_leg_cold *leg = &t->cold[index];

	*out = (struct td_leg_stats){
		.rx_packets = hot->stats.packets,
		.rx_bytes = hot->stats.bytes,
		.tx_packets = leg->tx_packets,
		.tx_bytes = leg->tx_bytes,
		.lost = td_rtp_stats_lost(&hot->stats, &leg->past),
		.jitter_ms = td_rtp_stats_jitter_ms(&hot->stats),
	};
	for (uint32_t i = leg->feeders; i != 0; i = t->cold[i].feeder_next) {
		out->tx_packets += spell_packets(t, i);
		out->tx_bytes += spell_bytes(t, i);
	}
	if (hot->stats.packets == 0)
		return;
	memcpy(out->remote.ip, t->wide[index].source, sizeof(out->remote.ip));
	out->remote.port = rte_be_to_cpu_16(t->wide[index].source_port_be);
	out->remote.family = leg->local.family;
}

void td_leg_stats(struct td_worker *w, td_leg_id id, struct td_leg_stats *stats)
{
	uint32_t index = leg_find(w->legs, id);

	if (index != 0)
		stats_fill(w->legs, index, stats);
	else
		*stats = (struct td_leg_stats){ 0 };
}

void td_leg_close(struct td_worker *w, td_leg_id id, struct td_leg_stats *stats)
{
	struct td_leg_table *t = w->legs;
	uint32_t index = leg_find(t, id);

	if (stats)
		td_leg_stats(w, id, stats);
	if (index == 0)
		return;
	struct td_leg_cold *leg = &t->cold[index];
	*leg_slot(t, leg) = 0;
	while (leg->feeders)
		peer_leave(t, leg->feeders);
	peer_leave(t, index);
	timed_remove(t, leg);
	td_leg_ports_put(t->addresses[leg->realm * TD_REALM_ADDRS_MAX + leg->address].ports,
		leg->local.port, time_units(w->now_ns));
	leg_give(t, index);
}
