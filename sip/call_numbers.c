// SPDX-License-Identifier: BSD-3-Clause
// Numbers of a call on their way through the switch: from the trunk it came in by, which are those
// that it is routed by, and to each target, which hears them in its own form. Calls between trunks
// that say nothing of numbers pass here without being touched.
#include "sip/call_priv.h"

#include "sip/hiding.h"

#include <errno.h>

// --- as they came ---

static void subscriber_number(const struct td_caller *caller, struct td_number *out)
{
	out->len = 0;
	if (caller->number.len > 0) {
		td_number_append(out, TD_SPAN("+"));
		td_number_append(out, caller->number);
	} else {
		td_number_append(out, call_aor_user(caller->aor));
	}
}

// The first identity of a sender who is believed (RFC 3325 §9.1).
static void believed_number(
	const struct td_call *call, const struct td_msg *msg, struct td_number *out)
{
	struct td_span list = td_msg_get(msg, TD_H_P_ASSERTED_IDENTITY), entry;
	struct td_name_addr name;

	out->len = 0;
	if (!(call->a.trunk.trust & TD_TRUST_IN) || !td_list_next(&list, &entry) ||
		td_name_addr_decode(entry, &name) != 0 || name.star ||
		!td_number_of(&name.uri, out))
		out->len = 0;
}

static void numbers_of(const struct td_call *call, const struct td_msg *msg,
	const struct td_core *core, struct td_call_numbers *out)
{
	*out = (struct td_call_numbers){ 0 };
	if (call->emergency || !td_number_of(&core->uri, &out->callee))
		out->callee.len = 0;
	if (call->caller) {
		subscriber_number(call->caller, &out->caller);
		out->asserted = out->caller;
		return;
	}
	if (td_headers_unnamed(core)) {
		out->caller.len = 0;
	} else if (!td_number_of(&core->from.uri, &out->caller)) {
		out->caller.len = 0;
		if (core->from.uri.user.len > 0) // fits no list, which nobody does too
			td_number_append(&out->caller, TD_SPAN("?"));
	} else if (td_span_ieq(td_number_span(&out->caller), TD_SPAN("anonymous"))) {
		out->caller.len = 0; // escaped
	}
	believed_number(call, msg, &out->asserted);
}

// --- through a trunk ---

typedef void (*numbers_step)(const struct td_numbers *numbers, struct td_numbers_run *run,
	enum td_numbers_who who, struct td_number *number);

// The identity that is asserted is a caller's number like the one that is shown.
static void numbers_pass(struct td_engine *engine, const struct td_numbers *numbers,
	numbers_step step, struct td_call_numbers *n)
{
	struct td_numbers_run run = { .matcher = engine->matcher, .names = n->rules },
			      again = { .matcher = engine->matcher };
	bool same = td_number_eq(&n->caller, &n->asserted);

	if (n->callee.len > 0)
		step(numbers, &run, TD_CALLEE, &n->callee);
	if (n->caller.len > 0)
		step(numbers, &run, TD_CALLER, &n->caller);
	if (same)
		n->asserted = n->caller;
	else if (n->asserted.len > 0)
		step(numbers, &again, TD_CALLER, &n->asserted);
	n->rules = run.names;
	for (uint32_t i = 0; i < run.applied; i++)
		td_engine_count(engine, TD_C_NUMBER_RULES);
	for (uint32_t i = 0; i < run.failed + again.failed; i++)
		td_engine_count(engine, TD_C_NUMBER_RULE_FAILED);
}

// -EPERM: the caller is refused.
static int caller_screen(struct td_call *call, const struct td_caller_id_conf *conf,
	struct td_call_numbers *n)
{
	struct td_numbers_run run = { .names = n->rules };

	if (call->emergency)
		return 0;
	enum td_caller_verdict verdict = td_numbers_screen(conf, &run, &n->caller, &n->asserted);
	n->rules = run.names;
	switch (verdict) {
	case TD_CALLER_FITS:
		break;
	case TD_CALLER_REPLACED:
		td_engine_count(call->engine, TD_C_CALLER_REPLACED);
		n->nameless |= !conf->keep_name;
		break;
	case TD_CALLER_HIDDEN:
		td_engine_count(call->engine, TD_C_CALLER_HIDDEN);
		n->nameless |= !conf->keep_name;
		n->hidden = true;
		break;
	case TD_CALLER_REFUSED:
		td_engine_count(call->engine, TD_C_CALLER_REFUSED);
		return -EPERM;
	}
	return 0;
}

int numbers_begin(struct td_call *call, const struct td_trunk *trunk, const struct td_msg *msg,
	const struct td_core *core)
{
	const struct td_numbers *plan = td_policy_plan_numbers(call->engine->policy, trunk,
		call->caller ? call->caller->plan : (struct td_span){ 0 });
	int rc = 0;

	if (!trunk->numbers && !plan)
		return 0;
	char *block = td_slab_get(call->engine->slab, sizeof(*call->numbers));
	if (!block)
		return -ENOBUFS;
	call->numbers = (struct td_call_numbers *)(void *)block;
	numbers_of(call, msg, core, call->numbers);
	if (trunk->numbers) {
		numbers_pass(call->engine, trunk->numbers, td_numbers_in, call->numbers);
		rc = caller_screen(call, &trunk->numbers->caller_in, call->numbers);
	}
	if (rc == 0 && plan)
		numbers_pass(call->engine, plan, td_numbers_in, call->numbers);
	int kept = note_set(call, NOTE_RULES, td_number_span(&call->numbers->rules));
	return rc != 0 ? rc : kept;
}

// --- routing ---

struct td_span numbers_called(const struct td_call *call, const struct td_core *core,
	const struct td_trunk *trunk, char *dst, size_t cap)
{
	char dialled[TD_NUMBER_TEXT];
	int len = td_uri_number(&core->uri, trunk->conf.use_rn, dst, cap);
	struct td_span number = td_span(dst, len > 0 ? (size_t)len : 0);

	if (!call->numbers || call->numbers->callee.len == 0)
		return number;
	// Where a number was ported to (RFC 4694 rn) is nothing that a rule speaks of.
	int without = td_uri_number(&core->uri, false, dialled, sizeof(dialled));
	if (without <= 0 || !td_span_eq(number, td_span(dialled, (size_t)without)))
		return number;
	return td_number_digits(&call->numbers->callee);
}

bool numbers_uri(const struct td_call *call, const struct td_core *core,
	const struct td_number *callee, struct td_uri *uri, char text[NUMBER_ESCAPED_MAX])
{
	struct td_writer out = { text, text, text + NUMBER_ESCAPED_MAX, false };
	struct td_number dialled;

	*uri = core->uri;
	if (call->emergency || callee->len == 0 || !td_number_of(&core->uri, &dialled) ||
		td_number_eq(callee, &dialled))
		return false;
	call_put_user(&out, td_number_span(callee));
	uri->user = call_written(&out);
	if (uri->scheme == TD_SCHEME_TEL)
		uri->params = (struct td_span){ 0 }; // they spoke of the number that came
	return true;
}

// --- what a target is told ---

static const struct td_identity *identity_make(struct call_identity *made, struct td_span display,
	const struct td_number *number)
{
	struct td_writer out = { made->text, made->text, made->text + sizeof(made->text), false };

	if (td_hiding_unfit(td_number_span(number)))
		td_put_lit(&out, "anonymous");
	else
		call_put_user(&out, td_number_span(number));
	made->identity = (struct td_identity){ display, call_written(&out) };
	return &made->identity;
}

static void callers_show(struct td_call *call, struct call_shown *shown,
	const struct td_core *core, const struct td_call_numbers *came,
	const struct td_call_numbers *n)
{
	const struct td_caller *subscriber = call->caller;
	struct td_span display =
		subscriber ? subscriber->identity.display : core->from.display;

	if (n->nameless)
		display = (struct td_span){ 0 };
	shown->hidden |= n->hidden;
	bool same = !n->hidden && td_number_eq(&n->caller, &came->caller) &&
		    td_number_eq(&n->asserted, &came->asserted);
	if (same && (subscriber || n->asserted.len == 0))
		return;
	shown->own = true; // of several asserted ones only the one that was judged
	if (n->caller.len > 0 && !same)
		shown->from = identity_make(&shown->caller, display, &n->caller);
	else if (n->caller.len == 0 && came->caller.len > 0)
		shown->hidden = true; // not A's own From in place of what was taken away
	shown->pai = NULL;
	if (n->asserted.len > 0)
		shown->pai = identity_make(&shown->asserted,
			subscriber ? display : (struct td_span){ 0 }, &n->asserted);
}

bool numbers_show(struct td_call *call, const struct td_trunk *trunk, const struct td_msg *msg,
	const struct td_core *core)
{
	struct call_shown *shown = &call->engine->calls->shown;
	struct td_call_numbers came, n;

	shown->called = &core->uri;
	shown->from = shown->pai = call->caller ? &call->caller->identity : NULL;
	shown->own = false;
	// What a subscriber says in From is believed in this alone: that it wants no name there.
	shown->unnamed = call->caller && !call->emergency && td_headers_unnamed(core);
	shown->hidden = shown->unnamed &&
			((trunk->conf.trust & TD_TRUST_OUT) != 0 ||
				trunk->privacy == TD_PRIVACY_HONOUR);
	if (!call->numbers && !trunk->numbers)
		return true;
	numbers_of(call, msg, core, &came);
	n = call->numbers ? *call->numbers : came;
	if (trunk->numbers && caller_screen(call, &trunk->numbers->caller_out, &n) != 0) {
		note_set(call, NOTE_RULES, td_number_span(&n.rules));
		return false;
	}
	note_set(call, NOTE_ASSERTED, td_number_digits(&n.asserted));
	if (trunk->numbers)
		numbers_pass(call->engine, trunk->numbers, td_numbers_out, &n);
	if (numbers_uri(call, core, &n.callee, &shown->uri, shown->callee))
		shown->called = &shown->uri;
	callers_show(call, shown, core, &came, &n);
	note_set(call, NOTE_RULES, td_number_span(&n.rules));
	return true;
}
