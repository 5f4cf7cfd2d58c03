// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/drain.h"

#include "dataplane/command.h"
#include "dataplane/log.h"
#include "sip/policy.h"

#define SETTLE_NS 50000000ull   // until every worker has seen that we drain and said what it holds
#define HANGUP_NS 8000000000ull // for the answers to our BYEs

uint32_t td_drain_calls(const struct td_dataplane *dp)
{
	uint32_t calls = 0;

	for (uint16_t i = 0; i < dp->n_workers; i++)
		calls += atomic_load_explicit(&dp->workers[i]->live_calls, memory_order_relaxed);
	return calls;
}

// They, and those that ended but whose BYE nobody has answered yet: it may have to be sent again.
static uint32_t drain_held(const struct td_dataplane *dp)
{
	uint32_t calls = 0;

	for (uint16_t i = 0; i < dp->n_workers; i++)
		calls += atomic_load_explicit(&dp->workers[i]->held_calls, memory_order_relaxed);
	return calls;
}

static void draining_publish(struct td_drain *drain)
{
	atomic_store_explicit(&drain->dp->draining,
		drain->by_operator || drain->state != TD_DRAIN_OFF, memory_order_relaxed);
}

void td_drain_operator(struct td_drain *drain, bool on)
{
	drain->by_operator = on;
	draining_publish(drain);
	td_log(TD_LOG_INFO, on ? "drain.on" : "drain.off", "calls=%u", td_drain_calls(drain->dp));
}

static uint32_t drain_s(const struct td_dataplane *dp)
{
	const struct td_policy *policy = atomic_load_explicit(&dp->policy, memory_order_relaxed);

	return policy ? td_policy_limits(policy)->drain_s : dp->conf.drain_s;
}

void td_drain_end(struct td_drain *drain, uint64_t now_ns)
{
	if (drain->state != TD_DRAIN_OFF) {
		drain->state = TD_DRAIN_DONE;
		return;
	}
	drain->state = TD_DRAIN_WAITING;
	drain->since_ns = now_ns;
	drain->deadline_ns = now_ns + drain_s(drain->dp) * 1000000000ull;
	draining_publish(drain);
	td_log(TD_LOG_INFO, "drain.end", "calls=%u drain_s=%u", td_drain_calls(drain->dp),
		drain_s(drain->dp));
}

void td_drain_answered(struct td_drain *drain, uint16_t worker)
{
	drain->asked[worker] = false;
}

static void hang_up(struct td_drain *drain)
{
	for (uint16_t i = 0; i < drain->dp->n_workers; i++) {
		struct td_worker *w = drain->dp->workers[i];
		if (drain->asked[i] ||
			atomic_load_explicit(&w->live_calls, memory_order_relaxed) == 0)
			continue;
		struct td_command *c = td_command_next(w->commands);
		if (!c)
			continue;
		c->kind = TD_COMMAND_HANGUP_ALL;
		c->tag = TD_DRAIN_TAG;
		td_command_ask(w->commands);
		drain->asked[i] = true;
	}
}

bool td_drain_turn(struct td_drain *drain, uint64_t now_ns)
{
	bool empty = now_ns >= drain->since_ns + SETTLE_NS && drain_held(drain->dp) == 0;

	switch (drain->state) {
	case TD_DRAIN_OFF:
		return false;
	case TD_DRAIN_WAITING:
		if (empty)
			drain->state = TD_DRAIN_DONE;
		else if (now_ns >= drain->deadline_ns) {
			td_log(TD_LOG_INFO, "drain.hangup", "calls=%u", td_drain_calls(drain->dp));
			drain->state = TD_DRAIN_HANGING_UP;
			drain->deadline_ns = now_ns + HANGUP_NS;
		}
		break;
	case TD_DRAIN_HANGING_UP:
		hang_up(drain);
		if (empty || now_ns >= drain->deadline_ns)
			drain->state = TD_DRAIN_DONE;
		break;
	case TD_DRAIN_DONE:
		break;
	}
	return drain->state == TD_DRAIN_DONE;
}
