// SPDX-License-Identifier: BSD-3-Clause
// Any bytes as a datagram to a registrar (REGISTER, STUN, keep-alives), and as what stands inside:
// credentials, the parameters of a contact, records of bindings and subscribers. What is read lies
// inside the input, and nobody is bound without credentials. Behind a '+' stand the lines of
// REGISTERs, parted by empty ones, that come with good credentials: whatever they bind, "Contact:
// *" clears. Behind a '=' stands a record of a binding that is given back as after a restart.
#include "include/binding.h"
#include "sip/engine.h"
#include "sip/hdr_auth.h"
#include "sip/hdr_contact.h"
#include "sip/location.h"
#include "sip/subscribers.h"
#include "tests/unit/digest_client.h"
#include "tests/unit/heap.h"
#include "tests/unit/registrar_conf.h"

#include <errno.h>
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

static struct digest_client alice = {
	.algorithm = TD_DIGEST_MD5, .user = "alice", .password = "secret", .realm = "tandem.example"
};
static bool proven;    // the request under way has good credentials
static char status[4]; // of the last response

// Remembers what came back, and the nonce of a challenge.
static int message_out(void *host, const struct td_flow *flow, struct td_buf *buf)
{
	static const char name[] = "WWW-Authenticate: ";

	need(buf->len <= buf->cap);
	if (buf->len == 2) // the answer to a keep-alive
		return 0;
	need(buf->len > 12);
	snprintf(status, sizeof(status), "%.3s", buf->data + 8);
	const char *line = buf->data, *end = buf->data + buf->len, *lf;
	for (; (lf = memchr(line, '\n', (size_t)(end - line))); line = lf + 1)
		if ((size_t)(lf - line) > sizeof(name) && memcmp(line, name, sizeof(name) - 1) == 0)
			digest_client_take(
				&alice, td_span(line + sizeof(name) - 1,
						(size_t)(lf - 1 - line) - sizeof(name) + 1));
	return 0;
}

static enum td_answer bindings_write(
	void *host, const uint8_t *records, uint32_t bytes, uint32_t n, uint64_t cookie)
{
	struct td_binding b;
	uint32_t at = 0;

	need(proven && n > 0);
	for (; n > 0; n--) {
		size_t len = td_binding_unpack(records + at, bytes - at, &b);
		need(len > 0 && td_span_eq(b.aor, TD_SPAN("alice@tandem.example")));
		at += (uint32_t)len;
	}
	need(at == bytes);
	return TD_DONE;
}

static void random_bytes(void *host, void *dst, uint32_t len)
{
	memset(dst, 7, len);
}

static struct td_engine *engine_make(void)
{
	static const struct td_host_ops ops = { .buf_get = buf_get,
		.buf_put = buf_put,
		.send = message_out,
		.bindings_write = bindings_write,
		.random = random_bytes };
	static const struct td_subscribers_grace grace = { 0 };
	static td_count counters[TD_C__COUNT];
	static struct td_engine_realm realm = { .name = "access", .n_addresses = 1 };
	struct td_subscriber subscriber = {
		.aor = "alice@tandem.example", .has_md5 = true, .enabled = true
	};
	uint8_t ha1[TD_DIGEST_BYTES_MAX];
	struct td_engine_conf conf = { .ops = &ops,
		.counters = counters,
		.node_name = "fuzz",
		.max_calls = 4,
		.max_cps = 4,
		.sip_message_bytes = 16384,
		.t1_ms = 500,
		.t2_ms = 4000,
		.t4_ms = 5000,
		.n_realms = 1,
		.realms = &realm,
		.max_registrations = 16 };

	td_digest_ha1(
		TD_DIGEST_MD5, TD_SPAN("alice"), TD_SPAN("tandem.example"), TD_SPAN("secret"), ha1);
	memcpy(subscriber.ha1_md5, ha1, sizeof(subscriber.ha1_md5));
	td_ip_parse(TD_SPAN("10.0.1.254"), &realm.addresses[0].ip);
	realm.registrar = registrar_conf();
	conf.subscribers = td_subscribers_new(&heap, &grace, 16);
	td_subscribers_mark(conf.subscribers);
	need(td_subscribers_put(conf.subscribers, &subscriber) == 0);
	while (td_subscribers_sweep(conf.subscribers, 1024))
		;
	return td_engine_new(&conf);
}

static struct td_engine *engine;

static struct td_flow flow;
static uint64_t now_ns = 1000000000;

static void engine_start(void)
{
	engine = engine_make();
	need(engine != NULL && td_ip_parse(TD_SPAN("10.0.1.254"), &flow.local) == 0 &&
		td_ip_parse(TD_SPAN("10.0.1.7"), &flow.remote) == 0);
	flow.local.port = flow.remote.port = 5060;
}

static void datagram(const char *data, uint32_t len)
{
	td_engine_rx(engine, now_ns += 1000, &flow, data, len);
	need(td_location_count(td_engine_location(engine)) <= (proven ? TD_CONTACTS_MAX : 0));
}

static void proven_once(struct td_span lines, unsigned n)
{
	static char text[70000];
	char credentials[1024];

	digest_client_line(
		&alice, "REGISTER", "sip:tandem.example", credentials, sizeof(credentials));
	int len = snprintf(text, sizeof(text),
		"REGISTER sip:tandem.example SIP/2.0\r\nVia: SIP/2.0/UDP "
		"10.0.1.7;branch=z9hG4bK%u\r\n"
		"From: <sip:alice@tandem.example>;tag=1\r\nTo: "
		"<sip:alice@tandem.example>\r\nCall-ID: c%u\r\n"
		"CSeq: %u REGISTER\r\n%s%.*s\r\n\r\n",
		n, n / 4, n, credentials, (int)lines.len, lines.ptr);
	datagram(text, (uint32_t)len);
}

// A REGISTER with those lines; the first one of a run, and every one whose nonce has become old,
// comes twice.
static void proven_register(struct td_span lines)
{
	static unsigned n;

	proven = true;
	status[0] = '\0';
	proven_once(lines, ++n);
	if (strcmp(status, "401") == 0)
		proven_once(lines, ++n);
}

static void bound(struct td_span text)
{
	while (text.len > 0) {
		const char *gap = memmem(text.ptr, text.len, "\r\n\r\n", 4);
		uint32_t len = gap ? (uint32_t)(gap - text.ptr) : text.len,
			 gone = gap ? len + 4 : len;
		proven_register(td_span(text.ptr, len));
		text = td_span(text.ptr + gone, text.len - gone);
	}
	proven_register(TD_SPAN("Contact: *\r\nExpires: 0"));
	need(strcmp(status, "200") == 0 && td_location_count(td_engine_location(engine)) == 0);
	proven = false;
}

// The record of a store that others write too; what is taken is there, of a subscriber, until it is
// cleared.
static void restored(const uint8_t *data, size_t len)
{
	int rc = td_engine_restore_binding(engine, now_ns += 1000, data, (uint32_t)len);

	need(td_location_count(td_engine_location(engine)) == (rc == 0));
	bound(TD_SPAN("Expires: 60"));
}

// A table of them takes it or is as it was, and forgets it again.
static void subscriber_take(const struct td_subscriber *s)
{
	static const struct td_subscribers_grace grace = { 0 };
	static struct td_subscribers *table;

	if (!table)
		need((table = td_subscribers_new(&heap, &grace, 4)) != NULL);
	int rc = td_subscribers_put(table, s);
	const struct td_subscriber_entry *e = td_subscribers_find(table, td_span_str(s->aor));
	need((rc == 0) == (e != NULL) && (!e || td_subscriber_enabled(e) == s->enabled));
	need(td_subscribers_delete(table, td_span_str(s->aor)) == (rc == 0 ? 0 : -ENOENT));
	need(td_subscribers_count(table) == 0);
	td_subscribers_collect(table);
}

static void inside(struct td_span part, const uint8_t *data, size_t len)
{
	need(part.len == 0 || ((const uint8_t *)part.ptr >= data &&
				      (const uint8_t *)part.ptr + part.len <= data + len));
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
	if (!engine)
		engine_start();
	if (len > 0 && data[0] == '=') {
		restored(data + 1, len - 1);
		return 0;
	}
	if (len > 0 && data[0] == '+') {
		bound(td_span(text.ptr + 1, len - 1));
		return 0;
	}
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
		subscriber_take(&s);
	}
	return 0;
}
