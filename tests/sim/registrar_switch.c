// SPDX-License-Identifier: BSD-3-Clause
// The switch as a registrar: engines that are killed and begin anew, and the host under them.
#include "tests/sim/registrar.h"

#include "sip/aor.h"
#include "sip/location.h"
#include "sip/peek.h"
#include "sip/subscribers.h"
#include "tests/unit/heap.h"

#include <errno.h>
#include <stdlib.h>

#define GRACE (20 * MS)

static const uint8_t token_key[32] = "simulated registrar, one key....";

static bool same_address(const struct td_sockaddr *a, const struct td_sockaddr *b)
{
	return td_ip_eq(a, b) && a->port == b->port;
}

// --- the host ---

static int buf_get(void *host, uint32_t bytes, struct td_buf *out)
{
	struct reg_owner *o = host;

	// Exactly what was asked for, so that one byte more is seen by the sanitizer.
	*out = (struct td_buf){ .data = malloc(bytes > 0 ? bytes : 1), .cap = bytes };
	if (!out->data)
		return -ENOBUFS;
	o->bufs_out++;
	return 0;
}

static void buf_put(void *host, struct td_buf *buf)
{
	struct reg_owner *o = host;

	free(buf->data);
	o->bufs_out--;
}

// What the switch sends, on its way.
struct datagram {
	struct td_sockaddr from, to;
	uint32_t len;
	char data[];
};

static void arrive(struct sim *sim, void *what, uint64_t arg)
{
	struct world *w = world_of(sim);
	struct datagram *d = what;
	struct phone *p = phone_at(w, &d->to);

	if (p)
		phone_rx(p, d->data, d->len, &d->from);
	else
		attacker_rx(w, &d->to, d->data, d->len);
	free(d);
}

// A call rings only where somebody has registered from, who may have left since it began.
static void check_fork(struct world *w, const struct td_flow *flow)
{
	const struct phone *p = phone_at(w, &flow->remote);

	w->n_forks++;
	for (uint32_t i = 0; i < REG_BUCKETS; i++)
		for (const struct entry *e = w->entries[i]; e; e = e->next)
			if (td_ip_eq(&e->remote, &flow->remote))
				return;
	reg_breach(w, REG_WRONG, "an INVITE went where nobody was ever bound (phone %d)",
		p ? (int)p->index : -1);
}

static int host_send(void *host, const struct td_flow *flow, struct td_buf *buf)
{
	struct reg_owner *o = host;
	struct world *w = o->w;
	struct sip m;
	struct phone *p = phone_at(w, &flow->remote);
	uint64_t *rng = p ? &p->rng_in : &w->rng;

	if (sip_read(&m, buf->data, buf->len)) {
		if (m.request && strcmp(m.method, "INVITE") == 0)
			check_fork(w, flow);
		if (m.request)
			reg_leg_sent(w, &m);
		if (!m.request && w->hand)
			reg_check_answer(w, w->hand, m.status);
	} else if (buf->len > 4) {
		reg_breach(w, REG_WRONG, "malformed: %.*s", (int)buf->len, buf->data);
	}
	bool lost = rng_chance(rng, w->opt.loss);
	uint64_t delay = (5 + rng_below(rng, w->opt.jitter_ms + 1)) * MS;
	struct datagram *d = lost ? NULL : malloc(sizeof(*d) + buf->len);
	if (d) {
		*d = (struct datagram){ .from = flow->local, .to = flow->remote, .len = buf->len };
		memcpy(d->data, buf->data, buf->len);
		at(&w->sim, w->sim.now + delay, arrive, d, 0);
	}
	buf_put(host, buf);
	return 0;
}

// The message in hand is one that may begin a call: its maker has credentials and sent it from
// there.
static bool may_call(const struct world *w)
{
	return w->hand && w->hand->kind == MSG_INVITE && same_address(&w->hand->src, &w->hand_src);
}

struct question {
	struct reg_owner *owner;
	uint32_t boot;
	struct message *message;
	struct td_late_answer answer;
};

static void route_late(struct sim *sim, void *what, uint64_t arg)
{
	struct world *w = world_of(sim);
	struct question *q = what;

	if (q->boot == w->boot && !w->down) {
		w->hand = q->message;
		w->hand_src = q->message->src;
		td_engine_answer(q->owner->engine, sim->now, &q->answer);
		w->hand = NULL;
		reg_owner_turn(q->owner);
	}
	free(q);
}

static enum td_answer host_route(void *host, const struct td_route_query *query, uint64_t cookie,
	struct td_route_answer *out)
{
	struct reg_owner *o = host;
	struct world *w = o->w;
	char number[TD_NUMBER_LEN];

	if (!may_call(w)) {
		reg_breach(w, REG_STATE, "a route was asked for an INVITE of nobody");
		return TD_REFUSED;
	}
	snprintf(number, sizeof(number), "4930%06u", w->hand->aor);
	if (!td_span_eq(query->caller, td_span_str(number)))
		reg_breach(w, REG_INTRUDER, "subscriber %u called as %.*s", w->hand->aor,
			(int)query->caller.len, query->caller.ptr);
	if (w->hand->routed++ > 0)
		reg_breach(w, REG_REPLAYED, "one INVITE of subscriber %u became two calls",
			w->hand->aor);
	w->n_calls++;
	*out = (struct td_route_answer){ .n = 1, .targets = { { .kind = TD_TARGET_AOR } } };
	if (rng_chance(&w->rng, 500000))
		return TD_DONE;
	struct question *q = malloc(sizeof(*q));
	if (!q)
		abort();
	*q = (struct question){ o, w->boot, w->hand,
		{ .cookie = cookie, .answer = TD_DONE, .route = *out } };
	at(&w->sim, w->sim.now + rng_below(&w->rng, 800) * MS, route_late, q, 0);
	return TD_PENDING;
}

static enum td_answer host_locate(
	void *host, struct td_span who, uint64_t cookie, struct td_locate_answer *out)
{
	struct world *w = ((struct reg_owner *)host)->w;
	const struct td_subscriber_entry *s = td_subscribers_find(w->subscribers, who);

	*out = (struct td_locate_answer){ .sip_code = 404, .subscriber = s };
	if (!s)
		return TD_REFUSED;
	uint64_t hash = td_aor_hash(&w->keys, who);
	const struct reg_owner *owner = &w->owners[td_hash_owner(hash, (uint16_t)w->n_owners)];
	out->n = td_location_find(
		td_engine_location(owner->engine), hash, who, s->born, out->contacts);
	out->sip_code = 480;
	return out->n > 0 ? TD_DONE : TD_REFUSED;
}

static int limit_acquire(void *host, enum td_limit_kind kind, uint32_t slot,
	const struct td_limit *limit, uint64_t now_ns)
{
	struct reg_owner *o = host;

	if (rng_chance(&o->w->rng, o->w->opt.refuse))
		return -EDQUOT;
	o->held++;
	return 0;
}

static void limit_release(void *host, enum td_limit_kind kind, uint32_t slot)
{
	((struct reg_owner *)host)->held--;
}

static int host_leg_open(
	void *host, const struct td_leg_open *open, td_leg_id *out, struct td_leg_local *local)
{
	struct reg_owner *o = host;

	if (rng_chance(&o->w->rng, o->w->opt.refuse))
		return -ENOSPC;
	o->legs++;
	*out = 1 + rng_below(&o->w->rng, 1000);
	local->rtp = local->rtcp = o->w->realm.addresses[0].ip;
	local->rtp.port = 20000;
	local->rtcp.port = 20001;
	return 0;
}

static void host_leg_modify(void *host, td_leg_id leg, const struct td_leg_modify *modify)
{
}

static void host_leg_stats(void *host, td_leg_id leg, struct td_leg_stats *stats)
{
	*stats = (struct td_leg_stats){ 0 };
}

static void host_leg_close(void *host, td_leg_id leg, struct td_leg_stats *stats)
{
	((struct reg_owner *)host)->legs--;
	if (stats)
		*stats = (struct td_leg_stats){ 0 };
}

static int host_cdr_reserve(void *host)
{
	struct reg_owner *o = host;

	if (!may_call(o->w))
		reg_breach(o->w, REG_STATE, "a record was begun for an INVITE of nobody: %.*s",
			o->w->hand ? (int)o->w->hand->len : 0, o->w->hand ? o->w->hand->data : "");
	o->reserved++;
	return 0;
}

static void host_cdr_start(void *host, const struct td_cdr *cdr)
{
}

static void host_cdr_attempt(void *host, const struct td_cdr_attempt *attempt)
{
	reg_attempt_record(((struct reg_owner *)host)->w, attempt);
}

static void host_cdr_end(void *host, const struct td_cdr *cdr)
{
	struct reg_owner *o = host;

	o->reserved--;
	reg_cdr_check(o->w, cdr);
}

static void host_log(void *host, const char *text, uint32_t len)
{
	if (memmem(text, len, REG_PASSWORD, sizeof(REG_PASSWORD) - 1))
		reg_breach(((struct reg_owner *)host)->w, REG_INTRUDER, "a password in the log");
}

static void host_random(void *host, void *dst, uint32_t len)
{
	struct world *w = ((struct reg_owner *)host)->w;

	for (uint32_t i = 0; i < len; i++)
		((uint8_t *)dst)[i] = (uint8_t)(rng_next(&w->rng) >> 24);
}

static uint64_t grace_begin(void *host)
{
	return ((struct reg_owner *)host)->w->sim.now;
}

static bool grace_over(void *host, uint64_t token)
{
	return ((struct reg_owner *)host)->w->sim.now >= token + GRACE;
}

static bool bindings_restoring(void *host)
{
	return !((struct reg_owner *)host)->w->ready;
}

static const struct td_host_ops ops = {
	.buf_get = buf_get,
	.buf_put = buf_put,
	.send = host_send,
	.route = host_route,
	.limit_acquire = limit_acquire,
	.limit_release = limit_release,
	.leg_open = host_leg_open,
	.leg_modify = host_leg_modify,
	.leg_close = host_leg_close,
	.leg_stats = host_leg_stats,
	.cdr_reserve = host_cdr_reserve,
	.cdr_start = host_cdr_start,
	.cdr_attempt = host_cdr_attempt,
	.cdr_end = host_cdr_end,
	.log = host_log,
	.random = host_random,
	.locate = host_locate,
	.bindings_write = reg_bindings_write,
	.bindings_restoring = bindings_restoring,
	.grace_begin = grace_begin,
	.grace_over = grace_over,
};

// --- up and down ---

static void tick(struct sim *sim, void *what, uint64_t arg);

void reg_owner_turn(struct reg_owner *o)
{
	struct world *w = o->w;
	uint64_t next = td_engine_tick(o->engine, w->sim.now, 64);

	if (next == UINT64_MAX)
		return;
	if (next <= w->sim.now)
		next = w->sim.now + MS / 10;
	if (next >= o->tick_at)
		return;
	o->tick_at = next;
	at(&w->sim, next, tick, o, next);
}

static void tick(struct sim *sim, void *what, uint64_t arg)
{
	struct reg_owner *o = what;

	if (o->tick_at != arg || !o->engine)
		return; // an earlier one was asked for, or its engine is no more
	o->tick_at = UINT64_MAX;
	reg_owner_turn(o);
}

static uint32_t slot_of(void *ctx, enum td_limit_kind kind, const char *name)
{
	return 0;
}

static int realm_of(void *ctx, const char *name)
{
	return 0;
}

static const char *registrar_realm(void *ctx, uint16_t realm)
{
	return "access";
}

static void realm_make(struct td_engine_realm *realm)
{
	*realm = (struct td_engine_realm){ .name = "access", .n_addresses = 1, .n_listeners = 1 };
	td_ip_parse(TD_SPAN("172.16.1.254"), &realm->addresses[0].ip);
	realm->addresses[0].prefix_len = 8;
	realm->addresses[0].media = true;
	realm->listeners[0] = (struct td_listener_conf){ .transport = TD_UDP, .port = 5060 };
	realm->registrar = (struct td_registrar_conf){
		.n_domains = 1,
		.domains = { REG_DOMAIN },
		.n_algorithms = 2,
		.algorithms = { TD_DIGEST_SHA256, TD_DIGEST_MD5 },
		.nonce_lifetime_s = 30,
		.max_contacts = TD_CONTACTS_MAX,
		.min_expires_s = 10,
		.max_expires_s = 600,
		.default_expires_s = 60,
		.ping = TD_PING_OPTIONS,
		.ping_interval_s = 25,
	};
}

// The last of them is the attackers' own.
static void subscribers_fill(struct world *w)
{
	struct td_subscriber s = {
		.has_md5 = true, .has_sha256 = true, .enabled = true, .n_numbers = 1
	};
	uint8_t ha1[TD_DIGEST_BYTES_MAX];

	td_subscribers_mark(w->subscribers);
	for (uint32_t aor = 0; aor <= w->opt.phones / REG_FAMILY; aor++) {
		phone_aor(aor, s.aor);
		struct td_span user = td_span(s.aor, strcspn(s.aor, "@"));
		td_digest_ha1(TD_DIGEST_MD5, user, TD_SPAN(REG_DOMAIN), TD_SPAN(REG_PASSWORD), ha1);
		memcpy(s.ha1_md5, ha1, sizeof(s.ha1_md5));
		td_digest_ha1(
			TD_DIGEST_SHA256, user, TD_SPAN(REG_DOMAIN), TD_SPAN(REG_PASSWORD), ha1);
		memcpy(s.ha1_sha256, ha1, sizeof(s.ha1_sha256));
		snprintf(s.numbers[0], sizeof(s.numbers[0]), "4930%06u", aor);
		if (td_subscribers_put(w->subscribers, &s) != 0)
			abort();
	}
	while (td_subscribers_sweep(w->subscribers, UINT32_MAX))
		;
}

static int owner_up(struct world *w, uint32_t index)
{
	struct reg_owner *o = &w->owners[index];
	struct td_engine_conf conf = { .ops = &ops,
		.host = o,
		.counters = o->counters,
		.node = 1,
		.worker = (uint8_t)index,
		.n_workers = (uint8_t)w->n_owners,
		.epoch = w->boot,
		.node_name = "sim",
		.max_calls = 256,
		.max_cps = 100,
		.sip_message_bytes = 16384,
		.t1_ms = 500,
		.t2_ms = 4000,
		.t4_ms = 5000,
		.wall_offset_ns = w->wall_ns,
		.n_realms = 1,
		.realms = &w->realm,
		.max_registrations = 2 * TD_CONTACTS_MAX * w->opt.phones,
		.changed_us = w->newest_us,
		.location_sync = w->opt.sync,
		.subscribers = w->subscribers };

	*o = (struct reg_owner){ .w = w, .index = index, .tick_at = UINT64_MAX };
	memcpy(conf.token_key, token_key, sizeof(token_key));
	o->engine = td_engine_new(&conf);
	if (!o->engine)
		return -1;
	td_engine_set_policy(o->engine, w->policy);
	return 0;
}

static int boot(struct world *w, uint32_t owners)
{
	static const struct td_subscribers_grace grace = { 0 };

	w->boot++;
	w->n_owners = owners;
	td_token_keys_init(&w->keys, token_key, 1, w->boot);
	w->subscribers = td_subscribers_new(&heap, &grace, w->opt.phones + 1);
	if (!w->subscribers)
		return -1;
	for (uint32_t i = 0; i < owners; i++)
		if (owner_up(w, i) < 0)
			return -1;
	w->down = false;
	return 0;
}

int reg_switch_up(struct world *w, uint32_t owners)
{
	struct td_policy_conf conf = { .generation = 1 };
	struct td_policy_env env = { .slot_of = slot_of,
		.realm_of = realm_of,
		.registrar_realm = registrar_realm,
		.n_realms = 1 };
	char error[256];

	realm_make(&w->realm);
	w->policy = td_policy_new(&conf, &env, error, sizeof(error));
	if (!w->policy || boot(w, owners) < 0)
		return -1;
	subscribers_fill(w);
	return 0;
}

static void engines_end(struct world *w)
{
	for (uint32_t i = 0; i < w->n_owners; i++) {
		struct reg_owner *o = &w->owners[i];
		td_engine_free(o->engine);
		o->engine = NULL;
		if (o->bufs_out > 0 || o->legs > 0)
			reg_breach(w, REG_LEFT, "owner %u ended with %u buffers, %u legs", i,
				o->bufs_out, o->legs);
	}
	td_subscribers_free(w->subscribers);
	w->subscribers = NULL;
}

void reg_switch_down(struct world *w)
{
	engines_end(w);
	td_policy_free(w->policy);
}

static void subscribers_come(struct sim *sim, void *what, uint64_t arg)
{
	struct world *w = world_of(sim);

	if (arg != w->boot || w->down)
		return;
	subscribers_fill(w);
	reg_store_restore(w);
}

static void begin_anew(struct sim *sim, void *what, uint64_t arg)
{
	struct world *w = world_of(sim);

	if (boot(w, rng_between(&w->rng, 1, w->opt.owners)) < 0)
		abort();
	at(sim, sim->now + rng_below(&w->rng, 500) * MS, subscribers_come, NULL, w->boot);
}

void reg_switch_kill(struct world *w)
{
	if (w->down)
		return;
	reg_store_crash(w);
	engines_end(w);
	w->down = true;
	w->ready = false;
	at(&w->sim, w->sim.now + rng_between(&w->rng, 10, 2000) * MS, begin_anew, NULL, 0);
}

void reg_wall_step(struct world *w, int64_t ns)
{
	w->wall_ns = (uint64_t)((int64_t)w->wall_ns + ns);
	for (uint32_t i = 0; i < w->n_owners && !w->down; i++)
		td_engine_set_wall(w->owners[i].engine, w->wall_ns);
}

const struct td_location *reg_location_of(const struct world *w, uint32_t aor, uint64_t *hash)
{
	char text[TD_AOR_LEN];

	phone_aor(aor, text);
	*hash = td_aor_hash(&w->keys, td_span_str(text));
	return td_engine_location(w->owners[td_hash_owner(*hash, (uint16_t)w->n_owners)].engine);
}

// --- what comes in ---

static struct reg_owner *owner_of(struct world *w, const struct td_peek *peek)
{
	switch (peek->kind) {
	case TD_PEEK_TOKEN:
		return &w->owners[peek->token.worker % w->n_owners];
	case TD_PEEK_CALL_ID:
	case TD_PEEK_AOR:
		return &w->owners[td_hash_owner(peek->hash, (uint16_t)w->n_owners)];
	default:
		return &w->owners[0];
	}
}

void reg_switch_rx(struct world *w, struct message *m, const struct td_sockaddr *src)
{
	struct td_flow flow = {
		.local = w->realm.addresses[0].ip, .remote = *src, .transport = TD_UDP
	};
	struct td_peek peek;

	if (w->down)
		return;
	flow.local.port = 5060;
	td_peek(&w->keys, 0, m->data, m->len, &peek);
	struct reg_owner *o = owner_of(w, &peek);
	char *bytes = malloc(m->len); // exactly so many: the sanitizer sees one too many
	if (!bytes)
		abort();
	memcpy(bytes, m->data, m->len);
	m->arrived++;
	m->refused = false;
	reg_owner_turn(o); // what is due is no doing of this message
	reg_leg_heard(w, m);
	w->hand = m;
	w->hand_src = *src;
	uint32_t busy = td_engine_busy(o->engine), calls = td_engine_calls(o->engine);
	td_engine_rx_peeked(o->engine, w->sim.now, &flow, bytes, m->len, &peek);
	if (m->kind == MSG_ATTACK &&
		(td_engine_busy(o->engine) > busy || td_engine_calls(o->engine) > calls))
		reg_breach(w, REG_STATE, "something (%u for %u) is kept of: %.*s",
			td_engine_busy(o->engine), busy, (int)m->len, m->data);
	w->hand = NULL;
	free(bytes);
	reg_check_tables(w, m->aor);
	reg_owner_turn(o);
}
