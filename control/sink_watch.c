// SPDX-License-Identifier: BSD-3-Clause
// Ends of calls as events for whoever watches. Keeps no position: what ended before control began
// is told to nobody.
#include "control/sink.h"

#include "control/events.h"
#include "include/traffic.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct watch_sink {
	struct td_sink base;
	struct td_events *events;
	uint64_t began_us;
	bool placed;
	struct td_store_position position;
};

static struct watch_sink *watch_of(struct td_sink *sink)
{
	return (struct watch_sink *)sink;
}

static void watch_close(struct td_sink *sink)
{
	free(sink);
}

static int watch_position_get(struct td_sink *sink, struct td_store_position *out)
{
	*out = watch_of(sink)->position;
	return watch_of(sink)->placed ? 0 : -ENOENT;
}

static int nothing(struct td_sink *sink)
{
	return 0;
}

static int nothing_of_boot(struct td_sink *sink, uint32_t epoch, uint32_t *closed)
{
	*closed = 0;
	return 0;
}

static int nothing_of_call(struct td_sink *sink, uint32_t epoch, const struct td_cdr *cdr)
{
	return 0;
}

static int nothing_of_attempt(struct td_sink *sink, const struct td_cdr_attempt *attempt)
{
	return 0;
}

static int watch_end(struct td_sink *sink, const struct td_cdr *cdr)
{
	static const char *const sides[] = { "switch", "a", "b" };
	struct watch_sink *watch = watch_of(sink);
	struct td_event event = { .kind = TD_EVENT_CALL, .time_us = cdr->end_us };

	if (cdr->end_us < watch->began_us || !td_events_wanted(watch->events, TD_EVENT_CALL))
		return 0;
	snprintf(event.subject, sizeof(event.subject), "%s", cdr->id);
	snprintf(event.state, sizeof(event.state), "%s",
		td_call_result_name(td_call_result_of(cdr->answer_us != 0, cdr->sip_code)));
	snprintf(event.text, sizeof(event.text), "%s to %s, code %u, %" PRIu64 " ms",
		cdr->from_number, cdr->to_number, cdr->sip_code, cdr->duration_us / 1000);
	td_event_detail(&event, "from", "%s", cdr->from_number);
	td_event_detail(&event, "to", "%s", cdr->to_number);
	td_event_detail(&event, "trunk_in", "%s", cdr->trunk_in);
	td_event_detail(&event, "trunk_out", "%s", cdr->trunk_out);
	td_event_detail(&event, "code", "%u", cdr->sip_code);
	td_event_detail(&event, "cause", "%u", cdr->cause);
	td_event_detail(&event, "duration_ms", "%" PRIu64, cdr->duration_us / 1000);
	td_event_detail(&event, "released_by", "%s",
		cdr->released_by < 3 ? sides[cdr->released_by] : "switch");
	td_events_post(watch->events, &event);
	return 0;
}

static int watch_commit(struct td_sink *sink, const struct td_store_position *position)
{
	watch_of(sink)->position = *position;
	watch_of(sink)->placed = true;
	return 0;
}

static void watch_rollback(struct td_sink *sink)
{
}

static const char *watch_error(const struct td_sink *sink)
{
	return "";
}

static const struct td_sink_ops watch_ops = {
	.close = watch_close,
	.position_get = watch_position_get,
	.begin = nothing,
	.boot = nothing_of_boot,
	.start = nothing_of_call,
	.interim = nothing_of_call,
	.end = watch_end,
	.attempt = nothing_of_attempt,
	.gap = nothing,
	.commit = watch_commit,
	.rollback = watch_rollback,
	.error = watch_error,
	.interrupt = watch_rollback,
};

struct td_sink *td_sink_watch_open(struct td_events *events)
{
	struct watch_sink *sink = calloc(1, sizeof(*sink));
	struct timespec now;

	if (!sink)
		return NULL;
	clock_gettime(CLOCK_REALTIME, &now);
	sink->base.ops = &watch_ops;
	sink->events = events;
	sink->began_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	return &sink->base;
}
