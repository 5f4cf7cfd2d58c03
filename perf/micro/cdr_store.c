// SPDX-License-Identifier: BSD-3-Clause
// What a call detail record costs in the store, batched as the journal's destination batches it: an
// answered call leaves its start, one attempt, its end and its share of the commit. Every call has
// numbers of its own, so that what finds numbers grows at random places. SQLite on a real disk
// (TMPDIR, else /var/tmp), every commit synced.
//
// Each figure has a second line, `.cpu`: what of it this process ran, without waits for the disk
// and for neighbours on the machine.
//
// With ROWS=5000000 a database with that many records is measured too, as cdr_store.filled; with
// DATABASE=postgresql://… that store, as cdr_store.postgresql.
#include "control/destination.h"
#include "control/store.h"
#include "perf/micro/bench.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define RECORDS 3 // of a call
#define BATCH (TD_DESTINATION_BATCH / RECORDS)
#define CDRS 256     // different ones, numbers apart
#define CALL_US 1000 // one begins each millisecond
#define BEGIN_US 1700000000000000u
#define METHOD "start + attempt + end of an answered call into "

static struct td_cdr cdrs[CDRS];

struct figures {
	struct bench wall, cpu;
};

static void figures_init(
	struct figures *f, const char *const names[2], const char *method, uint64_t seed)
{
	struct bench b = { .unit = "us", .seed = seed, .yardstick = "20", .method = method };

	f->wall = f->cpu = b;
	f->wall.name = names[0];
	f->cpu.name = names[1];
}

static void figures_report(struct figures *f)
{
	f->cpu.checked = f->wall.checked;
	bench_report(&f->wall);
	bench_report(&f->cpu);
}

static void text_make(char *dst, size_t cap, uint64_t *seed, size_t len)
{
	for (size_t i = 0; i < len && i + 1 < cap; i++)
		dst[i] = (char)('0' + bench_random(seed) % 10);
}

static void cdrs_make(uint64_t seed)
{
	for (int i = 0; i < CDRS; i++) {
		struct td_cdr *c = &cdrs[i];
		text_make(c->call_id_a, sizeof(c->call_id_a), &seed, 32);
		text_make(c->call_id_b, sizeof(c->call_id_b), &seed, 32);
		snprintf(c->trunk_in, sizeof(c->trunk_in), "carrier-a");
		snprintf(c->trunk_out, sizeof(c->trunk_out), "carrier-b");
		snprintf(c->codec, sizeof(c->codec), "PCMA");
		snprintf(c->user_agent, sizeof(c->user_agent), "Some Phone/1.2.3");
		c->duration_us = 60000000;
		c->sip_code = 200;
		c->cause = 16;
		c->complete = 1;
		c->a = (struct td_cdr_side){ 3000, 1, 3000, 1.5 };
		c->b = (struct td_cdr_side){ 3000, 0, 3000, 0.5 };
	}
}

// The n-th call.
static struct td_cdr *cdr_make(uint64_t n, uint64_t *seed)
{
	struct td_cdr *c = &cdrs[n % CDRS];
	uint64_t numbers = bench_random(seed);

	snprintf(c->id, sizeof(c->id), "tandem-1-00000002-0-%" PRIu64, n);
	snprintf(c->from_number, TD_CDR_TEXT_LEN, "49%010u", (uint32_t)(numbers >> 32));
	snprintf(c->to_number, TD_CDR_TEXT_LEN, "49%010u", (uint32_t)numbers);
	c->start_us = BEGIN_US + n * CALL_US;
	c->ring_us = c->start_us + 500000;
	c->answer_us = c->start_us + 3000000;
	c->end_us = c->answer_us + c->duration_us;
	return c;
}

static int call_store(struct td_store *store, const struct td_cdr *c)
{
	struct td_cdr_attempt a = {
		.trunk = "carrier-b", .peer = "10.0.2.1:5060", .n = 1, .sip_code = 200
	};

	snprintf(a.cdr_id, sizeof(a.cdr_id), "%s", c->id);
	snprintf(a.call_id, sizeof(a.call_id), "%s", c->call_id_b);
	a.start_us = c->start_us;
	a.end_us = c->end_us;
	int rc = td_store_cdr_start(store, 1, c);
	if (rc == 0)
		rc = td_store_cdr_attempt(store, &a);
	return rc ? rc : td_store_cdr_end(store, c);
}

static int batch_store(struct td_store *store, uint64_t *n, uint64_t *seed)
{
	struct td_store_position position = { 1, *n };
	int rc = td_store_begin(store);

	for (int i = 0; rc == 0 && i < BATCH; i++)
		rc = call_store(store, cdr_make((*n)++, seed));
	if (rc == 0)
		rc = td_store_position_set(store, &position);
	return rc ? rc : td_store_commit(store);
}

// Samples of µs for each record. 0: fine.
static int measure(struct figures *f, const char *url, unsigned rounds)
{
	char error[256];
	struct td_store *store = td_store_open(url, "bench", error, sizeof(error));
	struct bench *b = &f->wall;
	uint64_t seed = b->seed;
	int rc = store ? 0 : -1;

	for (unsigned i = 0; rc == 0 && i < rounds; i++) {
		uint64_t begin = bench_ns(), cpu = bench_cpu_ns();
		rc = batch_store(store, &b->checked, &seed);
		bench_add(b, (double)(bench_ns() - begin) / 1000 / BATCH);
		bench_add(&f->cpu, (double)(bench_cpu_ns() - cpu) / 1000 / BATCH);
	}
	if (rc != 0)
		fprintf(stderr, "cdr_store: %s\n", store ? td_store_error(store) : error);
	td_store_close(store);
	return rc;
}

// --- SQLite --------------------------------------------------------------------------------------

// One number, or -1.
static int64_t sqlite_ask(const char *path, const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *st = NULL;
	int64_t n = -1;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
		sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK &&
		sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

// Calls of an earlier boot, the last of them before those that are measured.
static const char filling[] =
	"INSERT INTO cdr (id, call_id_a, call_id_b, from_number, to_number, trunk_in, trunk_out, "
	"start_us, ring_us, answer_us, end_us, duration_us, sip_code, cause, released_by, "
	"complete, codec, rtp_a_rx, rtp_a_tx, rtp_b_rx, rtp_b_tx, user_agent%s) "
	"WITH RECURSIVE c(i, r) AS (SELECT 1, abs(random()) UNION ALL "
	"SELECT i + 1, abs(random()) FROM c WHERE i < %u) "
	"SELECT printf('tandem-1-00000001-0-%%d', i), hex(randomblob(16)), hex(randomblob(16)), "
	"printf('49%%010d', r %% 4294967296), printf('49%%010d', r / 4294967296), 'carrier-a', "
	"'carrier-b', s + 0, s + 500000, s + 3000000, s + 63000000, 60000000, 200, 16, 'a', 1, "
	"'PCMA', 3000, 3000, 3000, 3000, 'Some Phone/1.2.3'%s "
	"FROM (SELECT i, r, %llu - (%u - i) * %u AS s FROM c);"
	"INSERT INTO cdr_attempt SELECT id, 1, 'carrier-b', '10.0.2.1:5060', call_id_b, start_us, "
	"NULL, end_us, 200, NULL FROM cdr;";

static int index_note(void *user, int n, char **values, char **names)
{
	(void)n;
	(void)names;
	fprintf(user, "%s;", values[0]);
	return 0;
}

// Rows first and indexes then: the other way round it takes hours.
static int filling_run(sqlite3 *db, const char *rows_sql)
{
	char *drop = NULL, *create = NULL;
	size_t drop_len, create_len;
	FILE *drops = open_memstream(&drop, &drop_len);
	FILE *creates = open_memstream(&create, &create_len);
	static const char *const of = "FROM sqlite_master WHERE type = 'index' AND sql > ''";
	char ask[160];
	int rc = drops && creates ? SQLITE_OK : SQLITE_NOMEM;

	snprintf(ask, sizeof(ask), "SELECT 'DROP INDEX ' || name %s", of);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, ask, index_note, drops, NULL);
	snprintf(ask, sizeof(ask), "SELECT sql %s", of);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, ask, index_note, creates, NULL);
	fclose(drops);
	fclose(creates);
	const char *const steps[] = { "PRAGMA synchronous=OFF; PRAGMA cache_size=-1000000; BEGIN",
		drop, rows_sql, create, "COMMIT; PRAGMA wal_checkpoint(TRUNCATE)" };
	for (size_t i = 0; rc == SQLITE_OK && i < sizeof(steps) / sizeof(steps[0]); i++)
		rc = sqlite3_exec(db, steps[i], NULL, NULL, NULL);
	free(drop);
	free(create);
	return rc;
}

static int sqlite_fill(const char *url, const char *path, uint32_t rows)
{
	char error[256], sql[sizeof(filling) + 100];
	sqlite3 *db = NULL;
	struct td_store *store = td_store_open(url, "bench", error, sizeof(error));
	int rc = store ? sqlite3_open(path, &db) : SQLITE_ERROR;

	td_store_close(store);
	snprintf(sql, sizeof(sql), filling, ", block", rows, ", 1 + i / 8192",
		(unsigned long long)BEGIN_US, rows, CALL_US);
	if (rc == SQLITE_OK)
		rc = filling_run(db, sql);
	if (rc != SQLITE_OK)
		fprintf(stderr, "cdr_store: %s\n", db ? sqlite3_errmsg(db) : error);
	sqlite3_close(db);
	return rc;
}

static bool sqlite_holds(const char *path, uint64_t calls)
{
	return sqlite_ask(path, "SELECT count(*) FROM cdr WHERE complete = 1 AND "
				"duration_us = 60000000") == (int64_t)calls &&
	       sqlite_ask(path, "SELECT count(*) FROM cdr_attempt") == (int64_t)calls &&
	       sqlite_ask(path, "SELECT count(*) FROM cdr_open") == 0;
}

static int sqlite_measure(uint64_t seed, uint32_t rows)
{
	static const char *const names[][2] = { { "cdr_store", "cdr_store.cpu" },
		{ "cdr_store.filled", "cdr_store.filled.cpu" } };
	static struct figures f;
	char method[160];
	const char *tmp = getenv("TMPDIR");
	char dir[200], path[220], url[240], command[240];

	snprintf(method, sizeof(method),
		METHOD "SQLite with %u calls in it, %d a transaction, "
		       "synced",
		rows, BATCH);
	figures_init(&f, names[rows > 0], method, seed);
	snprintf(dir, sizeof(dir), "%s/td_cdr_store_XXXXXX", tmp && *tmp ? tmp : "/var/tmp");
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/x.db", dir);
	snprintf(url, sizeof(url), "sqlite:%s", path);
	int rc = rows > 0 ? sqlite_fill(url, path, rows) : 0;
	if (rc == 0)
		rc = measure(&f, url, bench_rounds(101));
	if (rc == 0 && !sqlite_holds(path, f.wall.checked + rows)) {
		fprintf(stderr, "cdr_store: the tables do not hold what was stored\n");
		rc = 1;
	}
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (rc == 0)
		figures_report(&f);
	return system(command) != 0 || rc != 0;
}

static uint32_t rows_asked(void)
{
	const char *text = getenv("ROWS");

	return text ? (uint32_t)strtoul(text, NULL, 0) : 0;
}

int main(void)
{
	uint64_t seed = bench_seed();
	const char *url = getenv("DATABASE");
	static const char *const names[] = { "cdr_store.postgresql", "cdr_store.postgresql.cpu" };
	static struct figures f;
	char method[160];

	snprintf(method, sizeof(method), METHOD "PostgreSQL, %d a transaction", BATCH);
	figures_init(&f, names, method, seed);
	cdrs_make(seed);
	int rc = sqlite_measure(seed, 0);
	if (rc == 0 && rows_asked() > 0)
		rc = sqlite_measure(seed, rows_asked());
	if (rc == 0 && url && (rc = measure(&f, url, bench_rounds(31))) == 0)
		figures_report(&f);
	return rc != 0;
}
