// SPDX-License-Identifier: BSD-3-Clause
#include "sip/credentials.h"

#include "sip/digest.h"
#include "sip/engine_priv.h"
#include "sip/hdr_auth.h"

#include <errno.h>

#define PLACES 256 // trunks whose nonce is kept, by the low bits of their slot

struct challenge {
	uint32_t slot;     // of the trunk, plus one; 0: empty
	uint32_t count;    // requests that used the nonce
	uint8_t algorithm; // enum td_digest_algorithm
	bool qop;          // "auth"
	bool proxy;        // it came with a 407
	uint16_t nonce_len, opaque_len;
	char nonce[TD_NONCE_MAX], opaque[TD_OPAQUE_MAX];
};

struct td_challenges {
	struct challenge places[PLACES];
};

struct td_challenges *td_challenges_new(const struct td_alloc *alloc)
{
	struct td_challenges *challenges = alloc->alloc(alloc->ctx, sizeof(*challenges));

	if (challenges)
		memset(challenges, 0, sizeof(*challenges));
	return challenges;
}

void td_challenges_free(const struct td_alloc *alloc, struct td_challenges *challenges)
{
	if (challenges)
		alloc->free(alloc->ctx, challenges);
}

static struct challenge *place_of(struct td_challenges *challenges, const struct td_trunk *trunk)
{
	return &challenges->places[trunk->slot % PLACES];
}

// --- a challenge is read ---

// "auth" among the values of qop; with none at all it is RFC 2069's form that is asked for.
static bool qop_fits(struct td_span qop)
{
	struct td_span rest = qop, entry;

	while (td_list_next(&rest, &entry))
		if (td_span_ieq(entry, TD_SPAN("auth")))
			return true;
	return qop.len == 0;
}

static bool can_answer(const struct td_trunk *trunk, const struct td_digest_params *p)
{
	return td_span_eq(p->realm, td_span_str(trunk->conf.credentials.realm)) &&
	       td_digest_id(p->algorithm) != TD_DIGEST__COUNT && qop_fits(p->qop) &&
	       p->nonce.len > 0 && p->nonce.len <= TD_NONCE_MAX && p->opaque.len <= TD_OPAQUE_MAX;
}

static void keep(struct challenge *c, const struct td_trunk *trunk, bool proxy,
	const struct td_digest_params *p)
{
	// Two requests may be challenged with one nonce: no count of it is used twice.
	bool again = c->slot == trunk->slot + 1 &&
		     td_span_eq(td_span(c->nonce, c->nonce_len), p->nonce);
	*c = (struct challenge){
		.slot = trunk->slot + 1,
		.count = again ? c->count : 0,
		.algorithm = (uint8_t)td_digest_id(p->algorithm),
		.qop = p->qop.len > 0,
		.proxy = proxy,
		.nonce_len = (uint16_t)p->nonce.len,
		.opaque_len = (uint16_t)p->opaque.len,
	};
	memcpy(c->nonce, p->nonce.ptr, p->nonce.len);
	if (p->opaque.len > 0)
		memcpy(c->opaque, p->opaque.ptr, p->opaque.len);
}

int td_challenge_learn(struct td_challenges *challenges, const struct td_trunk *trunk,
	const struct td_msg *response, bool *stale)
{
	bool proxy = response->status == 407;
	enum td_header_id id = proxy ? TD_H_PROXY_AUTHENTICATE : TD_H_WWW_AUTHENTICATE;
	struct td_digest_params p;

	for (uint8_t i = response->first[id]; i != 0xff; i = response->headers[i].next) {
		if (td_digest_params_decode(
			    td_msg_value(response, &response->headers[i]), &p) != 0 ||
			!can_answer(trunk, &p))
			continue;
		*stale = td_span_ieq(p.stale, TD_SPAN("true"));
		keep(place_of(challenges, trunk), trunk, proxy, &p);
		return 0;
	}
	return -ENOENT;
}

// --- and answered ---

static void put_hex(struct td_writer *out, uint64_t n, unsigned digits)
{
	while (digits-- > 0)
		td_put_char(out, "0123456789abcdef"[n >> 4 * digits & 15]);
}

static void put_quoted(struct td_writer *out, const char *name, struct td_span value)
{
	td_put_span(out, td_span_str(name));
	td_put_lit(out, "=\"");
	td_put_span(out, value);
	td_put_lit(out, "\"");
}

// cnonce and nc, where the provider wants them, as they go into response and header alike.
static void ask_count(
	struct challenge *c, struct td_engine *engine, char text[24], struct td_digest_ask *ask)
{
	struct td_writer out = { text, text, text + 24, false };
	uint64_t random;

	engine->conf.ops->random(engine->conf.host, &random, sizeof(random));
	put_hex(&out, ++c->count, 8);
	put_hex(&out, random, 16);
	ask->nc = td_span(text, 8);
	ask->cnonce = td_span(text + 8, 16);
	ask->qop = TD_SPAN("auth");
}

static void put_params(const struct challenge *c, const struct td_credentials *who,
	const struct td_digest_ask *ask, struct td_span response, struct td_writer *out)
{
	put_quoted(out, "username", td_span_str(who->username));
	put_quoted(out, ", realm", td_span_str(who->realm));
	put_quoted(out, ", nonce", ask->nonce);
	put_quoted(out, ", uri", ask->uri);
	put_quoted(out, ", response", response);
	td_put_lit(out, ", algorithm=");
	td_put_span(out, td_digest_name(c->algorithm));
	if (c->opaque_len > 0)
		put_quoted(out, ", opaque", td_span(c->opaque, c->opaque_len));
	if (!c->qop)
		return;
	td_put_lit(out, ", qop=auth, nc=");
	td_put_span(out, ask->nc);
	put_quoted(out, ", cnonce", ask->cnonce);
}

void td_credentials_put(struct td_challenges *challenges, struct td_engine *engine,
	const struct td_trunk *trunk, struct td_span method, struct td_span uri,
	struct td_writer *out)
{
	const struct td_credentials *who = &trunk->conf.credentials;
	struct challenge *c = place_of(challenges, trunk);
	char count[24], hex[TD_DIGEST_HEX_MAX];

	if (c->slot != trunk->slot + 1)
		return;
	struct td_digest_ask ask = {
		.method = method, .uri = uri, .nonce = td_span(c->nonce, c->nonce_len)
	};
	if (c->qop)
		ask_count(c, engine, count, &ask);
	size_t len = td_digest_response(c->algorithm,
		c->algorithm == TD_DIGEST_MD5 ? who->ha1_md5 : who->ha1_sha256, &ask, hex);
	td_put_span(out, td_span_str(c->proxy ? "Proxy-Authorization: Digest "
					      : "Authorization: Digest "));
	put_params(c, who, &ask, td_span(hex, len), out);
	td_put_lit(out, "\r\n");
}
