// SPDX-License-Identifier: BSD-3-Clause
// What operators ask of the store, and what the data plane is to get from it: jobs that wait for a
// disk or a server, one after the other on one thread, so that the loop never does.
//
// Owner: tandem-control's loop, which submits and is told the outcome. A job runs on the thread
// with a store of its own. At most TD_STORE_JOBS_MAX wait.
#pragma once

#include "control/store.h"

#include <pthread.h>
#include <uv.h>

#define TD_STORE_JOBS_MAX 1024
#define TD_STORE_REASON_LEN 256

// Embedded in what the job is about.
struct td_store_job {
	// On the thread: 0 or negative errno. -EBUSY and a lost server bring it again, so it begins
	// by undoing what it noted of the try before. What it refuses itself (-ENOENT, -EEXIST,
	// -EINVAL, -ESTALE) is final, and reason says why.
	int (*run)(struct td_store_job *job, struct td_store *store);
	// On the loop, always, the last word: rc as run() or -ECANCELED. Frees the job.
	void (*done)(struct td_store_job *job, int rc);
	char reason[TD_STORE_REASON_LEN]; // of a failure
	int rc;
	struct td_store_job *next;
};

struct td_store_worker {
	const char *url, *node; // borrowed
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct td_store_job *first, *last; // lock; wait for the thread
	struct td_store_job *ended;        // lock; wait for the loop, newest first
	struct td_store *store;            // thread; lock to interrupt it
	uint64_t silent_until_ms; // thread; the server does not answer, and so long nobody asks
	char silent_reason[TD_STORE_REASON_LEN]; // thread
	uint32_t n;                        // lock; all that were not told yet
	bool stop;                         // lock
	bool running;
	uv_async_t news;
};

int td_store_worker_start(
	struct td_store_worker *worker, uv_loop_t *loop, const char *url, const char *node);
// 0 or -ENOBUFS, and the job stays the caller's.
int td_store_submit(struct td_store_worker *worker, struct td_store_job *job);
// Every job that waits ends with -ECANCELED. false: the thread hangs and was left behind.
bool td_store_worker_stop(struct td_store_worker *worker);
