// SPDX-License-Identifier: BSD-3-Clause
#include "control/listing.h"

#include "control/control.h"
#include "control/rows.h"
#include "control/subscriber_edit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAGE 500
#define QUEUE_MAX (4u << 20) // bytes that wait for a client before it gets no more
#define QUEUE_LOOK_MS 20
#define CDRS_DEFAULT 20
#define CDRS_MAX 10000

struct listing {
	struct td_store_job job;
	uv_timer_t timer;
	struct td_server *server;
	uint64_t serial;
	const struct table *table;
	char key[TD_BINDING_KEY_LEN], find[TD_CDR_TEXT_LEN];
	uint32_t limit;
	char after[TD_BINDING_KEY_LEN]; // thread, while a job is under way
	struct td_rows rows;            // thread, while a job is under way
	bool last;                      // thread, while a job is under way
	uint64_t count;
};

// Reads the next page into l->rows. 0 or negative errno.
typedef int (*page_read)(struct listing *l, struct td_store *store);

struct table {
	Tandem__Table table;
	page_read page;
	bool key_is_aor; // and may be written as subscriber add takes it
};

// --- pages, on the store's thread ---

static void subscriber_add(void *user, const struct td_subscriber *s)
{
	struct listing *l = user;

	td_rows_subscriber(&l->rows, s);
	snprintf(l->after, sizeof(l->after), "%s", s->aor);
}

static int subscribers_page(struct listing *l, struct td_store *store)
{
	struct td_subscriber one;
	int rc;

	if (!l->key[0]) {
		rc = td_store_subscribers(store, l->after, PAGE, subscriber_add, l);
		l->last = l->rows.n < PAGE;
		return rc;
	}
	l->last = true;
	rc = td_store_subscriber_get(store, l->key, &one);
	if (rc == 0)
		td_rows_subscriber(&l->rows, &one);
	return rc == -ENOENT ? 0 : rc;
}

static void numbers_add(void *user, const struct td_subscriber *s)
{
	struct listing *l = user;

	for (uint8_t i = 0; i < s->n_numbers; i++)
		td_rows_number(&l->rows, s->numbers[i], s->aor);
	snprintf(l->after, sizeof(l->after), "%s", s->aor);
	l->last = false;
}

static int numbers_page(struct listing *l, struct td_store *store)
{
	l->last = true; // until one comes
	return td_store_subscribers(store, l->after, PAGE, numbers_add, l);
}

static void binding_add(void *user, const uint8_t *record, size_t len)
{
	struct listing *l = user;

	td_rows_registration(&l->rows, record, len, (uint64_t)time(NULL));
}

static int registrations_page(struct listing *l, struct td_store *store)
{
	uint64_t now_s = (uint64_t)time(NULL);
	char before[TD_BINDING_KEY_LEN];

	if (l->key[0]) {
		l->last = true;
		return td_store_bindings_of(store, l->key, now_s, binding_add, l);
	}
	memcpy(before, l->after, sizeof(before));
	int rc = td_store_bindings(store, l->after, now_s, PAGE, binding_add, l);
	l->last = strcmp(before, l->after) == 0;
	return rc;
}

static void trunk_add(void *user, struct td_span name, struct td_span settings)
{
	td_rows_stored_trunk(&((struct listing *)user)->rows, name, settings);
}

static int trunks_page(struct listing *l, struct td_store *store)
{
	l->last = true;
	return td_store_trunks(store, trunk_add, l);
}

struct cdr_one {
	struct td_cdr cdr;
	bool found;
	uint32_t n;
	struct td_cdr_attempt attempts[TD_ROWS_ATTEMPTS_MAX];
};

static void cdr_add(void *user, const struct td_cdr *cdr)
{
	td_rows_cdr(&((struct listing *)user)->rows, cdr, NULL, 0);
}

static void cdr_keep(void *user, const struct td_cdr *cdr)
{
	struct cdr_one *one = user;

	one->cdr = *cdr;
	one->found = true;
}

static void attempt_keep(void *user, const struct td_cdr_attempt *attempt)
{
	struct cdr_one *one = user;

	if (one->n < TD_ROWS_ATTEMPTS_MAX)
		one->attempts[one->n++] = *attempt;
}

// As it was written, as plain digits, and with a plus: records hold what the wire said, and an
// operator types what a letter says.
static int cdrs_find(struct listing *l, struct td_store *store, uint32_t limit)
{
	char number[1 + TD_NUMBER_LEN] = "+";
	int rc = td_store_cdr_find(store, l->find, limit, cdr_add, l);

	if (rc != 0 || l->rows.n > 0 || !td_number_read(l->find, number + 1))
		return rc;
	if (strcmp(l->find, number + 1) != 0)
		rc = td_store_cdr_find(store, number + 1, limit, cdr_add, l);
	if (rc == 0 && l->rows.n == 0)
		rc = td_store_cdr_find(store, number, limit, cdr_add, l);
	return rc;
}

static int cdrs_page(struct listing *l, struct td_store *store)
{
	struct cdr_one one = { .found = false };
	uint32_t limit = l->limit == 0 ? CDRS_DEFAULT : l->limit < CDRS_MAX ? l->limit : CDRS_MAX;

	l->last = true;
	if (l->find[0])
		return cdrs_find(l, store, limit);
	if (!l->key[0])
		return td_store_cdr_last(store, limit, cdr_add, l);
	int rc = td_store_cdr_show(store, l->key, cdr_keep, attempt_keep, &one);
	if (rc == 0 && one.found)
		td_rows_cdr(&l->rows, &one.cdr, one.attempts, one.n);
	return rc;
}

static const struct table tables[] = {
	{ TANDEM__TABLE__SUBSCRIBERS, subscribers_page, .key_is_aor = true },
	{ TANDEM__TABLE__NUMBERS, numbers_page },
	{ TANDEM__TABLE__REGISTRATIONS, registrations_page, .key_is_aor = true },
	{ TANDEM__TABLE__CDRS, cdrs_page },
	{ TANDEM__TABLE__STORED_TRUNKS, trunks_page },
};

static int listing_run(struct td_store_job *job, struct td_store *store)
{
	struct listing *l = (struct listing *)job;
	char before[sizeof(l->after)];

	memcpy(before, l->after, sizeof(before));
	td_rows_clear(&l->rows);
	int rc = l->table->page(l, store);
	if (rc == 0)
		return l->rows.failed ? -ENOMEM : 0;
	memcpy(l->after, before, sizeof(before)); // it may be tried again: from where it began
	return rc;
}

// --- the loop ---

static void on_timer_closed(uv_handle_t *timer)
{
	struct listing *l = timer->data;

	td_rows_free(&l->rows);
	free(l);
}

static void listing_end(struct listing *l)
{
	uv_close((uv_handle_t *)&l->timer, on_timer_closed);
}

static void next_page(struct listing *l)
{
	struct td_conn *conn = td_server_client(l->server, l->serial);
	int rc = conn ? td_store_submit(&l->server->control->store, &l->job) : -EPIPE;

	if (rc == -ENOBUFS)
		td_conn_error(conn, l->rows.id, ENOBUFS, "too much is asked of the store");
	if (rc != 0)
		listing_end(l);
}

static void on_timer(uv_timer_t *timer)
{
	struct listing *l = timer->data;
	struct td_conn *conn = td_server_client(l->server, l->serial);

	if (conn && conn->pipe.write_queue_size > QUEUE_MAX)
		uv_timer_start(timer, on_timer, QUEUE_LOOK_MS, 0);
	else
		next_page(l);
}

static void listing_done(struct td_store_job *job, int rc)
{
	struct listing *l = (struct listing *)job;
	struct td_conn *conn = td_server_client(l->server, l->serial);
	char text[TD_STORE_REASON_LEN + 32];

	l->count += l->rows.n;
	if (conn && rc == 0 && td_conn_write(conn, l->rows.bytes, l->rows.len) == 0 && !l->last) {
		on_timer(&l->timer);
		return;
	}
	snprintf(text, sizeof(text), "the store: %s", job->reason);
	if (conn && rc != 0)
		td_conn_error(conn, l->rows.id, -rc, text);
	else if (conn)
		td_conn_done(conn, l->rows.id, l->count, "");
	listing_end(l);
}

static void listing_begin(
	struct td_client *client, const Tandem__Frame *frame, const struct table *table)
{
	struct td_control *control = client->server->control;
	struct listing *l = calloc(1, sizeof(*l));

	if (!l) {
		td_conn_error(client->conn, frame->id, ENOMEM, "no memory");
		return;
	}
	l->job.run = listing_run;
	l->job.done = listing_done;
	l->server = client->server;
	l->serial = client->serial;
	l->table = table;
	l->rows.id = frame->id;
	l->limit = frame->show->limit;
	if (!table->key_is_aor || !td_aor_read(frame->show->key, l->key))
		snprintf(l->key, sizeof(l->key), "%s", frame->show->key);
	snprintf(l->find, sizeof(l->find), "%s", frame->show->find);
	uv_timer_init(&control->loop, &l->timer);
	l->timer.data = l;
	next_page(l);
}

// --- what control knows at once ---

static void alarms_show(struct td_client *client, const Tandem__Frame *frame)
{
	struct td_alarm list[TD_ALARMS_MAX];
	uint32_t n = td_alarms_copy(&client->server->control->alarms, list);
	struct td_rows rows = { .id = frame->id };

	for (uint32_t i = 0; i < n; i++)
		td_rows_alarm(&rows, &list[i]);
	if (td_conn_write(client->conn, rows.bytes, rows.len) == 0)
		td_conn_done(client->conn, frame->id, n, "");
	td_rows_free(&rows);
}

static void names_show(struct td_client *client, const Tandem__Frame *frame)
{
	const struct td_control *control = client->server->control;
	struct td_rows rows = { .id = frame->id };

	for (uint32_t i = 0; i < control->names.n; i++)
		if (control->names.list[i]->wanted)
			td_rows_dns_name(&rows, control->names.list[i], uv_now(&control->loop),
				&control->conf->policy);
	if (td_conn_write(client->conn, rows.bytes, rows.len) == 0)
		td_conn_done(client->conn, frame->id, rows.n, "");
	td_rows_free(&rows);
}

// Tables that are shown without asking the store.
static const struct {
	Tandem__Table table;
	void (*show)(struct td_client *client, const Tandem__Frame *frame);
} known[] = {
	{ TANDEM__TABLE__ALARMS, alarms_show },
	{ TANDEM__TABLE__DNS, names_show },
};

bool td_listing(struct td_client *client, const Tandem__Frame *frame)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].table == frame->show->table) {
			known[i].show(client, frame);
			return true;
		}
	}
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (tables[i].table == frame->show->table) {
			listing_begin(client, frame, &tables[i]);
			return true;
		}
	}
	return false;
}
