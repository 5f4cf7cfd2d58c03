// SPDX-License-Identifier: BSD-3-Clause
#include "sip/policy.h"
#include "sip/route_build.h"

#include <setjmp.h>
#include <stdlib.h>
#include <stdarg.h>
#include <cmocka.h>

// A policy being written: trunks a, b, c … in realm west or east.
struct draft {
	struct td_policy_conf conf;
	struct td_trunk_conf trunks[16];
	struct td_route_conf routes[16];
	char error[256];
};

// Fills a text field of a draft.
#define set(field, text) td_span_cstr(td_span_str(text), (field), sizeof(field))

static uint32_t slot_of(void *ctx, enum td_limit_kind kind, const char *name)
{
	return 100u + (uint32_t)name[0];
}

static int realm_of(void *ctx, const char *name)
{
	return strcmp(name, "west") == 0 ? 0 : strcmp(name, "east") == 0 ? 1 : -1;
}

static struct td_sockaddr address(const char *text, uint16_t port)
{
	struct td_sockaddr a = { 0 };

	assert_int_equal(td_ip_parse(td_span_str(text), &a), 0);
	a.port = port;
	return a;
}

static struct td_prefix prefix(const char *text, uint8_t len)
{
	struct td_sockaddr a = address(text, 0);
	struct td_prefix p = { .family = a.family, .len = len };

	memcpy(p.ip, a.ip, 16);
	return p;
}

static struct td_trunk_conf *trunk(
	struct draft *d, const char *name, const char *realm, const char *peer)
{
	struct td_trunk_conf *t = &d->trunks[d->conf.n_trunks++];

	td_span_cstr(td_span_str(name), t->name, sizeof(t->name));
	td_span_cstr(td_span_str(realm), t->realm, sizeof(t->realm));
	t->enabled = true;
	if (peer) {
		t->n_peers = 1;
		t->peers[0].address = address(peer, 5060);
	}
	return t;
}

static struct td_route_conf *route(
	struct draft *d, const char *from, const char *digits, const char *to)
{
	struct td_route_conf *r = &d->routes[d->conf.n_routes++];

	r->n_from = 1;
	td_span_cstr(td_span_str(from), r->from[0], TD_NAME_LEN);
	td_span_cstr(td_span_str(digits), r->prefix, sizeof(r->prefix));
	for (const char *name = to; *name != '\0'; name++) {
		r->to[r->n_to].trunk[0] = *name;
		r->to[r->n_to++].weight = 1;
	}
	return r;
}

static struct td_policy *compile(struct draft *d)
{
	struct td_policy_env env = { slot_of, realm_of, NULL };

	d->conf.trunks = d->trunks;
	d->conf.routes = d->routes;
	d->error[0] = '\0';
	return td_policy_new(&d->conf, &env, d->error, sizeof(d->error));
}

static struct td_policy *compiled(struct draft *d)
{
	struct td_policy *p = compile(d);

	if (!p)
		fail_msg("%s", d->error);
	return p;
}

static void refused(struct draft *d, const char *a, const char *b)
{
	assert_null(compile(d));
	if (!strstr(d->error, a) || !strstr(d->error, b))
		fail_msg("unclear: %s", d->error);
}

// Three carriers of one peer each beside the ingress trunk "a".
static void draft_basic(struct draft *d)
{
	memset(d, 0, sizeof(*d));
	trunk(d, "a", "west", "10.0.1.1");
	trunk(d, "b", "east", "10.0.2.1");
	trunk(d, "c", "east", "10.0.2.2");
	trunk(d, "d", "east", "10.0.2.3");
}

static int ingress(const struct td_policy *p, uint16_t realm, const char *remote, const char *user,
	const char *domain, uint16_t source_port, const char *local)
{
	struct td_flow flow = { .realm = realm,
		.remote = address(remote, source_port),
		.local = address(local, 5060) };
	struct td_core core = { 0 };

	core.uri.user = td_span_str(user);
	core.from.uri.host = td_span_str(domain);
	return td_policy_ingress(p, &flow, &core);
}

static int from(const struct td_policy *p, uint16_t realm, const char *remote)
{
	return ingress(p, realm, remote, "4930", "x.example", 5060, "10.0.1.254");
}

static void test_ingress_by_source(void **state)
{
	struct draft *d = calloc(1, sizeof(*d));
	struct td_trunk_conf *t = trunk(d, "a", "west", "10.0.1.1");

	t->peers[1].address = address("fd00:1::1", 5060);
	t->n_peers = 2;
	t = trunk(d, "b", "west", NULL);
	t->n_sources = 2;
	t->sources[0] = prefix("10.0.0.0", 8);
	t->sources[1] = prefix("fd00::", 15);
	t = trunk(d, "c", "west", NULL);
	t->n_sources = 1;
	t->sources[0] = prefix("10.0.1.128", 25);
	trunk(d, "e", "east", "10.0.1.1");
	struct td_policy *p = compiled(d);

	assert_int_equal(from(p, 0, "10.0.1.1"), 0);
	assert_int_equal(from(p, 0, "fd00:1::1"), 0);
	assert_int_equal(from(p, 0, "10.0.1.2"), 1);
	assert_int_equal(from(p, 0, "10.0.1.129"), 2);
	assert_int_equal(from(p, 0, "fd01:1::2"), 1);
	assert_int_equal(from(p, 0, "fd02::1"), -1);
	assert_int_equal(from(p, 0, "11.0.0.1"), -1);
	// The same address in another realm is another carrier; a realm without trunks has none.
	assert_int_equal(from(p, 1, "10.0.1.1"), 3);
	assert_int_equal(from(p, 1, "10.0.1.2"), -1);
	assert_int_equal(from(p, 9, "10.0.1.1"), -1);

	struct td_sockaddr in = address("10.200.0.1", 99), out = address("11.0.0.1", 0);
	assert_true(td_policy_trunk_has(p, 1, &in));
	assert_false(td_policy_trunk_has(p, 1, &out));
	assert_false(td_policy_trunk_has(p, 77, &in));
	td_policy_free(p);
	free(d);
}

static void test_ingress_by_match(void **state)
{
	struct draft *d = calloc(1, sizeof(*d));

	trunk(d, "a", "west", "10.0.1.1");
	set(trunk(d, "b", "west", "10.0.1.1")->match.tech_prefix, "99");
	set(trunk(d, "c", "west", "10.0.1.1")->match.tech_prefix, "991");
	struct td_trunk_conf *t = trunk(d, "d", "west", "10.0.1.1");
	set(t->match.tech_prefix, "991");
	set(t->match.domain, "carrier.example");
	t->match.source_port = 5080;
	struct td_policy *p = compiled(d);

	assert_int_equal(ingress(p, 0, "10.0.1.1", "4930", "x", 5060, "10.0.1.254"), 0);
	assert_int_equal(ingress(p, 0, "10.0.1.1", "994930", "x", 5060, "10.0.1.254"), 1);
	assert_int_equal(ingress(p, 0, "10.0.1.1", "+994930", "x", 5060, "10.0.1.254"), 1);
	assert_int_equal(ingress(p, 0, "10.0.1.1", "9914930", "x", 5060, "10.0.1.254"), 2);
	assert_int_equal(
		ingress(p, 0, "10.0.1.1", "9914930", "Carrier.Example", 5080, "10.0.1.254"), 3);
	assert_int_equal(
		ingress(p, 0, "10.0.1.1", "9914930", "Carrier.Example", 5081, "10.0.1.254"), 2);
	td_policy_free(p);

	// By the address the request came to.
	memset(d, 0, sizeof(*d));
	set(trunk(d, "a", "west", "10.0.1.1")->match.listener, "10.0.1.254");
	set(trunk(d, "b", "west", "10.0.1.1")->match.listener, "10.0.1.253:5060");
	set(trunk(d, "c", "west", "10.0.1.1")->match.listener, "[fd00::1]:5070");
	p = compiled(d);
	assert_int_equal(ingress(p, 0, "10.0.1.1", "1", "x", 5060, "10.0.1.254"), 0);
	assert_int_equal(ingress(p, 0, "10.0.1.1", "1", "x", 5060, "10.0.1.253"), 1);
	assert_int_equal(ingress(p, 0, "10.0.1.1", "1", "x", 5060, "fd00::1"), -1);
	td_policy_free(p);
	free(d);
}

static uint32_t draw(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

// Looks at one after the other: who fits and says most.
static int expected_of(
	const struct td_trunk_conf *trunks, int n, const char *user, const char *domain)
{
	int found = -1, most = -1;

	for (int i = 0; i < n; i++) {
		const struct td_match_conf *m = &trunks[i].match;
		int length = (int)strlen(m->tech_prefix);
		int fields = (length > 0) + (m->domain[0] != 0);
		if (strncmp(user + (user[0] == '+'), m->tech_prefix, (size_t)length) != 0 ||
			(m->domain[0] && strcasecmp(m->domain, domain) != 0) ||
			fields * 100 + length <= most)
			continue;
		most = fields * 100 + length;
		found = i;
	}
	return found;
}

// Thousands of customers behind one address whose tech_prefix tells them apart, one inside another
// now and then, and one who takes what is nobody's.
static void test_many_behind_one_address(void **state)
{
	enum { N = 4000, REQUESTS = 5000 };
	struct td_trunk_conf *trunks = calloc(N, sizeof(*trunks));
	struct td_policy_env env = { slot_of, realm_of, NULL };
	struct td_policy_conf conf = { .n_trunks = N, .trunks = trunks };
	char error[160] = "", user[16];
	uint32_t random = 7;

	for (uint32_t i = 0; i < N; i++) {
		struct td_trunk_conf *t = &trunks[i];
		snprintf(t->name, sizeof(t->name), "t%u", i);
		set(t->realm, "west");
		t->n_peers = 1;
		t->peers[0].address = address("10.0.1.1", 5060);
		if (i == N - 1)
			continue;
		snprintf(t->match.tech_prefix, sizeof(t->match.tech_prefix), "%0*u",
			i < 900 ? 3 : 5, i < 900 ? i : i * 7919 % 100000);
		if (i >= 900 && i % 10 == 0)
			set(t->match.domain, "x.example");
	}
	struct td_policy *p = td_policy_new(&conf, &env, error, sizeof(error));
	if (!p)
		fail_msg("%s", error);
	for (int k = 0; k < REQUESTS; k++) {
		const char *domain = draw(&random) % 2 ? "x.example" : "y.example";
		snprintf(user, sizeof(user), "%s%07u", draw(&random) % 2 ? "+" : "",
			draw(&random) % 10000000);
		assert_int_equal(ingress(p, 0, "10.0.1.1", user, domain, 5060, "10.0.1.254"),
			expected_of(trunks, N, user, domain));
	}
	td_policy_free(p);
	free(trunks);
}

// The same where domains tell them apart, in any spelling.
static void test_many_domains_behind_one_address(void **state)
{
	enum { N = 1000, REQUESTS = 2000 };
	struct td_trunk_conf *trunks = calloc(N, sizeof(*trunks));
	struct td_policy_env env = { slot_of, realm_of, NULL };
	struct td_policy_conf conf = { .n_trunks = N, .trunks = trunks };
	char error[160] = "", domain[32];
	uint32_t random = 7;

	for (uint32_t i = 0; i < N; i++) {
		struct td_trunk_conf *t = &trunks[i];
		snprintf(t->name, sizeof(t->name), "t%u", i);
		set(t->realm, "west");
		t->n_peers = 1;
		t->peers[0].address = address("10.0.1.1", 5060);
		snprintf(t->match.domain, sizeof(t->match.domain), "%c%u.Example",
			i % 2 ? 'c' : 'C', i * 7919 % N);
	}
	struct td_policy *p = td_policy_new(&conf, &env, error, sizeof(error));
	if (!p)
		fail_msg("%s", error);
	for (int k = 0; k < REQUESTS; k++) {
		snprintf(domain, sizeof(domain), "%c%u.%s", draw(&random) % 2 ? 'c' : 'C',
			draw(&random) % (N + 100), draw(&random) % 8 ? "eXample" : "example.net");
		assert_int_equal(ingress(p, 0, "10.0.1.1", "49", domain, 5060, "10.0.1.254"),
			expected_of(trunks, N, "49", domain));
	}
	td_policy_free(p);
	free(trunks);
}

static void test_ambiguous(void **state)
{
	struct draft *d = calloc(1, sizeof(*d));

	trunk(d, "first", "west", "10.0.1.1");
	trunk(d, "second", "west", "10.0.1.1");
	refused(d, "'first'", "'second'");
	// Each narrower in another field: a request may fit both, and none is the more specific.
	set(d->trunks[0].match.tech_prefix, "99");
	set(d->trunks[1].match.domain, "x.example");
	refused(d, "'first'", "'second'");
	// Apart in one field: never both.
	set(d->trunks[1].match.tech_prefix, "98");
	td_policy_free(compiled(d));
	// Another realm is another address space.
	memset(d->trunks[0].match.tech_prefix, 0, TD_NAME_LEN);
	memset(&d->trunks[1].match, 0, sizeof(d->trunks[1].match));
	set(d->trunks[1].realm, "east");
	td_policy_free(compiled(d));
	set(d->trunks[1].match.listener, "10.0.1.254:x");
	refused(d, "'second'", "listener");
	free(d);
}

static void test_refused(void **state)
{
	struct draft *d = calloc(1, sizeof(*d));

	draft_basic(d);
	set(d->trunks[1].realm, "north");
	refused(d, "'b'", "'north'");
	draft_basic(d);
	set(d->trunks[1].name, "a");
	refused(d, "two trunks", "'a'");
	draft_basic(d);
	set(d->trunks[1].name, "subscribers");
	refused(d, "subscribers", "reserved");
	draft_basic(d);
	d->trunks[0].n_peers = TD_PEERS_MAX + 1;
	refused(d, "'a'", "too many");
	draft_basic(d);
	memset(d->trunks[0].realm, 'x', TD_NAME_LEN);
	refused(d, "'a'", "too long");
	draft_basic(d);
	d->trunks[2].n_sources = 1;
	d->trunks[2].sources[0] = prefix("10.0.0.0", 33);
	refused(d, "'c'", "/33");
	draft_basic(d);
	route(d, "a", "49", "z");
	refused(d, "route 1", "'z'");
	draft_basic(d);
	route(d, "a", "49", "b");
	route(d, "q", "49", "b");
	refused(d, "route 2", "'q'");
	draft_basic(d);
	route(d, "a", "+49", "b");
	refused(d, "route 1", "'+49'");
	draft_basic(d);
	route(d, "a", "49", "");
	refused(d, "route 1", "nothing");
	draft_basic(d);
	for (int i = 0; i < 5; i++)
		route(d, "a", "49", "bcdb");
	refused(d, "'49'", "16 targets");
	free(d);
}

// Names of the trunks in the answer, one letter a target; "404" or "503".
static const char *routed(
	const struct td_policy *p, const char *number, const char *domain, uint64_t seed, bool sos)
{
	static char text[TD_ATTEMPTS_MAX + 8];
	struct td_route_query q = { 0, td_span_str(number), td_span_str(domain), seed, sos };
	struct td_route_answer a;
	size_t n = 0;

	if (td_policy_route(p, &q, &a) == TD_REFUSED) {
		snprintf(text, sizeof(text), "%u", a.sip_code);
		return text;
	}
	for (; n < a.n; n++)
		text[n] = a.targets[n].kind == TD_TARGET_AOR
				  ? '@'
				  : td_policy_trunk(p, a.targets[n].trunk)->conf.name[0];
	text[n] = '\0';
	return text;
}

static void test_registrar(void **state)
{
	struct draft *d = calloc(1, sizeof(*d));

	draft_basic(d);
	route(d, "a", "49", "xb");
	d->routes[0].to[0].registrar = true;
	struct td_policy *p = compiled(d);
	const char *order = routed(p, "4930", "x", 1, false);
	assert_true(strcmp(order, "@b") == 0 || strcmp(order, "b@") == 0);
	td_policy_free(p);
	free(d);
}

static void test_prefixes(void **state)
{
	struct draft *d = calloc(1, sizeof(*d));

	draft_basic(d);
	route(d, "a", "49", "b");
	route(d, "a", "4930", "c");
	route(d, "a", "4930555", "dc");
	route(d, "b", "1", "a");
	d->routes[2].to[0].priority = 2;
	d->routes[2].to[1].priority = 1;
	struct td_policy *p = compiled(d);

	assert_string_equal(routed(p, "4989", "x", 1, false), "b");
	assert_string_equal(routed(p, "49", "x", 1, false), "b");
	// Shorter prefixes follow with the trunks not named yet.
	assert_string_equal(routed(p, "4930", "x", 1, false), "cb");
	assert_string_equal(routed(p, "49305551", "x", 1, false), "cdb");
	assert_string_equal(routed(p, "4", "x", 1, false), "404");
	assert_string_equal(routed(p, "1", "x", 1, false), "404");
	assert_string_equal(routed(p, "", "x", 1, false), "404");
	assert_string_equal(routed(p, "alice", "x", 1, false), "404");
	td_policy_free(p);

	// With an empty prefix a name finds its way too, a digit prefix never fits one.
	route(d, "a", "", "d");
	p = compiled(d);
	assert_string_equal(routed(p, "alice", "x", 1, false), "d");
	assert_string_equal(routed(p, "49alice", "x", 1, false), "d");
	assert_string_equal(routed(p, "49", "x", 1, false), "bd");
	assert_string_equal(routed(p, "service:sos", "x", 1, true), "d");
	td_policy_free(p);
	route(d, "a", "urn:service:sos", "c");
	p = compiled(d);
	assert_string_equal(routed(p, "service:sos", "x", 1, true), "cd");
	assert_string_equal(routed(p, "service:sos", "x", 1, false), "d");
	td_policy_free(p);
	free(d);
}

static void test_domains(void **state)
{
	struct draft *d = calloc(1, sizeof(*d));

	draft_basic(d);
	route(d, "a", "", "b");
	set(route(d, "a", "", "c")->domain, "tandem.example");
	struct td_policy *p = compiled(d);
	assert_string_equal(routed(p, "1001", "Tandem.Example", 1, false), "cb");
	assert_string_equal(routed(p, "1001", "other.example", 1, false), "b");
	td_policy_free(p);
	free(d);
}

static void test_peers_and_disabled(void **state)
{
	struct draft *d = calloc(1, sizeof(*d));
	struct td_route_query q = { .trunk_in = 0, .number = TD_SPAN("49") };
	struct td_route_answer a;

	draft_basic(d);
	d->trunks[1].n_peers = 3;
	for (uint16_t i = 0; i < 3; i++) {
		d->trunks[1].peers[i].address = address("10.0.2.1", (uint16_t)(5060 + i));
		d->trunks[1].peers[i].priority = (uint16_t)(3 - i);
	}
	route(d, "a", "49", "bc");
	d->routes[0].to[1].priority = 9;
	struct td_policy *p = compiled(d);
	assert_int_equal(td_policy_route(p, &q, &a), TD_DONE);
	assert_int_equal(a.n, 4);
	assert_int_equal(td_policy_trunk(p, 1)->conf.peers[a.targets[0].peer].address.port, 5062);
	assert_int_equal(td_policy_trunk(p, 1)->conf.peers[a.targets[2].peer].address.port, 5060);
	assert_int_equal(a.targets[3].trunk, 2);
	assert_int_equal(td_policy_trunk(p, 3)->slot, 100 + 'd');
	assert_null(td_policy_trunk(p, 4));
	td_policy_free(p);

	d->trunks[1].enabled = false;
	p = compiled(d);
	assert_string_equal(routed(p, "49", "x", 1, false), "c");
	td_policy_free(p);
	d->trunks[2].enabled = false;
	p = compiled(d);
	assert_string_equal(routed(p, "49", "x", 1, false), "503");
	assert_string_equal(routed(p, "48", "x", 1, false), "404");
	td_policy_free(p);

	// Never more targets than a call may try.
	draft_basic(d);
	for (uint32_t t = 1; t < 4; t++) {
		d->trunks[t].n_peers = 10;
		for (uint32_t i = 0; i < 10; i++)
			d->trunks[t].peers[i].address =
				address("10.0.3.1", (uint16_t)(100 * t + i));
		d->trunks[t].match.source_port = (uint16_t)t;
	}
	route(d, "a", "49", "bcd");
	p = compiled(d);
	assert_int_equal(td_policy_route(p, &q, &a), TD_DONE);
	assert_int_equal(a.n, TD_ATTEMPTS_MAX);
	td_policy_free(p);
	free(d);
}

// Peers of one priority are drawn by weight, those of a later one and of another set come after all
// of them.
static void test_peer_weights(void **state)
{
	struct draft *d = calloc(1, sizeof(*d));
	uint32_t first[4] = { 0 };
	static const uint16_t weights[4] = { 30, 10, 0, 9 };

	draft_basic(d);
	d->trunks[1].n_peers = 4;
	for (uint16_t i = 0; i < 4; i++)
		d->trunks[1].peers[i] =
			(struct td_peer_conf){ .address = address("10.0.2.1", (uint16_t)(5060 + i)),
				.weight = weights[i],
				.set = i == 3 };
	route(d, "a", "", "b");
	struct td_policy *p = compiled(d);
	for (uint64_t seed = 0; seed < 4000; seed++) {
		struct td_route_query q = { .number = TD_SPAN("49"), .random = seed };
		struct td_route_answer a;
		assert_int_equal(td_policy_route(p, &q, &a), TD_DONE);
		assert_int_equal(a.n, 4);
		assert_int_equal(a.targets[2].peer, 2);
		assert_int_equal(a.targets[3].peer, 3);
		assert_int_equal(a.targets[0].peer + a.targets[1].peer, 1);
		first[a.targets[0].peer]++;
	}
	assert_in_range(first[0], 2850, 3150);
	td_policy_free(p);
	free(d);
}

static void host(struct td_trunk_conf *t, const char *name)
{
	set(t->hosts[0].name, name);
	t->n_hosts = 1;
	t->peers[0].host = 1;
}

// A host that was never resolved is passed over: the next target, else 503.
static void test_unresolved(void **state)
{
	struct draft *d = calloc(1, sizeof(*d));
	struct td_sockaddr b = address("10.0.2.1", 5060);

	draft_basic(d);
	host(&d->trunks[1], "sip.carrier.example");
	route(d, "a", "49", "bc");
	d->routes[0].to[1].priority = 9;
	struct td_policy *p = compiled(d);
	assert_string_equal(routed(p, "49", "x", 1, false), "bc");
	assert_string_equal(td_trunk_host(td_policy_trunk(p, 1), &b)->name, "sip.carrier.example");
	assert_null(td_trunk_host(td_policy_trunk(p, 0), &b));
	assert_int_equal(from(p, 1, "10.0.2.1"), 1);
	td_policy_free(p);
	d->trunks[1].peers[0].address = (struct td_sockaddr){ 0 };
	p = compiled(d);
	assert_string_equal(routed(p, "49", "x", 1, false), "c");
	assert_int_equal(from(p, 1, "10.0.2.1"), -1);
	td_policy_free(p);
	d->routes[0].n_to = 1;
	p = compiled(d);
	assert_string_equal(routed(p, "49", "x", 1, false), "503");
	td_policy_free(p);
	d->trunks[1].peers[0].host = 2;
	refused(d, "b", "hosts");
	free(d);
}

struct lost {
	char text[128];
};

static void source_lost(void *ctx, const struct td_trunk *t, const struct td_trunk *keeper,
	const struct td_sockaddr *a)
{
	struct lost *lost = ctx;
	char ip[TD_ADDR_STRLEN];
	size_t len = strlen(lost->text);

	td_ip_format(a, false, ip, sizeof(ip));
	snprintf(lost->text + len, sizeof(lost->text) - len, "%s<%s %s,", t->conf.name,
		keeper->conf.name, ip);
}

static uint32_t any_slot(void *ctx, enum td_limit_kind kind, const char *name)
{
	return 0;
}

static int any_realm(void *ctx, const char *name)
{
	return 0;
}

// Trunks whose names have an address in common: what is written keeps it, else the first trunk.
static void test_resolved_sources(void **state)
{
	struct draft *d = calloc(1, sizeof(*d));
	struct lost lost = { "" };
	struct td_policy_env env = { .slot_of = any_slot,
		.realm_of = any_realm,
		.source_lost = source_lost,
		.source_ctx = &lost };

	for (const char *name = "abcd"; *name; name++)
		trunk(d, (char[]){ *name, 0 }, "west", "10.0.1.1");
	host(&d->trunks[0], "a.example");
	host(&d->trunks[1], "b.example");
	host(&d->trunks[3], "d.example");
	set(d->trunks[3].match.tech_prefix, "99");
	d->conf.trunks = d->trunks;
	d->conf.routes = d->routes;
	struct td_policy *p = td_policy_new(&d->conf, &env, d->error, sizeof(d->error));
	if (!p)
		fail_msg("%s", d->error);
	assert_int_equal(from(p, 0, "10.0.1.1"), 2);
	assert_int_equal(ingress(p, 0, "10.0.1.1", "9911", "x", 5060, "10.0.1.254"), 3);
	// Which of a and b loses to the other first is of no account; both end without it.
	assert_non_null(strstr(lost.text, "b<"));
	assert_non_null(strstr(lost.text, "a<c 10.0.1.1,"));
	td_policy_free(p);

	d->conf.n_trunks = 2;
	lost.text[0] = '\0';
	p = td_policy_new(&d->conf, &env, d->error, sizeof(d->error));
	assert_non_null(p);
	assert_int_equal(from(p, 0, "10.0.1.1"), 0);
	assert_string_equal(lost.text, "b<a 10.0.1.1,");
	td_policy_free(p);
	d->trunks[0].peers[0].host = d->trunks[1].peers[0].host = 0;
	refused(d, "a", "ambiguous");
	free(d);
}

// 3:1:0 over many seeds: first places follow the weights, weight 0 always comes last, everybody
// comes once.
static void test_weights(void **state)
{
	struct draft *d = calloc(1, sizeof(*d));
	uint32_t first[256] = { 0 };

	draft_basic(d);
	route(d, "a", "", "bcd");
	d->routes[0].to[0].weight = 30;
	d->routes[0].to[1].weight = 10;
	d->routes[0].to[2].weight = 0;
	struct td_policy *p = compiled(d);
	for (uint64_t seed = 0; seed < 4000; seed++) {
		const char *order = routed(p, "49", "x", seed, false);
		assert_int_equal(strlen(order), 3);
		assert_int_equal(order[2], 'd');
		assert_int_not_equal(order[0], order[1]);
		first[(uint8_t)order[0]]++;
	}
	assert_in_range(first['b'], 2850, 3150);
	assert_string_equal(routed(p, "49", "x", 7, false), routed(p, "49", "x", 7, false));
	td_policy_free(p);

	// Two routes of one prefix are one route.
	route(d, "a", "", "d");
	d->routes[1].to[0].weight = 40;
	p = compiled(d);
	memset(first, 0, sizeof(first));
	for (uint64_t seed = 0; seed < 4000; seed++)
		first[(uint8_t)routed(p, "49", "x", seed, false)[0]]++;
	assert_in_range(first['d'], 1850, 2150);
	td_policy_free(p);
	free(d);
}

// Against a plain search over all routes.
static void test_trie_equals_search(void **state)
{
	enum { ROUTES = 3000 };
	struct td_trunk_conf trunks[3] = { 0 };
	struct td_route_conf *routes = calloc(ROUTES, sizeof(*routes));
	struct td_policy_conf conf = {
		.n_trunks = 3, .n_routes = ROUTES, .trunks = trunks, .routes = routes
	};
	struct td_policy_env env = { slot_of, realm_of, NULL };
	char error[256] = "";

	for (int t = 0; t < 3; t++) {
		trunks[t] = (struct td_trunk_conf){
			.name = { (char)('a' + t) }, .realm = "west", .enabled = true, .n_peers = 1
		};
		trunks[t].peers[0].address = address("10.0.1.1", 0);
		trunks[t].peers[0].address.ip[3] = (uint8_t)(t + 1);
	}
	srand(1);
	for (uint32_t i = 0; i < ROUTES; i++) {
		struct td_route_conf *r = &routes[i];
		r->n_from = r->n_to = 1;
		r->from[0][0] = 'a';
		r->to[0].trunk[0] = (char)('b' + i % 2);
		snprintf(r->prefix, sizeof(r->prefix), "%04u", i); // unique
		r->prefix[i % 3 == 0 ? 3 : 4] = '\0'; // some shortened: they may repeat
	}
	struct td_policy *p = td_policy_new(&conf, &env, error, sizeof(error));
	assert_string_equal(error, "");
	for (uint32_t i = 0; i < 12000; i++) {
		char number[16];
		size_t longest = 0;
		bool found = false;
		snprintf(number, sizeof(number), "%05u", i * 7 % 40000);
		for (uint32_t k = 0; k < ROUTES; k++) {
			size_t n = strlen(routes[k].prefix);
			if (strncmp(routes[k].prefix, number, n) == 0 && n >= longest) {
				longest = n;
				found = true;
			}
		}
		bool right = false;
		const char *got = routed(p, number, "x", i, false);
		for (uint32_t k = 0; k < ROUTES; k++)
			if (strlen(routes[k].prefix) == longest &&
				strncmp(routes[k].prefix, number, longest) == 0)
				right |= routes[k].to[0].trunk[0] == got[0];
		assert_true(found ? right : strcmp(got, "404") == 0);
	}
	td_policy_free(p);
	free(routes);
}

static void test_media_sources_and_limits(void **state)
{
	struct draft *d = calloc(1, sizeof(*d));
	struct td_sockaddr in = address("192.0.2.7", 4000), out = address("192.0.3.7", 4000);

	draft_basic(d);
	d->trunks[0].n_media_sources = 1;
	d->trunks[0].media_sources[0] = prefix("192.0.2.0", 24);
	d->conf.generation = 7;
	d->conf.max_calls = 20000;
	struct td_policy *p = compiled(d);
	assert_true(td_policy_media_has(p, 0, &in));
	assert_false(td_policy_media_has(p, 0, &out));
	assert_false(td_policy_media_has(p, 9, &in));
	assert_int_equal(td_policy_generation(p), 7);
	assert_int_equal(td_policy_n_trunks(p), 4);
	assert_int_equal(td_policy_limits(p)->max_calls, 20000);
	assert_null(td_policy_limits(p)->trunks);
	td_policy_free(p);

	// Nothing configured yet.
	memset(d, 0, sizeof(*d));
	p = compiled(d);
	assert_int_equal(from(p, 0, "10.0.1.1"), -1);
	assert_string_equal(routed(p, "49", "x", 1, false), "404");
	td_policy_free(p);
	td_policy_free(NULL);
	free(d);
}

// --- groups, filters, blocks, windows, a loaded plan

static void asked(
	const struct td_policy *p, struct td_route_query q, char text[TD_ATTEMPTS_MAX + 8])
{
	struct td_route_answer a;
	size_t n = 0;

	if (td_policy_route(p, &q, &a) == TD_REFUSED) {
		snprintf(text, TD_ATTEMPTS_MAX + 8, "%u", a.sip_code);
		return;
	}
	for (; n < a.n; n++)
		text[n] = a.targets[n].kind == TD_TARGET_AOR
				  ? '@'
				  : td_policy_trunk(p, a.targets[n].trunk)->conf.name[0];
	text[n] = '\0';
}

#define assert_asked(p, expected, ...)                                                             \
	do {                                                                                       \
		char got[TD_ATTEMPTS_MAX + 8];                                                     \
		asked(p, (struct td_route_query){ .random = 1, __VA_ARGS__ }, got);                \
		assert_string_equal(got, expected);                                                \
	} while (0)

static void test_groups_and_costs(void **state)
{
	struct draft *d = calloc(1, sizeof(*d));
	struct td_group_conf groups[2] = { { .name = "g", .n_members = 2 },
		{ .name = "h", .n_members = 1 } };

	draft_basic(d);
	set(groups[0].members[0].trunk, "c");
	groups[0].members[0].priority = 2;
	set(groups[0].members[1].trunk, "b");
	groups[0].members[1].priority = 1;
	set(groups[1].members[0].trunk, "d");
	d->conf.groups = groups;
	d->conf.n_groups = 2;
	route(d, "a", "49", "gd");
	d->routes[0].to[0].cost = 20;
	d->routes[0].to[1].cost = 10;
	route(d, "a", "48", "hg");
	d->routes[1].to[1].priority = 1;
	struct td_policy *p = compiled(d);

	assert_asked(p, "dbc", .number = TD_SPAN("4930"));
	assert_asked(p, "dbc", .number = TD_SPAN("4830"));
	struct td_route_query q = { .number = TD_SPAN("49") };
	struct td_route_answer a;
	assert_int_equal(td_policy_route(p, &q, &a), TD_DONE);
	assert_int_equal(a.targets[0].group, 0);
	assert_string_equal(td_policy_limit(p, TD_LIMIT_GROUP, a.targets[1].group)->name, "g");
	td_policy_free(p);
	set(groups[0].members[0].trunk, "z");
	refused(d, "group 'g'", "'z'");
	set(groups[0].members[0].trunk, "c");
	set(groups[1].name, "b");
	refused(d, "group 'b'", "taken");
	free(d);
}

// In whatever order they stand, each name is found, and one beside them is not.
static void test_names_among_many(void **state)
{
	enum { N = 1000 };
	struct draft *d = calloc(1, sizeof(*d));
	struct td_limit_conf *limits = calloc(N, sizeof(*limits));
	struct td_route_query q = { .trunk_in = 0 };
	struct td_route_answer a;
	char number[8];

	for (unsigned i = 0; i < N; i++)
		snprintf(limits[i].name, sizeof(limits[i].name), "l%u", i * 7919 % N);
	for (unsigned i = 0; i + 10 <= N; i += 110) {
		draft_basic(d);
		d->conf.limits = limits;
		d->conf.n_limits = N;
		for (unsigned k = 0; k < 10; k++) {
			snprintf(number, sizeof(number), "%u", k);
			route(d, "a", number, "b");
			memcpy(d->routes[k].limit, limits[i + k].name, TD_NAME_LEN);
		}
		struct td_policy *p = compiled(d);
		for (unsigned k = 0; k < 10; k++) {
			snprintf(number, sizeof(number), "%u", k);
			q.number = td_span_str(number);
			assert_int_equal(td_policy_route(p, &q, &a), TD_DONE);
			assert_int_equal(a.targets[0].limit, i + k + 1);
		}
		td_policy_free(p);
	}
	set(d->routes[9].limit, "l1000");
	refused(d, "there is no limit", "'l1000'");
	free(limits);
	free(d);
}

static void test_filters_and_blocks(void **state)
{
	struct draft *d = calloc(1, sizeof(*d));
	struct td_failover_conf failover = { .name = "quick" };

	draft_basic(d);
	d->conf.failovers = &failover;
	d->conf.n_failovers = 1;
	route(d, "a", "49", "b");
	set(route(d, "a", "49", "c")->caller, "4930");
	set(d->routes[1].failover, "quick");
	d->routes[1].max_duration_s = 60;
	set(route(d, "a", "49", "d")->caller, "anonymous");
	route(d, "a", "49900", "")->block = 603;
	set(route(d, "a", "=4911", "d")->name, "did");
	set(route(d, "a", "bob@x.example", "d")->domain, "");
	route(d, "a", "", "d");
	set(route(d, "a", "", "")->caller, "666");
	d->routes[7].block = 403;
	struct td_policy *p = compiled(d);

	assert_asked(p, "bd", .number = TD_SPAN("4989"), .caller = TD_SPAN("1"));
	assert_asked(p, "cbd", .number = TD_SPAN("4989"), .caller = TD_SPAN("493055"));
	assert_asked(
		p, "db", .number = TD_SPAN("4989"), .caller = TD_SPAN("493055"), .anonymous = true);
	assert_asked(p, "603", .number = TD_SPAN("499001"), .caller = TD_SPAN("1"));
	assert_asked(
		p, "bd", .number = TD_SPAN("49900"), .caller = TD_SPAN("1"), .emergency = true);
	assert_asked(p, "db", .number = TD_SPAN("4911"), .caller = TD_SPAN("1"));
	assert_asked(p, "bd", .number = TD_SPAN("49110"), .caller = TD_SPAN("1"));
	assert_asked(p, "403", .number = TD_SPAN("33"), .caller = TD_SPAN("6661"));
	assert_asked(p, "b", .number = TD_SPAN("49"),
		.caller = TD_SPAN("6661")); // a block ends the list
	assert_asked(p, "d", .user = TD_SPAN("bob"), .domain = TD_SPAN("X.example"),
		.caller = TD_SPAN("1"));
	struct td_route_query q = { .number = TD_SPAN("49"), .caller = TD_SPAN("4930") };
	struct td_route_answer a;
	assert_int_equal(td_policy_route(p, &q, &a), TD_DONE);
	assert_string_equal(td_policy_failover(p, a.targets[0].failover)->name, "quick");
	assert_int_equal(a.targets[0].max_duration_s, 60);
	assert_null(td_policy_failover(p, a.targets[1].failover));
	td_policy_free(p);
	set(d->routes[0].window, "never");
	refused(d, "route 1", "'never'");
	free(d);
}

// 2026-03-29 01:00 UTC: summer time begins in Berlin. 2026-11-26 is a Thursday.
static void test_windows(void **state)
{
	struct draft *d = calloc(1, sizeof(*d));
	struct td_window_conf windows[2] = {
		{ .name = "office",
			.n_periods = 2,
			.n_steps = 3,
			.periods = { { .weekdays = 0x1f, .from_min = 8 * 60, .to_min = 17 * 60 },
				{ .first_day = 20446,
					.last_day = 20446,
					.from_min = 0,
					.to_min = 0 } },
			.steps = { { 1761440400, 3600 }, { 1774746000, 7200 },
				{ 1792890000, 3600 } } },
		{ .name = "night",
			.n_periods = 1,
			.periods = { { .weekdays = 1, .from_min = 22 * 60, .to_min = 60 } } },
	};

	draft_basic(d);
	d->conf.windows = windows;
	d->conf.n_windows = 2;
	set(route(d, "a", "", "b")->window, "office");
	set(route(d, "a", "", "c")->window, "night");
	route(d, "a", "", "d");
	struct td_policy *p = compiled(d);

	assert_asked(p, "bd", .wall_s = 1795676400); // Thursday 08:00 in Berlin
	assert_asked(p, "d", .wall_s = 1795676399);  // a second before
	assert_asked(p, "bd", .wall_s = 1795708799); // 16:59:59
	assert_asked(p, "d", .wall_s = 1795708800);  // 17:00
	assert_asked(p, "d", .wall_s = 1795849200);  // Saturday
	assert_asked(p, "bd", .wall_s = 1782799200); // Tuesday 2026-06-30 08:00 in summer
	assert_asked(p, "d", .wall_s = 1782799199);
	assert_asked(p, "bd", .wall_s = 20446ull * 86400);         // the date alone
	assert_asked(p, "cd", .wall_s = 20444ull * 86400 + 79200); // Monday 22:00
	assert_asked(p, "cd", .wall_s = 20445ull * 86400 + 1800);  // on past midnight
	assert_asked(p, "d", .wall_s = 20447ull * 86400 + 1800);
	td_policy_free(p);
	free(d);
}

static void step_count(void *ctx, const struct td_route_step *step)
{
	char *text = ctx;

	snprintf(text + strlen(text), 512 - strlen(text), "%s %.*s %.*s %.*s%s%s\n", step->what,
		(int)step->plan.len, step->plan.ptr, (int)step->match.len, step->match.ptr,
		(int)step->name.len, step->name.ptr, step->why ? ": " : "",
		step->why ? step->why : "");
}

static void test_loaded_plan(void **state)
{
	struct draft *d = calloc(1, sizeof(*d));
	struct td_route_builder *builder = td_route_builder_new();
	const struct td_route_row rows[] = {
		{ .match = TD_SPAN("4930"), .to = TD_SPAN("c"), .label = TD_SPAN("berlin") },
		{ .match = TD_SPAN("4930"), .to = TD_SPAN("gone"), .priority = 1 },
		{ .match = TD_SPAN("49"), .to = TD_SPAN("registrar") },
	};
	char match[TD_ROUTE_SYMBOLS_MAX + 2];
	const char *error = NULL;
	size_t bytes;

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(td_route_builder_add(builder, &rows[i], &error), 0);
	assert_int_equal(td_route_builder_close(builder, &bytes, match), 0);
	void *memory = aligned_alloc(64, bytes);
	memset(memory, 0, bytes);
	td_route_builder_write(builder, "deck", memory);
	td_route_builder_free(builder);
	struct td_route_image image;
	assert_int_equal(td_route_image_open(&image, memory, bytes, &error), 0);
	const struct td_route_image *images[] = { &image };

	draft_basic(d);
	set(d->trunks[0].plan, "deck");
	route(d, "a", "49", "b");
	d->conf.trunks = d->trunks;
	d->conf.routes = d->routes;
	struct td_policy_env env = {
		.slot_of = slot_of, .realm_of = realm_of, .plans = images, .n_plans = 1
	};
	struct td_policy *p = td_policy_new(&d->conf, &env, d->error, sizeof(d->error));

	assert_asked(p, "cb@", .number = TD_SPAN("493055"));
	assert_asked(p, "b@", .number = TD_SPAN("49"));
	assert_asked(p, "404", .number = TD_SPAN("49"), .trunk_in = 1);
	assert_asked(p, "c@", .number = TD_SPAN("493055"), .trunk_in = 1, .plan = TD_SPAN("deck"));
	char text[512] = "";
	struct td_route_trace trace = { step_count, text };
	struct td_route_query q = { .number = TD_SPAN("4930") };
	struct td_route_answer a;
	assert_int_equal(td_policy_route_traced(p, &q, &a, &trace), TD_DONE);
	assert_int_equal(a.targets[0].matched, 4);
	assert_int_equal(a.targets[1].matched, 2);
	assert_string_equal(a.targets[0].route, "berlin");
	assert_null(a.targets[1].route);
	assert_string_equal(text,
		"plan a  file\nplan deck  loaded\nmatch deck 4930 \ntarget deck 4930 c\n"
		"target deck 4930 gone: there is no such trunk or group now\n"
		"match a 49 \ntarget a 49 b\nmatch deck 49 \ntarget deck 49 registrar\n");
	td_policy_free(p);
	free(memory);
	free(d);
}

static void test_by_slot_registering_probed(void **state)
{
	struct draft d = { 0 };
	const uint32_t *indices;

	trunk(&d, "c", "west", "10.0.0.3")->registration.expires_s = 60;
	trunk(&d, "a", "west", "10.0.0.1");
	trunk(&d, "b", "east", "10.0.0.2")->registration.expires_s = 60;
	d.trunks[1].health.probe = d.trunks[2].health.probe = TD_PROBE_OPTIONS;
	d.trunks[2].enabled = false;
	struct td_policy *p = compiled(&d);
	assert_int_equal(td_policy_by_slot(p, 100 + 'a'), 1);
	assert_int_equal(td_policy_by_slot(p, 100 + 'b'), 2);
	assert_int_equal(td_policy_by_slot(p, 100 + 'c'), 0);
	assert_int_equal(td_policy_by_slot(p, 100 + 'd'), -1);
	assert_int_equal(td_policy_by_slot(p, 0), -1);
	assert_int_equal(td_policy_by_slot(p, UINT32_MAX), -1);
	assert_int_equal(td_policy_registering(p, &indices), 1);
	assert_int_equal(indices[0], 0);
	assert_int_equal(td_policy_probed(p, &indices), 1);
	assert_int_equal(indices[0], 1);
	td_policy_free(p);
}

static void too_many_peers_to_ask(void **state)
{
	enum { TRUNKS = TD_PROBES_MAX / TD_PEERS_MAX + 1 };
	struct td_trunk_conf *trunks = calloc(TRUNKS, sizeof(*trunks));
	const struct td_policy_conf conf = { .n_trunks = TRUNKS, .trunks = trunks };
	const struct td_policy_env env = { 0 };
	char error[256] = "";

	for (uint32_t i = 0; i < TRUNKS; i++) {
		trunks[i].health.probe = TD_PROBE_OPTIONS;
		trunks[i].n_peers = TD_PEERS_MAX;
	}
	assert_null(td_policy_new(&conf, &env, error, sizeof(error)));
	assert_string_equal(error, "65552 peers are asked by OPTIONS, at most 65536 may be");
	free(trunks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ingress_by_source),
		cmocka_unit_test(test_ingress_by_match),
		cmocka_unit_test(test_by_slot_registering_probed),
		cmocka_unit_test(test_many_behind_one_address),
		cmocka_unit_test(test_many_domains_behind_one_address),
		cmocka_unit_test(test_ambiguous),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_registrar),
		cmocka_unit_test(test_groups_and_costs),
		cmocka_unit_test(test_names_among_many),
		cmocka_unit_test(test_filters_and_blocks),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_loaded_plan),
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_peers_and_disabled),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_peer_weights),
		cmocka_unit_test(test_unresolved),
		cmocka_unit_test(test_resolved_sources),
		cmocka_unit_test(test_trie_equals_search),
		cmocka_unit_test(test_media_sources_and_limits),
		cmocka_unit_test(too_many_peers_to_ask),
	};
	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
