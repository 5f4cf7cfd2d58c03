// SPDX-License-Identifier: BSD-3-Clause
#include "control/sync.h"

#include "control/catchup.h"
#include "control/control.h"
#include "control/log.h"
#include "control/rows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOK_MS 250
#define RETRY_MS 3000
#define EXPIRE_MS 600000
#define EXPIRE_GRACE_S 60 // clocks of the data plane and ours may differ
#define PAGE 4000
#define FOLLOW_MAX 10000 // changes one by one; more take longer than the whole table
#define IN_FLIGHT_MAX 2  // pages that the data plane has not answered

static const char with_the_table[] = "the data plane takes it with the whole table";
static const char when_back[] = "the data plane takes it when it is back";
static const char some_time_later[] = "the data plane takes it later";

static const char plane_gone[] = "the data plane is gone";

enum what { SUBSCRIBERS, BINDINGS };

static const char *const what_words[] = { [SUBSCRIBERS] = "subscribers", [BINDINGS] = "bindings" };

// --- a whole table ---

struct push {
	struct td_store_job job;
	struct td_sync *sync;
	enum what what;
	uint64_t hellos; // of the link when it began
	uint64_t generation, began_ms, count;
	char after[TD_BINDING_KEY_LEN]; // thread, while a job is under way
	uint8_t *bytes;                 // thread, while a job is under way
	size_t len, cap;
	uint32_t n;
	bool first, last, failed;
	bool reading;
	int in_flight;
	char why[TD_STORE_REASON_LEN]; // it came to nothing
};

static void page_add(struct push *p, const uint8_t *entry, size_t len)
{
	if (p->len + len > p->cap) {
		size_t cap = 2 * (p->cap + len);
		uint8_t *larger = realloc(p->bytes, cap);
		if (!larger) {
			p->failed = true;
			return;
		}
		p->bytes = larger;
		p->cap = cap;
	}
	memcpy(p->bytes + p->len, entry, len);
	p->len += len;
}

static void subscriber_add(void *user, const struct td_subscriber *s)
{
	struct push *p = user;
	uint8_t entry[TD_SUBSCRIBER_PACKED_MAX];

	page_add(p, entry, td_subscriber_pack(s, entry));
	memcpy(p->after, s->aor, sizeof(s->aor));
	p->n++;
}

static void binding_add(void *user, const uint8_t *record, size_t len)
{
	struct push *p = user;

	page_add(p, record, len);
	p->n++;
}

static int push_run(struct td_store_job *job, struct td_store *store)
{
	struct push *p = (struct push *)job;
	char from[TD_BINDING_KEY_LEN];
	int rc = 0;

	p->len = 0;
	p->n = 0;
	memcpy(from, p->after, sizeof(from));
	// Before the rows: what changes after this makes another generation, and another push.
	if (p->what == SUBSCRIBERS && p->first)
		rc = td_store_generation(store, &p->generation);
	if (rc == 0 && p->what == SUBSCRIBERS)
		rc = td_store_subscribers(store, p->after, PAGE, subscriber_add, p);
	else if (rc == 0)
		rc = td_store_bindings(store, p->after, (uint64_t)time(NULL), PAGE, binding_add, p);
	if (rc == 0 && p->failed)
		rc = -ENOMEM;
	if (rc != 0)
		memcpy(p->after, from, sizeof(from));
	p->last = p->n < PAGE;
	return rc;
}

static void push_end(struct push *p)
{
	struct td_sync *sync = p->sync;
	uint64_t now_ms = uv_now(&sync->control->loop);

	sync->pushing[p->what] = false;
	if (p->why[0]) {
		td_log(TD_LOG_WARNING, "sync.failed", "table=%s reason=\"%s\"", what_words[p->what],
			p->why);
		if (p->hellos == sync->hellos)
			sync->retry_ms = now_ms + RETRY_MS;
	} else {
		td_log(TD_LOG_INFO, "sync.done",
			"table=%s rows=%" PRIu64 " generation=%" PRIu64 " ms=%" PRIu64,
			what_words[p->what], p->count, p->generation, now_ms - p->began_ms);
		if (p->what == SUBSCRIBERS) {
			sync->sent = p->generation;
			sync->filled = true;
		} else {
			sync->bindings_due = false;
		}
	}
	free(p->bytes);
	free(p);
}

static void push_fail(struct push *p, const char *why)
{
	if (!p->why[0])
		snprintf(p->why, sizeof(p->why), "%s", why);
}

// Both tables are read at the same time.
static struct td_store_worker *store_of(const struct push *p)
{
	struct td_control *control = p->sync->control;

	return p->what == BINDINGS ? &control->restore : &control->store;
}

// Reads on, or ends when everything was answered.
static void push_go_on(struct push *p)
{
	if (p->hellos != p->sync->hellos) // the next one has had no first page
		push_fail(p, plane_gone);
	bool over = p->why[0] || p->last;

	if (!over && !p->reading && p->in_flight < IN_FLIGHT_MAX) {
		if (td_store_submit(store_of(p), &p->job) == 0)
			p->reading = true;
		else
			push_fail(p, "the store is busy");
		over = p->why[0];
	}
	if (over && !p->reading && p->in_flight == 0)
		push_end(p);
}

static void on_page_answered(void *user, const Tandem__Frame *frame, int error)
{
	struct push *p = user;

	p->in_flight--;
	if (!frame)
		push_fail(p, strerror(-error));
	else if (frame->body_case == TANDEM__FRAME__BODY_ERROR)
		push_fail(p, frame->error->text);
	push_go_on(p);
}

static int page_send(struct push *p)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__SubscriberBulk subscribers = TANDEM__SUBSCRIBER_BULK__INIT;
	Tandem__BindingBulk bindings = TANDEM__BINDING_BULK__INIT;
	ProtobufCBinaryData bytes = { p->len, p->bytes };

	if (p->what == SUBSCRIBERS) {
		subscribers.generation = p->generation;
		subscribers.first = p->first;
		subscribers.last = p->last;
		subscribers.entries = bytes;
		frame.body_case = TANDEM__FRAME__BODY_SUBSCRIBER_BULK;
		frame.subscriber_bulk = &subscribers;
	} else {
		bindings.last = p->last;
		bindings.records = bytes;
		frame.body_case = TANDEM__FRAME__BODY_BINDING_BULK;
		frame.binding_bulk = &bindings;
	}
	p->first = false;
	p->count += p->n;
	return td_link_ask(&p->sync->control->link, &frame, on_page_answered, p);
}

static void push_read(struct td_store_job *job, int rc)
{
	struct push *p = (struct push *)job;

	p->reading = false;
	if (rc != 0)
		push_fail(p, job->reason);
	else if (p->hellos != p->sync->hellos)
		push_fail(p, plane_gone);
	if (!p->why[0] && page_send(p) == 0)
		p->in_flight++;
	else
		push_fail(p, plane_gone);
	push_go_on(p);
}

static void waiting_tell(struct td_sync *sync, uint64_t generation, const char *why_not);

static void push_begin(struct td_sync *sync, enum what what)
{
	struct push *p = calloc(1, sizeof(*p));

	if (!p)
		return;
	p->job.run = push_run;
	p->job.done = push_read;
	p->sync = sync;
	p->what = what;
	p->first = true;
	p->hellos = sync->hellos;
	p->began_ms = uv_now(&sync->control->loop);
	sync->pushing[what] = true;
	if (what == SUBSCRIBERS)
		waiting_tell(sync, UINT64_MAX, with_the_table);
	push_go_on(p);
}

// --- looking ---

struct look {
	struct td_store_job job;
	struct td_sync *sync;
	uint64_t generation, expire_s; // expire_s: bindings before it are removed; 0: not now
};

static int look_run(struct td_store_job *job, struct td_store *store)
{
	struct look *look = (struct look *)job;
	int rc = look->expire_s ? td_store_bindings_expire(store, look->expire_s) : 0;

	return rc ? rc : td_store_generation(store, &look->generation);
}

static bool ready(const struct td_sync *sync)
{
	return sync->control->link.connected && uv_now(&sync->control->loop) >= sync->retry_ms;
}

// Both ways to bring the data plane to the store's generation.
static void follow(struct td_sync *sync)
{
	if (sync->sent != 0 && sync->sent < sync->stored && sync->stored - sync->sent <= FOLLOW_MAX)
		sync->catching_up = td_catchup_begin(sync) == 0;
	else
		push_begin(sync, SUBSCRIBERS);
}

static bool busy(const struct td_sync *sync)
{
	return sync->changes > 0 || sync->pushing[SUBSCRIBERS] || sync->catching_up;
}

static void look_done(struct td_store_job *job, int rc)
{
	struct look *look = (struct look *)job;
	struct td_sync *sync = look->sync;

	sync->asking = false;
	if (rc == 0)
		sync->stored = look->generation;
	if (rc == 0 && ready(sync) && !busy(sync) && sync->stored != sync->sent)
		follow(sync);
	if (rc != 0 || sync->stored == sync->sent)
		waiting_tell(sync, UINT64_MAX, rc ? some_time_later : NULL);
	free(look);
}

static void look_begin(struct td_sync *sync)
{
	struct look *look = calloc(1, sizeof(*look));
	uint64_t now_ms = uv_now(&sync->control->loop);

	if (!look)
		return;
	look->job.run = look_run;
	look->job.done = look_done;
	look->sync = sync;
	if (now_ms >= sync->expire_ms) {
		look->expire_s = (uint64_t)time(NULL) - EXPIRE_GRACE_S;
		sync->expire_ms = now_ms + EXPIRE_MS;
	}
	sync->asking = td_store_submit(&sync->control->store, &look->job) == 0;
	if (!sync->asking)
		free(look);
}

static uint64_t passes(const struct td_sync *sync)
{
	return atomic_load(&sync->control->destinations.list[0].passes); // the store is the first
}

// What a predecessor left is in the segments before a data plane says Hello: a pass that began
// after that has taken it.
static bool predecessor_stored(struct td_sync *sync)
{
	if (passes(sync) >= sync->passes_due)
		return true;
	td_destinations_wake(&sync->control->destinations);
	return false;
}

static void on_timer(uv_timer_t *timer)
{
	struct td_sync *sync = timer->data;

	if (!sync->wanted)
		return;
	if (!sync->asking && !sync->pushing[SUBSCRIBERS] && !sync->catching_up)
		look_begin(sync);
	if (sync->bindings_due && !sync->pushing[BINDINGS] && ready(sync) &&
		predecessor_stored(sync))
		push_begin(sync, BINDINGS);
}

void td_sync_start(struct td_sync *sync, struct td_control *control)
{
	sync->control = control;
	for (uint8_t i = 0; i < control->conf->n_realms; i++)
		sync->wanted = sync->wanted || control->conf->realms[i].registrar.n_domains > 0;
	uv_timer_init(&control->loop, &sync->timer);
	sync->timer.data = sync;
	uv_timer_start(&sync->timer, on_timer, 0, LOOK_MS);
}

void td_sync_stop(struct td_sync *sync)
{
	uv_close((uv_handle_t *)&sync->timer, NULL);
}

void td_sync_hello(struct td_sync *sync, const Tandem__Hello *hello)
{
	sync->wanted = sync->wanted || hello->registrar;
	sync->hellos++;
	sync->sent = hello->subscriber_generation;
	sync->filled = sync->sent != 0;
	sync->bindings_due = !hello->bindings_restored;
	sync->passes_due = passes(sync) + 2; // one may be under way
	sync->retry_ms = 0;
}

void td_sync_lost(struct td_sync *sync)
{
	sync->sent = 0;
	sync->filled = false;
	sync->hellos++;
	waiting_tell(sync, UINT64_MAX, when_back);
}

static const char no_subscribers[] = "the data plane has not taken the subscribers yet";

const char *td_sync_lacking(const struct td_sync *sync)
{
	if (!sync->wanted)
		return NULL;
	if (!sync->filled)
		return no_subscribers;
	return sync->bindings_due ? "the data plane has not taken the registrations yet" : NULL;
}

const char *td_sync_missing(const struct td_sync *sync)
{
	if (!sync->wanted)
		return NULL;
	if (sync->stored == 0)
		return "the store cannot be read: see tandemctl alarms";
	return sync->stored != sync->sent ? no_subscribers : td_sync_lacking(sync);
}

// --- one change ---

struct td_sync_change {
	struct td_sync *sync;
	uint64_t generation;
	td_sync_told told;
	void *user;
	struct td_sync_change *next;
};

static void on_change_answered(void *user, const Tandem__Frame *frame, int error)
{
	struct td_sync_change *change = user;
	bool done = frame && frame->body_case == TANDEM__FRAME__BODY_DONE;

	change->sync->changes--;
	if (!done)
		change->sync->sent = 0; // the whole table again
	change->told(change->user, done ? NULL
				   : frame && frame->body_case == TANDEM__FRAME__BODY_ERROR
					   ? frame->error->text
					   : strerror(-error));
	free(change);
}

int td_sync_send(struct td_sync *sync, const char *aor, const struct td_subscriber *s,
	uint64_t generation, td_link_answer answer, void *user)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__SubscriberPut put = TANDEM__SUBSCRIBER_PUT__INIT;
	Tandem__SubscriberDelete gone = TANDEM__SUBSCRIBER_DELETE__INIT;
	Tandem__Subscriber subscriber;
	char *numbers[TD_SUBSCRIBER_NUMBERS_MAX];

	if (s) {
		td_subscriber_to_pb(s, &subscriber, numbers);
		put.subscriber = &subscriber;
		put.generation = generation;
		frame.body_case = TANDEM__FRAME__BODY_SUBSCRIBER_PUT;
		frame.subscriber_put = &put;
	} else {
		gone.aor = (char *)(uintptr_t)aor; // only read by the packer
		gone.generation = generation;
		frame.body_case = TANDEM__FRAME__BODY_SUBSCRIBER_DELETE;
		frame.subscriber_delete = &gone;
	}
	return td_link_ask(&sync->control->link, &frame, answer, user);
}

// Tells those that wait for that generation or one before it.
static void waiting_tell(struct td_sync *sync, uint64_t generation, const char *why_not)
{
	struct td_sync_change **at = &sync->waiting;

	while (*at) {
		struct td_sync_change *change = *at;
		if (change->generation > generation) {
			at = &change->next;
			continue;
		}
		*at = change->next;
		change->told(change->user, why_not);
		free(change);
	}
}

void td_sync_reached(struct td_sync *sync, uint64_t generation)
{
	td_log(TD_LOG_INFO, "sync.followed",
		"table=subscribers changes=%" PRIu64 " generation=%" PRIu64,
		generation - sync->sent, generation);
	sync->sent = generation;
	waiting_tell(sync, generation, NULL);
}

void td_sync_caught_up(struct td_sync *sync, int error)
{
	sync->catching_up = false;
	if (error == 0 || error == -ECONNRESET)
		return;
	if (error == -ESTALE || error == -EBADMSG)
		sync->sent = 0; // the whole table
	else
		sync->retry_ms = uv_now(&sync->control->loop) + RETRY_MS;
	waiting_tell(sync, UINT64_MAX, some_time_later);
}

// Whether it goes to the data plane at once: it has all that was before.
static bool change_fits(const struct td_sync *sync, uint64_t generation)
{
	return !sync->catching_up && sync->sent + 1 == generation;
}

static int change_send(
	struct td_sync_change *change, const char *aor, const struct td_subscriber *s)
{
	struct td_sync *sync = change->sync;
	int rc = td_sync_send(sync, aor, s, change->generation, on_change_answered, change);

	if (rc != 0)
		return rc;
	sync->changes++;
	sync->sent = change->generation;
	return 0;
}

// What another node changed before it goes to the data plane first, out of the log, and this with
// it.
static void change_wait(struct td_sync_change *change)
{
	struct td_sync *sync = change->sync;

	change->next = sync->waiting;
	sync->waiting = change;
	uv_timer_start(&sync->timer, on_timer, 0, LOOK_MS);
}

static const char *change_hindrance(const struct td_sync *sync)
{
	if (!sync->wanted)
		return "no realm of the switch has a registrar";
	if (!sync->control->link.connected)
		return when_back;
	if (!ready(sync))
		return some_time_later;
	return sync->pushing[SUBSCRIBERS] || sync->sent == 0 ? with_the_table : NULL;
}

void td_sync_changed(struct td_sync *sync, const char *aor, const struct td_subscriber *subscriber,
	uint64_t generation, td_sync_told told, void *user)
{
	const char *why_not = change_hindrance(sync);
	struct td_sync_change *change = why_not ? NULL : calloc(1, sizeof(*change));

	sync->stored = generation;
	if (!change) {
		told(user, why_not ? why_not : "no memory");
		return;
	}
	*change = (struct td_sync_change){
		.sync = sync, .generation = generation, .told = told, .user = user
	};
	if (!change_fits(sync, generation) || change_send(change, aor, subscriber) != 0)
		change_wait(change);
}
