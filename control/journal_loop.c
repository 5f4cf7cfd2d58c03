// SPDX-License-Identifier: BSD-3-Clause
#include "control/journal_loop.h"

#include "control/control.h"
#include "control/log.h"
#include "control/sink_file.h"

#include <stdio.h>

#define WATCH_MS 1000
#define STOP_PATIENCE_MS 5000

static void on_timer(uv_timer_t *timer)
{
	struct td_control *control = timer->data;

	td_destinations_watch(&control->destinations);
}

static void on_change(uv_fs_event_t *watch, const char *name, int events, int status)
{
	struct td_control *control = watch->data;

	td_destinations_wake(&control->destinations);
}

// The store, by the configuration that control was started with.
static struct td_sink *store_open(const void *user, char *error, size_t cap)
{
	const struct td_config *conf = user;

	return td_sink_store_open(conf->store, conf->node, error, cap);
}

static struct td_sink *watch_open(const void *user, char *error, size_t cap)
{
	const struct td_control *control = user;
	struct td_sink *sink = td_sink_watch_open((struct td_events *)(uintptr_t)&control->events);

	if (!sink)
		snprintf(error, cap, "no memory");
	return sink;
}

static struct td_sink *csv_open(const void *user, char *error, size_t cap)
{
	const struct td_config *conf = user;
	char ledger[2 * TD_PATH_LEN];

	snprintf(ledger, sizeof(ledger), "sqlite:%s/cdr-csv.db", conf->state_dir);
	return td_sink_file_open(TD_FILE_CSV, &conf->cdr_csv, ledger, error, cap);
}

static struct td_sink *jsonl_open(const void *user, char *error, size_t cap)
{
	const struct td_config *conf = user;
	char ledger[2 * TD_PATH_LEN];

	snprintf(ledger, sizeof(ledger), "sqlite:%s/cdr-jsonl.db", conf->state_dir);
	return td_sink_file_open(TD_FILE_JSONL, &conf->cdr_jsonl, ledger, error, cap);
}

static void destinations_add(struct td_control *control)
{
	static const char sqlite_advice[] =
		"is there room (df -h), and may the user of tandem-control write the file and its "
		"folder? Calls go on, and the journal keeps what is not stored yet";
	static const char postgresql_advice[] =
		"does the server run, has it room, and does psql with this URL get in as the user "
		"of tandem-control? Calls go on, and the journal keeps what is not stored yet";
	static const char file_advice[] =
		"see to the disk and the folder's permissions; the journal keeps what is not "
		"written yet";
	const struct td_config *conf = control->conf;
	char dir[TD_PATH_LEN], shown[TD_STORE_URL_LEN];

	snprintf(dir, sizeof(dir), "%s/journal", conf->state_dir);
	td_destinations_init(&control->destinations, dir, &control->alarms);
	td_store_url_clean(conf->store, shown, sizeof(shown));
	td_destinations_add(&control->destinations, "store", shown,
		strncmp(shown, "sqlite:", 7) == 0 ? sqlite_advice : postgresql_advice, store_open,
		control->conf);
	if (conf->cdr_csv.path[0])
		td_destinations_add(&control->destinations, "csv", conf->cdr_csv.path, file_advice,
			csv_open, control->conf);
	if (conf->cdr_jsonl.path[0])
		td_destinations_add(&control->destinations, "jsonl", conf->cdr_jsonl.path,
			file_advice, jsonl_open, control->conf);
	td_destinations_add(&control->destinations, "watch", "", "", watch_open, control);
}

int td_journal_loop_start(struct td_control *control)
{
	destinations_add(control);
	uv_timer_init(&control->loop, &control->journal_timer);
	uv_fs_event_init(&control->loop, &control->journal_watch);
	control->journal_timer.data = control;
	control->journal_watch.data = control;
	int rc = uv_timer_start(&control->journal_timer, on_timer, WATCH_MS, WATCH_MS);
	// Without inotify (its instances may be used up) the destinations look by the clock.
	const char *dir = control->destinations.dir;
	int watched = uv_fs_event_start(&control->journal_watch, on_change, dir, 0);
	if (watched != 0)
		td_log(TD_LOG_WARNING, "journal.unwatched", "dir=%s error=\"%s\"", dir,
			uv_strerror(watched));
	return rc ? rc : td_destinations_start(&control->destinations);
}

void td_journal_loop_stop(struct td_control *control)
{
	if (!td_destinations_stop(&control->destinations, STOP_PATIENCE_MS))
		control->stuck = true;
	uv_close((uv_handle_t *)&control->journal_timer, NULL);
	uv_close((uv_handle_t *)&control->journal_watch, NULL);
}
