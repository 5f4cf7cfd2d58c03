// SPDX-License-Identifier: BSD-3-Clause
// The judgement of credentials (RFC 7616 §3.4, §5; RFC 8760).
//
//   credentials for a domain of ours → nonce: is it good here? → penalty → subscriber → digest →
//   nonce count
//
// A nonce that holds shows who received it: only then is a wrong digest held against (that one,
// name), so that a forged source address locks nobody out, not even where a nonce may come back
// from any address. Of IPv6 a /64 is one source, since whoever has one address there has them all.
// What does not hold is called stale before any digest is looked at, so that it tells nothing of
// the password. Of a subscriber that is not there, or has no hash of that algorithm, nothing shows
// either: it is challenged, hashed and refused like a wrong password.
#include "sip/digest.h"
#include "sip/engine_priv.h"
#include "sip/hash.h"
#include "sip/hdr_auth.h"
#include "sip/nonce.h"
#include "sip/penalty.h"
#include "sip/subscribers.h"
#include "sip/writer.h"

#include <errno.h>

enum { NONCES_SPARE = 4096, NOT_READY_S = 5 };

struct td_auth {
	struct td_nonces *nonces;
	struct td_penalties *penalties, *own; // own: where the host has none for all
	struct td_digest_a2 registers[TD_DIGEST__COUNT]; // of the last REGISTER of each algorithm
};

// What one request brought.
struct claim {
	const struct td_registrar_conf *conf;
	const struct td_flow *flow;
	struct td_digest_params params;
	enum td_digest_algorithm algorithm;
	unsigned place;     // of that among the realm's
	struct td_span aor; // in aor_text
	char aor_text[TD_AOR_LEN];
	struct td_nonce nonce;
	uint32_t nc;
	bool unreadable;
};

struct td_auth *td_auth_create(
	struct td_engine *e, const struct td_alloc *alloc, uint32_t registrations)
{
	struct td_auth *auth = alloc->alloc(alloc->ctx, sizeof(*auth));

	if (!auth)
		return NULL;
	memset(auth, 0, sizeof(*auth));
	auth->nonces = td_nonces_new(
		alloc, 2 * registrations + NONCES_SPARE, &e->keys, e->conf.worker);
	if (!e->conf.penalties)
		auth->own = td_penalties_new(alloc, TD_PENALTIES, e->keys.hash);
	auth->penalties = e->conf.penalties ? e->conf.penalties : auth->own;
	if (auth->nonces && auth->penalties)
		return auth;
	td_auth_destroy(auth, alloc);
	return NULL;
}

void td_auth_destroy(struct td_auth *auth, const struct td_alloc *alloc)
{
	if (!auth)
		return;
	td_nonces_free(auth->nonces, alloc);
	td_penalties_free(auth->own, alloc);
	alloc->free(alloc->ctx, auth);
}

// --- verdicts ---

static int domain_find(const struct td_registrar_conf *conf, struct td_span name)
{
	for (uint8_t i = 0; i < conf->n_domains; i++)
		if (td_span_ieq(td_span_str(conf->domains[i]), name))
			return i;
	return -1;
}

// The domain that is asked for: that of the sender's own address where it is one of ours.
static struct td_span realm_to_name(
	const struct td_registrar_conf *conf, const struct td_core *core)
{
	int i = domain_find(conf, core->from.uri.host);

	return td_span_str(conf->domains[i >= 0 ? i : 0]);
}

// first: of the realm's algorithms; those before it are not offered. why: what came is stale unless
// nothing did.
static void challenge(struct td_engine *e, const struct claim *c, const struct td_core *core,
	enum td_counter why, unsigned first, struct td_auth_answer *out)
{
	struct td_writer w = { out->headers, out->headers, out->headers + sizeof(out->headers),
		false };
	struct td_span realm = realm_to_name(c->conf, core);
	char nonce[TD_NONCE_LEN];

	size_t len = td_nonce_mint(
		e->auth->nonces, e->now_ns, c->flow, c->conf->nonce_any_source, nonce);
	for (unsigned i = first; i < c->conf->n_algorithms; i++) {
		td_put_lit(&w, "WWW-Authenticate: Digest realm=\"");
		td_put_span(&w, realm);
		td_put_lit(&w, "\", nonce=\"");
		td_put(&w, nonce, len);
		td_put_lit(&w, "\", algorithm=");
		td_put_span(&w, td_digest_name(c->conf->algorithms[i]));
		td_put_lit(&w, ", qop=\"auth\"");
		if (why != TD_C_AUTH_CHALLENGED)
			td_put_lit(&w, ", stale=true");
		td_put_lit(&w, "\r\n");
	}
	out->verdict = TD_AUTH_CHALLENGE;
	out->status = 401;
	out->headers_len = td_writer_len(&w);
	td_engine_count(e, why);
}

static void refuse(struct td_engine *e, enum td_auth_verdict verdict, uint16_t status,
	enum td_counter counter, struct td_auth_answer *out)
{
	out->verdict = (uint8_t)verdict;
	out->status = status;
	td_engine_count(e, counter);
}

static void busy(struct td_engine *e, uint32_t seconds, enum td_counter counter,
	struct td_auth_answer *out)
{
	struct td_writer w = { out->headers, out->headers, out->headers + sizeof(out->headers),
		false };

	td_put_lit(&w, "Retry-After: ");
	td_put_uint(&w, seconds);
	td_put_lit(&w, "\r\n");
	out->headers_len = td_writer_len(&w);
	refuse(e, TD_AUTH_BUSY, 503, counter, out);
}

// --- what was brought ---

// Its place among those of the realm; their number: it is not offered.
static unsigned algorithm_place(
	const struct td_registrar_conf *conf, enum td_digest_algorithm algorithm)
{
	unsigned i = 0;

	while (i < conf->n_algorithms && conf->algorithms[i] != algorithm)
		i++;
	return i;
}

// "user@domain" of the credentials.
static bool aor_make(struct claim *c, struct td_span domain)
{
	struct td_span user = c->params.username;

	if (user.len == 0 || user.len + domain.len + 1 >= sizeof(c->aor_text))
		return false;
	memcpy(c->aor_text, user.ptr, user.len);
	c->aor_text[user.len] = '@';
	memcpy(c->aor_text + user.len + 1, domain.ptr, domain.len);
	c->aor = td_span(c->aor_text, user.len + 1 + domain.len);
	return true;
}

// Are these credentials of a kind that we asked for?
static bool claim_fits(struct claim *c)
{
	struct td_digest_params *p = &c->params;
	int domain = domain_find(c->conf, p->realm);

	c->algorithm = td_digest_id(p->algorithm);
	c->place = algorithm_place(c->conf, c->algorithm);
	return domain >= 0 && c->place < c->conf->n_algorithms && p->username.len > 0 &&
	       td_span_ieq(p->qop, TD_SPAN("auth")) && td_nc_decode(p->nc, &c->nc) &&
	       p->cnonce.len > 0 && aor_make(c, td_span_str(c->conf->domains[domain]));
}

static bool claim_find(const struct td_msg *msg, struct claim *c)
{
	for (uint8_t i = msg->first[TD_H_AUTHORIZATION]; i != 0xff; i = msg->headers[i].next) {
		struct td_span value = td_msg_value(msg, &msg->headers[i]);
		int rc = td_digest_params_decode(value, &c->params);
		if (rc == 0 && claim_fits(c))
			return true;
		c->unreadable |= rc == -EBADMSG; // another scheme is as good as none
	}
	return false;
}

// The credentials are for this request: its URI in the spelling of the sender, who may have left
// out a port or a parameter on one side.
static bool uri_fits(const struct claim *c, const struct td_core *core)
{
	struct td_uri uri;

	if (td_span_eq(c->params.uri, core->uri.whole))
		return true;
	return td_uri_parse(c->params.uri, &uri) == 0 && td_span_eq(uri.user, core->uri.user) &&
	       td_span_ieq(uri.host, core->uri.host);
}

static uint8_t flag_of(enum td_digest_algorithm algorithm)
{
	return algorithm == TD_DIGEST_MD5 ? TD_SUBSCRIBER_MD5 : TD_SUBSCRIBER_SHA256;
}

static bool digest_holds(struct td_auth *auth, const struct claim *c,
	const struct td_subscriber_entry *s, const struct td_msg *msg)
{
	static const uint8_t nobody[TD_DIGEST_BYTES_MAX];
	const struct td_digest_ask ask = {
		.method = msg->method_name,
		.uri = c->params.uri,
		.nonce = c->params.nonce,
		.nc = c->params.nc,
		.cnonce = c->params.cnonce,
		.qop = c->params.qop,
	};
	// What was not provisioned is as good as nobody: it is hashed all the same and never holds.
	bool known = s && s->flags & flag_of(c->algorithm);
	const uint8_t *seed = !known                          ? nobody
			      : c->algorithm == TD_DIGEST_MD5 ? s->ha1_md5
							      : s->seed_sha256;
	// All phones of a domain register by one URI.
	struct td_digest_a2 once, *a2 = &once;
	if (msg->method == TD_M_REGISTER)
		a2 = &auth->registers[c->algorithm];
	else
		once.uri_len = 0;
	char hex[TD_DIGEST_HEX_MAX];

	td_digest_a2(a2, c->algorithm, ask.method, ask.uri);
	size_t len = td_digest_seeded(c->algorithm, seed, a2, &ask, hex);
	return td_digest_equal(hex, c->params.response, len) && known && td_subscriber_enabled(s);
}

// A subscriber may have been provisioned for one algorithm alone, and a phone takes the first that
// it knows (RFC 8760 §2.4). So whoever was wrong by one is asked by those that come after it,
// whether the password was wrong, the hash was not there or the subscriber was not: all look alike,
// and each try counts. By the last of them it is refused.
static void wrong(struct td_engine *e, const struct claim *c, const struct td_core *core,
	struct td_auth_answer *out)
{
	td_penalty_failed(e->auth->penalties, e->now_ns, c->nonce.given_to, c->aor);
	if (c->place + 1 < c->conf->n_algorithms)
		challenge(e, c, core, TD_C_AUTH_FORBIDDEN, c->place + 1, out);
	else
		refuse(e, TD_AUTH_FORBIDDEN, 403, TD_C_AUTH_FORBIDDEN, out);
}

// One request as against another with the same count: all that a REGISTER does, since its digest
// covers no header, and where it came from, since that is where calls will go.
static uint64_t request_hash(struct td_engine *e, const struct claim *c, const struct td_msg *msg,
	const struct td_core *core)
{
	static const uint8_t headers[] = { TD_H_CONTACT, TD_H_EXPIRES, TD_H_PATH };
	struct td_hash h;

	td_hash_begin(&h, e->keys.hash);
	td_hash_word(&h, (uint64_t)core->cseq.number << 16 | c->flow->remote.port);
	td_hash_word(&h, c->nonce.source);
	td_hash_word(&h, td_engine_call_hash(e, core->call_id));
	td_hash_text(&h, TD_H_VIA, core->via.branch);
	for (unsigned k = 0; k < sizeof(headers); k++)
		for (uint8_t i = msg->first[headers[k]]; i != 0xff; i = msg->headers[i].next)
			td_hash_text(&h, headers[k], td_msg_value(msg, &msg->headers[i]));
	return td_hash_end(&h);
}

// A REGISTER may come twice, since it leaves no transaction. Copies of others end in theirs: one
// that comes here is not the sender's.
static enum td_nonce_verdict count_use(struct td_engine *e, const struct claim *c,
	const struct td_msg *msg, const struct td_core *core)
{
	enum td_nonce_verdict verdict = td_nonce_use(
		e->auth->nonces, &c->nonce, c->nc, request_hash(e, c, msg, core));

	return verdict == TD_NONCE_REPEATED && msg->method != TD_M_REGISTER ? TD_NONCE_REPLAYED
									    : verdict;
}

static void nonce_use(struct td_engine *e, const struct claim *c, const struct td_msg *msg,
	const struct td_core *core, const struct td_subscriber_entry *s, struct td_auth_answer *out)
{
	switch (count_use(e, c, msg, core)) {
	case TD_NONCE_REPEATED:
		td_engine_count(e, TD_C_AUTH_REPEATED);
		out->repeated = true;
		break;
	case TD_NONCE_GOOD:
		td_engine_count(e, TD_C_AUTH_PASSED);
		break;
	case TD_NONCE_REPLAYED:
		td_engine_count(e, TD_C_AUTH_REPLAYED);
		challenge(e, c, core, TD_C_AUTH_STALE, 0, out);
		return;
	case TD_NONCE_STALE:
		challenge(e, c, core, TD_C_AUTH_STALE, 0, out);
		return;
	}
	out->verdict = TD_AUTH_PASSED;
	out->subscriber = s;
}

static const struct td_subscriber_entry *subscriber_find(
	const struct td_engine *e, const struct claim *c, const struct td_auth_hint *hint)
{
	const struct td_subscribers *table = e->conf.subscribers;

	if (hint && td_span_eq(hint->aor, c->aor))
		return td_subscribers_find_hashed(table, hint->hash, c->aor);
	return td_subscribers_find(table, c->aor);
}

void td_auth_check(struct td_engine *e, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core, const struct td_auth_hint *hint, struct td_auth_answer *out)
{
	struct claim c;

	c.conf = &e->conf.realms[flow->realm].registrar;
	c.flow = flow;
	c.unreadable = false;
	memset(out, 0, offsetof(struct td_auth_answer, headers));
	if (!td_subscribers_ready(e->conf.subscribers)) {
		busy(e, NOT_READY_S, TD_C_REG_NOT_READY, out);
		return;
	}
	if (!claim_find(msg, &c)) {
		if (c.unreadable)
			refuse(e, TD_AUTH_BAD, 400, TD_C_AUTH_BAD, out);
		else
			challenge(e, &c, core, TD_C_AUTH_CHALLENGED, 0, out);
		return;
	}
	if (td_nonce_check(e->auth->nonces, e->now_ns, flow, c.conf->nonce_any_source,
		    c.conf->nonce_lifetime_s, c.params.nonce, &c.nonce) != TD_NONCE_GOOD) {
		challenge(e, &c, core, TD_C_AUTH_STALE, 0, out);
		return;
	}
	td_nonce_prefetch(e->auth->nonces, &c.nonce);
	uint64_t source = c.nonce.given_to;
	uint32_t wait_s = td_penalty_left(e->auth->penalties, e->now_ns, source, c.aor);
	if (wait_s > 0) {
		busy(e, wait_s, TD_C_AUTH_PENALTY, out);
		return;
	}
	const struct td_subscriber_entry *s = subscriber_find(e, &c, hint);
	bool fits = uri_fits(&c, core);
	if (!digest_holds(e->auth, &c, s, msg) || !fits) {
		wrong(e, &c, core, out);
		return;
	}
	td_penalty_passed(e->auth->penalties, source, c.aor);
	nonce_use(e, &c, msg, core, s, out);
}
