// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/registrar_host.h"

#include "dataplane/journal_ring.h"
#include "include/binding.h"
#include "sip/aor.h"
#include "sip/location.h"
#include "sip/subscribers.h"

#include <errno.h>
#include <stdlib.h>

#define RESTORES_PER_TURN 64

bool td_registrar_configured(const struct td_config *conf)
{
	for (uint8_t i = 0; i < conf->n_realms; i++)
		if (conf->realms[i].registrar.n_domains > 0)
			return true;
	return false;
}

int td_registrar_host_create(struct td_worker *w)
{
	if (!td_registrar_configured(&w->dp->conf))
		return 0;
	w->registrar = calloc(1, sizeof(*w->registrar));
	return w->registrar ? 0 : -ENOMEM;
}

void td_registrar_host_destroy(struct td_worker *w)
{
	free(w->registrar);
	w->registrar = NULL;
}

// --- look-up ---

enum td_answer td_registrar_locate(
	void *host, struct td_span who, uint64_t cookie, struct td_locate_answer *out)
{
	const struct td_worker *w = host;
	const struct td_dataplane *dp = w->dp;

	out->n = 0;
	out->sip_code = 404;
	out->subscriber = NULL;
	if (!dp->subscribers)
		return TD_REFUSED;
	if (!td_subscribers_ready(dp->subscribers)) {
		out->sip_code = 503;
		return TD_REFUSED;
	}
	out->subscriber = memchr(who.ptr, '@', who.len)
				  ? td_subscribers_find(dp->subscribers, who)
				  : td_subscribers_by_number(dp->subscribers, who);
	if (!out->subscriber)
		return TD_REFUSED;
	out->sip_code = 480;
	if (!td_subscriber_enabled(out->subscriber))
		return TD_REFUSED;
	struct td_span aor = td_subscriber_aor(out->subscriber);
	uint64_t hash = td_aor_hash(&dp->keys, aor);
	const struct td_worker *owner = dp->workers[td_hash_owner(hash, dp->n_workers)];
	const struct td_location *location = td_engine_location(owner->engine);
	if (location)
		out->n = td_location_find(
			location, hash, aor, out->subscriber->born, out->contacts);
	if (out->n == 0 && td_registrar_bindings_restoring(host))
		out->sip_code = 503;
	return out->n > 0 ? TD_DONE : TD_REFUSED;
}

uint64_t td_registrar_grace_begin(void *host)
{
	const struct td_worker *w = host;

	return w->dp->qsbr ? rte_rcu_qsbr_start(w->dp->qsbr) : 0;
}

bool td_registrar_grace_over(void *host, uint64_t token)
{
	const struct td_worker *w = host;

	return !w->dp->qsbr || rte_rcu_qsbr_check(w->dp->qsbr, token, false) == 1;
}

bool td_registrar_bindings_restoring(void *host)
{
	const struct td_worker *w = host;

	return !atomic_load_explicit(&w->dp->restored, memory_order_acquire);
}

// --- journal ---

static uint32_t record_bytes(const uint8_t *record)
{
	struct td_binding_packed head;

	memcpy(&head, record, sizeof(head));
	return head.bytes;
}

enum td_answer td_registrar_bindings_write(
	void *host, const uint8_t *records, uint32_t bytes, uint32_t n, uint64_t cookie)
{
	struct td_worker *w = host;
	uint64_t needed = bytes + (uint64_t)n * sizeof(struct td_journal_record);
	bool sync = w->dp->conf.location_sync;

	// While the disk fails nothing becomes safe: that is told at once.
	if (sync && atomic_load_explicit(&w->journal->error, memory_order_relaxed) != 0)
		return TD_REFUSED;
	if (!td_journal_has_spare(w->journal, needed) ||
		(sync && w->registrar->n == TD_SYNC_WAITS_MAX)) {
		td_worker_count(w, TD_C_JOURNAL_FULL, 1);
		return TD_REFUSED;
	}
	for (uint32_t at = 0; at < bytes; at += record_bytes(records + at)) {
		int rc = td_journal_append(w->journal, TD_JOURNAL_BINDING, records + at,
			record_bytes(records + at));
		td_worker_count(w, rc == 0 ? TD_C_JOURNAL_RECORDS : TD_C_JOURNAL_FULL, 1);
	}
	if (!sync)
		return TD_DONE;
	struct td_registrar_host *h = w->registrar;
	h->waits[(h->first + h->n++) % TD_SYNC_WAITS_MAX] =
		(struct td_sync_wait){ w->journal->head, cookie };
	return TD_PENDING;
}

static uint32_t waits_settle(struct td_worker *w)
{
	struct td_registrar_host *h = w->registrar;
	uint64_t safe = atomic_load_explicit(&w->journal->synced, memory_order_acquire);
	int error = atomic_load_explicit(&w->journal->error, memory_order_relaxed);
	uint32_t settled = 0;

	for (; h->n > 0; h->n--, settled++) {
		const struct td_sync_wait *wait = &h->waits[h->first];
		struct td_late_answer answer = { .cookie = wait->cookie, .answer = TD_DONE };
		if (wait->until > safe && error == 0)
			break;
		if (wait->until > safe)
			answer.answer = TD_REFUSED;
		h->first = (h->first + 1) % TD_SYNC_WAITS_MAX;
		td_engine_answer(w->engine, w->now_ns, &answer);
	}
	return settled;
}

// --- what comes back ---

static uint32_t box_take(struct td_worker *w)
{
	struct td_restore_box *box = &w->registrar->boxes[w->registrar->drain];
	uint32_t n = 0;

	if (!atomic_load_explicit(&box->full, memory_order_acquire))
		return 0;
	for (; n < RESTORES_PER_TURN && box->at < box->len; n++) {
		uint32_t bytes = record_bytes(box->bytes + box->at);
		td_engine_restore_binding(w->engine, w->now_ns, box->bytes + box->at, bytes);
		box->at += bytes;
	}
	if (box->at == box->len) {
		box->at = box->len = 0;
		atomic_store_explicit(&box->full, false, memory_order_release);
		w->registrar->drain = !w->registrar->drain;
	}
	return n;
}

uint32_t td_registrar_host_turn(struct td_worker *w)
{
	return (w->registrar->n > 0 ? waits_settle(w) : 0) + box_take(w);
}
