// SPDX-License-Identifier: BSD-3-Clause
// Any bytes through parser, decoders, list walk, URI helpers and peek; whatever comes out must lie
// inside the input.
#include "sip/core.h"
#include "sip/peek.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct td_msg msg;
static struct td_core core;

static void need(bool truth)
{
	if (!truth)
		abort();
}

static void inside(struct td_span s)
{
	need(s.len == 0 || (s.ptr >= msg.buf && s.ptr + s.len <= msg.buf + msg.len));
}

static void check_uri(const struct td_uri *uri)
{
	char number[128];
	struct td_span value;

	inside(uri->whole);
	inside(uri->user);
	inside(uri->host);
	inside(uri->params);
	inside(uri->headers);
	need(td_uri_number(uri, true, number, sizeof(number)) <= (int)sizeof(number));
	need(td_uri_equal(uri, uri));
	td_uri_emergency(uri);
	if (td_param_get(uri->params, TD_SPAN("transport"), &value))
		inside(value);
}

static void check_party(const struct td_name_addr *n)
{
	inside(n->whole);
	inside(n->display);
	inside(n->params);
	inside(n->tag);
	check_uri(&n->uri);
}

// Every entry of every header by every decoder: most refuse it, none may step outside.
static void check_entries(void)
{
	struct td_span entry;
	struct td_name_addr party;
	struct td_cseq cseq;
	struct td_via via;
	uint32_t number;

	for (unsigned i = 0; i < msg.n_headers; i++) {
		struct td_span rest = td_msg_value(&msg, &msg.headers[i]);
		inside(rest);
		td_cseq_decode(rest, &cseq);
		td_number_decode(rest, UINT16_MAX, &number);
		while (td_list_next(&rest, &entry)) {
			inside(entry);
			if (td_via_decode(entry, &via) == 0)
				inside(via.branch);
			if (td_name_addr_decode(entry, &party) == 0)
				check_party(&party);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t secret[32] = { 1 };
	struct td_token_keys keys;
	struct td_peek peek;

	if (len > 70000)
		return 0;
	td_token_keys_init(&keys, secret, 1, 1);
	td_peek(&keys, 1, (const char *)data, (uint32_t)len, &peek);
	int indexed = td_msg_parse(&msg, (const char *)data, (uint32_t)len);
	int decoded = td_core_decode(&msg, &core);
	need((decoded == 0) == (msg.fault == TD_FAULT_NONE) && (indexed == 0 || decoded != 0));
	inside(msg.body);
	inside(msg.uri);
	check_uri(&core.uri);
	check_party(&core.from);
	check_party(&core.to);
	check_party(&core.contact);
	inside(core.via.branch);
	inside(core.call_id);
	inside(core.sdp_body);
	need(core.sdp == (core.sdp_body.len > 0));
	check_entries();
	// A message that is whole gives the receiver its Call-ID or better, wherever its headers
	// stand.
	need(decoded != 0 || len > 4096 || peek.kind >= TD_PEEK_TOKEN);
	return 0;
}
