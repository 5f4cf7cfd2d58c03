// SPDX-License-Identifier: BSD-3-Clause
#include "control/trunks.h"

#include "control/control.h"
#include "control/log.h"
#include "control/reload.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 1000
#define SETTINGS_MAX 64 // lines of one change
#define LINE_MAX_BYTES 1024

// --- reading the whole list, on the store's thread ---

struct look {
	struct td_store_job job;
	struct td_trunks *trunks;
	struct td_trunk_list list; // generation: that of the list we have, then that of the store
	bool read, failed;
};

static void trunk_take(void *user, struct td_span name, struct td_span settings)
{
	struct look *look = user;

	look->failed |= !td_trunk_list_add(&look->list, name, settings);
}

// Before the rows: what changes after this makes another generation, and another look.
static int list_read(struct look *look, struct td_store *store)
{
	uint64_t have = look->list.generation, generation;
	int rc = td_store_trunks_generation(store, &generation);

	if (rc != 0 || generation == have)
		return rc;
	td_trunk_list_free(&look->list); // of the try before
	look->failed = false;
	rc = td_store_trunks(store, trunk_take, look);
	look->read = rc == 0 && !look->failed;
	look->list.generation = look->read ? generation : have;
	return rc == 0 && look->failed ? -ENOMEM : rc;
}

// --- into force ---

static bool same(const struct td_trunk_list *a, const struct td_trunk_list *b)
{
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (strcmp(a->trunks[i].name, b->trunks[i].name) != 0 ||
			strcmp(a->trunks[i].settings, b->trunks[i].settings) != 0)
			return false;
	return true;
}

static void list_put(struct td_trunks *trunks, struct look *look)
{
	if (!look->read)
		return;
	trunks->due |= !same(&trunks->list, &look->list);
	td_trunk_list_free(&trunks->list);
	trunks->list = look->list;
	look->list = (struct td_trunk_list){ 0 };
	td_log(TD_LOG_INFO, "trunks.read", "generation=%" PRIu64 " trunks=%u",
		trunks->list.generation, trunks->list.n);
}

void td_trunks_in_force(struct td_trunks *trunks)
{
	if (trunks->list.generation == 0)
		return;
	const char *state_dir = trunks->control->conf->state_dir;

	td_alarm_clear(&trunks->control->alarms, "trunks.refused", "store");
	if (trunks->due) // a newer one came meanwhile
		return;
	int rc = td_trunk_list_save(&trunks->list, state_dir);
	if (rc != 0)
		td_log(TD_LOG_WARNING, "trunks.not_saved", "state_dir=%s error=\"%s\"", state_dir,
			strerror(-rc));
}

// A list that does not fit this node's configuration is not tried again before one of them changes.
static void applied(struct td_trunks *trunks, int code, const char *text)
{
	struct td_alarms *alarms = &trunks->control->alarms;

	trunks->due |= code != 0 && code != -EINVAL;
	if (code == -EINVAL)
		td_alarm_raise(alarms, TD_WARNING, "trunks.refused", "store",
			"the trunks of the store do not fit this node's configuration file: make "
			"them fit (tandemctl trunk list, trunk set, trunk del), then tandemctl "
			"reload",
			"%.200s", text);
}

static void on_reloaded(void *user, int code, const char *text)
{
	applied(user, code, text);
}

static void look_done(struct td_store_job *job, int rc)
{
	struct look *look = (struct look *)job;

	look->trunks->asking = false;
	if (rc == 0)
		list_put(look->trunks, look);
	td_trunk_list_free(&look->list);
	free(look);
}

static int look_run(struct td_store_job *job, struct td_store *store)
{
	return list_read((struct look *)job, store);
}

static void on_timer(uv_timer_t *timer)
{
	struct td_trunks *trunks = timer->data;
	struct look *look;

	if (trunks->due && !trunks->control->reloading) {
		trunks->due = false; // a reload reads the list at once
		td_reload(trunks->control, false, on_reloaded, trunks);
	}
	if (trunks->asking || !(look = calloc(1, sizeof(*look))))
		return;
	look->job.run = look_run;
	look->job.done = look_done;
	look->trunks = trunks;
	look->list.generation = trunks->list.generation;
	trunks->asking = td_store_submit(&trunks->control->store, &look->job) == 0;
	if (!trunks->asking)
		free(look);
}

int td_trunks_read(struct td_trunks *trunks, const char *state_dir)
{
	int rc = td_trunk_list_load(&trunks->list, state_dir);

	return rc == -ENOENT ? 0 : rc;
}

void td_trunks_start(struct td_trunks *trunks, struct td_control *control)
{
	trunks->control = control;
	uv_timer_init(&control->loop, &trunks->timer);
	trunks->timer.data = trunks;
	uv_timer_start(&trunks->timer, on_timer, 0, LOOK_MS);
}

void td_trunks_stop(struct td_trunks *trunks)
{
	uv_close((uv_handle_t *)&trunks->timer, NULL);
}

void td_trunks_free(struct td_trunks *trunks)
{
	td_trunk_list_free(&trunks->list);
}

// --- one change ---

struct change {
	struct look look; // first: the job
	struct td_server *server;
	uint64_t serial, id;
	bool create, tried;
	char name[TD_NAME_LEN];
	char *settings; // NULL: the trunk goes
	char *before;   // what they were made from; NULL: it is new
};

static void change_end(struct change *change, int code, const char *text)
{
	struct td_conn *conn = td_server_client(change->server, change->serial);

	if (conn && code == 0)
		td_conn_done(conn, change->id, 1, text);
	else if (conn)
		td_conn_error(conn, change->id, -code, text);
	td_trunk_list_free(&change->look.list);
	free(change->settings);
	free(change->before);
	free(change);
}

// Whether it was stored by a try that did not hear of it, because the store was lost.
static bool is_stored(struct change *change, struct td_store *store)
{
	td_store_rollback(store);
	if (!change->tried || list_read(&change->look, store) != 0 || !change->look.read)
		return false;
	const struct td_stored_trunk *now = td_trunk_list_find(&change->look.list, change->name);
	return change->settings ? now && strcmp(now->settings, change->settings) == 0 : !now;
}

static int change_store(struct change *change, struct td_store *store)
{
	int rc = change->settings ? td_store_trunk_put(store, change->name, change->settings,
					    change->before)
				  : td_store_trunk_delete(store, change->name);
	bool refused = rc == -EEXIST || rc == -ENOENT || rc == -EINVAL;

	if (refused && is_stored(change, store))
		rc = 0;
	change->tried |= rc != -EBUSY; // which is before anything is written
	return rc;
}

static int change_run(struct td_store_job *job, struct td_store *store)
{
	struct change *change = (struct change *)job;
	int rc = change_store(change, store);

	if (rc == -EEXIST || rc == -ENOENT)
		snprintf(job->reason, sizeof(job->reason),
			"trunk %s is %s in the store; trunk list shows those that are",
			change->name, rc == -EEXIST ? "there already" : "not");
	else if (rc == -EINVAL)
		snprintf(job->reason, sizeof(job->reason),
			"somebody else changed trunk %s meanwhile: look at it, then try again",
			change->name);
	return rc ? rc : list_read(&change->look, store);
}

static void on_change_reloaded(void *user, int code, const char *text)
{
	struct change *change = user;
	char words[400];

	applied(change->look.trunks, code, text);
	snprintf(words, sizeof(words), "stored; not in force yet: %s", text);
	change_end(change, 0, code == 0 ? text : words);
}

static void change_done(struct td_store_job *job, int rc)
{
	struct change *change = (struct change *)job;
	struct td_trunks *trunks = change->look.trunks;

	if (rc != 0) {
		change_end(change, rc, job->reason);
		return;
	}
	list_put(trunks, &change->look);
	trunks->due = false;
	td_reload(trunks->control, false, on_change_reloaded, change);
}

// The list with the change in it, for a look at the whole configuration before anything is stored.
static bool list_with(const struct change *change, const struct td_trunk_list *now,
	struct td_trunk_list *out)
{
	bool good = true;

	for (uint32_t i = 0; good && i < now->n; i++)
		if (strcmp(now->trunks[i].name, change->name) != 0)
			good = td_trunk_list_add(out, td_span_str(now->trunks[i].name),
				td_span_str(now->trunks[i].settings));
	if (good && change->settings)
		good = td_trunk_list_add(
			out, td_span_str(change->name), td_span_str(change->settings));
	return good;
}

// NULL: right. Else what is wrong, to be freed.
static char *change_check(const struct change *change)
{
	struct td_control *control = change->server->control;
	struct td_trunk_list list = { 0 };
	struct td_faults faults = { 0 };
	struct td_config *conf = NULL;
	char *words = NULL;

	if (!list_with(change, &control->trunks.list, &list))
		words = strdup("no memory, or too many trunks");
	else if (td_config_load_stored(control->path, control->sets, control->n_sets, list.trunks,
			 list.n, &conf, &faults) != 0)
		words = td_faults_text(&faults);
	td_faults_free(&faults);
	td_config_free(conf);
	td_trunk_list_free(&list);
	return words;
}

static bool setting_fits(const char *line)
{
	size_t key = strspn(line, "abcdefghijklmnopqrstuvwxyz_0123456789");

	// A password is not kept where settings are.
	if (key == 0 || line[key] != '=' || strlen(line) > LINE_MAX_BYTES ||
		strncmp(line, "name=", 5) == 0 || strncmp(line, "auth=", 5) == 0 ||
		strncmp(line, "register=", 9) == 0)
		return false;
	for (const char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return false;
	return true;
}

static bool in_file(const struct td_control *control, const char *name)
{
	const struct td_policy_conf *policy = &control->conf->policy;

	for (uint32_t i = 0; i < policy->n_trunks; i++)
		if (strcmp(policy->trunks[i].name, name) == 0)
			return !td_trunk_list_find(&control->trunks.list, name);
	return false;
}

// NULL, or what is wrong.
static const char *put_read(struct change *change, const Tandem__TrunkPut *put)
{
	const struct td_trunk_list *list = &change->server->control->trunks.list;
	const struct td_stored_trunk *before = td_trunk_list_find(list, change->name);

	if (put->n_settings > SETTINGS_MAX)
		return "at most 64 settings";
	for (size_t i = 0; i < put->n_settings; i++)
		if (!setting_fits(put->settings[i]))
			return "expected KEY=VALUE with a key of a trunk (tandem.conf(5)), but "
			       "name, auth and register: an account belongs in the configuration "
			       "file";
	change->create = put->create;
	if (!put->create && !before)
		return "that trunk is not in the store; trunk list shows those that are";
	if (!put->create && !(change->before = strdup(before->settings)))
		return "no memory";
	change->settings = td_trunk_settings_merge(before && !put->create ? before->settings : "",
		put->settings, put->n_settings);
	return change->settings ? NULL : "no memory";
}

static const char *change_read(struct change *change, const Tandem__Frame *frame)
{
	bool put = frame->body_case == TANDEM__FRAME__BODY_TRUNK_PUT;
	const char *name = put ? frame->trunk_put->name : frame->trunk_remove->name;

	if (strlen(name) >= sizeof(change->name) || !name[0] ||
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") !=
			strlen(name))
		return "expected a name of 1 to 31 letters, digits, '-', '_' or '.'";
	snprintf(change->name, sizeof(change->name), "%s", name);
	if (in_file(change->server->control, name))
		return "that trunk is in the configuration file: change it there, then tandemctl "
		       "reload";
	return put ? put_read(change, frame->trunk_put) : NULL;
}

void td_trunks_request(struct td_client *client, const Tandem__Frame *frame)
{
	struct change *change = calloc(1, sizeof(*change));
	struct td_control *control = client->server->control;

	if (!change) {
		td_conn_error(client->conn, frame->id, ENOMEM, "no memory");
		return;
	}
	change->server = client->server;
	change->serial = client->serial;
	change->id = frame->id;
	change->look.trunks = &control->trunks;
	change->look.job.run = change_run;
	change->look.job.done = change_done;
	const char *wrong = change_read(change, frame);
	// What is not there, or is there already, is the store's to say.
	bool known = td_trunk_list_find(&control->trunks.list, change->name) != NULL;
	char *words = !wrong && (known || change->create) ? change_check(change) : NULL;
	if (wrong || words)
		change_end(change, -EINVAL, wrong ? wrong : words);
	else if (td_store_submit(&control->store, &change->look.job) != 0)
		change_end(change, -ENOBUFS, "too much is asked of the store");
	free(words);
}
