// SPDX-License-Identifier: BSD-3-Clause
// A subscriber who calls: what the call keeps of it, its limits, and the identity that the switch
// asserts for it. What its phone says in From picks one of its own numbers and is believed in
// nothing else.
#include "sip/call_priv.h"

#include "sip/chars.h"
#include "sip/subscribers.h"

#include <errno.h>

// Does that URI name the number, with or without '+'?
static bool uri_names(const struct td_uri *uri, struct td_span number)
{
	char digits[CALL_NUMBER_MAX + 1];
	uint32_t len = call_number(uri, digits);

	return td_span_eq(td_span(digits, len), number);
}

// The number of its own that the phone asks for (RFC 3325 §9.2 before From), else its first one.
static struct td_span number_choose(const struct td_subscriber_entry *subscriber,
	const struct td_msg *msg, const struct td_core *core)
{
	struct td_name_addr preferred;
	bool asks = td_name_addr_decode(
			    td_msg_get(msg, TD_H_P_PREFERRED_IDENTITY), &preferred) == 0 &&
		    !preferred.star;

	for (uint8_t i = 0; asks && i < subscriber->n_numbers; i++)
		if (uri_names(&preferred.uri, td_subscriber_number(subscriber, i)))
			return td_subscriber_number(subscriber, i);
	for (uint8_t i = 0; i < subscriber->n_numbers; i++)
		if (uri_names(&core->from.uri, td_subscriber_number(subscriber, i)))
			return td_subscriber_number(subscriber, i);
	return subscriber->n_numbers > 0 ? td_subscriber_number(subscriber, 0)
					 : (struct td_span){ 0 };
}

static void put_quoted(struct td_writer *out, struct td_span text)
{
	td_put_char(out, '"');
	for (uint32_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '"' || text.ptr[i] == '\\')
			td_put_char(out, '\\');
		td_put_char(out, (unsigned char)text.ptr[i] < ' ' ? ' ' : text.ptr[i]);
	}
	td_put_char(out, '"');
}

void call_put_user(struct td_writer *out, struct td_span user)
{
	static const char hex[] = "0123456789ABCDEF";

	for (uint32_t i = 0; i < user.len; i++) {
		unsigned char c = (unsigned char)user.ptr[i];
		if (td_char_is(user.ptr[i], TD_CH_USER) && c != '#') { // which some send bare
			td_put_char(out, user.ptr[i]);
			continue;
		}
		td_put_char(out, '%');
		td_put_char(out, hex[c >> 4]);
		td_put_char(out, hex[c & 15]);
	}
}

struct td_span call_aor_user(struct td_span aor)
{
	const char *at = aor.ptr;

	for (const char *c = aor.ptr; c < aor.ptr + aor.len; c++)
		if (*c == '@')
			at = c; // the last one: a user may hold others
	return td_span(aor.ptr, (size_t)(at - aor.ptr));
}

struct td_span call_aor_domain(struct td_span aor)
{
	uint32_t user = call_aor_user(aor).len;

	return td_span(aor.ptr + user + 1, aor.len - user - 1);
}

static struct td_span text_keep(struct td_writer *out, char *start)
{
	return td_span(start, (size_t)(out->pos - start));
}

int caller_keep(struct td_call *call, const struct td_subscriber_entry *subscriber,
	const struct td_msg *msg, const struct td_core *core)
{
	struct td_span aor = td_subscriber_aor(subscriber), plan = td_subscriber_plan(subscriber),
		       number = number_choose(subscriber, msg, core),
		       display = td_subscriber_display(subscriber);
	// Each character of a text may be written as up to three.
	uint32_t bytes = (uint32_t)sizeof(struct td_caller) + 4 * aor.len + plan.len +
			 2 * number.len + 2 * display.len + 8;
	char *block = td_slab_get(call->engine->slab, bytes);

	if (!block)
		return -ENOBUFS;
	struct td_caller *caller = (struct td_caller *)(void *)block;
	*caller = (struct td_caller){ .slot = subscriber->slot };
	char *text = block + sizeof(*caller);
	struct td_writer out = { text, text, block + bytes, false };
	td_put_span(&out, aor);
	caller->aor = text_keep(&out, text);
	text = out.pos;
	td_put_span(&out, plan);
	caller->plan = text_keep(&out, text);
	text = out.pos;
	td_put_span(&out, number);
	caller->number = text_keep(&out, text);
	text = out.pos;
	if (display.len > 0)
		put_quoted(&out, display);
	caller->identity.display = text_keep(&out, text);
	text = out.pos;
	if (number.len > 0)
		td_put_lit(&out, "+");
	if (number.len > 0)
		td_put_span(&out, number);
	else
		call_put_user(&out, call_aor_user(aor));
	caller->identity.user = text_keep(&out, text);
	call->caller = caller;
	return 0;
}

int subscriber_acquire(
	struct td_engine *engine, const struct td_subscriber_entry *subscriber, bool limits)
{
	struct td_limit none = { 0 };
	int rc = td_subscriber_acquire(engine->conf.subscribers, subscriber->slot,
		limits ? &subscriber->limit : &none, engine->now_ns);

	if (rc != 0)
		td_engine_count(engine,
			rc == -EAGAIN ? TD_C_SIP_SUBSCRIBER_CPS : TD_C_SIP_SUBSCRIBER_CALLS);
	return rc;
}

int caller_acquire(struct td_call *call, const struct td_subscriber_entry *subscriber)
{
	int rc = subscriber_acquire(call->engine, subscriber, !call->emergency);

	call->caller->held = rc == 0;
	call->caller->fresh = !call->emergency && subscriber->limit.max_cps > 0;
	return rc;
}

void caller_release(struct td_call *call)
{
	struct td_caller *caller = call->caller;

	if (!caller || !caller->held)
		return;
	if (caller->fresh)
		td_subscriber_cancel(call->engine->conf.subscribers, caller->slot);
	else
		td_subscriber_release(call->engine->conf.subscribers, caller->slot);
	caller->held = false;
}
