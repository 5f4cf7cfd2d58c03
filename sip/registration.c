// SPDX-License-Identifier: BSD-3-Clause
#include "sip/registration_priv.h"

#include "sip/writer.h"

#include <errno.h>

enum {
	FIRST_SPREAD_MS = 1000, // so that many trunks do not begin in one millisecond
	RETRY_MIN_MS = 5000,    // doubled with each round of failures (RFC 5626 §4.5)
	EXPIRES_MAX_S = 86400,  // what a provider may lay down
	TEXT_MAX = 512,
	BUCKETS = 256,
};

#define of_timer(ptr)                                                                              \
	((struct registration *)(void *)((char *)(ptr)-offsetof(struct registration, timer)))

struct registration {
	struct registration *next;
	struct td_timer timer; // the next REGISTER
	struct td_engine *engine;
	struct td_ctx *ctx; // NULL: none under way
	struct register_from from;
	uint32_t index; // of the trunk in the policy in force
	uint32_t slot;
	uint32_t expires_s; // to ask for
	uint8_t failures;   // since it last worked
	bool registered, wanted;
	// Until when the provider may have a binding of ours, whether or not it said so; 0: none.
	uint64_t bound_until_ms;
};

struct td_registrations {
	struct td_engine *engine;
	struct registration *buckets[BUCKETS]; // by the low bits of the trunk's slot
	struct td_leavings *leavings;
};

static const struct td_ctx_user registration_user;

struct td_registrations *td_registrations_new(
	struct td_engine *engine, const struct td_alloc *alloc)
{
	struct td_registrations *r = alloc->alloc(alloc->ctx, sizeof(*r));

	if (!r)
		return NULL;
	memset(r, 0, sizeof(*r));
	r->engine = engine;
	r->leavings = td_leavings_new(engine, alloc);
	if (r->leavings)
		return r;
	alloc->free(alloc->ctx, r);
	return NULL;
}

void td_registrations_free(struct td_registrations *r, const struct td_alloc *alloc)
{
	if (!r)
		return;
	td_leavings_free(r->leavings, alloc);
	alloc->free(alloc->ctx, r);
}

// --- one registration ---

static const struct td_trunk_conf *conf_of(const struct registration *r)
{
	return &td_policy_trunk(r->engine->policy, r->index)->conf;
}

static void timer_set(struct registration *r, uint64_t ms)
{
	td_timer_start(&r->engine->wheel, &r->timer, td_engine_now_ms(r->engine) + ms);
}

static void tell(struct registration *r, uint8_t state, uint16_t status, uint32_t expires_s)
{
	const struct td_engine_conf *conf = &r->engine->conf;
	const char *verb = state == TD_REGISTERED ? "registered" : "registration_failed";
	char text[160];

	if (conf->ops->trunk_registered)
		conf->ops->trunk_registered(conf->host, r->slot, state, status, expires_s);
	struct td_writer line = { text, text, text + sizeof(text), false };
	td_put_lit(&line, "trunk.");
	td_put_span(&line, td_span_str(verb));
	td_put_lit(&line, " trunk=");
	td_put_span(&line, td_span_str(conf_of(r)->name));
	td_put_lit(&line, " sip_code=");
	td_put_uint(&line, status);
	td_put_lit(&line, " expires_s=");
	td_put_uint(&line, expires_s);
	conf->ops->log(conf->host, text, td_writer_len(&line));
}

static struct td_span aor_put(struct td_writer *out, const struct td_register_conf *conf)
{
	char *start = out->pos;

	td_put_lit(out, "<sip:");
	td_put_span(out, td_span_str(conf->user));
	td_put_lit(out, "@");
	td_put_span(out, td_span_str(conf->domain));
	td_put_lit(out, ">");
	return td_span(start, (size_t)(out->pos - start));
}

static struct td_span contact_put(const struct td_engine *e, const struct td_register_conf *conf,
	const struct td_flow *flow, struct td_writer *out)
{
	struct td_sockaddr ours = td_engine_advertised(e, flow->realm, &flow->local);
	char *start = out->pos;

	td_put_lit(out, "<sip:");
	td_put_span(out, td_span_str(conf->contact));
	td_put_lit(out, "@");
	td_put_hostport(out, &ours);
	td_put_lit(out, ">");
	return td_span(start, (size_t)(out->pos - start));
}

// The flow to the peer whose turn it is; false: the realm has no address of its family.
static bool flow_to_peer(struct td_engine *e, const struct register_from *from,
	const struct td_trunk *trunk, struct td_flow *out)
{
	const struct td_sockaddr *peer =
		&trunk->conf.peers[from->peer % trunk->conf.n_peers].address;

	*out = (struct td_flow){ .local = td_engine_local(e, trunk->realm, peer->family),
		.remote = *peer,
		.realm = trunk->realm };
	return out->local.family != 0;
}

struct td_ctx *register_send(struct td_engine *e, struct register_from *from,
	const struct td_trunk *trunk, uint32_t expires_s, const struct td_ctx_user *user,
	void *user_data)
{
	const struct td_register_conf *conf = &trunk->conf.registration;
	char text[TEXT_MAX], lines[48], *start;
	struct td_writer out = { text, text, text + sizeof(text), false };
	struct td_writer headers = { lines, lines, lines + sizeof(lines), false };
	struct td_request request = { .method = TD_M_REGISTER,
		.max_forwards = 70,
		.trunk = trunk->credentials ? trunk : NULL };

	if (trunk->conf.n_peers == 0 || !flow_to_peer(e, from, trunk, &request.flow))
		return NULL;
	td_put_lit(&out, "sip:");
	td_put_span(&out, td_span_str(conf->domain));
	request.uri = td_span(text, td_writer_len(&out));
	request.to = aor_put(&out, conf);
	start = out.pos;
	aor_put(&out, conf);
	td_put_lit(&out, ";tag=");
	td_put(&out, from->tag, sizeof(from->tag));
	request.from = td_span(start, (size_t)(out.pos - start));
	request.contact = contact_put(e, conf, &request.flow, &out);
	request.call_id = td_span(from->call_id, sizeof(from->call_id));
	request.cseq = ++from->cseq;
	td_put_lit(&headers, "Expires: ");
	td_put_uint(&headers, expires_s);
	td_put_lit(&headers, "\r\n");
	request.headers = td_span(lines, td_writer_len(&headers));
	return out.overflow ? NULL : td_ctx_new(e, &request, user, user_data);
}

// --- how it went ---

// How long the provider wants to be left alone (§20.33); a comment and parameters may follow.
uint64_t register_retry_after_ms(const struct td_msg *msg)
{
	struct td_span value = td_msg_get(msg, TD_H_RETRY_AFTER);
	uint32_t s = 0;

	for (uint32_t i = 0; i < value.len; i++)
		if (value.ptr[i] < '0' || value.ptr[i] > '9')
			value.len = i;
	if (td_number_decode(value, REGISTER_RETRY_MAX_MS / 1000, &s) == -ERANGE)
		return REGISTER_RETRY_MAX_MS;
	return s * 1000ull;
}

// The next peer at once; when all have failed, a pause that grows with each round, and is no
// shorter than least_ms.
static void failed(struct registration *r, uint16_t status, uint64_t least_ms)
{
	uint8_t n_peers = conf_of(r)->n_peers;
	uint64_t pause_ms = RETRY_MIN_MS;

	if (r->failures < UINT8_MAX)
		r->failures++;
	r->from.peer = n_peers ? (uint8_t)((r->from.peer + 1) % n_peers) : 0;
	r->registered = false;
	tell(r, TD_REGISTRATION_FAILED, status, 0);
	bool others = n_peers && r->failures % n_peers != 0;
	if (others)
		pause_ms = 100;
	else
		for (unsigned i = n_peers ? r->failures / n_peers : r->failures; i > 1; i--)
			pause_ms = pause_ms * 2 < REGISTER_RETRY_MAX_MS ? pause_ms * 2
									: REGISTER_RETRY_MAX_MS;
	pause_ms = td_engine_spread(r->engine, pause_ms);
	timer_set(r, others || pause_ms > least_ms ? pause_ms : least_ms);
}

// A request without an answer may have been taken all the same.
static void may_be_bound(struct registration *r)
{
	uint64_t until_ms = td_engine_now_ms(r->engine) + r->expires_s * 1000ull;

	if (until_ms > r->bound_until_ms)
		r->bound_until_ms = until_ms;
}

// What the provider granted our contact; what was asked for where it does not say.
static uint32_t granted_s(
	const struct registration *r, const struct td_msg *msg, struct td_span contact)
{
	uint32_t all_s = r->expires_s, s;
	struct td_span entry, value;
	struct td_uri ours;

	if (td_msg_has(msg, TD_H_EXPIRES) &&
		td_number_decode(td_msg_get(msg, TD_H_EXPIRES), EXPIRES_MAX_S, &s) == 0)
		all_s = s;
	if (td_uri_parse(td_span(contact.ptr + 1, contact.len - 2), &ours) != 0)
		return all_s;
	for (uint8_t i = msg->first[TD_H_CONTACT]; i != 0xff; i = msg->headers[i].next) {
		struct td_span rest = td_msg_value(msg, &msg->headers[i]);
		struct td_name_addr name;
		while (td_list_next(&rest, &entry))
			if (td_name_addr_decode(entry, &name) == 0 &&
				td_uri_equal(&name.uri, &ours) &&
				td_param_get(name.params, TD_SPAN("expires"), &value) &&
				td_number_decode(value, EXPIRES_MAX_S, &s) == 0)
				return s;
	}
	return all_s;
}

static void succeeded(struct registration *r, const struct td_msg *msg, const struct td_flow *flow)
{
	char text[TEXT_MAX];
	struct td_writer out = { text, text, text + sizeof(text), false };
	struct td_span contact = contact_put(r->engine, &conf_of(r)->registration, flow, &out);
	uint32_t s = granted_s(r, msg, contact);

	r->bound_until_ms = s ? td_engine_now_ms(r->engine) + s * 1000ull : 0;
	if (s == 0) {
		failed(r, msg->status, 0);
		return;
	}
	r->failures = 0;
	if (!r->registered)
		tell(r, TD_REGISTERED, msg->status, s);
	else if (r->engine->conf.ops->trunk_registered)
		r->engine->conf.ops->trunk_registered(
			r->engine->conf.host, r->slot, TD_REGISTERED, msg->status, s);
	r->registered = true;
	// Half a minute before the end, of short ones at half their time.
	uint64_t ms = (uint64_t)(s > 120 ? s - 30 : (s + 1) / 2) * 1000;
	timer_set(r, td_engine_spread(r->engine, ms));
}

static void response(struct td_engine *engine, struct td_ctx *ctx, const struct td_msg *msg,
	const struct td_core *core, const struct td_flow *flow)
{
	struct registration *r = td_ctx_data(ctx);
	uint32_t least_s;

	if (msg->status < 200)
		return;
	td_ctx_set_user(ctx, NULL, NULL);
	r->ctx = NULL;
	if (msg->status < 300) {
		succeeded(r, msg, td_ctx_flow(ctx));
	} else if (msg->status == 423 && td_msg_has(msg, TD_H_MIN_EXPIRES) &&
		   td_number_decode(td_msg_get(msg, TD_H_MIN_EXPIRES), EXPIRES_MAX_S, &least_s) ==
			   0 &&
		   least_s > r->expires_s) {
		r->expires_s = least_s; // §10.2.8
		timer_set(r, 0);
	} else {
		failed(r, msg->status, register_retry_after_ms(msg));
	}
}

static void timeout(struct td_engine *engine, struct td_ctx *ctx, bool transport_error)
{
	struct registration *r = td_ctx_data(ctx);

	td_ctx_set_user(ctx, NULL, NULL);
	r->ctx = NULL;
	may_be_bound(r);
	failed(r, transport_error ? 503 : 408, 0);
}

static void ended(struct td_engine *engine, struct td_ctx *ctx)
{
	struct registration *r = td_ctx_data(ctx);

	r->ctx = NULL;
}

static const struct td_trunk *trunk_of(struct td_engine *engine, struct td_ctx *ctx)
{
	const struct registration *r = td_ctx_data(ctx);

	return td_policy_trunk(engine->policy, r->index);
}

static void moved(struct td_engine *engine, struct td_ctx *ctx, struct td_ctx *fresh)
{
	struct registration *r = td_ctx_data(fresh);

	r->ctx = fresh;
	r->from.cseq = td_ctx_cseq(fresh);
}

static const struct td_ctx_user registration_user = {
	.response = response,
	.timeout = timeout,
	.ended = ended,
	.trunk = trunk_of,
	.moved = moved,
};

static void due(void *arg, struct td_timer *timer)
{
	struct registration *r = of_timer(timer);

	if (r->ctx)
		return;
	r->ctx = register_send(r->engine, &r->from, td_policy_trunk(r->engine->policy, r->index),
		r->expires_s, &registration_user, r);
	if (!r->ctx)
		failed(r, 503, 0);
}

// --- policies come and go ---

static struct registration *registration_new(struct td_registrations *all, uint32_t slot)
{
	struct td_engine *e = all->engine;
	struct registration *r = (struct registration *)(void *)td_slab_get(e->slab, sizeof(*r));
	static const char hex[] = "0123456789abcdef";
	uint8_t bytes[sizeof(r->from.call_id) / 2 + sizeof(r->from.tag) / 2];

	if (!r)
		return NULL;
	*r = (struct registration){ .engine = e, .slot = slot, .timer.expired = due };
	e->conf.ops->random(e->conf.host, bytes, sizeof(bytes));
	for (unsigned i = 0; i < sizeof(r->from.call_id); i++)
		r->from.call_id[i] = hex[bytes[i / 2] >> (i % 2 * 4) & 15];
	for (unsigned i = 0; i < sizeof(r->from.tag); i++)
		r->from.tag[i] =
			hex[bytes[sizeof(r->from.call_id) / 2 + i / 2] >> (i % 2 * 4) & 15];
	r->next = all->buckets[slot % BUCKETS];
	all->buckets[slot % BUCKETS] = r;
	return r;
}

static struct registration *registration_find(const struct td_registrations *all, uint32_t slot)
{
	struct registration *r = all->buckets[slot % BUCKETS];

	while (r && r->slot != slot)
		r = r->next;
	return r;
}

static bool same_account(const struct td_trunk_conf *a, const struct td_trunk_conf *b)
{
	return memcmp(&a->registration, &b->registration, sizeof(a->registration)) == 0 &&
	       memcmp(&a->credentials, &b->credentials, sizeof(a->credentials)) == 0;
}

// Where they are: a provider whose addresses are others now does not know us there.
static bool same_peers(const struct td_trunk_conf *a, const struct td_trunk_conf *b)
{
	return a->n_peers == b->n_peers &&
	       memcmp(a->peers, b->peers, a->n_peers * sizeof(a->peers[0])) == 0;
}

static const struct td_trunk *trunk_before(
	const struct td_policy *before, const struct registration *r)
{
	if (before && r->index < td_policy_n_trunks(before) &&
		td_policy_trunk(before, r->index)->slot == r->slot)
		return td_policy_trunk(before, r->index);
	return NULL;
}

// Whatever is under way is not sent again, and its answer says nothing of what comes next.
static void request_leave(struct registration *r)
{
	if (!r->ctx)
		return;
	td_ctx_forget(r->engine, r->ctx);
	r->ctx = NULL;
	may_be_bound(r);
}

// Takes back what may be bound with the configuration that was; waits where a request of it may
// still be on its way.
static void registration_remove(struct registration *r, const struct td_trunk *old, bool under_way)
{
	if (r->bound_until_ms > td_engine_now_ms(r->engine))
		td_leave(r->engine->registrations->leavings, &r->from, old, r->bound_until_ms,
			under_way ? r->engine->conf.t4_ms : 0);
	r->bound_until_ms = 0;
	r->registered = false;
}

static void follow_trunk(
	struct td_registrations *all, const struct td_policy *before, uint32_t index)
{
	const struct td_trunk *trunk = td_policy_trunk(all->engine->policy, index);
	struct registration *r = registration_find(all, trunk->slot);
	const struct td_trunk *old = r ? trunk_before(before, r) : NULL;

	if (!r)
		r = registration_new(all, trunk->slot);
	if (!r) {
		td_engine_count(all->engine, TD_C_SIP_NO_MEMORY);
		return;
	}
	r->wanted = true;
	r->index = index;
	bool same = old && same_account(&old->conf, &trunk->conf);
	if (same && old->realm == trunk->realm && same_peers(&old->conf, &trunk->conf))
		return;
	bool under_way = r->ctx != NULL;
	request_leave(r);
	if (old && td_registers_compare(old->realm, &old->conf.registration, trunk) != 0)
		registration_remove(r, old, under_way);
	r->failures = 0;
	r->from.peer = 0;
	if (!same)
		r->expires_s = trunk->conf.registration.expires_s;
	// Behind what is taken back of the old account, which goes out now where it is alone.
	timer_set(r, old && !same ? 1 : td_engine_spread(r->engine, FIRST_SPREAD_MS));
}

static void registration_end(
	struct td_registrations *all, struct registration *r, const struct td_policy *before)
{
	const struct td_trunk *old = trunk_before(before, r);
	bool under_way = r->ctx != NULL;

	request_leave(r);
	if (old)
		registration_remove(r, old, under_way);
	td_timer_stop(&all->engine->wheel, &r->timer);
	if (all->engine->conf.ops->trunk_registered)
		all->engine->conf.ops->trunk_registered(
			all->engine->conf.host, r->slot, TD_REGISTRATION_NONE, 0, 0);
	td_slab_put(all->engine->slab, (char *)r);
}

static bool is_ours(const struct td_engine *e, const struct td_trunk *trunk)
{
	return trunk->slot % e->conf.n_workers == e->conf.worker;
}

// Ends those of one bucket that nobody wants any more, and forgets what is wanted for the next
// time.
static void bucket_sweep(
	struct td_registrations *all, struct registration **at, const struct td_policy *before)
{
	while (*at) {
		struct registration *r = *at;
		if (r->wanted) {
			r->wanted = false;
			at = &r->next;
			continue;
		}
		*at = r->next;
		registration_end(all, r, before);
	}
}

void td_registrations_follow(struct td_registrations *all, const struct td_policy *before)
{
	const struct td_policy *policy = all->engine->policy;

	const uint32_t *indices = NULL;
	uint32_t n = policy ? td_policy_registering(policy, &indices) : 0;

	for (uint32_t i = 0; i < n; i++)
		if (is_ours(all->engine, td_policy_trunk(policy, indices[i])))
			follow_trunk(all, before, indices[i]);
	for (uint32_t i = 0; i < BUCKETS; i++)
		bucket_sweep(all, &all->buckets[i], before);
	td_leavings_follow(all->leavings);
}
