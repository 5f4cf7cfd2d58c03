// SPDX-License-Identifier: BSD-3-Clause
// control/db.h over libpq, for PostgreSQL and what speaks its protocol. Statements without an
// answer go into libpq's pipeline, so that a whole transaction costs one round trip. Nothing waits
// longer than TD_DB_PATIENCE_MS, also for a server that is stopped: libpq's calls never block here.
#include "control/db.h"

#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PIPELINE_MAX 8192      // statements whose outcome is unknown
#define SLICE_MS 100           // between two looks at whether we were interrupted
#define ROLLBACK_PATIENCE_MS 500
#define MIGRATION_LOCK "7233174" // any number that all Tandems agree on

struct postgresql {
	struct td_db base;
	PGconn *conn;
	uint32_t pending; // statements in the pipeline
	bool broken;      // what the server holds of us is unknown: only closing is left
	atomic_bool interrupted;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

// First line of what libpq says, without its end of line.
static void words(char *dst, size_t cap, const char *text)
{
	snprintf(dst, cap, "%.*s", (int)strcspn(text, "\n"), text);
}

static int failure(struct postgresql *pg, int rc, const char *text)
{
	words(pg->base.error, sizeof(pg->base.error), text);
	pg->broken = true;
	return rc;
}

// Waits until the socket is ready. 0; -ETIMEDOUT, -ECANCELED.
static int socket_wait(struct postgresql *pg, short events, uint64_t end_ms)
{
	for (;;) {
		struct pollfd pfd = { .fd = PQsocket(pg->conn), .events = events };
		uint64_t now = now_ms();
		if (atomic_load(&pg->interrupted))
			return -ECANCELED;
		if (now >= end_ms)
			return -ETIMEDOUT;
		uint64_t slice = end_ms - now < SLICE_MS ? end_ms - now : SLICE_MS;
		if (pfd.fd < 0 || poll(&pfd, 1, (int)slice) > 0)
			return 0;
	}
}

static int waited_too_long(struct postgresql *pg, int rc)
{
	return failure(pg, rc, rc == -ECANCELED ? "interrupted" : "the server does not answer");
}

// --- the connection ---

static void postgresql_close(struct td_db *db)
{
	struct postgresql *pg = (struct postgresql *)db;

	PQfinish(pg->conn);
	free(pg);
}

static int connect_wait(struct postgresql *pg)
{
	uint64_t end_ms = now_ms() + TD_DB_PATIENCE_MS;
	PostgresPollingStatusType state = PGRES_POLLING_WRITING;

	while (state != PGRES_POLLING_OK) {
		if (state == PGRES_POLLING_FAILED || PQstatus(pg->conn) == CONNECTION_BAD)
			return failure(pg, -EIO, PQerrorMessage(pg->conn));
		int rc = socket_wait(
			pg, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, end_ms);
		if (rc != 0)
			return waited_too_long(pg, rc);
		state = PQconnectPoll(pg->conn);
	}
	return 0;
}

// libpq repeats a URI that it cannot read, and a password may stand in it.
static bool uri_holds(const char *url)
{
	char *text = NULL;
	PQconninfoOption *options = PQconninfoParse(url, &text);

	PQconninfoFree(options);
	PQfreemem(text);
	return options != NULL;
}

static struct td_db *postgresql_open(const char *url, char *error, size_t cap)
{
	static const char *const keys[] = { "dbname", "fallback_application_name",
		"client_encoding", NULL };
	const char *const values[] = { url, "tandem", "UTF8", NULL };
	struct postgresql *pg = calloc(1, sizeof(*pg));

	if (!pg || !uri_holds(url)) {
		snprintf(error, cap, "%s", pg ? "not a connection URI of libpq" : "no memory");
		free(pg);
		return NULL;
	}
	pg->base.engine = &td_db_postgresql;
	pg->conn = PQconnectStartParams(keys, values, 1);
	int rc = pg->conn ? connect_wait(pg) : -ENOMEM;
	if (rc == 0 && (PQsetnonblocking(pg->conn, 1) != 0 || PQenterPipelineMode(pg->conn) != 1))
		rc = failure(pg, -EIO, PQerrorMessage(pg->conn));
	if (rc == 0)
		return &pg->base;
	snprintf(error, cap, "%s", pg->base.error);
	postgresql_close(&pg->base);
	return NULL;
}

// --- results ---

static struct td_value column_of(const PGresult *result, int row, int column, void **made)
{
	struct td_value out = { .kind = TD_VALUE_NULL };
	const char *text = PQgetvalue(result, row, column);

	*made = NULL;
	if (PQgetisnull(result, row, column))
		return out;
	switch (PQftype(result, column)) {
	case 20: // int8
	case 21: // int2
	case 23: // int4
		out.kind = TD_VALUE_INT;
		out.number = strtoll(text, NULL, 10);
		break;
	case 700: // float4
	case 701: // float8
		out.kind = TD_VALUE_REAL;
		out.real = strtod(text, NULL);
		break;
	case 17: // bytea
		out.kind = TD_VALUE_BYTES;
		*made = PQunescapeBytea((const unsigned char *)text, &out.len);
		out.text = *made;
		break;
	default:
		out.kind = TD_VALUE_TEXT;
		out.text = text;
		out.len = (size_t)PQgetlength(result, row, column);
	}
	return out;
}

static void rows_pass(const PGresult *result, td_db_row row, void *user)
{
	int n = PQnfields(result) < TD_DB_VALUES_MAX ? PQnfields(result) : TD_DB_VALUES_MAX;
	struct td_value values[TD_DB_VALUES_MAX];
	void *made[TD_DB_VALUES_MAX];
	bool more = true;

	for (int r = 0; more && r < PQntuples(result); r++) {
		for (int c = 0; c < n; c++)
			values[c] = column_of(result, r, c, &made[c]);
		more = row(user, values, n) == 0;
		for (int c = 0; c < n; c++)
			PQfreemem(made[c]);
	}
}

// What the server says of a statement, first failure first.
static int result_take(struct postgresql *pg, const PGresult *result, td_db_row row, void *user)
{
	switch (PQresultStatus(result)) {
	case PGRES_TUPLES_OK:
		if (row)
			rows_pass(result, row, user);
		return 0;
	case PGRES_COMMAND_OK:
	case PGRES_EMPTY_QUERY:
	case PGRES_PIPELINE_ABORTED: // its cause was told before
		return 0;
	default:
		break;
	}
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	words(pg->base.error, sizeof(pg->base.error), PQresultErrorMessage(result));
	pg->broken = true;
	return state && strncmp(state, "53100", 5) == 0 ? -ENOSPC : -EIO;
}

// Reads and writes until a result can be taken without waiting.
static int result_wait(struct postgresql *pg, uint64_t end_ms)
{
	while (PQisBusy(pg->conn)) {
		int unsent = PQflush(pg->conn);
		int rc = unsent < 0 ? -EIO
				    : socket_wait(pg, POLLIN | (unsent ? POLLOUT : 0), end_ms);
		if (rc == -EIO)
			return failure(pg, -EIO, PQerrorMessage(pg->conn));
		if (rc != 0)
			return waited_too_long(pg, rc);
		if (PQconsumeInput(pg->conn) != 1)
			return failure(pg, -EIO, PQerrorMessage(pg->conn));
	}
	return 0;
}

// Waits for everything in the pipeline. 0 or the first failure.
static int results_take(struct postgresql *pg, td_db_row row, void *user, uint64_t patience_ms)
{
	uint64_t end_ms = now_ms() + patience_ms;
	int first = 0;

	pg->pending = 0;
	if (PQpipelineSync(pg->conn) != 1 || PQflush(pg->conn) < 0)
		return failure(pg, -EIO, PQerrorMessage(pg->conn));
	for (;;) {
		int rc = result_wait(pg, end_ms);
		if (rc != 0)
			return first ? first : rc;
		PGresult *result = PQgetResult(pg->conn); // NULL parts two statements
		if (!result && PQstatus(pg->conn) == CONNECTION_BAD)
			return first ? first : failure(pg, -EIO, PQerrorMessage(pg->conn));
		bool end = result && PQresultStatus(result) == PGRES_PIPELINE_SYNC;
		rc = result && !end ? result_take(pg, result, row, user) : 0;
		first = first ? first : rc;
		PQclear(result);
		if (end)
			return first;
	}
}

// --- statements ---

static int refused(struct postgresql *pg)
{
	if (!pg->base.error[0])
		snprintf(pg->base.error, sizeof(pg->base.error), "the connection is lost");
	return -EIO;
}

static int sent(struct postgresql *pg, int ok)
{
	if (ok != 1)
		return failure(pg, -EIO, PQerrorMessage(pg->conn));
	if (++pg->pending < PIPELINE_MAX)
		return 0;
	return results_take(pg, NULL, NULL, TD_DB_PATIENCE_MS);
}

static int text_send(struct postgresql *pg, const char *sql)
{
	if (pg->broken)
		return refused(pg);
	return sent(pg, PQsendQueryParams(pg->conn, sql, 0, NULL, NULL, NULL, NULL, 0));
}

static int postgresql_run(struct td_db *db, int statement, const struct td_value *values, int n)
{
	struct postgresql *pg = (struct postgresql *)db;
	const char *texts[TD_DB_VALUES_MAX];
	int lengths[TD_DB_VALUES_MAX], formats[TD_DB_VALUES_MAX];
	char numbers[TD_DB_VALUES_MAX][32], name[16], copies[8192];
	size_t used = 0;

	if (pg->broken)
		return refused(pg);
	for (int i = 0; i < n; i++) {
		const struct td_value *v = &values[i];
		texts[i] = v->kind == TD_VALUE_NULL ? NULL : numbers[i];
		lengths[i] = (int)v->len;
		formats[i] = v->kind == TD_VALUE_BYTES;
		if (v->kind == TD_VALUE_INT)
			snprintf(numbers[i], sizeof(numbers[i]), "%" PRId64, v->number);
		if (v->kind == TD_VALUE_REAL)
			snprintf(numbers[i], sizeof(numbers[i]), "%.17g", v->real);
		if (v->kind == TD_VALUE_BYTES)
			texts[i] = v->text;
		if (v->kind != TD_VALUE_TEXT)
			continue;
		if (used + v->len + 1 > sizeof(copies))
			return failure(pg, -EIO, "a row is too long");
		memcpy(copies + used, v->text, v->len); // libpq wants a NUL behind it
		copies[used + v->len] = '\0';
		texts[i] = copies + used;
		used += v->len + 1;
	}
	snprintf(name, sizeof(name), "s%d", statement);
	return sent(pg, PQsendQueryPrepared(pg->conn, name, n, texts, lengths, formats, 0));
}

static int postgresql_query(struct td_db *db, int statement, const struct td_value *values, int n,
	td_db_row row, void *user)
{
	struct postgresql *pg = (struct postgresql *)db;
	int rc = postgresql_run(db, statement, values, n);

	return rc != 0 ? rc : results_take(pg, row, user, TD_DB_PATIENCE_MS);
}

static int postgresql_prepare(struct td_db *db, const char *const *sql, int n)
{
	struct postgresql *pg = (struct postgresql *)db;
	char name[16];
	int rc = 0;

	for (int i = 0; rc == 0 && i < n; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		rc = sent(pg, PQsendPrepare(pg->conn, name, sql[i], 0, NULL));
	}
	// A commit that the operator's server does not write through would lose the rows that the
	// journal was relieved of.
	if (rc == 0)
		rc = text_send(pg, "SELECT set_config('synchronous_commit', 'on', false) "
				   "WHERE current_setting('synchronous_commit') = 'off'");
	return rc != 0 ? rc : results_take(pg, NULL, NULL, TD_DB_PATIENCE_MS);
}

// --- transactions ---

static int postgresql_begin(struct td_db *db)
{
	return text_send((struct postgresql *)db, "BEGIN");
}

static int postgresql_begin_alone(struct td_db *db)
{
	struct postgresql *pg = (struct postgresql *)db;
	int rc = text_send(pg, "BEGIN");

	if (rc == 0)
		rc = text_send(pg, "SELECT pg_advisory_xact_lock(" MIGRATION_LOCK ")");
	return rc != 0 ? rc : results_take(pg, NULL, NULL, TD_DB_PATIENCE_MS);
}

static int postgresql_commit(struct td_db *db)
{
	struct postgresql *pg = (struct postgresql *)db;
	int rc = text_send(pg, "COMMIT");

	return rc != 0 ? rc : results_take(pg, NULL, NULL, TD_DB_PATIENCE_MS);
}

// A broken connection's transaction ends with the connection.
static void postgresql_rollback(struct td_db *db)
{
	struct postgresql *pg = (struct postgresql *)db;

	if (!pg->broken && text_send(pg, "ROLLBACK") == 0)
		results_take(pg, NULL, NULL, ROLLBACK_PATIENCE_MS);
}

// Statement by statement: a pipeline takes one at a time.
static int postgresql_script(struct td_db *db, const char *sql)
{
	struct postgresql *pg = (struct postgresql *)db;
	char one[4096];
	int rc = 0;

	while (rc == 0 && *(sql += strspn(sql, "; \n")) != '\0') {
		size_t len = strcspn(sql, ";");
		if (len >= sizeof(one))
			return failure(pg, -EIO, "a statement is too long");
		memcpy(one, sql, len);
		one[len] = '\0';
		rc = text_send(pg, one);
		sql += len;
	}
	return rc != 0 ? rc : results_take(pg, NULL, NULL, TD_DB_PATIENCE_MS);
}

static int number_row(void *user, const struct td_value *row, int n)
{
	*(struct td_value *)user = row[0];
	return 1;
}

static int postgresql_number(struct td_db *db, const char *sql, int64_t *out)
{
	struct postgresql *pg = (struct postgresql *)db;
	struct td_value found = { .kind = TD_VALUE_NULL };
	int rc = text_send(pg, sql);

	if (rc == 0)
		rc = results_take(pg, number_row, &found, TD_DB_PATIENCE_MS);
	if (rc != 0)
		return rc;
	*out = found.number;
	return found.kind == TD_VALUE_INT ? 0 : -ENOENT;
}

static void postgresql_interrupt(struct td_db *db)
{
	atomic_store(&((struct postgresql *)db)->interrupted, true);
}

const struct td_db_engine td_db_postgresql = {
	.scheme = "postgresql:",
	.clustered = "",
	.shared = true,
	.open = postgresql_open,
	.close = postgresql_close,
	.prepare = postgresql_prepare,
	.begin = postgresql_begin,
	.begin_alone = postgresql_begin_alone,
	.commit = postgresql_commit,
	.rollback = postgresql_rollback,
	.script = postgresql_script,
	.run = postgresql_run,
	.query = postgresql_query,
	.number = postgresql_number,
	.interrupt = postgresql_interrupt,
};
