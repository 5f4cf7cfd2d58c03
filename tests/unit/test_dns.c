// SPDX-License-Identifier: BSD-3-Clause
// Answers of name servers, the way from a host name to addresses, and the policy they make.
#include "control/dns_file.h"
#include "control/policy_pb.h"
#include "control/policy_resolve.h"
#include "guard_page.h"
#include "include/policy_conf.h"

#include <ares.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

// --- packets ---

struct packet {
	uint8_t bytes[8192];
	size_t len;
};

static void put(struct packet *p, uint32_t n, size_t bytes)
{
	while (bytes-- > 0)
		p->bytes[p->len++] = (uint8_t)(n >> 8 * bytes);
}

static void put_name(struct packet *p, const char *name)
{
	while (*name) {
		size_t label = strcspn(name, ".");
		put(p, (uint32_t)label, 1);
		memcpy(p->bytes + p->len, name, label);
		p->len += label;
		name += label + (name[label] == '.');
	}
	put(p, 0, 1);
}

static void put_string(struct packet *p, const char *text)
{
	put(p, (uint32_t)strlen(text), 1);
	memcpy(p->bytes + p->len, text, strlen(text));
	p->len += strlen(text);
}

static struct packet packet(const char *name, uint32_t type, uint32_t answers)
{
	struct packet p = { .len = 0 };

	put(&p, 0x12348180, 4);
	put(&p, 1, 2);
	put(&p, answers, 2);
	put(&p, 0, 4);
	put_name(&p, name);
	put(&p, type, 2);
	put(&p, 1, 2);
	return p;
}

// The head of a record of that name; the length is filled in by record_end().
static size_t record_begin(struct packet *p, const char *name, uint32_t type, uint32_t ttl_s)
{
	put_name(p, name);
	put(p, type, 2);
	put(p, 1, 2);
	put(p, ttl_s, 4);
	put(p, 0, 2);
	return p->len;
}

static void record_end(struct packet *p, size_t begin)
{
	size_t end = p->len;

	p->len = begin - 2;
	put(p, (uint32_t)(end - begin), 2);
	p->len = end;
}

enum { A = 1, CNAME = 5, SOA = 6, AAAA = 28, SRV = 33, NAPTR = 35 };

static void put_a(struct packet *p, const char *name, uint32_t ttl_s, uint32_t ip)
{
	size_t at = record_begin(p, name, A, ttl_s);

	put(p, ip, 4);
	record_end(p, at);
}

static void put_srv(struct packet *p, const char *name, uint32_t ttl_s, uint32_t priority,
	uint32_t weight, uint32_t port, const char *target)
{
	size_t at = record_begin(p, name, SRV, ttl_s);

	put(p, priority, 2);
	put(p, weight, 2);
	put(p, port, 2);
	put_name(p, target);
	record_end(p, at);
}

static void put_naptr(struct packet *p, const char *name, uint32_t order, uint32_t preference,
	const char *flags, const char *service, const char *replacement)
{
	size_t at = record_begin(p, name, NAPTR, 300);

	put(p, order, 2);
	put(p, preference, 2);
	put_string(p, flags);
	put_string(p, service);
	put_string(p, "");
	put_name(p, replacement);
	record_end(p, at);
}

// On a page's end, so that reading behind it is seen.
static int parsed(
	const struct packet *p, size_t len, enum td_dns_type type, struct td_dns_reply *out)
{
	const char *end = guard_page_put((const char *)p->bytes, len);

	return td_dns_reply_read(type, (const uint8_t *)end, len, out);
}

static void addresses_are_bounded_and_in_order(void **state)
{
	struct packet p = packet("a.test", A, 21);
	struct td_dns_reply reply;

	size_t at = record_begin(&p, "a.test", CNAME, 7);
	put_name(&p, "b.test");
	record_end(&p, at);
	for (uint32_t i = 20; i > 0; i--)
		put_a(&p, "b.test", 60 + i, i == 3 ? 0x7f000001 : 0x0a000000 + i);
	assert_int_equal(parsed(&p, p.len, TD_DNS_A, &reply), 0);
	assert_int_equal(reply.n, TD_DNS_ANSWERS_MAX);
	assert_int_equal(reply.left_out, 4); // three without room, and one of nobody else's
	assert_int_equal(reply.ttl_s, 7);
	for (uint32_t i = 1; i < reply.n; i++)
		assert_true(memcmp(&reply.addresses[i - 1], &reply.addresses[i], 20) < 0);
	assert_int_equal(reply.addresses[0].ip[3], 1);
	assert_int_equal(reply.addresses[2].ip[3], 4);
}

static void services_are_in_order(void **state)
{
	struct packet p = packet("_sip._udp.a.test", SRV, 4);
	struct td_dns_reply reply;

	put_srv(&p, "_sip._udp.a.test", 0x80000000, 20, 0, 5060, "T3.test");
	put_srv(&p, "_sip._udp.a.test", 30, 10, 60, 5061, "t2.test");
	put_srv(&p, "_sip._udp.a.test", 30, 10, 40, 5061, "T1.Test");
	put_srv(&p, "_sip._udp.a.test", 30, 10, 40, 0, "t4.test");
	assert_int_equal(parsed(&p, p.len, TD_DNS_SRV, &reply), 0);
	assert_int_equal(reply.n, 3);
	assert_int_equal(reply.left_out, 1);
	assert_int_equal(reply.ttl_s, 0); // RFC 2181 §8
	assert_string_equal(reply.srv[0].target, "t1.test");
	assert_string_equal(reply.srv[2].target, "t3.test");

	p = packet("_sip._udp.a.test", SRV, 1);
	put_srv(&p, "_sip._udp.a.test", 30, 0, 0, 0, "");
	assert_int_equal(parsed(&p, p.len, TD_DNS_SRV, &reply), 0);
	assert_int_equal(reply.n, 0);
	assert_true(reply.none);

	p = packet("a.test", NAPTR, 5);
	put_naptr(&p, "a.test", 20, 5, "S", "sip+d2u", "_sip._udp.second.test");
	put_naptr(&p, "a.test", 10, 5, "s", "SIP+D2T", "_sip._tcp.a.test");
	put_naptr(&p, "a.test", 10, 9, "s", "SIP+D2U", "_sip._udp.first.test");
	put_naptr(&p, "a.test", 1, 1, "u", "SIP+D2U", "x.test");
	put_naptr(&p, "a.test", 1, 1, "u", "E2U+sip", "");
	assert_int_equal(parsed(&p, p.len, TD_DNS_NAPTR, &reply), 0);
	assert_int_equal(reply.n, 2);
	assert_string_equal(reply.naptr[0].replacement, "_sip._udp.first.test");
	assert_string_equal(reply.naptr[1].replacement, "_sip._udp.second.test");
}

// Every cut, and every byte turned over: a word, never more than there is.
static void what_does_not_hold_is_refused(void **state)
{
	struct packet p = packet("a.test", SRV, 2);
	struct td_dns_reply reply;

	put_srv(&p, "a.test", 30, 10, 40, 5061, "t1.test");
	put_srv(&p, "a.test", 30, 10, 40, 5061, "t2.test");
	for (size_t len = 0; len < p.len; len++)
		assert_int_equal(parsed(&p, len, TD_DNS_SRV, &reply), -EBADMSG);
	for (size_t at = 0; at < p.len; at++) {
		p.bytes[at] ^= 0xff;
		for (int type = TD_DNS_A; type <= TD_DNS_NAPTR; type++) {
			parsed(&p, p.len, (enum td_dns_type)type, &reply);
			assert_true(reply.n <= TD_DNS_ANSWERS_MAX);
		}
		p.bytes[at] ^= 0xff;
	}
	p = packet("a.test", A, 0);
	assert_int_equal(parsed(&p, p.len, TD_DNS_A, &reply), -ENOENT);
	assert_int_equal(reply.ttl_s, UINT32_MAX); // nobody says for how long
	p = packet("a.test", A, 1);                // a loop alone
	size_t at = record_begin(&p, "a.test", CNAME, 7);
	put_name(&p, "a.test");
	record_end(&p, at);
	assert_int_not_equal(parsed(&p, p.len, TD_DNS_A, &reply), 0);
}

// RFC 2308: by the lesser of the SOA's own time and its minimum, found behind a CNAME too.
static void what_there_is_none_of_has_its_time(void **state)
{
	struct td_dns_reply reply;

	for (uint32_t chain = 0; chain < 2; chain++) {
		struct packet p = packet("a.test", A, chain);
		uint32_t minimum_s = chain ? 120 : 20;
		if (chain) {
			size_t at = record_begin(&p, "a.test", CNAME, 900);
			put_name(&p, "b.test");
			record_end(&p, at);
		}
		p.bytes[9] = 2;
		size_t at =
			record_begin(&p, "test", 2, 5); // an NS record, whose time is none of this
		put_name(&p, "ns.test");
		record_end(&p, at);
		at = record_begin(&p, "test", SOA, 77);
		put_name(&p, "ns.test");
		put_name(&p, "root.test");
		for (int i = 0; i < 4; i++)
			put(&p, 1, 4);
		put(&p, minimum_s, 4);
		record_end(&p, at);
		assert_int_equal(td_dns_none_ttl_s(p.bytes, p.len), chain ? 77 : 20);
		if (!chain)
			assert_int_equal(parsed(&p, p.len, TD_DNS_A, &reply), -ENOENT);
		for (size_t len = 0; len < p.len; len++) {
			const char *end = guard_page_put((const char *)p.bytes, len);
			assert_int_equal(td_dns_none_ttl_s((const uint8_t *)end, len), UINT32_MAX);
		}
	}
}

// --- look-ups ---

// What a name server says: "NAME TYPE" → an error, or records as text. It answers at once, or when
// it is told to.
struct said {
	const char *name;
	enum td_dns_type type;
	int code;
	const char *records; // "10 60 5061 t1.test;…", "10.0.0.1;…", "10 5 replacement;…"
	uint32_t ttl_s;
};

struct waiting {
	char name[TD_HOST_LEN];
	enum td_dns_type type;
	td_dns_heard heard;
	void *user;
};

struct server {
	const struct said *said;
	bool later;
	uint32_t n_waiting;
	struct waiting waiting[64];
	char asked[2048]; // "naptr a.test, …"
};

struct outcome {
	int rc, n;
};

static void record_take(struct td_dns_reply *reply, enum td_dns_type type, const char *text)
{
	struct td_dns_srv *srv = &reply->srv[reply->n];
	struct td_dns_naptr *naptr = &reply->naptr[reply->n];

	if (type == TD_DNS_SRV)
		assert_int_equal(sscanf(text, "%hu %hu %hu %127[^;]", &srv->priority, &srv->weight,
					 &srv->port, srv->target),
			4);
	else if (type == TD_DNS_NAPTR)
		assert_int_equal(sscanf(text, "%hu %hu %127[^;]", &naptr->order, &naptr->preference,
					 naptr->replacement),
			3);
	else
		assert_int_equal(td_ip_parse(td_span(text, (uint32_t)strcspn(text, ";")),
					 &reply->addresses[reply->n]),
			0);
	reply->n++;
}

static void answer(struct server *s, const struct waiting *w)
{
	for (const struct said *a = s->said; a->name; a++) {
		struct td_dns_reply reply = { .ttl_s = a->ttl_s };
		if (strcmp(a->name, w->name) != 0 || a->type != w->type)
			continue;
		for (const char *r = a->records; r && *r; r += strcspn(r, ";"), r += *r == ';')
			record_take(&reply, a->type, r);
		w->heard(w->user, a->code, a->code && a->code != -ENOENT ? NULL : &reply);
		return;
	}
	w->heard(w->user, -ENOENT, &(struct td_dns_reply){ .ttl_s = UINT32_MAX });
}

static void ask(void *ctx, const char *name, enum td_dns_type type, td_dns_heard heard, void *user)
{
	static const char *const types[] = { "a", "aaaa", "srv", "naptr" };
	struct server *s = ctx;
	struct waiting w = { .type = type, .heard = heard, .user = user };
	size_t at = strlen(s->asked);

	snprintf(w.name, sizeof(w.name), "%s", name);
	snprintf(s->asked + at, sizeof(s->asked) - at, "%s %s, ", types[type], name);
	if (s->later) {
		assert_true(s->n_waiting < 64);
		s->waiting[s->n_waiting++] = w;
	} else {
		answer(s, &w);
	}
}

static void done(struct td_dns_lookup *l, int rc)
{
	struct outcome *o = l->user;

	o->rc = rc;
	o->n++;
}

// The outcome is the same whether answers come at once or later, the last one first.
static int look(const struct said *said, const char *name, uint16_t port,
	const struct td_dns_answer *old, struct td_dns_lookup *l, struct server *s)
{
	struct outcome o = { 0 };
	struct td_dns_answer at_once = { 0 };
	int rc = 0;

	for (int later = 0; later < 2; later++) {
		*s = (struct server){ .said = said, .later = later };
		struct td_dns_asker asker = { ask, s };
		memset(l, 0, sizeof(*l));
		l->asker = &asker;
		snprintf(l->name, sizeof(l->name), "%s", name);
		l->port = port;
		l->old = old;
		l->done = done;
		l->user = &o;
		o.n = 0;
		td_dns_lookup_begin(l);
		while (s->n_waiting > 0) {
			struct waiting w = s->waiting[--s->n_waiting];
			answer(s, &w);
		}
		assert_int_equal(o.n, 1);
		if (later) {
			assert_int_equal(o.rc, rc);
			assert_memory_equal(&l->answer, &at_once, sizeof(at_once));
		}
		rc = o.rc;
		at_once = l->answer;
	}
	return rc;
}

static const char *text_of(const struct td_dns_answer *a)
{
	static char text[1024];
	size_t at = 0;

	text[0] = '\0';
	for (uint16_t i = 0; i < a->n; i++) {
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%u/%u ",
			a->records[i].priority, a->records[i].weight);
		at += td_sockaddr_format(&a->records[i].address, text + at, sizeof(text) - at);
		at += (size_t)snprintf(text + at, sizeof(text) - at, "; ");
	}
	return text;
}

static void naptr_leads_to_srv_leads_to_addresses(void **state)
{
	static const struct said said[] = {
		{ "a.test", TD_DNS_NAPTR, 0, "10 5 _sip._udp.dead.test;20 5 _x.a.test", 300 },
		{ "_x.a.test", TD_DNS_SRV, 0,
			"10 40 5061 t1.test;10 60 5062 t2.test;20 0 5060 t3.test", 60 },
		{ "t1.test", TD_DNS_A, 0, "10.0.0.1", 50 },
		{ "t2.test", TD_DNS_A, 0, "10.0.0.2;10.0.0.3", 40 },
		{ "t2.test", TD_DNS_AAAA, 0, "fd00::2", 45 },
		{ "t3.test", TD_DNS_A, 0, "10.0.0.4", 30 },
		{ NULL },
	};
	struct td_dns_lookup l;
	struct server s = { 0 };
	uint16_t shares[TD_DNS_ANSWERS_MAX];

	assert_int_equal(look(said, "a.test", 0, NULL, &l, &s), 0);
	assert_string_equal(text_of(&l.answer),
		"10/40 10.0.0.1:5061; 10/60 10.0.0.2:5062; 10/60 10.0.0.3:5062; "
		"10/60 [fd00::2]:5062; 20/0 10.0.0.4:5060; ");
	assert_int_equal(l.ttl_s, 30);
	assert_false(l.partial);
	td_dns_shares(&l.answer, shares);
	assert_in_range(shares[0], 43689, 43690); // 40 of 60
	assert_int_equal(shares[1] + shares[2] + shares[3], 65535);
	assert_int_equal(shares[4], 65535);
}

static void without_naptr_and_without_srv(void **state)
{
	static const struct said srv[] = {
		{ "_sip._udp.a.test", TD_DNS_SRV, 0, "1 1 5060 a.test", 60 },
		{ "a.test", TD_DNS_A, 0, "10.0.0.1", 50 },
		{ NULL },
	};
	struct td_dns_lookup l;
	struct server s = { 0 };

	assert_int_equal(look(srv, "a.test", 0, NULL, &l, &s), 0);
	assert_string_equal(s.asked, "naptr a.test, srv _sip._udp.a.test, a a.test, aaaa a.test, ");
	assert_int_equal(look(srv + 1, "a.test", 0, NULL, &l, &s), 0);
	assert_string_equal(text_of(&l.answer), "0/0 10.0.0.1:5060; ");
	assert_int_equal(look(srv, "a.test", 5099, NULL, &l, &s), 0);
	assert_string_equal(s.asked, "a a.test, aaaa a.test, ");
	assert_string_equal(text_of(&l.answer), "0/0 10.0.0.1:5099; ");
	assert_int_equal(look(srv, "b.test", 0, NULL, &l, &s), -ENOENT);
	// Services of other transports alone are none (RFC 3263 §4.1), and services without SRV
	// records leave the host itself (§4.2).
	static const struct said others[] = {
		{ "a.test", TD_DNS_NAPTR, 0, "", 300 },
		{ "a.test", TD_DNS_A, 0, "10.0.0.1", 50 },
		{ NULL },
	};
	assert_int_equal(look(others, "a.test", 0, NULL, &l, &s), 0);
	assert_string_equal(s.asked, "naptr a.test, srv _sip._udp.a.test, a a.test, aaaa a.test, ");
	assert_string_equal(text_of(&l.answer), "0/0 10.0.0.1:5060; ");
	static const struct said torn[] = {
		{ "a.test", TD_DNS_NAPTR, 0, "10 5 _x.a.test", 300 },
		{ "a.test", TD_DNS_A, 0, "10.0.0.1", 50 },
		{ NULL },
	};
	assert_int_equal(look(torn, "a.test", 0, NULL, &l, &s), 0);
	assert_string_equal(s.asked,
		"naptr a.test, srv _x.a.test, srv _sip._udp.a.test, a a.test, aaaa a.test, ");
}

// The least of all that said for how long; a service that decidedly is none counts too.
static void there_is_none_for_a_while(void **state)
{
	static const struct said none[] = {
		{ "a.test", TD_DNS_NAPTR, -ENOENT, NULL, 90 },
		{ "_sip._udp.a.test", TD_DNS_SRV, -ENOENT, NULL, 80 },
		{ "a.test", TD_DNS_A, -ENOENT, NULL, 70 },
		{ "b.test", TD_DNS_NAPTR, 0, "", 40 },
		{ NULL },
	};
	static const struct said some[] = {
		{ "a.test", TD_DNS_NAPTR, -ENOENT, NULL, 5 },
		{ "a.test", TD_DNS_A, 0, "10.0.0.1", 50 },
		{ NULL },
	};
	struct td_dns_lookup l;
	struct server s = { 0 };

	assert_int_equal(look(none, "a.test", 0, NULL, &l, &s), -ENOENT);
	assert_int_equal(l.none_s, 70);
	assert_int_equal(look(none, "b.test", 0, NULL, &l, &s), -ENOENT);
	assert_int_equal(l.none_s, 40);
	assert_int_equal(look(none, "c.test", 0, NULL, &l, &s), -ENOENT);
	assert_int_equal(l.none_s, UINT32_MAX);
	assert_int_equal(look(some, "a.test", 0, NULL, &l, &s), 0);
	assert_int_equal(l.ttl_s, 50);
}

static void failures_are_no_answers(void **state)
{
	static const struct said dead[] = {
		{ "a.test", TD_DNS_NAPTR, -ETIMEDOUT },
		{ "_sip._udp.a.test", TD_DNS_SRV, -ETIMEDOUT },
		{ "a.test", TD_DNS_A, 0, "10.0.0.1", 50 },
		{ NULL },
	};
	static const struct said odd[] = {
		// fails over types that it does not know
		{ "a.test", TD_DNS_NAPTR, -EIO },
		{ "a.test", TD_DNS_A, 0, "10.0.0.1", 50 },
		{ NULL },
	};
	static const struct said half[] = {
		{ "_sip._udp.a.test", TD_DNS_SRV, 0, "1 1 5060 t1.test;1 1 5070 t2.test", 60 },
		{ "t1.test", TD_DNS_A, -EIO },
		{ "t2.test", TD_DNS_A, 0, "10.0.0.2", 50 },
		{ NULL },
	};
	struct td_dns_answer old = { .n = 1, .records = { { .host = "t1.test" } } };
	struct td_dns_lookup l;
	struct server s = { 0 };

	td_ip_parse(TD_SPAN("10.0.0.9"), &old.records[0].address);
	assert_int_equal(look(dead, "a.test", 0, NULL, &l, &s), -ETIMEDOUT);
	assert_int_equal(look(odd, "a.test", 0, NULL, &l, &s), 0);
	assert_int_equal(look(odd, "a.test", 0, &old, &l, &s), -EIO);
	// What one host had serves on, until somebody knows better.
	assert_int_equal(look(half, "a.test", 0, &old, &l, &s), 0);
	assert_string_equal(text_of(&l.answer), "1/1 10.0.0.9:5060; 1/1 10.0.0.2:5070; ");
	assert_true(l.partial);
	assert_int_equal(look(half, "a.test", 0, NULL, &l, &s), 0);
	assert_string_equal(text_of(&l.answer), "1/1 10.0.0.2:5070; ");
	assert_true(l.partial);
}

static void the_best_sixteen_are_kept(void **state)
{
	static const struct said said[] = {
		{ "_sip._udp.a.test", TD_DNS_SRV, 0, "1 1 5060 t1.test;2 1 5060 t2.test", 60 },
		{ "t1.test", TD_DNS_A, 0,
			"10.0.1.1;10.0.1.2;10.0.1.3;10.0.1.4;10.0.1.5;10.0.1.6;10.0.1.7;10.0.1.8;"
			"10.0.1.9",
			9 },
		{ "t2.test", TD_DNS_A, 0,
			"10.0.2.1;10.0.2.2;10.0.2.3;10.0.2.4;10.0.2.5;10.0.2.6;10.0.2.7;10.0.2.8;"
			"10.0.2.9",
			9 },
		{ NULL },
	};
	struct td_dns_lookup l;
	struct server s = { 0 };

	assert_int_equal(look(said, "a.test", 0, NULL, &l, &s), 0);
	assert_int_equal(l.answer.n, 16);
	assert_int_equal(l.answer.left_out, 2);
	assert_int_equal(l.answer.records[15].address.ip[3], 7);
}

// --- the file ---

static struct td_dns_kept kept[2];
static struct td_dns_kept read_back[4];
static uint32_t n_read;

static const struct td_dns_kept *kept_next(void *user, uint32_t k)
{
	return k < 2 ? &kept[k] : NULL;
}

static void kept_take(void *user, const struct td_dns_kept *k)
{
	assert_true(n_read < 4);
	read_back[n_read++] = *k;
}

static void answers_are_kept(void **state)
{
	char dir[] = "/tmp/test_dns.XXXXXX", path[64], line[256];

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/dns.state", dir);
	memset(kept, 0, sizeof(kept));
	for (int i = 0; i < 2; i++) {
		snprintf(kept[i].name, sizeof(kept[i].name), "%c.test", 'a' + i);
		kept[i].port = (uint16_t)(5060 * i);
		kept[i].resolved_s = 1234567890123;
		kept[i].answer.n = 2;
		for (int k = 0; k < 2; k++) {
			struct td_dns_record *r = &kept[i].answer.records[k];
			r->priority = 1;
			r->weight = 65535;
			snprintf(r->host, sizeof(r->host), "t%d.test", k);
			td_ip_parse(k ? TD_SPAN("fd00::1") : TD_SPAN("10.0.0.1"), &r->address);
			r->address.port = 5061;
		}
	}
	td_dns_file_read(dir, kept_take, NULL); // there is none
	assert_int_equal(n_read, 0);
	assert_int_equal(td_dns_file_write(dir, kept_next, NULL), 0);
	td_dns_file_read(dir, kept_take, NULL);
	assert_int_equal(n_read, 2);
	assert_memory_equal(read_back, kept, sizeof(kept));

	// What somebody wrote into it is passed over, the rest holds.
	FILE *file = fopen(path, "a");
	fputs("  record 1 1 0 t1.test 10.0.0.1\n  record 1 1 5060 t1.test 10.0.0\nname c/d.test 0 "
	      "1\n"
	      "  record 1 1 5060 t1.test 10.0.0.7\nname d.test 0 1\n  record 1 1 5060 t1.test "
	      "10.0.0.7",
		file);
	for (int i = 0; i < 40; i++)
		fputs("\n  record 1 1 5060 t1.test 10.0.0.8", file);
	fclose(file);
	n_read = 0;
	td_dns_file_read(dir, kept_take, NULL);
	assert_int_equal(n_read, 3);
	assert_memory_equal(read_back, kept, sizeof(kept));
	assert_string_equal(read_back[2].name, "d.test");
	assert_int_equal(read_back[2].answer.n, TD_DNS_ANSWERS_MAX);
	snprintf(line, sizeof(line), "%s/nowhere", dir);
	assert_int_equal(td_dns_file_write(line, kept_next, NULL), -ENOENT);
	unlink(path);
	rmdir(dir);
}

// --- the policy ---

static const struct td_dns_answer *find(void *ctx, const struct td_host_conf *host)
{
	return strcmp(host->name, "a.test") == 0 ? ctx : NULL;
}

static struct td_trunk_conf named_trunk(const char *name)
{
	struct td_trunk_conf t = {
		.name = "t", .realm = "west", .enabled = true, .n_peers = 3, .n_hosts = 1
	};

	snprintf(t.hosts[0].name, sizeof(t.hosts[0].name), "%s", name);
	td_ip_parse(TD_SPAN("10.0.0.70"), &t.peers[0].address);
	t.peers[0].address.port = 5060;
	t.peers[0].priority = 5;
	t.peers[1].host = 1;
	t.peers[1].priority = 1;
	td_ip_parse(TD_SPAN("10.0.0.71"), &t.peers[2].address);
	t.peers[2].priority = 1;
	return t;
}

static void hosts_give_way_to_addresses(void **state)
{
	static struct td_config config = { .n_realms = 1 };
	static const struct said said[] = {
		{ "_sip._udp.a.test", TD_DNS_SRV, 0, "1 1 5060 t1.test;2 9 5060 t2.test", 60 },
		{ "t1.test", TD_DNS_A, 0, "10.0.0.1;10.0.0.2;10.0.0.254", 9 },
		{ "t1.test", TD_DNS_AAAA, 0, "fd00::1", 9 },
		{ "t2.test", TD_DNS_A, 0, "10.0.0.3;10.0.0.2", 9 },
		{ NULL },
	};
	struct td_trunk_conf trunks[2] = { named_trunk("a.test"), named_trunk("b.test") };
	struct td_policy_conf conf = { .n_trunks = 2, .trunks = trunks };
	struct td_resolved_policy out, again;
	struct td_dns_lookup l;
	struct server s = { 0 };
	uint32_t left_out;

	snprintf(config.realms[0].name, TD_NAME_LEN, "west");
	config.realms[0].n_addresses = 1;
	td_ip_parse(TD_SPAN("10.0.0.254"), &config.realms[0].addresses[0].ip);
	assert_int_equal(look(said, "a.test", 0, NULL, &l, &s), 0);
	assert_int_equal(td_policy_resolve(&conf, &config, find, &l.answer, &out, &left_out), 0);
	assert_int_equal(left_out, 0);
	// Neither its own address, nor a family that the realm lacks, nor one twice.
	const struct td_trunk_conf *t = &out.conf.trunks[0];
	assert_int_equal(t->n_peers, 5);
	const uint8_t last[] = { 1, 2, 3, 71, 70 }, sets[] = { 1, 1, 2, 0, 0 },
		      hosts[] = { 1, 1, 1, 0, 0 };
	for (int i = 0; i < 5; i++) {
		assert_int_equal(t->peers[i].address.ip[3], last[i]);
		assert_int_equal(t->peers[i].set, sets[i]);
		assert_int_equal(t->peers[i].host, hosts[i]);
	}
	assert_int_equal(t->peers[0].weight, t->peers[1].weight);
	assert_int_equal(out.conf.trunks[1].n_peers, 2);
	assert_int_equal(trunks[0].n_peers, 3);

	// The addresses are in the generation; an answer that came again is not.
	assert_int_equal(td_policy_resolve(&conf, &config, find, &l.answer, &again, &left_out), 0);
	assert_int_equal(td_policy_seal(&out), 0);
	assert_int_equal(td_policy_seal(&again), 0);
	assert_int_equal(again.conf.generation, out.conf.generation);
	td_resolved_policy_fini(&again);
	l.answer.records[0].address.ip[2] = 9;
	assert_int_equal(td_policy_resolve(&conf, &config, find, &l.answer, &again, &left_out), 0);
	assert_int_equal(td_policy_seal(&again), 0);
	assert_int_not_equal(again.conf.generation, out.conf.generation);
	td_resolved_policy_fini(&again);

	// What is sent is a frame, and what is kept its last bytes.
	Tandem__Frame *frame = tandem__frame__unpack(NULL, out.frame_len, out.frame);
	const char *error;
	struct td_policy_conf *unpacked = td_policy_unpack(
		out.frame + out.frame_len - out.policy_len, out.policy_len, &error);
	assert_int_equal(frame->body_case, TANDEM__FRAME__BODY_POLICY);
	assert_int_equal(frame->policy->generation, out.conf.generation);
	assert_int_equal(unpacked->generation, out.conf.generation);
	assert_int_equal(unpacked->trunks[0].n_peers, 5);
	tandem__frame__free_unpacked(frame, NULL);
	td_policy_conf_free(unpacked);
	td_resolved_policy_fini(&out);

	// Without hosts nothing is copied.
	trunks[0].n_hosts = trunks[1].n_hosts = 0;
	assert_int_equal(td_policy_resolve(&conf, &config, find, NULL, &out, &left_out), 0);
	assert_null(out.trunks);
	assert_ptr_equal(out.conf.trunks, trunks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_bounded_and_in_order),
		cmocka_unit_test(services_are_in_order),
		cmocka_unit_test(what_does_not_hold_is_refused),
		cmocka_unit_test(naptr_leads_to_srv_leads_to_addresses),
		cmocka_unit_test(what_there_is_none_of_has_its_time),
		cmocka_unit_test(without_naptr_and_without_srv),
		cmocka_unit_test(there_is_none_for_a_while),
		cmocka_unit_test(failures_are_no_answers),
		cmocka_unit_test(the_best_sixteen_are_kept),
		cmocka_unit_test(answers_are_kept),
		cmocka_unit_test(hosts_give_way_to_addresses),
	};

	ares_library_init(ARES_LIB_INIT_ALL);
	return cmocka_run_group_tests_name("dns", tests, NULL, NULL);
}
