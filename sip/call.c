// SPDX-License-Identifier: BSD-3-Clause
#include "sip/call_priv.h"

#include <errno.h>

static void *calls_alloc(struct td_engine *engine, size_t bytes)
{
	return engine->alloc.alloc(engine->alloc.ctx, bytes);
}

struct td_calls *td_calls_create(struct td_engine *engine, const struct td_engine_conf *conf)
{
	struct td_calls *calls = calls_alloc(engine, sizeof(*calls));

	if (!calls) {
		errno = ENOMEM;
		return NULL;
	}
	memset(calls, 0, sizeof(*calls));
	calls->engine = engine;
	calls->max_calls = conf->max_calls;
	calls->text_cap = conf->sip_message_bytes;
	calls->headers = calls_alloc(engine, 3 * (size_t)calls->text_cap);
	// Calls that have ended wait for the answer to their BYE in slots of their own, beside the
	// limit.
	uint32_t ending = conf->max_calls / 4 < conf->max_cps ? conf->max_calls / 4 : conf->max_cps;
	uint32_t slots = conf->max_calls + ending + 64;
	if (!calls->headers ||
		td_pool_init(&calls->pool, &engine->alloc, sizeof(struct td_call), slots,
			slots) != 0) {
		if (calls->headers)
			engine->alloc.free(engine->alloc.ctx, calls->headers);
		engine->alloc.free(engine->alloc.ctx, calls);
		errno = ENOMEM;
		return NULL;
	}
	calls->body = calls->headers + calls->text_cap;
	calls->lines = calls->body + calls->text_cap;
	call_id_prepare(calls, conf);
	return calls;
}

static void call_forget(struct td_call *call)
{
	media_close(call->engine, &call->a, NULL);
	for (struct td_attempt *attempt = call->attempts; attempt; attempt = attempt->next)
		media_close(call->engine, &attempt->b, NULL);
}

void td_calls_destroy(struct td_calls *calls)
{
	if (!calls)
		return;
	for (uint32_t slot = 0; slot < calls->pool.capacity; slot++) {
		struct td_call *call =
			call_find(calls->engine, slot, calls->pool.generations[slot]);
		if (call)
			call_forget(call);
	}
	const struct td_alloc *alloc = &calls->engine->alloc;
	td_pool_fini(&calls->pool, alloc);
	alloc->free(alloc->ctx, calls->headers);
	alloc->free(alloc->ctx, calls);
}

void td_calls_pool(const struct td_calls *calls, struct td_pool_view *out)
{
	*out = (struct td_pool_view){ "calls", td_pool_used(&calls->pool), calls->pool.capacity };
}

uint32_t td_calls_busy(const struct td_calls *calls)
{
	return td_pool_used(&calls->pool);
}

struct td_call *call_new(struct td_engine *engine)
{
	struct td_calls *calls = engine->calls;
	struct td_call *call = td_pool_get(&calls->pool);

	call->engine = engine;
	call->a.dialog.slot = td_pool_slot(&calls->pool, call);
	call->a.dialog.generation = td_pool_generation(&calls->pool, call);
	call->a.dialog.branch = TD_CALL_TAG_A;
	call->sequence = ++calls->sequence;
	call->start_us = td_engine_wall_us(engine);
	call->start_ms = (uint32_t)td_engine_now_ms(engine);
	td_count_add(&engine->traffic.offered, 1);
	calls->active++;
	td_engine_count(engine, TD_C_CALL_STARTED);
	return call;
}

struct td_call *call_find(struct td_engine *engine, uint32_t slot, uint32_t generation)
{
	return td_pool_find(&engine->calls->pool, slot, generation);
}

uint64_t call_cookie(const struct td_call *call)
{
	return (uint64_t)call->a.dialog.slot << 32 | call->a.dialog.generation;
}

struct td_call *call_of_cookie(struct td_engine *engine, uint64_t cookie)
{
	return call_find(engine, (uint32_t)(cookie >> 32), (uint32_t)cookie);
}

void call_text_free(struct td_engine *engine, struct td_span *text)
{
	td_slab_put(engine->slab, (char *)(uintptr_t)text->ptr);
	*text = (struct td_span){ 0 };
}

void call_setup_free(struct td_call *call)
{
	for (uint8_t i = 0; i < call->n_targets; i++)
		contact_free(call->engine, call->targets[i].contact);
	td_slab_put(call->engine->slab, (char *)call->targets);
	call->targets = NULL;
	call->n_targets = call->next_target = 0;
	td_slab_put(call->engine->slab, (char *)call->numbers);
	call->numbers = NULL;
	call_text_free(call->engine, &call->invite);
	for (struct td_attempt *attempt = call->attempts; attempt; attempt = attempt->next)
		attempt_forks_free(call->engine, attempt);
}

void call_attempts_end(struct td_call *call, struct td_span reason)
{
	for (struct td_attempt *attempt = call->attempts; attempt; attempt = attempt->next)
		attempt_give_up(attempt, 487, CAUSE_NORMAL, reason);
}

void call_end(struct td_call *call, enum td_released_by by, uint16_t status, uint16_t cause)
{
	struct td_cdr_side a = { 0 };

	if (call->state == CALL_ENDING)
		return;
	relay_abort(call);
	call_attempts_end(call, (struct td_span){ 0 });
	if (call->answered)
		attempt_close(call->answered, 200, cause);
	td_timer_stop(&call->engine->wheel, &call->timer);
	call->locating = LOCATE_NONE;
	media_close(call->engine, &call->a, &a);
	call_cdr_end(call, by, status, cause, &a);
	trunk_ref_release(call->engine, &call->a.trunk);
	caller_release(call);
	callee_release(call);
	call_limits_release(call);
	call_setup_free(call);
	call->state = CALL_ENDING;
	call->end_cause = cause;
	call->engine->calls->active--;
	td_engine_count(call->engine, TD_C_CALL_ENDED);
}

static void call_attempts_release(struct td_call *call)
{
	while (call->attempts) {
		struct td_attempt *attempt = call->attempts;
		call->attempts = attempt->next;
		attempt_free(call->engine, attempt);
	}
}

static void call_destroy(struct td_call *call)
{
	struct td_engine *engine = call->engine;

	while (call->relays)
		relay_drop(call->relays);
	if (call->stx)
		td_stx_set_user(call->stx, NULL, NULL);
	ack_wait_stop(call);
	td_timer_stop(&engine->wheel, &call->timer);
	call_attempts_release(call);
	call_text_free(engine, &call->privacy);
	td_slab_put(engine->slab, (char *)call->notes);
	td_slab_put(engine->slab, (char *)call->caller);
	dialog_free(engine, &call->a.dialog);
	td_pool_put(&engine->calls->pool, call);
}

void call_settle(struct td_call *call)
{
	if (call->state == CALL_ENDING && call->byes == 0 && !call->ack.waiting)
		call_destroy(call);
}
