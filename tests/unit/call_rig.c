// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/call_rig.h"
#include "sip/digest.h"
#include "sip/engine_priv.h"
#include "sip/subscribers.h"
#include "tests/unit/heap.h"
#include "tests/unit/registrar_conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static uint32_t slot_of(void *ctx, enum td_limit_kind kind, const char *name)
{
	struct rig *rig = ctx;

	for (uint32_t i = 0; i < RIG_LIMITS; i++)
		if ((kind == TD_LIMIT_GROUP && strcmp(rig->groups[i].name, name) == 0) ||
			(kind == TD_LIMIT_ROUTE && strcmp(rig->limits[i].name, name) == 0))
			return i;
	for (uint32_t i = 0; i < 3; i++)
		if (strcmp(rig->trunks[i].name, name) == 0)
			return i;
	return 9;
}

static int realm_of(void *ctx, const char *name)
{
	return strcmp(name, "west") == 0 ? FAKE_WEST : strcmp(name, "east") == 0 ? FAKE_EAST : -1;
}

static void trunk_conf(struct td_trunk_conf *trunk, const char *name, const char *realm)
{
	td_span_cstr(td_span_str(name), trunk->name, sizeof(trunk->name));
	td_span_cstr(td_span_str(realm), trunk->realm, sizeof(trunk->realm));
	trunk->enabled = true;
	trunk->attempt_timeout_ms = 5000;
	trunk->ring_timeout_ms = 180000;
}

static void trunk_peer(struct td_trunk_conf *trunk, const char *ip)
{
	struct td_peer_conf *peer = &trunk->peers[trunk->n_peers++];

	td_ip_parse(td_span_str(ip), &peer->address);
	peer->address.port = 5060;
}

static const char *registrar_realm(void *ctx, uint16_t realm)
{
	const struct rig *rig = ctx;

	return rig->subscribers && realm == FAKE_WEST ? "west" : NULL;
}

void rig_policy(struct rig *rig)
{
	char error[256] = "";
	struct td_policy_conf conf = { .generation = rig->generation ? rig->generation : 1,
		.n_trunks = rig->n_trunks ? rig->n_trunks : 3,
		.trunks = rig->trunks,
		.max_calls = 77,
		.max_cps = 88,
		.source_cps = rig->source_cps,
		.n_failovers = rig->rule.name[0] != '\0',
		.failovers = &rig->rule,
		.groups = rig->groups,
		.limits = rig->limits,
		.rules = rig->rules,
		.plans = rig->plans,
		.realms = rig->realms,
		.subscribers = rig->subscriber_numbers,
		.subscribers_media_timeout_s = rig->subscriber_media_timeout_s,
		.n_emergency = 1,
		.emergency = { "112" } };
	while (conf.n_rules < 8 && rig->rules[conf.n_rules].name[0] != '\0')
		conf.n_rules++;
	while (conf.n_plans < 2 && rig->plans[conf.n_plans].name[0] != '\0')
		conf.n_plans++;
	while (conf.n_realms < 2 && rig->realms[conf.n_realms].realm[0] != '\0')
		conf.n_realms++;
	struct td_policy_env env = { .slot_of = slot_of,
		.realm_of = realm_of,
		.ctx = rig,
		.registrar_realm = registrar_realm,
		.n_realms = FAKE_REALMS };
	while (conf.n_groups < RIG_LIMITS && rig->groups[conf.n_groups].name[0] != '\0')
		conf.n_groups++;
	while (conf.n_limits < RIG_LIMITS && rig->limits[conf.n_limits].name[0] != '\0')
		conf.n_limits++;
	struct td_policy *policy = td_policy_new(&conf, &env, error, sizeof(error));

	if (!policy)
		fail_msg("%s", error);
	if (rig->health)
		td_health_follow(rig->health, policy);
	td_engine_set_policy(rig->engine, policy);
	if (rig->health)
		td_health_sweep(rig->health, policy);
	td_policy_free(rig->policy);
	rig->policy = policy;
}

struct rig *rig_new(void)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	fake_host_init(&rig->host, 1);
	fake_host_conf(&rig->host, &rig->conf);
	rig->engine = td_engine_new(&rig->conf);
	assert_non_null(rig->engine);
	trunk_conf(&rig->trunks[0], "west", "west");
	trunk_peer(&rig->trunks[0], "10.0.1.1");
	trunk_conf(&rig->trunks[1], "east", "east");
	trunk_peer(&rig->trunks[1], "10.0.2.1");
	trunk_peer(&rig->trunks[1], "10.0.2.2");
	trunk_conf(&rig->trunks[2], "far", "east");
	trunk_peer(&rig->trunks[2], "10.0.2.3");
	rig_policy(rig);
	rig->west = fake_flow(&rig->host, FAKE_WEST, "10.0.1.1", 5060);
	rig->east[0] = fake_flow(&rig->host, FAKE_EAST, "10.0.2.1", 5060);
	rig->east[1] = fake_flow(&rig->host, FAKE_EAST, "10.0.2.2", 5060);
	rig->east[2] = fake_flow(&rig->host, FAKE_EAST, "10.0.2.3", 5060);
	rig_route(rig, "01");
	return rig;
}

void rig_health(struct rig *rig)
{
	rig->health = td_health_new();
	assert_non_null(rig->health);
	td_engine_free(rig->engine);
	rig->conf.health = rig->health;
	rig->engine = td_engine_new(&rig->conf);
	assert_non_null(rig->engine);
	rig_policy(rig);
}

struct td_peer_view rig_peer(struct rig *rig, uint32_t trunk, uint32_t peer)
{
	const struct td_trunk *t = td_policy_trunk(rig->policy, trunk);

	return td_health_view(rig->health, t->slot, &t->conf.peers[peer].address, &t->conf.health,
		rig->host.now_ns / 1000000);
}

void rig_registrar(struct rig *rig)
{
	static const struct td_subscribers_grace grace = { 0 };

	rig->host.realms[FAKE_WEST].registrar = registrar_conf();
	rig->subscribers = td_subscribers_new(&heap, &grace, 100);
	while (td_subscribers_sweep(
		rig->subscribers, 1024)) // there are none so far, but that is known
		;
	td_engine_free(rig->engine);
	rig->conf.max_registrations = 64;
	rig->conf.subscribers = rig->subscribers;
	rig->engine = td_engine_new(&rig->conf);
	assert_non_null(rig->engine);
	rig_policy(rig);
}

void rig_subscriber(struct rig *rig, const char *user, const char *numbers, const char *display,
	uint32_t max_calls)
{
	struct td_subscriber s = {
		.has_md5 = true, .has_sha256 = true, .enabled = true, .max_calls = max_calls
	};
	uint8_t ha1[TD_DIGEST_BYTES_MAX];

	snprintf(s.aor, sizeof(s.aor), "%s@tandem.example", user);
	snprintf(s.plan, sizeof(s.plan), "%s", TD_PLAN_DEFAULT);
	snprintf(s.display, sizeof(s.display), "%s", display);
	while (numbers && *numbers) {
		size_t len = strcspn(numbers, ",");
		td_span_cstr(td_span(numbers, len), s.numbers[s.n_numbers++], TD_NUMBER_LEN);
		numbers += len + (numbers[len] == ',');
	}
	td_digest_ha1(TD_DIGEST_MD5, td_span_str(user), TD_SPAN("tandem.example"),
		TD_SPAN("secret"), ha1);
	memcpy(s.ha1_md5, ha1, sizeof(s.ha1_md5));
	td_digest_ha1(TD_DIGEST_SHA256, td_span_str(user), TD_SPAN("tandem.example"),
		TD_SPAN("secret"), ha1);
	memcpy(s.ha1_sha256, ha1, sizeof(s.ha1_sha256));
	assert_int_equal(td_subscribers_put(rig->subscribers, &s), 0);
}

void rig_free(struct rig *rig)
{
	rig_advance(rig,
		200000); // an ACK that never comes, then a BYE without an answer, then tombstones
	assert_int_equal(td_engine_calls(rig->engine), 0);
	assert_int_equal(td_engine_legs(rig->engine), 0);
	assert_int_equal(td_engine_busy(rig->engine), 0);
	assert_int_equal(td_slab_used(rig->engine->slab), 0);
	assert_int_equal(rig->host.legs_open, 0);
	for (int kind = 0; kind < TD_LIMIT__KINDS; kind++)
		assert_int_equal(rig->host.held[kind], 0);
	assert_int_equal(rig->host.reserved, 0);
	td_engine_free(rig->engine);
	td_subscribers_free(rig->subscribers);
	td_health_free(rig->health);
	td_policy_free(rig->policy);
	assert_int_equal(fake_host_fini(&rig->host), 0);
	free(rig);
}

void rig_advance(struct rig *rig, uint64_t ms)
{
	fake_advance(&rig->host, rig->engine, ms);
}

void rig_route(struct rig *rig, const char *targets)
{
	rig->host.route_answer = TD_DONE;
	rig->host.route = (struct td_route_answer){ 0 };
	for (; *targets; targets++) {
		struct td_route_target *target = &rig->host.route.targets[rig->host.route.n++];
		target->trunk = *targets == '2' ? 2 : 1;
		target->peer = *targets == '1' ? 1 : 0;
	}
}

const struct fake_sent *rig_expect(struct rig *rig, const char *prefix)
{
	const struct fake_sent *sent = fake_next(&rig->host);

	if (!sent)
		fail_msg("nothing was sent, expected: %s", prefix);
	if (!fake_starts(sent, prefix))
		fail_msg("expected: %s\nsent: %s", prefix, sent->data);
	return sent;
}

void rig_silence(struct rig *rig)
{
	const struct fake_sent *sent = fake_next(&rig->host);

	if (sent)
		fail_msg("unexpected: %s", sent->data);
}

void rig_rx(struct rig *rig, const struct td_flow *flow, const char *text)
{
	fake_rx(&rig->host, rig->engine, flow, text);
}

static void put(char *text, size_t cap, const char *format, ...)
{
	size_t len = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + len, cap - len, format, args);
	va_end(args);
}

static void put_body(char *text, size_t cap, const char *body)
{
	if (body[0] && !strstr(text, "Content-Type:"))
		put(text, cap, "Content-Type: application/sdp\r\n");
	put(text, cap, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
}

static const char a_request[] =
	"%s sip:+49301234@10.0.1.254 SIP/2.0\r\n"
	"Via: SIP/2.0/UDP 10.0.1.1:5060;branch=z9hG4bKinvite;x=secretwest\r\n"
	"Max-Forwards: 20\r\n"
	"From: \"Alice\" <sip:+4930999@secretwest.example>;tag=atag\r\n"
	"To: <sip:+49301234@10.0.1.254>\r\n"
	"Call-ID: secretwest-call\r\n"
	"CSeq: 1 %s\r\n";

void rig_invite(struct rig *rig, const char *headers, const char *body)
{
	char text[8192] = "";

	put(text, sizeof(text), a_request, "INVITE", "INVITE");
	put(text, sizeof(text), "Contact: <sip:secretwest@10.0.1.1:5060>\r\n%s", headers);
	put_body(text, sizeof(text), body);
	rig_rx(rig, &rig->west, text);
}

void rig_cancel(struct rig *rig, const char *headers)
{
	char text[4096] = "";

	put(text, sizeof(text), a_request, "CANCEL", "CANCEL");
	put(text, sizeof(text), "%s", headers);
	put_body(text, sizeof(text), "");
	rig_rx(rig, &rig->west, text);
}

static struct td_flow flow_back(const struct fake_sent *sent)
{
	return sent->flow;
}

void rig_reply(struct rig *rig, const struct fake_sent *request, const char *status,
	const char *tag, const char *headers, const char *body)
{
	char text[8192] = "";
	struct td_flow flow = flow_back(request);

	put(text, sizeof(text), "SIP/2.0 %s\r\n", status);
	put(text, sizeof(text), "Via: %s\r\n", fake_header(request, "Via"));
	put(text, sizeof(text), "From: %s\r\n", fake_header(request, "From"));
	put(text, sizeof(text), "To: %s", fake_header(request, "To"));
	put(text, sizeof(text), tag[0] ? ";tag=%s\r\n" : "\r\n", tag);
	put(text, sizeof(text), "Call-ID: %s\r\n", fake_header(request, "Call-ID"));
	put(text, sizeof(text), "CSeq: %s\r\n", fake_header(request, "CSeq"));
	put(text, sizeof(text), "Server: secreteast\r\n%s", headers);
	put_body(text, sizeof(text), body);
	rig_rx(rig, &flow, text);
}

static void copy_uri(char *dst, size_t cap, const char *name_addr)
{
	const char *start = strchr(name_addr, '<');

	start = start ? start + 1 : name_addr;
	td_span_cstr(td_span(start, strcspn(start, ">")), dst, cap);
}

void rig_dialog_a(struct rig *rig, const struct fake_sent *response, struct rig_dialog *out)
{
	*out = (struct rig_dialog){ .flow = rig->west, .cseq = 1 };
	snprintf(out->local, sizeof(out->local), "%s", fake_header(response, "From"));
	snprintf(out->remote, sizeof(out->remote), "%s", fake_header(response, "To"));
	snprintf(out->call_id, sizeof(out->call_id), "%s", fake_header(response, "Call-ID"));
	copy_uri(out->target, sizeof(out->target), fake_header(response, "Contact"));
}

void rig_dialog_b(
	struct rig *rig, const struct fake_sent *invite, const char *tag, struct rig_dialog *out)
{
	*out = (struct rig_dialog){ .flow = flow_back(invite), .cseq = 100 };
	snprintf(out->local, sizeof(out->local), "%s;tag=%s", fake_header(invite, "To"), tag);
	snprintf(out->remote, sizeof(out->remote), "%s", fake_header(invite, "From"));
	snprintf(out->call_id, sizeof(out->call_id), "%s", fake_header(invite, "Call-ID"));
	copy_uri(out->target, sizeof(out->target), fake_header(invite, "Contact"));
}

void rig_send(struct rig *rig, struct rig_dialog *dialog, const char *method, const char *headers,
	const char *body)
{
	char text[8192] = "";
	char ip[TD_ADDR_STRLEN];

	if (strcmp(method, "ACK") != 0)
		dialog->cseq++;
	td_sockaddr_format(&dialog->flow.remote, ip, sizeof(ip));
	put(text, sizeof(text), "%s %s SIP/2.0\r\n", method, dialog->target);
	put(text, sizeof(text), "Via: SIP/2.0/UDP %s;branch=z9hG4bKr%u\r\n", ip, ++rig->branch);
	put(text, sizeof(text), "Max-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\n", dialog->local,
		dialog->remote);
	put(text, sizeof(text), "Call-ID: %s\r\nCSeq: %u %s\r\n%s", dialog->call_id, dialog->cseq,
		method, dialog->routes);
	if (strcmp(method, "INVITE") == 0 && !strstr(headers, "Contact:"))
		put(text, sizeof(text), "Contact: <sip:secret@%s>\r\n", ip);
	put(text, sizeof(text), "%s", headers);
	put_body(text, sizeof(text), body);
	rig_rx(rig, &dialog->flow, text);
}

void rig_call(struct rig *rig, struct rig_call *out)
{
	rig_invite(rig, "", RIG_SDP_A);
	const struct fake_sent *invite = rig_expect(rig, "INVITE ");
	rig_reply(rig, invite, "200 OK", "btag", "Contact: <sip:secreteast@10.0.2.1:5060>\r\n",
		RIG_SDP_B);
	rig_expect(rig, "ACK ");
	const struct fake_sent *ok = rig_expect(rig, "SIP/2.0 200 ");
	rig_dialog_a(rig, ok, &out->a);
	rig_dialog_b(rig, invite, "btag", &out->b);
	rig_send(rig, &out->a, "ACK", "", "");
	rig_silence(rig);
}

const struct td_cdr *rig_cdr(struct rig *rig)
{
	assert_int_equal(rig->host.n_ends, 1);
	return &rig->host.ends[0];
}
