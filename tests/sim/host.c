// SPDX-License-Identifier: BSD-3-Clause
// What an owner's engine stands on: buffers, ports with quarantine, trunk counts, CDRs, answers
// that may come late.
#include "tests/sim/sim.h"

#include <errno.h>
#include <stdlib.h>

#define PORT_MIN 16384
#define PORT_MAX 65534
#define QUARANTINE (1 * SECOND)

int host_up(struct owner *o)
{
	struct sim *sim = o->sim;

	if (!sim->legs) {
		sim->n_legs = REALMS * (PORT_MAX - PORT_MIN) / 2 + REALMS;
		sim->legs = calloc(sim->n_legs, sizeof(*sim->legs));
		for (uint32_t r = 0; r < REALMS; r++)
			sim->leg_at[r] = calloc(65536, sizeof(uint32_t));
	}
	if (!sim->legs || !sim->leg_at[WEST] || !sim->leg_at[EAST])
		return -1;
	for (uint32_t r = 0; r < REALMS; r++) {
		o->ports[r].cap = (PORT_MAX - PORT_MIN) / 2 + 1;
		o->ports[r].ring = calloc(o->ports[r].cap, sizeof(uint16_t));
		o->ports[r].free_at = calloc(o->ports[r].cap, sizeof(uint64_t));
		if (!o->ports[r].ring || !o->ports[r].free_at)
			return -1;
		for (uint32_t port = PORT_MIN; port <= PORT_MAX; port += 2)
			if ((port >> 1) % sim->opt.owners == o->index)
				o->ports[r].ring[o->ports[r].n++] = (uint16_t)port;
	}
	return 0;
}

void host_down(struct owner *o)
{
	for (uint32_t r = 0; r < REALMS; r++) {
		free(o->ports[r].ring);
		free(o->ports[r].free_at);
	}
	if (o->index == 0) {
		free(o->sim->legs);
		for (uint32_t r = 0; r < REALMS; r++)
			free(o->sim->leg_at[r]);
	}
}

static bool scarce(struct owner *o)
{
	return rng_chance(&o->rng_scarce, o->sim->opt.scarce);
}

static int buf_get(void *host, uint32_t bytes, struct td_buf *out)
{
	struct owner *o = host;

	if (scarce(o))
		return -ENOBUFS;
	// Exactly what was asked for, so that one byte more is seen by the sanitizer.
	*out = (struct td_buf){ .data = malloc(bytes > 0 ? bytes : 1), .cap = bytes };
	if (!out->data)
		return -ENOBUFS;
	o->bufs_out++;
	return 0;
}

static void buf_put(void *host, struct td_buf *buf)
{
	struct owner *o = host;

	free(buf->data);
	o->bufs_out--;
}

static int host_send(void *host, const struct td_flow *flow, struct td_buf *buf)
{
	struct owner *o = host;
	const struct td_sockaddr *ours = &o->sim->realms[flow->realm].addresses[0].ip;

	if (!td_ip_eq(ours, &flow->local) || flow->local.port != 5060)
		breach(o->sim, BREACH_ASTRAY, "sent from an address that is not the realm's");
	bool full = scarce(o);
	if (!full)
		net_to_agent(o->sim, flow, buf->data, buf->len);
	buf_put(host, buf);
	return full ? -ENOBUFS : 0;
}

// A question on its way to somebody slow.
struct question {
	struct owner *owner;
	uint32_t call;
	struct td_late_answer answer;
	struct td_locate_answer located;
	char uris[PHONES][64]; // of its contacts
};

static void answer_late(struct sim *sim, void *what, uint64_t arg)
{
	struct question *q = what;

	sim->context = q->call;
	td_engine_answer(q->owner->engine, sim->now, &q->answer);
	sim->context = UINT32_MAX;
	owner_run(q->owner);
	free(q);
}

static struct question *question_new(struct owner *o, uint64_t cookie, uint64_t *rng)
{
	struct question *q = calloc(1, sizeof(*q));

	if (!q)
		abort();
	q->owner = o;
	q->call = o->sim->context;
	q->answer.cookie = cookie;
	at(o->sim, o->sim->now + rng_below(rng, 400) * MS, answer_late, q, 0);
	return q;
}

static enum td_answer host_route(void *host, const struct td_route_query *query, uint64_t cookie,
	struct td_route_answer *out)
{
	struct owner *o = host;
	uint64_t rng = query->random ^ o->sim->opt.seed;
	enum td_answer answer = td_policy_route(o->sim->policy, query, out);

	if (o->sim->context < o->sim->opt.calls &&
		calls_phones(&o->sim->calls[o->sim->context].script))
		*out = (struct td_route_answer){ .n = 1, .targets = { { .kind = TD_TARGET_AOR } } };
	if (rng_chance(&rng, 600000))
		return answer;
	struct question *q = question_new(o, cookie, &rng);
	q->answer.answer = answer;
	q->answer.route = *out;
	return TD_PENDING;
}

// The phones of whom the number of that call belongs to, or the flows of the one that there is,
// behind ports of one address.
static void phones_tell(
	struct sim *sim, uint32_t call, char uris[PHONES][64], struct td_locate_answer *out)
{
	bool west = sim->calls[call].caller.realm == EAST,
	     flows = sim->calls[call].script.kind == KIND_FLOWS;

	for (uint32_t i = 0; i < PHONES; i++) {
		struct td_contact *c = &out->contacts[out->n++];
		*c = (struct td_contact){ .aor = TD_SPAN("phone@tandem.example"),
			.q = i < 2 ? 1000 : 500 };
		c->instance = flows ? TD_SPAN("<urn:uuid:phone>") : (struct td_span){ 0 };
		c->reg_id = flows ? PHONES - i : 0;
		c->flow.realm = west ? WEST : EAST;
		c->flow.local = sim->realms[c->flow.realm].addresses[0].ip;
		c->flow.local.port = 5060;
		c->flow.remote = (struct td_sockaddr){
			.ip = { 10, west ? 1 : 2, (uint8_t)(call >> 8), (uint8_t)call },
			.port = (uint16_t)(6000 + i),
			.family = TD_IPV4
		};
		snprintf(uris[i], sizeof(uris[i]), "sip:4%c%06u@10.%u.%u.%u:%u", west ? '4' : '9',
			call, west ? 1 : 2, call >> 8, call & 255, 6000 + i);
		c->uri = td_span_str(uris[i]);
	}
}

// Only numbers are known here; one question in three, by AoR or number, takes its time.
static enum td_answer host_locate(
	void *host, struct td_span who, uint64_t cookie, struct td_locate_answer *out)
{
	static char uris[PHONES][64];
	struct owner *o = host;
	uint32_t call = o->sim->context;
	bool by_aor = memchr(who.ptr, '@', who.len) != NULL;
	uint64_t rng = rng_seed(o->sim->opt.seed, call, by_aor ? 79 : 80);

	out->sip_code = 404;
	if (call >= o->sim->opt.calls || scarce(o))
		return TD_REFUSED;
	if (rng_chance(&rng, 666666)) {
		if (!by_aor)
			phones_tell(o->sim, call, uris, out);
		return by_aor ? TD_REFUSED : TD_DONE;
	}
	struct question *q = question_new(o, cookie, &rng);
	q->answer.answer = by_aor ? TD_REFUSED : TD_DONE;
	q->answer.located = &q->located;
	q->located.sip_code = 404;
	if (!by_aor)
		phones_tell(o->sim, call, q->uris, &q->located);
	return TD_PENDING;
}

// Beside what the switch counts, a tally of its own that must never pass what it was asked to hold.
static int limit_acquire(void *host, enum td_limit_kind kind, uint32_t slot,
	const struct td_limit *limit, uint64_t now_ns)
{
	struct owner *o = host;
	struct sim_limit *l = &o->sim->limits[kind][slot];

	if (kind == TD_LIMIT_TRUNK && scarce(o))
		return -EDQUOT;
	int rc = td_shared_acquire(&l->count, limit, now_ns);
	if (rc < 0)
		return rc;
	if (++l->calls > l->max && l->max > 0)
		breach(o->sim, BREACH_LIMIT, "kind %u, slot %u: %u calls, at most %u", kind, slot,
			l->calls, l->max);
	l->most = l->calls > l->most ? l->calls : l->most;
	if (limit->max_cps > 0)
		l->asked_ns = o->sim->now;
	return 0;
}

static void limit_end(struct sim *sim, enum td_limit_kind kind, uint32_t slot,
	void (*end)(struct td_shared_count *))
{
	struct sim_limit *l = &sim->limits[kind][slot];

	end(&l->count);
	if (l->calls-- == 0)
		breach(sim, BREACH_LIMIT, "kind %u, slot %u: released more often than acquired",
			kind, slot);
}

static void limit_release(void *host, enum td_limit_kind kind, uint32_t slot)
{
	limit_end(((struct owner *)host)->sim, kind, slot, td_shared_release);
}

// At the instant of its acquisition, as nothing has come of it.
static void limit_cancel(void *host, enum td_limit_kind kind, uint32_t slot)
{
	struct sim *sim = ((struct owner *)host)->sim;

	if (sim->limits[kind][slot].asked_ns != sim->now)
		breach(sim, BREACH_LIMIT,
			"kind %u, slot %u: cancelled what was nothing of the kind", kind, slot);
	limit_end(sim, kind, slot, td_shared_cancel);
}

// --- media legs ---

struct leg *host_leg_at(struct sim *sim, uint32_t realm, uint16_t port)
{
	uint32_t index = sim->leg_at[realm][port];

	return index > 0 && sim->legs[index - 1].open ? &sim->legs[index - 1] : NULL;
}

static struct leg *leg_find(struct owner *o, td_leg_id id, const char *what)
{
	uint32_t index = (uint32_t)id - 1;

	if (id != 0 && index < o->sim->n_legs) {
		struct leg *leg = &o->sim->legs[index];
		if (leg->open && leg->generation == (uint32_t)(id >> 32))
			return leg;
	}
	breach(o->sim, BREACH_RESOURCE_LEFT, "%s of a leg that is not open", what);
	return NULL;
}

static int leg_open(
	void *host, const struct td_leg_open *open, td_leg_id *out, struct td_leg_local *local)
{
	struct owner *o = host;
	struct sim *sim = o->sim;

	if (scarce(o) || o->ports[open->realm].n == 0 ||
		o->ports[open->realm].free_at[o->ports[open->realm].head] > sim->now)
		return -ENOSPC;
	uint16_t port = o->ports[open->realm].ring[o->ports[open->realm].head];
	o->ports[open->realm].head = (o->ports[open->realm].head + 1) % o->ports[open->realm].cap;
	o->ports[open->realm].n--;
	uint32_t index =
		(uint32_t)(port - PORT_MIN) / 2 + open->realm * ((PORT_MAX - PORT_MIN) / 2 + 1u);
	struct leg *leg = &sim->legs[index];
	*leg = (struct leg){ .open = true, .generation = leg->generation + 1, .opened = *open };
	leg->local.rtp = leg->local.rtcp = sim->realms[open->realm].addresses[0].ip;
	leg->local.rtp.port = port;
	leg->local.rtcp.port = (uint16_t)(port + 1);
	sim->leg_at[open->realm][port] = index + 1;
	sim->legs_open++;
	*out = (uint64_t)leg->generation << 32 | (index + 1);
	*local = leg->local;
	return 0;
}

static void leg_modify(void *host, td_leg_id id, const struct td_leg_modify *modify)
{
	struct leg *leg = leg_find(host, id, "modify");

	if (leg)
		leg->now = *modify;
}

static void leg_stats(void *host, td_leg_id id, struct td_leg_stats *stats)
{
	if (leg_find(host, id, "stats"))
		*stats = (struct td_leg_stats){ .rx_packets = 1, .tx_packets = 1 };
}

static void leg_close(void *host, td_leg_id id, struct td_leg_stats *stats)
{
	struct owner *o = host;
	struct leg *leg = leg_find(o, id, "close");

	if (!leg)
		return;
	if (stats)
		leg_stats(host, id, stats);
	uint32_t r = leg->opened.realm;
	uint32_t tail = (o->ports[r].head + o->ports[r].n++) % o->ports[r].cap;
	o->ports[r].ring[tail] = leg->local.rtp.port;
	o->ports[r].free_at[tail] = o->sim->now + QUARANTINE;
	leg->open = false;
	o->sim->legs_open--;
}

static struct ua *ua_at(struct sim *sim, const struct td_sockaddr *rtp)
{
	uint32_t call = (uint32_t)rtp->ip[2] << 8 | rtp->ip[3];

	if (rtp->ip[0] != 10 || call >= sim->opt.calls)
		return NULL;
	struct call *c = &sim->calls[call];
	if (td_sockaddr_eq(&c->caller.rtp, rtp))
		return &c->caller;
	for (uint32_t i = 0; i < c->n_callees; i++)
		if (td_sockaddr_eq(&c->callees[i]->rtp, rtp))
			return c->callees[i];
	return NULL;
}

// One packet by the way that the data plane would take it, source policy "strict" included.
void host_rtp(struct sim *sim, struct ua *from)
{
	struct leg *in = host_leg_at(sim, from->realm, from->media.port);
	struct leg *out = NULL;

	sim->n_rtp++;
	if (in && td_ip_eq(&in->now.rtp, &from->rtp) && (in->now.direction & TD_LEG_RECV) &&
		in->now.peer != 0) {
		struct leg *peer = &sim->legs[(uint32_t)in->now.peer - 1];
		if (peer->open && peer->generation == (uint32_t)(in->now.peer >> 32) &&
			(peer->now.direction & TD_LEG_SEND))
			out = peer;
	}
	if (!out || out->now.rtp.family == 0) {
		sim->n_rtp_dropped++;
		return;
	}
	struct ua *to = ua_at(sim, &out->now.rtp);
	// What corruption made of an SDP's address is where that agent, as far as anybody can tell,
	// wants its media.
	if (sim->opt.corrupt > 0)
		return;
	if (!to || to->call != from->call || to->side == from->side)
		breach(sim, BREACH_HEARD, "call %u side %u was heard by call %d", from->call,
			from->side, to ? (int)to->call : -1);
	else
		to->heard++;
}

// --- records ---

static int cdr_reserve(void *host)
{
	struct owner *o = host;

	if (scarce(o))
		return -ENOSPC;
	o->reserved++;
	return 0;
}

static struct call *call_of(struct sim *sim, const char *call_id)
{
	struct ua *ua = ua_find(sim, td_span_str(call_id));

	return ua && ua->side == 0 ? &sim->calls[ua->call] : NULL;
}

static void cdr_start(void *host, const struct td_cdr *cdr)
{
	struct owner *o = host;
	struct call *call = call_of(o->sim, cdr->call_id_a);

	if (!call)
		return;
	call->n_started++;
	call->cdr = *cdr;
}

static void cdr_attempt(void *host, const struct td_cdr_attempt *attempt)
{
	struct owner *o = host;

	if (attempt->n == 0 || attempt->cdr_id[0] == '\0' || attempt->end_us < attempt->start_us)
		breach(o->sim, BREACH_CDR, "attempt %u of %s", attempt->n, attempt->cdr_id);
}

static void cdr_end(void *host, const struct td_cdr *cdr)
{
	struct owner *o = host;
	struct call *call = call_of(o->sim, cdr->call_id_a);

	if (o->reserved-- == 0)
		breach(o->sim, BREACH_CDR, "%s ended without a reservation", cdr->id);
	check_cdr(o->sim, cdr);
	if (!call)
		return;
	call->n_ended++;
	call->cdr = *cdr;
}

static void host_log(void *host, const char *text, uint32_t len)
{
	static const char *wanted = (const char *)-1;

	if (wanted == (const char *)-1)
		wanted = getenv("SIM_LOG");
	if (wanted)
		fprintf(stderr, "%.*s\n", (int)len, text);
}

// In the context of a call its own stream, so that its tokens do not hang on what other calls do.
static void host_random(void *host, void *dst, uint32_t len)
{
	struct owner *o = host;
	uint64_t *rng = o->sim->context < o->sim->opt.calls ? &o->sim->calls[o->sim->context].random
							    : &o->rng;
	uint64_t own = *rng ^ 0x5bd1e995;

	for (uint32_t i = 0; i < len; i++)
		((uint8_t *)dst)[i] = (uint8_t)(rng_next(&own) >> 24);
	*rng = rng_seed(*rng, 1, len);
}

const struct td_host_ops sim_host_ops = {
	.buf_get = buf_get,
	.buf_put = buf_put,
	.send = host_send,
	.route = host_route,
	.limit_acquire = limit_acquire,
	.limit_release = limit_release,
	.limit_cancel = limit_cancel,
	.leg_open = leg_open,
	.leg_modify = leg_modify,
	.leg_close = leg_close,
	.leg_stats = leg_stats,
	.cdr_reserve = cdr_reserve,
	.cdr_start = cdr_start,
	.cdr_attempt = cdr_attempt,
	.cdr_end = cdr_end,
	.log = host_log,
	.random = host_random,
	.locate = host_locate,
};
