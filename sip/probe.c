// SPDX-License-Identifier: BSD-3-Clause
#include "sip/probe.h"

#include "sip/engine_priv.h"
#include "sip/options.h"
#include "sip/slab.h"
#include "sip/writer.h"

enum {
	BUCKETS = 4096,
	SOON_MS = 1000,     // a peer of which something is known begins within that time
	TRUNKS_PER_MS = 64, // looked through after a change of policy
	PROBES = 512,       // where nobody says how many
	PROBE_BYTES = 128,
};

#define probe_of(ptr) ((struct probe *)(void *)((char *)(ptr)-offsetof(struct probe, timer)))

struct probe {
	struct probe *next;
	struct td_timer timer; // the next OPTIONS, or the end of patience with this one
	struct td_engine *engine;
	struct td_ctx *ctx; // NULL: none under way
	uint64_t sent_ns;
	uint32_t slot; // of the trunk
	struct td_sockaddr peer;
};

static_assert(sizeof(struct probe) <= PROBE_BYTES, "what td_probes_bytes() counts");

struct td_probes {
	struct td_engine *engine;
	struct td_slab *slab; // of probes
	struct td_timer timer;          // the next piece of a policy that is new
	uint32_t cursor;                // in it
	struct probe *buckets[BUCKETS]; // by slot and address
};

static const struct td_ctx_user probe_user;

static void piece_due(void *arg, struct td_timer *timer);

static size_t slab_bytes(uint32_t max_probes)
{
	return (size_t)(max_probes ? max_probes : PROBES) * PROBE_BYTES;
}

size_t td_probes_bytes(uint32_t max_probes)
{
	return sizeof(struct td_probes) + slab_bytes(max_probes);
}

void td_probes_pool(const struct td_probes *p, struct td_pool_view *out)
{
	*out = (struct td_pool_view){ "probe_bytes", td_slab_used(p->slab),
		td_slab_size(p->slab) };
}

struct td_probes *td_probes_new(struct td_engine *engine, const struct td_alloc *alloc)
{
	struct td_probes *p = alloc->alloc(alloc->ctx, sizeof(*p));

	if (!p)
		return NULL;
	memset(p, 0, sizeof(*p));
	p->engine = engine;
	p->timer.expired = piece_due;
	p->slab = td_slab_new(alloc, slab_bytes(engine->conf.max_probes), 0);
	if (p->slab)
		return p;
	td_probes_free(p, alloc);
	return NULL;
}

void td_probes_free(struct td_probes *p, const struct td_alloc *alloc)
{
	if (!p)
		return;
	td_slab_free_all(p->slab, alloc);
	alloc->free(alloc->ctx, p);
}

// --- one probe ---

static bool is_ours(const struct td_engine *e, const struct td_trunk *trunk)
{
	return trunk->conf.enabled && trunk->conf.health.probe != TD_PROBE_NONE &&
	       trunk->slot % e->conf.n_workers == e->conf.worker;
}

// NULL: the policy in force wants nobody to ask this peer.
static const struct td_trunk *trunk_of(const struct probe *p)
{
	const struct td_policy *policy = p->engine->policy;
	int index = policy ? td_policy_by_slot(policy, p->slot) : -1;
	const struct td_trunk *trunk = index >= 0 ? td_policy_trunk(policy, (uint32_t)index) : NULL;

	if (!trunk || !is_ours(p->engine, trunk))
		return NULL;
	for (uint32_t i = 0; i < trunk->conf.n_peers; i++)
		if (td_sockaddr_eq(&trunk->conf.peers[i].address, &p->peer))
			return trunk;
	return NULL;
}

static void timer_set(struct probe *p, uint64_t ms)
{
	td_timer_start(&p->engine->wheel, &p->timer, td_engine_now_ms(p->engine) + ms);
}

void td_peer_changed(struct td_engine *e, const struct td_trunk *trunk,
	const struct td_sockaddr *peer, uint8_t state, const char *why)
{
	char text[224], address[TD_ADDR_STRLEN];
	struct td_writer line = { text, text, text + sizeof(text), false };

	if (state != TD_PEER_RETURNING)
		td_engine_count(
			e, state == TD_PEER_DOWN ? TD_C_PEER_WENT_DOWN : TD_C_PEER_CAME_BACK);
	td_sockaddr_format(peer, address, sizeof(address));
	td_put_lit(&line, "trunk.peer_");
	td_put_span(&line, td_span_str(td_peer_state_name(state)));
	td_put_lit(&line, " trunk=");
	td_put_span(&line, td_span_str(trunk->conf.name));
	td_put_lit(&line, " peer=");
	td_put_span(&line, td_span_str(address));
	td_put_lit(&line, " why=\"");
	td_put_span(&line, td_span_str(why));
	td_put_lit(&line, "\"");
	e->conf.ops->log(e->conf.host, text, td_writer_len(&line));
}

// What a finding came to is soon found again or not; else the next one has time.
static void found(struct probe *p, uint16_t status, uint32_t rtt_us)
{
	struct td_engine *e = p->engine;
	const struct td_trunk *trunk = trunk_of(p);

	if (!trunk) {
		timer_set(p, 0);
		return;
	}
	const struct td_health_conf *conf = &trunk->conf.health;
	struct td_peer_change change = td_health_probed(
		e->conf.health, p->slot, &p->peer, conf, td_engine_now_ms(e), status, rtt_us);

	if (change.changed)
		td_peer_changed(e, trunk, &p->peer, change.state,
			change.state != TD_PEER_DOWN ? "OPTIONS is answered"
			: rtt_us > 0                 ? "OPTIONS is refused"
						     : "OPTIONS is not answered");
	timer_set(p, change.doubtful ? conf->timeout_ms : td_engine_spread(e, conf->interval_ms));
}

static void response(struct td_engine *engine, struct td_ctx *ctx, const struct td_msg *msg,
	const struct td_core *core, const struct td_flow *flow)
{
	struct probe *p = td_ctx_data(ctx);
	uint64_t rtt_us = (engine->now_ns - p->sent_ns) / 1000;

	if (msg->status < 200)
		return;
	td_ctx_set_user(ctx, NULL, NULL);
	p->ctx = NULL;
	found(p, msg->status, rtt_us < UINT32_MAX ? (uint32_t)rtt_us + 1 : UINT32_MAX);
}

static void silent(struct probe *p)
{
	p->ctx = NULL;
	td_engine_count(p->engine, TD_C_PEER_SILENT);
	found(p, TD_HEALTH_SILENT, 0);
}

static void timeout(struct td_engine *engine, struct td_ctx *ctx, bool transport_error)
{
	struct probe *p = td_ctx_data(ctx);

	td_ctx_set_user(ctx, NULL, NULL);
	silent(p);
}

static void ended(struct td_engine *engine, struct td_ctx *ctx)
{
	struct probe *p = td_ctx_data(ctx);

	p->ctx = NULL;
}

static const struct td_ctx_user probe_user = {
	.response = response,
	.timeout = timeout,
	.ended = ended,
};

// Calls come first where transactions are few: a probe that is not sent says nothing of the peer.
static void send_options(struct probe *p, const struct td_trunk *trunk)
{
	struct td_engine *e = p->engine;
	const struct td_health_conf *conf = &trunk->conf.health;
	struct td_flow flow = { .local = td_engine_local(e, trunk->realm, p->peer.family),
		.remote = p->peer,
		.realm = trunk->realm };
	char text[TD_HOST_LEN + 16];
	struct td_writer uri = { text, text, text + sizeof(text), false };
	struct td_options_ask ask;

	td_put_lit(&uri, "sip:");
	td_put_peer(&uri, trunk, &p->peer);
	if (flow.local.family != 0 && td_txn_has_room(e)) {
		td_options_ask(e, &flow, td_span(text, td_writer_len(&uri)), &ask);
		p->ctx = td_ctx_new(e, &ask.request, &probe_user, p);
	}
	if (!p->ctx) {
		timer_set(p, td_engine_spread(e, conf->interval_ms));
		return;
	}
	td_engine_count(e, TD_C_PEER_PROBED);
	p->sent_ns = e->now_ns;
	timer_set(p, conf->timeout_ms);
}

static struct probe **bucket_of(
	struct td_probes *all, uint32_t slot, const struct td_sockaddr *peer)
{
	uint32_t h = slot * 31 + peer->port;

	for (unsigned i = 0; i < sizeof(peer->ip); i++)
		h = (h ^ peer->ip[i]) * 16777619u;
	return &all->buckets[(h ^ h >> 16) % BUCKETS];
}

static void probe_end(struct td_probes *all, struct probe *p)
{
	struct probe **at = bucket_of(all, p->slot, &p->peer);

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	td_slab_put(all->slab, (char *)p);
}

static void due(void *arg, struct td_timer *timer)
{
	struct probe *p = probe_of(timer);

	if (p->ctx) {
		td_ctx_forget(p->engine, p->ctx);
		silent(p);
		return;
	}
	const struct td_trunk *trunk = trunk_of(p);
	if (trunk)
		send_options(p, trunk);
	else
		probe_end(p->engine->probes, p);
}

// --- policies come and go ---

// A whole interval for those that begin, so that many trunks do not do so in one moment.
static void begin(struct probe *p, const struct td_health_conf *conf)
{
	struct td_engine *e = p->engine;
	struct td_peer_view view =
		td_health_view(e->conf.health, p->slot, &p->peer, conf, td_engine_now_ms(e));
	uint64_t within_ms = view.state == TD_PEER_UP ? conf->interval_ms : SOON_MS;
	uint32_t random;

	e->conf.ops->random(e->conf.host, &random, sizeof(random));
	timer_set(p, 1 + (random * within_ms >> 32));
}

static void follow_peer(
	struct td_probes *all, const struct td_trunk *trunk, const struct td_sockaddr *peer)
{
	struct td_engine *e = all->engine;
	struct probe **bucket = bucket_of(all, trunk->slot, peer), *p = *bucket;

	while (p && (p->slot != trunk->slot || !td_sockaddr_eq(&p->peer, peer)))
		p = p->next;
	if (p)
		return;
	p = (struct probe *)(void *)td_slab_get(all->slab, PROBE_BYTES);
	if (!p) {
		td_engine_count(e, TD_C_PEER_NOT_PROBED);
		return;
	}
	*p = (struct probe){ .next = *bucket,
		.engine = e,
		.slot = trunk->slot,
		.peer = *peer,
		.timer.expired = due };
	*bucket = p;
	begin(p, &trunk->conf.health);
}

// A worker has packets to serve: it looks through ten thousand trunks a piece at a time, and not at
// all at those that nobody asks.
static void piece_due(void *arg, struct td_timer *timer)
{
	struct td_engine *e = arg;
	struct td_probes *all = e->probes;
	const uint32_t *probed = NULL;
	uint32_t n = e->policy ? td_policy_probed(e->policy, &probed) : 0;

	for (uint32_t i = 0; i < TRUNKS_PER_MS && all->cursor < n; i++) {
		const struct td_trunk *trunk = td_policy_trunk(e->policy, probed[all->cursor++]);
		for (uint32_t k = 0; k < trunk->conf.n_peers && is_ours(e, trunk); k++)
			follow_peer(all, trunk, &trunk->conf.peers[k].address);
	}
	if (all->cursor < n)
		td_timer_start(&e->wheel, &all->timer, td_engine_now_ms(e) + 1);
}

void td_probes_follow(struct td_probes *all)
{
	struct td_engine *e = all->engine;

	all->cursor = 0;
	if (e->conf.health && e->policy)
		td_timer_start(&e->wheel, &all->timer, td_engine_now_ms(e));
}
