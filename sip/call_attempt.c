// SPDX-License-Identifier: BSD-3-Clause
// B attempts: one INVITE to one target, from its start to its end; which target comes next, and
// what A is told when none is left.
#include "sip/call_priv.h"

#include "sip/hiding.h"

#include <errno.h>

bool attempt_running(const struct td_attempt *attempt)
{
	return attempt->state == ATTEMPT_CALLING || attempt->state == ATTEMPT_RINGING;
}

// Its transaction goes on alone. An answered dialog has had its BYE by then.
static void attempt_leave(struct td_engine *engine, struct td_attempt *attempt)
{
	if (attempt->state == ATTEMPT_ANSWERED)
		attempt->put_down =
			late_ended(engine, dialog_get(&attempt->b.dialog, DLG_REMOTE_TAG));
	if (attempt->ctx)
		late_watch(attempt->ctx, attempt->put_down);
	attempt->ctx = NULL;
}

void attempt_free(struct td_engine *engine, struct td_attempt *attempt)
{
	attempt_leave(engine, attempt);
	td_timer_stop(&engine->wheel, &attempt->timer);
	trunk_ref_release(engine, &attempt->b.trunk);
	media_close(engine, &attempt->b, NULL);
	attempt_forks_free(engine, attempt);
	call_text_free(engine, &attempt->ack.body);
	dialog_free(engine, &attempt->b.dialog);
	td_slab_put(engine->slab, (char *)attempt);
}

// --- its start ---

// "1234;phone-context=10.0.1.9" tells of the side it comes from; the number alone does not.
static struct td_span user_crossing(struct td_span user)
{
	const char *params =
		user.len > 0 && td_hiding_unfit(user) ? memchr(user.ptr, ';', user.len) : NULL;

	return params ? td_span(user.ptr, (size_t)(params - user.ptr)) : user;
}

static void put_target_uri(
	struct td_writer *out, const struct td_uri *uri, struct td_span target)
{
	struct td_span value;
	bool tel = uri->scheme == TD_SCHEME_TEL;

	if (uri->scheme != TD_SCHEME_SIP && uri->scheme != TD_SCHEME_SIPS && !tel) {
		td_put_span(out, uri->whole);
		return;
	}
	td_put_lit(out, "sip:");
	td_put_span(out, user_crossing(uri->user));
	if (tel && uri->params.len > 0 && !td_hiding_unfit(uri->params)) { // RFC 3261 §19.1.6
		td_put_lit(out, ";");
		td_put_span(out, uri->params);
	}
	if (uri->user.len > 0)
		td_put_lit(out, "@");
	td_put_span(out, target);
	if (tel || (td_param_get(uri->params, TD_SPAN("user"), &value) &&
			   td_span_ieq(value, TD_SPAN("phone"))))
		td_put_lit(out, ";user=phone");
}

static void put_call_id(struct td_engine *engine, struct td_writer *out)
{
	uint8_t bytes[16];

	engine->conf.ops->random(engine->conf.host, bytes, sizeof(bytes));
	td_put_hex(out, bytes, sizeof(bytes));
}

// buf has TD_HOST_LEN + 8.
static struct td_span target_name(struct td_attempt *attempt, char *buf)
{
	const struct td_sockaddr *peer = &attempt->b.dialog.flow.remote;
	const struct td_trunk *trunk = trunk_ref_find(attempt->engine, &attempt->b.trunk);
	struct td_writer out = { buf, buf, buf + TD_HOST_LEN + 8, false };

	td_put_peer(&out, trunk, peer);
	return td_span(buf, td_writer_len(&out));
}

static struct td_span cut(struct td_writer *out, char *start)
{
	return td_span(start, (size_t)(out->pos - start));
}

static struct td_headers_way attempt_way(const struct td_attempt *attempt)
{
	const struct td_call *call = attempt->call;
	const struct td_flow *flow = &attempt->b.dialog.flow;

	return (struct td_headers_way){
		.trust_in = call->a.trunk.trust,
		.trust_out = attempt->b.trunk.trust,
		.our_address = td_engine_advertised(call->engine, flow->realm, &flow->local),
		.identity = call->engine->calls->shown.from,
		.asserted = call->engine->calls->shown.pai,
		.privacy = call->privacy,
		.privacy_is = attempt->b.trunk.privacy,
		.hidden = call->engine->calls->shown.hidden,
	};
}

// To is whom A called, in the domain that knows it.
static void put_called(
	struct td_writer *out, const struct td_uri *uri, const struct td_call_contact *contact)
{
	td_put_lit(out, "<sip:");
	td_put_span(out, user_crossing(uri->user));
	td_put_lit(out, "@");
	td_put_span(out, contact->domain);
	td_put_lit(out, ">");
}

static int attempt_dialog(struct td_attempt *attempt, const struct td_call_contact *contact,
	const struct td_core *core)
{
	struct td_call *call = attempt->call;
	struct td_engine *engine = call->engine;
	struct td_dialog *dialog = &attempt->b.dialog;
	const struct td_uri *called = engine->calls->shown.called;
	struct td_writer out = call_writer(engine->calls, engine->calls->lines);
	struct td_headers_way way = attempt_way(attempt);
	if (contact)
		way.host = contact->domain;
	struct td_span fields[DLG__COUNT] = { 0 };
	char name[TD_HOST_LEN + 8];
	struct td_span target = target_name(attempt, name);

	char *start = out.pos;
	put_call_id(engine, &out);
	fields[DLG_CALL_ID] = cut(&out, start);
	start = out.pos;
	td_headers_from(core, &way, &out);
	fields[DLG_LOCAL] = cut(&out, start);
	start = out.pos;
	if (!contact)
		put_target_uri(&out, called, target);
	fields[DLG_TARGET] = contact ? contact->uri : cut(&out, start);
	fields[DLG_ROUTES] = contact ? contact->path : (struct td_span){ 0 }; // RFC 3327 §5.3
	start = out.pos;
	if (contact) {
		put_called(&out, called, contact);
	} else if (core->uri.scheme == TD_SCHEME_URN) {
		td_put_lit(&out, "<");
		td_put_span(&out, core->uri.whole);
		td_put_lit(&out, ">");
	} else {
		td_headers_to(core, called->user, target, &out);
	}
	fields[DLG_REMOTE] = cut(&out, start);
	return out.overflow ? -ENOBUFS : dialog_set(engine, dialog, fields);
}

// An index of the policy that routed the call means nothing in another.
static const struct td_failover_conf *target_rule(
	const struct td_call *call, const struct td_call_target *target)
{
	const struct td_policy *policy = call->engine->policy;

	if (target->failover == 0 || !policy || td_policy_generation(policy) != call->policy)
		return NULL;
	return td_policy_failover(policy, target->failover);
}

static void attempt_conf(struct td_attempt *attempt, const struct td_call_target *target,
	const struct td_trunk *trunk)
{
	const struct td_trunk_conf *conf = &trunk->conf;

	attempt->target = (uint8_t)(target - attempt->call->targets);
	attempt->contact = target->contact != NULL;
	attempt->ring_timeout_ms = conf->ring_timeout_ms;
	attempt->max_duration_s =
		target->max_duration_s ? target->max_duration_s : conf->max_duration_s;
	attempt->b.media_timeout_s = conf->media_timeout_s;
}

// How long the target may say nothing.
static uint32_t target_patience_ms(
	struct td_call *call, const struct td_call_target *target, struct td_attempt *attempt)
{
	const struct td_failover_conf *rule = target_rule(call, target);
	const struct td_trunk *trunk = trunk_ref_find(call->engine, &attempt->b.trunk);

	if (rule && rule->attempt_timeout_ms > 0) {
		attempt->hurried =
			trunk && rule->attempt_timeout_ms < trunk->conf.attempt_timeout_ms;
		return rule->attempt_timeout_ms;
	}
	return trunk ? trunk->conf.attempt_timeout_ms : 0;
}

// An attempt with its flow, dialog and media, counted against its trunk; NULL: not possible,
// nothing held.
static struct td_attempt *attempt_new(struct td_call *call, const struct td_call_target *target,
	const struct td_msg *msg, const struct td_core *core)
{
	struct td_engine *engine = call->engine;
	struct td_trunk_ref ref = target->trunk;
	const struct td_trunk *trunk = trunk_ref_find(engine, &ref);

	if (!trunk || !trunk->conf.enabled)
		return NULL;
	if (!numbers_show(call, trunk, msg, core)) {
		call->best_status = call->best_status ? call->best_status : 403;
		call->best_cause = call->best_cause ? call->best_cause : td_cause_of_status(403);
		return NULL;
	}
	struct td_flow flow = { .remote = target->peer, .realm = trunk->realm };
	flow.local = td_engine_local(engine, trunk->realm, target->peer.family);
	if (target->contact)
		flow = target->contact->flow;
	struct td_attempt *attempt =
		(struct td_attempt *)(void *)td_slab_get(engine->slab, sizeof(*attempt));
	if (!attempt || flow.local.family == 0) {
		td_slab_put(engine->slab, (char *)attempt);
		td_engine_count(engine, TD_C_SIP_NO_MEMORY);
		return NULL;
	}
	memset(attempt, 0, sizeof(*attempt));
	attempt->engine = engine;
	attempt->call = call;
	attempt->number = (uint8_t)(call->n_attempts + 1);
	trunk_ref_set(&attempt->b.trunk, trunk, ref.index);
	attempt_conf(attempt, target, trunk);
	attempt->b.trunk.own = engine->calls->shown.own;
	attempt->b.dialog.flow = flow;
	attempt->b.dialog.slot = call->a.dialog.slot;
	attempt->b.dialog.generation = call->a.dialog.generation;
	attempt->b.dialog.branch = attempt->number;
	int rc = trunk_ref_acquire(
		engine, &attempt->b.trunk, trunk, !call->emergency, call->n_attempts == 0);
	attempt->b.media = rc == 0 ? media_new(engine) : NULL;
	if (attempt->b.media && attempt_dialog(attempt, target->contact, core) == 0)
		return attempt;
	if (rc == 0)
		td_engine_count(engine, TD_C_SIP_NO_MEMORY);
	else
		call->limit_cause = limit_cause(rc);
	attempt_free(engine, attempt);
	return NULL;
}

// calls->sdp is A's offer where there is one.
static int attempt_invite(
	struct td_attempt *attempt, const struct td_msg *msg, const struct td_core *core)
{
	struct td_call *call = attempt->call;
	struct td_engine *engine = call->engine;
	struct td_writer body = call_writer(engine->calls, engine->calls->body);
	struct td_request request;
	char contact[80];

	if (call->offered && media_send(call, &call->a, &attempt->b, &body) != 0)
		return -ENOSPC;
	struct td_headers_way way = attempt_way(attempt);
	struct td_writer headers = call_relayed(call, &call->a, &attempt->b, msg);
	td_headers_identity(&way, &headers);
	bool asks = way.hidden ||
		    (engine->calls->shown.unnamed && way.privacy_is == TD_PRIVACY_PASS);
	if (asks && call->privacy.len == 0)
		td_put_lit(&headers, "Privacy: id\r\n");
	td_put_lit(&headers, TD_ALLOW_LINE);
	dialog_request(engine, &attempt->b, TD_M_INVITE, &request);
	request.max_forwards = (uint8_t)(core->max_forwards - 1);
	request.contact = call_contact(engine, &attempt->b.dialog.flow, contact);
	request.headers = call_written(&headers);
	request.body = call_written(&body);
	if (call->offered)
		request.content_type = CALL_SDP_TYPE;
	if (headers.overflow || body.overflow)
		return -EMSGSIZE;
	attempt->ack.cseq = request.cseq;
	attempt->ctx = td_ctx_new(engine, &request, &attempt_user, attempt);
	return attempt->ctx ? 0 : -ENOBUFS;
}

static int attempt_start(struct td_call *call, const struct td_call_target *target,
	const struct td_msg *msg, const struct td_core *core)
{
	// Flows of phones may be more than the record has room for.
	struct td_attempt *attempt = call->n_attempts < TD_ATTEMPTS_MAX
					     ? attempt_new(call, target, msg, core)
					     : NULL;

	if (!attempt)
		return -1;
	if (attempt_invite(attempt, msg, core) != 0) {
		attempt_free(call->engine, attempt);
		return -1;
	}
	attempt->start_us = td_engine_wall_us(call->engine);
	attempt->next = call->attempts;
	call->attempts = attempt;
	note_set(call, NOTE_ROUTE, td_span_str(target->route));
	call->n_attempts++;
	td_engine_count(call->engine, TD_C_CALL_ATTEMPTS);
	trunk_ref_seized(call->engine, &attempt->b.trunk, false);
	attempt->b.trunk.fresh = false;
	call_limits_used(call);
	call->callee_fresh = false;
	attempt_timer_start(attempt, target_patience_ms(call, target, attempt));
	return 0;
}

// A target, and the contacts that ring together with it. false: not one of them could be tried.
static bool targets_start(struct td_call *call, const struct td_call_target *target,
	const struct td_msg *msg, const struct td_core *core)
{
	if (target->kind != TARGET_CONTACT) // the call goes on without whom it was for
		callee_release(call);
	int rc = call_limits_move(call, target);
	bool started = rc == 0 && attempt_start(call, target, msg, core) == 0;

	if (rc != 0)
		call->limit_cause = limit_cause(rc);
	for (; call->next_target < call->n_targets && call->targets[call->next_target].together;
		call->next_target++)
		started |= rc == 0 && attempt_start(call, &call->targets[call->next_target], msg,
					      core) == 0;
	return started;
}

// Has its peer gone down since the route was chosen?
static bool target_gone(struct td_call *call, struct td_call_target *target)
{
	if (target->kind != TARGET_PEER || call->emergency ||
		!trunk_ref_down(call->engine, &target->trunk, &target->peer, target->last))
		return false;
	td_engine_count(call->engine, TD_C_CALL_PEER_DOWN);
	return true;
}

static void call_exhausted(struct td_call *call)
{
	uint16_t status = call->best_status, cause = call->best_cause;

	if (status == 0) {
		status = call->nobody ? 404 : 503;
		cause = call->nobody ? td_cause_of_status(404) : CAUSE_CONGESTION;
		if (!call->nobody && call->limit_cause != 0)
			cause = call->limit_cause;
	}
	call_fail(call, TD_RELEASED_SWITCH, status, cause, (struct td_span){ 0 });
}

void call_next_target(struct td_call *call, const struct td_msg *msg, const struct td_core *core)
{
	struct td_calls *calls = call->engine->calls;

	if (!msg) {
		if (call_invite_reload(call) != 0) {
			call_fail(call, TD_RELEASED_SWITCH, 500, CAUSE_PROTOCOL,
				(struct td_span){ 0 });
			return;
		}
		msg = &calls->invite_msg;
		core = &calls->invite_core;
	}
	while (call->next_target < call->n_targets) {
		struct td_call_target *target = &call->targets[call->next_target++];
		if (target_gone(call, target))
			continue;
		if (target->kind != TARGET_AOR) {
			if (targets_start(call, target, msg, core))
				return;
			continue;
		}
		uint16_t refused = contacts_expand(call, core);
		if (refused == CONTACTS_PENDING)
			return;
		if (refused == 0)
			continue;
		call->best_status = refused;
		break;
	}
	call_exhausted(call);
}

void call_located(struct td_call *call, const struct td_locate_answer *located,
	enum td_answer answer, const struct td_msg *msg, const struct td_core *core)
{
	uint16_t refused = contacts_located(call, core, located, answer);

	if (refused == CONTACTS_PENDING)
		return;
	if (refused == 0) {
		call_next_target(call, msg, core);
		return;
	}
	call->best_status = refused;
	call_exhausted(call);
}

// --- its end ---

void attempt_close(struct td_attempt *attempt, uint16_t status, uint16_t cause)
{
	struct td_call *call = attempt->call;
	struct td_cdr_side stats = { 0 };

	if (attempt->closed)
		return;
	attempt->closed = true;
	td_timer_stop(&call->engine->wheel, &attempt->timer);
	media_close(call->engine, &attempt->b, &stats);
	call->engine->calls->b_stats = stats;
	call->engine->calls->b_stats_of = call->sequence;
	trunk_ref_release(call->engine, &attempt->b.trunk);
	attempt_forks_free(call->engine, attempt);
	call_cdr_attempt(attempt, status, cause);
}

void attempt_found(struct td_attempt *attempt, bool heard)
{
	if (!attempt->heard && !attempt->contact && attempt_running(attempt))
		trunk_ref_found(attempt->engine, &attempt->b.trunk, &attempt->b.dialog.flow.remote,
			heard);
}

void attempt_over(struct td_attempt *attempt, uint16_t status, uint16_t cause)
{
	attempt->state = ATTEMPT_OVER;
	attempt_close(attempt, status, cause);
	attempt_leave(attempt->engine, attempt);
}

void attempt_give_up(
	struct td_attempt *attempt, uint16_t status, uint16_t cause, struct td_span reason)
{
	struct td_engine *engine = attempt->call->engine;

	if (!attempt_running(attempt))
		return;
	if (attempt->ctx) {
		td_ctx_cancel(engine, attempt->ctx, reason);
		if (!attempt->heard)
			td_ctx_abandon(engine, attempt->ctx);
	}
	attempt_over(attempt, status, cause);
}

// 6xx decides for everybody, then what is nearest to the callee: 4xx, 5xx; a time-out and 503 say
// least (§16.7).
static unsigned status_rank(uint16_t status)
{
	if (status >= 600)
		return 0;
	if (status == 0)
		return 9;
	if (status == 408)
		return 2;
	if (status == 503)
		return 4;
	return status >= 400 && status < 500 ? 1 : 3;
}

static bool code_listed(const uint16_t *codes, unsigned n, uint16_t status)
{
	for (unsigned i = 0; i < n; i++)
		if (codes[i] == status)
			return true;
	return false;
}

// What leads on from a trunk's peer anyway: that it cannot, or that a provider does not know us,
// which says nothing of the callee; and what the trunk says.
static bool trunk_leads_on(struct td_attempt *attempt, uint16_t status)
{
	const struct td_trunk *trunk = trunk_ref_find(attempt->engine, &attempt->b.trunk);

	if (status == 401 || status == 407 || status == 408 || status >= 500)
		return true;
	return trunk &&
	       code_listed(trunk->conf.failover_codes, trunk->conf.n_failover_codes, status);
}

static bool failover_allowed(struct td_attempt *attempt, uint16_t status)
{
	const struct td_call *call = attempt->call;

	if (status >= 600 || call->next_target >= call->n_targets)
		return false;
	// The contacts of an AoR are one callee: those of a lower q are asked whatever the others
	// said, and nobody instead of it unless a rule says so.
	if (attempt->contact && call->targets[call->next_target].kind == TARGET_CONTACT)
		return true;
	const struct td_failover_conf *rule = target_rule(call, &call->targets[attempt->target]);
	if (status == 486)
		return false;
	if (rule && (code_listed(rule->codes, rule->n_codes, status) ||
			    rule->classes >> status / 100 & 1))
		return true;
	return !attempt->contact && trunk_leads_on(attempt, status);
}

static bool call_trying(const struct td_call *call)
{
	for (const struct td_attempt *attempt = call->attempts; attempt; attempt = attempt->next)
		if (attempt_running(attempt))
			return true;
	return false;
}

// Where the flow to a phone has failed and not the phone, it is tried over the next one of its
// flows, whoever else rings meanwhile (RFC 5626 §5.3). Silence may be either; with any other answer
// the phone has spoken.
static bool attempt_replaced(
	struct td_attempt *attempt, uint16_t status, const struct td_msg *msg)
{
	struct td_call *call = attempt->call;
	struct td_calls *calls = call->engine->calls;
	bool lost = status == 430 || status == 408 || (status == 503 && !msg);

	if (!lost || !attempt->contact || call->state >= CALL_ANSWERED)
		return false;
	struct td_call_target *target = &call->targets[attempt->target];
	while (contact_next_flow(call, target)) {
		if (call_invite_reload(call) != 0)
			return false;
		if (attempt_start(call, target, &calls->invite_msg, &calls->invite_core) != 0)
			continue;
		td_engine_count(call->engine, TD_C_CALL_FLOW_FAILED);
		return true;
	}
	return false;
}

void attempt_failed(
	struct td_attempt *attempt, uint16_t status, uint16_t cause, const struct td_msg *msg)
{
	struct td_call *call = attempt->call;

	if (attempt_replaced(attempt, status, msg))
		return;
	uint16_t shown = status_for_other(status);
	bool best = status_rank(shown) <= status_rank(call->best_status);
	struct td_writer headers = { 0 };

	if (best) {
		call->best_status = shown;
		call->best_cause = cause;
	}
	if (status >= 600) // whoever else rings is not wanted any more (§16.7)
		call_attempts_end(call, (struct td_span){ 0 });
	if (call->state >= CALL_ANSWERED || call_trying(call))
		return;
	if (failover_allowed(attempt, status)) {
		td_engine_count(call->engine, TD_C_CALL_FAILOVER);
		call_next_target(call, NULL, NULL);
		return;
	}
	if (best && msg)
		headers = call_relayed(call, &attempt->b, &call->a, msg);
	call_fail(call, msg ? TD_RELEASED_B : TD_RELEASED_SWITCH, call->best_status,
		call->best_cause, call_written(&headers));
}

// --- what its transaction says ---

static void attempt_refused(struct td_attempt *attempt, const struct td_msg *msg)
{
	uint16_t reason = td_cause_of_reason(msg);
	uint16_t cause = reason ? reason : td_cause_of_status(msg->status);

	attempt_over(attempt, msg->status, cause);
	attempt_failed(attempt, msg->status, cause, msg);
}

static void ctx_response(struct td_engine *engine, struct td_ctx *ctx, const struct td_msg *msg,
	const struct td_core *core, const struct td_flow *flow)
{
	struct td_attempt *attempt = td_ctx_data(ctx);
	struct td_call *call = attempt->call;

	attempt_found(attempt, true);
	attempt->heard = true;
	if (msg->status < 200)
		attempt_provisional(attempt, msg, core);
	else if (msg->status < 300)
		attempt_answered(attempt, msg, core);
	else
		attempt_refused(attempt, msg);
	call_settle(call);
}

static void ctx_timeout(struct td_engine *engine, struct td_ctx *ctx, bool transport_error)
{
	struct td_attempt *attempt = td_ctx_data(ctx);
	struct td_call *call = attempt->call;
	uint16_t status = transport_error ? 503 : 408;
	uint16_t cause = transport_error ? CAUSE_NETWORK_FAILURE : CAUSE_TIMER;

	if (!transport_error)
		attempt_found(attempt, false);
	attempt_over(attempt, status, cause); // after Timer B a 2xx may still come
	attempt_failed(attempt, status, cause, NULL);
	call_settle(call);
}

static void ctx_ended(struct td_engine *engine, struct td_ctx *ctx)
{
	struct td_attempt *attempt = td_ctx_data(ctx);

	attempt->ctx = NULL;
	call_text_free(engine, &attempt->ack.body);
}

static const struct td_trunk *ctx_trunk(struct td_engine *engine, struct td_ctx *ctx)
{
	struct td_attempt *attempt = td_ctx_data(ctx);

	return trunk_ref_challenged(engine, &attempt->b.trunk);
}

static uint32_t ctx_next_cseq(struct td_engine *engine, struct td_ctx *ctx)
{
	struct td_attempt *attempt = td_ctx_data(ctx);

	return ++attempt->b.dialog.local_cseq;
}

static void ctx_moved(struct td_engine *engine, struct td_ctx *ctx, struct td_ctx *fresh)
{
	struct td_attempt *attempt = td_ctx_data(fresh);

	attempt->ctx = fresh;
	attempt->ack.cseq = td_ctx_cseq(fresh);
}

const struct td_ctx_user attempt_user = {
	.response = ctx_response,
	.timeout = ctx_timeout,
	.ended = ctx_ended,
	.trunk = ctx_trunk,
	.next_cseq = ctx_next_cseq,
	.moved = ctx_moved,
};
