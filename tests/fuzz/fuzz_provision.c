// SPDX-License-Identifier: BSD-3-Clause
// Rows that control pushes, subscribers and bindings, with anything in them: a table takes an entry
// whole or not at all, and each binding that holds reaches the worker that owns it, once.
//
// Input: pieces of a byte (bits 0 and 1: enum kind, bit 2: the first, bit 3: the last of its kind),
// two bytes of length and so many bytes.
#include "dataplane/provision.h"
#include "dataplane/registrar_host.h"
#include "include/binding.h"
#include "sip/aor.h"
#include "sip/subscribers.h"
#include "tests/fuzz/must.h"

#include <stdlib.h>
#include <string.h>

enum { WORKERS = 2 };

enum kind { SUBSCRIBERS, SUBSCRIBER, GONE, BINDINGS };

static struct td_dataplane *dp;
static struct td_provision provision;
static uint64_t handed; // bindings that the workers found in their boxes

static void set_up(void)
{
	dp = zeroed(sizeof(*dp));
	dp->conf.n_realms = 1;
	dp->conf.realms[0].registrar.n_domains = 1;
	for (; dp->n_workers < WORKERS; dp->n_workers++) {
		struct td_worker *w = dp->workers[dp->n_workers] = zeroed(sizeof(*w));
		w->dp = dp;
		must(td_registrar_host_create(w) == 0);
	}
	provision.dp = dp;
}

// What lies in a full box is whole records of AoRs that are this worker's.
static void box_check(uint16_t worker, struct td_restore_box *box)
{
	struct td_binding b;

	if (!atomic_load(&box->full))
		return;
	must(box->len > 0 && box->len <= sizeof(box->bytes));
	for (uint32_t at = 0; at < box->len; handed++) {
		size_t n = td_binding_unpack(box->bytes + at, box->len - at, &b);
		must(n > 0 && td_hash_owner(td_aor_hash(&dp->keys, b.aor), WORKERS) == worker);
		at += (uint32_t)n;
	}
	box->len = 0;
	atomic_store(&box->full, false);
}

static uint64_t records_count(const uint8_t *data, size_t len)
{
	struct td_binding b;
	uint64_t n = 0;

	for (size_t bytes; (bytes = td_binding_unpack(data, len, &b)) > 0; n++) {
		data += bytes;
		len -= bytes;
	}
	return n;
}

static void bindings_push(const uint8_t *data, size_t len, bool last)
{
	Tandem__BindingBulk bulk = TANDEM__BINDING_BULK__INIT;
	char error[256] = "";
	bool done = false;

	bulk.records = (ProtobufCBinaryData){ len, (uint8_t *)(uintptr_t)data };
	bulk.last = last;
	handed = 0;
	must(td_provision_bindings(&provision, &bulk, error, sizeof(error)) == 0);
	for (int i = 0; i < 100 && !done; i++) {
		done = td_provision_more(&provision);
		for (uint16_t w = 0; w < WORKERS; w++)
			for (int k = 0; k < 2; k++)
				box_check(w, &dp->workers[w]->registrar->boxes[k]);
	}
	must(done && provision.taken == records_count(data, len) && handed == provision.taken);
}

static void subscribers_push(const uint8_t *data, size_t len, uint8_t head)
{
	Tandem__SubscriberBulk bulk = TANDEM__SUBSCRIBER_BULK__INIT;
	char error[256] = "";
	uint64_t taken;

	bulk.entries = (ProtobufCBinaryData){ len, (uint8_t *)(uintptr_t)data };
	bulk.first = head & 4;
	bulk.last = head & 8;
	bulk.generation = 7;
	int rc = td_provision_bulk(&provision, &bulk, &taken, error, sizeof(error));
	must((rc == 0) == (error[0] == '\0'));
	must(!bulk.first || td_subscribers_count(dp->subscribers) >= (taken > 0));
}

static void subscriber_push(const uint8_t *data, size_t len)
{
	Tandem__SubscriberPut *put = tandem__subscriber_put__unpack(NULL, len, data);
	char error[256] = "";

	if (!put)
		return;
	int rc = td_provision_put(&provision, put, error, sizeof(error));
	must((rc == 0) == (error[0] == '\0'));
	if (rc == 0)
		must(td_subscribers_find(
			     dp->subscribers, td_span_str(put->subscriber->aor)) != NULL);
	tandem__subscriber_put__free_unpacked(put, NULL);
}

static void subscriber_remove(const uint8_t *data, size_t len)
{
	Tandem__SubscriberDelete *gone = tandem__subscriber_delete__unpack(NULL, len, data);
	char error[256] = "";

	if (!gone)
		return;
	must(td_provision_delete(&provision, gone, error, sizeof(error)) == 0);
	must(td_subscribers_find(dp->subscribers, td_span_str(gone->aor)) == NULL);
	tandem__subscriber_delete__free_unpacked(gone, NULL);
}

static void piece_take(uint8_t head, const uint8_t *data, size_t len)
{
	switch (head & 3) {
	case SUBSCRIBERS:
		subscribers_push(data, len, head);
		break;
	case SUBSCRIBER:
		subscriber_push(data, len);
		break;
	case GONE:
		subscriber_remove(data, len);
		break;
	case BINDINGS:
		bindings_push(data, len, head & 8);
		break;
	}
	td_provision_collect(&provision);
}

static void *heap(void *ctx, size_t bytes)
{
	return malloc(bytes);
}

static void heap_free(void *ctx, void *ptr)
{
	free(ptr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct td_alloc alloc = { heap, heap_free, NULL };
	static const struct td_subscribers_grace grace = { 0 };

	if (!dp)
		set_up();
	dp->subscribers = td_subscribers_new(&alloc, &grace, 8);
	must(dp->subscribers != NULL);
	while (size > 3) {
		size_t n = (size_t)(data[1] | data[2] << 8);
		n = n < size - 3 ? n : size - 3;
		uint8_t *piece = malloc(n + 1); // exact, so that a sanitizer sees a byte too far
		memcpy(piece, data + 3, n);
		piece_take(data[0], piece, n);
		free(piece);
		data += 3 + n;
		size -= 3 + n;
	}
	td_subscribers_free(dp->subscribers);
	return 0;
}
