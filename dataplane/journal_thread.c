// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/journal_thread.h"

#include "dataplane/journal_files.h"
#include "dataplane/state_file.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define ROUND_NS 50000000 // two rounds fit into the 100 ms that a power loss may cost
#define PIECE_BYTES (1u << 20)

// Moves what is there now. A producer that never stops cannot hold the round: the head is read
// once.
static int ring_drain(struct td_journal *journal, struct td_journal_ring *ring)
{
	uint64_t end = atomic_load_explicit(&ring->shared->head, memory_order_acquire);
	const void *records;
	size_t n;

	while (atomic_load_explicit(&ring->shared->tail, memory_order_relaxed) < end &&
		(n = td_journal_peek(ring, &records, PIECE_BYTES)) > 0) {
		int rc = td_journal_store_append(&journal->store, records, n);
		if (rc < 0)
			return rc;
		// A kill loses nothing that was written: the next boot need not find it here. Its
		// room is kept until it is synced.
		td_journal_consume(ring, n);
		atomic_fetch_add_explicit(&journal->bytes, n, memory_order_relaxed);
	}
	return 0;
}

int td_journal_round(struct td_journal *journal)
{
	int rc = 0;

	for (uint16_t i = 0; i < journal->n_rings; i++) {
		int drained = ring_drain(journal, &journal->rings[i]);
		rc = rc < 0 ? rc : drained;
	}
	int synced = td_journal_store_sync(&journal->store);
	rc = rc < 0 ? rc : synced;
	for (uint16_t i = 0; i < journal->n_rings; i++)
		td_journal_tell(&journal->rings[i], synced == 0, rc);
	return rc;
}

static int predecessor_ring(void *user, const char *path)
{
	struct td_journal *journal = user;
	struct td_journal_ring ring;
	int rc = td_journal_ring_open(&ring, path);

	if (rc == -EBADMSG) { // killed while it was being made: nothing was written to it yet
		unlink(path);
		return 0;
	}
	if (rc < 0)
		return rc;
	rc = ring_drain(journal, &ring);
	int synced = td_journal_store_sync(&journal->store);
	rc = rc < 0 ? rc : synced;
	td_journal_tell(&ring, synced == 0, rc);
	td_journal_ring_close(&ring);
	if (rc == 0)
		unlink(path);
	return rc;
}

static int rings_create(struct td_journal *journal, uint16_t n, uint64_t ring_bytes)
{
	char path[256];

	for (uint16_t i = 0; i < n; i++) {
		td_journal_file_path(journal->run_dir, i, path, sizeof(path));
		int rc = td_journal_ring_create(
			&journal->rings[i], path, ring_bytes, i, journal->epoch);
		if (rc < 0)
			return rc;
		journal->n_rings++;
	}
	return 0;
}

int td_journal_open(struct td_journal *journal, const char *run_dir, const char *state_dir,
	uint16_t n, uint64_t ring_bytes, uint64_t started_us, const char **what)
{
	memset(journal, 0, sizeof(*journal));
	journal->store.fd = -1;
	snprintf(journal->run_dir, sizeof(journal->run_dir), "%s", run_dir);
	*what = "state_dir";
	int rc = td_state_dir_make(state_dir);
	if (rc == 0)
		rc = td_state_epoch_next(state_dir, started_us / 1000000, &journal->epoch);
	if (rc == 0)
		rc = td_journal_store_open(&journal->store, state_dir, journal->epoch);
	if (rc < 0)
		return rc;
	*what = "the journal of the boot before";
	rc = td_journal_files_each(run_dir, predecessor_ring, journal);
	if (rc < 0)
		return rc;
	*what = "the journal rings in run_dir";
	rc = rings_create(journal, n, ring_bytes);
	if (rc < 0)
		return rc;
	*what = "the journal's boot record";
	struct td_journal_boot boot = { .started_us = started_us, .epoch = journal->epoch };
	return td_journal_store_boot(&journal->store, &boot);
}

static void *thread_main(void *arg)
{
	struct td_journal *journal = arg;
	struct timespec next;

	clock_gettime(CLOCK_MONOTONIC, &next);
	while (!atomic_load_explicit(&journal->stop, memory_order_acquire)) {
		atomic_store_explicit(
			&journal->error, td_journal_round(journal), memory_order_relaxed);
		next.tv_nsec += ROUND_NS;
		if (next.tv_nsec >= 1000000000) {
			next.tv_sec++;
			next.tv_nsec -= 1000000000;
		}
		// Absolute, and repeated after EINTR: a virtual port's signals would shorten a
		// relative sleep.
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR)
			;
	}
	return NULL;
}

int td_journal_start(struct td_journal *journal)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int rc = -pthread_create(&journal->thread, NULL, thread_main, journal);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc == 0) {
		journal->running = true;
		pthread_setname_np(journal->thread, "td-journal");
	}
	return rc;
}

void td_journal_close(struct td_journal *journal)
{
	char path[256];

	if (journal->running) {
		atomic_store_explicit(&journal->stop, true, memory_order_release);
		pthread_join(journal->thread, NULL);
		journal->running = false;
	}
	int rc = td_journal_round(journal);
	for (uint16_t i = 0; i < journal->n_rings; i++) {
		td_journal_file_path(journal->run_dir, i, path, sizeof(path));
		td_journal_ring_close(&journal->rings[i]);
		if (rc == 0)
			unlink(path);
	}
	journal->n_rings = 0;
	td_journal_store_close(&journal->store);
}
