// SPDX-License-Identifier: BSD-3-Clause
// RFC 3261 §10.3 in its order: domain, extensions, who it is, whose AoR, contacts, order, and then
// all changes or none.
//
// What is sent again is answered again, and changes nothing.
//
//   records to the journal ─┬─ written ──────────────→ table, 200
//                           ├─ pending (sync) → table, 200 when they are safe
//                           └─ full → 503, nothing changed
#include "sip/register_priv.h"

#include "sip/aor.h"
#include "sip/subscribers.h"
#include "sip/txn_priv.h"

enum { PENDING_MAX = 16384 }; // 200s that wait for the disk at once

// --- life ---

static uint32_t pending_max(const struct td_engine *e, uint32_t registrations)
{
	if (!e->conf.location_sync)
		return 1;
	return registrations < PENDING_MAX ? registrations : PENDING_MAX;
}

static void binding_due(void *engine, struct td_timer *timer)
{
	struct td_engine *e = engine;
	struct td_location_binding *b = txn_of(timer, struct td_location_binding, timer);
	uint64_t now_ms = td_engine_now_ms(e);

	if (now_ms >= b->expires_ms) {
		td_engine_count(e, TD_C_REG_EXPIRED);
		td_location_remove(e->registrar->location, b);
		td_location_collect(e->registrar->location);
		return;
	}
	if (now_ms >= b->ping_ms)
		td_ping_send(e, b);
	td_timer_start(&e->wheel, timer, b->expires_ms < b->ping_ms ? b->expires_ms : b->ping_ms);
}

struct td_registrar *td_registrar_create(
	struct td_engine *e, const struct td_alloc *alloc, uint32_t registrations)
{
	const struct td_location_conf conf = { .alloc = alloc,
		.ops = e->conf.ops,
		.host = e->conf.host,
		.wheel = &e->wheel,
		.due = binding_due,
		.capacity = registrations };
	struct td_registrar *r = alloc->alloc(alloc->ctx, sizeof(*r));

	if (!r)
		return NULL;
	e->registrar = r;
	r->location = NULL;
	r->changed_us = e->conf.changed_us;
	uint32_t waiting = pending_max(e, registrations);
	int rc =
		td_pool_init(&r->pending, alloc, sizeof(struct register_pending), waiting, waiting);
	if (rc == 0)
		r->location = td_location_new(&conf);
	if (r->location)
		return r;
	td_registrar_destroy(e, alloc);
	return NULL;
}

size_t td_registrar_bytes(uint32_t registrations)
{
	enum { NONCE_BYTES = 128, OTHER_BYTES = 2 << 20 };

	if (registrations == 0)
		return 0;
	return td_location_bytes(registrations) + (size_t)registrations * NONCE_BYTES +
	       sizeof(struct td_registrar) + PENDING_MAX * sizeof(struct register_pending) +
	       OTHER_BYTES;
}

static void pending_drop(struct td_engine *e, struct td_registrar *r)
{
	for (uint32_t slot = 0; slot < r->pending.capacity; slot++) {
		struct register_pending *p =
			td_pool_find(&r->pending, slot, r->pending.generations[slot]);
		if (p)
			e->conf.ops->buf_put(e->conf.host, &p->buf);
	}
}

void td_registrar_destroy(struct td_engine *e, const struct td_alloc *alloc)
{
	struct td_registrar *r = e->registrar;

	if (!r)
		return;
	if (r->pending.memory)
		pending_drop(e, r);
	td_location_free(r->location);
	td_pool_fini(&r->pending, alloc);
	alloc->free(alloc->ctx, r);
	e->registrar = NULL;
}

const struct td_location *td_engine_location(const struct td_engine *e)
{
	return e->registrar ? e->registrar->location : NULL;
}

// --- judging ---

void register_refuse(
	struct register_ask *ask, uint16_t status, struct td_span reason, struct td_span headers)
{
	struct td_engine *e = ask->e;
	const struct td_response response = {
		.status = status, .reason = reason, .headers = headers
	};

	if (status != 401)
		td_engine_count(e, TD_C_REG_REFUSED);
	td_respond_stateless(e, ask->flow, &e->msg, &e->core, &response);
}

static bool domain_is_ours(const struct td_registrar_conf *conf, struct td_span domain)
{
	for (uint8_t i = 0; i < conf->n_domains; i++)
		if (td_span_ieq(td_span_str(conf->domains[i]), domain))
			return true;
	return false;
}

// Step 1, and the AoR of step 5.
static bool aor_take(struct register_ask *ask)
{
	if (ask->aor.len == 0 || !domain_is_ours(ask->conf, ask->e->core.to.uri.host)) {
		register_refuse(ask, 404, (struct td_span){ 0 }, (struct td_span){ 0 });
		return false;
	}
	// The receiver looks for To in the first part of a message alone (peek.h). Behind it, it
	// leads to no owner, and nobody would look for the binding here.
	if (td_hash_owner(ask->hash, ask->e->conf.n_workers) == ask->e->conf.worker)
		return true;
	register_refuse(ask, 400, TD_SPAN("To Too Far Behind"), (struct td_span){ 0 });
	return false;
}

// Mostly a REGISTER is of whom it is about.
void td_register_expect(struct td_engine *e)
{
	struct register_ask *ask = &e->registrar->ask;
	int n = td_aor_make(&e->core.to.uri, ask->aor_text);

	ask->aor = td_span(ask->aor_text, n > 0 ? (size_t)n : 0);
	ask->hash = td_aor_hash(&e->keys, ask->aor);
	ask->hint = (struct td_auth_hint){ ask->aor, td_subscribers_hash(ask->aor) };
	td_location_prefetch_head(e->registrar->location, ask->hash);
	td_subscribers_prefetch_head(e->conf.subscribers, ask->hint.hash);
}

static bool is_known_option(struct td_span option)
{
	return td_span_ieq(option, TD_SPAN("path")) || td_span_ieq(option, TD_SPAN("outbound"));
}

// Step 2: path and outbound may be required.
static bool extensions_take(struct register_ask *ask)
{
	const struct td_msg *msg = &ask->e->msg;
	char text[256];
	struct td_writer w = { text, text, text + sizeof(text), false };
	struct td_span entry;
	bool unknown = false;

	for (uint8_t i = msg->first[TD_H_REQUIRE]; i != 0xff; i = msg->headers[i].next) {
		struct td_span rest = td_msg_value(msg, &msg->headers[i]);
		while (td_list_next(&rest, &entry)) {
			if (entry.len == 0 || is_known_option(entry))
				continue;
			unknown = true;
			if (entry.len + 16 > (size_t)(w.end - w.pos))
				continue; // what was told of suffices to refuse
			td_put_lit(&w, "Unsupported: ");
			td_put_span(&w, entry);
			td_put_lit(&w, "\r\n");
		}
	}
	ask->outbound = register_supports(msg, TD_SPAN("outbound"));
	if (!unknown)
		return true;
	register_refuse(ask, 420, (struct td_span){ 0 }, td_span(text, td_writer_len(&w)));
	return false;
}

// Steps 3 and 4: nobody binds contacts to another's AoR.
static bool is_whose_aor(struct register_ask *ask)
{
	struct td_engine *e = ask->e;
	struct td_auth_answer *auth = &e->registrar->auth;

	td_auth_check(e, ask->came, &e->msg, &e->core, &ask->hint, auth);
	ask->repeated = auth->repeated;
	if (auth->verdict == TD_AUTH_PASSED &&
		td_span_eq(td_subscriber_aor(auth->subscriber), ask->aor)) {
		ask->born = auth->subscriber->born;
		return true;
	}
	register_refuse(ask, auth->status ? auth->status : 403, (struct td_span){ 0 },
		td_auth_headers(auth));
	return false;
}

// --- changing ---

uint64_t td_engine_changed_us(const struct td_engine *e)
{
	return e->registrar ? atomic_load_explicit(&e->registrar->changed_us, memory_order_relaxed)
			    : 0;
}

// By the wall clock, and later than every change before it: not so by the clock alone where it is
// set back, or where one burst brings two changes of a binding.
static uint64_t changed_us_next(struct td_engine *e)
{
	uint64_t wall_us = td_engine_wall_us(e), before = td_engine_changed_us(e);
	uint64_t next = wall_us > before ? wall_us : before + 1;

	atomic_store_explicit(&e->registrar->changed_us, next, memory_order_relaxed);
	return next;
}

// What the record says beside what the contact said.
static void change_complete(struct register_ask *ask, struct register_change *c)
{
	struct td_engine *e = ask->e;
	struct td_span agent = td_msg_get(&e->msg, TD_H_USER_AGENT);
	struct td_binding *b = &c->b;

	b->op = c->expires_s > 0 ? TD_BINDING_UPSERT : TD_BINDING_REMOVE;
	b->aor = ask->aor;
	b->realm = td_span_str(e->conf.realms[ask->came->realm].name);
	b->transport = ask->came->transport;
	b->local = ask->came->local;
	b->remote = ask->came->remote;
	b->cseq = e->core.cseq.number;
	b->call_id = e->core.call_id;
	b->path = td_span(ask->path, ask->path_len);
	b->user_agent = td_span(agent.ptr,
		agent.len < TD_BINDING_USER_AGENT_MAX ? agent.len : TD_BINDING_USER_AGENT_MAX);
	b->expires_s = td_engine_wall_us(e) / 1000000 + c->expires_s;
	b->changed_us = changed_us_next(e);
	if (b->op == TD_BINDING_REMOVE && c->old) {
		b->contact = td_location_contact(c->old);
		b->instance = td_location_instance(c->old);
		b->reg_id = c->old->reg_id;
	}
}

// An equal URI in another spelling keeps the first one's key: readers of the store know one key.
static uint32_t records_write(struct register_ask *ask, uint8_t *dst, uint32_t *n)
{
	uint32_t bytes = 0;

	*n = 0;
	for (uint16_t i = 0; i < ask->n; i++) {
		struct register_change *c = &ask->changes[i];
		if (!c->old && c->expires_s == 0)
			continue; // of what is not there
		change_complete(ask, c);
		if (c->old && !c->keyed && c->old->reg_id == 0)
			c->b.contact = td_location_contact(c->old);
		bytes += (uint32_t)td_binding_pack(&c->b, dst + bytes);
		(*n)++;
	}
	return bytes;
}

static bool is_as_before(const struct register_change *c, const struct td_flow *came)
{
	const struct td_location_binding *old = c->old;

	return old && memcmp(&old->flow, came, sizeof(old->flow)) == 0 && old->q == c->b.q &&
	       old->reg_id == c->b.reg_id && td_span_eq(td_location_contact(old), c->b.contact) &&
	       td_span_eq(td_location_call_id(old), c->b.call_id) &&
	       td_span_eq(td_location_path(old), c->b.path) &&
	       td_span_eq(td_location_instance(old), c->b.instance) &&
	       td_span_eq(td_location_user_agent(old), c->b.user_agent);
}

// The timer looks at the binding when it runs: a later end needs no new one.
static void binding_time(struct td_engine *e, struct td_location_binding *b)
{
	uint64_t due_ms = b->expires_ms < b->ping_ms ? b->expires_ms : b->ping_ms;

	if (!td_timer_armed(&b->timer) || b->timer.due_ms > due_ms)
		td_timer_start(&e->wheel, &b->timer, due_ms);
}

static void change_apply(struct register_ask *ask, struct register_change *c)
{
	struct td_engine *e = ask->e;
	struct td_location *location = e->registrar->location;
	struct td_location_binding *b = c->old;

	if (c->expires_s == 0) {
		if (!b)
			return;
		td_location_remove(location, b);
		td_engine_count(e, TD_C_REG_REMOVED);
		return;
	}
	td_engine_count(e, b ? TD_C_REG_REFRESHED : TD_C_REG_ADDED);
	if (c->made) {
		b = c->made;
		td_location_link(location, c->old, b);
		td_ping_plan(e, b, &c->uri);
	}
	b->cseq = c->b.cseq;
	b->changed_us = c->b.changed_us;
	b->expires_ms = td_engine_now_ms(e) + c->expires_s * 1000ull;
	binding_time(e, b);
}

static uint32_t additions(const struct register_ask *ask)
{
	uint32_t n = 0;

	for (uint16_t i = 0; i < ask->n; i++)
		n += !ask->changes[i].old && ask->changes[i].expires_s > 0;
	return n;
}

// --- answering ---

static void refuse_busy(struct register_ask *ask)
{
	register_refuse(ask, 503, (struct td_span){ 0 }, TD_SPAN(TD_RETRY_AFTER_LINE));
}

static void answer_send(struct register_ask *ask, struct register_pending *pending)
{
	struct td_buf buf;

	if (register_answer_write(ask, &buf) != 0) {
		if (pending)
			td_pool_put(&ask->e->registrar->pending, pending);
		return; // lost on the way: it comes again
	}
	if (!pending) {
		message_send(ask->e, ask->flow, &buf, TD_M_REGISTER, 200);
		return;
	}
	pending->flow = *ask->flow;
	pending->buf = buf;
}

void td_register_answered(struct td_engine *e, const struct td_late_answer *answer)
{
	struct td_registrar *r = e->registrar;
	uint32_t slot = (uint32_t)(answer->cookie >> 32) & INT32_MAX;
	struct register_pending *p =
		r ? td_pool_find(&r->pending, slot, (uint32_t)answer->cookie) : NULL;

	if (!p)
		return;
	// What is not safe is not acknowledged: the far end sends it again.
	if (answer->answer == TD_DONE)
		message_send(e, &p->flow, &p->buf, TD_M_REGISTER, 200);
	else
		e->conf.ops->buf_put(e->conf.host, &p->buf);
	td_pool_put(&r->pending, p);
}

static uint64_t cookie_of(const struct td_registrar *r, const struct register_pending *p)
{
	return TD_REGISTER_COOKIE | (uint64_t)td_pool_slot(&r->pending, p) << 32 |
	       td_pool_generation(&r->pending, p);
}

static void changes_drop(struct register_ask *ask)
{
	for (uint16_t i = 0; i < ask->n; i++)
		if (ask->changes[i].made)
			td_location_drop(ask->e->registrar->location, ask->changes[i].made);
}

// Memory for all that is new, before anything is told to anybody. Texts may be longer than was
// planned for.
static bool changes_prepare(struct register_ask *ask)
{
	for (uint16_t i = 0; i < ask->n; i++) {
		struct register_change *c = &ask->changes[i];
		if (c->expires_s == 0 || is_as_before(c, ask->came))
			continue;
		c->made = td_location_make(
			ask->e->registrar->location, ask->hash, ask->came->realm, ask->born, &c->b);
		if (!c->made) {
			changes_drop(ask);
			return false;
		}
	}
	return true;
}

static void refuse_full(struct register_ask *ask)
{
	td_engine_count(ask->e, TD_C_REG_NO_ROOM);
	refuse_busy(ask);
}

static void changes_make(struct register_ask *ask)
{
	struct td_engine *e = ask->e;
	struct td_registrar *r = e->registrar;
	const uint16_t changes = ask->repeated ? 0 : ask->n; // what is repeated is done
	uint32_t n = 0, bytes = changes > 0 ? records_write(ask, r->records, &n) : 0;
	enum td_answer written = TD_DONE;

	if (changes > 0 && !changes_prepare(ask)) {
		refuse_full(ask);
		return;
	}
	struct register_pending *pending = td_pool_get(&r->pending);
	// Where nothing is written any more, what an earlier copy wrote must be safe all the same.
	if (bytes > 0 || e->conf.location_sync)
		written = !pending ? TD_REFUSED
				   : e->conf.ops->bindings_write(e->conf.host, r->records, bytes, n,
					     cookie_of(r, pending));
	if (pending && written != TD_PENDING) {
		td_pool_put(&r->pending, pending);
		pending = NULL;
	}
	if (written == TD_REFUSED) {
		changes_drop(ask);
		refuse_full(ask);
		return;
	}
	for (uint16_t i = 0; i < changes; i++)
		change_apply(ask, &ask->changes[i]);
	answer_send(ask, written == TD_PENDING ? pending : NULL);
}

// Contacts that the AoR has from a subscriber that was deleted are not this one's.
static void bound_find(struct register_ask *ask)
{
	struct td_location *location = ask->e->registrar->location;
	struct td_location_binding *next, *b = td_location_first(location, ask->hash, ask->aor);

	ask->bound = NULL;
	for (; b; b = next) {
		next = td_location_next(b);
		if (b->born == ask->born) {
			ask->bound = ask->bound ? ask->bound : b;
			continue;
		}
		td_location_remove(location, b);
		td_engine_count(ask->e, TD_C_REG_REMOVED);
	}
}

static void refuse_early(struct register_ask *ask)
{
	td_engine_count(ask->e, TD_C_REG_NOT_READY);
	refuse_busy(ask);
}

// Would it remove what may not be back yet from before a restart? It would come back after its 200;
// also what was bound anew meanwhile, whose older record is still on its way.
static bool removes_too_early(const struct register_ask *ask)
{
	const struct td_engine_conf *conf = &ask->e->conf;
	bool removes = ask->e->core.contact.star;

	for (uint16_t i = 0; i < ask->n; i++)
		removes |= ask->changes[i].expires_s == 0;
	return removes && conf->ops->bindings_restoring &&
	       conf->ops->bindings_restoring(conf->host);
}

void td_register(struct td_engine *e, const struct td_flow *came, const struct td_flow *flow)
{
	struct td_registrar *r = e->registrar;
	struct register_ask *ask = &r->ask;

	ask->e = e;
	ask->came = came;
	ask->flow = flow;
	ask->conf = &e->conf.realms[came->realm].registrar;
	if (!td_subscribers_ready(e->conf.subscribers) || !e->conf.ops->bindings_write) {
		refuse_early(ask);
		return;
	}
	if (!aor_take(ask))
		return;
	td_subscribers_prefetch_entry(e->conf.subscribers, ask->hint.hash);
	td_location_prefetch_bindings(r->location, ask->hash);
	if (!extensions_take(ask) || !is_whose_aor(ask))
		return;
	td_location_collect(r->location);
	bound_find(ask);
	if (!register_contacts_read(ask))
		return;
	if (removes_too_early(ask)) {
		refuse_early(ask);
		return;
	}
	if (!td_location_has_room(r->location, additions(ask))) {
		refuse_full(ask);
		return;
	}
	changes_make(ask);
}

// --- after a restart ---

static int realm_of(const struct td_engine *e, const struct td_binding *b)
{
	for (uint16_t i = 0; i < e->conf.n_realms; i++) {
		const struct td_engine_realm *realm = &e->conf.realms[i];
		if (!td_span_eq(td_span_str(realm->name), b->realm))
			continue;
		for (uint8_t a = 0; a < realm->n_addresses; a++)
			if (td_ip_eq(&realm->addresses[a].ip, &b->local))
				return i;
	}
	return -1;
}

static bool is_same_binding(
	const struct td_location_binding *at, const struct td_binding *b, const struct td_uri *uri)
{
	struct td_uri other;

	if (at->reg_id > 0 || b->reg_id > 0)
		return at->reg_id == b->reg_id && td_span_eq(td_location_instance(at), b->instance);
	return td_uri_parse(td_location_contact(at), &other) == 0 && td_uri_equal(&other, uri);
}

// 0; -EEXIST: it is bound anew already; -ENOSPC: as many are bound as one AoR may have.
static int restore_judge(
	struct td_registrar *r, uint64_t hash, const struct td_binding *b, const struct td_uri *uri)
{
	struct td_location_binding *at = td_location_first(r->location, hash, b->aor);
	unsigned n = 0;

	for (; at; at = td_location_next(at), n++)
		if (is_same_binding(at, b, uri))
			return -EEXIST;
	return n < TD_CONTACTS_MAX ? 0 : -ENOSPC;
}

int td_engine_restore_binding(
	struct td_engine *e, uint64_t now_ns, const uint8_t *record, uint32_t bytes)
{
	struct td_registrar *r = e->registrar;
	struct td_binding b;
	struct td_uri uri;

	e->now_ns = now_ns;
	if (!r || td_binding_unpack(record, bytes, &b) == 0 || td_uri_parse(b.contact, &uri) != 0)
		return -EBADMSG;
	uint64_t wall_s = td_engine_wall_us(e) / 1000000, hash = td_aor_hash(&e->keys, b.aor);
	int realm = realm_of(e, &b);
	if (b.op != TD_BINDING_UPSERT || b.expires_s <= wall_s)
		return -ESTALE;
	const struct td_subscriber_entry *s = td_subscribers_find(e->conf.subscribers, b.aor);
	if (realm < 0 || !s)
		return -ENOENT;
	int rc = restore_judge(r, hash, &b, &uri);
	if (rc != 0)
		return rc;
	struct td_location_binding *n =
		td_location_has_room(r->location, 1)
			? td_location_make(r->location, hash, (uint16_t)realm, s->born, &b)
			: NULL;
	if (!n)
		return -ENOSPC;
	td_location_link(r->location, NULL, n);
	// The realm's maximum may have been lowered meanwhile, and a store may hold anything.
	uint64_t left_s = b.expires_s - wall_s,
		 max_s = e->conf.realms[realm].registrar.max_expires_s;
	n->expires_ms = td_engine_now_ms(e) + (left_s < max_s ? left_s : max_s) * 1000;
	if (b.changed_us > td_engine_changed_us(e))
		atomic_store_explicit(&r->changed_us, b.changed_us, memory_order_relaxed);
	td_ping_plan(e, n, &uri);
	binding_time(e, n);
	td_engine_count(e, TD_C_REG_RESTORED);
	return 0;
}
