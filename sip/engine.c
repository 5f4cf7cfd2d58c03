// SPDX-License-Identifier: BSD-3-Clause
// An engine's life and its clock. What becomes of a message is in engine_rx.c.
#include "sip/credentials.h"
#include "sip/engine_priv.h"
#include "sip/probe.h"
#include "sip/registration.h"
#include "sip/writer.h"

#include <errno.h>
#include <stdlib.h>

enum {
	CALL_TEXT_BYTES = 1152,  // of an established call: dialogs, attempt, media
	SETUP_TEXT_BYTES = 2048, // beside them while it is set up: what may have to be repeated, or
				 // said to another target
	RINGING_TEXT_BYTES = 5120, // the same where it rings for long with early media
	SPARE_TEXT_BYTES = 4 << 20, // large messages, and a chunk of each block size
	SETUP_TEXT_S = 4,           // so long it is expected to last
	WORKERS_IN_TOKEN = 64,
};

static void *heap_alloc(void *ctx, size_t bytes)
{
	return malloc(bytes);
}

static void heap_free(void *ctx, void *ptr)
{
	free(ptr);
}

static bool conf_is_sane(const struct td_engine_conf *conf)
{
	return conf->ops && conf->counters && conf->max_calls > 0 &&
	       conf->sip_message_bytes >= 1024 && conf->sip_message_bytes <= TD_SIP_MESSAGE_MAX &&
	       conf->t1_ms > 0 && conf->t1_ms <= conf->t2_ms && conf->t4_ms > 0 &&
	       conf->worker < WORKERS_IN_TOKEN && !conf->alloc == !conf->free &&
	       (conf->realms || conf->n_realms == 0);
}

static int engine_init(struct td_engine *e, const struct td_engine_conf *conf)
{
	size_t standing = (size_t)conf->max_calls * CALL_TEXT_BYTES + SPARE_TEXT_BYTES;
	size_t expected = standing +
			  (size_t)td_engine_setups(conf, SETUP_TEXT_S) * SETUP_TEXT_BYTES;
	size_t text_bytes = standing + (size_t)conf->max_calls * RINGING_TEXT_BYTES;

	td_token_keys_init(&e->keys, conf->token_key, conf->node, conf->epoch);
	td_wheel_init(&e->wheel, 0, e);
	e->slab = td_slab_new(&e->alloc, text_bytes, expected);
	e->challenges = td_challenges_new(&e->alloc);
	e->registrations = td_registrations_new(e, &e->alloc);
	e->probes = td_probes_new(e, &e->alloc);
	e->matcher = td_rule_matcher_new(&e->alloc);
	if (!e->slab || !e->challenges || !e->registrations || !e->matcher ||
		!e->probes)
		return -ENOMEM;
	if (conf->max_registrations > 0 && conf->subscribers) {
		e->auth = td_auth_create(e, &e->alloc, conf->max_registrations);
		e->registrar = td_registrar_create(e, &e->alloc, conf->max_registrations);
		if (!e->auth || !e->registrar)
			return -ENOMEM;
	}
	e->txn = td_txn_create(e, conf);
	if (e->txn)
		e->calls = td_calls_create(e, conf);
	return e->calls ? 0 : -errno;
}

struct td_engine *td_engine_new(const struct td_engine_conf *conf)
{
	struct td_alloc alloc = { conf->alloc, conf->free, conf->alloc_ctx, conf->reserve };
	int rc = -ENOMEM;

	if (!conf_is_sane(conf)) {
		errno = EINVAL;
		return NULL;
	}
	if (!alloc.alloc)
		alloc = (struct td_alloc){ heap_alloc, heap_free, NULL, NULL };
	struct td_engine *e = alloc.alloc(alloc.ctx, sizeof(*e));
	if (e) {
		memset(e, 0, sizeof(*e));
		e->conf = *conf;
		e->conf.n_workers = conf->n_workers ? conf->n_workers : 1;
		e->alloc = alloc;
		rc = engine_init(e, conf);
	}
	if (rc == 0)
		return e;
	td_engine_free(e);
	errno = -rc;
	return NULL;
}

void td_engine_free(struct td_engine *e)
{
	if (!e)
		return;
	const struct td_alloc alloc = e->alloc;

	td_calls_destroy(e->calls);
	td_txn_destroy(e->txn);
	td_registrar_destroy(e, &alloc);
	td_auth_destroy(e->auth, &alloc);
	td_registrations_free(e->registrations, &alloc);
	td_probes_free(e->probes, &alloc);
	td_challenges_free(&alloc, e->challenges);
	td_rule_matcher_free(e->matcher, &alloc);
	td_slab_free_all(e->slab, &alloc);
	alloc.free(alloc.ctx, e);
}

void td_engine_set_policy(struct td_engine *e, const struct td_policy *policy)
{
	const struct td_policy *before = e->policy;

	e->policy = policy;
	td_registrations_follow(e->registrations, before);
	td_probes_follow(e->probes);
}

void td_engine_set_wall(struct td_engine *e, uint64_t wall_offset_ns)
{
	e->conf.wall_offset_ns = wall_offset_ns;
}

uint64_t td_engine_spread(struct td_engine *e, uint64_t ms)
{
	uint32_t random;

	e->conf.ops->random(e->conf.host, &random, sizeof(random));
	return ms - (ms / 8 * (random & 0xffff) >> 16);
}

uint64_t td_engine_tick(struct td_engine *e, uint64_t now_ns, uint32_t max)
{
	e->now_ns = now_ns;
	td_wheel_run(&e->wheel, td_engine_now_ms(e), max);
	uint64_t next_ms = td_wheel_next(&e->wheel);
	return next_ms == UINT64_MAX ? UINT64_MAX : next_ms * 1000000;
}

void td_engine_drain(struct td_engine *e, bool draining)
{
	e->draining = draining;
}

uint32_t td_engine_busy(const struct td_engine *e)
{
	return td_calls_busy(e->calls) + td_txn_busy(e) + e->wheel.armed;
}

const struct td_traffic *td_engine_traffic(const struct td_engine *e)
{
	return &e->traffic;
}

void td_engine_pools(const struct td_engine *e, struct td_pool_view *out)
{
	td_calls_pool(e->calls, &out[0]);
	td_txn_pools(e, &out[1]);
	out[4] =
		(struct td_pool_view){ "text_bytes", td_slab_used(e->slab), td_slab_size(e->slab) };
	td_probes_pool(e->probes, &out[5]);
}

struct td_sockaddr td_engine_advertised(
	const struct td_engine *e, uint16_t realm, const struct td_sockaddr *local)
{
	struct td_sockaddr seen = *local;

	if (realm >= e->conf.n_realms)
		return seen;
	const struct td_engine_realm *r = &e->conf.realms[realm];
	for (uint8_t i = 0; i < r->n_addresses; i++) {
		const struct td_realm_address *a = &r->addresses[i];
		if (a->advertise.family == 0 || !td_ip_eq(&a->ip, local))
			continue;
		seen = a->advertise;
		seen.port = local->port;
		break;
	}
	return seen;
}

// Few addresses are ours, and every message bears one of them; they last as long as the engine.
struct td_span td_engine_sent_by(struct td_engine *e, const struct td_flow *flow)
{
	const struct td_sockaddr *local = &flow->local;
	unsigned at = (unsigned)(local->ip[3] + local->port + flow->realm) % TD_OWN_TEXTS;
	struct td_own_text *own = &e->own_texts[at];

	if (own->len == 0 || own->realm != flow->realm ||
		memcmp(&own->local, local, sizeof(*local)) != 0) {
		struct td_writer w = { own->text, own->text, own->text + sizeof(own->text), false };
		struct td_sockaddr seen = td_engine_advertised(e, flow->realm, local);
		td_put_hostport(&w, &seen);
		own->local = *local;
		own->realm = flow->realm;
		own->len = (uint8_t)td_writer_len(&w);
	}
	return td_span(own->text, own->len);
}

struct td_sockaddr td_engine_local(const struct td_engine *e, uint16_t realm, uint8_t family)
{
	struct td_sockaddr none = { 0 };

	if (realm >= e->conf.n_realms || e->conf.realms[realm].n_listeners == 0)
		return none;
	const struct td_engine_realm *r = &e->conf.realms[realm];
	for (uint8_t i = 0; i < r->n_addresses; i++) {
		if (r->addresses[i].ip.family != family)
			continue;
		struct td_sockaddr local = r->addresses[i].ip;
		local.port = r->listeners[0].port;
		return local;
	}
	return none;
}
