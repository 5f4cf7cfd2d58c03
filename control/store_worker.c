// SPDX-License-Identifier: BSD-3-Clause
#include "control/store_worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TRIES 8        // of a job whose store is busy or was lost
#define TRY_AGAIN_MS 250
#define STOP_PATIENCE_S 3
#define SILENT_MS 5000 // an opening that lasts so long was not refused: nobody answered

// --- the thread ---

static void store_set(struct td_store_worker *w, struct td_store *store)
{
	struct td_store *before = w->store;

	pthread_mutex_lock(&w->lock);
	w->store = store;
	pthread_mutex_unlock(&w->lock);
	td_store_close(before);
}

static bool final(int rc)
{
	return rc == 0 || rc == -ENOENT || rc == -EEXIST || rc == -EINVAL || rc == -ENOSPC ||
	       rc == -ENOMEM || rc == -ESTALE;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int silence_note(struct td_store_worker *w, const struct td_store_job *job)
{
	w->silent_until_ms = now_ms() + SILENT_MS;
	snprintf(w->silent_reason, sizeof(w->silent_reason), "%s", job->reason);
	return -ETIMEDOUT;
}

// 0, or why not in job->reason. A server that does not answer takes all its patience from one job;
// those that wait behind it are told at once, or they would be told after their askers had left.
static int store_reach(struct td_store_worker *w, struct td_store_job *job)
{
	uint64_t begin_ms = now_ms();

	if (w->store)
		return 0;
	if (begin_ms < w->silent_until_ms) {
		snprintf(job->reason, sizeof(job->reason), "%s", w->silent_reason);
		return -ETIMEDOUT;
	}
	store_set(w, td_store_open(w->url, w->node, job->reason, sizeof(job->reason)));
	if (w->store)
		return 0;
	if (now_ms() - begin_ms < SILENT_MS)
		return -EIO;
	return silence_note(w, job);
}

static int job_try(struct td_store_worker *w, struct td_store_job *job)
{
	job->reason[0] = '\0';
	int reached = store_reach(w, job);
	if (reached != 0)
		return reached;
	int rc = job->run(job, w->store);
	td_store_rollback(w->store); // what it left unfinished
	if (rc != 0 && !job->reason[0])
		snprintf(job->reason, sizeof(job->reason), "%s",
			td_store_error(w->store)[0] ? td_store_error(w->store) : strerror(-rc));
	if (!final(rc) && rc != -EBUSY)
		store_set(w, NULL);
	return rc == -ETIMEDOUT ? silence_note(w, job) : rc;
}

static bool stopping(struct td_store_worker *w)
{
	pthread_mutex_lock(&w->lock);
	bool stop = w->stop;
	pthread_mutex_unlock(&w->lock);
	return stop;
}

static void job_run(struct td_store_worker *w, struct td_store_job *job)
{
	const struct timespec again = { .tv_nsec = TRY_AGAIN_MS * 1000000l };

	for (int i = 0; i < TRIES; i++) {
		job->rc = stopping(w) ? -ECANCELED : job_try(w, job);
		// A server that does not answer has taken its time already.
		if (final(job->rc) || job->rc == -ECANCELED || job->rc == -ETIMEDOUT)
			return;
		nanosleep(&again, NULL);
	}
}

static struct td_store_job *job_take(struct td_store_worker *w)
{
	pthread_mutex_lock(&w->lock);
	while (!w->first && !w->stop)
		pthread_cond_wait(&w->wake, &w->lock);
	struct td_store_job *job = w->first;
	if (job)
		w->first = job->next;
	pthread_mutex_unlock(&w->lock);
	return job;
}

static void *thread_run(void *argument)
{
	struct td_store_worker *w = argument;

	for (struct td_store_job *job; (job = job_take(w));) {
		job_run(w, job);
		pthread_mutex_lock(&w->lock);
		job->next = w->ended;
		w->ended = job;
		pthread_mutex_unlock(&w->lock);
		uv_async_send(&w->news);
	}
	store_set(w, NULL);
	return NULL;
}

// --- the loop ---

static void jobs_tell(struct td_store_worker *w)
{
	struct td_store_job *in_order = NULL;

	pthread_mutex_lock(&w->lock);
	for (struct td_store_job *job = w->ended, *next; job; job = next) {
		next = job->next;
		job->next = in_order;
		in_order = job;
		w->n--;
	}
	w->ended = NULL;
	pthread_mutex_unlock(&w->lock);
	for (struct td_store_job *next; in_order; in_order = next) {
		next = in_order->next;
		in_order->done(in_order, in_order->rc);
	}
}

static void on_news(uv_async_t *news)
{
	jobs_tell(news->data);
}

int td_store_worker_start(
	struct td_store_worker *w, uv_loop_t *loop, const char *url, const char *node)
{
	w->url = url;
	w->node = node;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	uv_async_init(loop, &w->news, on_news);
	w->news.data = w;
	int rc = -pthread_create(&w->thread, NULL, thread_run, w);
	w->running = rc == 0;
	return rc;
}

int td_store_submit(struct td_store_worker *w, struct td_store_job *job)
{
	job->next = NULL;
	pthread_mutex_lock(&w->lock);
	bool room = w->running && !w->stop && w->n < TD_STORE_JOBS_MAX;
	if (room) {
		if (w->first)
			w->last->next = job;
		else
			w->first = job;
		w->last = job;
		w->n++;
		pthread_cond_signal(&w->wake);
	}
	pthread_mutex_unlock(&w->lock);
	return room ? 0 : -ENOBUFS;
}

bool td_store_worker_stop(struct td_store_worker *w)
{
	struct timespec end;

	if (!w->running)
		return true;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	if (w->store)
		td_store_interrupt(w->store);
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += STOP_PATIENCE_S;
	bool joined = pthread_timedjoin_np(w->thread, NULL, &end) == 0;
	if (joined) {
		w->running = false;
		jobs_tell(w);
	}
	uv_close((uv_handle_t *)&w->news, NULL);
	return joined;
}
