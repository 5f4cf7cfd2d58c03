// SPDX-License-Identifier: BSD-3-Clause
// What others ask of all calls: the operator's list and hang-up, the end of draining, late answers,
// silent legs.
#include "sip/call_priv.h"

#include <errno.h>

static struct td_call *call_at(struct td_engine *engine, uint32_t slot)
{
	return call_find(engine, slot, engine->calls->pool.generations[slot]);
}

uint32_t td_engine_calls(const struct td_engine *engine)
{
	return engine->calls->active;
}

uint32_t td_engine_held(const struct td_engine *engine)
{
	return td_pool_used(&engine->calls->pool);
}

uint32_t td_engine_legs(const struct td_engine *engine)
{
	return engine->calls->legs;
}

void td_engine_answer(
	struct td_engine *engine, uint64_t now_ns, const struct td_late_answer *answer)
{
	struct td_call *call = call_of_cookie(engine, answer->cookie);

	engine->now_ns = now_ns;
	if (answer->cookie & TD_REGISTER_COOKIE) {
		td_register_answered(engine, answer);
		return;
	}
	if (!call || !(answer->located ? call->locating != LOCATE_NONE
				       : call->state == CALL_ROUTING))
		return;
	const struct td_msg *msg = &engine->calls->invite_msg;
	const struct td_core *core = &engine->calls->invite_core;
	if (call_invite_reload(call) != 0)
		call_fail(call, TD_RELEASED_SWITCH, 500, CAUSE_PROTOCOL, (struct td_span){ 0 });
	else if (answer->located)
		call_located(call, answer->located, answer->answer, msg, core);
	else
		call_routed(call, &answer->route, answer->answer, msg, core);
	call_settle(call);
}

void td_engine_media_timeout(struct td_engine *engine, uint64_t now_ns, uint64_t cookie)
{
	struct td_call *call = call_of_cookie(engine, cookie);

	engine->now_ns = now_ns;
	if (!call || call->state != CALL_ANSWERED)
		return;
	td_engine_count(engine, TD_C_CALL_MEDIA_TIMEOUT);
	call_hangup(call, 200, CAUSE_TIMER);
	call_settle(call);
}

// The number behind the last '-' of a call's id: texts are compared for that call alone.
static uint64_t id_sequence(struct td_span id)
{
	uint64_t sequence = 0;

	for (uint32_t i = 0; i < id.len; i++)
		sequence = id.ptr[i] >= '0' && id.ptr[i] <= '9'
				   ? 10 * sequence + (uint64_t)(id.ptr[i] - '0')
				   : 0;
	return sequence;
}

int td_engine_hangup(struct td_engine *engine, uint64_t now_ns, struct td_span id)
{
	uint64_t sequence = id_sequence(id);
	char text[TD_CDR_ID_LEN];

	engine->now_ns = now_ns;
	for (uint32_t slot = 0; slot < engine->calls->pool.capacity; slot++) {
		struct td_call *call = call_at(engine, slot);
		if (!call || call->state == CALL_ENDING || call->sequence != sequence ||
			!td_span_eq(id, td_span(text, call_id_text(engine, call->sequence, text))))
			continue;
		call_hangup(call, 480, CAUSE_NORMAL);
		call_settle(call);
		return 0;
	}
	return -ENOENT;
}

uint32_t td_engine_hangup_all(struct td_engine *engine, uint64_t now_ns, uint32_t max)
{
	struct td_calls *calls = engine->calls;
	uint32_t capacity = calls->pool.capacity;

	engine->now_ns = now_ns;
	for (uint32_t seen = 0; seen < capacity && max > 0 && calls->active > 0; seen++) {
		struct td_call *call = call_at(engine, calls->hangup_cursor++ % capacity);
		if (!call || call->state == CALL_ENDING)
			continue;
		call_hangup(call, 503, CAUSE_NORMAL);
		call_settle(call);
		max--;
	}
	return calls->active;
}

static void view_legs(
	struct td_engine *engine, const struct td_side *side, char name, struct td_call_view *view)
{
	for (unsigned i = 0; side->media && i < side->media->n_streams; i++) {
		const struct td_media_leg *leg = &side->media->legs[i];
		if (leg->id == 0)
			continue;
		struct td_call_leg_view *out = &view->legs[view->n_legs++];
		out->leg = leg->id;
		out->side = name;
		out->local = leg->rtp;
		engine->conf.ops->leg_stats(engine->conf.host, leg->id, &out->stats);
		out->remote = out->stats.remote.family ? out->stats.remote
						       : side->media->sdp.streams[i].rtp;
	}
}

static void view_fill(struct td_call *call, struct td_call_view *view)
{
	static const char *const states[] = {
		[CALL_ROUTING] = "routing",
		[CALL_CALLING] = "calling",
		[CALL_RINGING] = "ringing",
		[CALL_ANSWERED] = "answered",
		[CALL_ENDING] = "ending",
	};
	const struct td_attempt *attempt = call->answered ? call->answered : call->attempts;

	*view = (struct td_call_view){ .state = states[call->state] };
	call_id_text(call->engine, call->sequence, view->id);
	memcpy(view->trunk_in, call->a.trunk.name, sizeof(view->trunk_in));
	td_span_cstr(note_get(call, NOTE_FROM), view->from, sizeof(view->from));
	td_span_cstr(note_get(call, NOTE_TO), view->to, sizeof(view->to));
	memcpy(view->codec, call->codec, sizeof(view->codec));
	view->start_us = call->start_us;
	view->answer_us = call->answer_us;
	view_legs(call->engine, &call->a, 'a', view);
	if (!attempt)
		return;
	memcpy(view->trunk_out, attempt->b.trunk.name, sizeof(view->trunk_out));
	view_legs(call->engine, &attempt->b, 'b', view);
}

uint32_t td_engine_list(
	struct td_engine *engine, uint32_t *cursor, struct td_call_view *out, uint32_t max)
{
	uint32_t n = 0;

	for (; *cursor < engine->calls->pool.capacity && n < max; (*cursor)++) {
		struct td_call *call = call_at(engine, *cursor);
		if (call && call->state != CALL_ENDING)
			view_fill(call, &out[n++]);
	}
	return n;
}
