// SPDX-License-Identifier: BSD-3-Clause
#include "control/destination.h"

#include "control/log.h"
#include "include/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SETTLE_MS 20 // lets a burst of appends become one transaction
#define IDLE_MS 1000 // without inotify the clock alone does it
#define RETRY_MIN_MS 250
#define RETRY_MAX_MS 5000
#define BUSY_PATIENCE 4 // times that somebody else may hold the database before it is told
#define STRANGER_MS 60000
#define REWINDS_MAX 3 // so soon after each other nobody restores backups: it is another switch
#define SLOW_MS 5000  // one batch lasts so long only where something is wrong

static const char slow_advice[] =
	"look at the disk or server that it is on; the journal keeps what is not stored yet";

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

// --- one thread ---

// Waits for news, for at most ms. false: it is to end.
static bool rest(struct td_destination *d, uint32_t ms, bool for_news)
{
	struct td_destinations *all = d->all;
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += (long)(ms % 1000) * 1000000;
	end.tv_sec += ms / 1000 + end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	atomic_store(&d->since_ms, 0);
	pthread_mutex_lock(&all->lock);
	uint32_t seen = d->news;
	while (!all->stop && !(for_news && all->news != seen) &&
		pthread_cond_timedwait(&all->wake, &all->lock, &end) == 0)
		;
	d->news = all->news;
	bool go_on = !all->stop;
	pthread_mutex_unlock(&all->lock);
	return go_on;
}

static void sink_set(struct td_destination *d, struct td_sink *sink)
{
	struct td_sink *before = d->sink;

	pthread_mutex_lock(&d->all->lock);
	d->sink = sink;
	pthread_mutex_unlock(&d->all->lock);
	if (before)
		before->ops->close(before);
}

// Removes what no destination needs any more.
static void journal_trim(struct td_destinations *all)
{
	uint64_t needed = UINT64_MAX;

	for (uint32_t i = 0; i < all->n; i++) {
		uint64_t sequence = atomic_load(&all->list[i].sequence);
		needed = sequence < needed ? sequence : needed;
	}
	td_journal_remove(all->dir, needed);
}

static void failure_tell(struct td_destination *d, int rc, const char *error)
{
	char name[32];

	d->failures++;
	if (rc == -EBUSY && d->failures < BUSY_PATIENCE)
		return;
	snprintf(name, sizeof(name), "%s.down", d->name);
	td_alarm_raise(d->all->alarms, TD_CRITICAL, name, d->shown, d->advice, "%s",
		error[0] ? error : strerror(-rc));
}

static void success_tell(struct td_destination *d)
{
	char name[32];

	if (d->failures == 0)
		return;
	d->failures = 0;
	snprintf(name, sizeof(name), "%s.down", d->name);
	td_alarm_clear(d->all->alarms, name, d->shown);
}

static void stranger_watch(struct td_destination *d, bool seen)
{
	char name[32];

	if (!seen && (d->stranger_ms == 0 || now_ms() - d->stranger_ms < STRANGER_MS))
		return;
	snprintf(name, sizeof(name), "%s.shared", d->name);
	d->stranger_ms = seen ? now_ms() : 0;
	if (seen)
		td_alarm_raise(d->all->alarms, TD_CRITICAL, name, d->shown,
			"give each switch that shares the database a node name of its own (node = "
			"\"…\" in tandem.conf) and restart the second one",
			"another tandem-control of the same node name stores there: after a "
			"restart records of one may be lost");
	else
		td_alarm_clear(d->all->alarms, name, d->shown);
}

// Whether the destination goes back and back again, as two switches would make it.
static bool rewinds_repeat(struct td_destination *d)
{
	uint64_t now = now_ms();

	if (now - d->rewind_ms >= STRANGER_MS)
		d->rewinds = 0;
	d->rewind_ms = now;
	return ++d->rewinds >= REWINDS_MAX;
}

static void stats_tell(struct td_destination *d, const struct td_journal_reader_stats *before)
{
	struct td_journal_reader_stats after;

	td_journal_reader_stats(d->reader, &after);
	if (after.incomplete != before->incomplete)
		td_log(TD_LOG_WARNING, "cdr.incomplete", "destination=%s calls=%" PRIu64, d->name,
			after.incomplete - before->incomplete);
	if (after.unknown != before->unknown)
		td_log(TD_LOG_WARNING, "journal.unknown", "destination=%s records=%" PRIu64,
			d->name, after.unknown - before->unknown);
	bool repeats = after.rewinds != before->rewinds && rewinds_repeat(d);
	stranger_watch(d, repeats || after.strangers != before->strangers);
	td_journal_reader_shared(d->reader, d->stranger_ms != 0);
	atomic_store(&d->records, after.records);
}

// One batch. Records applied, or negative errno.
static int batch_take(struct td_destination *d)
{
	struct td_journal_reader_stats before;
	char error[TD_DESTINATION_ERROR_LEN] = "";

	atomic_store(&d->since_ms, now_ms());
	if (!d->sink)
		sink_set(d, d->open(d->user, error, sizeof(error)));
	if (!d->sink) {
		failure_tell(d, -EIO, error);
		return -EIO;
	}
	td_journal_reader_stats(d->reader, &before);
	int n = td_journal_reader_run(d->reader, d->sink, TD_DESTINATION_BATCH);
	if (n < 0) {
		const char *unread = td_journal_reader_error(d->reader);
		failure_tell(d, n, unread[0] ? unread : d->sink->ops->error(d->sink));
		if (n != -EBUSY)
			sink_set(d, NULL);
		return n;
	}
	success_tell(d);
	stats_tell(d, &before);
	struct td_store_position position = td_journal_reader_position(d->reader);
	atomic_store(&d->offset, position.offset);
	atomic_store(&d->sequence, position.sequence);
	if (n > 0)
		journal_trim(d->all);
	if (n < TD_DESTINATION_BATCH)
		atomic_fetch_add(&d->passes, 1);
	return n;
}

static uint32_t retry_ms(const struct td_destination *d)
{
	uint32_t ms = RETRY_MIN_MS << (d->failures < 6 ? d->failures : 6);

	return ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
}

static void *thread_run(void *argument)
{
	struct td_destination *d = argument;
	bool go_on = true;
	int n = 0;

	while (go_on) {
		n = batch_take(d);
		if (n == TD_DESTINATION_BATCH)
			continue;
		go_on = n < 0 ? rest(d, retry_ms(d), false)
			      : rest(d, IDLE_MS, true) && rest(d, SETTLE_MS, false);
	}
	// The last words of the data plane, where it ended before us; from one that is down they
	// are read by the next tandem-control.
	while (n >= 0 && (n = batch_take(d)) == TD_DESTINATION_BATCH)
		;
	sink_set(d, NULL);
	atomic_store(&d->since_ms, 0);
	return NULL;
}

// --- all of them ---

void td_destinations_init(struct td_destinations *all, const char *dir, struct td_alarms *alarms)
{
	pthread_condattr_t attr;

	memset(all, 0, sizeof(*all));
	snprintf(all->dir, sizeof(all->dir), "%s", dir);
	all->alarms = alarms;
	pthread_mutex_init(&all->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&all->wake, &attr);
	pthread_condattr_destroy(&attr);
}

void td_destinations_add(struct td_destinations *all, const char *name, const char *shown,
	const char *advice, td_sink_open open, const void *user)
{
	struct td_destination *d = &all->list[all->n++];

	d->name = name;
	d->advice = advice;
	d->open = open;
	d->user = user;
	d->all = all;
	snprintf(d->shown, sizeof(d->shown), "%s", shown);
}

int td_destinations_start(struct td_destinations *all)
{
	for (uint32_t i = 0; i < all->n; i++) {
		struct td_destination *d = &all->list[i];
		d->reader = td_journal_reader_new(all->dir);
		if (!d->reader)
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < all->n; i++) {
		struct td_destination *d = &all->list[i];
		int rc = -pthread_create(&d->thread, NULL, thread_run, d);
		if (rc != 0)
			return rc;
		d->running = true;
	}
	return 0;
}

void td_destinations_wake(struct td_destinations *all)
{
	pthread_mutex_lock(&all->lock);
	all->news++;
	pthread_cond_broadcast(&all->wake);
	pthread_mutex_unlock(&all->lock);
}

static void slow_watch(struct td_destination *d)
{
	uint64_t since_ms = atomic_load(&d->since_ms), now = now_ms();
	char name[32];

	snprintf(name, sizeof(name), "%s.slow", d->name);
	if (since_ms != 0 && now > since_ms + SLOW_MS)
		td_alarm_raise(d->all->alarms, TD_WARNING, name, d->shown, slow_advice,
			"one batch of records has taken %" PRIu64 " s so far",
			(now - since_ms) / 1000);
	else
		td_alarm_clear(d->all->alarms, name, d->shown);
}

void td_destinations_watch(struct td_destinations *all)
{
	uint64_t bytes = td_journal_bytes(all->dir);

	for (uint32_t i = 0; i < all->n; i++)
		slow_watch(&all->list[i]);
	if (bytes > TD_JOURNAL_QUOTA_BYTES / 2)
		td_alarm_raise(all->alarms,
			bytes > TD_JOURNAL_QUOTA_BYTES / 10 * 9 ? TD_CRITICAL : TD_WARNING,
			"journal.fills", all->dir,
			"bring back the destination that is down: at the quota new calls get 503",
			"%" PRIu64 " of %llu MB wait to be stored", bytes >> 20,
			TD_JOURNAL_QUOTA_BYTES >> 20);
	else
		td_alarm_clear(all->alarms, "journal.fills", all->dir);
}

static void interrupt_all(struct td_destinations *all)
{
	pthread_mutex_lock(&all->lock);
	for (uint32_t i = 0; i < all->n; i++)
		if (all->list[i].sink)
			all->list[i].sink->ops->interrupt(all->list[i].sink);
	pthread_mutex_unlock(&all->lock);
}

static bool join_until(struct td_destination *d, uint64_t end_ms)
{
	uint64_t now = now_ms(), left = end_ms > now ? end_ms - now : 0;
	struct timespec end;

	if (!d->running)
		return true;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += (time_t)(left / 1000);
	if (pthread_timedjoin_np(d->thread, NULL, &end) != 0)
		return false;
	d->running = false;
	return true;
}

bool td_destinations_stop(struct td_destinations *all, uint32_t patience_ms)
{
	uint64_t end_ms = now_ms() + patience_ms;
	bool ended = true;

	pthread_mutex_lock(&all->lock);
	all->stop = true;
	pthread_cond_broadcast(&all->wake);
	pthread_mutex_unlock(&all->lock);
	for (uint32_t i = 0; i < all->n; i++)
		if (!join_until(&all->list[i], end_ms))
			interrupt_all(all);
	for (uint32_t i = 0; i < all->n; i++) {
		struct td_destination *d = &all->list[i];
		bool joined = join_until(d, now_ms() + 2000);
		if (joined) {
			td_journal_reader_free(d->reader);
			d->reader = NULL;
		} else {
			td_log(TD_LOG_ERROR, "destination.stuck", "name=%s at=\"%s\"", d->name,
				d->shown);
		}
		ended = ended && joined;
	}
	return ended;
}
