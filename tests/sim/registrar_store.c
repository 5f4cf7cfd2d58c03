// SPDX-License-Identifier: BSD-3-Clause
// The way of the records: ring, disk, store and back. What must be in the tables and in the store
// is kept here by the records alone, and each answer is held to it.
#include "tests/sim/registrar.h"

#include "sip/aor.h"
#include "sip/location.h"
#include "sip/subscribers.h"

#include <errno.h>
#include <stdlib.h>

#define SLACK_MS 2000 // of what is about to expire nothing is said

// Keys begin with a letter and the number of the AoR: those of one lie in one bucket.
static struct entry **bucket_of(struct world *w, const char *key)
{
	return &w->entries[strtoul(key + 1, NULL, 10) % REG_BUCKETS];
}

struct entry *reg_entry(struct world *w, const char *key, bool make)
{
	struct entry **slot = bucket_of(w, key);

	for (struct entry *e = *slot; e; e = e->next)
		if (strcmp(e->key, key) == 0)
			return e;
	if (!make)
		return NULL;
	struct entry *e = calloc(1, sizeof(*e));
	if (!e)
		abort();
	snprintf(e->key, sizeof(e->key), "%s", key);
	e->aor = (uint32_t)strtoul(key + 1, NULL, 10);
	e->next = *slot;
	*slot = e;
	return e;
}

void reg_store_free(struct world *w)
{
	for (uint32_t i = 0; i < REG_BUCKETS; i++)
		for (struct entry *e = w->entries[i], *next; e; e = next) {
			next = e->next;
			free(e);
		}
	for (struct written *r = w->flushing, *next; r; r = next) {
		next = r->next;
		free(r);
	}
}

// --- into the store ---

// As control does: by key, the newest change wins.
static void store_put(struct world *w, const uint8_t *record, uint32_t bytes, uint64_t sequence)
{
	struct td_binding b;
	char key[TD_BINDING_KEY_LEN];

	if (td_binding_unpack(record, bytes, &b) == 0) {
		reg_breach(w, REG_WRONG, "a record that does not hold");
		return;
	}
	td_binding_key(&b, key);
	struct entry *e = reg_entry(w, key, true);
	bool newer = !e->stored || b.changed_us >= e->changed_us;
	if (e->stored && newer != (sequence >= e->sequence))
		reg_breach(w, REG_LOST, "%s: change %llu is dated %llu, change %llu before it %llu",
			key, (unsigned long long)sequence, (unsigned long long)b.changed_us,
			(unsigned long long)e->sequence, (unsigned long long)e->changed_us);
	if (!newer)
		return;
	e->stored = true;
	e->sequence = sequence;
	e->changed_us = b.changed_us;
	w->newest_us = b.changed_us > w->newest_us ? b.changed_us : w->newest_us;
	e->expires_s = b.expires_s;
	e->op = b.op;
	e->bytes = bytes;
	memcpy(e->record, record, bytes);
}

// A kill between ring and segment leaves records twice, and the second time late.
struct again {
	uint64_t sequence;
	uint32_t bytes;
	uint8_t record[];
};

static void store_again(struct sim *sim, void *what, uint64_t arg)
{
	struct again *a = what;

	store_put(world_of(sim), a->record, a->bytes, a->sequence);
	free(a);
}

static void written_store(struct world *w, const struct written *r)
{
	struct td_binding b;
	size_t n;

	for (uint32_t at_byte = 0; at_byte < r->bytes; at_byte += (uint32_t)n) {
		n = td_binding_unpack(r->records + at_byte, r->bytes - at_byte, &b);
		if (n == 0)
			return;
		store_put(w, r->records + at_byte, (uint32_t)n, r->sequence);
		if (!rng_chance(&w->rng, 20000))
			continue;
		struct again *a = malloc(sizeof(*a) + n);
		if (!a)
			abort();
		*a = (struct again){ .sequence = r->sequence, .bytes = (uint32_t)n };
		memcpy(a->record, r->records + at_byte, n);
		at(&w->sim, w->sim.now + rng_below(&w->rng, 20000) * MS, store_again, a, 0);
	}
}

static void written_answer(struct world *w, struct written *r, enum td_answer answer)
{
	const struct td_late_answer late = { .cookie = r->cookie, .answer = answer };

	if (!r->waits)
		return;
	r->waits = false;
	w->hand = r->message;
	w->hand_src = r->message->src;
	td_engine_answer(r->owner->engine, w->sim.now, &late);
	w->hand = NULL;
}

static void flush(struct sim *sim, void *what, uint64_t boot)
{
	struct world *w = world_of(sim);
	bool fails = rng_chance(&w->rng, w->opt.refuse);

	if (boot != w->boot || w->down || !w->flushing)
		return;
	for (struct written *r = w->flushing; fails && r; r = r->next)
		written_answer(w, r, TD_REFUSED); // it stays in the ring, and is written later
	while (!fails && w->flushing) {
		struct written *r = w->flushing;
		w->flushing = r->next;
		if (!w->flushing)
			w->flushing_end = &w->flushing;
		written_store(w, r);
		written_answer(w, r, TD_DONE);
		free(r);
	}
	if (w->flushing)
		at(sim, sim->now + rng_between(&w->rng, 10, 200) * MS, flush, NULL, boot);
}

// A kill loses nothing of the rings; when the power goes, what was not yet on disk is lost.
void reg_store_crash(struct world *w)
{
	bool power = w->opt.sync && rng_chance(&w->rng, 500000);
	bool torn = false;

	while (w->flushing) {
		struct written *r = w->flushing;
		w->flushing = r->next;
		torn |= power && rng_chance(&w->rng, 300000);
		if (!torn)
			written_store(w, r);
		free(r);
	}
	w->flushing_end = &w->flushing;
	for (uint32_t i = 0; i < REG_BUCKETS; i++)
		for (struct entry *e = w->entries[i]; e; e = e->next) {
			e->linked = false;
			e->writer = NULL;
		}
}

// --- from the registrar ---

static bool is_of(struct world *w, const struct message *m, const struct td_binding *b)
{
	char aor[TD_AOR_LEN];

	phone_aor(m->aor, aor);
	return td_span_eq(b->aor, td_span_str(aor)) &&
	       (m->kind == MSG_REGISTER) == (b->op == TD_BINDING_UPSERT) &&
	       (b->op == TD_BINDING_REMOVE ||
		       (td_ip_eq(&b->remote, &m->src) && b->remote.port == m->src.port));
}

static void change_take(struct world *w, struct message *m, const struct td_binding *b)
{
	char key[TD_BINDING_KEY_LEN];

	td_binding_key(b, key);
	struct entry *e = reg_entry(w, key, true);
	if (!is_of(w, m, b))
		reg_breach(w, REG_INTRUDER, "%s was written for %.*s", key, (int)m->len, m->data);
	// Its own work is what a copy may do again.
	if (m->boot != 0 && (m->boot != w->boot || e->writer != m))
		reg_breach(w, REG_REPLAYED, "%s was written again for %.*s", key, (int)m->len,
			m->data);
	e->linked = b->op == TD_BINDING_UPSERT;
	e->acked = false;
	e->gone = false;
	e->writer = m;
	e->remote = b->remote;
	e->expires_ms = w->sim.now / MS + m->expires_s * 1000ull;
	e->expires_wall_s = b->expires_s;
	m->changed_us = b->changed_us;
	w->n_registered += b->op == TD_BINDING_UPSERT;
	w->n_removed += b->op == TD_BINDING_REMOVE;
}

static void written_keep(
	struct reg_owner *o, const uint8_t *records, uint32_t bytes, uint32_t n, uint64_t cookie)
{
	struct world *w = o->w;
	struct written *r = malloc(sizeof(*r) + bytes);

	if (!r)
		abort();
	*r = (struct written){ .owner = o,
		.waits = w->opt.sync,
		.message = w->hand,
		.sequence = ++w->sequence,
		.cookie = cookie,
		.bytes = bytes,
		.n = n };
	memcpy(r->records, records, bytes);
	if (!w->flushing)
		at(&w->sim, w->sim.now + rng_between(&w->rng, 1, 100) * MS, flush, NULL, w->boot);
	*w->flushing_end = r;
	w->flushing_end = &r->next;
}

enum td_answer reg_bindings_write(
	void *host, const uint8_t *records, uint32_t bytes, uint32_t n, uint64_t cookie)
{
	struct reg_owner *o = host;
	struct world *w = o->w;
	struct message *m = w->hand;
	struct td_binding b;
	uint32_t found = 0;

	if (n == 0) { // a copy: what was written before is to be safe
		written_keep(o, records, 0, 0, cookie);
		return w->opt.sync ? TD_PENDING : TD_DONE;
	}
	if (!m || m->kind > MSG_STAR || !td_ip_eq(&w->hand_src, &m->src) ||
		w->hand_src.port != m->src.port) {
		reg_breach(w, REG_INTRUDER, "a record for %.*s", m ? (int)m->len : 0,
			m ? m->data : "");
		return TD_REFUSED;
	}
	if (rng_chance(&w->rng, w->opt.refuse)) {
		w->n_refused++;
		m->refused = true;
		return TD_REFUSED;
	}
	for (size_t at_byte = 0, got; at_byte < bytes; at_byte += got, found++) {
		got = td_binding_unpack(records + at_byte, bytes - at_byte, &b);
		if (got == 0)
			break;
		change_take(w, m, &b);
	}
	if (found != n)
		reg_breach(w, REG_WRONG, "%u records, %u were announced", found, n);
	m->boot = w->boot;
	written_keep(o, records, bytes, n, cookie);
	return w->opt.sync ? TD_PENDING : TD_DONE;
}

// --- back from the store ---

// What control read of the store when the push began.
struct pushed {
	uint32_t n, next, boot;
	struct page {
		struct entry *entry;
		uint32_t bytes;
		uint8_t record[TD_BINDING_PACKED_MAX];
	} * pages;
};

static void restore_one(struct world *w, const struct page *page)
{
	struct entry *e = page->entry;
	struct td_binding b;

	td_binding_unpack(page->record, page->bytes, &b);
	uint64_t hash = td_aor_hash(&w->keys, b.aor);
	struct reg_owner *o = &w->owners[td_hash_owner(hash, (uint16_t)w->n_owners)];
	int rc = td_engine_restore_binding(o->engine, w->sim.now, page->record, page->bytes);
	if (rc == -EEXIST || (rc == -ESTALE && b.expires_s <= wall_s(w))) {
		if (rc == -EEXIST && !e->linked)
			reg_breach(w, REG_WRONG, "%s stood already, and nobody wrote it", e->key);
		if (rc == -ESTALE && !e->linked)
			e->expires_ms = 0; // for good, even if the clock is set back
		return;
	}
	if (rc != 0) {
		reg_breach(w, REG_LOST, "%s was not taken back: %d", e->key, rc);
		return;
	}
	// One that was over by a clock that has been set back since has not been there to remove.
	if (e->gone && e->expires_ms > 0)
		reg_breach(w, REG_ZOMBIE, "%s came back, though its removal got a 200", e->key);
	w->n_restored++;
	e->linked = true;
	e->remote = b.remote;
	e->expires_ms = w->sim.now / MS + (b.expires_s - wall_s(w)) * 1000;
}

static void restore_some(struct sim *sim, void *what, uint64_t arg)
{
	struct world *w = world_of(sim);
	struct pushed *p = what;

	if (p->boot != w->boot || w->down) { // killed in the middle of it
		free(p->pages);
		free(p);
		return;
	}
	for (uint32_t i = 0; i < 7 && p->next < p->n; i++)
		restore_one(w, &p->pages[p->next++]);
	for (uint32_t i = 0; i < w->n_owners; i++)
		reg_owner_turn(&w->owners[i]);
	if (p->next < p->n) {
		at(sim, sim->now + rng_below(&w->rng, 40) * MS, restore_some, p, 0);
		return;
	}
	w->ready = true;
	free(p->pages);
	free(p);
	reg_check_acked(w);
}

static void page_add(struct pushed *p, struct entry *e)
{
	p->pages[p->n].entry = e;
	p->pages[p->n].bytes = e->bytes;
	memcpy(p->pages[p->n++].record, e->record, e->bytes);
}

void reg_store_restore(struct world *w)
{
	struct pushed *p = calloc(1, sizeof(*p));
	uint32_t n = 0;

	for (uint32_t i = 0; i < REG_BUCKETS; i++)
		for (struct entry *e = w->entries[i]; e; e = e->next)
			n += e->stored && e->op == TD_BINDING_UPSERT;
	if (!p || !(p->pages = calloc(2 * n + 1, sizeof(*p->pages))))
		abort();
	p->boot = w->boot;
	for (uint32_t i = 0; i < REG_BUCKETS; i++)
		for (struct entry *e = w->entries[i]; e; e = e->next) {
			if (!e->stored || e->op != TD_BINDING_UPSERT)
				continue;
			page_add(p, e);
			if (rng_chance(&w->rng, 50000))
				page_add(p, e); // a push that was broken off begins again
		}
	for (uint32_t i = p->n; i > 1; i--) {
		uint32_t k = rng_below(&w->rng, i);
		struct page swap = p->pages[k];
		p->pages[k] = p->pages[i - 1];
		p->pages[i - 1] = swap;
	}
	restore_some(&w->sim, p, 0);
}

// --- properties ---

static bool is_safe(struct world *w, const struct message *m)
{
	const struct entry *e = reg_entry(w, m->key, false);

	return e && e->stored &&
	       (e->changed_us > m->changed_us ||
		       (e->changed_us == m->changed_us && e->op == TD_BINDING_UPSERT));
}

static void check_bound(struct world *w, const struct message *m)
{
	struct entry *e = reg_entry(w, m->key, false);

	if (!e || m->boot != w->boot || m->changed_us == 0 || (w->opt.sync && !is_safe(w, m)))
		reg_breach(w, REG_LOST, "a 200, and no record: %.*s", (int)m->len, m->data);
	else if (e->writer == m)
		e->acked = true;
}

static void check_removed(struct world *w, const struct message *m)
{
	for (struct entry *e = w->entries[m->aor % REG_BUCKETS]; e; e = e->next) {
		bool about =
			e->aor == m->aor && (m->kind == MSG_STAR || strcmp(e->key, m->key) == 0);
		if (!about || e->linked)
			continue;
		e->gone = true;
		if (w->opt.sync && e->stored && e->op == TD_BINDING_UPSERT &&
			e->expires_s > wall_s(w) + 2 && e->expires_ms > w->sim.now / MS + SLACK_MS)
			reg_breach(w, REG_ZOMBIE,
				"%s got the 200 to its removal before it was safe", e->key);
	}
}

// The final answer to a message in hand, when it is sent.
void reg_check_answer(struct world *w, const struct message *m, int status)
{
	bool genuine = td_ip_eq(&m->src, &w->hand_src) && m->src.port == w->hand_src.port;

	// Whoever sends as if it came from there has the answer sent there.
	if (m->kind == MSG_ATTACK && status / 100 == 2 && m->src.ip[1] != 1 &&
		memcmp(m->data, "OPTIONS", 7) != 0)
		reg_breach(w, REG_INTRUDER, "%d to %.*s", status, (int)m->len, m->data);
	bool excused = !m->phone || m->phone->clumsy || !genuine || m->arrived > 1;
	if (m->kind <= MSG_INVITE && !excused && status == 403)
		reg_breach(w, REG_LOCKED_OUT, "403 to %.*s", (int)m->len, m->data);
	if (m->kind > MSG_STAR)
		return;
	if (!genuine && status == 200)
		reg_breach(w, REG_INTRUDER, "200 elsewhere to %.*s", (int)m->len, m->data);
	if (status == 200 && m->kind == MSG_REGISTER)
		check_bound(w, m);
	else if (status == 200)
		check_removed(w, m);
	if (!excused && status == 503 && w->ready && !m->refused)
		reg_breach(w, REG_LOCKED_OUT, "%d to %.*s", status, (int)m->len, m->data);
}

static bool is_in(const struct td_contact *contacts, uint16_t n, const struct entry *e)
{
	for (uint16_t i = 0; i < n; i++) {
		const struct td_binding b = { .aor = contacts[i].aor,
			.contact = contacts[i].uri,
			.instance = contacts[i].instance,
			.reg_id = contacts[i].reg_id };
		char key[TD_BINDING_KEY_LEN];
		td_binding_key(&b, key);
		if (strcmp(key, e->key) == 0)
			return td_ip_eq(&contacts[i].flow.remote, &e->remote) &&
			       contacts[i].flow.remote.port == e->remote.port;
	}
	return false;
}

void reg_check_tables(struct world *w, uint32_t aor)
{
	struct td_contact contacts[TD_CONTACTS_MAX];
	uint64_t hash, now_ms = w->sim.now / MS;
	uint32_t sure = 0, about = 0;
	char text[TD_AOR_LEN];

	if (w->down || aor > w->opt.phones / REG_FAMILY)
		return;
	phone_aor(aor, text);
	const struct td_location *location = reg_location_of(w, aor, &hash);
	const struct td_subscriber_entry *s =
		td_subscribers_find(w->subscribers, td_span_str(text));
	if (!s)
		return; // they are not known yet, and nobody is bound
	uint16_t n = td_location_find(location, hash, td_span_str(text), s->born, contacts);
	for (const struct entry *e = w->entries[aor % REG_BUCKETS]; e; e = e->next) {
		if (e->aor != aor || !e->linked || e->expires_ms + SLACK_MS < now_ms)
			continue;
		about++;
		if (e->expires_ms < now_ms + SLACK_MS)
			continue;
		sure++;
		if (!is_in(contacts, n, e))
			reg_breach(w, REG_WRONG, "%s is not there, or not by its flow", e->key);
	}
	if (n < sure || n > about)
		reg_breach(w, n > about ? REG_ZOMBIE : REG_WRONG,
			"%s has %u contacts, %u were written", text, n, about);
}

void reg_check_acked(struct world *w)
{
	for (uint32_t i = 0; i < REG_BUCKETS; i++)
		for (const struct entry *e = w->entries[i]; e; e = e->next)
			if (e->acked && !e->linked && e->expires_ms > 0 &&
				e->expires_wall_s > wall_s(w) + 2)
				reg_breach(w, REG_LOST,
					"%s had its 200; in the store until %lld s from now, op %u",
					e->key, (long long)(e->expires_s - wall_s(w)), e->op);
	for (uint32_t aor = 0; aor < w->opt.phones / REG_FAMILY; aor++)
		reg_check_tables(w, aor);
}
