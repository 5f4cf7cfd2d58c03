// SPDX-License-Identifier: BSD-3-Clause
// Deadlines of calls and attempts. One timer of a call serves in turn for the host's answers, the
// set-up and the duration, since they never run together.
#include "sip/call_priv.h"

static void question_late(void *arg, struct td_timer *timer)
{
	struct td_call *call = call_of(timer, struct td_call, timer);

	call_fail(call, TD_RELEASED_SWITCH, 503, CAUSE_TIMER, TD_SPAN(TD_RETRY_AFTER_LINE));
	call_settle(call);
}

static void setup_late(void *arg, struct td_timer *timer)
{
	struct td_call *call = call_of(timer, struct td_call, timer);
	bool rang = call->state == CALL_RINGING;

	call_fail(call, TD_RELEASED_SWITCH, rang ? 480 : 408, rang ? CAUSE_NO_ANSWER : CAUSE_TIMER,
		(struct td_span){ 0 });
	call_settle(call);
}

static uint64_t lasted_ms(const struct td_call *call)
{
	return (call->engine->now_ns - call->answer_ns) / 1000000;
}

static void duration_next(struct td_call *call);

static void duration_over(void *arg, struct td_timer *timer)
{
	struct td_call *call = call_of(timer, struct td_call, timer);

	if (call->duration_s == 0 || lasted_ms(call) < (uint64_t)call->duration_s * 1000) {
		call_cdr_interim(call);
		duration_next(call);
		return;
	}
	call_hangup(call, 200, CAUSE_TIMER);
	call_settle(call);
}

static void attempt_late(void *arg, struct td_timer *timer)
{
	struct td_attempt *attempt = call_of(timer, struct td_attempt, timer);
	struct td_call *call = attempt->call;
	bool rang = attempt->state == ATTEMPT_RINGING;

	if (!attempt->hurried)
		attempt_found(attempt, false);
	attempt_give_up(attempt, rang ? 480 : 408, rang ? CAUSE_NO_ANSWER : CAUSE_TIMER,
		(struct td_span){ 0 });
	if (rang)
		attempt_failed(attempt, 480, CAUSE_NO_ANSWER, NULL);
	else
		attempt_failed(attempt, 408, CAUSE_TIMER, NULL);
	call_settle(call);
}

static void timer_start(struct td_engine *engine, struct td_timer *timer,
	void (*expired)(void *, struct td_timer *), uint64_t ms)
{
	td_timer_stop(&engine->wheel, timer);
	timer->expired = expired;
	td_timer_start(&engine->wheel, timer, td_engine_now_ms(engine) + ms);
}

void call_timer_question(struct td_call *call)
{
	timer_start(call->engine, &call->timer, question_late, CALL_QUESTION_WAIT_MS);
}

void call_timer_setup(struct td_call *call)
{
	const struct td_trunk *trunk = trunk_ref_find(call->engine, &call->a.trunk);
	uint32_t total_ms = trunk ? trunk->conf.ring_timeout_ms : 0;

	timer_start(
		call->engine, &call->timer, setup_late, total_ms > 0 ? total_ms : CALL_TIMER_C_MS);
}

// To the next interim record or the end, whichever comes first.
static void duration_next(struct td_call *call)
{
	uint64_t limit = (uint64_t)call->duration_s * 1000, lasted = lasted_ms(call);
	uint64_t ms = (uint64_t)call->engine->conf.interim_s * 1000;

	if (limit > 0 && (ms == 0 || limit - lasted < ms))
		ms = limit > lasted ? limit - lasted : 1;
	if (ms > 0)
		timer_start(call->engine, &call->timer, duration_over, ms);
	else
		td_timer_stop(&call->engine->wheel, &call->timer);
}

void call_timer_duration(struct td_call *call, uint32_t duration_s)
{
	call->duration_s = duration_s;
	duration_next(call);
}

void attempt_timer_start(struct td_attempt *attempt, uint32_t ms)
{
	if (ms > 0)
		timer_start(attempt->engine, &attempt->timer, attempt_late, ms);
	else
		td_timer_stop(&attempt->engine->wheel, &attempt->timer);
}
