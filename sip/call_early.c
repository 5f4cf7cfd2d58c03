// SPDX-License-Identifier: BSD-3-Clause
// Early dialogs: those of an attempt by their remote tags, each shown to A under a tag of its own,
// and what either side may say inside one before the answer.
//
// To A the switch is a forking proxy: BYE in one of several early dialogs ends that one alone
// (RFC 3261 §15), and the call only where no other is left.
#include "sip/call_priv.h"

#include <errno.h>

// --- their life ---

static void fork_free(struct td_engine *engine, struct td_fork *fork)
{
	call_text_free(engine, &fork->tag); // target and routes lie behind it
	call_text_free(engine, &fork->sdp);
	td_slab_put(engine->slab, (char *)fork);
}

void attempt_forks_free(struct td_engine *engine, struct td_attempt *attempt)
{
	while (attempt->forks) {
		struct td_fork *fork = attempt->forks;
		attempt->forks = fork->next;
		fork_free(engine, fork);
	}
}

struct td_fork *fork_find(const struct td_attempt *attempt, struct td_span tag)
{
	for (struct td_fork *fork = attempt->forks; fork; fork = fork->next)
		if (td_span_eq(fork->tag, tag))
			return fork;
	return NULL;
}

// Tag, remote target and route set of the early dialog (§12.1.2) in one block.
static int fork_learn(struct td_engine *engine, struct td_fork *fork, const struct td_msg *msg,
	const struct td_core *core)
{
	struct td_writer routes = call_writer(engine->calls, engine->calls->lines);
	struct td_span target =
		core->contact.star ? (struct td_span){ 0 } : core->contact.uri.whole;

	if (dialog_routes(msg, true, &routes) != 0)
		return -EBADMSG;
	uint32_t n_tag = core->to.tag.len, n_routes = td_writer_len(&routes);
	char *text = td_slab_get(engine->slab, n_tag + target.len + n_routes);
	if (!text)
		return -ENOBUFS;
	struct td_writer out = { text, text, text + n_tag + target.len + n_routes, false };
	td_put_span(&out, core->to.tag);
	td_put_span(&out, target);
	td_put_span(&out, call_written(&routes));
	td_slab_put(engine->slab, (char *)(uintptr_t)fork->tag.ptr);
	fork->tag = td_span(text, n_tag);
	fork->target = td_span(text + n_tag, target.len);
	fork->routes = td_span(text + n_tag + target.len, n_routes);
	return 0;
}

struct td_fork *attempt_fork(
	struct td_attempt *attempt, const struct td_msg *msg, const struct td_core *core)
{
	struct td_engine *engine = attempt->engine;
	struct td_fork *fork = fork_find(attempt, core->to.tag);
	unsigned n = 0;

	if (fork) {
		if (fork->target.len == 0 && core->contact.whole.len > 0)
			fork_learn(engine, fork, msg, core);
		return fork;
	}
	for (const struct td_fork *other = attempt->forks; other; other = other->next)
		n++;
	if (n < CALL_FORKS_MAX)
		fork = (struct td_fork *)(void *)td_slab_get(engine->slab, sizeof(*fork));
	if (!fork)
		return NULL;
	*fork = (struct td_fork){ .a_cseq = attempt->call->invite_cseq };
	if (fork_learn(engine, fork, msg, core) != 0) {
		td_slab_put(engine->slab, (char *)fork);
		return NULL;
	}
	fork->next = attempt->forks;
	attempt->forks = fork;
	return fork;
}

// --- requests inside ---

int early_open(struct td_attempt *attempt, const struct td_fork *fork, enum call_side_id id,
	struct td_side *out)
{
	struct td_span fields[DLG__COUNT];

	if (id == SIDE_A) {
		*out = attempt->call->a;
		out->dialog.branch = fork->branch;
		return fork->branch != 0 ? 0 : -ENOENT;
	}
	*out = attempt->b;
	out->dialog.text = NULL;
	for (unsigned i = 0; i < DLG__COUNT; i++)
		fields[i] = dialog_get(&attempt->b.dialog, i);
	fields[DLG_REMOTE_TAG] = fork->tag;
	fields[DLG_ROUTES] = fork->routes;
	if (fork->target.len > 0)
		fields[DLG_TARGET] = fork->target;
	return dialog_set(attempt->engine, &out->dialog, fields);
}

void early_close(struct td_attempt *attempt, enum call_side_id id, struct td_side *side)
{
	struct td_side *own = id == SIDE_A ? &attempt->call->a : &attempt->b;

	// One count for all early dialogs of a side: in each of them it only grows.
	own->dialog.local_cseq = side->dialog.local_cseq;
	if (id == SIDE_B)
		dialog_free(attempt->engine, &side->dialog);
}

// Tells B that A has ended that early dialog.
static void fork_bye(struct td_attempt *attempt, const struct td_fork *fork)
{
	struct td_request bye;
	struct td_side side;

	if (early_open(attempt, fork, SIDE_B, &side) != 0)
		return;
	dialog_request(attempt->engine, &side, TD_M_BYE, &bye);
	td_ctx_new(attempt->engine, &bye, NULL, NULL);
	early_close(attempt, SIDE_B, &side);
}

static bool attempt_has_other(const struct td_attempt *attempt, const struct td_fork *than)
{
	for (const struct td_fork *fork = attempt->forks; fork; fork = fork->next)
		if (fork != than && !fork->over)
			return true;
	return false;
}

static bool call_has_other(const struct td_call *call, const struct td_attempt *than)
{
	for (const struct td_attempt *attempt = call->attempts; attempt; attempt = attempt->next)
		if (attempt != than && attempt_running(attempt))
			return true;
	return false;
}

static void bye_of_a(struct td_attempt *attempt, struct td_fork *fork, const struct td_msg *msg)
{
	uint16_t reason = td_cause_of_reason(msg);

	if (attempt_has_other(attempt, fork)) {
		fork->over = true;
		fork_bye(attempt, fork);
	} else if (call_has_other(attempt->call, attempt)) {
		attempt_give_up(
			attempt, 487, reason ? reason : CAUSE_NORMAL, (struct td_span){ 0 });
	} else {
		call_cancelled(attempt->call, msg);
	}
}

// The far end takes its ringing back by BYE, which it should not (§15), but which must not leave A
// waiting.
static void bye_of_b(struct td_attempt *attempt, struct td_fork *fork, const struct td_msg *msg)
{
	uint16_t reason = td_cause_of_reason(msg),
		 cause = reason ? reason : td_cause_of_status(480);

	fork->over = true;
	if (attempt_has_other(attempt, fork))
		return;
	attempt_give_up(attempt, 480, cause, (struct td_span){ 0 });
	attempt_failed(attempt, 480, cause, msg);
}

// An INVITE before the first one's final answer (§14.2): its sender has to wait for that answer, or
// meets it.
static void early_invite(struct td_engine *engine, enum call_side_id from,
	const struct td_flow *flow, const struct td_msg *msg, const struct td_core *core)
{
	call_reply(engine, flow, msg, core, from == SIDE_A ? 500 : 491,
		from == SIDE_A ? TD_SPAN(TD_RETRY_AFTER_LINE) : (struct td_span){ 0 });
}

// false: out of order (§12.2.2). Each early dialog counts for itself.
static bool cseq_fits(struct td_fork *fork, enum call_side_id from, uint32_t cseq)
{
	uint32_t *seen = from == SIDE_A ? &fork->a_cseq : &fork->b_cseq;

	if ((from == SIDE_A || fork->b_cseq_known) && cseq <= *seen)
		return false;
	*seen = cseq;
	fork->b_cseq_known |= from == SIDE_B;
	return true;
}

void early_rx(struct td_attempt *attempt, struct td_fork *fork, enum call_side_id from,
	const struct td_flow *flow, const struct td_msg *msg, const struct td_core *core)
{
	struct td_engine *engine = attempt->engine;

	if (msg->method == TD_M_ACK) {
		td_engine_count(engine, TD_C_SIP_STRAY_ACK);
		return;
	}
	if (!cseq_fits(fork, from, core->cseq.number)) {
		call_reply(engine, flow, msg, core, 500, (struct td_span){ 0 });
		return;
	}
	switch ((enum td_method)msg->method) {
	case TD_M_BYE:
		call_reply(engine, flow, msg, core, 200, (struct td_span){ 0 });
		if (from == SIDE_A)
			bye_of_a(attempt, fork, msg);
		else
			bye_of_b(attempt, fork, msg);
		break;
	case TD_M_INFO:
		info_relay(attempt, fork, from, flow, msg, core);
		break;
	case TD_M_OPTIONS:
		call_reply(engine, flow, msg, core, 200, TD_SPAN(TD_OPTIONS_LINES));
		break;
	case TD_M_INVITE:
		early_invite(engine, from, flow, msg, core);
		break;
	default:
		call_reply(engine, flow, msg, core, 405, TD_SPAN(TD_ALLOW_LINE));
	}
}
