// SPDX-License-Identifier: BSD-3-Clause
// A's INVITE: may it in, and where to (architecture §5).
#include "sip/call_priv.h"

#include "include/subscriber.h"

#include <errno.h>

static void stx_cancelled(struct td_engine *engine, struct td_stx *stx, const struct td_msg *cancel)
{
	struct td_call *call = td_stx_data(stx);

	call_cancelled(call, cancel);
	call_settle(call);
}

static void stx_ended(struct td_engine *engine, struct td_stx *stx)
{
	struct td_call *call = td_stx_data(stx);

	call->stx = NULL;
	if (call->ack.stx == stx)
		call->ack.stx = NULL;
}

const struct td_stx_user call_invite_user = { .cancelled = stx_cancelled, .ended = stx_ended };

// --- refused before there is a call ---

struct verdict {
	uint16_t status; // 0: accepted
	enum td_counter counter;
	const char *headers, *reason;
};

static struct verdict refuse(uint16_t status, enum td_counter counter, const char *headers)
{
	return (struct verdict){ status, counter, headers, "" };
}

// What the message itself says, and whether the switch takes calls at all.
static struct verdict judge(struct td_engine *engine, const struct td_msg *msg,
	const struct td_core *core, uint32_t trunk_in)
{
	const struct td_calls *calls = engine->calls;
	bool emergency = td_policy_emergency(engine->policy, &core->uri);

	if (engine->draining && !emergency)
		return refuse(503, TD_C_SIP_DRAINING, TD_RETRY_AFTER_LINE);
	if (!td_policy_trunk(engine->policy, trunk_in)->conf.enabled)
		return refuse(503, TD_C_SIP_TRUNK_DISABLED, TD_RETRY_AFTER_LINE);
	if (core->has_max_forwards && core->max_forwards == 0)
		return refuse(483, TD_C_SIP_BAD_ANSWERED, "");
	if (core->contact.whole.len == 0 || core->contact.star)
		return (struct verdict){ 400, TD_C_SIP_BAD_ANSWERED, "",
			"No Contact to Send Requests to" };
	if (msg->body.len > 0 && !core->sdp)
		return refuse(415, TD_C_SIP_BAD_ANSWERED, TD_ACCEPT_LINE);
	if ((calls->active >= calls->max_calls && !emergency) || calls->pool.n_free == 0)
		return refuse(503, TD_C_SIP_NO_MEMORY, TD_RETRY_AFTER_LINE);
	if (!td_txn_has_room(engine) && !emergency)
		return refuse(503, TD_C_SIP_NO_TRANSACTION, TD_RETRY_AFTER_LINE);
	return (struct verdict){ 0 };
}

// Room for the record of this INVITE; without it the INVITE is turned away here.
static bool row_reserved(struct td_engine *engine, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core)
{
	if (engine->conf.ops->cdr_reserve(engine->conf.host) == 0)
		return true;
	td_engine_count(engine, TD_C_JOURNAL_FULL);
	call_reply(engine, flow, msg, core, 503, TD_SPAN(TD_RETRY_AFTER_LINE));
	return false;
}

void td_call_refuse(struct td_engine *engine, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core, uint32_t trunk_in, const struct td_response *response)
{
	if (!row_reserved(engine, flow, msg, core))
		return;
	call_reply_with(engine, flow, msg, core, *response);
	call_cdr_refused(engine, core, td_policy_trunk(engine->policy, trunk_in)->conf.name,
		response->status);
}

// --- the A side ---

static int side_a_init(struct td_call *call, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core)
{
	struct td_engine *engine = call->engine;
	struct td_writer routes = call_writer(engine->calls, engine->calls->lines);
	struct td_dialog *dialog = &call->a.dialog;
	int rc = dialog_routes(msg, false, &routes);

	if (rc != 0)
		return rc;
	struct td_span fields[DLG__COUNT] = {
		[DLG_CALL_ID] = core->call_id,
		[DLG_LOCAL] = name_without_params(&core->to),
		[DLG_REMOTE] = name_without_params(&core->from),
		[DLG_REMOTE_TAG] = core->from.tag,
		[DLG_TARGET] = core->contact.uri.whole,
		[DLG_ROUTES] = call_written(&routes),
	};
	dialog->flow = *flow;
	dialog->remote_cseq = call->invite_cseq = core->cseq.number;
	dialog->remote_cseq_known = true;
	call->a.media = media_new(engine);
	return call->a.media ? dialog_set(engine, dialog, fields) : -ENOBUFS;
}

static int call_keep_notes(struct td_call *call, const struct td_trunk *trunk,
	const struct td_msg *msg, const struct td_core *core)
{
	char from[CALL_NUMBER_MAX + 1], to[CALL_NUMBER_MAX + 1];
	struct td_span texts[NOTE__COUNT] = {
		[NOTE_FROM] = td_span(from, call_number(&core->from.uri, from)),
		[NOTE_TO] = td_span(to, call_number(&core->uri, to)),
		[NOTE_AGENT] = td_msg_get(msg, TD_H_USER_AGENT),
		[NOTE_PLAN] = td_span_str(trunk->conf.plan),
	};

	return notes_set(call, texts);
}

// Several lines are one list (RFC 3261 §7.3.1).
static int call_keep_privacy(struct td_call *call, const struct td_msg *msg)
{
	struct td_writer all = call_writer(call->engine->calls, call->engine->calls->lines);

	if (!td_msg_has(msg, TD_H_PRIVACY))
		return 0;
	for (uint8_t i = msg->first[TD_H_PRIVACY]; i != 0xff; i = msg->headers[i].next) {
		if (td_writer_len(&all) > 0)
			td_put_lit(&all, ";");
		td_put_span(&all, td_msg_value(msg, &msg->headers[i]));
	}
	call->privacy = td_slab_dup(call->engine->slab, call_written(&all));
	return call->privacy.ptr ? 0 : -ENOBUFS;
}

static int call_keep_invite(struct td_call *call, const struct td_msg *msg)
{
	call->invite = td_slab_dup(call->engine->slab, td_span(msg->buf, msg->len));
	return call->invite.ptr ? call_keep_privacy(call, msg) : -ENOBUFS;
}

int call_invite_reload(struct td_call *call)
{
	struct td_calls *calls = call->engine->calls;

	if (td_msg_parse(&calls->invite_msg, call->invite.ptr, call->invite.len) != 0 ||
		td_core_decode(&calls->invite_msg, &calls->invite_core) != 0)
		return -EBADMSG;
	struct td_span body = calls->invite_core.sdp_body;
	return call->offered ? td_sdp_parse(&calls->sdp, body.ptr, body.len) : 0;
}

// --- routing ---

// What led to a target, as people know it: the route's name, else what it matched of the number.
static void target_route(
	const struct td_call *call, const struct td_route_target *target, char route[TD_NAME_LEN])
{
	struct td_span called = call->numbers ? td_number_digits(&call->numbers->callee)
					      : note_get(call, NOTE_TO),
		       text = target->route ? td_span_str(target->route) : called;

	if (!target->route && target->matched < text.len)
		text.len = target->matched;
	td_span_cstr(text, route, TD_NAME_LEN);
}

static void target_keep(struct td_call *call, const struct td_route_target *target)
{
	const struct td_policy *policy = call->engine->policy;
	struct td_call_target *kept = &call->targets[call->n_targets];

	*kept = (struct td_call_target){ .kind = TARGET_AOR,
		.last = target->last,
		.failover = target->failover,
		.max_duration_s = target->max_duration_s };
	target_route(call, target, kept->route);
	if (policy) {
		kept->group = limit_ref(policy, TD_LIMIT_GROUP, target->group);
		kept->limit = limit_ref(policy, TD_LIMIT_ROUTE, target->limit);
	}
	if (target->kind == TD_TARGET_AOR) {
		call->n_targets++;
		return;
	}
	if (!policy || target->trunk >= td_policy_n_trunks(policy))
		return;
	const struct td_trunk *trunk = td_policy_trunk(policy, target->trunk);
	if (target->peer >= trunk->conf.n_peers)
		return;
	kept->kind = TARGET_PEER;
	trunk_ref_set(&kept->trunk, trunk, target->trunk);
	limit_expect(call->engine, TD_LIMIT_TRUNK, trunk->slot);
	kept->peer = trunk->conf.peers[target->peer].address;
	call->n_targets++;
}

static int targets_keep(struct td_call *call, const struct td_route_answer *route)
{
	struct td_engine *engine = call->engine;
	uint16_t n = route->n < TD_ATTEMPTS_MAX ? route->n : TD_ATTEMPTS_MAX, room = n;

	// The contacts of an AoR take its place later on.
	for (uint16_t i = 0; i < n; i++)
		if (route->targets[i].kind == TD_TARGET_AOR)
			room = TD_ATTEMPTS_MAX;
	call->targets = (struct td_call_target *)(void *)td_slab_get(
		engine->slab, room * (uint32_t)sizeof(*call->targets));
	if (!call->targets)
		return -ENOBUFS;
	call->policy = engine->policy ? td_policy_generation(engine->policy) : 0;
	for (uint16_t i = 0; i < n; i++)
		target_keep(call, &route->targets[i]);
	return 0;
}

void call_routed(struct td_call *call, const struct td_route_answer *route, enum td_answer answer,
	const struct td_msg *msg, const struct td_core *core)
{
	if (answer != TD_DONE) {
		uint16_t status =
			route->sip_code >= 400 && route->sip_code < 700 ? route->sip_code : 404;
		td_engine_count(call->engine, TD_C_SIP_NO_ROUTE);
		call_fail(call, TD_RELEASED_SWITCH, status, td_cause_of_status(status),
			(struct td_span){ 0 });
		return;
	}
	if (targets_keep(call, route) != 0) {
		td_engine_count(call->engine, TD_C_SIP_NO_MEMORY);
		call_fail(call, TD_RELEASED_SWITCH, 503, CAUSE_CONGESTION, (struct td_span){ 0 });
		return;
	}
	call->state = CALL_CALLING;
	call_timer_setup(call);
	call_next_target(call, msg, core);
}

static void call_route(struct td_call *call, const struct td_trunk *trunk, const struct td_msg *msg,
	const struct td_core *core)
{
	struct td_engine *engine = call->engine;
	struct td_route_answer route = { 0 };
	char user[TD_AOR_LEN];
	int user_len = td_uri_unescape(core->uri.user, user, sizeof(user));
	struct td_route_query query = {
		.trunk_in = call->a.trunk.index,
		.number = numbers_called(
			call, core, trunk, engine->calls->lines, engine->calls->text_cap),
		.domain = core->uri.host,
		.emergency = call->emergency,
		.anonymous = td_headers_anonymous(core, call->privacy),
		.user = td_span(user, user_len > 0 ? (size_t)user_len : 0),
		.caller = note_get(call, NOTE_FROM),
		.wall_s = td_engine_wall_us(engine) / 1000000,
		.health = engine->conf.health,
		.now_ms = td_engine_now_ms(engine),
	};

	if (call->caller) {
		query.caller = call->caller->number;
		query.plan = call->caller->plan;
	}
	if (call->numbers) {
		query.caller = td_number_digits(&call->numbers->caller);
		query.anonymous |= call->numbers->hidden;
		if (call->numbers->callee.len > 0)
			query.user = td_number_span(&call->numbers->callee);
	}
	engine->conf.ops->random(engine->conf.host, &query.random, sizeof(query.random));
	enum td_answer answer =
		engine->conf.ops->route(engine->conf.host, &query, call_cookie(call), &route);
	if (answer == TD_PENDING)
		call_timer_question(call);
	else
		call_routed(call, &route, answer, msg, core);
}

// --- the call ---

static int limits_hold(struct td_call *call, const struct td_trunk *trunk,
	const struct td_subscriber_entry *caller)
{
	// The narrowest first: who is over a limit of his own takes nothing of the others' rate.
	// Where a wider one refuses, the narrower ones get back what it took of theirs.
	int rc = caller ? caller_acquire(call, caller) : 0;

	if (rc == 0)
		rc = trunk_ref_acquire(
			call->engine, &call->a.trunk, trunk, !call->emergency, true);
	if (rc == 0)
		rc = call_limits_acquire(call);
	if (rc != 0)
		return rc;
	call->a.trunk.fresh = false;
	if (caller)
		call->caller->fresh = false;
	return 0;
}

// Everything the call holds on to. 0, or the status that refuses it.
static uint16_t call_hold(struct td_call *call, const struct td_trunk *trunk,
	const struct td_flow *flow, const struct td_msg *msg, const struct td_core *core,
	const struct td_subscriber_entry *caller)
{
	if (call_keep_notes(call, trunk, msg, core) != 0 || call_keep_invite(call, msg) != 0 ||
		(caller && caller_keep(call, caller, msg, core) != 0))
		return 503;
	struct td_route_ahead *ahead = &call->engine->calls->ahead;
	td_policy_ahead(
		call->engine->policy, call->a.trunk.index, note_get(call, NOTE_TO), ahead);
	int rc = numbers_begin(call, trunk, msg, core);
	if (rc != 0)
		return rc == -EPERM ? 403 : 503;
	rc = side_a_init(call, flow, msg, core);
	if (rc != 0)
		return rc == -EBADMSG ? 400 : 503;
	td_policy_ahead_step(ahead);
	rc = limits_hold(call, trunk, caller);
	if (rc != 0) {
		call->limit_cause = limit_cause(rc);
		return 503;
	}
	call->offered = core->sdp;
	return core->sdp ? media_receive(call, &call->a, core->sdp_body, true) : 0;
}

static void call_start(struct td_call *call, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core, uint32_t trunk_in, const struct td_subscriber_entry *caller)
{
	struct td_engine *engine = call->engine;
	const struct td_trunk *trunk = td_policy_trunk(engine->policy, trunk_in);

	trunk_ref_set(&call->a.trunk, trunk, trunk_in);
	call->emergency = td_policy_emergency(engine->policy, &core->uri);
	if (call->emergency)
		td_engine_count(engine, TD_C_CALL_EMERGENCY);
	call->early_single = trunk->conf.early_single;
	call->a.media_timeout_s = trunk->conf.media_timeout_s;
	engine->calls->ahead.step = TD_AHEAD_OVER;
	uint16_t status = call_hold(call, trunk, flow, msg, core, caller);
	td_policy_ahead_step(&engine->calls->ahead);
	call->stx = td_stx_new(engine, flow, msg, core, &call_invite_user, call);
	if (!call->stx) {
		struct td_response busy = { .status = 503,
			.headers = TD_SPAN(TD_RETRY_AFTER_LINE) };
		td_respond_stateless(engine, flow, msg, core, &busy);
		call_end(call, TD_RELEASED_SWITCH, 503, CAUSE_CONGESTION);
	} else if (status != 0) {
		call_fail(call, TD_RELEASED_SWITCH, status,
			call->limit_cause ? call->limit_cause : td_cause_of_status(status),
			status == 503 ? TD_SPAN(TD_RETRY_AFTER_LINE) : (struct td_span){ 0 });
	} else {
		td_policy_ahead_step(&engine->calls->ahead);
		call_route(call, trunk, msg, core);
	}
}

void td_call_invite(struct td_engine *engine, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core, uint32_t trunk_in, const struct td_subscriber_entry *caller)
{
	struct verdict verdict = judge(engine, msg, core, trunk_in);

	if (verdict.status != 0) {
		const struct td_response response = { .status = verdict.status,
			.reason = td_span_str(verdict.reason),
			.headers = td_span_str(verdict.headers) };
		td_engine_count(engine, verdict.counter);
		td_call_refuse(engine, flow, msg, core, trunk_in, &response);
		return;
	}
	if (!row_reserved(engine, flow, msg, core))
		return;
	struct td_call *call = call_new(engine);
	call_start(call, flow, msg, core, trunk_in, caller);
	call_settle(call);
}
