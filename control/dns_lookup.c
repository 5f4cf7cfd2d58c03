// SPDX-License-Identifier: BSD-3-Clause
#include "control/dns_lookup.h"

#include <errno.h>
#include <stdio.h>

#define SIP_PORT 5060

static void srv_ask(struct td_dns_lookup *l, const char *name);

static void ttl_take(uint32_t *least_s, const struct td_dns_reply *reply)
{
	*least_s = reply->ttl_s < *least_s ? reply->ttl_s : *least_s;
}

// --- addresses ---

static void record_add(
	struct td_dns_lookup *l, const struct td_dns_srv *srv, const struct td_sockaddr *address)
{
	struct td_dns_answer *a = &l->answer;
	struct td_dns_record record = {
		.address = *address, .priority = srv->priority, .weight = srv->weight
	};

	record.address.port = srv->port;
	memcpy(record.host, srv->target, sizeof(record.host));
	uint16_t at = a->n;
	// Behind what is as good; IPv4 and IPv6 answers come in any order, so the address decides.
	for (; at > 0; at--) {
		const struct td_dns_record *before = &a->records[at - 1];
		int order = (before->priority > srv->priority) - (before->priority < srv->priority);
		if (order == 0)
			order = strcmp(before->host, record.host);
		if (order == 0)
			order = memcmp(&before->address, &record.address, sizeof(record.address));
		if (order == 0)
			return;
		if (order < 0)
			break;
	}
	a->left_out += a->n == TD_DNS_ANSWERS_MAX;
	if (at == TD_DNS_ANSWERS_MAX)
		return;
	uint16_t behind = (uint16_t)(a->n - at - (a->n == TD_DNS_ANSWERS_MAX));
	memmove(&a->records[at + 1], &a->records[at], behind * sizeof(record));
	a->records[at] = record;
	a->n += a->n < TD_DNS_ANSWERS_MAX;
}

// What a host had serves on, where nobody says what it has.
static void old_addresses(struct td_dns_lookup *l, const struct td_dns_question *q)
{
	const struct td_dns_srv *srv = &l->srv[q->srv];
	uint8_t family = q->type == TD_DNS_A ? TD_IPV4 : TD_IPV6;

	for (uint16_t i = 0; l->old && i < l->old->n; i++) {
		const struct td_dns_record *record = &l->old->records[i];
		if (record->address.family != family || strcmp(record->host, srv->target) != 0)
			continue;
		record_add(l, srv, &record->address);
	}
}

static void lookup_end(struct td_dns_lookup *l, int rc)
{
	l->step = TD_DNS_IDLE;
	l->done(l, rc);
}

static void addresses_end(struct td_dns_lookup *l)
{
	bool fresh = false;

	for (uint16_t i = 0; i < 2 * l->n_srv; i++)
		fresh |= l->questions[i].lookup == NULL;
	if (l->answer.n > 0 && fresh)
		lookup_end(l, 0);
	else
		lookup_end(l, l->error ? l->error : -ENOENT);
}

static void on_addresses(void *user, int code, const struct td_dns_reply *reply)
{
	struct td_dns_question *q = user;
	struct td_dns_lookup *l = q->lookup;

	if (code == 0) {
		ttl_take(&l->ttl_s, reply);
		l->answer.left_out += reply->left_out;
		for (uint16_t i = 0; i < reply->n; i++)
			record_add(l, &l->srv[q->srv], &reply->addresses[i]);
		q->lookup = NULL; // it was answered
	} else if (code == -ENOENT) {
		ttl_take(&l->none_s, reply);
	} else {
		l->error = code;
		l->partial = true;
		old_addresses(l, q);
	}
	if (--l->waiting == 0)
		addresses_end(l);
}

static void addresses_ask(struct td_dns_lookup *l)
{
	l->step = TD_DNS_ADDRESSES;
	l->waiting = (uint16_t)(2 * l->n_srv); // first: answers may come inside of ask()
	for (uint16_t i = 0; i < 2 * l->n_srv; i++)
		l->questions[i] = (struct td_dns_question){
			.lookup = l, .srv = i / 2, .type = i % 2 ? TD_DNS_AAAA : TD_DNS_A
		};
	uint16_t n = (uint16_t)(2 * l->n_srv);
	for (uint16_t i = 0; i < n; i++)
		l->asker->ask(l->asker->ctx, l->srv[i / 2].target, l->questions[i].type,
			on_addresses, &l->questions[i]);
}

// Without SRV records (§4.2): the host's own addresses.
static void host_ask(struct td_dns_lookup *l, uint16_t port)
{
	l->n_srv = 1;
	l->srv[0] = (struct td_dns_srv){ .port = port };
	memcpy(l->srv[0].target, l->name, sizeof(l->name));
	addresses_ask(l);
}

// --- SRV ---

static void srv_none(struct td_dns_lookup *l)
{
	char name[TD_HOST_LEN + 16];

	if (l->next_naptr < l->n_naptr) {
		srv_ask(l, l->naptr[l->next_naptr++].replacement);
		return;
	}
	if (l->next_naptr ==
		l->n_naptr) { // once, behind the last of them, which may have been none
		l->next_naptr++;
		snprintf(name, sizeof(name), "_sip._udp.%s", l->name);
		srv_ask(l, name);
		return;
	}
	// Where nobody knows whether there are services, what there was serves on.
	if (l->naptr_failed && l->old && l->old->n > 0)
		lookup_end(l, l->error);
	else
		host_ask(l, SIP_PORT);
}

static void on_srv(void *user, int code, const struct td_dns_reply *reply)
{
	struct td_dns_lookup *l = user;

	if (code == 0 && reply->n > 0) {
		ttl_take(&l->ttl_s, reply);
		l->n_srv = reply->n;
		l->answer.left_out += reply->left_out;
		memcpy(l->srv, reply->srv, reply->n * sizeof(l->srv[0]));
		addresses_ask(l);
	} else if (code == 0 || code == -ENOENT) {
		ttl_take(&l->none_s, reply);
		if (code == 0 && reply->none)
			lookup_end(l, -ENOENT);
		else
			srv_none(l);
	} else {
		lookup_end(l, code);
	}
}

static void srv_ask(struct td_dns_lookup *l, const char *name)
{
	l->step = TD_DNS_SRVS;
	l->asker->ask(l->asker->ctx, name, TD_DNS_SRV, on_srv, l);
}

// --- NAPTR ---

static void on_naptr(void *user, int code, const struct td_dns_reply *reply)
{
	struct td_dns_lookup *l = user;

	if (code == -ECANCELED) {
		lookup_end(l, code);
		return;
	}
	if (code == 0) {
		ttl_take(reply->n > 0 ? &l->ttl_s : &l->none_s, reply);
		l->n_naptr = reply->n;
		memcpy(l->naptr, reply->naptr, reply->n * sizeof(l->naptr[0]));
	} else if (code == -ENOENT) {
		ttl_take(&l->none_s, reply);
	} else {
		// Many a server fails over a type that it does not know: SRV may be there all the
		// same.
		l->naptr_failed = true;
		l->error = code;
	}
	srv_none(l);
}

void td_dns_lookup_begin(struct td_dns_lookup *l)
{
	l->answer = (struct td_dns_answer){ 0 };
	l->ttl_s = l->none_s = UINT32_MAX;
	l->partial = l->naptr_failed = false;
	l->error = 0;
	l->n_naptr = l->next_naptr = l->n_srv = l->waiting = 0;
	if (l->port != 0) {
		host_ask(l, l->port);
		return;
	}
	l->step = TD_DNS_NAPTRS;
	l->asker->ask(l->asker->ctx, l->name, TD_DNS_NAPTR, on_naptr, l);
}

// --- weights ---

static bool same_target(const struct td_dns_record *a, const struct td_dns_record *b)
{
	return a->priority == b->priority && a->address.port == b->address.port &&
	       strcmp(a->host, b->host) == 0;
}

void td_dns_shares(const struct td_dns_answer *answer, uint16_t *shares)
{
	for (uint16_t i = 0; i < answer->n; i++) {
		const struct td_dns_record *r = &answer->records[i];
		uint32_t heaviest = 0, addresses = 0;
		for (uint16_t k = 0; k < answer->n; k++) {
			const struct td_dns_record *other = &answer->records[k];
			if (other->priority == r->priority && other->weight > heaviest)
				heaviest = other->weight;
			addresses += same_target(r, other);
		}
		// In 65535ths of the heaviest; none weighs something: all alike.
		uint32_t whole =
			heaviest == 0 ? UINT16_MAX : (uint32_t)r->weight * UINT16_MAX / heaviest;
		shares[i] = (uint16_t)(whole / addresses);
		if (shares[i] == 0 && r->weight > 0)
			shares[i] = 1;
	}
}
