// SPDX-License-Identifier: BSD-3-Clause
// Phones of subscribers: three of each behind one address. They register, refresh, unregister,
// begin anew with other addresses, fall silent, call each other, and hurry.
#include "tests/sim/registrar.h"

#include <stdarg.h>
#include <stdlib.h>

#define CHALLENGES_MAX 4
#define BOOTS_MAX 4 // each leaves a binding behind: an AoR has no more than it may
#define SWITCH_URI "sip:" REG_DOMAIN

void phone_aor(uint32_t aor, char dst[TD_AOR_LEN])
{
	snprintf(dst, TD_AOR_LEN, "u%u@" REG_DOMAIN, aor);
}

static struct td_sockaddr address_of(const struct phone *p)
{
	return (struct td_sockaddr){ .ip = { 10, 1, (uint8_t)(p->aor >> 8), (uint8_t)p->aor },
		.port = (uint16_t)(5060 + 16 * (p->index % REG_FAMILY) + p->boots),
		.family = TD_IPV4 };
}

struct phone *phone_at(struct world *w, const struct td_sockaddr *address)
{
	uint32_t aor = (uint32_t)address->ip[2] << 8 | address->ip[3];
	uint32_t n = (uint32_t)(address->port - 5060) / 16;

	if (address->ip[0] != 10 || address->ip[1] != 1 || address->port < 5060 ||
		n >= REG_FAMILY || aor * REG_FAMILY + n >= w->opt.phones)
		return NULL;
	struct phone *p = &w->phones[aor * REG_FAMILY + n];
	return p->address.port == address->port ? p : NULL;
}

// --- messages ---

struct message *message_new(struct world *w, struct phone *p, uint8_t kind)
{
	struct message *m = calloc(1, sizeof(*m));

	if (!m)
		abort();
	m->next = w->messages;
	w->messages = m;
	m->phone = p;
	m->kind = kind;
	if (p) {
		m->src = p->address;
		m->aor = p->aor;
	}
	return m;
}

struct trip {
	struct message *message;
	struct td_sockaddr src;
};

static void trip_end(struct sim *sim, void *what, uint64_t arg)
{
	struct trip *t = what;

	reg_switch_rx(world_of(sim), t->message, &t->src);
	free(t);
}

void message_launch(
	struct world *w, struct message *m, const struct td_sockaddr *src, uint64_t *rng)
{
	uint32_t copies = rng_chance(rng, w->opt.duplicate) ? 2 : 1;

	for (uint32_t i = 0; i < copies; i++) {
		bool lost = rng_chance(rng, w->opt.loss);
		uint64_t delay = (5 + rng_below(rng, w->opt.jitter_ms + 1)) * MS;
		struct trip *t = lost ? NULL : malloc(sizeof(*t));
		if (!t)
			continue;
		*t = (struct trip){ m, *src };
		at(&w->sim, w->sim.now + delay, trip_end, t, 0);
	}
}

static void put(struct message *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct message *m, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int n = vsnprintf(m->data + m->len, sizeof(m->data) - m->len, format, args);
	va_end(args);
	if (n < 0 || m->len + (uint32_t)n >= sizeof(m->data))
		abort();
	m->len += (uint32_t)n;
}

// A third of the phones say an address that only their own network knows.
static void contact_text(const struct phone *p, char *dst, size_t cap)
{
	if (p->index % 3 == 0)
		snprintf(dst, cap, "sip:%s@192.168.%u.%u:%u", p->user, p->index & 7, p->boots,
			p->address.port);
	else
		snprintf(dst, cap, "sip:%s@10.1.%u.%u:%u", p->user, p->aor >> 8, p->aor & 255,
			p->address.port);
}

static void key_make(const struct phone *p, char key[TD_BINDING_KEY_LEN])
{
	char aor[TD_AOR_LEN], contact[128], instance[64];

	phone_aor(p->aor, aor);
	contact_text(p, contact, sizeof(contact));
	snprintf(instance, sizeof(instance), "<urn:uuid:phone-%u>", p->index);
	const struct td_binding b = { .aor = td_span_str(aor),
		.contact = td_span_str(contact),
		.instance = p->outbound ? td_span_str(instance) : (struct td_span){ 0 },
		.reg_id = p->outbound ? 1 : 0 };
	td_binding_key(&b, key);
}

static void put_contact(struct message *m, const struct phone *p)
{
	char contact[128];

	contact_text(p, contact, sizeof(contact));
	if (m->kind == MSG_STAR) {
		put(m, "Contact: *\r\nExpires: 0\r\n");
		return;
	}
	put(m, "Contact: <%s>;expires=%u;q=0.%u", contact, m->expires_s, 1 + p->index % 9);
	if (p->outbound)
		put(m,
			";+sip.instance=\"<urn:uuid:phone-%u>\";reg-id=1\r\nSupported: path, "
			"outbound",
			p->index);
	put(m, "\r\n");
}

static void put_credentials(struct message *m, struct phone *p, const char *method, const char *uri)
{
	char line[1024];

	if (p->digest.nonce[0] == '\0')
		return;
	digest_client_line(&p->digest, method, uri, line, sizeof(line));
	put(m, "%s", line);
}

static void put_head(struct message *m, struct phone *p, const char *method, const char *uri,
	const char *to, const char *call_id)
{
	char ip[TD_ADDR_STRLEN];

	td_ip_format(&p->address, false, ip, sizeof(ip));
	snprintf(p->branch, sizeof(p->branch), "z9hG4bKp%u-%u", p->index, ++p->serial);
	put(m, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s:%u;branch=%s;rport\r\nMax-Forwards: 70\r\n",
		method, uri, ip, p->address.port, p->branch);
	put(m,
		"From: <sip:%s@" REG_DOMAIN
		">;tag=t%u\r\nTo: <%s>\r\nCall-ID: %s\r\nCSeq: %u %s\r\n",
		p->user, p->index, to, call_id, p->cseq, method);
}

static struct message *register_make(struct phone *p)
{
	struct message *m = message_new(p->w, p, p->wants);
	char to[128];

	m->expires_s = p->wants_s;
	m->cseq = ++p->cseq;
	key_make(p, m->key);
	snprintf(to, sizeof(to), "sip:%s@" REG_DOMAIN, p->user);
	put_head(m, p, "REGISTER", SWITCH_URI, to, p->call_id);
	put_contact(m, p);
	put_credentials(m, p, "REGISTER", SWITCH_URI);
	put(m, "User-Agent: phone %u\r\nContent-Length: 0\r\n\r\n", p->boots);
	return m;
}

static struct message *invite_make(struct phone *p)
{
	struct message *m = message_new(p->w, p, MSG_INVITE);
	char uri[128], call_id[64];

	m->cseq = ++p->cseq;
	snprintf(uri, sizeof(uri), "sip:u%u@" REG_DOMAIN, p->wants_s);
	snprintf(call_id, sizeof(call_id), "call-%u-%u", p->index, p->calls);
	put_head(m, p, "INVITE", uri, uri, call_id);
	put(m, "Contact: <sip:%s@10.1.%u.%u:%u>\r\n", p->user, p->aor >> 8, p->aor & 255,
		p->address.port);
	put_credentials(m, p, "INVITE", uri);
	put(m, "Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s", strlen(REG_SDP),
		REG_SDP);
	return m;
}

// --- asking ---

static void wake(struct sim *sim, void *what, uint64_t generation);

static void sleep_for(struct phone *p, uint64_t ms)
{
	at(&p->w->sim, p->w->sim.now + ms * MS, wake, p, ++p->generation);
}

static void again(struct sim *sim, void *what, uint64_t generation)
{
	struct phone *p = what;
	const struct world *w = p->w;

	if (generation != p->generation || !p->asked)
		return;
	if (sim->now - p->asked_at >= 64 * T1) {
		// A call may ring longer than anybody cares to wait here.
		if (p->wants != MSG_INVITE && w->opt.loss == 0 && w->opt.restarts == 0 &&
			w->opt.refuse == 0)
			reg_breach(p->w, REG_STUCK, "no answer to %.*s", (int)p->asked->len,
				p->asked->data);
		p->asked = NULL;
		p->registered = false;
		sleep_for(p, rng_between(&p->rng, 1000, 5000));
		return;
	}
	message_launch(p->w, p->asked, &p->asked->src, &p->rng);
	p->interval = p->interval < T2 ? 2 * p->interval : T2;
	at(sim, sim->now + p->interval, again, p, p->generation);
}

static void ask(struct phone *p)
{
	p->asked = p->wants == MSG_INVITE ? invite_make(p) : register_make(p);
	p->asked_at = p->w->sim.now;
	p->interval = T1;
	message_launch(p->w, p->asked, &p->asked->src, &p->rng);
	at(&p->w->sim, p->w->sim.now + T1, again, p, ++p->generation);
}

static void want(struct phone *p, uint8_t what, uint32_t expires_s)
{
	p->wants = what;
	p->wants_s = expires_s;
	p->challenges = 0;
	p->calls += what == MSG_INVITE;
	p->digest.password = p->clumsy && rng_chance(&p->rng, 100000) ? "wrong" : REG_PASSWORD;
	if (rng_chance(&p->rng, 300000))
		p->digest.nonce[0] = '\0'; // it has forgotten it
	ask(p);
}

// Another address, another Call-ID: what it had registered stays until it expires.
static void begin_anew(struct phone *p)
{
	if (p->boots >= BOOTS_MAX)
		return;
	p->boots++;
	p->address = address_of(p);
	p->digest.nonce[0] = '\0';
	snprintf(p->call_id, sizeof(p->call_id), "reg-%u-%u", p->index, p->boots);
	p->registered = false;
}

static void wake(struct sim *sim, void *what, uint64_t generation)
{
	struct phone *p = what;
	uint32_t dice = rng_below(&p->rng, 100);

	if (generation != p->generation || p->w->ended)
		return;
	if (dice < 4)
		begin_anew(p);
	if (!p->registered || dice < 65)
		want(p, MSG_REGISTER, rng_between(&p->rng, 10, 300));
	else if (dice < 78)
		want(p, MSG_REMOVE, 0);
	else if (dice < 82)
		want(p, MSG_STAR, 0);
	else if (dice < 97)
		want(p, MSG_INVITE, rng_below(&p->rng, p->w->opt.phones / REG_FAMILY));
	else
		sleep_for(p, rng_between(&p->rng, 60000, 400000)); // switched off
}

// --- answers ---

static bool challenge_take(struct phone *p, const struct sip *m)
{
	struct td_span value;

	for (uint32_t i = 0; (value = sip_header(m, "WWW-Authenticate", i)).len > 0; i++)
		if (digest_client_take(&p->digest, value))
			return true;
	return false;
}

static struct message *dialog_make(
	struct phone *p, const struct sip *m, const char *method, uint32_t cseq)
{
	struct message *out = message_new(p->w, p, MSG_ACK);
	struct td_span to = sip_header(m, "To", 0), from = sip_header(m, "From", 0),
		       via = sip_header(m, "Via", 0), id = sip_header(m, "Call-ID", 0);
	struct td_span uri = sip_uri(m->status < 300 ? sip_header(m, "Contact", 0) : to);

	put(out, "%s %.*s SIP/2.0\r\nVia: %.*s%s\r\nMax-Forwards: 70\r\n", method, (int)uri.len,
		uri.ptr, (int)via.len, via.ptr, m->status < 300 ? method : "");
	put(out, "From: %.*s\r\nTo: %.*s\r\n", (int)from.len, from.ptr, (int)to.len, to.ptr);
	put(out, "Call-ID: %.*s\r\nCSeq: %u %s\r\nContent-Length: 0\r\n\r\n", (int)id.len, id.ptr,
		cseq, method);
	return out;
}

static void acknowledge(struct phone *p, const struct sip *m)
{
	struct message *ack = dialog_make(p, m, "ACK", m->cseq);

	message_launch(p->w, ack, &ack->src, &p->rng);
	if (m->status >= 300 || p->talks == m->cseq)
		return;
	p->talks = m->cseq; // its CSeq names the call: it counts on through all of them
	reg_hang_up_later(p, dialog_make(p, m, "BYE", m->cseq + 1), rng_below(&p->rng, 30000));
}

static void answered(struct phone *p, int status)
{
	bool good = status == 200 || p->wants == MSG_INVITE;

	p->asked = NULL;
	if (status == 200)
		p->registered = p->wants == MSG_REGISTER;
	// Now and then at once: two changes of one binding within a millisecond.
	if (good && rng_chance(&p->rng, 200000)) {
		if (p->w->ended)
			return;
		bool leaves = p->registered && rng_chance(&p->rng, 500000);
		want(p, leaves ? MSG_REMOVE : MSG_REGISTER, leaves ? 0 : 60);
		return;
	}
	sleep_for(p, good ? rng_between(&p->rng, 100, 40000) : rng_between(&p->rng, 1000, 8000));
}

static void response_rx(struct phone *p, const struct sip *m)
{
	bool invite = strcmp(m->method, "INVITE") == 0;

	if (invite && m->status >= 200)
		acknowledge(p, m);
	if (!p->asked || m->cseq != p->asked->cseq || m->status < 200 ||
		!td_span_eq(sip_param(sip_header(m, "Via", 0), "branch"), td_span_str(p->branch)))
		return;
	if (m->status != 401) {
		answered(p, m->status);
		return;
	}
	if (++p->challenges > CHALLENGES_MAX && p->w->opt.restarts == 0)
		reg_breach(p->w, REG_STUCK, "challenged %u times: %.*s", p->challenges,
			(int)p->asked->len, p->asked->data);
	if (!challenge_take(p, m) || p->challenges > CHALLENGES_MAX) {
		p->asked = NULL;
		sleep_for(p, 1000);
		return;
	}
	ask(p);
}

// --- requests of the switch ---

struct message *phone_answer(struct phone *p, const struct sip *m, int status, const char *body)
{
	struct message *a = message_new(p->w, p, MSG_ANSWER);
	struct td_span from = sip_header(m, "From", 0), to = sip_header(m, "To", 0),
		       id = sip_header(m, "Call-ID", 0), cseq = sip_header(m, "CSeq", 0), via;

	put(a, "SIP/2.0 %d Answer\r\n", status);
	for (uint32_t i = 0; (via = sip_header(m, "Via", i)).len > 0; i++)
		put(a, "Via: %.*s\r\n", (int)via.len, via.ptr);
	put(a, "From: %.*s\r\nTo: %.*s", (int)from.len, from.ptr, (int)to.len, to.ptr);
	if (sip_param(to, "tag").len == 0)
		put(a, ";tag=p%u", p->index);
	put(a, "\r\nCall-ID: %.*s\r\nCSeq: %.*s\r\nContact: <sip:%s@10.1.%u.%u:%u>\r\n",
		(int)id.len, id.ptr, (int)cseq.len, cseq.ptr, p->user, p->aor >> 8, p->aor & 255,
		p->address.port);
	if (*body)
		put(a, "Content-Type: application/sdp\r\n");
	put(a, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
	return a;
}

static void respond(struct phone *p, const struct sip *m, int status)
{
	struct message *a = phone_answer(p, m, status, "");

	message_launch(p->w, a, &p->address, &p->rng);
}

void phone_rx(struct phone *p, const char *data, uint32_t len, const struct td_sockaddr *from)
{
	struct sip m;

	if (!sip_read(&m, data, len))
		return; // a keep-alive
	if (!m.request)
		response_rx(p, &m);
	else if (strcmp(m.method, "INVITE") == 0)
		reg_called(p, &m);
	else if (strcmp(m.method, "CANCEL") == 0)
		reg_cancelled(p, &m);
	else if (strcmp(m.method, "ACK") == 0)
		reg_acked(p, &m);
	else
		respond(p, &m, 200);
}

void phone_start(struct phone *p, struct world *w, uint32_t index)
{
	*p = (struct phone){
		.w = w, .index = index, .aor = index / REG_FAMILY, .outbound = index % 4 == 1
	};
	p->clumsy = p->aor % 5 == 4;
	snprintf(p->user, sizeof(p->user), "u%u", p->aor);
	snprintf(p->call_id, sizeof(p->call_id), "reg-%u-0", index);
	p->address = address_of(p);
	p->rng = rng_seed(w->opt.seed, 5000 + index, 1);
	p->rng_in = rng_seed(w->opt.seed, 5000 + index, 2);
	p->digest =
		(struct digest_client){ .algorithm = index % 2 ? TD_DIGEST_MD5 : TD_DIGEST_SHA256,
			.user = p->user,
			.password = REG_PASSWORD,
			.realm = REG_DOMAIN };
	sleep_for(p, rng_below(&p->rng, 20000));
}
