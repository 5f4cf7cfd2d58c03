// SPDX-License-Identifier: BSD-3-Clause
#include "control/events.h"

#include "control/control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const kind_names[TD_EVENT__COUNT] = {
#define X(id, name) [TD_EVENT_##id] = name,
	TD_EVENT_KINDS(X)
#undef X
};

// --- subscribers; on the loop ---

static void wanted_update(struct td_server *server)
{
	uint32_t kinds = 0;

	for (int i = 0; i < TD_CLIENTS_MAX; i++)
		if (server->clients[i].conn)
			kinds |= server->clients[i].subscription.kinds;
	atomic_store(&server->control->events.wanted, kinds);
}

static bool wants(const struct td_subscription *s, const struct td_event *event)
{
	if (!(s->kinds & 1u << event->kind))
		return false;
	if (event->kind != TD_EVENT_CALL || s->trunk[0] == '\0')
		return true;
	for (uint32_t i = 0; i < event->n_details; i++)
		if (strncmp(event->details[i].name, "trunk_", 6) == 0 &&
			strcmp(event->details[i].value, s->trunk) == 0)
			return true;
	return false;
}

static void event_send(struct td_client *client, struct td_event *event)
{
	struct td_subscription *s = &client->subscription;
	Tandem__Label labels[TD_EVENT_DETAILS], *rows[TD_EVENT_DETAILS];
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Event row = TANDEM__EVENT__INIT;

	for (uint32_t i = 0; i < event->n_details; i++) {
		tandem__label__init(&labels[i]);
		labels[i].name = event->details[i].name;
		labels[i].value = event->details[i].value;
		rows[i] = &labels[i];
	}
	frame.version = 1;
	frame.id = s->id;
	frame.body_case = TANDEM__FRAME__BODY_EVENT;
	frame.event = &row;
	row.time_us = event->time_us;
	row.kind = (char *)(uintptr_t)kind_names[event->kind];
	row.subject = event->subject;
	row.state = event->state;
	row.text = event->text;
	row.lost = s->lost;
	row.n_details = event->n_details;
	row.details = rows;
	s->lost = 0;
	td_conn_send(client->conn, &frame);
}

static void event_hand_out(struct td_events *events, struct td_event *event, uint64_t lost)
{
	for (int i = 0; i < TD_CLIENTS_MAX; i++) {
		struct td_client *client = &events->server->clients[i];
		if (!client->conn || client->subscription.kinds == 0)
			continue;
		client->subscription.lost += lost;
		if (client->conn->closing || !wants(&client->subscription, event))
			continue;
		if (client->conn->pipe.write_queue_size > TD_EVENT_WAITING_MAX)
			client->subscription.lost++;
		else
			event_send(client, event);
	}
}

static void on_wake(uv_async_t *wake)
{
	struct td_events *events = wake->data;

	for (int i = 0; i < TD_EVENTS_QUEUED; i++) {
		struct td_event event;
		uv_mutex_lock(&events->lock);
		bool any = events->n > 0;
		uint64_t lost = events->lost;
		events->lost = 0;
		if (any) {
			event = events->queue[events->first];
			events->first = (events->first + 1) % TD_EVENTS_QUEUED;
			events->n--;
		}
		uv_mutex_unlock(&events->lock);
		if (!any)
			return;
		event_hand_out(events, &event, lost);
	}
	uv_async_send(wake); // more came meanwhile: others have their turn first
}

// 0: a kind that there is not.
static uint32_t kinds_of(const Tandem__Subscribe *subscribe)
{
	uint32_t kinds = 0;

	for (size_t i = 0; i < subscribe->n_kinds; i++) {
		int k = 0;
		while (k < TD_EVENT__COUNT && strcmp(subscribe->kinds[i], kind_names[k]) != 0)
			k++;
		if (k == TD_EVENT__COUNT)
			return 0;
		kinds |= 1u << k;
	}
	// Ends of calls are many: only who asks gets them.
	return kinds ? kinds : (1u << TD_EVENT__COUNT) - 1 - (1u << TD_EVENT_CALL);
}

void td_events_subscribe(struct td_client *client, const Tandem__Frame *frame)
{
	struct td_subscription *s = &client->subscription;
	uint32_t kinds = kinds_of(frame->subscribe);

	if (kinds == 0) {
		td_conn_error(client->conn, frame->id, EINVAL,
			"kinds are trunk, alarm, call, policy, dataplane, audit and dns");
		return;
	}
	*s = (struct td_subscription){ .id = frame->id, .kinds = kinds };
	snprintf(s->trunk, sizeof(s->trunk), "%s", frame->subscribe->trunk);
	wanted_update(client->server);
	td_conn_done(client->conn, frame->id, 0, "subscribed");
}

void td_events_unsubscribe(struct td_client *client)
{
	client->subscription.kinds = 0;
	wanted_update(client->server);
}

// --- posting ---

bool td_events_wanted(const struct td_events *events, enum td_event_kind kind)
{
	return atomic_load(&events->wanted) & 1u << kind;
}

void td_events_post(struct td_events *events, const struct td_event *event)
{
	struct timespec now;

	if (!events->queue || !td_events_wanted(events, event->kind))
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	uv_mutex_lock(&events->lock);
	if (events->n == TD_EVENTS_QUEUED) {
		events->lost++;
	} else {
		struct td_event *to =
			&events->queue[(events->first + events->n++) % TD_EVENTS_QUEUED];
		*to = *event;
		if (to->time_us == 0)
			to->time_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	}
	uv_mutex_unlock(&events->lock);
	uv_async_send(&events->wake);
}

void td_event_detail(struct td_event *event, const char *name, const char *format, ...)
{
	va_list ap;

	if (event->n_details == TD_EVENT_DETAILS)
		return;
	struct td_event_detail *detail = &event->details[event->n_details++];
	snprintf(detail->name, sizeof(detail->name), "%s", name);
	va_start(ap, format);
	vsnprintf(detail->value, sizeof(detail->value), format, ap);
	va_end(ap);
}

void td_events_tell(struct td_events *events, enum td_event_kind kind, const char *subject,
	const char *state, const char *format, ...)
{
	struct td_event event = { .kind = kind };
	va_list ap;

	snprintf(event.subject, sizeof(event.subject), "%s", subject);
	snprintf(event.state, sizeof(event.state), "%s", state);
	va_start(ap, format);
	vsnprintf(event.text, sizeof(event.text), format, ap);
	va_end(ap);
	td_events_post(events, &event);
}

// --- life ---

int td_events_start(struct td_events *events, uv_loop_t *loop, struct td_server *server)
{
	events->server = server;
	events->queue = calloc(TD_EVENTS_QUEUED, sizeof(*events->queue));
	int rc = events->queue ? uv_mutex_init(&events->lock) : UV_ENOMEM;
	if (rc == 0)
		rc = uv_async_init(loop, &events->wake, on_wake);
	events->wake.data = events;
	return rc;
}

static void on_closed(uv_handle_t *handle)
{
	struct td_events *events = handle->data;

	uv_mutex_destroy(&events->lock);
	free(events->queue);
	events->queue = NULL;
}

void td_events_stop(struct td_events *events)
{
	atomic_store(&events->wanted, 0);
	uv_close((uv_handle_t *)&events->wake, on_closed);
}
