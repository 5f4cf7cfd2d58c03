// SPDX-License-Identifier: BSD-3-Clause
#include "control/provision.h"

#include "control/control.h"
#include "control/subscriber_edit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOT_THERE "%s is not there; subscriber list shows who is"

// --- a change ---

enum kind { ADD, SET, REMOVE, NUMBER_ADD, NUMBER_REMOVE };

struct change {
	struct td_store_job job;
	struct td_server *server;
	uint64_t serial, id;
	enum kind kind;
	bool replace;
	bool tried, unheard; // unheard: a try stored it that did not hear of it
	char note[240];      // what is odd about it, though it is done; empty: nothing
	char aor[TD_AOR_LEN], number[TD_NUMBER_LEN];
	struct td_subscriber_edit edit;          // ADD, SET
	struct td_subscriber before, subscriber; // before: SET; as it was, and as it becomes
	uint64_t generation;
};

static int say(struct change *change, int rc, const char *format, const char *what)
{
	snprintf(change->job.reason, sizeof(change->job.reason), format, what);
	return rc;
}

// What is there is read behind td_store_subscribers_begin(), so that two nodes that change
// different fields at once lose neither.
static int edit_run(struct change *change, struct td_store *store)
{
	struct td_subscriber *s = &change->subscriber, *before = &change->before;
	bool keeps = change->kind == SET || !td_subscriber_edit_password(&change->edit);
	int rc = keeps ? td_store_subscribers_begin(store) : 0;

	memset(before, 0, sizeof(*before));
	snprintf(before->aor, sizeof(before->aor), "%s", change->aor);
	if (rc == 0 && keeps)
		rc = td_store_subscriber_get(store, change->aor, before);
	if (rc == -ENOENT)
		return say(change, rc,
			change->kind == SET ? NOT_THERE
					    : "%s is not there, and a new one needs a password",
			change->aor);
	if (rc != 0)
		return rc;
	*s = *before;
	td_subscriber_edit_apply(&change->edit, s);
	return td_store_subscriber_put(store, s, change->replace, &change->generation,
		change->job.reason, sizeof(change->job.reason));
}

static int remove_run(struct change *change, struct td_store *store)
{
	int rc = td_store_subscriber_delete(store, change->aor, &change->generation);

	return rc == -ENOENT ? say(change, rc, NOT_THERE, change->aor) : rc;
}

static bool has_number(const struct td_subscriber *s, const char *number)
{
	for (uint8_t i = 0; i < s->n_numbers; i++)
		if (strcmp(s->numbers[i], number) == 0)
			return true;
	return false;
}

static int number_add_run(struct change *change, struct td_store *store)
{
	struct td_subscriber *s = &change->subscriber;
	int rc = td_store_subscribers_begin(store);

	if (rc == 0)
		rc = td_store_subscriber_get(store, change->aor, s);
	if (rc == -ENOENT)
		return say(change, rc, NOT_THERE, change->aor);
	if (rc != 0)
		return rc;
	if (s->n_numbers == TD_SUBSCRIBER_NUMBERS_MAX && !has_number(s, change->number))
		return say(change, -ENOSPC, "%s has as many numbers as one may have", change->aor);
	if (!has_number(s, change->number))
		snprintf(s->numbers[s->n_numbers++], TD_NUMBER_LEN, "%s", change->number);
	return td_store_subscriber_put(store, s, true, &change->generation, change->job.reason,
		sizeof(change->job.reason));
}

static int number_remove_run(struct change *change, struct td_store *store)
{
	struct td_subscriber *s = &change->subscriber;
	uint8_t kept = 0;
	int rc = td_store_subscribers_begin(store);

	if (rc == 0)
		rc = td_store_number_owner(store, change->number, change->aor);
	if (rc == -ENOENT)
		return say(change, rc, "number %s is nobody's; number list shows whose they are",
			change->number);
	if (rc == 0)
		rc = td_store_subscriber_get(store, change->aor, s);
	if (rc != 0)
		return rc;
	for (uint8_t i = 0; i < s->n_numbers; i++)
		if (strcmp(s->numbers[i], change->number) != 0)
			memmove(s->numbers[kept++], s->numbers[i], TD_NUMBER_LEN);
	s->n_numbers = kept;
	return td_store_subscriber_put(store, s, true, &change->generation, change->job.reason,
		sizeof(change->job.reason));
}

static int kind_run(struct change *change, struct td_store *store)
{
	switch (change->kind) {
	case ADD:
	case SET:
		return edit_run(change, store);
	case REMOVE:
		return remove_run(change, store);
	case NUMBER_ADD:
		return number_add_run(change, store);
	case NUMBER_REMOVE:
		return number_remove_run(change, store);
	}
	return -EINVAL;
}

static bool is_same(const struct td_subscriber *a, const struct td_subscriber *b)
{
	uint8_t one[TD_SUBSCRIBER_PACKED_MAX], other[TD_SUBSCRIBER_PACKED_MAX];
	size_t len = td_subscriber_pack(a, one);
	bool same = td_subscriber_pack(b, other) == len && memcmp(one, other, len) == 0;

	explicit_bzero(one, sizeof(one));
	explicit_bzero(other, sizeof(other));
	return same;
}

// Whether the store is as the change was to make it.
static bool is_stored(const struct change *change, struct td_store *store)
{
	struct td_subscriber now;
	char owner[TD_AOR_LEN];
	bool stored;

	td_store_rollback(store);
	if (change->kind == NUMBER_REMOVE)
		return td_store_number_owner(store, change->number, owner) == -ENOENT;
	int rc = td_store_subscriber_get(store, change->aor, &now);
	stored = change->kind == REMOVE ? rc == -ENOENT
					: rc == 0 && is_same(&now, &change->subscriber);
	explicit_bzero(&now, sizeof(now));
	return stored;
}

// A try whose store was lost may have stored it all the same: the next one is refused then, as if
// another had been faster.
static int change_run(struct td_store_job *job, struct td_store *store)
{
	struct change *change = (struct change *)job;
	int rc = kind_run(change, store);

	if (change->tried && (rc == -EEXIST || rc == -ENOENT) && is_stored(change, store)) {
		change->unheard = true;
		return 0;
	}
	change->tried |= rc != -EBUSY; // which is before anything is written
	return rc;
}

static void change_free(struct change *change)
{
	explicit_bzero(change, sizeof(*change));
	free(change);
}

static void on_told(void *user, const char *why_not)
{
	struct change *change = user;
	struct td_conn *conn = td_server_client(change->server, change->serial);
	char difference[TD_SUBSCRIBER_DIFFERENCE_LEN] = "";
	char text[sizeof(change->note) + sizeof(difference) + 160];

	if (change->kind == SET)
		td_subscriber_difference(&change->before, &change->subscriber, difference);
	snprintf(text, sizeof(text), "%s%s%s%s%s", why_not ? "stored; " : "done",
		why_not ? why_not : "", difference[0] ? "; " : "", difference, change->note);
	if (conn)
		td_conn_done(conn, change->id, 1, text);
	change_free(change);
}

static void change_done(struct td_store_job *job, int rc)
{
	struct change *change = (struct change *)job;
	struct td_sync *sync = &change->server->control->sync;
	struct td_conn *conn = td_server_client(change->server, change->serial);

	if (rc == 0 && change->unheard) { // nobody knows its generation: the log tells it
		on_told(change, "the data plane takes it later");
		return;
	}
	if (rc == 0) {
		const struct td_subscriber *s = change->kind == REMOVE ? NULL : &change->subscriber;
		td_sync_changed(sync, change->aor, s, change->generation, on_told, change);
		return;
	}
	if (conn)
		td_conn_error(conn, change->id, -rc, job->reason);
	change_free(change);
}

// --- requests ---

// --- notes ---

// Names that exist, for a note that one does not; what has no room is left out.
struct known {
	const char *wanted;
	bool found;
	char list[120];
};

static void known_add(struct known *known, const char *name)
{
	size_t at = strlen(known->list), room = sizeof(known->list) - at;

	known->found = known->found || strcmp(name, known->wanted) == 0;
	if (strlen(name) + 3 < room)
		snprintf(known->list + at, room, "%s%s", at > 0 ? ", " : "", name);
}

static const char *known_list(const struct known *known)
{
	return known->list[0] ? known->list : "none";
}

static void note(struct change *change, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void note(struct change *change, const char *format, ...)
{
	size_t at = strlen(change->note);
	va_list args;

	va_start(args, format);
	vsnprintf(change->note + at, sizeof(change->note) - at, format, args);
	va_end(args);
}

// The store may be shared with nodes that have other realms, so it is no fault.
static void domain_judge(struct change *change, const struct td_config *conf)
{
	struct known known = { .wanted = strrchr(change->aor, '@') + 1 };

	for (uint8_t r = 0; r < conf->n_realms; r++)
		for (uint8_t d = 0; d < conf->realms[r].registrar.n_domains; d++)
			known_add(&known, conf->realms[r].registrar.domains[d]);
	if (!known.found && known.list[0]) // where there is no registrar, td_sync_changed() says so
		note(change,
			"; but no registrar of this switch has that domain "
			"(realms.registrar.domains: %s): it cannot register here",
			known_list(&known));
}

// Nor is a plan that is loaded later, or at other nodes alone.
static void plan_judge(struct change *change, const struct td_plan_store *plans)
{
	struct known known = { .wanted = change->edit.to.plan };

	known_add(&known, TD_PLAN_DEFAULT);
	for (uint32_t i = 0; i < plans->n; i++)
		known_add(&known, plans->table[i].name);
	if (!known.found)
		note(change,
			"; but no dial plan of that name is loaded (there are: %s): the routes of "
			"the configuration alone lead its calls",
			known_list(&known));
}

static const char *aor_read(struct change *change, const char *aor)
{
	return td_aor_read(aor, change->aor) ? NULL : "expected an AoR such as 1001@example.com";
}

static const char *number_read(struct change *change, const char *number)
{
	return td_number_read(number, change->number) ? NULL
						      : "expected a number of at most 23 digits";
}

static const char *change_read(struct change *change, const Tandem__Frame *frame)
{
	const char *wrong;

	switch (frame->body_case) {
	case TANDEM__FRAME__BODY_SUBSCRIBER_ADD:
		change->kind = ADD;
		change->replace = frame->subscriber_add->replace;
		wrong = td_subscriber_edit_add(&change->edit, frame->subscriber_add);
		memcpy(change->aor, change->edit.to.aor, sizeof(change->aor));
		return wrong;
	case TANDEM__FRAME__BODY_SUBSCRIBER_SET:
		change->kind = SET;
		change->replace = true;
		wrong = td_subscriber_edit_set(&change->edit, frame->subscriber_set);
		memcpy(change->aor, change->edit.to.aor, sizeof(change->aor));
		return wrong;
	case TANDEM__FRAME__BODY_SUBSCRIBER_REMOVE:
		change->kind = REMOVE;
		return aor_read(change, frame->subscriber_remove->aor);
	case TANDEM__FRAME__BODY_NUMBER_ADD:
		change->kind = NUMBER_ADD;
		wrong = aor_read(change, frame->number_add->aor);
		return wrong ? wrong : number_read(change, frame->number_add->number);
	default:
		change->kind = NUMBER_REMOVE;
		return number_read(change, frame->number_remove->number);
	}
}

static bool is_change(const Tandem__Frame *frame)
{
	switch (frame->body_case) {
	case TANDEM__FRAME__BODY_SUBSCRIBER_ADD:
	case TANDEM__FRAME__BODY_SUBSCRIBER_SET:
	case TANDEM__FRAME__BODY_SUBSCRIBER_REMOVE:
	case TANDEM__FRAME__BODY_NUMBER_ADD:
	case TANDEM__FRAME__BODY_NUMBER_REMOVE:
		return true;
	default:
		return false;
	}
}

bool td_provision(struct td_client *client, const Tandem__Frame *frame)
{
	if (!is_change(frame))
		return false;
	struct change *change = calloc(1, sizeof(*change));
	const char *wrong = change ? change_read(change, frame) : "no memory";
	if (!wrong) {
		change->job.run = change_run;
		change->job.done = change_done;
		change->server = client->server;
		change->serial = client->serial;
		change->id = frame->id;
		if (change->kind == ADD)
			domain_judge(change, client->server->control->conf);
		if (td_subscriber_edit_plan(&change->edit))
			plan_judge(change, &client->server->control->plans);
		if (td_store_submit(&client->server->control->store, &change->job) == 0)
			return true;
		wrong = "too much is asked of the store";
	}
	td_conn_error(client->conn, frame->id, change ? EINVAL : ENOMEM, wrong);
	if (change)
		change_free(change);
	return true;
}
