// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/provision.h"

#include "dataplane/registrar_host.h"
#include "include/binding.h"
#include "sip/aor.h"
#include "sip/subscribers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void *heap_alloc(void *ctx, size_t bytes)
{
	return malloc(bytes);
}

static void heap_free(void *ctx, void *ptr)
{
	free(ptr);
}

// Main is no reader that reports: it begins grace periods of the workers.
static uint64_t grace_begin(void *host)
{
	const struct td_dataplane *dp = host;

	return dp->qsbr ? rte_rcu_qsbr_start(dp->qsbr) : 0;
}

static bool grace_over(void *host, uint64_t token)
{
	const struct td_dataplane *dp = host;

	return !dp->qsbr || rte_rcu_qsbr_check(dp->qsbr, token, false) == 1;
}

int td_subscribers_make(struct td_dataplane *dp)
{
	const struct td_alloc alloc = { heap_alloc, heap_free, NULL };
	const struct td_subscribers_grace grace = { grace_begin, grace_over, dp };

	if (!td_registrar_configured(&dp->conf))
		return 0;
	dp->subscribers = td_subscribers_new(&alloc, &grace, TD_SUBSCRIBERS_MAX);
	return dp->subscribers ? 0 : -errno;
}

void td_subscribers_unmake(struct td_dataplane *dp)
{
	td_subscribers_free(dp->subscribers);
	dp->subscribers = NULL;
}

static int fault(int rc, char *error, size_t cap, const char *what)
{
	snprintf(error, cap, "%s: %s", what, strerror(-rc));
	return rc;
}

static bool text_take(const char *text, char *dst, size_t cap)
{
	return td_span_cstr(td_span_str(text), dst, cap) == strlen(text);
}

static bool from_pb(const Tandem__Subscriber *pb, struct td_subscriber *s)
{
	*s = (struct td_subscriber){ .enabled = !pb->disabled,
		.max_calls = pb->max_calls,
		.max_cps = pb->max_cps,
		.cps_burst = pb->cps_burst };
	if (!text_take(pb->aor, s->aor, sizeof(s->aor)) ||
		!text_take(pb->plan[0] ? pb->plan : TD_PLAN_DEFAULT, s->plan, sizeof(s->plan)) ||
		!text_take(pb->display, s->display, sizeof(s->display)) ||
		pb->n_numbers > TD_SUBSCRIBER_NUMBERS_MAX)
		return false;
	for (size_t i = 0; i < pb->n_numbers; i++)
		if (!text_take(pb->numbers[i], s->numbers[s->n_numbers++], TD_NUMBER_LEN))
			return false;
	s->has_md5 = pb->ha1_md5.len == TD_MD5_BYTES;
	s->has_sha256 = pb->ha1_sha256.len == TD_SHA256_BYTES;
	if (s->has_md5)
		memcpy(s->ha1_md5, pb->ha1_md5.data, TD_MD5_BYTES);
	if (s->has_sha256)
		memcpy(s->ha1_sha256, pb->ha1_sha256.data, TD_SHA256_BYTES);
	return (s->has_md5 || pb->ha1_md5.len == 0) && (s->has_sha256 || pb->ha1_sha256.len == 0);
}

int td_provision_put(
	struct td_provision *p, const Tandem__SubscriberPut *put, char *error, size_t cap)
{
	struct td_subscriber s;

	if (!p->dp->subscribers)
		return fault(-EOPNOTSUPP, error, cap, "no realm has a registrar");
	if (!put->subscriber || !from_pb(put->subscriber, &s))
		return fault(-EINVAL, error, cap, "subscriber");
	int rc = td_subscribers_put(p->dp->subscribers, &s);
	if (rc != 0)
		return fault(rc, error, cap, s.aor);
	p->generation = put->generation ? put->generation : p->generation;
	return 0;
}

int td_provision_delete(
	struct td_provision *p, const Tandem__SubscriberDelete *gone, char *error, size_t cap)
{
	if (!p->dp->subscribers)
		return fault(-EOPNOTSUPP, error, cap, "no realm has a registrar");
	// One that came and went elsewhere was never here.
	td_subscribers_delete(p->dp->subscribers, td_span_str(gone->aor));
	p->generation = gone->generation ? gone->generation : p->generation;
	return 0;
}

int td_provision_bulk(struct td_provision *p, const Tandem__SubscriberBulk *bulk, uint64_t *taken,
	char *error, size_t cap)
{
	struct td_subscriber s;

	*taken = 0;
	if (!p->dp->subscribers)
		return fault(-EOPNOTSUPP, error, cap, "no realm has a registrar");
	if (bulk->first)
		td_subscribers_mark(p->dp->subscribers);
	for (size_t at = 0; at < bulk->entries.len; (*taken)++) {
		size_t n = td_subscriber_unpack(
			bulk->entries.data + at, bulk->entries.len - at, &s);
		if (n == 0)
			return fault(-EINVAL, error, cap, "an entry does not hold");
		int rc = td_subscribers_put(p->dp->subscribers, &s);
		if (rc != 0)
			return fault(rc, error, cap, s.aor);
		at += n;
	}
	if (!bulk->last)
		return 0;
	while (td_subscribers_sweep(p->dp->subscribers, UINT32_MAX))
		;
	p->generation = bulk->generation;
	return 0;
}

void td_provision_collect(struct td_provision *p)
{
	if (p->dp->subscribers)
		td_subscribers_collect(p->dp->subscribers);
}

// --- bindings ---

int td_provision_bindings(
	struct td_provision *p, const Tandem__BindingBulk *bulk, char *error, size_t cap)
{
	if (!p->dp->subscribers)
		return fault(-EOPNOTSUPP, error, cap, "no realm has a registrar");
	if (p->records)
		return fault(-EBUSY, error, cap, "bindings are on their way");
	p->records = malloc(bulk->records.len ? bulk->records.len : 1);
	if (!p->records)
		return fault(-ENOMEM, error, cap, "bindings");
	if (bulk->records.len > 0)
		memcpy(p->records, bulk->records.data, bulk->records.len);
	p->len = bulk->records.len;
	p->at = 0;
	p->last = bulk->last;
	p->taken = 0;
	return 0;
}

void td_provision_drop(struct td_provision *p)
{
	free(p->records);
	p->records = NULL;
}

static struct td_registrar_host *owner_of(const struct td_dataplane *dp, struct td_span aor)
{
	uint16_t owner = td_hash_owner(td_aor_hash(&dp->keys, aor), dp->n_workers);

	return dp->workers[owner]->registrar;
}

static bool box_is_full(struct td_restore_box *box)
{
	return atomic_load_explicit(&box->full, memory_order_acquire);
}

// Gives what is in the box to the worker; what comes next goes into the other one.
static void box_close(struct td_registrar_host *host)
{
	atomic_store_explicit(&host->boxes[host->fill].full, true, memory_order_release);
	host->fill = !host->fill;
}

static bool box_put(struct td_registrar_host *host, const uint8_t *record, size_t bytes)
{
	struct td_restore_box *box = &host->boxes[host->fill];

	if (!box_is_full(box) && box->len + bytes > sizeof(box->bytes)) {
		box_close(host);
		box = &host->boxes[host->fill];
	}
	if (box_is_full(box))
		return false;
	memcpy(box->bytes + box->len, record, bytes);
	box->len += (uint32_t)bytes;
	return true;
}

// Puts records into their owners' boxes until one has no room.
static void boxes_fill(struct td_provision *p)
{
	struct td_binding b;

	while (p->at < p->len) {
		size_t n = td_binding_unpack(p->records + p->at, p->len - p->at, &b);
		if (n == 0) { // what follows cannot be read either
			p->at = p->len;
			return;
		}
		if (!box_put(owner_of(p->dp, b.aor), p->records + p->at, n))
			return;
		p->at += n;
		p->taken++;
	}
}

// true: the workers have taken all there is.
static bool boxes_close(const struct td_dataplane *dp)
{
	bool empty = true;

	for (uint16_t i = 0; i < dp->n_workers; i++) {
		struct td_registrar_host *host = dp->workers[i]->registrar;
		struct td_restore_box *box = &host->boxes[host->fill];
		if (!box_is_full(box) && box->len > 0)
			box_close(host);
		empty = empty && !box_is_full(&host->boxes[0]) && !box_is_full(&host->boxes[1]);
	}
	return empty;
}

bool td_provision_more(struct td_provision *p)
{
	if (!p->records)
		return true;
	boxes_fill(p);
	bool empty = boxes_close(p->dp);
	if (p->at < p->len || (p->last && !empty))
		return false;
	if (p->last)
		atomic_store_explicit(&p->dp->restored, true, memory_order_release);
	td_provision_drop(p);
	return true;
}
