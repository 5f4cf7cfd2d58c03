// SPDX-License-Identifier: BSD-3-Clause
// The switch before its providers: two engines, the policies that come and go, and what they send,
// judged as it leaves.
#include "sip/digest.h"
#include "tests/sim/provider.h"

#include <errno.h>
#include <stdlib.h>

#define TRANSACTION (32 * SECOND) // 64 T1

static void owner_turn(struct prov_owner *o);

// --- the host ---

static int buf_get(void *host, uint32_t bytes, struct td_buf *out)
{
	struct prov_owner *o = host;

	*out = (struct td_buf){ .data = malloc(bytes > 0 ? bytes : 1), .cap = bytes };
	if (!out->data)
		return -ENOBUFS;
	o->bufs_out++;
	return 0;
}

static void buf_put(void *host, struct td_buf *buf)
{
	free(buf->data);
	((struct prov_owner *)host)->bufs_out--;
}

struct datagram {
	uint32_t owner, len;
	struct td_flow flow;
	char data[];
};

static void arrive(struct sim *sim, void *what, uint64_t arg)
{
	struct datagram *d = what;

	prov_peer_rx(prov_of(sim), d->owner, &d->flow, d->data, d->len);
	free(d);
}

static struct prov_open *open_of(struct prov_account *a, struct td_span call_id, uint32_t contact)
{
	for (uint32_t i = contact; i < PROV_OPENS * PROV_CONTACTS; i += PROV_CONTACTS)
		if (td_span_eq(call_id, td_span_str(a->opens[i].call_id)))
			return &a->opens[i];
	struct prov_open *o = &a->opens[(a->next_open++ % PROV_OPENS) * PROV_CONTACTS + contact];
	*o = (struct prov_open){ .answered = true };
	td_span_cstr(call_id, o->call_id, sizeof(o->call_id));
	return o;
}

// A first REGISTER of a trunk, not one with credentials for a challenge just heard.
static void check_pace(struct prov *p, uint32_t trunk)
{
	struct prov_trunk *t = &p->told[trunk];

	if (p->sim.now < t->not_before)
		prov_breach(p, PROV_HASTY, "trunk %u, %u failures, %.3f s too soon", trunk,
			t->failures, (double)(t->not_before - p->sim.now) / SECOND);
	t->asked = p->sim.now;
}

static uint32_t changes_of(const struct prov *p, int trunk)
{
	return trunk >= 0 ? p->told[trunk].changes : p->reloads;
}

// Nothing has come between it and now that makes the switch begin anew.
static bool is_current(const struct prov *p, const struct prov_open *open)
{
	return open->changes == changes_of(p, open->trunk);
}

static void check_sent(struct prov *p, const struct sip *m)
{
	uint32_t account, contact, expires_s;
	char branch[96];

	if (!prov_read(m, &account, &contact, &expires_s)) {
		prov_breach(p, PROV_TWO, "something else than a REGISTER went out");
		return;
	}
	struct td_span call_id = sip_header(m, "Call-ID", 0);
	struct prov_open *open = open_of(&p->accounts[account], call_id, contact);
	int trunk = prov_wanted(p, account, contact);
	td_span_cstr(sip_param(sip_header(m, "Via", 0), "branch"), branch, sizeof(branch));
	if (strcmp(open->branch, branch) == 0)
		return; // a copy
	if (!open->answered && p->sim.now < open->since + TRANSACTION && is_current(p, open))
		prov_breach(p, PROV_TWO, "account %u contact %u: CSeq %u while another is open",
			account, contact, m->cseq);
	if (expires_s == 0 && trunk >= 0)
		prov_breach(p, PROV_TAKEN, "account %u contact %u, which trunk %d has", account,
			contact, trunk);
	bool first = sip_header(m, "Authorization", 0).len == 0 &&
		     sip_header(m, "Proxy-Authorization", 0).len == 0;
	if (expires_s > 0 && trunk >= 0 && (first || p->told[trunk].failures > 0) &&
		open->answered && p->sim.now > open->since + SECOND)
		check_pace(p, (uint32_t)trunk);
	else if (expires_s > 0 && trunk >= 0)
		p->told[trunk].asked = p->sim.now;
	memcpy(open->branch, branch, sizeof(branch));
	open->answered = false;
	open->since = p->sim.now;
	open->trunk = trunk;
	open->changes = changes_of(p, trunk);
}

static int host_send(void *host, const struct td_flow *flow, struct td_buf *buf)
{
	struct prov_owner *o = host;
	struct prov *p = o->p;
	struct sip m;
	bool noisy = !p->quiet;
	uint32_t copies = noisy && rng_chance(&p->rng, p->opt.duplicate) ? 2 : 1;

	if (sip_read(&m, buf->data, buf->len))
		check_sent(p, &m);
	for (uint32_t i = 0; i < copies; i++) {
		if (noisy && rng_chance(&p->rng, p->opt.loss)) {
			p->n_lost++;
			continue;
		}
		struct datagram *d = malloc(sizeof(*d) + buf->len);
		if (!d)
			abort();
		*d = (struct datagram){ (uint32_t)(o - p->owners), buf->len, *flow };
		memcpy(d->data, buf->data, buf->len);
		at(&p->sim, p->sim.now + (5 + rng_below(&p->rng, p->opt.jitter_ms + 1)) * MS,
			arrive, d, 0);
	}
	buf_put(host, buf);
	return 0;
}

static void host_log(void *host, const char *text, uint32_t len)
{
}

static void host_random(void *host, void *dst, uint32_t len)
{
	struct prov *p = ((struct prov_owner *)host)->p;

	for (uint32_t i = 0; i < len; i++)
		((uint8_t *)dst)[i] = (uint8_t)(rng_next(&p->rng) >> 24);
}

// The shortest pause behind so many failures in a row: the next peer's turn comes at once, a
// round's end is a pause that doubles (RFC 5626 §4.5), less an eighth; no shorter than it was told.
static uint64_t least_pause(const struct prov_trunk *t)
{
	uint64_t pause = 5 * SECOND;

	if (t->failures % PROV_PEERS != 0)
		return 80 * MS;
	for (uint32_t i = t->failures / PROV_PEERS; i > 1 && pause < 1800 * SECOND; i--)
		pause *= 2;
	pause = (pause < 1800 * SECOND ? pause : 1800 * SECOND) / 8 * 7;
	return (pause > t->retry_after ? pause : t->retry_after) - MS;
}

static void host_told(
	void *host, uint32_t slot, uint8_t state, uint16_t sip_code, uint32_t expires_s)
{
	struct prov *p = ((struct prov_owner *)host)->p;
	struct prov_trunk *t = &p->told[slot];

	t->registered = state == TD_REGISTERED;
	if (state == TD_REGISTRATION_FAILED) {
		t->failures++;
		if (sip_code != 503)
			t->retry_after = 0;
		t->not_before = p->sim.now + least_pause(t);
		return;
	}
	*t = (struct prov_trunk){ .registered = t->registered,
		.asked = t->asked,
		.changes = t->changes,
		.until = p->sim.now + expires_s * SECOND };
	if (t->registered) // not before half of it is over
		t->not_before = p->sim.now + expires_s * SECOND / 16 * 7 - MS;
}

static const struct td_host_ops ops = {
	.buf_get = buf_get,
	.buf_put = buf_put,
	.send = host_send,
	.log = host_log,
	.random = host_random,
	.trunk_registered = host_told,
};

// --- up, down, and other policies ---

static void tick(struct sim *sim, void *what, uint64_t arg)
{
	struct prov_owner *o = what;

	if (o->tick_at != arg || !o->engine)
		return;
	o->tick_at = UINT64_MAX;
	owner_turn(o);
}

static void owner_turn(struct prov_owner *o)
{
	struct sim *sim = &o->p->sim;
	uint64_t next = td_engine_tick(o->engine, sim->now, 64);

	if (next == UINT64_MAX)
		return;
	if (next <= sim->now)
		next = sim->now + MS / 10;
	if (next >= o->tick_at)
		return;
	o->tick_at = next;
	at(sim, next, tick, o, next);
}

void prov_switch_rx(struct prov *p, uint32_t owner, const struct td_flow *flow, const char *text)
{
	uint32_t len = (uint32_t)strlen(text);
	char *data = malloc(len); // exactly, so that a byte more is seen
	struct sip m;

	if (!data || !sip_read(&m, text, len))
		abort();
	memcpy(data, text, len);
	char branch[96];
	uint32_t account = (uint32_t)strtoul(sip_uri(sip_header(&m, "To", 0)).ptr + 5, NULL, 10);
	td_span_cstr(sip_param(sip_header(&m, "Via", 0), "branch"), branch, sizeof(branch));
	for (uint32_t i = 0; i < PROV_OPENS * PROV_CONTACTS; i++) {
		struct prov_open *open = &p->accounts[account].opens[i];
		if (strcmp(open->branch, branch) != 0 || open->answered)
			continue;
		open->answered = true;
		struct td_span after = sip_header(&m, "Retry-After", 0);
		if (open->trunk >= 0 && is_current(p, open))
			p->told[open->trunk].retry_after =
				after.len ? strtoul(after.ptr, NULL, 10) * SECOND : 0;
	}
	td_engine_rx(p->owners[owner].engine, p->sim.now, flow, data, len);
	free(data);
	owner_turn(&p->owners[owner]);
}

static uint32_t slot_of(void *ctx, enum td_limit_kind kind, const char *name)
{
	return kind == TD_LIMIT_TRUNK ? (uint32_t)strtoul(name + 1, NULL, 10) : PROV_TRUNKS;
}

static int realm_of(void *ctx, const char *name)
{
	return 0;
}

static void trunk_make(struct td_trunk_conf *t, uint32_t index)
{
	struct td_credentials *who = &t->credentials;
	uint8_t ha1[TD_DIGEST_BYTES_MAX];

	*t = (struct td_trunk_conf){ .enabled = true,
		.attempt_timeout_ms = 5000,
		.ring_timeout_ms = 180000,
		.n_peers = PROV_PEERS };
	snprintf(t->name, sizeof(t->name), "t%u", index);
	snprintf(t->realm, sizeof(t->realm), "out");
	snprintf(t->match.tech_prefix, sizeof(t->match.tech_prefix), "%u", 100 + index);
	for (uint8_t i = 0; i < PROV_PEERS; i++)
		t->peers[i].address = (struct td_sockaddr){ .family = TD_IPV4,
			.port = 5060,
			.ip = { 10, 7, (uint8_t)(index / 2 % PROV_PROVIDERS), (uint8_t)(i + 1) } };
	snprintf(who->username, sizeof(who->username), "tandem");
	snprintf(who->realm, sizeof(who->realm), "provider.example");
	td_digest_ha1(
		TD_DIGEST_MD5, TD_SPAN("tandem"), TD_SPAN("provider.example"), TD_SPAN("x"), ha1);
	memcpy(who->ha1_md5, ha1, sizeof(who->ha1_md5));
}

int prov_wanted(const struct prov *p, uint32_t account, uint32_t contact)
{
	for (uint32_t i = 2 * account; i < 2 * account + 2; i++)
		if (p->trunks[i].registration.expires_s > 0 &&
			strtoul(p->trunks[i].registration.contact + 1, NULL, 10) == contact)
			return (int)i;
	return -1;
}

uint64_t prov_left(const struct prov *p)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < PROV_OWNERS; i++)
		n += p->owners[i].counters[TD_C_SIP_LEFT_REGISTERED];
	return n;
}

// Some accounts stay as they are, others move, change their Contact, or go.
static void accounts_draw(struct prov *p, bool none)
{
	static const uint32_t expires_s[] = { 60, 600, 3600 };

	for (uint32_t i = 0; i < PROV_ACCOUNTS; i++) {
		struct td_register_conf *r[2] = { &p->trunks[2 * i].registration,
			&p->trunks[2 * i + 1].registration };
		if (!none && rng_chance(&p->rng, 400000))
			continue;
		memset(r[0], 0, sizeof(*r[0]));
		memset(r[1], 0, sizeof(*r[1]));
		if (none || rng_chance(&p->rng, 250000))
			continue;
		struct td_register_conf *one = r[rng_below(&p->rng, 2)];
		snprintf(one->user, sizeof(one->user), "u%u", i);
		snprintf(one->domain, sizeof(one->domain), "provider.example");
		snprintf(one->contact, sizeof(one->contact), "c%u",
			rng_below(&p->rng, PROV_CONTACTS));
		one->expires_s = expires_s[rng_below(&p->rng, 3)];
	}
}

void prov_reload(struct prov *p, bool none)
{
	struct td_policy_conf conf = {
		.generation = p->reloads + 1, .n_trunks = PROV_TRUNKS, .trunks = p->trunks
	};
	struct td_policy_env env = { .slot_of = slot_of, .realm_of = realm_of, .n_realms = 1 };
	struct td_trunk_conf before[PROV_TRUNKS];
	char error[256] = "";

	for (uint32_t i = 0; i < PROV_OWNERS; i++)
		td_engine_tick(p->owners[i].engine, p->sim.now, 64);
	memcpy(before, p->trunks, sizeof(before));
	accounts_draw(p, none);
	struct td_policy *policy = td_policy_new(&conf, &env, error, sizeof(error));
	if (!policy) {
		fprintf(stderr, "%s\n", error);
		abort();
	}
	p->reloads++;
	for (uint32_t i = 0; i < PROV_TRUNKS; i++)
		if (memcmp(&before[i], &p->trunks[i], sizeof(before[i])) != 0)
			p->told[i] = (struct prov_trunk){ .changes = p->told[i].changes + 1 };
	for (uint32_t i = 0; i < PROV_OWNERS; i++)
		td_engine_set_policy(p->owners[i].engine, policy);
	td_policy_free(p->policy);
	p->policy = policy;
	for (uint32_t i = 0; i < PROV_OWNERS; i++)
		owner_turn(&p->owners[i]);
}

int prov_switch_up(struct prov *p)
{
	p->realm = (struct td_engine_realm){ .name = "out", .n_addresses = 1, .n_listeners = 1 };
	td_ip_parse(TD_SPAN("10.7.255.1"), &p->realm.addresses[0].ip);
	p->realm.addresses[0].prefix_len = 16;
	p->realm.listeners[0] = (struct td_listener_conf){ .transport = TD_UDP, .port = 5060 };
	for (uint32_t i = 0; i < PROV_TRUNKS; i++)
		trunk_make(&p->trunks[i], i);
	for (uint32_t i = 0; i < PROV_OWNERS; i++) {
		struct prov_owner *o = &p->owners[i];
		struct td_engine_conf conf = { .ops = &ops,
			.host = o,
			.counters = o->counters,
			.node = 1,
			.worker = (uint8_t)i,
			.n_workers = PROV_OWNERS,
			.epoch = 1,
			.node_name = "sim",
			.max_calls = 64,
			.max_cps = 10,
			.sip_message_bytes = 4096,
			.t1_ms = 500,
			.t2_ms = 4000,
			.t4_ms = 5000,
			.n_realms = 1,
			.realms = &p->realm };
		*o = (struct prov_owner){ .p = p, .tick_at = UINT64_MAX };
		o->engine = td_engine_new(&conf);
		if (!o->engine)
			return -1;
	}
	return 0;
}

void prov_switch_down(struct prov *p)
{
	for (uint32_t i = 0; i < PROV_OWNERS; i++)
		td_engine_free(p->owners[i].engine);
	td_policy_free(p->policy);
}
