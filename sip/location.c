// SPDX-License-Identifier: BSD-3-Clause
#include "sip/location.h"

enum {
	TEXT_BYTES = 512, // of a binding on average, its struct included; more is the share of
			  // those that have less
	SPARE_BYTES = 4 << 20,
	BINDING_BYTES = 320, // as most are
	COLLECT_BURST = 64,
	HEADS_PER_BINDING = 2, // few chains have a second node then, which nobody asked for in time
};

struct td_location {
	struct td_location_conf conf;
	struct td_alloc alloc;
	struct td_map map;
	struct td_slab *slab;
	uint32_t count;
	struct td_location_binding *retired, **retired_end;
};

static size_t slab_bytes(uint32_t capacity)
{
	return (size_t)capacity * TEXT_BYTES + SPARE_BYTES;
}

size_t td_location_bytes(uint32_t capacity)
{
	return slab_bytes(capacity) + (size_t)capacity * 2 * HEADS_PER_BINDING * sizeof(void *);
}

struct td_location *td_location_new(const struct td_location_conf *conf)
{
	struct td_location *l = conf->alloc->alloc(conf->alloc->ctx, sizeof(*l));

	if (!l)
		return NULL;
	memset(l, 0, sizeof(*l));
	l->conf = *conf;
	l->alloc = *conf->alloc;
	l->retired_end = &l->retired;
	l->slab = td_slab_new(
		&l->alloc, slab_bytes(conf->capacity), slab_bytes(conf->capacity));
	const uint64_t heads = (uint64_t)conf->capacity * HEADS_PER_BINDING;
	if (l->slab && td_map_init(&l->map, &l->alloc, heads) == 0)
		return l;
	td_location_free(l);
	return NULL;
}

void td_location_free(struct td_location *l)
{
	if (!l)
		return;
	const struct td_alloc alloc = l->alloc;

	td_map_fini(&l->map, &alloc);
	td_slab_free_all(l->slab, &alloc);
	alloc.free(alloc.ctx, l);
}

// --- writer ---

void td_location_prefetch_head(const struct td_location *l, uint64_t hash)
{
	td_map_prefetch_head(&l->map, hash);
}

void td_location_prefetch_bindings(const struct td_location *l, uint64_t hash)
{
	td_map_prefetch_node(&l->map, hash, BINDING_BYTES);
}

static struct td_location_binding *binding_match(struct td_map_node *node, struct td_span aor)
{
	for (; node; node = td_map_next(node)) {
		struct td_location_binding *b = (struct td_location_binding *)node;
		if (td_span_eq(td_location_aor(b), aor))
			return b;
	}
	return NULL;
}

struct td_location_binding *td_location_first(
	struct td_location *l, uint64_t hash, struct td_span aor)
{
	return binding_match(td_map_first(&l->map, hash), aor);
}

struct td_location_binding *td_location_next(struct td_location_binding *b)
{
	return binding_match(td_map_next(&b->node), td_location_aor(b));
}

static uint16_t text_put(char **p, struct td_span text)
{
	if (text.len > 0)
		memcpy(*p, text.ptr, text.len);
	*p += text.len;
	return (uint16_t)text.len;
}

struct td_location_binding *td_location_make(struct td_location *l, uint64_t hash,
	uint16_t realm, uint64_t born, const struct td_binding *b)
{
	uint32_t bytes = (uint32_t)sizeof(struct td_location_binding) + b->aor.len +
			 b->contact.len + b->call_id.len + b->path.len + b->instance.len +
			 b->user_agent.len;
	struct td_location_binding *n = (void *)td_slab_get(l->slab, bytes);

	if (!n)
		return NULL;
	memset(n, 0, sizeof(*n));
	n->node.hash = hash;
	n->timer.expired = l->conf.due;
	n->flow = (struct td_flow){ .local = b->local,
		.remote = b->remote,
		.realm = realm,
		.transport = b->transport };
	n->cseq = b->cseq;
	n->ping_ms = UINT64_MAX;
	n->changed_us = b->changed_us;
	n->born = born;
	n->reg_id = b->reg_id;
	n->q = b->q;
	char *p = n->text;
	n->aor_len = text_put(&p, b->aor);
	n->contact_len = text_put(&p, b->contact);
	n->call_id_len = text_put(&p, b->call_id);
	n->path_len = text_put(&p, b->path);
	n->instance_len = text_put(&p, b->instance);
	n->user_agent_len = text_put(&p, b->user_agent);
	return n;
}

void td_location_remove(struct td_location *l, struct td_location_binding *b)
{
	td_map_remove(&l->map, &b->node);
	td_timer_stop(l->conf.wheel, &b->timer);
	b->retired.next = NULL;
	b->retired.grace = l->conf.ops->grace_begin ? l->conf.ops->grace_begin(l->conf.host) : 0;
	*l->retired_end = b;
	l->retired_end = &b->retired.next;
	l->count--;
}

void td_location_link(struct td_location *l, struct td_location_binding *old,
	struct td_location_binding *made)
{
	// The new one stands before the old one goes: no reader finds neither.
	td_map_insert(&l->map, &made->node);
	l->count++;
	if (old)
		td_location_remove(l, old);
}

void td_location_drop(struct td_location *l, struct td_location_binding *made)
{
	td_slab_put(l->slab, (char *)made);
}

void td_location_collect(struct td_location *l)
{
	for (unsigned i = 0; i < COLLECT_BURST && l->retired; i++) {
		struct td_location_binding *b = l->retired;
		if (l->conf.ops->grace_over &&
			!l->conf.ops->grace_over(l->conf.host, b->retired.grace))
			return;
		l->retired = b->retired.next;
		if (!l->retired)
			l->retired_end = &l->retired;
		td_slab_put(l->slab, (char *)b);
	}
}

uint32_t td_location_count(const struct td_location *l)
{
	return l->count;
}

bool td_location_has_room(const struct td_location *l, uint32_t more)
{
	return l->count + more <= l->conf.capacity;
}

// --- readers ---

// One binding that is just being replaced, or two that lead the same way. Two phones behind two
// NATs may well have one URI; an instance with and without its name has one flow.
static bool is_same(const struct td_contact *a, const struct td_contact *b)
{
	if (a->reg_id > 0 && b->reg_id > 0)
		return td_contact_same_instance(a, b) &&
		       (a->reg_id == b->reg_id ||
			       (td_sockaddr_eq(&a->flow.remote, &b->flow.remote) &&
				       td_sockaddr_eq(&a->flow.local, &b->flow.local) &&
				       td_span_eq(a->path, b->path)));
	return td_span_eq(a->uri, b->uri) &&
	       ((a->reg_id > 0) == (b->reg_id > 0) ||
		       td_sockaddr_eq(&a->flow.remote, &b->flow.remote));
}

static bool is_there(const struct td_contact *contacts, uint16_t n, const struct td_contact *c)
{
	for (uint16_t i = 0; i < n; i++)
		if (is_same(&contacts[i], c))
			return true;
	return false;
}

// Keeps the order by q; of one q the newest first.
static void contact_insert(struct td_contact *contacts, uint16_t n, const struct td_contact *c)
{
	uint16_t at = n;

	for (; at > 0 && contacts[at - 1].q < c->q; at--)
		contacts[at] = contacts[at - 1];
	contacts[at] = *c;
}

uint16_t td_location_find(const struct td_location *l, uint64_t hash, struct td_span aor,
	uint64_t born, struct td_contact out[TD_CONTACTS_MAX])
{
	uint16_t n = 0;

	for (const struct td_map_node *node = td_map_first(&l->map, hash);
		node && n < TD_CONTACTS_MAX; node = td_map_next(node)) {
		const struct td_location_binding *b = (const struct td_location_binding *)node;
		if (b->born != born || !td_span_eq(td_location_aor(b), aor))
			continue;
		const struct td_contact contact = { .aor = td_location_aor(b),
			.uri = td_location_contact(b),
			.path = td_location_path(b),
			.instance = td_location_instance(b),
			.flow = b->flow,
			.q = b->q,
			.reg_id = b->reg_id };
		if (!is_there(out, n, &contact))
			contact_insert(out, n++, &contact);
	}
	return n;
}
