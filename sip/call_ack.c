// SPDX-License-Identifier: BSD-3-Clause
// ACKs to 2xx: ours towards whoever answered us, and the wait for the one that is owed to us
// (§13.2.2.4, §13.3.1.4).
//
// A 2xx to an offer of ours is ACKed at once. With a delayed offer the ACK carries the answer and
// goes out when the other side's ACK brings it.
#include "sip/call_priv.h"

void ack_send(struct td_engine *engine, struct td_side *side, struct td_far_ack *ack)
{
	struct td_request request;

	dialog_request(engine, side, TD_M_ACK, &request);
	request.cseq = ack->cseq;
	request.body = ack->body;
	if (ack->body.len > 0)
		request.content_type = CALL_SDP_TYPE;
	td_send_once(engine, &request); // lost or not: the peer repeats its 2xx
	ack->sent = true;
}

void ack_wait_stop(struct td_call *call)
{
	struct td_ack_wait *wait = &call->ack;
	struct td_relay *relay = wait->relay;

	td_timer_stop(&call->engine->wheel, &wait->timer);
	if (wait->stx)
		td_stx_set_user(wait->stx, NULL, NULL);
	if (wait->stx && wait->stx == call->stx)
		call->stx = NULL;
	if (relay && relay->stx == wait->stx)
		relay->stx = NULL;
	*wait = (struct td_ack_wait){ 0 };
	if (relay)
		relay_settle(relay);
}

// The ACK never came: the session is ended (§13.3.1.4).
static void ack_lost(struct td_call *call)
{
	enum call_side_id side = call->ack.side;
	struct td_far_ack *far = call->ack.far;
	bool bye = call->ack.bye;

	if (far && !far->sent && call->state != CALL_ENDING)
		ack_send(call->engine, call_side(call, side_other(side)), far);
	ack_wait_stop(call);
	if (bye)
		call_bye_held(call, side);
	else
		call_hangup(call, 200, CAUSE_TIMER);
}

static void ack_repeat(void *arg, struct td_timer *timer)
{
	struct td_ack_wait *wait = call_of(timer, struct td_ack_wait, timer);
	struct td_call *call = call_of(wait, struct td_call, ack);
	struct td_engine *engine = call->engine;
	uint64_t now_ms = call_now_ms(call);

	if (now_ms >= wait->deadline_ms) {
		ack_lost(call);
		call_settle(call);
		return;
	}
	if (wait->stx)
		td_stx_resend(engine, wait->stx);
	wait->interval_ms = wait->interval_ms * 2 < engine->conf.t2_ms ? wait->interval_ms * 2
								       : engine->conf.t2_ms;
	uint64_t next = now_ms + wait->interval_ms;
	td_timer_start(&engine->wheel, timer, next < wait->deadline_ms ? next : wait->deadline_ms);
}

void ack_wait_start(struct td_call *call, enum call_side_id side, struct td_stx *stx, uint32_t cseq)
{
	struct td_engine *engine = call->engine;
	uint64_t now_ms = call_now_ms(call);

	call->ack = (struct td_ack_wait){
		.stx = stx,
		.deadline_ms = now_ms + 64 * (uint64_t)engine->conf.t1_ms,
		.interval_ms = engine->conf.t1_ms,
		.cseq = cseq,
		.side = (uint8_t)side,
		.waiting = true,
	};
	call->ack.timer.expired = ack_repeat;
	td_timer_start(&engine->wheel, &call->ack.timer, now_ms + engine->conf.t1_ms);
}

// The answer to a delayed offer, on its way to whoever offered. An ACK without one cannot be
// refused: the call ends.
static void ack_answer(struct td_call *call, enum call_side_id from, const struct td_msg *msg,
	const struct td_core *core, struct td_far_ack *far)
{
	struct td_engine *engine = call->engine;
	struct td_side *sender = call_side(call, from),
		       *offerer = call_side(call, side_other(from));
	struct td_writer body = call_writer(engine->calls, engine->calls->body);

	if (!core->sdp || media_receive(call, sender, core->sdp_body, false) != 0 ||
		media_send(call, sender, offerer, &body) != 0) {
		ack_send(engine, offerer, far);
		call_hangup(call, 200, CAUSE_PROTOCOL);
		return;
	}
	far->body = td_slab_dup(engine->slab, call_written(&body));
	ack_send(engine, offerer, far);
	memcpy(call->codec, sender->media->sdp.codec, sizeof(call->codec));
	media_connect(call, call->answered, true);
}

void call_ack(struct td_call *call, enum call_side_id from, const struct td_msg *msg,
	const struct td_core *core)
{
	struct td_ack_wait wait = call->ack;

	if (!wait.waiting || wait.side != from || wait.cseq != core->cseq.number) {
		td_engine_count(
			call->engine, wait.waiting ? TD_C_SIP_STRAY_ACK : TD_C_SIP_RETRANSMISSION);
		return;
	}
	if (wait.far && !wait.far->sent && call->state != CALL_ENDING) {
		// Over before the answer is passed on, so that a BYE of it goes out at once; the
		// relay outlives it.
		call->ack.waiting = false;
		ack_answer(call, from, msg, core, wait.far);
	}
	ack_wait_stop(call);
	if (wait.bye)
		call_bye_held(call, from);
}
