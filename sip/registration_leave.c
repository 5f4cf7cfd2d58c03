// SPDX-License-Identifier: BSD-3-Clause
// Bindings at providers that nobody wants any more are taken back (RFC 3261 §10.2.2), one after the
// other: a reload may end ten thousand, and those who answer are few.
#include "sip/registration_priv.h"

#include "sip/writer.h"

enum {
	LEAVE_GAP_MS = 10, // between one and the next
	BUCKETS = 256,
	LEAVING_MAX = 16384,     // that wait or are under way
	UNDER_WAY_MAX = 64,      // of them, so that silence of a provider takes no more
	AGAIN_MS = 5000,         // behind a failure that may pass, unless the provider says
	TRIES_MAX = 4,           // of one
	ROOM_AGAIN_MS = 1000,    // where there was none for it
	ROOM_WITHIN_MS = 600000, // or it stays
	CHALLENGES_MAX = 2,      // of one request, which ctx_challenge.c answers
};

#define of_timer(ptr) ((struct leaving *)(void *)((char *)(ptr)-offsetof(struct leaving, timer)))

// One binding on its way out, by the configuration that was: no policy has that any more.
struct leaving {
	struct td_timer timer;        // when it is its turn, or, held, when it has expired
	struct leaving *next, **prev; // of its bucket
	struct td_leavings *all;
	struct td_ctx *ctx;     // NULL: none under way
	char *block;            // where the trunk is; NULL: nowhere
	struct td_trunk *trunk; // as far as a request needs it, while one is under way
	struct register_from from;
	uint64_t until_ms, room_until_ms;
	uint8_t tries;
	bool held; // a trunk has its binding now
	char name[TD_NAME_LEN];
	struct td_register_conf registration;
	struct td_credentials credentials;
	uint32_t slot;
	uint16_t realm;
	uint8_t n_peers;
	struct td_peer_conf peers[]; // of the trunk
};

struct td_leavings {
	struct td_engine *engine;
	uint64_t next_ms; // when the last of those that wait has its turn, and a gap
	uint32_t n, n_under_way;
	struct leaving *buckets[BUCKETS]; // all of them, by the low bits of the trunk's slot
	uint32_t left; // not even tried for want of memory, since the policy came; the first one:
	char left_first[TD_NAME_LEN];
};

static const struct td_ctx_user leaving_user;

struct td_leavings *td_leavings_new(struct td_engine *engine, const struct td_alloc *alloc)
{
	struct td_leavings *all = alloc->alloc(alloc->ctx, sizeof(*all));

	if (!all)
		return NULL;
	memset(all, 0, sizeof(*all));
	all->engine = engine;
	return all;
}

void td_leavings_free(struct td_leavings *all, const struct td_alloc *alloc)
{
	if (all)
		alloc->free(alloc->ctx, all);
}

// A trunk keeps to cache lines, which blocks of the slab do not.
static bool trunk_make(struct leaving *l)
{
	l->block = td_slab_get(l->all->engine->slab, sizeof(struct td_trunk) + TD_TRUNK_HOT);
	if (!l->block)
		return false;
	uintptr_t at = ((uintptr_t)l->block + TD_TRUNK_HOT - 1) & ~(uintptr_t)(TD_TRUNK_HOT - 1);
	struct td_trunk *trunk = l->trunk = (struct td_trunk *)at;
	memset(trunk, 0, sizeof(*trunk));
	trunk->slot = l->slot;
	trunk->realm = l->realm;
	trunk->credentials = l->credentials.realm[0] != '\0';
	trunk->conf.registration = l->registration;
	trunk->conf.credentials = l->credentials;
	trunk->conf.n_peers = l->n_peers;
	memcpy(trunk->conf.peers, l->peers, l->n_peers * sizeof(l->peers[0]));
	return true;
}

static void trunk_unmake(struct leaving *l)
{
	td_slab_put(l->all->engine->slab, l->block);
	l->block = NULL;
	l->trunk = NULL;
}

static void leaving_free(struct leaving *l)
{
	struct td_engine *e = l->all->engine;

	*l->prev = l->next;
	if (l->next)
		l->next->prev = l->prev;
	td_timer_stop(&e->wheel, &l->timer);
	trunk_unmake(l);
	l->all->n--;
	td_slab_put(e->slab, (char *)l);
}

// The trunk that has its binding now may go before it has registered, and in another worker: until
// it has expired it may yet have to be taken back.
static void leaving_hold(struct leaving *l)
{
	l->held = true;
	td_timer_start(&l->all->engine->wheel, &l->timer, l->until_ms);
}

// It stays at the provider until it expires there.
static void leaving_left(struct leaving *l, uint16_t status)
{
	struct td_engine *e = l->all->engine;
	char text[128];
	struct td_writer line = { text, text, text + sizeof(text), false };

	td_engine_count(e, TD_C_SIP_LEFT_REGISTERED);
	td_put_lit(&line, "trunk.left_registered trunk=");
	td_put_span(&line, td_span_str(l->name));
	td_put_lit(&line, " sip_code=");
	td_put_uint(&line, status);
	e->conf.ops->log(e->conf.host, text, td_writer_len(&line));
	leaving_free(l);
}

// Behind all that wait already.
static void leaving_queue(struct leaving *l, uint64_t wait_ms)
{
	struct td_leavings *all = l->all;
	uint64_t now_ms = td_engine_now_ms(all->engine);

	l->held = false;
	if (all->next_ms < now_ms)
		all->next_ms = now_ms;
	td_timer_start(&all->engine->wheel, &l->timer, all->next_ms + wait_ms);
	all->next_ms += LEAVE_GAP_MS;
}

// Its request is over.
static void leaving_land(struct leaving *l)
{
	struct td_leavings *all = l->all;

	all->n_under_way--;
	l->ctx = NULL;
	trunk_unmake(l);
}

static bool may_pass(uint16_t status)
{
	return status == 408 || (status >= 500 && status < 600);
}

static void leaving_answered(struct td_ctx *ctx, uint16_t status, uint64_t least_ms)
{
	struct leaving *l = td_ctx_data(ctx);

	td_ctx_set_user(ctx, NULL, NULL);
	leaving_land(l);
	if (status < 300) {
		leaving_free(l);
	} else if (may_pass(status) && l->tries < TRIES_MAX) {
		l->from.peer++;
		leaving_queue(l, least_ms > AGAIN_MS ? least_ms : AGAIN_MS);
	} else {
		leaving_left(l, status);
	}
}

static void leaving_response(struct td_engine *engine, struct td_ctx *ctx, const struct td_msg *msg,
	const struct td_core *core, const struct td_flow *flow)
{
	if (msg->status >= 200)
		leaving_answered(ctx, msg->status, register_retry_after_ms(msg));
}

static void leaving_timeout(struct td_engine *engine, struct td_ctx *ctx, bool transport_error)
{
	leaving_answered(ctx, transport_error ? 503 : 408, 0);
}

static void leaving_ended(struct td_engine *engine, struct td_ctx *ctx)
{
	leaving_answered(ctx, 503, 0);
}

static const struct td_trunk *leaving_trunk(struct td_engine *engine, struct td_ctx *ctx)
{
	const struct leaving *l = td_ctx_data(ctx);

	return l->trunk;
}

static void leaving_moved(struct td_engine *engine, struct td_ctx *ctx, struct td_ctx *fresh)
{
	struct leaving *l = td_ctx_data(fresh);

	l->ctx = fresh;
	l->from.cseq = td_ctx_cseq(fresh);
}

static const struct td_ctx_user leaving_user = {
	.response = leaving_response,
	.timeout = leaving_timeout,
	.ended = leaving_ended,
	.trunk = leaving_trunk,
	.moved = leaving_moved,
};

// false: there is no room for it now.
static bool leaving_start(struct leaving *l)
{
	struct td_leavings *all = l->all;
	uint32_t cseq = l->from.cseq;

	if (all->n_under_way == UNDER_WAY_MAX || !td_txn_has_room(all->engine))
		return false;
	if (trunk_make(l))
		l->ctx = register_send(all->engine, &l->from, l->trunk, 0, &leaving_user, l);
	if (!l->ctx) {
		trunk_unmake(l);
		l->from.cseq = cseq; // those set aside are for what goes out
		return false;
	}
	l->tries++;
	all->n_under_way++;
	return true;
}

// A trunk that was renamed, or came back, has that binding now.
static bool is_wanted(const struct leaving *l)
{
	const struct td_policy *policy = l->all->engine->policy;

	return policy && td_policy_registers(policy, l->realm, &l->registration);
}

static void due(void *arg, struct td_timer *timer)
{
	struct leaving *l = of_timer(timer);
	uint64_t now_ms = td_engine_now_ms(l->all->engine);

	if (now_ms >= l->until_ms)
		leaving_free(l);
	else if (is_wanted(l))
		leaving_hold(l);
	else if (leaving_start(l))
		return;
	else if (now_ms < l->room_until_ms)
		leaving_queue(l, ROOM_AGAIN_MS);
	else
		leaving_left(l, 503);
}

static struct leaving *leaving_new(struct td_leavings *all, const struct td_trunk *trunk)
{
	const struct td_trunk_conf *conf = &trunk->conf;
	struct leaving *l = NULL;
	size_t bytes = sizeof(*l) + conf->n_peers * sizeof(l->peers[0]);

	if (all->n < LEAVING_MAX && conf->n_peers > 0)
		l = (struct leaving *)(void *)td_slab_get(all->engine->slab, (uint32_t)bytes);
	if (!l)
		return NULL;
	*l = (struct leaving){ .timer.expired = due,
		.all = all,
		.registration = conf->registration,
		.credentials = conf->credentials,
		.slot = trunk->slot,
		.realm = trunk->realm,
		.n_peers = conf->n_peers };
	memcpy(l->name, conf->name, sizeof(l->name));
	memcpy(l->peers, conf->peers, conf->n_peers * sizeof(l->peers[0]));
	l->prev = &all->buckets[l->slot % BUCKETS];
	l->next = *l->prev;
	if (l->next)
		l->next->prev = &l->next;
	*l->prev = l;
	all->n++;
	return l;
}

// Nothing more of it is sent, and no answer is heard.
static void leaving_stop(struct leaving *l)
{
	if (!l->ctx)
		return;
	td_ctx_forget(l->all->engine, l->ctx);
	leaving_land(l);
}

// The same registration has left the same binding before, under a lower number.
static void supersede(
	struct td_leavings *all, const struct register_from *from, const struct td_trunk *trunk)
{
	struct leaving *next;

	for (struct leaving *l = all->buckets[trunk->slot % BUCKETS]; l; l = next) {
		next = l->next;
		if (memcmp(l->from.call_id, from->call_id, sizeof(from->call_id)) != 0 ||
			td_registers_compare(l->realm, &l->registration, trunk) != 0)
			continue;
		leaving_stop(l);
		leaving_free(l);
	}
}

void td_leave(struct td_leavings *all, struct register_from *from, const struct td_trunk *trunk,
	uint64_t until_ms, uint64_t wait_ms)
{
	supersede(all, from, trunk);
	struct leaving *l = leaving_new(all, trunk);
	if (!l) {
		if (all->left++ == 0)
			td_span_cstr(td_span_str(trunk->conf.name), all->left_first, TD_NAME_LEN);
		return;
	}
	l->from = *from;
	l->until_ms = until_ms;
	l->room_until_ms = td_engine_now_ms(all->engine) + ROOM_WITHIN_MS;
	// It may be repeated, under numbers that are nobody else's.
	from->cseq += TRIES_MAX * (1 + CHALLENGES_MAX);
	leaving_queue(l, wait_ms);
}

// What a large change leaves out, in one line.
static void left_tell(struct td_leavings *all)
{
	struct td_engine *e = all->engine;
	char text[128];
	struct td_writer line = { text, text, text + sizeof(text), false };

	if (all->left == 0)
		return;
	td_count_add(&e->conf.counters[TD_C_SIP_LEFT_REGISTERED], all->left);
	td_put_lit(&line, "trunks.left_registered n=");
	td_put_uint(&line, all->left);
	td_put_lit(&line, " first=");
	td_put_span(&line, td_span_str(all->left_first));
	e->conf.ops->log(e->conf.host, text, td_writer_len(&line));
	all->left = 0;
}

static void leaving_follow(struct leaving *l)
{
	bool wanted = (l->ctx || l->held) && is_wanted(l);

	if (l->ctx && wanted) {
		// Nothing more of it may come behind what the new one sends.
		leaving_stop(l);
		leaving_hold(l);
	} else if (l->held && !wanted) {
		l->room_until_ms = td_engine_now_ms(l->all->engine) + ROOM_WITHIN_MS;
		leaving_queue(l, 0);
	}
}

void td_leavings_follow(struct td_leavings *all)
{
	for (uint32_t i = 0; i < BUCKETS; i++)
		for (struct leaving *l = all->buckets[i]; l; l = l->next)
			leaving_follow(l);
	left_tell(all);
}
