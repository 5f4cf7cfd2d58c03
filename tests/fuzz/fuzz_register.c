// SPDX-License-Identifier: BSD-3-Clause
// Any bytes as a datagram to a registrar (REGISTER, STUN, keep-alives), and as what stands inside: credentials, the
// parameters of a contact, records of bindings and subscribers. What is read lies inside the input, and nobody is bound
// without credentials.
#include "include/binding.h"
#include "sip/engine.h"
#include "sip/hdr_auth.h"
#include "sip/hdr_contact.h"
#include "sip/location.h"
#include "sip/subscribers.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void need(bool truth)
{
	if (!truth)
		abort();
}

static int buf_get(void *host, uint32_t bytes, struct td_buf *out)
{
	static char buffer[65536];

	*out = (struct td_buf){ buffer, 0, sizeof(buffer), NULL };
	return 0;
}

static void buf_put(void *host, struct td_buf *buf)
{
}

static int message_out(void *host, const struct td_flow *flow, struct td_buf *buf)
{
	need(buf->len <= buf->cap);
	return 0;
}

static enum td_answer bindings_write(void *host, const uint8_t *records, uint32_t bytes, uint32_t n, uint64_t cookie)
{
	abort();
}

static void random_bytes(void *host, void *dst, uint32_t len)
{
	memset(dst, 7, len);
}

static void *heap(void *ctx, size_t bytes)
{
	return calloc(1, bytes);
}

static void heap_free(void *ctx, void *ptr)
{
	free(ptr);
}

static struct td_engine *engine_make(void)
{
	static const struct td_host_ops ops = { .buf_get = buf_get, .buf_put = buf_put, .send = message_out,
		.bindings_write = bindings_write, .random = random_bytes };
	static const struct td_alloc alloc = { heap, heap_free, NULL };
	static const struct td_subscribers_grace grace = { 0 };
	static td_count counters[TD_C__COUNT];
	static struct td_engine_realm realm = { .name = "access",
		.registrar = { .n_domains = 1, .domains = { "tandem.example" }, .n_algorithms = 2,
			.algorithms = { TD_DIGEST_SHA256, TD_DIGEST_MD5 }, .max_contacts = 5, .min_expires_s = 60,
			.max_expires_s = 3600, .default_expires_s = 3600, .nonce_lifetime_s = 3600 } };
	struct td_subscriber alice = { .aor = "alice@tandem.example", .has_md5 = true, .enabled = true };
	struct td_engine_conf conf = { .ops = &ops, .counters = counters, .node_name = "fuzz", .max_calls = 4, .max_cps = 4,
		.sip_message_bytes = 16384, .t1_ms = 500, .t2_ms = 4000, .t4_ms = 5000, .n_realms = 1, .realms = &realm,
		.max_registrations = 16 };

	conf.subscribers = td_subscribers_new(&alloc, &grace, 16);
	td_subscribers_mark(conf.subscribers);
	need(td_subscribers_put(conf.subscribers, &alice) == 0);
	while (td_subscribers_sweep(conf.subscribers, 1024))
		;
	return td_engine_new(&conf);
}

static void datagram(const char *data, uint32_t len)
{
	static struct td_engine *engine;
	static struct td_flow flow;
	static uint64_t now_ns = 1000000000;

	if (!engine) {
		engine = engine_make();
		need(engine != NULL && td_ip_parse(TD_SPAN("10.0.1.254"), &flow.local) == 0 &&
			td_ip_parse(TD_SPAN("10.0.1.7"), &flow.remote) == 0);
		flow.local.port = flow.remote.port = 5060;
	}
	td_engine_rx(engine, now_ns += 1000, &flow, data, len);
	need(td_location_count(td_engine_location(engine)) == 0);
}

static void inside(struct td_span part, const uint8_t *data, size_t len)
{
	need(part.len == 0 || ((const uint8_t *)part.ptr >= data && (const uint8_t *)part.ptr + part.len <= data + len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct td_span text = td_span((const char *)data, len);
	struct td_digest_params p;
	struct td_contact_params c;
	struct td_subscriber s;
	struct td_binding b;

	if (len > 65535)
		return 0;
	datagram(text.ptr, text.len);
	if (td_digest_params_decode(text, &p) == 0) {
		inside(p.username, data, len);
		inside(p.response, data, len);
		inside(p.nc, data, len);
	}
	if (td_contact_params_decode(text, &c) == 0) {
		inside(c.instance, data, len);
		need(c.q <= 1000);
	}
	if (td_binding_unpack(data, len, &b) > 0) {
		char key[TD_BINDING_KEY_LEN];
		uint8_t again[TD_BINDING_PACKED_MAX];
		need(td_binding_key(&b, key) < sizeof(key) && td_binding_pack(&b, again) <= len);
	}
	if (td_subscriber_unpack(data, len, &s) > 0) {
		uint8_t again[TD_SUBSCRIBER_PACKED_MAX];
		need(td_subscriber_pack(&s, again) <= len);
	}
	return 0;
}
