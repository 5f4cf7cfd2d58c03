// SPDX-License-Identifier: BSD-3-Clause
// What happens, told to whoever subscribed on control.sock: trunks that change their state, alarms,
// ends of calls, changes of policy, the data plane coming and going, operators' changes.
//
// Any thread posts into a bounded queue; the loop hands out. A subscriber that does not read loses
// events, which are counted and told with the next one that it gets; nobody waits for it.
#pragma once

#include <tandem.pb-c.h>
#include <uv.h>

#include <stdatomic.h>
#include <stdbool.h>

#define TD_EVENTS_QUEUED 1024
#define TD_EVENT_DETAILS 10
#define TD_EVENT_WAITING_MAX (256u << 10) // bytes that a subscriber has not read yet

struct td_client;
struct td_server;

#define TD_EVENT_KINDS(X)                                                                          \
	X(TRUNK, "trunk")                                                                          \
	X(ALARM, "alarm")                                                                          \
	X(CALL, "call")                                                                            \
	X(POLICY, "policy")                                                                        \
	X(DATAPLANE, "dataplane")                                                                  \
	X(AUDIT, "audit")                                                                          \
	X(DNS, "dns")

#define X(id, name) TD_EVENT_##id,
enum td_event_kind { TD_EVENT_KINDS(X) TD_EVENT__COUNT };
#undef X

struct td_event_detail {
	char name[16], value[64];
};

struct td_event {
	uint64_t time_us; // wall clock
	enum td_event_kind kind;
	char subject[64], state[24], text[256];
	uint32_t n_details;
	struct td_event_detail details[TD_EVENT_DETAILS];
};

// Of a client; kinds 0: none.
struct td_subscription {
	uint64_t id;    // of its request
	uint32_t kinds; // 1 << enum td_event_kind
	char trunk[32]; // calls of this trunk alone; "": of all
	uint64_t lost;  // since the last one it got
};

struct td_events {
	uv_mutex_t lock; // of the queue
	uv_async_t wake;
	struct td_server *server;
	_Atomic uint32_t wanted; // kinds that somebody subscribed to
	uint32_t first, n;
	uint64_t lost; // queue full
	struct td_event *queue;
};

int td_events_start(
	struct td_events *events, uv_loop_t *loop, struct td_server *server); // libuv error
void td_events_stop(struct td_events *events);
// Is anybody interested? Saves making an event that nobody gets. Any thread.
bool td_events_wanted(const struct td_events *events, enum td_event_kind kind);
// Copies the event. time_us 0: now. Any thread, never waits.
void td_events_post(struct td_events *events, const struct td_event *event);
// The same from its parts, without details.
void td_events_tell(struct td_events *events, enum td_event_kind kind, const char *subject,
	const char *state, const char *format, ...) __attribute__((format(printf, 5, 6)));
void td_event_detail(struct td_event *event, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
// Answers the request; its events follow under its id.
void td_events_subscribe(struct td_client *client, const Tandem__Frame *frame);
void td_events_unsubscribe(struct td_client *client); // it left
