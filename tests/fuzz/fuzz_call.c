// SPDX-License-Identifier: BSD-3-Clause
// Calls between carriers that say anything at any moment. Whatever they do, it ends: no call, leg,
// transaction, buffer, text or hold on a limit is left, and each call that was let in has one
// detail record.
//
// Input: steps that end with a NUL. "t" and digits let so many milliseconds pass; "h" hangs all
// calls up; "w", "e", "f" and "x" are a datagram from the west, from the east's first peer, from
// the far one, and from a stranger. In its text
// "%" and a letter stand for what the switch last said to that realm, in a request but for ACK
// (capital) or in a response: v Via, f From, t To, i Call-ID, c the number in CSeq, k the URI in
// Contact; "%s" is a session description.
#include "sip/engine_priv.h"
#include "tests/unit/call_rig.h"

#include <stdlib.h>

#define STEPS_MAX 48
#define TEXT_MAX 16384

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rig *rig;
static const struct fake_sent
	*said[FAKE_REALMS][2]; // the last response, and the last request but for ACKs

static void need(bool truth)
{
	if (!truth)
		abort();
}

static void set_up(void)
{
	rig = rig_new();
	struct td_credentials *account = &rig->trunks[2].credentials;
	snprintf(account->username, sizeof(account->username), "fuzz");
	snprintf(account->realm, sizeof(account->realm), "far.example");
	rig->trunks[1].media_timeout_s = 30;
	rig_policy(rig);
	rig_route(rig, "012");
}

// --- the text of a datagram ---

static struct td_span inside_angles(const char *value)
{
	const char *begin = strchr(value, '<');

	begin = begin ? begin + 1 : value;
	return td_span(begin, strcspn(begin, ">"));
}

static struct td_span answer_to(char letter, uint16_t realm)
{
	bool request = letter >= 'A' && letter <= 'Z';
	const struct fake_sent *sent = said[realm][request];

	if (letter == 's')
		return realm == FAKE_WEST ? TD_SPAN(RIG_SDP_A) : TD_SPAN(RIG_SDP_B);
	if (!sent)
		return (struct td_span){ 0 };
	switch (letter | 0x20) {
	case 'v':
		return td_span_str(fake_header(sent, "Via"));
	case 'f':
		return td_span_str(fake_header(sent, "From"));
	case 't':
		return td_span_str(fake_header(sent, "To"));
	case 'i':
		return td_span_str(fake_header(sent, "Call-ID"));
	case 'c':
		return td_span(
			fake_header(sent, "CSeq"), strspn(fake_header(sent, "CSeq"), "0123456789"));
	case 'k':
		return inside_angles(fake_header(sent, "Contact"));
	default:
		return (struct td_span){ 0 };
	}
}

static uint32_t text_make(struct td_span step, uint16_t realm, char text[TEXT_MAX])
{
	uint32_t len = 0;

	for (uint32_t i = 0; i < step.len; i++) {
		struct td_span piece = td_span(step.ptr + i, 1);
		if (*piece.ptr == '%' && i + 1 < step.len)
			piece = answer_to(step.ptr[++i], realm);
		if (piece.len > TEXT_MAX - len)
			break;
		if (piece.len > 0)
			memcpy(text + len, piece.ptr, piece.len);
		len += piece.len;
	}
	return len;
}

// --- steps ---

static void keep(const struct fake_sent *sent)
{
	static struct fake_sent kept[FAKE_REALMS][2];
	bool request = !fake_starts(sent, "SIP/2.0 ");
	struct fake_sent *place = &kept[sent->flow.realm][request];

	if (fake_starts(sent, "ACK "))
		return;
	free(place->data);
	*place = *sent;
	place->data = malloc(sent->len + 1);
	need(place->data != NULL);
	memcpy(place->data, sent->data, sent->len + 1);
	said[sent->flow.realm][request] = place;
}

static void said_keep(void)
{
	struct fake_host *host = &rig->host;

	for (const struct fake_sent *sent; (sent = fake_next(host));)
		keep(sent);
	fake_forget(host);
	host->n_starts = host->n_ends = host->n_attempts = 0;
}

static void pass(uint32_t ms)
{
	for (uint32_t step; ms > 0; ms -= step) {
		step = ms < 100 ? ms : 100;
		rig->host.now_ns += step * 1000000ull;
		td_engine_tick(rig->engine, rig->host.now_ns, UINT32_MAX);
		said_keep();
	}
}

static void datagram(const struct td_flow *flow, struct td_span step)
{
	static char text[TEXT_MAX];
	uint32_t len = text_make(step, flow->realm, text);
	char *exact = malloc(len ? len : 1);

	need(exact != NULL);
	memcpy(exact, text, len);
	td_engine_rx(rig->engine, rig->host.now_ns, flow, exact, len);
	free(exact);
	said_keep();
}

static void step_take(struct td_span step)
{
	const struct td_flow stranger = fake_flow(&rig->host, FAKE_EAST, "10.0.2.9", 5099);
	struct td_span rest = td_span(step.ptr + 1, step.len - 1);
	uint32_t ms = 0;

	switch (step.ptr[0]) {
	case 't':
		for (uint32_t i = 0;
			i < rest.len && ms < 100000 && rest.ptr[i] >= '0' && rest.ptr[i] <= '9';
			i++)
			ms = ms * 10 + (uint32_t)(rest.ptr[i] - '0');
		pass(ms);
		break;
	case 'h':
		td_engine_hangup_all(rig->engine, rig->host.now_ns, UINT32_MAX);
		said_keep();
		break;
	case 'w':
		datagram(&rig->west, rest);
		break;
	case 'e':
		datagram(&rig->east[0], rest);
		break;
	case 'f':
		datagram(&rig->east[2], rest);
		break;
	case 'x':
		datagram(&stranger, rest);
		break;
	}
}

static bool nothing_left(void)
{
	return td_engine_calls(rig->engine) == 0 && td_engine_legs(rig->engine) == 0 &&
	       td_engine_busy(rig->engine) == 0 && td_slab_used(rig->engine->slab) == 0;
}

static void settle(void)
{
	const struct fake_host *host = &rig->host;

	td_engine_hangup_all(rig->engine, host->now_ns, UINT32_MAX);
	said_keep();
	for (int i = 0; i < 200 && !nothing_left(); i++)
		pass(1000); // BYEs that nobody answers, then tombstones
	need(nothing_left());
	need(host->legs_open == 0 && host->bufs_out == 0 && host->reserved == 0);
	for (int kind = 0; kind < TD_LIMIT__KINDS; kind++)
		need(host->held[kind] == 0);
	memset(said, 0, sizeof(said)); // another input finds nothing of this one
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct td_span rest = td_span((const char *)data, size);

	if (!rig)
		set_up();
	for (int i = 0; i < STEPS_MAX && rest.len > 0; i++) {
		const char *end = memchr(rest.ptr, '\0', rest.len);
		struct td_span step = td_span(rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len);
		if (step.len > 0)
			step_take(step);
		uint32_t gone = step.len + (end != NULL);
		rest = td_span(rest.ptr + gone, rest.len - gone);
	}
	settle();
	return 0;
}
