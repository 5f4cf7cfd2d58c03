// SPDX-License-Identifier: BSD-3-Clause
// Which trunk a request comes from: the longest source prefix of the realm, then the most specific
// match (contract).
//
// A match is a set of requests: each field that is set narrows it. Of two trunks behind one prefix
// whose sets meet, one must lie inside the other, or nobody could say whose request it is: that is
// refused while compiling. A nested set has more fields, or as many and a longer tech_prefix, so
// that sorting by those two puts the inner one first. Customers who share an address and differ in
// their tech_prefix or domain may be thousands: of those of one length, with a domain or without,
// the right one is searched for by halves.
#include "sip/policy_priv.h"

#include <errno.h>
#include <stdlib.h>

static uint32_t family_index(uint8_t family)
{
	return family == TD_IPV4 ? 0 : 1;
}

static struct td_prefix prefix_cut(const uint8_t ip[16], uint8_t family, uint8_t len)
{
	struct td_prefix p = { .family = family, .len = len };
	uint32_t whole = len / 8;

	memcpy(p.ip, ip, whole);
	if (len % 8 != 0)
		p.ip[whole] = ip[whole] & (uint8_t)(0xff00 >> (len % 8));
	return p;
}

static bool prefix_eq(const struct td_prefix *a, const struct td_prefix *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static uint32_t prefix_hash(const struct td_prefix *p, uint16_t realm)
{
	uint64_t lo, hi;

	memcpy(&lo, p->ip, 8);
	memcpy(&hi, p->ip + 8, 8);
	uint64_t h =
		lo * 0x9e3779b97f4a7c15u ^ hi * 0xc2b2ae3d27d4eb4fu ^
		((uint64_t)realm << 16 | (uint64_t)p->family << 8 | p->len) * 0x165667b19e3779f9u;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	return (uint32_t)(h >> 32);
}

static const struct td_match_conf *match_of(
	const struct td_policy *policy, const struct ingress_entry *e)
{
	return &policy->trunks[e->trunk].conf.match;
}

// --- how two matches lie to each other ---

enum relation { APART, INSIDE, SAME, AROUND, CROSSED };

// The relation of a product of fields from that of one more field.
static enum relation relation_and(enum relation all, enum relation field)
{
	if (all == APART || field == APART)
		return APART;
	if (all == field || field == SAME)
		return all;
	return all == SAME ? field : CROSSED;
}

static enum relation listener_relation(const struct td_sockaddr *a, const struct td_sockaddr *b)
{
	if (a->family == 0 || b->family == 0)
		return a->family == b->family ? SAME : a->family == 0 ? AROUND : INSIDE;
	if (!td_ip_eq(a, b))
		return APART;
	if (a->port == b->port)
		return SAME;
	return a->port == 0 ? AROUND : b->port == 0 ? INSIDE : APART;
}

static enum relation tech_prefix_relation(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	if (memcmp(a, b, n < m ? n : m) != 0)
		return APART;
	return n == m ? SAME : n > m ? INSIDE : AROUND;
}

static enum relation domain_relation(const char *a, const char *b)
{
	if (a[0] == '\0' || b[0] == '\0')
		return a[0] == b[0] ? SAME : a[0] == '\0' ? AROUND : INSIDE;
	return td_span_ieq(td_span_str(a), td_span_str(b)) ? SAME : APART;
}

static enum relation port_relation(uint16_t a, uint16_t b)
{
	if (a == b)
		return SAME;
	return a == 0 ? AROUND : b == 0 ? INSIDE : APART;
}

static enum relation match_relation(const struct td_policy *policy, const struct ingress_entry *a,
	const struct ingress_entry *b)
{
	const struct td_match_conf *x = match_of(policy, a), *y = match_of(policy, b);
	enum relation r = listener_relation(&a->listener, &b->listener);

	r = relation_and(r, tech_prefix_relation(x->tech_prefix, y->tech_prefix));
	r = relation_and(r, domain_relation(x->domain, y->domain));
	return relation_and(r, port_relation(x->source_port, y->source_port));
}

// --- compiling ---

// "10.0.0.1", "10.0.0.1:5060", "fd00::1", "[fd00::1]:5060".
static int listener_parse(const char *text, struct td_sockaddr *out)
{
	struct td_span s = td_span_str(text);
	const char *colon = strrchr(text, ':');
	struct td_sockaddr a = { 0 };

	if (s.len == 0 || td_ip_parse(s, &a) == 0) {
		*out = a;
		return 0;
	}
	if (!colon || td_ip_parse(td_span(text, (size_t)(colon - text)), &a) < 0)
		return -EINVAL;
	char *end;
	unsigned long port = strtoul(colon + 1, &end, 10);
	if (colon[1] < '0' || colon[1] > '9' || *end != '\0' || port == 0 || port > 65535)
		return -EINVAL;
	a.port = (uint16_t)port;
	*out = a;
	return 0;
}

static int entry_init(const struct td_policy *policy, uint32_t trunk, struct ingress_entry *e,
	struct policy_error *error)
{
	const struct td_trunk *t = &policy->trunks[trunk];
	const struct td_match_conf *m = &t->conf.match;

	*e = (struct ingress_entry){ .realm = t->realm, .trunk = trunk };
	if (listener_parse(m->listener, &e->listener) < 0)
		return policy_fail(error, "trunk '%s': match.listener '%s' is no address",
			t->conf.name, m->listener);
	e->fields = (uint16_t)((e->listener.family != 0) + (e->listener.port != 0) +
			       (m->tech_prefix[0] != '\0') + (m->domain[0] != '\0') +
			       (m->source_port != 0));
	return 0;
}

// The k-th source of a trunk: of those it names, else its peers' addresses, any port.
static int source_of(const struct td_trunk_conf *c, uint32_t k, struct td_prefix *out,
	struct policy_error *error)
{
	uint8_t family = c->n_sources > 0 ? c->sources[k].family : c->peers[k].address.family;

	if (family != TD_IPV4 && family != TD_IPV6)
		return policy_fail(
			error, "trunk '%s': source or peer %u has no address", c->name, k + 1);
	uint8_t bits = (uint8_t)(8 * td_ip_len(family));
	uint8_t len = c->n_sources > 0 ? c->sources[k].len : bits;
	if (len > bits)
		return policy_fail(error, "trunk '%s': source %u has /%u, at most /%u", c->name,
			k + 1, len, bits);
	*out = prefix_cut(
		c->n_sources > 0 ? c->sources[k].ip : c->peers[k].address.ip, family, len);
	return 0;
}

static int entries_fill(struct td_policy *policy, struct policy_error *error)
{
	struct ingress *in = &policy->ingress;
	size_t most = 1;

	for (uint32_t i = 0; i < policy->n_trunks; i++)
		most += policy->trunks[i].conf.n_sources + policy->trunks[i].conf.n_peers;
	in->entries = calloc(most, sizeof(*in->entries));
	if (!in->entries)
		return policy_no_memory(error);
	for (uint32_t i = 0; i < policy->n_trunks; i++) {
		const struct td_trunk_conf *c = &policy->trunks[i].conf;
		struct ingress_entry e;
		int rc = entry_init(policy, i, &e, error);
		uint32_t n = c->n_sources > 0 ? c->n_sources : c->n_peers;
		for (uint32_t k = 0; rc == 0 && k < n; k++) {
			rc = source_of(c, k, &e.prefix, error);
			e.resolved = c->n_sources == 0 && c->peers[k].host != 0;
			if (rc == 0)
				in->entries[in->n_entries++] = e;
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

static bool has_domain(const struct td_policy *policy, const struct ingress_entry *e)
{
	return match_of(policy, e)->domain[0] != '\0';
}

// Case counts for nothing.
static int domain_compare(const char *domain, struct td_span other)
{
	for (uint32_t i = 0; i < other.len; i++) {
		int order = td_lower(domain[i]) - td_lower(other.ptr[i]);
		if (domain[i] == '\0' || order != 0)
			return domain[i] == '\0' ? -1 : order;
	}
	return domain[other.len] != '\0';
}

// Of two that have as many fields and as long a tech_prefix.
static int run_order(const struct td_policy *policy, const struct ingress_entry *x,
	const struct ingress_entry *y)
{
	const struct td_match_conf *a = match_of(policy, x), *b = match_of(policy, y);
	int order = strcmp(a->tech_prefix, b->tech_prefix);

	return order != 0 ? order : domain_compare(a->domain, td_span_str(b->domain));
}

static int by_prefix(const void *a, const void *b, void *arg)
{
	const struct ingress_entry *x = a, *y = b;
	const struct td_policy *policy = arg;

	if (x->realm != y->realm)
		return x->realm < y->realm ? -1 : 1;
	int order = memcmp(&x->prefix, &y->prefix, sizeof(x->prefix));
	if (order != 0)
		return order;
	if (x->fields != y->fields)
		return x->fields > y->fields ? -1 : 1;
	size_t n = strlen(match_of(policy, x)->tech_prefix),
	       m = strlen(match_of(policy, y)->tech_prefix);
	if (n != m)
		return n > m ? -1 : 1;
	if (has_domain(policy, x) != has_domain(policy, y))
		return has_domain(policy, x) ? -1 : 1;
	order = run_order(policy, x, y);
	if (order != 0)
		return order;
	if (x->trunk != y->trunk)
		return x->trunk > y->trunk ? 1 : -1;
	return x->resolved - y->resolved; // what is written stands for both
}

static bool entry_same_prefix(const struct ingress_entry *a, const struct ingress_entry *b)
{
	return a->realm == b->realm && prefix_eq(&a->prefix, &b->prefix);
}

// A trunk whose peers share an address (several ports) stands there once.
static void entries_unique(struct ingress *in)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < in->n_entries; i++) {
		const struct ingress_entry *e = &in->entries[i];
		if (n == 0 || in->entries[n - 1].trunk != e->trunk ||
			!entry_same_prefix(&in->entries[n - 1], e))
			in->entries[n++] = *e;
	}
	in->n_entries = n;
}

static struct td_sockaddr prefix_address(const struct td_prefix *p)
{
	struct td_sockaddr a = { .family = p->family };

	memcpy(a.ip, p->ip, sizeof(a.ip));
	return a;
}

// Is the source of one of the two taken from it, by the other? Written ones stand over resolved
// ones, then the first trunk of the file over the others. Returns the one that loses it, or NULL.
static struct ingress_entry *entry_loser(
	const struct td_policy *policy, struct ingress_entry *a, struct ingress_entry *b)
{
	if (!a->resolved && !b->resolved)
		return NULL;
	enum relation r = match_relation(policy, a, b);
	if (r != SAME && r != CROSSED)
		return NULL;
	if (a->resolved != b->resolved)
		return a->resolved ? a : b;
	return a->trunk > b->trunk ? a : b;
}

// What two trunks' names have in common must not cost everybody the policy.
static void entries_settle(struct td_policy *policy, const struct td_policy_env *env)
{
	struct ingress *in = &policy->ingress;
	uint32_t n = 0, n_resolved = 0;

	for (uint32_t i = 0; i < in->n_entries; i++)
		n_resolved += in->entries[i].resolved;
	for (uint32_t i = 0; n_resolved > 0 && i < in->n_entries; i++) {
		struct ingress_entry e = in->entries[i], *loser = NULL;
		uint32_t j = n;
		while (j > 0 && entry_same_prefix(&in->entries[j - 1], &e) && loser != &e) {
			struct ingress_entry *other = &in->entries[--j];
			loser = entry_loser(policy, other, &e);
			if (!loser)
				continue;
			const struct ingress_entry *keeper = loser == &e ? other : &e;
			struct td_sockaddr address = prefix_address(&e.prefix);
			if (env->source_lost)
				env->source_lost(env->source_ctx, &policy->trunks[loser->trunk],
					&policy->trunks[keeper->trunk], &address);
			if (loser != &e)
				memmove(other, other + 1, (--n - j) * sizeof(*other));
		}
		if (loser != &e)
			in->entries[n++] = e;
	}
	in->n_entries = n_resolved > 0 ? n : in->n_entries;
}

static bool run_same(const struct td_policy *policy, const struct ingress_entry *a,
	const struct ingress_entry *b)
{
	return entry_same_prefix(a, b) && a->fields == b->fields &&
	       has_domain(policy, a) == has_domain(policy, b) &&
	       strlen(match_of(policy, a)->tech_prefix) == strlen(match_of(policy, b)->tech_prefix);
}

static void runs_mark(struct td_policy *policy)
{
	struct ingress *in = &policy->ingress;

	for (uint32_t i = 0, end; i < in->n_entries; i = end) {
		for (end = i + 1; end < in->n_entries &&
				  run_same(policy, &in->entries[i], &in->entries[end]);)
			end++;
		for (uint32_t k = i; k < end; k++)
			in->entries[k].run_end = end;
		bool more = end < in->n_entries &&
			    entry_same_prefix(&in->entries[i], &in->entries[end]);
		in->entries[i].next_run = more ? end : UINT32_MAX;
	}
}

static int entries_check(struct td_policy *policy, struct policy_error *error)
{
	struct ingress *in = &policy->ingress;

	for (uint32_t i = 0; i < in->n_entries; i++) {
		struct ingress_entry *a = &in->entries[i];
		for (uint32_t j = i + 1; j < in->n_entries && entry_same_prefix(a, &in->entries[j]);
			j++) {
			// Behind it in its own run stand only others.
			if (j < a->run_end && run_order(policy, a, &in->entries[j]) != 0) {
				j = a->run_end - 1;
				continue;
			}
			enum relation r = match_relation(policy, a, &in->entries[j]);
			if (r == SAME || r == CROSSED)
				return policy_fail(error,
					"trunks '%s' and '%s' of realm '%s' are ambiguous: the "
					"same "
					"source, and match does not tell them apart",
					policy->trunks[a->trunk].conf.name,
					policy->trunks[in->entries[j].trunk].conf.name,
					policy->trunks[a->trunk].conf.realm);
		}
	}
	return 0;
}

static void table_insert(struct ingress *in, uint32_t entry)
{
	const struct ingress_entry *e = &in->entries[entry];
	uint32_t slot = prefix_hash(&e->prefix, e->realm) & in->mask;

	while (in->table[slot] != UINT32_MAX)
		slot = (slot + 1) & in->mask;
	in->table[slot] = entry;
}

static void lengths_add(struct ingress_lengths *lengths, const struct td_prefix *p)
{
	uint32_t f = family_index(p->family);
	uint8_t *len = lengths->len[f];
	uint32_t i = 0;

	while (i < lengths->n[f] && len[i] > p->len)
		i++;
	if (i < lengths->n[f] && len[i] == p->len)
		return;
	memmove(len + i + 1, len + i, lengths->n[f] - i);
	len[i] = p->len;
	lengths->n[f]++;
}

static int table_build(struct ingress *in, struct policy_error *error)
{
	uint32_t slots = 16;

	for (uint32_t i = 0; i < in->n_entries; i++)
		if (in->entries[i].realm >= in->n_realms)
			in->n_realms = in->entries[i].realm + 1u;
	while (slots < 2 * in->n_entries)
		slots *= 2;
	in->mask = slots - 1;
	in->table = malloc(slots * sizeof(*in->table));
	in->realms = calloc(in->n_realms + 1, sizeof(*in->realms));
	if (!in->table || !in->realms)
		return policy_no_memory(error);
	memset(in->table, 0xff, slots * sizeof(*in->table));
	for (uint32_t i = 0; i < in->n_entries; i++) {
		lengths_add(&in->realms[in->entries[i].realm], &in->entries[i].prefix);
		if (i == 0 || !entry_same_prefix(&in->entries[i - 1], &in->entries[i]))
			table_insert(in, i);
	}
	return 0;
}

int ingress_compile(
	struct td_policy *policy, const struct td_policy_env *env, struct policy_error *error)
{
	struct ingress *in = &policy->ingress;
	int rc = entries_fill(policy, error);

	if (rc < 0)
		return rc;
	qsort_r(in->entries, in->n_entries, sizeof(*in->entries), by_prefix, policy);
	entries_unique(in);
	entries_settle(policy, env);
	runs_mark(policy);
	rc = entries_check(policy, error);
	return rc < 0 ? rc : table_build(in, error);
}

void ingress_free(struct ingress *ingress)
{
	free(ingress->entries);
	free(ingress->table);
	free(ingress->realms);
}

// --- look-up ---

static uint32_t table_find(const struct ingress *in, const struct td_prefix *p, uint16_t realm)
{
	uint32_t slot = prefix_hash(p, realm) & in->mask;

	for (; in->table[slot] != UINT32_MAX; slot = (slot + 1) & in->mask) {
		const struct ingress_entry *e = &in->entries[in->table[slot]];
		if (e->realm == realm && prefix_eq(&e->prefix, p))
			return in->table[slot];
	}
	return UINT32_MAX;
}

static bool tech_prefix_fits(const char *tech_prefix, struct td_span user)
{
	size_t n = strlen(tech_prefix);

	if (n > 0 && user.len > 0 && user.ptr[0] == '+' && tech_prefix[0] != '+')
		user = td_span(user.ptr + 1, user.len - 1);
	return user.len >= n && (n == 0 || memcmp(user.ptr, tech_prefix, n) == 0);
}

static bool entry_fits(const struct td_policy *policy, const struct ingress_entry *e,
	const struct td_flow *flow, const struct td_core *core)
{
	const struct td_match_conf *m = match_of(policy, e);

	if (e->fields == 0)
		return true;
	if (e->listener.family != 0 && !td_ip_eq(&e->listener, &flow->local))
		return false;
	if (e->listener.port != 0 && e->listener.port != flow->local.port)
		return false;
	if (m->source_port != 0 && m->source_port != flow->remote.port)
		return false;
	if (!tech_prefix_fits(m->tech_prefix, core->uri.user))
		return false;
	return m->domain[0] == '\0' || td_span_ieq(td_span_str(m->domain), core->from.uri.host);
}

// Where an entry stands in its run to what a request would have there; len: of its tech_prefix.
static int request_compare(const struct td_policy *policy, const struct ingress_entry *e,
	struct td_span user, size_t len, struct td_span domain)
{
	const struct td_match_conf *m = match_of(policy, e);
	int order = len > 0 ? memcmp(m->tech_prefix, user.ptr, len) : 0;

	return order != 0 || m->domain[0] == '\0' ? order : domain_compare(m->domain, domain);
}

// The first of a run that fits the request, whose user part is taken for user. NULL: none.
static const struct ingress_entry *run_find(const struct td_policy *policy,
	const struct ingress_entry *run, struct td_span user, const struct td_flow *flow,
	const struct td_core *core)
{
	const struct ingress_entry *entries = policy->ingress.entries;
	uint32_t lo = (uint32_t)(run - entries), hi = run->run_end;
	struct td_span domain = core->from.uri.host;
	size_t len = strlen(match_of(policy, run)->tech_prefix);

	if (user.len < len)
		return NULL;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (request_compare(policy, &entries[mid], user, len, domain) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < run->run_end && request_compare(policy, &entries[lo], user, len, domain) == 0;
		lo++)
		if (entry_fits(policy, &entries[lo], flow, core))
			return &entries[lo];
	return NULL;
}

// A '+' of the user part counts only where the tech_prefix has one, too.
static const struct ingress_entry *run_search(const struct td_policy *policy,
	const struct ingress_entry *run, const struct td_flow *flow, const struct td_core *core)
{
	struct td_span user = core->uri.user;

	if (run->fields == 0)
		return run;
	const struct ingress_entry *e = run_find(policy, run, user, flow, core);
	if (!e && user.len > 0 && user.ptr[0] == '+')
		e = run_find(policy, run, td_span(user.ptr + 1, user.len - 1), flow, core);
	return e;
}

int td_policy_ingress(
	const struct td_policy *policy, const struct td_flow *flow, const struct td_core *core)
{
	const struct ingress *in = &policy->ingress;

	if (flow->realm >= in->n_realms ||
		(flow->remote.family != TD_IPV4 && flow->remote.family != TD_IPV6))
		return -1;
	uint32_t f = family_index(flow->remote.family);
	const struct ingress_lengths *lengths = &in->realms[flow->realm];
	for (uint32_t i = 0; i < lengths->n[f]; i++) {
		struct td_prefix p =
			prefix_cut(flow->remote.ip, flow->remote.family, lengths->len[f][i]);
		uint32_t run = table_find(in, &p, flow->realm);
		for (; run != UINT32_MAX; run = in->entries[run].next_run) {
			const struct ingress_entry *e =
				run_search(policy, &in->entries[run], flow, core);
			if (e)
				return (int)e->trunk;
		}
	}
	return -1;
}
