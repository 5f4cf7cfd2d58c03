// SPDX-License-Identifier: BSD-3-Clause
// Where a call may go: per ingress trunk a digit trie over the prefixes of its routes.
//
// Order of the targets (contract): the longest prefix first; at one prefix routes that name the
// domain before those that do not; then the lower priority, then by weight at random without
// replacement; each trunk's peers before the next trunk. Shorter prefixes follow as fallbacks with
// the trunks that were not named yet. Routes of the same trunk, prefix and domain are one route
// with the targets of all. Emergency calls (RFC 5031) take the routes with prefix
// "urn:service:sos", then those of the empty prefix.
//
// The trie is laid out breadth first: a node's children stand together and are found by a bit map
// and a population count, 12 bytes of a node and one of its cache lines per digit, whatever the
// table's size. Nothing here recurses.
#include "sip/policy_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#define SYMBOLS 12 // 0–9, '*', '#'
#define SOS_PREFIX "urn:service:sos"

static int symbol_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c == '*' ? 10 : c == '#' ? 11 : -1;
}

// --- compiling
//
// -------------------------------------------------------------------------------------------------------

static bool route_is_sos(const struct td_route_conf *r)
{
	return strcmp(r->prefix, SOS_PREFIX) == 0;
}

static int route_check(const struct td_route_conf *r, uint32_t number, struct policy_error *error)
{
	if (!memchr(r->prefix, '\0', sizeof(r->prefix)) ||
		!memchr(r->domain, '\0', sizeof(r->domain)))
		return policy_fail(error, "route %u: a text is too long", number);
	if (r->n_from > TD_ROUTE_FROM_MAX || r->n_to > TD_ROUTE_TARGETS_MAX)
		return policy_fail(error, "route %u: too many names in from or to", number);
	if (r->n_to == 0)
		return policy_fail(error, "route %u: nothing in to", number);
	for (const char *c = r->prefix; *c != '\0' && !route_is_sos(r); c++)
		if (symbol_of(*c) < 0)
			return policy_fail(error,
				"route %u: prefix '%s' is neither digits nor '" SOS_PREFIX "'",
				number, r->prefix);
	return 0;
}

static int name_resolve(const struct trunk_names *names, const char *name, uint32_t number,
	uint32_t *out, struct policy_error *error)
{
	if (!memchr(name, '\0', TD_NAME_LEN))
		return policy_fail(error, "route %u: a name is too long", number);
	int64_t trunk = trunk_by_name(names, name);
	if (trunk < 0)
		return policy_fail(error, "route %u: there is no trunk '%s'", number, name);
	*out = (uint32_t)trunk;
	return 0;
}

// Targets in the order of their priority; equal ones stay as they are.
static void targets_sort(struct route_target *targets, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		struct route_target t = targets[i];
		uint32_t j = i;
		for (; j > 0 && targets[j - 1].priority > t.priority; j--)
			targets[j] = targets[j - 1];
		targets[j] = t;
	}
}

static int targets_fill(struct routes *routes, const struct td_route_conf *r, uint32_t number,
	uint32_t first, const struct trunk_names *names, struct policy_error *error)
{
	struct route_target *targets = routes->targets + first;

	for (uint32_t i = 0; i < r->n_to; i++) {
		struct route_target t = { .priority = r->to[i].priority,
			.weight = r->to[i].weight };
		int rc = 0;
		if (r->to[i].registrar)
			t.trunk = ROUTE_NONE;
		else
			rc = name_resolve(names, r->to[i].trunk, number, &t.trunk, error);
		if (rc < 0)
			return rc;
		targets[i] = t;
	}
	targets_sort(targets, r->n_to);
	return 0;
}

static int route_fill(struct routes *routes, const struct td_route_conf *r, uint32_t number,
	uint32_t *n_targets, struct td_span domain, const struct trunk_names *names,
	struct policy_error *error)
{
	int rc = targets_fill(routes, r, number, *n_targets, names, error);

	for (uint32_t i = 0; rc == 0 && i < r->n_from; i++) {
		struct route_entry *e = &routes->entries[routes->n_entries];
		// Calls of subscribers need a registrar; the name stands in configurations that
		// will have one.
		if (strcmp(r->from[i], "subscribers") == 0)
			continue;
		*e = (struct route_entry){
			.conf = r, .domain = domain, .targets = *n_targets, .n_targets = r->n_to
		};
		rc = name_resolve(names, r->from[i], number, &e->trunk_in, error);
		routes->n_entries++;
	}
	*n_targets += r->n_to;
	return rc;
}

static int entries_alloc(
	struct routes *routes, const struct td_policy_conf *conf, struct policy_error *error)
{
	size_t n_entries = 1, n_targets = 1, text = 1;

	for (uint32_t i = 0; i < conf->n_routes; i++) {
		int rc = route_check(&conf->routes[i], i + 1, error);
		if (rc < 0)
			return rc;
		n_entries += conf->routes[i].n_from;
		n_targets += conf->routes[i].n_to;
		text += strlen(conf->routes[i].domain);
	}
	routes->entries = calloc(n_entries, sizeof(*routes->entries));
	routes->targets = calloc(n_targets, sizeof(*routes->targets));
	routes->text = malloc(text);
	return routes->entries && routes->targets && routes->text ? 0 : policy_no_memory(error);
}

static int entries_fill(struct routes *routes, const struct td_policy_conf *conf,
	const struct trunk_names *names, uint32_t *n_targets, struct policy_error *error)
{
	char *text = routes->text;

	for (uint32_t i = 0; i < conf->n_routes; i++) {
		struct td_span domain = td_span_str(conf->routes[i].domain);
		memcpy(text, domain.ptr, domain.len);
		domain.ptr = text;
		text += domain.len;
		int rc = route_fill(
			routes, &conf->routes[i], i + 1, n_targets, domain, names, error);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int domain_order(struct td_span a, struct td_span b)
{
	if ((a.len == 0) != (b.len == 0))
		return a.len == 0 ? 1 : -1;
	int order = strncasecmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

// By ingress trunk, emergency routes first, then prefix; shorter before longer, domains before
// none, else as written.
static int by_prefix(const void *a, const void *b)
{
	const struct route_entry *x = a, *y = b;

	if (x->trunk_in != y->trunk_in)
		return x->trunk_in < y->trunk_in ? -1 : 1;
	if (route_is_sos(x->conf) != route_is_sos(y->conf))
		return route_is_sos(x->conf) ? -1 : 1;
	const char *p = x->conf->prefix, *q = y->conf->prefix;
	while (*p != '\0' && *p == *q)
		p++, q++;
	if (*p != *q)
		return *p == '\0' ? -1 : *q == '\0' ? 1 : symbol_of(*p) - symbol_of(*q);
	int order = domain_order(x->domain, y->domain);
	return order != 0 ? order : (x->conf > y->conf) - (x->conf < y->conf);
}

static bool same_route(const struct route_entry *a, const struct route_entry *b)
{
	return a->trunk_in == b->trunk_in && strcmp(a->conf->prefix, b->conf->prefix) == 0 &&
	       domain_order(a->domain, b->domain) == 0;
}

// Makes one entry of sorted entries [first, end). Its targets are copied: other ingress trunks may
// share the originals.
static int run_merge(struct routes *routes, uint32_t first, uint32_t end, uint32_t *n_targets,
	struct policy_error *error)
{
	struct route_target merged[TD_ROUTE_TARGETS_MAX];
	struct route_entry *e = &routes->entries[first];
	uint32_t n = 0;

	for (uint32_t i = first; i < end; i++) {
		const struct route_entry *from = &routes->entries[i];
		if (n + from->n_targets > TD_ROUTE_TARGETS_MAX)
			return policy_fail(error,
				"routes with prefix '%s': more than %d targets together",
				e->conf->prefix, TD_ROUTE_TARGETS_MAX);
		memcpy(merged + n, routes->targets + from->targets,
			from->n_targets * sizeof(merged[0]));
		n += from->n_targets;
	}
	struct route_target *targets =
		realloc(routes->targets, (*n_targets + n) * sizeof(*targets));
	if (!targets)
		return policy_no_memory(error);
	routes->targets = targets;
	memcpy(targets + *n_targets, merged, n * sizeof(merged[0]));
	targets_sort(targets + *n_targets, n);
	e->targets = *n_targets;
	e->n_targets = (uint16_t)n;
	*n_targets += n;
	return 0;
}

static int entries_merge(struct routes *routes, uint32_t n_targets, struct policy_error *error)
{
	uint32_t n = 0;

	for (uint32_t i = 0, end; i < routes->n_entries; i = end) {
		for (end = i + 1; end < routes->n_entries &&
				  same_route(&routes->entries[i], &routes->entries[end]);)
			end++;
		int rc = end - i > 1 ? run_merge(routes, i, end, &n_targets, error) : 0;
		if (rc < 0)
			return rc;
		routes->entries[n++] = routes->entries[i];
	}
	routes->n_entries = n;
	return 0;
}

// The sorted entries below a node while the trie is built; same index as the node.
struct span_of_entries {
	uint32_t lo, hi;
	uint32_t depth;
};

struct builder {
	struct routes *routes;
	struct span_of_entries *spans;
	uint32_t cap;
};

static int node_add(struct builder *b, uint32_t lo, uint32_t hi, uint32_t depth)
{
	struct routes *routes = b->routes;

	if (routes->n_nodes == b->cap) {
		uint32_t cap = b->cap == 0 ? 64 : 2 * b->cap;
		struct route_node *nodes = realloc(routes->nodes, cap * sizeof(*nodes));
		if (!nodes)
			return -ENOMEM;
		routes->nodes = nodes;
		struct span_of_entries *spans = realloc(b->spans, cap * sizeof(*spans));
		if (!spans)
			return -ENOMEM;
		b->spans = spans;
		b->cap = cap;
	}
	b->spans[routes->n_nodes] = (struct span_of_entries){ lo, hi, depth };
	routes->nodes[routes->n_nodes++] = (struct route_node){ 0 };
	return 0;
}

// Takes the entries that end at a node and adds a child for each symbol that goes on.
static int node_build(struct builder *b, uint32_t index)
{
	struct span_of_entries s = b->spans[index];
	const struct route_entry *entries = b->routes->entries;
	struct route_node node = { .bucket = s.lo, .children = b->routes->n_nodes };

	while (s.lo < s.hi && entries[s.lo].conf->prefix[s.depth] == '\0')
		s.lo++;
	if (s.lo - node.bucket > UINT16_MAX)
		return -E2BIG;
	node.n_bucket = (uint16_t)(s.lo - node.bucket);
	while (s.lo < s.hi) {
		char digit = entries[s.lo].conf->prefix[s.depth];
		uint32_t end = s.lo;
		while (end < s.hi && entries[end].conf->prefix[s.depth] == digit)
			end++;
		if (node_add(b, s.lo, end, s.depth + 1) < 0)
			return -ENOMEM;
		node.map |= (uint16_t)(1u << symbol_of(digit));
		s.lo = end;
	}
	b->routes->nodes[index] = node;
	return 0;
}

static int tries_build(struct builder *b, uint32_t n_trunks)
{
	struct routes *routes = b->routes;
	uint32_t lo = 0;
	int rc = 0;

	for (uint32_t t = 0; t < n_trunks; t++) {
		routes->roots[t] = routes->sos[t] = ROUTE_NONE;
		uint32_t sos = lo;
		while (lo < routes->n_entries && routes->entries[lo].trunk_in == t &&
			route_is_sos(routes->entries[lo].conf))
			lo++;
		routes->n_sos[t] = lo - sos;
		if (lo > sos)
			routes->sos[t] = sos;
		uint32_t hi = lo;
		while (hi < routes->n_entries && routes->entries[hi].trunk_in == t)
			hi++;
		uint32_t next = routes->n_nodes;
		if (hi > lo) {
			routes->roots[t] = next;
			rc = node_add(b, lo, hi, 0);
		}
		for (; rc == 0 && next < routes->n_nodes; next++)
			rc = node_build(b, next);
		if (rc < 0)
			return rc;
		lo = hi;
	}
	return 0;
}

int routes_compile(struct td_policy *policy, const struct td_policy_conf *conf,
	const struct trunk_names *names, struct policy_error *error)
{
	struct routes *routes = &policy->routes;
	struct builder builder = { .routes = routes };
	uint32_t n_targets = 0;
	int rc = entries_alloc(routes, conf, error);

	if (rc == 0)
		rc = entries_fill(routes, conf, names, &n_targets, error);
	if (rc < 0)
		return rc;
	qsort(routes->entries, routes->n_entries, sizeof(*routes->entries), by_prefix);
	rc = entries_merge(routes, n_targets, error);
	if (rc < 0)
		return rc;
	routes->roots = calloc(policy->n_trunks + 1, sizeof(*routes->roots));
	routes->sos = calloc(policy->n_trunks + 1, sizeof(*routes->sos));
	routes->n_sos = calloc(policy->n_trunks + 1, sizeof(*routes->n_sos));
	if (!routes->roots || !routes->sos || !routes->n_sos)
		return policy_no_memory(error);
	rc = tries_build(&builder, policy->n_trunks);
	free(builder.spans);
	if (rc == -ENOMEM)
		return policy_no_memory(error);
	if (rc < 0)
		return policy_fail(
			error, "routes: more than %d for one prefix of one trunk", UINT16_MAX);
	for (uint32_t i = 0; i < routes->n_entries; i++)
		routes->entries[i].conf = NULL;
	return 0;
}

void routes_free(struct routes *routes)
{
	free(routes->roots);
	free(routes->sos);
	free(routes->n_sos);
	free(routes->nodes);
	free(routes->entries);
	free(routes->targets);
	free(routes->text);
}

// --- look-up
//
// ---------------------------------------------------------------------------------------------------------

struct choice {
	const struct td_policy *policy;
	struct td_route_answer *out;
	struct td_span domain;
	uint64_t random;
	uint32_t trunks[TD_ATTEMPTS_MAX]; // named already
	uint32_t n_trunks;
	bool disabled; // a trunk was passed over
};

// splitmix64: one step per draw, so that one seed gives the whole order.
static uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static bool choice_named(const struct choice *c, uint32_t trunk)
{
	for (uint32_t i = 0; i < c->n_trunks; i++)
		if (c->trunks[i] == trunk)
			return true;
	return false;
}

static void choice_take(struct choice *c, uint32_t trunk)
{
	struct td_route_answer *out = c->out;

	if (choice_named(c, trunk) || c->n_trunks == TD_ATTEMPTS_MAX || out->n == TD_ATTEMPTS_MAX)
		return;
	if (trunk == ROUTE_NONE) {
		c->trunks[c->n_trunks++] = trunk;
		out->targets[out->n++] =
			(struct td_route_target){ .trunk = trunk, .kind = TD_TARGET_AOR };
		return;
	}
	const struct td_trunk_conf *conf = &c->policy->trunks[trunk].conf;
	if (!conf->enabled || conf->n_peers == 0) {
		c->disabled = true;
		return;
	}
	c->trunks[c->n_trunks++] = trunk;
	for (uint32_t i = 0; i < conf->n_peers && out->n < TD_ATTEMPTS_MAX; i++)
		out->targets[out->n++] = (struct td_route_target){ .trunk = trunk, .peer = (uint16_t)i };
}

// Targets of one priority in an order drawn by weight. One of weight 0 comes after all that have
// one (RFC 2782's sense).
static void choice_take_group(struct choice *c, const struct route_target *group, uint32_t n)
{
	const struct route_target *left[TD_ROUTE_TARGETS_MAX];
	uint64_t total = 0;

	for (uint32_t i = 0; i < n; i++) {
		left[i] = &group[i];
		total += group[i].weight;
	}
	while (n > 0) {
		uint64_t draw = (random_next(&c->random) >> 32) * total >> 32;
		uint32_t i = 0;
		while (i + 1 < n && (draw >= left[i]->weight || left[i]->weight == 0) &&
			total > 0) {
			draw -= left[i]->weight;
			i++;
		}
		total -= left[i]->weight;
		choice_take(c, left[i]->trunk);
		memmove(&left[i], &left[i + 1], (n - i - 1) * sizeof(left[0]));
		n--;
	}
}

static void choice_take_entry(struct choice *c, const struct route_entry *e)
{
	const struct route_target *targets = c->policy->routes.targets + e->targets;

	if (e->domain.len > 0 && !td_span_ieq(e->domain, c->domain))
		return;
	for (uint32_t i = 0, end; i < e->n_targets; i = end) {
		for (end = i + 1;
			end < e->n_targets && targets[end].priority == targets[i].priority;)
			end++;
		choice_take_group(c, targets + i, end - i);
	}
}

static void choice_take_bucket(struct choice *c, uint32_t first, uint32_t n)
{
	for (uint32_t i = 0; i < n && c->out->n < TD_ATTEMPTS_MAX; i++)
		choice_take_entry(c, &c->policy->routes.entries[first + i]);
}

// A user that is no telephone number goes the way of the empty prefix alone.
static struct td_span number_of(struct td_span user)
{
	for (uint32_t i = 0; i < user.len; i++)
		if (symbol_of(user.ptr[i]) < 0)
			return (struct td_span){ 0 };
	return user;
}

// Fills path[] with the nodes along the number that have routes, shortest prefix first. Returns how
// many.
static uint32_t trie_walk(const struct routes *routes, uint32_t root, struct td_span number,
	const struct route_node *path[TD_NAME_LEN])
{
	const struct route_node *node = &routes->nodes[root];
	uint32_t n = 0;

	for (uint32_t i = 0; n < TD_NAME_LEN; i++) {
		if (node->n_bucket > 0)
			path[n++] = node;
		if (i == number.len)
			break;
		uint32_t bit = 1u << symbol_of(number.ptr[i]);
		if ((node->map & bit) == 0)
			break;
		node = &routes->nodes[node->children +
				      (uint32_t)__builtin_popcount(node->map & (bit - 1))];
	}
	return n;
}

enum td_answer td_policy_route(const struct td_policy *policy, const struct td_route_query *query,
	struct td_route_answer *out)
{
	const struct routes *routes = &policy->routes;
	struct choice choice = {
		.policy = policy, .out = out, .domain = query->domain, .random = query->random
	};
	const struct route_node *path[TD_NAME_LEN];

	out->n = 0;
	out->sip_code = 404;
	if (query->trunk_in >= policy->n_trunks)
		return TD_REFUSED;
	if (query->emergency && routes->sos[query->trunk_in] != ROUTE_NONE)
		choice_take_bucket(
			&choice, routes->sos[query->trunk_in], routes->n_sos[query->trunk_in]);
	uint32_t root = routes->roots[query->trunk_in];
	uint32_t n =
		root == ROUTE_NONE ? 0 : trie_walk(routes, root, number_of(query->number), path);
	while (n-- > 0)
		choice_take_bucket(&choice, path[n]->bucket, path[n]->n_bucket);
	if (out->n > 0)
		return TD_DONE;
	if (choice.disabled)
		out->sip_code = 503;
	return TD_REFUSED;
}
