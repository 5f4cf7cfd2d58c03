// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/register_rig.h"

#include "tests/unit/heap.h"
#include "tests/unit/registrar_conf.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

static void subscriber_add(struct register_rig *rig, const char *user, bool sha256, bool enabled)
{
	struct td_subscriber s = { .has_md5 = true, .has_sha256 = sha256, .enabled = enabled };
	uint8_t ha1[TD_DIGEST_BYTES_MAX];

	snprintf(s.aor, sizeof(s.aor), "%s@tandem.example", user);
	td_digest_ha1(TD_DIGEST_MD5, td_span_str(user), TD_SPAN("tandem.example"),
		TD_SPAN("secret"), ha1);
	memcpy(s.ha1_md5, ha1, sizeof(s.ha1_md5));
	td_digest_ha1(TD_DIGEST_SHA256, td_span_str(user), TD_SPAN("tandem.example"),
		TD_SPAN("secret"), ha1);
	if (sha256)
		memcpy(s.ha1_sha256, ha1, sizeof(s.ha1_sha256));
	assert_int_equal(td_subscribers_put(rig->subscribers, &s), 0);
}

int register_rig_up(struct register_rig *rig,
	void (*change)(struct register_rig *rig, struct td_engine_conf *conf))
{
	static const struct td_subscribers_grace grace = { 0 };
	struct td_engine_conf conf;

	fake_host_init(&rig->host, 1);
	struct td_registrar_conf *registrar = &rig->host.realms[FAKE_WEST].registrar;
	*registrar = registrar_conf();
	registrar->max_contacts = 3;
	registrar->default_expires_s = 1800;
	rig->subscribers = td_subscribers_new(&heap, &grace, 100);
	td_subscribers_mark(rig->subscribers);
	subscriber_add(rig, "alice", true, true);
	subscriber_add(rig, "bob", true, true);
	subscriber_add(rig, "md5only", false, true);
	subscriber_add(rig, "barred", true, false);
	while (td_subscribers_sweep(rig->subscribers, 1024))
		;
	fake_host_conf(&rig->host, &conf);
	conf.max_registrations = 8;
	conf.subscribers = rig->subscribers;
	rig->ip = "10.0.1.7";
	rig->port = 5060;
	rig->call_id = "c1";
	rig->phone = (struct digest_client){ .algorithm = TD_DIGEST_SHA256,
		.user = "alice",
		.password = "secret",
		.realm = "tandem.example" };
	if (change)
		change(rig, &conf);
	rig->engine = td_engine_new(&conf);
	return rig->engine ? 0 : -1;
}

uint32_t register_rig_down(struct register_rig *rig)
{
	td_engine_free(rig->engine);
	td_subscribers_free(rig->subscribers);
	return fake_host_fini(&rig->host);
}

const struct fake_sent *rig_repeat(struct register_rig *rig)
{
	struct td_flow flow = fake_flow(&rig->host, FAKE_WEST, rig->ip, rig->port);

	fake_rx(&rig->host, rig->engine, &flow, rig->last);
	return fake_next(&rig->host);
}

const struct fake_sent *rig_send(
	struct register_rig *rig, const char *to, bool credentials, const char *lines)
{
	char line[1024] = "";

	if (credentials)
		digest_client_line(&rig->phone, "REGISTER", RIG_URI, line, sizeof(line));
	snprintf(rig->last, sizeof(rig->last),
		"REGISTER " RIG_URI
		" SIP/2.0\r\nVia: SIP/2.0/UDP %s:%u;branch=z9hG4bKr%u;rport\r\nMax-Forwards: 70\r\n"
		"From: <sip:%s>;tag=1\r\nTo: <sip:%s>\r\nCall-ID: %s\r\nCSeq: %u "
		"REGISTER\r\n%s%sContent-Length: 0\r\n\r\n",
		rig->ip, rig->port, ++rig->branch, to, to, rig->call_id, ++rig->cseq, lines, line);
	return rig_repeat(rig);
}

static bool challenge_take(struct register_rig *rig, const struct fake_sent *sent)
{
	for (const char *p = strstr(sent->data, "WWW-Authenticate: "); p;
		p = strstr(p, "WWW-Authenticate: ")) {
		p += 18;
		if (digest_client_take(&rig->phone, td_span(p, strcspn(p, "\r"))))
			return true;
	}
	return false;
}

const struct fake_sent *rig_register(struct register_rig *rig, const char *lines)
{
	char to[TD_AOR_LEN];

	snprintf(to, sizeof(to), "%s@tandem.example", rig->phone.user);
	const struct fake_sent *sent = rig_send(rig, to, rig->phone.nonce[0] != '\0', lines);
	if (!sent || !fake_starts(sent, "SIP/2.0 401") || !challenge_take(rig, sent))
		return sent;
	return rig_send(rig, to, true, lines);
}
