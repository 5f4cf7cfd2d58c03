// SPDX-License-Identifier: BSD-3-Clause
#include "control/journal_loop.h"

#include "control/control.h"
#include "control/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// Rows of one transaction: some ms of work, so that operators are served in between.
#define BATCH 500
#define SETTLE_MS 20 // lets a burst of appends become one transaction
#define IDLE_MS 1000
#define RETRY_MS 500

static void journal_run(struct td_control *control)
{
	struct td_journal_reader_stats before, after;

	td_journal_reader_stats(control->journal, &before);
	int n = td_journal_reader_run(control->journal, BATCH);
	td_journal_reader_stats(control->journal, &after);
	if (n < 0)
		td_log(TD_LOG_WARNING, "journal.failed", "error=\"%s\" store=\"%s\"", strerror(-n),
			td_store_error(control->store));
	if (after.incomplete != before.incomplete)
		td_log(TD_LOG_WARNING, "cdr.incomplete", "calls=%" PRIu64,
			after.incomplete - before.incomplete);
	if (after.unknown != before.unknown)
		td_log(TD_LOG_WARNING, "journal.unknown", "records=%" PRIu64,
			after.unknown - before.unknown);
	uint64_t next_ms = n == BATCH ? 0 : n < 0 ? RETRY_MS : IDLE_MS;
	uv_timer_set_repeat(&control->journal_timer, next_ms ? next_ms : 1);
	uv_timer_again(&control->journal_timer);
}

static void on_timer(uv_timer_t *timer)
{
	journal_run(timer->data);
}

static void on_change(uv_fs_event_t *watch, const char *name, int events, int status)
{
	struct td_control *control = watch->data;

	if (uv_timer_get_due_in(&control->journal_timer) <= SETTLE_MS)
		return;
	uv_timer_set_repeat(&control->journal_timer, SETTLE_MS);
	uv_timer_again(&control->journal_timer);
}

int td_journal_loop_start(struct td_control *control)
{
	char dir[TD_PATH_LEN];

	snprintf(dir, sizeof(dir), "%s/journal", control->conf->state_dir);
	uv_timer_init(&control->loop, &control->journal_timer);
	uv_fs_event_init(&control->loop, &control->journal_watch);
	control->journal_timer.data = control;
	control->journal_watch.data = control;
	int rc = uv_timer_start(&control->journal_timer, on_timer, 0, IDLE_MS);
	// Without inotify (its instances may be used up) the timer alone does it, a second later.
	int watched = uv_fs_event_start(&control->journal_watch, on_change, dir, 0);
	if (watched != 0)
		td_log(TD_LOG_WARNING, "journal.unwatched", "dir=%s error=\"%s\"", dir,
			uv_strerror(watched));
	return rc;
}

void td_journal_loop_stop(struct td_control *control)
{
	while (td_journal_reader_run(control->journal, BATCH) == BATCH)
		;
	uv_close((uv_handle_t *)&control->journal_timer, NULL);
	uv_close((uv_handle_t *)&control->journal_watch, NULL);
}
