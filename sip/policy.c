// SPDX-License-Identifier: BSD-3-Clause
#include "sip/policy_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int policy_fail(struct policy_error *error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (error->cap > 0)
		vsnprintf(error->text, error->cap, format, args);
	va_end(args);
	return -EINVAL;
}

int policy_no_memory(struct policy_error *error)
{
	policy_fail(error, "out of memory");
	return -ENOMEM;
}

static int by_name(const void *a, const void *b, void *arg)
{
	const struct td_trunk *trunks = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	int order = strcmp(trunks[x].conf.name, trunks[y].conf.name);

	return order != 0 ? order : (x > y) - (x < y);
}

int64_t trunk_by_name(const struct trunk_names *names, const char *name)
{
	uint32_t lo = 0, hi = names->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int order = strcmp(names->trunks[names->order[mid]].conf.name, name);
		if (order == 0)
			return names->order[mid];
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return -1;
}

static int names_sort(
	struct td_policy *policy, struct trunk_names *names, struct policy_error *error)
{
	names->trunks = policy->trunks;
	names->n = policy->n_named;
	names->order = calloc(policy->n_named + 1, sizeof(*names->order));
	if (!names->order)
		return policy_no_memory(error);
	for (uint32_t i = 0; i < names->n; i++)
		names->order[i] = i;
	qsort_r(names->order, names->n, sizeof(*names->order), by_name, policy->trunks);
	for (uint32_t i = 1; i < names->n; i++) {
		const char *name = policy->trunks[names->order[i]].conf.name;
		if (strcmp(policy->trunks[names->order[i - 1]].conf.name, name) == 0)
			return policy_fail(error, "two trunks are named '%s'", name);
	}
	return 0;
}

// Text that crossed a process boundary must end inside its array.
static bool text_ends(const char *text, size_t cap)
{
	return memchr(text, '\0', cap) != NULL;
}

static bool hosts_end(const struct td_trunk_conf *c)
{
	for (uint32_t i = 0; i < c->n_hosts; i++)
		if (!text_ends(c->hosts[i].name, sizeof(c->hosts[i].name)))
			return false;
	for (uint32_t i = 0; i < c->n_peers; i++)
		if (c->peers[i].host > c->n_hosts)
			return false;
	return true;
}

static int trunk_check(const struct td_trunk_conf *c, struct policy_error *error)
{
	if (!text_ends(c->name, sizeof(c->name)) || c->name[0] == '\0')
		return policy_fail(error, "a trunk has no name, or one of more than %d characters",
			TD_NAME_LEN - 1);
	if (!text_ends(c->realm, sizeof(c->realm)) || !text_ends(c->plan, sizeof(c->plan)) ||
		!text_ends(c->match.listener, sizeof(c->match.listener)) ||
		!text_ends(c->match.tech_prefix, sizeof(c->match.tech_prefix)) ||
		!text_ends(c->match.domain, sizeof(c->match.domain)))
		return policy_fail(error, "trunk '%s': a text is too long", c->name);
	if (strcmp(c->name, "subscribers") == 0)
		return policy_fail(error, "trunk 'subscribers': the name is reserved");
	if (c->n_peers > TD_PEERS_MAX || c->n_sources > TD_SOURCES_MAX ||
		c->n_media_sources > TD_SOURCES_MAX ||
		c->n_failover_codes > sizeof(c->failover_codes) / sizeof(c->failover_codes[0]))
		return policy_fail(error, "trunk '%s': too many peers, sources or codes", c->name);
	if (c->n_hosts > TD_TRUNK_HOSTS_MAX || !hosts_end(c))
		return policy_fail(error, "trunk '%s': its hosts do not hold", c->name);
	return 0;
}

// A host that was never resolved leads nowhere: its trunk may have no peer at all, and routes to
// it are passed over then.
static void peers_known(struct td_trunk_conf *c)
{
	uint8_t n = 0;

	for (uint8_t i = 0; i < c->n_peers; i++)
		if (c->peers[i].host == 0 || c->peers[i].address.family != 0)
			c->peers[n++] = c->peers[i];
	c->n_peers = n;
}

// Peers are tried in the order of their priority; equal ones in the order of the file, hence
// insertion.
static void peers_sort(struct td_trunk_conf *c)
{
	for (uint32_t i = 1; i < c->n_peers; i++) {
		struct td_peer_conf peer = c->peers[i];
		uint32_t j = i;
		for (; j > 0 && c->peers[j - 1].priority > peer.priority; j--)
			c->peers[j] = c->peers[j - 1];
		c->peers[j] = peer;
	}
}

// What calls ask of the far end of a trunk, where they look first.
static void trunk_brief(struct td_trunk *t)
{
	t->privacy = t->conf.numbers.caller_out.privacy & 3u;
	t->credentials = t->conf.credentials.realm[0] != '\0';
}

static const struct td_numbers_conf *subscribers_numbers(
	const struct td_policy_conf *conf, const char *realm)
{
	for (uint32_t i = 0; i < conf->n_realms; i++)
		if (conf->realms[i].subscribers.from_realm != 0 &&
			strncmp(conf->realms[i].realm, realm, TD_NAME_LEN) == 0)
			return &conf->realms[i].subscribers;
	return &conf->subscribers;
}

// Behind the trunks that have names: their own is the same in every realm.
static void subscribers_compile(struct td_policy *policy, const struct td_policy_conf *conf,
	const struct td_policy_env *env)
{
	for (uint16_t realm = 0; env->registrar_realm && realm < env->n_realms; realm++) {
		const char *name = env->registrar_realm(env->ctx, realm);
		struct td_trunk *t = &policy->trunks[policy->n_trunks];
		if (!name)
			continue;
		t->conf = (struct td_trunk_conf){ .enabled = true,
			.attempt_timeout_ms = 5000,
			.ring_timeout_ms = 180000,
			.media_timeout_s = conf->subscribers_media_timeout_s,
			.max_duration_s = conf->subscribers_max_duration_s,
			.numbers = *subscribers_numbers(conf, name) };
		trunk_brief(t);
		td_span_cstr(TD_SPAN("subscribers"), t->conf.name, sizeof(t->conf.name));
		td_span_cstr(td_span_str(name), t->conf.realm, sizeof(t->conf.realm));
		t->realm = realm;
		t->slot = env->slot_of(env->ctx, TD_LIMIT_TRUNK, t->conf.name);
		policy->n_trunks++;
	}
}

static int trunks_compile(struct td_policy *policy, const struct td_policy_conf *conf,
	const struct td_policy_env *env, struct policy_error *error)
{
	size_t bytes = (conf->n_trunks + env->n_realms + 1u) * sizeof(*policy->trunks);

	policy->trunks = aligned_alloc(TD_TRUNK_HOT, bytes);
	if (!policy->trunks)
		return policy_no_memory(error);
	memset(policy->trunks, 0, bytes);
	for (uint32_t i = 0; i < conf->n_trunks; i++) {
		struct td_trunk *t = &policy->trunks[i];
		int rc = trunk_check(&conf->trunks[i], error);
		if (rc < 0)
			return rc;
		t->conf = conf->trunks[i];
		trunk_brief(t);
		peers_known(&t->conf);
		peers_sort(&t->conf);
		int realm = env->realm_of(env->ctx, t->conf.realm);
		if (realm < 0)
			return policy_fail(error, "trunk '%s': there is no realm '%s'",
				t->conf.name, t->conf.realm);
		t->realm = (uint16_t)realm;
		t->slot = env->slot_of(env->ctx, TD_LIMIT_TRUNK, t->conf.name);
	}
	policy->n_trunks = policy->n_named = conf->n_trunks;
	subscribers_compile(policy, conf, env);
	return 0;
}

static int by_slot(const void *a, const void *b)
{
	const struct trunk_slot *x = a, *y = b;

	return x->slot != y->slot ? (x->slot > y->slot) - (x->slot < y->slot)
				  : (x->index > y->index) - (x->index < y->index);
}

// By the binding that it has at its provider.
int td_registers_compare(
	uint16_t realm, const struct td_register_conf *a, const struct td_trunk *t)
{
	const struct td_register_conf *b = &t->conf.registration;
	int rc = strncmp(a->user, b->user, sizeof(a->user));

	if (rc == 0)
		rc = strncmp(a->contact, b->contact, sizeof(a->contact));
	if (rc == 0)
		rc = strncmp(a->domain, b->domain, sizeof(a->domain));
	return rc ? rc : (int)realm - (int)t->realm;
}

static int by_binding(const void *a, const void *b, void *trunks)
{
	const struct td_trunk *all = trunks;

	const struct td_trunk *t = &all[*(const uint32_t *)a];

	return td_registers_compare(
		t->realm, &t->conf.registration, &all[*(const uint32_t *)b]);
}

// What calls and workers look for after a reload, among ten thousand.
static int trunks_index(struct td_policy *policy, struct policy_error *error)
{
	uint32_t n = policy->n_named;

	policy->slots = calloc(n + 1, sizeof(*policy->slots));
	policy->registering = calloc(n + 1, sizeof(*policy->registering));
	policy->probed = calloc(n + 1, sizeof(*policy->probed));
	if (!policy->slots || !policy->registering || !policy->probed)
		return policy_no_memory(error);
	for (uint32_t i = 0; i < n; i++) {
		const struct td_trunk *t = &policy->trunks[i];
		policy->slots[i] = (struct trunk_slot){ t->slot, i };
		if (t->conf.enabled && t->conf.registration.expires_s > 0)
			policy->registering[policy->n_registering++] = i;
		if (t->conf.enabled && t->conf.health.probe != TD_PROBE_NONE)
			policy->probed[policy->n_probed++] = i;
	}
	qsort(policy->slots, n, sizeof(*policy->slots), by_slot);
	qsort_r(policy->registering, policy->n_registering, sizeof(*policy->registering),
		by_binding, policy->trunks);
	return 0;
}

static int probes_check(const struct td_policy_conf *conf, struct policy_error *error)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < conf->n_trunks; i++)
		if (conf->trunks[i].health.probe != TD_PROBE_NONE)
			n += conf->trunks[i].n_peers;
	if (n > TD_PROBES_MAX)
		return policy_fail(error, "%u peers are asked by OPTIONS, at most %d may be", n,
			TD_PROBES_MAX);
	return 0;
}

static int policy_compile(struct td_policy *policy, const struct td_policy_conf *conf,
	const struct td_policy_env *env, struct policy_error *error)
{
	struct trunk_names names = { 0 };

	if (conf->n_trunks > TD_TRUNKS_MAX)
		return policy_fail(error, "%u trunks, at most %d", conf->n_trunks, TD_TRUNKS_MAX);
	int rc = probes_check(conf, error);
	if (rc == 0)
		rc = trunks_compile(policy, conf, env, error);
	if (rc == 0)
		rc = trunks_index(policy, error);
	if (rc == 0)
		rc = names_sort(policy, &names, error);
	if (rc == 0)
		rc = ingress_compile(policy, env, error);
	if (rc == 0)
		rc = numbers_compile(policy, conf, error);
	if (rc == 0)
		rc = routes_compile(policy, conf, env, &names, error);
	if (rc == 0)
		rc = limits_compile(policy, env, error);
	free(names.order);
	return rc;
}

static void emergency_compile(struct td_policy_conf *out, const struct td_policy_conf *conf)
{
	while (out->n_emergency < conf->n_emergency && out->n_emergency < TD_EMERGENCY_MAX) {
		td_span_cstr(td_span_str(conf->emergency[out->n_emergency]),
			out->emergency[out->n_emergency], TD_EMERGENCY_LEN);
		out->n_emergency++;
	}
}

bool td_policy_emergency(const struct td_policy *policy, const struct td_uri *uri)
{
	const struct td_policy_conf *conf = policy ? &policy->limits : NULL;
	char number[64];

	if (td_uri_emergency(uri))
		return true;
	// Parameters of a number may be longer than it; a user that long is none of these.
	if (!conf || conf->n_emergency == 0)
		return false;
	int len = td_uri_number(uri, false, number, sizeof(number));
	for (uint32_t i = 0; len > 0 && i < conf->n_emergency; i++)
		if (td_span_eq(td_span(number, (size_t)len), td_span_str(conf->emergency[i])))
			return true;
	return false;
}

struct td_policy *td_policy_new(const struct td_policy_conf *conf, const struct td_policy_env *env,
	char *error_text, size_t error_cap)
{
	struct policy_error error = { error_text, error_cap };
	struct td_policy *policy = calloc(1, sizeof(*policy));

	if (!policy) {
		policy_no_memory(&error);
		return NULL;
	}
	policy->limits = (struct td_policy_conf){ .generation = conf->generation,
		.max_calls = conf->max_calls,
		.max_cps = conf->max_cps,
		.cps_burst = conf->cps_burst,
		.source_cps = conf->source_cps,
		.drain_s = conf->drain_s };
	emergency_compile(&policy->limits, conf);
	if (policy_compile(policy, conf, env, &error) < 0) {
		td_policy_free(policy);
		return NULL;
	}
	return policy;
}

void td_policy_free(struct td_policy *policy)
{
	if (!policy)
		return;
	ingress_free(&policy->ingress);
	routes_free(&policy->routes);
	numbers_free(&policy->numbers);
	free(policy->trunks);
	free(policy->slots);
	free(policy->registering);
	free(policy->probed);
	free(policy);
}

uint64_t td_policy_generation(const struct td_policy *policy)
{
	return policy->limits.generation;
}

uint32_t td_policy_n_trunks(const struct td_policy *policy)
{
	return policy->n_trunks;
}

const struct td_trunk *td_policy_trunk(const struct td_policy *policy, uint32_t index)
{
	return index < policy->n_trunks ? &policy->trunks[index] : NULL;
}

bool td_policy_is_subscribers(const struct td_policy *policy, uint32_t trunk)
{
	return trunk >= policy->n_named && trunk < policy->n_trunks;
}

int td_policy_subscribers(const struct td_policy *policy, uint16_t realm)
{
	for (uint32_t i = policy->n_named; i < policy->n_trunks; i++)
		if (policy->trunks[i].realm == realm)
			return (int)i;
	return -1;
}

int td_policy_by_slot(const struct td_policy *policy, uint32_t slot)
{
	uint32_t lo = 0, hi = policy->n_named;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (policy->slots[mid].slot < slot)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < policy->n_named && policy->slots[lo].slot == slot ? (int)policy->slots[lo].index
								      : -1;
}

uint32_t td_policy_registering(const struct td_policy *policy, const uint32_t **indices)
{
	*indices = policy->registering;
	return policy->n_registering;
}

bool td_policy_registers(
	const struct td_policy *policy, uint16_t realm, const struct td_register_conf *conf)
{
	uint32_t lo = 0, hi = policy->n_registering;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int rc = td_registers_compare(
			realm, conf, &policy->trunks[policy->registering[mid]]);
		if (rc == 0)
			return true;
		if (rc < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return false;
}

uint32_t td_policy_probed(const struct td_policy *policy, const uint32_t **indices)
{
	*indices = policy->probed;
	return policy->n_probed;
}

const struct td_policy_conf *td_policy_limits(const struct td_policy *policy)
{
	return &policy->limits;
}

static bool prefixes_have(
	const struct td_prefix *prefixes, uint32_t n, const struct td_sockaddr *address)
{
	for (uint32_t i = 0; i < n; i++)
		if (td_prefix_has(&prefixes[i], address))
			return true;
	return false;
}

bool td_policy_trunk_has(
	const struct td_policy *policy, uint32_t trunk, const struct td_sockaddr *address)
{
	const struct td_trunk *t = td_policy_trunk(policy, trunk);

	if (!t)
		return false;
	for (uint32_t i = 0; i < t->conf.n_peers; i++)
		if (td_ip_eq(&t->conf.peers[i].address, address))
			return true;
	return prefixes_have(t->conf.sources, t->conf.n_sources, address);
}

const struct td_host_conf *td_trunk_host(
	const struct td_trunk *trunk, const struct td_sockaddr *peer)
{
	for (uint32_t i = 0; trunk->conf.n_hosts > 0 && i < trunk->conf.n_peers; i++)
		if (td_sockaddr_eq(&trunk->conf.peers[i].address, peer))
			return trunk->conf.peers[i].host == 0
				       ? NULL
				       : &trunk->conf.hosts[trunk->conf.peers[i].host - 1];
	return NULL;
}

bool td_policy_media_has(
	const struct td_policy *policy, uint32_t trunk, const struct td_sockaddr *address)
{
	const struct td_trunk *t = td_policy_trunk(policy, trunk);

	return t && prefixes_have(t->conf.media_sources, t->conf.n_media_sources, address);
}
