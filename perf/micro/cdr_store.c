// SPDX-License-Identifier: BSD-3-Clause
// What a call detail record costs in the store, batched as the journal's destination batches it: an answered call leaves
// its start, one attempt, its end and its share of the commit. SQLite on a real disk (TMPDIR, else /var/tmp), every commit synced.
// With DATABASE=postgresql://… that store is measured beside it, as cdr_store.postgresql.
#include "control/store.h"
#include "perf/micro/bench.h"

#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

#define BATCH 1000
#define CDRS 256 // different ones

static struct td_cdr cdrs[CDRS];

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
		text_make(c->from_number, sizeof(c->from_number), &seed, 12);
		text_make(c->to_number, sizeof(c->to_number), &seed, 12);
		snprintf(c->trunk_in, sizeof(c->trunk_in), "carrier-a");
		snprintf(c->trunk_out, sizeof(c->trunk_out), "carrier-b");
		snprintf(c->codec, sizeof(c->codec), "PCMA");
		snprintf(c->user_agent, sizeof(c->user_agent), "Some Phone/1.2.3");
		c->start_us = 1700000000000000u + bench_random(&seed) % 1000000000;
		c->ring_us = c->start_us + 500000;
		c->answer_us = c->start_us + 3000000;
		c->end_us = c->answer_us + 60000000;
		c->duration_us = 60000000;
		c->sip_code = 200;
		c->cause = 16;
		c->complete = 1;
		c->a = (struct td_cdr_side){ 3000, 1, 3000, 1.5 };
		c->b = (struct td_cdr_side){ 3000, 0, 3000, 0.5 };
	}
}

static int batch_store(struct td_store *store, uint64_t *n)
{
	struct td_store_position position = { 1, *n };
	int rc = td_store_begin(store);

	for (int i = 0; rc == 0 && i < BATCH; i++) {
		struct td_cdr *c = &cdrs[*n % CDRS];
		struct td_cdr_attempt a = { .trunk = "carrier-b", .peer = "10.0.2.1:5060", .n = 1, .sip_code = 200 };
		snprintf(c->id, sizeof(c->id), "tandem-1-00000001-0-%" PRIu64, (*n)++);
		snprintf(a.cdr_id, sizeof(a.cdr_id), "%s", c->id);
		snprintf(a.call_id, sizeof(a.call_id), "%s", c->call_id_b);
		a.start_us = c->start_us;
		a.end_us = c->end_us;
		rc = td_store_cdr_start(store, 1, c);
		if (rc == 0)
			rc = td_store_cdr_attempt(store, &a);
		if (rc == 0)
			rc = td_store_cdr_end(store, c);
	}
	if (rc == 0)
		rc = td_store_position_set(store, &position);
	return rc ? rc : td_store_commit(store);
}

// Samples of µs for each record. 0: fine.
static int measure(struct bench *b, const char *url, unsigned rounds)
{
	char error[256];
	struct td_store *store = td_store_open(url, "bench", error, sizeof(error));
	int rc = store ? 0 : -1;

	for (unsigned i = 0; rc == 0 && i < rounds; i++) {
		uint64_t begin = bench_ns();
		rc = batch_store(store, &b->checked);
		bench_add(b, (double)(bench_ns() - begin) / 1000 / BATCH);
	}
	if (rc != 0)
		fprintf(stderr, "cdr_store: %s\n", store ? td_store_error(store) : error);
	td_store_close(store);
	return rc;
}

static int64_t sqlite_ask(const char *path, const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *st = NULL;
	int64_t n = -1;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
		sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

static int sqlite_measure(uint64_t seed)
{
	struct bench b = { .name = "cdr_store", .unit = "us", .seed = seed, .yardstick = "20",
		.method = "start + attempt + end of an answered call into SQLite, 1000 a transaction, synced" };
	const char *tmp = getenv("TMPDIR");
	char dir[200], path[220], url[240], command[240];

	snprintf(dir, sizeof(dir), "%s/td_cdr_store_XXXXXX", tmp && *tmp ? tmp : "/var/tmp");
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/x.db", dir);
	snprintf(url, sizeof(url), "sqlite:%s", path);
	int rc = measure(&b, url, bench_rounds(101));
	if (rc == 0 && (sqlite_ask(path, "SELECT count(*) FROM cdr WHERE complete = 1 AND duration_us = 60000000") !=
				       (int64_t)b.checked ||
			       sqlite_ask(path, "SELECT count(*) FROM cdr_attempt") != (int64_t)b.checked ||
			       sqlite_ask(path, "SELECT count(*) FROM cdr_open") != 0)) {
		fprintf(stderr, "cdr_store: the tables do not hold what was stored\n");
		rc = 1;
	}
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (rc == 0)
		bench_report(&b);
	return system(command) != 0 || rc != 0;
}

int main(void)
{
	uint64_t seed = bench_seed();
	const char *url = getenv("DATABASE");
	struct bench b = { .name = "cdr_store.postgresql", .unit = "us", .seed = seed, .yardstick = "20",
		.method = "start + attempt + end of an answered call into PostgreSQL, 1000 a transaction" };

	cdrs_make(seed);
	int rc = sqlite_measure(seed);
	if (rc == 0 && url && (rc = measure(&b, url, bench_rounds(31))) == 0)
		bench_report(&b);
	return rc != 0;
}
