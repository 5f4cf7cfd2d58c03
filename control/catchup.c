// SPDX-License-Identifier: BSD-3-Clause
#include "control/catchup.h"

#include "control/control.h"
#include "control/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	char aor[TD_AOR_LEN];
	bool gone;
	struct td_subscriber subscriber; // where it is not gone
};

struct catchup {
	struct td_store_job job;
	struct td_sync *sync;
	uint64_t hellos;   // of the link when it began: another data plane has another table
	uint64_t from, to; // generations; thread, while the job is under way
	uint32_t n;        // entries; thread, while the job is under way
	uint32_t sent, in_flight;
	int error; // the first; 0: none
	struct entry list[TD_STORE_CHANGES_MAX];
};

static void change_add(void *user, const char *aor, const struct td_subscriber *s)
{
	struct catchup *c = user;
	struct entry *entry = &c->list[c->n++];

	memcpy(entry->aor, aor, sizeof(entry->aor));
	entry->gone = !s;
	if (s)
		entry->subscriber = *s;
}

static int log_run(struct td_store_job *job, struct td_store *store)
{
	struct catchup *c = (struct catchup *)job;

	c->n = 0;
	return td_store_subscriber_changes(store, c->from, change_add, c, &c->to);
}

static void catchup_end(struct catchup *c)
{
	td_sync_caught_up(c->sync, c->error);
	explicit_bzero(c->list, sizeof(c->list));
	free(c);
}

static void log_read(struct catchup *c)
{
	c->error = td_store_submit(&c->sync->control->store, &c->job);
	if (c->error != 0)
		catchup_end(c);
}

static void on_answer(void *user, const Tandem__Frame *frame, int error);

static void entry_send(struct catchup *c)
{
	const struct entry *entry = &c->list[c->sent++];
	int rc = td_sync_send(c->sync, entry->aor, entry->gone ? NULL : &entry->subscriber,
		c->sent == c->n ? c->to : 0, on_answer, c);

	if (rc == 0)
		c->in_flight++;
	else
		c->error = rc;
}

// The last one names the generation, and goes when the others have been taken: whatever happens
// meanwhile, a data plane that says it is of that generation has all of it.
static void page_go_on(struct catchup *c)
{
	if (c->hellos != c->sync->hellos && c->error == 0)
		c->error = -ECONNRESET;
	while (c->error == 0 && c->sent + 1 < c->n)
		entry_send(c);
	if (c->error == 0 && c->in_flight == 0 && c->sent < c->n)
		entry_send(c);
	if (c->in_flight > 0)
		return;
	if (c->error != 0 || c->to == c->from) {
		catchup_end(c);
		return;
	}
	td_sync_reached(c->sync, c->to);
	c->from = c->to;
	c->sent = 0;
	log_read(c);
}

static void on_answer(void *user, const Tandem__Frame *frame, int error)
{
	struct catchup *c = user;
	bool done = frame && frame->body_case == TANDEM__FRAME__BODY_DONE;

	c->in_flight--;
	if (!done && c->error == 0)
		c->error = frame ? -EBADMSG : error;
	page_go_on(c);
}

static void log_done(struct td_store_job *job, int rc)
{
	struct catchup *c = (struct catchup *)job;

	c->error = rc;
	if (rc != 0 && rc != -ESTALE && rc != -ECANCELED)
		td_log(TD_LOG_WARNING, "sync.failed", "table=subscribers reason=\"%s\"",
			job->reason);
	page_go_on(c);
}

int td_catchup_begin(struct td_sync *sync)
{
	struct catchup *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->job.run = log_run;
	c->job.done = log_done;
	c->sync = sync;
	c->hellos = sync->hellos;
	c->from = sync->sent;
	int rc = td_store_submit(&sync->control->store, &c->job);
	if (rc != 0)
		free(c);
	return rc;
}
