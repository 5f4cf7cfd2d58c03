// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/fake_host.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

static uint64_t random_next(struct fake_host *host)
{
	// splitmix64
	uint64_t z = host->random += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static void realm_init(
	struct td_engine_realm *realm, const char *name, const char *v4, const char *v6)
{
	td_span_cstr(td_span_str(name), realm->name, sizeof(realm->name));
	realm->n_addresses = 2;
	td_ip_parse(td_span_str(v4), &realm->addresses[0].ip);
	td_ip_parse(td_span_str(v6), &realm->addresses[1].ip);
	realm->addresses[0].prefix_len = 24;
	realm->addresses[1].prefix_len = 64;
	realm->addresses[0].media = realm->addresses[1].media = true;
	realm->n_listeners = 1;
	realm->listeners[0] = (struct td_listener_conf){ .transport = TD_UDP, .port = 5060 };
}

void fake_host_init(struct fake_host *host, uint64_t seed)
{
	memset(host, 0, sizeof(*host));
	host->random = seed;
	host->now_ns = 1000000000;
	host->route_answer = TD_REFUSED;
	host->route.sip_code = 404;
	realm_init(&host->realms[FAKE_WEST], "west", "10.0.1.254", "fd00:1::fe");
	realm_init(&host->realms[FAKE_EAST], "east", "10.0.2.254", "fd00:2::fe");
}

static void *fake_alloc(void *ctx, size_t bytes)
{
	struct fake_host *host = ctx;

	if (++host->n_allocs == host->fail_alloc_at)
		return NULL;
	void *p = malloc(bytes ? bytes : 1);
	if (p) {
		// Start-up memory is not zeroed: whoever relies on that shows.
		memset(p, 0xa5, bytes < (1u << 20) ? bytes : 1u << 20);
		host->allocs_out++;
	}
	return p;
}

static void fake_free(void *ctx, void *ptr)
{
	struct fake_host *host = ctx;

	if (ptr)
		host->allocs_out--;
	free(ptr);
}

void fake_host_conf(struct fake_host *host, struct td_engine_conf *conf)
{
	*conf = (struct td_engine_conf){
		.ops = &fake_host_ops,
		.host = host,
		.counters = host->counters,
		.alloc = fake_alloc,
		.free = fake_free,
		.alloc_ctx = host,
		.node = 7,
		.epoch = 1,
		.token_key = "only for tests, of 32 bytes len.",
		.node_name = "tandem-1",
		.max_calls = 64,
		.max_cps = 64,
		.sip_message_bytes = 16384,
		.t1_ms = 500,
		.t2_ms = 4000,
		.t4_ms = 5000,
		.wall_offset_ns = 1700000000ull * 1000000000ull,
		.n_realms = FAKE_REALMS,
		.realms = host->realms,
	};
}

void fake_forget(struct fake_host *host)
{
	for (uint32_t i = 0; i < host->n_sent; i++)
		free(host->sent[i].data);
	host->n_sent = host->n_read = 0;
}

uint32_t fake_host_fini(struct fake_host *host)
{
	uint32_t held = 0;

	fake_forget(host);
	for (int kind = 0; kind < TD_LIMIT__KINDS; kind++)
		held += host->held[kind];
	return host->bufs_out + host->legs_open + held + host->reserved + host->allocs_out;
}

static int fake_buf_get(void *ctx, uint32_t bytes, struct td_buf *out)
{
	struct fake_host *host = ctx;

	if (host->no_buffer)
		return -ENOBUFS;
	*out = (struct td_buf){ .data = malloc(bytes ? bytes : 1), .cap = bytes };
	out->owner = out->data;
	host->bufs_out++;
	return 0;
}

static void fake_buf_put(void *ctx, struct td_buf *buf)
{
	struct fake_host *host = ctx;

	host->bufs_out--;
	free(buf->owner);
}

static int fake_send(void *ctx, const struct td_flow *flow, struct td_buf *buf)
{
	struct fake_host *host = ctx;

	assert(buf->len <= buf->cap && host->n_sent < FAKE_SENT_MAX);
	if (host->send_error == 0) {
		struct fake_sent *sent = &host->sent[host->n_sent++];
		sent->at_ms = host->now_ns / 1000000;
		sent->flow = *flow;
		sent->len = buf->len;
		sent->data = malloc(buf->len + 1);
		memcpy(sent->data, buf->data, buf->len);
		sent->data[buf->len] = '\0';
	}
	fake_buf_put(ctx, buf);
	return host->send_error;
}

static enum td_answer fake_route(
	void *ctx, const struct td_route_query *query, uint64_t cookie, struct td_route_answer *out)
{
	struct fake_host *host = ctx;

	host->last_query = *query;
	td_span_cstr(query->number, host->last_number, sizeof(host->last_number));
	host->last_query.number = td_span_str(host->last_number);
	host->last_query.domain = (struct td_span){ 0 };
	host->last_cookie = cookie;
	*out = host->route;
	return host->route_answer;
}

// Groups and routes are really counted; of trunks and the whole switch a test says how it goes.
static int fake_limit_acquire(void *ctx, enum td_limit_kind kind, uint32_t slot,
	const struct td_limit *limit, uint64_t now_ns)
{
	struct fake_host *host = ctx;
	int rc = kind == TD_LIMIT_TRUNK   ? host->trunk_error
		 : kind == TD_LIMIT_WHOLE ? host->call_error
					  : 0;

	if (kind == TD_LIMIT_WHOLE)
		host->call_max = limit->max_calls;
	if (kind == TD_LIMIT_GROUP || kind == TD_LIMIT_ROUTE)
		rc = td_shared_acquire(&host->shared[kind][slot % FAKE_SHARED], limit, now_ns);
	if (rc == 0)
		host->held[kind]++;
	return rc;
}

static void fake_limit_release(void *ctx, enum td_limit_kind kind, uint32_t slot)
{
	struct fake_host *host = ctx;

	assert(host->held[kind] > 0);
	host->held[kind]--;
	if (kind == TD_LIMIT_GROUP || kind == TD_LIMIT_ROUTE)
		td_shared_release(&host->shared[kind][slot % FAKE_SHARED]);
}

static void fake_limit_cancel(void *ctx, enum td_limit_kind kind, uint32_t slot)
{
	struct fake_host *host = ctx;

	assert(host->held[kind] > 0);
	host->held[kind]--;
	host->cancelled[kind]++;
	if (kind == TD_LIMIT_GROUP || kind == TD_LIMIT_ROUTE)
		td_shared_cancel(&host->shared[kind][slot % FAKE_SHARED]);
}

static td_leg_id leg_id(const struct fake_host *host, const struct fake_leg *leg)
{
	return (uint64_t)leg->generation << 32 | (uint64_t)(leg - host->legs + 1);
}

static struct fake_leg *leg_find(struct fake_host *host, td_leg_id id)
{
	uint32_t index = (uint32_t)id - 1;

	if (index >= host->n_legs || !host->legs[index].open ||
		leg_id(host, &host->legs[index]) != id)
		return NULL;
	return &host->legs[index];
}

static int fake_leg_open(
	void *ctx, const struct td_leg_open *open, td_leg_id *out, struct td_leg_local *local)
{
	struct fake_host *host = ctx;
	uint32_t i = 0;

	while (i < host->n_legs && host->legs[i].open)
		i++;
	if (host->no_port || i == FAKE_LEGS_MAX)
		return -ENOSPC;
	if (i == host->n_legs)
		host->n_legs++;
	struct fake_leg *leg = &host->legs[i];
	uint32_t generation = leg->generation + 1;
	*leg = (struct fake_leg){ .open = true, .generation = generation, .opened = *open };
	leg->local.rtp = host->realms[open->realm].addresses[open->family == TD_IPV6].ip;
	leg->local.rtp.port = (uint16_t)(16384 + 2 * i);
	leg->local.rtcp = leg->local.rtp;
	leg->local.rtcp.port++;
	host->legs_open++;
	*out = leg_id(host, leg);
	*local = leg->local;
	return 0;
}

static void fake_leg_modify(void *ctx, td_leg_id id, const struct td_leg_modify *modify)
{
	struct fake_leg *leg = leg_find(ctx, id);

	assert(leg);
	leg->last = *modify;
	leg->n_modifies++;
}

static void fake_leg_stats(void *ctx, td_leg_id id, struct td_leg_stats *stats)
{
	struct fake_leg *leg = leg_find(ctx, id);

	assert(leg);
	*stats = leg->stats;
}

static void fake_leg_close(void *ctx, td_leg_id id, struct td_leg_stats *stats)
{
	struct fake_host *host = ctx;

	if (stats)
		fake_leg_stats(ctx, id, stats);
	struct fake_leg *leg = leg_find(ctx, id);
	assert(leg);
	leg->open = false;
	host->legs_open--;
}

static int fake_cdr_reserve(void *ctx)
{
	struct fake_host *host = ctx;

	if (host->reserve_error == 0)
		host->reserved++;
	return host->reserve_error;
}

static void fake_cdr_start(void *ctx, const struct td_cdr *cdr)
{
	struct fake_host *host = ctx;

	assert(host->n_starts < FAKE_RECORDS_MAX);
	host->starts[host->n_starts++] = *cdr;
}

static void fake_cdr_attempt(void *ctx, const struct td_cdr_attempt *attempt)
{
	struct fake_host *host = ctx;

	assert(host->n_attempts < FAKE_RECORDS_MAX);
	host->attempts[host->n_attempts++] = *attempt;
}

static void fake_cdr_interim(void *ctx, const struct td_cdr *cdr)
{
	struct fake_host *host = ctx;

	host->interim = *cdr;
	host->n_interim++;
}

static void fake_cdr_end(void *ctx, const struct td_cdr *cdr)
{
	struct fake_host *host = ctx;

	assert(host->n_ends < FAKE_RECORDS_MAX && host->reserved > 0);
	host->ends[host->n_ends++] = *cdr;
	host->reserved--;
}

static void fake_log(void *ctx, const char *text, uint32_t len)
{
	struct fake_host *host = ctx;

	// Every byte is read, so that a sanitizer sees a wrong length.
	for (uint32_t i = 0; i < len; i++)
		assert(text[i] != '\0');
	td_span_cstr(td_span(text, len), host->last_log, sizeof(host->last_log));
}

static void fake_random(void *ctx, void *dst, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		((uint8_t *)dst)[i] = (uint8_t)random_next(ctx);
}

static void fake_trunk_seized(void *host, uint32_t slot, bool answered)
{
	struct fake_host *h = host;

	h->seized += !answered;
	h->answered += answered;
}

static void fake_trunk_registered(
	void *ctx, uint32_t trunk_slot, uint8_t state, uint16_t sip_code, uint32_t expires_s)
{
	struct fake_host *host = ctx;

	host->registration_state = state;
	host->registration_code = sip_code;
	host->registration_expires_s = expires_s;
}

static enum td_answer fake_locate(
	void *ctx, struct td_span who, uint64_t cookie, struct td_locate_answer *out)
{
	struct fake_host *host = ctx;

	td_span_cstr(who, host->last_who, sizeof(host->last_who));
	host->last_cookie = cookie;
	if (host->locate_answer == TD_PENDING)
		return TD_PENDING;
	if (host->known_who[0] && strcmp(host->known_who, host->last_who) != 0) {
		out->sip_code = 404;
		return TD_REFUSED;
	}
	*out = host->located;
	return host->locate_answer;
}

static enum td_answer fake_bindings_write(
	void *ctx, const uint8_t *records, uint32_t bytes, uint32_t n, uint64_t cookie)
{
	struct fake_host *host = ctx;

	host->last_cookie = cookie;
	if (host->bindings_answer == TD_REFUSED ||
		host->bindings_len + bytes > sizeof(host->bindings))
		return TD_REFUSED;
	memcpy(host->bindings + host->bindings_len, records, bytes);
	host->bindings_len += bytes;
	host->n_bindings += n;
	return host->bindings_answer;
}

static bool fake_bindings_restoring(void *ctx)
{
	const struct fake_host *host = ctx;

	return host->restoring;
}

const struct td_host_ops fake_host_ops = {
	.buf_get = fake_buf_get,
	.buf_put = fake_buf_put,
	.send = fake_send,
	.route = fake_route,
	.limit_acquire = fake_limit_acquire,
	.limit_release = fake_limit_release,
	.limit_cancel = fake_limit_cancel,
	.leg_open = fake_leg_open,
	.leg_modify = fake_leg_modify,
	.leg_close = fake_leg_close,
	.leg_stats = fake_leg_stats,
	.cdr_reserve = fake_cdr_reserve,
	.cdr_start = fake_cdr_start,
	.cdr_attempt = fake_cdr_attempt,
	.cdr_interim = fake_cdr_interim,
	.cdr_end = fake_cdr_end,
	.log = fake_log,
	.random = fake_random,
	.trunk_registered = fake_trunk_registered,
	.trunk_seized = fake_trunk_seized,
	.bindings_write = fake_bindings_write,
	.bindings_restoring = fake_bindings_restoring,
	.locate = fake_locate,
};

static uint32_t slot_of(void *ctx, enum td_limit_kind kind, const char *name)
{
	return strcmp(name, "carrier-a") == 0 ? 0 : 1;
}

static int realm_of(void *ctx, const char *realm_name)
{
	return strcmp(realm_name, "west") == 0 ? FAKE_WEST : FAKE_EAST;
}

static void trunk_init(struct td_trunk_conf *trunk, const char *name, const char *realm,
	const char *peer0, const char *peer1)
{
	td_span_cstr(td_span_str(name), trunk->name, sizeof(trunk->name));
	td_span_cstr(td_span_str(realm), trunk->realm, sizeof(trunk->realm));
	trunk->enabled = true;
	trunk->attempt_timeout_ms = 5000;
	trunk->ring_timeout_ms = 180000;
	trunk->n_peers = 2;
	td_ip_parse(td_span_str(peer0), &trunk->peers[0].address);
	td_ip_parse(td_span_str(peer1), &trunk->peers[1].address);
	trunk->peers[0].address.port = trunk->peers[1].address.port = 5060;
	trunk->peers[1].priority = 1;
}

struct td_policy *fake_policy(void (*change)(struct td_policy_conf *conf))
{
	const struct td_policy_env env = { slot_of, realm_of, NULL };
	struct td_trunk_conf *trunks = calloc(2, sizeof(*trunks));
	struct td_policy_conf conf = {
		.generation = 1, .n_trunks = 2, .trunks = trunks, .max_calls = 64, .max_cps = 64
	};
	char error[128];

	trunk_init(&trunks[0], "carrier-a", "west", "10.0.1.1", "fd00:1::1");
	trunk_init(&trunks[1], "carrier-b", "east", "10.0.2.1", "10.0.2.2");
	if (change)
		change(&conf);
	struct td_policy *policy = td_policy_new(&conf, &env, error, sizeof(error));
	free(trunks);
	assert(policy);
	return policy;
}

struct td_flow fake_flow(
	const struct fake_host *host, uint16_t realm, const char *remote_ip, uint16_t remote_port)
{
	struct td_flow flow = { .realm = realm, .transport = TD_UDP };

	td_ip_parse(td_span_str(remote_ip), &flow.remote);
	flow.remote.port = remote_port;
	flow.local = host->realms[realm].addresses[flow.remote.family == TD_IPV6].ip;
	flow.local.port = 5060;
	return flow;
}

const struct fake_sent *fake_next(struct fake_host *host)
{
	return host->n_read < host->n_sent ? &host->sent[host->n_read++] : NULL;
}

uint32_t fake_pending(const struct fake_host *host)
{
	return host->n_sent - host->n_read;
}

bool fake_starts(const struct fake_sent *sent, const char *prefix)
{
	return sent && strncmp(sent->data, prefix, strlen(prefix)) == 0;
}

bool fake_has(const struct fake_sent *sent, const char *text)
{
	return sent && strstr(sent->data, text) != NULL;
}

const char *fake_header(const struct fake_sent *sent, const char *name)
{
	static char value[2048];
	size_t len = strlen(name);

	value[0] = '\0';
	for (const char *line = sent->data; line && *line != '\r';
		line = strstr(line, "\r\n"), line += line ? 2 : 0) {
		if (strncasecmp(line, name, len) != 0 || line[len] != ':')
			continue;
		line += len + 1;
		while (isspace((unsigned char)*line))
			line++;
		td_span_cstr(td_span(line, strcspn(line, "\r")), value, sizeof(value));
		break;
	}
	return value;
}
