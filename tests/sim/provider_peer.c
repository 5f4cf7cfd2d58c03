// SPDX-License-Identifier: BSD-3-Clause
// A provider: two addresses before one table of bindings. It answers copies as it answered first,
// keeps to RFC 3261 §10.3, and has moods.
#include "sip/digest.h"
#include "sip/hdr_auth.h"
#include "tests/sim/provider.h"

#include <stdlib.h>

#define MIN_EXPIRES_S 120

bool prov_read(const struct sip *m, uint32_t *account, uint32_t *contact, uint32_t *expires_s)
{
	struct td_span to = sip_uri(sip_header(m, "To", 0));
	struct td_span at_us = sip_uri(sip_header(m, "Contact", 0));
	struct td_span expires = sip_header(m, "Expires", 0);

	if (!m->request || strcmp(m->method, "REGISTER") != 0 || to.len < 6 || at_us.len < 6 ||
		expires.len == 0)
		return false;
	*account = (uint32_t)strtoul(to.ptr + 5, NULL, 10);    // sip:u<n>@
	*contact = (uint32_t)strtoul(at_us.ptr + 5, NULL, 10); // sip:c<n>@
	*expires_s = (uint32_t)strtoul(expires.ptr, NULL, 10);
	return *account < PROV_ACCOUNTS && *contact < PROV_CONTACTS;
}

struct reply {
	struct sim *sim;
	uint32_t owner;
	struct td_flow flow;
	char text[1024];
};

static void reply_arrive(struct sim *sim, void *what, uint64_t arg)
{
	struct reply *r = what;

	prov_switch_rx(prov_of(sim), r->owner, &r->flow, r->text);
	free(r);
}

static void reply_send(struct prov *p, uint32_t owner, const struct td_flow *flow, const char *text)
{
	if (!p->quiet && rng_chance(&p->rng, p->opt.loss)) {
		p->n_lost++;
		return;
	}
	struct reply *r = calloc(1, sizeof(*r));
	if (!r)
		abort();
	*r = (struct reply){ .owner = owner, .flow = *flow };
	snprintf(r->text, sizeof(r->text), "%s", text);
	at(&p->sim, p->sim.now + (5 + rng_below(&p->rng, p->opt.jitter_ms + 1)) * MS, reply_arrive,
		r, 0);
}

// Did it prove who it is, by the nonce in force?
static bool is_proved(const struct prov *p, const struct sip *m, uint32_t account, bool *old)
{
	struct td_span value = sip_header(m, "Authorization", 0);
	struct td_digest_params d;
	uint8_t ha1[TD_DIGEST_BYTES_MAX];
	char hex[TD_DIGEST_HEX_MAX];

	if (value.len == 0)
		value = sip_header(m, "Proxy-Authorization", 0);
	if (value.len == 0 || td_digest_params_decode(value, &d) != 0)
		return false;
	const struct td_digest_ask ask = { .method = TD_SPAN("REGISTER"),
		.uri = d.uri,
		.nonce = d.nonce,
		.nc = d.nc,
		.cnonce = d.cnonce,
		.qop = d.qop };
	td_digest_ha1(
		TD_DIGEST_MD5, TD_SPAN("tandem"), TD_SPAN("provider.example"), TD_SPAN("x"), ha1);
	size_t n = td_digest_response(TD_DIGEST_MD5, ha1, &ask, hex);
	bool good = d.response.len == n && memcmp(d.response.ptr, hex, n) == 0;
	*old = good && !td_span_eq(d.nonce, td_span_str(p->accounts[account].nonce));
	return good && !*old;
}

// Fills the status line's text and further lines; RFC 3261 §10.3 from step 3 on.
static const char *judge(
	struct prov *p, const struct sip *m, uint32_t account, char *lines, size_t cap)
{
	struct prov_account *a = &p->accounts[account];
	uint32_t who, contact, expires_s;
	bool old = false, moody = p->opt.faults && !p->quiet;
	struct td_span call_id = sip_header(m, "Call-ID", 0);

	prov_read(m, &who, &contact, &expires_s);
	struct prov_binding *b = &a->bindings[contact];
	if (moody && rng_chance(&p->rng, 100000)) {
		p->n_busy++;
		if (rng_chance(&p->rng, 700000))
			snprintf(lines, cap, "Retry-After: %u\r\n", rng_between(&p->rng, 1, 60));
		return "503 Service Unavailable";
	}
	bool bored = moody && rng_chance(&p->rng, 150000);
	if (!is_proved(p, m, account, &old) || bored) {
		bool proxy = account % 2;
		p->n_challenged++;
		snprintf(a->nonce, sizeof(a->nonce), "n%016llx",
			(unsigned long long)rng_next(&p->rng));
		snprintf(lines, cap,
			"%s: Digest realm=\"provider.example\", nonce=\"%s\", qop=\"auth\"%s\r\n",
			proxy ? "Proxy-Authenticate" : "WWW-Authenticate", a->nonce,
			old || bored ? ", stale=true" : "");
		return proxy ? "407 Proxy Authentication Required" : "401 Unauthorized";
	}
	if (account % 3 == 0 && expires_s > 0 && expires_s < MIN_EXPIRES_S) {
		p->n_brief++;
		snprintf(lines, cap, "Min-Expires: %u\r\n", MIN_EXPIRES_S);
		return "423 Interval Too Brief";
	}
	bool live = b->bound && b->until > p->sim.now;
	if (live && td_span_eq(call_id, td_span_str(b->call_id)) && m->cseq <= b->cseq)
		return "500 Server Internal Error";
	if (expires_s == 0) {
		p->n_removed += live;
		b->bound = false;
		return "200 OK";
	}
	uint32_t granted_s = moody && rng_chance(&p->rng, 300000)
				     ? rng_between(&p->rng, 40, expires_s)
				     : expires_s;
	p->n_bound++;
	*b = (struct prov_binding){
		.bound = true, .cseq = m->cseq, .until = p->sim.now + granted_s * SECOND
	};
	td_span_cstr(call_id, b->call_id, sizeof(b->call_id));
	struct td_span ours = sip_uri(sip_header(m, "Contact", 0));
	snprintf(lines, cap, "Contact: <%.*s>;expires=%u\r\n", (int)ours.len, ours.ptr, granted_s);
	return "200 OK";
}

void prov_peer_rx(
	struct prov *p, uint32_t owner, const struct td_flow *flow, const char *data, uint32_t len)
{
	uint32_t account, contact, expires_s;
	char branch[96], lines[256] = "", *text = NULL;
	struct sip m;

	if (p->down_until[flow->remote.ip[2]][flow->remote.ip[3] - 1] > p->sim.now ||
		!sip_read(&m, data, len) || !prov_read(&m, &account, &contact, &expires_s))
		return;
	struct prov_account *a = &p->accounts[account];
	td_span_cstr(sip_param(sip_header(&m, "Via", 0), "branch"), branch, sizeof(branch));
	for (uint32_t i = 0; i < PROV_ANSWERS; i++)
		if (strcmp(a->answers[i].branch, branch) == 0)
			text = a->answers[i].text;
	if (!text) {
		uint32_t i = a->next_answer++ % PROV_ANSWERS;
		const char *status = judge(p, &m, account, lines, sizeof(lines));
		struct td_span via = sip_header(&m, "Via", 0), to = sip_header(&m, "To", 0);
		struct td_span from = sip_header(&m, "From", 0), id = sip_header(&m, "Call-ID", 0);
		struct td_span cseq = sip_header(&m, "CSeq", 0);
		memcpy(a->answers[i].branch, branch, sizeof(branch));
		text = a->answers[i].text;
		snprintf(text, sizeof(a->answers[i].text),
			"SIP/2.0 %s\r\nVia: %.*s\r\nTo: %.*s;tag=p\r\nFrom: %.*s\r\n"
			"Call-ID: %.*s\r\nCSeq: %.*s\r\n%sContent-Length: 0\r\n\r\n",
			status, (int)via.len, via.ptr, (int)to.len, to.ptr, (int)from.len, from.ptr,
			(int)id.len, id.ptr, (int)cseq.len, cseq.ptr, lines);
	}
	reply_send(p, owner, flow, text);
}

// It forgets what it has answered and its nonces; every other time its bindings as well.
void prov_restart(struct prov *p, uint32_t provider)
{
	bool all = rng_chance(&p->rng, 500000);

	for (uint32_t i = provider; i < PROV_ACCOUNTS; i += PROV_PROVIDERS) {
		struct prov_account *a = &p->accounts[i];
		memset(a->answers, 0, sizeof(a->answers));
		a->nonce[0] = '\0';
		for (uint32_t c = 0; c < PROV_CONTACTS && all; c++)
			a->bindings[c].bound = false;
	}
	for (uint32_t peer = 0; peer < PROV_PEERS; peer++)
		p->down_until[provider][peer] = p->sim.now + rng_below(&p->rng, 60) * SECOND;
}
